//! A webhook receiver on actix-web: `POST /webhooks/{id}`, and `GET /metrics` in Prometheus' text format.
//!
//! ```sh
//! HOOKWARDEN_SECRETS="acme=$(openssl rand -hex 32)" cargo run --features actix,harden,metrics,tracing --example actix_receiver
//! ```
//!
//! It does what `axum_receiver` does, with the same settings.

#[path = "receiver/settings.rs"]
mod settings;

use std::error::Error;
use std::process::ExitCode;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use hookwarden::actix::{HardenMiddleware, WardenMiddleware, Webhook, security_txt};
use settings::Settings;

async fn handle(webhook: Webhook<Bytes>) -> HttpResponse {
    let (status, answer) = settings::handle(webhook.delivery().webhook_id(), &webhook.payload).await;
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).json(answer)
}

fn main() -> ExitCode {
    let system = actix_web::rt::System::new();
    // A shared store connects on the runtime.
    let settings = match system.block_on(async { Settings::read() }) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("actix_receiver: {error}");
            return ExitCode::from(2);
        }
    };
    match system.block_on(serve(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("actix_receiver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let waiting_for_handlers = settings.waiting_for_handlers();
    let Settings { warden, harden, security_txt: text, address, metrics, .. } = settings;
    let body_limit = warden.body_limit();
    let server = HttpServer::new(move || {
        let (text, metrics) = (text.clone(), metrics.clone());
        let hardened = HardenMiddleware::new(harden.clone());
        // The empty scope matches every path without an earlier route.
        let mut public = web::scope("").wrap(hardened).service(
            web::resource("/webhooks/{id}").wrap(WardenMiddleware::new(warden.clone())).route(web::post().to(handle)),
        );
        if let Some(text) = text {
            public = public.service(security_txt(text));
        }
        App::new()
            // Leaves the Warden's body limit as the only one.
            .app_data(web::PayloadConfig::new(body_limit))
            // Metrics are scraped from inside, by plain HTTP. A proxy in front must not expose them.
            .route("/metrics", web::get().to(move || std::future::ready(metrics.render())))
            // `hardened` wraps the Warden, so refusals have its headers too.
            .service(public)
    })
    .disable_signals()
    .bind(address)?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        settings::shutdown().await;
        // Wait before the server stops, because that ends its workers and the handlers whose clients disconnected.
        handle.pause().await;
        waiting_for_handlers.await;
        handle.stop(true).await;
    });
    Ok(server.await?)
}

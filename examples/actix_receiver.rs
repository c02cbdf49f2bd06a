//! A webhook receiver on actix-web: `POST /webhooks/{id}`, and `GET /metrics` in Prometheus' text format.
//!
//! ```sh
//! HOOKWARDEN_SECRETS="acme=$(openssl rand -hex 32)" cargo run --features actix,tracing,metrics --example actix_receiver
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
use hookwarden::actix::{WardenMiddleware, Webhook};
use settings::Settings;

async fn handle(webhook: Webhook<Bytes>) -> HttpResponse {
    let (status, answer) = settings::handle(webhook.facts().webhook_id(), &webhook.payload);
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
    let Settings { warden, address, metrics } = settings;
    let body_limit = warden.body_limit();
    let server = HttpServer::new(move || {
        let metrics = metrics.clone();
        App::new()
            // The Warden's cap is the only one.
            .app_data(web::PayloadConfig::new(body_limit))
            .service(
                web::resource("/webhooks/{id}")
                    .wrap(WardenMiddleware::new(warden.clone()))
                    .route(web::post().to(handle)),
            )
            .route("/metrics", web::get().to(move || std::future::ready(metrics.render())))
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
        handle.stop(true).await;
    });
    Ok(server.await?)
}

//! A webhook receiver on axum: `POST /webhooks/{id}`, and `GET /metrics` in Prometheus' text format.
//!
//! ```sh
//! HOOKWARDEN_SECRETS="acme=$(openssl rand -hex 32)" cargo run --features axum,harden,metrics,tracing --example axum_receiver
//! ```
//!
//! `receiver/settings.rs` lists the other settings. The answer to an accepted request is
//! `{"id":…,"bytes":…,"type":…}`, where `type` is the `type` of the payload or null. For the type `fail` the handler
//! answers 500, to show a failing handler. For the type `slow` it works for three seconds, to show what happens if the
//! sender gives up meanwhile.

#[path = "receiver/settings.rs"]
mod settings;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Json;
use axum::http::StatusCode;
use axum::routing::{get, post};
use hookwarden::axum::{HardenLayer, WardenLayer, Webhook};
use hookwarden::harden::SecurityTxt;
use serde_json::Value;
use settings::Settings;
use tokio::net::TcpListener;

async fn handle(webhook: Webhook<Bytes>) -> (StatusCode, Json<Value>) {
    let (status, answer) = settings::handle(webhook.delivery().webhook_id(), &webhook.payload).await;
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(answer))
}

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("axum_receiver: {error}");
            return ExitCode::from(2);
        }
    };
    match serve(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum_receiver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    let waiting_for_handlers = settings.waiting_for_handlers();
    let Settings { warden, harden, security_txt, address, metrics, .. } = settings;
    let mut app = Router::new().route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden)));
    if let Some(text) = security_txt {
        app = app.route_service(SecurityTxt::PATH, text);
    }
    // `HardenLayer` wraps the Warden, so refusals have its headers too. Metrics are scraped from inside, by plain HTTP.
    // A proxy in front must not expose them.
    let app = app.layer(HardenLayer::new(harden)).route("/metrics", get(async move || metrics.render()));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // The addresses of the connections let the Warden count refused requests for each peer.
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(settings::shutdown()).await?;
    waiting_for_handlers.await;
    Ok(())
}

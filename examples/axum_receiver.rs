//! A webhook receiver on axum: `POST /webhooks/{id}`.
//!
//! ```sh
//! HOOKWARDEN_SECRETS="acme=$(openssl rand -hex 32)" cargo run --features axum --example axum_receiver
//! ```
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `HOOKWARDEN_SECRETS` | `ID=SECRET,ID2=SECRET2`; an id that comes again has an older secret too | none: exit code 2 |
//! | `HOOKWARDEN_ADDR` | where to listen; port 0 takes a free one | `127.0.0.1:3000` |
//! | `HOOKWARDEN_TOLERANCE` | seconds that a timestamp may be off | 300 |
//! | `HOOKWARDEN_DEADLINE` | seconds that a body may take | 10 |
//! | `HOOKWARDEN_BODY_LIMIT` | bytes that a body may have | 1048576 |
//!
//! An accepted request is answered with `{"id":…,"bytes":…,"type":…}`, where `type` is the payload's own or null. A
//! payload of the type `fail` makes the handler answer 500, to show what a failing handler does.

use std::env::{self, VarError};
use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Json;
use axum::http::StatusCode;
use axum::routing::post;
use hookwarden::axum::{WardenLayer, Webhook};
use hookwarden::{ConfigError, Key, Keyring, Scheme, SecurityEvent, Tolerance, Warden};
use serde_json::{Value, json};
use tokio::net::TcpListener;

async fn handle(webhook: Webhook<Bytes>) -> (StatusCode, Json<Value>) {
    let payload: Value = serde_json::from_slice(&webhook.payload).unwrap_or_default();
    let kind = payload.get("type").filter(|kind| kind.is_string());
    if kind.is_some_and(|kind| kind == "fail") {
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "the handler failed, as asked" })));
    }
    let answer = json!({ "id": webhook.facts().webhook_id(), "bytes": webhook.payload.len(), "type": kind });
    (StatusCode::OK, Json(answer))
}

fn log(event: &SecurityEvent<'_>) {
    println!(
        "{:?} id={:?} key={:?} skew={:?} header={:?} bytes={} took={:?}",
        event.outcome, event.webhook_id, event.key_id, event.skew, event.header, event.body_bytes, event.duration
    );
}

#[tokio::main]
async fn main() -> ExitCode {
    let (warden, address) = match configure() {
        Ok(configured) => configured,
        Err(error) => {
            eprintln!("axum_receiver: {error}");
            return ExitCode::from(2);
        }
    };
    match serve(warden, &address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum_receiver: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn configure() -> Result<(Warden, String), Box<dyn Error>> {
    let scheme = Scheme::timestamped();
    let secrets = match env::var("HOOKWARDEN_SECRETS") {
        Ok(secrets) if !secrets.is_empty() => secrets,
        _ => {
            return Err("HOOKWARDEN_SECRETS is not set; try HOOKWARDEN_SECRETS=\"acme=$(openssl rand -hex 32)\"".into());
        }
    };
    let mut builder = Warden::builder(scheme.clone()).observer(log);
    for (id, keys) in senders(&scheme, &secrets)? {
        builder = builder.sender(id, keys);
    }
    if let Some(seconds) = setting("HOOKWARDEN_TOLERANCE")? {
        builder = builder.tolerance(Tolerance::from_seconds(seconds)?);
    }
    if let Some(seconds) = setting("HOOKWARDEN_DEADLINE")? {
        builder = builder.deadline(Duration::from_secs(seconds));
    }
    if let Some(bytes) = setting("HOOKWARDEN_BODY_LIMIT")? {
        builder = builder.body_limit(bytes);
    }
    let address = setting("HOOKWARDEN_ADDR")?.unwrap_or_else(|| "127.0.0.1:3000".into());
    Ok((builder.build()?, address))
}

/// Reads `ID=SECRET,ID2=SECRET2`. No error repeats any of it.
fn senders(scheme: &Scheme, text: &str) -> Result<Vec<(String, Keyring)>, Box<dyn Error>> {
    let mut senders: Vec<(String, Vec<Key>)> = Vec::new();
    for (index, entry) in text.split(',').enumerate() {
        let (id, secret) =
            entry.split_once('=').ok_or_else(|| format!("HOOKWARDEN_SECRETS: entry {index} is not ID=SECRET"))?;
        let keys = match senders.iter_mut().position(|(known, _)| known == id) {
            Some(place) => senders.get_mut(place),
            None => {
                senders.push((id.into(), Vec::new()));
                senders.last_mut()
            }
        };
        if let Some((_, keys)) = keys {
            keys.push(Key::new(&format!("{}", keys.len()), scheme.secret(secret)?)?);
        }
    }
    let keyring = |(id, keys): (String, Vec<Key>)| Ok::<_, ConfigError>((id, Keyring::from_keys(keys)?));
    Ok(senders.into_iter().map(keyring).collect::<Result<_, _>>()?)
}

fn setting<T: FromStr>(name: &str) -> Result<Option<T>, Box<dyn Error>> {
    match env::var(name) {
        Ok(text) => text.parse().map(Some).map_err(|_| format!("{name}: {text:?} is not a valid value").into()),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name}: is not UTF-8").into()),
    }
}

async fn serve(warden: Warden, address: &str) -> Result<(), Box<dyn Error>> {
    let app = Router::new().route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden)));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).with_graceful_shutdown(shutdown()).await?)
}

/// Ctrl-C, or the signal that service managers send.
async fn shutdown() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

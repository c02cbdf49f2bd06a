//! A receiver of signed webhooks from several senders, whose keys come from their JWK Sets.
//!
//! ```sh
//! HOOKWARDEN_SENDERS="acme=https://acme.example/.well-known/jwks.json" \
//!   cargo run -p hookwarden-jwks --example jwks_receiver
//! ```
//!
//! `POST /webhooks/{sender}` is answered 200 with the name of the sender and its key.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `HOOKWARDEN_SENDERS` | `NAME=URL,NAME2=URL2` | none: exit code 2 |
//! | `HOOKWARDEN_REVOCATION_LISTS` | `NAME=URL,NAME2=URL2`: AdCP's lists of revoked keys of these senders | none |
//! | `HOOKWARDEN_PROFILE` | `webhooks`, `adcp-webhooks` or `ucp`: what the senders sign, and where their keys are | `webhooks` |
//! | `HOOKWARDEN_ORIGIN` | the scheme and the host that senders use | `https://hooks.example.com` |
//! | `HOOKWARDEN_ADDR` | the address to listen on; port 0 selects a free one | `127.0.0.1:3000` |

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::{Extension, Router, routing::post};
use hookwarden::Warden;
use hookwarden::axum::WardenLayer;
use hookwarden::crypto::Algorithm;
use hookwarden::event::TracingObserver;
use hookwarden::message_signatures::Profile;
use hookwarden::warden::{Replay, VerifiedDelivery};
use hookwarden_jwks::{JwksKeys, Source};
use tokio::net::TcpListener;

async fn receive(Extension(delivery): Extension<VerifiedDelivery>) -> String {
    format!("{} signed with {}\n", delivery.webhook_id(), delivery.key_id())
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("jwks_receiver: {error}");
            ExitCode::from(2)
        }
    }
}

/// Returns `acme` for `/webhooks/acme?v=1`.
fn sender_of(path: &str) -> Option<String> {
    path.split('?').next()?.strip_prefix("/webhooks/").map(str::to_owned)
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let origin = env::var("HOOKWARDEN_ORIGIN").unwrap_or_else(|_| "https://hooks.example.com".into());
    let address = env::var("HOOKWARDEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let name = env::var("HOOKWARDEN_PROFILE").unwrap_or_else(|_| "webhooks".into());
    let algorithms = [Algorithm::Ed25519, Algorithm::EcdsaP256];
    let (profile, source): (_, fn(&str) -> Source) = match name.as_str() {
        "webhooks" => (Profile::webhooks(&origin).algorithms(algorithms), |url| Source::jwk_set(url)),
        "adcp-webhooks" => (Profile::adcp_webhooks(&origin), |url| Source::adcp_webhooks(url)),
        "ucp" => (Profile::ucp(&origin), |url| Source::ucp(url)),
        _ => return Err("HOOKWARDEN_PROFILE: must be webhooks, adcp-webhooks or ucp".into()),
    };
    let profile = profile.build()?;
    let scheme = profile.scheme(name)?;
    // UCP signatures need no time. For webhooks, three days are enough.
    let replay = if scheme.coverage().timestamp { Replay::new() } else { Replay::new().lifetime(DAYS_3) };

    let mut builder = JwksKeys::builder(&scheme);
    let senders = env::var("HOOKWARDEN_SENDERS").map_err(|_| "HOOKWARDEN_SENDERS: must be set")?;
    let lists = env::var("HOOKWARDEN_REVOCATION_LISTS").unwrap_or_default();
    let lists: Option<HashMap<&str, &str>> =
        lists.split(',').filter(|list| !list.is_empty()).map(|list| list.split_once('=')).collect();
    let mut lists = lists.ok_or("HOOKWARDEN_REVOCATION_LISTS: must be NAME=URL,NAME2=URL2")?;
    for sender in senders.split(',') {
        let (name, url) = sender.split_once('=').ok_or("HOOKWARDEN_SENDERS: must be NAME=URL,NAME2=URL2")?;
        let mut source = source(url);
        if let Some(list) = lists.remove(name) {
            source = source.revocation_list(list);
        }
        builder = builder.sender(name, source);
    }
    if !lists.is_empty() {
        return Err("HOOKWARDEN_REVOCATION_LISTS: must name only senders of HOOKWARDEN_SENDERS".into());
    }
    let keys = builder.build()?;
    if let Err(error) = keys.load().await {
        eprintln!("jwks_receiver: {error}"); // this sender's requests are answered 503 until its keys can be fetched
    }

    // The signature covers the path, so the sender in it cannot be changed.
    let id = keys.id_source_by(&profile, |head| sender_of(head.path()?));
    let observer = TracingObserver::new();
    let warden = Warden::builder(scheme).cached_keys(keys.cached()?).webhook_id(id).replay(replay).observer(observer);
    let warden = warden.build()?;
    let app = Router::new().route("/webhooks/{sender}", post(receive).layer(WardenLayer::new(warden)));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}

const DAYS_3: Duration = Duration::from_secs(3 * 86_400);

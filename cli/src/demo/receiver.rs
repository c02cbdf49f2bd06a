//! The demo's receiver: one route with its own Warden for each preset.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Json;
use axum::routing::post;
use hookwarden::axum::{WardenLayer, Webhook};
use hookwarden::event::RefusalReason;
use hookwarden::event::{Outcome, SecurityEvent};
use hookwarden::keys::StaticKeys;
use hookwarden::redis::{ConnectError, RedisStore};
use hookwarden::secret::KeyId;
use hookwarden::warden::{BodyLimits, Replay, WardenBuilder};
use hookwarden::{ConfigError, Key, Keyring, Scheme, Secret, Warden};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zeroize::Zeroizing;

use super::REDIS_URL;
use crate::secret::kind::Kind;

/// A running receiver, or two that share a store, with their events.
pub(crate) struct Receiver {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) senders: Senders,
    pub(crate) seen: UnboundedReceiver<Seen>,
    keys: StaticKeys,
}

/// The keys of the senders.
pub(crate) struct Senders {
    /// The current key.
    pub(crate) new: Key,
    /// The text of the current key's secret, as in a receiver's settings.
    pub(crate) new_text: Zeroizing<String>,
    /// The key that signed before the rotation.
    pub(crate) old: Key,
    /// The presets except the default one, each with its key.
    pub(crate) presets: Vec<(Scheme, Key)>,
}

/// The event of one request.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<RefusalReason>,
    pub(crate) key_id: Option<KeyId>,
    pub(crate) skew: Option<i64>,
    pub(crate) duration: Duration,
}

impl Receiver {
    /// Starts a receiver on a free port, or two that share a Redis or Valkey server.
    pub(crate) async fn start(redis_url: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let (events, seen) = unbounded_channel();
        let new_text = secret_text()?;
        let senders = Senders {
            new: Key::new("new", Scheme::timestamped().secret(&new_text)?)?,
            new_text,
            old: key("old")?,
            presets: [Scheme::standard_webhooks(), Scheme::stripe(), Scheme::github(), Scheme::slack()]
                .into_iter()
                .map(|scheme| Ok((scheme, key("only")?)))
                .chain([ed25519()])
                .collect::<Result<_, Box<dyn Error>>>()?,
        };
        let during_rotation = Keyring::from_keys([senders.new.clone(), senders.old.clone()])?;
        let keys = StaticKeys::new(&Scheme::timestamped(), [(WEBHOOK_ID, during_rotation)])?;
        let mut addresses = Vec::new();
        for _ in 0..if redis_url.is_some() { 2 } else { 1 } {
            // One connection per receiver, as with separate processes.
            let store = match redis_url {
                Some(url) => {
                    let connected = RedisStore::builder(url).prefix(REDIS_PREFIX).connect().await;
                    Some(connected.map_err(|error| explain(&error))?)
                }
                None => None,
            };
            let app = router(&senders, &keys, store.as_ref(), &events)?;
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            addresses.push(listener.local_addr()?);
            let service = app.into_make_service_with_connect_info::<SocketAddr>();
            tokio::spawn(async move { axum::serve(listener, service).await });
        }
        Ok(Self { addresses, senders, seen, keys })
    }

    /// Removes the old key while the receiver runs.
    pub(crate) fn finish_rotation(&self) -> Result<(), ConfigError> {
        self.keys.replace_one(WEBHOOK_ID, Keyring::from_keys([self.senders.new.clone()])?)
    }
}

/// Names the environment variable instead of the builder's setting.
fn explain(error: &ConnectError) -> String {
    let text = error.to_string();
    format!("{REDIS_URL}: {}", text.strip_prefix("redis.url: ").unwrap_or(&text))
}

/// The preset with Ed25519 and a private key. The receiver uses only its public key.
fn ed25519() -> Result<(Scheme, Key), Box<dyn Error>> {
    let scheme = Scheme::standard_webhooks_v1a();
    let text = Kind::Whsk.generate().map_err(|failure| failure.to_string())?;
    let key = Key::new("only", scheme.secret(&text)?)?;
    Ok((scheme, key))
}

fn router(
    senders: &Senders,
    keys: &StaticKeys,
    store: Option<&RedisStore>,
    events: &UnboundedSender<Seen>,
) -> Result<Router, ConfigError> {
    let builder = |scheme| {
        let builder = builder(scheme, events.clone());
        match store {
            Some(store) => builder.shared_store(store.clone()),
            None => builder,
        }
    };
    let warden = builder(Scheme::timestamped()).keys(keys.clone()).build()?;
    let mut app = Router::new().route("/timestamped/{id}", guarded(warden));
    for (scheme, key) in &senders.presets {
        let path = format!("/{}/{{id}}", scheme.name());
        let mut builder = builder(scheme.clone()).sender(WEBHOOK_ID, Keyring::from_keys([key.clone()])?);
        if !scheme.is_timestamped() {
            builder = builder.replay(Replay::new().lifetime(UNSTAMPED_LIFETIME));
        }
        app = app.route(&path, guarded(builder.build()?));
    }
    Ok(app)
}

async fn handle(webhook: Webhook<Json<Value>>) -> Json<Value> {
    Json(json!({ "accepted": webhook.delivery().webhook_id() }))
}

fn guarded(warden: Warden) -> axum::routing::MethodRouter {
    post(handle).layer(WardenLayer::new(warden))
}

fn builder(scheme: Scheme, events: UnboundedSender<Seen>) -> WardenBuilder {
    let observer = move |event: &SecurityEvent<'_>| {
        let reason = event.outcome.reason();
        let (key_id, skew, duration) = (event.key_id, event.skew, event.duration);
        // The channel is closed only when the demo ends.
        let _ = events.send(Seen { outcome: event.outcome, reason, key_id, skew, duration });
    };
    Warden::builder(scheme).observer(observer).body(BodyLimits::new().max_bytes(BODY_LIMIT))
}

fn key(id: &str) -> Result<Key, ConfigError> {
    Key::new(id, Secret::generate()?)
}

/// 32 random bytes in hex.
fn secret_text() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(Zeroizing::new(const_hex::encode(*bytes)))
}

/// The webhook id of the receiver's sender.
pub(crate) const WEBHOOK_ID: &str = "acme";

/// The replay lifetime for schemes without a timestamp.
const UNSTAMPED_LIFETIME: Duration = Duration::from_secs(3_600);

const REDIS_PREFIX: &str = "hookwarden-demo";

/// The receiver's body limit in bytes.
pub(crate) const BODY_LIMIT: usize = 65_536;

//! Receives Twilio's webhooks: the header `X-Twilio-Signature` is the base64 of an HMAC-SHA1 of the URL and the form's
//! parameters. See <https://www.twilio.com/docs/usage/security#validating-requests>.
//!
//! ```sh
//! cargo run --features axum --example twilio
//! ```
//!
//! It sends a genuine and a tampered request of each kind to itself and prints the answers.

use std::collections::BTreeSet;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, Json};
use axum::routing::post;
use hookwarden::axum::{WardenLayer, Webhook};
use hookwarden::crypto::{Algorithm, LiveKeys, Proven};
use hookwarden::encoding::Encoding;
use hookwarden::headers::{FieldName, Head};
use hookwarden::scheme::{Coverage, CustomCheck, CustomHead, CustomScheme};
use hookwarden::warden::{BodyLimits, Replay, WardenBuilder};
use hookwarden::{ConfigError, Keyring, Reason, Scheme, Warden};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The body of an endpoint's requests. The endpoint decides it, not the request: see [`Twilio`].
#[derive(Clone, Copy)]
pub(crate) enum Content {
    /// `application/x-www-form-urlencoded`, the usual form.
    Form,
    /// `application/json`, whose SHA-256 is the parameter `bodySHA256` of the URL.
    Json,
}

/// A Warden for the webhooks that Twilio sends to `https://{host}`.
pub(crate) fn warden(host: &str, auth_token: &str, content: Content) -> Result<WardenBuilder, ConfigError> {
    let origins = [format!("https://{host}"), format!("https://{host}:443")];
    let twilio = Twilio { header: FieldName::new("X-Twilio-Signature")?, origins, content };
    let scheme = Scheme::custom("twilio", Algorithm::HmacSha1, twilio)?;
    let keys = Keyring::new(scheme.secret(auth_token)?);
    // No time is signed, so a captured request is valid until the auth token changes. For a day it is a duplicate.
    // Two events with equal parameters and an equal URL are one delivery, because the MAC identifies it.
    let replay = Replay::new().lifetime(Duration::from_secs(86_400));
    // A form is kept in memory once more until it is verified.
    Ok(Warden::builder(scheme).only_sender(keys).replay(replay).body(BodyLimits::new().max_bytes(64 * 1024)))
}

/// Twilio's scheme.
///
/// The signed content is the URL and then the name and value of each parameter, **without separators**. So whoever has a
/// captured request can move bytes between names and values, and between the URL and the first name, and the signature
/// stays valid. The MAC identifies the delivery, so such a copy is a duplicate of the original. A handler must refuse a
/// form that lacks a parameter it needs, because the copy can arrive first.
///
/// That is also why the endpoint decides the [`Content`]: a text message can contain `&bodySHA256=…`. Moved into the URL,
/// it would make any JSON body valid.
struct Twilio {
    header: FieldName,
    /// Twilio signs the URL with the default port or without it. The public origin is configured, because a proxy may
    /// change the `Host` of a request.
    origins: [String; 2],
    content: Content,
}

impl CustomScheme for Twilio {
    fn coverage(&self) -> Coverage {
        Coverage::BODY.with_url()
    }

    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
        let signature = Encoding::Base64.decode(head.header(&self.header).required()?);
        let signature = signature.filter(|mac| mac.len() == 20).ok_or(Reason::MalformedSignature)?;
        let path = head.path().ok_or(Reason::NoRequestLine)?;
        let signed = Signed { urls: self.origins.each_ref().map(|origin| format!("{origin}{path}")), signature };
        Ok(match self.content {
            Content::Form => CustomHead::new(FormCheck { signed, body: Vec::new() }),
            Content::Json => {
                let claimed_hash = body_hash(path).ok_or(Reason::MalformedHeader)?;
                CustomHead::new(JsonCheck { signed, claimed_hash, body: Sha256::new() })
            }
        })
    }
}

/// The value of `bodySHA256`, which must occur once.
fn body_hash(path: &str) -> Option<Vec<u8>> {
    let (_, query) = path.split_once('?')?;
    let mut hashes = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "bodySHA256");
    let (_, hash) = hashes.next()?;
    if hashes.next().is_none() { Encoding::Hex.decode(hash.as_bytes()) } else { None }
}

struct Signed {
    urls: [String; 2],
    signature: Vec<u8>,
}

impl Signed {
    fn verify<'k>(&self, keys: LiveKeys<'k>, parameters: &[&[u8]]) -> Result<Proven<'k>, Reason> {
        // Always both, so that the time is the same for every request.
        let [without_port, with_port] =
            self.urls.each_ref().map(|url| keys.verify(&[&[url.as_bytes()], parameters].concat(), &self.signature));
        without_port.or(with_port)
    }
}

struct FormCheck {
    signed: Signed,
    body: Vec<u8>,
}

impl CustomCheck for FormCheck {
    fn update(&mut self, chunk: &[u8]) {
        self.body.extend_from_slice(chunk);
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        // Sorted by name and then by value. Of equal parameters one is signed.
        let parameters: BTreeSet<_> = form_urlencoded::parse(&self.body).collect();
        let parameters = parameters.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        self.signed.verify(keys, &parameters.collect::<Vec<_>>())
    }
}

struct JsonCheck {
    signed: Signed,
    claimed_hash: Vec<u8>,
    body: Sha256,
}

impl CustomCheck for JsonCheck {
    fn update(&mut self, chunk: &[u8]) {
        self.body.update(chunk);
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        let proven = self.signed.verify(keys, &[])?;
        if self.body.finalize()[..] == self.claimed_hash[..] { Ok(proven) } else { Err(Reason::Mismatch) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sms {
    from: String,
    body: String,
}

async fn handle_sms(webhook: Webhook<Form<Sms>>) -> String {
    format!("{} wrote {}", webhook.payload.from, webhook.payload.body)
}

#[derive(Deserialize)]
struct Event {
    name: String,
}

async fn handle_event(webhook: Webhook<Json<Event>>) -> String {
    webhook.payload.0.name
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [sms, events] = [Content::Form, Content::Json].map(|content| warden("example.com", AUTH_TOKEN, content));
    let (sms, events) = (WardenLayer::new(sms?.build()?), WardenLayer::new(events?.build()?));
    let app = Router::new()
        .route("/webhooks/sms", post(handle_sms).layer(sms))
        .route("/webhooks/events", post(handle_event).layer(events));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await });

    for (path, content_type, signature, body) in MESSAGES {
        println!("genuine:  {}", send(address, path, content_type, signature, body).await?);
        println!("tampered: {}", send(address, path, content_type, signature, &body.replace("Zo", "Jo")).await?);
    }
    Ok(())
}

/// Posts `body` and returns the status line of the answer.
async fn send(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    signature: &str,
    body: &str,
) -> Result<String, Box<dyn Error>> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Twilio-Signature: {signature}\r\n\
         Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all((head + body).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// The token of Twilio's documentation.
const AUTH_TOKEN: &str = "12345";

/// Path, content type, signature and body. `RequestValidator` of twilio 9.13.0 (PyPI) made these signatures, and
/// `getExpectedTwilioSignature` of twilio 6.3.1 (npm) makes the same.
pub(crate) const MESSAGES: [(&str, &str, &str, &str); 2] = [
    (
        "/webhooks/sms?order=17",
        "application/x-www-form-urlencoded",
        "5M5m+Ix9L/dSg25MyMi88xmr+Hg=",
        "MessageSid=SM0123456789abcdef0123456789abcdef&From=%2B14155550100&Tag=b&Tag=a&Tag=a&Empty=\
         &Body=Zo%C3%AB+%26+K%C3%BCsse+%F0%9F%91%8B&apiVersion=2010-04-01",
    ),
    (
        "/webhooks/events?bodySHA256=41dbc52ef609935c068a21602c012673aeee030ec75e4a26e4ee41c46986f7f4",
        "application/json",
        "piM5eIl/Er0sbYNYr19Vxi1+FjE=",
        r#"{"name":"Zoë","n":1}"#,
    ),
];

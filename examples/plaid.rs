//! Receives Plaid's webhooks: a JWT in the header `Plaid-Verification` signs the SHA-256 of the body.
//! See <https://plaid.com/docs/api/webhooks/webhook-verification/>.
//!
//! ```sh
//! cargo run --features axum,ecdsa --example plaid
//! ```
//!
//! It sends a genuine and a tampered request to itself and prints both answers.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::Json;
use axum::routing::post;
use hookwarden::axum::{WardenLayer, Webhook};
use hookwarden::crypto::{Algorithm, LiveKeys, Proven};
use hookwarden::encoding::Encoding;
use hookwarden::error::StoreError;
use hookwarden::headers::{FieldName, Head};
use hookwarden::keys::{AsyncKeyStore, CachedKeys};
use hookwarden::scheme::{Coverage, CustomCheck, CustomHead, CustomScheme, SignedPart};
use hookwarden::warden::WardenBuilder;
use hookwarden::{BoxFuture, ConfigError, IdSource, Key, Keyring, Reason, Scheme, Signer, Timestamp, Warden};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A Warden for Plaid's webhooks. `jwks` has the answers of Plaid's API by key id.
pub(crate) fn warden(jwks: HashMap<String, String>) -> Result<WardenBuilder, ConfigError> {
    let header = FieldName::new("Plaid-Verification")?;
    // ES256 is ECDSA on P-256. Its tolerance is the default of five minutes, which Plaid requires.
    let scheme = Scheme::custom("plaid", Algorithm::EcdsaP256, Plaid { header: header.clone() })?;
    let keys = CachedKeys::new(&scheme, PlaidKeys { scheme: scheme.clone(), jwks });
    let key_id = IdSource::closure(move |head| Jwt::read(head, &header).ok().map(|jwt| jwt.header.kid));
    Ok(Warden::builder(scheme).cached_keys(keys).webhook_id(key_id))
}

/// Plaid's scheme.
struct Plaid {
    header: FieldName,
}

impl CustomScheme for Plaid {
    fn coverage(&self) -> Coverage {
        Coverage::BODY.with_timestamp()
    }

    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
        let jwt = Jwt::read(head, &self.header)?;
        let claims: Claims = json(jwt.claims).ok_or(Reason::MalformedHeader)?;
        let signature = decode(jwt.signature).filter(|signature| signature.len() == 64);
        let check = PlaidCheck {
            signed: jwt.signed.as_bytes().to_vec(),
            signature: signature.ok_or(Reason::MalformedSignature)?,
            claimed_hash: Encoding::Hex.decode(claims.request_body_sha256.as_bytes()).ok_or(Reason::MalformedHeader)?,
            body: Sha256::new(),
        };
        Ok(CustomHead::new(check).with_timestamp(Timestamp::from_unix(claims.iat)))
    }
}

struct PlaidCheck {
    signed: Vec<u8>,
    signature: Vec<u8>,
    claimed_hash: Vec<u8>,
    body: Sha256,
}

impl CustomCheck for PlaidCheck {
    fn update(&mut self, chunk: &[u8]) {
        self.body.update(chunk);
    }

    fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        // The signature first: a request for an unknown key id then takes as long as one with a wrong signature. The
        // delivery is identified by the signed bytes, so an equal JWT with another valid signature is a duplicate.
        let proven = keys.verify(&[&self.signed], &self.signature)?;
        if self.body.finalize()[..] == self.claimed_hash[..] { Ok(proven) } else { Err(Reason::Mismatch) }
    }
}

/// A JWT as received (RFC 7515, compact serialization). Nothing is verified.
struct Jwt<'h> {
    /// The bytes that are signed: the header and the claims as sent.
    signed: &'h str,
    header: JwtHeader,
    claims: &'h str,
    signature: &'h str,
}

#[derive(Deserialize)]
struct JwtHeader {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    request_body_sha256: String,
}

impl<'h> Jwt<'h> {
    fn read(head: &'h dyn Head, name: &FieldName) -> Result<Self, Reason> {
        let text = head.header(name).required()?;
        Self::parse(text).ok_or(Reason::MalformedSignature)
    }

    fn parse(text: &'h [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_JWT_BYTES)?;
        // Base64url has no dots, so a fourth segment is refused where it is decoded.
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: JwtHeader = json(header)?;
        // The scheme has one algorithm. The message must name it, and cannot choose another, such as `none` or `HS256`.
        (header.alg == "ES256").then_some(Self { signed, header, claims, signature })
    }
}

fn json<T: DeserializeOwned>(segment: &str) -> Option<T> {
    serde_json::from_slice(&decode(segment)?).ok()
}

fn decode(segment: &str) -> Option<Vec<u8>> {
    Encoding::Base64UrlUnpadded.decode(segment.as_bytes())
}

/// Plaid's public keys by key id.
struct PlaidKeys {
    scheme: Scheme,
    jwks: HashMap<String, String>,
}

impl AsyncKeyStore for PlaidKeys {
    fn find<'a>(&'a self, kid: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        Box::pin(async move {
            // A real receiver calls `POST /webhook_verification_key/get` here, with a timeout. It returns `None` if the
            // API has no such key, and an error if the API fails. This table replaces the call. `CachedKeys` makes one
            // call for each key id, and the limit for rejected requests bounds how many ids a peer can invent.
            let Some(jwk) = self.jwks.get(kid) else { return Ok(None) };
            self.keyring(kid, jwk).map(Some).map_err(|error| StoreError::new(format!("Plaid's key {kid}: {error}")))
        })
    }
}

impl PlaidKeys {
    fn keyring(&self, kid: &str, jwk: &str) -> Result<Keyring, Box<dyn Error + Send + Sync>> {
        let key = Key::new(kid, self.scheme.public_key(jwk)?)?;
        let Validity { expired_at } = serde_json::from_str(jwk)?;
        let key = match expired_at {
            Some(time) => key.not_after(Timestamp::from_unix(time)),
            None => key,
        };
        // All keys are of one sender. With this id it has one quota, and events name it.
        Ok(Keyring::from_keys([key])?.with_webhook_id("plaid"))
    }
}

#[derive(Deserialize)]
struct Validity {
    expired_at: Option<i64>,
}

const MAX_JWT_BYTES: usize = 4096;

#[derive(Deserialize)]
struct Event {
    webhook_code: String,
}

async fn handle(webhook: Webhook<Json<Event>>) -> String {
    webhook.payload.0.webhook_code
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let warden = warden(HashMap::from([(KID.to_owned(), JWK.to_owned())]))?.build()?;
    let app = Router::new().route("/webhooks/plaid", post(handle).layer(WardenLayer::new(warden)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await });

    let body = r#"{"webhook_type":"TRANSACTIONS","webhook_code":"SYNC_UPDATES_AVAILABLE"}"#;
    let jwt = sign(body)?;
    println!("genuine:  {}", send(address, &jwt, body).await?);
    println!("tampered: {}", send(address, &jwt, &body.replace("SYNC", "SINK")).await?);
    Ok(())
}

/// Makes the JWT that Plaid would send with `body`.
fn sign(body: &str) -> Result<String, Box<dyn Error>> {
    let header = format!(r#"{{"alg":"ES256","kid":"{KID}","typ":"JWT"}}"#);
    let hash = Encoding::Hex.encode(&Sha256::digest(body));
    let claims = format!(r#"{{"iat":{},"request_body_sha256":"{hash}"}}"#, Timestamp::now().as_unix());
    let signed = [header, claims].map(|json| Encoding::Base64UrlUnpadded.encode(json.as_bytes())).join(".");
    let scheme = Scheme::builder("es256").algorithm(Algorithm::EcdsaP256).encoding(Encoding::Base64UrlUnpadded);
    let scheme = scheme.signature_header("Signature").signed([SignedPart::Body]).build()?;
    let key = Keyring::new(scheme.secret(PRIVATE_KEY)?);
    let headers = Signer::new(scheme, key)?.sign_body(signed.as_bytes())?;
    let (_, signature) = headers.iter().next().ok_or("no signature")?;
    Ok(format!("{signed}.{signature}"))
}

/// Posts `body` and returns the status line of the answer.
async fn send(address: SocketAddr, jwt: &str, body: &str) -> Result<String, Box<dyn Error>> {
    let head = format!(
        "POST /webhooks/plaid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nPlaid-Verification: {jwt}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all((head + body).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// The key pair of RFC 6979 appendix A.2.5, in the form of Plaid's API. It is public, so do not use it
/// anywhere else.
const PRIVATE_KEY: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const KID: &str = "bfbd5111-8e33-4643-8ced-b2e642a72f3c";
const JWK: &str = r#"{"alg":"ES256","created_at":1560466150,"crv":"P-256","expired_at":null,
"kid":"bfbd5111-8e33-4643-8ced-b2e642a72f3c","kty":"EC","use":"sig",
"x":"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y","y":"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk"}"#;

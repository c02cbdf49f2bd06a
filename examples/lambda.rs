//! A webhook receiver on AWS Lambda, behind an HTTP API of API Gateway or a function URL: `POST /webhooks/{id}`.
//!
//! Build it with `cargo lambda build --example lambda --features axum`, and set `HOOKWARDEN_SECRET` to the secret of the sender `acme`.
//!
//! Each instance of a function has its own memory, so another instance does not know which deliveries this one has handled.
//! For replay protection and quotas across instances, store deliveries in Redis (`WardenBuilder::shared_store`) or in your
//! database (`hookwarden-sqlx`).

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Json, Request};
use axum::middleware::map_request;
use axum::routing::post;
use axum::{Router, http::StatusCode};
use hookwarden::axum::{WardenLayer, Webhook};
use hookwarden::{Keyring, Scheme, Warden};
use lambda_http::request::RequestContext;
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let secret = std::env::var("HOOKWARDEN_SECRET").map_err(|_| "HOOKWARDEN_SECRET: must be set")?;
    let scheme = Scheme::timestamped();
    let keys = Keyring::new(scheme.secret(&secret)?);
    lambda_http::run(app(Warden::builder(scheme).sender("acme", keys).build()?)).await
}

fn app(warden: Warden) -> Router {
    Router::new().route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden))).layer(map_request(with_peer))
}

async fn handle(webhook: Webhook<Json<Value>>) -> StatusCode {
    println!("{} sent {}", webhook.delivery().webhook_id(), webhook.payload.get("event").unwrap_or(&Value::Null));
    StatusCode::NO_CONTENT
}

/// Sets the address that API Gateway names as the peer, so that refused requests are counted for each peer.
async fn with_peer(mut request: Request) -> Request {
    if let Some(RequestContext::ApiGatewayV2(context)) = request.extensions().get()
        && let Some(peer) = context.http.source_ip.as_ref().and_then(|ip| ip.parse().ok())
    {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 0)));
    }
    request
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use hookwarden::{Signer, testing};
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::*;

    const BODY: &str = r#"{"event":"order.paid"}"#;

    fn keys() -> Keyring {
        Keyring::new(Scheme::timestamped().secret("a-subscription-secret").expect("a secret"))
    }

    fn warden() -> Warden {
        Warden::builder(Scheme::timestamped()).sender("acme", keys()).build().expect("a Warden")
    }

    /// Signs the headers for `signed`, and sends them with `body` in an event of API Gateway.
    async fn send(warden: &Warden, signed: &str, body: &str) -> StatusCode {
        let signer = Signer::new(Scheme::timestamped(), keys()).expect("a signer");
        let request = Request::post("/webhooks/acme").header("content-type", "application/json");
        let request = testing::sign(&signer, request.body(signed.to_owned()).expect("a request"));
        let text = |value: &axum::http::HeaderValue| value.to_str().expect("text").to_owned();
        let headers = request.headers().iter().map(|(name, value)| (name.to_string(), Value::from(text(value))));
        let event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/webhooks/acme",
            "rawQueryString": "",
            "headers": headers.collect::<serde_json::Map<_, _>>(),
            "requestContext": {
                "stage": "$default",
                "http": { "method": "POST", "path": "/webhooks/acme", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9" },
            },
            "isBase64Encoded": true,
            "body": BASE64_STANDARD.encode(body),
        });
        let request = lambda_http::request::from_str(&event.to_string()).expect("an event");
        app(warden.clone()).oneshot(request).await.expect("an answer").status()
    }

    #[tokio::test]
    async fn signed_event_reaches_the_handler() {
        assert_eq!(send(&warden(), BODY, BODY).await, StatusCode::NO_CONTENT);
    }

    #[tokio::test]
    async fn changed_body_is_refused() {
        assert_eq!(send(&warden(), BODY, r#"{"event":"order.paid!"}"#).await, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn forgeries_are_counted_for_their_peer() {
        let warden = warden();
        let mut answers = Vec::new();
        for _ in 0..61 {
            answers.push(send(&warden, BODY, "{}").await);
        }
        assert_eq!(answers.pop(), Some(StatusCode::TOO_MANY_REQUESTS));
        assert!(answers.iter().all(|answer| *answer == StatusCode::UNAUTHORIZED), "{answers:?}");
    }
}

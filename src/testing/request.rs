//! Signed requests for an application's own handlers.

use http::Request;

use crate::scheme::Scheme;
use crate::secret::Keyring;
use crate::signer::Signer;
use crate::time::Timestamp;

/// Signs `request` with the system's time and inserts the signature's headers.
///
/// The body is signed as its bytes. The method, the path and the headers of the request are signed where the scheme
/// signs them. An axum router takes the request with another body type, so convert it after signing:
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use axum::body::Body;
/// use axum::{Json, Router, routing::post};
/// use hookwarden::axum::{WardenLayer, Webhook};
/// use hookwarden::{Keyring, Scheme, Signer, Warden, testing};
/// use http::{Request, StatusCode};
/// use tower::ServiceExt as _;
///
/// async fn order(webhook: Webhook<Json<serde_json::Value>>) -> String {
///     webhook.payload["id"].to_string()
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme.clone()).sender("acme", keys.clone()).build()?;
/// let app = Router::new().route("/webhooks/{id}", post(order).layer(WardenLayer::new(warden)));
///
/// let signer = Signer::new(scheme, keys)?;
/// let request = Request::post("/webhooks/acme").header("content-type", "application/json").body(r#"{"id":7}"#)?;
/// let response = app.oneshot(testing::sign(&signer, request).map(Body::from)).await?;
/// assert_eq!(response.status(), StatusCode::OK);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// actix-web's `TestRequest` takes the headers one by one:
///
#[cfg_attr(feature = "actix", doc = "```")]
#[cfg_attr(not(feature = "actix"), doc = "```ignore")]
/// use actix_web::test::{TestRequest, call_service, init_service};
/// use actix_web::{App, web};
/// use hookwarden::actix::{WardenMiddleware, Webhook};
/// use hookwarden::{Keyring, Scheme, Signer, Warden};
///
/// async fn order(webhook: Webhook<web::Json<serde_json::Value>>) -> String {
///     webhook.payload["id"].to_string()
/// }
///
/// # actix_web::rt::System::new().block_on(async {
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme.clone()).sender("acme", keys.clone()).build()?;
/// let webhooks = web::resource("/webhooks/{id}").wrap(WardenMiddleware::new(warden)).route(web::post().to(order));
/// let app = init_service(App::new().service(webhooks)).await;
///
/// let (signer, body) = (Signer::new(scheme, keys)?, r#"{"id":7}"#);
/// let request = TestRequest::post().uri("/webhooks/acme").insert_header(("content-type", "application/json"));
/// let signed = signer.sign_body(body.as_bytes())?;
/// let request = signed.iter().fold(request, |request, header| request.insert_header(header)).set_payload(body);
/// assert_eq!(call_service(&app, request.to_request()).await.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// As for [`sign_at`].
#[track_caller]
#[must_use]
pub fn sign<B: AsRef<[u8]>>(signer: &Signer, request: Request<B>) -> Request<B> {
    sign_at(signer, request, Timestamp::now())
}

/// [`sign`] with the time `now`, for a Warden with a [`TestClock`](super::TestClock).
///
/// ```
/// use hookwarden::clock::Clock as _;
/// use hookwarden::testing::{TestClock, sign_at};
/// use hookwarden::{Keyring, Scheme, Signer};
/// use http::Request;
///
/// let scheme = Scheme::timestamped();
/// let signer = Signer::new(scheme.clone(), Keyring::new(scheme.secret("a-subscription-secret")?))?;
/// let clock = TestClock::default();
/// let request = sign_at(&signer, Request::post("/webhooks/acme").body("{}")?, clock.now().wall);
/// assert_eq!(request.headers()["x-webhook-timestamp"], "1800000000");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// The request cannot be signed: it lacks a header that the scheme signs or has it twice, no key is live at `now`, or
/// the scheme cannot write `now`.
#[track_caller]
#[must_use]
pub fn sign_at<B: AsRef<[u8]>>(signer: &Signer, mut request: Request<B>, now: Timestamp) -> Request<B> {
    match signer.sign_at(&request, request.body().as_ref(), now) {
        Ok(signed) => signed.insert_into(request.headers_mut()),
        Err(error) => panic!("the request cannot be signed: {error}"),
    }
    request
}

/// Returns the bytes of a signature for `content`, made with the algorithm of `scheme` and the key `secret`, for tests of a
/// [custom scheme](crate::scheme::CustomScheme). The content is the concatenation of its pieces. For HTTP Message
/// Signatures, use `sign_message` (feature `message-signatures`).
///
/// ```
/// use hookwarden::encoding::Encoding;
/// use hookwarden::{Scheme, testing};
///
/// let signature = testing::sign_content(&Scheme::github(), "It's a Secret to Everybody", &[b"Hello, ", b"World!"]);
/// let text = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
/// assert_eq!(Encoding::Hex.encode(&signature), text);
/// ```
///
/// # Panics
/// The text is not a secret or a private key of the scheme's form, or the scheme is one with
/// [tokens](crate::Scheme::danger_custom_token).
#[track_caller]
#[must_use]
pub fn sign_content(scheme: &Scheme, secret: &str, content: &[&[u8]]) -> Vec<u8> {
    let secret = scheme.secret(secret).unwrap_or_else(|error| panic!("{error}"));
    let keys = scheme.prepare(&Keyring::new(secret)).unwrap_or_else(|error| panic!("{error}"));
    assert!(!scheme.uses_tokens(), "a token signs nothing");
    let now = Timestamp::from_unix(0);
    let mac = keys.live(now).next().and_then(|(_, mac)| mac.tag_of(content)).map(|tag| tag.as_bytes().to_vec());
    let signature = || keys.live_pairs(now).next().and_then(|(_, pair)| pair.sign(&content.concat()));
    mac.or_else(signature).unwrap_or_else(|| panic!("the key cannot sign"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::SignedPart;
    use crate::{Reason, Verifier};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn sides(scheme: Scheme) -> (Signer, Verifier) {
        let keys = Keyring::new(scheme.secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        (Signer::new(scheme.clone(), keys.clone()).unwrap(), Verifier::new(scheme, keys).unwrap())
    }

    #[test]
    fn signed_request_verifies_with_the_same_body() {
        let (signer, verifier) = sides(Scheme::timestamped());
        let request = sign_at(&signer, Request::post("/hooks").body(b"{}".to_vec()).unwrap(), NOW);
        assert_eq!(request.body(), b"{}");
        verifier.verify_at(&request, b"{}", NOW).unwrap();
        assert_eq!(verifier.verify_at(&request, b"[]", NOW).unwrap_err().reason(), Reason::Mismatch);
        verifier.verify(&sign(&signer, Request::post("/hooks").body("{}").unwrap()), b"{}").unwrap();
    }

    #[test]
    fn sign_covers_method_path_and_header() {
        let line = || SignedPart::literal("\n");
        let header = SignedPart::header("X-Event").unwrap();
        let parts = [SignedPart::Method, line(), SignedPart::Path, line(), header, line(), SignedPart::Body];
        let (signer, verifier) =
            sides(Scheme::builder("acme").signature_header("X-Sig").signed(parts).build().unwrap());
        let request = || Request::put("/hooks?id=7").header("x-event", "paid").body("{}").unwrap();
        verifier.verify_at(&sign_at(&signer, request(), NOW), b"{}", NOW).unwrap();
        let changes: [fn(&mut Request<&str>); 3] = [
            |request| *request.method_mut() = http::Method::POST,
            |request| *request.uri_mut() = http::Uri::from_static("/hooks?id=8"),
            |request| drop(request.headers_mut().insert("x-event", http::HeaderValue::from_static("open"))),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut request = sign_at(&signer, request(), NOW);
            change(&mut request);
            let reason = verifier.verify_at(&request, b"{}", NOW).unwrap_err().reason();
            assert_eq!(reason, Reason::Mismatch, "change {index}");
        }
    }

    #[test]
    fn signed_request_is_signed_anew() {
        let (signer, verifier) = sides(Scheme::timestamped());
        let old = sign_at(&signer, Request::post("/").body("{}").unwrap(), Timestamp::from_unix(1));
        verifier.verify_at(&sign_at(&signer, old, NOW), b"{}", NOW).unwrap();
    }

    #[test]
    #[should_panic(expected = "the request cannot be signed: webhook-id")]
    fn request_without_a_signed_header_panics() {
        let (signer, _) = sides(Scheme::standard_webhooks());
        let _ = sign(&signer, Request::post("/").body("{}").unwrap());
    }
}

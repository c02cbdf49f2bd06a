//! Requests with HTTP Message Signatures for an application's own handlers.

use http::header::HOST;
use http::{HeaderValue, Request};

use crate::message_signatures::{MessageSigner, SignatureParameters};
use crate::time::Timestamp;

/// Signs `request` with the system's time and inserts `Content-Digest`, `Signature-Input` and `Signature`.
///
/// If the request has no host, it also inserts `Host` with that of the profile's origin, which a client would send. The
/// `nonce` must be another one in each request: a Warden refuses two requests with the same `keyid` and `nonce` as duplicates.
/// An axum router takes the request with another body type, so convert it after signing:
///
#[cfg_attr(feature = "axum", doc = "```")]
#[cfg_attr(not(feature = "axum"), doc = "```ignore")]
/// use axum::body::Body;
/// use axum::{Json, Router, routing::post};
/// use hookwarden::axum::{WardenLayer, Webhook};
/// use hookwarden::crypto::Algorithm;
/// use hookwarden::message_signatures::{Profile, SignatureParameters};
/// use hookwarden::{Keyring, Warden, testing};
/// use http::{Request, StatusCode};
/// use tower::ServiceExt as _;
///
/// async fn order(webhook: Webhook<Json<serde_json::Value>>) -> String {
///     webhook.payload["id"].to_string()
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let profile = Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::HmacSha256]).build()?;
/// let scheme = profile.scheme("acme")?;
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys.clone()).build()?;
/// let app = Router::new().route("/webhooks/{id}", post(order).layer(WardenLayer::new(warden)));
///
/// let signer = profile.signer(keys)?;
/// let parameters = SignatureParameters::new().keyid("2027-01").nonce("nonce-1");
/// let request = Request::post("/webhooks/acme").header("content-type", "application/json").body(r#"{"id":7}"#)?;
/// let response = app.oneshot(testing::sign_message(&signer, &parameters, request).map(Body::from)).await?;
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
/// use hookwarden::crypto::Algorithm;
/// use hookwarden::message_signatures::{Profile, SignatureParameters};
/// use hookwarden::{Keyring, Warden, testing};
///
/// async fn order(webhook: Webhook<web::Json<serde_json::Value>>) -> String {
///     webhook.payload["id"].to_string()
/// }
///
/// # actix_web::rt::System::new().block_on(async {
/// let profile = Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::HmacSha256]).build()?;
/// let scheme = profile.scheme("acme")?;
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys.clone()).build()?;
/// let webhooks = web::resource("/webhooks/{id}").wrap(WardenMiddleware::new(warden)).route(web::post().to(order));
/// let app = init_service(App::new().service(webhooks)).await;
///
/// let signer = profile.signer(keys)?;
/// let parameters = SignatureParameters::new().keyid("2027-01").nonce("nonce-1");
/// let request = http::Request::post("/webhooks/acme").header("content-type", "application/json").body(r#"{"id":7}"#)?;
/// let (head, body) = testing::sign_message(&signer, &parameters, request).into_parts();
/// let request = TestRequest::post().uri("/webhooks/acme").set_payload(body);
/// let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
/// let request = headers.fold(request, |request, header| request.insert_header(header));
/// assert_eq!(call_service(&app, request.to_request()).await.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// As for [`sign_message_at`].
#[track_caller]
#[must_use]
pub fn sign_message<B: AsRef<[u8]>>(
    signer: &MessageSigner,
    parameters: &SignatureParameters,
    request: Request<B>,
) -> Request<B> {
    sign_message_at(signer, parameters, request, Timestamp::now())
}

/// [`sign_message`] with the time `now`, for a Warden with a [`TestClock`](super::TestClock).
///
/// ```
/// use hookwarden::clock::Clock as _;
/// use hookwarden::crypto::Algorithm;
/// use hookwarden::message_signatures::{Profile, SignatureParameters};
/// use hookwarden::testing::{TestClock, sign_message_at};
/// use hookwarden::{Keyring, Verifier};
/// use http::Request;
///
/// let profile = Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::HmacSha256]).build()?;
/// let scheme = profile.scheme("acme")?;
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let signer = profile.signer(keys.clone())?;
/// let clock = TestClock::default();
/// let parameters = SignatureParameters::new().keyid("2027-01").nonce("nonce-1");
/// let request = Request::post("/webhooks/acme").header("content-type", "application/json").body("{}")?;
/// let request = sign_message_at(&signer, &parameters, request, clock.now().wall);
/// Verifier::new(scheme, keys)?.verify_at(&request, b"{}", clock.now().wall)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// The request cannot be signed: it lacks a header that the profile covers or has it twice, a parameter that the profile
/// requires is missing, or no key is valid at `now`.
#[track_caller]
#[must_use]
pub fn sign_message_at<B: AsRef<[u8]>>(
    signer: &MessageSigner,
    parameters: &SignatureParameters,
    mut request: Request<B>,
    now: Timestamp,
) -> Request<B> {
    if request.uri().authority().is_none()
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(signer.authority())
    {
        request.headers_mut().insert(HOST, host);
    }
    match signer.sign_at(&request, request.body().as_ref(), parameters, now) {
        Ok(signed) => signed.insert_into(request.headers_mut()),
        Err(error) => panic!("the request cannot be signed: {error}"),
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Algorithm;
    use crate::message_signatures::Profile;
    use crate::{Keyring, Scheme, Signer, Verifier};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn sides() -> (MessageSigner, Scheme, Keyring) {
        let profile =
            Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::HmacSha256]).build().unwrap();
        let scheme = profile.scheme("acme").unwrap();
        let keys = Keyring::new(scheme.secret("a-subscription-secret").unwrap());
        (profile.signer(keys.clone()).unwrap(), scheme, keys)
    }

    fn parameters() -> SignatureParameters {
        SignatureParameters::new().keyid("2027-01").nonce("nonce-1")
    }

    #[test]
    fn signed_message_verifies_only_as_signed() {
        let (signer, scheme, keys) = sides();
        let verifier = Verifier::new(scheme, keys).unwrap();
        let request = Request::post("/hooks?id=7").header("content-type", "application/json").body("{}").unwrap();
        let request = sign_message_at(&signer, &parameters(), request, NOW);
        assert_eq!(request.headers()["host"], "hooks.example.com");
        verifier.verify_at(&request, b"{}", NOW).unwrap();
        assert!(verifier.verify_at(&request, b"[]", NOW).is_err());
        let mut moved = request;
        *moved.uri_mut() = http::Uri::from_static("/hooks?id=8");
        assert!(verifier.verify_at(&moved, b"{}", NOW).is_err());
    }

    #[test]
    fn host_of_the_request_is_kept() {
        let (signer, ..) = sides();
        let request = || Request::post("/").header("content-type", "application/json");
        let signed = sign_message(&signer, &parameters(), request().header("host", "proxy.example").body("").unwrap());
        assert_eq!(signed.headers()["host"], "proxy.example");
        let uri = request().uri("https://hooks.example.com/").body("").unwrap();
        assert!(!sign_message(&signer, &parameters(), uri).headers().contains_key("host"));
    }

    #[test]
    #[should_panic(expected = "the request cannot be signed: content-type: must be given")]
    fn message_without_a_covered_header_panics() {
        let (signer, ..) = sides();
        let _ = sign_message(&signer, &parameters(), Request::post("/").body("").unwrap());
    }

    #[test]
    fn signer_of_schemes_names_the_message_signer() {
        let (_, scheme, keys) = sides();
        let error = Signer::new(scheme, keys).unwrap_err().to_string();
        assert!(error.contains("sign with a MessageSigner, from Profile::signer"), "{error}");
    }
}

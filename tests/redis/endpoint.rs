//! An endpoint within the test, and deliveries to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use axum::routing::post;
use hookwarden::axum::WardenLayer;
use hookwarden::error::StoreError;
use hookwarden::event::StoreKind;
use hookwarden::event::{Observer, SecurityEvent, Warning};
use hookwarden::warden::{Quotas, WardenBuilder};
use hookwarden::{Keyring, Scheme, Signer, Warden};
use tower::ServiceExt as _;

/// How often each body was handled.
pub(crate) type Handled = Arc<Mutex<HashMap<Bytes, u32>>>;

#[derive(Clone)]
pub(crate) struct Endpoint {
    router: Router,
    handled: Handled,
}

impl Endpoint {
    pub(crate) fn new(builder: WardenBuilder) -> Self {
        Self::sharing(builder, Handled::default(), Duration::ZERO)
    }

    /// One of several, whose handler takes `time`.
    pub(crate) fn sharing(builder: WardenBuilder, handled: Handled, time: Duration) -> Self {
        let warden = builder.sender("acme", keys()).build().unwrap();
        let counted = handled.clone();
        let handle = async move |body: Bytes| {
            tokio::time::sleep(time).await;
            *counted.lock().unwrap().entry(body).or_default() += 1;
        };
        let router = Router::new().route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden)));
        Self { router, handled }
    }

    pub(crate) async fn send(&self, delivery: &Signed) -> Response<Body> {
        self.router.clone().oneshot(delivery.request::<Body>()).await.unwrap()
    }

    pub(crate) async fn status(&self, delivery: &Signed) -> StatusCode {
        self.send(delivery).await.status()
    }

    /// Sends one delivery until it is accepted, which it must be in time.
    pub(crate) async fn recovers(&self) {
        let returned = Instant::now();
        let delivery = Signed::new(format!("{returned:?}"));
        loop {
            let status = self.status(&delivery).await;
            assert!(returned.elapsed() < RETURN, "no recovery: {status}");
            if status == StatusCode::OK {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn handled(&self) -> u32 {
        self.handled.lock().unwrap().values().sum()
    }
}

/// Normal service is back within this time of the server's return.
pub(crate) const RETURN: Duration = Duration::from_secs(2);

/// Asserts that a sender is told to come back after `period` seconds, of which those since `began` may be over.
pub(crate) fn assert_retry_after(response: &Response<Body>, period: u64, began: Instant) {
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((period - began.elapsed().as_secs()..=period).contains(&seconds), "{seconds}");
}

/// A Warden whose peers may send anything.
pub(crate) fn builder() -> WardenBuilder {
    Warden::builder(Scheme::timestamped()).quotas(quotas())
}

/// The quotas of [`builder`].
pub(crate) fn quotas() -> Quotas {
    Quotas::new().danger_unlimited_rejected()
}

fn keys() -> Keyring {
    Keyring::new(Scheme::timestamped().secret(SECRET).unwrap())
}

/// A delivery, signed now.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Signed {
    pub(crate) fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let signer = Signer::new(Scheme::timestamped(), keys()).unwrap();
        let signed = signer.sign_body(&body).unwrap();
        let headers = signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { headers, body }
    }

    pub(crate) fn request<B: From<Bytes>>(&self) -> Request<B> {
        let mut request = Request::post("/webhooks/acme").header("host", "localhost");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(B::from(self.body.clone())).unwrap()
    }
}

/// Everything that is not about one request, in words.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.all().iter().any(|told| told.starts_with(text))
    }
}

impl Observer for Told {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self.0.lock().unwrap().push(format!("event {event:?}"));
    }

    fn warning(&self, warning: &Warning) {
        self.0.lock().unwrap().push(format!("warning {warning:?}"));
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        self.0.lock().unwrap().push(format!("failed {store:?} {error} {error:?}"));
    }

    fn store_recovered(&self, store: StoreKind) {
        self.0.lock().unwrap().push(format!("recovered {store:?}"));
    }
}

pub(crate) const SECRET: &str = "a-subscription-secret-of-the-tests";

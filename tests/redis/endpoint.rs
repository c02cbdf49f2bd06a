//! An in-process endpoint and deliveries to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use axum::routing::post;
use hookwarden::axum::WardenLayer;
use hookwarden::error::StoreError;
use hookwarden::event::StoreKind;
use hookwarden::event::{Observer, SecurityEvent, Warning};
use hookwarden::warden::{Quotas, WardenBuilder};
use hookwarden::{Scheme, Warden};
use tower::ServiceExt as _;

use crate::harness::sender::{ID, Post, SECRET, keyring, now, signer};

/// The number of runs of each body.
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

    /// Creates one of several endpoints. Its handler takes `time`.
    pub(crate) fn sharing(builder: WardenBuilder, handled: Handled, time: Duration) -> Self {
        Self::of_senders(builder, &[ID.to_owned()], handled, time)
    }

    /// Creates one of several endpoints of these webhook ids.
    pub(crate) fn of_senders(builder: WardenBuilder, ids: &[String], handled: Handled, time: Duration) -> Self {
        let with =
            |builder: WardenBuilder, id: &String| builder.sender(id, keyring(&Scheme::timestamped(), &secret_of(id)));
        let warden = ids.iter().fold(builder, with).build().unwrap();
        let counted = handled.clone();
        let handle = async move |body: Bytes| {
            tokio::time::sleep(time).await;
            *counted.lock().unwrap().entry(body).or_default() += 1;
        };
        let router = Router::new().route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden)));
        Self { router, handled }
    }

    pub(crate) async fn send(&self, delivery: &Post) -> Response<Body> {
        self.router.clone().oneshot(delivery.clone().into_request()).await.unwrap()
    }

    pub(crate) async fn status(&self, delivery: &Post) -> StatusCode {
        self.send(delivery).await.status()
    }

    /// Sends a delivery until it is accepted, and asserts that this happens in time.
    pub(crate) async fn recovers(&self) {
        let returned = Instant::now();
        let delivery = Post::signed(format!("{returned:?}"));
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

/// Returns the secret of a webhook id. Two ids of one Warden cannot have the same one.
fn secret_of(id: &str) -> String {
    if id == ID { SECRET.into() } else { format!("{SECRET}-{id}") }
}

/// Creates a request that the sender of a webhook id signs now.
pub(crate) fn signed_for(id: &str, body: impl Into<Vec<u8>>) -> Post {
    Post::signed_by(&signer(Scheme::timestamped(), &secret_of(id)), &format!("/webhooks/{id}"), &[], body, now(0))
}

/// The documented recovery time after the server's return.
pub(crate) const RETURN: Duration = Duration::from_secs(2);

/// Asserts `Retry-After: period`, minus at most the seconds since `began`.
pub(crate) fn assert_retry_after(response: &Response<Body>, period: u64, began: Instant) {
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((period - began.elapsed().as_secs()..=period).contains(&seconds), "{seconds}");
}

/// Returns the builder of a Warden without a quota of refused requests.
pub(crate) fn builder() -> WardenBuilder {
    Warden::builder(Scheme::timestamped()).quotas(quotas())
}

/// Returns quotas without one for refused requests.
pub(crate) fn quotas() -> Quotas {
    Quotas::new().danger_unlimited_rejected()
}

/// Everything that an observer received, as text.
#[derive(Clone, Default)]
pub(crate) struct Reports(Arc<Mutex<Vec<String>>>);

impl Reports {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.all().iter().any(|reports| reports.starts_with(text))
    }
}

impl Observer for Reports {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self.0.lock().unwrap().push(format!("event {event:?}"));
    }

    fn warning(&self, warning: &Warning) {
        self.0.lock().unwrap().push(format!("warning {warning:?}"));
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        self.0.lock().unwrap().push(format!("failed {store:?} {error} {error:?}"));
    }

    fn store_recovered(&self, store: StoreKind, shard: Option<&str>) {
        self.0
            .lock()
            .unwrap()
            .push(format!("recovered {store:?}{}", shard.map(|shard| format!(" {shard}")).unwrap_or_default()));
    }
}

//! axum: a layer for routes, [`WardenLayer`], and the extractors [`Webhook`] and [`UncommittedWebhook`].
//!
//! The layer verifies each request before it reaches the route. The handler's extractors then read the verified body,
//! and the status of the handler's response settles the delivery: 2xx commits it, and a retry is then answered as a
//! duplicate. Any other status releases it, and a retry runs the handler again. Handlers that take `Bytes`, `Json<T>`
//! or `Form<T>` need no change. [`Webhook<T>`](Webhook) adds the verified facts about the request. It parses the
//! payload from exactly the bytes that were verified, even if other middleware changed the body.
//!
//! ```
//! use axum::{Json, Router, routing::post};
//! use hookwarden::axum::{WardenLayer, Webhook};
//! use hookwarden::{Keyring, Scheme, Warden};
//!
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     id: u64,
//! }
//!
//! async fn order(webhook: Webhook<Json<Order>>) {
//!     println!("order {} from {}", webhook.payload.id, webhook.delivery().webhook_id());
//! }
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let warden = Warden::builder(scheme).sender("acme", keys).build()?;
//! let app: Router = Router::new().route("/webhooks/{id}", post(order).layer(WardenLayer::new(warden)));
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! # With a state
//!
//! `Webhook<T>` works with any router state. Take `State<AppState>` before it, because the extractor of the body must
//! come last:
//!
//! ```
//! use axum::extract::{Json, State};
//! use axum::{Router, routing::post};
//! use hookwarden::Warden;
//! use hookwarden::axum::{WardenLayer, Webhook};
//!
//! #[derive(Clone)]
//! struct AppState {
//!     queue: std::sync::mpsc::Sender<serde_json::Value>,
//! }
//!
//! async fn order(State(app): State<AppState>, webhook: Webhook<Json<serde_json::Value>>) {
//!     let Json(order) = webhook.payload;
//!     let _ = app.queue.send(order);
//! }
//!
//! fn app(warden: Warden, state: AppState) -> Router {
//!     Router::new().route("/webhooks/{id}", post(order).layer(WardenLayer::new(warden))).with_state(state)
//! }
//! ```
//!
//! # Where to put the layer
//!
//! Put it on the handler, as above, or on routes with `Router::route_layer`. `Router::layer` also wraps the fallback,
//! which has no path parameter: a request to an unknown path is then answered with 500.
//!
//! If a handler has several layers, chain them with `route_layer`, or put them into one `tower::ServiceBuilder`. The
//! compiler can reject `post(order).layer(a).layer(b)` with E0283, "type annotations needed", because
//! `MethodRouter::layer` lets each layer change the error type:
//!
//! ```
//! use axum::{Extension, Router, routing::post};
//! use hookwarden::Warden;
//! use hookwarden::axum::WardenLayer;
//! use tower::ServiceBuilder;
//!
//! fn app(warden: Warden) -> Router {
//!     let layers = ServiceBuilder::new().layer(Extension("eu")).layer(WardenLayer::new(warden.clone()));
//!     Router::new()
//!         .route("/eu/{id}", post(async || "").layer(layers)) // the first layer is the outermost
//!         .route("/us/{id}", post(async || "").route_layer(WardenLayer::new(warden)).route_layer(Extension("us")))
//! }
//! ```
//!
//! # Peers
//!
//! Serve the router with `into_make_service_with_connect_info::<SocketAddr>()`, so that refused requests are limited
//! per peer. In tests `MockConnectInfo(address)` works as it does for axum's own `ConnectInfo`.
//!
//! # Good to know
//!
//! * If the client disconnects, the handler continues, and its status settles the delivery: see
//!   [`tower`](crate::tower#if-the-client-disconnects). Call [`Warden::wait_for_handlers`] after
//!   `axum::serve(…).with_graceful_shutdown(…)`. With [`UncommittedWebhook`] hyper drops the handler, and the delivery
//!   is released.
//! * Put a layer that limits by readiness, such as tower's concurrency limit, behind the Warden, in the same
//!   `tower::ServiceBuilder`: see [`tower`](crate::tower#readiness). `axum::serve` builds the layers of a handler once
//!   per connection, so use `GlobalConcurrencyLimitLayer`.
//! * If the body of a refused request was not read completely, the answer has `Connection: close`. A client that is
//!   still sending can get a connection reset instead of the answer: see
//!   [`tower`](crate::tower#what-a-refused-client-sees).
//! * `axum::serve` has no time limit for the head of a request; the Warden's deadline covers the body. To close
//!   connections whose head is too slow, use a proxy in front, or hyper's server with a timer.
//! * hyper parses the size of a chunk byte by byte, and does nothing else on the connection while more of it is
//!   available. A client that sends endless zeros (`0000…1`) faster than hyper parses them (20 to 50 MB/s of one core,
//!   measured in release builds) delays the deadline until it has sent up to 200 MB. A smaller `max_buf_size` of
//!   hyper's server shortens the delay in proportion. actix-web has no such delay.

mod extractor;
#[cfg(feature = "harden")]
mod harden;
mod request;

use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::VerifiedBody;
use crate::tower::{ResponseFuture, guard, report};
use crate::warden::Warden;
use crate::warden::answer::Answer;
use crate::webhook::VerifiedRequest;

pub use crate::webhook::{UncommittedWebhook, Webhook};
pub use extractor::{PayloadRejection, WardenState, WebhookRejection};
#[cfg(feature = "harden")]
pub use harden::{HardenLayer, HardenService};

use request::{Axum, request_of};

/// Guards the wrapped routes with a [`Warden`].
///
/// It reads the webhook id from a path parameter, the peer from `ConnectInfo` or `MockConnectInfo`, and the path as
/// sent from `OriginalUri`. Behind it, the Warden's body limit replaces axum's `DefaultBodyLimit`. The
/// [`VerifiedDelivery`](crate::warden::VerifiedDelivery) is in the request's extensions.
///
/// ```
/// use axum::{Router, body::Bytes, routing::post};
/// use hookwarden::Warden;
/// use hookwarden::axum::WardenLayer;
///
/// async fn count(body: Bytes) -> String {
///     format!("{} verified bytes", body.len())
/// }
///
/// fn app(warden: Warden) -> Router {
///     Router::new().route("/webhooks/{id}", post(count)).route_layer(WardenLayer::new(warden))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct WardenLayer {
    warden: Warden,
}

impl WardenLayer {
    /// Creates a layer that verifies every request with `warden`.
    #[must_use]
    pub const fn new(warden: Warden) -> Self {
        Self { warden }
    }
}

impl<S> Layer<S> for WardenLayer {
    type Service = WardenService<S>;

    fn layer(&self, inner: S) -> WardenService<S> {
        WardenService { inner, warden: self.warden.clone() }
    }
}

/// A service behind a [`WardenLayer`]. It is [always ready](crate::tower#readiness).
#[derive(Debug, Clone)]
pub struct WardenService<S> {
    inner: S,
    warden: Warden,
}

impl<S> Service<Request> for WardenService<S>
where
    S: Service<Request, Response: IntoResponse> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    type Future = ResponseFuture<Result<Response, S::Error>>;

    /// Always ready: `call` waits for the inner service after a request is admitted.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (warden, inner) = (self.warden.clone(), self.inner.clone());
        let forward = |warden: &Warden, delivery, mut parts: Parts, body: VerifiedBody| {
            let answer_writer = warden.answer_writer().cloned();
            parts.extensions.insert(VerifiedRequest { delivery, body: body.clone(), answer_writer });
            request_of(parts, body)
        };
        let answer = |answer: Result<S::Response, Answer>| match answer {
            Ok(response) => response.into_response(),
            Err(refusal) => refusal.into_response::<Body>(),
        };
        if warden.reports_only() {
            let pass_on = |parts, body| Request::from_parts(parts, Body::new(body));
            return ResponseFuture::new(report::<Axum, _, _, _, _>(warden, inner, request, forward, pass_on, answer));
        }
        ResponseFuture::new(guard::<Axum, _, _, _, _>(warden, inner, request, forward, answer))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        Self::into_response::<Body>(self)
    }
}

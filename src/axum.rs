//! axum: a layer for routes, [`WardenLayer`], and the extractors [`Webhook`] and [`UncommittedWebhook`].
//!
//! The layer verifies each request before its route sees it. The handler's extractors then read the verified body, and the
//! status of the handler's response settles the delivery: 2xx commits it, and a retry is then answered as a duplicate;
//! anything else releases it, and a retry runs the handler again. Handlers that take `Bytes`, `Json<T>` or `Form<T>` stay
//! as they are. [`Webhook<T>`](Webhook) adds what is proven about the request, and parses the payload from exactly the bytes
//! that were verified, whatever other middleware did to the body.
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
//! `Webhook<T>` asks nothing of the router's state. Take `State<AppState>` beside it, before it, since the body's extractor
//! comes last:
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
//! Put it on the handler, as above, or on routes by `Router::route_layer`. `Router::layer` also wraps the fallback, which
//! has no path parameter: a request to an unknown path is then answered 500.
//!
//! If a handler has several layers, chain them with `route_layer`, or put them into one `tower::ServiceBuilder`. The compiler
//! can reject `post(order).layer(a).layer(b)` with E0283, "type annotations needed", because `MethodRouter::layer` lets each
//! layer change the error type:
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
//! Serve the router with `into_make_service_with_connect_info::<SocketAddr>()`, so that refused requests are limited for each
//! peer. In tests `MockConnectInfo(address)` works as it does for axum's own `ConnectInfo`.
//!
//! # Good to know
//!
//! * hyper reuses a connection whose refused body was small. With more of the body unread it closes the connection.
//! * `axum::serve` has no time limit for the head of a request; the Warden's deadline covers the body. A proxy in front, or
//!   hyper's own server with a timer, closes connections whose head is too slow.
//! * hyper reads the size of a chunk byte by byte, and does nothing else on the connection while more of it is available. A
//!   sender of endless zeros (`0000…1`) that is faster than hyper reads them (20 to 50 MB/s of one core, measured in release
//!   builds) delays the deadline by up to 200 MB. A smaller `max_buf_size` of hyper's own server shortens that in
//!   proportion. actix-web has no such delay.

mod extractor;
#[cfg(feature = "harden")]
mod harden;
mod request;

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::tower::guard;
use crate::warden::Warden;
use crate::warden::answer::Answer;
use crate::webhook::VerifiedRequest;

pub use crate::webhook::{UncommittedWebhook, Webhook};
pub use extractor::{PayloadRejection, WardenState, WebhookRejection};
#[cfg(feature = "harden")]
pub use harden::{HardenLayer, HardenService};

use request::Axum;

/// Guards the routes that it wraps by a [`Warden`].
///
/// It finds the webhook id in a path parameter, the peer in `ConnectInfo` or `MockConnectInfo`, and the path as the sender
/// wrote it in `OriginalUri`. axum's `DefaultBodyLimit` doesn't apply behind it: the Warden's limit counts. The
/// [`VerifiedDelivery`](crate::warden::VerifiedDelivery) is among the request's extensions.
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
    /// A layer that asks `warden` about every request.
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

/// A service behind a [`WardenLayer`].
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
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The service that was polled to readiness answers this request; its clone waits for the next.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let warden = self.warden.clone();
        Box::pin(guard::<Axum, _, _, _, _>(
            warden,
            inner,
            request,
            |warden, delivery, mut parts, body| {
                let (delivery, answer_writer) = (delivery.clone(), warden.answer_writer().cloned());
                parts.extensions.insert(VerifiedRequest { delivery, body: body.clone(), answer_writer });
                let mut request = Request::from_parts(parts, Body::new(body));
                // The body is within the Warden's limit; axum's own limit would reject larger ones that were admitted.
                DefaultBodyLimit::disable().apply(&mut request);
                request
            },
            |answer| match answer {
                Ok(response) => response.into_response(),
                Err(refusal) => refusal.into_response::<Body>(),
            },
        ))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        Self::into_response::<Body>(self)
    }
}

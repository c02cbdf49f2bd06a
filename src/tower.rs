//! A tower layer that guards any HTTP service: bare hyper, tonic's router, a reverse proxy.
//!
//! [`WardenLayer`] verifies each request before it reaches the service. Unless the Warden [only
//! reports](crate::warden::WardenBuilder::danger_report_only), the service gets only admitted requests, with
//! the verified body as [`ReceivedBody`] and the [`VerifiedDelivery`](crate::warden::VerifiedDelivery) in the request's
//! extensions. The status of its response settles the delivery: 2xx commits it, and a retry is then answered as a
//! duplicate. Any other status releases it, and a retry runs the service again.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use hookwarden::tower::{ReceivedBody, WardenLayer};
//! use hookwarden::warden::VerifiedDelivery;
//! use hookwarden::{IdSource, Keyring, Scheme, Warden};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, service_fn};
//!
//! async fn handle(request: Request<ReceivedBody>) -> Result<Response<String>, Infallible> {
//!     let sender = request.extensions().get::<VerifiedDelivery>().map(|delivery| delivery.webhook_id().to_owned());
//!     Ok(Response::new(format!("from {sender:?}")))
//! }
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let warden = Warden::builder(scheme)
//!     .sender("acme", keys)
//!     .webhook_id(IdSource::path_segment(1)) // `acme` of `/webhooks/acme`
//!     .build()?;
//! let service = ServiceBuilder::new().layer(WardenLayer::new(warden)).service(service_fn(handle));
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! * This layer cannot read path parameters; the adapters for [`axum`](crate::axum) and [`actix`](crate::actix) can.
//!   Take the webhook id from a [path segment](crate::IdSource::path_segment), a [header](crate::IdSource::header) or a
//!   [closure](crate::IdSource::closure). With the default,
//!   [`IdSource::path_parameter`](crate::IdSource::path_parameter), every request is answered with 500.
//! * The server must insert the address of the connection into the request's extensions as [`PeerAddress`]. Without it,
//!   refused requests cannot be limited per peer.
//!
//! # Readiness
//!
//! [`WardenService`] is always ready. After a request is admitted, it waits for the inner service and then calls it.
//! Put a concurrency limit behind the Warden, so that unverified requests take no permits. In a
//! [`ServiceBuilder`](https://docs.rs/tower/latest/tower/struct.ServiceBuilder.html) the first layer is the outermost.
//! If the inner service fails to become ready, the delivery is released.
//!
//! The [lease](crate::warden::Replay::lease) of the delivery runs while the request waits. If the service does not
//! become ready within the lease, the request is answered with 503 and `Retry-After`, the delivery is released, and the
//! service is not called. The handler has only the rest of the lease: set the lease to more than the longest wait plus
//! the longest run of the handler. Without replay protection deliveries have no lease, and the wait is unlimited.
//!
//! # If the client disconnects
//!
//! A server drops the future of a request whose client has disconnected. If the service was already called, its future
//! continues as a task on the tokio runtime, and its status settles the delivery. A retry is answered with 409 in the
//! meantime. If the service was not called yet, the delivery is released.
//!
//! * A timeout layer around the Warden ends the wait but not the handler. Put the layer behind the Warden to end both:
//!   it drops the handler's future, its response is not 2xx, and the delivery is released.
//! * The task keeps the request's extensions, and the tracing span in which the request was dropped. A `task_local!`
//!   that a layer around the Warden sets is not available in the task. Set it behind the Warden.
//! * [`Warden::wait_for_handlers`] waits at shutdown until no handler runs. Handlers that still run when the runtime
//!   shuts down are dropped, and their deliveries are released.
//!
//! # What a refused client sees
//!
//! If the body of a refused HTTP/1 request was not read completely, the answer has `Connection: close` and the
//! connection closes. If the body was read, as for a wrong signature, the connection stays open.
//!
//! * A client that is still sending when it is refused, for example because its body is over the limit, can get a
//!   broken pipe or a connection reset instead of the answer. Most clients retry after that. Only a client that reads
//!   while it sends sees the 413.
//! * A client that sends `Expect: 100-continue` waits before it sends its body. hyper answers `100 Continue` when the
//!   Warden reads the body, so a client that is refused for its head gets the answer and sends no body.
//! * HTTP/2 has no `Connection` field. hyper resets the stream after the answer, and other streams continue.

mod guard;
mod guarded_request;
mod receive;
mod report;
mod response_body;
mod response_future;

use std::error::Error;
use std::net::IpAddr;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response, Uri};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::request_context::{Framework, peer_address};
use crate::warden::answer::Answer;
use crate::warden::{IdFault, Warden, WebhookId};

pub use self::response_body::GuardedBody;
pub use self::response_future::ResponseFuture;
pub use crate::body::{ReceivedBody, VerifiedBody};
pub use crate::request_context::PeerAddress;

pub(crate) use guard::guard;
#[cfg(feature = "actix")]
pub(crate) use guarded_request::{
    Called, Detachable, Finished, GuardedRequest, RunToEnd, RunningHandler, Spawn, log_dropped, run,
};
#[cfg(feature = "axum")]
pub(crate) use receive::receive;
#[cfg(feature = "axum")]
pub(crate) use report::report;

/// Guards the wrapped service with a [`Warden`]. On axum use [`axum::WardenLayer`](crate::axum::WardenLayer).
///
/// ```
/// # use hookwarden::{ConfigError, IdSource, Keyring, Scheme, Warden};
/// use hookwarden::tower::{WardenLayer, WardenService};
/// use tower::Layer as _;
///
/// fn guarded<S>(service: S, keys: Keyring) -> Result<WardenService<S>, ConfigError> {
///     let warden = Warden::builder(Scheme::timestamped())
///         .sender("acme", keys)
///         .webhook_id(IdSource::fixed("acme")) // all requests are from one sender
///         .build()?;
///     Ok(WardenLayer::new(warden).layer(service))
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

/// A service behind a [`WardenLayer`]. It is [always ready](self#readiness).
#[derive(Debug, Clone)]
pub struct WardenService<S> {
    inner: S,
    warden: Warden,
}

impl<S, B, R> Service<Request<B>> for WardenService<S>
where
    S: Service<Request<ReceivedBody>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>> + Send,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<Result<Self::Response, S::Error>>;

    /// Always ready: `call` waits for the inner service after a request is admitted.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (warden, inner) = (self.warden.clone(), self.inner.clone());
        let forward = |_: &Warden, _, parts, body| Request::from_parts(parts, ReceivedBody::verified(body));
        let answer = |answer: Result<Response<R>, Answer>| match answer {
            Ok(response) => response.map(GuardedBody::of_service),
            Err(refusal) => refusal.into_response().map(GuardedBody::of_refusal),
        };
        if warden.reports_only() {
            let pass_on = |parts, body| Request::from_parts(parts, ReceivedBody::reported(body));
            return ResponseFuture::new(report::report::<Bare, _, _, _, _>(
                warden, inner, request, forward, pass_on, answer,
            ));
        }
        ResponseFuture::new(guard::<Bare, _, _, _, _>(warden, inner, request, forward, answer))
    }
}

/// A server without a framework. It knows the connection's address but no path parameters.
#[derive(Debug)]
pub(crate) enum Bare {}

impl Framework for Bare {
    async fn path_parameter(warden: &Warden, _: &mut Parts) -> Option<Result<WebhookId, IdFault>> {
        Some(Err(warden.id_source().parameter()?.missing(|name, count| {
            tracing::error!(
                target: "hookwarden::tower",
                count,
                "the tower layer reads no path parameters, so it can't find `{{{name}}}`: set \
                 `webhook_id(IdSource::path_segment(…))` or `webhook_id(IdSource::header(…))`, or use \
                 `hookwarden::axum::WardenLayer` on axum"
            );
        })))
    }

    fn connection_address(parts: &Parts) -> Option<IpAddr> {
        peer_address(parts)
    }

    fn sent_uri(parts: &Parts) -> &Uri {
        &parts.uri
    }
}

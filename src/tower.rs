//! A tower layer that guards any HTTP service: bare hyper, tonic's router, a reverse proxy.
//!
//! [`WardenLayer`] verifies each request before the service sees it. The service gets only admitted requests, with the
//! verified body as [`VerifiedBody`], and finds the [`VerifiedDelivery`](crate::warden::VerifiedDelivery) among the
//! request's extensions. The status of its response settles the delivery: 2xx commits it, and a retry is then
//! answered as a duplicate; anything else releases it, and a retry runs the service again.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use hookwarden::tower::{VerifiedBody, WardenLayer};
//! use hookwarden::warden::VerifiedDelivery;
//! use hookwarden::{IdSource, Keyring, Scheme, Warden};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, service_fn};
//!
//! async fn handle(request: Request<VerifiedBody>) -> Result<Response<String>, Infallible> {
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
//! * This layer knows no router. Path parameters need a framework's own adapter: [`axum`](crate::axum) or
//!   [`actix`](crate::actix). Here take the webhook id from a
//!   [path segment](crate::IdSource::path_segment), a [header](crate::IdSource::header) or a
//!   [closure](crate::IdSource::closure); with [`IdSource::path_parameter`](crate::IdSource::path_parameter), which is the
//!   default, every request is answered 500.
//! * The server puts the address of the connection into the request's extensions as [`PeerAddress`]. Without it refused
//!   requests can't be limited for each peer.

mod guard;
mod response_body;

use std::future::Future;
use std::mem;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response, Uri};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::request_context::{Framework, peer_address};
use crate::warden::{IdFault, Warden, WebhookId};

pub use self::response_body::GuardedBody;
pub use crate::body::VerifiedBody;
pub use crate::request_context::PeerAddress;

pub(crate) use guard::guard;

/// Guards the service that it wraps by a [`Warden`]. On axum use [`axum::WardenLayer`](crate::axum::WardenLayer).
///
/// ```
/// # use hookwarden::{ConfigError, IdSource, Keyring, Scheme, Warden};
/// use hookwarden::tower::{WardenLayer, WardenService};
/// use tower::Layer as _;
///
/// fn guarded<S>(service: S, keys: Keyring) -> Result<WardenService<S>, ConfigError> {
///     let warden = Warden::builder(Scheme::timestamped())
///         .sender("acme", keys)
///         .webhook_id(IdSource::fixed("acme")) // every request is from the one sender
///         .build()?;
///     Ok(WardenLayer::new(warden).layer(service))
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

impl<S, B, R> Service<Request<B>> for WardenService<S>
where
    S: Service<Request<VerifiedBody>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled to readiness answers this request; its clone waits for the next.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let warden = self.warden.clone();
        Box::pin(guard::<Bare, _, _, _, _>(
            warden,
            inner,
            request,
            |_, _, parts, body| Request::from_parts(parts, body),
            |answer| match answer {
                Ok(response) => response.map(GuardedBody::of_service),
                Err(refusal) => refusal.into_response().map(GuardedBody::of_refusal),
            },
        ))
    }
}

/// A server without a framework: the connection's address is known, path parameters are not.
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

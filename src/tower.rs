//! A tower layer that guards any HTTP service: axum, tonic's router, bare hyper.
//!
//! The handlers behind it stay as they are. They see only requests that were admitted, with the body that was verified,
//! and find the [`VerifiedDelivery`](crate::warden::VerifiedDelivery) among the request's extensions. A 2xx answer commits the delivery.
//!
//! ```
//! use hookwarden::tower::WardenLayer;
//! use hookwarden::{IdSource, Keyring, Scheme, Warden};
//! use tower::ServiceBuilder;
//!
//! # #[derive(Clone)]
//! # struct Unchanged;
//! # let handler = Unchanged;
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let warden = Warden::builder(scheme).sender("acme", keys).webhook_id(IdSource::path_segment(1)).build()?;
//! let service = ServiceBuilder::new().layer(WardenLayer::new(warden)).service(handler);
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```

mod response_body;

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::body;
use crate::request_context::{SentHead, origin};
use crate::warden::Warden;
use crate::warden::answer::insert_quota_state;

pub use self::response_body::GuardedBody;
pub use crate::body::VerifiedBody;
pub use crate::request_context::PeerAddress;

/// Guards the service that it wraps by a [`Warden`].
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
    R: Send,
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
        let mut inner = mem::replace(&mut self.inner, clone);
        let warden = self.warden.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let origin = origin(&warden, &mut parts).await;
            let (admitted, body) = match body::receive(&warden, &SentHead(&parts), origin, body).await {
                Ok(received) => received,
                Err(refused) => return Ok(refused.into_answer().into_response().map(GuardedBody::of_refusal)),
            };
            parts.extensions.insert(admitted.delivery().clone());
            #[cfg(feature = "axum")]
            parts.extensions.insert(crate::webhook::Verdict { facts: admitted.delivery().clone(), body: body.clone() });
            #[cfg_attr(not(feature = "axum"), expect(unused_mut, reason = "only axum has a limit to lift"))]
            let mut request = Request::from_parts(parts, body);
            // The Warden's cap has been kept to already; axum's own would only refuse what was admitted.
            #[cfg(feature = "axum")]
            axum::extract::DefaultBodyLimit::disable().apply(&mut request);
            let mut response = inner.call(request).await?;
            if let Some((quota, quota_state)) = admitted.quota_state() {
                insert_quota_state(response.headers_mut(), quota, quota_state);
            }
            admitted.settle_by_status(response.status()).await;
            Ok(response.map(GuardedBody::of_service))
        })
    }
}

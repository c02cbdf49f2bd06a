//! Response headers and the policy for plain HTTP.

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::request::Axum;
use crate::harden::{Harden, ResponseFuture, pass};
use crate::tower::GuardedBody;

/// [`harden::HardenLayer`](crate::harden::HardenLayer) for axum: it also reads the peer from axum's `ConnectInfo` or
/// `MockConnectInfo`, and the path as sent, before a nested router shortens it. Put it outside the
/// [`WardenLayer`](super::WardenLayer).
///
/// ```
/// use axum::Router;
/// use hookwarden::axum::HardenLayer;
///
/// let app: Router = Router::new().layer(HardenLayer::default());
/// ```
#[derive(Debug, Clone, Default)]
pub struct HardenLayer {
    harden: Harden,
}

impl HardenLayer {
    /// Creates a layer with these settings. [`HardenLayer::default`] has the defaults.
    #[must_use]
    pub const fn new(harden: Harden) -> Self {
        Self { harden }
    }
}

impl<S> Layer<S> for HardenLayer {
    type Service = HardenService<S>;

    fn layer(&self, inner: S) -> HardenService<S> {
        HardenService { inner, harden: self.harden.clone() }
    }
}

/// A service behind a [`HardenLayer`].
#[derive(Debug, Clone)]
pub struct HardenService<S> {
    inner: S,
    harden: Harden,
}

impl<S, B, R> Service<Request<B>> for HardenService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    B: Body,
    R: Send,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<Self::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        pass::<Axum, _, _, _>(&self.harden, &mut self.inner, request)
    }
}

//! The tower layer.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, LOCATION};
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::Full;
use tower_layer::Layer;
use tower_service::Service;

use super::Harden;
use super::plain_http::{Arriving, Passage, TlsConnection};
use crate::headers::Head;
use crate::request_context::{Framework, SentHead};
use crate::tower::{Bare, GuardedBody};

/// Adds headers to the responses of the wrapped service, and refuses plain HTTP. Put it outside the
/// [`WardenLayer`](crate::tower::WardenLayer), so that refusals have the headers too. On axum use
/// [`axum::HardenLayer`](crate::axum::HardenLayer).
///
/// ```
/// use std::convert::Infallible;
///
/// use hookwarden::harden::HardenLayer;
/// use hookwarden::tower::{ReceivedBody, WardenLayer};
/// use hookwarden::{IdSource, Keyring, Scheme, Warden};
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, service_fn};
///
/// async fn handle(_: Request<ReceivedBody>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("handled".to_owned()))
/// }
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys).webhook_id(IdSource::path_segment(1)).build()?;
/// let service = ServiceBuilder::new()
///     .layer(HardenLayer::default()) // the first layer is the outermost
///     .layer(WardenLayer::new(warden))
///     .service(service_fn(handle));
/// # Ok::<(), hookwarden::ConfigError>(())
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
        pass::<Bare, _, _, _>(&self.harden, &mut self.inner, request)
    }
}

/// Passes a request to `inner`, unless the policy for plain HTTP refuses or redirects it.
pub(crate) fn pass<F, S, B, R>(
    harden: &Harden,
    inner: &mut S,
    request: Request<B>,
) -> ResponseFuture<Response<GuardedBody<R>>, S::Error>
where
    F: Framework,
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    B: Body,
    R: Send,
{
    let harden = harden.clone();
    let (parts, body) = request.into_parts();
    match harden.policy().check(&SentHead::<F>::new(&parts)) {
        Passage::Through { is_encrypted } => {
            let answering = inner.call(Request::from_parts(parts, body));
            Box::pin(async move {
                let mut response = answering.await?.map(GuardedBody::of_service);
                harden.headers().complete(response.headers_mut(), is_encrypted);
                Ok(response)
            })
        }
        passage => {
            let mut response = refusal(&harden, passage);
            // On HTTP/1 the next request follows this body. The body was not read, so the connection must close.
            if parts.version < Version::HTTP_2 && !body.is_end_stream() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Box::pin(async move { Ok(response.map(GuardedBody::of_refusal)) })
        }
    }
}

pub(crate) type ResponseFuture<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

fn refusal(harden: &Harden, passage: Passage) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let location = if let Passage::Redirected(address) = passage { HeaderValue::try_from(address).ok() } else { None };
    *response.status_mut() = match location {
        Some(address) => {
            response.headers_mut().insert(LOCATION, address);
            StatusCode::PERMANENT_REDIRECT
        }
        None => StatusCode::FORBIDDEN,
    };
    harden.headers().complete(response.headers_mut(), false);
    response
}

impl<F: Framework> Arriving for SentHead<'_, F> {
    fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    fn path(&self) -> Option<&str> {
        Head::path(self)
    }

    fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        self.parts.headers.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    fn has_header(&self, is: impl Fn(&str) -> bool) -> bool {
        self.parts.headers.keys().any(|name| is(name.as_str()))
    }

    fn address(&self) -> Option<IpAddr> {
        F::connection_address(self.parts)
    }

    fn is_tls(&self) -> bool {
        self.parts.extensions.get::<TlsConnection>().is_some()
    }
}

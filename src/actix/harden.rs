//! Response headers, the policy for plain HTTP, and `security.txt`.

use std::future::{Future, Ready, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderMap, HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, Resource, web};

use crate::harden::{Arriving, Harden, Passage, SecurityTxt, TlsConnection};

/// Adds headers to the responses of an `App`, a scope or a resource, and refuses plain HTTP. Put it outside the
/// [`WardenMiddleware`](super::WardenMiddleware), so that refusals have the headers too. The last `wrap` is the
/// outermost.
///
/// ```
/// use actix_web::{App, web};
/// use hookwarden::Warden;
/// use hookwarden::actix::{HardenMiddleware, WardenMiddleware};
///
/// async fn count(body: web::Bytes) -> String {
///     format!("{} verified bytes", body.len())
/// }
///
/// # fn app(warden: Warden) {
/// let guard = WardenMiddleware::new(warden);
/// let webhooks = web::resource("/webhooks/{id}").wrap(guard).route(web::post().to(count));
/// let app = App::new().wrap(HardenMiddleware::default()).service(webhooks);
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct HardenMiddleware {
    harden: Harden,
}

impl HardenMiddleware {
    /// Creates a middleware with these settings. [`HardenMiddleware::default`] has the defaults.
    #[must_use]
    pub const fn new(harden: Harden) -> Self {
        Self { harden }
    }
}

impl<S, B> Transform<S, ServiceRequest> for HardenMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = HardenService<S>;
    type Future = Ready<Result<HardenService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        let headers = Rc::new(Headers::new(&self.harden));
        ready(Ok(HardenService { inner: Rc::new(inner), harden: self.harden.clone(), headers }))
    }
}

/// A service behind a [`HardenMiddleware`].
#[derive(Debug)]
pub struct HardenService<S> {
    inner: Rc<S>,
    harden: Harden,
    headers: Rc<Headers>,
}

impl<S, B> Service<ServiceRequest> for HardenService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, actix_web::Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (inner, headers) = (Rc::clone(&self.inner), Rc::clone(&self.headers));
        let passage = self.harden.policy().check(request.request());
        Box::pin(async move {
            let Passage::Through { is_encrypted } = passage else {
                // Yield so that the server reads what has arrived of the body. If the body is complete, the connection
                // stays open; otherwise it closes (see `Unread`).
                tokio::task::yield_now().await;
                let (http, payload) = request.into_parts();
                let mut response = refusal(passage);
                response.extensions_mut().insert(payload);
                headers.complete(response.headers_mut(), false);
                return Ok(ServiceResponse::new(http, response.map_into_right_body()));
            };
            match inner.call(request).await {
                Ok(mut response) => {
                    headers.complete(response.headers_mut(), is_encrypted);
                    Ok(response.map_into_left_body())
                }
                // actix-web converts the error into a response outside all middleware.
                Err(error) => {
                    let mut response = error.error_response();
                    headers.complete(response.headers_mut(), is_encrypted);
                    Err(InternalError::from_response(error, response).into())
                }
            }
        })
    }
}

/// The headers in actix-web's types, for responses to plain and to encrypted requests.
#[derive(Debug)]
struct Headers {
    plain: Vec<(HeaderName, HeaderValue)>,
    encrypted: Vec<(HeaderName, HeaderValue)>,
}

impl Headers {
    fn new(harden: &Harden) -> Self {
        let converted = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        };
        let of = |is_encrypted| harden.headers().of(is_encrypted).filter_map(converted).collect();
        Self { plain: of(false), encrypted: of(true) }
    }

    /// Adds the headers that a response lacks.
    fn complete(&self, headers: &mut HeaderMap, is_encrypted: bool) {
        for (name, value) in if is_encrypted { &self.encrypted } else { &self.plain } {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Creates a resource that serves `text` at `/.well-known/security.txt`.
#[must_use]
pub fn security_txt(text: SecurityTxt) -> Resource {
    web::resource(SecurityTxt::PATH).to(move |request: HttpRequest| {
        let (status, text) = text.answer(request.method().as_str());
        let mut response = HttpResponse::build(status_of(status));
        if status == http::StatusCode::METHOD_NOT_ALLOWED {
            response.insert_header((ALLOW, SecurityTxt::METHODS));
        }
        ready(match text {
            Some(text) => response.content_type(SecurityTxt::CONTENT_TYPE).body(text),
            None => response.finish(),
        })
    })
}

fn refusal(passage: Passage) -> HttpResponse {
    match passage {
        Passage::Redirected(address) => HttpResponse::PermanentRedirect().insert_header((LOCATION, address)).finish(),
        _ => HttpResponse::Forbidden().finish(),
    }
}

fn status_of(status: http::StatusCode) -> StatusCode {
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Arriving for HttpRequest {
    fn method(&self) -> &str {
        self.method().as_str()
    }

    fn path(&self) -> Option<&str> {
        self.uri().path_and_query().map(|path| path.as_str())
    }

    fn values<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        self.headers().get_all(name).map(HeaderValue::as_bytes)
    }

    fn has_header(&self, is: impl Fn(&str) -> bool) -> bool {
        self.headers().keys().any(|name| is(name.as_str()))
    }

    fn address(&self) -> Option<IpAddr> {
        self.peer_addr().map(|address| address.ip())
    }

    fn is_tls(&self) -> bool {
        self.app_config().secure() || self.extensions().get::<TlsConnection>().is_some()
    }
}

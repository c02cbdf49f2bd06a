//! actix-web: [`WardenMiddleware`] for a resource, the extractor [`Webhook`], and [`SignedGuard`] for routing.
//!
//! ```
//! use actix_web::{App, web};
//! use hookwarden::actix::{WardenMiddleware, Webhook};
//! use hookwarden::{Keyring, Scheme, Warden};
//!
//! async fn order(webhook: Webhook<web::Bytes>) -> String {
//!     format!("{} bytes of {}", webhook.payload.len(), webhook.facts().webhook_id())
//! }
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let warden = Warden::builder(scheme).sender("acme", keys).build()?;
//! let app = App::new().service(
//!     web::resource("/webhooks/{id}").wrap(WardenMiddleware::new(warden)).route(web::post().to(order)),
//! );
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! * Wrap the resource: around a whole `App` there are no path parameters yet.
//! * actix-web limits extractors by itself, `Bytes` and `String` to 256 KiB, `Json<T>` to 2 MiB. A body that the Warden
//!   admits but the extractor refuses is answered 413 and not committed; raise `PayloadConfig` or `JsonConfig`.
//! * actix-web answers `Expect: 100-continue` before any middleware runs, whatever the head is worth, and reads up to 32 KiB
//!   of a body ahead by itself. The Warden polls nothing of it before the head has passed.
//! * After a refusal a connection goes on if all of the body has arrived; otherwise actix-web closes it, a second after the
//!   answer by default (`HttpServer::client_disconnect_timeout`).
//! * actix-web lets a handler finish whose client has left, and then its status counts: the sender's retry is told that the
//!   delivery is in progress, and after a 2xx or 3xx that it was handled. hyper drops such a handler.
//! * A head of more than 128 KiB is answered 431 by actix-web itself, and raises no event.
//! * A scheme that signs the path is judged by the one that a middleware like `NormalizePath` leaves, where one stands
//!   before the Warden's.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::PayloadError;
use actix_web::guard::{Guard, GuardContext};
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use percent_encoding::percent_decode_str;

use crate::error::Reason;
use crate::head::{FieldName, Head, Occurrence};
use crate::intake::{self, VerifiedBody};
use crate::origin::Origin;
use crate::respond::{Answer, insert_standing};
use crate::warden::{Admitted, Facts, IdFault, Warden, WebhookId};

/// Guards a resource by a [`Warden`]. The handlers behind it stay as they are; a 2xx or 3xx answer of theirs says that the
/// work is done. What is proven of the request is among its extensions, as [`Facts`].
#[derive(Debug, Clone)]
pub struct WardenMiddleware {
    warden: Warden,
}

impl WardenMiddleware {
    /// A middleware that asks `warden` about every request.
    #[must_use]
    pub const fn new(warden: Warden) -> Self {
        Self { warden }
    }
}

impl<S, B> Transform<S, ServiceRequest> for WardenMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = WardenService<S>;
    type Future = Ready<Result<WardenService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(WardenService { inner: Rc::new(inner), warden: self.warden.clone() }))
    }
}

/// A service behind a [`WardenMiddleware`].
#[derive(Debug)]
pub struct WardenService<S> {
    inner: Rc<S>,
    warden: Warden,
}

impl<S, B> Service<ServiceRequest> for WardenService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, actix_web::Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (inner, warden) = (Rc::clone(&self.inner), self.warden.clone());
        Box::pin(async move {
            let (http, payload) = request.into_parts();
            let (admitted, body) = match receive(&warden, &http, payload).await {
                Ok(received) => received,
                Err(unread) => return Ok(ServiceResponse::new(http, unread.into_response().map_into_right_body())),
            };
            http.extensions_mut().insert(admitted.facts().clone());
            http.extensions_mut().insert(Verdict { facts: admitted.facts().clone(), body: body.clone() });
            let mut response = inner.call(ServiceRequest::from_parts(http, payload_of(body))).await?;
            if let Some((quota, standing)) = admitted.standing() {
                let mut headers = http::HeaderMap::new();
                insert_standing(&mut headers, quota, standing);
                copy_headers(&headers, response.headers_mut());
            }
            // Trouble of a shared store is told to the observers; the answer is the handler's either way.
            let _ = if response.status().is_success() || response.status().is_redirection() {
                admitted.commit_async().await
            } else {
                admitted.release_async().await
            };
            Ok(response.map_into_left_body())
        })
    }
}

/// A verified webhook: the payload, parsed only after the verdict, and what is proven of it.
///
/// `T` is any of actix-web's extractors of a body: `Bytes`, `String`, `web::Json<Order>`, `web::Form<Order>`.
///
/// Behind a [`WardenMiddleware`] the handler's status tells whether the work was done. Without it the extractor verifies
/// by the [`Warden`] in the application's data (`app_data(warden)` or `app_data(web::Data::new(warden))`); then nobody
/// sees the status, and the handler calls [`commit`](Self::commit) when its work is done. With neither, the answer is
/// 500 and the log says why.
#[derive(Debug)]
pub struct Webhook<T> {
    /// The payload.
    pub payload: T,
    facts: Facts,
    /// The handler's to settle, unless a middleware does it.
    admitted: Option<Box<Admitted>>,
}

impl<T> Webhook<T> {
    /// What is proven of the request: the webhook id, the key, the timestamp.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Says that the work is done, and hands over the payload. Without it, and without a middleware, the delivery counts as
    /// not handled, and the sender's retry is handled again. A shared store is told in the background.
    pub fn commit(self) -> T {
        if let Some(admitted) = self.admitted {
            admitted.commit();
        }
        self.payload
    }
}

impl<T: FromRequest> FromRequest for Webhook<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let verdict = request.extensions_mut().remove::<Verdict>();
            let (facts, admitted, body) = match verdict {
                Some(verdict) => (verdict.facts, None, verdict.body),
                None => {
                    let warden = request
                        .app_data::<Warden>()
                        .or_else(|| request.app_data::<web::Data<Warden>>().map(|data| &***data));
                    let Some(warden) = warden else {
                        tracing::error!(
                            "Webhook<T> was asked for without a WardenMiddleware and without a Warden in the application's data"
                        );
                        return Err(actix_web::error::InternalError::from_response(
                            "no Warden",
                            HttpResponse::InternalServerError().finish(),
                        )
                        .into());
                    };
                    let (admitted, body) = receive(warden, &request, payload).await?;
                    (admitted.facts().clone(), Some(Box::new(admitted)), body)
                }
            };
            let payload = T::from_request(&request, &mut payload_of(body)).await.map_err(Into::into)?;
            Ok(Self { payload, facts, admitted })
        })
    }
}

/// Matches requests whose head has the shape of a signed one and a fresh timestamp, for routing between handlers.
///
/// It proves nothing: no key is looked at and no body read. It answers nothing by itself, so requests that it does not
/// match get whatever the router gives them, and no event is raised for them.
#[derive(Debug, Clone)]
pub struct SignedGuard {
    warden: Warden,
}

impl SignedGuard {
    /// A guard by the scheme and the tolerance of `warden`.
    #[must_use]
    pub const fn new(warden: Warden) -> Self {
        Self { warden }
    }
}

impl Guard for SignedGuard {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        let head = context.head();
        let path = head.uri.path_and_query().map(|path| path.as_str());
        self.warden.has_fresh_shape(&ActixHead { headers: &head.headers, method: head.method.as_str(), path })
    }
}

async fn receive(warden: &Warden, request: &HttpRequest, payload: Payload) -> Result<(Admitted, VerifiedBody), Unread> {
    let path = request.uri().path_and_query().map(|path| path.as_str());
    let head = ActixHead { headers: request.headers(), method: request.method().as_str(), path };
    let origin = Origin { id: path_parameter(warden, request), peer: peer(warden, request) };
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut body = ActixBody { payload, length: length.unwrap_or(0) };
    match intake::receive(warden, &head, origin, &mut body).await {
        Ok(received) => Ok(received),
        Err(refused) => {
            // The server takes in what has arrived of the body; if that is all of it, the connection is of further use. After
            // a broken body the server gives the connection up at its next turn, and the answer has to be out by then.
            if refused.reason() != Reason::BodyInterrupted {
                tokio::task::yield_now().await;
            }
            Err(Unread { answer: refused.into_answer(), payload: Cell::new(Some(body.payload)) })
        }
    }
}

/// The answer to a refused request, with what was not read of its body.
///
/// actix-web reads and discards the rest of a chunked body whose payload was dropped, for as long as the sender likes. Of
/// one that is still held when the answer leaves it closes the connection. So the payload goes with the answer.
struct Unread {
    answer: Answer,
    payload: Cell<Option<Payload>>,
}

impl Unread {
    fn into_response(self) -> HttpResponse {
        self.error_response()
    }
}

impl ResponseError for Unread {
    fn error_response(&self) -> HttpResponse {
        let mut response = http_response(self.answer.clone());
        if let Some(payload) = self.payload.take() {
            response.extensions_mut().insert(payload);
        }
        response
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unread").field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("webhook refused")
    }
}

/// The webhook id, if the Warden looks for it in a path parameter. actix-web has decoded all of it but what would change
/// the path's shape, and a `%` is among that, so that decoding the rest decodes nothing twice.
fn path_parameter(warden: &Warden, request: &HttpRequest) -> Option<Result<WebhookId, IdFault>> {
    let value = request.match_info().get(warden.id_source().parameter()?);
    Some(value.ok_or(IdFault::NoSuchParameter).and_then(|value| {
        // actix-web puts U+FFFD in the place of what is no UTF-8; the path as sent tells whether the sender wrote it.
        if value.contains('\u{fffd}') && percent_decode_str(request.uri().path()).decode_utf8().is_err() {
            return Err(IdFault::Unreadable);
        }
        percent_decode_str(value).decode_utf8().map(|id| WebhookId::from(&*id)).map_err(|_| IdFault::Unreadable)
    }))
}

fn peer(warden: &Warden, request: &HttpRequest) -> Option<IpAddr> {
    let client = warden
        .trusted_hops()
        .and_then(|hops| hops.client(request.headers().get_all(hops.header_name()).map(HeaderValue::as_bytes)));
    client.or_else(|| request.peer_addr().map(|address| address.ip()))
}

struct ActixHead<'r> {
    headers: &'r HeaderMap,
    method: &'r str,
    path: Option<&'r str>,
}

impl Head for ActixHead<'_> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        Occurrence::from_values(self.headers.get_all(name.as_str()).map(HeaderValue::as_bytes))
    }

    fn method(&self) -> Option<&str> {
        Some(self.method)
    }

    fn path(&self) -> Option<&str> {
        self.path
    }
}

/// actix-web's payload as a body, with the length that its head announced.
struct ActixBody {
    payload: Payload,
    length: u64,
}

impl Body for ActixBody {
    type Data = Bytes;
    type Error = PayloadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, PayloadError>>> {
        Pin::new(&mut self.payload).poll_next(cx).map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.length);
        hint
    }
}

fn payload_of(body: VerifiedBody) -> Payload {
    Payload::Stream { payload: Box::pin(Chunks(body)) }
}

struct Chunks(VerifiedBody);

impl Stream for Chunks {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next_chunk().map(Ok))
    }
}

/// What the middleware leaves for an extractor, so that nothing between the two can have changed the body.
#[derive(Clone)]
struct Verdict {
    facts: Facts,
    body: VerifiedBody,
}

/// actix-web has the types of an older `http`; only their texts cross over.
fn http_response(answer: Answer) -> HttpResponse {
    let (status, headers, body) = answer.into_parts();
    let status = actix_web::http::StatusCode::from_u16(status.as_u16());
    let mut response =
        HttpResponse::build(status.unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR)).body(body);
    copy_headers(&headers, response.headers_mut());
    response.map_into_boxed_body()
}

fn copy_headers(from: &http::HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_str().as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            to.insert(name, value);
        }
    }
}

//! Adapts actix-web's requests and responses to the Warden.

use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::dev::{Payload, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{StatusCode, Uri};
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError};
use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use percent_encoding::percent_decode_str;

use crate::body::{self, VerifiedBody};
use crate::headers::{FieldName, Head, Occurrence};
use crate::request_context::RequestContext;
use crate::warden::answer::Answer;
use crate::warden::quota_fields::{self, QuotaFields};
use crate::warden::{Admitted, IdFault, Warden, WebhookId};

/// Verifies a request. A refusal holds the unread rest of the body.
pub(super) async fn receive(
    warden: &Warden,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(Box<Admitted>, VerifiedBody), Unread> {
    let (head, context, mut body) = parts_of(warden, request, payload);
    match body::receive(warden, &head, context, Pin::new(&mut body)).await {
        Ok(received) => Ok(received),
        Err(unhandled) => {
            // Yield so that the server reads what has arrived of the body: if that is all of it, the connection can be
            // reused. After a broken body the server closes the connection at its next poll, so answer without
            // yielding.
            if !unhandled.is_broken_off() {
                tokio::task::yield_now().await;
            }
            Err(Unread { answer: unhandled.into_answer(), payload: Cell::new(Some(body.payload)) })
        }
    }
}

/// Returns the head, the context and the body of a request.
pub(super) fn parts_of<'r>(
    warden: &Warden,
    request: &'r HttpRequest,
    payload: Payload,
) -> (ActixHead<'r>, RequestContext, ActixBody) {
    let uri = request.uri();
    let path = uri.path_and_query().map(|path| path.as_str());
    let head = ActixHead { headers: request.headers(), method: request.method().as_str(), path, uri };
    let context = RequestContext { id: path_parameter(warden, request), peer: peer(warden, request), passes_on: false };
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    (head, context, ActixBody { payload, length: length.unwrap_or(0) })
}

/// The answer to a refused request, with the unread rest of its body.
///
/// If the payload of a chunked body is dropped, actix-web reads and discards the rest of the body for as long as the
/// sender sends. If the payload still exists when the answer is sent, actix-web closes the connection. So the answer
/// holds the payload.
pub(super) struct Unread {
    pub(super) answer: Answer,
    pub(super) payload: Cell<Option<Payload>>,
}

impl Unread {
    pub(super) fn into_response(self) -> HttpResponse {
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

/// Returns the webhook id if the Warden takes it from a path parameter. actix-web decodes the parameter, except for
/// characters that would change the structure of the path. `%` is one of them, so decoding the rest here decodes
/// nothing twice.
fn path_parameter(warden: &Warden, request: &HttpRequest) -> Option<Result<WebhookId, IdFault>> {
    let parameter = warden.id_source().parameter()?;
    let missing = || {
        parameter.missing(|name, count| {
            tracing::error!(
                target: "hookwarden::actix",
                count,
                "the route has no `{{{name}}}` parameter: set `webhook_id(IdSource::…)` or rename the parameter, and \
                 wrap the resource, not the whole App"
            );
        })
    };
    Some(request.match_info().get(parameter.name()).ok_or_else(missing).and_then(|value| {
        // actix-web replaces invalid UTF-8 with U+FFFD. The path as sent shows whether the sender wrote U+FFFD itself.
        if value.contains('\u{fffd}') && percent_decode_str(request.uri().path()).decode_utf8().is_err() {
            return Err(IdFault::Unreadable);
        }
        percent_decode_str(value).decode_utf8().map(|id| WebhookId::from(&*id)).map_err(|_| IdFault::Unreadable)
    }))
}

fn peer(warden: &Warden, request: &HttpRequest) -> Option<IpAddr> {
    let connection = request.peer_addr().map(|address| address.ip());
    warden.proxies().client(connection, |name| request.headers().get_all(name).map(HeaderValue::as_bytes))
}

pub(super) struct ActixHead<'r> {
    pub(super) headers: &'r HeaderMap,
    pub(super) method: &'r str,
    pub(super) path: Option<&'r str>,
    pub(super) uri: &'r Uri,
}

impl Head for ActixHead<'_> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        Occurrence::from_values(self.headers.get_all(name.as_str()).map(HeaderValue::as_bytes))
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        self.headers.get_all(name.as_str()).nth(index).map(HeaderValue::as_bytes)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.headers.iter().for_each(|(name, value)| each(name.as_str(), value.as_bytes()));
    }

    fn method(&self) -> Option<&str> {
        Some(self.method)
    }

    fn path(&self) -> Option<&str> {
        self.path
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(|authority| authority.as_str())
    }
}

/// actix-web's payload as a body, with the announced length.
pub(super) struct ActixBody {
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

pub(super) fn payload_of(body: VerifiedBody) -> Payload {
    Payload::Stream { payload: Box::pin(Chunks(body)) }
}

struct Chunks(VerifiedBody);

impl Stream for Chunks {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next_chunk().map(Ok))
    }
}

pub(super) fn insert_quota_fields(headers: &mut HeaderMap, fields: &QuotaFields) {
    const NAMES: [HeaderName; 2] =
        [HeaderName::from_static(quota_fields::NAMES[0]), HeaderName::from_static(quota_fields::NAMES[1])];
    for (name, (_, value)) in NAMES.into_iter().zip(fields) {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(name, value);
        }
    }
}

/// Converts an answer. Copies the status and the headers as numbers and text, because actix-web uses an older `http`
/// crate.
pub(super) fn http_response(answer: Answer) -> HttpResponse {
    let (status, headers, body) = answer.into_parts();
    let status = StatusCode::from_u16(status.as_u16());
    let mut response = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)).body(body);
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

/// Returns the status of the handler's answer. actix-web converts an error into a response outside all middleware.
pub(super) fn status_of<B>(returned: &Result<ServiceResponse<B>, Error>) -> StatusCode {
    match returned {
        Ok(response) => response.status(),
        Err(error) => error.error_response().status(),
    }
}

/// Converts actix-web's status into the type of the current `http` crate.
pub(super) fn http_status(status: StatusCode) -> http::StatusCode {
    http::StatusCode::from_u16(status.as_u16()).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR)
}

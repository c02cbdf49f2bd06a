//! The extractors.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse, web};

use super::request::{Unread, payload_of, receive};
use crate::occurrences::Occurrences;
use crate::warden::answer::AnswerWriter;
use crate::warden::{ReportedVerdict, VerifiedDelivery, Warden};
use crate::webhook::{UncommittedWebhook, VerifiedRequest, Webhook, check_enforces, reported};

impl<T: FromRequest> FromRequest for Webhook<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let verified = request.extensions_mut().remove::<VerifiedRequest>();
            let Some(VerifiedRequest { delivery, body, answer_writer }) = verified else {
                let verdict = request.extensions().get::<ReportedVerdict>().and_then(reported);
                if let Some(answer) = verdict.as_ref().and_then(ReportedVerdict::answer) {
                    return Err(Unread { answer: answer.clone(), payload: Cell::new(Some(payload)) }.into());
                }
                static MISSING: Occurrences = Occurrences::new();
                if let Some(count) = MISSING.count_to_log() {
                    tracing::error!(
                        target: "hookwarden::actix",
                        count,
                        "Webhook<T> was extracted without a WardenMiddleware: wrap the resource in \
                         hookwarden::actix::WardenMiddleware, or take UncommittedWebhook<T> and put the Warden into \
                         the application's data"
                    );
                }
                return Err(misconfigured(payload));
            };
            match T::from_request(&request, &mut payload_of(body)).await {
                Ok(payload) => Ok(Self::new(payload, delivery)),
                Err(error) => Err(rejected(error.into(), answer_writer.as_ref())),
            }
        })
    }
}

impl<T: FromRequest> FromRequest for UncommittedWebhook<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let is_guarded = request.extensions().contains::<VerifiedDelivery>();
            if is_guarded || request.extensions().contains::<ReportedVerdict>() {
                static GUARDED: Occurrences = Occurrences::new();
                if let Some(count) = GUARDED.count_to_log() {
                    tracing::error!(
                        target: "hookwarden::actix",
                        count,
                        "UncommittedWebhook<T> was extracted behind a WardenMiddleware, which has claimed the \
                         delivery: take Webhook<T>, or remove the middleware"
                    );
                }
                return Err(misconfigured(payload));
            }
            let Some(warden) = warden_of(&request) else {
                static MISSING: Occurrences = Occurrences::new();
                if let Some(count) = MISSING.count_to_log() {
                    tracing::error!(
                        target: "hookwarden::actix",
                        count,
                        "UncommittedWebhook<T> found no Warden in the application's data: add `app_data(warden)`, or \
                         wrap the resource in hookwarden::actix::WardenMiddleware and take Webhook<T>"
                    );
                }
                return Err(misconfigured(payload));
            };
            check_enforces(warden);
            let (admitted, body) = receive(warden, &request, payload).await?;
            match T::from_request(&request, &mut payload_of(body)).await {
                Ok(payload) => Ok(Self::new(payload, *admitted)),
                Err(error) => Err(rejected(error.into(), warden.answer_writer())),
            }
        })
    }
}

fn warden_of(request: &HttpRequest) -> Option<&Warden> {
    request.app_data::<Warden>().or_else(|| request.app_data::<web::Data<Warden>>().map(|data| &***data))
}

/// Returns a 500 with the unread payload: actix-web then closes the connection instead of reading the rest (see
/// `Unread`).
fn misconfigured(payload: Payload) -> Error {
    let mut response = HttpResponse::InternalServerError().finish();
    response.extensions_mut().insert(payload);
    InternalError::from_response("misconfigured route", response).into()
}

/// Returns the rejection of the payload's extractor, with the application's own body if it writes one.
fn rejected(error: Error, writer: Option<&AnswerWriter>) -> Error {
    let status = http::StatusCode::from_u16(error.as_response_error().status_code().as_u16());
    let Some(body) = writer.zip(status.ok()).and_then(|(writer, status)| writer.write_for_payload(status)) else {
        return error;
    };
    let (content_type, bytes) = body.into_parts();
    let mut response = error.error_response().set_body(bytes).map_into_boxed_body();
    if let Ok(content_type) = HeaderValue::from_bytes(content_type.as_bytes()) {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    InternalError::from_response(error, response).into()
}

//! The extractors.

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::request::{Axum, request_of};
use crate::body::Unhandled;
use crate::occurrences::Occurrences;
use crate::request_context::context_of;
use crate::tower::receive;
use crate::warden::answer::{Answer, AnswerWriter};
use crate::warden::{Refused, ReportedVerdict, VerifiedDelivery, Warden};
use crate::webhook::{UncommittedWebhook, VerifiedRequest, Webhook, check_enforces, reported};

impl<T, S> FromRequest<S> for Webhook<T>
where
    T: FromRequest<S>,
    S: Send + Sync,
{
    type Rejection = WebhookRejection<T::Rejection>;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let Some(verified) = request.extensions_mut().remove::<VerifiedRequest>() else {
            if let Some(verdict) = request.extensions().get().and_then(reported) {
                return Err(WebhookRejection::Reported(verdict));
            }
            static MISSING: Occurrences = Occurrences::new();
            if let Some(count) = MISSING.count_to_log() {
                tracing::error!(
                    target: "hookwarden::axum",
                    count,
                    "Webhook<T> was extracted on a route without a WardenLayer: put hookwarden::axum::WardenLayer on \
                     the route, or take UncommittedWebhook<T> and keep the Warden in the router's state"
                );
            }
            return Err(WebhookRejection::Misconfigured);
        };
        let VerifiedRequest { delivery, body, answer_writer } = verified;
        let (parts, _) = request.into_parts();
        match T::from_request(request_of(parts, body), state).await {
            Ok(payload) => Ok(Self::new(payload, delivery)),
            Err(rejection) => Err(WebhookRejection::Payload(PayloadRejection { rejection, answer_writer })),
        }
    }
}

impl<T, S> FromRequest<S> for UncommittedWebhook<T>
where
    T: FromRequest<S>,
    S: WardenState + Send + Sync,
{
    type Rejection = WebhookRejection<T::Rejection>;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let (mut parts, body) = request.into_parts();
        let is_guarded = parts.extensions.get::<VerifiedDelivery>().is_some();
        if is_guarded || parts.extensions.get::<ReportedVerdict>().is_some() {
            static GUARDED: Occurrences = Occurrences::new();
            if let Some(count) = GUARDED.count_to_log() {
                tracing::error!(
                    target: "hookwarden::axum",
                    count,
                    "UncommittedWebhook<T> was extracted behind a WardenLayer, which has claimed the delivery: take \
                     Webhook<T>, or remove the layer"
                );
            }
            return Err(WebhookRejection::Misconfigured);
        }
        let warden = state.warden();
        check_enforces(&warden);
        let context = context_of::<Axum>(&warden, &mut parts).await;
        let (admitted, body) = receive::<Axum, _>(&warden, &parts, context, body).await?;
        match T::from_request(request_of(parts, body), state).await {
            Ok(payload) => Ok(Self::new(payload, *admitted)),
            Err(rejection) => {
                let answer_writer = warden.answer_writer().cloned();
                Err(WebhookRejection::Payload(PayloadRejection { rejection, answer_writer }))
            }
        }
    }
}

/// A router's state that holds the [`Warden`] of [`UncommittedWebhook`]: the state is a `Warden`, or `Warden`
/// implements [`FromRef`] for it.
///
/// For a handler that takes `UncommittedWebhook` on a router with another state, the compiler reports at `post(order)`
/// that "the trait bound … `Handler<_, _>` is not satisfied". Implement `FromRef` as below, or use `Webhook` behind a
/// `WardenLayer`:
///
/// ```
/// use axum::extract::FromRef;
/// use hookwarden::Warden;
///
/// #[derive(Clone)]
/// struct AppState {
///     warden: Warden,
/// }
///
/// impl FromRef<AppState> for Warden {
///     fn from_ref(state: &AppState) -> Self {
///         state.warden.clone()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`UncommittedWebhook` needs a `Warden` in the router's state, and `{Self}` holds none",
    label = "this state holds no `Warden`",
    note = "implement `FromRef<{Self}>` for `Warden`: return a clone of the Warden in the state",
    note = "or take `Webhook` in the handler and put `hookwarden::axum::WardenLayer` on the route"
)]
pub trait WardenState {
    /// Returns the Warden.
    fn warden(&self) -> Warden;
}

// Otherwise the compiler's error names only `FromRef`.
#[diagnostic::do_not_recommend]
impl<S> WardenState for S
where
    Warden: FromRef<S>,
{
    fn warden(&self) -> Warden {
        Warden::from_ref(self)
    }
}

/// Why a [`Webhook`] or an [`UncommittedWebhook`] could not be extracted.
///
/// By default axum answers with the rejection. Take a `Result` in the handler to answer differently:
///
/// ```
/// use axum::extract::rejection::JsonRejection;
/// use axum::response::{IntoResponse as _, Response};
/// use axum::{Json, http::StatusCode};
/// use hookwarden::axum::{Webhook, WebhookRejection};
///
/// type Order = Json<serde_json::Value>;
///
/// async fn order(webhook: Result<Webhook<Order>, WebhookRejection<JsonRejection>>) -> Response {
///     match webhook {
///         Ok(webhook) => format!("order {}", webhook.payload["id"]).into_response(),
///         // Verified, but not JSON. 422 releases the delivery, like any status but 2xx.
///         Err(WebhookRejection::Payload(_)) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
///         Err(rejection) => rejection.into_response(),
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WebhookRejection<R> {
    /// The Warden refused the request. Only [`UncommittedWebhook`] returns this: with [`Webhook`], the layer answers.
    Refused(Refused),
    /// The request was a [handshake](crate::handshake), with its answer. Only [`UncommittedWebhook`] returns this.
    Handshake(Answer),
    /// The layer's Warden only reports, and would have refused the request: [`Webhook`] extracts verified requests only. The
    /// response is that of an enforcing Warden.
    Reported(ReportedVerdict),
    /// The request was admitted, but `T` rejected its payload.
    Payload(PayloadRejection<R>),
    /// The route is misconfigured: [`Webhook`] without a layer, or [`UncommittedWebhook`] behind one. The log names the
    /// fix.
    Misconfigured,
}

/// The rejection of the payload's extractor, such as `JsonRejection`.
///
/// Its response has the rejection's status and headers. It has the rejection's body unless
/// [`answer_body`](crate::warden::WardenBuilder::answer_body) writes another.
#[derive(Debug)]
pub struct PayloadRejection<R> {
    /// The rejection of the payload's extractor.
    pub rejection: R,
    answer_writer: Option<AnswerWriter>,
}

impl<R> From<Unhandled> for WebhookRejection<R> {
    fn from(unhandled: Unhandled) -> Self {
        match unhandled {
            Unhandled::Refused(refused) => Self::Refused(refused),
            Unhandled::Handshake(answer) => Self::Handshake(answer),
        }
    }
}

impl<R: IntoResponse> IntoResponse for WebhookRejection<R> {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refused) => refused.into_answer().into_response(),
            Self::Handshake(answer) => answer.into_response(),
            Self::Reported(verdict) => match verdict.answer() {
                Some(answer) => answer.clone().into_response(),
                None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            },
            Self::Payload(rejection) => rejection.into_response(),
            Self::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl<R: IntoResponse> IntoResponse for PayloadRejection<R> {
    fn into_response(self) -> Response {
        let mut response = self.rejection.into_response();
        if let Some(body) = self.answer_writer.and_then(|writer| writer.write_for_payload(response.status())) {
            let (content_type, bytes) = body.into_parts();
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            response.headers_mut().remove(CONTENT_LENGTH);
            *response.body_mut() = Body::from(bytes);
        }
        response
    }
}

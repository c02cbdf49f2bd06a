//! axum: the layer of [`tower`](crate::tower), with path parameters, and the extractor [`Webhook`].
//!
//! ```
//! use axum::{Json, Router, routing::post};
//! use hookwarden::axum::{Webhook, WardenLayer};
//! use hookwarden::{Keyring, Scheme, Warden};
//!
//! #[derive(serde::Deserialize)]
//! struct Order { id: u64 }
//!
//! async fn order(webhook: Webhook<Json<Order>>) {
//!     println!("order {} of {}", webhook.payload.id, webhook.delivery().webhook_id());
//! }
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let warden = Warden::builder(scheme).sender("acme", keys).build()?;
//! let app: Router = Router::new().route("/webhooks/{id}", post(order).layer(WardenLayer::new(warden)));
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! * Put the layer on the handler, as above, or on routes by `Router::route_layer`. `Router::layer` wraps the fallback as
//!   well, where there is no path parameter, and a well-formed request to an unknown path is then answered 500.
//! * What is proven of a request is also among its extensions, as [`VerifiedDelivery`](crate::warden::VerifiedDelivery), for handlers whose router has a state of its
//!   own.
//! * hyper keeps a connection whose refused body was small, and closes one with more of it unread.
//! * `axum::serve` gives a head any time to arrive; the Warden's deadline is for what comes behind it. A proxy in front, or
//!   hyper's own server with a timer, closes connections whose head is too slow.
//! * What stands in front of a chunk, like the zeros of `0000…1`, is no part of a body. hyper reads it byte by byte, and looks
//!   at nothing else of the connection as long as more of it is there. A sender that is faster than that (20 to 50 MB/s of one
//!   core in release builds where it was measured) holds the deadline off until hyper has read another 200 MB. With hyper's own server a smaller
//!   `max_buf_size` makes that as much less. actix-web has no such delay.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRef, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::body;
use crate::request_context::{SentHead, origin};
use crate::warden::answer::Answer;
use crate::warden::{Refused, Warden};
use crate::webhook::Verdict;

pub use crate::tower::WardenLayer;
pub use crate::webhook::Webhook;

impl<T, S> FromRequest<S> for Webhook<T>
where
    T: FromRequest<S>,
    StateWarden: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = WebhookRejection<T::Rejection>;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let (mut parts, body) = request.into_parts();
        let (facts, admitted, body) = match parts.extensions.remove::<Verdict>() {
            Some(verdict) => (verdict.facts, None, verdict.body),
            None => {
                let StateWarden(Some(warden)) = StateWarden::from_ref(state) else {
                    tracing::error!(
                        "Webhook<T> was asked for on a route without a WardenLayer and without a Warden in its state"
                    );
                    return Err(WebhookRejection::NoWarden);
                };
                let origin = origin(&warden, &mut parts).await;
                let (admitted, body) =
                    body::receive(&warden, &SentHead(&parts), origin, body).await.map_err(WebhookRejection::Refused)?;
                (admitted.delivery().clone(), Some(Box::new(admitted)), body)
            }
        };
        let mut request = Request::from_parts(parts, Body::new(body));
        // The Warden's cap has been kept to already.
        DefaultBodyLimit::disable().apply(&mut request);
        let payload = T::from_request(request, state).await.map_err(WebhookRejection::Payload)?;
        Ok(Self::new(payload, facts, admitted))
    }
}

/// Why a [`Webhook`] could not be handed over.
#[derive(Debug)]
#[non_exhaustive]
pub enum WebhookRejection<R> {
    /// The Warden refused the request.
    Refused(Refused),
    /// The request was admitted, but its payload is not of the handler's type.
    Payload(R),
    /// There is neither a [`WardenLayer`] on the route nor a [`Warden`] in its state.
    NoWarden,
}

impl<R: IntoResponse> IntoResponse for WebhookRejection<R> {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refused) => refused.into_answer().into_response(),
            Self::Payload(rejection) => rejection.into_response(),
            Self::NoWarden => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        Self::into_response::<Body>(self)
    }
}

/// The Warden that a router's state holds, if it can hold one.
#[derive(Debug)]
pub struct StateWarden(Option<Warden>);

impl<S> FromRef<S> for StateWarden
where
    Warden: FromRef<S>,
{
    fn from_ref(state: &S) -> Self {
        Self(Some(Warden::from_ref(state)))
    }
}

/// A router without a state, where the Warden is in a layer.
impl FromRef<()> for StateWarden {
    fn from_ref((): &()) -> Self {
        Self(None)
    }
}

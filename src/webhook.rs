//! What the extractors return, whatever the framework, and what a layer leaves for them.

use crate::body::VerifiedBody;
use crate::warden::answer::AnswerWriter;
use crate::warden::{Admitted, VerifiedDelivery};

/// A verified webhook behind the adapter's layer or middleware: the payload, and what is proven about it.
///
/// `T` is any of the framework's extractors that read a body: `Bytes`, `String`, `Json<Order>`, `Form<Order>`. The payload
/// is parsed only after the request was verified. The status of the handler's response settles the delivery.
///
/// Without the layer or middleware every request is answered 500, and the log says what to do.
/// [`UncommittedWebhook`] works without one.
///
/// ```
/// use axum::{Json, http::StatusCode};
/// use hookwarden::axum::Webhook;
///
/// #[derive(serde::Deserialize)]
/// struct Order {
///     id: u64,
/// }
///
/// async fn order(webhook: Webhook<Json<Order>>) -> StatusCode {
///     println!("order {} from {}", webhook.payload.id, webhook.delivery().webhook_id());
///     StatusCode::NO_CONTENT // commits the delivery
/// }
/// ```
#[derive(Debug)]
pub struct Webhook<T> {
    /// The payload.
    pub payload: T,
    delivery: VerifiedDelivery,
}

impl<T> Webhook<T> {
    pub(crate) const fn new(payload: T, delivery: VerifiedDelivery) -> Self {
        Self { payload, delivery }
    }

    /// What is proven about the request: the webhook id, the key, the timestamp.
    #[must_use]
    pub const fn delivery(&self) -> &VerifiedDelivery {
        &self.delivery
    }
}

/// A webhook that the extractor itself verified, for routes without the adapter's layer or middleware.
///
/// The Warden doesn't see the status of the handler's response, so the handler settles the delivery: it calls
/// [`Admitted::commit`] when its work is done. Dropping `admitted` releases the delivery, and the sender's retry runs the
/// handler again.
///
/// * On axum the [`Warden`](crate::warden::Warden) comes from the router's state: `Warden: FromRef<S>`.
/// * On actix-web it comes from the application's data: `app_data(warden)` or `app_data(web::Data::new(warden))`. Without it
///   every request is answered 500, and the log says what to do.
///
/// ```
/// use axum::{Json, Router, routing::post};
/// use hookwarden::axum::UncommittedWebhook;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// async fn order(webhook: UncommittedWebhook<Json<serde_json::Value>>) {
///     let (payload, admitted) = webhook.into_parts();
///     println!("{} from {}", payload["type"], admitted.delivery().webhook_id());
///     admitted.commit(); // the work is done
/// }
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys).build()?;
/// let app: Router = Router::new().route("/webhooks/{id}", post(order)).with_state(warden);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
///
/// # A forgotten commit
///
/// The payload comes only together with `admitted`, by [`into_parts`](Self::into_parts). If the handler then does not use
/// `admitted`, the compiler warns: "unused variable: `admitted`". **Don't follow its suggestion `_admitted`**: that hides
/// the warning, and every delivery is still released. Call `admitted.commit()`. At run time, `TracingObserver` logs each
/// delivery that was not committed.
///
/// # A state without a Warden
///
/// On axum, if the router's state holds no Warden, the compiler reports at `post(order)`:
///
/// ```text
/// the trait bound `fn(UncommittedWebhook<Json<Value>>) -> ... {order}: Handler<_, _>` is not satisfied
/// ```
///
/// Neither this error nor the one of `#[axum::debug_handler]` mentions the Warden. Do one of these:
///
/// * implement `FromRef<AppState>` for `Warden`, as the documentation of `hookwarden::axum::WardenState` shows;
/// * or take [`Webhook`] and put a `hookwarden::axum::WardenLayer` on the route. It needs no state.
#[derive(Debug)]
#[must_use = "dropping `admitted` releases the delivery: call `admitted.commit()` when the work is done"]
pub struct UncommittedWebhook<T> {
    payload: T,
    admitted: Admitted,
}

impl<T> UncommittedWebhook<T> {
    pub(crate) const fn new(payload: T, admitted: Admitted) -> Self {
        Self { payload, admitted }
    }

    /// The payload; and the claim on the delivery, with what is proven about the request.
    #[must_use = "dropping `admitted` releases the delivery: call `admitted.commit()` when the work is done"]
    pub fn into_parts(self) -> (T, Admitted) {
        (self.payload, self.admitted)
    }
}

/// What a layer leaves among a request's extensions. The extractor takes the body from here and not from the request, so
/// that nothing between the two can have changed it.
#[derive(Clone)]
pub(crate) struct VerifiedRequest {
    pub(crate) delivery: VerifiedDelivery,
    pub(crate) body: VerifiedBody,
    pub(crate) answer_writer: Option<AnswerWriter>,
}

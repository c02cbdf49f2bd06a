//! The values that the extractors of all frameworks return, and the value that a layer passes to them.

use crate::body::VerifiedBody;
use crate::occurrences::Occurrences;
use crate::warden::answer::AnswerWriter;
use crate::warden::{Admitted, ReportedVerdict, VerifiedDelivery, Warden};

/// A verified webhook on a route with the adapter's layer or middleware: the payload, and the verified delivery.
///
/// `T` is any extractor of the framework that reads a body: `Bytes`, `String`, `Json<Order>`, `Form<Order>`. The
/// payload is parsed only after the request was verified. The status of the handler's response commits or releases the
/// delivery.
///
/// Without the layer or middleware, every request is answered 500, and the log explains what to do.
/// [`UncommittedWebhook`] works without one.
///
/// If the Warden [only reports](crate::warden::WardenBuilder::danger_report_only), a request that would be refused is
/// answered as an enforcing Warden answers it, and the handler does not run: take `T` itself, such as `Json<Order>`, and the
/// extension [`ReportedVerdict`] until the Warden enforces.
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

    /// The verified delivery: the webhook id, the key and the timestamp.
    #[must_use]
    pub const fn delivery(&self) -> &VerifiedDelivery {
        &self.delivery
    }
}

/// A webhook that the extractor itself verified, for routes without the adapter's layer or middleware.
///
/// The Warden does not see the status of the handler's response, so the handler commits the delivery: it calls
/// [`Admitted::commit`] when its work is done. Dropping `admitted` releases the delivery, and the sender's retry runs
/// the handler again.
///
/// If the client disconnects, axum drops the handler with its `admitted`. Actix-web does the same if the client resets
/// the connection. The delivery is then released, even if detached work, such as `spawn_blocking`, continues. Behind a
/// layer or middleware the handler runs to completion.
///
/// * On axum the [`Warden`](crate::warden::Warden) comes from the router's state: `Warden: FromRef<S>`.
/// * On actix-web it comes from the application's data: `app_data(warden)` or `app_data(web::Data::new(warden))`.
///   Without it, every request is answered 500, and the log explains what to do.
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
/// [`into_parts`](Self::into_parts) returns the payload only together with `admitted`. If the handler does not use
/// `admitted`, the compiler warns: "unused variable: `admitted`". **Do not follow its suggestion `_admitted`**: it
/// hides the warning, and every delivery is still released. Call `admitted.commit()`. At run time, `TracingObserver`
/// logs each delivery that was not committed.
///
/// # A state without a Warden
///
/// On axum, if the router's state has no Warden, the compiler reports at `post(order)`:
///
/// ```text
/// the trait bound `fn(UncommittedWebhook<Json<Value>>) -> ... {order}: Handler<_, _>` is not satisfied
/// ```
///
/// Neither this error nor the one of `#[axum::debug_handler]` mentions the Warden. Do one of these:
///
/// * Implement `FromRef<AppState>` for `Warden`, as the documentation of `hookwarden::axum::WardenState` shows.
/// * Extract [`Webhook`] instead, and put a `hookwarden::axum::WardenLayer` on the route. It needs no state.
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

    /// Returns the payload, and the claim on the verified delivery.
    #[must_use = "dropping `admitted` releases the delivery: call `admitted.commit()` when the work is done"]
    pub fn into_parts(self) -> (T, Admitted) {
        (self.payload, self.admitted)
    }
}

/// The value that a layer stores in a request's extensions. The extractor takes everything from here, so that
/// code between the two cannot change it.
#[derive(Clone)]
pub(crate) struct VerifiedRequest {
    pub(crate) delivery: VerifiedDelivery,
    pub(crate) body: VerifiedBody,
    pub(crate) answer_writer: Option<AnswerWriter>,
}

/// Logs that `UncommittedWebhook<T>` enforces, if its Warden should only report.
pub(crate) fn check_enforces(warden: &Warden) {
    static REPORTING: Occurrences = Occurrences::new();
    if warden.reports_only()
        && let Some(count) = REPORTING.count_to_log()
    {
        tracing::error!(
            target: "hookwarden::webhook",
            count,
            "UncommittedWebhook<T> refuses requests, although its Warden has `danger_report_only`: only a layer or middleware \
             passes them on. Remove the setting, or put the Warden on the route as a layer or middleware"
        );
    }
}

/// Returns the verdict on a request that a Warden passed on although it would be refused, and logs that `Webhook<T>` does not
/// extract such a request.
pub(crate) fn reported(verdict: &ReportedVerdict) -> Option<ReportedVerdict> {
    static REFUSED: Occurrences = Occurrences::new();
    let reason = verdict.would_be_refused()?;
    if let Some(count) = REFUSED.count_to_log() {
        tracing::warn!(
            target: "hookwarden::webhook",
            count,
            reason = reason.as_str(),
            "Webhook<T> refused a request, although its Warden only reports: it extracts verified requests only. Take the \
             payload's own extractor, such as Json<T>, and the extension ReportedVerdict until the Warden enforces"
        );
    }
    Some(verdict.clone())
}

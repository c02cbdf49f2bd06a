//! What the extractors hand over, whatever the framework, and what a layer leaves for them.

use crate::body::VerifiedBody;
use crate::warden::{Admitted, VerifiedDelivery};

/// A verified webhook: the payload, parsed only after the verdict, and what is proven of it.
///
/// `T` is any of the framework's extractors of a body: `Bytes`, `String`, `Json<Order>`, `Form<Order>`.
///
/// Behind the adapter's layer or middleware the handler's status tells whether the work was done. Without it the extractor
/// verifies by the [`Warden`](crate::warden::Warden) that the application holds; then nobody sees the status, and the handler
/// calls [`commit`](Self::commit) when its work is done.
///
/// * On axum that Warden is in the router's state. With neither a layer nor that, a router that has a state does not
///   compile, and one that has none answers 500 and logs why.
/// * On actix-web it is in the application's data: `app_data(warden)` or `app_data(web::Data::new(warden))`. With neither a
///   middleware nor that, the answer is 500 and the log says why.
#[derive(Debug)]
pub struct Webhook<T> {
    /// The payload.
    pub payload: T,
    facts: VerifiedDelivery,
    /// The handler's to settle, unless a layer does it.
    admitted: Option<Box<Admitted>>,
}

impl<T> Webhook<T> {
    pub(crate) const fn new(payload: T, facts: VerifiedDelivery, admitted: Option<Box<Admitted>>) -> Self {
        Self { payload, facts, admitted }
    }

    /// What is proven of the request: the webhook id, the key, the timestamp.
    #[must_use]
    pub const fn delivery(&self) -> &VerifiedDelivery {
        &self.facts
    }

    /// Says that the work is done, and hands over the payload. Without it, and without a layer, the delivery counts as
    /// not handled, and the sender's retry is handled again. A shared store is told in the background.
    pub fn commit(self) -> T {
        if let Some(admitted) = self.admitted {
            admitted.commit();
        }
        self.payload
    }
}

/// What a layer leaves for an extractor. The extractor takes the body from here and not from the request, so that nothing
/// between the two can have changed it.
#[derive(Clone)]
pub(crate) struct Verdict {
    pub(crate) facts: VerifiedDelivery,
    pub(crate) body: VerifiedBody,
}

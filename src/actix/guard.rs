//! A guard for routing.

use actix_web::guard::{Guard, GuardContext};

use super::request::ActixHead;
use crate::warden::Warden;

/// Matches requests whose head has the scheme's headers in the right form and a fresh timestamp, for routing between
/// handlers: signed requests to one, all others to another.
///
/// It verifies no signature: it reads no body and looks up no key. The middleware or the extractor behind it verifies.
/// The guard sends no answer and raises no event. A request that it does not match goes to the next route.
///
/// It ignores method and content type: [`methods`](crate::warden::WardenBuilder::methods) and
/// [`content_types`](crate::warden::WardenBuilder::content_types) apply behind the guard.
///
/// ```
/// use actix_web::web;
/// use hookwarden::Warden;
/// use hookwarden::actix::{SignedGuard, UncommittedWebhook};
///
/// async fn signed(webhook: UncommittedWebhook<web::Bytes>) -> web::Bytes {
///     let (payload, admitted) = webhook.into_parts();
///     admitted.commit();
///     payload
/// }
///
/// fn configure(config: &mut web::ServiceConfig, warden: Warden) {
///     let guard = SignedGuard::new(warden.clone());
///     let unsigned = web::route().to(async || "not a webhook");
///     let resource = web::resource("/webhooks/{id}").route(web::post().guard(guard).to(signed)).route(unsigned);
///     config.app_data(warden).service(resource);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct SignedGuard {
    warden: Warden,
}

impl SignedGuard {
    /// Creates a guard for the scheme and the tolerance of `warden`.
    #[must_use]
    pub const fn new(warden: Warden) -> Self {
        Self { warden }
    }
}

impl Guard for SignedGuard {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        let head = context.head();
        let path = head.uri.path_and_query().map(|path| path.as_str());
        let head = ActixHead { headers: &head.headers, method: head.method.as_str(), path, uri: &head.uri };
        self.warden.has_fresh_shape(&head)
    }
}

//! The guard for routing.

use actix_web::guard::{Guard, GuardContext};

use super::request::ActixHead;
use crate::warden::Warden;

/// Matches requests whose head has the shape of a signed one and a fresh timestamp, for routing between handlers.
///
/// It proves nothing: no key is looked at and no body read. It answers nothing by itself, so requests that it does not
/// match get whatever the router gives them, and no event is raised for them.
///
/// Method and content type are not looked at: [`methods`](crate::warden::WardenBuilder::methods) and
/// [`content_types`](crate::warden::WardenBuilder::content_types) are for the middleware or the extractor behind the guard,
/// which answer 405 or 415 and raise the event. In front of a `web::post()`, other methods go by to the next route.
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

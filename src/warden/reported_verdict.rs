//! The verdict on a request that reaches the handler in any case.

use std::sync::Arc;

use http::StatusCode;

#[cfg(feature = "tower")]
use super::Warden;
use super::answer::Answer;
use super::refused::Refused;
use crate::event::RefusalReason;

/// What an enforcing Warden would have answered. The layers and the middleware of a Warden with
/// [`danger_report_only`](super::WardenBuilder::danger_report_only) insert it into the extensions of every request that they pass
/// on.
///
/// **It proves nothing about the request:** the handler gets genuine and forged requests.
///
/// ```
/// use hookwarden::warden::ReportedVerdict;
///
/// /// A line for the application's own log. `status` is the status of the existing handler.
/// fn compare(verdict: &ReportedVerdict, status: http::StatusCode) -> Option<String> {
///     match verdict.would_be_refused() {
///         Some(reason) if status.is_success() => Some(format!("only the old code accepts it: {reason}")),
///         None if !status.is_success() => Some(format!("only Hookwarden accepts it: {status}")),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ReportedVerdict {
    refused: Option<Arc<Refused>>,
}

impl ReportedVerdict {
    /// The request would have reached the handler.
    #[cfg(feature = "tower")]
    pub(crate) const ACCEPTED: Self = Self { refused: None };

    #[cfg(feature = "tower")]
    pub(crate) fn of(refused: Refused) -> Self {
        Self { refused: Some(Arc::new(refused)) }
    }

    /// Returns why an enforcing Warden would have refused the request. `None` if it would have run the handler.
    #[must_use]
    pub fn would_be_refused(&self) -> Option<RefusalReason> {
        self.refused.as_ref().map(|refused| refused.reason())
    }

    /// Returns the answer of an enforcing Warden, without `Connection: close`. `None` if it would have run the handler, whose
    /// response is the answer then.
    #[must_use]
    pub fn answer(&self) -> Option<&Answer> {
        self.refused.as_ref().map(|refused| refused.answer())
    }

    /// Returns the status of [`answer`](Self::answer).
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.answer().map(Answer::status)
    }
}

#[cfg(feature = "tower")]
impl Warden {
    /// Returns whether refusals are only reported.
    pub(crate) fn reports_only(&self) -> bool {
        self.inner.monitor.report_only.is_some()
    }
}

//! A refused request.

use super::answer::Answer;
use crate::event::RefusalReason;

/// A refused request with its answer.
///
/// `Display` says only that the request was refused. [`reason`](Self::reason) is for the operator,
/// [`into_answer`](Self::into_answer) for the sender.
///
/// ```
/// use hookwarden::event::RefusalReason;
/// use hookwarden::headers::NoHeaders;
/// use hookwarden::{Keyring, Reason, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys).build()?;
///
/// let refused = warden.examine(&NoHeaders, None).expect_err("the request has no signature");
/// assert_eq!(refused.reason(), RefusalReason::Unverified(Reason::MissingHeader));
/// assert_eq!(refused.answer().status(), 401);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[error("webhook refused")]
pub struct Refused {
    reason: RefusalReason,
    answer: Answer,
}

impl Refused {
    pub(super) const fn new(reason: RefusalReason, answer: Answer) -> Self {
        Self { reason, answer }
    }

    /// Returns why the request was refused, for the operator.
    #[must_use]
    pub const fn reason(&self) -> RefusalReason {
        self.reason
    }

    /// Returns the answer to the sender.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Converts the refusal into the answer to the sender.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        self.answer
    }

    /// Adds `Connection: close` to the answer.
    #[cfg(feature = "tower")]
    pub(crate) fn closing_connection(self) -> Self {
        Self { answer: self.answer.closing_connection(), ..self }
    }
}

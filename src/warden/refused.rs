//! A refused request, and whether its peer is charged.

use std::fmt;

use super::answer::{Answer, RetryHint};
use super::request_log::RequestLog;
use crate::error::{Fault, Reason};
use crate::event::{Outcome, RefusalReason};

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
#[derive(thiserror::Error)]
#[error("webhook refused")]
pub struct Refused {
    reason: RefusalReason,
    answer: Answer,
}

impl Refused {
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

    /// Converts the refusal into the answer to the sender. For a copy of a signed handshake, that is the answer to the
    /// handshake.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        self.answer
    }

    pub(super) fn answered(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// Adds `Connection: close` to the answer.
    #[cfg(feature = "tower")]
    pub(crate) fn closing_connection(self) -> Self {
        Self { answer: self.answer.closing_connection(), ..self }
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("reason", &self.reason).field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl RequestLog {
    /// Refuses the request, charges the peer if it is at fault, and returns the answer.
    pub(super) fn refuse(&mut self, reason: RefusalReason, hint: RetryHint) -> Refused {
        // Charge the peer only at the first refusal of a request.
        if self.refused().is_none() {
            match reason {
                RefusalReason::Replayed => self.charge_duplicate(),
                reason if is_charged(reason) => self.charge(),
                _ => self.refund(),
            }
        }
        self.conclude(Outcome::Refused(reason));
        let inner = &self.inner;
        let answer = Answer::to(reason, hint, inner.duplicates_conflict, inner.answer_writer.as_ref());
        Refused { reason, answer: answer.with_header(inner.accept.header_for(reason)) }
    }

    /// [`refuse`](Self::refuse)s a request that did not pass verification.
    pub(super) fn reject(&mut self, fault: Fault) -> Refused {
        self.slot = fault.slot;
        self.skew = self.skew.or(fault.skew);
        self.refuse(fault.reason.into(), RetryHint::None)
    }
}

/// Returns whether a refused request stays counted against its peer. It does not if the sender's quota, another copy in
/// progress or a fault of the receiver caused the refusal. A request that is refused for its head only was never
/// counted.
const fn is_charged(reason: RefusalReason) -> bool {
    match reason {
        RefusalReason::Unverified(Reason::NoRequestLine)
        | RefusalReason::MethodNotAllowed
        | RefusalReason::UnsupportedMediaType
        | RefusalReason::InProgress
        | RefusalReason::QuotaExceeded
        | RefusalReason::PeerBlocked
        | RefusalReason::HandshakeQuotaExceeded
        | RefusalReason::BodyBudgetExceeded
        | RefusalReason::KeyStoreUnavailable
        | RefusalReason::ReplayStoreUnavailable
        | RefusalReason::LookupPanicked
        | RefusalReason::Misconfigured => false,
        RefusalReason::Unverified(_)
        | RefusalReason::Replayed
        | RefusalReason::UnknownId
        | RefusalReason::BodyTooLarge
        | RefusalReason::BodyTooSlow
        | RefusalReason::BodyInterrupted => true,
    }
}

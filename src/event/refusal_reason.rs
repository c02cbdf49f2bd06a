//! Why a Warden refused a request.

use std::fmt;

use crate::error::Reason;

/// Why a Warden refused a request: a verifier's [`Reason`], or one of the Warden's own. For logs, metrics and events,
/// never for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalReason {
    /// The head or the signature did not pass verification. The answer is 401, or 500 for [`Reason::NoRequestLine`].
    Unverified(Reason),
    /// The endpoint does not accept the request's method.
    MethodNotAllowed,
    /// The endpoint does not accept the request's content type, or the request does not have exactly one.
    UnsupportedMediaType,
    /// The key store has no keys for this webhook id.
    UnknownId,
    /// The body is larger than the body limit.
    BodyTooLarge,
    /// The body did not arrive within the deadline.
    BodyTooSlow,
    /// The body ended with an error before it was complete.
    BodyInterrupted,
    /// The delivery was already handled.
    Replayed,
    /// Another request is handling the same delivery.
    InProgress,
    /// The webhook id is over its quota of accepted requests.
    QuotaExceeded,
    /// The peer is over its quota of refused requests.
    PeerBlocked,
    /// The peer is over its quota of [handshakes](crate::warden::Quotas::handshakes), or the webhook id is over that of signed
    /// ones.
    HandshakeQuotaExceeded,
    /// All unverified bodies together exceed the Warden's body budget.
    BodyBudgetExceeded,
    /// The key store did not answer.
    KeyStoreUnavailable,
    /// The replay store did not answer or is full. Accepting the request could repeat a delivery, so the Warden
    /// refuses.
    ReplayStoreUnavailable,
    /// The application's own lookup of the id or the keys panicked.
    LookupPanicked,
    /// The endpoint cannot verify any request because of its configuration, such as a route without the id parameter.
    /// The log names the fix.
    Misconfigured,
}

impl RefusalReason {
    /// The reason in snake case, for a log field or a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unverified(reason) => reason.as_str(),
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UnknownId => "unknown_id",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyInterrupted => "body_interrupted",
            Self::Replayed => "replayed",
            Self::InProgress => "in_progress",
            Self::QuotaExceeded => "quota_exceeded",
            Self::PeerBlocked => "peer_blocked",
            Self::HandshakeQuotaExceeded => "handshake_quota_exceeded",
            Self::BodyBudgetExceeded => "body_budget_exceeded",
            Self::KeyStoreUnavailable => "key_store_unavailable",
            Self::ReplayStoreUnavailable => "replay_store_unavailable",
            Self::LookupPanicked => "lookup_panicked",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Whether the receiver is at fault and not the request: a store does not answer, memory for bodies is used up, or
    /// the endpoint is misconfigured. The sender gets a status of 500 or 503, and an operator should act.
    #[must_use]
    pub const fn is_receiver_fault(self) -> bool {
        matches!(
            self,
            Self::BodyBudgetExceeded
                | Self::KeyStoreUnavailable
                | Self::ReplayStoreUnavailable
                | Self::LookupPanicked
                | Self::Unverified(Reason::NoRequestLine)
                | Self::Misconfigured
        )
    }

    /// Every reason, the verifier's included.
    pub const ALL: &[Self] = &[
        Self::Unverified(Reason::MissingHeader),
        Self::Unverified(Reason::DuplicateHeader),
        Self::Unverified(Reason::MalformedSignature),
        Self::Unverified(Reason::MalformedTimestamp),
        Self::Unverified(Reason::MalformedHeader),
        Self::Unverified(Reason::TooManyCandidates),
        Self::Unverified(Reason::NoRequestLine),
        Self::Unverified(Reason::OtherAuthority),
        Self::Unverified(Reason::Stale),
        Self::Unverified(Reason::Early),
        Self::Unverified(Reason::NoLiveKey),
        Self::Unverified(Reason::Mismatch),
        Self::Unverified(Reason::CheckPanicked),
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::UnknownId,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::BodyInterrupted,
        Self::Replayed,
        Self::InProgress,
        Self::QuotaExceeded,
        Self::PeerBlocked,
        Self::HandshakeQuotaExceeded,
        Self::BodyBudgetExceeded,
        Self::KeyStoreUnavailable,
        Self::ReplayStoreUnavailable,
        Self::LookupPanicked,
        Self::Misconfigured,
    ];
}

impl From<Reason> for RefusalReason {
    fn from(reason: Reason) -> Self {
        Self::Unverified(reason)
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_reasons_have_different_names() {
        let names: BTreeSet<_> = RefusalReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), RefusalReason::ALL.len());
    }

    /// A new variant does not compile here until it is counted.
    #[test]
    fn all_lists_every_variant_once() {
        let number = |reason: &RefusalReason| match reason {
            RefusalReason::Unverified(_) => 0,
            RefusalReason::MethodNotAllowed => 1,
            RefusalReason::UnsupportedMediaType => 2,
            RefusalReason::UnknownId => 3,
            RefusalReason::BodyTooLarge => 4,
            RefusalReason::BodyTooSlow => 5,
            RefusalReason::BodyInterrupted => 6,
            RefusalReason::Replayed => 7,
            RefusalReason::InProgress => 8,
            RefusalReason::QuotaExceeded => 9,
            RefusalReason::PeerBlocked => 10,
            RefusalReason::HandshakeQuotaExceeded => 11,
            RefusalReason::BodyBudgetExceeded => 12,
            RefusalReason::KeyStoreUnavailable => 13,
            RefusalReason::ReplayStoreUnavailable => 14,
            RefusalReason::LookupPanicked => 15,
            RefusalReason::Misconfigured => 16,
        };
        let verified = RefusalReason::ALL.iter().filter_map(|reason| match reason {
            RefusalReason::Unverified(reason) => Some(*reason),
            _ => None,
        });
        assert!(verified.eq(Reason::ALL.iter().copied()));
        assert!(RefusalReason::ALL.iter().map(number).filter(|number| *number > 0).eq(1..17));
    }
}

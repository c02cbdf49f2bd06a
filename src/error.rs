//! What can go wrong, told apart by who has to act.
//!
//! [`ConfigError`] speaks to the person who builds a verifier and names the setting. [`Rejection`] is the verdict on
//! one request: it prints nothing that a sender could learn from, and gives its [`Reason`] to the operator.

use alloc::borrow::Cow;
use core::fmt;

/// A setting that cannot be right, found while building and never while judging a request.
///
/// Its text names the field and what is wrong with it, and never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    field: Cow<'static, str>,
    problem: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(field: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The setting at fault, as it is called in the builder and in a scheme's TOML.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// A message that [`Signer`](crate::signer::Signer) cannot sign as it was given: a header that the scheme signs is missing,
/// say, or a timestamp has no form on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct SignError {
    part: Cow<'static, str>,
    problem: &'static str,
}

impl SignError {
    pub(crate) fn new(part: impl Into<Cow<'static, str>>, problem: &'static str) -> Self {
        Self { part: part.into(), problem }
    }

    /// Why a verifier would refuse what the sender gave.
    pub(crate) fn because(rejection: Rejection, scheme: &crate::scheme::Scheme) -> Self {
        let part = rejection.header(scheme).unwrap_or("request line");
        let problem = match rejection.reason {
            Reason::MissingHeader => "is signed and was not given",
            Reason::DuplicateHeader => "is signed and was given twice",
            Reason::NoRequestLine => "is signed and was not given with the head",
            _ => "is too long, or contains what the scheme puts behind it",
        };
        Self { part: alloc::string::String::from(part).into(), problem }
    }

    /// The part of the message at fault: a header's name, `request line`, `timestamp` or `key`.
    #[must_use]
    pub fn part(&self) -> &str {
        &self.part
    }
}

/// A store of keys, limits or deliveries that cannot answer now.
///
/// Its text is for the operator: a store must not put a secret or an address with a password into it.
#[cfg(feature = "warden")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct StoreError {
    what: Cow<'static, str>,
    retry_after: core::time::Duration,
    panic: bool,
}

#[cfg(feature = "warden")]
impl StoreError {
    /// An error that says what is wrong with the store; the sender is asked to come back in a second.
    #[must_use]
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), retry_after: core::time::Duration::from_secs(1), panic: false }
    }

    /// The same, with the time after which the sender may come back.
    #[must_use]
    pub fn with_retry_after(self, retry_after: core::time::Duration) -> Self {
        Self { retry_after, ..self }
    }

    /// The application's own store panicked.
    pub(crate) fn panicked() -> Self {
        Self { panic: true, ..Self::new("the store panicked") }
    }

    pub(crate) const fn is_panic(&self) -> bool {
        self.panic
    }

    /// How long the sender should wait.
    #[must_use]
    pub const fn retry_after(&self) -> core::time::Duration {
        self.retry_after
    }
}

/// The verdict that a request is not to be trusted.
///
/// `Display` says only that, so that the error can travel into an answer unharmed. The operator reads
/// [`reason`](Self::reason), [`skew`](Self::skew) and [`header`](Self::header).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("webhook refused")]
pub struct Rejection {
    reason: Reason,
    slot: Option<Slot>,
    skew: Option<i64>,
}

impl Rejection {
    pub(crate) const fn new(reason: Reason) -> Self {
        Self { reason, slot: None, skew: None }
    }

    pub(crate) const fn at(reason: Reason, slot: Slot) -> Self {
        Self { reason, slot: Some(slot), skew: None }
    }

    pub(crate) const fn with_skew(self, skew: Option<i64>) -> Self {
        Self { skew, ..self }
    }

    /// Why the request was refused.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The receiver's clock minus the request's timestamp, in seconds, once a timestamp was read.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.skew
    }

    /// The header that the reason is about, as `scheme` spells it.
    #[must_use]
    pub fn header<'s>(&self, scheme: &'s crate::scheme::Scheme) -> Option<&'s str> {
        scheme.header_in(self.slot?)
    }
}

/// A header by the place that it has in its scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The n-th signature header.
    Signature(u8),
    /// The header that carries the timestamp.
    Timestamp,
    /// The header named by the n-th part of the signed template.
    Part(u8),
}

/// Why a request was refused. For logs, metrics and events, never for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The method is none of those that the endpoint is for.
    MethodNotAllowed,
    /// The content type is none of those that the endpoint is for, or is not said once.
    UnsupportedMediaType,
    /// A header that the scheme needs is not there.
    MissingHeader,
    /// A header that may come once came more often, or a field within it did.
    DuplicateHeader,
    /// The signature header has no candidate of the scheme's form and length.
    MalformedSignature,
    /// The timestamp is not of the scheme's format, or beyond what a clock can show.
    MalformedTimestamp,
    /// Another signed header is too long or not of its form.
    MalformedHeader,
    /// More than 32 signature candidates.
    TooManyCandidates,
    /// The scheme signs the method or the path, and the head given had none.
    NoRequestLine,
    /// The timestamp is older than the tolerance.
    Stale,
    /// The timestamp is further in the future than the tolerance.
    Early,
    /// No key is within its validity window.
    NoLiveKey,
    /// No candidate equals the MAC under any live key.
    Mismatch,
    /// No keys are known for this webhook id.
    UnknownId,
    /// The body is larger than the cap.
    BodyTooLarge,
    /// The body did not arrive within the deadline.
    BodyTooSlow,
    /// The body ended with an error before it was complete.
    BodyInterrupted,
    /// The delivery was made before, and its handler finished the work.
    Replayed,
    /// The same delivery is being handled right now.
    InProgress,
    /// The webhook id has used up its quota of accepted requests.
    QuotaExceeded,
    /// The peer has used up its quota of refused requests.
    PeerBlocked,
    /// The store of keys did not answer.
    KeyStoreUnavailable,
    /// The store of deliveries did not answer, or had no room. Without it a replay would pass, so nothing does.
    ReplayStoreUnavailable,
    /// The application's own look-up of the id or the keys panicked.
    LookupPanicked,
    /// The endpoint gives the Warden nothing to judge by: no webhook id where one is looked for, or no Warden at all.
    Misconfigured,
}

impl Reason {
    /// The reason in snake case, for a log field or a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::MissingHeader => "missing_header",
            Self::DuplicateHeader => "duplicate_header",
            Self::MalformedSignature => "malformed_signature",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::MalformedHeader => "malformed_header",
            Self::TooManyCandidates => "too_many_candidates",
            Self::NoRequestLine => "no_request_line",
            Self::Stale => "stale",
            Self::Early => "early",
            Self::NoLiveKey => "no_live_key",
            Self::Mismatch => "mismatch",
            Self::UnknownId => "unknown_id",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::BodyInterrupted => "body_interrupted",
            Self::Replayed => "replayed",
            Self::InProgress => "in_progress",
            Self::QuotaExceeded => "quota_exceeded",
            Self::PeerBlocked => "peer_blocked",
            Self::KeyStoreUnavailable => "key_store_unavailable",
            Self::ReplayStoreUnavailable => "replay_store_unavailable",
            Self::LookupPanicked => "lookup_panicked",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// Whether the receiving side is at fault and not the request: a store does not answer, or the endpoint is set up
    /// wrongly. Someone should look at it now; the sender is told a status of 500 or 503.
    #[must_use]
    pub const fn is_receiver_fault(self) -> bool {
        matches!(
            self,
            Self::KeyStoreUnavailable
                | Self::ReplayStoreUnavailable
                | Self::LookupPanicked
                | Self::NoRequestLine
                | Self::Misconfigured
        )
    }

    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::MissingHeader,
        Self::DuplicateHeader,
        Self::MalformedSignature,
        Self::MalformedTimestamp,
        Self::MalformedHeader,
        Self::TooManyCandidates,
        Self::NoRequestLine,
        Self::Stale,
        Self::Early,
        Self::NoLiveKey,
        Self::Mismatch,
        Self::UnknownId,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::BodyInterrupted,
        Self::Replayed,
        Self::InProgress,
        Self::QuotaExceeded,
        Self::PeerBlocked,
        Self::KeyStoreUnavailable,
        Self::ReplayStoreUnavailable,
        Self::LookupPanicked,
        Self::Misconfigured,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_all_listed_each_with_a_name_of_its_own() {
        // A variant that is not listed leaves a gap in the numbers, the last one aside.
        #[expect(clippy::as_conversions, reason = "a variant's number is reached in no other way")]
        let numbers = Reason::ALL.iter().map(|reason| *reason as usize);
        let mut numbers: alloc::vec::Vec<_> = numbers.collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..Reason::ALL.len()), "{numbers:?}");
        let names: alloc::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}

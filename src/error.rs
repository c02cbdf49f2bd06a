//! The error types, one for each kind of reader.
//!
//! * [`ConfigError`] is for the person who configures the crate. It names the setting and the fix.
//! * [`Rejection`] is the result of a failed verification. Its `Display` tells the sender nothing; its [`Reason`] is for
//!   the operator. A [`Warden`](crate::warden) adds reasons of its own.
//! * [`SignError`] is for a sender whose message cannot be signed.
//! * `StoreError` (feature `warden`) is what a store of keys, quotas or deliveries returns when it cannot answer.
//!
//! ```
//! use hookwarden::{Keyring, Reason, Scheme, Timestamp, Verifier};
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let rejection = Verifier::new(scheme, keys)?.verify_at(&[("a", "b")], b"{}", Timestamp::from_unix(0)).unwrap_err();
//! assert_eq!(rejection.to_string(), "webhook refused"); // safe to send
//! assert_eq!(rejection.reason(), Reason::MissingHeader); // for the log
//! assert_eq!(rejection.header(), Some("X-Webhook-Signature"));
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```

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

/// Why a head or a signature does not pass, with the header at fault by its place in the scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) slot: Option<Slot>,
    pub(crate) skew: Option<i64>,
}

impl Fault {
    pub(crate) const fn new(reason: Reason) -> Self {
        Self { reason, slot: None, skew: None }
    }

    pub(crate) const fn at(reason: Reason, slot: Slot) -> Self {
        Self { reason, slot: Some(slot), skew: None }
    }

    pub(crate) const fn with_skew(self, skew: Option<i64>) -> Self {
        Self { skew, ..self }
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

/// Why a verifier rejected a request. For logs, metrics and events, never for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
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
}

impl Reason {
    /// The reason in snake case, for a log field or a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
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
        }
    }

    /// Every reason.
    pub const ALL: &[Self] = &[
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

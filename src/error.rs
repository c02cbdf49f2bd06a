//! Errors, grouped by who has to act on them.
//!
//! * [`ConfigError`]: a setting is wrong, and the developer has to fix it. It is found while building, never while a
//!   request is verified.
//! * [`Rejection`](crate::Rejection): a request does not verify. Its text is the same for every reason, so it can be
//!   shown to the sender. The operator reads its [`Reason`].
//! * [`SignError`]: a message cannot be signed as it was given.
//! * `StoreError` (feature `warden`): a store of keys, quotas or deliveries cannot answer.
//!
//! ```
//! use hookwarden::{Keyring, Reason, Scheme, Timestamp, Verifier};
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let verifier = Verifier::new(scheme, keys)?;
//!
//! let head = [("X-Webhook-Timestamp", "1800000000")];
//! let rejection = verifier.verify_at(&head, b"{}", Timestamp::from_unix(1_800_000_000)).unwrap_err();
//! assert_eq!(rejection.to_string(), "webhook refused"); // for the sender
//! assert_eq!(rejection.reason(), Reason::MissingHeader); // for the operator
//! assert_eq!(rejection.header(), Some("X-Webhook-Signature"));
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```

mod fault;

use alloc::borrow::Cow;
#[cfg(feature = "warden")]
use alloc::sync::Arc;
use core::fmt;

#[cfg(feature = "warden")]
use crate::escape::Escaped;

pub(crate) use fault::{Fault, Slot};

/// A setting that is missing, malformed or contradicts another one. It is found while building, never while a request
/// is verified.
///
/// The text names the setting and the problem, and never contains a secret.
///
/// ```
/// use hookwarden::Scheme;
///
/// let error = Scheme::builder("acme").build().unwrap_err();
/// assert_eq!(error.field(), "signature_headers");
/// println!("{error}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    field: Cow<'static, str>,
    problem: Cow<'static, str>,
}

impl ConfigError {
    /// Creates an error of a setting, for a store outside of this crate. The text is `field: problem`; the problem says
    /// what the setting must be, and never contains a secret.
    #[must_use]
    pub fn new(field: impl Into<Cow<'static, str>>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    pub(crate) const fn fixed(field: &'static str, problem: &'static str) -> Self {
        Self { field: Cow::Borrowed(field), problem: Cow::Borrowed(problem) }
    }

    /// The name of the setting, as in the builder and in the TOML of a scheme.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// A message that [`Signer`](crate::signer::Signer) cannot sign. For example, a header that the scheme signs is
/// missing, or the timestamp cannot be written in the scheme's format.
///
/// ```
/// use hookwarden::{Keyring, Scheme, Signer, Timestamp};
///
/// let scheme = Scheme::standard_webhooks(); // signs the header `webhook-id`
/// let keys = Keyring::new(scheme.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?);
/// let head = [("Content-Type", "application/json")];
/// let now = Timestamp::from_unix(1_800_000_000); // `sign` reads the clock instead
/// let error = Signer::new(scheme, keys)?.sign_at(&head, b"{}", now).unwrap_err();
/// assert_eq!(error.part(), "webhook-id");
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
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

/// A store of keys, quotas or deliveries cannot answer now. The request is answered with 503 and `Retry-After`, unless
/// the Warden has a fallback for the store.
///
/// The text is for the operator, and goes to observers. Do not put a secret or an address with a password into it.
///
/// ```
/// use std::time::Duration;
///
/// use hookwarden::error::StoreError;
///
/// let error = StoreError::new("vault: connection refused").with_retry_after(Duration::from_secs(5));
/// assert_eq!(error.to_string(), "vault: connection refused");
/// assert_eq!(error.retry_after(), Duration::from_secs(5));
///
/// // A store on several servers names the one that failed.
/// let error = StoreError::new("connection refused").with_shard("10.0.0.7:6379");
/// assert_eq!(error.to_string(), "connection refused (shard 10.0.0.7:6379)");
/// ```
#[cfg(feature = "warden")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", Escaped::line(what), NamedShard(shard.as_deref()))]
pub struct StoreError {
    what: Cow<'static, str>,
    shard: Option<Arc<str>>,
    /// In milliseconds, because every request moves results that rarely contain an error.
    retry_after: u32,
    panic: bool,
}

#[cfg(feature = "warden")]
impl StoreError {
    /// Creates an error with a text for the operator, which may quote a server: `Display` prints it
    /// [escaped](crate::escape), on one line. The sender is asked to retry after one second.
    #[must_use]
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), shard: None, retry_after: 1_000, panic: false }
    }

    /// Names the server that failed, for a store that is divided among several: `host:port`, without a password.
    /// Observers distinguish the outages of a store by this name. `Display` adds it to the text.
    #[must_use]
    pub fn with_shard(self, shard: impl Into<Arc<str>>) -> Self {
        Self { shard: Some(shard.into()), ..self }
    }

    /// Sets the time after which the sender is asked to retry, in whole milliseconds and at most 49 days. On the wire it is
    /// rounded up to whole seconds.
    #[must_use]
    pub fn with_retry_after(self, retry_after: core::time::Duration) -> Self {
        let millis = retry_after.as_nanos().div_ceil(1_000_000);
        Self { retry_after: u32::try_from(millis).unwrap_or(u32::MAX), ..self }
    }

    /// The application's store panicked.
    pub(crate) fn panicked() -> Self {
        Self { panic: true, ..Self::new("the store panicked") }
    }

    pub(crate) const fn is_panic(&self) -> bool {
        self.panic
    }

    /// The time after which the sender is asked to retry.
    #[must_use]
    pub fn retry_after(&self) -> core::time::Duration {
        core::time::Duration::from_millis(u64::from(self.retry_after))
    }

    /// The server that failed, if the store is divided among several and knows which one it was.
    #[must_use]
    pub fn shard(&self) -> Option<&str> {
        self.shard.as_deref()
    }
}

/// The name of a shard after the text of an error.
#[cfg(feature = "warden")]
struct NamedShard<'e>(Option<&'e str>);

#[cfg(feature = "warden")]
impl fmt::Display for NamedShard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |shard| write!(f, " (shard {})", Escaped::line(shard)))
    }
}

/// Why a verifier rejected a request. For logs, metrics and events, never for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A header that the scheme needs is missing.
    MissingHeader,
    /// A header that must occur once, or a field within it, occurs more often.
    DuplicateHeader,
    /// The signature header has no candidate of the scheme's form and length, or is too long.
    MalformedSignature,
    /// The timestamp is not in the scheme's format, or is out of its range.
    MalformedTimestamp,
    /// Another signed header is too long, malformed, or contains the literal that separates it from other signed
    /// content.
    MalformedHeader,
    /// The request has more signature candidates than the scheme permits: 32 by default, and 4 with public keys.
    TooManyCandidates,
    /// The scheme signs the method or the path, and the head has none.
    NoRequestLine,
    /// The request was sent to another host than the scheme is for.
    OtherAuthority,
    /// The timestamp is older than the tolerance.
    Stale,
    /// The timestamp is further in the future than the tolerance.
    Early,
    /// No key is within its validity window.
    NoLiveKey,
    /// No candidate equals the MAC under any valid key, or is a signature that a valid public key verifies.
    Mismatch,
    /// The application's code of a [custom scheme](crate::scheme::CustomScheme) panicked.
    CheckPanicked,
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
            Self::OtherAuthority => "other_authority",
            Self::Stale => "stale",
            Self::Early => "early",
            Self::NoLiveKey => "no_live_key",
            Self::Mismatch => "mismatch",
            Self::CheckPanicked => "check_panicked",
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
        Self::OtherAuthority,
        Self::Stale,
        Self::Early,
        Self::NoLiveKey,
        Self::Mismatch,
        Self::CheckPanicked,
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

    #[cfg(feature = "warden")]
    #[test]
    fn store_error_names_its_shard_escaped() {
        let error = StoreError::new("gone");
        assert_eq!((error.shard(), error.to_string().as_str()), (None, "gone"));
        let error = error.with_shard("10.0.0.7:6379");
        assert_eq!((error.shard(), error.to_string().as_str()), (Some("10.0.0.7:6379"), "gone (shard 10.0.0.7:6379)"));
        assert_eq!(StoreError::new("gone").with_shard("a\nb").to_string(), r"gone (shard a\nb)");
    }

    #[test]
    fn reasons_are_all_listed_with_distinct_names() {
        // A variant that is not listed leaves a gap in the discriminants, unless it is the last one.
        #[expect(clippy::as_conversions, reason = "a cast is the only access to a discriminant")]
        let numbers = Reason::ALL.iter().map(|reason| *reason as usize);
        let mut numbers: alloc::vec::Vec<_> = numbers.collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..Reason::ALL.len()), "{numbers:?}");
        let names: alloc::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}

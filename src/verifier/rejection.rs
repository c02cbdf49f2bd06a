//! The result of a failed verification.

use alloc::sync::Arc;

use crate::error::{Fault, Reason};
use crate::scheme::Scheme;

/// A request that did not pass verification.
///
/// `Display` says only that the request was refused, so the error is safe to send to the caller. The operator reads
/// [`reason`](Self::reason), [`header`](Self::header) and [`skew`](Self::skew).
///
/// ```
/// use hookwarden::{Keyring, Reason, Scheme, Timestamp, Verifier};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let head = [("X-Webhook-Timestamp", "1800000000"), ("X-Webhook-Signature", &"0".repeat(64))];
/// let now = Timestamp::from_unix(1_800_000_301);
/// let rejection = Verifier::new(scheme, keys)?.verify_at(&head, b"{}", now).unwrap_err();
/// assert_eq!((rejection.reason(), rejection.skew()), (Reason::Stale, Some(301)));
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("webhook refused")]
pub struct Rejection {
    fault: Fault,
    /// Set only if a header is at fault.
    scheme: Option<Arc<Scheme>>,
}

impl Rejection {
    pub(super) fn new(fault: Fault, scheme: &Arc<Scheme>) -> Self {
        Self { fault, scheme: fault.slot.map(|_| Arc::clone(scheme)) }
    }

    /// Creates a rejection for a fault without a header, such as a mismatch.
    pub(super) const fn without_header(fault: Fault) -> Self {
        Self { fault, scheme: None }
    }

    /// Why the request was rejected.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.fault.reason
    }

    /// The receiver's clock minus the request's timestamp, in seconds, if the request had a readable timestamp.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.fault.skew
    }

    /// The header at fault, as the scheme spells it. `None` for a mismatch, a stale timestamp or a missing request
    /// line.
    #[must_use]
    pub fn header(&self) -> Option<&str> {
        self.scheme.as_ref()?.header_in(self.fault.slot?)
    }
}

impl PartialEq for Rejection {
    fn eq(&self, other: &Self) -> bool {
        self.fault == other.fault && self.header() == other.header()
    }
}

impl Eq for Rejection {}

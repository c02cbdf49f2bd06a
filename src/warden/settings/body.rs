//! Limits on a request's body.

use std::time::Duration;

use super::require;
use crate::error::ConfigError;

/// How large a body may be, and how long it may take to arrive.
///
/// | setting | unit | default |
/// | --- | --- | --- |
/// | [`max_bytes`](Self::max_bytes) | bytes | 1,048,576 (1 MiB) |
/// | [`deadline`](Self::deadline) | duration | 10 s |
///
/// ```
/// use std::time::Duration;
/// use hookwarden::warden::BodyLimits;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme)
///     .sender("acme", keys)
///     .body(BodyLimits::new().max_bytes(64 * 1024).deadline(Duration::from_secs(5)))
///     .build()?;
/// assert_eq!(warden.body_limit(), 65_536);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    pub(in crate::warden) max_bytes: usize,
    pub(in crate::warden) deadline: Duration,
}

impl BodyLimits {
    /// 1 MiB within 10 seconds.
    pub const fn new() -> Self {
        Self { max_bytes: DEFAULT_MAX_BYTES, deadline: DEFAULT_DEADLINE }
    }

    /// The most bytes of a body, at least 1. A request that announces more is refused with 413 before its body is read;
    /// one that sends more, as soon as it does.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a body may take to arrive, more than zero and at most one day. The time starts with the request's head and
    /// includes the key lookup. A body that takes longer is refused with 408.
    ///
    /// A delivery stays in the replay store for that much longer than its timestamp is fresh.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    pub(in crate::warden) fn check(&self) -> Result<(), ConfigError> {
        require(self.max_bytes > 0, "body.max_bytes", "must be at least 1 byte")?;
        require(!self.deadline.is_zero(), "body.deadline", "must be more than zero")?;
        require(self.deadline <= MAX_DEADLINE, "body.deadline", "must be at most one day (86400 s)")
    }
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self::new()
    }
}

const DEFAULT_MAX_BYTES: usize = 1024 * 1024;

const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// A longer one would fill the replay store with deliveries that can no longer arrive.
const MAX_DEADLINE: Duration = Duration::from_secs(86_400);

//! Limits on a request's body.

use std::time::Duration;

use super::require;
use crate::error::ConfigError;

/// How large a body may be, how long it may take to arrive, and how much memory all unverified bodies may take.
///
/// | setting | unit | default |
/// | --- | --- | --- |
/// | [`max_bytes`](Self::max_bytes) | bytes | 1,048,576 (1 MiB) |
/// | [`deadline`](Self::deadline) | duration | 10 s |
/// | [`max_bytes_in_flight`](Self::max_bytes_in_flight) | bytes | 67,108,864 (64 MiB), or four times `max_bytes` if that is more |
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
    max_bytes_in_flight: Option<usize>,
}

impl BodyLimits {
    /// Limits a body to 1 MiB within 10 seconds.
    pub const fn new() -> Self {
        Self { max_bytes: DEFAULT_MAX_BYTES, deadline: DEFAULT_DEADLINE, max_bytes_in_flight: None }
    }

    /// Sets the body limit in bytes, at least 1. A request that announces a larger body is refused with 413 before the
    /// body is read. A request of unknown length is refused as soon as it exceeds the limit.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how long a body may take to arrive, more than zero and at most one day. The time starts with the request's
    /// head and includes the key lookup. A body that takes longer is refused with 408.
    ///
    /// The replay store keeps each delivery for this much longer.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how many bytes of unverified bodies the Warden keeps in memory at one time, over all requests; at least
    /// [`max_bytes`](Self::max_bytes). The bodies of one peer may take a quarter of it. A request whose body would
    /// exceed either is refused with 503 and `Retry-After`.
    ///
    /// Bodies of up to 4,096 bytes do not count: they take less than the server's buffers for their connections. A
    /// larger body counts from the arrival of its bytes until its signature is verified or the request is refused. The
    /// bytes of a request with an unknown webhook id are hashed and dropped, and do not count. If its body would exceed
    /// the budget, it is refused with 503 like any other request, so that the answer does not show which ids exist.
    pub const fn max_bytes_in_flight(mut self, bytes: usize) -> Self {
        self.max_bytes_in_flight = Some(bytes);
        self
    }

    /// Returns the setting or its default.
    pub(in crate::warden) fn bytes_in_flight(&self) -> usize {
        self.max_bytes_in_flight.unwrap_or_else(|| self.max_bytes.saturating_mul(4).max(DEFAULT_BYTES_IN_FLIGHT))
    }

    pub(in crate::warden) fn check(&self) -> Result<(), ConfigError> {
        require(self.max_bytes > 0, "body.max_bytes", "must be at least 1 byte")?;
        require(self.bytes_in_flight() >= self.max_bytes, "body.max_bytes_in_flight", "must be at least `max_bytes`")?;
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

const DEFAULT_BYTES_IN_FLIGHT: usize = 64 * 1024 * 1024;

const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// A longer deadline would fill the replay store with deliveries that can no longer arrive.
const MAX_DEADLINE: Duration = Duration::from_secs(86_400);

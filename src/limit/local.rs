//! Quotas counted in this process.

use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::usage::Usage;
use super::{Decision, Quota, RateLimiter};
use crate::bounded::{BoundedTable, HashedKey, nanos};
use crate::clock::{Clock, SystemClock};
use crate::error::StoreError;
use crate::future::BoxFuture;

/// Counts accepted requests by webhook id in this process, by the monotonic clock.
///
/// Several processes that share a quota count each for itself: behind a load balancer, give each its share.
///
/// An id takes 20 to 40 bytes, however long it is, and only while its quota is not whole. There is room for 65,536 such
/// ids by default, and for more with [`with_capacity`](Self::with_capacity). No id is ever forgotten for another. Once
/// there is no room, the requests of further ids pass and are not counted: an id comes here only with a valid signature,
/// so it is a setting that is too small, and senders are not refused for that. [`uncounted`](Self::uncounted) tells of it.
pub struct LocalLimiter {
    usages: BoundedTable<Usage>,
    secret: RandomState,
    clock: Arc<dyn Clock>,
    uncounted: AtomicU64,
}

impl LocalLimiter {
    /// A limiter that reads `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            usages: BoundedTable::new(DEFAULT_CAPACITY),
            secret: RandomState::new(),
            clock,
            uncounted: AtomicU64::new(0),
        }
    }

    /// Room for so many webhook ids whose quota is not whole, in place of 65,536. Requests counted before are forgotten.
    #[must_use]
    pub fn with_capacity(self, ids: usize) -> Self {
        Self { usages: BoundedTable::new(ids), ..self }
    }

    /// How many requests passed without being counted, because there was no room for their id.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Ordering::Relaxed)
    }

    /// An id that is checked against another quota than before starts afresh with it.
    /// `now` is by the monotonic clock.
    pub(crate) fn check_at(&self, webhook_id: &str, quota: &Quota, now: Duration) -> Result<Decision, Uncounted> {
        let now = nanos(now);
        let key = HashedKey::new(&self.secret, (webhook_id, quota));
        self.usages.update(key, now, |usage| usage.count(quota, now)).map_err(|_full| {
            self.uncounted.fetch_add(1, Ordering::Relaxed);
            Uncounted(Usage::default().count(quota, now))
        })
    }
}

/// The decision on a request that there was no room to count.
pub(crate) struct Uncounted(pub(crate) Decision);

impl Default for LocalLimiter {
    /// A limiter that reads the system's clock.
    fn default() -> Self {
        Self::new(Arc::new(SystemClock::default()))
    }
}

impl RateLimiter for LocalLimiter {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        let decision =
            self.check_at(webhook_id, quota, self.clock.monotonic()).unwrap_or_else(|Uncounted(decision)| decision);
        Box::pin(std::future::ready(Ok(decision)))
    }
}

impl fmt::Debug for LocalLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLimiter")
            .field("usages", &self.usages)
            .field("uncounted", &self.uncounted())
            .finish_non_exhaustive()
    }
}

const DEFAULT_CAPACITY: usize = 65_536;

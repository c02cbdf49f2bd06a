//! The rate limiter in this process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::usage::Usage;
use super::{Decision, Quota, RateLimiter};
use crate::bounded::{BoundedTable, nanos};
use crate::clock::{Clock, SystemClock};
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::keyed_hash::{HashedKey, WordHash};

/// Counts accepted requests by webhook id in this process, by the monotonic clock.
///
/// With several replicas, each process counts separately: use a shared limiter, or divide the quota by the number of
/// replicas.
///
/// An id uses 20 to 40 bytes, regardless of its length, and only while its quota is not full. The default capacity is
/// 65,536 such ids; see [`with_capacity`](Self::with_capacity). An id is never evicted for another one. When the table
/// is full, requests of further ids pass without being counted: their signatures are valid, and the capacity is too
/// small. [`uncounted`](Self::uncounted) returns their number.
///
/// ```
/// use hookwarden::Quota;
/// use hookwarden::limit::{Decision, LocalLimiter, RateLimiter};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let limiter = LocalLimiter::default().with_capacity(200_000);
/// match limiter.check("acme", &Quota::per_minute(100)?).await? {
///     Decision::Allowed(state) => assert_eq!(state.remaining, 99),
///     Decision::Denied { retry_after, .. } => println!("retry in {retry_after:?}"),
///     _ => {}
/// }
/// assert_eq!(limiter.uncounted(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalLimiter {
    usages: BoundedTable<Usage>,
    keys: WordHash<3>,
    clock: Arc<dyn Clock>,
    uncounted: AtomicU64,
}

impl LocalLimiter {
    /// Creates a limiter that reads `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            usages: BoundedTable::new(DEFAULT_CAPACITY),
            keys: WordHash::default(),
            clock,
            uncounted: AtomicU64::new(0),
        }
    }

    /// Sets the capacity: the number of webhook ids whose quota is not full. The default is 65,536. Earlier counts are
    /// lost.
    #[must_use]
    pub fn with_capacity(self, ids: usize) -> Self {
        Self { usages: BoundedTable::new(ids), ..self }
    }

    /// The number of requests that passed without being counted because the table was full.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Ordering::Relaxed)
    }

    /// Counts one request of a webhook id if it passes. `now` is read from the monotonic clock. Each pair of id and
    /// quota has its own count.
    pub(crate) fn check_at(&self, id: HashedKey, quota: &Quota, now: Duration) -> Result<Decision, Uncounted> {
        let now = nanos(now);
        let key = self.keys.of([id.as_u64(), quota.burst().into(), nanos(quota.period())]);
        self.usages.update(key, now, |usage| usage.count(quota, now)).map_err(|_full| {
            self.uncounted.fetch_add(1, Ordering::Relaxed);
            Uncounted(Usage::default().count(quota, now))
        })
    }
}

/// The decision for a request that was not counted because the table was full.
pub(crate) struct Uncounted(pub(crate) Decision);

impl Default for LocalLimiter {
    /// Creates a limiter that reads the system's clock.
    fn default() -> Self {
        Self::new(Arc::new(SystemClock::default()))
    }
}

impl RateLimiter for LocalLimiter {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        let decision = self.check_at(HashedKey::of_id(webhook_id), quota, self.clock.monotonic());
        let decision = decision.unwrap_or_else(|Uncounted(decision)| decision);
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

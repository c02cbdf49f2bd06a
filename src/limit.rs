//! Rate limits for accepted requests.
//!
//! A [`Quota`] is a burst and a period of the generic cell rate algorithm (GCRA). A [`RateLimiter`] counts requests by
//! webhook id against it. Only requests with a verified signature are counted, so a forger cannot use up a sender's
//! quota. The Warden limits refused requests by peer.
//!
//! [`LocalLimiter`] counts in this process and is the default. With several replicas use a shared limiter, such as
//! `hookwarden::redis::RedisStore` (feature `redis`).
//!
//! ```
//! use hookwarden::Quota;
//! use hookwarden::limit::{Decision, LocalLimiter, RateLimiter};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let limiter = LocalLimiter::default();
//! let quota = Quota::per_minute(2)?;
//! for _ in 0..2 {
//!     assert!(matches!(limiter.check("acme", &quota).await?, Decision::Allowed(_)));
//! }
//! assert!(matches!(limiter.check("acme", &quota).await?, Decision::Denied { .. }));
//! assert!(matches!(limiter.check("globex", &quota).await?, Decision::Allowed(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod local;
mod offenders;
mod peer;
mod rejected;
mod usage;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{ConfigError, StoreError};
use crate::future::BoxFuture;

pub use local::LocalLimiter;
pub(crate) use local::Uncounted;
pub(crate) use peer::Peer;
pub(crate) use rejected::{Blocked, RejectedTraffic, Reservation};

/// A quota by the generic cell rate algorithm (GCRA): `burst` requests at once, then one more each `period`.
///
/// In any window of length W, both ends included, at most `burst + floor(W / period)` requests pass. A sender that was
/// idle long enough gets exactly that many. So "100 a minute" can mean two quotas, and there is a constructor for each:
///
/// ```
/// use std::time::Duration;
/// use hookwarden::Quota;
///
/// // 100 at once, then one each 600 ms: up to 200 in the first minute.
/// let usual = Quota::per_minute(100)?;
/// assert_eq!((usual.burst(), usual.period()), (100, Duration::from_millis(600)));
///
/// // 50 at once, then one each 1.2 s: never more than 100 in any minute.
/// let strict = Quota::at_most_per_minute(100)?;
/// assert_eq!((strict.burst(), strict.period()), (50, Duration::from_millis(1_200)));
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    burst: NonZeroU32,
    /// Whole microseconds, at least one.
    period: Duration,
}

impl Quota {
    /// Creates a quota of `burst` requests at once, then one more each `period`. The period is rounded up to whole
    /// microseconds.
    ///
    /// # Errors
    /// `burst` or `period` is zero, or their product is more than 100 days.
    pub fn new(burst: u32, period: Duration) -> Result<Self, ConfigError> {
        let burst = NonZeroU32::new(burst).ok_or(ConfigError::new("quota", "must allow at least one request"))?;
        let micros = u64::try_from(period.as_nanos().div_ceil(1_000)).ok().filter(|micros| *micros > 0);
        let micros =
            micros.ok_or(ConfigError::new("quota", "must have a period of more than zero and at most 100 days"))?;
        let window = micros.checked_mul(u64::from(burst.get())).filter(|window| *window <= MAX_WINDOW_MICROS);
        window.ok_or(ConfigError::new("quota", "must have a period times burst of at most 100 days"))?;
        Ok(Self { burst, period: Duration::from_micros(micros) })
    }

    /// Creates a quota of `count` requests at once, then `count` a minute, evenly spaced. The period is rounded up to
    /// whole microseconds, so the highest rate is one request each microsecond, or 60 million a minute.
    ///
    /// # Errors
    /// `count` is zero.
    pub fn per_minute(count: u32) -> Result<Self, ConfigError> {
        let count = NonZeroU32::new(count).ok_or(ConfigError::new("quota", "must allow at least one request"))?;
        Self::new(count.get(), MINUTE.checked_div(count.get()).map_or(MINUTE, |period| round_up(period, count)))
    }

    /// Creates a quota of at most `count` requests in any minute: half of them at once, the others evenly spaced.
    ///
    /// The period is rounded up to whole microseconds, so the maximum can be one lower if 60 seconds cannot be divided
    /// evenly. For one request a minute the period is a minute and a microsecond, because a window includes both ends.
    ///
    /// # Errors
    /// `count` is zero.
    pub fn at_most_per_minute(count: u32) -> Result<Self, ConfigError> {
        let burst = count.div_ceil(2);
        match NonZeroU32::new(count.saturating_sub(burst)) {
            Some(spread) => {
                Self::new(burst, MINUTE.checked_div(spread.get()).map_or(MINUTE, |period| round_up(period, spread)))
            }
            None => Self::new(burst, MINUTE.saturating_add(Duration::from_micros(1))),
        }
    }

    /// Returns the share of one of `replicas` processes that do not communicate. It divides the burst, rounding down to
    /// at least one, and the rate.
    pub(crate) fn share(&self, replicas: NonZeroU32) -> Self {
        let burst = self.burst.get().checked_div(replicas.get()).and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let period = self.period.saturating_mul(replicas.get());
        // The window is limited, so the share of a very slow quota can be larger than its exact fraction.
        let longest = Duration::from_micros(MAX_WINDOW_MICROS).checked_div(burst.get()).unwrap_or(period);
        Self {
            burst,
            period: period.min(Duration::from_micros(u64::try_from(longest.as_micros()).unwrap_or(1).max(1))),
        }
    }

    /// Returns a quota of `factor` times as many requests in the same time. Its period is at least one microsecond.
    pub(crate) fn times(&self, factor: u32) -> Self {
        let burst = self.burst.saturating_mul(NonZeroU32::new(factor).unwrap_or(NonZeroU32::MIN));
        let period = self.period.checked_div(factor).unwrap_or(self.period);
        Self { burst, period: period.max(Duration::from_micros(1)) }
    }

    /// 100 a minute.
    pub(crate) const DEFAULT_ACCEPTED: Self =
        Self { burst: NonZeroU32::MIN.saturating_add(99), period: Duration::from_millis(600) };

    /// 60 a minute.
    pub(crate) const DEFAULT_REJECTED: Self =
        Self { burst: NonZeroU32::MIN.saturating_add(59), period: Duration::from_secs(1) };

    /// The number of requests that pass at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// The time between two further requests, in whole microseconds.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The time after which a used-up quota is full again: `burst × period`.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.period.saturating_mul(self.burst.get())
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at once, then one each {:?}", self.burst, self.period)
    }
}

/// Rounds a quotient up: `Duration` division rounds down, and a period must not be too short.
fn round_up(period: Duration, count: NonZeroU32) -> Duration {
    if period.saturating_mul(count.get()) < MINUTE { period.saturating_add(Duration::from_nanos(1)) } else { period }
}

/// The state of a webhook id's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaState {
    /// The number of further requests that would pass at once.
    pub remaining: u32,
    /// The time until the quota is full again if nothing more is counted.
    pub reset: Duration,
}

impl QuotaState {
    /// Returns the state of a quota that is full again after `reset`.
    #[must_use]
    pub fn full_after(quota: &Quota, reset: Duration) -> Self {
        let unused = quota.window().saturating_sub(reset).as_micros();
        let count = unused.checked_div(quota.period().as_micros()).unwrap_or_default();
        Self { remaining: u32::try_from(count).unwrap_or(u32::MAX), reset }
    }
}

/// The decision of a limiter for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The request passes, and was counted.
    Allowed(QuotaState),
    /// The request does not pass, and was not counted.
    Denied {
        /// The next request passes after this time at the earliest, unless another request takes its place.
        retry_after: Duration,
        /// The state of the quota.
        quota_state: QuotaState,
    },
}

/// Counts accepted requests by webhook id. [`LocalLimiter`] is the limiter in this process.
///
/// Only requests with a verified signature are counted, so a forger cannot use up a sender's quota. If a shared limiter
/// fails, the Warden counts in this process instead.
///
/// Test a limiter with `hookwarden::testing::rate_limiter_contract` (feature `testing`).
///
/// ```
/// use hookwarden::error::StoreError;
/// use hookwarden::limit::{Decision, LocalLimiter, RateLimiter};
/// use hookwarden::{BoxFuture, Quota};
///
/// /// `acme-orders` and `acme-refunds` share the quota of the tenant `acme`.
/// struct ByTenant(LocalLimiter);
///
/// impl RateLimiter for ByTenant {
///     fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
///         let tenant = webhook_id.split_once('-').map_or(webhook_id, |(tenant, _)| tenant);
///         self.0.check(tenant, quota)
///     }
/// }
/// ```
pub trait RateLimiter: Send + Sync + 'static {
    /// Counts one request of `webhook_id` against `quota` if it passes. A denied request is not counted.
    ///
    /// # Errors
    /// The store cannot answer now.
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>>;

    /// As [`ReplayStore::shard_of`](crate::replay::ReplayStore::shard_of): the server that counts the requests of
    /// `webhook_id` now.
    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        let _ = webhook_id;
        None
    }
}

impl<L: RateLimiter + ?Sized> RateLimiter for Arc<L> {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        (**self).check(webhook_id, quota)
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        (**self).shard_of(webhook_id)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// 100 days. The sum of several such windows fits into 64 bits of nanoseconds.
const MAX_WINDOW_MICROS: u64 = 100 * 86_400 * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_quotas_are_per_minute() {
        assert_eq!(Ok(Quota::DEFAULT_ACCEPTED), Quota::per_minute(100));
        assert_eq!(Ok(Quota::DEFAULT_REJECTED), Quota::per_minute(60));
    }
}

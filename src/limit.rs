//! How many requests a sender may make, and how many refused ones a peer.

mod local;
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
pub(crate) use rejected::{Charge, Peer, RejectedTraffic, Reservation};

/// A quota by the generic cell rate algorithm (GCRA): `burst` requests at once, then one each `period`.
///
/// In any window of length W, its ends included, at most `burst + floor(W / period)` requests pass, and a sender that
/// waited long enough gets exactly that many. So the usual reading of a quota and the promise that some need are two
/// settings:
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
    /// `burst` requests at once, then one each `period`, which is rounded up to whole microseconds.
    ///
    /// # Errors
    /// `burst` or `period` is zero, or their product is more than 100 days.
    pub fn new(burst: u32, period: Duration) -> Result<Self, ConfigError> {
        let burst = NonZeroU32::new(burst).ok_or(ConfigError::new("quota", "permits nothing"))?;
        let micros = u64::try_from(period.as_nanos().div_ceil(1_000)).ok().filter(|micros| *micros > 0);
        let micros =
            micros.ok_or(ConfigError::new("quota", "the period is zero or does not fit 64 bits of microseconds"))?;
        let window = micros.checked_mul(u64::from(burst.get())).filter(|window| *window <= MAX_WINDOW_MICROS);
        window.ok_or(ConfigError::new("quota", "period times burst is more than 100 days"))?;
        Ok(Self { burst, period: Duration::from_micros(micros) })
    }

    /// `count` requests at once, then evenly spread at that many a minute, the period rounded up to whole microseconds.
    ///
    /// So no rate is above one request each microsecond, which is 60 million a minute.
    ///
    /// # Errors
    /// `count` is zero.
    pub fn per_minute(count: u32) -> Result<Self, ConfigError> {
        let count = NonZeroU32::new(count).ok_or(ConfigError::new("quota", "permits nothing"))?;
        Self::new(count.get(), MINUTE.checked_div(count.get()).map_or(MINUTE, |period| round_up(period, count)))
    }

    /// Never more than `count` requests in any minute: half of them at once, the others spread over it.
    ///
    /// The period is rounded up to whole microseconds, so that it may be one fewer where 60 seconds cannot be shared out
    /// evenly. A single request a minute has a period of a minute and a microsecond, as both ends of a minute belong to it.
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

    /// The part of one of `replicas` processes that share the quota without knowing of each other: the burst is divided,
    /// rounded down to at least one, and the rate too.
    pub(crate) fn share(&self, replicas: NonZeroU32) -> Self {
        let burst = self.burst.get().checked_div(replicas.get()).and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let period = self.period.saturating_mul(replicas.get());
        // The longest window is kept to: a share of what is once in many days may come a little early.
        let longest = Duration::from_micros(MAX_WINDOW_MICROS).checked_div(burst.get()).unwrap_or(period);
        Self {
            burst,
            period: period.min(Duration::from_micros(u64::try_from(longest.as_micros()).unwrap_or(1).max(1))),
        }
    }

    /// How many requests pass at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// The time after which one more request passes, in whole microseconds.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The time after which a quota that was used up is whole again.
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

/// `Duration` divides down; a period must not be shorter than its share of the minute.
fn round_up(period: Duration, count: NonZeroU32) -> Duration {
    if period.saturating_mul(count.get()) < MINUTE { period.saturating_add(Duration::from_nanos(1)) } else { period }
}

/// How a key stands with its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaState {
    /// How many more requests would pass at once.
    pub remaining: u32,
    /// The time until the quota is whole again, if nothing more is counted.
    pub reset: Duration,
}

/// What a limiter says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It passes, and was counted.
    Allowed(QuotaState),
    /// It does not pass, and was not counted.
    Denied {
        /// The next one passes after this time, unless another takes its place, and not before.
        retry_after: Duration,
        /// How the key stands.
        quota_state: QuotaState,
    },
}

/// Counts accepted requests by webhook id. The one in this process is [`LocalLimiter`].
///
/// Only requests whose signature held are counted, so what a forger sends in a sender's name spends none of its quota.
pub trait RateLimiter: Send + Sync + 'static {
    /// Counts one request of `webhook_id` against `quota`, if it passes; a denied one is not counted.
    ///
    /// # Errors
    /// The store cannot answer now.
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>>;
}

impl<L: RateLimiter + ?Sized> RateLimiter for Arc<L> {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        (**self).check(webhook_id, quota)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// 100 days. Sums of a few such windows fit 64 bits of nanoseconds many times over.
const MAX_WINDOW_MICROS: u64 = 100 * 86_400 * 1_000_000;

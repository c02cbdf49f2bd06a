//! The clocks that a Warden reads.
//!
//! A [`ClockReading`] holds both clocks at one instant. Freshness and key validity use the wall clock, in seconds since
//! the Unix epoch. Quotas, leases and caches use the monotonic clock, which never goes back when the wall clock is set.
//!
//! [`SystemClock`] is the default. Tests use `hookwarden::testing::TestClock` (feature `testing`).
//!
//! ```
//! use hookwarden::clock::{Clock, SystemClock};
//!
//! let clock = SystemClock::default();
//! let (first, second) = (clock.now(), clock.now());
//! assert!(first.monotonic <= second.monotonic);
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::time::Timestamp;

/// A reading of both clocks at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock, for freshness and key validity.
    pub wall: Timestamp,
    /// The time since an arbitrary start, for quotas, leases and caches. It never goes back.
    pub monotonic: Duration,
}

impl ClockReading {
    /// Advances this reading to a later `monotonic`, as if the wall clock was not set in between. Times that were
    /// computed from this reading's wall clock can then be compared with the result.
    pub(crate) fn carried_on_to(self, monotonic: Duration) -> Self {
        let elapsed = monotonic.saturating_sub(self.monotonic).as_secs();
        Self { wall: self.wall.later_by(u32::try_from(elapsed).unwrap_or(u32::MAX)), monotonic }
    }
}

/// A source of time. Most applications use [`SystemClock`].
///
/// ```
/// use hookwarden::Timestamp;
/// use hookwarden::clock::{Clock, ClockReading, SystemClock};
///
/// /// The system's clocks, with the wall clock corrected by an offset in seconds.
/// struct Corrected {
///     system: SystemClock,
///     offset: i64,
/// }
///
/// impl Clock for Corrected {
///     fn now(&self) -> ClockReading {
///         let reading = self.system.now();
///         ClockReading { wall: Timestamp::from_unix(reading.wall.as_unix() + self.offset), ..reading }
///     }
/// }
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Reads both clocks.
    fn now(&self) -> ClockReading;

    /// Reads only the monotonic clock. It must agree with [`now`](Self::now).
    fn monotonic(&self) -> Duration {
        self.now().monotonic
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> ClockReading {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> ClockReading {
        ClockReading { wall: Timestamp::now(), monotonic: self.monotonic() }
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

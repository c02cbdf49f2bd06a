//! Reading the two clocks: both at a request's beginning, later on the monotonic one alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::time::Timestamp;

/// Both clocks at one moment. Freshness follows the wall clock; quotas follow the monotonic one, which no operator and no
/// time server can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The time since some start of the clock's own; it never goes back.
    pub monotonic: Duration,
}

impl ClockReading {
    /// The moment at which the monotonic clock shows `monotonic`, if nobody sets the wall clock until then. What was
    /// reckoned by the wall clock of this moment can be held against that one.
    pub(crate) fn carried_on_to(self, monotonic: Duration) -> Self {
        let elapsed = monotonic.saturating_sub(self.monotonic).as_secs();
        Self { wall: self.wall.later_by(u32::try_from(elapsed).unwrap_or(u32::MAX)), monotonic }
    }
}

/// Gives the time. Applications have no need for one but the system's; tests have.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> ClockReading;

    /// The present moment by the monotonic clock alone, for what has no need of the wall clock. It must be what
    /// [`now`](Self::now) would say of it.
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

/// The system's clocks.
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

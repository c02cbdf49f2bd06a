//! Reading the two clocks, once for each request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::time::Timestamp;

/// Both clocks at one moment. Freshness follows the wall clock; quotas follow the monotonic one, which no operator and no
/// time server can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// The time since some start of the clock's own; it never goes back.
    pub monotonic: Duration,
}

/// Gives the time. Applications have no need for one but the system's; tests have.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Moment;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Moment {
        (**self).now()
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
    fn now(&self) -> Moment {
        Moment { wall: Timestamp::now(), monotonic: self.start.elapsed() }
    }
}

//! A clock that is set by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, ClockReading};
use crate::time::Timestamp;

/// A clock that changes only when a test changes it. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
/// use hookwarden::testing::TestClock;
/// use hookwarden::Timestamp;
/// use hookwarden::clock::Clock;
///
/// let clock = TestClock::new(Timestamp::from_unix(1_800_000_000));
/// clock.advance(Duration::from_millis(1_500));
/// clock.step_wall(-3_600); // a time server corrects the wall clock
/// assert_eq!(clock.now().wall.as_unix(), 1_799_996_401);
/// assert_eq!(clock.now().monotonic, Duration::from_millis(1_500));
/// ```
#[derive(Debug, Clone)]
pub struct TestClock {
    time: Arc<Mutex<Time>>,
}

#[derive(Debug)]
struct Time {
    wall: i64,
    /// The part of the next second that has passed on the wall clock.
    part: Duration,
    monotonic: Duration,
}

impl TestClock {
    /// Creates a clock whose wall clock is at the start of the second `wall`, and whose monotonic clock is at zero.
    #[must_use]
    pub fn new(wall: Timestamp) -> Self {
        let time = Time { wall: wall.as_unix(), part: Duration::ZERO, monotonic: Duration::ZERO };
        Self { time: Arc::new(Mutex::new(time)) }
    }

    /// Advances both clocks.
    pub fn advance(&self, time: Duration) {
        self.set(|now| {
            let passed = now.part.saturating_add(time);
            now.wall = now.wall.saturating_add_unsigned(passed.as_secs());
            now.part = Duration::from_nanos(passed.subsec_nanos().into());
            now.monotonic = now.monotonic.saturating_add(time);
        });
    }

    /// Moves only the wall clock by `seconds`, forward or back.
    pub fn step_wall(&self, seconds: i64) {
        self.set(|now| now.wall = now.wall.saturating_add(seconds));
    }

    /// Sets only the wall clock, to the start of a second.
    pub fn set_wall(&self, wall: Timestamp) {
        self.set(|now| (now.wall, now.part) = (wall.as_unix(), Duration::ZERO));
    }

    /// Sets only the monotonic clock. A real monotonic clock never goes back.
    pub fn set_monotonic(&self, monotonic: Duration) {
        self.set(|now| now.monotonic = monotonic);
    }

    fn set(&self, change: impl FnOnce(&mut Time)) {
        change(&mut self.time.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Default for TestClock {
    /// 2027-01-15T08:00:00Z.
    fn default() -> Self {
        Self::new(Timestamp::from_unix(1_800_000_000))
    }
}

impl Clock for TestClock {
    fn now(&self) -> ClockReading {
        let time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        ClockReading { wall: Timestamp::from_unix(time.wall), monotonic: time.monotonic }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_seconds_add_up_on_both_clocks() {
        let clock = TestClock::new(Timestamp::from_unix(10));
        let seen = clock.clone();
        for _ in 0..3 {
            clock.advance(Duration::from_millis(400));
        }
        assert_eq!(
            seen.now(),
            ClockReading { wall: Timestamp::from_unix(11), monotonic: Duration::from_millis(1_200) }
        );
    }

    #[test]
    fn clocks_are_set_apart_and_saturate() {
        let clock = TestClock::new(Timestamp::from_unix(10));
        clock.set_wall(Timestamp::from_unix(-5));
        assert_eq!(clock.now(), ClockReading { wall: Timestamp::from_unix(-5), monotonic: Duration::ZERO });
        clock.set_monotonic(Duration::from_secs(9));
        assert_eq!(clock.now(), ClockReading { wall: Timestamp::from_unix(-5), monotonic: Duration::from_secs(9) });
        clock.step_wall(i64::MIN);
        assert_eq!(clock.now().wall.as_unix(), i64::MIN);
        clock.set_wall(Timestamp::from_unix(0));
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), ClockReading { wall: Timestamp::from_unix(i64::MAX), monotonic: Duration::MAX });
    }
}

//! The state of one key, packed into eight bytes.

use std::time::Duration;

use crate::clock::ClockReading;
use crate::keyed_hash::split;
use crate::replay::Claimant;
use crate::time::Timestamp;

/// Both clocks, relative to the first use of the store, so that few bits are enough for decades.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    start: Timestamp,
    wall: Timestamp,
    monotonic: Duration,
}

impl Now {
    pub(super) const fn since(start: ClockReading, now: ClockReading) -> Self {
        Self { start: start.wall, wall: now.wall, monotonic: now.monotonic.saturating_sub(start.monotonic) }
    }

    pub(super) const fn monotonic(&self) -> Duration {
        self.monotonic
    }
}

/// A claimant in 28 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// Claimants whose numbers differ only in the low 28 bits, such as those of one process, have different marks.
impl From<Claimant> for Mark {
    fn from(by: Claimant) -> Self {
        let [high, low] = split(by.number());
        let half = high ^ low;
        Self((half ^ (half >> MARK_BITS) ^ (half >> (2 * MARK_BITS))) & MARK)
    }
}

/// The state of a key at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyState {
    Free,
    Claimed { by: Mark, remaining: Duration },
    Finished { remaining: Duration },
}

/// From the highest bit down, either `1`, the mark (28 bits) and the lease's end (35 bits, ticks), or `0`, the end by
/// the monotonic clock (31 bits, seconds) and the last second by the wall clock (32 bits, offset by `WALL_ZERO`).
///
/// An end that is out of range is stored as the highest value, which never expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u64);

impl State {
    pub(super) fn claimed(by: Mark, lease: Duration, now: &Now) -> Self {
        let end = ticks_up(now.monotonic.saturating_add(lease)).min(LEASE_END);
        Self(CLAIMED | (by.0 << LEASE_END_BITS) | end)
    }

    /// The monotonic end is the second after `until`, computed from the current time of the wall clock.
    pub(super) fn finished(until: Timestamp, now: &Now) -> Self {
        let last = until.seconds_since(now.start).saturating_add(WALL_ZERO).clamp(0, i64::from(u32::MAX));
        let more = u64::try_from(until.seconds_since(now.wall).saturating_add(1)).unwrap_or_default();
        let end = seconds_up(now.monotonic).saturating_add(more).min(END);
        Self((end << WALL_BITS) | u64::try_from(last).unwrap_or_default())
    }

    pub(super) fn at(self, now: &Now) -> KeyState {
        if self.0 & CLAIMED == 0 { self.finished_at(now) } else { self.claimed_at(now) }
    }

    fn claimed_at(self, now: &Now) -> KeyState {
        let end = self.0 & LEASE_END;
        let remaining = Duration::from_nanos(end.saturating_mul(u64::from(TICK_NANOS))).saturating_sub(now.monotonic);
        if remaining.is_zero() && end != LEASE_END {
            return KeyState::Free;
        }
        KeyState::Claimed { by: Mark((self.0 >> LEASE_END_BITS) & MARK), remaining }
    }

    /// An entry is free when both clocks have passed its end. Setting the wall clock forward does not expire an entry
    /// early; setting it back keeps an entry longer.
    fn finished_at(self, now: &Now) -> KeyState {
        let (end, last) = (self.0 >> WALL_BITS, i64::try_from(self.0 & u64::from(u32::MAX)).unwrap_or_default());
        let today = now.wall.seconds_since(now.start).saturating_add(WALL_ZERO);
        let by_wall = u64::try_from(last.saturating_add(1).saturating_sub(today)).unwrap_or_default();
        let by_monotonic = Duration::from_secs(end).saturating_sub(now.monotonic);
        let remaining = by_monotonic.max(Duration::from_secs(by_wall));
        if remaining.is_zero() && end != END { KeyState::Free } else { KeyState::Finished { remaining } }
    }
}

fn ticks_up(time: Duration) -> u64 {
    let part = time.subsec_nanos().div_ceil(TICK_NANOS);
    time.as_secs().saturating_mul(TICKS_PER_SECOND).saturating_add(u64::from(part))
}

fn seconds_up(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

const CLAIMED: u64 = 1 << 63;
const MARK_BITS: usize = 28;
const MARK: u64 = (1 << MARK_BITS) - 1;

/// 35 bits of ticks are 17 years.
const LEASE_END_BITS: u32 = 35;
const LEASE_END: u64 = (1 << LEASE_END_BITS) - 1;
const TICKS_PER_SECOND: u64 = 64;
const TICK_NANOS: u32 = 15_625_000;

/// 31 bits of seconds are 68 years. The 32 bits for the wall clock reach 68 years back and 68 years ahead.
const END: u64 = (1 << 31) - 1;
const WALL_BITS: u32 = 32;
const WALL_ZERO: i64 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    const START: ClockReading =
        ClockReading { wall: Timestamp::from_unix(1_800_000_000), monotonic: Duration::from_secs(50) };

    fn now(wall: i64, monotonic: Duration) -> Now {
        let reading = ClockReading {
            wall: Timestamp::from_unix(START.wall.as_unix().saturating_add(wall)),
            monotonic: START.monotonic.saturating_add(monotonic),
        };
        Now::since(START, reading)
    }

    fn until(wall: i64) -> Timestamp {
        Timestamp::from_unix(START.wall.as_unix().saturating_add(wall))
    }

    fn is_finished(state: State, at: Now) -> bool {
        matches!(state.at(&at), KeyState::Finished { .. })
    }

    #[test]
    fn lease_ends_exactly_after_its_last_tick() {
        let mark = Mark(5);
        let begin = Duration::new(7, 1);
        let state = State::claimed(mark, Duration::from_secs(30), &now(0, begin));
        let held = |nanos| state.at(&now(0, begin + Duration::from_secs(30) - Duration::from_nanos(nanos)));
        assert!(matches!(held(1), KeyState::Claimed { by, .. } if by == mark));
        let rounded_up = Duration::from_secs(37) + Duration::from_nanos(u64::from(TICK_NANOS));
        assert!(matches!(
            state.at(&now(0, rounded_up - Duration::from_nanos(1))),
            KeyState::Claimed { remaining, .. } if remaining == Duration::from_nanos(1)
        ));
        assert_eq!(state.at(&now(0, rounded_up)), KeyState::Free);

        let whole = State::claimed(mark, Duration::from_secs(30), &now(0, Duration::from_secs(7)));
        assert_eq!(whole.at(&now(0, Duration::from_secs(37))), KeyState::Free);
    }

    #[test]
    fn finished_key_expires_when_both_clocks_pass() {
        let state = State::finished(until(300), &now(0, Duration::ZERO));
        let seconds = Duration::from_secs;
        assert!(is_finished(state, now(300, seconds(300))));
        assert!(is_finished(state, now(3_900, seconds(300))));
        assert!(is_finished(state, now(300, seconds(3_900))));
        assert!(is_finished(state, now(301, Duration::from_millis(300_999))));
        assert_eq!(state.at(&now(301, seconds(301))), KeyState::Free);
    }

    #[test]
    fn end_of_finished_key_is_rounded_up() {
        let state = State::finished(until(0), &now(0, Duration::from_millis(500)));
        assert!(is_finished(state, now(5, Duration::from_millis(1_999))));
        assert_eq!(state.at(&now(5, Duration::from_secs(2))), KeyState::Free);
    }

    #[test]
    fn extreme_times_are_stored_and_never_panic() {
        let walls = [i64::MIN, -1, 0, 1, i64::MAX];
        let times = [Duration::ZERO, Duration::from_secs(1), Duration::MAX];
        for (wall, monotonic) in walls.into_iter().flat_map(|wall| times.map(|time| (wall, time))) {
            let at = now(wall, monotonic);
            for lease in times.into_iter().skip(1) {
                let state = State::claimed(Mark(1), lease, &at);
                assert!(matches!(state.at(&at), KeyState::Claimed { .. }), "{wall} {monotonic:?} {lease:?}");
            }
            for until in [i64::MIN, -1, 0, 1, 1_800_000_000, i64::MAX].map(Timestamp::from_unix) {
                let state = State::finished(until, &at);
                assert!(is_finished(state, at) || until < at.wall, "{wall} {monotonic:?} {until:?}");
            }
        }
    }

    #[test]
    fn wall_clock_out_of_range_defers_to_monotonic() {
        let from_1970 = ClockReading { wall: Timestamp::from_unix(0), monotonic: Duration::ZERO };
        for century in [3_155_760_000_i64, 31_557_600_000] {
            let at = |seconds: i64| {
                let wall = Timestamp::from_unix(century.saturating_add(seconds));
                Now::since(from_1970, ClockReading { wall, monotonic: Duration::from_secs(seconds.unsigned_abs()) })
            };
            let state = State::finished(Timestamp::from_unix(century + 300), &at(0));
            assert!(is_finished(state, at(300)));
            assert_eq!(state.at(&at(301)), KeyState::Free);
        }
    }

    #[test]
    fn claimants_of_one_process_have_distinct_marks() {
        let mark = |number| Mark::from(Claimant::new(number)).0;
        let process = 0x1234_5678_9abc_def0_u128 << 64;
        let marks: std::collections::HashSet<u64> = (0..10_000).map(|count| mark(process | count)).collect();
        assert_eq!(marks.len(), 10_000);
        for bit in 0..u128::BITS {
            assert_ne!(mark(0), mark(1 << bit), "bit {bit}");
        }
    }
}

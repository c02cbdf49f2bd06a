//! The most common number of valid keys of a sender at a given time. Decoys have this many keys.

use std::collections::BTreeMap;

use arrayvec::ArrayVec;

use crate::crypto::mac::PreparedKeys;
use crate::secret::MAX_KEYS;
use crate::time::Timestamp;

/// The number of senders with each number of valid keys, at one time and after each change.
///
/// Adding and removing a sender takes logarithmic time in the number of change points. Reading takes time for each
/// change point between the last read and now, so repeated reads are cheap.
pub(super) struct LiveCounts {
    /// The counts at the time `at`.
    counts: [isize; SIZES],
    at: Timestamp,
    /// The changes of the counts, by the second in which they happen.
    changes: BTreeMap<Timestamp, [isize; SIZES]>,
}

impl LiveCounts {
    pub(super) fn add(&mut self, keys: &PreparedKeys) {
        self.count(keys, 1);
    }

    /// Reverses [`add`](Self::add).
    pub(super) fn remove(&mut self, keys: &PreparedKeys) {
        self.count(keys, -1);
    }

    fn count(&mut self, keys: &PreparedKeys, senders: isize) {
        change(&mut self.counts, keys.live_count(self.at), senders);
        let mut seconds: ArrayVec<Timestamp, { 2 * MAX_KEYS }> = keys.changes().take(2 * MAX_KEYS).collect();
        seconds.sort_unstable();
        let mut previous = None;
        for second in seconds {
            let (before, after) = (keys.live_count(second.previous()), keys.live_count(second));
            if before == after || previous.replace(second) == Some(second) {
                continue;
            }
            let changes = self.changes.entry(second).or_default();
            change(changes, before, senders.saturating_neg());
            change(changes, after, senders);
            if changes.iter().all(|count| *count == 0) {
                self.changes.remove(&second);
            }
        }
    }

    /// Returns the most common number of valid keys at `now` among the senders that have any.
    pub(super) fn common_at(&mut self, now: Timestamp) -> usize {
        // The wall clock may have been set back.
        let (later, earlier) = (now.max(self.at), now.min(self.at));
        let forward = now > self.at;
        for (_, changes) in self.changes.range(earlier..=later).filter(|(second, _)| **second > earlier) {
            for (count, change) in self.counts.iter_mut().zip(changes) {
                *count = if forward { count.saturating_add(*change) } else { count.saturating_sub(*change) };
            }
        }
        self.at = now;
        most_common(&self.counts)
    }

    /// Returns the most common numbers at all times, for senders that no longer change.
    pub(super) fn into_schedule(mut self) -> Schedule {
        let mut numbers = vec![(self.at, most_common(&self.counts))];
        let seconds: Vec<Timestamp> = self.changes.keys().copied().collect();
        for second in seconds {
            let number = self.common_at(second);
            if numbers.last().is_none_or(|(_, last)| *last != number) {
                numbers.push((second, number));
            }
        }
        Schedule { numbers: numbers.into() }
    }
}

impl Default for LiveCounts {
    fn default() -> Self {
        Self { counts: [0; SIZES], at: Timestamp::from_unix(i64::MIN), changes: BTreeMap::new() }
    }
}

/// The most common numbers of valid keys, each with the time from which it applies.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    numbers: Box<[(Timestamp, usize)]>,
}

impl Schedule {
    pub(super) fn common_at(&self, now: Timestamp) -> usize {
        let later = self.numbers.partition_point(|(from, _)| *from <= now);
        later.checked_sub(1).and_then(|index| self.numbers.get(index)).map_or(1, |(_, number)| *number)
    }
}

fn change(counts: &mut [isize; SIZES], size: usize, by: isize) {
    if let Some(count) = counts.get_mut(size) {
        *count = count.saturating_add(by);
    }
}

/// Returns the most common number of valid keys: the largest if several are equally common, and 1 if no sender has a
/// valid key.
fn most_common(counts: &[isize; SIZES]) -> usize {
    let sizes = counts.iter().enumerate().skip(1).filter(|(_, count)| **count > 0);
    sizes.max_by_key(|(_, count)| **count).map_or(1, |(size, _)| size)
}

/// The numbers of valid keys that a sender can have: 0 to 8.
const SIZES: usize = MAX_KEYS + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::Scheme;
    use crate::secret::{Key, Keyring, Secret};

    const fn at(second: i64) -> Timestamp {
        Timestamp::from_unix(second)
    }

    /// Keys with the given first and last valid seconds.
    fn prepared(windows: &[(i64, i64)]) -> PreparedKeys {
        let key = |(index, (first, last)): (usize, &(i64, i64))| {
            let secret = Secret::from_bytes(format!("secret {index}")).unwrap();
            Key::new(&format!("k{index}"), secret).unwrap().not_before(at(*first)).not_after(at(*last))
        };
        Scheme::timestamped().prepare(&Keyring::from_keys(windows.iter().enumerate().map(key)).unwrap()).unwrap()
    }

    const MIN: i64 = i64::MIN;
    const MAX: i64 = i64::MAX;

    /// Five senders: three rotate at the same time, the fourth a little later, and the only key of the fifth has expired.
    fn senders() -> Vec<PreparedKeys> {
        let rotating = || prepared(&[(100, MAX), (MIN, 199)]);
        vec![rotating(), rotating(), rotating(), prepared(&[(150, MAX), (MIN, 249)]), prepared(&[(MIN, -1)])]
    }

    /// The expected number, computed by counting all senders.
    fn counted(senders: &[PreparedKeys], now: Timestamp) -> usize {
        let mut counts = [0; SIZES];
        senders.iter().for_each(|keys| change(&mut counts, keys.live_count(now), 1));
        most_common(&counts)
    }

    #[test]
    fn common_number_follows_the_clock_both_ways() {
        let senders = senders();
        let mut counts = LiveCounts::default();
        senders.iter().for_each(|keys| counts.add(keys));
        let seconds = [MIN, 0, 99, 100, 150, 199, 200, 249, 250, MAX, 200, 150, 99, MIN, 199];
        let expected = [1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 2, 1, 1, 2];
        assert_eq!(seconds.map(|second| counted(&senders, at(second))), expected);
        assert_eq!(seconds.map(|second| counts.common_at(at(second))), expected);
    }

    #[test]
    fn schedule_contains_only_changes() {
        let mut counts = LiveCounts::default();
        senders().iter().for_each(|keys| counts.add(keys));
        let schedule = counts.into_schedule();
        assert_eq!(*schedule.numbers, [(at(MIN), 1), (at(100), 2), (at(200), 1)]);
        assert_eq!([MIN, 99, 100, 199, 200, MAX].map(|second| schedule.common_at(at(second))), [1, 1, 2, 2, 1, 1]);
        assert_eq!(Schedule::default().common_at(at(0)), 1);
    }

    #[test]
    fn removed_sender_no_longer_counts() {
        let senders = senders();
        let mut counts = LiveCounts::default();
        senders.iter().for_each(|keys| counts.add(keys));
        assert_eq!(counts.common_at(at(199)), 2);
        for (index, keys) in senders.iter().enumerate() {
            counts.remove(keys);
            for second in [0, 100, 199, 200, 250] {
                assert_eq!(counts.common_at(at(second)), counted(&senders[index + 1..], at(second)));
            }
        }
        assert_eq!((counts.counts, counts.changes.len()), ([0; SIZES], 0));
    }

    #[test]
    fn sender_added_or_removed_anytime_counts_correctly() {
        let keys =
            prepared(&[(100, 200), (150, 250), (100, 100), (MIN, 120), (121, MAX), (100, 200), (7, 7), (100, 7000)]);
        let mut counts = LiveCounts::default();
        for (added, removed) in [(0, 100), (100, 0), (160, 90), (9_000, 150), (MAX, MIN)] {
            counts.common_at(at(added));
            counts.add(&keys);
            for second in [MIN, 7, 8, 100, 101, 120, 121, 150, 200, 201, 251, 7000, 7001, MAX] {
                assert_eq!(counts.common_at(at(second)), keys.live_count(at(second)).max(1), "at {second}");
            }
            counts.common_at(at(removed));
            counts.remove(&keys);
            assert_eq!((counts.counts, counts.changes.len()), ([0; SIZES], 0));
        }
    }

    #[test]
    fn tie_selects_the_larger_number() {
        let mut counts = LiveCounts::default();
        [prepared(&[(MIN, MAX)]), prepared(&[(MIN, MAX), (MIN, MAX)])].iter().for_each(|keys| counts.add(keys));
        assert_eq!(counts.common_at(at(0)), 2);
    }
}

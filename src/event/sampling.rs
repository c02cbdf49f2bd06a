//! Decides which of many similar events are logged, and counts the others.
//!
//! At most `per_second` lines are written each second, and memory is bounded. The lines and the counts add up to the
//! number of events.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

/// Samples events by a key. `S` is the data that a later line about the key needs.
pub(super) struct Sampler<S> {
    /// How many events of one key are logged in its window.
    pub(super) burst: u32,
    /// How many lines are written each second, over all keys.
    pub(super) per_second: u32,
    hasher: RandomState,
    windows: HashMap<u64, Window<S>>,
    /// When each window ends. All have the same length, so they end in the order in which they started.
    ends: VecDeque<(Duration, u64)>,
    second: u64,
    spent: u32,
    /// Events of keys without a window, and when they are due to be logged.
    others: u64,
    others_due: Duration,
}

struct Window<S> {
    subject: S,
    lines: u32,
    suppressed: u64,
}

/// Events that were counted and not logged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suppressed<S> {
    /// The subject of their key; `None` for events of several keys.
    pub(super) subject: Option<S>,
    pub(super) count: u64,
}

impl<S> Sampler<S> {
    pub(super) fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst,
            per_second,
            hasher: RandomState::new(),
            windows: HashMap::new(),
            ends: VecDeque::new(),
            second: 0,
            spent: 0,
            others: 0,
            others_due: Duration::ZERO,
        }
    }

    /// Whether the event is logged; otherwise it is counted. A window opens only together with a line, which bounds
    /// both the windows and the lines at their ends.
    ///
    /// Call [`next_due`](Self::next_due) first: counts that are due take precedence for this second's lines.
    pub(super) fn admits(&mut self, key: &impl Hash, now: Duration, subject: impl FnOnce() -> S) -> bool {
        // Two keys with the same hash share a window, which is harmless. The hash is seeded, so attackers cannot
        // predict it.
        let key = self.hasher.hash_one(key);
        let affordable = self.affords_line(now);
        if let Some(window) = self.windows.get_mut(&key) {
            let admitted = affordable && window.lines < self.burst;
            if admitted {
                window.lines = window.lines.saturating_add(1);
                self.spent = self.spent.saturating_add(1);
            } else {
                window.suppressed = window.suppressed.saturating_add(1);
            }
            return admitted;
        }
        if affordable && self.windows.len() < MAX_WINDOWS {
            self.spent = self.spent.saturating_add(1);
            self.windows.insert(key, Window { subject: subject(), lines: 1, suppressed: 0 });
            self.ends.push_back((now.saturating_add(WINDOW), key));
            return true;
        }
        if self.others == 0 {
            self.others_due = now.saturating_add(WINDOW);
        }
        self.others = self.others.saturating_add(1);
        false
    }

    /// Returns the next count whose window has ended, if this second has a line left for it.
    pub(super) fn next_due(&mut self, now: Duration) -> Option<Suppressed<S>> {
        while let Some((_, key)) = self.ends.front().copied().filter(|(end, _)| *end <= now) {
            if self.windows.get(&key).is_some_and(|window| window.suppressed > 0) && !self.affords_line(now) {
                return None;
            }
            self.ends.pop_front();
            if let Some(suppressed) = self.windows.remove(&key).and_then(Window::into_suppressed) {
                self.spent = self.spent.saturating_add(1);
                return Some(suppressed);
            }
        }
        if self.others_due <= now && self.others > 0 && self.affords_line(now) {
            self.spent = self.spent.saturating_add(1);
            return self.take_others();
        }
        None
    }

    /// Returns a remaining count, due or not, and closes its window.
    pub(super) fn next(&mut self) -> Option<Suppressed<S>> {
        while let Some((_, key)) = self.ends.pop_front() {
            if let Some(suppressed) = self.windows.remove(&key).and_then(Window::into_suppressed) {
                return Some(suppressed);
            }
        }
        self.take_others()
    }

    fn take_others(&mut self) -> Option<Suppressed<S>> {
        let count = std::mem::take(&mut self.others);
        (count > 0).then_some(Suppressed { subject: None, count })
    }

    fn affords_line(&mut self, now: Duration) -> bool {
        // A thread may pass a time from an earlier second. That must not reset the current second's budget.
        if self.second < now.as_secs() {
            self.second = now.as_secs();
            self.spent = 0;
        }
        self.spent < self.per_second
    }
}

impl<S> Window<S> {
    fn into_suppressed(self) -> Option<Suppressed<S>> {
        let Self { subject, suppressed: count, .. } = self;
        (count > 0).then_some(Suppressed { subject: Some(subject), count })
    }
}

impl<S> fmt::Debug for Sampler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler")
            .field("burst", &self.burst)
            .field("per_second", &self.per_second)
            .field("windows", &self.windows.len())
            .finish_non_exhaustive()
    }
}

/// How long similar events are counted together.
const WINDOW: Duration = Duration::from_secs(60);

/// The maximum number of keys that are counted separately; the others are counted together.
const MAX_WINDOWS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1);
    const END: Duration = START.saturating_add(WINDOW);

    /// Sends an event of each key. Returns the number of logged events, and the counts that were due meanwhile.
    fn send(sampler: &mut Sampler<u32>, keys: impl Iterator<Item = u32>, now: Duration) -> (usize, Vec<u64>) {
        let mut counts = Vec::new();
        let admitted = keys.filter(|key| {
            counts.extend(std::iter::from_fn(|| sampler.next_due(now)).map(|suppressed| suppressed.count));
            sampler.admits(key, now, || *key)
        });
        (admitted.count(), counts)
    }

    #[test]
    fn key_gets_its_burst_and_then_one_count() {
        let mut sampler = Sampler::new(5, 1_000);
        assert_eq!(send(&mut sampler, std::iter::repeat_n(7, 100), START), (5, vec![]));
        assert_eq!(sampler.next_due(END.saturating_sub(Duration::from_nanos(1))), None);
        assert_eq!(sampler.next_due(END), Some(Suppressed { subject: Some(7), count: 95 }));
        assert_eq!(sampler.next_due(END), None);
        assert_eq!(send(&mut sampler, [7].into_iter(), END), (1, vec![]));
        assert_eq!(sampler.next(), None);
    }

    #[test]
    fn million_keys_leave_a_bounded_table() {
        let mut sampler = Sampler::new(5, 1_000_000);
        assert_eq!(send(&mut sampler, 0..1_000_000, START), (MAX_WINDOWS, vec![]));
        assert_eq!((sampler.windows.len(), sampler.ends.len()), (MAX_WINDOWS, MAX_WINDOWS));
        assert_eq!(sampler.next_due(END), Some(Suppressed { subject: None, count: 1_000_000 - 4096 }));
        assert_eq!((sampler.windows.len(), sampler.ends.len()), (0, 0));
    }

    #[test]
    fn due_counts_share_the_lines_of_a_second() {
        let mut sampler = Sampler::new(1, 10);
        let twice = |key: u32| [key, key];
        assert_eq!(send(&mut sampler, (0..10).flat_map(twice), START), (10, vec![]));
        // Ten windows end. Their counts use all the lines of the second, so the new keys get none.
        assert_eq!(send(&mut sampler, (10..20).flat_map(twice), END), (0, vec![1; 10]));
        assert_eq!(sampler.next_due(END.saturating_add(WINDOW)), Some(Suppressed { subject: None, count: 20 }));
    }

    #[test]
    fn late_thread_does_not_renew_a_second() {
        let mut sampler = Sampler::new(5, 10);
        let times = [START, START.saturating_sub(Duration::from_nanos(1))];
        let lines = (0..100).zip(times.into_iter().cycle()).filter(|(key, now)| sampler.admits(key, *now, || *key));
        assert_eq!(lines.count(), 10);
    }

    #[test]
    fn lines_and_counts_add_up_to_all_events() {
        let mut sampler = Sampler::new(3, 7);
        let (mut lines, mut counts, mut counted, mut state) = (0_u64, 0_u64, 0, 1_u32);
        for millisecond in 0..300_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let now = Duration::from_millis(millisecond);
            while let Some(suppressed) = sampler.next_due(now) {
                counts += 1;
                counted += suppressed.count;
            }
            lines += u64::from(sampler.admits(&((state >> 16) % 50), now, || 0_u32));
        }
        assert!(lines + counts <= 300 * 7 && counts > 50, "{lines} {counts}");
        while let Some(suppressed) = sampler.next() {
            counted += suppressed.count;
        }
        assert_eq!(lines + counted, 300_000);
    }
}

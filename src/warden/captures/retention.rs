//! Which captures are deleted to stay within the limits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use super::name::CaptureName;
use crate::time::Timestamp;

/// The limits of all captures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    pub(crate) request_bytes: usize,
    /// In seconds.
    pub(crate) age: u32,
}

/// A capture. `content` is `()` if it is in a file.
pub(super) struct Entry<T> {
    pub(super) name: Arc<CaptureName>,
    pub(super) bytes: usize,
    pub(super) content: T,
}

impl Limits {
    /// Takes the captures that are too old at `now`. Captures from the future, which were made while the clock was wrong,
    /// are kept: [`make_room`](Self::make_room) takes them first.
    pub(super) fn take_expired<T>(&self, kept: &mut Vec<Entry<T>>, now: Timestamp) -> Vec<Entry<T>> {
        let is_expired =
            |entry: &mut Entry<T>| now.seconds_since(Timestamp::from_unix(entry.name.time())) >= i64::from(self.age);
        kept.extract_if(.., is_expired).collect()
    }

    /// Takes the captures that are too old, and those that make room for `incoming`: the oldest of the largest group, in
    /// which `incoming` is counted. `kept` is in order of age, the oldest first.
    pub(super) fn make_room<T>(
        &self,
        kept: &mut Vec<Entry<T>>,
        incoming: &CaptureName,
        incoming_bytes: usize,
        now: Timestamp,
    ) -> Vec<Entry<T>> {
        let mut taken = self.take_expired(kept, now);
        let excess = kept.len().saturating_add(1).saturating_sub(self.requests);
        taken.extend(take_largest(kept, (incoming, 1), excess, |_| 1));
        let sum = kept.iter().fold(incoming_bytes, |sum, entry| sum.saturating_add(entry.bytes));
        taken.extend(take_largest(kept, (incoming, incoming_bytes), sum.saturating_sub(self.bytes), |bytes| bytes));
        taken
    }
}

/// Takes captures until their sizes are at least `excess`, each from the largest group at that point. Of equal groups, one
/// of unknown ids comes first, then the one with the oldest capture. The cost is near-linear in the number of captures.
fn take_largest<T>(
    kept: &mut Vec<Entry<T>>,
    (incoming, incoming_size): (&CaptureName, usize),
    mut excess: usize,
    size: impl Fn(usize) -> usize,
) -> Vec<Entry<T>> {
    if excess == 0 {
        return Vec::new();
    }
    // The size of each group, and its captures by index, the oldest first.
    let mut groups = BTreeMap::from([(incoming.group(), (incoming_size, VecDeque::new()))]);
    for (index, entry) in kept.iter().enumerate() {
        let (total, members) = groups.entry(entry.name.group()).or_default();
        *total = total.saturating_add(size(entry.bytes));
        members.push_back((index, size(entry.bytes)));
    }
    let ranked = |group: &str, total: usize, members: VecDeque<(usize, usize)>| {
        let oldest = members.front().map(|(index, _)| Reverse(*index))?;
        Some((total, !CaptureName::is_group_of_known_id(group), oldest, members))
    };
    let mut largest: BinaryHeap<_> =
        groups.into_iter().filter_map(|(group, (total, members))| ranked(group, total, members)).collect();
    let mut taken = BTreeSet::new();
    while excess > 0
        && let Some((total, is_unknown, _, mut members)) = largest.pop()
    {
        if let Some((index, size)) = members.pop_front() {
            taken.insert(index);
            excess = excess.saturating_sub(size);
            if let Some((oldest, _)) = members.front() {
                largest.push((total.saturating_sub(size), is_unknown, Reverse(*oldest), members));
            }
        }
    }
    let mut index = 0_usize;
    let is_taken = |_: &mut Entry<T>| {
        let is_taken = taken.contains(&index);
        index = index.saturating_add(1);
        is_taken
    };
    kept.extract_if(.., is_taken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;
    use crate::event::RefusalReason;

    const LIMITS: Limits = Limits { requests: 4, bytes: 100, request_bytes: 100, age: 60 };
    const MISMATCH: RefusalReason = RefusalReason::Unverified(Reason::Mismatch);

    fn named(time: i64, id: Option<&str>) -> CaptureName {
        CaptureName::new(Timestamp::from_unix(time), MISMATCH, id, 7, 0)
    }

    fn kept(entries: &[(i64, Option<&str>, usize)]) -> Vec<Entry<()>> {
        let entries = entries.iter();
        entries
            .map(|(time, id, bytes)| Entry { name: Arc::new(named(*time, *id)), bytes: *bytes, content: () })
            .collect()
    }

    /// Returns the times of the captures that are taken.
    fn taken(entries: &[(i64, Option<&str>, usize)], id: Option<&str>, bytes: usize, now: i64) -> Vec<i64> {
        let mut kept = kept(entries);
        let taken = LIMITS.make_room(&mut kept, &named(now, id), bytes, Timestamp::from_unix(now));
        assert_eq!(taken.iter().chain(&kept).count(), entries.len());
        taken.iter().map(|entry| entry.name.time()).collect()
    }

    #[test]
    fn oldest_of_the_largest_group_makes_room() {
        let (acme, beta) = (Some("acme"), Some("beta"));
        let entries = [(1, acme, 1), (2, None, 1), (3, None, 1), (4, beta, 1)];
        assert_eq!(taken(&entries, None, 1, 5), [2]);
        assert_eq!(taken(&entries, acme, 1, 5), [2], "two groups of two, and the one of unknown ids loses");
        let known = [(1, acme, 1), (2, beta, 1), (3, beta, 1), (4, None, 1)];
        assert_eq!(taken(&known, acme, 1, 5), [1], "two groups of two, and the older one loses");
        assert_eq!(taken(&entries[..3], None, 1, 5), [0; 0]);
        // By bytes: one large capture of `beta` against many small ones.
        assert_eq!(taken(&[(1, acme, 10), (2, acme, 10), (3, beta, 70)], None, 20, 5), [3]);
    }

    #[test]
    fn flood_of_strangers_keeps_the_other_groups() {
        let mut kept = kept(&[(1, Some("acme"), 10), (2, Some("beta"), 10)]);
        for time in 3..50 {
            let name = named(time, None);
            LIMITS.make_room(&mut kept, &name, 10, Timestamp::from_unix(time));
            kept.push(Entry { name: Arc::new(name), bytes: 10, content: () });
            assert!(kept.len() <= 4);
        }
        let times: Vec<i64> = kept.iter().map(|entry| entry.name.time()).collect();
        assert_eq!(times, [1, 2, 48, 49]);
    }

    #[test]
    fn capture_expires_at_its_age() {
        assert_eq!(taken(&[(0, None, 1), (1, None, 1)], None, 1, 60), [0]);
        assert_eq!(taken(&[(1_000, None, 1), (119, None, 1)], None, 1, 60), [0; 0], "the clock stepped back");
    }

    #[test]
    fn room_is_made_in_near_linear_time() {
        let limits = Limits { requests: 10_000, bytes: 10_000, request_bytes: 10_000, age: 60 };
        let ids: Vec<String> = (0..10_000).map(|number| format!("sender-{number}")).collect();
        let entries: Vec<_> = ids.iter().map(|id| (1, Some(id.as_str()), 1)).collect();
        let mut kept = kept(&entries);
        // A choice that goes through all captures for each deleted one makes 10^8 steps here.
        let began = std::time::Instant::now();
        let taken = limits.make_room(&mut kept, &named(2, None), 10_000, Timestamp::from_unix(2));
        assert_eq!((taken.len(), kept.len()), (10_000, 0));
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

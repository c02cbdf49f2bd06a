//! A table that strangers may fill: bounded, swept by its own calls, in shards.
//!
//! What a stranger can add, it can add a million times. So the number of entries has a cap, an entry that still means
//! something is never thrown out to make room for another, and what has lapsed is swept by the calls themselves: each
//! write looks at one shard more than its own, and sweeps it if that was not done for a while.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// A key by its hash under a secret that is random for each process, so that an entry is small whatever the key is.
///
/// Two of 65,536 keys share a hash in one of some 2³³ processes, and nobody can look for such a pair from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct HashedKey(u64);

impl HashedKey {
    pub(crate) fn new(secret: &RandomState, key: impl Hash) -> Self {
        Self(secret.hash_one(key))
    }
}

/// A time of the monotonic clock in nanoseconds, at most the 584 years that fit.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What is worth its place in a table for a time only.
pub(crate) trait Expires {
    /// The first moment, in nanoseconds of the monotonic clock, at which the entry is as good as none.
    fn expires_at(&self) -> u64;
}

/// There is no room for one more key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// At most `capacity` entries by [`HashedKey`].
pub(crate) struct BoundedTable<V> {
    shards: Box<[Shard<V>]>,
    /// Over all shards, so that the cap is exact however the keys fall.
    len: AtomicUsize,
    capacity: usize,
    /// The shard that is looked at next.
    ring: AtomicUsize,
}

/// On a cache line of its own, so that two cores at two shards don't disturb each other.
#[repr(align(64))]
struct Shard<V> {
    entries: Mutex<Entries<V>>,
    /// No sweeping before this moment.
    rests_until: AtomicU64,
}

type Entries<V> = HashMap<HashedKey, V, BuildHasherDefault<AsItIs>>;

impl<V: Default + Expires> BoundedTable<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        let shards = (capacity / ENTRIES_PER_SHARD).clamp(MIN_SHARDS, MAX_SHARDS).next_power_of_two();
        Self {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            len: AtomicUsize::new(0),
            capacity,
            ring: AtomicUsize::new(0),
        }
    }

    /// Whether there is no entry at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Reads the entry of `key`. It may have lapsed.
    pub(crate) fn read<R>(&self, key: HashedKey, read: impl FnOnce(&V) -> R) -> Option<R> {
        self.shard_of(key).lock().get(&key).map(read)
    }

    /// Changes the entry of `key`, which is `V::default()` if there was none. `now` is in nanoseconds.
    pub(crate) fn update<R>(&self, key: HashedKey, now: u64, change: impl FnOnce(&mut V) -> R) -> Result<R, Full> {
        self.tend(now);
        let shard = self.shard_of(key);
        let mut entries = shard.lock();
        self.sweep_if_due(shard, &mut entries, now);
        if let Some(entry) = entries.get_mut(&key) {
            return Ok(change(entry));
        }
        let room = self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |len| {
            if len < self.capacity { len.checked_add(1) } else { None }
        });
        match room {
            Ok(_) => Ok(change(entries.entry(key).or_default())),
            Err(_) => Err(Full),
        }
    }

    /// A little of the sweeping: one shard, or if the table is full, more of them until there is room.
    pub(crate) fn tend(&self, now: u64) {
        let first = self.ring.fetch_add(1, Ordering::Relaxed);
        for step in 0..MOST_TENDED {
            let shard = self.shard_at(first.wrapping_add(step));
            if let Some(mut entries) = shard.due(now).then(|| shard.try_lock()).flatten() {
                self.sweep_if_due(shard, &mut entries, now);
            }
            if self.len.load(Ordering::Relaxed) < self.capacity {
                return;
            }
        }
    }

    /// Costs what a shard holds, a few microseconds, and is done four times a second at the most.
    fn sweep_if_due(&self, shard: &Shard<V>, entries: &mut Entries<V>, now: u64) {
        if !shard.due(now) {
            return;
        }
        shard.rests_until.store(now.saturating_add(REST_NANOS), Ordering::Relaxed);
        let before = entries.len();
        entries.retain(|_, entry| now < entry.expires_at());
        self.len.fetch_sub(before.saturating_sub(entries.len()), Ordering::Relaxed);
        if entries.len() < entries.capacity() / 4 {
            entries.shrink_to(entries.len().saturating_mul(2));
        }
    }

    /// By bits that `HashMap` uses neither for the bucket nor for the tag within it.
    fn shard_of(&self, key: HashedKey) -> &Shard<V> {
        let [_, _, high, low, ..] = key.0.to_be_bytes();
        self.shard_at(usize::from(u16::from_be_bytes([high, low])))
    }

    #[expect(clippy::indexing_slicing, reason = "the number of shards is a power of two, and so a mask")]
    fn shard_at(&self, index: usize) -> &Shard<V> {
        &self.shards[index & self.shards.len().saturating_sub(1)]
    }
}

impl<V> Shard<V> {
    fn due(&self, now: u64) -> bool {
        self.rests_until.load(Ordering::Relaxed) <= now
    }

    /// A panic under the lock leaves every entry whole.
    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Entries<V>>> {
        match self.entries.try_lock() {
            Ok(entries) => Some(entries),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self { entries: Mutex::default(), rests_until: AtomicU64::new(0) }
    }
}

impl<V> fmt::Debug for BoundedTable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedTable")
            .field("len", &self.len.load(Ordering::Relaxed))
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// The hash of what is a hash already.
#[derive(Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    /// A [`HashedKey`] is one number, and no bytes.
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// So few that sweeping them all at once holds nobody up.
const ENTRIES_PER_SHARD: usize = 1_024;
const MIN_SHARDS: usize = 64;
const MAX_SHARDS: usize = 4_096;

/// The most shards that one call sweeps beside its own.
const MOST_TENDED: usize = 64;

/// A quarter of a second.
const REST_NANOS: u64 = 250_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry that lapses at the moment it holds.
    #[derive(Default)]
    struct Until(u64);

    impl Expires for Until {
        fn expires_at(&self) -> u64 {
            self.0
        }
    }

    const SECOND: u64 = 1_000_000_000;

    fn key(number: u64) -> HashedKey {
        // Spread like a hash, but the same in every run.
        HashedKey(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn put(table: &BoundedTable<Until>, number: u64, now: u64, until: u64) -> Result<(), Full> {
        table.update(key(number), now, |entry| entry.0 = until)
    }

    fn len(table: &BoundedTable<Until>) -> usize {
        let counted = table.shards.iter().map(|shard| shard.lock().len()).sum();
        assert_eq!(table.len.load(Ordering::Relaxed), counted);
        counted
    }

    fn slots(table: &BoundedTable<Until>) -> usize {
        table.shards.iter().map(|shard| shard.lock().capacity()).sum()
    }

    #[test]
    fn full_table_takes_no_new_key_and_keeps_the_others() {
        let table = BoundedTable::new(1_000);
        for number in 0..1_000 {
            assert_eq!(put(&table, number, 0, 60 * SECOND), Ok(()));
        }
        for number in 1_000..50_000 {
            assert_eq!(put(&table, number, 59 * SECOND, 90 * SECOND), Err(Full));
        }
        assert_eq!(len(&table), 1_000);
        for number in 0..1_000 {
            assert_eq!(table.read(key(number), |entry| entry.0), Some(60 * SECOND));
            assert_eq!(put(&table, number, 59 * SECOND, 61 * SECOND), Ok(()));
        }
    }

    #[test]
    fn full_table_with_lapsed_entries_anywhere_makes_room() {
        for capacity in [1, 2, 65] {
            let table = BoundedTable::new(capacity);
            for number in 0..u64::try_from(capacity).unwrap() {
                assert_eq!(put(&table, number, 0, 60 * SECOND), Ok(()));
            }
            assert_eq!(put(&table, 1_000, 60 * SECOND - 1, 90 * SECOND), Err(Full));
            // The pause since the last look has passed, and the entries have just lapsed.
            assert_eq!(put(&table, 1_000, 61 * SECOND, 90 * SECOND), Ok(()), "capacity {capacity}");
        }
    }

    #[test]
    fn flooded_table_gives_its_memory_back_to_a_trickle() {
        let table = BoundedTable::new(65_536);
        for number in 0..65_536 {
            assert_eq!(put(&table, number, 0, 60 * SECOND), Ok(()));
        }
        assert!(slots(&table) >= 65_536);
        for _ in 0..64 {
            assert_eq!(put(&table, 7, 60 * SECOND, 120 * SECOND), Ok(()));
        }
        assert_eq!(len(&table), 1);
        assert!(slots(&table) < 64, "{}", slots(&table));
    }

    #[test]
    fn call_sweeps_its_own_shard_and_one_more_while_there_is_room() {
        let table = BoundedTable::new(1_000);
        for number in 0..64 {
            assert_eq!(put(&table, number, 0, SECOND), Ok(()));
        }
        let swept = |table: &BoundedTable<Until>, now: u64| {
            table.shards.iter().filter(|shard| shard.rests_until.load(Ordering::Relaxed) == now + REST_NANOS).count()
        };
        assert_eq!(put(&table, 0, 2 * SECOND, 3 * SECOND), Ok(()));
        assert!((1..=2).contains(&swept(&table, 2 * SECOND)));
        table.tend(3 * SECOND);
        assert_eq!(swept(&table, 3 * SECOND), 1);
    }

    #[test]
    fn shard_that_was_swept_rests_for_a_quarter_of_a_second() {
        let table = BoundedTable::new(1);
        assert_eq!(put(&table, 1, 0, 1), Ok(()));
        assert_eq!(put(&table, 2, REST_NANOS - 1, SECOND), Err(Full));
        assert_eq!(put(&table, 2, REST_NANOS, SECOND), Ok(()));
    }

    #[test]
    fn many_threads_never_exceed_the_capacity() {
        let table = BoundedTable::new(100);
        let taken: usize = std::thread::scope(|scope| {
            let fill = |thread: u64| {
                let table = &table;
                scope.spawn(move || (0..500).filter(|n| put(table, thread * 500 + n, 0, SECOND).is_ok()).count())
            };
            let threads: Vec<_> = (0..4).map(fill).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((taken, len(&table)), (100, 100));
    }
}

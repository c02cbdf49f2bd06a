//! A bounded table for keys that unauthenticated clients choose.
//!
//! A client can add any number of keys, so the table has a capacity, and it never evicts a live entry to make room for
//! another. Writes remove expired entries, so no background task is needed. Each write checks its own shard and one
//! more, and sweeps a shard at most four times a second.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::keyed_hash::HashedKey;

/// Converts a time on the monotonic clock to nanoseconds. It saturates after 584 years.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// An entry that expires.
pub(crate) trait Expires {
    /// The time, in nanoseconds of the monotonic clock, from which the entry can be removed.
    fn expires_at(&self) -> u64;
}

/// The table has no room for another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// A table of at most `capacity` entries, in shards with a lock each.
pub(crate) struct BoundedTable<V> {
    shards: Box<[Shard<V>]>,
    /// The number of entries in all shards, so that the capacity is exact for any distribution of the keys.
    len: AtomicUsize,
    capacity: usize,
    /// The shard to sweep next, modulo the number of shards.
    next_shard: AtomicUsize,
}

/// A shard, aligned to a cache line to avoid false sharing.
#[repr(align(64))]
struct Shard<V> {
    entries: Mutex<Entries<V>>,
    /// The time of the next sweep at the earliest, in nanoseconds.
    next_sweep: AtomicU64,
}

type Entries<V> = HashMap<HashedKey, V, BuildHasherDefault<IdentityHasher>>;

impl<V: Default + Expires> BoundedTable<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        let shards = (capacity / ENTRIES_PER_SHARD).clamp(MIN_SHARDS, MAX_SHARDS).next_power_of_two();
        Self {
            shards: (0..shards).map(|_| Shard::default()).collect(),
            len: AtomicUsize::new(0),
            capacity,
            next_shard: AtomicUsize::new(0),
        }
    }

    /// Reads the entry of `key`, which may have expired.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn read<R>(&self, key: HashedKey, read: impl FnOnce(&V) -> R) -> Option<R> {
        self.shard_of(key).lock().get(&key).map(read)
    }

    /// Changes the entry of `key`, which is inserted as `V::default()` if it is missing. `now` is in nanoseconds.
    ///
    /// # Errors
    /// The entry is missing and the table is full.
    pub(crate) fn update<R>(&self, key: HashedKey, now: u64, change: impl FnOnce(&mut V) -> R) -> Result<R, Full> {
        self.sweep_some(now);
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

    /// Changes the entry of `key` if there is one, without sweeping.
    pub(crate) fn change<R>(&self, key: HashedKey, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.shard_of(key).lock().get_mut(&key).map(change)
    }

    /// Sweeps the next shard if it is due. If the table is full, it continues with up to 64 shards until there is room.
    pub(crate) fn sweep_some(&self, now: u64) {
        // This need not be one atomic operation: a lost update only makes a later call check a shard again.
        let first = self.next_shard.load(Ordering::Relaxed);
        self.next_shard.store(first.wrapping_add(1), Ordering::Relaxed);
        for step in 0..MAX_SWEPT_PER_CALL {
            let shard = self.shard_at(first.wrapping_add(step));
            if let Some(mut entries) = shard.is_due(now).then(|| shard.try_lock()).flatten() {
                self.sweep_if_due(shard, &mut entries, now);
            }
            if self.len.load(Ordering::Relaxed) < self.capacity {
                return;
            }
        }
    }

    /// Removes expired entries. It takes a few microseconds, and runs at most four times a second for each shard.
    fn sweep_if_due(&self, shard: &Shard<V>, entries: &mut Entries<V>, now: u64) {
        if !shard.is_due(now) {
            return;
        }
        shard.next_sweep.store(now.saturating_add(SWEEP_INTERVAL_NANOS), Ordering::Relaxed);
        let before = entries.len();
        entries.retain(|_, entry| now < entry.expires_at());
        self.len.fetch_sub(before.saturating_sub(entries.len()), Ordering::Relaxed);
        if entries.len() < entries.capacity() / 4 {
            entries.shrink_to(entries.len().saturating_mul(2));
        }
    }

    /// Selects the shard by bits that `HashMap` uses neither for the bucket nor for the tag within it.
    fn shard_of(&self, key: HashedKey) -> &Shard<V> {
        let [_, _, high, low, ..] = key.as_u64().to_be_bytes();
        self.shard_at(usize::from(u16::from_be_bytes([high, low])))
    }

    #[expect(clippy::indexing_slicing, reason = "the mask keeps the index below the number of shards, a power of two")]
    fn shard_at(&self, index: usize) -> &Shard<V> {
        &self.shards[index & self.shards.len().saturating_sub(1)]
    }
}

impl<V> Shard<V> {
    fn is_due(&self, now: u64) -> bool {
        self.next_sweep.load(Ordering::Relaxed) <= now
    }

    /// Ignores poisoning: a panic under the lock leaves every entry complete.
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
        Self { entries: Mutex::default(), next_sweep: AtomicU64::new(0) }
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

/// A hasher for keys that are already hashes.
#[derive(Debug, Default)]
pub(crate) struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    /// Unused: such keys call only `write_u64`.
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The usual number of entries in a shard. Sweeping that many does not delay other calls.
const ENTRIES_PER_SHARD: usize = 1_024;
const MIN_SHARDS: usize = 64;
const MAX_SHARDS: usize = 4_096;

/// The maximum number of shards that one call sweeps besides its own.
const MAX_SWEPT_PER_CALL: usize = 64;

/// A quarter of a second.
const SWEEP_INTERVAL_NANOS: u64 = 250_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry that expires at the time it holds.
    #[derive(Default)]
    struct Until(u64);

    impl Expires for Until {
        fn expires_at(&self) -> u64 {
            self.0
        }
    }

    const SECOND: u64 = 1_000_000_000;

    fn key(number: u64) -> HashedKey {
        // Spread like a hash, but deterministic.
        HashedKey::from_u64(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
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
    fn full_table_refuses_new_keys_and_keeps_others() {
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
    fn full_table_reuses_room_of_expired_entries() {
        for capacity in [1, 2, 65] {
            let table = BoundedTable::new(capacity);
            for number in 0..u64::try_from(capacity).unwrap() {
                assert_eq!(put(&table, number, 0, 60 * SECOND), Ok(()));
            }
            assert_eq!(put(&table, 1_000, 60 * SECOND - 1, 90 * SECOND), Err(Full));
            // The sweep interval has passed, and the entries have expired.
            assert_eq!(put(&table, 1_000, 61 * SECOND, 90 * SECOND), Ok(()), "capacity {capacity}");
        }
    }

    #[test]
    fn flooded_table_shrinks_under_light_use() {
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
    fn update_with_room_sweeps_at_most_two_shards() {
        let table = BoundedTable::new(1_000);
        for number in 0..64 {
            assert_eq!(put(&table, number, 0, SECOND), Ok(()));
        }
        let swept = |table: &BoundedTable<Until>, now: u64| {
            table
                .shards
                .iter()
                .filter(|shard| shard.next_sweep.load(Ordering::Relaxed) == now + SWEEP_INTERVAL_NANOS)
                .count()
        };
        assert_eq!(put(&table, 0, 2 * SECOND, 3 * SECOND), Ok(()));
        assert!((1..=2).contains(&swept(&table, 2 * SECOND)));
        table.sweep_some(3 * SECOND);
        assert_eq!(swept(&table, 3 * SECOND), 1);
    }

    #[test]
    fn shard_is_swept_once_per_quarter_second() {
        let table = BoundedTable::new(1);
        assert_eq!(put(&table, 1, 0, 1), Ok(()));
        assert_eq!(put(&table, 2, SWEEP_INTERVAL_NANOS - 1, SECOND), Err(Full));
        assert_eq!(put(&table, 2, SWEEP_INTERVAL_NANOS, SECOND), Ok(()));
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

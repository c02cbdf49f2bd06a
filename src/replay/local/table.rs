//! A table of keys in shards with a lock each.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::locked_keys::{LockedKeys, PerKey};
use super::shard::{Fingerprint, Shard};
use super::state::Now;
use crate::bounded::nanos;
use crate::keyed_hash::{HashedKey, WordHash, split};
use crate::verifier::ReplayKey;

pub(super) struct Table {
    /// The number of shards is a power of two.
    pub(super) shards: Box<[Slot]>,
    pub(super) shard_limit: usize,
    next_sweep: AtomicUsize,
    /// The two halves of a fingerprint.
    pub(super) prints: [WordHash<3>; 2],
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        let shards = capacity.div_euclid(ENTRIES_PER_SHARD).clamp(1, MAX_SHARDS).next_power_of_two();
        let share = capacity.div_ceil(shards);
        // Four standard deviations of a Poisson distribution: one shard in 30,000 is full before the store is.
        let chance = if shards == 1 { 0 } else { share.isqrt().saturating_mul(4) };
        Self {
            shards: std::iter::repeat_with(Slot::default).take(shards).collect(),
            shard_limit: share.saturating_add(chance),
            next_sweep: AtomicUsize::new(0),
            prints: Default::default(),
        }
    }

    /// Sweeps one more shard with each claim, so that the table shrinks even if no claim reaches that shard.
    pub(super) fn sweep_next(&self, now: &Now) {
        // This need not be one atomic operation: a lost update only makes a later call check a shard again.
        let next = self.next_sweep.load(Ordering::Relaxed);
        self.next_sweep.store(next.wrapping_add(1), Ordering::Relaxed);
        if let Some(slot) = self.shards.get(self.index(next)).filter(|slot| slot.is_due(now))
            && let Ok(mut shard) = slot.shard.try_lock()
        {
            slot.swept.store(nanos(now.monotonic()), Ordering::Relaxed);
            shard.sweep(now);
        }
    }

    /// Locks the shards of the keys in ascending order, so that calls cannot deadlock.
    pub(super) fn lock(&self, webhook_id: HashedKey, keys: &[ReplayKey]) -> LockedKeys<'_> {
        let place = |key: &ReplayKey| {
            let [high, low] = split(u128::from_be_bytes(*key.as_bytes()));
            let [first, second] = self.prints.each_ref().map(|hash| hash.of([webhook_id.as_u64(), high, low]).as_u64());
            let [.., high, low] = second.to_be_bytes();
            (self.index(usize::from(u16::from_be_bytes([high, low]))), Fingerprint(first, second))
        };
        let (mut prints, mut shards) = (PerKey::new(), PerKey::new());
        if let [key] = keys {
            prints.push(place(key));
        } else {
            prints.extend(keys.iter().map(place));
            prints.sort_unstable_by_key(|(index, _)| *index);
        }
        let mut last = None;
        for (index, _) in &prints {
            let is_locked = last.replace(*index) == Some(*index);
            if let Some(slot) = self.shards.get(*index).filter(|_| !is_locked) {
                shards.push((*index, slot.shard.lock().unwrap_or_else(PoisonError::into_inner)));
            }
        }
        LockedKeys { prints, shards }
    }

    fn index(&self, number: usize) -> usize {
        number & self.shards.len().saturating_sub(1)
    }
}

/// A shard and its lock.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) shard: Mutex<Shard>,
    /// The time of the last sweep of all shards in turn, in nanoseconds of the store's clock.
    swept: AtomicU64,
}

impl Slot {
    /// Whether the last sweep is so long ago that the cost of sweeping per second is negligible.
    fn is_due(&self, now: &Now) -> bool {
        nanos(now.monotonic()).saturating_sub(self.swept.load(Ordering::Relaxed)) >= SWEEP_NANOS
    }
}

/// Sweeping a shard of this size holds its lock for some tens of microseconds.
const ENTRIES_PER_SHARD: usize = 8_192;
pub(super) const MAX_SHARDS: usize = 4_096;

/// The interval between two sweeps of a shard: 30 seconds.
const SWEEP_NANOS: u64 = 30_000_000_000;

//! The replay store in this process.

mod locked_keys;
mod shard;
mod state;

use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::{Claim, Claimant, Delivery, ReplayStore};
use crate::bounded::nanos;
use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::keyed_hash::{HashedKey, WordHash, split};
use crate::secret::MAX_KEYS;
use crate::time::Timestamp;
use crate::verifier::ReplayKey;
use locked_keys::{LockedKeys, PerKey};
use shard::{Fingerprint, Shard};
use state::{KeyState, Mark, Now, State};

/// Stores deliveries in this process. Other processes do not see them: with several replicas, use a shared store.
///
/// **Capacity.** A delivery uses one entry for each key that is valid when it arrives, of up to 64 bytes each. The
/// memory is allocated as needed and shrinks again after a burst. A store supports a rate of capacity ÷ (seconds
/// remembered × valid keys). The default of 2²⁰ entries supports 1,747 deliveries a second, in up to 64 MiB, if each is
/// remembered for 600 s (the maximum for a tolerance of 300 s) and one key is valid. During a rotation two keys are
/// valid, and the rate halves.
///
/// **When it is full**, claims fail. It never evicts a live entry to make room: an attacker could fill the store and
/// then replay an evicted delivery. Calls remove expired entries, without a task or a timer.
///
/// Leases are rounded up to the next 1/64 s.
///
/// ```
/// use std::time::Duration;
///
/// use hookwarden::Timestamp;
/// use hookwarden::clock::{Clock, SystemClock};
/// use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
/// use hookwarden::verifier::ReplayKey;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (store, clock) = (LocalReplay::default(), SystemClock::default());
/// let until = Timestamp::from_unix(clock.now().wall.as_unix() + 300);
/// let delivery = Delivery { webhook_id: "orders", keys: &[ReplayKey::from_bytes([7; 16])], until };
///
/// let first = store.claim(delivery, Claimant::new(1), Duration::from_secs(30), clock.now()).await?;
/// assert_eq!(first, Claim::Granted);
/// assert!(store.commit(delivery, Claimant::new(1), clock.now()).await?);
/// let again = store.claim(delivery, Claimant::new(2), Duration::from_secs(30), clock.now()).await?;
/// assert_eq!(again, Claim::Finished);
/// # Ok::<(), hookwarden::error::StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalReplay {
    /// The number of shards is a power of two.
    shards: Box<[Slot]>,
    shard_limit: usize,
    next_sweep: AtomicUsize,
    start: OnceLock<ClockReading>,
    /// The two halves of a fingerprint.
    prints: [WordHash<3>; 2],
}

impl LocalReplay {
    /// Creates a store with room for at least `capacity` entries; a delivery uses one for each of its keys. With a
    /// capacity of zero every claim fails.
    ///
    /// Above 16,384 entries the store is split into shards with a lock each. Deliveries are distributed by a random
    /// hash, so each shard has some room to spare, and the store can hold up to 7 % more than `capacity`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shards = capacity.div_euclid(ENTRIES_PER_SHARD).clamp(1, MAX_SHARDS).next_power_of_two();
        let share = capacity.div_ceil(shards);
        // Four standard deviations of a Poisson distribution: one shard in 30,000 is full before the store is.
        let chance = if shards == 1 { 0 } else { share.isqrt().saturating_mul(4) };
        Self {
            shards: std::iter::repeat_with(Slot::default).take(shards).collect(),
            shard_limit: share.saturating_add(chance),
            next_sweep: AtomicUsize::new(0),
            start: OnceLock::new(),
            prints: Default::default(),
        }
    }

    /// [`ReplayStore::claim`] without a future.
    pub(crate) fn claim_now(
        &self,
        delivery: LocalDelivery<'_>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> Result<Claim, StoreError> {
        let (by, now) = (Mark::from(by), self.now(now));
        self.sweep_next(&now);
        let mut keys = self.lock(&delivery).ok_or(StoreError::new("a delivery must have one to eight keys"))?;

        let mut in_progress = None;
        for state in keys.states(&now) {
            match state {
                KeyState::Finished { .. } => return Ok(Claim::Finished),
                KeyState::Claimed { by: other, remaining } if other != by => {
                    in_progress = in_progress.max(Some(remaining));
                }
                KeyState::Claimed { .. } | KeyState::Free => {}
            }
        }
        if let Some(retry_after) = in_progress {
            return Ok(Claim::InProgress { retry_after });
        }
        keys.make_room(self.shard_limit, &now)?;
        keys.put(State::claimed(by, lease, &now));
        Ok(Claim::Granted)
    }

    /// [`ReplayStore::commit`] without a future. A commit may exceed the capacity, so it does not fail for lack of
    /// room.
    pub(crate) fn commit_now(&self, delivery: LocalDelivery<'_>, by: Claimant, now: ClockReading) -> bool {
        let (by, now) = (Mark::from(by), self.now(now));
        let Some(mut keys) = self.lock(&delivery) else { return false };
        let is_taken = |state| match state {
            KeyState::Finished { .. } => true,
            KeyState::Claimed { by: other, .. } => other != by,
            KeyState::Free => false,
        };
        if keys.states(&now).any(is_taken) || keys.make_room(usize::MAX, &now).is_err() {
            return false;
        }
        keys.put(State::finished(delivery.until, &now));
        true
    }

    /// [`ReplayStore::release`] without a future.
    pub(crate) fn release_now(&self, delivery: LocalDelivery<'_>, by: Claimant, now: ClockReading) -> bool {
        let (by, now) = (Mark::from(by), self.now(now));
        let Some(mut keys) = self.lock(&delivery) else { return false };
        let is_own = |state| matches!(state, KeyState::Claimed { by: owner, .. } if owner == by);
        let all_own = keys.states(&now).all(is_own);
        keys.remove_if(is_own, &now);
        all_own
    }

    fn now(&self, now: ClockReading) -> Now {
        Now::since(*self.start.get_or_init(|| now), now)
    }

    /// Sweeps one more shard with each claim, so that the store shrinks even if no claim reaches that shard.
    fn sweep_next(&self, now: &Now) {
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

    /// Locks the shards of a delivery's keys in ascending order, so that calls cannot deadlock.
    fn lock(&self, delivery: &LocalDelivery<'_>) -> Option<LockedKeys<'_>> {
        if !(1..=MAX_KEYS).contains(&delivery.keys.len()) {
            return None;
        }
        let place = |key: &ReplayKey| {
            let [high, low] = split(u128::from_be_bytes(*key.as_bytes()));
            let [first, second] =
                self.prints.each_ref().map(|hash| hash.of([delivery.id.as_u64(), high, low]).as_u64());
            let [.., high, low] = second.to_be_bytes();
            (self.index(usize::from(u16::from_be_bytes([high, low]))), Fingerprint(first, second))
        };
        let mut prints = PerKey::with_capacity(delivery.keys.len());
        delivery.keys.iter().for_each(|key| prints.push(place(key)));
        prints.sort_unstable_by_key(|(index, _)| *index);
        let (mut last, mut shards) = (None, PerKey::with_capacity(prints.len()));
        for (index, _) in &prints {
            let is_locked = last.replace(*index) == Some(*index);
            if let Some(slot) = self.shards.get(*index).filter(|_| !is_locked) {
                shards.push((*index, slot.shard.lock().unwrap_or_else(PoisonError::into_inner)));
            }
        }
        Some(LockedKeys { prints, shards })
    }

    fn index(&self, number: usize) -> usize {
        number & self.shards.len().saturating_sub(1)
    }
}

/// A shard and its lock.
#[derive(Default)]
struct Slot {
    shard: Mutex<Shard>,
    /// The time of the last sweep of all shards in turn, in nanoseconds of the store's clock.
    swept: AtomicU64,
}

impl Slot {
    /// Whether the last sweep is so long ago that the cost of sweeping per second is negligible.
    fn is_due(&self, now: &Now) -> bool {
        nanos(now.monotonic()).saturating_sub(self.swept.load(Ordering::Relaxed)) >= SWEEP_NANOS
    }
}

impl Default for LocalReplay {
    /// Creates a store of 2²⁰ entries.
    fn default() -> Self {
        Self::new(1 << 20)
    }
}

impl fmt::Debug for LocalReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalReplay")
            .field("shards", &self.shards.len())
            .field("shard_limit", &self.shard_limit)
            .finish_non_exhaustive()
    }
}

impl ReplayStore for LocalReplay {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(ready(self.claim_now(delivery.into(), by, lease, now)))
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Ok(self.commit_now(delivery.into(), by, now))))
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Ok(self.release_now(delivery.into(), by, now))))
    }
}

/// A [`Delivery`] with the hash of its webhook id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalDelivery<'a> {
    pub(crate) id: HashedKey,
    pub(crate) keys: &'a [ReplayKey],
    pub(crate) until: Timestamp,
}

impl<'a> From<Delivery<'a>> for LocalDelivery<'a> {
    fn from(Delivery { webhook_id, keys, until }: Delivery<'a>) -> Self {
        Self { id: HashedKey::of_id(webhook_id), keys, until }
    }
}

/// Sweeping a shard of this size holds its lock for some tens of microseconds.
const ENTRIES_PER_SHARD: usize = 8_192;
const MAX_SHARDS: usize = 4_096;

/// The interval between two sweeps of a shard: 30 seconds.
const SWEEP_NANOS: u64 = 30_000_000_000;

#[cfg(test)]
mod tests;

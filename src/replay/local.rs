//! A memory of deliveries within this process.

mod shard;
mod state;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::ready;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;

use super::{Claim, Claimant, Delivery, ReplayStore};
use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::secret::MAX_KEYS;
use crate::verifier::ReplayKey;
use shard::{Fingerprint, Shard};
use state::{Mark, Now, QuotaState, State};

/// Remembers deliveries in this process, in at most 64 bytes for each key of a delivery, taken when needed and given
/// back after a burst. Other processes know nothing of it: behind more than one, use a shared store.
///
/// A memory of a given capacity carries a rate of capacity ÷ (seconds remembered × live keys). The default of 2²⁰
/// entries, 600 s (the longest that a tolerance of 300 s asks for) and one live key carry 1,747 deliveries a second, in
/// up to 64 MiB. While keys rotate, a delivery has two keys, and the rate halves.
///
/// A full memory refuses: nothing is forgotten before its time to make room, since whoever fills it could then replay
/// what was forgotten. Expired entries are swept by the calls themselves; there is no task and no timer.
///
/// Leases are rounded up to the next 1/64 s.
///
/// ```
/// use std::time::Duration;
/// use hookwarden::Timestamp;
/// use hookwarden::clock::{Clock, SystemClock};
/// use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
/// use hookwarden::verifier::ReplayKey;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (memory, clock) = (LocalReplay::default(), SystemClock::default());
/// let until = Timestamp::from_unix(clock.now().wall.as_unix() + 300);
/// let delivery = Delivery { webhook_id: "orders", keys: &[ReplayKey::from_bytes([7; 16])], until };
///
/// let first = memory.claim(delivery, Claimant::new(1), Duration::from_secs(30), clock.now()).await?;
/// assert_eq!(first, Claim::Granted);
/// assert!(memory.commit(delivery, Claimant::new(1), clock.now()).await?);
/// let again = memory.claim(delivery, Claimant::new(2), Duration::from_secs(30), clock.now()).await?;
/// assert_eq!(again, Claim::Finished);
/// # Ok::<(), hookwarden::error::StoreError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalReplay {
    /// A power of two of them.
    shards: Box<[Mutex<Shard>]>,
    shard_limit: usize,
    next_sweep: AtomicUsize,
    start: OnceLock<ClockReading>,
    /// Nobody outside can foresee where a delivery falls.
    secret: RandomState,
}

impl LocalReplay {
    /// A memory of at least `capacity` entries; a delivery takes one for each of its keys. With a capacity of zero every
    /// claim fails.
    ///
    /// Above 16,384 it is spread over several locks by chance, and room for chance lets it hold up to 7 % more.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let shards = capacity.div_euclid(ENTRIES_PER_SHARD).clamp(1, MAX_SHARDS).next_power_of_two();
        let share = capacity.div_ceil(shards);
        // Four standard deviations of a Poisson distribution: one shard in 30,000 is full before the memory is.
        let chance = if shards == 1 { 0 } else { share.isqrt().saturating_mul(4) };
        Self {
            shards: std::iter::repeat_with(Mutex::default).take(shards).collect(),
            shard_limit: share.saturating_add(chance),
            next_sweep: AtomicUsize::new(0),
            start: OnceLock::new(),
            secret: RandomState::new(),
        }
    }

    /// As [`ReplayStore::claim`], at once.
    pub(crate) fn claim_now(
        &self,
        delivery: Delivery<'_>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> Result<Claim, StoreError> {
        let (by, now) = (Mark::from(by), self.now(now));
        self.sweep_next(&now);
        let mut keys = self.lock(&delivery).ok_or(StoreError::new("a delivery has from one to eight keys"))?;

        let mut in_progress = None;
        for quota_state in keys.standings(&now) {
            match quota_state {
                QuotaState::Finished { .. } => return Ok(Claim::Finished),
                QuotaState::Claimed { by: other, remaining } if other != by => {
                    in_progress = in_progress.max(Some(remaining));
                }
                QuotaState::Claimed { .. } | QuotaState::Free => {}
            }
        }
        if let Some(retry_after) = in_progress {
            return Ok(Claim::InProgress { retry_after });
        }
        keys.make_room(self.shard_limit, &now)?;
        keys.put(State::claimed(by, lease, &now));
        Ok(Claim::Granted)
    }

    /// As [`ReplayStore::commit`], at once. A commit exceeds the capacity rather than being lost.
    pub(crate) fn commit_now(&self, delivery: Delivery<'_>, by: Claimant, now: ClockReading) -> bool {
        let (by, now) = (Mark::from(by), self.now(now));
        let Some(mut keys) = self.lock(&delivery) else { return false };
        let is_anothers = |quota_state| match quota_state {
            QuotaState::Finished { .. } => true,
            QuotaState::Claimed { by: other, .. } => other != by,
            QuotaState::Free => false,
        };
        if keys.standings(&now).any(is_anothers) || keys.make_room(usize::MAX, &now).is_err() {
            return false;
        }
        keys.put(State::finished(delivery.until, &now));
        true
    }

    /// As [`ReplayStore::release`], at once.
    pub(crate) fn release_now(&self, delivery: Delivery<'_>, by: Claimant, now: ClockReading) -> bool {
        let (by, now) = (Mark::from(by), self.now(now));
        let Some(mut keys) = self.lock(&delivery) else { return false };
        let is_own = |quota_state| matches!(quota_state, QuotaState::Claimed { by: owner, .. } if owner == by);
        let all_own = keys.standings(&now).all(is_own);
        keys.remove_if(is_own, &now);
        all_own
    }

    fn now(&self, now: ClockReading) -> Now {
        Now::since(*self.start.get_or_init(|| now), now)
    }

    /// Looks at one shard more with each claim, so that the memory shrinks although no claim may fall into a shard.
    fn sweep_next(&self, now: &Now) {
        let shard = self.shards.get(self.index(self.next_sweep.fetch_add(1, Ordering::Relaxed)));
        if let Some(Ok(mut shard)) = shard.map(Mutex::try_lock)
            && shard.is_due(now)
        {
            shard.sweep(now);
        }
    }

    /// Locks the shards of a delivery's keys, always in ascending order, so that no two calls wait for each other.
    fn lock(&self, delivery: &Delivery<'_>) -> Option<LockedKeys<'_>> {
        if !(1..=MAX_KEYS).contains(&delivery.keys.len()) {
            return None;
        }
        let place = |key: &ReplayKey| {
            let mut hasher = self.secret.build_hasher();
            hasher.write(key.as_bytes());
            hasher.write(delivery.webhook_id.as_bytes());
            let first = hasher.finish();
            // The hash of one byte more is independent of the first.
            hasher.write_u8(0);
            let second = hasher.finish();
            let [.., high, low] = second.to_be_bytes();
            (self.index(usize::from(u16::from_be_bytes([high, low]))), Fingerprint(first, second))
        };
        let mut prints: PerKey<_> = delivery.keys.iter().map(place).collect();
        prints.sort_unstable_by_key(|(index, _)| *index);
        let mut last = None;
        let lock = |(index, _): &(usize, Fingerprint)| {
            let is_locked = last.replace(*index) == Some(*index);
            let shard = self.shards.get(*index).filter(|_| !is_locked)?;
            Some((*index, shard.lock().unwrap_or_else(PoisonError::into_inner)))
        };
        let mut shards = PerKey::with_capacity(prints.len());
        shards.extend(prints.iter().filter_map(lock));
        Some(LockedKeys { prints, shards })
    }

    fn index(&self, number: usize) -> usize {
        number & self.shards.len().saturating_sub(1)
    }
}

impl Default for LocalReplay {
    /// A memory of 2²⁰ entries.
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
        Box::pin(ready(self.claim_now(delivery, by, lease, now)))
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Ok(self.commit_now(delivery, by, now))))
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Ok(self.release_now(delivery, by, now))))
    }
}

/// One for each key of a delivery, of which few have more than two.
type PerKey<T> = SmallVec<[T; 2]>;

/// The keys of one delivery with all their shards locked, both in ascending order of the shards.
struct LockedKeys<'a> {
    prints: PerKey<(usize, Fingerprint)>,
    shards: PerKey<(usize, MutexGuard<'a, Shard>)>,
}

impl LockedKeys<'_> {
    fn standings(&self, now: &Now) -> impl Iterator<Item = QuotaState> {
        self.prints.iter().map(move |(index, print)| {
            let shard = self.shards.iter().find(|(locked, _)| locked == index);
            shard.map_or(QuotaState::Free, |(_, shard)| shard.quota_state(print, now))
        })
    }

    /// Makes room in every shard for the keys that are not held, before any of them is put.
    fn make_room(&mut self, limit: usize, now: &Now) -> Result<(), StoreError> {
        for (locked, shard) in &mut self.shards {
            let prints = self.prints.iter().filter(|(index, _)| index == locked);
            let more = prints.filter(|(_, print)| shard.quota_state(print, now) == QuotaState::Free).count();
            shard.make_room(more, limit, now)?;
        }
        Ok(())
    }

    fn put(&mut self, state: State) {
        self.each(|shard, print| shard.put(*print, state));
    }

    fn remove_if(&mut self, condition: impl Fn(QuotaState) -> bool, now: &Now) {
        self.each(|shard, print| {
            if condition(shard.quota_state(print, now)) {
                shard.remove(print);
            }
        });
    }

    fn each(&mut self, mut act: impl FnMut(&mut Shard, &Fingerprint)) {
        for (index, print) in &self.prints {
            if let Some((_, shard)) = self.shards.iter_mut().find(|(locked, _)| locked == index) {
                act(shard, print);
            }
        }
    }
}

/// A sweep of a shard takes some tens of microseconds under its lock.
const ENTRIES_PER_SHARD: usize = 8_192;
const MAX_SHARDS: usize = 4_096;

#[cfg(test)]
mod tests;

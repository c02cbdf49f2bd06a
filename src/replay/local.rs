//! The replay store in this process.

mod locked_keys;
mod shard;
mod state;
mod table;

use std::fmt;
use std::future::ready;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::store::MAX_REPLAY_KEYS;
use super::{Claim, Claimant, Delivery, DeliveryId, ReplayStore};
use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::keyed_hash::HashedKey;
use crate::time::Timestamp;
use crate::verifier::ReplayKey;
use locked_keys::LockedKeys;
use state::{KeyState, Mark, Now, State};
use table::Table;

/// Stores deliveries in this process. Other processes do not see them: with several replicas, use a shared store.
///
/// **Capacity.** A delivery uses one entry for each key that is valid when it arrives, and one for an id that a custom
/// scheme adds, such as the nonce of an HTTP Message Signature. Each has up to 64 bytes. The
/// memory is allocated as needed and shrinks again after a burst. A store supports a rate of capacity ÷ (seconds
/// remembered × valid keys). The default of 2²⁰ entries supports 1,747 deliveries a second, in up to 64 MiB, if each is
/// remembered for 600 s (the maximum for a tolerance of 300 s) and one key is valid. During a rotation two keys are
/// valid, and the rate halves.
///
/// **When it is full**, claims fail. It never evicts a live entry to make room: an attacker could fill the store and
/// then replay an evicted delivery. Calls remove expired entries, without a task or a timer.
///
/// **Delivery ids** have a table of the same capacity. They are kept for days, to recognize a retry that was signed again;
/// a copy of a handled request is known by its keys. So when that table is full, the ids that expire first are evicted, a
/// sixteenth of a shard at a time, and the Warden reports
/// [`DeliveryIdsEvicted`](crate::event::Warning::DeliveryIdsEvicted). The default capacity holds the ids of 4 deliveries a
/// second for 3 days.
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
/// let delivery = Delivery { webhook_id: "orders", keys: &[ReplayKey::from_bytes([7; 16])], until, id: None };
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
    keys: Table,
    /// The ids of deliveries. They have a table of their own because they are kept for days: ids that are never evicted
    /// would fill the store, and evicting keys would make replays possible.
    ids: Table,
    evicted_ids: AtomicBool,
    start: OnceLock<ClockReading>,
}

impl LocalReplay {
    /// Creates a store with room for at least `capacity` entries; a delivery uses one for each of its keys. With a
    /// capacity of zero every claim fails.
    ///
    /// Above 16,384 entries the store is split into shards with a lock each. Deliveries are distributed by a random
    /// hash, so each shard has some room to spare, and the store can hold up to 7 % more than `capacity`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            keys: Table::new(capacity),
            ids: Table::new(capacity),
            evicted_ids: AtomicBool::new(false),
            start: OnceLock::new(),
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
        self.keys.sweep_next(&now);
        if delivery.id.is_some() {
            self.ids.sweep_next(&now);
        }
        let (mut keys, mut id) =
            self.lock(&delivery).ok_or(StoreError::new("a delivery must have one to nine keys"))?;

        let mut in_progress = None;
        for state in keys.states(&now).chain(id.states(&now)) {
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
        keys.make_room(self.keys.shard_limit, &now)?;
        if id.make_room_by_evicting(self.ids.shard_limit, &now)? {
            self.evicted_ids.store(true, Ordering::Relaxed);
        }
        let claimed = State::claimed(by, lease, &now);
        keys.put(claimed);
        id.put(claimed);
        Ok(Claim::Granted)
    }

    /// [`ReplayStore::commit`] without a future. A commit may exceed the capacity, so it does not fail for lack of
    /// room.
    pub(crate) fn commit_now(&self, delivery: LocalDelivery<'_>, by: Claimant, now: ClockReading) -> bool {
        let (by, now) = (Mark::from(by), self.now(now));
        let Some((mut keys, mut id)) = self.lock(&delivery) else { return false };
        let mut needs_room = false;
        for state in keys.states(&now).chain(id.states(&now)) {
            match state {
                KeyState::Finished { .. } => return false,
                KeyState::Claimed { by: other, .. } if other != by => return false,
                KeyState::Claimed { .. } => {}
                KeyState::Free => needs_room = true,
            }
        }
        let has_room = |keys: &mut LockedKeys<'_>| keys.make_room(usize::MAX, &now).is_ok();
        if needs_room && !(has_room(&mut keys) && has_room(&mut id)) {
            return false;
        }
        keys.put(State::finished(delivery.until, &now));
        if let Some(DeliveryId { until, .. }) = delivery.id {
            id.put(State::finished(until, &now));
        }
        true
    }

    /// [`ReplayStore::release`] without a future.
    pub(crate) fn release_now(&self, delivery: LocalDelivery<'_>, by: Claimant, now: ClockReading) -> bool {
        let (by, now) = (Mark::from(by), self.now(now));
        let Some((mut keys, mut id)) = self.lock(&delivery) else { return false };
        let is_own = |state| matches!(state, KeyState::Claimed { by: owner, .. } if owner == by);
        let all_own = keys.states(&now).chain(id.states(&now)).all(is_own);
        keys.remove_if(is_own, &now);
        id.remove_if(is_own, &now);
        all_own
    }

    /// [`ReplayStore::forget`] without a future.
    pub(crate) fn forget_now(&self, webhook_id: HashedKey, id: ReplayKey, now: ClockReading) -> bool {
        let now = self.now(now);
        let mut id = self.ids.lock(webhook_id, &[id]);
        let is_finished = |state| matches!(state, KeyState::Finished { .. });
        let found = id.states(&now).any(is_finished);
        id.remove_if(is_finished, &now);
        found
    }

    /// Returns whether ids were evicted since the last call, because their table was full.
    pub(crate) fn take_evicted_ids(&self) -> bool {
        // Load before swap to avoid cache-line contention.
        self.evicted_ids.load(Ordering::Relaxed) && self.evicted_ids.swap(false, Ordering::Relaxed)
    }

    fn now(&self, now: ClockReading) -> Now {
        Now::since(*self.start.get_or_init(|| now), now)
    }

    /// Locks the keys and the id of a delivery, the keys first. `None` if it does not have one to nine keys.
    fn lock(&self, delivery: &LocalDelivery<'_>) -> Option<(LockedKeys<'_>, LockedKeys<'_>)> {
        if !(1..=MAX_REPLAY_KEYS).contains(&delivery.keys.len()) {
            return None;
        }
        let keys = self.keys.lock(delivery.webhook_id, delivery.keys);
        let id = delivery.id.map(|id| id.key);
        Some((keys, self.ids.lock(delivery.webhook_id, id.as_slice())))
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
            .field("shards", &self.keys.shards.len())
            .field("shard_limit", &self.keys.shard_limit)
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

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(ready(Ok(self.forget_now(HashedKey::of_id(webhook_id), id, now))))
    }
}

/// A [`Delivery`] with the hash of its webhook id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalDelivery<'a> {
    pub(crate) webhook_id: HashedKey,
    pub(crate) keys: &'a [ReplayKey],
    pub(crate) until: Timestamp,
    pub(crate) id: Option<DeliveryId>,
}

impl<'a> From<Delivery<'a>> for LocalDelivery<'a> {
    fn from(Delivery { webhook_id, keys, until, id }: Delivery<'a>) -> Self {
        Self { webhook_id: HashedKey::of_id(webhook_id), keys, until, id }
    }
}

#[cfg(test)]
mod tests;

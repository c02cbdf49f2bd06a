//! A part of the store with a lock: a table that is kept small.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::Duration;

use super::state::{KeyState, Now, State};
use crate::bounded::AsItIs;
use crate::error::StoreError;

/// A webhook id and a key as 128 bits that an attacker cannot predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) u64, pub(super) u64);

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Entries, some of which have expired and are not removed yet.
#[derive(Debug, Default)]
pub(super) struct Shard {
    entries: Entries,
    swept: Duration,
}

impl Shard {
    pub(super) fn state(&self, print: &Fingerprint, now: &Now) -> KeyState {
        self.entries.get(print).map_or(KeyState::Free, |state| state.at(now))
    }

    /// Makes sure that `more` entries fit below `limit`, and into the table without growing it: expired entries are
    /// removed, and a table of the right size replaces one that is too small or worn.
    pub(super) fn make_room(&mut self, more: usize, limit: usize, now: &Now) -> Result<(), StoreError> {
        let wanted = |shard: &Self| shard.entries.len().saturating_add(more);
        if wanted(self) <= limit.min(self.entries.capacity()) {
            return Ok(());
        }
        self.sweep(now);
        if wanted(self) > limit {
            return Err(StoreError::new("the replay memory is full").with_retry_after(self.soonest(now)));
        }
        if self.room() < more.max(self.slack()) {
            let mut entries = Entries::default();
            let size = self.entries.len().saturating_add(more.max(self.slack()));
            entries.try_reserve(size).map_err(|_| StoreError::new("no memory for the replay memory"))?;
            entries.extend(self.entries.drain());
            self.entries = entries;
        }
        Ok(())
    }

    /// Call [`make_room`](Self::make_room) first.
    pub(super) fn put(&mut self, print: Fingerprint, state: State) {
        self.entries.insert(print, state);
    }

    pub(super) fn remove(&mut self, print: &Fingerprint) {
        self.entries.remove(print);
    }

    /// Whether enough time went by that a sweep costs next to nothing for each second.
    pub(super) fn is_due(&self, now: &Now) -> bool {
        !self.entries.is_empty() && now.monotonic().saturating_sub(self.swept) >= SWEEP_EVERY
    }

    /// Removes expired entries, and shrinks the table once half of it is empty.
    pub(super) fn sweep(&mut self, now: &Now) {
        self.swept = now.monotonic();
        self.entries.retain(|_, state| state.at(now) != KeyState::Free);
        self.entries.shrink_to(self.entries.len().saturating_add(self.slack()));
    }

    fn room(&self) -> usize {
        self.entries.capacity().saturating_sub(self.entries.len())
    }

    /// Every sweep is followed by at least this many new entries before the next that growth asks for, so that sweeping
    /// costs a constant time for each of them. More would break the promise of 64 bytes.
    fn slack(&self) -> usize {
        self.entries.len().div_ceil(16)
    }

    /// When an entry may expire at the earliest, and no less than a second.
    fn soonest(&self, now: &Now) -> Duration {
        let remaining = self.entries.values().map(|state| match state.at(now) {
            KeyState::Free => Duration::ZERO,
            KeyState::Claimed { remaining, .. } | KeyState::Finished { remaining } => remaining,
        });
        remaining.min().unwrap_or_default().max(Duration::from_secs(1))
    }
}

#[cfg(test)]
impl Shard {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the table holds on the heap: a power of two of buckets, at most 7 of 8 in use, each with a control byte,
    /// and a group of 16 control bytes more.
    pub(super) fn bytes(&self) -> usize {
        match self.entries.capacity() {
            0 => 0,
            capacity => {
                let buckets = capacity.saturating_mul(8).div_ceil(7).next_power_of_two();
                buckets.saturating_mul(size_of::<(Fingerprint, State)>().saturating_add(1)).saturating_add(16)
            }
        }
    }
}

/// A fingerprint is a keyed hash already.
type Entries = HashMap<Fingerprint, State, BuildHasherDefault<AsItIs>>;

const SWEEP_EVERY: Duration = Duration::from_secs(30);

// A table that just doubled holds 16 buckets for each 7 entries.
const _: () = assert!(size_of::<(Fingerprint, State)>() == 24, "24 bytes and a control byte, times 16/7, are below 64");

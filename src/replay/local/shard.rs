//! A shard of the store: a table that shrinks when entries expire.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::Duration;

use super::state::{KeyState, Now, State};
use crate::bounded::IdentityHasher;
use crate::error::StoreError;

/// A keyed hash of a webhook id and a replay key, in 128 bits. An attacker cannot predict it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) u64, pub(super) u64);

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Entries, including expired ones that are not removed yet.
#[derive(Debug, Default)]
pub(super) struct Shard {
    entries: Entries,
}

impl Shard {
    pub(super) fn state(&self, print: &Fingerprint, now: &Now) -> KeyState {
        self.entries.get(print).map_or(KeyState::Free, |state| state.at(now))
    }

    /// Whether `more` entries fit within `limit`, and into the table without growing it.
    pub(super) fn has_room(&self, more: usize, limit: usize) -> bool {
        self.entries.len().saturating_add(more) <= limit.min(self.entries.capacity())
    }

    /// Ensures that `more` entries fit within `limit`, and into the table without growing it. It removes expired
    /// entries, and rebuilds a table that is too small or has too many tombstones.
    pub(super) fn make_room(&mut self, more: usize, limit: usize, now: &Now) -> Result<(), StoreError> {
        if self.has_room(more, limit) {
            return Ok(());
        }
        self.sweep(now);
        if self.entries.len().saturating_add(more) > limit {
            return Err(StoreError::new("the replay store is full").with_retry_after(self.soonest(now)));
        }
        if self.room() < more.max(self.slack()) {
            let mut entries = Entries::default();
            let size = self.entries.len().saturating_add(more.max(self.slack()));
            entries.try_reserve(size).map_err(|_| StoreError::new("no memory for the replay store"))?;
            entries.extend(self.entries.drain());
            self.entries = entries;
        }
        Ok(())
    }

    /// Call [`make_room`](Self::make_room) first, unless the key is stored already.
    pub(super) fn put(&mut self, print: Fingerprint, state: State) {
        self.entries.insert(print, state);
    }

    pub(super) fn remove(&mut self, print: &Fingerprint) {
        self.entries.remove(print);
    }

    /// Removes expired entries, and shrinks the table once half of it is empty.
    pub(super) fn sweep(&mut self, now: &Now) {
        self.entries.retain(|_, state| state.at(now) != KeyState::Free);
        self.entries.shrink_to(self.entries.len().saturating_add(self.slack()));
    }

    /// Removes a sixteenth of the finished entries, at least one: those that expire first.
    pub(super) fn evict(&mut self, now: &Now) {
        let remaining = |state: &State| match state.at(now) {
            KeyState::Finished { remaining } => Some(remaining),
            KeyState::Claimed { .. } | KeyState::Free => None,
        };
        let mut ends: Vec<Duration> = self.entries.values().filter_map(remaining).collect();
        let last = ends.len() / 16;
        if last < ends.len() {
            let (_, end, _) = ends.select_nth_unstable(last);
            let mut left = last.saturating_add(1);
            self.entries.retain(|_, state| {
                let evicts = left > 0 && remaining(state).is_some_and(|remaining| remaining <= *end);
                left = left.saturating_sub(usize::from(evicts));
                !evicts
            });
        }
    }

    fn room(&self) -> usize {
        self.entries.capacity().saturating_sub(self.entries.len())
    }

    /// The minimum number of new entries between two sweeps that make room. It keeps the cost of sweeping constant for
    /// each new entry. A larger number would exceed the documented 64 bytes for an entry.
    fn slack(&self) -> usize {
        self.entries.len().div_ceil(16)
    }

    /// Returns the time until the next entry expires, at least one second.
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

    /// The size of the table on the heap. The number of buckets is a power of two, and at most 7 of 8 are in use. Each
    /// has a control byte, and there are 16 more control bytes.
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

/// A fingerprint is already a keyed hash.
type Entries = HashMap<Fingerprint, State, BuildHasherDefault<IdentityHasher>>;

// A table that just doubled holds 16 buckets for each 7 entries.
const _: () = assert!(size_of::<(Fingerprint, State)>() == 24, "24 bytes and a control byte, times 16/7, are below 64");

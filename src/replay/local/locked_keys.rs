//! The keys of one delivery while their shards are locked.

use std::sync::MutexGuard;

use smallvec::SmallVec;

use super::shard::{Fingerprint, Shard};
use super::state::{KeyState, Now, State};
use crate::error::StoreError;

/// One value for each key of a delivery. Few deliveries have more than two.
pub(super) type PerKey<T> = SmallVec<[T; 2]>;

/// The keys of one delivery with their shards locked, both in ascending order of the shards.
pub(super) struct LockedKeys<'a> {
    pub(super) prints: PerKey<(usize, Fingerprint)>,
    pub(super) shards: PerKey<(usize, MutexGuard<'a, Shard>)>,
}

impl LockedKeys<'_> {
    pub(super) fn states(&self, now: &Now) -> impl Iterator<Item = KeyState> {
        self.prints.iter().map(move |(index, print)| {
            let shard = self.shards.iter().find(|(locked, _)| locked == index);
            shard.map_or(KeyState::Free, |(_, shard)| shard.state(print, now))
        })
    }

    /// Makes room in every shard for the keys that are not stored yet, before any is stored.
    pub(super) fn make_room(&mut self, limit: usize, now: &Now) -> Result<(), StoreError> {
        let most = self.prints.len();
        for (locked, shard) in self.shards.iter_mut().filter(|(_, shard)| !shard.has_room(most, limit)) {
            let prints = self.prints.iter().filter(|(index, _)| index == locked);
            let more = prints.filter(|(_, print)| shard.state(print, now) == KeyState::Free).count();
            shard.make_room(more, limit, now)?;
        }
        Ok(())
    }

    /// Like [`make_room`](Self::make_room), but evicts finished keys from a full shard. Returns whether it evicted any.
    pub(super) fn make_room_by_evicting(&mut self, limit: usize, now: &Now) -> Result<bool, StoreError> {
        if self.make_room(limit, now).is_ok() {
            return Ok(false);
        }
        self.shards.iter_mut().for_each(|(_, shard)| shard.evict(now));
        self.make_room(limit, now).map(|()| true)
    }

    pub(super) fn put(&mut self, state: State) {
        self.each(|shard, print| shard.put(*print, state));
    }

    pub(super) fn remove_if(&mut self, condition: impl Fn(KeyState) -> bool, now: &Now) {
        self.each(|shard, print| {
            if condition(shard.state(print, now)) {
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

//! The contract of a replay store as a small program: exact times in whole ticks, one map, no eviction.
//!
//! `tests/model` checks the protocol on it. `store_comparison` compares the stores of this crate with it.

use std::collections::BTreeMap;

/// A replay key of a webhook id, or a delivery id of it.
pub(crate) type Key = u32;

/// In ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Clocks {
    pub(crate) monotonic: i32,
    pub(crate) wall: i32,
}

/// One delivery: its keys with the last tick of the wall clock in which each must be stored once it is committed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Delivery {
    pub(crate) keys: Vec<(Key, i32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    Granted,
    InProgress { retry_after: i32 },
    Finished,
}

/// The clocks that decide when a committed delivery expires. Leases use the monotonic clock, which is the store's own
/// if it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Expiry {
    /// The process's monotonic and wall clock must both have passed the end.
    #[default]
    BothClocks,
    /// The store's own clock counts down the time that the process's wall clock had left.
    OwnClock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Entry {
    Claimed {
        by: u8,
        end: i32,
    },
    /// `last` is the last tick of the wall clock.
    Finished {
        end: i32,
        last: i32,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Store {
    pub(crate) expiry: Expiry,
    pub(crate) entries: BTreeMap<Key, Entry>,
}

impl Store {
    pub(crate) fn new(expiry: Expiry) -> Self {
        Self { expiry, entries: BTreeMap::new() }
    }

    pub(crate) fn claim(&mut self, delivery: &Delivery, by: u8, lease: i32, now: Clocks) -> Claim {
        let claim = self.state(delivery, by, now);
        if claim == Claim::Granted {
            self.put_claimed(delivery, by, lease, now);
        }
        claim
    }

    pub(crate) fn commit(&mut self, delivery: &Delivery, by: u8, now: Clocks) -> bool {
        let is_free = self.state(delivery, by, now) == Claim::Granted;
        if is_free {
            self.put_finished(delivery, now);
        }
        is_free
    }

    pub(crate) fn release(&mut self, delivery: &Delivery, by: u8, now: Clocks) -> bool {
        let is_own = |key| matches!(self.live(key, now), Some(Entry::Claimed { by: owner, .. }) if owner == by);
        let own: Vec<Key> = delivery.keys.iter().map(|(key, _)| *key).filter(|key| is_own(*key)).collect();
        for key in &own {
            self.entries.remove(key);
        }
        own.len() == delivery.keys.len()
    }

    /// Removes a finished id.
    pub(crate) fn forget(&mut self, id: Key, now: Clocks) -> bool {
        let is_finished = matches!(self.live(id, now), Some(Entry::Finished { .. }));
        if is_finished {
            self.entries.remove(&id);
        }
        is_finished
    }

    /// What a claim by `by` returns: `Granted` if every key is free or claimed by `by`.
    pub(crate) fn state(&self, delivery: &Delivery, by: u8, now: Clocks) -> Claim {
        let entries = || delivery.keys.iter().filter_map(|(key, _)| self.live(*key, now));
        if entries().any(|entry| matches!(entry, Entry::Finished { .. })) {
            return Claim::Finished;
        }
        let ends = entries().filter_map(|entry| match entry {
            Entry::Claimed { by: owner, end } if owner != by => Some(end),
            _ => None,
        });
        match ends.max() {
            Some(end) => Claim::InProgress { retry_after: end - now.monotonic },
            None => Claim::Granted,
        }
    }

    pub(crate) fn put_claimed(&mut self, delivery: &Delivery, by: u8, lease: i32, now: Clocks) {
        let entry = Entry::Claimed { by, end: now.monotonic + lease };
        self.entries.extend(delivery.keys.iter().map(|(key, _)| (*key, entry)));
    }

    pub(crate) fn put_finished(&mut self, delivery: &Delivery, now: Clocks) {
        let expiry = self.expiry;
        self.entries.extend(delivery.keys.iter().map(|&(key, until)| {
            let end = now.monotonic + (until - now.wall + 1).max(0);
            let last = if expiry == Expiry::BothClocks { until } else { i32::MIN };
            (key, Entry::Finished { end, last })
        }));
    }

    pub(crate) fn live(&self, key: Key, now: Clocks) -> Option<Entry> {
        self.entries.get(&key).copied().filter(|entry| entry.is_live(now))
    }

    pub(crate) fn remove_expired(&mut self, now: Clocks) {
        self.entries.retain(|_, entry| entry.is_live(now));
    }
}

impl Entry {
    pub(crate) fn is_live(self, now: Clocks) -> bool {
        match self {
            Self::Claimed { end, .. } => now.monotonic < end,
            Self::Finished { end, last } => now.monotonic < end || now.wall <= last,
        }
    }
}

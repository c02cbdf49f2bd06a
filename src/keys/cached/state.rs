//! The cached entries and the lookups in progress.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use clru::CLruCache;
use futures_util::future::Shared;

use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::keys::live_counts::LiveCounts;

pub(super) struct State {
    pub(super) known: CLruCache<Arc<str>, Known>,
    /// Counts the valid keys of `known`.
    pub(super) live: LiveCounts,
    /// The ids for which the last lookup returned no keys.
    pub(super) without: CLruCache<Arc<str>, Without>,
    pub(super) flights: HashMap<Arc<str>, Flight>,
    pub(super) next_flight: u64,
    /// The number of invalidations so far.
    pub(super) invalidations: u64,
}

impl State {
    pub(super) fn new(capacity: usize, unknown_capacity: usize) -> Self {
        Self {
            known: CLruCache::new(at_least_one(capacity)),
            live: LiveCounts::default(),
            without: CLruCache::new(at_least_one(unknown_capacity)),
            flights: HashMap::new(),
            next_flight: 0,
            invalidations: 0,
        }
    }

    pub(super) fn keep(&mut self, id: Arc<str>, known: Known) {
        self.live.add(&known.keys);
        let is_full = self.known.is_full() && !self.known.contains(&id);
        let evicted = if is_full { self.known.pop_back().map(|(_, known)| known) } else { None };
        for gone in [evicted, self.known.put(id, known)].into_iter().flatten() {
            self.live.remove(&gone.keys);
        }
    }

    pub(super) fn remove_keys(&mut self, id: &str) {
        if let Some(gone) = self.known.pop(id) {
            self.live.remove(&gone.keys);
        }
    }

    /// Removes the keys of `id`, and of all ids with the same canonical id.
    pub(super) fn remove_sender(&mut self, id: &str) {
        self.invalidations = self.invalidations.wrapping_add(1);
        let canonical: Arc<str> = self.known.peek(id).and_then(|known| known.keys.webhook_id()).unwrap_or(id).into();
        let same =
            |(other, known): &(&Arc<str>, &Known)| **other == canonical || known.keys.webhook_id() == Some(&*canonical);
        let others: Vec<Arc<str>> = self.known.iter().filter(same).map(|(other, _)| Arc::clone(other)).collect();
        others.iter().for_each(|other| self.remove_keys(other));
        self.remove_keys(id);
    }

    /// Empties the cache, and returns the lookups in progress.
    pub(super) fn clear(&mut self) -> HashMap<Arc<str>, Flight> {
        self.known.clear();
        self.live = LiveCounts::default();
        self.without.clear();
        std::mem::take(&mut self.flights)
    }
}

pub(super) struct Known {
    pub(super) keys: PreparedKeys,
    /// When the lookup began.
    pub(super) since: Duration,
}

pub(super) struct Without {
    /// `None` if the id is unknown.
    pub(super) error: Option<StoreError>,
    pub(super) until: Duration,
}

/// A lookup in progress, polled by the requests that wait for it.
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) began: Duration,
    /// The value of [`State::invalidations`] when the lookup began.
    pub(super) invalidations: u64,
    pub(super) waiting: usize,
    pub(super) answer: Shared<BoxFuture<'static, KeyAnswer>>,
}

/// The builder rejects a capacity of zero.
fn at_least_one(capacity: usize) -> NonZeroUsize {
    NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN)
}

/// The result of a lookup.
pub(crate) type KeyAnswer = Result<Option<PreparedKeys>, StoreError>;

//! What is cached, and the lookups in progress.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use clru::CLruCache;
use futures_util::future::Shared;

use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::secret::MAX_KEYS;

pub(super) struct State {
    pub(super) known: CLruCache<Arc<str>, Known>,
    /// The number of known ids with one key, with two keys, and so on.
    pub(super) sizes: [usize; MAX_KEYS],
    /// The ids for which the last lookup returned no keys.
    pub(super) without: CLruCache<Arc<str>, Without>,
    pub(super) flights: HashMap<Arc<str>, Flight>,
    pub(super) next_flight: u64,
}

impl State {
    pub(super) fn new(capacity: usize, unknown_capacity: usize) -> Self {
        Self {
            known: CLruCache::new(at_least_one(capacity)),
            sizes: [0; MAX_KEYS],
            without: CLruCache::new(at_least_one(unknown_capacity)),
            flights: HashMap::new(),
            next_flight: 0,
        }
    }

    pub(super) fn keep(&mut self, id: Arc<str>, known: Known) {
        self.count(&known, 1);
        let is_full = self.known.is_full() && !self.known.contains(&id);
        let evicted = if is_full { self.known.pop_back().map(|(_, known)| known) } else { None };
        for gone in [evicted, self.known.put(id, known)].into_iter().flatten() {
            self.count(&gone, -1);
        }
    }

    pub(super) fn forget_keys(&mut self, id: &str) {
        if let Some(gone) = self.known.pop(id) {
            self.count(&gone, -1);
        }
    }

    /// Empties the cache, and returns the lookups in progress.
    pub(super) fn clear(&mut self) -> HashMap<Arc<str>, Flight> {
        self.known.clear();
        self.sizes = [0; MAX_KEYS];
        self.without.clear();
        std::mem::take(&mut self.flights)
    }

    fn count(&mut self, known: &Known, change: isize) {
        if let Some(count) = known.keys.len().checked_sub(1).and_then(|index| self.sizes.get_mut(index)) {
            *count = count.saturating_add_signed(change);
        }
    }
}

pub(super) struct Known {
    pub(super) keys: PreparedKeys,
    /// When the store was asked.
    pub(super) since: Duration,
}

pub(super) struct Without {
    /// `None` if the id is unknown.
    pub(super) error: Option<StoreError>,
    pub(super) until: Duration,
}

/// A lookup in progress. The requests that wait for it drive it.
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) began: Duration,
    pub(super) waiting: usize,
    pub(super) answer: Shared<BoxFuture<'static, KeyAnswer>>,
}

/// The builder rejects a capacity of zero.
fn at_least_one(capacity: usize) -> NonZeroUsize {
    NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN)
}

/// The result of a lookup.
pub(crate) type KeyAnswer = Result<Option<PreparedKeys>, StoreError>;

//! What is known about the keys of a sender.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hookwarden::Keyring;
use hookwarden::clock::ClockReading;
use hookwarden::error::StoreError;
use tokio::sync::watch;

use super::{COOLDOWN, MIN_INTERVAL};
use crate::revocation::RevocationList;
use crate::set::KeySet;

/// How old keys may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    /// The longest time for which a document is fresh.
    pub(crate) fresh: Duration,
    /// The age at which keys are not used any more.
    pub(crate) stale: Duration,
}

impl Ages {
    /// No key is used for longer than `limit`.
    pub(crate) fn limited(self, limit: Option<Duration>) -> Self {
        let limit = limit.unwrap_or(Duration::MAX);
        Self { fresh: self.fresh.min(limit), stale: self.stale.min(limit) }
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(super) loaded: Option<Loaded>,
    /// Whether keys are used only with a list of revoked keys.
    needs_list: bool,
    pub(super) list: Option<LoadedList>,
    /// When the last fetch for an unknown key began.
    pub(super) searched: Option<Duration>,
    pub(super) failure: Option<Failure>,
    pub(super) flight: Option<Flight>,
    /// The number of fetches so far, which is the number of the last one.
    pub(super) fetches: u64,
    /// The keys that the application refuses.
    pub(super) revoked: BTreeSet<String>,
    /// The skipped keys that are in the log.
    pub(super) reported: BTreeSet<String>,
}

pub(super) struct Loaded {
    pub(super) set: KeySet,
    /// When the fetch began.
    pub(super) since: Duration,
    pub(super) fresh_for: Duration,
}

pub(super) struct LoadedList {
    pub(super) list: RevocationList,
    /// When the fetch began.
    pub(super) since: Duration,
    /// When the last fetch began that found a list. It can have found an older one.
    pub(super) checked: Duration,
}

/// The wall clock has whole seconds, so that a time is over for certain only in the next one.
impl LoadedList {
    pub(super) fn is_fresh(&self, now: ClockReading) -> bool {
        now.monotonic.saturating_sub(self.since) < self.list.fresh_for && now.wall <= self.list.fresh_until
    }

    fn is_stale(&self, now: ClockReading) -> bool {
        now.monotonic.saturating_sub(self.since) >= self.list.stale_after || now.wall > self.list.stale_at
    }
}

/// The last fetch failed.
pub(super) struct Failure {
    pub(super) error: StoreError,
    pub(super) in_a_row: u32,
    /// When the next fetch may begin.
    pub(super) retry_at: Duration,
    /// Whether there were usable keys.
    pub(super) is_usable: bool,
}

/// A fetch.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) number: u64,
    /// The fetch has ended when the other side is dropped.
    pub(super) end: watch::Receiver<()>,
    /// The fetch has a time limit, so it ends before this time if its runtime runs.
    pub(super) deadline: Instant,
}

pub(super) type Answer = Result<Option<Keyring>, StoreError>;

impl State {
    pub(crate) fn new(needs_list: bool) -> Self {
        Self { needs_list, ..Self::default() }
    }

    /// Returns what the keys that are there say about a signature.
    pub(super) fn answer(&self, keyid: &str, now: ClockReading, ages: Ages) -> Answer {
        if self.is_revoked(keyid) {
            return Ok(None);
        }
        let Some(set) = self.usable(now, ages) else { return Err(self.error(now)) };
        match (set.keys.get(keyid), &self.failure) {
            (Some(keys), _) => Ok(Some(keys.clone())),
            // The key may be new. The sender can try again when the source answers.
            (None, Some(failure)) => Err(failure.error.clone()),
            (None, None) => Ok(None),
        }
    }

    /// Whether the application or the list of revoked keys refuses a key.
    pub(super) fn is_revoked(&self, keyid: &str) -> bool {
        self.revoked.contains(keyid) || self.list.as_ref().is_some_and(|loaded| loaded.list.kids.contains(keyid))
    }

    pub(super) fn usable(&self, now: ClockReading, ages: Ages) -> Option<&KeySet> {
        let loaded = self.loaded.as_ref()?;
        (now.monotonic.saturating_sub(loaded.since) < ages.stale && self.has_list(now)).then_some(&loaded.set)
    }

    /// Whether there is the list of revoked keys, if keys are used only with it.
    fn has_list(&self, now: ClockReading) -> bool {
        !self.needs_list || self.list.as_ref().is_some_and(|list| !list.is_stale(now))
    }

    pub(super) fn is_fresh(&self, now: ClockReading) -> bool {
        let has_fresh_list = !self.needs_list || self.list.as_ref().is_some_and(|list| list.is_fresh(now));
        let is_fresh = |loaded: &Loaded| now.monotonic.saturating_sub(loaded.since) < loaded.fresh_for;
        has_fresh_list && self.loaded.as_ref().is_some_and(is_fresh)
    }

    /// Whether the list of revoked keys is fetched with the keys.
    pub(super) fn is_list_due(&self, now: ClockReading) -> bool {
        let is_new =
            |list: &LoadedList| list.is_fresh(now) && now.monotonic.saturating_sub(list.checked) < MIN_INTERVAL;
        self.needs_list && !self.list.as_ref().is_some_and(is_new)
    }

    /// Whether fresh keys are fetched again, so that no request has to wait when they expire.
    pub(super) fn is_ageing(&self, now: Duration) -> bool {
        self.loaded.as_ref().is_some_and(|loaded| {
            let quarter = loaded.fresh_for.checked_div(4).unwrap_or_default();
            now.saturating_sub(loaded.since) >= loaded.fresh_for.saturating_sub(quarter).max(MIN_INTERVAL)
        })
    }

    /// Whether the document may have a key that the fresh set does not have.
    pub(super) fn may_have_new_keys(&self, now: Duration) -> bool {
        // The last fetch could have been too early for the key, or have failed.
        self.failure.is_some() || self.searched.is_none_or(|searched| now.saturating_sub(searched) >= COOLDOWN)
    }

    /// Whether the source failed so recently that requests do not wait for another attempt. Later it can be healthy
    /// again, and may have removed keys.
    pub(super) fn fails(&self, now: Duration) -> bool {
        self.failure.as_ref().is_some_and(|failure| now < failure.retry_at.saturating_add(MIN_INTERVAL))
    }

    /// Whether a fetch may begin.
    pub(super) fn may_retry(&self, now: Duration) -> bool {
        self.failure.as_ref().is_none_or(|failure| failure.retry_at <= now)
    }

    /// The fetch in progress. One that does not end in time has no effect on later requests.
    pub(super) fn flight(&self) -> Option<Flight> {
        let is_in_progress = |flight: &Flight| flight.end.has_changed().is_ok() && Instant::now() < flight.deadline;
        self.flight.clone().filter(is_in_progress)
    }

    pub(super) fn error(&self, now: ClockReading) -> StoreError {
        let failure = self.failure.as_ref().map(|failure| failure.error.clone());
        let failure = failure.unwrap_or_else(|| StoreError::new("keys are not fetched yet"));
        if self.has_list(now) {
            return failure;
        }
        StoreError::new(format!("{failure}. {NO_LIST}")).with_retry_after(failure.retry_after())
    }
}

/// The end of an error for a source that has no list of revoked keys yet, or only a stale one.
const NO_LIST: &str =
    "All keys are refused until the list of revoked keys can be fetched: there is none, or it is stale";

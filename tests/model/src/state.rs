//! A situation: the clocks, the store and the requests.

use crate::protocol::{LEASE, Limits, StoreKind};
use crate::store_model::{Clocks, Entry, Store};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The true time, which is also each monotonic clock and the store's own clock.
    pub(crate) now: i32,
    pub(crate) wall_errors: [i32; 2],
    pub(crate) store: Store,
    /// When each signature was made.
    pub(crate) signatures: Vec<i32>,
    pub(crate) requests: Vec<Request>,
    /// How often the work took effect.
    pub(crate) works: u8,
    /// A commit took effect.
    pub(crate) is_committed: bool,
    /// A handler was started after that.
    pub(crate) is_repeated: bool,
    /// A handler ran after its lease.
    pub(crate) is_outlived: bool,
    pub(crate) forgotten: u8,
    pub(crate) left: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) process: usize,
    pub(crate) signature: usize,
    pub(crate) phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The timestamp is fresh by the wall clock; the body is being read.
    Reading {
        since: i32,
        wall_error: i32,
    },
    /// The handler runs.
    Handling(Held),
    /// The handler did its work. In a transaction it has no effect yet.
    Worked(Held),
    /// The transaction contains the work and the commit, and holds locks on the keys.
    Prepared(Held),
    /// The handler ended, and the adapter releases the claim.
    Ending(Held),
    /// A rule is broken: the adapter is to commit without a transaction.
    Committing(Held),
    /// Ended, and the claim is left in the store.
    Orphaned,
    Ended,
}

/// The process's knowledge of its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) at: i32,
    pub(crate) wall_error: i32,
}

impl State {
    pub(crate) fn clocks(&self, process: usize) -> Clocks {
        Clocks { monotonic: self.now, wall: self.now + self.wall_errors[process] }
    }

    pub(crate) fn handlers_within_leases(&self) -> impl Iterator<Item = (usize, Held)> {
        let handlers = self.requests.iter().enumerate().filter(|(_, request)| request.phase.is_handler());
        handlers
            .filter_map(|(i, request)| request.phase.held().map(|held| (i, held)))
            .filter(|(_, held)| self.now < held.at + LEASE)
    }

    pub(crate) fn has_finished(&self) -> bool {
        self.store.entries.values().any(|entry| matches!(entry, Entry::Finished { .. }))
    }

    /// A live claim has a request that will settle it, or an event took that request or its release.
    pub(crate) fn claims_are_owned(&self) -> bool {
        let now = self.clocks(0);
        self.store.entries.values().filter(|entry| entry.is_live(now)).all(|entry| match *entry {
            Entry::Claimed { by, .. } => {
                let owner = self.requests.get(usize::from(by)).map(|request| request.phase);
                !matches!(owner, None | Some(Phase::Reading { .. } | Phase::Ended))
            }
            Entry::Finished { .. } => true,
        })
    }

    /// Removes what can no longer make a difference, so that equal situations are one state.
    pub(crate) fn tidy(&mut self, kind: StoreKind) {
        let (now, requests) = (self.clocks(0), &self.requests);
        // A database keeps an expired claim until another request takes it over. Removing it earlier makes `commit_in`
        // fail, which is one of the ways in which a handler can fail.
        let is_kept = |by: u8| kind == StoreKind::Transactional && requests[usize::from(by)].phase.is_handler();
        self.store.entries.retain(|_, entry| match *entry {
            Entry::Claimed { by, .. } => entry.is_live(now) || is_kept(by),
            Entry::Finished { .. } => entry.is_live(now),
        });
        for (i, request) in self.requests.iter_mut().enumerate() {
            let is_owner = |entry: &Entry| matches!(entry, Entry::Claimed { by, .. } if usize::from(*by) == i);
            if request.phase == Phase::Orphaned && !self.store.entries.values().any(is_owner) {
                request.phase = Phase::Ended;
            }
            if matches!(request.phase, Phase::Orphaned | Phase::Ended) {
                (request.process, request.signature) = (0, 0);
            }
        }
        self.works = self.works.min(self.forgotten + 2);
    }
}

impl Phase {
    pub(crate) const fn held(self) -> Option<Held> {
        match self {
            Self::Handling(held)
            | Self::Worked(held)
            | Self::Prepared(held)
            | Self::Ending(held)
            | Self::Committing(held) => Some(held),
            Self::Reading { .. } | Self::Orphaned | Self::Ended => None,
        }
    }

    pub(crate) const fn is_handler(self) -> bool {
        matches!(self, Self::Handling(_) | Self::Worked(_) | Self::Prepared(_))
    }
}

impl Held {
    /// The process's clocks, as if the wall clock was not set since the claim.
    pub(crate) const fn carried_to(self, now: i32) -> Clocks {
        Clocks { monotonic: now, wall: now + self.wall_error }
    }
}

//! Settlements that could not be sent.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::{Call, Commit};
use crate::names::Key;

/// The settlement of a claim.
#[derive(Debug, Clone)]
pub(crate) enum Settlement {
    Commit(Commit),
    /// Keys, each with its claimant.
    Release(Vec<(Key, Key)>),
}

impl Settlement {
    pub(crate) fn call(&self) -> Call<'_> {
        match self {
            Self::Commit(commit) => Call::Commit(commit),
            Self::Release(claims) => Call::Release(claims),
        }
    }

    /// Returns both halves of several releases, or otherwise the settlement.
    pub(crate) fn split(self) -> Result<[Self; 2], Self> {
        match self {
            Self::Release(mut claims) if claims.len() > 1 => {
                let half = claims.split_off(claims.len() / 2);
                Ok([Self::Release(claims), Self::Release(half)])
            }
            single => Err(single),
        }
    }
}

/// What waits for the database. Commits come first: if one is lost, finished work is repeated. Most releases are of
/// claims that were never made, because every request that is refused during an outage leaves one.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    commits: VecDeque<Commit>,
    releases: VecDeque<(Key, Key)>,
}

impl Queue {
    /// Adds a settlement. If the queue is full, the claim ends with its lease.
    pub(crate) fn push(&self, settlement: Settlement) {
        let mut waiting = self.lock();
        match settlement {
            Settlement::Commit(commit) if waiting.commits.len() < CAPACITY => waiting.commits.push_back(commit),
            Settlement::Release(claims) if waiting.releases.len() < CAPACITY => waiting.releases.extend(claims),
            _ => {}
        }
    }

    /// Takes a commit, or otherwise many releases.
    pub(crate) fn take(&self) -> Option<Settlement> {
        let mut waiting = self.lock();
        if let Some(commit) = waiting.commits.pop_front() {
            return Some(Settlement::Commit(commit));
        }
        let count = waiting.releases.len().min(BATCH);
        let claims: Vec<_> = waiting.releases.drain(..count).collect();
        (!claims.is_empty()).then_some(Settlement::Release(claims))
    }

    /// Puts the settlement back that was taken last.
    pub(crate) fn put_back(&self, settlement: Settlement) {
        let mut waiting = self.lock();
        match settlement {
            Settlement::Commit(commit) => waiting.commits.push_front(commit),
            Settlement::Release(claims) => {
                claims.into_iter().rev().for_each(|claim| waiting.releases.push_front(claim))
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let waiting = self.lock();
        waiting.commits.is_empty() && waiting.releases.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most commits, and the most releases, that are kept during an outage.
const CAPACITY: usize = 16_384;

/// How many releases are sent at a time.
const BATCH: usize = 256;

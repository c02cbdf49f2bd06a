//! What the server is still to be told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::link::Link;
use super::{Claimant, millis};

/// The end of a claim: its delivery is finished, or free.
#[derive(Clone)]
pub(super) struct Settlement {
    pub(super) keys: Vec<String>,
    pub(super) by: Claimant,
    finished: bool,
    /// When the settlement means nothing any more.
    lapses_at: Instant,
}

impl Settlement {
    pub(super) fn commit(keys: Vec<String>, by: Claimant, remembered: Duration) -> Self {
        Self { keys, by, finished: true, lapses_at: after(remembered) }
    }

    pub(super) fn release(keys: Vec<String>, by: Claimant, lease: Duration) -> Self {
        Self { keys, by, finished: false, lapses_at: after(lease) }
    }

    /// How long the server remembers the delivery from now on, in milliseconds; zero gives it back.
    pub(super) fn remembered(&self) -> u64 {
        if self.finished { millis(self.lapses_at.saturating_duration_since(Instant::now())) } else { 0 }
    }

    fn has_lapsed(&self) -> bool {
        self.lapses_at <= Instant::now()
    }
}

/// The settlements that the server could not be told, oldest first.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Settlement>>,
}

impl Queue {
    pub(super) fn push(&self, settlement: Settlement) {
        let mut waiting = self.lock();
        if waiting.len() < CAPACITY {
            waiting.push_back(settlement);
        }
    }

    pub(super) fn take(&self, most: usize) -> Vec<Settlement> {
        let mut waiting = self.lock();
        let count = most.min(waiting.len());
        waiting.drain(..count).filter(|settlement| !settlement.has_lapsed()).collect()
    }

    pub(super) fn put_back(&self, settlements: Vec<Settlement>) {
        let mut waiting = self.lock();
        for settlement in settlements.into_iter().rev() {
            waiting.push_front(settlement);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Settlement>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A settlement that is made up for in the background unless it is told to be forgotten.
pub(super) struct Unsettled {
    link: Arc<Link>,
    settlement: Option<Settlement>,
}

impl Unsettled {
    pub(super) const fn new(link: Arc<Link>, settlement: Settlement) -> Self {
        Self { link, settlement: Some(settlement) }
    }

    pub(super) const fn settlement(&self) -> Option<&Settlement> {
        self.settlement.as_ref()
    }

    pub(super) fn forget(&mut self) {
        self.settlement = None;
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(settlement) = self.settlement.take() {
            self.link.settle_later(settlement);
        }
    }
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

/// Deliveries in progress at one time when the server fails.
const CAPACITY: usize = 65_536;

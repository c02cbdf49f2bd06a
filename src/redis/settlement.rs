//! Settlements of claims, and the queue of those that were not sent yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::replay::Claimant;

/// The settlement of a claim: its delivery is committed or released.
#[derive(Clone)]
pub(super) struct Settlement {
    /// The slot of the keys.
    pub(super) slot: u16,
    pub(super) keys: Vec<String>,
    pub(super) by: Claimant,
    finished: bool,
    /// How often a link has handed it over to another one.
    moves: u8,
    /// When the settlement no longer has an effect on the keys.
    expires_at: Instant,
    /// The same for the id of a finished delivery. The last key is the id.
    id_expires_at: Option<Instant>,
}

impl Settlement {
    pub(super) fn commit(
        (slot, keys): (u16, Vec<String>),
        by: Claimant,
        stored_for: Duration,
        id_for: Option<Duration>,
    ) -> Self {
        let (expires_at, id_expires_at) = (after(stored_for), id_for.map(after));
        Self { slot, keys, by, finished: true, moves: 0, expires_at, id_expires_at }
    }

    pub(super) fn release((slot, keys): (u16, Vec<String>), by: Claimant, lease: Duration) -> Self {
        Self { slot, keys, by, finished: false, moves: 0, expires_at: after(lease), id_expires_at: None }
    }

    /// Notes that a link hands it over to another one. Returns whether that is one of the first times.
    pub(super) const fn hand_over(&mut self) -> bool {
        self.moves = self.moves.saturating_add(1);
        self.moves <= MOST_MOVES
    }

    pub(super) const fn is_commit(&self) -> bool {
        self.finished
    }

    /// Returns how long the server stores the delivery from now on, in milliseconds. Zero releases it.
    pub(super) fn stored_millis(&self) -> u64 {
        if self.finished { millis(self.expires_at.saturating_duration_since(Instant::now())) } else { 0 }
    }

    /// Returns how long the server stores the delivery's id, in milliseconds. Zero if there is none to store.
    pub(super) fn id_stored_millis(&self) -> u64 {
        self.id_expires_at.map_or(0, |end| millis(end.saturating_duration_since(Instant::now())))
    }

    fn has_expired(&self) -> bool {
        self.expires_at.max(self.id_expires_at.unwrap_or(self.expires_at)) <= Instant::now()
    }
}

/// The settlements that could not be sent to the server, oldest first.
#[derive(Default)]
pub(super) struct Queue {
    /// Commits. If one is lost, finished work is repeated.
    commits: Line,
    /// Releases. Most of these claims were never sent: every request that is refused during an outage leaves one. The
    /// caller cannot know whether its claim arrived, so they are sent all the same. They change nothing, because the
    /// script deletes only what the claimant holds, and each request is another claimant.
    releases: Line,
}

#[derive(Default)]
struct Line(Mutex<VecDeque<Settlement>>);

impl Queue {
    /// Adds a settlement, unless too many wait.
    pub(super) fn push(&self, settlement: Settlement) {
        let mut line = self.line(&settlement).lock();
        while line.front().is_some_and(Settlement::has_expired) {
            line.pop_front();
        }
        if line.len() < CAPACITY {
            line.push_back(settlement);
        }
    }

    /// Adds a settlement that has waited already, even if many wait.
    pub(super) fn adopt(&self, settlement: Settlement) {
        self.line(&settlement).lock().push_back(settlement);
    }

    pub(super) fn take_commits(&self, most: usize) -> Vec<Settlement> {
        self.commits.take(most)
    }

    pub(super) fn take_releases(&self, most: usize) -> Vec<Settlement> {
        self.releases.take(most)
    }

    pub(super) fn put_back(&self, settlements: Vec<Settlement>) {
        for settlement in settlements.into_iter().rev() {
            self.line(&settlement).lock().push_front(settlement);
        }
    }

    /// Takes the settlements of the slots that `leaves` selects, commits first.
    pub(super) fn take_slots(&self, leaves: impl Fn(u16) -> bool) -> Vec<Settlement> {
        let mut taken = Vec::new();
        for line in [&self.commits, &self.releases] {
            let mut waiting = line.lock();
            let (leaving, staying): (VecDeque<_>, _) =
                waiting.drain(..).partition(|settlement| leaves(settlement.slot));
            *waiting = staying;
            taken.extend(leaving);
        }
        taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commits.lock().is_empty() && self.releases.lock().is_empty()
    }

    const fn line(&self, settlement: &Settlement) -> &Line {
        if settlement.finished { &self.commits } else { &self.releases }
    }
}

impl Line {
    fn take(&self, most: usize) -> Vec<Settlement> {
        let mut waiting = self.lock();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(settlement) = waiting.pop_front()
        {
            if !settlement.has_expired() {
                taken.push(settlement);
            }
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Settlement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

/// Rounds up, so that nothing expires too early.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000))
        .unwrap_or(u64::MAX)
        .clamp(1, LONGEST_SECONDS.saturating_mul(1_000))
}

/// How many hand-overs of a settlement close the link that takes it over, or wake its task.
pub(super) const MOST_MOVES: u8 = 3;

/// How many settlements are sent at a time.
pub(super) const BATCH: usize = 256;

/// Ten years, far below the server's maximum.
pub(super) const LONGEST_SECONDS: u64 = 10 * 366 * 86_400;

/// The most commits, and the most releases, that a link keeps during an outage, besides those of other links.
const CAPACITY: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(stored_for: Duration) -> Settlement {
        Settlement::commit((0, vec![]), Claimant::new(1), stored_for, None)
    }

    fn commits(queue: &Queue) -> usize {
        queue.commits.lock().len()
    }

    #[test]
    fn full_queue_takes_only_those_of_other_links() {
        let queue = Queue::default();
        (0..=CAPACITY).for_each(|_| queue.push(commit(Duration::from_secs(60))));
        assert_eq!(commits(&queue), CAPACITY);
        queue.adopt(commit(Duration::from_secs(60)));
        assert_eq!(commits(&queue), CAPACITY + 1);
    }

    #[test]
    fn expired_commits_make_room() {
        let queue = Queue::default();
        (0..CAPACITY).for_each(|_| queue.push(commit(Duration::ZERO)));
        queue.push(commit(Duration::from_secs(60)));
        assert_eq!(commits(&queue), 1);
    }
}

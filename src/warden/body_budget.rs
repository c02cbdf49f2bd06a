//! The byte budget for bodies that are in memory and not verified yet.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts the body bytes of all unverified requests against a limit, and those of each peer against a quarter of it.
///
/// Bodies of up to [`SMALL_BODY`] bytes do not count: each takes less than the server's buffers for its connection.
#[derive(Debug)]
pub(super) struct BodyBudget {
    limit: usize,
    in_flight: AtomicUsize,
    share: usize,
    /// Indexed by a hash of the peer, so two peers may use the same share.
    by_peer: [AtomicUsize; 64],
}

impl BodyBudget {
    /// Creates a budget in which each share is at least one body of `largest_body` bytes.
    pub(super) fn new(limit: usize, largest_body: usize) -> Self {
        let share = (limit / 4).max(largest_body);
        Self { limit, in_flight: AtomicUsize::new(0), share, by_peer: std::array::from_fn(|_| AtomicUsize::new(0)) }
    }

    /// Takes the bytes by which a body grows from `held` to `needed` bytes. Takes nothing and returns `false` if they
    /// exceed the limit or the peer's share. A request without a `peer` has no share to exceed.
    pub(super) fn take(&self, held: u64, needed: u64, peer: Option<u8>) -> bool {
        let bytes = counted(needed).saturating_sub(counted(held));
        if bytes == 0 {
            return true;
        }
        if !take(&self.in_flight, bytes, self.limit) {
            return false;
        }
        let is_within_share = self.share_of(peer).is_none_or(|taken| take(taken, bytes, self.share));
        if !is_within_share {
            self.in_flight.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_within_share
    }

    /// Returns whether a body of `bytes` bytes fits, without taking them.
    pub(super) fn fits(&self, bytes: u64, peer: Option<u8>) -> bool {
        let bytes = counted(bytes);
        fits(&self.in_flight, bytes, self.limit)
            && self.share_of(peer).is_none_or(|taken| fits(taken, bytes, self.share))
    }

    /// Returns the bytes of a body of `held` bytes to the budget.
    pub(super) fn release(&self, held: u64, peer: Option<u8>) {
        let bytes = counted(held);
        if bytes > 0 {
            self.in_flight.fetch_sub(bytes, Ordering::Relaxed);
            if let Some(taken) = self.share_of(peer) {
                taken.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
    }

    fn share_of(&self, peer: Option<u8>) -> Option<&AtomicUsize> {
        self.by_peer.get(usize::from(peer?))
    }
}

/// Returns how many bytes of a body count.
fn counted(bytes: u64) -> usize {
    if bytes <= SMALL_BODY { 0 } else { usize::try_from(bytes).unwrap_or(usize::MAX) }
}

fn take(taken: &AtomicUsize, bytes: usize, limit: usize) -> bool {
    let add = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= limit);
    taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

fn fits(taken: &AtomicUsize, bytes: usize, limit: usize) -> bool {
    taken.load(Ordering::Relaxed).checked_add(bytes).is_some_and(|taken| taken <= limit)
}

/// The `Retry-After` of a request that was refused because unverified bodies take too much memory.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The number of shares.
pub(super) const SHARES: u8 = 64;

/// The most bytes of a small body.
const SMALL_BODY: u64 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of a body that is large enough to count.
    const BODY: u64 = 8_192;

    /// A budget for this many bodies.
    fn budget(bodies: usize, largest: usize) -> BodyBudget {
        BodyBudget::new(bodies.saturating_mul(8_192), largest.saturating_mul(8_192))
    }

    #[test]
    fn bytes_over_the_limit_are_not_taken() {
        let budget = budget(10, 1);
        assert!(budget.take(0, 4 * BODY, None) && budget.take(0, 6 * BODY, None));
        assert!(!budget.take(0, BODY, None) && !budget.take(0, u64::MAX, None));
        assert!(!budget.fits(BODY, None) && !budget.fits(u64::MAX, None) && budget.fits(0, None));
        budget.release(4 * BODY, None);
        assert!(!budget.take(0, 5 * BODY, None) && budget.take(0, 4 * BODY, None), "a refused body takes nothing");
        budget.release(10 * BODY, None);
        assert!(budget.take(0, 10 * BODY, None));
    }

    #[test]
    fn growing_body_takes_only_its_growth() {
        let budget = budget(2, 1);
        assert!(budget.take(0, BODY, None) && budget.take(BODY, 2 * BODY, None));
        assert!(!budget.take(2 * BODY, 3 * BODY, None));
        budget.release(2 * BODY, None);
        assert!(budget.take(0, 2 * BODY, None));
    }

    #[test]
    fn small_body_takes_nothing() {
        let budget = budget(1, 1);
        assert!(budget.take(0, BODY, None));
        assert!(budget.take(0, SMALL_BODY, None) && budget.fits(SMALL_BODY, None));
        assert!(!budget.take(SMALL_BODY, SMALL_BODY + 1, None) && !budget.fits(SMALL_BODY + 1, None));
        budget.release(SMALL_BODY, None);
        assert!(!budget.fits(BODY, None));
    }

    #[test]
    fn peer_takes_a_quarter_at_most() {
        let budget = budget(100, 20);
        assert_eq!(usize::from(SHARES), budget.by_peer.len());
        assert!(budget.take(0, 20 * BODY, Some(1)) && budget.take(0, 5 * BODY, Some(1)));
        assert!(!budget.take(0, BODY, Some(1)) && !budget.fits(BODY, Some(1)));
        assert!(budget.take(0, 25 * BODY, Some(2)), "another peer has its share");
        budget.release(5 * BODY, Some(1));
        assert!(budget.take(0, 5 * BODY, Some(1)));
        assert!(budget.take(0, 50 * BODY, None) && !budget.take(0, BODY, Some(3)), "the limit is reached");
    }

    #[test]
    fn share_has_room_for_one_largest_body() {
        assert!(budget(30, 20).take(0, 20 * BODY, Some(1)));
    }
}

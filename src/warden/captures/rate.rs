//! How many requests are captured in a minute.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::RefusalReason;
use crate::limit::Peer;

/// The requests that were captured in the last minute.
#[derive(Default)]
pub(super) struct Rate {
    recent: VecDeque<Captured>,
}

struct Captured {
    at: Duration,
    reason: RefusalReason,
    peer: Option<Peer>,
    is_proven: bool,
}

impl Rate {
    /// Counts a request and returns `true` if it may be captured. `is_proven`: the peer sent a genuine delivery recently.
    pub(super) fn admits(&mut self, now: Duration, reason: RefusalReason, peer: Option<Peer>, is_proven: bool) -> bool {
        while self.recent.front().is_some_and(|oldest| oldest.at.saturating_add(WINDOW) <= now) {
            self.recent.pop_front();
        }
        let of_peer = || self.recent.iter().filter(|captured| captured.peer == peer);
        let others = self.recent.iter().filter(|captured| !captured.is_proven).count();
        let admitted = self.recent.len() < IN_ALL
            && (is_proven || others < OF_OTHERS)
            && of_peer().count() < OF_PEER
            && of_peer().filter(|captured| captured.reason == reason).count() < OF_PEER_AND_REASON;
        if admitted {
            self.recent.push_back(Captured { at: now, reason, peer, is_proven });
        }
        admitted
    }
}

const WINDOW: Duration = Duration::from_secs(60);
const IN_ALL: usize = 60;
/// Of all peers without a recent genuine delivery.
const OF_OTHERS: usize = 40;
const OF_PEER: usize = 20;
const OF_PEER_AND_REASON: usize = 5;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::error::Reason;

    const MISMATCH: RefusalReason = RefusalReason::Unverified(Reason::Mismatch);

    fn peer(number: u32) -> Option<Peer> {
        Some(Peer::V4(Ipv4Addr::from_bits(number)))
    }

    /// Returns how many of `count` requests are captured.
    fn captured(rate: &mut Rate, second: u64, reason: RefusalReason, from: Option<Peer>, count: usize) -> usize {
        (0..count).filter(|_| rate.admits(Duration::from_secs(second), reason, from, false)).count()
    }

    #[test]
    fn cause_of_a_peer_is_captured_five_times() {
        let mut rate = Rate::default();
        assert_eq!(captured(&mut rate, 0, MISMATCH, peer(1), 100), 5);
        assert_eq!(captured(&mut rate, 59, MISMATCH, peer(1), 100), 0);
        assert_eq!(captured(&mut rate, 59, MISMATCH, None, 100), 5);
        assert_eq!(captured(&mut rate, 60, MISMATCH, peer(1), 100), 5);
    }

    #[test]
    fn peer_is_captured_twenty_times_over_all_reasons() {
        let mut rate = Rate::default();
        let sum: usize = RefusalReason::ALL.iter().map(|reason| captured(&mut rate, 0, *reason, peer(1), 9)).sum();
        assert_eq!(sum, 20);
        assert_eq!(captured(&mut rate, 0, MISMATCH, peer(2), 9), 5);
    }

    #[test]
    fn flood_leaves_a_third_to_proven_peers() {
        let mut rate = Rate::default();
        let flood: usize = (0..1_000).map(|number| captured(&mut rate, 0, MISMATCH, peer(number), 1)).sum();
        let mut proven = |number: u32| rate.admits(Duration::ZERO, MISMATCH, peer(number), true);
        let of_proven = (2_000..3_000).filter(|number| proven(*number)).count();
        assert_eq!((flood, of_proven, rate.recent.len()), (40, 20, 60));
    }
}

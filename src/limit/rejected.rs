//! Limits on refused traffic, by peer.
//!
//! A forgery costs a lookup, a body and a MAC. It is counted against the peer, and against the pair of peer and webhook
//! id, never against the quota of the sender that it claims to be from.
//!
//! Each request is counted before any of this work: if only finished requests were counted, any number of concurrent
//! ones could pass. A request is refunded if it is genuine, or if the receiver is at fault.

use std::fmt;
use std::time::Duration;

use super::offenders::{Label, Offenders};
use super::peer::Peer;
use super::usage::Usage;
use super::{Decision, Quota};
use crate::bounded::{BoundedTable, Expires, Full, nanos};
use crate::keyed_hash::{HashedKey, WordHash, split};

/// The quotas of refused traffic: one for each peer, and one for each pair of peer and webhook id. All requests without
/// a known peer share one.
///
/// For 10 minutes after a genuine delivery, the quotas of its pair and of its peer are ten times as large. The pair's,
/// because the sender may share its address with a forger. The peer's, because the refused requests may be for one
/// webhook id, and must not block the peer's other ids.
///
/// Both tables are bounded. A peer or pair for which a full table has no room is neither counted nor blocked.
pub(crate) struct RejectedTraffic {
    by_peer: Limits,
    by_pair: Limits,
    peers: BoundedTable<Record>,
    pairs: BoundedTable<Record>,
    offenders: Offenders,
    peer_keys: WordHash<2>,
    pair_keys: WordHash<2>,
}

/// The quotas that a request was counted against before it was verified. Empty for a request that was not counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reservation {
    peer: HashedKey,
    peer_counted: Option<Counted>,
    pair: HashedKey,
    pair_counted: Option<Counted>,
    /// Whether a table had no room for the peer, or for the pair of peer and webhook id.
    pub(crate) table_is_full: bool,
}

/// A peer, or a pair of peer and webhook id, is over its quota.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub(crate) wait: Duration,
    /// Whether the peer is over its quota; otherwise the pair is.
    pub(crate) by_peer: bool,
}

impl Reservation {
    pub(crate) const NONE: Self = Self {
        peer: HashedKey::NONE,
        peer_counted: None,
        pair: HashedKey::NONE,
        pair_counted: None,
        table_is_full: false,
    };

    /// Returns a number below `count` for the peer. Other peers may have the same number. `None` if the peer was not
    /// counted.
    pub(crate) fn peer_below(&self, count: u8) -> Option<u8> {
        self.peer_counted.map(|_| self.peer.below(count))
    }
}

impl RejectedTraffic {
    /// Creates the quotas, with tables of `capacity` entries each.
    pub(crate) fn new(by_peer: Quota, by_pair: Quota, capacity: usize) -> Self {
        Self {
            by_peer: by_peer.into(),
            by_pair: by_pair.into(),
            peers: BoundedTable::new(capacity),
            pairs: BoundedTable::new(capacity),
            offenders: Offenders::default(),
            peer_keys: WordHash::default(),
            pair_keys: WordHash::default(),
        }
    }

    /// Counts a request before it costs a lookup, a body or a MAC. `now` is read from the monotonic clock.
    pub(crate) fn reserve(
        &self,
        peer: Option<Peer>,
        id: Option<HashedKey>,
        now: Duration,
    ) -> Result<Reservation, Blocked> {
        let at = nanos(now);
        let mut reservation = Reservation::NONE;
        let peer = self.key_of_peer(peer);
        if let Some(id) = id {
            let pair = self.pair_keys.of([peer, id].map(HashedKey::as_u64));
            match self.pairs.update(pair, at, |record| record.count(&self.by_pair, at)) {
                Ok(Ok(counted)) => (reservation.pair, reservation.pair_counted) = (pair, Some(counted)),
                Ok(Err(wait)) => return Err(Blocked { wait, by_peer: false }),
                Err(Full) => reservation.table_is_full = true,
            }
        }
        match self.peers.update(peer, at, |record| record.count(&self.by_peer, at)) {
            Ok(Ok(counted)) => (reservation.peer, reservation.peer_counted) = (peer, Some(counted)),
            Ok(Err(wait)) => {
                self.refund(reservation, now);
                return Err(Blocked { wait, by_peer: true });
            }
            Err(Full) => reservation.table_is_full = true,
        }
        Ok(reservation)
    }

    /// Refunds a request that must not count.
    pub(crate) fn refund(&self, reservation: Reservation, now: Duration) {
        self.settle(reservation, nanos(now), |record, limits, counted, now| record.refund(limits, counted, now));
    }

    /// Counts a duplicate as a tenth of a request. Its signature is valid, so it is usually a sender's retry, but it
    /// may be a captured copy.
    pub(crate) fn count_duplicate(&self, reservation: Reservation, now: Duration) {
        self.settle(reservation, nanos(now), |record, limits, counted, now| {
            record.refund(limits, counted, now);
            record.usage.count(&limits.proven, now);
        });
    }

    /// Refunds a genuine delivery, and marks its peer and pair as proven.
    pub(crate) fn prove(&self, reservation: Reservation, now: Duration) {
        let now = nanos(now);
        let until = now.saturating_add(PROVEN_NANOS);
        let prove = |table: &BoundedTable<Record>, key: HashedKey, limits: &Limits, counted: Counted| {
            let prove = |record: &mut Record| {
                record.refund(limits, counted, now);
                record.prove(until, now);
            };
            // The entry of a slow request may have been swept.
            if table.change(key, prove).is_none() {
                let _ = table.update(key, now, |record| record.prove(until, now));
            }
        };
        if let Some(counted) = reservation.pair_counted {
            prove(&self.pairs, reservation.pair, &self.by_pair, counted);
        }
        if let Some(counted) = reservation.peer_counted {
            prove(&self.peers, reservation.peer, &self.by_peer, counted);
        }
    }

    fn settle(&self, reservation: Reservation, now: u64, change: impl Fn(&mut Record, &Limits, Counted, u64)) {
        if let Some(counted) = reservation.pair_counted {
            self.pairs.change(reservation.pair, |record| change(record, &self.by_pair, counted, now));
        }
        if let Some(counted) = reservation.peer_counted {
            self.peers.change(reservation.peer, |record| change(record, &self.by_peer, counted, now));
        }
    }

    /// Records that a counted request was refused and stays counted, for [`most_charged`](Self::most_charged).
    pub(crate) fn blame(&self, webhook_id: &str, reservation: Reservation, now: Duration) {
        if let (Some(_), Some(_)) = (reservation.peer_counted, reservation.pair_counted) {
            self.offenders.record(reservation.peer, reservation.pair, webhook_id, nanos(now));
        }
    }

    /// Returns the webhook id of most of the peer's refused requests, if it is known.
    pub(crate) fn most_charged(&self, peer: Option<Peer>, now: Duration) -> Option<Label> {
        self.offenders.most_charged(self.key_of_peer(peer), nanos(now))
    }

    /// Returns whether the peer sent a genuine delivery in the last 10 minutes.
    pub(crate) fn is_proven(&self, peer: Option<Peer>, now: Duration) -> bool {
        let is_proven = |record: &mut Record| nanos(now) < record.proven_until;
        self.peers.change(self.key_of_peer(peer), is_proven).unwrap_or_default()
    }

    fn key_of_peer(&self, peer: Option<Peer>) -> HashedKey {
        self.peer_keys.of(split(Peer::number(peer)))
    }
}

impl fmt::Debug for RejectedTraffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedTraffic")
            .field("peers", &self.peers)
            .field("pairs", &self.pairs)
            .finish_non_exhaustive()
    }
}

/// A quota, and the larger quota after a genuine delivery.
struct Limits {
    usual: Quota,
    proven: Quota,
}

impl From<Quota> for Limits {
    fn from(usual: Quota) -> Self {
        Self { usual, proven: usual.times(PROVEN_FACTOR) }
    }
}

/// Which of its quotas a request was counted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    AsUsual,
    AsProven,
}

/// The quota use of a peer, or of a pair of peer and webhook id.
#[derive(Debug, Default)]
struct Record {
    usage: Usage,
    proven_until: u64,
}

impl Record {
    /// Counts a request, or returns the time until the quota allows another.
    fn count(&mut self, limits: &Limits, now: u64) -> Result<Counted, Duration> {
        let counted = if now < self.proven_until { Counted::AsProven } else { Counted::AsUsual };
        match self.usage.count(limits.quota(counted), now) {
            Decision::Allowed(_) => Ok(counted),
            Decision::Denied { retry_after, .. } => Err(retry_after),
        }
    }

    /// Refunds a request. If the peer was proven since it was counted, the count was divided, so the refund is smaller
    /// too.
    fn refund(&mut self, limits: &Limits, counted: Counted, now: u64) {
        let counted = if now < self.proven_until { Counted::AsProven } else { counted };
        self.usage.take_back(limits.quota(counted));
    }

    fn prove(&mut self, until: u64, now: u64) {
        if self.proven_until <= now {
            // The quota is now ten times as large, so a request uses a tenth as much of it. Divide the usage, so that it
            // still counts as many requests.
            self.usage.shrink(PROVEN_FACTOR, now);
        }
        self.proven_until = self.proven_until.max(until);
    }
}

impl Limits {
    const fn quota(&self, counted: Counted) -> &Quota {
        match counted {
            Counted::AsUsual => &self.usual,
            Counted::AsProven => &self.proven,
        }
    }
}

impl Expires for Record {
    fn expires_at(&self) -> u64 {
        self.usage.expires_at().max(self.proven_until)
    }
}

/// How long a genuine delivery proves its peer and pair: 10 minutes.
const PROVEN_NANOS: u64 = 600_000_000_000;

/// How much larger the quotas of a proven peer or pair are.
const PROVEN_FACTOR: u32 = 10;

#[cfg(test)]
mod tests;

//! Limits on refused traffic, by peer.
//!
//! A forgery costs a lookup, a body and a MAC. It is counted against the peer, and against the pair of peer and webhook
//! id, never against the quota of the sender that it claims to be.

use std::fmt;
use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::usage::Usage;
use super::{Decision, Quota, QuotaState};
use crate::bounded::{BoundedTable, Expires, Full, HashedKey, nanos};
use crate::clock::Clock;

/// The quotas of refused traffic: one for each peer, and one for each pair of peer and webhook id.
///
/// They are checked before a request costs anything, and charged when it was refused. A pair with a genuine delivery in
/// the last 10 minutes is not blocked by either: a forger may share its egress address, or all requests may appear to
/// come from one proxy.
///
/// Each of the three tables is bounded. A peer or pair for which a full table has no room is neither counted nor
/// blocked.
pub(crate) struct RejectedTraffic {
    by_peer: Quota,
    by_pair: Quota,
    peers: BoundedTable<Offences>,
    pairs: BoundedTable<Offences>,
    /// The pairs that are not blocked. Only verified deliveries are entered.
    proven: BoundedTable<Proven>,
    secret: RandomState,
    clock: Arc<dyn Clock>,
}

impl RejectedTraffic {
    /// Each table has room for `capacity` entries. `clock` is the clock from which callers take `now`.
    pub(crate) fn new(by_peer: Quota, by_pair: Quota, capacity: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            by_peer,
            by_pair,
            peers: BoundedTable::new(capacity),
            pairs: BoundedTable::new(capacity),
            proven: BoundedTable::new(capacity),
            secret: RandomState::new(),
            clock,
        }
    }

    /// How long the peer is blocked, if it is. Checking does not charge the peer. `now` is by the monotonic clock.
    pub(crate) fn blocked_for(&self, peer: Peer, webhook_id: Option<&str>, now: Duration) -> Option<Duration> {
        let now = nanos(now);
        if self.peers.is_empty() && self.pairs.is_empty() {
            return None;
        }
        let left = |entry: &Offences| entry.blocked_until.saturating_sub(now);
        let peer_left = self.peers.read(self.key_of_peer(peer), left).unwrap_or(0);
        let Some(webhook_id) = webhook_id else {
            return wait(peer_left);
        };
        let pair = self.key_of_pair(peer, webhook_id);
        let blocked = wait(peer_left.max(self.pairs.read(pair, left).unwrap_or(0)))?;
        (!self.is_proven(pair, now)).then_some(blocked)
    }

    fn is_proven(&self, pair: HashedKey, now: u64) -> bool {
        self.proven.read(pair, |proven| now < proven.until).unwrap_or(false)
    }

    /// Charges a request to its peer before it is verified, because it is about to cost a lookup: otherwise many
    /// concurrent requests could all pass before any is charged. Returns how long the peer is blocked, if it is. A peer
    /// without room in the table, and a pair with a genuine delivery, is neither counted nor blocked.
    pub(crate) fn reserve(&self, peer: Peer, webhook_id: &str) -> Result<Reservation, Duration> {
        let now = nanos(self.clock.monotonic());
        if self.is_proven(self.key_of_pair(peer, webhook_id), now) {
            return Ok(Reservation::None);
        }
        let reserved = self.peers.update(self.key_of_peer(peer), now, |entry| {
            match wait(entry.blocked_until.saturating_sub(now)) {
                Some(blocked) => Err(blocked),
                None => {
                    entry.add(&self.by_peer, now);
                    Ok(Reservation::Counted)
                }
            }
        });
        reserved.unwrap_or(Ok(Reservation::None))
    }

    /// Reverts a charge of [`reserve`](Self::reserve), for a request that turned out not to be at fault.
    pub(crate) fn take_back(&self, peer: Peer) {
        let now = nanos(self.clock.monotonic());
        let _ = self.peers.update(self.key_of_peer(peer), now, |entry| {
            entry.usage.take_back(&self.by_peer);
            entry.blocked_until = 0;
        });
    }

    /// Counts one refused request.
    pub(crate) fn charge(&self, peer: Peer, webhook_id: Option<&str>, reservation: Reservation) -> Charge {
        let now = nanos(self.clock.monotonic());
        let peer_charge = match reservation {
            Reservation::Counted => Ok(()),
            Reservation::None => self.peers.update(self.key_of_peer(peer), now, |entry| entry.add(&self.by_peer, now)),
        };
        let pair_charge = webhook_id.map_or(Ok(()), |webhook_id| {
            self.pairs.update(self.key_of_pair(peer, webhook_id), now, |entry| entry.add(&self.by_pair, now))
        });
        self.proven.tend(now);
        match peer_charge.and(pair_charge) {
            Ok(()) => Charge::Counted,
            Err(Full) => Charge::TableFull,
        }
    }

    /// Notes a genuine delivery, for 10 minutes. `now` is by the monotonic clock.
    pub(crate) fn note_success(&self, peer: Peer, webhook_id: &str, now: Duration) {
        let now = nanos(now);
        let until = now.saturating_add(nanos(PROVEN_FOR));
        // Without room the pair is blocked like any other, once it is charged that often.
        let _ = self.proven.update(self.key_of_pair(peer, webhook_id), now, |proven| {
            proven.until = proven.until.max(until);
        });
        // After a flood it may be genuine traffic alone that sweeps.
        self.peers.tend(now);
        self.pairs.tend(now);
    }

    fn key_of_peer(&self, peer: Peer) -> HashedKey {
        HashedKey::new(&self.secret, peer)
    }

    fn key_of_pair(&self, peer: Peer, webhook_id: &str) -> HashedKey {
        HashedKey::new(&self.secret, (peer, webhook_id))
    }
}

impl fmt::Debug for RejectedTraffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedTraffic")
            .field("peers", &self.peers)
            .field("pairs", &self.pairs)
            .field("proven", &self.proven)
            .finish_non_exhaustive()
    }
}

/// A peer as quotas count it: an IPv4 address, or the /64 network of an IPv6 address, which is usually assigned to a
/// single host. A v4-mapped address counts as the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Peer {
    /// The address, or the first of the network.
    pub(crate) fn address(self) -> IpAddr {
        match self {
            Self::V4(address) => address.into(),
            Self::V6([a, b, c, d]) => [a, b, c, d, 0, 0, 0, 0].into(),
        }
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Whether a request was charged to its peer before it was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reservation {
    None,
    Counted,
}

/// Whether refused traffic could be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// By every quota that it counts for.
    Counted,
    /// There was no room for its peer, or for its peer and webhook id.
    TableFull,
}

/// The charges of one key. governor cannot be asked without counting, so its denial is kept for later checks.
#[derive(Debug, Default)]
struct Offences {
    usage: Usage,
    blocked_until: u64,
}

impl Offences {
    fn add(&mut self, quota: &Quota, now: u64) {
        let mut decision = self.usage.count(quota, now);
        if let Decision::Allowed(QuotaState { remaining: 0, .. }) = decision {
            // The quota is used up to the last: asking once more is refused, counts nothing, and tells until when. It
            // spares the work for one more request each time that a single one is due again.
            decision = self.usage.count(quota, now);
        }
        if let Decision::Denied { retry_after, .. } = decision {
            self.blocked_until = now.saturating_add(nanos(retry_after));
        }
    }
}

impl Expires for Offences {
    /// A key is blocked only while its quota is not full.
    fn expires_at(&self) -> u64 {
        self.usage.expires_at()
    }
}

#[derive(Debug, Default)]
struct Proven {
    until: u64,
}

impl Expires for Proven {
    fn expires_at(&self) -> u64 {
        self.until
    }
}

fn wait(nanos: u64) -> Option<Duration> {
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

const PROVEN_FOR: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::ClockReading;
    use crate::time::Timestamp;

    /// A clock that stands where it was put.
    struct Hand(Mutex<ClockReading>);

    impl Clock for Hand {
        fn now(&self) -> ClockReading {
            *self.0.lock().unwrap()
        }
    }

    struct Scene {
        traffic: RejectedTraffic,
        clock: Arc<Hand>,
    }

    impl Scene {
        /// One refused request each second, three at once, for a peer and for a pair.
        fn new(capacity: usize) -> Self {
            let start = ClockReading { wall: Timestamp::from_unix(1_800_000_000), monotonic: Duration::from_secs(5) };
            let clock = Arc::new(Hand(Mutex::new(start)));
            let quota = Quota::new(3, SECOND).unwrap();
            Self { traffic: RejectedTraffic::new(quota, quota, capacity, clock.clone()), clock }
        }

        fn pass(&self, time: Duration) {
            let mut moment = self.clock.0.lock().unwrap();
            moment.monotonic = moment.monotonic.saturating_add(time);
        }

        fn charge(&self, peer: &str, id: &str, times: u32) {
            for _ in 0..times {
                assert_eq!(self.traffic.charge(address(peer), Some(id), Reservation::None), Charge::Counted);
            }
        }

        fn blocked(&self, peer: &str, id: &str) -> Option<Duration> {
            self.traffic.blocked_for(address(peer), Some(id), self.clock.monotonic())
        }

        fn deliver(&self, peer: &str, id: &str) {
            self.traffic.note_success(address(peer), id, self.clock.monotonic());
        }
    }

    fn address(text: &str) -> Peer {
        text.parse::<IpAddr>().unwrap().into()
    }

    const SECOND: Duration = Duration::from_secs(1);
    const MICROSECOND: Duration = Duration::from_micros(1);

    #[test]
    fn quota_used_up_blocks_until_one_more_is_due() {
        let scene = Scene::new(100);
        for _ in 0..3 {
            assert_eq!(scene.blocked("192.0.2.1", "x"), None);
            scene.charge("192.0.2.1", "x", 1);
        }
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
        assert_eq!(scene.blocked("192.0.2.1", "other id"), Some(SECOND), "the peer's own quota is used up too");

        scene.pass(SECOND - MICROSECOND);
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(MICROSECOND));
        scene.pass(MICROSECOND);
        assert_eq!(scene.blocked("192.0.2.1", "x"), None);
        scene.charge("192.0.2.1", "x", 1);
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND), "a single one was due");
    }

    #[test]
    fn looking_consumes_nothing() {
        let scene = Scene::new(100);
        scene.charge("192.0.2.1", "x", 2);
        for _ in 0..1_000 {
            assert_eq!(scene.blocked("192.0.2.1", "x"), None);
        }
        scene.charge("192.0.2.1", "x", 1);
        for _ in 0..1_000 {
            assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
        }
        scene.pass(SECOND);
        assert_eq!(scene.blocked("192.0.2.1", "x"), None);
    }

    #[test]
    fn charges_while_blocked_prolong_nothing() {
        let scene = Scene::new(100);
        scene.charge("192.0.2.1", "x", 10_000);
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
        scene.pass(SECOND * 3);
        scene.charge("192.0.2.1", "x", 2);
        assert_eq!(scene.blocked("192.0.2.1", "x"), None, "the quota was whole again");
    }

    #[test]
    fn pair_has_a_quota_beside_its_peers() {
        let clock = Scene::new(1).clock;
        let (loose, tight) = (Quota::new(100, SECOND).unwrap(), Quota::new(3, SECOND).unwrap());
        let scene = Scene { traffic: RejectedTraffic::new(loose, tight, 100, clock.clone()), clock };
        scene.charge("192.0.2.1", "x", 3);
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
        assert_eq!(scene.blocked("192.0.2.1", "y"), None);
        assert_eq!(scene.blocked("192.0.2.2", "x"), None);
    }

    #[test]
    fn request_without_an_id_is_counted_by_its_peer() {
        let scene = Scene::new(100);
        let peer = address("192.0.2.1");
        let now = scene.clock.now().monotonic;
        scene.deliver("192.0.2.1", "x");
        for _ in 0..3 {
            assert_eq!(scene.traffic.blocked_for(peer, None, now), None);
            assert_eq!(scene.traffic.charge(peer, None, Reservation::None), Charge::Counted);
        }
        assert_eq!(scene.traffic.blocked_for(peer, None, now), Some(SECOND));
    }

    #[test]
    fn forger_elsewhere_does_not_lock_the_sender_out() {
        let scene = Scene::new(100);
        scene.charge("198.51.100.1", "x", 10_000);
        assert_eq!(scene.blocked("198.51.100.1", "x"), Some(SECOND));
        assert_eq!(scene.blocked("192.0.2.1", "x"), None);
    }

    #[test]
    fn forger_at_the_senders_address_locks_out_only_an_unproven_sender() {
        let scene = Scene::new(100);
        scene.charge("192.0.2.1", "x", 10_000);
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND), "nothing genuine came from there yet");

        scene.deliver("192.0.2.1", "x");
        assert_eq!(scene.blocked("192.0.2.1", "x"), None);
        assert_eq!(scene.blocked("192.0.2.1", "y"), Some(SECOND), "another id at the same peer is unproven");
        scene.charge("192.0.2.1", "x", 10_000);
        assert_eq!(scene.blocked("192.0.2.1", "x"), None);
    }

    #[test]
    fn success_protects_for_ten_minutes() {
        let scene = Scene::new(100);
        scene.deliver("192.0.2.1", "x");
        scene.pass(PROVEN_FOR - MICROSECOND);
        scene.charge("192.0.2.1", "x", 10_000);
        assert_eq!(scene.blocked("192.0.2.1", "x"), None);
        scene.pass(MICROSECOND);
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND - MICROSECOND));
    }

    #[test]
    fn full_table_counts_no_one_else_until_it_is_swept() {
        let scene = Scene::new(2);
        scene.charge("192.0.2.1", "x", 3);
        scene.charge("192.0.2.2", "x", 3);
        for _ in 0..10 {
            assert_eq!(scene.traffic.charge(address("192.0.2.3"), Some("x"), Reservation::None), Charge::TableFull);
        }
        assert_eq!(scene.blocked("192.0.2.3", "x"), None, "a full table fails open");
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND), "and forgets no one");

        scene.pass(SECOND * 3);
        scene.charge("192.0.2.3", "x", 3);
        assert_eq!(scene.blocked("192.0.2.3", "x"), Some(SECOND));
    }

    #[test]
    fn full_table_of_pairs_alone_still_counts_the_peer() {
        let scene = Scene::new(2);
        scene.charge("192.0.2.1", "x", 1);
        scene.charge("192.0.2.1", "y", 1);
        assert_eq!(scene.traffic.charge(address("192.0.2.1"), Some("z"), Reservation::None), Charge::TableFull);
        assert_eq!(scene.blocked("192.0.2.1", "z"), Some(SECOND));
    }

    #[test]
    fn genuine_traffic_alone_sweeps_after_a_flood() {
        let scene = Scene::new(10_000);
        for host in 0..10_000_u16 {
            scene.charge(&format!("2001:db8:0:{host:x}::1"), "x", 1);
        }
        scene.pass(SECOND * 3);
        for _ in 0..64 {
            scene.deliver("192.0.2.1", "x");
        }
        let shown = format!("{:?}", scene.traffic);
        assert_eq!(shown.matches("len: 0, capacity: 10000").count(), 2, "{shown}");
        assert_eq!(shown.matches("len: 1, capacity: 10000").count(), 1, "{shown}");
    }

    #[test]
    fn wall_clock_jumps_change_nothing() {
        let scene = Scene::new(100);
        scene.charge("192.0.2.1", "x", 3);
        for wall in [i64::MIN, 0, i64::MAX] {
            scene.clock.0.lock().unwrap().wall = Timestamp::from_unix(wall);
            scene.charge("192.0.2.1", "x", 1);
            assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
        }
    }

    #[test]
    fn extreme_moments_overflow_nothing() {
        let scene = Scene::new(100);
        for monotonic in [Duration::ZERO, Duration::MAX, Duration::from_nanos(u64::MAX - 1), Duration::ZERO] {
            scene.clock.0.lock().unwrap().monotonic = monotonic;
            scene.charge("192.0.2.1", "x", 5);
            scene.deliver("192.0.2.1", "x");
            assert_eq!(scene.blocked("192.0.2.1", "x"), None);
        }
    }

    #[test]
    fn peers_are_told_apart_by_what_one_host_has() {
        let same = [
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
            ("::1", "::192.0.2.1"),
        ];
        for (one, other) in same {
            assert_eq!(address(one), address(other), "{one} {other}");
        }
        let different = [
            ("192.0.2.1", "192.0.2.2"),
            ("2001:db8:1:2::1", "2001:db8:1:3::1"),
            ("192.0.2.1", "::192.0.2.1"),
            ("192.0.2.1", "::ffff:0:192.0.2.1"),
            ("192.0.2.1", "0:0:c000:201::"),
            ("192.0.2.1", "c000:201::"),
            ("0.0.0.0", "::"),
        ];
        for (one, other) in different {
            assert_ne!(address(one), address(other), "{one} {other}");
        }
    }

    #[test]
    fn mapped_address_shares_the_quota_of_its_ipv4_one() {
        let scene = Scene::new(100);
        scene.charge("::ffff:192.0.2.1", "x", 3);
        assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
        assert_eq!(scene.blocked("::192.0.2.1", "x"), None);
    }
}

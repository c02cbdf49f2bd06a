use std::cell::Cell;
use std::net::IpAddr;

use super::*;

struct Scene {
    traffic: RejectedTraffic,
    now: Cell<Duration>,
}

impl Scene {
    /// Three requests at once, then one each second, for a peer and for a pair.
    fn new(capacity: usize) -> Self {
        Self::with_quotas(quota(3), quota(3), capacity)
    }

    fn with_quotas(by_peer: Quota, by_pair: Quota, capacity: usize) -> Self {
        Self { traffic: RejectedTraffic::new(by_peer, by_pair, capacity), now: Cell::new(Duration::from_secs(5)) }
    }

    fn pass(&self, time: Duration) {
        self.now.set(self.now.get().saturating_add(time));
    }

    fn reserve(&self, peer: &str, id: &str) -> Result<Reservation, Duration> {
        let reserved = self.traffic.reserve(address(peer), Some(HashedKey::of_id(id)), self.now.get());
        reserved.map_err(|blocked| blocked.wait)
    }

    /// Makes requests that fail verification. Returns how many were not blocked.
    fn refuse(&self, peer: &str, id: &str, times: u32) -> usize {
        let one = || {
            let reservation = self.reserve(peer, id).ok()?;
            self.traffic.blame(id, reservation, self.now.get());
            Some(())
        };
        (0..times).filter_map(|_| one()).count()
    }

    /// Returns how long a request would be blocked, without counting it.
    fn blocked(&self, peer: &str, id: &str) -> Option<Duration> {
        match self.reserve(peer, id) {
            Ok(reservation) => {
                self.traffic.refund(reservation, self.now.get());
                None
            }
            Err(wait) => Some(wait),
        }
    }

    /// Makes a genuine delivery. Returns whether it was not blocked.
    fn deliver(&self, peer: &str, id: &str) -> bool {
        let reserved = self.reserve(peer, id);
        if let Ok(reservation) = reserved {
            self.traffic.prove(reservation, self.now.get());
        }
        reserved.is_ok()
    }
}

fn quota(burst: u32) -> Quota {
    Quota::new(burst, SECOND).unwrap()
}

fn address(text: &str) -> Option<Peer> {
    text.parse::<IpAddr>().ok().map(Peer::from)
}

#[test]
fn duplicate_counts_as_a_tenth_of_a_request() {
    let scene = Scene::with_quotas(quota(6), quota(3), 100);
    for nth in 0..20 {
        let reservation = scene.reserve("192.0.2.1", "x").unwrap_or_else(|_| panic!("{nth}"));
        scene.traffic.count_duplicate(reservation, scene.now.get());
    }
    assert_eq!(scene.refuse("192.0.2.1", "x", 10), 1, "20 duplicates count as two of three requests");
}

const SECOND: Duration = Duration::from_secs(1);
const MICROSECOND: Duration = Duration::from_micros(1);
const PROVEN_FOR: Duration = Duration::from_nanos(PROVEN_NANOS);

#[test]
fn used_quota_blocks_until_one_request_is_due() {
    let scene = Scene::new(100);
    assert_eq!(scene.refuse("192.0.2.1", "x", 10), 3);
    assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
    assert_eq!(scene.blocked("192.0.2.1", "other id"), Some(SECOND), "the quota of the peer is used up too");

    scene.pass(SECOND - MICROSECOND);
    assert_eq!(scene.blocked("192.0.2.1", "x"), Some(MICROSECOND));
    scene.pass(MICROSECOND);
    assert_eq!(scene.refuse("192.0.2.1", "x", 10), 1, "one request was due");
    assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
}

#[test]
fn concurrent_requests_are_counted_before_they_end() {
    let scene = Scene::new(100);
    let reserved: Vec<Reservation> = (0..10).filter_map(|_| scene.reserve("192.0.2.1", "x").ok()).collect();
    assert_eq!(reserved.len(), 3);
    for reservation in reserved {
        scene.traffic.refund(reservation, scene.now.get());
    }
    assert_eq!(scene.refuse("192.0.2.1", "x", 10), 3, "refunded requests do not count");
}

#[test]
fn refunded_reservation_leaves_nothing_counted() {
    let scene = Scene::new(100);
    assert_eq!(scene.refuse("192.0.2.1", "x", 2), 2);
    for _ in 0..1_000 {
        assert_eq!(scene.blocked("192.0.2.1", "x"), None);
        assert_eq!(scene.blocked("192.0.2.1", "y"), None);
    }
    assert_eq!(scene.refuse("192.0.2.1", "x", 10), 1);
}

#[test]
fn blocked_requests_do_not_prolong_the_block() {
    let scene = Scene::new(100);
    assert_eq!(scene.refuse("192.0.2.1", "x", 10_000), 3);
    assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
    scene.pass(SECOND * 3);
    assert_eq!(scene.refuse("192.0.2.1", "x", 10), 3);
}

#[test]
fn one_webhook_id_cannot_use_its_peers_quota() {
    let scene = Scene::with_quotas(quota(6), quota(3), 100);
    assert_eq!(scene.refuse("192.0.2.1", "x", 10_000), 3);
    assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND));
    assert_eq!(scene.blocked("192.0.2.1", "y"), None);
    assert_eq!(scene.refuse("192.0.2.1", "y", 10), 3);
    assert_eq!(scene.blocked("192.0.2.1", "z"), Some(SECOND), "two ids together use up the peer's quota");
    assert_eq!(scene.blocked("192.0.2.2", "x"), None);
}

#[test]
fn request_without_an_id_counts_for_its_peer() {
    let scene = Scene::new(100);
    let peer = address("192.0.2.1");
    let now = scene.now.get();
    for _ in 0..3 {
        assert!(scene.traffic.reserve(peer, None, now).is_ok());
    }
    assert_eq!(scene.traffic.reserve(peer, None, now).unwrap_err().wait, SECOND);
}

#[test]
fn unknown_peers_share_one_quota() {
    let scene = Scene::with_quotas(quota(6), quota(3), 100);
    assert_eq!(scene.refuse("unknown", "x", 10), 3);
    assert_eq!(scene.refuse("unknown", "y", 10), 3);
    assert_eq!(scene.blocked("unknown", "z"), Some(SECOND));
    assert_eq!(scene.blocked("0.0.0.0", "z"), None, "an unknown peer is not this address");
    assert_eq!(scene.blocked("::", "z"), None);
}

#[test]
fn forger_at_another_address_cannot_block_a_sender() {
    let scene = Scene::new(100);
    scene.refuse("198.51.100.1", "x", 10_000);
    assert_eq!(scene.blocked("198.51.100.1", "x"), Some(SECOND));
    assert_eq!(scene.blocked("192.0.2.1", "x"), None);
}

#[test]
fn proven_pair_and_peer_get_tenfold_quotas() {
    let scene = Scene::with_quotas(quota(6), quota(3), 1_000);
    assert!(scene.deliver("192.0.2.1", "x"));
    assert_eq!(scene.refuse("192.0.2.1", "x", 10_000), 30, "the pair");
    let others = || (0..100).map(|id| scene.refuse("192.0.2.1", &format!("id {id}"), 100)).sum::<usize>();
    assert_eq!(others(), 30, "the peer's quota permits three for each of ten ids");
    assert_eq!(scene.refuse("192.0.2.2", "x", 100), 3, "another peer");
    scene.pass(SECOND);
    assert_eq!((scene.refuse("192.0.2.1", "x", 100), others()), (10, 0), "the peer's quota refills by ten a second");
}

#[test]
fn proven_peer_still_blocks_each_pair() {
    let scene = Scene::with_quotas(quota(6), quota(3), 100);
    assert!(scene.deliver("192.0.2.1", "x"));
    assert_eq!(scene.refuse("192.0.2.1", "y", 100), 3);
    assert_eq!(scene.blocked("192.0.2.1", "y"), Some(SECOND));
    assert!(scene.deliver("192.0.2.1", "x"), "other tenants are not blocked");
    assert!(scene.deliver("192.0.2.1", "z"));
}

#[test]
fn genuine_delivery_proves_for_ten_minutes() {
    let scene = Scene::with_quotas(quota(6), quota(3), 1_000);
    let others = || (0..100).map(|id| scene.refuse("192.0.2.1", &format!("id {id}"), 1)).sum::<usize>();
    assert!(scene.deliver("192.0.2.1", "x"));
    scene.pass(PROVEN_FOR - MICROSECOND);
    assert_eq!((scene.refuse("192.0.2.1", "x", 100), others()), (30, 30));
    scene.pass(SECOND * 10);
    assert_eq!((scene.refuse("192.0.2.1", "x", 100), others()), (3, 3), "three of the peer's six are used");
}

#[test]
fn slow_delivery_proves_after_its_entry_was_swept() {
    let scene = Scene::with_quotas(quota(6), quota(3), 1_000);
    let slow = scene.reserve("192.0.2.1", "x").unwrap();
    scene.pass(SECOND * 10);
    for nth in 0..200 {
        scene.refuse("192.0.2.2", &format!("{nth}"), 1);
    }
    scene.traffic.prove(slow, scene.now.get());
    assert_eq!(scene.refuse("192.0.2.1", "x", 100), 30);
}

#[test]
fn later_delivery_keeps_peer_and_pair_proven() {
    let scene = Scene::with_quotas(quota(6), quota(3), 1_000);
    for _ in 0..1_000 {
        assert!(scene.deliver("192.0.2.1", "x"));
        scene.pass(Duration::from_millis(999));
    }
    scene.pass(PROVEN_FOR - SECOND);
    assert_eq!(scene.refuse("192.0.2.1", "x", 100), 30);
    let others = (0..100).map(|id| scene.refuse("192.0.2.1", &format!("id {id}"), 1)).sum::<usize>();
    assert_eq!(others, 30);
}

#[test]
fn tenant_with_a_wrong_secret_blocks_no_other() {
    let scene = Scene::with_quotas(Quota::per_minute(120).unwrap(), Quota::per_minute(60).unwrap(), 100);
    for minute in 0..66 {
        for _ in 0..20 * 60 {
            scene.refuse("192.0.2.1", "wrong", 1);
            scene.pass(SECOND / 20);
        }
        if minute % 11 == 10 {
            assert!(scene.deliver("192.0.2.1", "right"), "after {minute} minutes");
        }
    }
}

#[test]
fn requests_counted_before_the_proof_stay_counted() {
    let scene = Scene::with_quotas(quota(6), quota(3), 1_000);
    let open: Vec<Reservation> = (0..2).map(|_| scene.reserve("192.0.2.1", "x").unwrap()).collect();
    assert!(scene.deliver("192.0.2.1", "x"));
    assert_eq!(scene.refuse("192.0.2.1", "x", 100), 28);
    for reservation in open {
        scene.traffic.refund(reservation, scene.now.get());
    }
    assert_eq!(scene.refuse("192.0.2.1", "x", 100), 2);
}

#[test]
fn most_charged_id_is_reported_for_its_peer() {
    let scene = Scene::with_quotas(quota(100), quota(50), 1_000);
    let charged = |peer| scene.traffic.most_charged(address(peer), scene.now.get());
    let long = "ä".repeat(40);
    scene.refuse("192.0.2.2", "c", 50);
    for nth in 0..500 {
        scene.refuse(&format!("198.51.100.{}", nth % 100), &format!("random {nth}"), 1);
        if nth % 20 == 0 {
            scene.refuse("192.0.2.1", "a", 1);
            scene.refuse("192.0.2.1", &long, 2);
            scene.refuse("192.0.2.1", "b", 1);
        }
    }
    assert_eq!(charged("192.0.2.1").as_deref(), Some(&*"ä".repeat(32)), "cut to 64 bytes");
    assert_eq!(charged("192.0.2.2").as_deref(), Some("c"));
    assert_eq!(charged("192.0.2.3"), None);
    scene.pass(SECOND * 121);
    assert_eq!(charged("192.0.2.1"), None, "the count has expired");
    scene.refuse("192.0.2.1", "b", 1);
    assert_eq!(charged("192.0.2.1").as_deref(), Some("b"));
}

#[test]
fn block_reports_whether_peer_is_over_quota() {
    let scene = Scene::with_quotas(quota(6), quota(3), 100);
    let blocked =
        |id| scene.traffic.reserve(address("192.0.2.1"), Some(HashedKey::of_id(id)), scene.now.get()).unwrap_err();
    scene.refuse("192.0.2.1", "a", 10);
    assert_eq!(blocked("a"), Blocked { wait: SECOND, by_peer: false });
    scene.refuse("192.0.2.1", "b", 10);
    assert_eq!(blocked("c"), Blocked { wait: SECOND, by_peer: true });
}

#[test]
fn full_table_counts_no_new_peer_until_swept() {
    let scene = Scene::new(2);
    scene.refuse("192.0.2.1", "x", 3);
    scene.refuse("192.0.2.2", "x", 3);
    for _ in 0..10 {
        assert!(scene.reserve("192.0.2.3", "x").unwrap().table_is_full);
    }
    assert_eq!(scene.blocked("192.0.2.3", "x"), None, "a full table fails open");
    assert_eq!(scene.blocked("192.0.2.1", "x"), Some(SECOND), "a full table keeps its entries");

    scene.pass(SECOND * 3);
    assert_eq!(scene.refuse("192.0.2.3", "x", 10), 3);
}

#[test]
fn full_table_of_pairs_still_counts_the_peer() {
    let scene = Scene::new(2);
    scene.refuse("192.0.2.1", "x", 1);
    scene.refuse("192.0.2.1", "y", 1);
    assert!(scene.reserve("192.0.2.1", "z").unwrap().table_is_full);
    assert_eq!(scene.blocked("192.0.2.1", "z"), Some(SECOND));
}

#[test]
fn genuine_traffic_sweeps_tables_after_a_flood() {
    let scene = Scene::new(10_000);
    for host in 0..10_000_u16 {
        scene.refuse(&format!("2001:db8:0:{host:x}::1"), "x", 1);
    }
    scene.pass(SECOND * 3);
    for _ in 0..64 {
        assert!(scene.deliver("192.0.2.1", "x"));
    }
    let shown = format!("{:?}", scene.traffic);
    assert_eq!(shown.matches("len: 1, capacity: 10000").count(), 2, "{shown}");
}

#[test]
fn extreme_times_do_not_overflow() {
    let scene = Scene::new(100);
    for monotonic in [Duration::ZERO, Duration::MAX, Duration::from_nanos(u64::MAX - 1), Duration::ZERO] {
        scene.now.set(monotonic);
        scene.refuse("192.0.2.1", "x", 5);
        scene.deliver("192.0.2.1", "y");
        scene.deliver("192.0.2.2", "y");
        let _ = scene.blocked("192.0.2.1", "x");
    }
}

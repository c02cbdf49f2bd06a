//! A Warden with everything in its own process takes nothing from the heap to judge a request, to count it and to
//! remember it: neither for a sender nor for a flood.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use allocation_counter::measure;
use hookwarden::clock::Clock as _;
use hookwarden::event::{Outcome, RefusalReason, SecurityEvent};
use hookwarden::headers::Head;
use hookwarden::keys::StaticKeys;
use hookwarden::testing::TestClock;
use hookwarden::warden::{Quotas, Replay};
use hookwarden::{Key, Keyring, Quota, Reason, Scheme, Signer, Timestamp, Verifier, Warden};
use http::{HeaderMap, HeaderName, HeaderValue};

const ID: &str = "acme-3f6c1d2e-7a51-4a0e-9d24-0b8f5f1f6c55";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const FORGER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const BODY_BYTES: usize = 1_024;

/// Two keys, as while they are rotated.
fn keys() -> Keyring {
    let key = |name: &str| {
        let secret = Scheme::timestamped().secret(&format!("the-secret-of-the-key-{name}")).unwrap();
        Key::new(name, secret).unwrap()
    };
    Keyring::from_keys([key("new"), key("old")]).unwrap()
}

struct Scene {
    warden: Warden,
    signer: Signer,
    clock: TestClock,
}

impl Scene {
    /// The memory of deliveries is in one part, so that it is known when it has to grow.
    fn new(quota: Quota) -> Self {
        let clock = TestClock::default();
        let store = StaticKeys::new(&Scheme::timestamped(), [(ID, keys())]).unwrap();
        let builder = Warden::builder(Scheme::timestamped()).keys(store);
        let builder = builder.quotas(Quotas::new().accepted(quota)).replay(Replay::new().capacity(4_000));
        let warden = builder.clock(clock.clone()).observer(|_: &SecurityEvent<'_>| {}).build().unwrap();
        Self { warden, signer: Signer::new(Scheme::timestamped(), keys()).unwrap(), clock }
    }

    fn message(&self, number: u32) -> (HeaderMap, Vec<u8>) {
        self.message_at(number, self.clock.now().wall)
    }

    fn message_at(&self, number: u32, time: Timestamp) -> (HeaderMap, Vec<u8>) {
        let mut body = number.to_be_bytes().to_vec();
        body.resize(BODY_BYTES, b'x');
        let signed = self.signer.sign_body_at(&body, time).unwrap();
        let head = signed
            .iter()
            .map(|(name, value)| (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap()));
        (head.collect(), body)
    }

    fn judge<H: Head + ?Sized>(&self, head: &H, peer: IpAddr, id: &str, body: &[u8]) -> Outcome {
        let admitted = self.warden.examine(head, Some(peer)).and_then(|examined| {
            let mut receiving = examined.identify(id)?;
            for chunk in body.chunks(100) {
                receiving.update(chunk)?;
            }
            receiving.finish()
        });
        match admitted {
            Ok(admitted) => {
                admitted.commit();
                Outcome::Accepted
            }
            Err(refused) => Outcome::Refused(refused.reason()),
        }
    }

    /// The number of allocations while a request is judged.
    #[track_caller]
    fn allocations<H: Head + ?Sized>(&self, head: &H, peer: IpAddr, id: &str, body: &[u8], expected: Outcome) -> u64 {
        let mut outcome = None;
        let measured = measure(|| outcome = Some(self.judge(head, peer, id, body)));
        assert_eq!(outcome, Some(expected));
        measured.count_total
    }
}

const fn refused(reason: RefusalReason) -> Outcome {
    Outcome::Refused(reason)
}

/// As many deliveries as make the memory large enough for the ten that come after.
const WARM_UP: u32 = 100;

#[test]
fn judging_counting_and_remembering_allocate_nothing() {
    let scene = Scene::new(Quota::new(WARM_UP + 10, Duration::from_secs(60)).unwrap());
    for number in 0..WARM_UP {
        let (head, body) = scene.message(number);
        assert_eq!(scene.judge(&head, PEER, ID, &body), Outcome::Accepted);
    }
    let (known, known_body) = scene.message(0);
    let (other, other_body) = scene.message(u32::MAX);
    for peer in [PEER, FORGER] {
        assert_eq!(scene.judge(&other, peer, ID, b"forged"), refused(RefusalReason::Unverified(Reason::Mismatch)));
        assert_eq!(scene.judge(&other, peer, "unknown", b"forged"), refused(RefusalReason::UnknownId));
    }

    for number in WARM_UP..WARM_UP + 10 {
        let (head, body) = scene.message(number);
        assert_eq!(scene.allocations(&head, PEER, ID, &body, Outcome::Accepted), 0, "{number}");
    }
    let stale = scene.message_at(0, Timestamp::from_unix(scene.clock.now().wall.as_unix() - 301)).0;
    for (head, id, body, reason) in [
        (&known, ID, &known_body, RefusalReason::Replayed),
        (&other, ID, &other_body, RefusalReason::QuotaExceeded),
        (&other, ID, &known_body, RefusalReason::Unverified(Reason::Mismatch)),
        (&other, "unknown", &other_body, RefusalReason::UnknownId),
        (&stale, ID, &known_body, RefusalReason::Unverified(Reason::Stale)),
        (&HeaderMap::new(), ID, &known_body, RefusalReason::Unverified(Reason::MissingHeader)),
        (&other, ID, &vec![0; 2 * 1_024 * 1_024], RefusalReason::BodyTooLarge),
    ] {
        assert_eq!(scene.allocations(head, FORGER, id, body, refused(reason)), 0, "{reason}");
    }
    let turned_away =
        (0..1_000).any(|_| scene.judge(&other, FORGER, ID, b"forged") == refused(RefusalReason::PeerBlocked));
    assert!(turned_away);
    assert_eq!(scene.allocations(&other, FORGER, ID, b"forged", refused(RefusalReason::PeerBlocked)), 0);
}

/// More than two live keys are rare. Their states go to the heap while a body arrives, in one allocation: growing would
/// leave an unwiped copy of the states behind. A whole body needs no state on the heap.
#[test]
fn more_than_two_live_keys_take_one_allocation_while_a_body_streams() {
    let key =
        |name: &str| Key::new(name, Scheme::timestamped().secret(&format!("the-secret-{name}")).unwrap()).unwrap();
    for names in [&["a", "b", "c"][..], &["a", "b", "c", "d", "e", "f", "g", "h"]] {
        let keyring = Keyring::from_keys(names.iter().map(|name| key(name))).unwrap();
        let now = Timestamp::from_unix(1_800_000_000);
        let signed = Signer::new(Scheme::timestamped(), keyring.clone()).unwrap().sign_body_at(b"x", now).unwrap();
        let head: Vec<(&str, &str)> = signed.iter().collect();
        let verifier = Verifier::new(Scheme::timestamped(), keyring).unwrap();
        let streamed = measure(|| {
            let mut verification = verifier.begin_at(&head, now).unwrap();
            verification.update(b"x");
            verification.finish().unwrap();
        });
        let whole = measure(|| drop(verifier.verify_at(&head, b"x", now).unwrap()));
        assert_eq!((streamed.count_total, whole.count_total), (1, 0), "{} keys", names.len());
    }
}

/// What the tables take to grow, and give back when they are swept, is spread over many deliveries.
#[test]
fn tables_that_grow_and_are_swept_seldom_allocate() {
    let scene = Scene::new(Quota::per_minute(60_000_000).unwrap());
    let (mut allocations, mut deliveries) = (0, 0_u64);
    // Three deliveries a second for an hour, with two keys each and remembered for 310 s.
    for number in 0..3 * 3_600 {
        let (head, body) = scene.message(number);
        allocations += scene.allocations(&head, PEER, ID, &body, Outcome::Accepted);
        deliveries += 1;
        scene.clock.advance(Duration::from_millis(333));
    }
    println!("{allocations} allocations in {deliveries} deliveries");
    assert!(allocations * 30 < deliveries, "{allocations} in {deliveries}");
}

/// Nothing lapses while the flood lasts: the clock stands still. It is three times what a table of refused traffic holds, so
/// that more of it would take no more; the bench `flood_memory` sends a million and looks at the whole process.
#[test]
fn flood_from_ever_new_peers_for_ever_new_ids_takes_less_than_8_mib() {
    let scene = Scene::new(Quota::per_minute(100).unwrap());
    let (head, _) = scene.message(0);
    let mut turned_away = 0;
    let measured = measure(|| {
        for number in 0..200_000_u128 {
            // Each in a network of its own.
            let peer = IpAddr::from((0x2001_0db8 << 96 | number << 64).to_be_bytes());
            let outcome = scene.judge(&head, peer, &format!("id-{number}"), b"forged");
            if outcome != refused(RefusalReason::UnknownId) {
                turned_away += 1;
            }
        }
    });
    println!("{} bytes at the most", measured.bytes_max);
    assert!(measured.bytes_max < 8 * 1_024 * 1_024, "{} bytes", measured.bytes_max);
    // Nobody of them had been there before.
    assert_eq!(turned_away, 0);
}

#[test]
fn allocations_are_counted() {
    assert!(measure(|| drop(std::hint::black_box(vec![0_u8; 16]))).count_total > 0);
}

//! A Warden without shared stores allocates nothing to verify a request, count it and store its replay entry, for senders
//! and under floods.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use allocation_counter::measure;
use hookwarden::clock::Clock as _;
use hookwarden::event::{Outcome, RefusalReason, SecurityEvent};
use hookwarden::headers::Head;
use hookwarden::keys::StaticKeys;
use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, Quotas, Receiving, Replay};
use hookwarden::{Key, Keyring, Quota, Reason, Scheme, Signer, Timestamp, Verifier, Warden};
use http::{HeaderMap, HeaderName, HeaderValue};

const ID: &str = "acme-3f6c1d2e-7a51-4a0e-9d24-0b8f5f1f6c55";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const FORGER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const BODY_BYTES: usize = 1_024;

/// Returns two keys, as during a rotation.
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
    /// The replay store has one shard, so its growth is predictable.
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

    fn outcome<H: Head + ?Sized>(&self, head: &H, peer: IpAddr, id: &str, body: &[u8]) -> Outcome {
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

    /// Returns the number of allocations of a request.
    #[track_caller]
    fn allocations<H: Head + ?Sized>(&self, head: &H, peer: IpAddr, id: &str, body: &[u8], expected: Outcome) -> u64 {
        let mut outcome = None;
        let measured = measure(|| outcome = Some(self.outcome(head, peer, id, body)));
        assert_eq!(outcome, Some(expected));
        measured.count_total
    }
}

const fn refused(reason: RefusalReason) -> Outcome {
    Outcome::Refused(reason)
}

/// The number of deliveries after which the store does not grow for the next ten.
const WARM_UP: u32 = 100;

#[test]
fn embedded_path_allocates_nothing() {
    let scene = Scene::new(Quota::new(WARM_UP + 10, Duration::from_secs(60)).unwrap());
    for number in 0..WARM_UP {
        let (head, body) = scene.message(number);
        assert_eq!(scene.outcome(&head, PEER, ID, &body), Outcome::Accepted);
    }
    let (known, known_body) = scene.message(0);
    let (other, other_body) = scene.message(u32::MAX);
    for peer in [PEER, FORGER] {
        assert_eq!(scene.outcome(&other, peer, ID, b"forged"), refused(RefusalReason::Unverified(Reason::Mismatch)));
        assert_eq!(scene.outcome(&other, peer, "unknown", b"forged"), refused(RefusalReason::UnknownId));
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
        (0..1_000).any(|_| scene.outcome(&other, FORGER, ID, b"forged") == refused(RefusalReason::PeerBlocked));
    assert!(turned_away);
    assert_eq!(scene.allocations(&other, FORGER, ID, b"forged", refused(RefusalReason::PeerBlocked)), 0);
}

/// More than two live keys are rare. While a body arrives, their states take one allocation of the final size, because
/// growing it would leave an unwiped copy. The replay keys of an accepted request take another.
#[test]
fn three_live_keys_take_two_allocations() {
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
        assert_eq!((streamed.count_total, whole.count_total), (2, 1), "{} keys", names.len());
        let forged = measure(|| drop(verifier.verify_at(&head, b"y", now).unwrap_err()));
        assert_eq!(forged.count_total, 0, "{} keys", names.len());
    }
}

/// Growth and sweeps of the tables are spread over many deliveries.
#[test]
fn table_growth_and_sweeps_seldom_allocate() {
    let scene = Scene::new(Quota::per_minute(60_000_000).unwrap());
    let (mut allocations, mut deliveries) = (0, 0_u64);
    // Three deliveries a second for an hour, with two keys each, kept for 310 s.
    for number in 0..3 * 3_600 {
        let (head, body) = scene.message(number);
        allocations += scene.allocations(&head, PEER, ID, &body, Outcome::Accepted);
        deliveries += 1;
        scene.clock.advance(Duration::from_millis(333));
    }
    println!("{allocations} allocations in {deliveries} deliveries");
    assert!(allocations * 30 < deliveries, "{allocations} in {deliveries}");
}

/// No entry expires: the clock does not advance. The flood has three times the capacity of a table of refused traffic, so
/// a longer one would take no more. The bench `flood_memory` sends a million and measures the whole process.
#[test]
fn flood_of_new_peers_takes_under_8_mib() {
    let scene = Scene::new(Quota::per_minute(100).unwrap());
    let (head, _) = scene.message(0);
    let mut turned_away = 0;
    let measured = measure(|| {
        for number in 0..200_000_u128 {
            // Each peer is in another network.
            let peer = IpAddr::from((0x2001_0db8 << 96 | number << 64).to_be_bytes());
            let outcome = scene.outcome(&head, peer, &format!("id-{number}"), b"forged");
            if outcome != refused(RefusalReason::UnknownId) {
                turned_away += 1;
            }
        }
    });
    println!("{} bytes at the most", measured.bytes_max);
    assert!(measured.bytes_max < 8 * 1_024 * 1_024, "{} bytes", measured.bytes_max);
    // None of these peers sent a request before.
    assert_eq!(turned_away, 0);
}

#[test]
fn allocations_are_counted() {
    assert!(measure(|| drop(std::hint::black_box(vec![0_u8; 16]))).count_total > 0);
}

/// A layer allocates its future, the request while its body arrives, and the admitted request. glibc keeps freed blocks of
/// up to 1,032 bytes in a cache; larger ones take several times as long. The crate `http` makes the others, for the delivery in
/// the request's extensions and for the headers of the answer.
#[cfg(feature = "tower")]
#[test]
fn layer_makes_three_small_allocations() {
    use futures_util::FutureExt as _;
    use hookwarden::IdSource;
    use hookwarden::tower::{ReceivedBody, WardenLayer};
    use tower::{Layer as _, Service as _};

    let keys = StaticKeys::new(&Scheme::timestamped(), [(ID, keys())]).unwrap();
    let clock = TestClock::default();
    let builder = Warden::builder(Scheme::timestamped()).keys(keys).clock(clock.clone());
    let warden = builder.webhook_id(IdSource::fixed(ID)).replay(Replay::new().capacity(4_000)).build().unwrap();
    let scene =
        Scene { warden: warden.clone(), signer: Signer::new(Scheme::timestamped(), self::keys()).unwrap(), clock };
    let handler = tower::service_fn(async |_: http::Request<ReceivedBody>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    let mut service = WardenLayer::new(warden).layer(handler);
    let mut least = u64::MAX;
    for number in 0..20 {
        let (head, body) = scene.message(number);
        let mut request = http::Request::post("/").body(http_body_util::Full::<bytes::Bytes>::from(body)).unwrap();
        *request.headers_mut() = head;
        let mut future = None;
        let called = measure(|| future = Some(service.call(request)));
        let mut response = None;
        let polled = measure(|| response = future.take().unwrap().now_or_never());
        assert_eq!(response.unwrap().unwrap().status(), 200);
        assert_eq!(called.count_total, 1);
        assert!(called.bytes_total <= 1_000, "{} bytes", called.bytes_total);
        least = least.min(polled.count_total);
    }
    assert!(size_of::<Receiving>() <= 1_032 && size_of::<Admitted>() <= 1_032);
    // Tables grow rarely; most deliveries find one that is large enough.
    assert!(least <= 8, "{least}");
}

//! The time of a refusal for each reason, with a body of 1 KiB: `cargo bench --features warden --bench refuse`.
//!
//! First the reasons of a verifier, then those that a Warden adds. Reasons that need a slow or broken connection, a
//! shared replay store or a panic are not measured.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic ends the measurement"
)]

#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "util/sender.rs"]
mod sender;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::event::RefusalReason;
use hookwarden::keys::KeyStore;
use hookwarden::scheme::SignedPart;
use hookwarden::warden::{Admitted, BodyLimits, Quotas, Refused, WardenBuilder};
use hookwarden::{Key, Keyring, Quota, Reason, Scheme, Secret, Timestamp, Verifier, Warden};
use http::{HeaderMap, HeaderValue};
use sender::NOW;

fn verifier(criterion: &mut Criterion) {
    let good = || sender::signed(body(), NOW).0;
    let usual = || sender::verifier();
    let of = |scheme: Scheme| Verifier::new(scheme, keyring()).unwrap();
    let standard = || sender::signed_by(Scheme::standard_webhooks(), keyring(), body(), NOW).0;
    let cases = [
        (Reason::MissingHeader, usual(), sender::without_signature(&good())),
        (Reason::DuplicateHeader, usual(), twice(good())),
        (Reason::MalformedSignature, usual(), sender::malformed(&good())),
        (Reason::MalformedTimestamp, usual(), with(good(), "x-webhook-timestamp", "+1800000000")),
        (Reason::MalformedHeader, of(Scheme::standard_webhooks()), with(standard(), "webhook-id", &"x".repeat(9000))),
        (Reason::TooManyCandidates, of(Scheme::standard_webhooks()), with_candidates(standard(), 33)),
        (Reason::NoRequestLine, of(with_method()), good()),
        (Reason::Stale, usual(), sender::stale()),
        (Reason::Early, usual(), sender::signed(body(), Timestamp::from_unix(NOW.as_unix() + 301)).0),
        (Reason::NoLiveKey, Verifier::new(Scheme::timestamped(), lapsed()).unwrap(), good()),
        (Reason::Mismatch, usual(), forged(good())),
    ];
    let mut group = criterion.benchmark_group("refuse/verifier");
    let body = body();
    for (reason, verifier, head) in &cases {
        let refuse = || verifier.verify_at(black_box(head), black_box(&body), NOW).unwrap_err();
        assert_eq!(refuse().reason(), *reason);
        group.bench_function(reason.as_str(), |bencher| bencher.iter(refuse));
    }
    group.finish();
}

fn warden(criterion: &mut Criterion) {
    // With a quota, the Warden would block the peer after a few refused requests.
    let unlimited = || Quotas::new().danger_unlimited_rejected();
    let lenient = || Warden::builder(Scheme::timestamped()).quotas(unlimited());
    let known = || lenient().sender(ID, keyring());
    let strict = Warden::builder(Scheme::timestamped()).sender(ID, keyring());
    let strict = strict.quotas(Quotas::new().rejected(one()).rejected_by_peer(one()));
    let cases: [(RefusalReason, WardenBuilder, &str, Prepare); 6] = [
        (RefusalReason::UnknownId, known(), "globex", |_, _| ()),
        (RefusalReason::KeyStoreUnavailable, lenient().keys(Down), ID, |_, _| ()),
        (RefusalReason::BodyTooLarge, known().body(BodyLimits::new().max_bytes(1023)), ID, |_, _| ()),
        (RefusalReason::Replayed, known(), ID, |warden, head| receive(warden, ID, head).unwrap().commit()),
        (RefusalReason::QuotaExceeded, known().quotas(unlimited().accepted(one())), ID, |warden, _| {
            let another = sender::signed(body(), Timestamp::from_unix(Timestamp::now().as_unix() - 1)).0;
            receive(warden, ID, &another).unwrap().commit();
        }),
        (RefusalReason::PeerBlocked, strict, ID, |warden, head| {
            (0..2).for_each(|_| drop(receive(warden, ID, &forged(head.clone())).unwrap_err()));
        }),
    ];
    let mut group = criterion.benchmark_group("refuse/warden");
    for (reason, builder, id, prepare) in cases {
        let (warden, head) = (builder.build().unwrap(), sender::signed(body(), Timestamp::now()).0);
        prepare(&warden, &head);
        let refuse = || receive(&warden, id, black_box(&head)).unwrap_err();
        assert_eq!(refuse().reason(), reason);
        group.bench_function(reason.as_str(), |bencher| bencher.iter(refuse));
    }
    let (warden, head) = (known().build().unwrap(), sender::signed(body(), Timestamp::now()).0);
    let _being_handled = receive(&warden, ID, &head).unwrap();
    let refuse = || receive(&warden, ID, black_box(&head)).unwrap_err();
    assert_eq!(refuse().reason(), RefusalReason::InProgress);
    group.bench_function(RefusalReason::InProgress.as_str(), |bencher| bencher.iter(refuse));
    group.finish();
}

/// A function that prepares a Warden so that it refuses the head.
type Prepare = fn(&Warden, &HeaderMap);

fn receive(warden: &Warden, id: &str, head: &HeaderMap) -> Result<Admitted, Refused> {
    let mut receiving = warden.examine(head, Some(PEER))?.identify(id)?;
    receiving.update(black_box(&BODY))?;
    receiving.finish()
}

/// A key store that fails.
struct Down;

impl KeyStore for Down {
    fn find(&self, _: &str) -> Result<Option<PreparedKeys>, StoreError> {
        Err(StoreError::new("down"))
    }
}

fn keyring() -> Keyring {
    Keyring::new(Secret::from_bytes(sender::SECRET).unwrap())
}

fn lapsed() -> Keyring {
    let key = Key::new("old", Secret::from_bytes(sender::SECRET).unwrap()).unwrap();
    Keyring::from_keys([key.not_after(Timestamp::from_unix(1))]).unwrap()
}

/// The timestamped scheme that also signs the method, which a map of headers does not have.
fn with_method() -> Scheme {
    let line = || SignedPart::literal("\n");
    let parts = [SignedPart::Timestamp, line(), SignedPart::Method, line(), SignedPart::Body];
    Scheme::timestamped().into_builder().signed(parts).build().unwrap()
}

/// A quota that permits a single request during the run.
fn one() -> Quota {
    Quota::new(1, Duration::from_secs(3600)).unwrap()
}

fn with(mut head: HeaderMap, name: &'static str, value: &str) -> HeaderMap {
    head.insert(name, HeaderValue::try_from(value).unwrap());
    head
}

fn twice(mut head: HeaderMap) -> HeaderMap {
    let signature = head[SIGNATURE].clone();
    head.append(SIGNATURE, signature);
    head
}

fn forged(head: HeaderMap) -> HeaderMap {
    with(head, SIGNATURE, &"0".repeat(64))
}

fn with_candidates(head: HeaderMap, count: usize) -> HeaderMap {
    let candidates = format!("v1,{}= ", "A".repeat(43)).repeat(count);
    with(head, "webhook-signature", candidates.trim_end())
}

fn body() -> Vec<u8> {
    BODY.to_vec()
}

const BODY: [u8; 1 << 10] = [b'x'; 1 << 10];
const ID: &str = "acme";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SIGNATURE: &str = "x-webhook-signature";

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = verifier, warden
}
criterion_main!(benches);

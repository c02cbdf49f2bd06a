//! Ways around the Warden that a stranger, or an unlucky moment, could take.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::future::{Future, poll_fn, ready};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use hookwarden::clock::{Clock, ClockReading};
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::event::StoreKind;
use hookwarden::event::{Observer, RefusalReason, SecurityEvent};
use hookwarden::keys::{AsyncKeyStore, CachedKeys, KeyStore};
use hookwarden::limit::{Decision, QuotaState, RateLimiter};
use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
use hookwarden::testing::TestClock;
use hookwarden::warden::{BodyLimits, Quotas, Replay, WardenBuilder};
use hookwarden::{BoxFuture, Keyring, Quota, Reason, Scheme, Signer, Timestamp, Warden};
use tokio::sync::Notify;

const ID: &str = "acme";
const SECRET: &str = "a-secret-of-the-tests-and-of-no-one-else";
const BODY: &[u8] = b"{}";
const NO_HEADERS: &[(&str, &str)] = &[];

type Head = Vec<(String, String)>;

fn keyring() -> Keyring {
    Keyring::new(Scheme::timestamped().secret(SECRET).unwrap())
}

fn signed_at(time: Timestamp) -> Head {
    let signer = Signer::new(Scheme::timestamped(), keyring()).unwrap();
    let signed = signer.sign_at(NO_HEADERS, BODY, time).unwrap();
    signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn peer() -> Option<IpAddr> {
    Some([203, 0, 113, 9].into())
}

fn warden(clock: &TestClock) -> WardenBuilder {
    Warden::builder(Scheme::timestamped()).sender(ID, keyring()).clock(clock.clone())
}

#[test]
fn body_that_outgrew_the_cap_stays_refused_though_its_reader_goes_on() {
    let clock = TestClock::default();
    let warden = warden(&clock).body(BodyLimits::new().max_bytes(BODY.len())).build().unwrap();
    let head = signed_at(clock.now().wall);
    let mut receiving = warden.examine(&head, peer()).unwrap().identify(ID).unwrap();
    receiving.update(BODY).unwrap();
    // It is not taken, so that what was taken is what was signed.
    assert_eq!(receiving.update(b"x").unwrap_err().reason(), RefusalReason::BodyTooLarge);
    assert_eq!(receiving.finish().unwrap_err().reason(), RefusalReason::BodyTooLarge);
}

/// Knows nobody and counts how often it is asked.
#[derive(Default)]
struct Nobody(AtomicUsize);

impl KeyStore for Nobody {
    fn find(&self, _: &str) -> Result<Option<PreparedKeys>, StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }
}

#[test]
fn flood_of_requests_that_are_broken_off_makes_no_more_look_ups_than_the_quota() {
    let (clock, store) = (TestClock::default(), Arc::new(Nobody::default()));
    let warden = Warden::builder(Scheme::timestamped()).keys(store.clone()).clock(clock.clone()).build().unwrap();
    let head = signed_at(clock.now().wall);
    for n in 0..1_000 {
        // The head arrives, the keys are looked up, and the client is gone before its body is complete.
        drop(warden.examine(&head, peer()).unwrap().identify(&format!("random-{n}")));
    }
    assert_eq!(store.0.load(Ordering::Relaxed), 60);
}

/// Knows nobody, takes its time, and counts how often it is asked.
struct Asked(Arc<AtomicUsize>);

impl AsyncKeyStore for Asked {
    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(None)
        })
    }
}

#[tokio::test]
async fn flood_of_requests_at_one_time_makes_no_more_look_ups_than_the_quota() {
    let (clock, asked) = (TestClock::default(), Arc::new(AtomicUsize::new(0)));
    let scheme = Scheme::timestamped();
    let keys = CachedKeys::new(&scheme, Asked(asked.clone()));
    let warden = Warden::builder(scheme).cached_keys(keys).clock(clock.clone()).build().unwrap();
    let head = signed_at(clock.now().wall);
    let requests = (0..1_000).map(|n| {
        let (warden, head) = (warden.clone(), head.clone());
        tokio::spawn(
            async move { warden.examine(&head, peer()).unwrap().identify_async(&format!("{n}")).await.map(drop) },
        )
    });
    for request in requests.collect::<Vec<_>>() {
        let _ = request.await.unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 60);
}

/// Knows everybody, after a while.
struct Everybody;

impl AsyncKeyStore for Everybody {
    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(Some(keyring()))
        })
    }
}

#[tokio::test]
async fn look_ups_that_find_keys_cost_their_peer_nothing() {
    let clock = TestClock::default();
    let scheme = Scheme::timestamped();
    let keys = CachedKeys::new(&scheme, Everybody);
    let warden = Warden::builder(scheme).cached_keys(keys).clock(clock.clone()).build().unwrap();
    let head = signed_at(clock.now().wall);
    for n in 0..500 {
        let mut receiving = warden.examine(&head, peer()).unwrap().identify_async(&format!("{n}")).await.unwrap();
        receiving.update(BODY).unwrap();
        receiving.finish_async().await.unwrap().commit();
    }
    // Sixty forgeries are then as many as ever.
    let forge = || async {
        let mut receiving = warden.examine(&head, peer())?.identify_async("new").await?;
        receiving.update(b"forged")?;
        receiving.finish_async().await
    };
    for _ in 0..60 {
        assert_eq!(forge().await.unwrap_err().reason(), RefusalReason::Unverified(Reason::Mismatch));
    }
    assert_eq!(forge().await.unwrap_err().reason(), RefusalReason::PeerBlocked);
}

#[test]
fn copy_whose_body_drips_until_the_delivery_is_forgotten_is_not_handled_again() {
    for deadline in [10, 60, 3_600] {
        let clock = TestClock::default();
        let warden = warden(&clock).body(BodyLimits::new().deadline(Duration::from_secs(deadline))).build().unwrap();
        let head = signed_at(clock.now().wall);
        // Both heads arrive in the last fresh second.
        clock.advance(Duration::from_millis(300_999));
        let receive = || warden.examine(&head, peer()).unwrap().identify(ID).unwrap();
        let (mut first, mut copy) = (receive(), receive());
        first.update(BODY).unwrap();
        first.finish().unwrap().commit();

        clock.advance(Duration::from_secs(deadline));
        copy.update(BODY).unwrap();
        assert_eq!(copy.finish().unwrap_err().reason(), RefusalReason::Replayed, "deadline {deadline} s");
    }
}

#[test]
fn body_that_is_complete_after_the_deadline_is_refused_whoever_reads_it() {
    let clock = TestClock::default();
    let warden = warden(&clock).build().unwrap();
    let head = signed_at(clock.now().wall);
    for (late, reason) in [(Duration::ZERO, None), (Duration::from_nanos(1), Some(RefusalReason::BodyTooSlow))] {
        let mut receiving = warden.examine(&head, peer()).unwrap().identify(ID).unwrap();
        receiving.update(BODY).unwrap();
        clock.advance(Duration::from_secs(10) + late);
        assert_eq!(receiving.finish().err().map(|refused| refused.reason()), reason);
    }
}

/// A memory of deliveries that answers after a while, and that can panic.
#[derive(Clone, Default)]
struct Slow {
    memory: Arc<LocalReplay>,
    panics: Arc<AtomicBool>,
    releases: Arc<Notify>,
}

impl Slow {
    async fn wait(&self) {
        assert!(!self.panics.load(Ordering::Relaxed), "on purpose");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl ReplayStore for Slow {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move {
            self.wait().await;
            let claim = self.memory.claim(delivery, by, lease, now).await;
            self.wait().await;
            claim
        })
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.wait().await;
            self.memory.commit(delivery, by, now).await
        })
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.releases.notify_one();
            self.wait().await;
            self.memory.release(delivery, by, now).await
        })
    }
}

/// Keeps what observers are told.
#[derive(Default)]
struct Told {
    outcomes: Mutex<Vec<&'static str>>,
    failed: Mutex<Vec<StoreKind>>,
    recovered: Mutex<Vec<StoreKind>>,
}

impl Observer for Told {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self.outcomes.lock().unwrap().push(event.outcome.as_str());
    }

    fn store_failed(&self, store: StoreKind, _: &StoreError) {
        self.failed.lock().unwrap().push(store);
    }

    fn store_recovered(&self, store: StoreKind) {
        self.recovered.lock().unwrap().push(store);
    }
}

async fn deliver(warden: &Warden, head: &Head) -> Result<hookwarden::warden::Admitted, hookwarden::warden::Refused> {
    let mut receiving = warden.examine(head, peer())?.identify_async(ID).await?;
    receiving.update(BODY)?;
    receiving.finish_async().await
}

/// Polls `future` once, and drops it.
async fn drop_midway(future: impl Future) {
    let mut future = pin!(future);
    let is_pending = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
    assert!(is_pending);
}

#[tokio::test]
async fn handled_delivery_is_committed_though_the_client_leaves_meanwhile() {
    let clock = TestClock::default();
    let warden = warden(&clock).replay(Replay::shared(Slow::default())).build().unwrap();
    let head = signed_at(clock.now().wall);
    let admitted = deliver(&warden, &head).await.unwrap();
    drop_midway(admitted.commit_async()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(deliver(&warden, &head).await.unwrap_err().reason(), RefusalReason::Replayed);
    clock.advance(Duration::from_secs(61));
    assert_eq!(deliver(&warden, &head).await.unwrap_err().reason(), RefusalReason::Replayed);
}

#[tokio::test]
async fn delivery_that_was_not_handled_is_given_back_though_the_client_leaves_meanwhile() {
    let clock = TestClock::default();
    let warden = warden(&clock).replay(Replay::shared(Slow::default())).build().unwrap();
    let head = signed_at(clock.now().wall);
    let admitted = deliver(&warden, &head).await.unwrap();
    drop_midway(admitted.release_async()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(deliver(&warden, &head).await.is_ok());
}

#[tokio::test]
async fn delivery_over_its_quota_is_given_back_though_the_client_leaves_meanwhile() {
    let clock = TestClock::default();
    let quota = Quota::new(1, Duration::from_secs(1)).unwrap();
    let slow = Slow::default();
    let warden =
        warden(&clock).quotas(Quotas::new().accepted(quota)).replay(Replay::shared(slow.clone())).build().unwrap();
    deliver(&warden, &signed_at(clock.now().wall)).await.unwrap().commit_async().await.unwrap();

    let second = signed_at(Timestamp::from_unix(clock.now().wall.as_unix() - 1));
    // It leaves while the release that follows the denial is under way.
    tokio::select! {
        biased;
        answer = deliver(&warden, &second) => panic!("{answer:?}"),
        () = slow.releases.notified() => {}
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    clock.advance(Duration::from_secs(1));
    assert!(deliver(&warden, &second).await.is_ok());
}

#[test]
fn commit_that_nothing_can_tell_to_a_shared_store_is_a_failure_of_the_store() {
    let (clock, told) = (TestClock::default(), Arc::new(Told::default()));
    let warden = warden(&clock).replay(Replay::shared(Slow::default())).observer(told.clone()).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let admitted = runtime.block_on(deliver(&warden, &signed_at(clock.now().wall))).unwrap();
    admitted.commit(); // outside the runtime
    assert_eq!(*told.failed.lock().unwrap(), [StoreKind::Replay]);
}

struct Panics;

impl RateLimiter for Panics {
    fn check<'a>(&'a self, _: &'a str, _: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        panic!("on purpose")
    }
}

#[tokio::test]
async fn limiter_that_panics_is_one_that_does_not_answer() {
    let (clock, told) = (TestClock::default(), Arc::new(Told::default()));
    let warden = warden(&clock).quotas(Quotas::new().shared(Panics)).observer(told.clone()).build().unwrap();
    deliver(&warden, &signed_at(clock.now().wall)).await.unwrap().commit();
    assert_eq!(*told.failed.lock().unwrap(), [StoreKind::Limits]);
    assert_eq!(*told.outcomes.lock().unwrap(), ["accepted"]);
}

/// What a limiter answers, the last one first.
struct Answers(Mutex<Vec<Result<Decision, StoreError>>>);

impl RateLimiter for Answers {
    fn check<'a>(&'a self, _: &'a str, _: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(ready(self.0.lock().unwrap().pop().unwrap()))
    }
}

#[tokio::test]
async fn limiter_is_back_once_and_not_by_a_denial_that_it_may_remember() {
    let quota_state = QuotaState { remaining: 0, reset: Duration::from_secs(1) };
    let (allowed, denied) =
        (Decision::Allowed(quota_state), Decision::Denied { retry_after: Duration::from_secs(1), quota_state });
    let answers = Answers(Mutex::new(vec![Ok(allowed), Ok(allowed), Ok(denied), Err(StoreError::new("it is down"))]));
    let (clock, told) = (TestClock::default(), Arc::new(Told::default()));
    let warden = warden(&clock).quotas(Quotas::new().shared(answers)).observer(told.clone()).build().unwrap();
    for (age, recovered) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        let _ = deliver(&warden, &signed_at(Timestamp::from_unix(clock.now().wall.as_unix() - age))).await;
        assert_eq!(told.recovered.lock().unwrap().len(), recovered, "delivery {age}");
    }
    assert_eq!(
        (&*told.failed.lock().unwrap(), &*told.recovered.lock().unwrap()),
        (&vec![StoreKind::Limits], &vec![StoreKind::Limits])
    );
    assert_eq!(*told.outcomes.lock().unwrap(), ["released", "refused", "released", "released"]);
}

#[tokio::test]
async fn memory_that_panics_refuses_and_stops_nothing() {
    let (clock, told, store) = (TestClock::default(), Arc::new(Told::default()), Slow::default());
    let warden = warden(&clock).replay(Replay::shared(store.clone())).observer(told.clone()).build().unwrap();
    let head = signed_at(clock.now().wall);
    let admitted = deliver(&warden, &head).await.unwrap();

    store.panics.store(true, Ordering::Relaxed);
    assert!(admitted.release_async().await.is_err());
    assert_eq!(deliver(&warden, &head).await.unwrap_err().reason(), RefusalReason::ReplayStoreUnavailable);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(*told.outcomes.lock().unwrap(), ["released", "refused"]);
    assert!(told.failed.lock().unwrap().iter().all(|store| *store == StoreKind::Replay));
}

/// Answers never.
struct Hung;

impl AsyncKeyStore for Hung {
    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        Box::pin(std::future::pending())
    }
}

#[cfg(feature = "tower")]
#[tokio::test]
async fn key_store_that_hangs_holds_a_request_no_longer_than_the_deadline() {
    use hookwarden::tower::{VerifiedBody, WardenLayer};
    use tower::{Layer as _, ServiceExt as _, service_fn};

    let scheme = Scheme::timestamped();
    let warden = Warden::builder(scheme.clone())
        .cached_keys(CachedKeys::new(&scheme, Hung))
        .webhook_id(hookwarden::IdSource::fixed(ID))
        .body(BodyLimits::new().deadline(Duration::from_millis(100)))
        .build()
        .unwrap();
    let handler =
        service_fn(|_: http::Request<VerifiedBody>| async { Ok::<_, ()>(http::Response::new(String::new())) });
    let mut request = http::Request::post("/");
    for (name, value) in signed_at(Timestamp::now()) {
        request = request.header(name, value);
    }
    let request = request.body(http_body_util::Full::new(bytes::Bytes::from_static(BODY))).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(2), WardenLayer::new(warden).layer(handler).oneshot(request));
    assert_eq!(answer.await.expect("an answer").unwrap().status(), 503);
}

fn scheme_of(parts: Vec<hookwarden::scheme::SignedPart>) -> Scheme {
    Scheme::builder("acme").signature_header("X-Sig").signed(parts).build().unwrap()
}

#[test]
fn header_whose_value_could_end_elsewhere_is_refused() {
    use hookwarden::Verifier;
    use hookwarden::scheme::SignedPart;
    let (id, literal) = (|| SignedPart::header("X-Id").unwrap(), SignedPart::literal);
    let cases = [
        // The literal would begin in the value and end in itself: `a:` and `b` is `a` and `:b`.
        (vec![id(), literal("::"), SignedPart::Body], ("a:", b"b".as_slice())),
        // Behind the body it is the literal in front that counts: `x` and `y.z` is `x.y` and `z`.
        (vec![SignedPart::Body, literal("."), id()], ("y.z", b"x".as_slice())),
    ];
    for (parts, (value, body)) in cases {
        let scheme = scheme_of(parts);
        let verifier = Verifier::new(scheme, keyring()).unwrap();
        let head = [("X-Id", value), ("X-Sig", &"0".repeat(64))];
        let now = Timestamp::from_unix(0);
        assert_eq!(verifier.verify_at(&head, body, now).unwrap_err().reason(), Reason::MalformedHeader, "{value}");
        let head = [("X-Id", "plain"), ("X-Sig", &"0".repeat(64))];
        assert_eq!(verifier.verify_at(&head, body, now).unwrap_err().reason(), Reason::Mismatch);
    }
}

#[test]
fn field_without_a_key_is_ignored_like_any_other() {
    use hookwarden::Verifier;
    use hookwarden::scheme::{Layout, SignedPart};
    let scheme = Scheme::builder("acme")
        .signature_header("X-Sig")
        .layout(Layout::fields(',', "v1"))
        .signed([SignedPart::Body])
        .build()
        .unwrap();
    let head = [("X-Sig", format!("=a,=b,v1={}", "0".repeat(64)))];
    let verifier = Verifier::new(scheme, keyring()).unwrap();
    let refused = verifier.verify_at(&head, BODY, Timestamp::from_unix(0)).unwrap_err();
    assert_eq!(refused.reason(), Reason::Mismatch);
}

#[test]
fn signed_headers_show_no_signature_when_debugged() {
    let signer = Signer::new(Scheme::timestamped(), keyring()).unwrap();
    let signed = signer.sign_at(NO_HEADERS, BODY, Timestamp::from_unix(1_800_000_000)).unwrap();
    assert_eq!(format!("{signed:?}"), r#"["X-Webhook-Timestamp", "X-Webhook-Signature"]"#);
}

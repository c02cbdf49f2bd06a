//! Stores that fail, panic or hang: the Warden's answers and reports.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwarden::clock::Clock as _;
use hookwarden::error::StoreError;
use hookwarden::event::{Observer, RefusalReason, SecurityEvent, StoreKind};
use hookwarden::keys::{AsyncKeyStore, CachedKeys};
use hookwarden::limit::{Decision, QuotaState, RateLimiter};
use hookwarden::testing::{FaultyStore, StoreFault, TestClock, sign};
use hookwarden::tower::{ReceivedBody, WardenLayer};
use hookwarden::warden::{BodyLimits, Quotas, Replay};
use hookwarden::{BoxFuture, IdSource, Keyring, Quota, Scheme, Signer, Timestamp, Warden};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::slow_replay::{BODY, ID, SlowReplay, deliver, keyring, signed_at, warden};

/// Everything that an observer received.
#[derive(Default)]
struct Reports {
    outcomes: Mutex<Vec<&'static str>>,
    failed: Mutex<Vec<StoreKind>>,
    recovered: Mutex<Vec<StoreKind>>,
}

impl Observer for Reports {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self.outcomes.lock().unwrap().push(event.outcome.as_str());
    }

    fn store_failed(&self, store: StoreKind, _: &StoreError) {
        self.failed.lock().unwrap().push(store);
    }

    fn store_recovered(&self, store: StoreKind, _: Option<&str>) {
        self.recovered.lock().unwrap().push(store);
    }
}

#[test]
fn commit_outside_a_runtime_is_a_store_failure() {
    let (clock, reports) = (TestClock::default(), Arc::new(Reports::default()));
    let warden =
        warden(&clock).replay(Replay::shared(SlowReplay::default())).observer(reports.clone()).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let admitted = runtime.block_on(deliver(&warden, &signed_at(clock.now().wall))).unwrap();
    admitted.commit();
    assert_eq!(*reports.failed.lock().unwrap(), [StoreKind::Replay]);
}

struct PanickingLimiter;

impl RateLimiter for PanickingLimiter {
    fn check<'a>(&'a self, _: &'a str, _: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        panic!("on purpose")
    }
}

#[tokio::test]
async fn panicking_limiter_accepts_and_is_reported() {
    let (clock, reports) = (TestClock::default(), Arc::new(Reports::default()));
    let warden =
        warden(&clock).quotas(Quotas::new().shared(PanickingLimiter)).observer(reports.clone()).build().unwrap();
    deliver(&warden, &signed_at(clock.now().wall)).await.unwrap().commit();
    assert_eq!(*reports.failed.lock().unwrap(), [StoreKind::Limits]);
    assert_eq!(*reports.outcomes.lock().unwrap(), ["accepted"]);
}

/// A limiter with these answers, the last one first.
struct Answers(Mutex<Vec<Result<Decision, StoreError>>>);

impl RateLimiter for Answers {
    fn check<'a>(&'a self, _: &'a str, _: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(ready(self.0.lock().unwrap().pop().unwrap()))
    }
}

/// A denial may come from the limiter's cache, so it does not show that the store answers.
#[tokio::test]
async fn limiter_recovery_is_reported_once_by_an_allowance() {
    let quota_state = QuotaState { remaining: 0, reset: Duration::from_secs(1) };
    let (allowed, denied) =
        (Decision::Allowed(quota_state), Decision::Denied { retry_after: Duration::from_secs(1), quota_state });
    let answers = Answers(Mutex::new(vec![Ok(allowed), Ok(allowed), Ok(denied), Err(StoreError::new("it is down"))]));
    let (clock, reports) = (TestClock::default(), Arc::new(Reports::default()));
    let warden = warden(&clock).quotas(Quotas::new().shared(answers)).observer(reports.clone()).build().unwrap();
    for (age, recovered) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        let _ = deliver(&warden, &signed_at(Timestamp::from_unix(clock.now().wall.as_unix() - age))).await;
        assert_eq!(reports.recovered.lock().unwrap().len(), recovered, "delivery {age}");
    }
    assert_eq!(
        (&*reports.failed.lock().unwrap(), &*reports.recovered.lock().unwrap()),
        (&vec![StoreKind::Limits], &vec![StoreKind::Limits])
    );
    assert_eq!(*reports.outcomes.lock().unwrap(), ["released", "refused", "released", "released"]);
}

#[tokio::test]
async fn panicking_replay_store_refuses_and_is_reported() {
    let (clock, reports, store) = (TestClock::default(), Arc::new(Reports::default()), SlowReplay::default());
    let warden = warden(&clock).replay(Replay::shared(store.clone())).observer(reports.clone()).build().unwrap();
    let head = signed_at(clock.now().wall);
    let admitted = deliver(&warden, &head).await.unwrap();

    store.store.set_fault(StoreFault::Panic);
    let released = admitted.release_async().await.unwrap_err().to_string();
    assert!(released.contains("panic"), "{released}");
    assert_eq!(deliver(&warden, &head).await.unwrap_err().reason(), RefusalReason::ReplayStoreUnavailable);
    assert_eq!(*reports.outcomes.lock().unwrap(), ["released", "refused"]);
    let failed = reports.failed.lock().unwrap();
    assert!(!failed.is_empty() && failed.iter().all(|store| *store == StoreKind::Replay), "{failed:?}");
}

struct NoKeys;

impl AsyncKeyStore for NoKeys {
    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        Box::pin(ready(Ok(None)))
    }
}

#[tokio::test]
async fn hung_key_store_gets_503_at_deadline() {
    let scheme = Scheme::timestamped();
    let keys = FaultyStore::new(NoKeys);
    keys.set_fault(StoreFault::Hang);
    let warden = Warden::builder(scheme.clone())
        .cached_keys(CachedKeys::new(&scheme, keys))
        .webhook_id(IdSource::fixed(ID))
        .body(BodyLimits::new().deadline(Duration::from_millis(100)))
        .build()
        .unwrap();
    let handler =
        service_fn(|_: http::Request<ReceivedBody>| async { Ok::<_, ()>(http::Response::new(String::new())) });
    let signer = Signer::new(scheme, keyring()).unwrap();
    let request = sign(&signer, http::Request::post("/").body(BODY).unwrap());
    let request = request.map(|body| http_body_util::Full::new(bytes::Bytes::from_static(body)));
    let answer = tokio::time::timeout(Duration::from_secs(2), WardenLayer::new(warden).layer(handler).oneshot(request));
    assert_eq!(answer.await.expect("an answer").unwrap().status(), 503);
}

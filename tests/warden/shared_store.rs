//! Shared stores: settlement after a clock step, a store failure, or the end of the lease.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwarden::clock::Clock as _;
use hookwarden::error::StoreError;
use hookwarden::event::{Observer, RefusalReason, SecurityEvent, Warning};
use hookwarden::limit::{Decision, QuotaState};
use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore as _};
use hookwarden::shared_store::SharedStore as _;
use hookwarden::testing::{FaultyStore, StoreFault, TestClock};
use hookwarden::verifier::ReplayKey;
use hookwarden::warden::{Admitted, Refused, Replay, WardenBuilder};
use hookwarden::{Keyring, Quota, Scheme, Signer, Timestamp, Warden};

use crate::harness::store::Recorder;

/// A replay store and limiter with the default `admit`, which records its calls and fails on demand.
type Remote = FaultyStore<Recorder<LocalReplay>>;

/// Takes the settlements so far, each with the caller's wall clock.
fn settled(store: &Recorder<LocalReplay>) -> Vec<(&'static str, i64)> {
    let calls = store.take().into_iter().filter(|call| call.name != "claim");
    calls.map(|call| (call.name, call.wall.as_unix())).collect()
}

fn failure() -> StoreError {
    StoreError::new("on purpose")
}

/// An observer that collects warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<Warning>>);

impl Observer for Warnings {
    fn observe(&self, _: &SecurityEvent<'_>) {}

    fn warning(&self, warning: &Warning) {
        self.0.lock().unwrap().push(*warning);
    }
}

struct Endpoint {
    warden: Warden,
    clock: TestClock,
    warnings: Arc<Warnings>,
}

impl Endpoint {
    fn new(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        let (clock, warnings) = (TestClock::default(), Arc::new(Warnings::default()));
        let warden = Warden::builder(Scheme::timestamped()).sender(ID, keyring());
        let warden = set(warden.clock(clock.clone()).observer(warnings.clone()));
        Self { warden: warden.build().unwrap(), clock, warnings }
    }

    /// The head of a request with the body [`BODY`], signed now.
    fn head(&self) -> Vec<(String, String)> {
        let signer = Signer::new(Scheme::timestamped(), keyring()).unwrap();
        let signed = signer.sign_body_at(BODY, self.clock.now().wall).unwrap();
        signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    async fn receive(&self, head: &Vec<(String, String)>) -> Result<Admitted, Refused> {
        let mut receiving = self.warden.examine(head, PEER)?.identify_async(ID).await?;
        receiving.update(BODY)?;
        receiving.finish_async().await
    }

    async fn reason(&self, head: &Vec<(String, String)>) -> Option<RefusalReason> {
        self.receive(head).await.map(Admitted::commit).err().map(|refused| refused.reason())
    }
}

fn keyring() -> Keyring {
    Keyring::new(Scheme::timestamped().secret("a-secret-of-the-tests-and-of-no-one-else").unwrap())
}

#[tokio::test]
async fn settlement_has_the_wall_clock_of_its_claim() {
    for step in [3_600, -3_600] {
        let remote = Remote::default();
        let endpoint = Endpoint::new(|warden| warden.replay(Replay::shared(remote.clone())));
        let claimed = endpoint.clock.now().wall.as_unix();
        let head = endpoint.head();
        let admitted = endpoint.receive(&head).await.unwrap();
        endpoint.clock.step_wall(step);
        endpoint.clock.advance(Duration::from_secs(2));
        admitted.release_async().await.unwrap();
        assert_eq!(settled(remote.store()), [("release", claimed + 2)], "stepped by {step} s");

        endpoint.clock.step_wall(-step);
        let admitted = endpoint.receive(&head).await.unwrap();
        endpoint.clock.step_wall(step);
        endpoint.clock.advance(Duration::from_secs(3));
        admitted.commit_async().await.unwrap();
        assert_eq!(settled(remote.store()), [("commit", claimed + 5)], "stepped by {step} s");
    }
}

#[tokio::test]
async fn claim_has_the_earlier_wall_clock() {
    for (step, expected) in [(3_600, 2), (-3_600, -3_598)] {
        let remote = Remote::default();
        let endpoint = Endpoint::new(|warden| warden.replay(Replay::shared(remote.clone())));
        let began = endpoint.clock.now().wall.as_unix();
        let head = endpoint.head();
        let mut receiving = endpoint.warden.examine(&head, PEER).unwrap().identify_async(ID).await.unwrap();
        receiving.update(BODY).unwrap();
        endpoint.clock.step_wall(step);
        endpoint.clock.advance(Duration::from_secs(2));
        receiving.finish_async().await.unwrap().commit_async().await.unwrap();
        let calls = remote.store().take().into_iter().map(|call| (call.name, call.wall.as_unix() - began));
        assert_eq!(calls.collect::<Vec<_>>(), [("claim", expected), ("commit", expected)], "stepped by {step} s");
    }
}

#[tokio::test]
async fn failed_quota_check_releases_the_claim() {
    let remote = Remote::default();
    let endpoint = Endpoint::new(|warden| warden.shared_store(remote.clone()));
    let head = endpoint.head();
    *remote.store().decision.lock().unwrap() = Some(Err(failure()));
    assert_eq!(endpoint.reason(&head).await, Some(RefusalReason::ReplayStoreUnavailable));
    assert_eq!(settled(remote.store())[..1], [("release", endpoint.clock.now().wall.as_unix())]);
    *remote.store().decision.lock().unwrap() = None;
    assert_eq!(endpoint.reason(&head).await, None, "a retry is admitted before the lease ends");
}

/// Call `admit` directly, because the Warden also releases the claim of a failed `admit` in the background.
#[tokio::test]
async fn default_admit_releases_what_it_refuses() {
    let (clock, keys) = (TestClock::default(), [ReplayKey::from_bytes([7; 16])]);
    let delivery = Delivery {
        webhook_id: ID,
        keys: &keys,
        until: Timestamp::from_unix(clock.now().wall.as_unix() + 600),
        id: None,
    };
    let quota = Quota::per_minute(1).unwrap();
    let denied = Decision::Denied { retry_after: MINUTE, quota_state: QuotaState { remaining: 0, reset: MINUTE } };
    for decision in [Ok(denied), Err(failure())] {
        let remote = Recorder::<LocalReplay>::default();
        *remote.decision.lock().unwrap() = Some(decision.clone());
        let admitted = remote.admit(delivery, Claimant::new(1), MINUTE, Some(&quota), clock.now()).await;
        assert_eq!(admitted.as_ref().err(), decision.as_ref().err(), "{admitted:?}");
        assert_eq!(remote.names(), ["claim", "release"], "{admitted:?}");
        let claim = remote.claim(delivery, Claimant::new(2), MINUTE, clock.now()).await.unwrap();
        assert_eq!(claim, Claim::Granted, "{admitted:?}");
    }
}

#[tokio::test]
async fn claim_that_fell_back_is_committed_here() {
    let remote = Remote::default();
    let replay = Replay::shared(remote.clone()).danger_fall_back_to_this_process();
    let endpoint = Endpoint::new(|warden| warden.replay(replay));
    let head = endpoint.head();
    remote.set_fault(StoreFault::Error(failure()));
    let admitted = endpoint.receive(&head).await.unwrap();
    // The store answers again before the handler has finished, and then fails once more.
    remote.set_fault(None);
    admitted.commit_async().await.unwrap();
    assert_eq!(settled(remote.store()), [], "the store did not grant this claim");
    remote.set_fault(StoreFault::Error(failure()));
    assert_eq!(endpoint.reason(&head).await, Some(RefusalReason::Replayed));
}

#[tokio::test]
async fn only_late_commits_warn_of_outlived_leases() {
    let remote = Remote::default();
    let endpoint = Endpoint::new(|warden| warden.replay(Replay::shared(remote).lease(Duration::from_secs(5))));
    let head = endpoint.head();
    for (done, warnings) in [(false, &[][..]), (true, &[Warning::LeaseOutlived])] {
        let late = endpoint.receive(&head).await.unwrap();
        endpoint.clock.advance(Duration::from_secs(5));
        let copy = endpoint.receive(&head).await.unwrap();
        if done {
            late.commit_async().await.unwrap()
        } else {
            late.release_async().await.unwrap()
        }
        assert_eq!(*endpoint.warnings.0.lock().unwrap(), warnings, "done: {done}");
        copy.release_async().await.unwrap();
    }
}

const ID: &str = "acme";
const BODY: &[u8] = b"{}";
const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
const MINUTE: Duration = Duration::from_secs(60);

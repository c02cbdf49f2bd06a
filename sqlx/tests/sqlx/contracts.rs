//! The acceptance suites, and the rules that they do not cover.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hookwarden::clock::{Clock as _, SystemClock};
use hookwarden::replay::{Claimant, Delivery, ReplayStore as _};
use hookwarden::shared_store::{AdmitOutcome, SharedStore};
use hookwarden::testing::{rate_limiter_contract, replay_store_contract};
use hookwarden::verifier::ReplayKey;
use hookwarden::{Quota, Timestamp};
use proptest::test_runner::{Config, TestRunner};
use sqlx::pool::PoolOptions;

use crate::databases::TestDatabase;
use crate::harness::store_comparison::{Time, calls, compare};

pub(crate) async fn replay_store_keeps_the_contract<D: TestDatabase>() {
    let database = D::open(PoolOptions::new()).await;
    let store = database.store().await;
    replay_store_contract(|| store.clone(), &SystemClock::default(), tokio::time::sleep).await;
}

pub(crate) async fn replay_store_matches_the_model<D: TestDatabase>() {
    let database = D::open(PoolOptions::new()).await;
    let store = database.store().await;
    let runtime = tokio::runtime::Handle::current();
    // proptest is synchronous, and a runtime's thread must not block.
    let test = move || {
        let case = AtomicU64::new(0);
        let config = Config { cases: MODEL_CASES, failure_persistence: None, ..Config::default() };
        let verdict = TestRunner::new(config).run(&calls(Time::Real, 60), |calls| {
            let case = format!("model-{}", case.fetch_add(1, Ordering::Relaxed));
            // Every row expires sooner, as if this time had passed.
            let age = async |time: Duration| {
                let mut connection = database.pool().acquire().await.unwrap();
                D::run(&mut connection, D::age(time)).await.unwrap();
            };
            runtime.block_on(compare(&store, Time::Real, &case, age, &calls))
        });
        verdict.map_err(|error| error.to_string())
    };
    tokio::task::spawn_blocking(test).await.unwrap().unwrap();
}

pub(crate) async fn rate_limiter_keeps_the_contract<D: TestDatabase>() {
    let database = D::open(PoolOptions::new()).await;
    let store = database.store().await;
    rate_limiter_contract(|| store.clone(), tokio::time::sleep).await;
}

pub(crate) async fn admit_equals_claim_and_check<D: TestDatabase>() {
    let database = D::open(PoolOptions::new()).await;
    let store = database.store().await;
    let quota = Quota::new(2, Duration::from_secs(600)).unwrap();
    let now = SystemClock::default().now();
    let until = Timestamp::from_unix(now.wall.as_unix() + 60);
    let [a, b, c] = [1, 2, 3].map(|byte| [ReplayKey::from_bytes([byte; 16])]);
    let of = |keys| Delivery { webhook_id: "acme", keys, until, id: None };
    let (lease, by) = (Duration::from_secs(30), Claimant::new);
    let admit = async |keys, claimant| store.admit(of(keys), by(claimant), lease, Some(&quota), now).await.unwrap();
    let remaining = |outcome| match outcome {
        AdmitOutcome::Granted(Some(quota_state)) => quota_state.remaining,
        other => panic!("not granted: {other:?}"),
    };

    assert_eq!(remaining(admit(&a, 1).await), 1, "a new delivery is counted");
    assert_eq!(remaining(admit(&a, 1).await), 1, "a repeated claim of one request is counted once");
    assert!(matches!(admit(&a, 2).await, AdmitOutcome::InProgress { .. }), "a copy does not pass");
    assert!(store.commit(of(&a), by(1), now).await.unwrap());
    assert_eq!(admit(&a, 2).await, AdmitOutcome::Finished);
    assert_eq!(remaining(admit(&b, 3).await), 0, "copies are not counted");
    let AdmitOutcome::OverQuota { retry_after, quota_state } = admit(&c, 4).await else {
        panic!("the quota is used up")
    };
    let period = Duration::from_secs(600);
    assert!(retry_after <= period && retry_after > period - Duration::from_secs(60), "{retry_after:?}");
    assert_eq!(quota_state.remaining, 0);
    assert_eq!(admit(&a, 5).await, AdmitOutcome::Finished, "the replay check comes before the quota");
    let claimed = store.admit(of(&c), by(6), lease, None, now).await.unwrap();
    assert_eq!(claimed, AdmitOutcome::Granted(None), "a denial leaves no claim");
}

const MODEL_CASES: u32 = 48;

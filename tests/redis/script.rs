//! The decisions of the scripts.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use governor::clock::FakeRelativeClock;
use governor::middleware::StateInformationMiddleware;
use hookwarden::clock::{Clock as _, ClockReading, SystemClock};
use hookwarden::error::StoreError;
use hookwarden::limit::{Decision, LocalLimiter, RateLimiter};
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore};
use hookwarden::shared_store::{AdmitOutcome, SharedStore};
use hookwarden::testing::{TestClock, rate_limiter_contract, replay_store_contract};
use hookwarden::verifier::ReplayKey;
use hookwarden::{BoxFuture, Quota, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::redis_server::Server;
use crate::harness::store_comparison::{Time, calls, compare};

pub(crate) async fn replay_store_keeps_the_contract() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    replay_store_contract(|| store.clone(), &SystemClock::default(), tokio::time::sleep).await;
}

pub(crate) async fn replay_store_matches_the_model() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    // proptest is synchronous, and a runtime's thread must not block.
    let test = move || {
        let case = AtomicU64::new(0);
        let config = Config { cases: MODEL_CASES, failure_persistence: None, ..Config::default() };
        let verdict = TestRunner::new(config).run(&calls(Time::Real, 60), |calls| {
            let case = format!("model-{}", case.fetch_add(1, Ordering::Relaxed));
            runtime.block_on(compare(&store, Time::Real, &case, async |time| age(&server, time), &calls))
        });
        verdict.map_err(|error| error.to_string())
    };
    tokio::task::spawn_blocking(test).await.unwrap().unwrap();
}

/// Lets every key expire sooner, as if this time had passed.
fn age(server: &Server, time: Duration) {
    const SCRIPT: &str = "for _, key in ipairs(redis.call('KEYS', '*')) do
        local left = redis.call('PTTL', key) - ARGV[1]
        if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
    end";
    let () = server.ask(&["EVAL", SCRIPT, "0", &time.as_millis().to_string()]);
}

pub(crate) async fn rate_limiter_keeps_the_contract() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    rate_limiter_contract(|| store.clone(), tokio::time::sleep).await;
    // With a test's clock, the store calls the script for each decision and does not use its cache of denials.
    let clock = TestClock::default();
    rate_limiter_contract(|| store.with_time(clock.clone()), async |time| clock.advance(time)).await;
}

/// The store without its fast path.
struct InTwoCalls(RedisStore);

impl RateLimiter for InTwoCalls {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        self.0.check(webhook_id, quota)
    }
}

impl ReplayStore for InTwoCalls {
    fn claim<'a>(
        &'a self,
        of: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        self.0.claim(of, by, lease, now)
    }

    fn commit<'a>(
        &'a self,
        of: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.commit(of, by, now)
    }

    fn release<'a>(
        &'a self,
        of: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.release(of, by, now)
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.forget(webhook_id, id, now)
    }
}

impl SharedStore for InTwoCalls {}

pub(crate) async fn admit_equals_claim_and_check() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let clock = TestClock::default();
    let store = store.with_time(clock.clone());
    assert_same_decisions(&store, "one", &clock).await;
    assert_same_decisions(&InTwoCalls(store), "two", &clock).await;
}

async fn assert_same_decisions(store: &impl SharedStore, webhook_id: &str, clock: &TestClock) {
    let quota = Quota::new(2, Duration::from_secs(10)).unwrap();
    let until = Timestamp::from_unix(Timestamp::now().as_unix() + 60);
    let [a, b, c] = [1, 2, 3].map(|byte| [ReplayKey::from_bytes([byte; 16])]);
    let of = |keys| Delivery { webhook_id, keys, until, id: None };
    let now = SystemClock::default().now();
    let (lease, by) = (Duration::from_secs(30), Claimant::new);
    let admit = async |keys, claimant| store.admit(of(keys), by(claimant), lease, Some(&quota), now).await.unwrap();

    let AdmitOutcome::Granted(quota_state) = admit(&a, 1).await else {
        panic!("a new delivery within the quota passes")
    };
    assert_eq!(quota_state.map(|state| (state.remaining, state.reset)), Some((1, Duration::from_secs(10))));
    assert!(matches!(admit(&a, 2).await, AdmitOutcome::InProgress { .. }), "a copy does not pass");
    assert!(store.commit(of(&a), by(1), now).await.unwrap());
    assert_eq!(admit(&a, 2).await, AdmitOutcome::Finished);
    let AdmitOutcome::Granted(quota_state) = admit(&b, 3).await else { panic!("copies are not counted") };
    assert_eq!(quota_state.map(|state| (state.remaining, state.reset)), Some((0, Duration::from_secs(20))));

    let AdmitOutcome::OverQuota { retry_after, quota_state } = admit(&c, 4).await else {
        panic!("the quota is used up")
    };
    assert_eq!(
        (retry_after, quota_state.remaining, quota_state.reset),
        (Duration::from_secs(10), 0, Duration::from_secs(20))
    );
    // The replay check comes before the quota.
    assert_eq!(admit(&a, 5).await, AdmitOutcome::Finished);
    assert_eq!(store.claim(of(&c), by(6), lease, now).await.unwrap(), Claim::Granted, "a denial leaves no claim");
    assert!(store.release(of(&c), by(6), now).await.unwrap());
    clock.advance(retry_after);
    assert!(matches!(admit(&c, 7).await, AdmitOutcome::Granted(_)), "it passes after retry_after");
}

/// Requests to one key with their distances in microseconds.
#[derive(Debug, Clone)]
struct Schedule {
    burst: u32,
    period: u64,
    start: u64,
    pauses: Vec<u64>,
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let quota = prop_oneof![
        4 => (1_u32..=4, 1_u64..=1_000_000),
        1 => (1_u32..=300, 1_u64..=10_000_000),
        2 => (1_u32..=2, 1_u64..=86_400_000_000),
        1 => Just((100, 600_000)),
        // The longest window.
        1 => (1_u32..=1_000).prop_map(|burst| (burst, 8_640_000_000_000 / u64::from(burst))),
    ];
    let start = 0_u64..=1 << 50;
    (quota, start).prop_flat_map(|((burst, period), start)| {
        let pause = prop_oneof![
            4 => Just(0),
            2 => (0_u64..=3).prop_map(move |periods| periods * period),
            2 => (1_u64..=3, -1_i64..=1).prop_map(move |(periods, off)| (periods * period).saturating_add_signed(off)),
            2 => 0..=period,
            1 => 0..=period * u64::from(burst) * 2,
        ];
        let pauses = vec(pause, 1..=8);
        pauses.prop_map(move |pauses| Schedule { burst, period, start, pauses })
    })
}

pub(crate) async fn every_decision_equals_governor() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let runtime = tokio::runtime::Handle::current();
    let (denied, allowed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counts = [denied.clone(), allowed.clone()];
    // proptest is synchronous, and a runtime's thread must not block.
    let compare = move || {
        let next_id = AtomicU64::new(0);
        let config = Config { cases: BATCHES, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
        let verdict = TestRunner::new(config).run(&vec(schedule(), SCHEDULES_PER_BATCH), |batch| {
            let results = runtime.block_on(join_all(batch.iter().map(|schedule| {
                let id = format!("id-{}", next_id.fetch_add(1, Ordering::Relaxed));
                run(&store, id, schedule)
            })));
            for result in results {
                let [denied, allowed] = result?;
                counts[0].fetch_add(denied, Ordering::Relaxed);
                counts[1].fetch_add(allowed, Ordering::Relaxed);
            }
            Ok(())
        });
        verdict.map_err(|error| error.to_string())
    };
    tokio::task::spawn_blocking(compare).await.unwrap().unwrap();
    let (denied, allowed) = (denied.load(Ordering::Relaxed), allowed.load(Ordering::Relaxed));
    println!(
        "{BATCHES} x {SCHEDULES_PER_BATCH} schedules: {allowed} allowed and {denied} denied, all as governor says"
    );
    assert!(denied > 1_000 && allowed > 1_000, "the schedules must try both");
}

/// Returns how many requests were denied and how many allowed.
async fn run(store: &RedisStore, id: String, schedule: &Schedule) -> Result<[u64; 2], TestCaseError> {
    let period = Duration::from_micros(schedule.period);
    let quota = Quota::new(schedule.burst, period).unwrap();
    let clock = TestClock::default();
    clock.set_monotonic(Duration::from_micros(schedule.start));
    let store = store.with_time(clock.clone());
    let local = LocalLimiter::new(Arc::new(clock.clone()));
    let fake = FakeRelativeClock::default();
    let governors = governor::Quota::with_period(period).unwrap().allow_burst(NonZeroU32::new(schedule.burst).unwrap());
    let governor = governor::RateLimiter::direct_with_clock(governors, fake.clone())
        .with_middleware::<StateInformationMiddleware>();
    let mut counts = [0; 2];
    for pause in &schedule.pauses {
        let pause = Duration::from_micros(*pause);
        clock.advance(pause);
        fake.advance(pause);
        let decision = store.check(&id, &quota).await.unwrap();
        match (governor.check(), decision) {
            (Ok(state), Decision::Allowed(quota_state)) => {
                prop_assert_eq!(state.remaining_burst_capacity(), quota_state.remaining);
                counts[1] += 1;
            }
            (Err(not_until), Decision::Denied { retry_after, .. }) => {
                let now = governor::clock::Clock::now(&fake);
                prop_assert_eq!(not_until.wait_time_from(now), retry_after);
                counts[0] += 1;
            }
            (governors, ours) => prop_assert!(false, "governor says {}, the script {ours:?}", governors.is_ok()),
        }
        // The decision of the local limiter also has the reset, which governor does not report.
        prop_assert_eq!(local.check(&id, &quota).await.unwrap(), decision);
    }
    Ok(counts)
}

pub(crate) async fn server_clock_set_back_denies_one_window_only() {
    let server = Server::start();
    let clock = TestClock::default();
    clock.set_monotonic(Duration::from_secs(7_200));
    let store = server.patient_store().connect().await.unwrap().with_time(clock.clone());
    let quota = Quota::new(2, Duration::from_secs(10)).unwrap();
    assert!(matches!(store.check("acme", &quota).await.unwrap(), Decision::Allowed(_)));
    clock.set_monotonic(Duration::from_secs(3_600));
    let Decision::Denied { retry_after, quota_state } = store.check("acme", &quota).await.unwrap() else {
        panic!("the quota is used up as far as it can be")
    };
    assert_eq!((retry_after, quota_state.reset), (Duration::from_secs(10), Duration::from_secs(20)));
}

const BATCHES: u32 = 20;
const SCHEDULES_PER_BATCH: usize = 500;
const MODEL_CASES: u32 = 256;

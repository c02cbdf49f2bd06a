//! The acceptance suites on this crate's stores and on a minimal limiter.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use hookwarden::clock::Clock;
use hookwarden::error::StoreError;
use hookwarden::limit::{Decision, LocalLimiter, QuotaState, RateLimiter};
use hookwarden::replay::LocalReplay;
use hookwarden::testing::{TestClock, rate_limiter_contract, replay_store_contract};
use hookwarden::{BoxFuture, Quota};

#[tokio::test]
async fn local_replay_keeps_the_contract() {
    let clock = TestClock::default();
    replay_store_contract(LocalReplay::default, &clock, async |time| clock.advance(time)).await;
    let small = || LocalReplay::new(300);
    replay_store_contract(small, &clock, async |time| clock.advance(time)).await;
}

#[tokio::test]
async fn shared_local_replay_keeps_the_contract() {
    let clock = TestClock::default();
    let shared = std::sync::Arc::new(LocalReplay::default());
    replay_store_contract(|| Handle(shared.clone()), &clock, async |time| clock.advance(time)).await;
}

#[tokio::test]
async fn local_limiter_keeps_the_contract() {
    let clock = TestClock::default();
    let make = || LocalLimiter::new(std::sync::Arc::new(clock.clone()));
    rate_limiter_contract(make, async |time| clock.advance(time)).await;
}

#[tokio::test]
async fn minimal_limiter_keeps_the_contract() {
    let clock = TestClock::default();
    let make = || Gcra { clock: clock.clone(), used_until: Mutex::default() };
    rate_limiter_contract(make, async |time| clock.advance(time)).await;
}

/// A shared store behind an `Arc`.
struct Handle(std::sync::Arc<LocalReplay>);

impl hookwarden::replay::ReplayStore for Handle {
    fn claim<'a>(
        &'a self,
        delivery: hookwarden::replay::Delivery<'a>,
        by: hookwarden::replay::Claimant,
        lease: Duration,
        now: hookwarden::clock::ClockReading,
    ) -> BoxFuture<'a, Result<hookwarden::replay::Claim, StoreError>> {
        self.0.claim(delivery, by, lease, now)
    }

    fn commit<'a>(
        &'a self,
        delivery: hookwarden::replay::Delivery<'a>,
        by: hookwarden::replay::Claimant,
        now: hookwarden::clock::ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.commit(delivery, by, now)
    }

    fn release<'a>(
        &'a self,
        delivery: hookwarden::replay::Delivery<'a>,
        by: hookwarden::replay::Claimant,
        now: hookwarden::clock::ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.release(delivery, by, now)
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: hookwarden::verifier::ReplayKey,
        now: hookwarden::clock::ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.0.forget(webhook_id, id, now)
    }
}

struct Gcra {
    clock: TestClock,
    used_until: Mutex<HashMap<String, Duration>>,
}

impl RateLimiter for Gcra {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        let now = self.clock.now().monotonic;
        let mut used_until = self.used_until.lock().unwrap();
        let used = used_until.entry(webhook_id.to_owned()).or_default();
        let next = (*used).max(now) + quota.period();
        let quota_state = |until: Duration| QuotaState {
            remaining: u32::try_from((now + quota.window() - until).as_micros() / quota.period().as_micros()).unwrap(),
            reset: until - now,
        };
        let decision = match next.checked_sub(now + quota.window()) {
            Some(retry_after) if !retry_after.is_zero() => {
                Decision::Denied { retry_after, quota_state: quota_state(*used) }
            }
            _ => {
                *used = next;
                Decision::Allowed(quota_state(next))
            }
        };
        Box::pin(async move { Ok(decision) })
    }
}

//! The acceptance suite of limiters.

use std::time::Duration;

use super::{all, fresh_id};
use crate::limit::{Decision, Quota, QuotaState, RateLimiter};

/// Runs every rule of [`RateLimiter`] against limiters from `make`, one limiter for each rule; the limiters may share
/// their data.
///
/// `pass` lets time pass on the clock of the limiter: about 20 s in all. Each run uses new webhook ids, so a server
/// does not have to be cleaned before.
///
/// ```
/// use std::sync::Arc;
///
/// use hookwarden::limit::LocalLimiter;
/// use hookwarden::testing::{TestClock, rate_limiter_contract};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let clock = TestClock::default();
/// rate_limiter_contract(|| LocalLimiter::new(Arc::new(clock.clone())), async |time| clock.advance(time)).await;
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// The limiter breaks a rule, which the message names, or fails.
pub async fn rate_limiter_contract<L: RateLimiter>(make: impl Fn() -> L, pass: impl AsyncFn(Duration)) {
    let case = |name, burst, period| Case {
        limiter: make(),
        id: fresh_id(name),
        quota: Quota::new(burst, period).expect("the quota of the suite is valid"),
    };

    burst_passes_and_no_more(&case("burst", 3, MINUTE)).await;
    ids_do_not_share(&case("ids", 1, MINUTE)).await;
    race_lets_the_burst_pass(&case("race", 100, MINUTE)).await;

    denied_requests_do_not_count(&case("denied", 2, SECONDS_2), &pass).await;
    one_passes_each_period(&case("period", 3, SECONDS_2), &pass).await;
}

struct Case<L> {
    limiter: L,
    id: String,
    quota: Quota,
}

impl<L: RateLimiter> Case<L> {
    async fn check_of(&self, webhook_id: &str) -> Decision {
        self.limiter.check(webhook_id, &self.quota).await.expect("a check must not return an error")
    }

    async fn check(&self) -> Decision {
        self.check_of(&self.id).await
    }

    async fn assert_allowed(&self, rule: &str) -> QuotaState {
        match self.check().await {
            Decision::Allowed(quota_state) => quota_state,
            denied @ Decision::Denied { .. } => panic!("{rule}, not {denied:?} of {}", self.quota),
        }
    }

    /// Returns how long to wait.
    async fn assert_denied(&self, rule: &str) -> Duration {
        match self.check().await {
            Decision::Denied { retry_after, quota_state } => {
                assert!(
                    !retry_after.is_zero() && retry_after <= self.quota.period(),
                    "retry_after must be within a period of {}, not {retry_after:?}",
                    self.quota
                );
                assert_eq!(quota_state.remaining, 0, "nothing can remain when a request is denied");
                self.assert_reset(&quota_state);
                retry_after
            }
            allowed @ Decision::Allowed(_) => panic!("{rule}, not {allowed:?} of {}", self.quota),
        }
    }

    fn assert_reset(&self, quota_state: &QuotaState) {
        assert!(
            !quota_state.reset.is_zero() && quota_state.reset <= self.quota.window(),
            "the reset must be within the window of {}, not {:?}",
            self.quota,
            quota_state.reset
        );
    }
}

async fn burst_passes_and_no_more(case: &Case<impl RateLimiter>) {
    for remaining in (0..case.quota.burst()).rev() {
        let quota_state = case.assert_allowed("the whole burst must pass at once").await;
        assert_eq!(quota_state.remaining, remaining, "each request must take one from the quota");
        case.assert_reset(&quota_state);
    }
    case.assert_denied("a request beyond the burst must be denied").await;
}

async fn ids_do_not_share(case: &Case<impl RateLimiter>) {
    case.assert_allowed("the first request must pass").await;
    case.assert_denied("the quota must be used up").await;
    let other = case.check_of(&fresh_id("other")).await;
    assert!(matches!(other, Decision::Allowed(_)), "another webhook id must have a separate quota, not {other:?}");
    case.assert_denied("another webhook id must not restore the quota").await;
}

async fn race_lets_the_burst_pass(case: &Case<impl RateLimiter>) {
    let decisions = all((0..1_000).map(|_| case.check())).await;
    let allowed = decisions.iter().filter(|decision| matches!(decision, Decision::Allowed(_))).count();
    assert_eq!(allowed, 100, "of 1,000 requests at once exactly the burst of {} must pass", case.quota);
}

async fn denied_requests_do_not_count(case: &Case<impl RateLimiter>, pass: &impl AsyncFn(Duration)) {
    for _ in 0..case.quota.burst() {
        case.assert_allowed("the whole burst must pass at once").await;
    }
    let mut retry_after = Duration::ZERO;
    for _ in 0..50 {
        retry_after = case.assert_denied("a request beyond the burst must be denied").await;
    }
    pass(retry_after.saturating_add(MARGIN)).await;
    case.assert_allowed("after retry_after a request must pass, however many were denied").await;
    case.assert_denied("after one period only one request must pass").await;
}

async fn one_passes_each_period(case: &Case<impl RateLimiter>, pass: &impl AsyncFn(Duration)) {
    for _ in 0..case.quota.burst() {
        case.assert_allowed("the whole burst must pass at once").await;
    }
    pass(case.quota.period().saturating_mul(2).saturating_add(MARGIN)).await;
    for remaining in [1, 0] {
        let quota_state = case.assert_allowed("after two periods two requests must pass").await;
        assert_eq!(quota_state.remaining, remaining, "each request must take one from the quota");
    }
    let retry_after = case.assert_denied("after two periods no third request must pass").await;
    assert!(retry_after < case.quota.period(), "the part of the period that has passed must count");
    // Wait longer than the window, because a full quota must not grow.
    pass(case.quota.window().saturating_mul(2)).await;
    for _ in 0..case.quota.burst() {
        case.assert_allowed("after the window the whole burst must pass again").await;
    }
    case.assert_denied("an unused quota must not grow beyond the burst").await;
}

const MINUTE: Duration = Duration::from_secs(60);
const SECONDS_2: Duration = Duration::from_secs(2);

/// The margin for the latency of a server and for differences between clocks.
const MARGIN: Duration = Duration::from_millis(250);

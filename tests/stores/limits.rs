//! Quotas and the local limiter, under a clock that the tests set.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookwarden::clock::{Clock, ClockReading};
use hookwarden::limit::{Decision, LocalLimiter, QuotaState, RateLimiter};
use hookwarden::{Quota, Timestamp};
use proptest::prelude::*;

/// A clock that changes only when a test sets it.
struct Hand(Mutex<ClockReading>);

impl Clock for Hand {
    fn now(&self) -> ClockReading {
        *self.0.lock().unwrap()
    }
}

impl Hand {
    fn new() -> Arc<Self> {
        let start = ClockReading { wall: Timestamp::from_unix(1_800_000_000), monotonic: Duration::from_millis(1_234) };
        Arc::new(Self(Mutex::new(start)))
    }

    fn pass(&self, time: Duration) {
        self.0.lock().unwrap().monotonic += time;
    }
}

fn check(limiter: &LocalLimiter, id: &str, quota: &Quota) -> Decision {
    let mut future = limiter.check(id, quota);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(decision) => decision.unwrap(),
        Poll::Pending => panic!("a limiter in this process has nothing to wait for"),
    }
}

const fn allowed(remaining: u32, reset: Duration) -> Decision {
    Decision::Allowed(QuotaState { remaining, reset })
}

const fn denied(retry_after: Duration, reset: Duration) -> Decision {
    Decision::Denied { retry_after, quota_state: QuotaState { remaining: 0, reset } }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const MICROSECOND: Duration = Duration::from_micros(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn quota_per_minute_is_spread_evenly() {
    for (count, micros) in [
        (1, 60_000_000),
        (7, 8_571_429),
        (60, 1_000_000),
        (100, 600_000),
        (6_453, 9_299),
        (60_000_000, 1),
        (u32::MAX, 1),
    ] {
        let quota = Quota::per_minute(count).unwrap();
        assert_eq!((quota.burst(), quota.period()), (count, Duration::from_micros(micros)), "{count}");
    }
}

#[test]
fn quota_at_most_per_minute_halves_the_burst() {
    for (count, burst, micros) in [
        (1, 1, 60_000_001),
        (2, 1, 60_000_000),
        (3, 2, 60_000_000),
        (7, 4, 20_000_000),
        (100, 50, 1_200_000),
        (u32::MAX, 2_147_483_648, 1),
    ] {
        let quota = Quota::at_most_per_minute(count).unwrap();
        assert_eq!((quota.burst(), quota.period()), (burst, Duration::from_micros(micros)), "{count}");
    }
}

#[test]
fn impossible_quota_is_a_config_error() {
    let century = Duration::from_secs(100 * 365 * 86_400);
    for (burst, period) in [
        (0, MINUTE),
        (1, Duration::ZERO),
        (1, Duration::MAX),
        (u32::MAX, century),
        (u32::MAX, ms(3)),
        (2, Duration::from_secs(50 * 86_400) + Duration::from_nanos(1)),
    ] {
        assert_eq!(Quota::new(burst, period).unwrap_err().field(), "quota", "{burst} {period:?}");
    }
    Quota::new(2, Duration::from_secs(50 * 86_400)).unwrap();
    assert_eq!(Quota::new(1, Duration::from_nanos(1)).unwrap().period(), MICROSECOND);
    assert_eq!(Quota::per_minute(0).unwrap_err().field(), "quota");
    assert_eq!(Quota::at_most_per_minute(0).unwrap_err().field(), "quota");
}

#[test]
fn decisions_at_burst_and_period_edges_are_exact() {
    let clock = Hand::new();
    let limiter = LocalLimiter::new(clock.clone());
    let quota = Quota::per_minute(100).unwrap();
    for nth in 1..=100 {
        assert_eq!(check(&limiter, "x", &quota), allowed(100 - nth, ms(600) * nth));
    }
    assert_eq!(check(&limiter, "x", &quota), denied(ms(600), MINUTE));
    clock.pass(ms(600) - MICROSECOND);
    assert_eq!(check(&limiter, "x", &quota), denied(MICROSECOND, MINUTE - ms(600) + MICROSECOND));
    clock.pass(MICROSECOND);
    assert_eq!(check(&limiter, "x", &quota), allowed(0, MINUTE));
    assert_eq!(check(&limiter, "x", &quota), denied(ms(600), MINUTE));

    // One microsecond before the quota is full again, it still permits one request fewer.
    clock.pass(MINUTE - MICROSECOND);
    assert_eq!(check(&limiter, "x", &quota), allowed(98, ms(600) + MICROSECOND));
    clock.pass(ms(600) + MICROSECOND);
    assert_eq!(check(&limiter, "x", &quota), allowed(99, ms(600)));
}

#[test]
fn usual_quota_passes_double_in_first_minute() {
    let clock = Hand::new();
    let limiter = LocalLimiter::new(clock.clone());
    let quota = Quota::per_minute(100).unwrap();
    assert_eq!(greedy(&limiter, &clock, &quota, MINUTE).len(), 200);
}

#[test]
fn quota_at_most_per_minute_bounds_greediest_sender() {
    for count in [1, 2, 3, 4, 5, 7, 59, 60, 61, 99, 100, 101, 1_000] {
        let clock = Hand::new();
        let limiter = LocalLimiter::new(clock.clone());
        let quota = Quota::at_most_per_minute(count).unwrap();
        let most = most_in_a_minute(&greedy(&limiter, &clock, &quota, MINUTE * 4));
        // The maximum is one lower if the period was rounded up.
        assert_eq!(most, bound_in_a_minute(&quota), "{count}");
        assert!((count - 1..=count).contains(&u32::try_from(most).unwrap()), "{count} {most}");
    }
}

/// Sends as soon as permitted for `time`, and returns when each request passed.
fn greedy(limiter: &LocalLimiter, clock: &Hand, quota: &Quota, time: Duration) -> Vec<Duration> {
    let end = clock.now().monotonic + time;
    let mut passed = Vec::new();
    loop {
        match check(limiter, "x", quota) {
            Decision::Allowed(_) => passed.push(clock.now().monotonic),
            Decision::Denied { retry_after, .. } if clock.now().monotonic + retry_after <= end => {
                clock.pass(retry_after);
            }
            _ => return passed,
        }
    }
}

/// Returns the most requests within any 60 seconds, both ends included.
fn most_in_a_minute(moments: &[Duration]) -> usize {
    let from =
        |(index, start): (usize, &Duration)| moments.partition_point(|moment| *moment <= *start + MINUTE) - index;
    moments.iter().enumerate().map(from).max().unwrap_or(0)
}

/// Burst + floor(60 s / period).
fn bound_in_a_minute(quota: &Quota) -> usize {
    let spread = MINUTE.as_nanos() / quota.period().as_nanos();
    usize::try_from(spread).unwrap() + usize::try_from(quota.burst()).unwrap()
}

#[test]
fn denied_requests_are_not_counted() {
    let clock = Hand::new();
    let limiter = LocalLimiter::new(clock.clone());
    let quota = Quota::new(2, ms(1_000)).unwrap();
    check(&limiter, "x", &quota);
    check(&limiter, "x", &quota);
    for _ in 0..10_000 {
        assert_eq!(check(&limiter, "x", &quota), denied(ms(1_000), ms(2_000)));
    }
    clock.pass(ms(2_000));
    assert_eq!(check(&limiter, "x", &quota), allowed(1, ms(1_000)));
}

#[test]
fn ids_and_quotas_are_counted_separately() {
    let limiter = LocalLimiter::new(Hand::new());
    let (one, two) = (Quota::new(1, ms(1_000)).unwrap(), Quota::new(2, ms(1_000)).unwrap());
    assert_eq!(check(&limiter, "x", &one), allowed(0, ms(1_000)));
    assert_eq!(check(&limiter, "y", &one), allowed(0, ms(1_000)));
    assert_eq!(check(&limiter, "x", &two), allowed(1, ms(1_000)));
    assert_eq!(check(&limiter, "x", &one), denied(ms(1_000), ms(1_000)));
}

#[test]
fn wall_clock_jumps_change_nothing() {
    let clock = Hand::new();
    let limiter = LocalLimiter::new(clock.clone());
    let quota = Quota::new(1, ms(1_000)).unwrap();
    assert_eq!(check(&limiter, "x", &quota), allowed(0, ms(1_000)));
    for wall in [i64::MIN, 0, i64::MAX] {
        clock.0.lock().unwrap().wall = Timestamp::from_unix(wall);
        assert_eq!(check(&limiter, "x", &quota), denied(ms(1_000), ms(1_000)));
    }
}

#[test]
fn extreme_moments_and_quotas_overflow_nothing() {
    let clock = Hand::new();
    let limiter = LocalLimiter::new(clock.clone());
    let day = Duration::from_secs(86_400);
    let quotas =
        [Quota::new(1, MICROSECOND), Quota::new(1, day * 100), Quota::new(100, day), Quota::per_minute(u32::MAX)];
    for monotonic in [Duration::MAX, Duration::from_nanos(u64::MAX - 1), Duration::ZERO, Duration::MAX] {
        clock.0.lock().unwrap().monotonic = monotonic;
        for quota in &quotas {
            for _ in 0..3 {
                check(&limiter, "x", quota.as_ref().unwrap());
            }
        }
    }
}

#[test]
fn full_limiter_passes_and_reports_new_ids() {
    let clock = Hand::new();
    let limiter = LocalLimiter::new(clock.clone()).with_capacity(2);
    let quota = Quota::new(1, ms(1_000)).unwrap();
    check(&limiter, "a", &quota);
    check(&limiter, "b", &quota);
    for uncounted in 1..=3 {
        assert_eq!(check(&limiter, "c", &quota), allowed(0, ms(1_000)));
        assert_eq!(limiter.uncounted(), uncounted);
    }
    assert_eq!(check(&limiter, "a", &quota), denied(ms(1_000), ms(1_000)), "no id is evicted for another");

    clock.pass(ms(1_000));
    assert_eq!(check(&limiter, "c", &quota), allowed(0, ms(1_000)));
    assert_eq!(check(&limiter, "c", &quota), denied(ms(1_000), ms(1_000)), "there was room again");
    assert_eq!(limiter.uncounted(), 3);
}

#[test]
fn threads_on_one_id_pass_exactly_the_burst() {
    let limiter = LocalLimiter::new(Hand::new());
    let quota = Quota::per_minute(1_000).unwrap();
    let passed: usize = std::thread::scope(|scope| {
        let send = || (0..1_000).filter(|_| matches!(check(&limiter, "x", &quota), Decision::Allowed(_))).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 1_000);
}

/// A model of the limiter: a request spends one period of a bucket that refills with time.
struct Bucket {
    filled: Duration,
    seen: Duration,
}

impl Bucket {
    fn full(quota: &Quota, now: Duration) -> Self {
        Self { filled: quota.window(), seen: now }
    }

    fn decide(&mut self, quota: &Quota, now: Duration) -> Decision {
        self.filled = (self.filled + (now - self.seen)).min(quota.window());
        self.seen = now;
        match self.filled.checked_sub(quota.period()) {
            Some(left) => {
                self.filled = left;
                let remaining = left.as_nanos() / quota.period().as_nanos();
                allowed(u32::try_from(remaining).unwrap(), quota.window() - left)
            }
            None => denied(quota.period() - self.filled, quota.window() - self.filled),
        }
    }
}

/// A quota, and requests of three ids. Each request waits for nothing, until just before, at or after a time that the
/// last answer named, or for any time.
fn schedule() -> impl Strategy<Value = (Quota, Vec<(u8, Wait)>)> {
    let count = prop_oneof![Just(1), Just(2), Just(3), Just(7), Just(100), 1..300_u32];
    let quota = (count, any::<bool>()).prop_map(|(count, strict)| {
        if strict { Quota::at_most_per_minute(count).unwrap() } else { Quota::per_minute(count).unwrap() }
    });
    let wait = prop_oneof![
        4 => Just(Wait::None),
        2 => (-1..=1_i64).prop_map(Wait::ForRetry),
        1 => (-1..=1_i64).prop_map(Wait::ForReset),
        2 => (0..3_000_000_000_u64).prop_map(Wait::Nanos),
        1 => (0..90_000_000_000_u64).prop_map(Wait::Nanos),
    ];
    (quota, prop::collection::vec((0..3_u8, wait), 1..400))
}

#[derive(Debug, Clone, Copy)]
enum Wait {
    None,
    /// Waits for the last answer's `retry_after` plus these microseconds.
    ForRetry(i64),
    /// Waits for the last answer's `reset` plus these microseconds.
    ForReset(i64),
    Nanos(u64),
}

impl Wait {
    fn after(self, last: Decision) -> Duration {
        let (retry, reset) = match last {
            Decision::Denied { retry_after, quota_state } => (retry_after, quota_state.reset),
            Decision::Allowed(quota_state) => (Duration::ZERO, quota_state.reset),
            _ => unreachable!(),
        };
        let (time, micros) = match self {
            Self::None => (Duration::ZERO, 0),
            Self::ForRetry(micros) => (retry, micros),
            Self::ForReset(micros) => (reset, micros),
            Self::Nanos(nanos) => (Duration::from_nanos(nanos), 0),
        };
        let shift = Duration::from_micros(micros.unsigned_abs());
        if micros < 0 { time.saturating_sub(shift) } else { time + shift }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn limiter_matches_a_time_bucket_model((quota, requests) in schedule()) {
        let clock = Hand::new();
        let limiter = LocalLimiter::new(clock.clone());
        let mut buckets = HashMap::new();
        let mut last = allowed(0, Duration::ZERO);
        let mut passed = HashMap::<u8, Vec<Duration>>::new();
        for (id, wait) in requests {
            clock.pass(wait.after(last));
            let now = clock.now().monotonic;
            let bucket = buckets.entry(id).or_insert_with(|| Bucket::full(&quota, now));
            last = check(&limiter, &id.to_string(), &quota);
            prop_assert_eq!(last, bucket.decide(&quota, now));
            if matches!(last, Decision::Allowed(_)) {
                passed.entry(id).or_default().push(now);
            }
        }
        for moments in passed.values() {
            prop_assert!(most_in_a_minute(moments) <= bound_in_a_minute(&quota));
        }
    }

    #[test]
    fn quota_at_most_per_minute_bounds_every_minute(
        count in prop_oneof![Just(1), Just(2), Just(3), Just(7), Just(100), 1..150_u32],
        waits in prop::collection::vec(0..2_000_000_u64, 1..600),
    ) {
        let clock = Hand::new();
        let limiter = LocalLimiter::new(clock.clone());
        let quota = Quota::at_most_per_minute(count).unwrap();
        let mut passed = Vec::new();
        for micros in waits {
            // Most requests are simultaneous, to use the bursts.
            clock.pass(Duration::from_micros(if micros % 3 == 0 { micros } else { 0 }));
            if matches!(check(&limiter, "x", &quota), Decision::Allowed(_)) {
                passed.push(clock.now().monotonic);
            }
        }
        prop_assert!(most_in_a_minute(&passed) <= usize::try_from(count).unwrap());
    }
}

//! The local replay store under clock steps, racing threads, a full table and random use.

use std::future::Future;
use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookwarden::Timestamp;
use hookwarden::clock::{Clock, ClockReading};
use hookwarden::error::StoreError;
use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
use hookwarden::testing::TestClock;
use hookwarden::verifier::ReplayKey;
use proptest::prelude::*;

use crate::store_comparison::{Time, calls, compare};

const LEASE: Duration = Duration::from_secs(30);

struct Memory {
    store: LocalReplay,
    clock: TestClock,
}

impl Memory {
    fn new(capacity: usize) -> Self {
        Self { store: LocalReplay::new(capacity), clock: TestClock::default() }
    }

    fn try_claim(&self, delivery: Delivery<'_>, by: u128, lease: Duration) -> Result<Claim, StoreError> {
        at_once(self.store.claim(delivery, Claimant::new(by), lease, self.clock.now()))
    }

    fn claim(&self, delivery: Delivery<'_>, by: u128) -> Claim {
        self.try_claim(delivery, by, LEASE).unwrap()
    }

    fn commit(&self, delivery: Delivery<'_>, by: u128) -> bool {
        at_once(self.store.commit(delivery, Claimant::new(by), self.clock.now())).unwrap()
    }

    fn release(&self, delivery: Delivery<'_>, by: u128) -> bool {
        at_once(self.store.release(delivery, Claimant::new(by), self.clock.now())).unwrap()
    }

    fn in_seconds(&self, seconds: i64) -> Timestamp {
        Timestamp::from_unix(self.clock.now().wall.as_unix() + seconds)
    }
}

/// The local store is ready at the first poll.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the local store must be ready at the first poll"),
    }
}

fn key(number: u32) -> ReplayKey {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ReplayKey::from_bytes(bytes)
}

fn delivery(keys: &[ReplayKey], until: Timestamp) -> Delivery<'_> {
    Delivery { webhook_id: "orders", keys, until, id: None }
}

#[test]
fn earliest_message_is_known_while_it_is_fresh() {
    let memory = Memory::new(1_000);
    let keys = [key(1)];
    // Stamped 300 s ahead, with a tolerance of 300 s.
    let message = delivery(&keys, memory.in_seconds(300 + 300));
    assert_eq!(memory.claim(message, 1), Claim::Granted);
    assert!(memory.commit(message, 1));
    for _ in 0..600 {
        assert_eq!(memory.claim(message, 2), Claim::Finished);
        memory.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(memory.claim(message, 2), Claim::Finished, "in the last second, 600 s later");
    memory.clock.advance(Duration::from_secs(1));
    assert_eq!(memory.claim(message, 2), Claim::Granted, "the delivery has expired");
}

#[test]
fn wall_clock_jumps_allow_no_replay() {
    let memory = Memory::new(1_000);
    let keys = [key(1)];
    let message = delivery(&keys, memory.in_seconds(300));
    assert_eq!(memory.claim(message, 1), Claim::Granted);
    assert!(memory.commit(message, 1));

    memory.clock.step_wall(3_600);
    // Enough claims to sweep every shard.
    memory.clock.advance(Duration::from_secs(100));
    for number in 100..400 {
        memory.claim(delivery(&[key(number)], memory.in_seconds(300)), 1);
    }
    assert_eq!(memory.claim(message, 2), Claim::Finished);
    memory.clock.step_wall(-3_600);
    assert_eq!(memory.claim(message, 2), Claim::Finished);
    memory.clock.advance(Duration::from_secs(201));
    assert_eq!(memory.claim(message, 2), Claim::Granted);
}

#[test]
fn wall_clock_set_back_keeps_fresh_deliveries() {
    let memory = Memory::new(1_000);
    let keys = [key(1)];
    let message = delivery(&keys, memory.in_seconds(300));
    assert_eq!(memory.claim(message, 1), Claim::Granted);
    assert!(memory.commit(message, 1));
    memory.clock.step_wall(-3_600);
    memory.clock.advance(Duration::from_secs(3_600 + 300));
    assert_eq!(memory.claim(message, 2), Claim::Finished);
    memory.clock.advance(Duration::from_secs(1));
    assert_eq!(memory.claim(message, 2), Claim::Granted);
}

#[test]
fn lease_does_not_follow_the_wall_clock() {
    let memory = Memory::new(1_000);
    let keys = [key(1)];
    let message = delivery(&keys, memory.in_seconds(300));
    assert_eq!(memory.claim(message, 1), Claim::Granted);
    memory.clock.step_wall(86_400);
    assert_eq!(memory.claim(message, 2), Claim::InProgress { retry_after: LEASE });
    memory.clock.step_wall(-200_000);
    memory.clock.advance(LEASE - Duration::from_millis(1));
    assert_eq!(memory.claim(message, 2), Claim::InProgress { retry_after: Duration::from_millis(1) });
    memory.clock.advance(Duration::from_millis(1));
    assert_eq!(memory.claim(message, 2), Claim::Granted);
}

#[test]
fn claimant_renews_its_own_lease() {
    let memory = Memory::new(1_000);
    let keys = [key(1)];
    let message = delivery(&keys, memory.in_seconds(300));
    for _ in 0..10 {
        assert_eq!(memory.claim(message, 1), Claim::Granted);
        memory.clock.advance(LEASE / 2);
    }
    assert_eq!(memory.claim(message, 2), Claim::InProgress { retry_after: LEASE / 2 });
}

#[test]
fn commit_after_the_lease_holds_even_if_swept() {
    for is_swept in [false, true] {
        let memory = Memory::new(100);
        let keys = [key(1)];
        let message = delivery(&keys, memory.in_seconds(600));
        assert_eq!(memory.claim(message, 1), Claim::Granted);
        memory.clock.advance(LEASE * 2);
        if is_swept {
            for number in 0..100 {
                assert_eq!(memory.claim(delivery(&[key(1_000 + number)], message.until), 2), Claim::Granted);
            }
            let error = memory.try_claim(delivery(&[key(2)], message.until), 2, LEASE).unwrap_err();
            assert_eq!(error.to_string(), "the replay store is full");
        }
        assert!(!memory.release(message, 1), "an expired claim is already released");
        assert!(memory.commit(message, 1), "swept: {is_swept}");
        assert_eq!(memory.claim(message, 2), Claim::Finished);
    }
}

#[test]
fn late_claimant_changes_nothing_after_a_takeover() {
    let memory = Memory::new(1_000);
    let keys = [key(1), key(2)];
    let message = delivery(&keys, memory.in_seconds(600));
    assert_eq!(memory.claim(message, 1), Claim::Granted);
    memory.clock.advance(LEASE);
    let rotated = [key(2), key(3)];
    let same = delivery(&rotated, message.until);
    assert_eq!(memory.claim(same, 2), Claim::Granted);
    assert!(!memory.commit(message, 1));
    assert!(!memory.release(message, 1));
    assert_eq!(
        memory.claim(delivery(&[key(1)], message.until), 3),
        Claim::Granted,
        "the late claimant did not finish it"
    );
    assert!(memory.commit(same, 2));
    assert!(!memory.commit(message, 1));
}

#[test]
fn full_store_refuses_and_evicts_nothing() {
    let memory = Memory::new(4);
    let until = memory.in_seconds(100);
    for number in 0..3 {
        let keys = [key(number)];
        assert_eq!(memory.claim(delivery(&keys, until), 1), Claim::Granted);
        assert!(memory.commit(delivery(&keys, until), 1));
    }
    // Two keys need two entries, and only one is free.
    let pair = [key(10), key(11)];
    let error = memory.try_claim(delivery(&pair, until), 2, LEASE).unwrap_err();
    assert_eq!(error.retry_after(), Duration::from_secs(101), "the time until the first entry expires");
    assert_eq!(memory.claim(delivery(&pair[..1], until), 3), Claim::Granted, "the refused claim took nothing");
    let error = memory.try_claim(delivery(&[key(12)], until), 2, LEASE).unwrap_err();
    assert_eq!(error.retry_after(), LEASE);
    assert_eq!(error.to_string(), "the replay store is full");
    for number in 0..3 {
        assert_eq!(memory.claim(delivery(&[key(number)], until), 2), Claim::Finished);
    }

    memory.clock.advance(LEASE - Duration::from_millis(1));
    let error = memory.try_claim(delivery(&[key(12)], until), 2, LEASE).unwrap_err();
    assert_eq!(error.retry_after(), Duration::from_secs(1), "never less than a second");
    memory.clock.advance(Duration::from_millis(1));
    assert_eq!(memory.claim(delivery(&[key(12)], until), 2), Claim::Granted, "the expired claim makes room");
    assert!(memory.release(delivery(&[key(12)], until), 2));
    assert_eq!(memory.claim(delivery(&[key(13)], until), 2), Claim::Granted, "a release makes room");
}

#[test]
fn sustained_rate_within_capacity_is_never_refused() {
    // 60 deliveries a second, each stored for 101 s.
    let memory = Memory::new(60 * 101);
    let mut number = 0;
    for _ in 0..500 {
        for _ in 0..60 {
            let keys = [key(number)];
            let message = delivery(&keys, memory.in_seconds(100));
            assert_eq!(memory.try_claim(message, 1, LEASE), Ok(Claim::Granted), "delivery {number}");
            assert!(memory.commit(message, 1));
            number += 1;
        }
        memory.clock.advance(Duration::from_secs(1));
    }
}

#[test]
fn store_without_capacity_fails_closed() {
    let memory = Memory::new(0);
    let error = memory.try_claim(delivery(&[key(1)], memory.in_seconds(1)), 1, LEASE).unwrap_err();
    assert_eq!(error.to_string(), "the replay store is full");
}

#[test]
fn thousand_racing_threads_have_one_winner() {
    const THREADS: u32 = 1_000;
    let memory = Memory::new(1 << 20);
    let (start, granted) = (Barrier::new(THREADS as usize), AtomicU32::new(0));
    let until = memory.in_seconds(600);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (memory, start, granted) = (&memory, &start, &granted);
            std::thread::Builder::new()
                .stack_size(128 << 10)
                .spawn_scoped(scope, move || {
                    // The shared key and seven that some threads share, in a different order for each thread.
                    let mut keys: [ReplayKey; 8] = std::array::from_fn(|n| key(n as u32 * 1_000 + thread % 3));
                    keys[0] = key(u32::MAX);
                    keys.rotate_left(thread as usize % 8);
                    start.wait();
                    if memory.claim(delivery(&keys, until), u128::from(thread) + 1) == Claim::Granted {
                        granted.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .unwrap();
        }
    });
    assert_eq!(granted.into_inner(), 1);
}

#[test]
fn racing_threads_are_granted_each_delivery_once() {
    const DELIVERIES: u32 = 20_000;
    let memory = Memory::new(1 << 20);
    let until = memory.in_seconds(600);
    let granted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (memory, granted) = (&memory, &granted);
            scope.spawn(move || {
                for number in 0..DELIVERIES {
                    let keys = [key(number), key(DELIVERIES + number)];
                    if memory.claim(delivery(&keys, until), thread) == Claim::Granted {
                        granted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(granted.into_inner(), DELIVERIES);
}

#[test]
fn extreme_clocks_neither_panic_nor_evict() {
    let walls = [i64::MIN, -1, 0, 1_800_000_000, i64::MAX].map(Timestamp::from_unix);
    let times = [Duration::ZERO, Duration::from_secs(1), Duration::MAX];
    for start in walls.iter().flat_map(|wall| times.map(|monotonic| ClockReading { wall: *wall, monotonic })) {
        for then in walls.iter().flat_map(|wall| times.map(|monotonic| ClockReading { wall: *wall, monotonic })) {
            let memory = Memory::new(1_000);
            let set = |moment: ClockReading| {
                memory.clock.set_wall(moment.wall);
                memory.clock.set_monotonic(moment.monotonic);
            };
            set(start);
            memory.claim(delivery(&[key(0)], start.wall), 1);
            set(then);
            let keys = [key(1)];
            let message = delivery(&keys, then.wall);
            assert_eq!(memory.try_claim(message, 1, Duration::MAX), Ok(Claim::Granted), "{start:?} {then:?}");
            assert!(matches!(memory.claim(message, 2), Claim::InProgress { .. }), "{start:?} {then:?}");
            assert!(memory.commit(message, 1));
            assert_eq!(memory.claim(message, 2), Claim::Finished, "{start:?} {then:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn store_matches_the_model(calls in calls(Time::Injected, 120)) {
        // Several shards with more capacity than the calls can fill.
        at_once(compare(&LocalReplay::new(1 << 15), Time::Injected, "local", async |_| (), &calls))?;
    }
}

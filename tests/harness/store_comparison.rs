//! Compares a store with the model, call by call.

use std::time::Duration;

use hookwarden::Timestamp;
use hookwarden::clock::{Clock as _, ClockReading};
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore};
use hookwarden::testing::TestClock;
use hookwarden::verifier::ReplayKey;
use proptest::collection::vec;
use proptest::prelude::*;

use super::store_model::{self, Clocks, Expiry, Store};

/// How time passes for a store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Time {
    /// Only with the test's clock. Every result must be exact.
    Injected,
    /// Also by itself, while the calls are made. The ticks are so long that this is less than one, and everything
    /// expires between two calls: time passes in even numbers of ticks, and leases and lifetimes are odd.
    Real,
}

impl Time {
    const fn tick(self) -> Duration {
        match self {
            Self::Injected => Duration::from_secs(1),
            Self::Real => Duration::from_secs(600),
        }
    }

    const fn expiry(self) -> Expiry {
        match self {
            Self::Injected => Expiry::BothClocks,
            Self::Real => Expiry::OwnClock,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Call {
    Claim {
        id: usize,
        keys: Vec<u8>,
        by: u8,
        lease: i32,
    },
    /// `until` counts from the time of the call.
    Commit {
        id: usize,
        keys: Vec<u8>,
        by: u8,
        until: i32,
    },
    Release {
        id: usize,
        keys: Vec<u8>,
        by: u8,
    },
    Pass(i32),
    SetWallBy(i32),
    /// This many claims of new deliveries, to grow and sweep the store.
    Burst(u32),
}

/// Calls of few claimants with few keys, so that most of them meet.
pub(crate) fn calls(time: Time, most: usize) -> impl Strategy<Value = Vec<Call>> {
    let (step, odd, earliest) = match time {
        Time::Injected => (1, 0, -20),
        Time::Real => (2, 1, 0),
    };
    let ids = 0..WEBHOOK_IDS;
    let keys = || vec(0..6_u8, 1..=8);
    let ticks = move |range: std::ops::Range<i32>| range.prop_map(move |ticks| ticks * step);
    let odd_ticks = move |range| ticks(range).prop_map(move |ticks| ticks + odd);
    let burst = match time {
        Time::Injected => 1..200_u32,
        Time::Real => 1..3,
    };
    let call = prop_oneof![
        8 => (ids.clone(), keys(), 1..5_u8, odd_ticks(1..40))
            .prop_map(|(id, keys, by, lease)| Call::Claim { id, keys, by, lease }),
        4 => (ids.clone(), keys(), 1..5_u8, odd_ticks(earliest..120))
            .prop_map(|(id, keys, by, until)| Call::Commit { id, keys, by, until }),
        3 => (ids, keys(), 1..5_u8).prop_map(|(id, keys, by)| Call::Release { id, keys, by }),
        4 => ticks(0..60).prop_map(Call::Pass),
        1 => ticks(-150..150).prop_map(Call::SetWallBy),
        1 => burst.prop_map(Call::Burst),
    ];
    vec(call, 1..most)
}

/// Makes the calls to the store and to the model. `case` is part of the webhook ids; `pass` lets time pass for the store,
/// apart from `clock`.
pub(crate) async fn compare(
    store: &impl ReplayStore,
    time: Time,
    case: &str,
    pass: impl AsyncFn(Duration),
    calls: &[Call],
) -> Result<(), TestCaseError> {
    let clock = TestClock::default();
    let webhook_ids: [String; WEBHOOK_IDS] = std::array::from_fn(|id| format!("{case}-{id}"));
    let mut subject = Subject { store, time, start: clock.now(), clock, webhook_ids, model: Store::new(time.expiry()) };
    let mut next_key = 1_000;
    for call in calls {
        match call {
            Call::Claim { id, keys, by, lease } => subject.claim(*id, keys, *by, *lease).await?,
            Call::Commit { id, keys, by, until } => subject.commit(*id, keys, *by, *until).await?,
            Call::Release { id, keys, by } => subject.release(*id, keys, *by).await?,
            Call::Pass(ticks) => {
                let time = subject.time(*ticks);
                subject.clock.advance(time);
                pass(time).await;
            }
            Call::SetWallBy(ticks) => subject.set_wall_by(*ticks).await?,
            Call::Burst(count) => {
                for _ in 0..*count {
                    let claim = subject.claim_of(0, &[key(next_key)], 1, 1).await;
                    prop_assert_eq!(claim, Claim::Granted);
                    next_key += 1;
                }
            }
        }
    }
    Ok(())
}

struct Subject<'s, S> {
    store: &'s S,
    time: Time,
    start: ClockReading,
    clock: TestClock,
    webhook_ids: [String; WEBHOOK_IDS],
    model: Store,
}

impl<S: ReplayStore> Subject<'_, S> {
    async fn claim(&mut self, id: usize, keys: &[u8], by: u8, lease: i32) -> Result<(), TestCaseError> {
        let claim = self.claim_of(id, &replay_keys(keys), by, lease).await;
        let model = self.model.claim(&model_delivery(id, keys, 0), by, lease, self.now());
        match (claim, model) {
            (Claim::Granted, store_model::Claim::Granted) | (Claim::Finished, store_model::Claim::Finished) => {}
            (Claim::InProgress { retry_after }, store_model::Claim::InProgress { retry_after: ticks }) => {
                let most = self.time(ticks);
                let least = match self.time {
                    Time::Injected => most,
                    Time::Real => most.saturating_sub(self.time.tick()),
                };
                prop_assert!((least..=most).contains(&retry_after), "{retry_after:?}, not {most:?}");
            }
            (claim, model) => prop_assert!(false, "the store says {claim:?}, the model {model:?}"),
        }
        Ok(())
    }

    async fn commit(&mut self, id: usize, keys: &[u8], by: u8, until: i32) -> Result<(), TestCaseError> {
        let now = self.clock.now();
        let seconds = i64::from(until) * i64::try_from(self.time.tick().as_secs()).unwrap();
        let given = replay_keys(keys);
        let until_given = Timestamp::from_unix(now.wall.as_unix() + seconds);
        let delivery = Delivery { webhook_id: &self.webhook_ids[id], keys: &given, until: until_given };
        let is_committed = self.store.commit(delivery, Claimant::new(by.into()), now).await.unwrap();
        let now = self.now();
        let model = self.model.commit(&model_delivery(id, keys, now.wall + until), by, now);
        prop_assert_eq!(is_committed, model, "commit");
        Ok(())
    }

    async fn release(&mut self, id: usize, keys: &[u8], by: u8) -> Result<(), TestCaseError> {
        let is_released = self.release_of(id, &replay_keys(keys), by).await;
        let model = self.model.release(&model_delivery(id, keys, 0), by, self.now());
        prop_assert_eq!(is_released, model, "release");
        Ok(())
    }

    async fn set_wall_by(&mut self, ticks: i32) -> Result<(), TestCaseError> {
        let now = self.now();
        let is_expired = |(_, entry): &(&u32, &store_model::Entry)| !entry.is_live(now);
        let expired: Vec<u32> = self.model.entries.iter().filter(is_expired).map(|(key, _)| *key).collect();
        let seconds = i64::try_from(self.time.tick().as_secs()).unwrap();
        self.clock.step_wall(i64::from(ticks) * seconds);
        // Setting the wall clock back makes these fresh again, but the store can have removed them already.
        for model_key in expired {
            let (id, given) = (usize::try_from(model_key / 100).unwrap(), [key(model_key % 100)]);
            if self.claim_of(id, &given, PROBE, 1).await == Claim::Granted {
                prop_assert!(self.release_of(id, &given, PROBE).await);
                self.model.entries.remove(&model_key);
            }
        }
        Ok(())
    }

    async fn claim_of(&self, id: usize, keys: &[ReplayKey], by: u8, lease: i32) -> Claim {
        let now = self.clock.now();
        let delivery = Delivery { webhook_id: &self.webhook_ids[id], keys, until: now.wall };
        self.store.claim(delivery, Claimant::new(by.into()), self.time(lease), now).await.unwrap()
    }

    async fn release_of(&self, id: usize, keys: &[ReplayKey], by: u8) -> bool {
        let now = self.clock.now();
        let delivery = Delivery { webhook_id: &self.webhook_ids[id], keys, until: now.wall };
        self.store.release(delivery, Claimant::new(by.into()), now).await.unwrap()
    }

    fn time(&self, ticks: i32) -> Duration {
        self.time.tick() * u32::try_from(ticks).unwrap()
    }

    fn now(&self) -> Clocks {
        let (now, tick) = (self.clock.now(), self.time.tick().as_secs());
        let wall = now.wall.as_unix() - self.start.wall.as_unix();
        Clocks {
            monotonic: i32::try_from(now.monotonic.as_secs() / tick).unwrap(),
            wall: i32::try_from(wall / i64::try_from(tick).unwrap()).unwrap(),
        }
    }
}

fn replay_keys(keys: &[u8]) -> Vec<ReplayKey> {
    keys.iter().map(|number| key(u32::from(*number))).collect()
}

fn key(number: u32) -> ReplayKey {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ReplayKey::from_bytes(bytes)
}

fn model_delivery(id: usize, keys: &[u8], until: i32) -> store_model::Delivery {
    let of_id = u32::try_from(id).unwrap() * 100;
    store_model::Delivery { keys: keys.iter().map(|key| (of_id + u32::from(*key), until)).collect() }
}

const WEBHOOK_IDS: usize = 2;
/// A claimant that no call uses.
const PROBE: u8 = 99;

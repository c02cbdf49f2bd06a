//! Compares a store with the model, call by call.

use std::time::Duration;

use hookwarden::Timestamp;
use hookwarden::clock::{Clock as _, ClockReading};
use hookwarden::replay::{Claim, Claimant, Delivery, DeliveryId, ReplayStore};
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

/// The keys of a delivery and its id.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    webhook_id: usize,
    keys: Vec<u8>,
    id: Option<u8>,
}

#[derive(Debug, Clone)]
pub(crate) enum Call {
    Claim {
        keys: Keys,
        by: u8,
        lease: i32,
    },
    /// The ends count from the time of the call.
    Commit {
        keys: Keys,
        by: u8,
        until: i32,
        id_until: i32,
    },
    Release {
        keys: Keys,
        by: u8,
    },
    Forget {
        webhook_id: usize,
        id: u8,
    },
    Pass(i32),
    SetWallBy(i32),
    /// This many claims of new deliveries, to grow and sweep the store.
    Burst(u32),
}

/// Calls of few claimants with few keys and ids, so that most of them meet.
pub(crate) fn calls(time: Time, most: usize) -> impl Strategy<Value = Vec<Call>> {
    let (step, odd, earliest, burst) = match time {
        Time::Injected => (1, 0, -20, 1..200_u32),
        Time::Real => (2, 1, 0, 1..3),
    };
    let keys = || {
        // Long lists meet, and short ones leave keys free.
        let numbers = prop_oneof![2 => vec(0..6_u8, 1..=3), 1 => vec(0..6_u8, 1..=8)];
        let keys = (0..WEBHOOK_IDS, numbers, prop::option::of(0..3_u8));
        keys.prop_map(|(webhook_id, keys, id)| Keys { webhook_id, keys, id })
    };
    let ticks = move |range: std::ops::Range<i32>| range.prop_map(move |ticks| ticks * step);
    let odd_ticks = move |range| ticks(range).prop_map(move |ticks| ticks + odd);
    let call = prop_oneof![
        8 => (keys(), 1..5_u8, odd_ticks(1..40)).prop_map(|(keys, by, lease)| Call::Claim { keys, by, lease }),
        4 => (keys(), 1..5_u8, odd_ticks(earliest..120), odd_ticks(earliest..240))
            .prop_map(|(keys, by, until, id_until)| Call::Commit { keys, by, until, id_until }),
        3 => (keys(), 1..5_u8).prop_map(|(keys, by)| Call::Release { keys, by }),
        1 => (0..WEBHOOK_IDS, 0..3_u8).prop_map(|(webhook_id, id)| Call::Forget { webhook_id, id }),
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
            Call::Claim { keys, by, lease } => subject.claim(keys, *by, *lease).await?,
            Call::Commit { keys, by, until, id_until } => subject.commit(keys, *by, *until, *id_until).await?,
            Call::Release { keys, by } => subject.release(keys, *by).await?,
            Call::Forget { webhook_id, id } => subject.forget(*webhook_id, *id).await?,
            Call::Pass(ticks) => {
                let time = subject.time(*ticks);
                subject.clock.advance(time);
                pass(time).await;
            }
            Call::SetWallBy(ticks) => subject.set_wall_by(*ticks).await?,
            Call::Burst(count) => {
                for _ in 0..*count {
                    let claim = subject.claim_of(0, &[key(next_key)], None, 1, 1).await;
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
    async fn claim(&mut self, keys: &Keys, by: u8, lease: i32) -> Result<(), TestCaseError> {
        let claim = self.claim_of(keys.webhook_id, &keys.keys(), keys.id, by, lease).await;
        let model = self.model.claim(&keys.in_model(0, 0), by, lease, self.now());
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

    async fn commit(&mut self, keys: &Keys, by: u8, until: i32, id_until: i32) -> Result<(), TestCaseError> {
        let now = self.clock.now();
        let given = keys.keys();
        let id = keys.id.map(|id| DeliveryId { key: id_key(id), until: self.later(id_until) });
        let webhook_id = self.webhook_id(keys.webhook_id);
        let delivery = Delivery { webhook_id, keys: &given, until: self.later(until), id };
        let is_committed = self.store.commit(delivery, Claimant::new(by.into()), now).await.unwrap();
        let now = self.now();
        let model = self.model.commit(&keys.in_model(now.wall + until, now.wall + id_until), by, now);
        prop_assert_eq!(is_committed, model, "commit");
        Ok(())
    }

    async fn release(&mut self, keys: &Keys, by: u8) -> Result<(), TestCaseError> {
        let is_released = self.release_of(keys.webhook_id, &keys.keys(), keys.id, by).await;
        let model = self.model.release(&keys.in_model(0, 0), by, self.now());
        prop_assert_eq!(is_released, model, "release");
        Ok(())
    }

    async fn forget(&mut self, webhook_id: usize, id: u8) -> Result<(), TestCaseError> {
        let now = self.clock.now();
        let is_forgotten = self.store.forget(self.webhook_id(webhook_id), id_key(id), now).await.unwrap();
        prop_assert_eq!(is_forgotten, self.model.forget(model_id(webhook_id, id), self.now()), "forget");
        Ok(())
    }

    async fn set_wall_by(&mut self, ticks: i32) -> Result<(), TestCaseError> {
        let now = self.now();
        let is_expired = |(_, entry): &(&u32, &store_model::Entry)| !entry.is_live(now);
        let expired: Vec<u32> = self.model.entries.iter().filter(is_expired).map(|(key, _)| *key).collect();
        self.clock.set_wall(self.later(ticks));
        // Setting the wall clock back makes these fresh again, but the store can have removed them already.
        for model_key in expired {
            let (webhook_id, number) = (usize::try_from(model_key / 1_000).unwrap(), model_key % 1_000);
            let (keys, id) = match number.checked_sub(FIRST_ID) {
                Some(id) => ([key(PROBE.into())], Some(u8::try_from(id).unwrap())),
                None => ([key(number)], None),
            };
            if self.claim_of(webhook_id, &keys, id, PROBE, 1).await == Claim::Granted {
                prop_assert!(self.release_of(webhook_id, &keys, id, PROBE).await);
                self.model.entries.remove(&model_key);
            }
        }
        Ok(())
    }

    async fn claim_of(&self, webhook_id: usize, keys: &[ReplayKey], id: Option<u8>, by: u8, lease: i32) -> Claim {
        let delivery = self.delivery(webhook_id, keys, id);
        let claim = self.store.claim(delivery, Claimant::new(by.into()), self.time(lease), self.clock.now());
        claim.await.unwrap()
    }

    async fn release_of(&self, webhook_id: usize, keys: &[ReplayKey], id: Option<u8>, by: u8) -> bool {
        let delivery = self.delivery(webhook_id, keys, id);
        self.store.release(delivery, Claimant::new(by.into()), self.clock.now()).await.unwrap()
    }

    /// For calls that do not use the ends.
    fn delivery<'d>(&'d self, webhook_id: usize, keys: &'d [ReplayKey], id: Option<u8>) -> Delivery<'d> {
        let until = self.later(0);
        let id = id.map(|id| DeliveryId { key: id_key(id), until });
        Delivery { webhook_id: self.webhook_id(webhook_id), keys, until, id }
    }

    fn webhook_id(&self, number: usize) -> &str {
        self.webhook_ids.get(number).expect("one of the webhook ids")
    }

    /// The wall clock after some ticks.
    fn later(&self, ticks: i32) -> Timestamp {
        let seconds = i64::from(ticks) * i64::try_from(self.time.tick().as_secs()).unwrap();
        Timestamp::from_unix(self.clock.now().wall.as_unix() + seconds)
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

impl Keys {
    fn keys(&self) -> Vec<ReplayKey> {
        self.keys.iter().map(|number| key(u32::from(*number))).collect()
    }

    fn in_model(&self, until: i32, id_until: i32) -> store_model::Delivery {
        let keys = self.keys.iter().map(|number| (model_key(self.webhook_id, u32::from(*number)), until));
        let id = self.id.map(|id| (model_id(self.webhook_id, id), id_until));
        store_model::Delivery { keys: keys.chain(id).collect() }
    }
}

fn key(number: u32) -> ReplayKey {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ReplayKey::from_bytes(bytes)
}

fn id_key(number: u8) -> ReplayKey {
    ReplayKey::of_delivery_id(&format!("event-{number}"))
}

fn model_key(webhook_id: usize, number: u32) -> u32 {
    u32::try_from(webhook_id).unwrap() * 1_000 + number
}

fn model_id(webhook_id: usize, number: u8) -> u32 {
    model_key(webhook_id, FIRST_ID + u32::from(number))
}

const WEBHOOK_IDS: usize = 2;
/// In the model, higher numbers of a webhook id are delivery ids.
const FIRST_ID: u32 = 500;
/// A claimant and a key that no call uses.
const PROBE: u8 = 99;

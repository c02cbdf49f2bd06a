//! What a Warden is by default, and what none can be built with.

use std::time::Duration;

use hookwarden::clock::ClockReading;
use hookwarden::error::StoreError;
use hookwarden::keys::StaticKeys;
use hookwarden::limit::{Decision, LocalLimiter, RateLimiter};
use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
use hookwarden::shared_store::SharedStore;
use hookwarden::warden::WardenBuilder;
use hookwarden::{BoxFuture, Keyring, Quota, Scheme, Warden};

fn keyring() -> Keyring {
    Keyring::new(Scheme::timestamped().secret("a-secret-of-the-tests-and-of-no-one-else").expect("a secret"))
}

fn warden() -> WardenBuilder {
    Warden::builder(Scheme::timestamped()).sender("acme", keyring())
}

/// A store of both kinds, in this process.
#[derive(Default)]
struct Both {
    deliveries: LocalReplay,
    quotas: LocalLimiter,
}

impl ReplayStore for Both {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        self.deliveries.claim(delivery, by, lease, now)
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.deliveries.commit(delivery, by, now)
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.deliveries.release(delivery, by, now)
    }
}

impl RateLimiter for Both {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        self.quotas.check(webhook_id, quota)
    }
}

impl SharedStore for Both {}

#[test]
fn defaults_are_those_of_the_documentation() {
    let warden = warden().build().expect("a Warden");
    assert_eq!((warden.body_limit(), warden.deadline()), (1_048_576, Duration::from_secs(10)));
}

#[test]
fn setting_that_cannot_be_right_is_a_config_error() {
    type Change = fn(WardenBuilder) -> WardenBuilder;
    let static_keys = |warden: WardenBuilder| {
        warden.keys(StaticKeys::new(&Scheme::timestamped(), [("other", keyring())]).expect("keys"))
    };
    let cases: [(&str, Change); 11] = [
        ("body limit", |warden| warden.body_limit(0)),
        ("deadline", |warden| warden.deadline(Duration::ZERO)),
        ("deadline", |warden| warden.deadline(Duration::from_millis(86_400_001))),
        ("lease", |warden| warden.lease(Duration::ZERO)),
        ("replay capacity", |warden| warden.replay_capacity(0)),
        ("replicas", |warden| warden.replicas(0)),
        ("replay lifetime", |warden| warden.replay_lifetime(Duration::from_secs(1))),
        ("replay lifetime", |warden| warden.replay_lifetime(Duration::from_millis(999))),
        ("shared store", |warden| warden.shared_store(Both::default()).shared_limiter(Both::default())),
        ("shared store", |warden| warden.shared_store(Both::default()).shared_replay(Both::default())),
        ("trusted proxies", |warden| warden.trusted_proxies(["10.0.0.0/8"])),
    ];
    for (place, (field, change)) in cases.into_iter().enumerate() {
        let error = change(warden()).build().expect_err(field);
        assert_eq!(error.field(), field, "{place}: {error}");
    }
    assert_eq!(static_keys(warden()).build().expect_err("senders").field(), "senders");
}

#[test]
fn setting_at_its_bound_is_right() {
    let changes: [fn(WardenBuilder) -> WardenBuilder; 6] = [
        |warden| warden.body_limit(1).replay_capacity(1).replicas(1),
        |warden| warden.deadline(Duration::from_nanos(1)).lease(Duration::from_nanos(1)),
        |warden| warden.deadline(Duration::from_secs(86_400)),
        |warden| warden.shared_store(Both::default()),
        |warden| warden.shared_limiter(Both::default()).shared_replay(Both::default()),
        |warden| warden.shared_store(Both::default()).danger_without_replay_protection(),
    ];
    for (place, change) in changes.into_iter().enumerate() {
        assert!(change(warden()).build().is_ok(), "{place}");
    }
}

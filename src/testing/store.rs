//! The acceptance suite of replay stores.

use std::time::Duration;

use super::{all, fresh_id};
use crate::clock::Clock;
use crate::replay::{Claim, Claimant, Delivery, DeliveryId, ReplayStore};
use crate::time::Timestamp;
use crate::verifier::ReplayKey;

/// Runs every rule of [`ReplayStore`] against stores from `make`, one store for each rule; the stores may share their
/// data.
///
/// `clock` is the clock of the store, and `pass` lets time pass on it: about 13 s in all, in whole seconds. Each run
/// uses new webhook ids, so a server does not have to be cleaned before.
///
/// # Panics
/// The store breaks a rule, which the message names, or fails.
pub async fn replay_store_contract<S: ReplayStore>(
    make: impl Fn() -> S,
    clock: &impl Clock,
    pass: impl AsyncFn(Duration),
) {
    let case = |name| Case { store: make(), id: fresh_id(name), clock };

    claim_is_granted_once(&case("once")).await;
    commit_finishes(&case("commit")).await;
    release_frees(&case("release")).await;
    other_claimants_change_nothing(&case("others")).await;
    any_shared_key_is_the_same_delivery(&case("overlap")).await;
    another_id_is_another_delivery(&case("ids")).await;
    refused_claim_takes_nothing(&case("atomic")).await;
    race_has_one_winner(&case("race")).await;
    delivery_without_keys_is_an_error(&case("keys")).await;
    delivery_id_is_one_more_key(&case("id")).await;
    delivery_id_belongs_to_its_webhook_id(&case("id-of")).await;
    release_frees_the_delivery_id(&case("id-release")).await;
    forgotten_id_can_be_claimed_again(&case("forget")).await;

    lease_ends(&case("lease"), &pass).await;
    late_commit_succeeds_without_another_claim(&case("late"), &pass).await;
    late_claimant_cannot_change_the_next(&case("taken"), &pass).await;
    commit_is_stored_until_it_expires(&case("until"), &pass).await;
    delivery_id_outlives_the_keys(&case("id-until"), &pass).await;
}

struct Case<'c, S, C> {
    store: S,
    id: String,
    clock: &'c C,
}

impl<S: ReplayStore, C: Clock> Case<'_, S, C> {
    fn delivery<'d>(&'d self, keys: &'d [ReplayKey]) -> Delivery<'d> {
        Delivery { webhook_id: &self.id, keys, until: self.after(600), id: None }
    }

    /// A delivery with an id, which is remembered for ten days.
    fn with_id<'d>(&'d self, keys: &'d [ReplayKey], id: &str) -> Delivery<'d> {
        let id = DeliveryId { key: ReplayKey::of_delivery_id(id), until: self.after(864_000) };
        Delivery { id: Some(id), ..self.delivery(keys) }
    }

    async fn try_claim(&self, delivery: Delivery<'_>, by: u128, lease: Duration) -> Claim {
        let claim = self.store.claim(delivery, Claimant::new(by), lease, self.clock.now()).await;
        claim.expect("a claim must not return an error")
    }

    async fn try_commit(&self, delivery: Delivery<'_>, by: u128) -> bool {
        let committed = self.store.commit(delivery, Claimant::new(by), self.clock.now()).await;
        committed.expect("a commit must not return an error")
    }

    async fn try_release(&self, delivery: Delivery<'_>, by: u128) -> bool {
        let released = self.store.release(delivery, Claimant::new(by), self.clock.now()).await;
        released.expect("a release must not return an error")
    }

    async fn claim(&self, keys: &[ReplayKey], by: u128) -> Claim {
        self.try_claim(self.delivery(keys), by, LONG).await
    }

    async fn commit(&self, keys: &[ReplayKey], by: u128) -> bool {
        self.try_commit(self.delivery(keys), by).await
    }

    async fn release(&self, keys: &[ReplayKey], by: u128) -> bool {
        self.try_release(self.delivery(keys), by).await
    }

    async fn forget(&self, id: &str) -> bool {
        let forgotten = self.store.forget(&self.id, ReplayKey::of_delivery_id(id), self.clock.now()).await;
        forgotten.expect("a forget must not return an error")
    }

    fn after(&self, seconds: i64) -> Timestamp {
        Timestamp::from_unix(self.clock.now().wall.as_unix().saturating_add(seconds))
    }
}

async fn claim_is_granted_once<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    assert_eq!(case.claim(&[key(1)], 1).await, Claim::Granted, "a new delivery must be granted");
    match case.claim(&[key(1)], 2).await {
        Claim::InProgress { retry_after } => {
            let at_most = LONG.saturating_add(Duration::from_secs(1));
            assert!(
                !retry_after.is_zero() && retry_after <= at_most,
                "retry_after must be the rest of the lease of {LONG:?}, not {retry_after:?}"
            );
        }
        other => panic!("a delivery that another claimant holds must be in progress, not {other:?}"),
    }
    assert_eq!(case.claim(&[key(1)], 1).await, Claim::Granted, "a claimant must be granted the delivery that it holds");
    assert_eq!(case.claim(&[key(2)], 2).await, Claim::Granted, "another key must be another delivery");
}

async fn commit_finishes<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let keys = [key(1), key(2)];
    assert_eq!(case.claim(&keys, 1).await, Claim::Granted, "a new delivery must be granted");
    assert!(case.commit(&keys, 1).await, "the owner's commit must return true");
    for one in keys {
        assert_eq!(case.claim(&[one], 2).await, Claim::Finished, "a commit must finish every key");
    }
    assert_eq!(case.claim(&keys, 1).await, Claim::Finished, "a commit must finish the delivery for its claimant too");
    assert!(!case.release(&keys, 1).await, "a release after a commit must return false");
    assert_eq!(case.claim(&keys, 2).await, Claim::Finished, "a release must not undo a commit");
}

async fn release_frees<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let keys = [key(1), key(2)];
    assert_eq!(case.claim(&keys, 1).await, Claim::Granted, "a new delivery must be granted");
    assert!(case.release(&keys, 1).await, "the owner's release must return true");
    assert!(!case.release(&keys, 1).await, "a second release must return false");
    assert_eq!(case.claim(&[key(1)], 2).await, Claim::Granted, "a release must free the first key");
    assert_eq!(case.claim(&[key(2)], 3).await, Claim::Granted, "a release must free every key");
}

async fn other_claimants_change_nothing<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    assert_eq!(case.claim(&[key(1)], 1).await, Claim::Granted, "a new delivery must be granted");
    // Each number differs from the owner's in only one part.
    for other in [2, 1 << 32 | 1, 1 << 64 | 1, 1 << 127 | 1] {
        assert!(!case.release(&[key(1)], other).await, "another claimant's release must return false");
        assert!(!case.commit(&[key(1)], other).await, "another claimant's commit must return false");
        let claim = case.claim(&[key(1)], other).await;
        assert!(
            matches!(claim, Claim::InProgress { .. }),
            "the claim must stay in progress for another claimant, not \
                                                            {claim:?}"
        );
    }
    assert!(case.commit(&[key(1)], 1).await, "the owner must be able to commit after other claimants tried");
}

async fn any_shared_key_is_the_same_delivery<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let most: [ReplayKey; 9] = std::array::from_fn(|n| key(u8::try_from(n).unwrap_or_default()));
    assert_eq!(case.claim(&most, 1).await, Claim::Granted, "a delivery of nine keys must be granted");
    for one in most {
        let claim = case.claim(&[key(100), one, key(101)], 2).await;
        assert!(
            matches!(claim, Claim::InProgress { .. }),
            "one shared key must make it the same delivery, not \
                                                            {claim:?}"
        );
    }
    assert!(case.commit(&most, 1).await, "the owner's commit must return true");
    for one in most {
        let claim = case.claim(&[key(100), one, key(101)], 2).await;
        assert_eq!(claim, Claim::Finished, "one shared key must make it the same delivery");
    }
    assert_eq!(case.claim(&[key(100)], 1).await, Claim::Granted, "a new delivery must be granted");
    let claim = case.claim(&[key(100), key(0)], 2).await;
    assert_eq!(claim, Claim::Finished, "a finished key must take precedence over a claimed one");
}

async fn another_id_is_another_delivery<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    assert_eq!(case.claim(&[key(1)], 1).await, Claim::Granted, "a new delivery must be granted");
    assert!(case.commit(&[key(1)], 1).await, "the owner's commit must return true");
    let claim = {
        let other = fresh_id("other");
        case.try_claim(Delivery { webhook_id: &other, ..case.delivery(&[key(1)]) }, 2, LONG).await
    };
    assert_eq!(claim, Claim::Granted, "the same key under another webhook id must be another delivery");
}

async fn refused_claim_takes_nothing<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    assert_eq!(case.claim(&[key(1)], 1).await, Claim::Granted, "a new delivery must be granted");
    assert_eq!(case.claim(&[key(2)], 1).await, Claim::Granted, "a new delivery must be granted");
    assert!(case.commit(&[key(2)], 1).await, "the owner's commit must return true");
    for (taken, free) in [(key(1), [key(10), key(11)]), (key(2), [key(12), key(13)])] {
        let claim = case.claim(&[free[0], taken, free[1]], 2).await;
        assert_ne!(claim, Claim::Granted, "a delivery with a taken key must not be granted");
        assert!(!case.commit(&[free[0], taken, free[1]], 2).await, "a delivery with a taken key must not be committed");
        for key in free {
            let claim = case.claim(&[key], 3).await;
            assert_eq!(claim, Claim::Granted, "a refused claim or commit must leave the other keys free");
        }
    }
}

async fn race_has_one_winner<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let claims = all((0..RACERS).map(|racer| async move {
        // All share the last key; every 250th also shares its first key.
        let number = u8::try_from(racer % 250).unwrap_or_default();
        case.claim(&[key(number), key(255)], racer.saturating_add(1)).await
    }))
    .await;
    let granted = claims.iter().filter(|claim| **claim == Claim::Granted).count();
    assert_eq!(granted, 1, "of {RACERS} claims at once exactly one must be granted");
}

async fn delivery_without_keys_is_an_error<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let ten: [ReplayKey; 10] = std::array::from_fn(|n| key(u8::try_from(n).unwrap_or_default()));
    for keys in [&[][..], &ten] {
        let delivery = Delivery { webhook_id: &case.id, keys, until: case.after(600), id: None };
        let claim = case.store.claim(delivery, Claimant::new(1), LONG, case.clock.now()).await;
        assert!(claim.is_err(), "a delivery of {} keys must be an error, not {claim:?}", keys.len());
    }
}

async fn delivery_id_is_one_more_key<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let first = [key(1)];
    let first = case.with_id(&first, "event");
    assert_eq!(case.try_claim(first, 1, LONG).await, Claim::Granted, "a new delivery must be granted");
    assert_eq!(case.try_claim(first, 1, LONG).await, Claim::Granted, "a claimant must be granted what it holds");
    for (keys, id) in [([key(2)], "event"), ([key(1)], "another")] {
        let claim = case.try_claim(case.with_id(&keys, id), 2, LONG).await;
        assert!(
            matches!(claim, Claim::InProgress { .. }),
            "a delivery that shares a key or the id must be in progress, not {claim:?}"
        );
        assert!(!case.try_commit(case.with_id(&keys, id), 2).await, "another claimant's commit must return false");
    }
    assert!(case.try_commit(first, 1).await, "the owner's commit must return true");
    for (keys, id) in [([key(2)], "event"), ([key(1)], "another")] {
        let claim = case.try_claim(case.with_id(&keys, id), 2, LONG).await;
        assert_eq!(claim, Claim::Finished, "a delivery that shares a key or the id must be finished");
    }
    assert_eq!(case.claim(&[key(2)], 2).await, Claim::Granted, "a refused claim must take no key");
    let another = [key(3)];
    let claim = case.try_claim(case.with_id(&another, "another"), 3, LONG).await;
    assert_eq!(claim, Claim::Granted, "a refused claim must not take the id");
    assert!(!case.try_release(case.with_id(&another, "another"), 4).await, "another claimant must not release the id");
    let claim = case.try_claim(case.with_id(&[key(4)], "another"), 4, LONG).await;
    assert!(matches!(claim, Claim::InProgress { .. }), "another claimant's release must change nothing, not {claim:?}");
}

async fn delivery_id_belongs_to_its_webhook_id<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let (one, two, other) = ([key(1)], [key(2)], fresh_id("other"));
    assert_eq!(case.try_claim(case.with_id(&one, "event"), 1, LONG).await, Claim::Granted, "a new id must be granted");
    assert!(case.try_commit(case.with_id(&one, "event"), 1).await, "the owner's commit must return true");
    let delivery = Delivery { webhook_id: &other, ..case.with_id(&two, "event") };
    let claim = case.try_claim(delivery, 2, LONG).await;
    assert_eq!(claim, Claim::Granted, "the same id under another webhook id must be another delivery");
    let claim = case.try_claim(case.delivery(&[ReplayKey::of_delivery_id("event")]), 3, LONG).await;
    assert_eq!(claim, Claim::Granted, "a key must not be taken for an id");
}

async fn release_frees_the_delivery_id<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let (one, two) = ([key(1)], [key(2)]);
    assert_eq!(case.try_claim(case.with_id(&one, "event"), 1, LONG).await, Claim::Granted, "a new id must be granted");
    assert!(case.try_release(case.with_id(&one, "event"), 1).await, "the owner's release must return true");
    let claim = case.try_claim(case.with_id(&two, "event"), 2, LONG).await;
    assert_eq!(claim, Claim::Granted, "a release must free the id");
}

async fn forgotten_id_can_be_claimed_again<S: ReplayStore>(case: &Case<'_, S, impl Clock>) {
    let (one, two, three) = ([key(1)], [key(2)], [key(3)]);
    assert!(!case.forget("event").await, "an unknown id must not be forgotten");
    assert_eq!(case.try_claim(case.with_id(&one, "event"), 1, LONG).await, Claim::Granted, "a new id must be granted");
    assert!(!case.forget("event").await, "a claimed id must not be forgotten");
    let claim = case.try_claim(case.with_id(&two, "event"), 2, LONG).await;
    assert!(matches!(claim, Claim::InProgress { .. }), "a claimed id must stay claimed, not be {claim:?}");
    assert!(case.try_commit(case.with_id(&one, "event"), 1).await, "the owner's commit must return true");
    assert!(!case.forget("another").await, "another id must not be forgotten");
    assert!(case.forget("event").await, "a finished id must be forgotten");
    assert!(!case.forget("event").await, "a forgotten id must not be forgotten again");
    assert_eq!(case.claim(&one, 3).await, Claim::Finished, "a copy of the forgotten delivery must stay finished");
    let claim = case.try_claim(case.with_id(&three, "event"), 3, LONG).await;
    assert_eq!(claim, Claim::Granted, "a forgotten id must be granted again");
}

async fn lease_ends<S: ReplayStore>(case: &Case<'_, S, impl Clock>, pass: &impl AsyncFn(Duration)) {
    let lease = Duration::from_secs(2);
    assert_eq!(
        case.try_claim(case.delivery(&[key(1)]), 1, lease).await,
        Claim::Granted,
        "a new delivery must be granted"
    );
    pass(Duration::from_secs(1)).await;
    let claim = case.claim(&[key(1)], 2).await;
    assert!(matches!(claim, Claim::InProgress { .. }), "a claim must hold for its whole lease, not be {claim:?}");
    pass(Duration::from_secs(2)).await;
    assert_eq!(case.claim(&[key(1)], 2).await, Claim::Granted, "an abandoned claim must be free after its lease");
}

async fn late_commit_succeeds_without_another_claim<S: ReplayStore>(
    case: &Case<'_, S, impl Clock>,
    pass: &impl AsyncFn(Duration),
) {
    let lease = Duration::from_secs(1);
    assert_eq!(
        case.try_claim(case.delivery(&[key(1)]), 1, lease).await,
        Claim::Granted,
        "a new delivery must be granted"
    );
    pass(Duration::from_secs(2)).await;
    assert!(case.commit(&[key(1)], 1).await, "a commit after the lease must succeed without another claim");
    assert_eq!(case.claim(&[key(1)], 2).await, Claim::Finished, "a late commit must finish the delivery");
}

async fn late_claimant_cannot_change_the_next<S: ReplayStore>(
    case: &Case<'_, S, impl Clock>,
    pass: &impl AsyncFn(Duration),
) {
    let (lease, both) = (Duration::from_secs(1), [key(1), key(2)]);
    assert_eq!(case.try_claim(case.delivery(&both), 1, lease).await, Claim::Granted, "a new delivery must be granted");
    pass(Duration::from_secs(2)).await;
    assert_eq!(case.claim(&[key(2)], 2).await, Claim::Granted, "an abandoned claim must be free after its lease");
    assert!(!case.release(&both, 1).await, "a release must return false if another claimant has the delivery");
    assert!(!case.commit(&both, 1).await, "a commit must return false if another claimant has the delivery");
    let claim = case.claim(&[key(2)], 3).await;
    assert!(matches!(claim, Claim::InProgress { .. }), "the new owner's claim must stay in progress, not be {claim:?}");
    assert_eq!(case.claim(&[key(1)], 3).await, Claim::Granted, "a commit that returns false must finish no key");
    assert!(case.commit(&[key(2)], 2).await, "the new owner's commit must return true");
}

async fn commit_is_stored_until_it_expires<S: ReplayStore>(
    case: &Case<'_, S, impl Clock>,
    pass: &impl AsyncFn(Duration),
) {
    // The lease is longer: a commit must replace the expiry of the claim.
    assert_eq!(case.claim(&[key(1)], 1).await, Claim::Granted, "a new delivery must be granted");
    assert!(
        case.try_commit(Delivery { until: case.after(2), ..case.delivery(&[key(1)]) }, 1).await,
        "the owner's commit must return true"
    );
    // The lease is shorter: a commit must outlast the claim.
    let lease = Duration::from_secs(1);
    assert_eq!(
        case.try_claim(case.delivery(&[key(2)]), 1, lease).await,
        Claim::Granted,
        "a new delivery must be granted"
    );
    assert!(case.commit(&[key(2)], 1).await, "the owner's commit must return true");

    assert_eq!(case.claim(&[key(1)], 2).await, Claim::Finished, "a commit must finish the delivery");
    pass(Duration::from_secs(1)).await;
    assert_eq!(case.claim(&[key(1)], 2).await, Claim::Finished, "a commit must be stored through its last second");
    pass(Duration::from_secs(3)).await;
    assert_eq!(case.claim(&[key(1)], 2).await, Claim::Granted, "a commit must expire after its last second");
    assert_eq!(case.claim(&[key(2)], 2).await, Claim::Finished, "a commit must be stored for longer than the lease");
}

async fn delivery_id_outlives_the_keys<S: ReplayStore>(case: &Case<'_, S, impl Clock>, pass: &impl AsyncFn(Duration)) {
    let (one, two) = ([key(1)], [key(2)]);
    let of = |until, keys, id| Delivery { until, ..case.with_id(keys, id) };
    let first = of(case.after(1), &one, "event");
    assert_eq!(case.try_claim(first, 1, LONG).await, Claim::Granted, "a new delivery must be granted");
    assert!(case.try_commit(first, 1).await, "the owner's commit must return true");
    let id = DeliveryId { key: ReplayKey::of_delivery_id("short"), until: case.after(1) };
    let second = Delivery { id: Some(id), ..case.delivery(&two) };
    assert_eq!(case.try_claim(second, 1, LONG).await, Claim::Granted, "a new delivery must be granted");
    assert!(case.try_commit(second, 1).await, "the owner's commit must return true");
    pass(Duration::from_secs(3)).await;
    assert_eq!(case.claim(&one, 2).await, Claim::Granted, "the keys must expire before the id");
    let claim = case.try_claim(case.with_id(&[key(3)], "event"), 2, LONG).await;
    assert_eq!(claim, Claim::Finished, "the id must be stored until its own end");
    let claim = case.try_claim(case.with_id(&[key(4)], "short"), 2, LONG).await;
    assert_eq!(claim, Claim::Granted, "the id must expire after its own end");
    assert_eq!(case.claim(&two, 2).await, Claim::Finished, "the keys must be stored until their own end");
}

const fn key(number: u8) -> ReplayKey {
    ReplayKey::from_bytes([number; 16])
}

const LONG: Duration = Duration::from_secs(60);
const RACERS: u128 = 1_000;

//! A store that is divided among several servers: which of their failures and recoveries are reported.

use std::collections::{BTreeSet, HashMap};
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwarden::clock::{Clock as _, ClockReading};
use hookwarden::error::StoreError;
use hookwarden::event::{Observer, SecurityEvent, StoreKind};
use hookwarden::limit::{Decision, QuotaState, RateLimiter};
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore};
use hookwarden::shared_store::SharedStore;
use hookwarden::testing::TestClock;
use hookwarden::verifier::ReplayKey;
use hookwarden::warden::{Quotas, Replay, WardenBuilder};
use hookwarden::{BoxFuture, Keyring, Quota, Scheme, Signer, Warden};

use crate::slow_replay::PEER;

/// A store on several shards, which grants everything while the shard of the webhook id is up. Clones share their state.
#[derive(Clone, Default)]
struct Shards(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    homes: HashMap<String, Arc<str>>,
    down: BTreeSet<String>,
    /// Where calls for a webhook id are redirected.
    redirected: HashMap<String, Arc<str>>,
    lookups: usize,
    is_hidden: bool,
    errs_without_name: bool,
    lookup_panics: bool,
}

impl Shards {
    fn new(homes: &[(&str, &str)]) -> Self {
        let shards = Self::default();
        homes.iter().for_each(|(id, shard)| shards.assign(id, shard));
        shards
    }

    fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn assign(&self, id: &str, shard: &str) {
        self.set(|state| state.homes.insert(id.to_owned(), shard.into()));
    }

    fn stop(&self, shard: &str) {
        self.set(|state| state.down.insert(shard.to_owned()));
    }

    fn start(&self, shard: &str) {
        self.set(|state| state.down.remove(shard));
    }

    fn answer<T: Send + 'static>(&self, id: &str, answer: T) -> BoxFuture<'static, Result<T, StoreError>> {
        let answer = self.set(|state| {
            let shard = state.redirected.get(id).or(state.homes.get(id)).unwrap();
            let error = StoreError::new("connection refused");
            match state.down.contains(&**shard) {
                true if state.errs_without_name => Err(error),
                true => Err(error.with_shard(Arc::clone(shard))),
                false => Ok(answer),
            }
        });
        Box::pin(ready(answer))
    }

    fn home(&self, id: &str) -> Option<Arc<str>> {
        let (home, panics) = self.set(|state| {
            state.lookups += 1;
            (state.homes.get(id).cloned().filter(|_| !state.is_hidden), state.lookup_panics)
        });
        assert!(!panics, "on purpose");
        home
    }
}

impl ReplayStore for Shards {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        _: Claimant,
        _: Duration,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        self.answer(delivery.webhook_id, Claim::Granted)
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        _: Claimant,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.answer(delivery.webhook_id, true)
    }

    fn release<'a>(&'a self, _: Delivery<'a>, _: Claimant, _: ClockReading) -> BoxFuture<'a, Result<bool, StoreError>> {
        // Refused requests release in the background, and their failures are not what is counted here.
        Box::pin(ready(Ok(true)))
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        _: ReplayKey,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.answer(webhook_id, true)
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        self.home(webhook_id)
    }
}

impl RateLimiter for Shards {
    fn check<'a>(&'a self, webhook_id: &'a str, _: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        self.answer(webhook_id, Decision::Allowed(QuotaState { remaining: 1, reset: Duration::ZERO }))
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        self.home(webhook_id)
    }
}

impl SharedStore for Shards {}

/// The failures and recoveries of stores, in order.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<String>>>);

impl Reports {
    fn push(&self, what: &str, store: StoreKind, shard: Option<&str>) {
        self.0.lock().unwrap().push(format!("{what} {} {}", store.as_str(), shard.unwrap_or("-")));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Reports {
    fn observe(&self, _: &SecurityEvent<'_>) {}

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        self.push("failed", store, error.shard());
    }

    fn store_recovered(&self, store: StoreKind, shard: Option<&str>) {
        self.push("recovered", store, shard);
    }
}

/// A Warden with a store on shards, and its senders.
struct Scene {
    warden: Warden,
    reports: Reports,
    signers: HashMap<String, Signer>,
    clock: TestClock,
}

impl Scene {
    fn new(shards: &Shards, with: fn(WardenBuilder, Shards) -> WardenBuilder) -> Self {
        let (scheme, clock, reports) = (Scheme::timestamped(), TestClock::default(), Reports::default());
        let mut warden = Warden::builder(scheme.clone()).clock(clock.clone()).observer(reports.clone());
        let mut signers = HashMap::new();
        for id in shards.set(|state| state.homes.keys().cloned().collect::<Vec<_>>()) {
            let keys = Keyring::new(scheme.secret(&format!("a-secret-only-for-the-tests-of-{id}")).unwrap());
            warden = warden.sender(&*id, keys.clone());
            signers.insert(id, Signer::new(scheme.clone(), keys).unwrap());
        }
        Self { warden: with(warden, shards.clone()).build().unwrap(), reports, signers, clock }
    }

    /// Delivers once for each webhook id, and returns what was reported.
    async fn deliver(&self, ids: &[&str]) -> Vec<String> {
        for id in ids {
            let signed = self.signers.get(*id).unwrap().sign_body_at(b"{}", self.clock.now().wall).unwrap();
            let head: Vec<_> = signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let mut receiving = self.warden.examine(&head, PEER).unwrap().identify_async(id).await.unwrap();
            receiving.update(b"{}").unwrap();
            if let Ok(admitted) = receiving.finish_async().await {
                admitted.release_async().await.unwrap();
            }
        }
        self.reports.take()
    }
}

type With = fn(WardenBuilder, Shards) -> WardenBuilder;

/// Every way to use a shared store, and the store that its observers name.
const SETTINGS: [(&str, With); 3] = [
    ("limits", |warden, shards| warden.quotas(Quotas::new().shared(shards))),
    ("replay", |warden, shards| warden.replay(Replay::shared(shards))),
    ("replay", |warden, shards| warden.shared_store(shards)),
];

#[tokio::test]
async fn failed_shard_recovers_only_by_its_own_answer() {
    for (store, with) in SETTINGS {
        let shards = Shards::new(&[("acme", "a:1"), ("globex", "b:2"), ("initech", "a:1")]);
        let scene = Scene::new(&shards, with);
        shards.stop("a:1");
        let failed = format!("failed {store} a:1");
        assert_eq!(scene.deliver(&["acme", "globex", "globex", "initech", "globex"]).await, [&*failed, &*failed]);
        shards.start("a:1");
        assert_eq!(scene.deliver(&["globex"]).await, [""; 0]);
        // Any webhook id of the shard shows that it answers.
        assert_eq!(scene.deliver(&["acme", "acme", "initech"]).await, [format!("recovered {store} a:1")]);
    }
}

#[tokio::test]
async fn each_failed_shard_recovers_once() {
    let shards = Shards::new(&[("acme", "a:1"), ("globex", "b:2"), ("initech", "c:3")]);
    for (store, with) in SETTINGS {
        let scene = Scene::new(&shards, with);
        shards.stop("a:1");
        shards.stop("b:2");
        let failed = ["a:1", "b:2"].map(|shard| format!("failed {store} {shard}"));
        assert_eq!(scene.deliver(&["acme", "globex", "initech"]).await, failed);
        shards.start("b:2");
        let reports = scene.deliver(&["acme", "globex", "globex", "initech"]).await;
        assert_eq!(reports, [failed[0].clone(), format!("recovered {store} b:2")]);
        shards.start("a:1");
        assert_eq!(scene.deliver(&["initech", "globex", "acme"]).await, [format!("recovered {store} a:1")]);
    }
}

#[tokio::test]
async fn promoted_shard_ends_the_outage_of_its_predecessor() {
    for (store, with) in SETTINGS {
        let shards = Shards::new(&[("acme", "a:1"), ("globex", "b:2"), ("initech", "a:1")]);
        let scene = Scene::new(&shards, with);
        shards.stop("a:1");
        assert_eq!(scene.deliver(&["acme"]).await, [format!("failed {store} a:1")]);
        // The replica is promoted, and fails too.
        shards.assign("acme", "a:9");
        shards.assign("initech", "a:9");
        shards.stop("a:9");
        assert_eq!(scene.deliver(&["globex", "acme"]).await, [format!("failed {store} a:9")]);
        shards.start("a:9");
        let recovered = ["a:1", "a:9"].map(|shard| format!("recovered {store} {shard}"));
        assert_eq!(scene.deliver(&["globex", "initech", "acme"]).await, recovered);
    }
}

/// While a slot is being migrated, calls of its webhook ids can fail at the shard that receives it.
#[tokio::test]
async fn redirected_failure_ends_no_outage_early() {
    for (store, with) in SETTINGS {
        let shards = Shards::new(&[("acme", "a:1"), ("globex", "b:2"), ("initech", "b:2")]);
        let scene = Scene::new(&shards, with);
        shards.stop("a:1");
        assert_eq!(scene.deliver(&["acme"]).await, [format!("failed {store} a:1")]);
        shards.set(|state| state.redirected.insert("globex".into(), "a:1".into()));
        assert_eq!(scene.deliver(&["globex", "initech"]).await, [format!("failed {store} a:1")]);
        shards.start("a:1");
        assert_eq!(scene.deliver(&["initech", "acme"]).await, [format!("recovered {store} a:1")]);
        // A webhook id of the shard replaces another one.
        shards.stop("a:1");
        let failed = format!("failed {store} a:1");
        assert_eq!(scene.deliver(&["globex", "acme", "initech"]).await, [&*failed, &*failed]);
        shards.start("a:1");
        assert_eq!(scene.deliver(&["initech", "acme"]).await, [format!("recovered {store} a:1")]);
    }
}

#[tokio::test]
async fn failure_without_a_name_ends_with_its_shard() {
    for (store, with) in SETTINGS {
        let shards = Shards::new(&[("acme", "a:1"), ("globex", "b:2"), ("initech", "a:1")]);
        shards.set(|state| state.errs_without_name = true);
        let scene = Scene::new(&shards, with);
        shards.stop("a:1");
        assert_eq!(scene.deliver(&["acme", "globex"]).await, [format!("failed {store} -")]);
        shards.start("a:1");
        assert_eq!(scene.deliver(&["globex", "initech", "acme"]).await, [format!("recovered {store} -")]);
    }
}

/// A wrapper that does not implement `shard_of` must not cause a pair of reports with each request.
#[tokio::test]
async fn hidden_shard_recovers_by_the_same_webhook_id() {
    for (store, with) in SETTINGS {
        let shards = Shards::new(&[("acme", "a:1"), ("globex", "b:2"), ("initech", "a:1")]);
        shards.set(|state| state.is_hidden = true);
        let scene = Scene::new(&shards, with);
        shards.stop("a:1");
        assert_eq!(scene.deliver(&["acme", "globex"]).await, [format!("failed {store} a:1")]);
        shards.start("a:1");
        assert_eq!(scene.deliver(&["globex", "initech"]).await, [""; 0]);
        assert_eq!(scene.deliver(&["acme"]).await, [format!("recovered {store} a:1")]);
    }
}

#[tokio::test]
async fn panic_in_shard_lookup_fails_no_request() {
    for (store, with) in SETTINGS {
        let shards = Shards::new(&[("acme", "a:1"), ("globex", "b:2")]);
        shards.set(|state| state.lookup_panics = true);
        let scene = Scene::new(&shards, with);
        shards.stop("a:1");
        assert_eq!(scene.deliver(&["acme", "globex"]).await, [format!("failed {store} a:1")]);
        shards.start("a:1");
        assert_eq!(scene.deliver(&["globex", "acme"]).await, [format!("recovered {store} a:1")]);
    }
}

#[tokio::test]
async fn shards_are_looked_up_only_during_outages() {
    for (_, with) in SETTINGS {
        let shards = Shards::new(&[("acme", "a:1"), ("globex", "b:2")]);
        let scene = Scene::new(&shards, with);
        let lookups = || shards.set(|state| state.lookups);
        scene.deliver(&["acme", "globex"]).await;
        assert_eq!(lookups(), 0);
        shards.stop("a:1");
        scene.deliver(&["acme", "globex"]).await;
        assert_eq!(lookups(), 2);
        shards.start("a:1");
        scene.deliver(&["acme"]).await;
        let after = lookups();
        scene.deliver(&["acme", "globex"]).await;
        assert_eq!(lookups(), after);
    }
}

#[tokio::test]
async fn failed_shards_beyond_the_bound_share_a_name() {
    let names: Vec<_> = (0..70).map(|number| (format!("id-{number}"), format!("s:{number}"))).collect();
    let homes: Vec<_> = names.iter().map(|(id, shard)| (&**id, &**shard)).collect();
    let ids: Vec<_> = names.iter().map(|(id, _)| &**id).collect();
    for (store, with) in SETTINGS {
        let shards = Shards::new(&homes);
        let scene = Scene::new(&shards, with);
        names.iter().for_each(|(_, shard)| shards.stop(shard));
        let named = |what: &str| {
            let shards = (0..64).map(|number| format!("s:{number}"));
            shards.map(|shard| format!("{what} {store} {shard}")).collect::<BTreeSet<_>>()
        };
        for _ in 0..2 {
            let failed = scene.deliver(&ids).await;
            let others = failed.iter().filter(|report| **report == format!("failed {store} other")).count();
            let distinct = failed.into_iter().filter(|report| !report.ends_with(" other")).collect::<BTreeSet<_>>();
            assert_eq!((distinct, others), (named("failed"), 6));
        }
        names.iter().for_each(|(_, shard)| shards.start(shard));
        let mut recovered = scene.deliver(&ids).await;
        assert_eq!(recovered.pop(), Some(format!("recovered {store} other")));
        assert_eq!((recovered.len(), recovered.into_iter().collect()), (64, named("recovered")));
    }
}

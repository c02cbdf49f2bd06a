//! `CachedKeys`: keys from an asynchronous store.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookwarden::clock::{Clock, ClockReading};
use hookwarden::error::StoreError;
use hookwarden::keys::{AsyncKeyStore, CachedKeys, CachedKeysBuilder};
use hookwarden::{BoxFuture, Keyring, Scheme, Secret, Timestamp};
use tokio::sync::Semaphore;

use super::{CANARY, assert_no_canary, keyring, shown};

/// How a store answers a lookup.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Answers,
    Fails,
    PanicsAtOnce,
    PanicsLater,
    GivesUnusableKeys,
}

struct Store {
    ids: Mutex<HashMap<String, Manner>>,
    asked: AtomicUsize,
    dropped: Arc<AtomicUsize>,
    /// Each lookup takes one permit before it ends.
    gate: Semaphore,
}

impl Store {
    fn new(ids: &[&str]) -> Arc<Self> {
        let store = Self::closed(ids);
        store.gate.add_permits(1_000_000);
        store
    }

    fn closed(ids: &[&str]) -> Arc<Self> {
        let ids = Mutex::new(ids.iter().map(|id| (String::from(*id), Manner::Answers)).collect());
        Arc::new(Self { ids, asked: AtomicUsize::default(), dropped: Arc::default(), gate: Semaphore::new(0) })
    }

    fn set(&self, id: &str, manner: Manner) {
        lock(&self.ids).insert(id.into(), manner);
    }

    fn forget(&self, id: &str) {
        lock(&self.ids).remove(id);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn until_asked(&self, times: usize) {
        let all = async {
            while self.asked() < times {
                tokio::time::sleep(MS).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("asked in time");
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().expect("no panic under the lock")
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl AsyncKeyStore for Store {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let manner = lock(&self.ids).get(webhook_id).copied();
        if manner == Some(Manner::PanicsAtOnce) {
            panic!("asked for {webhook_id}");
        }
        let alive = OnDrop(self.dropped.clone());
        Box::pin(async move {
            let _alive = alive;
            self.gate.acquire().await.expect("an open gate").forget();
            match manner {
                None => Ok(None),
                Some(Manner::Answers | Manner::PanicsAtOnce) => Ok(Some(keyring(CANARY))),
                Some(Manner::Fails) => Err(StoreError::new("vault is sealed").with_retry_after(Duration::from_secs(7))),
                Some(Manner::PanicsLater) => panic!("asked for {webhook_id}"),
                // Raw text for a scheme with encoded secrets.
                Some(Manner::GivesUnusableKeys) => Ok(Some(Keyring::new(Secret::from_text(CANARY).expect("a secret")))),
            }
        })
    }
}

#[derive(Clone, Default)]
struct ManualClock(Arc<Mutex<Duration>>);

impl ManualClock {
    fn advance(&self, by: Duration) {
        let mut now = lock(&self.0);
        *now = now.saturating_add(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> ClockReading {
        ClockReading { wall: Timestamp::from_unix(1_800_000_000), monotonic: *lock(&self.0) }
    }
}

fn cache(store: &Arc<Store>) -> (CachedKeys, ManualClock) {
    cache_with(store, |builder| builder)
}

fn cache_with(
    store: &Arc<Store>,
    settings: impl FnOnce(CachedKeysBuilder) -> CachedKeysBuilder,
) -> (CachedKeys, ManualClock) {
    let clock = ManualClock::default();
    let builder = settings(CachedKeys::builder(store.clone()).clock(clock.clone()));
    (builder.build(&Scheme::timestamped()).expect("a cache"), clock)
}

/// Returns `Ok(true)` if the id has keys.
async fn find(keys: &CachedKeys, id: &str) -> Result<bool, String> {
    keys.find(id).await.map(|keys| keys.is_some()).map_err(|error| error.to_string())
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_tasks_share_one_lookup() {
    let store = Store::closed(&["a"]);
    let (keys, _) = cache(&store);
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let keys = keys.clone();
            tokio::spawn(async move { find(&keys, "a").await })
        })
        .collect();
    store.until_asked(1).await;
    store.gate.add_permits(1_000);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(true));
    }
    assert_eq!(store.asked(), 1);
}

#[tokio::test]
async fn waiter_continues_a_cancelled_lookup() {
    let store = Store::closed(&["a"]);
    let (keys, _) = cache(&store);
    let spawn = || {
        let keys = keys.clone();
        tokio::spawn(async move { find(&keys, "a").await })
    };
    let leader = spawn();
    store.until_asked(1).await;
    let follower = spawn();
    tokio::task::yield_now().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    store.gate.add_permits(1);
    assert_eq!(follower.await.unwrap(), Ok(true));
    assert_eq!(store.asked(), 1);
}

#[tokio::test]
async fn lookup_without_waiters_is_cancelled() {
    let store = Store::closed(&["a"]);
    let (keys, _) = cache(&store);
    for round in 1..=3 {
        {
            let mut one = Box::pin(keys.find("a"));
            let mut two = Box::pin(keys.find("a"));
            let mut context = Context::from_waker(Waker::noop());
            assert!(one.as_mut().poll(&mut context).is_pending());
            assert!(two.as_mut().poll(&mut context).is_pending());
            drop(one);
            assert_eq!(store.dropped.load(Ordering::SeqCst), round - 1);
        }
        assert_eq!((store.asked(), store.dropped.load(Ordering::SeqCst)), (round, round));
        assert!(format!("{keys:?}").contains("in_flight: 0"), "{keys:?}");
    }
    store.gate.add_permits(1);
    assert_eq!(find(&keys, "a").await, Ok(true));
}

#[tokio::test]
async fn store_panic_is_an_error_for_every_waiter() {
    for manner in [Manner::PanicsAtOnce, Manner::PanicsLater] {
        let store = Store::closed(&[]);
        store.set("a", manner);
        let (keys, clock) = cache(&store);
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let keys = keys.clone();
                tokio::spawn(async move { find(&keys, "a").await })
            })
            .collect();
        store.until_asked(1).await;
        tokio::task::yield_now().await;
        store.gate.add_permits(100);
        for task in tasks {
            assert_eq!(task.await.unwrap(), Err("the store panicked".into()));
        }
        assert_eq!(store.asked(), 1);
        store.set("a", Manner::Answers);
        clock.advance(SECOND);
        assert_eq!(find(&keys, "a").await, Ok(true));
        assert!(format!("{keys:?}").contains("known: 1, unknown: 0, in_flight: 0"), "{keys:?}");
    }
}

#[tokio::test]
async fn expired_keys_are_looked_up_again() {
    let store = Store::new(&["a"]);
    let (keys, clock) = cache(&store);
    assert_eq!(find(&keys, "a").await, Ok(true));
    clock.advance(300 * SECOND - MS);
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(true), 1));
    store.forget("a");
    clock.advance(MS);
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(false), 2));
    assert!(format!("{keys:?}").contains("known: 0, unknown: 1"), "{keys:?}");
}

#[tokio::test]
async fn lifetime_starts_when_the_lookup_began() {
    let store = Store::closed(&["a"]);
    let (keys, clock) = cache(&store);
    let waiting = {
        let keys = keys.clone();
        tokio::spawn(async move { find(&keys, "a").await })
    };
    store.until_asked(1).await;
    clock.advance(5 * SECOND);
    store.gate.add_permits(2);
    assert_eq!(waiting.await.unwrap(), Ok(true));
    clock.advance(295 * SECOND - MS);
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(true), 1));
    clock.advance(MS);
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(true), 2));
}

#[tokio::test]
async fn unknown_id_is_cached_for_ten_seconds() {
    let store = Store::new(&[]);
    let (keys, clock) = cache(&store);
    assert_eq!(find(&keys, "a").await, Ok(false));
    store.set("a", Manner::Answers);
    clock.advance(10 * SECOND - MS);
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(false), 1));
    clock.advance(MS);
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(true), 2));
}

#[tokio::test]
async fn flood_of_unknown_ids_evicts_no_sender() {
    let store = Store::new(&["a", "b"]);
    let (keys, _) = cache(&store);
    assert_eq!((find(&keys, "a").await, find(&keys, "b").await), (Ok(true), Ok(true)));
    for n in 0..100_000 {
        assert_eq!(find(&keys, &format!("made-up-{n}")).await, Ok(false));
    }
    assert_eq!(store.asked(), 100_002);
    assert!(format!("{keys:?}").contains("known: 2, unknown: 10000, in_flight: 0"), "{keys:?}");
    assert_eq!((find(&keys, "a").await, find(&keys, "b").await, store.asked()), (Ok(true), Ok(true), 100_002));
}

#[tokio::test]
async fn flood_during_store_failure_is_bounded() {
    let store = Store::new(&["a"]);
    let (keys, _) = cache_with(&store, |builder| builder.unknown_capacity(100));
    assert_eq!(find(&keys, "a").await, Ok(true));
    for n in 0..1_000 {
        store.set(&n.to_string(), Manner::Fails);
        assert_eq!(find(&keys, &n.to_string()).await, Err("vault is sealed".into()));
    }
    assert!(format!("{keys:?}").contains("known: 1, unknown: 100, in_flight: 0"), "{keys:?}");
}

#[tokio::test]
async fn known_ids_are_bounded_and_used_ones_stay() {
    let store = Store::new(&["a"]);
    let (keys, _) = cache_with(&store, |builder| builder.capacity(100));
    for n in 0..1_000 {
        store.set(&n.to_string(), Manner::Answers);
        assert_eq!((find(&keys, &n.to_string()).await, find(&keys, "a").await), (Ok(true), Ok(true)));
    }
    assert_eq!(store.asked(), 1_001);
    assert!(format!("{keys:?}").contains("known: 100,"), "{keys:?}");
}

#[tokio::test]
async fn overlong_id_is_unknown_without_a_lookup() {
    let store = Store::new(&[]);
    let (keys, _) = cache(&store);
    for id in ["", &"x".repeat(257), &"x".repeat(1_000_000)] {
        assert_eq!(find(&keys, id).await, Ok(false));
    }
    assert_eq!(store.asked(), 0);
    assert_eq!((find(&keys, &"x".repeat(256)).await, store.asked()), (Ok(false), 1));
}

#[tokio::test]
async fn failed_lookup_is_retried_after_a_second() {
    let store = Store::new(&[]);
    store.set("a", Manner::Fails);
    let (keys, clock) = cache(&store);
    let error = keys.find("a").await.unwrap_err();
    assert_eq!((error.to_string(), error.retry_after()), ("vault is sealed".into(), 7 * SECOND));
    store.set("a", Manner::Answers);
    clock.advance(SECOND - MS);
    assert_eq!(keys.find("a").await.unwrap_err(), error);
    assert_eq!(store.asked(), 1);
    clock.advance(MS);
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(true), 2));
}

#[tokio::test]
async fn stale_keys_serve_only_within_their_setting() {
    let failed = Err(String::from("vault is sealed"));
    for (extra, served) in [(None, false), (Some(60 * SECOND), true)] {
        let store = Store::new(&["a"]);
        let (keys, clock) = cache_with(&store, |builder| match extra {
            Some(extra) => builder.danger_serve_stale_for(extra),
            None => builder,
        });
        assert_eq!(find(&keys, "a").await, Ok(true));
        store.set("a", Manner::Fails);
        clock.advance(360 * SECOND - MS);
        let expected = if served { Ok(true) } else { failed.clone() };
        // The first answer comes from the store, the second from the cache.
        assert_eq!((find(&keys, "a").await, find(&keys, "a").await), (expected.clone(), expected));
        assert_eq!(store.asked(), 2);
        clock.advance(MS);
        assert_eq!(find(&keys, "a").await, failed);
        clock.advance(SECOND);
        assert_eq!((find(&keys, "a").await, store.asked()), (failed.clone(), 3));
    }
}

#[tokio::test]
async fn removed_id_has_no_stale_keys() {
    let store = Store::new(&["a"]);
    let (keys, clock) = cache_with(&store, |builder| builder.danger_serve_stale_for(3_600 * SECOND));
    assert_eq!(find(&keys, "a").await, Ok(true));
    clock.advance(300 * SECOND);
    store.forget("a");
    assert_eq!(find(&keys, "a").await, Ok(false));
    store.set("a", Manner::Fails);
    clock.advance(10 * SECOND);
    assert_eq!(find(&keys, "a").await, Err("vault is sealed".into()));
}

#[tokio::test]
async fn invalidated_id_is_looked_up_at_once() {
    let store = Store::new(&["a"]);
    let (keys, _) = cache(&store);
    assert_eq!((find(&keys, "a").await, find(&keys, "b").await), (Ok(true), Ok(false)));
    store.forget("a");
    store.set("b", Manner::Answers);
    keys.invalidate("a");
    keys.invalidate("b");
    assert_eq!((find(&keys, "a").await, find(&keys, "b").await), (Ok(false), Ok(true)));
    store.set("a", Manner::Answers);
    keys.invalidate_all();
    assert_eq!((find(&keys, "a").await, find(&keys, "b").await, store.asked()), (Ok(true), Ok(true), 6));
}

#[tokio::test]
async fn answer_older_than_invalidation_is_discarded() {
    let store = Store::closed(&["a"]);
    let (keys, _) = cache(&store);
    let early = {
        let keys = keys.clone();
        tokio::spawn(async move { find(&keys, "a").await })
    };
    store.until_asked(1).await;
    store.forget("a");
    keys.invalidate("a");
    store.gate.add_permits(10);
    assert_eq!(early.await.unwrap(), Ok(true));
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(false), 2));
}

#[tokio::test]
async fn hung_lookup_is_replaced_after_ten_seconds() {
    let store = Store::closed(&["a"]);
    let (keys, clock) = cache(&store);
    let mut context = Context::from_waker(Waker::noop());
    let mut hanging = Box::pin(keys.find("a"));
    assert!(hanging.as_mut().poll(&mut context).is_pending());
    clock.advance(10 * SECOND - MS);
    let mut joined = Box::pin(keys.find("a"));
    assert!(joined.as_mut().poll(&mut context).is_pending());
    assert_eq!(store.asked(), 1);
    clock.advance(MS);
    let mut fresh = Box::pin(keys.find("a"));
    assert!(fresh.as_mut().poll(&mut context).is_pending());
    assert_eq!(store.asked(), 2);
    drop(hanging);
    drop(joined);
    store.gate.add_permits(1);
    assert!(matches!(fresh.as_mut().poll(&mut context), Poll::Ready(Ok(Some(_)))));
    assert_eq!((find(&keys, "a").await, store.asked()), (Ok(true), 2));
}

#[test]
fn cached_keys_need_one_poll_and_no_runtime() {
    let store = Store::new(&["a"]);
    let (keys, _) = cache(&store);
    for _ in 0..2 {
        let mut finding = Box::pin(keys.find("a"));
        let polled = finding.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(Some(_)))));
    }
    assert_eq!(store.asked(), 1);
}

#[tokio::test]
async fn malformed_keys_are_an_error_without_secret() {
    let store = Store::new(&[]);
    store.set("a", Manner::GivesUnusableKeys);
    let keys = CachedKeys::new(&Scheme::standard_webhooks(), store.clone());
    let error = keys.find("a").await.unwrap_err();
    assert!(error.to_string().starts_with("keys that cannot be used: secret: standard_webhooks decodes"), "{error}");
    let (usable, _) = cache(&store);
    store.set("b", Manner::Answers);
    let found = usable.find("b").await.unwrap().unwrap();
    assert_no_canary("texts", &[error.to_string(), format!("{error:?}"), format!("{usable:?}"), shown(&found)]);
}

#[test]
fn zero_settings_are_a_config_error() {
    type Change = fn(CachedKeysBuilder) -> CachedKeysBuilder;
    let changes: [(&str, Change); 5] = [
        ("ttl", |builder| builder.ttl(Duration::ZERO)),
        ("capacity", |builder| builder.capacity(0)),
        ("unknown_ttl", |builder| builder.unknown_ttl(Duration::ZERO)),
        ("unknown_capacity", |builder| builder.unknown_capacity(0)),
        ("danger_serve_stale_for", |builder| builder.danger_serve_stale_for(Duration::ZERO)),
    ];
    for (field, change) in changes {
        let refused = change(CachedKeys::builder(Store::new(&[]))).build(&Scheme::timestamped()).unwrap_err();
        assert_eq!(refused.field(), field);
    }
}

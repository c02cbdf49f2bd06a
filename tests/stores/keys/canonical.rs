//! Key stores that find a sender under several spellings of its id and return the canonical one.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use hookwarden::clock::Clock as _;
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::event::{Outcome, RefusalReason, SecurityEvent};
use hookwarden::keys::{AsyncKeyStore, CachedKeys, KeyStore, StaticKeys};
use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, Quotas, Refused, WardenBuilder};
use hookwarden::{BoxFuture, Quota, Reason, Scheme, Signer, Timestamp, Warden};

use super::keyring;

const SECRET: &str = "a-subscription-secret";
const SPELLINGS: [&str; 5] = ["acme", "ACME", "Acme", "aCME", "acme "];
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn canonical(id: &str) -> String {
    id.trim_end().to_lowercase()
}

/// A store that ignores case and trailing spaces, as some databases do.
#[derive(Clone)]
struct Folding {
    keys: StaticKeys,
    asked: Arc<AtomicUsize>,
}

impl Folding {
    /// Creates a store with the id `acme` and with the id `globex`, whose only key has expired.
    fn new() -> Self {
        let expired = hookwarden::Key::new("old", Scheme::timestamped().secret("another-secret").unwrap()).unwrap();
        let expired = hookwarden::Keyring::from_keys([expired.not_after(Timestamp::from_unix(1))]).unwrap();
        let senders =
            [("acme", keyring(SECRET)), ("globex", expired)].map(|(id, keyring)| (id, keyring.with_webhook_id(id)));
        let keys = StaticKeys::new(&Scheme::timestamped(), senders).unwrap();
        Self { keys, asked: Arc::default() }
    }
}

impl KeyStore for Folding {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        self.keys.find(&canonical(webhook_id))
    }
}

impl AsyncKeyStore for Folding {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<hookwarden::Keyring>, StoreError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let id = canonical(webhook_id);
        let found = (id == "acme").then(|| keyring(SECRET).with_webhook_id(id));
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(found)
        })
    }
}

/// An event's outcome, webhook id and `known_id`.
type Reported = (Outcome, Option<String>, bool);

/// A Warden with its clock and events.
struct Site {
    warden: Warden,
    clock: TestClock,
    events: Arc<Mutex<Vec<Reported>>>,
}

impl Site {
    fn new(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        let (clock, events) = (TestClock::default(), Arc::new(Mutex::new(Vec::new())));
        let observer = {
            let events = Arc::clone(&events);
            move |event: &SecurityEvent<'_>| {
                let id = event.webhook_id.map(str::to_owned);
                events.lock().unwrap().push((event.outcome, id, event.known_id));
            }
        };
        let builder = Warden::builder(Scheme::timestamped()).clock(clock.clone()).observer(observer);
        Self { warden: set(builder).build().unwrap(), clock, events }
    }

    /// Creates one with a synchronous store and one with a cached store.
    fn both() -> [Self; 2] {
        let cached = CachedKeys::new(&Scheme::timestamped(), Folding::new());
        [Self::new(|warden| warden.keys(Folding::new())), Self::new(|warden| warden.cached_keys(cached))]
    }

    fn head(&self, body: &str, age: i64, forged: bool) -> Vec<(String, String)> {
        let scheme = Scheme::timestamped();
        let signer = Signer::new(scheme, keyring(if forged { "of a stranger" } else { SECRET })).unwrap();
        let time = Timestamp::from_unix(self.clock.now().wall.as_unix() - age);
        let signed = signer.sign_at(&[("", ""); 0], body.as_bytes(), time).unwrap();
        signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    async fn send(&self, id: &str, body: &str, age: i64, forged: bool) -> Result<Admitted, Refused> {
        let head = self.head(body, age, forged);
        let head: Vec<(&str, &str)> = head.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut receiving = self.warden.examine(&head, Some(PEER))?.identify_async(id).await?;
        receiving.update(body.as_bytes())?;
        receiving.finish_async().await
    }

    fn reported(&self) -> Vec<Reported> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }
}

fn reported(outcome: Outcome, id: &str, known: bool) -> Reported {
    (outcome, Some(id.to_owned()), known)
}

const fn refused(reason: RefusalReason) -> Outcome {
    Outcome::Refused(reason)
}

#[tokio::test]
async fn five_spellings_of_an_id_are_one_delivery() {
    for site in Site::both() {
        // The second lookup is answered from the cache.
        for (round, id) in SPELLINGS.into_iter().chain(SPELLINGS).enumerate() {
            let sent = site.send(id, "{}", 0, false).await;
            let outcome = match sent {
                Ok(admitted) => {
                    assert_eq!((round, admitted.delivery().webhook_id()), (0, "acme"), "{id}");
                    admitted.commit();
                    Outcome::Accepted
                }
                Err(refusal) => {
                    assert_eq!(refusal.reason(), RefusalReason::Replayed, "{id}");
                    refused(RefusalReason::Replayed)
                }
            };
            assert_eq!(site.reported(), [reported(outcome, "acme", true)], "{id}");
        }
    }
}

#[tokio::test]
async fn spellings_of_an_id_share_its_quota() {
    let three = Quotas::new().accepted(Quota::new(3, Duration::from_secs(3600)).unwrap());
    let site = Site::new(|warden| warden.keys(Folding::new()).quotas(three));
    for (number, id) in SPELLINGS.into_iter().enumerate() {
        let sent = site.send(id, &number.to_string(), 0, false).await.map(Admitted::commit);
        let expected = if number < 3 { Ok(()) } else { Err(RefusalReason::QuotaExceeded) };
        assert_eq!(sent.map_err(|refusal| refusal.reason()), expected, "{id}");
    }
}

#[tokio::test]
async fn refusal_names_the_canonical_id_once_known() {
    for site in Site::both() {
        let mismatch = refused(Reason::Mismatch.into());
        site.send("ACME", "{}", 0, true).await.unwrap_err();
        assert_eq!(site.reported(), [reported(mismatch, "acme", true)]);
        // The store does not know this id, so the event has no canonical id.
        site.send("Unlisted", "{}", 0, true).await.unwrap_err();
        assert_eq!(site.reported(), [reported(refused(RefusalReason::UnknownId), "Unlisted", false)]);
    }
    // A sender without a live key has a canonical id too.
    let site = Site::new(|warden| warden.keys(Folding::new()));
    site.send("GLOBEX", "{}", 0, true).await.unwrap_err();
    assert_eq!(site.reported(), [reported(refused(Reason::NoLiveKey.into()), "globex", true)]);
}

#[tokio::test]
async fn stale_head_causes_no_canonical_lookup() {
    let source = || hookwarden::IdSource::header("X-Tenant").unwrap();
    let cached = CachedKeys::new(&Scheme::timestamped(), Folding::new());
    cached.find("ACME").await.unwrap();
    for (site, is_known) in [
        (Site::new(|warden| warden.keys(Folding::new()).webhook_id(source())), false),
        (Site::new(|warden| warden.cached_keys(cached.clone()).webhook_id(source())), true),
    ] {
        let head = site.head("{}", 301, false);
        let own = head.iter().map(|(name, value)| (&**name, &**value));
        let head: Vec<(&str, &str)> = own.chain([("X-Tenant", "ACME")]).collect();
        assert_eq!(site.warden.examine(&head, Some(PEER)).unwrap_err().reason(), Reason::Stale.into());
        assert_eq!(site.reported(), [reported(refused(Reason::Stale.into()), "ACME", is_known)]);
    }
}

#[tokio::test]
async fn cache_returns_the_canonical_id_on_hits() {
    let store = Folding::new();
    let keys = CachedKeys::new(&Scheme::timestamped(), store.clone());
    for round in 0..2 {
        for id in SPELLINGS {
            let found = keys.find(id).await.unwrap().unwrap();
            assert_eq!(found.webhook_id(), Some("acme"), "{id}, round {round}");
        }
        assert_eq!(store.asked.load(Ordering::Relaxed), SPELLINGS.len(), "one lookup for each spelling");
    }
}

#[tokio::test]
async fn invalidating_one_spelling_invalidates_all() {
    for invalidated in ["acme", "ACME"] {
        let store = Folding::new();
        let keys = CachedKeys::new(&Scheme::timestamped(), store.clone());
        for id in SPELLINGS {
            keys.find(id).await.unwrap();
        }
        keys.find("unlisted").await.unwrap();
        keys.invalidate(invalidated);
        for id in SPELLINGS.into_iter().chain(["unlisted"]) {
            keys.find(id).await.unwrap();
        }
        let lookups = 2 * SPELLINGS.len() + 1;
        assert_eq!(store.asked.load(Ordering::Relaxed), lookups, "after {invalidated:?} was invalidated");
    }
}

#[tokio::test]
async fn lookup_overtaken_by_an_invalidation_is_not_cached() {
    let store = Folding::new();
    let keys = CachedKeys::new(&Scheme::timestamped(), store.clone());
    let mut under_way = Box::pin(keys.find("ACME"));
    assert!((&mut under_way).now_or_never().is_none());
    keys.invalidate("acme");
    assert!(under_way.await.unwrap().is_some(), "the lookup is answered");
    keys.find("ACME").await.unwrap();
    assert_eq!(store.asked.load(Ordering::Relaxed), 2);
    keys.find("ACME").await.unwrap();
    assert_eq!(store.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn long_canonical_id_is_kept_whole() {
    let long = "a".repeat(200);
    let senders = [(long.as_str(), keyring(SECRET).with_webhook_id(long.as_str()))];
    let keys = StaticKeys::new(&Scheme::timestamped(), senders).unwrap();
    let site = Site::new(|warden| warden.keys(keys));
    let admitted = site.send(&long, "{}", 0, false).now_or_never().unwrap().unwrap();
    assert_eq!(admitted.delivery().webhook_id(), long);
}

//! A Warden with cached keys.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use hookwarden::clock::Clock as _;
use hookwarden::error::StoreError;
use hookwarden::event::{Outcome, RefusalReason, SecurityEvent};
use hookwarden::keys::{AsyncKeyStore, CachedKeys};
use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, Refused};
use hookwarden::{BoxFuture, IdSource, Key, Keyring, Reason, Scheme, Signer, Timestamp, Warden};

type Head = Vec<(String, String)>;

/// A store that has one sender, or fails.
#[derive(Default)]
struct Vault {
    keys: Mutex<Option<Keyring>>,
    failure: Mutex<Option<StoreError>>,
}

impl AsyncKeyStore for Vault {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        let keys = self.keys.lock().unwrap().clone().filter(|_| id == ID);
        let failure = self.failure.lock().unwrap().clone();
        Box::pin(std::future::ready(failure.map_or(Ok(keys), Err)))
    }
}

/// An event's webhook id, `known_id` and outcome.
type Seen = (Option<String>, bool, Outcome);

struct Endpoint {
    warden: Warden,
    clock: TestClock,
    vault: Arc<Vault>,
    events: Arc<Mutex<Vec<Seen>>>,
}

impl Endpoint {
    fn new() -> Self {
        let (clock, vault) = (TestClock::default(), Arc::new(Vault::default()));
        *vault.keys.lock().unwrap() = Some(keyring());
        let keys = CachedKeys::builder(vault.clone()).clock(clock.clone()).ttl(TTL).build(&Scheme::timestamped());
        let events: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let seen = events.clone();
        let observer = move |event: &SecurityEvent<'_>| {
            let id = event.webhook_id.map(str::to_owned);
            seen.lock().unwrap().push((id, event.known_id, event.outcome));
        };
        let warden = Warden::builder(Scheme::timestamped())
            .cached_keys(keys.unwrap())
            .webhook_id(IdSource::header("X-Id").unwrap())
            .clock(clock.clone())
            .observer(observer);
        Self { warden: warden.build().unwrap(), clock, vault, events }
    }

    /// The head of a request to `id`, signed `ago` seconds before now.
    fn head(&self, id: &str, ago: i64) -> Head {
        let signer = Signer::new(Scheme::timestamped(), keyring()).unwrap();
        let time = Timestamp::from_unix(self.clock.now().wall.as_unix() - ago);
        let signed = signer.sign_body_at(BODY, time).unwrap();
        let headers = signed.iter().chain([("X-Id", id)]);
        headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn receive(&self, head: &Head) -> Result<Admitted, Refused> {
        let examined = self.warden.examine(head, PEER)?;
        // The vault is ready at the first poll.
        let mut receiving = examined.identify_from_head_async(head).now_or_never().unwrap()?;
        receiving.update(BODY)?;
        receiving.finish()
    }

    fn refuse(&self, head: &Head) -> Refused {
        self.receive(head).map(Admitted::commit).unwrap_err()
    }

    /// Takes the events so far.
    fn events(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// Returns `known_id` of the event of a stale request to `id`.
    fn knows(&self, id: &str) -> bool {
        let reason = RefusalReason::Unverified(Reason::Stale);
        assert_eq!(self.refuse(&self.head(id, 301)).reason(), reason);
        let events = self.events();
        let [(Some(seen), known, outcome)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&**seen, *outcome), (id, Outcome::Refused(reason)));
        *known
    }
}

fn keyring() -> Keyring {
    Keyring::new(Scheme::timestamped().secret("a-secret-of-the-tests-and-of-no-one-else").unwrap())
}

fn seen(id: &str, known: bool, outcome: Outcome) -> Seen {
    (Some(id.to_owned()), known, outcome)
}

#[test]
fn strangers_id_behind_cached_keys_stays_unknown() {
    let endpoint = Endpoint::new();
    for _ in 0..2 {
        assert!(!endpoint.knows("stranger"), "by a stale head");
        assert_eq!(endpoint.refuse(&endpoint.head("stranger", 0)).reason(), RefusalReason::UnknownId);
        assert_eq!(endpoint.events(), [seen("stranger", false, Outcome::Refused(RefusalReason::UnknownId))]);
    }
}

#[test]
fn stale_heads_know_only_ids_that_are_cached() {
    let endpoint = Endpoint::new();
    assert!(!endpoint.knows(ID), "the vault was not asked yet");
    endpoint.receive(&endpoint.head(ID, 0)).unwrap().commit();
    assert_eq!(endpoint.events(), [seen(ID, true, Outcome::Accepted)]);
    endpoint.clock.advance(TTL - Duration::from_nanos(1));
    assert!(endpoint.knows(ID), "within the TTL");
    endpoint.clock.advance(Duration::from_nanos(1));
    assert!(!endpoint.knows(ID), "the entry has expired");
}

#[test]
fn failing_key_store_charges_no_peer() {
    let endpoint = Endpoint::new();
    let retry_after = Duration::from_secs(7);
    *endpoint.vault.failure.lock().unwrap() = Some(StoreError::new("on purpose").with_retry_after(retry_after));
    for _ in 0..200 {
        let refused = endpoint.refuse(&endpoint.head(ID, 0));
        assert_eq!(refused.reason(), RefusalReason::KeyStoreUnavailable);
        assert_eq!(refused.answer().retry_after(), Some(retry_after));
    }
    *endpoint.vault.failure.lock().unwrap() = None;
    // The cache repeats a failed lookup after a second.
    endpoint.clock.advance(Duration::from_secs(1));
    endpoint.receive(&endpoint.head(ID, 0)).unwrap().commit();
}

#[test]
fn sender_with_expired_keys_is_still_known() {
    let endpoint = Endpoint::new();
    let secret = Scheme::timestamped().secret("a-secret-of-the-tests-and-of-no-one-else").unwrap();
    let key = Key::new("k", secret).unwrap().not_after(endpoint.clock.now().wall);
    *endpoint.vault.keys.lock().unwrap() = Some(Keyring::from_keys([key]).unwrap());
    endpoint.receive(&endpoint.head(ID, 0)).unwrap().commit();
    endpoint.events();
    endpoint.clock.advance(Duration::from_secs(1));
    let reason = RefusalReason::Unverified(Reason::NoLiveKey);
    assert_eq!(endpoint.refuse(&endpoint.head(ID, 0)).reason(), reason);
    assert_eq!(endpoint.events(), [seen(ID, true, Outcome::Refused(reason))]);
}

const ID: &str = "acme";
const BODY: &[u8] = b"{}";
const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
const TTL: Duration = Duration::from_secs(20);

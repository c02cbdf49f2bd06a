//! The fields of the events of rare outcomes.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use hookwarden::clock::Clock as _;
use hookwarden::error::StoreError;
use hookwarden::event::{Outcome, RefusalReason, SecurityEvent};
use hookwarden::headers::RequestHead;
use hookwarden::replay::LocalReplay;
use hookwarden::testing::{FaultyStore, StoreFault, TestClock};
use hookwarden::warden::{Admitted, Quotas, Refused, Replay, WardenBuilder};
use hookwarden::{IdSource, Keyring, Quota, Reason, Scheme, Signer, Timestamp, Warden};

type Head = Vec<(String, String)>;

/// A part of an event.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    outcome: Outcome,
    webhook_id: Option<String>,
    known_id: bool,
    most_charged_id: Option<String>,
    key_id: Option<String>,
    header: Option<String>,
    skew: Option<i64>,
}

struct Endpoint {
    warden: Warden,
    clock: TestClock,
    scheme: Scheme,
    events: Arc<Mutex<Vec<Seen>>>,
}

impl Endpoint {
    fn new(scheme: Scheme, set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        let (clock, events) = (TestClock::default(), Arc::<Mutex<Vec<Seen>>>::default());
        let seen = events.clone();
        let observer = move |event: &SecurityEvent<'_>| {
            seen.lock().unwrap().push(Seen {
                outcome: event.outcome,
                webhook_id: event.webhook_id.map(str::to_owned),
                known_id: event.known_id,
                most_charged_id: event.most_charged_id.map(str::to_owned),
                key_id: event.key_id.map(|id| id.to_string()),
                header: event.header.map(str::to_owned),
                skew: event.skew,
            });
        };
        let warden = Warden::builder(scheme.clone())
            .sender(ID, keyring(&scheme))
            .webhook_id(IdSource::path_segment(0))
            .clock(clock.clone())
            .observer(observer);
        Self { warden: set(warden).build().unwrap(), clock, scheme, events }
    }

    /// The headers of a request with `body`, signed `ago` seconds before now.
    fn head(&self, body: &[u8], ago: i64) -> Head {
        let signer = Signer::new(self.scheme.clone(), keyring(&self.scheme)).unwrap();
        let time = Timestamp::from_unix(self.clock.now().wall.as_unix() - ago);
        let signed = signer.sign_body_at(body, time).unwrap();
        signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Runs all steps before the handler, with a bounded wait for a store.
    async fn receive(&self, method: &str, id: &str, head: &Head, body: &[u8]) -> Result<Admitted, Refused> {
        let path = format!("/{id}");
        let head = RequestHead::new(method, &path, head);
        let mut receiving = self.warden.examine(&head, PEER)?.identify_from_head_async(&head).await?;
        receiving.update(body)?;
        receiving.finish_async().await
    }

    async fn refuse(&self, method: &str, head: &Head, body: &[u8]) -> Seen {
        let refused = self.receive(method, ID, head, body).await.map(Admitted::commit).unwrap_err();
        let event = self.event();
        assert_eq!(event.outcome, Outcome::Refused(refused.reason()));
        event
    }

    /// Takes the only event so far.
    fn event(&self) -> Seen {
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        let [event] = &events[..] else { panic!("not exactly one event: {events:?}") };
        event.clone()
    }
}

fn keyring(scheme: &Scheme) -> Keyring {
    Keyring::new(scheme.secret("a-secret-of-the-tests-and-of-no-one-else").unwrap())
}

/// A refused head of the sender.
fn refused(reason: impl Into<RefusalReason>) -> Seen {
    Seen {
        outcome: Outcome::Refused(reason.into()),
        webhook_id: Some(ID.to_owned()),
        known_id: false,
        most_charged_id: None,
        key_id: None,
        header: None,
        skew: None,
    }
}

#[tokio::test]
async fn events_of_unaccepted_kinds_name_the_sender() {
    let endpoint = Endpoint::new(Scheme::timestamped(), |warden| warden.content_types(["application/json"]));
    let head = endpoint.head(BODY, 0);
    assert_eq!(endpoint.refuse("GET", &head, BODY).await, refused(RefusalReason::MethodNotAllowed));
    assert_eq!(endpoint.refuse("POST", &head, BODY).await, refused(RefusalReason::UnsupportedMediaType));
}

#[tokio::test]
async fn events_of_stale_and_early_have_the_skew() {
    let endpoint = Endpoint::new(Scheme::timestamped(), |warden| warden);
    for (ago, reason) in [(301, Reason::Stale), (-301, Reason::Early)] {
        let event = endpoint.refuse("POST", &endpoint.head(BODY, ago), BODY).await;
        assert_eq!(event, Seen { skew: Some(ago), known_id: true, header: event.header.clone(), ..refused(reason) });
    }
}

#[tokio::test]
async fn event_of_repeated_unsigned_id_names_header() {
    let replay = Replay::new().lifetime(Duration::from_secs(3_600)).danger_unsigned_id_header("X-Delivery");
    let endpoint = Endpoint::new(Scheme::github(), |warden| warden.replay(replay));
    let mut head = endpoint.head(BODY, 0);
    head.extend(["1", "2"].map(|id| ("X-Delivery".to_owned(), id.to_owned())));
    let event = endpoint.refuse("POST", &head, BODY).await;
    assert_eq!(event.header.as_deref().map(str::to_ascii_lowercase).as_deref(), Some("x-delivery"));
    assert_eq!(event, Seen { header: event.header.clone(), known_id: true, ..refused(Reason::DuplicateHeader) });
}

#[tokio::test]
async fn events_after_the_signature_name_the_key() {
    let quota = Quota::new(2, Duration::from_secs(60)).unwrap();
    let endpoint = Endpoint::new(Scheme::timestamped(), |warden| warden.quotas(Quotas::new().accepted(quota)));
    let first = endpoint.head(BODY, 0);
    endpoint.receive("POST", ID, &first, BODY).await.unwrap().commit();
    let accepted = endpoint.event();
    assert!(accepted.key_id.is_some() && accepted.known_id, "{accepted:?}");
    let verified = |reason| Seen { outcome: Outcome::Refused(reason), ..accepted.clone() };

    assert_eq!(endpoint.refuse("POST", &first, BODY).await, verified(RefusalReason::Replayed));
    let running = endpoint.head(b"running", 0);
    let admitted = endpoint.receive("POST", ID, &running, b"running").await.unwrap();
    assert_eq!(endpoint.refuse("POST", &running, b"running").await, verified(RefusalReason::InProgress));
    let third = endpoint.head(b"third", 0);
    assert_eq!(endpoint.refuse("POST", &third, b"third").await, verified(RefusalReason::QuotaExceeded));
    drop(admitted);
    assert_eq!(endpoint.event(), Seen { outcome: Outcome::Released, ..accepted.clone() });

    let endpoint = Endpoint::new(Scheme::timestamped(), |warden| {
        warden.replay(Replay::shared(faulty(StoreFault::Error(StoreError::new("on purpose")))))
    });
    let head = endpoint.head(BODY, 0);
    assert_eq!(endpoint.refuse("POST", &head, BODY).await, verified(RefusalReason::ReplayStoreUnavailable));
}

#[tokio::test]
async fn only_blocked_peers_name_a_charged_id() {
    let quotas = Quotas::new().rejected(quota(1)).rejected_by_peer(quota(2));
    let endpoint = Endpoint::new(Scheme::timestamped(), |warden| warden.quotas(quotas));
    let forged = endpoint.head(b"another body", 0);
    let blocked = Outcome::Refused(RefusalReason::PeerBlocked);
    let charged = async |id: &str| {
        endpoint.receive("POST", id, &forged, BODY).await.map(Admitted::commit).unwrap_err();
        let event = endpoint.event();
        (event.outcome, event.most_charged_id)
    };
    assert_eq!(charged("one").await, (Outcome::Refused(RefusalReason::UnknownId), None));
    assert_eq!(charged("one").await, (blocked, None), "the id is blocked");
    assert_eq!(charged("two").await, (Outcome::Refused(RefusalReason::UnknownId), None));
    let (outcome, charged_id) = charged("three").await;
    assert_eq!(outcome, blocked);
    assert!(charged_id.is_some(), "the peer is blocked");
}

#[tokio::test]
async fn most_charged_id_is_recent_and_largest() {
    let each_second = |burst| Quota::new(burst, Duration::from_secs(1)).unwrap();
    let quotas = Quotas::new().rejected(each_second(3)).rejected_by_peer(each_second(4));
    let endpoint = Endpoint::new(Scheme::timestamped(), |warden| warden.quotas(quotas));
    let charged = async |id: &str| {
        let forged = endpoint.head(b"another body", 0);
        endpoint.receive("POST", id, &forged, BODY).await.map(Admitted::commit).unwrap_err();
        endpoint.event().most_charged_id
    };
    for id in ["before", "before", "before"] {
        assert_eq!(charged(id).await, None);
    }
    endpoint.clock.advance(Duration::from_secs(120));
    for id in ["often", "once", "often", "other"] {
        assert_eq!(charged(id).await, None);
    }
    assert_eq!(charged("last").await.as_deref(), Some("often"));
}

#[tokio::test]
async fn request_dropped_after_its_signature_charges_no_peer() {
    let quotas = Quotas::new().rejected(quota(1)).rejected_by_peer(quota(1));
    let endpoint = Endpoint::new(Scheme::timestamped(), |warden| {
        warden.quotas(quotas).replay(Replay::shared(faulty(StoreFault::Hang)))
    });
    for _ in 0..3 {
        let head = endpoint.head(BODY, 0);
        // The request is dropped during the call of the store.
        assert!(endpoint.receive("POST", ID, &head, BODY).now_or_never().is_none(), "the peer is blocked");
        let event = endpoint.event();
        assert_eq!((event.outcome, event.key_id.is_some()), (Outcome::Abandoned, true));
    }
}

#[tokio::test]
async fn blocked_peer_is_not_charged_for_its_ids() {
    let by_peer = Quota::new(2, Duration::from_secs(10)).unwrap();
    let quotas = Quotas::new().rejected(quota(2)).rejected_by_peer(by_peer);
    let endpoint = Endpoint::new(Scheme::timestamped(), |warden| warden.quotas(quotas));
    let reason = async |id: &str| {
        let forged = endpoint.head(b"another body", 0);
        endpoint.receive("POST", id, &forged, BODY).await.map(Admitted::commit).unwrap_err().reason()
    };
    for id in ["one", "two"] {
        assert_eq!(reason(id).await, RefusalReason::UnknownId);
    }
    for _ in 0..5 {
        assert_eq!(reason("three").await, RefusalReason::PeerBlocked);
    }
    endpoint.clock.advance(Duration::from_secs(10));
    assert_eq!(reason("three").await, RefusalReason::UnknownId, "the id was not charged meanwhile");
}

fn faulty(fault: StoreFault) -> FaultyStore<LocalReplay> {
    let store = FaultyStore::default();
    store.set_fault(fault);
    store
}

/// A burst, and then one request a day.
fn quota(burst: u32) -> Quota {
    Quota::new(burst, Duration::from_secs(86_400)).unwrap()
}

const ID: &str = "acme";
const BODY: &[u8] = b"{}";
const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));

//! A receiver on a socket, whose Warden has the keys of a sender from its JWK Set.

use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::routing::post;
use axum::{Extension, Router};
use hookwarden::axum::WardenLayer;
use hookwarden::clock::Clock as _;
use hookwarden::event::{Observer, SecurityEvent};
use hookwarden::headers::RequestHead;
use hookwarden::keys::CachedKeys;
use hookwarden::message_signatures::SignatureParameters;
use hookwarden::testing::TestClock;
use hookwarden::warden::{Quotas, VerifiedDelivery};
use hookwarden::{IdSource, Warden};
use hookwarden_jwks::JwksKeys;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::server::{PATIENCE, Reply, Server, answer_with, document};
use crate::store::{AUTHORITY, builder, profile, scheme, set, signer, source, store};

/// A receiver that answers with the webhook id and the key of a delivery.
struct Receiver {
    address: SocketAddr,
    clock: TestClock,
    events: Events,
}

/// The outcome and the webhook id of a request.
type Event = (String, Option<String>);

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl Observer for Events {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self.0.lock().unwrap().push((event.outcome.to_string(), event.webhook_id.map(str::to_owned)));
    }
}

async fn echo(Extension(delivery): Extension<VerifiedDelivery>) -> String {
    format!("{} {}", delivery.webhook_id(), delivery.key_id())
}

impl Receiver {
    async fn start(clock: &TestClock, keys: CachedKeys, id: IdSource) -> Self {
        let events = Events::default();
        let warden = Warden::builder(scheme())
            .cached_keys(keys)
            .webhook_id(id)
            .clock(clock.clone())
            .quotas(Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected())
            .observer(events.clone())
            .build()
            .unwrap();
        let router = Router::new().route("/webhooks/{sender}", post(echo).layer(WardenLayer::new(warden)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(axum::serve(listener, service).into_future());
        Self { address, clock: clock.clone(), events }
    }

    async fn with(server: &Server, clock: &TestClock) -> (Self, JwksKeys) {
        let keys = store(server, clock);
        (Self::start(clock, keys.cached().unwrap(), keys.id_source(&profile()).unwrap()).await, keys)
    }

    /// Sends a delivery that is signed with the key of `seed`, and returns the status and the body of the answer.
    async fn send(&self, path: &str, keyid: &str, seed: u8, body: &str) -> (u16, String) {
        let content_type = ("content-type", "text/plain");
        let parameters = SignatureParameters::new().keyid(keyid).nonce(body);
        let (head, now) = ([content_type], self.clock.now().wall);
        let signed = signer(seed).sign_at(&RequestHead::new("POST", path, &head), body.as_bytes(), &parameters, now);
        let signed = signed.unwrap();
        let lines: String =
            signed.iter().chain([content_type]).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {AUTHORITY}\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
        );
        let answer = timeout(PATIENCE, exchange(self.address, &request)).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn status(&self, keyid: &str, seed: u8, body: &str) -> u16 {
        self.send("/webhooks/acme", keyid, seed, body).await.0
    }

    fn last_event(&self) -> Event {
        self.events.0.lock().unwrap().last().cloned().unwrap()
    }
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn publishes(seeds: &[u8]) -> Reply {
    Reply::Send(document(&set(seeds)))
}

#[tokio::test]
async fn rotation_loses_no_delivery() {
    let server = Server::start(publishes(&[1])).await;
    let clock = TestClock::default();
    let (receiver, _) = Receiver::with(&server, &clock).await;
    assert_eq!(receiver.send("/webhooks/acme", "k1", 1, "one").await, (200, "acme k1".into()));
    assert_eq!(receiver.last_event(), ("accepted".into(), Some("acme".into())));
    clock.advance(Duration::from_secs(60));

    server.set(publishes(&[1, 2]));
    assert_eq!(receiver.send("/webhooks/acme", "k2", 2, "two").await, (200, "acme k2".into()));
    assert_eq!(receiver.status("k1", 1, "three").await, 200);
    assert_eq!(server.requests(), 2);

    server.set(publishes(&[2]));
    clock.advance(Duration::from_secs(310));
    assert_eq!(receiver.status("k1", 1, "four").await, 401, "a removed key");
    assert_eq!(receiver.status("k2", 2, "five").await, 200);
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn flood_of_invented_keyids_is_refused_cheaply() {
    let server = Server::start(publishes(&[1])).await;
    let clock = TestClock::default();
    let (receiver, _) = Receiver::with(&server, &clock).await;
    for minute in 0..3 {
        for number in 0..40 {
            assert_eq!(receiver.status(&format!("k{minute}-{number}"), 9, "flood").await, 401);
        }
        assert_eq!(receiver.status("k1", 1, &format!("genuine {minute}")).await, 200);
        assert_eq!(server.requests(), minute + 2, "more than one fetch in a minute, and the first one");
        clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn concurrent_deliveries_share_the_first_fetch() {
    let server = Server::start(publishes(&[1])).await;
    let (receiver, _) = Receiver::with(&server, &TestClock::default()).await;
    let receiver = Arc::new(receiver);
    let mut sending = JoinSet::new();
    for number in 0..20 {
        let receiver = receiver.clone();
        sending.spawn(async move { receiver.status("k1", 1, &format!("delivery {number}")).await });
    }
    assert!(sending.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn key_of_another_sender_is_refused() {
    let server = Server::start(publishes(&[1, 2])).await;
    let (receiver, _) = Receiver::with(&server, &TestClock::default()).await;
    assert_eq!(receiver.status("k1", 2, "signed with k2").await, 401);
    assert_eq!(receiver.status("k1", 9, "signed with another key").await, 401);
    assert_eq!(receiver.status("k1", 1, "genuine").await, 200);
}

#[tokio::test]
async fn repeated_delivery_is_a_duplicate() {
    let server = Server::start(publishes(&[1])).await;
    let (receiver, _) = Receiver::with(&server, &TestClock::default()).await;
    assert_eq!(receiver.send("/webhooks/acme", "k1", 1, "once").await, (200, "acme k1".into()));
    let (status, body) = receiver.send("/webhooks/acme", "k1", 1, "once").await;
    assert_eq!(status, 200);
    assert_ne!(body, "acme k1", "the handler ran again");
}

#[tokio::test]
async fn failing_source_is_answered_503_until_it_works() {
    let server = Server::start(Reply::Send(answer_with("500 Internal Server Error", "", ""))).await;
    let clock = TestClock::default();
    let (receiver, _) = Receiver::with(&server, &clock).await;
    assert_eq!(receiver.status("k1", 1, "early").await, 503);
    server.set(publishes(&[1]));
    clock.advance(Duration::from_secs(1));
    assert_eq!(receiver.status("k1", 1, "early").await, 200);

    // Later the source fails again: known keys still verify, and nothing else does.
    server.set(Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"keys\":[".to_vec()));
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(receiver.status("k1", 1, "during the outage").await, 200);
    assert_eq!(receiver.status("k1", 2, "forged").await, 401);
    assert_eq!(receiver.status("k2", 2, "perhaps a new key").await, 503);
}

#[tokio::test]
async fn sender_comes_from_the_path() {
    let (one, two) = (Server::start(publishes(&[1])).await, Server::start(publishes(&[1, 2])).await);
    let clock = TestClock::default();
    let keys = builder(&clock).sender("one", source(&one)).sender("two", source(&two)).build().unwrap();
    keys.load().await.unwrap();
    let id = keys
        .id_source_by(&profile(), |head| head.path()?.split('?').next()?.strip_prefix("/webhooks/").map(str::to_owned));
    let receiver = Receiver::start(&clock, keys.cached().unwrap(), id).await;
    assert_eq!(receiver.send("/webhooks/one", "k1", 1, "a").await, (200, "one k1".into()));
    assert_eq!(receiver.send("/webhooks/one?v=1", "k1", 1, "d").await, (200, "one k1".into()));
    assert_eq!(receiver.send("/webhooks/two", "k1", 1, "a").await, (200, "two k1".into()));
    assert_eq!(receiver.send("/webhooks/two", "k2", 2, "b").await, (200, "two k2".into()));
    assert_eq!(receiver.send("/webhooks/one", "k2", 2, "b").await.0, 401);
    assert_eq!(receiver.send("/webhooks/three", "k1", 1, "c").await.0, 401);
}

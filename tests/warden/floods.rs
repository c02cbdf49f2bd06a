//! Floods of forgeries and the quotas against them: a forger is refused before a lookup or a body, and the sender that it
//! imitates is not.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use hookwarden::axum::WardenLayer;
use hookwarden::clock::Clock as _;
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::event::{Outcome, RefusalReason, SecurityEvent, StoreKind, Warning};
use hookwarden::headers::{Head, NoHeaders, RequestHead};
use hookwarden::keys::{AsyncKeyStore, CachedKeys, KeyStore, StaticKeys};
use hookwarden::proxies::Proxies;
use hookwarden::tower::{PeerAddress, WardenLayer as TowerLayer};
use hookwarden::warden::{Admitted, BodyLimits, Quotas, Replay, WardenBuilder};
use hookwarden::{BoxFuture, IdSource, Key, Keyring, Quota, Reason, Scheme, Timestamp, Warden};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::harness::client::Connection;
use crate::harness::frames::Frames;
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring};
use crate::scene::Scene;

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const FORGER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const SECOND: Duration = Duration::from_secs(1);

/// The default burst of refused requests of a peer for one id.
const REFUSED: usize = 60;

/// The default burst of refused requests of a peer over all ids.
const REFUSED_OF_PEER: usize = 120;

/// The factor by which a genuine delivery raises both quotas.
const PROVEN: usize = 10;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A store that counts its lookups.
struct Counted {
    keys: StaticKeys,
    lookups: Arc<AtomicUsize>,
}

impl KeyStore for Counted {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.keys.find(webhook_id)
    }
}

/// The number of lookups so far.
struct Lookups(Arc<AtomicUsize>);

impl Lookups {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

fn counted() -> (Counted, Lookups) {
    let keys = StaticKeys::new(&Scheme::timestamped(), [(ID, keyring(&Scheme::timestamped(), SECRET))]).unwrap();
    let lookups = Arc::new(AtomicUsize::new(0));
    (Counted { keys, lookups: lookups.clone() }, Lookups(lookups))
}

/// A scene with the sender.
fn scene() -> Scene {
    scene_with(|warden| warden)
}

fn scene_with(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Scene {
    Scene::new(|warden| set(warden.sender(ID, keyring(&Scheme::timestamped(), SECRET))))
}

/// Blocks a peer after one refused request, for longer than any test.
fn unforgiving(warden: WardenBuilder) -> WardenBuilder {
    warden.quotas(one_offence())
}

fn one_offence() -> Quotas {
    let one = Quota::new(1, Duration::from_secs(86_400)).unwrap();
    Quotas::new().rejected(one).rejected_by_peer(one)
}

impl Scene {
    /// A forgery in the sender's name.
    fn forged(&self) -> Post {
        self.signed("genuine").carrying("forged")
    }

    /// Sends `count` forgeries, and returns how many were verified and how many blocked.
    fn flood(&self, peer: IpAddr, id: &str, count: usize) -> (usize, usize) {
        let forged = self.forged();
        let (mut verified, mut blocked) = (0, 0);
        for _ in 0..count {
            match self.deliver(Some(peer), id, &forged) {
                Err(RefusalReason::Unverified(Reason::Mismatch) | RefusalReason::UnknownId) => verified += 1,
                Err(RefusalReason::PeerBlocked) => blocked += 1,
                other => panic!("{other:?}"),
            }
        }
        (verified, blocked)
    }

    fn is_blocked(&self, peer: IpAddr, id: &str) -> bool {
        match self.warden.examine(&self.forged().headers, Some(peer)).unwrap().identify(id) {
            Ok(receiving) => {
                drop(receiving);
                false
            }
            Err(refused) => {
                assert_eq!(refused.reason(), RefusalReason::PeerBlocked);
                true
            }
        }
    }
}

// With sockets.

/// Starts axum's own server, whose layer knows the address of each connection.
async fn serve(warden: Warden) -> (SocketAddr, JoinSet<()>) {
    let router = Router::new().route("/webhooks/{id}", post(async || ()).layer(WardenLayer::new(warden)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    server.spawn(async move { axum::serve(listener, service).await.unwrap() });
    (address, server)
}

/// Sends a request `count` times on one connection, which it reopens if the receiver closes it. Returns the statuses.
async fn repeat(own: IpAddr, server: SocketAddr, request: &[u8], count: usize) -> Vec<u16> {
    let mut connection = Connection::open_from(own, server).await;
    let mut statuses = Vec::with_capacity(count);
    while statuses.len() < count {
        match connection.exchange(request).await {
            Some(answer) => {
                if answer.status == 429 {
                    assert_eq!(answer.header("retry-after"), Some("1"));
                    assert_eq!(answer.header("ratelimit"), None, "an unproven peer gets no quota headers");
                }
                statuses.push(answer.status);
            }
            None => connection = Connection::open_from(own, server).await,
        }
    }
    statuses
}

const CONNECTIONS: usize = 8;

#[test]
fn head_refusals_cause_no_lookup_and_no_charge() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| unforgiving(warden).keys(keys).webhook_id(IdSource::path_segment(1)));
    let stale = Post::signed_at("late", Timestamp::from_unix(1_800_000_000 - 301));
    for _ in 0..1_000 {
        let refuse = |method, headers: &dyn Head| {
            let head = RequestHead::new(method, "/webhooks/acme", headers);
            scene.warden.examine(&head, Some(SENDER)).unwrap_err().reason()
        };
        assert_eq!(refuse("POST", &NoHeaders), RefusalReason::Unverified(Reason::MissingHeader));
        assert_eq!(refuse("POST", &stale.headers), RefusalReason::Unverified(Reason::Stale));
        assert_eq!(refuse("GET", &NoHeaders), RefusalReason::MethodNotAllowed);
    }
    assert_eq!(lookups.take(), 0);
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("fresh")), Ok(()));
}

#[test]
fn fresh_deliveries_pass_after_a_stale_backlog() {
    let scene = scene();
    let stale = Post::signed_at("retry", Timestamp::from_unix(1_800_000_000 - 1_200));
    for _ in 0..150 {
        let refused = scene.deliver(Some(SENDER), ID, &stale);
        assert_eq!(refused, Err(RefusalReason::Unverified(Reason::Stale)));
    }
    for nth in 0..12 {
        assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed(format!("fresh {nth}"))), Ok(()));
    }
}

#[test]
fn duplicates_from_another_address_block_no_delivery() {
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(Quota::per_minute(1_000).unwrap())));
    let handled: Vec<Post> = (0..90).map(|nth| scene.signed(format!("{nth}"))).collect();
    for post in &handled {
        assert_eq!(scene.deliver(Some(SENDER), ID, post), Ok(()));
    }
    // The answers were lost, and the sender retries from its second address.
    for post in &handled {
        assert_eq!(scene.deliver(Some(FORGER), ID, post), Err(RefusalReason::Replayed));
    }
    assert_eq!(scene.deliver(Some(FORGER), ID, &scene.signed("fresh")), Ok(()));
}

#[tokio::test]
async fn full_byte_budget_costs_no_lookup() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| {
        let body = BodyLimits::new().max_bytes(100_000).max_bytes_in_flight(100_000);
        warden.keys(keys).webhook_id(IdSource::path_segment(1)).body(body)
    });
    let large = scene.signed(vec![b'x'; 90_000]);
    let mut stalled = scene.warden.examine(&large.headers, Some(SENDER)).unwrap().identify(ID).unwrap();
    stalled.update(&large.body).unwrap();
    lookups.take();
    let forged = scene.forged().carrying(vec![b'y'; 20_000]);
    for _ in 0..1_000 {
        let body = Frames::pieces(&forged.body, 20_000);
        assert_eq!(pass(&scene.warden, FORGER, forged.request(body)).await, 503);
    }
    assert_eq!(lookups.take(), 0);
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("small")), Ok(()), "it takes nothing");
    drop(stalled);
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("fresh")), Ok(()));
}

#[test]
fn body_over_the_byte_budget_frees_its_bytes() {
    const BUDGET: usize = 100_000;
    let body = BodyLimits::new().max_bytes(BUDGET).max_bytes_in_flight(BUDGET);
    let scene = scene_with(|warden| warden.body(body));
    let whole = scene.signed(vec![b'x'; BUDGET]);
    let begin = || scene.warden.examine(&whole.headers, Some(SENDER)).unwrap().identify(ID).unwrap();
    let (half, part) = (&whole.body[..BUDGET / 2], &whole.body[..BUDGET / 4]);
    let (mut stalled, mut growing) = (begin(), begin());
    stalled.update(half).unwrap();
    growing.update(part).unwrap();
    assert_eq!(growing.update(half).unwrap_err().reason(), RefusalReason::BodyBudgetExceeded);
    drop((stalled, growing));
    assert_eq!(scene.deliver(Some(SENDER), ID, &whole), Ok(()), "it needs the whole budget");
}

#[test]
fn tenant_with_a_wrong_secret_blocks_no_other() {
    let senders = |warden: WardenBuilder| {
        let scheme = Scheme::timestamped();
        let other = keyring(&scheme, "the-secret-of-the-other-tenant");
        warden.sender(ID, keyring(&scheme, SECRET)).sender("other", other)
    };
    let scene = Scene::new(senders);
    let wrong = |seconds: u32| {
        for _ in 0..seconds {
            scene.flood(SENDER, "other", 20);
            scene.clock.advance(SECOND);
        }
    };
    for nth in 0..2 {
        wrong(11 * 60);
        assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed(format!("{nth}"))), Ok(()), "after {nth}");
    }
}

#[test]
fn event_of_blocked_peer_names_most_charged_id() {
    let charged: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let seen = charged.clone();
    let observer = move |event: &SecurityEvent<'_>| {
        if event.outcome == Outcome::Refused(RefusalReason::PeerBlocked) {
            seen.lock().unwrap().push(event.most_charged_id.map(str::to_owned));
        }
    };
    let scene = scene_with(|warden| warden.observer(observer));
    for nth in 0..30 {
        scene.flood(FORGER, &format!("random-{nth}"), 1);
        scene.flood(FORGER, "sh\u{7f}op", 3);
    }
    assert_eq!(scene.flood(FORGER, "sh\u{7f}op", 1), (0, 1), "the pair is blocked");
    scene.flood(FORGER, "other", 100);
    charged.lock().unwrap().clear();
    assert_eq!(scene.flood(FORGER, "one more", 1), (0, 1), "the peer is blocked");
    assert_eq!(*charged.lock().unwrap(), [Some(r"sh\u{7f}op".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_forgeries_spare_the_senders_quota() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| warden.keys(keys));
    let (server, _running) = serve(scene.warden.clone()).await;

    let forged = Arc::new(scene.forged().sized());
    let mut forgers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let forged = forged.clone();
        forgers.spawn(async move { repeat(address("127.0.0.2"), server, &forged, 10_000 / CONNECTIONS).await });
    }
    let mut sender = Connection::open_from(address("127.0.0.1"), server).await;
    for nth in 0..100 {
        if nth == 50 {
            // The second half runs after the flood, when the table is full of refused requests.
            let statuses: Vec<u16> = std::mem::take(&mut forgers).join_all().await.concat();
            let verified = statuses.iter().filter(|status| **status == 401).count();
            assert_eq!(statuses.iter().filter(|status| **status == 429).count() + verified, 10_000, "{statuses:?}");
            // A forgery is counted when it is refused. Until then, concurrent ones may pass.
            assert!((REFUSED..REFUSED + CONNECTIONS).contains(&verified), "{verified}");
            assert_eq!(lookups.take(), verified + 50, "blocked requests cause no lookup");
        }
        let answer = sender.exchange(&scene.signed(format!("{nth}")).sized()).await.unwrap();
        assert_eq!(answer.status, 200, "{nth}");
        assert_eq!(answer.header("ratelimit").unwrap().split(';').nth(1), Some(&*format!("r={}", 99 - nth)));
    }
    let answer = sender.exchange(&scene.signed("one more").sized()).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    scene.clock.advance(Duration::from_millis(600));
    assert_eq!(sender.exchange(&scene.signed("one more").sized()).await.unwrap().status, 200);

    let peers = scene.reports.requests.take();
    let of = |peer| peers.iter().filter(|(_, seen)| *seen == Some(address(peer))).count();
    assert_eq!((of("127.0.0.1"), of("127.0.0.2"), peers.len()), (102, 10_000, 10_102));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgers_sharing_its_address_block_no_proven_sender() {
    let scene = scene();
    let (server, _running) = serve(scene.warden.clone()).await;
    let shared = address("127.0.0.3");
    let mut sender = Connection::open_from(shared, server).await;
    assert_eq!(sender.exchange(&scene.signed("first").sized()).await.unwrap().status, 200);

    let forged = scene.forged().sized();
    let statuses = repeat(shared, server, &forged, 500).await;
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    for nth in 1..100 {
        assert_eq!(sender.exchange(&scene.signed(format!("{nth}")).sized()).await.unwrap().status, 200, "{nth}");
    }
}

// Without sockets.

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Passes one request to the layer, like a server that knows the peer.
async fn pass<B>(warden: &Warden, peer: IpAddr, mut request: Request<B>) -> StatusCode
where
    B: hyper::body::Body<Data: Send, Error: Into<BoxError> + Send> + Send + 'static,
{
    let handler = service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::empty())));
    request.extensions_mut().insert(PeerAddress(peer));
    TowerLayer::new(warden.clone()).layer(handler).oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn blocked_forger_causes_no_lookup_or_read() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| warden.keys(keys).webhook_id(IdSource::path_segment(1)));
    let forged = scene.forged();
    for nth in 0..REFUSED + 200 {
        let body = Frames::pieces(&forged.body, 1);
        let count = body.count();
        let status = pass(&scene.warden, FORGER, forged.request(body)).await;
        if nth < REFUSED {
            assert_eq!((status.as_u16(), lookups.take(), count.bytes()), (401, 1, forged.body.len()), "{nth}");
        } else {
            assert_eq!((status.as_u16(), lookups.take(), count.polls()), (429, 0, 0), "{nth}");
        }
    }
    let body = Frames::pieces(b"genuine", 1);
    assert_eq!(pass(&scene.warden, SENDER, scene.signed("genuine").request(body)).await, 200);
}

#[test]
fn blocked_peer_may_retry_after_its_wait() {
    let scene = scene();
    assert_eq!(scene.flood(FORGER, ID, 1_000), (REFUSED, 1_000 - REFUSED));
    let refused = scene.receive(Some(FORGER), ID, &scene.forged()).unwrap_err();
    assert_eq!(refused.answer().retry_after(), Some(SECOND));
    scene.clock.advance(SECOND - Duration::from_micros(1));
    assert_eq!(scene.flood(FORGER, ID, 1), (0, 1));
    scene.clock.advance(Duration::from_micros(1));
    assert_eq!(scene.flood(FORGER, ID, 10), (1, 9));
    scene.clock.advance(60 * SECOND);
    assert_eq!(scene.flood(FORGER, ID, 1_000), (REFUSED, 1_000 - REFUSED));
}

#[test]
fn forgers_sharing_its_address_block_unproven_sender() {
    let scene = scene();
    assert_eq!(scene.flood(SENDER, ID, 500), (REFUSED, 500 - REFUSED));
    let first = scene.signed("first");
    assert_eq!(
        scene.deliver(Some(SENDER), ID, &first),
        Err(RefusalReason::PeerBlocked),
        "no genuine delivery came from this address"
    );

    scene.clock.advance(SECOND);
    assert_eq!(scene.deliver(Some(SENDER), ID, &first), Ok(()), "the wait is over");
    for nth in 0..50 {
        assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed(format!("{nth}"))), Ok(()), "{nth}");
        assert_eq!(scene.flood(SENDER, ID, 10), (10, 0));
    }
    let left = PROVEN * REFUSED - (REFUSED - 1) - 500; // one request was due again
    assert_eq!(scene.flood(SENDER, ID, 500), (left, 500 - left), "ten times the quota");
    assert_eq!(scene.flood(SENDER, "another id", 500), (REFUSED, 500 - REFUSED), "each pair has its own block");

    scene.clock.advance(600 * SECOND - SECOND / 2);
    assert_eq!(scene.flood(SENDER, ID, 500), (500, 0));
    scene.clock.advance(60 * SECOND);
    assert_eq!(scene.flood(SENDER, ID, 500), (REFUSED, 500 - REFUSED));
    assert_eq!(
        scene.deliver(Some(SENDER), ID, &scene.signed("late")),
        Err(RefusalReason::PeerBlocked),
        "ten minutes later"
    );
}

#[test]
fn refused_request_proves_no_peer() {
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(Quota::new(1, 3_600 * SECOND).unwrap())));
    let [first, second] = ["first", "second"].map(|body| scene.signed(body));
    assert_eq!(scene.deliver(Some(address("192.0.2.9")), ID, &first), Ok(()));
    // Both requests have valid signatures. They are charged, because anyone who copied a message could send them.
    assert_eq!(scene.deliver(Some(FORGER), ID, &first), Err(RefusalReason::Replayed));
    assert_eq!(scene.deliver(Some(FORGER), ID, &second), Err(RefusalReason::QuotaExceeded));
    assert_eq!(scene.flood(FORGER, ID, 100), (REFUSED - 1, 100 - REFUSED + 1));
}

#[test]
fn random_ids_cause_lookups_up_to_the_quota() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| warden.keys(keys));
    for nth in 0..10_000 {
        scene.flood(FORGER, &format!("id-{nth}"), 1);
    }
    assert_eq!(lookups.take(), REFUSED_OF_PEER);

    // Spread over ten minutes, starting with a full quota.
    scene.clock.advance(60 * SECOND);
    for nth in 0..10_000 {
        scene.flood(FORGER, &format!("other-id-{nth}"), 1);
        scene.clock.advance(Duration::from_millis(60));
    }
    assert_eq!(lookups.take(), REFUSED_OF_PEER + 2 * 600 - 1);
}

#[test]
fn peer_and_pair_quotas_are_counted_separately() {
    let (few, many) = (Quota::new(5, SECOND).unwrap(), Quota::new(20, SECOND).unwrap());
    let scene = scene_with(|warden| warden.quotas(Quotas::new().rejected(few).rejected_by_peer(many)));
    assert_eq!(scene.flood(FORGER, "one", 100), (5, 95));
    assert_eq!(scene.flood(FORGER, "two", 100), (5, 95));
    assert!(!scene.is_blocked(SENDER, "one"));
    assert_eq!(scene.flood(FORGER, "three", 100), (5, 95));
    assert_eq!(scene.flood(FORGER, "four", 100), (5, 95), "the twentieth of the peer");
    assert!(scene.is_blocked(FORGER, "five"));
}

#[test]
fn each_peer_has_its_own_quota() {
    let scene = scene_with(unforgiving);
    for (offender, same, others) in [
        ("192.0.2.10", &["::ffff:192.0.2.10"][..], &["192.0.2.11", "::192.0.2.10", "::ffff:192.0.2.12"][..]),
        ("::ffff:192.0.2.20", &["192.0.2.20"], &["192.0.2.21"]),
        (
            "2001:db8:1:2::1",
            &["2001:db8:1:2::2", "2001:db8:1:2:ffff:ffff:ffff:ffff"],
            &["2001:db8:1:3::1", "2001:db8:0:2::1", "2001:db9:1:2::1"],
        ),
    ] {
        assert_eq!(scene.flood(address(offender), ID, 2), (1, 1), "{offender}");
        for peer in same {
            assert!(scene.is_blocked(address(peer), ID), "{peer} is {offender}");
        }
        for peer in others {
            assert!(!scene.is_blocked(address(peer), ID), "{peer} is not {offender}");
        }
    }
}

// Proxies.

const SOCKET: &str = "10.0.0.1";

/// Returns the address that is charged for a request from `SOCKET` with these lines of a header.
async fn laid_to(proxies: Proxies, name: &str, lines: &[&str]) -> IpAddr {
    let scene = scene_with(|warden| warden.webhook_id(IdSource::fixed(ID)).proxies(proxies));
    let post = lines.iter().fold(scene.forged(), |post, line| post.with(name, *line));
    assert_eq!(pass(&scene.warden, address(SOCKET), post.request(Frames::pieces(&post.body, 64))).await, 401);
    let [(_, Some(peer))] = scene.reports.requests.take()[..] else { panic!("not one request of a known peer") };
    peer
}

#[tokio::test]
async fn client_is_named_by_outermost_trusted_proxy() {
    let one = || (Proxies::danger_x_forwarded_for_from_anywhere(1).unwrap(), "x-forwarded-for");
    let two = || (Proxies::danger_x_forwarded_for_from_anywhere(2).unwrap(), "x-forwarded-for");
    let forwarded = || (Proxies::danger_forwarded_from_anywhere(2).unwrap(), "forwarded");
    for ((proxies, header), lines, client) in [
        (one(), &["203.0.113.9"][..], "203.0.113.9"),
        // The client may have written the entries on the left.
        (one(), &["127.0.0.1, 192.0.2.1, 203.0.113.9"], "203.0.113.9"),
        (one(), &["192.0.2.1", "203.0.113.9"], "203.0.113.9"),
        (two(), &["192.0.2.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (two(), &["192.0.2.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        (two(), &["192.0.2.1, 203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        (two(), &["192.0.2.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (two(), &["[2001:db8::9]:4711, 10.0.0.2"], "2001:db8::9"),
        // Fewer entries than proxies, or one that is not an address: the request bypassed the proxies.
        (one(), &[], SOCKET),
        (two(), &["203.0.113.9"], SOCKET),
        (two(), &["unknown, 10.0.0.2"], SOCKET),
        (one(), &["203.0.113.9,"], SOCKET),
        (forwarded(), &["for=192.0.2.1, for=203.0.113.9;proto=https, for=10.0.0.2"], "203.0.113.9"),
        (forwarded(), &["for=\"[2001:db8::9]:4711\"", "for=10.0.0.2"], "2001:db8::9"),
        (forwarded(), &["for=10.0.0.2"], SOCKET),
        (forwarded(), &["for=_hidden, for=10.0.0.2"], SOCKET),
    ] {
        assert_eq!(laid_to(proxies.clone(), header, lines).await, address(client), "{proxies:?} {lines:?}");
    }
}

#[tokio::test]
async fn header_of_no_trusted_proxy_is_ignored() {
    let proxies = Proxies::danger_forwarded_from_anywhere(1).unwrap();
    assert_eq!(laid_to(proxies.clone(), "x-forwarded-for", &["203.0.113.9"]).await, address(SOCKET));
    assert_eq!(laid_to(proxies, "x-real-ip", &["203.0.113.9"]).await, address(SOCKET));
}

#[tokio::test]
async fn invented_addresses_behind_a_proxy_gain_nothing() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| {
        let warden = warden.keys(keys).webhook_id(IdSource::fixed(ID));
        warden.proxies(Proxies::danger_x_forwarded_for_from_anywhere(1).unwrap())
    });
    lookups.take(); // `build` looks up the fixed id
    for nth in 0..500 {
        let post = scene.forged().with("x-forwarded-for", format!("192.0.2.{}, 203.0.113.9", nth % 256));
        pass(&scene.warden, address(SOCKET), post.request(Frames::pieces(&post.body, 64))).await;
    }
    assert_eq!(lookups.take(), REFUSED);
    // Another client of the proxy is another peer.
    let post = scene.signed("genuine").with("x-forwarded-for", "192.0.2.7");
    assert_eq!(pass(&scene.warden, address(SOCKET), post.request(Frames::pieces(&post.body, 64))).await, 200);
}

#[tokio::test]
async fn forwarded_address_is_ignored_without_trusted_proxies() {
    let scene = scene_with(|warden| warden.webhook_id(IdSource::fixed(ID)));
    let post = scene.forged().with("x-forwarded-for", "203.0.113.9").with("forwarded", "for=203.0.113.9");
    pass(&scene.warden, FORGER, post.request(Frames::pieces(&post.body, 64))).await;
    assert_eq!(
        scene.reports.requests.take(),
        [(Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)), Some(FORGER))]
    );
}

// Which refusals are charged.

/// A store with several kinds of faults.
struct Troubled(StaticKeys);

impl KeyStore for Troubled {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        match webhook_id {
            "unavailable" => Err(StoreError::new("out of order")),
            "panicking" => panic!("the application's lookup"),
            _ => self.0.find(webhook_id),
        }
    }
}

/// A Warden that blocks a peer after one refused request, and messages of every kind. One of them is handled, and one
/// is in progress.
struct Trial {
    scene: Scene,
    handled: Post,
    pending: Post,
    _handler: Admitted,
}

/// The body limit of a trial, which one of its messages exceeds.
fn small() -> BodyLimits {
    BodyLimits::new().max_bytes(100)
}

impl Trial {
    fn new(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        let scene = Scene::new(|warden| {
            let scheme = Scheme::timestamped();
            let key = Key::new("expired", scheme.secret("the-secret-that-was").unwrap()).unwrap();
            let expired = Keyring::from_keys([key.not_after(Timestamp::from_unix(1_799_999_999))]).unwrap();
            let senders = [(ID, keyring(&scheme, SECRET)), ("expired", expired)];
            let keys = Troubled(StaticKeys::new(&scheme, senders).unwrap());
            set(unforgiving(warden).keys(keys).webhook_id(IdSource::path_segment(1)).body(small()))
        });
        let [handled, pending] = ["handled", "pending"].map(|body| scene.signed(body));
        assert_eq!(scene.deliver(Some(SENDER), ID, &handled), Ok(()));
        let handler = scene.receive(Some(SENDER), ID, &pending).unwrap();
        scene.reports.requests.take();
        Self { scene, handled, pending, _handler: handler }
    }

    /// Asserts that the forger's request is refused for `reason`, and returns whether the forger is then blocked.
    async fn is_charged<B>(&self, post: &Post, body: B, reason: RefusalReason) -> bool
    where
        B: hyper::body::Body<Data: Send, Error: Into<BoxError> + Send> + Send + 'static,
    {
        let request = post.request(body);
        let status = pass(&self.scene.warden, FORGER, request).await;
        let outcomes = self.scene.reports.requests.take();
        assert_eq!(outcomes, [(Outcome::Refused(reason), Some(FORGER))], "{status}");
        self.scene.is_blocked(FORGER, ID)
    }
}

#[tokio::test]
async fn only_offences_are_charged_to_the_peer() {
    let whole = |post: &Post| Frames::pieces(&post.body, 64);
    for reason in RefusalReason::ALL.iter().copied() {
        let trial = match reason {
            RefusalReason::MethodNotAllowed => Trial::new(|warden| warden.methods(["PUT"])),
            RefusalReason::BodyTooSlow => Trial::new(|warden| warden.body(small().deadline(Duration::from_millis(1)))),
            RefusalReason::QuotaExceeded => {
                let two = Quota::new(2, 3_600 * SECOND).unwrap();
                Trial::new(|warden| warden.quotas(one_offence().accepted(two)))
            }
            RefusalReason::ReplayStoreUnavailable => Trial::new(|warden| warden.replay(Replay::new().capacity(2))),
            RefusalReason::Misconfigured => Trial::new(|warden| warden.webhook_id(IdSource::path_parameter("none"))),
            _ => Trial::new(|warden| warden),
        };
        let good = trial.scene.signed("good");
        let at = |seconds: i64| Post::signed_at("x", Timestamp::from_unix(1_800_000_000 + seconds));
        let (post, charged) = match reason {
            RefusalReason::MethodNotAllowed => (good, false),
            RefusalReason::Unverified(Reason::MissingHeader) => (good.without("x-webhook-signature"), false),
            RefusalReason::Unverified(Reason::DuplicateHeader) => {
                (good.clone().with("x-webhook-timestamp", "1800000000"), false)
            }
            RefusalReason::Unverified(Reason::MalformedSignature) => {
                (good.replacing("x-webhook-signature", "v1"), false)
            }
            RefusalReason::Unverified(Reason::MalformedTimestamp) => {
                (good.replacing("x-webhook-timestamp", "01"), false)
            }
            RefusalReason::Unverified(Reason::Stale) => (at(-301), false),
            RefusalReason::Unverified(Reason::Early) => (at(301), false),
            RefusalReason::Unverified(Reason::Mismatch) => (trial.scene.forged(), true),
            RefusalReason::UnknownId => (good.to("/webhooks/unlisted"), true),
            RefusalReason::Unverified(Reason::NoLiveKey) => (good.to("/webhooks/expired"), true),
            RefusalReason::BodyTooLarge => (good.carrying(vec![0; 101]), true),
            RefusalReason::BodyTooSlow => {
                assert!(trial.is_charged(&good, Bad::Stalled, reason).await);
                continue;
            }
            // Charge aborted requests, although they may be genuine: they caused a key lookup.
            RefusalReason::BodyInterrupted => {
                assert!(trial.is_charged(&good, Bad::Broken, reason).await);
                continue;
            }
            RefusalReason::Replayed => (trial.handled.clone(), true),
            RefusalReason::InProgress => (trial.pending.clone(), false),
            RefusalReason::QuotaExceeded | RefusalReason::ReplayStoreUnavailable => (good, false),
            RefusalReason::KeyStoreUnavailable => (good.to("/webhooks/unavailable"), false),
            RefusalReason::LookupPanicked => (good.to("/webhooks/panicking"), false),
            RefusalReason::Misconfigured => (good, false),
            // The scheme signs no other header and no request line, and has one candidate, so these reasons cannot
            // occur. `PeerBlocked` and `UnsupportedMediaType` have separate tests.
            _ => continue,
        };
        let body = whole(&post);
        assert_eq!(trial.is_charged(&post, body, reason).await, charged, "{reason}");
    }
}

#[tokio::test]
async fn other_content_type_is_not_charged() {
    let scene =
        scene_with(|warden| unforgiving(warden).webhook_id(IdSource::fixed(ID)).content_types(["application/json"]));
    let bare = scene.forged();
    let forged = bare.clone().with("content-type", "application/json");
    let refused = [
        RefusalReason::UnsupportedMediaType,
        RefusalReason::Unverified(Reason::Mismatch),
        RefusalReason::PeerBlocked,
        RefusalReason::UnsupportedMediaType,
    ];
    for (post, reason) in [&bare, &forged, &forged, &bare].into_iter().zip(refused) {
        pass(&scene.warden, FORGER, post.request(Frames::pieces(&post.body, 64))).await;
        assert_eq!(scene.reports.requests.take(), [(Outcome::Refused(reason), Some(FORGER))]);
    }
}

/// A body that never completes.
#[derive(Debug, Clone, Copy)]
enum Bad {
    /// It is pending forever.
    Stalled,
    /// The connection fails.
    Broken,
}

impl hyper::body::Body for Bad {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match *self {
            Self::Stalled => Poll::Pending,
            Self::Broken => Poll::Ready(Some(Err("the connection is gone"))),
        }
    }
}

#[test]
fn requests_of_a_blocked_peer_prolong_nothing() {
    let scene = scene_with(|warden| {
        let one = Quota::new(1, 10 * SECOND).unwrap();
        warden.quotas(Quotas::new().rejected(one).rejected_by_peer(one))
    });
    assert_eq!(scene.flood(FORGER, ID, 1), (1, 0));
    for _ in 0..9 {
        scene.clock.advance(SECOND);
        assert_eq!(scene.flood(FORGER, ID, 100), (0, 100));
    }
    scene.clock.advance(SECOND);
    assert_eq!(scene.flood(FORGER, ID, 1), (1, 0));
}

#[test]
fn client_leaving_before_verification_is_charged() {
    let scene = scene_with(unforgiving);
    let post = scene.signed("genuine");
    let leave = || {
        let mut receiving = scene.warden.examine(&post.headers, Some(FORGER)).unwrap().identify(ID)?;
        receiving.update(b"gen")
    };
    leave().unwrap();
    assert_eq!(leave().unwrap_err().reason(), RefusalReason::PeerBlocked);
    // A valid signature proves a peer, whatever the outcome of the request.
    for body in ["one", "two", "three"] {
        drop(scene.receive(Some(SENDER), ID, &scene.signed(body)).unwrap());
    }
}

// Full tables and warnings.

#[test]
fn full_table_is_reported_and_keeps_entries() {
    const CAPACITY: u32 = 65_536;
    let scene = scene_with(unforgiving);
    let peer = |nth: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + nth));
    let forged = scene.forged();
    let offend = |peer| scene.deliver(Some(peer), ID, &forged);
    for nth in 0..CAPACITY {
        assert_eq!(offend(peer(nth)), Err(RefusalReason::Unverified(Reason::Mismatch)));
    }
    assert_eq!(scene.reports.warnings.take(), []);
    for nth in CAPACITY..CAPACITY + 100 {
        assert_eq!(offend(peer(nth)), Err(RefusalReason::Unverified(Reason::Mismatch)));
        assert_eq!(scene.reports.warnings.take(), [Warning::RejectedTableFull], "{nth}");
        assert!(!scene.is_blocked(peer(nth), ID), "a full table fails open");
        scene.reports.warnings.take();
    }
    let mut forgotten = (0..CAPACITY).filter(|nth| !scene.is_blocked(peer(*nth), ID));
    assert_eq!(forgotten.next(), None);

    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("genuine")), Ok(()));
    // Once the refused requests have expired, there is room again.
    scene.clock.advance(Duration::from_secs(86_401));
    assert_eq!(scene.flood(FORGER, ID, 1), (1, 0));
    assert_eq!(scene.reports.warnings.take(), []);
    assert!(scene.is_blocked(FORGER, ID));
}

/// A store in which every id has the sender's keys.
struct Everyone(PreparedKeys);

impl KeyStore for Everyone {
    fn find(&self, _: &str) -> Result<Option<PreparedKeys>, StoreError> {
        Ok(Some(self.0.clone()))
    }
}

#[test]
fn full_accepted_table_is_reported_and_refuses_none() {
    const CAPACITY: u32 = 65_536;
    let scheme = Scheme::timestamped();
    let keys = Everyone(scheme.prepare(&keyring(&scheme, SECRET)).unwrap());
    let scene = Scene::new(|warden| {
        let one = Quota::new(1, Duration::from_secs(86_400)).unwrap();
        warden.keys(keys).quotas(Quotas::new().accepted(one)).replay(Replay::danger_off())
    });
    let post = scene.signed("x");
    for nth in 0..CAPACITY {
        assert_eq!(scene.deliver(Some(SENDER), &nth.to_string(), &post), Ok(()));
    }
    assert_eq!(scene.reports.warnings.take(), []);
    for _ in 0..3 {
        assert_eq!(scene.deliver(Some(SENDER), "one more", &post), Ok(()));
        assert_eq!(scene.reports.warnings.take(), [Warning::AcceptedTableFull]);
    }
    assert_eq!(scene.deliver(Some(SENDER), "0", &post), Err(RefusalReason::QuotaExceeded), "no entry is evicted");
}

#[test]
fn unknown_peers_share_one_quota() {
    let scene = scene();
    let mut requests = ["one", "two"].into_iter().flat_map(|id| std::iter::repeat_n(id, REFUSED));
    assert!(requests.all(|id| scene.deliver(None, id, &scene.forged()) != Err(RefusalReason::PeerBlocked)));
    assert_eq!(scene.reports.warnings.take(), [Warning::PeerUnknown]);
    let genuine = scene.signed("genuine");
    assert_eq!(scene.deliver(None, ID, &genuine), Err(RefusalReason::PeerBlocked));
    assert_eq!(scene.deliver(Some(SENDER), ID, &genuine), Ok(()));
}

/// Returns the warnings after requests from `peers` in turn.
fn warnings_after(count: usize, peers: &[IpAddr], set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Vec<Warning> {
    let scene = scene_with(set);
    let forged = scene.forged();
    for peer in peers.iter().cycle().take(count) {
        // The outcome does not matter.
        let _ = scene.deliver(Some(*peer), ID, &forged);
    }
    scene.reports.warnings.take()
}

#[test]
fn private_peers_only_raise_one_warning() {
    let private = [
        SOCKET,
        "172.16.0.1",
        "192.168.0.1",
        "127.0.0.1",
        "169.254.0.1",
        "fd00::1",
        "::1",
        "fe80::1",
        "::ffff:10.0.0.1",
    ]
    .map(address);
    let declared = |warden: WardenBuilder| warden.proxies(Proxies::danger_x_forwarded_for_from_anywhere(1).unwrap());
    assert_eq!(warnings_after(1_000, &private, |warden| warden), []);
    assert_eq!(warnings_after(5_000, &private, |warden| warden), [Warning::PeersAllPrivate]);
    assert_eq!(warnings_after(5_000, &private, declared), [], "declared proxies");
}

#[test]
fn single_public_peer_raises_proxy_warning() {
    let private = [address(SOCKET); 999];
    for public in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "172.32.0.1"] {
        let peers = [&private[..], &[address(public)]].concat();
        assert_eq!(warnings_after(5_000, &peers, |warden| warden), [], "{public}");
    }
}

// Quotas of accepted requests.

#[test]
fn ids_may_have_their_own_quotas() {
    let scheme = Scheme::timestamped();
    let key = |id: &str| keyring(&scheme, &format!("the-secret-of-{id}"));
    let quota = |burst| Quota::new(burst, 3_600 * SECOND).unwrap();
    let scene = Scene::new(|warden| {
        let warden = ["few", "many", "usual"].into_iter().fold(warden, |warden, id| warden.sender(id, key(id)));
        warden.quotas(Quotas::new().accepted(quota(5)).accepted_for("few", quota(1)).accepted_for("many", quota(20)))
    });
    let now = scene.clock.now().wall;
    for (id, burst) in [("few", 1), ("many", 20), ("usual", 5)] {
        let signer = crate::harness::sender::signer(scheme.clone(), &format!("the-secret-of-{id}"));
        let passed = (0..50).filter(|nth| {
            let post = Post::signed_by(&signer, PATH, &[], format!("{nth}"), now);
            match scene.deliver(Some(SENDER), id, &post) {
                Ok(()) => true,
                Err(reason) => {
                    assert_eq!(reason, RefusalReason::QuotaExceeded);
                    false
                }
            }
        });
        assert_eq!(passed.count(), burst, "{id}");
    }
}

/// An id's own quota holds even if other ids have none.
#[test]
fn quota_of_one_id_holds_without_others() {
    let one = Quota::new(1, 3_600 * SECOND).unwrap();
    let scene = scene_with(|warden| warden.quotas(Quotas::new().danger_unlimited_accepted().accepted_for(ID, one)));
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("1")), Ok(()));
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("2")), Err(RefusalReason::QuotaExceeded));
}

#[test]
fn quota_at_most_per_minute_bounds_constant_sender() {
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(Quota::at_most_per_minute(100).unwrap())));
    let mut accepted = Vec::new();
    for nth in 0..3 * 60 * 5 {
        match scene.deliver(Some(SENDER), ID, &scene.signed(format!("{nth}"))) {
            Ok(()) => accepted.push(scene.clock.now().monotonic),
            Err(reason) => assert_eq!(reason, RefusalReason::QuotaExceeded),
        }
        scene.clock.advance(Duration::from_millis(200));
    }
    let within_a_minute =
        |start: &Duration| accepted.iter().filter(|at| (*start..=*start + 60 * SECOND).contains(*at)).count();
    assert_eq!(accepted.iter().map(within_a_minute).max(), Some(100));
}

#[test]
fn denied_delivery_is_handled_on_retry() {
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(Quota::new(1, 10 * SECOND).unwrap())));
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("first")), Ok(()));
    let denied = scene.signed("second");
    for _ in 0..50 {
        let refused = scene.receive(Some(SENDER), ID, &denied).unwrap_err();
        assert_eq!(refused.reason(), RefusalReason::QuotaExceeded);
        assert_eq!(refused.answer().retry_after(), Some(10 * SECOND));
    }
    scene.clock.advance(10 * SECOND);
    assert_eq!(scene.deliver(Some(SENDER), ID, &denied), Ok(()));
    assert_eq!(scene.deliver(Some(SENDER), ID, &denied), Err(RefusalReason::Replayed));
}

#[test]
fn denied_deliveries_leave_the_replay_store_unchanged() {
    let two = Quota::new(2, 10 * SECOND).unwrap();
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(two)).replay(Replay::new().capacity(3)));
    let [first, second, third] = ["first", "second", "third"].map(|body| scene.signed(body));
    assert_eq!(scene.deliver(Some(SENDER), ID, &first), Ok(()));
    assert_eq!(scene.deliver(Some(SENDER), ID, &second), Ok(()));
    for nth in 0..100 {
        let denied = scene.signed(format!("denied {nth}"));
        assert_eq!(scene.deliver(Some(SENDER), ID, &denied), Err(RefusalReason::QuotaExceeded), "{nth}");
    }
    scene.clock.advance(10 * SECOND);
    assert_eq!(scene.deliver(Some(SENDER), ID, &third), Ok(()), "the table had room for a third");
    for known in [&first, &second, &third] {
        assert_eq!(scene.deliver(Some(SENDER), ID, known), Err(RefusalReason::Replayed));
    }
    assert_eq!(scene.reports.failures.take(), []);
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("fourth")), Err(RefusalReason::ReplayStoreUnavailable));
    assert!(matches!(scene.reports.failures.take()[..], [(StoreKind::Replay, _)]));
}

/// An asynchronous store of the keys of known ids that counts its lookups.
struct SlowKeys {
    knows: fn(&str) -> bool,
    lookups: Arc<AtomicUsize>,
}

impl AsyncKeyStore for SlowKeys {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok((self.knows)(webhook_id).then(|| keyring(&Scheme::timestamped(), SECRET)))
        })
    }
}

fn scene_of(knows: fn(&str) -> bool) -> (Scene, Lookups) {
    let lookups = Arc::new(AtomicUsize::new(0));
    let keys = CachedKeys::new(&Scheme::timestamped(), SlowKeys { knows, lookups: lookups.clone() });
    (Scene::new(|warden| warden.cached_keys(keys)), Lookups(lookups))
}

#[tokio::test]
async fn concurrent_requests_keep_the_lookup_quota() {
    let (scene, lookups) = scene_of(|_| false);
    let mut requests = JoinSet::new();
    for n in 0..1_000 {
        let (warden, post) = (scene.warden.clone(), scene.signed("x"));
        requests.spawn(async move {
            warden.examine(&post.headers, Some(FORGER)).unwrap().identify_async(&format!("{n}")).await.map(drop)
        });
    }
    requests.join_all().await;
    assert_eq!(lookups.take(), REFUSED_OF_PEER);
}

#[tokio::test]
async fn lookups_that_find_keys_are_not_charged() {
    let (scene, _) = scene_of(|_| true);
    let send = async |id: &str, post: &Post| {
        let mut receiving = scene.warden.examine(&post.headers, Some(SENDER))?.identify_async(id).await?;
        receiving.update(&post.body)?;
        receiving.finish_async().await.map(Admitted::commit)
    };
    for n in 0..500 {
        send(&format!("{n}"), &scene.signed("x")).await.unwrap();
    }
    for _ in 0..REFUSED {
        assert_eq!(
            send("new", &scene.forged()).await.unwrap_err().reason(),
            RefusalReason::Unverified(Reason::Mismatch)
        );
    }
    assert_eq!(send("new", &scene.forged()).await.unwrap_err().reason(), RefusalReason::PeerBlocked);
}

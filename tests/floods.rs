//! Floods of forgeries, and the quotas that stand against them: the forger is turned away before it costs a look-up or a
//! body, and the sender that it claims to be is not.
#![cfg(all(feature = "actix", feature = "axum", feature = "testing"))]
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a test that overflows or panics has failed")]

#[path = "util/scene.rs"]
mod scene;
mod util;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use hookwarden::axum::WardenLayer;
use hookwarden::clock::Clock as _;
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::event::{Outcome, RefusalReason, StoreKind, Warning};
use hookwarden::headers::{NoHeaders, RequestHead};
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

use scene::Scene;
use util::client::Connection;
use util::frames::Frames;
use util::sender::{ID, PATH, Post, SECRET, keyring};

const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const FORGER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const SECOND: Duration = Duration::from_secs(1);

/// Refused requests that a peer may make at once by default.
const REFUSED: usize = 60;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A store that counts how often it is asked.
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

/// How often the store was asked since the last call.
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

/// A scene that knows the one sender.
fn scene() -> Scene {
    scene_with(|warden| warden)
}

fn scene_with(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Scene {
    Scene::new(|warden| set(warden.sender(ID, keyring(&Scheme::timestamped(), SECRET))))
}

/// Refuses a peer everything after a single offence, for as long as any test takes.
fn unforgiving(warden: WardenBuilder) -> WardenBuilder {
    warden.quotas(one_offence())
}

fn one_offence() -> Quotas {
    let one = Quota::new(1, Duration::from_secs(86_400)).unwrap();
    Quotas::new().rejected(one, one)
}

impl Scene {
    /// In the sender's name, by someone without its secret.
    fn forged(&self) -> Post {
        self.signed("genuine").carrying("forged")
    }

    /// How often each of the reasons came up in `count` forgeries.
    fn flood(&self, peer: IpAddr, id: &str, count: usize) -> (usize, usize) {
        let forged = self.forged();
        let (mut judged, mut blocked) = (0, 0);
        for _ in 0..count {
            match self.deliver(Some(peer), id, &forged) {
                Err(RefusalReason::Unverified(Reason::Mismatch) | RefusalReason::UnknownId) => judged += 1,
                Err(RefusalReason::PeerBlocked) => blocked += 1,
                other => panic!("{other:?}"),
            }
        }
        (judged, blocked)
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

// Over real sockets.

/// axum's own server on the loopback, which tells the layer the address of each connection.
async fn serve(warden: Warden) -> (SocketAddr, JoinSet<()>) {
    let router = Router::new().route("/webhooks/{id}", post(async || ()).layer(WardenLayer::new(warden)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    server.spawn(async move { axum::serve(listener, service).await.unwrap() });
    (address, server)
}

/// The statuses of `count` times the same request on one connection, which is opened anew when the receiver closes it.
async fn repeat(own: IpAddr, server: SocketAddr, request: &[u8], count: usize) -> Vec<u16> {
    let mut connection = Connection::open_from(own, server).await;
    let mut statuses = Vec::with_capacity(count);
    while statuses.len() < count {
        match connection.exchange(request).await {
            Some(answer) => {
                if answer.status == 429 {
                    assert_eq!(answer.header("retry-after"), Some("1"));
                    assert_eq!(answer.header("ratelimit"), None, "an unproven peer learns nothing of quotas");
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
fn blocked_peer_causes_no_lookups_by_its_heads() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| warden.keys(keys).webhook_id(IdSource::path_segment(1)));
    for _ in 0..1_000 {
        let head = RequestHead::new("POST", "/webhooks/acme", &NoHeaders);
        let refused = scene.warden.examine(&head, Some(FORGER)).unwrap_err();
        assert_eq!(refused.reason(), RefusalReason::Unverified(Reason::MissingHeader));
        let head = RequestHead::new("GET", "/webhooks/acme", &NoHeaders);
        let refused = scene.warden.examine(&head, Some(SENDER)).unwrap_err();
        assert_eq!(refused.reason(), RefusalReason::MethodNotAllowed);
    }
    assert_eq!(lookups.take(), REFUSED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_forgeries_take_nothing_from_the_senders_quota() {
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
            // The second half comes after the flood, to a table that is full of offences.
            let statuses: Vec<u16> = std::mem::take(&mut forgers).join_all().await.concat();
            let judged = statuses.iter().filter(|status| **status == 401).count();
            assert_eq!(statuses.iter().filter(|status| **status == 429).count() + judged, 10_000, "{statuses:?}");
            // A forgery counts when it was refused, and until then others may have been let in beside it.
            assert!((REFUSED..REFUSED + CONNECTIONS).contains(&judged), "{judged}");
            assert_eq!(lookups.take(), judged + 50, "those turned away cost no look-up");
        }
        let answer = sender.exchange(&scene.signed(format!("{nth}")).sized()).await.unwrap();
        assert_eq!(answer.status, 200, "{nth}");
        assert_eq!(answer.header("ratelimit").unwrap().split(';').nth(1), Some(&*format!("r={}", 99 - nth)));
    }
    let answer = sender.exchange(&scene.signed("one more").sized()).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    scene.clock.advance(Duration::from_millis(600));
    assert_eq!(sender.exchange(&scene.signed("one more").sized()).await.unwrap().status, 200);

    let peers = scene.told.requests.take();
    let of = |peer| peers.iter().filter(|(_, seen)| *seen == Some(address(peer))).count();
    assert_eq!((of("127.0.0.1"), of("127.0.0.2"), peers.len()), (102, 10_000, 10_102));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgers_at_the_senders_own_address_do_not_lock_it_out_once_it_delivered() {
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

// Without a server.

/// Judges one request by the layer, as a server would that knows the connection's address.
async fn pass<B>(warden: &Warden, peer: IpAddr, mut request: Request<B>) -> StatusCode
where
    B: hyper::body::Body<Data: Send, Error: Send> + Send + 'static,
{
    let handler = service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::empty())));
    request.extensions_mut().insert(PeerAddress(peer));
    TowerLayer::new(warden.clone()).layer(handler).oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn forger_is_turned_away_before_the_look_up_and_before_the_body() {
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
fn peer_that_used_its_quota_up_may_try_again_when_one_is_due() {
    let scene = scene();
    assert_eq!(scene.flood(FORGER, ID, 1_000), (REFUSED, 1_000 - REFUSED));
    let refused = scene.judge(Some(FORGER), ID, &scene.forged()).unwrap_err();
    assert_eq!(refused.answer().retry_after(), Some(SECOND));
    scene.clock.advance(SECOND - Duration::from_micros(1));
    assert_eq!(scene.flood(FORGER, ID, 1), (0, 1));
    scene.clock.advance(Duration::from_micros(1));
    assert_eq!(scene.flood(FORGER, ID, 10), (1, 9));
    scene.clock.advance(60 * SECOND);
    assert_eq!(scene.flood(FORGER, ID, 1_000), (REFUSED, 1_000 - REFUSED));
}

#[test]
fn sender_that_shares_a_forgers_address_is_locked_out_only_while_it_is_unproven() {
    let scene = scene();
    assert_eq!(scene.flood(SENDER, ID, 500), (REFUSED, 500 - REFUSED));
    let first = scene.signed("first");
    assert_eq!(
        scene.deliver(Some(SENDER), ID, &first),
        Err(RefusalReason::PeerBlocked),
        "nothing genuine came from there"
    );

    scene.clock.advance(SECOND);
    assert_eq!(scene.deliver(Some(SENDER), ID, &first), Ok(()), "its turn came");
    assert_eq!(scene.flood(SENDER, ID, 500), (500, 0));
    for nth in 0..50 {
        assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed(format!("{nth}"))), Ok(()), "{nth}");
        assert_eq!(scene.flood(SENDER, ID, 10), (10, 0));
    }
    assert!(scene.is_blocked(SENDER, "another id"), "only the pair of the address and the id is proven");

    scene.clock.advance(600 * SECOND - SECOND / 2);
    assert_eq!(scene.flood(SENDER, ID, 500), (500, 0));
    scene.clock.advance(SECOND / 2);
    assert_eq!(
        scene.deliver(Some(SENDER), ID, &scene.signed("late")),
        Err(RefusalReason::PeerBlocked),
        "ten minutes later"
    );
}

#[test]
fn request_that_was_refused_proves_no_peer() {
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(Quota::new(1, 3_600 * SECOND).unwrap())));
    let [first, second] = ["first", "second"].map(|body| scene.signed(body));
    assert_eq!(scene.deliver(Some(address("192.0.2.9")), ID, &first), Ok(()));
    // Their signatures hold, and neither was admitted: whoever copied a message from the wire could send them.
    assert_eq!(scene.deliver(Some(FORGER), ID, &first), Err(RefusalReason::Replayed));
    assert_eq!(scene.deliver(Some(FORGER), ID, &second), Err(RefusalReason::QuotaExceeded));
    assert_eq!(scene.flood(FORGER, ID, 100), (REFUSED - 1, 100 - REFUSED + 1));
}

#[test]
fn random_ids_from_one_peer_make_as_many_look_ups_as_its_quota_has() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| warden.keys(keys));
    for nth in 0..10_000 {
        scene.flood(FORGER, &format!("id-{nth}"), 1);
    }
    assert_eq!(lookups.take(), REFUSED);

    // Spread over ten minutes, of which the first finds the quota whole.
    scene.clock.advance(60 * SECOND);
    for nth in 0..10_000 {
        scene.flood(FORGER, &format!("other-id-{nth}"), 1);
        scene.clock.advance(Duration::from_millis(60));
    }
    assert_eq!(lookups.take(), REFUSED + 599);
}

#[test]
fn quotas_of_a_peer_and_of_its_pairs_are_counted_apart() {
    let (few, many) = (Quota::new(5, SECOND).unwrap(), Quota::new(20, SECOND).unwrap());
    let scene = scene_with(|warden| warden.quotas(Quotas::new().rejected(many, few)));
    assert_eq!(scene.flood(FORGER, "one", 100), (5, 95));
    assert_eq!(scene.flood(FORGER, "two", 100), (5, 95));
    assert!(!scene.is_blocked(SENDER, "one"));
    assert_eq!(scene.flood(FORGER, "three", 100), (5, 95));
    assert_eq!(scene.flood(FORGER, "four", 100), (5, 95), "the twentieth of the peer");
    assert!(scene.is_blocked(FORGER, "five"));
}

#[test]
fn each_peer_has_a_quota_of_its_own() {
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

/// The address that a request is laid to which comes from `SOCKET` with these lines of a header.
async fn laid_to(proxies: Proxies, name: &str, lines: &[&str]) -> IpAddr {
    let scene = scene_with(|warden| warden.webhook_id(IdSource::fixed(ID)).proxies(proxies));
    let post = lines.iter().fold(scene.forged(), |post, line| post.with(name, *line));
    assert_eq!(pass(&scene.warden, address(SOCKET), post.request(Frames::pieces(&post.body, 64))).await, 401);
    let [(_, Some(peer))] = scene.told.requests.take()[..] else { panic!("not one request of a known peer") };
    peer
}

#[tokio::test]
async fn client_is_whom_the_outermost_trusted_proxy_saw() {
    let one = || (Proxies::danger_x_forwarded_for_from_anywhere(1).unwrap(), "x-forwarded-for");
    let two = || (Proxies::danger_x_forwarded_for_from_anywhere(2).unwrap(), "x-forwarded-for");
    let forwarded = || (Proxies::danger_forwarded_from_anywhere(2).unwrap(), "forwarded");
    for ((proxies, header), lines, client) in [
        (one(), &["203.0.113.9"][..], "203.0.113.9"),
        // What stands to the left is the client's own word.
        (one(), &["127.0.0.1, 192.0.2.1, 203.0.113.9"], "203.0.113.9"),
        (one(), &["192.0.2.1", "203.0.113.9"], "203.0.113.9"),
        (two(), &["192.0.2.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (two(), &["192.0.2.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        (two(), &["192.0.2.1, 203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        (two(), &["192.0.2.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (two(), &["[2001:db8::9]:4711, 10.0.0.2"], "2001:db8::9"),
        // Fewer entries than proxies, or one that is no address: it did not come by the proxies.
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
async fn header_that_no_trusted_proxy_writes_is_not_read() {
    let proxies = Proxies::danger_forwarded_from_anywhere(1).unwrap();
    assert_eq!(laid_to(proxies.clone(), "x-forwarded-for", &["203.0.113.9"]).await, address(SOCKET));
    assert_eq!(laid_to(proxies, "x-real-ip", &["203.0.113.9"]).await, address(SOCKET));
}

#[tokio::test]
async fn forger_behind_a_proxy_gains_nothing_by_inventing_addresses() {
    let (keys, lookups) = counted();
    let scene = Scene::new(|warden| {
        let warden = warden.keys(keys).webhook_id(IdSource::fixed(ID));
        warden.proxies(Proxies::danger_x_forwarded_for_from_anywhere(1).unwrap())
    });
    lookups.take(); // `build` looks the fixed id up
    for nth in 0..500 {
        let post = scene.forged().with("x-forwarded-for", format!("192.0.2.{}, 203.0.113.9", nth % 256));
        pass(&scene.warden, address(SOCKET), post.request(Frames::pieces(&post.body, 64))).await;
    }
    assert_eq!(lookups.take(), REFUSED);
    // Another client of the same proxy is another peer.
    let post = scene.signed("genuine").with("x-forwarded-for", "192.0.2.7");
    assert_eq!(pass(&scene.warden, address(SOCKET), post.request(Frames::pieces(&post.body, 64))).await, 200);
}

#[tokio::test]
async fn address_in_a_header_counts_for_nothing_without_trusted_proxies() {
    let scene = scene_with(|warden| warden.webhook_id(IdSource::fixed(ID)));
    let post = scene.forged().with("x-forwarded-for", "203.0.113.9").with("forwarded", "for=203.0.113.9");
    pass(&scene.warden, FORGER, post.request(Frames::pieces(&post.body, 64))).await;
    assert_eq!(
        scene.told.requests.take(),
        [(Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)), Some(FORGER))]
    );
}

// What is charged.

/// A store that has trouble of several kinds.
struct Troubled(StaticKeys);

impl KeyStore for Troubled {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        match webhook_id {
            "unavailable" => Err(StoreError::new("out of order")),
            "panicking" => panic!("the application's own look-up"),
            _ => self.0.find(webhook_id),
        }
    }
}

/// A Warden that holds a single offence against a peer, with room for one more delivery than the one that it has
/// handled and the one that is being handled, both from elsewhere; and a message of every kind.
struct Trial {
    scene: Scene,
    handled: Post,
    pending: Post,
    _handler: Admitted,
}

/// Room for the messages of a trial.
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
        let handler = scene.judge(Some(SENDER), ID, &pending).unwrap();
        scene.told.requests.take();
        Self { scene, handled, pending, _handler: handler }
    }

    /// Refuses the forger's request for `reason`, and says whether the forger is blocked for it.
    async fn is_charged<B>(&self, post: &Post, body: B, reason: RefusalReason) -> bool
    where
        B: hyper::body::Body<Data: Send, Error: Send> + Send + 'static,
    {
        let request = post.request(body);
        let status = pass(&self.scene.warden, FORGER, request).await;
        let outcomes = self.scene.told.requests.take();
        assert_eq!(outcomes, [(Outcome::Refused(reason), Some(FORGER))], "{status}");
        self.scene.is_blocked(FORGER, ID)
    }
}

#[tokio::test]
async fn offences_are_charged_to_the_peer_and_other_trouble_is_not() {
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
            RefusalReason::Unverified(Reason::MissingHeader) => (good.without("x-webhook-signature"), true),
            RefusalReason::Unverified(Reason::DuplicateHeader) => {
                (good.clone().with("x-webhook-timestamp", "1800000000"), true)
            }
            RefusalReason::Unverified(Reason::MalformedSignature) => {
                (good.replacing("x-webhook-signature", "v1"), true)
            }
            RefusalReason::Unverified(Reason::MalformedTimestamp) => {
                (good.replacing("x-webhook-timestamp", "01"), true)
            }
            RefusalReason::Unverified(Reason::Stale) => (at(-301), true),
            RefusalReason::Unverified(Reason::Early) => (at(301), true),
            RefusalReason::Unverified(Reason::Mismatch) => (trial.scene.forged(), true),
            RefusalReason::UnknownId => (good.to("/webhooks/nobody"), true),
            RefusalReason::Unverified(Reason::NoLiveKey) => (good.to("/webhooks/expired"), true),
            RefusalReason::BodyTooLarge => (good.carrying(vec![0; 101]), true),
            RefusalReason::BodyTooSlow => {
                assert!(trial.is_charged(&good, Bad::Stalled, reason).await);
                continue;
            }
            // It may have been genuine, but it cost a look-up, and whoever breaks off could go on doing so.
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
            // What has no place in this scheme: other headers, several candidates, the request line. `PeerBlocked` and
            // `UnsupportedMediaType` have tests of their own.
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
        assert_eq!(scene.told.requests.take(), [(Outcome::Refused(reason), Some(FORGER))]);
    }
}

/// A body that never ends well.
#[derive(Debug, Clone, Copy)]
enum Bad {
    /// Nothing comes.
    Stalled,
    /// The connection breaks.
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
        warden.quotas(Quotas::new().rejected(one, one))
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
fn client_that_goes_away_before_its_signature_held_is_charged() {
    let scene = scene_with(unforgiving);
    let post = scene.signed("genuine");
    let leave = || {
        let mut receiving = scene.warden.examine(&post.headers, Some(FORGER)).unwrap().identify(ID)?;
        receiving.update(b"gen")
    };
    leave().unwrap();
    assert_eq!(leave().unwrap_err().reason(), RefusalReason::PeerBlocked);
    // One whose signature held has proven itself, whatever becomes of its request.
    for body in ["one", "two", "three"] {
        drop(scene.judge(Some(SENDER), ID, &scene.signed(body)).unwrap());
    }
}

// Bounds, and what is told of them.

#[test]
fn full_table_is_told_and_forgets_nobody_in_it() {
    const CAPACITY: u32 = 65_536;
    let scene = scene_with(unforgiving);
    let peer = |nth: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + nth));
    let offend = |peer| scene.warden.examine(&NoHeaders, Some(peer)).unwrap_err().reason();
    for nth in 0..CAPACITY {
        assert_eq!(offend(peer(nth)), RefusalReason::Unverified(Reason::MissingHeader));
    }
    assert_eq!(scene.told.warnings.take(), []);
    for nth in CAPACITY..CAPACITY + 100 {
        offend(peer(nth));
        assert_eq!(scene.told.warnings.take(), [Warning::RejectedTableFull], "{nth}");
        assert!(!scene.is_blocked(peer(nth), ID), "a full table fails open");
        scene.told.warnings.take();
    }
    let mut forgotten = (0..CAPACITY).filter(|nth| !scene.is_blocked(peer(*nth), ID));
    assert_eq!(forgotten.next(), None);

    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("genuine")), Ok(()));
    // Once the offences have lapsed there is room again.
    scene.clock.advance(Duration::from_secs(86_401));
    offend(FORGER);
    assert_eq!(scene.told.warnings.take(), []);
    assert!(scene.is_blocked(FORGER, ID));
}

/// Every id has the one sender's keys.
struct Everyone(PreparedKeys);

impl KeyStore for Everyone {
    fn find(&self, _: &str) -> Result<Option<PreparedKeys>, StoreError> {
        Ok(Some(self.0.clone()))
    }
}

#[test]
fn full_table_of_accepted_requests_is_told_and_refuses_nobody() {
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
    assert_eq!(scene.told.warnings.take(), []);
    for _ in 0..3 {
        assert_eq!(scene.deliver(Some(SENDER), "one more", &post), Ok(()));
        assert_eq!(scene.told.warnings.take(), [Warning::AcceptedTableFull]);
    }
    assert_eq!(scene.deliver(Some(SENDER), "0", &post), Err(RefusalReason::QuotaExceeded), "none is forgotten");
}

#[test]
fn unknown_peer_is_told_once_and_never_blocked() {
    let scene = scene_with(unforgiving);
    for _ in 0..200 {
        assert_eq!(scene.deliver(None, ID, &scene.forged()), Err(RefusalReason::Unverified(Reason::Mismatch)));
    }
    assert_eq!(scene.told.warnings.take(), [Warning::PeerUnknown]);
    assert_eq!(scene.deliver(None, ID, &scene.signed("genuine")), Ok(()));
}

/// What is told of requests from `peers` in turn.
fn told_of(count: usize, peers: &[IpAddr], set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Vec<Warning> {
    let scene = scene_with(set);
    let forged = scene.forged();
    for peer in peers.iter().cycle().take(count) {
        // Whatever becomes of it.
        let _ = scene.deliver(Some(*peer), ID, &forged);
    }
    scene.told.warnings.take()
}

#[test]
fn private_peers_alone_are_told_once() {
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
    assert_eq!(told_of(1_000, &private, |warden| warden), []);
    assert_eq!(told_of(5_000, &private, |warden| warden), [Warning::PeersAllPrivate]);
    assert_eq!(told_of(5_000, &private, declared), [], "declared proxies");
}

#[test]
fn single_public_peer_shows_that_no_proxy_stands_before_all() {
    let private = [address(SOCKET); 999];
    for public in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "172.32.0.1"] {
        let peers = [&private[..], &[address(public)]].concat();
        assert_eq!(told_of(5_000, &peers, |warden| warden), [], "{public}");
    }
}

// The accepted quotas.

#[test]
fn ids_have_their_own_quotas_where_they_are_set() {
    let scheme = Scheme::timestamped();
    let key = |id: &str| keyring(&scheme, &format!("the-secret-of-{id}"));
    let quota = |burst| Quota::new(burst, 3_600 * SECOND).unwrap();
    let scene = Scene::new(|warden| {
        let warden = ["few", "many", "usual"].into_iter().fold(warden, |warden, id| warden.sender(id, key(id)));
        warden.quotas(Quotas::new().accepted(quota(5)).accepted_for("few", quota(1)).accepted_for("many", quota(20)))
    });
    let now = scene.clock.now().wall;
    for (id, burst) in [("few", 1), ("many", 20), ("usual", 5)] {
        let signer = util::sender::signer(scheme.clone(), &format!("the-secret-of-{id}"));
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

/// Without a quota for all, one that is set for an id still holds.
#[test]
fn quota_of_one_id_holds_although_the_others_have_none() {
    let one = Quota::new(1, 3_600 * SECOND).unwrap();
    let scene = scene_with(|warden| warden.quotas(Quotas::new().danger_unlimited_accepted().accepted_for(ID, one)));
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("1")), Ok(()));
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("2")), Err(RefusalReason::QuotaExceeded));
}

#[test]
fn quota_at_most_per_minute_is_kept_by_a_sender_that_sends_all_the_time() {
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
fn delivery_denied_by_its_quota_is_handled_when_it_comes_again() {
    let scene = scene_with(|warden| warden.quotas(Quotas::new().accepted(Quota::new(1, 10 * SECOND).unwrap())));
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("first")), Ok(()));
    let denied = scene.signed("second");
    for _ in 0..50 {
        let refused = scene.judge(Some(SENDER), ID, &denied).unwrap_err();
        assert_eq!(refused.reason(), RefusalReason::QuotaExceeded);
        assert_eq!(refused.answer().retry_after(), Some(10 * SECOND));
    }
    scene.clock.advance(10 * SECOND);
    assert_eq!(scene.deliver(Some(SENDER), ID, &denied), Ok(()));
    assert_eq!(scene.deliver(Some(SENDER), ID, &denied), Err(RefusalReason::Replayed));
}

#[test]
fn denied_deliveries_leave_the_memory_of_deliveries_as_it_was() {
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
    assert_eq!(scene.deliver(Some(SENDER), ID, &third), Ok(()), "there was room for a third");
    for known in [&first, &second, &third] {
        assert_eq!(scene.deliver(Some(SENDER), ID, known), Err(RefusalReason::Replayed));
    }
    assert_eq!(scene.told.failures.take(), []);
    assert_eq!(scene.deliver(Some(SENDER), ID, &scene.signed("fourth")), Err(RefusalReason::ReplayStoreUnavailable));
    assert!(matches!(scene.told.failures.take()[..], [(StoreKind::Replay, _)]));
}

/// Finds the sender's keys for the ids that it knows, after a while, and counts lookups.
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
async fn concurrent_requests_make_no_more_lookups_than_the_quota() {
    let (scene, lookups) = scene_of(|_| false);
    let mut requests = JoinSet::new();
    for n in 0..1_000 {
        let (warden, post) = (scene.warden.clone(), scene.signed("x"));
        requests.spawn(async move {
            warden.examine(&post.headers, Some(FORGER)).unwrap().identify_async(&format!("{n}")).await.map(drop)
        });
    }
    requests.join_all().await;
    assert_eq!(lookups.take(), REFUSED);
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

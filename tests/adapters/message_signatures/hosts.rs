//! A request that was sent to another host than that of the profile, or to two hosts.

use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use axum::Router;
use axum::routing::post;
use hookwarden::actix::WardenMiddleware;
use hookwarden::axum::WardenLayer;
use hookwarden::crypto::Algorithm;
use hookwarden::event::Outcome;
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::{Problem, Profile};
use hookwarden::testing::TestClock;
use hookwarden::warden::Captures;
use hookwarden::{IdSource, Reason, Timestamp, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{BODY, KEY, KEYID, PATH, keys, profile, signed, warden};
use crate::custom::{DUPLICATE, REPLAYED, UNAUTHORIZED, agree, handled, quotas, refused};
use crate::harness::PATIENCE;
use crate::harness::captured::{Captured, soon};
use crate::harness::events::events;
use crate::harness::receiver::{Handled, Handler, Server};
use crate::harness::sender::Post;
use crate::harness::site::later;

const HOST: &str = "hooks.example.com";
const OTHER: Outcome = refused(Reason::OtherAuthority);
/// Malformed, repeated or ambiguous.
const UNCLEAR: Outcome = refused(Reason::MalformedHeader);

/// A request for `target` and this `Host`, signed `offset` seconds after the start of the clock.
fn sent(offset: i64, target: &str, host: &str) -> Post {
    signed(&profile(), KEY, KEYID, offset).to(target).replacing("Host", host)
}

/// `PATH` on a host, as a proxy requests it.
fn absolute(host: &str) -> String {
    format!("http://{host}{PATH}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_for_another_host_is_refused() {
    let refusals = [
        ("another host", sent(0, PATH, "other.example.com"), OTHER),
        ("the address of the server", sent(0, PATH, "127.0.0.1:8080"), OTHER),
        ("another port", sent(0, PATH, "hooks.example.com:8443"), OTHER),
        ("the port of http", sent(0, PATH, "hooks.example.com:80"), OTHER),
        ("a host above", sent(0, PATH, "example.com"), OTHER),
        ("a host below", sent(0, PATH, "a.hooks.example.com"), OTHER),
        (
            "a forwarded host",
            sent(0, PATH, "other.example.com")
                .with("X-Forwarded-Host", HOST)
                .with("Forwarded", "host=hooks.example.com"),
            OTHER,
        ),
        (
            "two forwarded hosts",
            sent(0, PATH, "a.example").with("X-Forwarded-Host", "hooks.example.com, a.example"),
            OTHER,
        ),
        ("a user", sent(0, PATH, "sender@hooks.example.com"), UNCLEAR),
        ("a user and a password", sent(0, PATH, "hooks.example.com:443@other.example.com"), UNCLEAR),
        ("two dots", sent(0, PATH, "hooks.example.com.."), UNCLEAR),
        ("no port after the colon", sent(0, PATH, "hooks.example.com:"), UNCLEAR),
        ("two hosts in one line", sent(0, PATH, "hooks.example.com, hooks.example.com"), UNCLEAR),
        ("a URL", sent(0, PATH, "https://hooks.example.com"), UNCLEAR),
        ("an empty host", sent(0, PATH, ""), UNCLEAR),
        ("another host in the target", sent(0, &absolute("other.example.com"), HOST), UNCLEAR),
        ("another host in the header", sent(0, &absolute(HOST), "other.example.com"), UNCLEAR),
        ("another host in both", sent(0, &absolute("other.example.com"), "other.example.com"), OTHER),
        ("a user in the target", sent(0, &absolute("sender@hooks.example.com"), HOST), UNCLEAR),
    ];
    agree(warden, async |site| {
        for (what, request, outcome) in &refusals {
            site.assert(what, &request.sized(), UNAUTHORIZED, *outcome).await;
        }
        let accepted = [
            (HOST, PATH.to_owned()),
            ("HOOKS.Example.com", PATH.to_owned()),
            ("hooks.example.com:443", PATH.to_owned()),
            ("hooks.example.com.", PATH.to_owned()),
            (HOST, absolute(HOST)),
            ("Hooks.Example.com.:443", absolute("hooks.example.com:443")),
        ];
        for ((host, target), offset) in accepted.into_iter().zip(1..) {
            let request = sent(offset, &target, host).with("X-Forwarded-Host", "other.example.com");
            site.assert(host, &request.sized(), &handled(KEYID), Outcome::Accepted).await;
            let again = sent(offset, PATH, HOST);
            site.assert("a copy in another form", &again.sized(), REPLAYED, DUPLICATE).await;
        }
    })
    .await;
}

/// A handler that counts its runs.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicUsize>);

impl Handler for Runs {
    async fn handle(self, _: Handled) -> Response<Full<Bytes>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Response::default()
    }
}

/// actix-web refuses such requests itself, so the answers differ.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_or_repeated_host_is_refused() {
    for &adapter in Server::ALL {
        let runs = Runs::default();
        let receiver = adapter.start(warden().clock(TestClock::new(later(0))).build().unwrap(), runs.clone()).await;
        let without = sent(0, PATH, HOST).without("Host").sized();
        let without = String::from_utf8(without).unwrap().replace("Host: localhost\r\n", "");
        let twice = sent(0, PATH, HOST).with("Host", HOST).sized();
        for request in [without.as_bytes(), &twice] {
            let answer = receiver.connect().await.exchange(request).await.unwrap();
            assert!(matches!(answer.status, 400 | 401), "{adapter:?}: {}", answer.head);
        }
        assert_eq!(runs.0.load(Ordering::Relaxed), 0, "{adapter:?}");
        let answer = receiver.connect().await.exchange(&sent(0, PATH, HOST).sized()).await.unwrap();
        assert_eq!((answer.status, runs.0.load(Ordering::Relaxed)), (200, 1), "{adapter:?}");
    }
}

/// Two virtual hosts with the same key: a request for one is captured and sent to the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_is_valid_on_one_virtual_host() {
    let other = || {
        let other = Profile::webhooks("https://other.example.com").algorithms([Algorithm::Ed25519]);
        other.build().expect("a profile")
    };
    let captured = signed(&profile(), KEY, KEYID, 0);
    let own = signed(&other(), KEY, KEYID, 0).replacing("Host", "other.example.com");
    let warden = || {
        let scheme = other().scheme("acme").expect("a scheme");
        let id = IdSource::closure(move |head| other().keyid(head));
        Warden::builder(scheme).sender(KEYID, keys(KEY)).webhook_id(id).quotas(quotas().danger_unlimited_rejected())
    };
    agree(warden, async |site| {
        site.assert("as captured", &captured.sized(), UNAUTHORIZED, OTHER).await;
        let rewritten = captured.clone().replacing("Host", "other.example.com");
        site.assert("with the other host", &rewritten.sized(), UNAUTHORIZED, refused(Reason::Mismatch)).await;
        let elsewhere = own.clone().replacing("Host", HOST);
        site.assert("its own, to the first host", &elsewhere.sized(), UNAUTHORIZED, OTHER).await;
        site.assert("its own", &own.sized(), &handled(KEYID), Outcome::Accepted).await;
    })
    .await;
}

/// A client of HTTP/2 with prior knowledge.
struct Http2 {
    address: SocketAddr,
    requests: SendRequest<Full<Bytes>>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Http2 {
    /// Starts axum's server with the Warden in a nested router, which shortens the path, and connects to it.
    async fn connect(warden: Warden) -> Self {
        let route = post(async || "ok").layer(WardenLayer::new(warden));
        let router = Router::new().nest("/webhooks", Router::new().route("/any", route));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let server = tokio::spawn(async { axum::serve(listener, router).into_future().await.unwrap() });
        let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let client = tokio::spawn(async { connection.await.unwrap() });
        Self { address, requests, tasks: [server, client] }
    }

    /// Returns the status and the body of the answer.
    async fn send(&mut self, post: &Post, body: &str) -> (u16, String) {
        let request = post.request(Full::from(body.to_owned()));
        let answer = timeout(PATIENCE, self.requests.send_request(request)).await.unwrap().unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        text(answer).await
    }

    /// Sends a request to the same server by HTTP/1.1.
    async fn send_http_1(&self, post: &Post, body: &str) -> (u16, String) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = post.request(Full::<Bytes>::from(body.to_owned()));
        let answer = timeout(PATIENCE, requests.send_request(request)).await.unwrap().unwrap();
        assert_eq!(answer.version(), Version::HTTP_11);
        let answer = text(answer).await;
        drop(requests);
        connection.await.unwrap().unwrap();
        answer
    }
}

/// The status and the body of an answer.
async fn text(answer: Response<Incoming>) -> (u16, String) {
    let status = answer.status().as_u16();
    (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().into()).unwrap())
}

/// The current time, as an offset from the start of a site's clock.
fn now() -> i64 {
    Timestamp::now().as_unix() - later(0).as_unix()
}

/// A request of HTTP/2: the authority in its URL becomes `:authority`.
fn http_2(offset: i64, authority: &str, target: &str) -> Post {
    signed(&profile(), KEY, KEYID, offset).without("Host").to(&format!("https://{authority}{target}"))
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// The same request of HTTP/1.1. With another `Host`, its URL is absolute; otherwise it is a path, and the authority is in
/// `Host`.
fn http_1(offset: i64, authority: &str, host: Option<&str>, target: &str) -> Post {
    let post = signed(&profile(), KEY, KEYID, offset).replacing("Host", host.unwrap_or(authority));
    post.to(&if host.is_some() { format!("http://{authority}{target}") } else { target.to_owned() })
}

/// Sends each request by both versions of HTTP. The answers must be the same.
async fn assert_like_http_1(mut send: impl AsyncFnMut(Version, &Post, &str) -> (u16, String)) {
    const VERSIONS: [Version; 2] = [Version::HTTP_2, Version::HTTP_11];
    let now = now();
    let request = |version, offset: i64, authority: &str, host: Option<&str>, target: &str| match version {
        Version::HTTP_2 => {
            let request = http_2(now + offset, authority, target);
            host.into_iter().fold(request, |request, host| request.with("Host", host))
        }
        _ => http_1(now + offset, authority, host, target),
    };
    let refused = (401, String::new());
    for (authority, host) in [
        ("other.example.com", None),
        ("hooks.example.com:8443", None),
        ("sender@hooks.example.com", None),
        ("other.example.com", Some(HOST)),
        (HOST, Some("other.example.com")),
        ("other.example.com", Some("other.example.com")),
        (HOST, Some("")),
        (HOST, Some("sender@hooks.example.com")),
    ] {
        for version in VERSIONS {
            let request = request(version, 0, authority, host, PATH);
            let forwarded = request.clone().with("X-Forwarded-Host", HOST);
            for request in [request, forwarded] {
                assert_eq!(send(version, &request, BODY).await, refused, "{version:?} {authority} {host:?}");
            }
        }
    }
    let twice = request(Version::HTTP_2, 0, HOST, None, PATH).with("Host", HOST).with("Host", HOST);
    assert_eq!(send(Version::HTTP_2, &twice, BODY).await, refused);
    for version in VERSIONS {
        let other_target = request(version, 0, HOST, None, "/webhooks/any?kind=a&id=7");
        assert_eq!(send(version, &request(version, 0, HOST, None, PATH), "{}").await, refused, "{version:?}");
        assert_eq!(send(version, &other_target, BODY).await, refused, "{version:?}");
    }
    for (offset, authority, host) in [
        (0, HOST, None),
        (2, "Hooks.Example.com.:443", None),
        (4, HOST, Some(HOST)),
        (6, "hooks.example.com:443", Some("HOOKS.example.com")),
    ] {
        for (offset, versions) in [(offset, VERSIONS), (offset + 1, [Version::HTTP_11, Version::HTTP_2])] {
            let [first, copy] = versions.map(|version| request(version, offset, authority, host, PATH));
            let what = format!("{versions:?} {authority} {host:?}");
            assert_eq!(send(versions[0], &first, BODY).await, (200, "ok".to_owned()), "{what}");
            // Copies by either version are answered without the handler.
            assert_eq!(send(versions[0], &first, BODY).await, (200, String::new()), "{what}");
            assert_eq!(send(versions[1], &copy, BODY).await, (200, String::new()), "{what}");
        }
    }
}

#[tokio::test]
async fn http_2_on_axum_verifies_like_http_1() {
    let mut client = Http2::connect(warden().build().unwrap()).await;
    assert_like_http_1(async |version, post, body| match version {
        Version::HTTP_2 => client.send(post, body).await,
        _ => client.send_http_1(post, body).await,
    })
    .await;
}

/// The requests have the form in which actix-web's server of HTTP/2 makes them: with `:authority` in the URL and without
/// `Host`. That server is not started here, because its version of h2 has known vulnerabilities.
#[tokio::test]
async fn http_2_on_actix_verifies_like_http_1() {
    let route = web::resource("/any").wrap(WardenMiddleware::new(warden().build().unwrap()));
    let scope = web::scope("/webhooks").service(route.route(web::post().to(async || "ok")));
    let app = init_service(App::new().service(scope)).await;
    let send = async |version, post: &Post, body: &str| {
        let request = TestRequest::post().version(version).uri(&post.path).set_payload(body.to_owned());
        let headers = post.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let request = headers.fold(request, |request, header| request.append_header(header)).to_request();
        assert!(request.uri().authority().is_some() || version == actix_web::http::Version::HTTP_11);
        let response = call_service(&app, request).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(read_body(response).await.into()).unwrap())
    };
    assert_like_http_1(async |version, post, body| match version {
        Version::HTTP_2 => send(actix_web::http::Version::HTTP_2, post, body).await,
        _ => send(actix_web::http::Version::HTTP_11, post, body).await,
    })
    .await;
}

/// A capture has the host of a request of HTTP/2, so that its explanation is that of the request.
#[tokio::test]
async fn capture_of_http_2_has_its_host() {
    let now = now();
    let warden = warden().captures(Captures::in_memory(10)).build().unwrap();
    let mut client = Http2::connect(warden.clone()).await;
    let expected = Problem::OtherAuthority { expected: HOST.into() };
    let cases = [
        (http_2(now, HOST, PATH), "{}", Problem::OtherBody),
        (http_2(now, "other.example.com", PATH), BODY, expected.clone()),
        (http_2(now, HOST, PATH).with("Host", "other.example.com"), BODY, Problem::AmbiguousHost),
        (http_2(now, "other.example.com", PATH).with("Host", "OTHER.example.com"), BODY, expected),
    ];
    for (count, (request, body, problem)) in (1..).zip(cases) {
        assert_eq!(client.send(&request, body).await.0, 401, "{problem}");
        soon(|| warden.captured_requests().len() == count);
        let captured = Captured::parse(warden.captured_requests()[0].as_bytes());
        let head = RequestHead::new(&captured.method, &captured.path, &captured.headers);
        let explained = profile().explain_at(&head, body.as_bytes(), Timestamp::now());
        assert_eq!(explained, Some(problem), "{captured:?}");
    }
}

#[tokio::test]
async fn report_only_names_the_other_host() {
    let (observer, mut events) = events();
    let warden = warden().danger_report_only().observer(observer).build().unwrap();
    let mut client = Http2::connect(warden).await;
    for (authority, outcome) in [("other.example.com", OTHER), (HOST, Outcome::Accepted)] {
        let answer = client.send(&http_2(now(), authority, PATH), BODY).await;
        assert_eq!(answer, (200, "ok".to_owned()), "{authority}");
        assert_eq!(events.next().await.outcome, outcome, "{authority}");
    }
}

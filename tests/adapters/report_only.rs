//! A Warden that only reports decides like one that enforces, and every request reaches the handler as it was sent.

use std::convert::Infallible;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpMessage as _, HttpRequest, HttpResponse, web};
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request as AxumRequest;
use axum::routing::{any, post};
use futures_util::StreamExt as _;
use hookwarden::actix::{WardenMiddleware, Webhook as ActixWebhook};
use hookwarden::axum::{UncommittedWebhook, WardenLayer, Webhook};
use hookwarden::event::{Outcome, RefusalReason, SecurityEvent};
use hookwarden::handshake::Handshake;
use hookwarden::keys::CachedKeys;
use hookwarden::testing::TestClock;
use hookwarden::tower::{PeerAddress, ReceivedBody, WardenLayer as TowerLayer};
use hookwarden::warden::{BodyLimits, Quotas, Replay, ReportedVerdict, VerifiedDelivery, WardenBuilder};
use hookwarden::{IdSource, Quota, Reason, Scheme, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use hyper::{Request, Response};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tower::limit::ConcurrencyLimit;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::conformance::Distant;
use crate::harness::client::Answer;
use crate::harness::events::{Event, Events, events};
use crate::harness::receiver::{Receiver, Server};
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring};
use crate::harness::site::{NOW, SHORT_DEADLINE, signed};
use crate::harness::{PATIENCE, assert_silent};
use crate::log::Log;

const SIGNATURE: &str = "X-Webhook-Signature";
/// The header that tells the handler to fail or to wait.
const ACT: &str = "X-Act";
/// The answer of the handler.
const HANDLED: &str = "200 OK | content-length: 7 | handled";

/// A request as the handler received it.
#[derive(Debug)]
struct Seen {
    body: Vec<u8>,
    /// Whether the body ended with an error.
    broke_off: bool,
    verdict: Option<ReportedVerdict>,
    has_delivery: bool,
}

/// A handler that reports what it received. It waits or fails if the request says so.
#[derive(Clone)]
struct Reporter {
    seen: UnboundedSender<Seen>,
    gate: Arc<Semaphore>,
}

impl Reporter {
    /// Returns the status to answer.
    async fn handle(self, seen: Seen, act: Option<&[u8]>) -> u16 {
        // Fails if the test has ended.
        let _ = self.seen.send(seen);
        match act {
            Some(b"wait") => drop(self.gate.acquire().await.expect("an open gate")),
            Some(b"fail") => return 500,
            _ => {}
        }
        200
    }
}

async fn handle<B: Body<Data = Bytes, Error: Debug>>(request: Request<B>, reporter: Reporter) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let (mut body, mut whole, mut broke_off) = (Box::pin(body), Vec::new(), false);
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(data) => whole.extend_from_slice(&data.unwrap_or_default()),
            Err(_) => broke_off = true,
        }
    }
    let verdict = parts.extensions.get().cloned();
    let has_delivery = parts.extensions.get::<VerifiedDelivery>().is_some();
    let act = parts.headers.get(ACT).map(|act| act.as_bytes());
    let status = reporter.handle(Seen { body: whole, broke_off, verdict, has_delivery }, act).await;
    Response::builder().status(status).body(Full::from("handled")).expect("a response")
}

async fn handle_actix(request: HttpRequest, mut payload: web::Payload, reporter: Reporter) -> HttpResponse {
    let (mut body, mut broke_off) = (Vec::new(), false);
    while let Some(chunk) = payload.next().await {
        match chunk {
            Ok(chunk) => body.extend_from_slice(&chunk),
            Err(_) => broke_off = true,
        }
    }
    let verdict = request.extensions().get().cloned();
    let has_delivery = request.extensions().contains::<VerifiedDelivery>();
    let act = request.headers().get(ACT).map(|act| act.as_bytes());
    let status = reporter.handle(Seen { body, broke_off, verdict, has_delivery }, act).await;
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).expect("a status")).body("handled")
}

/// A running endpoint.
struct Endpoint {
    receiver: Receiver,
    events: Events,
    seen: UnboundedReceiver<Seen>,
    gate: Arc<Semaphore>,
}

impl Endpoint {
    async fn start(server: Server, warden: WardenBuilder) -> Self {
        let (observer, events) = events();
        let warden = server.adapt(warden).clock(TestClock::new(NOW)).observer(observer).build().expect("a Warden");
        let (sender, seen) = unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let reporter = Reporter { seen: sender, gate: Arc::clone(&gate) };
        let receiver = match server {
            Server::Axum => {
                let route = any(move |request: AxumRequest| handle(request, reporter)).layer(WardenLayer::new(warden));
                Receiver::axum_with_peers(Router::new().route("/webhooks/{id}", route.clone()).route("/", route)).await
            }
            Server::Hyper => {
                let layer = TowerLayer::new(warden);
                let make = move |peer: SocketAddr| {
                    let reporter = reporter.clone();
                    let service = service_fn(move |request: Request<ReceivedBody>| {
                        let handling = handle(request, reporter.clone());
                        async { Ok::<_, Infallible>(handling.await) }
                    });
                    layer.layer(service).map_request(move |mut request: Request<_>| {
                        request.extensions_mut().insert(PeerAddress(peer.ip()));
                        request
                    })
                };
                Receiver::hyper_by_peer(make).await
            }
            Server::Actix => {
                Receiver::actix(move |config| {
                    for path in ["/webhooks/{id}", "/"] {
                        let reporter = reporter.clone();
                        let handler =
                            move |request, payload: web::Payload| handle_actix(request, payload, reporter.clone());
                        let guard = WardenMiddleware::new(warden.clone());
                        config.service(web::resource(path).wrap(guard).route(web::route().to(handler)));
                    }
                })
                .await
            }
        };
        Self { receiver, events, seen, gate }
    }

    async fn seen(&mut self) -> Seen {
        timeout(PATIENCE, self.seen.recv()).await.expect("the handler did not run in time").expect("a handler")
    }
}

/// How a request is sent.
#[derive(Debug)]
enum Sending {
    Whole(Vec<u8>),
    /// The rest is sent once the first part is decided.
    Late(Vec<u8>, Vec<u8>),
}

/// A request with its name, its bytes, the body that the handler must get, and the outcome.
struct Row {
    what: &'static str,
    sending: Sending,
    body: Vec<u8>,
    outcome: Outcome,
}

fn row(what: &'static str, bytes: Vec<u8>, body: impl Into<Vec<u8>>, outcome: Outcome) -> Row {
    Row { what, sending: Sending::Whole(bytes), body: body.into(), outcome }
}

const fn refused(reason: RefusalReason) -> Outcome {
    Outcome::Refused(reason)
}

const fn unverified(reason: Reason) -> Outcome {
    refused(RefusalReason::Unverified(reason))
}

/// Returns an answer as [`Answer::essence`] does.
fn essence(answer: &hookwarden::warden::Answer) -> String {
    let (status, headers, body) = answer.clone().into_parts();
    let length = format!("content-length: {}", body.len());
    let headers = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text")));
    let mut lines: Vec<_> = headers.chain([length]).collect();
    lines.sort_unstable();
    [status.to_string()].into_iter().chain(lines).collect::<Vec<_>>().join(" | ")
}

/// Sends the rows to an endpoint that enforces and to one that only reports, and asserts that both decide alike, and that
/// the second one runs the handler with the bytes that were sent.
async fn agree(settings: impl Fn(WardenBuilder) -> WardenBuilder, rows: impl Fn() -> Vec<Row>) {
    for &server in Server::ALL {
        let new = || settings(Warden::builder(Scheme::timestamped()));
        let mut enforcing = Endpoint::start(server, new()).await;
        let mut reporting = Endpoint::start(server, new().danger_report_only()).await;
        for Row { what, sending, body, outcome } in rows() {
            let what = format!("{server:?}, {what}");
            let (answer, event) = send(&mut enforcing, &sending, false).await;
            assert_eq!((event.outcome, event.report_only), (outcome, false), "{what}");
            let ran = enforcing.seen.try_recv().map(|seen| (seen.verdict.is_none(), seen.has_delivery));
            assert_eq!(ran.ok(), (outcome == Outcome::Accepted).then_some((true, true)), "{what}");

            let (own_answer, event) = send(&mut reporting, &sending, true).await;
            assert_eq!((event.outcome, event.report_only), (outcome, true), "{what}");
            let seen = reporting.seen().await;
            assert_eq!(seen.body.len(), body.len(), "{what}");
            assert!(seen.body == body, "{what}: other bytes");
            assert_eq!(seen.broke_off, outcome == refused(RefusalReason::BodyInterrupted), "{what}");
            let verdict = seen.verdict.unwrap_or_else(|| panic!("{what}: no verdict"));
            assert_eq!(verdict.would_be_refused(), outcome.reason(), "{what}");
            assert_eq!(seen.has_delivery, outcome == Outcome::Accepted, "{what}");
            match verdict.answer() {
                Some(reported) => {
                    assert_eq!(essence(reported), answer.essence(), "{what}");
                    assert_eq!(verdict.status().map(|status| status.as_u16()), Some(answer.status), "{what}");
                }
                None => assert!(answer.essence().ends_with("| handled"), "{what}: {}", answer.essence()),
            }
            assert_eq!(own_answer.essence(), HANDLED, "{what}");
        }
    }
}

/// Sends a request. `waits`: the handler gets the rest of a late body.
async fn send(endpoint: &mut Endpoint, sending: &Sending, waits: bool) -> (Answer, Event) {
    let mut connection = endpoint.receiver.connect().await;
    let (answer, event) = match sending {
        Sending::Whole(bytes) => (connection.exchange(bytes).await, endpoint.events.next().await),
        Sending::Late(first, rest) => {
            connection.send(first).await;
            let event = endpoint.events.next().await;
            if waits {
                connection.send(rest).await;
            }
            (connection.answer().await, event)
        }
    };
    (answer.expect("an answer"), event)
}

fn with_sender(warden: WardenBuilder) -> WardenBuilder {
    warden.sender(ID, keyring(&Scheme::timestamped(), SECRET))
}

fn unlimited(warden: WardenBuilder) -> WardenBuilder {
    with_sender(warden).quotas(Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected())
}

#[tokio::test]
async fn reporting_decides_like_enforcing_on_every_adapter() {
    let settings = |warden| unlimited(warden).body(BodyLimits::new().max_bytes(1_000).deadline(SHORT_DEADLINE));
    agree(settings, || {
        let good = |body: &str| signed(body, 0);
        let large = [vec![7; 600], vec![8; 90_000]].concat();
        let unread = "Content-Length: 4\r\n";
        let late = |post: &Post| [post.head(unread), b"sl".to_vec()].concat();
        let broken =
            |post: &Post| [post.head("Transfer-Encoding: chunked\r\n"), b"2\r\nab\r\nsize\r\n".to_vec()].concat();
        vec![
            row("genuine", good("genuine").sized(), "genuine", Outcome::Accepted),
            row("genuine, in chunks", good("in chunks").chunked(2, ""), "in chunks", Outcome::Accepted),
            row("duplicate", good("genuine").sized(), "genuine", refused(RefusalReason::Replayed)),
            row(
                "method",
                [good("put!").head_of("PUT", unread), b"put!".to_vec()].concat(),
                "put!",
                refused(RefusalReason::MethodNotAllowed),
            ),
            row(
                "no signature",
                good("unsigned").without(SIGNATURE).sized(),
                "unsigned",
                unverified(Reason::MissingHeader),
            ),
            row(
                "two signatures",
                good("twice").with(SIGNATURE, "00").chunked(3, ""),
                "twice",
                unverified(Reason::DuplicateHeader),
            ),
            row(
                "malformed signature",
                good("malformed").replacing(SIGNATURE, "zz").sized(),
                "malformed",
                unverified(Reason::MalformedSignature),
            ),
            row("stale", signed("stale", -301).sized(), "stale", unverified(Reason::Stale)),
            row("early", signed("early", 301).chunked(2, ""), "early", unverified(Reason::Early)),
            row("mismatch", good("good").carrying("evil").sized(), "evil", unverified(Reason::Mismatch)),
            row(
                "mismatch, in chunks",
                good("good").carrying([0xff; 999]).chunked(7, ""),
                [0xff; 999],
                unverified(Reason::Mismatch),
            ),
            row(
                "unknown id",
                good("other").to("/webhooks/other").chunked(2, ""),
                "other",
                refused(RefusalReason::UnknownId),
            ),
            row("too large", signed(large.clone(), 0).sized(), large.clone(), refused(RefusalReason::BodyTooLarge)),
            row(
                "too large, in chunks",
                signed(large.clone(), 0).chunked(333, ""),
                large.clone(),
                refused(RefusalReason::BodyTooLarge),
            ),
            row(
                "too large, of an unknown id",
                signed(large.clone(), 0).to("/webhooks/other").chunked(5_000, ""),
                large,
                refused(RefusalReason::BodyTooLarge),
            ),
            row("broken off", broken(&good("ab")), "ab", refused(RefusalReason::BodyInterrupted)),
            Row {
                what: "too slow",
                sending: Sending::Late(late(&good("slow")), b"ow".to_vec()),
                body: b"slow".to_vec(),
                outcome: refused(RefusalReason::BodyTooSlow),
            },
        ]
    })
    .await;
}

#[tokio::test]
async fn reporting_decides_like_enforcing_about_content_types() {
    agree(
        |warden| unlimited(warden).content_types(["application/json"]),
        || {
            let reason = RefusalReason::UnsupportedMediaType;
            let json = signed("{}", 0).with("Content-Type", "application/json");
            vec![
                row("another type", signed("text", 0).sized(), "text", refused(reason)),
                row("JSON", json.sized(), "{}", Outcome::Accepted),
            ]
        },
    )
    .await;
}

#[tokio::test]
async fn quota_and_blocked_peer_are_passed_on() {
    let hourly = |requests| Quota::new(requests, Duration::from_secs(3_600)).expect("a quota");
    agree(
        |warden| {
            with_sender(warden)
                .quotas(Quotas::new().accepted(hourly(1)).rejected(hourly(2)).rejected_by_peer(hourly(2)))
        },
        || {
            let forged = || signed("x", 0).carrying("forged").sized();
            vec![
                row("within the quota", signed("first", 0).sized(), "first", Outcome::Accepted),
                row("over the quota", signed("second", 0).sized(), "second", refused(RefusalReason::QuotaExceeded)),
                row("forged", forged(), "forged", unverified(Reason::Mismatch)),
            ]
        },
    )
    .await;
    agree(
        |warden| with_sender(warden).quotas(Quotas::new().rejected(hourly(2)).rejected_by_peer(hourly(2))),
        || {
            let forged = || signed("x", 0).carrying("forged").sized();
            vec![
                row("first", forged(), "forged", unverified(Reason::Mismatch)),
                row("second", forged(), "forged", unverified(Reason::Mismatch)),
                row("third", forged(), "forged", refused(RefusalReason::PeerBlocked)),
                row("genuine", signed("x", 0).sized(), "x", refused(RefusalReason::PeerBlocked)),
            ]
        },
    )
    .await;
}

#[tokio::test]
async fn distant_keys_are_awaited_while_reporting() {
    agree(
        |warden| {
            let keys = CachedKeys::new(&Scheme::timestamped(), Distant);
            warden.cached_keys(keys)
        },
        || {
            let down = signed("x", 0).to("/webhooks/down");
            vec![
                row("genuine", signed("x", 0).sized(), "x", Outcome::Accepted),
                row("no keys", down.chunked(1, ""), "x", refused(RefusalReason::KeyStoreUnavailable)),
            ]
        },
    )
    .await;
}

#[tokio::test]
async fn copy_reaches_the_handler_while_first_runs() {
    for &server in Server::ALL {
        let warden = unlimited(Warden::builder(Scheme::timestamped())).danger_report_only();
        let mut endpoint = Endpoint::start(server, warden).await;
        let mut first = endpoint.receiver.connect().await;
        first.send(&signed("x", 0).with(ACT, "wait").sized()).await;
        assert_eq!(endpoint.seen().await.verdict.and_then(|verdict| verdict.would_be_refused()), None);
        let (answer, event) = send(&mut endpoint, &Sending::Whole(signed("x", 0).sized()), true).await;
        assert_eq!((answer.essence().as_str(), event.outcome), (HANDLED, refused(RefusalReason::InProgress)));
        let verdict = endpoint.seen().await.verdict.expect("a verdict");
        assert_eq!(verdict.status().map(|status| status.as_u16()), Some(409), "{server:?}");
        endpoint.gate.add_permits(1);
        assert_eq!(first.answer().await.map(|answer| answer.status), Some(200));
        assert_eq!(endpoint.events.next().await.outcome, Outcome::Accepted, "{server:?}");
    }
}

#[tokio::test]
async fn reported_delivery_is_settled_by_its_status() {
    for &server in Server::ALL {
        let warden = unlimited(Warden::builder(Scheme::timestamped())).danger_report_only();
        let mut endpoint = Endpoint::start(server, warden).await;
        let failing = signed("x", 0).with(ACT, "fail").sized();
        let outcomes = [Outcome::Released, Outcome::Accepted, refused(RefusalReason::Replayed)];
        for (bytes, outcome) in [failing, signed("x", 0).sized(), signed("x", 0).sized()].into_iter().zip(outcomes) {
            let (answer, event) = send(&mut endpoint, &Sending::Whole(bytes), true).await;
            assert_eq!(event.outcome, outcome, "{server:?}");
            assert_eq!(answer.status, if outcome == Outcome::Released { 500 } else { 200 }, "{server:?}");
        }
    }
}

/// The provider needs the answer to register the endpoint.
#[tokio::test]
async fn handshake_is_answered_while_reporting() {
    for &server in Server::ALL {
        let handshake = Handshake::query("challenge");
        let quotas = Quotas::new().handshakes(Quota::new(1, Duration::from_secs(3_600)).expect("a quota"));
        let warden = with_sender(Warden::builder(Scheme::timestamped())).handshake(handshake).quotas(quotas);
        let mut endpoint = Endpoint::start(server, warden.danger_report_only()).await;
        let get = format!("GET {PATH}?challenge=abc123 HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        let (answer, event) = send(&mut endpoint, &Sending::Whole(get.clone()), true).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"abc123"[..]), "{server:?}");
        assert_eq!(event.outcome, Outcome::Handshake);
        // This refusal is enforced, so it is not marked.
        let (answer, event) = send(&mut endpoint, &Sending::Whole(get), true).await;
        assert_eq!(answer.status, 429, "{server:?}");
        assert_eq!((event.outcome, event.report_only), (refused(RefusalReason::HandshakeQuotaExceeded), false));
        assert!(endpoint.seen.try_recv().is_err(), "{server:?}");
    }
}

fn reporting() -> Warden {
    let warden = unlimited(Warden::builder(Scheme::timestamped())).danger_report_only();
    warden.clock(TestClock::new(NOW)).webhook_id(IdSource::fixed(ID)).build().expect("a Warden")
}

fn request(post: &Post) -> Request<axum::body::Body> {
    post.clone().into_request()
}

#[tokio::test]
async fn webhook_extractor_refuses_what_is_only_reported() {
    let handler = post(async |webhook: Webhook<Bytes>| webhook.payload).layer(WardenLayer::new(reporting()));
    let app = Router::new().route(PATH, handler);
    let forged = signed("x", 0).carrying("y");
    let (log, _guard) = Log::record();
    let mut answers = Vec::new();
    for post in [&signed("x", 0), &forged, &signed("x", 0)] {
        let response = app.clone().oneshot(request(post)).await.unwrap_or_else(|never| match never {});
        let (status, challenge) = (response.status().as_u16(), response.headers().contains_key("www-authenticate"));
        answers.push((status, challenge, response.into_body().collect().await.expect("a body").to_bytes()));
    }
    // The last one is a duplicate: 200 without the handler.
    let expected = [(200, false, Bytes::from("x")), (401, true, Bytes::new()), (200, false, Bytes::new())];
    assert_eq!(answers, expected);
    // How many lines there are depends on the other tests of this process.
    let lines = log.lines();
    let line = lines.iter().find(|line| line.starts_with("WARN hookwarden::webhook")).expect("a line");
    for part in ["only reports", "Json<T>", "ReportedVerdict"] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
}

#[test]
fn actix_extractor_refuses_what_is_only_reported() {
    let answers = actix_web::rt::System::new().block_on(async {
        let handler = async |webhook: ActixWebhook<web::Bytes>| webhook.payload;
        let guarded = web::resource(PATH).wrap(WardenMiddleware::new(reporting())).route(web::post().to(handler));
        let app = init_service(App::new().service(guarded)).await;
        let mut answers = Vec::new();
        for post in [signed("x", 0), signed("x", 0).carrying("y"), signed("x", 0)] {
            let mut request = TestRequest::post().uri(PATH).set_payload(post.body);
            for (name, value) in &post.headers {
                request = request.append_header((name.as_str(), value.as_slice()));
            }
            let response = call_service(&app, request.to_request()).await;
            answers.push((response.status().as_u16(), read_body(response).await));
        }
        answers
    });
    assert_eq!(answers, [(200, Bytes::from("x")), (401, Bytes::new()), (200, Bytes::new())]);
}

/// It would verify the request a second time.
#[tokio::test]
async fn uncommitted_extractor_behind_reporting_layer_is_misconfigured() {
    let handler = post(async |webhook: UncommittedWebhook<Bytes>| webhook.into_parts().0);
    let app = Router::new().route(PATH, handler.layer(WardenLayer::new(reporting()))).with_state(reporting());
    for post in [signed("x", 0), signed("x", 0).carrying("y")] {
        let response = app.clone().oneshot(request(&post)).await.unwrap_or_else(|never| match never {});
        assert_eq!(response.status().as_u16(), 500);
    }
}

/// Without a layer the extractor is the guard.
#[tokio::test]
async fn uncommitted_extractor_refuses_with_reporting_warden() {
    let marks = Arc::<Mutex<Vec<bool>>>::default();
    let seen = Arc::clone(&marks);
    let warden = unlimited(Warden::builder(Scheme::timestamped())).danger_report_only().clock(TestClock::new(NOW));
    let warden = warden.observer(move |event: &SecurityEvent<'_>| seen.lock().expect("a lock").push(event.report_only));
    let warden = warden.webhook_id(IdSource::fixed(ID)).build().expect("a Warden");
    let handler = post(async |webhook: UncommittedWebhook<Bytes>| webhook.into_parts().0);
    let app = Router::new().route(PATH, handler).with_state(warden);
    let (log, _guard) = Log::record();
    for (post, status) in [(signed("x", 0), 200), (signed("x", 0).carrying("y"), 401)] {
        let response = app.clone().oneshot(request(&post)).await.unwrap_or_else(|never| match never {});
        assert_eq!(response.status().as_u16(), status);
    }
    assert_eq!(*marks.lock().expect("a lock"), [false; 2]);
    assert!(log.lines().iter().any(|line| line.contains("ERROR hookwarden::webhook UncommittedWebhook<T> refuses")));
}

#[tokio::test]
async fn only_verified_body_of_the_layer_is_verified() {
    let layer = TowerLayer::new(reporting());
    let service = layer.layer(service_fn(async |request: Request<ReceivedBody>| {
        let verified = request.into_body().into_verified().is_ok();
        Ok::<_, Infallible>(Response::new(Full::from(if verified { "verified" } else { "reported" })))
    }));
    for (post, kind) in [(signed("x", 0), "verified"), (signed("x", 0).carrying("y"), "reported")] {
        let response = service.clone().oneshot(request(&post)).await.unwrap_or_else(|never| match never {});
        assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), kind);
    }
}

/// A layer that enforces answers 503 after the lease.
#[tokio::test]
async fn reporting_layer_waits_longer_than_the_lease() {
    let lease = Duration::from_millis(20);
    let warden = unlimited(Warden::builder(Scheme::timestamped())).replay(Replay::new().lease(lease));
    let warden = warden.danger_report_only().clock(TestClock::new(NOW)).webhook_id(IdSource::fixed(ID)).build();
    let handler = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let mut busy = ConcurrencyLimit::new(handler, 1);
    let service = TowerLayer::new(warden.expect("a Warden")).layer(busy.clone());
    busy.ready().await.unwrap_or_else(|never| match never {});
    let mut answer = Box::pin(service.oneshot(request(&signed("x", 0))));
    assert_silent(async { answer.as_mut().await.map(|response| response.status()) }).await;
    drop(busy);
    assert_eq!(answer.await.unwrap_or_else(|never| match never {}).status().as_u16(), 200);
}

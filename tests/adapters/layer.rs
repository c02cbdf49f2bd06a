//! `WardenLayer` around ordinary handlers, on axum and bare hyper.

use std::convert::Infallible;
use std::future::{IntoFuture as _, Ready};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Form, Json};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, post};
use axum::{Router, body::Bytes};
use futures_util::FutureExt as _;
use hookwarden::axum::WardenLayer;
use hookwarden::clock::Clock as _;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::scheme::SignedPart;
use hookwarden::testing::TestClock;
use hookwarden::tower::{ReceivedBody, WardenLayer as TowerLayer};
use hookwarden::warden::{Replay, VerifiedDelivery};
use hookwarden::{IdSource, Key, Keyring, Reason, Scheme, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::handshake;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::{Notify, oneshot};
use tokio::task::block_in_place;
use tokio::time::timeout;
use tower::limit::{ConcurrencyLimit, GlobalConcurrencyLimitLayer};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::harness::events::events;
use crate::harness::frames::Frames;
use crate::harness::receiver::{Bench, Receiver, Server};
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring, now, signer, warden};
use crate::harness::{PATIENCE, assert_silent};
use crate::log::Log;

#[derive(serde::Deserialize)]
struct Order {
    id: u64,
    note: String,
}

/// A handler with its name, the content type and text of a body, and its answer.
type Handler = (&'static str, fn() -> MethodRouter, &'static str, &'static str, &'static str);

const HANDLERS: [Handler; 4] = [
    ("Bytes", || post(async |body: Bytes| body), "application/octet-stream", "\r\nas it is ", "\r\nas it is "),
    ("String", || post(async |body: String| body), "text/plain", "größer", "größer"),
    (
        "Json",
        || post(async |Json(order): Json<Order>| format!("{} {}", order.id, order.note)),
        "application/json",
        r#"{"more": [1], "note": "x", "id": 7}"#,
        "7 x",
    ),
    (
        "Form",
        || post(async |Form(order): Form<Order>| format!("{} {}", order.id, order.note)),
        "application/x-www-form-urlencoded",
        "id=7&note=a+b%21",
        "7 a b!",
    ),
];

/// A position of the layer, with its name and the route's path before the sender's.
type Way = (&'static str, &'static str, fn(MethodRouter, WardenLayer) -> Router);

const WAYS: [Way; 8] = [
    ("Router::layer", "", |handler, layer| Router::new().route("/webhooks/{id}", handler).layer(layer)),
    ("Router::route_layer", "", |handler, layer| Router::new().route("/webhooks/{id}", handler).route_layer(layer)),
    ("MethodRouter::layer", "", |handler, layer| Router::new().route("/webhooks/{id}", handler.layer(layer))),
    ("MethodRouter::route_layer", "", |handler, layer| {
        Router::new().route("/webhooks/{id}", handler.route_layer(layer))
    }),
    ("inside a nest", "/api/v1", |handler, layer| {
        Router::new().nest("/api/v1", Router::new().route("/webhooks/{id}", handler).route_layer(layer))
    }),
    ("outside a nest", "/api/v1", |handler, layer| {
        Router::new().nest("/api/v1", Router::new().route("/webhooks/{id}", handler)).layer(layer)
    }),
    ("before a middleware", "", |handler, layer| {
        let pass = from_fn(async |request: Request<Body>, next: Next| next.run(request).await);
        Router::new().route("/webhooks/{id}", handler).route_layer(ServiceBuilder::new().layer(layer).layer(pass))
    }),
    ("nest with the parameter", "", |handler, layer| {
        Router::new().nest("/webhooks/{id}", Router::new().route("/", handler).route_layer(layer))
    }),
];

async fn answer(router: Router, request: Request<Body>) -> (StatusCode, Bytes) {
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status();
    (status, response.into_body().collect().await.expect("a body").to_bytes())
}

#[tokio::test]
async fn layer_guards_handler_in_every_position() {
    for (way, prefix, put) in WAYS {
        for (handler, make, content_type, body, understood) in HANDLERS {
            let (observer, events) = events();
            let layer = WardenLayer::new(warden().observer(observer).build().unwrap());
            let router = put(make(), layer);
            let post = Post::signed(body).to(&format!("{prefix}{PATH}")).with("Content-Type", content_type);
            let forged = post.clone().carrying(format!("{body} "));

            let accepted = answer(router.clone(), post.into_request()).await;
            assert_eq!(accepted, (StatusCode::OK, Bytes::from(understood)), "{handler}, {way}");
            let refused = answer(router, forged.into_request()).await;
            assert_eq!(refused, (StatusCode::UNAUTHORIZED, Bytes::new()), "{handler}, {way}");
            let outcomes = [Outcome::Accepted, Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch))];
            assert_eq!(events.outcomes().await, outcomes, "{handler}, {way}");
        }
    }
}

#[tokio::test]
async fn route_layer_leaves_other_routes_alone() {
    let layer = WardenLayer::new(warden().build().unwrap());
    let router = Router::new().route("/webhooks/{id}", post(async || ())).route_layer(layer);
    let post = Post::signed("x");
    assert_eq!(answer(router.clone(), post.clone().to("/").into_request()).await.0, StatusCode::NOT_FOUND);
    let mut get = post.into_request();
    *get.method_mut() = hyper::Method::GET;
    assert_eq!(answer(router, get).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn verified_delivery_is_among_the_extensions() {
    let scheme = Scheme::timestamped();
    let old = Key::new("2026", scheme.secret("the-old-secret-of-this-sender").unwrap()).unwrap();
    let new = Key::new("2027", scheme.secret(SECRET).unwrap()).unwrap();
    let keys = Keyring::from_keys([new, old]).unwrap();
    // One message, signed with either key, is one delivery.
    let warden = Warden::builder(scheme).sender(ID, keys).replay(Replay::danger_off()).build().unwrap();
    let handler = async |Extension(facts): Extension<VerifiedDelivery>| {
        format!("{} {} {}", facts.webhook_id(), facts.key_id(), facts.timestamp().unwrap().as_unix())
    };
    let router = Router::new().route("/webhooks/{id}", post(handler)).route_layer(WardenLayer::new(warden));
    let time = now(-100);
    for (secret, key) in [(SECRET, "2027"), ("the-old-secret-of-this-sender", "2026")] {
        let post = Post::signed_by(&signer(Scheme::timestamped(), secret), PATH, &[], "x", time);
        let (status, facts) = answer(router.clone(), post.into_request()).await;
        assert_eq!((status, &facts[..]), (StatusCode::OK, format!("acme {key} {}", time.as_unix()).as_bytes()));
    }
}

/// A scheme that also signs the method and the path.
fn path_signing() -> Scheme {
    let space = || SignedPart::literal(" ");
    let parts = [
        SignedPart::Method,
        space(),
        SignedPart::Path,
        space(),
        SignedPart::Timestamp,
        SignedPart::literal("."),
        SignedPart::Body,
    ];
    Scheme::timestamped().into_builder().name("path-signing").signed(parts).build().expect("a scheme")
}

#[tokio::test]
async fn path_is_verified_as_sent() {
    let scheme = path_signing();
    let signer = signer(scheme.clone(), SECRET);
    for (way, prefix, put) in WAYS {
        let keys = keyring(&scheme, SECRET);
        let warden = Warden::builder(scheme.clone()).sender(ID, keys).build().unwrap();
        let router = put(post(async || ()), WardenLayer::new(warden));
        let path = format!("{prefix}{PATH}?a=%2F&b");
        let signed_for = |path: &str| Post::signed_by(&signer, path, &[], "x", now(0));
        assert_eq!(answer(router.clone(), signed_for(&path).into_request()).await.0, StatusCode::OK, "{way}");
        for other in ["/webhooks/acme?a=%2F&b=1", "/webhooks/acme", "/?a=%2F&b", "/api/v2/webhooks/acme?a=%2F&b"] {
            let post = signed_for(other).to(&path);
            assert_eq!(answer(router.clone(), post.into_request()).await.0, StatusCode::UNAUTHORIZED, "{way}, {other}");
        }
        if !prefix.is_empty() {
            let post = signed_for(&format!("{PATH}?a=%2F&b")).to(&path);
            assert_eq!(answer(router, post.into_request()).await.0, StatusCode::UNAUTHORIZED, "{way}, path cut short");
        }
    }
}

#[tokio::test]
async fn rewritten_uri_does_not_change_the_signed_path() {
    let scheme = path_signing();
    let keys = keyring(&scheme, SECRET);
    let warden = Warden::builder(scheme.clone()).sender(ID, keys).build().unwrap();
    let router = Router::new().route("/webhooks/{id}", post(async || ())).route_layer(WardenLayer::new(warden)).layer(
        axum::middleware::map_request(async |mut request: Request<Body>| {
            *request.uri_mut() = "/elsewhere".parse().unwrap();
            request
        }),
    );
    let post = Post::signed_by(&signer(scheme, SECRET), PATH, &[], "x", now(0));
    assert_eq!(answer(router, post.into_request()).await.0, StatusCode::OK);
}

/// Binary bodies and the sizes of their pieces.
fn bodies() -> Vec<(Vec<u8>, usize)> {
    let bytes = |count: u8, times: usize| (0..=count).cycle().take(times).collect::<Vec<_>>();
    let mut bodies = vec![
        (Vec::new(), 1),
        (b"\xef\xbb\xbf\xff\xfe\0\r\n\xf0\x9f\xaa\x9d".to_vec(), 1),
        (bytes(250, 10_000), 1),
        (bytes(255, 100 * 1024), 64 * 1024),
    ];
    for (size, more_than_three) in [(4095, 12_290), (4096, 12_293), (4097, 12_296)] {
        bodies.extend([(bytes(251, size), size), (bytes(252, more_than_three), size)]);
    }
    bodies
}

#[tokio::test]
async fn body_in_frames_reaches_handler_byte_for_byte() {
    let warden = warden().build().unwrap();
    let handler = async |request: Request<Body>| request.into_body();
    let router = Router::new().route("/webhooks/{id}", post(handler)).route_layer(WardenLayer::new(warden));
    for (body, size) in bodies() {
        for alternate in [1, 2] {
            // In every second round, large and small frames alternate.
            let mut frames: Vec<Vec<u8>> = Vec::new();
            for piece in body.chunks(size) {
                let (small, rest) = piece.split_at(if alternate == 2 { piece.len().min(3) } else { 0 });
                frames.extend([small.to_vec(), rest.to_vec()]);
            }
            let frames = frames.into_iter().map(|frame| hyper::body::Frame::data(Bytes::from(frame)));
            let frames = Body::new(Frames::new(frames.collect::<Vec<_>>()));
            let (status, echo) = answer(router.clone(), Post::signed(body.clone()).request(frames)).await;
            assert_eq!(status, StatusCode::OK);
            assert!(echo == body, "{} bytes in frames of {size}", body.len());
        }
    }
}

#[tokio::test]
async fn chunked_body_reaches_handler_byte_for_byte() {
    for server in Server::BOTH {
        let mut bench = Bench::start(server, warden()).await;
        let mut connection = bench.connect().await;
        let mut sent = 0;
        for (body, size) in bodies() {
            let post = Post::signed(body.clone());
            for bytes in [post.chunked(size, ""), post.sized()] {
                let answer = connection.exchange(&bytes).await.unwrap();
                assert_eq!(answer.status, 200, "{server:?}: {} bytes in chunks of {size}", body.len());
                assert!(bench.handled.next().await.body == body, "{server:?}: {} bytes in {size}", body.len());
                let event = bench.events.next().await;
                assert_eq!((event.outcome, usize::try_from(event.body_bytes)), (Outcome::Accepted, Ok(body.len())));
                sent += 1;
            }
        }
        assert_eq!(sent, 20);
    }
}

#[tokio::test]
async fn bare_hyper_takes_id_from_path_segment() {
    let warden = warden().webhook_id(IdSource::path_segment(2)).build().unwrap();
    let handler = service_fn(async |request: Request<ReceivedBody>| {
        let id = request.extensions().get::<VerifiedDelivery>().map(|facts| facts.webhook_id().to_owned());
        let body = request.into_body().collect().await.expect("a verified body").to_bytes();
        Ok::<_, Infallible>(Response::new(Full::from([id.unwrap().as_bytes(), b":", &body].concat())))
    });
    let receiver = Receiver::hyper(TowerLayer::new(warden).layer(handler)).await;
    let mut connection = receiver.connect().await;
    for (path, status, body) in [
        ("/v1/webhooks/acme", 200, &b"acme:\xffx"[..]),
        ("/v1/webhooks/acme?from=/v1/webhooks/other", 200, b"acme:\xffx"),
        ("/v1/webhooks/%61cme/more", 200, b"acme:\xffx"),
        ("/v1/webhooks/%2561cme", 401, b""),
        ("/v1/webhooks", 401, b""),
        ("/v1/webhooks/", 401, b""),
        ("/v1/webhooks/other", 401, b""),
        ("/v1/webhooks/ACME", 401, b""),
        ("/v1/webhooks/acme%00", 401, b""),
        ("/v1/webhooks/%ff", 401, b""),
    ] {
        let answer = connection.exchange(&Post::signed(*b"\xffx").to(path).sized()).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (status, body), "{path}");
    }
    let forged = Post::signed(*b"\xffx").carrying(*b"\xffy").to("/v1/webhooks/acme").sized();
    assert_eq!(connection.exchange(&forged).await.unwrap().status, 401);
}

#[tokio::test]
async fn id_is_found_in_every_source() {
    let keys = || {
        let keys = keyring(&Scheme::timestamped(), SECRET);
        Warden::builder(Scheme::timestamped()).sender(ID, keys)
    };
    let by_header = IdSource::header("X-Tenant").unwrap();
    let by_closure = IdSource::closure(|head| head.path()?.strip_prefix("/webhooks/of-").map(str::to_owned));
    let plain = Post::signed("x");
    let tenant = |id: &str| plain.clone().to("/").with("X-Tenant", id);
    for (source, post, outcome) in [
        (IdSource::fixed(ID), plain.clone().to("/anywhere"), Outcome::Accepted),
        (by_header.clone(), tenant(ID), Outcome::Accepted),
        (by_header.clone(), tenant("other"), Outcome::Refused(RefusalReason::UnknownId)),
        (by_header.clone(), tenant("").replacing("X-Tenant", *b"acm\xff"), Outcome::Refused(RefusalReason::UnknownId)),
        (by_header.clone(), plain.clone(), Outcome::Refused(RefusalReason::Unverified(Reason::MissingHeader))),
        (
            by_header,
            tenant(ID).with("x-tenant", ID),
            Outcome::Refused(RefusalReason::Unverified(Reason::DuplicateHeader)),
        ),
        (by_closure.clone(), plain.clone().to("/webhooks/of-acme"), Outcome::Accepted),
        (by_closure, plain.clone(), Outcome::Refused(RefusalReason::UnknownId)),
        (IdSource::path_parameter("tenant"), plain.clone(), Outcome::Refused(RefusalReason::Misconfigured)),
    ] {
        let (observer, events) = events();
        let described = format!("{source:?}");
        let warden = keys().webhook_id(source).observer(observer).build().unwrap();
        let router = Router::new().fallback(async || ()).layer(WardenLayer::new(warden));
        let status = answer(router, post.into_request()).await.0;
        let expected = match outcome {
            Outcome::Accepted => StatusCode::OK,
            Outcome::Refused(RefusalReason::Misconfigured) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNAUTHORIZED,
        };
        assert_eq!(status, expected, "{described}");
        assert_eq!(events.only().await.outcome, outcome, "{described}");
    }
}

#[tokio::test]
async fn request_that_the_handler_cannot_parse_is_released() {
    let (observer, events) = events();
    let warden = warden().observer(observer).build().unwrap();
    let handler = async |Json(order): Json<Order>| order.note.into_response();
    let router = Router::new().route("/webhooks/{id}", post(handler)).route_layer(WardenLayer::new(warden));
    let post = Post::signed(r#"{"id": 7"#).with("Content-Type", "application/json");
    assert_eq!(answer(router, post.into_request()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(events.only().await.outcome, Outcome::Released);
}

#[tokio::test]
async fn service_error_is_returned_and_delivery_released() {
    let (observer, events) = events();
    let warden = warden().webhook_id(IdSource::fixed(ID)).observer(observer).build().unwrap();
    let failing = service_fn(async |_: Request<ReceivedBody>| Err::<Response<Full<Bytes>>, _>("out of order"));
    let post = Post::signed("x");
    let failure = TowerLayer::new(warden).layer(failing).oneshot(post.request(Frames::pieces(b"x", 1))).await;
    assert_eq!(failure.err(), Some("out of order"));
    assert_eq!(events.only().await.outcome, Outcome::Released);
}

/// A service that fails before it is called.
#[derive(Clone)]
struct NeverReady;

impl Service<Request<ReceivedBody>> for NeverReady {
    type Response = Response<Full<Bytes>>;
    type Error = &'static str;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Err("out of order"))
    }

    fn call(&mut self, _: Request<ReceivedBody>) -> Self::Future {
        panic!("it was not ready")
    }
}

#[tokio::test]
async fn service_failing_in_readiness_releases() {
    let (observer, events) = events();
    let builder = Warden::builder(Scheme::timestamped()).sender(ID, keyring(&Scheme::timestamped(), SECRET));
    let warden = builder.webhook_id(IdSource::fixed(ID)).observer(observer).build().unwrap();
    let post = Post::signed("x");
    let request = || post.request(Frames::pieces(b"x", 1));
    let layer = TowerLayer::new(warden);
    assert_eq!(layer.layer(NeverReady).oneshot(request()).await.err(), Some("out of order"));
    let handler = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    assert_eq!(layer.layer(handler).oneshot(request()).await.unwrap().status(), StatusCode::OK);
    drop(layer);
    assert_eq!(events.outcomes().await, [Outcome::Released, Outcome::Accepted]);
}

#[tokio::test]
async fn service_busy_beyond_the_lease_releases() {
    let (observer, events) = events();
    // The clock does not advance, so the claim does not expire.
    let clock = TestClock::default();
    let warden = Warden::builder(Scheme::timestamped())
        .sender(ID, keyring(&Scheme::timestamped(), SECRET))
        .webhook_id(IdSource::fixed(ID))
        .replay(Replay::new().lease(Duration::from_millis(20)))
        .clock(clock.clone())
        .observer(observer)
        .build()
        .unwrap();
    let handler = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let mut busy = ConcurrencyLimit::new(handler, 1);
    let service = TowerLayer::new(warden.clone()).layer(busy.clone());
    busy.ready().await.unwrap();
    let post = Post::signed_at("x", clock.now().wall);
    let request = || post.request(Full::<Bytes>::from("x"));
    let refused = timeout(PATIENCE, service.clone().oneshot(request())).await.unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    // The only permit is free again.
    drop(busy);
    assert_eq!(service.clone().oneshot(request()).await.unwrap().status(), StatusCode::OK);
    drop((service, warden));
    assert_eq!(events.outcomes().await, [Outcome::Released, Outcome::Accepted]);
}

/// A request holds the only permit of all connections. Refusals need none, and a genuine request waits for it.
#[tokio::test]
async fn only_admitted_requests_wait_for_a_busy_service() {
    let (started, mut starts) = unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let waiting = go_on.clone();
    let handler = post(async move || {
        started.send(()).unwrap();
        waiting.notified().await;
    });
    let layers = ServiceBuilder::new()
        .layer(WardenLayer::new(warden().build().unwrap()))
        .layer(GlobalConcurrencyLimitLayer::new(1));
    let receiver = Receiver::axum(Router::new().route("/webhooks/{id}", handler.layer(layers))).await;
    let [mut first, mut second] = [receiver.connect().await, receiver.connect().await];
    first.send(&Post::signed("first").sized()).await;
    starts.recv().await.unwrap();
    // The body of this request never arrives.
    let mut stalled = receiver.connect().await;
    stalled.send(&Post::signed("stalled").head("Content-Length: 100\r\n")).await;
    let forged = Post::signed("x").carrying("y").sized();
    assert_eq!(receiver.connect().await.exchange(&forged).await.unwrap().status, 401);

    second.send(&Post::signed("second").sized()).await;
    assert_silent(second.answer()).await;
    assert_eq!(starts.try_recv(), Err(TryRecvError::Empty));
    for connection in [&mut first, &mut second] {
        go_on.notify_one();
        assert_eq!(connection.answer().await.unwrap().status, 200);
    }
}

/// hyper runs each stream of a connection as a task. Here one is still polled after the server has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_handler_outlives_its_client() {
    let (observer, events) = events();
    let warden = warden().webhook_id(IdSource::fixed(ID)).observer(observer).build().unwrap();
    let (started, mut starts) = unbounded_channel();
    let (go_on, waiting) = std::sync::mpsc::channel::<()>();
    let waiting = Arc::new(Mutex::new(waiting));
    let handler = post(async move || {
        started.send(()).unwrap();
        block_in_place(|| waiting.lock().unwrap().recv()).unwrap();
    });
    let router = Router::new().route("/webhooks/{id}", handler.layer(WardenLayer::new(warden.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let server = tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(stopped).into_future());

    let (mut requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let client = tokio::spawn(connection);
    let post = Post::signed("x").to(&format!("http://localhost{PATH}"));
    let asking = tokio::spawn(async move { requests.send_request(post.request(Full::<Bytes>::from("x"))).await });
    timeout(PATIENCE, starts.recv()).await.unwrap().unwrap();
    stop.send(()).unwrap();
    client.abort();
    asking.abort();
    timeout(PATIENCE, server).await.unwrap().unwrap().unwrap();

    assert_eq!(warden.wait_for_handlers(PATIENCE).now_or_never(), None);
    go_on.send(()).unwrap();
    assert_eq!(warden.wait_for_handlers(PATIENCE).await, 0);
    drop(warden);
    assert_eq!(events.only().await.outcome, Outcome::Accepted);
}

#[tokio::test]
async fn http_2_answers_never_close_the_connection() {
    let handler =
        service_fn(async |_: Request<ReceivedBody>| Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let warden = warden().webhook_id(IdSource::fixed(ID)).build().unwrap();
    for (version, expected) in
        [(Version::HTTP_10, Some("close")), (Version::HTTP_11, Some("close")), (Version::HTTP_2, None)]
    {
        let mut request = Post::signed_at("x", now(-400)).request(Full::<Bytes>::from("x"));
        *request.version_mut() = version;
        let refused = TowerLayer::new(warden.clone()).layer(handler).oneshot(request).await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{version:?}");
        let connection = refused.headers().get("connection").map(|value| value.to_str().unwrap());
        assert_eq!(connection, expected, "{version:?}");
    }
}

#[tokio::test]
async fn tower_layer_logs_fix_for_path_parameter() {
    let (log, logging) = Log::record();
    let (observer, events) = events();
    // The layer of tower cannot read the parameter, even if the route has it.
    let warden = warden().observer(observer).build().unwrap();
    let router = Router::new().route("/webhooks/{id}", post(async || ())).route_layer(TowerLayer::new(warden));
    let status = answer(router, Post::signed("x").into_request()).await.0;
    drop(logging);
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let fixes = ["`{id}`", "IdSource::path_segment(", "IdSource::header(", "hookwarden::axum::WardenLayer"];
    log.assert_one_line("ERROR hookwarden::tower the tower layer reads no path parameters", &fixes);
    assert_eq!(events.only().await.outcome, Outcome::Refused(RefusalReason::Misconfigured));
}

#[tokio::test]
async fn tower_layer_ignores_framework_extensions() {
    let (observer, events) = events();
    let warden = warden().webhook_id(IdSource::path_segment(0)).observer(observer).build().unwrap();
    let nested = Router::new().route("/{id}", post(async || ())).route_layer(TowerLayer::new(warden));
    let peer = ConnectInfo(SocketAddr::from(([203, 0, 113, 7], 1337)));
    // The layer of tower sees the path that the router shortened, and does not know the peer.
    let router = Router::new().nest("/webhooks", nested).layer(Extension(peer));
    assert_eq!(answer(router, Post::signed("x").into_request()).await.0, StatusCode::OK);
    let event = events.only().await;
    assert_eq!((event.outcome, event.peer, event.webhook_id.as_deref()), (Outcome::Accepted, None, Some(ID)));
}

//! `WardenLayer` around handlers that know nothing of it, on axum and on bare hyper.
#![cfg(all(feature = "actix", feature = "axum", feature = "testing"))]

#[path = "util/log.rs"]
mod log;
mod util;

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Form, Json};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, post};
use axum::{Router, body::Bytes};
use hookwarden::axum::WardenLayer;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::scheme::SignedPart;
use hookwarden::tower::{VerifiedBody, WardenLayer as TowerLayer};
use hookwarden::warden::{Replay, VerifiedDelivery};
use hookwarden::{IdSource, Key, Keyring, Reason, Scheme, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};

use log::Log;
use util::events::events;
use util::frames::Frames;
use util::receiver::{Bench, Receiver, Server};
use util::sender::{ID, PATH, Post, SECRET, keyring, now, signer, warden};

#[derive(serde::Deserialize)]
struct Order {
    id: u64,
    note: String,
}

/// A handler with its name, and the type and text of a body with what it answers to that.
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

/// A way to put the layer on a route, with its name and the path of the route before the sender's own.
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
async fn unchanged_handler_is_served_and_guarded_wherever_the_layer_is_put() {
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
async fn route_layer_leaves_other_paths_and_methods_to_the_router() {
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

/// A scheme that signs the method and the path too.
fn path_signing() -> Scheme {
    let dot = || SignedPart::literal(".");
    let parts = [
        SignedPart::Method,
        SignedPart::literal(" "),
        SignedPart::Path,
        dot(),
        SignedPart::Timestamp,
        dot(),
        SignedPart::Body,
    ];
    Scheme::timestamped().into_builder().name("path-signing").signed(parts).build().expect("a scheme")
}

#[tokio::test]
async fn path_is_judged_as_the_sender_wrote_it() {
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
async fn middleware_that_rewrites_the_uri_does_not_change_the_signed_path() {
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

/// Bodies that are no text, and the sizes of the pieces that they come in.
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
async fn body_reaches_the_handler_byte_for_byte_in_whatever_frames_it_came() {
    let warden = warden().build().unwrap();
    let handler = async |request: Request<Body>| request.into_body();
    let router = Router::new().route("/webhooks/{id}", post(handler)).route_layer(WardenLayer::new(warden));
    for (body, size) in bodies() {
        for alternate in [1, 2] {
            // Every second round, large and small frames take turns.
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
async fn body_reaches_the_handler_byte_for_byte_in_whatever_chunks_it_was_sent() {
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
async fn bare_hyper_takes_the_id_from_a_path_segment() {
    let warden = warden().webhook_id(IdSource::path_segment(2)).build().unwrap();
    let handler = service_fn(async |request: Request<VerifiedBody>| {
        let id = request.extensions().get::<VerifiedDelivery>().map(|facts| facts.webhook_id().to_owned());
        let body = request.into_body().collect().await.unwrap_or_else(|never| match never {}).to_bytes();
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
async fn every_source_of_the_id_finds_it() {
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
async fn service_that_fails_passes_its_error_on_and_is_released() {
    let (observer, events) = events();
    let warden = warden().webhook_id(IdSource::fixed(ID)).observer(observer).build().unwrap();
    let failing = service_fn(async |_: Request<VerifiedBody>| Err::<Response<Full<Bytes>>, _>("out of order"));
    let post = Post::signed("x");
    let failure = TowerLayer::new(warden).layer(failing).oneshot(post.request(Frames::pieces(b"x", 1))).await;
    assert_eq!(failure.err(), Some("out of order"));
    assert_eq!(events.only().await.outcome, Outcome::Released);
}

#[tokio::test]
async fn tower_layer_refuses_a_path_parameter_and_logs_the_fix() {
    let (log, logging) = Log::record();
    let (observer, events) = events();
    // Even on a route that has the parameter.
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
async fn tower_layer_reads_nothing_that_a_framework_left() {
    let (observer, events) = events();
    let warden = warden().webhook_id(IdSource::path_segment(0)).observer(observer).build().unwrap();
    let nested = Router::new().route("/{id}", post(async || ())).route_layer(TowerLayer::new(warden));
    let peer = ConnectInfo(SocketAddr::from(([203, 0, 113, 7], 1337)));
    // The path that the router shortened counts, and the peer is not known.
    let router = Router::new().nest("/webhooks", nested).layer(Extension(peer));
    assert_eq!(answer(router, Post::signed("x").into_request()).await.0, StatusCode::OK);
    let event = events.only().await;
    assert_eq!((event.outcome, event.peer, event.webhook_id.as_deref()), (Outcome::Accepted, None, Some(ID)));
}

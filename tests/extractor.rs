//! The extractor `Webhook<T>`, behind the layer and by the Warden in the router's state.
#![cfg(all(feature = "actix", feature = "axum", feature = "testing"))]

mod util;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Form, FromRef, Json, State};
use axum::middleware::map_request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use hookwarden::axum::{StateWarden, WardenLayer, Webhook};
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::scheme::SignedPart;
use hookwarden::warden::BodyLimits;
use hookwarden::{Reason, Scheme, Warden};
use http_body_util::BodyExt as _;
use hyper::{Request, StatusCode};
use tokio::sync::mpsc::unbounded_channel;
use tower::ServiceExt as _;

use util::events::{Events, events};
use util::frames::Frames;
use util::receiver::Receiver;
use util::sender::{ID, PATH, Post, SECRET, keyring, now, signer, warden};

const ROUTE: &str = "/webhooks/{id}";

#[derive(Debug, serde::Deserialize)]
struct Order {
    id: u64,
    note: String,
}

/// A state that holds a Warden among other things.
#[derive(Clone)]
struct AppState {
    warden: Warden,
    greeting: &'static str,
}

impl FromRef<AppState> for Warden {
    fn from_ref(state: &AppState) -> Self {
        state.warden.clone()
    }
}

/// A Warden and its events.
fn observed() -> (Warden, Events) {
    let (observer, events) = events();
    (warden().observer(observer).build().expect("a Warden"), events)
}

async fn answer(router: Router, request: Request<Body>) -> (StatusCode, Bytes) {
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status();
    (status, response.into_body().collect().await.expect("a body").to_bytes())
}

/// The handlers take each kind of payload, say that their work is done and answer with what they understood.
fn handlers<S>() -> [(&'static str, MethodRouter<S>, &'static str, &'static str, &'static str); 4]
where
    S: Clone + Send + Sync + 'static,
    StateWarden: FromRef<S>,
{
    let order = |Order { id, note }| format!("{id} {note}");
    [
        (
            "Bytes",
            post(async |webhook: Webhook<Bytes>| webhook.commit()),
            "image/gif",
            "\r\nas it is ",
            "\r\nas it is ",
        ),
        ("String", post(async |webhook: Webhook<String>| webhook.commit()), "text/plain", "größer", "größer"),
        (
            "Json",
            post(async move |webhook: Webhook<Json<Order>>| order(webhook.commit().0)),
            "application/json",
            r#"{"more": [1], "note": "x", "id": 7}"#,
            "7 x",
        ),
        (
            "Form",
            post(async move |webhook: Webhook<Form<Order>>| order(webhook.commit().0)),
            "application/x-www-form-urlencoded",
            "id=7&note=a+b%21",
            "7 a b!",
        ),
    ]
}

async fn assert_accepts_and_refuses<S>(place: &str, arrange: impl Fn(Warden, MethodRouter<S>) -> Router)
where
    S: Clone + Send + Sync + 'static,
    StateWarden: FromRef<S>,
{
    for (payload, handler, content_type, body, understood) in handlers::<S>() {
        let (warden, events) = observed();
        let router = arrange(warden, handler);
        let post = Post::signed(body).with("Content-Type", content_type);
        let forged = post.clone().carrying(format!("{body} "));

        let accepted = answer(router.clone(), post.into_request()).await;
        assert_eq!(accepted, (StatusCode::OK, Bytes::from(understood)), "{payload}, {place}");
        let refused = answer(router, forged.into_request()).await;
        assert_eq!(refused, (StatusCode::UNAUTHORIZED, Bytes::new()), "{payload}, {place}");
        let outcomes = [Outcome::Accepted, Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch))];
        assert_eq!(events.outcomes().await, outcomes, "{payload}, {place}");
    }
}

#[tokio::test]
async fn webhook_is_accepted_and_refused_wherever_its_warden_is() {
    assert_accepts_and_refuses::<()>("layer", |warden, handler| {
        Router::new().route(ROUTE, handler.layer(WardenLayer::new(warden)))
    })
    .await;
    assert_accepts_and_refuses::<Warden>("state", |warden, handler| {
        Router::new().route(ROUTE, handler).with_state(warden)
    })
    .await;
    assert_accepts_and_refuses::<AppState>("part of the state", |warden, handler| {
        Router::new().route(ROUTE, handler).with_state(AppState { warden, greeting: "" })
    })
    .await;
    assert_accepts_and_refuses::<AppState>("part of the state, nested", |warden, handler| {
        let nested = Router::new().route("/{id}", handler);
        Router::new().nest("/webhooks", nested).with_state(AppState { warden, greeting: "" })
    })
    .await;
    assert_accepts_and_refuses::<Warden>("layer, and another in the state", |warden, handler| {
        let (other, events) = observed();
        drop(events);
        Router::new().route(ROUTE, handler.layer(WardenLayer::new(warden))).with_state(other)
    })
    .await;
}

#[tokio::test]
async fn facts_and_other_extractors_stand_beside_the_payload() {
    let handler = async |State(state): State<AppState>, webhook: Webhook<String>| {
        let facts = webhook.delivery();
        let time = facts.timestamp().unwrap().as_unix();
        let text = format!("{} {} {} {time}", state.greeting, facts.webhook_id(), facts.key_id());
        webhook.commit();
        text
    };
    let (warden, _events) = observed();
    let router = Router::new().route(ROUTE, post(handler)).with_state(AppState { warden, greeting: "hello" });
    let time = now(-42);
    let answer = answer(router, Post::signed_at("x", time).into_request()).await;
    assert_eq!(answer, (StatusCode::OK, Bytes::from(format!("hello acme default {}", time.as_unix()))));
}

#[tokio::test]
async fn state_verifies_the_path_as_the_sender_wrote_it() {
    let scheme = Scheme::timestamped().into_builder().name("path-signing").signed([
        SignedPart::Path,
        SignedPart::Timestamp,
        SignedPart::Body,
    ]);
    let scheme = scheme.build().unwrap();
    let keys = keyring(&scheme, SECRET);
    let warden = Warden::builder(scheme.clone()).sender(ID, keys).build().unwrap();
    let nested = Router::new().route("/{id}", post(async |webhook: Webhook<Bytes>| webhook.commit()));
    let router = Router::new().nest("/webhooks", nested).with_state(warden);
    let signer = signer(scheme, SECRET);
    for (path, status) in [(PATH, StatusCode::OK), ("/acme", StatusCode::UNAUTHORIZED)] {
        let post = Post::signed_by(&signer, path, &[], "x", now(0)).to(PATH);
        assert_eq!(answer(router.clone(), post.into_request()).await.0, status, "signed for {path}");
    }
}

#[tokio::test]
async fn webhook_without_any_warden_is_a_500_that_is_logged() {
    let log = Log::default();
    let logging = tracing::subscriber::set_default(log.clone());
    let router: Router = Router::new().route(ROUTE, post(async |webhook: Webhook<Bytes>| webhook.commit()));
    let answer = answer(router, Post::signed("x").into_request()).await;
    drop(logging);
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()));
    let lines = log.lines.lock().unwrap().clone();
    let [line] = lines.as_slice() else { panic!("not one line: {lines:?}") };
    assert!(line.starts_with("ERROR hookwarden::axum ") && line.contains("without a WardenLayer"), "{line}");
}

#[tokio::test]
async fn payload_is_parsed_only_after_the_verdict() {
    let json = "application/json";
    for (content_type, body, status) in [
        (json, r#"{"id": 7"#, StatusCode::BAD_REQUEST),
        (json, r#"{"id": "seven", "note": ""}"#, StatusCode::UNPROCESSABLE_ENTITY),
        ("text/plain", r#"{"id": 7, "note": ""}"#, StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        for place in 0..2 {
            let (warden, events) = observed();
            let handler = post(async |webhook: Webhook<Json<Order>>| drop(webhook.commit()));
            let router = routers(&warden, handler)[place].clone();
            drop(warden);
            let post = Post::signed(body).with("Content-Type", content_type);
            let forged = post.clone().carrying(format!("{body} "));

            let refused = answer(router.clone(), forged.into_request()).await;
            assert_eq!(refused, (StatusCode::UNAUTHORIZED, Bytes::new()), "{body}");
            assert_eq!(answer(router, post.into_request()).await.0, status, "{body}");
            let outcomes = [Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)), Outcome::Released];
            assert_eq!(events.outcomes().await, outcomes, "{body}, place {place}");
        }
    }
}

#[tokio::test]
async fn without_a_layer_commit_accepts_and_anything_else_releases() {
    type Handler = fn() -> MethodRouter<Warden>;
    let cases: [(&str, Handler, Outcome); 5] = [
        ("commit", || post(async |webhook: Webhook<Bytes>| webhook.commit()), Outcome::Accepted),
        (
            "commit, then 500",
            || {
                post(async |webhook: Webhook<Bytes>| {
                    webhook.commit();
                    StatusCode::INTERNAL_SERVER_ERROR
                })
            },
            Outcome::Accepted,
        ),
        ("drop, then 200", || post(async |_: Webhook<Bytes>| StatusCode::OK), Outcome::Released),
        ("payload taken, then 200", || post(async |webhook: Webhook<Bytes>| webhook.payload), Outcome::Released),
        ("500", || post(async |_: Webhook<Bytes>| StatusCode::INTERNAL_SERVER_ERROR), Outcome::Released),
    ];
    for (case, handler, outcome) in cases {
        let (warden, events) = observed();
        let router = Router::new().route(ROUTE, handler()).with_state(warden);
        answer(router, Post::signed("x").into_request()).await;
        assert_eq!(events.only().await.outcome, outcome, "{case}");
    }
}

#[tokio::test]
async fn with_the_layer_the_status_decides() {
    for (status, outcome) in [
        (200, Outcome::Accepted),
        (202, Outcome::Accepted),
        (204, Outcome::Accepted),
        (302, Outcome::Released),
        (304, Outcome::Released),
        (400, Outcome::Released),
        (404, Outcome::Released),
        (429, Outcome::Released),
        (500, Outcome::Released),
        (503, Outcome::Released),
    ] {
        for committing in [true, false] {
            let (warden, events) = observed();
            let status = StatusCode::from_u16(status).unwrap();
            let handler = post(async move |webhook: Webhook<Bytes>| {
                // Behind the layer a commit by hand changes nothing.
                if committing {
                    webhook.commit();
                }
                status
            });
            let router = Router::new().route(ROUTE, handler.layer(WardenLayer::new(warden)));
            assert_eq!(answer(router, Post::signed("x").into_request()).await.0, status);
            assert_eq!(events.only().await.outcome, outcome, "{status}, commit: {committing}");
        }
    }
}

/// A router for each place of the Warden.
fn routers(warden: &Warden, handler: MethodRouter<Warden>) -> [Router; 2] {
    let layer = WardenLayer::new(warden.clone());
    [
        Router::new().route(ROUTE, handler.clone().layer(layer)).with_state(warden.clone()),
        Router::new().route(ROUTE, handler).with_state(warden.clone()),
    ]
}

#[tokio::test]
async fn handler_that_panics_releases_once() {
    for place in 0..2 {
        let (warden, mut events) = observed();
        let handler = post(async |webhook: Webhook<String>| -> Response {
            if webhook.payload == "panic" {
                panic!("as this test wants it");
            }
            webhook.commit().into_response()
        });
        let receiver = Receiver::axum(routers(&warden, handler)[place].clone()).await;
        drop(warden);
        let mut connection = receiver.connect().await;
        assert_eq!(connection.exchange(&Post::signed("panic").sized()).await, None);
        assert_eq!(events.next().await.outcome, Outcome::Released);
        let mut next = receiver.connect().await;
        assert_eq!(next.exchange(&Post::signed("fine").sized()).await.unwrap().status, 200);
        drop((receiver, connection, next));
        assert_eq!(events.only().await.outcome, Outcome::Accepted);
    }
}

#[tokio::test]
async fn client_that_leaves_while_the_handler_works_releases_once() {
    for place in 0..2 {
        let (warden, mut events) = observed();
        let (started, mut starts) = unbounded_channel();
        let handler = post(async move |_: Webhook<String>| {
            started.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        let receiver = Receiver::axum(routers(&warden, handler)[place].clone()).await;
        drop(warden);
        let mut connection = receiver.connect().await;
        connection.send(&Post::signed("x").sized()).await;
        starts.recv().await.unwrap();
        drop(connection);
        assert_eq!(events.next().await.outcome, Outcome::Released);
        drop(receiver);
        assert!(events.rest().await.is_empty());
    }
}

#[tokio::test]
async fn client_that_leaves_within_its_body_is_one_event() {
    for place in 0..2 {
        let (warden, mut events) = observed();
        let handler = post(async |webhook: Webhook<String>| webhook.commit());
        let receiver = Receiver::axum(routers(&warden, handler)[place].clone()).await;
        drop(warden);
        for framing in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
            let mut connection = receiver.connect().await;
            connection.send(&Post::signed("x").head(framing)).await;
            connection.send(b"5\r\nabcde\r\n").await;
            drop(connection);
            assert_eq!(events.next().await.outcome, Outcome::Refused(RefusalReason::BodyInterrupted), "{framing}");
        }
        drop(receiver);
        assert!(events.rest().await.is_empty());
    }
}

#[tokio::test]
async fn middleware_behind_the_layer_cannot_change_what_was_verified() {
    let (warden, events) = observed();
    let replaced = map_request(async |request: Request<Body>| request.map(|_| Body::from("injected")));
    let verified = post(async |webhook: Webhook<Bytes>| webhook.commit()).layer(replaced.clone());
    let unaware = post(async |body: Bytes| body).layer(replaced);
    let layer = WardenLayer::new(warden);
    let router = Router::new().route(ROUTE, verified).route("/unaware/{id}", unaware).route_layer(layer);
    let post = Post::signed("verified");
    assert_eq!(answer(router.clone(), post.clone().into_request()).await.1, "verified");
    // The middleware is really there.
    assert_eq!(answer(router, post.to("/unaware/acme").into_request()).await.1, "injected");
    assert_eq!(events.outcomes().await, [Outcome::Accepted; 2]);
}

#[tokio::test]
async fn cap_of_the_warden_holds_and_axums_does_not_bite() {
    let sum = async |webhook: Webhook<Bytes>| webhook.commit().len().to_string();
    let mebibytes = |count: usize| vec![b'm'; count * 1024 * 1024];
    let unchanged = async |body: Bytes| body.len().to_string();
    let warden = warden().body(BodyLimits::new().max_bytes(4 * 1024 * 1024)).build().unwrap();
    let [layered, by_state] = routers(&warden, post(sum));
    let layered_unchanged = Router::new().route(ROUTE, post(unchanged).layer(WardenLayer::new(warden)));
    for router in [layered, by_state, layered_unchanged] {
        for (body, expected) in [
            (mebibytes(3), (StatusCode::OK, Bytes::from("3145728"))),
            (mebibytes(4), (StatusCode::OK, Bytes::from("4194304"))),
            (mebibytes(5), (StatusCode::PAYLOAD_TOO_LARGE, Bytes::new())),
        ] {
            let post = Post::signed(body);
            assert_eq!(answer(router.clone(), post.clone().into_request()).await, expected);
            let unknown_length = Body::new(Frames::pieces(&post.body, 64 * 1024));
            assert_eq!(answer(router.clone(), post.request(unknown_length)).await, expected);
        }
    }
}

/// The lines that were logged, as `LEVEL target message`.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = format!("{} {} ", event.metadata().level(), event.metadata().target());
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            if field.name() == "message" {
                line.push_str(&format!("{value:?}"));
            }
        });
        self.lines.lock().expect("no panic while logging").push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

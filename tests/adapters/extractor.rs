//! axum's extractors: `Webhook<T>` behind the layer, and `UncommittedWebhook<T>` with the Warden in the router's state.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{Form, FromRef, FromRequest, Json, RawQuery, State};
use axum::middleware::map_request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use hookwarden::axum::{UncommittedWebhook, WardenLayer, WardenState, Webhook, WebhookRejection};
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::scheme::SignedPart;
use hookwarden::warden::{Answer, AnswerBody, BodyLimits, Quotas, VerifiedDelivery, WardenBuilder};
use hookwarden::{IdSource, Quota, Reason, Scheme, Warden};
use http_body_util::BodyExt as _;
use hyper::{Request, StatusCode};
use tokio::sync::mpsc::unbounded_channel;
use tower::ServiceExt as _;

use crate::harness::events::{Events, events};
use crate::harness::frames::Frames;
use crate::harness::receiver::Receiver;
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring, now, signer, warden};
use crate::log::Log;

const ROUTE: &str = "/webhooks/{id}";

#[derive(Debug, serde::Deserialize)]
struct Order {
    id: u64,
    note: String,
}

/// A state with a Warden and other fields.
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

fn observed() -> (Warden, Events) {
    let (observer, events) = events();
    (warden().observer(observer).build().expect("a Warden"), events)
}

async fn answer(router: Router, request: Request<Body>) -> (StatusCode, Bytes) {
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status();
    (status, response.into_body().collect().await.expect("a body").to_bytes())
}

/// A kind of payload, a handler that answers with the parsed content, and the content type and text of a body.
type Handler<S> = (&'static str, MethodRouter<S>, &'static str, &'static str, &'static str);

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const ORDER: &str = r#"{"more": [1], "note": "x", "id": 7}"#;

fn text_of(Order { id, note }: Order) -> String {
    format!("{id} {note}")
}

/// Handlers behind the layer, for any state.
fn handlers<S: Clone + Send + Sync + 'static>() -> [Handler<S>; 4] {
    [
        ("Bytes", post(async |webhook: Webhook<Bytes>| webhook.payload), "image/gif", "\r\nas it is ", "\r\nas it is "),
        ("String", post(async |webhook: Webhook<String>| webhook.payload), "text/plain", "größer", "größer"),
        ("Json", post(async |webhook: Webhook<Json<Order>>| text_of(webhook.payload.0)), JSON, ORDER, "7 x"),
        (
            "Form",
            post(async |webhook: Webhook<Form<Order>>| text_of(webhook.payload.0)),
            FORM,
            "id=7&note=a+b%21",
            "7 a b!",
        ),
    ]
}

/// Commits a webhook and returns its payload.
fn committed<T>(webhook: UncommittedWebhook<T>) -> T {
    let (payload, admitted) = webhook.into_parts();
    admitted.commit();
    payload
}

/// Handlers without a layer that commit.
fn committing_handlers<S>() -> [Handler<S>; 4]
where
    S: WardenState + Clone + Send + Sync + 'static,
{
    [
        (
            "Bytes",
            post(async |webhook: UncommittedWebhook<Bytes>| committed(webhook)),
            "image/gif",
            "\r\nas it is ",
            "\r\nas it is ",
        ),
        (
            "String",
            post(async |webhook: UncommittedWebhook<String>| committed(webhook)),
            "text/plain",
            "größer",
            "größer",
        ),
        (
            "Json",
            post(async |webhook: UncommittedWebhook<Json<Order>>| text_of(committed(webhook).0)),
            JSON,
            ORDER,
            "7 x",
        ),
        (
            "Form",
            post(async |webhook: UncommittedWebhook<Form<Order>>| text_of(committed(webhook).0)),
            FORM,
            "id=7&note=a+b%21",
            "7 a b!",
        ),
    ]
}

async fn assert_accepts_and_refuses<S>(
    place: &str,
    handlers: [Handler<S>; 4],
    arrange: impl Fn(Warden, MethodRouter<S>) -> Router,
) {
    for (payload, handler, content_type, body, understood) in handlers {
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

/// A state without a Warden.
#[derive(Clone)]
struct Greeting(&'static str);

#[tokio::test]
async fn webhook_extractor_works_with_and_without_layer() {
    assert_accepts_and_refuses("layer", handlers::<()>(), |warden, handler| {
        Router::new().route(ROUTE, handler.layer(WardenLayer::new(warden)))
    })
    .await;
    assert_accepts_and_refuses("layer, and a state", handlers::<Greeting>(), |warden, handler| {
        Router::new().route(ROUTE, handler.layer(WardenLayer::new(warden))).with_state(Greeting(""))
    })
    .await;
    assert_accepts_and_refuses("layer, and another in the state", handlers::<Warden>(), |warden, handler| {
        let (other, events) = observed();
        drop(events);
        Router::new().route(ROUTE, handler.layer(WardenLayer::new(warden))).with_state(other)
    })
    .await;
    assert_accepts_and_refuses("state", committing_handlers::<Warden>(), |warden, handler| {
        Router::new().route(ROUTE, handler).with_state(warden)
    })
    .await;
    assert_accepts_and_refuses("part of the state", committing_handlers::<AppState>(), |warden, handler| {
        Router::new().route(ROUTE, handler).with_state(AppState { warden, greeting: "" })
    })
    .await;
    assert_accepts_and_refuses("part of the state, nested", committing_handlers::<AppState>(), |warden, handler| {
        let nested = Router::new().route("/{id}", handler);
        Router::new().nest("/webhooks", nested).with_state(AppState { warden, greeting: "" })
    })
    .await;
}

#[tokio::test]
async fn handler_behind_the_layer_takes_any_state() {
    let handler = async |State(Greeting(greeting)): State<Greeting>, webhook: Webhook<Json<Order>>| {
        let Json(order) = &webhook.payload;
        format!("{greeting} {} {} {}", webhook.delivery().webhook_id(), order.id, order.note)
    };
    // A handler that doesn't know about the layer.
    let unaware = async |State(Greeting(greeting)): State<Greeting>, Json(order): Json<Order>| {
        format!("{greeting} {}", text_of(order))
    };
    let around_the_routes = |warden| {
        let router = Router::new().route(ROUTE, post(handler)).route("/unaware/{id}", post(unaware));
        router.route_layer(WardenLayer::new(warden))
    };
    let around_each_handler = |warden: Warden| {
        let layer = WardenLayer::new(warden);
        let router = Router::new().route(ROUTE, post(handler).layer(layer.clone()));
        router.route("/unaware/{id}", post(unaware).layer(layer))
    };
    let arrangements: [&dyn Fn(Warden) -> Router<Greeting>; 2] = [&around_the_routes, &around_each_handler];
    for arrange in arrangements {
        let (warden, _events) = observed();
        let router = arrange(warden).with_state(Greeting("hello"));
        let post = Post::signed(ORDER).with("Content-Type", JSON);
        let understood = answer(router.clone(), post.clone().into_request()).await;
        assert_eq!(understood, (StatusCode::OK, Bytes::from("hello acme 7 x")));
        let unaware = answer(router.clone(), post.clone().to("/unaware/acme").into_request()).await;
        assert_eq!(unaware, (StatusCode::OK, Bytes::from("hello 7 x")));
        let forged = answer(router, post.carrying("{}").into_request()).await;
        assert_eq!(forged, (StatusCode::UNAUTHORIZED, Bytes::new()));
    }
}

#[tokio::test]
async fn get_challenge_is_answered_beside_guarded_post() {
    // Meta's request at registration; the GET is not signed.
    let challenge = async |RawQuery(query): RawQuery| {
        let query = query.unwrap_or_default();
        let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        match (value("hub.verify_token"), value("hub.challenge")) {
            (Some("a-token-of-our-own"), Some(challenge)) => (StatusCode::OK, challenge.to_owned()),
            _ => (StatusCode::FORBIDDEN, String::new()),
        }
    };
    let handler = async |webhook: Webhook<Bytes>| webhook.payload;
    let (warden, events) = observed();
    let guarded = post(handler).layer(WardenLayer::new(warden));
    let router = Router::new().route(ROUTE, guarded.get(challenge));
    let get = |query: &str| Request::get(format!("{PATH}?{query}")).body(Body::empty()).unwrap();
    let right = answer(router.clone(), get("hub.verify_token=a-token-of-our-own&hub.challenge=1158201444")).await;
    assert_eq!(right, (StatusCode::OK, Bytes::from("1158201444")));
    let wrong = answer(router.clone(), get("hub.verify_token=guessed&hub.challenge=1158201444")).await;
    assert_eq!(wrong, (StatusCode::FORBIDDEN, Bytes::new()));

    let post = Post::signed("x");
    let accepted = answer(router.clone(), post.clone().into_request()).await;
    assert_eq!(accepted, (StatusCode::OK, Bytes::from("x")));
    for unsigned in [post.clone().carrying("y"), post.without("X-Webhook-Signature")] {
        assert_eq!(answer(router.clone(), unsigned.into_request()).await, (StatusCode::UNAUTHORIZED, Bytes::new()));
    }
    let put = Request::put(PATH).body(Body::empty()).unwrap();
    assert_eq!(answer(router, put).await.0, StatusCode::METHOD_NOT_ALLOWED);
    // The Warden receives every method except GET.
    let outcomes = [
        Outcome::Accepted,
        Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)),
        Outcome::Refused(RefusalReason::Unverified(Reason::MissingHeader)),
        Outcome::Refused(RefusalReason::MethodNotAllowed),
    ];
    assert_eq!(events.outcomes().await, outcomes);
}

#[tokio::test]
async fn delivery_works_beside_other_extractors() {
    let handler = async |State(state): State<AppState>, webhook: UncommittedWebhook<String>| {
        let (payload, admitted) = webhook.into_parts();
        let delivery = admitted.delivery();
        let time = delivery.timestamp().unwrap().as_unix();
        let text = format!("{} {payload} {} {} {time}", state.greeting, delivery.webhook_id(), delivery.key_id());
        admitted.commit();
        text
    };
    let (warden, _events) = observed();
    let router = Router::new().route(ROUTE, post(handler)).with_state(AppState { warden, greeting: "hello" });
    let time = now(-42);
    let answer = answer(router, Post::signed_at("x", time).into_request()).await;
    assert_eq!(answer, (StatusCode::OK, Bytes::from(format!("hello x acme default {}", time.as_unix()))));
}

#[tokio::test]
async fn state_verifies_the_path_as_sent() {
    let scheme = Scheme::timestamped().into_builder().name("path-signing").signed([
        SignedPart::Path,
        SignedPart::literal("\n"),
        SignedPart::Timestamp,
        SignedPart::Body,
    ]);
    let scheme = scheme.build().unwrap();
    let keys = keyring(&scheme, SECRET);
    let warden = Warden::builder(scheme.clone()).sender(ID, keys).build().unwrap();
    let nested = Router::new().route("/{id}", post(async |webhook: UncommittedWebhook<Bytes>| committed(webhook)));
    let router = Router::new().nest("/webhooks", nested).with_state(warden);
    let signer = signer(scheme, SECRET);
    for (path, status) in [(PATH, StatusCode::OK), ("/acme", StatusCode::UNAUTHORIZED)] {
        let post = Post::signed_by(&signer, path, &[], "x", now(0)).to(PATH);
        assert_eq!(answer(router.clone(), post.into_request()).await.0, status, "signed for {path}");
    }
}

#[tokio::test]
async fn webhook_without_a_layer_is_a_logged_500() {
    let (log, logging) = Log::record();
    let (warden, events) = observed();
    let handler = post(async |webhook: Webhook<Bytes>| webhook.payload);
    // A Warden in the state changes nothing.
    let router = Router::new().route(ROUTE, handler).with_state(warden);
    let answer = answer(router, Post::signed("x").into_request()).await;
    drop(logging);
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()));
    let fixes = ["put hookwarden::axum::WardenLayer on the route", "UncommittedWebhook<T>"];
    log.assert_one_line("ERROR hookwarden::axum Webhook<T> was extracted on a route without a WardenLayer", &fixes);
    assert!(events.rest().await.is_empty());
}

#[tokio::test]
async fn uncommitted_webhook_behind_layer_is_logged_500() {
    let (log, logging) = Log::record();
    let (warden, events) = observed();
    let handler = post(async |webhook: UncommittedWebhook<Bytes>| committed(webhook));
    let router = Router::new().route(ROUTE, handler.layer(WardenLayer::new(warden.clone()))).with_state(warden);
    let answer = answer(router, Post::signed("x").into_request()).await;
    drop(logging);
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()));
    let fixes = ["take Webhook<T>", "remove the layer"];
    log.assert_one_line("ERROR hookwarden::axum UncommittedWebhook<T> was extracted behind a WardenLayer", &fixes);
    assert_eq!(events.only().await.outcome, Outcome::Released);
}

#[tokio::test]
async fn payload_is_parsed_only_after_verification() {
    let json = "application/json";
    for (content_type, body, status) in [
        (json, r#"{"id": 7"#, StatusCode::BAD_REQUEST),
        (json, r#"{"id": "seven", "note": ""}"#, StatusCode::UNPROCESSABLE_ENTITY),
        ("text/plain", r#"{"id": 7, "note": ""}"#, StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        for place in 0..2 {
            let (warden, events) = observed();
            let behind = post(async |webhook: Webhook<Json<Order>>| drop(webhook.payload));
            let alone = post(async |webhook: UncommittedWebhook<Json<Order>>| drop(committed(webhook)));
            let router = routers(&warden, behind, alone)[place].clone();
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
async fn without_layer_only_commit_accepts_a_delivery() {
    type Handler = fn() -> MethodRouter<Warden>;
    let cases: [(&str, Handler, Outcome); 5] = [
        ("commit", || post(async |webhook: UncommittedWebhook<Bytes>| committed(webhook)), Outcome::Accepted),
        (
            "commit, then 500",
            || {
                post(async |webhook: UncommittedWebhook<Bytes>| {
                    committed(webhook);
                    StatusCode::INTERNAL_SERVER_ERROR
                })
            },
            Outcome::Accepted,
        ),
        ("drop, then 200", || post(async |_: UncommittedWebhook<Bytes>| StatusCode::OK), Outcome::Released),
        (
            "payload taken, then 200",
            || post(async |webhook: UncommittedWebhook<Bytes>| webhook.into_parts().0),
            Outcome::Released,
        ),
        ("500", || post(async |_: UncommittedWebhook<Bytes>| StatusCode::INTERNAL_SERVER_ERROR), Outcome::Released),
    ];
    for (case, handler, outcome) in cases {
        let (warden, events) = observed();
        let router = Router::new().route(ROUTE, handler()).with_state(warden);
        answer(router, Post::signed("x").into_request()).await;
        assert_eq!(events.only().await.outcome, outcome, "{case}");
    }
}

#[tokio::test]
async fn status_decides_behind_the_layer() {
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
        let (warden, events) = observed();
        let status = StatusCode::from_u16(status).unwrap();
        let handler = post(async move |_: Webhook<Bytes>| status);
        let router = Router::new().route(ROUTE, handler.layer(WardenLayer::new(warden)));
        assert_eq!(answer(router, Post::signed("x").into_request()).await.0, status);
        assert_eq!(events.only().await.outcome, outcome, "{status}");
    }
}

/// Creates two routers: one with the handler behind the layer, and one without a layer.
fn routers(warden: &Warden, behind: MethodRouter, alone: MethodRouter<Warden>) -> [Router; 2] {
    let layer = WardenLayer::new(warden.clone());
    [Router::new().route(ROUTE, behind.layer(layer)), Router::new().route(ROUTE, alone).with_state(warden.clone())]
}

#[tokio::test]
async fn panicking_handler_releases_once() {
    for place in 0..2 {
        let (warden, mut events) = observed();
        let panic_at = |payload: &str| assert_ne!(payload, "panic", "a panic on purpose");
        let behind = post(async move |webhook: Webhook<String>| -> Response {
            panic_at(&webhook.payload);
            webhook.payload.into_response()
        });
        let alone = post(async move |webhook: UncommittedWebhook<String>| -> Response {
            let (payload, admitted) = webhook.into_parts();
            panic_at(&payload);
            admitted.commit();
            payload.into_response()
        });
        let receiver = Receiver::axum(routers(&warden, behind, alone)[place].clone()).await;
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
async fn uncommitted_webhook_of_a_departed_client_releases_once() {
    let (warden, mut events) = observed();
    let (started, mut starts) = unbounded_channel();
    let alone = post(async move |_webhook: UncommittedWebhook<String>| {
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    let [_, router] = routers(&warden, post(async || ()), alone);
    let receiver = Receiver::axum(router).await;
    drop(warden);
    let mut connection = receiver.connect().await;
    connection.send(&Post::signed("x").sized()).await;
    starts.recv().await.unwrap();
    drop(connection);
    assert_eq!(events.next().await.outcome, Outcome::Released);
    drop(receiver);
    assert!(events.rest().await.is_empty());
}

#[tokio::test]
async fn unread_body_refused_by_extractor_closes_connection() {
    for place in 0..2 {
        let (warden, _) = observed();
        let behind = post(async |webhook: Webhook<String>| webhook.payload);
        let alone = post(async |webhook: UncommittedWebhook<String>| committed(webhook));
        let receiver = Receiver::axum(routers(&warden, behind, alone)[place].clone()).await;
        for (body, expected) in [("", None), ("x", Some("close"))] {
            let stale = Post::signed_at(body, now(-400)).sized();
            let answer = receiver.connect().await.exchange(&stale).await.unwrap();
            assert_eq!((answer.status, answer.header("connection")), (401, expected), "{place}, {body:?}");
        }
    }
}

#[tokio::test]
async fn disconnect_within_the_body_is_one_event() {
    for place in 0..2 {
        let (warden, mut events) = observed();
        let behind = post(async |webhook: Webhook<String>| webhook.payload);
        let alone = post(async |webhook: UncommittedWebhook<String>| committed(webhook));
        let receiver = Receiver::axum(routers(&warden, behind, alone)[place].clone()).await;
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
async fn inner_middleware_cannot_change_the_verified_delivery() {
    let (warden, events) = observed();
    let replaced = map_request(async |mut request: Request<Body>| {
        request.extensions_mut().remove::<VerifiedDelivery>();
        request.map(|_| Body::from("injected"))
    });
    let verified = async |webhook: Webhook<Bytes>| {
        assert_eq!(webhook.delivery().webhook_id(), "acme");
        webhook.payload
    };
    let verified = post(verified).layer(replaced.clone());
    let unaware = post(async |body: Bytes| body).layer(replaced);
    let layer = WardenLayer::new(warden);
    let router = Router::new().route(ROUTE, verified).route("/unaware/{id}", unaware).route_layer(layer);
    let post = Post::signed("verified");
    assert_eq!(answer(router.clone(), post.clone().into_request()).await.1, "verified");
    // The middleware does run.
    assert_eq!(answer(router, post.to("/unaware/acme").into_request()).await.1, "injected");
    assert_eq!(events.outcomes().await, [Outcome::Accepted; 2]);
}

#[tokio::test]
async fn only_the_wardens_body_limit_applies() {
    let sum = async |webhook: Webhook<Bytes>| webhook.payload.len().to_string();
    let sum_alone = async |webhook: UncommittedWebhook<Bytes>| committed(webhook).len().to_string();
    let mebibytes = |count: usize| vec![b'm'; count * 1024 * 1024];
    let unchanged = async |body: Bytes| body.len().to_string();
    let warden = warden().body(BodyLimits::new().max_bytes(4 * 1024 * 1024)).build().unwrap();
    let [layered, by_state] = routers(&warden, post(sum), post(sum_alone));
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

#[tokio::test]
async fn rejected_payload_can_be_read_in_the_handler() {
    let (warden, events) = observed();
    type Extracted = Result<Webhook<Json<Order>>, WebhookRejection<axum::extract::rejection::JsonRejection>>;
    let handler = async |webhook: Extracted| match webhook {
        Err(WebhookRejection::Payload(payload)) => (payload.rejection.status(), payload.rejection.body_text()),
        _ => (StatusCode::OK, String::new()),
    };
    let router = Router::new().route(ROUTE, post(handler)).route_layer(WardenLayer::new(warden));
    let post = Post::signed("{").with("Content-Type", JSON);
    let (status, text) = answer(router, post.into_request()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.starts_with(b"Failed to parse the request body as JSON"), "{text:?}");
    assert_eq!(events.only().await.outcome, Outcome::Released);
}

/// Returns a body that shows what the hook received.
fn describe(answer: &Answer) -> Option<AnswerBody> {
    let kind = if answer.is_payload_rejection() { "payload" } else { "refusal" };
    Some(AnswerBody::new("text/x-own", format!("{kind} {}", answer.status().as_u16())))
}

#[tokio::test]
async fn answer_hook_writes_refusals_and_payload_rejections() {
    for place in 0..2 {
        let behind = || post(async |webhook: Webhook<Json<Order>>| text_of(webhook.payload.0));
        let alone = || post(async |webhook: UncommittedWebhook<Json<Order>>| text_of(committed(webhook).0));
        let ask = async |warden: WardenBuilder, post: Post| {
            let warden = warden.build().expect("a Warden");
            let router = routers(&warden, behind(), alone())[place].clone();
            let answer = router.oneshot(post.into_request()).await.unwrap_or_else(|never| match never {});
            let content_type = answer.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
            let status = answer.status().as_u16();
            (status, content_type, answer.into_body().collect().await.expect("a body").to_bytes())
        };
        let good = || Post::signed(ORDER).with("Content-Type", JSON);
        let own = |status, text: &'static str| (status, Some("text/x-own".to_owned()), Bytes::from(text));
        for (post, answer) in [
            (good().carrying("{}"), own(401, "refusal 401")),
            (Post::signed("{").with("Content-Type", JSON), own(400, "payload 400")),
            (Post::signed("{}").with("Content-Type", JSON), own(422, "payload 422")),
            (Post::signed(ORDER).with("Content-Type", "text/plain"), own(415, "payload 415")),
        ] {
            assert_eq!(ask(warden().answer_body(describe), post.clone()).await, answer, "place {place}");
            // Without a body from the hook, the framework's body is sent.
            let unchanged = ask(warden(), post.clone()).await;
            assert_eq!(unchanged.0, answer.0, "place {place}");
            assert_eq!(ask(warden().answer_body(|_| None), post).await, unchanged, "place {place}");
            assert_eq!(unchanged.2.is_empty(), unchanged.0 == 401, "place {place}: {unchanged:?}");
        }
        let (status, _, body) = ask(warden().answer_body(describe), good()).await;
        assert_eq!((status, &body[..]), (200, &b"7 x"[..]), "place {place}");
    }
}

/// An extractor that rejects every payload, and states the length of its answer.
struct Nothing;

impl<S: Sync> FromRequest<S> for Nothing {
    type Rejection = Response;

    async fn from_request(_: Request<Body>, _: &S) -> Result<Self, Response> {
        Err((StatusCode::UNPROCESSABLE_ENTITY, [("content-length", "7")], "nothing").into_response())
    }
}

#[tokio::test]
async fn answer_hook_replaces_the_rejections_length() {
    for place in 0..2 {
        let (writing, silent) = (warden().answer_body(describe), warden().answer_body(|_| None));
        for (warden, body) in [(writing, "payload 422"), (silent, "nothing")] {
            let warden = warden.build().unwrap();
            let behind = post(async |_: Webhook<Nothing>| ());
            let alone = post(async |webhook: UncommittedWebhook<Nothing>| {
                committed(webhook);
            });
            let receiver = Receiver::axum(routers(&warden, behind, alone)[place].clone()).await;
            let answer = receiver.connect().await.exchange(&Post::signed("x").sized()).await.expect("an answer");
            assert_eq!(answer.header("content-length"), Some(&*body.len().to_string()), "place {place}");
            assert_eq!(answer.body, body.as_bytes(), "place {place}");
        }
    }
}

#[tokio::test]
async fn duplicate_answered_200_skips_the_answer_hook() {
    let keys = keyring(&Scheme::timestamped(), SECRET);
    let warden = Warden::builder(Scheme::timestamped()).sender(ID, keys).answer_body(describe).build().unwrap();
    let router = Router::new().route(ROUTE, post(async |_: Webhook<Bytes>| "handled"));
    let router = router.route_layer(WardenLayer::new(warden));
    let post = Post::signed("x");
    assert_eq!(answer(router.clone(), post.clone().into_request()).await.1, "handled");
    assert_eq!(answer(router, post.into_request()).await, (StatusCode::OK, Bytes::new()));
}

#[tokio::test]
async fn mocked_peers_have_separate_quotas() {
    let quota = || Quota::new(3, Duration::from_secs(3_600)).expect("a quota");
    for place in 0..2 {
        let keys = keyring(&Scheme::timestamped(), SECRET);
        let warden = Warden::builder(Scheme::timestamped())
            .sender(ID, keys)
            .quotas(Quotas::new().rejected(quota()).rejected_by_peer(quota()));
        let warden = warden.build().unwrap();
        let behind = post(async |_: Webhook<Bytes>| ());
        let alone = post(async |webhook: UncommittedWebhook<Bytes>| drop(committed(webhook)));
        let router = routers(&warden, behind, alone)[place].clone();
        let from = |peer: [u8; 4]| router.clone().layer(MockConnectInfo(SocketAddr::from((peer, 1337))));
        let forged = Post::signed("x").carrying("y");
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(answer(from([203, 0, 113, 7]), forged.clone().into_request()).await.0.as_u16());
        }
        assert_eq!(statuses, [401, 401, 401, 429], "place {place}");
        let other = answer(from([203, 0, 113, 8]), Post::signed("x").into_request()).await;
        assert_eq!(other.0, StatusCode::OK, "place {place}");
    }
}

#[tokio::test]
async fn missing_path_parameter_is_logged_with_its_name() {
    for place in 0..2 {
        let (observer, events) = events();
        let warden = warden().webhook_id(IdSource::path_parameter("tenant")).observer(observer).build().unwrap();
        let behind = post(async |_: Webhook<Bytes>| ());
        let alone = post(async |webhook: UncommittedWebhook<Bytes>| drop(committed(webhook)));
        let router = routers(&warden, behind, alone)[place].clone();
        drop(warden);
        let (log, logging) = Log::record();
        let status = answer(router, Post::signed("x").into_request()).await.0;
        drop(logging);
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "place {place}");
        let fixes = ["set `webhook_id(IdSource::…)`", "rename the parameter"];
        log.assert_one_line("ERROR hookwarden::axum the route has no `{tenant}` parameter: ", &fixes);
        assert_eq!(events.only().await.outcome, Outcome::Refused(RefusalReason::Misconfigured), "place {place}");
    }
}

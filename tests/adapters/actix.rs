//! The parts that only actix-web has: its extractors with and without the middleware, the guard, and its server's own
//! behavior. `conformance.rs` and `body_limits.rs` test the rest.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::{Payload, Service as _, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{App, HttpMessage as _, HttpRequest, HttpResponse, Route, guard};
use futures_core::Stream;
use hookwarden::actix::{SignedGuard, UncommittedWebhook, WardenMiddleware, Webhook};
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::warden::{Answer, AnswerBody, BodyLimits, Quotas, VerifiedDelivery};
use hookwarden::{IdSource, Quota, Reason, Scheme, Warden};
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;
use tracing::Span;

use crate::harness::PATIENCE;
use crate::harness::events::{Events, events};
use crate::harness::receiver::{Bench, Receiver, Server};
use crate::harness::sender::{ID, Post, SECRET, keyring, now, warden};
use crate::log::Log;

const SIGNATURE: &str = "X-Webhook-Signature";
const ROUTE: &str = "/webhooks/{id}";

#[derive(Debug, serde::Deserialize)]
struct Order {
    id: u64,
    note: String,
}

fn observed() -> (Warden, Events) {
    let (observer, events) = events();
    (warden().observer(observer).build().expect("a Warden"), events)
}

/// A position of the Warden in an application, with its name and whether it is a middleware.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    is_middleware: bool,
    arrange: fn(&mut ServiceConfig, Warden, Route),
}

const WAYS: [Way; 4] = [
    Way {
        name: "middleware",
        is_middleware: true,
        arrange: |config, warden, route| {
            config.service(web::resource(ROUTE).wrap(WardenMiddleware::new(warden)).route(route));
        },
    },
    Way {
        name: "middleware on a nested resource",
        is_middleware: true,
        arrange: |config, warden, route| {
            let resource = web::resource("/{id}").wrap(WardenMiddleware::new(warden)).route(route);
            config.service(web::scope("/webhooks").service(resource));
        },
    },
    Way {
        name: "application's data",
        is_middleware: false,
        arrange: |config, warden, route| {
            config.app_data(warden).service(web::resource(ROUTE).route(route));
        },
    },
    Way {
        name: "application's data behind an Arc",
        is_middleware: false,
        arrange: |config, warden, route| {
            config.app_data(web::Data::new(warden)).service(web::resource(ROUTE).route(route));
        },
    },
];

/// The functions that make the route for a position: with `Webhook<T>`, or with `UncommittedWebhook<T>`, which commits.
#[derive(Clone, Copy)]
struct Routes {
    behind: fn() -> Route,
    alone: fn() -> Route,
}

impl Routes {
    const ECHO: Self = Self {
        behind: || web::post().to(async |webhook: Webhook<Bytes>| webhook.payload),
        alone: || web::post().to(async |webhook: UncommittedWebhook<Bytes>| committed(webhook)),
    };
    const JSON: Self = Self {
        behind: || web::post().to(async |webhook: Webhook<web::Json<Order>>| text_of(webhook.payload.into_inner())),
        alone: || {
            web::post()
                .to(async |webhook: UncommittedWebhook<web::Json<Order>>| text_of(committed(webhook).into_inner()))
        },
    };

    fn of(self, way: Way) -> Route {
        if way.is_middleware { (self.behind)() } else { (self.alone)() }
    }
}

/// Commits a webhook and returns its payload.
fn committed<T>(webhook: UncommittedWebhook<T>) -> T {
    let (payload, admitted) = webhook.into_parts();
    admitted.commit();
    payload
}

fn text_of(Order { id, note }: Order) -> String {
    format!("{id} {note}")
}

/// Starts an application with `warden` in one of the positions.
async fn start(way: Way, warden: Warden, routes: Routes) -> Receiver {
    Receiver::actix(move |config| (way.arrange)(config, warden.clone(), routes.of(way))).await
}

/// A kind of payload, its handlers, the content type and text of a body, and the answer.
type Handler = (&'static str, Routes, &'static str, &'static str, &'static str);

const HANDLERS: [Handler; 4] = [
    ("Bytes", Routes::ECHO, "image/gif", "\r\nas it is ", "\r\nas it is "),
    (
        "String",
        Routes {
            behind: || web::post().to(async |webhook: Webhook<String>| webhook.payload),
            alone: || web::post().to(async |webhook: UncommittedWebhook<String>| committed(webhook)),
        },
        "text/plain",
        "größer",
        "größer",
    ),
    ("Json", Routes::JSON, "application/json", ORDER, "7 x"),
    (
        "Form",
        Routes {
            behind: || web::post().to(async |webhook: Webhook<web::Form<Order>>| text_of(webhook.payload.into_inner())),
            alone: || {
                web::post()
                    .to(async |webhook: UncommittedWebhook<web::Form<Order>>| text_of(committed(webhook).into_inner()))
            },
        },
        "application/x-www-form-urlencoded",
        "id=7&note=a+b%21",
        "7 a b!",
    ),
];

const ORDER: &str = r#"{"more": [1], "note": "x", "id": 7}"#;

#[tokio::test]
async fn webhook_extractor_works_with_and_without_middleware() {
    for way in WAYS {
        for (payload, routes, content_type, body, understood) in HANDLERS {
            let (warden, events) = observed();
            let receiver = start(way, warden, routes).await;
            let mut connection = receiver.connect().await;
            let post = Post::signed(body).with("Content-Type", content_type);
            let forged = post.clone().carrying(format!("{body} "));

            let accepted = connection.exchange(&post.sized()).await.unwrap();
            assert_eq!((accepted.status, &accepted.body[..]), (200, understood.as_bytes()), "{payload}, {}", way.name);
            let refused = connection.exchange(&forged.sized()).await.unwrap();
            assert_eq!(
                refused.essence(),
                "401 Unauthorized | content-length: 0 | www-authenticate: Webhook",
                "{payload}, {}",
                way.name
            );
            let headless = connection.exchange(&post.without(SIGNATURE).sized()).await.unwrap();
            assert_eq!(headless.essence(), refused.essence(), "{payload}, {}", way.name);
            drop((receiver, connection));
            let outcomes = [
                Outcome::Accepted,
                Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)),
                Outcome::Refused(RefusalReason::Unverified(Reason::MissingHeader)),
            ];
            assert_eq!(events.outcomes().await, outcomes, "{payload}, {}", way.name);
        }
    }
}

#[tokio::test]
async fn middleware_on_a_route_guards_its_handler() {
    let handlers: [(&str, ArrangeRoute); 2] = [
        ("body", |guard, route| route.to(async |body: Bytes| body).wrap(guard)),
        ("webhook", |guard, route| route.to(async |webhook: Webhook<Bytes>| webhook.payload).wrap(guard)),
    ];
    for (handler, arrange) in handlers {
        let (warden, events) = observed();
        let receiver = Receiver::actix(move |config| {
            let route = arrange(WardenMiddleware::new(warden.clone()), web::post());
            config.service(web::resource(ROUTE).route(route));
        })
        .await;
        let mut connection = receiver.connect().await;
        let post = Post::signed("x");
        assert_eq!(connection.exchange(&post.clone().sized()).await.unwrap().body, b"x", "{handler}");
        for unsigned in [post.clone().carrying("y"), post.without(SIGNATURE)] {
            assert_eq!(connection.exchange(&unsigned.sized()).await.unwrap().status, 401, "{handler}");
        }
        drop((receiver, connection));
        assert_eq!(events.outcomes().await.len(), 3, "{handler}");
    }
}

type ArrangeRoute = fn(WardenMiddleware, Route) -> Route;

/// Before 4.14, actix-web accepts this and silently drops the middleware.
#[test]
#[should_panic(expected = "silently drop middleware")]
fn route_middleware_before_its_handler_is_refused() {
    let _ = web::post().wrap(WardenMiddleware::new(warden().build().unwrap())).to(async |body: Bytes| body);
}

/// Versions before 4.14 must not be resolved, whatever an application permits.
#[test]
fn manifest_requires_an_actix_web_that_keeps_guards() {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let version = manifest["dependencies"]["actix-web"]["version"].as_str().unwrap();
    // A bare version is a lower bound within its major version.
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap()).collect();
    assert!(numbers >= vec![4, 14], "{version}");
}

#[tokio::test]
async fn get_challenge_is_answered_beside_guarded_post() {
    let (warden, events) = observed();
    let receiver = Receiver::actix(move |config| {
        let challenge = async |request: HttpRequest| match request.query_string().split_once("challenge=") {
            Some((_, challenge)) => HttpResponse::Ok().body(challenge.to_owned()),
            None => HttpResponse::BadRequest().finish(),
        };
        let guarded = web::resource(ROUTE).guard(guard::Post()).wrap(WardenMiddleware::new(warden.clone()));
        config
            .service(web::resource(ROUTE).guard(guard::Get()).to(challenge))
            .service(guarded.to(async |webhook: Webhook<Bytes>| webhook.payload));
    })
    .await;
    let mut connection = receiver.connect().await;
    let mut get = async |query: &str| {
        let head = format!("GET /webhooks/acme{query} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = connection.exchange(head.as_bytes()).await.unwrap();
        (answer.status, answer.body)
    };
    assert_eq!(get("?challenge=abc").await, (200, b"abc".to_vec()));
    assert_eq!(get("").await, (400, Vec::new()));
    let post = Post::signed("x");
    assert_eq!(connection.exchange(&post.clone().sized()).await.unwrap().body, b"x");
    for unsigned in [post.clone().carrying("y"), post.without(SIGNATURE)] {
        assert_eq!(connection.exchange(&unsigned.sized()).await.unwrap().status, 401);
    }
    drop((receiver, connection));
    // The Warden receives none of the GETs.
    let outcomes = [
        Outcome::Accepted,
        Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)),
        Outcome::Refused(RefusalReason::Unverified(Reason::MissingHeader)),
    ];
    assert_eq!(events.outcomes().await, outcomes);
}

#[tokio::test]
async fn payload_is_parsed_only_after_verification() {
    let json = "application/json";
    for way in WAYS {
        for (content_type, body) in [
            (json, r#"{"id": 7"#),
            (json, r#"{"id": "seven", "note": ""}"#),
            ("text/plain", r#"{"id": 7, "note": ""}"#),
        ] {
            let (warden, events) = observed();
            let receiver = start(way, warden, Routes::JSON).await;
            let mut connection = receiver.connect().await;
            let post = Post::signed(body).with("Content-Type", content_type);
            let forged = post.clone().carrying(format!("{body} "));
            assert_eq!(connection.exchange(&forged.sized()).await.unwrap().status, 401, "{body}, {}", way.name);
            assert_eq!(connection.exchange(&post.sized()).await.unwrap().status, 400, "{body}, {}", way.name);
            drop((receiver, connection));
            let outcomes = [Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)), Outcome::Released];
            assert_eq!(events.outcomes().await, outcomes, "{body}, {}", way.name);
        }
    }
}

#[tokio::test]
async fn without_middleware_only_commit_accepts_a_delivery() {
    type Case = (&'static str, fn() -> Route, Outcome);
    let cases: [Case; 6] = [
        ("commit", Routes::ECHO.alone, Outcome::Accepted),
        (
            "commit, then 500",
            || {
                web::post().to(async |webhook: UncommittedWebhook<Bytes>| {
                    committed(webhook);
                    HttpResponse::InternalServerError().finish()
                })
            },
            Outcome::Accepted,
        ),
        (
            "drop, then 200",
            || web::post().to(async |_: UncommittedWebhook<Bytes>| HttpResponse::Ok().finish()),
            Outcome::Released,
        ),
        (
            "payload taken, then 200",
            || web::post().to(async |webhook: UncommittedWebhook<Bytes>| webhook.into_parts().0),
            Outcome::Released,
        ),
        (
            "500",
            || web::post().to(async |_: UncommittedWebhook<Bytes>| HttpResponse::InternalServerError().finish()),
            Outcome::Released,
        ),
        (
            "panic",
            || web::post().to(async |_: UncommittedWebhook<Bytes>| -> HttpResponse { panic!("a panic on purpose") }),
            Outcome::Released,
        ),
    ];
    for way in [WAYS[2], WAYS[3]] {
        for (case, alone, outcome) in cases {
            let (warden, events) = observed();
            let receiver = start(way, warden, Routes { alone, ..Routes::ECHO }).await;
            receiver.connect().await.exchange(&Post::signed("x").sized()).await;
            drop(receiver);
            assert_eq!(events.only().await.outcome, outcome, "{case}, {}", way.name);
        }
    }
}

#[tokio::test]
async fn status_decides_behind_the_middleware() {
    type Case = (fn() -> Route, u16, Outcome);
    let cases: [Case; 4] = [
        (|| web::post().to(async |_: Webhook<Bytes>| HttpResponse::NoContent().finish()), 204, Outcome::Accepted),
        (|| web::post().to(async |_: Webhook<Bytes>| HttpResponse::Found().finish()), 302, Outcome::Released),
        (
            || web::post().to(async |_: Webhook<Bytes>| HttpResponse::ServiceUnavailable().finish()),
            503,
            Outcome::Released,
        ),
        // A handler that returns an error is treated like one that returns this status.
        (
            || {
                web::post().to(async |_: Webhook<Bytes>| {
                    Err::<String, _>(actix_web::error::ErrorBadGateway("a panic on purpose"))
                })
            },
            502,
            Outcome::Released,
        ),
    ];
    for (behind, status, outcome) in cases {
        let (warden, events) = observed();
        let receiver = start(WAYS[0], warden, Routes { behind, ..Routes::ECHO }).await;
        let answer = receiver.connect().await.exchange(&Post::signed("x").sized()).await.unwrap();
        drop(receiver);
        let event = events.only().await;
        assert_eq!((answer.status, event.status, event.outcome), (status, Some(status), outcome));
    }
}

#[tokio::test]
async fn chunked_body_reaches_handler_byte_for_byte() {
    let bytes = |count: u8, times: usize| (0..=count).cycle().take(times).collect::<Vec<_>>();
    let mut bench = Bench::start(Server::Actix, warden()).await;
    let mut connection = bench.connect().await;
    for (body, size) in [
        (Vec::new(), 1),
        (b"\xef\xbb\xbf\xff\xfe\0\r\n\xf0\x9f\xaa\x9d".to_vec(), 1),
        (bytes(250, 10_000), 1),
        (bytes(251, 4095), 4095),
        (bytes(252, 12_290), 4096),
        (bytes(255, 300 * 1024), 64 * 1024),
    ] {
        let post = Post::signed(body.clone());
        for bytes in [post.chunked(size, ""), post.sized()] {
            assert_eq!(connection.exchange(&bytes).await.unwrap().status, 200, "{} bytes, {size}", body.len());
            assert!(bench.handled.next().await.body == body, "{} bytes in {size}", body.len());
            assert_eq!(usize::try_from(bench.events.next().await.body_bytes), Ok(body.len()));
        }
    }
}

/// actix-web's own limits apply after the Warden's.
#[tokio::test]
async fn body_over_the_extractors_limit_is_released() {
    let routes = Routes {
        behind: || web::post().to(async |body: Bytes| body.len().to_string()),
        alone: || web::post().to(async |webhook: UncommittedWebhook<Bytes>| committed(webhook).len().to_string()),
    };
    for way in [WAYS[0], WAYS[2]] {
        let (warden, events) = observed();
        let receiver = start(way, warden, routes).await;
        for (size, status) in [(256 * 1024, 200), (256 * 1024 + 1, 413)] {
            let bytes = Post::signed(vec![7; size]).sized();
            assert_eq!(receiver.connect().await.exchange(&bytes).await.unwrap().status, status, "{}", way.name);
        }
        drop(receiver);
        assert_eq!(events.outcomes().await, [Outcome::Accepted, Outcome::Released], "{}", way.name);
    }
}

#[tokio::test]
async fn guard_routes_by_head_only() {
    let (warden, events) = observed();
    let receiver = Receiver::actix(move |config| {
        let signed = web::post().guard(SignedGuard::new(warden.clone())).to(async || "signed");
        let other = web::route().to(async || "other");
        config.service(web::resource(ROUTE).route(signed).route(other));
    })
    .await;
    let good = Post::signed("x");
    for (post, handler) in [
        (good.clone(), "signed"),
        // The guard only routes, so it also matches forgeries that have the right form.
        (good.clone().replacing(SIGNATURE, "0".repeat(64)), "signed"),
        (good.clone().carrying("y"), "signed"),
        (good.clone().to("/webhooks/unlisted"), "signed"),
        (good.clone().without(SIGNATURE), "other"),
        (good.clone().with("x-webhook-signature", "0".repeat(64)), "other"),
        (good.replacing(SIGNATURE, "00"), "other"),
        (Post::signed_at("x", now(-301)), "other"),
        (Post::signed_at("x", now(330)), "other"),
    ] {
        let answer = receiver.connect().await.exchange(&post.sized()).await.unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, handler.as_bytes()));
    }
    drop(receiver);
    assert!(events.rest().await.is_empty());
}

#[tokio::test]
async fn signed_guard_accepts_any_method() {
    let (warden, mut events) = observed();
    let receiver = Receiver::actix(move |config| {
        let signed = web::route().guard(SignedGuard::new(warden.clone()));
        let signed = signed.to(async |webhook: UncommittedWebhook<Bytes>| {
            committed(webhook);
            "signed"
        });
        let other = web::route().to(async || "other");
        config.app_data(warden.clone()).service(web::resource(ROUTE).route(signed).route(other));
    })
    .await;
    let good = Post::signed("");
    let ask = async |head: Vec<u8>| receiver.connect().await.exchange(&head).await.unwrap();
    let put = ask(good.head_of("PUT", "Content-Length: 0\r\n")).await;
    assert_eq!((put.status, put.header("allow")), (405, Some("POST")));
    assert_eq!(events.next().await.outcome, Outcome::Refused(RefusalReason::MethodNotAllowed));
    let unsigned = ask(good.clone().without(SIGNATURE).head_of("PUT", "Content-Length: 0\r\n")).await;
    assert_eq!((unsigned.status, &unsigned.body[..]), (200, &b"other"[..]));
    let post = ask(good.sized()).await;
    assert_eq!((post.status, &post.body[..]), (200, &b"signed"[..]));
    assert_eq!(events.next().await.outcome, Outcome::Accepted);
}

/// actix-web sends `100 Continue` before any middleware runs; the Warden cannot prevent it.
#[tokio::test]
async fn server_sends_continue_before_checking_the_head() {
    let expecting = "Expect: 100-continue\r\nContent-Length: 4\r\n";
    let mut bench = Bench::start(Server::Actix, warden()).await;
    for (post, status) in [(Post::signed("body"), 200), (Post::signed_at("body", now(-301)), 401)] {
        let mut connection = bench.connect().await;
        let interim = connection.exchange(&post.head(expecting)).await.unwrap();
        assert_eq!(interim.head, "HTTP/1.1 100 Continue\r\n\r\n");
        if status == 200 {
            connection.send(b"body").await;
        }
        // The refusal does not wait for the body.
        assert_eq!(connection.answer().await.unwrap().status, status);
        bench.events.next().await;
    }
    assert_eq!(bench.handled.bodies().len(), 1);
}

/// A payload that counts its polls.
struct Counted {
    polls: Arc<AtomicUsize>,
    chunk: Bytes,
}

impl Stream for Counted {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The payload ends after 64 MiB.
        let polls = self.polls.fetch_add(1, Ordering::SeqCst);
        Poll::Ready((polls < 1024).then(|| Ok(self.chunk.clone())))
    }
}

/// Runs one request through an application on this thread.
fn call(way: Way, warden: Warden, post: &Post, chunk: &[u8]) -> (StatusCode, Bytes, usize) {
    actix_web::rt::System::new().block_on(async {
        let route = Routes::ECHO.of(way);
        let app = init_service(App::new().configure(|config| (way.arrange)(config, warden, route))).await;
        let mut request = TestRequest::post().uri(&post.path);
        for (name, value) in &post.headers {
            request = request.append_header((name.as_str(), value.as_slice()));
        }
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Counted { polls: polls.clone(), chunk: Bytes::copy_from_slice(chunk) };
        let mut request = request.to_request();
        *request.payload() = Payload::Stream { payload: Box::pin(counted) };
        let response: ServiceResponse<_> = call_service(&app, request).await;
        let status = response.status();
        (status, read_body(response).await, polls.load(Ordering::SeqCst))
    })
}

#[test]
fn payload_behind_a_bad_head_is_not_polled() {
    for way in WAYS {
        for (post, reason) in [
            (Post::signed("").without(SIGNATURE), Reason::MissingHeader),
            (Post::signed("").replacing(SIGNATURE, "00"), Reason::MalformedSignature),
            (Post::signed("").with(SIGNATURE, "0".repeat(64)), Reason::DuplicateHeader),
            (Post::signed_at("", now(-301)), Reason::Stale),
            (Post::signed_at("", now(330)), Reason::Early),
        ] {
            let (warden, _events) = observed();
            let answer = call(way, warden, &post, &[0; 64 * 1024]);
            assert_eq!(answer, (StatusCode::UNAUTHORIZED, Bytes::new(), 0), "{}, {reason}", way.name);
        }
        let (warden, _events) = observed();
        let announced = Post::signed("").with("Content-Length", "10000000000");
        let answer = call(way, warden, &announced, &[0; 64 * 1024]);
        assert_eq!(answer, (StatusCode::PAYLOAD_TOO_LARGE, Bytes::new(), 0), "{}", way.name);
    }
}

#[test]
fn unsized_payload_is_read_up_to_the_limit() {
    for way in WAYS {
        for post in [Post::signed(""), Post::signed("").replacing(SIGNATURE, "0".repeat(64))] {
            let (warden, _events) = observed();
            let (status, _, polls) = call(way, warden, &post, &[0; 64 * 1024]);
            // 16 pieces are exactly the limit of 1 MiB, and 17 exceed it.
            assert_eq!((status, polls), (StatusCode::PAYLOAD_TOO_LARGE, 17), "{}", way.name);
        }
    }
}

const NOTHING: Way = Way {
    name: "nothing",
    is_middleware: false,
    arrange: |config, _, route| {
        config.service(web::resource(ROUTE).route(route));
    },
};

#[test]
fn webhook_without_middleware_is_a_logged_500() {
    let without = Way { is_middleware: true, ..NOTHING };
    // A Warden in the application's data changes nothing.
    let with_data = Way { is_middleware: true, ..WAYS[2] };
    let (log, logging) = Log::record();
    for way in [without, with_data] {
        let (warden, _events) = observed();
        let answer = call(way, warden, &Post::signed("x"), b"x");
        assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new(), 0));
        // The second request is logged too, then the fourth, the eighth and so on.
        let line = log.lines().pop().expect("a line");
        assert!(
            line.starts_with("ERROR hookwarden::actix Webhook<T> was extracted without a WardenMiddleware"),
            "{line}"
        );
        assert!(line.contains("wrap the resource in hookwarden::actix::WardenMiddleware"), "{line}");
        assert!(line.contains("UncommittedWebhook<T>"), "{line}");
    }
    drop(logging);
    assert_eq!(log.lines().len(), 2);
}

#[test]
fn uncommitted_webhook_without_warden_is_logged_500() {
    let (log, logging) = Log::record();
    let (warden, _events) = observed();
    let answer = call(NOTHING, warden, &Post::signed("x"), b"x");
    drop(logging);
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new(), 0));
    let fixes = ["`app_data(warden)`", "hookwarden::actix::WardenMiddleware"];
    log.assert_one_line("ERROR hookwarden::actix UncommittedWebhook<T> found no Warden", &fixes);
}

#[test]
fn uncommitted_webhook_behind_middleware_is_logged_500() {
    let (log, logging) = Log::record();
    let (observer, events) = events();
    // One chunk of the payload is the complete body.
    let answer = {
        let keys = keyring(&Scheme::timestamped(), SECRET);
        let warden = Warden::builder(Scheme::timestamped())
            .sender(ID, keys)
            .body(BodyLimits::new().max_bytes(2048))
            .observer(observer);
        let way = Way { is_middleware: false, ..WAYS[0] };
        call(way, warden.build().unwrap(), &Post::signed([7; 1024]), &[7])
    };
    drop(logging);
    assert_eq!(answer, (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new(), 1025));
    let fixes = ["take Webhook<T>", "remove the middleware"];
    log.assert_one_line("ERROR hookwarden::actix UncommittedWebhook<T> was extracted behind a", &fixes);
    let outcomes = actix_web::rt::System::new().block_on(events.outcomes());
    assert_eq!(outcomes, [Outcome::Released]);
}

/// Around the whole application the path parameters are not known yet.
#[test]
fn middleware_around_the_application_finds_no_path_parameter() {
    let (observer, events) = events();
    let warden = warden().observer(observer).build().unwrap();
    let (log, logging) = Log::record();
    let status = actix_web::rt::System::new().block_on(async {
        let app = App::new().service(web::resource(ROUTE).route(web::post().to(async || "handled")));
        let app = init_service(app.wrap(WardenMiddleware::new(warden))).await;
        let mut request = TestRequest::post().uri("/webhooks/acme").set_payload("x");
        for (name, value) in &Post::signed("x").headers {
            request = request.append_header((name.as_str(), value.as_slice()));
        }
        app.call(request.to_request()).await.unwrap().status()
    });
    drop(logging);
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let fixes = ["set `webhook_id(IdSource::…)`", "rename the parameter", "wrap the resource"];
    log.assert_one_line("ERROR hookwarden::actix the route has no `{id}` parameter: ", &fixes);
    let outcomes = actix_web::rt::System::new().block_on(events.outcomes());
    assert_eq!(outcomes, [Outcome::Refused(RefusalReason::Misconfigured)]);
}

#[tokio::test]
async fn missing_path_parameter_is_logged_with_its_name() {
    let (log, logging) = Log::record();
    let (observer, events) = events();
    let warden = warden().webhook_id(IdSource::path_parameter("tenant")).observer(observer).build().unwrap();
    let status = call_on(&WAYS[0], warden, &Post::signed("x"), None).await.0;
    drop(logging);
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    log.assert_one_line("ERROR hookwarden::actix the route has no `{tenant}` parameter: ", &[]);
    assert_eq!(events.only().await.outcome, Outcome::Refused(RefusalReason::Misconfigured));
}

/// Runs one request as actix-web's own tests do.
async fn call_on(
    way: &Way,
    warden: Warden,
    post: &Post,
    peer: Option<SocketAddr>,
) -> (StatusCode, Option<String>, Bytes) {
    let route = Routes::JSON.of(*way);
    let app = init_service(App::new().configure(|config| (way.arrange)(config, warden, route))).await;
    let mut request = TestRequest::post().uri(&post.path).set_payload(post.body.clone());
    for (name, value) in &post.headers {
        request = request.append_header((name.as_str(), value.as_slice()));
    }
    if let Some(peer) = peer {
        request = request.peer_addr(peer);
    }
    let response: ServiceResponse<_> = call_service(&app, request.to_request()).await;
    let content_type = response.headers().get("content-type").map(|value| value.to_str().expect("text").to_owned());
    (response.status(), content_type, read_body(response).await)
}

fn order() -> Post {
    Post::signed(ORDER).with("Content-Type", "application/json")
}

#[tokio::test]
async fn test_request_peers_have_separate_quotas() {
    let quota = || Quota::new(3, Duration::from_secs(3_600)).expect("a quota");
    for way in WAYS {
        let keys = keyring(&Scheme::timestamped(), SECRET);
        let warden = Warden::builder(Scheme::timestamped())
            .sender(ID, keys)
            .quotas(Quotas::new().rejected(quota()).rejected_by_peer(quota()));
        let warden = warden.build().unwrap();
        let from = |peer: [u8; 4]| Some(SocketAddr::from((peer, 1337)));
        let forged = order().carrying("{}");
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(call_on(&way, warden.clone(), &forged, from([203, 0, 113, 7])).await.0.as_u16());
        }
        assert_eq!(statuses, [401, 401, 401, 429], "{}", way.name);
        let other = call_on(&way, warden, &order(), from([203, 0, 113, 8])).await;
        assert_eq!(other.0, StatusCode::OK, "{}", way.name);
    }
}

/// Returns a body that shows what the hook received.
fn describe(answer: &Answer) -> Option<AnswerBody> {
    let kind = if answer.is_payload_rejection() { "payload" } else { "refusal" };
    Some(AnswerBody::new("text/x-own", format!("{kind} {}", answer.status().as_u16())))
}

#[tokio::test]
async fn answer_hook_writes_refusals_and_payload_rejections() {
    for way in WAYS {
        let own = |status: u16, text: &'static str| {
            (StatusCode::from_u16(status).unwrap(), Some("text/x-own".to_owned()), Bytes::from(text))
        };
        for (post, answer) in [
            (order().carrying("{}"), own(401, "refusal 401")),
            (Post::signed("{").with("Content-Type", "application/json"), own(400, "payload 400")),
            (Post::signed(ORDER).with("Content-Type", "text/plain"), own(400, "payload 400")),
        ] {
            let hooked = warden().answer_body(describe).build().unwrap();
            assert_eq!(call_on(&way, hooked, &post, None).await, answer, "{}", way.name);
            // Without a body from the hook, the framework's body is sent.
            let unchanged = call_on(&way, warden().build().unwrap(), &post, None).await;
            assert_eq!(unchanged.0, answer.0, "{}", way.name);
            assert_eq!(unchanged.2.is_empty(), unchanged.0 == StatusCode::UNAUTHORIZED, "{}: {unchanged:?}", way.name);
            let silent = warden().answer_body(|_| None).build().unwrap();
            assert_eq!(call_on(&way, silent, &post, None).await, unchanged, "{}", way.name);
        }
        let (status, _, body) = call_on(&way, warden().answer_body(describe).build().unwrap(), &order(), None).await;
        assert_eq!((status, &body[..]), (StatusCode::OK, &b"7 x"[..]), "{}", way.name);
    }
}

#[tokio::test]
async fn duplicate_answered_200_skips_the_answer_hook() {
    for way in WAYS {
        let keys = keyring(&Scheme::timestamped(), SECRET);
        let warden = Warden::builder(Scheme::timestamped()).sender(ID, keys).answer_body(describe).build().unwrap();
        assert_eq!(call_on(&way, warden.clone(), &order(), None).await.2, "7 x", "{}", way.name);
        let duplicate = call_on(&way, warden, &order(), None).await;
        assert_eq!(duplicate, (StatusCode::OK, None, Bytes::new()), "{}", way.name);
    }
}

/// Log lines of the handler then still name the request that they belong to.
#[test]
fn handler_of_a_dropped_request_keeps_its_span() {
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry());
    actix_web::rt::System::new().block_on(async {
        let (began, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (sender, mut spans) = unbounded_channel();
        let route = web::post().to({
            let (began, go_on) = (began.clone(), go_on.clone());
            move || {
                let (began, go_on, sender) = (began.clone(), go_on.clone(), sender.clone());
                async move {
                    began.notify_one();
                    go_on.notified().await;
                    sender.send(Span::current().metadata().map(|span| span.name())).expect("a test that waits");
                    HttpResponse::Ok().finish()
                }
            }
        });
        let warden = warden().build().unwrap();
        let app = init_service(App::new().configure(|config| (WAYS[0].arrange)(config, warden, route))).await;
        let post = Post::signed("x");
        let mut request = TestRequest::post().uri(&post.path).set_payload(post.body.clone());
        for (name, value) in &post.headers {
            request = request.append_header((name.as_str(), value.as_slice()));
        }
        let mut answering = Box::pin(app.call(request.to_request()));
        tokio::select! {
            biased;
            _ = &mut answering => panic!("an answer without a permission to go on"),
            () = began.notified() => {}
        }
        tracing::info_span!("request").in_scope(|| drop(answering));
        go_on.notify_one();
        assert_eq!(timeout(PATIENCE, spans.recv()).await.unwrap(), Some(Some("request")));
    });
}

/// The extractor returns the verified bytes, whatever middleware is in between.
#[tokio::test]
async fn inner_middleware_cannot_change_the_verified_delivery() {
    async fn replace(
        mut request: actix_web::dev::ServiceRequest,
        next: actix_web::middleware::Next<impl actix_web::body::MessageBody>,
    ) -> Result<ServiceResponse<impl actix_web::body::MessageBody>, actix_web::Error> {
        request.extensions_mut().remove::<VerifiedDelivery>();
        request.set_payload(Payload::Stream { payload: Box::pin(Once(Some(Bytes::from("injected")))) });
        next.call(request).await
    }
    let receiver = {
        let warden = warden().build().unwrap();
        Receiver::actix(move |config| {
            let verified = (Routes::ECHO.behind)();
            let unaware = web::post().to(async |body: Bytes| body);
            for (path, route) in [(ROUTE, verified), ("/unaware/{id}", unaware)] {
                config.service(
                    web::resource(path)
                        .wrap(actix_web::middleware::from_fn(replace))
                        .wrap(WardenMiddleware::new(warden.clone()))
                        .route(route),
                );
            }
        })
        .await
    };
    let mut connection = receiver.connect().await;
    let post = Post::signed("verified");
    assert_eq!(connection.exchange(&post.sized()).await.unwrap().body, b"verified");
    // The other middleware does run.
    assert_eq!(connection.exchange(&post.to("/unaware/acme").sized()).await.unwrap().body, b"injected");
}

/// A payload of one chunk.
struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

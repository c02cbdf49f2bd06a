//! Handshakes, over sockets: each provider's documented example, byte for byte, and what is not a handshake.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use hookwarden::encoding::Encoding;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::handshake::Handshake;
use hookwarden::keys::{AsyncKeyStore, CachedKeys};
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::testing::TestClock;
use hookwarden::warden::{Quotas, Replay, WardenBuilder};
use hookwarden::{BoxFuture, Keyring, Quota, Reason, Scheme, Signer};

use crate::handshake_documents::{Document, examples};
use crate::harness::events::events;
use crate::harness::receiver::{Receiver, Server};
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring};
use crate::harness::site::{NOW, Site, agree, assert_alike, signed};

const HANDLED: &str = "200 OK | content-length: 0 | x-handled: acme";
const UNAUTHORIZED: &str = "401 Unauthorized | content-length: 0 | www-authenticate: Webhook";
const POST_ALONE: &str = "405 Method Not Allowed | allow: POST | content-length: 0";
const EMPTY: &str = "200 OK | content-length: 0";

/// A request without a body.
fn bare(method: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
}

fn get(path: &str) -> Vec<u8> {
    bare("GET", path, "")
}

/// The answer with this body, whose content type is not guessed.
fn body(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "200 OK | cache-control: no-store | content-length: {length} | content-type: {content_type} | \
         x-content-type-options: nosniff | {body}"
    )
}

fn text(text: &str) -> String {
    body("text/plain", text)
}

fn json(text: &str) -> String {
    body("application/json", text)
}

const fn refused(reason: RefusalReason) -> Outcome {
    Outcome::Refused(reason)
}

/// Without the sender's quota, whose state would be in each answer of the handler.
fn unmetered() -> Quotas {
    Quotas::new().danger_unlimited_accepted()
}

fn meta() -> Handshake {
    Handshake::query("hub.challenge").require("hub.mode", "subscribe").token("hub.verify_token", "meatyhamhock")
}

fn x() -> Handshake {
    Handshake::query("crc_token").json(r#"{"response_token":"sha256={mac}"}"#).mac(Encoding::Base64)
}

/// X's scheme signs only the body.
fn body_alone() -> Scheme {
    let scheme = Scheme::builder("x").signature_header("x-twitter-webhooks-signature").encoding(Encoding::Base64);
    scheme.layout(Layout::plain("sha256=")).signed([SignedPart::Body]).build().expect("a scheme")
}

fn linkedin_scheme() -> Scheme {
    let signed = [SignedPart::literal("hmacsha256="), SignedPart::Body];
    Scheme::builder("linkedin").signature_header("X-LI-Signature").signed(signed).build().expect("a scheme")
}

/// Runs a scenario for a scheme without a timestamp on each adapter.
async fn agree_under(
    scheme: &Scheme,
    settings: impl Fn(WardenBuilder) -> WardenBuilder,
    scenario: impl AsyncFn(&mut Site),
) {
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let mut site = Site::of(adapter, scheme.clone(), |warden| {
            let warden = warden.sender(ID, keyring(scheme, SECRET));
            settings(warden.replay(Replay::new().lifetime(Duration::from_secs(3_600))))
        })
        .await;
        scenario(&mut site).await;
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

/// Providers whose requests are signed, but not the challenge in a header: a copy is not answered again.
const UNSIGNED_CHALLENGES: &[&str] = &["front"];

#[tokio::test]
async fn documented_examples_are_answered_byte_for_byte() {
    for example in examples() {
        let (name, mut transcripts) = (example.name(), Vec::new());
        for &adapter in Server::ALL {
            let mut site = site_of(adapter, &example).await;
            let mut connection = site.connect().await;
            // A new connection each time would not show that the rest of a request is left over. The second signed
            // challenge is a duplicate.
            for is_copy in [false, true] {
                let exchange = site.send_on(&mut connection, &example.request(PATH)).await;
                if is_copy && UNSIGNED_CHALLENGES.contains(&name) {
                    exchange.assert(name, EMPTY, refused(RefusalReason::Replayed));
                    continue;
                }
                // Servers differ in the headers of an answer to HEAD.
                if example.method() == "HEAD" {
                    site.transcript.clear();
                    site.transcript.push("HEAD".to_owned());
                    assert_eq!(exchange.answer.unwrap().status, 200, "{name}");
                } else {
                    exchange.assert(name, &example.essence(PATH), Outcome::Handshake);
                }
                assert_eq!(exchange.event.webhook_id.as_deref(), Some(ID), "{name}");
                assert!(exchange.event.known_id && exchange.event.peer.is_some(), "{name}");
            }
            // Deliveries still reach the handler.
            let own = example.delivery_headers();
            let delivery = Post::signed_by(&example.signer(), PATH, &own, "{}", NOW).sized();
            site.assert(name, &delivery, HANDLED, Outcome::Accepted).await;
            transcripts.push(site.end().await);
        }
        assert_alike(&transcripts);
    }
}

/// An endpoint that answers a documented handshake, under the provider's scheme.
async fn site_of(adapter: Server, example: &Document) -> Site {
    let scheme = example.scheme();
    Site::of(adapter, scheme.clone(), |warden| {
        let warden = warden.sender(ID, example.keys()).handshake(example.handshake()).quotas(unmetered());
        let replay = Replay::new().lifetime(Duration::from_secs(3_600));
        if scheme.is_timestamped() { warden } else { warden.replay(replay) }
    })
    .await
}

#[tokio::test]
async fn forged_documented_handshake_is_refused() {
    for example in examples() {
        for &adapter in Server::ALL {
            let mut site = site_of(adapter, &example).await;
            for (what, request) in example.forged(PATH) {
                let exchange = site.send(&request).await;
                let what = format!("{adapter:?}, {}, {what}", example.name());
                assert!(matches!(exchange.event.outcome, Outcome::Refused(_)), "{what}: {:?}", exchange.event);
                let refusal = if example.method() == "GET" { POST_ALONE } else { UNAUTHORIZED };
                exchange.assert(&what, refusal, exchange.event.outcome);
            }
            site.end().await;
        }
    }
}

/// Servers differ in the headers of an answer to HEAD: hyper sends no `Content-Length`.
#[tokio::test]
async fn head_is_answered_200_only_if_expected() {
    for &adapter in Server::ALL {
        for (handshake, status, outcome) in [
            (Handshake::probe(), 200, Outcome::Handshake),
            (Handshake::query("c"), 405, refused(RefusalReason::MethodNotAllowed)),
        ] {
            let mut site = Site::start(adapter, |warden| warden.handshake(handshake)).await;
            let mut connection = site.connect().await;
            for _ in 0..2 {
                let exchange = site.send_on(&mut connection, &bare("HEAD", "/webhooks/acme?c=abc", "")).await;
                let answer = exchange.answer.unwrap();
                assert_eq!((answer.status, exchange.event.outcome), (status, outcome), "{adapter:?}");
                assert!(answer.body.is_empty(), "{adapter:?}");
            }
            site.end().await;
        }
    }
}

#[tokio::test]
async fn mac_of_a_challenge_is_answered() {
    let linkedin = || {
        let template = r#"{"challengeCode":"{challenge}","challengeResponse":"{mac}"}"#;
        Handshake::query("challengeCode").json(template).mac(Encoding::Hex)
    };
    let code = "890e4665-4dfe-4ab1-b689-ed553bceeed0";
    for (scheme, handshake, query, expected) in [
        (body_alone(), x(), "crc_token=challenge_string".to_owned(), r#"{"response_token":"sha256=MAC"}"#.to_owned()),
        (
            linkedin_scheme(),
            linkedin(),
            format!("challengeCode={code}"),
            format!(r#"{{"challengeCode":"{code}","challengeResponse":"MAC"}}"#),
        ),
    ] {
        let text = query.split_once('=').unwrap().1;
        let plain = scheme.clone().into_builder().layout(Layout::plain("")).signed([SignedPart::Body]).build().unwrap();
        let mac = Post::signed_by(&Signer::new(plain.clone(), keyring(&plain, SECRET)).unwrap(), "/", &[], text, NOW);
        let mac = String::from_utf8(mac.headers[0].1.clone()).unwrap();
        let answer = json(&expected.replace("MAC", &mac));
        agree_under(
            &scheme,
            |warden| warden.handshake(handshake.clone()),
            async |site| {
                site.assert("known", &get(&format!("/webhooks/acme?{query}")), &answer, Outcome::Handshake).await;
                let unknown = get(&format!("/webhooks/other?{query}"));
                site.assert("unknown", &unknown, UNAUTHORIZED, refused(RefusalReason::UnknownId)).await;
            },
        )
        .await;
    }
}

#[tokio::test]
async fn forged_handshake_gets_the_usual_refusal() {
    let no_method = refused(RefusalReason::MethodNotAllowed);
    let long = format!("/webhooks/acme?challenge={}", "a".repeat(1_025));
    agree(
        |warden| warden.handshake(meta()).handshake(Handshake::query("challenge").method("POST")),
        async |site| {
            for path in [
                "/webhooks/acme",
                "/webhooks/acme?hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong",
                "/webhooks/acme?hub.mode=subscribe&hub.challenge=1",
                "/webhooks/acme?hub.mode=subscribe&hub.verify_token=meatyhamhock",
                "/webhooks/acme?hub.challenge=1&hub.verify_token=meatyhamhock",
                "/webhooks/acme?hub.mode=subscribe&hub.challenge=1&hub.challenge=2&hub.verify_token=meatyhamhock",
                "/webhooks/acme?hub.mode=subscribe&hub.challenge=a%0d%0ab&hub.verify_token=meatyhamhock",
            ] {
                site.assert(path, &get(path), POST_ALONE, no_method).await;
            }
            let missing = refused(RefusalReason::Unverified(Reason::MissingHeader));
            for path in ["/webhooks/acme", "/webhooks/acme?challenge=", "/webhooks/acme?challenge=a%7f", &long] {
                let post = bare("POST", path, "Content-Length: 0\r\n");
                site.assert(path, &post, UNAUTHORIZED, missing).await;
            }
            for method in ["PUT", "OPTIONS"] {
                let request = bare(method, "/webhooks/acme?challenge=a", "");
                site.assert(method, &request, POST_ALONE, no_method).await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn signed_delivery_with_a_query_reaches_the_handler() {
    agree(
        |warden| warden.handshake(Handshake::query("challenge").method("POST")).quotas(unmetered()),
        async |site| {
            let delivery = signed("x", 0).to("/webhooks/acme?challenge=abc");
            site.assert("signed", &delivery.sized(), HANDLED, Outcome::Accepted).await;
            let forged = delivery.carrying("y").sized();
            let mismatch = refused(RefusalReason::Unverified(Reason::Mismatch));
            site.assert("forged", &forged, UNAUTHORIZED, mismatch).await;
        },
    )
    .await;
}

#[tokio::test]
async fn unread_body_of_a_handshake_closes_the_connection() {
    for &adapter in Server::ALL {
        let handshake = Handshake::query("c").method("POST");
        let mut site = Site::start(adapter, |warden| warden.handshake(handshake)).await;
        let request = bare("POST", "/webhooks/acme?c=abc", "Content-Length: 100\r\n");
        let exchange = site.send(&request).await;
        exchange.assert("unread", &text("abc"), Outcome::Handshake);
        assert_eq!(exchange.answer.unwrap().header("connection"), Some("close"), "{adapter:?}");
        site.end().await;
    }
}

/// The tests inject the clock, so the default quota refills between the requests.
#[tokio::test]
async fn many_handshakes_leave_other_quotas_untouched() {
    for &adapter in Server::ALL {
        let small = || Quota::new(2, Duration::from_secs(3_600)).unwrap();
        let mut site = Site::start(adapter, |warden| {
            warden.handshake(Handshake::query("c")).quotas(Quotas::new().accepted(small()).rejected(small()))
        })
        .await;
        let mut connection = site.connect().await;
        for number in 0..10_000 {
            site.clock.advance(Duration::from_secs(1));
            let exchange = site.send_on(&mut connection, &get(&format!("/webhooks/acme?c={number}"))).await;
            assert_eq!(exchange.answer.unwrap().body, number.to_string().as_bytes(), "{adapter:?}");
            assert_eq!(exchange.event.outcome, Outcome::Handshake, "{adapter:?}");
        }
        let mut statuses = Vec::new();
        for body in ["a", "b", "c"] {
            statuses.push(site.send(&signed(body, 10_000).sized()).await.answer.unwrap().status);
        }
        assert_eq!(statuses, [200, 200, 429], "{adapter:?}");
        let mut site = Site::start(adapter, |warden| {
            let quotas = Quotas::new().rejected(small()).handshakes(Quota::per_minute(10_000).unwrap());
            warden.handshake(Handshake::query("c")).quotas(quotas)
        })
        .await;
        let mut connection = site.connect().await;
        for _ in 0..1_000 {
            let exchange = site.send_on(&mut connection, &get("/webhooks/acme?c=1")).await;
            assert_eq!(exchange.event.outcome, Outcome::Handshake, "{adapter:?}");
        }
        let forged = signed("x", 0).carrying("y").sized();
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(site.send(&forged).await.answer.unwrap().status);
        }
        assert_eq!(statuses, [401, 401, 429], "{adapter:?}");
    }
}

#[tokio::test]
async fn handshakes_have_their_own_limit() {
    let limited = refused(RefusalReason::HandshakeQuotaExceeded);
    let quota = Quota::new(2, Duration::from_secs(60)).unwrap();
    agree(
        |warden| warden.handshake(Handshake::query("c")).quotas(unmetered().handshakes(quota)),
        async |site| {
            let request = get("/webhooks/acme?c=abc");
            let over = "429 Too Many Requests | content-length: 0 | retry-after: 60";
            site.assert("first", &request, &text("abc"), Outcome::Handshake).await;
            site.assert("second", &request, &text("abc"), Outcome::Handshake).await;
            site.assert("third", &request, over, limited).await;
            site.assert("other id", &get("/webhooks/other?c=abc"), &text("abc"), Outcome::Handshake).await;
            let mut other_peer = site.connect_from([127, 0, 0, 2].into()).await;
            let exchange = site.send_on(&mut other_peer, &request).await;
            exchange.assert("other peer", &text("abc"), Outcome::Handshake);
            site.assert("delivery", &signed("x", 0).sized(), HANDLED, Outcome::Accepted).await;
            site.clock.advance(Duration::from_secs(60));
            site.assert("later", &request, &text("abc"), Outcome::Handshake).await;
        },
    )
    .await;
    agree(
        |warden| warden.handshake(Handshake::query("c")).quotas(unmetered().handshakes(quota)),
        async |site| {
            for number in 0..4 {
                let request = get(&format!("/webhooks/id-{number}?c=abc"));
                site.assert("one of many ids", &request, &text("abc"), Outcome::Handshake).await;
            }
            let answer = site.send(&get("/webhooks/id-4?c=abc")).await;
            assert_eq!((answer.answer.unwrap().status, answer.event.outcome), (429, limited));
        },
    )
    .await;
}

/// Answers after one wake-up, as a store on the network does.
struct Remote(Scheme);

impl AsyncKeyStore for Remote {
    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, hookwarden::error::StoreError>> {
        async move {
            tokio::task::yield_now().await;
            match id {
                ID => Ok(Some(keyring(&self.0, SECRET))),
                "down" => Err(hookwarden::error::StoreError::new("the store is down")),
                _ => Ok(None),
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn mac_waits_for_cached_keys() {
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let scheme = body_alone();
        let keys = CachedKeys::new(&scheme, Remote(scheme.clone()));
        let mut site = Site::of(adapter, scheme, |warden| {
            warden.cached_keys(keys).handshake(x()).replay(Replay::new().lifetime(Duration::from_secs(3_600)))
        })
        .await;
        for path in ["/webhooks/acme?crc_token=a", "/webhooks/acme?crc_token=a", "/webhooks/other?crc_token=a"] {
            site.send(&get(path)).await;
        }
        let down = site.send(&get("/webhooks/down?crc_token=a")).await;
        assert_eq!(down.event.outcome, refused(RefusalReason::KeyStoreUnavailable), "{adapter:?}");
        let statuses: Vec<_> = site.transcript.iter().map(|line| &line[..3]).collect();
        assert_eq!(statuses, ["200", "200", "401", "503"], "{adapter:?}");
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

#[tokio::test]
async fn fixed_id_without_a_route_parameter_is_answered() {
    agree(
        |warden| warden.handshake(Handshake::query("c")).webhook_id(hookwarden::IdSource::fixed(ID)),
        async |site| {
            let exchange = site.send(&get("/?c=abc")).await;
            exchange.assert("fixed", &text("abc"), Outcome::Handshake);
            assert_eq!(exchange.event.webhook_id.as_deref(), Some(ID));
        },
    )
    .await;
}

fn slack() -> Handshake {
    Handshake::body("/challenge").when("/type", "url_verification")
}

fn zoom() -> Handshake {
    Handshake::body("/payload/plainToken")
        .when("/event", "endpoint.url_validation")
        .json(r#"{"plainToken":"{challenge}","encryptedToken":"{mac}"}"#)
        .mac(Encoding::Hex)
}

#[tokio::test]
async fn signed_challenge_is_answered_without_the_handler() {
    let challenge = r#"{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#;
    let answer = text("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
    agree(
        |warden| warden.handshake(slack()).quotas(unmetered()),
        async |site| {
            let exchange = site.send(&signed(challenge, 0).chunked(7, "")).await;
            exchange.assert("challenge", &answer, Outcome::Handshake);
            let event = exchange.event;
            assert_eq!((event.status, event.key_id.as_deref()), (Some(200), Some("default")), "{:?}", site.adapter);
            let replay = signed(challenge, 0).sized();
            let again = site.send(&replay).await;
            again.assert("same again", &answer, Outcome::Handshake);
            let event = again.event;
            assert_eq!((event.status, event.key_id.as_deref()), (Some(200), Some("default")), "{:?}", site.adapter);
            let large = format!(r#"{{"type":"url_verification","challenge":"a","x":"{}"}}"#, "x".repeat(65_536));
            site.assert("large", &signed(large, 0).sized(), HANDLED, Outcome::Accepted).await;
            for body in [
                r#"{"type":"event_callback","challenge":"a"}"#,
                r#"{"type":"url_verification"}"#,
                r#"{"type":"url_verification","challenge":""}"#,
                r#"{"event":{"type":"url_verification","challenge":"a"}}"#,
                "url_verification",
                "",
            ] {
                site.assert(body, &signed(body, 0).sized(), HANDLED, Outcome::Accepted).await;
                site.assert(body, &signed(body, 0).sized(), EMPTY, refused(RefusalReason::Replayed)).await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn unverified_challenge_is_refused_like_any_request() {
    let challenge = r#"{"type":"url_verification","challenge":"abc"}"#;
    agree(
        |warden| warden.handshake(slack()),
        async |site| {
            let unverified = |reason| refused(RefusalReason::Unverified(reason));
            let unsigned = signed(challenge, 0).without("X-Webhook-Signature").sized();
            site.assert("unsigned", &unsigned, UNAUTHORIZED, unverified(Reason::MissingHeader)).await;
            let forged = signed("{}", 0).carrying(challenge).sized();
            site.assert("forged", &forged, UNAUTHORIZED, unverified(Reason::Mismatch)).await;
            let stale = signed(challenge, -301).sized();
            site.assert("stale", &stale, UNAUTHORIZED, unverified(Reason::Stale)).await;
            let unknown = signed(challenge, 0).to("/webhooks/other").sized();
            site.assert("unknown", &unknown, UNAUTHORIZED, refused(RefusalReason::UnknownId)).await;
        },
    )
    .await;
}

#[tokio::test]
async fn signed_challenges_leave_the_sender_quota_untouched() {
    let (large, small) = (Quota::per_minute(1_000).unwrap(), Quota::per_minute(1).unwrap());
    for &adapter in Server::ALL {
        let quotas = Quotas::new().accepted(large).rejected(small).handshakes(small);
        let mut site = Site::start(adapter, |warden| warden.handshake(slack()).quotas(quotas)).await;
        let mut connection = site.connect().await;
        let body = |challenge| format!(r#"{{"type":"url_verification","challenge":"{challenge}"}}"#);
        for number in 0..1_000 {
            let exchange = site.send_on(&mut connection, &signed(body(number), 0).sized()).await;
            assert_eq!(exchange.answer.unwrap().body, number.to_string().as_bytes(), "{adapter:?}");
            assert_eq!(exchange.event.outcome, Outcome::Handshake, "{adapter:?}");
        }
        let over = site.send(&signed(body(1_000), 0).sized()).await;
        assert_eq!(over.answer.unwrap().status, 429, "{adapter:?}");
        assert_eq!(over.event.outcome, refused(RefusalReason::HandshakeQuotaExceeded), "{adapter:?}");
        let delivery = site.send(&signed("x", 0).sized()).await.answer.unwrap();
        let remaining = delivery.header("ratelimit").unwrap();
        assert!(remaining.contains(";r=999;"), "{adapter:?}: {remaining}");
        // A copy is answered once, and is then a duplicate.
        for (answer, outcome) in [("7", Outcome::Handshake), ("", refused(RefusalReason::Replayed))] {
            let copy = site.send(&signed(body(7), 0).sized()).await;
            assert_eq!((copy.answer.unwrap().body, copy.event.outcome), (answer.into(), outcome), "{adapter:?}");
        }
        site.end().await;
    }
}

#[tokio::test]
async fn zoom_challenge_is_answered_with_its_mac() {
    let signed_parts = [SignedPart::literal("v0:"), SignedPart::Timestamp, SignedPart::literal(":"), SignedPart::Body];
    let scheme = Scheme::timestamped().into_builder().signed(signed_parts).build().unwrap();
    let body = r#"{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}"#;
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let mut site = Site::of(adapter, scheme.clone(), |warden| {
            warden.sender(ID, keyring(&scheme, SECRET)).handshake(zoom()).quotas(unmetered())
        })
        .await;
        let signer = Signer::new(scheme.clone(), keyring(&scheme, SECRET)).unwrap();
        let of = |body: &str| Post::signed_by(&signer, "/webhooks/acme", &[], body, NOW).sized();
        let answer = json(
            r#"{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"568acbd9770d2c46f78def42ea12b287201873d46365021d759c2d95c1970a23"}"#,
        );
        site.assert("challenge", &of(body), &answer, Outcome::Handshake).await;
        // A text that could be signed content goes to the handler.
        let other = body.replace("qgg8vlvZRS6UYooatFL8Aw", "v0:1800000000:{}");
        site.assert("signed content", &of(&other), HANDLED, Outcome::Accepted).await;
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

#[tokio::test]
async fn application_decides_about_each_challenge() {
    let missing = refused(RefusalReason::Unverified(Reason::MissingHeader));
    let stored = Arc::new(Mutex::new(Vec::new()));
    let store = stored.clone();
    let asana = Handshake::header("X-Hook-Secret").method("POST").same_header().accept_if(move |id, secret| {
        assert_ne!(secret, "panic");
        store.lock().unwrap().push((id.map(str::to_owned), secret.to_owned()));
        id == Some(ID)
    });
    agree(
        |warden| warden.handshake(asana.clone()),
        async |site| {
            let post = |id: &str, secret: &str| {
                bare("POST", &format!("/webhooks/{id}"), &format!("X-Hook-Secret: {secret}\r\nContent-Length: 0\r\n"))
            };
            let answer = "200 OK | cache-control: no-store | content-length: 0 | x-hook-secret: b537";
            site.assert("registering", &post(ID, "b537"), answer, Outcome::Handshake).await;
            site.assert("other", &post("other", "b537"), UNAUTHORIZED, missing).await;
            site.assert("panic", &post(ID, "panic"), UNAUTHORIZED, missing).await;
            let secret = |id: &str| (Some(id.to_owned()), "b537".to_owned());
            assert_eq!(std::mem::take(&mut *stored.lock().unwrap()), [secret(ID), secret("other")]);
        },
    )
    .await;
}

/// The adapters without a layer or middleware: the extractor answers.
#[tokio::test]
async fn extractor_alone_answers_handshakes() {
    let warden = |observer| {
        let scheme = Scheme::timestamped();
        let warden = hookwarden::Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, SECRET));
        let warden = warden.clock(TestClock::new(NOW)).observer(observer).quotas(unmetered());
        warden.handshake(slack()).handshake(Handshake::query("c")).build().unwrap()
    };
    let challenge = r#"{"type":"url_verification","challenge":"abc"}"#;
    for is_actix in [false, true] {
        let (observer, mut events) = events();
        let warden = warden(observer);
        let receiver = if is_actix {
            use actix_web::web;
            Receiver::actix(move |config| {
                let handle = async |webhook: hookwarden::actix::UncommittedWebhook<web::Bytes>| {
                    webhook.into_parts().1.commit();
                    "handled"
                };
                config.app_data(warden.clone()).route("/webhooks/{id}", web::route().to(handle));
            })
            .await
        } else {
            let handle = async |webhook: hookwarden::axum::UncommittedWebhook<axum::body::Bytes>| {
                webhook.into_parts().1.commit();
                "handled"
            };
            let route = axum::routing::any(handle);
            Receiver::axum(axum::Router::new().route("/webhooks/{id}", route).with_state(warden)).await
        };
        for (request, answer, outcome) in [
            (get("/webhooks/acme?c=abc"), text("abc"), Outcome::Handshake),
            (signed(challenge, 0).sized(), text("abc"), Outcome::Handshake),
            (signed(challenge, 0).sized(), text("abc"), Outcome::Handshake),
            (get("/webhooks/acme"), POST_ALONE.to_owned(), refused(RefusalReason::MethodNotAllowed)),
        ] {
            let answered = receiver.connect().await.exchange(&request).await.unwrap();
            assert_eq!(answered.essence(), answer, "actix: {is_actix}");
            assert_eq!(events.next().await.outcome, outcome, "actix: {is_actix}");
        }
        let handled = receiver.connect().await.exchange(&signed("x", 0).sized()).await.unwrap();
        assert_eq!(handled.body, b"handled", "actix: {is_actix}");
    }
}

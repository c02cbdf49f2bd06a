//! Answers byte for byte, and the events that the operator gets instead.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::response::Response;
use axum::routing::post;
use hookwarden::axum::{WardenLayer, Webhook};
use hookwarden::event::{Outcome, RefusalReason, SecurityEvent};
use hookwarden::warden::{Answer, AnswerBody, BodyLimits, WardenBuilder};
use hookwarden::{Key, Keyring, Reason, Scheme, Warden};

use crate::harness::events::events;
use crate::harness::receiver::{Bench, Receiver, Server};
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring, now, signer, warden};

const SIGNATURE: &str = "X-Webhook-Signature";
const TIMESTAMP: &str = "X-Webhook-Timestamp";

/// The answer to every request that is not authentic.
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Webhook\r\ncontent-length: 0\r\n\r\n";

/// A refused request, with the reason and header of its event.
type Cause = (&'static str, Post, RefusalReason, Option<&'static str>);

fn small_and_fast() -> BodyLimits {
    BodyLimits::new().max_bytes(1000).deadline(Duration::from_millis(300))
}

/// Faulty requests under the scheme `timestamped`.
fn timestamped() -> Vec<Cause> {
    let good = || Post::signed("x");
    let twice = |name: &str| {
        let value = good().value(name);
        good().with(&name.to_lowercase(), value)
    };
    let short = "0".repeat(63);
    let other_key = Post::signed_by(&signer(Scheme::timestamped(), "another-secret"), PATH, &[], "x", now(0));
    let expired =
        Post::signed_by(&signer(Scheme::timestamped(), EXPIRED), PATH, &[], "x", now(0)).to("/webhooks/expired");
    vec![
        ("no signature", good().without(SIGNATURE), RefusalReason::Unverified(Reason::MissingHeader), Some(SIGNATURE)),
        ("no timestamp", good().without(TIMESTAMP), RefusalReason::Unverified(Reason::MissingHeader), Some(TIMESTAMP)),
        (
            "empty signature",
            good().replacing(SIGNATURE, ""),
            RefusalReason::Unverified(Reason::MalformedSignature),
            Some(SIGNATURE),
        ),
        (
            "short signature",
            good().replacing(SIGNATURE, short),
            RefusalReason::Unverified(Reason::MalformedSignature),
            Some(SIGNATURE),
        ),
        (
            "no timestamp's form",
            good().replacing(TIMESTAMP, "1e9"),
            RefusalReason::Unverified(Reason::MalformedTimestamp),
            Some(TIMESTAMP),
        ),
        (
            "empty timestamp",
            good().replacing(TIMESTAMP, ""),
            RefusalReason::Unverified(Reason::MalformedTimestamp),
            Some(TIMESTAMP),
        ),
        ("two signatures", twice(SIGNATURE), RefusalReason::Unverified(Reason::DuplicateHeader), Some(SIGNATURE)),
        ("two timestamps", twice(TIMESTAMP), RefusalReason::Unverified(Reason::DuplicateHeader), Some(TIMESTAMP)),
        ("stale", Post::signed_at("x", now(-301)), RefusalReason::Unverified(Reason::Stale), None),
        ("early", Post::signed_at("x", now(330)), RefusalReason::Unverified(Reason::Early), None),
        ("other body", good().carrying("y"), RefusalReason::Unverified(Reason::Mismatch), None),
        ("no body", good().carrying(""), RefusalReason::Unverified(Reason::Mismatch), None),
        (
            "other time",
            good().replacing(TIMESTAMP, now(-9).as_unix().to_string()),
            RefusalReason::Unverified(Reason::Mismatch),
            None,
        ),
        ("other key", other_key, RefusalReason::Unverified(Reason::Mismatch), None),
        ("unknown id", good().to("/webhooks/other"), RefusalReason::UnknownId, None),
        ("id that is not UTF-8", good().to("/webhooks/%ff"), RefusalReason::UnknownId, None),
        ("id without a live key", expired, RefusalReason::Unverified(Reason::NoLiveKey), None),
    ]
}

const EXPIRED: &str = "the-secret-of-a-key-that-has-expired";

/// Faulty requests with a list of fields.
fn stripe() -> Vec<Cause> {
    let name = "Stripe-Signature";
    let good = || Post::signed_by(&signer(Scheme::stripe(), SECRET), PATH, &[], "x", now(0));
    let value = String::from_utf8(good().value(name)).expect("text");
    let edited = |value: String| good().replacing(name, value);
    let tag = value.split_once(",v1=").expect("a signature").1;
    vec![
        ("no signature", good().without(name), RefusalReason::Unverified(Reason::MissingHeader), Some(name)),
        ("no time", edited(format!("v1={tag}")), RefusalReason::Unverified(Reason::MissingHeader), Some(name)),
        ("two times", edited(format!("t=1,{value}")), RefusalReason::Unverified(Reason::DuplicateHeader), Some(name)),
        (
            "33 candidates",
            edited(value.clone() + &format!(",v1={tag}").repeat(32)),
            RefusalReason::Unverified(Reason::TooManyCandidates),
            Some(name),
        ),
        (
            "other scheme",
            edited(value.replace("v1", "v0")),
            RefusalReason::Unverified(Reason::MalformedSignature),
            Some(name),
        ),
    ]
}

/// Faulty requests with a signed header.
fn standard_webhooks() -> Vec<Cause> {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let name = "webhook-id";
    let good = || Post::signed_by(&signer(Scheme::standard_webhooks(), secret), PATH, &[(name, "msg_1")], "x", now(0));
    vec![
        ("no message id", good().without(name), RefusalReason::Unverified(Reason::MissingHeader), Some(name)),
        ("two message ids", good().with(name, "msg_2"), RefusalReason::Unverified(Reason::DuplicateHeader), Some(name)),
        ("other message id", good().replacing(name, "msg_2"), RefusalReason::Unverified(Reason::Mismatch), None),
        (
            "ambiguous message id",
            good().replacing(name, "msg.1"),
            RefusalReason::Unverified(Reason::MalformedHeader),
            Some(name),
        ),
    ]
}

/// A Warden with another sender, whose key has expired.
fn warden_of(scheme: Scheme) -> WardenBuilder {
    let (secret, expired) = match scheme.name() {
        "standard_webhooks" => ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        _ => (SECRET, EXPIRED),
    };
    let expired = Key::new("old", scheme.secret(expired).expect("a secret")).expect("a key").not_after(now(-60));
    let keys = keyring(&scheme, secret);
    Warden::builder(scheme).sender(ID, keys).sender("expired", Keyring::from_keys([expired]).expect("a keyring"))
}

fn all_causes() -> [(Scheme, Vec<Cause>); 3] {
    [
        (Scheme::timestamped(), timestamped()),
        (Scheme::stripe(), stripe()),
        (Scheme::standard_webhooks(), standard_webhooks()),
    ]
}

#[tokio::test]
async fn every_unauthentic_request_gets_the_same_answer() {
    for server in Server::BOTH {
        for (scheme, causes) in all_causes() {
            let mut bench = Bench::start(server, warden_of(scheme)).await;
            let mut connection = bench.connect().await;
            for (cause, post, reason, header) in causes {
                let answer = connection.exchange(&post.sized()).await.unwrap();
                assert_eq!(answer.undated(), UNAUTHORIZED, "{server:?}, {cause}");
                assert!(answer.header("date").is_some());
                let event = bench.events.next().await;
                assert_eq!(event.outcome, Outcome::Refused(reason), "{server:?}, {cause}");
                assert_eq!((event.header.as_deref(), event.key_id), (header, None), "{server:?}, {cause}");
            }
            // Each request has one event, and none was handled.
            drop((bench.receiver, connection));
            assert!(bench.events.rest().await.is_empty());
            assert!(bench.handled.bodies().is_empty());
        }
    }
}

#[tokio::test]
async fn event_has_id_key_skew_and_size() {
    for server in Server::BOTH {
        let mut bench = Bench::start(server, warden_of(Scheme::timestamped())).await;
        let mut connection = bench.connect().await;
        let other = Post::signed_at("four", now(-20)).to("/webhooks/other");
        for (post, id, key, skew, bytes) in [
            (Post::signed_at("four", now(-20)), Some(ID), Some("default"), Some(20), 4),
            (Post::signed_at("four", now(-20)).carrying("five!"), Some(ID), None, Some(20), 5),
            (other, Some("other"), None, Some(20), 4),
            // Refused for its head: the path contains the id, and the body is not read.
            (Post::signed_at("four", now(-999)), Some(ID), None, Some(999), 0),
            (Post::signed("four").without(TIMESTAMP), Some(ID), None, None, 0),
        ] {
            connection.exchange(&post.sized()).await.unwrap();
            let event = bench.events.next().await;
            assert_eq!((event.webhook_id.as_deref(), event.key_id.as_deref(), event.body_bytes), (id, key, bytes));
            assert_eq!((event.known_id, event.status.is_some()), (id == Some(ID), key.is_some()));
            // The clock advances meanwhile.
            let late = event.skew.zip(skew).map(|(measured, given)| measured - given);
            assert_eq!(event.skew.is_some(), skew.is_some());
            assert!(late.is_none_or(|late| (0..10).contains(&late)), "{:?}, not {skew:?}", event.skew);
        }
    }
}

#[tokio::test]
async fn id_in_the_event_is_escaped_and_truncated() {
    for server in Server::BOTH {
        let mut bench = Bench::start(server, warden()).await;
        let mut connection = bench.connect().await;
        for (id, label) in [
            ("a%0d%0ab%1b%5b31m".to_owned(), r"a\r\nb\u{1b}[31m".to_owned()),
            ("%c3%a9%5cn%20%22".to_owned(), r#"\u{e9}\\n ""#.to_owned()),
            ("%e2%80%ae%00".to_owned(), r"\u{202e}\u{0}".to_owned()),
            ("y".repeat(128), "y".repeat(128)),
            ("y".repeat(10_000), "y".repeat(128)),
            // 21 escapes of 6 bytes. A 22nd would not fit.
            ("%c3%a9".repeat(100), r"\u{e9}".repeat(21)),
        ] {
            let answer = connection.exchange(&Post::signed("x").to(&format!("/webhooks/{id}")).sized()).await.unwrap();
            assert_eq!(answer.undated(), UNAUTHORIZED, "{server:?}, {label}");
            let event = bench.events.next().await;
            assert_eq!(event.webhook_id, Some(label), "{server:?}");
            assert_eq!(event.outcome, Outcome::Refused(RefusalReason::UnknownId));
        }
    }
}

#[tokio::test]
async fn answer_hook_cannot_distinguish_401_reasons() {
    let write = |answer: &Answer| {
        let text = format!(r#"{{"status":{}}}"#, answer.status().as_u16());
        (answer.status() != 400).then(|| AnswerBody::new("application/problem+json", text))
    };
    let expected = |line: &str, challenge: &str, status: u16| {
        let body = format!(r#"{{"status":{status}}}"#);
        format!(
            "HTTP/1.1 {line}\r\n{challenge}content-type: application/problem+json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let unauthorized = expected("401 Unauthorized", "www-authenticate: Webhook\r\n", 401);
    for server in Server::BOTH {
        for (scheme, causes) in all_causes() {
            let bench = Bench::start(server, warden_of(scheme).answer_body(write)).await;
            let mut connection = bench.connect().await;
            for (cause, post, ..) in causes {
                let answer = connection.exchange(&post.sized()).await.unwrap();
                assert_eq!(answer.undated(), unauthorized, "{server:?}, {cause}");
            }
        }
        let settings = warden().answer_body(write).body(small_and_fast());
        let bench = Bench::start(server, settings).await;
        let too_large = bench.connect().await.exchange(&Post::signed([0; 1001]).sized()).await.unwrap();
        assert_eq!(too_large.undated(), expected("413 Payload Too Large", "", 413), "{server:?}");
        let stalled = Post::signed("x").head("Content-Length: 1\r\n");
        let too_slow = bench.connect().await.exchange(&stalled).await.unwrap();
        assert!(too_slow.undated().starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{server:?}: {too_slow:?}");
        assert_eq!(too_slow.header("content-type"), Some("application/problem+json"), "{server:?}");
        assert_eq!(too_slow.body, br#"{"status":408}"#, "{server:?}");
        let accepted = bench.connect().await.exchange(&Post::signed("x").sized()).await.unwrap();
        assert_eq!((accepted.status, &accepted.body[..]), (200, &b"handled"[..]), "{server:?}");
    }
}

#[tokio::test]
async fn other_refusals_have_no_challenge_or_body() {
    for server in Server::BOTH {
        let mut bench = Bench::start(server, warden().body(small_and_fast())).await;
        for (bytes, line, reason) in [
            (Post::signed([0; 1001]).sized(), "413 Payload Too Large", RefusalReason::BodyTooLarge),
            (Post::signed("x").head("Content-Length: 1\r\n"), "408 Request Timeout", RefusalReason::BodyTooSlow),
        ] {
            let answer = bench.connect().await.exchange(&bytes).await.unwrap();
            assert!(answer.head.starts_with(&format!("HTTP/1.1 {line}\r\n")), "{server:?}: {answer:?}");
            assert_eq!((answer.header("www-authenticate"), answer.body.len()), (None, 0), "{server:?}, {line}");
            assert_eq!(answer.header("content-length"), Some("0"), "{server:?}, {line}");
            assert_eq!(bench.events.next().await.outcome, Outcome::Refused(reason), "{server:?}");
        }
    }
}

#[tokio::test]
async fn observer_panic_changes_no_answer() {
    let panicking = |_: &SecurityEvent<'_>| panic!("a panic on purpose");
    for server in Server::BOTH {
        let mut bench = Bench::start(server, warden().observer(panicking)).await;
        let mut connection = bench.connect().await;
        for (post, status) in [
            (Post::signed("one"), 200),
            (Post::signed("two").carrying("three"), 401),
            (Post::signed("four").without(SIGNATURE), 401),
            (Post::signed("five"), 200),
        ] {
            assert_eq!(connection.exchange(&post.sized()).await.unwrap().status, status, "{server:?}");
            // The next observer still receives the event.
            bench.events.next().await;
        }
        assert_eq!(bench.handled.bodies(), ["one", "five"]);
    }
}

#[tokio::test]
async fn observer_panic_during_handler_panic_does_not_abort() {
    let (observer, mut events) = events();
    let panicking = |_: &SecurityEvent<'_>| panic!("a panic on purpose");
    let warden = warden().observer(panicking).observer(observer).build().unwrap();
    let handler = post(async |_: Webhook<Bytes>| -> Response { panic!("this too") });
    let router = Router::new().route("/webhooks/{id}", handler.layer(WardenLayer::new(warden)));
    let receiver = Receiver::axum(router).await;
    for _ in 0..2 {
        let mut connection = receiver.connect().await;
        assert_eq!(connection.exchange(&Post::signed("x").sized()).await, None);
        assert_eq!(events.next().await.outcome, Outcome::Released);
    }
}

//! The example receivers as programs of their own: what they read from their environment, what they answer, and how they
//! end.
#![cfg(all(
    feature = "actix",
    feature = "axum",
    feature = "harden",
    feature = "metrics",
    feature = "testing",
    feature = "tracing"
))]

mod util;

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use util::PATIENCE;
use util::client::Connection;
use util::program::{RECEIVERS, Running, ended};
use util::sender::{Post, SECRET, now};

const SIGNATURE: &str = "X-Webhook-Signature";
/// A refusal with the headers that every answer has by plain HTTP.
const HARDENED_401: &str = "401 Unauthorized | cache-control: no-store | content-length: 0 | content-security-policy: \
    default-src 'none'; frame-ancestors 'none' | www-authenticate: Webhook | x-content-type-options: nosniff | \
    x-frame-options: DENY | x-xss-protection: 1; mode=block";

fn of_type(kind: &str, note: u32) -> Post {
    Post::signed(format!(r#"{{"type":"{kind}","note":{note}}}"#))
}

#[test]
fn receiver_without_secrets_says_how_to_make_one() {
    for name in RECEIVERS {
        for settings in [&[][..], &[("HOOKWARDEN_SECRETS", "")]] {
            let output = ended(name, settings);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}: {error}");
            assert!(output.stdout.is_empty(), "{name}");
            assert_eq!(error.lines().count(), 1, "{name}: {error}");
            assert!(error.contains("HOOKWARDEN_SECRETS=\"acme=$(openssl rand -hex 32)\""), "{name}: {error}");
        }
    }
}

#[test]
fn bad_setting_ends_the_receiver_and_is_not_repeated() {
    let bad = [
        ("HOOKWARDEN_SECRETS", "canary-without-an-id"),
        ("HOOKWARDEN_SECRETS", "acme=canary-one,canary-two"),
        ("HOOKWARDEN_SECRETS", "acme="),
        ("HOOKWARDEN_SECRETS", "acme= canary"),
        ("HOOKWARDEN_SECRETS", "=canary"),
        ("HOOKWARDEN_SECRETS", "acme=canary,acme=canary"),
        ("HOOKWARDEN_SECRETS", "acme=canary,other=canary"),
        ("HOOKWARDEN_TOLERANCE", "canary"),
        ("HOOKWARDEN_TOLERANCE", "0"),
        ("HOOKWARDEN_TOLERANCE", "-1"),
        ("HOOKWARDEN_DEADLINE", "0"),
        ("HOOKWARDEN_DEADLINE", "1s"),
        ("HOOKWARDEN_BODY_LIMIT", "0"),
        ("HOOKWARDEN_BODY_LIMIT", "1MiB"),
        ("HOOKWARDEN_QUOTA", "0"),
        ("HOOKWARDEN_QUOTA", "canary"),
        ("HOOKWARDEN_REJECTED_QUOTA", "0"),
        ("HOOKWARDEN_TRUSTED_HOPS", "0"),
        ("HOOKWARDEN_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("HOOKWARDEN_PLAIN_HTTP", "canary"),
        ("HOOKWARDEN_SECURITY_CONTACT", "security@example.com"),
    ];
    for name in RECEIVERS {
        for (variable, value) in bad {
            let secrets = format!("acme={SECRET}");
            let output = ended(name, &[("HOOKWARDEN_SECRETS", secrets.as_str()), (variable, value)]);
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}, {variable}={value}: {said}");
            assert_eq!(said.lines().count(), 1, "{name}, {variable}={value}: {said}");
            assert!(said.starts_with(&format!("{name}: ")), "{said}");
            assert!(!said.contains("canary") && !said.contains(SECRET), "{name}, {variable}={value}: {said}");
        }
    }
}

#[tokio::test]
async fn accepted_request_is_answered_with_what_was_understood() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        for (body, answer) in [
            (r#"{"type":"order.paid"}"#.to_owned(), r#"{"bytes":21,"id":"acme","type":"order.paid"}"#),
            (r#"{"type":7}"#.to_owned(), r#"{"bytes":10,"id":"acme","type":null}"#),
            ("[1]".to_owned(), r#"{"bytes":3,"id":"acme","type":null}"#),
            (String::new(), r#"{"bytes":0,"id":"acme","type":null}"#),
            ("x".repeat(1024 * 1024), r#"{"bytes":1048576,"id":"acme","type":null}"#),
        ] {
            let post = Post::signed(body);
            let told = running.tell(&post).await;
            assert_eq!((told.status, told.header("content-type")), (200, Some("application/json")), "{name}");
            let (told, answer): (serde_json::Value, serde_json::Value) =
                (serde_json::from_slice(&told.body).unwrap(), serde_json::from_str(answer).unwrap());
            assert_eq!(told, answer, "{name}");
            let replay = running.tell(&post).await;
            assert_eq!((replay.status, replay.body.len()), (200, 0), "{name}: a replay");
        }
        let forged = running.tell(&Post::signed("x").carrying("y")).await;
        assert_eq!(forged.essence(), HARDENED_401, "{name}");
        let large = running.tell(&Post::signed(vec![b'x'; 1024 * 1024 + 1])).await;
        assert_eq!(large.status, 413, "{name}");
    }
}

#[tokio::test]
async fn failing_handler_runs_again_for_the_retry() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        let post = of_type("fail", 1);
        for _ in 0..3 {
            let told = running.tell(&post).await;
            // A replay would be answered 200 and with no body.
            assert_eq!((told.status, told.body.is_empty()), (500, false), "{name}");
        }
        let metrics = running.read("/metrics").await;
        assert!(metrics.contains(r#"outcome="released""#), "{name}: {metrics}");
    }
}

#[tokio::test]
async fn older_secret_of_a_sender_counts_too() {
    let secrets = format!("acme=the-newest-secret,acme={SECRET},other=the-secret-of-another");
    for name in RECEIVERS {
        let running = Running::start(name, &[("HOOKWARDEN_SECRETS", &secrets)]);
        assert_eq!(running.tell(&Post::signed("x")).await.status, 200, "{name}");
        assert_eq!(running.tell(&Post::signed("y").to("/webhooks/other")).await.status, 401, "{name}");
    }
}

#[tokio::test]
async fn metrics_tell_of_every_request() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        running.tell(&Post::signed("x")).await;
        running.tell(&Post::signed("x").carrying("y")).await;
        let metrics = running.read("/metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {metrics}");
        for reason in [r#"outcome="accepted""#, r#"reason="mismatch""#] {
            let line =
                metrics.lines().find(|line| line.starts_with("hookwarden_requests_total{") && line.contains(reason));
            assert!(line.is_some_and(|line| line.ends_with(" 1")), "{name}, {reason}: {metrics}");
        }
    }
}

#[tokio::test]
async fn settings_are_honoured() {
    for name in RECEIVERS {
        let running = Running::start(
            name,
            &[
                ("HOOKWARDEN_QUOTA", "2"),
                ("HOOKWARDEN_REJECTED_QUOTA", "4"),
                ("HOOKWARDEN_TOLERANCE", "20"),
                ("HOOKWARDEN_BODY_LIMIT", "100"),
                ("HOOKWARDEN_DEADLINE", "1"),
            ],
        );
        assert_eq!(running.tell(&Post::signed_at("old", now(-10))).await.status, 200, "{name}");
        assert_eq!(running.tell(&Post::signed_at("older", now(-21))).await.status, 401, "{name}: tolerance");
        assert_eq!(running.tell(&Post::signed([b'x'; 100])).await.status, 200, "{name}: body limit");
        assert_eq!(running.tell(&Post::signed([b'x'; 101])).await.status, 413, "{name}: body limit");
        let third = running.tell(&Post::signed("third")).await;
        assert_eq!(third.status, 429, "{name}: quota");
        assert_eq!(third.header("ratelimit-policy"), Some("\"webhook\";q=2;w=60"), "{name}");
        let wait = third.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
        assert!(wait.is_some_and(|wait| (1..=30).contains(&wait)), "{name}: {third:?}");

        let began = Instant::now();
        let stalled = Post::signed("x").head("Content-Length: 1\r\n");
        assert_eq!(running.connect().await.exchange(&stalled).await.unwrap().status, 408, "{name}: deadline");
        let took = began.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{name}: {took:?}");

        // Another id, as who delivered something genuine is not turned away. Three refusals are counted already.
        let other = Post::signed("x").to("/webhooks/other").replacing(SIGNATURE, "0".repeat(64));
        assert_eq!(running.tell(&other).await.status, 401, "{name}: refused quota");
        let blocked = running.tell(&other).await;
        assert_eq!((blocked.status, blocked.header("ratelimit")), (429, None), "{name}: refused quota");
    }
}

#[tokio::test]
async fn what_did_not_come_by_tls_is_turned_away_unless_a_declared_proxy_says_that_it_did() {
    let settings = [
        ("HOOKWARDEN_TRUSTED_HOPS", "1"),
        ("HOOKWARDEN_TRUSTED_PROXIES", "127.0.0.2,10.0.0.0/8"),
        ("HOOKWARDEN_PLAIN_HTTP", "redirect:hooks.example.com"),
        ("HOOKWARDEN_SECURITY_CONTACT", "mailto:security@example.com"),
    ];
    let (proxy, other) = ([127, 0, 0, 2].into(), [127, 0, 0, 1].into());
    for name in RECEIVERS {
        let running = Running::start(name, &settings);
        let get =
            "GET /.well-known/security.txt HTTP/1.1\r\nHost: hooks.example.com\r\nX-Forwarded-Proto: https\r\n\r\n";
        for (from, status) in [(proxy, 200), (other, 308)] {
            let mut connection = Connection::open_from(from, running.address).await;
            let answer = connection.exchange(get.as_bytes()).await.unwrap();
            let text = String::from_utf8(answer.body.clone()).unwrap();
            assert_eq!(answer.status, status, "{name} from {from}: {answer:?}");
            assert_eq!(
                text.starts_with("Contact: mailto:security@example.com\nExpires: 2"),
                status == 200,
                "{name}: {text}"
            );
        }
        let post = Post::signed("x").with("x-forwarded-proto", "https");
        for (from, status) in [(other, 403), (proxy, 200)] {
            let mut connection = Connection::open_from(from, running.address).await;
            assert_eq!(connection.exchange(&post.sized()).await.unwrap().status, status, "{name} from {from}");
        }
        let metrics = running.read("/metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {metrics}");
    }
}

#[tokio::test]
async fn termination_lets_the_request_in_flight_finish() {
    for name in RECEIVERS {
        let running = Running::start(name, &[("HOOKWARDEN_DEADLINE", "9")]);
        assert_eq!(running.tell(&Post::signed("before")).await.status, 200, "{name}");
        let post = of_type("late", 1);
        // The receiver is reading this one when it is told to end: its `100 Continue` says so.
        let mut connection = running.connect().await;
        let head = post.head(&format!("Expect: 100-continue\r\nContent-Length: {}\r\n", post.body.len()));
        assert_eq!(connection.exchange(&head).await.unwrap().status, 100, "{name}");
        running.program.terminate();
        // It listens no more once it was told.
        let began = Instant::now();
        while TcpStream::connect(running.address).await.is_ok() {
            assert!(began.elapsed() < PATIENCE, "{name} still listens");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Nothing tells that a receiver goes on waiting; one that does not is gone by then.
        tokio::time::sleep(Duration::from_millis(300)).await;
        connection.send(&post.body).await;
        let answer = connection.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.body.is_empty()), (200, false), "{name}");
        drop(connection);
        let output = running.program.output();
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
    }
}

#[tokio::test]
async fn log_tells_of_every_request_and_of_no_secret() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        let post = Post::signed("x");
        running.tell(&post).await;
        running.tell(&post.clone().carrying("y")).await;
        running.tell(&post).await;
        running.program.terminate();
        let output = running.program.output();
        assert_eq!(output.status.code(), Some(0), "{name}");
        let log = String::from_utf8(output.stderr).unwrap();
        for line in ["webhook accepted", "mismatch", "replayed"] {
            assert_eq!(log.matches(line).count(), 1, "{name}, {line}: {log}");
        }
        let signature = String::from_utf8(post.value(SIGNATURE)).unwrap();
        assert!(!log.contains(SECRET) && !log.contains(&signature), "{name}: {log}");
    }
}

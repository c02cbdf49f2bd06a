//! The example receivers as processes: settings, answers and shutdown.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::client::{Connection, DEPARTURES, Departure};
use crate::harness::program::{RECEIVERS, Running, ended};
use crate::harness::sender::{Post, SECRET, now};
use crate::harness::{PATIENCE, assert_silent};

const SIGNATURE: &str = "X-Webhook-Signature";
/// A refusal with the headers of every plain HTTP answer.
const HARDENED_401: &str = "401 Unauthorized | cache-control: no-store | content-length: 0 | content-security-policy: \
    default-src 'none'; frame-ancestors 'none' | www-authenticate: Webhook | x-content-type-options: nosniff | \
    x-frame-options: DENY | x-xss-protection: 1; mode=block";

fn of_type(kind: &str, note: u32) -> Post {
    Post::signed(format!(r#"{{"type":"{kind}","note":{note}}}"#))
}

pub(super) fn receiver_without_secrets_prints_how_to_generate() {
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

pub(super) fn bad_setting_ends_receiver_without_being_printed() {
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
        ("HOOKWARDEN_SHUTDOWN_LIMIT", "1s"),
        ("HOOKWARDEN_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("HOOKWARDEN_PLAIN_HTTP", "canary"),
        ("HOOKWARDEN_SECURITY_CONTACT", "security@example.com"),
    ];
    for name in RECEIVERS {
        for (variable, value) in bad {
            let secrets = format!("acme={SECRET}");
            let output = ended(name, &[("HOOKWARDEN_SECRETS", secrets.as_str()), (variable, value)]);
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8(text).unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}, {variable}={value}: {text}");
            assert_eq!(text.lines().count(), 1, "{name}, {variable}={value}: {text}");
            assert!(text.starts_with(&format!("{name}: ")), "{text}");
            assert!(!text.contains("canary") && !text.contains(SECRET), "{name}, {variable}={value}: {text}");
        }
    }
}

pub(super) async fn accepted_request_is_answered_with_its_content() {
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
            let answered = running.send(&post).await;
            assert_eq!((answered.status, answered.header("content-type")), (200, Some("application/json")), "{name}");
            let (answered, answer): (serde_json::Value, serde_json::Value) =
                (serde_json::from_slice(&answered.body).unwrap(), serde_json::from_str(answer).unwrap());
            assert_eq!(answered, answer, "{name}");
            let replay = running.send(&post).await;
            assert_eq!((replay.status, replay.body.len()), (200, 0), "{name}: a duplicate");
        }
        let forged = running.send(&Post::signed("x").carrying("y")).await;
        assert_eq!(forged.essence(), HARDENED_401, "{name}");
        let large = running.send(&Post::signed(vec![b'x'; 1024 * 1024 + 1])).await;
        assert_eq!(large.status, 413, "{name}");
    }
}

pub(super) async fn failing_handler_runs_again_for_the_retry() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        let post = of_type("fail", 1);
        for _ in 0..3 {
            let answered = running.send(&post).await;
            // A duplicate would be answered 200 without a body.
            assert_eq!((answered.status, answered.body.is_empty()), (500, false), "{name}");
        }
        let metrics = running.read("/metrics").await;
        assert!(metrics.contains(r#"outcome="released""#), "{name}: {metrics}");
    }
}

pub(super) async fn older_secret_of_a_sender_verifies() {
    let secrets = format!("acme=the-newest-secret,acme={SECRET},other=the-secret-of-another");
    for name in RECEIVERS {
        let running = Running::start(name, &[("HOOKWARDEN_SECRETS", &secrets)]);
        assert_eq!(running.send(&Post::signed("x")).await.status, 200, "{name}");
        assert_eq!(running.send(&Post::signed("y").to("/webhooks/other")).await.status, 401, "{name}");
    }
}

pub(super) async fn metrics_count_every_request() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        running.send(&Post::signed("x")).await;
        running.send(&Post::signed("x").carrying("y")).await;
        let metrics = running.read("/metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {metrics}");
        for reason in [r#"outcome="accepted""#, r#"reason="mismatch""#] {
            let line =
                metrics.lines().find(|line| line.starts_with("hookwarden_requests_total{") && line.contains(reason));
            assert!(line.is_some_and(|line| line.ends_with(" 1")), "{name}, {reason}: {metrics}");
        }
    }
}

pub(super) async fn settings_take_effect() {
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
        assert_eq!(running.send(&Post::signed_at("old", now(-10))).await.status, 200, "{name}");
        assert_eq!(running.send(&Post::signed_at("older", now(-21))).await.status, 401, "{name}: tolerance");
        assert_eq!(running.send(&Post::signed([b'x'; 100])).await.status, 200, "{name}: body limit");
        assert_eq!(running.send(&Post::signed([b'x'; 101])).await.status, 413, "{name}: body limit");
        let third = running.send(&Post::signed("third")).await;
        assert_eq!(third.status, 429, "{name}: quota");
        assert_eq!(third.header("ratelimit-policy"), Some("\"webhook\";q=2;w=60"), "{name}");
        let wait = third.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
        assert!(wait.is_some_and(|wait| (1..=30).contains(&wait)), "{name}: {third:?}");

        let began = Instant::now();
        let stalled = Post::signed("x").head("Content-Length: 1\r\n");
        assert_eq!(running.connect().await.exchange(&stalled).await.unwrap().status, 408, "{name}: deadline");
        let took = began.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{name}: {took:?}");

        // Use another id, because a genuine delivery has raised the quota of this id to ten times its size.
        let other = Post::signed("x").to("/webhooks/other").replacing(SIGNATURE, "0".repeat(64));
        for _ in 0..4 {
            assert_eq!(running.send(&other).await.status, 401, "{name}: refused quota");
        }
        let blocked = running.send(&other).await;
        assert_eq!((blocked.status, blocked.header("ratelimit")), (429, None), "{name}: refused quota");
    }
}

pub(super) async fn plain_http_is_refused_unless_proxy_reports_https() {
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

pub(super) async fn termination_lets_the_request_in_flight_finish() {
    for name in RECEIVERS {
        let mut running = Running::start(name, &[("HOOKWARDEN_DEADLINE", "9")]);
        assert_eq!(running.send(&Post::signed("before")).await.status, 200, "{name}");
        let post = of_type("late", 1);
        // `100 Continue` shows that the receiver reads this request when it gets SIGTERM.
        let mut connection = running.connect().await;
        let head = post.head(&format!("Expect: 100-continue\r\nContent-Length: {}\r\n", post.body.len()));
        assert_eq!(connection.exchange(&head).await.unwrap().status, 100, "{name}");
        running.program.terminate();
        // The program stops listening immediately.
        let began = Instant::now();
        while TcpStream::connect(running.address).await.is_ok() {
            assert!(began.elapsed() < PATIENCE, "{name} still listens");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.program.assert_runs_for(Duration::from_millis(300));
        connection.send(&post.body).await;
        let answer = connection.answer().await.expect("an answer");
        assert_eq!((answer.status, answer.body.is_empty()), (200, false), "{name}");
        drop(connection);
        let output = running.program.output();
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
    }
}

/// The sender waits for half a second, and the work takes three seconds.
pub(super) async fn work_of_departed_sender_runs_once() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        let deliver = async |(how, leave): Departure, note| {
            let post = of_type("slow", note);
            for (attempt, expected) in [("first", None), ("second", Some(409))] {
                let mut connection = running.connect().await;
                connection.send(&post.sized()).await;
                let answer = timeout(Duration::from_millis(500), connection.answer()).await;
                let status = answer.ok().map(|answer| answer.expect("an answer").status);
                assert_eq!(status, expected, "{name} {how}, {attempt}");
                leave(connection);
            }
            let began = Instant::now();
            loop {
                let status = running.send(&post).await.status;
                if status == 200 {
                    break;
                }
                assert_eq!(status, 409, "{name} {how}");
                assert!(began.elapsed() < PATIENCE, "{name} {how}: no 200 in time");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            // The time from the first attempt shows that the retry was not answered before the work was done.
            assert!(began.elapsed() > Duration::from_millis(1_500), "{name} {how}: {:?}", began.elapsed());
        };
        tokio::join!(deliver(DEPARTURES[0], 1), deliver(DEPARTURES[1], 2));
        running.program.terminate();
        let log = String::from_utf8(running.program.output().stderr).unwrap();
        for (line, count) in [("slow work begins", 2), ("webhook accepted", 2), ("not committed", 0)] {
            assert_eq!(log.matches(line).count(), count, "{name}, {line}: {log}");
        }
    }
}

pub(super) async fn termination_waits_for_detached_handlers_within_its_limit() {
    for name in RECEIVERS {
        for (limit, accepted, given_up) in [("30", 2, false), ("0", 0, true)] {
            let running = Running::start(name, &[("HOOKWARDEN_SHUTDOWN_LIMIT", limit)]);
            let posts = [of_type("slow", 1), of_type("slow", 2)];
            for post in &posts {
                let mut connection = running.connect().await;
                connection.send(&post.sized()).await;
                assert_silent(connection.answer()).await;
                // actix-web does not distinguish a client that closes its connection from one that waits.
                connection.reset();
            }
            for post in &posts {
                assert_eq!(running.send(post).await.status, 409, "{name}");
            }
            running.program.terminate();
            let output = running.program.output();
            let log = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(0), "{name}, {limit}: {log}");
            assert_eq!(log.matches("webhook accepted").count(), accepted, "{name}, {limit}: {log}");
            let notice = "2 handlers did not finish: retries will run them again";
            assert_eq!(log.contains(notice), given_up, "{name}, {limit}: {log}");
        }
    }
}

pub(super) async fn log_has_every_request_and_no_secret() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        let post = Post::signed("x");
        running.send(&post).await;
        running.send(&post.clone().carrying("y")).await;
        running.send(&post).await;
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

//! What is logged.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hookwarden::testing::TestClock;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;

use crate::revocation::Setup;
use crate::server::{Reply, Server, answer_with, document};
use crate::store::{Found, builder, find, jwk, store};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Returns the lines since the last call.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(|line| line.trim_start().to_owned()).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Collects the log of this thread, which also runs the tasks of a test.
fn collect() -> (Log, DefaultGuard) {
    // While there is only one subscriber, tracing asks the subscriber of the thread that is first to log something whether it
    // is of interest to any thread. That thread can be one of another test.
    static SECOND: OnceLock<Dispatch> = OnceLock::new();
    SECOND.get_or_init(|| Dispatch::new(NoSubscriber::new()));
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
    let subscriber = subscriber.with_max_level(tracing::Level::INFO).with_writer(log.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn skipped_key_is_logged_once() {
    let skipped = [jwk("k1", 1, ""), jwk("k2\\n\\u001b", 2, r#","use":"enc""#), jwk("k3", 3, r#","d":"AAAA""#)];
    let server = Server::start(Reply::Send(document(&format!("{{\"keys\":[{}]}}", skipped.join(","))))).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    let (log, _guard) = collect();
    for requests in 1..=3 {
        assert_eq!(find(&keys, "k1").await, Found::Key);
        assert_eq!(server.requests(), requests);
        clock.advance(Duration::from_secs(300));
    }
    assert_eq!(
        log.take(),
        [
            r#"WARN a key of a key set is not used sender=acme key="k2\n\u{1b}" problem=use: must be sig"#,
            "ERROR a key set publishes a secret; the key is refused sender=acme key=\"k3\" problem=must be a public key, not a \
             private one: everyone knows this key now",
        ]
    );
}

#[tokio::test]
async fn texts_from_documents_are_cut() {
    let long = "n".repeat(100_000);
    let server = Server::start(Reply::Send(document(&format!("{{\"{long}\":1,\"{long}\":2}}")))).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    let (log, _guard) = collect();
    let Found::Failed(error) = find(&keys, "k1").await else { panic!("a key was found") };
    let problem = format!("must be JSON: two members have the name \"{}\" at line 1 column ", &long[..32]);
    assert!(error.starts_with(&format!("keys of acme: {problem}")) && error.len() < 200, "{error:.300}");
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains(&problem) && lines[0].len() < 400, "{:.500}", lines.concat());

    // A character can need 10 characters in a log.
    let long = "\u{10ffff}".repeat(25_000);
    server.set(Reply::Send(document(&format!("{{\"{long}\":1,\"{long}\":2}}"))));
    clock.advance(Duration::from_secs(1));
    let Found::Failed(error) = find(&keys, "k1").await else { panic!("a key was found") };
    assert_eq!(error.len(), "keys of acme: ".len() + 300, "{error:.500}");
    assert!(log.take().concat().len() < 600);

    let (kid, alg) = ("k".repeat(70_000), format!(r#","alg":"{}""#, "a".repeat(70_000)));
    let skipped = [jwk(&kid, 1, r#","use":"enc""#), jwk("k2", 2, &alg)];
    server.set(Reply::Send(document(&format!("{{\"keys\":[{}]}}", skipped.join(",")))));
    clock.advance(Duration::from_secs(60));
    assert_eq!(find(&keys, "k2").await, Found::Unknown);
    let lines = log.take();
    assert_eq!(lines.iter().filter(|line| line.contains("is not used")).count(), 2);
    let expected = format!("key=\"{}\" problem=use: ", &kid[..64]);
    assert!(lines[0].contains(&expected), "{:.500}", lines[0]);
    assert!(lines.iter().all(|line| line.len() < 600), "{:.1000}", lines.concat());
}

#[tokio::test]
async fn query_of_the_url_is_not_logged() {
    let server = Server::start(Reply::Send(answer_with("404 Not Found", "", ""))).await;
    let url = format!("{}?token=secret", server.url());
    let source = hookwarden_jwks::Source::jwk_set(&url).danger_private_addresses();
    let source = source.danger_root_certificates(server.authority.pem.clone());
    let clock = TestClock::default();
    let keys = builder(&clock).sender("acme", source.clone()).build().unwrap();
    let (log, _guard) = collect();
    find(&keys, "k1").await;
    server.set(Reply::Send(document("{\"keys\":[]}")));
    for _ in 0..2 {
        clock.advance(Duration::from_secs(300));
        find(&keys, "k1").await;
    }
    assert!(server.last_head().starts_with("GET /jwks.json?token=secret "), "{}", server.last_head());
    let lines = log.take();
    assert_eq!(lines.iter().filter(|line| line.contains(&format!("url={} ", server.url()))).count(), 1, "{lines:?}");
    assert!(lines.len() == 3 && lines[2].ends_with(&format!("url={}", server.url())), "{lines:?}");
    let twice = builder(&clock).sender("a", source.clone()).sender("b", source).build().unwrap_err().to_string();
    assert_eq!(twice, format!("sender: must each have another URL, but two have {}", server.url()));
}

#[tokio::test]
async fn outage_is_logged_with_its_end() {
    let server = Server::start(Reply::Send(answer_with("500 Internal Server Error", "", "secret-content"))).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    let (log, _guard) = collect();
    let failed = |what, failures| {
        format!(
            "WARN the key set cannot be fetched: {what} sender=acme url={} problem=answered 500 Internal Server Error \
             instead of 200 failures={failures}",
            server.url(),
        )
    };
    for _ in 0..5 {
        find(&keys, "k1").await;
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(log.take(), [1, 2, 4].map(|failures| failed("requests are answered 503", failures)));

    server.set(Reply::Send(document(&format!("{{\"keys\":[{}]}}", jwk("k1", 1, "")))));
    assert_eq!(find(&keys, "k1").await, Found::Key);
    assert_eq!(log.take(), ["INFO the key set is available again sender=acme keys=1 failures=5"]);

    server.set(Reply::Send(answer_with("500 Internal Server Error", "", "")));
    clock.advance(Duration::from_secs(300));
    assert_eq!(find(&keys, "k1").await, Found::Key);
    assert_eq!(log.take(), [format!("{} keys_age=300", failed("old keys are used", 1))]);

    server.set(Reply::Send(document("{\"keys\":[]}")));
    clock.advance(Duration::from_secs(60));
    find(&keys, "k9").await;
    clock.advance(Duration::from_secs(300));
    find(&keys, "k9").await;
    let lines = log.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("WARN the key set has no key that can be used"), "{lines:?}");
}

#[tokio::test]
async fn stale_list_is_logged_at_once() {
    let setup = Setup::with(&[]).await;
    setup.fail();
    let (log, _guard) = collect();
    setup.clock.advance(Duration::from_secs(900));
    loop {
        // An unknown key waits for the fetch.
        setup.find("unknown").await;
        if setup.find("k1").await != Found::Key {
            break;
        }
        setup.clock.advance(Duration::from_secs(60));
    }
    let failed = |what, failures, age| {
        format!(
            "WARN the key set cannot be fetched: {what} sender=acme url={} problem=list of revoked keys: answered 500 \
             Internal Server Error instead of 200 failures={failures}{age}",
            setup.keys_server.url(),
        )
    };
    let mut expected: Vec<String> =
        [1, 2, 4, 8, 16, 32].map(|failures| failed("old keys are used", failures, " keys_age=0")).into();
    // 900 seconds after the list was due, and 4 intervals later.
    expected.push(failed("requests are answered 503", 61, ""));
    assert_eq!(log.take(), expected);
}

#[tokio::test]
async fn frozen_list_is_logged_once() {
    let setup = Setup::with(&[]).await;
    let (log, _guard) = collect();
    // It is replaced a little late.
    setup.clock.advance(Duration::from_secs(900 + 59));
    assert_eq!(setup.find("k1").await, Found::Key);
    assert_eq!(log.take(), [""; 0]);
    for _ in 0..10 {
        setup.clock.advance(Duration::from_secs(60));
        assert_eq!(setup.find("k1").await, Found::Key);
    }
    let expected = format!(
        "WARN the list of revoked keys was not replaced at its next_update: all requests are answered 503 when it is stale \
         sender=acme url={} stale_in=3481",
        setup.list_url()
    );
    assert_eq!(log.take(), [expected]);
    setup.publish(&[]);
    setup.clock.advance(Duration::from_secs(60));
    setup.find("k1").await;
    setup.clock.advance(Duration::from_secs(1_000));
    setup.find("k1").await;
    assert_eq!(log.take().len(), 1, "another list");
}

//! What is logged.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hookwarden::testing::TestClock;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;

use crate::server::{Reply, Server, answer_with, document};
use crate::store::{Found, find, jwk, store};

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

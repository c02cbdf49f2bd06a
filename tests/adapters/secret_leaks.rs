//! No output of the library contains a secret or a value computed with it.

use std::fmt::Debug;
use std::io::Write;
use std::panic;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwarden::event::{MetricsObserver, Outcome, RefusalReason, SecurityEvent, TracingObserver};
use hookwarden::keys::{CachedKeys, StaticKeys};
use hookwarden::warden::{BodyLimits, Quotas, WardenBuilder};
use hookwarden::{Keyring, Quota, Reason, Scheme, Signer, Verifier, Warden};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing_subscriber::fmt::MakeWriter;

use crate::harness::canaries::Canaries;
use crate::harness::receiver::Server;
use crate::harness::sender::{ID, Post};
use crate::harness::site::{Act, NOW, SHORT_DEADLINE, Site, later};

const CANARY: &str = "canary-5b1c-of-the-one-sender";
const OTHER_CANARY: &str = "canary-77aa-of-the-key-before";
const SIGNATURE: &str = "X-Webhook-Signature";

/// A sink for the output of all threads.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic under the lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Sink {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().expect("no panic under the lock"))
    }
}

fn secrets() -> Canaries {
    let mut canaries = Canaries::default();
    canaries.add("the secret", CANARY.as_bytes());
    canaries.add("the older secret", OTHER_CANARY.as_bytes());
    canaries
}

fn keys() -> Keyring {
    let scheme = Scheme::timestamped();
    let key = |id, text| hookwarden::Key::new(id, scheme.secret(text).expect("a secret")).expect("a key");
    Keyring::from_keys([key("new", CANARY), key("old", OTHER_CANARY)]).expect("a keyring")
}

fn signed(body: &str, offset: i64) -> Post {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme, keys()).expect("a signer");
    Post::signed_by(&signer, "/webhooks/acme", &[], body, later(offset))
}

/// Prints everything that an observer receives.
fn talkative(output: Sink) -> impl Fn(&SecurityEvent<'_>) + Send + Sync {
    move |event: &SecurityEvent<'_>| {
        let mut output = output.clone();
        writeln!(output, "{event:?} {event:#?}").expect("memory");
        if event.webhook_id == Some("panic") {
            panic!("{event:?}");
        }
    }
}

/// Requests with every kind of outcome.
async fn run(site: &mut Site, output: &mut Vec<String>) {
    let refused = Outcome::Refused;
    let good = signed("body", 0);
    let signature = good.value(SIGNATURE);
    let mut send = async |post: Vec<u8>, outcome: Outcome| {
        let exchange = site.send(&post).await;
        assert_eq!(exchange.event.outcome, outcome, "{:?}", site.adapter);
        output.push(format!("{:?} {exchange:?}", exchange.answer.as_ref().map(|answer| &answer.head)));
        if let Some(answer) = exchange.answer {
            output.extend([answer.head, String::from_utf8_lossy(&answer.body).into_owned()]);
        }
    };
    send(good.sized(), Outcome::Accepted).await;
    send(good.sized(), refused(RefusalReason::Replayed)).await;
    send(good.clone().carrying("bodx").sized(), refused(RefusalReason::Unverified(Reason::Mismatch))).await;
    send(good.clone().carrying("x".repeat(2000)).sized(), refused(RefusalReason::BodyTooLarge)).await;
    send(good.clone().to("/webhooks/unlisted").sized(), refused(RefusalReason::UnknownId)).await;
    send(good.clone().to("/webhooks/panic").sized(), refused(RefusalReason::UnknownId)).await;
    send(
        good.clone().without("X-Webhook-Timestamp").sized(),
        refused(RefusalReason::Unverified(Reason::MissingHeader)),
    )
    .await;
    send(
        good.clone().with(SIGNATURE, signature.clone()).sized(),
        refused(RefusalReason::Unverified(Reason::DuplicateHeader)),
    )
    .await;
    send(
        good.clone().replacing(SIGNATURE, [&signature[..], b"00"].concat()).sized(),
        refused(RefusalReason::Unverified(Reason::MalformedSignature)),
    )
    .await;
    send(
        good.clone().replacing("X-Webhook-Timestamp", signature.clone()).sized(),
        refused(RefusalReason::Unverified(Reason::MalformedTimestamp)),
    )
    .await;
    send(signed("stale", -301).sized(), refused(RefusalReason::Unverified(Reason::Stale))).await;
    send(signed("early", 301).sized(), refused(RefusalReason::Unverified(Reason::Early))).await;
    send(good.head("Content-Length: 9\r\n"), refused(RefusalReason::BodyTooSlow)).await;
    send(signed("too many", 0).sized(), refused(RefusalReason::QuotaExceeded)).await;
    site.clock.advance(Duration::from_secs(60));
    site.then(Act::Panic);
    let exchange = site.send(&signed("panic", 0).sized()).await;
    assert_eq!((exchange.event.outcome, exchange.answer), (Outcome::Released, None));
    site.clock.advance(Duration::from_secs(60));
    site.then(Act::Answer(500));
    let exchange = site.send(&signed("failing", 0).sized()).await;
    assert_eq!(exchange.event.outcome, Outcome::Released);
    output.push(exchange.answer.expect("an answer").head);
}

/// Runs in its own process, because it sets the global subscriber, recorder and panic hook.
#[test]
fn secrets_and_macs_never_leave_the_process() {
    const ALONE: &str = "HOOKWARDEN_SECRET_LEAKS";
    if std::env::var_os(ALONE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(assert_nothing_leaks());
    }
    let test = "secret_leaks::secrets_and_macs_never_leave_the_process";
    // The path of the program may be gone: a test of misuse runs cargo, which may link it again.
    let link = std::path::PathBuf::from("/proc/self/exe");
    let this = if link.exists() { link } else { std::env::current_exe().unwrap() };
    let output =
        std::process::Command::new(this).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

async fn assert_nothing_leaks() {
    let log = Sink::default();
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(log.clone()).init();
    let panics = Sink::default();
    let hook = panics.clone();
    panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string));
        writeln!(hook.clone(), "{info} {text:?}").expect("memory");
        eprintln!("{info}");
    }));

    let mut canaries = secrets();
    for secret in [CANARY, OTHER_CANARY] {
        for (body, offset) in
            [("body", 0), ("bodx", 0), ("stale", -301), ("early", 301), ("too many", 0), ("panic", 0), ("failing", 0)]
        {
            canaries.add_mac(secret, body.as_bytes(), later(offset));
        }
    }
    for &adapter in Server::ALL {
        let events = Sink::default();
        let mut answers = Vec::new();
        let mut site = Site::of(adapter, Scheme::timestamped(), |warden| {
            warden
                .sender(ID, keys())
                .quotas(Quotas::new().accepted(Quota::per_minute(1).unwrap()).danger_unlimited_rejected())
                .body(BodyLimits::new().max_bytes(1000).deadline(SHORT_DEADLINE))
                .observer(TracingObserver::new())
                .observer(MetricsObserver::new())
                .observer(talkative(events.clone()))
        })
        .await;
        run(&mut site, &mut answers).await;
        site.end().await;

        canaries.assert_absent(&format!("the answers of {adapter:?}"), answers.join("\n").as_bytes());
        canaries.assert_absent(&format!("the events of {adapter:?}"), &events.take());
        let log = log.take();
        let text = String::from_utf8_lossy(&log);
        for line in ["webhook accepted", "delivery not committed", "webhook refused", "mismatch", "replayed"] {
            assert!(text.contains(line), "{adapter:?} logs no {line}");
        }
        canaries.assert_absent(&format!("the log of {adapter:?}"), &log);
        canaries.assert_absent(&format!("the panics of {adapter:?}"), &panics.take());
        let metrics = metrics.render();
        assert!(metrics.contains("hookwarden_requests_total"), "{metrics}");
        canaries.assert_absent(&format!("the metrics after {adapter:?}"), metrics.as_bytes());
    }
}

/// Returns both forms of debug output.
fn debug(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

#[test]
fn secrets_and_macs_are_in_no_debug_output() {
    let scheme = Scheme::timestamped();
    let mut canaries = secrets();
    for secret in [CANARY, OTHER_CANARY] {
        canaries.add_mac(secret, b"body", NOW);
        canaries.add_mac(secret, b"bodx", NOW);
    }
    let assert_absent = |what: &str, output: String| canaries.assert_absent(what, output.as_bytes());
    assert_absent("a secret", debug(&scheme.secret(CANARY).unwrap()));
    assert_absent("a keyring", debug(&keys()));
    assert_absent("its keys", debug(&keys().iter().collect::<Vec<_>>()));
    assert_absent("prepared keys", debug(&scheme.prepare(&keys()).unwrap()));
    assert_absent("a signer", debug(&Signer::new(scheme.clone(), keys()).unwrap()));
    assert_absent("a verifier", debug(&Verifier::new(scheme.clone(), keys()).unwrap()));
    assert_absent("a store of keys", debug(&StaticKeys::new(&scheme, [(ID, keys())]).unwrap()));

    let post = signed("body", 0);
    let text = |name: &str| String::from_utf8(post.value(name)).unwrap();
    let (signature, timestamp) = (text(SIGNATURE), text("X-Webhook-Timestamp"));
    let head = vec![(SIGNATURE, signature.as_str()), ("X-Webhook-Timestamp", timestamp.as_str())];
    let verifier = Verifier::new(scheme.clone(), keys()).unwrap();
    let mut verification = verifier.begin_at(&head, NOW).unwrap();
    verification.update(b"body");
    assert_absent("a verification", debug(&verification));
    assert_absent("what is verified", debug(&verification.finish().unwrap()));
    assert_absent("a rejection", debug(&verifier.verify_at(&head, b"bodx", NOW).unwrap_err()));

    let builder: WardenBuilder =
        Warden::builder(scheme.clone()).sender(ID, keys()).clock(hookwarden::testing::TestClock::new(NOW));
    assert_absent("a builder", debug(&builder));
    let warden = builder.build().unwrap();
    assert_absent("a Warden", debug(&warden));
    assert_absent("a layer", debug(&hookwarden::tower::WardenLayer::new(warden.clone())));
    assert_absent("axum's layer", debug(&hookwarden::axum::WardenLayer::new(warden.clone())));
    assert_absent("a middleware", debug(&hookwarden::actix::WardenMiddleware::new(warden.clone())));
    assert_absent("a guard", debug(&hookwarden::actix::SignedGuard::new(warden.clone())));
    let examined = warden.examine(&head, None).unwrap();
    assert_absent("what is examined", debug(&examined));
    let mut receiving = examined.identify(ID).unwrap();
    receiving.update(b"body").unwrap();
    assert_absent("what is received", debug(&receiving));
    let admitted = receiving.finish().unwrap();
    assert_absent("what is admitted", debug(&admitted));
    assert_absent("its facts", debug(admitted.delivery()));
    admitted.commit();
    let mut receiving = warden.examine(&head, None).unwrap().identify(ID).unwrap();
    receiving.update(b"bodx").unwrap();
    let refused = receiving.finish().unwrap_err();
    assert_absent("what is refused", format!("{} {refused}", debug(&refused)));
    assert_absent("an answer", debug(refused.answer()));

    // Configuration errors do not quote secrets.
    let shared = Warden::builder(scheme.clone()).sender("a", keys()).sender("b", keys()).build().unwrap_err();
    assert_absent("a fault of two senders", format!("{} {shared}", debug(&shared)));
    let blank = scheme.secret(&format!("{CANARY} ")).unwrap_err();
    assert_absent("a fault of a secret", format!("{} {blank}", debug(&blank)));
    let twice = keys().add(hookwarden::Key::new("again", scheme.secret(CANARY).unwrap()).unwrap()).unwrap_err();
    assert_absent("a fault of a keyring", format!("{} {twice}", debug(&twice)));
    assert_absent("a cache of keys", debug(&CachedKeys::new(&scheme, Nowhere)));
}

struct Nowhere;

impl hookwarden::keys::AsyncKeyStore for Nowhere {
    fn find<'a>(
        &'a self,
        _: &'a str,
    ) -> hookwarden::BoxFuture<'a, Result<Option<Keyring>, hookwarden::error::StoreError>> {
        Box::pin(std::future::ready(Ok(Some(keys()))))
    }
}

/// The search finds a secret that leaks.
#[test]
#[should_panic(expected = "the secret in base64")]
fn leaked_canary_is_found() {
    let output = format!("and so the secret is {}", STANDARD.encode(CANARY));
    secrets().assert_absent("a sentence", output.as_bytes());
}

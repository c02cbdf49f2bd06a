//! Log lines and metrics, with and without a flood.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwarden::clock::{Clock, ClockReading};
use hookwarden::error::StoreError;
use hookwarden::event::StoreKind;
use hookwarden::event::{MetricsObserver, Observer, Outcome, RefusalReason, SecurityEvent, TracingObserver, Warning};
use hookwarden::secret::KeyId;
use hookwarden::{Keyring, Reason, Scheme, Timestamp, Warden};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tracing::Level;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

const SECRET: &str = "a-subscription-secret";
const BODY: &[u8] = br#"{"event":"user.created"}"#;
const SIGNATURE: &str = "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe";
const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A clock that the test sets.
#[derive(Default)]
struct TestClock(AtomicU64);

impl TestClock {
    fn set(&self, time: Duration) {
        self.0.store(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> ClockReading {
        ClockReading { wall: NOW, monotonic: Duration::from_micros(self.0.load(Ordering::Relaxed)) }
    }
}

/// One log line by its fields.
#[derive(Debug, Clone)]
struct Line {
    level: Level,
    target: String,
    fields: BTreeMap<&'static str, String>,
}

impl Line {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    fn suppressed(&self) -> Option<u64> {
        self.field("suppressed").map(|count| count.parse().unwrap())
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.into());
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line { level: *metadata.level(), target: metadata.target().into(), fields: BTreeMap::default() };
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }
}

/// Returns the lines that `act` logs through an observer with its own clock. The observer is dropped at the end.
fn logged(act: impl FnOnce(&TracingObserver, &TestClock)) -> Vec<Line> {
    let lines = Lines::default();
    let clock = Arc::new(TestClock::default());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.clone()), || {
        act(&TracingObserver::new().with_clock(clock.clone()), &clock);
    });
    let lines = lines.0.lock().unwrap();
    lines.clone()
}

/// Returns the number of events in the lines: one each, or the count that a line has.
fn events_in(lines: &[Line]) -> u64 {
    lines.iter().map(|line| line.suppressed().unwrap_or(1)).sum()
}

fn refused(reason: RefusalReason, peer: impl Into<IpAddr>) -> SecurityEvent<'static> {
    let mut event = SecurityEvent::new(Outcome::Refused(reason), "timestamped");
    event.peer = Some(peer.into());
    event.webhook_id = Some("acme");
    event
}

fn full(outcome: Outcome) -> SecurityEvent<'static> {
    let mut event = SecurityEvent::new(outcome, "timestamped");
    event.webhook_id = Some("acme");
    event.known_id = true;
    event.peer = Some(Ipv4Addr::new(192, 0, 2, 7).into());
    event.key_id = Some(KeyId::new("2026").unwrap());
    event.header = Some("X-Webhook-Signature");
    event.capture = Some("hookwarden-1800000000-mismatch-00000000-0123456789abcdef-000007.http");
    event.skew = Some(-3);
    event.body_bytes = 24;
    event.duration = Duration::from_micros(1_500);
    event
}

fn warden(observer: impl Observer) -> Warden {
    let scheme = Scheme::timestamped();
    let keys = Keyring::new(scheme.secret(SECRET).unwrap());
    Warden::builder(scheme).sender("acme", keys).observer(observer).clock(TestClock::default()).build().unwrap()
}

const PEER: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));

/// Runs a delivery through a Warden.
fn deliver(warden: &Warden, id: &str, signature: &str) -> Result<(), RefusalReason> {
    let head = [("X-Webhook-Timestamp", "1800000000"), ("X-Webhook-Signature", signature)];
    let verify = || {
        let mut receiving = warden.examine(&head, PEER)?.identify(id)?;
        receiving.update(BODY)?;
        receiving.finish()
    };
    verify().map(hookwarden::warden::Admitted::commit).map_err(|refused| refused.reason())
}

#[test]
fn log_level_follows_the_outcome() {
    let cases = [
        (Outcome::Accepted, Level::INFO),
        (Outcome::Released, Level::WARN),
        (Outcome::Handshake, Level::INFO),
        (Outcome::Abandoned, Level::INFO),
        (Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)), Level::WARN),
        (Outcome::Refused(RefusalReason::Replayed), Level::WARN),
        (Outcome::Refused(RefusalReason::QuotaExceeded), Level::WARN),
        (Outcome::Refused(RefusalReason::PeerBlocked), Level::WARN),
        (Outcome::Refused(RefusalReason::KeyStoreUnavailable), Level::ERROR),
        (Outcome::Refused(RefusalReason::ReplayStoreUnavailable), Level::ERROR),
        (Outcome::Refused(RefusalReason::Misconfigured), Level::ERROR),
    ];
    for (outcome, level) in cases {
        let lines = logged(|observer, _| observer.observe(&full(outcome)));
        assert_eq!(lines.len(), 1, "{outcome:?}");
        assert_eq!((lines[0].level, &*lines[0].target), (level, "hookwarden"), "{outcome:?}");
        assert_eq!(lines[0].field("outcome"), Some(outcome.as_str()));
        assert_eq!(lines[0].field("reason"), outcome.reason().map(RefusalReason::as_str), "{outcome:?}");
    }
}

#[test]
fn log_line_has_exactly_the_documented_fields() {
    let lines =
        logged(|observer, _| observer.observe(&full(Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)))));
    let fields: Vec<_> = lines[0].fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("body_bytes", "24"),
            ("capture", "hookwarden-1800000000-mismatch-00000000-0123456789abcdef-000007.http"),
            ("duration_us", "1500"),
            ("header", "X-Webhook-Signature"),
            ("key_id", "2026"),
            ("message", "webhook refused"),
            ("outcome", "refused"),
            ("peer", "192.0.2.7"),
            ("reason", "mismatch"),
            ("scheme", "timestamped"),
            ("skew_s", "-3"),
            ("webhook_id", "acme"),
        ]
    );
    // Unknown fields are omitted.
    let lines = logged(|observer, _| observer.observe(&SecurityEvent::new(Outcome::Accepted, "github")));
    let names: Vec<_> = lines[0].fields.keys().copied().collect();
    assert_eq!(names, ["body_bytes", "duration_us", "message", "outcome", "scheme"]);
}

#[test]
fn flood_of_one_peer_is_sampled_and_counted() {
    let event = refused(RefusalReason::Unverified(Reason::Mismatch), [192, 0, 2, 7]);
    let lines = logged(|observer, clock| {
        for millisecond in 0..100_000_u64 {
            // All events are within 50 seconds.
            clock.set(Duration::from_micros(millisecond * 500));
            observer.observe(&event);
        }
        clock.set(Duration::from_secs(61));
        observer.observe(&full(Outcome::Accepted));
    });
    // The lines are those of the burst, the count, and the event after the window.
    assert_eq!(lines.len(), 5 + 1 + 1);
    assert_eq!(events_in(&lines), 100_000 + 1);
    let count = &lines[5];
    assert_eq!((count.level, count.suppressed()), (Level::WARN, Some(99_995)));
    let counts = ["outcome", "reason", "webhook_id", "peer", "scheme"].map(|name| count.field(name).unwrap());
    assert_eq!(counts, ["refused", "mismatch", "acme", "192.0.2.7", "timestamped"]);
}

#[test]
fn flood_of_million_peers_is_bounded_per_second() {
    let lines = logged(|observer, clock| {
        for peer in 0..1_000_000_u32 {
            // 100,000 per second.
            clock.set(Duration::from_micros(u64::from(peer) * 10));
            observer.observe(&refused(RefusalReason::Unverified(Reason::Stale), Ipv4Addr::from_bits(peer)));
        }
    });
    assert!(lines.len() <= 10 * 10 + 1, "{}", lines.len());
    assert_eq!(events_in(&lines), 1_000_000);
}

#[test]
fn ended_flood_is_reported_when_observer_drops() {
    let lines = logged(|observer, _| {
        for _ in 0..100 {
            observer.observe(&refused(RefusalReason::Unverified(Reason::Mismatch), [192, 0, 2, 7]));
        }
    });
    assert_eq!((lines.len(), events_in(&lines)), (6, 100));
    let lines = logged(|observer, _| {
        for _ in 0..100 {
            observer.observe(&SecurityEvent::new(Outcome::Abandoned, "timestamped"));
        }
        observer.flush();
        observer.flush();
    });
    assert_eq!((lines.len(), events_in(&lines)), (6, 100));
}

#[test]
fn flood_from_one_ipv6_network_is_one_peer() {
    let lines = logged(|observer, _| {
        for host in 0..100 {
            observer.observe(&refused(
                RefusalReason::Unverified(Reason::Mismatch),
                Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, host),
            ));
        }
    });
    assert_eq!((lines.len(), events_in(&lines)), (6, 100));
    assert_eq!(lines[4].field("peer"), Some("2001:db8:1:2:3:4:5:4"));
    assert_eq!(lines[5].field("peer"), Some("2001:db8:1:2::"));
}

#[test]
fn released_delivery_logs_the_handlers_status() {
    let lines = logged(|observer, _| {
        let mut event = full(Outcome::Released);
        event.status = Some(http::StatusCode::BAD_REQUEST);
        observer.observe(&event);
    });
    assert_eq!(lines[0].field("message"), Some("answered 400: delivery not committed, a retry will run it"));
    assert_eq!(lines[0].field("status"), Some("400"));
}

#[test]
fn flood_hides_neither_an_outage_nor_a_delivery() {
    let lines = logged(|observer, _| {
        for peer in 0..1_000 {
            observer.observe(&refused(RefusalReason::Unverified(Reason::Mismatch), Ipv4Addr::from_bits(peer)));
        }
        observer.observe(&full(Outcome::Refused(RefusalReason::KeyStoreUnavailable)));
        observer.warning(&Warning::RejectedTableFull);
        observer.observe(&full(Outcome::Accepted));
        observer.observe(&full(Outcome::Released));
    });
    let counts: Vec<_> = lines.iter().skip(10).take(4).map(|line| line.field("message").unwrap()).collect();
    assert_eq!(
        counts,
        [
            "webhook refused, the receiver is at fault",
            "the table of refused requests is full: further peers are not blocked",
            "webhook accepted",
            "delivery not committed, a retry will run it: the handler panicked, was dropped, or did not call \
             `Admitted::commit`"
        ]
    );
}

#[test]
fn outage_is_sampled_by_reason_without_peer() {
    let lines = logged(|observer, _| {
        for peer in 0..1_000 {
            observer.observe(&refused(RefusalReason::ReplayStoreUnavailable, Ipv4Addr::from_bits(peer)));
        }
    });
    assert_eq!((lines.len(), events_in(&lines)), (6, 1_000));
    assert_eq!((lines[5].level, lines[5].field("peer"), lines[5].field("webhook_id")), (Level::ERROR, None, None));
}

#[test]
fn warning_has_its_level_and_is_sampled() {
    let lines = logged(|observer, _| {
        for _ in 0..50 {
            observer.warning(&Warning::LimiterFellBack);
        }
        observer.warning(&Warning::KeyReloadFailed);
    });
    let counts: Vec<_> =
        lines.iter().map(|line| (line.level, line.field("warning").unwrap(), line.suppressed())).collect();
    let single = (Level::WARN, "limiter_fell_back", None);
    let failed = (Level::ERROR, "key_reload_failed", None);
    let count = (Level::WARN, "limiter_fell_back", Some(45));
    assert_eq!(counts, [single, single, single, single, single, failed, count]);
}

#[test]
fn recovery_is_logged_after_a_sampled_outage() {
    let lines = logged(|observer, _| {
        for _ in 0..50 {
            observer.store_failed(StoreKind::Replay, &StoreError::new("gone"));
        }
        observer.store_recovered(StoreKind::Replay, None);
    });
    let counts: Vec<_> = lines[5..].iter().map(|line| (line.level, line.suppressed())).collect();
    assert_eq!(counts, [(Level::INFO, None), (Level::ERROR, Some(45))]);
}

#[test]
fn outage_of_each_shard_has_its_lines() {
    let lines = logged(|observer, clock| {
        for _ in 0..50 {
            for shard in ["10.0.0.7:6379", "b\nc:6379"] {
                observer.store_failed(StoreKind::Replay, &StoreError::new("gone").with_shard(shard));
            }
        }
        clock.set(Duration::from_secs(1));
        observer.store_recovered(StoreKind::Replay, Some("10.0.0.7:6379"));
    });
    let of = |shard| lines.iter().filter(move |line| line.field("shard") == Some(shard));
    let counts = |shard| of(shard).map(|line| (line.level, line.suppressed())).collect::<Vec<_>>();
    let (failed, recovered) = ((Level::ERROR, None), (Level::INFO, None));
    let count = (Level::ERROR, Some(45));
    assert_eq!(counts("10.0.0.7:6379"), [failed, failed, failed, failed, failed, recovered, count]);
    assert_eq!(counts(r"b\nc:6379"), [failed, failed, failed, failed, failed, count]);
    assert_eq!(of(r"b\nc:6379").next().unwrap().field("error"), Some(r"gone (shard b\nc:6379)"));
}

#[test]
fn log_limits_are_configurable() {
    let lines = Lines::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.clone()), || {
        let observer = TracingObserver::new()
            .with_clock(Arc::new(TestClock::default()))
            .with_lines_per_peer(NonZeroU32::MIN)
            .with_lines_per_second(NonZeroU32::new(3).unwrap());
        for peer in [1, 1, 2, 2, 3, 3, 4, 4] {
            observer.observe(&refused(RefusalReason::Unverified(Reason::Mismatch), [192, 0, 2, peer]));
        }
    });
    let counts: Vec<_> = lines.0.lock().unwrap().iter().map(Line::suppressed).collect();
    assert_eq!(counts, [None, None, None, Some(1), Some(1), Some(1), Some(2)]);
}

#[test]
fn warden_log_has_each_delivery() {
    let lines = logged(|_, _| {
        let warden = warden(TracingObserver::new());
        assert_eq!(deliver(&warden, "acme", SIGNATURE), Ok(()));
        assert_eq!(deliver(&warden, "acme", &"0".repeat(64)), Err(Reason::Mismatch.into()));
        assert_eq!(deliver(&warden, "unlisted", SIGNATURE), Err(RefusalReason::UnknownId));
        drop(warden.examine(&[("X-Webhook-Timestamp", "1800000000"), ("X-Webhook-Signature", SIGNATURE)], PEER));
    });
    let counts: Vec<_> =
        lines.iter().map(|line| ["outcome", "reason", "webhook_id", "key_id"].map(|name| line.field(name))).collect();
    assert_eq!(
        counts,
        [
            [Some("accepted"), None, Some("acme"), Some("default")],
            [Some("refused"), Some("mismatch"), Some("acme"), None],
            [Some("refused"), Some("unknown_id"), Some("unlisted"), None],
            [Some("abandoned"), None, None, None],
        ]
    );
    let everything = format!("{lines:?}");
    for hidden in [SECRET, SIGNATURE, "1800000000", "user.created"] {
        assert!(!everything.contains(hidden), "{hidden}");
    }
}

/// A writer that collects formatted text.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn webhook_id_cannot_forge_or_color_lines() {
    let page = Page::default();
    let writer = page.clone();
    let text = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    let lines = Lines::default();
    let hostile = "a\nERROR hookwarden: forged\r\x1b[31mred\u{202e}\u{85}";
    tracing::subscriber::with_default(tracing_subscriber::registry().with(text).with(lines.clone()), || {
        let warden = warden(TracingObserver::new());
        for _ in 0..7 {
            assert_eq!(deliver(&warden, hostile, SIGNATURE), Err(RefusalReason::UnknownId));
        }
    });
    let page = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert_eq!(page.lines().count(), 6, "{page}");
    assert!(page.bytes().all(|byte| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic()), "{page:?}");
    for line in lines.0.lock().unwrap().iter() {
        let id = line.field("webhook_id").unwrap();
        assert_eq!(id, r"a\nERROR hookwarden: forged\r\u{1b}[31mred\u{202e}\u{85}");
    }
}

/// A snapshot of the metrics as `name{label=value,…}`.
struct Metrics {
    counters: HashMap<String, u64>,
    histograms: HashMap<String, Vec<f64>>,
    gauges: HashMap<String, f64>,
    units: HashMap<String, Option<metrics::Unit>>,
}

impl Metrics {
    /// Reading a counter resets it.
    fn read(snapshotter: &Snapshotter) -> Self {
        let mut this = Self {
            counters: HashMap::new(),
            histograms: HashMap::new(),
            gauges: HashMap::new(),
            units: HashMap::new(),
        };
        for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
            assert!(description.is_some(), "{key:?}");
            let (_, key) = key.into_parts();
            let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let name = format!("{}{{{}}}", key.name(), labels.join(","));
            this.units.insert(key.name().into(), unit);
            match value {
                DebugValue::Counter(count) => drop(this.counters.insert(name, count)),
                DebugValue::Histogram(values) => {
                    drop(this.histograms.insert(name, values.into_iter().map(|value| value.0).collect()));
                }
                DebugValue::Gauge(value) => drop(this.gauges.insert(name, value.0)),
            }
        }
        this
    }

    fn nonzero(&self, name: &str) -> BTreeMap<&str, u64> {
        let named = self.counters.iter().filter(|(key, count)| key.starts_with(&format!("{name}{{")) && **count > 0);
        named.map(|(key, count)| (&key[name.len()..], *count)).collect()
    }
}

fn measured(act: impl FnOnce(&MetricsObserver)) -> Metrics {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || act(&MetricsObserver::new()));
    Metrics::read(&recorder.snapshotter())
}

/// Every control, directional and invisible character.
fn foreign() -> impl Iterator<Item = char> {
    let codes = [0..=0x1f, 0x7f..=0x9f, 0x61c..=0x61c, 0x200b..=0x200f, 0x2028..=0x202e, 0x2060..=0x2069];
    codes.into_iter().flatten().filter_map(char::from_u32).chain(['\u{ad}', '\u{180e}', '\u{feff}', '\u{e0041}'])
}

#[test]
fn foreign_characters_never_reach_a_log_line() {
    let scheme = Scheme::timestamped();
    for character in foreign() {
        let lines = logged(|observer, _| {
            observer.store_failed(StoreKind::Replay, &StoreError::new(format!("the server said {character}2J")));
            let keys = Keyring::new(scheme.secret(SECRET).unwrap());
            let warden = Warden::builder(scheme.clone()).sender("acme", keys);
            let warden = warden.observer(TracingObserver::new()).build().unwrap();
            let stamp = Timestamp::now().as_unix().to_string();
            let head = [("X-Webhook-Timestamp", &*stamp), ("X-Webhook-Signature", SIGNATURE)];
            let examined = warden.examine(&head, None).unwrap();
            examined.identify(&format!("acme{character}")).unwrap().finish().unwrap_err();
        });
        let escaped = character.escape_default();
        let fields = |name| lines.iter().filter_map(move |line| line.field(name)).collect::<Vec<_>>();
        assert_eq!(fields("error"), [format!("the server said {escaped}2J")]);
        assert_eq!(fields("webhook_id"), [format!("acme{escaped}")]);
    }
}

#[test]
fn shared_store_metric_follows_failure_and_recovery() {
    let up = |metrics: &Metrics| {
        ["limits", "replay"].map(|store| metrics.gauges[&format!("hookwarden_store_up{{store={store},shard=}}")])
    };
    let error = StoreError::new("gone");
    assert_eq!(up(&measured(|_| ())), [1.0, 1.0]);
    assert_eq!(up(&measured(|observer| observer.store_failed(StoreKind::Replay, &error))), [1.0, 0.0]);
    let metrics = measured(|observer| {
        observer.store_failed(StoreKind::Keys, &error);
        observer.store_failed(StoreKind::Limits, &error);
        observer.store_recovered(StoreKind::Limits, None);
    });
    assert_eq!(up(&metrics), [1.0, 1.0]);
}

#[test]
fn each_failed_shard_has_its_gauge() {
    let failed = |shard: &str| StoreError::new("gone").with_shard(shard);
    let metrics = measured(|observer| {
        for shard in ["a:1", "b:2"] {
            observer.store_failed(StoreKind::Replay, &failed(shard));
        }
        observer.store_failed(StoreKind::Limits, &failed("a:1"));
        observer.store_recovered(StoreKind::Replay, Some("a:1"));
    });
    let gauges: BTreeMap<_, _> = metrics.gauges.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let expected = [("limits", "", 1.0), ("limits", "a:1", 0.0), ("replay", "", 1.0), ("replay", "a:1", 1.0)];
    for (store, shard, up) in expected.into_iter().chain([("replay", "b:2", 0.0)]) {
        let name = format!("hookwarden_store_up{{store={store},shard={shard}}}");
        assert_eq!(gauges.get(&*name), Some(&up), "{name}: {gauges:?}");
    }
    assert_eq!(gauges.len(), 5);

    let metrics = measured(|observer| {
        for number in 0..1_000 {
            observer.store_failed(StoreKind::Replay, &failed(&format!("10.0.0.7:{number}")));
        }
    });
    assert_eq!(metrics.gauges.len(), 2 + 64 + 1);
    assert_eq!(metrics.gauges["hookwarden_store_up{store=replay,shard=other}"], 0.0);
}

#[test]
fn shared_gauge_is_up_when_all_shards_are() {
    let failed = |shard: &str| StoreError::new("gone").with_shard(shard);
    for (recovered, up) in [(&["b:2"][..], 0.0), (&["b:2", "b:2", "s:7"], 0.0), (&["b:2", "a:1"], 1.0)] {
        let metrics = measured(|observer| {
            // Earlier shards have all labels.
            for number in 0..64 {
                let shard = format!("s:{number}");
                observer.store_failed(StoreKind::Replay, &failed(&shard));
                observer.store_recovered(StoreKind::Replay, Some(&shard));
            }
            for shard in ["a:1", "b:2", "a:1"] {
                observer.store_failed(StoreKind::Replay, &failed(shard));
            }
            for shard in recovered {
                observer.store_recovered(StoreKind::Replay, Some(shard));
            }
        });
        assert_eq!(metrics.gauges["hookwarden_store_up{store=replay,shard=other}"], up, "{recovered:?}");
    }
}

#[test]
fn request_is_counted_by_scheme_outcome_and_reason() {
    let metrics = measured(|observer| {
        observer.observe(&full(Outcome::Accepted));
        observer.observe(&full(Outcome::Accepted));
        observer.observe(&full(Outcome::Released));
        observer.observe(&full(Outcome::Abandoned));
        for reason in RefusalReason::ALL.iter().copied() {
            observer.observe(&SecurityEvent::new(Outcome::Refused(reason), "github"));
        }
    });
    let counts = metrics.nonzero("hookwarden_requests_total");
    assert_eq!(counts["{scheme=timestamped,outcome=accepted,reason=}"], 2);
    assert_eq!(counts["{scheme=timestamped,outcome=released,reason=}"], 1);
    assert_eq!(counts["{scheme=timestamped,outcome=abandoned,reason=}"], 1);
    assert_eq!(counts["{scheme=github,outcome=refused,reason=replay_store_unavailable}"], 1);
    assert_eq!(counts.len(), 3 + RefusalReason::ALL.len());
    // A reason without a refusal is exported as zero.
    assert_eq!(metrics.counters["hookwarden_requests_total{scheme=timestamped,outcome=refused,reason=mismatch}"], 0);
}

fn reported(outcome: Outcome) -> SecurityEvent<'static> {
    let mut event = full(outcome);
    event.report_only = true;
    event
}

/// Alerts on `outcome="refused"` must not fire for requests that reached the handler.
#[test]
fn reported_refusal_has_its_own_outcome_in_metrics() {
    let mismatch = Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch));
    let metrics = measured(|observer| {
        observer.observe(&reported(Outcome::Accepted));
        observer.observe(&reported(mismatch));
        observer.observe(&reported(mismatch));
    });
    let counts = metrics.nonzero("hookwarden_requests_total");
    assert_eq!(
        counts,
        BTreeMap::from([
            ("{scheme=timestamped,outcome=accepted,reason=}", 1),
            ("{scheme=timestamped,outcome=would_be_refused,reason=mismatch}", 2),
        ])
    );
    let counts = metrics.nonzero("hookwarden_webhook_requests_total");
    assert_eq!(counts["{scheme=timestamped,webhook_id=acme,outcome=would_be_refused}"], 2);
    assert_eq!(
        metrics.counters["hookwarden_webhook_requests_total{scheme=timestamped,webhook_id=acme,outcome=refused}"],
        0
    );
    assert_eq!(metrics.gauges["hookwarden_report_only{scheme=timestamped}"], 1.0);
    assert_eq!(metrics.histograms["hookwarden_request_duration_seconds{outcome=would_be_refused}"].len(), 2);
    assert_eq!(metrics.histograms["hookwarden_timestamp_skew_seconds{outcome=would_be_refused}"].len(), 2);
}

/// A first refusal is visible as an increase, and enforcing Wardens have no series for refusals that are only reported.
#[test]
fn reported_series_are_registered_by_marked_events() {
    let names = |event: &SecurityEvent<'_>| {
        let metrics = measured(|observer| observer.observe(event));
        let names = metrics.counters.into_keys().filter(|name| name.contains("would_be_refused"));
        names.filter(|name| !name.contains("outcome=would_be_refused,reason=") || name.contains("reason=stale")).count()
    };
    assert_eq!((names(&full(Outcome::Accepted)), names(&reported(Outcome::Accepted))), (0, 2));
    let gauges = measured(|observer| observer.observe(&full(Outcome::Accepted))).gauges;
    assert!(!gauges.keys().any(|name| name.contains("report_only")));
}

#[test]
fn reported_refusal_is_marked_in_the_log() {
    let mismatch = Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch));
    let fault = Outcome::Refused(RefusalReason::Misconfigured);
    let lines = logged(|observer, _| {
        [mismatch, fault].iter().for_each(|outcome| observer.observe(&reported(*outcome)));
        (0..9).for_each(|_| observer.observe(&full(mismatch)));
        (0..9).for_each(|_| observer.observe(&reported(mismatch)));
    });
    let marks: Vec<_> = lines
        .iter()
        .filter(|line| line.suppressed().is_some() || line.field("report_only").is_some())
        .map(|line| (line.level, line.field("report_only"), line.field("message").unwrap(), line.suppressed()))
        .collect();
    let refused = (Level::WARN, Some("true"), "webhook would be refused", None);
    assert_eq!(
        marks[..2],
        [refused, (Level::ERROR, Some("true"), "webhook would be refused, the receiver is at fault", None)]
    );
    // Enforced and reported refusals of one peer are counted apart.
    let counts = [
        (Level::WARN, Some("true"), "webhook would be refused", Some(5)),
        (Level::WARN, None, "webhook refused", Some(4)),
    ];
    assert_eq!(marks[marks.len() - 2..], counts);
}

#[test]
fn measures_have_their_units_and_bounds() {
    let metrics = measured(|observer| {
        observer.observe(&full(Outcome::Accepted));
        let mut early = full(Outcome::Refused(RefusalReason::Unverified(Reason::Early)));
        (early.skew, early.body_bytes) = (Some(i64::MIN), u64::MAX);
        observer.observe(&early);
        observer.observe(&SecurityEvent::new(
            Outcome::Refused(RefusalReason::Unverified(Reason::MissingHeader)),
            "timestamped",
        ));
    });
    let values = |name: &str| metrics.histograms[name].as_slice();
    assert_eq!(values("hookwarden_request_duration_seconds{outcome=accepted}"), [0.0015]);
    assert_eq!(values("hookwarden_timestamp_skew_seconds{outcome=accepted}"), [-3.0]);
    assert_eq!(values("hookwarden_timestamp_skew_seconds{outcome=refused}"), [-86_400.0]);
    assert_eq!(values("hookwarden_body_bytes{}"), [24.0, f64::from(u32::MAX), 0.0]);
    assert_eq!(metrics.units["hookwarden_request_duration_seconds"], Some(metrics::Unit::Seconds));
    assert_eq!(metrics.units["hookwarden_timestamp_skew_seconds"], Some(metrics::Unit::Seconds));
    assert_eq!(metrics.units["hookwarden_body_bytes"], Some(metrics::Unit::Bytes));
    assert_eq!(metrics.units["hookwarden_requests_total"], Some(metrics::Unit::Count));
}

#[test]
fn unknown_id_is_never_a_label() {
    let metrics = measured(|observer| {
        for n in 0..10_000 {
            let id = format!("stranger-{n}");
            let mut event = SecurityEvent::new(Outcome::Refused(RefusalReason::UnknownId), "timestamped");
            event.webhook_id = Some(&id);
            observer.observe(&event);
        }
    });
    assert_eq!(metrics.nonzero("hookwarden_requests_total").values().sum::<u64>(), 10_000);
    assert_eq!(metrics.nonzero("hookwarden_webhook_requests_total"), BTreeMap::new());
    assert!(metrics.counters.keys().all(|name| !name.contains("stranger")));
}

#[test]
fn labels_of_known_names_are_bounded() {
    let metrics = measured(|observer| {
        for n in 0..100 {
            let (id, scheme) = (format!("sender-{n}"), format!("scheme-{n}"));
            let mut event = full(Outcome::Accepted);
            event.webhook_id = Some(&id);
            for _ in 0..2_u32 {
                observer.observe(&event);
            }
            event.webhook_id = Some("acme");
            event.key_id = Some(KeyId::new(&format!("key-{n}")).unwrap());
            observer.observe(&event);
            event = SecurityEvent::new(Outcome::Accepted, &scheme);
            observer.observe(&event);
        }
    });
    assert_eq!(metrics.nonzero("hookwarden_webhook_requests_total").len(), 101);
    let keys = metrics.nonzero("hookwarden_key_requests_total");
    assert_eq!(keys.keys().filter(|key| key.starts_with("{webhook_id=acme,")).count(), 64 + 1);
    assert_eq!(keys["{webhook_id=acme,key_id=other}"], 36);
    let requests = metrics.nonzero("hookwarden_requests_total");
    assert_eq!(requests.len(), 32 + 1);
    assert_eq!(requests["{scheme=other,outcome=accepted,reason=}"], 100 - 31);

    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let observer = MetricsObserver::new().with_max_webhook_ids(2);
        for id in ["a", "b", "c", "d", "a"] {
            let mut event = full(Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)));
            event.webhook_id = Some(id);
            observer.observe(&event);
        }
    });
    let metrics = Metrics::read(&recorder.snapshotter());
    let counts = metrics.nonzero("hookwarden_webhook_requests_total");
    let counts =
        ["a", "b", "other"].map(|id| counts[&*format!("{{scheme=timestamped,webhook_id={id},outcome=refused}}")]);
    assert_eq!((counts, counts.len()), ([2, 1, 2], 3));
}

#[test]
fn warning_is_counted_by_kind() {
    let metrics = measured(|observer| observer.warning(&Warning::PeerUnknown));
    assert_eq!(metrics.nonzero("hookwarden_warnings_total"), BTreeMap::from([("{kind=peer_unknown}", 1)]));
    assert_eq!(metrics.counters["hookwarden_warnings_total{kind=key_reload_failed}"], 0);
}

#[test]
fn warden_metrics_name_the_sender_and_key() {
    let metrics = measured(|_| {
        let warden = warden(Arc::new(MetricsObserver::new()));
        assert_eq!(deliver(&warden, "acme", SIGNATURE), Ok(()));
        assert_eq!(deliver(&warden, "unlisted\n", SIGNATURE), Err(RefusalReason::UnknownId));
    });
    let requests = metrics.nonzero("hookwarden_requests_total");
    assert_eq!(requests["{scheme=timestamped,outcome=accepted,reason=}"], 1);
    assert_eq!(requests["{scheme=timestamped,outcome=refused,reason=unknown_id}"], 1);
    let by_id = metrics.nonzero("hookwarden_webhook_requests_total");
    assert_eq!(by_id, BTreeMap::from([("{scheme=timestamped,webhook_id=acme,outcome=accepted}", 1)]));
    let by_key = metrics.nonzero("hookwarden_key_requests_total");
    assert_eq!(by_key, BTreeMap::from([("{webhook_id=acme,key_id=default}", 1)]));
    for hidden in [SECRET, SIGNATURE, "1800000000", "user.created", "unlisted"] {
        assert!(
            metrics.counters.keys().chain(metrics.histograms.keys()).all(|name| !name.contains(hidden)),
            "{hidden}"
        );
    }
}

/// A recorder that counts registrations, each of which costs an allocation and a lock.
#[derive(Default)]
struct Registrations(AtomicU64);

impl Registrations {
    fn count(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl metrics::Recorder for Registrations {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}

    fn register_counter(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        self.count();
        metrics::Counter::noop()
    }

    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        self.count();
        metrics::Gauge::noop()
    }

    fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        self.count();
        metrics::Histogram::noop()
    }
}

#[test]
fn metric_is_registered_once_for_all_events() {
    let recorder = Registrations::default();
    metrics::with_local_recorder(&recorder, || {
        let observer = MetricsObserver::new();
        let outcomes = [
            Outcome::Accepted,
            Outcome::Released,
            Outcome::Handshake,
            Outcome::Abandoned,
            Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)),
        ];
        let round = || outcomes.iter().for_each(|outcome| observer.observe(&full(*outcome)));
        round();
        let before = recorder.0.load(Ordering::Relaxed);
        (0..100).for_each(|_| round());
        assert_eq!(recorder.0.load(Ordering::Relaxed), before);
    });
}

//! `AlertObserver`: alerts are raised once, cleared once and bounded, under a clock that the tests set.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::time::Duration;

use hookwarden::event::{
    Alert, AlertObserver, AlertState, AlertSubject, AlertThreshold, Observer, Outcome, RefusalReason, SecurityEvent,
};
use hookwarden::testing::TestClock;
use hookwarden::{Keyring, Reason, Scheme, Warden};

use AlertState::{Cleared, Raised};

const SECOND: Duration = Duration::from_secs(1);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// An observer, its clock and its alerts.
struct Site {
    clock: TestClock,
    alerts: Arc<Mutex<Vec<Alert>>>,
    observer: AlertObserver,
}

impl Site {
    /// An alert is raised by four failures within ten seconds and cleared by fewer than two.
    fn new() -> Self {
        Self::with(threshold(4, 2))
    }

    fn with(threshold: AlertThreshold) -> Self {
        let (clock, alerts) = (TestClock::default(), Arc::new(Mutex::new(Vec::new())));
        let reported = Arc::clone(&alerts);
        let observer = AlertObserver::new(move |alert: &Alert| reported.lock().unwrap().push(alert.clone()))
            .with_webhook_threshold(threshold)
            .with_peer_threshold(threshold)
            .with_clock(Arc::new(clock.clone()));
        Self { clock, alerts, observer }
    }

    /// Observes `times` refusals of the webhook id from an unknown peer.
    fn fail(&self, id: &str, times: usize) {
        (0..times).for_each(|_| self.observer.observe(&of_webhook(id, RefusalReason::Unverified(Reason::Mismatch))));
    }

    fn fail_from(&self, peer: IpAddr, times: usize) {
        (0..times).for_each(|_| self.observer.observe(&of_peer(peer)));
    }

    /// Takes the alerts so far.
    fn reported(&self) -> Vec<Alert> {
        std::mem::take(&mut self.alerts.lock().unwrap())
    }

    #[track_caller]
    fn assert_alerts(&self, expected: &[(&str, AlertState, u32)]) {
        let reported = self.reported();
        let reported: Vec<_> =
            reported.iter().map(|alert| (alert.subject.to_string(), alert.state, alert.count)).collect();
        let expected: Vec<_> =
            expected.iter().map(|(subject, state, count)| ((*subject).to_owned(), *state, *count)).collect();
        assert_eq!(reported, expected);
    }
}

fn threshold(raise_at: u32, clear_below: u32) -> AlertThreshold {
    AlertThreshold::new(raise_at, 10 * SECOND).unwrap().with_clear_below(clear_below).unwrap()
}

fn of_webhook(id: &str, reason: RefusalReason) -> SecurityEvent<'_> {
    let mut event = SecurityEvent::new(Outcome::Refused(reason), "timestamped");
    event.webhook_id = Some(id);
    event.known_id = true;
    event
}

fn of_peer(peer: IpAddr) -> SecurityEvent<'static> {
    let mut event = SecurityEvent::new(Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch)), "timestamped");
    event.peer = Some(peer);
    event
}

#[test]
fn alert_is_raised_once_and_cleared_once() {
    let site = Site::new();
    site.fail("acme", 3);
    site.assert_alerts(&[]);
    site.fail("acme", 50);
    site.assert_alerts(&[("webhook acme", Raised, 4)]);
    site.clock.advance(9 * SECOND);
    site.observer.tick();
    site.assert_alerts(&[]);
    site.clock.advance(SECOND);
    site.observer.tick();
    site.assert_alerts(&[("webhook acme", Cleared, 0)]);
    site.clock.advance(60 * SECOND);
    site.observer.tick();
    site.assert_alerts(&[]);
    site.fail("acme", 4);
    site.assert_alerts(&[("webhook acme", Raised, 4)]);
}

#[test]
fn count_between_the_thresholds_neither_clears_nor_raises() {
    let site = Site::new();
    site.fail("acme", 4);
    site.assert_alerts(&[("webhook acme", Raised, 4)]);
    // Two or three failures within the window are between the thresholds.
    let trickle = || {
        for _ in 0..10 {
            site.clock.advance(4 * SECOND);
            site.fail("acme", 1);
        }
    };
    trickle();
    site.assert_alerts(&[]);
    site.clock.advance(6 * SECOND);
    site.observer.tick();
    site.assert_alerts(&[("webhook acme", Cleared, 1)]);
    // After clearing, the same traffic raises nothing.
    trickle();
    site.assert_alerts(&[]);
}

#[test]
fn only_failures_within_the_window_raise() {
    // Four failures, evenly spread over this many milliseconds.
    for (span, raised) in [(0, true), (3_000, true), (9_000, true), (12_000, false), (30_000, false)] {
        let site = Site::new();
        for _ in 0..4 {
            site.fail("acme", 1);
            site.clock.advance(Duration::from_millis(span / 3));
        }
        assert_eq!(site.reported().len(), usize::from(raised), "{span} ms");
    }
}

#[test]
fn alert_is_cleared_by_any_event() {
    let mut accepted = SecurityEvent::new(Outcome::Accepted, "timestamped");
    accepted.webhook_id = Some("other");
    let stranger = of_peer(PEER);
    for event in [accepted, stranger] {
        let site = Site::new();
        site.fail("acme", 5);
        site.reported();
        site.clock.advance(11 * SECOND);
        site.observer.observe(&event);
        site.assert_alerts(&[("webhook acme", Cleared, 0)]);
    }
}

#[test]
fn cleared_comes_before_what_the_same_event_raises() {
    let site = Site::with(threshold(1, 1));
    site.fail("acme", 1);
    site.clock.advance(11 * SECOND);
    site.fail("acme", 1);
    site.assert_alerts(&[("webhook acme", Raised, 1), ("webhook acme", Cleared, 0), ("webhook acme", Raised, 1)]);
}

#[test]
fn webhook_id_without_keys_is_not_counted() {
    let site = Site::new();
    let mut event = of_webhook("acme", RefusalReason::UnknownId);
    event.known_id = false;
    (0..10).for_each(|_| site.observer.observe(&event));
    site.assert_alerts(&[]);
}

#[test]
fn subjects_are_counted_separately() {
    let site = Site::new();
    for id in ["acme", "other", "third"] {
        site.fail(id, 3);
    }
    site.fail_from(PEER, 3);
    site.assert_alerts(&[]);
    site.fail("other", 1);
    site.assert_alerts(&[("webhook other", Raised, 4)]);
    let mut both = of_webhook("acme", RefusalReason::Unverified(Reason::Mismatch));
    both.peer = Some(PEER);
    site.observer.observe(&both);
    site.assert_alerts(&[("webhook acme", Raised, 4), ("peer 192.0.2.7", Raised, 4)]);
}

#[test]
fn peers_are_folded_like_in_quotas() {
    let cases: [(&[&str], &str); 3] = [
        (&["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7", "::ffff:192.0.2.7"], "peer 192.0.2.7"),
        (&["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:a::", "2001:db8:1:2:ffff::"], "peer 2001:db8:1:2::"),
        (&["2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:3::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"], ""),
    ];
    for (peers, raised) in cases {
        let site = Site::new();
        peers.iter().for_each(|peer| site.fail_from(peer.parse().unwrap(), 1));
        let reported: Vec<_> = site.reported().iter().map(|alert| alert.subject.to_string()).collect();
        assert_eq!(reported.join(","), raised, "{peers:?}");
    }
}

#[test]
fn retries_and_server_faults_raise_no_alert() {
    let innocent = |reason: RefusalReason| {
        matches!(
            reason,
            RefusalReason::Replayed
                | RefusalReason::InProgress
                | RefusalReason::BodyBudgetExceeded
                | RefusalReason::KeyStoreUnavailable
                | RefusalReason::ReplayStoreUnavailable
                | RefusalReason::LookupPanicked
                | RefusalReason::Unverified(Reason::NoRequestLine)
                | RefusalReason::Misconfigured
        )
    };
    for reason in RefusalReason::ALL.iter().copied() {
        let site = Site::new();
        (0..4).for_each(|_| site.observer.observe(&of_webhook("acme", reason)));
        assert_eq!(site.reported().is_empty(), innocent(reason), "{reason}");
    }
    for outcome in [Outcome::Accepted, Outcome::Released, Outcome::Handshake, Outcome::Abandoned] {
        let site = Site::new();
        let mut event = of_webhook("acme", RefusalReason::Unverified(Reason::Mismatch));
        event.outcome = outcome;
        (0..4).for_each(|_| site.observer.observe(&event));
        site.assert_alerts(&[]);
    }
    let Site { clock: _, alerts, observer } = Site::new();
    let observer = observer.with_failures(|reason| reason == RefusalReason::Replayed);
    for reason in [RefusalReason::Unverified(Reason::Mismatch), RefusalReason::Replayed] {
        (0..4).for_each(|_| observer.observe(&of_webhook(reason.as_str(), reason)));
    }
    assert_eq!(alerts.lock().unwrap().len(), 1);
}

fn numbered(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

#[test]
fn flood_of_peers_is_counted_up_to_capacity() {
    let site = Site::with(threshold(2, 1));
    for number in 0..65_536 {
        site.fail_from(numbered(number), 1);
    }
    // The table is full: another peer is not counted, and the others keep their counts.
    site.fail_from(PEER, 5);
    site.assert_alerts(&[]);
    site.fail_from(numbered(7), 1);
    site.assert_alerts(&[("peer 10.0.0.7", Raised, 2)]);
    site.clock.advance(30 * SECOND);
    site.fail_from(PEER, 2);
    site.assert_alerts(&[("peer 10.0.0.7", Cleared, 0), ("peer 192.0.2.7", Raised, 2)]);
}

#[test]
fn raised_alerts_are_bounded_and_each_is_cleared() {
    let site = Site::with(threshold(1, 1));
    for number in 0..2_000 {
        site.fail_from(numbered(number), 1);
    }
    let raised = site.reported();
    assert_eq!((raised.len(), raised.iter().all(|alert| alert.state == Raised)), (1_024, true));
    site.clock.advance(30 * SECOND);
    site.observer.tick();
    let cleared = site.reported();
    let subjects = |alerts: &[Alert]| {
        let mut subjects: Vec<_> = alerts.iter().map(|alert| alert.subject.to_string()).collect();
        subjects.sort_unstable();
        subjects
    };
    assert!(cleared.iter().all(|alert| alert.state == Cleared));
    assert_eq!(subjects(&cleared), subjects(&raised));
    site.fail_from(numbered(1_999), 1);
    site.assert_alerts(&[("peer 10.0.7.207", Raised, 1)]);
}

#[test]
fn continuing_failures_keep_one_alert() {
    let site = Site::with(threshold(2, 1));
    site.fail("acme", 2);
    site.assert_alerts(&[("webhook acme", Raised, 2)]);
    for _ in 0..200 {
        site.clock.advance(SECOND);
        site.fail("acme", 1);
        site.fail("other", 1);
        let reported = site.reported();
        assert!(reported.iter().all(|alert| alert.subject == AlertSubject::Webhook("other".into())), "{reported:?}");
    }
}

#[test]
fn panic_in_the_callback_loses_no_other_alert() {
    let (clock, reported) = (TestClock::default(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&reported);
    let observer = AlertObserver::new(move |alert: &Alert| {
        seen.lock().unwrap().push((alert.subject.to_string(), alert.state));
        if alert.subject == AlertSubject::Webhook("b".into()) {
            std::panic::resume_unwind(Box::new("the callback"));
        }
    })
    .with_webhook_threshold(threshold(1, 1))
    .with_clock(Arc::new(clock.clone()));
    for id in ["a", "b", "c"] {
        let observed = catch_unwind(AssertUnwindSafe(|| {
            observer.observe(&of_webhook(id, RefusalReason::Unverified(Reason::Mismatch)))
        }));
        let panicked = observed.map_err(|payload| *payload.downcast::<&str>().expect("the callback's payload"));
        assert_eq!(panicked, if id == "b" { Err("the callback") } else { Ok(()) });
    }
    clock.advance(11 * SECOND);
    let payload = catch_unwind(AssertUnwindSafe(|| observer.tick())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"the callback"));
    clock.advance(SECOND);
    observer.tick();
    let mut cleared = reported.lock().unwrap().split_off(3);
    cleared.sort_by(|(one, _), (other, _)| one.cmp(other));
    let expected = ["webhook a", "webhook b", "webhook c"].map(|subject| (subject.to_owned(), Cleared));
    assert_eq!(cleared, expected);
}

#[test]
fn callback_may_call_the_observer() {
    let (clock, own) = (TestClock::default(), Arc::new(OnceLock::<Arc<AlertObserver>>::new()));
    let (inner, reported) = (Arc::clone(&own), Arc::new(Mutex::new(0_u32)));
    let count = Arc::clone(&reported);
    let observer = AlertObserver::new(move |_: &Alert| {
        *count.lock().unwrap() += 1;
        inner.get().unwrap().tick();
        inner.get().unwrap().observe(&of_webhook("acme", RefusalReason::Unverified(Reason::Mismatch)));
    })
    .with_webhook_threshold(threshold(2, 2))
    .with_clock(Arc::new(clock.clone()));
    let observer = Arc::new(observer);
    own.set(Arc::clone(&observer)).unwrap();
    (0..5).for_each(|_| observer.observe(&of_webhook("acme", RefusalReason::Unverified(Reason::Mismatch))));
    clock.advance(11 * SECOND);
    observer.tick();
    assert_eq!(*reported.lock().unwrap(), 2);
}

#[test]
fn many_threads_raise_and_clear_one_alert() {
    const THREADS: usize = 8;
    let site = Site::with(threshold(1, 1));
    let together = |act: &(dyn Fn() + Sync)| {
        let barrier = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    act();
                });
            }
        });
    };
    for _ in 0..100 {
        together(&|| site.fail("acme", 1));
        let reported = site.reported();
        // How many of the other threads count before the alert depends on the scheduler.
        assert!(matches!(reported.as_slice(), [Alert { state: Raised, count: 1..=8, .. }]), "{reported:?}");
        site.clock.advance(10 * SECOND);
        together(&|| site.observer.tick());
        site.assert_alerts(&[("webhook acme", Cleared, 0)]);
    }
}

#[test]
fn earlier_clock_reading_loses_no_count() {
    let site = Site::with(threshold(5, 1));
    for (second, failures) in [(20, 3), (12, 1), (29, 1)] {
        site.assert_alerts(&[]);
        site.clock.set_monotonic(second * SECOND);
        site.fail("acme", failures);
    }
    site.assert_alerts(&[("webhook acme", Raised, 5)]);
}

#[test]
fn alert_callback_panic_changes_no_answer() {
    let scheme = Scheme::timestamped();
    let keys = Keyring::new(scheme.secret("a-subscription-secret").unwrap());
    let (clock, reported) = (TestClock::default(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&reported);
    let observer = AlertObserver::new(move |alert: &Alert| {
        seen.lock().unwrap().push(alert.to_string());
        std::panic::resume_unwind(Box::new("the callback"));
    });
    let observer = observer.with_webhook_threshold(threshold(3, 1)).with_clock(Arc::new(clock.clone()));
    let warden = Warden::builder(scheme).sender("acme", keys).observer(observer).clock(clock.clone()).build().unwrap();
    let signature = "0".repeat(64);
    let head = [("X-Webhook-Timestamp", "1800000000"), ("X-Webhook-Signature", signature.as_str())];
    for id in ["acme", "unlisted", "acme", "unlisted", "acme", "acme", "unlisted"] {
        let mut receiving = warden.examine(&head, Some(PEER)).unwrap().identify(id).unwrap();
        receiving.update(b"x").unwrap();
        let refused = receiving.finish().map(drop).unwrap_err();
        assert_eq!(
            refused.reason(),
            if id == "acme" { RefusalReason::Unverified(Reason::Mismatch) } else { RefusalReason::UnknownId }
        );
    }
    assert_eq!(*reported.lock().unwrap(), ["alert raised: 3 failures of webhook acme within 10s"]);
}

#[test]
fn impossible_threshold_is_a_config_error() {
    let field = |threshold: Result<AlertThreshold, hookwarden::ConfigError>| {
        threshold.err().map(|error| error.field().to_owned())
    };
    let day = Duration::from_secs(86_400);
    for (raise_at, window, fault) in [
        (0, SECOND, Some("raise_at")),
        (1, SECOND, None),
        (1, SECOND - Duration::from_nanos(1), Some("window")),
        (u32::MAX, day, None),
        (1, day + Duration::from_nanos(1), Some("window")),
    ] {
        assert_eq!(field(AlertThreshold::new(raise_at, window)).as_deref(), fault, "{raise_at} in {window:?}");
    }
    for (clear_below, fault) in [(0, true), (1, false), (4, false), (5, true)] {
        let threshold = AlertThreshold::new(4, SECOND).unwrap().with_clear_below(clear_below);
        assert_eq!(field(threshold).as_deref(), fault.then_some("clear_below"), "{clear_below}");
    }
}

#[test]
fn alert_clears_below_half_by_default() {
    for (raise_at, left, cleared) in [(5, 3, false), (5, 2, true), (4, 2, false), (4, 1, true), (1, 0, true)] {
        let site = Site::with(AlertThreshold::new(raise_at, 10 * SECOND).unwrap());
        site.fail("acme", usize::try_from(raise_at).unwrap());
        site.clock.advance(5 * SECOND);
        site.fail("acme", left);
        site.reported();
        site.clock.advance(5 * SECOND);
        site.observer.tick();
        assert_eq!(site.reported().len(), usize::from(cleared), "{left} of {raise_at}");
    }
}

#[test]
fn default_threshold_is_as_documented() {
    let (clock, reported) = (TestClock::default(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&reported);
    let observer = AlertObserver::new(move |alert: &Alert| seen.lock().unwrap().push(alert.to_string()))
        .with_clock(Arc::new(clock.clone()));
    (0..19).for_each(|_| observer.observe(&of_peer(PEER)));
    assert!(reported.lock().unwrap().is_empty());
    observer.observe(&of_peer(PEER));
    clock.advance(30 * SECOND);
    (0..9).for_each(|_| observer.observe(&of_peer(PEER)));
    clock.advance(30 * SECOND);
    observer.tick();
    let raised = "alert raised: 20 failures of peer 192.0.2.7 within 60s";
    assert_eq!(*reported.lock().unwrap(), [raised, "alert cleared: 9 failures of peer 192.0.2.7 within 60s"]);
}

//! A Warden that only reports: its settings, its warning and its events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwarden::clock::Clock as _;
use hookwarden::event::{Alert, AlertObserver, Observer, Outcome, RefusalReason, SecurityEvent, Warning};
use hookwarden::handshake::Handshake;
use hookwarden::headers::{NoHeaders, RequestHead};
use hookwarden::limit::LocalLimiter;
use hookwarden::replay::LocalReplay;
use hookwarden::testing::FaultyStore;
use hookwarden::warden::{BodyLimits, Quotas, Replay, WardenBuilder};
use hookwarden::{Quota, Reason, Scheme};

use crate::harness::sender::{ID, Post, SECRET, keyring};
use crate::harness::store::Recorder;
use crate::scene::Scene;

fn reporting(builder: WardenBuilder) -> WardenBuilder {
    builder.sender(ID, keyring(&Scheme::timestamped(), SECRET)).danger_report_only()
}

const MISMATCH: RefusalReason = RefusalReason::Unverified(Reason::Mismatch);

#[test]
fn warning_repeats_once_an_hour_while_requests_arrive() {
    let scene = Scene::new(reporting);
    let warnings =
        || scene.reports.warnings.take().into_iter().filter(|warning| *warning == Warning::ReportOnly).count();
    assert_eq!(warnings(), 1, "when it is built");
    let mut counts = Vec::new();
    for seconds in [0, 1, 3_598, 1, 0, 10_800, 3_599, 1] {
        scene.clock.advance(Duration::from_secs(seconds));
        drop(scene.receive(None, ID, &scene.signed("x").carrying("y")));
        counts.push(warnings());
    }
    assert_eq!(counts, [1, 0, 0, 1, 0, 1, 0, 1]);
}

#[test]
fn enforcing_warden_raises_no_report_only_warning() {
    let scene = Scene::new(|builder| builder.sender(ID, keyring(&Scheme::timestamped(), SECRET)));
    drop(scene.receive(None, ID, &scene.signed("x").carrying("y")));
    assert!(!scene.reports.warnings.take().contains(&Warning::ReportOnly));
}

#[test]
fn shared_store_is_a_config_error() {
    let store = || FaultyStore::new(Recorder::<LocalReplay>::default());
    type Setting = Box<dyn FnOnce(WardenBuilder) -> WardenBuilder>;
    let settings: [(&str, Setting); 4] = [
        ("shared_store", Box::new(move |builder| builder.shared_store(store()))),
        ("Replay::shared", Box::new(|builder| builder.replay(Replay::shared(LocalReplay::default())))),
        ("Quotas::shared", Box::new(|builder| builder.quotas(Quotas::new().shared(LocalLimiter::default())))),
        (
            "shared_store for quotas",
            Box::new(move |builder| builder.shared_store(store()).replay(Replay::danger_off())),
        ),
    ];
    for (what, set) in settings {
        let error = set(reporting(hookwarden::Warden::builder(Scheme::timestamped()))).build().unwrap_err();
        assert_eq!(error.field(), "danger_report_only", "{what}");
        assert!(error.to_string().contains("Remove `shared_store`, `Replay::shared` and `Quotas::shared`"), "{error}");
    }
}

/// The events of a Warden: outcome and mark.
#[derive(Default)]
struct Marks(Mutex<Vec<(Outcome, bool)>>);

impl Observer for Marks {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self.0.lock().unwrap().push((event.outcome, event.report_only));
    }
}

impl Marks {
    fn take(&self) -> Vec<(Outcome, bool)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Without an adapter the caller gets the refusal, and decides.
#[test]
fn results_without_an_adapter_are_those_of_enforcing() {
    let marks = Arc::new(Marks::default());
    let scene = Scene::new(|builder| reporting(builder).observer(Arc::clone(&marks)));
    let post = scene.signed("x");
    assert_eq!(scene.deliver(None, ID, &post), Ok(()));
    assert_eq!(scene.deliver(None, ID, &post), Err(RefusalReason::Replayed));
    assert_eq!(scene.deliver(None, ID, &post.carrying("y")), Err(MISMATCH));
    assert_eq!(
        scene.warden.examine(&NoHeaders, None).err().map(|refused| refused.answer().status().as_u16()),
        Some(401)
    );
    let outcomes = [
        Outcome::Accepted,
        Outcome::Refused(RefusalReason::Replayed),
        Outcome::Refused(MISMATCH),
        Outcome::Refused(RefusalReason::Unverified(Reason::MissingHeader)),
    ];
    assert_eq!(marks.take(), outcomes.map(|outcome| (outcome, false)));
}

/// The adapters answer them, too.
#[test]
fn refused_unsigned_handshake_is_not_marked() {
    let marks = Arc::new(Marks::default());
    let quotas = Quotas::new().handshakes(Quota::new(1, Duration::from_secs(3_600)).unwrap());
    let scene = Scene::new(|builder| {
        reporting(builder).observer(Arc::clone(&marks)).handshake(Handshake::query("challenge")).quotas(quotas)
    });
    let head = RequestHead::new("GET", "/webhooks/acme?challenge=abc", &NoHeaders);
    let statuses = [(); 2].map(|()| scene.warden.answer_handshake(&head, Some(ID), None).unwrap().status().as_u16());
    assert_eq!(statuses, [200, 429]);
    let over = Outcome::Refused(RefusalReason::HandshakeQuotaExceeded);
    assert_eq!(marks.take(), [(Outcome::Handshake, false), (over, false)]);
}

#[test]
fn reported_refusals_raise_no_alert() {
    for (is_reported, expected) in [(true, 0), (false, 1)] {
        let alerts = Arc::new(Mutex::new(Vec::new()));
        let raised = Arc::clone(&alerts);
        let observer = AlertObserver::new(move |alert: &Alert| raised.lock().unwrap().push(alert.to_string()));
        let mut event = SecurityEvent::new(Outcome::Refused(MISMATCH), "timestamped");
        (event.peer, event.report_only) = (Some([192, 0, 2, 1].into()), is_reported);
        (0..30).for_each(|_| observer.observe(&event));
        assert_eq!(alerts.lock().unwrap().len(), expected, "{alerts:?}");
    }
}

/// A Warden that enforces drops the body of an unknown id; one that reports passes it on.
#[test]
fn kept_body_of_unknown_id_counts() {
    for (is_reporting, expected) in [(true, Some(RefusalReason::BodyBudgetExceeded)), (false, None)] {
        let scene = Scene::new(|builder| {
            let builder = builder.sender(ID, keyring(&Scheme::timestamped(), SECRET));
            let builder = if is_reporting { builder.danger_report_only() } else { builder };
            builder.body(BodyLimits::new().max_bytes(100_000).max_bytes_in_flight(400_000))
        });
        let post = Post::signed_at(vec![7; 100_000], scene.clock.now().wall);
        let mut receiving = Vec::new();
        let mut refusal = None;
        for _ in 0..20 {
            let mut next = scene.warden.examine(&post.headers, None).unwrap().identify("other").unwrap();
            refusal = refusal.or(next.update(&post.body).err().map(|refused| refused.reason()));
            receiving.push(next);
        }
        assert_eq!(refusal, expected);
    }
}

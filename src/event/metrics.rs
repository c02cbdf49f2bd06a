//! Events as counters and histograms.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use arrayvec::ArrayVec;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::RefusalReason;
use super::{Observer, Outcome, SecurityEvent, StoreKind, Warning};
use crate::error::StoreError;

/// Counts events through the [`metrics`](https://docs.rs/metrics) facade, for the exporter that is installed.
///
/// **Install the recorder of the exporter before creating the observer.** Each metric is registered once, with the
/// recorder that is installed at that moment: here, or when its scheme, webhook id or key first occurs. After that,
/// counting neither allocates nor locks.
///
/// ```
/// use hookwarden::event::MetricsObserver;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let secret = scheme.secret("a-subscription-secret")?;
/// let warden = Warden::builder(scheme).sender("acme", Keyring::new(secret)).observer(MetricsObserver::new()).build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
///
/// | metric | labels | value |
/// | --- | --- | --- |
/// | `hookwarden_requests_total` | `scheme`, `outcome`, `reason` | every request; `reason` is empty unless it was refused |
/// | `hookwarden_webhook_requests_total` | `scheme`, `webhook_id`, `outcome` | requests of the webhook ids that the Warden has keys for |
/// | `hookwarden_key_requests_total` | `webhook_id`, `key_id` | requests by the key that matched: while an old key still counts up, it is in use |
/// | `hookwarden_request_duration_seconds` | `outcome` | from the arrival of the head to the end |
/// | `hookwarden_timestamp_skew_seconds` | `outcome` | the receiver's clock minus the timestamp, negative for a timestamp in the future; clamped to a day |
/// | `hookwarden_body_bytes` | | received bytes of each body |
/// | `hookwarden_warnings_total` | `kind` | [warnings](Warning) |
/// | `hookwarden_store_up` | `store` | 1 if the last call of the shared store of `limits` or `replay` succeeded, 0 if it failed |
///
/// The skew of a refused request is unverified; that of an accepted one shows the sender's clock.
///
/// Labels are bounded: an unknown webhook id is never a label; after 1,000 webhook ids of a scheme, 64 keys of an id or
/// 32 schemes, further ones are counted as `other`.
#[derive(Debug)]
pub struct MetricsObserver {
    schemes: Family<Arc<SchemeMetrics>>,
    warnings: Family<Counter>,
    durations: ByOutcome<Histogram>,
    skews: ByOutcome<Histogram>,
    body_bytes: Histogram,
    limits_up: Gauge,
    replay_up: Gauge,
    max_ids: u16,
}

impl MetricsObserver {
    /// Describes the metrics to the installed recorder, and registers those that are known before the first request.
    #[must_use]
    pub fn new() -> Self {
        describe();
        let warnings = Family::new(Warning::ALL.len());
        for warning in Warning::ALL {
            warnings.with(warning.as_str(), warning_counter, |_| ());
        }
        Self {
            schemes: Family::new(MAX_SCHEMES),
            warnings,
            durations: ByOutcome::new(|outcome| histogram!(DURATION, "outcome" => outcome)),
            skews: ByOutcome::new(|outcome| histogram!(SKEW, "outcome" => outcome)),
            body_bytes: histogram!(BODY_BYTES),
            limits_up: store_gauge(StoreKind::Limits),
            replay_up: store_gauge(StoreKind::Replay),
            max_ids: MAX_IDS,
        }
    }

    /// Sets how many webhook ids of a scheme have labels. The default is 1,000. Each has 4 time series, and one more
    /// for each of its keys.
    #[must_use]
    pub fn with_max_webhook_ids(mut self, ids: u16) -> Self {
        self.max_ids = ids;
        self
    }

    fn set_up(&self, store: StoreKind, up: u32) {
        match store {
            StoreKind::Keys => {}
            StoreKind::Limits => self.limits_up.set(up),
            StoreKind::Replay => self.replay_up.set(up),
        }
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MetricsObserver {
    fn observe(&self, event: &SecurityEvent<'_>) {
        let outcome = event.outcome;
        let make = |scheme: &str| Arc::new(SchemeMetrics::new(scheme, self.max_ids.into()));
        self.schemes.with(event.scheme, make, |scheme| scheme.count(event));
        self.durations.of(outcome).record(event.duration);
        if let Some(skew) = event.skew {
            self.skews.of(outcome).record(seconds_within_a_day(skew));
        }
        self.body_bytes.record(u32::try_from(event.body_bytes).unwrap_or(u32::MAX));
    }

    fn warning(&self, warning: &Warning) {
        self.warnings.with(warning.as_str(), warning_counter, |counter| counter.increment(1));
    }

    fn store_failed(&self, store: StoreKind, _: &StoreError) {
        self.set_up(store, 0);
    }

    fn store_recovered(&self, store: StoreKind) {
        self.set_up(store, 1);
    }
}

/// The metrics of one scheme.
#[derive(Debug)]
struct SchemeMetrics {
    name: Arc<str>,
    outcomes: ByOutcome<Counter>,
    reasons: Family<Counter>,
    ids: Family<Arc<IdMetrics>>,
}

impl SchemeMetrics {
    fn new(name: &str, max_ids: usize) -> Self {
        let name: Arc<str> = name.into();
        let this = Self {
            outcomes: ByOutcome::new(|outcome| match outcome {
                // Refusals are counted by their reasons alone.
                REFUSED => Counter::noop(),
                _ => counter!(REQUESTS, "scheme" => Arc::clone(&name), "outcome" => outcome, "reason" => ""),
            }),
            reasons: Family::new(RefusalReason::all().count()),
            ids: Family::new(max_ids),
            name,
        };
        // A series that starts at zero shows its first increment as one.
        for reason in RefusalReason::all() {
            this.reasons.with(reason.as_str(), |reason| this.refused(reason), |_| ());
        }
        this
    }

    fn count(&self, event: &SecurityEvent<'_>) {
        match event.outcome.reason() {
            Some(reason) => {
                self.reasons.with(reason.as_str(), |reason| self.refused(reason), |counter| counter.increment(1));
            }
            None => self.outcomes.of(event.outcome).increment(1),
        }
        if let Some(id) = event.webhook_id.filter(|_| event.known_id) {
            let make = |id: &str| Arc::new(IdMetrics::new(&self.name, id));
            self.ids.with(id, make, |metrics| metrics.count(event));
        }
    }

    fn refused(&self, reason: &str) -> Counter {
        counter!(REQUESTS, "scheme" => Arc::clone(&self.name), "outcome" => REFUSED, "reason" => String::from(reason))
    }
}

/// The metrics of one webhook id that the Warden has keys for.
#[derive(Debug)]
struct IdMetrics {
    id: Arc<str>,
    outcomes: ByOutcome<Counter>,
    keys: Family<Counter>,
}

impl IdMetrics {
    fn new(scheme: &Arc<str>, id: &str) -> Self {
        let id: Arc<str> = id.into();
        let outcomes = ByOutcome::new(|outcome| {
            counter!(
                WEBHOOK_REQUESTS,
                "scheme" => Arc::clone(scheme), "webhook_id" => Arc::clone(&id), "outcome" => outcome
            )
        });
        Self { id, outcomes, keys: Family::new(MAX_KEYS) }
    }

    fn count(&self, event: &SecurityEvent<'_>) {
        self.outcomes.of(event.outcome).increment(1);
        if let Some(key_id) = event.key_id {
            let make = |key_id: &str| counter!(KEY_REQUESTS, "webhook_id" => Arc::clone(&self.id), "key_id" => String::from(key_id));
            self.keys.with(key_id.as_str(), make, |counter| counter.increment(1));
        }
    }
}

/// One handle for each outcome.
#[derive(Debug)]
struct ByOutcome<T> {
    accepted: T,
    released: T,
    refused: T,
    abandoned: T,
}

impl<T> ByOutcome<T> {
    fn new(make: impl Fn(&'static str) -> T) -> Self {
        Self {
            accepted: make(Outcome::Accepted.as_str()),
            released: make(Outcome::Released.as_str()),
            refused: make(REFUSED),
            abandoned: make(Outcome::Abandoned.as_str()),
        }
    }

    const fn of(&self, outcome: Outcome) -> &T {
        match outcome {
            Outcome::Accepted => &self.accepted,
            Outcome::Released => &self.released,
            Outcome::Refused(_) => &self.refused,
            Outcome::Abandoned => &self.abandoned,
        }
    }
}

/// Handles by label, created when first needed: at most `capacity`, and one for all other labels. A new label copies
/// the table; later lookups only read it.
#[derive(Debug)]
struct Family<T> {
    members: ArcSwap<Members<T>>,
    capacity: usize,
    others: OnceLock<T>,
}

impl<T: Clone> Family<T> {
    fn new(capacity: usize) -> Self {
        Self { members: ArcSwap::default(), capacity, others: OnceLock::new() }
    }

    /// Calls `then` with the member of `label`. `make` receives the label that the member will have.
    fn with(&self, label: &str, make: impl FnOnce(&str) -> T, then: impl FnOnce(&T)) {
        let members = self.members.load();
        if let Some(member) = members.get(label) {
            return then(member);
        }
        if members.len() >= self.capacity {
            return then(self.others.get_or_init(|| make(OTHER)));
        }
        drop(members);
        // Two threads that do this for one label at a time are given one and the same metric by the recorder.
        let member = make(label);
        let label: Arc<str> = label.into();
        self.members.rcu(|members| {
            let mut members = Members::clone(members);
            if members.len() < self.capacity {
                members.insert(Arc::clone(&label), member.clone());
            }
            members
        });
        then(&member);
    }
}

/// The members of a family. Most families have one or two, and comparing those is faster than hashing.
#[derive(Debug, Clone)]
enum Members<T> {
    Few(ArrayVec<(Arc<str>, T), 4>),
    Many(HashMap<Arc<str>, T>),
}

impl<T> Members<T> {
    fn len(&self) -> usize {
        match self {
            Self::Few(members) => members.len(),
            Self::Many(members) => members.len(),
        }
    }

    fn get(&self, label: &str) -> Option<&T> {
        match self {
            Self::Few(members) => members.iter().find(|(known, _)| **known == *label).map(|(_, member)| member),
            Self::Many(members) => members.get(label),
        }
    }

    fn insert(&mut self, label: Arc<str>, member: T) {
        match self {
            Self::Many(members) => drop(members.insert(label, member)),
            // Another thread may have been first; what the recorder gave both is the same.
            Self::Few(members) if members.iter().any(|(known, _)| *known == label) => {}
            Self::Few(members) => {
                if let Err(full) = members.try_push((label, member)) {
                    *self = Self::Many(members.drain(..).chain([full.element()]).collect());
                }
            }
        }
    }
}

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self::Few(ArrayVec::new_const())
    }
}

fn warning_counter(kind: &str) -> Counter {
    counter!(WARNINGS, "kind" => String::from(kind))
}

/// A store is up until it fails.
fn store_gauge(store: StoreKind) -> Gauge {
    let gauge = gauge!(STORE_UP, "store" => store.as_str());
    gauge.set(1);
    gauge
}

/// The seconds as a histogram takes them. No tolerance is longer than a day; a larger value is arbitrary, and one of
/// them would distort every mean.
fn seconds_within_a_day(skew: i64) -> i32 {
    i32::try_from(skew.clamp(-DAY, DAY)).unwrap_or_default()
}

fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests to guarded webhook endpoints, by how they ended.");
    describe_counter!(WEBHOOK_REQUESTS, Unit::Count, "Requests of each webhook id that there are keys for.");
    describe_counter!(KEY_REQUESTS, Unit::Count, "Requests by the key that their signature matched.");
    describe_histogram!(DURATION, Unit::Seconds, "From the arrival of a request's head to its end.");
    describe_histogram!(SKEW, Unit::Seconds, "The receiver's clock minus the request's timestamp.");
    describe_histogram!(BODY_BYTES, Unit::Bytes, "Bytes taken of a request's body.");
    describe_gauge!(STORE_UP, Unit::Count, "Whether a shared store answered when it was last asked.");
    describe_counter!(WARNINGS, Unit::Count, "Notices to the operator that are not about one request.");
}

/// The text of [`Outcome::as_str`] for every refusal.
const REFUSED: &str = Outcome::Refused(RefusalReason::UnknownId).as_str();

const REQUESTS: &str = "hookwarden_requests_total";
const WEBHOOK_REQUESTS: &str = "hookwarden_webhook_requests_total";
const KEY_REQUESTS: &str = "hookwarden_key_requests_total";
const DURATION: &str = "hookwarden_request_duration_seconds";
const SKEW: &str = "hookwarden_timestamp_skew_seconds";
const BODY_BYTES: &str = "hookwarden_body_bytes";
const WARNINGS: &str = "hookwarden_warnings_total";
const STORE_UP: &str = "hookwarden_store_up";

/// The label of everything beyond a bound.
const OTHER: &str = "other";
const MAX_SCHEMES: usize = 32;
const MAX_IDS: u16 = 1000;
/// All keys that an id had since the process started; a keyring has at most 8 at once.
const MAX_KEYS: usize = 64;
const DAY: i64 = 86_400;

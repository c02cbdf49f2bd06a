//! Events as counters and histograms.

mod by_outcome;
mod family;
mod names;
mod scheme;
mod shards;

use std::sync::Arc;

use metrics::{Counter, Histogram, counter, histogram};

use self::by_outcome::ByOutcome;
use self::family::Family;
use self::names::{BODY_BYTES, DURATION, SKEW, WARNINGS};
use self::scheme::SchemeMetrics;
use self::shards::ShardMetrics;
use super::{Observer, SecurityEvent, StoreKind, Warning};
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
/// | `hookwarden_requests_total` | `scheme`, `outcome`, `reason` | every request; `reason` is empty unless it was, or would be, refused |
/// | `hookwarden_webhook_requests_total` | `scheme`, `webhook_id`, `outcome` | requests of the webhook ids that the Warden has keys for |
/// | `hookwarden_key_requests_total` | `webhook_id`, `key_id` | requests by the key that matched; an old key is in use while its count rises |
/// | `hookwarden_request_duration_seconds` | `outcome` | from the arrival of the head to the end |
/// | `hookwarden_timestamp_skew_seconds` | `outcome` | the receiver's clock minus the timestamp, negative for a timestamp in the future; clamped to a day |
/// | `hookwarden_body_bytes` | | received bytes of each body |
/// | `hookwarden_warnings_total` | `kind` | [warnings](Warning) |
/// | `hookwarden_report_only` | `scheme` | 1 after the first request that a Warden that only reports passed on; absent otherwise |
/// | `hookwarden_store_up` | `store`, `shard` | 0 if the last call of the shared store of `limits` or `replay` failed, otherwise 1; `shard` is empty unless the store is divided among several servers |
///
/// `hookwarden_webhook_requests_total{outcome="refused"}` includes duplicates, which are answered 200, and requests
/// that anyone can forge in the name of a webhook id. Alert on `released`, on accepted requests that stop, and on the
/// reasons of `hookwarden_requests_total` that are the receiver's fault
/// ([`RefusalReason::is_receiver_fault`](crate::event::RefusalReason::is_receiver_fault)).
///
/// A refusal by a Warden that [only reports](crate::warden::WardenBuilder::danger_report_only) has the outcome
/// `would_be_refused` instead of `refused`, so that alerts on refusals do not fire for it. Other Wardens have no series with
/// this outcome. Accepted and released requests of both are counted alike. Where `hookwarden_report_only` is 1, they say
/// which requests would have been accepted. If one Warden of a process reports and another enforces, name their schemes
/// differently.
///
/// The skew of a refused request is unverified; that of an accepted one shows the sender's clock.
///
/// A store that is divided among several servers has a series of `hookwarden_store_up` for each that failed once, and
/// one with an empty `shard` for failures that no single server caused. It works completely if the minimum of them is
/// 1. The series of a server that was replaced by another becomes 1 when its successor answers.
///
/// Labels are bounded: an unknown webhook id is never a label; after 1,000 webhook ids of a scheme, 64 keys of an id, 64
/// shards of a store or 32 schemes, further ones are counted as `other`. That series of `hookwarden_store_up` is 0
/// while one of them is down.
#[derive(Debug)]
pub struct MetricsObserver {
    schemes: Family<Arc<SchemeMetrics>>,
    warnings: Family<Counter>,
    durations: ByOutcome<Histogram>,
    skews: ByOutcome<Histogram>,
    body_bytes: Histogram,
    limits_up: ShardMetrics,
    replay_up: ShardMetrics,
    max_ids: u16,
}

impl MetricsObserver {
    /// Describes the metrics to the installed recorder, and registers those that are known before the first request.
    #[must_use]
    pub fn new() -> Self {
        names::describe();
        let warnings = Family::new(Warning::ALL.len());
        for warning in Warning::ALL {
            warnings.with(warning.as_str(), warning_counter, |_| ());
        }
        Self {
            schemes: Family::new(MAX_SCHEMES),
            warnings,
            durations: ByOutcome::new(duration),
            skews: ByOutcome::new(skew),
            body_bytes: histogram!(BODY_BYTES),
            limits_up: ShardMetrics::new(StoreKind::Limits),
            replay_up: ShardMetrics::new(StoreKind::Replay),
            max_ids: MAX_IDS,
        }
    }

    /// Sets how many webhook ids of a scheme have labels. The default is 1,000. Each has 5 time series, and one more
    /// for each of its keys.
    #[must_use]
    pub fn with_max_webhook_ids(mut self, ids: u16) -> Self {
        self.max_ids = ids;
        self
    }

    fn set_up(&self, store: StoreKind, shard: Option<&str>, is_up: bool) {
        match store {
            StoreKind::Keys => {}
            StoreKind::Limits => self.limits_up.set(shard, is_up),
            StoreKind::Replay => self.replay_up.set(shard, is_up),
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
        let make = |scheme: &str| Arc::new(SchemeMetrics::new(scheme, self.max_ids.into()));
        self.schemes.with(event.scheme, make, |scheme| scheme.count(event));
        self.durations.of(event, duration).record(event.duration);
        if let Some(seconds) = event.skew {
            self.skews.of(event, skew).record(seconds_within_a_day(seconds));
        }
        self.body_bytes.record(u32::try_from(event.body_bytes).unwrap_or(u32::MAX));
    }

    fn warning(&self, warning: &Warning) {
        self.warnings.with(warning.as_str(), warning_counter, |counter| counter.increment(1));
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        self.set_up(store, error.shard(), false);
    }

    fn store_recovered(&self, store: StoreKind, shard: Option<&str>) {
        self.set_up(store, shard, true);
    }
}

fn duration(outcome: &'static str) -> Histogram {
    histogram!(DURATION, "outcome" => outcome)
}

fn skew(outcome: &'static str) -> Histogram {
    histogram!(SKEW, "outcome" => outcome)
}

fn warning_counter(kind: &str) -> Counter {
    counter!(WARNINGS, "kind" => String::from(kind))
}

/// Clamps seconds to a day. No tolerance is longer; a larger value is arbitrary, and a single one would distort every
/// mean.
fn seconds_within_a_day(skew: i64) -> i32 {
    i32::try_from(skew.clamp(-DAY, DAY)).unwrap_or_default()
}

const MAX_SCHEMES: usize = 32;
const MAX_IDS: u16 = 1000;
const DAY: i64 = 86_400;

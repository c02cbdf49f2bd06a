//! The metrics of a scheme, of its webhook ids and of their keys.

use std::sync::{Arc, OnceLock};

use metrics::{Counter, counter, gauge};

use super::by_outcome::{ByOutcome, REFUSED, WOULD_BE_REFUSED};
use super::family::Family;
use super::names::{KEY_REQUESTS, REPORT_ONLY, REQUESTS, WEBHOOK_REQUESTS};
use crate::event::{RefusalReason, SecurityEvent};

#[derive(Debug)]
pub(super) struct SchemeMetrics {
    name: Arc<str>,
    outcomes: ByOutcome<Counter>,
    reasons: Family<Counter>,
    /// The reasons of refusals that are only reported.
    reported_reasons: OnceLock<Family<Counter>>,
    ids: Family<Arc<IdMetrics>>,
}

impl SchemeMetrics {
    pub(super) fn new(name: &str, max_ids: usize) -> Self {
        let name: Arc<str> = name.into();
        Self {
            outcomes: ByOutcome::new(|outcome| outcome_counter(&name, outcome)),
            reasons: reasons(&name, REFUSED),
            reported_reasons: OnceLock::new(),
            ids: Family::new(max_ids),
            name,
        }
    }

    pub(super) fn count(&self, event: &SecurityEvent<'_>) {
        let (outcome, reasons) = if event.report_only {
            (WOULD_BE_REFUSED, self.reported_reasons.get_or_init(|| reported_reasons(&self.name)))
        } else {
            (REFUSED, &self.reasons)
        };
        match event.outcome.reason() {
            Some(reason) => {
                let make = |reason: &str| reason_counter(&self.name, outcome, reason);
                reasons.with(reason.as_str(), make, |counter| counter.increment(1));
            }
            None => self.outcomes.of(event, |outcome| outcome_counter(&self.name, outcome)).increment(1),
        }
        if let Some(id) = event.webhook_id.filter(|_| event.known_id) {
            let make = |id: &str| Arc::new(IdMetrics::new(&self.name, id));
            self.ids.with(id, make, |metrics| metrics.count(event));
        }
    }
}

fn outcome_counter(scheme: &Arc<str>, outcome: &'static str) -> Counter {
    match outcome {
        // Refusals are counted by reason.
        REFUSED | WOULD_BE_REFUSED => Counter::noop(),
        _ => counter!(REQUESTS, "scheme" => Arc::clone(scheme), "outcome" => outcome, "reason" => ""),
    }
}

fn reason_counter(scheme: &Arc<str>, outcome: &'static str, reason: &str) -> Counter {
    counter!(REQUESTS, "scheme" => Arc::clone(scheme), "outcome" => outcome, "reason" => String::from(reason))
}

/// Registers the series of every reason at zero, so that its first increment is visible as one.
fn reasons(scheme: &Arc<str>, outcome: &'static str) -> Family<Counter> {
    let reasons = Family::new(RefusalReason::ALL.len());
    for reason in RefusalReason::ALL.iter().copied() {
        reasons.with(reason.as_str(), |reason| reason_counter(scheme, outcome, reason), |_| ());
    }
    reasons
}

/// Also registers that a Warden with the scheme only reports.
fn reported_reasons(scheme: &Arc<str>) -> Family<Counter> {
    gauge!(REPORT_ONLY, "scheme" => Arc::clone(scheme)).set(1);
    reasons(scheme, WOULD_BE_REFUSED)
}

/// The metrics of one webhook id that the Warden has keys for.
#[derive(Debug)]
struct IdMetrics {
    scheme: Arc<str>,
    id: Arc<str>,
    outcomes: ByOutcome<Counter>,
    keys: Family<Counter>,
}

impl IdMetrics {
    fn new(scheme: &Arc<str>, id: &str) -> Self {
        let (scheme, id): (Arc<str>, Arc<str>) = (Arc::clone(scheme), id.into());
        let outcomes = ByOutcome::new(|outcome| id_counter(&scheme, &id, outcome));
        Self { scheme, id, outcomes, keys: Family::new(MAX_KEYS) }
    }

    fn count(&self, event: &SecurityEvent<'_>) {
        self.outcomes.of(event, |outcome| id_counter(&self.scheme, &self.id, outcome)).increment(1);
        if let Some(key_id) = event.key_id {
            let make = |key_id: &str| counter!(KEY_REQUESTS, "webhook_id" => Arc::clone(&self.id), "key_id" => String::from(key_id));
            self.keys.with(key_id.as_str(), make, |counter| counter.increment(1));
        }
    }
}

fn id_counter(scheme: &Arc<str>, id: &Arc<str>, outcome: &'static str) -> Counter {
    counter!(WEBHOOK_REQUESTS, "scheme" => Arc::clone(scheme), "webhook_id" => Arc::clone(id), "outcome" => outcome)
}

/// The maximum number of keys of an id since the process started. A keyring has at most 8 at once.
const MAX_KEYS: usize = 64;

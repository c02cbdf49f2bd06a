//! The metrics of a scheme, of its webhook ids and of their keys.

use std::sync::Arc;

use metrics::{Counter, counter};

use super::by_outcome::{ByOutcome, REFUSED};
use super::family::Family;
use super::names::{KEY_REQUESTS, REQUESTS, WEBHOOK_REQUESTS};
use crate::event::{RefusalReason, SecurityEvent};

#[derive(Debug)]
pub(super) struct SchemeMetrics {
    name: Arc<str>,
    outcomes: ByOutcome<Counter>,
    reasons: Family<Counter>,
    ids: Family<Arc<IdMetrics>>,
}

impl SchemeMetrics {
    pub(super) fn new(name: &str, max_ids: usize) -> Self {
        let name: Arc<str> = name.into();
        let this = Self {
            outcomes: ByOutcome::new(|outcome| match outcome {
                // Refusals are counted by reason.
                REFUSED => Counter::noop(),
                _ => counter!(REQUESTS, "scheme" => Arc::clone(&name), "outcome" => outcome, "reason" => ""),
            }),
            reasons: Family::new(RefusalReason::ALL.len()),
            ids: Family::new(max_ids),
            name,
        };
        // Register every series at zero, so that its first increment is visible as one.
        for reason in RefusalReason::ALL.iter().copied() {
            this.reasons.with(reason.as_str(), |reason| this.refused(reason), |_| ());
        }
        this
    }

    pub(super) fn count(&self, event: &SecurityEvent<'_>) {
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

/// The maximum number of keys of an id since the process started. A keyring has at most 8 at once.
const MAX_KEYS: usize = 64;

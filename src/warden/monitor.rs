//! The clock, the observers, and which shared stores failed last. Every step borrows them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::outages::Outages;
use super::report_only::ReportOnly;
use crate::clock::Clock;
use crate::error::StoreError;
use crate::event::{Observer, SecurityEvent, StoreKind, Warning};

/// The clock, the observers, and which shared stores failed last.
pub(super) struct Monitor {
    pub(super) clock: Arc<dyn Clock>,
    observers: Vec<Box<dyn Observer>>,
    limits_outages: Outages,
    replay_outages: Outages,
    /// `None` if refusals are enforced.
    pub(super) report_only: Option<ReportOnly>,
}

impl Monitor {
    pub(super) fn new(clock: Arc<dyn Clock>, observers: Vec<Box<dyn Observer>>, reports_only: bool) -> Self {
        Self {
            clock,
            observers,
            limits_outages: Outages::default(),
            replay_outages: Outages::default(),
            report_only: reports_only.then(ReportOnly::default),
        }
    }

    pub(super) fn observe(&self, event: &SecurityEvent<'_>) {
        self.each(|observer| observer.observe(event));
    }

    pub(super) fn warn(&self, warning: Warning) {
        self.each(|observer| observer.warning(&warning));
    }

    #[cold]
    pub(super) fn key_store_failed(&self, error: &StoreError) {
        self.each(|observer| observer.store_failed(StoreKind::Keys, error));
    }

    /// Reports that a call for `webhook_id` failed. `shard_of` is the store's.
    #[cold]
    pub(super) fn store_failed(
        &self,
        store: SharedKind,
        webhook_id: &str,
        error: &StoreError,
        shard_of: impl Fn(&str) -> Option<Arc<str>>,
    ) {
        let outages = self.outages(store);
        let error = outages.name(error);
        self.each(|observer| observer.store_failed(store.into(), &error));
        // Last: an answer to another request must not report the recovery before the failure.
        outages.begin(error.shard(), webhook_id, shard_of);
    }

    /// Reports a recovery if the shard that answered for `webhook_id` failed before. `shard_of` is the store's.
    pub(super) fn store_answered(
        &self,
        store: SharedKind,
        webhook_id: &str,
        shard_of: impl Fn(&str) -> Option<Arc<str>>,
    ) {
        if self.outages(store).exist() {
            self.end_outages(store, webhook_id, shard_of);
        }
    }

    #[cold]
    fn end_outages(&self, store: SharedKind, webhook_id: &str, shard_of: impl Fn(&str) -> Option<Arc<str>>) {
        for shard in self.outages(store).end(webhook_id, shard_of) {
            self.each(|observer| observer.store_recovered(store.into(), shard.as_deref()));
        }
    }

    const fn outages(&self, store: SharedKind) -> &Outages {
        match store {
            SharedKind::Limits => &self.limits_outages,
            SharedKind::Replay => &self.replay_outages,
        }
    }

    /// Catches panics: a panic of an observer must not fail the request, and must not abort during another panic.
    fn each(&self, call: impl Fn(&dyn Observer)) {
        for observer in &self.observers {
            let _ = catch_unwind(AssertUnwindSafe(|| call(&**observer)));
        }
    }
}

/// A store whose recovery is reported.
#[derive(Debug, Clone, Copy)]
pub(super) enum SharedKind {
    Limits,
    Replay,
}

impl From<SharedKind> for StoreKind {
    fn from(store: SharedKind) -> Self {
        match store {
            SharedKind::Limits => Self::Limits,
            SharedKind::Replay => Self::Replay,
        }
    }
}

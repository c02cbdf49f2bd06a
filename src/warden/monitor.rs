//! The clock, the observers, and which shared stores failed last. Every step borrows them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::report_only::ReportOnly;
use crate::clock::Clock;
use crate::error::StoreError;
use crate::event::{Observer, SecurityEvent, StoreKind, Warning};

/// The clock, the observers, and which shared stores failed last.
pub(super) struct Monitor {
    pub(super) clock: Arc<dyn Clock>,
    observers: Vec<Box<dyn Observer>>,
    limits_failed: AtomicBool,
    replay_failed: AtomicBool,
    /// `None` if refusals are enforced.
    pub(super) report_only: Option<ReportOnly>,
}

impl Monitor {
    pub(super) fn new(clock: Arc<dyn Clock>, observers: Vec<Box<dyn Observer>>, reports_only: bool) -> Self {
        Self {
            clock,
            observers,
            limits_failed: AtomicBool::default(),
            replay_failed: AtomicBool::default(),
            report_only: reports_only.then(ReportOnly::default),
        }
    }

    pub(super) fn observe(&self, event: &SecurityEvent<'_>) {
        self.each(|observer| observer.observe(event));
    }

    pub(super) fn warn(&self, warning: Warning) {
        self.each(|observer| observer.warning(&warning));
    }

    pub(super) fn store_failed(&self, store: StoreKind, error: &StoreError) {
        if let Some(failed) = self.failed(store) {
            failed.store(true, Ordering::Relaxed);
        }
        self.each(|observer| observer.store_failed(store, error));
    }

    /// Reports a recovery if the store failed before.
    pub(super) fn store_answered(&self, store: StoreKind) {
        // Load before swap to avoid cache-line contention.
        let failed = |flag: &AtomicBool| flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::Relaxed);
        if self.failed(store).is_some_and(failed) {
            self.each(|observer| observer.store_recovered(store));
        }
    }

    const fn failed(&self, store: StoreKind) -> Option<&AtomicBool> {
        match store {
            StoreKind::Keys => None,
            StoreKind::Limits => Some(&self.limits_failed),
            StoreKind::Replay => Some(&self.replay_failed),
        }
    }

    /// Catches panics: a panic of an observer must not fail the request, and must not abort during another panic.
    fn each(&self, call: impl Fn(&dyn Observer)) {
        for observer in &self.observers {
            let _ = catch_unwind(AssertUnwindSafe(|| call(&**observer)));
        }
    }
}

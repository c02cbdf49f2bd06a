//! The warning of a Warden that only reports.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::bounded::nanos;

/// When the warning of a Warden that only reports is due.
#[derive(Debug, Default)]
pub(super) struct ReportOnly {
    /// In nanoseconds by the monotonic clock.
    next_warning: AtomicU64,
}

impl ReportOnly {
    /// Returns whether to warn: with the first request, and then at most once an hour.
    pub(super) fn is_warning_due(&self, now: Duration) -> bool {
        let due = self.next_warning.load(Ordering::Relaxed);
        let next = nanos(now.saturating_add(WARNING_INTERVAL));
        let take = || self.next_warning.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        nanos(now) >= due && take().is_ok()
    }
}

/// An hour. Many receivers run for days between two starts.
const WARNING_INTERVAL: Duration = Duration::from_secs(3_600);

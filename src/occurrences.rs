//! Counts events that clients can cause, so that they cannot fill a log.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count of occurrences. Only the first, second, fourth, eighth and so on are logged.
#[derive(Debug, Default)]
pub(crate) struct Occurrences(AtomicU64);

impl Occurrences {
    #[cfg(feature = "tower")]
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one occurrence. Returns the count if it should be logged.
    pub(crate) fn count_to_log(&self) -> Option<u64> {
        let count = self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        count.is_power_of_two().then_some(count)
    }
}

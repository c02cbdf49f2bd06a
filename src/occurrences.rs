//! Counts what strangers can cause, so that they can't fill a log.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often something occurred. The first, second, fourth, eighth … occurrence is logged.
#[derive(Debug, Default)]
pub(crate) struct Occurrences(AtomicU64);

impl Occurrences {
    #[cfg(feature = "_router")]
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more. Returns the count if it is to be logged.
    pub(crate) fn count_to_log(&self) -> Option<u64> {
        let count = self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        count.is_power_of_two().then_some(count)
    }
}

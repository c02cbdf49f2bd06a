//! The settings of a cache.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};

pub(super) struct Settings {
    pub(super) ttl: Duration,
    pub(super) capacity: usize,
    pub(super) unknown_ttl: Duration,
    pub(super) unknown_capacity: usize,
    pub(super) stale_for: Option<Duration>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            capacity: 10_000,
            unknown_ttl: Duration::from_secs(10),
            unknown_capacity: 10_000,
            stale_for: None,
            clock: Arc::new(SystemClock::default()),
        }
    }
}

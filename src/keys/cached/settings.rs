//! How long and how much is cached.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::CachedKeys;
use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::keys::AsyncKeyStore;
use crate::scheme::Scheme;

/// Collects the settings of [`CachedKeys`].
#[must_use]
pub struct CachedKeysBuilder {
    store: Box<dyn AsyncKeyStore>,
    settings: Settings,
}

impl CachedKeysBuilder {
    pub(super) fn new(store: Box<dyn AsyncKeyStore>) -> Self {
        Self { store, settings: Settings::default() }
    }

    /// How long keys are kept, 300 seconds by default, counted from when the store was asked. A key that is taken out of
    /// the store is accepted for that long.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// The most ids whose keys are kept, 10,000 by default. More senders than that are served, from the store.
    pub fn capacity(mut self, ids: usize) -> Self {
        self.settings.capacity = ids;
        self
    }

    /// How long an id is remembered as unknown, 10 seconds by default. A new sender is refused for that long if it posted
    /// before the store knew it.
    pub fn unknown_ttl(mut self, ttl: Duration) -> Self {
        self.settings.unknown_ttl = ttl;
        self
    }

    /// The most ids that are remembered as unknown, 10,000 by default.
    pub fn unknown_capacity(mut self, ids: usize) -> Self {
        self.settings.unknown_capacity = ids;
        self
    }

    /// Lets keys serve for `extra` beyond their time while the store fails. A key that was taken out of the store, because
    /// it leaked say, is then accepted for that much longer, and whoever can keep the store from answering decides on it.
    /// Without this setting requests are answered 503 meanwhile.
    pub fn danger_serve_stale_for(mut self, extra: Duration) -> Self {
        self.settings.stale_for = Some(extra);
        self
    }

    /// The clock by which times in the cache are counted, the system's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    /// A time or a capacity is zero.
    pub fn build(self, scheme: &Scheme) -> Result<CachedKeys, ConfigError> {
        let settings = &self.settings;
        let zero = [
            ("ttl", settings.ttl.is_zero()),
            ("capacity", settings.capacity == 0),
            ("unknown_ttl", settings.unknown_ttl.is_zero()),
            ("unknown_capacity", settings.unknown_capacity == 0),
            ("danger_serve_stale_for", settings.stale_for.is_some_and(|extra| extra.is_zero())),
        ];
        match zero.into_iter().find(|(_, zero)| *zero) {
            Some((field, _)) => Err(ConfigError::new(field, "must be more than zero")),
            None => Ok(CachedKeys::of(scheme, self.store, self.settings)),
        }
    }
}

impl fmt::Debug for CachedKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedKeysBuilder").finish_non_exhaustive()
    }
}

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

//! Building a cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::CachedKeys;
use super::lookup::Cache;
use super::settings::Settings;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::keys::AsyncKeyStore;
use crate::scheme::Scheme;

/// Builds a [`CachedKeys`] cache.
///
/// ```
/// use std::time::Duration;
///
/// use hookwarden::Scheme;
/// use hookwarden::keys::CachedKeys;
/// # use hookwarden::error::StoreError;
/// # use hookwarden::keys::AsyncKeyStore;
/// # use hookwarden::{BoxFuture, Keyring};
/// # struct Vault;
/// # impl AsyncKeyStore for Vault {
/// #     fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
/// #         Box::pin(std::future::ready(Ok(None)))
/// #     }
/// # }
///
/// let keys = CachedKeys::builder(Vault) // `Vault` implements `AsyncKeyStore`
///     .ttl(Duration::from_secs(60))
///     .capacity(50_000)
///     .build(&Scheme::timestamped())?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[must_use]
pub struct CachedKeysBuilder {
    store: Box<dyn AsyncKeyStore>,
    settings: Settings,
}

impl CachedKeys {
    /// Starts to configure a cache in front of `store`.
    pub fn builder(store: impl AsyncKeyStore) -> CachedKeysBuilder {
        CachedKeysBuilder { store: Box::new(store), settings: Settings::default() }
    }
}

impl CachedKeysBuilder {
    /// Sets how long keys are cached, counted from the start of the lookup. The default is 300 seconds. A key that was
    /// removed from the store can be accepted for this time.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.ttl = ttl;
        self
    }

    /// Sets how many ids are cached. The default is 10,000. Beyond that, the least recently used id is evicted.
    pub fn capacity(mut self, ids: usize) -> Self {
        self.settings.capacity = ids;
        self
    }

    /// Sets how long an id is cached as unknown. The default is 10 seconds. A sender whose first request arrives before
    /// its keys are in the store is refused for this time.
    pub fn unknown_ttl(mut self, ttl: Duration) -> Self {
        self.settings.unknown_ttl = ttl;
        self
    }

    /// Sets how many ids are cached as unknown. The default is 10,000.
    pub fn unknown_capacity(mut self, ids: usize) -> Self {
        self.settings.unknown_capacity = ids;
        self
    }

    /// Uses expired entries for `extra` longer while the store fails. A key that was removed from the store because it
    /// leaked is then accepted for that much longer, and an attacker who can make the store fail decides when. The
    /// same applies if the store is `hookwarden-jwks` and fails because a list of revoked keys is stale: keys are then
    /// accepted without the list. By default, requests are answered with 503 meanwhile.
    pub fn danger_serve_stale_for(mut self, extra: Duration) -> Self {
        self.settings.stale_for = Some(extra);
        self
    }

    /// Sets the clock of the cache, for tests. The default is the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    /// A duration or a capacity is zero.
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
            None => Ok(CachedKeys { cache: Arc::new(Cache::new(scheme, self.store, self.settings)) }),
        }
    }
}

impl fmt::Debug for CachedKeysBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedKeysBuilder").finish_non_exhaustive()
    }
}

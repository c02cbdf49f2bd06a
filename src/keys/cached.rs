//! A bounded cache of prepared keys in front of an asynchronous store.

mod builder;
mod lookup;
mod settings;
mod state;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::AsyncKeyStore;
use super::table::most_common;
use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::scheme::Scheme;

pub use builder::CachedKeysBuilder;

pub(crate) use lookup::Lookup;
pub(crate) use state::KeyAnswer;

use lookup::Cache;
use settings::Settings;

/// A cache of prepared keys in front of an [`AsyncKeyStore`]. Cheap to clone; all clones share one cache.
///
/// * **One lookup at a time** for each id, however many requests wait for it. The waiting requests drive it, so no
///   runtime is needed. It is cancelled when the last of them is dropped.
/// * **Unknown ids** are cached separately, so that a flood of invented ids evicts no sender. An id of more than 256
///   bytes is unknown without a lookup.
/// * **A failed lookup** (an error, a panic, or keys that the scheme refuses) is a [`StoreError`]. It is cached for one
///   second, so that a failing store is not asked by every request.
/// * **Expiry**: a key past its `not_after` is refused at once, cached or not. A key that was removed from the store
///   stays valid until its entry expires, or until [`invalidate`](Self::invalidate).
///
/// ```
/// use hookwarden::keys::CachedKeys;
/// use hookwarden::{Scheme, Warden};
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
/// let scheme = Scheme::timestamped();
/// let keys = CachedKeys::new(&scheme, Vault); // `Vault` implements `AsyncKeyStore`
/// let warden = Warden::builder(scheme).cached_keys(keys.clone()).build()?;
///
/// keys.invalidate("acme"); // when the vault reports that a secret was rotated or leaked
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct CachedKeys {
    cache: Arc<Cache>,
}

impl CachedKeys {
    /// Creates a cache in front of `store`, with the defaults of [`CachedKeysBuilder`].
    #[must_use]
    pub fn new(scheme: &Scheme, store: impl AsyncKeyStore) -> Self {
        Self { cache: Arc::new(Cache::new(scheme, Box::new(store), Settings::default())) }
    }

    /// Returns the keys of `webhook_id`, from the cache or from the store. A cached answer is ready at the first poll.
    ///
    /// # Errors
    /// The store cannot answer now.
    pub async fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        match self.look_up(webhook_id, || Ok(())) {
            Lookup::Answered(answer) => answer,
            Lookup::Pending(waiter) => waiter.answer().await,
            Lookup::Denied(_) => Ok(None),
        }
    }

    /// Looks up keys without waiting. `permit` decides whether the store may be asked; to wait for a lookup in progress
    /// needs no permit.
    pub(crate) fn look_up(&self, webhook_id: &str, permit: impl FnOnce() -> Result<(), Duration>) -> Lookup {
        if webhook_id.is_empty() || webhook_id.len() > MAX_ID_BYTES {
            return Lookup::Answered(Ok(None));
        }
        self.cache.look_up(webhook_id, permit)
    }

    /// The scheme that the keys are prepared for.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.cache.scheme
    }

    /// The number of keys that most of the cached ids have.
    #[must_use]
    pub fn common_size(&self) -> usize {
        most_common(&self.cache.lock().sizes)
    }

    /// Removes `webhook_id` from the cache. The next request asks the store, even if a lookup is in progress.
    pub fn invalidate(&self, webhook_id: &str) {
        let mut state = self.cache.lock();
        state.forget_keys(webhook_id);
        state.without.pop(webhook_id);
        let given_up = state.flights.remove(webhook_id);
        drop(state);
        drop(given_up); // the store's own code may run here
    }

    /// Empties the cache.
    pub fn invalidate_all(&self) {
        let mut state = self.cache.lock();
        let given_up = state.clear();
        drop(state);
        drop(given_up);
    }
}

impl fmt::Debug for CachedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.cache.lock();
        f.debug_struct("CachedKeys")
            .field("scheme", &self.cache.scheme.name())
            .field("known", &state.known.len())
            .field("unknown", &state.without.len())
            .field("in_flight", &state.flights.len())
            .finish_non_exhaustive()
    }
}

/// The bound keeps a flood of long ids from using up memory.
const MAX_ID_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::error::ConfigError;
    use crate::future::BoxFuture;
    use crate::secret::{Key, Keyring, Secret};
    use crate::time::Timestamp;

    struct Fixed(Keyring);

    impl AsyncKeyStore for Fixed {
        fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
            Box::pin(std::future::ready(Ok(Some(self.0.clone()))))
        }
    }

    fn at_once(keys: &CachedKeys, id: &str) -> KeyAnswer {
        keys.find(id).now_or_never().unwrap()
    }

    #[test]
    fn cached_key_is_dead_after_its_last_second() {
        let key = Key::new("k", Secret::from_text("secret").unwrap()).unwrap().not_after(Timestamp::from_unix(100));
        let keys = CachedKeys::new(&Scheme::timestamped(), Fixed(Keyring::from_keys([key]).unwrap()));
        for _ in 0..2 {
            let found = at_once(&keys, "a").unwrap().unwrap();
            assert!(found.has_live(Timestamp::from_unix(100)));
            assert!(!found.has_live(Timestamp::from_unix(101)));
        }
    }

    #[test]
    fn common_size_counts_what_is_cached() {
        let of = |count: usize| {
            let keys = (0..count).map(|n| Key::new(&format!("k{n}"), Secret::from_bytes(format!("{n}"))?));
            Keyring::from_keys(keys.collect::<Result<Vec<_>, ConfigError>>().unwrap()).unwrap()
        };
        let keys = CachedKeys::builder(Fixed(of(3))).capacity(5).build(&Scheme::timestamped()).unwrap();
        assert_eq!(keys.common_size(), 1);
        for n in 0..50 {
            at_once(&keys, &n.to_string()).unwrap();
        }
        assert_eq!(keys.common_size(), 3);
        assert_eq!(keys.cache.lock().sizes, [0, 0, 5, 0, 0, 0, 0, 0]);
        keys.invalidate("49");
        assert_eq!(keys.cache.lock().sizes, [0, 0, 4, 0, 0, 0, 0, 0]);
        keys.invalidate_all();
        assert_eq!(keys.common_size(), 1);
    }
}

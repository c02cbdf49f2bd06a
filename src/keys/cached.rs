//! A bounded cache of prepared keys in front of an asynchronous store.

mod builder;
mod lookup;
mod settings;
mod state;

use std::fmt;
use std::sync::Arc;

use super::AsyncKeyStore;
use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::scheme::Scheme;
#[cfg(doc)]
use crate::secret::Keyring;
use crate::time::Timestamp;

pub use builder::CachedKeysBuilder;

pub(crate) use lookup::Lookup;
pub(crate) use state::KeyAnswer;

use lookup::Cache;
use settings::Settings;

/// A cache of prepared keys in front of an [`AsyncKeyStore`]. Cheap to clone; all clones share one cache.
///
/// * **One lookup at a time** for each id, for any number of waiting requests. The waiting requests poll it, so no
///   runtime is needed. It is cancelled when the last of them is dropped.
/// * **Unknown ids** are cached separately, so that a flood of invented ids cannot evict a sender. An id of more than
///   256 bytes is unknown without a lookup.
/// * **A failed lookup** (an error, a panic, or keys that the scheme refuses) is a [`StoreError`]. It is cached for one
///   second, so that requests do not add load to a failing store.
/// * **Spellings**: entries are cached by the id in the request. If the store returns a [canonical
///   id](Keyring::with_webhook_id), each spelling uses one entry.
/// * **Expiry**: a key past its `not_after` is refused immediately, cached or not. A key that was removed from the
///   store stays valid until its entry expires, or until [`invalidate`](Self::invalidate).
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
        match self.look_up(webhook_id) {
            Lookup::Answered(answer) => answer,
            Lookup::Pending(waiter) => waiter.answer().await,
        }
    }

    /// Whether the cache has keys for `webhook_id`, without a lookup in the store.
    pub(crate) fn knows(&self, webhook_id: &str) -> bool {
        self.cache.knows(webhook_id)
    }

    /// Looks up keys without waiting.
    pub(crate) fn look_up(&self, webhook_id: &str) -> Lookup {
        if webhook_id.is_empty() || webhook_id.len() > MAX_ID_BYTES {
            return Lookup::Answered(Ok(None));
        }
        self.cache.look_up(webhook_id)
    }

    /// The scheme that the keys are prepared for.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.cache.scheme
    }

    /// The number of keys, 1 to 8, that are valid at `now` for most of the cached ids.
    #[must_use]
    pub fn common_live_keys(&self, now: Timestamp) -> usize {
        self.cache.lock().live.common_at(now)
    }

    /// Removes `webhook_id` and all ids with the same [canonical id](PreparedKeys::webhook_id) from the cache.
    ///
    /// The next request for the id starts a new lookup, even if one is in progress. The result of a lookup in progress
    /// for another spelling is returned to its requests, but not cached.
    pub fn invalidate(&self, webhook_id: &str) {
        let mut state = self.cache.lock();
        state.remove_sender(webhook_id);
        state.without.pop(webhook_id);
        let cancelled = state.flights.remove(webhook_id);
        drop(state);
        drop(cancelled); // after unlocking, because this can run code of the store
    }

    /// Empties the cache.
    pub fn invalidate_all(&self) {
        let mut state = self.cache.lock();
        let cancelled = state.clear();
        drop(state);
        drop(cancelled);
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

/// Limits the memory that a flood of long ids can use.
const MAX_ID_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::error::ConfigError;
    use crate::future::BoxFuture;
    use crate::secret::{Key, Keyring, Secret};

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
    fn cached_key_is_invalid_after_its_last_second() {
        let key = Key::new("k", Secret::from_text("secret").unwrap()).unwrap().not_after(Timestamp::from_unix(100));
        let keys = CachedKeys::new(&Scheme::timestamped(), Fixed(Keyring::from_keys([key]).unwrap()));
        for _ in 0..2 {
            let found = at_once(&keys, "a").unwrap().unwrap();
            assert!(found.has_live(Timestamp::from_unix(100)));
            assert!(!found.has_live(Timestamp::from_unix(101)));
        }
    }

    /// A store that returns as many keys as the first digit of the id.
    struct ByDigit;

    impl AsyncKeyStore for ByDigit {
        fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
            let keys = (0..id[..1].parse().unwrap()).map(|n: u8| {
                let key = Key::new(&format!("k{n}"), Secret::from_bytes(format!("{n} of {id}"))?)?;
                Ok(if n == 0 { key } else { key.not_after(Timestamp::from_unix(100)) })
            });
            let keys = keys.collect::<Result<Vec<_>, ConfigError>>().unwrap();
            Box::pin(std::future::ready(Ok(Some(Keyring::from_keys(keys).unwrap()))))
        }
    }

    #[test]
    fn common_live_keys_counts_only_cached_senders() {
        let keys = CachedKeys::builder(ByDigit).capacity(5).build(&Scheme::timestamped()).unwrap();
        let common = |second| keys.common_live_keys(Timestamp::from_unix(second));
        assert_eq!(common(0), 1);
        (0..50).for_each(|n| drop(at_once(&keys, &format!("3-{n}"))));
        assert_eq!([100, 101, 100].map(common), [3, 1, 3]);
        // Three of the five entries now have two keys. Evicted and replaced entries no longer count.
        ["2-a", "2-b", "2-c", "2-a"].iter().for_each(|id| drop(at_once(&keys, id)));
        assert_eq!([100, 101].map(common), [2, 1]);
        ["2-a", "2-b"].iter().for_each(|id| keys.invalidate(id));
        assert_eq!(common(100), 3);
        keys.invalidate_all();
        assert_eq!(common(100), 1);
    }
}

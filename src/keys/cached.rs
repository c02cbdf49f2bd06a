//! A bounded cache of prepared keys in front of an asynchronous store.

mod settings;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clru::CLruCache;
use futures_util::FutureExt as _;
use futures_util::future::Shared;

use super::AsyncKeyStore;
use super::table::most_common;
use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::scheme::Scheme;
use crate::secret::MAX_KEYS;

pub use settings::CachedKeysBuilder;

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
    inner: Arc<Inner>,
}

struct Inner {
    store: Box<dyn AsyncKeyStore>,
    scheme: Scheme,
    settings: Settings,
    state: Mutex<State>,
}

impl CachedKeys {
    /// Creates a cache in front of `store`, with the defaults of [`CachedKeysBuilder`].
    #[must_use]
    pub fn new(scheme: &Scheme, store: impl AsyncKeyStore) -> Self {
        Self::of(scheme, Box::new(store), Settings::default())
    }

    /// Starts a cache with other settings.
    pub fn builder(store: impl AsyncKeyStore) -> CachedKeysBuilder {
        CachedKeysBuilder::new(Box::new(store))
    }

    fn of(scheme: &Scheme, store: Box<dyn AsyncKeyStore>, settings: Settings) -> Self {
        let state = State {
            known: CLruCache::new(at_least_one(settings.capacity)),
            sizes: [0; MAX_KEYS],
            without: CLruCache::new(at_least_one(settings.unknown_capacity)),
            flights: HashMap::new(),
            next_flight: 0,
        };
        Self { inner: Arc::new(Inner { store, scheme: scheme.clone(), settings, state: Mutex::new(state) }) }
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
        self.inner.look_up(webhook_id, permit)
    }

    /// The scheme that the keys are prepared for.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.inner.scheme
    }

    /// The number of keys that most of the cached ids have.
    #[must_use]
    pub fn common_size(&self) -> usize {
        most_common(&self.inner.lock().sizes)
    }

    /// Removes `webhook_id` from the cache. The next request asks the store, even if a lookup is in progress.
    pub fn invalidate(&self, webhook_id: &str) {
        let mut state = self.inner.lock();
        state.forget_keys(webhook_id);
        state.without.pop(webhook_id);
        let given_up = state.flights.remove(webhook_id);
        drop(state);
        drop(given_up); // the store's own code may run here
    }

    /// Empties the cache.
    pub fn invalidate_all(&self) {
        let mut state = self.inner.lock();
        state.known.clear();
        state.sizes = [0; MAX_KEYS];
        state.without.clear();
        let given_up = std::mem::take(&mut state.flights);
        drop(state);
        drop(given_up);
    }
}

impl fmt::Debug for CachedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.lock();
        f.debug_struct("CachedKeys")
            .field("scheme", &self.inner.scheme.name())
            .field("known", &state.known.len())
            .field("unknown", &state.without.len())
            .field("in_flight", &state.flights.len())
            .finish_non_exhaustive()
    }
}

/// The result of a lookup.
pub(crate) type KeyAnswer = Result<Option<PreparedKeys>, StoreError>;

struct State {
    known: CLruCache<Arc<str>, Known>,
    /// The number of known ids with one key, with two keys, and so on.
    sizes: [usize; MAX_KEYS],
    /// The ids for which the last lookup returned no keys.
    without: CLruCache<Arc<str>, Without>,
    flights: HashMap<Arc<str>, Flight>,
    next_flight: u64,
}

struct Known {
    keys: PreparedKeys,
    /// When the store was asked.
    since: Duration,
}

struct Without {
    /// `None` if the id is unknown.
    error: Option<StoreError>,
    until: Duration,
}

/// A lookup in progress. The requests that wait for it drive it.
struct Flight {
    number: u64,
    began: Duration,
    waiting: usize,
    answer: Shared<BoxFuture<'static, KeyAnswer>>,
}

pub(crate) enum Lookup {
    Answered(KeyAnswer),
    Pending(Waiter),
    /// `permit` denied the lookup, for this long.
    Denied(Duration),
}

/// A request that waits for a lookup. The lookup is cancelled when the last one is dropped.
pub(crate) struct Waiter {
    inner: Arc<Inner>,
    id: Arc<str>,
    number: u64,
    answer: Shared<BoxFuture<'static, KeyAnswer>>,
}

impl Waiter {
    pub(crate) async fn answer(mut self) -> KeyAnswer {
        (&mut self.answer).await
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        let Some(flight) = state.flights.get_mut(&self.id).filter(|flight| flight.number == self.number) else {
            return;
        };
        flight.waiting = flight.waiting.saturating_sub(1);
        let abandoned = if flight.waiting == 0 { state.flights.remove(&self.id) } else { None };
        drop(state);
        drop(abandoned);
    }
}

impl Inner {
    fn look_up(self: &Arc<Self>, id: &str, permit: impl FnOnce() -> Result<(), Duration>) -> Lookup {
        let now = self.settings.clock.monotonic();
        let mut guard = self.lock();
        let state = &mut *guard;
        let known = state.known.get(id);
        if let Some(known) = known.filter(|known| now.saturating_sub(known.since) < self.settings.ttl) {
            return Lookup::Answered(Ok(Some(known.keys.clone())));
        }
        if let Some(without) = state.without.get(id).filter(|without| now < without.until) {
            return Lookup::Answered(match &without.error {
                None => Ok(None),
                Some(error) => known.and_then(|known| self.stale(known, now)).map(Some).ok_or_else(|| error.clone()),
            });
        }
        if let Some((id, flight)) = state.flights.get_key_value(id)
            && now.saturating_sub(flight.began) < PATIENCE
        {
            let (id, number, answer) = (id.clone(), flight.number, flight.answer.clone());
            if let Some(flight) = state.flights.get_mut(&id) {
                flight.waiting = flight.waiting.saturating_add(1);
            }
            return Lookup::Pending(Waiter { inner: self.clone(), id, number, answer });
        }
        if let Err(wait) = permit() {
            return Lookup::Denied(wait);
        }
        let superseded = state.flights.remove(id);
        let waiter = self.begin(state, id.into(), now);
        drop(guard);
        drop(superseded); // the store's own code may run here
        Lookup::Pending(waiter)
    }

    fn begin(self: &Arc<Self>, state: &mut State, id: Arc<str>, now: Duration) -> Waiter {
        let number = state.next_flight;
        state.next_flight = number.wrapping_add(1);
        let flight = {
            let (inner, id) = (self.clone(), id.clone());
            async move {
                let answer = AssertUnwindSafe(inner.ask(&id)).catch_unwind().await;
                let answer = answer.unwrap_or_else(|_| Err(StoreError::panicked()));
                inner.settle(id, number, now, answer)
            }
        };
        let answer = flight.boxed().shared();
        state.flights.insert(id.clone(), Flight { number, began: now, waiting: 1, answer: answer.clone() });
        Waiter { inner: self.clone(), id, number, answer }
    }

    async fn ask(&self, id: &str) -> KeyAnswer {
        let Some(keyring) = self.store.find(id).await? else { return Ok(None) };
        // The text names the key and never its secret.
        let prepared = self.scheme.prepare(&keyring);
        prepared.map(Some).map_err(|error| StoreError::new(format!("keys that cannot be used: {error}")))
    }

    /// Caches an answer, unless its lookup was cancelled meanwhile, and converts it into the waiting requests' answer.
    fn settle(&self, id: Arc<str>, number: u64, began: Duration, answer: KeyAnswer) -> KeyAnswer {
        let now = self.settings.clock.monotonic();
        let mut state = self.lock();
        if state.flights.get(&id).is_none_or(|flight| flight.number != number) {
            return answer;
        }
        let landed = state.flights.remove(&id);
        let answer = match answer {
            Ok(Some(keys)) => {
                state.without.pop(&id);
                state.keep(id, Known { keys: keys.clone(), since: began });
                Ok(Some(keys))
            }
            Ok(None) => {
                state.forget_keys(&id);
                let until = now.saturating_add(self.settings.unknown_ttl);
                state.without.put(id, Without { error: None, until });
                Ok(None)
            }
            Err(error) => {
                let stale = state.known.get(&id).and_then(|known| self.stale(known, now));
                if stale.is_none() {
                    state.forget_keys(&id);
                }
                let until = now.saturating_add(BACK_OFF);
                state.without.put(id, Without { error: Some(error.clone()), until });
                stale.map(Some).ok_or(error)
            }
        };
        drop(state);
        drop(landed);
        answer
    }

    /// Expired keys, if the settings allow to use them while the store fails.
    fn stale(&self, known: &Known, now: Duration) -> Option<PreparedKeys> {
        let stale_for = self.settings.stale_for?;
        let end = known.since.saturating_add(self.settings.ttl).saturating_add(stale_for);
        (now < end).then(|| known.keys.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, id: Arc<str>, known: Known) {
        self.count(&known, 1);
        let is_full = self.known.is_full() && !self.known.contains(&id);
        let evicted = if is_full { self.known.pop_back().map(|(_, known)| known) } else { None };
        for gone in [evicted, self.known.put(id, known)].into_iter().flatten() {
            self.count(&gone, -1);
        }
    }

    fn forget_keys(&mut self, id: &str) {
        if let Some(gone) = self.known.pop(id) {
            self.count(&gone, -1);
        }
    }

    fn count(&mut self, known: &Known, change: isize) {
        if let Some(count) = known.keys.len().checked_sub(1).and_then(|index| self.sizes.get_mut(index)) {
            *count = count.saturating_add_signed(change);
        }
    }
}

/// The builder rejects a capacity of zero.
fn at_least_one(capacity: usize) -> NonZeroUsize {
    NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN)
}

/// The bound keeps a flood of long ids from using up memory.
const MAX_ID_BYTES: usize = 256;

/// How long the store is not asked again after it failed for an id.
const BACK_OFF: Duration = Duration::from_secs(1);

/// No request joins a lookup that is older: it may hang, and would delay every request after it.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ConfigError;
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
        assert_eq!(keys.inner.lock().sizes, [0, 0, 5, 0, 0, 0, 0, 0]);
        keys.invalidate("49");
        assert_eq!(keys.inner.lock().sizes, [0, 0, 4, 0, 0, 0, 0, 0]);
        keys.invalidate_all();
        assert_eq!(keys.common_size(), 1);
    }
}

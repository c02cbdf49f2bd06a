//! Lookups: at most one at a time for each id, polled by the requests that wait for it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::Shared;

use super::settings::Settings;
use super::state::{Flight, KeyAnswer, Known, State, Without};
use crate::crypto::mac::PreparedKeys;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::keys::AsyncKeyStore;
use crate::scheme::Scheme;

/// A cached answer, or a lookup in progress.
pub(crate) enum Lookup {
    Answered(KeyAnswer),
    Pending(Waiter),
}

/// A request that waits for a lookup. The lookup is cancelled when the last one is dropped.
pub(crate) struct Waiter {
    cache: Arc<Cache>,
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
        let mut state = self.cache.lock();
        let Some(flight) = state.flights.get_mut(&self.id).filter(|flight| flight.number == self.number) else {
            return;
        };
        flight.waiting = flight.waiting.saturating_sub(1);
        let abandoned = if flight.waiting == 0 { state.flights.remove(&self.id) } else { None };
        drop(state);
        drop(abandoned);
    }
}

/// The cache that all clones share.
pub(super) struct Cache {
    store: Box<dyn AsyncKeyStore>,
    pub(super) scheme: Scheme,
    settings: Settings,
    state: Mutex<State>,
}

impl Cache {
    pub(super) fn new(scheme: &Scheme, store: Box<dyn AsyncKeyStore>, settings: Settings) -> Self {
        let state = Mutex::new(State::new(settings.capacity, settings.unknown_capacity));
        Self { store, scheme: scheme.clone(), settings, state }
    }

    /// Whether fresh keys for `id` are cached. It does not mark the entry as recently used.
    pub(super) fn knows(&self, id: &str) -> bool {
        let now = self.settings.clock.monotonic();
        let state = self.lock();
        state.known.peek(id).is_some_and(|known| now.saturating_sub(known.since) < self.settings.ttl)
    }

    /// Looks up keys without waiting.
    pub(super) fn look_up(self: &Arc<Self>, id: &str) -> Lookup {
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
            && now.saturating_sub(flight.began) < MAX_JOIN_AGE
        {
            let (id, number, answer) = (id.clone(), flight.number, flight.answer.clone());
            if let Some(flight) = state.flights.get_mut(&id) {
                flight.waiting = flight.waiting.saturating_add(1);
            }
            return Lookup::Pending(Waiter { cache: self.clone(), id, number, answer });
        }
        let superseded = state.flights.remove(id);
        let waiter = self.begin(state, id.into(), now);
        drop(guard);
        drop(superseded); // after unlocking, because this can run code of the store
        Lookup::Pending(waiter)
    }

    fn begin(self: &Arc<Self>, state: &mut State, id: Arc<str>, now: Duration) -> Waiter {
        let number = state.next_flight;
        state.next_flight = number.wrapping_add(1);
        let flight = {
            let (cache, id) = (self.clone(), id.clone());
            async move {
                let answer = AssertUnwindSafe(cache.ask(&id)).catch_unwind().await;
                let answer = answer.unwrap_or_else(|_| Err(StoreError::panicked()));
                cache.settle(id, number, now, answer)
            }
        };
        let answer = flight.boxed().shared();
        state.flights.insert(
            id.clone(),
            Flight { number, began: now, invalidations: state.invalidations, waiting: 1, answer: answer.clone() },
        );
        Waiter { cache: self.clone(), id, number, answer }
    }

    async fn ask(&self, id: &str) -> KeyAnswer {
        let Some(keyring) = self.store.find(id).await? else { return Ok(None) };
        // The error names the key, never its secret.
        let prepared = self.scheme.prepare(&keyring);
        prepared.map(Some).map_err(|error| StoreError::new(format!("keys that cannot be used: {error}")))
    }

    /// Caches the answer of a lookup, unless it was cancelled, and returns the answer for the waiting requests.
    fn settle(&self, id: Arc<str>, number: u64, began: Duration, answer: KeyAnswer) -> KeyAnswer {
        let now = self.settings.clock.monotonic();
        let mut state = self.lock();
        if state.flights.get(&id).is_none_or(|flight| flight.number != number) {
            return answer;
        }
        let finished = state.flights.remove(&id);
        // An invalidation since the start may have been for the canonical id, which was not known before.
        let is_overtaken = finished.as_ref().is_some_and(|flight| flight.invalidations != state.invalidations);
        let answer = match answer {
            Ok(Some(keys)) if is_overtaken && keys.webhook_id().is_some() => Ok(Some(keys)),
            Ok(Some(keys)) => {
                state.without.pop(&id);
                state.keep(id, Known { keys: keys.clone(), since: began });
                Ok(Some(keys))
            }
            Ok(None) => {
                state.remove_keys(&id);
                let until = now.saturating_add(self.settings.unknown_ttl);
                state.without.put(id, Without { error: None, until });
                Ok(None)
            }
            Err(error) => {
                let stale = state.known.get(&id).and_then(|known| self.stale(known, now));
                if stale.is_none() {
                    state.remove_keys(&id);
                }
                let until = now.saturating_add(BACK_OFF);
                state.without.put(id, Without { error: Some(error.clone()), until });
                stale.map(Some).ok_or(error)
            }
        };
        drop(state);
        drop(finished);
        answer
    }

    /// Returns expired keys if the settings permit their use while the store fails.
    fn stale(&self, known: &Known, now: Duration) -> Option<PreparedKeys> {
        let stale_for = self.settings.stale_for?;
        let end = known.since.saturating_add(self.settings.ttl).saturating_add(stale_for);
        (now < end).then(|| known.keys.clone())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time after a failed lookup during which the store is not asked for the same id again.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Requests do not join an older lookup, because it may hang and delay all of them.
const MAX_JOIN_AGE: Duration = Duration::from_secs(10);

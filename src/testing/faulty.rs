//! A store that fails on demand.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::BoxFuture;
use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::keys::AsyncKeyStore;
use crate::limit::{Decision, Quota, RateLimiter};
use crate::replay::{Claim, Claimant, Delivery, ReplayStore};
use crate::secret::Keyring;
use crate::shared_store::{AdmitOutcome, SharedStore};
use crate::verifier::ReplayKey;

/// A replay store, rate limiter, shared store or key store that fails on demand. Clones share the store and its fault.
///
/// Every call is pending at its first poll, as with a store on a server, even without a fault.
///
/// ```
/// use hookwarden::error::StoreError;
/// use hookwarden::replay::LocalReplay;
/// use hookwarden::testing::{FaultyStore, StoreFault};
/// use hookwarden::warden::Replay;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let keys = Keyring::new(Scheme::timestamped().secret("a-secret-only-for-tests")?);
/// let store = FaultyStore::new(LocalReplay::default());
/// let warden = Warden::builder(Scheme::timestamped())
///     .sender("acme", keys)
///     .replay(Replay::shared(store.clone()))
///     .build()?;
/// store.set_fault(StoreFault::Error(StoreError::new("connection refused"))); // deliveries are now answered 503
/// store.set_fault(None);
/// # drop(warden);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct FaultyStore<S> {
    shared: Arc<Shared<S>>,
}

/// How a [`FaultyStore`] fails.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StoreFault {
    /// Calls return this error and do not reach the store.
    Error(StoreError),
    /// Calls wait until the fault changes.
    Hang,
    /// Calls reach the store, but their answers wait until the fault changes.
    LostAnswer,
    /// Calls panic and do not reach the store.
    Panic,
}

#[derive(Debug, Default)]
struct Shared<S> {
    store: S,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<StoreFault>,
    /// Of the calls that wait for the fault to change.
    wakers: Vec<Waker>,
}

impl<S> FaultyStore<S> {
    /// Wraps a store. It has no fault.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { shared: Arc::new(Shared { store, state: Mutex::default() }) }
    }

    /// Sets the fault of all later calls and of those that wait, or removes it with `None`.
    pub fn set_fault(&self, fault: impl Into<Option<StoreFault>>) {
        let wakers = {
            let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.fault = fault.into();
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns the wrapped store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.shared.store
    }

    /// Calls the store, as far as the fault permits.
    async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let mut is_first = true;
        poll_fn(|context| {
            if std::mem::take(&mut is_first) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.poll_fault(context.waker(), |fault| match fault {
                None | Some(StoreFault::LostAnswer) => Poll::Ready(Ok(())),
                Some(StoreFault::Error(error)) => Poll::Ready(Err(error.clone())),
                Some(StoreFault::Panic) => panic!("StoreFault::Panic"),
                Some(StoreFault::Hang) => Poll::Pending,
            })
        })
        .await?;
        let answer = call.await;
        poll_fn(|context| {
            self.poll_fault(context.waker(), |fault| match fault {
                Some(StoreFault::LostAnswer) => Poll::Pending,
                _ => Poll::Ready(()),
            })
        })
        .await;
        answer
    }

    /// Polls the fault, and keeps the waker if it has to change first.
    fn poll_fault<T>(&self, waker: &Waker, poll: impl FnOnce(Option<&StoreFault>) -> Poll<T>) -> Poll<T> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = poll(state.fault.as_ref());
        if polled.is_pending() {
            state.wakers.push(waker.clone());
        }
        polled
    }
}

impl<S> Clone for FaultyStore<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: ReplayStore> ReplayStore for FaultyStore<S> {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(self.call(async move { self.store().claim(delivery, by, lease, now).await }))
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.call(async move { self.store().commit(delivery, by, now).await }))
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.call(async move { self.store().release(delivery, by, now).await }))
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.call(async move { self.store().forget(webhook_id, id, now).await }))
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        self.store().shard_of(webhook_id)
    }
}

impl<S: RateLimiter> RateLimiter for FaultyStore<S> {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(self.call(async move { self.store().check(webhook_id, quota).await }))
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        self.store().shard_of(webhook_id)
    }
}

impl<S: SharedStore> SharedStore for FaultyStore<S> {
    fn admit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        quota: Option<&'a Quota>,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<AdmitOutcome, StoreError>> {
        Box::pin(self.call(async move { self.store().admit(delivery, by, lease, quota, now).await }))
    }
}

impl<S: AsyncKeyStore> AsyncKeyStore for FaultyStore<S> {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        Box::pin(self.call(async move { self.store().find(webhook_id).await }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Context;

    use super::*;

    /// A limiter that counts its calls and allows each of them.
    #[derive(Debug, Default)]
    struct Counter(AtomicU32);

    impl RateLimiter for Counter {
        fn check<'a>(&'a self, _: &'a str, _: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
            let remaining = self.0.fetch_add(1, Ordering::Relaxed);
            let state = crate::limit::QuotaState { remaining, reset: Duration::ZERO };
            Box::pin(std::future::ready(Ok(Decision::Allowed(state))))
        }
    }

    fn poll<T>(call: &mut BoxFuture<'_, T>) -> Poll<T> {
        call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn calls(store: &FaultyStore<Counter>) -> u32 {
        store.store().0.load(Ordering::Relaxed)
    }

    #[test]
    fn call_without_fault_is_pending_once() {
        let store = FaultyStore::new(Counter::default());
        let quota = Quota::per_minute(1).unwrap();
        let mut call = store.check("acme", &quota);
        assert!(poll(&mut call).is_pending());
        assert_eq!(calls(&store), 0);
        assert!(matches!(poll(&mut call), Poll::Ready(Ok(Decision::Allowed(_)))));
        assert_eq!(calls(&store), 1);
    }

    #[test]
    fn error_is_returned_without_a_call() {
        let store = FaultyStore::new(Counter::default());
        let quota = Quota::per_minute(1).unwrap();
        let error = StoreError::new("connection refused");
        store.clone().set_fault(StoreFault::Error(error.clone()));
        let mut call = store.check("acme", &quota);
        assert!(poll(&mut call).is_pending());
        assert_eq!(poll(&mut call), Poll::Ready(Err(error)));
        assert_eq!(calls(&store), 0);
    }

    #[test]
    fn hung_call_continues_when_the_fault_ends() {
        for (fault, reached) in [(StoreFault::Hang, 0), (StoreFault::LostAnswer, 1)] {
            let store = FaultyStore::new(Counter::default());
            let quota = Quota::per_minute(1).unwrap();
            store.set_fault(fault.clone());
            let mut call = store.check("acme", &quota);
            for _ in 0..3 {
                assert!(poll(&mut call).is_pending(), "{fault:?}");
            }
            assert_eq!(calls(&store), reached, "{fault:?}");
            store.set_fault(None);
            assert!(matches!(poll(&mut call), Poll::Ready(Ok(Decision::Allowed(_)))), "{fault:?}");
            assert_eq!(calls(&store), 1, "{fault:?}");
        }
    }

    #[test]
    #[should_panic(expected = "StoreFault::Panic")]
    fn panic_fault_panics_in_the_call() {
        let store = FaultyStore::new(Counter::default());
        let quota = Quota::per_minute(1).unwrap();
        store.set_fault(StoreFault::Panic);
        let mut call = store.check("acme", &quota);
        assert!(poll(&mut call).is_pending());
        let _ = poll(&mut call);
    }
}

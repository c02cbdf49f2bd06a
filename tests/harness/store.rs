//! A store that records its calls, with a rate limiter that answers as scripted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwarden::clock::ClockReading;
use hookwarden::error::StoreError;
use hookwarden::limit::{Decision, QuotaState, RateLimiter};
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore};
use hookwarden::shared_store::SharedStore;
use hookwarden::verifier::ReplayKey;
use hookwarden::{BoxFuture, Quota, Timestamp};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::PATIENCE;

/// A store that records each call before the wrapped store runs it.
#[derive(Debug, Default)]
pub(crate) struct Recorder<S> {
    pub(crate) store: S,
    /// The limiter's answer; without one it allows every request.
    pub(crate) decision: Mutex<Option<Result<Decision, StoreError>>>,
    calls: Mutex<Vec<Call>>,
    called: Notify,
    /// Notified when a release begins.
    pub(crate) releasing: Notify,
    /// Notified when a commit or a release is done.
    pub(crate) settled: Notify,
}

/// A call of a replay store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) id: String,
    pub(crate) keys: Vec<ReplayKey>,
    pub(crate) until: Timestamp,
    /// The caller's wall clock.
    pub(crate) wall: Timestamp,
    pub(crate) by: Claimant,
    pub(crate) lease: Option<Duration>,
}

impl<S> Recorder<S> {
    /// Takes the calls so far.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().expect("no panic under the lock"))
    }

    /// Takes the calls so far by name.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.take().into_iter().map(|call| call.name).collect()
    }

    /// Waits for a call, and takes the latest.
    pub(crate) async fn called(&self) -> Call {
        let called = async {
            loop {
                let latest = self.calls.lock().expect("no panic under the lock").pop();
                match latest {
                    Some(call) => return call,
                    None => self.called.notified().await,
                }
            }
        };
        timeout(PATIENCE, called).await.expect("the store was not called in time")
    }

    /// Waits until a commit or a release is done.
    pub(crate) async fn until_settled(&self) {
        timeout(PATIENCE, self.settled.notified()).await.expect("no commit or release was done in time");
    }

    fn note(
        &self,
        name: &'static str,
        delivery: &Delivery<'_>,
        by: Claimant,
        lease: Option<Duration>,
        now: ClockReading,
    ) {
        let (id, keys, until) = (delivery.webhook_id.to_owned(), delivery.keys.to_vec(), delivery.until);
        let call = Call { name, id, keys, until, wall: now.wall, by, lease };
        self.calls.lock().expect("no panic under the lock").push(call);
        self.called.notify_one();
    }
}

impl<S: ReplayStore> ReplayStore for Recorder<S> {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move {
            self.note("claim", &delivery, by, Some(lease), now);
            self.store.claim(delivery, by, lease, now).await
        })
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.note("commit", &delivery, by, None, now);
            let committed = self.store.commit(delivery, by, now).await;
            self.settled.notify_one();
            committed
        })
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.note("release", &delivery, by, None, now);
            self.releasing.notify_one();
            let released = self.store.release(delivery, by, now).await;
            self.settled.notify_one();
            released
        })
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.store.forget(webhook_id, id, now)
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        self.store.shard_of(webhook_id)
    }
}

impl<S: Send + Sync + 'static> RateLimiter for Recorder<S> {
    fn check<'a>(&'a self, _: &'a str, _: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        let allowed = || Ok(Decision::Allowed(QuotaState { remaining: 0, reset: Duration::ZERO }));
        let decision = self.decision.lock().expect("no panic under the lock").clone().unwrap_or_else(allowed);
        Box::pin(std::future::ready(decision))
    }
}

/// With the default `admit`.
impl<S: ReplayStore> SharedStore for Recorder<S> {}

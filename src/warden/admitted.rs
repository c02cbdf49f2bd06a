//! An admitted request, and the settlement of its delivery.

use std::fmt;

#[cfg(feature = "tower")]
use http::StatusCode;

#[cfg(feature = "tower")]
use super::answer::Answer;
use super::claim::ReplayClaim;
#[cfg(feature = "tower")]
use super::quota_fields::QuotaFields;
use super::request_log::RequestLog;
use super::verified_delivery::VerifiedDelivery;
use crate::error::StoreError;
use crate::event::Outcome;
use crate::limit::{Quota, QuotaState};

/// A request that passed every step. Only [`Receiving::finish`](super::Receiving::finish) and its other forms create one.
///
/// Call [`commit`](Self::commit) when the work is done, so that the same delivery is not handled again. Dropping the
/// value releases the delivery, so that a retry runs the handler again.
///
/// ```
/// use hookwarden::error::StoreError;
/// use hookwarden::warden::Admitted;
///
/// async fn handle(admitted: Admitted, body: &[u8]) -> Result<(), StoreError> {
///     if body.is_empty() {
///         return admitted.release_async().await; // not handled: a retry runs the handler again
///     }
///     println!("{} bytes from {}", body.len(), admitted.delivery().webhook_id());
///     admitted.commit_async().await // handled: a retry is answered as a duplicate
/// }
/// ```
#[must_use = "dropping it releases the delivery: call `commit` when the work is done"]
pub struct Admitted {
    delivery: VerifiedDelivery,
    quota_state: Option<(Quota, QuotaState)>,
    claim: Option<ReplayClaim>,
    pub(super) log: RequestLog,
}

impl Admitted {
    pub(super) const fn new(
        delivery: VerifiedDelivery,
        quota_state: Option<(Quota, QuotaState)>,
        claim: Option<ReplayClaim>,
        log: RequestLog,
    ) -> Self {
        Self { delivery, quota_state, claim, log }
    }

    /// Returns the verified webhook id, key and timestamp.
    #[must_use]
    pub const fn delivery(&self) -> &VerifiedDelivery {
        &self.delivery
    }

    /// Returns the quota that the request was counted against, and its state. `None` without a quota.
    #[must_use]
    pub const fn quota_state(&self) -> Option<(Quota, QuotaState)> {
        self.quota_state
    }

    /// Returns the fields of the response that show the sender its quota.
    #[cfg(feature = "tower")]
    pub(crate) fn quota_fields(&self) -> Option<QuotaFields> {
        let (_, state) = self.quota_state?;
        Some(self.log.inner.stores.policy_of(&self.delivery)?.fields(state))
    }

    /// Commits the delivery: a retry is answered as a duplicate.
    ///
    /// A shared store is updated in the background on the current tokio runtime (feature `tower`).
    /// [`commit_async`](Self::commit_async) waits for the store and needs no runtime. Without a runtime, `commit` does
    /// not update the store: observers get [`store_failed`](crate::event::Observer::store_failed), and the delivery can
    /// be handled again when its lease ends.
    ///
    /// If the handler [took the claim](VerifiedDelivery::take_claim), call [`commit_async`](Self::commit_async) instead, which
    /// finds out whether the transaction committed it.
    pub fn commit(mut self) {
        self.log.conclude(Outcome::Accepted);
        self.settle_now(true);
    }

    /// Commits the delivery and waits until the store has recorded it.
    ///
    /// # Errors
    /// Returns an error if a shared store did not record the commit. The delivery can be handled again when its lease
    /// ends. Also returns an error if the handler [took the claim](VerifiedDelivery::take_claim) and its transaction did not
    /// commit the delivery, which is released then. Answer 5xx, so that the sender retries.
    pub async fn commit_async(mut self) -> Result<(), StoreError> {
        self.log.conclude(Outcome::Accepted);
        let settled = match self.settle(true).await {
            Ok(false) => Err(StoreError::new("the handler's transaction did not commit the delivery")),
            settled => settled.map(drop),
        };
        if settled.is_err() && self.delivery.is_claim_taken() {
            self.log.conclude(Outcome::Released);
        }
        settled
    }

    /// Releases the delivery and waits until the store has recorded it.
    ///
    /// # Errors
    /// Returns an error if a shared store did not record the release. A retry then has to wait until the lease ends.
    pub async fn release_async(mut self) -> Result<(), StoreError> {
        self.settle(false).await.map(drop)
    }

    /// Records the status, and commits the delivery if the handler answered 2xx, or releases it otherwise, if that needs no
    /// shared store. Returns whether it is settled; if not, await [`settle_by_status`](Self::settle_by_status).
    #[cfg(feature = "tower")]
    pub(crate) fn settle_by_status_now(&mut self, status: StatusCode) -> bool {
        self.log.status = Some(status);
        let done = status.is_success();
        if done {
            self.log.conclude(Outcome::Accepted);
        }
        let is_local = self.log.inner.stores.are_local();
        if is_local {
            self.settle_now(done);
        }
        is_local
    }

    /// Commits or releases the delivery in a shared store by the status that
    /// [`settle_by_status_now`](Self::settle_by_status_now) has recorded. If that fails, observers are notified, and the handler's answer
    /// is sent anyway. Returns the answer to send instead, if the handler answered 2xx and is not known to have committed
    /// the claim that it took: the sender would not retry.
    #[cfg(feature = "tower")]
    pub(crate) async fn settle_by_status(mut self: Box<Self>) -> Option<Answer> {
        let done = self.log.status.is_some_and(|status| status.is_success());
        let is_settled = self.settle(done).await.unwrap_or(false);
        if !done || is_settled || !self.delivery.is_claim_taken() {
            return None;
        }
        self.log.conclude(Outcome::Released);
        let answer = Answer::busy(self.log.inner.answer_writer.as_ref());
        self.log.status = Some(answer.status());
        Some(answer)
    }

    fn settle_now(&mut self, done: bool) {
        if let Some(claim) = self.claim.take() {
            let inner = &self.log.inner;
            let monotonic = inner.monitor.clock.monotonic();
            self.log.ended = Some(monotonic);
            claim.settle_now(&inner.stores, &self.delivery, done, monotonic);
        }
    }

    /// Commits or releases the delivery. Returns `false` if the handler took the claim and is not known to have committed it.
    async fn settle(&mut self, done: bool) -> Result<bool, StoreError> {
        match self.claim.take() {
            Some(claim) => {
                let inner = &self.log.inner;
                claim.settle(&inner.stores, &self.delivery, done, inner.monitor.clock.monotonic()).await
            }
            None => Ok(true),
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.settle_now(false);
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admitted").field(&self.delivery).finish()
    }
}

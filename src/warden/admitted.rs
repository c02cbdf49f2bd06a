//! An admitted request: what is proven of it, and how its work ends.

use std::fmt;
use std::pin::pin;

use futures_util::future::{Either, select};

use super::admission::{ReplayClaim, Verdict};
use super::request_log::RequestLog;
use super::{Refused, WebhookId};
use crate::clock::ClockReading;
use crate::error::{Reason, Rejection, StoreError};
use crate::event::{Outcome, StoreKind};
use crate::limit::{Quota, QuotaState};
use crate::secret::KeyId;
use crate::time::Timestamp;
use crate::verifier::ReplayKey;
use crate::verifier::Verified;
use crate::warden::answer::RetryHint;

/// The proof that a request passed every step. Only [`Receiving::finish`](super::Receiving::finish) makes one.
///
/// Whoever holds it has the work to do: [`commit`](Self::commit) says that it is done, so that the same delivery is not
/// handled again; dropping it says that it is not, so that the sender's retry is welcome.
#[must_use = "dropping it tells that the work was not done"]
pub struct Admitted {
    facts: VerifiedDelivery,
    quota_state: Option<(Quota, QuotaState)>,
    hold: Option<ReplayClaim>,
    record: RequestLog,
}

impl Admitted {
    pub(super) fn admit(record: RequestLog, facts: VerifiedDelivery, now: ClockReading) -> Result<Self, Refused> {
        let verdict = record.warden.inner.admission.judge(&record.warden, &facts, now);
        Self::by(verdict, record, facts)
    }

    /// A store that has not answered when `deadline` comes is taken to be unavailable.
    pub(super) async fn admit_until(
        record: RequestLog,
        facts: VerifiedDelivery,
        deadline: impl Future<Output = ()>,
    ) -> Result<Self, Refused> {
        // Shared stores reckon how long to remember by the wall clock, which may have been set meanwhile.
        let now = record.warden.inner.clock.now();
        let verdict = {
            let judging = record.warden.inner.admission.judge_async(&record.warden, &facts, now);
            match select(pin!(judging), pin!(deadline)).await {
                Either::Left((verdict, _)) => verdict,
                Either::Right(_) => Verdict::Unavailable(StoreError::new("no answer within the deadline")),
            }
        };
        Self::by(verdict, record, facts)
    }

    fn by(verdict: Verdict, mut record: RequestLog, facts: VerifiedDelivery) -> Result<Self, Refused> {
        let (reason, delay) = match verdict {
            Verdict::Admitted { quota_state, hold } => {
                record.note_success();
                record.conclude(Outcome::Released);
                return Ok(Self { facts, quota_state, hold, record });
            }
            Verdict::Finished => (Reason::Replayed, RetryHint::None),
            Verdict::InProgress { retry_after } => (Reason::InProgress, RetryHint::For(retry_after)),
            Verdict::OverQuota { retry_after, quota, quota_state } => {
                (Reason::QuotaExceeded, RetryHint::ByQuota { retry_after, quota, quota_state })
            }
            Verdict::Unavailable(error) => {
                record.warden.store_failed(StoreKind::Replay, &error);
                (Reason::ReplayStoreUnavailable, RetryHint::For(error.retry_after()))
            }
            Verdict::NeedsWaiting => (Reason::Misconfigured, RetryHint::None),
        };
        Err(Refused::new(&mut record, Rejection::new(reason), delay))
    }

    /// What is proven of the request.
    #[must_use]
    pub const fn delivery(&self) -> &VerifiedDelivery {
        &self.facts
    }

    /// The quota that the request was counted against, and how its webhook id stands with it.
    #[must_use]
    pub const fn quota_state(&self) -> Option<(Quota, QuotaState)> {
        self.quota_state
    }

    /// The work is done. A shared store is told in the background, on the tokio runtime that this is called on (with the
    /// feature `tower`); [`commit_async`](Self::commit_async) waits for it and needs no runtime. Where there is none, the
    /// store is not told, which observers learn, and the same delivery may be handled again when its lease is over.
    pub fn commit(mut self) {
        self.record.conclude(Outcome::Accepted);
        self.settle(true);
    }

    /// The work is done, and the store knows it.
    ///
    /// # Errors
    /// A shared store could not be told, so the same delivery may be handled again when its lease is over.
    pub async fn commit_async(mut self) -> Result<(), StoreError> {
        self.record.conclude(Outcome::Accepted);
        self.settle_async(true).await
    }

    /// The work is not done, and the store knows it.
    ///
    /// # Errors
    /// A shared store could not be told, so the sender's retry has to wait for the lease's end.
    pub async fn release_async(mut self) -> Result<(), StoreError> {
        self.settle_async(false).await
    }

    /// Settles by the status of the handler's answer: 2xx and 3xx say that the work is done. Trouble of a shared store is told
    /// to the observers; the answer is the handler's either way.
    #[cfg(feature = "tower")]
    pub(crate) async fn settle_by_status(mut self, status: u16) {
        let done = (200..400).contains(&status);
        if done {
            self.record.conclude(Outcome::Accepted);
        }
        if self.record.warden.answers_at_once() {
            self.settle(done);
        } else {
            // On the heap, or every request would have to carry the room that waiting takes.
            let _ = Box::pin(self.settle_async(done)).await;
        }
    }

    fn settle(&mut self, done: bool) {
        if let Some(hold) = self.hold.take() {
            let now = self.record.moment();
            self.record.ended = Some(now.monotonic);
            hold.settle(&self.record.warden, &self.facts, now, done);
        }
    }

    async fn settle_async(&mut self, done: bool) -> Result<(), StoreError> {
        match self.hold.take() {
            Some(hold) => hold.settle_async(&self.record.warden, &self.facts, done).await,
            None => Ok(()),
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.settle(false);
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admitted").field(&self.facts).finish()
    }
}

/// What is proven of an admitted request.
#[derive(Debug, Clone)]
pub struct VerifiedDelivery {
    webhook_id: WebhookId,
    verified: Verified,
}

impl VerifiedDelivery {
    pub(super) const fn new(webhook_id: WebhookId, verified: Verified) -> Self {
        Self { webhook_id, verified }
    }

    /// The webhook id whose keys signed the request.
    #[must_use]
    pub fn webhook_id(&self) -> &str {
        self.webhook_id.as_str()
    }

    /// The key that matched.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.verified.key_id()
    }

    /// When the sender says it signed, if the scheme has a timestamp.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.verified.timestamp()
    }

    /// The receiver's clock minus the timestamp, in seconds.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.verified.skew()
    }

    pub(super) fn replay_keys(&self) -> &[ReplayKey] {
        self.verified.replay_keys()
    }
}

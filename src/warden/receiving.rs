//! Steps 5 to 7: the body, the signature, then the claim and the quota.

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};

use super::Inner;
use super::admission::Admission;
use super::admitted::Admitted;
use super::answer::RetryHint;
use super::refused::Refused;
use super::request_log::RequestLog;
use super::verified_delivery::VerifiedDelivery;
use crate::clock::ClockReading;
use crate::event::{Outcome, RefusalReason};
use crate::shared_store::AdmitOutcome;
use crate::verifier::Verification;

/// A request whose body is arriving.
///
/// [`Examined::identify`](super::Examined::identify) makes it. The body is hashed in chunks of any size:
///
/// ```
/// use hookwarden::warden::{Admitted, Receiving, Refused};
///
/// fn receive<'b>(
///     mut receiving: Receiving,
///     content_length: Option<u64>,
///     chunks: impl Iterator<Item = &'b [u8]>,
/// ) -> Result<Admitted, Refused> {
///     if let Some(bytes) = content_length {
///         receiving.expect(bytes)?; // 413 before the body is read
///     }
///     for chunk in chunks {
///         receiving.update(chunk)?;
///     }
///     receiving.finish()
/// }
/// ```
///
/// Don't parse the body before [`finish`](Self::finish) returned `Ok`: until then it is not verified.
#[must_use = "the request is not verified yet"]
pub struct Receiving {
    pub(super) verification: Verification,
    /// Why the request is refused if it is verified against a decoy.
    pub(super) decoy: Option<RefusalReason>,
    pub(super) log: RequestLog,
}

impl Receiving {
    /// Checks that a body of `bytes` bytes, as `Content-Length` announces, is within the body limit.
    ///
    /// # Errors
    /// It is larger.
    pub fn expect(&mut self, bytes: u64) -> Result<(), Refused> {
        let fits = usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.log.inner.body_limit);
        if fits { Ok(()) } else { Err(self.refuse(RefusalReason::BodyTooLarge)) }
    }

    /// Hashes the next bytes of the raw body (step 5).
    ///
    /// # Errors
    /// The body is larger than the body limit.
    pub fn update(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        let total = self.log.body_bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.expect(total)?;
        self.log.body_bytes = total;
        self.verification.update(chunk);
        Ok(())
    }

    /// Checks the signature of the complete body, then claims the delivery and counts it against its quota (steps 6 and 7).
    ///
    /// # Errors
    /// The request is refused. A request that was refused for its size stays refused. A request past its deadline is refused
    /// as too slow, because the replay store may already have dropped an earlier copy of it. A Warden with a shared store
    /// refuses every request here: use [`finish_async`](Self::finish_async).
    pub fn finish(self) -> Result<Admitted, Refused> {
        let (log, delivery, now) = self.verify()?;
        let stores = &log.inner.stores;
        let admission = if stores.are_local() { stores.admit(&delivery, now).now_or_never() } else { None };
        conclude(log, delivery, admission)
    }

    /// [`finish`](Self::finish) that waits for shared stores.
    ///
    /// # Errors
    /// The request is refused.
    pub async fn finish_async(self) -> Result<Admitted, Refused> {
        self.finish_until(pending()).await
    }

    /// Waits for the stores until `deadline` completes. A store that has not answered by then counts as unavailable.
    pub(crate) async fn finish_until(self, deadline: impl Future<Output = ()>) -> Result<Admitted, Refused> {
        let (log, delivery, _) = self.verify()?;
        let admission = {
            let Inner { stores, monitor, .. } = &*log.inner;
            // Shared stores compute how long to remember from the wall clock, which may have been set meanwhile.
            let now = monitor.clock.now();
            match select(pin!(stores.admit(&delivery, now)), pin!(deadline)).await {
                Either::Left((admission, _)) => admission,
                Either::Right(_) => stores.time_out(),
            }
        };
        conclude(log, delivery, Some(admission))
    }

    #[inline]
    fn verify(mut self) -> Result<(RequestLog, VerifiedDelivery, ClockReading), Refused> {
        let now = self.log.now();
        if let Some(reason) = self.log.refused() {
            return Err(self.refuse(reason));
        }
        if self.log.is_overdue(now) {
            return Err(self.refuse(RefusalReason::BodyTooSlow));
        }
        match (self.verification.verdict(), self.log.webhook_id.clone(), self.decoy) {
            (Ok(verified), Some(webhook_id), None) => {
                self.log.key_id = Some(verified.key_id());
                Ok((self.log, VerifiedDelivery::new(webhook_id, verified), now))
            }
            (Err(fault), _, None) => Err(self.log.reject(fault)),
            (_, _, decoy) => Err(self.refuse(decoy.unwrap_or(RefusalReason::UnknownId))),
        }
    }

    /// Refuses the request, for a reason that the reader of its body knows.
    pub(crate) fn refuse(&mut self, reason: RefusalReason) -> Refused {
        self.log.refuse(reason, RetryHint::None)
    }
}

/// Admits the request or refuses it, by the answers of the stores. `admission` is `None` if a store has to be awaited and the
/// caller cannot wait.
fn conclude(
    mut log: RequestLog,
    delivery: VerifiedDelivery,
    admission: Option<Admission>,
) -> Result<Admitted, Refused> {
    let Some(Admission { outcome, quota, claim }) = admission else {
        return Err(log.refuse(RefusalReason::Misconfigured, RetryHint::None));
    };
    let (reason, hint) = match outcome {
        Ok(AdmitOutcome::Granted(state)) => {
            log.note_success();
            log.conclude(Outcome::Released);
            return Ok(Admitted::new(delivery, quota.zip(state), claim, log));
        }
        Ok(AdmitOutcome::Finished) => (RefusalReason::Replayed, RetryHint::None),
        Ok(AdmitOutcome::InProgress { retry_after }) => (RefusalReason::InProgress, RetryHint::For(retry_after)),
        Ok(AdmitOutcome::OverQuota { retry_after, quota_state }) => {
            (RefusalReason::QuotaExceeded, RetryHint::by_quota(retry_after, quota, quota_state))
        }
        Err(error) => (RefusalReason::ReplayStoreUnavailable, RetryHint::For(error.retry_after())),
    };
    Err(log.refuse(reason, hint))
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("body_bytes", &self.log.body_bytes).finish_non_exhaustive()
    }
}

//! The end of step 7: admits a verified request, or refuses it, by the answers of the stores.

use std::pin::pin;

use futures_util::FutureExt as _;

use super::admission::Admission;
use super::admitted::Admitted;
use super::answer::RetryHint;
use super::refused::Refused;
use super::request_log::RequestLog;
use super::signed_handshake::Verdict;
use super::verified_delivery::VerifiedDelivery;
use crate::event::{Outcome, RefusalReason};
use crate::headers::Head;
use crate::shared_store::AdmitOutcome;

/// Claims and counts a verified delivery, if no store must be awaited.
#[inline]
pub(super) fn admit_now<H: Head + ?Sized>(mut log: RequestLog, verdict: Verdict<'_, H>) -> Result<Admitted, Refused> {
    let (delivery, now, challenging) = verdict;
    let stores = &log.inner.stores;
    let admit = || pin!(stores.admit(&delivery, now, challenging.is_none())).now_or_never();
    let mut admission = if stores.are_local() { admit() } else { None };
    if let Some(challenging) = challenging {
        admission = admission.and_then(|admission| log.answer_admitted_now(&delivery, admission, challenging));
    }
    conclude(log, delivery, admission)
}

/// Admits or refuses the request by the stores' answers. `admission` is `None` if a store must be awaited and the
/// caller cannot wait.
pub(super) fn conclude(
    mut log: RequestLog,
    mut delivery: VerifiedDelivery,
    admission: Option<Admission>,
) -> Result<Admitted, Refused> {
    let Some(Admission { outcome, quota, claim }) = admission else {
        return Err(log.refuse(RefusalReason::Misconfigured, RetryHint::None));
    };
    let (reason, hint) = match outcome {
        Ok(AdmitOutcome::Granted(state)) => {
            log.prove();
            log.conclude(Outcome::Released);
            if let Some(claim) = claim.as_ref().and_then(|claim| claim.for_handler(&log.inner.stores)) {
                delivery.set_claim(claim);
            }
            return Ok(Admitted::new(delivery, quota.zip(state), claim, log));
        }
        Ok(AdmitOutcome::Finished) => (RefusalReason::Replayed, RetryHint::None),
        Ok(AdmitOutcome::InProgress { retry_after }) => (RefusalReason::InProgress, RetryHint::For(retry_after)),
        Ok(AdmitOutcome::OverQuota { retry_after, .. }) if log.is_handshake => {
            (RefusalReason::HandshakeQuotaExceeded, RetryHint::For(retry_after))
        }
        Ok(AdmitOutcome::OverQuota { retry_after, quota_state }) => {
            (RefusalReason::QuotaExceeded, RetryHint::by_quota(retry_after, quota, quota_state))
        }
        Err(error) => (RefusalReason::ReplayStoreUnavailable, RetryHint::For(error.retry_after())),
    };
    let refused = log.refuse(reason, hint);
    Err(match log.take_answer() {
        None => refused,
        Some(answer) => {
            log.conclude(Outcome::Handshake);
            refused.answered(answer)
        }
    })
}

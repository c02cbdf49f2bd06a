//! The replies of the script that admits a request.

use std::time::Duration;

use crate::error::StoreError;
use crate::limit::{Quota, QuotaState};
use crate::shared_store::AdmitOutcome;

/// Reads the script's reply.
pub(super) fn read_reply(reply: &[i64], quota: Option<&Quota>) -> Result<AdmitOutcome, StoreError> {
    let micros = |number: i64| u64::try_from(number).map(Duration::from_micros).map_err(|_| unexpected());
    Ok(match *reply {
        [ahead] | [GRANTED, _, ahead] => {
            let reset = micros(ahead)?;
            AdmitOutcome::Granted(quota.map(|quota| QuotaState::full_after(quota, reset)))
        }
        [FINISHED, _] => AdmitOutcome::Finished,
        [IN_PROGRESS, _, wait] => {
            AdmitOutcome::InProgress { retry_after: Duration::from_millis(u64::try_from(wait).unwrap_or_default()) }
        }
        [DENIED, _, wait, ahead] => AdmitOutcome::OverQuota {
            retry_after: micros(wait)?,
            quota_state: QuotaState { remaining: 0, reset: micros(ahead)? },
        },
        [LATE, _] => return Err(StoreError::new("request reached Redis after its deadline")),
        _ => return Err(unexpected()),
    })
}

/// The error for a reply that the script does not make.
pub(super) fn unexpected() -> StoreError {
    StoreError::new("unexpected reply from the Redis script")
}

const GRANTED: i64 = 0;
const FINISHED: i64 = 1;
const IN_PROGRESS: i64 = 2;
const DENIED: i64 = 3;
/// The call reached the server after its deadline.
pub(super) const LATE: i64 = 4;

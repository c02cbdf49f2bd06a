//! The store as a replay store, a rate limiter and a shared store.

use std::time::Duration;

use hookwarden::clock::ClockReading;
use hookwarden::error::StoreError;
use hookwarden::limit::{Decision, QuotaState, RateLimiter};
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore};
use hookwarden::shared_store::{AdmitOutcome, SharedStore};
use hookwarden::verifier::ReplayKey;
use hookwarden::{BoxFuture, Quota};

use super::{SqlxStore, SupportedDatabase};
use crate::call::{
    Admit, Admitted, Call, Commit, Committed, CountedQuota, FINISHED, GRANTED, IN_PROGRESS, LATE, OVER_QUOTA, Reply,
    check_keys, micros, number, sorted_keys,
};
use crate::link::Settlement;
use crate::names::{Key, id_row_key, label, quota_key};

impl<DB: SupportedDatabase> SqlxStore<DB> {
    /// Claims the delivery if `claim` is given, and counts the request if `quota` is given.
    async fn ask(
        &self,
        webhook_id: &str,
        claim: Option<(Delivery<'_>, Claimant, Duration)>,
        quota: Option<&Quota>,
    ) -> Result<AdmitOutcome, StoreError> {
        let keys = claim.map(|(delivery, ..)| sorted_keys(&delivery)).unwrap_or_default();
        let counted = quota.map(|quota| CountedQuota {
            key: quota_key(webhook_id, quota),
            burst: quota.burst().into(),
            period: micros(quota.period()),
        });
        let label = label(webhook_id);
        let mut is_repeated = false;
        loop {
            let admit = Admit {
                label: &label,
                keys: &keys,
                by: claim.map_or(Key::default(), |(_, by, _)| number(by)),
                lease: claim.map_or(0, |(.., lease)| micros(lease)),
                quota: counted,
                deadline: self.link.clock.deadline(self.link.timeout),
            };
            let Reply::Admitted(admitted) = self.link.call(Call::Admit(admit)).await? else { return Err(unexpected()) };
            self.link.clock.note(admitted.clock);
            // The server's clock was set. Its time is known now, so try once more.
            if admitted.outcome == LATE && !is_repeated {
                is_repeated = true;
                continue;
            }
            let outcome = read(admitted, quota)?;
            self.link.sweep_if_due();
            return Ok(outcome);
        }
    }
}

impl<DB: SupportedDatabase> RateLimiter for SqlxStore<DB> {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(async move {
            match self.ask(webhook_id, None, Some(quota)).await? {
                AdmitOutcome::Granted(Some(quota_state)) => Ok(Decision::Allowed(quota_state)),
                AdmitOutcome::OverQuota { retry_after, quota_state } => {
                    Ok(Decision::Denied { retry_after, quota_state })
                }
                _ => Err(unexpected()),
            }
        })
    }
}

impl<DB: SupportedDatabase> ReplayStore for SqlxStore<DB> {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move {
            check_keys(&delivery)?;
            match self.ask(delivery.webhook_id, Some((delivery, by, lease)), None).await? {
                AdmitOutcome::Granted(_) => Ok(Claim::Granted),
                AdmitOutcome::InProgress { retry_after } => Ok(Claim::InProgress { retry_after }),
                AdmitOutcome::Finished => Ok(Claim::Finished),
                _ => Err(unexpected()),
            }
        })
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let settlement = Settlement::Commit(Commit::new(&delivery, by, now.wall));
            Ok(matches!(self.link.settle(settlement).await?, Reply::Committed(Committed::Done)))
        })
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let claims: Vec<(Key, Key)> = sorted_keys(&delivery).into_iter().map(|key| (key, number(by))).collect();
            let count = u64::try_from(claims.len()).unwrap_or(u64::MAX);
            let reply = self.link.settle(Settlement::Release(claims)).await?;
            Ok(matches!(reply, Reply::Rows(released) if released == count))
        })
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let reply = self.link.call(Call::Forget(id_row_key(webhook_id, &id))).await?;
            Ok(matches!(reply, Reply::Rows(1..)))
        })
    }
}

impl<DB: SupportedDatabase> SharedStore for SqlxStore<DB> {
    fn admit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        quota: Option<&'a Quota>,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<AdmitOutcome, StoreError>> {
        Box::pin(async move {
            check_keys(&delivery)?;
            self.ask(delivery.webhook_id, Some((delivery, by, lease)), quota).await
        })
    }
}

fn read(admitted: Admitted, quota: Option<&Quota>) -> Result<AdmitOutcome, StoreError> {
    let Admitted { outcome, wait, ahead, .. } = admitted;
    let micros = |time: i64| Duration::from_micros(time.unsigned_abs());
    Ok(match outcome {
        GRANTED => AdmitOutcome::Granted(quota.map(|quota| QuotaState::full_after(quota, micros(ahead)))),
        FINISHED => AdmitOutcome::Finished,
        IN_PROGRESS => AdmitOutcome::InProgress { retry_after: micros(wait) },
        OVER_QUOTA => AdmitOutcome::OverQuota {
            retry_after: micros(wait),
            quota_state: QuotaState { remaining: 0, reset: micros(ahead) },
        },
        LATE => return Err(StoreError::new("the request reached the database after its deadline")),
        _ => return Err(unexpected()),
    })
}

fn unexpected() -> StoreError {
    StoreError::new("unexpected reply of the database")
}

//! One store for deliveries and quotas, asked once.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::limit::{Decision, Quota, QuotaState, RateLimiter};
use crate::replay::{Claim, Claimant, Delivery, ReplayStore};

/// A store of deliveries that is the store of quotas too, so that one call can judge a request by both.
///
/// `RedisStore` (feature `redis`) is one. [`WardenBuilder::shared_store`](crate::warden::WardenBuilder::shared_store) takes it.
pub trait SharedStore: ReplayStore + RateLimiter {
    /// Claims a delivery for `lease`, as [`ReplayStore::claim`] does, and if it is granted, counts one request of its
    /// webhook id against `quota`, as [`RateLimiter::check`] does. Where the quota denies, no claim is left behind.
    ///
    /// By default that is the two calls one after the other. A store that can do both at once should.
    ///
    /// # Errors
    /// As those of the two calls.
    fn admit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        quota: Option<&'a Quota>,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<AdmitOutcome, StoreError>> {
        Box::pin(async move {
            match self.claim(delivery, by, lease, now).await? {
                Claim::Granted => {}
                Claim::InProgress { retry_after } => return Ok(AdmitOutcome::InProgress { retry_after }),
                Claim::Finished => return Ok(AdmitOutcome::Finished),
            }
            let Some(quota) = quota else { return Ok(AdmitOutcome::Granted(None)) };
            match self.check(delivery.webhook_id, quota).await {
                Ok(Decision::Allowed(quota_state)) => Ok(AdmitOutcome::Granted(Some(quota_state))),
                Ok(Decision::Denied { retry_after, quota_state }) => {
                    // The denial stands whether or not the store could be told; the lease ends by itself.
                    let _ = self.release(delivery, by, now).await;
                    Ok(AdmitOutcome::OverQuota { retry_after, quota_state })
                }
                Err(error) => {
                    let _ = self.release(delivery, by, now).await;
                    Err(error)
                }
            }
        })
    }
}

/// What a [`SharedStore`] says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdmitOutcome {
    /// The claimant handles the delivery. It was counted if there is a quota.
    Granted(Option<QuotaState>),
    /// Another request is handling the delivery; its lease ends after `retry_after` at the latest.
    InProgress {
        /// How long the other claim lasts at the most.
        retry_after: Duration,
    },
    /// The delivery was handled.
    Finished,
    /// The webhook id is over its quota; the delivery was neither claimed nor counted.
    OverQuota {
        /// The next one passes after this time, unless another takes its place, and not before.
        retry_after: Duration,
        /// How the webhook id stands.
        quota_state: QuotaState,
    },
}

impl<S: SharedStore + ?Sized> SharedStore for Arc<S> {
    fn admit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        quota: Option<&'a Quota>,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<AdmitOutcome, StoreError>> {
        (**self).admit(delivery, by, lease, quota, now)
    }
}

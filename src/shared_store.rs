//! One store for deliveries and quotas, called once for each request.
//!
//! Replicas share both through a [`SharedStore`]. `hookwarden::redis::RedisStore` (feature `redis`) is one; implement
//! the trait for another database.
//!
#![cfg_attr(feature = "redis", doc = "```no_run")]
#![cfg_attr(not(feature = "redis"), doc = "```ignore")]
//! use hookwarden::redis::RedisStore;
//! use hookwarden::shared_store::SharedStore;
//!
//! /// Accepts any shared store.
//! fn with_store(store: impl SharedStore) {
//!     // …
//! #   drop(store);
//! }
//!
//! # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
//! with_store(RedisStore::builder("redis://localhost").connect().await?);
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::limit::{Decision, Quota, QuotaState, RateLimiter};
use crate::replay::{Claim, Claimant, Delivery, ReplayStore};

/// A replay store that is also a rate limiter, so that one call can do both.
///
/// For a type that implements both traits, an empty implementation of this trait is enough. Override
/// [`admit`](Self::admit) if the store can do both in one round trip.
///
/// ```
/// use hookwarden::limit::{LocalLimiter, RateLimiter};
/// use hookwarden::replay::{LocalReplay, ReplayStore};
/// use hookwarden::shared_store::SharedStore;
///
/// struct Database {
///     deliveries: LocalReplay, // in reality a connection pool
///     quotas: LocalLimiter,
/// }
///
/// # use std::time::Duration;
/// # use hookwarden::clock::ClockReading;
/// # use hookwarden::error::StoreError;
/// # use hookwarden::limit::Decision;
/// # use hookwarden::replay::{Claim, Claimant, Delivery};
/// # use hookwarden::verifier::ReplayKey;
/// # use hookwarden::{BoxFuture, Quota};
/// impl ReplayStore for Database {
///     // claim, commit, release and forget
/// #     fn claim<'a>(&'a self, delivery: Delivery<'a>, by: Claimant, lease: Duration, now: ClockReading)
/// #         -> BoxFuture<'a, Result<Claim, StoreError>> { self.deliveries.claim(delivery, by, lease, now) }
/// #     fn commit<'a>(&'a self, delivery: Delivery<'a>, by: Claimant, now: ClockReading)
/// #         -> BoxFuture<'a, Result<bool, StoreError>> { self.deliveries.commit(delivery, by, now) }
/// #     fn release<'a>(&'a self, delivery: Delivery<'a>, by: Claimant, now: ClockReading)
/// #         -> BoxFuture<'a, Result<bool, StoreError>> { self.deliveries.release(delivery, by, now) }
/// #     fn forget<'a>(&'a self, webhook_id: &'a str, id: ReplayKey, now: ClockReading)
/// #         -> BoxFuture<'a, Result<bool, StoreError>> { self.deliveries.forget(webhook_id, id, now) }
/// }
///
/// impl RateLimiter for Database {
///     // check
/// #     fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota)
/// #         -> BoxFuture<'a, Result<Decision, StoreError>> { self.quotas.check(webhook_id, quota) }
/// }
///
/// impl SharedStore for Database {}
/// ```
pub trait SharedStore: ReplayStore + RateLimiter {
    /// Claims a delivery for `lease` like [`ReplayStore::claim`]. If the claim is granted, it counts one request of the
    /// webhook id against `quota` like [`RateLimiter::check`]. If the quota denies the request, it releases the claim.
    ///
    /// The default makes these calls one after the other.
    ///
    /// # Errors
    /// As for these calls.
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
                    // Ignore an error: the request is denied anyway, and the lease expires.
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

/// The result of [`SharedStore::admit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdmitOutcome {
    /// The caller may handle the delivery. The request was counted if there is a quota.
    Granted(Option<QuotaState>),
    /// Another request is handling the delivery; its lease ends after `retry_after` at the latest.
    InProgress {
        /// The remaining time of the other lease, at most.
        retry_after: Duration,
    },
    /// The delivery was committed before.
    Finished,
    /// The webhook id is over its quota. The delivery was neither claimed nor counted.
    OverQuota {
        /// The next request passes after this time at the earliest, unless another request takes its place.
        retry_after: Duration,
        /// The state of the quota.
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

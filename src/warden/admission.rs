//! Step 7: claims the delivery, then counts it against the quota of its webhook id. If the webhook id is over quota,
//! the claim is released, so that a retry can claim it again.

use std::sync::Arc;
use std::time::Duration;

use super::claim::{PendingClaim, ReplayClaim};
use super::monitor::SharedKind;
use super::quota_fields::Policy;
use super::stores::{ReplayBackend, Stores};
use super::verified_delivery::VerifiedDelivery;
use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::event::Warning;
use crate::future::catch_panic;
use crate::limit::{Decision, Quota};
use crate::replay::{Claim, ReplayStore};
use crate::shared_store::AdmitOutcome;

/// The result of step 7.
pub(super) struct Admission {
    pub(super) outcome: Result<AdmitOutcome, StoreError>,
    /// The quota that the request was counted against.
    pub(super) quota: Option<Quota>,
    /// `Some` if the delivery was admitted and replay protection is on.
    pub(super) claim: Option<ReplayClaim>,
}

impl Admission {
    const fn new(outcome: Result<AdmitOutcome, StoreError>, quota: Option<Quota>, claim: Option<ReplayClaim>) -> Self {
        Self { outcome, quota, claim }
    }
}

impl Stores {
    /// Claims the delivery, and counts it unless `is_counted` is false. Completes at the first poll if both stores are in
    /// this process.
    pub(super) async fn admit(
        self: &Arc<Self>,
        delivery: &VerifiedDelivery,
        now: ClockReading,
        is_counted: bool,
    ) -> Admission {
        let quota = self.quota_of(delivery).filter(|_| is_counted);
        let Some(replay) = &self.replay else {
            let outcome = self.count(quota.as_ref(), delivery, None, now.monotonic).await;
            return Admission::new(Ok(outcome), quota, None);
        };
        let until = replay.keep_until(delivery, now);
        let mut claim = ReplayClaim::new(self.claimants.next(), until, replay.delivery_id(delivery, until, now), now);
        // Release the claim in the background if the request is dropped during a store call.
        let mut pending = PendingClaim::new(self, delivery, claim);
        let claimed = match &replay.store {
            ReplayBackend::Local(store) => {
                let claimed = store.claim_now(claim.local_delivery(delivery), claim.claimant, replay.lease, now);
                if store.take_evicted_ids() {
                    self.monitor.warn(Warning::DeliveryIdsEvicted);
                }
                claimed
            }
            ReplayBackend::Shared(store) => {
                let call = async { store.claim(claim.delivery(delivery), claim.claimant, replay.lease, now).await };
                let claimed = catch_panic(call).await;
                if claimed.is_ok() {
                    self.replay_answered(delivery);
                }
                claimed
            }
            ReplayBackend::Joint(store) => {
                let claimed = claim.delivery(delivery);
                let call = async { store.admit(claimed, claim.claimant, replay.lease, quota.as_ref(), now).await };
                match catch_panic(call).await {
                    Ok(outcome) => {
                        // A store may return a cached denial without a call to its server.
                        if !matches!(outcome, AdmitOutcome::OverQuota { .. }) {
                            self.replay_answered(delivery);
                        }
                        pending.claim = None;
                        let claim = matches!(outcome, AdmitOutcome::Granted(_)).then_some(claim);
                        return Admission::new(Ok(outcome), quota, claim);
                    }
                    Err(error) => Err(error),
                }
            }
        };
        let claimed = match (claimed, &replay.fallback) {
            (Err(error), Some(local)) => {
                self.replay_failed(delivery, &error);
                claim = claim.fall_back();
                pending.claim = Some(claim);
                local.claim_now(claim.local_delivery(delivery), claim.claimant, replay.lease, now)
            }
            (claimed, _) => claimed,
        };
        let refusal = match claimed {
            Ok(Claim::Granted) => None,
            Ok(Claim::InProgress { retry_after }) => Some(AdmitOutcome::InProgress { retry_after }),
            Ok(Claim::Finished) => Some(AdmitOutcome::Finished),
            Err(error) => {
                self.replay_failed(delivery, &error);
                // The store may have recorded the claim, so keep it pending: it is released on drop.
                return Admission::new(Err(error), quota, None);
            }
        };
        if let Some(outcome) = refusal {
            pending.claim = None;
            return Admission::new(Ok(outcome), quota, None);
        }
        // Read the clock again: the call to a shared store may have taken long.
        let is_local = matches!(replay.store, ReplayBackend::Local(_));
        let monotonic = if is_local { now.monotonic } else { self.monitor.clock.monotonic() };
        let outcome = self.count(quota.as_ref(), delivery, Some(claim), monotonic).await;
        pending.claim = None;
        match outcome {
            AdmitOutcome::OverQuota { .. } => self.deny(delivery, claim, quota, outcome).await,
            _ => Admission::new(Ok(outcome), quota, Some(claim)),
        }
    }

    /// Counts a claimed delivery that was not counted before.
    pub(super) async fn count_claimed(
        self: &Arc<Self>,
        delivery: &VerifiedDelivery,
        claim: Option<ReplayClaim>,
        monotonic: Duration,
    ) -> Admission {
        let mut pending = claim.map(|claim| PendingClaim::new(self, delivery, claim));
        let quota = self.quota_of(delivery);
        let outcome = self.count(quota.as_ref(), delivery, claim, monotonic).await;
        if let Some(pending) = &mut pending {
            pending.claim = None;
        }
        match (outcome, claim) {
            (outcome @ AdmitOutcome::OverQuota { .. }, Some(claim)) => self.deny(delivery, claim, quota, outcome).await,
            (outcome, claim) => Admission::new(Ok(outcome), quota, claim),
        }
    }

    /// Releases the claim of a delivery that is over its quota.
    pub(super) async fn deny(
        self: &Arc<Self>,
        delivery: &VerifiedDelivery,
        claim: ReplayClaim,
        quota: Option<Quota>,
        over: AdmitOutcome,
    ) -> Admission {
        // Deny the request even if the release fails: the claim then expires with its lease.
        let _ = claim.settle(self, delivery, false, self.monitor.clock.monotonic()).await;
        Admission::new(Ok(over), quota, None)
    }

    pub(super) fn policy_of(&self, delivery: &VerifiedDelivery) -> Option<&Policy> {
        self.quotas.as_ref()?.policy_of(delivery.webhook_id())
    }

    pub(super) fn quota_of(&self, delivery: &VerifiedDelivery) -> Option<Quota> {
        self.policy_of(delivery).map(|policy| policy.quota)
    }

    /// Counts a request against its quota, if it has one.
    async fn count(
        &self,
        quota: Option<&Quota>,
        delivery: &VerifiedDelivery,
        claim: Option<ReplayClaim>,
        monotonic: Duration,
    ) -> AdmitOutcome {
        let (Some(quotas), Some(quota)) = (&self.quotas, quota) else { return AdmitOutcome::Granted(None) };
        // A store that claims and counts in one call.
        let joint = self.replay.as_ref().and_then(|replay| match &replay.store {
            ReplayBackend::Joint(store) => Some(&**store),
            _ => None,
        });
        if joint.is_some() && claim.is_some_and(|claim| claim.fell_back) {
            return quotas.count_share(&self.monitor, delivery.id(), quota).into();
        }
        quotas.count(&self.monitor, delivery.id(), quota, monotonic, joint).await.into()
    }

    /// Reports that the stores did not answer within the deadline. A claim that they recorded is released in the
    /// background.
    pub(super) fn time_out(&self, delivery: &VerifiedDelivery) -> Admission {
        let error = StoreError::new("no answer within the deadline");
        self.replay_failed(delivery, &error);
        Admission::new(Err(error), None, None)
    }

    #[cold]
    pub(super) fn replay_failed(&self, delivery: &VerifiedDelivery, error: &StoreError) {
        self.monitor.store_failed(SharedKind::Replay, delivery.webhook_id(), error, |id| self.replay_shard(id));
    }

    fn replay_answered(&self, delivery: &VerifiedDelivery) {
        self.monitor.store_answered(SharedKind::Replay, delivery.webhook_id(), |id| self.replay_shard(id));
    }

    fn replay_shard(&self, webhook_id: &str) -> Option<Arc<str>> {
        match &self.replay.as_ref()?.store {
            ReplayBackend::Local(_) => None,
            ReplayBackend::Shared(store) => store.shard_of(webhook_id),
            ReplayBackend::Joint(store) => ReplayStore::shard_of(&**store, webhook_id),
        }
    }
}

impl From<Decision> for AdmitOutcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allowed(quota_state) => Self::Granted(Some(quota_state)),
            Decision::Denied { retry_after, quota_state } => Self::OverQuota { retry_after, quota_state },
        }
    }
}

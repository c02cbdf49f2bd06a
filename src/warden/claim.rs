//! A claim on a delivery, and its settlement.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::handler_claim::HandlerClaim;
use super::stores::{Holder, Stores};
use super::verified_delivery::VerifiedDelivery;
use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::event::Warning;
use crate::future::catch_panic;
use crate::replay::{Claimant, Delivery, DeliveryId, LocalDelivery};
use crate::time::Timestamp;

/// A claim on a delivery. It is settled once.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplayClaim {
    pub(super) claimant: Claimant,
    until: Timestamp,
    id: Option<DeliveryId>,
    claimed: ClockReading,
    /// The shared store failed, and the fallback in this process holds the claim.
    pub(super) fell_back: bool,
    /// A settlement was sent to the store, and its answer did not arrive.
    sent: bool,
}

impl ReplayClaim {
    pub(super) const fn new(
        claimant: Claimant,
        until: Timestamp,
        id: Option<DeliveryId>,
        claimed: ClockReading,
    ) -> Self {
        Self { claimant, until, id, claimed, fell_back: false, sent: false }
    }

    pub(super) fn delivery<'d>(&self, delivery: &'d VerifiedDelivery) -> Delivery<'d> {
        Delivery { webhook_id: delivery.webhook_id(), keys: delivery.replay_keys(), until: self.until, id: self.id }
    }

    pub(super) fn local_delivery<'d>(&self, delivery: &'d VerifiedDelivery) -> LocalDelivery<'d> {
        let webhook_id = delivery.id().hash();
        LocalDelivery { webhook_id, keys: delivery.replay_keys(), until: self.until, id: self.id }
    }

    /// Returns the claim for a handler that commits it itself. `None` if it is not in a shared store, or if that does not
    /// store handled deliveries.
    pub(super) fn for_handler(&self, stores: &Stores) -> Option<HandlerClaim> {
        let replay = stores.replay.as_ref()?;
        let is_shared = matches!(replay.holder(self.fell_back), Holder::Shared(_));
        let Self { claimant, until, id, claimed, .. } = *self;
        (is_shared && !replay.lifetime.is_while_handled()).then(|| HandlerClaim::new(claimant, until, id, claimed))
    }

    /// Moves the claim to the fallback in this process.
    pub(super) const fn fall_back(self) -> Self {
        Self { fell_back: true, ..self }
    }

    /// Commits the delivery, or releases it. If the handler took the claim, it is only released, which changes nothing if the
    /// handler's transaction has committed it; with `done`, that must be so, and `false` is returned if it is not known.
    /// Completes at the first poll if the claim is in this process.
    pub(super) async fn settle(
        self,
        stores: &Arc<Stores>,
        delivery: &VerifiedDelivery,
        done: bool,
        monotonic: Duration,
    ) -> Result<bool, StoreError> {
        let Some(replay) = &stores.replay else { return Ok(true) };
        // `until` was computed from the wall clock at the claim. If the clock was set while the handler ran, the
        // current wall clock would make the entry expire too early.
        let now = self.claimed.carried_on_to(monotonic);
        // With `is_while_handled` the claim is always released, because equal bytes then are a new delivery.
        let is_taken = delivery.is_claim_taken();
        let commits = done && !is_taken && !replay.lifetime.is_while_handled();
        let settled = match replay.holder(self.fell_back) {
            Holder::Local(store) if commits => Ok(store.commit_now(self.local_delivery(delivery), self.claimant, now)),
            Holder::Local(store) => Ok(store.release_now(self.local_delivery(delivery), self.claimant, now)),
            Holder::Shared(store) => {
                let mut pending = PendingClaim { stores, delivery, done, claim: Some(Self { sent: true, ..self }) };
                let settled = catch_panic(async {
                    if commits {
                        store.commit(self.delivery(delivery), self.claimant, now).await
                    } else {
                        store.release(self.delivery(delivery), self.claimant, now).await
                    }
                })
                .await;
                pending.claim = None;
                settled
            }
        };
        // The lease may have ended during the call.
        let is_late = || stores.monitor.clock.monotonic().saturating_sub(self.claimed.monotonic) >= replay.lease;
        match settled {
            Ok(true) if done && is_taken => {
                stores.monitor.warn(Warning::CommitMissing);
                Ok(false)
            }
            // On a retry `false` is expected: the first call already settled the claim. Otherwise the lease had ended,
            // and the work may have been done twice.
            Ok(false) if done && !self.sent && (!is_taken || is_late()) => {
                stores.monitor.warn(Warning::LeaseOutlived);
                Ok(!is_taken)
            }
            Ok(_) => Ok(true),
            Err(error) => {
                stores.replay_failed(delivery, &error);
                Err(error)
            }
        }
    }

    /// Like [`settle`](Self::settle), without waiting: immediately if the claim is in this process, otherwise in the
    /// background.
    pub(super) fn settle_now(self, stores: &Arc<Stores>, delivery: &VerifiedDelivery, done: bool, monotonic: Duration) {
        let holder = stores.replay.as_ref().map(|replay| replay.holder(self.fell_back));
        if matches!(holder, Some(Holder::Shared(_))) {
            self.settle_in_background(stores, delivery, done);
        } else {
            let _ = self.settle(stores, delivery, done, monotonic).now_or_never();
        }
    }

    /// Requires the feature `tower`, which provides the runtime.
    #[cfg_attr(not(feature = "tower"), expect(unused_variables, reason = "without a runtime nothing is spawned"))]
    fn settle_in_background(self, stores: &Arc<Stores>, delivery: &VerifiedDelivery, done: bool) {
        #[cfg(feature = "tower")]
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (stores, delivery) = (Arc::clone(stores), delivery.clone());
            runtime.spawn(async move {
                let monotonic = stores.monitor.clock.monotonic();
                self.settle(&stores, &delivery, done, monotonic).await
            });
            return;
        }
        stores.replay_failed(delivery, &StoreError::new(NO_RUNTIME));
    }
}

/// Settles its claim on drop, for example if the request is dropped during a store call.
pub(super) struct PendingClaim<'a> {
    stores: &'a Arc<Stores>,
    delivery: &'a VerifiedDelivery,
    done: bool,
    /// `None` once there is nothing left to settle.
    pub(super) claim: Option<ReplayClaim>,
}

impl<'a> PendingClaim<'a> {
    pub(super) const fn new(stores: &'a Arc<Stores>, delivery: &'a VerifiedDelivery, claim: ReplayClaim) -> Self {
        Self { stores, delivery, done: false, claim: Some(claim) }
    }
}

impl Drop for PendingClaim<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.settle_now(self.stores, self.delivery, self.done, self.stores.monitor.clock.monotonic());
        }
    }
}

/// The claim then expires with its lease, and a retry runs the handler again.
const NO_RUNTIME: &str = "could not settle a delivery: outside a tokio runtime, use `commit_async` or `release_async`";

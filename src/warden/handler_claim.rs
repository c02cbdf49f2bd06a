//! A claim that a handler commits itself.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::ClockReading;
use crate::replay::{Claimant, Delivery, DeliveryId};
use crate::time::Timestamp;
use crate::verifier::ReplayKey;

/// A claim in a shared store. The handler can take it to commit it itself.
#[derive(Debug)]
pub(super) struct HandlerClaim {
    claimant: Claimant,
    until: Timestamp,
    id: Option<DeliveryId>,
    claimed_at: ClockReading,
    is_taken: AtomicBool,
}

impl HandlerClaim {
    pub(super) const fn new(
        claimant: Claimant,
        until: Timestamp,
        id: Option<DeliveryId>,
        claimed_at: ClockReading,
    ) -> Self {
        Self { claimant, until, id, claimed_at, is_taken: AtomicBool::new(false) }
    }

    pub(super) fn take<'d>(&self, webhook_id: &'d str, keys: &'d [ReplayKey]) -> TakenClaim<'d> {
        self.is_taken.store(true, Ordering::Release);
        let delivery = Delivery { webhook_id, keys, until: self.until, id: self.id };
        TakenClaim { delivery, claimant: self.claimant, claimed_at: self.claimed_at }
    }

    pub(super) fn is_taken(&self) -> bool {
        self.is_taken.load(Ordering::Acquire)
    }
}

/// A claim that a handler commits in its own transaction.
/// [`VerifiedDelivery::take_claim`](super::VerifiedDelivery::take_claim) returns it.
///
/// ```
/// use hookwarden::replay::Claimant;
/// use hookwarden::verifier::ReplayKey;
/// use hookwarden::warden::VerifiedDelivery;
///
/// /// Returns the keys that a transaction marks as finished, if all of them still have the claimant.
/// fn to_finish(delivery: &VerifiedDelivery) -> Option<(Vec<ReplayKey>, Claimant)> {
///     let claim = delivery.take_claim()?;
///     let id = claim.delivery.id.map(|id| id.key);
///     Some((claim.delivery.keys.iter().copied().chain(id).collect(), claim.claimant))
/// }
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TakenClaim<'d> {
    /// The delivery to commit.
    pub delivery: Delivery<'d>,
    /// The request that claimed it. The transaction must commit only if every key of the delivery is still stored as
    /// claimed by this request, whether its lease has ended or not. Otherwise another request may have done the work meanwhile.
    pub claimant: Claimant,
    /// The time of the claim. The times in `delivery` are relative to its wall clock.
    pub claimed_at: ClockReading,
}

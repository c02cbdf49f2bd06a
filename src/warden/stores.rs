//! Where deliveries are stored and quotas are counted.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::delivery_ids::DeliveryIds;
use super::monitor::Monitor;
use super::quota_limits::QuotaLimits;
use super::verified_delivery::VerifiedDelivery;
use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::future::catch_panic;
use crate::headers::FieldName;
use crate::keyed_hash::HashedKey;
use crate::replay::{Claimant, DeliveryId, LocalReplay, ReplayStore};
use crate::scheme::DeliveryIdSource;
use crate::shared_store::SharedStore;
use crate::time::{Timestamp, Tolerance};
use crate::verifier::ReplayKey;

/// The stores that admit a verified delivery and settle its claim.
pub(super) struct Stores {
    pub(super) replay: Option<ReplayProtection>,
    pub(super) quotas: Option<QuotaLimits>,
    pub(super) claimants: Claimants,
    pub(super) monitor: Arc<Monitor>,
}

impl Stores {
    /// Returns whether the replay store and the quotas are both in this process.
    pub(super) fn are_local(&self) -> bool {
        let counts_here = self.quotas.as_ref().is_none_or(|quotas| quotas.shared.is_none());
        let stores_here = self.replay.as_ref().is_none_or(|replay| matches!(replay.store, ReplayBackend::Local(_)));
        counts_here && stores_here
    }

    /// Returns the header that has an id, signed or unsigned.
    pub(super) fn id_header(&self) -> Option<&FieldName> {
        let ids = &self.replay.as_ref()?.ids;
        match &ids.signed {
            Some(DeliveryIdSource::Header(name)) => Some(name),
            _ => ids.unsigned.as_ref(),
        }
    }

    /// Returns where the signed id is.
    pub(super) fn signed_id(&self) -> Option<&DeliveryIdSource> {
        self.replay.as_ref()?.ids.signed.as_ref()
    }

    /// Forgets an id in every store that may have it.
    pub(super) async fn forget(&self, webhook_id: &str, id: &str) -> Result<bool, StoreError> {
        let Some(replay) = &self.replay else { return Ok(false) };
        let (key, now) = (ReplayKey::of_delivery_id(id), self.monitor.clock.now());
        let forget_here = |store: &LocalReplay| store.forget_now(HashedKey::of_id(webhook_id), key, now);
        let was_here = replay.fallback.as_ref().is_some_and(forget_here);
        match replay.holder(false) {
            Holder::Local(store) => Ok(forget_here(store)),
            Holder::Shared(store) => catch_panic(async { store.forget(webhook_id, key, now).await })
                .await
                .map(|was_there| was_there || was_here),
        }
    }
}

/// The replay store, and how long it keeps a delivery.
pub(super) struct ReplayProtection {
    pub(super) store: ReplayBackend,
    /// Used while a shared store fails. If `None`, the Warden refuses deliveries then.
    pub(super) fallback: Option<LocalReplay>,
    pub(super) lease: Duration,
    pub(super) lifetime: Lifetime,
    pub(super) ids: DeliveryIds,
}

pub(super) enum ReplayBackend {
    Local(Box<LocalReplay>),
    Shared(Box<dyn ReplayStore>),
    /// A store that also counts the quotas, in the same call.
    Joint(Arc<dyn SharedStore>),
}

/// The store that holds a claim.
pub(super) enum Holder<'s> {
    Local(&'s LocalReplay),
    Shared(&'s dyn ReplayStore),
}

/// How long a delivery is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lifetime {
    /// Until its timestamp is stale, plus a margin for slow bodies and for clock differences between replicas.
    WhileFresh { tolerance: Tolerance, margin: u32 },
    /// For a fixed time after its arrival, if the scheme signs no timestamp.
    AfterArrival { seconds: u32 },
    /// Until its handler has finished, if the scheme signs no timestamp.
    WhileHandled,
}

impl Lifetime {
    pub(super) const fn is_while_handled(self) -> bool {
        matches!(self, Self::WhileHandled)
    }
}

impl ReplayProtection {
    /// Returns the last second in which a duplicate of the delivery must be detected.
    pub(super) fn keep_until(&self, delivery: &VerifiedDelivery, now: ClockReading) -> Timestamp {
        match self.lifetime {
            Lifetime::WhileFresh { tolerance, margin } => {
                delivery.latest_timestamp().unwrap_or(now.wall).later_by(tolerance.as_seconds()).later_by(margin)
            }
            Lifetime::AfterArrival { seconds } => now.wall.later_by(seconds),
            // The claim is released, never committed.
            Lifetime::WhileHandled => now.wall,
        }
    }

    /// Returns whether other endpoints can have the ids of this one.
    pub(super) fn shares_ids(&self) -> bool {
        self.ids.signed.is_some() && !matches!(self.store, ReplayBackend::Local(_))
    }

    /// Returns the id of the delivery for the store. `until` is the last second in which its keys are remembered.
    pub(super) fn delivery_id(
        &self,
        delivery: &VerifiedDelivery,
        until: Timestamp,
        now: ClockReading,
    ) -> Option<DeliveryId> {
        let key = delivery.id_key()?;
        // An earlier attempt whose handler failed can be fresh for longer than this one: its timestamp is at most the
        // tolerance ahead. Its keys are not stored, so the id must outlive it.
        let attempts = match self.lifetime {
            Lifetime::WhileFresh { tolerance, .. } => {
                until.max(now.wall.later_by(tolerance.as_seconds())).later_by(tolerance.as_seconds())
            }
            Lifetime::AfterArrival { .. } | Lifetime::WhileHandled => until,
        };
        Some(DeliveryId { key, until: attempts.max(now.wall.later_by(self.ids.lifetime)) })
    }

    /// Returns the store that holds a claim. `fell_back`: the shared store failed when the claim was made.
    pub(super) fn holder(&self, fell_back: bool) -> Holder<'_> {
        match (&self.store, &self.fallback) {
            (ReplayBackend::Local(store), _) => Holder::Local(store),
            (_, Some(store)) if fell_back => Holder::Local(store),
            (ReplayBackend::Shared(store), _) => Holder::Shared(&**store),
            (ReplayBackend::Joint(store), _) => Holder::Shared(&**store),
        }
    }
}

/// Generates the numbers of claimants: a random part for the process, and a count.
pub(super) struct Claimants {
    process: u64,
    next: AtomicU64,
}

impl Default for Claimants {
    fn default() -> Self {
        Self { process: RandomState::new().hash_one("process"), next: AtomicU64::new(1) }
    }
}

impl Claimants {
    pub(super) fn next(&self) -> Claimant {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        Claimant::new((u128::from(self.process) << 64) | u128::from(count))
    }
}

//! Where deliveries are remembered and quotas are counted.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::monitor::Monitor;
use super::quota_limits::QuotaLimits;
use super::verified_delivery::VerifiedDelivery;
use crate::clock::ClockReading;
use crate::replay::{Claimant, LocalReplay, ReplayStore};
use crate::shared_store::SharedStore;
use crate::time::{Timestamp, Tolerance};

/// The stores that admit a verified delivery and settle its claim.
pub(super) struct Stores {
    pub(super) replay: Option<ReplayProtection>,
    pub(super) quotas: Option<QuotaLimits>,
    pub(super) claimants: Claimants,
    pub(super) monitor: Arc<Monitor>,
}

impl Stores {
    /// Whether replay memory and quotas are both in this process.
    pub(super) fn are_local(&self) -> bool {
        let counts_here = self.quotas.as_ref().is_none_or(|quotas| quotas.shared.is_none());
        let remembers_here = self.replay.as_ref().is_none_or(|replay| matches!(replay.store, ReplayBackend::Local(_)));
        counts_here && remembers_here
    }
}

/// The replay store, and how long it remembers a delivery.
pub(super) struct ReplayProtection {
    pub(super) store: ReplayBackend,
    /// Used while a shared store fails. `None` by default: the Warden then refuses.
    pub(super) fallback: Option<LocalReplay>,
    pub(super) lease: Duration,
    pub(super) lifetime: Lifetime,
}

pub(super) enum ReplayBackend {
    Local(LocalReplay),
    Shared(Box<dyn ReplayStore>),
    /// Counts the quotas too, in the same call.
    Joint(Arc<dyn SharedStore>),
}

/// The store that holds a claim.
pub(super) enum Holder<'s> {
    Local(&'s LocalReplay),
    Shared(&'s dyn ReplayStore),
}

/// How long a delivery is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lifetime {
    /// Until its timestamp is stale, plus a margin for slow bodies and for replicas whose clocks differ.
    WhileFresh { tolerance: Tolerance, margin: u32 },
    /// For a fixed time after its arrival, where the scheme signs no timestamp.
    AfterArrival { seconds: u32 },
}

impl ReplayProtection {
    /// The last second in which the delivery must be recognised.
    pub(super) fn remember_until(&self, delivery: &VerifiedDelivery, now: ClockReading) -> Timestamp {
        match self.lifetime {
            Lifetime::WhileFresh { tolerance, margin } => {
                delivery.timestamp().unwrap_or(now.wall).later_by(tolerance.as_seconds()).later_by(margin)
            }
            Lifetime::AfterArrival { seconds } => now.wall.later_by(seconds),
        }
    }

    /// The store that holds a claim. `fell_back` says that the shared one failed when the claim was made.
    pub(super) fn holder(&self, fell_back: bool) -> Holder<'_> {
        match (&self.store, &self.fallback) {
            (ReplayBackend::Local(store), _) => Holder::Local(store),
            (_, Some(store)) if fell_back => Holder::Local(store),
            (ReplayBackend::Shared(store), _) => Holder::Shared(&**store),
            (ReplayBackend::Joint(store), _) => Holder::Shared(&**store),
        }
    }
}

/// Numbers for claimants: a random part for the process, and a count.
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

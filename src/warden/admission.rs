//! Step 7: whether a delivery is new, and then whether its webhook id is within its quota. A quota that is denied gives
//! the delivery back, so that the sender's retry is judged afresh.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::{VerifiedDelivery, Warden};
use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::event::{StoreKind, Warning};
use crate::limit::{Decision, LocalLimiter, Quota, QuotaState, RateLimiter, Uncounted};
use crate::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
use crate::shared_store::{AdmitOutcome, SharedStore};
use crate::time::{Timestamp, Tolerance};

/// What step 7 needs.
pub(super) struct Admission {
    pub(super) replay: Option<Replay>,
    pub(super) quotas: Option<Quotas>,
    pub(super) claimants: Claimants,
}

/// What step 7 finds.
pub(super) enum Verdict {
    Admitted {
        quota_state: Option<(Quota, QuotaState)>,
        hold: Option<ReplayClaim>,
    },
    Finished,
    InProgress {
        retry_after: Duration,
    },
    OverQuota {
        retry_after: Duration,
        quota: Quota,
        quota_state: QuotaState,
    },
    Unavailable(StoreError),
    /// A store has to be waited for, and the caller cannot.
    NeedsWaiting,
}

impl Admission {
    #[cfg(feature = "tower")]
    pub(super) fn answers_at_once(&self) -> bool {
        let counts_here = self.quotas.as_ref().is_none_or(|quotas| quotas.shared.is_none());
        let remembers_here = self.replay.as_ref().is_none_or(|replay| matches!(replay.store, ReplayBackend::Local(_)));
        counts_here && remembers_here
    }

    pub(super) fn judge(&self, warden: &Warden, facts: &VerifiedDelivery, now: ClockReading) -> Verdict {
        if self.quotas.as_ref().is_some_and(|quotas| quotas.shared.is_some()) {
            return Verdict::NeedsWaiting;
        }
        let hold = match &self.replay {
            None => None,
            Some(replay) => match &replay.store {
                ReplayBackend::Shared(_) | ReplayBackend::Joint(_) => return Verdict::NeedsWaiting,
                ReplayBackend::Local(store) => {
                    let hold = ReplayClaim::new(replay, facts, self.claimants.next(), now);
                    match granted(store.claim_now(hold.delivery(facts), hold.claimant, replay.lease, now)) {
                        Ok(()) => Some(hold),
                        Err(verdict) => return verdict,
                    }
                }
            },
        };
        let decision =
            self.quotas.as_ref().and_then(|quotas| quotas.check_local(warden, facts.webhook_id(), now.monotonic));
        let verdict = weigh(decision, hold);
        if let (Verdict::OverQuota { .. }, Some(hold), Some(replay)) = (&verdict, hold, &self.replay) {
            hold.settle_local(replay, facts, now, false);
        }
        verdict
    }

    pub(super) async fn judge_async(&self, warden: &Warden, facts: &VerifiedDelivery, now: ClockReading) -> Verdict {
        let mut claimed = None;
        let mut joint_failed = false;
        if let Some(replay) = &self.replay {
            let mut hold = ReplayClaim::new(replay, facts, self.claimants.next(), now);
            let guard = claimed.insert(Unsettled { warden, facts, done: false, hold: Some(hold) });
            let delivery = hold.delivery(facts);
            let quota = || self.quotas.as_ref().and_then(|quotas| quotas.quota_of(facts.webhook_id()));
            let claim = match &replay.store {
                ReplayBackend::Local(store) => store.claim_now(delivery, hold.claimant, replay.lease, now),
                ReplayBackend::Shared(store) => hold.claim_at(&**store, warden, delivery, replay.lease).await,
                ReplayBackend::Joint(store) => match quota() {
                    None => hold.claim_at(&**store, warden, delivery, replay.lease).await,
                    Some(quota) => {
                        let admit = async { store.admit(delivery, hold.claimant, replay.lease, &quota, now).await };
                        let admittance = guarded(admit).await;
                        // A denial may be one that this process remembers, and then no server was asked.
                        let admittance = match admittance {
                            Ok(AdmitOutcome::OverQuota { .. }) => admittance,
                            _ => warden.heard(StoreKind::Replay, admittance),
                        };
                        match admittance {
                            Ok(admittance) => {
                                guard.hold = None;
                                return admitted(admittance, quota, hold);
                            }
                            Err(error) => Err(error),
                        }
                    }
                },
            };
            let claim = match (claim, &replay.fallback) {
                (Err(error), Some(store)) => {
                    warden.store_failed(StoreKind::Replay, &error);
                    hold.fallen_back = true;
                    guard.hold = Some(hold);
                    joint_failed = matches!(replay.store, ReplayBackend::Joint(_));
                    store.claim_now(delivery, hold.claimant, replay.lease, now)
                }
                (claim, _) => claim,
            };
            if let Err(verdict) = granted(claim) {
                // A store that failed may have taken the claim all the same; any other denial took none.
                if !matches!(verdict, Verdict::Unavailable(_)) {
                    guard.hold = None;
                }
                return verdict;
            }
        }
        let decision = match &self.quotas {
            Some(quotas) if joint_failed => quotas.check_share(warden, facts.webhook_id()),
            Some(quotas) => quotas.check(warden, facts.webhook_id()).await,
            None => None,
        };
        let hold = claimed.and_then(|mut unsettled| unsettled.hold.take());
        let verdict = weigh(decision, hold);
        if let (Verdict::OverQuota { .. }, Some(hold)) = (&verdict, hold) {
            // The denial stands whether or not the store could be told; the lease ends by itself.
            let _ = hold.settle_async(warden, facts, false).await;
        }
        verdict
    }
}

/// A claim that is settled in the background if the request is dropped while it still waits for a store.
struct Unsettled<'a> {
    warden: &'a Warden,
    facts: &'a VerifiedDelivery,
    /// Whether the work is done.
    done: bool,
    hold: Option<ReplayClaim>,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            hold.settle(self.warden, self.facts, hold.moment(self.warden), self.done);
        }
    }
}

/// What an application's store answers. A panic in it is trouble like any other, and takes no request with it.
async fn guarded<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| Err(StoreError::panicked()))
}

fn granted(claim: Result<Claim, StoreError>) -> Result<(), Verdict> {
    match claim {
        Ok(Claim::Granted) => Ok(()),
        Ok(Claim::InProgress { retry_after }) => Err(Verdict::InProgress { retry_after }),
        Ok(Claim::Finished) => Err(Verdict::Finished),
        Err(error) => Err(Verdict::Unavailable(error)),
    }
}

fn admitted(admittance: AdmitOutcome, quota: Quota, hold: ReplayClaim) -> Verdict {
    match admittance {
        AdmitOutcome::Granted(quota_state) => {
            Verdict::Admitted { quota_state: Some((quota, quota_state)), hold: Some(hold) }
        }
        AdmitOutcome::InProgress { retry_after } => Verdict::InProgress { retry_after },
        AdmitOutcome::Finished => Verdict::Finished,
        AdmitOutcome::OverQuota { retry_after, quota_state } => Verdict::OverQuota { retry_after, quota, quota_state },
    }
}

fn weigh(decision: Option<(Quota, Decision)>, hold: Option<ReplayClaim>) -> Verdict {
    match decision {
        None => Verdict::Admitted { quota_state: None, hold },
        Some((quota, Decision::Allowed(quota_state))) => {
            Verdict::Admitted { quota_state: Some((quota, quota_state)), hold }
        }
        Some((quota, Decision::Denied { retry_after, quota_state })) => {
            Verdict::OverQuota { retry_after, quota, quota_state }
        }
    }
}

/// The memory of deliveries, and how long each is kept in it.
pub(super) struct Replay {
    pub(super) store: ReplayBackend,
    /// What stands in for a shared store that fails; by default nothing does.
    pub(super) fallback: Option<LocalReplay>,
    pub(super) lease: Duration,
    pub(super) lifetime: Lifetime,
}

pub(super) enum ReplayBackend {
    Local(LocalReplay),
    Shared(Box<dyn ReplayStore>),
    /// Quotas are counted there too, in the same call.
    Joint(Arc<dyn SharedStore>),
}

/// How long a delivery is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lifetime {
    /// Until its timestamp is stale, and for a margin that covers the time which a body may take and replicas whose clocks
    /// differ.
    WhileFresh { tolerance: Tolerance, margin: u32 },
    /// For a fixed time after it arrived, where the scheme signs no timestamp.
    AfterArrival { seconds: u32 },
}

/// The quotas by webhook id.
pub(super) struct Quotas {
    pub(super) standard: Option<Quota>,
    pub(super) overrides: HashMap<String, Quota>,
    /// Also what a shared limiter falls back to.
    pub(super) local: LocalLimiter,
    pub(super) shared: Option<Box<dyn RateLimiter>>,
    /// How many processes share the quotas.
    pub(super) replicas: NonZeroU32,
}

impl Quotas {
    fn quota_of(&self, webhook_id: &str) -> Option<Quota> {
        self.overrides.get(webhook_id).copied().or(self.standard)
    }

    fn check_local(&self, warden: &Warden, webhook_id: &str, now: Duration) -> Option<(Quota, Decision)> {
        let quota = self.quota_of(webhook_id)?;
        Some((quota, self.count_here(warden, webhook_id, &quota, now)))
    }

    fn count_here(&self, warden: &Warden, webhook_id: &str, quota: &Quota, now: Duration) -> Decision {
        self.local.check_at(webhook_id, quota, now).unwrap_or_else(|Uncounted(decision)| {
            warden.notify(Warning::AcceptedTableFull);
            decision
        })
    }

    /// This process's part of a quota whose shared count is not to be had.
    fn check_share(&self, warden: &Warden, webhook_id: &str) -> Option<(Quota, Decision)> {
        let quota = self.quota_of(webhook_id)?.share(self.replicas);
        warden.notify(Warning::LimiterFellBack);
        Some((quota, self.count_here(warden, webhook_id, &quota, warden.inner.clock.monotonic())))
    }

    async fn check(&self, warden: &Warden, webhook_id: &str) -> Option<(Quota, Decision)> {
        let Some(shared) = &self.shared else {
            // The memory of deliveries may have taken its time.
            return self.check_local(warden, webhook_id, warden.inner.clock.monotonic());
        };
        let quota = self.quota_of(webhook_id)?;
        let decision = guarded(async { shared.check(webhook_id, &quota).await }).await;
        let decision = match decision {
            // It may be one that this process remembers.
            Ok(Decision::Denied { .. }) => decision,
            _ => warden.heard(StoreKind::Limits, decision),
        };
        match decision {
            Ok(decision) => Some((quota, decision)),
            Err(error) => {
                warden.store_failed(StoreKind::Limits, &error);
                self.check_share(warden, webhook_id)
            }
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
    fn next(&self) -> Claimant {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        Claimant::new((u128::from(self.process) << 64) | u128::from(count))
    }
}

/// A claim on a delivery, to be settled once.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplayClaim {
    claimant: Claimant,
    until: Timestamp,
    claimed: ClockReading,
    /// The store failed, and what stands in for it has the claim.
    fallen_back: bool,
    /// The store was told of the end, and its answer not waited for.
    told: bool,
}

impl ReplayClaim {
    fn new(replay: &Replay, facts: &VerifiedDelivery, claimant: Claimant, now: ClockReading) -> Self {
        let until = match replay.lifetime {
            Lifetime::WhileFresh { tolerance, margin } => {
                facts.timestamp().unwrap_or(now.wall).later_by(tolerance.as_seconds()).later_by(margin)
            }
            Lifetime::AfterArrival { seconds } => now.wall.later_by(seconds),
        };
        Self { claimant, until, claimed: now, fallen_back: false, told: false }
    }

    async fn claim_at(
        &self,
        store: &dyn ReplayStore,
        warden: &Warden,
        delivery: Delivery<'_>,
        lease: Duration,
    ) -> Result<Claim, StoreError> {
        let claim = async { store.claim(delivery, self.claimant, lease, self.claimed).await };
        warden.heard(StoreKind::Replay, guarded(claim).await)
    }

    /// The present moment by the wall clock of the claim. `until` was reckoned by that one; if the clock was set while
    /// the handler ran, by the present one it would come too early.
    fn moment(&self, warden: &Warden) -> ClockReading {
        self.claimed.carried_on_to(warden.inner.clock.monotonic())
    }

    fn delivery<'d>(&self, facts: &'d VerifiedDelivery) -> Delivery<'d> {
        Delivery { webhook_id: facts.webhook_id(), keys: facts.replay_keys(), until: self.until }
    }

    /// Settles at once where the store is this process's own, and in the background elsewhere.
    pub(super) fn settle(self, warden: &Warden, facts: &VerifiedDelivery, now: ClockReading, done: bool) {
        let Some(replay) = &warden.inner.admission.replay else { return };
        match self.settle_local(replay, facts, now, done) {
            Some(kept) => tell_of_lost_claim(warden, done, kept),
            None => self.settle_in_background(warden, facts, done),
        }
    }

    pub(super) async fn settle_async(
        self,
        warden: &Warden,
        facts: &VerifiedDelivery,
        done: bool,
    ) -> Result<(), StoreError> {
        let Some(replay) = &warden.inner.admission.replay else { return Ok(()) };
        let now = self.moment(warden);
        if let Some(kept) = self.settle_local(replay, facts, now, done) {
            tell_of_lost_claim(warden, done, kept);
            return Ok(());
        }
        let store: &dyn ReplayStore = match &replay.store {
            ReplayBackend::Local(_) => return Ok(()),
            ReplayBackend::Shared(store) => &**store,
            ReplayBackend::Joint(store) => &**store,
        };
        let settled = {
            let mut unsettled = Unsettled { warden, facts, done, hold: Some(Self { told: true, ..self }) };
            let settled = guarded(async {
                if done {
                    store.commit(self.delivery(facts), self.claimant, now).await
                } else {
                    store.release(self.delivery(facts), self.claimant, now).await
                }
            })
            .await;
            unsettled.hold = None;
            settled
        };
        match &settled {
            // What was told twice is not the claimant's any more the second time.
            Ok(kept) => tell_of_lost_claim(warden, done, *kept || self.told),
            Err(error) => warden.store_failed(StoreKind::Replay, error),
        }
        settled.map(drop)
    }

    /// Settles if the claim is this process's own, and then says whether it was still there to be settled.
    fn settle_local(self, replay: &Replay, facts: &VerifiedDelivery, now: ClockReading, done: bool) -> Option<bool> {
        let store = match (&replay.store, &replay.fallback) {
            (ReplayBackend::Local(store), _) => store,
            (_, Some(store)) if self.fallen_back => store,
            _ => return None,
        };
        Some(if done {
            store.commit_now(self.delivery(facts), self.claimant, now)
        } else {
            store.release_now(self.delivery(facts), self.claimant, now)
        })
    }

    /// A runtime to wait on is looked for with the feature `tower` alone.
    #[cfg_attr(not(feature = "tower"), expect(unused_variables, reason = "without a runtime nothing is waited for"))]
    fn settle_in_background(self, warden: &Warden, facts: &VerifiedDelivery, done: bool) {
        #[cfg(feature = "tower")]
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (warden, facts) = (warden.clone(), facts.clone());
            runtime.spawn(async move { self.settle_async(&warden, &facts, done).await });
            return;
        }
        warden.store_failed(StoreKind::Replay, &StoreError::new(NO_BACKGROUND));
    }
}

/// Work that was done under a claim which was another's by then may have been done twice.
fn tell_of_lost_claim(warden: &Warden, done: bool, kept: bool) {
    if done && !kept {
        warden.notify(Warning::LeaseOutlived);
    }
}

/// The claim then ends with its lease, and the delivery is handled again if its sender repeats it.
const NO_BACKGROUND: &str = "could not be told of a delivery's end, as there is no tokio runtime to wait for it on";

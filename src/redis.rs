#![doc = include_str!("../docs/fleet.md")]

mod address;
mod builder;
mod cluster;
mod connection;
mod denials;
mod endpoint;
mod failure;
mod link;
mod names;
mod pending;
mod reply;
mod router;
mod sentinel;
mod server;
mod settlement;
mod shard_map;
mod slot;
mod slot_table;
mod topology;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::redis::Cmd;

use crate::clock::{Clock, ClockReading};
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::limit::{Decision, Quota, RateLimiter};
use crate::replay::{Claim, Claimant, Delivery, ReplayStore};
use crate::shared_store::{AdmitOutcome, SharedStore};
use crate::time::Timestamp;
use crate::verifier::ReplayKey;
use denials::Denials;
use names::Names;
use pending::PendingSettlement;
use reply::{LATE, read_reply, unexpected};
use router::Router;
use server::{Call, Script, Server};
use settlement::{LONGEST_SECONDS, Settlement, millis};

pub use address::RedisUrl;
pub use builder::{ConnectError, RedisStoreBuilder};

/// Deliveries and quotas in Redis or Valkey, shared by all processes that use the same servers and prefix. Cheap to
/// clone; all clones share one connection to each server.
///
/// The [module](self) describes what happens when the server does not answer, what is stored and for how long, and how
/// to size the server.
///
/// ```no_run
/// use hookwarden::redis::RedisStore;
/// use hookwarden::shared_store::SharedStore;
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::builder("redis://localhost:6379").connect().await?;
/// # fn is_shared_store(_: &impl SharedStore) {}
/// # is_shared_store(&store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
    /// The clock for the scripts in a test. If `None`, the scripts use the server's clock.
    time: Option<Arc<dyn Clock>>,
}

struct Inner {
    router: Arc<Router>,
    prefix: String,
    denials: Denials,
}

impl RedisStore {
    /// Returns a store whose quotas use the monotonic clock of `clock` instead of the server's, for tests. Their keys
    /// in the database then expire after one minute of real time.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_time(&self, clock: impl Clock) -> Self {
        Self { inner: self.inner.clone(), time: Some(Arc::new(clock)) }
    }

    /// Claims the delivery if `claim` is given, and counts the request if `quota` is given. Returns the server's answer
    /// or a cached denial.
    async fn ask(
        &self,
        webhook_id: &str,
        claim: Option<(Delivery<'_>, Claimant, Duration)>,
        quota: Option<&Quota>,
    ) -> Result<AdmitOutcome, StoreError> {
        let Inner { router, prefix, denials } = &*self.inner;
        if let Some(quota) = quota
            && self.time.is_none()
            && let Some((retry_after, quota_state)) = denials.find(webhook_id, quota)
        {
            return Ok(AdmitOutcome::OverQuota { retry_after, quota_state });
        }
        let names = Names::new(prefix, webhook_id);
        let slot = names.slot();
        router.map.owner(slot).ready()?;
        let mut keys: Vec<String> = claim.iter().flat_map(|(delivery, ..)| names.deliveries(delivery)).collect();
        // The server may make the claim even if its answer does not arrive: release it on drop.
        let mut orphan = claim
            .map(|(_, by, lease)| PendingSettlement::new(router, Settlement::release((slot, keys.clone()), by, lease)));
        keys.extend(quota.map(|quota| names.quota(quota)));

        let (claimant, lease) = claim.map_or((None, 0), |(_, by, lease)| (Some(by), millis(lease)));
        let (burst, period) = quota.map_or((0, 0), |quota| (quota.burst(), quota.period().as_micros()));
        let asked = Instant::now();
        let call = Call {
            script: Script::Admit,
            keys: &keys,
            arguments: |command: &mut Cmd, server: &Server| {
                command.arg(claimant.map(Claimant::number).unwrap_or_default().to_be_bytes().as_slice());
                command.arg(lease).arg(burst).arg(period).arg(server.deadline(asked));
                if let Some(clock) = &self.time {
                    command.arg(clock.now().monotonic.as_micros());
                }
            },
            began: asked,
        };
        let mut tries = 0_u8;
        let reply = loop {
            let (reply, link) = router.call(slot, &call).await?;
            if let (Some(time), None) = (reply.numbers.get(1), &self.time) {
                link.server.note_time(reply.asked, *time);
            }
            tries = tries.saturating_add(1);
            // The server's clock was set, or another server took over. Its time is known now, so try once more.
            if reply.numbers.first() != Some(&LATE) || tries > 1 {
                break reply;
            }
        };
        let outcome = read_reply(&reply.numbers, quota)?;
        // If the call was repeated, the first attempt may have made the claim and used the quota that the second
        // attempt was denied.
        let may_hold = reply.repeated && matches!(outcome, AdmitOutcome::OverQuota { .. });
        if let (Some(orphan), false) = (&mut orphan, may_hold) {
            orphan.forget();
        }
        if let (AdmitOutcome::OverQuota { retry_after, quota_state }, Some(quota), None) = (&outcome, quota, &self.time)
        {
            denials.insert(webhook_id, quota, asked, *retry_after, quota_state.reset);
        }
        Ok(outcome)
    }

    async fn settle(
        &self,
        delivery: Delivery<'_>,
        settlement: impl FnOnce((u16, Vec<String>)) -> Settlement,
    ) -> Result<bool, StoreError> {
        let Inner { router, prefix, .. } = &*self.inner;
        let names = Names::new(prefix, delivery.webhook_id);
        let settlement = settlement((names.slot(), names.deliveries(&delivery).collect()));
        // Send the settlement later if the server cannot be reached now, or if the caller is dropped.
        let mut pending = PendingSettlement::new(router, settlement);
        let settled = pending.send().await?;
        pending.forget();
        Ok(settled)
    }
}

impl RedisStore {
    /// Returns the name of the primary that has the keys of a webhook id, if the store uses a cluster.
    fn shard(&self, webhook_id: &str) -> Option<Arc<str>> {
        let Inner { router, prefix, .. } = &*self.inner;
        router.map.is_cluster().then(|| router.map.owner(Names::new(prefix, webhook_id).slot()).name())?
    }
}

impl RateLimiter for RedisStore {
    fn check<'a>(&'a self, webhook_id: &'a str, quota: &'a Quota) -> BoxFuture<'a, Result<Decision, StoreError>> {
        Box::pin(async move {
            match self.ask(webhook_id, None, Some(quota)).await? {
                AdmitOutcome::Granted(Some(quota_state)) => Ok(Decision::Allowed(quota_state)),
                AdmitOutcome::OverQuota { retry_after, quota_state } => {
                    Ok(Decision::Denied { retry_after, quota_state })
                }
                AdmitOutcome::Granted(None) | AdmitOutcome::InProgress { .. } | AdmitOutcome::Finished => {
                    Err(unexpected())
                }
            }
        })
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        self.shard(webhook_id)
    }
}

impl ReplayStore for RedisStore {
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
                AdmitOutcome::OverQuota { .. } => Err(unexpected()),
            }
        })
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        // Add a second, because the entry must still exist during the second `until`.
        let through = |until: Timestamp| {
            let seconds = until.as_unix().saturating_sub(now.wall.as_unix()).saturating_add(1);
            Duration::from_secs(u64::try_from(seconds).unwrap_or_default().clamp(1, LONGEST_SECONDS))
        };
        let (stored_for, id_for) = (through(delivery.until), delivery.id.map(|id| through(id.until)));
        Box::pin(self.settle(delivery, move |keys| Settlement::commit(keys, by, stored_for, id_for)))
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.settle(delivery, move |keys| Settlement::release(keys, by, RELEASE_PATIENCE)))
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        _: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let Inner { router, prefix, .. } = &*self.inner;
            let names = Names::new(prefix, webhook_id);
            let keys = &[names.id(id)];
            let call =
                Call { script: Script::Forget, keys, arguments: |_: &mut Cmd, _: &Server| {}, began: Instant::now() };
            let (reply, _) = router.call(names.slot(), &call).await?;
            Ok(reply.numbers == [1])
        })
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        self.shard(webhook_id)
    }
}

impl SharedStore for RedisStore {
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

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { router, prefix, denials } = &*self.inner;
        f.debug_struct("RedisStore")
            .field("prefix", prefix)
            .field("up", &router.map.is_up())
            .field("denials", denials)
            .finish_non_exhaustive()
    }
}

fn check_keys(delivery: &Delivery<'_>) -> Result<(), StoreError> {
    if (1..=crate::replay::MAX_REPLAY_KEYS).contains(&delivery.keys.len()) {
        Ok(())
    } else {
        Err(StoreError::new("a delivery must have 1 to 9 replay keys"))
    }
}

/// How long to retry a release. The store does not know the lease of the claim. Releasing an expired claim has no
/// effect.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3_600);

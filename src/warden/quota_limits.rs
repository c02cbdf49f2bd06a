//! The quotas of accepted requests, by webhook id.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::id::WebhookId;
use super::monitor::{Monitor, SharedKind};
use super::quota_fields::Policy;
use crate::event::Warning;
use crate::future::catch_panic;
use crate::limit::{Decision, LocalLimiter, Quota, RateLimiter, Uncounted};
use crate::shared_store::SharedStore;

/// The quotas of accepted requests, by webhook id.
pub(super) struct QuotaLimits {
    pub(super) standard: Option<Policy>,
    pub(super) overrides: HashMap<String, Policy>,
    /// The limiter of this process, which is also the fallback of a shared limiter.
    pub(super) local: LocalLimiter,
    pub(super) shared: Option<Box<dyn RateLimiter>>,
    /// How many processes share the quotas.
    pub(super) replicas: NonZeroU32,
}

impl QuotaLimits {
    pub(super) fn policy_of(&self, webhook_id: &str) -> Option<&Policy> {
        self.overrides.get(webhook_id).or(self.standard.as_ref())
    }

    /// Counts one request, in `joint` or the shared limiter if there is one. If that fails, counts against this process's
    /// share.
    pub(super) async fn count(
        &self,
        monitor: &Monitor,
        webhook_id: &WebhookId,
        quota: &Quota,
        now: Duration,
        joint: Option<&dyn SharedStore>,
    ) -> Decision {
        let joint = joint.map(|store| -> &dyn RateLimiter { store });
        let Some(shared) = joint.or(self.shared.as_deref()) else {
            return self.count_locally(monitor, webhook_id, quota, now);
        };
        match catch_panic(async { shared.check(webhook_id.as_str(), quota).await }).await {
            // A limiter may return a cached denial without a call to its server.
            Ok(denied @ Decision::Denied { .. }) => denied,
            Ok(allowed) => {
                monitor.store_answered(SharedKind::Limits, webhook_id.as_str(), |id| shared.shard_of(id));
                allowed
            }
            Err(error) => {
                monitor.store_failed(SharedKind::Limits, webhook_id.as_str(), &error, |id| shared.shard_of(id));
                self.count_share(monitor, webhook_id, quota)
            }
        }
    }

    /// Counts against this process's share of a quota, while the shared count is unavailable.
    pub(super) fn count_share(&self, monitor: &Monitor, webhook_id: &WebhookId, quota: &Quota) -> Decision {
        monitor.warn(Warning::LimiterFellBack);
        self.count_locally(monitor, webhook_id, &quota.share(self.replicas), monitor.clock.monotonic())
    }

    fn count_locally(&self, monitor: &Monitor, webhook_id: &WebhookId, quota: &Quota, now: Duration) -> Decision {
        self.local.check_at(webhook_id.hash(), quota, now).unwrap_or_else(|Uncounted(decision)| {
            monitor.warn(Warning::AcceptedTableFull);
            decision
        })
    }
}

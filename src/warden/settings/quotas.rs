//! Quotas of accepted and of refused requests.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::require;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::limit::{LocalLimiter, Quota, RateLimiter, RejectedTraffic};
use crate::shared_store::SharedStore;
use crate::warden::quota_limits::QuotaLimits;

/// How many requests are accepted from each sender, and how many refused ones are tolerated from each peer.
///
/// | setting | counted by | default |
/// | --- | --- | --- |
/// | [`accepted`](Self::accepted) | webhook id | `Quota::per_minute(100)` |
/// | [`rejected`](Self::rejected) | peer; peer and webhook id | `Quota::per_minute(60)` for both |
/// | [`replicas`](Self::replicas) | processes that share the accepted quotas | 1 |
///
/// All quotas are per Warden: a peer that sends to two Wardens of one program has the quota of refused requests at each.
///
/// Accepted requests are counted in this process unless [`shared`](Self::shared) or
/// [`WardenBuilder::shared_store`](crate::warden::WardenBuilder::shared_store) is set. Wardens that share a store count a
/// webhook id together if both use it. Refused requests are always counted in this process.
///
/// ```
/// use hookwarden::warden::Quotas;
/// use hookwarden::{Keyring, Quota, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let quotas = Quotas::new().accepted(Quota::per_minute(300)?).accepted_for("acme", Quota::per_minute(3_000)?);
/// let warden = Warden::builder(scheme).sender("acme", keys).quotas(quotas).build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[must_use]
pub struct Quotas {
    accepted: Option<Quota>,
    accepted_for: HashMap<String, Quota>,
    rejected: Option<(Quota, Quota)>,
    shared: Option<Box<dyn RateLimiter>>,
    replicas: u32,
}

impl Quotas {
    /// 100 accepted requests a minute for each webhook id; 60 refused ones a minute for each peer, and for each peer and
    /// webhook id; counted in this process.
    pub fn new() -> Self {
        Self {
            accepted: Some(Quota::DEFAULT_ACCEPTED),
            accepted_for: HashMap::new(),
            rejected: Some((Quota::DEFAULT_REJECTED, Quota::DEFAULT_REJECTED)),
            shared: None,
            replicas: 1,
        }
    }

    /// The quota of accepted requests for each webhook id. A request over it is refused with 429, and a retry is accepted
    /// once the quota allows it.
    pub fn accepted(mut self, quota: Quota) -> Self {
        self.accepted = Some(quota);
        self
    }

    /// The quota of accepted requests for one webhook id, in place of [`accepted`](Self::accepted).
    pub fn accepted_for(mut self, webhook_id: impl Into<String>, quota: Quota) -> Self {
        self.accepted_for.insert(webhook_id.into(), quota);
        self
    }

    /// Accepts any number of requests for a webhook id that has no quota by [`accepted_for`](Self::accepted_for).
    pub fn danger_unlimited_accepted(mut self) -> Self {
        self.accepted = None;
        self
    }

    /// The quotas of refused requests, for each peer and for each peer and webhook id, per Warden. A peer over its quota is
    /// refused with 429 before its body is read.
    pub fn rejected(mut self, by_peer: Quota, by_peer_and_id: Quota) -> Self {
        self.rejected = Some((by_peer, by_peer_and_id));
        self
    }

    /// Lets each peer send any number of requests that are refused.
    pub fn danger_unlimited_rejected(mut self) -> Self {
        self.rejected = None;
        self
    }

    /// Counts accepted requests in `limiter`, which several processes share. While it fails, each process counts its own
    /// share of each quota ([`replicas`](Self::replicas)) and reports `LimiterFellBack`.
    pub fn shared(mut self, limiter: impl RateLimiter) -> Self {
        self.shared = Some(Box::new(limiter));
        self
    }

    /// How many processes share the limiter or the store, at least 1. While it fails, each of them counts that fraction of
    /// every quota, with a burst of at least one.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Refuses a quota for an id that none of the senders has.
    pub(super) fn check_ids(&self, has_sender: impl Fn(&str) -> bool) -> Result<(), ConfigError> {
        match self.accepted_for.keys().filter(|id| !has_sender(id)).min() {
            Some(id) => {
                let problem = format!("must name a sender: no sender has the webhook id {id:?}");
                Err(ConfigError::new("quotas.accepted_for", problem))
            }
            None => Ok(()),
        }
    }

    /// `shared_store` counts deliveries too; `counts_alone` if it has no deliveries to remember.
    pub(in crate::warden) fn build(
        self,
        shared_store: Option<&Arc<dyn SharedStore>>,
        counts_alone: bool,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Option<QuotaLimits>, Option<RejectedTraffic>), ConfigError> {
        let replicas =
            NonZeroU32::new(self.replicas).ok_or(ConfigError::new("quotas.replicas", "must be at least 1"))?;
        let is_limited = self.accepted.is_some() || !self.accepted_for.is_empty();
        require(
            self.shared.is_none() || shared_store.is_none(),
            "shared_store",
            "must not be set beside `Quotas::shared`: it counts the quotas itself; remove one of the two",
        )?;
        require(
            self.shared.is_none() || is_limited,
            "quotas.shared",
            "must not be set with `danger_unlimited_accepted`, which leaves nothing to count: remove one of the two",
        )?;
        require(
            shared_store.is_none() || !counts_alone || is_limited,
            "shared_store",
            "must not be set with `Replay::danger_off` and `danger_unlimited_accepted`, which leave nothing to store: \
             remove it",
        )?;
        require(
            replicas.get() == 1 || (is_limited && (self.shared.is_some() || shared_store.is_some())),
            "quotas.replicas",
            "must be 1 without a shared limiter: set `Quotas::shared` or `shared_store`, and a quota",
        )?;
        let shared: Option<Box<dyn RateLimiter>> = match (self.shared, shared_store) {
            (None, Some(store)) if counts_alone => Some(Box::new(store.clone())),
            (shared, _) => shared,
        };
        let accepted = is_limited.then(|| QuotaLimits {
            standard: self.accepted,
            overrides: self.accepted_for,
            local: LocalLimiter::new(clock.clone()),
            shared,
            replicas,
        });
        let rejected =
            self.rejected.map(|(peer, pair)| RejectedTraffic::new(peer, pair, REJECTED_CAPACITY, clock.clone()));
        Ok((accepted, rejected))
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas")
            .field("accepted", &self.accepted)
            .field("accepted_for", &self.accepted_for)
            .field("rejected", &self.rejected)
            .field("is_shared", &self.shared.is_some())
            .field("replicas", &self.replicas)
            .finish()
    }
}

/// Entries of each table.
const REJECTED_CAPACITY: usize = 65_536;

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
use crate::warden::quota_fields::Policy;
use crate::warden::quota_limits::QuotaLimits;

/// How many requests are accepted from each sender, and how many refused requests are permitted from each peer.
///
/// | setting | counted by | default |
/// | --- | --- | --- |
/// | [`accepted`](Self::accepted) | webhook id | `Quota::per_minute(100)` |
/// | [`rejected`](Self::rejected) | peer and webhook id | `Quota::per_minute(60)` |
/// | [`rejected_by_peer`](Self::rejected_by_peer) | peer, over all webhook ids | twice `rejected` |
/// | [`handshakes`](Self::handshakes) | peer and webhook id | `Quota::per_minute(60)` |
/// | [`replicas`](Self::replicas) | processes that share the accepted quotas | 1 |
///
/// All quotas are per Warden: a peer that sends to two Wardens of one program has a separate quota of refused requests
/// at each.
///
/// Accepted requests are counted in this process unless [`shared`](Self::shared) or
/// [`WardenBuilder::shared_store`](crate::warden::WardenBuilder::shared_store) is set. Wardens that share a store share
/// the quota of a webhook id that both of them use. Refused requests are always counted in this process.
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
    rejected: Option<Quota>,
    rejected_by_peer: Option<Quota>,
    handshakes: Option<Quota>,
    shared: Option<Box<dyn RateLimiter>>,
    replicas: u32,
}

impl Quotas {
    /// Permits 100 accepted requests a minute for each webhook id, and 60 refused requests a minute for each peer and
    /// webhook id, 120 for each peer. All are counted in this process.
    pub fn new() -> Self {
        Self {
            accepted: Some(Quota::DEFAULT_ACCEPTED),
            accepted_for: HashMap::new(),
            rejected: Some(Quota::DEFAULT_REJECTED),
            rejected_by_peer: None,
            handshakes: None,
            shared: None,
            replicas: 1,
        }
    }

    /// Sets the quota of accepted requests for each webhook id. A request over the quota is refused with 429. A retry
    /// is accepted once the quota allows it.
    pub fn accepted(mut self, quota: Quota) -> Self {
        self.accepted = Some(quota);
        self
    }

    /// Sets the quota of accepted requests for one webhook id, instead of [`accepted`](Self::accepted).
    pub fn accepted_for(mut self, webhook_id: impl Into<String>, quota: Quota) -> Self {
        self.accepted_for.insert(webhook_id.into(), quota);
        self
    }

    /// Accepts any number of requests for webhook ids without an [`accepted_for`](Self::accepted_for) quota.
    pub fn danger_unlimited_accepted(mut self) -> Self {
        self.accepted = None;
        self
    }

    /// Sets the quota of refused requests for each peer and webhook id, per Warden. Further requests of the peer for
    /// the id are refused with 429, before a key is looked up or the body is read.
    ///
    /// A request counts once its head has passed the checks. It stops counting when it is verified or fails by the
    /// receiver's fault, so the quota also limits how many requests are verified concurrently. Requests that are
    /// refused for their head only, such as stale requests, never count. Requests that are answered with 409, 429 or
    /// 503 do not count either.
    ///
    /// For 10 minutes after a verified delivery, the quota of its peer and webhook id is ten times as large, and so is
    /// the quota of its peer. So a tenant of a sending service that has a wrong secret does not block the other tenants
    /// at the same address. All requests without a known peer share one quota.
    pub fn rejected(mut self, quota: Quota) -> Self {
        self.rejected = Some(quota);
        self
    }

    /// Sets the quota of refused requests for each peer, over all its webhook ids, per Warden. The default is twice
    /// [`rejected`](Self::rejected), so that one webhook id cannot use all of it. An IPv6 peer is a /64 network.
    pub fn rejected_by_peer(mut self, quota: Quota) -> Self {
        self.rejected_by_peer = Some(quota);
        self
    }

    /// Permits any number of refused requests from each peer.
    pub fn danger_unlimited_rejected(mut self) -> Self {
        self.rejected = None;
        self
    }

    /// Sets the quota of unsigned [handshakes](crate::handshake) for each peer and webhook id, per Warden. Further ones are
    /// refused with 429. A peer has twice the quota for all its webhook ids. Handshakes with a wrong token count too, so that
    /// the quota limits guesses, and so do copies of signed handshakes, which also count like other duplicates as a tenth of a
    /// refused request.
    ///
    /// For signed handshakes, each webhook id has a second quota of the size of its [accepted](Self::accepted) requests, per
    /// Warden.
    pub fn handshakes(mut self, quota: Quota) -> Self {
        self.handshakes = Some(quota);
        self
    }

    pub(in crate::warden) const fn handshake_quota(&self) -> Option<Quota> {
        self.handshakes
    }

    /// Counts accepted requests in `limiter`, which several processes share. While the limiter fails, each process
    /// counts against its share of each quota ([`replicas`](Self::replicas)) and reports `LimiterFellBack`.
    pub fn shared(mut self, limiter: impl RateLimiter) -> Self {
        self.shared = Some(Box::new(limiter));
        self
    }

    /// Sets how many processes share the limiter or the store, at least 1. While it fails, each process permits that
    /// fraction of every quota, with a burst of at least one.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Returns an error if a quota is for an id that no sender has.
    pub(super) fn check_ids(&self, has_sender: impl Fn(&str) -> bool) -> Result<(), ConfigError> {
        match self.accepted_for.keys().filter(|id| !has_sender(id)).min() {
            Some(id) => {
                let problem = format!("must name a sender: no sender has the webhook id {id:?}");
                Err(ConfigError::new("quotas.accepted_for", problem))
            }
            None => Ok(()),
        }
    }

    /// `only_counts`: `shared_store` counts requests and stores no deliveries.
    pub(in crate::warden) fn build(
        self,
        shared_store: Option<&Arc<dyn SharedStore>>,
        only_counts: bool,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Option<QuotaLimits>, Option<RejectedTraffic>), ConfigError> {
        let replicas =
            NonZeroU32::new(self.replicas).ok_or(ConfigError::new("quotas.replicas", "must be at least 1"))?;
        let is_limited = self.accepted.is_some() || !self.accepted_for.is_empty();
        require(
            self.shared.is_none() || shared_store.is_none(),
            "shared_store",
            "must not be set with `Quotas::shared`: it counts the quotas itself; remove one of the two",
        )?;
        require(
            self.shared.is_none() || is_limited,
            "quotas.shared",
            "must not be set with `danger_unlimited_accepted`, which leaves nothing to count: remove one of the two",
        )?;
        require(
            shared_store.is_none() || !only_counts || is_limited,
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
            (None, Some(store)) if only_counts => Some(Box::new(store.clone())),
            (shared, _) => shared,
        };
        let accepted = is_limited.then(|| QuotaLimits {
            standard: self.accepted.map(Policy::from),
            overrides: self.accepted_for.into_iter().map(|(id, quota)| (id, quota.into())).collect(),
            local: LocalLimiter::new(clock.clone()),
            shared,
            replicas,
        });
        require(
            self.rejected.is_some() || self.rejected_by_peer.is_none(),
            "quotas.rejected_by_peer",
            "must not be set with `danger_unlimited_rejected`: remove one of the two",
        )?;
        let rejected = self.rejected.map(|by_pair| {
            let by_peer = self.rejected_by_peer.unwrap_or_else(|| by_pair.times(2));
            RejectedTraffic::new(by_peer, by_pair, REJECTED_CAPACITY)
        });
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
            .field("rejected_by_peer", &self.rejected_by_peer)
            .field("handshakes", &self.handshakes)
            .field("is_shared", &self.shared.is_some())
            .field("replicas", &self.replicas)
            .finish()
    }
}

/// Entries of each table.
const REJECTED_CAPACITY: usize = 65_536;

//! The handshakes of a Warden.

use std::net::IpAddr;
use std::time::Duration;

use super::accept::Accept;
use super::id::WebhookId;
use super::monitor::Monitor;
use super::stores::Stores;
use super::verified_delivery::VerifiedDelivery;
use crate::error::ConfigError;
use crate::event::Warning;
use crate::handshake::{ForgeryGuard, Handshake};
use crate::limit::{LocalLimiter, Peer, Quota, RejectedTraffic, Uncounted};
use crate::scheme::Scheme;
use crate::shared_store::AdmitOutcome;

/// The handshakes of a Warden, at least one.
pub(super) struct Handshakes {
    pub(super) unsigned: Vec<Handshake>,
    pub(super) signed: Vec<Handshake>,
    /// Counts unsigned handshakes, and copies of signed ones, by peer and webhook id.
    limit: RejectedTraffic,
    /// Counts signed handshakes by webhook id.
    signed_limit: LocalLimiter,
    /// Whether a delivery is refused if its whole body could be a challenge that is signed.
    pub(super) refuses_challenges: bool,
    /// Whether the answer to a signed handshake needs the keys.
    pub(super) needs_keys: bool,
}

impl Handshakes {
    /// Checks the handshakes. Returns `None` if there are none.
    pub(super) fn new(
        handshakes: Vec<Handshake>,
        quota: Option<Quota>,
        scheme: &Scheme,
        accept: &Accept,
    ) -> Result<Option<Box<Self>>, ConfigError> {
        let mut refuses_challenges = false;
        for handshake in &handshakes {
            handshake.check()?;
            handshake.check_complete()?;
            handshake.check_condition(scheme)?;
            if scheme.signature_headers().is_empty() && handshake.has_method_of(|method| accept.has_method(method)) {
                let problem = format!(
                    "must not be a method of deliveries: {} names no signature header, so that deliveries would be \
                     answered as handshakes",
                    scheme.name()
                );
                return Err(ConfigError::new("handshake.method", problem));
            }
            if handshake.mac_encoding().is_some() {
                refuses_challenges |= ForgeryGuard::of(scheme)? == ForgeryGuard::RefusedBodies;
            }
        }
        if handshakes.is_empty() {
            return match quota {
                None => Ok(None),
                Some(_) => {
                    let problem = "must not be set without a handshake: remove it, or call `handshake`";
                    Err(ConfigError::new("quotas.handshakes", problem))
                }
            };
        }
        let quota = quota.unwrap_or(Quota::DEFAULT_REJECTED);
        let (signed, unsigned): (Vec<_>, Vec<_>) = handshakes.into_iter().partition(Handshake::is_signed);
        Ok(Some(Box::new(Self {
            limit: RejectedTraffic::new(quota.times(PEER_FACTOR), quota, CAPACITY),
            signed_limit: LocalLimiter::default().with_capacity(CAPACITY),
            refuses_challenges,
            needs_keys: signed.iter().any(|handshake| handshake.mac_encoding().is_some()),
            unsigned,
            signed,
        })))
    }

    /// Counts a signed handshake against a quota of the same size as that of the sender's accepted requests. Returns the quota
    /// and the refusal if it is over.
    pub(super) fn count_signed(
        &self,
        stores: &Stores,
        delivery: &VerifiedDelivery,
        monitor: &Monitor,
    ) -> Option<(Quota, AdmitOutcome)> {
        let quota = stores.quota_of(delivery)?;
        let counted = self.signed_limit.check_at(delivery.id().hash(), &quota, monitor.clock.monotonic());
        let outcome = counted.unwrap_or_else(|Uncounted(decision)| {
            monitor.warn(Warning::HandshakeTableFull);
            decision
        });
        match outcome.into() {
            over @ AdmitOutcome::OverQuota { .. } => Some((quota, over)),
            _ => None,
        }
    }

    /// Counts a handshake against the quota of its peer and webhook id. Returns how long to wait if it is over.
    pub(super) fn count(
        &self,
        peer: Option<IpAddr>,
        id: Option<&WebhookId>,
        monitor: &Monitor,
    ) -> Result<(), Duration> {
        let now = monitor.clock.monotonic();
        match self.limit.reserve(peer.map(Peer::from), id.map(WebhookId::hash), now) {
            Ok(reservation) => {
                if reservation.table_is_full {
                    monitor.warn(Warning::HandshakeTableFull);
                }
                Ok(())
            }
            Err(blocked) => Err(blocked.wait),
        }
    }
}

/// How many times the quota of a pair of peer and webhook id a peer has for all ids.
const PEER_FACTOR: u32 = 2;

/// Entries of each table.
const CAPACITY: usize = 65_536;

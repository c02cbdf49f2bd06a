//! The handshakes of a Warden.

use super::accept::Accept;
use crate::error::ConfigError;
use crate::handshake::{ForgeryGuard, Handshake};
use crate::limit::{Quota, RejectedTraffic};
use crate::scheme::Scheme;

/// The handshakes of a Warden, at least one.
pub(super) struct Handshakes {
    pub(super) unsigned: Vec<Handshake>,
    pub(super) signed: Vec<Handshake>,
    pub(super) limit: RejectedTraffic,
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
            refuses_challenges,
            needs_keys: signed.iter().any(|handshake| handshake.mac_encoding().is_some()),
            unsigned,
            signed,
        })))
    }
}

/// How many times the quota of a pair of peer and webhook id a peer has for all ids.
const PEER_FACTOR: u32 = 2;

/// Entries of each table.
const CAPACITY: usize = 65_536;

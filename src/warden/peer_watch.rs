//! Detects deployments in which quotas by peer cannot work.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::event::Warning;

/// Detects a deployment in which quotas by peer cannot work, and warns once.
#[derive(Debug, Default)]
pub(super) struct PeerWatch {
    warned_unknown: AtomicBool,
    /// The number of successive requests from private addresses. The first public address ends the count permanently.
    private_streak: AtomicU32,
}

impl PeerWatch {
    pub(super) fn check(&self, peer: Option<IpAddr>, all_are_proxies: bool) -> Option<Warning> {
        let Some(peer) = peer else {
            return (!self.warned_unknown.swap(true, Ordering::Relaxed)).then_some(Warning::PeerUnknown);
        };
        if all_are_proxies || self.private_streak.load(Ordering::Relaxed) > PRIVATE_STREAK {
            return None;
        }
        if !is_private(peer) {
            self.private_streak.store(u32::MAX, Ordering::Relaxed);
            return None;
        }
        let more = |streak: u32| streak.checked_add(1);
        let before = self.private_streak.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        (before == Ok(PRIVATE_STREAK)).then_some(Warning::PeersAllPrivate)
    }
}

fn is_private(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local(),
    }
}

/// This many requests from private addresses in a row look like an undeclared proxy.
const PRIVATE_STREAK: u32 = 1_000;

//! What keys are called: `prefix:{id}:d:key` for a delivery, `prefix:{id}:q:burst:period` for a quota.
//!
//! The part in braces is what Redis Cluster chooses the slot by, so that all keys of a request are in one. It is the
//! hash of the webhook id, which may be long and holds whatever its sender wrote; and a replay key is part of a valid
//! signature, which nobody who reads the database should learn.

use super::Delivery;
use crate::crypto::mac::digest;
use crate::limit::Quota;

/// The names of one webhook id's keys.
pub(super) struct Names {
    stem: String,
}

impl Names {
    pub(super) fn new(prefix: &str, webhook_id: &str) -> Self {
        Self { stem: format!("{prefix}:{{{}}}", const_hex::encode(digest(webhook_id.as_bytes()))) }
    }

    pub(super) fn deliveries(&self, delivery: &Delivery<'_>) -> impl Iterator<Item = String> {
        let name =
            |key: &crate::verifier::ReplayKey| format!("{}:d:{}", self.stem, const_hex::encode(digest(key.as_bytes())));
        delivery.keys.iter().map(name)
    }

    /// A quota that was changed starts afresh.
    pub(super) fn quota(&self, quota: &Quota) -> String {
        format!("{}:q:{}:{}", self.stem, quota.burst(), quota.period().as_micros())
    }
}

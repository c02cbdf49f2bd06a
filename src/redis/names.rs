//! The names of keys: `prefix:{id}:d:key` for a delivery, `prefix:{id}:q:burst:period` for a quota.
//!
//! Redis Cluster chooses the slot by the part in braces, so all keys of a request are in one slot. That part is a hash
//! of the webhook id, because the id may be long and the client chooses its bytes. A replay key is hashed because with
//! HMAC it is part of a valid signature, which readers of the database must not learn.

use crate::crypto::mac::digest;
use crate::limit::Quota;
use crate::replay::Delivery;
use crate::verifier::ReplayKey;

/// The names of one webhook id's keys.
pub(super) struct Names {
    stem: String,
}

impl Names {
    pub(super) fn new(prefix: &str, webhook_id: &str) -> Self {
        Self { stem: format!("{prefix}:{{{}}}", const_hex::encode(digest(&[webhook_id.as_bytes()]))) }
    }

    pub(super) fn deliveries(&self, delivery: &Delivery<'_>) -> impl Iterator<Item = String> {
        let name = |key: &ReplayKey| format!("{}:d:{}", self.stem, const_hex::encode(digest(&[key.as_bytes()])));
        delivery.keys.iter().map(name)
    }

    /// Returns the name of a quota's key. A changed quota has another key and starts with its full burst.
    pub(super) fn quota(&self, quota: &Quota) -> String {
        format!("{}:q:{}:{}", self.stem, quota.burst(), quota.period().as_micros())
    }
}

//! The names of keys: `prefix:{id}:d:key` for a delivery, `prefix:{id}:i:key` for a delivery id,
//! `prefix:{id}:q:burst:period` for a quota.
//!
//! Redis Cluster chooses the slot by the part in braces, so all keys of a request are in one slot. That part is a hash
//! of the webhook id, because the id may be long and the client chooses its bytes. A replay key is hashed because with
//! HMAC it is part of a valid signature, which readers of the database must not learn.

use super::slot::slot_of;
use crate::crypto::mac::digest;
use crate::limit::Quota;
use crate::replay::Delivery;
use crate::verifier::ReplayKey;

/// The names of one webhook id's keys.
pub(super) struct Names {
    stem: String,
    slot: u16,
}

impl Names {
    pub(super) fn new(prefix: &str, webhook_id: &str) -> Self {
        let tag = const_hex::encode(digest(&[webhook_id.as_bytes()]));
        Self { slot: slot_of(&tag), stem: format!("{prefix}:{{{tag}}}") }
    }

    /// Returns the slot of all keys.
    pub(super) const fn slot(&self) -> u16 {
        self.slot
    }

    /// Returns the names of a delivery's keys, the one of its id last.
    pub(super) fn deliveries(&self, delivery: &Delivery<'_>) -> impl Iterator<Item = String> {
        let id = delivery.id.map(|id| self.id(id.key));
        delivery.keys.iter().map(|key| self.named('d', key)).chain(id)
    }

    /// Returns the name of a delivery id.
    pub(super) fn id(&self, id: ReplayKey) -> String {
        self.named('i', &id)
    }

    fn named(&self, kind: char, key: &ReplayKey) -> String {
        format!("{}:{kind}:{}", self.stem, const_hex::encode(digest(&[key.as_bytes()])))
    }

    /// Returns the name of a quota's key. A changed quota has another key and starts with its full burst.
    pub(super) fn quota(&self, quota: &Quota) -> String {
        format!("{}:q:{}:{}", self.stem, quota.burst(), quota.period().as_micros())
    }
}

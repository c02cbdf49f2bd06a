//! Finds the webhook id that caused most of a peer's refused requests.

use std::sync::{Mutex, PoisonError};

use arrayvec::{ArrayString, ArrayVec};

use crate::keyed_hash::HashedKey;

/// The pairs of peer and webhook id with the most refused requests recently.
///
/// There are at most 64 pairs, and a new one replaces the pair with the fewest refused requests. So a peer's most
/// charged id is found while it causes at least one of 64 refused requests.
#[derive(Debug, Default)]
pub(super) struct Offenders {
    entries: Mutex<ArrayVec<Offender, MAX_PAIRS>>,
}

#[derive(Debug)]
struct Offender {
    peer: HashedKey,
    pair: HashedKey,
    count: u32,
    last: u64,
    webhook_id: Label,
}

/// A webhook id, cut to 64 bytes.
pub(crate) type Label = ArrayString<LABEL_BYTES>;

impl Offenders {
    /// Records one refused request. `now` is in nanoseconds of the monotonic clock.
    pub(super) fn record(&self, peer: HashedKey, pair: HashedKey, webhook_id: &str, now: u64) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.iter_mut().find(|entry| entry.pair == pair) {
            entry.count = entry.count_at(now).saturating_add(1);
            entry.last = now;
            return;
        }
        if entries.is_full()
            && let Some((least, _)) = entries.iter().enumerate().min_by_key(|(_, entry)| entry.count_at(now))
        {
            entries.swap_remove(least);
        }
        entries.push(Offender { peer, pair, count: 1, last: now, webhook_id: label_of(webhook_id) });
    }

    /// Returns the webhook id of `peer` with the most refused requests, if it is known.
    pub(super) fn most_charged(&self, peer: HashedKey, now: u64) -> Option<Label> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = entries.iter().filter(|entry| entry.peer == peer && entry.count_at(now) > 0);
        of_peer.max_by_key(|entry| entry.count).map(|entry| entry.webhook_id)
    }
}

impl Offender {
    /// Returns the count, which expires after two minutes without refused requests.
    const fn count_at(&self, now: u64) -> u32 {
        if now.saturating_sub(self.last) < EXPIRY_NANOS { self.count } else { 0 }
    }
}

/// Cuts a webhook id at a character boundary.
fn label_of(webhook_id: &str) -> Label {
    let mut label = Label::new();
    for character in webhook_id.chars() {
        if label.try_push(character).is_err() {
            break;
        }
    }
    label
}

const MAX_PAIRS: usize = 64;

const LABEL_BYTES: usize = 64;

/// Two minutes.
const EXPIRY_NANOS: u64 = 120_000_000_000;

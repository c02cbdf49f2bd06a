//! The proof of a verification.

use smallvec::SmallVec;

use super::ReplayKey;
use crate::crypto::mac::{Macs, PreparedKeys, matches};
use crate::encoding::Tag;
use crate::error::{Fault, Reason};
use crate::secret::{KeyId, MAX_KEYS};
use crate::time::Timestamp;

/// The proof that a request was signed with a valid key and is fresh. Only a verification can make one.
#[derive(Debug, Clone)]
pub struct Verified {
    key_id: KeyId,
    timestamp: Option<Timestamp>,
    skew: Option<i64>,
    replay_keys: SmallVec<[ReplayKey; MAX_KEYS]>,
}

impl Verified {
    /// The key that matched. It shows the operator when an old key is no longer in use.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The timestamp that the sender signed, if the scheme has one.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The receiver's clock minus the timestamp, in seconds, if the scheme has one.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.skew
    }

    /// The identity of this delivery: one [`ReplayKey`] for each valid key, one to eight. A request that shares any of
    /// them is the same delivery.
    #[must_use]
    pub fn replay_keys(&self) -> &[ReplayKey] {
        &self.replay_keys
    }
}

/// Compares the MACs with the candidates. `reject` makes the error in place: converting the result later would copy the
/// proof.
#[inline]
pub(super) fn verdict<E>(
    keys: &PreparedKeys,
    candidates: &[Tag],
    macs: &Macs,
    timestamp: Option<Timestamp>,
    now: Timestamp,
    reject: impl FnOnce(Fault) -> E,
) -> Result<Verified, E> {
    let skew = timestamp.map(|stamp| now.seconds_since(stamp));
    match keys.reveal(matches(candidates, macs)) {
        Some(key_id) => {
            let mut verified = Verified { key_id, timestamp, skew, replay_keys: SmallVec::new() };
            verified.replay_keys.extend(macs.iter().filter_map(|(_, mac)| ReplayKey::of(mac)));
            Ok(verified)
        }
        None => {
            let reason = if macs.is_empty() { Reason::NoLiveKey } else { Reason::Mismatch };
            Err(reject(Fault::new(reason).with_skew(skew)))
        }
    }
}

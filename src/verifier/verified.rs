//! The proof of a verification.

use smallvec::SmallVec;

use super::ReplayKey;
use crate::crypto::mac::{Candidate, Macs, Matches, PreparedKeys, matches};
use crate::error::{Fault, Reason};
use crate::secret::KeyId;
use crate::time::Timestamp;

/// A proof that a request was signed with a valid key and is fresh. Only a verification can create it.
#[derive(Debug, Clone)]
pub struct Verified {
    key_id: KeyId,
    timestamp: Option<Timestamp>,
    /// The latest timestamp in the request.
    #[cfg(feature = "warden")]
    latest: Option<Timestamp>,
    skew: Option<i64>,
    replay_keys: SmallVec<[ReplayKey; 2]>,
}

impl Verified {
    /// The id of the key that matched. Log it to see whether senders still use an old key.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The timestamp that the sender signed, if the scheme has one. In a layout with groups it is the one in the group of
    /// the signature that matched.
    #[must_use]
    pub const fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// The receiver's clock minus the timestamp, in seconds, if the scheme has one.
    #[must_use]
    pub const fn skew(&self) -> Option<i64> {
        self.skew
    }

    /// The identity of this delivery: one [`ReplayKey`] for each valid key of an HMAC, one to eight, or one for each
    /// timestamp of a scheme with public keys; and one for an id that a custom scheme
    /// [adds](crate::crypto::Proven::with_delivery_id). A request that shares any of them is the same delivery.
    #[must_use]
    pub fn replay_keys(&self) -> &[ReplayKey] {
        &self.replay_keys
    }

    /// The latest timestamp in the request, which can be in another group than the signature that matched. A copy of the
    /// request with fewer groups can be fresh until it is stale.
    #[cfg(feature = "warden")]
    pub(crate) const fn latest_timestamp(&self) -> Option<Timestamp> {
        self.latest
    }

    /// Adds an unsigned id to the identity, to distinguish this delivery from others with the same signed content.
    #[cfg(feature = "warden")]
    pub(crate) fn join_id(&mut self, id: &[u8]) {
        self.replay_keys.iter_mut().for_each(|key| *key = key.joined_with(id));
    }
}

/// Compares the MACs with the candidates. `reject` creates the error here, because converting the result later would
/// copy the proof.
#[inline]
pub(super) fn verdict<E>(
    keys: &PreparedKeys,
    candidates: &[Candidate],
    macs: &Macs,
    times: &[Timestamp],
    now: Timestamp,
    reject: impl FnOnce(Fault) -> E,
) -> Result<Verified, E> {
    let replay_keys = macs.iter().filter_map(|mac| ReplayKey::of(&mac.tag));
    let reason = if macs.is_empty() { Reason::NoLiveKey } else { Reason::Mismatch };
    verified(keys, matches(candidates, macs), replay_keys, reason, times, now, reject)
}

/// Returns the proof if a key matches, or else rejects for `reason`.
#[inline]
pub(super) fn verified<E>(
    keys: &PreparedKeys,
    matches: Matches,
    replay_keys: impl Iterator<Item = ReplayKey>,
    reason: Reason,
    times: &[Timestamp],
    now: Timestamp,
    reject: impl FnOnce(Fault) -> E,
) -> Result<Verified, E> {
    let skew_of = |stamp: &Timestamp| now.seconds_since(*stamp);
    match keys.reveal(matches, times) {
        Some((key_id, timestamp)) => {
            let mut verified = Verified {
                key_id,
                timestamp,
                #[cfg(feature = "warden")]
                latest: times.iter().max().copied(),
                skew: timestamp.as_ref().map(skew_of),
                replay_keys: SmallVec::new(),
            };
            verified.replay_keys.reserve_exact(replay_keys.size_hint().1.unwrap_or_default());
            replay_keys.for_each(|key| verified.replay_keys.push(key));
            Ok(verified)
        }
        None => Err(reject(Fault::new(reason).with_skew(times.first().map(skew_of)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::{Layout, Scheme};
    use crate::secret::{Keyring, Secret};
    use crate::time::TimestampFormat;
    use crate::{Signer, Verifier};

    #[test]
    fn timestamps_of_a_request_with_two_groups() {
        let scheme = Scheme::timestamped().into_builder().layout(Layout::field_groups(' ', ',', "v1"));
        let scheme = scheme.timestamp_field("t", TimestampFormat::Seconds).build().unwrap();
        let ring = |secret| Keyring::new(Secret::from_text(secret).unwrap());
        let (now, old) = (Timestamp::from_unix(1_800_000_000), Timestamp::from_unix(1_799_999_900));
        let signed = Signer::new(scheme.clone(), ring("a")).unwrap().sign_body_at(b"{}", old).unwrap();
        let (name, value) = signed.iter().next().unwrap();
        let verifier = Verifier::new(scheme, ring("a")).unwrap();
        for (value, latest) in [
            (value.into(), old),
            (alloc::format!("{value} t=1799999901,v1=00"), Timestamp::from_unix(1_799_999_901)),
            (alloc::format!("t=1799999899,v1=00 {value}"), old),
        ] {
            let verified = verifier.verify_at(&[(name, &value)], b"{}", now).unwrap();
            assert_eq!(verified.timestamp(), Some(old), "{value}");
            #[cfg(feature = "warden")]
            assert_eq!(verified.latest_timestamp(), Some(latest), "{value}");
            assert!(latest >= old);
        }
    }
}

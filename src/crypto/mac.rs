//! HMAC states, keyed once and cloned for each message, and the comparison of MACs in constant time.

use alloc::sync::Arc;
use core::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use smallvec::SmallVec;
use subtle::{Choice, ConstantTimeEq as _};

use crate::encoding::Tag;
use crate::error::ConfigError;
use crate::secret::{KeyId, Keyring, MAX_KEYS, Window};
use crate::time::Timestamp;

/// The MAC of a scheme ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)). The scheme fixes it; a request cannot
/// choose another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC-SHA-256, 32 bytes.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "hmac-sha256"))]
    HmacSha256,
    /// HMAC-SHA-1, 20 bytes, for providers that still use it.
    #[cfg_attr(feature = "serde", serde(rename = "hmac-sha1"))]
    HmacSha1,
    /// HMAC-SHA-512, 64 bytes.
    #[cfg_attr(feature = "serde", serde(rename = "hmac-sha512"))]
    HmacSha512,
}

impl Algorithm {
    /// The size of a MAC in bytes.
    pub(crate) const fn tag_size(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha512 => 64,
        }
    }
}

/// The keys of one sender with their HMAC states, prepared for one scheme. Cheap to clone.
///
/// [`Scheme::prepare`](crate::scheme::Scheme::prepare) makes them. `Debug` prints the key ids only.
#[derive(Clone)]
pub struct PreparedKeys {
    keys: Arc<[PreparedKey]>,
    decoy: bool,
}

pub(crate) struct PreparedKey {
    pub(crate) id: KeyId,
    window: Window,
    mac: Mac,
}

impl PreparedKeys {
    pub(crate) fn new(algorithm: Algorithm, keyring: &Keyring) -> Result<Self, ConfigError> {
        let keys = keyring.iter().map(|key| {
            Ok(PreparedKey { id: key.id, window: key.window, mac: Mac::new(algorithm, key.secret.expose())? })
        });
        Ok(Self { keys: keys.collect::<Result<_, ConfigError>>()?, decoy: false })
    }

    /// Keys that cost as much as real ones, and under which nothing is accepted.
    #[cfg(feature = "warden")]
    pub(crate) fn into_decoy(self) -> Self {
        Self { decoy: true, ..self }
    }

    #[cfg(all(test, feature = "warden"))]
    pub(crate) const fn is_decoy(&self) -> bool {
        self.decoy
    }

    /// Whether the keys were prepared for `algorithm`. Under another one nothing would ever match.
    #[cfg(feature = "warden")]
    pub(crate) fn are_for(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().all(|key| key.mac.algorithm() == algorithm)
    }

    /// The newest of the keys that match, so that an old key shows as unused. `None` if nothing may be accepted.
    ///
    /// This is where a match becomes a decision; nothing else branches on one. The constant-time check finds this
    /// function by its name, so it must not be inlined.
    #[inline(never)]
    pub(crate) fn reveal(&self, matches: Matches) -> Option<KeyId> {
        if self.decoy || matches.0 == 0 {
            return None;
        }
        self.keys.get(usize::try_from(matches.0.trailing_zeros()).ok()?).map(|key| key.id)
    }

    /// The state of each key that counts at `now`, with the key's place in the ring.
    #[inline]
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = (u8, &Mac)> {
        (0_u8..).zip(&*self.keys).filter(move |(_, key)| key.window.contains(now)).map(|(index, key)| (index, &key.mac))
    }

    pub(crate) fn has_live(&self, now: Timestamp) -> bool {
        self.keys.iter().any(|key| key.window.contains(now))
    }

    #[cfg(feature = "warden")]
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl fmt::Debug for PreparedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| key.id)).finish()
    }
}

/// An HMAC in progress. Key material in it is wiped on drop.
#[derive(Clone)]
pub(crate) enum Mac {
    Sha256(Hmac<Sha256>),
    Sha1(Hmac<Sha1>),
    Sha512(Hmac<Sha512>),
}

impl Mac {
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, ConfigError> {
        match algorithm {
            Algorithm::HmacSha256 => Hmac::new_from_slice(key).map(Self::Sha256),
            Algorithm::HmacSha1 => Hmac::new_from_slice(key).map(Self::Sha1),
            Algorithm::HmacSha512 => Hmac::new_from_slice(key).map(Self::Sha512),
        }
        .map_err(|_| ConfigError::new("secret", "cannot key the algorithm"))
    }

    #[cfg(feature = "warden")]
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::HmacSha256,
            Self::Sha1(_) => Algorithm::HmacSha1,
            Self::Sha512(_) => Algorithm::HmacSha512,
        }
    }

    #[inline]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(bytes),
            Self::Sha1(mac) => mac.update(bytes),
            Self::Sha512(mac) => mac.update(bytes),
        }
    }

    /// The MAC of what was fed and `message`, on a copy of this state: one that has its own size, not that of the largest.
    #[inline]
    pub(crate) fn tag_of(&self, message: &(impl Message + ?Sized)) -> Option<Tag> {
        #[inline]
        fn tag(mut mac: impl hmac::Mac, message: &(impl Message + ?Sized)) -> Option<Tag> {
            message.feed(&mut |bytes| mac.update(bytes));
            Tag::from_bytes(&mac.finalize().into_bytes())
        }
        match self {
            Self::Sha256(mac) => tag(mac.clone(), message),
            Self::Sha1(mac) => tag(mac.clone(), message),
            Self::Sha512(mac) => tag(mac.clone(), message),
        }
    }
}

/// The input of a MAC, in pieces. A trait rather than a closure, so that the code is compiled for each algorithm.
pub(crate) trait Message {
    fn feed(&self, sink: &mut impl FnMut(&[u8]));
}

impl Message for [u8] {
    fn feed(&self, sink: &mut impl FnMut(&[u8])) {
        sink(self);
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(…)")
    }
}

/// The MACs of one message under each live key, with the key's place in the ring.
pub(crate) type Macs = SmallVec<[(u8, Tag); MAX_KEYS]>;

/// Which keys' MACs equal a candidate: a bit for each key, by its place in the ring.
#[derive(Clone, Copy)]
pub(crate) struct Matches(u8);

const _: () = assert!(MAX_KEYS <= 8, "each key has its bit");

/// Compares every candidate with every MAC, each to its end, and branches on none of it.
#[inline]
pub(crate) fn matches(candidates: &[Tag], macs: &Macs) -> Matches {
    let mut found = 0;
    for (place, mac) in macs {
        for candidate in candidates {
            found |= tags_equal(mac, candidate).unwrap_u8().wrapping_shl(u32::from(*place));
        }
    }
    Matches(found)
}

/// The first half of the SHA-256 of `bytes`, a name that does not reveal them.
#[cfg(feature = "redis")]
pub(crate) fn digest(bytes: &[u8]) -> [u8; 16] {
    use sha2::Digest as _;
    Sha256::digest(bytes).first_chunk().copied().unwrap_or_default()
}

fn tags_equal(mac: &Tag, candidate: &Tag) -> Choice {
    // The sizes are the scheme's and no secret; decoding let no other size through.
    let same_size = Choice::from(u8::from(mac.as_bytes().len() == candidate.as_bytes().len()));
    let differing = mac.words().zip(candidate.words()).fold(0, |bits, (a, b)| bits | (a ^ b));
    same_size & differing.ct_eq(&0)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::secret::{Key, Secret};

    fn prepared(secrets: &[&str], algorithm: Algorithm) -> PreparedKeys {
        let keys = secrets.iter().map(|text| Key::new(text, Secret::from_bytes(*text).unwrap()).unwrap());
        PreparedKeys::new(algorithm, &Keyring::from_keys(keys).unwrap()).unwrap()
    }

    fn macs_of(message: &[u8], keys: &PreparedKeys) -> Macs {
        let mac = |(place, mac): (u8, &Mac)| (place, mac.tag_of(message).unwrap());
        keys.live(Timestamp::from_unix(0)).map(mac).collect()
    }

    /// The name of the key that one of `candidates` is accepted under.
    fn accepted(keys: &PreparedKeys, candidates: &[Tag], macs: &Macs) -> Option<KeyId> {
        keys.reveal(matches(candidates, macs))
    }

    #[test]
    fn candidate_that_differs_in_any_bit_does_not_match() {
        for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha1, Algorithm::HmacSha512] {
            let keys = prepared(&["key"], algorithm);
            let macs = macs_of(b"message", &keys);
            let good = macs[0].1.clone();
            assert_eq!(accepted(&keys, core::slice::from_ref(&good), &macs), keys.keys.first().map(|key| key.id));
            for bit in 0..algorithm.tag_size() * 8 {
                let mut bytes = good.as_bytes().to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(accepted(&keys, &[Tag::from_bytes(&bytes).unwrap()], &macs), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn candidate_with_the_same_difference_in_two_places_does_not_match() {
        let keys = prepared(&["key"], Algorithm::HmacSha256);
        let macs = macs_of(b"message", &keys);
        for distance in [1, 4, 8, 16, 24] {
            let mut bytes = macs[0].1.as_bytes().to_vec();
            bytes[0] ^= 1;
            bytes[distance] ^= 1;
            assert_eq!(accepted(&keys, &[Tag::from_bytes(&bytes).unwrap()], &macs), None, "{distance} bytes apart");
        }
    }

    #[test]
    fn candidate_shorter_than_the_mac_does_not_match() {
        let keys = prepared(&["key"], Algorithm::HmacSha256);
        let macs = macs_of(b"message", &keys);
        for size in 0..32 {
            let short = Tag::from_bytes(&macs[0].1.as_bytes()[..size]).unwrap();
            assert_eq!(accepted(&keys, &[short], &macs), None, "{size} bytes");
        }
    }

    #[test]
    fn any_candidate_may_match_any_mac_and_the_newest_key_is_named() {
        let keys = prepared(&["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"], Algorithm::HmacSha256);
        let macs = macs_of(b"message", &keys);
        let of = |place: usize| macs[place].1.clone();
        let noise = Tag::from_bytes(&[0; 32]).unwrap();
        for (candidates, named) in [
            (vec![], None),
            (vec![noise.clone()], None),
            (vec![of(0)], Some("k0")),
            (vec![noise.clone(), of(3)], Some("k3")),
            (vec![of(7), noise.clone()], Some("k7")),
            (vec![of(6), of(6)], Some("k6")),
            (vec![of(2), of(5), noise.clone()], Some("k2")),
            (vec![of(5), noise, of(2)], Some("k2")),
        ] {
            let key_id = accepted(&keys, &candidates, &macs);
            assert_eq!(key_id.as_ref().map(KeyId::as_str), named, "{} candidates", candidates.len());
        }
        // A key that is not live has no MAC, and the others keep their places.
        let without_first: Macs = macs.iter().skip(1).cloned().collect();
        assert_eq!(accepted(&keys, &[of(0), of(4)], &without_first).unwrap().as_str(), "k4");
    }

    #[cfg(feature = "warden")]
    #[test]
    fn decoy_accepts_nothing() {
        let keys = prepared(&["key"], Algorithm::HmacSha256).into_decoy();
        let macs = macs_of(b"message", &keys);
        assert_eq!(accepted(&keys, &[macs[0].1.clone()], &macs), None);
    }
}

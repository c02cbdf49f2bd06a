//! The one file that names the cryptography: HMAC states that are keyed once and cloned for each message, and the
//! comparison that takes the same time whatever it compares.

use alloc::sync::Arc;
use core::fmt;

use arrayvec::ArrayVec;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use crate::encoding::Tag;
use crate::error::ConfigError;
use crate::secret::{KeyId, Keyring, MAX_KEYS, Window};
use crate::time::Timestamp;

/// The MAC of a scheme. The scheme alone decides on it; nothing in a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC-SHA-256, 32 bytes.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "hmac-sha256"))]
    HmacSha256,
    /// HMAC-SHA-1, 20 bytes, for providers that have not moved on.
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

/// The keys of one sender with their HMAC states already computed for one scheme. Cheap to clone.
///
/// Made by [`Scheme::prepare`](crate::Scheme::prepare).
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

    /// Keys that cost what real ones cost and that nothing is ever accepted under.
    #[cfg(feature = "warden")]
    pub(crate) fn into_decoy(self) -> Self {
        Self { decoy: true, ..self }
    }

    pub(crate) const fn is_decoy(&self) -> bool {
        self.decoy
    }

    #[inline]
    pub(crate) fn key_id(&self, index: u8) -> Option<KeyId> {
        self.keys.get(usize::from(index)).map(|key| key.id)
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
    fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, ConfigError> {
        match algorithm {
            Algorithm::HmacSha256 => Hmac::new_from_slice(key).map(Self::Sha256),
            Algorithm::HmacSha1 => Hmac::new_from_slice(key).map(Self::Sha1),
            Algorithm::HmacSha512 => Hmac::new_from_slice(key).map(Self::Sha512),
        }
        .map_err(|_| ConfigError::new("secret", "cannot key the algorithm"))
    }

    #[inline]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(bytes),
            Self::Sha1(mac) => mac.update(bytes),
            Self::Sha512(mac) => mac.update(bytes),
        }
    }

    #[cfg(feature = "diagnose")]
    pub(crate) fn finish(self) -> Option<Tag> {
        match self {
            Self::Sha256(mac) => Tag::from_bytes(&mac.finalize().into_bytes()),
            Self::Sha1(mac) => Tag::from_bytes(&mac.finalize().into_bytes()),
            Self::Sha512(mac) => Tag::from_bytes(&mac.finalize().into_bytes()),
        }
    }

    /// The MAC of what was fed and `message`, on a copy of this state: one that has its own size, not that of the largest.
    #[inline]
    pub(crate) fn tag_of(&self, message: &(impl Message + ?Sized)) -> Option<Tag> {
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

/// What a MAC is computed of, in pieces. A trait, and no closure, so that each algorithm is fed by code of its own.
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
pub(crate) type Macs = ArrayVec<(u8, Tag), MAX_KEYS>;

/// The place of the key whose MAC one of the candidates equals, if `acceptable` at all.
///
/// Every candidate is compared with every MAC and every comparison runs to its end. The verdict is the only thing that
/// is ever branched on, once, at the end.
#[inline]
pub(crate) fn matching_key(candidates: &[Tag], macs: &Macs, acceptable: bool) -> Option<u8> {
    let mut found = Choice::from(0);
    let mut key = 0_u8;
    // The newest key comes last and so is the one named where several match: an old one then shows as out of use.
    for (index, mac) in macs.iter().rev() {
        for candidate in candidates {
            let equal = tags_equal(mac, candidate);
            key.conditional_assign(index, equal);
            found |= equal;
        }
    }
    if bool::from(found & Choice::from(u8::from(acceptable))) { Some(key) } else { None }
}

/// The first half of the SHA-256 of `bytes`: a name for them that does not tell what they are.
#[cfg(feature = "redis")]
pub(crate) fn digest(bytes: &[u8]) -> [u8; 16] {
    use sha2::Digest as _;
    Sha256::digest(bytes).first_chunk().copied().unwrap_or_default()
}

/// A way to sign that a sender may have used, known to a scheme or not. It explains mismatches and verifies nothing.
#[cfg(feature = "diagnose")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// The HMAC of a scheme.
    Hmac(Algorithm),
    /// HMAC-SHA-384.
    HmacSha384,
    /// An HMAC that took the message for the key and the key for the message.
    Swapped(Algorithm),
    /// A plain hash, with the key before the message, behind it or nowhere.
    Hash(Algorithm, KeyPlace),
}

/// Where a plain hash has the key.
#[cfg(feature = "diagnose")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    Before,
    Behind,
    Nowhere,
}

#[cfg(feature = "diagnose")]
impl Method {
    /// The size of a tag in bytes.
    pub(crate) const fn tag_size(self) -> usize {
        match self {
            Self::Hmac(algorithm) | Self::Swapped(algorithm) | Self::Hash(algorithm, _) => algorithm.tag_size(),
            Self::HmacSha384 => 48,
        }
    }

    /// The tag of the message that `pieces` are when put together.
    pub(crate) fn tag(self, key: &[u8], pieces: &[&[u8]]) -> Option<Tag> {
        match self {
            Self::Hmac(algorithm) => {
                let mut mac = Mac::new(algorithm, key).ok()?;
                pieces.iter().for_each(|piece| mac.update(piece));
                mac.finish()
            }
            Self::HmacSha384 => {
                let mut mac = Hmac::<sha2::Sha384>::new_from_slice(key).ok()?;
                pieces.iter().for_each(|piece| mac.update(piece));
                Tag::from_bytes(&mac.finalize().into_bytes())
            }
            Self::Swapped(algorithm) => {
                let mut mac = Mac::new(algorithm, &pieces.concat()).ok()?;
                mac.update(key);
                mac.finish()
            }
            Self::Hash(Algorithm::HmacSha256, place) => hash::<Sha256>(key, pieces, place),
            Self::Hash(Algorithm::HmacSha1, place) => hash::<Sha1>(key, pieces, place),
            Self::Hash(Algorithm::HmacSha512, place) => hash::<Sha512>(key, pieces, place),
        }
    }
}

#[cfg(feature = "diagnose")]
fn hash<D: sha2::Digest>(key: &[u8], pieces: &[&[u8]], place: KeyPlace) -> Option<Tag> {
    let (before, behind) = match place {
        KeyPlace::Before => (key, &b""[..]),
        KeyPlace::Behind => (&b""[..], key),
        KeyPlace::Nowhere => (&b""[..], &b""[..]),
    };
    let mut hash = D::new_with_prefix(before);
    pieces.iter().for_each(|piece| hash.update(piece));
    hash.update(behind);
    Tag::from_bytes(&hash.finalize())
}

/// Whether `tag` begins with the whole of `start`, in a time that does not tell where they differ.
#[cfg(feature = "diagnose")]
pub(crate) fn begins_with(tag: &Tag, start: &[u8]) -> bool {
    tag.as_bytes().get(..start.len()).is_some_and(|first| bool::from(first.ct_eq(start)))
}

fn tags_equal(mac: &Tag, candidate: &Tag) -> Choice {
    // The sizes are the scheme's and no secret; decoding let no other size through.
    let same_size = Choice::from(u8::from(mac.as_bytes().len() == candidate.as_bytes().len()));
    let differing = mac.words().zip(candidate.words()).fold(0, |bits, (a, b)| bits | (a ^ b));
    same_size & differing.ct_eq(&0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn macs_under(key: &[u8], message: &[u8], algorithm: Algorithm) -> Macs {
        let keyring = Keyring::new(Secret::from_bytes(key).unwrap());
        let prepared = PreparedKeys::new(algorithm, &keyring).unwrap();
        let mac = |(index, mac): (u8, &Mac)| (index, mac.tag_of(message).unwrap());
        prepared.live(Timestamp::from_unix(0)).map(mac).collect()
    }

    #[test]
    fn candidate_that_differs_in_any_bit_does_not_match() {
        for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha1, Algorithm::HmacSha512] {
            let macs = macs_under(b"key", b"message", algorithm);
            let good = macs[0].1.clone();
            assert_eq!(matching_key(core::slice::from_ref(&good), &macs, true), Some(0));
            for bit in 0..algorithm.tag_size() * 8 {
                let mut bytes = good.as_bytes().to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(matching_key(&[Tag::from_bytes(&bytes).unwrap()], &macs, true), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn candidate_shorter_than_the_mac_does_not_match() {
        let macs = macs_under(b"key", b"message", Algorithm::HmacSha256);
        for size in 0..32 {
            let short = Tag::from_bytes(&macs[0].1.as_bytes()[..size]).unwrap();
            assert_eq!(matching_key(&[short], &macs, true), None, "{size} bytes");
        }
    }

    #[test]
    fn any_candidate_may_match_any_mac_and_names_its_key() {
        let (a, b) = (macs_under(b"a", b"m", Algorithm::HmacSha256), macs_under(b"b", b"m", Algorithm::HmacSha256));
        let macs: Macs = [(3, a[0].1.clone()), (5, b[0].1.clone())].into_iter().collect();
        let noise = Tag::from_bytes(&[0; 32]).unwrap();
        assert_eq!(matching_key(&[noise.clone(), a[0].1.clone()], &macs, true), Some(3));
        assert_eq!(matching_key(&[b[0].1.clone(), noise.clone()], &macs, true), Some(5));
        assert_eq!(matching_key(&[noise], &macs, true), None);
        assert_eq!(matching_key(&[], &macs, true), None);
    }

    #[test]
    fn newest_key_is_named_where_several_match() {
        let (a, b) = (macs_under(b"a", b"m", Algorithm::HmacSha256), macs_under(b"b", b"m", Algorithm::HmacSha256));
        let macs: Macs = [(0, a[0].1.clone()), (1, b[0].1.clone())].into_iter().collect();
        for candidates in [[a[0].1.clone(), b[0].1.clone()], [b[0].1.clone(), a[0].1.clone()]] {
            assert_eq!(matching_key(&candidates, &macs, true), Some(0));
        }
    }

    #[test]
    fn match_that_is_not_acceptable_is_none() {
        let macs = macs_under(b"key", b"message", Algorithm::HmacSha256);
        assert_eq!(matching_key(&[macs[0].1.clone()], &macs, false), None);
    }
}

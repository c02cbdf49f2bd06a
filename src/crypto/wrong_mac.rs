//! Wrong ways in which senders compute signatures. They are used to diagnose a mismatch, never to verify.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

use super::Algorithm;
use super::mac::{Mac, Message};
use super::public_key::verifies;
use crate::encoding::Tag;

/// A way to compute a signature from a key and a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// The HMAC of a scheme.
    Hmac(Algorithm),
    /// HMAC-SHA-384.
    HmacSha384,
    /// An HMAC with the message as its key and the key as its message.
    Swapped(Algorithm),
    /// A plain hash of the message and the key.
    Hash(Algorithm, KeyPlace),
    /// A signature with the private key.
    Signature(Algorithm),
}

/// The position of the key in a plain hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    Before,
    Behind,
    Nowhere,
}

impl Method {
    /// The size of a tag in bytes, or `None` if the algorithm has no tags.
    pub(crate) const fn tag_size(self) -> Option<usize> {
        match self {
            Self::Hmac(algorithm) | Self::Swapped(algorithm) | Self::Hash(algorithm, _) => algorithm.mac_size(),
            Self::HmacSha384 => Some(48),
            Self::Signature(_) => None,
        }
    }

    /// Returns the tag of the concatenated `pieces`.
    pub(crate) fn tag(self, key: &[u8], pieces: &[&[u8]]) -> Option<Tag> {
        match self {
            Self::Hmac(algorithm) => Mac::new(algorithm, key).ok()?.tag_of(pieces),
            Self::HmacSha384 => {
                let mut mac = Hmac::<Sha384>::new_from_slice(key).ok()?;
                pieces.feed(&mut |piece| mac.update(piece));
                Tag::from_bytes(&mac.finalize().into_bytes())
            }
            Self::Swapped(algorithm) => Mac::new(algorithm, &pieces.concat()).ok()?.tag_of(key),
            Self::Hash(Algorithm::HmacSha256, place) => hash::<Sha256>(key, pieces, place),
            Self::Hash(Algorithm::HmacSha1, place) => hash::<Sha1>(key, pieces, place),
            Self::Hash(Algorithm::HmacSha512, place) => hash::<Sha512>(key, pieces, place),
            Self::Hash(_, _) | Self::Signature(_) => None,
        }
    }

    /// Whether `signature` is one of the concatenated `pieces`, for a method with public keys.
    pub(crate) fn verifies(self, public_key: &[u8], pieces: &[&[u8]], signature: &[u8]) -> bool {
        match self {
            Self::Signature(algorithm) => verifies(algorithm, public_key, pieces, signature),
            _ => false,
        }
    }
}

fn hash<D: Digest>(key: &[u8], pieces: &[&[u8]], place: KeyPlace) -> Option<Tag> {
    let (before, after) = match place {
        KeyPlace::Before => (key, &b""[..]),
        KeyPlace::Behind => (&b""[..], key),
        KeyPlace::Nowhere => (&b""[..], &b""[..]),
    };
    let mut hash = D::new_with_prefix(before);
    pieces.feed(&mut |piece| hash.update(piece));
    hash.update(after);
    Tag::from_bytes(&hash.finalize())
}

/// Whether `tag` begins with `start`, compared in constant time.
pub(crate) fn begins_with(tag: &Tag, start: &[u8]) -> bool {
    tag.as_bytes().get(..start.len()).is_some_and(|first| bool::from(first.ct_eq(start)))
}

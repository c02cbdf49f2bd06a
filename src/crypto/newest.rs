//! Signing with the newest of the keys, whose algorithms can differ.

use alloc::vec::Vec;

use super::Algorithm;
use super::mac::{Mac, PreparedKeys};
use super::public_key::KeyPair;
use crate::time::Timestamp;

/// The newest key that is valid at a time.
pub(crate) enum NewestKey<'k> {
    Mac(&'k Mac),
    Pair(&'k KeyPair),
}

impl PreparedKeys {
    /// Returns the newest key that is valid at `now`.
    pub(crate) fn newest(&self, now: Timestamp) -> Option<NewestKey<'_>> {
        let newest = self.first_live(now)?;
        let mac = self.live(now).find(|(index, _)| *index == newest).map(|(_, mac)| NewestKey::Mac(mac));
        mac.or_else(|| Some(NewestKey::Pair(self.live_pairs(now).find(|(index, _)| *index == newest)?.1)))
    }
}

impl NewestKey<'_> {
    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Mac(mac) => mac.algorithm(),
            Self::Pair(pair) => pair.algorithm(),
        }
    }

    /// The thumbprint of the public key. An HMAC has none.
    pub(crate) fn thumbprint(&self) -> Option<&str> {
        match self {
            Self::Mac(_) => None,
            Self::Pair(pair) => Some(pair.thumbprint()),
        }
    }

    /// Returns the signature of `message`. `None` if the key is public, or there are no random numbers.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Mac(mac) => Some(mac.tag_of(message)?.as_bytes().to_vec()),
            Self::Pair(pair) => pair.sign(message),
        }
    }
}

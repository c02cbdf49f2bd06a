//! The identity of a delivery.

use core::fmt;

#[cfg(feature = "warden")]
use crate::crypto::mac::digest;
use crate::encoding::Tag;

/// Identifies a delivery by the first 16 bytes of the MAC that was computed for it or, if the scheme uses public keys, of
/// the SHA-256 of its signed content.
///
/// It is derived from the signed content, not from the received signature. Anyone can make another valid signature from
/// an ECDSA signature, and a signer can make several: they are the same delivery. Changing the case of the signature's
/// letters, changing unsigned headers, or removing one of several signatures does not make it another delivery. `Debug`
/// does not print the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 16]);

impl ReplayKey {
    pub(crate) fn of(mac: &Tag) -> Option<Self> {
        mac.as_bytes().first_chunk().copied().map(Self)
    }

    /// Returns the key of a delivery whose signed content has this SHA-256.
    pub(super) fn of_content(digest: &[u8; 32]) -> Self {
        Self(digest.first_chunk().copied().unwrap_or_default())
    }

    /// Returns the key of this signed content combined with an unsigned id. Different keys give different results for
    /// any ids, unless a SHA-256 truncated to 16 bytes collides.
    #[cfg(feature = "warden")]
    pub(crate) fn joined_with(&self, id: &[u8]) -> Self {
        Self(digest(&[&self.0, id]))
    }

    /// Returns the key of a delivery id, for [`DeliveryId`](crate::replay::DeliveryId). It is a hash of the id, so it cannot
    /// be the key of a MAC.
    #[cfg(feature = "warden")]
    #[must_use]
    pub fn of_delivery_id(id: &str) -> Self {
        Self::of_id_bytes(id.as_bytes())
    }

    #[cfg(feature = "warden")]
    pub(crate) fn of_id_bytes(id: &[u8]) -> Self {
        Self(digest(&[b"hookwarden delivery id", id]))
    }

    /// Creates a key from the bytes of [`as_bytes`](Self::as_bytes), or from any bytes for the tests of a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for use as a key in a store. Do not log them: with HMAC they are part of a valid signature, and with
    /// public keys a hash with which anyone can test guesses of the content.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayKey(…)")
    }
}

//! What identifies a delivery.

use core::fmt;

use crate::encoding::Tag;

/// Identifies a delivery by the first 16 bytes of the MAC that was computed for it.
///
/// It comes from what was signed and not from what was received: other letter case, other unsigned headers or one of
/// several signatures left out make no other delivery of it. `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 16]);

impl ReplayKey {
    pub(crate) fn of(mac: &Tag) -> Option<Self> {
        mac.as_bytes().first_chunk().copied().map(Self)
    }

    /// A key of the bytes that [`as_bytes`](Self::as_bytes) gave, or of any others for the tests of a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store's key. They are part of a valid signature, so they belong in no log.
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

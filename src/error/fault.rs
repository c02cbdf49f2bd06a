//! A refusal with its place in the scheme.

use super::Reason;

/// Why a head or a signature is refused, and the header at fault by its place in the scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) slot: Option<Slot>,
    pub(crate) skew: Option<i64>,
}

impl Fault {
    pub(crate) const fn new(reason: Reason) -> Self {
        Self { reason, slot: None, skew: None }
    }

    pub(crate) const fn at(reason: Reason, slot: Slot) -> Self {
        Self { reason, slot: Some(slot), skew: None }
    }

    pub(crate) const fn with_skew(self, skew: Option<i64>) -> Self {
        Self { skew, ..self }
    }
}

/// A header, by its place in the scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The n-th signature header.
    Signature(u8),
    /// The header that carries the timestamp.
    Timestamp,
    /// The header named by the n-th part of the signed template.
    Part(u8),
    /// The unsigned header by which a Warden distinguishes deliveries with equal bodies.
    #[cfg(feature = "warden")]
    DeliveryId,
}

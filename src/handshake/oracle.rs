//! Ensures that the MAC of a challenge is never the signature of a delivery.

use crate::error::ConfigError;
use crate::scheme::{Scheme, SignedPart};

/// Why no delivery has the MAC of a challenge as its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForgeryGuard {
    /// The signed content always has a character that a challenge cannot have.
    Literal,
    /// The signed content is the body, and the Warden refuses a body that could be a challenge.
    RefusedBodies,
}

impl ForgeryGuard {
    /// Returns the guard for a scheme.
    ///
    /// # Errors
    /// A challenge could be the signed content of a delivery.
    pub(crate) fn of(scheme: &Scheme) -> Result<Self, ConfigError> {
        let problem = if scheme.is_custom() {
            "the signed content of a custom scheme is not known"
        } else if scheme.algorithm().uses_public_keys() {
            "the scheme signs with private keys, which the receiver does not have"
        } else if scheme.signed().iter().any(has_other_character) {
            return Ok(Self::Literal);
        } else if matches!(scheme.signed(), [SignedPart::Body]) {
            return Ok(Self::RefusedBodies);
        } else {
            "a challenge could be the signed content of a delivery"
        };
        let problem = format!("must not have a MAC under {}: {problem}", scheme.name());
        Err(ConfigError::new("handshake.mac", problem))
    }
}

/// Whether each content that this part belongs to has a character that a challenge cannot have.
fn has_other_character(part: &SignedPart) -> bool {
    match part {
        SignedPart::Literal(text) | SignedPart::Url { base: text, .. } => !text.bytes().all(is_signable_byte),
        _ => false,
    }
}

/// Whether a MAC of the challenge may be computed.
pub(crate) fn is_signable(challenge: &[u8]) -> bool {
    (1..=MAX_SIGNABLE).contains(&challenge.len()) && are_signable(challenge)
}

/// Whether all bytes can be in a challenge whose MAC is computed.
pub(crate) fn are_signable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| is_signable_byte(*byte))
}

const fn is_signable_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The maximum length of a challenge whose MAC is computed, in bytes.
pub(crate) const MAX_SIGNABLE: usize = 128;

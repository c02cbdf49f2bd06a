//! What only few requests have in their log.

use super::answer::Answer;
use super::captures::CaptureName;
use crate::crypto::PreparedKeys;

/// What only few requests have in their log: at most one of these at a time.
pub(super) enum Rare {
    /// The keys of the verified request, for the answer to a signed handshake.
    Keys(PreparedKeys),
    /// The answer to a signed handshake.
    Answer(Answer),
    /// The capture of a refused request.
    Captured(CaptureName),
}

impl Rare {
    pub(super) fn capture_name(&self) -> Option<&str> {
        match self {
            Self::Captured(name) => Some(name.as_str()),
            Self::Keys(_) | Self::Answer(_) => None,
        }
    }
}

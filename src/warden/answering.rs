//! The answer to a signed handshake, and what it needs.

use super::answer::Answer;
use crate::crypto::PreparedKeys;

/// What the answer to a signed handshake needs, and then the answer.
pub(super) enum Answering {
    /// The keys of the verified request.
    Keys(PreparedKeys),
    Answer(Answer),
}

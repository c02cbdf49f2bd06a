//! Detects a body that could be a challenge: where challenges are signed for anyone, its signature proves nothing.

use super::request_log::RequestLog;
use crate::handshake::{MAX_SIGNABLE, are_signable};

impl RequestLog {
    /// Records whether the body can be a challenge.
    pub(super) fn note_chunk(&mut self, chunk: &[u8]) {
        let is_short = usize::try_from(self.body_bytes).is_ok_and(|bytes| bytes <= MAX_SIGNABLE);
        self.has_other_byte |= !is_short || !are_signable(chunk);
    }

    /// Whether the whole body could be a challenge whose MAC was computed for an unverified request.
    pub(super) fn could_be_challenge(&self) -> bool {
        let refuses = self.inner.handshakes.as_deref().is_some_and(|handshakes| handshakes.refuses_challenges);
        refuses && self.body_bytes > 0 && !self.has_other_byte
    }
}

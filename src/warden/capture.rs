//! Captures requests that are refused.

use super::captures::{BodyState, CapturedRequest, RefusedRequest};
use super::id::WebhookId;
use super::rare::Rare;
use super::request_log::RequestLog;
use super::signed_handshake::ReadBody;
use super::{Inner, Warden};
use crate::error::Reason;
use crate::event::RefusalReason;
use crate::headers::Head;
use crate::limit::Peer;

impl Warden {
    /// Returns the refused requests that are [captured](super::Captures::in_memory) in memory, the newest first. It is empty
    /// without captures, and if they are in a directory.
    #[must_use]
    pub fn captured_requests(&self) -> Vec<CapturedRequest> {
        let Inner { captures, monitor, .. } = &*self.inner;
        captures.as_ref().map(|store| store.list(monitor.clock.now().wall)).unwrap_or_default()
    }
}

impl RequestLog {
    /// Captures a request that is refused for `reason`, if captures are on. `read` is `None` if the body is not complete.
    #[inline]
    pub(super) fn capture<H: Head + ?Sized>(
        &mut self,
        reason: RefusalReason,
        head: &H,
        read: Option<ReadBody<'_, '_>>,
    ) {
        if self.inner.captures.is_some() {
            self.capture_now(reason, head, read);
        }
    }

    /// Returns whether a request with a body of `bytes` bytes may be captured with it.
    #[cfg(feature = "tower")]
    pub(super) fn may_capture(&self, bytes: u64) -> bool {
        let most = self.inner.captures.as_ref().map(|store| store.max_request_bytes());
        most.is_some_and(|most| usize::try_from(bytes).is_ok_and(|bytes| bytes <= most))
    }

    #[cold]
    #[inline(never)]
    fn capture_now<H: Head + ?Sized>(&mut self, reason: RefusalReason, head: &H, read: Option<ReadBody<'_, '_>>) {
        // After the key lookup, whether a request is captured must not depend on whether the webhook id is known. The check
        // of a custom scheme can refuse a known id for any reason.
        let cause = match reason {
            RefusalReason::UnknownId | RefusalReason::Unverified(_) if read.is_some() => Reason::Mismatch.into(),
            reason => reason,
        };
        let Some(store) = self
            .inner
            .captures
            .as_deref()
            .filter(|_| is_captured(cause) && self.rare.as_deref().and_then(Rare::capture_name).is_none())
        else {
            return;
        };
        let peer = self.peer.map(Peer::from);
        let rejected = self.inner.rejected.as_ref();
        let is_proven = rejected.is_some_and(|rejected| rejected.is_proven(peer, self.began.monotonic));
        if !store.admits(self.began.monotonic, cause, peer, is_proven) {
            return;
        }
        // The bytes of a body that is too large are not counted.
        let body = match read.filter(|_| reason != RefusalReason::BodyTooLarge) {
            None if self.body_bytes == 0 && !is_about_body(reason) => BodyState::NotRead,
            None => BodyState::Incomplete,
            Some(read) => match read(store.max_request_bytes()) {
                Some(body) if u64::try_from(body.len()) == Ok(self.body_bytes) => BodyState::Complete(body),
                _ => BodyState::LeftOut,
            },
        };
        let name = store.keep(
            &RefusedRequest {
                head,
                reason,
                time: self.began.wall,
                known_id: self.webhook_id.as_ref().map(WebhookId::as_str).filter(|_| self.known_id),
                signature_headers: self.inner.rules.scheme.signature_headers(),
            },
            body,
        );
        if let Some(name) = name {
            self.rare = Some(Box::new(Rare::Captured(name)));
        }
    }
}

/// Returns whether the body was too large, too slow or broke off, maybe before its first byte.
const fn is_about_body(reason: RefusalReason) -> bool {
    matches!(reason, RefusalReason::BodyTooLarge | RefusalReason::BodyTooSlow | RefusalReason::BodyInterrupted)
}

/// Returns whether a capture helps to find the cause of a refusal: the request did not verify, and the receiver is not at
/// fault.
const fn is_captured(reason: RefusalReason) -> bool {
    match reason {
        RefusalReason::Unverified(Reason::NoRequestLine)
        | RefusalReason::Replayed
        | RefusalReason::InProgress
        | RefusalReason::QuotaExceeded
        | RefusalReason::PeerBlocked
        | RefusalReason::HandshakeQuotaExceeded
        | RefusalReason::BodyBudgetExceeded
        | RefusalReason::KeyStoreUnavailable
        | RefusalReason::ReplayStoreUnavailable
        | RefusalReason::LookupPanicked
        | RefusalReason::Misconfigured => false,
        RefusalReason::Unverified(_)
        | RefusalReason::MethodNotAllowed
        | RefusalReason::UnsupportedMediaType
        | RefusalReason::UnknownId
        | RefusalReason::BodyTooLarge
        | RefusalReason::BodyTooSlow
        | RefusalReason::BodyInterrupted => true,
    }
}

//! What is known of a request so far, and the event that it ends with.

use std::fmt::Write as _;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayString;
use http::StatusCode;

use super::Inner;
use super::answer::{Answer, RetryHint};
use super::id::WebhookId;
use super::refused::Refused;
use crate::clock::ClockReading;
use crate::error::{Fault, Reason, Slot};
use crate::event::{Outcome, RefusalReason, SecurityEvent, Warning};
use crate::limit::{Charge, Peer, Reservation};
use crate::secret::KeyId;

/// The log of one request. Dropping it raises the event, so every request ends with one.
pub(super) struct RequestLog {
    pub(super) inner: Arc<Inner>,
    pub(super) began: ClockReading,
    pub(super) body_bytes: u64,
    pub(super) skew: Option<i64>,
    pub(super) key_id: Option<KeyId>,
    pub(super) known_id: bool,
    /// As the request names it. It counts against quotas only once the request is `identified`.
    pub(super) webhook_id: Option<WebhookId>,
    /// Whether the request reached key lookup.
    pub(super) identified: bool,
    /// When the claim was settled, by the monotonic clock.
    pub(super) ended: Option<Duration>,
    pub(super) status: Option<StatusCode>,
    reservation: Reservation,
    peer: Option<IpAddr>,
    outcome: Outcome,
    /// The header that a refusal is about.
    slot: Option<Slot>,
}

impl RequestLog {
    pub(super) const fn new(inner: Arc<Inner>, peer: Option<IpAddr>, began: ClockReading) -> Self {
        Self {
            inner,
            began,
            body_bytes: 0,
            skew: None,
            key_id: None,
            known_id: false,
            webhook_id: None,
            identified: false,
            ended: None,
            status: None,
            reservation: Reservation::None,
            peer,
            outcome: Outcome::Abandoned,
            slot: None,
        }
    }

    /// The present time, with the wall clock carried on from the request's beginning. That is enough for what this process
    /// remembers, which expires by both clocks.
    pub(super) fn now(&self) -> ClockReading {
        self.began.carried_on_to(self.inner.monitor.clock.monotonic())
    }

    /// Whether the request has exceeded its deadline.
    pub(super) fn is_overdue(&self, now: ClockReading) -> bool {
        now.monotonic.saturating_sub(self.began.monotonic) > self.inner.deadline
    }

    /// How long the peer is blocked, if it is. `webhook_id` also checks the block of the pair.
    pub(super) fn blocked_for(&self, webhook_id: Option<&str>) -> Option<Duration> {
        let rejected = self.inner.rejected.as_ref()?;
        rejected.blocked_for(Peer::from(self.peer?), webhook_id, self.began.monotonic)
    }

    /// Counts the request against its peer before a key store is asked. `Err` is how long the peer is blocked.
    pub(super) fn reserve(&mut self) -> Result<(), Duration> {
        if let (Some(rejected), Some(peer), Some(id)) = (&self.inner.rejected, self.peer, &self.webhook_id) {
            self.reservation = rejected.reserve(Peer::from(peer), id.as_str())?;
        }
        Ok(())
    }

    /// Returns the reservation: there are keys for the request, or the store failed.
    pub(super) fn return_reservation(&mut self) {
        let reserved = mem::replace(&mut self.reservation, Reservation::None) == Reservation::Counted;
        if let (true, Some(rejected), Some(peer)) = (reserved, &self.inner.rejected, self.peer) {
            rejected.take_back(Peer::from(peer));
        }
    }

    /// Notes that the peer sent a genuine request, which exempts the pair from its block for a while.
    pub(super) fn note_success(&self) {
        if let (Some(rejected), Some(peer), Some(id)) = (&self.inner.rejected, self.peer, &self.webhook_id) {
            rejected.note_success(Peer::from(peer), id.as_str(), self.began.monotonic);
        }
    }

    pub(super) fn conclude(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// Refuses the request: charges its peer if the peer is to blame, and makes the answer.
    pub(super) fn refuse(&mut self, reason: RefusalReason, hint: RetryHint) -> Refused {
        // A request is refused once. A second refusal must not charge its peer again.
        if self.refused().is_none() && is_charged(reason) {
            self.charge();
        }
        self.conclude(Outcome::Refused(reason));
        let inner = &self.inner;
        let answer = Answer::to(reason, hint, inner.duplicates_conflict, inner.answer_writer.as_ref());
        Refused::new(reason, answer.with_header(inner.accept.header_for(reason)))
    }

    /// [`refuse`](Self::refuse)s a request that did not pass verification.
    pub(super) fn reject(&mut self, fault: Fault) -> Refused {
        self.slot = fault.slot;
        self.skew = self.skew.or(fault.skew);
        self.refuse(fault.reason.into(), RetryHint::None)
    }

    pub(super) const fn refused(&self) -> Option<RefusalReason> {
        self.outcome.reason()
    }

    fn charge(&self) {
        let webhook_id = self.webhook_id.as_ref().filter(|_| self.identified).map(WebhookId::as_str);
        if let (Some(rejected), Some(peer)) = (&self.inner.rejected, self.peer)
            && rejected.charge(Peer::from(peer), webhook_id, self.reservation) == Charge::TableFull
        {
            self.inner.monitor.warn(Warning::RejectedTableFull);
        }
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        // Charge aborted requests that reached key lookup; otherwise hanging up makes lookups free.
        if self.outcome == Outcome::Abandoned && self.identified && self.key_id.is_none() {
            self.charge();
        }
        let Inner { rules, monitor, .. } = &*self.inner;
        let mut buffer = ArrayString::new();
        let webhook_id = self.webhook_id.as_ref().map(|id| label(id.as_str(), &mut buffer));
        let ended = self.ended.unwrap_or_else(|| monitor.clock.monotonic());
        monitor.observe(&SecurityEvent {
            outcome: self.outcome,
            status: self.status,
            webhook_id,
            known_id: self.known_id,
            peer: self.peer,
            key_id: self.key_id,
            header: self.slot.and_then(|slot| rules.scheme.header_in(slot)),
            skew: self.skew,
            body_bytes: self.body_bytes,
            duration: ended.saturating_sub(self.began.monotonic),
            scheme: rules.scheme.name(),
        });
    }
}

/// Whether a refused peer is charged. Not charged: a wrong method or content type, which browsers and probes send and
/// which costs less than a 429; what the sender's own quota or another copy in progress caused; the receiver's faults.
const fn is_charged(reason: RefusalReason) -> bool {
    match reason {
        RefusalReason::Unverified(Reason::NoRequestLine)
        | RefusalReason::MethodNotAllowed
        | RefusalReason::UnsupportedMediaType
        | RefusalReason::InProgress
        | RefusalReason::QuotaExceeded
        | RefusalReason::PeerBlocked
        | RefusalReason::KeyStoreUnavailable
        | RefusalReason::ReplayStoreUnavailable
        | RefusalReason::LookupPanicked
        | RefusalReason::Misconfigured => false,
        RefusalReason::Unverified(_)
        | RefusalReason::Replayed
        | RefusalReason::UnknownId
        | RefusalReason::BodyTooLarge
        | RefusalReason::BodyTooSlow
        | RefusalReason::BodyInterrupted => true,
    }
}

/// The id for a log: escaped, because a stranger wrote it, and cut.
fn label<'l>(id: &'l str, buffer: &'l mut ArrayString<LABEL_BYTES>) -> &'l str {
    let is_plain = |byte: u8| (byte.is_ascii_graphic() && byte != b'\\') || byte == b' ';
    if id.len() <= LABEL_BYTES && id.bytes().all(is_plain) {
        return id;
    }
    for character in id.chars() {
        let mut escaped = ArrayString::<12>::new();
        let written = if u8::try_from(character).is_ok_and(is_plain) {
            escaped.try_push(character).is_ok()
        } else {
            write!(escaped, "{}", character.escape_default()).is_ok()
        };
        if !written || buffer.try_push_str(&escaped).is_err() {
            break;
        }
    }
    buffer
}

/// The most bytes of a webhook id in an event.
const LABEL_BYTES: usize = 128;

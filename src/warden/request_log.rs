//! The log of a request, and the event that the request ends with.

use std::fmt::Write as _;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayString;
use http::StatusCode;

use super::Inner;
use super::body_budget;
use super::id::WebhookId;
use super::rare::Rare;
use crate::clock::ClockReading;
use crate::crypto::PreparedKeys;
use crate::error::Slot;
use crate::event::{Outcome, RefusalReason, SecurityEvent, Warning};
use crate::headers::FieldName;
use crate::limit::{Blocked, Peer, Reservation};
use crate::secret::KeyId;

/// The log of one request. Dropping it raises the event, so every request ends with one.
pub(super) struct RequestLog {
    pub(super) inner: Arc<Inner>,
    pub(super) began: ClockReading,
    pub(super) body_bytes: u64,
    pub(super) skew: Option<i64>,
    pub(super) key_id: Option<KeyId>,
    pub(super) known_id: bool,
    /// The id in the request, or after key lookup the canonical id if the key store names one.
    pub(super) webhook_id: Option<WebhookId>,
    /// When the claim was settled, by the monotonic clock.
    pub(super) ended: Option<Duration>,
    pub(super) status: Option<StatusCode>,
    pub(super) rare: Option<Box<Rare>>,
    /// Whether the delivery is a signed handshake that is answered, or over the quota.
    pub(super) is_handshake: bool,
    /// Whether the delivery has no id where the scheme names one.
    pub(super) lacks_id: bool,
    /// Whether the body has a byte that a challenge with a MAC cannot have.
    pub(super) has_other_byte: bool,
    /// Whether the request reaches the handler even if it would be refused.
    pub(super) passes_on: bool,
    reservation: Reservation,
    /// Whether the peer was over its quota for all webhook ids together.
    is_peer_blocked: bool,
    /// Whether the bytes of the body are taken from the byte budget.
    holds_bytes: bool,
    /// The peer's share of the byte budget.
    share: Option<u8>,
    pub(super) peer: Option<IpAddr>,
    outcome: Outcome,
    /// The header that a refusal is about.
    pub(super) slot: Option<Slot>,
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
            ended: None,
            status: None,
            rare: None,
            is_handshake: false,
            lacks_id: false,
            has_other_byte: false,
            passes_on: false,
            reservation: Reservation::NONE,
            is_peer_blocked: false,
            holds_bytes: false,
            share: None,
            peer,
            outcome: Outcome::Abandoned,
            slot: None,
        }
    }

    /// Returns the time. The wall clock is carried on from the start of the request, which is enough for the stores of
    /// this process: their entries expire by both clocks.
    pub(super) fn now(&self) -> ClockReading {
        self.began.carried_on_to(self.inner.monitor.clock.monotonic())
    }

    /// Returns whether the request has exceeded its deadline.
    pub(super) fn is_overdue(&self, now: ClockReading) -> bool {
        now.monotonic.saturating_sub(self.began.monotonic) > self.inner.deadline
    }

    /// Counts the request against its peer's quotas before it causes any work. Returns how long to wait if it is over.
    pub(super) fn reserve(&mut self) -> Result<(), Duration> {
        let Some(rejected) = &self.inner.rejected else { return Ok(()) };
        let id = self.webhook_id.as_ref().map(WebhookId::hash);
        match rejected.reserve(self.peer.map(Peer::from), id, self.began.monotonic) {
            Ok(reservation) => {
                self.share = reservation.peer_below(body_budget::SHARES);
                self.reservation = reservation;
                Ok(())
            }
            Err(Blocked { wait, by_peer }) => {
                self.is_peer_blocked = by_peer;
                Err(wait)
            }
        }
    }

    /// Stops counting the request: its failure is not the peer's fault.
    pub(super) fn refund(&mut self) {
        let reservation = mem::replace(&mut self.reservation, Reservation::NONE);
        if let Some(rejected) = &self.inner.rejected {
            rejected.refund(reservation, self.began.monotonic);
        }
    }

    /// Keeps the request counted: its failure is the peer's fault.
    pub(super) fn charge(&mut self) {
        let reservation = mem::replace(&mut self.reservation, Reservation::NONE);
        if reservation.table_is_full {
            self.inner.monitor.warn(Warning::RejectedTableFull);
        }
        if let (Some(rejected), Some(id)) = (&self.inner.rejected, &self.webhook_id) {
            rejected.blame(id.as_str(), reservation, self.began.monotonic);
        }
    }

    /// Counts the request for less than a failure: it duplicates a verified delivery.
    pub(super) fn charge_duplicate(&mut self) {
        let reservation = mem::replace(&mut self.reservation, Reservation::NONE);
        if let Some(rejected) = &self.inner.rejected {
            rejected.count_duplicate(reservation, self.began.monotonic);
        }
    }

    /// Records that the peer sent a verified request, which raises its quotas for a while.
    pub(super) fn prove(&mut self) {
        let reservation = mem::replace(&mut self.reservation, Reservation::NONE);
        if let Some(rejected) = &self.inner.rejected {
            rejected.prove(reservation, self.began.monotonic);
        }
    }

    /// Takes the growth of the body to `bytes` bytes from the byte budget. Returns `false` if it does not fit.
    pub(super) fn hold_up_to(&mut self, bytes: u64) -> bool {
        let copies = self.inner.body_copies;
        let held = if self.holds_bytes { self.body_bytes } else { 0 };
        let is_within =
            self.inner.body_budget.take(held.saturating_mul(copies), bytes.saturating_mul(copies), self.share);
        self.holds_bytes |= is_within;
        is_within
    }

    /// Returns whether the byte budget has room for a body of `bytes` bytes, without taking them. A request with an
    /// unknown webhook id takes nothing, because its body is dropped, but is refused like one with a known id.
    pub(super) fn could_hold(&self, bytes: u64) -> bool {
        self.inner.body_budget.fits(bytes.saturating_mul(self.inner.body_copies), self.share)
    }

    /// Returns the bytes of the body to the byte budget.
    pub(super) fn release_bytes(&mut self) {
        if mem::take(&mut self.holds_bytes) {
            self.inner.body_budget.release(self.body_bytes.saturating_mul(self.inner.body_copies), self.share);
        }
    }

    /// Records whether the key store has keys, and the sender's canonical id if the store names one.
    pub(super) fn note_keys(&mut self, keys: Option<&PreparedKeys>) {
        self.known_id = keys.is_some();
        if let Some(id) = keys.and_then(PreparedKeys::shared_webhook_id) {
            self.webhook_id = Some(WebhookId::from(id));
        }
    }

    pub(super) fn conclude(&mut self, outcome: Outcome) {
        self.outcome = match outcome {
            Outcome::Accepted if self.is_handshake => Outcome::Handshake,
            outcome => outcome,
        };
    }

    pub(super) const fn refused(&self) -> Option<RefusalReason> {
        self.outcome.reason()
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        self.release_bytes();
        // Charge aborted requests that were not verified; otherwise hanging up makes lookups free.
        if self.key_id.is_none() {
            self.charge()
        } else {
            self.refund()
        }
        let Inner { rules, monitor, stores, .. } = &*self.inner;
        // A handshake usually has no id.
        if self.lacks_id && !self.is_handshake {
            monitor.warn(Warning::DeliveryIdMissing);
        }
        let (mut buffer, mut charged_buffer) = (ArrayString::new(), ArrayString::new());
        let rejected = self.inner.rejected.as_ref().filter(|_| self.is_peer_blocked);
        let most_charged =
            rejected.and_then(|rejected| rejected.most_charged(self.peer.map(Peer::from), self.began.monotonic));
        let webhook_id = self.webhook_id.as_ref().map(|id| label(id.as_str(), &mut buffer));
        let ended = self.ended.unwrap_or_else(|| monitor.clock.monotonic());
        let report_only = monitor.report_only.as_ref();
        if report_only.is_some_and(|report_only| report_only.is_warning_due(ended)) {
            monitor.warn(Warning::ReportOnly);
        }
        monitor.observe(&SecurityEvent {
            outcome: self.outcome,
            status: self.status,
            webhook_id,
            known_id: self.known_id,
            most_charged_id: most_charged.as_deref().map(|id| label(id, &mut charged_buffer)),
            peer: self.peer,
            key_id: self.key_id,
            header: self.slot.and_then(|slot| match slot {
                Slot::DeliveryId => stores.id_header().map(FieldName::as_str),
                slot => rules.scheme.header_in(slot),
            }),
            capture: self.rare.as_deref().and_then(Rare::capture_name),
            skew: self.skew,
            body_bytes: self.body_bytes,
            duration: ended.saturating_sub(self.began.monotonic),
            scheme: rules.scheme.name(),
            report_only: self.passes_on && self.outcome != Outcome::Handshake,
        });
    }
}

/// Escapes and truncates an id for a log, because an unverified client may have written it.
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

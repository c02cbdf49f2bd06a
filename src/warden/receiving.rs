//! Steps 5 to 7: the body, the signature, then the claim and the quota.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;

use futures_util::future::{Either, select};

use super::Inner;
use super::admitted::Admitted;
use super::answer::RetryHint;
use super::body_budget;
use super::body_id;
use super::conclude::{admit_now, conclude};
use super::delivery_ids::HeaderId;
use super::id::WebhookId;
use super::refused::Refused;
use super::request_log::RequestLog;
use super::signed_handshake::{Sent, Verdict};
use super::verified_delivery::VerifiedDelivery;
use crate::clock::ClockReading;
use crate::error::{Fault, Reason};
use crate::event::RefusalReason;
use crate::headers::{Head, NoHeaders};
use crate::scheme::DeliveryIdSource;
use crate::verifier::{ReplayKey, Verification, Verified};

/// A request whose body is arriving.
///
/// [`Examined::identify`](super::Examined::identify) returns it. The body is hashed in chunks of any size:
///
/// ```
/// use hookwarden::warden::{Admitted, Receiving, Refused};
///
/// fn receive<'b>(
///     mut receiving: Receiving,
///     content_length: Option<u64>,
///     chunks: impl Iterator<Item = &'b [u8]>,
/// ) -> Result<Admitted, Refused> {
///     if let Some(bytes) = content_length {
///         receiving.expect(bytes)?; // 413 before the body is read
///     }
///     for chunk in chunks {
///         receiving.update(chunk)?;
///     }
///     receiving.finish()
/// }
/// ```
///
/// Do not parse the body before [`finish`](Self::finish) returns `Ok`: until then it is not verified.
#[must_use = "the request is not verified yet"]
pub struct Receiving {
    pub(super) verification: Verification,
    pub(super) header_id: Option<HeaderId>,
    /// The reason of the refusal if the keys are a decoy.
    pub(super) decoy: Option<RefusalReason>,
    pub(super) log: RequestLog,
}

impl Receiving {
    /// Checks that a body of `bytes` bytes, announced by `Content-Length`, is within the body limit.
    ///
    /// # Errors
    /// Returns an error if it is larger.
    pub fn expect(&mut self, bytes: u64) -> Result<(), Refused> {
        let fits = usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.log.inner.body_limit);
        if fits { Ok(()) } else { Err(self.refuse(RefusalReason::BodyTooLarge)) }
    }

    /// Hashes the next bytes of the raw body (step 5).
    ///
    /// # Errors
    /// Returns an error if the body is larger than the body limit, or if all unverified bodies together exceed
    /// [`BodyLimits::max_bytes_in_flight`](super::BodyLimits::max_bytes_in_flight).
    pub fn update(&mut self, chunk: &[u8]) -> Result<(), Refused> {
        let total = self.log.body_bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        self.expect(total)?;
        // Captures, a Warden that only reports and the check of a custom scheme keep the body of an unknown id too.
        let Inner { rules, monitor, captures, .. } = &*self.log.inner;
        let keeps_all = rules.scheme.keeps_body() || captures.is_some() || monitor.report_only.is_some();
        let fits =
            if self.decoy.is_none() || keeps_all { self.log.hold_up_to(total) } else { self.log.could_hold(total) };
        if !fits {
            return Err(self.log.refuse(RefusalReason::BodyBudgetExceeded, RetryHint::For(body_budget::RETRY)));
        }
        self.log.body_bytes = total;
        if self.log.inner.handshakes.is_some() {
            self.log.note_chunk(chunk);
        }
        self.verification.update(chunk);
        Ok(())
    }

    /// Returns whether the body can still be accepted or captured. If not, its bytes are still hashed, so that the answer
    /// takes the same time, and are then dropped.
    #[cfg(feature = "tower")]
    #[must_use]
    pub(crate) fn keeps_body(&self) -> bool {
        self.decoy.is_none() || self.log.may_capture(self.log.body_bytes)
    }

    /// Checks the signature of the complete body, then claims the delivery and counts it against its quota (steps 6 and
    /// 7).
    ///
    /// # Errors
    /// Returns an error if the request is refused. A request that was refused for its size stays refused. A request
    /// past its deadline is refused as too slow, because an earlier copy of it may have expired from the replay store.
    /// A Warden with a shared store refuses every request here: use [`finish_async`](Self::finish_async). For a Warden
    /// that has signed handshakes or reads ids from bodies, it refuses requests whose body it needs: use [`finish_request`](Self::finish_request).
    pub fn finish(self) -> Result<Admitted, Refused> {
        self.admit_now(None::<Sent<'_, '_, NoHeaders>>)
    }

    /// Like [`finish`](Self::finish), for a Warden with signed [handshakes](crate::handshake) or
    /// [`Replay::body_delivery_id`](super::Replay::body_delivery_id). `head` is the one that was examined, and `body` the
    /// complete raw body that was hashed. Call [`Admitted::take_handshake_answer`] before the handler.
    ///
    /// # Errors
    /// As for [`finish`](Self::finish). A request whose hashed body had another length is refused.
    pub fn finish_request<H: Head + ?Sized>(self, head: &H, body: &[u8]) -> Result<Admitted, Refused> {
        self.admit_now(Some(Sent { head, body: &|_| Some(Cow::Borrowed(body)) }))
    }

    fn admit_now<H: Head + ?Sized>(mut self, sent: Option<Sent<'_, '_, H>>) -> Result<Admitted, Refused> {
        let verdict = self.verify(sent)?;
        admit_now(self.log, verdict)
    }

    /// Like [`finish_request`](Self::finish_request). It moves only what is left of the request out of the box.
    #[cfg(feature = "tower")]
    pub(crate) fn admit_boxed<H: Head + ?Sized>(
        mut self: Box<Self>,
        sent: Option<Sent<'_, '_, H>>,
    ) -> Result<Admitted, Refused> {
        let verdict = self.verify(sent)?;
        admit_now(self.log, verdict)
    }

    /// Like [`finish`](Self::finish), but waits for shared stores.
    ///
    /// # Errors
    /// Returns an error if the request is refused.
    pub fn finish_async(self) -> impl Future<Output = Result<Admitted, Refused>> + Send {
        self.finish_until(None::<Sent<'_, '_, NoHeaders>>, pending())
    }

    /// Like [`finish_request`](Self::finish_request), but waits for shared stores.
    ///
    /// # Errors
    /// Returns an error if the request is refused.
    pub fn finish_request_async<'r, H: Head + Sync + ?Sized>(
        self,
        head: &'r H,
        body: &'r [u8],
    ) -> impl Future<Output = Result<Admitted, Refused>> + Send + use<'r, H> {
        self.finish_until(Some(Sent { head, body: &|_| Some(Cow::Borrowed(body)) }), pending())
    }

    /// Waits for the stores until `deadline` completes. A store that has not answered by then counts as unavailable.
    pub(crate) fn finish_until<'r, H: Head + ?Sized, D: Future<Output = ()>>(
        mut self,
        sent: Option<Sent<'r, '_, H>>,
        deadline: D,
    ) -> impl Future<Output = Result<Admitted, Refused>> + use<'r, H, D> {
        // Verify before the future is created, so that it does not hold the state of the hash.
        let verified = self.verify(sent);
        let mut log = self.log;
        async move {
            let (delivery, verified_at, challenging) = verified?;
            let admission = {
                // Shared stores compute the time to live from the wall clock, which may have been set since the timestamp was
                // found fresh. With the earlier of both, the delivery is stored for as long as either accepts the timestamp.
                let now = log.inner.monitor.clock.now();
                let now = ClockReading { wall: now.wall.min(verified_at.wall), ..now };
                let admitting = async {
                    let admission = log.inner.stores.admit(&delivery, now, challenging.is_none()).await;
                    let Some(challenging) = challenging else { return admission };
                    // Boxed to keep this future small for deliveries.
                    Box::pin(log.answer_admitted(&delivery, admission, challenging)).await
                };
                match select(pin!(admitting), pin!(deadline)).await {
                    Either::Left((admission, _)) => Some(admission),
                    Either::Right(_) => None,
                }
            };
            let admission = admission.or_else(|| Some(log.inner.stores.time_out(&delivery)));
            conclude(log, delivery, admission)
        }
    }

    /// Verifies the request, and captures it if it is refused.
    #[inline]
    fn verify<'r, H: Head + ?Sized>(&mut self, sent: Option<Sent<'r, '_, H>>) -> Result<Verdict<'r, H>, Refused> {
        let read = sent.as_ref().map(|Sent { head, body }| (*head, *body));
        let verdict = self.verdict(sent);
        if let (Err(refused), Some((head, body))) = (&verdict, read) {
            self.log.capture(refused.reason(), head, Some(body));
        }
        verdict
    }

    #[inline]
    fn verdict<'r, H: Head + ?Sized>(&mut self, sent: Option<Sent<'r, '_, H>>) -> Result<Verdict<'r, H>, Refused> {
        let now = self.log.now();
        if let Some(reason) = self.log.refused() {
            return Err(self.refuse(reason));
        }
        if self.log.is_overdue(now) {
            return Err(self.refuse(RefusalReason::BodyTooSlow));
        }
        // The body is complete, so it no longer counts as in flight.
        self.log.release_bytes();
        let verdict = self.verification.verdict(self.log.webhook_id.as_ref().map(WebhookId::as_str));
        match (verdict, self.log.webhook_id.clone(), self.decoy) {
            (Ok(_), _, None) if self.log.could_be_challenge() => Err(self.log.reject(Fault::new(Reason::Mismatch))),
            (Ok(mut verified), Some(webhook_id), None) => {
                self.log.key_id = Some(verified.key_id());
                self.log.keep_keys(self.verification.keys());
                let read = sent.zip(self.log.inner.max_read_body());
                let read = read.and_then(|(Sent { head, body }, max)| Some((head, body(max)?)));
                let read = read.filter(|(_, body)| u64::try_from(body.len()) == Ok(self.log.body_bytes));
                let id_key = self.identify_delivery(&mut verified, read.as_ref().map(|(_, body)| &**body))?;
                let challenging = match read {
                    Some((head, body)) => self.log.challenging(head, body),
                    None if self.log.may_be_handshake() => return Err(self.refuse(RefusalReason::Misconfigured)),
                    None => None,
                };
                Ok((VerifiedDelivery::new(webhook_id, verified, id_key), now, challenging))
            }
            (Err(fault), _, None) => Err(self.log.reject(fault)),
            (_, _, decoy) => Err(self.refuse(decoy.unwrap_or(RefusalReason::UnknownId))),
        }
    }

    /// Returns the key of the id that the sender signed. Joins an unsigned id to the identity of the delivery.
    fn identify_delivery(
        &mut self,
        verified: &mut Verified,
        body: Option<&[u8]>,
    ) -> Result<Option<ReplayKey>, Refused> {
        let id_key = match (self.log.inner.stores.signed_id(), &self.header_id, body) {
            (None, None, _) => return Ok(None),
            (None, Some(id), _) => {
                verified.join_id(id);
                return Ok(None);
            }
            (Some(DeliveryIdSource::Header(_)), id, _) => {
                Ok(id.as_ref().filter(|id| !id.is_empty()).map(|id| ReplayKey::of_id_bytes(id)))
            }
            (Some(DeliveryIdSource::Body(pointer)), id, Some(body)) => {
                if let Some(id) = id {
                    verified.join_id(id);
                }
                Ok(body_id::read(pointer, body))
            }
            (Some(DeliveryIdSource::Body(_)), ..) => Err(RefusalReason::Misconfigured),
        };
        let id_key = id_key.map_err(|reason| self.refuse(reason))?;
        self.log.lacks_id = id_key.is_none();
        Ok(id_key)
    }

    /// Captures a request that is refused before its body is complete.
    #[cfg(feature = "tower")]
    pub(crate) fn captured<H: Head + ?Sized>(&mut self, refused: Refused, head: &H) -> Refused {
        self.log.capture(refused.reason(), head, None);
        refused
    }

    /// Refuses the request for `reason`, for example an error while its body was read.
    pub(crate) fn refuse(&mut self, reason: RefusalReason) -> Refused {
        self.log.refuse(reason, RetryHint::None)
    }
}

impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("body_bytes", &self.log.body_bytes).finish_non_exhaustive()
    }
}

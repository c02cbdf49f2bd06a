//! Answers signed handshakes, once their delivery is verified.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use serde_json::Value;

use super::Inner;
use super::admission::Admission;
use super::admitted::Admitted;
use super::answer::Answer;
use super::claim::PendingClaim;
use super::id::WebhookId;
use super::rare::Rare;
use super::request_log::RequestLog;
use super::unsigned_handshake::mac_text;
use super::verified_delivery::VerifiedDelivery;
use crate::clock::ClockReading;
use crate::crypto::PreparedKeys;
use crate::handshake::{Challenge, Handshake};
use crate::headers::Head;
use crate::scheme::DeliveryIdSource;
use crate::shared_store::AdmitOutcome;

/// The request as it was sent. Its body is read only once it is verified.
pub(crate) struct Sent<'r, 'f, H: ?Sized> {
    pub(crate) head: &'r H,
    pub(crate) body: ReadBody<'r, 'f>,
}

/// Returns the body, or `None` if it has more bytes than the argument.
pub(crate) type ReadBody<'r, 'f> = &'f dyn Fn(usize) -> Option<Cow<'r, [u8]>>;

/// A verified request that has the form of a signed handshake.
pub(super) struct Challenging<'r, H: ?Sized> {
    head: &'r H,
    body: Cow<'r, [u8]>,
}

/// A verified request: when it was verified, and its content if it has the form of a signed handshake.
pub(super) type Verdict<'r, H> = (VerifiedDelivery, ClockReading, Option<Challenging<'r, H>>);

impl Admitted {
    /// Takes the answer to a signed [`Handshake`]. If there is one, [`commit`](Self::commit) the delivery, send the answer,
    /// and do not run the handler. The event then has the outcome
    /// [`Handshake`](crate::event::Outcome::Handshake). The request must have passed
    /// [`Receiving::finish_request`](super::Receiving::finish_request) or its async form.
    ///
    /// [A copy that is answered](crate::handshake#copies) is a [`Refused`](super::Refused) whose
    /// [answer](super::Refused::into_answer) is that to the handshake.
    ///
    /// ```
    /// use hookwarden::handshake::Handshake;
    /// use hookwarden::{Keyring, Scheme, Signer, Warden};
    ///
    /// let scheme = Scheme::slack();
    /// let keys = Keyring::new(scheme.secret("the-signing-secret-of-the-app")?);
    /// let body = br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    /// let signed = Signer::new(scheme.clone(), keys.clone())?.sign_body(body)?;
    /// let handshake = Handshake::body("/challenge").when("/type", "url_verification");
    /// let warden = Warden::builder(scheme).sender("acme", keys).handshake(handshake).build()?;
    ///
    /// let head: Vec<(&str, &str)> = signed.iter().collect();
    /// for _ in 0..2 {
    ///     let mut receiving = warden.examine(&head, None)?.identify("acme")?;
    ///     receiving.update(body)?;
    ///     let answer = match receiving.finish_request(&head, body) {
    ///         Ok(mut admitted) => {
    ///             let answer = admitted.take_handshake_answer().expect("a handshake");
    ///             admitted.commit();
    ///             answer
    ///         }
    ///         Err(refused) => refused.into_answer(),
    ///     };
    ///     let (status, _, body) = answer.into_parts();
    ///     assert_eq!((status.as_u16(), body.as_slice()), (200, &b"3eZbrw1a"[..]));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_handshake_answer(&mut self) -> Option<Answer> {
        let answer = self.log.take_answer()?;
        self.log.is_handshake = true;
        Some(answer)
    }
}

impl Inner {
    fn has_signed_handshakes(&self) -> bool {
        self.handshakes.as_deref().is_some_and(|handshakes| !handshakes.signed.is_empty())
    }

    /// Returns the maximum size of a body that is read to identify its delivery or to answer a handshake, in bytes. `None`
    /// if no body is read.
    pub(super) fn max_read_body(&self) -> Option<usize> {
        match self.stores.signed_id() {
            Some(DeliveryIdSource::Body(_)) => Some(usize::MAX),
            _ => self.has_signed_handshakes().then_some(MAX_BODY),
        }
    }
}

impl RequestLog {
    /// Returns the verified request if it has the form of a signed handshake.
    #[inline(never)]
    pub(super) fn challenging<'r, H: Head + ?Sized>(
        &self,
        head: &'r H,
        body: Cow<'r, [u8]>,
    ) -> Option<Challenging<'r, H>> {
        let handshakes = self.inner.handshakes.as_deref()?;
        find(handshakes.signed.iter(), head, &body, |_, _| true)?;
        Some(Challenging { head, body })
    }

    /// Answers a delivery if it is a handshake. A handshake does not count against the sender's quota, but separately against
    /// one of the same size, so `admission` has not counted it.
    pub(super) async fn answer_admitted<H: Head + ?Sized>(
        &mut self,
        delivery: &VerifiedDelivery,
        admission: Admission,
        challenging: Challenging<'_, H>,
    ) -> Admission {
        let inner = Arc::clone(&self.inner);
        let (stores, monitor) = (&inner.stores, &inner.monitor);
        let Some(handshakes) = inner.handshakes.as_deref() else { return admission };
        match admission.outcome {
            Ok(AdmitOutcome::Granted(_)) => {
                if let Some((quota, over)) = handshakes.count_signed(stores, delivery, monitor) {
                    self.is_handshake = true;
                    return match admission.claim {
                        Some(claim) => stores.deny(delivery, claim, Some(quota), over).await,
                        None => Admission { outcome: Ok(over), ..admission },
                    };
                }
                // A panic of the application's code releases the claim.
                let mut pending = admission.claim.map(|claim| PendingClaim::new(stores, delivery, claim));
                let is_answered = self.answer_signed(&challenging, false);
                if let Some(pending) = &mut pending {
                    pending.claim = None;
                }
                match is_answered {
                    true => admission,
                    // The application did not accept it, so the handler gets it.
                    false => stores.count_claimed(delivery, admission.claim, monitor.clock.monotonic()).await,
                }
            }
            Ok(AdmitOutcome::Finished | AdmitOutcome::InProgress { .. })
                if handshakes.count(self.peer, self.webhook_id.as_ref(), monitor).is_ok() =>
            {
                self.is_handshake = self.answer_signed(&challenging, true);
                admission
            }
            _ => admission,
        }
    }

    /// Takes the answer to a signed handshake.
    pub(super) fn take_answer(&mut self) -> Option<Answer> {
        match *self.rare.take()? {
            Rare::Answer(answer) => {
                self.status = Some(answer.status());
                Some(answer)
            }
            Rare::Keys(_) | Rare::Captured(_) => None,
        }
    }

    /// Like [`answer_admitted`](Self::answer_admitted), with stores in this process. Few requests are handshakes, so it is kept
    /// out of the code for deliveries.
    #[cold]
    #[inline(never)]
    pub(super) fn answer_admitted_now<H: Head + ?Sized>(
        &mut self,
        delivery: &VerifiedDelivery,
        admission: Admission,
        challenging: Challenging<'_, H>,
    ) -> Option<Admission> {
        pin!(self.answer_admitted(delivery, admission, challenging)).now_or_never()
    }

    /// Answers a verified request if a handshake accepts it. A copy is answered only if that is safe. Returns whether there is
    /// an answer.
    fn answer_signed<H: Head + ?Sized>(&mut self, challenging: &Challenging<'_, H>, is_copy: bool) -> bool {
        let answer = self.answer_to(challenging, is_copy);
        let is_answered = answer.is_some();
        self.rare = answer.map(|answer| Box::new(Rare::Answer(answer)));
        is_answered
    }

    fn answer_to<H: Head + ?Sized>(
        &self,
        Challenging { head, body }: &Challenging<'_, H>,
        is_copy: bool,
    ) -> Option<Answer> {
        let inner = Arc::clone(&self.inner);
        let webhook_id = self.webhook_id.as_ref().map(WebhookId::as_str);
        let signed = inner.handshakes.as_deref()?.signed.iter().filter(|handshake| !is_copy || handshake.repeats());
        let (handshake, challenge) =
            find(signed, *head, body, |handshake, challenge| handshake.accepts(*head, challenge, webhook_id))?;
        let mac = match handshake.mac_encoding() {
            None => String::new(),
            Some(encoding) => match self.rare.as_deref()? {
                Rare::Keys(keys) => mac_text(keys, &challenge, encoding, self)?,
                Rare::Answer(_) | Rare::Captured(_) => return None,
            },
        };
        Some(handshake.reply(*head, &challenge, &mac).into())
    }

    /// Whether the request can be a signed handshake.
    pub(super) fn may_be_handshake(&self) -> bool {
        self.inner.has_signed_handshakes() && usize::try_from(self.body_bytes).is_ok_and(|bytes| bytes <= MAX_BODY)
    }

    /// Keeps the keys for the answer to a signed handshake, if it needs them.
    pub(super) fn keep_keys(&mut self, keys: &PreparedKeys) {
        if self.inner.handshakes.as_deref().is_some_and(|handshakes| handshakes.needs_keys) {
            self.rare = Some(Box::new(Rare::Keys(keys.clone())));
        }
    }
}

/// Returns the first handshake that has the form of the request and that `accepts` its challenge. The body is parsed only
/// if a handshake can match.
fn find<'w, H: Head + ?Sized>(
    mut handshakes: impl Iterator<Item = &'w Handshake>,
    head: &H,
    body: &[u8],
    accepts: impl Fn(&Handshake, &Challenge) -> bool,
) -> Option<(&'w Handshake, Challenge)> {
    if body.len() > MAX_BODY {
        return None;
    }
    let mut json: Option<Option<Value>> = None;
    handshakes.find_map(|handshake| {
        if !handshake.may_match(head, body) {
            return None;
        }
        let parsed = match handshake.reads_body() {
            true => json.get_or_insert_with(|| serde_json::from_slice(body).ok()).as_ref(),
            false => None,
        };
        let challenge = handshake.challenge(head, parsed)?;
        accepts(handshake, &challenge).then_some((handshake, challenge))
    })
}

/// The maximum size of a handshake's body in bytes.
const MAX_BODY: usize = 65_536;

//! Answers signed handshakes, after their delivery was admitted. Answers a duplicate again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::admitted::Admitted;
use super::answer::{Answer, RetryHint};
use super::id::WebhookId;
use super::refused::Refused;
use super::request_log::RequestLog;
use super::unsigned_handshake::mac_text;
use crate::crypto::PreparedKeys;
use crate::event::{Outcome, RefusalReason};
use crate::handshake::{Challenge, Handshake};
use crate::headers::Head;

impl Admitted {
    /// Answers the delivery if it is a signed [`Handshake`]. Without an adapter, call it before the handler: if there
    /// is an answer, [`commit`](Self::commit) the delivery, send the answer, and do not run the handler. The event then
    /// has the outcome [`Handshake`](crate::event::Outcome::Handshake). For a duplicate, see
    /// [`Refused::answer_handshake`].
    ///
    /// `head` and `body` are those that were verified. The body must have at most 64 KiB.
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
    /// let mut receiving = warden.examine(&head, None)?.identify("acme")?;
    /// receiving.update(body)?;
    /// let mut admitted = receiving.finish()?;
    /// let answer = admitted.answer_handshake(&head, body).expect("a handshake");
    /// admitted.commit();
    /// let (status, _, body) = answer.into_parts();
    /// assert_eq!((status.as_u16(), body.as_slice()), (200, &b"3eZbrw1a"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer_handshake<H: Head + ?Sized>(&mut self, head: &H, body: &[u8]) -> Option<Answer> {
        self.log.answer_signed(head, body)
    }

    /// Whether the delivery can be a signed handshake.
    #[cfg(feature = "tower")]
    pub(crate) fn can_be_handshake(&self) -> bool {
        self.log.can_be_handshake()
    }
}

impl Refused {
    /// Answers a duplicate again if it is a signed [`Handshake`] whose challenge is in the body, without `accept_if`: a
    /// provider may send the same signed challenge twice.
    /// Without an adapter, call it if [`finish`](super::Receiving::finish) returns an error. If there is an answer, send
    /// it instead of the refusal's.
    ///
    /// `head` and `body` are those that were verified. The body must have at most 64 KiB. The answer counts against
    /// [`Quotas::handshakes`](super::Quotas::handshakes), and is 429 above it. Only the first call can return an answer.
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
    ///     let answer = match receiving.finish() {
    ///         Ok(mut admitted) => {
    ///             let answer = admitted.answer_handshake(&head, body);
    ///             admitted.commit();
    ///             answer
    ///         }
    ///         Err(mut refused) => refused.answer_handshake(&head, body),
    ///     };
    ///     assert_eq!(answer.expect("a handshake").into_parts().2, b"3eZbrw1a");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn answer_handshake<H: Head + ?Sized>(&mut self, head: &H, body: &[u8]) -> Option<Answer> {
        self.duplicate.take()?.answer_signed(head, body)
    }

    /// Whether the request is a duplicate that can be a signed handshake.
    #[cfg(feature = "tower")]
    pub(crate) const fn can_be_handshake(&self) -> bool {
        self.duplicate.is_some()
    }
}

impl RequestLog {
    /// Answers a verified delivery if it is a signed handshake. A duplicate counts against the quota of handshakes,
    /// because the sender's quota does not count it.
    fn answer_signed<H: Head + ?Sized>(&mut self, head: &H, body: &[u8]) -> Option<Answer> {
        let inner = Arc::clone(&self.inner);
        let (handshakes, webhook_id) = (inner.handshakes.as_deref()?, self.webhook_id.clone());
        let is_duplicate = self.refused().is_some();
        let count = || match is_duplicate {
            true => handshakes.count(self.peer, webhook_id.as_ref(), &inner.monitor),
            false => Ok(()),
        };
        let signed = handshakes.signed.iter().filter(|handshake| !is_duplicate || handshake.repeats());
        let (handshake, challenge) = match find(signed, head, body, webhook_id.as_ref(), count)? {
            Ok(found) => found,
            Err(wait) => {
                let refused = self.refuse(RefusalReason::HandshakeQuotaExceeded, RetryHint::For(wait));
                return Some(refused.into_answer());
            }
        };
        let mac = match handshake.mac_encoding() {
            None => String::new(),
            Some(encoding) => mac_text(self.signing_keys.as_deref()?, &challenge, encoding, self)?,
        };
        let answer: Answer = handshake.reply(head, &challenge, &mac).into();
        self.is_handshake = true;
        self.status = Some(answer.status());
        if is_duplicate {
            self.conclude(Outcome::Handshake);
        }
        Some(answer)
    }

    /// Whether the Warden has a signed handshake.
    pub(super) fn can_be_handshake(&self) -> bool {
        self.inner.handshakes.as_deref().is_some_and(|handshakes| !handshakes.signed.is_empty())
    }

    /// Keeps the keys for the answer to a signed handshake, if it needs them.
    pub(super) fn keep_keys(&mut self, keys: &PreparedKeys) {
        if self.inner.handshakes.as_deref().is_some_and(|handshakes| handshakes.needs_keys) {
            self.signing_keys = Some(Box::new(keys.clone()));
        }
    }
}

/// Returns the first handshake that matches and accepts the delivery, and its challenge. Before a handshake decides, `count`
/// is called once; if it fails, its error is returned. The body is parsed only if a handshake can match.
fn find<'w, H: Head + ?Sized>(
    mut handshakes: impl Iterator<Item = &'w Handshake>,
    head: &H,
    body: &[u8],
    webhook_id: Option<&WebhookId>,
    count: impl Fn() -> Result<(), Duration>,
) -> Option<Result<(&'w Handshake, Challenge), Duration>> {
    if body.len() > MAX_BODY {
        return None;
    }
    let (mut json, mut counted): (Option<Option<Value>>, _) = (None, None);
    handshakes.find_map(|handshake| {
        if !handshake.may_match(head, body) {
            return None;
        }
        let parsed = match handshake.reads_body() {
            true => json.get_or_insert_with(|| serde_json::from_slice(body).ok()).as_ref(),
            false => None,
        };
        let challenge = handshake.challenge(head, parsed)?;
        match counted.get_or_insert_with(&count) {
            Err(wait) => Some(Err(*wait)),
            Ok(()) if handshake.accepts(head, &challenge, webhook_id.map(WebhookId::as_str)) => {
                Some(Ok((handshake, challenge)))
            }
            Ok(()) => None,
        }
    })
}

/// The maximum size of a handshake's body in bytes.
pub(crate) const MAX_BODY: usize = 65_536;

//! Answers signed handshakes, after their delivery was admitted.

#[cfg(feature = "tower")]
use http::StatusCode;
use serde_json::Value;

use super::admitted::Admitted;
use super::answer::Answer;
use super::request_log::RequestLog;
use super::unsigned_handshake::mac_text;
use crate::crypto::PreparedKeys;
use crate::handshake::{Challenge, Handshake};
use crate::headers::Head;

impl Admitted {
    /// Answers the delivery if it is a signed [`Handshake`]. Without an adapter, call it before the handler: if there
    /// is an answer, [`commit`](Self::commit) the delivery, send the answer, and do not run the handler. The event then
    /// has the outcome [`Handshake`](crate::event::Outcome::Handshake).
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
        let handshakes = self.log.inner.handshakes.as_deref()?;
        let (handshake, challenge) = find(&handshakes.signed, head, body, self.delivery().webhook_id())?;
        let mac = match handshake.mac_encoding() {
            None => String::new(),
            Some(encoding) => mac_text(self.log.signing_keys.as_deref()?, &challenge, encoding, &self.log)?,
        };
        let answer = handshake.reply(head, &challenge, &mac).into();
        self.log.is_handshake = true;
        Some(answer)
    }

    /// Commits a signed handshake that was answered with `status`. A shared store is updated in the background.
    #[cfg(feature = "tower")]
    pub(crate) fn commit_handshake(mut self, status: StatusCode) {
        self.log.status = Some(status);
        self.commit();
    }

    /// Whether the delivery can be a signed handshake.
    #[cfg(feature = "tower")]
    pub(crate) fn can_be_handshake(&self) -> bool {
        self.log.inner.handshakes.as_deref().is_some_and(|handshakes| !handshakes.signed.is_empty())
    }
}

impl RequestLog {
    /// Keeps the keys for the answer to a signed handshake, if it needs them.
    pub(super) fn keep_keys(&mut self, keys: &PreparedKeys) {
        if self.inner.handshakes.as_deref().is_some_and(|handshakes| handshakes.needs_keys) {
            self.signing_keys = Some(Box::new(keys.clone()));
        }
    }
}

/// Returns the first handshake that matches, and its challenge. The body is parsed only if one can match.
fn find<'w, H: Head + ?Sized>(
    handshakes: &'w [Handshake],
    head: &H,
    body: &[u8],
    webhook_id: &str,
) -> Option<(&'w Handshake, Challenge)> {
    if body.len() > MAX_BODY {
        return None;
    }
    let mut json: Option<Option<Value>> = None;
    handshakes.iter().filter(|handshake| handshake.may_match(head, body)).find_map(|handshake| {
        let parsed = match handshake.reads_body() {
            true => json.get_or_insert_with(|| serde_json::from_slice(body).ok()).as_ref(),
            false => None,
        };
        let challenge = handshake.challenge(head, parsed)?;
        handshake.accepts(&challenge, || Some(webhook_id.to_owned())).then_some((handshake, challenge))
    })
}

/// The maximum size of a handshake's body in bytes.
pub(crate) const MAX_BODY: usize = 65_536;

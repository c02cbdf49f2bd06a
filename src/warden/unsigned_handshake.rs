//! Answers unsigned handshakes, from the head alone.

use std::future::{Future, pending};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, RetryHint};
use super::answer_body::AnswerBody;
use super::id::{IdFault, WebhookId};
use super::refused::Refused;
use super::request_log::RequestLog;
use super::{Inner, Warden};
use crate::crypto::PreparedKeys;
use crate::encoding::Encoding;
use crate::event::{Outcome, RefusalReason};
use crate::handshake::{Challenge, Handshake, Reply};
use crate::headers::{Head, Occurrence};
use crate::keys::Lookup;

impl Warden {
    /// Answers a request if it is an unsigned [`Handshake`]. Without an adapter, call it before
    /// [`examine`](Self::examine), and send the answer. `None` means that the request is not a handshake: go on with
    /// `examine`.
    ///
    /// `id` is the webhook id. If it is `None`, the Warden's [`IdSource`](super::IdSource) finds it. `peer` is as for
    /// `examine`. A handshake over [`Quotas::handshakes`](super::Quotas::handshakes) is answered 429. If the answer has
    /// a MAC, an unknown id is answered 401, and a Warden with [cached keys](super::WardenBuilder::cached_keys) answers
    /// 500: use [`answer_handshake_async`](Self::answer_handshake_async).
    ///
    /// For a signed handshake, see [`Admitted::take_handshake_answer`](super::Admitted::take_handshake_answer).
    ///
    /// ```
    /// use hookwarden::handshake::Handshake;
    /// use hookwarden::headers::{NoHeaders, RequestHead};
    /// use hookwarden::{Keyring, Scheme, Warden};
    ///
    /// let scheme = Scheme::timestamped();
    /// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
    /// let warden = Warden::builder(scheme).sender("acme", keys).handshake(Handshake::query("challenge")).build()?;
    ///
    /// let head = RequestHead::new("GET", "/webhooks/acme?challenge=abc123", &NoHeaders);
    /// let answer = warden.answer_handshake(&head, Some("acme"), None).expect("a handshake");
    /// let (status, headers, body) = answer.into_parts();
    /// assert_eq!((status.as_u16(), body.as_slice()), (200, &b"abc123"[..]));
    /// assert_eq!(headers["content-type"], "text/plain");
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn answer_handshake<H: Head + ?Sized>(
        &self,
        head: &H,
        id: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Option<Answer> {
        let id = id.map(|id| Ok(id.into()));
        let matched = self.unsigned_handshake(head, id.as_ref(), peer)?;
        Some(self.start_handshake(&matched, peer).map_or_else(Refused::into_answer, |log| {
            let lookup = if matched.needs_keys() { log.find_keys_now() } else { None };
            log.answer(&matched, head, lookup)
        }))
    }

    /// Like [`answer_handshake`](Self::answer_handshake), but waits for keys.
    pub async fn answer_handshake_async<H: Head + ?Sized>(
        &self,
        head: &H,
        id: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Option<Answer> {
        let id = id.map(|id| Ok(id.into()));
        let matched = self.unsigned_handshake(head, id.as_ref(), peer)?;
        Some(self.answer_unsigned(matched, head, peer, pending()).await)
    }

    /// Answers a handshake, and waits for its keys until `deadline` completes.
    pub(crate) async fn answer_unsigned<H: Head + ?Sized>(
        &self,
        matched: UnsignedHandshake<'_>,
        head: &H,
        peer: Option<IpAddr>,
        deadline: impl Future<Output = ()>,
    ) -> Answer {
        match self.start_handshake(&matched, peer) {
            Ok(log) => {
                let lookup = if matched.needs_keys() { Some(log.find_keys(deadline).await) } else { None };
                log.answer(&matched, head, lookup)
            }
            Err(refused) => refused.into_answer(),
        }
    }

    /// Returns the first handshake that matches the request. The request is counted before a token is compared and before
    /// the application decides, so that the quota limits guesses and calls. Over the quota nothing is compared or called.
    pub(crate) fn unsigned_handshake<H: Head + ?Sized>(
        &self,
        head: &H,
        route_id: Option<&Result<WebhookId, IdFault>>,
        peer: Option<IpAddr>,
    ) -> Option<UnsignedHandshake<'_>> {
        let Inner { handshakes, accept, rules, id_source, monitor, .. } = &*self.inner;
        let handshakes = handshakes.as_deref()?;
        let is_signed = || {
            let mut headers = rules.scheme.signature_headers().iter();
            headers.any(|name| !matches!(head.header(name), Occurrence::Absent))
        };
        // A delivery whose URL has a query must reach its handler.
        if head.method().is_none_or(|method| accept.has_method(method) && is_signed()) {
            return None;
        }
        let mut attempt = None;
        handshakes.unsigned.iter().find_map(|handshake| {
            let challenge = handshake.challenge(head, None)?;
            let (id, counted) = attempt.get_or_insert_with(|| {
                let id = route_id.map_or_else(|| id_source.find(head), Result::clone);
                let counted = handshakes.count(peer, id.as_ref().ok(), monitor);
                (id, counted)
            });
            let id_text = id.as_ref().ok().map(WebhookId::as_str);
            let is_found = counted.is_err() || handshake.accepts(head, &challenge, id_text);
            is_found.then(|| UnsignedHandshake { handshake, challenge, id: id.clone(), counted: *counted })
        })
    }

    /// Starts the log of a handshake, unless it is over its quota.
    fn start_handshake(&self, matched: &UnsignedHandshake<'_>, peer: Option<IpAddr>) -> Result<RequestLog, Refused> {
        let inner = &self.inner;
        if let Some(warning) = inner.peers.check(peer, inner.proxies.trust_every_connection()) {
            inner.monitor.warn(warning);
        }
        let mut log = RequestLog::new(Arc::clone(inner), peer, inner.monitor.clock.now());
        if matched.needs_keys() || matched.id.is_ok() {
            log.set_id(matched.id.clone())?;
        }
        log.known_id = log.webhook_id.as_ref().is_some_and(|id| inner.keys.knows(id.as_str()));
        match matched.counted {
            Ok(()) => Ok(log),
            Err(wait) => Err(log.refuse(RefusalReason::HandshakeQuotaExceeded, RetryHint::For(wait))),
        }
    }
}

/// A request that is an unsigned handshake.
pub(crate) struct UnsignedHandshake<'w> {
    handshake: &'w Handshake,
    challenge: Challenge,
    id: Result<WebhookId, IdFault>,
    /// How long to wait if the handshake is over its quota.
    counted: Result<(), Duration>,
}

impl UnsignedHandshake<'_> {
    const fn needs_keys(&self) -> bool {
        self.handshake.mac_encoding().is_some()
    }
}

impl RequestLog {
    /// Answers a handshake. `lookup` is `None` if the keys must be awaited and the caller cannot wait, or if no key is
    /// needed.
    fn answer<H: Head + ?Sized>(
        mut self,
        UnsignedHandshake { handshake, challenge, .. }: &UnsignedHandshake<'_>,
        head: &H,
        lookup: Option<Lookup>,
    ) -> Answer {
        let mac = match handshake.mac_encoding() {
            None => Ok(String::new()),
            Some(encoding) => self.take_keys(lookup).and_then(|(keys, decoy)| {
                // An unknown id is refused after the same work.
                let mac = mac_text(&keys, challenge, encoding, &self).filter(|_| decoy.is_none());
                mac.ok_or_else(|| self.refuse(decoy.unwrap_or(RefusalReason::Misconfigured), RetryHint::None))
            }),
        };
        match mac {
            Ok(mac) => {
                self.conclude(Outcome::Handshake);
                handshake.reply(head, challenge, &mac).into()
            }
            Err(refused) => refused.into_answer(),
        }
    }
}

/// Returns the text of the challenge's MAC under the key that verified the request, or the newest key that was valid when it
/// began.
pub(super) fn mac_text(
    keys: &PreparedKeys,
    challenge: &Challenge,
    encoding: Encoding,
    log: &RequestLog,
) -> Option<String> {
    let (_, mac) = match log.key_id {
        Some(id) => keys.live(log.began.wall).find(|(index, _)| keys.id_of(*index) == Some(id))?,
        None => keys.live(log.began.wall).next()?,
    };
    Some(encoding.encode(mac.tag_of(challenge.as_str().as_bytes())?.as_bytes()))
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let body = reply.content_type.map(|content_type| AnswerBody::new(content_type, reply.body));
        Self::to_handshake(reply.status, reply.header.map(Arc::new), body)
    }
}

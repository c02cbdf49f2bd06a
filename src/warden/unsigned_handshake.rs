//! Answers unsigned handshakes, from the head alone.

use std::future::{Future, pending};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::answer::{Answer, RetryHint};
use super::answer_body::AnswerBody;
use super::id::{IdFault, WebhookId};
use super::refused::Refused;
use super::request_log::RequestLog;
use super::{Inner, Warden};
use crate::crypto::PreparedKeys;
use crate::encoding::Encoding;
use crate::event::{Outcome, RefusalReason, Warning};
use crate::handshake::{Challenge, Handshake, Reply};
use crate::headers::{Head, Occurrence};
use crate::keys::Lookup;
use crate::limit::Peer;

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
    /// For a signed handshake, see [`Admitted::answer_handshake`](super::Admitted::answer_handshake).
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
        let started = self.start_handshake(&matched, head, id, peer);
        Some(started.map_or_else(Refused::into_answer, |log| {
            let is_immediate = matched.needs_keys() && self.inner.keys.is_immediate();
            let lookup = if is_immediate { pin!(log.find_keys(pending())).now_or_never() } else { None };
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
        Some(self.answer_unsigned(matched, head, id, peer, pending()).await)
    }

    /// Answers a handshake, and waits for its keys until `deadline` completes.
    pub(crate) async fn answer_unsigned<H: Head + ?Sized>(
        &self,
        matched: UnsignedHandshake<'_>,
        head: &H,
        route_id: Option<Result<WebhookId, IdFault>>,
        peer: Option<IpAddr>,
        deadline: impl Future<Output = ()>,
    ) -> Answer {
        match self.start_handshake(&matched, head, route_id, peer) {
            Ok(log) => {
                let lookup = if matched.needs_keys() { Some(log.find_keys(deadline).await) } else { None };
                log.answer(&matched, head, lookup)
            }
            Err(refused) => refused.into_answer(),
        }
    }

    /// Returns the first handshake that matches the request. It is counted before the application decides about it, so
    /// that the quota limits these calls too.
    pub(crate) fn unsigned_handshake<H: Head + ?Sized>(
        &self,
        head: &H,
        route_id: Option<&Result<WebhookId, IdFault>>,
        peer: Option<IpAddr>,
    ) -> Option<UnsignedHandshake<'_>> {
        let Inner { handshakes, accept, rules, id_source, .. } = &*self.inner;
        let handshakes = handshakes.as_deref()?;
        let is_signed = || {
            let mut headers = rules.scheme.signature_headers().iter();
            headers.any(|name| !matches!(head.header(name), Occurrence::Absent))
        };
        // A delivery whose URL has a query must reach its handler.
        if head.method().is_none_or(|method| accept.has_method(method) && is_signed()) {
            return None;
        }
        let mut matching = handshakes.unsigned.iter().filter_map(|handshake| {
            let challenge = handshake.challenge(head, None)?;
            Some(UnsignedHandshake { handshake, challenge, counted: None })
        });
        let mut counted = None;
        matching.find_map(|mut matched| {
            if matched.handshake.asks_application() {
                let id = route_id.map_or_else(|| id_source.find(head), Result::clone).ok();
                let count = || self.count_handshake(id.as_ref(), peer);
                matched.counted = Some(*counted.get_or_insert_with(count));
                let is_blocked = matches!(matched.counted, Some(Err(_)));
                let id = || id.map(|id| id.as_str().to_owned());
                if !is_blocked && !matched.handshake.accepts(&matched.challenge, id) {
                    return None;
                }
            }
            Some(matched)
        })
    }

    /// Counts a handshake against the quota of its peer and webhook id. Returns how long to wait if it is over.
    fn count_handshake(&self, id: Option<&WebhookId>, peer: Option<IpAddr>) -> Result<(), Duration> {
        let inner = &self.inner;
        if let Some(warning) = inner.peers.check(peer, inner.proxies.trust_every_connection()) {
            inner.monitor.warn(warning);
        }
        let Some(handshakes) = inner.handshakes.as_deref() else { return Ok(()) };
        let now = inner.monitor.clock.now().monotonic;
        match handshakes.limit.reserve(peer.map(Peer::from), id.map(WebhookId::hash), now) {
            Ok(reservation) => {
                if reservation.table_is_full {
                    inner.monitor.warn(Warning::RejectedTableFull);
                }
                Ok(())
            }
            Err(blocked) => Err(blocked.wait),
        }
    }

    /// Starts the log of a handshake, unless it is over its quota.
    fn start_handshake<H: Head + ?Sized>(
        &self,
        matched: &UnsignedHandshake<'_>,
        head: &H,
        route_id: Option<Result<WebhookId, IdFault>>,
        peer: Option<IpAddr>,
    ) -> Result<RequestLog, Refused> {
        let inner = &self.inner;
        let mut log = RequestLog::new(Arc::clone(inner), peer, inner.monitor.clock.now());
        let id = route_id.unwrap_or_else(|| inner.id_source.find(head));
        if matched.needs_keys() || id.is_ok() {
            log.set_id(id)?;
        }
        log.known_id = log.webhook_id.as_ref().is_some_and(|id| inner.keys.knows(id.as_str()));
        let counted = matched.counted.unwrap_or_else(|| self.count_handshake(log.webhook_id.as_ref(), peer));
        match counted {
            Ok(()) => Ok(log),
            Err(wait) => Err(log.refuse(RefusalReason::HandshakeQuotaExceeded, RetryHint::For(wait))),
        }
    }
}

/// A request that is an unsigned handshake.
pub(crate) struct UnsignedHandshake<'w> {
    handshake: &'w Handshake,
    challenge: Challenge,
    /// Whether it is within its quota, if it was counted already.
    counted: Option<Result<(), Duration>>,
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

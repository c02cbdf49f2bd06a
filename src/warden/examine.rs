//! Steps 0 to 2: checks a request's method and content type, shape and freshness. They read only the head.

use std::net::IpAddr;
use std::sync::Arc;

use super::Warden;
use super::answer::RetryHint;
use super::delivery_ids;
use super::examined::Examined;
use super::id::{IdFault, WebhookId};
use super::refused::Refused;
use super::request_log::RequestLog;
use crate::headers::Head;
use crate::verifier::Opening;

impl Warden {
    /// Checks method, content type, shape and freshness of the head (steps 0 to 2). A head without a method passes the
    /// method check. `peer` is the client's address, if it is known;
    /// [`Proxies::client`](crate::proxies::Proxies::client) finds it behind proxies.
    ///
    /// # Errors
    /// Returns an error if the request is refused.
    pub fn examine<'h, H: Head + ?Sized>(
        &'h self,
        head: &'h H,
        peer: Option<IpAddr>,
    ) -> Result<Examined<'h, H>, Refused> {
        self.examine_for(head, peer, None, false)
    }

    /// Like [`examine`](Self::examine), with the webhook id from the route for the event of a refusal. `passes_on`: the
    /// caller passes the request on to the handler even if it would be refused.
    #[inline]
    pub(crate) fn examine_for<'h, H: Head + ?Sized>(
        &'h self,
        head: &'h H,
        peer: Option<IpAddr>,
        route_id: Option<&Result<WebhookId, IdFault>>,
        passes_on: bool,
    ) -> Result<Examined<'h, H>, Refused> {
        let inner = &self.inner;
        if let Some(warning) = inner.peers.check(peer, inner.proxies.trust_every_connection()) {
            inner.monitor.warn(warning);
        }
        let mut log = RequestLog::new(Arc::clone(inner), peer, inner.monitor.clock.now());
        log.passes_on = passes_on;
        let named = || match route_id {
            Some(id) => id.as_ref().ok().cloned(),
            None => inner.id_source.find(head).ok(),
        };
        if let Err(reason) = inner.accept.check(head) {
            log.capture(reason, head, None);
            log.webhook_id = named();
            return Err(log.refuse(reason, RetryHint::None));
        }
        let mut opening = Opening::new(&inner.rules.scheme, head, log.began.wall);
        let read = inner.rules.open(&mut opening).and_then(|()| {
            let header = inner.stores.id_header();
            header.map_or(Ok(None), |name| delivery_ids::read(name, head))
        });
        match read {
            Ok(header_id) => {
                log.skew = opening.skew();
                Ok(Examined { log, opening, header_id })
            }
            Err(fault) => {
                log.webhook_id = named();
                log.known_id = log.webhook_id.as_ref().is_some_and(|id| inner.keys.knows(id.as_str()));
                log.capture(fault.reason.into(), head, None);
                Err(log.reject(fault))
            }
        }
    }
}

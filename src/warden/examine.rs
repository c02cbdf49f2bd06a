//! Steps 0 to 2: the request's method and content type, its shape and its freshness, from the head alone.

use std::net::IpAddr;
use std::sync::Arc;

use super::Warden;
use super::answer::RetryHint;
use super::examined::Examined;
use super::id::{IdFault, WebhookId};
use super::refused::Refused;
use super::request_log::RequestLog;
use crate::headers::Head;

impl Warden {
    /// Checks method, content type, shape and freshness, from the head alone (steps 0 to 2). A head without a method passes
    /// as any method. `peer` is the address of the client, where it is known;
    /// [`Proxies::client`](crate::proxies::Proxies::client) finds it behind proxies.
    ///
    /// # Errors
    /// The request is refused.
    pub fn examine<'h, H: Head + ?Sized>(
        &'h self,
        head: &'h H,
        peer: Option<IpAddr>,
    ) -> Result<Examined<'h, H>, Refused> {
        self.examine_for(head, peer, None)
    }

    /// [`examine`](Self::examine) with the webhook id that the route names, for the event of a refusal.
    pub(crate) fn examine_for<'h, H: Head + ?Sized>(
        &'h self,
        head: &'h H,
        peer: Option<IpAddr>,
        route_id: Option<&Result<WebhookId, IdFault>>,
    ) -> Result<Examined<'h, H>, Refused> {
        let inner = &self.inner;
        if let Some(warning) = inner.peers.check(peer, inner.proxies.trust_every_connection()) {
            inner.monitor.warn(warning);
        }
        let mut log = RequestLog::new(Arc::clone(inner), peer, inner.monitor.clock.now());
        let named = || match route_id {
            Some(id) => id.as_ref().ok().cloned(),
            None => inner.id_source.find(head).ok(),
        };
        if let Err(reason) = inner.accept.check(head) {
            log.webhook_id = named();
            return Err(log.refuse(reason, RetryHint::None));
        }
        match inner.rules.open(head, log.began.wall) {
            Ok(opening) => {
                log.skew = opening.skew();
                Ok(Examined { log, opening })
            }
            Err(fault) => {
                log.webhook_id = named();
                // A blocked peer causes no lookups.
                if let (Some(id), None) = (&log.webhook_id, log.blocked_for(None)) {
                    log.known_id = inner.keys.knows(id.as_str(), &inner.decoys);
                }
                Err(log.reject(fault))
            }
        }
    }
}

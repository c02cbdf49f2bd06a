//! A whole Warden in this process: keys, quotas, a replay store and an observer.

use std::net::{IpAddr, Ipv4Addr};

use hookwarden::event::Observer;
use hookwarden::keys::StaticKeys;
use hookwarden::warden::{Admitted, Quotas, Refused, WardenBuilder};
use hookwarden::{Quota, Scheme, Warden};
use http::HeaderMap;

use super::sender;

pub(crate) struct Pipeline {
    pub(crate) warden: Warden,
}

impl Pipeline {
    pub(crate) fn new(observer: impl Observer) -> Self {
        Self::with(|builder| builder.quotas(Quotas::new().accepted(ample())).observer(observer))
    }

    pub(crate) fn with(settings: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        // Both senders have one secret, so that all messages can be signed with it.
        let senders = [("acme", sender::keys()), ("globex", sender::keys())];
        let keys = StaticKeys::danger_allow_shared_secrets(&Scheme::timestamped(), senders).unwrap();
        Self { warden: settings(Warden::builder(Scheme::timestamped()).keys(keys)).build().unwrap() }
    }

    pub(crate) fn accept(&self, webhook_id: &str, head: &HeaderMap, body: &[u8]) {
        self.receive(webhook_id, head, body).unwrap().commit();
    }

    pub(crate) fn receive(&self, webhook_id: &str, head: &HeaderMap, body: &[u8]) -> Result<Admitted, Refused> {
        let mut receiving = self.warden.examine(head, Some(PEER))?.identify(webhook_id)?;
        receiving.update(body)?;
        receiving.finish()
    }
}

/// A quota that no run exceeds.
pub(crate) fn ample() -> Quota {
    Quota::per_minute(60_000_000).unwrap()
}

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

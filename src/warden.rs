//! All checks of a webhook request, in one order, with one event at the end.
//!
//! A [`Warden`] guards an endpoint: it looks up the sender's keys, verifies the signature, refuses duplicates and applies
//! quotas. An adapter for a web framework needs a Warden and nothing else. [`Warden::builder`] has a default for every
//! setting except the senders.
//!
//! # The steps
//!
//! | step | checks | default | setting | refused with |
//! | --- | --- | --- | --- | --- |
//! | 0. kind | method and content type | `POST`, any content type | [`methods`], [`content_types`] | 405, 415 |
//! | 1. shape | each header that the scheme needs occurs once and is well-formed | 8 KiB a header, 32 signatures | the scheme | 401 |
//! | 2. freshness | the timestamp | 300 s into the past and the future | [`tolerance`] | 401 |
//! | 3. refused traffic | the peer's quota of refused requests | 60 a minute for each peer, and for each peer and webhook id | [`Quotas::rejected`], [`proxies`] | 429 |
//! | 4. keys | looks up the keys of the webhook id | the path parameter `id` | [`sender`], [`only_sender`], [`keys`], [`cached_keys`], [`webhook_id`] | 503 if the store fails |
//! | 5. body | its size, and the time it takes | 1 MiB within 10 s | [`BodyLimits`] | 413, 408, 400 |
//! | 6. signature | each live key, in constant time | | | 401 |
//! | 7. replay and quota | whether the delivery is new; then the webhook id's quota of accepted requests | stored in this process; 100 a minute for each webhook id | [`Replay`], [`Quotas::accepted`], [`shared_store`] | 200 or 409, 429, 503 |
//! | 8. handler | 2xx commits the delivery, anything else releases it | | | |
//! | 9. event | one for each request | | [`observer`] | |
//!
//! Steps 0 to 4 read only the head. An unknown webhook id continues with a decoy key and is refused at step 6 with the same
//! 401, so that a sender cannot find out which ids exist.
//!
//! Settings that belong together are one value: [`BodyLimits`], [`Quotas`], [`Replay`] and [`Proxies`]. Settings that turn a
//! protection off have `danger` in their name.
//!
//! # Without a framework
//!
//! Each step is a value that the next one consumes, so a wrong order does not compile:
//!
//! ```
//! use hookwarden::{Keyring, Scheme, Signer, Warden};
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let body = br#"{"event":"user.created"}"#;
//! let signed = Signer::new(scheme.clone(), keys.clone())?.sign_body(body)?;
//! let head: Vec<(&str, &str)> = signed.iter().collect();
//!
//! let warden = Warden::builder(scheme).sender("acme", keys).build()?;
//! let peer = Some([203, 0, 113, 9].into());
//! let mut receiving = warden.examine(&head, peer)?.identify("acme")?; // steps 0 to 4
//! receiving.update(body)?; // step 5
//! let admitted = receiving.finish()?; // steps 6 and 7
//! println!("a delivery of {}", admitted.delivery().webhook_id()); // step 8: the work
//! admitted.commit(); // the work is done
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`methods`]: WardenBuilder::methods
//! [`content_types`]: WardenBuilder::content_types
//! [`tolerance`]: WardenBuilder::tolerance
//! [`proxies`]: WardenBuilder::proxies
//! [`sender`]: WardenBuilder::sender
//! [`only_sender`]: WardenBuilder::only_sender
//! [`keys`]: WardenBuilder::keys
//! [`cached_keys`]: WardenBuilder::cached_keys
//! [`webhook_id`]: WardenBuilder::webhook_id
//! [`shared_store`]: WardenBuilder::shared_store
//! [`observer`]: WardenBuilder::observer

mod accept;
mod admission;
mod admitted;
pub(crate) mod answer;
mod builder;
mod claim;
mod examine;
mod examined;
mod id;
mod lookup;
mod monitor;
mod peer_watch;
mod quota_limits;
mod receiving;
mod refused;
mod request_log;
mod settings;
mod stores;
mod verified_delivery;

use std::fmt;

use std::sync::Arc;
use std::time::Duration;

use crate::keys::Decoys;
use crate::limit::RejectedTraffic;
use crate::proxies::Proxies;
use crate::scheme::Scheme;
use crate::verifier::Rules;

pub use admitted::Admitted;
pub use answer::{Answer, AnswerBody};
pub use builder::WardenBuilder;
pub use examined::Examined;
pub use id::IdSource;
pub use receiving::Receiving;
pub use refused::Refused;
pub use settings::{BodyLimits, Quotas, Replay};
pub use verified_delivery::VerifiedDelivery;

#[cfg(feature = "tower")]
pub(crate) use id::{IdFault, WebhookId};

use accept::Accept;
use answer::AnswerWriter;
use lookup::KeySource;
use monitor::Monitor;
use peer_watch::PeerWatch;
use stores::Stores;

/// Guards webhook endpoints: one Warden for each scheme, with any number of senders. Cheap to clone.
///
/// ```
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys).build()?;
///
/// # #[cfg(feature = "axum")]
/// let layer = hookwarden::axum::WardenLayer::new(warden); // `post(handler).layer(layer)` at `/webhooks/{id}`
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
///
/// Requests to `/webhooks/acme` are now verified with the keys of `acme`. An endpoint with one sender and no id in its path
/// uses [`only_sender`](WardenBuilder::only_sender). An application with several schemes builds a Warden for each and puts
/// each on its own route.
#[derive(Clone)]
pub struct Warden {
    inner: Arc<Inner>,
}

struct Inner {
    accept: Accept,
    rules: Rules,
    keys: KeySource,
    decoys: Decoys,
    id_source: IdSource,
    proxies: Proxies,
    peers: PeerWatch,
    rejected: Option<RejectedTraffic>,
    stores: Arc<Stores>,
    body_limit: usize,
    deadline: Duration,
    answer_writer: Option<AnswerWriter>,
    duplicates_conflict: bool,
    monitor: Arc<Monitor>,
}

impl Warden {
    /// Whether keys, quotas and replay store are all in this process, so that only the body has to be awaited.
    #[cfg(feature = "tower")]
    pub(crate) fn is_local(&self) -> bool {
        self.inner.keys.is_immediate() && self.inner.stores.are_local()
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.inner.rules.scheme
    }

    /// The body limit in bytes.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.inner.body_limit
    }

    /// How long a body may take to arrive, from the arrival of the head.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// The reverse proxies in front of this server; [`Proxies::client`] finds a request's peer behind them.
    #[must_use]
    pub fn proxies(&self) -> &Proxies {
        &self.inner.proxies
    }

    #[cfg(feature = "_router")]
    pub(crate) fn answer_writer(&self) -> Option<&AnswerWriter> {
        self.inner.answer_writer.as_ref()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn id_source(&self) -> &IdSource {
        &self.inner.id_source
    }

    /// Whether a head has the scheme's shape and is fresh. It proves nothing and raises no event.
    #[cfg(feature = "actix")]
    pub(crate) fn has_fresh_shape(&self, head: &impl crate::headers::Head) -> bool {
        self.inner.rules.open(head, self.inner.monitor.clock.now().wall).is_ok()
    }
}

impl fmt::Debug for Warden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warden").field("scheme", &self.scheme().name()).finish_non_exhaustive()
    }
}

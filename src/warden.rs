//! All checks of a webhook request, in one order, with one event at the end.
//!
//! A [`Warden`] guards an endpoint: it looks up the sender's keys, verifies the signature, refuses duplicates and
//! applies quotas. Each adapter for a web framework takes a Warden. [`Warden::builder`] has a default for every setting
//! except the senders.
//!
//! # The steps
//!
//! | step | checks | default | setting | refused with |
//! | --- | --- | --- | --- | --- |
//! | 0. kind | method and content type | `POST`, any content type | [`methods`], [`content_types`] | 405, 415 |
//! | 1. shape | each header that the scheme needs occurs once and is well-formed | 8 KiB a header, 32 signatures | the scheme | 401 |
//! | 2. freshness | the timestamp | 300 s into the past and the future | [`tolerance`] | 401 |
//! | 3. refused traffic | the peer's quota of refused requests | 60 a minute for each peer and webhook id, 120 for each peer | [`Quotas::rejected`], [`proxies`] | 429 |
//! | 4. keys | looks up the keys of the webhook id | the path parameter `id` | [`sender`], [`only_sender`], [`keys`], [`cached_keys`], [`webhook_id`] | 503 if the store fails |
//! | 5. body | its size and its arrival time | 1 MiB within 10 s; 64 MiB for all unverified bodies | [`BodyLimits`] | 413, 408, 400, 503 |
//! | 6. signature | each live key, in constant time | | | 401 |
//! | 7. replay and quota | whether the delivery is new; then the webhook id's quota of accepted requests | stored in this process; 100 a minute for each webhook id | [`Replay`], [`Quotas::accepted`], [`shared_store`] | 200 or 409, 429, 503 |
//! | 8. handler | 2xx commits the delivery, any other status releases it | | | |
//! | 9. event | one for each request | | [`observer`], [`Captures`] | |
//!
//! An unsigned [handshake](crate::handshake) is answered before step 0, a signed one in step 7.
//!
//! Steps 0 to 4 read only the head. An unknown webhook id continues with a decoy key and is refused at step 6 with the
//! same 401, so that a sender cannot find out which ids exist. Exception: with an unsigned handshake whose answer has a MAC,
//! such as X's, an unknown id is answered 401 and a known one 200.
//!
//! [`BodyLimits`], [`Quotas`], [`Replay`], [`Captures`] and [`Proxies`] group related settings. Settings that turn a
//! protection off have `danger` in their name. [`danger_report_only`](WardenBuilder::danger_report_only) only reports what would be
//! refused.
//!
//! # Without a framework
//!
//! Each step consumes the value of the previous step, so a wrong order does not compile:
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
//! println!("a delivery from {}", admitted.delivery().webhook_id()); // step 8: the work
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
mod answer_body;
mod body_budget;
mod body_id;
mod builder;
mod capture;
mod captures;
mod challenge_body;
mod claim;
mod conclude;
mod delivery_ids;
mod examine;
mod examined;
mod forget;
mod handler_claim;
#[cfg(feature = "tower")]
mod handlers;
mod handshakes;
mod id;
mod lookup;
mod monitor;
mod outages;
mod peer_watch;
pub(crate) mod quota_fields;
mod quota_limits;
mod rare;
mod receiving;
mod refused;
mod report_only;
mod reported_verdict;
mod request_log;
mod settings;
#[cfg(feature = "tower")]
mod shutdown;
mod signed_handshake;
mod stores;
mod unsigned_handshake;
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
pub use answer::Answer;
pub use answer_body::AnswerBody;
pub use builder::WardenBuilder;
pub use captures::CapturedRequest;
pub use examined::Examined;
pub use handler_claim::TakenClaim;
pub use id::IdSource;
pub use receiving::Receiving;
pub use refused::Refused;
pub use reported_verdict::ReportedVerdict;
pub use settings::{BodyLimits, Captures, Quotas, Replay};
pub use verified_delivery::VerifiedDelivery;

#[cfg(feature = "tower")]
pub(crate) use id::{IdFault, WebhookId};
#[cfg(feature = "tower")]
pub(crate) use signed_handshake::Sent;

use accept::Accept;
use answer::AnswerWriter;
use body_budget::BodyBudget;
use captures::CaptureStore;
use handshakes::Handshakes;
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
/// Requests to `/webhooks/acme` are now verified with the keys of `acme`. For an endpoint with one sender and no id in
/// its path, use [`only_sender`](WardenBuilder::only_sender). For several schemes, build one Warden per scheme and put
/// each on its own route.
#[derive(Clone)]
pub struct Warden {
    inner: Arc<Inner>,
}

struct Inner {
    accept: Accept,
    /// Boxed, because few Wardens have any.
    handshakes: Option<Box<Handshakes>>,
    rules: Rules,
    keys: KeySource,
    decoys: Decoys,
    id_source: IdSource,
    proxies: Proxies,
    peers: PeerWatch,
    rejected: Option<RejectedTraffic>,
    stores: Arc<Stores>,
    body_limit: usize,
    body_budget: BodyBudget,
    /// How often a body is counted: the check of a custom scheme may keep a second copy.
    body_copies: u64,
    deadline: Duration,
    answer_writer: Option<AnswerWriter>,
    captures: Option<Box<CaptureStore>>,
    duplicates_conflict: bool,
    monitor: Arc<Monitor>,
    #[cfg(feature = "tower")]
    handlers: handlers::Handlers,
}

impl Warden {
    /// Returns whether keys, quotas and replay store are all in this process, so that a request waits only for its
    /// body.
    #[cfg(feature = "tower")]
    pub(crate) fn is_local(&self) -> bool {
        self.inner.keys.is_immediate() && self.inner.stores.are_local()
    }

    /// Returns the scheme.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.inner.rules.scheme
    }

    /// Returns the body limit in bytes.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.inner.body_limit
    }

    /// Returns how long a body may take to arrive, counted from the arrival of the head.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// Returns the declared reverse proxies. [`Proxies::client`] finds the client's address behind them.
    #[must_use]
    pub fn proxies(&self) -> &Proxies {
        &self.inner.proxies
    }

    /// Waits for the duration of a lease. Never completes without replay protection.
    #[cfg(feature = "tower")]
    pub(crate) async fn lease_over(&self) {
        match &self.inner.stores.replay {
            // Fire even if the service has used up the task's budget.
            Some(replay) => tokio::task::unconstrained(tokio::time::sleep(replay.lease)).await,
            None => std::future::pending().await,
        }
    }

    /// Returns the 503 answer to an admitted request whose service was not ready within the lease.
    #[cfg(feature = "tower")]
    pub(crate) fn busy_answer(&self) -> Answer {
        Answer::busy(self.inner.answer_writer.as_ref())
    }

    #[cfg(feature = "_router")]
    pub(crate) fn answer_writer(&self) -> Option<&AnswerWriter> {
        self.inner.answer_writer.as_ref()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn id_source(&self) -> &IdSource {
        &self.inner.id_source
    }

    /// Returns whether a head is well-formed and fresh. Verifies no signature and raises no event.
    #[cfg(feature = "actix")]
    pub(crate) fn has_fresh_shape(&self, head: &impl crate::headers::Head) -> bool {
        let rules = &self.inner.rules;
        rules.open(&mut crate::verifier::Opening::new(&rules.scheme, head, self.inner.monitor.clock.now().wall)).is_ok()
    }
}

impl fmt::Debug for Warden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warden").field("scheme", &self.scheme().name()).finish_non_exhaustive()
    }
}

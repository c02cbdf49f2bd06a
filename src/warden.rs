//! The whole judgement of a request, in one order, with one event at its end.
//!
//! 0. Kind: the method, and the content type where a list of them is set.
//! 1. Shape: every needed header exactly once, of its form and within its size.
//! 2. Freshness.
//! 3. Whether the peer has been turned away for what it sent before.
//! 4. The keys of the webhook id, or a decoy.
//! 5. The body, under the cap.
//! 6. The signature.
//! 7. Whether the delivery is new, then the quota of the webhook id.
//! 8. The handler, which commits the delivery or gives it back.
//! 9. The event.
//!
//! An adapter for a web framework needs a [`Warden`] and nothing else. Without a framework the steps are values that
//! are walked through, so that a wrong order does not compile:
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
//! receiving.update(body)?;                                            // step 5
//! let admitted = receiving.finish()?;                                 // steps 6 and 7
//! println!("a delivery of {}", admitted.delivery().webhook_id());        // step 8: the work
//! admitted.commit();                                                  // it is done
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

/// Guards a webhook endpoint: one for each scheme, for any number of senders. Cheap to clone.
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
    /// Whether keys, quotas and replay memory are all in this process, so that only the body can be waited for.
    #[cfg(feature = "tower")]
    pub(crate) fn is_local(&self) -> bool {
        self.inner.keys.is_immediate() && self.inner.stores.are_local()
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.inner.rules.scheme
    }

    /// The most bytes that a body may have.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        self.inner.body_limit
    }

    /// How long a body may take to arrive, counted from its head.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.inner.deadline
    }

    /// The reverse proxies in front of this server; [`Proxies::client`] finds a request's peer behind them.
    #[must_use]
    pub fn proxies(&self) -> &Proxies {
        &self.inner.proxies
    }

    #[cfg(feature = "tower")]
    pub(crate) fn id_source(&self) -> &IdSource {
        &self.inner.id_source
    }

    /// Whether a head is of the scheme's shape and fresh. It proves nothing and raises no event.
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

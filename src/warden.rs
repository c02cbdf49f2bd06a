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
//! let signed = Signer::new(scheme.clone(), keys.clone())?.sign(&[("", ""); 0], body)?;
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
mod id;
mod lookup;
mod refused;
mod request_log;
mod steps;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::error::StoreError;
use crate::event::{Observer, StoreKind, Warning};
use crate::keys::Decoys;
use crate::limit::RejectedTraffic;
use crate::proxies::{Proxies, TrustedHops};
use crate::scheme::Scheme;
use crate::verifier::Rules;
use crate::warden::answer::AnswerWriter;

pub use admitted::{Admitted, VerifiedDelivery};
pub use answer::{Answer, AnswerBody};
pub use builder::WardenBuilder;
pub use id::IdSource;
pub use refused::Refused;
pub use steps::{Examined, Receiving};

pub(crate) use id::{IdFault, WebhookId};

use admission::Admission;
use lookup::KeySource;
use request_log::notify;

/// Guards a webhook endpoint: one for each scheme, for any number of senders. Cheap to clone.
#[derive(Clone)]
pub struct Warden {
    inner: Arc<Inner>,
}

struct Inner {
    accept: accept::Accept,
    rules: Rules,
    keys: KeySource,
    decoys: Decoys,
    id_source: IdSource,
    proxies: Proxies,
    rejected: Option<RejectedTraffic>,
    admission: Admission,
    body_limit: usize,
    deadline: Duration,
    clock: Arc<dyn Clock>,
    observers: Vec<Box<dyn Observer>>,
    answer_writer: Option<AnswerWriter>,
    replay_is_conflict: bool,
    peers: request_log::PeerWatch,
    outages: Outages,
}

/// Which shared store failed when it was last asked.
#[derive(Default)]
struct Outages {
    limits: AtomicBool,
    replay: AtomicBool,
}

impl Outages {
    const fn of(&self, store: StoreKind) -> Option<&AtomicBool> {
        match store {
            StoreKind::Keys => None,
            StoreKind::Limits => Some(&self.limits),
            StoreKind::Replay => Some(&self.replay),
        }
    }
}

impl Warden {
    /// A Warden for `scheme`, with safe defaults: requests are POSTs, of any content type; the webhook id is the path
    /// parameter `id`; a body has at most 1 MiB and arrives within 10 seconds; the tolerance is the scheme's; 100
    /// accepted requests a minute for each webhook id; 60 refused ones a minute for each peer, and for each peer and
    /// webhook id; deliveries are remembered in this process.
    pub fn builder(scheme: Scheme) -> WardenBuilder {
        WardenBuilder::new(scheme)
    }

    /// Whether every step is judged in this process, with nothing to wait for but the body.
    #[cfg(feature = "tower")]
    pub(crate) fn answers_at_once(&self) -> bool {
        matches!(self.inner.keys, KeySource::Ready(_)) && self.inner.admission.answers_at_once()
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

    /// The proxies whose word on a request's address counts, where it came on a connection from the address
    /// `connection`. `None` if none are declared, or the connection is not one of theirs
    /// ([`trusted_proxies`](WardenBuilder::trusted_proxies)): the peer is then the connection's own address.
    #[must_use]
    pub fn trusted_hops(&self, connection: Option<IpAddr>) -> Option<TrustedHops> {
        self.inner.proxies.behind(connection)
    }

    #[cfg(feature = "_router")]
    pub(crate) fn answer_writer(&self) -> Option<&AnswerWriter> {
        self.inner.answer_writer.as_ref()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn id_source(&self) -> &IdSource {
        &self.inner.id_source
    }

    /// Whether a head is of the scheme's shape and fresh. It proves nothing and raises no event.
    #[cfg(feature = "actix")]
    pub(crate) fn has_fresh_shape(&self, head: &impl crate::headers::Head) -> bool {
        self.inner.rules.open(head, self.inner.clock.now().wall).is_ok()
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        if let Some(outage) = self.inner.outages.of(store) {
            outage.store(true, Ordering::Relaxed);
        }
        notify(&self.inner.observers, |observer| observer.store_failed(store, error));
    }

    /// Notes that a shared store answered, if it did; a failure is told by whoever deals with it.
    fn heard<T>(&self, store: StoreKind, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        let outage = self.inner.outages.of(store);
        // It is read first, so that requests don't pull the flag from each other.
        if answer.is_ok()
            && outage.is_some_and(|outage| outage.load(Ordering::Relaxed) && outage.swap(false, Ordering::Relaxed))
        {
            notify(&self.inner.observers, |observer| observer.store_recovered(store));
        }
        answer
    }

    fn notify(&self, warning: Warning) {
        notify(&self.inner.observers, |observer| observer.warning(&warning));
    }
}

impl std::fmt::Debug for Warden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warden").field("scheme", &self.scheme().name()).finish_non_exhaustive()
    }
}

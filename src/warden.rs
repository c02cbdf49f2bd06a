//! The whole judgement of a request, in one order, with one event at its end.
//!
//! An adapter for a web framework needs a [`Warden`] and nothing else. Without a framework the steps are values that
//! are walked through, so that a wrong order does not compile:
//!
//! ```
//! use hookwarden::{IdSource, Keyring, Scheme, Timestamp, Warden};
//!
//! let scheme = Scheme::timestamped();
//! let secret = scheme.secret("a-subscription-secret")?;
//! let warden = Warden::builder(scheme).sender("acme", Keyring::new(secret)).build()?;
//!
//! let head = [
//!     ("X-Webhook-Timestamp", "1800000000"),
//!     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
//! ];
//! let now = Timestamp::from_unix(1_800_000_000);
//! let mut receiving = warden.examine_at(&head, now)?.identify("acme")?; // shape, freshness, keys
//! receiving.update(br#"{"event":"user.created"}"#)?;                    // under the cap
//! let admitted = receiving.finish()?;                                   // the signature
//! admitted.commit();                                                    // the work is done
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod id;
mod keys;
mod record;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::error::ConfigError;
use crate::event::Observer;
use crate::respond::AnswerWriter;
use crate::scheme::Scheme;
use crate::secret::Keyring;
use crate::time::Timestamp;
use crate::verifier::Rules;

pub use builder::WardenBuilder;
pub use id::IdSource;
pub use steps::{Admitted, Examined, Facts, Receiving, Refused};

pub(crate) use id::{IdFault, WebhookId};

use keys::KeyTable;

/// Guards a webhook endpoint: one for each scheme, for any number of senders. Cheap to clone.
#[derive(Clone)]
pub struct Warden {
    inner: Arc<Inner>,
}

struct Inner {
    rules: Rules,
    keys: ArcSwap<KeyTable>,
    shared_secrets: bool,
    id_source: IdSource,
    observers: Vec<Box<dyn Observer>>,
    body_limit: usize,
    deadline: Duration,
    answer_writer: Option<AnswerWriter>,
}

impl Warden {
    /// A Warden for `scheme`, with safe defaults: the webhook id is the path parameter `id`, a body has at most 1 MiB and
    /// arrives within 10 seconds, the tolerance is the scheme's.
    #[must_use = "a builder does nothing by itself"]
    pub fn builder(scheme: Scheme) -> WardenBuilder {
        WardenBuilder::new(scheme)
    }

    /// Puts other keys in the place of all the present ones, atomically: a request sees the old ones or the new ones.
    ///
    /// # Errors
    /// As for [`WardenBuilder::build`]. The present keys then stay.
    pub fn replace_senders<I: Into<String>>(
        &self,
        senders: impl IntoIterator<Item = (I, Keyring)>,
    ) -> Result<(), ConfigError> {
        let senders = senders.into_iter().map(|(id, keys)| (id.into(), keys)).collect();
        let table = KeyTable::new(&self.inner.rules.scheme, senders, self.inner.shared_secrets)?;
        self.inner.keys.store(Arc::new(table));
        Ok(())
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

    #[cfg(feature = "axum")]
    pub(crate) fn id_source(&self) -> &IdSource {
        &self.inner.id_source
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl std::fmt::Debug for Warden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warden")
            .field("scheme", &self.scheme().name())
            .field("senders", &self.inner.keys.load().len())
            .finish_non_exhaustive()
    }
}

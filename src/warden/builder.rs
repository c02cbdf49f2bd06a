//! Building a Warden.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::keys::KeyTable;
use super::{IdSource, Inner, Warden};
use crate::error::ConfigError;
use crate::event::Observer;
use crate::respond::{Answer, AnswerBody, AnswerWriter};
use crate::scheme::Scheme;
use crate::secret::Keyring;
use crate::time::Tolerance;
use crate::verifier::Rules;

/// Collects the settings of a [`Warden`].
#[must_use]
pub struct WardenBuilder {
    rules: Rules,
    senders: Vec<(String, Keyring)>,
    shared_secrets: bool,
    id_source: IdSource,
    observers: Vec<Box<dyn Observer>>,
    body_limit: usize,
    deadline: Duration,
    answer_writer: Option<AnswerWriter>,
}

impl WardenBuilder {
    pub(super) fn new(scheme: Scheme) -> Self {
        Self {
            rules: Rules::new(scheme),
            senders: Vec::new(),
            shared_secrets: false,
            id_source: IdSource::path_parameter("id"),
            observers: Vec::new(),
            body_limit: DEFAULT_BODY_LIMIT,
            deadline: DEFAULT_DEADLINE,
            answer_writer: None,
        }
    }

    /// Adds a sender: the webhook id under which it posts, and its keys.
    pub fn sender(mut self, webhook_id: impl Into<String>, keys: Keyring) -> Self {
        self.senders.push((webhook_id.into(), keys));
        self
    }

    /// Where the webhook id of a request is found. By default it is the path parameter `id`.
    pub fn webhook_id(mut self, source: IdSource) -> Self {
        self.id_source = source;
        self
    }

    /// Adds an observer of every request.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// How far a timestamp may be from the clock. By default it is what the scheme says.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.rules.tolerance = tolerance;
        self
    }

    /// The most bytes that a body may have, 1 MiB by default.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How long a body may take to arrive, counted from its head, 10 seconds by default.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Gives answers a body of the application's own. `write` sees the status, and nothing that only an operator should
    /// know; `None` leaves the body empty.
    pub fn answer_body(mut self, write: impl Fn(&Answer) -> Option<AnswerBody> + Send + Sync + 'static) -> Self {
        self.answer_writer = Some(AnswerWriter::new(write));
        self
    }

    /// Permits one secret under several webhook ids. Whoever may post to one of them can then post to all: a message
    /// signed for one id is valid for the others.
    pub fn danger_allow_shared_secrets(mut self) -> Self {
        self.shared_secrets = true;
        self
    }

    /// Builds the Warden.
    ///
    /// # Errors
    /// There is no sender; two have one webhook id, or one secret; an id is empty; a secret is not of the scheme's form;
    /// the body limit or the deadline is zero.
    pub fn build(self) -> Result<Warden, ConfigError> {
        if self.body_limit == 0 {
            return Err(ConfigError::new("body limit", "is zero bytes"));
        }
        if self.deadline.is_zero() {
            return Err(ConfigError::new("deadline", "is zero"));
        }
        let table = KeyTable::new(&self.rules.scheme, self.senders, self.shared_secrets)?;
        let inner = Inner {
            rules: self.rules,
            keys: ArcSwap::from_pointee(table),
            shared_secrets: self.shared_secrets,
            id_source: self.id_source,
            observers: self.observers,
            body_limit: self.body_limit,
            deadline: self.deadline,
            answer_writer: self.answer_writer,
        };
        Ok(Warden { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for WardenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WardenBuilder").field("scheme", &self.rules.scheme.name()).finish_non_exhaustive()
    }
}

const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

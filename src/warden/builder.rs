//! The builder of a Warden.

mod acceptance;
mod captures;
mod report_only;
mod shared_ids;

use std::sync::Arc;

use super::accept::Accept;
use super::answer::{Answer, AnswerWriter};
use super::answer_body::AnswerBody;
use super::body_budget::BodyBudget;
use super::handshakes::Handshakes;
use super::id::IdSource;
use super::monitor::Monitor;
use super::peer_watch::PeerWatch;
use super::settings::{BodyLimits, Captures, Quotas, Replay, Senders};
use super::stores::{Claimants, Stores};
use super::{Inner, Warden};
use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::event::Observer;
use crate::handshake::Handshake;
use crate::keys::{CachedKeys, Decoys, KeyStore};
use crate::proxies::Proxies;
use crate::scheme::Scheme;
use crate::secret::Keyring;
use crate::shared_store::SharedStore;
use crate::time::Tolerance;
use crate::verifier::Rules;
use shared_ids::check_name;

/// Collects the settings of a [`Warden`].
///
/// [`BodyLimits`], [`Quotas`], [`Replay`], [`Captures`] and [`Proxies`] group related settings. Setting a group again replaces all of
/// it. [`build`](Self::build) reports invalid settings.
///
/// ```
/// use std::time::Duration;
/// use hookwarden::proxies::Proxies;
/// use hookwarden::warden::{BodyLimits, Quotas, Replay};
/// use hookwarden::{Keyring, Quota, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme)
///     .sender("acme", keys)
///     .body(BodyLimits::new().max_bytes(256 * 1024).deadline(Duration::from_secs(5)))
///     .quotas(Quotas::new().accepted(Quota::per_minute(300)?))
///     .replay(Replay::new().lease(Duration::from_secs(120)))
///     .proxies(Proxies::x_forwarded_for(1, ["10.0.0.0/8"])?)
///     .build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[must_use]
pub struct WardenBuilder {
    accept: Accept,
    handshakes: Vec<Handshake>,
    rules: Rules,
    unsigned_body: bool,
    senders: Senders,
    tolerance: Option<Tolerance>,
    body: BodyLimits,
    quotas: Quotas,
    replay: Option<Replay>,
    shared_store: Option<Arc<dyn SharedStore>>,
    proxies: Proxies,
    clock: Arc<dyn Clock>,
    observers: Vec<Box<dyn Observer>>,
    answer_writer: Option<AnswerWriter>,
    captures: Option<Captures>,
    report_only: bool,
    fault: Option<ConfigError>,
}

impl Warden {
    /// Starts a builder for `scheme` with safe defaults, such as `POST` only, the webhook id from the path parameter
    /// `id`, and the scheme's tolerance. [The steps](crate::warden#the-steps) list the other defaults.
    pub fn builder(scheme: Scheme) -> WardenBuilder {
        WardenBuilder::new(scheme)
    }
}

impl WardenBuilder {
    pub(super) fn new(scheme: Scheme) -> Self {
        Self {
            accept: Accept::default(),
            handshakes: Vec::new(),
            rules: Rules::new(scheme),
            unsigned_body: false,
            senders: Senders::default(),
            tolerance: None,
            body: BodyLimits::new(),
            quotas: Quotas::new(),
            replay: None,
            shared_store: None,
            proxies: Proxies::default(),
            clock: Arc::new(SystemClock::default()),
            observers: Vec::new(),
            answer_writer: None,
            captures: None,
            report_only: false,
            fault: None,
        }
    }

    /// Adds a sender: the webhook id in its requests, and its keys. For keys that change while the program runs, use
    /// [`keys`](Self::keys).
    pub fn sender(mut self, webhook_id: impl Into<String>, keys: Keyring) -> Self {
        self.senders.listed.push((webhook_id.into(), keys));
        self
    }

    /// Sets the only sender of an endpoint whose path has no webhook id. Its webhook id is the scheme's name, in logs,
    /// in metrics, in `delivery().webhook_id()` and for [`Quotas::accepted_for`].
    ///
    /// Two such Wardens with the same scheme have the same webhook id. If they share a Redis prefix, they share a
    /// quota. To separate them, name their senders: `sender("shop", keys).webhook_id(IdSource::fixed("shop"))`. With
    /// delivery ids in a shared store [`build`](Self::build) requires the name.
    ///
    /// It replaces [`sender`](Self::sender), [`keys`](Self::keys), [`cached_keys`](Self::cached_keys) and
    /// [`webhook_id`](Self::webhook_id). Do not set any of them as well.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hookwarden::warden::Replay;
    /// use hookwarden::{Keyring, Scheme, Warden};
    ///
    /// let scheme = Scheme::github();
    /// let keys = Keyring::new(scheme.secret("the-secret-in-the-repository's-settings")?);
    /// let warden = Warden::builder(scheme)
    ///     .only_sender(keys) // its webhook id is `github`
    ///     .replay(Replay::new().lifetime(Duration::from_secs(3 * 86_400))) // as long as GitHub can redeliver
    ///     .build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn only_sender(mut self, keys: Keyring) -> Self {
        self.senders.only = Some(keys);
        self
    }

    /// Looks up keys in a store that returns them without waiting: [`StaticKeys`](crate::keys::StaticKeys), whose keys
    /// can be replaced at run time, or the application's own store.
    pub fn keys(mut self, store: impl KeyStore) -> Self {
        self.senders.store = Some(Box::new(store));
        self
    }

    /// Looks up keys in an asynchronous store, behind a cache of prepared keys.
    pub fn cached_keys(mut self, keys: CachedKeys) -> Self {
        self.senders.cached = Some(keys);
        self
    }

    /// Sets where a request carries its webhook id. The default is the path parameter `id`. [`build`](Self::build)
    /// looks up the id of [`IdSource::fixed`] once, unless the keys are [cached](Self::cached_keys).
    pub fn webhook_id(mut self, source: IdSource) -> Self {
        self.senders.id_source = Some(source);
        self
    }

    /// Sets how far a timestamp may be from the clock. The default is the scheme's tolerance.
    pub const fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// Sets the body limit, its deadline and the memory for all unverified bodies. [`BodyLimits`] lists the defaults.
    pub const fn body(mut self, limits: BodyLimits) -> Self {
        self.body = limits;
        self
    }

    /// Sets the quotas of accepted and of refused requests of this Warden. [`Quotas`] lists the defaults.
    pub fn quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// Sets where deliveries are stored and for how long. The default is the [`shared_store`](Self::shared_store) if
    /// one is set, otherwise this process.
    pub fn replay(self, replay: Replay) -> Self {
        Self { replay: Some(replay), ..self }
    }

    /// Stores deliveries and counts accepted requests in `store`, which several processes share, with one call for
    /// both. It replaces [`Quotas::shared`] and [`Replay::shared`].
    ///
    /// While the store fails, deliveries are refused with 503, because duplicates cannot be detected.
    pub fn shared_store(mut self, store: impl SharedStore) -> Self {
        self.shared_store = Some(Arc::new(store));
        self
    }

    /// Sets the reverse proxies in front of this server. By default a request's peer is the address of its connection.
    pub fn proxies(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// Reads the time from `clock`, for tests.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Adds an observer of every request.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Sets a closure that writes the bodies of answers to requests that do not reach the handler. If it returns
    /// `None`, the body is empty for a refusal, and the framework's own for a payload that `Webhook<T>` or
    /// `UncommittedWebhook<T>` could not extract. [`Answer::is_payload_rejection`] distinguishes the two. The
    /// [`Answer`] contains nothing that a sender must not know.
    ///
    /// The closure is not called for a duplicate that is answered with 200.
    ///
    /// ```
    /// # use hookwarden::{Keyring, Scheme, Warden};
    /// use hookwarden::warden::{Answer, AnswerBody};
    ///
    /// # let scheme = Scheme::timestamped();
    /// # let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
    /// let write = |answer: &Answer| {
    ///     let error = if answer.is_payload_rejection() { "invalid payload" } else { "refused" };
    ///     Some(AnswerBody::new("application/json", format!(r#"{{"error":"{error}"}}"#)))
    /// };
    /// let warden = Warden::builder(scheme).sender("acme", keys).answer_body(write).build()?;
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    pub fn answer_body(mut self, write: impl Fn(&Answer) -> Option<AnswerBody> + Send + Sync + 'static) -> Self {
        self.answer_writer = Some(AnswerWriter::new(write));
        self
    }

    /// Builds the Warden.
    ///
    /// # Errors
    /// Returns an error if a setting is invalid or contradicts another one. The error names the setting, such as
    /// `replay.lifetime` for [`Replay::lifetime`], and the fix:
    /// * the scheme does not cover the body;
    /// * a method, a content type, a limit or a duration is malformed or out of range;
    /// * a handshake is invalid or incomplete, or its MAC could be the signature of a delivery;
    /// * no sender is set; senders come from two sources; two senders have the same webhook id or the same secret; a
    ///   secret does not have the scheme's form; a store's keys are prepared for another scheme;
    /// * [`IdSource::fixed`] or [`Quotas::accepted_for`] names an id that no sender has;
    /// * the scheme signs no timestamp and [`Replay`] does not say which deliveries are duplicates, or a setting
    ///   requires a signed timestamp; the scheme signs neither the body nor the URL, and [`replay`](Self::replay) is not set;
    /// * the directory of [`Captures`] cannot be used;
    /// * a setting has no effect, such as [`Quotas::replicas`] without a shared store or limiter.
    pub fn build(mut self) -> Result<Warden, ConfigError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.body.check()?;
        self.check_body_is_signed()?;
        if let Some(tolerance) = self.tolerance {
            self.rules.tolerance = self.check_tolerance(tolerance)?;
        }
        let is_unnamed = self.senders.only.is_some();
        let (keys, id_source) = self.senders.build(&self.rules.scheme, &self.quotas)?;
        let handshakes =
            Handshakes::new(self.handshakes, self.quotas.handshake_quota(), &self.rules.scheme, &self.accept)?;
        let replay = Self::chosen_replay(self.replay, &self.rules)?;
        let (quotas, rejected) = self.quotas.build(self.shared_store.as_ref(), replay.is_off(), &self.clock)?;
        let duplicates_conflict = replay.is_conflict();
        let replay = replay.build(&self.rules, self.body.deadline, self.shared_store)?;
        check_name(is_unnamed, replay.as_ref())?;
        let monitor = Arc::new(Monitor::new(self.clock, self.observers, self.report_only));
        let captures = self.captures.map(|captures| captures.build(&monitor)).transpose()?;
        let stores = Stores { replay, quotas, claimants: Claimants::default(), monitor: Arc::clone(&monitor) };
        Self::check_report_only(&stores)?;
        let inner = Inner {
            accept: self.accept,
            handshakes,
            decoys: Decoys::new(&self.rules.scheme)?,
            body_copies: if self.rules.scheme.keeps_body() { 2 } else { 1 },
            rules: self.rules,
            keys,
            id_source,
            proxies: self.proxies,
            rejected,
            stores: Arc::new(stores),
            body_limit: self.body.max_bytes,
            body_budget: BodyBudget::new(self.body.bytes_in_flight(), self.body.max_bytes),
            deadline: self.body.deadline,
            answer_writer: self.answer_writer,
            captures: captures.map(Box::new),
            duplicates_conflict,
            peers: PeerWatch::default(),
            monitor,
            #[cfg(feature = "tower")]
            handlers: Default::default(),
        };
        Ok(Warden { inner: Arc::new(inner) })
    }
}

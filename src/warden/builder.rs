//! Building a Warden.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::accept::Accept;
use super::admission::{Admission, Claimants, Lifetime, Quotas, Replay, ReplayBackend};
use super::lookup::KeySource;
use super::request_log::PeerWatch;
use super::{IdSource, Inner, Outages, Warden};
use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::event::Observer;
use crate::keys::{CachedKeys, Decoys, KeyStore, StaticKeys};
use crate::limit::{LocalLimiter, Quota, RateLimiter, RejectedTraffic};
use crate::proxies::{Proxies, TrustedHops};
use crate::replay::{LocalReplay, ReplayStore};
use crate::scheme::Scheme;
use crate::secret::Keyring;
use crate::shared_store::SharedStore;
use crate::time::Tolerance;
use crate::verifier::Rules;
use crate::warden::answer::{Answer, AnswerBody, AnswerWriter};

/// Collects the settings of a [`Warden`].
#[must_use]
pub struct WardenBuilder {
    accept: Accept,
    rules: Rules,
    senders: Vec<(String, Keyring)>,
    keys: Option<KeySource>,
    id_source: IdSource,
    proxies: Proxies,
    quota: Option<Quota>,
    quota_overrides: HashMap<String, Quota>,
    shared_limiter: Option<Box<dyn RateLimiter>>,
    shared_store: Option<Arc<dyn SharedStore>>,
    replicas: u32,
    rejected_quotas: Option<(Quota, Quota)>,
    replay: ReplaySetting,
    replay_falls_back: bool,
    replay_capacity: usize,
    replay_margin: u32,
    replay_lifetime: Option<u32>,
    lease: Duration,
    replay_is_conflict: bool,
    body_limit: usize,
    deadline: Duration,
    clock: Arc<dyn Clock>,
    observers: Vec<Box<dyn Observer>>,
    answer_writer: Option<AnswerWriter>,
    fault: Option<ConfigError>,
}

enum ReplaySetting {
    Local,
    Shared(Box<dyn ReplayStore>),
    Off,
}

impl WardenBuilder {
    pub(super) fn new(scheme: Scheme) -> Self {
        let mut fault = None;
        let mut default_quota = |count| Quota::per_minute(count).map_err(|error| fault = Some(error)).ok();
        let quota = default_quota(DEFAULT_QUOTA);
        let rejected = default_quota(DEFAULT_REJECTED_QUOTA);
        Self {
            accept: Accept::default(),
            rules: Rules::new(scheme),
            senders: Vec::new(),
            keys: None,
            id_source: IdSource::path_parameter("id"),
            proxies: Proxies::default(),
            quota,
            quota_overrides: HashMap::new(),
            shared_limiter: None,
            shared_store: None,
            replicas: 1,
            rejected_quotas: rejected.zip(rejected),
            replay: ReplaySetting::Local,
            replay_falls_back: false,
            replay_capacity: DEFAULT_REPLAY_CAPACITY,
            replay_margin: DEFAULT_REPLAY_MARGIN,
            replay_lifetime: None,
            lease: DEFAULT_LEASE,
            replay_is_conflict: false,
            body_limit: DEFAULT_BODY_LIMIT,
            deadline: DEFAULT_DEADLINE,
            clock: Arc::new(SystemClock::default()),
            observers: Vec::new(),
            answer_writer: None,
            fault,
        }
    }

    /// Adds a sender: the webhook id under which it posts, and its keys. Keys that change while the program runs come by
    /// [`keys`](Self::keys).
    pub fn sender(mut self, webhook_id: impl Into<String>, keys: Keyring) -> Self {
        self.senders.push((webhook_id.into(), keys));
        self
    }

    /// Takes the senders from a store that answers at once: [`StaticKeys`], which can be replaced at run time, or
    /// an application's own.
    pub fn keys(mut self, store: impl KeyStore) -> Self {
        self.keys = Some(KeySource::Ready(Box::new(store)));
        self
    }

    /// Takes the senders from a store that has to be waited for, behind a cache of prepared keys.
    pub fn cached_keys(mut self, keys: CachedKeys) -> Self {
        self.keys = Some(KeySource::Cached(keys));
        self
    }

    /// The methods of the requests that the endpoint is for, in capitals, `POST` alone by default; `GET` is without
    /// `HEAD`. Any other is answered 405, with `Allow`, before anything else is judged. A head without a method, a bare
    /// list of headers, passes.
    pub fn methods<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        if let Err(fault) = self.accept.take_methods(methods.into_iter().map(Into::into).collect()) {
            self.keep(fault);
        }
        self
    }

    /// The content types of the requests that the endpoint is for, such as `application/json`; their parameters are not
    /// looked at. Any other, or none, is answered 415, with `Accept`, before the signature is judged. By default it may
    /// be any.
    ///
    /// Few schemes sign the content type: this keeps mistakes out, and proves nothing of the body.
    pub fn content_types<T: Into<String>>(mut self, content_types: impl IntoIterator<Item = T>) -> Self {
        if let Err(fault) = self.accept.take_content_types(content_types.into_iter().map(Into::into).collect()) {
            self.keep(fault);
        }
        self
    }

    /// Where the webhook id of a request is found. By default it is the path parameter `id`.
    pub fn webhook_id(mut self, source: IdSource) -> Self {
        self.id_source = source;
        self
    }

    /// Proxies whose word on a request's address counts. By default there is none, and the address is the connection's.
    pub fn trusted_hops(mut self, hops: TrustedHops) -> Self {
        self.proxies.count_by(hops);
        self
    }

    /// The addresses that the last proxy connects from, or networks of them: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
    /// Called again, it adds to them. A connection from elsewhere is its own peer, whatever its headers say. By default
    /// every connection is taken for the proxy's, which is right only where nobody else can reach this server.
    pub fn trusted_proxies<'n>(mut self, networks: impl IntoIterator<Item = &'n str>) -> Self {
        if let Err(fault) = self.proxies.name(networks) {
            self.keep(fault);
        }
        self
    }

    /// The quota of accepted requests for each webhook id, 100 a minute by default.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Another quota for one webhook id.
    pub fn quota_for(mut self, webhook_id: impl Into<String>, quota: Quota) -> Self {
        self.quota_overrides.insert(webhook_id.into(), quota);
        self
    }

    /// Counts accepted requests elsewhere than in this process. When it fails, this process counts its own share
    /// ([`replicas`](Self::replicas)) and observers are told.
    pub fn shared_limiter(mut self, limiter: impl RateLimiter) -> Self {
        self.shared_limiter = Some(Box::new(limiter));
        self
    }

    /// Counts accepted requests and remembers deliveries elsewhere than in this process, in one call for both. It takes the
    /// place of [`shared_limiter`](Self::shared_limiter) and [`shared_replay`](Self::shared_replay).
    ///
    /// When it fails, deliveries are refused with 503: nobody knows whether they are new.
    pub fn shared_store(mut self, store: impl SharedStore) -> Self {
        self.shared_store = Some(Arc::new(store));
        self
    }

    /// How many processes share a shared limiter, 1 by default. While it fails, each of them counts one part in so many
    /// of every quota, at least a burst of one.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Accepts any number of requests for a webhook id, unless it has a quota of its own by
    /// [`quota_for`](Self::quota_for).
    pub fn danger_without_quota(mut self) -> Self {
        self.quota = None;
        self
    }

    /// The quotas of refused requests: for each peer, and for each peer and webhook id. 60 a minute by default, both.
    pub fn rejected_quotas(mut self, by_peer: Quota, by_peer_and_id: Quota) -> Self {
        self.rejected_quotas = Some((by_peer, by_peer_and_id));
        self
    }

    /// Lets a peer send any number of bad requests.
    pub fn danger_without_rejected_quotas(mut self) -> Self {
        self.rejected_quotas = None;
        self
    }

    /// How many deliveries this process remembers, 2^20 by default: see [`LocalReplay`] for the rate that this carries.
    pub fn replay_capacity(mut self, entries: usize) -> Self {
        self.replay_capacity = entries;
        self
    }

    /// Remembers deliveries elsewhere than in this process.
    pub fn shared_replay(mut self, store: impl ReplayStore) -> Self {
        self.replay = ReplaySetting::Shared(Box::new(store));
        self
    }

    /// While a shared store of deliveries fails, remembers them in this process, and counts its share of the quota, in
    /// place of refusing with 503. A replay that comes to another process, or after the outage, is then handled again.
    pub fn danger_replay_falls_back_to_this_process(mut self) -> Self {
        self.replay_falls_back = true;
        self
    }

    /// How long a delivery is remembered whose scheme signs no timestamp, in whole seconds. A message of such a scheme is
    /// valid for ever, and after this time it is accepted again.
    pub fn replay_lifetime(mut self, lifetime: Duration) -> Self {
        match u32::try_from(lifetime.as_secs()) {
            Ok(seconds) if seconds > 0 => self.replay_lifetime = Some(seconds),
            _ => self.keep(ConfigError::new("replay lifetime", "is not within 1..=4294967295 s")),
        }
        self
    }

    /// How much longer than the tolerance and the deadline a delivery is remembered, in seconds, for replicas whose clocks
    /// differ: 10 by default.
    pub fn replay_margin(mut self, seconds: u32) -> Self {
        self.replay_margin = seconds;
        self
    }

    /// How long a handler may take before the same delivery is free for another try, 60 seconds by default. A handler that
    /// takes longer may run twice.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Answers a delivery that was handled before with 409 and not 200, for senders that should see it.
    pub fn answer_replays_with_conflict(mut self) -> Self {
        self.replay_is_conflict = true;
        self
    }

    /// Handles every valid request, the same delivery any number of times.
    pub fn danger_without_replay_protection(mut self) -> Self {
        self.replay = ReplaySetting::Off;
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

    /// How long a body may take to arrive, counted from its head and with the look-up of its keys, 10 seconds by default.
    /// A delivery is remembered for that much longer than its timestamp is fresh.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Takes the time from `clock`, for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Adds an observer of every request.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Writes the bodies of answers to requests that the handler doesn't get. `None` leaves the body as it is: empty for
    /// a refusal, the framework's own for a payload that `Webhook<T>` or `UncommittedWebhook<T>` could not extract.
    /// [`Answer::is_payload_rejection`] tells the two apart. `write` sees nothing that a sender must not know.
    ///
    /// It is not called for a duplicate that is answered 200.
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
    /// A method, a content type or a network is malformed, or a list of the first two empty; there are trusted proxies
    /// and no number of trusted hops; there is no sender, or there are senders beside a store; two have one webhook id,
    /// or one secret; an id is empty; a secret is not of the scheme's form; the body limit, the deadline, the lease,
    /// the replicas or the replay capacity is zero; the deadline is more than a day; there is a shared store beside a
    /// shared limiter or a shared memory of deliveries; the scheme signs no timestamp and there is no replay lifetime.
    pub fn build(self) -> Result<Warden, ConfigError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.proxies.check()?;
        demand(self.body_limit > 0, "body limit", "is zero bytes")?;
        demand(!self.deadline.is_zero(), "deadline", "is zero")?;
        demand(self.deadline <= LONGEST_DEADLINE, "deadline", "is more than a day")?;
        demand(!self.lease.is_zero(), "lease", "is zero")?;
        demand(self.replay_capacity > 0, "replay capacity", "is zero")?;
        let keys = match self.keys {
            Some(keys) => {
                demand(self.senders.is_empty(), "senders", "they are given one by one and in a store")?;
                keys
            }
            None => KeySource::Ready(Box::new(StaticKeys::new(&self.rules.scheme, self.senders)?)),
        };
        let lifetime = match (self.rules.scheme.is_timestamped(), self.replay_lifetime) {
            (true, None) => {
                // A head that was fresh in its last second may bring its body at the end of the deadline.
                let body = u32::try_from(self.deadline.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                let margin = self.replay_margin.saturating_add(body);
                Some(Lifetime::WhileFresh { tolerance: self.rules.tolerance, margin })
            }
            (true, Some(_)) => return Err(ConfigError::new("replay lifetime", "the scheme's timestamp decides on it")),
            (false, seconds) => seconds.map(|seconds| Lifetime::AfterArrival { seconds }),
        };
        let replicas = NonZeroU32::new(self.replicas).ok_or(ConfigError::new("replicas", "are zero"))?;
        let no_other = self.shared_limiter.is_none() && !matches!(self.replay, ReplaySetting::Shared(_));
        demand(
            self.shared_store.is_none() || no_other,
            "shared store",
            "there is another for its quotas or deliveries",
        )?;
        let mut shared_limiter = self.shared_limiter;
        let store = match self.replay {
            ReplaySetting::Off => {
                if let Some(store) = self.shared_store {
                    shared_limiter = Some(Box::new(store));
                }
                None
            }
            ReplaySetting::Local => Some(match self.shared_store {
                Some(store) => ReplayBackend::Joint(store),
                None => ReplayBackend::Local(LocalReplay::new(self.replay_capacity)),
            }),
            ReplaySetting::Shared(store) => Some(ReplayBackend::Shared(store)),
        };
        let replay = match (store, lifetime) {
            (None, _) => None,
            (Some(store), Some(lifetime)) => {
                let fallback = self.replay_falls_back.then(|| LocalReplay::new(self.replay_capacity));
                Some(Replay { store, fallback, lease: self.lease, lifetime })
            }
            (Some(_), None) => {
                let problem = format!("{} signs no timestamp, so one must be set", self.rules.scheme.name());
                return Err(ConfigError::new("replay lifetime", problem));
            }
        };
        let local = LocalLimiter::new(self.clock.clone());
        let is_limited = self.quota.is_some() || !self.quota_overrides.is_empty();
        let quotas = is_limited.then_some(Quotas {
            standard: self.quota,
            overrides: self.quota_overrides,
            local,
            shared: shared_limiter,
            replicas,
        });
        let rejected = self
            .rejected_quotas
            .map(|(peer, pair)| RejectedTraffic::new(peer, pair, REJECTED_CAPACITY, self.clock.clone()));
        let inner = Inner {
            accept: self.accept,
            decoys: Decoys::new(&self.rules.scheme)?,
            rules: self.rules,
            keys,
            id_source: self.id_source,
            proxies: self.proxies,
            rejected,
            admission: Admission { replay, quotas, claimants: Claimants::default() },
            body_limit: self.body_limit,
            deadline: self.deadline,
            clock: self.clock,
            observers: self.observers,
            answer_writer: self.answer_writer,
            replay_is_conflict: self.replay_is_conflict,
            peers: PeerWatch::default(),
            outages: Outages::default(),
        };
        Ok(Warden { inner: Arc::new(inner) })
    }

    fn keep(&mut self, fault: ConfigError) {
        self.fault.get_or_insert(fault);
    }
}

impl fmt::Debug for WardenBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WardenBuilder").field("scheme", &self.rules.scheme.name()).finish_non_exhaustive()
    }
}

fn demand(holds: bool, field: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::new(field, problem)) }
}

const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);
/// Longer, and the memory of deliveries would fill with what can no longer come.
const LONGEST_DEADLINE: Duration = Duration::from_secs(86_400);
const DEFAULT_LEASE: Duration = Duration::from_secs(60);
/// Accepted requests a minute for each webhook id.
const DEFAULT_QUOTA: u32 = 100;
/// Refused requests a minute for each peer, and for each peer and webhook id.
const DEFAULT_REJECTED_QUOTA: u32 = 60;
/// Entries.
const DEFAULT_REPLAY_CAPACITY: usize = 1 << 20;
/// Seconds.
const DEFAULT_REPLAY_MARGIN: u32 = 10;
/// Entries of each table.
const REJECTED_CAPACITY: usize = 65_536;

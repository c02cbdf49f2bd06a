//! Replay protection.

mod ids;
mod place;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use self::ids::IdSettings;
use self::place::Place;
use self::retention::Retention;
use super::require;
use crate::error::ConfigError;
use crate::replay::{LocalReplay, ReplayStore};
use crate::shared_store::SharedStore;
use crate::verifier::Rules;
use crate::warden::stores::{ReplayBackend, ReplayProtection};

/// Where deliveries are stored, and for how long, so that each is handled once.
///
/// | setting | unit | default |
/// | --- | --- | --- |
/// | [`capacity`](Self::capacity) | entries in this process | 1,048,576 (2^20) |
/// | [`lease`](Self::lease) | duration | 60 s |
/// | [`margin`](Self::margin) | duration, whole seconds | 10 s |
/// | [`delivery_id_lifetime`](Self::delivery_id_lifetime) | duration, whole seconds | 3 days |
///
/// If the scheme signs a timestamp, a delivery is stored until its timestamp is stale, plus the body's deadline and the
/// margin. Equal bytes with an equal timestamp are one delivery: the second is answered with 200 and not handled.
///
/// If the scheme signs a header with an id of the delivery, such as `webhook-id` of Standard Webhooks, requests with the
/// same id are one delivery too, although a retry is signed again with a new timestamp. For an id in the body, such as
/// Stripe's, call [`body_delivery_id`](Self::body_delivery_id).
///
/// # Schemes without a signed timestamp
///
/// A message of such a scheme, GitHub's for example, stays valid until the secret changes. Two events with equal bodies
/// have the same signature, so the second event looks like a replay. Each choice has a cost, so
/// [`build`](crate::warden::WardenBuilder::build) requires one of these:
///
/// | choice | equal bodies | a replay of a captured message |
/// | --- | --- | --- |
/// | [`lifetime`](Self::lifetime) | are one delivery within the lifetime: **the second event is lost** | is detected within the lifetime |
/// | [`lifetime`](Self::lifetime) and [`danger_unsigned_id_header`](Self::danger_unsigned_id_header) | are two deliveries if they have two ids | **is handled** under an invented id |
/// | [`danger_simultaneous_only`](Self::danger_simultaneous_only) | are two deliveries, one after the other | **is handled** |
///
/// The last two have `danger` in their names because anyone with a copy of one message can have it handled again.
/// Choose one of them if the handler can safely repeat its work and a lost event is worse than a repeated one.
///
/// ```
/// use std::time::Duration;
/// use hookwarden::warden::Replay;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let scheme = Scheme::github();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// // GitHub can redeliver for three days. 2^20 entries then allow 4 deliveries a second.
/// let replay = Replay::new().lifetime(Duration::from_secs(3 * 86_400)).lease(Duration::from_secs(120));
/// let warden = Warden::builder(scheme).only_sender(keys).replay(replay).build()?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Replay {
    place: Place,
    capacity: Option<usize>,
    retention: Retention,
    ids: IdSettings,
    lease: Option<Duration>,
    duplicates_conflict: bool,
    falls_back: bool,
}

impl Replay {
    /// Stores deliveries in the Warden's [`shared_store`](crate::warden::WardenBuilder::shared_store) if it has one,
    /// otherwise in this process. This is the default.
    pub const fn new() -> Self {
        Self::at(Place::Default)
    }

    /// Stores deliveries in this process. A replay that reaches another process is handled again.
    pub const fn in_process() -> Self {
        Self::at(Place::InProcess)
    }

    /// Stores deliveries in `store`, which several processes share. While the store fails, deliveries are refused with
    /// 503, unless [`danger_fall_back_to_this_process`](Self::danger_fall_back_to_this_process) is set.
    pub fn shared(store: impl ReplayStore) -> Self {
        Self::at(Place::Shared(Box::new(store)))
    }

    /// Stores no deliveries: a delivery is handled each time it arrives.
    pub const fn danger_off() -> Self {
        Self::at(Place::Off)
    }

    const fn at(place: Place) -> Self {
        Self {
            place,
            capacity: None,
            retention: Retention::UNSET,
            ids: IdSettings::UNSET,
            lease: None,
            duplicates_conflict: false,
            falls_back: false,
        }
    }

    /// Sets how many entries this process stores, at least 1, and as many ids. [`LocalReplay`] documents the request rate
    /// that this allows. While the table is full, new deliveries are refused with 503; no entry is evicted early. If the
    /// table of ids is full, the oldest are evicted.
    pub const fn capacity(mut self, entries: usize) -> Self {
        self.capacity = Some(entries);
        self
    }

    /// Sets how much longer than tolerance plus deadline a delivery is stored, in whole seconds. The margin covers
    /// clock differences between replicas.
    pub const fn margin(mut self, margin: Duration) -> Self {
        self.retention.margin = Some(margin);
        self
    }

    /// Sets how long a delivery is stored if the scheme signs no timestamp, in whole seconds from its arrival. **Two
    /// events with equal bodies within the lifetime are one delivery:** the second is answered with 200 and not
    /// handled. After the lifetime the same message is accepted again from anyone who sends it.
    ///
    /// Choose at least the time within which the sender can send a delivery again. [`capacity`](Self::capacity) divided
    /// by the lifetime is the number of deliveries a second that fit. Further deliveries are refused with 503.
    ///
    /// If a profile for HTTP Message Signatures has `created_optional`, the lifetime must be longer than its maximum age and
    /// clock skew, the deadline of the body and 10 seconds together: until then a copy with a time can be valid.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.retention.lifetime = Some(lifetime);
        self
    }

    /// If the scheme signs no timestamp, stores a delivery only while its handler runs. A copy that arrives meanwhile
    /// is answered with 409. When the handler has finished with any status, equal bytes are a new delivery.
    ///
    /// No event is lost. **This setting does not prevent replays:** anyone with a copy of a message can have it handled
    /// again at any time. A sender that retries because it missed the answer has it handled again too. Use it for
    /// notifications without content, such as Dropbox's, whose handler fetches the current state.
    pub const fn danger_simultaneous_only(mut self) -> Self {
        self.retention.simultaneous_only = true;
        self
    }

    /// If the scheme signs no timestamp, distinguishes equal bodies by the header `name`, which the sender does not
    /// sign: `X-GitHub-Delivery` for example. Equal bodies with different ids are different deliveries. Equal bodies
    /// with the same id are one delivery within the [`lifetime`](Self::lifetime), which is required too.
    ///
    /// **A replay with an invented id is not detected**, because anyone can change the header of a captured message.
    /// The id is hashed together with the verified content, so two different messages with the same id stay two
    /// deliveries.
    ///
    /// A request without the header is identified by its body only. A request that has the header twice, or with more
    /// than 8,192 bytes, is refused with 401.
    pub fn danger_unsigned_id_header(mut self, name: impl Into<String>) -> Self {
        self.retention.unsigned_id = Some(name.into());
        self
    }

    /// Also identifies deliveries by the id in their JSON body, at the place that the scheme names:
    /// [`Scheme::delivery_id`](crate::Scheme::delivery_id). A retry that the sender signs again, with a new timestamp, is then
    /// the same delivery.
    ///
    /// An id in a signed header, such as `webhook-id`, is used without this setting. An id in the body has to be read from
    /// the JSON of every delivery, after its signature was verified.
    ///
    /// **Two events with one id are one delivery**, so the id must be that of an event, not of the object that the event is
    /// about. If a body has no id, or the id is not a string, the delivery is identified by its signature only, and
    /// observers get [`DeliveryIdMissing`](crate::event::Warning::DeliveryIdMissing).
    pub const fn body_delivery_id(mut self) -> Self {
        self.ids.in_body = true;
        self
    }

    /// Identifies deliveries by their signatures only, although the scheme signs a header with an id. A retry that the
    /// sender signs again is then another delivery.
    pub const fn no_delivery_id(mut self) -> Self {
        self.ids.off = true;
        self
    }

    /// Sets how long the id of a delivery is stored, in whole seconds from its arrival: at least as long as the sender
    /// retries. The default is 3 days.
    pub const fn delivery_id_lifetime(mut self, lifetime: Duration) -> Self {
        self.ids.lifetime = Some(lifetime);
        self
    }

    /// Sets how long a handler may take before a retry of the same delivery runs concurrently; more than zero and at
    /// most one day.
    ///
    /// The lease starts with the claim, so it must also cover the time for which an admitted request waits for a
    /// concurrency limit behind the Warden. The tower layers wait for at most the lease and then answer with 503: see
    /// [readiness](crate::tower#readiness). The time in any other queue behind the Warden counts as the handler's time.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Answers a duplicate of a handled delivery with 409 instead of 200, for senders that need to detect duplicates.
    pub const fn duplicates_conflict(mut self) -> Self {
        self.duplicates_conflict = true;
        self
    }

    /// While the shared store fails, stores deliveries in this process and counts against its share of the quota,
    /// instead of refusing with 503. A replay that reaches another process or arrives after the outage is then handled
    /// again.
    pub const fn danger_fall_back_to_this_process(mut self) -> Self {
        self.falls_back = true;
        self
    }

    pub(in crate::warden) const fn is_off(&self) -> bool {
        matches!(self.place, Place::Off)
    }

    pub(in crate::warden) const fn is_conflict(&self) -> bool {
        self.duplicates_conflict
    }

    pub(in crate::warden) fn build(
        self,
        rules: &Rules,
        deadline: Duration,
        shared_store: Option<Arc<dyn SharedStore>>,
    ) -> Result<Option<ReplayProtection>, ConfigError> {
        let lease = self.lease.unwrap_or(DEFAULT_LEASE);
        let capacity = self.capacity.unwrap_or(DEFAULT_CAPACITY);
        require(!lease.is_zero(), "replay.lease", "must be more than zero")?;
        // If a process dies, its claims block their deliveries until the lease ends.
        require(lease <= MAX_LEASE, "replay.lease", "must be at most a day")?;
        require(capacity > 0, "replay.capacity", "must be at least 1 entry")?;
        if self.is_off() {
            self.check_off()?;
            return Ok(None);
        }
        let (lifetime, unsigned_id) = self.retention.build(rules, deadline)?;
        let ids = self.ids.build(&rules.scheme, unsigned_id, !lifetime.is_while_handled())?;
        require(
            !lifetime.is_while_handled() || !self.duplicates_conflict,
            "replay.duplicates_conflict",
            "must not be set with `danger_simultaneous_only`, which stores no handled delivery: remove one of the two",
        )?;
        let store = self.place.backend(shared_store)?;
        require(
            store.is_some() || !self.falls_back,
            "replay.danger_fall_back_to_this_process",
            "must not be set without `Replay::shared` or `shared_store`: without one, deliveries are always stored in this \
             process",
        )?;
        require(
            store.is_none() || self.falls_back || self.capacity.is_none(),
            "replay.capacity",
            "must not be set for a shared store: it sizes the table of this process, which is used only with \
             `danger_fall_back_to_this_process`",
        )?;
        let local = || LocalReplay::new(capacity);
        let fallback = self.falls_back.then(local);
        let store = store.unwrap_or_else(|| ReplayBackend::Local(Box::new(local())));
        Ok(Some(ReplayProtection { store, fallback, lease, lifetime, ids }))
    }

    fn check_off(&self) -> Result<(), ConfigError> {
        let settings = [
            ("replay.capacity", self.capacity.is_some()),
            ("replay.margin", self.retention.margin.is_some()),
            ("replay.lifetime", self.retention.lifetime.is_some()),
            ("replay.danger_simultaneous_only", self.retention.simultaneous_only),
            ("replay.danger_unsigned_id_header", self.retention.unsigned_id.is_some()),
            ("replay.body_delivery_id", self.ids.in_body),
            ("replay.no_delivery_id", self.ids.off),
            ("replay.delivery_id_lifetime", self.ids.lifetime.is_some()),
            ("replay.lease", self.lease.is_some()),
            ("replay.duplicates_conflict", self.duplicates_conflict),
            ("replay.danger_fall_back_to_this_process", self.falls_back),
        ];
        let problem = "must not be set with `Replay::danger_off`, which stores no delivery: remove one of the two";
        settings.into_iter().try_for_each(|(field, is_set)| require(!is_set, field, problem))
    }
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

const DEFAULT_LEASE: Duration = Duration::from_secs(60);

/// Entries.
const DEFAULT_CAPACITY: usize = 1 << 20;

const MAX_LEASE: Duration = Duration::from_secs(86_400);

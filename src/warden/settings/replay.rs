//! Replay protection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{require, whole_seconds};
use crate::error::ConfigError;
use crate::replay::{LocalReplay, ReplayStore};
use crate::shared_store::SharedStore;
use crate::verifier::Rules;
use crate::warden::stores::{Lifetime, ReplayBackend, ReplayProtection};

/// Where deliveries are remembered, and for how long, so that each is handled once.
///
/// | setting | unit | default |
/// | --- | --- | --- |
/// | [`capacity`](Self::capacity) | entries in this process | 1,048,576 (2^20) |
/// | [`lease`](Self::lease) | duration | 60 s |
/// | [`margin`](Self::margin) | duration, whole seconds | 10 s |
/// | [`lifetime`](Self::lifetime) | duration, whole seconds | none; required for a scheme without a timestamp |
///
/// A delivery of a scheme with a timestamp is remembered until its timestamp is stale, and for the body's deadline and the
/// margin more. A scheme without a timestamp, such as GitHub's, needs a lifetime: its messages stay valid for ever.
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
#[must_use]
pub struct Replay {
    place: Place,
    capacity: Option<usize>,
    margin: Option<Duration>,
    lifetime: Option<Duration>,
    lease: Option<Duration>,
    duplicates_conflict: bool,
    falls_back: bool,
}

enum Place {
    /// The shared store of the Warden, or this process if it has none.
    Default,
    InProcess,
    Shared(Box<dyn ReplayStore>),
    Off,
}

impl Replay {
    /// Remembers deliveries in the Warden's [`shared_store`](crate::warden::WardenBuilder::shared_store), or in this process if
    /// there is none. This is the default.
    pub const fn new() -> Self {
        Self::at(Place::Default)
    }

    /// Remembers deliveries in this process. A replay that reaches another process is handled again.
    pub const fn in_process() -> Self {
        Self::at(Place::InProcess)
    }

    /// Remembers deliveries in `store`, which several processes share. While it fails, deliveries are refused with 503,
    /// unless [`danger_fall_back_to_this_process`](Self::danger_fall_back_to_this_process) is set.
    pub fn shared(store: impl ReplayStore) -> Self {
        Self::at(Place::Shared(Box::new(store)))
    }

    /// Remembers nothing: the same delivery is handled as often as it arrives.
    pub const fn danger_off() -> Self {
        Self::at(Place::Off)
    }

    const fn at(place: Place) -> Self {
        Self {
            place,
            capacity: None,
            margin: None,
            lifetime: None,
            lease: None,
            duplicates_conflict: false,
            falls_back: false,
        }
    }

    /// How many entries this process remembers, at least 1. [`LocalReplay`] documents the request rate that this allows.
    /// While the table is full, new deliveries are refused with 503; no entry is evicted early.
    pub const fn capacity(mut self, entries: usize) -> Self {
        self.capacity = Some(entries);
        self
    }

    /// How much longer than tolerance and deadline a delivery is remembered, in whole seconds. It covers replicas whose
    /// clocks differ.
    pub const fn margin(mut self, margin: Duration) -> Self {
        self.margin = Some(margin);
        self
    }

    /// How long a delivery of a scheme without a timestamp is remembered, in whole seconds from its arrival. Until then an
    /// equal body is answered 200 and not handled. After that the same message is accepted again.
    ///
    /// [`capacity`](Self::capacity) divided by the lifetime is the number of deliveries a second that fit. Further ones are
    /// refused with 503.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How long a handler may take before a retry of the same delivery runs beside it; more than zero.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Answers a duplicate of a handled delivery with 409 instead of 200, for senders that need to see it.
    pub const fn duplicates_conflict(mut self) -> Self {
        self.duplicates_conflict = true;
        self
    }

    /// While the shared store fails, remembers deliveries in this process and counts its share of the quota, instead of
    /// refusing with 503. A replay that reaches another process, or arrives after the outage, is then handled again.
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
        // A claim whose process died blocks its delivery until the lease ends.
        require(lease <= MAX_LEASE, "replay.lease", "must be at most a day")?;
        require(capacity > 0, "replay.capacity", "must be at least 1 entry")?;
        if self.is_off() {
            self.check_off()?;
            return Ok(None);
        }
        let lifetime = self.retention(rules, deadline)?;
        let store = match (self.place, shared_store) {
            (Place::Shared(_), Some(_)) => {
                let problem =
                    "must not be set beside `Replay::shared`: it remembers deliveries itself; remove one of the two";
                return Err(ConfigError::new("shared_store", problem));
            }
            (Place::InProcess, Some(_)) => {
                let problem = "must not be `Replay::in_process()` beside `shared_store`: use `Replay::new()`, or share the \
                               quotas alone by `Quotas::shared`";
                return Err(ConfigError::new("replay", problem));
            }
            (Place::Shared(store), None) => Some(ReplayBackend::Shared(store)),
            (_, store) => store.map(ReplayBackend::Joint),
        };
        require(
            store.is_some() || !self.falls_back,
            "replay.danger_fall_back_to_this_process",
            "requires `Replay::shared` or `shared_store`: without one, deliveries are in this process anyway",
        )?;
        require(
            store.is_none() || self.falls_back || self.capacity.is_none(),
            "replay.capacity",
            "must not be set for a shared store: it sizes the table of this process, which is used only with \
             `danger_fall_back_to_this_process`",
        )?;
        let local = || LocalReplay::new(capacity);
        let fallback = self.falls_back.then(local);
        let store = store.unwrap_or_else(|| ReplayBackend::Local(local()));
        Ok(Some(ReplayProtection { store, fallback, lease, lifetime }))
    }

    fn check_off(&self) -> Result<(), ConfigError> {
        let settings = [
            ("replay.capacity", self.capacity.is_some()),
            ("replay.margin", self.margin.is_some()),
            ("replay.lifetime", self.lifetime.is_some()),
            ("replay.lease", self.lease.is_some()),
            ("replay.duplicates_conflict", self.duplicates_conflict),
            ("replay.danger_fall_back_to_this_process", self.falls_back),
        ];
        let problem = "must not be set with `Replay::danger_off`, which remembers no delivery: remove one of the two";
        settings.into_iter().try_for_each(|(field, is_set)| require(!is_set, field, problem))
    }

    /// How long each delivery is remembered.
    fn retention(&self, rules: &Rules, deadline: Duration) -> Result<Lifetime, ConfigError> {
        let name = rules.scheme.name();
        let fault = |field, problem| Err(ConfigError::new(field, problem));
        match (rules.scheme.is_timestamped(), self.lifetime, self.margin) {
            (true, Some(_), _) => {
                let problem =
                    format!("must not be set for {name}: its signed timestamp decides it; set `margin` to add to it");
                fault("replay.lifetime", problem)
            }
            (true, None, margin) => {
                let Some(margin) = whole_seconds(margin.unwrap_or(DEFAULT_MARGIN)) else {
                    return fault("replay.margin", format!("must be whole seconds from 0 s to {} s", u32::MAX));
                };
                // A head that was fresh in its last second may bring its body at the end of the deadline.
                let body = u32::try_from(deadline.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Ok(Lifetime::WhileFresh { tolerance: rules.tolerance, margin: margin.saturating_add(body) })
            }
            (false, _, Some(_)) => {
                let problem = format!("must not be set for {name}, which signs no timestamp: set `lifetime` alone");
                fault("replay.margin", problem)
            }
            (false, None, None) => {
                let problem = format!("must be set for {name}, which signs no timestamp: set `Replay::lifetime`");
                fault("replay.lifetime", problem)
            }
            (false, Some(lifetime), None) => match whole_seconds(lifetime) {
                Some(seconds @ 1..) => Ok(Lifetime::AfterArrival { seconds }),
                _ => fault("replay.lifetime", format!("must be whole seconds from 1 s to {} s", u32::MAX)),
            },
        }
    }
}

impl Default for Replay {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Default => "default",
            Place::InProcess => "in process",
            Place::Shared(_) => "shared",
            Place::Off => "off",
        };
        f.debug_struct("Replay")
            .field("place", &place)
            .field("capacity", &self.capacity)
            .field("margin", &self.margin)
            .field("lifetime", &self.lifetime)
            .field("lease", &self.lease)
            .field("duplicates_conflict", &self.duplicates_conflict)
            .field("falls_back", &self.falls_back)
            .finish()
    }
}

const DEFAULT_LEASE: Duration = Duration::from_secs(60);

const DEFAULT_MARGIN: Duration = Duration::from_secs(10);

/// Entries.
const DEFAULT_CAPACITY: usize = 1 << 20;

const MAX_LEASE: Duration = Duration::from_secs(86_400);

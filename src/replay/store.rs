//! The contract of a replay store.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::secret::MAX_KEYS;
use crate::time::Timestamp;
use crate::verifier::ReplayKey;

/// One delivery. Requests of the same webhook id that share any key, or the delivery id, are the same delivery.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'d> {
    /// The webhook id. The same key under another id is another delivery.
    pub webhook_id: &'d str,
    /// One key for each valid key of an HMAC, or for each timestamp of a scheme with public keys, one to eight; and one more
    /// for an id that a custom scheme adds. One to nine in all.
    pub keys: &'d [ReplayKey],
    /// The last second in which the keys of a committed delivery must be remembered: after it, no replica accepts the
    /// message.
    pub until: Timestamp,
    /// The id that the sender signed, if deliveries have one. It is one more key, with its own lifetime.
    pub id: Option<DeliveryId>,
}

/// The id of a delivery, which its sender signed. It stays the same when the sender signs a retry again.
///
/// ```
/// use hookwarden::Timestamp;
/// use hookwarden::replay::{Delivery, DeliveryId};
/// use hookwarden::verifier::ReplayKey;
///
/// let now = Timestamp::now().as_unix();
/// let id = DeliveryId {
///     key: ReplayKey::of_delivery_id("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
///     until: Timestamp::from_unix(now + 3 * 86_400),
/// };
/// let keys = [ReplayKey::from_bytes([7; 16])];
/// let delivery = Delivery { webhook_id: "acme", keys: &keys, until: Timestamp::from_unix(now + 321), id: Some(id) };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryId {
    /// The key of the id: [`ReplayKey::of_delivery_id`].
    pub key: ReplayKey,
    /// The last second in which the id of a committed delivery is remembered.
    pub until: Timestamp,
}

/// The request that claims a delivery. Only the claimant that was granted a claim can release it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claimant(u128);

impl Claimant {
    /// Creates a claimant with a unique number: the Warden puts a random number per process into the upper half and a
    /// counter into the lower. A store may keep fewer bits, and then treats claimants that are equal in those bits as
    /// the same.
    #[must_use]
    pub const fn new(number: u128) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u128 {
        self.0
    }
}

/// The result of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// The caller may handle the delivery.
    Granted,
    /// Another request is handling the delivery.
    InProgress {
        /// The remaining time of the other lease, at most.
        retry_after: Duration,
    },
    /// The delivery was committed before.
    Finished,
}

/// Stores which deliveries were handled. [`LocalReplay`](super::LocalReplay) is the store in this process.
///
/// Each call is atomic over all keys of a delivery, its id among them. A key is free, claimed until its lease ends, or finished:
///
/// | call | all keys free or claimed by the caller | a key claimed by another | a key finished |
/// | --- | --- | --- | --- |
/// | claim | claimed, with a new lease | [`Claim::InProgress`] | [`Claim::Finished`] |
/// | commit | finished; `true` | `false` | `false` |
/// | release | the caller's keys become free; `true` if it had claimed all of them | `false` | `false` |
///
/// A claim that is refused takes no key, and a commit that returns `false` finishes none. If one key is claimed and
/// another is finished, a claim returns [`Claim::Finished`].
///
/// A lease should be longer than a handler takes. When it ends, another claimant can be granted the delivery while the
/// handler of the first one still runs. If that did not happen, the first claimant can commit even after its lease,
/// because its handler succeeded and must not run again. So a commit does not require a claim; it requires that no
/// other claim or commit exists.
///
/// Leases use a monotonic clock. A finished delivery expires when both that clock and the wall clock have passed its
/// end, so that setting a clock forward does not make a replay possible. A store that has its own clock, such as a
/// database, may use that clock instead of `now`, with `until - now.wall` as the time to live.
///
/// Test a store with `hookwarden::testing::replay_store_contract` (feature `testing`).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
///
/// use hookwarden::BoxFuture;
/// use hookwarden::clock::ClockReading;
/// use hookwarden::error::StoreError;
/// use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
/// use hookwarden::verifier::ReplayKey;
///
/// /// Counts the duplicates that another store finds.
/// struct CountDuplicates<S> {
///     store: S,
///     duplicates: AtomicU64,
/// }
///
/// impl<S: ReplayStore> ReplayStore for CountDuplicates<S> {
///     fn claim<'a>(
///         &'a self,
///         delivery: Delivery<'a>,
///         by: Claimant,
///         lease: Duration,
///         now: ClockReading,
///     ) -> BoxFuture<'a, Result<Claim, StoreError>> {
///         Box::pin(async move {
///             let claim = self.store.claim(delivery, by, lease, now).await?;
///             if claim == Claim::Finished {
///                 self.duplicates.fetch_add(1, Ordering::Relaxed);
///             }
///             Ok(claim)
///         })
///     }
///
///     fn commit<'a>(
///         &'a self,
///         delivery: Delivery<'a>,
///         by: Claimant,
///         now: ClockReading,
///     ) -> BoxFuture<'a, Result<bool, StoreError>> {
///         self.store.commit(delivery, by, now)
///     }
///
///     fn release<'a>(
///         &'a self,
///         delivery: Delivery<'a>,
///         by: Claimant,
///         now: ClockReading,
///     ) -> BoxFuture<'a, Result<bool, StoreError>> {
///         self.store.release(delivery, by, now)
///     }
///
///     fn forget<'a>(
///         &'a self,
///         webhook_id: &'a str,
///         id: ReplayKey,
///         now: ClockReading,
///     ) -> BoxFuture<'a, Result<bool, StoreError>> {
///         self.store.forget(webhook_id, id, now)
///     }
///
///     fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
///         self.store.shard_of(webhook_id)
///     }
/// }
///
/// let store = CountDuplicates { store: LocalReplay::default(), duplicates: AtomicU64::new(0) };
/// ```
pub trait ReplayStore: Send + Sync + 'static {
    /// Claims a delivery for `lease`. A claim that is neither committed nor released by then expires.
    ///
    /// # Errors
    /// The store is unreachable or full, or the delivery has no keys or more than nine. The request is then refused
    /// with 503. A store never removes a delivery early to make room.
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>>;

    /// Marks a delivery as handled until `delivery.until`. Returns whether this call did it: `false` means that another
    /// claimant holds the delivery or that it is already finished, and that nothing changed. On a retry `false` is
    /// expected if the first call succeeded.
    ///
    /// # Errors
    /// The store is unreachable.
    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Releases a claim. Returns whether the caller still held it: keys that another claimant holds or that are
    /// finished do not change.
    ///
    /// # Errors
    /// The store is unreachable.
    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Forgets the id of a finished delivery, so that a delivery with this id that is signed again is handled. Returns
    /// whether the id was finished. An id that is claimed stays claimed, and the other keys of the delivery stay
    /// finished: an exact copy of a handled request is still a duplicate.
    ///
    /// # Errors
    /// The store is unreachable.
    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Returns the name of the server that has the data of `webhook_id` now, as in
    /// [`StoreError::with_shard`], if the store is divided among several. A store that wraps another passes the call
    /// on. The default is `None`.
    ///
    /// After a failure, the Warden calls it for each answer until the failed shard has recovered. It must not block.
    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        let _ = webhook_id;
        None
    }
}

/// The maximum number of keys of a delivery: those of an HMAC, and one for an id that a custom scheme adds.
pub(crate) const MAX_REPLAY_KEYS: usize = MAX_KEYS.saturating_add(1);

impl<S: ReplayStore + ?Sized> ReplayStore for Arc<S> {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        (**self).claim(delivery, by, lease, now)
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).commit(delivery, by, now)
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).release(delivery, by, now)
    }

    fn forget<'a>(
        &'a self,
        webhook_id: &'a str,
        id: ReplayKey,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        (**self).forget(webhook_id, id, now)
    }

    fn shard_of(&self, webhook_id: &str) -> Option<Arc<str>> {
        (**self).shard_of(webhook_id)
    }
}

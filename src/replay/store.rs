//! The contract of a memory of deliveries.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::ClockReading;
use crate::error::StoreError;
use crate::future::BoxFuture;
use crate::time::Timestamp;
use crate::verifier::ReplayKey;

/// One delivery: any request of the webhook id that has any of the keys.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'d> {
    /// The webhook id. The same key under another id is another delivery.
    pub webhook_id: &'d str,
    /// One key for each signing key that was live, at least one and at most eight.
    pub keys: &'d [ReplayKey],
    /// The last second in which the message can be fresh anywhere: through it, a finished delivery is remembered.
    pub until: Timestamp,
}

/// Who claims a delivery. Only the same claimant commits or releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claimant(u128);

impl Claimant {
    /// A claimant by a number that no other has: a random part for the process in its upper half, and a count. A store may
    /// keep less of it than it has; two whose numbers fall together there are one claimant to it.
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

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// The delivery is the claimant's to handle.
    Granted,
    /// Another request is handling the delivery; its lease ends after `retry_after` at the latest.
    InProgress {
        /// How long the other claim lasts at the most.
        retry_after: Duration,
    },
    /// The delivery was handled.
    Finished,
}

/// Remembers deliveries. The one in this process is [`LocalReplay`](super::LocalReplay).
///
/// Each of the calls is atomic over all keys of a delivery. A key is free, claimed until its lease ends, or finished:
///
/// | call | all keys free or the claimant's | any key another's claim | any key finished |
/// | --- | --- | --- | --- |
/// | claim | claimed, for a new lease | [`Claim::InProgress`] | [`Claim::Finished`] |
/// | commit | finished, `true` | `false` | `false` |
/// | release | the claimant's are free; `true` if all were the claimant's | `false` | `false` |
///
/// A claim that is refused takes no key and a commit that returns `false` finishes none. Where one key is claimed and one
/// finished, the claim is answered with [`Claim::Finished`].
///
/// A lease has to be longer than a handler may take: once it ended, another claimant may be granted the delivery
/// while the first still handles it. As long as nobody was, the first can commit, because its handler did
/// succeed, and what it did must not happen again. So a commit needs no claim to be found, only none in its way.
///
/// Leases follow a clock that nobody sets. A finished delivery is forgotten when that clock and the wall clock are both
/// past its end, so that setting a clock forward makes no replay possible. A store with a clock of its own,
/// such as a database, may use that one instead of `now`, and take the time to live from `until` and `now.wall`.
///
/// Third-party stores can be tested with `hookwarden::testing::replay_store_contract` (feature `testing`).
pub trait ReplayStore: Send + Sync + 'static {
    /// Claims a delivery for `lease`; a claim that is neither committed nor released by then is free again.
    ///
    /// # Errors
    /// The store cannot tell or cannot remember: it is unreachable or full, or the delivery has no key or more than
    /// eight. The request is then refused. A store never forgets what it holds to make room.
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>>;

    /// Marks the delivery as handled, until its `until`. Returns whether it now is by this call: `false` says that
    /// another claimant holds it or that it was finished already, and that nothing changed.
    ///
    /// # Errors
    /// The store is unreachable.
    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Gives the claim back. Returns whether it was still the claimant's; what is another's or finished stays.
    ///
    /// # Errors
    /// The store is unreachable.
    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

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
}

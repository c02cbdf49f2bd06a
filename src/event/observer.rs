//! Receivers of events.

use std::sync::Arc;

use super::{SecurityEvent, StoreKind, Warning};
use crate::error::StoreError;

/// Receives the event of every request.
///
/// Observers are called on the path of the request, so they must not block. A panic in an observer is caught and does
/// not affect the request. To share one observer between several Wardens, put it into an [`Arc`].
///
/// A closure over an event is an observer. Implement the trait to receive warnings and store failures as well:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use hookwarden::error::StoreError;
/// use hookwarden::event::{Observer, Outcome, SecurityEvent, StoreKind, Warning};
///
/// #[derive(Default)]
/// struct Health {
///     refused: AtomicU64,
///     store_failures: AtomicU64,
/// }
///
/// impl Observer for Health {
///     fn observe(&self, event: &SecurityEvent<'_>) {
///         if let Outcome::Refused(_) = event.outcome {
///             self.refused.fetch_add(1, Ordering::Relaxed);
///         }
///     }
///
///     fn warning(&self, warning: &Warning) {
///         eprintln!("{warning}");
///     }
///
///     fn store_failed(&self, store: StoreKind, error: &StoreError) {
///         self.store_failures.fetch_add(1, Ordering::Relaxed);
///         eprintln!("{}: {error}", store.as_str());
///     }
/// }
///
/// let health = Health::default();
/// health.observe(&SecurityEvent::new(Outcome::Accepted, "timestamped"));
/// assert_eq!(health.refused.into_inner(), 0);
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Called once for each request, when it ends.
    fn observe(&self, event: &SecurityEvent<'_>);

    /// Called for a problem that does not belong to one request. It is called again while the cause lasts.
    fn warning(&self, warning: &Warning) {
        let _ = warning;
    }

    /// Called when a store failed. The requests that were affected also have events. If the store is divided among
    /// several servers, [`StoreError::shard`] is the one that failed.
    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        let _ = (store, error);
    }

    /// Called when a shared limiter or replay store answers again after a failure. A denial by quota does not count as
    /// an answer, because it may come from a local cache.
    ///
    /// `shard` is the shard of the [`StoreError`] that was reported, so each shard that failed is reported once. It has
    /// recovered when it answers, or when the shard answers that has the webhook ids of the last failure now: after a
    /// failover, that is another one. While 64 shards of a store fail, both calls name any further one `other`.
    fn store_recovered(&self, store: StoreKind, shard: Option<&str>) {
        let _ = (store, shard);
    }
}

impl<F: Fn(&SecurityEvent<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &SecurityEvent<'_>) {
        self(event);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &SecurityEvent<'_>) {
        (**self).observe(event);
    }

    fn warning(&self, warning: &Warning) {
        (**self).warning(warning);
    }

    fn store_failed(&self, store: StoreKind, error: &StoreError) {
        (**self).store_failed(store, error);
    }

    fn store_recovered(&self, store: StoreKind, shard: Option<&str>) {
        (**self).store_recovered(store, shard);
    }
}

//! Which shards of a shared store failed and have not answered since.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;

/// The shards of one store that failed and have not answered since. A store on one server is one shard without a name.
#[derive(Default)]
pub(super) struct Outages {
    /// Whether the list has entries, so that a request need not lock it.
    exist: AtomicBool,
    list: Mutex<Vec<Outage>>,
}

struct Outage {
    /// `None` if the error named no shard.
    shard: Option<Arc<str>>,
    /// The webhook id of a call that failed. After a failover it finds the shard that has taken over.
    webhook_id: Box<str>,
}

impl Outages {
    /// Returns the error under the name by which its outage is kept.
    pub(super) fn name<'e>(&self, error: &'e StoreError) -> Cow<'e, StoreError> {
        match kept_name(&self.lock(), error.shard()) {
            Some(OTHERS) => Cow::Owned(error.clone().with_shard(OTHERS)),
            _ => Cow::Borrowed(error),
        }
    }

    /// Keeps the outage of a shard. A call that was redirected can fail at another shard than that of its webhook id.
    /// So a webhook id of the failed shard is kept if there is one: an answer of another shard must not end the outage.
    #[cold]
    pub(super) fn begin(&self, shard: Option<&str>, webhook_id: &str, shard_of: impl Fn(&str) -> Option<Arc<str>>) {
        let shard_of = without_panic(shard_of);
        let mut list = self.lock();
        let shard = kept_name(&list, shard);
        let is_home = |id: &str| shard_of(id).as_deref() == shard;
        match list.iter_mut().find(|outage| outage.shard.as_deref() == shard) {
            Some(outage) if *outage.webhook_id == *webhook_id => {}
            Some(outage) if !is_home(webhook_id) && is_home(&outage.webhook_id) => {}
            Some(outage) => outage.webhook_id = webhook_id.into(),
            None => list.push(Outage { shard: shard.map(Arc::from), webhook_id: webhook_id.into() }),
        }
        self.exist.store(true, Ordering::Relaxed);
    }

    pub(super) fn exist(&self) -> bool {
        self.exist.load(Ordering::Relaxed)
    }

    /// Ends the outages that an answer for `webhook_id` disproves, and returns their shards: those of the shard that
    /// answered, and those whose webhook ids that shard has now.
    #[cold]
    pub(super) fn end(&self, webhook_id: &str, shard_of: impl Fn(&str) -> Option<Arc<str>>) -> Vec<Option<Arc<str>>> {
        let shard_of = without_panic(shard_of);
        let answered = shard_of(webhook_id);
        let mut list = self.lock();
        let ended = list.extract_if(.., |outage| {
            // A wrapper may hide the shards of the store in it. An answer for the same webhook id is then the only proof.
            let is_hidden = answered.is_none() && outage.shard.is_some();
            *outage.webhook_id == *webhook_id || (!is_hidden && shard_of(&outage.webhook_id) == answered)
        });
        let ended = ended.map(|outage| outage.shard).collect();
        self.exist.store(!list.is_empty(), Ordering::Relaxed);
        ended
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Outage>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic in the application's store must not fail the request.
fn without_panic(shard_of: impl Fn(&str) -> Option<Arc<str>>) -> impl Fn(&str) -> Option<Arc<str>> {
    move |id| catch_unwind(AssertUnwindSafe(|| shard_of(id))).unwrap_or_default()
}

/// Returns the name of a shard, or the common one of all that have no place in the list.
fn kept_name<'s>(list: &[Outage], shard: Option<&'s str>) -> Option<&'s str> {
    let is_kept = list.iter().any(|outage| outage.shard.as_deref() == shard);
    if is_kept || list.len() < MAX_OUTAGES { shard } else { Some(OTHERS) }
}

/// Bounds the list if a store names its shards wrongly, and the time that each answer takes while shards fail.
const MAX_OUTAGES: usize = 64;

/// The name of all shards beyond that, as of the label in the metrics.
const OTHERS: &str = "other";

//! The link to the server, which knows whether the server answers.
//!
//! The first call that fails closes the link. All calls then fail immediately until the server answers again, so only
//! requests that were already in progress wait for a dead server.
//!
//! A background task pings the server, first immediately and then after growing pauses. It tries the existing
//! connection and then a new one. Before it opens the link again, it sends the pending settlements.
//!
//! In a cluster each primary has its own link, so a primary that is down closes only its own. If another primary takes
//! over slots, its link also takes over their pending settlements, and sends the commits before it serves requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::redis::Cmd;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::sleep;

use super::address::Host;
use super::failure::Failure;
use super::server::{Call, Reply, Server};
use super::settlement::{Queue, Settlement};
use crate::error::StoreError;
use crate::future::BoxFuture;

pub(super) struct Link {
    pub(super) server: Server,
    /// The node of a cluster.
    pub(super) host: Option<Host>,
    /// Its name for errors and observers.
    name: Option<Arc<str>>,
    shards: Weak<dyn Shards>,
    /// The runtime of the connection; requests may come from shorter-lived runtimes.
    pub(super) runtime: Handle,
    down: AtomicBool,
    /// The server is read-only (a replica). Its answer to a ping does not show that it accepts writes.
    read_only: AtomicBool,
    reconnecting: AtomicBool,
    /// Commits of another link were added since the task began to send.
    adopted: AtomicBool,
    opened: OnceCell<Result<(), Failure>>,
    pending: Queue,
}

/// The links of a store.
pub(super) trait Shards: Send + Sync {
    /// A server is down, or its part of the cluster is.
    fn closed(&self);
    /// Sends a settlement over a link, even while it is closed, and follows redirections.
    fn settle_over<'a>(
        &'a self,
        link: &'a Arc<Link>,
        settlement: &'a Settlement,
    ) -> BoxFuture<'a, Result<bool, Failure>>;
    /// Hands pending settlements over to the links that serve their slots now.
    fn hand_over(&self, link: &Arc<Link>);
}

impl Link {
    pub(super) fn new(server: Server, host: Option<Host>, shards: Weak<dyn Shards>, runtime: Handle) -> Self {
        Self {
            server,
            name: host.as_ref().map(|host| host.to_string().into()),
            host,
            shards,
            runtime,
            down: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            reconnecting: AtomicBool::new(false),
            adopted: AtomicBool::new(false),
            opened: OnceCell::new(),
            pending: Queue::default(),
        }
    }

    /// Fails while the link is closed.
    pub(super) fn ready(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::Acquire) {
            Err(self.named(StoreError::new("redis is down, the request was not sent")))
        } else {
            Ok(())
        }
    }

    /// Connects and loads the scripts, once. If that fails, the link is closed and the background task goes on.
    pub(super) async fn open(self: &Arc<Self>) -> Result<(), Failure> {
        let opened = self.opened.get_or_init(async || {
            let link = Arc::clone(self);
            let opening = self.runtime.spawn(async move {
                let opened = link.server.open().await;
                if opened.is_err() {
                    link.close();
                }
                opened
            });
            let stopped = |_| Err(StoreError::new("the runtime of the redis connection was stopped").into());
            opening.await.unwrap_or_else(stopped).map_err(|failure| self.failed(failure))
        });
        opened.await.clone()
    }

    /// Returns whether the first attempt to connect has ended.
    pub(super) fn was_opened(&self) -> bool {
        self.opened.initialized()
    }

    /// Runs a script. A failure of the server closes the link.
    pub(super) async fn call(
        self: &Arc<Self>,
        call: &Call<'_, impl Fn(&mut Cmd, &Server)>,
        asking: bool,
    ) -> Result<Reply, Failure> {
        let outcome = self.server.call(call, asking).await;
        if let Err(failure) = &outcome
            && failure.outage
        {
            if failure.read_only {
                self.read_only.store(true, Ordering::Release);
            }
            self.close();
        }
        outcome.map_err(|failure| self.failed(failure))
    }

    pub(super) fn settle_later(self: &Arc<Self>, settlement: Settlement) {
        self.pending.push(settlement);
        self.start_reconnect();
    }

    /// Takes over a settlement of another link. A commit closes the link until it is sent.
    pub(super) fn adopt(self: &Arc<Self>, settlement: Settlement) {
        let is_commit = settlement.is_commit();
        self.pending.push(settlement);
        if is_commit {
            self.adopted.store(true, Ordering::SeqCst);
            self.down.store(true, Ordering::SeqCst);
        }
        self.start_reconnect();
    }

    /// Takes the pending settlements of the slots that `leaves` selects.
    pub(super) fn take_slots(&self, leaves: impl Fn(u16) -> bool) -> Vec<Settlement> {
        if self.pending.is_empty() { Vec::new() } else { self.pending.take_slots(leaves) }
    }

    pub(super) fn close(self: &Arc<Self>) {
        self.down.store(true, Ordering::Release);
        self.start_reconnect();
        if let Some(shards) = self.shards.upgrade() {
            shards.closed();
        }
    }

    /// Returns the name of the node, if the server is one of a cluster.
    pub(super) fn name(&self) -> Option<Arc<str>> {
        self.name.clone()
    }

    /// Adds the name of the node to an error.
    fn named(&self, error: StoreError) -> StoreError {
        match &self.name {
            Some(name) => error.with_shard(Arc::clone(name)),
            None => error,
        }
    }

    fn failed(&self, failure: Failure) -> Failure {
        // The node works, except for this call: its slot may be migrated now, or have no owner.
        if !failure.outage {
            return failure;
        }
        Failure { error: self.named(failure.error), ..failure }
    }

    /// Starts the task that reopens the link, unless it runs already.
    fn start_reconnect(self: &Arc<Self>) {
        if !self.reconnecting.swap(true, Ordering::AcqRel) {
            self.runtime.spawn(reopen(Arc::downgrade(self)));
        }
    }

    /// Tries once to reopen the link. Returns whether it is open and nothing is pending.
    async fn try_reopen(self: &Arc<Self>) -> bool {
        let Some(shards) = self.shards.upgrade() else { return false };
        self.adopted.store(false, Ordering::SeqCst);
        if self.down.load(Ordering::Acquire) && !self.has_answer().await {
            return false;
        }
        // Send commits first, so that no handled delivery is granted again. Then send some releases, so that
        // interrupted requests can be retried. The remaining releases do not delay the link.
        if !self.send_pending(&*shards, || self.pending.take_commits(BATCH), usize::MAX).await
            || !self.send_pending(&*shards, || self.pending.take_releases(BATCH), FIRST_BATCHES).await
        {
            return false;
        }
        self.down.store(false, Ordering::SeqCst);
        if self.adopted.load(Ordering::SeqCst) {
            self.down.store(true, Ordering::SeqCst);
            return false;
        }
        self.send_pending(&*shards, || self.pending.take_releases(BATCH), usize::MAX).await && self.pending.is_empty()
    }

    /// Sends pending settlements in batches. Returns whether the server answered. A settlement that the server refuses
    /// is retried later and does not delay requests.
    async fn send_pending(
        self: &Arc<Self>,
        shards: &dyn Shards,
        take: impl Fn() -> Vec<Settlement>,
        batches: usize,
    ) -> bool {
        for batch in (0..batches).map(|_| take()).take_while(|batch| !batch.is_empty()) {
            let results = join_all(batch.iter().map(|settlement| shards.settle_over(self, settlement))).await;
            let failed =
                batch.into_iter().zip(results).filter_map(|(settlement, result)| Some((settlement, result.err()?)));
            let (unsent, refused): (Vec<_>, Vec<_>) = failed.partition(|(_, failure)| failure.outage);
            let (any_unsent, any_refused) = (!unsent.is_empty(), !refused.is_empty());
            refused.into_iter().for_each(|(settlement, _)| self.pending.push(settlement));
            self.pending.put_back(unsent.into_iter().map(|(settlement, _)| settlement).collect());
            if any_unsent || any_refused {
                // Another primary may serve their slots now.
                shards.hand_over(self);
            }
            if any_unsent {
                return false;
            }
            if any_refused {
                break;
            }
        }
        true
    }

    /// Returns whether the server answers over the existing connection, or otherwise over a new one.
    async fn has_answer(&self) -> bool {
        if self.read_only.load(Ordering::Acquire) {
            // Wait first: a new connection can lead to a replica again, which only the next write shows.
            sleep(LONGEST_PAUSE).await;
        } else if self.server.is_alive().await {
            return true;
        }
        let reconnected = self.server.reconnect().await;
        if reconnected {
            self.read_only.store(false, Ordering::Release);
        }
        reconnected
    }
}

/// Runs the background task. It ends when everything is sent, or when the link has no other owner.
async fn reopen(link: Weak<Link>) {
    let mut pause = Duration::ZERO;
    while let Some(link) = link.upgrade() {
        if link.try_reopen().await {
            link.reconnecting.store(false, Ordering::Release);
            // Check again: a settlement may have been queued, or the link closed, before the flag was cleared.
            if (link.pending.is_empty() && link.ready().is_ok()) || link.reconnecting.swap(true, Ordering::AcqRel) {
                return;
            }
            pause = Duration::ZERO;
        } else {
            drop(link);
            sleep(pause).await;
            pause = pause.saturating_mul(2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
    }
}

/// How many settlements are sent at a time.
const BATCH: usize = 256;

/// How many batches of claims are released before requests are served.
const FIRST_BATCHES: usize = 16;

const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

//! The link to the server, which knows whether the server answers.
//!
//! The first call that fails closes the link. All calls then fail immediately until the server answers again, so only
//! requests that were already in progress wait for a dead server.
//!
//! A background task pings the server, first immediately and then after growing pauses. It tries the existing
//! connection and then a new one. Before it opens the link again, it sends the pending settlements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::redis::Cmd;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::server::{Failure, Reply, Script, Server};
use super::settlement::{Queue, Settlement};
use crate::error::StoreError;

pub(super) struct Link {
    pub(super) server: Server,
    /// The runtime of the connection; requests may come from shorter-lived runtimes.
    runtime: Handle,
    down: AtomicBool,
    /// The server is read-only (a replica). Its answer to a ping does not show that it accepts writes.
    read_only: AtomicBool,
    reconnecting: AtomicBool,
    pending: Queue,
}

impl Link {
    pub(super) fn new(server: Server, runtime: Handle) -> Self {
        Self {
            server,
            runtime,
            down: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            reconnecting: AtomicBool::new(false),
            pending: Queue::default(),
        }
    }

    /// Fails while the link is closed.
    pub(super) fn ready(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::Acquire) {
            Err(StoreError::new("redis is down, the request was not sent"))
        } else {
            Ok(())
        }
    }

    /// Runs a script. A failure of the server closes the link.
    pub(super) async fn call(
        self: &Arc<Self>,
        script: Script,
        keys: &[String],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Reply, Failure> {
        let outcome = self.server.call(script, keys, arguments).await;
        if let Err(failure) = &outcome
            && failure.outage
        {
            if failure.read_only {
                self.read_only.store(true, Ordering::Release);
            }
            self.close();
        }
        outcome
    }

    pub(super) async fn settle(self: &Arc<Self>, settlement: Option<&Settlement>) -> Result<bool, Failure> {
        let Some(settlement) = settlement else { return Ok(false) };
        let reply = self
            .call(Script::Settle, &settlement.keys, |command| {
                command.arg(settlement.by.number().to_be_bytes().as_slice());
                command.arg(settlement.stored_millis()).arg(settlement.id_stored_millis());
            })
            .await?;
        Ok(reply.numbers == [1])
    }

    pub(super) fn settle_later(self: &Arc<Self>, settlement: Settlement) {
        self.pending.push(settlement);
        self.start_reconnect();
    }

    fn close(self: &Arc<Self>) {
        self.down.store(true, Ordering::Release);
        self.start_reconnect();
    }

    /// Closes the link when Sentinels name another primary, even if the old one still answers. Reopening it connects to
    /// the new primary.
    pub(super) fn watch_primary(self: &Arc<Self>) {
        if self.server.has_sentinels() {
            self.runtime.spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Starts the task that reopens the link, unless it runs already.
    fn start_reconnect(self: &Arc<Self>) {
        if !self.reconnecting.swap(true, Ordering::AcqRel) {
            self.runtime.spawn(reopen(Arc::downgrade(self)));
        }
    }

    /// Tries once to reopen the link. Returns whether it is open and nothing is pending.
    async fn try_reopen(self: &Arc<Self>) -> bool {
        if self.down.load(Ordering::Acquire) && !self.has_answer().await {
            return false;
        }
        // Send commits first, so that no handled delivery is granted again. Then send some releases, so that
        // interrupted requests can be retried. The remaining releases do not delay the link.
        if !self.send_pending(|| self.pending.take_commits(BATCH), usize::MAX).await
            || !self.send_pending(|| self.pending.take_releases(BATCH), FIRST_BATCHES).await
        {
            return false;
        }
        self.down.store(false, Ordering::Release);
        self.send_pending(|| self.pending.take_releases(BATCH), usize::MAX).await && self.pending.is_empty()
    }

    /// Sends pending settlements in batches. Returns whether the server answered. A settlement that the server refuses
    /// is retried later and does not delay requests.
    async fn send_pending(self: &Arc<Self>, take: impl Fn() -> Vec<Settlement>, batches: usize) -> bool {
        for batch in (0..batches).map(|_| take()).take_while(|batch| !batch.is_empty()) {
            let results = join_all(batch.iter().map(|settlement| self.settle(Some(settlement)))).await;
            let failed =
                batch.into_iter().zip(results).filter_map(|(settlement, result)| Some((settlement, result.err()?)));
            let (unsent, refused): (Vec<_>, Vec<_>) = failed.partition(|(_, failure)| failure.outage);
            let any_refused = !refused.is_empty();
            refused.into_iter().for_each(|(settlement, _)| self.pending.push(settlement));
            if !unsent.is_empty() {
                self.pending.put_back(unsent.into_iter().map(|(settlement, _)| settlement).collect());
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

/// Asks the Sentinels while the link has another owner.
async fn watch(link: Weak<Link>) {
    loop {
        sleep(WATCH_PAUSE).await;
        let Some(link) = link.upgrade() else { return };
        // A closed link asks the Sentinels itself.
        if link.ready().is_ok() && link.server.is_replaced().await {
            link.close();
        }
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

/// The pause between two questions to the Sentinels. Until each process has seen a failover of a primary that still
/// answers, two processes may write to two primaries.
const WATCH_PAUSE: Duration = Duration::from_millis(250);

const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

//! The link to the server, and whether the server answers.
//!
//! The first call that fails closes the link. Then all calls fail at once until the server answers again: only the
//! requests that were in progress wait for a dead server.
//!
//! A background task asks for the server, at once and then after growing pauses, first over the existing connection and
//! then over a new one. Before it opens the link again, it sends the settlements that could not be sent.

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
    /// The connection leads to a server that accepts no writes, so that an answer from it proves nothing.
    astray: AtomicBool,
    reconnecting: AtomicBool,
    pending: Queue,
}

impl Link {
    pub(super) fn new(server: Server, runtime: Handle) -> Self {
        Self {
            server,
            runtime,
            down: AtomicBool::new(false),
            astray: AtomicBool::new(false),
            reconnecting: AtomicBool::new(false),
            pending: Queue::default(),
        }
    }

    /// Whether it is worth asking.
    pub(super) fn ready(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::Acquire) {
            Err(StoreError::new("redis is down, no answer was waited for"))
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
                self.astray.store(true, Ordering::Release);
            }
            self.close();
        }
        outcome
    }

    pub(super) async fn settle(self: &Arc<Self>, settlement: Option<&Settlement>) -> Result<bool, Failure> {
        let Some(settlement) = settlement else { return Ok(false) };
        let reply = self
            .call(Script::Settle, &settlement.keys, |command| {
                command.arg(settlement.by.number().to_be_bytes().as_slice()).arg(settlement.remembered());
            })
            .await?;
        Ok(reply.numbers == [1])
    }

    pub(super) fn settle_later(self: &Arc<Self>, settlement: Settlement) {
        self.pending.push(settlement);
        self.mend();
    }

    fn close(self: &Arc<Self>) {
        self.down.store(true, Ordering::Release);
        self.mend();
    }

    /// Starts the task that reopens the link, unless it is running.
    fn mend(self: &Arc<Self>) {
        if !self.reconnecting.swap(true, Ordering::AcqRel) {
            self.runtime.spawn(reopen(Arc::downgrade(self)));
        }
    }

    /// Returns whether nothing is left to do.
    async fn mend_once(self: &Arc<Self>) -> bool {
        if self.down.load(Ordering::Acquire) && !self.has_answer().await {
            return false;
        }
        // Nobody may be granted what was done already, and the requests that the outage cut off should find their claims
        // gone. After those come the claims of the outage itself, which were never made: they don't keep anybody waiting.
        if !self.make_up(|| self.pending.take_commits(BATCH), usize::MAX).await
            || !self.make_up(|| self.pending.take_releases(BATCH), FIRST_BATCHES).await
        {
            return false;
        }
        self.down.store(false, Ordering::Release);
        self.make_up(|| self.pending.take_releases(BATCH), usize::MAX).await && self.pending.is_empty()
    }

    /// Sends pending settlements in batches. Returns whether the server answered; a settlement that it refuses is tried
    /// again later, and does not delay requests.
    async fn make_up(self: &Arc<Self>, take: impl Fn() -> Vec<Settlement>, batches: usize) -> bool {
        for batch in (0..batches).map(|_| take()).take_while(|batch| !batch.is_empty()) {
            let told = join_all(batch.iter().map(|settlement| self.settle(Some(settlement)))).await;
            let failed = batch.into_iter().zip(told).filter_map(|(settlement, told)| Some((settlement, told.err()?)));
            let (untold, refused): (Vec<_>, Vec<_>) = failed.partition(|(_, failure)| failure.outage);
            let someone_refused = !refused.is_empty();
            refused.into_iter().for_each(|(settlement, _)| self.pending.push(settlement));
            if !untold.is_empty() {
                self.pending.put_back(untold.into_iter().map(|(settlement, _)| settlement).collect());
                return false;
            }
            if someone_refused {
                break;
            }
        }
        true
    }

    /// Whether a server answers, over the existing connection or else over a new one.
    async fn has_answer(&self) -> bool {
        if self.astray.load(Ordering::Acquire) {
            // The new one may lead to a replica again, and does not show it before it is told something.
            sleep(LONGEST_PAUSE).await;
        } else if self.server.is_alive().await {
            return true;
        }
        let reconnected = self.server.reconnect().await;
        if reconnected {
            self.astray.store(false, Ordering::Release);
        }
        reconnected
    }
}

/// The background task. It ends when everything is sent, or when the link has no other owner.
async fn reopen(link: Weak<Link>) {
    let mut pause = Duration::ZERO;
    while let Some(link) = link.upgrade() {
        if link.mend_once().await {
            link.reconnecting.store(false, Ordering::Release);
            // Something may have come after the last look, and before the flag was set.
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

/// Settlements that are sent at one time.
const BATCH: usize = 256;

/// How many batches of claims are released before requests are served.
const FIRST_BATCHES: usize = 16;

const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

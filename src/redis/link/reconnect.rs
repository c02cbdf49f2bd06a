//! Reopening a closed link.
//!
//! A background task asks for the server, at once and then after growing pauses, first over the existing connection and
//! then over a new one. Before it opens the link again, it sends the settlements that could not be sent.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::redis::RedisResult;
use ::redis::aio::ConnectionManager;
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::{Link, Settlement};

/// Ends when everything is sent, or when the link has no other owner.
pub(super) async fn run(link: Weak<Link>) {
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

impl Link {
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
        } else if self.is_alive().await {
            return true;
        }
        self.reconnect().await
    }

    async fn is_alive(&self) -> bool {
        matches!(timeout(self.timeout, ping(self.connection())).await, Ok(Ok(())))
    }

    async fn reconnect(&self) -> bool {
        let connecting = async {
            let mut connection = ConnectionManager::new_with_config(self.client.clone(), self.config.clone()).await?;
            ping(connection.clone()).await?;
            // It may be another server, with another clock.
            self.learn_time(&mut connection).await?;
            RedisResult::Ok(connection)
        };
        match timeout(self.connect_timeout, connecting).await {
            Ok(Ok(connection)) => {
                self.connection.store(Arc::new(connection));
                self.astray.store(false, Ordering::Release);
                true
            }
            _ => false,
        }
    }
}

async fn ping(mut connection: ConnectionManager) -> RedisResult<()> {
    ::redis::cmd("PING").exec_async(&mut connection).await
}

/// Settlements that are sent at one time.
const BATCH: usize = 256;

/// How many batches of claims are released before requests are served.
const FIRST_BATCHES: usize = 16;

const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

//! Sends each call to the server that has its keys, and follows the redirections of a cluster.
//!
//! The client's own connection to a cluster is not used. While it reads the topology it connects to all nodes under one
//! lock, so one node that does not answer delays the calls to all others. It sends the calls of a lost primary to other
//! nodes, at the cost of more round trips. And it does not say which node failed, so there could be no link for each
//! primary: with a shard down, only that shard's calls fail at once, and each node has its own clock and its own pending
//! settlements.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ::redis::{Cmd, RedisResult};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::cluster::ClusterSettings;
use super::failure::{Failure, Redirect};
use super::link::{Link, Shards};
use super::server::{Call, Reply, Script, Server};
use super::settlement::Settlement;
use super::shard_map::ShardMap;
use crate::error::StoreError;
use crate::future::BoxFuture;

pub(super) struct Router {
    pub(super) map: Arc<ShardMap>,
    timeout: Duration,
}

impl Router {
    /// Creates a router to one server.
    pub(super) fn single(server: Server, timeout: Duration, runtime: Handle) -> Arc<Self> {
        Arc::new_cyclic(|router: &Weak<Self>| Self { map: ShardMap::single(server, router.clone(), runtime), timeout })
    }

    /// Creates a router to a cluster.
    pub(super) fn cluster(settings: ClusterSettings) -> RedisResult<Arc<Self>> {
        let (seed, timeout) = (settings.first()?, settings.timeout);
        Ok(Arc::new_cyclic(|router: &Weak<Self>| Self {
            map: ShardMap::cluster(settings, seed, router.clone()),
            timeout,
        }))
    }

    /// Runs a script where its keys are. Returns the reply and the link to the server that ran it.
    pub(super) async fn call(
        &self,
        slot: u16,
        call: &Call<'_, impl Fn(&mut Cmd, &Server)>,
    ) -> Result<(Reply, Arc<Link>), Failure> {
        let link = self.map.ready(slot, call.began).await?;
        self.call_over(link, slot, call).await
    }

    /// Runs a script over a link, and follows redirections.
    async fn call_over(
        &self,
        mut link: Arc<Link>,
        slot: u16,
        call: &Call<'_, impl Fn(&mut Cmd, &Server)>,
    ) -> Result<(Reply, Arc<Link>), Failure> {
        let until = call.began.checked_add(self.timeout).unwrap_or(call.began);
        let first = Arc::clone(&link);
        let (mut asking, mut hops, mut pause) = (false, 0_u8, SHORTEST_PAUSE);
        loop {
            let failure = match link.call(call, asking).await {
                Ok(reply) => {
                    let owner = self.map.owner(slot);
                    let is_claim = matches!(call.script, Script::Admit);
                    if !is_claim || asking || hops >= MOST_HOPS || Arc::ptr_eq(&owner, &link) {
                        return Ok((reply, link));
                    }
                    // Another node took over the slot during the call. A primary that was stopped meanwhile does not know
                    // that yet: it grants the claim, and loses it. The new one grants it once more to the same claimant.
                    hops = hops.saturating_add(1);
                    self.map.opened(&owner, call.began).await?;
                    link = owner;
                    continue;
                }
                // The caller's link is not at fault.
                Err(failure) if !Arc::ptr_eq(&link, &first) => Failure { outage: false, ..failure },
                Err(failure) => failure,
            };
            let Some(redirect) = &failure.redirect else { return Err(failure) };
            if !self.map.is_cluster() {
                return Err(StoreError::new("redis is a node of a cluster: use a redis+cluster:// URL").into());
            }
            asking = matches!(redirect, Redirect::Ask(_));
            if *redirect == Redirect::Unserved {
                self.map.refresh_later();
            }
            hops = hops.saturating_add(1);
            let next = match redirect {
                Redirect::Moved(node) if hops <= MOST_HOPS => self.map.moved(slot, &link, node),
                Redirect::Ask(node) if hops <= MOST_HOPS => self.map.visit(&link, node),
                // Nodes that send a call in a circle have not agreed yet. Leave time for the calls after the pause.
                _ if until.saturating_duration_since(Instant::now()) > pause.saturating_mul(2) => {
                    sleep(pause).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    // After each pause at least one redirection is followed.
                    hops = hops.min(MOST_HOPS.saturating_sub(1));
                    asking = false;
                    Some(self.map.owner(slot))
                }
                _ => None,
            };
            let Some(next) = next else { return Err(failure) };
            // Settlements are sent before their link opens.
            if !Arc::ptr_eq(&next, &link) {
                self.map.opened(&next, call.began).await?;
            }
            link = next;
        }
    }

    pub(super) async fn settle(&self, settlement: &Settlement) -> Result<bool, Failure> {
        let began = Instant::now();
        let link = self.map.ready(settlement.slot, began).await?;
        self.settle_from(link, settlement, began).await
    }

    async fn settle_from(&self, link: Arc<Link>, settlement: &Settlement, began: Instant) -> Result<bool, Failure> {
        let call = Call {
            script: Script::Settle,
            keys: &settlement.keys,
            arguments: |command: &mut Cmd, _: &Server| {
                command.arg(settlement.by.number().to_be_bytes().as_slice());
                command.arg(settlement.stored_millis()).arg(settlement.id_stored_millis());
            },
            began,
        };
        let (reply, _) = self.call_over(link, settlement.slot, &call).await?;
        Ok(reply.numbers == [1])
    }
}

impl Shards for Router {
    fn closed(&self) {
        self.map.refresh_later();
    }

    fn settle_over<'a>(
        &'a self,
        link: &'a Arc<Link>,
        settlement: &'a Settlement,
    ) -> BoxFuture<'a, Result<bool, Failure>> {
        Box::pin(self.settle_from(Arc::clone(link), settlement, Instant::now()))
    }

    fn hand_over(&self, link: &Arc<Link>) {
        self.map.hand_over(link);
    }
}

/// The most redirections of a call without a pause.
const MOST_HOPS: u8 = 5;

/// The pauses while some keys of a call are at one node and some at another, while a node knows no owner, or while nodes
/// send the call in a circle.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

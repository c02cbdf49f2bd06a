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

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ::redis::Cmd;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::address::Host;
use super::failure::Failure;
use super::server::{Call, Reply, Server};
use super::settlement::{BATCH, Queue, Settlement};
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
    /// How often the link was closed.
    closings: AtomicU64,
    /// The last closing that reopening has ended. The link is open if there was none after it.
    reopened: AtomicU64,
    /// The server accepts no writes. Its answer to a ping shows nothing.
    refuses_writes: AtomicBool,
    reconnecting: AtomicBool,
    /// Ends the pause of the background task.
    wake: Arc<Notify>,
    opening: AtomicBool,
    /// The result of the first attempt to connect, when it has ended.
    opened: watch::Sender<Option<Result<(), Failure>>>,
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
            closings: AtomicU64::new(0),
            reopened: AtomicU64::new(0),
            refuses_writes: AtomicBool::new(false),
            reconnecting: AtomicBool::new(false),
            wake: Arc::default(),
            opening: AtomicBool::new(false),
            opened: watch::Sender::new(None),
            pending: Queue::default(),
        }
    }

    /// Fails while the link is closed.
    pub(super) fn ready(&self) -> Result<(), StoreError> {
        if self.is_open() {
            Ok(())
        } else {
            Err(self.named(StoreError::new("redis is down, the request was not sent")))
        }
    }

    /// Connects and loads the scripts, once. If that fails, the link is closed and the background task goes on.
    pub(super) async fn open(self: &Arc<Self>) -> Result<(), Failure> {
        let mut opened = self.opened.subscribe();
        if !self.opening.swap(true, Ordering::AcqRel) {
            // A task, because connecting can take longer than the callers wait.
            let link = Arc::clone(self);
            self.runtime.spawn(async move {
                let opened = link.server.open().await.map_err(|failure| link.failed(failure));
                if opened.is_err() {
                    link.close();
                }
                link.opened.send_replace(Some(opened));
            });
        }
        let opened = opened.wait_for(Option::is_some).await.ok().and_then(|opened| opened.clone());
        opened.unwrap_or_else(|| Err(StoreError::new("the task that opens the redis connection has ended").into()))
    }

    /// Returns whether the first attempt to connect has ended.
    pub(super) fn was_opened(&self) -> bool {
        self.opened.borrow().is_some()
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
            self.refuses_writes.fetch_or(failure.refuses_writes, Ordering::AcqRel);
            self.close();
        }
        outcome.map_err(|failure| self.failed(failure))
    }

    pub(super) fn settle_later(self: &Arc<Self>, settlement: Settlement) {
        self.pending.push(settlement);
        self.start_reconnect(Duration::ZERO);
    }

    /// Takes over a settlement of another link. A commit closes the link until it is sent. Links hand a settlement to
    /// and fro while their nodes do not agree who owns its slot, so only the first times concern other requests.
    pub(super) fn adopt(self: &Arc<Self>, mut settlement: Settlement) {
        let is_early = settlement.hand_over();
        let closes = is_early && settlement.is_commit();
        self.pending.adopt(settlement);
        self.closings.fetch_add(u64::from(closes), Ordering::SeqCst);
        self.start_reconnect(if is_early { Duration::ZERO } else { LONGEST_PAUSE });
        if is_early {
            self.wake.notify_one();
        }
    }

    /// Takes the pending settlements of the slots that `leaves` selects.
    pub(super) fn take_slots(&self, leaves: impl Fn(u16) -> bool) -> Vec<Settlement> {
        if self.pending.is_empty() { Vec::new() } else { self.pending.take_slots(leaves) }
    }

    pub(super) fn close(self: &Arc<Self>) {
        self.closings.fetch_add(1, Ordering::SeqCst);
        self.start_reconnect(Duration::ZERO);
        if let Some(shards) = self.shards.upgrade() {
            shards.closed();
        }
    }

    fn is_open(&self) -> bool {
        // In this order, so that a link that is reopened between the two does not seem closed.
        let reopened = self.reopened.load(Ordering::SeqCst);
        self.closings.load(Ordering::SeqCst) == reopened
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
        // Otherwise the node works, except for this call: its slot may be migrated now, or have no owner.
        if failure.outage || failure.refused {
            return Failure { error: self.named(failure.error), ..failure };
        }
        failure
    }

    /// Starts the task that reopens the link, unless it runs already.
    fn start_reconnect(self: &Arc<Self>, pause: Duration) {
        if !self.reconnecting.swap(true, Ordering::AcqRel) {
            self.runtime.spawn(reopen(Arc::downgrade(self), pause));
        }
    }

    /// Tries once to reopen the link. Returns whether it is open and nothing is pending.
    async fn try_reopen(self: &Arc<Self>) -> bool {
        let Some(shards) = self.shards.upgrade() else { return false };
        // A new node may need longer than a call.
        if self.host.is_some() && !self.was_opened() && self.open().await.is_err() {
            return false;
        }
        let closing = self.closings.load(Ordering::SeqCst);
        if !self.is_open() && !self.has_answer().await {
            return false;
        }
        // Send commits first, so that no handled delivery is granted again. Then send some releases, so that
        // interrupted requests can be retried. The remaining releases do not delay the link.
        if !self.send_pending(&*shards, || self.pending.take_commits(BATCH), usize::MAX).await
            || !self.send_pending(&*shards, || self.pending.take_releases(BATCH), FIRST_BATCHES).await
        {
            return false;
        }
        self.reopened.store(closing, Ordering::SeqCst);
        self.is_open()
            && self.send_pending(&*shards, || self.pending.take_releases(BATCH), usize::MAX).await
            && self.pending.is_empty()
    }

    /// Sends pending settlements in batches. Returns whether the server answered. A settlement that the server refuses
    /// is retried later, and does not delay requests for long: before the link opens, the others are tried as well.
    async fn send_pending(
        self: &Arc<Self>,
        shards: &dyn Shards,
        take: impl Fn() -> Vec<Settlement>,
        batches: usize,
    ) -> bool {
        let (mut unsent, mut refused, mut delay) = (Vec::new(), Vec::new(), Duration::ZERO);
        for batch in (0..batches).map(|_| take()).take_while(|batch| !batch.is_empty()) {
            let (began, before) = (Instant::now(), refused.len());
            let results = join_all(batch.iter().map(|settlement| shards.settle_over(self, settlement))).await;
            for (settlement, result) in batch.into_iter().zip(results) {
                let Err(failure) = result else { continue };
                if failure.outage { unsent.push(settlement) } else { refused.push(settlement) }
            }
            let took = if refused.len() > before { began.elapsed() } else { Duration::ZERO };
            delay = delay.saturating_add(took);
            let is_delayed = self.is_open() || delay > LONGEST_DELAY;
            if !unsent.is_empty() || (!refused.is_empty() && is_delayed) {
                break;
            }
        }
        let (answered, all_sent) = (unsent.is_empty(), unsent.is_empty() && refused.is_empty());
        self.pending.put_back(unsent);
        refused.into_iter().for_each(|settlement| self.pending.adopt(settlement));
        if !all_sent {
            // Another primary may serve their slots now.
            shards.hand_over(self);
        }
        answered
    }

    /// Returns whether the server answers over the existing connection, or otherwise over a new one.
    async fn has_answer(&self) -> bool {
        if self.refuses_writes.load(Ordering::Acquire) {
            // Wait first: a new connection can lead to the same server again, which only the next write shows.
            sleep(LONGEST_PAUSE).await;
        } else if self.server.is_alive().await {
            return true;
        }
        let reconnected = self.server.reconnect().await;
        if reconnected {
            self.refuses_writes.store(false, Ordering::Release);
        }
        reconnected
    }
}

/// Runs the background task. It ends when everything is sent, or when the link has no other owner.
async fn reopen(link: Weak<Link>, first_pause: Duration) {
    let mut pause = Duration::ZERO;
    let Some(wake) = link.upgrade().map(|link| Arc::clone(&link.wake)) else { return };
    let _ = timeout(first_pause, wake.notified()).await;
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
            let _ = timeout(pause, wake.notified()).await;
            pause = pause.saturating_mul(2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
    }
}

/// How many batches of claims are released before requests are served.
const FIRST_BATCHES: usize = 16;

/// How long batches may take in which the server refuses some settlements, before a closed link opens without the rest.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ::redis::Client;
    use futures_util::FutureExt as _;

    use super::super::connection::Target;
    use super::super::settlement::MOST_MOVES;
    use super::*;
    use crate::replay::Claimant;

    /// Refuses or accepts settlements, and notes their slots.
    #[derive(Default)]
    struct Fake {
        /// Refuses the settlements of smaller slots.
        accepts_from: u16,
        tried: Mutex<Vec<u16>>,
        /// If set, each settlement waits for it.
        gate: Option<Notify>,
        /// The settlement of this slot takes longer than this.
        slow: Option<(u16, Duration)>,
    }

    impl Shards for Fake {
        fn closed(&self) {}

        fn settle_over<'a>(
            &'a self,
            _: &'a Arc<Link>,
            settlement: &'a Settlement,
        ) -> BoxFuture<'a, Result<bool, Failure>> {
            Box::pin(async {
                self.tried.lock().unwrap().push(settlement.slot);
                if let Some(gate) = &self.gate {
                    gate.notified().await;
                }
                if let Some((slot, time)) = self.slow
                    && slot == settlement.slot
                {
                    sleep(time.saturating_add(Duration::from_millis(1))).await;
                }
                if settlement.slot < self.accepts_from { Err(StoreError::new("refused").into()) } else { Ok(true) }
            })
        }

        fn hand_over(&self, _: &Arc<Link>) {}
    }

    /// A link to a server that refuses connections. Its background task does not start.
    fn link(fake: &Arc<Fake>) -> Arc<Link> {
        let target = Target::Server(Client::open("redis://127.0.0.1:1").unwrap());
        let server = Server::new(target, Duration::from_secs(60), Duration::from_secs(60)).unwrap();
        let shards: Arc<dyn Shards> = fake.clone();
        let link = Link::new(server, None, Arc::downgrade(&shards), Handle::current());
        link.reconnecting.store(true, Ordering::SeqCst);
        Arc::new(link)
    }

    fn commit(slot: u16) -> Settlement {
        Settlement::commit((slot, vec!["key".into()]), Claimant::new(1), Duration::from_secs(60), None)
    }

    fn release(slot: u16) -> Settlement {
        Settlement::release((slot, vec!["key".into()]), Claimant::new(1), Duration::from_secs(60))
    }

    fn tried(fake: &Fake) -> Vec<u16> {
        let mut slots = std::mem::take(&mut *fake.tried.lock().unwrap());
        slots.sort_unstable();
        slots
    }

    #[tokio::test]
    async fn connecting_ends_without_its_callers() {
        let link = link(&Arc::default());
        assert!(link.open().now_or_never().is_none());
        let opened = async {
            while !link.was_opened() {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), opened).await.expect("the result is kept");
        assert!(link.open().await.is_err() && link.ready().is_err());
    }

    #[tokio::test]
    async fn closing_while_settlements_are_sent_counts() {
        let fake = Arc::new(Fake { gate: Some(Notify::new()), ..Fake::default() });
        let link = link(&fake);
        link.settle_later(commit(1));
        let close = async {
            while tried(&fake).is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
            link.close();
            fake.gate.as_ref().unwrap().notify_one();
        };
        let (done, ()) = tokio::join!(link.try_reopen(), close);
        assert!(!done && link.ready().is_err());
    }

    #[tokio::test]
    async fn refused_commits_delay_no_others() {
        let fake = Arc::new(Fake { accepts_from: 700, ..Fake::default() });
        let link = link(&fake);
        (0..1_000).for_each(|slot| link.settle_later(commit(slot)));
        link.close();
        assert!(link.send_pending(&*fake, || link.pending.take_commits(BATCH), usize::MAX).await);
        assert_eq!(tried(&fake), (0..1_000).collect::<Vec<_>>(), "each is tried once before the link opens");
        let kept: Vec<_> = link.take_slots(|_| true).iter().map(|settlement| settlement.slot).collect();
        assert_eq!(kept, (0..700).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn batches_without_refusal_are_no_delay() {
        let fake = Arc::new(Fake { accepts_from: 100, slow: Some((300, LONGEST_DELAY)), ..Fake::default() });
        let link = link(&fake);
        [(300..556), (0..256), (556..600)].into_iter().flatten().for_each(|slot| link.settle_later(commit(slot)));
        link.close();
        assert!(link.send_pending(&*fake, || link.pending.take_commits(BATCH), usize::MAX).await);
        assert_eq!(tried(&fake), (0..256).chain(300..600).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn settlement_handed_to_and_fro_disturbs_rarely() {
        let fake = Arc::new(Fake::default());
        let link = link(&fake);
        for settlement in [commit(1), release(2)] {
            link.adopt(settlement);
            link.wake.notified().now_or_never().expect("the background task goes on at once");
        }
        for _ in 1..MOST_MOVES {
            link.take_slots(|_| true).into_iter().for_each(|settlement| link.adopt(settlement));
            link.wake.notified().now_or_never().expect("the background task goes on at once");
        }
        let handed_over = link.take_slots(|_| true);
        assert_eq!(handed_over.len(), 2);
        link.reopened.store(link.closings.load(Ordering::SeqCst), Ordering::SeqCst);
        link.reconnecting.store(false, Ordering::SeqCst);
        let began = Instant::now();
        handed_over.into_iter().for_each(|settlement| link.adopt(settlement));
        assert!(link.ready().is_ok() && link.wake.notified().now_or_never().is_none());
        while tried(&fake).is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(began.elapsed() >= LONGEST_PAUSE, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn adopted_commit_ends_the_pause() {
        let link = link(&Arc::default());
        link.adopt(commit(1));
        assert!(link.ready().is_err());
        link.wake.notified().now_or_never().expect("the background task goes on");
    }
}

//! Which link serves which slot, and how that changes.
//!
//! A redirection changes one slot. After it, and while a link is closed, a background task asks the nodes for the whole
//! topology. This is how the store finds a promoted replica.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::MutexGuard;
use tokio::time::{sleep, timeout, timeout_at};

use super::address::Host;
use super::cluster::{Cluster, ClusterSettings, Nodes};
use super::failure::Failure;
use super::link::{Link, Shards};
use super::server::Server;
use super::settlement::Settlement;
use super::slot_table::SlotTable;
use super::topology::parse_redirect;
use super::watch::watch_primary;
use crate::error::StoreError;

pub(super) struct ShardMap {
    table: ArcSwap<SlotTable<Link>>,
    cluster: Option<Cluster>,
    itself: Weak<Self>,
}

impl ShardMap {
    /// Creates the map of one server.
    pub(super) fn single(server: Server, shards: Weak<dyn Shards>, runtime: Handle) -> Arc<Self> {
        let link = Arc::new(Link::new(server, None, shards, runtime));
        watch_primary(&link);
        Arc::new(Self { table: ArcSwap::from_pointee(SlotTable::new(link)), cluster: None, itself: Weak::new() })
    }

    /// Creates the map of a cluster. The first seed has all slots until the topology is known.
    pub(super) fn cluster(
        settings: ClusterSettings,
        (seed, server): (Host, Server),
        shards: Weak<dyn Shards>,
    ) -> Arc<Self> {
        let cluster = Cluster::new(settings, shards);
        let table = SlotTable::new(cluster.add(&mut cluster.nodes(), seed, server));
        Arc::new_cyclic(|itself| Self {
            table: ArcSwap::from_pointee(table),
            cluster: Some(cluster),
            itself: itself.clone(),
        })
    }

    /// Connects to the server, or to all primaries. Fails if none can be reached, or if one refuses the password.
    pub(super) async fn open(&self) -> Result<(), StoreError> {
        let Some(cluster) = &self.cluster else { return Ok(self.owner(0).server.open().await?) };
        // Each connection has its own timeout.
        let opened = self.refresh(cluster, Duration::MAX).await?.unwrap_or_default();
        let none = opened.iter().all(Result::is_err);
        match opened.into_iter().filter_map(Result::err).find(|failure| none || failure.credentials) {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }

    pub(super) const fn is_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    /// Returns whether all links are open.
    pub(super) fn is_up(&self) -> bool {
        self.table.load().owners().iter().all(|link| link.ready().is_ok())
    }

    /// Returns the link that serves a slot.
    pub(super) fn owner(&self, slot: u16) -> Arc<Link> {
        Arc::clone(self.table.load().owner(slot))
    }

    /// Returns the link that serves a slot if it is open. The first call waits until the topology is known.
    pub(super) async fn ready(&self, slot: u16, began: Instant) -> Result<Arc<Link>, Failure> {
        let mut link = self.owner(slot);
        link.ready()?;
        if let Some(cluster) = &self.cluster {
            if !cluster.discovered.initialized() {
                self.discover(cluster, &link, began).await?;
                link = self.owner(slot);
                link.ready()?;
            }
            self.opened(&link, began).await?;
        }
        Ok(link)
    }

    /// Waits until the first attempt to connect has ended. A call that this takes too long fails.
    pub(super) async fn opened(&self, link: &Arc<Link>, began: Instant) -> Result<(), StoreError> {
        if let Some(cluster) = &self.cluster
            && !link.was_opened()
        {
            let until = began.checked_add(cluster.settings().timeout).unwrap_or(began);
            let _ = timeout_at(until.into(), link.open()).await;
        }
        link.ready()
    }

    /// Notes that `from` answered that another node owns a slot. Returns the link over which to repeat the call.
    pub(super) fn moved(&self, slot: u16, from: &Arc<Link>, node: &str) -> Option<Arc<Link>> {
        self.refresh_later();
        let cluster = self.cluster.as_ref()?;
        let host = parse_redirect(node, from.host.as_ref()?)?;
        let mut nodes = cluster.nodes();
        let owner = self.owner(slot);
        if !Arc::ptr_eq(&owner, from) {
            // The table has changed since the call was sent, or it was sent to a node that is not in the table.
            return Some(owner);
        }
        let link = cluster.visit(&mut nodes, &host).ok()?;
        nodes.moved.remove(&slot);
        self.install(&mut nodes, [(slot..=slot, &link)]);
        nodes.moved.insert(slot);
        Some(link)
    }

    /// Returns the link to the node to which `from` is migrating a slot.
    pub(super) fn visit(&self, from: &Link, node: &str) -> Option<Arc<Link>> {
        let cluster = self.cluster.as_ref()?;
        let host = parse_redirect(node, from.host.as_ref()?)?;
        cluster.visit(&mut cluster.nodes(), &host).ok()
    }

    /// Sends a settlement in the background.
    pub(super) fn settle_later(&self, settlement: Settlement) {
        let slot = settlement.slot;
        let link = self.owner(slot);
        link.settle_later(settlement);
        if !Arc::ptr_eq(&link, &self.owner(slot)) {
            // Another link took over the slot meanwhile, perhaps before the settlement was queued.
            self.hand_over(&link);
        }
    }

    /// Moves pending settlements of a link to the links that serve their slots now.
    pub(super) fn hand_over(&self, from: &Arc<Link>) {
        if let Some(cluster) = &self.cluster {
            let _nodes = cluster.nodes();
            hand_over(from, &self.table.load());
        }
    }

    /// Gives slots to links, which first take over their pending settlements. Slots that a redirection has changed since
    /// the nodes were asked keep their owners. The lock on the nodes excludes other changes.
    fn install<'l>(&self, nodes: &mut Nodes, given: impl IntoIterator<Item = (RangeInclusive<u16>, &'l Arc<Link>)>) {
        let old = self.table.load_full();
        let moved = nodes.moved.iter().map(|&slot| (slot..=slot, old.owner(slot)));
        let new = Arc::new(old.with(given).with(moved));
        if old.same(&new) {
            return;
        }
        old.owners().into_iter().for_each(|owner| hand_over(owner, &new));
        self.table.store(Arc::clone(&new));
        // Other settlements may have been queued meanwhile.
        old.owners().into_iter().for_each(|owner| hand_over(owner, &new));
    }

    /// Asks for the topology before the first call, within the timeout of that call. If no node answers, later calls
    /// fail at once, and the background task continues.
    async fn discover(&self, cluster: &Cluster, seed: &Arc<Link>, began: Instant) -> Result<(), Failure> {
        let &ClusterSettings { timeout, ref runtime, .. } = cluster.settings();
        let discovering = cluster.discovered.get_or_try_init(async || {
            seed.ready()?;
            let map = self.itself.clone();
            let learning = runtime.spawn(async move {
                let Some(map) = map.upgrade() else { return Ok(()) };
                let Some(cluster) = &map.cluster else { return Ok(()) };
                let turn = cluster.turn.lock().await;
                map.learn(cluster, &turn).await?;
                // Open the links in the background.
                map.refresh_later();
                Ok(())
            });
            learning.await.unwrap_or_else(|_| Err(StoreError::new("the tokio runtime of redis has ended").into()))
        });
        let until = began.checked_add(timeout).unwrap_or(began);
        let discovered = match timeout_at(until.into(), discovering).await {
            Ok(discovered) => discovered.map(drop),
            Err(_) => Err(Failure::timed_out(timeout, true)),
        };
        if discovered.is_err() {
            seed.close();
        }
        discovered
    }

    /// Asks for the topology and applies it. Waits for at most `patience` until links to new primaries are open, and
    /// returns the results of opening them, if that did not take longer.
    async fn refresh(
        &self,
        cluster: &Cluster,
        patience: Duration,
    ) -> Result<Option<Vec<Result<(), Failure>>>, Failure> {
        let turn = cluster.turn.lock().await;
        let new = self.learn(cluster, &turn).await?;
        let opening = new.iter().map(async |(slots, link)| {
            let opened = link.open().await;
            self.install(&mut cluster.nodes(), slots.iter().map(|slots| (slots.clone(), link)));
            opened
        });
        Ok(timeout(patience, join_all(opening)).await.ok())
    }

    /// Asks for the topology and applies it, except for new primaries. Those are returned, and serve after they were
    /// opened, so that one that does not answer delays no request. Refreshes take turns, so that no old answer replaces
    /// a newer one.
    async fn learn(
        &self,
        cluster: &Cluster,
        _turn: &MutexGuard<'_, ()>,
    ) -> Result<Vec<(Vec<RangeInclusive<u16>>, Arc<Link>)>, Failure> {
        let topology = cluster.discover().await?;
        let is_first = !cluster.discovered.initialized();
        let (mut opened, mut new) = (Vec::new(), Vec::new());
        let mut nodes = cluster.nodes();
        cluster.note_endpoint(&mut nodes, &topology);
        for (host, slots) in topology.by_primary() {
            let link = cluster.link(&mut nodes, host).map_err(|error| Failure::new(&error))?;
            if link.was_opened() {
                opened.push((slots, link));
            } else {
                new.push((slots, link));
            }
        }
        // The first topology replaces an owner that cannot serve the slots.
        let given = opened.iter().chain(new.iter().filter(|_| is_first));
        let given = given.flat_map(|(slots, link)| slots.iter().map(move |slots| (slots.clone(), link)));
        self.install(&mut nodes, given);
        let table = self.table.load_full();
        let owners: HashSet<_> = table.owners().into_iter().map(Arc::as_ptr).collect();
        nodes.update(&topology, |link| owners.contains(&Arc::as_ptr(link)));
        // This fails if it is set, or if it is being set by the call that waits for this.
        let _ = cluster.discovered.set(());
        Ok(new)
    }

    /// Starts the task that refreshes the topology, unless it runs already.
    pub(super) fn refresh_later(&self) {
        let Some(cluster) = &self.cluster else { return };
        cluster.stale.store(true, Ordering::SeqCst);
        if !cluster.refreshing.swap(true, Ordering::SeqCst) {
            cluster.settings().runtime.spawn(keep_refreshing(self.itself.clone()));
        }
    }
}

/// Moves the pending settlements whose slots have another owner to that owner.
fn hand_over(from: &Arc<Link>, table: &SlotTable<Link>) {
    for settlement in from.take_slots(|slot| !Arc::ptr_eq(table.owner(slot), from)) {
        table.owner(settlement.slot).adopt(settlement);
    }
}

/// Refreshes the topology until it is known, all links are open and no redirection came meanwhile.
async fn keep_refreshing(map: Weak<ShardMap>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let refreshed = {
            let Some(map) = map.upgrade() else { return };
            let Some(cluster) = &map.cluster else { return };
            cluster.stale.store(false, Ordering::SeqCst);
            map.refresh(cluster, OPENING_PATIENCE).await.is_ok_and(|opened| opened.is_some())
        };
        // Pause in any case, because redirections come in large numbers while slots are migrated.
        sleep(pause).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        let Some(map) = map.upgrade() else { return };
        let Some(cluster) = &map.cluster else { return };
        if refreshed && cluster.nodes().all_up() && !cluster.stale.load(Ordering::SeqCst) {
            cluster.refreshing.store(false, Ordering::SeqCst);
            // Check again: a link may have been closed before the flag was cleared.
            if !cluster.stale.load(Ordering::SeqCst) || cluster.refreshing.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}

/// How long a refresh waits for connections to new primaries. Those that take longer serve after a later refresh.
const OPENING_PATIENCE: Duration = Duration::from_millis(250);

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::super::router::Router;
    use super::*;
    use crate::replay::Claimant;

    /// A router to a cluster that does not answer.
    fn router() -> Arc<Router> {
        let Ok(Address::Cluster { seeds, node: template }) = Address::parse("redis+cluster://127.0.0.1:1") else {
            panic!("no cluster");
        };
        let (timeout, connect_timeout, runtime) = (TIME, TIME, Handle::current());
        Router::cluster(ClusterSettings { seeds, template, timeout, connect_timeout, runtime }).unwrap()
    }

    fn commit(slot: u16) -> Settlement {
        Settlement::commit((slot, vec!["key".into()]), Claimant::new(1), TIME, None)
    }

    fn release(slot: u16) -> Settlement {
        Settlement::release((slot, vec!["key".into()]), Claimant::new(1), TIME)
    }

    /// Returns the slots of the link's pending settlements, and puts them back.
    fn pending(link: &Arc<Link>) -> Vec<u16> {
        let pending = link.take_slots(|_| true);
        let slots = pending.iter().map(|settlement| settlement.slot).collect();
        pending.into_iter().for_each(|settlement| link.settle_later(settlement));
        slots
    }

    // The background tasks do not run before a test awaits something.

    #[tokio::test]
    async fn moved_slot_takes_its_settlements_along() {
        let router = router();
        let map = &router.map;
        let old = map.owner(0);
        for slot in [5, 6, 7] {
            map.settle_later(commit(slot));
        }
        map.settle_later(release(6));
        let new = map.moved(6, &old, "127.0.0.1:2").unwrap();
        assert_eq!((pending(&old), pending(&new)), (vec![5, 7], vec![6, 6]));
        let error = new.ready().unwrap_err();
        assert_eq!(error.shard(), Some("127.0.0.1:2"), "the commit is sent before the link opens");
        assert!(old.ready().is_ok());
    }

    #[tokio::test]
    async fn releases_do_not_close_the_new_link() {
        let router = router();
        let map = &router.map;
        map.settle_later(release(6));
        let new = map.moved(6, &map.owner(6), "127.0.0.1:2").unwrap();
        assert_eq!(pending(&new), [6]);
        assert!(new.ready().is_ok());
    }

    #[tokio::test]
    async fn late_redirection_changes_nothing() {
        let router = router();
        let map = &router.map;
        let old = map.owner(6);
        let new = map.moved(6, &old, "127.0.0.1:2").unwrap();
        let again = map.moved(6, &old, "127.0.0.1:3").unwrap();
        assert!(Arc::ptr_eq(&again, &new) && Arc::ptr_eq(&map.owner(6), &new));
        assert!(Arc::ptr_eq(&map.owner(5), &old) && Arc::ptr_eq(&map.owner(7), &old));
        assert!(map.moved(6, &new, "?:2").is_none(), "the address is unknown");
    }

    #[tokio::test]
    async fn older_topology_leaves_moved_slots() {
        let router = router();
        let map = &router.map;
        let old = map.owner(6);
        let new = map.moved(6, &old, "127.0.0.1:2").unwrap();
        let other = map.visit(&old, ":3").unwrap();
        let nodes = || map.cluster.as_ref().unwrap().nodes();
        map.install(&mut nodes(), [(0..=9, &other)]);
        assert!(Arc::ptr_eq(&map.owner(6), &new), "the nodes were asked before the slot moved");
        assert!(Arc::ptr_eq(&map.owner(5), &other) && Arc::ptr_eq(&map.owner(7), &other));
        let again = map.moved(6, &new, "127.0.0.1:3").unwrap();
        assert!(Arc::ptr_eq(&again, &other) && Arc::ptr_eq(&map.owner(6), &other), "the slot moves again");
        nodes().moved.clear();
        map.install(&mut nodes(), [(0..=9, &new)]);
        assert!(Arc::ptr_eq(&map.owner(6), &new), "the nodes were asked afterwards");
    }

    #[tokio::test]
    async fn node_of_a_migration_gets_no_slots() {
        let router = router();
        let map = &router.map;
        let old = map.owner(6);
        let other = map.visit(&old, ":2").unwrap();
        assert_eq!(other.name().as_deref(), Some("127.0.0.1:2"));
        assert!(Arc::ptr_eq(&map.owner(6), &old) && !Arc::ptr_eq(&other, &old));
    }

    #[tokio::test]
    async fn settlement_queued_for_a_former_owner_follows() {
        let router = router();
        let map = &router.map;
        let old = map.owner(6);
        let new = map.moved(6, &old, "127.0.0.1:2").unwrap();
        old.settle_later(commit(6));
        map.hand_over(&old);
        assert_eq!((pending(&old), pending(&new)), (vec![], vec![6]));
        assert!(new.ready().is_err());
    }

    const TIME: Duration = Duration::from_secs(60);
}

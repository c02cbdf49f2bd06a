//! The nodes of a cluster: their links, and their answers about the topology.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ::redis::{Client, ErrorKind, RedisError, RedisResult};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::address::{Host, Template};
use super::connection::Target;
use super::failure::Failure;
use super::link::{Link, Shards};
use super::server::Server;
use super::topology::Topology;
use crate::error::StoreError;

pub(super) struct Cluster {
    settings: ClusterSettings,
    shards: Weak<dyn Shards>,
    nodes: Mutex<Nodes>,
    /// Set when the topology is known.
    pub(super) discovered: OnceCell<()>,
    pub(super) refreshing: AtomicBool,
    /// The topology may have changed since the last refresh began.
    pub(super) stale: AtomicBool,
    /// Counts refreshes, so that each asks other nodes.
    turn: AtomicUsize,
}

/// How to connect to the nodes.
pub(super) struct ClusterSettings {
    pub(super) seeds: Vec<Host>,
    pub(super) template: Template,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) runtime: Handle,
}

/// What is known about the nodes. Its lock also serializes changes of the slot table.
#[derive(Default)]
pub(super) struct Nodes {
    links: HashMap<Host, Node>,
    /// The nodes that the topology names.
    known: BTreeSet<Host>,
}

struct Node {
    link: Arc<Link>,
    /// A redirection led to the node since the last refresh. It may own no slots yet.
    visited: bool,
}

impl ClusterSettings {
    /// Returns the first seed.
    pub(super) fn first(&self) -> RedisResult<(Host, Server)> {
        let no_seed = || RedisError::from((ErrorKind::InvalidClientConfig, "no seed"));
        let seed = self.seeds.first().ok_or_else(no_seed)?;
        Ok((seed.clone(), self.server(seed)?))
    }

    pub(super) fn server(&self, host: &Host) -> RedisResult<Server> {
        Server::new(Target::Server(Client::open(self.template.at(host))?), self.timeout, self.connect_timeout)
    }
}

impl Cluster {
    pub(super) fn new(settings: ClusterSettings, shards: Weak<dyn Shards>) -> Self {
        Self {
            settings,
            shards,
            nodes: Mutex::default(),
            discovered: OnceCell::new(),
            refreshing: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) const fn settings(&self) -> &ClusterSettings {
        &self.settings
    }

    pub(super) fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the link to a node that a request was redirected to.
    pub(super) fn visit(&self, nodes: &mut Nodes, host: &Host) -> RedisResult<Arc<Link>> {
        let link = self.link(nodes, host)?;
        if let Some(node) = nodes.links.get_mut(host) {
            node.visited = true;
        }
        Ok(link)
    }

    /// Returns the link to a node.
    pub(super) fn link(&self, nodes: &mut Nodes, host: &Host) -> RedisResult<Arc<Link>> {
        if let Some(node) = nodes.links.get(host) {
            return Ok(Arc::clone(&node.link));
        }
        Ok(self.add(nodes, host.clone(), self.settings.server(host)?))
    }

    /// Adds the link to a node.
    pub(super) fn add(&self, nodes: &mut Nodes, host: Host, server: Server) -> Arc<Link> {
        let runtime = self.settings.runtime.clone();
        let link = Arc::new(Link::new(server, Some(host.clone()), self.shards.clone(), runtime));
        nodes.links.insert(host, Node { link: Arc::clone(&link), visited: false });
        link
    }

    /// Asks several nodes for the topology: first over open links, then others over new connections unless two agree.
    /// The answer of one node may be old, if it was isolated or stopped.
    pub(super) async fn discover(&self) -> Result<Topology, Failure> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (open, up, others) = self.candidates(turn);
        // A node that does not answer must not delay what the others say.
        let mut answers = Answers {
            grace: self.settings.timeout.checked_div(2).unwrap_or_default(),
            views: Vec::new(),
            failure: None,
        };
        let asked = open.iter().filter_map(|link| Some((link.host.as_ref()?, &link.server)));
        answers.collect(asked, self.settings.timeout).await;
        if !answers.agree() {
            let others = others.into_iter().filter_map(|host| Some((self.settings.server(&host).ok()?, host)));
            let others: Vec<_> = others.collect();
            answers.collect(others.iter().map(|(server, host)| (host, server)), self.settings.connect_timeout).await;
        }
        answers.topology(&up)
    }

    /// Returns some open links, the nodes of all open links, and some of the other nodes.
    fn candidates(&self, turn: usize) -> (Vec<Arc<Link>>, BTreeSet<Host>, Vec<Host>) {
        let nodes = self.nodes();
        let is_up = |node: &&Node| node.link.was_opened() && node.link.ready().is_ok();
        let links: Vec<_> = nodes.links.values().filter(is_up).map(|node| Arc::clone(&node.link)).collect();
        let up: BTreeSet<_> = links.iter().filter_map(|link| link.host.clone()).collect();
        let links = rotated(links, turn, MOST_LINKS_ASKED);
        let asked: BTreeSet<_> = links.iter().filter_map(|link| link.host.as_ref()).collect();
        let others: BTreeSet<_> =
            nodes.known.iter().chain(&self.settings.seeds).filter(|host| !asked.contains(host)).collect();
        let others = rotated(others.into_iter().cloned().collect(), turn, MOST_OTHERS_ASKED);
        (links, up, others)
    }
}

impl Nodes {
    /// Stores which nodes there are, and ends the links that `is_used` does not select, unless a request was just
    /// redirected there.
    pub(super) fn update(&mut self, topology: &Topology, is_used: impl Fn(&Arc<Link>) -> bool) {
        self.known.clone_from(topology.nodes());
        let primaries = topology.by_primary();
        self.links.retain(|host, node| {
            let visited = std::mem::take(&mut node.visited);
            visited || primaries.contains_key(host) || is_used(&node.link)
        });
    }

    pub(super) fn all_up(&self) -> bool {
        self.links.values().all(|node| node.link.ready().is_ok())
    }
}

struct Answers {
    /// How long to wait for the other nodes after the first answer.
    grace: Duration,
    views: Vec<Topology>,
    failure: Option<Failure>,
}

impl Answers {
    /// Collects answers until two agree.
    async fn collect<'s>(&mut self, servers: impl Iterator<Item = (&'s Host, &'s Server)>, patience: Duration) {
        let ask = |(host, server): (&'s Host, &'s Server)| async move { (host, server.slots(patience).await) };
        let mut asking: FuturesUnordered<_> = servers.map(ask).collect();
        let mut until = None;
        loop {
            let next = match until {
                Some(until) => timeout_at(until, asking.next()).await.unwrap_or_default(),
                None => asking.next().await,
            };
            let Some((host, answer)) = next else { break };
            match answer.map(|reply| Topology::parse(&reply, host)) {
                Ok(Some(view)) if !view.is_empty() => {
                    self.views.push(view);
                    until = until.or_else(|| Instant::now().checked_add(self.grace));
                }
                Ok(_) => self.fail(StoreError::new("the redis cluster has no slots").into(), host),
                Err(failure) => self.fail(failure, host),
            }
            if self.agree() {
                break;
            }
        }
    }

    /// Keeps the failure that helps most: a refusal rather than silence.
    fn fail(&mut self, failure: Failure, host: &Host) {
        if self.failure.as_ref().is_none_or(|known| known.outage && !known.credentials) {
            let error = failure.error.with_shard(host.to_string());
            self.failure = Some(Failure { error, ..failure });
        }
    }

    fn agree(&self) -> bool {
        self.views
            .iter()
            .enumerate()
            .any(|(number, view)| self.views.iter().skip(number.saturating_add(1)).any(|other| view.same_owners(other)))
    }

    fn topology(self, up: &BTreeSet<Host>) -> Result<Topology, Failure> {
        if self.views.is_empty() {
            return Err(self
                .failure
                .unwrap_or_else(|| StoreError::new("no node of the redis cluster is known").into()));
        }
        Ok(Topology::agree(&self.views, |host| up.contains(host)))
    }
}

/// Returns at most `most` items, beginning with another one each turn.
fn rotated<T>(mut items: Vec<T>, turn: usize, most: usize) -> Vec<T> {
    let start = turn.checked_rem(items.len()).unwrap_or_default();
    items.rotate_left(start);
    items.truncate(most);
    items
}

const MOST_LINKS_ASKED: usize = 3;
const MOST_OTHERS_ASKED: usize = 8;

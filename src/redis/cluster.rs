//! The nodes of a cluster: their links, and their answers about the topology.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ::redis::{Client, ErrorKind, RedisError, RedisResult};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio::time::{Instant, timeout_at};

use super::address::{Host, Template};
use super::connection::Target;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::link::{Link, Shards};
use super::server::Server;
use super::topology::{MOST_NODES, Topology};
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
    /// Held during a refresh.
    pub(super) turn: AsyncMutex<()>,
    /// Counts refreshes, so that each asks other nodes.
    refreshes: AtomicUsize,
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
    /// The name behind which all of them are, with TLS.
    endpoint: Option<Endpoint>,
    /// The slots that a redirection has changed since the last refresh began.
    pub(super) moved: BTreeSet<u16>,
}

struct Node {
    link: Arc<Link>,
    /// Where the link connects to.
    reached: Host,
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

    fn server(&self, host: &Host) -> RedisResult<Server> {
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
            turn: AsyncMutex::default(),
            refreshes: AtomicUsize::new(0),
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
        if nodes.links.len() >= MOST_NODES && !nodes.links.contains_key(host) {
            return Err((ErrorKind::InvalidClientConfig, "redirected to too many nodes").into());
        }
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
        let server = self.settings.server(&nodes.reach(host))?;
        Ok(self.add(nodes, host.clone(), server))
    }

    /// Adds the link to a node.
    pub(super) fn add(&self, nodes: &mut Nodes, host: Host, server: Server) -> Arc<Link> {
        let (runtime, reached) = (self.settings.runtime.clone(), nodes.reach(&host));
        let link = Arc::new(Link::new(server, Some(host.clone()), self.shards.clone(), runtime));
        nodes.links.insert(host, Node { link: Arc::clone(&link), reached, visited: false });
        link
    }

    /// Notes whether all nodes are behind one name, and ends the links that connect to the wrong place. A link to an
    /// announced address that works is kept: while the other machines are down, the rest can look like one.
    pub(super) fn note_endpoint(&self, nodes: &mut Nodes, topology: &Topology) {
        let ClusterSettings { seeds, template, .. } = &self.settings;
        let endpoint = template.has_tls().then(|| Endpoint::of(seeds, topology.nodes())).flatten();
        nodes.links.retain(|host, node| {
            let works = node.link.was_opened() && node.link.ready().is_ok();
            node.reached == Endpoint::reach(endpoint.as_ref(), host) || (node.reached == *host && works)
        });
        nodes.endpoint = endpoint;
    }

    /// Asks several nodes for the topology: first over open links, then others over new connections unless two agree.
    /// The answer of one node may be old, if it was isolated or stopped. The seeds are asked if no other node answers:
    /// one can be a second name of a node, whose answer would then count twice.
    pub(super) async fn discover(&self) -> Result<Topology, Failure> {
        let Candidates { open, up, others, seeds } = self.candidates();
        // A node that does not answer must not delay what the others say.
        let mut answers = Answers {
            grace: self.settings.timeout.checked_div(2).unwrap_or_default(),
            views: Vec::new(),
            failure: None,
        };
        let asked = open.iter().filter_map(|link| Some((link.host.as_ref()?, &link.server)));
        answers.collect(asked, self.settings.timeout).await;
        if !answers.agree() {
            self.ask(&mut answers, others).await;
        }
        if answers.views.is_empty() {
            self.ask(&mut answers, seeds).await;
        }
        answers.topology(&up)
    }

    /// Asks nodes over new connections.
    async fn ask(&self, answers: &mut Answers, hosts: Vec<Host>) {
        let reached: Vec<_> = hosts.iter().map(|host| self.nodes().reach(host)).collect();
        let servers = hosts.into_iter().zip(reached);
        let servers = servers.filter_map(|(host, reached)| Some((self.settings.server(&reached).ok()?, host)));
        let servers: Vec<_> = servers.collect();
        answers.collect(servers.iter().map(|(server, host)| (host, server)), self.settings.connect_timeout).await;
    }

    /// Returns which nodes a refresh asks.
    fn candidates(&self) -> Candidates {
        let turn = self.refreshes.fetch_add(1, Ordering::Relaxed);
        let mut nodes = self.nodes();
        nodes.moved.clear();
        let is_up = |node: &&Node| node.link.was_opened() && node.link.ready().is_ok();
        let links: Vec<_> = nodes.links.values().filter(is_up).map(|node| Arc::clone(&node.link)).collect();
        let up: BTreeSet<_> = links.iter().filter_map(|link| link.host.clone()).collect();
        let open = rotated(links, turn, MOST_LINKS_ASKED);
        let asked: BTreeSet<_> = open.iter().filter_map(|link| link.host.clone()).collect();
        let others = nodes.known.difference(&asked).cloned().collect();
        let is_other = |seed: &&Host| !asked.contains(*seed) && !nodes.known.contains(*seed);
        let seeds = self.settings.seeds.iter().filter(is_other).cloned().collect();
        let [others, seeds] = [others, seeds].map(|hosts| rotated(hosts, turn, MOST_OTHERS_ASKED));
        Candidates { open, up, others, seeds }
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

    fn reach(&self, host: &Host) -> Host {
        Endpoint::reach(self.endpoint.as_ref(), host)
    }

    pub(super) fn all_up(&self) -> bool {
        self.links.values().all(|node| node.link.ready().is_ok())
    }
}

/// The nodes that a refresh asks.
struct Candidates {
    /// Some of the open links.
    open: Vec<Arc<Link>>,
    /// The nodes of all open links.
    up: BTreeSet<Host>,
    others: Vec<Host>,
    /// Those that are not among the known nodes.
    seeds: Vec<Host>,
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

#[cfg(test)]
mod tests {
    use ::redis::Value;

    use super::super::address::Address;
    use super::super::router::Router;
    use super::*;

    /// The topology of nodes with these addresses and ports.
    fn topology(nodes: &[(&str, i64)]) -> Topology {
        let rows = (0..).zip(nodes).map(|(slot, &(name, port))| {
            let node = Value::Array(vec![Value::BulkString(name.into()), Value::Int(port)]);
            Value::Array(vec![Value::Int(slot), Value::Int(slot), node])
        });
        Topology::parse(&Value::Array(rows.collect()), &Host { name: "h".into(), port: 1 }).unwrap()
    }

    #[tokio::test]
    async fn second_machine_ends_links_over_the_name() {
        for (url, name) in
            [("rediss+cluster://a.example:10000", "a.example"), ("redis+cluster://a.example:10000", "10.0.0.1")]
        {
            let Ok(Address::Cluster { seeds, node: template }) = Address::parse(url) else { panic!("{url}") };
            let (time, runtime) = (Duration::from_secs(60), Handle::current());
            let settings = || ClusterSettings {
                seeds: seeds.clone(),
                template: template.clone(),
                timeout: time,
                connect_timeout: time,
                runtime: runtime.clone(),
            };
            let router = Router::cluster(settings()).unwrap();
            let shards: Arc<dyn Shards> = router.clone();
            let cluster = Cluster::new(settings(), Arc::downgrade(&shards));
            let nodes = &mut cluster.nodes();
            let node = Host { name: "10.0.0.1".into(), port: 8_501 };
            let one = [("10.0.0.1", 8_501), ("10.0.0.1", 8_502)];
            let several = [&one[..], &[("10.0.0.2", 8_501)]].concat();
            for (machines, expected) in [(&one[..], name), (&several, "10.0.0.1"), (&one, name)] {
                cluster.note_endpoint(nodes, &topology(machines));
                let link = cluster.link(nodes, &node).unwrap();
                assert_eq!(nodes.links[&node].reached.name, expected, "{url} {machines:?}");
                assert_eq!(link.name().as_deref(), Some("10.0.0.1:8501"));
            }
        }
    }
}

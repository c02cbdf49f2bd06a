//! A Redis Cluster for one test.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hookwarden::redis::RedisStoreBuilder;
use redis::RedisResult;
use sha2::{Digest as _, Sha256};

use super::redis_server::{Server, free_port, patient_store};

/// Three primaries and their replicas, which are killed on drop. The node with number `n` of the first three is a
/// primary at first, and node `n + 3` is its replica.
pub(crate) struct Cluster {
    nodes: Vec<Server>,
    settings: Vec<String>,
    /// The port of each node for TLS, by which the nodes know each other. Empty without TLS.
    tls_ports: Vec<u16>,
}

impl Cluster {
    /// Starts three primaries with one replica each.
    pub(crate) fn start() -> Self {
        Self::with(1, &[])
    }

    /// Starts three primaries without replicas.
    pub(crate) fn of_primaries() -> Self {
        Self::with(0, &[])
    }

    /// Starts three primaries whose clients and nodes use TLS. The settings name the certificate.
    pub(crate) fn over_tls(certificate: &[String]) -> Self {
        let settings: Vec<&str> = certificate.iter().map(String::as_str).collect();
        Self::with(0, &[&settings[..], &["--tls-cluster", "yes"]].concat())
    }

    /// Starts three primaries with `replicas` each. All nodes have these settings.
    pub(crate) fn with(replicas: usize, settings: &[&str]) -> Self {
        let own = [NODE_SETTINGS, settings].concat().iter().map(ToString::to_string).collect();
        let mut cluster = Self { nodes: Vec::new(), settings: own, tls_ports: Vec::new() };
        for _ in 0..PRIMARIES * (1 + replicas) {
            let node = cluster.new_node();
            cluster.nodes.push(node);
        }
        for node in &mut cluster.nodes {
            node.spawn();
        }
        for (number, node) in cluster.nodes.iter().enumerate() {
            node.wait_until_it_answers();
            // Nodes with equal epochs could disagree about the owner of a slot.
            let () = node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
        }
        for (number, node) in cluster.nodes[..PRIMARIES].iter().enumerate() {
            let slots: Vec<String> = slots_of(number).map(|slot| slot.to_string()).collect();
            let slots: Vec<&str> = slots.iter().map(String::as_str).collect();
            let () = node.ask(&[&["CLUSTER", "ADDSLOTS"], &slots[..]].concat());
        }
        for (number, node) in cluster.nodes.iter().enumerate() {
            // Every pair meets, because gossip alone takes seconds.
            for other in number + 1..cluster.nodes.len() {
                let () = node.ask(&["CLUSTER", "MEET", "127.0.0.1", &cluster.port(other).to_string()]);
            }
        }
        cluster.wait_until_all_know_all();
        for number in PRIMARIES..cluster.nodes.len() {
            cluster.replicate(number, number % PRIMARIES);
        }
        cluster.wait_until_ready(replicas);
        // A node that waits for a busy processor is not taken out of service.
        cluster.set_node_timeout("10000");
        cluster
    }

    /// Shortens the time until a node that does not answer is out of service, and its replica can be promoted.
    pub(crate) fn fail_over_soon(&mut self) {
        self.set_node_timeout("1000");
    }

    fn set_node_timeout(&mut self, milliseconds: &str) {
        for node in &mut self.nodes {
            let () = node.ask(&["CONFIG", "SET", "cluster-node-timeout", milliseconds]);
            // The last one counts when the node is started again.
            node.add_settings(&["--cluster-node-timeout", milliseconds]);
        }
    }

    /// Allows or forbids a replica to be promoted.
    pub(crate) fn allow_promotion(&self, number: usize, allow: bool) {
        let forbid = if allow { "no" } else { "yes" };
        let () = self.nodes[number].ask(&["CONFIG", "SET", "cluster-replica-no-failover", forbid]);
    }

    fn new_node(&mut self) -> Server {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        let port = free_port_with_bus();
        if !settings.contains(&"--tls-cluster") {
            return Server::stopped_at(port, &settings);
        }
        let mut node = Server::stopped(&settings);
        node.add_settings(&["--tls-port", &port.to_string()]);
        self.tls_ports.push(port);
        node
    }

    /// Returns the port by which the nodes know a node.
    fn port(&self, number: usize) -> u16 {
        self.tls_ports.get(number).copied().unwrap_or_else(|| self.nodes[number].port())
    }

    /// Adds a primary without slots, and returns its number.
    pub(crate) fn add_node(&mut self) -> usize {
        let mut node = self.new_node();
        node.run();
        self.nodes.push(node);
        let number = self.nodes.len() - 1;
        let epoch = self.views().flatten().map(|member| member.epoch).max().unwrap_or_default() + 1;
        let () = self.nodes[number].ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch.to_string()]);
        for other in 0..number {
            // A node may be dead.
            let _ = self.nodes[number].try_ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &self.port(other).to_string()]);
        }
        self.wait_until_all_know_all();
        until("a node that takes slots", || self.nodes[number].is_in_service());
        number
    }

    /// Makes a node the replica of another one, and waits until it follows.
    pub(crate) fn replicate(&self, number: usize, primary: usize) {
        let id: String = self.nodes[primary].ask(&["CLUSTER", "MYID"]);
        until("REPLICATE", || self.nodes[number].try_ask::<()>(&["CLUSTER", "REPLICATE", &id]).is_ok());
        self.wait_until_following(number);
    }

    /// Waits until every node that answers knows every other one.
    fn wait_until_all_know_all(&self) {
        until("nodes that know each other", || {
            self.views().all(|view| view.len() == self.nodes.len() && view.iter().all(|member| !member.is_new))
        });
    }

    /// Waits until all slots are served, all replicas are linked and every node knows that.
    pub(crate) fn wait_until_ready(&self, replicas: usize) {
        until("a ready cluster", || {
            self.nodes.iter().all(|node| {
                let view = view(node).unwrap_or_default();
                let follow = |primary: &Member| view.iter().filter(|member| member.follows == primary.id).count();
                let with_slots = view.iter().filter(|member| !member.slots.is_empty()).collect::<Vec<_>>();
                node.is_in_service()
                    && with_slots.iter().all(|primary| follow(primary) >= replicas)
                    && (node.is_linked() || with_slots.iter().any(|primary| primary.is_self))
            })
        });
    }

    /// Returns the URL with two seeds: a primary, and the last node, which is a replica if there are any.
    pub(crate) fn url(&self) -> String {
        self.url_of(&[0, self.nodes.len() - 1])
    }

    /// Returns the URL with these nodes as seeds.
    pub(crate) fn url_of(&self, seeds: &[usize]) -> String {
        let password = self.settings.windows(2).find(|setting| setting[0] == "--requirepass");
        let mut url = String::from(if self.tls_ports.is_empty() { "redis+cluster://" } else { "rediss+cluster://" });
        if let Some(setting) = password {
            write!(url, ":{}@", setting[1]).unwrap();
        }
        let seeds: Vec<_> = seeds.iter().map(|seed| format!("127.0.0.1:{}", self.port(*seed))).collect();
        url + &seeds.join(",")
    }

    pub(crate) fn patient_store(&self) -> RedisStoreBuilder {
        patient_store(self.url())
    }

    pub(crate) fn node(&self, number: usize) -> &Server {
        &self.nodes[number]
    }

    pub(crate) fn node_mut(&mut self, number: usize) -> &mut Server {
        &mut self.nodes[number]
    }

    /// Returns the number of the node that owns a slot by its own view. If two claim it, the newer claim counts.
    pub(crate) fn owner(&self, slot: u16) -> usize {
        let own = |node: &Server| view(node)?.into_iter().find(|member| member.is_self);
        let owners = self.nodes.iter().enumerate().filter_map(|(number, node)| Some((number, own(node)?)));
        let owners = owners.filter(|(_, member)| member.owns(slot));
        owners.max_by_key(|(_, member)| member.epoch).expect("an owner of the slot").0
    }

    /// Returns the slot of a webhook id.
    pub(crate) fn slot(&self, webhook_id: &str) -> u16 {
        let tag = const_hex::encode(&Sha256::digest(webhook_id)[..16]);
        let ask = |node: &Server| node.try_ask(&["CLUSTER", "KEYSLOT", &format!("{{{tag}}}")]).ok();
        self.nodes.iter().find_map(ask).expect("a node that answers")
    }

    /// Returns the number of the node that owns a webhook id.
    pub(crate) fn node_of(&self, webhook_id: &str) -> usize {
        self.owner(self.slot(webhook_id))
    }

    /// Returns `count` webhook ids in different slots of a node.
    pub(crate) fn ids_on(&self, node: usize, count: usize) -> Vec<String> {
        let member = view(&self.nodes[node]).and_then(|view| view.into_iter().find(|member| member.is_self));
        let member = member.expect("a node that answers");
        let mut slots = HashSet::new();
        let fits = |id: &String| {
            let slot = self.slot(id);
            member.owns(slot) && slots.insert(slot)
        };
        (0..).map(|number| format!("sender-{number}")).filter(fits).take(count).collect()
    }

    /// Waits until a node is a primary that serves its slots, by its own view.
    pub(crate) fn wait_until_serving(&self, number: usize) {
        let node = &self.nodes[number];
        until("a primary that serves its slots", || {
            let is_primary = |member: &Member| member.is_self && !member.slots.is_empty();
            view(node).is_some_and(|view| view.iter().any(is_primary)) && node.is_in_service()
        });
    }

    /// Waits until a node refuses commands, because slots have no primary.
    pub(crate) fn wait_until_down(&self, number: usize) {
        until("a node that refuses commands", || {
            let info: String = self.nodes[number].try_ask(&["CLUSTER", "INFO"]).unwrap_or_default();
            info.contains("cluster_state:fail")
        });
    }

    /// Waits until a node is a replica that is linked to its primary.
    pub(crate) fn wait_until_following(&self, number: usize) {
        until("a linked replica", || self.nodes[number].is_linked());
    }

    /// Starts to migrate a slot. The test moves its keys and ends the migration.
    pub(crate) fn migrate(&self, slot: u16, to: usize) -> Migration<'_> {
        let from = self.owner(slot);
        let migration = Migration { cluster: self, slot: slot.to_string(), from, to };
        migration.set_slot(to, "IMPORTING", from);
        migration.set_slot(from, "MIGRATING", to);
        migration
    }

    /// Returns the calls of `command` on all nodes that answer, since the statistics were reset.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        self.nodes.iter().filter(|node| node.answers()).map(|node| node.calls(command)).sum()
    }

    /// Returns how often the nodes that answer replied with an error of this code.
    pub(crate) fn errors(&self, code: &str) -> u64 {
        self.nodes.iter().filter(|node| node.answers()).map(|node| node.errors(code)).sum()
    }

    pub(crate) fn reset_statistics(&self) {
        for node in &self.nodes {
            let () = node.ask(&["CONFIG", "RESETSTAT"]);
        }
    }

    /// Returns the views of the nodes that answer.
    fn views(&self) -> impl Iterator<Item = Vec<Member>> {
        self.nodes.iter().filter_map(view)
    }
}

impl Server {
    /// Returns whether the cluster is up in the node's view, and not a slot is without an owner.
    fn is_in_service(&self) -> bool {
        let info: String = self.try_ask(&["CLUSTER", "INFO"]).unwrap_or_default();
        info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
    }

    fn is_linked(&self) -> bool {
        let info: String = self.try_ask(&["INFO", "replication"]).unwrap_or_default();
        info.contains("master_link_status:up")
    }
}

/// A slot on its way from one node to another.
pub(crate) struct Migration<'a> {
    cluster: &'a Cluster,
    slot: String,
    from: usize,
    to: usize,
}

impl Migration<'_> {
    fn set_slot(&self, at: usize, state: &str, node: usize) {
        self.try_set_slot(at, state, node).unwrap();
    }

    fn try_set_slot(&self, at: usize, state: &str, node: usize) -> RedisResult<()> {
        let id: String = self.cluster.nodes[node].ask(&["CLUSTER", "MYID"]);
        self.cluster.nodes[at].try_ask(&["CLUSTER", "SETSLOT", &self.slot, state, &id])
    }

    /// Returns the names of the slot's keys that are still at the old node.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.cluster.nodes[self.from].ask(&["CLUSTER", "GETKEYSINSLOT", &self.slot, "1000"])
    }

    /// Moves these keys to the new node.
    pub(crate) fn move_keys(&self, keys: &[String]) {
        let port = self.cluster.nodes[self.to].port().to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000"];
        let password = self.cluster.settings.windows(2).find(|setting| setting[0] == "--requirepass");
        command.extend(password.iter().flat_map(|setting| ["AUTH", &setting[1]]));
        command.push("KEYS");
        command.extend(keys.iter().map(String::as_str));
        // The answer is NOKEY if all of them have expired.
        let _: String = self.cluster.nodes[self.from].ask(&command);
    }

    fn move_all(&self) {
        loop {
            let keys = self.keys();
            if keys.is_empty() {
                break;
            }
            self.move_keys(&keys);
        }
    }

    /// Moves all keys, and gives the slot to the new node in the view of the old one only. Each node then sends clients to
    /// the other one.
    pub(crate) fn leave_half_way(&self) {
        self.move_all();
        self.set_slot(self.from, "NODE", self.to);
    }

    /// Moves the remaining keys and gives the slot to the new node.
    pub(crate) fn finish(self) {
        self.move_all();
        self.set_slot(self.to, "NODE", self.to);
        // Fails if the old node has lost its last slot already: then it has become a replica.
        let _ = self.try_set_slot(self.from, "NODE", self.to);
    }
}

/// One line of `CLUSTER NODES`.
struct Member {
    id: String,
    is_self: bool,
    /// Its handshake has not ended.
    is_new: bool,
    /// The id of its primary, or `-`.
    follows: String,
    epoch: u64,
    slots: Vec<RangeInclusive<u16>>,
}

impl Member {
    fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|range| range.contains(&slot))
    }
}

/// Returns the cluster as a node sees it, if the node answers.
fn view(node: &Server) -> Option<Vec<Member>> {
    let lines: String = node.try_ask(&["CLUSTER", "NODES"]).ok()?;
    let member = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        // A slot in brackets is on its way.
        let ranges = fields[8..].iter().filter(|range| !range.starts_with('['));
        let range = |text: &&str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            first.parse().unwrap()..=last.parse().unwrap()
        };
        Member {
            id: fields[0].into(),
            is_self: fields[2].contains("myself"),
            is_new: fields[2].contains("handshake"),
            follows: fields[3].into(),
            epoch: fields[6].parse().unwrap(),
            slots: ranges.map(range).collect(),
        }
    };
    Some(lines.lines().map(member).collect())
}

/// The slots of a primary at first.
fn slots_of(primary: usize) -> std::ops::Range<usize> {
    let start = |number: usize| SLOTS * number / PRIMARIES;
    start(primary)..start(primary + 1)
}

pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(10));
    }
}

/// A port of a node. Its cluster bus uses the port that is 10,000 higher.
fn free_port_with_bus() -> u16 {
    loop {
        let port = free_port();
        if port < 20_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;

/// Forming a cluster takes longer than one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The timeout makes forming a cluster fast. The slots of a primary without a replica do not take the others out of
/// service. Every write is in the file before it is answered, so killing a node loses nothing there.
const NODE_SETTINGS: &[&str] = &[
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1000",
    "--cluster-require-full-coverage",
    "no",
    "--cluster-replica-validity-factor",
    "0",
    "--repl-diskless-sync-delay",
    "0",
    "--appendonly",
    "yes",
    "--appendfsync",
    "no",
];

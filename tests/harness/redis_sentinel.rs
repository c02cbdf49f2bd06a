//! Three Sentinels with a primary and two replicas, for one test.

use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::Value;

use super::redis_server::Server;

/// The servers and their Sentinels, which are killed on drop.
pub(crate) struct SentinelSet {
    /// The first one is the primary at first.
    pub(crate) servers: Vec<Server>,
    pub(crate) sentinels: Vec<Server>,
    passwords: Passwords,
}

/// The password of the servers, and the one of the Sentinels.
#[derive(Clone, Copy)]
pub(crate) struct Passwords {
    pub(crate) servers: &'static str,
    pub(crate) sentinels: &'static str,
}

impl SentinelSet {
    pub(crate) fn start() -> Self {
        Self::with(Passwords { servers: "", sentinels: "" })
    }

    /// Starts a set with passwords. An empty one is not required.
    pub(crate) fn with(passwords: Passwords) -> Self {
        let mut servers = Vec::<Server>::new();
        for _ in 0..3 {
            // Every write is in the file before it is answered.
            let mut server =
                Server::stopped(&["--appendonly", "yes", "--appendfsync", "no", "--repl-diskless-sync-delay", "0"]);
            if !passwords.servers.is_empty() {
                server.add_settings(&["--requirepass", passwords.servers, "--masterauth", passwords.servers]);
            }
            if let Some(primary) = servers.first() {
                server.add_settings(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
            }
            server.run();
            servers.push(server);
        }
        let mut set = Self { servers, sentinels: Vec::new(), passwords };
        wait_until("the replicas follow", || set.online_replicas(0) == 2);
        set.sentinels = (0..3).map(|_| set.new_sentinel(set.servers[0].port())).collect();
        set.settle();
        set
    }

    /// Starts another Sentinel, which finds the others only through a primary that it shares with them.
    pub(crate) fn new_sentinel(&self, primary: u16) -> Server {
        let Passwords { servers, sentinels } = self.passwords;
        let mut config = format!("sentinel monitor {NAME} 127.0.0.1 {primary} 2\n");
        config += &format!("sentinel down-after-milliseconds {NAME} {LATE}\n");
        // After a vote without a majority, the Sentinels wait for twice this time. The promoted replica must report its
        // role within it, and is asked once a second.
        config += &format!("sentinel failover-timeout {NAME} 2000\n");
        config += &format!("sentinel parallel-syncs {NAME} 2\n");
        if !servers.is_empty() {
            config += &format!("sentinel auth-pass {NAME} {servers}\n");
        }
        let mut sentinel = Server::sentinel(&config);
        if !sentinels.is_empty() {
            sentinel.add_settings(&["--requirepass", sentinels]);
        }
        sentinel.run();
        // Shortens the test. Redis 6.2 has no such command.
        let _ = sentinel.try_ask::<()>(&["SENTINEL", "DEBUG", "INFO-PERIOD", "1000", "PUBLISH-PERIOD", "1000"]);
        sentinel
    }

    /// Waits until all Sentinels agree and could promote any replica.
    pub(crate) fn settle(&self) {
        for sentinel in &self.sentinels {
            wait_until("a Sentinel knows the others and both replicas", || {
                let state = sentinel.try_ask::<Vec<String>>(&["SENTINEL", "MASTER", NAME]).unwrap_or_default();
                let field = |name: &str| state.chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].clone());
                let replicas = sentinel.try_ask::<Vec<Vec<String>>>(&["SENTINEL", "REPLICAS", NAME]);
                let ready = replicas.unwrap_or_default().iter().filter(|replica| is_ready(replica)).count();
                field("flags").as_deref() == Some("master")
                    && field("num-other-sentinels").as_deref() == Some("2")
                    && ready == 2
            });
        }
        let primary = self.primary();
        wait_until("the replicas follow", || self.online_replicas(primary) == 2);
    }

    /// Lets the Sentinels promote a replica soon after the primary does not answer any more, or not. A primary that waits
    /// for a busy processor must not be replaced by the way.
    pub(crate) fn fail_over_soon(&self, soon: bool) {
        let time = if soon { "500" } else { LATE };
        for sentinel in &self.sentinels {
            // One that is stopped does not take part.
            let _ = sentinel.try_ask::<()>(&["SENTINEL", "SET", NAME, "down-after-milliseconds", time]);
        }
    }

    /// Returns the server that the first Sentinel names.
    pub(crate) fn primary(&self) -> usize {
        let (_, port): (String, u16) = self.sentinels[0].ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        self.servers.iter().position(|server| server.port() == port).unwrap()
    }

    /// Waits until another server than `old` says that it is the primary.
    pub(crate) fn wait_for_promotion(&self, old: usize) -> usize {
        let mut promoted = None;
        wait_until("a replica is promoted", || {
            promoted = (0..self.servers.len()).find(|number| *number != old && self.is_primary(*number));
            promoted.is_some()
        });
        promoted.unwrap()
    }

    /// Waits until a Sentinel names another server than `old`.
    pub(crate) fn wait_for_decision(&self, old: usize) {
        let names_another = |sentinel: &Server| self.names_another(sentinel, old);
        wait_until("a Sentinel names the new primary", || self.sentinels.iter().any(names_another));
    }

    /// Waits until this Sentinel does.
    pub(crate) fn wait_for_decision_of(&self, sentinel: usize, old: usize) {
        wait_until("the Sentinel names the new primary", || self.names_another(&self.sentinels[sentinel], old));
    }

    fn names_another(&self, sentinel: &Server, old: usize) -> bool {
        let named = sentinel.try_ask::<(String, u16)>(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
        named.is_ok_and(|(_, port)| port != self.servers[old].port())
    }

    /// Returns the servers other than `primary`.
    pub(crate) fn replicas(&self, primary: usize) -> Vec<&Server> {
        let others = self.servers.iter().enumerate().filter(|(number, _)| *number != primary);
        others.map(|(_, server)| server).collect()
    }

    fn is_primary(&self, number: usize) -> bool {
        let role = self.servers[number].try_ask::<Vec<Value>>(&["ROLE"]).unwrap_or_default();
        role.first() == Some(&Value::BulkString(b"master".to_vec()))
    }

    fn online_replicas(&self, number: usize) -> usize {
        let info = self.servers[number].try_ask::<String>(&["INFO", "replication"]).unwrap_or_default();
        info.matches("state=online").count()
    }

    /// Returns the URL of these Sentinels, without passwords.
    pub(crate) fn url_of(sentinels: &[&Server]) -> String {
        format!("redis+sentinel://{}/{NAME}", list(sentinels))
    }

    /// Returns the URL of the whole set, with its passwords.
    pub(crate) fn url(&self) -> String {
        let all: Vec<_> = self.sentinels.iter().collect();
        let Passwords { servers, sentinels } = self.passwords;
        let user = if servers.is_empty() { String::new() } else { format!(":{servers}@") };
        let parameter = if sentinels.is_empty() { String::new() } else { format!("?sentinel_password={sentinels}") };
        format!("redis+sentinel://{user}{}/{NAME}{parameter}", list(&all))
    }
}

fn list(sentinels: &[&Server]) -> String {
    sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect::<Vec<_>>().join(",")
}

/// Whether a Sentinel would promote this replica.
fn is_ready(replica: &[String]) -> bool {
    let has = |name: &str, value: &str| replica.chunks(2).any(|pair| pair[0] == name && pair[1] == value);
    has("flags", "slave") && has("master-link-status", "ok")
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        // A Sentinel that did not run for 2 s on a busy machine does nothing for 30 s.
        assert!(began.elapsed() < Duration::from_secs(60), "not within 60 s: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Milliseconds until a primary that does not answer is replaced, except in a test of that.
const LATE: &str = "20000";

/// The name by which the Sentinels know the primary.
pub(crate) const NAME: &str = "main";

//! What a failover loses: the entries of deliveries that a primary has and a replica does not have.

use std::collections::{HashMap, HashSet};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::harness::redis_server::Server;

/// Returns the entries that a primary that does not run any more has written, and each of its replicas has not. No replica
/// may be promoted yet.
pub(crate) fn unreplicated(primary: &Server, replicas: &[&Server]) -> Vec<Lost> {
    let received: Vec<_> = replicas.iter().map(|replica| received_by(replica)).collect();
    // The primary's file has every write that it answered.
    let mut copy = Server::stopped(&["--appendonly", "yes"]);
    let mut files = Command::new("cp");
    files.arg("-r").arg(primary.directory().join(".")).arg(copy.directory());
    assert!(files.status().unwrap().success());
    copy.run();
    let written = entries(&copy);
    assert!(!written.is_empty(), "the primary has written no deliveries");
    received.iter().map(|received| missing(&written, received)).collect()
}

/// Returns the entries of a replica after it has read all that its primary sent.
fn received_by(replica: &Server) -> Entries {
    let offset = || {
        let info: String = replica.ask(&["INFO", "replication"]);
        assert!(info.contains("role:slave"), "the replica was promoted too early");
        info.lines().find_map(|line| line.strip_prefix("slave_repl_offset:")?.parse::<u64>().ok())
    };
    let mut before = None;
    while before != offset() {
        before = offset();
        sleep(Duration::from_millis(20));
    }
    let received = entries(replica);
    offset();
    received
}

/// Returns the keys of the entries that the other server does not have.
pub(crate) fn missing(entries: &Entries, other: &Entries) -> Lost {
    entries.iter().filter(|(key, value)| other.get(*key) != Some(value)).map(|(key, _)| key.clone()).collect()
}

/// Returns a server's entries of deliveries.
pub(crate) fn entries(server: &Server) -> Entries {
    let mut connection = server.connection();
    // A server outside a cluster refuses this command. It answers without it.
    let _ = redis::cmd("READONLY").exec(&mut connection);
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:d:*").query(&mut connection).unwrap();
    let mut pipeline = redis::pipe();
    for key in &keys {
        pipeline.get(key);
    }
    let values: Vec<Option<Vec<u8>>> = pipeline.query(&mut connection).unwrap();
    keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))).collect()
}

pub(crate) type Entries = HashMap<String, Vec<u8>>;

/// The keys of entries that a failover lost.
pub(crate) type Lost = HashSet<String>;

//! `hookwarden demo` with real servers behind `HOOKWARDEN_REDIS_URL`.

use libtest_mimic::Trial;

use super::harness::redis_cluster::Cluster;
use super::harness::redis_program::with_redis;
use super::harness::redis_sentinel::SentinelSet;
use super::harness::redis_server::Server;
use super::scratch::{CommandOutput, Scratch, finish};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_redis("demo_shares_one_server", demo_shares_one_server),
        with_redis("demo_shares_the_primary_of_sentinels", demo_shares_the_primary_of_sentinels),
        with_redis("demo_shares_a_cluster", demo_shares_a_cluster),
        with_redis("demo_error_names_the_variable", demo_error_names_the_variable),
    ]
}

fn demo(redis_url: &str) -> CommandOutput {
    finish(Scratch::new().command(["demo", "--json"]).env("HOOKWARDEN_REDIS_URL", redis_url))
}

fn assert_shared(redis_url: &str, server: &Server) {
    // The second run meets the entries of the first.
    for _ in 0..2 {
        let document = demo(redis_url).assert_code(0).json();
        assert!(document["receivers"].as_str().unwrap().contains(" and "), "{document}");
        assert_eq!(document["unexpected"], 0, "{document}");
    }
    assert!(server.ask::<u64>(&["DBSIZE"]) > 0, "no delivery is on the server");
}

fn demo_shares_one_server() {
    let server = Server::start();
    assert_shared(&server.url(), &server);
}

fn demo_shares_the_primary_of_sentinels() {
    let set = SentinelSet::start();
    assert_shared(&set.url(), &set.servers[set.primary()]);
}

fn demo_shares_a_cluster() {
    let cluster = Cluster::of_primaries();
    assert_shared(&cluster.url(), cluster.node(cluster.node_of("acme")));
}

fn demo_error_names_the_variable() {
    for (url, problem) in [
        ("redis+sentinel://:canary-93@127.0.0.1:1", "HOOKWARDEN_REDIS_URL: must name the primary"),
        ("redis+sentinel://:canary-93@127.0.0.1:1/main", "HOOKWARDEN_REDIS_URL: Sentinel 127.0.0.1:1: redis refused"),
        ("redis://:canary-93@127.0.0.1:1", "HOOKWARDEN_REDIS_URL: redis refused the connection"),
    ] {
        let output = demo(url);
        assert!(output.code != Some(0) && output.stderr.contains(problem), "{output:?}");
        assert!(!output.stderr.contains("canary"), "{output:?}");
    }
}

//! Settlements that wait while their shard is down and another primary takes over its slots.

use std::time::{Duration, Instant};

use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant};
use tokio::time::sleep;

use super::redirects::{TIMEOUT, claim, claim_by, commit_by};
use crate::endpoint::RETURN;
use crate::harness::PATIENCE;
use crate::harness::redis_cluster::Cluster;

/// The promoted replica has the claim. It must not answer a copy before it has the commit.
pub(crate) async fn promoted_replica_gets_pending_commits_first() {
    let mut cluster = Cluster::start();
    cluster.fail_over_soon();
    let id = &cluster.ids_on(0, 1)[0];
    let store = RedisStore::builder(cluster.url()).timeout(TIMEOUT).connect().await.unwrap();
    for number in 0..COMMITS {
        assert_eq!(claim_by(&store, id, number, OWNER).await.unwrap(), Claim::Granted);
    }
    let began = Instant::now();
    while cluster.node(3).ask::<u8>(&["DBSIZE"]) < COMMITS {
        assert!(began.elapsed() < PATIENCE, "the claims are not replicated");
        sleep(Duration::from_millis(5)).await;
    }
    cluster.node_mut(0).kill();
    for number in 0..COMMITS {
        commit_by(&store, id, number, OWNER).await.unwrap_err();
    }
    cluster.wait_until_serving(3);
    finishes(&store, id).await;
}

/// The old owner refuses the commit for lack of memory, and the slot moves meanwhile.
pub(crate) async fn pending_commits_move_with_their_slot() {
    let cluster = Cluster::of_primaries();
    let id = &cluster.ids_on(0, 1)[0];
    let store = RedisStore::builder(cluster.url()).timeout(TIMEOUT).connect().await.unwrap();
    for number in 0..COMMITS {
        assert_eq!(claim_by(&store, id, number, OWNER).await.unwrap(), Claim::Granted);
    }
    let () = cluster.node(0).ask(&["CONFIG", "SET", "maxmemory", "1"]);
    for number in 0..COMMITS {
        commit_by(&store, id, number, OWNER).await.unwrap_err();
    }
    cluster.migrate(cluster.slot(id), 1).finish();
    finishes(&store, id).await;
}

/// Claims each delivery until there is an answer, and asserts that the first answer is that it is finished.
async fn finishes(store: &RedisStore, id: &str) {
    let began = Instant::now();
    for number in 0..COMMITS {
        let answer = loop {
            match claim(store, id, number).await {
                Ok(answer) => break answer,
                Err(error) => assert!(began.elapsed() < RETURN, "{error}"),
            }
            sleep(Duration::from_millis(1)).await;
        };
        assert_eq!(answer, Claim::Finished, "delivery {number}");
    }
}

const OWNER: Claimant = Claimant::new(1);
const COMMITS: u8 = 100;

//! Settlements that wait while their shard is down and another primary takes over its slots.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use futures_util::future::join_all;
use hookwarden::Quota;
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant};
use tokio::time::sleep;

use super::recovers;
use super::redirects::{TIMEOUT, claim, claim_by, commit_by};
use crate::endpoint::{Endpoint, Handled, RETURN, builder, quotas, signed_for};
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

/// Each of two nodes sends the commits of a slot to the other one, so the links hand them to and fro.
pub(crate) async fn commits_in_a_circle_block_only_their_slot() {
    let cluster = Cluster::of_primaries();
    let ids = [cluster.ids_on(0, 2), cluster.ids_on(1, 1)].concat();
    let store = RedisStore::builder(cluster.url()).timeout(TIMEOUT).connect().await.unwrap();
    let quota = Quota::new(1_000_000, Duration::from_micros(1)).unwrap();
    let warden = builder().shared_store(store.clone()).quotas(quotas().accepted(quota));
    let endpoint = Endpoint::of_senders(warden, &ids, Handled::default(), Duration::ZERO);
    for number in 0..COMMITS {
        assert_eq!(claim_by(&store, &ids[0], number, OWNER).await.unwrap(), Claim::Granted);
    }
    let migration = cluster.migrate(cluster.slot(&ids[0]), 1);
    migration.leave_half_way();
    let began = Instant::now();
    let commits = join_all((0..COMMITS).map(|number| commit_by(&store, &ids[0], number, OWNER))).await;
    assert!(commits.iter().all(Result::is_err) && began.elapsed() < TIMEOUT * 3 / 2, "{:?}", began.elapsed());

    // The first hand-overs close the links for a moment.
    let (mut refused, mut served, mut number) = (0, Instant::now(), 0);
    while served.elapsed() < CALM {
        assert!(began.elapsed() < PATIENCE, "the other slots are refused again and again: {refused} times");
        for id in &ids[1..] {
            let asked = Instant::now();
            let status = endpoint.status(&signed_for(id, format!("{id} {number}"))).await;
            assert!(asked.elapsed() < TIMEOUT * 3 / 2, "{:?}", asked.elapsed());
            if status != StatusCode::OK {
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{id}");
                (refused, served) = (refused + 1, Instant::now());
            }
        }
        number += 1;
        sleep(Duration::from_millis(10)).await;
    }
    println!("{refused} of {} requests for other slots refused, the last after {:?}", number * 2, served - began);
    let asked = Instant::now();
    assert_eq!(endpoint.status(&signed_for(&ids[0], "in the circle")).await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(asked.elapsed() < TIMEOUT * 3 / 2, "{:?}", asked.elapsed());
    migration.finish();
    // Commits that were sent back several times do not close the link any more, so the first copies can precede them.
    let began = Instant::now();
    for number in 0..COMMITS {
        loop {
            let answer = claim(&store, &ids[0], number).await;
            if answer.as_ref().is_ok_and(|answer| *answer == Claim::Finished) {
                break;
            }
            assert!(!matches!(answer, Ok(Claim::Granted)), "delivery {number}");
            assert!(began.elapsed() < RETURN, "delivery {number}: {answer:?}");
            sleep(Duration::from_millis(1)).await;
        }
    }
    recovers(&endpoint, &ids[0]).await;
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

/// Several times the longest pause between two attempts to send the commits.
const CALM: Duration = Duration::from_secs(2);

const OWNER: Claimant = Claimant::new(1);
const COMMITS: u8 = 100;

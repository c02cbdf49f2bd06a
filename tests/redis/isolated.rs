//! A primary that is cut off from the Sentinels and from its replicas, while stores still reach it.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::redis::RedisStore;
use tokio::time::sleep;

use crate::endpoint::{Endpoint, Handled, RETURN, Reports, builder};
use crate::harness::PATIENCE;
use crate::harness::redis_sentinel::{NAME, SentinelSet};
use crate::harness::redis_server::{Server, patient_store};
use crate::harness::sender::Post;
use crate::loss::{entries, missing};

/// A store that reaches the Sentinels follows them. What the old primary granted meanwhile is lost.
pub(crate) async fn isolated_primary_is_left_when_replaced() {
    let set = SentinelSet::start();
    let old = set.primary();
    let endpoint = Endpoint::new(builder().shared_store(store(&set, &[0, 1, 2]).await));
    let [before, meanwhile] =
        ["before", "meanwhile"].map(|what| [0, 1, 2].map(|n| Post::signed(format!("{what} {n}"))));
    accepts(&endpoint, &before).await;
    let behind = |replica: &&Server| !missing(&entries(&set.servers[old]), &entries(replica)).is_empty();
    let began = Instant::now();
    while set.replicas(old).iter().any(behind) {
        assert!(began.elapsed() < PATIENCE, "the replicas do not follow");
        sleep(PAUSE).await;
    }
    isolate(&set.servers[old]);
    accepts(&endpoint, &meanwhile).await;

    set.fail_over_soon(true);
    let new = set.wait_for_promotion(old);
    let lost = missing(&entries(&set.servers[old]), &entries(&set.servers[new]));
    set.wait_for_decision(old);
    let left = follows(&endpoint, &set.servers[new]).await;
    println!("the isolated primary was left {left:?} after the Sentinels' decision");
    assert_eq!(lost.len(), meanwhile.len(), "the entries of deliveries that only the old primary has");
    let handled = endpoint.handled();
    accepts(&endpoint, &before).await;
    assert_eq!(endpoint.handled(), handled, "replicated deliveries are known");
    accepts(&endpoint, &meanwhile).await;
    assert_eq!(endpoint.handled() - handled, 3, "the others are handled again");
}

/// A store that is cut off together with the old primary cannot know that it was replaced.
pub(crate) async fn isolated_primary_without_replicas_refuses_writes() {
    for needed in ["0", "1"] {
        let set = SentinelSet::start();
        for server in &set.servers {
            let () = server.ask(&["CONFIG", "SET", "min-replicas-to-write", needed, "min-replicas-max-lag", "1"]);
        }
        let old = set.primary();
        let (handled, reports) = (Handled::default(), Reports::default());
        let there = builder().shared_store(store(&set, &[0]).await).observer(reports.clone());
        let there = Endpoint::sharing(there, handled.clone(), Duration::ZERO);
        let elsewhere = builder().shared_store(store(&set, &[1, 2]).await);
        let elsewhere = Endpoint::sharing(elsewhere, handled.clone(), Duration::ZERO);
        accepts(&there, &[Post::signed("before")]).await;

        set.sentinels[0].signal("STOP");
        isolate(&set.servers[old]);
        set.fail_over_soon(true);
        let new = set.wait_for_promotion(old);
        set.wait_for_decision(old);
        follows(&elsewhere, &set.servers[new]).await;
        let (delivery, before) = (Post::signed("to both"), elsewhere.handled());
        let status = there.status(&delivery).await;
        assert_eq!(elsewhere.status(&delivery).await, StatusCode::OK);
        let runs = elsewhere.handled() - before;
        if needed == "0" {
            assert_eq!((status, runs), (StatusCode::OK, 2), "both primaries grant it");
        } else {
            assert_eq!((status, runs), (StatusCode::SERVICE_UNAVAILABLE, 1));
            assert!(reports.has("failed Replay redis refused with NOREPLICAS"), "{:?}", reports.all());
        }

        // The store leaves the old primary as soon as its Sentinel knows the new one.
        set.sentinels[0].signal("CONT");
        set.wait_for_decision_of(0, old);
        follows(&there, &set.servers[new]).await;
        let before = there.handled();
        accepts(&there, &[delivery]).await;
        assert_eq!(there.handled(), before, "the new primary knows the delivery");
    }
}

/// Sends deliveries until one of them is at the new primary, and returns how long that took.
async fn follows(endpoint: &Endpoint, new: &Server) -> Duration {
    let (began, known) = (Instant::now(), entries(new).len());
    while entries(new).len() == known {
        assert!(began.elapsed() < RETURN, "the old primary is still used");
        // While the store changes the primary, it may refuse.
        endpoint.status(&Post::signed(format!("{:?}", Instant::now()))).await;
        sleep(PAUSE).await;
    }
    began.elapsed()
}

async fn accepts(endpoint: &Endpoint, deliveries: &[Post]) {
    for delivery in deliveries {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
}

/// Returns a store that knows these Sentinels, and whose user differs from that of the Sentinels and replicas.
async fn store(set: &SentinelSet, sentinels: &[usize]) -> RedisStore {
    for server in &set.servers {
        let () = server.ask(&["ACL", "SETUSER", "app", "on", ">canary", "~*", "+@all"]);
    }
    let sentinels: Vec<_> = sentinels.iter().map(|number| &set.sentinels[*number]).collect();
    let url = SentinelSet::url_of(&sentinels).replace("://", "://app:canary@");
    assert!(url.ends_with(NAME));
    patient_store(url).connect().await.unwrap()
}

/// Cuts a server off from the Sentinels and from its replicas, but not from the stores: those have another user.
fn isolate(server: &Server) {
    let () = server.ask(&["ACL", "SETUSER", "default", "-ping", "-info", "-role", "-psync", "-sync", "-replconf"]);
    let _: i64 = server.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
}

const PAUSE: Duration = Duration::from_millis(10);

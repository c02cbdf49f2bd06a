//! Two receivers under load while the cluster changes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant};

use super::redirects::{claim, claim_by, commit_by};
use super::{endpoint, recovers};
use crate::endpoint::signed_for;
use crate::harness::PATIENCE;
use crate::harness::redis_cluster::Cluster;
use crate::harness::redis_server::Server;
use crate::load::Load;
use crate::loss::unreplicated;

pub(crate) async fn changes_under_load_duplicate_nothing() {
    let mut cluster = Cluster::start();
    cluster.fail_over_soon();
    let ids: Vec<_> = (0..3).flat_map(|node| cluster.ids_on(node, 2)).collect();
    let (load, tasks) = Load::start(&cluster.url(), &ids).await;
    load.until_each(&ids, StatusCode::OK, 30).await;
    load.check("steady", Duration::ZERO);

    // Requests arrive before, between and after the steps of a migration.
    for to in [1, 2, 0] {
        let migration = cluster.migrate(cluster.slot(&ids[0]), to);
        load.until_each(&ids[1..], StatusCode::OK, 5).await;
        let keys = migration.keys();
        migration.move_keys(&keys[..keys.len() / 2]);
        load.until_each(&ids[1..], StatusCode::OK, 5).await;
        migration.finish();
        load.check("slot migrated", load.served_again().await);
        load.until_each(&ids, StatusCode::OK, 10).await;
    }
    load.check("steady", Duration::ZERO);

    let new = cluster.add_node();
    for id in &ids {
        cluster.migrate(cluster.slot(id), new).finish();
    }
    load.check("node added", load.served_again().await);
    load.until_each(&ids, StatusCode::OK, 20).await;
    for (number, id) in ids.iter().enumerate() {
        cluster.migrate(cluster.slot(id), number / 2).finish();
    }
    load.check("node emptied", load.served_again().await);
    load.until_each(&ids, StatusCode::OK, 20).await;
    load.check("steady", Duration::ZERO);
    // No node has lost data so far.
    assert_eq!(load.twice(), 0, "deliveries were handled twice");
    let before = load.handled();

    cluster.allow_promotion(3, false);
    cluster.node_mut(0).kill();
    let mut lost = unreplicated(cluster.node(0), &[cluster.node(3)]).remove(0);
    cluster.allow_promotion(3, true);
    cluster.wait_until_serving(3);
    load.check("primary killed and replica promoted", load.served_again().await);
    load.until_each(&ids, StatusCode::OK, 30).await;
    let (twice, unexplained) = (load.twice(), load.twice_without_loss(&lost));
    println!("{} entries were not replicated before the kill, {twice} deliveries were handled twice", lost.len());
    assert!(unexplained.is_empty(), "handled twice although their entries were not lost: {unexplained:?}");

    cluster.allow_promotion(4, false);
    cluster.node(1).signal("STOP");
    lost.extend(unreplicated(cluster.node(1), &[cluster.node(4)]).remove(0));
    cluster.allow_promotion(4, true);
    cluster.wait_until_serving(4);
    load.check("primary stopped and replica promoted", load.served_again().await);
    load.wake(cluster.node(1), || cluster.wait_until_following(1));
    load.check("old primary continued", load.served_again().await);
    load.until_each(&ids, StatusCode::OK, 30).await;
    load.check("steady", Duration::ZERO);

    load.stop(tasks).await;
    let (twice, handled, longest) = (load.twice(), load.handled(), load.longest_wait());
    println!(
        "{handled} deliveries handled, {before} of them before the promotions and each of those once; {} entries were \
         not replicated and {twice} deliveries were handled twice; the longest waited {longest:?}",
        lost.len()
    );
    let unexplained = load.twice_without_loss(&lost);
    assert!(unexplained.is_empty(), "handled twice although their entries were not lost: {unexplained:?}");
    assert!(before > 200, "only {before} deliveries");
}

/// A primary that was stopped and replaced runs the calls that wait for it when it continues.
pub(crate) async fn claim_at_a_replaced_primary_is_repeated() {
    let mut cluster = Cluster::start();
    cluster.fail_over_soon();
    let id = &cluster.ids_on(1, 1)[0];
    let timeout = Duration::from_secs(2);
    let store = RedisStore::builder(cluster.url()).timeout(timeout).connect().await.unwrap();
    let [one, two] = [1, 2].map(Claimant::new);
    assert_eq!(claim_by(&store, id, 0, one).await.unwrap(), Claim::Granted);
    cluster.node(1).signal("STOP");
    cluster.wait_until_serving(4);
    let other = RedisStore::builder(cluster.url()).timeout(timeout).connect_later().unwrap();
    let waiting = async {
        tokio::time::sleep(timeout * 3 / 4).await;
        claim_by(&store, id, 1, one).await
    };
    let (claimed, ()) = tokio::join!(waiting, async {
        // This call leads the store to the new primary, while the other one still waits.
        claim_by(&store, id, 2, one).await.unwrap_err();
        while claim_by(&store, id, 3, one).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(claim_by(&other, id, 1, two).await.unwrap(), Claim::Granted);
        cluster.node(1).signal("CONT");
    });
    assert!(matches!(claimed, Ok(Claim::InProgress { .. })), "{claimed:?}");
}

/// Replication is asynchronous: what a primary has answered and not yet sent to its replica is lost with it.
pub(crate) async fn delivery_that_was_not_replicated_runs_twice() {
    let mut cluster = Cluster::start();
    cluster.fail_over_soon();
    let ids = cluster.ids_on(0, 1);
    let store = cluster.patient_store().connect().await.unwrap();
    let endpoint = endpoint(store.clone(), &ids);
    let deliveries: Vec<_> = (0..12).map(|number| signed_for(&ids[0], format!("{number}"))).collect();
    let (replicated, others) = deliveries.split_at(5);
    for delivery in replicated {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
    assert_eq!(claim_by(&store, &ids[0], 1, Claimant::new(1)).await.unwrap(), Claim::Granted);
    let primary = cluster.node(0);
    let offset = |server: &Server, field: &str| {
        let info: String = server.ask(&["INFO", "replication"]);
        info.lines().find_map(|line| line.strip_prefix(field)?.parse::<u64>().ok()).unwrap()
    };
    let began = Instant::now();
    while offset(cluster.node(3), "slave_repl_offset:") < offset(primary, "master_repl_offset:") {
        assert!(began.elapsed() < PATIENCE, "the replica does not follow");
        sleep(Duration::from_millis(5));
    }
    cluster.allow_promotion(3, false);
    // The replica does not run while its connection is closed, so it cannot open another one.
    cluster.node(3).signal("STOP");
    let _: i64 = primary.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    for delivery in others {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
    assert!(commit_by(&store, &ids[0], 1, Claimant::new(1)).await.unwrap());
    cluster.node_mut(0).kill();
    cluster.node(3).signal("CONT");
    assert_eq!(unreplicated(cluster.node(0), &[cluster.node(3)])[0].len(), others.len() + 1);
    cluster.allow_promotion(3, true);
    cluster.wait_until_serving(3);
    recovers(&endpoint, &ids[0]).await;
    let before = endpoint.handled();
    assert_eq!(before, 13);
    for delivery in replicated {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
    assert_eq!(endpoint.handled(), before, "replicated deliveries are known");
    for delivery in others {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
    assert_eq!(endpoint.handled() - before, 7, "the others are handled again");
    let half_lost = claim(&store, &ids[0], 1).await.unwrap();
    assert!(matches!(half_lost, Claim::InProgress { .. }), "only the commit was lost: {half_lost:?}");
}

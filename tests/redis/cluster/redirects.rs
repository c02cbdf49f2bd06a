//! Slots that move while requests arrive, held at each step.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::clock::{Clock as _, SystemClock};
use hookwarden::error::StoreError;
use hookwarden::limit::RateLimiter as _;
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::{Quota, Timestamp};
use tokio::time::sleep;

use super::{endpoint, one_id_on_each};
use crate::endpoint::{Endpoint, Handled, Reports, builder, signed_for};
use crate::harness::PATIENCE;
use crate::harness::redis_cluster::Cluster;

/// Claims delivery `number` of a webhook id for a new claimant.
pub(super) async fn claim(store: &RedisStore, id: &str, number: u8) -> Result<Claim, StoreError> {
    claim_by(store, id, number, Claimant::new(u128::from(u8::MAX) + u128::from(number))).await
}

pub(super) async fn claim_by(store: &RedisStore, id: &str, number: u8, by: Claimant) -> Result<Claim, StoreError> {
    let keys = [ReplayKey::from_bytes([number; 16])];
    let now = SystemClock::default().now();
    store.claim(delivery(id, &keys), by, Duration::from_secs(60), now).await
}

pub(super) async fn commit_by(store: &RedisStore, id: &str, number: u8, by: Claimant) -> Result<bool, StoreError> {
    let keys = [ReplayKey::from_bytes([number; 16])];
    store.commit(delivery(id, &keys), by, SystemClock::default().now()).await
}

fn delivery<'a>(id: &'a str, keys: &'a [ReplayKey]) -> Delivery<'a> {
    let until = Timestamp::from_unix(Timestamp::now().as_unix() + 60);
    Delivery { webhook_id: id, keys, until, id: None }
}

pub(crate) async fn moved_slot_is_followed_at_once() {
    let cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    let endpoint = endpoint(cluster.patient_store().connect().await.unwrap(), &ids);
    let deliveries: Vec<_> = (0..3).map(|number| signed_for(&ids[0], format!("{number}"))).collect();
    assert_eq!(endpoint.status(&deliveries[0]).await, StatusCode::OK);
    // The redirection is enough: no node answers about the topology. Redis 6.2 cannot refuse a single subcommand.
    for node in 0..3 {
        let _ = cluster.node(node).try_ask::<()>(&["ACL", "SETUSER", "default", "-cluster|slots"]);
    }
    cluster.migrate(cluster.slot(&ids[0]), 1).finish();
    cluster.reset_statistics();
    assert_eq!(endpoint.status(&deliveries[1]).await, StatusCode::OK);
    assert_eq!(cluster.errors("MOVED"), 1, "the first request is redirected");
    assert_eq!(endpoint.status(&deliveries[2]).await, StatusCode::OK);
    assert_eq!(endpoint.status(&deliveries[0]).await, StatusCode::OK, "the moved delivery is known");
    assert_eq!((cluster.errors("MOVED"), endpoint.handled()), (1, 3));
    assert_eq!(["eval", "asking"].map(|command| cluster.calls(command)), [0; 2]);
}

/// After a move that was left half-way, two nodes can send clients to each other for ever.
pub(crate) async fn endless_redirection_ends_with_its_request() {
    let cluster = Cluster::of_primaries();
    let ids = [cluster.ids_on(0, 2), cluster.ids_on(1, 1)].concat();
    let store = RedisStore::builder(cluster.url()).timeout(TIMEOUT).connect().await.unwrap();
    let endpoint = endpoint(store.clone(), &ids);
    let slot = cluster.slot(&ids[0]).to_string();
    let new_owner: String = cluster.node(1).ask(&["CLUSTER", "MYID"]);
    let () = cluster.node(0).ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &new_owner]);
    cluster.reset_statistics();
    let began = Instant::now();
    // A claim would be released in the background, which is redirected too.
    let error = store.check(&ids[0], &Quota::per_minute(100).unwrap()).await.unwrap_err();
    assert_eq!(error.to_string().split(" (").next(), Some("redis refused with MOVED"));
    assert!(began.elapsed() < TIMEOUT * 3 / 2, "{:?}", began.elapsed());
    let followed = cluster.errors("MOVED");
    assert!((2..=MOST_REDIRECTIONS).contains(&followed), "{followed} redirections");
    assert_eq!(endpoint.status(&signed_for(&ids[0], "lost")).await, StatusCode::SERVICE_UNAVAILABLE);
    for id in &ids[1..] {
        assert_eq!(endpoint.status(&signed_for(id, id.as_str())).await, StatusCode::OK, "{id}");
    }
    let () = cluster.node(1).ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &new_owner]);
    super::recovers(&endpoint, &ids[0]).await;
}

pub(crate) async fn slot_between_two_nodes_answers_from_both() {
    let cluster = Cluster::of_primaries();
    let id = &one_id_on_each(&cluster)[0];
    let store = cluster.patient_store().connect().await.unwrap();
    let [one, other] = [1, 2].map(Claimant::new);
    assert_eq!(claim_by(&store, id, 1, one).await.unwrap(), Claim::Granted);
    assert!(commit_by(&store, id, 1, one).await.unwrap());
    assert_eq!(claim_by(&store, id, 2, one).await.unwrap(), Claim::Granted);
    let migration = cluster.migrate(cluster.slot(id), 1);
    cluster.reset_statistics();
    assert_eq!(claim_by(&store, id, 1, other).await.unwrap(), Claim::Finished);
    assert_eq!(cluster.calls("asking"), 0, "the entry is at the old node");
    assert_eq!(claim_by(&store, id, 3, one).await.unwrap(), Claim::Granted);
    assert_eq!(cluster.node(1).calls("asking"), 1, "a new entry is made at the new node");
    assert!(matches!(claim_by(&store, id, 3, other).await.unwrap(), Claim::InProgress { .. }));
    assert!(commit_by(&store, id, 3, one).await.unwrap());
    assert_eq!(claim_by(&store, id, 3, other).await.unwrap(), Claim::Finished);
    migration.move_keys(&migration.keys());
    assert!(commit_by(&store, id, 2, one).await.unwrap(), "the claim has moved");
    for number in [1, 2] {
        assert_eq!(claim_by(&store, id, number, other).await.unwrap(), Claim::Finished);
    }
    assert_eq!(cluster.errors("ASK"), 7, "the old node is asked first until the slot has moved");
    assert_eq!(cluster.errors("MOVED"), 0);
    migration.finish();
    for number in 1..=3 {
        assert_eq!(claim_by(&store, id, number, other).await.unwrap(), Claim::Finished);
    }
    assert_eq!((cluster.errors("MOVED"), cluster.errors("ASK")), (1, 7));
}

pub(crate) async fn request_waits_while_its_keys_move() {
    let cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    let endpoint = endpoint(cluster.patient_store().connect().await.unwrap(), &ids);
    assert_eq!(endpoint.status(&signed_for(&ids[0], "before")).await, StatusCode::OK);
    cluster.reset_statistics();
    let migration = cluster.migrate(cluster.slot(&ids[0]), 1);
    let delivery = signed_for(&ids[0], "during");
    let (status, ()) = tokio::join!(endpoint.status(&delivery), async {
        // The quota is at the old node, and the delivery is at none: no node can run the script.
        let began = Instant::now();
        while cluster.errors("TRYAGAIN") < 3 {
            assert!(began.elapsed() < PATIENCE, "the request is not tried again");
            sleep(Duration::from_millis(5)).await;
        }
        migration.finish();
    });
    assert_eq!((status, endpoint.handled()), (StatusCode::OK, 2));
}

pub(crate) async fn split_keys_refuse_only_their_own_requests() {
    let cluster = Cluster::of_primaries();
    let ids = cluster.ids_on(0, 2);
    let store = RedisStore::builder(cluster.url()).timeout(TIMEOUT).connect().await.unwrap();
    let reports = Reports::default();
    let warden = builder().shared_store(store).observer(reports.clone());
    let endpoint = Endpoint::of_senders(warden, &ids, Handled::default(), Duration::ZERO);
    assert_eq!(endpoint.status(&signed_for(&ids[0], "before")).await, StatusCode::OK);
    let migration = cluster.migrate(cluster.slot(&ids[0]), 1);
    let delivery = signed_for(&ids[0], "during");
    for number in 0..3 {
        let began = Instant::now();
        assert_eq!(endpoint.status(&delivery).await, StatusCode::SERVICE_UNAVAILABLE);
        let took = began.elapsed();
        assert!(took >= TIMEOUT / 2 && took < TIMEOUT * 3 / 2, "{took:?}");
        let began = Instant::now();
        assert_eq!(endpoint.status(&signed_for(&ids[1], format!("{number}"))).await, StatusCode::OK);
        assert!(began.elapsed() < TIMEOUT, "{:?}", began.elapsed());
    }
    migration.finish();
    assert_eq!(endpoint.status(&delivery).await, StatusCode::OK);
    assert_eq!(endpoint.handled(), 5);
    assert!(reports.has("failed Replay"));
    assert!(!reports.all().iter().any(|report| report.contains("(shard ")), "no node failed: {:?}", reports.all());
}

/// A node that has left the cluster knows no owner of any slot.
pub(crate) async fn slots_of_a_removed_node_are_found_again() {
    let mut cluster = Cluster::of_primaries();
    let ids = cluster.ids_on(0, 1);
    let node = cluster.add_node();
    let slot = cluster.slot(&ids[0]);
    cluster.migrate(slot, node).finish();
    let endpoint = endpoint(cluster.patient_store().connect().await.unwrap(), &ids);
    let delivery = signed_for(&ids[0], "before");
    assert_eq!(endpoint.status(&delivery).await, StatusCode::OK);
    cluster.migrate(slot, 0).finish();
    let () = cluster.node(node).ask(&["CLUSTER", "RESET"]);
    cluster.reset_statistics();
    assert_eq!(endpoint.status(&signed_for(&ids[0], "after")).await, StatusCode::OK);
    assert!(cluster.node(node).errors("CLUSTERDOWN") > 0, "the removed node was asked");
    assert_eq!(endpoint.status(&delivery).await, StatusCode::OK);
    assert_eq!(endpoint.handled(), 2);
}

/// The store's timeout: short for the tests, and longer than a normal answer takes.
pub(super) const TIMEOUT: Duration = Duration::from_millis(500);

/// Six at once, and then two after each pause of 2, 4, 8, 16, 16 … ms, until [`TIMEOUT`].
const MOST_REDIRECTIONS: u64 = 80;

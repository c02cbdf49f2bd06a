//! The store on a Redis Cluster of several primaries.

pub(crate) mod changes;
pub(crate) mod pending;
pub(crate) mod redirects;
pub(crate) mod shards;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use futures_util::future::join_all;
use hookwarden::clock::SystemClock;
use hookwarden::redis::RedisStore;
use hookwarden::replay::Claim;
use hookwarden::testing::{rate_limiter_contract, replay_store_contract};
use redirects::claim;

use crate::endpoint::{Endpoint, Handled, RETURN, builder, signed_for};
use crate::harness::redis_cluster::{Cluster, until};
use crate::harness::redis_server::{Server, patient_store};
use crate::wire::Wire;

/// Returns one webhook id on each of the first three nodes.
fn one_id_on_each(cluster: &Cluster) -> Vec<String> {
    (0..3).flat_map(|node| cluster.ids_on(node, 1)).collect()
}

fn endpoint(store: RedisStore, ids: &[String]) -> Endpoint {
    Endpoint::of_senders(builder().shared_store(store), ids, Handled::default(), Duration::ZERO)
}

pub(crate) async fn store_keeps_both_contracts_on_a_cluster() {
    let cluster = Cluster::of_primaries();
    let store = cluster.patient_store().connect().await.unwrap();
    replay_store_contract(|| store.clone(), &SystemClock::default(), tokio::time::sleep).await;
    rate_limiter_contract(|| store.clone(), tokio::time::sleep).await;
}

pub(crate) async fn accepted_request_costs_two_scripts_on_a_cluster() {
    let cluster = Cluster::start();
    let ids = one_id_on_each(&cluster);
    let endpoint = endpoint(cluster.patient_store().connect().await.unwrap(), &ids);
    cluster.reset_statistics();
    for id in &ids {
        let deliveries: Vec<_> = (0..10).map(|number| signed_for(id, format!("{id} {number}"))).collect();
        for delivery in deliveries.iter().chain(&deliveries[..5]) {
            assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
        }
    }
    assert_eq!(endpoint.handled(), 30);
    assert_eq!(cluster.calls("evalsha"), 75, "two for each accepted request and one for each duplicate");
    let others = ["eval", "script|load", "asking"].map(|command| cluster.calls(command));
    assert_eq!(others, [0; 3]);
    assert_eq!(["MOVED", "ASK"].map(|code| cluster.errors(code)), [0; 2]);
    for (node, id) in ids.iter().enumerate() {
        assert_eq!(cluster.node(node).calls("evalsha"), 25, "{id}");
    }
}

pub(crate) async fn password_is_sent_to_every_node() {
    const PASSWORD: &str = "canary-7f3a9c";
    let cluster = Cluster::with(1, &["--requirepass", PASSWORD, "--masterauth", PASSWORD]);
    let ids = one_id_on_each(&cluster);
    let store = cluster.patient_store().connect().await.unwrap();
    let mut shown = format!("{:?} {store:?}", cluster.patient_store());
    let endpoint = endpoint(store, &ids);
    for id in &ids {
        assert_eq!(endpoint.status(&signed_for(id, id.as_str())).await, StatusCode::OK, "{id}");
    }
    for wrong in [cluster.url().replace(PASSWORD, "canary-of-a-stranger"), cluster.url().replace(":canary-7f3a9c@", "")]
    {
        let error = patient_store(wrong).connect().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("did not accept the user or the password") || text.contains("NOAUTH"), "{text}");
        shown += &format!("{error} {error:?}");
    }
    assert!(!shown.contains("canary"), "{shown}");
}

/// The documented permissions are enough, also while a slot is migrated.
pub(crate) async fn user_with_few_permissions_suffices() {
    let cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    for node in 0..3 {
        let user = [&["ACL", "SETUSER", "app", "on", ">canary", "~hookwarden:*"], PERMISSIONS].concat();
        let () = cluster.node(node).ask(&user);
    }
    let url = cluster.url().replace("://", "://app:canary@");
    let store = patient_store(url).connect().await.unwrap();
    let endpoint = endpoint(store.clone(), &ids);
    for id in &ids {
        let deliveries = [0, 1, 0].map(|number| signed_for(id, format!("{id} {number}")));
        for delivery in &deliveries {
            assert_eq!(endpoint.status(delivery).await, StatusCode::OK, "{id}");
        }
    }
    let migration = cluster.migrate(cluster.slot(&ids[0]), 1);
    assert_eq!(claim(&store, &ids[0], 1).await.unwrap(), Claim::Granted);
    assert!(cluster.errors("ASK") > 0);
    migration.finish();
    assert!(matches!(claim(&store, &ids[0], 1).await.unwrap(), Claim::Granted | Claim::InProgress { .. }));
    assert_eq!(cluster.errors("NOPERM"), 0);

    // Without a cluster, the last two are not needed.
    let server = Server::start();
    let for_one_server = &PERMISSIONS[..PERMISSIONS.len() - 2];
    let () = server.ask(&[&["ACL", "SETUSER", "app", "on", ">canary", "~hookwarden:*"], for_one_server].concat());
    let url = server.url().replace("://", "://app:canary@");
    let endpoint = self::endpoint(patient_store(url).connect().await.unwrap(), &ids);
    for delivery in ["new", "new", "another"].map(|body| signed_for(&ids[0], body)) {
        assert_eq!(endpoint.status(&delivery).await, StatusCode::OK);
    }
    assert_eq!(server.errors("NOPERM"), 0);
}

pub(crate) async fn url_of_the_wrong_kind_is_explained() {
    let cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    let store = cluster.node(0).patient_store().connect().await;
    let text = match store {
        Err(error) => error.to_string(),
        Ok(store) => claim(&store, &ids[1], 1).await.unwrap_err().to_string(),
    };
    assert!(text.contains("redis+cluster://"), "{text}");
    let server = Server::start();
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    let text = patient_store(url).connect().await.unwrap_err().to_string();
    assert!(text.contains("redis://"), "{text}");
}

pub(crate) async fn dead_seed_does_not_prevent_connecting() {
    let mut cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    cluster.node_mut(0).kill();
    let store = patient_store(cluster.url_of(&[0, 1])).connect().await.unwrap();
    let endpoint = endpoint(store, &ids);
    for (id, status) in ids.iter().zip([StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK, StatusCode::OK]) {
        assert_eq!(endpoint.status(&signed_for(id, id.as_str())).await, status, "{id}");
    }
    cluster.node_mut(0).run();
    cluster.wait_until_serving(0);
    recovers(&endpoint, &ids[0]).await;
}

pub(crate) async fn stopped_seed_delays_no_first_request() {
    let cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    cluster.node(0).signal("STOP");
    let store = RedisStore::builder(cluster.url_of(&[0, 1])).timeout(Duration::from_millis(500));
    let endpoint = endpoint(store.connect_later().unwrap(), &ids);
    for id in &ids[1..] {
        assert_eq!(endpoint.status(&signed_for(id, id.as_str())).await, StatusCode::OK, "{id}");
    }
    assert_eq!(endpoint.status(&signed_for(&ids[0], "stopped")).await, StatusCode::SERVICE_UNAVAILABLE);
    cluster.node(0).signal("CONT");
    cluster.wait_until_serving(0);
    recovers(&endpoint, &ids[0]).await;
}

/// A node that is far away: a request waits for the first connection, which goes on when the request has ended.
pub(crate) async fn slow_first_connection_is_kept() {
    let timeout = Duration::from_secs(1);
    for (delay, first) in [(timeout * 2 / 5, StatusCode::OK), (timeout * 7 / 5, StatusCode::SERVICE_UNAVAILABLE)] {
        let cluster = Cluster::of_primaries();
        let ids = one_id_on_each(&cluster);
        let wire = Wire::slow(cluster.node(0).port(), delay).await;
        let port = wire.port().to_string();
        let () = cluster.node(0).ask(&["CONFIG", "SET", "cluster-announce-port", &port]);
        until("a node that knows the announced port", || {
            cluster.node(1).ask::<String>(&["CLUSTER", "NODES"]).contains(&format!("127.0.0.1:{port}@"))
        });
        cluster.reset_statistics();
        let store = RedisStore::builder(cluster.url_of(&[1])).timeout(timeout).connect_timeout(timeout * 10);
        let endpoint = endpoint(store.connect_later().unwrap(), &ids);
        assert_eq!(endpoint.status(&signed_for(&ids[1], "to the seed")).await, StatusCode::OK);
        let began = Instant::now();
        let deliveries: Vec<_> = (0..8).map(|number| signed_for(&ids[0], format!("{number}"))).collect();
        let answers = join_all(deliveries.iter().map(|delivery| endpoint.status(delivery))).await;
        assert_eq!(answers, [first; 8], "{delay:?}");
        assert!(began.elapsed() < timeout * 3 / 2, "{:?}", began.elapsed());
        until("a connection that is open", || cluster.node(0).calls("script|load") == 3);
        for delivery in &deliveries {
            assert_eq!(endpoint.status(delivery).await, StatusCode::OK, "{delay:?}");
        }
        assert_eq!(endpoint.handled(), 9);
        assert_eq!(["script|load", "eval"].map(|command| cluster.node(0).calls(command)), [3, 0], "one connection");
    }
}

pub(crate) async fn late_connecting_store_serves_once_cluster_runs() {
    let mut cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    for node in 0..3 {
        cluster.node_mut(node).kill();
    }
    let error = cluster.patient_store().connect().await.unwrap_err();
    assert!(error.to_string().starts_with("redis refused the connection"), "{error}");
    let endpoint = endpoint(cluster.patient_store().connect_later().unwrap(), &ids);
    for id in &ids {
        let early = signed_for(id, format!("{id} too early"));
        assert_eq!(endpoint.status(&early).await, StatusCode::SERVICE_UNAVAILABLE, "{id}");
    }
    for node in 0..3 {
        cluster.node_mut(node).run();
    }
    for (node, id) in ids.iter().enumerate() {
        cluster.wait_until_serving(node);
        recovers(&endpoint, id).await;
    }
}

/// Sends a delivery of a webhook id until it is accepted, and asserts that this happens in time.
async fn recovers(endpoint: &Endpoint, id: &str) {
    let returned = Instant::now();
    let delivery = signed_for(id, format!("{id} {returned:?}"));
    loop {
        let status = endpoint.status(&delivery).await;
        if status == StatusCode::OK {
            break;
        }
        assert!(returned.elapsed() < RETURN, "no recovery of {id}: {status}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What a user needs: the connection, the scripts, the commands in them, and the topology.
const PERMISSIONS: &[&str] = &[
    "+ping",
    "+time",
    "+script|load",
    "+evalsha",
    "+eval",
    "+set",
    "+get",
    "+mget",
    "+psetex",
    "+del",
    "+pttl",
    "+pexpire",
    "+cluster|slots",
    "+asking",
];

//! One shard that does not answer, beside others that do.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::Quota;
use hookwarden::event::MetricsObserver;
use hookwarden::redis::RedisStore;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::{endpoint, one_id_on_each, recovers};
use crate::endpoint::{Endpoint, Handled, Reports, assert_retry_after, builder, quotas, signed_for};
use crate::harness::redis_cluster::{Cluster, until};
use crate::load::{HANDLER, Load};

pub(crate) async fn dead_shard_refuses_only_its_own_ids() {
    let mut cluster = Cluster::of_primaries();
    let dead = cluster.ids_on(0, 2);
    let alive = [cluster.ids_on(1, 2), cluster.ids_on(2, 2)].concat();
    let ids = [&dead[..], &alive].concat();
    let (load, mut tasks) = Load::start_with(&cluster.url(), &ids, TIMEOUT, Duration::ZERO).await;
    for node in [1, 2] {
        load.watch_server(&mut tasks, cluster.node(node));
    }
    load.until_each(&alive, StatusCode::OK, 50).await;
    load.check("steady", Duration::ZERO);
    for fault in ["stopped", "killed"] {
        if fault == "stopped" {
            cluster.node(0).signal("STOP");
        } else {
            cluster.node_mut(0).kill();
        }
        load.until_each(&dead, StatusCode::SERVICE_UNAVAILABLE, 40).await;
        load.until_each(&alive, StatusCode::OK, 300).await;
        let (seen, lag) = (load.take(&alive), load.take_lag());
        println!("a shard is {fault}: the others answered {:?}, the slowest after {:?}", seen.statuses, seen.slowest);
        // 409: a copy that arrives while the other is handled.
        assert!(seen.statuses.keys().all(|status| matches!(status, 200 | 409)), "{fault}: {:?}", seen.statuses);
        let bound = HANDLER + TIMEOUT / 2;
        assert!(seen.slowest <= bound + lag, "{fault}: {:?}, more than {bound:?} and {lag:?}", seen.slowest);
        if fault == "stopped" {
            cluster.node(0).signal("CONT");
        } else {
            cluster.node_mut(0).run();
        }
        cluster.wait_until_serving(0);
        load.check(fault, load.served_again().await);
    }
    load.stop(tasks).await;
    assert_eq!(load.twice(), 0, "deliveries were handled twice");
}

pub(crate) async fn dead_shard_falls_back_to_its_share() {
    let mut cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    let store = RedisStore::builder(cluster.url()).timeout(TIMEOUT).connect().await.unwrap();
    let reports = Reports::default();
    let quota = quotas().accepted(Quota::new(10, Duration::from_secs(600)).unwrap()).shared(store).replicas(3);
    let warden = builder().quotas(quota).observer(reports.clone());
    let endpoint = Endpoint::of_senders(warden, &ids, Handled::default(), Duration::ZERO);
    let name = format!("127.0.0.1:{}", cluster.node(0).port());
    cluster.node_mut(0).kill();
    for (id, most) in ids.iter().zip([3, 10, 10]) {
        let (began, mut accepted) = (Instant::now(), 0);
        for number in 0..12 {
            let response = endpoint.send(&signed_for(id, format!("{number} for {id}"))).await;
            match response.status() {
                StatusCode::OK => accepted += 1,
                StatusCode::TOO_MANY_REQUESTS if most == 3 => assert_retry_after(&response, 1_800, began),
                StatusCode::TOO_MANY_REQUESTS => assert_retry_after(&response, 600, began),
                other => panic!("{other} for {id}"),
            }
        }
        assert_eq!(accepted, most, "{id}");
    }
    assert!(reports.has("warning LimiterFellBack") && reports.has("failed Limits"), "{:?}", reports.all());
    let failed: Vec<_> = reports.all().into_iter().filter(|report| report.starts_with("failed")).collect();
    assert!(failed.iter().all(|report| report.contains(&name)), "the failures name the shard {name}: {failed:?}");
    assert!(!reports.has("recovered"), "answers of the other shards end no outage: {:?}", reports.all());
    cluster.node_mut(0).run();
    cluster.wait_until_serving(0);
    let returned = Instant::now();
    let mut number = 0;
    while !reports.has("recovered Limits") {
        assert!(returned.elapsed() < crate::endpoint::RETURN, "no recovery");
        tokio::time::sleep(Duration::from_millis(10)).await;
        endpoint.status(&signed_for(&ids[0], format!("after the return {number}"))).await;
        number += 1;
    }
}

/// The node answers, but refuses writes: it is full, its last snapshot failed, or it has too few replicas.
pub(crate) async fn refused_write_names_its_shard() {
    let cluster = Cluster::of_primaries();
    let ids = one_id_on_each(&cluster);
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    // The gauge of a shard is made at its first failure.
    let _recording = metrics::set_default_local_recorder(&recorder);
    let node = cluster.node(0);
    let name = format!("127.0.0.1:{}", node.port());
    // A snapshot cannot replace a directory.
    std::fs::create_dir_all(node.directory().join("dump.rdb/taken")).unwrap();
    let () = node.ask(&["BGSAVE"]);
    until("a snapshot that failed", || {
        node.ask::<String>(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err")
    });
    let store = cluster.patient_store().connect().await.unwrap();
    let reports = Reports::default();
    let warden = builder().shared_store(store).observer(reports.clone()).observer(MetricsObserver::new());
    let endpoint = Endpoint::of_senders(warden, &ids, Handled::default(), Duration::ZERO);
    let up = || {
        let start = format!("hookwarden_store_up{{store=\"replay\",shard=\"{name}\"}} ");
        metrics.render().lines().find_map(|line| line.strip_prefix(&start)?.parse::<u8>().ok())
    };
    for (code, setting, value, default) in [
        ("OOM", "maxmemory", "1mb", "0"),
        ("MISCONF", "save", "3600 1", ""),
        ("NOREPLICAS", "min-replicas-to-write", "1", "0"),
    ] {
        let () = node.ask(&["CONFIG", "SET", setting, value]);
        let refused = signed_for(&ids[0], format!("refused with {code}"));
        assert_eq!(endpoint.status(&refused).await, StatusCode::SERVICE_UNAVAILABLE, "{code}");
        let expected = format!("failed Replay redis refused with {code} (shard {name})");
        assert!(reports.has(&expected), "{expected}: {:?}", reports.all());
        assert_eq!(up(), Some(0), "{code}");
        for id in &ids[1..] {
            assert_eq!(endpoint.status(&signed_for(id, format!("{id} {code}"))).await, StatusCode::OK, "{id}");
        }
        assert!(!reports.has("recovered"), "answers of the other shards end no outage: {:?}", reports.all());
        let () = node.ask(&["CONFIG", "SET", setting, default]);
        // The link stayed open, so the next request is served.
        assert_eq!(endpoint.status(&refused).await, StatusCode::OK, "{code}");
        assert!(reports.has(&format!("recovered Replay {name}")), "{code}: {:?}", reports.all());
        assert_eq!(up(), Some(1), "{code}");
        reports.clear();
    }
    assert_eq!(endpoint.handled(), 9);
}

/// By default a cluster serves nothing while one of its slots has no primary.
pub(crate) async fn cluster_that_is_down_refuses_and_recovers() {
    let mut cluster = Cluster::with(0, &["--cluster-require-full-coverage", "yes"]);
    cluster.fail_over_soon();
    let ids = one_id_on_each(&cluster);
    let store = RedisStore::builder(cluster.url()).timeout(TIMEOUT).connect().await.unwrap();
    let endpoint = endpoint(store, &ids);
    cluster.node_mut(0).kill();
    for node in [1, 2] {
        cluster.wait_until_down(node);
    }
    for id in &ids {
        let delivery = signed_for(id, format!("while it is down {id}"));
        assert_eq!(endpoint.status(&delivery).await, StatusCode::SERVICE_UNAVAILABLE, "{id}");
    }
    assert!(cluster.errors("CLUSTERDOWN") > 0, "the live nodes refuse");
    cluster.node_mut(0).run();
    for (node, id) in ids.iter().enumerate() {
        cluster.wait_until_serving(node);
        recovers(&endpoint, id).await;
    }
}

/// The stores' timeout: longer than a normal answer takes on a busy machine.
const TIMEOUT: Duration = Duration::from_millis(500);

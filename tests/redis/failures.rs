//! Requests while the server does not answer.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::clock::{Clock as _, SystemClock};
use hookwarden::event::MetricsObserver;
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::warden::Replay;
use hookwarden::{Keyring, Quota, Scheme};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::endpoint::{Endpoint, RETURN, Reports, assert_retry_after, builder, quotas};
use crate::harness::assert_silent;
use crate::harness::redis_server::Server;
use crate::harness::sender::Post;

pub(crate) async fn limiter_falls_back_to_its_share_and_recovers() {
    let mut server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let observer = metrics::with_local_recorder(&recorder, MetricsObserver::new);
    let reports = Reports::default();
    let quota = Quota::new(10, Duration::from_secs(600)).unwrap();
    let warden = builder().quotas(quotas().accepted(quota).shared(store).replicas(3));
    let endpoint = Endpoint::new(warden.observer(reports.clone()).observer(observer));
    let up = || {
        metrics
            .render()
            .lines()
            .find(|line| line.starts_with("hookwarden_store_up{store=\"limits\",shard=\"\"}"))
            .unwrap()
            .to_owned()
    };

    assert_eq!(endpoint.status(&Post::signed("while the server runs")).await, StatusCode::OK);
    assert!(
        up().ends_with(" 1") && !reports.has("failed") && !reports.has("warning LimiterFellBack"),
        "{:?}",
        reports.all()
    );
    server.kill();
    let (began, mut accepted) = (Instant::now(), 0);
    for number in 0..10 {
        let response = endpoint.send(&Post::signed(format!("{number}"))).await;
        match response.status() {
            StatusCode::OK => accepted += 1,
            StatusCode::TOO_MANY_REQUESTS => assert_retry_after(&response, 1_800, began),
            other => panic!("{other} while the limiter falls back"),
        }
    }
    assert_eq!(accepted, 3, "a third of the quota of 10");
    assert!(reports.has("warning LimiterFellBack") && reports.has("failed Limits"), "{:?}", reports.all());
    assert!(up().ends_with(" 0"), "{}", up());

    server.run();
    let returned = Instant::now();
    while !reports.has("recovered Limits") {
        tokio::time::sleep(Duration::from_millis(10)).await;
        endpoint.status(&Post::signed(format!("{:?}", returned.elapsed()))).await;
        assert!(returned.elapsed() < RETURN, "no recovery");
    }
    assert!(up().ends_with(" 1"), "{}", up());
    assert_eq!(endpoint.status(&Post::signed("after it")).await, StatusCode::OK);
}

pub(crate) async fn replay_fails_closed_at_once_and_recovers() {
    let mut server = Server::durable();
    let store = RedisStore::builder(server.url()).timeout(TIMEOUT).connect().await.unwrap();
    let reports = Reports::default();
    let endpoint = Endpoint::new(builder().shared_store(store).observer(reports.clone()));
    assert_eq!(endpoint.status(&Post::signed("before")).await, StatusCode::OK);
    server.signal("STOP");
    let began = Instant::now();
    let response = endpoint.send(&Post::signed("during")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(began.elapsed() >= TIMEOUT, "the request waited for the server");

    // After the first timeout no request waits.
    let began = Instant::now();
    for number in 0..200 {
        assert_eq!(endpoint.status(&Post::signed(format!("{number}"))).await, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(began.elapsed() < TIMEOUT * 2, "200 answers took {:?}", began.elapsed());
    assert!(reports.has("failed Replay"));
    assert_eq!(endpoint.handled(), 1);

    server.signal("CONT");
    endpoint.recovers().await;
    // The late claim and its charge had no effect.
    assert_eq!(endpoint.status(&Post::signed("after")).await, StatusCode::OK);
    assert_eq!(reports.all().iter().filter(|what| *what == "recovered Replay").count(), 1, "{:?}", reports.all());
    server.kill();
    server.run();
    endpoint.recovers().await;
}

pub(crate) async fn danger_setting_falls_back_to_local_replay() {
    let mut server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let reports = Reports::default();
    let fallback = || Replay::new().danger_fall_back_to_this_process();
    let warden = builder().shared_store(store.clone()).quotas(quotas().replicas(10)).replay(fallback());
    let endpoint = Endpoint::new(warden.observer(reports.clone()));

    // While the server runs, it stores the deliveries, not this process.
    let ready = builder().shared_store(store.clone()).replay(fallback());
    let [here, elsewhere] = [Endpoint::new(ready), Endpoint::new(builder().shared_store(store.clone()))];
    let before = Post::signed("before");
    assert_eq!((here.status(&before).await, here.handled()), (StatusCode::OK, 1));
    assert_eq!((elsewhere.status(&before).await, elsewhere.handled()), (StatusCode::OK, 0));

    server.kill();
    let deliveries: Vec<_> = (0..20).map(|number| Post::signed(format!("{number}"))).collect();
    let mut accepted = 0;
    for delivery in &deliveries {
        accepted += u32::from(endpoint.status(delivery).await.is_success());
    }
    assert_eq!((accepted, endpoint.handled()), (10, 10), "a tenth of the quota of 100");
    for delivery in &deliveries[..10] {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK, "a duplicate is recognized");
    }
    assert_eq!(endpoint.handled(), 10);
    assert!(reports.has("failed Replay") && reports.has("warning LimiterFellBack"));

    // Without a quota no limiter falls back.
    let reports = Reports::default();
    let other = Keyring::new(Scheme::timestamped().secret("the-secret-of-another-sender").unwrap());
    let warden = builder().sender("other", other).shared_store(store).replay(fallback()).observer(reports.clone());
    let quotas = quotas().danger_unlimited_accepted().accepted_for("other", Quota::per_minute(1).unwrap());
    let endpoint = Endpoint::new(warden.quotas(quotas));
    assert_eq!(endpoint.status(&deliveries[0]).await, StatusCode::OK);
    assert!(reports.has("failed Replay") && !reports.has("warning LimiterFellBack"), "{:?}", reports.all());
}

pub(crate) async fn late_connecting_store_serves_once_server_runs() {
    let mut server = Server::stopped(&[]);
    let error = RedisStore::builder(server.url()).connect().await.unwrap_err();
    assert_eq!(error.to_string(), "redis refused the connection");
    let store = server.patient_store().connect_later().unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store));
    assert_eq!(endpoint.status(&Post::signed("too early")).await, StatusCode::SERVICE_UNAVAILABLE);
    server.run();
    endpoint.recovers().await;
}

/// A client that disconnects during its claim must not hold the delivery for the whole lease.
pub(crate) async fn abandoned_claim_is_released() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let now = SystemClock::default().now();
    let keys = [ReplayKey::from_bytes([9; 16])];
    let delivery = Delivery { webhook_id: "acme", keys: &keys, until: now.wall, id: None };
    let lease = Duration::from_secs(60);
    server.signal("STOP");
    assert_silent(store.claim(delivery, Claimant::new(1), lease, now)).await;
    server.signal("CONT");
    let returned = Instant::now();
    while store.claim(delivery, Claimant::new(2), lease, now).await.unwrap() != Claim::Granted {
        assert!(returned.elapsed() < RETURN, "the claim is still held");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A commit survives its cancelled caller too.
    server.signal("STOP");
    let until = hookwarden::Timestamp::from_unix(now.wall.as_unix() + 60);
    let delivery = Delivery { until, ..delivery };
    assert_silent(store.commit(delivery, Claimant::new(2), now)).await;
    server.signal("CONT");
    let returned = Instant::now();
    while store.claim(delivery, Claimant::new(3), lease, now).await.unwrap() != Claim::Finished {
        assert!(returned.elapsed() < RETURN, "the delivery is not finished");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The store's timeout: short for the tests, and longer than a running server takes.
const TIMEOUT: Duration = Duration::from_millis(500);

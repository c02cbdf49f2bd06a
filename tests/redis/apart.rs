//! Quotas and prefixes on one server, how long a delivery is stored, and commits after an outage.

use std::time::{Duration, Instant};

use hookwarden::clock::{Clock as _, SystemClock};
use hookwarden::limit::{Decision, RateLimiter as _};
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::{Quota, Timestamp};

use crate::endpoint::RETURN;
use crate::harness::redis_server::Server;

async fn is_allowed(store: &RedisStore, quota: &Quota) -> bool {
    matches!(store.check("acme", quota).await.unwrap(), Decision::Allowed(_))
}

/// Endpoints with different quotas may share a store.
pub(crate) async fn quotas_of_one_id_are_denied_apart() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let hour = Duration::from_secs(3_600);
    let quotas = [(1, hour), (1, 2 * hour), (2, hour)].map(|(burst, period)| Quota::new(burst, period).unwrap());
    for quota in &quotas {
        assert!(is_allowed(&store, quota).await, "{quota}");
    }
    for quota in &quotas[..2] {
        assert!(!is_allowed(&store, quota).await, "{quota}");
    }
    assert!(is_allowed(&store, &quotas[2]).await, "requests that the other quotas denied must not count");
}

pub(crate) async fn prefixes_share_neither_quotas_nor_deliveries() {
    let server = Server::start();
    let quota = Quota::new(1, Duration::from_secs(3_600)).unwrap();
    let now = SystemClock::default().now();
    let keys = [ReplayKey::from_bytes([9; 16])];
    let until = Timestamp::from_unix(now.wall.as_unix() + 60);
    let delivery = Delivery { webhook_id: "acme", keys: &keys, until, id: None };
    for prefix in ["shop", "mail"] {
        let store = server.patient_store().prefix(prefix).connect().await.unwrap();
        assert!(is_allowed(&store, &quota).await, "{prefix}");
        assert!(!is_allowed(&store, &quota).await, "{prefix}");
        let claim = store.claim(delivery, Claimant::new(1), Duration::from_secs(60), now).await.unwrap();
        assert_eq!(claim, Claim::Granted, "{prefix}");
        assert!(store.commit(delivery, Claimant::new(1), now).await.unwrap(), "{prefix}");
    }
}

pub(crate) async fn commit_while_down_is_sent_later() {
    let mut server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let now = SystemClock::default().now();
    let keys = [ReplayKey::from_bytes([9; 16])];
    let until = Timestamp::from_unix(now.wall.as_unix() + 60);
    let delivery = Delivery { webhook_id: "acme", keys: &keys, until, id: None };
    let claim = async |by| store.claim(delivery, Claimant::new(by), Duration::from_secs(60), now).await;
    assert_eq!(claim(1).await.unwrap(), Claim::Granted);
    server.kill();
    // This call makes the store notice the outage.
    claim(2).await.unwrap_err();
    let commit = store.commit(delivery, Claimant::new(1), now).await.unwrap_err();
    assert!(commit.to_string().contains("redis is down"), "{commit}");

    server.run();
    let returned = Instant::now();
    // Commits are sent before the first request is served again.
    let claimed = loop {
        match claim(3).await {
            Ok(claimed) => break claimed,
            Err(error) => assert!(returned.elapsed() < RETURN, "no recovery: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(claimed, Claim::Finished);
}

/// A timestamp in whole seconds is fresh until the end of its last second.
pub(crate) async fn delivery_is_stored_through_its_last_second() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let now = SystemClock::default().now();
    let keys = [ReplayKey::from_bytes([9; 16])];
    let until = Timestamp::from_unix(now.wall.as_unix() + 3_600);
    let delivery = Delivery { webhook_id: "acme", keys: &keys, until, id: None };
    let began = Instant::now();
    assert!(store.commit(delivery, Claimant::new(1), now).await.unwrap());
    let names: Vec<String> = server.ask(&["KEYS", "*"]);
    let [name] = &names[..] else { panic!("not exactly one key: {names:?}") };
    let millis: i64 = server.ask(&["PTTL", name]);
    let stored_for = Duration::from_millis(millis.unsigned_abs()) + began.elapsed();
    assert!(stored_for > Duration::from_millis(3_600_900), "{stored_for:?}");
}

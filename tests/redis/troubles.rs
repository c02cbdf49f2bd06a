//! Network faults, and servers that refuse commands.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::clock::{Clock as _, ClockReading, SystemClock};
use hookwarden::error::StoreError;
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore as _};
use hookwarden::shared_store::{AdmitOutcome, SharedStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::{Quota, Timestamp};
use tokio::time::sleep;

use crate::endpoint::{Endpoint, Handled, RETURN, Reports, builder, quotas};
use crate::harness::redis_server::{Server, patient_store};
use crate::harness::sender::Post;
use crate::wire::Wire;

pub(crate) async fn store_leaves_a_demoted_primary() {
    let (old, new) = (Server::start(), Server::start());
    let wire = Wire::to(old.port()).await;
    let store = patient_store(wire.url()).connect().await.unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store));
    assert_eq!(endpoint.status(&Post::signed("before")).await, StatusCode::OK);
    // As a replica whose primary does not answer, the old server answers everything except writes.
    let () = old.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    wire.lead_to(new.port());
    endpoint.recovers().await;
    assert_eq!(endpoint.handled(), 2);
}

pub(crate) async fn lost_answer_leaves_no_claim_behind() {
    let server = Server::start();
    let wire = Wire::to(server.port()).await;
    let store = patient_store(wire.url()).connect().await.unwrap();
    let quota = Quota::new(1, Duration::from_secs(3_600)).unwrap();
    let keys = [ReplayKey::from_bytes([1; 16])];
    let (delivery, now) = delivery(&keys);
    wire.lose_next_answer();
    let admittance = store.admit(delivery, Claimant::new(1), LEASE, Some(&quota), now).await.unwrap();
    if matches!(admittance, AdmitOutcome::OverQuota { .. }) {
        free_again(&store, delivery, now).await;
    } else {
        assert!(matches!(admittance, AdmitOutcome::Granted(_)), "{admittance:?}");
        assert!(store.release(delivery, Claimant::new(1), now).await.unwrap());
    }
}

pub(crate) async fn late_claim_on_old_connection_is_ignored() {
    let server = Server::start();
    let wire = Wire::to(server.port()).await;
    for (number, eager) in [(1, true), (2, false)] {
        let builder = RedisStore::builder(wire.url()).timeout(TIMEOUT);
        let store = if eager { builder.connect().await.unwrap() } else { builder.connect_later().unwrap() };
        let keys = [ReplayKey::from_bytes([number; 16])];
        let (delivery, now) = delivery(&keys);
        if !eager {
            // The first call of any kind connects.
            assert!(!store.release(delivery, Claimant::new(9), now).await.unwrap());
        }
        wire.hold();
        let error = store.claim(delivery, Claimant::new(1), LEASE, now).await.unwrap_err();
        assert_eq!(error.to_string(), format!("redis did not answer within {TIMEOUT:?}"));
        // The store has opened a new connection and released the claim before the claim arrives.
        let began = Instant::now();
        while store.release(delivery, Claimant::new(9), now).await.is_err() {
            assert!(began.elapsed() < RETURN, "no new connection");
            sleep(PAUSE).await;
        }
        let before = scripts_run(&server);
        wire.let_go();
        let began = Instant::now();
        // A store that connected late may have dropped the claim with its connection.
        while scripts_run(&server) == before && (eager || began.elapsed() < PAUSE * 10) {
            assert!(began.elapsed() < RETURN, "the late claim does not arrive");
            sleep(PAUSE).await;
        }
        let claim = store.claim(delivery, Claimant::new(2), LEASE, now).await.unwrap();
        assert_eq!(claim, Claim::Granted, "eager: {eager}");
    }
}

pub(crate) async fn cached_denial_does_not_report_recovery() {
    let mut server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let reports = Reports::default();
    let warden =
        builder().shared_store(store).quotas(quotas().accepted(Quota::new(1, Duration::from_secs(3_600)).unwrap()));
    let endpoint = Endpoint::sharing(warden.observer(reports.clone()), Handled::default(), Duration::from_secs(1));
    let slow = Post::signed("its handler outlives the server");
    let (status, ()) = tokio::join!(endpoint.status(&slow), async {
        let began = Instant::now();
        // Wait for the keys of the claim and of the quota.
        while server.ask::<u64>(&["DBSIZE"]) < 2 {
            assert!(began.elapsed() < RETURN, "the handler does not run");
            sleep(PAUSE).await;
        }
        assert_eq!(endpoint.status(&Post::signed("over quota")).await, StatusCode::TOO_MANY_REQUESTS);
        server.kill();
    });
    assert_eq!(status, StatusCode::OK);
    assert!(reports.has("failed Replay"), "the commit was not reported as failed");
    assert_eq!(endpoint.status(&Post::signed("over quota still")).await, StatusCode::TOO_MANY_REQUESTS);
    assert!(!reports.has("recovered"), "{:?}", reports.all());
}

/// During an outage every refused request releases its claim, whether or not the claim arrived.
pub(crate) async fn many_pending_releases_delay_no_request() {
    let mut server = Server::durable();
    let store = server.patient_store().connect().await.unwrap();
    let keys = [ReplayKey::from_bytes([1; 16])];
    let (handled, now) = delivery(&keys);
    assert_eq!(store.claim(handled, Claimant::new(1), LEASE, now).await.unwrap(), Claim::Granted);
    server.kill();
    for number in 0..70_000_u64 {
        let mut bytes = [2; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let keys = [ReplayKey::from_bytes(bytes)];
        assert_outage(store.release(delivery(&keys).0, Claimant::new(2), now).await);
    }
    assert_outage(store.commit(handled, Claimant::new(1), now).await);
    server.run();
    assert_eq!(first_answer(&store, handled, now).await, Claim::Finished);
}

pub(crate) async fn refused_settlement_blocks_no_later_delivery() {
    let mut server = Server::durable();
    let store = server.patient_store().connect().await.unwrap();
    let [done, finished, new] = [1, 2, 3].map(|number| [ReplayKey::from_bytes([number; 16])]);
    let (done, now) = delivery(&done);
    let (finished, _) = delivery(&finished);
    for delivery in [done, finished] {
        assert_eq!(store.claim(delivery, Claimant::new(1), LEASE, now).await.unwrap(), Claim::Granted);
    }
    assert!(store.commit(finished, Claimant::new(1), now).await.unwrap());
    server.kill();
    assert_outage(store.commit(done, Claimant::new(1), now).await);
    server.add_settings(&["--maxmemory", "1"]);
    server.run();
    // The server is full: it accepts no commit and no new delivery, but still has its entries.
    assert_eq!(first_answer(&store, finished, now).await, Claim::Finished);
    let error = store.claim(delivery(&new).0, Claimant::new(3), LEASE, now).await.unwrap_err();
    assert_eq!(error.to_string(), "redis refused with OOM");
    let () = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let began = Instant::now();
    while store.claim(done, Claimant::new(4), LEASE, now).await.unwrap() != Claim::Finished {
        assert!(began.elapsed() < RETURN, "the commit was not repeated");
        sleep(PAUSE).await;
    }
}

/// How many scripts the server has run.
pub(crate) fn scripts_run(server: &Server) -> u64 {
    let statistics: String = server.ask(&["INFO", "commandstats"]);
    let lines = statistics.lines().filter_map(|line| line.strip_prefix("cmdstat_eval"));
    lines.filter_map(|line| line.split_once("calls=")?.1.split_once(',')?.0.parse::<u64>().ok()).sum()
}

/// Asserts that a call failed because the server is down.
#[track_caller]
fn assert_outage(result: Result<bool, StoreError>) {
    let error = result.unwrap_err().to_string();
    let is_outage = ["redis is down", "redis refused the connection", "the connection to redis failed"]
        .iter()
        .any(|outage| error.starts_with(outage));
    assert!(is_outage || error.starts_with("redis did not answer"), "{error}");
}

/// A delivery that is stored for a minute, and the current time.
fn delivery(keys: &[ReplayKey]) -> (Delivery<'_>, ClockReading) {
    let now = SystemClock::default().now();
    let until = Timestamp::from_unix(now.wall.as_unix() + 60);
    (Delivery { webhook_id: "acme", keys, until, id: None }, now)
}

/// Claims until the server answers, and asserts that this happens in time.
async fn first_answer(store: &RedisStore, delivery: Delivery<'_>, now: ClockReading) -> Claim {
    let began = Instant::now();
    loop {
        let claim = store.claim(delivery, Claimant::new(98), LEASE, now).await;
        assert!(began.elapsed() < RETURN, "{claim:?}");
        if let Ok(claim) = claim {
            return claim;
        }
        sleep(PAUSE).await;
    }
}

async fn free_again(store: &RedisStore, delivery: Delivery<'_>, now: ClockReading) {
    let began = Instant::now();
    while store.claim(delivery, Claimant::new(99), LEASE, now).await.unwrap() != Claim::Granted {
        assert!(began.elapsed() < RETURN, "the claim is still held");
        sleep(PAUSE).await;
    }
}

/// The store's timeout: short for the tests, and longer than a normal answer takes.
const TIMEOUT: Duration = Duration::from_millis(500);

const LEASE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

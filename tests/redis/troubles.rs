//! Troubles of a network, and of a server that answers with refusals.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::clock::{Clock as _, ClockReading, SystemClock};
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore as _};
use hookwarden::shared_store::{AdmitOutcome, SharedStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::{Quota, Timestamp};
use tokio::time::sleep;

use crate::endpoint::{Endpoint, Handled, RETURN, Signed, Told, builder, quotas};
use crate::server::{Server, patient_store};
use crate::wire::Wire;

pub(crate) async fn replica_is_left() {
    let (old, new) = (Server::start(), Server::start());
    let wire = Wire::to(old.port()).await;
    let store = patient_store(wire.url()).connect().await.unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store));
    assert_eq!(endpoint.status(&Signed::new("before")).await, StatusCode::OK);
    // Its primary does not answer, so that it has nothing to load and goes on answering all but writes.
    let () = old.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    wire.lead_to(new.port());
    endpoint.recovers().await;
    assert_eq!(endpoint.handled(), 2);
}

pub(crate) async fn lost_answer() {
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

pub(crate) async fn late_claim() {
    let server = Server::start();
    let wire = Wire::to(server.port()).await;
    for (number, eager) in [(1, true), (2, false)] {
        let builder = RedisStore::builder(wire.url()).timeout(TIMEOUT);
        let store = if eager { builder.connect().await.unwrap() } else { builder.connect_later().unwrap() };
        let keys = [ReplayKey::from_bytes([number; 16])];
        let (delivery, now) = delivery(&keys);
        if !eager {
            // Any call connects.
            assert!(!store.release(delivery, Claimant::new(9), now).await.unwrap());
        }
        wire.hold();
        assert!(store.claim(delivery, Claimant::new(1), LEASE, now).await.is_err(), "nobody answers");
        // The store has gone on to a new connection and given the claim back before it is made.
        let began = Instant::now();
        while store.release(delivery, Claimant::new(9), now).await.is_err() {
            assert!(began.elapsed() < RETURN, "no new connection");
            sleep(PAUSE).await;
        }
        wire.let_go();
        sleep(PAUSE * 10).await;
        let claim = store.claim(delivery, Claimant::new(2), LEASE, now).await.unwrap();
        assert_eq!(claim, Claim::Granted, "eager: {eager}");
    }
}

pub(crate) async fn denial_is_no_sign_of_life() {
    let mut server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let told = Told::default();
    let warden =
        builder().shared_store(store).quotas(quotas().accepted(Quota::new(1, Duration::from_secs(3_600)).unwrap()));
    let endpoint = Endpoint::sharing(warden.observer(told.clone()), Handled::default(), Duration::from_secs(1));
    let slow = Signed::new("its handler outlives the server");
    let (status, ()) = tokio::join!(endpoint.status(&slow), async {
        sleep(PAUSE * 10).await;
        assert_eq!(endpoint.status(&Signed::new("over quota")).await, StatusCode::TOO_MANY_REQUESTS);
        server.kill();
    });
    assert_eq!(status, StatusCode::OK);
    assert!(told.has("failed Replay"), "the commit could not be told");
    assert_eq!(endpoint.status(&Signed::new("over quota still")).await, StatusCode::TOO_MANY_REQUESTS);
    assert!(!told.has("recovered"), "{:?}", told.all());
}

/// During an outage every refused request gives its claim back, whether it was made or not.
pub(crate) async fn many_releases() {
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
        assert!(store.release(delivery(&keys).0, Claimant::new(2), now).await.is_err());
    }
    assert!(store.commit(handled, Claimant::new(1), now).await.is_err());
    server.run();
    assert_eq!(first_answer(&store, handled, now).await, Claim::Finished);
}

pub(crate) async fn refused_settlement() {
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
    assert!(store.commit(done, Claimant::new(1), now).await.is_err());
    server.add_settings(&["--maxmemory", "1"]);
    server.run();
    // It is full: it takes no commit and no new delivery, but it knows those it has.
    assert_eq!(first_answer(&store, finished, now).await, Claim::Finished);
    let error = store.claim(delivery(&new).0, Claimant::new(3), LEASE, now).await.unwrap_err();
    assert_eq!(error.to_string(), "redis refused with OOM");
    let () = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let began = Instant::now();
    while store.claim(done, Claimant::new(4), LEASE, now).await.unwrap() != Claim::Finished {
        assert!(began.elapsed() < RETURN, "the commit was not made up for");
        sleep(PAUSE).await;
    }
}

/// A delivery that is remembered for a minute, and the present moment.
fn delivery(keys: &[ReplayKey]) -> (Delivery<'_>, ClockReading) {
    let now = SystemClock::default().now();
    let until = Timestamp::from_unix(now.wall.as_unix() + 60);
    (Delivery { webhook_id: "acme", keys, until }, now)
}

/// What a claim finds as soon as the server answers, which it must in time.
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

/// How long an answer that is held back is waited for: short for the tests, and longer than others take.
const TIMEOUT: Duration = Duration::from_millis(500);

const LEASE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

//! What the server is asked, and what it keeps.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::warden::{BodyLimits, Replay};
use hookwarden::{Quota, Tolerance};

use crate::endpoint::{Endpoint, Signed, assert_retry_after, builder, quotas};
use crate::server::Server;

pub(crate) async fn round_trips_are_counted() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    // Long enough that none comes back while the test runs.
    let quota = Quota::new(20, Duration::from_secs(3_600)).unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store).quotas(quotas().accepted(quota)));
    let deliveries: Vec<_> = (0..21).map(|number| Signed::new(format!("{number}"))).collect();
    let () = server.ask(&["CONFIG", "RESETSTAT"]);

    let began = Instant::now();
    for delivery in &deliveries[..20] {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
    assert_eq!((server.calls("evalsha"), endpoint.handled()), (40, 20), "two for each accepted request");
    for delivery in &deliveries[..10] {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
    assert_eq!((server.calls("evalsha"), endpoint.handled()), (50, 20), "one for each replay");
    assert_eq!(endpoint.status(&deliveries[20]).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(server.calls("evalsha"), 51, "one for the denial that is not known yet");
    for _ in 0..500 {
        let response = endpoint.send(&deliveries[20]).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_retry_after(&response, 3_600, began);
    }
    assert_eq!(server.calls("evalsha"), 51, "none for a remembered denial");
    let others = ["eval", "script|load"].map(|command| server.calls(command));
    assert_eq!(others, [0, 0]);
    // What scripts call is counted as well. Of the 31 first ones each tries to claim, and 10 look who holds the claim; 21
    // count at the quota, all but the very first of them with a second call as it was not whole; one gives its claim back.
    // The 20 second ones write that the delivery is finished.
    assert_eq!(["set", "get", "psetex", "del"].map(|command| server.calls(command)), [72, 11, 20, 1]);
}

pub(crate) async fn no_key_outlives_its_use() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let quota = Quota::new(5, Duration::from_millis(300)).unwrap();
    let second = Duration::from_secs(1);
    let warden = builder().shared_store(store).quotas(quotas().accepted(quota));
    let warden = warden.tolerance(Tolerance::new(second).unwrap()).replay(Replay::new().margin(second));
    let endpoint = Endpoint::new(warden.body(BodyLimits::new().deadline(second)));
    let mut accepted = 0;
    for number in 0..8 {
        accepted += u32::from(endpoint.status(&Signed::new(format!("{number}"))).await.is_success());
    }
    assert!(accepted >= 5);
    let mut connection = server.connection();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert_eq!(
        keys.len(),
        usize::try_from(accepted).unwrap() + 1,
        "one for each delivery and one for the quota: {keys:?}"
    );
    for key in &keys {
        let lives: i64 = redis::cmd("PTTL").arg(key).query(&mut connection).unwrap();
        // Tolerance, margin, the body's deadline and the last second of each.
        let most = if key.contains(":q:") { 1_500 } else { 6_000 };
        assert!((1..=most).contains(&lives), "{key} lives {lives} ms");
    }
    let began = Instant::now();
    while server.ask::<u64>(&["DBSIZE"]) > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "keys are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The times are those of the documentation.
pub(crate) async fn lifetimes_by_default() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store));
    for number in 0..100 {
        assert_eq!(endpoint.status(&Signed::new(format!("{number}"))).await, StatusCode::OK);
    }
    for key in server.ask::<Vec<String>>(&["KEYS", "*"]) {
        let lives: i64 = server.ask(&["PTTL", &key]);
        let expected = if key.contains(":q:") { 50_000..=60_000 } else { 311_000..=322_000 };
        assert!(expected.contains(&lives), "{key} lives {lives} ms");
    }
}

pub(crate) async fn keys_are_in_one_slot() {
    let server = Server::start();
    let store = server.patient_store().prefix("shop:eu").connect().await.unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store));
    for number in 0..3 {
        assert_eq!(endpoint.status(&Signed::new(format!("{number}"))).await, StatusCode::OK);
    }
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| key.starts_with("shop:eu:{")), "{keys:?}");
    let tags: HashSet<_> = keys.iter().map(|key| key.split(['{', '}']).nth(1).unwrap()).collect();
    assert_eq!(tags.len(), 1, "{keys:?}");
}

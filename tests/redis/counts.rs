//! The server's calls and keys.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::clock::{Clock as _, SystemClock};
use hookwarden::replay::ReplayStore as _;
use hookwarden::verifier::ReplayKey;
use hookwarden::warden::{BodyLimits, Replay};
use hookwarden::{Quota, Scheme, Tolerance, Warden};

use crate::endpoint::{Endpoint, Handled, assert_retry_after, builder, quotas};
use crate::harness::redis_server::Server;
use crate::harness::sender::{Post, now};

pub(crate) async fn accepted_request_costs_two_scripts() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    // The period is so long that the quota does not refill during the test.
    let quota = Quota::new(20, Duration::from_secs(3_600)).unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store).quotas(quotas().accepted(quota)));
    let deliveries: Vec<_> = (0..21).map(|number| Post::signed(format!("{number}"))).collect();
    let () = server.ask(&["CONFIG", "RESETSTAT"]);

    let began = Instant::now();
    for delivery in &deliveries[..20] {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
    assert_eq!((server.calls("evalsha"), endpoint.handled()), (40, 20), "two for each accepted request");
    for delivery in &deliveries[..10] {
        assert_eq!(endpoint.status(delivery).await, StatusCode::OK);
    }
    assert_eq!((server.calls("evalsha"), endpoint.handled()), (50, 20), "one for each duplicate");
    assert_eq!(endpoint.status(&deliveries[20]).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(server.calls("evalsha"), 51, "one for the first denial");
    for _ in 0..500 {
        let response = endpoint.send(&deliveries[20]).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_retry_after(&response, 3_600, began);
    }
    assert_eq!(server.calls("evalsha"), 51, "none for a cached denial");
    let others = ["eval", "script|load"].map(|command| server.calls(command));
    assert_eq!(others, [0, 0]);
    // Calls within scripts count too. Each of the 31 first scripts tries to claim, and 10 read the claim's holder; 21 count
    // at the quota, all but the first with a second call because it was not full; one releases its claim. The 20 second
    // scripts mark the delivery as finished.
    assert_eq!(["set", "get", "psetex", "del"].map(|command| server.calls(command)), [72, 10, 20, 1]);
}

pub(crate) async fn every_replay_choice_distinguishes_equal_bodies() {
    let server = Server::start();
    let hour = Duration::from_secs(3_600);
    let choices = [
        ("a", Replay::new().lifetime(hour), [1, 1, 1, 1]),
        ("b", Replay::new().danger_simultaneous_only(), [1, 2, 3, 4]),
        ("c", Replay::new().lifetime(hour).danger_unsigned_id_header("X-Id"), [1, 2, 2, 3]),
    ];
    for (prefix, replay, handled) in choices {
        let store = server.patient_store().prefix(prefix).connect().await.unwrap();
        let warden = Warden::builder(Scheme::github()).quotas(quotas()).shared_store(store).replay(replay);
        let endpoint = Endpoint::new(warden);
        // Send two ids, then the second one again, then no id.
        for (id, handled) in [Some("1"), Some("2"), Some("2"), None].into_iter().zip(handled) {
            let mut delivery = Post::under(Scheme::github(), "a body");
            delivery.headers.extend(id.map(|id| ("X-Id".to_owned(), id.into())));
            assert_eq!(endpoint.status(&delivery).await, StatusCode::OK);
            assert_eq!(endpoint.handled(), handled, "{prefix} {id:?}");
        }
    }
    // Send two copies: the second is refused while the first is handled.
    let store = server.patient_store().prefix("d").connect().await.unwrap();
    let replay = Replay::new().danger_simultaneous_only();
    let warden = Warden::builder(Scheme::github()).quotas(quotas()).shared_store(store).replay(replay);
    let endpoint = Endpoint::sharing(warden, Handled::default(), Duration::from_millis(300));
    let delivery = Post::under(Scheme::github(), "a body");
    let (first, second) = tokio::join!(endpoint.status(&delivery), endpoint.status(&delivery));
    let mut statuses = [first.as_u16(), second.as_u16()];
    statuses.sort_unstable();
    assert_eq!((statuses, endpoint.handled()), ([200, 409], 1));
    assert_eq!(endpoint.status(&delivery).await, StatusCode::OK);
    assert_eq!(endpoint.handled(), 2);
}

pub(crate) async fn every_key_expires_after_its_use() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let quota = Quota::new(5, Duration::from_millis(300)).unwrap();
    let second = Duration::from_secs(1);
    let warden = builder().shared_store(store).quotas(quotas().accepted(quota));
    let warden = warden.tolerance(Tolerance::new(second).unwrap()).replay(Replay::new().margin(second));
    let endpoint = Endpoint::new(warden.body(BodyLimits::new().deadline(second)));
    let mut accepted = 0;
    for number in 0..8 {
        accepted += u32::from(endpoint.status(&Post::signed(format!("{number}"))).await.is_success());
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
        // The quota's key expires after its window. A delivery's key expires after tolerance, margin and body deadline,
        // each of which includes one more second.
        let most = if key.contains(":q:") { 1_500 } else { 6_000 };
        assert!((1..=most).contains(&lives), "{key} lives {lives} ms");
    }
    let began = Instant::now();
    while server.ask::<u64>(&["DBSIZE"]) > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "keys are left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The keys must expire after the documented times.
pub(crate) async fn lifetimes_by_default_are_as_documented() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store));
    for number in 0..100 {
        assert_eq!(endpoint.status(&Post::signed(format!("{number}"))).await, StatusCode::OK);
    }
    for key in server.ask::<Vec<String>>(&["KEYS", "*"]) {
        let lives: i64 = server.ask(&["PTTL", &key]);
        let expected = if key.contains(":q:") { 50_000..=60_000 } else { 311_000..=322_000 };
        assert!(expected.contains(&lives), "{key} lives {lives} ms");
    }
}

pub(crate) async fn keys_of_one_request_share_a_slot() {
    let server = Server::start();
    let store = server.patient_store().prefix("shop:eu").connect().await.unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store));
    for number in 0..3 {
        assert_eq!(endpoint.status(&Post::signed(format!("{number}"))).await, StatusCode::OK);
    }
    let keys: Vec<String> = server.ask(&["KEYS", "*"]);
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| key.starts_with("shop:eu:{")), "{keys:?}");
    let tags: HashSet<_> = keys.iter().map(|key| key.split(['{', '}']).nth(1).unwrap()).collect();
    assert_eq!(tags.len(), 1, "{keys:?}");
}

pub(crate) async fn retry_signed_again_is_known_to_every_replica() {
    let server = Server::start();
    let store = server.patient_store().connect().await.unwrap();
    let scheme = Scheme::timestamped().into_builder().delivery_id_in_body("/id").build().unwrap();
    let handled = Handled::default();
    let replicas = [(); 2].map(|()| {
        let warden = Warden::builder(scheme.clone()).quotas(quotas()).shared_store(store.clone());
        Endpoint::sharing(warden.replay(Replay::new().body_delivery_id()), handled.clone(), Duration::ZERO)
    });
    for age in [2, 1, 0] {
        for replica in &replicas {
            let post = Post::signed_at(r#"{"id":"evt_1"}"#, now(-age));
            assert_eq!(replica.status(&post).await, StatusCode::OK, "{age}");
        }
    }
    assert_eq!(replicas[0].handled(), 1);
    let names: Vec<String> = server.ask(&["KEYS", "*:i:*"]);
    let [name] = &names[..] else { panic!("not exactly one id: {names:?}") };
    let millis: i64 = server.ask(&["PTTL", name]);
    assert!((259_190_000..=259_201_000).contains(&millis), "{millis} ms are not three days");

    let key = ReplayKey::of_delivery_id("evt_1");
    assert!(store.forget("acme", key, SystemClock::default().now()).await.unwrap());
    assert_eq!(replicas[1].status(&Post::signed_at(r#"{"id":"evt_1"}"#, now(-3))).await, StatusCode::OK);
    assert_eq!(replicas[0].handled(), 2, "a resend after `forget`");
}

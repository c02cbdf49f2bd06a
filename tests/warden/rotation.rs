//! Key rotation under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use hookwarden::axum::WardenLayer;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::keys::StaticKeys;
use hookwarden::{Key, Keyring, Reason, Scheme, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::harness::PATIENCE;
use crate::harness::events::events;
use crate::harness::receiver::Receiver;
use crate::harness::sender::{ID, PATH, Post, SECRET, now, signer, unlimited};

/// How often the keys are replaced.
const EVERY: Duration = Duration::from_millis(20);

/// A keyring of the keys `ids`. The key `kept` has the sender's secret, each other its own.
fn keys(ids: &[&str]) -> Keyring {
    let key = |id: &&str| {
        let secret = if *id == "kept" { SECRET.to_owned() } else { format!("the-secret-of-the-key-{id}") };
        Key::new(id, Scheme::timestamped().secret(&secret).expect("a secret")).expect("a key")
    };
    Keyring::from_keys(ids.iter().map(key)).expect("a keyring")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_refuses_only_the_removed_key() {
    let (observer, events) = events();
    let store = StaticKeys::new(&Scheme::timestamped(), [(ID, keys(&["kept"]))]).unwrap();
    let warden = unlimited().keys(store.clone()).observer(observer).build().unwrap();
    let router = Router::new().route("/webhooks/{id}", post(async || ()).layer(WardenLayer::new(warden.clone())));
    let receiver = Receiver::axum(router).await;

    let (over, end) = watch::channel(false);
    let sent = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..4 {
        let mut connection = receiver.connect().await;
        let (sent, end) = (sent.clone(), end.clone());
        senders.spawn(async move {
            let mut accepted = 0_usize;
            while !*end.borrow() {
                let answer = connection.exchange(&Post::signed("x").sized()).await;
                assert_eq!(answer.map(|answer| answer.status), Some(200), "after {accepted}");
                accepted = accepted.saturating_add(1);
                sent.fetch_add(1, Ordering::Relaxed);
            }
            (accepted, connection)
        });
    }

    let begin = Instant::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let rings = [&["new", "kept", "old"][..], &["kept", "old"], &["newer", "new", "kept"], &["kept"]];
    for (turn, ring) in rings.into_iter().cycle().enumerate() {
        ticks.tick().await;
        store.replace([(ID, keys(ring))]).unwrap();
        if ring == ["kept"] && turn > 100 && sent.load(Ordering::Relaxed) > 1_000 {
            break;
        }
        assert!(begin.elapsed() < PATIENCE * 3, "{turn} turns");
    }
    over.send(true).unwrap();

    let mut total = 0;
    let mut connections = Vec::new();
    while let Some(sender) = senders.join_next().await {
        let (accepted, connection) = sender.unwrap();
        total += accepted;
        connections.push(connection);
    }
    assert!(total > 1_000, "{total} requests");

    store.replace([(ID, keys(&["new"]))]).unwrap();
    for connection in &mut connections {
        assert_eq!(connection.exchange(&Post::signed("x").sized()).await.unwrap().status, 401);
    }
    store.replace([("other", keys(&["new"]))]).unwrap();
    for connection in &mut connections {
        assert_eq!(connection.exchange(&Post::signed("x").sized()).await.unwrap().status, 401);
    }

    drop((receiver, connections, warden));
    let outcomes = events.outcomes().await;
    let count = |wanted: Outcome| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    assert_eq!(count(Outcome::Accepted), total);
    assert_eq!(count(Outcome::Refused(RefusalReason::Unverified(Reason::Mismatch))), 4);
    assert_eq!(count(Outcome::Refused(RefusalReason::UnknownId)), 4);
    assert_eq!(outcomes.len(), total + 8);
}

/// With the system's clock and on an open connection: no restart and no reload is needed.
#[tokio::test]
async fn expired_key_is_refused_within_a_second() {
    let last = now(2);
    let scheme = Scheme::timestamped();
    let old = Key::new("old", scheme.secret(SECRET).unwrap()).unwrap().not_after(last);
    let new = Key::new("new", scheme.secret("the-secret-after-it").unwrap()).unwrap();
    let warden = unlimited().sender(ID, Keyring::from_keys([new, old]).unwrap()).build().unwrap();
    let router = Router::new().route("/webhooks/{id}", post(async || ()).layer(WardenLayer::new(warden)));
    let receiver = Receiver::axum(router).await;
    let (mut old, mut new) = (receiver.connect().await, receiver.connect().await);
    let by_new = signer(scheme, "the-secret-after-it");

    let mut accepted = 0;
    loop {
        let before = now(0);
        let status = old.exchange(&Post::signed("x").sized()).await.unwrap().status;
        let after = now(0);
        let request = Post::signed_by(&by_new, PATH, &[], "x", now(0)).sized();
        assert_eq!(new.exchange(&request).await.unwrap().status, 200);
        match status {
            200 => assert!(before <= last, "{before:?} is past {last:?}"),
            _ => {
                assert_eq!(status, 401);
                assert!(after > last, "{after:?} is not past {last:?}");
                // The first refusal comes at most one second after the last valid second.
                assert!(
                    after <= Timestamp::from_unix(last.as_unix() + 1),
                    "{after:?} is more than a second past {last:?}"
                );
                break;
            }
        }
        accepted += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(accepted > 10, "{accepted} requests");
}

#[tokio::test]
async fn impossible_keys_leave_the_present_ones() {
    let store = StaticKeys::new(&Scheme::timestamped(), [(ID, keys(&["kept"]))]).unwrap();
    let warden = unlimited().keys(store.clone()).build().unwrap();
    let router = Router::new().route("/webhooks/{id}", post(async || ()).layer(WardenLayer::new(warden.clone())));
    let receiver = Receiver::axum(router).await;
    let none = store.replace(Vec::<(&str, Keyring)>::new()).unwrap_err();
    let shared = store.replace([("a", keys(&["new"])), ("b", keys(&["new"]))]).unwrap_err();
    assert_eq!([none.field(), shared.field()], ["senders", "senders"]);
    assert_eq!(receiver.connect().await.exchange(&Post::signed("x").sized()).await.unwrap().status, 200);
}

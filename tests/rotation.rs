//! Keys that are replaced while requests come in.

mod util;

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use hookwarden::axum::WardenLayer;
use hookwarden::{Key, Keyring, Outcome, Reason, Scheme};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use util::events::events;
use util::receiver::Receiver;
use util::sender::{ID, Post, SECRET, warden};

/// A keyring of the keys `ids`, each with a secret of its own but for the one of the tests' sender.
fn keys(ids: &[&str]) -> Keyring {
    let key = |id: &&str| {
        let secret = if *id == "kept" { SECRET.to_owned() } else { format!("the-secret-of-the-key-{id}") };
        Key::new(id, Scheme::timestamped().secret(&secret).expect("a secret")).expect("a key")
    };
    Keyring::from_keys(ids.iter().map(key)).expect("a keyring")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_that_stays_is_never_refused_and_one_that_goes_is_refused_at_once() {
    let (observer, events) = events();
    let warden = warden().observer(observer).build().unwrap();
    let router = Router::new().route("/webhooks/{id}", post(async || ()).layer(WardenLayer::new(warden.clone())));
    let receiver = Receiver::axum(router).await;

    let (over, end) = watch::channel(false);
    let mut senders = JoinSet::new();
    for _ in 0..4 {
        let mut connection = receiver.connect().await;
        let end = end.clone();
        senders.spawn(async move {
            let mut accepted = 0_usize;
            while !*end.borrow() {
                let answer = connection.exchange(&Post::signed("x").sized()).await;
                assert_eq!(answer.map(|answer| answer.status), Some(200), "after {accepted}");
                accepted = accepted.saturating_add(1);
            }
            (accepted, connection)
        });
    }

    let mut ticks = interval(Duration::from_millis(5));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let rings = [&["new", "kept", "old"][..], &["kept", "old"], &["newer", "new", "kept"], &["kept"]];
    for ring in rings.into_iter().cycle().take(400) {
        ticks.tick().await;
        warden.replace_senders([(ID, keys(ring))]).unwrap();
    }
    over.send(true).unwrap();

    let mut total = 0;
    let mut connections = Vec::new();
    while let Some(sender) = senders.join_next().await {
        let (accepted, connection) = sender.unwrap();
        total += accepted;
        connections.push(connection);
    }
    assert!(total > 100, "{total} requests");

    warden.replace_senders([(ID, keys(&["new"]))]).unwrap();
    for connection in &mut connections {
        assert_eq!(connection.exchange(&Post::signed("x").sized()).await.unwrap().status, 401);
    }
    warden.replace_senders([("other", keys(&["new"]))]).unwrap();
    for connection in &mut connections {
        assert_eq!(connection.exchange(&Post::signed("x").sized()).await.unwrap().status, 401);
    }

    drop((receiver, connections, warden));
    let outcomes = events.outcomes().await;
    let count = |wanted: Outcome| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    assert_eq!(count(Outcome::Accepted), total);
    assert_eq!(count(Outcome::Refused(Reason::Mismatch)), 4);
    assert_eq!(count(Outcome::Refused(Reason::UnknownId)), 4);
    assert_eq!(outcomes.len(), total + 8);
}

#[tokio::test]
async fn keys_that_cannot_be_right_leave_the_present_ones() {
    let warden = warden().build().unwrap();
    let router = Router::new().route("/webhooks/{id}", post(async || ()).layer(WardenLayer::new(warden.clone())));
    let receiver = Receiver::axum(router).await;
    assert!(warden.replace_senders(Vec::<(&str, Keyring)>::new()).is_err());
    assert!(warden.replace_senders([("a", keys(&["new"])), ("b", keys(&["new"]))]).is_err());
    assert_eq!(receiver.connect().await.exchange(&Post::signed("x").sized()).await.unwrap().status, 200);
}

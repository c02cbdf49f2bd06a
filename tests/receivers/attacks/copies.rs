//! Many simultaneous copies of one delivery, to one process and to two.

use std::time::Duration;

use futures_util::future::join_all;
use hookwarden::Scheme;

use super::process::{Receiver, attack};
use super::receiver::{Framework, HANDLER, Settings, secret};
use crate::harness::redis_server::Server;
use crate::harness::sender::{PATH, Post, now, signer};

/// Sends a thousand copies of one delivery over many connections, several on each before the first answer. The handler
/// must run for one of them, and the others must be answered as duplicates.
async fn send_copies(receivers: &[&Receiver], name: &str) {
    const CONNECTIONS: usize = 200;
    const EACH: usize = 5;
    let post = Post::signed(name).with(HANDLER, "slow");
    let bytes = post.sized().repeat(EACH);
    let connections = (0..CONNECTIONS).map(|number| receivers[number % receivers.len()].connect());
    let mut connections = join_all(connections).await;
    let senders = connections.iter_mut().map(async |connection| {
        connection.send(&bytes).await;
        let mut statuses = Vec::new();
        for _ in 0..EACH {
            statuses.push(connection.answer().await.expect("an answer").status);
        }
        statuses
    });
    let statuses = join_all(senders).await.concat();
    let count = |status: u16| statuses.iter().filter(|other| **other == status).count();
    println!("{name}: {} answers 200 and {} answers 409", count(200), count(409));
    assert_eq!(count(200) + count(409), CONNECTIONS * EACH, "{name}");
    assert!(count(409) > 0, "{name}: no copy arrived while the handler ran");
    let mut runs = 0;
    for receiver in receivers {
        runs += receiver.ran().await.get(&format!("200 {name}")).copied().unwrap_or_default();
        assert_eq!(receiver.status(&post).await, 200, "{name}: a late copy");
        runs += receiver.ran().await.get(&format!("200 {name}")).copied().unwrap_or_default();
    }
    // Each run is counted twice: before and after the late copy.
    assert_eq!(runs, 2, "{name}");
}

pub(crate) async fn thousand_copies_are_handled_once() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            send_copies(&[receiver], "to one process").await;
        },
    )
    .await;
}

pub(crate) async fn thousand_copies_are_handled_once_over_shared_redis() {
    let server = Server::start();
    let start = async |framework| {
        let redis = Some((server.url(), Duration::from_secs(5)));
        Receiver::start(&Settings { redis, ..Settings::of(framework) }).await
    };
    let [axum, actix, other] =
        [start(Framework::Axum).await, start(Framework::Actix).await, start(Framework::Axum).await];
    let receivers = [&axum, &actix, &other];
    let before = join_all(receivers.map(Receiver::footprint)).await;
    send_copies(&[&axum, &actix], "to two processes").await;
    send_copies(&[&axum, &other], "to two processes on axum").await;
    for (receiver, before) in receivers.into_iter().zip(&before) {
        receiver.assert_unharmed(before).await;
    }
}

/// During a rotation a delivery has a signature by each key, and anyone who copied it may replay it with only one.
pub(crate) async fn copy_with_another_valid_signature_is_a_duplicate() {
    const NAME: &str = "Stripe-Signature";
    let settings = |settings| Settings { is_stripe: true, ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        receiver.control("turn", 1).await;
        let stamp = now(0);
        let by = |turn| Post::signed_by(&signer(Scheme::stripe(), &secret(turn)), PATH, &[], "order", stamp);
        let (old, new) = (by(0), by(1));
        let text = |post: &Post| String::from_utf8(post.value(NAME)).unwrap();
        let signature = text(&old).split_once("v1=").unwrap().1.to_owned();
        let both = new.clone().replacing(NAME, format!("{},v1={signature}", text(&new)));
        let shouted = old.clone().replacing(NAME, text(&old).replace(&signature, &signature.to_uppercase()));
        receiver.demand("the old signature", &old.sized(), 200).await;
        for (what, copy) in [("the new signature", new), ("both", both), ("upper case", shouted), ("the same", old)] {
            // A handler that ran would be counted.
            receiver.demand(what, &copy.with(HANDLER, "500").sized(), 200).await;
        }
        assert_eq!(receiver.ran().await.values().sum::<u32>(), 1, "{:?}", receiver.framework);
    })
    .await;
}

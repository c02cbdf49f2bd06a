//! What happens to a receiver in operation: keys turn over, clocks are set, handlers fail.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hookwarden::Scheme;
use tokio::time::sleep;

use crate::process::attack;
use crate::receiver::{Framework, HANDLER, SLOW, Settings, secret};
use crate::util::PATIENCE;
use crate::util::sender::{PATH, Post, now, signer};

/// The sender's side follows the receiver's: it signs with the new secret once the receiver has it, and what it sent
/// before that is still to be accepted.
pub(crate) async fn keys_that_turn_over_under_load_refuse_no_good_delivery() {
    const TURNS: u32 = 60;
    const SENDERS: u32 = 8;
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            let (turn, running) = (AtomicU32::new(0), AtomicBool::new(true));
            // A turn waits until no delivery is under way that was signed two turns before.
            let rounds: Vec<AtomicU32> = (0..SENDERS).map(|_| AtomicU32::new(0)).collect();
            let senders = rounds.iter().enumerate().map(async |(number, round)| {
                let mut connection = receiver.connect().await;
                let mut sent = 0_u32;
                while running.load(Ordering::SeqCst) {
                    let signer = signer(Scheme::timestamped(), &secret(turn.load(Ordering::SeqCst)));
                    let post = Post::signed_by(&signer, PATH, &[], format!("{number}, {sent}"), now(0));
                    let answer = connection.exchange(&post.sized()).await.expect("an answer");
                    assert_eq!(answer.status, 200, "{:?}, turn {turn:?}", receiver.framework);
                    sent += 1;
                    round.store(sent, Ordering::SeqCst);
                }
                sent
            });
            let turning = async {
                for next in 1..=TURNS {
                    receiver.control("turn", next).await;
                    turn.store(next, Ordering::SeqCst);
                    for round in &rounds {
                        let before = round.load(Ordering::SeqCst);
                        while round.load(Ordering::SeqCst) < before + 2 {
                            sleep(Duration::from_millis(1)).await;
                        }
                    }
                }
                running.store(false, Ordering::SeqCst);
            };
            let (sent, ()) = tokio::join!(join_all(senders), turning);
            let sent: u32 = sent.iter().sum();
            println!("{:?}: {sent} deliveries in {TURNS} turns", receiver.framework);
            let ran = receiver.ran().await;
            assert_eq!((ran.values().sum::<u32>(), ran.len()), (sent, usize::try_from(sent).unwrap()));
            // The secret before the last two is of no use any more.
            let old = signer(Scheme::timestamped(), &secret(TURNS - 2));
            receiver.demand("an old secret", &Post::signed_by(&old, PATH, &[], "old", now(0)).sized(), 401).await;
        },
    )
    .await;
}

pub(crate) async fn wall_clock_that_is_set_moves_freshness_and_no_quota() {
    let settings = |settings| Settings { quota: 5, ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        let first = Post::signed("first");
        receiver.demand("first", &first.sized(), 200).await;
        for step in [3_600, -3_600] {
            receiver.control("step", step).await;
            receiver.demand("fresh before the step", &first.sized(), 401).await;
            let name = format!("after {step}");
            receiver.demand("fresh after the step", &Post::signed_at(name, now(step)).sized(), 200).await;
        }
        receiver.control("step", 0).await;
        receiver.demand("a copy", &first.sized(), 200).await;
        receiver.demand("fourth", &Post::signed("fourth").sized(), 200).await;
        receiver.demand("fifth", &Post::signed("fifth").sized(), 200).await;
        for step in [0, 3_600, -3_600, 0] {
            receiver.control("step", step).await;
            // One in twelve seconds is what the quota gives back.
            let more = Post::signed_at(format!("more after {step}"), now(step));
            receiver.demand("over the quota", &more.sized(), 429).await;
        }
        let ran = receiver.ran().await;
        assert_eq!((ran.values().sum::<u32>(), ran.get("200 first")), (5, Some(&1)), "{ran:?}");
    })
    .await;
}

pub(crate) async fn delivery_whose_handler_failed_is_handled_by_the_retry() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            for how in ["500", "503", "404", "400", "302", "panic"] {
                let name = format!("order that met {how}");
                let post = Post::signed(name.clone());
                for _ in 0..2 {
                    let answer = receiver.exchange(&post.clone().with(HANDLER, how).sized()).await;
                    let status = answer.map(|answer| answer.status.to_string());
                    // Of a panic nobody is told but by the connection's end.
                    assert_eq!(status, (how != "panic").then(|| how.to_owned()), "{:?}", receiver.framework);
                }
                receiver.demand(how, &post.sized(), 200).await;
                receiver.demand("a copy", &post.with(HANDLER, "500").sized(), 200).await;
                let ran = receiver.ran().await;
                assert_eq!(ran.get(&format!("200 {name}")), Some(&1), "{:?}, {how}", receiver.framework);
            }
            for done in ["201", "204"] {
                let post = Post::signed(format!("order that met {done}"));
                receiver.demand(done, &post.clone().with(HANDLER, done).sized(), done.parse().unwrap()).await;
                receiver.demand("a copy", &post.with(HANDLER, "500").sized(), 200).await;
            }
            assert_eq!(receiver.ran().await.iter().filter(|(run, _)| run.starts_with("500 ")).count(), 1);
        },
    )
    .await;
}

/// hyper drops the handler of a client that has left, and then the retry is handled; actix-web lets it finish, and then the
/// retry is told that it is done. The order is handled once either way.
pub(crate) async fn delivery_whose_sender_left_is_handled_once_by_then_or_by_the_retry() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            let post = Post::signed("order");
            let mut connection = receiver.connect().await;
            connection.send(&post.clone().with(HANDLER, "slow").sized()).await;
            // It is being handled when its sender leaves.
            let began = Instant::now();
            while !receiver.ran().await.contains_key("into order") {
                assert!(began.elapsed() < PATIENCE, "{:?} handles nothing", receiver.framework);
                sleep(Duration::from_millis(5)).await;
            }
            drop(connection);
            let mut status = receiver.status(&post).await;
            for _ in 0..50 {
                if status == 200 {
                    break;
                }
                assert_eq!(status, 409, "{:?}", receiver.framework);
                sleep(SLOW / 10).await;
                status = receiver.status(&post).await;
            }
            assert_eq!(status, 200, "{:?}", receiver.framework);
            sleep(SLOW).await;
            assert_eq!(receiver.ran().await.get("200 order"), Some(&1), "{:?}", receiver.framework);
        },
    )
    .await;
}

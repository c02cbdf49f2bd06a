//! Key rotation, clock steps, failing handlers and disconnecting senders.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hookwarden::Scheme;
use tokio::time::{sleep, timeout};

use super::frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, fields, frame, reset};
use super::process::attack;
use super::receiver::{Framework, HANDLER, Settings, secret};
use crate::harness::PATIENCE;
use crate::harness::sender::{PATH, Post, now, signer};

/// The sender signs with the new secret once the receiver has it, and its earlier deliveries must still be accepted.
pub(crate) async fn key_rotation_under_load_refuses_no_delivery() {
    const TURNS: u32 = 60;
    const SENDERS: u32 = 8;
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            let (turn, running) = (AtomicU32::new(0), AtomicBool::new(true));
            // Before each turn, wait until no delivery that was signed two turns ago is in flight.
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
            // Only the last two secrets are valid.
            let old = signer(Scheme::timestamped(), &secret(TURNS - 2));
            receiver.demand("an old secret", &Post::signed_by(&old, PATH, &[], "old", now(0)).sized(), 401).await;
        },
    )
    .await;
}

pub(crate) async fn wall_clock_step_moves_freshness_not_quotas() {
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
            // The quota refills by one request in twelve seconds.
            let more = Post::signed_at(format!("more after {step}"), now(step));
            receiver.demand("over the quota", &more.sized(), 429).await;
        }
        let ran = receiver.ran().await;
        assert_eq!((ran.values().sum::<u32>(), ran.get("200 first")), (5, Some(&1)), "{ran:?}");
    })
    .await;
}

pub(crate) async fn failed_delivery_is_handled_on_retry() {
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
                    // After a panic only the connection ends.
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

/// Both servers drop a request when its client resets the connection. hyper also does when the client closes it or resets
/// the stream.
pub(crate) async fn delivery_of_departed_sender_is_settled_once() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            for how in ["reset", "closed", "stream reset"] {
                if how == "stream reset" && receiver.framework == Framework::Actix {
                    // Here actix-web speaks HTTP/1. It runs each HTTP/2 stream as a task.
                    continue;
                }
                let name = format!("order that was {how}");
                let post = Post::signed(name.clone());
                let slow = post.clone().with(HANDLER, "slow");
                let runs = async |what: &str| receiver.ran().await.get(&format!("{what} {name}")).copied();
                let began = Instant::now();
                // The handler runs when its sender disconnects.
                let until_it_runs = async {
                    while runs("into").await.is_none() {
                        assert!(began.elapsed() < PATIENCE, "{:?} handles nothing", receiver.framework);
                        sleep(Duration::from_millis(5)).await;
                    }
                };
                let mut frames = None;
                if how == "stream reset" {
                    let frames = frames.insert(Frames::open(receiver).await);
                    let head = frame(HEADERS, END_HEADERS, 1, &fields(&slow));
                    assert!(frames.send(&[head, frame(DATA, END_STREAM, 1, &slow.body)].concat()).await);
                    until_it_runs.await;
                    assert!(frames.send(&reset(1)).await);
                } else {
                    let mut connection = receiver.connect().await;
                    connection.send(&slow.sized()).await;
                    until_it_runs.await;
                    if how == "reset" { connection.reset() } else { drop(connection) }
                }
                let copy = post.clone().with(HANDLER, "500");
                while runs("200").await.is_none() {
                    assert!(began.elapsed() < PATIENCE, "{:?}, {how}: its work is cut off", receiver.framework);
                    // A copy must not run in parallel.
                    let status = receiver.status(&copy).await;
                    assert!([409, 200].contains(&status), "{:?}, {how}: a copy runs concurrently", receiver.framework);
                }
                assert_eq!(receiver.status(&copy).await, 200, "{:?}, {how}", receiver.framework);
                assert_eq!(runs("500").await, None, "{:?}, {how}: a copy ran", receiver.framework);
            }
        },
    )
    .await;
}

/// As many unverified requests as there are handler permits wait for their bodies.
pub(crate) async fn stalled_forgeries_take_no_handler_permit() {
    const TURNS: usize = 8;
    const DELIVERIES: usize = 60;
    let settings = |settings| Settings { concurrency: Some(TURNS), ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        // Returns the time of one of the faster deliveries, because the machine may be busy. Returns `None` if a
        // delivery waits.
        let timed = async |what: &str| {
            let mut times = Vec::new();
            let mut connection = receiver.connect().await;
            for number in 0..DELIVERIES {
                let post = Post::signed(format!("{what} {number}")).sized();
                let began = Instant::now();
                let answer = timeout(Duration::from_secs(2), connection.exchange(&post)).await.ok()??;
                assert_eq!(answer.status, 200, "{:?}, {what}", receiver.framework);
                times.push(began.elapsed());
            }
            times.sort_unstable();
            times.get(DELIVERIES / 4).copied()
        };
        timed("first").await;
        let quiet = timed("quiet").await.expect("an answer without other requests");
        let mut stalled = Vec::new();
        for number in 0..TURNS {
            let mut connection = receiver.connect().await;
            let path = if number % 2 == 0 { PATH } else { "/webhooks/unlisted" };
            let forged = Post::signed("").to(path).replacing("X-Webhook-Signature", "0".repeat(64));
            connection.send(&forged.head("Content-Length: 100\r\n")).await;
            stalled.push(connection);
        }
        // Once both workers answer this, they have read the earlier requests.
        receiver.ran().await;
        let beside = timed("beside").await;
        let beside = beside.unwrap_or_else(|| panic!("{:?}: a delivery waits for them", receiver.framework));
        println!("{:?}: {quiet:?} quiet, {beside:?} beside {TURNS} stalled", receiver.framework);
        assert!(beside < quiet * 5, "{:?}: {beside:?} instead of {quiet:?}", receiver.framework);
    })
    .await;
}

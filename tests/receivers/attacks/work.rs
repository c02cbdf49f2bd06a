//! Unverified requests that cost work or memory.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::process::attack;
use super::receiver::{Framework, Settings};
use crate::harness::PATIENCE;
use crate::harness::sender::Post;

/// Refused requests per minute.
const QUOTA: u32 = 20;

/// All requests are open before the first one is complete.
pub(crate) async fn simultaneous_forgeries_are_limited() {
    let settings = |settings| Settings { rejected_quota: Some(QUOTA), ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        let forged = Post::signed("genuine").carrying("forged!").sized();
        let (last, rest) = forged.split_last().unwrap();
        let mut connections = Vec::new();
        for _ in 0..200 {
            let mut connection = receiver.connect().await;
            connection.send(rest).await;
            connections.push(connection);
        }
        let last = std::slice::from_ref(last);
        let answers = join_all(connections.iter_mut().map(|connection| connection.exchange(last))).await;
        let verified = answers.iter().flatten().filter(|answer| answer.status == 401).count();
        assert!(verified <= 40, "{:?}: {verified} were verified", receiver.framework);
        assert!(answers.iter().flatten().all(|answer| [401, 429].contains(&answer.status)));
    })
    .await;
}

/// The size of the largest body in bytes.
const LARGE: usize = 64 * 1024;

pub(crate) async fn unverified_bodies_stay_within_their_budget() {
    let settings = |settings| Settings { body_limit: LARGE, bytes_in_flight: Some(2 * LARGE), ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        let stall = async |digit: u8| {
            let large = Post::signed(vec![digit; LARGE]).sized();
            let mut connection = receiver.connect().await;
            connection.send(&large[..large.len() - 1]).await;
            connection
        };
        let mut stalled = [(stall(b'0').await, b'0'), (stall(b'1').await, b'1')];
        let full = async {
            let began = Instant::now();
            loop {
                let other = Post::signed(format!("{:5000}", began.elapsed().as_nanos()));
                let answer = receiver.exchange(&other.sized()).await.unwrap();
                if answer.status == 503 {
                    assert_eq!(answer.header("retry-after"), Some("1"), "{:?}", receiver.framework);
                    // The answer must not reveal that the other id is unknown.
                    receiver.demand("unknown id", &other.to("/webhooks/unknown").sized(), 503).await;
                    return;
                }
                // A stalled request that was still being read beside `other` may be the one over the budget.
                for (connection, digit) in &mut stalled {
                    if connection.is_answered().await {
                        *connection = stall(*digit).await;
                    }
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let full = timeout(PATIENCE.min(Duration::from_secs(5)), full).await;
        full.unwrap_or_else(|_| panic!("{:?}: any number of bytes are in flight", receiver.framework));
        for (connection, last) in &mut stalled {
            assert_eq!(connection.exchange(&[*last]).await.unwrap().status, 200);
        }
        receiver.demand("afterwards", &Post::signed("afterwards").sized(), 200).await;
    })
    .await;
}

//! Floods of HTTP/2 frames, with honest deliveries on other connections.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame};
use tokio::time::interval;

use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, add_field, client, fields, frame, reset, status,
};
use super::process::{Receiver, attack};
use super::receiver::{Framework, Settings};
use crate::harness::PATIENCE;
use crate::harness::sender::Post;

const DEADLINE: Duration = Duration::from_millis(500);

/// The maximum length of a flood.
const FLOOD: Duration = Duration::from_millis(2_500);

fn settings(settings: Settings) -> Settings {
    Settings { deadline: DEADLINE, ..settings }
}

/// Sends `next(0)`, `next(1)` and so on, at most `count` of them, and returns whether the receiver ended the connection.
/// Honest deliveries must be served meanwhile.
async fn flood(receiver: &Receiver, what: &str, opening: &[u8], count: u32, next: impl Fn(u32) -> Vec<u8>) -> bool {
    let began = Instant::now();
    let flooding = async {
        let mut frames = Frames::open(receiver).await;
        let mut sent = 0;
        if frames.send(opening).await {
            while sent < count && began.elapsed() < FLOOD {
                let batch: Vec<u8> = (sent..count.min(sent + 64)).flat_map(&next).collect();
                if !frames.send(&batch).await {
                    break;
                }
                sent += 64;
            }
        }
        let ended = frames.is_ended_within(DEADLINE + Duration::from_secs(1)).await;
        println!("{what}: {} after {sent} frames and {:?}", if ended { "ended" } else { "open" }, began.elapsed());
        ended
    };
    let honest = async {
        let mut requests = client(receiver).await;
        let mut pace = interval(Duration::from_millis(50));
        for number in 0..10 {
            pace.tick().await;
            let post = Post::signed(format!("honest {number} beside {what}"));
            let sent = Instant::now();
            assert_eq!(status(&mut requests, &post, Full::new(Bytes::from(post.body.clone()))).await, 200, "{what}");
            assert!(sent.elapsed() < Duration::from_secs(1), "{what}: {:?}", sent.elapsed());
        }
    };
    let (ended, ()) = tokio::join!(flooding, honest);
    receiver.demand(what, &Post::signed(format!("honest after {what}")).sized(), 200).await;
    ended
}

/// The floods are refused for their content, and not because their frames are malformed.
pub(crate) async fn delivery_in_flood_frames_is_handled() {
    attack(&[Framework::Axum], settings, async |receiver| {
        let post = Post::signed("in frames");
        let mut frames = Frames::open(receiver).await;
        let head = frame(HEADERS, END_HEADERS, 1, &fields(&post));
        assert!(frames.send(&[head, frame(DATA, END_STREAM, 1, &post.body)].concat()).await);
        let began = Instant::now();
        while !receiver.ran().await.contains_key("200 in frames") {
            assert!(began.elapsed() < PATIENCE, "the delivery was not handled");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!frames.is_ended_within(Duration::ZERO).await);
    })
    .await;
}

pub(crate) async fn flood_of_reset_streams_ends_the_connection() {
    attack(&[Framework::Axum], settings, async |receiver| {
        for (what, post) in [
            ("good heads, reset", Post::signed("reset")),
            ("bad heads, reset", Post::signed("reset").without("X-Webhook-Signature")),
        ] {
            let block = fields(&post);
            let next = |number: u32| {
                let stream = number * 2 + 1;
                [frame(HEADERS, END_HEADERS, stream, &block), reset(stream)].concat()
            };
            assert!(flood(receiver, what, b"", 20_000, next).await, "{what}");
        }
    })
    .await;
}

pub(crate) async fn flood_of_tiny_frames_ends_the_connection() {
    attack(&[Framework::Axum], settings, async |receiver| {
        let head = frame(HEADERS, END_HEADERS, 1, &fields(&Post::signed("never complete")));
        let ended = flood(receiver, "empty frames", &head, 2_000_000, |_| frame(DATA, 0, 1, b"")).await;
        assert!(ended, "the connection accepts any number of empty frames");
        let ended = flood(receiver, "frames of a byte", &head, 2_000_000, |_| frame(DATA, 0, 1, b"x")).await;
        assert!(ended, "the connection accepts any number of tiny frames");
    })
    .await;
}

pub(crate) async fn head_without_an_end_ends_the_connection() {
    attack(&[Framework::Axum], settings, async |receiver| {
        let mut junk = Vec::new();
        for number in 0..100 {
            add_field(&mut junk, &format!("x-junk-{number}"), &[b'x'; 100]);
        }
        let opening = frame(HEADERS, 0, 1, &fields(&Post::signed("")));
        let ended = flood(receiver, "continuations", &opening, 20_000, |_| frame(CONTINUATION, 0, 1, &junk)).await;
        assert!(ended, "the connection accepts a head of any size");
        let ended = flood(receiver, "empty continuations", &opening, 200_000, |_| frame(CONTINUATION, 0, 1, b"")).await;
        assert!(ended, "the connection accepts a head of any number of frames");
    })
    .await;
}

pub(crate) async fn flood_of_pings_delays_no_other_client() {
    attack(&[Framework::Axum], settings, async |receiver| {
        flood(receiver, "pings", b"", 500_000, |_| frame(PING, 0, 0, b"12345678")).await;
    })
    .await;
}

/// A body that is pending forever.
struct Stalled;

impl Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

pub(crate) async fn all_stalled_streams_end_at_the_deadline() {
    attack(&[Framework::Axum], settings, async |receiver| {
        const STREAMS: usize = 100;
        const CONNECTIONS: usize = 4;
        let began = Instant::now();
        let attackers = (0..CONNECTIONS).map(async |_| {
            let requests = client(receiver).await;
            let post = Post::signed("stalled");
            join_all((0..STREAMS).map(async |_| status(&mut requests.clone(), &post, Stalled).await)).await
        });
        // Honest deliveries are handled meanwhile.
        let mut handled = 0;
        let honest = async {
            let mut pace = interval(DEADLINE / 10);
            loop {
                pace.tick().await;
                receiver
                    .demand("beside stalled streams", &Post::signed(format!("honest {handled}")).sized(), 200)
                    .await;
                handled += 1;
            }
        };
        let statuses = tokio::select! {
            statuses = join_all(attackers) => statuses,
            () = honest => unreachable!("it has no end"),
        };
        let took = began.elapsed();
        assert!(handled > 1, "{handled} honest deliveries during the streams");
        println!("{} stalled streams were cut off after {took:?}", STREAMS * CONNECTIONS);
        assert!(statuses.concat().iter().all(|status| *status == 408), "{statuses:?}");
        assert!((DEADLINE..DEADLINE * 2 + Duration::from_secs(1)).contains(&took), "{took:?}");
    })
    .await;
}

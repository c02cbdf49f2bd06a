//! Bodies that are too large, too slow, or framed inconsistently.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::process::{Receiver, attack};
use super::receiver::{Framework, Settings};
use crate::harness::PATIENCE;
use crate::harness::sender::{Post, now};

const SIGNATURE: &str = "X-Webhook-Signature";
const MIB: usize = 1024 * 1024;
const DEADLINE: Duration = Duration::from_millis(500);

fn forged(body: impl Into<Vec<u8>>) -> Post {
    Post::signed(body).replacing(SIGNATURE, "0".repeat(64))
}

fn short_deadline(settings: Settings) -> Settings {
    Settings { deadline: DEADLINE, body_limit: 64 * 1024, ..settings }
}

pub(crate) async fn ten_gigabytes_are_refused_before_first_byte() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            for _ in 0..200 {
                receiver.demand("10 GB", &Post::signed("").head("Content-Length: 10000000000\r\n"), 413).await;
                let unsized_head = forged("").without(SIGNATURE).head("Content-Length: 10000000000\r\n");
                receiver.demand("10 GB after a bad head", &unsized_head, 401).await;
            }
            receiver.demand("good", &Post::signed("good").sized(), 200).await;
        },
    )
    .await;
}

pub(crate) async fn continue_is_never_sent_for_bad_heads() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            for (what, post, length, status) in [
                ("no signature", Post::signed("").without(SIGNATURE), 1000, 401),
                ("stale", Post::signed_at("", now(-400)), 1000, 401),
                ("10 GB", Post::signed(""), 10_000_000_000_u64, 413),
            ] {
                let head = post.head(&format!("Expect: 100-continue\r\nContent-Length: {length}\r\n"));
                let mut connection = receiver.connect().await;
                let mut first = connection.exchange(&head).await.unwrap();
                if receiver.framework == Framework::Actix {
                    // actix-web sends `100 Continue` before any middleware runs.
                    assert_eq!(first.status, 100, "{what}");
                    first = connection.answer().await.unwrap();
                }
                assert_eq!(first.status, status, "{:?}, {what}", receiver.framework);
            }
        },
    )
    .await;
}

pub(crate) async fn chunks_over_the_limit_are_refused() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            for post in [Post::signed(vec![7; 4 * MIB]), forged(vec![7; 4 * MIB])] {
                for size in [700, 64 * 1024, 4 * MIB] {
                    receiver.demand(&format!("chunks of {size}"), &post.chunked(size, ""), 413).await;
                }
                receiver.demand("an announced length", &post.sized(), 413).await;
            }
            // These are too many bodies to keep in memory at once.
            let large = Post::signed(vec![7; 4 * MIB]).chunked(64 * 1024, "");
            let attackers = (0..16).map(|_| receiver.demand("16 at once", &large, 413));
            futures_util::future::join_all(attackers).await;
            receiver.demand("good", &Post::signed(vec![7; MIB]).sized(), 200).await;
        },
    )
    .await;
}

pub(crate) async fn stalled_or_slow_body_ends_at_the_deadline() {
    attack(&Framework::ALL, short_deadline, async |receiver| {
        let sized = "Content-Length: 100\r\n";
        let chunked = "Transfer-Encoding: chunked\r\n";
        let attacks = [
            ("stalls", sized, "ten bytes.", ""),
            ("drips", sized, "", "x"),
            ("stalls between chunks", chunked, "a\r\nten bytes.\r\n", ""),
            ("drips in chunks", chunked, "", "1\r\nx\r\n"),
            ("drips within a chunk", chunked, "1000\r\n", "x"),
            ("drips a chunk's size", chunked, "", "0"),
            ("drips after a chunk's size", chunked, "1", " "),
            ("drips a chunk's extension", chunked, "1;", "x"),
            ("stalls before its trailers' end", chunked, "0\r\n", ""),
        ];
        let attackers = attacks.iter().map(async |(what, framing, first, drop)| {
            let mut connection = receiver.connect().await;
            let began = Instant::now();
            connection.send(&[&Post::signed("").head(framing), first.as_bytes()].concat()).await;
            let answer = connection.drip(drop.as_bytes(), Duration::from_millis(100)).await;
            check_time(receiver, what, began, answer.map(|answer| answer.status));
        });
        futures_util::future::join_all(attackers).await;
        receiver.demand("good", &Post::signed("good").sized(), 200).await;
        assert_eq!(receiver.ran().await.values().sum::<u32>(), 1);
    })
    .await;
}

fn check_time(receiver: &Receiver, what: &str, began: Instant, status: Option<u16>) {
    let (took, framework) = (began.elapsed(), receiver.framework);
    println!("{framework:?}, {what}: {status:?} after {took:?}");
    assert_eq!(status, Some(408), "{framework:?}, {what}, after {took:?}");
    assert!(took < DEADLINE + Duration::from_secs(1), "{framework:?}, {what}: {took:?}");
    assert!(took >= DEADLINE, "{framework:?}, {what}: {took:?}");
}

/// The line before a chunk is not part of the body, and neither server limits it; the deadline does. As the adapter's
/// documentation says, a sender faster than hyper's decoder can delay the deadline. This one is slower.
pub(crate) async fn endless_chunk_size_line_ends_at_the_deadline() {
    attack(&Framework::ALL, short_deadline, async |receiver| {
        for (what, first, pattern) in [("zeros", "", b'0'), ("blanks", "1", b' ')] {
            let stream = TcpStream::connect(receiver.address()).await.unwrap();
            let (mut reader, mut writer) = stream.into_split();
            let head = [Post::signed("").head("Transfer-Encoding: chunked\r\n"), first.into()].concat();
            let began = Instant::now();
            writer.write_all(&head).await.unwrap();
            let flooding = tokio::spawn(async move {
                let mut sent = 0_u64;
                let mut pace = interval(Duration::from_millis(4));
                while began.elapsed() < PATIENCE && writer.write_all(&[pattern; PIECE]).await.is_ok() {
                    sent += 1;
                    pace.tick().await;
                }
                sent
            });
            let mut answer = [0; 12];
            let read = timeout(PATIENCE, reader.read_exact(&mut answer))
                .await
                .expect("the receiver did not answer or close the connection in time");
            let took = began.elapsed();
            // The answer is lost if the connection is reset with unread bytes.
            let status = read.map_or_else(|_| "reset".into(), |_| String::from_utf8_lossy(&answer).into_owned());
            drop(reader);
            let sent = flooding.await.unwrap() * u64::try_from(PIECE).unwrap() / 1024;
            println!("{:?}, {what}: {status} after {took:?} and {sent} KiB", receiver.framework);
            assert!(["HTTP/1.1 408", "reset"].contains(&&*status), "{:?}, {what}: {status}", receiver.framework);
            let permitted = DEADLINE..DEADLINE + Duration::from_secs(1);
            assert!(permitted.contains(&took), "{:?}, {what}: {took:?}", receiver.framework);
        }
        receiver.demand("good", &Post::signed("good").sized(), 200).await;
    })
    .await;
}

/// The bytes of an endless line that are sent at a time.
const PIECE: usize = 1024;

pub(crate) async fn signature_in_trailers_is_ignored() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            let good = Post::signed("body");
            let signature = String::from_utf8(good.value(SIGNATURE)).unwrap();
            let trailer = format!("{SIGNATURE}: {signature}\r\n");
            let announced = good.clone().with("Trailer", SIGNATURE);
            receiver.demand("in the trailers", &good.clone().without(SIGNATURE).chunked(2, &trailer), 401).await;
            receiver.demand("announced", &announced.clone().without(SIGNATURE).chunked(2, &trailer), 401).await;
            let wrong = announced.clone().replacing(SIGNATURE, "0".repeat(64));
            receiver.demand("right one in the trailers", &wrong.chunked(2, &trailer), 401).await;
            receiver.demand("in both", &announced.chunked(2, &trailer), 200).await;
        },
    )
    .await;
}

pub(crate) async fn request_hidden_in_refused_body_is_never_handled() {
    attack(&Framework::ALL, short_deadline, async |receiver| {
        let smuggled = Post::signed("smuggled").sized();
        let large = smuggled.repeat(2 * MIB / smuggled.len());
        let headless = |body: Vec<u8>| Post::signed(body).without(SIGNATURE);
        let attacks = [
            ("small", headless(smuggled.clone()).sized(), 401),
            ("small, chunked", headless(smuggled.clone()).chunked(10, ""), 401),
            ("large", headless(large.clone()).sized(), 401),
            ("large, chunked", headless(large.clone()).chunked(smuggled.len(), ""), 401),
            ("over the cap", Post::signed(large.clone()).sized(), 413),
            ("over the cap, chunked", Post::signed(large).chunked(4096, ""), 413),
            ("wrong signature", forged(smuggled.clone()).sized(), 401),
            ("10 GB", [Post::signed("").head("Content-Length: 10000000000\r\n"), smuggled].concat(), 413),
        ];
        let mut answered = 0;
        for (number, (what, bytes, status)) in attacks.into_iter().enumerate() {
            let mut connection = receiver.connect().await;
            let next = Post::signed(format!("next {number}")).sized();
            let first = connection.exchange(&[bytes, next].concat()).await;
            let first = first.unwrap_or_else(|| panic!("{:?}, {what}: closed", receiver.framework));
            assert_eq!(first.status, status, "{:?}, {what}", receiver.framework);
            let second = connection.answer().await;
            if first.header("connection") == Some("close") {
                assert_eq!(second, None, "{:?}, {what}: closed", receiver.framework);
            }
            if what == "wrong signature" {
                assert!(second.is_some(), "{:?}: the connection was closed after a complete body", receiver.framework);
            }
            if let Some(second) = second {
                assert_eq!(second.status, 200, "{:?}, {what}", receiver.framework);
                answered += 1;
            }
            connection.finish().await;
            assert_eq!(connection.answer().await, None, "{:?}, {what}", receiver.framework);
        }
        let ran = receiver.ran().await;
        assert_eq!(ran.values().sum::<u32>(), answered, "{ran:?}");
        assert!(ran.keys().all(|run| run.starts_with("200 next ")), "{ran:?}");
    })
    .await;
}

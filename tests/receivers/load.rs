//! The example receivers under floods of forgeries: verified requests and memory.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::harness::PATIENCE;
use crate::harness::client::Connection;
use crate::harness::program::{RECEIVERS, Running};
use crate::harness::sender::{Post, now};

/// The number of simultaneous forgeries.
const FORGERIES: usize = 800;

pub(super) async fn most_simultaneous_forgeries_are_not_verified() {
    for name in RECEIVERS {
        let running = Running::start(name, &[("HOOKWARDEN_REJECTED_QUOTA", "60")]);
        for path in ["/webhooks/acme", "/webhooks/unknown"] {
            let forged = Post::signed("genuine").carrying("forged!").to(path).sized();
            let (last, rest) = forged.split_last().unwrap();
            let mut connections = Vec::with_capacity(FORGERIES);
            for _ in 0..FORGERIES {
                let mut connection = running.connect().await;
                connection.send(rest).await;
                connections.push(connection);
            }
            let answers =
                join_all(connections.iter_mut().map(|connection| connection.exchange(std::slice::from_ref(last))))
                    .await;
            let of = |status| answers.iter().flatten().filter(|answer| answer.status == status).count();
            println!("{name} {path}: {} verified, {} blocked", of(401), of(429));
            assert!((60..=130).contains(&of(401)), "{name} {path}: {} verified", of(401));
            assert_eq!(of(401) + of(429), FORGERIES, "{name} {path}");
        }
    }
}

pub(super) async fn large_bodies_take_bounded_memory() {
    for name in RECEIVERS {
        // The server buffers up to 500 KiB (hyper) or 256 KiB (actix-web) per connection. With 400 peers no request is
        // blocked, so all connections fill these buffers. For a known id the Warden keeps up to 64 MiB more.
        for (path, peers, grown, left) in
            [("/webhooks/unknown", 1, 100, 60), ("/webhooks/acme", 1, 150, 100), ("/webhooks/unknown", 400, 250, 200)]
        {
            let what = format!("{name} {path} from {peers}");
            let running = Running::start(name, &[]);
            let before = Memory::of(&running);
            let head = Post::signed("x").to(path).head(&format!("Content-Length: {LARGE}\r\n"));
            let bytes = [&head[..], &vec![b'x'; LARGE - 1]].concat();
            let send = async |nth: u32| {
                let peer = IpAddr::V4(Ipv4Addr::from_bits(0x7f01_0001 + nth % peers));
                let mut connection = Connection::open_from(peer, running.address).await;
                connection.send(&bytes).await;
                connection
            };
            let mut connections = Vec::new();
            for batch in 0..8 {
                connections.extend(join_all((0..50).map(|nth| send(batch * 50 + nth))).await);
            }
            before.assert_grown_by_less_than(grown, &running, &what).await;
            // The last byte completes each body.
            join_all(connections.iter_mut().map(|connection| connection.exchange(b"x"))).await;
            drop(connections);
            before.assert_back_within(left, &running, &what).await;
            let after = Post::signed("after");
            assert_eq!(running.send(&after).await.status, 200, "{what}");
        }
    }
}

pub(super) async fn large_http2_bodies_take_bounded_memory() {
    let running = Running::start("axum_receiver", &[("HOOKWARDEN_REJECTED_QUOTA", "1000")]);
    let before = Memory::of(&running);
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut streams = Vec::new();
    for nth in 0..200 {
        let path = format!("http://localhost/webhooks/unknown-{nth}");
        // A megabyte in frames. The last frame never arrives.
        let (frames, body) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::convert::Infallible>>(1);
        let body = StreamBody::new(futures_util::stream::unfold(body, async |mut body| {
            let frame = body.recv().await?;
            Some((frame, body))
        }));
        let request = Post::signed("x").to(&path).request(Box::pin(body));
        let mut requests = requests.clone();
        streams.push((tokio::spawn(async move { requests.send_request(request).await.map(drop) }), frames));
    }
    let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
    let fill = streams.iter().map(async |(_, frames)| {
        for _ in 0..LARGE / chunk.len() - 1 {
            let _ = frames.send(Ok(Frame::data(chunk.clone()))).await;
        }
    });
    tokio::time::timeout(PATIENCE, join_all(fill)).await.unwrap();
    before.assert_grown_by_less_than(100, &running, "HTTP/2").await;
    for (request, frames) in streams {
        drop(frames);
        let _ = request.await;
    }
    drop(requests);
    before.assert_back_within(60, &running, "HTTP/2").await;
    assert_eq!(running.send(&Post::signed("after")).await.status, 200);
}

pub(super) async fn fresh_deliveries_pass_behind_a_stale_backlog() {
    for name in RECEIVERS {
        let running = Running::start(name, &[]);
        let mut connection = running.connect().await;
        for nth in 0..150 {
            let stale = Post::signed_at(format!("retry {nth}"), now(-1_200)).sized();
            match connection.exchange(&stale).await {
                Some(answer) => assert_eq!(answer.status, 401, "{name}"),
                None => connection = running.connect().await,
            }
        }
        for nth in 0..12 {
            let fresh = Post::signed(format!("fresh {nth}"));
            assert_eq!(running.send(&fresh).await.status, 200, "{name}: {nth}");
        }
    }
}

/// The resident memory of a receiver, in KiB.
struct Memory(u64);

impl Memory {
    fn of(running: &Running) -> Self {
        Self(running.program.resident())
    }

    fn grown(&self, running: &Running) -> u64 {
        running.program.resident().saturating_sub(self.0) / 1024
    }

    /// Measures until the receiver has read everything.
    async fn assert_grown_by_less_than(&self, mib: u64, running: &Running, what: &str) {
        let (mut most, mut since) = (0, Instant::now());
        while since.elapsed() < SETTLED {
            let grown = self.grown(running);
            assert!(grown < mib, "{what}: grown by {grown} MiB");
            if grown > most {
                (most, since) = (grown, Instant::now());
            }
            sleep(Duration::from_millis(20)).await;
        }
        println!("{what}: grown by {most} MiB");
    }

    async fn assert_back_within(&self, mib: u64, running: &Running, what: &str) {
        let began = Instant::now();
        while self.grown(running) > mib {
            assert!(began.elapsed() < PATIENCE, "{what}: still {} MiB more", self.grown(running));
            sleep(Duration::from_millis(20)).await;
        }
        println!("{what}: {} MiB more at the end", self.grown(running));
    }
}

/// Memory that has not grown for this time is at its peak.
const SETTLED: Duration = Duration::from_millis(700);

/// The size of a body: the default limit.
const LARGE: usize = 1024 * 1024;

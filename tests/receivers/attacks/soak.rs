//! Honest and hostile senders together, for the time that the environment sets.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::interval;

use super::process::Receiver;
use super::receiver::{Framework, HANDLER, Settings};
use crate::harness::sender::Post;

/// The time between two requests of a sender.
const PACE: Duration = Duration::from_millis(4);

/// The observations of the honest senders.
#[derive(Default)]
struct Seen {
    /// The bodies that were accepted.
    accepted: Mutex<Vec<String>>,
    /// The time of each answer in microseconds.
    times: Mutex<Vec<u64>>,
}

/// An honest sender. It sends each delivery until it is accepted. For some deliveries the handler fails at first, and
/// some are sent again after they were accepted.
async fn honest(receiver: Arc<Receiver>, running: Arc<AtomicBool>, seen: Arc<Seen>, number: usize) {
    let mut connection = receiver.connect().await;
    let mut pace = interval(PACE);
    for count in 0_u64.. {
        if !running.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("{number}-{count}");
        let post = Post::signed(format!("{name} {}", "x".repeat(usize::try_from(count % 7).unwrap() * 1_000)));
        if count % 16 == 3 {
            let failing = connection.exchange(&post.clone().with(HANDLER, "503").sized()).await;
            assert_eq!(failing.map(|answer| answer.status), Some(503), "{:?}, {name}", receiver.framework);
        }
        let began = Instant::now();
        let answer = if count % 3 == 0 { post.chunked(700, "") } else { post.sized() };
        let answer = connection.exchange(&answer).await.expect("an answer");
        seen.times.lock().unwrap().push(u64::try_from(began.elapsed().as_micros()).unwrap());
        assert_eq!(answer.status, 200, "{:?}, {name}", receiver.framework);
        seen.accepted.lock().unwrap().push(name);
        if count % 8 == 5 {
            let copy = connection.exchange(&post.sized()).await.expect("an answer");
            assert_eq!(copy.status, 200, "{:?}, a copy", receiver.framework);
        }
        pace.tick().await;
    }
}

/// A hostile sender with its own address.
async fn hostile(receiver: Arc<Receiver>, running: Arc<AtomicBool>, number: u8) {
    let own = IpAddr::V4(Ipv4Addr::new(127, 0, 1, number));
    let signature = "X-Webhook-Signature";
    let mut pace = interval(PACE);
    for count in 0_u64.. {
        if !running.load(Ordering::Relaxed) {
            break;
        }
        let good = Post::signed(format!("hostile {count}"));
        let forged = good.clone().replacing(signature, "0".repeat(64));
        let (bytes, breaks_off) = match count % 8 {
            0 => (forged.sized(), false),
            1 => (forged.to(&format!("/webhooks/unlisted-{number}-{count}")).sized(), false),
            2 => (good.head("Content-Length: 10000000000\r\n"), false),
            3 => (good.clone().carrying(vec![0; 100_000]).chunked(1_000, ""), true),
            4 => (good.head("Content-Length: 100\r\n"), true),
            5 => (forged.without(signature).carrying(vec![0; 100_000]).sized(), false),
            6 => (b"\x16\x03\x01 not HTTP at all\r\n\r\n".to_vec(), false),
            _ => (good.head("Content-Length: 100\r\n"), false),
        };
        let mut connection = receiver.connect_from(own).await;
        if breaks_off {
            connection.send(&bytes).await;
        } else if let Some(answer) = connection.exchange(&bytes).await {
            assert!(answer.status >= 400, "{:?}: {answer:?}", receiver.framework);
        }
        pace.tick().await;
    }
}

fn seconds(variable: &str, default: u32) -> u32 {
    std::env::var(variable).map_or(default, |seconds| seconds.parse().expect("seconds"))
}

/// Returns the median, because single samples vary with the requests in flight.
fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

async fn soak(framework: Framework, time: Duration, tolerance: u32) {
    let settings = Settings {
        tolerance,
        deadline: Duration::from_secs(1),
        body_limit: 64 * 1024,
        // Ten times the default, so most forgeries are verified rather than blocked.
        rejected_quota: Some(600),
        // The exporter's memory varies with its scrapes by more than everything else measured here.
        metrics: false,
        ..Settings::of(framework)
    };
    let receiver = Arc::new(Receiver::start(&settings).await);
    let (running, seen) = (Arc::new(AtomicBool::new(true)), Arc::new(Seen::default()));
    let mut senders = JoinSet::new();
    for number in 0..HONEST {
        senders.spawn(honest(receiver.clone(), running.clone(), seen.clone(), number));
    }
    for number in 0..HOSTILE {
        senders.spawn(hostile(receiver.clone(), running.clone(), number));
    }
    let mut samples = interval(Duration::from_millis(100));
    let (began, mut memory, mut files) = (Instant::now(), Vec::new(), 0);
    while began.elapsed() < time {
        samples.tick().await;
        memory.push(receiver.resident());
        files = files.max(receiver.open_files());
        if let Some(failed) = senders.try_join_next() {
            failed.unwrap();
        }
    }
    running.store(false, Ordering::Relaxed);
    senders.join_all().await;

    let ran = receiver.ran().await;
    let mut accepted = std::mem::take(&mut *seen.accepted.lock().unwrap());
    accepted.sort_unstable();
    let mut done: Vec<&str> = ran.keys().filter_map(|run| run.strip_prefix("200 ")).map(names).collect();
    done.sort_unstable();
    assert_eq!(done, accepted, "{framework:?}: accepted and handled deliveries differ");
    let doubled: Vec<_> = ran.iter().filter(|(run, count)| run.starts_with("200 ") && **count != 1).collect();
    assert!(doubled.is_empty(), "{framework:?}: {doubled:?}");

    let third = memory.len() / 3;
    let (middle, last) = (median(&memory[third..2 * third]), median(&memory[2 * third..]));
    let mut times = std::mem::take(&mut *seen.times.lock().unwrap());
    times.sort_unstable();
    let p99 = Duration::from_micros(times[times.len() * 99 / 100]);
    let tenths: Vec<u64> = memory.chunks(memory.len().div_ceil(10)).map(median).collect();
    println!("{framework:?}: resident in each tenth of the time, in KiB: {tenths:?}");
    println!(
        "{framework:?}, {time:?}: {} deliveries accepted, each handled once; 99 of 100 answers within {p99:?}; resident \
         {middle} KiB in the middle third and {last} KiB in the last; at most {files} open files",
        accepted.len()
    );
    assert!(accepted.len() > 100, "only {} deliveries", accepted.len());
    // A short run shows only fast growth. A replay store that never expires entries shows only after minutes.
    assert!(last <= middle + middle / 20, "{framework:?}: {middle} KiB, then {last} KiB");
    assert!(files < 1_000, "{framework:?}: {files} open files");
}

/// The name at the start of a body.
fn names(body: &str) -> &str {
    body.split(' ').next().unwrap_or_default()
}

pub(crate) async fn honest_deliveries_survive_hostile_ones_exactly_once() {
    let time = Duration::from_secs(u64::from(seconds("HOOKWARDEN_SOAK_SECONDS", 10)));
    let tolerance = seconds("HOOKWARDEN_SOAK_TOLERANCE", 3);
    tokio::join!(soak(Framework::Axum, time, tolerance), soak(Framework::Actix, time, tolerance));
}

const HONEST: usize = 4;
const HOSTILE: u8 = 4;

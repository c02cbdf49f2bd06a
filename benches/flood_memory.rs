//! The cost of a flood: memory, and the latency of an unrelated sender.
//!
//! ```text
//! cargo bench --features warden --bench flood_memory
//! ```
//!
//! 1. A million forgeries, each from a new peer and for a new webhook id: resident memory must grow by less than 16 MiB
//!    at any time.
//! 2. Forgeries that take half a core: the 99th percentile of the Warden's time for a genuine delivery must stay below
//!    twice the time without them. Quiet and flooded periods alternate, so that other load on the machine affects both.
//!
//! The exit code is not zero if either limit is exceeded. Other processes disturb the second measurement: run it on an
//! idle machine with at least two cores. Resident memory is measured only on Linux.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a measurement that panics has failed"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hookwarden::event::RefusalReason;
use hookwarden::signer::SignedHeaders;
use hookwarden::warden::{Admitted, Quotas};
use hookwarden::{Keyring, Quota, Reason, Scheme, Signer, Warden};

fn main() -> ExitCode {
    // `cargo test --benches` runs this without `--bench`, in a build that is not optimized.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("flood_memory: run it with `cargo bench`");
        return ExitCode::SUCCESS;
    }
    let holds = [memory(), latency()];
    if holds.iter().all(|holds| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const ID: &str = "acme";
const BODY: [u8; 1024] = [b'x'; 1024];

fn keys() -> Keyring {
    Keyring::new(Scheme::timestamped().secret("a-secret-that-only-this-benchmark-uses").unwrap())
}

fn warden() -> Warden {
    let builder = Warden::builder(Scheme::timestamped()).sender(ID, keys());
    // Count each refused request for a minute, so that no entry expires during the flood. By default a single one
    // expires after a second.
    let refused = Quota::new(60, Duration::from_secs(60)).unwrap();
    let quotas =
        Quotas::new().accepted(Quota::per_minute(60_000_000).unwrap()).rejected(refused).rejected_by_peer(refused);
    builder.quotas(quotas).build().unwrap()
}

struct Sender(Signer);

impl Sender {
    fn new() -> Self {
        Self(Signer::new(Scheme::timestamped(), keys()).unwrap())
    }

    fn sign(&self, body: &[u8]) -> SignedHeaders {
        self.0.sign_body(body).unwrap()
    }
}

fn receive(
    warden: &Warden,
    signed: &SignedHeaders,
    peer: IpAddr,
    id: &str,
    body: &[u8],
) -> Result<Admitted, RefusalReason> {
    let head = headers(signed);
    let received = warden.examine(&head, Some(peer)).and_then(|examined| {
        let mut receiving = examined.identify(id)?;
        receiving.update(body)?;
        receiving.finish()
    });
    received.map_err(|refused| refused.reason())
}

fn headers(signed: &SignedHeaders) -> [(&str, &str); 2] {
    let mut headers = signed.iter();
    [headers.next().unwrap(), headers.next().unwrap()]
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn peer(&mut self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_bits(u128::from(self.next()) << 64))
    }
}

// Memory.

const FORGERIES: u32 = 1_000_000;
const MOST_BYTES: u64 = 16 * 1024 * 1024;

fn memory() -> bool {
    let (warden, sender, mut random) = (warden(), Sender::new(), Random(1));
    let mut forge = |count| {
        let signed = sender.sign(b"another body");
        for _ in 0..count {
            let id = format!("{:016x}", random.next());
            let refused = receive(&warden, &signed, random.peer(), &id, &BODY[..64]).unwrap_err();
            assert_eq!(refused, RefusalReason::UnknownId);
        }
    };
    // Load the pages of the program and the first pages of the heap before measuring.
    forge(100);
    let Some(before) = resident() else {
        println!("memory: not measured, because there is no /proc/self/statm");
        return true;
    };
    let begin = Instant::now();
    let mut most = before;
    for _ in 0..FORGERIES / 10_000 {
        forge(10_000);
        most = most.max(resident().unwrap_or(u64::MAX));
    }
    let growth = most.saturating_sub(before);
    let holds = growth < MOST_BYTES;
    println!(
        "memory: {FORGERIES} forgeries of as many peers and ids in {:.1} s: at most {:.2} MiB more resident{}",
        begin.elapsed().as_secs_f64(),
        growth as f64 / (1024.0 * 1024.0),
        if holds { "" } else { ": TOO MUCH" }
    );
    holds
}

/// Returns the resident memory in bytes.
fn resident() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}

/// The page size of x86-64 and most other machines, in bytes. With larger pages, growth is underestimated; tests check
/// the size of the tables.
const PAGE: u64 = 4096;

// Latency.

const STRETCHES: usize = 40;
const STRETCH: Duration = Duration::from_millis(250);
/// The pause between two deliveries of the sender.
const PAUSE: Duration = Duration::from_micros(200);
/// The flood sends for this time, then pauses for this time.
const CYCLE: Duration = Duration::from_millis(1);
const MOST_RATIO: f64 = 2.0;

fn latency() -> bool {
    let warden = warden();
    let (flooding, over, forgeries) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
    let (quiet, flooded) = thread::scope(|scope| {
        scope.spawn(|| flood(&warden, &flooding, &over, &forgeries));
        let sender = Sender::new();
        let peer = IpAddr::from([192, 0, 2, 1]);
        let (mut quiet, mut flooded, mut count) = (Vec::new(), Vec::new(), 0_u64);
        for stretch in 0..STRETCHES {
            let is_flooded = stretch % 2 == 1;
            flooding.store(is_flooded, Ordering::Relaxed);
            let samples = if is_flooded { &mut flooded } else { &mut quiet };
            let end = Instant::now() + STRETCH;
            while Instant::now() < end {
                count += 1;
                let mut body = BODY;
                body[..8].copy_from_slice(&count.to_be_bytes());
                let signed = sender.sign(&body);
                let begin = Instant::now();
                receive(&warden, black_box(&signed), peer, ID, black_box(&body)).unwrap().commit();
                samples.push(begin.elapsed());
                thread::sleep(PAUSE);
            }
        }
        over.store(true, Ordering::Relaxed);
        (quiet, flooded)
    });
    let [(quiet_middle, quiet_99), (flooded_middle, flooded_99)] = [quiet, flooded].map(percentiles);
    let ratio = flooded_99.as_secs_f64() / quiet_99.as_secs_f64();
    let holds = ratio < MOST_RATIO;
    println!("latency: quiet p50 {quiet_middle:?}, p99 {quiet_99:?}");
    println!("latency: flooded p50 {flooded_middle:?}, p99 {flooded_99:?}, {forgeries:?} forgeries");
    println!("latency: ratio of the flooded p99 to the quiet p99 {ratio:.2}{}", if holds { "" } else { ": TOO MUCH" });
    holds
}

/// Sends forgeries for a sender's id from new peers, so that each costs a key lookup and a MAC.
fn flood(warden: &Warden, flooding: &AtomicBool, over: &AtomicBool, forgeries: &AtomicU64) {
    let (sender, mut random) = (Sender::new(), Random(2));
    while !over.load(Ordering::Relaxed) {
        let end = Instant::now() + CYCLE;
        let signed = sender.sign(b"another body");
        while flooding.load(Ordering::Relaxed) && Instant::now() < end {
            let refused = receive(warden, &signed, random.peer(), ID, &BODY).unwrap_err();
            assert_eq!(refused, RefusalReason::Unverified(Reason::Mismatch));
            forgeries.fetch_add(1, Ordering::Relaxed);
        }
        thread::sleep(CYCLE);
    }
}

/// Returns the 50th and the 99th percentile.
fn percentiles(mut samples: Vec<Duration>) -> (Duration, Duration) {
    samples.sort_unstable();
    let at = |hundredths: usize| samples[(samples.len() - 1) * hundredths / 100];
    (at(50), at(99))
}

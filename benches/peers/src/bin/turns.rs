//! Compares ours with every peer in turns: `cargo run --release --manifest-path benches/peers/Cargo.toml --bin turns`.
//! The exit code is not zero if ours is not faster by the required factor.
//!
//! Both run in turns in one process, so that other load on the machine affects both. The result is the median of the
//! turns' ratios.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hookwarden_peers::{Call, Kind, PEERS, Peer, SIZES, VERIFY_AT};

fn main() -> ExitCode {
    println!("The time of each peer divided by the time of hookwarden, by bytes of body.");
    println!();
    println!("{:<35}{}", "hookwarden's `verify`, timestamped", row(SIZES.map(|size| size.to_string())));
    for peer in PEERS.iter().filter(|peer| peer.kind != Kind::Ours) {
        println!("{:<35}{}", peer.name, row(ratios(peer, &PEERS[0])));
    }
    println!();
    println!("hookwarden's `verify`, with the same or the closest scheme");
    for peer in PEERS.iter().filter(|peer| peer.kind == Kind::Verifier) {
        println!("{:<35}{}", peer.name, row(ratios(peer, peer.ours())));
    }
    println!();
    println!("hookwarden's `verify_at`, timestamped, with the required factor");
    let mut holds = true;
    for (peer, size, least) in BOUNDS {
        let Some(peer) = PEERS.iter().find(|known| known.name == peer) else { return ExitCode::FAILURE };
        let ratio = ratio(peer, &VERIFY_AT, size);
        holds &= ratio >= least;
        let verdict = if ratio >= least { "ok" } else { "TOO LITTLE" };
        println!("{:<35}{size:>9}{ratio:>9.2}{least:>9.2}  {verdict}", peer.name);
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn ratios(peer: &Peer, ours: &Peer) -> [String; SIZES.len()] {
    SIZES.map(|size| format!("{:.2}", ratio(peer, ours, size)))
}

/// Returns the median ratio of a peer's time to ours.
fn ratio(peer: &Peer, ours: &Peer, size: usize) -> f64 {
    let (theirs, ours) = (peer.call(size), ours.call(size));
    let calls = calls_in(TURN, &theirs);
    let mut ratios: Vec<f64> = (0..TURNS)
        .map(|turn| {
            // The second call has a warm cache.
            if turn % 2 == 0 {
                let ours = time(calls, &ours);
                time(calls, &theirs).as_secs_f64() / ours.as_secs_f64()
            } else {
                let theirs = time(calls, &theirs);
                theirs.as_secs_f64() / time(calls, &ours).as_secs_f64()
            }
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[TURNS / 2]
}

fn calls_in(time: Duration, call: &Call) -> u32 {
    let (began, mut calls) = (Instant::now(), 0);
    while began.elapsed() < time {
        call();
        calls += 1;
    }
    calls
}

fn time(calls: u32, call: &Call) -> Duration {
    let began = Instant::now();
    (0..calls).for_each(|_| call());
    began.elapsed()
}

fn row(cells: [String; SIZES.len()]) -> String {
    cells.map(|cell| format!("{cell:>9}")).concat()
}

/// A peer, the bytes of the body, and the minimum ratio of its time to ours.
const BOUNDS: [(&str, usize, f64); 4] = [
    ("standardwebhooks", 1 << 10, 6.0),
    ("svix", 1 << 10, 6.0),
    ("webhook-verify, Stripe", 1 << 10, 1.5),
    ("webhook-verify, Stripe", 0, 2.5),
];

const TURNS: usize = 301;
const TURN: Duration = Duration::from_millis(1);

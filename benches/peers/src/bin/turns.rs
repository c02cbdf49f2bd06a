//! Ours against every peer in turns: `cargo run --release --manifest-path benches/peers/Cargo.toml --bin turns`. Its exit
//! code is not zero if ours is not as much faster as it has to be.
//!
//! Both run in turns in one process, and the median of the turns' ratios counts, so that whatever else the machine does
//! meets both.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hookwarden_peers::{Call, Kind, PEERS, Peer, SIZES, VERIFY_AT};

fn main() -> ExitCode {
    println!("How many times as long as ours each takes, by bytes of body.");
    println!();
    println!("{:<35}{}", "hookwarden's `verify`, timestamped", row(SIZES.map(|size| size.to_string())));
    for peer in PEERS.iter().filter(|peer| peer.kind != Kind::Ours) {
        println!("{:<35}{}", peer.name, row(ratios(peer, &PEERS[0])));
    }
    println!();
    println!("hookwarden's `verify`, the same scheme or the nearest");
    for peer in PEERS.iter().filter(|peer| peer.kind == Kind::Verifier) {
        println!("{:<35}{}", peer.name, row(ratios(peer, peer.ours())));
    }
    println!();
    println!("hookwarden's `verify_at`, timestamped, and what is asked of it");
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

/// The median of a peer's time over ours.
fn ratio(peer: &Peer, ours: &Peer, size: usize) -> f64 {
    let (theirs, ours) = (peer.call(size), ours.call(size));
    let calls = calls_in(TURN, &theirs);
    let mut ratios: Vec<f64> = (0..TURNS)
        .map(|turn| {
            // Whoever comes second finds a warm cache.
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

/// A peer, bytes of body, and how many times as long as ours it has to take at least.
const BOUNDS: [(&str, usize, f64); 4] = [
    ("standardwebhooks", 1 << 10, 6.0),
    ("svix", 1 << 10, 6.0),
    ("webhook-verify, Stripe", 1 << 10, 1.5),
    ("webhook-verify, Stripe", 0, 2.5),
];

const TURNS: usize = 301;
const TURN: Duration = Duration::from_millis(1);

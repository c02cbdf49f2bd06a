//! Prints the time of one request in nanoseconds, for the requests whose instructions `cargo bench` counts: `cargo run
//! --release`. Run it on a quiet machine.

use std::time::Instant;

use hookwarden_instructions::frameworks::{actix_guarded, actix_plain, axum_guarded, axum_plain};
use hookwarden_instructions::{REQUESTS, Work, floor, verify_at, warden};

fn main() {
    println!("{:<16} {:>8} {:>8} {:>8}", "", "0 B", "1 KiB", "64 KiB");
    for (name, prepare) in [
        ("floor", floor as fn(usize) -> Work),
        ("verify_at", verify_at),
        ("Warden", warden),
        ("axum, plain", axum_plain),
        ("axum, guarded", axum_guarded),
        ("actix, plain", actix_plain),
        ("actix, guarded", actix_guarded),
    ] {
        let [empty, small, large] = [0, 1 << 10, 64 << 10].map(|size| median(|| prepare(size)));
        println!("{name:<16} {empty:>8} {small:>8} {large:>8}");
    }
}

/// Returns the median time of a request, in nanoseconds.
fn median(prepare: impl Fn() -> Work) -> u128 {
    let time = |mut work: Work| {
        let began = Instant::now();
        work();
        began.elapsed().as_nanos() / u128::from(REQUESTS)
    };
    let mut times: Vec<u128> = (0..ROUNDS).map(|_| time(prepare())).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

const ROUNDS: usize = 151;

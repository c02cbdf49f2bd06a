//! Prints the time of one request in nanoseconds, for the requests whose instructions `cargo bench` counts: `cargo run
//! --release`. Run it on a quiet machine. All requests take turns, and each number is the median of its turns.

use std::time::Instant;

use hookwarden_instructions::frameworks::{actix_guarded, actix_plain, axum_guarded, axum_layered, axum_plain};
use hookwarden_instructions::{REQUESTS, Work, floor, verify_at, warden};

fn main() {
    let mut times = [const { [const { Vec::new() }; SIZES.len()] }; ROWS.len()];
    for round in 0..WARM_UP + ROUNDS {
        for ((_, prepare), times) in ROWS.iter().zip(&mut times) {
            for (size, times) in SIZES.into_iter().zip(times) {
                let time = nanoseconds(prepare(size));
                if round >= WARM_UP {
                    times.push(time);
                }
            }
        }
    }
    println!("{:<16} {:>8} {:>8} {:>8}", "", "0 B", "1 KiB", "64 KiB");
    for ((name, _), times) in ROWS.into_iter().zip(times) {
        let [empty, small, large] = times.map(median);
        println!("{name:<16} {empty:>8} {small:>8} {large:>8}");
    }
}

fn nanoseconds(mut work: Work) -> u128 {
    let began = Instant::now();
    work();
    began.elapsed().as_nanos() / u128::from(REQUESTS)
}

fn median(mut times: Vec<u128>) -> u128 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A name, and what prepares the requests.
type Row = (&'static str, fn(usize) -> Work);

const ROWS: [Row; 8] = [
    ("floor", floor),
    ("verify_at", verify_at),
    ("Warden", warden),
    ("axum, plain", axum_plain),
    ("axum, layered", axum_layered),
    ("axum, guarded", axum_guarded),
    ("actix, plain", actix_plain),
    ("actix, guarded", actix_guarded),
];
const SIZES: [usize; 3] = [0, 1 << 10, 64 << 10];
const WARM_UP: usize = 5;
const ROUNDS: usize = 101;

//! Counts the instructions of [`REQUESTS`] requests under callgrind, and fails if they exceed a budget: `cargo bench` in this
//! directory. It needs valgrind and `cargo install --locked gungraun-runner@0.20.0`.
//!
//! A budget is the number for one request, without the compression function of SHA-256. Collection is switched off in that
//! function, because valgrind hides the processor's SHA instructions: the crate `sha2` then computes in software, with 3,300
//! instructions for each block of 64 bytes instead of 170.
//!
//! The counts do not depend on what else the machine does. Random numbers, such as the seed of a table, change those of a
//! Warden by at most 90. A budget is 40 to 100 instructions above the largest of three runs, so that one more allocation,
//! which takes 110 to 190, exceeds most of them. Another compiler or C library can need other budgets: these are for Rust
//! 1.95 and glibc 2.36.
#![expect(missing_docs, reason = "a macro makes them")]

use std::hint::black_box;

use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use hookwarden_instructions::frameworks::{actix_guarded, actix_plain, axum_guarded, axum_layered, axum_plain};
use hookwarden_instructions::refused::{
    blocked, forged, malformed, over_quota, replayed, stale, too_large, unknown, unsigned,
};
use hookwarden_instructions::{REQUESTS, Work, floor, verify_at, warden};

#[library_benchmark]
#[bench::floor_0(args = (0), setup = floor, config = at_most(840))]
#[bench::floor_1k(args = (KIB), setup = floor, config = at_most(880))]
#[bench::floor_64k(args = (64 * KIB), setup = floor, config = at_most(880))]
#[bench::verify_at_0(args = (0), setup = verify_at, config = at_most(2_550))]
#[bench::verify_at_1k(args = (KIB), setup = verify_at, config = at_most(2_590))]
#[bench::verify_at_64k(args = (64 * KIB), setup = verify_at, config = at_most(2_590))]
#[bench::warden_0(args = (0), setup = warden, config = at_most(10_510))]
#[bench::warden_1k(args = (KIB), setup = warden, config = at_most(10_570))]
#[bench::warden_64k(args = (64 * KIB), setup = warden, config = at_most(10_660))]
fn accepted(work: Work) -> Work {
    handle(work)
}

#[library_benchmark]
#[bench::unsigned(args = (), setup = unsigned, config = at_most(1_410))]
#[bench::malformed(args = (), setup = malformed, config = at_most(1_700))]
#[bench::stale(args = (), setup = stale, config = at_most(2_400))]
#[bench::blocked(args = (), setup = blocked, config = at_most(3_370))]
#[bench::too_large(args = (), setup = too_large, config = at_most(5_740))]
#[bench::forged(args = (), setup = forged, config = at_most(7_110))]
#[bench::unknown(args = (), setup = unknown, config = at_most(7_170))]
#[bench::replayed(args = (), setup = replayed, config = at_most(8_960))]
#[bench::over_quota(args = (), setup = over_quota, config = at_most(11_140))]
fn refused(work: Work) -> Work {
    handle(work)
}

#[library_benchmark]
#[bench::plain_0(args = (0), setup = axum_plain, config = at_most(11_340))]
#[bench::guarded_0(args = (0), setup = axum_guarded, config = at_most(29_240))]
#[bench::plain_1k(args = (KIB), setup = axum_plain, config = at_most(11_920))]
#[bench::layered_1k(args = (KIB), setup = axum_layered, config = at_most(12_990))]
#[bench::guarded_1k(args = (KIB), setup = axum_guarded, config = at_most(30_770))]
#[bench::plain_64k(args = (64 * KIB), setup = axum_plain, config = at_most(13_110))]
#[bench::guarded_64k(args = (64 * KIB), setup = axum_guarded, config = at_most(31_880))]
fn axum(work: Work) -> Work {
    handle(work)
}

#[library_benchmark]
#[bench::plain_0(args = (0), setup = actix_plain, config = at_most(19_500))]
#[bench::guarded_0(args = (0), setup = actix_guarded, config = at_most(37_370))]
#[bench::plain_1k(args = (KIB), setup = actix_plain, config = at_most(19_960))]
#[bench::guarded_1k(args = (KIB), setup = actix_guarded, config = at_most(39_310))]
#[bench::plain_64k(args = (64 * KIB), setup = actix_plain, config = at_most(94_800))]
#[bench::guarded_64k(args = (64 * KIB), setup = actix_guarded, config = at_most(112_980))]
fn actix(work: Work) -> Work {
    handle(work)
}

#[inline(always)]
fn handle(mut work: Work) -> Work {
    black_box(&mut work)();
    work
}

/// Sets the budget: at most so many instructions for one request.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    // Only what follows the start of the benchmark is counted, not the compressions before it.
    let mut callgrind = Callgrind::with_args([
        "--cache-sim=no",
        "--toggle-collect=sha2::sha256::compress256",
        "--zero-before=*::accepted",
        "--zero-before=*::refused",
        "--zero-before=*::axum",
        "--zero-before=*::actix",
    ]);
    callgrind.hard_limits([(EventKind::Ir, instructions * REQUESTS)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

const KIB: usize = 1 << 10;

library_benchmark_group!(name = requests, benchmarks = [accepted, refused, axum, actix]);
main!(library_benchmark_groups = requests);

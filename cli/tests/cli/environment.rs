//! Tests that need curl, Python, Redis, root or a second address of this host. If it is missing, a test is ignored with the
//! reason.

#![cfg_attr(
    unix,
    expect(
        dead_code,
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        reason = "the tests use only a part of the shared modules, and a panic fails the test"
    )
)]

#[cfg(unix)]
mod corpus_reader;
#[cfg(unix)]
mod curl;
#[cfg(unix)]
mod demo_redis;
#[cfg(unix)]
mod endpoint;
#[cfg(unix)]
#[path = "../../../tests/harness/mod.rs"]
mod harness;
#[cfg(unix)]
mod listen_sdks;
#[cfg(unix)]
mod listener;
#[cfg(unix)]
mod own_address;
#[cfg(unix)]
mod rotate_race;
#[cfg(unix)]
mod schemes;
#[cfg(unix)]
mod scratch;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    let trials = [
        corpus_reader::trials(),
        curl::trials(),
        demo_redis::trials(),
        listen_sdks::trials(),
        own_address::trials(),
        rotate_race::trials(),
    ];
    let trials = trials.into_iter().flatten().collect();
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}

#[cfg(not(unix))]
fn main() {}

//! Key stores, rate limiters and replay stores.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

mod contracts;
mod half_written;
mod keys;
mod limits;
mod replay;
#[expect(dead_code, reason = "the time of these stores is injected")]
#[path = "../harness/store_comparison.rs"]
mod store_comparison;
#[expect(dead_code, reason = "the model of the protocol uses the rest")]
#[path = "../harness/store_model.rs"]
mod store_model;

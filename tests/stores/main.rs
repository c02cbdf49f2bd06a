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

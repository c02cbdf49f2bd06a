//! Shared by the test binaries: a sender, an HTTP/1.1 client, receivers in this process and as processes, events, and a
//! recording store.
#![expect(dead_code, reason = "no test binary uses everything")]

pub(crate) mod canaries;
pub(crate) mod captured;
pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod program;
pub(crate) mod receiver;
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]
pub(crate) mod redis_cluster;
pub(crate) mod redis_program;
#[expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that overflows or panics has failed")]
pub(crate) mod redis_sentinel;
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]
pub(crate) mod redis_server;
pub(crate) mod sender;
pub(crate) mod site;
pub(crate) mod store;
pub(crate) mod store_comparison;
pub(crate) mod store_model;
pub(crate) mod trial;

use std::time::Duration;

/// The time limit for anything that should happen immediately.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Asserts that the future is pending for a short while.
pub(crate) async fn assert_silent<T: std::fmt::Debug>(future: impl Future<Output = T>) {
    if let Ok(output) = tokio::time::timeout(Duration::from_millis(200), future).await {
        panic!("expected no answer: {output:?}");
    }
}

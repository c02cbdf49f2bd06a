//! For tests: a clock that is set by hand, and the acceptance suites that stores and limiters must pass.
//!
//! The suites run on any executor and panic with the broken rule. They let time pass through a closure: a clock that is
//! advanced for what lives in this process, a real sleep for a server.
//!
//! ```
//! use std::time::Duration;
//! use hookwarden::testing::{TestClock, replay_store_contract};
//! use hookwarden::clock::SystemClock;
//! use hookwarden::replay::LocalReplay;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let clock = TestClock::default();
//! replay_store_contract(LocalReplay::default, &clock, async |time| clock.advance(time)).await;
//! # });
//! # async fn shared() {
//! // A shared store instead takes some 10 s:
//! # let connect = LocalReplay::default;
//! replay_store_contract(connect, &SystemClock::default(), tokio::time::sleep).await;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;
mod limiter;
mod request;
mod store;

pub use clock::TestClock;
pub use limiter::rate_limiter_contract;
pub use request::{sign, sign_at};
pub use store::replay_store_contract;

use std::collections::hash_map::RandomState;
use std::future::{Future, poll_fn};
use std::hash::BuildHasher;
use std::pin::Pin;
use std::task::Poll;

/// A webhook id that no other case and no other run uses, since a shared store may remember them.
fn fresh_id(case: &str) -> String {
    format!("contract-{case}-{:016x}", RandomState::new().hash_one(case))
}

/// Polls all futures in one task until the last is done.
async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<Pin<Box<_>>> = futures.map(Box::pin).collect();
    let mut done = Vec::with_capacity(pending.len());
    poll_fn(move |context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Ready(output) => {
                done.push(output);
                false
            }
            Poll::Pending => true,
        });
        if pending.is_empty() { Poll::Ready(std::mem::take(&mut done)) } else { Poll::Pending }
    })
    .await
}

//! For tests: a clock that is set by hand, and acceptance suites for stores and limiters.
//!
//! [`TestClock`] replaces the system's clock wherever a [`Clock`](crate::clock::Clock) is accepted.
//! [`replay_store_contract`] and [`rate_limiter_contract`] run every rule of the traits against an implementation of
//! yours; they run on any executor, and panic with the rule that is broken. Time passes through a closure: advance a
//! [`TestClock`] for a store in this process, or sleep for a server.
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
//! // For a store on a server; this takes about 10 s:
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

/// A webhook id that no other case and no other run uses, because a shared store may remember it.
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

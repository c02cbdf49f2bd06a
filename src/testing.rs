//! For tests: a clock that is set by hand, stores that fail on demand, acceptance suites for stores and limiters, and
//! signed requests.
//!
//! [`TestClock`] replaces the system's clock wherever a [`Clock`](crate::clock::Clock) is accepted. [`FaultyStore`]
//! wraps a store and fails, hangs or panics on demand. [`replay_store_contract`] and [`rate_limiter_contract`] check
//! your implementation against every rule of its trait. They run on any executor, and panic with the broken rule. You
//! pass a closure that lets time pass: advance a [`TestClock`] for a store in this process, or sleep for a server.
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
mod faulty;
mod limiter;
#[cfg(feature = "message-signatures")]
mod message;
mod request;
mod store;

pub use clock::TestClock;
pub use faulty::{FaultyStore, StoreFault};
pub use limiter::rate_limiter_contract;
#[cfg(feature = "message-signatures")]
pub use message::{sign_message, sign_message_at};
pub use request::{sign, sign_at, sign_content};
pub use store::replay_store_contract;

use std::collections::hash_map::RandomState;
use std::future::{Future, poll_fn};
use std::hash::BuildHasher;
use std::pin::Pin;
use std::task::Poll;

/// Returns a webhook id that no other case and no other run uses, because a shared store may still have its entries.
fn fresh_id(case: &str) -> String {
    format!("contract-{case}-{:016x}", RandomState::new().hash_one(case))
}

/// Polls all futures in one task until all are done.
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

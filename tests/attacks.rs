//! Attacks on receivers in processes of their own, on axum's server and on actix-web's: bounded in count and time, over
//! raw sockets on the loopback, with the receiver's memory and open files watched.
//!
//! Without `redis-server` in `PATH` what needs one tests nothing; with `HOOKWARDEN_REQUIRE_REDIS=1` it fails then.
//! `HOOKWARDEN_SOAK_SECONDS` and `HOOKWARDEN_SOAK_TOLERANCE` make the soak a longer one.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic fails the test"
)]

#[path = "attacks/bodies.rs"]
mod bodies;
#[path = "attacks/copies.rs"]
mod copies;
#[path = "attacks/floods.rs"]
mod floods;
#[path = "attacks/frames.rs"]
mod frames;
#[path = "attacks/heads.rs"]
mod heads;
#[path = "attacks/operation.rs"]
mod operation;
#[path = "attacks/outages.rs"]
mod outages;
#[path = "attacks/process.rs"]
mod process;
#[path = "attacks/receiver.rs"]
mod receiver;
#[path = "attacks/said.rs"]
mod said;
#[path = "redis/server.rs"]
#[expect(dead_code, reason = "the tests of the shared store use more of it")]
mod server;
#[path = "attacks/soak.rs"]
mod soak;
mod util;

use std::time::Instant;

use tokio::net::TcpStream;

use process::Receiver;
use receiver::{Framework, Settings};
use util::PATIENCE;
use util::sender::Post;

/// The test that is a receiver where it is told so.
const RECEIVER: &str = "receiver_is_this_test_in_a_process_of_its_own";

#[test]
fn receiver_is_this_test_in_a_process_of_its_own() {
    if let Some(settings) = Settings::of_this_process() {
        return receiver::serve(&settings);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for framework in Framework::ALL {
        runtime.block_on(async {
            let receiver = Receiver::start(&Settings::of(framework)).await;
            assert_ne!(receiver.id(), std::process::id());
            assert_eq!(receiver.status(&Post::signed("one")).await, 200);
            assert_eq!(receiver.ran().await.get("200 one"), Some(&1));
            let address = receiver.address();
            drop(receiver);
            let began = Instant::now();
            while TcpStream::connect(address).await.is_ok() {
                assert!(began.elapsed() < PATIENCE, "{framework:?} outlives its test");
            }
        });
    }
}

//! Runs the command `hookwarden` as users run it.
//!
//! Tests that depend on the environment (curl, Python, root, a second address) are in the binary `environment`.

// The tests run bash and check file modes and links.
#![cfg(unix)]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic fails the test"
)]

mod audit;
mod audit_config;
mod corpus;
mod documents;
mod endpoint;
mod escaping;
mod examples;
mod files;
#[path = "../../../tests/harness/mod.rs"]
mod harness;
mod json;
mod listen;
mod listen_limits;
mod listener;
mod message_signatures;
mod mistakes;
mod providers;
mod public_keys;
mod randomness;
mod resend;
mod rotate;
mod rotate_failures;
mod rotate_public_keys;
mod schemes;
mod scratch;
mod secret;
mod secret_check;
mod send;
mod sign;
mod verify;
mod verify_directory;

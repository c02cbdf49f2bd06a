//! The adapters for axum, tower on bare hyper, and actix-web.
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a test that overflows or panics has failed")]

mod actix;
mod body_limits;
mod captures;
mod compile_fail;
mod conformance;
mod custom;
mod extractor;
#[path = "../harness/handshakes.rs"]
mod handshake_documents;
mod handshakes;
mod harden;
#[path = "../harness/mod.rs"]
mod harness;
mod layer;
mod log;
mod message_signatures;
mod only_one_adapter;
mod public_keys;
mod report_only;
mod secret_leaks;
mod streaming;
mod wire;

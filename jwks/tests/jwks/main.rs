//! The store against HTTPS servers on the loopback interface.

#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a test that overflows or panics has failed")]

mod adcp;
mod cache;
mod certificates;
mod hostile;
mod logs;
mod revocation;
mod senders;
mod server;
mod store;
mod vectors;
mod warden;

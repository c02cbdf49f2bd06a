//! Every fault that a diagnosis finds, made by a sender that shares no code with the library. It must be named first.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

mod body;
mod head;
#[cfg(all(feature = "ecdsa", feature = "ed25519", feature = "message-signatures"))]
mod message;
mod properties;
#[cfg(feature = "providers")]
mod providers;
mod secret;
mod sender;
mod signature;
mod template;

//! Each fault that a diagnosis knows, made by a sender that shares no code with the library, and named first.
#![cfg(feature = "diagnose")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

#[path = "diagnose/body.rs"]
mod body;
#[path = "diagnose/head.rs"]
mod head;
#[path = "diagnose/properties.rs"]
mod properties;
#[path = "diagnose/secret.rs"]
mod secret;
#[path = "diagnose/sender.rs"]
mod sender;
#[path = "diagnose/signature.rs"]
mod signature;
#[path = "diagnose/template.rs"]
mod template;

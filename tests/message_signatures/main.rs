//! HTTP Message Signatures (RFC 9421) with the digest of the body (RFC 9530).
#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a test that overflows or panics has failed")]

mod adcp;
mod algorithms;
mod attacks;
mod components;
mod hosts;
mod limits;
mod message;
mod profiles;
mod received;
mod replay;
mod requirements;
mod signing;
mod thumbprints;
mod ucp;
mod vectors;
mod web_bots;

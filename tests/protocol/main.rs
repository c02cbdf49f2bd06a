//! Schemes, signatures and timestamps: the verifier and the signer, without a Warden.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test that overflows or panics has failed"
)]

#[cfg(feature = "http")]
mod allocation;
mod ambiguity;
mod custom;
mod groups;
#[cfg(feature = "http")]
mod interop;
mod preset;
mod properties;
#[cfg(feature = "providers")]
mod providers;
mod rejections;
mod repeated;
#[cfg(feature = "serde")]
mod scheme_documents;
mod schemes;
mod vector;
mod vectors;
mod wycheproof;

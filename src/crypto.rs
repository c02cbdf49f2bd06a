//! Signature algorithms, keys prepared for them, and hashes of bodies.
//!
//! A scheme fixes its [`Algorithm`]; a request cannot choose another. [`Scheme::prepare`](crate::Scheme::prepare) turns
//! a [`Keyring`](crate::Keyring) into [`PreparedKeys`], which hold the HMAC state or the parsed public key of every key.
//! Key stores return prepared keys, so that requests do not repeat the key setup.
//!
//! ```
//! use hookwarden::crypto::{Algorithm, PreparedKeys};
//! use hookwarden::{Keyring, Scheme};
//!
//! let scheme = Scheme::github();
//! assert_eq!(scheme.algorithm(), Algorithm::HmacSha256);
//! let keys: PreparedKeys = scheme.prepare(&Keyring::new(scheme.secret("It's a Secret to Everybody")?))?;
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! # Public keys
//!
//! | feature | algorithms | crate |
//! | --- | --- | --- |
//! | `ed25519` | [`Ed25519`](Algorithm::Ed25519) | ed25519-dalek |
//! | `ecdsa` | [`EcdsaP256`](Algorithm::EcdsaP256), [`EcdsaP256Der`](Algorithm::EcdsaP256Der) | p256 |
//! | `rsa` | [`RsaPkcs1`](Algorithm::RsaPkcs1), [`RsaPss`](Algorithm::RsaPss), [`RsaPssSha512`](Algorithm::RsaPssSha512) | rsa |
//!
//! The crates are pure Rust, need no `std`, are maintained by their communities, have permissive licences, and use the
//! same hash functions as the HMACs, so that few crates are added. ring and aws-lc-rs are faster for RSA. They need a C
//! compiler and `std` or assembly for each target, and cannot hash a message for Ed25519 while it arrives.
//!
//! * **The scheme decides.** A public key has a separate type ([`PublicKey`](crate::PublicKey)), and
//!   [`Scheme::prepare`](crate::Scheme::prepare) refuses keys of another kind. It is never an HMAC secret.
//! * **Ed25519 is strict.** A key that is not canonical or has a small order is refused when it is read, and so is such
//!   an `R` in a signature. Both values of `s` of an ECDSA signature are valid, because providers send both.
//! * **What is public.** Keys, signatures and messages are public, so the time to verify may depend on them. Signing with
//!   Ed25519 and ECDSA takes the same time for all keys. Signing with RSA does not
//!   ([RUSTSEC-2023-0071](https://rustsec.org/advisories/RUSTSEC-2023-0071)): do not sign with RSA where others can
//!   measure the time precisely. Verification uses no private key and is not affected.
//! * **Unknown webhook ids** are verified against a fixed key whose private key was dropped. For RSA it has 2048 bits: with
//!   larger keys, the time shows whether an id exists.
//! * **Bodies are hashed as they arrive,** once for the identity of the delivery, and with Ed25519 and PSS with SHA-512 also for each pair
//!   of a signature and a valid key. A request has at most 4 signatures and a sender at most 4 keys, because verifying a
//!   signature takes about as long as hashing 100 KiB.

mod algorithm;
pub(crate) mod body_hash;
mod input;
mod live_keys;
pub(crate) mod mac;
mod matching;
#[cfg(feature = "message-signatures")]
mod newest;
pub(crate) mod public_key;
#[cfg(feature = "diagnose")]
pub(crate) mod wrong_mac;

pub use algorithm::Algorithm;
pub use body_hash::HashAlgorithm;
pub use live_keys::{LiveKeys, Proven};
pub use mac::PreparedKeys;
#[cfg(feature = "message-signatures")]
pub(crate) use newest::NewestKey;

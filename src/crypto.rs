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

mod algorithm;
pub(crate) mod body_hash;
pub(crate) mod mac;
mod matching;
pub(crate) mod public_key;
#[cfg(feature = "diagnose")]
pub(crate) mod wrong_mac;

pub use algorithm::Algorithm;
pub use body_hash::HashAlgorithm;
pub use mac::PreparedKeys;

//! The MAC algorithms, and keys whose HMAC state is computed once.
//!
//! [`Scheme::prepare`](crate::Scheme::prepare) turns a [`Keyring`](crate::Keyring) into [`PreparedKeys`]. Key stores return
//! them, so that no request pays for the key schedule.
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

pub(crate) mod mac;
#[cfg(feature = "diagnose")]
pub(crate) mod wrong_mac;

pub use mac::{Algorithm, PreparedKeys};

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! x

extern crate alloc;

#[cfg(feature = "axum")]
pub mod axum;
mod encoding;
mod error;
#[cfg(feature = "warden")]
mod event;
mod head;
#[cfg(feature = "tower")]
mod intake;
mod mac;
mod replay;
#[cfg(feature = "warden")]
mod respond;
mod scheme;
mod secret;
mod signer;
mod time;
#[cfg(feature = "tower")]
pub mod tower;
mod verifier;
#[cfg(feature = "warden")]
mod warden;

pub use encoding::Encoding;
pub use error::{ConfigError, Reason, Rejection, SignError};
#[cfg(feature = "warden")]
pub use event::{Observer, Outcome, SecurityEvent};
pub use head::{FieldName, Head, Occurrence, RequestHead};
pub use mac::{Algorithm, PreparedKeys};
pub use replay::ReplayKey;
#[cfg(feature = "warden")]
pub use respond::{Answer, AnswerBody};
pub use scheme::{Layout, ListedHeaders, NamesIn, Pair, Part, Scheme, SchemeBuilder, SecretFormat};
pub use secret::{Key, KeyId, Keyring, Secret};
pub use signer::{SignedHeaders, Signer};
pub use time::{Timestamp, TimestampFormat, Tolerance};
pub use verifier::{Verification, Verified, Verifier};
#[cfg(feature = "warden")]
pub use warden::{Admitted, Examined, Facts, IdSource, Receiving, Refused, Warden, WardenBuilder};

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! x

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod encoding;
mod error;
mod head;
mod mac;
mod replay;
mod scheme;
mod secret;
mod signer;
mod time;
mod verifier;

pub use encoding::Encoding;
pub use error::{ConfigError, Reason, Rejection, SignError};
pub use head::{FieldName, Head, Occurrence, RequestHead};
pub use mac::{Algorithm, PreparedKeys};
pub use replay::ReplayKey;
pub use scheme::{Layout, ListedHeaders, NamesIn, Pair, Part, Scheme, SchemeBuilder, SecretFormat};
pub use secret::{Key, KeyId, Keyring, Secret};
pub use signer::{SignedHeaders, Signer};
pub use time::{Timestamp, TimestampFormat, Tolerance};
pub use verifier::{Verification, Verified, Verifier};

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! Hookwarden guards webhook endpoints: it proves who sent a request, that it is fresh and that its body is untouched,
//! before a handler runs, and tells the operator what became of every request.
//!
//! * Behind a web framework, build a [`Warden`] and give it to [`axum`], [`actix`] or any [`tower`] service.
//! * Around that, `harden` adds response headers, a policy for plain HTTP and `security.txt`, behind the feature of that
//!   name.
//! * With the bytes already at hand, use a [`Verifier`]; on the sending side a [`Signer`].
//! * For a provider that has no preset, describe its [`Scheme`] as data.
//! * When a request does not verify and nobody knows why, ask `diagnose`, behind the feature of that name.
//!
//! ```
//! use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let verifier = Verifier::new(scheme, keys)?;
//! let head = [
//!     ("X-Webhook-Timestamp", "1800000000"),
//!     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
//! ];
//! let now = Timestamp::from_unix(1_800_000_000); // `verify` reads the clock itself
//! verifier.verify_at(&head, br#"{"event":"user.created"}"#, now)?;
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! What a scheme signs is what it proves: a message without a signed timestamp, such as GitHub's, is valid for ever, so that
//! a Warden for it asks how long deliveries are to be remembered. Bodies are never decoded or re-serialized before they are verified.
//!
//! The crate's core is `no_std` and does no I/O; `--no-default-features` leaves just that.
//!
//! The [`guide`] goes from a first route to production, through rotations and incidents, and over from other crates.

extern crate alloc;

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "warden")]
mod bounded;
#[cfg(feature = "warden")]
mod clock;
#[cfg(feature = "diagnose")]
pub mod diagnose;
mod encoding;
mod error;
#[cfg(feature = "warden")]
mod event;
mod few;
// It is text alone. Its doc-tests need what they show.
#[cfg(all(
    doc,
    any(
        not(doctest),
        all(
            feature = "actix",
            feature = "axum",
            feature = "harden",
            feature = "metrics",
            feature = "serde",
            feature = "tracing"
        )
    )
))]
#[cfg_attr(docsrs, doc(cfg(all())))]
pub mod guide;
#[cfg(feature = "harden")]
pub mod harden;
mod head;
#[cfg(feature = "tower")]
mod intake;
#[cfg(feature = "warden")]
mod keys;
#[cfg(feature = "warden")]
mod limit;
mod mac;
#[cfg(feature = "tower")]
mod origin;
#[cfg(feature = "warden")]
mod peer;
#[cfg(feature = "redis")]
pub mod redis;
mod replay;
#[cfg(feature = "warden")]
mod respond;
mod scheme;
mod secret;
#[cfg(feature = "warden")]
mod shared;
mod signer;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
#[cfg(feature = "tower")]
pub mod tower;
mod verifier;
#[cfg(feature = "warden")]
mod warden;
// The docs say which adapter an item needs; of `_router` they say nothing.
#[cfg(feature = "_router")]
#[cfg_attr(docsrs, doc(cfg(all())))]
mod webhook;

#[cfg(feature = "warden")]
pub use clock::{Clock, Moment, SystemClock};
pub use encoding::Encoding;
#[cfg(feature = "warden")]
pub use error::StoreError;
pub use error::{ConfigError, Reason, Rejection, SignError};
#[cfg(feature = "metrics")]
pub use event::MetricsObserver;
#[cfg(feature = "tracing")]
pub use event::TracingObserver;
#[cfg(feature = "warden")]
pub use event::{
    Alert, AlertObserver, AlertState, AlertSubject, AlertThreshold, Notice, Observer, Outcome, SecurityEvent, Store,
};
pub use head::{FieldName, Head, Occurrence, RequestHead};
#[cfg(feature = "warden")]
pub use keys::{AsyncKeyStore, CachedKeys, CachedKeysBuilder, KeyStore, StaticKeys};
#[cfg(all(feature = "warden", feature = "serde"))]
pub use keys::{FileKeys, FileKeysBuilder, KeyFileError};
#[cfg(feature = "warden")]
pub use limit::{BoxFuture, Decision, LocalLimiter, Quota, RateLimiter, Standing};
pub use mac::{Algorithm, PreparedKeys};
#[cfg(feature = "warden")]
pub use peer::TrustedHops;
pub use replay::ReplayKey;
#[cfg(feature = "warden")]
pub use replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
#[cfg(feature = "warden")]
pub use respond::{Answer, AnswerBody};
pub use scheme::{Layout, ListedHeaders, NamesIn, Pair, Part, Scheme, SchemeBuilder, SecretFormat, TimestampSource};
pub use secret::{Key, KeyId, Keyring, Secret};
#[cfg(feature = "warden")]
pub use shared::{Admittance, SharedStore};
pub use signer::{SignedHeaders, Signer};
pub use time::{Timestamp, TimestampFormat, Tolerance};
pub use verifier::{Verification, Verified, Verifier};
#[cfg(feature = "warden")]
pub use warden::{Admitted, Examined, Facts, IdSource, Receiving, Refused, Warden, WardenBuilder};

/// The README's code blocks as doc-tests.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;

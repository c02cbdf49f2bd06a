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
#[cfg(feature = "tower")]
mod body;
#[cfg(feature = "warden")]
mod bounded;
#[cfg(feature = "warden")]
pub mod clock;
pub mod crypto;
#[cfg(feature = "diagnose")]
pub mod diagnose;
pub mod encoding;
pub mod error;
#[cfg(feature = "warden")]
pub mod event;
mod few;
#[cfg(feature = "warden")]
mod future;
// Docs only; its doctests need these features.
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
pub mod headers;
#[cfg(feature = "warden")]
pub mod keys;
#[cfg(feature = "warden")]
pub mod limit;
#[cfg(feature = "tower")]
mod occurrences;
#[cfg(feature = "warden")]
pub mod proxies;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "warden")]
pub mod replay;
#[cfg(feature = "tower")]
mod request_context;
pub mod scheme;
pub mod secret;
#[cfg(feature = "warden")]
pub mod shared_store;
pub mod signer;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
#[cfg(feature = "tower")]
pub mod tower;
pub mod verifier;
#[cfg(feature = "warden")]
pub mod warden;
// The docs name the adapter that an item needs; `_router` is an implementation detail.
#[cfg(feature = "_router")]
#[cfg_attr(docsrs, doc(cfg(all())))]
mod webhook;

pub use error::{ConfigError, Reason, Rejection};
#[cfg(feature = "warden")]
pub use future::BoxFuture;
#[cfg(feature = "warden")]
pub use limit::Quota;
pub use scheme::Scheme;
pub use secret::{Key, Keyring, Secret};
pub use signer::Signer;
pub use time::{Timestamp, Tolerance};
pub use verifier::Verifier;
#[cfg(feature = "warden")]
pub use warden::{IdSource, Warden};

/// The README's code blocks as doc-tests.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;

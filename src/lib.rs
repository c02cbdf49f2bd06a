#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
//! Hookwarden verifies webhooks before your handler runs. A [`Verifier`] checks a request's signature and its signed
//! timestamp. With the feature `warden`, a `Warden` guards an endpoint: it also limits the body, refuses duplicates and
//! enforces quotas.
//!
//! ```
//! use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
//!
//! let scheme = Scheme::timestamped();
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let verifier = Verifier::new(scheme, keys)?; // once, when the program starts
//!
//! let headers = [
//!     ("X-Webhook-Timestamp", "1800000000"),
//!     ("X-Webhook-Signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe"),
//! ];
//! let now = Timestamp::from_unix(1_800_000_000); // for the current time, call `verify`
//! verifier.verify_at(&headers, br#"{"event":"user.created"}"#, now)?;
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Where to find what
//!
//! | I want to … | see | feature |
//! | --- | --- | --- |
//! | guard a route on axum | [`axum`] | `axum` |
//! | guard a route on actix-web | [`actix`] | `actix` |
//! | guard any other tower service | [`tower`] | `tower` |
//! | guard an endpoint without a framework | [`warden`] | `warden` |
//! | verify a request that is already in memory | [`Verifier`] | |
//! | verify a body while it arrives | [`verifier::Verification`] | |
//! | sign webhooks | [`Signer`] | |
//! | verify signatures with a public key | [`PublicKey`] | `ed25519`, `ecdsa` or `rsa` |
//! | verify HTTP Message Signatures (RFC 9421) | [`message_signatures`] | `message-signatures` |
//! | use a provider by its name | [`providers`] | `providers` |
//! | describe another provider | [`Scheme`], in code or in TOML | `serde` for TOML |
//! | verify a provider's requests with my own code | [`scheme::CustomScheme`] | |
//! | answer a provider's challenge | [`handshake`] | `warden` |
//! | choose where a request names its sender (the webhook id) | [`IdSource`] | `warden` |
//! | rotate keys | [`Keyring`], [`keys::StaticKeys`] | `warden` for `StaticKeys` |
//! | load keys from a file or mounted secrets | [`keys::FileKeys`] | `warden`, `serde` |
//! | load keys from a secrets manager | [`keys::CachedKeys`] | `warden` |
//! | run behind a proxy or a load balancer | [`proxies`] | `warden` |
//! | run several replicas | [`redis`], or another [`shared_store`] | `redis`, `warden` |
//! | write logs | [`event::TracingObserver`] | `tracing` |
//! | export metrics | [`event::MetricsObserver`] | `metrics` |
//! | send alerts | [`event::AlertObserver`] | `warden` |
//! | find out why a request does not verify | [`diagnose`] | `diagnose` |
//! | test my handlers | [`Signer`] for requests, [`testing`] for time | `testing` |
//! | set response headers, refuse plain HTTP, serve `security.txt` | [`harden`] | `harden` |
//!
//! The [`guide`] explains how to get from a first route to production, rotate keys and handle incidents.
//!
//! # What a signature proves
//!
//! A signature proves only the content that the scheme signs. The presets, for example, do not sign the path. A message
//! without a signed timestamp, such as GitHub's, never expires. For such a scheme, you must choose with `warden::Replay`
//! how equal bodies are treated. Hookwarden verifies the received bytes of the body. Decode or parse the body only
//! afterwards.
//!
//! # Features
//!
//! The default feature is `std`, which adds the methods that read the clock. With `default-features = false` the crate is
//! `no_std` with `alloc`, does no I/O, and takes the time from its caller. On `wasm32-unknown-unknown`, which has no
//! clock, the methods that read it do not exist: pass the host's time to `verify_at`. `warden` and `generate` are not
//! available there.
//!
//! | feature | adds |
//! | --- | --- |
//! | `std` | methods that read the wall clock: `verify`, `begin`, `sign`, `Timestamp::now` |
//! | `http` | header and request types of the `http` crate |
//! | `warden` | `Warden`: keys by webhook id, replay protection, quotas and events |
//! | `tower`, `axum`, `actix` | adapters |
//! | `redis` | `RedisStore`, shared by several replicas |
//! | `serde` | schemes from TOML or JSON; with `warden`, handshakes, and keys from files |
//! | `providers` | the schemes of providers by name; with `warden`, their handshakes |
//! | `ed25519`, `ecdsa`, `rsa` | signatures with public keys |
//! | `message-signatures` | HTTP Message Signatures (RFC 9421) |
//! | `tracing`, `metrics` | observers |
//! | `harden` | response headers, plain HTTP policy, `security.txt` |
//! | `diagnose` | explains why a captured request does not verify |
//! | `generate` | secrets from the operating system's random number generator |
//! | `testing` | signed requests and a clock for tests, and acceptance suites for stores |
//!
//! <!-- If a feature is off, links to its items lead to the list of features. -->
//!
#![cfg_attr(not(feature = "warden"), doc = "[`warden`]: #features")]
#![cfg_attr(not(feature = "warden"), doc = "[`IdSource`]: #features")]
#![cfg_attr(not(feature = "warden"), doc = "[`handshake`]: #features")]
#![cfg_attr(not(feature = "warden"), doc = "[`keys::StaticKeys`]: #features")]
#![cfg_attr(not(feature = "warden"), doc = "[`keys::CachedKeys`]: #features")]
#![cfg_attr(not(feature = "warden"), doc = "[`proxies`]: #features")]
#![cfg_attr(not(feature = "warden"), doc = "[`shared_store`]: #features")]
#![cfg_attr(not(feature = "warden"), doc = "[`event::AlertObserver`]: #features")]
#![cfg_attr(not(feature = "axum"), doc = "[`axum`]: #features")]
#![cfg_attr(not(feature = "actix"), doc = "[`actix`]: #features")]
#![cfg_attr(not(feature = "tower"), doc = "[`tower`]: #features")]
#![cfg_attr(not(feature = "message-signatures"), doc = "[`message_signatures`]: #features")]
#![cfg_attr(not(feature = "providers"), doc = "[`providers`]: #features")]
#![cfg_attr(not(feature = "redis"), doc = "[`redis`]: #features")]
#![cfg_attr(not(feature = "tracing"), doc = "[`event::TracingObserver`]: #features")]
#![cfg_attr(not(feature = "metrics"), doc = "[`event::MetricsObserver`]: #features")]
#![cfg_attr(not(feature = "diagnose"), doc = "[`diagnose`]: #features")]
#![cfg_attr(not(feature = "testing"), doc = "[`testing`]: #features")]
#![cfg_attr(not(feature = "harden"), doc = "[`harden`]: #features")]
#![cfg_attr(not(all(feature = "warden", feature = "serde")), doc = "[`keys::FileKeys`]: #features")]

extern crate alloc;

#[cfg(all(feature = "warden", target_family = "wasm", target_os = "unknown"))]
compile_error!(
    "the feature `warden` needs the system's clock and random numbers, which this target does not have: use `Verifier`, \
     with the time of the host"
);

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
pub mod escape;
#[cfg(feature = "warden")]
pub mod event;
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
            feature = "ed25519",
            feature = "harden",
            feature = "message-signatures",
            feature = "metrics",
            feature = "providers",
            feature = "serde",
            feature = "testing",
            feature = "tracing"
        )
    )
))]
#[cfg_attr(docsrs, doc(cfg(all())))]
pub mod guide;
#[cfg(feature = "warden")]
pub mod handshake;
#[cfg(feature = "harden")]
pub mod harden;
pub mod headers;
#[cfg(feature = "warden")]
mod keyed_hash;
#[cfg(feature = "warden")]
pub mod keys;
#[cfg(feature = "warden")]
pub mod limit;
#[cfg(feature = "message-signatures")]
pub mod message_signatures;
#[cfg(feature = "tower")]
mod occurrences;
#[cfg(feature = "providers")]
pub mod providers;
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

pub use error::{ConfigError, Reason};
#[cfg(feature = "warden")]
pub use future::BoxFuture;
#[cfg(feature = "warden")]
pub use limit::Quota;
pub use scheme::Scheme;
pub use secret::{Key, Keyring, PublicKey, Secret};
pub use signer::Signer;
pub use time::{Timestamp, Tolerance};
pub use verifier::{Rejection, Verifier};
#[cfg(feature = "warden")]
pub use warden::{IdSource, Warden};

/// The README's code blocks as doc-tests.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;

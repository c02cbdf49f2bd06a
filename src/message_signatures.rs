//! HTTP Message Signatures ([RFC 9421](https://www.rfc-editor.org/rfc/rfc9421)) with the digest of the body ([RFC
//! 9530](https://www.rfc-editor.org/rfc/rfc9530)).
//!
//! A sender lists in `Signature-Input` which components of the request it signed: the method, the URL, headers. One of
//! these headers is `Content-Digest`, the hash of the body. A [`Profile`] says which components and parameters a signature
//! must have, and [`Profile::scheme`] makes it a [`Scheme`](crate::Scheme). Everything else works as for other schemes:
//! keys and their rotation, replay protection, quotas, events and adapters.
//!
//! ```
//! use hookwarden::crypto::Algorithm;
//! use hookwarden::headers::RequestHead;
//! use hookwarden::message_signatures::{Profile, SignatureParameters};
//! use hookwarden::{Keyring, Timestamp, Verifier};
//!
//! let profile = Profile::webhooks("https://hooks.example.com"); // the URL that senders use
//! let profile = profile.algorithms([Algorithm::HmacSha256]).build()?;
//! let scheme = profile.scheme("acme")?;
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let verifier = Verifier::new(scheme, keys.clone())?;
//!
//! // The sender.
//! let signer = profile.signer(keys)?;
//! let head = [("Content-Type", "application/json")];
//! let head = RequestHead::new("POST", "/webhooks/acme?v=1", &head);
//! let parameters = SignatureParameters::new().keyid("2027-01").nonce("b3k2pp5k7z-50gnwp.yemd");
//! let now = Timestamp::from_unix(1_800_000_000); // `sign` reads the clock instead
//! let signed = signer.sign_at(&head, b"{}", &parameters, now)?;
//!
//! // The receiver.
//! let own = [("Host", "hooks.example.com"), ("Content-Type", "application/json")];
//! let headers: Vec<(&str, &str)> = own.into_iter().chain(signed.iter()).collect();
//! verifier.verify_at(&RequestHead::new("POST", "/webhooks/acme?v=1", &headers), b"{}", now)?;
//! assert!(verifier.verify_at(&RequestHead::new("POST", "/webhooks/acme?v=2", &headers), b"{}", now).is_err());
//! assert!(verifier.verify_at(&RequestHead::new("POST", "/webhooks/acme?v=1", &headers), b"[]", now).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Profiles
//!
//! Each is a builder, so every setting can be changed before [`build`](ProfileBuilder::build).
//!
//! | profile | for | tag |
//! | --- | --- | --- |
//! | [`Profile::webhooks`] | new webhooks | none |
//! | [`Profile::adcp_webhooks`], [`Profile::adcp_requests`] | AdCP 3.2 | `adcp/webhook-signing/v1`, `adcp/request-signing/v1` |
//! | [`Profile::ucp`] | requests and webhooks of UCP | none or `web-bot-auth` |
//! | [`Profile::danger_web_bots`] | Web Bot Auth, which signs neither the path nor the body | `web-bot-auth` |
//! | [`Profile::builder`] | anything else | |
//!
//! # What is checked
//!
//! * **The body belongs to the signature.** Its digests are computed while it arrives, and compared in the same call as the
//!   signature. The signature must cover `content-digest`, also if the body is empty; with
//!   [`ProfileBuilder::covers_with_body`], only if there is a body. At least one digest must be `sha-256` or `sha-512`, and
//!   each of these two that is present must match. Others are ignored.
//! * **The profile decides, never the message:** which components and parameters are needed, and with which algorithm each
//!   kind of key verifies. If the parameter `alg` is present, it must name one of these algorithms, and only keys of that
//!   kind count.
//! * **One signature counts.** It has the label and the tag of the profile, and no tag if the profile has none. A request
//!   with several such signatures is refused, unless [`ProfileBuilder::preferred_label`] or
//!   [`ProfileBuilder::ignores_insufficient_signatures`] leaves one of them. Signatures with another label or another tag
//!   are ignored.
//! * **Where the request went.** `@authority`, `@target-uri` and `@scheme` come from the origin of the profile, never from
//!   the request. The host to which the request was sent must be that of the origin: see [below](#the-host-of-a-request).
//! * **Time.** `created` is needed unless [`ProfileBuilder::created_optional`] is set. A signature is refused when it is
//!   older than the maximum age, or expired.
//! * **Replay.** The signature base identifies a delivery, so a copy with another label or another order of headers is the
//!   same delivery. The parameters `keyid` and `nonce` identify it, too: another message of the sender with the same values
//!   is a duplicate, and its handler does not run. A retry that is signed again is another delivery, because `nonce`
//!   differs: to recognize it, use an id in the body.
//!
//! # Components
//!
//! | component | support |
//! | --- | --- |
//! | `@method`, `@path`, `@query` | as the server received them |
//! | `@target-uri`, `@authority`, `@scheme` | with the origin of the profile |
//! | `@query-param;name="…"` | if the query has the parameter exactly once |
//! | a header | if it occurs once; the lines of a structured list or dictionary are combined: [`ProfileBuilder::structured_field`] |
//! | `sf` | for headers whose type is known: [`ProfileBuilder::structured_field`] |
//! | `key` | as in the RFC |
//! | `bs` | as in the RFC, but `authorization`, `content-length`, `content-type`, `date` and `host` must occur once |
//! | `@status`, `req` | refused: they are for responses |
//! | `tr` | refused: trailers arrive after the body |
//! | `@request-target` | refused: servers do not keep the form in which it was sent |
//!
//! A key that occurs twice in a dictionary or among parameters is refused, although RFC 9651 ignores all but the last one:
//! another implementation could use the first. A covered `content-type` with a comma outside of a quoted string is refused,
//! because a proxy could have combined it from two lines. A request has at most 8 signatures, and a signature 32 components.
//!
//! Before a key is known, the work for a request is bounded: a header value or a request target has at most 8 KiB, a
//! signature base 64 KiB without its last line, and the query and each dictionary are decoded once, however many of the
//! components are in them.
//!
//! # The host of a request
//!
//! Without this check, a captured request for one virtual host would be valid on another with the same keys.
//!
//! * The host is the `Host` header, or the authority of the request target ([`Head::authority`](crate::headers::Head::authority)):
//!   the `:authority` of HTTP/2, or that of an absolute URL in the request line. If a request has both, they must be
//!   equal. A request without a host, or with a repeated or malformed one, is refused.
//! * It must be the authority of the profile's origin. Case, the default port of the origin's scheme and one dot at the end of
//!   the name do not matter. [`Problem::OtherAuthority`] names the authority that was expected.
//! * If a proxy in front of the receiver changes `Host`, set what it sends: [`ProfileBuilder::received_as`].
//! * `Forwarded`, `X-Forwarded-Host` and similar headers are never read, whether a proxy is declared or not, so a client
//!   cannot choose the host with them.
//!
//! [`Profile::keyid`] and [`MessageSigner`] need no host.
//!
//! # Limits
//!
//! * **`expires` has the grace of the clock skew**, 60 seconds by default. The time between `created` and `expires` is only
//!   limited by [`ProfileBuilder::max_validity`], but no signature is accepted after the maximum age.
//! * **A nonce is remembered until its message is stale:** for the maximum age of the profile and a margin. With
//!   [`ProfileBuilder::created_optional`], it is remembered for `Replay::lifetime`.
//! * **`keyid` selects no key** among those of a sender: see below. A tag can demand that it is the thumbprint of the key:
//!   [`ProfileBuilder::thumbprint_keyid`].
//!
//! # Algorithms
//!
//! `hmac-sha256`, `ed25519`, `ecdsa-p256-sha256`, `rsa-v1_5-sha256` and `rsa-pss-sha512` are supported: see
//! [`ProfileBuilder::algorithms`]. A profile has either HMAC or one or more algorithms with public keys, at most one for
//! each kind of key. `ecdsa-p384-sha384` is not supported.
//!
//! **Which senders exist.** A signature that no key verifies is also verified with a fixed key for each algorithm of the
//! profile for which the sender has no key. So response times do not show which kinds of keys a sender has, nor whether it
//! exists. They still differ if it has several keys of one kind, or an RSA key of more than 2048 bits.
//!
//! # Keys by `keyid`
//!
//! All valid keys of the sender are tried; `keyid` does not select one, unless the tag demands a thumbprint.
//! [`Profile::keyid`] reads it as a webhook id, so that each `keyid` has its own keys:
//!
#![cfg_attr(feature = "warden", doc = "```")]
#![cfg_attr(not(feature = "warden"), doc = "```ignore")]
//! use hookwarden::crypto::Algorithm;
//! use hookwarden::message_signatures::Profile;
//! use hookwarden::{IdSource, Keyring, Warden};
//!
//! let profile = Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::HmacSha256]).build()?;
//! let scheme = profile.scheme("acme")?;
//! let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
//! let id = IdSource::closure(move |head| profile.keyid(head));
//! let warden = Warden::builder(scheme).sender("2027-01", keys).webhook_id(id).build()?;
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! The package [`hookwarden-jwks`](https://docs.rs/hookwarden-jwks) loads the keys of senders from their JWK Sets over HTTPS,
//! and selects a key by its sender and `keyid`.

mod algorithms;
mod authority;
mod base64url;
mod builder;
mod check;
mod choice;
mod component;
mod coverage;
mod digest;
mod host;
#[cfg(feature = "diagnose")]
mod inspection;
mod normalized;
mod origin;
mod parser;
mod problem;
mod profile;
mod profiles;
mod query;
mod reading;
mod requirements;
mod signer;
mod structured;
mod values;

#[cfg(feature = "diagnose")]
pub(crate) use algorithms::name as algorithm_name;
pub use builder::ProfileBuilder;
#[cfg(feature = "diagnose")]
pub(crate) use inspection::{Change, Inspection, Signed};
pub use problem::{Parameter, Problem};
pub use profile::Profile;
pub use signer::{MessageSigner, SignatureParameters};
pub use values::StructuredType;

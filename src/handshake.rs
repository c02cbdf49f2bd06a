//! Handshakes as data: how a provider checks a new endpoint, and what it expects as the answer.
//!
//! Many providers send a request before the first delivery: a GET with a challenge in the query, a signed POST with a
//! challenge in its body, or a bare HEAD. A [`Handshake`] says which requests these are and how to answer them.
//! [`WardenBuilder::handshake`](crate::warden::WardenBuilder::handshake) sets it, and the adapters answer before the
//! handler, on the same route as deliveries. With the feature `providers`, `Handshake::provider("slack")` returns the one
//! of a provider.
//!
//! ```
//! use hookwarden::handshake::Handshake;
//! use hookwarden::{Keyring, Scheme, Warden};
//!
//! // Meta: `GET …?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=…` is answered with the challenge.
//! let handshake = Handshake::query("hub.challenge")
//!     .require("hub.mode", "subscribe")
//!     .token("hub.verify_token", "the text entered at registration");
//! let scheme = Scheme::github(); // Meta's is the same
//! let keys = Keyring::new(scheme.secret("the-secret-of-the-app")?);
//! # use std::time::Duration;
//! # use hookwarden::warden::Replay;
//! let warden = Warden::builder(scheme)
//!     .sender("acme", keys)
//!     .handshake(handshake)
//!     .replay(Replay::new().lifetime(Duration::from_secs(7 * 86_400)))
//!     .build()?;
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```
//!
//! # Kinds
//!
//! | constructor | a request | verified |
//! | --- | --- | --- |
//! | [`Handshake::query`] | GET with the challenge in its query | only with a condition; [`token`](Handshake::token) compares a text |
//! | [`Handshake::header`] | GET with the challenge in a header | only with a condition |
//! | [`Handshake::probe`] | GET or HEAD without a challenge | no |
//! | [`Handshake::body`] | a delivery with the challenge in its JSON | like any delivery |
//! | [`Handshake::ping`] | a delivery without a challenge | like any delivery |
//!
//! [`when`](Handshake::when), [`when_number`](Handshake::when_number) and [`when_header`](Handshake::when_header) say
//! which deliveries are challenges. A handshake with such a condition is *signed*: it is answered only after its
//! signature is verified and its delivery is claimed.
//!
//! # Challenges
//!
//! A challenge has 1 to 1,024 bytes of UTF-8 without control characters. A request that does not have exactly one such
//! challenge, or lacks a required value, is not a handshake: it goes on to the usual checks.
//!
//! # Copies
//!
//! A provider may send the same signed challenge twice, and needs an answer both times. So a copy is answered again, unless
//! its challenge is in a header or the query, which anyone can change in a copy, or [`accept_if`](Handshake::accept_if)
//! decides. Copies count against [`Quotas::handshakes`](crate::warden::Quotas::handshakes), and are plain duplicates above it.
//!
//! # MACs
//!
//! X, Zoom and LinkedIn ask for the MAC of the challenge, with the key that signs their deliveries. An endpoint that
//! signs any text would sign deliveries too. So [`mac`](Handshake::mac) takes only challenges of 1 to 128 letters,
//! digits, `-` and `_`, and [`build`](crate::warden::WardenBuilder::build) checks that such a text can never be the
//! signed content of a delivery:
//! * if the scheme always signs a literal with another character, such as `v0:`, it cannot;
//! * if the scheme signs only the body, the Warden refuses each delivery whose whole body has that form;
//! * any other scheme is a [`ConfigError`].
//!
//! This holds for one Warden. Do not use the key of such a handshake for other endpoints or messages.

mod answer;
mod challenge;
mod check;
mod conditions;
#[cfg(feature = "serde")]
mod document;
mod oracle;
mod parts;
mod reply;
mod template;

use std::fmt;

use http::StatusCode;
use zeroize::Zeroizing;

use crate::encoding::Encoding;
use crate::error::ConfigError;

pub use parts::HashPart;

pub(crate) use challenge::Challenge;
pub(crate) use oracle::{ForgeryGuard, MAX_SIGNABLE, are_signable};
pub(crate) use reply::Reply;

use parts::{Condition, Decide, Digest, Form, Source, Token, field_name};

/// How a provider checks an endpoint, and the answer that it expects.
///
/// Invalid settings are reported by [`WardenBuilder::build`](crate::warden::WardenBuilder::build).
///
/// ```
/// use hookwarden::encoding::Encoding;
/// use hookwarden::handshake::{HashPart, Handshake};
///
/// // Dropbox: the challenge as plain text.
/// let dropbox = Handshake::query("challenge");
/// // Okta: the challenge of a header, in JSON.
/// let okta = Handshake::header("X-Okta-Verification-Challenge").json(r#"{"verification":"{challenge}"}"#);
/// // Slack: a signed POST.
/// let slack = Handshake::body("/challenge").when("/type", "url_verification");
/// // Zoom: a signed POST, and the HMAC of its challenge.
/// let zoom = Handshake::body("/payload/plainToken")
///     .when("/event", "endpoint.url_validation")
///     .json(r#"{"plainToken":"{challenge}","encryptedToken":"{mac}"}"#)
///     .mac(Encoding::Hex);
/// // eBay: the SHA-256 of the challenge, the receiver's token and the URL of the endpoint.
/// let ebay = Handshake::query("challenge_code")
///     .json(r#"{"challengeResponse":"{hash}"}"#)
///     .hash([HashPart::Challenge, HashPart::Token, HashPart::Endpoint])
///     .with_token("a-random-text-of-at-least-32-characters")
///     .with_endpoint("https://hooks.example.com");
/// ```
///
#[cfg_attr(feature = "serde", doc = include_str!("handshake/document.md"))]
#[derive(Clone)]
#[must_use]
pub struct Handshake {
    /// `None` if the request has no challenge.
    source: Option<Source>,
    /// `None` for the default of the kind.
    method: Option<String>,
    required: Vec<(String, String)>,
    /// The query parameter that must equal the token.
    token_parameter: Option<String>,
    token: Option<Token>,
    endpoint: Option<String>,
    /// Not empty if the handshake is signed.
    conditions: Vec<Condition>,
    /// A signed handshake without a condition is an error.
    needs_condition: bool,
    form: Form,
    digest: Option<Digest>,
    status: StatusCode,
    decide: Option<Decide>,
    /// The document requires that the application decides.
    needs_decision: bool,
    /// The first invalid setting.
    fault: Option<ConfigError>,
}

impl Handshake {
    /// A GET whose query has the parameter `name` exactly once: its value is the challenge. Names and values are
    /// percent-decoded once, and `+` is a space. The answer is the challenge as plain text.
    pub fn query(name: impl Into<String>) -> Self {
        Self::new(Some(Source::Query(name.into())), Form::Text)
    }

    /// A GET that has the header `name` exactly once: its value is the challenge. The answer is the challenge as plain
    /// text.
    pub fn header(name: &str) -> Self {
        let (name, fault) = field_name(name);
        let source = name.map(Source::Header);
        Self { fault, ..Self::new(source, Form::Text) }
    }

    /// A delivery whose JSON body has the challenge, a string, at `pointer`
    /// ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)), such as `/payload/plainToken`. It needs a condition, such
    /// as [`when`](Self::when). The body must have at most 64 KiB. The answer is the challenge as plain text.
    pub fn body(pointer: impl Into<String>) -> Self {
        Self { needs_condition: true, ..Self::new(Some(Source::Body(pointer.into())), Form::Text) }
    }

    /// A delivery without a challenge. It needs a condition, such as [`when`](Self::when). The answer is empty, unless
    /// [`json`](Self::json) sets another.
    pub fn ping() -> Self {
        Self { needs_condition: true, ..Self::new(None, Form::Empty) }
    }

    /// Any GET or HEAD. The answer is empty. Add it last: a GET that an earlier handshake matches is answered by that
    /// one.
    pub fn probe() -> Self {
        Self::new(None, Form::Empty)
    }

    const fn new(source: Option<Source>, form: Form) -> Self {
        Self {
            source,
            method: None,
            required: Vec::new(),
            token_parameter: None,
            token: None,
            endpoint: None,
            conditions: Vec::new(),
            needs_condition: false,
            form,
            digest: None,
            status: StatusCode::OK,
            decide: None,
            needs_decision: false,
            fault: None,
        }
    }

    /// Sets the method of an unsigned handshake, in uppercase, such as `POST` for Microsoft Graph. If deliveries have
    /// the same method, a request with a signature header is a delivery and never a handshake.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Requires that the query has the parameter `name` exactly once, with this value.
    pub fn require(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.required.push((name.into(), value.into()));
        self
    }

    /// Requires that the query has the parameter `name` exactly once, with the receiver's own token as its value. It is
    /// compared in constant time. A wrong token counts against
    /// [`Quotas::handshakes`](crate::warden::Quotas::handshakes), and above the quota none is compared.
    pub fn token(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.token_parameter(name).with_token(text)
    }

    fn token_parameter(self, name: impl Into<String>) -> Self {
        Self { token_parameter: Some(name.into()), ..self }
    }

    /// Sets the receiver's own token: the text that was entered where the webhook was registered. It is a secret.
    /// A handshake from a file needs it if the file sets `token`, or if `hash` contains `token`. For any other handshake it is
    /// an error.
    pub fn with_token(mut self, text: impl Into<String>) -> Self {
        self.token = Some(Token(Zeroizing::new(text.into())));
        self
    }

    /// Sets the scheme and host of the endpoint's URL, such as `https://hooks.example.com`, without a slash at the end.
    /// The path of the request completes it. Only [`HashPart::Endpoint`] uses it.
    pub fn with_endpoint(mut self, base: impl Into<String>) -> Self {
        self.endpoint = Some(base.into());
        self
    }

    /// Whether the request is verified before the answer.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Returns the encoding of the MAC, if the answer has one.
    pub(crate) const fn mac_encoding(&self) -> Option<Encoding> {
        match &self.digest {
            Some(Digest::Mac(encoding)) => Some(*encoding),
            _ => None,
        }
    }
}

/// Does not print the token.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("source", &self.source)
            .field("method", &self.method)
            .field("is_signed", &self.is_signed())
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

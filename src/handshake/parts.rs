//! The pieces of a handshake.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::template::Template;
use crate::encoding::Encoding;
use crate::error::ConfigError;
use crate::headers::FieldName;

/// A part of the text that [`Handshake::hash`](super::Handshake::hash) hashes.
///
/// ```
/// use hookwarden::handshake::{HashPart, Handshake};
///
/// let handshake = Handshake::query("challenge_code")
///     .json(r#"{"challengeResponse":"{hash}"}"#)
///     .hash([HashPart::Challenge, HashPart::Token])
///     .with_token("a-random-text-of-at-least-32-characters");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum HashPart {
    /// The challenge.
    Challenge,
    /// The receiver's own token.
    Token,
    /// The URL of the endpoint: [`with_endpoint`](super::Handshake::with_endpoint) and the path of the request, without
    /// its query.
    Endpoint,
}

/// Where the challenge is.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Query(String),
    Header(FieldName),
    /// A JSON pointer into the body.
    Body(String),
}

/// What distinguishes a challenge from other deliveries.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    Body { pointer: String, expected: Expected },
    Header { name: FieldName, value: String },
}

/// A value in the body.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    Text(String),
    Number(i64),
}

/// The form of the answer.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Empty,
    Text,
    Json(Template),
    /// The header of the challenge.
    SameHeader,
}

/// What is computed from the challenge.
#[derive(Debug, Clone)]
pub(super) enum Digest {
    Mac(Encoding),
    Hash(Vec<HashPart>),
}

/// The application's decision about a webhook id and a challenge.
pub(super) type Decide = Arc<dyn Fn(Option<&str>, &str) -> bool + Send + Sync>;

/// The receiver's own token.
#[derive(Clone)]
pub(super) struct Token(pub(super) Zeroizing<String>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Returns the name, or why it is not one.
pub(super) fn field_name(name: &str) -> (Option<FieldName>, Option<ConfigError>) {
    match FieldName::new(name) {
        Ok(name) => (Some(name), None),
        Err(error) => (None, Some(error)),
    }
}

//! Header names.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use crate::error::ConfigError;

/// The name of a header: a token of up to 128 bytes ([RFC 9110 section
/// 5.1](https://www.rfc-editor.org/rfc/rfc9110#section-5.1)).
///
/// Comparison ignores case; [`as_str`](Self::as_str) returns the name as it was given.
///
/// ```
/// use hookwarden::headers::FieldName;
///
/// let name = FieldName::new("X-Webhook-Signature")?;
/// assert_eq!(name.as_str(), "X-Webhook-Signature");
/// assert_eq!(name, FieldName::new("x-webhook-signature")?);
/// assert!(FieldName::new("X Webhook Signature").is_err());
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "String"))]
pub struct FieldName {
    text: Cow<'static, str>,
    /// The name in the type of the `http` crate, so that lookups do not parse it again.
    #[cfg(feature = "http")]
    pub(super) http: Option<http::HeaderName>,
}

impl FieldName {
    /// Creates a header name from text.
    ///
    /// # Errors
    /// The name is empty, longer than 128 bytes, or contains a byte that a token must not contain.
    pub fn new(name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token_byte) {
            return Err(ConfigError::new("header", alloc::format!("must be a token of 1 to 128 bytes, not {name:?}")));
        }
        Ok(Self::of(name.into()))
    }

    /// Creates a name of a preset without checks. A test checks these names.
    pub(crate) fn preset(name: &'static str) -> Self {
        Self::of(name.into())
    }

    fn of(text: Cow<'static, str>) -> Self {
        Self {
            #[cfg(feature = "http")]
            http: http::HeaderName::from_bytes(text.as_bytes()).ok(),
            text,
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for FieldName {}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl TryFrom<String> for FieldName {
    type Error = ConfigError;

    fn try_from(name: String) -> Result<Self, ConfigError> {
        Self::new(name)
    }
}

/// Whether a token can contain the byte (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_is_not_a_token_is_refused() {
        let long = "a".repeat(129);
        for name in ["", "a b", "a:b", "a\n", "é", "a\0", &long] {
            assert_eq!(FieldName::new(name).unwrap_err().field(), "header", "{name:?}");
        }
    }
}

//! The format of a provider's secrets.

/// How the text of a provider's secret is converted to a key.
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::scheme::{SecretFormat, SignedPart};
///
/// let scheme = Scheme::builder("acme")
///     .signature_header("Acme-Signature")
///     .secret_format(SecretFormat::Hex)
///     .signed([SignedPart::Body])
///     .build()?;
/// assert!(scheme.secret("00ff10").is_ok());
/// assert!(scheme.secret("not hex").is_err());
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SecretFormat {
    /// The key is the text's UTF-8 bytes.
    #[default]
    Literal,
    /// The key is the text decoded from padded base64.
    Base64,
    /// The key is the text decoded from hex.
    Hex,
    /// The key is the text decoded from base64, after the prefix `whsec_` if it has one. The base64 has its padding, as
    /// in Standard Webhooks, or none, as some of its adopters show it.
    Whsec,
}

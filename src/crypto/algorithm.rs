//! The signature algorithms.

use core::ops::RangeInclusive;

use crate::secret::KeyKind;

/// The signature algorithm of a scheme. The scheme fixes it; a request cannot choose another.
///
/// The algorithms with public keys need a feature. Building a scheme without the feature of its algorithm is a
/// [`ConfigError`](crate::ConfigError).
///
/// ```
/// use hookwarden::Scheme;
/// use hookwarden::crypto::Algorithm;
///
/// assert_eq!(Scheme::github().algorithm(), Algorithm::HmacSha256);
/// assert!(Algorithm::Ed25519.uses_public_keys());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC-SHA-256 ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)), 32 bytes.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "hmac-sha256"))]
    HmacSha256,
    /// HMAC-SHA-1, 20 bytes, for providers that still use it.
    #[cfg_attr(feature = "serde", serde(rename = "hmac-sha1"))]
    HmacSha1,
    /// HMAC-SHA-512, 64 bytes.
    #[cfg_attr(feature = "serde", serde(rename = "hmac-sha512"))]
    HmacSha512,
    /// Ed25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032)), 64 bytes. Needs the feature `ed25519`.
    #[cfg_attr(feature = "serde", serde(rename = "ed25519"))]
    Ed25519,
    /// ECDSA on P-256 with SHA-256 ([FIPS 186-5](https://doi.org/10.6028/NIST.FIPS.186-5)), as the 64 bytes of `r` and
    /// `s`. Needs the feature `ecdsa`.
    #[cfg_attr(feature = "serde", serde(rename = "ecdsa-p256"))]
    EcdsaP256,
    /// ECDSA on P-256 with SHA-256, as ASN.1 DER: 8 to 72 bytes. Needs the feature `ecdsa`.
    #[cfg_attr(feature = "serde", serde(rename = "ecdsa-p256-der"))]
    EcdsaP256Der,
    /// RSASSA-PKCS1-v1_5 with SHA-256 ([RFC 8017](https://www.rfc-editor.org/rfc/rfc8017#section-8.2)) and a key of 2048
    /// to 4096 bits. Needs the feature `rsa`.
    #[cfg_attr(feature = "serde", serde(rename = "rsa-pkcs1-sha256"))]
    RsaPkcs1,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes ([RFC
    /// 8017](https://www.rfc-editor.org/rfc/rfc8017#section-8.1)), and a key of 2048 to 4096 bits. Needs the feature
    /// `rsa`.
    #[cfg_attr(feature = "serde", serde(rename = "rsa-pss-sha256"))]
    RsaPss,
    /// RSASSA-PSS with SHA-512, MGF1 with SHA-512 and a salt of 64 bytes ([RFC
    /// 8017](https://www.rfc-editor.org/rfc/rfc8017#section-8.1)), and a key of 2048 to 4096 bits. Needs the feature
    /// `rsa`.
    #[cfg_attr(feature = "serde", serde(rename = "rsa-pss-sha512"))]
    RsaPssSha512,
}

impl Algorithm {
    /// Whether receivers verify with a public key. If not, the algorithm is an HMAC, and sender and receiver share a
    /// secret.
    #[must_use]
    pub const fn uses_public_keys(self) -> bool {
        self.key_kind().is_some()
    }

    /// The size of a MAC in bytes, or `None` if the algorithm is not an HMAC.
    pub(crate) const fn mac_size(self) -> Option<usize> {
        match self {
            Self::HmacSha1 => Some(20),
            Self::HmacSha256 => Some(32),
            Self::HmacSha512 => Some(64),
            _ => None,
        }
    }

    /// The sizes that a signature can have, in bytes.
    pub(crate) const fn signature_sizes(self) -> RangeInclusive<usize> {
        match self {
            Self::HmacSha1 => 20..=20,
            Self::HmacSha256 => 32..=32,
            Self::HmacSha512 | Self::Ed25519 | Self::EcdsaP256 => 64..=64,
            Self::EcdsaP256Der => 8..=72,
            Self::RsaPkcs1 | Self::RsaPss | Self::RsaPssSha512 => 256..=512,
        }
    }

    /// The kind of the key pair, or `None` if the algorithm is an HMAC.
    pub(crate) const fn key_kind(self) -> Option<KeyKind> {
        match self {
            Self::HmacSha256 | Self::HmacSha1 | Self::HmacSha512 => None,
            Self::Ed25519 => Some(KeyKind::Ed25519),
            Self::EcdsaP256 | Self::EcdsaP256Der => Some(KeyKind::P256),
            Self::RsaPkcs1 | Self::RsaPss | Self::RsaPssSha512 => Some(KeyKind::Rsa),
        }
    }

    /// The feature that the algorithm needs and that is off.
    pub(crate) const fn missing_feature(self) -> Option<&'static str> {
        match self.key_kind() {
            Some(KeyKind::Ed25519) if !cfg!(feature = "ed25519") => Some("ed25519"),
            Some(KeyKind::P256) if !cfg!(feature = "ecdsa") => Some("ecdsa"),
            Some(KeyKind::Rsa) if !cfg!(feature = "rsa") => Some("rsa"),
            _ => None,
        }
    }
}

//! Public keys.

use alloc::vec::Vec;
use core::fmt;

/// A public key, parsed and checked. [`Scheme::public_key`](crate::scheme::Scheme::public_key) reads it from the text
/// that a provider shows.
///
/// A public key verifies signatures and cannot create them. It is not secret.
///
#[cfg_attr(feature = "ed25519", doc = "```")]
#[cfg_attr(not(feature = "ed25519"), doc = "```ignore")]
/// use hookwarden::{Keyring, PublicKey, Scheme, Verifier};
///
/// let scheme = Scheme::standard_webhooks_v1a();
/// let key: PublicKey = scheme.public_key("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")?;
/// let verifier = Verifier::new(scheme, Keyring::new(key))?;
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    /// The only form of the key that is used here: 32 bytes for Ed25519, an uncompressed point for P-256, and DER of
    /// PKCS#1 for RSA. Equal keys have equal bytes.
    bytes: Vec<u8>,
}

impl PublicKey {
    pub(crate) const fn new(kind: KeyKind, bytes: Vec<u8>) -> Self {
        Self { kind, bytes }
    }

    pub(crate) const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key's bytes: 32 bytes for Ed25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032#section-5.1.5)), an
    /// uncompressed point of 65 bytes for ECDSA ([SEC 1](https://www.secg.org/sec1-v2.pdf) section 2.3.3), and the DER
    /// of `RSAPublicKey` for RSA ([RFC 8017](https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1)).
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.kind).finish()
    }
}

/// The kind of a key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Ed25519,
    P256,
    Rsa,
}

impl KeyKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "an Ed25519 key",
            Self::P256 => "a P-256 key",
            Self::Rsa => "an RSA key",
        }
    }
}

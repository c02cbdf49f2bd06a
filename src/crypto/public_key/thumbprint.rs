//! The thumbprint of a public key ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638); for Ed25519, [RFC
//! 8037](https://www.rfc-editor.org/rfc/rfc8037#appendix-A.3)).

use alloc::format;
use alloc::string::String;

use sha2::{Digest as _, Sha256};

use super::rsa;
use crate::encoding::Encoding;
use crate::secret::{KeyKind, PublicKey};

impl PublicKey {
    /// The JWK thumbprint of the key with SHA-256 ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)), in base64url without
    /// padding. It is the name of a key in Web Bot Auth. For a private key, use [`Secret::public_key`](crate::Secret::public_key).
    ///
    #[cfg_attr(feature = "ed25519", doc = "```")]
    #[cfg_attr(not(feature = "ed25519"), doc = "```ignore")]
    /// use hookwarden::message_signatures::Profile;
    ///
    /// let scheme = Profile::danger_web_bots("https://example.com").build()?.scheme("web-bots")?;
    /// let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    /// assert_eq!(scheme.public_key(jwk)?.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    /// # Ok::<(), hookwarden::ConfigError>(())
    /// ```
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let text = |bytes: &[u8]| Encoding::Base64UrlUnpadded.encode(bytes);
        let bytes = self.as_bytes();
        // A key of another form has its own bytes as the first member: two keys must not have the same thumbprint.
        let unreadable = (bytes, &[][..]);
        // The members that a key must have, in the order of their names.
        let jwk = match self.kind() {
            KeyKind::Ed25519 => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(bytes)),
            // An uncompressed point: a byte that says so, and two coordinates.
            KeyKind::P256 => {
                let (x, y) = bytes.get(1..).and_then(|point| point.split_at_checked(32)).unwrap_or(unreadable);
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            KeyKind::Rsa => {
                let (modulus, exponent) = rsa::parts(bytes).unwrap_or(unreadable);
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(exponent), text(modulus))
            }
        };
        text(&Sha256::digest(jwk))
    }
}

/// Whether the text has the form of a thumbprint.
pub(crate) fn is_thumbprint(text: &str) -> bool {
    Encoding::Base64UrlUnpadded.decode(text.as_bytes()).is_some_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_keys_have_different_thumbprints() {
        for kind in [KeyKind::Ed25519, KeyKind::P256, KeyKind::Rsa] {
            let thumbprint = |bytes: &[u8]| PublicKey::new(kind, bytes.into()).thumbprint();
            assert_ne!(thumbprint(b"a"), thumbprint(b"b"), "{kind:?}");
        }
    }
}

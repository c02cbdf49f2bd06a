//! The thumbprint of a public key ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638); for Ed25519, [RFC
//! 8037](https://www.rfc-editor.org/rfc/rfc8037#appendix-A.3)).

use alloc::format;
use alloc::string::String;

use sha2::{Digest as _, Sha256};

use super::rsa;
use crate::encoding::Encoding;
use crate::secret::{KeyKind, PublicKey};

/// Returns the SHA-256 of the key's JWK in base64url without padding.
pub(crate) fn thumbprint(key: &PublicKey) -> String {
    let text = |bytes: &[u8]| Encoding::Base64UrlUnpadded.encode(bytes);
    let bytes = key.as_bytes();
    // The members that a key must have, in the order of their names.
    let jwk = match key.kind() {
        KeyKind::Ed25519 => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(bytes)),
        // An uncompressed point: a byte that says so, and two coordinates.
        KeyKind::P256 => {
            let (x, y) = bytes.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
        }
        KeyKind::Rsa => {
            let (modulus, exponent) = rsa::parts(bytes).unwrap_or_default();
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text(&exponent), text(&modulus))
        }
    };
    text(&Sha256::digest(jwk))
}

/// Whether the text has the form of a thumbprint.
pub(crate) fn is_thumbprint(text: &str) -> bool {
    Encoding::Base64UrlUnpadded.decode(text.as_bytes()).is_some_and(|bytes| bytes.len() == 32)
}

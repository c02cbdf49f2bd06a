//! Recognizing public and private keys among secrets.

use crate::encoding::{decode_base64_any, decode_secret_hex};

/// Whether `bytes` are a public or private key in a form that providers show: PEM, SSH, JWK, the prefixes of Standard
/// Webhooks, or DER, also in base64 or hex. White space and a byte order mark before it do not matter.
///
/// A key without any structure, such as the 32 bytes of an Ed25519 key, looks like a secret.
pub(super) fn is_key_pair(bytes: &[u8]) -> bool {
    let text = without_margin(bytes);
    PREFIXES.iter().any(|prefix| text.starts_with(prefix.as_bytes()))
        || (text.starts_with(b"{") && text.windows(KTY.len()).any(|part| part == KTY))
        || is_der(bytes)
        || is_encoded_der(text)
}

fn without_margin(mut bytes: &[u8]) -> &[u8] {
    loop {
        bytes = match bytes.trim_ascii_start() {
            [0xef, 0xbb, 0xbf, rest @ ..] => rest,
            text => return text,
        };
    }
}

/// Whether the start of the text is base64, base64url or hex of DER.
fn is_encoded_der(text: &[u8]) -> bool {
    let start = |length: usize| core::str::from_utf8(text.get(..length).unwrap_or_default()).unwrap_or_default();
    let (base64, hex) = (decode_base64_any(start(BASE64_START)), decode_secret_hex(start(HEX_START)));
    [base64, hex].into_iter().flatten().any(|bytes| is_der(&bytes))
}

/// Whether the bytes begin like the DER of a key: SPKI or an X.509 certificate (RFC 5280), PKCS#8 (RFC 5958), PKCS#1
/// (RFC 8017), or SEC 1 (RFC 5915).
fn is_der(bytes: &[u8]) -> bool {
    match sequence(bytes) {
        // A private key begins with its version.
        Some([0x02, 0x01, 0x00 | 0x01, key @ ..]) => {
            is_algorithm(key) || is_modulus(key) || matches!(key, [0x04, 0x20 | 0x30 | 0x42, ..])
        }
        Some(key) => is_algorithm(key) || is_modulus(key),
        None => false,
    }
}

/// Returns the start of the content of a DER sequence.
const fn sequence(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0x30, 0x82, _, _, content @ ..] | [0x30, 0x81, _, content @ ..] | [0x30, 0x00..=0x7f, content @ ..] => {
            Some(content)
        }
        _ => None,
    }
}

/// Whether the bytes begin with the algorithm of a key, or with the version of a certificate.
fn is_algorithm(bytes: &[u8]) -> bool {
    sequence(bytes).is_some_and(|content| ALGORITHMS.iter().any(|start| content.starts_with(start)))
}

/// Whether the bytes begin with an integer of 1024 bits or more.
const fn is_modulus(bytes: &[u8]) -> bool {
    matches!(bytes, [0x02, 0x81, 0x80..=0xff, 0x00, ..] | [0x02, 0x82, 0x01..=0x08, _, 0x00, ..])
}

/// The prefixes of a public and a private key in Standard Webhooks.
pub(crate) const WHPK: &str = "whpk_";
pub(crate) const WHSK: &str = "whsk_";

/// The start of a text in PEM format (RFC 7468).
pub(crate) const PEM: &str = "-----BEGIN ";

/// The starts of a text in PEM (RFC 7468), in the formats of SSH (RFC 4253, RFC 4716), or with a prefix of Standard
/// Webhooks.
const PREFIXES: [&str; 8] = [WHPK, WHSK, PEM, "---- BEGIN ", "ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"];

/// The member that every JWK has (RFC 7517).
const KTY: &[u8] = b"\"kty\"";

/// The starts of the content of an algorithm, each an object identifier or its beginning, and of a certificate.
const ALGORITHMS: [&[u8]; 5] = [
    // X25519, X448, Ed25519 and Ed448 (RFC 8410).
    &[0x06, 0x03, 0x2b, 0x65],
    // Elliptic curves (RFC 5480).
    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
    // RSA (RFC 8017).
    &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01],
    // DSA (RFC 3279).
    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01],
    // The version of an X.509 certificate.
    &[0xa0, 0x03, 0x02, 0x01, 0x02],
];

/// The lengths of 24 bytes, which are enough for [`is_der`], in base64 and in hex.
const BASE64_START: usize = 32;
const HEX_START: usize = 48;

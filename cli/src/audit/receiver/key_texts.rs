//! The forms in which providers show a public key. A receiver that confuses algorithms may use one as an HMAC secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwarden::PublicKey;
use hookwarden::crypto::Algorithm;

/// Each form with its description.
pub(super) fn all(algorithm: Algorithm, key: &PublicKey) -> Vec<(&'static str, Vec<u8>)> {
    let raw = key.as_bytes();
    let spki = spki(algorithm, raw);
    let base64 = STANDARD.encode(raw);
    let pem = pem("PUBLIC KEY", &spki);
    let mut texts = vec![
        ("the public key in hex", const_hex::encode(raw).into_bytes()),
        ("the public key's DER", spki.clone()),
        ("the public key's DER in base64", STANDARD.encode(&spki).into_bytes()),
        ("the public key in PEM without the last line break", pem.trim_end().into()),
        ("the public key in PEM", pem.into()),
    ];
    match algorithm {
        Algorithm::Ed25519 => texts.push(("the public key with whpk_", format!("whpk_{base64}").into())),
        Algorithm::RsaPkcs1 | Algorithm::RsaPss | Algorithm::RsaPssSha512 => {
            let pem = self::pem("RSA PUBLIC KEY", raw);
            texts.push(("the public key in PEM of PKCS#1 without the last line break", pem.trim_end().into()));
            texts.push(("the public key in PEM of PKCS#1", pem.into()));
        }
        _ => {}
    }
    texts.push(("the public key in base64", base64.into()));
    texts
}

/// `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1).
fn spki(algorithm: Algorithm, raw: &[u8]) -> Vec<u8> {
    let identifier = match algorithm {
        Algorithm::Ed25519 => ED25519,
        Algorithm::EcdsaP256 | Algorithm::EcdsaP256Der => P256,
        _ => RSA,
    };
    let bits = tagged(BIT_STRING, &[&[0], raw].concat());
    tagged(SEQUENCE, &[identifier, &bits].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    // No key here has 64 KiB.
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = match (high, low) {
        (0, 0..=127) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

/// The text of RFC 7468, with a line break at its end.
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for (place, character) in base64.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str(&format!("\n-----END {label}-----\n"));
    text
}

const BIT_STRING: u8 = 3;
const SEQUENCE: u8 = 0x30;

/// `AlgorithmIdentifier` of RFC 8410 section 3.
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

/// `AlgorithmIdentifier` of RFC 5480 section 2.1.1, with the curve secp256r1.
const P256: &[u8] = &[0x30, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// `AlgorithmIdentifier` of RFC 8017 appendix A.1.
const RSA: &[u8] = &[0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];

#[cfg(test)]
mod tests {
    use hookwarden::Scheme;
    use hookwarden::scheme::SignedPart;

    use super::*;

    #[test]
    fn forms_equal_those_of_openssl() {
        for (algorithm, files) in [
            (Algorithm::Ed25519, &[include_str!("../../../../tests/public_keys/keys/ed25519_public.pem")][..]),
            (Algorithm::EcdsaP256, &[include_str!("../../../../tests/public_keys/keys/p256_public.pem")]),
            (
                Algorithm::RsaPss,
                &[
                    include_str!("../../../../tests/public_keys/keys/rsa_a_public.pem"),
                    include_str!("../../../../tests/public_keys/keys/rsa_a_public_pkcs1.pem"),
                ],
            ),
        ] {
            let scheme = Scheme::builder("bare").algorithm(algorithm).signature_header("X-Signature");
            let scheme = scheme.signed([SignedPart::Body]).build().unwrap();
            for file in files {
                let key = scheme.public_key(file).unwrap();
                let texts = all(algorithm, &key);
                let has = |text: &str| texts.iter().any(|(_, known)| known == text.as_bytes());
                assert!(has(file) && has(file.trim_end()), "{algorithm:?}: {texts:?}");
                for (what, text) in texts {
                    let text = String::from_utf8(text).unwrap_or_else(|error| STANDARD.encode(error.as_bytes()));
                    assert_eq!(scheme.public_key(&text), Ok(key.clone()), "{algorithm:?}: {what}");
                }
            }
        }
    }
}

//! Reading keys from the texts that providers show.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::interface::PrivateKey;
use super::jwk::Jwk;
use super::{private, public};
use crate::crypto::Algorithm;
use crate::encoding::{decode_base64_any, decode_secret_base64_any_padding, decode_secret_hex};
use crate::error::ConfigError;
use crate::secret::{KeyKind, PEM, PublicKey, Secret, WHPK, WHSEC, WHSK};

/// Reads a public key: hex, base64 or base64url of the raw key or of its DER, PEM, JWK, or `whpk_` and base64. It must be a
/// key for one of the algorithms, which have different kinds of keys.
pub(crate) fn read_public(algorithms: &[Algorithm], text: &str) -> Result<PublicKey, ConfigError> {
    let read = |algorithm, kind| public_for(algorithm, kind, text);
    read_for_one(algorithms, read).map_err(|refusals| refusals.error("public_key", public_forms))
}

fn public_for(algorithm: Algorithm, kind: KeyKind, text: &str) -> Result<PublicKey, Refused> {
    let refuse = |problem: &'static str| Err(Refused::Always(problem));
    let malformed = || Err(Refused::Malformed);
    if text.trim().is_empty() {
        return refuse("must not be empty");
    }
    let decoded = if let Some(pem) = text.trim().strip_prefix(PEM) {
        match armoured(pem) {
            Some(("PUBLIC KEY", der)) => [der].into(),
            Some(("RSA PUBLIC KEY", der)) if kind == KeyKind::Rsa => [der].into(),
            Some((label, _)) if label.ends_with("PRIVATE KEY") => return refuse(IS_PRIVATE),
            Some(("CERTIFICATE", _)) => return refuse("must be a public key, not a certificate: extract its key"),
            _ => return malformed(),
        }
    } else if text.trim() != text {
        return refuse("must not start or end with white space");
    } else if text.starts_with(WHSEC) {
        return refuse("must be a public key, not an HMAC secret");
    } else if text.starts_with(WHSK) {
        return refuse(IS_PRIVATE);
    } else if let Some(encoded) = text.strip_prefix(WHPK) {
        prefixed(kind, encoded)
    } else if text.starts_with('{') {
        match Jwk::read(text) {
            Some(key) if key.is_set() => return refuse(IS_SET),
            Some(key) if key.is_private() => return refuse(IS_PRIVATE),
            Some(key) if !key.is_for(algorithm, "verify") => return Err(Refused::OtherUse),
            key => key.and_then(|key| key.public(kind)).into_iter().map(Zeroizing::new).collect(),
        }
    } else {
        decodings(text)
    };
    let mut keys: Vec<Vec<u8>> = decoded.iter().filter_map(|bytes| public(kind, bytes)).collect();
    keys.dedup();
    match <[Vec<u8>; 1]>::try_from(keys) {
        Ok([bytes]) => Ok(PublicKey::new(kind, bytes)),
        Err(keys) if !keys.is_empty() => refuse("must be PEM: this text can be read as two keys"),
        // Only DER shows that a key is private: its raw bytes can look like a public key.
        Err(_) if decoded.iter().any(|bytes| bytes.len() > RAW && private(kind, bytes).is_some()) => refuse(IS_PRIVATE),
        Err(_) => malformed(),
    }
}

/// Reads a private key: hex, base64 or base64url of the raw key or of its DER, PEM, JWK, or `whsk_` and base64. It must be
/// a key for one of the algorithms, which have different kinds of keys.
pub(crate) fn read_private(algorithms: &[Algorithm], text: &str) -> Result<Secret, ConfigError> {
    let read = |algorithm, kind| private_for(algorithm, kind, text);
    read_for_one(algorithms, read).map_err(|refusals| refusals.error("secret", private_forms))
}

fn private_for(algorithm: Algorithm, kind: KeyKind, text: &str) -> Result<Secret, Refused> {
    let refuse = |problem: &'static str| Err(Refused::Always(problem));
    let malformed = || Err(Refused::Malformed);
    if text.trim().is_empty() {
        return refuse("must not be empty");
    }
    let decoded = if let Some(pem) = text.trim().strip_prefix(PEM) {
        match armoured(pem) {
            Some(("PRIVATE KEY", der)) => [der].into(),
            Some(("EC PRIVATE KEY", der)) if kind == KeyKind::P256 => [der].into(),
            Some(("RSA PRIVATE KEY", der)) if kind == KeyKind::Rsa => [der].into(),
            Some((label, _)) if label.ends_with("PUBLIC KEY") => return refuse(IS_PUBLIC),
            _ => return malformed(),
        }
    } else if text.trim() != text {
        return refuse("must not start or end with white space");
    } else if text.starts_with(WHSEC) {
        return refuse("must be a private key, not an HMAC secret");
    } else if text.starts_with(WHPK) {
        return refuse(IS_PUBLIC);
    } else if let Some(encoded) = text.strip_prefix(WHSK) {
        prefixed(kind, encoded)
    } else if text.starts_with('{') {
        match Jwk::read(text) {
            Some(key) if key.is_set() => return refuse(IS_SET),
            Some(key) if !key.is_private() => return refuse(IS_PUBLIC),
            Some(key) if !key.is_for(algorithm, "sign") => return Err(Refused::OtherUse),
            Some(key) => {
                let bytes = key.private(kind);
                let pair = bytes.as_ref().and_then(|bytes| private(kind, bytes));
                if pair.is_some_and(|pair| !key.has_public(kind, &pair.public)) {
                    return refuse(OTHER_PUBLIC_KEY);
                }
                bytes.into_iter().collect()
            }
            None => return malformed(),
        }
    } else {
        decodings(text)
    };
    let mut keys: Vec<PrivateKey> = decoded.iter().filter_map(|bytes| private(kind, bytes)).collect();
    keys.dedup_by(|a, b| a.public == b.public);
    match <[PrivateKey; 1]>::try_from(keys) {
        Ok([key]) => Ok(Secret::private_key(key.private, PublicKey::new(kind, key.public))),
        Err(keys) if !keys.is_empty() => refuse("must be PEM: this text can be read as two keys"),
        Err(_) if decoded.iter().any(|bytes| bytes.len() > RAW && public(kind, bytes).is_some()) => refuse(IS_PUBLIC),
        Err(_) => malformed(),
    }
}

/// Reads a text as a key for each algorithm. It must be a key for exactly one.
fn read_for_one<K>(
    algorithms: &[Algorithm],
    read: impl Fn(Algorithm, KeyKind) -> Result<K, Refused>,
) -> Result<K, Refusals> {
    let (mut keys, mut refusals) = (Vec::new(), Refusals::default());
    for (algorithm, kind) in algorithms.iter().filter_map(|algorithm| Some((*algorithm, algorithm.key_kind()?))) {
        match read(algorithm, kind) {
            Ok(key) => {
                refusals.fitting.push(kind);
                keys.push(key);
            }
            Err(refused) => refusals.refused.push((kind, refused)),
        }
    }
    match <[K; 1]>::try_from(keys) {
        Ok([key]) => Ok(key),
        Err(_) => Err(refusals),
    }
}

/// Why a text is not a key for an algorithm.
enum Refused {
    /// It does not have the form of such a key.
    Malformed,
    /// It is a JWK for another algorithm or use.
    OtherUse,
    /// It would be refused for this reason if it were malformed, too.
    Always(&'static str),
}

/// Why a text is not the key for one of several algorithms.
#[derive(Default)]
struct Refusals {
    refused: Vec<(KeyKind, Refused)>,
    /// The kinds of keys that the text can be read as.
    fitting: Vec<KeyKind>,
}

impl Refusals {
    fn error(&self, field: &'static str, forms: impl Fn(KeyKind) -> &'static str) -> ConfigError {
        if !self.fitting.is_empty() {
            let kinds = self.fitting.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or ");
            return ConfigError::new(field, format!("must be PEM or JWK: this text can be {kinds}"));
        }
        let always = self.refused.iter().find_map(|(_, refused)| match refused {
            Refused::Always(problem) => Some(*problem),
            Refused::Malformed | Refused::OtherUse => None,
        });
        if let Some(problem) = always {
            return ConfigError::new(field, problem);
        }
        // A JWK that is malformed for one algorithm is for the use of that algorithm.
        let malformed = self.refused.iter().filter(|(_, refused)| matches!(refused, Refused::Malformed));
        match malformed.map(|(kind, _)| forms(*kind)).collect::<Vec<_>>() {
            possible if possible.is_empty() => ConfigError::new(field, OTHER_USE),
            possible => ConfigError::new(field, format!("must be {}", possible.join("; or "))),
        }
    }
}

/// Whether the text shows that it is a private key: `whsk_`, PEM, or JWK with the member `d`.
#[cfg(any(feature = "diagnose", all(feature = "serde", feature = "warden")))]
pub(crate) fn is_visibly_private(text: &str) -> bool {
    text.starts_with(WHSK) || text.contains("PRIVATE KEY-----") || Jwk::read(text).is_some_and(|key| key.is_private())
}

/// Returns the label and the content of a single PEM block. `pem` is the text after `-----BEGIN `.
fn armoured(pem: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let (label, rest) = pem.split_once("-----")?;
    let body = rest.strip_suffix("-----")?.strip_suffix(label)?.strip_suffix("-----END ")?;
    // Allocate once: a buffer that grows leaves copies that are not wiped.
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.split_ascii_whitespace());
    Some((label, decode_secret_base64_any_padding(&base64)?))
}

/// Returns the key after a prefix of Standard Webhooks, which has them only for Ed25519.
fn prefixed(kind: KeyKind, encoded: &str) -> Vec<Zeroizing<Vec<u8>>> {
    decode_secret_base64_any_padding(encoded).filter(|_| kind == KeyKind::Ed25519).into_iter().collect()
}

/// Returns every reading of the text: hex, base64 and base64url.
fn decodings(text: &str) -> Vec<Zeroizing<Vec<u8>>> {
    [decode_secret_hex(text), decode_base64_any(text)].into_iter().flatten().collect()
}

const fn public_forms(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Ed25519 => {
            "an Ed25519 public key, canonical and not of small order: 32 bytes in hex, base64 or base64url, after \
             `whpk_`, or as DER, PEM or JWK"
        }
        KeyKind::P256 => {
            "a P-256 public key: a point of 33 or 65 bytes in hex, base64 or base64url, or DER, PEM or JWK"
        }
        KeyKind::Rsa => "an RSA public key of 2048 to 4096 bits, as PEM, as DER in base64, or as JWK",
    }
}

const fn private_forms(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Ed25519 => {
            "an Ed25519 private key: 32 bytes in hex, base64 or base64url, after `whsk_`, or as JWK, or as DER or PEM \
             without a password"
        }
        KeyKind::P256 => {
            "a P-256 private key: 32 bytes in hex, base64 or base64url, or JWK, or DER or PEM without a password"
        }
        KeyKind::Rsa => "an RSA private key of 2048 to 4096 bits, as PEM or as DER in base64, without a password",
    }
}

const IS_PRIVATE: &str = "must be the public key, not the private key, which only the sender may have";
const IS_PUBLIC: &str =
    "must be a private key; give a public key as `public_key` in a key file, or to Scheme::public_key";
const IS_SET: &str = "must be one key, not a JWK Set: give an element of its list `keys`";
const OTHER_USE: &str =
    "must be a key for the scheme's algorithm and for signatures, in its members `alg`, `use` and `key_ops`";
const OTHER_PUBLIC_KEY: &str = "must have the public key of `d` in its members `x` and `y`";

/// The size of a raw private key in bytes, which can also be that of a public key.
const RAW: usize = 32;

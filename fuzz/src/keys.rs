//! Keyrings from a fuzzer's bytes.

use arbitrary::Arbitrary;
use hookwarden::crypto::Algorithm;
use hookwarden::{Key, Keyring, Scheme, Secret, Timestamp};
use ring::digest::{SHA256, digest};

use crate::oracle::text;

/// Up to eight keys, newest first.
#[derive(Debug, Arbitrary)]
pub struct DrawnKeys {
    first: DrawnEntry,
    others: Vec<DrawnEntry>,
}

#[derive(Debug, Arbitrary)]
struct DrawnEntry {
    secret: Vec<u8>,
    not_before: Option<i16>,
    not_after: Option<i16>,
}

/// A key in the form that the oracle uses.
#[derive(Debug, Clone)]
pub struct PlainKey {
    /// Its bytes.
    pub secret: Vec<u8>,
    /// The first second in which it is live.
    pub not_before: Option<i64>,
    /// The last second in which it is live.
    pub not_after: Option<i64>,
}

impl PlainKey {
    /// Creates a key without a window.
    pub fn new(secret: &[u8]) -> Self {
        Self { secret: secret.to_vec(), not_before: None, not_after: None }
    }

    /// Whether it is live at `now`.
    pub fn is_live(&self, now: i64) -> bool {
        if self.not_before.is_some_and(|first| now < first) {
            return false;
        }
        self.not_after.is_none_or(|last| now <= last)
    }
}

impl DrawnKeys {
    /// Returns the keys, at most as many as `scheme` permits, with windows around `now`.
    pub fn plain(&self, scheme: &Scheme, now: i64) -> Vec<PlainKey> {
        let most = if scheme.algorithm().uses_public_keys() { 4 } else { 8 };
        let entries = std::iter::once(&self.first).chain(&self.others).take(most);
        entries
            .map(|entry| {
                // `Secret` refuses blank secrets and those that look like a public or private key.
                let mut secret = entry.secret.clone();
                if Secret::from_bytes(secret.clone()).is_err() {
                    secret.insert(0, b'k');
                }
                PlainKey {
                    secret,
                    not_before: entry.not_before.map(|offset| now.saturating_add(offset.into())),
                    not_after: entry.not_after.map(|offset| now.saturating_add(offset.into())),
                }
            })
            .collect()
    }
}

/// Returns the keys as a keyring for `scheme`, the n-th with the id `n`. Returns `None` if two keys are equal or a window
/// is empty.
pub fn keyring(scheme: &Scheme, keys: &[PlainKey]) -> Option<Keyring> {
    let keys = keys.iter().enumerate().map(|(index, key)| {
        let secret = match key_pair(scheme, &key.secret) {
            Some(private) => private,
            None => Secret::from_bytes(key.secret.clone()).expect("the secret is valid"),
        };
        let mut made = Key::new(&index.to_string(), secret).expect("a number is an id");
        if let Some(first) = key.not_before {
            made = made.not_before(Timestamp::from_unix(first));
        }
        if let Some(last) = key.not_after {
            made = made.not_after(Timestamp::from_unix(last));
        }
        made
    });
    Keyring::from_keys(keys).ok()
}

/// Returns a private key that depends on `secret`, or `None` if the scheme uses no public keys. There are two RSA keys,
/// because generating one is slow.
pub(crate) fn key_pair(scheme: &Scheme, secret: &[u8]) -> Option<Secret> {
    let seed = digest(&SHA256, secret);
    let text = match scheme.algorithm() {
        Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::EcdsaP256Der => text::hex(seed.as_ref()),
        Algorithm::RsaPkcs1 | Algorithm::RsaPss | Algorithm::RsaPssSha512 => {
            RSA[usize::from(seed.as_ref()[0] % 2)].to_owned()
        }
        _ => return None,
    };
    Some(scheme.secret(&text).expect("a private key"))
}

const RSA: [&str; 2] =
    [include_str!("../../tests/public_keys/keys/rsa_a.pem"), include_str!("../../tests/public_keys/keys/rsa_b.pem")];

//! Keyrings from a fuzzer's bytes.

use arbitrary::Arbitrary;
use hookwarden::{Key, Keyring, Secret, Timestamp};

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
    /// Returns the keys, with windows around `now`.
    pub fn plain(&self, now: i64) -> Vec<PlainKey> {
        let entries = std::iter::once(&self.first).chain(&self.others).take(8);
        entries
            .map(|entry| {
                // `Secret` refuses blank secrets.
                let mut secret = entry.secret.clone();
                if secret.iter().all(u8::is_ascii_whitespace) || secret.iter().all(|byte| *byte == 0) {
                    secret.push(b'k');
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

/// Returns the keys as a keyring, the n-th with the id `n`. Returns `None` if two secrets are equal or a window is
/// empty.
pub fn keyring(keys: &[PlainKey]) -> Option<Keyring> {
    let keys = keys.iter().enumerate().map(|(index, key)| {
        let secret = Secret::from_bytes(key.secret.clone()).expect("the secret is not blank");
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

//! Key stores: lookups, refusals, rotation and store failures.

mod cached;
mod canonical;
mod file;
mod held;

use hookwarden::crypto::PreparedKeys;
use hookwarden::keys::KeyStore;
use hookwarden::{Keyring, Scheme};

/// A secret that no output may contain.
const CANARY: &str = "canary-7f3a91c2d4";

#[track_caller]
fn keyring(secret: &str) -> Keyring {
    Keyring::new(Scheme::timestamped().secret(secret).expect("a secret"))
}

/// Returns the key ids of a webhook id as `PreparedKeys` prints them.
#[track_caller]
fn found(keys: &impl KeyStore, webhook_id: &str) -> Option<String> {
    keys.find(webhook_id).expect("a store that answers").as_ref().map(shown)
}

fn shown(keys: &PreparedKeys) -> String {
    format!("{keys:?}")
}

#[track_caller]
fn assert_no_canary(what: &str, texts: &[String]) {
    for text in texts {
        assert!(!text.contains("canary") && !text.contains("7f3a91c2d4"), "{what}: {text}");
    }
}

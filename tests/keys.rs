//! The key stores: what they find, what they refuse, and what they do while keys change or a store fails.
#![cfg(feature = "testing")]

#[path = "keys/cached.rs"]
mod cached;
#[cfg(feature = "serde")]
#[path = "keys/file.rs"]
mod file;
#[path = "keys/held.rs"]
mod held;

use hookwarden::crypto::PreparedKeys;
use hookwarden::keys::KeyStore;
use hookwarden::{Keyring, Scheme};

/// A secret that must not show up anywhere.
const CANARY: &str = "canary-7f3a91c2d4";

#[track_caller]
fn keyring(secret: &str) -> Keyring {
    Keyring::new(Scheme::timestamped().secret(secret).expect("a secret"))
}

/// The key ids found under a webhook id, as `PreparedKeys` shows them.
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

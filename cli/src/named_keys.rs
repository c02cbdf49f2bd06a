//! The keys of message signatures, which are chosen by their names.

use std::collections::HashMap;

use hookwarden::{ConfigError, Key, Keyring, Scheme};
use serde_json::Value;

use crate::failure::Failure;
use crate::input::SecretText;

impl SecretText {
    /// The key that signs messages: the first one, or of several JWKs the one whose kid or thumbprint is `keyid`.
    pub(crate) fn message_key(&self, scheme: &Scheme, keyid: Option<&str>) -> Result<&str, Failure> {
        let keys = self.each();
        let first = keys.first().ok_or_else(|| Failure::input("secret", "must be a JWK Set with at least one key"))?;
        let names: Vec<_> = keys.iter().filter_map(|key| key_id(key)).collect();
        let Some(keyid) = keyid.filter(|_| keys.len() > 1 && !names.is_empty()) else { return Ok(first) };
        let thumbprint = |key: &str| Some(scheme.secret(key).ok()?.public_key()?.thumbprint());
        let is_named = |key: &&&str| key_id(key).as_deref() == Some(keyid) || thumbprint(key).as_deref() == Some(keyid);
        let named = keys.iter().find(is_named);
        named.copied().ok_or_else(|| {
            let names = names.iter().map(String::as_str).take(MAX_NAMES).collect::<Vec<_>>().join(", ");
            Failure::input("--keyid", format!("must be the kid of a JWK, because there are several keys: {names}"))
        })
    }

    /// The public keys of many JWKs by their names, or `None` if there are few enough for one keyring. A sender has a limited
    /// number of public keys, but only those that a signature names are needed to verify it.
    pub(crate) fn named_keys(&self, scheme: &Scheme) -> Result<Option<NamedKeys>, Failure> {
        let keys = self.each();
        if keys.len() <= MAX_PUBLIC_KEYS || !scheme.algorithm().uses_public_keys() {
            return Ok(None);
        }
        let cannot = |error: ConfigError| Failure::Input(error.to_string());
        let mut named: Vec<(String, Vec<Key>)> = Vec::new();
        let mut thumbprints = HashMap::new();
        for (number, text) in (1_u32..).zip(keys) {
            let name = key_id(text).ok_or_else(|| {
                let problem = format!("must be JWKs with a kid, because there are more than {MAX_PUBLIC_KEYS}");
                Failure::input("public keys", format!("{problem}; key {number} has none"))
            })?;
            let material = scheme.public_key(text).map_err(|error| Failure::input(format!("key {number}"), error))?;
            thumbprints.insert(material.thumbprint(), name.clone());
            let key = Key::new(&format!("secret-{number}"), material).map_err(cannot)?;
            match named.iter_mut().find(|(known, _)| *known == name) {
                Some((_, same)) => same.push(key),
                None => named.push((name, vec![key])),
            }
        }
        let keyrings = named.into_iter().map(|(name, keys)| Ok((name, Keyring::from_keys(keys).map_err(cannot)?)));
        Ok(Some(NamedKeys { keyrings: keyrings.collect::<Result<_, _>>()?, thumbprints }))
    }
}

/// Public keys by their names.
pub(crate) struct NamedKeys {
    pub(crate) keyrings: Vec<(String, Keyring)>,
    /// The name of each key by its thumbprint, which a signature may have in place of the name.
    pub(crate) thumbprints: HashMap<String, String>,
}

/// The name of a key, if it is a JWK that has one.
pub(crate) fn key_id(key: &str) -> Option<String> {
    let key: Value = serde_json::from_str(key).ok()?;
    key.get("kid")?.as_str().map(str::to_owned)
}

/// The maximum number of public keys of a sender.
const MAX_PUBLIC_KEYS: usize = 4;

/// The maximum number of names of keys in a message.
const MAX_NAMES: usize = 8;

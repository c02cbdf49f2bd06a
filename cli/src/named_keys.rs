//! The keys of message signatures, which are chosen by their names.

use std::collections::HashMap;

use hookwarden::{ConfigError, Key, Keyring, Scheme};
use serde_json::Value;

use crate::failure::Failure;
use crate::input::SecretText;
use crate::profile::VerifyingArguments;

impl SecretText {
    /// The key that signs messages: the first one, or of several JWKs the one whose kid or thumbprint is `keyid`.
    pub(crate) fn message_key(&self, scheme: &Scheme, keyid: Option<&str>) -> Result<&str, Failure> {
        let keys = self.usable(|text| scheme.secret(text));
        let (_, first) =
            keys.first().ok_or_else(|| Failure::input("secret", "must be a JWK Set with at least one key"))?;
        let each = self.each();
        let names: Vec<_> = each.iter().filter_map(|key| key_id(key)).collect();
        let Some(keyid) = keyid.filter(|_| each.len() > 1 && !names.is_empty()) else { return Ok(first) };
        let thumbprint = |key: &str| Some(scheme.secret(key).ok()?.public_key()?.thumbprint());
        let is_named = |key: &&str| key_id(key).as_deref() == Some(keyid) || thumbprint(key).as_deref() == Some(keyid);
        // If the named key is not usable, the scheme says why.
        let named = keys.iter().map(|(_, key)| *key).chain(each).find(is_named);
        named.ok_or_else(|| {
            let problem = format!("must be the kid of a JWK, because there are several keys: {}", listed(&names));
            Failure::input("--keyid", problem)
        })
    }

    /// The numbers and the texts of the keys, without the JWKs that `decode` refuses, for example keys for encryption in a
    /// JWK Set: RFC 7517 section 5 demands to ignore them. If it refuses all keys, they are all returned.
    pub(crate) fn usable<T>(&self, decode: impl Fn(&str) -> Result<T, ConfigError>) -> Vec<(u32, &str)> {
        let keys: Vec<_> = (1_u32..).zip(self.each()).collect();
        let is_usable = |text: &str| decode(text).is_ok();
        if keys.iter().any(|(_, text)| is_usable(text)) {
            return keys.into_iter().filter(|(_, text)| !is_jwk(text) || is_usable(text)).collect();
        }
        keys
    }

    /// Returns an error for more keys than a diagnosis can hold.
    pub(crate) fn check_count(&self) -> Result<(), Failure> {
        let count = self.each().len();
        if count > MAX_KEYS {
            return Err(Failure::input("secret", format!("must have at most {MAX_KEYS} keys, but has {count}")));
        }
        Ok(())
    }

    /// Returns an error for more keys than a receiver of message signatures can have.
    pub(crate) fn check_message_keys(&self, scheme: &Scheme) -> Result<(), Failure> {
        if !scheme.algorithm().uses_public_keys() {
            let count = self.each().len();
            return match count {
                ..=MAX_SECRETS => Ok(()),
                _ => Err(Failure::input("secrets", format!("must be at most {MAX_SECRETS}, but are {count}"))),
            };
        }
        let keys = self.usable(|text| scheme.public_key(text));
        let unnamed = keys.iter().find(|(_, text)| key_id(text).is_none());
        if let Some((number, _)) = unnamed {
            if keys.len() > MAX_PUBLIC_KEYS {
                let problem = format!("must be JWKs with a kid, because there are more than {MAX_PUBLIC_KEYS}");
                return Err(Failure::input("public keys", format!("{problem}; key {number} has none")));
            }
            return Ok(());
        }
        let mut counts: HashMap<String, usize> = HashMap::new();
        for name in keys.iter().filter_map(|(_, text)| key_id(text)) {
            let count = counts.entry(name.clone()).or_default();
            *count = count.saturating_add(1);
            if *count > MAX_PUBLIC_KEYS {
                let problem = format!("must be at most {MAX_PUBLIC_KEYS} with one kid; more have {name:?}");
                return Err(Failure::input("public keys", problem));
            }
        }
        check_names(scheme, keys)
    }

    /// The public keys by their names, or `None` if they are not all JWKs with a kid. The key that a signature names is the
    /// only one that can verify it, even if there are few.
    pub(crate) fn named_keys(
        &self,
        scheme: &Scheme,
        verifying: &VerifyingArguments,
    ) -> Result<Option<NamedKeys>, Failure> {
        let texts = self.usable(|text| scheme.public_key(text));
        if !scheme.algorithm().uses_public_keys() || texts.iter().any(|(_, text)| key_id(text).is_none()) {
            return Ok(None);
        }
        let cannot = |error: ConfigError| Failure::Input(error.to_string());
        let (mut groups, mut places): (Vec<Vec<Key>>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
        let mut thumbprints = HashMap::new();
        for (number, text) in texts {
            let Some(name) = key_id(text) else { continue };
            let material = scheme.public_key(text).map_err(|error| Failure::input(format!("key {number}"), error))?;
            let thumbprint = material.thumbprint();
            let known: Option<usize> = thumbprints.get(&thumbprint).copied();
            // A key with two names is one key.
            let place = *places.entry(name).or_insert_with(|| known.unwrap_or(groups.len()));
            if known.is_some() {
                continue;
            }
            let key = Key::new(&format!("secret-{number}"), material).map_err(cannot)?;
            match groups.get_mut(place) {
                Some(keys) => keys.push(key),
                None => groups.push(vec![key]),
            }
            thumbprints.insert(thumbprint, place);
        }
        // A thumbprint names one key. If others have the same kid, a signature by one of them would also verify, unless the
        // profile compares the thumbprint.
        let is_own = |place: usize| {
            verifying.names_keys_by_thumbprint() || groups.get(place).is_some_and(|keys| keys.len() == 1)
        };
        for (thumbprint, place) in thumbprints.into_iter().filter(|(_, place)| is_own(*place)) {
            places.entry(thumbprint).or_insert(place);
        }
        let keyrings = groups.into_iter().map(|keys| Keyring::from_keys(keys).map_err(cannot));
        Ok(Some(NamedKeys { keyrings: keyrings.collect::<Result<_, _>>()?, places }))
    }
}

/// Returns an error for keys whose names a receiver cannot look up: each name must have its own keys.
fn check_names(scheme: &Scheme, texts: Vec<(u32, &str)>) -> Result<(), Failure> {
    let keys: Vec<(u32, String, String)> = texts
        .into_iter()
        .filter_map(|(number, text)| Some((number, key_id(text)?, scheme.public_key(text).ok()?.thumbprint())))
        .collect();
    let refused = |problem| Err(Failure::input("public keys", format!("must have unambiguous kids: {problem}")));
    for (number, kid, thumbprint) in &keys {
        let is_other = |other: &&(u32, String, String)| other.2 != *thumbprint;
        if let Some((other, ..)) = keys.iter().filter(is_other).find(|other| other.2 == *kid) {
            return refused(format!("the kid of key {number} is the thumbprint of key {other}"));
        }
        let kids: Vec<&String> = keys.iter().filter(|key| key.2 == *thumbprint).map(|(_, kid, _)| kid).collect();
        if kids.iter().all(|other| *other == kid) {
            continue;
        }
        if let Some((other, shared, _)) = keys.iter().filter(is_other).find(|other| kids.contains(&&other.1)) {
            let problem = format!("key {number} has several kids, of which {shared:?} is also that of key {other}");
            return refused(problem);
        }
    }
    Ok(())
}

/// Public keys by their names.
pub(crate) struct NamedKeys {
    /// The keys of each name.
    pub(crate) keyrings: Vec<Keyring>,
    /// The places of the keys by their names, and by their thumbprints, which a signature may have in place of the name.
    pub(crate) places: HashMap<String, usize>,
}

/// The name of a key, if it is a JWK that has one.
pub(crate) fn key_id(key: &str) -> Option<String> {
    let key: Value = serde_json::from_str(key).ok()?;
    key.get("kid")?.as_str().map(str::to_owned)
}

fn is_jwk(key: &str) -> bool {
    serde_json::from_str::<Value>(key).is_ok_and(|key| key.get("kty").is_some())
}

/// The first names.
fn listed(names: &[String]) -> String {
    let first = names.iter().map(String::as_str).take(MAX_NAMES).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => first,
        more => format!("{first} and {more} others"),
    }
}

/// The maximum number of secrets of a diagnosis.
const MAX_KEYS: usize = 64;

/// The maximum number of public keys of a sender.
const MAX_PUBLIC_KEYS: usize = 4;

/// The maximum number of secrets of a sender.
const MAX_SECRETS: usize = 8;

/// The maximum number of names of keys in a message.
const MAX_NAMES: usize = 8;

//! The keys of a document.

use std::collections::{HashMap, HashSet};
use std::fmt;

use hookwarden::{Keyring, Scheme};

use crate::json::{Json, Object};
use crate::key::{Found, ListKey, Unusable, kid, leaked, list_key, read};
use crate::revocation::ListVerifier;
use crate::source::Kind;
use crate::text::start_of;

/// The keys of one source.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    /// By the `keyid` of a signature. Each keyring has one key and the sender as its canonical id.
    pub(crate) keys: HashMap<String, Keyring>,
    /// The keys that can sign the list of revoked keys, as JWKs, by their `kid`. Empty if the list is not used.
    pub(crate) list_keys: HashMap<String, String>,
    pub(crate) skipped: Vec<Skipped>,
}

/// A key that is not used.
#[derive(Debug, PartialEq)]
pub(crate) struct Skipped {
    /// The key's `kid`, or its place in the set.
    pub(crate) key: String,
    pub(crate) problem: Unusable,
}

impl KeySet {
    /// Reads a document with the list `keys`, which is a JWK Set ([RFC 7517 section
    /// 5](https://www.rfc-editor.org/rfc/rfc7517#section-5)). A key that cannot be used is skipped. `lists` verifies the
    /// list of revoked keys, if the source has one.
    ///
    /// # Errors
    /// The document is not a set of keys, so it says nothing about the keys.
    pub(crate) fn read(
        kind: Kind,
        scheme: &Scheme,
        lists: Option<&ListVerifier>,
        sender: &str,
        document: &[u8],
    ) -> Result<Self, String> {
        let document = Json::read(document).map_err(|error| format!("must be JSON: {error}"))?;
        let Json::Object(mut document) = document else { return Err("must be a JSON object".into()) };
        let Some(Json::List(list)) = document.remove("keys") else { return Err("must have the list keys".into()) };
        if list.len() > MAX_KEYS {
            return Err(format!("must have at most {MAX_KEYS} keys"));
        }
        let mut set = Self::default();
        // The same key can be in the set a second time, without its private part.
        let leaked: HashSet<String> = list.iter().filter_map(as_object).filter_map(leaked).collect();
        let mut found: Vec<(String, Keyring)> = Vec::new();
        for (place, jwk) in list.iter().enumerate() {
            match keyring(kind, scheme, sender, &leaked, jwk) {
                Ok(key) => found.push(key),
                Err(problem) => set.skipped.push(Skipped { key: name_of(place, jwk), problem }),
            }
        }
        // The kid of an unusable key counts: another implementation could use that key.
        let mut uses: HashMap<&str, u32> = HashMap::new();
        if kind == Kind::WebBots {
            found.iter().for_each(|(id, _)| count(&mut uses, id));
        } else {
            list.iter().filter_map(as_object).filter_map(kid).for_each(|kid| count(&mut uses, kid));
        }
        for (id, keys) in &found {
            if uses.get(id.as_str()).is_some_and(|uses| *uses > 1) {
                let problem = Unusable::new("must have a keyid that no other key of the set has");
                set.skipped.push(Skipped { key: quoted(id), problem });
            } else {
                set.keys.insert(id.clone(), keys.clone());
            }
        }
        let list_keys = list.iter().filter_map(as_object).filter_map(|jwk| list_key(kind, lists?, jwk));
        let is_usable = |key: &ListKey| uses.get(key.kid.as_str()) == Some(&1) && !leaked.contains(&key.thumbprint);
        let mut list_keys: Vec<ListKey> = list_keys.filter(is_usable).collect();
        // The list revokes keys that sign requests. If possible, none of them can sign a list without itself. A governance
        // key that can sign no list does not count: without any usable key, all requests would be refused.
        if list_keys.iter().any(|key| key.is_governance) {
            list_keys.retain(|key| key.is_governance);
        }
        set.list_keys = list_keys.into_iter().map(|key| (key.kid, key.jwk)).collect();
        Ok(set)
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.problem.why)
    }
}

fn keyring(
    kind: Kind,
    scheme: &Scheme,
    sender: &str,
    leaked: &HashSet<String>,
    jwk: &Json,
) -> Result<(String, Keyring), Unusable> {
    let jwk = as_object(jwk).ok_or(Unusable::new("must be an object"))?;
    let Found { id, thumbprint, key } = read(kind, scheme, jwk)?;
    if leaked.contains(&thumbprint) {
        return Err(Unusable::secret("must be a key whose private part is secret: another entry of the set has it"));
    }
    if sender.len().saturating_add(1).saturating_add(id.len()) > MAX_WEBHOOK_ID {
        return Err(Unusable::new(
            "kid: must have at most 256 bytes, together with the name of the sender and a slash",
        ));
    }
    let keyring = Keyring::from_keys([key]).map_err(|_| Unusable::new("exp: must not be before nbf"))?;
    Ok((id, keyring.with_webhook_id(sender)))
}

fn count<'k>(uses: &mut HashMap<&'k str, u32>, id: &'k str) {
    let uses = uses.entry(id).or_default();
    *uses = uses.saturating_add(1);
}

fn as_object(value: &Json) -> Option<&Object> {
    match value {
        Json::Object(object) => Some(object),
        _ => None,
    }
}

fn name_of(place: usize, jwk: &Json) -> String {
    as_object(jwk).and_then(kid).map_or_else(|| format!("keys[{place}]"), quoted)
}

/// The start of a text from a document, for logs.
fn quoted(text: &str) -> String {
    format!("{:?}", start_of(text, 64))
}

/// The maximum number of keys in a set.
pub(crate) const MAX_KEYS: usize = 100;

/// `CachedKeys` does not look up a longer webhook id.
const MAX_WEBHOOK_ID: usize = 256;

#[cfg(test)]
mod tests;

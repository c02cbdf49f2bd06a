//! The senders' keys, prepared for the scheme, and the decoy that unknown ids are judged by.

use std::collections::{HashMap, HashSet};

use crate::error::ConfigError;
use crate::mac::PreparedKeys;
use crate::scheme::Scheme;
use crate::secret::{Key, Keyring, Secret};

/// Keys by webhook id. It never changes; a rotation puts another table in its place.
pub(super) struct KeyTable {
    keys: HashMap<String, PreparedKeys>,
    decoy: PreparedKeys,
}

impl KeyTable {
    pub(super) fn new(
        scheme: &Scheme,
        senders: Vec<(String, Keyring)>,
        shared_secrets: bool,
    ) -> Result<Self, ConfigError> {
        if senders.is_empty() {
            return Err(ConfigError::new("senders", "there is none"));
        }
        if !shared_secrets {
            refuse_shared_secrets(&senders)?;
        }
        let decoy = decoy(scheme, common_size(&senders))?;
        let mut keys = HashMap::with_capacity(senders.len());
        for (id, keyring) in senders {
            if id.is_empty() {
                return Err(ConfigError::new("senders", "a webhook id is empty"));
            }
            let prepared = scheme.prepare(&keyring)?;
            if keys.contains_key(&id) {
                return Err(ConfigError::new("senders", format!("two of the webhook id {id:?}")));
            }
            keys.insert(id, prepared);
        }
        Ok(Self { keys, decoy })
    }

    pub(super) fn find(&self, id: &str) -> Option<&PreparedKeys> {
        self.keys.get(id)
    }

    pub(super) const fn decoy(&self) -> &PreparedKeys {
        &self.decoy
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn refuse_shared_secrets(senders: &[(String, Keyring)]) -> Result<(), ConfigError> {
    let mut owners: HashMap<&[u8], &str> = HashMap::new();
    for (id, keyring) in senders {
        let secrets: HashSet<&[u8]> = keyring.iter().map(|key| key.secret.expose()).collect();
        for secret in secrets {
            if let Some(owner) = owners.insert(secret, id).filter(|owner| owner != id) {
                return Err(ConfigError::new("senders", format!("{owner:?} and {id:?} share a secret")));
            }
        }
    }
    Ok(())
}

/// How many keys most senders have.
fn common_size(senders: &[(String, Keyring)]) -> usize {
    let sizes = || senders.iter().map(|(_, keyring)| keyring.len());
    sizes().max_by_key(|size| sizes().filter(|other| other == size).count()).unwrap_or(1)
}

/// Keys that are no secret and need not be one: nothing is accepted under them.
fn decoy(scheme: &Scheme, size: usize) -> Result<PreparedKeys, ConfigError> {
    let keys =
        (0..size).map(|index| Key::new(&format!("decoy-{index}"), Secret::from_bytes(format!("decoy {index}"))?));
    let keyring = Keyring::from_keys(keys.collect::<Result<Vec<_>, _>>()?)?;
    Ok(scheme.prepare(&keyring)?.into_decoy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(secrets: &[&str]) -> Keyring {
        Keyring::from_keys(secrets.iter().map(|text| Key::new(text, Secret::from_text(text).unwrap()).unwrap()))
            .unwrap()
    }

    fn table(senders: &[(&str, &[&str])], shared_secrets: bool) -> Result<KeyTable, ConfigError> {
        let senders = senders.iter().map(|(id, secrets)| (String::from(*id), keyring(secrets))).collect();
        KeyTable::new(&Scheme::timestamped(), senders, shared_secrets)
    }

    #[track_caller]
    fn assert_refused(senders: &[(&str, &[&str])], problem: &str) {
        assert_eq!(table(senders, false).err().unwrap().to_string(), format!("senders: {problem}"));
    }

    #[test]
    fn senders_that_cannot_be_right_are_a_config_error() {
        assert_refused(&[], "there is none");
        assert_refused(&[("", &["one"])], "a webhook id is empty");
        assert_refused(&[("a", &["one"]), ("a", &["two"])], "two of the webhook id \"a\"");
        assert_refused(&[("a", &["one", "two"]), ("b", &["three", "two"])], "\"a\" and \"b\" share a secret");
    }

    #[test]
    fn shared_secret_needs_the_danger_setting() {
        let senders: &[(&str, &[&str])] = &[("a", &["one"]), ("b", &["one"])];
        assert!(table(senders, false).is_err());
        assert_eq!(table(senders, true).unwrap().len(), 2);
    }

    #[test]
    fn decoy_is_of_the_common_size() {
        let senders: &[(&str, &[&str])] =
            &[("a", &["1", "2"]), ("b", &["3"]), ("c", &["4", "5"]), ("d", &["6", "7", "8"])];
        assert_eq!(table(senders, false).unwrap().decoy().len(), 2);
    }
}

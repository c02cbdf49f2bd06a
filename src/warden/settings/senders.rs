//! Where keys and webhook ids come from.

use super::Quotas;
use crate::error::ConfigError;
use crate::keys::{CachedKeys, KeyStore, Lookup, StaticKeys};
use crate::scheme::Scheme;
use crate::secret::Keyring;
use crate::warden::id::IdSource;
use crate::warden::lookup::KeySource;

/// The sources of keys and webhook ids that were set. More than one source of keys is an error.
#[derive(Default)]
pub(in crate::warden) struct Senders {
    pub(in crate::warden) listed: Vec<(String, Keyring)>,
    pub(in crate::warden) only: Option<Keyring>,
    pub(in crate::warden) store: Option<Box<dyn KeyStore>>,
    pub(in crate::warden) cached: Option<CachedKeys>,
    pub(in crate::warden) id_source: Option<IdSource>,
}

impl Senders {
    pub(in crate::warden) fn build(
        mut self,
        scheme: &Scheme,
        quotas: &Quotas,
    ) -> Result<(KeySource, IdSource), ConfigError> {
        self.check_sources()?;
        if let Some(keys) = self.only {
            self.listed.push((scheme.name().to_owned(), keys));
            self.id_source = Some(IdSource::fixed(scheme.name().to_owned()));
        }
        let listed = self.listed.len();
        let keys = match (self.store, self.cached) {
            (Some(store), _) => {
                check_scheme("keys", store.scheme(), scheme)?;
                KeySource::Ready(store)
            }
            (None, Some(cached)) => {
                check_scheme("cached_keys", Some(cached.scheme()), scheme)?;
                KeySource::Cached(cached)
            }
            (None, None) if self.listed.is_empty() => {
                let problem = "must be set: call `sender`, `only_sender`, `keys` or `cached_keys`";
                return Err(ConfigError::new("senders", problem));
            }
            (None, None) => {
                quotas.check_ids(|id| self.listed.iter().any(|(listed, _)| listed == id))?;
                KeySource::Ready(Box::new(StaticKeys::new(scheme, self.listed)?))
            }
        };
        let id_source = self.id_source.unwrap_or_else(|| IdSource::path_parameter("id"));
        if let Some(id) = id_source.fixed_id()
            && keys.is_immediate()
            && matches!(keys.look_up(id), Lookup::Answered(Ok(None)))
        {
            let problem = format!("must be the id of a sender: no sender has the fixed id {id:?}");
            return Err(ConfigError::new("webhook_id", problem));
        }
        if listed > 1 && id_source.fixed_id().is_some() {
            let problem = "must not be fixed with several senders: requests would reach only one of them";
            return Err(ConfigError::new("webhook_id", problem));
        }
        Ok((keys, id_source))
    }

    /// Returns an error if more than one source of keys is set.
    fn check_sources(&self) -> Result<(), ConfigError> {
        let others = [
            (!self.listed.is_empty(), "sender"),
            (self.store.is_some(), "keys"),
            (self.cached.is_some(), "cached_keys"),
            (self.id_source.is_some(), "webhook_id"),
        ];
        let mut set = others.into_iter().filter_map(|(is_set, name)| is_set.then_some(name));
        if self.only.is_some()
            && let Some(other) = set.next()
        {
            let fix = match other {
                "webhook_id" => "to name the sender, use `sender` with `IdSource::fixed`",
                _ => "remove one of the two",
            };
            let problem = format!("must not be set with `{other}`: {fix}");
            return Err(ConfigError::new("only_sender", problem));
        }
        match (&self.store, &self.cached) {
            (Some(_), Some(_)) => {
                Err(ConfigError::new("keys", "must not be set with `cached_keys`: remove one of the two"))
            }
            (None, None) => Ok(()),
            _ if self.listed.is_empty() => Ok(()),
            _ => Err(ConfigError::new(
                "senders",
                "must not be set with `keys` or `cached_keys`: put them into the store",
            )),
        }
    }
}

/// Returns an error if the keys were prepared for a scheme whose keys this Warden cannot verify with.
fn check_scheme(field: &'static str, prepared_for: Option<&Scheme>, scheme: &Scheme) -> Result<(), ConfigError> {
    match prepared_for.and_then(|other| Some((other, scheme.key_difference(other)?))) {
        None => Ok(()),
        Some((other, what)) => {
            let problem = format!(
                "must be prepared for the Warden's scheme, {:?}: they were prepared for {:?}, which has another {what}",
                scheme.name(),
                other.name(),
            );
            Err(ConfigError::new(field, problem))
        }
    }
}

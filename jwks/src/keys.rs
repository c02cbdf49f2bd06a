//! The store.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hookwarden::clock::Clock;
use hookwarden::error::StoreError;
use hookwarden::headers::{FieldName, Head, Occurrence};
use hookwarden::keys::{AsyncKeyStore, CachedKeys};
use hookwarden::message_signatures::Profile;
use hookwarden::{BoxFuture, ConfigError, IdSource, Keyring, Scheme};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::builder::JwksKeysBuilder;
use crate::sender::Sender;

/// The keys of senders from their JWK Sets. Cheap to clone; all clones share the same keys.
///
/// The webhook id of a request is `SENDER/KEYID`: [`id_source`](Self::id_source) makes it from the `keyid` of the
/// signature. The store finds the one key that it names, with `SENDER` as its canonical id: events, quotas and replay
/// protection name the sender only.
///
/// ```no_run
/// use hookwarden::Warden;
/// use hookwarden_jwks::{JwksKeys, Source};
/// # fn make(profile: hookwarden::message_signatures::Profile, scheme: hookwarden::Scheme)
/// # -> Result<Warden, hookwarden::ConfigError> {
/// // `profile` and `scheme` are those of the sender.
/// let source = Source::jwk_set("https://acme.example/.well-known/jwks.json");
/// let keys = JwksKeys::builder(&scheme).sender("acme", source).build()?;
/// let warden = Warden::builder(scheme).cached_keys(keys.cached()?).webhook_id(keys.id_source(&profile)?).build()?;
/// # Ok(warden)
/// # }
/// ```
#[derive(Clone)]
pub struct JwksKeys {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) scheme: Scheme,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) senders: HashMap<String, Arc<Sender>>,
}

impl JwksKeys {
    /// Starts to configure a store of keys for `scheme`, which must verify with public keys.
    pub fn builder(scheme: &Scheme) -> JwksKeysBuilder {
        JwksKeysBuilder::new(scheme)
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Creates the cache through which a Warden uses this store. It keeps keys for 10 seconds, and unknown ids for 1
    /// second, because a lookup in this store is cheap. A removed key verifies for these 10 seconds longer.
    ///
    /// # Errors
    /// None with these settings.
    pub fn cached(&self) -> Result<CachedKeys, ConfigError> {
        CachedKeys::builder(self.clone())
            .ttl(Duration::from_secs(10))
            .unknown_ttl(Duration::from_secs(1))
            .clock(self.shared.clock.clone())
            .build(&self.shared.scheme)
    }

    /// Fetches the keys of all senders that have no fresh ones, and waits for them. Call it before the first request:
    /// otherwise that request waits, or is answered 503 if the source fails.
    ///
    /// # Errors
    /// The keys of a sender, or its list of revoked keys, could not be fetched. Requests of this sender start new fetches, so
    /// it is not necessary to call it again.
    pub async fn load(&self) -> Result<(), StoreError> {
        // Start all fetches before waiting for the first one.
        let loading: Vec<_> = self.shared.senders.values().map(|sender| sender.begin_load()).collect();
        let mut result = Ok(());
        for sender in loading {
            result = result.and(sender.await);
        }
        result
    }

    /// Refuses a `keyid` in this process from now on, even if its source still publishes it, for example because its key
    /// leaked. Returns whether the sender exists. If the source has the same key under another `keyid`, revoke that one too.
    /// AdCP's list of revoked keys needs no call: see [`Source::revocation_list`](crate::Source::revocation_list).
    ///
    /// A cache in front of this store knows the key until its entry expires, 10 seconds with [`cached`](Self::cached). To make
    /// it effective at once, call [`CachedKeys::invalidate`] with the name of the sender.
    ///
    /// ```
    /// use hookwarden::keys::CachedKeys;
    /// use hookwarden_jwks::JwksKeys;
    ///
    /// fn leaked(keys: &JwksKeys, cache: &CachedKeys) {
    ///     keys.revoke("acme", "2027-01");
    ///     cache.invalidate("acme");
    /// }
    /// ```
    pub fn revoke(&self, sender: &str, keyid: impl Into<String>) -> bool {
        self.shared.senders.get(sender).map(|sender| sender.revoke(keyid.into())).is_some()
    }

    /// The webhook id of a request, for a store with one sender.
    ///
    /// # Errors
    /// The store has several senders: use [`id_source_by`](Self::id_source_by).
    pub fn id_source(&self, profile: &Profile) -> Result<IdSource, ConfigError> {
        let mut names = self.shared.senders.keys();
        match (names.next().cloned(), names.next()) {
            (Some(name), None) => Ok(self.id_source_by(profile, move |_| Some(name.clone()))),
            _ => Err(ConfigError::new("id_source", "must know the sender of a request: use id_source_by")),
        }
    }

    /// The webhook id of a request, for a store with several senders. `sender` finds the name of the sender in the head,
    /// which is not verified yet: in a segment of the path, or with [`ucp_agent`](Self::ucp_agent).
    ///
    /// If two senders publish the same key, only the signed content can say from which of them a message is. So take the
    /// name from something that the signature covers, such as the path.
    ///
    /// ```
    /// use hookwarden::IdSource;
    /// use hookwarden::message_signatures::Profile;
    /// use hookwarden_jwks::JwksKeys;
    ///
    /// /// `/webhooks/acme`
    /// fn by_path(keys: &JwksKeys, profile: &Profile) -> IdSource {
    ///     // The path of a head contains the query.
    ///     keys.id_source_by(profile, |head| head.path()?.split('?').next()?.strip_prefix("/webhooks/").map(str::to_owned))
    /// }
    ///
    /// /// `UCP-Agent: profile="https://shop.example/.well-known/ucp"`
    /// fn by_agent(keys: &JwksKeys, profile: &Profile) -> IdSource {
    ///     let agents = keys.clone();
    ///     keys.id_source_by(profile, move |head| agents.ucp_agent(head).map(str::to_owned))
    /// }
    /// ```
    pub fn id_source_by(
        &self,
        profile: &Profile,
        sender: impl Fn(&dyn Head) -> Option<String> + Send + Sync + 'static,
    ) -> IdSource {
        let (shared, profile) = (self.shared.clone(), profile.clone());
        IdSource::closure(move |head| {
            let sender = sender(head).filter(|sender| shared.senders.contains_key(sender))?;
            Some(format!("{sender}/{}", profile.keyid(head)?))
        })
    }

    /// The sender whose URL is the member `profile` of the header `UCP-Agent`. It must be written exactly as it is configured.
    /// `None` if no sender has the URL: a URL from a request is never fetched.
    #[must_use]
    pub fn ucp_agent(&self, head: &dyn Head) -> Option<&str> {
        let Occurrence::Once(value) = head.header(&FieldName::new("ucp-agent").ok()?) else { return None };
        let dictionary: Dictionary = Parser::new(value).parse().ok()?;
        let Some(ListEntry::Item(item)) = dictionary.get("profile") else { return None };
        let BareItem::String(url) = &item.bare_item else { return None };
        self.shared.senders.values().find(|sender| sender.url == url.as_str()).map(|sender| sender.name.as_str())
    }
}

impl AsyncKeyStore for JwksKeys {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        Box::pin(async move {
            let Some((sender, keyid)) = webhook_id.split_once('/') else { return Ok(None) };
            let Some(sender) = self.shared.senders.get(sender) else { return Ok(None) };
            sender.find(keyid).await
        })
    }
}

impl fmt::Debug for JwksKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&String> = self.shared.senders.keys().collect();
        names.sort_unstable();
        f.debug_struct("JwksKeys")
            .field("scheme", &self.shared.scheme.name())
            .field("senders", &names)
            .finish_non_exhaustive()
    }
}

//! The builder of a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::Client;
use tokio::runtime::Handle;

use super::address::Address;
use super::cluster::ClusterSettings;
use super::connection::Target;
use super::denials::Denials;
use super::router::Router;
use super::sentinel::Sentinels;
use super::server::Server;
use super::{Inner, RedisStore};
use crate::error::{ConfigError, StoreError};

/// Builds a [`RedisStore`]. `Debug` does not print the URL, which may contain a password.
///
/// ```no_run
/// use std::time::Duration;
///
/// use hookwarden::redis::RedisStore;
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::builder(std::env::var("HOOKWARDEN_REDIS_URL")?)
///     .prefix("payments") // endpoints with different senders need different prefixes
///     .timeout(Duration::from_millis(50))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RedisStoreBuilder {
    url: String,
    prefix: String,
    timeout: Duration,
    connect_timeout: Duration,
}

/// Why a store could not connect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server does not answer, or refuses the connection.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RedisStore {
    /// Starts a builder for the servers at `url`:
    ///
    /// | servers | URL |
    /// | --- | --- |
    /// | one | `redis://[user:password@]host[:port][/database]`, or `redis+unix:///path` for a socket |
    /// | Redis Cluster | `redis+cluster://[user:password@]host[:port],host[:port],…`: some of its nodes |
    /// | a primary that Sentinels watch | `redis+sentinel://[user:password@]sentinel[:port],…/name[/database]`; for Sentinels with a password, `?sentinel_password=…` and perhaps `&sentinel_user=…` |
    ///
    /// `rediss` instead of `redis` is TLS. Users and passwords are percent-encoded.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder {
            url: url.into(),
            prefix: "hookwarden".into(),
            timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(1),
        }
    }
}

impl RedisStoreBuilder {
    /// Sets the start of every key's name: 1 to 64 bytes without braces. The default is `hookwarden`. Processes with
    /// the same prefix on the same server share quotas and deliveries, so endpoints with different senders need
    /// different prefixes.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how long a call may take. The default is 100 ms. A request makes two calls: one before its handler and one
    /// after.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long connecting may take, including the handshakes of TLS and Redis. The default is 1 s. Sentinels have
    /// half of it to answer, at most 500 ms. A request never waits longer than [`timeout`](Self::timeout).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Connects now. The connection lives on the current tokio runtime.
    ///
    /// # Errors
    /// Returns an error if the URL, the prefix or a timeout is invalid, if the server does not answer, or if it refuses
    /// the password. A cluster has to answer at one of the nodes in the URL, and one primary must be reachable; the
    /// others may be down, but none may refuse the password.
    pub async fn connect(self) -> Result<RedisStore, ConnectError> {
        let store = self.connect_later()?;
        store.inner.router.map.open().await?;
        Ok(store)
    }

    /// Returns a store that connects at its first request, so that a process can start while the server is down. Until
    /// it answers, deliveries are refused with 503.
    ///
    /// # Errors
    /// Returns an error if the URL, the prefix or a timeout is invalid, or outside a tokio runtime.
    pub fn connect_later(self) -> Result<RedisStore, ConfigError> {
        let problem = |field, problem| ConfigError::new(field, problem);
        if self.prefix.is_empty() || self.prefix.len() > MAX_PREFIX || self.prefix.contains(['{', '}']) {
            return Err(problem("redis.prefix", "must be 1 to 64 bytes without braces"));
        }
        if self.timeout.is_zero() {
            return Err(problem("redis.timeout", "must be more than zero"));
        }
        if self.connect_timeout.is_zero() {
            return Err(problem("redis.connect_timeout", "must be more than zero"));
        }
        let runtime =
            Handle::try_current().map_err(|_| problem("redis", "must be connected within a tokio runtime"))?;
        let address = Address::parse(&self.url)?;
        prepare_tls(&address);
        let (timeout, connect_timeout) = (self.timeout, self.connect_timeout);
        let single = |target| {
            let server = Server::new(target, timeout, connect_timeout)?;
            Ok(Router::single(server, timeout, runtime.clone()))
        };
        let router = match address {
            Address::Server(node) => Client::open(node.info().clone()).map(Target::Server).and_then(single),
            Address::Sentinel(address) => {
                Sentinels::new(*address, connect_timeout).map(Target::Sentinels).and_then(single)
            }
            Address::Cluster { seeds, node } => {
                let runtime = runtime.clone();
                Router::cluster(ClusterSettings { seeds, template: node, timeout, connect_timeout, runtime })
            }
        };
        let router = router.map_err(|_| problem("redis.url", "must be an address that the Redis client supports"))?;
        let inner = Inner { router, prefix: self.prefix, denials: Denials::new() };
        Ok(RedisStore { inner: Arc::new(inner), time: None })
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Installs a cryptography provider for rustls, unless the application has installed one. A process has only one.
fn prepare_tls(address: &Address) {
    if address.has_tls() && rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread has installed a provider meanwhile.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

const MAX_PREFIX: usize = 64;

//! Building a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};
use tokio::runtime::Handle;

use super::denials::Denials;
use super::link::Link;
use super::{Inner, RedisStore};
use crate::error::{ConfigError, StoreError};

/// Collects the settings of a [`RedisStore`]. `Debug` shows nothing of the URL.
#[must_use]
pub struct RedisStoreBuilder {
    url: String,
    prefix: String,
    timeout: Duration,
    connect_timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setting cannot be right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server does not answer, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RedisStoreBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            prefix: "hookwarden".into(),
            timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(1),
        }
    }

    /// What the name of every key begins with, `hookwarden` by default. Processes with the same prefix on the same server
    /// share quotas and deliveries, so that each endpoint of different senders needs one of its own.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a call may take, 100 ms by default. A request makes two: one before its handler and one after.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long connecting may take, the handshakes of TLS and of Redis included, 1 s by default. No request waits for
    /// longer than [`timeout`](Self::timeout) all the same.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Connects, and fails if the server does not answer now.
    ///
    /// The connection lives on the tokio runtime that this is called on.
    ///
    /// # Errors
    /// The URL, the prefix or a time cannot be right; or the server does not answer, or refuses the password.
    pub async fn connect(self) -> Result<RedisStore, ConnectError> {
        let store = self.connect_later()?;
        store.inner.link.open().await?;
        Ok(store)
    }

    /// A store that connects with its first request, so that a process can start while the server is away. Until it
    /// answers, deliveries are refused with 503.
    ///
    /// # Errors
    /// The URL, the prefix or a time cannot be right, or this is not called on a tokio runtime.
    pub fn connect_later(self) -> Result<RedisStore, ConfigError> {
        let problem = |field, problem| ConfigError::new(field, problem);
        if self.prefix.is_empty() || self.prefix.len() > MAX_PREFIX || self.prefix.contains(['{', '}']) {
            return Err(problem("redis prefix", "has no bytes, more than 64, or a brace"));
        }
        if self.timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(problem("redis timeout", "is zero"));
        }
        let runtime = Handle::try_current().map_err(|_| problem("redis", "there is no tokio runtime to connect on"))?;
        // The client's own errors may repeat parts of the URL.
        let info = self.url.as_str().into_connection_info().map_err(|_| {
            problem("redis url", "is not redis://, rediss:// or redis+unix:// with a host and a database's number")
        })?;
        // The client has it as a feature, which another user of it may have turned on.
        if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
            return Err(problem("redis url", "asks for TLS whose certificates nobody checks"));
        }
        prepare_tls(&info);
        let client = Client::open(info).map_err(|_| problem("redis url", "cannot be connected to"))?;
        let link = Link::new(client, self.timeout, self.connect_timeout, runtime)
            .map_err(|_| problem("redis url", "cannot be connected to"))?;
        let inner = Inner { link: Arc::new(link), prefix: self.prefix, denials: Denials::new() };
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

/// rustls has one choice of cryptography for a process. One that the application made stands.
fn prepare_tls(info: &ConnectionInfo) {
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) && rustls::crypto::CryptoProvider::get_default().is_none() {
        // It fails only if another thread was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

const MAX_PREFIX: usize = 64;

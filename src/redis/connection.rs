//! The connection to a server, and how a new one is opened.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisResult, Value};
use arc_swap::ArcSwapOption;
use futures_util::future::{Either, select};

use super::sentinel::{Primary, Sentinels, Trouble};

pub(super) struct Connector {
    target: Target,
    config: ConnectionManagerConfig,
    /// `None` until Sentinels have named a primary.
    current: ArcSwapOption<Connected>,
}

pub(super) enum Target {
    Server(Client),
    Sentinels(Sentinels),
}

/// An open connection.
pub(super) struct Connected {
    pub(super) manager: ConnectionManager,
    primary: Option<Primary>,
}

impl Connector {
    /// Connects to one server lazily.
    pub(super) fn new(target: Target, connect_timeout: Duration) -> RedisResult<Self> {
        // Timeouts and retries are handled by the caller, not by the client.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_response_timeout(None)
            .set_connection_timeout(Some(connect_timeout));
        let current = match &target {
            Target::Server(client) => {
                let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
                Some(Connected { manager, primary: None })
            }
            Target::Sentinels(_) => None,
        };
        Ok(Self { target, config, current: ArcSwapOption::from_pointee(current) })
    }

    /// Returns the connection that is used now.
    pub(super) fn current(&self) -> Option<ConnectionManager> {
        self.current.load().as_ref().map(|connected| connected.manager.clone())
    }

    /// Opens a new connection to the server, or to the primary that the Sentinels name now.
    pub(super) async fn connect(&self) -> Result<Connected, Trouble> {
        let sentinels = match &self.target {
            Target::Server(client) => {
                let manager = self.open(client.clone()).await?;
                return Ok(Connected { manager, primary: None });
            }
            Target::Sentinels(sentinels) => sentinels,
        };
        let current = self.current.load_full();
        let mut current = current.as_ref().and_then(|current| current.primary.clone());
        loop {
            let primary = sentinels.primary(current.as_ref()).await?;
            // Do not wait for a server that does not answer after the Sentinels have replaced it.
            let opening = pin!(self.open_primary(sentinels, &primary));
            match select(opening, pin!(sentinels.replacement(&primary))).await {
                Either::Left((manager, _)) => {
                    return Ok(Connected { manager: manager?, primary: Some(primary.clone()) });
                }
                Either::Right(_) => current = Some(primary.clone()),
            }
        }
    }

    async fn open_primary(&self, sentinels: &Sentinels, primary: &Primary) -> Result<ConnectionManager, Trouble> {
        let mut manager = self.open(sentinels.client(primary)?).await?;
        let role: Vec<Value> = ::redis::cmd("ROLE").query_async(&mut manager).await?;
        match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(manager),
            _ => Err(Trouble::Replica(primary.host.clone())),
        }
    }

    pub(super) fn replace(&self, connected: Connected) {
        self.current.store(Some(Arc::new(connected)));
    }

    /// Returns the Sentinels, if a new connection can lead to another server although the current one answers.
    pub(super) const fn sentinels(&self) -> Option<&Sentinels> {
        match &self.target {
            Target::Server(_) => None,
            Target::Sentinels(sentinels) => Some(sentinels),
        }
    }

    /// Returns whether the Sentinels name another primary than the connected one.
    pub(super) async fn is_replaced(&self) -> bool {
        let current = self.current.load_full();
        match (&self.target, current.as_ref().and_then(|current| current.primary.as_ref())) {
            (Target::Sentinels(sentinels), Some(primary)) => sentinels.have_replaced(primary).await,
            _ => false,
        }
    }

    async fn open(&self, client: Client) -> RedisResult<ConnectionManager> {
        ConnectionManager::new_with_config(client, self.config.clone()).await
    }
}

//! The connection, and what is done while the server does not answer.
//!
//! The first call that fails closes the link, and all calls fail at once until the server was heard again: nobody waits
//! for a dead server but the requests that were under way. A task in the background asks for it, at once and then after
//! growing pauses, first over the connection that there is and then over a new one. Before it opens the link again, it
//! makes up for what the server could not be told.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::unsettled::{Queue, Settlement, Unsettled};
use crate::error::StoreError;

pub(super) struct Link {
    connection: ArcSwap<ConnectionManager>,
    client: Client,
    config: ConnectionManagerConfig,
    timeout: Duration,
    connect_timeout: Duration,
    /// Where the connection lives; requests may come from shorter-lived runtimes.
    runtime: Handle,
    down: AtomicBool,
    mending: AtomicBool,
    unsettled: Queue,
    start: Instant,
    /// The server's clock minus the time since `start`, in microseconds.
    server_offset: AtomicI64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Script {
    Admit,
    Settle,
}

impl Link {
    pub(super) fn new(
        client: Client,
        timeout: Duration,
        connect_timeout: Duration,
        runtime: Handle,
    ) -> RedisResult<Self> {
        // It is tried again here, not there.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_response_timeout(Some(timeout))
            .set_connection_timeout(Some(connect_timeout));
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        Ok(Self {
            connection: ArcSwap::from_pointee(connection),
            client,
            config,
            timeout,
            connect_timeout,
            runtime,
            down: AtomicBool::new(false),
            mending: AtomicBool::new(false),
            unsettled: Queue::default(),
            start: Instant::now(),
            server_offset: AtomicI64::new(UNKNOWN),
        })
    }

    /// Connects, and loads the scripts.
    pub(super) async fn open(&self) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let opening = async {
            for script in [Script::Admit, Script::Settle] {
                let (code, _) = script.source();
                ::redis::cmd("SCRIPT").arg("LOAD").arg(code).exec_async(&mut connection).await?;
            }
            Ok(())
        };
        match timeout(self.connect_timeout, opening).await {
            Ok(opened) => opened.map_err(|error| describe(&error)),
            Err(_) => Err(self.silent(self.connect_timeout)),
        }
    }

    /// Whether it is worth asking.
    pub(super) fn ready(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::Acquire) {
            Err(StoreError::new("redis is down, no answer was waited for"))
        } else {
            Ok(())
        }
    }

    /// Runs a script, in one round trip unless the server does not know it.
    pub(super) async fn call(
        self: &Arc<Self>,
        script: Script,
        keys: &[String],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Vec<i64>, StoreError> {
        match timeout(self.timeout, self.run(script, keys, arguments)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => {
                if is_outage(&error) {
                    self.close();
                }
                Err(describe(&error))
            }
            Err(_) => {
                self.close();
                Err(self.silent(self.timeout))
            }
        }
    }

    async fn run(&self, script: Script, keys: &[String], arguments: impl Fn(&mut Cmd)) -> RedisResult<Vec<i64>> {
        let (code, hash) = script.source();
        let command = |name, text: &str| {
            let mut command = ::redis::cmd(name);
            command.arg(text).arg(keys.len()).arg(keys);
            arguments(&mut command);
            command
        };
        let mut connection = self.connection();
        let by_hash = command("EVALSHA", hash);
        let mut reply = by_hash.query_async(&mut connection).await;
        if reply.as_ref().is_err_and(RedisError::is_connection_dropped) {
            // Servers and proxies close idle connections. Claims and settlements can be repeated.
            reply = by_hash.query_async(&mut connection).await;
        }
        match reply {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                // This loads it too.
                command("EVAL", code).query_async(&mut connection).await
            }
            reply => reply,
        }
    }

    pub(super) async fn settle(self: &Arc<Self>, settlement: Option<&Settlement>) -> Result<bool, StoreError> {
        let Some(settlement) = settlement else { return Ok(false) };
        let reply = self
            .call(Script::Settle, &settlement.keys, |command| {
                command.arg(settlement.by.number().to_be_bytes().as_slice()).arg(settlement.remembered());
            })
            .await?;
        Ok(reply == [1])
    }

    pub(super) fn settle_if_dropped(self: &Arc<Self>, settlement: Settlement) -> Unsettled {
        Unsettled::new(self.clone(), settlement)
    }

    pub(super) fn settle_later(self: &Arc<Self>, settlement: Settlement) {
        self.unsettled.push(settlement);
        self.mend();
    }

    /// The latest server time at which an answer to what is asked now is still waited for, or 0 if the server's clock is
    /// not known. A server that was stopped reads what it was sent before; by then nobody would own the claim.
    pub(super) fn deadline(&self, asked: Instant) -> i64 {
        match self.server_offset.load(Ordering::Relaxed) {
            UNKNOWN => 0,
            offset => offset.saturating_add(self.micros(asked)).saturating_add(micros(self.timeout)),
        }
    }

    pub(super) fn note_time(&self, asked: Instant, reply: &[i64], of_test: bool) {
        if let (Some(time), false) = (reply.get(1), of_test) {
            self.server_offset.store(time.saturating_sub(self.micros(asked)), Ordering::Relaxed);
        }
    }

    fn close(self: &Arc<Self>) {
        self.down.store(true, Ordering::Release);
        self.mend();
    }

    /// Starts the task that brings the link back, unless it runs.
    fn mend(self: &Arc<Self>) {
        if !self.mending.swap(true, Ordering::AcqRel) {
            self.runtime.spawn(mend(Arc::downgrade(self)));
        }
    }

    /// Returns whether there is nothing left to mend.
    async fn mend_once(self: &Arc<Self>) -> bool {
        if self.down.load(Ordering::Acquire) && !self.is_alive().await && !self.reconnect().await {
            return false;
        }
        loop {
            let batch = self.unsettled.take(BATCH);
            let told = join_all(batch.iter().map(|settlement| self.settle(Some(settlement)))).await;
            let untold = batch.into_iter().zip(told).filter(|(_, told)| told.is_err());
            let untold: Vec<_> = untold.map(|(settlement, _)| settlement).collect();
            if !untold.is_empty() {
                self.unsettled.put_back(untold);
                return false;
            }
            if self.unsettled.is_empty() {
                self.down.store(false, Ordering::Release);
                return true;
            }
        }
    }

    async fn is_alive(&self) -> bool {
        matches!(timeout(self.timeout, ping(self.connection())).await, Ok(Ok(())))
    }

    async fn reconnect(&self) -> bool {
        let connecting = async {
            let connection = ConnectionManager::new_with_config(self.client.clone(), self.config.clone()).await?;
            ping(connection.clone()).await?;
            RedisResult::Ok(connection)
        };
        match timeout(self.connect_timeout, connecting).await {
            Ok(Ok(connection)) => {
                self.connection.store(Arc::new(connection));
                true
            }
            _ => false,
        }
    }

    fn connection(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.connection.load())
    }

    fn silent(&self, waited: Duration) -> StoreError {
        StoreError::new(format!("redis did not answer within {waited:?}"))
    }

    fn micros(&self, moment: Instant) -> i64 {
        micros(moment.saturating_duration_since(self.start))
    }
}

async fn mend(link: Weak<Link>) {
    let mut pause = Duration::ZERO;
    while let Some(link) = link.upgrade() {
        if link.mend_once().await {
            link.mending.store(false, Ordering::Release);
            // Something may have come after the last look, and before the flag was set.
            if (link.unsettled.is_empty() && link.ready().is_ok()) || link.mending.swap(true, Ordering::AcqRel) {
                return;
            }
            pause = Duration::ZERO;
        } else {
            drop(link);
            sleep(pause).await;
            pause = pause.saturating_mul(2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
    }
}

async fn ping(mut connection: ConnectionManager) -> RedisResult<()> {
    ::redis::cmd("PING").exec_async(&mut connection).await
}

impl Script {
    fn source(self) -> (&'static str, &'static str) {
        static ADMIT: LazyLock<::redis::Script> = LazyLock::new(|| ::redis::Script::new(ADMIT_CODE));
        static SETTLE: LazyLock<::redis::Script> = LazyLock::new(|| ::redis::Script::new(SETTLE_CODE));
        match self {
            Self::Admit => (ADMIT_CODE, ADMIT.get_hash()),
            Self::Settle => (SETTLE_CODE, SETTLE.get_hash()),
        }
    }
}

/// Whether it is the server that fails, and not one command.
fn is_outage(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
        ),
        _ => error.is_unrecoverable_error(),
    }
}

/// In words of our own: what the client writes may have parts of the address in it.
fn describe(error: &RedisError) -> StoreError {
    StoreError::new(match (error.code(), error.kind()) {
        (Some(code), _) => format!("redis refused with {code}"),
        (None, ErrorKind::Io) if error.is_timeout() => "redis did not answer in time".into(),
        (None, ErrorKind::Io) if error.is_connection_refusal() => "redis refused the connection".into(),
        (None, ErrorKind::Io) => "the connection to redis failed".into(),
        (None, ErrorKind::AuthenticationFailed) => "redis did not accept the user or the password".into(),
        (None, kind) => format!("redis failed: {kind:?}"),
    })
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

const ADMIT_CODE: &str = include_str!("admit.lua");
const SETTLE_CODE: &str = include_str!("settle.lua");

const UNKNOWN: i64 = i64::MIN;

/// Settlements made up for at one time.
const BATCH: usize = 256;

const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

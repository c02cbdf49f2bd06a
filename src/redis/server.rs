//! The server of a store: its connection, its scripts and its clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, ErrorKind, FromRedisValue as _, RedisError, RedisResult, ServerErrorKind, Value};
use arc_swap::ArcSwap;
use tokio::time::timeout;

use crate::error::StoreError;

pub(super) struct Server {
    connection: ArcSwap<ConnectionManager>,
    client: Client,
    config: ConnectionManagerConfig,
    timeout: Duration,
    connect_timeout: Duration,
    start: Instant,
    /// The server's clock minus the time since `start`, in microseconds.
    offset: AtomicI64,
    /// When `offset` was measured, in microseconds since `start`.
    measured_at: AtomicI64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Script {
    Admit,
    Settle,
    Forget,
}

/// The reply of a script.
pub(super) struct Reply {
    pub(super) numbers: Vec<i64>,
    /// Whether the connection was lost during a first attempt, which the server may have executed.
    pub(super) repeated: bool,
}

/// Why a call failed.
pub(super) struct Failure {
    error: StoreError,
    /// Whether the server is unavailable; otherwise it refused only this command.
    pub(super) outage: bool,
    /// Whether the server accepts no writes, because it is a replica.
    pub(super) read_only: bool,
}

impl Failure {
    fn new(error: &RedisError) -> Self {
        let read_only = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        Self { error: describe(error), outage: is_outage(error), read_only }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Server {
    pub(super) fn new(client: Client, timeout: Duration, connect_timeout: Duration) -> RedisResult<Self> {
        // Timeouts and retries are handled here, not by the client.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_response_timeout(None)
            .set_connection_timeout(Some(connect_timeout));
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        Ok(Self {
            connection: ArcSwap::from_pointee(connection),
            client,
            config,
            timeout,
            connect_timeout,
            start: Instant::now(),
            offset: AtomicI64::new(UNKNOWN),
            measured_at: AtomicI64::new(0),
        })
    }

    /// Connects, loads the scripts and reads the server's time.
    pub(super) async fn open(&self) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let opening = async {
            for script in [Script::Admit, Script::Settle, Script::Forget] {
                let (code, _) = script.source();
                ::redis::cmd("SCRIPT").arg("LOAD").arg(code).exec_async(&mut connection).await?;
            }
            self.read_time(&mut connection).await
        };
        match timeout(self.connect_timeout, opening).await {
            Ok(opened) => opened.map_err(|error| describe(&error)),
            Err(_) => Err(timed_out(self.connect_timeout)),
        }
    }

    /// Runs a script, in one round trip unless the server does not know it.
    pub(super) async fn call(
        &self,
        script: Script,
        keys: &[String],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<Reply, Failure> {
        match timeout(self.timeout, self.run(script, keys, arguments)).await {
            Ok(reply) => reply.map_err(|error| Failure::new(&error)),
            Err(_) => Err(Failure { error: timed_out(self.timeout), outage: true, read_only: false }),
        }
    }

    async fn run(&self, script: Script, keys: &[String], arguments: impl Fn(&mut Cmd)) -> RedisResult<Reply> {
        let (code, hash) = script.source();
        let command = |name, text: &str| {
            let mut command = ::redis::cmd(name);
            command.arg(text).arg(keys.len()).arg(keys);
            arguments(&mut command);
            command
        };
        let mut connection = self.connection();
        if matches!(script, Script::Admit) && self.offset.load(Ordering::Relaxed) == UNKNOWN {
            self.read_time(&mut connection).await?;
        }
        let by_hash = command("EVALSHA", hash);
        let mut reply: RedisResult<Value> = by_hash.query_async(&mut connection).await;
        let repeated = reply.as_ref().is_err_and(RedisError::is_connection_dropped);
        if repeated {
            // Servers and proxies close idle connections. Claims and settlements can be repeated.
            reply = by_hash.query_async(&mut connection).await;
        }
        if reply.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            // `EVAL` also loads the script.
            reply = command("EVAL", code).query_async(&mut connection).await;
        }
        let numbers = match reply? {
            Value::Int(number) => vec![number],
            numbers => Vec::from_redis_value(numbers)?,
        };
        Ok(Reply { numbers, repeated })
    }

    /// Returns whether the server answers over the existing connection.
    pub(super) async fn is_alive(&self) -> bool {
        matches!(timeout(self.timeout, ping(self.connection())).await, Ok(Ok(())))
    }

    /// Replaces the connection with a new one. Returns whether the server answers over it.
    pub(super) async fn reconnect(&self) -> bool {
        let connecting = async {
            let mut connection = ConnectionManager::new_with_config(self.client.clone(), self.config.clone()).await?;
            ping(connection.clone()).await?;
            // The connection may lead to another server with another clock.
            self.read_time(&mut connection).await?;
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

    /// Returns the server time until which the answer to a call made now is awaited. After it the script must not
    /// claim: a server that was stopped reads calls that were sent earlier, and such a claim would have no owner.
    /// Returns 0 before the server's clock is known; no claim is sent then. Once a second the result is negative, and
    /// the server then reports its time again, because its clock may have been set back.
    pub(super) fn deadline(&self, asked: Instant) -> i64 {
        let asked = self.micros(asked);
        match self.offset.load(Ordering::Relaxed) {
            UNKNOWN => 0,
            offset => {
                let deadline = offset.saturating_add(asked).saturating_add(micros(self.timeout));
                let known_for = asked.saturating_sub(self.measured_at.load(Ordering::Relaxed));
                if known_for < TIME_VALIDITY { deadline } else { deadline.saturating_neg() }
            }
        }
    }

    async fn read_time(&self, connection: &mut ConnectionManager) -> RedisResult<()> {
        let asked = Instant::now();
        let (seconds, micros): (i64, i64) = ::redis::cmd("TIME").query_async(connection).await?;
        self.note_time(asked, seconds.saturating_mul(1_000_000).saturating_add(micros));
        Ok(())
    }

    /// Stores the time that the server reported, in microseconds.
    pub(super) fn note_time(&self, asked: Instant, time: i64) {
        let asked = self.micros(asked);
        self.offset.store(time.saturating_sub(asked), Ordering::Relaxed);
        self.measured_at.store(asked, Ordering::Relaxed);
    }

    fn connection(&self) -> ConnectionManager {
        ConnectionManager::clone(&self.connection.load())
    }

    fn micros(&self, moment: Instant) -> i64 {
        micros(moment.saturating_duration_since(self.start))
    }
}

impl Script {
    fn source(self) -> (&'static str, &'static str) {
        static ADMIT: LazyLock<::redis::Script> = LazyLock::new(|| ::redis::Script::new(ADMIT_CODE));
        static SETTLE: LazyLock<::redis::Script> = LazyLock::new(|| ::redis::Script::new(SETTLE_CODE));
        static FORGET: LazyLock<::redis::Script> = LazyLock::new(|| ::redis::Script::new(FORGET_CODE));
        match self {
            Self::Admit => (ADMIT_CODE, ADMIT.get_hash()),
            Self::Settle => (SETTLE_CODE, SETTLE.get_hash()),
            Self::Forget => (FORGET_CODE, FORGET.get_hash()),
        }
    }
}

async fn ping(mut connection: ConnectionManager) -> RedisResult<()> {
    ::redis::cmd("PING").exec_async(&mut connection).await
}

/// Returns whether the server failed, rather than one command.
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

/// Describes an error without the client's text, which may contain parts of the address.
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

fn timed_out(waited: Duration) -> StoreError {
    StoreError::new(format!("redis did not answer within {waited:?}"))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

const ADMIT_CODE: &str = include_str!("admit.lua");
const SETTLE_CODE: &str = include_str!("settle.lua");
const FORGET_CODE: &str = include_str!("forget.lua");

const UNKNOWN: i64 = i64::MIN;

/// How long the reported time of the server is used, in microseconds.
const TIME_VALIDITY: i64 = 1_000_000;

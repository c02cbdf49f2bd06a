//! The server of a store: its connection, its scripts and its clock.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::ConnectionManager;
use ::redis::{Cmd, ErrorKind, FromRedisValue as _, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connection::{Connector, Target};
use super::sentinel::Trouble;
use crate::error::StoreError;

pub(super) struct Server {
    connector: Connector,
    /// Lets only one of the first requests ask the Sentinels.
    connecting: Mutex<()>,
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
    pub(super) fn new(target: Target, timeout: Duration, connect_timeout: Duration) -> RedisResult<Self> {
        Ok(Self {
            connector: Connector::new(target, connect_timeout)?,
            connecting: Mutex::default(),
            timeout,
            connect_timeout,
            start: Instant::now(),
            offset: AtomicI64::new(UNKNOWN),
            measured_at: AtomicI64::new(0),
        })
    }

    /// Connects, loads the scripts and reads the server's time.
    pub(super) async fn open(&self) -> Result<(), StoreError> {
        match timeout(self.connect_timeout, self.connect()).await {
            Ok(opened) => opened.map(drop),
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
        let running = async {
            let outage = |error| Failure { error, outage: true, read_only: false };
            let connection = self.connection().await.map_err(outage)?;
            self.run(connection, script, keys, arguments).await.map_err(|error| Failure::new(&error))
        };
        match timeout(self.timeout, running).await {
            Ok(reply) => reply,
            Err(_) => Err(Failure { error: timed_out(self.timeout), outage: true, read_only: false }),
        }
    }

    async fn run(
        &self,
        mut connection: ConnectionManager,
        script: Script,
        keys: &[String],
        arguments: impl Fn(&mut Cmd),
    ) -> RedisResult<Reply> {
        let (code, hash) = script.source();
        let command = |name, text: &str| {
            let mut command = ::redis::cmd(name);
            command.arg(text).arg(keys.len()).arg(keys);
            arguments(&mut command);
            command
        };
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

    /// Returns whether the server answers over the existing connection. With Sentinels it may answer although it is no
    /// longer the primary, so the answer is `false`.
    pub(super) async fn is_alive(&self) -> bool {
        match self.connector.current() {
            Some(connection) if !self.connector.has_sentinels() => {
                matches!(timeout(self.timeout, ping(connection)).await, Ok(Ok(())))
            }
            _ => false,
        }
    }

    /// Replaces the connection with a new one. Returns whether the server answers over it.
    pub(super) async fn reconnect(&self) -> bool {
        self.open().await.is_ok()
    }

    pub(super) const fn has_sentinels(&self) -> bool {
        self.connector.has_sentinels()
    }

    /// Returns whether the Sentinels name another primary than the connected one.
    pub(super) async fn is_replaced(&self) -> bool {
        self.connector.is_replaced().await
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

    /// Returns the current connection, or opens the first one.
    async fn connection(&self) -> Result<ConnectionManager, StoreError> {
        if let Some(connection) = self.connector.current() {
            return Ok(connection);
        }
        let _turn = self.connecting.lock().await;
        match self.connector.current() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<ConnectionManager, StoreError> {
        let connected = self.connector.connect().await.map_err(|trouble| explain(&trouble))?;
        let mut connection = connected.manager.clone();
        let prepared = async {
            ping(connection.clone()).await?;
            for script in [Script::Admit, Script::Settle, Script::Forget] {
                let (code, _) = script.source();
                ::redis::cmd("SCRIPT").arg("LOAD").arg(code).exec_async(&mut connection).await?;
            }
            // The connection may lead to another server with another clock.
            self.read_time(&mut connection).await
        };
        prepared.await.map_err(|error| describe(&error))?;
        self.connector.replace(connected);
        Ok(connection)
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

fn explain(trouble: &Trouble) -> StoreError {
    StoreError::new(match trouble {
        Trouble::Client(error) => return describe(error),
        Trouble::Silent => "no Sentinel answered in time".into(),
        Trouble::Refused(host, error) => format!("Sentinel {host}: {}", describe(error)),
        Trouble::NoSentinel(host) => format!("{host} must be a Sentinel: use redis:// for one server"),
        Trouble::UnknownName(host) => format!("Sentinel {host} knows no primary of the name in the URL"),
        Trouble::Replica(host) => format!("the Sentinels name {host} as the primary, but it is a replica"),
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

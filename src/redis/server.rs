//! The server of a store: its connection, its scripts and its clock.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::ConnectionManager;
use ::redis::{Cmd, ErrorKind, FromRedisValue as _, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::Mutex;
use tokio::time::{timeout, timeout_at};

use super::connection::{Connector, Target};
use super::failure::Failure;
use super::sentinel::Sentinels;

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

/// A call of a script.
pub(super) struct Call<'a, A> {
    pub(super) script: Script,
    pub(super) keys: &'a [String],
    /// Adds the other arguments. Those of a claim depend on the server's clock.
    pub(super) arguments: A,
    /// When the call began. It may take the store's timeout from then on, with all redirections.
    pub(super) began: Instant,
}

/// The reply of a script.
pub(super) struct Reply {
    pub(super) numbers: Vec<i64>,
    /// Whether the connection was lost during a first attempt, which the server may have executed.
    pub(super) repeated: bool,
    /// When the script was sent to the server that ran it.
    pub(super) asked: Instant,
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
    pub(super) async fn open(&self) -> Result<(), Failure> {
        match timeout(self.connect_timeout, self.connect()).await {
            Ok(opened) => opened.map(drop),
            Err(_) => Err(Failure::timed_out(self.connect_timeout, true)),
        }
    }

    /// Runs a script, in one round trip unless the server does not know it. `asking` permits a node of a cluster to
    /// use a slot that is being migrated to it.
    pub(super) async fn call(&self, call: &Call<'_, impl Fn(&mut Cmd, &Self)>, asking: bool) -> Result<Reply, Failure> {
        let asked = Instant::now();
        let until = call.began.checked_add(self.timeout).unwrap_or(asked);
        let running = async {
            let connection = self.connection().await.map_err(|failure| Failure { outage: true, ..failure })?;
            self.run(connection, call, asking).await.map_err(|error| Failure::new(&error))
        };
        match timeout_at(until.into(), running).await {
            Ok(reply) => reply,
            // If redirections took most of the time, the server may be fine.
            Err(_) => Err(Failure::timed_out(self.timeout, asked.elapsed().saturating_mul(2) >= self.timeout)),
        }
    }

    async fn run(
        &self,
        mut connection: ConnectionManager,
        call: &Call<'_, impl Fn(&mut Cmd, &Self)>,
        asking: bool,
    ) -> RedisResult<Reply> {
        let (code, hash) = call.script.source();
        let command = |name, text: &str| {
            let mut command = ::redis::cmd(name);
            command.arg(text).arg(call.keys.len()).arg(call.keys);
            (call.arguments)(&mut command, self);
            command
        };
        if matches!(call.script, Script::Admit) && self.offset.load(Ordering::Relaxed) == UNKNOWN {
            self.read_time(&mut connection).await?;
        }
        let by_hash = command("EVALSHA", hash);
        let asked = Instant::now();
        let mut reply = send(&by_hash, asking, &mut connection).await;
        let repeated = reply.as_ref().is_err_and(RedisError::is_connection_dropped);
        if repeated {
            // Servers and proxies close idle connections. Claims and settlements can be repeated.
            reply = send(&by_hash, asking, &mut connection).await;
        }
        if reply.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            // `EVAL` also loads the script.
            reply = send(&command("EVAL", code), asking, &mut connection).await;
        }
        let numbers = match reply? {
            Value::Int(number) => vec![number],
            numbers => Vec::from_redis_value(numbers)?,
        };
        Ok(Reply { numbers, repeated, asked })
    }

    /// Asks a node of a cluster which node owns which slots.
    pub(super) async fn slots(&self, patience: Duration) -> Result<Value, Failure> {
        let asking = async {
            let mut connection = self.connection().await?;
            let slots = ::redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await;
            slots.map_err(|error: RedisError| match error.kind() {
                ErrorKind::Server(ServerErrorKind::ResponseError) => Failure::no_cluster(),
                _ => Failure::new(&error),
            })
        };
        timeout(patience, asking).await.unwrap_or_else(|_| Err(Failure::timed_out(patience, true)))
    }

    /// Returns whether the server answers over the existing connection. With Sentinels it may answer although it is no
    /// longer the primary, so the answer is `false`.
    pub(super) async fn is_alive(&self) -> bool {
        match self.connector.current() {
            Some(connection) if self.connector.sentinels().is_none() => {
                matches!(timeout(self.timeout, ping(connection)).await, Ok(Ok(())))
            }
            _ => false,
        }
    }

    /// Replaces the connection with a new one. Returns whether the server answers over it.
    pub(super) async fn reconnect(&self) -> bool {
        self.open().await.is_ok()
    }

    /// Returns the Sentinels through which the server is found.
    pub(super) const fn sentinels(&self) -> Option<&Sentinels> {
        self.connector.sentinels()
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
    async fn connection(&self) -> Result<ConnectionManager, Failure> {
        if let Some(connection) = self.connector.current() {
            return Ok(connection);
        }
        let _turn = self.connecting.lock().await;
        match self.connector.current() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<ConnectionManager, Failure> {
        let connected = self.connector.connect().await.map_err(|trouble| Failure::connecting(&trouble))?;
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
        prepared.await.map_err(|error| Failure::new(&error))?;
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

/// Sends a command. `ASKING` is valid for the next command on a connection, so both are sent together.
async fn send(command: &Cmd, asking: bool, connection: &mut ConnectionManager) -> RedisResult<Value> {
    if !asking {
        return command.query_async(connection).await;
    }
    let mut both = ::redis::pipe();
    both.cmd("ASKING").ignore().add_command(command.clone()).ignore_errors();
    let (reply,): (RedisResult<Value>,) = both.query_async(connection).await?;
    reply
}

async fn ping(mut connection: ConnectionManager) -> RedisResult<()> {
    ::redis::cmd("PING").exec_async(&mut connection).await
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

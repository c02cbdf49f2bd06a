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
        let time = ::redis::cmd("TIME").query_async(connection).await?;
        self.note_time(asked, total_micros(time));
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
        // All in one round trip: servers can be far away.
        let mut prepare = ::redis::pipe();
        prepare.cmd("PING").cmd("TIME");
        for script in [Script::Admit, Script::Settle, Script::Forget] {
            let (code, _) = script.source();
            prepare.cmd("SCRIPT").arg("LOAD").arg(code);
        }
        let asked = Instant::now();
        let replies = prepare.ignore_errors().query_async(&mut connection).await;
        // The connection may lead to another server with another clock.
        let time = replies.and_then(read_prepared).map_err(|error| Failure::new(&error))?;
        self.note_time(asked, time);
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

/// Reads the replies to a ping, to `TIME`, and to loading the scripts. Returns the time.
fn read_prepared(replies: Vec<RedisResult<Value>>) -> RedisResult<i64> {
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
    next()?;
    let time = <(i64, i64)>::from_redis_value(next()?)?;
    // A user may run scripts without being permitted to load them. `EVAL` loads them then.
    replies.find(|reply| reply.as_ref().is_err_and(|error| error.code() != Some("NOPERM"))).transpose()?;
    Ok(total_micros(time))
}

fn total_micros((seconds, micros): (i64, i64)) -> i64 {
    seconds.saturating_mul(1_000_000).saturating_add(micros)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The replies to a ping, to `TIME`, and to loading the first script.
    #[track_caller]
    fn read(replies: [&str; 3]) -> Option<i64> {
        let parse = |text: &str| ::redis::parse_redis_value(format!("{text}\r\n").as_bytes()).unwrap();
        read_prepared(replies.map(|reply| parse(reply).extract_error()).into()).ok()
    }

    #[test]
    fn scripts_may_be_loaded_by_eval_only() {
        for (load, time) in [
            ("+hash", Some(7_000_009)),
            ("-NOPERM User app has no permissions to run the 'script|load' command", Some(7_000_009)),
            ("-OOM command not allowed when used memory > 'maxmemory'.", None),
        ] {
            assert_eq!(read(["+PONG", "*2\r\n$1\r\n7\r\n$1\r\n9", load]), time, "{load}");
        }
    }

    #[test]
    fn server_that_is_not_ready_is_refused() {
        let time = "*2\r\n$1\r\n7\r\n$1\r\n9";
        assert_eq!(read(["-LOADING Redis is loading the dataset in memory", time, "+hash"]), None);
        assert_eq!(read(["+PONG", "-NOPERM User app has no permissions to run the 'time' command", "+hash"]), None);
    }
}

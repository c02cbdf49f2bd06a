//! A Redis server for one test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use hookwarden::redis::{RedisStore, RedisStoreBuilder};
use redis::{Connection, FromRedisValue, RedisResult};

use super::redis_program::Program;

/// A server that is killed on drop.
pub(crate) struct Server {
    program: &'static Path,
    child: Option<Child>,
    port: u16,
    directory: PathBuf,
    settings: Vec<String>,
    /// The configuration file of a Sentinel, which writes its state to it.
    config: Option<PathBuf>,
}

impl Server {
    /// Starts a server without persistence.
    pub(crate) fn start() -> Self {
        Self::with(&["--appendonly", "no"])
    }

    /// Starts a server that persists every write, so killing it loses nothing.
    pub(crate) fn durable() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub(crate) fn with(settings: &[&str]) -> Self {
        let mut server = Self::stopped(settings);
        server.run();
        server
    }

    /// Prepares a server without starting it.
    pub(crate) fn stopped(settings: &[&str]) -> Self {
        Self::stopped_at(free_port(), settings)
    }

    pub(crate) fn stopped_at(port: u16, settings: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hookwarden-redis-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let settings = settings.iter().map(ToString::to_string).collect();
        Self { program: Program::current(), child: None, port, directory, settings, config: None }
    }

    /// Prepares a Sentinel without starting it.
    pub(crate) fn sentinel(config: &str) -> Self {
        let mut sentinel = Self::stopped(&["--sentinel"]);
        let path = sentinel.directory.join("sentinel.conf");
        std::fs::write(&path, config).unwrap();
        sentinel.config = Some(path);
        sentinel
    }

    pub(crate) fn add_settings(&mut self, settings: &[&str]) {
        self.settings.extend(settings.iter().map(ToString::to_string));
    }

    pub(crate) fn run(&mut self) {
        self.spawn();
        self.wait_until_it_answers();
    }

    /// Starts the process without waiting for its first answer.
    pub(crate) fn spawn(&mut self) {
        let child = Command::new(self.program)
            .args(&self.config)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(&self.directory)
            .args(&self.settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
    }

    pub(crate) fn wait_until_it_answers(&self) {
        let began = Instant::now();
        while !self.answers() {
            assert!(began.elapsed() < Duration::from_secs(10), "{} does not answer", self.program.display());
            sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn answers(&self) -> bool {
        match self.try_ask::<String>(&["PING"]) {
            Ok(_) => true,
            // A server that requires a password is running too.
            Err(error) => {
                matches!(error.code(), Some("NOAUTH")) || error.kind() == redis::ErrorKind::AuthenticationFailed
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends SIGTERM and waits until it ends.
    pub(crate) fn terminate(&mut self) {
        self.signal("TERM");
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    /// Sends a signal to the server process only.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    /// Returns a client with the password that the settings require.
    fn client(&self) -> redis::Client {
        let set = self.settings.windows(2).find(|setting| setting[0] == "--requirepass");
        let user = set.map(|setting| format!(":{}@", setting[1])).unwrap_or_default();
        redis::Client::open(format!("redis://{user}127.0.0.1:{}/", self.port)).unwrap()
    }

    /// Opens a connection of the test.
    pub(crate) fn connection(&self) -> Connection {
        self.client().get_connection().unwrap()
    }

    pub(crate) fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        redis::cmd(command[0]).arg(&command[1..]).query(&mut self.connection()).unwrap()
    }

    /// Asks a server that may be stopped or dead.
    pub(crate) fn try_ask<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let wait = Duration::from_millis(200);
        let mut connection = self.client().get_connection_with_timeout(wait)?;
        connection.set_read_timeout(Some(wait))?;
        redis::cmd(command[0]).arg(&command[1..]).query(&mut connection)
    }

    /// Returns the calls of `command` since the statistics were reset.
    pub(crate) fn calls(&self, command: &str) -> u64 {
        let statistics: String = self.ask(&["INFO", "commandstats"]);
        let start = format!("cmdstat_{command}:calls=");
        let line = statistics.lines().find_map(|line| line.strip_prefix(&start));
        line.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
    }

    /// Returns how often the server replied with an error of this code since the statistics were reset.
    pub(crate) fn errors(&self, code: &str) -> u64 {
        let statistics: String = self.ask(&["INFO", "errorstats"]);
        let start = format!("errorstat_{code}:count=");
        let line = statistics.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |count| count.trim().parse().unwrap())
    }

    pub(crate) fn patient_store(&self) -> RedisStoreBuilder {
        patient_store(self.url())
    }
}

/// A store whose timeouts suit a busy machine.
pub(crate) fn patient_store(url: impl Into<String>) -> RedisStoreBuilder {
    RedisStore::builder(url).timeout(Duration::from_secs(5)).connect_timeout(Duration::from_secs(5))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A port below the system's ephemeral range: a connection could take an ephemeral one while the server is stopped.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 64;
        let port = u16::try_from(10_000 + next % 20_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

//! A PostgreSQL server for one or more tests.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

/// A server that is killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    child: Option<Child>,
    port: u16,
    directory: PathBuf,
    settings: &'static [&'static str],
}

/// The server that most tests share. Each uses a separate schema.
static SHARED: Mutex<Option<Server>> = Mutex::new(None);

/// Starts the shared server unless it runs, and returns its port.
fn shared() -> u16 {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.get_or_insert_with(Server::start).port
}

/// Stops the shared server.
pub(crate) fn stop_shared() {
    drop(SHARED.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Returns a pool whose connections use a new schema of the shared server.
pub(crate) async fn pool(options: PgPoolOptions) -> PgPool {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let schema = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let connect = connect_options(shared());
    let mut connection = connect.connect().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    options.connect_with(connect.options([("search_path", schema)])).await.unwrap()
}

fn connect_options(port: u16) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("postgres").database("postgres")
}

impl Server {
    /// Creates a database and starts its server.
    pub(crate) fn start() -> Self {
        // A killed process loses nothing without it; only a killed machine would.
        Self::with(&["fsync=off"])
    }

    pub(crate) fn with(settings: &'static [&'static str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hookwarden-postgres-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        if let Some((user, group)) = other_user() {
            chown(&directory, Some(user), Some(group)).unwrap();
        }
        let created = program("initdb")
            .arg("--pgdata")
            .arg(directory.join("data"))
            .args(["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .output()
            .unwrap();
        assert!(created.status.success(), "initdb: {}", String::from_utf8_lossy(&created.stderr));
        let mut server = Self { child: None, port: free_port(), directory, settings };
        server.run();
        server
    }

    /// Starts the server, and waits until it answers.
    pub(crate) fn run(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = program("postgres")
            .arg("-D")
            .arg(self.directory.join("data"))
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "max_connections=200", "-c", "deadlock_timeout=100ms"])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
        let began = Instant::now();
        while !self.answers() {
            assert!(began.elapsed() < Duration::from_secs(20), "postgres does not answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn answers(&self) -> bool {
        let port = self.port.to_string();
        let ready =
            program("pg_isready").args(["-h", "127.0.0.1", "-p", &port, "-t", "1"]).stdout(Stdio::null()).status();
        ready.unwrap().success()
    }

    /// Stops the server by a signal to its first process: `INT` ends all connections, `QUIT` also skips the checkpoint.
    pub(crate) fn stop(&mut self, signal: &str) {
        if let Some(mut child) = self.child.take() {
            assert!(send(signal, child.id()));
            child.wait().unwrap();
        }
    }

    /// Halts all processes of the server: it keeps its connections, and does not answer.
    pub(crate) fn freeze(&self) {
        let id = self.child.as_ref().unwrap().id();
        // The first process first: it could start another for a connection that is being opened.
        freeze(id);
        for child in children(id) {
            freeze(child);
        }
    }

    /// Continues after [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        let id = self.child.as_ref().unwrap().id();
        for child in children(id) {
            // It may have ended.
            send("CONT", child);
        }
        assert!(send("CONT", id));
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        connect_options(self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            // A test that failed may have left it hanging.
            self.thaw();
            self.stop("QUIT");
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Returns whether PostgreSQL is installed.
pub(crate) fn is_installed() -> bool {
    binaries().is_some()
}

/// Finds the directory with the server's programs: in `PATH`, or where Debian puts the newest version.
fn binaries() -> Option<PathBuf> {
    let in_path: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    // The one in `PATH` may be a link to a directory with all programs.
    let initdbs = in_path.into_iter().chain(debian.into_iter().rev()).map(|directory| directory.join("initdb"));
    let directories = initdbs.filter_map(|initdb| Some(initdb.canonicalize().ok()?.parent()?.to_owned()));
    let mut complete = directories.filter(|directory| PROGRAMS.iter().all(|name| directory.join(name).exists()));
    complete.next()
}

/// A program of the server, as an unprivileged user: it refuses to run as root.
fn program(name: &str) -> Command {
    let mut command = Command::new(binaries().unwrap().join(name));
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    command.current_dir(Path::new("/"));
    command
}

/// Returns the ids of the user and the group `nobody` if this process runs as root.
fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let mut fields = users.lines().find(|line| line.starts_with("nobody:")).unwrap().split(':').skip(2);
    let mut id = || fields.next().unwrap().parse().unwrap();
    Some((id(), id()))
}

/// Returns whether the process exists.
fn send(signal: &str, process: u32) -> bool {
    Command::new("kill").args(["-s", signal, &process.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

/// Returns when the process is halted or has ended.
fn freeze(process: u32) {
    send("STOP", process);
    // The state follows the name, which is in parentheses.
    let runs = || {
        fs::read_to_string(format!("/proc/{process}/stat"))
            .is_ok_and(|stat| !stat.contains(") T ") && !stat.contains(") Z "))
    };
    let began = Instant::now();
    while runs() {
        assert!(began.elapsed() < Duration::from_secs(20), "process {process} is not halted");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn children(process: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// A port below the system's ephemeral range: a connection could take an ephemeral one while the server is stopped.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 64;
        let port = u16::try_from(10_000 + next % 20_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

const PROGRAMS: [&str; 3] = ["initdb", "pg_isready", "postgres"];

//! A receiver's process: its connections, output, memory and open files.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};

use super::receiver::{Framework, LISTENING, Settings, VARIABLE};
use crate::harness::PATIENCE;
use crate::harness::client::{Answer, Connection};
use crate::harness::program::memory;
use crate::harness::sender::Post;

/// A receiver's process, killed on drop.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) framework: Framework,
    child: Child,
    /// The process ends when this pipe closes.
    _stdin: ChildStdin,
    address: SocketAddr,
    output: Arc<Mutex<Output>>,
    next_mark: AtomicU64,
    marked: watch::Receiver<u64>,
}

/// The output of a process.
#[derive(Debug, Default)]
struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ran: Runs,
}

/// The number of finished handlers by status and body, as in `200 order 7`, and of started slow ones, as in `into order 7`.
pub(crate) type Runs = HashMap<String, u32>;

impl Receiver {
    pub(crate) async fn start(settings: &Settings) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("the path of this program"))
            .env(VARIABLE, serde_json::to_string(settings).expect("settings"))
            // Resolving a panic's backtrace takes more memory than any attack.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process of this program");
        let stdin = child.stdin.take().expect("a pipe");
        let (mark, marked) = watch::channel(0);
        let (listening, address) = oneshot::channel();
        let output = Arc::new(Mutex::new(Output::default()));
        tokio::spawn(listen(child.stdout.take().expect("a pipe"), output.clone(), listening, mark));
        tokio::spawn(keep(child.stderr.take().expect("a pipe"), output.clone()));
        let address = timeout(PATIENCE, address).await.expect("a receiver in time").expect("a receiver");
        let framework = settings.framework;
        Self { framework, child, _stdin: stdin, address, output, next_mark: AtomicU64::new(1), marked }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Connects from another loopback address.
    pub(crate) async fn connect_from(&self, own: IpAddr) -> Connection {
        Connection::open_from(own, self.address).await
    }

    /// Returns the answer to `bytes` on a new connection, or `None` if it is closed.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Option<Answer> {
        self.connect().await.exchange(bytes).await
    }

    /// Returns the status of the answer to `post`, or zero if the connection is closed.
    pub(crate) async fn status(&self, post: &Post) -> u16 {
        self.exchange(&post.sized()).await.map_or(0, |answer| answer.status)
    }

    /// Asserts that `bytes` are answered with `status`.
    pub(crate) async fn demand(&self, what: &str, bytes: &[u8], status: u16) {
        let answer = self.exchange(bytes).await.map(|answer| answer.status);
        assert_eq!(answer, Some(status), "{:?}, {what}", self.framework);
    }

    /// Calls a control route.
    pub(crate) async fn control(&self, what: &str, value: impl std::fmt::Display) -> String {
        let request = format!("GET /control/{what}/{value} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer = self.exchange(request.as_bytes()).await.expect("an answer");
        assert_eq!(answer.status, 200, "{:?}, {what}", self.framework);
        String::from_utf8(answer.body).expect("text")
    }

    /// Returns the runs of the handlers so far.
    pub(crate) async fn ran(&self) -> Runs {
        self.mark().await;
        self.output.lock().expect("no panic under the lock").ran.clone()
    }

    /// Waits for the standard output so far.
    async fn mark(&self) -> u64 {
        let mark = self.next_mark.fetch_add(1, Ordering::SeqCst);
        self.control("mark", mark).await;
        let mut marked = self.marked.clone();
        timeout(PATIENCE, marked.wait_for(|seen| *seen >= mark)).await.expect("a mark in time").expect("a receiver");
        mark
    }

    /// Returns the standard output and the standard error so far.
    pub(crate) async fn output(&self) -> [Vec<u8>; 2] {
        let mark = format!("mark {}\n", self.mark().await);
        let began = Instant::now();
        loop {
            let (stdout, stderr) = {
                let output = self.output.lock().expect("no panic under the lock");
                (output.stdout.clone(), output.stderr.clone())
            };
            if stderr.windows(mark.len()).any(|window| window == mark.as_bytes()) {
                return [stdout, stderr];
            }
            assert!(began.elapsed() < PATIENCE, "no mark in time");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        memory(self.id(), "VmRSS:")
    }

    /// Peak resident memory in KiB.
    pub(crate) fn most_resident(&self) -> u64 {
        memory(self.id(), "VmHWM:")
    }

    /// The number of open files, including connections.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("a running process").count()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    /// Measures memory and files before an attack, after a first request.
    pub(crate) async fn footprint(&self) -> Footprint {
        self.control("mark", 0).await;
        Footprint { memory: self.resident(), files: self.open_files() }
    }

    /// Asserts that it still serves, never took much more memory than `before`, and holds no finished connection.
    pub(crate) async fn assert_unharmed(&self, before: &Footprint) {
        self.control("mark", 0).await;
        let grown = self.most_resident().saturating_sub(before.memory);
        println!("{:?}: at most {grown} KiB more than before the attack", self.framework);
        assert!(grown <= MEMORY, "{:?} has grown by {grown} KiB", self.framework);
        let began = Instant::now();
        while self.open_files() > before.files.saturating_add(SPARE_FILES) {
            assert!(began.elapsed() < PATIENCE, "{:?} has {} open files", self.framework, self.open_files());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Resident memory in KiB and the number of open files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    memory: u64,
    files: usize,
}

/// Keeps the standard output, and counts the runs of the handlers.
async fn listen(
    stdout: impl AsyncRead + Unpin,
    output: Arc<Mutex<Output>>,
    listening: oneshot::Sender<SocketAddr>,
    mark: watch::Sender<u64>,
) {
    let mut listening = Some(listening);
    let mut lines = BufReader::new(stdout).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let text = String::from_utf8_lossy(&line);
        let mut output = output.lock().expect("no panic under the lock");
        output.stdout.extend_from_slice(&line);
        output.stdout.push(b'\n');
        if let Some(run) = text.strip_prefix("ran ") {
            let count = output.ran.entry(run.to_owned()).or_default();
            *count = count.saturating_add(1);
        } else if let Some(number) = text.strip_prefix("mark ") {
            mark.send_replace(number.parse().expect("a number"));
        } else if let Some(address) = text.strip_prefix(LISTENING)
            && let Some(sender) = listening.take()
        {
            // Fails if the test has ended.
            let _ = sender.send(address.parse().expect("an address"));
        }
    }
}

async fn keep(mut stderr: impl AsyncRead + Unpin, output: Arc<Mutex<Output>>) {
    let mut buffer = vec![0; 8192];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let read = buffer.get(..count).unwrap_or_default();
        output.lock().expect("no panic under the lock").stderr.extend_from_slice(read);
    }
}

/// Attacks a receiver with `settings` on each framework in turn, or on the one that [`ONLY`] names. Afterwards the receiver
/// must be unharmed.
pub(crate) async fn attack(
    frameworks: &[Framework],
    settings: impl Fn(Settings) -> Settings,
    attack: impl AsyncFn(&Receiver),
) {
    let only = std::env::var(ONLY).ok();
    let wanted = |framework: &&Framework| only.as_ref().is_none_or(|only| *only == format!("{framework:?}"));
    let frameworks: Vec<Framework> = frameworks.iter().filter(wanted).copied().collect();
    assert!(!frameworks.is_empty(), "this attack does not run on {only:?}");
    for framework in frameworks {
        let receiver = Receiver::start(&settings(Settings::of(framework))).await;
        let before = receiver.footprint().await;
        timeout(LONGEST, attack(&receiver)).await.unwrap_or_else(|_| panic!("{framework:?}: the attack does not end"));
        receiver.assert_unharmed(&before).await;
    }
}

/// The variable that names the one framework to attack, `Axum` or `Actix`.
const ONLY: &str = "HOOKWARDEN_ATTACKED";

/// The time limit of an attack on one receiver.
const LONGEST: Duration = Duration::from_secs(60);

/// The memory by which a receiver under attack may grow, in KiB.
const MEMORY: u64 = 32 * 1024;

/// The number of files that may stay open: a runtime opens some on demand.
const SPARE_FILES: usize = 4;

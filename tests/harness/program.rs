//! The example receivers as processes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PATIENCE;
use super::client::{Answer, Connection};
use super::sender::{Post, SECRET};

pub(crate) const RECEIVERS: [&str; 2] = ["axum_receiver", "actix_receiver"];

/// The example's file, in the directory where `cargo test` puts it.
fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("the path of this program");
    let directory = this.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps").join("examples");
    let program = directory.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{} is missing; build it with: cargo build --workspace --all-features --examples",
        program.display()
    );
    program
}

/// Prepares a receiver that listens on a free port, without the settings of this process.
pub(crate) fn command(name: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program(name));
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOOKWARDEN_")) {
        command.env_remove(variable);
    }
    command.env("HOOKWARDEN_ADDR", "127.0.0.1:0").envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a receiver that should end by itself.
pub(crate) fn ended(name: &str, settings: &[(&str, &str)]) -> Output {
    Program::start(name, &mut command(name, settings)).output()
}

/// Reads a size in KiB from the line `field` of a process's status.
pub(crate) fn memory(process: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).expect("memory in kB")
}

/// A program that is killed on drop.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    name: String,
}

impl Program {
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self { child: command.spawn().expect("a program"), name: name.to_owned() }
    }

    /// Writes the program's input.
    pub(crate) fn feed(&mut self, input: &[u8]) {
        // Fails if the program does not read its input.
        let _ = self.child.stdin.take().expect("a pipe").write_all(input);
    }

    /// Waits until it ends.
    pub(crate) fn output(mut self) -> Output {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(5));
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_end(&mut stdout).expect("readable output");
        }
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_end(&mut stderr).expect("readable output");
        }
        Output { status, stdout, stderr }
    }

    /// Asserts that it does not end for some time.
    pub(crate) fn assert_runs_for(&mut self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        memory(self.child.id(), "VmRSS:")
    }

    /// Sends SIGTERM, as a service manager does.
    pub(crate) fn terminate(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.expect("the command kill").success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A listening receiver.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts a receiver with the sender and these settings.
    pub(crate) fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let secrets = format!("acme={SECRET}");
        let settings = [&[("HOOKWARDEN_SECRETS", secrets.as_str())], settings].concat();
        Self::of(name, &mut command(name, &settings))
    }

    /// Starts a receiver that prints its address.
    pub(crate) fn of(name: &str, command: &mut Command) -> Self {
        let mut program = Program::start(name, command);
        let mut stdout = BufReader::new(program.child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        Self { program, address: address.unwrap_or_else(|| panic!("{name}: {line:?}")) }
    }

    pub(crate) async fn send(&self, post: &Post) -> Answer {
        Connection::open(self.address).await.exchange(&post.sized()).await.expect("an answer")
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Returns the answer to `GET path`.
    pub(crate) async fn read(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a receiver");
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer in time").expect("text");
        answer
    }
}

//! The example receivers as programs of their own.

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

/// Where `cargo test` puts the examples: beside the directory of this test.
fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a test has a file");
    let directory = this.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps").join("examples");
    let program = directory.join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{} is missing; build it with: cargo build --features axum,actix,harden,metrics,tracing --examples",
        program.display()
    );
    program
}

fn command(name: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program(name));
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOOKWARDEN_")) {
        command.env_remove(variable);
    }
    command.env("HOOKWARDEN_ADDR", "127.0.0.1:0").envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a receiver that ought to end by itself.
pub(crate) fn ended(name: &str, settings: &[(&str, &str)]) -> Output {
    Program::start(name, &mut command(name, settings)).output()
}

/// A program that does not outlive its test.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    name: String,
}

impl Program {
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        Self { child: command.spawn().expect("a program"), name: name.to_owned() }
    }

    /// Writes all that the program is to read.
    pub(crate) fn feed(&mut self, input: &[u8]) {
        // One that does not read its input is right to close it.
        let _ = self.child.stdin.take().expect("a pipe").write_all(input);
    }

    /// Waits for its end.
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
            pipe.read_to_end(&mut stdout).expect("what it wrote");
        }
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_end(&mut stderr).expect("what it wrote");
        }
        Output { status, stdout, stderr }
    }

    /// Asks it to end, as a service manager does.
    pub(crate) fn terminate(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.expect("the command kill").success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A receiver that listens.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// For the one sender, with more settings.
    pub(crate) fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let secrets = format!("acme={SECRET}");
        let settings = [&[("HOOKWARDEN_SECRETS", secrets.as_str())], settings].concat();
        let mut program = Program::start(name, &mut command(name, &settings));
        let mut stdout = BufReader::new(program.child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let address = line.trim_end().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        Self { program, address: address.unwrap_or_else(|| panic!("{name}: {line:?}")) }
    }

    pub(crate) async fn tell(&self, post: &Post) -> Answer {
        Connection::open(self.address).await.exchange(&post.sized()).await.expect("an answer")
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// What `GET path` is answered.
    pub(crate) async fn read(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a receiver");
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer in time").expect("text");
        answer
    }
}

//! `hookwarden listen` with many or large requests, and with an output that is not read.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::endpoint::Endpoint;
use super::listen::{request, status};
use super::listener::Listener;
use super::scratch::{Scratch, wait_until};

/// `hookwarden listen --json` with a pipe as its output, which only the test reads.
struct Piped {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Piped {
    fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let arguments = [&["listen", "--json", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut child =
            scratch.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a command");
        let (mut output, mut line) = (BufReader::new(child.stdout.take().unwrap()), String::new());
        output.read_line(&mut line).unwrap();
        let start: Value = serde_json::from_str(&line).unwrap();
        let address = start["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { child, output, address }
    }

    /// Sends requests whose report is longer than 8,000 bytes, so that a few fill the pipe. Each must be answered.
    fn send(&self, count: u32) {
        let path = format!("/{}", "a".repeat(8_000));
        for number in 0..count {
            let mut stream = TcpStream::connect(&self.address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(&request(&path, b"", &number.to_be_bytes())).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("request {number}: {error}"));
            assert_eq!(status(&answer), "200", "request {number}");
        }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// The lines until the command ends, its exit code and its standard error.
    fn finish(mut self) -> (Vec<String>, Option<i32>, String) {
        let lines = self.output.lines().map(Result::unwrap).collect();
        let mut problem = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut problem).unwrap();
        (lines, self.child.wait().unwrap().code(), problem)
    }
}

#[test]
fn answers_do_not_wait_for_reports() {
    let scratch = Scratch::new();
    let piped = Piped::start(&scratch, &[]);
    piped.send(100);
    piped.signal("-INT");
    assert_eq!(piped.finish().0.len(), 100);
}

#[test]
fn answered_requests_are_reported_after_a_signal() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let scratch = Scratch::new();
        let piped = Piped::start(&scratch, &["--save", "captures"]);
        piped.send(20);
        piped.signal(signal);
        let (lines, code, problem) = piped.finish();
        assert_eq!((lines.len(), code, &*problem), (20, Some(0), ""), "{signal}");
        assert_eq!(fs::read_dir(scratch.path("captures")).unwrap().count(), 20, "{signal}");
    }
}

#[test]
fn unread_reports_do_not_block_the_end() {
    let scratch = Scratch::new();
    let mut piped = Piped::start(&scratch, &[]);
    piped.send(20);
    piped.signal("-INT");
    wait_until("the command ends", || piped.child.try_wait().unwrap().is_some());
    let (lines, code, problem) = piped.finish();
    assert!(lines.len() < 20 && code == Some(0), "{} lines, {code:?}", lines.len());
    assert!(problem.starts_with("hookwarden: warning: the last requests are not printed or saved"), "{problem}");
}

#[test]
fn unwritable_output_ends_the_command() {
    let scratch = Scratch::new();
    let Piped { mut child, output, address } = Piped::start(&scratch, &[]);
    drop(output);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(&request("/", b"", b"body")).unwrap();
    wait_until("the command ends", || child.try_wait().unwrap().is_some());
    let ended = child.wait_with_output().unwrap();
    let problem = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{problem}");
    assert!(problem.contains("standard output: Broken pipe"), "{problem}");

    // A full disk.
    if let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") {
        let mut command = scratch.command(["listen", "--listen", "127.0.0.1:0"]);
        let ended = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let problem = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(3), "{problem}");
        assert!(problem.contains("standard output: No space left"), "{problem}");
    }
}

#[test]
fn disconnect_does_not_make_room_for_more() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    // Few requests with bodies of this size fit in memory.
    let listener = Listener::start(&scratch, &["--max-body", "67108864", "--forward", &endpoint.url("")]);
    for count in 1..=4 {
        let mut stream = listener.connect();
        stream.write_all(&request("/held", b"", &[count])).unwrap();
        wait_until("the application holds the request", || endpoint.seen().in_flight() == usize::from(count));
    }
    let mut stream = listener.connect();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream.write_all(&request("/open", b"", b"waits")).unwrap();
    let early = stream.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock));
    endpoint.seen().release(1);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(status(&answer), "200");
}

#[test]
fn larger_body_is_forwarded_and_saved() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let forward = endpoint.url("/open");
    let body = vec![b'a'; 1_500_000];
    let arguments = ["--forward", &forward, "--save", "captures", "--max-body"];
    let listener = Listener::start(&scratch, &[&arguments[..], &["1500000"]].concat());
    assert_eq!(status(&listener.send(&request("/", b"", &body))), "200");
    let saved = listener.reports(1)[0]["saved"].as_str().unwrap().to_owned();
    scratch.run(["verify", &saved]).assert_code(0);
    assert_eq!(endpoint.seen().bodies()[0].len(), body.len());
}

const PATIENCE: Duration = Duration::from_secs(60);

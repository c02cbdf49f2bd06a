//! Runs `hookwarden listen` on a free port.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use super::scratch::{CommandOutput, Running, Scratch, wait_until};

/// A running `hookwarden listen --json`.
pub(crate) struct Listener {
    running: Running,
    address: String,
}

impl Listener {
    /// Starts the command with [`SECRET`](super::scratch::SECRET) and waits until it listens.
    pub(crate) fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        Self::start_with(scratch, arguments, &[])
    }

    /// Starts the command with these environment variables.
    pub(crate) fn start_with(scratch: &Scratch, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let arguments = [&["listen", "--json", "--listen", "127.0.0.1:0"], arguments].concat();
        let running = Running::start(scratch.command(arguments).envs(variables.iter().copied()));
        let mut listener = Self { running, address: String::new() };
        wait_until("the command listens", || {
            listener.running.output().contains('\n') || !listener.running.is_running()
        });
        let start: Value = serde_json::from_str(listener.running.output().lines().next().expect("a line")).unwrap();
        listener.address = start["listening"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        listener
    }

    /// Sends the bytes of a request that closes its connection. Returns the bytes of the answer.
    pub(crate) fn send(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until `count` requests are reported, and returns their reports.
    pub(crate) fn reports(&self, count: usize) -> Vec<Value> {
        wait_until("the requests are reported", || self.running.output().matches('\n').count() > count);
        let output = self.running.output();
        output.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Interrupts the command, and returns its output.
    pub(crate) fn interrupt(self) -> CommandOutput {
        self.running.interrupt();
        self.running.finish()
    }
}

/// Runs a shell line with `hookwarden listen` on a free port, and interrupts it when it listens.
pub(crate) fn interrupt_when_listening(scratch: &Scratch, line: &str) -> CommandOutput {
    // Without a shell between, the signal reaches the command.
    let line = line.replace("hookwarden listen", "exec hookwarden listen --listen 127.0.0.1:0");
    let mut running = Running::start(&mut scratch.shell_command(&line));
    wait_until("the command listens", || running.output().contains("listening") || !running.is_running());
    if running.is_running() {
        running.interrupt();
    }
    running.finish()
}

//! The command as a process, in a directory of its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hookwarden::{Keyring, Scheme};
use serde_json::Value;
use tempfile::TempDir;

/// The five schemes that the crate knows, each with a secret of its form.
pub(crate) fn presets() -> [(Scheme, &'static str); 5] {
    [
        (Scheme::timestamped(), SECRET),
        (Scheme::standard_webhooks(), "whsec_bm90LWEtc2VjcmV0LW9mLWFueS1vbmUtYXQtYWxs"),
        (Scheme::stripe(), "whsec_not_a_secret_of_anyone"),
        (Scheme::github(), SECRET),
        (Scheme::slack(), SECRET),
    ]
}

pub(crate) fn keyring(scheme: &Scheme, secret: &str) -> Keyring {
    Keyring::new(scheme.secret(secret).unwrap())
}

/// A directory in which commands run, gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file and returns its name.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.0.path().join(name), bytes).unwrap();
        name.into()
    }

    /// `hookwarden` with `arguments`, `SECRET` in its environment and nothing on its standard input.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.0.path()).env("HOOKWARDEN_SECRET", SECRET).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that does not read it ends the pipe.
        let _ = child.stdin.take().unwrap().write_all(input);
        Ended::of(child.wait_with_output().unwrap())
    }

    /// Asserts that the command refuses its input with exactly one line that holds `text`.
    #[track_caller]
    pub(crate) fn assert_refused(&self, arguments: &[&str], text: &str) {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert_eq!(ended.stderr.matches('\n').count(), 1, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("hookwarden: ") && ended.stderr.contains(text), "{}", ended.stderr);
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// The lines `Name: value` of standard output.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.stdout.lines().map(|line| pair(line).expect("a header")).collect()
    }
}

pub(crate) fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_hookwarden").into()
}

/// A secret that stands nowhere else.
pub(crate) const SECRET: &str = "canary-91fe-of-the-command-line";

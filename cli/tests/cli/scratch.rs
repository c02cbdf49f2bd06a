//! A directory of its own for each test, and the command in it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A directory that goes with the test.
pub(crate) struct Scratch(TempDir);

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `hookwarden` with these arguments.
    #[track_caller]
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        self.finish(self.command().args(arguments), "")
    }

    /// Runs a line in bash, as somebody would paste it.
    #[track_caller]
    pub(crate) fn paste(&self, line: &str) -> Ran {
        let mut bash = Command::new("bash");
        let directory = Path::new(env!("CARGO_BIN_EXE_hookwarden")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
        bash.args(["-eu", "-o", "pipefail", "-c", line]).env("PATH", std::env::join_paths(places).unwrap());
        self.finish(bash.current_dir(self.0.path()), "")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookwarden"));
        command.current_dir(self.0.path());
        command
    }

    /// Gives `input` and waits, but not for ever.
    #[track_caller]
    pub(crate) fn finish(&self, command: &mut Command, input: &str) -> Ran {
        // Files take any length, where a pipe that nobody empties would stop the command.
        let [out, err] = [(); 2].map(|()| tempfile::tempfile().unwrap());
        command.stdin(Stdio::piped()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input is right to close it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let code = wait(&mut child);
        let [out, err] = [out, err].map(|mut file| {
            use std::io::{Read as _, Seek as _};
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        });
        Ran { code, out, err }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Bad input: one line that has `part` in it, and nothing else.
    #[track_caller]
    pub(crate) fn refused(self, part: &str) {
        let ran = self.ended_with(2);
        assert!(ran.out.is_empty() && ran.err.lines().count() == 1 && ran.err.contains(part), "{part:?}: {ran:?}");
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The rules of a report in JSON with their lines, but for notes.
    #[track_caller]
    pub(crate) fn findings(&self) -> Vec<(String, Option<u64>)> {
        let report = self.json();
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] != "note");
        findings.map(|finding| (finding["id"].as_str().unwrap().to_owned(), finding["line"].as_u64())).collect()
    }
}

/// The exit code, or `None` if a signal ended the child.
#[track_caller]
pub(crate) fn wait(child: &mut Child) -> Option<i32> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it did not end within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const PATIENCE: Duration = Duration::from_secs(120);

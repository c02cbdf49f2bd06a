//! Runs the command in a temporary directory.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hookwarden");

/// The value of `HOOKWARDEN_SECRET` unless a test sets another one.
pub(crate) const SECRET: &str = "canary-91fe-of-the-command-line";

/// A temporary directory, deleted on drop.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
        path
    }

    /// Writes a file and returns its name, for use as an argument.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        self.write(name, content);
        name.into()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// `hookwarden` in this directory, with [`SECRET`] in its environment.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(self.0.path()).env("HOOKWARDEN_SECRET", SECRET).stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> CommandOutput {
        finish(&mut self.command(arguments))
    }

    #[track_caller]
    pub(crate) fn run_with_secret<A: AsRef<OsStr>>(
        &self,
        secret: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> CommandOutput {
        finish(self.command(arguments).env("HOOKWARDEN_SECRET", secret))
    }

    #[track_caller]
    pub(crate) fn run_with_input<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: impl AsRef<[u8]>,
    ) -> CommandOutput {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input.as_ref()).unwrap();
        file.rewind().unwrap();
        finish(self.command(arguments).stdin(file))
    }

    /// Runs a line in bash, with `hookwarden` in `PATH`.
    #[track_caller]
    pub(crate) fn shell(&self, line: &str) -> CommandOutput {
        finish(&mut self.shell_command(line))
    }

    pub(crate) fn shell_command(&self, line: &str) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directory = Path::new(PROGRAM).parent().unwrap().to_owned();
        let places = std::iter::once(directory).chain(std::env::split_paths(&path));
        let mut bash = Command::new("bash");
        bash.args(["-eu", "-o", "pipefail", "-c", line]).env("PATH", std::env::join_paths(places).unwrap());
        bash.current_dir(self.0.path()).stdin(Stdio::null());
        bash
    }
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl CommandOutput {
    #[track_caller]
    pub(crate) fn assert_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Asserts that the command refused its input with one line that contains `part`.
    #[track_caller]
    pub(crate) fn assert_refused(self, part: &str) {
        let output = self.assert_code(2);
        assert!(output.stdout.is_empty() && output.stderr.matches('\n').count() == 1, "{part:?}: {output:?}");
        let message = output.stderr.strip_prefix("hookwarden: ");
        assert!(message.is_some_and(|message| message.contains(part)), "{part:?}: {output:?}");
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The rules and lines of a JSON report, without notes.
    #[track_caller]
    pub(crate) fn findings(&self) -> Vec<(String, Option<u64>)> {
        let report = self.json();
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] != "note");
        findings.map(|finding| (finding["id"].as_str().unwrap().to_owned(), finding["line"].as_u64())).collect()
    }

    /// The lines `Name: value` of standard output.
    #[track_caller]
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.stdout.lines().map(|line| pair(line).expect("a header")).collect()
    }
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn finish(command: &mut Command) -> CommandOutput {
    Running::start(command).finish()
}

/// A running command, killed on drop.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    // Files rather than pipes: a full pipe would block the command.
    stdout: File,
    stderr: File,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let [stdout, stderr] = [(); 2].map(|()| tempfile::tempfile().unwrap());
        command.stdout(stdout.try_clone().unwrap()).stderr(stderr.try_clone().unwrap());
        Self { child: command.spawn().unwrap(), stdout, stderr }
    }

    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Standard output so far.
    pub(crate) fn output(&self) -> String {
        // The command writes at the file's position, so reading must not move it.
        let mut text = vec![0; usize::try_from(self.stdout.metadata().unwrap().len()).unwrap()];
        let length = self.stdout.read_at(&mut text, 0).unwrap();
        text.truncate(length);
        String::from_utf8(text).unwrap()
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        assert!(Command::new("kill").args(["-INT", &self.id()]).status().unwrap().success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill(&mut self) {
        // The command may have ended already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    #[track_caller]
    pub(crate) fn finish(mut self) -> CommandOutput {
        wait_until("the command ends", || !self.is_running());
        let code = self.child.wait().unwrap().code();
        let [stdout, stderr] = [&mut self.stdout, &mut self.stderr].map(|file| {
            let mut text = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            text
        });
        CommandOutput { code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls `condition`, and panics if it is not met within [`PATIENCE`].
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "timed out waiting until {what}");
        thread::sleep(Duration::from_micros(500));
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

const PATIENCE: Duration = Duration::from_secs(120);

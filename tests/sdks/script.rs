//! The scripts that run the SDKs: one process for each registry, with a request and an answer per line.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

pub(crate) static NPM: Registry =
    Registry { name: "npm", interpreter: "node", command: node, missing: OnceLock::new(), script: OnceLock::new() };
pub(crate) static PYPI: Registry = Registry {
    name: "pypi",
    interpreter: "python3",
    command: python,
    missing: OnceLock::new(),
    script: OnceLock::new(),
};

/// A package registry with its script, which starts when it is first used.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) name: &'static str,
    interpreter: &'static str,
    command: fn(&Path) -> Command,
    missing: OnceLock<Option<&'static str>>,
    script: OnceLock<Script>,
}

impl Registry {
    /// Returns what the script needs and the machine does not have.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        *self.missing.get_or_init(|| {
            let mut version = Command::new(self.interpreter);
            version.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if !version.status().is_ok_and(|status| status.success()) {
                return Some(self.interpreter);
            }
            let is_installed = installation(self.name).join("installed").exists();
            (!is_installed).then_some("the SDKs: run tests/sdks/install")
        })
    }

    pub(crate) fn script(&self) -> &Script {
        self.script.get_or_init(|| Script::start((self.command)(&installation(self.name))))
    }
}

/// What an SDK can do. The members are described in README.md.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) package: String,
    pub(crate) sign: bool,
    #[serde(default)]
    pub(crate) body: BodyForm,
    #[serde(default)]
    pub(crate) ascii: bool,
    #[serde(default)]
    pub(crate) binary: bool,
    #[serde(default = "yes")]
    pub(crate) empty: bool,
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Value>,
    #[serde(default = "yes")]
    pub(crate) query: bool,
    #[serde(default)]
    pub(crate) signatures: Signatures,
    #[serde(default)]
    pub(crate) tolerance: bool,
    #[serde(default)]
    pub(crate) future: bool,
}

/// Which bodies an SDK takes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyForm {
    #[default]
    Any,
    Json,
    Compact,
}

/// Which of several signatures in a message an SDK compares.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signatures {
    #[default]
    All,
    First,
    Last,
    /// It refuses messages with several.
    One,
}

/// A script's answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) ok: Option<bool>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) secret: String,
    pub(crate) public_key: Option<String>,
    error: Option<String>,
    fault: Option<String>,
}

impl Answer {
    /// Returns the reason of a refusal, or the fault of the SDK.
    pub(crate) fn reason(&self) -> &str {
        self.fault.as_deref().or(self.error.as_deref()).unwrap_or_default()
    }
}

/// A running script.
#[derive(Debug)]
pub(crate) struct Script {
    pipes: Mutex<Pipes>,
    start: Start,
}

/// The first line of a script.
#[derive(Debug, Deserialize)]
struct Start {
    providers: BTreeMap<String, Limits>,
    /// The packages that cannot be imported, with the error.
    missing: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Pipes {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

impl Script {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the interpreter");
        // The script ends with its standard input, and so with this process.
        let requests = process.stdin.take().expect("a pipe");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, answers) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut pipes = Pipes { process, requests, answers };
        let start = serde_json::from_str(&pipes.line()).expect("the script prints its providers");
        Self { pipes: Mutex::new(pipes), start }
    }

    /// Returns what the SDK of a provider can do.
    pub(crate) fn limits(&self, provider: &str) -> &Limits {
        let missing = self.start.missing.get(provider).map_or("the script has no such provider", String::as_str);
        self.start.providers.get(provider).unwrap_or_else(|| panic!("{provider}: {missing}"))
    }

    /// Returns the names of all providers of the script, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> =
            self.start.providers.keys().chain(self.start.missing.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn ask(&self, request: &Value) -> Answer {
        let mut pipes = self.pipes.lock().expect("a script that answered all requests so far");
        writeln!(pipes.requests, "{request}").expect("the script runs");
        serde_json::from_str(&pipes.line()).expect("an answer of the protocol")
    }
}

impl Pipes {
    fn line(&mut self) -> String {
        let line = self.answers.recv_timeout(PATIENCE);
        line.unwrap_or_else(|error| panic!("no answer, {error}; the script: {:?}", self.process.try_wait()))
    }
}

/// The directory in which `tests/sdks/install` installs the packages of a registry.
fn installation(registry: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp");
    target.join("sdks").join(registry)
}

fn node(installation: &Path) -> Command {
    // Node looks for packages beside the script.
    let script = installation.join("check.mjs");
    std::fs::copy(source("npm/check.mjs"), &script).expect("a copy of the script");
    let mut command = Command::new("node");
    command.arg(script);
    command
}

fn python(installation: &Path) -> Command {
    let mut command = Command::new(installation.join("bin/python"));
    command.arg(source("pypi/check.py"));
    command
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks").join(name)
}

const fn yes() -> bool {
    true
}

/// The time limit for the start of a script, which imports all SDKs, and for an answer.
const PATIENCE: Duration = Duration::from_secs(300);

//! `examples/corpus.py` with verifiers in Python: a small one, faulty ones, and the SDKs of providers.
//!
//! With `HOOKWARDEN_REQUIRE_SENDERS=1` a missing `python3` is a failure, and with `HOOKWARDEN_REQUIRE_SDKS=1` missing SDKs
//! are: `tests/sdks/install` installs them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Completion, Trial};
use serde_json::{Value, json};

use super::scratch::{CommandOutput, Scratch, finish};

pub(crate) fn trials() -> Vec<Trial> {
    let python = finds("python3").then(|| "python3".into());
    let sdks = sdks().join("installed").exists().then(|| sdks().join("bin/python"));
    vec![
        trial("corpus_passes_a_right_verifier", python.clone(), "HOOKWARDEN_REQUIRE_SENDERS", right_verifier),
        trial("corpus_finds_every_faulty_verifier", python, "HOOKWARDEN_REQUIRE_SENDERS", faulty_verifiers),
        trial("corpus_results_of_sdks_are_known", sdks, "HOOKWARDEN_REQUIRE_SDKS", sdk_verifiers),
    ]
}

pub(crate) fn trial(name: &'static str, python: Option<PathBuf>, required: &'static str, test: fn(&Path)) -> Trial {
    Trial::ignorable_test(name, move || match python {
        Some(python) => {
            test(&python);
            Ok(Completion::Completed)
        }
        None if std::env::var_os(required).is_some_and(|value| value == "1") => {
            Err("Python or the SDKs missing".into())
        }
        None => Ok(Completion::ignored_with("requires python3, or the SDKs: run tests/sdks/install")),
    })
}

fn finds(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn right_verifier(python: &Path) {
    let output = read(python, &document("timestamped"), "verifiers:right").assert_code(0);
    assert!(rows(&output, "must").is_empty() && rows(&output, "should").is_empty(), "{output:?}");
    assert!(output.stdout.contains("timestamped              age-of-two-days                      must   reject\n"));
}

fn faulty_verifiers(python: &Path) {
    let corpus = document("timestamped");
    for (verifier, attack) in FAULTY {
        let output = read(python, &corpus, &format!("verifiers:{verifier}")).assert_code(1);
        assert!(rows(&output, "must").contains(&("timestamped", *attack)), "{verifier}: {output:?}");
    }
    // An empty corpus proves nothing.
    read(python, &json!({ "format": 1, "providers": [] }), "verifiers:right").assert_code(1);
    let output = read(python, &json!({ "format": 2, "providers": [] }), "verifiers:right").assert_code(1);
    assert!(output.stderr.contains("format: must be 1, not 2"), "{output:?}");
}

/// The SDKs of PyPI that `corpus_verifier.py` names, in one process.
fn sdk_verifiers(python: &Path) {
    let scripts = root().join("tests/sdks/pypi");
    let mut list = command(python);
    let names = finish(list.args(["-c", NAMES])).assert_code(0).stdout;
    let providers: Vec<Value> = names
        .split_whitespace()
        .map(|name| {
            let mut provider = document(name)["providers"][0].take();
            // A sender that adopted the scheme has its own SDK.
            provider["name"] = name.into();
            provider
        })
        .collect();
    assert!(providers.len() >= 29, "{names}");
    let output = read(python, &json!({ "format": 1, "providers": providers }), "corpus_verifier:verify");
    let found: BTreeSet<_> = rows(&output, "must").into_iter().collect();
    let known: BTreeSet<_> = SDK_DIFFERENCES.iter().map(|(name, _, attack, _)| (*name, *attack)).collect();
    assert_eq!(found, known, "{}", output.stderr);
    let pinned = std::fs::read_to_string(scripts.join("requirements.txt")).unwrap();
    for (name, package, ..) in SDK_DIFFERENCES {
        assert!(pinned.lines().any(|line| line == *package), "{name}: {package} is not the pinned version");
    }
}

/// Runs the reader in a directory with [`VERIFIERS`].
fn read(python: &Path, corpus: &Value, verifier: &str) -> CommandOutput {
    let scratch = Scratch::new();
    scratch.write("verifiers.py", VERIFIERS);
    let input = std::fs::File::open(scratch.write("corpus.json", corpus.to_string())).unwrap();
    let mut command = command(python);
    finish(command.arg(root().join("examples/corpus.py")).arg(verifier).current_dir(scratch.path("")).stdin(input))
}

/// Python with the scripts of the SDKs, which compiles modules into a directory of the tests.
pub(crate) fn command(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.env("PYTHONPATH", root().join("tests/sdks/pypi"));
    command.env("PYTHONPYCACHEPREFIX", Path::new(env!("CARGO_TARGET_TMPDIR")).join("python"));
    command
}

fn document(provider: &str) -> Value {
    Scratch::new().run(["providers", "--json", provider]).assert_code(0).json()
}

/// The provider and the attack of each row that differs.
fn rows<'o>(output: &'o CommandOutput, level: &str) -> Vec<(&'o str, &'o str)> {
    let fields = output.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields
        .filter_map(|fields| match *fields {
            [provider, attack, its, _, "differs", ..] if its == level => Some((provider, attack)),
            _ => None,
        })
        .collect()
}

pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The directory in which `tests/sdks/install` installs the SDKs of PyPI.
pub(crate) fn sdks() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("sdks/pypi")
}

const NAMES: &str = "import corpus_verifier; print(*corpus_verifier.NAMES)";

/// What every verifier must do and an SDK does not, with the package and the reason.
const SDK_DIFFERENCES: &[(&str, &str, &str, &str)] = &[
    ("discord", "discord-interactions==0.4.0", "age-of-two-days", NO_CLOCK),
    ("discord", "discord-interactions==0.4.0", "boundary-moved", NO_CLOCK),
    ("hubspot_v3", "hubspot-api-client==12.0.0", "vector", "it decodes no percent-encoded characters of the URL"),
    ("paddle", "paddle-python-sdk==1.16.1", "vector", "it refuses a header with an unknown field"),
    ("replicate", "replicate==1.0.7", "age-of-two-days", NO_CLOCK),
    ("sendgrid", "sendgrid==6.12.4", "age-of-two-days", NO_CLOCK),
    ("sendgrid", "sendgrid==6.12.4", "boundary-moved", NO_CLOCK),
    ("sinch_conversation", "sinch==2.3.0", "age-of-two-days", NO_CLOCK),
];

const NO_CLOCK: &str = "it does not compare the timestamp with the clock, which is left to its caller";

/// Faulty verifiers, each with an attack that succeeds.
const FAULTY: &[(&str, &str)] = &[
    ("everything", "body-bit-flipped"),
    ("nothing", "vector"),
    ("any_age", "age-of-two-days"),
    ("prefix", "signature-first-half"),
    ("unsigned_time", "timestamp-renewed"),
    ("first_byte", "signature-last-bit-flipped"),
    ("no_body", "body-replaced"),
];

const VERIFIERS: &str = r#"
import hashlib
import hmac
import time


def tag(message, content):
    return hmac.new(message.key.encode(), content, hashlib.sha256).hexdigest()


def parts(message):
    return message.headers["x-webhook-timestamp"], message.headers["x-webhook-signature"].lower()


def is_fresh(stamp):
    return stamp.isascii() and stamp.isdigit() and stamp[0] != "0" and abs(time.time() - int(stamp)) <= 300


def right(message):
    stamp, signature = parts(message)
    content = stamp.encode() + b"." + message.body
    return is_fresh(stamp) and hmac.compare_digest(tag(message, content), signature)


def everything(message):
    return True


def nothing(message):
    raise ValueError("refused")


def any_age(message):
    stamp, signature = parts(message)
    return tag(message, stamp.encode() + b"." + message.body) == signature


def prefix(message):
    stamp, signature = parts(message)
    return is_fresh(stamp) and signature != "" and tag(message, stamp.encode() + b"." + message.body).startswith(signature)


def unsigned_time(message):
    stamp, signature = parts(message)
    signed = "1800000000" if is_fresh(stamp) else stamp
    return is_fresh(stamp) and tag(message, signed.encode() + b"." + message.body) == signature


def first_byte(message):
    stamp, signature = parts(message)
    return is_fresh(stamp) and tag(message, stamp.encode() + b"." + message.body)[:2] == signature[:2]


def no_body(message):
    return is_fresh(parts(message)[0]) and len(parts(message)[1]) == 64
"#;

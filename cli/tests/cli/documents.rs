//! Runs the `hookwarden` commands in the shell blocks of the README, the guide and the other documents.
//!
//! Bash runs each line of a ```` ```sh ```` block in a directory with [`FILES`]. The script `.ci/documents` checks that
//! the other lines run elsewhere.

mod blocks;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookwarden::warden::{BodyLimits, Quotas, WardenBuilder};
use hookwarden::{Scheme, Signer, Warden};
use tokio::task::block_in_place;

use super::files::{FILES, KEYS};
use super::harness::receiver::{Bench, Server};
use super::harness::sender::ID;
use super::listener::interrupt_when_listening;
use super::schemes::keyring;
use super::scratch::Scratch;
use blocks::{Block, blocks};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_shell_lines_run() {
    // The documented runs send more requests than a quota permits.
    let unlimited = Bench::start(Server::Axum, warden().quotas(Quotas::new().danger_unlimited_accepted())).await;
    let (mut files, mut audits, mut failing) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for block in documents() {
        let scratch = scratch(&block);
        for line in block.lines.iter().filter(|line| matches!(command(&line.text), Some("hookwarden" | "export"))) {
            let is_audit = line.text.contains("hookwarden audit http");
            if is_audit && !audits.insert(line.text.clone()) {
                continue;
            }
            // An audit expects the whole default quota.
            let audited = if is_audit { Some(Bench::start(Server::Axum, warden()).await) } else { None };
            let address = audited.as_ref().unwrap_or(&unlimited).receiver.address().to_string();
            // The receiver also takes the requests to `hookwarden listen`.
            let text = line.text.replace("127.0.0.1:3000", &address).replace("127.0.0.1:4000", &address);
            let text = format!("export HOOKWARDEN_SECRET={SECRET} SECRET={SECRET}\n{text}");
            let is_listen = line.text.contains("hookwarden listen");
            let run = || if is_listen { interrupt_when_listening(&scratch, &text) } else { scratch.shell(&text) };
            let output = block_in_place(run);
            let code = EXPECTED.iter().find(|(listed, _)| *listed == line.text).map_or(0, |(_, code)| *code);
            assert_eq!(output.code, Some(code), "{}: {}: {output:?}", line.file, line.text);
            files.insert(line.file.clone());
            if code != 0 {
                failing.insert(line.text.clone());
            }
        }
    }
    assert!(files.iter().any(|path| path.ends_with("command.md")), "{files:?}");
    assert!(!audits.is_empty());
    assert_eq!(failing, EXPECTED.iter().map(|(line, _)| (*line).to_owned()).collect());
}

#[test]
fn shell_blocks_are_parsed_with_continuations() {
    let text = "a\n```sh\none \\\n    --more # not a comment  # a comment\n\n  two\n```\n```rust\nthree\n```\n   ```sh\n   four\n   ```\n";
    let found: Vec<_> = blocks("a document", text).into_iter().flat_map(|block| block.lines).collect();
    let texts: Vec<_> = found.iter().map(|line| &*line.text).collect();
    assert_eq!(texts, ["one --more # not a comment", "two", "four"]);
}

/// The shell blocks of all documents.
fn documents() -> Vec<Block> {
    let files = ["README.md", "docs/command.md", "docs/fleet.md", "docs/performance.md"]
        .map(|file| root().join(file))
        .into_iter();
    files
        .chain(pages())
        .flat_map(|path| blocks(&path.display().to_string(), &std::fs::read_to_string(&path).expect("text")))
        .collect()
}

/// The pages of the guide.
fn pages() -> BTreeSet<PathBuf> {
    let files = std::fs::read_dir(root().join("docs/guide")).expect("the guide");
    let paths = files.map(|entry| entry.expect("a file").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The command of a line, without the variables before it.
fn command(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| !word.split('/').next().unwrap_or_default().contains('='))
}

fn warden() -> WardenBuilder {
    let scheme = Scheme::timestamped();
    // The body deadline is shorter than the one that an audit expects by default, so that the audit ends sooner.
    let limits = BodyLimits::new().deadline(Duration::from_secs(1));
    Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, SECRET)).body(limits)
}

/// A directory with the files that a block uses, except those that it creates.
fn scratch(block: &Block) -> Scratch {
    let scratch = Scratch::new();
    let creates = |name: &str| block.lines.iter().any(|line| line.text.contains(&format!("output {name}")));
    for (name, content) in FILES.into_iter().chain([("keys.toml", KEYS), ("body.json", BODY)]) {
        if !creates(name) {
            scratch.write(name, content);
        }
    }
    let scheme = Scheme::timestamped();
    let keys = keyring(&scheme, SECRET);
    let signed = Signer::new(scheme, keys).expect("a signer").sign_body(BODY.as_bytes()).expect("a signed message");
    let headers: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    scratch.write("headers.txt", &headers);
    let request = format!("POST /webhooks/acme HTTP/1.1\r\n{headers}\r\n{BODY}");
    std::fs::create_dir(scratch.path("captures")).expect("a directory");
    for name in ["request.http", "captures/request.http"] {
        scratch.write(name, &request);
    }
    scratch
}

/// The lines that do not exit with 0.
const EXPECTED: &[(&str, i32)] = &[
    // The captured request is of another scheme.
    ("hookwarden verify request.http --scheme stripe --at signed", 1),
    ("hookwarden verify request.http --profile webhooks --algorithm hmac-sha256 --origin https://hooks.example.com", 1),
];

const SECRET: &str = "u7Wq2ZbXn5RkY0tLs9MvJd3HfGa6EcPo8IiTxBz4CrKjQyVhN1";

const BODY: &str = r#"{"id":7}"#;

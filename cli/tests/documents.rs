//! The shell lines of the README, the guide and the page of the command: each is run here, or in CI, or says that it is
//! run by hand. A line that nobody runs fails the test.
//!
//! Each block of ```` ```sh ```` is pasted into bash line by line, in a directory of its own with [`FILES`].

// Bash runs the lines.
#![cfg(unix)]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "documents/blocks.rs"]
mod blocks;
#[path = "documents/elsewhere.rs"]
mod elsewhere;
#[path = "cli/files.rs"]
mod files;
#[expect(dead_code, reason = "the command's own tests use the rest")]
#[path = "cli/scratch.rs"]
mod scratch;
#[path = "../../tests/util/mod.rs"]
mod util;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hookwarden::warden::{Quotas, WardenBuilder};
use hookwarden::{Keyring, Scheme, Signer, Warden};

use blocks::{Block, blocks};
use files::FILES;
use scratch::Scratch;
use util::receiver::{Bench, Server};
use util::sender::{ID, keyring};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shell_lines_are_run_here_or_elsewhere() {
    // A thousand requests of one sender are more than its quota. The audit looks for the usual one.
    let unlimited = Bench::start(Server::Axum, warden().quotas(Quotas::new().danger_unlimited_accepted())).await;
    let usual = Bench::start(Server::Axum, warden()).await;
    let (mut ran, mut audited) = (0, BTreeSet::new());
    for block in documents() {
        let scratch = scratch(&block);
        for line in &block.lines {
            if !matches!(command(&line.text), Some("hookwarden" | "export")) {
                elsewhere::assert_covered(line);
                continue;
            }
            let audits = line.text.contains("hookwarden audit http");
            if audits && !audited.insert(line.text.clone()) {
                continue;
            }
            let address = if audits { &usual } else { &unlimited }.receiver.address().to_string();
            let text = line.text.replace("127.0.0.1:3000", &address);
            let paste = format!("export HOOKWARDEN_SECRET={SECRET} SECRET={SECRET}\n{text}");
            let ended = tokio::task::block_in_place(|| scratch.paste(&paste));
            assert_eq!(ended.code, Some(expected(&line.text)), "{}: {}: {ended:?}", line.file, line.text);
            ran += 1;
        }
    }
    assert!(ran >= 20 && audited.len() >= 2, "{ran}, {audited:?}");
}

#[test]
fn line_that_nobody_runs_is_noticed() {
    for (text, comment) in [
        ("cargo run -p hookwarden-cli -- demo --twice", ""),
        ("cargo bench --all-features --bench guard", "by hand: not in the list"),
        ("cargo bench --manifest-path benches/peers/Cargo.toml", "in the list, and does not say so"),
        ("cargo add hookwarden --features axum,no-such-feature", ""),
        ("cargo add another-crate", ""),
        ("make", ""),
        ("fuzz/run --side-by-side 30", ""),
    ] {
        let line = blocks::Line { file: "a document".into(), text: text.into(), comment: comment.into() };
        assert!(elsewhere::coverage(&line).is_err(), "{text}");
    }
}

#[test]
fn lines_that_are_listed_stand_in_a_document() {
    let lines: BTreeSet<String> = documents().into_iter().flat_map(|block| block.lines).map(|line| line.text).collect();
    let listed = elsewhere::listed().chain(EXPECTED.iter().map(|(line, _)| *line));
    let stale: Vec<_> = listed.filter(|line| !lines.contains(*line)).collect();
    assert!(stale.is_empty(), "{stale:?}");
}

/// On GitHub a link's definition at a page's end counts, in the crate's documentation the one of `src/guide.rs`.
#[test]
fn links_between_pages_lead_to_a_file_and_to_a_page() {
    let rust = std::fs::read_to_string(root().join("src/guide.rs")).expect("the guide's module");
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("text");
        let links: BTreeSet<_> =
            text.split("][page-").skip(1).filter_map(|rest| rest.split_once(']')).map(|(name, _)| name).collect();
        for name in links {
            let definition = format!("[page-{name}]: ");
            let target = text.lines().find_map(|line| line.strip_prefix(&definition));
            let file =
                target.and_then(|target| target.split('#').next()).map(|file| root().join("docs/guide").join(file));
            assert!(file.is_some_and(|file| file.exists()), "{}: {name} leads to {target:?}", page.display());
            assert!(rust.contains(&definition), "{name} leads nowhere in src/guide.rs");
        }
    }
}

#[test]
fn blocks_are_found_with_their_lines_joined_and_their_comments_apart() {
    let text = "a\n```sh\none \\\n    --more # no comment of two blanks  # said\n\n  two\n```\n```rust\nthree\n```\n   ```sh\n   four\n   ```\n";
    let found: Vec<_> = blocks("a document", text).into_iter().flat_map(|block| block.lines).collect();
    let texts: Vec<_> = found.iter().map(|line| (&*line.text, &*line.comment)).collect();
    assert_eq!(texts, [("one --more # no comment of two blanks", "said"), ("two", ""), ("four", "")]);
}

/// All blocks of all documents whose lines somebody may paste.
fn documents() -> Vec<Block> {
    let files =
        ["README.md", "docs/command.md", "docs/fleet.md"].map(|file| root().join(file)).into_iter().chain(pages());
    files.flat_map(|path| blocks(&path.display().to_string(), &std::fs::read_to_string(&path).expect("text"))).collect()
}

/// The pages of the guide.
fn pages() -> BTreeSet<PathBuf> {
    let files = std::fs::read_dir(root().join("docs/guide")).expect("the guide");
    let paths = files.map(|entry| entry.expect("a file").path());
    let pages: BTreeSet<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    assert!(pages.len() >= 8, "{pages:?}");
    pages
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What a line runs, its variables aside.
fn command(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| !word.split('/').next().unwrap_or_default().contains('='))
}

fn warden() -> WardenBuilder {
    let scheme = Scheme::timestamped();
    Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, SECRET))
}

/// A directory with all that a block's lines find there, but for what they make.
fn scratch(block: &Block) -> Scratch {
    let scratch = Scratch::new();
    let makes = |name: &str| block.lines.iter().any(|line| line.text.contains(&format!("output {name}")));
    for (name, content) in
        FILES.iter().chain(&[("keys.toml", KEYS), ("body.json", BODY)]).filter(|(name, _)| !makes(name))
    {
        scratch.write(name, content);
    }
    let scheme = Scheme::timestamped();
    let keys = Keyring::new(scheme.secret(SECRET).expect("a secret"));
    let signed = Signer::new(scheme, keys).expect("a signer").sign_body(BODY.as_bytes()).expect("a signed message");
    let headers: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    scratch.write("headers.txt", &headers);
    scratch.write("request.http", &format!("POST /webhooks/acme HTTP/1.1\r\n{headers}\r\n{BODY}"));
    scratch
}

fn expected(line: &str) -> i32 {
    EXPECTED.iter().find(|(listed, _)| *listed == line).map_or(0, |(_, code)| *code)
}

/// The lines that end with another code than 0, because they find what they look for.
const EXPECTED: &[(&str, i32)] = &[
    // The captured request is of another scheme.
    ("hookwarden verify request.http --scheme stripe --at signed", 1),
];

const SECRET: &str = "u7Wq2ZbXn5RkY0tLs9MvJd3HfGa6EcPo8IiTxBz4CrKjQyVhN1";

const BODY: &str = r#"{"id":7}"#;

/// One sender, of which the events tell.
const KEYS: &str = r#"[[sender]]
id = "acme"
[[sender.key]]
id = "2026"
secret = "u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n"
"#;

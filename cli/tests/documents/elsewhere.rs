//! Lines that are not run here, and where they are run.

use std::fs;
use std::path::Path;

use toml::Table;

use super::blocks::Line;

/// Fails unless `line` is run somewhere, or is one of those that take too long and says so.
#[track_caller]
pub(crate) fn assert_covered(line: &Line) {
    if let Err(problem) = coverage(line) {
        panic!("{}: {}: {problem}", line.file, line.text);
    }
}

pub(crate) fn coverage(line: &Line) -> Result<(), String> {
    let words: Vec<&str> = line.text.split_whitespace().collect();
    if let ["cargo", "add" | "install", package, "--features", features] = *words {
        return takes(package, features);
    }
    if *words == ["cargo", "install", "hookwarden-cli"] {
        return Ok(());
    }
    if let Some((_, file, evidence)) = BY_TESTS.iter().find(|(listed, ..)| *listed == line.text) {
        return if read(file).contains(evidence) { Ok(()) } else { Err(format!("{file} has no {evidence}")) };
    }
    if BY_HAND.contains(&&*line.text) {
        return if line.comment.contains("by hand") { exists(&words) } else { Err("does not say `by hand`".into()) };
    }
    if in_ci(&words) {
        Ok(())
    } else {
        Err("nobody runs it: not this test, nor .ci/run, nor one that is listed".into())
    }
}

/// The lines of the lists below.
pub(crate) fn listed() -> impl Iterator<Item = &'static str> {
    BY_TESTS.iter().map(|(line, ..)| *line).chain(BY_HAND.iter().copied())
}

/// Nothing is fetched from a registry in a test. What is asked of it must be this package, with features that it has.
fn takes(package: &str, features: &str) -> Result<(), String> {
    let manifest = manifest("Cargo.toml");
    let known = |feature: &str| manifest["features"].get(feature).is_some();
    let unknown: Vec<_> = features.split(',').filter(|feature| !known(feature)).collect();
    match (manifest["package"]["name"].as_str() == Some(package), &*unknown) {
        (true, []) => Ok(()),
        (true, unknown) => Err(format!("there is no feature {unknown:?}")),
        (false, _) => Err("is not this package".into()),
    }
}

/// Whether a step that CI takes by default is this line, whatever it says of locks and output.
fn in_ci(words: &[&str]) -> bool {
    let script = read(".ci/run");
    let steps = script.lines().find_map(|line| line.strip_prefix("STEPS=")).expect("the steps").trim_matches('"');
    let mut step = "";
    script.lines().any(|line| {
        let mut line = line.trim();
        if let Some((name, rest)) = line.strip_prefix("step_").and_then(|line| line.split_once("() {")) {
            (step, line) = (name, rest.trim().trim_end_matches('}').trim_end_matches("; "));
        }
        let is_taken = steps.split_whitespace().any(|taken| taken == step);
        let plain = line.split_whitespace().filter(|word| !["--locked", "--quiet"].contains(word));
        is_taken && plain.eq(words.iter().copied())
    })
}

/// Whether what a line names is there: a manifest, a bench, a program.
fn exists(words: &[&str]) -> Result<(), String> {
    let after =
        |option: &str| words.windows(2).filter(move |pair| pair[0] == option).map(|pair| pair[1]).collect::<Vec<_>>();
    let manifests = after("--manifest-path");
    let manifest = manifest(manifests.first().copied().unwrap_or("Cargo.toml"));
    for (option, kind) in [("--bench", "bench"), ("--bin", "bin")] {
        for name in after(option) {
            let named = |target: &toml::Value| target["name"].as_str() == Some(name);
            if !manifest.get(kind).and_then(toml::Value::as_array).is_some_and(|targets| targets.iter().any(named)) {
                return Err(format!("there is no {kind} {name}"));
            }
        }
    }
    Ok(())
}

fn manifest(file: &str) -> Table {
    read(file).parse().unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Lines that another test runs: its file, and what shows that it does.
const BY_TESTS: &[(&str, &str, &str)] = &[(
    r#"HOOKWARDEN_SECRETS="acme=$(openssl rand -hex 32)" cargo run --features axum,harden,metrics,tracing --example axum_receiver"#,
    // What the tests of `receivers.rs` start, each by its name.
    "tests/util/program.rs",
    r#"["axum_receiver", "actix_receiver"]"#,
)];

/// Lines that take minutes, and a machine with nothing else to do. CI checks that what they run compiles.
const BY_HAND: &[&str] = &[
    "cargo bench --all-features --bench verify --bench refuse --bench warden",
    "cargo run --release --manifest-path benches/peers/Cargo.toml --bin turns",
    "cargo bench --manifest-path benches/peers/Cargo.toml",
    "cargo run --manifest-path benches/peers/Cargo.toml --bin plot",
    "cargo run --release --manifest-path benches/serve/Cargo.toml",
];

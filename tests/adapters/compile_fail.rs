//! Misuse that must not compile, with the compiler's messages.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The cases in `compile_fail/` with texts of the compiler's output, in order. There must be no other error.
const CASES: &[(&str, &[&str])] = &[
    (
        "forgotten_commit",
        &[
            "error: unused variable: `admitted`",
            "error: unused `Admitted` that must be used",
            "dropping it releases the delivery: call `commit` when the work is done",
        ],
    ),
    (
        "made_up_proof",
        &[
            "error[E0277]: the trait bound `Verified: Default` is not satisfied",
            "error[E0277]: the trait bound `VerifiedBody: Default` is not satisfied",
            "error[E0277]: the trait bound `VerifiedDelivery: Default` is not satisfied",
            "error[E0277]: the trait bound `Admitted: Default` is not satisfied",
            "error[E0277]: the trait bound `Admitted: Clone` is not satisfied",
        ],
    ),
    ("payload_alone", &["error[E0616]: field `payload` of struct `UncommittedWebhook` is private"]),
    (
        "state_without_a_warden",
        &[
            "error[E0277]: `UncommittedWebhook` needs a `Warden` in the router's state, and `AppState` holds none",
            "this state holds no `Warden`",
            "implement `FromRef<AppState>` for `Warden`: return a clone of the Warden in the state",
            "or take `Webhook` in the handler and put `hookwarden::axum::WardenLayer` on the route",
        ],
    ),
];

#[test]
fn misuse_does_not_compile() {
    let libraries = libraries();
    for (case, expected) in CASES {
        let output = compile(case, &libraries);
        let mut rest = output.as_str();
        for text in *expected {
            rest = rest.split_once(text).unwrap_or_else(|| panic!("{case}: {text} is missing in:\n{output}")).1;
        }
        let errors = |text: &str| text.lines().filter(|line| line.starts_with("error")).count();
        let expected = expected.iter().filter(|text| text.starts_with("error")).count();
        // The last line counts the errors.
        assert_eq!(errors(&output), expected + 1, "{case}: {output}");
    }
}

#[test]
fn cases_without_their_misuse_compile() {
    let output = compile("right_use", &libraries());
    assert_eq!(output, "");
}

/// Checks a case, and returns the compiler's output.
fn compile(case: &str, libraries: &[(String, String)]) -> String {
    let path = format!("tests/adapters/compile_fail/{case}.rs");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    // Not /dev/null: rustc run by root would replace it.
    let output = format!("{}/{case}.rmeta", env!("CARGO_TARGET_TMPDIR"));
    rustc.args(["--edition=2024", "--crate-type=bin", "--emit=metadata", "-o", &output, &path]);
    rustc.current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, file) in libraries {
        let directory = Path::new(file).parent().unwrap();
        rustc.arg("--extern").arg(format!("{name}={file}")).arg("-L").arg(directory);
    }
    String::from_utf8(rustc.output().unwrap().stderr).unwrap()
}

/// Returns the name and file of each library that the cases use, as built for this test.
fn libraries() -> Vec<(String, String)> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--no-run", "--offline", "--workspace", "--all-features", "--test=adapters"]);
    cargo.arg("--message-format=json").current_dir(env!("CARGO_MANIFEST_DIR"));
    // Remove the variables that cargo sets for tests, because build scripts that read them would run again.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_CRATE_NAME" {
            cargo.env_remove(&variable);
        }
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages =
        output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    messages.filter_map(|message| library(&message)).collect()
}

fn library(message: &Value) -> Option<(String, String)> {
    let name = message.pointer("/target/name")?.as_str()?;
    let is_used = ["axum", "hookwarden"].contains(&name) && message.pointer("/target/kind/0")? == "lib";
    let files = message.pointer("/filenames")?.as_array()?.iter().filter_map(Value::as_str);
    let file = files.filter(|_| is_used).find(|file| file.ends_with(".rlib"))?;
    Some((name.to_owned(), file.to_owned()))
}

//! The lines that `hookwarden sign --curl` prints, run by a shell with the real curl.
//!
//! Without `curl` in `PATH` the tests are reported as ignored; with `HOOKWARDEN_REQUIRE_CURL=1` they fail then. What the
//! shell makes of a line is tested without curl as well, in the tests of `sign`.

#![expect(
    dead_code,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "as in cli_send"
)]

mod cli {
    pub(crate) mod command;
    pub(crate) mod endpoint;
}

use std::process::{Command, ExitCode, Stdio};

use cli::command::{Ended, Scratch, presets};
use cli::endpoint::Endpoint;
use libtest_mimic::{Arguments, Completion, Trial};

fn main() -> ExitCode {
    let trials = vec![
        trial("line_of_every_preset_sends_exactly_the_signed_bytes", lines_send_the_bytes),
        trial("line_for_a_body_in_the_argument_or_on_input_sends_it", text_and_input_are_sent),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(name: &'static str, test: fn()) -> Trial {
    let version = Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let runs = version.is_ok_and(|status| status.success());
    let required = std::env::var_os("HOOKWARDEN_REQUIRE_CURL").is_some_and(|value| value == "1");
    Trial::ignorable_test(name, move || {
        if !runs {
            let reason = "there is no curl in PATH";
            return if required { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) };
        }
        test();
        Ok(Completion::Completed)
    })
}

fn lines_send_the_bytes() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let name = scratch.file("it's $HOME \"a\" `b`.json", BODY);
    for (scheme, secret) in presets() {
        let url = endpoint.url(&format!("/{}/acme", scheme.name()));
        let mut sign = scratch.command(&["sign", &name, "--scheme", scheme.name(), "--curl", &url]);
        let line = Ended::of(sign.env("HOOKWARDEN_SECRET", secret).output().unwrap()).expect(0).stdout;
        assert_eq!(shell(&scratch, &line, Stdio::null()), "taken", "{}", scheme.name());
    }
    assert_eq!(endpoint.seen().bodies(), [BODY; 5]);
}

fn text_and_input_are_sent() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/timestamped/acme?b=c&d={e}[1]");
    let text = "@it's\n\"so\" $HOME";
    let line = scratch.run(&["sign", "--body", text, "--curl", &url, "-H", "x-none:"]).expect(0).stdout;
    assert_eq!(shell(&scratch, &line, Stdio::null()), "taken");
    let line = scratch.run_with_input(&["sign", "-", "--curl", &url], BODY).expect(0).stdout;
    scratch.file("input", BODY);
    let input = std::fs::File::open(scratch.path().join("input")).unwrap();
    assert_eq!(shell(&scratch, &line, input.into()), "taken");
    assert_eq!(endpoint.seen().bodies(), [text.as_bytes(), BODY]);
    let headers = endpoint.seen().headers.lock().unwrap();
    assert_eq!(headers[0]["x-none"], "");
    assert_eq!(headers[0]["content-type"], "application/json");
}

/// What the receiver answers to the line.
fn shell(scratch: &Scratch, line: &str, input: Stdio) -> String {
    let mut command = Command::new("bash");
    // Without the user's own settings, and bounded in time.
    let script = format!("curl() {{ command curl --disable --silent --max-time 20 \"${{@}}\"; }}\n{line}");
    let output = command.args(["-euc", &script]).current_dir(scratch.path()).stdin(input).output().unwrap();
    Ended::of(output).expect(0).stdout
}

const BODY: &[u8] = b"{\"text\":\"it's \\\"so\\\"\"}\n\0\xff\r\n\0";

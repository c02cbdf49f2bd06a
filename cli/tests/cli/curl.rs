//! A shell with the real curl runs the lines that `hookwarden sign --curl` prints.
//!
//! With `HOOKWARDEN_REQUIRE_CURL=1` a missing `curl` is a failure. The tests of `sign` check the quoting without curl.

use std::fs::File;
use std::process::{Command, Stdio};

use libtest_mimic::{Completion, Trial};

use super::endpoint::Endpoint;
use super::schemes::presets;
use super::scratch::{Scratch, finish};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("curl_line_sends_the_signed_bytes", curl_line_sends_the_signed_bytes),
        trial("curl_line_sends_argument_and_standard_input", curl_line_sends_argument_and_standard_input),
    ]
}

fn trial(name: &'static str, test: fn()) -> Trial {
    Trial::ignorable_test(name, move || {
        let version = Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            let required = std::env::var_os("HOOKWARDEN_REQUIRE_CURL").is_some_and(|value| value == "1");
            let reason = "curl is not in PATH";
            return if required { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) };
        }
        test();
        Ok(Completion::Completed)
    })
}

fn curl_line_sends_the_signed_bytes() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let name = scratch.file("it's $HOME \"a\" `b`.json", BODY);
    for (scheme, secret) in presets() {
        let url = endpoint.url(&format!("/{}/acme", scheme.name()));
        let arguments = ["sign", &name, "--scheme", scheme.name(), "--curl", &url];
        let line = scratch.run_with_secret(secret, arguments).assert_code(0).stdout;
        assert_eq!(response(&scratch, &line, Stdio::null()), "taken", "{}", scheme.name());
    }
    assert_eq!(endpoint.seen().bodies(), [BODY; 6]);
}

fn curl_line_sends_argument_and_standard_input() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/timestamped/acme?b=c&d={e}[1]");
    let text = "@it's\n\"so\" $HOME";
    let line = scratch.run(["sign", "--body", text, "--curl", &url, "-H", "x-none:"]).assert_code(0).stdout;
    assert_eq!(response(&scratch, &line, Stdio::null()), "taken");
    let line = scratch.run_with_input(["sign", "-", "--curl", &url], BODY).assert_code(0).stdout;
    let input = File::open(scratch.write("input", BODY)).unwrap();
    assert_eq!(response(&scratch, &line, input.into()), "taken");
    assert_eq!(endpoint.seen().bodies(), [text.as_bytes(), BODY]);
    let headers = endpoint.seen().headers.lock().unwrap();
    assert_eq!(headers[0]["x-none"], "");
    assert_eq!(headers[0]["content-type"], "application/json");
}

/// Runs the line, and returns the body of the response.
fn response(scratch: &Scratch, line: &str, input: Stdio) -> String {
    // Disable the user's curl settings, and set a time limit.
    let script = format!("curl() {{ command curl --disable --silent --max-time 20 \"${{@}}\"; }}\n{line}");
    finish(scratch.shell_command(&script).stdin(input)).assert_code(0).stdout
}

const BODY: &[u8] = b"{\"text\":\"it's \\\"so\\\"\"}\n\0\xff\r\n\0";

//! `hookwarden listen` between the SDKs of providers, which sign and verify, and an application.
//!
//! With `HOOKWARDEN_REQUIRE_SDKS=1` missing SDKs are a failure: `tests/sdks/install` installs them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};

use super::corpus_reader::{command, root, sdks, trial};
use super::endpoint::Endpoint;
use super::listener::Listener;
use super::scratch::Scratch;

pub(crate) fn trials() -> Vec<Trial> {
    let python = sdks().join("installed").exists().then(|| sdks().join("bin/python"));
    vec![trial("listen_passes_messages_of_sdks", python, "HOOKWARDEN_REQUIRE_SDKS", messages_of_sdks)]
}

/// Each SDK signs a message. The application gets it unchanged, so that the SDK verifies what arrived.
fn messages_of_sdks(python: &Path) {
    let mut script = Script::start(python);
    for provider in PROVIDERS {
        let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
        let secret =
            script.ask(&json!({ "op": "secret", "provider": provider }))["secret"].as_str().unwrap().to_owned();
        let forward = endpoint.url("/open");
        let arguments = ["--scheme", provider, "--forward", &forward, "--save", "captures"];
        let listener = Listener::start_with(&scratch, &arguments, &[("HOOKWARDEN_SECRET", &secret)]);
        let message = |operation: &str, headers: Value, body: &[u8]| {
            let url = listener.url("/hook");
            json!({
                "op": operation, "provider": provider, "method": "POST", "url": url, "headers": headers,
                "body": STANDARD.encode(body), "secret": secret, "now": hookwarden::Timestamp::now().as_unix(),
            })
        };
        let signed = script.ask(&message("sign", json!({}), BODY.as_bytes()))["headers"].take();
        let lines: String = signed.as_object().unwrap().iter().map(|(name, value)| line(name, value)).collect();
        let length = BODY.len();
        let head =
            format!("POST /hook HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}Content-Length: {length}\r\n\r\n");
        let changed = BODY.replace("7", "8");
        for (body, status) in [(&changed[..], "401"), (BODY, "200")] {
            let answer = String::from_utf8(listener.send(format!("{head}{body}").as_bytes())).unwrap();
            assert_eq!(answer.get(9..12), Some(status), "{provider}: {answer}: {:?}", listener.reports(1));
        }
        assert_eq!(endpoint.seen().bodies(), [BODY], "{provider}");
        let received = endpoint.seen().headers.lock().unwrap()[0].clone();
        let pair =
            |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.to_string(), value.to_str().unwrap().into());
        let headers: Map<String, Value> = received.iter().map(pair).collect();
        let verified = script.ask(&message("verify", headers.into(), &endpoint.seen().bodies()[0]));
        assert_eq!(verified["ok"], true, "{provider}: {verified}");
        // Both are saved.
        listener.reports(2);
        let report = scratch
            .run_with_secret(&secret, ["verify", "captures", "--scheme", provider, "--json"])
            .assert_code(1)
            .json();
        assert_eq!((&report["verified"].as_array().unwrap().len(), &report["refused"]), (&1, &1.into()), "{report}");
    }
}

fn line(name: &str, value: &Value) -> String {
    format!("{name}: {}\r\n", value.as_str().unwrap())
}

/// The script that runs the SDKs, with a request and an answer per line.
struct Script {
    process: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Script {
    fn start(python: &Path) -> Self {
        let mut command = command(python);
        command.arg(root().join("tests/sdks/pypi/check.py")).args(PROVIDERS);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (requests, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut script = Self { process, requests, answers: BufReader::new(answers) };
        let start = script.read();
        assert_eq!(start["missing"], json!({}), "{start}");
        script
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests, "{request}").unwrap();
        self.read()
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A signature with several fields, one with a message id, and one of the body only.
const PROVIDERS: [&str; 3] = ["stripe", "svix", "mollie"];

const BODY: &str = "{\"id\":\"evt_7\",\"object\":\"event\"}\r\n";

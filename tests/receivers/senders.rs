//! The senders of `examples/senders` in other languages, against the example receivers.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::Trial;

use super::beside;
use crate::harness::trial::without;

use crate::harness::program::{Program, RECEIVERS, Running};

/// A test of a sender and its interpreter.
type Test = fn(Sender, &str);

/// A sender with its interpreters.
#[derive(Debug, Clone, Copy)]
struct Sender {
    file: &'static str,
    /// The interpreters to try in order, each with arguments that check whether it is suitable.
    interpreters: &'static [(&'static str, &'static [&'static str])],
    needs: &'static str,
}

const SENDERS: [Sender; 4] = [
    Sender { file: "python.py", interpreters: &[("python3", &["--version"])], needs: "python3" },
    Sender {
        file: "node.mjs",
        interpreters: &[("node", &["-e", "process.exit(typeof fetch === 'function' ? 0 : 1)"])],
        needs: "node with fetch",
    },
    Sender {
        file: "openssl.sh",
        interpreters: &[("sh", &["-c", "openssl version && curl --version"])],
        needs: "openssl and curl",
    },
    Sender {
        file: "django_requests.py",
        // A distribution's package belongs to its own Python.
        interpreters: &[("python3", &["-c", "import requests"]), ("/usr/bin/python3", &["-c", "import requests"])],
        needs: "python3 with requests",
    },
];

pub(super) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 3] = [
        ("deliveries_are_accepted_byte_for_byte", accepted),
        ("refusal_is_printed_and_is_a_failure", refused),
        ("secret_or_url_that_is_missing_ends_it", unused),
    ];
    let trials = SENDERS.into_iter().flat_map(|sender| {
        let interpreter = sender.interpreter();
        tests.map(|(name, test)| {
            let name = format!("senders::{}::{name}", sender.file);
            match interpreter {
                Some(interpreter) => beside(&name, move || test(sender, interpreter)),
                None => without(&name, sender.needs, "HOOKWARDEN_REQUIRE_SENDERS"),
            }
        })
    });
    trials.collect()
}

/// A secret with characters that shells, command lines and encodings could change.
const SECRET: &str = "it's \"a\" $secret %41 =\\ é";

fn accepted(sender: Sender, interpreter: &str) {
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).take(1_000_000).collect();
    let texts =
        [r#"{"type":"order.paid"}"#, "it's \"so\" $HOME %00 \\n é 😀", "@body", "-d", "ends with lines\n\n", ""];
    let inputs: [&[u8]; 4] = [b"\0\xff\r\n\xef\xbb\xbf{}\n\n", b"\n", b"@/dev/null", &large];
    for name in RECEIVERS {
        let running = start(name);
        for text in texts {
            sender.run(interpreter, &[&running.url(), text], Some(SECRET), b"").ended_with(0, "200", &text);
        }
        for input in inputs {
            sender.run(interpreter, &[&running.url()], Some(SECRET), input).ended_with(0, "200", &input.get(..10));
        }
        // A duplicate would be answered 200 too.
        assert_eq!(running.counted("outcome=\"accepted\""), texts.len().saturating_add(inputs.len()), "{name}");
    }
}

fn refused(sender: Sender, interpreter: &str) {
    for name in RECEIVERS {
        let running = start(name);
        sender.run(interpreter, &[&running.url(), "x"], Some("another secret"), b"").ended_with(1, "401", &name);
        sender.run(interpreter, &[&running.url(), r#"{"type":"fail"}"#], Some(SECRET), b"").ended_with(1, "500", &name);
        assert_eq!((running.counted("mismatch"), running.counted("outcome=\"released\"")), (1, 1), "{name}");
    }
}

fn unused(sender: Sender, interpreter: &str) {
    let url = "http://127.0.0.1:9/";
    for (arguments, secret) in
        [(&[][..], Some(SECRET)), (&[url, "x"], None), (&[url, "x"], Some("")), (&[url, "x", "y"], Some(SECRET))]
    {
        let ended = sender.run(interpreter, arguments, secret, b"");
        let error = String::from_utf8_lossy(&ended.0.stderr).into_owned();
        assert!(error.starts_with("usage: WEBHOOK_SECRET="), "{arguments:?}: {error}");
        ended.ended_with(2, "", &arguments);
    }
}

fn start(name: &str) -> Running {
    Running::start(name, &[("HOOKWARDEN_SECRETS", &format!("acme={SECRET}"))])
}

impl Sender {
    fn interpreter(self) -> Option<&'static str> {
        let runs = |(program, arguments): &&(&'static str, &[&str])| {
            let mut command = Command::new(program);
            command.args(*arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        self.interpreters.iter().find(runs).map(|(program, _)| *program)
    }

    fn run(self, interpreter: &str, arguments: &[&str], secret: Option<&str>, input: &[u8]) -> Ended {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/senders").join(self.file);
        let mut command = Command::new(interpreter);
        command.arg(file).args(arguments).env_remove("WEBHOOK_SECRET");
        // The receiver is local, and not behind a proxy.
        for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(proxy);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1").envs(secret.map(|secret| ("WEBHOOK_SECRET", secret)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut program = Program::start(self.file, &mut command);
        program.feed(input);
        Ended(program.output())
    }
}

/// A finished sender.
#[derive(Debug)]
struct Ended(Output);

impl Ended {
    #[track_caller]
    fn ended_with(&self, code: i32, printed: &str, about: &dyn std::fmt::Debug) {
        let actual = (self.0.status.code(), String::from_utf8_lossy(&self.0.stdout).trim_end().to_owned());
        let error = String::from_utf8_lossy(&self.0.stderr);
        assert_eq!(actual, (Some(code), printed.to_owned()), "{about:?}: {error}");
        assert!(!error.contains(SECRET), "{about:?}: {error}");
    }
}

impl Running {
    fn url(&self) -> String {
        format!("http://{}/webhooks/acme", self.address)
    }

    /// Returns the number of requests that the receiver counted under a label.
    fn counted(&self, label: &str) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let metrics = runtime.block_on(self.read("/metrics"));
        let mut lines = metrics.lines().filter(|line| line.starts_with("hookwarden_requests_total{"));
        let line = lines.find(|line| line.contains(label)).unwrap_or_else(|| panic!("no {label}: {metrics}"));
        line.rsplit_once(' ').and_then(|(_, count)| count.parse().ok()).expect("a count")
    }
}

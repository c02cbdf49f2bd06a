//! `hookwarden audit URL`: every planted hole is found and nothing else, and nothing is found where there is no hole.

#[path = "audit/broken.rs"]
mod broken;
#[path = "../../tests/util/mod.rs"]
mod util;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use hookwarden::warden::{BodyLimits, Replay};
use hookwarden::{Scheme, Warden};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use broken::{Broken, Hole, SECRET};
use util::receiver::{Bench, Server};
use util::sender::{ID, keyring};

/// Each hole with the checks that must find it.
const HOLES: &[(Hole, &[&str])] = &[
    (Hole::None, &[]),
    (Hole::StrictTolerance, &[]),
    (Hole::NothingVerified, &["signature-verified"]),
    (Hole::RefusalIsSuccess, &["signature-verified"]),
    (Hole::PrefixCompared, &["signature-truncated"]),
    (Hole::HalfCompared, &["signature-exact"]),
    (Hole::EmptySignature, &["signature-empty"]),
    (Hole::EmptyPlainSignature, &["signature-empty"]),
    (Hole::MissingSignature, &["header-missing"]),
    (Hole::MissingTimestamp, &["header-missing"]),
    (Hole::FirstOfTwo, &["header-duplicate"]),
    (Hole::LastOfTwo, &["header-duplicate"]),
    (Hole::Trailer, &["trailer-signature"]),
    (Hole::HeaderBytesDropped, &["non-utf8-header"]),
    // Without any check both directions are open.
    (Hole::NoSkew, &["stale", "early"]),
    (Hole::PastOnly, &["early"]),
    (Hole::FutureOnly, &["stale"]),
    (Hole::Milliseconds, &["timestamp-notation"]),
    (Hole::NoNumberIsFresh, &["timestamp-notation"]),
    (Hole::NoMemory, &["replay"]),
    (Hole::MemoryOfText, &["replay-spelling"]),
    (Hole::MemoryOfHeader, &["replay-unsigned-id"]),
    (Hole::MemoryWithGap, &["replay-parallel"]),
    (Hole::OneSecretForAll, &["other-id"]),
    (Hole::NoCap, &["body-limit"]),
    (Hole::NoCapInChunks, &["body-limit"]),
    (Hole::BodyFirst, &["head-first"]),
    (Hole::NoDeadline, &["deadline"]),
    (Hole::NoQuota, &["quota"]),
    (Hole::NoRetryAfter, &["quota"]),
    (Hole::ForgeriesCount, &["quota-forgeries"]),
    (Hole::TellsCauses, &["answers-alike"]),
    (Hole::TellsUnknownIds, &["answers-alike"]),
    (Hole::FailsOnBodyBytes, &["server-error"]),
    (Hole::FailsOnHeaderBytes, &["server-error"]),
    // Who writes the body anew does not see white space that was added.
    (Hole::Reserialized, &["body-exact", "body-signed"]),
    (Hole::TrimmedBody, &["body-signed"]),
    (Hole::LossyBody, &["non-utf8-body"]),
    (Hole::EmptySecret, &["weak-secret"]),
    (Hole::GuessableSecret, &["weak-secret"]),
    (Hole::BodyAlone, &["parts-signed"]),
    (Hole::Sha1Too, &["algorithm"]),
    (Hole::StackTrace, &["answer-leaks"]),
    (Hole::SecretEcho, &["answer-leaks"]),
    (Hole::SignatureEcho, &["answer-leaks"]),
    (Hole::HtmlRefusal, &["security-headers"]),
    (Hole::AnyMethod, &["method"]),
    (Hole::UnverifiedGet, &["method"]),
    (Hole::BodyLeftBehind, &["reuse"]),
];

/// What an audit ended with.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn found(&self) -> BTreeSet<String> {
        let report = self.report();
        let findings = report.get("findings").and_then(Value::as_array).expect("findings");
        findings.iter().map(|finding| finding["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// The checks with this result.
    fn checks(&self, result: &str) -> BTreeSet<String> {
        let report = self.report();
        let checks = report.get("checks").and_then(Value::as_array).expect("checks").iter();
        let chosen = checks.filter(|check| check["result"] == result);
        chosen.map(|check| check["id"].as_str().expect("an id").to_owned()).collect()
    }
}

/// Runs `hookwarden audit`, with a secret in the environment.
async fn audit(secret: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookwarden"));
    command.arg("audit").args(arguments).env("HOOKWARDEN_SECRET", secret);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output()).await.expect("an end in time");
    let output = output.expect("a program");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let ended = Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "the secret is told: {ended:?}");
    ended
}

/// Audits a receiver on the loopback with what all receivers here are set to.
async fn audit_at(address: SocketAddr, secret: &str, more: &[&str]) -> Ended {
    let (url, other) = (format!("http://{address}/webhooks/acme"), format!("http://{address}/webhooks/other"));
    let cap = broken::CAP.to_string();
    let expected = ["--other-url", &other, "--deadline", "1", "--body-limit", &cap];
    audit(secret, &[&[url.as_str()], &expected[..], more].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hole_is_found_and_nothing_else() {
    // More at a time would make receivers slow that are not.
    let room = Arc::new(Semaphore::new(3));
    let mut audits = JoinSet::new();
    for (hole, expected) in HOLES.iter().copied() {
        let room = room.clone();
        audits.spawn(async move {
            let _permit = room.acquire().await.expect("an open semaphore");
            let receiver = Broken::start(hole).await;
            let ended = audit_at(receiver.address, SECRET, &["--json"]).await;
            let wanted: BTreeSet<_> = expected.iter().map(|id| (*id).to_owned()).collect();
            let code = i32::from(!expected.is_empty());
            let is_right = ended.found() == wanted && ended.code == Some(code);
            // What cannot be judged with this hole must not hide that the rest was.
            let unjudged = ended.checks("not judged");
            let report = || format!("{} {}", ended.report()["findings"], ended.stderr);
            (!is_right).then(|| format!("{hole:?}: code {:?}, unjudged {unjudged:?}, {}", ended.code, report()))
        });
    }
    let wrong: Vec<_> = audits.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn receiver_without_a_hole_passes_every_check() {
    let receiver = Broken::start(Hole::None).await;
    let ended = audit_at(receiver.address, SECRET, &["--json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.checks("not judged").is_empty(), "{:?}", ended.report());
    assert_eq!(ended.checks("note"), BTreeSet::from(["security-headers".to_owned()]));
    assert_eq!(ended.checks("holds").len(), 33);
}

#[tokio::test]
async fn our_own_receivers_have_no_hole_by_any_scheme() {
    let schemes = [
        (Scheme::timestamped(), SECRET),
        (Scheme::standard_webhooks(), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
        (Scheme::stripe(), SECRET),
        (Scheme::github(), SECRET),
        (Scheme::slack(), SECRET),
    ];
    for (scheme, secret) in schemes {
        for server in Server::ALL {
            let mut warden = Warden::builder(scheme.clone())
                .sender(ID, keyring(&scheme, secret))
                .body(BodyLimits::new().max_bytes(broken::CAP).deadline(broken::DEADLINE));
            if !scheme.is_timestamped() {
                warden = warden.replay(Replay::new().lifetime(Duration::from_secs(3600)));
            }
            let bench = Bench::start(*server, warden).await;
            let ended = audit_at(bench.receiver.address(), secret, &["--json", "--scheme", scheme.name()]).await;
            assert_eq!((ended.code, ended.found().len()), (Some(0), 0), "{server:?}, {}: {ended:?}", scheme.name());
            let mut unjudged = ended.checks("not judged");
            if !scheme.is_timestamped() {
                for id in ["stale", "early", "tolerance", "timestamp-notation", "parts-signed"] {
                    assert!(unjudged.remove(id), "{id} cannot be judged of {}", scheme.name());
                }
            }
            assert!(unjudged.is_empty(), "{server:?}, {}: {:?}", scheme.name(), ended.report());
        }
    }
}

#[tokio::test]
async fn example_of_the_help_works_as_pasted() {
    let help = Command::new(env!("CARGO_BIN_EXE_hookwarden")).args(["audit", "--help"]).output().await;
    let help = String::from_utf8(help.expect("a program").stdout).expect("text");
    let (_, example) = help.split_once("\nExample, with a receiver on port 3000:\n").expect("an example");
    let scheme = Scheme::timestamped();
    let warden = Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, "only-for-this-example"));
    let bench = Bench::start(Server::Axum, warden).await;
    // Whatever listens on that port of this machine is another one.
    let line = example.trim().replace("127.0.0.1:3000", &bench.receiver.address().to_string());
    let line = line.replacen("hookwarden ", concat!(env!("CARGO_BIN_EXE_hookwarden"), " "), 1);
    let ran = Command::new("bash").args(["-euc", &line]).stdin(Stdio::null()).kill_on_drop(true).output();
    let ran = tokio::time::timeout(Duration::from_secs(120), ran).await.expect("an end in time").expect("a shell");
    assert_eq!(ran.status.code(), Some(0), "{line}: {ran:?}");
}

#[tokio::test]
async fn checks_are_chosen_by_name() {
    let receiver = Broken::start(Hole::NoMemory).await;
    let only = audit_at(receiver.address, SECRET, &["--json", "--only", "stale,early"]).await;
    assert_eq!((only.code, only.checks("holds").len()), (Some(0), 2), "{only:?}");
    let skipped = audit_at(receiver.address, SECRET, &["--json", "--skip", "replay"]).await;
    assert_eq!(skipped.code, Some(0), "{skipped:?}");
    // Nobody knows then whether replays are known, so what builds on it does not pass.
    let unjudged = BTreeSet::from(["replay-parallel", "replay-spelling", "replay-unsigned-id"].map(str::to_owned));
    assert_eq!(skipped.checks("not judged"), unjudged);
    let unknown = audit_at(receiver.address, SECRET, &["--only", "everything"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[tokio::test]
async fn requests_and_time_are_capped_and_the_rest_is_not_judged() {
    let receiver = Broken::start(Hole::NoQuota).await;
    let few = audit_at(receiver.address, SECRET, &["--json", "--max-requests", "20"]).await;
    assert_eq!(few.code, Some(0), "{few:?}");
    assert_eq!((&few.report()["requests"], receiver.requests()), (&Value::from(20), 20));
    assert!(few.checks("not judged").contains("quota") && few.checks("holds").contains("answers-alike"), "{few:?}");
    let short = audit_at(receiver.address, SECRET, &["--json", "--timeout", "1"]).await;
    assert!(short.report()["seconds"].as_f64().expect("seconds") < 10.0);
    assert!(short.checks("not judged").contains("quota"), "{short:?}");
}

#[tokio::test]
async fn strict_headers_are_findings() {
    let receiver = Broken::start(Hole::None).await;
    let arguments = ["--json", "--strict-headers", "--only", "security-headers"];
    let ended = audit_at(receiver.address, SECRET, &arguments).await;
    assert_eq!((ended.code, ended.found().len()), (Some(1), 1), "{ended:?}");
}

#[tokio::test]
async fn every_form_of_report_tells_the_finding_its_fix_and_what_was_not_judged() {
    let receiver = Broken::start(Hole::NoSkew).await;
    for (format, wanted) in [
        ("table", &["found", "medium", "stale", "fix: refuse a timestamp", "not judged:"][..]),
        ("markdown", &["| medium |", "| stale |", "- not judged: timestamp-notation"]),
        ("sarif", &["\"2.1.0\"", "\"ruleId\": \"stale\"", "toolExecutionNotifications", "timestamp-notation was not"]),
        ("json", &["\"id\": \"stale\"", "\"fix\"", "\"not judged\""]),
    ] {
        let more = ["--format", format, "--only", "stale,early,timestamp-notation", "--tolerance", "300"];
        let ended = audit_at(receiver.address, SECRET, &more).await;
        assert_eq!(ended.code, Some(1), "{format}: {ended:?}");
        for text in wanted.iter().chain(&["301 s ago"]) {
            assert!(ended.stdout.contains(text), "{format}, {text}: {}", ended.stdout);
        }
        assert!(!ended.stdout.contains('\x1b'), "{format}: no colour where there is no terminal");
    }
}

#[tokio::test]
async fn valid_delivery_that_is_refused_ends_the_audit_with_advice() {
    let receiver = Broken::start(Hole::None).await;
    let ended = audit_at(receiver.address, "not-its-secret", &[]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("answered with 401; check the secret"), "{ended:?}");
    let url = format!("http://{}/elsewhere", receiver.address);
    let ended = audit(SECRET, &[&url, "--deadline", "1"]).await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
}

#[tokio::test]
async fn refused_connection_is_told() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address");
    let ended = audit(SECRET, &[&format!("http://{port}/webhooks/acme")]).await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(3), 1), "{ended:?}");
    assert!(ended.stderr.contains(&port.to_string()), "{ended:?}");
}

#[tokio::test]
async fn wrong_input_is_one_line_and_sends_nothing() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    let url = format!("http://{address}/");
    let raw = std::env::temp_dir().join(format!("hookwarden-audit-{}.txt", std::process::id()));
    std::fs::write(&raw, "no json").expect("a file");
    let raw = raw.to_str().expect("a path");
    for arguments in [
        &[url.as_str(), "--scheme", "nobody-knows"][..],
        &[url.as_str(), "--body", "/no/such/file"],
        &[url.as_str(), "--body", raw],
        &[url.as_str(), "--secret-file", "/no/such/file"],
        &[url.as_str(), "--secret-env", "HOOKWARDEN_NO_SUCH_VARIABLE"],
        &[url.as_str(), "-H", "X-Webhook-Signature: 00"],
        &[url.as_str(), "-H", "x-webhook-timestamp: 1"],
        &[url.as_str(), "--other-url", "http://127.0.0.1:1/", "--timeout", "5"],
    ] {
        let ended = audit(SECRET, arguments).await;
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert_eq!((ended.stdout.len(), ended.stderr.lines().count()), (0, 1), "{arguments:?}: {ended:?}");
    }
    // These are refused by the parser of arguments.
    for arguments in [
        &["ftp://127.0.0.1/"][..],
        &["127.0.0.1"],
        &["http://"],
        &[],
        &[url.as_str(), "--quota", "0"],
        &[url.as_str(), "-H", "no colon"],
        &[url.as_str(), "--format", "pdf"],
    ] {
        let ended = audit(SECRET, arguments).await;
        assert_eq!((ended.code, ended.stdout.len()), (Some(2), 0), "{arguments:?}: {ended:?}");
    }
    std::fs::remove_file(raw).expect("a file");
    // The one that was connected to was told nothing.
    while let Ok((mut stream, _)) = listener.accept() {
        let mut told = Vec::new();
        std::io::Read::read_to_end(&mut stream, &mut told).expect("a closed connection");
        assert!(told.is_empty(), "{told:?}");
    }
}

#[tokio::test]
async fn other_host_is_not_touched_without_its_owners_word() {
    let ended = audit(SECRET, &["http://192.0.2.1/webhooks/acme"]).await;
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    assert!(ended.stderr.contains("--yes-i-own-this"), "{ended:?}");
    // This machine by another address than the loopback, where it has one.
    let Some(own) = own_address() else { return };
    let listener = TcpListener::bind((own, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}/webhooks/acme", listener.local_addr().expect("an address"));
    let ended = audit(SECRET, &[&url]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(listener.accept().is_err(), "a connection was made");
}

/// Only Linux leaves a connection that does not fit into the queue unanswered.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn host_that_does_not_answer_is_given_up() {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let listener = socket.listen(1).expect("a queue");
    let address = listener.local_addr().expect("an address");
    let mut queue = JoinSet::new();
    for _ in 0..8 {
        queue.spawn(tokio::net::TcpStream::connect(address));
    }
    // What is in the queue has to stay open.
    let first = queue.join_next().await;
    let second = queue.join_next().await;
    let url = format!("http://{address}/webhooks/acme");
    let ended = audit(SECRET, &[&url]).await;
    assert_eq!((ended.code, ended.stdout.len()), (Some(3), 0), "{ended:?}");
    assert!(ended.stderr.contains("no connection in time"), "{ended:?}");
    drop((first, second, listener));
}

/// The address from which this machine would speak to others. Nothing is sent to find out.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

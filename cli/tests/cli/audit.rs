//! `hookwarden audit URL` finds each flaw, and finds nothing in a receiver without flaws.

mod flawed;

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use axum::extract::Query;
use hookwarden::encoding::Encoding;
use hookwarden::handshake::Handshake;
use hookwarden::warden::{BodyLimits, Replay, WardenBuilder};
use hookwarden::{Keyring, Scheme, Warden};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

use super::harness::receiver::{Bench, Receiver, Server};
use super::harness::sender::ID;
use super::public_keys::{KEYS, SCHEME as PUBLIC_KEY_SCHEME};
use super::schemes::{keyring, presets};
use super::scratch::{CommandOutput, Running, Scratch};
use flawed::{Flaw, FlawedReceiver, SECRET};

/// Each flaw with the checks that must find it.
const FLAWS: &[(Flaw, &[&str])] = &[
    (Flaw::None, &[]),
    (Flaw::StrictTolerance, &[]),
    (Flaw::NothingVerified, &["signature-verified"]),
    (Flaw::RefusalIsSuccess, &["signature-verified"]),
    (Flaw::PrefixCompared, &["signature-truncated"]),
    (Flaw::HalfCompared, &["signature-exact"]),
    (Flaw::EmptySignature, &["signature-empty"]),
    (Flaw::EmptyPlainSignature, &["signature-empty"]),
    (Flaw::MissingSignature, &["header-missing"]),
    (Flaw::MissingTimestamp, &["header-missing"]),
    (Flaw::FirstOfTwo, &["header-duplicate"]),
    (Flaw::LastOfTwo, &["header-duplicate"]),
    (Flaw::Trailer, &["trailer-signature"]),
    (Flaw::HeaderBytesDropped, &["non-utf8-header"]),
    // Without a check, old and future timestamps are both accepted.
    (Flaw::NoSkew, &["stale", "early"]),
    (Flaw::PastOnly, &["early"]),
    (Flaw::FutureOnly, &["stale"]),
    (Flaw::Milliseconds, &["timestamp-notation"]),
    (Flaw::NoNumberIsFresh, &["timestamp-notation"]),
    (Flaw::NoReplayStore, &["replay"]),
    (Flaw::ReplayBySpelling, &["replay-spelling"]),
    (Flaw::ReplayByHeader, &["replay-unsigned-id"]),
    (Flaw::ReplayWithGap, &["replay-parallel"]),
    (Flaw::OneSecretForAll, &["other-id"]),
    (Flaw::NoCap, &["body-limit"]),
    (Flaw::NoCapInChunks, &["body-limit"]),
    (Flaw::BodyFirst, &["head-first"]),
    (Flaw::NoDeadline, &["deadline"]),
    (Flaw::NoQuota, &["quota"]),
    (Flaw::NoRetryAfter, &["quota"]),
    (Flaw::ForgeriesCount, &["quota-forgeries"]),
    (Flaw::RevealsCauses, &["answers-alike"]),
    (Flaw::RevealsUnknownIds, &["answers-alike"]),
    (Flaw::FailsOnBodyBytes, &["server-error"]),
    (Flaw::FailsOnHeaderBytes, &["server-error"]),
    // Re-serialising the body also hides added white space.
    (Flaw::Reserialized, &["body-exact", "body-signed"]),
    (Flaw::TrimmedBody, &["body-signed"]),
    (Flaw::LossyBody, &["non-utf8-body"]),
    (Flaw::EmptySecret, &["weak-secret"]),
    (Flaw::GuessableSecret, &["weak-secret"]),
    (Flaw::BodyOnly, &["parts-signed"]),
    (Flaw::Sha1Too, &["algorithm"]),
    (Flaw::StackTrace, &["answer-leaks"]),
    (Flaw::SecretEcho, &["answer-leaks"]),
    (Flaw::SignatureEcho, &["answer-leaks"]),
    (Flaw::HtmlRefusal, &["security-headers"]),
    (Flaw::SignsQueries, &["challenge-oracle"]),
    // The body is read before the head is checked.
    (Flaw::SignsUnverifiedTokens, &["challenge-oracle", "head-first"]),
    (Flaw::SignsVerifiedTokens, &["challenge-oracle"]),
    (Flaw::AnyMethod, &["method"]),
    (Flaw::UnverifiedGet, &["method"]),
    (Flaw::BodyLeftBehind, &["reuse"]),
    (Flaw::DeadlinePerByte, &["deadline"]),
    (Flaw::CapAfterBody, &["body-limit"]),
    (Flaw::StaleAfterBody, &["head-first"]),
    (Flaw::CopyForgotten, &["replay"]),
    (Flaw::RevealsFutureStamps, &["answers-alike"]),
];

/// The ids of an audit's findings.
#[track_caller]
fn found(output: &CommandOutput) -> BTreeSet<String> {
    let report = output.json();
    let findings = report["findings"].as_array().expect("findings").iter();
    findings.map(|finding| finding["id"].as_str().expect("an id").to_owned()).collect()
}

/// The ids of the checks with this result.
#[track_caller]
fn checks(output: &CommandOutput, result: &str) -> BTreeSet<String> {
    let report = output.json();
    let checks = report["checks"].as_array().expect("checks").iter().filter(|check| check["result"] == result);
    checks.map(|check| check["id"].as_str().expect("an id").to_owned()).collect()
}

/// Runs `hookwarden audit` with a secret in the environment.
async fn audit(secret: &str, arguments: &[&str]) -> CommandOutput {
    // More audits at a time would use all cores, and a receiver would miss its deadlines.
    static AUDITS: Semaphore = Semaphore::const_new(6);
    let _permit = AUDITS.acquire().await.expect("an open semaphore");
    let scratch = Scratch::new();
    let mut command = scratch.command(["audit"]);
    let running = Running::start(command.args(arguments).env("HOOKWARDEN_SECRET", secret));
    let output = spawn_blocking(|| running.finish()).await.expect("no panic");
    assert!(
        !output.stdout.contains(secret) && !output.stderr.contains(secret),
        "the output has the secret: {output:?}"
    );
    output
}

/// Audits a receiver on loopback, with the limits that all receivers here have.
async fn audit_at(address: SocketAddr, secret: &str, more: &[&str]) -> CommandOutput {
    let (url, other) = (format!("http://{address}/webhooks/acme"), format!("http://{address}/webhooks/other"));
    let cap = flawed::CAP.to_string();
    let expected = ["--other-url", &other, "--deadline", "1", "--body-limit", &cap];
    audit(secret, &[&[url.as_str()], &expected[..], more].concat()).await
}

/// Returns the Warden of our own receiver, with the limits that the audits expect.
fn warden(scheme: &Scheme, secret: &str) -> WardenBuilder {
    let warden = Warden::builder(scheme.clone())
        .sender(ID, keyring(scheme, secret))
        .body(BodyLimits::new().max_bytes(flawed::CAP).deadline(flawed::DEADLINE));
    if scheme.is_timestamped() { warden } else { warden.replay(Replay::new().lifetime(Duration::from_secs(3600))) }
}

#[tokio::test]
async fn smaller_quota_than_stated_is_noted() {
    let receiver = FlawedReceiver::start(Flaw::None).await;
    let stated = (flawed::QUOTA + 50).to_string();
    let output = audit_at(receiver.address, SECRET, &["--json", "--only", "quota", "--quota", &stated]).await;
    assert_eq!((output.code, checks(&output, "note")), (Some(0), BTreeSet::from(["quota".to_owned()])), "{output:?}");
}

#[tokio::test]
async fn leaked_secret_is_worse_than_leaked_trace() {
    for (flaw, severity) in [(Flaw::SecretEcho, "high"), (Flaw::StackTrace, "medium")] {
        let receiver = FlawedReceiver::start(flaw).await;
        let output = audit_at(receiver.address, SECRET, &["--json", "--only", "answers-alike,answer-leaks"]).await;
        let finding = &output.json()["findings"][0];
        assert_eq!((&finding["id"], &finding["severity"]), (&"answer-leaks".into(), &severity.into()), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_flaw_yields_exactly_its_findings() {
    let mut audits = JoinSet::new();
    for (flaw, expected) in FLAWS.iter().copied() {
        audits.spawn(async move {
            let receiver = FlawedReceiver::start(flaw).await;
            let output = audit_at(receiver.address, SECRET, &["--json"]).await;
            let expected_ids: BTreeSet<_> = expected.iter().map(|id| (*id).to_owned()).collect();
            let code = i32::from(!expected.is_empty());
            let as_expected = found(&output) == expected_ids && output.code == Some(code);
            let inconclusive = || checks(&output, "inconclusive");
            let findings = || output.json()["findings"].clone();
            (!as_expected).then(|| {
                format!("{flaw:?}: code {:?}, {}, {:?}, {}", output.code, findings(), inconclusive(), output.stderr)
            })
        });
    }
    let wrong: Vec<_> = audits.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn flawless_receiver_passes_every_check() {
    let receiver = FlawedReceiver::start(Flaw::None).await;
    let output = audit_at(receiver.address, SECRET, &["--json"]).await.assert_code(0);
    let notes = BTreeSet::from(["security-headers".to_owned()]);
    // It answers no challenge.
    let inconclusive = BTreeSet::from(["challenge-oracle".to_owned()]);
    assert_eq!((checks(&output, "inconclusive"), checks(&output, "note")), (inconclusive.clone(), notes.clone()));
    let holding = checks(&output, "holds");
    let known = FLAWS.iter().flat_map(|(_, ids)| *ids).map(|id| (*id).to_owned());
    let shown = |id: &String| holding.contains(id) || notes.contains(id) || inconclusive.contains(id);
    let missing: Vec<_> = known.filter(|id| !shown(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // No flaw of these receivers breaks this check.
    assert!(holding.contains("tolerance"), "{holding:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_receivers_pass_for_every_preset() {
    let mut audits = JoinSet::new();
    for (scheme, secret) in presets() {
        for server in Server::ALL {
            audits.spawn(passes(scheme.clone(), secret, *server));
        }
    }
    audits.join_all().await;
}

async fn passes(scheme: Scheme, secret: &'static str, server: Server) {
    let name = scheme.name();
    let bench = Bench::start(server, warden(&scheme, secret)).await;
    let output = audit_at(bench.receiver.address(), secret, &["--json", "--scheme", name]).await;
    assert_eq!((output.code, found(&output).len()), (Some(0), 0), "{server:?}, {name}: {output:?}");
    let mut inconclusive = checks(&output, "inconclusive");
    assert!(inconclusive.remove("challenge-oracle"), "it answers no challenge under {name}");
    if !scheme.is_timestamped() {
        for id in ["stale", "early", "tolerance", "timestamp-notation", "parts-signed"] {
            assert!(inconclusive.remove(id), "{id} cannot be checked under {name}");
        }
    }
    if scheme.algorithm().uses_public_keys() {
        assert!(inconclusive.remove("weak-secret"), "weak-secret cannot be checked under {name}");
    }
    assert!(inconclusive.is_empty(), "{server:?}, {name}: {output:?}");
    // Under a scheme that signs only the body, a receiver with replay protection takes equal bodies for replays.
    assert_eq!(checks(&output, "note").contains("replay"), name == "github", "{name}");
}

/// A receiver that answers the challenges of several providers, each alone, for a scheme that signs only the body and for
/// one with a literal.
#[tokio::test]
async fn our_answered_challenges_are_no_oracle() {
    let x = || Handshake::query("crc_token").json(r#"{"response_token":"sha256={mac}"}"#).mac(Encoding::Base64);
    let zoom = Handshake::body("/payload/plainToken").when("/event", "endpoint.url_validation");
    let zoom = zoom.json(r#"{"encryptedToken":"{mac}"}"#).mac(Encoding::Hex);
    let slack = Handshake::body("/challenge").when("/type", "url_verification");
    let unknown = Handshake::query("audit-does-not-know-it");
    for (handshakes, result) in [
        (vec![x(), zoom.clone()], "holds"),
        (vec![zoom], "holds"),
        (vec![slack], "holds"),
        (vec![Handshake::query("challenge")], "holds"),
        (vec![Handshake::query("hub.challenge").require("hub.mode", "subscribe")], "holds"),
        (vec![Handshake::query("hub.challenge").token("hub.verify_token", "a token")], "inconclusive"),
        (vec![unknown], "inconclusive"),
    ] {
        for scheme in [Scheme::github(), Scheme::slack()] {
            let warden = handshakes.iter().cloned().fold(warden(&scheme, SECRET), WardenBuilder::handshake);
            let bench = Bench::start(Server::Axum, warden).await;
            let more = ["--json", "--scheme", scheme.name(), "--only", "challenge-oracle"];
            let output = audit_at(bench.receiver.address(), SECRET, &more).await;
            assert_eq!((output.code, found(&output).len()), (Some(0), 0), "{output:?}");
            assert!(checks(&output, result).contains("challenge-oracle"), "{result}: {handshakes:?}: {output:?}");
        }
    }
}

/// A GET beside our guarded POST signs each plain text, and the POST accepts it as a body.
#[tokio::test]
async fn signed_plain_body_is_an_oracle() {
    let scheme = Scheme::github();
    let warden = warden(&scheme, SECRET).webhook_id(hookwarden::IdSource::fixed(ID)).build().expect("a Warden");
    let sign = async |Query(query): Query<HashMap<String, String>>| {
        let text = query.get("crc_token").filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        text.map(|text| Encoding::Base64.encode(ring::hmac::sign(&key, text.as_bytes()).as_ref()))
            .ok_or(axum::http::StatusCode::BAD_REQUEST)
    };
    let route = axum::routing::post(async || "handled").layer(hookwarden::axum::WardenLayer::new(warden)).get(sign);
    let receiver = Receiver::axum_with_peers(axum::Router::new().route("/webhooks/{id}", route)).await;
    let more = ["--json", "--scheme", "github", "--only", "challenge-oracle"];
    let output = audit_at(receiver.address(), SECRET, &more).await;
    assert_eq!((output.code, found(&output)), (Some(1), BTreeSet::from(["challenge-oracle".to_owned()])), "{output:?}");
    assert_eq!(output.json()["findings"][0]["severity"], "high", "{output:?}");
}

#[tokio::test]
async fn oracle_for_anyone_is_worse_than_for_senders() {
    for (flaw, severity) in [(Flaw::SignsQueries, "high"), (Flaw::SignsVerifiedTokens, "low")] {
        let receiver = FlawedReceiver::start(flaw).await;
        let output = audit_at(receiver.address, SECRET, &["--json", "--only", "challenge-oracle"]).await;
        let finding = &output.json()["findings"][0];
        assert_eq!(
            (&finding["id"], &finding["severity"]),
            (&"challenge-oracle".into(), &severity.into()),
            "{output:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_receivers_pass_for_every_public_key_algorithm() {
    let mut audits = JoinSet::new();
    for (algorithm, private) in KEYS {
        for server in Server::ALL {
            audits.spawn(passes_with_public_key(algorithm, private, *server));
        }
    }
    audits.join_all().await;
}

async fn passes_with_public_key(algorithm: &str, private: &str, server: Server) {
    let document = PUBLIC_KEY_SCHEME.replace("ALGORITHM", algorithm);
    let scheme: Scheme = toml::from_str(&document).expect("a scheme");
    let public = scheme.secret(private).expect("a private key").public_key().expect("a private key").clone();
    let limits = BodyLimits::new().max_bytes(flawed::CAP).deadline(flawed::DEADLINE);
    let warden = Warden::builder(scheme).sender(ID, Keyring::new(public)).body(limits);
    let scratch = Scratch::new();
    let path = scratch.write("scheme.toml", &document);
    let bench = Bench::start(server, warden).await;
    let path = path.to_str().expect("a path");
    let output = audit_at(bench.receiver.address(), private, &["--json", "--scheme", path]).await;
    assert_eq!((output.code, found(&output).len()), (Some(0), 0), "{server:?}, {algorithm}: {output:?}");
    let not_checked = BTreeSet::from(["challenge-oracle", "weak-secret"].map(str::to_owned));
    assert_eq!(checks(&output, "inconclusive"), not_checked, "{server:?}, {algorithm}: {output:?}");
    let holding = checks(&output, "holds");
    for id in ["body-signed", "signature-exact", "stale", "early", "replay", "quota-forgeries", "quota"] {
        assert!(holding.contains(id), "{server:?}, {algorithm}, {id}: {output:?}");
    }
}

#[tokio::test]
async fn public_key_used_as_secret_is_found() {
    let scratch = Scratch::new();
    let document = "\
name = \"confused\"
algorithm = \"ed25519\"
signature_headers = [\"X-Webhook-Signature\"]
encoding = \"hex\"
timestamp = { header = \"X-Webhook-Timestamp\", format = \"seconds\" }
signed = [\"timestamp\", { literal = \".\" }, \"body\"]
";
    let path = scratch.write("scheme.toml", document);
    let more = ["--json", "--scheme", path.to_str().expect("a path"), "--only", "algorithm"];
    let private = KEYS[0].1;
    let pem = include_str!("../../../tests/public_keys/keys/ed25519_public.pem");
    let base64 = pem.lines().nth(1).expect("the key");
    let whpk = "whpk_Nz0iPauQzI/UYXFo2owoCEuKMTNXXWW3ZObSLII/B/w=";
    for (what, text) in [
        ("nothing", &b""[..]),
        ("the public key in PEM", pem.as_bytes()),
        ("the public key in PEM without the last line break", pem.trim_end().as_bytes()),
        ("the public key's DER in base64", base64.as_bytes()),
        ("the public key with whpk_", whpk.as_bytes()),
        ("HMAC-SHA-256 is", &flawed::PUBLIC_KEY),
    ] {
        let receiver = FlawedReceiver::start(Flaw::PublicKeyAsSecret(text)).await;
        let output = audit_at(receiver.address, private, &more).await;
        let expected = if text.is_empty() { BTreeSet::new() } else { BTreeSet::from(["algorithm".to_owned()]) };
        assert_eq!(found(&output), expected, "{what}: {output:?}");
        assert!(text.is_empty() || output.stdout.contains(what), "{what}: {output:?}");
    }
}

#[tokio::test]
async fn our_receiver_passes_for_positional_scheme() {
    let document = r#"
        name = "positions"
        signature_headers = ["X-Signature"]
        layout = { positional = { separator = ",", fields = ["timestamp"] } }
        timestamp = { field = "timestamp", format = "milliseconds" }
        signed = ["timestamp", { literal = "." }, "body"]
    "#;
    let scheme: Scheme = toml::from_str(document).expect("a scheme");
    let scratch = Scratch::new();
    let path = scratch.write("positions.toml", document);
    let bench = Bench::start(Server::Axum, warden(&scheme, SECRET)).await;
    let path = path.to_str().expect("a path");
    let output = audit_at(bench.receiver.address(), SECRET, &["--json", "--scheme", path]).await;
    assert_eq!((output.code, found(&output).len()), (Some(0), 0), "{output:?}");
    // It answers no challenge.
    assert_eq!(checks(&output, "inconclusive"), BTreeSet::from(["challenge-oracle".to_owned()]), "{output:?}");
}

#[tokio::test]
async fn help_example_passes_on_our_receiver() {
    let scratch = Scratch::new();
    let help = scratch.run(["audit", "--help"]).assert_code(0).stdout;
    let (_, example) = help.split_once("\nExample, with a receiver on port 3000:\n").expect("an example");
    let scheme = Scheme::timestamped();
    // The body deadline is shorter than the one that the audit expects by default, so that the audit ends sooner.
    let limits = BodyLimits::new().deadline(flawed::DEADLINE);
    let warden = Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, "only-for-this-example")).body(limits);
    let bench = Bench::start(Server::Axum, warden).await;
    let line = example.trim().replace("127.0.0.1:3000", &bench.receiver.address().to_string());
    let running = Running::start(&mut scratch.shell_command(&line));
    spawn_blocking(|| running.finish()).await.expect("no panic").assert_code(0);
}

#[tokio::test]
async fn checks_are_selected_by_name() {
    let receiver = FlawedReceiver::start(Flaw::NoReplayStore).await;
    let only = audit_at(receiver.address, SECRET, &["--json", "--only", "stale,early"]).await;
    assert_eq!((only.code, checks(&only, "holds").len()), (Some(0), 2), "{only:?}");
    let skipped = audit_at(receiver.address, SECRET, &["--json", "--skip", "replay,challenge-oracle"]).await;
    assert_eq!(skipped.code, Some(0), "{skipped:?}");
    // These checks depend on the result of `replay`.
    let dependent = BTreeSet::from(["replay-parallel", "replay-spelling", "replay-unsigned-id"].map(str::to_owned));
    assert_eq!(checks(&skipped, "inconclusive"), dependent);
    let unknown = audit_at(receiver.address, SECRET, &["--only", "everything"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[tokio::test]
async fn exhausted_budget_leaves_checks_inconclusive() {
    let receiver = FlawedReceiver::start(Flaw::NoQuota).await;
    let few = audit_at(receiver.address, SECRET, &["--json", "--max-requests", "20"]).await;
    assert_eq!(few.code, Some(0), "{few:?}");
    assert_eq!((&few.json()["requests"], receiver.requests()), (&Value::from(20), 20));
    assert!(
        checks(&few, "inconclusive").contains("quota") && checks(&few, "holds").contains("answers-alike"),
        "{few:?}"
    );
    let short = audit_at(receiver.address, SECRET, &["--json", "--timeout", "1"]).await;
    assert!(short.json()["seconds"].as_f64().expect("seconds") < 10.0);
    assert!(checks(&short, "inconclusive").contains("quota"), "{short:?}");
}

#[tokio::test]
async fn strict_headers_turn_notes_into_findings() {
    let receiver = FlawedReceiver::start(Flaw::None).await;
    let arguments = ["--json", "--strict-headers", "--only", "security-headers"];
    let output = audit_at(receiver.address, SECRET, &arguments).await;
    assert_eq!((output.code, found(&output).len()), (Some(1), 1), "{output:?}");
}

#[tokio::test]
async fn every_report_format_shows_finding_and_fix() {
    let receiver = FlawedReceiver::start(Flaw::NoSkew).await;
    for (format, wanted) in [
        ("table", &["found", "medium", "stale", "fix: refuse a timestamp", "inconclusive:"][..]),
        ("markdown", &["| medium |", "| stale |", "- inconclusive: timestamp-notation"]),
        (
            "sarif",
            &[
                "\"2.1.0\"",
                "\"ruleId\": \"stale\"",
                "toolExecutionNotifications",
                "timestamp-notation was inconclusive",
            ],
        ),
        ("json", &["\"id\": \"stale\"", "\"fix\"", "\"inconclusive\""]),
    ] {
        let more = ["--format", format, "--only", "stale,early,timestamp-notation", "--tolerance", "300"];
        let output = audit_at(receiver.address, SECRET, &more).await;
        assert_eq!(output.code, Some(1), "{format}: {output:?}");
        for text in wanted.iter().chain(&["301 s ago"]) {
            assert!(output.stdout.contains(text), "{format}, {text}: {}", output.stdout);
        }
        assert!(!output.stdout.contains('\x1b'), "{format}: colours without a terminal");
    }
}

#[tokio::test]
async fn refused_valid_delivery_ends_audit_with_advice() {
    let receiver = FlawedReceiver::start(Flaw::None).await;
    let output = audit_at(receiver.address, "not-its-secret", &[]).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert!(output.stderr.contains("answered with 401; check the secret"), "{output:?}");
    let url = format!("http://{}/elsewhere", receiver.address);
    let output = audit(SECRET, &[&url, "--deadline", "1"]).await;
    assert_eq!(output.code, Some(3), "{output:?}");
}

#[tokio::test]
async fn refused_connection_is_reported() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address");
    let output = audit(SECRET, &[&format!("http://{port}/webhooks/acme")]).await;
    assert_eq!((output.code, output.stderr.lines().count()), (Some(3), 1), "{output:?}");
    assert!(output.stderr.contains(&port.to_string()), "{output:?}");
}

#[tokio::test]
async fn wrong_input_is_refused_before_sending() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    let url = format!("http://{address}/");
    let scratch = Scratch::new();
    let raw = scratch.write("body.txt", "no json");
    let raw = raw.to_str().expect("a path");
    for arguments in [
        &[url.as_str(), "--scheme", "unknown"][..],
        &[url.as_str(), "--body", "/no/such/file"],
        &[url.as_str(), "--body", raw],
        &[url.as_str(), "--secret-file", "/no/such/file"],
        &[url.as_str(), "--secret-env", "HOOKWARDEN_NO_SUCH_VARIABLE"],
        &[url.as_str(), "-H", "X-Webhook-Signature: 00"],
        &[url.as_str(), "-H", "x-webhook-timestamp: 1"],
        &[url.as_str(), "--other-url", "http://127.0.0.1:1/", "--timeout", "5"],
    ] {
        let output = audit(SECRET, arguments).await;
        assert_eq!(output.code, Some(2), "{arguments:?}: {output:?}");
        assert_eq!((output.stdout.len(), output.stderr.lines().count()), (0, 1), "{arguments:?}: {output:?}");
    }
    // The argument parser refuses these.
    for arguments in [
        &["ftp://127.0.0.1/"][..],
        &["127.0.0.1"],
        &["http://"],
        &[],
        &[url.as_str(), "--quota", "0"],
        &[url.as_str(), "-H", "no colon"],
        &[url.as_str(), "--format", "pdf"],
    ] {
        let output = audit(SECRET, arguments).await;
        assert_eq!((output.code, output.stdout.len()), (Some(2), 0), "{arguments:?}: {output:?}");
    }
    // `--other-url` is checked after a connection was opened. Nothing is sent over it.
    while let Ok((mut stream, _)) = listener.accept() {
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).expect("a closed connection");
        assert!(sent.is_empty(), "{sent:?}");
    }
}

#[tokio::test]
async fn other_host_requires_ownership_flag() {
    let output = audit(SECRET, &["http://192.0.2.1/webhooks/acme"]).await;
    assert_eq!((output.code, output.stderr.lines().count()), (Some(2), 1), "{output:?}");
    assert!(output.stderr.contains("--yes-i-own-this"), "{output:?}");
}

/// Only Linux leaves a connection unanswered when the listen queue is full.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn unresponsive_host_ends_the_audit() {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a port");
    let listener = socket.listen(1).expect("a queue");
    let address = listener.local_addr().expect("an address");
    let mut queue = JoinSet::new();
    for _ in 0..8 {
        queue.spawn(tokio::net::TcpStream::connect(address));
    }
    // The connections in the queue must stay open.
    let first = queue.join_next().await;
    let second = queue.join_next().await;
    let url = format!("http://{address}/webhooks/acme");
    let output = audit(SECRET, &[&url]).await;
    assert_eq!((output.code, output.stdout.len()), (Some(3), 0), "{output:?}");
    assert!(output.stderr.contains("no connection in time"), "{output:?}");
    drop((first, second, listener));
}

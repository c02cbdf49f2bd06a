//! `hookwarden verify DIR`.

use std::fs;

use hookwarden::{Scheme, Signer, Timestamp};

use super::schemes::keyring;
use super::scratch::{SECRET, Scratch};

const BODY: &str = "{\"id\":7}";

/// A request that signs [`BODY`] some seconds from now, with another body.
fn capture(seconds: i64, secret: &str, body: &str) -> String {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), keyring(&scheme, secret)).unwrap();
    let time = Timestamp::from_unix(Timestamp::now().as_unix() + seconds);
    let signed = signer.sign_body_at(BODY.as_bytes(), time).unwrap();
    let head: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST /webhooks/acme HTTP/1.1\r\n{head}\r\n{body}")
}

/// A directory of captures, two of which verify.
fn captures() -> Scratch {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("captures/nested")).unwrap();
    for (name, content) in [
        ("a-valid.http", capture(0, SECRET, BODY)),
        ("b-stale.http", capture(-86_400, SECRET, BODY)),
        ("c-rewritten.http", capture(-86_400, SECRET, "{\"id\": 7}")),
        ("d-line.http", capture(0, SECRET, "{\"id\":7}\n")),
        ("e-rewritten.http", capture(0, SECRET, "{ \"id\":7 }")),
        ("f-notes.txt", "no request\u{9b}".into()),
        (".hidden", "no request".into()),
        ("nested/g.http", "no request".into()),
    ] {
        scratch.write(&format!("captures/{name}"), content);
    }
    scratch
}

#[test]
fn captures_are_grouped_by_cause() {
    let scratch = captures();
    let report = scratch.run(["verify", "captures", "--json"]).assert_code(1).json();
    assert_eq!(report["verified"], serde_json::json!(["a-valid.http", "b-stale.http"]));
    assert_eq!((&report["refused"], &report["stale_by_now"]), (&3.into(), &2.into()), "{report}");
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{report}");
    for (group, (kind, files)) in groups.iter().zip([
        ("body-json-rewritten", &["c-rewritten.http", "e-rewritten.http"][..]),
        ("body-newline-added", &["d-line.http"]),
    ]) {
        assert_eq!((&group["causes"][0]["kind"], &group["count"]), (&kind.into(), &files.len().into()), "{group}");
        assert_eq!(group["files"], serde_json::json!(files));
        assert_eq!(group["causes"][0]["offset"].is_null(), files.len() > 1, "{group}");
    }
    assert_eq!(report["not_requests"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["not_requests"][0]["file"], "f-notes.txt");

    let text = scratch.run(["verify", "captures"]).assert_code(1).stdout;
    assert!(text.starts_with("2 verify, 3 refused, 1 not a request\n2 verified at their own timestamp"), "{text}");
    let first = "\n2 refused: c-rewritten.http, e-rewritten.http\nbody-json-rewritten, proven: ";
    assert!(text.contains(first) && text.contains("\n1 refused: d-line.http\nbody-newline-added, proven: "), "{text}");
    assert!(text.contains("\n  fix: ") && text.contains("\nnot a request:\n  f-notes.txt: must "), "{text}");
    assert!(!text.contains(SECRET) && text.matches("(at byte ").count() == 1, "{text}");
    // At the current time the stale ones are refused for their age.
    let report = scratch.run(["verify", "captures", "--at", "now", "--json"]).assert_code(1).json();
    assert_eq!((&report["refused"], &report["stale_by_now"]), (&4.into(), &0.into()), "{report}");
}

#[test]
fn exit_code_depends_only_on_refused_requests() {
    let scratch = captures();
    for name in ["c-rewritten.http", "d-line.http", "e-rewritten.http"] {
        fs::remove_file(scratch.path(&format!("captures/{name}"))).unwrap();
    }
    scratch.run(["verify", "captures"]).assert_code(0);
    scratch.run_with_secret("another-secret", ["verify", "captures"]).assert_code(1);
    for name in ["a-valid.http", "b-stale.http"] {
        fs::remove_file(scratch.path(&format!("captures/{name}"))).unwrap();
    }
    scratch.run(["verify", "captures"]).assert_refused("captures: must contain a captured request: f-notes.txt must ");
}

#[test]
fn names_of_a_large_group_are_cut() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("captures")).unwrap();
    for number in 1..=7 {
        scratch.write(&format!("captures/{number}"), capture(0, SECRET, "{\"id\": 7}"));
    }
    let text = scratch.run(["verify", "captures"]).assert_code(1).stdout;
    assert!(text.contains("\n7 refused: 1, 2, 3, 4, 5 and 2 more\n"), "{text}");
}

/// A capture that arrived two days ago, by a clock that is some seconds ahead of the timestamp.
fn arrived(clock: i64) -> String {
    let arrival = Timestamp::now().as_unix() - 172_800 + clock;
    let note = format!("HTTP/1.1\r\nHookwarden-Capture: reason=stale; time={arrival}; body=complete");
    capture(-172_800, SECRET, BODY).replacen("HTTP/1.1", &note, 1)
}

#[test]
fn capture_is_verified_at_its_arrival() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("captures")).unwrap();
    for (name, clock) in [("a-behind", -2_000), ("b-right", 10), ("c-ahead", 2_000), ("d-ahead", 2_100)] {
        scratch.write(&format!("captures/{name}"), arrived(clock));
    }
    let file = |name: &str, code, more: &[&str]| {
        scratch.run([&["verify", &format!("captures/{name}"), "--json"], more].concat()).assert_code(code).json()
    };
    for (name, kind, skew) in [("a-behind", "timestamp-early", -2_000), ("c-ahead", "timestamp-stale", 2_000)] {
        let report = file(name, 1, &[]);
        assert_eq!((&report["skew"], &report["causes"][0]["kind"]), (&skew.into(), &kind.into()), "{report}");
        assert_eq!(report["stale_by_now"], false);
    }
    assert_eq!(file("b-right", 0, &[])["skew"], 10);
    file("c-ahead", 0, &["--at", "signed"]);
    assert!(file("b-right", 1, &["--at", "now"])["skew"].as_i64() > Some(172_000));
    let text = scratch.run(["verify", "captures/c-ahead"]).assert_code(1).stdout;
    assert!(text.contains("\nverified at its time of arrival, 20"), "{text}");

    let report = scratch.run(["verify", "captures", "--json"]).assert_code(1).json();
    assert_eq!(report["verified"], serde_json::json!(["b-right"]), "{report}");
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups[0]["files"], serde_json::json!(["c-ahead", "d-ahead"]));
    // The seconds are those of one request.
    assert_eq!(
        (&groups[0]["causes"][0]["seconds"], &groups[1]["causes"][0]["seconds"]),
        (&().into(), &(-2_000).into())
    );
    let text = scratch.run(["verify", "captures"]).assert_code(1).stdout;
    assert!(text.contains(": in c-ahead, the timestamp is 2000 s in the past"), "{text}");
}

#[test]
fn different_headers_are_different_groups() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("captures")).unwrap();
    let whole = capture(0, SECRET, BODY);
    for (name, without) in [("a", "X-Webhook-Signature"), ("b", "X-Webhook-Timestamp")] {
        let lines: Vec<_> = whole.split("\r\n").filter(|line| !line.starts_with(without)).collect();
        scratch.write(&format!("captures/{name}"), lines.join("\r\n"));
    }
    for (name, scheme) in [("c", Scheme::github()), ("d", Scheme::stripe())] {
        let signed = Signer::new(scheme.clone(), keyring(&scheme, SECRET)).unwrap().sign_body(BODY.as_bytes()).unwrap();
        let head: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        scratch.write(&format!("captures/{name}"), format!("POST / HTTP/1.1\r\n{head}\r\n{BODY}"));
    }
    let report = scratch.run(["verify", "captures", "--json"]).assert_code(1).json();
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 4, "{report}");
}

#[test]
fn undecodable_secret_does_not_end_the_report() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("captures")).unwrap();
    let head = format!("webhook-id: msg_1\r\nwebhook-timestamp: {}\r\n", Timestamp::now().as_unix());
    let sent = format!("POST / HTTP/1.1\r\n{head}webhook-signature: v1,{}=\r\n\r\n{BODY}", "A".repeat(43));
    scratch.write("captures/a", &sent);
    scratch.write("captures/b", "no request");
    let arguments = ["--scheme", "standard_webhooks", "--json"];
    let run = |path| scratch.run_with_secret("whsec_not base64", [&["verify", path], &arguments[..]].concat());
    run("captures/a").assert_code(2);
    let report = run("captures").assert_code(1).json();
    assert_eq!((&report["groups"][0]["files"], &report["refused"]), (&serde_json::json!(["a"]), &1.into()), "{report}");
    assert_eq!(report["groups"][0]["causes"][0]["kind"], "secret-malformed", "{report}");
}

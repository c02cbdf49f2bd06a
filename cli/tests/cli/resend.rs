use std::fs;
use std::net::TcpListener;

use hookwarden::{Signer, Timestamp};
use serde_json::json;

use super::endpoint::Endpoint;
use super::listener::Listener;
use super::schemes::{keyring, presets};
use super::scratch::{Running, Scratch, wait_until};

const BODY: &[u8] = b"{\"id\":7}\r\n\0\xff";

/// A request that was signed an hour ago.
fn stale(scheme: &hookwarden::Scheme, secret: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let signer = Signer::new(scheme.clone(), keyring(scheme, secret)).unwrap();
    let time = Timestamp::from_unix(Timestamp::now().as_unix() - 3_600);
    let signed = signer.sign_at(headers, BODY, time).unwrap();
    let lines = headers.iter().copied().chain(signed.iter()).map(|(name, value)| format!("{name}: {value}\r\n"));
    let head: String = lines.collect();
    let line = format!("POST /{}/acme?x=1 HTTP/1.1\r\nX-Latin: ", scheme.name());
    [line.as_bytes(), b"\xe9\r\n", head.as_bytes(), b"\r\n", BODY].concat()
}

#[test]
fn stale_request_is_accepted_for_every_preset() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    for (count, (scheme, secret)) in (1..).zip(presets()) {
        let headers =
            [("webhook-id", "msg_1"), ("Transfer-Encoding", "chunked"), ("Connection", "x-hop"), ("x-hop", "1")];
        let file = scratch.file("request.http", stale(&scheme, secret, &headers));
        let arguments = ["resend", &file, "--to", &endpoint.url(""), "--scheme", scheme.name()];
        let output = scratch.run_with_secret(secret, arguments).assert_code(0);
        assert!(output.stdout.starts_with("request.http:\nHTTP/1.1 200 OK in "), "{output:?}");
        assert_eq!(endpoint.seen().count(), count, "{}: {output:?}", scheme.name());
        let received = endpoint.seen().headers.lock().unwrap()[count - 1].clone();
        assert_eq!(
            (&received["webhook-id"], received["x-latin"].as_bytes()),
            (&"msg_1".parse().unwrap(), &b"\xe9"[..])
        );
        assert!(!received.contains_key("x-hop") && received["content-length"] == BODY.len().to_string().as_str());
        assert!(
            received
                .values()
                .all(|value| !value.as_bytes().windows(secret.len()).any(|part| part == secret.as_bytes()))
        );
    }
    assert_eq!(endpoint.seen().bodies(), vec![BODY; presets().len()]);
}

#[test]
fn request_saved_by_listen_is_resent() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let listener = Listener::start(&scratch, &["--save", "captures"]);
    scratch
        .run(["send", &listener.url("/timestamped/acme"), "--body", "a body", "-H", "x-note: of mine"])
        .assert_code(0);
    let saved = listener.reports(1)[0]["saved"].as_str().unwrap().to_owned();
    let sent = scratch.run(["resend", &saved, "--to", &endpoint.url(""), "-H", "x-more: 1", "--json"]).assert_code(0);
    assert_eq!(sent.json()["requests"][0]["answer"]["status"], 200);
    assert_eq!(endpoint.seen().bodies(), ["a body"]);
    let headers = endpoint.seen().headers.lock().unwrap()[0].clone();
    assert_eq!((&headers["x-note"], &headers["x-more"]), (&"of mine".parse().unwrap(), &"1".parse().unwrap()));
}

#[test]
fn exit_code_tells_the_worst_answer() {
    let scratch = Scratch::new();
    let (scheme, secret) = &presets()[0];
    let request = stale(scheme, secret, &[]);
    let [one, two] = ["one", "two"].map(|name| scratch.file(name, &request));
    for (statuses, code) in [(&[200, 204][..], 0), (&[200, 503], 1), (&[307, 200], 1)] {
        let endpoint = Endpoint::answering(statuses);
        let output = scratch.run(["resend", &one, &two, "--to", &endpoint.url("/statuses")]).assert_code(code);
        assert!(output.stdout.contains("one:\n") && output.stdout.contains("two:\n"), "{output:?}");
        assert_eq!(endpoint.seen().count(), 2);
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = scratch.run(["resend", &one, "--to", &format!("http://{free}")]).assert_code(3);
    assert!(output.stderr.contains("one: no connection: Connection refused"), "{output:?}");
    let endpoint = Endpoint::http1();
    let output = scratch.run(["resend", &one, "--to", &endpoint.url("/held"), "--timeout", "200ms"]).assert_code(3);
    assert!(output.stderr.contains("one: timeout: "), "{output:?}");
}

#[test]
fn invalid_request_or_other_host_sends_nothing() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let (scheme, secret) = &presets()[0];
    let good = scratch.file("good", stale(scheme, secret, &[]));
    fs::write(scratch.path("bad"), "no request").unwrap();
    fs::write(scratch.path("tunnel"), "CONNECT a:1 HTTP/1.1\r\n\r\n").unwrap();
    let url = endpoint.url("/open");
    let refused = |arguments: &[&str], problem: &str| {
        scratch.run([&["resend"], arguments].concat()).assert_refused(problem);
    };
    refused(&[&good, "bad", "--to", &url], "bad: must have an empty line after the headers");
    refused(&[&good, "tunnel", "--to", &url], "tunnel: must have an HTTP method other than CONNECT");
    refused(&[&good, "missing", "--to", &url], "missing: No such file");
    refused(
        &[&good, "--to", "http://192.0.2.1/"],
        "is another host; to send saved requests to it, add --yes-i-own-this",
    );
    refused(&[&good, "--to", &url, "--scheme", "svix"], "must be base64");
    refused(&["-", "-", "--to", &url], "standard input: must be only one of the secret and the requests");
    let id = presets()[1].1;
    let unsigned = ["resend", &good, "--to", &url, "--scheme", "standard_webhooks"];
    scratch.run_with_secret(id, unsigned).assert_refused("add it with --header");
    assert_eq!(endpoint.seen().count(), 0);
}

/// A saved request with these first headers, and the path `/open`.
fn saved(lines: &str) -> Vec<u8> {
    [format!("POST /open HTTP/1.1\r\n{lines}\r\n").as_bytes(), BODY].concat()
}

#[test]
fn unverified_captures_are_skipped() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let files = ["accepted", "released", "handshake", "mismatch", "not-read"];
    for (name, note) in files.iter().zip([
        "outcome=accepted; time=1800000000; body=complete",
        "outcome=released; time=1800000000; body=complete",
        "outcome=handshake; time=1800000000; body=complete",
        "reason=mismatch; time=1800000000; body=complete",
        "reason=stale; time=1800000000; body=not-read",
    ]) {
        scratch.file(name, saved(&format!("Hookwarden-Capture: {note}\r\n")));
    }
    let url = endpoint.url("");
    let resend = |files: &[&str], more: &[&str]| scratch.run([&["resend", "--to", &url], more, files].concat());
    let report = resend(&files, &["--json"]).assert_code(0).json();
    let named =
        |what: &str| report[what].as_array().unwrap().iter().map(|entry| entry["file"].clone()).collect::<Vec<_>>();
    assert_eq!(
        (named("requests"), named("skipped")),
        (vec![json!("accepted"), json!("released")], vec![json!("handshake"), json!("mismatch"), json!("not-read")],)
    );
    let text = resend(&files, &[]).assert_code(0).stdout;
    assert!(text.contains("mismatch: skipped (reason=mismatch): its content may be forged, "), "{text}");
    assert_eq!(endpoint.seen().count(), 4);
    resend(&files[2..], &[]).assert_refused("no request is sent: handshake is skipped (outcome=handshake): ");
    resend(&files, &["--refused"]).assert_refused("not-read: must have the whole body, but is noted as body=not-read");
    assert_eq!(endpoint.seen().count(), 4);
    resend(&files[..4], &["--refused"]).assert_code(0);
    assert_eq!(endpoint.seen().count(), 8);
    assert!(endpoint.seen().headers.lock().unwrap().iter().all(|headers| !headers.contains_key("hookwarden-capture")));
}

#[test]
fn saved_host_and_redacted_values_are_left_out() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let file = scratch.file("one", saved("Host: hooks.example.com\r\nCookie: [redacted]\r\nX-Note: [redacted]!\r\n"));
    let url = endpoint.url("");
    scratch.run(["resend", &file, "--to", &url]).assert_code(0);
    scratch.run(["resend", &file, "--to", &url, "-H", "Host: set.example.com"]).assert_code(0);
    let received = endpoint.seen().headers.lock().unwrap().clone();
    assert_eq!(received[0]["host"], url.strip_prefix("http://").unwrap());
    assert_eq!(received[1]["host"], "set.example.com");
    assert!(!received[0].contains_key("cookie") && received[0]["x-note"] == "[redacted]!", "{received:?}");
}

#[test]
fn results_are_printed_as_they_come() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let one = scratch.file("one", saved(""));
    let two = scratch.file("two", String::from_utf8_lossy(&saved("")).replace("/open", "/held"));
    let running = Running::start(&mut scratch.command(["resend", &one, &two, "--to", &endpoint.url("")]));
    wait_until("the second request is held", || endpoint.seen().in_flight() == 1);
    assert!(running.output().starts_with("one:\nHTTP/1.1 200 OK in "), "{}", running.output());
    endpoint.seen().release(1);
    let output = running.finish().assert_code(0);
    assert!(output.stdout.contains("\ntwo:\nHTTP/1.1 200 OK in "), "{output:?}");
}

#[test]
fn unreachable_receiver_ends_the_run() {
    let scratch = Scratch::new();
    let files = ["one", "two", "three"].map(|name| scratch.file(name, saved("")));
    let url = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let arguments = ["resend", &files[0], &files[1], &files[2], "--to", &url];
    let output = scratch.run(arguments).assert_code(3);
    let end = "\nnot sent, because the receiver cannot be reached: two, three\n";
    assert!(output.stdout.starts_with("one:\nno connection: ") && output.stdout.ends_with(end), "{output:?}");
    let report = scratch.run([&arguments[..], &["--json"]].concat()).assert_code(3).json();
    assert_eq!((report["requests"].as_array().unwrap().len(), &report["not_sent"]), (1, &json!(["two", "three"])));
}

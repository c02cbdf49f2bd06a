//! `hookwarden listen` in front of an application.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use hookwarden::escape::is_escaped;
use hookwarden::{Scheme, Signer, Timestamp};
use serde_json::Value;

use super::endpoint::Endpoint;
use super::listener::Listener;
use super::schemes::{keyring, presets};
use super::scratch::{Running, SECRET, Scratch, mode, set_mode, wait_until};

/// JSON with bytes that are not UTF-8.
const BODY: &[u8] = b"{\"id\": 7,\"text\":\"\xff\0\r\n\"}";

/// A signed request with this body, and these lines of the head.
pub(super) fn request(path: &str, lines: &[u8], body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close\r\n{}", signed(body));
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), lines, length.as_bytes(), body].concat()
}

/// The lines of the signature.
pub(super) fn signed(body: &[u8]) -> String {
    signed_ago(0, body)
}

/// The lines of a signature of some seconds ago.
pub(super) fn signed_ago(seconds: i64, body: &[u8]) -> String {
    let scheme = Scheme::timestamped();
    let time = Timestamp::from_unix(Timestamp::now().as_unix() - seconds);
    let signed = Signer::new(scheme.clone(), keyring(&scheme, SECRET)).unwrap().sign_body_at(body, time).unwrap();
    signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// An application that gives the same bytes as the answer to each request. It passes on the bytes of the requests, which
/// must have a `Content-Length`.
fn application(answer: &'static [u8]) -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = channel();
    // The thread ends with the process.
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let request = read_request(&mut stream);
            // The answer ends with the connection, and the test may be over.
            let _ = (stream.write_all(answer), stream.shutdown(Shutdown::Both), sender.send(request));
        }
    });
    (url, received)
}

fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let (mut request, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        let read = stream.read(&mut chunk).unwrap_or_default();
        request.extend_from_slice(&chunk[..read]);
        let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let is_complete = end.is_some_and(|end| {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            request.len() >= end + 4 + length.unwrap_or(0_usize)
        });
        if is_complete || read == 0 {
            return request;
        }
    }
}

/// The lines of a head, and the body.
fn parts(message: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let end = message.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("an empty line");
    let lines = message[..end].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    (lines.collect(), &message[end + 4..])
}

pub(super) fn status(answer: &[u8]) -> &str {
    std::str::from_utf8(answer.get(9..12).unwrap_or_default()).unwrap()
}

#[test]
fn bytes_of_request_and_answer_arrive_unchanged() {
    let (url, received) = application(
        b"HTTP/1.1 218 This is fine\r\nX-Bytes: \xe9\xff\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Gone: 1\r\n\
          Connection: X-Gone, close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\0\xff\n\r\n1\r\nk\r\n0\r\n\r\n",
    );
    let scratch = Scratch::new();
    let listener = Listener::start(&scratch, &["--forward", &url]);
    let (first, rest) = BODY.split_at(5);
    let (signed, path) = (signed(BODY), "/hook/%2e%2E//a?b=c%20&b");
    let head = format!("POST {path} HTTP/1.1\r\nHost: hooks.example.com\r\nConnection: close, X-Listed\r\n{signed}");
    let more = b"X-Listed: 1\r\nX-mIXED-Case: \xe9\xff \x80\r\nX-Twice: 1\r\nX-Twice: 2\r\nTE: trailers\r\n\
                 Keep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n5;note=x\r\n";
    let size = format!("\r\n{:x}\r\n", rest.len());
    let sent = [head.as_bytes(), more, first, size.as_bytes(), rest, b"\r\n0\r\n\r\n"].concat();
    let answer = listener.send(&sent);

    let request = received.recv().unwrap();
    let (lines, body) = parts(&request);
    assert_eq!(body, BODY);
    assert_eq!(lines[0], format!("POST {path} HTTP/1.1").as_bytes());
    let length = format!("content-length: {}", BODY.len());
    let mut expected: Vec<&[u8]> = vec![
        b"Host: hooks.example.com",
        b"X-mIXED-Case: \xe9\xff \x80",
        b"X-Twice: 1",
        b"X-Twice: 2",
        b"via: 1.1 hookwarden",
        length.as_bytes(),
    ];
    expected.extend(signed.lines().map(str::as_bytes));
    let mut found = lines[1..].to_vec();
    assert!(position(&found, b"X-Twice: 1") < position(&found, b"X-Twice: 2"));
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&request));

    let (lines, body) = parts(&answer);
    assert_eq!(body, b"\0\xff\nk");
    assert!(lines[0].starts_with(b"HTTP/1.1 218"), "{}", String::from_utf8_lossy(&answer));
    for line in [&b"X-Bytes: \xe9\xff"[..], b"Set-Cookie: a=1", b"set-cookie: b=2"] {
        assert!(lines.contains(&line), "{}", String::from_utf8_lossy(&answer));
    }
    assert!(!lines.iter().any(|line| line.to_ascii_lowercase().starts_with(b"x-gone")));
    let report = &listener.reports(1)[0];
    assert_eq!((&report["outcome"], &report["application_status"]), (&"accepted".into(), &218.into()), "{report}");
}

fn position(lines: &[&[u8]], line: &[u8]) -> usize {
    lines.iter().position(|found| *found == line).expect("a line")
}

#[test]
fn refused_request_is_explained_and_not_forwarded() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::answering(&[202]));
    let listener = Listener::start(&scratch, &["--forward", &endpoint.url("")]);
    // The body was parsed and serialised again.
    let sent = request("/statuses", b"", b"{\"id\":7,\"of\":1}");
    let end = sent.len() - 15;
    let changed = [&sent[..end], b"{\"of\":1,\"id\":7}"].concat();
    assert_eq!(status(&listener.send(&changed)), "401");
    let report = &listener.reports(1)[0];
    assert_eq!((&report["reason"], &report["forwarded"]), (&"mismatch".into(), &false.into()), "{report}");
    assert_eq!(report["causes"][0]["kind"], "body-json-rewritten", "{report}");
    assert_eq!(endpoint.seen().count(), 0);
    assert_eq!(status(&listener.send(&sent)), "202");
    // A copy is answered as the Warden answers it.
    assert_eq!(status(&listener.send(&sent)), "200");
    assert_eq!(endpoint.seen().count(), 1);
    assert_eq!(listener.reports(3)[2]["reason"], "replayed");
    let output = listener.interrupt().assert_code(0);
    assert!(!output.stdout.contains(SECRET) && !output.stdout.contains(&signature(&sent)), "{output:?}");

    let listener = Listener::start(&scratch, &["--forward", &endpoint.url("/statuses"), "--forward-refused"]);
    for count in 1..3 {
        assert_eq!(status(&listener.send(&changed)), "202");
        let report = &listener.reports(count)[count - 1];
        assert_eq!((&report["reason"], &report["application_status"]), (&"mismatch".into(), &202.into()), "{report}");
    }
    assert_eq!(endpoint.seen().count(), 3);
}

/// The signature that a request has.
fn signature(request: &[u8]) -> String {
    let text = String::from_utf8_lossy(request);
    let line = text.lines().find_map(|line| line.strip_prefix("X-Webhook-Signature: ")).expect("a signature");
    line.to_owned()
}

#[test]
fn chunked_answer_has_no_other_length() {
    let scratch = Scratch::new();
    let (url, _received) = application(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let answer = Listener::start(&scratch, &["--forward", &url]).send(&request("/", b"", BODY));
    let (lines, body) = parts(&answer);
    assert_eq!(body, b"hello");
    let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line).to_lowercase()).collect();
    let lengths: Vec<_> = lines.iter().filter(|line| line.starts_with("content-length")).collect();
    assert_eq!(lengths, ["content-length: 5"], "{lines:?}");
}

#[test]
fn unreachable_application_is_answered_502_and_retried() {
    let scratch = Scratch::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = Listener::start(&scratch, &["--forward", &format!("http://{free}")]);
    let sent = request("/", b"", BODY);
    // Not committed: the retry is forwarded too.
    for count in 1..3 {
        assert_eq!(status(&listener.send(&sent)), "502");
        let report = &listener.reports(count)[count - 1];
        let problem = report["application_error"].as_str().unwrap();
        assert!(problem.contains("Connection refused") && report["outcome"] == "released", "{report}");
    }
    let endpoint = Endpoint::http1();
    let arguments = ["--forward", &endpoint.url("/held"), "--timeout", "200ms"];
    let listener = Listener::start(&scratch, &arguments);
    assert_eq!(status(&listener.send(&sent)), "504");
    assert!(listener.reports(1)[0]["application_error"].as_str().unwrap().contains("raise --timeout"));
}

#[test]
fn incomplete_answer_of_application_is_answered_502() {
    let scratch = Scratch::new();
    let (url, _received) = application(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    let listener = Listener::start(&scratch, &["--forward", &url]);
    assert_eq!(status(&listener.send(&request("/", b"", BODY))), "502");
    let report = &listener.reports(1)[0];
    assert_eq!((&report["outcome"], &report["application_status"]), (&"released".into(), &Value::Null), "{report}");
    assert!(!report["application_error"].as_str().unwrap().is_empty(), "{report}");
}

#[test]
fn request_of_a_gone_client_is_handled() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let listener = Listener::start(&scratch, &["--forward", &endpoint.url("/held")]);
    let sent = request("/", b"", BODY);
    let mut stream = listener.connect();
    stream.write_all(&sent).unwrap();
    wait_until("the application holds the request", || endpoint.seen().in_flight() == 1);
    drop(stream);
    endpoint.seen().release(1);
    assert_eq!(listener.reports(1)[0]["outcome"], "accepted");
    assert_eq!((status(&listener.send(&sent)), endpoint.seen().count()), ("200", 1));
}

#[test]
fn every_preset_is_verified_with_its_key() {
    let scratch = Scratch::new();
    for (scheme, secret) in presets() {
        let mut key = secret.to_owned();
        if scheme.algorithm().uses_public_keys() {
            let public = ["secret", "public", "--scheme", scheme.name()];
            key = scratch.run_with_secret(secret, public).assert_code(0).stdout.trim_end().to_owned();
            assert_ne!(key, secret);
        }
        let named = ["--scheme", scheme.name()];
        let listener = Listener::start_with(&scratch, &named, &[("HOOKWARDEN_SECRET", &key)]);
        let url = listener.url("/");
        let arguments = [&["send", &url, "--body", "x"], &named[..]].concat();
        scratch.run_with_secret(secret, &arguments).assert_code(0);
        let reports = listener.reports(1);
        assert_eq!(reports[0]["outcome"], "accepted", "{}: {reports:?}", scheme.name());
        let output = listener.interrupt().assert_code(0);
        assert!(!output.stdout.contains(secret), "{output:?}");
    }
}

#[test]
fn without_application_the_warden_answers() {
    let scratch = Scratch::new();
    let listener = Listener::start(&scratch, &[]);
    let sent = request("/any/path?token=canary", b"", b"body");
    assert_eq!(status(&listener.send(&sent)), "200");
    let refusal = listener.send(&sent.strip_suffix(b"y").unwrap().iter().chain(b"i").copied().collect::<Vec<_>>());
    assert_eq!(status(&refusal), "401");
    let large = vec![b' '; 1_048_577];
    assert_eq!(status(&listener.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")), "405");
    let mut stream = listener.connect();
    // The connection may be closed before the whole body is sent.
    let _ = stream.write_all(&request("/", b"", &large));
    let reports = listener.reports(4);
    let reasons: Vec<_> = reports.iter().map(|report| report["reason"].as_str().unwrap_or("none")).collect();
    assert_eq!(reasons, ["none", "mismatch", "method_not_allowed", "body_too_large"]);
    assert_eq!((&reports[0]["key_id"], &reports[0]["path"]), (&"secret-1".into(), &"/any/path".into()));
    assert!(!listener.interrupt().assert_code(0).stdout.contains("canary"));
}

#[test]
fn saved_request_verifies_and_is_private() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let listener =
        Listener::start(&scratch, &["--save", "captures", "--max-saved", "3", "--forward", &endpoint.url("")]);
    // Without a length in the file, this body would be read as chunks.
    let chunk_like = b"1\r\nk\r\n0\r\n\r\n";
    let head = format!("POST /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}", signed(chunk_like));
    let chunked = [head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\nb\r\n", chunk_like, b"\r\n0\r\n\r\n"].concat();
    let forged = b"X-Latin: \xe9\r\nX-Twice: 1\r\nX-Twice: 2\r\nhookwarden-CAPTURE: reason=forged; body=not-read\r\n";
    let latin = request("/open?a=b", forged, BODY);
    let refused = request("/open", b"", b"refused").split_last().map(|(_, rest)| [rest, b"!"].concat()).unwrap();
    for (sent, expected) in
        [(&chunked, "200"), (&latin, "200"), (&refused, "401"), (&request("/open", b"", b"4"), "200")]
    {
        assert_eq!(status(&listener.send(sent)), expected);
    }
    let reports = listener.reports(4);
    for (report, (code, body)) in reports.iter().zip([(0, &chunk_like[..]), (0, BODY), (1, b"refuse!")]) {
        let path = report["saved"].as_str().unwrap_or_else(|| panic!("{report}"));
        scratch.run(["verify", path]).assert_code(code);
        let saved = fs::read(scratch.path(path)).unwrap();
        assert_eq!(parts(&saved).1, body, "{report}");
        assert_eq!(mode(&scratch.path(path)), 0o600);
    }
    let saved = fs::read(scratch.path(reports[1]["saved"].as_str().unwrap())).unwrap();
    let (lines, _) = parts(&saved);
    assert!(lines[0] == b"POST /open?a=b HTTP/1.1" && lines.contains(&&b"x-latin: \xe9"[..]));
    let note = |result: &str, report: &Value| {
        format!("Hookwarden-Capture: {result}; time={}; body=complete", report["time"].as_i64().unwrap())
    };
    assert_eq!(lines[1], note("outcome=accepted", &reports[1]).as_bytes());
    assert!(!String::from_utf8_lossy(&saved).contains("forged"));
    let refused = fs::read(scratch.path(reports[2]["saved"].as_str().unwrap())).unwrap();
    assert_eq!(parts(&refused).0[1], note("reason=mismatch", &reports[2]).as_bytes());
    assert!(position(&lines, b"x-twice: 1") < position(&lines, b"x-twice: 2"));
    assert_eq!(mode(&scratch.path("captures")), 0o700);
    assert!(reports[3]["not_saved"].as_str().unwrap().contains("raise --max-saved"), "{}", reports[3]);
    listener.interrupt().assert_code(0);
    // The files of an earlier run count.
    let listener = Listener::start(&scratch, &["--save", "captures", "--max-saved", "3"]);
    listener.send(&request("/open", b"", b"5"));
    assert_eq!(listener.reports(1)[0]["saved"], Value::Null);
}

#[test]
fn interrupt_leaves_only_complete_files() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let listener = Listener::start(&scratch, &["--save", "captures", "--forward", &endpoint.url("")]);
    let mut held = listener.connect();
    held.write_all(&request("/held", b"", b"held")).unwrap();
    wait_until("the application holds a request", || endpoint.seen().in_flight() == 1);
    let bodies: Vec<_> = (0..24).map(|number: u8| vec![number; 500_000]).collect();
    let senders: Vec<_> = bodies
        .iter()
        .map(|body| (listener.connect(), request("/open", b"", body)))
        .map(|(mut stream, sent)| {
            thread::spawn(move || drop(stream.write_all(&sent).and_then(|()| stream.read(&mut [0]))))
        })
        .collect();
    let names = || fs::read_dir(scratch.path("captures")).unwrap().map(|entry| entry.unwrap().file_name());
    wait_until("files are saved", || names().count() > 2);
    let output = listener.interrupt().assert_code(0);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert!(output.stdout.lines().count() > 1, "{output:?}");
    let hidden: Vec<_> = names().filter(|name| !name.to_string_lossy().ends_with(".http")).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
    let verified = scratch.run(["verify", "captures", "--json"]).assert_code(0).json();
    assert_eq!(verified["verified"].as_array().unwrap().len(), names().count());
}

#[test]
fn challenges_are_answered_from_the_provider_file() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let forward = endpoint.url("/open");
    let slack = ["--scheme", "slack", "--forward", &forward];
    let body = br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let scheme = Scheme::slack();
    let signed = Signer::new(scheme.clone(), keyring(&scheme, SECRET)).unwrap().sign_body(body).unwrap();
    let signed: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{signed}Content-Length: {length}\r\n\r\n");
    let challenge = [head.as_bytes(), body].concat();
    let listener = Listener::start(&scratch, &[&slack[..], &["--handshake"]].concat());
    let answer = listener.send(&challenge);
    assert_eq!((status(&answer), parts(&answer).1), ("200", &b"3eZbrw1a"[..]));
    assert_eq!((&listener.reports(1)[0]["outcome"], endpoint.seen().count()), (&"handshake".into(), 0));
    // Without the option the application gets it.
    assert_eq!(status(&Listener::start(&scratch, &slack).send(&challenge)), "200");
    assert_eq!(endpoint.seen().count(), 1);

    let whatsapp = ["--scheme", "whatsapp", "--handshake", "--handshake-token-env", "VERIFY_TOKEN"];
    let listener = Listener::start_with(&scratch, &whatsapp, &[("VERIFY_TOKEN", "canary-of-the-token")]);
    for (token, expected) in [("canary-of-the-token", "200"), ("another", "405")] {
        let query = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
        let sent = format!("GET /?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(status(&listener.send(sent.as_bytes())), expected);
    }
    listener.reports(2);
    assert!(!listener.interrupt().assert_code(0).stdout.contains("canary-of-the-token"));
}

#[test]
fn text_output_is_escaped_and_names_the_fix() {
    let scratch = Scratch::new();
    let arguments = ["listen", "--listen", "127.0.0.1:0", "--save", "captures", "--max-body", "8"];
    let running = Running::start(&mut scratch.command(arguments));
    wait_until("the command listens", || running.output().contains("requests are saved in captures\n"));
    let output = running.output();
    let address = output.split("http://").nth(1).unwrap().split(' ').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = signed_ago(4_000, b"");
    let stale = format!("POST /\u{9b}2J HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}\r\n");
    stream.write_all(stale.as_bytes()).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    wait_until("the request is explained", || running.output().contains("fix: "));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&request("/", b"", b"too large")).unwrap();
    let limit = "the body is larger than the limit of 8 bytes; to accept larger ones, raise --max-body\n";
    wait_until("the limit is named", || running.output().contains(limit));
    running.interrupt();
    let text = running.finish().assert_code(0).stdout;
    let line = text.lines().find(|line| line.starts_with("#1 ")).unwrap();
    assert!(line.contains("POST /\\u{9b}2J  refused: stale, clock minus timestamp 400"), "{text}");
    assert!(!text.contains(SECRET) && !text.contains(&signature(stale.as_bytes())), "{text}");
    assert!(line.contains("answered 401 in ") && text.contains("\n  saved as captures/"), "{text}");
    assert!(!text.chars().any(|character| is_escaped(character) && character != '\n'), "{text:?}");
}

#[test]
fn unsafe_settings_are_refused_or_warned_about() {
    let scratch = Scratch::new();
    let refused = |arguments: &[&str], problem: &str| {
        scratch.run([&["listen", "--listen", "127.0.0.1:0"], arguments].concat()).assert_refused(problem);
    };
    refused(&["--forward", "http://192.0.2.1/"], "to forward requests to it, add --yes-i-own-this");
    refused(&["--forward-refused"], "--forward <URL>");
    refused(&["--scheme", "mux", "--handshake"], "mux has none");
    refused(&["--scheme", "meta", "--handshake"], "--handshake-token-env: must name the variable");
    refused(&["--scheme", "asana", "--handshake"], "--handshake: must be omitted for this provider");
    refused(&["--max-body", "67108865"], "67108865 is not in 1..=67108864");
    refused(&["--secret-env", "NOT_SET"], "NOT_SET is not set");
    scratch.run(["listen", "--listen", "localhost"]).assert_refused("must be an IP address and a port");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let own = format!("http://localhost:{}/", free.port());
    let arguments = ["listen", "--listen", &free.to_string(), "--forward", &own];
    scratch.run(arguments).assert_refused("--forward: must be the application's port");
    fs::create_dir(scratch.path("open")).unwrap();
    set_mode(&scratch.path("open"), 0o770);
    refused(&["--save", "open"], "must be writable only by you, because saved requests are private: its mode is 0770");
    refused(&["--save", &scratch.file("file", "")], "must be a directory");

    let running = Running::start(&mut scratch.command(["listen", "--listen", "0.0.0.0:0"]));
    wait_until("the command listens", || running.output().contains("listening"));
    running.interrupt();
    let output = running.finish().assert_code(0);
    assert!(output.stderr.contains("is reachable from other machines"), "{output:?}");
}

use hookwarden::Timestamp;
use hookwarden::providers::Provider;
use ring::hmac;

use super::schemes::presets;
use super::scratch::{SECRET, Scratch};

const BODY: &str = "{\"id\":7}";

/// The current time plus `seconds`.
fn away(seconds: i64) -> Timestamp {
    Timestamp::from_unix(Timestamp::now().as_unix() + seconds)
}

/// The headers of a message as lines, each ended by `end`. `ring` signs it, so no code is shared with the command.
fn lines(body: &str, time: Timestamp, end: &str) -> String {
    lines_stamped(body, &time.as_unix().to_string(), end)
}

fn lines_stamped(body: &str, stamp: &str, end: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("{stamp}.{body}").as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("X-Webhook-Timestamp: {stamp}{end}X-Webhook-Signature: {tag}{end}")
}

#[test]
fn valid_message_holds_in_every_framing() {
    let scratch = Scratch::new();
    let length = BODY.len();
    let chunked = format!("3;note=x\r\n{}\r\n5\r\n{}\r\n0\r\nx-trailer: a\r\n\r\n", &BODY[..3], &BODY[3..]);
    let cases = [
        ("content-length", "\r\n", format!("content-length: {length}\r\n"), BODY.to_owned()),
        ("no length", "\r\n", String::new(), BODY.to_owned()),
        ("line feeds only", "\n", format!("Content-Length: {length}\n"), BODY.to_owned()),
        // An editor adds a line break after the body.
        ("line break after the length", "\n", format!("Content-Length: {length}\n"), format!("{BODY}\n")),
        ("chunked", "\r\n", "Transfer-Encoding: gzip, Chunked\r\n".into(), chunked),
        ("chunked only by its header", "\r\n", "transfer-encoding: chunked\r\n".into(), BODY.to_owned()),
        ("invalid length", "\r\n", "content-length: 8, 8\r\n".into(), BODY.to_owned()),
        ("two request forms", "\r\n", "host: example.com\r\n".into(), BODY.to_owned()),
    ];
    for (name, end, framing, body) in cases {
        let head = lines(BODY, away(0), end);
        let message = scratch.file("message", format!("POST /webhooks/acme HTTP/1.1{end}{head}{framing}{end}{body}"));
        let ended = scratch.run(["verify", &message]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        assert!(
            ended.stdout.starts_with("holds: the signature verifies with secret 1, clock minus timestamp "),
            "{name}"
        );
    }
    let message = format!("POST / HTTP/1.1\r\n{}\r\n{BODY}", lines(BODY, away(0), "\r\n"));
    scratch.run_with_input(["verify", "-"], message.as_bytes()).assert_code(0);
}

#[test]
fn headers_are_read_in_every_format() {
    let scratch = Scratch::new();
    let body = scratch.file("body", BODY);
    let head = lines(BODY, away(0), "\n");
    let pairs: Vec<(&str, &str)> = head.lines().map(|line| line.split_once(": ").unwrap()).collect();
    let object: serde_json::Map<String, serde_json::Value> =
        pairs.iter().map(|(name, value)| ((*name).into(), serde_json::json!(value))).collect();
    let lists: serde_json::Map<String, serde_json::Value> =
        pairs.iter().map(|(name, value)| ((*name).into(), serde_json::json!([value]))).collect();
    let named: Vec<_> = pairs.iter().map(|(name, value)| serde_json::json!({ "name": name, "value": value })).collect();
    let curl: String = head.lines().map(|line| format!("> {line}\r\n")).collect();
    let forms = [
        ("lines", head.clone()),
        ("lines with carriage returns", head.replace('\n', "\r\n")),
        ("request line and header lines", format!("POST /a HTTP/1.1\n{head}\n")),
        (
            "curl -v",
            format!(
                "*   Trying 127.0.0.1:80...\n> POST /a HTTP/1.1\r\n{curl}> Accept: */*\r\n>\r\n}} [8 bytes data]\n< HTTP/1.1 401 Unauthorized\n< date: now\n",
            ),
        ),
        ("curl -v over HTTP/2", format!("> POST /a HTTP/2\n{curl}>\n")),
        ("pseudo headers", format!(":method: POST\n:path: /a\n:authority: example.com\n{head}")),
        ("object", serde_json::json!(object).to_string()),
        ("object of lists", serde_json::json!(lists).to_string()),
        (
            "request with an object",
            serde_json::json!({ "method": "POST", "url": "https://a.example/b", "headers": object }).to_string(),
        ),
        ("pairs", serde_json::json!(pairs).to_string()),
        ("names and values", serde_json::json!({ "headers": named }).to_string()),
    ];
    for (name, text) in forms {
        let headers = scratch.file("headers", &text);
        let ended = scratch.run(["verify", "--headers", &headers, "--body", &body]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}{text}");
    }
    // A logger may write a number for the timestamp.
    let typed = head
        .replace("X-Webhook-Timestamp: ", "{\"X-Webhook-Timestamp\": ")
        .replace("\nX-Webhook-Signature: ", ", \"X-Webhook-Signature\": \"");
    let headers = scratch.file("headers", format!("{}\"}}", typed.trim_end()));
    scratch.run(["verify", "--headers", &headers, "--body", &body]).assert_code(0);
}

#[test]
fn signed_output_verifies_for_every_preset() {
    let scratch = Scratch::new();
    let body = scratch.file("body", BODY);
    for (scheme, secret) in presets() {
        let run = |arguments: &[&str]| {
            scratch.run_with_secret(secret, [arguments, &["--scheme", scheme.name()]].concat()).assert_code(0)
        };
        let headers = scratch.file("headers", run(&["sign", &body]).stdout);
        run(&["verify", "--headers", &headers, "--body", &body]);
        let headers = scratch.file("headers", run(&["sign", &body, "--json"]).json()["headers"].to_string());
        let ended = run(&["verify", "--headers", &headers, "--body", &body]);
        assert!(!ended.stdout.contains(secret), "{}", ended.stdout);
    }
}

#[test]
fn repeated_header_is_refused_and_not_lost() {
    let scratch = Scratch::new();
    let (body, head) = (scratch.file("body", BODY), lines(BODY, away(0), "\n"));
    let headers = scratch.file("headers", format!("{head}{head}"));
    let ended = scratch.run(["verify", "--headers", &headers, "--body", &body, "--json"]).assert_code(1).json();
    assert_eq!((&ended["verdict"], &ended["causes"][0]["kind"]), (&"refused".into(), &"header-duplicated".into()));
    // The command knows the values, so it can prove that the duplicate is the only cause.
    assert_eq!((&ended["causes"][0]["proven"], &ended["secret"]), (&true.into(), &1.into()), "{ended}");
    assert!(!ended.to_string().contains("another secret"), "{ended}");
}

#[test]
fn refusal_names_cause_and_fix() {
    let scratch = Scratch::new();
    let headers = scratch.file("headers", lines(BODY, away(0), "\n"));
    for (body, secret, kind, offset) in [
        ("{\"id\": 7}", SECRET, "body-json-rewritten", Some(6)),
        ("{\"id\":7}\n", SECRET, "body-newline-added", Some(8)),
        (BODY, &format!("\"{SECRET}\""), "secret-quoted", None),
    ] {
        let body = scratch.file("body", body);
        let run = |more: &[&str]| {
            let arguments = [&["verify", "--headers", &headers, "--body", &body], more].concat();
            scratch.run_with_secret(secret, arguments).assert_code(1)
        };
        let text = run(&[]).stdout;
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("refused: "), "{text}");
        assert!(lines[2].starts_with(&format!("{kind}, proven: ")) && lines[3].starts_with("  fix: on the "), "{text}");
        assert!(text.ends_with("after this fix, the signature verifies with secret 1\n"), "{text}");
        let json = run(&["--json"]).json();
        assert_eq!((&json["verdict"], &json["causes"][0]["kind"]), (&"refused".into(), &kind.into()), "{json}");
        assert_eq!(json["causes"][0]["offset"].as_u64(), offset, "{json}");
        assert_eq!((&json["causes"][0]["proven"], &json["secret"]), (&true.into(), &1.into()), "{json}");
        assert!(!text.contains(SECRET) && !json.to_string().contains(SECRET));
    }
}

#[test]
fn old_capture_is_verified_at_its_timestamp() {
    let scratch = Scratch::new();
    let (signed_at, body) = (away(-3_600), scratch.file("body", BODY));
    let rewritten = scratch.file("rewritten", "{\"id\": 7}");
    let headers = scratch.file("headers", lines(BODY, signed_at, "\n"));
    let verify =
        |body: &str, more: &[&str]| scratch.run([&["verify", "--headers", &headers, "--body", body], more].concat());
    let text = verify(&body, &[]).assert_code(0).stdout;
    let (verdict, rest) = text.split_once('\n').unwrap();
    assert_eq!(verdict, "holds: the signature verifies with secret 1");
    assert!(rest.starts_with("verified at its own timestamp, 360") && rest.contains("--at now"), "{rest}");
    assert!(verify(&body, &["--at", "signed"]).assert_code(0).stdout.starts_with("holds: "));
    assert_eq!(verify(&body, &["--json"]).json()["judged_at"], signed_at.as_unix());
    let json = verify(&rewritten, &["--json"]).assert_code(1).json();
    assert_eq!((&json["reason"], &json["stale_by_now"]), (&"mismatch".into(), &true.into()), "{json}");
    assert_eq!(json["causes"][0]["kind"], "body-json-rewritten");

    let json = verify(&body, &["--at", "now", "--json"]).assert_code(1).json();
    assert_eq!((&json["reason"], &json["stale_by_now"]), (&"stale".into(), &false.into()), "{json}");
    for (seconds, code) in [(0, 0), (300, 0), (301, 1), (-300, 0), (-301, 1)] {
        let at = Timestamp::from_unix(signed_at.as_unix() + seconds);
        verify(&body, &[&format!("--at={}", at.as_unix())]).assert_code(code);
        let text = jiff::Timestamp::from_second(at.as_unix()).unwrap().to_string();
        verify(&body, &["--at", &text]).assert_code(code);
    }
    let at = format!("--at={}", signed_at.as_unix() + 60);
    verify(&body, &[&at, "--tolerance", "59"]).assert_code(1);
    verify(&body, &[&at, "--tolerance", "60"]).assert_code(0);
}

#[test]
fn timestamp_in_another_unit_does_not_hold() {
    let scratch = Scratch::new();
    let body = scratch.file("body", BODY);
    let milliseconds = scratch.file(
        "milliseconds.toml",
        "name = \"milliseconds\"\nsignature_headers = [\"X-Webhook-Signature\"]\n\
         timestamp = { header = \"X-Webhook-Timestamp\", format = \"milliseconds\" }\n\
         signed = [\"timestamp\", { literal = \".\" }, \"body\"]\n",
    );
    let now = away(0).as_unix();
    for (scheme, stamp, kind) in [
        (&*milliseconds, now.to_string(), "timestamp-seconds"),
        ("timestamped", (now * 1_000).to_string(), "timestamp-milliseconds"),
    ] {
        let headers = scratch.file("headers", lines_stamped(BODY, &stamp, "\n"));
        for more in [&[][..], &["--at", "signed"]] {
            let arguments =
                [&["verify", "--headers", &headers, "--body", &body, "--scheme", scheme, "--json"], more].concat();
            let json = scratch.run(arguments).assert_code(1).json();
            assert_eq!((&json["verdict"], &json["causes"][0]["kind"]), (&"refused".into(), &kind.into()), "{json}");
        }
    }
}

#[test]
fn early_message_is_refused_at_current_time() {
    let scratch = Scratch::new();
    let body = scratch.file("body", BODY);
    let headers = scratch.file("headers", lines(BODY, away(3_600), "\n"));
    let arguments = ["verify", "--headers", &headers, "--body", &body, "--json"];
    assert_eq!(scratch.run(arguments).assert_code(1).json()["reason"], "early");
    let json = scratch.run([&arguments[..], &["--at", "signed"]].concat()).assert_code(0).json();
    assert_eq!(json["stale_by_now"], false);
}

#[test]
fn matching_secret_is_named_by_line() {
    let scratch = Scratch::new();
    let (body, secrets) =
        (scratch.file("body", BODY), scratch.file("secrets", format!("another-secret\r\n{SECRET}\r\n")));
    let headers = scratch.file("headers", lines(BODY, away(0), "\n"));
    let arguments = ["verify", "--headers", &headers, "--body", &body, "--secret-file", &secrets];
    let ended = scratch.run(arguments).assert_code(0);
    assert!(ended.stdout.starts_with("holds: the signature verifies with secret 2, "), "{}", ended.stdout);
    assert_eq!(scratch.run([&arguments[..], &["--json"]].concat()).assert_code(0).json()["secret"], 2);
}

#[test]
fn positional_message_is_signed_and_verified() {
    let scratch = Scratch::new();
    let document = "name = \"positions\"\nsignature_headers = [\"X-Signature\"]\n\
                    layout = { positional = { separator = \",\", fields = [\"timestamp\"] } }\n\
                    timestamp = { field = \"timestamp\", format = \"milliseconds\" }\n\
                    signed = [\"timestamp\", { literal = \".\" }, \"body\"]\n";
    let scheme = scratch.file("positions.toml", document);
    let (body, scheme) = (scratch.file("body", BODY), ["--scheme", &scheme]);
    let signed = scratch.run([&["sign", &body], &scheme[..]].concat()).assert_code(0).stdout;
    let value = signed.trim_end().strip_prefix("X-Signature: ").expect("one header");
    let (stamp, tag) = value.split_once(',').expect("two values");
    assert_eq!((stamp.len(), tag.len()), (13, 64), "{value}");
    let headers = scratch.file("headers", format!("X-Signature: {stamp},{},{tag}\n", "0".repeat(64)));
    let arguments = [&["verify", "--headers", &headers, "--body", &body], &scheme[..]].concat();
    assert!(scratch.run(arguments).assert_code(0).stdout.starts_with("holds: the signature verifies with secret 1"));
}

/// A scheme that signs the method and the path.
const LINES: &str = r#"name = "lines"
signature_headers = ["X-Signature"]
signed = ["method", { literal = "\n" }, "path", { literal = "\n" }, "body"]
"#;

#[test]
fn captured_request_line_is_verified() {
    let scratch = Scratch::new();
    let scheme = scratch.file("lines.toml", LINES);
    let (body, path) = (scratch.file("body", BODY), "/a?b=c");
    let signed =
        scratch.run(["sign", &body, "--scheme", &scheme, "--path", path, "--method", "PUT"]).assert_code(0).stdout;
    let verify = |arguments: &[&str]| scratch.run([&["verify", "--scheme", &scheme], arguments].concat());
    for line in [format!("PUT {path} HTTP/1.1"), format!("PUT https://example.com{path} HTTP/1.1")] {
        let message = scratch.file("message", format!("{line}\n{signed}\n{BODY}"));
        verify(&[&message]).assert_code(0);
        let headers = scratch.file("headers", format!("{line}\n{signed}"));
        verify(&["--headers", &headers, "--body", &body]).assert_code(0);
        verify(&["--headers", &headers, "--body", &body, "--method", "POST"]).assert_code(1);
    }
    let (name, value) = signed.trim_end().split_once(": ").expect("one header");
    for place in [
        serde_json::json!({ "path": path }),
        serde_json::json!({ "url": format!("https://example.com{path}") }),
        serde_json::json!({ "path": null, "url": path }),
    ] {
        let mut request = serde_json::json!({ "method": "PUT", "headers": { name: value } });
        request.as_object_mut().expect("an object").extend(place.as_object().expect("an object").clone());
        let headers = scratch.file("headers", request.to_string());
        verify(&["--headers", &headers, "--body", &body]).assert_code(0);
    }
    let headers = scratch.file("headers", &signed);
    verify(&["--headers", &headers, "--body", &body, "--method", "PUT", "--path", path]).assert_code(0);
    // A capture without a request line says nothing about the sender.
    let refused = |more: &[&str], text: &str| {
        verify(&[&["--headers", &headers, "--body", &body], more].concat()).assert_refused(text);
    };
    refused(&[], "--method and --path: must be set, because the scheme lines signs them, and the capture");
    refused(&["--method", "PUT"], "--path: must be set");
    refused(&["--path", path], "--method: must be set");
}

#[test]
fn swapped_files_are_named() {
    let scratch = Scratch::new();
    let lines = lines(BODY, away(0), "\n");
    let object: serde_json::Map<String, serde_json::Value> = lines
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    for (headers, body) in [
        (lines.clone(), BODY),
        (serde_json::json!(object).to_string(), BODY),
        (lines.clone(), "a=1&b=2"),
        (lines.clone(), "\0"),
    ] {
        let (headers, body) = (scratch.file("headers", headers), scratch.file("body", body));
        scratch.run(["verify", "--headers", &body, "--body", &headers]).assert_refused(
            "--headers: must be the file with the headers, but the file of --body has them; swap the two files",
        );
    }
    // Another header of a request shows that the files are not swapped: the signature was lost.
    let (headers, body) = (scratch.file("headers", "Host: a.example\n"), scratch.file("body", &lines));
    scratch.run(["verify", "--headers", &headers, "--body", &body]).assert_code(1);
    // A body may have the form of headers.
    let (headers, body) = (scratch.file("headers", "x: 1\n"), scratch.file("body", "y: 2\n"));
    scratch.run(["verify", "--headers", &headers, "--body", &body]).assert_code(1);
}

#[test]
fn old_capture_with_malformed_signature_is_not_stale() {
    let scratch = Scratch::new();
    let (signed_at, body) = (away(-100_000), scratch.file("body", BODY));
    let head = lines(BODY, signed_at, "\n").replace("X-Webhook-Signature: ", "X-Webhook-Signature: sha256=");
    let headers = scratch.file("headers", head);
    for more in [&[][..], &["--at", "signed"]] {
        let arguments = [&["verify", "--headers", &headers, "--body", &body, "--json"], more].concat();
        let json = scratch.run(arguments).assert_code(1).json();
        assert_eq!((&json["judged_at"], &json["reason"]), (&signed_at.as_unix().into(), &"malformed_signature".into()));
        let kinds: Vec<_> = json["causes"].as_array().unwrap().iter().map(|cause| &cause["kind"]).collect();
        assert_eq!(kinds, ["signature-prefix-extra"], "{json}");
    }
}

#[test]
fn file_of_a_provider_is_a_scheme() {
    let scratch = Scratch::new();
    let mut verified = 0;
    for provider in Provider::all() {
        let scheme = scratch.file("provider.toml", provider.document());
        for vector in provider.vectors() {
            let key = vector.public_key.as_ref().or(vector.secret.as_ref()).unwrap();
            let headers: String = vector.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let (headers, body) = (scratch.file("headers", headers), scratch.file("body", vector.body()));
            let at = format!("--at={}", vector.now);
            let (method, path) = (vector.method.as_deref().unwrap_or("POST"), vector.path.as_deref().unwrap_or("/"));
            let arguments = ["verify", "--headers", &headers, "--body", &body, "--scheme", &scheme, &at];
            let line = ["--method", method, "--path", path];
            let ended = scratch.run_with_secret(key, [&arguments[..], &line].concat());
            assert_eq!(ended.code, Some(0), "{}: {ended:?}", provider.name());
            verified += 1;
        }
    }
    assert!(verified > 90, "only {verified} messages");
}

/// A proxy that rewrites the path changes what a receiver can capture.
#[test]
fn arguments_replace_the_captured_request_line() {
    let scratch = Scratch::new();
    let scheme = scratch.file("lines.toml", LINES);
    let (body, path) = (scratch.file("body", BODY), "/a?b=c");
    let given = ["--method", "PUT", "--path", path];
    let signed = scratch.run([&["sign", &body, "--scheme", &scheme], &given[..]].concat()).assert_code(0).stdout;
    let message = scratch.file("message", format!("POST /rewritten HTTP/1.1\n{signed}\n{BODY}"));
    let headers = scratch.file("headers", format!("POST /rewritten HTTP/1.1\n{signed}"));
    for capture in [&[&*message][..], &["--headers", &headers, "--body", &body]] {
        for (arguments, code) in [(&given[..], 0), (&given[..2], 1), (&given[2..], 1), (&[], 1)] {
            scratch.run([&["verify", "--scheme", &scheme], capture, arguments].concat()).assert_code(code);
        }
    }
}

#[test]
fn invalid_input_fails_with_one_line() {
    let scratch = Scratch::new();
    scratch.file("body", BODY);
    scratch.file("headers", "x: 1\n");
    let refused = |arguments: &[&str], text: &str| scratch.run([&["verify"], arguments].concat()).assert_refused(text);
    refused(&[], "required arguments were not provided");
    refused(&["nowhere"], "nowhere: No such file");
    refused(&[BODY], "FILE: must be the name of a file, but is a text");
    refused(&["--headers", "headers", "--body", BODY], "FILE: must be the name of a file, but is a text");
    refused(&["--headers", "headers"], "--body <FILE>");
    refused(&["--headers", "headers", "--body", "nowhere"], "nowhere: No such file");
    refused(&["headers", "--headers", "headers", "--body", "body"], "cannot be used with");
    refused(&["--headers", "-", "--body", "-"], "standard input: must be only one of");
    refused(&["-", "--secret-file", "-"], "standard input: must be only one of");
    refused(&["--headers", "headers", "--body", "body", "--secret-env", "NOT_SET"], "NOT_SET is not set");
    refused(&["--headers", "headers", "--body", "body", "--at", "noon"], "must be Unix seconds or an RFC 3339 time");
    refused(
        &["--headers", "headers", "--body", "body", "--tolerance", "0"],
        "must be whole seconds from 1 s to 86400 s",
    );
    let whsec = ["--headers", "headers", "--body", "body", "--scheme", "standard_webhooks"];
    refused(&whsec, "must be base64 for the scheme standard_webhooks");

    for (message, text) in [
        ("", "must have an empty line after the headers"),
        ("POST / HTTP/1.1\r\nx: 1\r\n", "must have an empty line after the headers"),
        ("x: 1\ny: 2\n\n", "must be an HTTP/1.x request"),
        ("POST / HTTP/1.1\r\nno colon\r\n\r\n", "must be an HTTP/1.x request"),
        ("HTTP/1.1 200 OK\r\n\r\n", "must be an HTTP/1.x request"),
        (&format!("POST / HTTP/1.1\n{}\n", "x: 1\n".repeat(257)), "must have at most 256 headers"),
    ] {
        let message = scratch.file("message", message);
        refused(&[&message], &format!("message: {text}"));
    }
    for (headers, text) in [
        ("", "must contain headers"),
        ("\n \n", "must contain headers"),
        ("POST / HTTP/1.1\n", "must contain headers"),
        ("x: 1\n\nno colon\n", "line 3: must have the form 'Name: value'"),
        ("a b: 1\n", "line 1: must have a valid header name"),
        ("{\"x\": ", "must be valid JSON: error in line 1, column 6"),
        ("{}", "must contain headers"),
        ("[1]", "must have objects or pairs as headers"),
        ("[[\"x\"]]", "must have pairs of a name and a value as headers"),
        ("[{\"name\": \"x\"}]", "must have a name and a value in each header"),
        ("{\"x\": null}", "must have text as the value of \"x\""),
        ("{\"x\": [[\"y\"]]}", "must have text as the value of \"x\""),
        ("{\"a b\": \"c\"}", "must have a valid header name"),
    ] {
        let headers = scratch.file("bad", headers);
        refused(&["--headers", &headers, "--body", "body"], &format!("bad: {text}"));
    }
}

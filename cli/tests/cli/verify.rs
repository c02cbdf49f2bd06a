use hookwarden::{Scheme, Signer, Timestamp};

use super::command::{Ended, SECRET, Scratch, keyring, presets};

const BODY: &str = "{\"id\":7}";

fn signer() -> Signer {
    Signer::new(Scheme::timestamped(), keyring(&Scheme::timestamped(), SECRET)).unwrap()
}

/// The wall clock, `seconds` away.
fn away(seconds: i64) -> Timestamp {
    Timestamp::from_unix(Timestamp::now().as_unix() + seconds)
}

/// The headers of a message as lines, each ended by `end`.
fn lines(body: &str, time: Timestamp, end: &str) -> String {
    let signed = signer().sign_body_at(body.as_bytes(), time).unwrap();
    signed.iter().map(|(name, value)| format!("{name}: {value}{end}")).collect()
}

#[test]
fn message_as_sent_holds_however_its_body_is_framed() {
    let scratch = Scratch::new();
    let length = BODY.len();
    let chunked = format!("3;note=x\r\n{}\r\n5\r\n{}\r\n0\r\nx-trailer: a\r\n\r\n", &BODY[..3], &BODY[3..]);
    let cases = [
        ("content-length", "\r\n", format!("content-length: {length}\r\n"), BODY.to_owned()),
        ("no length", "\r\n", String::new(), BODY.to_owned()),
        ("line feeds alone", "\n", format!("Content-Length: {length}\n"), BODY.to_owned()),
        // An editor adds a line break, which is not the body's.
        ("line break behind the length", "\n", format!("Content-Length: {length}\n"), format!("{BODY}\n")),
        ("chunked", "\r\n", "Transfer-Encoding: gzip, Chunked\r\n".into(), chunked),
        ("chunked by its header alone", "\r\n", "transfer-encoding: chunked\r\n".into(), BODY.to_owned()),
        ("length that is none", "\r\n", "content-length: 8, 8\r\n".into(), BODY.to_owned()),
        ("two request forms", "\r\n", "host: example.com\r\n".into(), BODY.to_owned()),
    ];
    for (name, end, framing, body) in cases {
        let head = lines(BODY, away(0), end);
        let message = scratch.file("message", format!("POST /webhooks/acme HTTP/1.1{end}{head}{framing}{end}{body}"));
        let ended = scratch.run(&["verify", &message]);
        assert_eq!(ended.code, 0, "{name}: {}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.starts_with("holds: the signature holds with secret 1, clock minus timestamp "), "{name}");
    }
    let message = format!("POST / HTTP/1.1\r\n{}\r\n{BODY}", lines(BODY, away(0), "\r\n"));
    scratch.run_with_input(&["verify", "-"], message.as_bytes()).expect(0);
}

#[test]
fn headers_are_read_in_every_form_that_tools_write() {
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
        ("request line and lines", format!("POST /a HTTP/1.1\n{head}\n")),
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
        let ended = scratch.run(&["verify", "--headers", &headers, "--body", &body]);
        assert_eq!(ended.code, 0, "{name}: {}{}{text}", ended.stdout, ended.stderr);
    }
    // Numbers as loggers write them, and a number for a timestamp.
    let typed = head
        .replace("X-Webhook-Timestamp: ", "{\"X-Webhook-Timestamp\": ")
        .replace("\nX-Webhook-Signature: ", ", \"X-Webhook-Signature\": \"");
    let headers = scratch.file("headers", format!("{}\"}}", typed.trim_end()));
    scratch.run(&["verify", "--headers", &headers, "--body", &body]).expect(0);
}

#[test]
fn what_sign_writes_verify_takes_for_every_preset() {
    let scratch = Scratch::new();
    let body = scratch.file("body", BODY);
    for (scheme, secret) in presets() {
        let run = |arguments: &[&str]| {
            let mut command = scratch.command(&[arguments, &["--scheme", scheme.name()]].concat());
            Ended::of(command.env("HOOKWARDEN_SECRET", secret).output().unwrap()).expect(0)
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
    let ended = scratch.run(&["verify", "--headers", &headers, "--body", &body, "--json"]).expect(1).json();
    assert_eq!((&ended["verdict"], &ended["causes"][0]["kind"]), (&"refused".into(), &"header-duplicated".into()));
}

#[test]
fn refusal_names_its_cause_and_the_fix() {
    let scratch = Scratch::new();
    let headers = scratch.file("headers", lines(BODY, away(0), "\n"));
    for (body, secret, kind, offset) in [
        ("{\"id\": 7}", SECRET, "body-json-rewritten", Some(6)),
        ("{\"id\":7}\n", SECRET, "body-newline-added", Some(8)),
        (BODY, &format!("\"{SECRET}\""), "secret-quoted", None),
    ] {
        let body = scratch.file("body", body);
        let run = |more: &[&str]| {
            let mut command = scratch.command(&[&["verify", "--headers", &headers, "--body", &body], more].concat());
            Ended::of(command.env("HOOKWARDEN_SECRET", secret).output().unwrap()).expect(1)
        };
        let text = run(&[]).stdout;
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("refused: "), "{text}");
        assert!(lines[2].starts_with(&format!("{kind}, proven: ")) && lines[3].starts_with("  fix: on the "), "{text}");
        assert!(text.ends_with("put right, the signature holds with secret 1\n"), "{text}");
        let json = run(&["--json"]).json();
        assert_eq!((&json["verdict"], &json["causes"][0]["kind"]), (&"refused".into(), &kind.into()), "{json}");
        assert_eq!(json["causes"][0]["offset"].as_u64(), offset, "{json}");
        assert_eq!((&json["causes"][0]["proven"], &json["secret"]), (&true.into(), &1.into()), "{json}");
        assert!(!text.contains(SECRET) && !json.to_string().contains(SECRET));
    }
}

#[test]
fn capture_of_an_hour_ago_is_judged_by_its_signature_first() {
    let scratch = Scratch::new();
    let (signed_at, body) = (away(-3_600), scratch.file("body", BODY));
    let rewritten = scratch.file("rewritten", "{\"id\": 7}");
    let headers = scratch.file("headers", lines(BODY, signed_at, "\n"));
    let verify =
        |body: &str, more: &[&str]| scratch.run(&[&["verify", "--headers", &headers, "--body", body], more].concat());
    let text = verify(&body, &[]).expect(0).stdout;
    let (verdict, rest) = text.split_once('\n').unwrap();
    assert_eq!(verdict, "holds: the signature holds with secret 1");
    assert!(rest.starts_with("judged at its own timestamp, 360") && rest.contains("--at now"), "{rest}");
    assert_eq!(verify(&body, &["--at", "signed"]).expect(0).json_or(&verify(&body, &["--json"])), signed_at.as_unix());
    let json = verify(&rewritten, &["--json"]).expect(1).json();
    assert_eq!((&json["reason"], &json["stale_by_now"]), (&"mismatch".into(), &true.into()), "{json}");
    assert_eq!(json["causes"][0]["kind"], "body-json-rewritten");

    let json = verify(&body, &["--at", "now", "--json"]).expect(1).json();
    assert_eq!((&json["reason"], &json["stale_by_now"]), (&"stale".into(), &false.into()), "{json}");
    for (seconds, code) in [(0, 0), (300, 0), (301, 1), (-300, 0), (-301, 1)] {
        let at = Timestamp::from_unix(signed_at.as_unix() + seconds);
        verify(&body, &[&format!("--at={}", at.as_unix())]).expect(code);
        let text = jiff::Timestamp::from_second(at.as_unix()).unwrap().to_string();
        verify(&body, &["--at", &text]).expect(code);
    }
    let at = format!("--at={}", signed_at.as_unix() + 60);
    verify(&body, &[&at, "--tolerance", "59"]).expect(1);
    verify(&body, &[&at, "--tolerance", "60"]).expect(0);
}

impl Ended {
    /// When the message was judged, by the JSON of another run.
    fn json_or(&self, json: &Self) -> i64 {
        assert!(self.stdout.starts_with("holds: "), "{}", self.stdout);
        json.json()["judged_at"].as_i64().unwrap()
    }
}

#[test]
fn message_of_the_future_is_refused_unless_judged_at_its_own_time() {
    let scratch = Scratch::new();
    let body = scratch.file("body", BODY);
    let headers = scratch.file("headers", lines(BODY, away(3_600), "\n"));
    let arguments = ["verify", "--headers", &headers, "--body", &body, "--json"];
    assert_eq!(scratch.run(&arguments).expect(1).json()["reason"], "early");
    let json = scratch.run(&[&arguments[..], &["--at", "signed"]].concat()).expect(0).json();
    assert_eq!(json["stale_by_now"], false);
}

#[test]
fn secret_of_a_rotation_is_named_by_its_line() {
    let scratch = Scratch::new();
    let (body, secrets) =
        (scratch.file("body", BODY), scratch.file("secrets", format!("another-secret\r\n{SECRET}\r\n")));
    let headers = scratch.file("headers", lines(BODY, away(0), "\n"));
    let arguments = ["verify", "--headers", &headers, "--body", &body, "--secret-file", &secrets];
    let ended = scratch.run(&arguments).expect(0);
    assert!(ended.stdout.starts_with("holds: the signature holds with secret 2, "), "{}", ended.stdout);
    assert_eq!(scratch.run(&[&arguments[..], &["--json"]].concat()).expect(0).json()["secret"], 2);
}

#[test]
fn request_line_of_the_capture_is_what_is_signed() {
    let scratch = Scratch::new();
    let document = "name = \"lines\"\nsignature_headers = [\"X-Signature\"]\nsigned = [\"method\", \"path\", { literal = \".\" }, \"body\"]\n";
    let scheme = scratch.file("lines.toml", document);
    let (body, path) = (scratch.file("body", BODY), "/a?b=c");
    let signed = scratch.run(&["sign", &body, "--scheme", &scheme, "--path", path, "--method", "PUT"]).expect(0).stdout;
    let verify = |arguments: &[&str]| scratch.run(&[&["verify", "--scheme", &scheme], arguments].concat());
    for line in [format!("PUT {path} HTTP/1.1"), format!("PUT https://example.com{path} HTTP/1.1")] {
        let message = scratch.file("message", format!("{line}\n{signed}\n{BODY}"));
        verify(&[&message]).expect(0);
        let headers = scratch.file("headers", format!("{line}\n{signed}"));
        verify(&["--headers", &headers, "--body", &body]).expect(0);
        verify(&["--headers", &headers, "--body", &body, "--method", "POST"]).expect(1);
    }
    let headers = scratch.file("headers", &signed);
    verify(&["--headers", &headers, "--body", &body, "--method", "PUT", "--path", path]).expect(0);
    let json = verify(&["--headers", &headers, "--body", &body, "--json"]).expect(1).json();
    assert_eq!(json["causes"][0]["kind"], "request-line-missing", "{json}");
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let scratch = Scratch::new();
    scratch.file("body", BODY);
    scratch.file("headers", "x: 1\n");
    let refused = |arguments: &[&str], text: &str| scratch.assert_refused(&[&["verify"], arguments].concat(), text);
    refused(&[], "required arguments were not provided");
    refused(&["nowhere"], "nowhere: No such file");
    refused(&["--headers", "headers"], "--body <FILE>");
    refused(&["--headers", "headers", "--body", "nowhere"], "nowhere: No such file");
    refused(&["headers", "--headers", "headers", "--body", "body"], "cannot be used with");
    refused(&["--headers", "-", "--body", "-"], "standard input: can be only one of");
    refused(&["-", "--secret-file", "-"], "standard input: can be only one of");
    refused(&["--headers", "headers", "--body", "body", "--secret-env", "NOT_SET"], "NOT_SET is not set");
    refused(
        &["--headers", "headers", "--body", "body", "--at", "noon"],
        "is neither Unix seconds nor a time by RFC 3339",
    );
    refused(
        &["--headers", "headers", "--body", "body", "--tolerance", "0"],
        "must be whole seconds from 1 s to 86400 s",
    );
    let whsec = ["--headers", "headers", "--body", "body", "--scheme", "standard_webhooks"];
    refused(&whsec, "standard_webhooks secrets are padded base64, this one is not");

    for (message, text) in [
        ("", "ends before the empty line behind its headers"),
        ("POST / HTTP/1.1\r\nx: 1\r\n", "ends before the empty line behind its headers"),
        ("x: 1\ny: 2\n\n", "is no HTTP/1.x request"),
        ("POST / HTTP/1.1\r\nno colon\r\n\r\n", "is no HTTP/1.x request"),
        ("HTTP/1.1 200 OK\r\n\r\n", "is no HTTP/1.x request"),
        (&format!("POST / HTTP/1.1\n{}\n", "x: 1\n".repeat(257)), "has more than 256 headers"),
    ] {
        let message = scratch.file("message", message);
        refused(&[&message], &format!("message: {text}"));
    }
    for (headers, text) in [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("POST / HTTP/1.1\n", "has no headers in it"),
        ("x: 1\n\nno colon\n", "line 3 has no colon"),
        ("a b: 1\n", "line 1 has a header name with a character that none may have"),
        ("{\"x\": ", "is no JSON: line 1, column 6"),
        ("{}", "has no headers in it"),
        ("[1]", "has a header that is neither an object nor a pair"),
        ("[[\"x\"]]", "has a header that is no pair of a name and a value"),
        ("[{\"name\": \"x\"}]", "has a header without a name or a value"),
        ("{\"x\": null}", "has a value of \"x\" that is no text"),
        ("{\"x\": [[\"y\"]]}", "has a value of \"x\" that is no text"),
        ("{\"a b\": \"c\"}", "has a header name with a character that none may have"),
    ] {
        let headers = scratch.file("bad", headers);
        refused(&["--headers", &headers, "--body", "body"], &format!("bad: {text}"));
    }
}

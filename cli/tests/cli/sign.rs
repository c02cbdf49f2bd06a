use std::process::Command;

use hookwarden::{Reason, Timestamp, Verifier};

use super::command::{SECRET, Scratch, keyring, presets};

const BODY: &[u8] = b"{\"id\":7,\"text\":\"it's \\\"so\\\"\"}\n\0\xff\r\n";

#[test]
fn headers_of_every_preset_verify_with_the_library() {
    let scratch = Scratch::new();
    let body = scratch.file("body.json", BODY);
    for (scheme, secret) in presets() {
        let mut command = scratch.command(&["sign", &body, "--scheme", scheme.name()]);
        let ended = super::command::Ended::of(command.env("HOOKWARDEN_SECRET", secret).output().unwrap()).expect(0);
        let headers = ended.headers();
        let verifier = Verifier::new(scheme.clone(), keyring(&scheme, secret)).unwrap();
        assert!(verifier.verify(&headers, BODY).is_ok(), "{}: {headers:?}", scheme.name());
        // It is the body that is signed.
        assert_eq!(verifier.verify(&headers, b"other").unwrap_err().reason(), Reason::Mismatch, "{}", scheme.name());
        assert!(!ended.stdout.contains(secret), "{}", scheme.name());
    }
}

#[test]
fn body_from_a_file_from_input_and_from_the_argument_is_signed_alike() {
    let scratch = Scratch::new();
    let file = scratch.file("body", "text");
    let at = ["--timestamp", "1800000000"];
    let from_file = scratch.run(&[&["sign", &file], &at[..]].concat()).expect(0).stdout;
    assert_eq!(scratch.run(&[&["sign", "--body", "text"], &at[..]].concat()).expect(0).stdout, from_file);
    assert_eq!(scratch.run_with_input(&[&["sign", "-"], &at[..]].concat(), b"text").expect(0).stdout, from_file);
    assert!(from_file.contains("X-Webhook-Timestamp: 1800000000\n"), "{from_file}");
}

#[test]
fn secret_comes_from_a_file_from_input_and_from_another_variable() {
    let scratch = Scratch::new();
    let arguments = ["sign", "--body", "text", "--timestamp", "1800000000"];
    let expected = scratch.run(&arguments).expect(0).stdout;
    let secret = scratch.file("secret", format!("{SECRET}\n"));
    let with = |more: [&str; 2]| {
        let mut command = scratch.command(&[&arguments[..], &more].concat());
        command.env_remove("HOOKWARDEN_SECRET").env("OTHER", SECRET);
        super::command::Ended::of(command.output().unwrap()).expect(0).stdout
    };
    assert_eq!(with(["--secret-file", &secret]), expected);
    assert_eq!(with(["--secret-env", "OTHER"]), expected);
    let piped = scratch.run_with_input(&[&arguments[..], &["--secret-file", "-"]].concat(), SECRET.as_bytes());
    assert_eq!(piped.expect(0).stdout, expected);
}

#[test]
fn several_secrets_all_sign_where_the_header_takes_several() {
    let scratch = Scratch::new();
    let secrets = scratch.file("secrets", "the-new-secret\nthe-old-secret\n");
    let ended = scratch.run(&["sign", "--body", "x", "--scheme", "stripe", "--secret-file", &secrets]).expect(0);
    assert_eq!(ended.stdout.matches("v1=").count(), 2, "{}", ended.stdout);
    let verifier =
        |scheme: &hookwarden::Scheme, secret| Verifier::new(scheme.clone(), keyring(scheme, secret)).unwrap();
    for secret in ["the-new-secret", "the-old-secret"] {
        assert!(verifier(&hookwarden::Scheme::stripe(), secret).verify(&ended.headers(), b"x").is_ok());
    }
    // Elsewhere the first, which is the newest.
    let ended = scratch.run(&["sign", "--body", "x", "--secret-file", &secrets]).expect(0);
    assert!(verifier(&hookwarden::Scheme::timestamped(), "the-new-secret").verify(&ended.headers(), b"x").is_ok());
}

#[test]
fn message_id_is_made_where_the_scheme_signs_one_and_none_is_given() {
    let scratch = Scratch::new();
    let (scheme, secret) = &presets()[1];
    let sign = |more: &[&str]| {
        let mut command = scratch.command(&[&["sign", "--body", "x", "--scheme", "standard-webhooks"], more].concat());
        let ended = super::command::Ended::of(command.env("HOOKWARDEN_SECRET", secret).output().unwrap()).expect(0);
        let headers = ended.headers();
        assert!(Verifier::new(scheme.clone(), keyring(scheme, secret)).unwrap().verify(&headers, b"x").is_ok());
        headers.into_iter().find(|(name, _)| name == "webhook-id").unwrap().1
    };
    let (one, other) = (sign(&[]), sign(&[]));
    assert!(one.starts_with("msg_") && one.len() == 28 && one != other, "{one} {other}");
    assert_eq!(sign(&["-H", "Webhook-Id: mine"]), "mine");
}

#[test]
fn request_line_is_signed_where_the_scheme_says_so() {
    let scratch = Scratch::new();
    let scheme = scratch.file(
        "lines.toml",
        "name = \"lines\"\nsignature_headers = [\"X-Signature\"]\nsigned = [\"method\", \"path\", { literal = \".\" }, \"body\"]\n",
    );
    let sign =
        |more: &[&str]| scratch.run(&[&["sign", "--body", "x", "--scheme", &scheme], more].concat()).expect(0).stdout;
    let by_path = sign(&["--path", "/a?b=c"]);
    assert_eq!(sign(&["--url", "https://example.com/a?b=c"]), by_path);
    assert_ne!(sign(&["--path", "/a"]), by_path);
    assert_ne!(sign(&["--path", "/a?b=c", "--method", "PUT"]), by_path);
    let arguments = ["sign", "--body", "x", "--scheme", &scheme];
    scratch.assert_refused(
        &arguments,
        "request line: is signed and was not given with the head; name a --path or a --url",
    );
}

#[test]
fn json_holds_the_headers_and_the_line() {
    let scratch = Scratch::new();
    let arguments = ["sign", "--body", "x", "--timestamp", "1800000000", "-H", "a: 1", "-H", "a: 2", "--json"];
    let ended = scratch.run(&arguments).expect(0).json();
    assert_eq!(ended["scheme"], "timestamped");
    assert_eq!(ended["time"], 1_800_000_000);
    assert_eq!(ended["headers"]["a"], serde_json::json!(["1", "2"]));
    assert_eq!(ended["headers"]["X-Webhook-Timestamp"], "1800000000");
    assert!(ended.get("curl").is_none());
    let line = scratch.run(&[&arguments[..], &["--curl", "http://127.0.0.1:1/"]].concat()).expect(0).json();
    assert!(line["curl"].as_str().unwrap().starts_with("curl "), "{line}");
}

/// What a shell makes of the line, with a function in curl's place that writes each word and a NUL.
fn words(scratch: &Scratch, line: &str) -> Vec<String> {
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{line}");
    let output = Command::new("bash").args(["-euc", &script]).current_dir(scratch.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut words: Vec<_> = String::from_utf8(output.stdout).unwrap().split('\0').map(String::from).collect();
    assert_eq!(words.pop().unwrap(), "");
    words
}

#[test]
fn curl_line_survives_the_shell_whatever_is_in_it() {
    let scratch = Scratch::new();
    let name = scratch.file("it's $HOME \"a\" `b` \\ *.json", BODY);
    let url = "http://127.0.0.1:1/a'b?c=$d&e=;f";
    let line = scratch.run(&["sign", &name, "--curl", url, "-H", "x-note: it's \"$x\" `y`", "-H", "x-none:"]).expect(0);
    let words = words(&scratch, &line.stdout);
    assert_eq!(words.last().unwrap(), url);
    assert!(words.windows(2).any(|pair| pair == ["--data-binary", &format!("@{name}")]), "{words:?}");
    let headers: Vec<_> = words.windows(2).filter(|pair| pair[0] == "--header").map(|pair| &*pair[1]).collect();
    assert!(headers.contains(&"x-note: it's \"$x\" `y`") && headers.contains(&"x-none;"), "{headers:?}");
    assert!(headers.contains(&"content-type: application/json"), "{headers:?}");
    let signed: Vec<_> = headers.iter().filter_map(|header| header.split_once(": ")).collect();
    let (scheme, secret) = &presets()[0];
    assert!(Verifier::new(scheme.clone(), keyring(scheme, secret)).unwrap().verify(&signed, BODY).is_ok());

    let text = "line one\nit's @line \"two\"";
    let line = scratch.run(&["sign", "--body", text, "--curl", url]).expect(0).stdout;
    assert!(self::words(&scratch, &line).windows(2).any(|pair| pair == ["--data-raw", text]), "{line}");
}

#[test]
fn timestamp_of_the_past_makes_a_stale_message() {
    let scratch = Scratch::new();
    let old = (Timestamp::now().as_unix() - 3_600).to_string();
    let headers = scratch.run(&["sign", "--body", "x", "--timestamp", &old]).expect(0).headers();
    let (scheme, secret) = &presets()[0];
    let verifier = Verifier::new(scheme.clone(), keyring(scheme, secret)).unwrap();
    assert_eq!(verifier.verify(&headers, b"x").unwrap_err().reason(), Reason::Stale);
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let scratch = Scratch::new();
    let spaced = scratch.file("spaced", "a secret \n\n");
    let document = scratch.file("bad.toml", "name = \"x\"\nsignature_headers = [\"a b\"]\n");
    scratch.file("body", "x");
    let refused = |arguments: &[&str], text: &str| scratch.assert_refused(&[&["sign"], arguments].concat(), text);
    refused(&[], "required arguments were not provided: <FILE|--body <TEXT>>");
    refused(&["nowhere"], "nowhere: No such file");
    refused(&["body", "--body", "x"], "cannot be used with");
    refused(&["body", "-H", "no colon"], "has no colon; write it as 'Name: value'");
    refused(&["body", "-H", "a b: c"], "what stands before the colon is no header name");
    refused(&["body", "--scheme", "unheard-of"], "unheard-of is neither a file nor one of timestamped");
    refused(&["body", "--scheme", &document], "bad.toml: ");
    refused(&["body", "--secret-env", "NOT_SET"], "NOT_SET is not set in the environment");
    refused(&["body", "--secret-file", "nowhere"], "nowhere: No such file");
    refused(&["body", "--secret-file", &spaced], "secret: ");
    refused(&["body", "--scheme", "standard_webhooks"], "standard_webhooks secrets are padded base64, this one is not");
    refused(&["-", "--secret-file", "-"], "standard input: cannot hold both the secret and the body");
    refused(&["body", "--timestamp", "0"], "timestamp: has no form on the wire");
    refused(&["body", "--timestamp", "soon"], "--timestamp");
    refused(&["body", "--curl", "ftp://example.com"], "is no http:// or https:// URL with a host");
    refused(&["body", "--curl", "http://a/", "--url", "http://b/"], "cannot be used with");

    let ended = scratch.run(&["sign", "nowhere", "--json"]).expect(2);
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().starts_with("nowhere: "), "{error}");
}

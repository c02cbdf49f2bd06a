use hookwarden::{Reason, Timestamp, Verifier};

use super::schemes::{keyring, presets};
use super::scratch::{SECRET, Scratch, finish};

const BODY: &[u8] = b"{\"id\":7,\"text\":\"it's \\\"so\\\"\"}\n\0\xff\r\n";

#[test]
fn every_preset_verifies_with_the_library() {
    let scratch = Scratch::new();
    let body = scratch.file("body.json", BODY);
    for (scheme, secret) in presets() {
        let ended = scratch.run_with_secret(secret, ["sign", &body, "--scheme", scheme.name()]).assert_code(0);
        let headers = ended.headers();
        let verifier = Verifier::new(scheme.clone(), keyring(&scheme, secret)).unwrap();
        assert!(verifier.verify(&headers, BODY).is_ok(), "{}: {headers:?}", scheme.name());
        // The signature covers the body.
        assert_eq!(verifier.verify(&headers, b"other").unwrap_err().reason(), Reason::Mismatch, "{}", scheme.name());
        assert!(!ended.stdout.contains(secret), "{}", scheme.name());
    }
}

#[test]
fn every_body_source_is_signed_alike() {
    let scratch = Scratch::new();
    let file = scratch.file("body", "text");
    let at = ["--timestamp", "1800000000"];
    let from_file = scratch.run([&["sign", &file], &at[..]].concat()).assert_code(0).stdout;
    assert_eq!(scratch.run([&["sign", "--body", "text"], &at[..]].concat()).assert_code(0).stdout, from_file);
    assert_eq!(scratch.run_with_input([&["sign", "-"], &at[..]].concat(), b"text").assert_code(0).stdout, from_file);
    assert!(from_file.contains("X-Webhook-Timestamp: 1800000000\n"), "{from_file}");
}

#[test]
fn secret_is_read_from_every_source() {
    let scratch = Scratch::new();
    let arguments = ["sign", "--body", "text", "--timestamp", "1800000000"];
    let expected = scratch.run(arguments).assert_code(0).stdout;
    let secret = scratch.file("secret", format!("{SECRET}\n"));
    let with = |more: [&str; 2]| {
        let mut command = scratch.command([&arguments[..], &more].concat());
        command.env_remove("HOOKWARDEN_SECRET").env("OTHER", SECRET);
        finish(&mut command).assert_code(0).stdout
    };
    assert_eq!(with(["--secret-file", &secret]), expected);
    assert_eq!(with(["--secret-env", "OTHER"]), expected);
    let piped = scratch.run_with_input([&arguments[..], &["--secret-file", "-"]].concat(), SECRET.as_bytes());
    assert_eq!(piped.assert_code(0).stdout, expected);
}

#[test]
fn all_secrets_sign_when_scheme_allows_several() {
    let scratch = Scratch::new();
    let secrets = scratch.file("secrets", "the-new-secret\nthe-old-secret\n");
    let ended = scratch.run(["sign", "--body", "x", "--scheme", "stripe", "--secret-file", &secrets]).assert_code(0);
    assert_eq!(ended.stdout.matches("v1=").count(), 2, "{}", ended.stdout);
    let verifier =
        |scheme: &hookwarden::Scheme, secret| Verifier::new(scheme.clone(), keyring(scheme, secret)).unwrap();
    for secret in ["the-new-secret", "the-old-secret"] {
        assert!(verifier(&hookwarden::Scheme::stripe(), secret).verify(&ended.headers(), b"x").is_ok());
    }
    // Other schemes use the first secret, which is the newest.
    let ended = scratch.run(["sign", "--body", "x", "--secret-file", &secrets]).assert_code(0);
    assert!(verifier(&hookwarden::Scheme::timestamped(), "the-new-secret").verify(&ended.headers(), b"x").is_ok());
}

#[test]
fn missing_message_id_is_generated() {
    let scratch = Scratch::new();
    let (scheme, secret) = &presets()[1];
    let sign = |more: &[&str]| {
        let arguments = [&["sign", "--body", "x", "--scheme", "standard-webhooks"], more].concat();
        let ended = scratch.run_with_secret(secret, arguments).assert_code(0);
        let headers = ended.headers();
        assert!(Verifier::new(scheme.clone(), keyring(scheme, secret)).unwrap().verify(&headers, b"x").is_ok());
        headers.into_iter().find(|(name, _)| name == "webhook-id").unwrap().1
    };
    let (one, other) = (sign(&[]), sign(&[]));
    assert!(one.starts_with("msg_") && one.len() == 28 && one != other, "{one} {other}");
    assert_eq!(sign(&["-H", "Webhook-Id: mine"]), "mine");
}

#[test]
fn request_line_is_signed_when_scheme_requires() {
    let scratch = Scratch::new();
    let scheme = scratch.file(
        "lines.toml",
        "name = \"lines\"\nsignature_headers = [\"X-Signature\"]\nsigned = [\"method\", { literal = \"\\n\" }, \"path\", { literal = \"\\n\" }, \"body\"]\n",
    );
    let sign = |more: &[&str]| {
        scratch.run([&["sign", "--body", "x", "--scheme", &scheme], more].concat()).assert_code(0).stdout
    };
    let by_path = sign(&["--path", "/a?b=c"]);
    assert_eq!(sign(&["--url", "https://example.com/a?b=c"]), by_path);
    assert_ne!(sign(&["--path", "/a"]), by_path);
    assert_ne!(sign(&["--path", "/a?b=c", "--method", "PUT"]), by_path);
    let arguments = ["sign", "--body", "x", "--scheme", &scheme];
    scratch.run(arguments).assert_refused("--path: must be set, or --url, because the scheme lines signs the path");
}

#[test]
fn url_of_another_host_is_refused() {
    let scratch = Scratch::new();
    let scheme = scratch.file(
        "urls.toml",
        "name = \"urls\"\nsignature_headers = [\"X-Signature\"]\n\
         signed = [{ url = { base = \"https://hooks.example.com\" } }, { literal = \"\\n\" }, \"body\"]\n",
    );
    let arguments = ["sign", "--body", "x", "--scheme", &scheme];
    let sign = |more: &[&str]| scratch.run([&arguments[..], more].concat());
    for (flag, url) in [
        ("--url", "https://other.example/a"),
        ("--url", "http://hooks.example.com/a"),
        ("--curl", "http://127.0.0.1:3000/a"),
    ] {
        let (given, _) = url.split_at(url.len() - 2);
        sign(&[flag, url]).assert_refused(&format!(
            "{flag}: must begin with https://hooks.example.com, which the scheme urls signs, but begins with {given};"
        ));
    }
    let signed = sign(&["--path", "/a"]).assert_code(0).stdout;
    assert_eq!(sign(&["--url", "https://hooks.example.com/a"]).assert_code(0).stdout, signed);
    // A local receiver behind a public address is sent what the public address would get.
    let line = sign(&["--curl", "http://127.0.0.1:3000/b", "--path", "/a"]).assert_code(0).stdout;
    assert!(line.contains(signed.trim_end()) && line.trim_end().ends_with("http://127.0.0.1:3000/b"), "{line}");
}

#[test]
fn url_is_compared_by_host_and_port() {
    let scratch = Scratch::new();
    let document = |base: &str| {
        format!(
            "name = \"urls\"\nsignature_headers = [\"X-Signature\"]\n\
             signed = [{{ url = {{ base = \"{base}\" }} }}, {{ literal = \"\\n\" }}, \"body\"]\n"
        )
    };
    for (base, url, path) in [
        ("https://hooks.example.com", "https://HOOKS.example.com:443/a?b=c", Some("/a?b=c")),
        ("https://hooks.example.com:443", "https://hooks.example.com/a", Some("/a")),
        ("http://hooks.example.com", "http://hooks.example.com:80/a", Some("/a")),
        ("https://hooks.example.com", "https://hooks.example.com:8443/a", None),
        ("https://hooks.example.com/in", "https://hooks.example.com/in/a?b=c", Some("/a?b=c")),
        ("https://hooks.example.com/in", "https://hooks.example.com/inner", None),
        ("https://hooks.example.com/in", "https://hooks.example.com/a", None),
    ] {
        let scheme = scratch.file("urls.toml", document(base));
        let sign = |more: &[&str]| scratch.run([&["sign", "--body", "x", "--scheme", &scheme], more].concat());
        let ended = sign(&["--url", url]);
        match path {
            Some(path) => assert_eq!(ended.assert_code(0).stdout, sign(&["--path", path]).stdout, "{base} {url}"),
            None => ended.assert_refused(&format!("--url: must begin with {base}, which")),
        }
    }
}

/// Error messages are logged, and a mistyped option must not put a secret there.
#[test]
fn secret_in_place_of_its_source_is_hidden() {
    let scratch = Scratch::new();
    for option in ["--secret-file", "--secret-env"] {
        let ended = scratch.run(["sign", "--body", "x", option, SECRET]).assert_code(2);
        assert!(ended.stderr.contains("must be") && !ended.stderr.contains("canary"), "{ended:?}");
    }
    // The secrets of some providers consist of the characters that a name has: Adyen's are hex in upper case.
    for secret in ["A1B2C3D4E5F60718293A4B5C6D7E8F90", "1_A2", &"A_B2".repeat(11)] {
        let ended = scratch.run(["sign", "--body", "x", "--secret-env", secret]).assert_code(2);
        assert!(ended.stderr.contains("the variable of --secret-env is not set"), "{ended:?}");
        assert!(!ended.stderr.contains(secret), "{ended:?}");
    }
    for secret in ["/aBcD+eFgH=", "SG.aBcDeFgH", "aB/cD+eFgH="] {
        let ended = scratch.run(["sign", "--body", "x", "--secret-file", secret]).assert_code(2);
        assert!(ended.stderr.contains("--secret-file: must be") && !ended.stderr.contains(secret), "{ended:?}");
    }
    let ended = scratch.run(["secret", "check", SECRET]).assert_code(2);
    assert!(ended.stderr.contains("FILE: must be") && !ended.stderr.contains("canary"), "{ended:?}");
}

#[test]
fn json_has_headers_and_curl_line() {
    let scratch = Scratch::new();
    let arguments = ["sign", "--body", "x", "--timestamp", "1800000000", "-H", "a: 1", "-H", "a: 2", "--json"];
    let ended = scratch.run(arguments).assert_code(0).json();
    assert_eq!(ended["scheme"], "timestamped");
    assert_eq!(ended["time"], 1_800_000_000);
    assert_eq!(ended["headers"]["a"], serde_json::json!(["1", "2"]));
    assert_eq!(ended["headers"]["X-Webhook-Timestamp"], "1800000000");
    assert!(ended.get("curl").is_none());
    let line = scratch.run([&arguments[..], &["--curl", "http://127.0.0.1:1/"]].concat()).assert_code(0).json();
    assert!(line["curl"].as_str().unwrap().starts_with("curl "), "{line}");
}

/// The words that a shell passes to curl, which a function replaces.
fn words(scratch: &Scratch, line: &str) -> Vec<String> {
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{line}");
    let output = scratch.shell(&script).assert_code(0).stdout;
    let mut words: Vec<_> = output.split('\0').map(String::from).collect();
    assert_eq!(words.pop().unwrap(), "");
    words
}

#[test]
fn curl_line_survives_shell_quoting() {
    let scratch = Scratch::new();
    let name = scratch.file("it's $HOME \"a\" `b` \\ *.json", BODY);
    let url = "http://127.0.0.1:1/a'b?c=$d&e=;f";
    let line =
        scratch.run(["sign", &name, "--curl", url, "-H", "x-note: it's \"$x\" `y`", "-H", "x-none:"]).assert_code(0);
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
    let line = scratch.run(["sign", "--body", text, "--curl", url]).assert_code(0).stdout;
    assert!(self::words(&scratch, &line).windows(2).any(|pair| pair == ["--data-raw", text]), "{line}");
}

#[test]
fn past_timestamp_makes_a_stale_message() {
    let scratch = Scratch::new();
    let old = (Timestamp::now().as_unix() - 3_600).to_string();
    let headers = scratch.run(["sign", "--body", "x", "--timestamp", &old]).assert_code(0).headers();
    let (scheme, secret) = &presets()[0];
    let verifier = Verifier::new(scheme.clone(), keyring(scheme, secret)).unwrap();
    assert_eq!(verifier.verify(&headers, b"x").unwrap_err().reason(), Reason::Stale);
}

#[test]
fn invalid_input_fails_with_one_line() {
    let scratch = Scratch::new();
    let spaced = scratch.file("spaced", "a secret \n\n");
    let document = scratch.file("bad.toml", "name = \"x\"\nsignature_headers = [\"a b\"]\n");
    scratch.file("body", "x");
    let refused = |arguments: &[&str], text: &str| scratch.run([&["sign"], arguments].concat()).assert_refused(text);
    refused(&[], "required arguments were not provided: <FILE|--body <TEXT>>");
    refused(&["nowhere"], "nowhere: No such file");
    refused(&["{\"id\":7}"], "FILE: must be the name of a file, but is a text; to sign this text, use --body");
    refused(&["a=1&b=2"], "FILE: must be the name of a file, but is a text; to sign this text, use --body");
    let utf16 = scratch.file("utf16", b"\xff\xfes\0e\0c\0");
    refused(&["body", "--secret-file", &utf16], "utf16: must be UTF-8, but is UTF-16, as PowerShell writes it");
    refused(&["body", "--body", "x"], "cannot be used with");
    refused(&["body", "-H", "no colon"], "must have the form 'Name: value'");
    refused(&["body", "-H", "a b: c"], "must have a valid header name before the colon");
    refused(
        &["body", "--scheme", "unknown"],
        "--scheme: must be a file or one of `hookwarden providers`; unknown provider \"unknown\"",
    );
    refused(&["body", "--scheme", &document], "bad.toml: ");
    refused(&["body", "--secret-env", "NOT_SET"], "NOT_SET is not set in the environment");
    refused(&["body", "--secret-file", "nowhere"], "--secret-file: must be an existing file (the name is not shown,");
    refused(&["body", "--secret-file", "nowhere.txt"], "must be an existing file, but nowhere.txt does not exist");
    refused(&["body", "--secret-file", "./nowhere"], "must be an existing file, but ./nowhere does not exist");
    refused(
        &["body", "--secret-file", "body/secret"],
        "--secret-file: must be a file that can be read: not a directory",
    );
    refused(&["a[1]=x&b=2.txt"], "a[1]=x&b=2.txt: No such file");
    refused(&["./a=1"], "./a=1: No such file");
    refused(&["body", "--secret-file", &spaced], "secret: ");
    refused(&["body", "--scheme", "standard_webhooks"], "must be base64 for the scheme standard_webhooks");
    refused(&["-", "--secret-file", "-"], "standard input: must be the secret or the body");
    refused(&["body", "--timestamp", "0"], "timestamp: cannot be written in the scheme's format");
    refused(&["body", "--timestamp", "soon"], "--timestamp <SECONDS>: must be Unix seconds");
    refused(&["body", "--curl", "ftp://example.com"], "must be an http:// or https:// URL with a host");
    refused(&["body", "--curl", "http://a/", "--url", "http://b/"], "cannot be used with");

    let ended = scratch.run(["sign", "nowhere", "--json"]).assert_code(2);
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().starts_with("nowhere: "), "{error}");
}

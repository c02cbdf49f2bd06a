//! `--profile`: HTTP Message Signatures on the command line.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hookwarden::crypto::Algorithm;
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::Profile;
use hookwarden::{Keyring, Timestamp, Verifier};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ring::{digest, hmac};
use serde_json::Value;

use super::endpoint::Endpoint;
use super::listener::Listener;
use super::scratch::{CommandOutput, SECRET, Scratch};

const BODY: &str = "{\"id\":7}";
const ORIGIN: &str = "https://hooks.example.com";
const PROFILE: [&str; 6] = ["--profile", "webhooks", "--origin", ORIGIN, "--algorithm", "hmac-sha256"];
const SIGN: [&str; 7] = ["sign", "--body", BODY, "--path", "/webhooks/acme?v=1", "--keyid", "2027-01"];

fn request(headers: &[(String, String)], path: &str, body: &str) -> String {
    let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST {path} HTTP/1.1\r\n{head}\r\n{body}")
}

/// The raw bytes of a request that `ring` signs now.
fn signed_by_ring(body: &str) -> String {
    let digest = STANDARD.encode(digest::digest(&digest::SHA256, body.as_bytes()));
    let created = Timestamp::now().as_unix();
    let input = format!(
        "(\"@method\" \"@target-uri\" \"content-type\" \"content-digest\");created={created};expires={};nonce=\"n\";keyid=\"k\"",
        created + 60
    );
    let base = format!(
        "\"@method\": POST\n\"@target-uri\": {ORIGIN}/hooks\n\"content-type\": application/json\n\
         \"content-digest\": sha-256=:{digest}:\n\"@signature-params\": {input}"
    );
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), base.as_bytes());
    let headers = [
        ("Host", "hooks.example.com".to_owned()),
        ("Content-Type", "application/json".to_owned()),
        ("Content-Digest", format!("sha-256=:{digest}:")),
        ("Signature-Input", format!("acme={input}")),
        ("Signature", format!("acme=:{}:", STANDARD.encode(signature.as_ref()))),
    ];
    request(&headers.map(|(name, value)| (name.to_owned(), value)), "/hooks", body)
}

fn verify(scratch: &Scratch, capture: &str) -> CommandOutput {
    scratch.run([&["verify", capture], &PROFILE[..]].concat())
}

#[test]
fn signed_message_verifies_with_the_library() {
    let scratch = Scratch::new();
    let ended = scratch.run([&SIGN[..], &PROFILE].concat()).assert_code(0);
    let headers = ended.headers();
    assert!(headers.contains(&("host".into(), "hooks.example.com".into())), "{ended:?}");
    let profile = Profile::webhooks(ORIGIN).algorithms([Algorithm::HmacSha256]).build().unwrap();
    let scheme = profile.scheme("acme").unwrap();
    let keys = Keyring::new(scheme.secret(SECRET).unwrap());
    let verifier = Verifier::new(scheme, keys).unwrap();
    verifier.verify(&RequestHead::new("POST", "/webhooks/acme?v=1", &headers), BODY.as_bytes()).unwrap();
    assert!(verifier.verify(&RequestHead::new("POST", "/webhooks/acme?v=2", &headers), BODY.as_bytes()).is_err());
    // Each message has another nonce.
    let nonce =
        |ended: &CommandOutput| ended.stdout.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let second = scratch.run([&SIGN[..], &PROFILE].concat()).assert_code(0);
    assert_ne!(nonce(&ended), nonce(&second));
    assert_eq!(URL_SAFE_NO_PAD.decode(nonce(&second)).unwrap().len(), 16);
}

#[test]
fn curl_command_has_the_host_of_the_origin() {
    let scratch = Scratch::new();
    let arguments = ["sign", "--body", BODY, "--curl", "http://127.0.0.1:3000/hooks", "--keyid", "k", "--nonce", "n"];
    let ended = scratch.run([&arguments[..], &PROFILE].concat()).assert_code(0);
    for part in ["host: hooks.example.com", "nonce=\"n\"", "Content-Digest: sha-256=:"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
    // Without --origin, the URL has it.
    let ended = scratch.run([&arguments[..], &["--profile", "webhooks", "--algorithm", "hmac-sha256"]].concat());
    assert!(ended.assert_code(0).stdout.contains("host: 127.0.0.1:3000"));
}

#[test]
fn message_of_another_signer_verifies() {
    let scratch = Scratch::new();
    scratch.write("request.http", signed_by_ring(BODY));
    let ended = verify(&scratch, "request.http").assert_code(0);
    assert!(ended.stdout.starts_with("holds: the signature verifies with secret 1"), "{ended:?}");
}

#[test]
fn refused_messages_are_explained() {
    let scratch = Scratch::new();
    let valid = signed_by_ring(BODY);
    let cases = [
        (valid.replace("{\"id\":7}", "{\"id\": 7}"), "body-json-rewritten", true),
        (valid.replace("{\"id\":7}", "{\"id\":8}"), "body-differs", true),
        (valid.replace("POST", "PUT"), "method-differs", true),
        (valid.replace("Content-Digest", "X-Digest"), "header-missing", true),
        (valid.replace("Signature-Input", "X-Input"), "header-missing", false),
        (valid.replace("acme=:", "other=:"), "signature-label", true),
    ];
    for (capture, kind, is_proven) in cases {
        scratch.write("request.http", capture);
        let ended = scratch.run([&["verify", "request.http", "--json"], &PROFILE[..]].concat()).assert_code(1);
        let cause = &ended.json()["causes"][0];
        assert_eq!((&cause["kind"], &cause["proven"]), (&kind.into(), &is_proven.into()), "{ended:?}");
        assert!(!ended.stdout.contains(SECRET));
    }
    // Another secret.
    scratch.write("request.http", valid);
    let ended = scratch.run_with_secret("another-secret", [&["verify", "request.http"], &PROFILE[..]].concat());
    assert!(ended.assert_code(1).stdout.contains("the signature names the key \"k\""));
}

#[test]
fn directory_of_messages_is_grouped_by_cause() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("captures")).unwrap();
    let valid = signed_by_ring(BODY);
    scratch.write("captures/a.http", &valid);
    scratch.write("captures/b.http", format!("{valid}\n"));
    let ended = scratch.run([&["verify", "captures", "--json"], &PROFILE[..]].concat()).assert_code(1);
    let report = ended.json();
    assert_eq!(report["verified"], serde_json::json!(["a.http"]));
    assert_eq!(report["groups"][0]["causes"][0]["kind"], "body-newline-added", "{report}");
}

#[test]
fn headers_without_a_request_line_need_one() {
    let scratch = Scratch::new();
    let headers = scratch.run([&SIGN[..], &PROFILE].concat()).assert_code(0).stdout;
    scratch.write("headers", headers);
    scratch.write("body", BODY);
    let arguments = ["verify", "--headers", "headers", "--body", "body"];
    scratch
        .run([&arguments[..], &PROFILE].concat())
        .assert_refused("--method and --path: must be set, because the profile webhooks");
    let line = ["--method", "POST", "--path", "/webhooks/acme?v=1"];
    scratch.run([&arguments[..], &PROFILE, &line].concat()).assert_code(0);
    let line = ["--method", "POST", "--path", "/webhooks/acme"];
    scratch.run([&arguments[..], &PROFILE, &line].concat()).assert_code(1);
}

#[test]
fn authority_of_http_2_counts_as_host() {
    let scratch = Scratch::new();
    let headers = scratch.run([&SIGN[..], &PROFILE].concat()).assert_code(0).stdout;
    scratch.write("body", BODY);
    let arguments = ["verify", "--headers", "headers", "--body", "body"];
    let line = ":method: POST\n:path: /webhooks/acme?v=1\n";
    for (authority, code) in [("hooks.example.com", 0), ("HOOKS.example.com", 0), ("other.example.com", 1)] {
        scratch.write("headers", format!("{line}:authority: {authority}\n{headers}"));
        scratch.run([&arguments[..], &PROFILE].concat()).assert_code(code);
    }
}

#[test]
fn wrong_combinations_are_refused() {
    let scratch = Scratch::new();
    let profile = |more: &[&'static str]| [&SIGN[..], &["--profile", "webhooks"], more].concat();
    let cases: [(Vec<&str>, &str); 9] = [
        (profile(&[]), "--origin: must be set with --profile"),
        (profile(&["--origin", ORIGIN]), "--algorithm: must be set with this profile, such as"),
        (profile(&["--origin", "hooks.example.com", "--algorithm", "hmac-sha256"]), "--origin: must be http(s)://"),
        (
            profile(&["--origin", ORIGIN, "--algorithm", "hmac-sha256", "--algorithm", "ed25519"]),
            "--algorithm: must be HMAC-SHA-256 alone",
        ),
        (
            profile(&["--origin", ORIGIN, "--algorithm", "ed25519"]),
            "with a profile, the key must be one for --algorithm",
        ),
        (profile(&["--scheme", "stripe", "--origin", ORIGIN]), "cannot be used with"),
        ([&SIGN[..], &["--origin", ORIGIN]].concat(), "arguments: the following required arguments were not provided"),
        (
            [&SIGN[..3], &PROFILE, &["--keyid", "k"]].concat(),
            "--path: must be set, or --url, because the profile webhooks signs the path",
        ),
        ([&SIGN[..5], &PROFILE].concat(), "--keyid: must be given, because the profile requires it"),
    ];
    for (arguments, problem) in cases {
        scratch.run(arguments).assert_refused(problem);
    }
}

/// A private and a public JWK with the name `kid`.
fn jwks(seed: u8, kid: &str) -> (String, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let (d, x) = (URL_SAFE_NO_PAD.encode([seed; 32]), URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()));
    // On several lines, as tools print it.
    let head = format!("{{\n  \"kty\": \"OKP\",\n  \"crv\": \"Ed25519\",\n  \"kid\": \"{kid}\",\n  \"x\": \"{x}\"");
    (format!("{head},\n  \"d\": \"{d}\"\n}}\n"), format!("{head}\n}}\n"))
}

fn jwk_set<S: AsRef<str>>(keys: impl Iterator<Item = S>) -> String {
    let keys: Vec<String> = keys.map(|key| key.as_ref().to_owned()).collect();
    format!("{{\"keys\": [{}]}}", keys.join(","))
}

#[test]
fn jwk_signs_with_its_name() {
    let scratch = Scratch::new();
    let (private, public) = jwks(1, "2027-01");
    scratch.write("private.jwk", private);
    scratch.write("public.jwk", &public);
    let profile =
        ["--profile", "webhooks", "--origin", ORIGIN, "--algorithm", "ed25519", "--algorithm", "ecdsa-p256-sha256"];
    let ended = scratch.run([&SIGN[..5], &profile, &["--secret-file", "private.jwk"]].concat()).assert_code(0);
    assert!(ended.stdout.contains("keyid=\"2027-01\""), "{ended:?}");
    scratch.write("request.http", request(&ended.headers(), "/webhooks/acme?v=1", BODY));
    let verify =
        |keys: &str| scratch.run([&["verify", "request.http", "--json", "--secret-file", keys], &profile[..]].concat());
    verify("public.jwk").assert_code(0);
    verify("private.jwk").assert_code(0);
    // The second key of a set.
    let (_, other) = jwks(2, "2026-07");
    scratch.write("set.json", format!("{{\"keys\": [{other}, {public}]}}"));
    assert_eq!(verify("set.json").assert_code(0).json()["secret"], 2);
    scratch.write("other.jwk", other);
    let ended = verify("other.jwk").assert_code(1);
    assert_eq!(ended.json()["causes"][0]["kind"], "key-unknown", "{ended:?}");
}

#[test]
fn key_of_many_is_chosen_by_keyid() {
    let scratch = Scratch::new();
    let keys: Vec<_> = (1..=12).map(|seed| jwks(seed, &format!("key-{seed}"))).collect();
    scratch.write("private.json", jwk_set(keys.iter().map(|(private, _)| &**private)));
    scratch.write("public.json", jwk_set(keys.iter().map(|(_, public)| &**public)));
    scratch.write("others.json", jwk_set(keys[..9].iter().map(|(_, public)| &**public)));
    let profile = ["--profile", "webhooks", "--origin", ORIGIN, "--algorithm", "ed25519"];
    let sign = |keyid: &str| {
        let key = ["--secret-file", "private.json", "--keyid", keyid];
        scratch.run([&SIGN[..5], &profile, &key].concat())
    };
    sign("key-13").assert_refused("--keyid: must be the kid of a JWK, because there are several keys: key-1, key-2");
    assert!(sign("key-13").stderr.contains("key-8 and 4 others"));
    let ended = sign("key-10").assert_code(0);
    assert!(ended.stdout.contains("keyid=\"key-10\""), "{ended:?}");
    scratch.write("request.http", request(&ended.headers(), "/webhooks/acme?v=1", BODY));
    let verify =
        |keys: &str| scratch.run([&["verify", "request.http", "--json", "--secret-file", keys], &profile[..]].concat());
    assert_eq!(verify("public.json").assert_code(0).json()["secret"], 10);
    let ended = verify("others.json").assert_code(1);
    assert_eq!(ended.json()["causes"][0]["kind"], "key-unknown", "{ended:?}");

    let listener = Listener::start(&scratch, &[&profile[..], &["--secret-file", "public.json"]].concat());
    let send = |keyid: &str| {
        let url = listener.url("/webhooks/acme");
        let arguments = ["send", &url, "--body", BODY, "--secret-file", "private.json", "--keyid", keyid];
        scratch.run([&arguments[..], &profile].concat())
    };
    for keyid in ["key-1", "key-12"] {
        send(keyid).assert_code(0);
    }
    // A key with the name of another one.
    let unnamed = ["send", &listener.url("/"), "--body", BODY, "--secret-file", "other.jwk", "--keyid", "key-2"];
    scratch.write("other.jwk", jwks(1, "key-1").0);
    scratch.run([&unnamed[..], &profile].concat()).assert_code(1);
    let unknown = [&unnamed[..unnamed.len() - 1], &["unknown"]].concat();
    scratch.run([&unknown[..], &profile].concat()).assert_code(1);
    let reports = listener.reports(4);
    for (report, what) in
        [(&reports[2], "names the key \"key-2\", and was"), (&reports[3], "\"unknown\", and was made")]
    {
        assert_eq!(report["causes"][0]["kind"], "key-unknown", "{report}");
        assert!(report["causes"][0]["what"].as_str().is_some_and(|text| text.contains(what)), "{report}");
    }
    listener.interrupt();
    // Without a name, a key cannot be chosen.
    scratch.write("public.json", scratch.read("public.json").replace("\"kid\": \"key-3\",", ""));
    let listen = ["listen", "--listen", "127.0.0.1:0", "--secret-file", "public.json"];
    scratch
        .run([&listen[..], &profile].concat())
        .assert_refused("public keys: must be JWKs with a kid, because there are more than 4; key 3 has none");
}

#[test]
fn key_of_many_is_chosen_by_thumbprint() {
    let scratch = Scratch::new();
    let keys: Vec<_> = (1..=5).map(|seed| jwks(seed, &format!("key-{seed}"))).collect();
    scratch.write("private.json", jwk_set(keys.iter().map(|(private, _)| &**private)));
    scratch.write("public.json", jwk_set(keys.iter().map(|(_, public)| &**public)));
    scratch.write("third.jwk", &keys[2].0);
    let profile = ["--profile", "web-bots", "--origin", ORIGIN];
    let ended = scratch.run([&SIGN[..5], &profile, &["--secret-file", "third.jwk"]].concat()).assert_code(0);
    let thumbprint = ended.stdout.split("keyid=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let key = ["--secret-file", "private.json", "--keyid", thumbprint];
    let ended = scratch.run([&SIGN[..5], &profile, &key].concat()).assert_code(0);
    scratch.write("request.http", request(&ended.headers(), "/webhooks/acme?v=1", BODY));
    let verify = ["verify", "request.http", "--json", "--secret-file", "public.json"];
    assert_eq!(scratch.run([&verify[..], &profile].concat()).assert_code(0).json()["secret"], 3);
    let listener = Listener::start(&scratch, &[&profile[..], &["--secret-file", "public.json"]].concat());
    let url = listener.url("/webhooks/acme");
    scratch.run([&["send", &url, "--body", BODY], &key[..], &profile].concat()).assert_code(0);
    listener.interrupt();
}

#[test]
fn repeated_messages_have_their_own_nonces() {
    let scratch = Scratch::new();
    let listener = Listener::start(&scratch, &PROFILE);
    let url = listener.url("/webhooks/acme");
    let send = |more: &[&str]| {
        let send = ["send", &url, "--body", BODY, "--keyid", "2027-01", "--repeat", "3"];
        scratch.run([&send[..], &PROFILE, more].concat())
    };
    send(&[]).assert_code(0);
    send(&["--unique"]).assert_code(0);
    send(&["--nonce", "n"]).assert_refused("--nonce: must be omitted to send several requests");
    let reports = listener.reports(6);
    assert!(reports.iter().all(|report| report["outcome"] == "accepted"), "{reports:?}");
    scratch.write("request.http", signed_by_ring(BODY));
    let resend = ["resend", "request.http", "request.http", "--to", &url, "--keyid", "2027-01"];
    scratch.run([&resend[..], &PROFILE].concat()).assert_code(0);
    scratch.run([&resend[..], &PROFILE, &["--nonce", "n"]].concat()).assert_refused("--nonce: must be omitted");
    // One request may have it.
    scratch.run([&resend[..2], &resend[3..], &PROFILE, &["--nonce", "n"]].concat()).assert_code(0);
    listener.interrupt();
}

#[test]
fn other_origin_is_refused_over_http_2() {
    let scratch = Scratch::new();
    let endpoint = Endpoint::http2();
    let send = |origin: &str| {
        let url = endpoint.url("/open");
        let send = ["send", &url, "--http", "2", "--body", BODY, "--keyid", "k", "--profile", "webhooks"];
        scratch.run([&send[..], &["--algorithm", "hmac-sha256", "--origin", origin]].concat())
    };
    send(ORIGIN).assert_refused("--http: must be 1.1 or auto to send Host hooks.example.com to 127.0.0.1:");
    assert_eq!(endpoint.seen().count(), 0);
    send(&endpoint.url("")).assert_code(0);
    // The host is in `:authority` only.
    assert!(endpoint.seen().headers.lock().unwrap().iter().all(|headers| !headers.contains_key("host")));
    let header = ["send", &endpoint.url("/open"), "--http", "2", "--body", BODY, "-H", "Host: hooks.example.com"];
    scratch.run(header).assert_refused("--http: must be 1.1 or auto");
}

#[test]
fn host_other_than_the_signed_one_is_refused() {
    let scratch = Scratch::new();
    let url = "http://127.0.0.1:9/hooks";
    scratch.write("request.http", signed_by_ring(BODY));
    let commands: [&[&str]; 3] = [
        &["sign", "--body", BODY, "--path", "/"],
        &["send", url, "--body", BODY],
        &["resend", "request.http", "--to", url],
    ];
    for command in commands {
        let with = |more: &[&str]| scratch.run([command, &PROFILE, &["--keyid", "k"], more].concat());
        with(&["-H", "Host: internal:8080"])
            .assert_refused("--header: must not set Host to another host than hooks.example.com, which is signed");
        with(&["--received-as", "internal:8080"])
            .assert_refused("--received-as: must be omitted here, because it is a setting of receivers");
    }
    let sign = |hosts: &[&str]| {
        let hosts: Vec<_> = hosts.iter().flat_map(|host| ["-H", host]).collect();
        scratch.run([commands[0], &PROFILE, &["--keyid", "k"], &hosts].concat())
    };
    for same in ["Host: Hooks.example.com", "Host: hooks.example.com:443"] {
        let headers = sign(&[same]).assert_code(0).headers();
        scratch.write("signed.http", request(&headers, "/", BODY));
        verify(&scratch, "signed.http").assert_code(0);
        sign(&[same, "Host: hooks.example.com"]).assert_refused("--header: must set Host at most once");
    }
    sign(&["Host: hooks.example.com:80"]).assert_refused("--header: must not set Host to another host");
}

#[test]
fn only_missing_headers_are_to_be_added() {
    let scratch = Scratch::new();
    scratch.write("request.http", signed_by_ring(BODY).replace("Content-Type: application/json\r\n", ""));
    let resend = ["resend", "request.http", "--to", "http://127.0.0.1:9", "--keyid", "k"];
    scratch.run([&resend[..], &PROFILE].concat()).assert_refused(
        "content-type: must be given once and be visible ASCII, because the profile covers it; add it with --header",
    );
    let twice = ["-H", "Content-Type: a/b", "-H", "Content-Type: c/d"];
    let ended = scratch.run([&SIGN[..], &PROFILE, &twice].concat());
    let ended = ended.assert_code(2);
    assert!(!ended.stderr.contains("--header"), "{ended:?}");
    scratch.run([&SIGN[..], &PROFILE, &["--nonce", ""]].concat()).assert_refused("--nonce: must be visible ASCII");
    let list = ["-H", "Content-Type: a/b, c/d"];
    scratch
        .run([&SIGN[..], &PROFILE, &list].concat())
        .assert_refused("content-type: must be one media type, with commas only between quotes");
    let path = format!("/{}", "a".repeat(8_192));
    let sign = ["sign", "--body", BODY, "--path", &path, "--keyid", "k"];
    scratch.run([&sign[..], &PROFILE].concat()).assert_refused("\"@target-uri\": must be at most 8,192 bytes");
}

#[test]
fn few_named_keys_are_chosen_by_keyid() {
    let scratch = Scratch::new();
    let ((first, public), (_, second)) = (jwks(1, "key-1"), jwks(2, "key-2"));
    scratch.write("private.jwk", first);
    scratch.write("one.json", &public);
    scratch.write("two.json", format!("{{\"keys\": [{public}, {second}]}}"));
    let profile = ["--profile", "webhooks", "--origin", ORIGIN, "--algorithm", "ed25519"];
    for (file, keyid, unnamed) in
        [("one.json", "key-1", false), ("one.json", "key-2", true), ("two.json", "key-2", true)]
    {
        let key = ["--secret-file", "private.jwk", "--keyid", keyid];
        let ended = scratch.run([&SIGN[..5], &profile, &key].concat()).assert_code(0);
        scratch.write("request.http", request(&ended.headers(), "/webhooks/acme?v=1", BODY));
        let verify = ["verify", "request.http", "--json", "--secret-file", file];
        let ended = scratch.run([&verify[..], &profile].concat()).assert_code(i32::from(unnamed));
        let listener = Listener::start(&scratch, &[&profile[..], &["--secret-file", file]].concat());
        let send = ["send", &listener.url("/webhooks/acme"), "--body", BODY];
        scratch.run([&send[..], &profile, &key].concat()).assert_code(i32::from(unnamed));
        if unnamed {
            for report in [&ended.json(), &listener.reports(1)[0]] {
                assert_eq!(report["causes"][0]["kind"], "key-unknown", "{report}");
                assert_eq!(report["causes"][0]["proven"], true, "{report}");
            }
        }
        listener.interrupt();
    }
    // A request without a signature is refused for this reason.
    let listener = Listener::start(&scratch, &[&profile[..], &["--secret-file", "two.json"]].concat());
    let unsigned = ["send", &listener.url("/"), "--body", BODY];
    scratch.run(unsigned).assert_code(1);
    let report = &listener.reports(1)[0];
    assert_eq!((&report["reason"], &report["header"]), (&"missing_header".into(), &"signature".into()), "{report}");
    listener.interrupt();
}

#[test]
fn unusable_keys_of_a_set_are_skipped() {
    let scratch = Scratch::new();
    let (private, public) = jwks(1, "2027-01");
    let others = r#"{"kty": "RSA", "n": "AA", "e": "AQAB"}, {"kty": "EC", "crv": "P-384", "kid": "2027-01", "x": "AA", "y": "AA"}"#;
    let encryption = jwks(3, "2027-01").1.replace("\"kid\"", "\"use\": \"enc\", \"kid\"");
    let set = |key: &str| format!("{{\"keys\": [{others}, {encryption}, {key}]}}");
    scratch.write("private.json", set(&private));
    scratch.write("public.json", set(&public));
    scratch.write("others.json", format!("{{\"keys\": [{others}]}}"));
    let profile = ["--profile", "webhooks", "--origin", ORIGIN, "--algorithm", "ed25519"];
    for more in [&[][..], &["--keyid", "2027-01"]] {
        let key = ["--secret-file", "private.json"];
        let ended = scratch.run([&SIGN[..5], &profile, &key, more].concat()).assert_code(0);
        scratch.write("request.http", request(&ended.headers(), "/webhooks/acme?v=1", BODY));
        let verify = ["verify", "request.http", "--json", "--secret-file", "public.json"];
        assert_eq!(scratch.run([&verify[..], &profile].concat()).assert_code(0).json()["secret"], 4);
        let listener = Listener::start(&scratch, &[&profile[..], &["--secret-file", "public.json"]].concat());
        let send = ["send", &listener.url("/webhooks/acme"), "--body", BODY];
        scratch.run([&send[..], &profile, &key, more].concat()).assert_code(0);
        listener.interrupt();
    }
    // Of these, none is usable.
    for command in [&SIGN[..5], &["listen", "--listen", "127.0.0.1:0"], &["verify", "request.http"]] {
        let ended = scratch.run([command, &profile, &["--secret-file", "others.json"]].concat()).assert_code(2);
        assert!(ended.stderr.contains("key"), "{ended:?}");
    }
}

#[test]
fn more_keys_than_a_receiver_has_are_refused() {
    let scratch = Scratch::new();
    let set = |count: u8, kid: fn(u8) -> String| jwk_set((1..=count).map(|seed| jwks(seed, &kid(seed)).1));
    let public = |seed: u8| {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        STANDARD.encode(pair.public_key().as_ref())
    };
    let lines = |count: u8, line: &dyn Fn(u8) -> String| (1..=count).map(line).collect::<Vec<_>>().join("\n");
    let cases = [
        ("ed25519", set(65, |seed| format!("key-{seed}")), "secret: must have at most 64 keys, but has 65"),
        ("ed25519", set(5, |_| "key".into()), "public keys: must be at most 4 with one kid; more have \"key\""),
        (
            "ed25519",
            lines(5, &public),
            "public keys: must be JWKs with a kid, because there are more than 4; key 1 has",
        ),
        ("hmac-sha256", lines(9, &|number| format!("{SECRET}-{number}")), "secrets: must be at most 8, but are 9"),
    ];
    scratch.write("request.http", signed_by_ring(BODY));
    for (algorithm, keys, problem) in cases {
        scratch.write("keys", keys);
        let options = ["--profile", "webhooks", "--origin", ORIGIN, "--algorithm", algorithm, "--secret-file", "keys"];
        for command in [["verify", "request.http"].as_slice(), &["listen", "--listen", "127.0.0.1:0"]] {
            scratch.run([command, &options].concat()).assert_refused(problem);
        }
    }
}

/// The RFC 7638 thumbprint of the key of [`jwks`].
fn thumbprint(seed: u8) -> String {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

/// A JWK Set of the public keys with these seeds and kids.
fn public_set(keys: &[(u8, &str)]) -> String {
    jwk_set(keys.iter().map(|(seed, kid)| jwks(*seed, kid).1))
}

#[test]
fn ambiguous_kids_are_refused() {
    let scratch = Scratch::new();
    scratch.write("request.http", signed_by_ring(BODY));
    let other = thumbprint(2);
    let cases = [
        (public_set(&[(1, "a"), (1, "b"), (2, "b")]), "key 1 has several kids, of which \"b\" is also that of key 3"),
        (public_set(&[(1, "a"), (2, "b"), (1, "b")]), "key 1 has several kids, of which \"b\" is also that of key 2"),
        (public_set(&[(1, "a"), (2, "a"), (1, "b")]), "key 1 has several kids, of which \"a\" is also that of key 2"),
        (public_set(&[(1, &other), (2, "b")]), "the kid of key 1 is the thumbprint of key 2"),
    ];
    for (keys, problem) in cases {
        scratch.write("keys", keys);
        let options = ["--profile", "webhooks", "--origin", ORIGIN, "--algorithm", "ed25519", "--secret-file", "keys"];
        for command in [["verify", "request.http"].as_slice(), &["listen", "--listen", "127.0.0.1:0"]] {
            scratch
                .run([command, &options].concat())
                .assert_refused(&format!("public keys: must have unambiguous kids: {problem}"));
        }
    }
}

/// A profile, the seeds and kids of the receiver's keys, and requests: the seed of the key, `keyid`, and the exit code.
type Selection<'t> = (&'t [&'t str], &'t [(u8, &'t str)], &'t [(u8, &'t str, i32)]);

#[test]
fn keyid_selects_only_keys_that_it_names() {
    let scratch = Scratch::new();
    let webhooks = ["--profile", "webhooks", "--origin", ORIGIN, "--algorithm", "ed25519"];
    let web_bots = ["--profile", "web-bots", "--origin", ORIGIN];
    for seed in [1, 2] {
        scratch.write(&format!("{seed}.jwk"), jwks(seed, "a").0);
    }
    let (first, second) = (thumbprint(1), thumbprint(2));
    let cases: [Selection<'_>; 4] = [
        // One key with several kids.
        (
            &webhooks,
            &[(1, "a"), (1, "b"), (2, "c")],
            &[(1, "a", 0), (1, "b", 0), (1, &first, 0), (2, "b", 1), (1, "c", 1)],
        ),
        (&webhooks, &[(2, &second), (1, "a")], &[(2, &second, 0), (1, &second, 1)]),
        // Several keys with one kid.
        (&webhooks, &[(1, "a"), (2, "a")], &[(1, "a", 0), (2, "a", 0), (1, &second, 1)]),
        (&web_bots, &[(1, "a"), (2, "a")], &[(1, &first, 0), (2, &second, 0)]),
    ];
    for (profile, keys, sent) in cases {
        scratch.write("public.json", public_set(keys));
        let listener = Listener::start(&scratch, &[profile, &["--secret-file", "public.json"]].concat());
        for (seed, keyid, code) in sent {
            let url = listener.url("/webhooks/acme");
            let file = format!("{seed}.jwk");
            let send = ["send", &url, "--body", BODY, "--secret-file", &file, "--keyid", keyid];
            scratch.run([&send[..], profile].concat()).assert_code(*code);
        }
        listener.interrupt();
    }
}

#[test]
fn texts_of_profiles_name_no_scheme() {
    let scratch = Scratch::new();
    let send = ["send", "http://127.0.0.1:9/", "--body", BODY, "--keyid", "k", "--unique", "--nonce", "n"];
    scratch.run([&send[..], &PROFILE].concat()).assert_refused(
        "--unique: must have {number} or {id} in the body or in a header, because the nonce of --nonce is not new",
    );
    // The algorithms are those of the profile.
    let ended = scratch.run([&SIGN[..], &["--profile", "ucp", "--origin", ORIGIN]].concat());
    ended.assert_refused("the key must be one for an algorithm of the profile, or --algorithm must permit its kind");
}

#[test]
fn message_of_each_profile_verifies() {
    let scratch = Scratch::new();
    let (private, public) = jwks(1, "2027-01");
    scratch.write("private.jwk", private);
    scratch.write("public.jwk", public);
    for profile in ["adcp-webhooks", "adcp-requests", "ucp", "web-bots"] {
        let options = ["--profile", profile, "--origin", ORIGIN];
        let ended = scratch.run([&SIGN[..5], &options, &["--secret-file", "private.jwk"]].concat()).assert_code(0);
        // Web Bot Auth demands the thumbprint of the key.
        assert_eq!(ended.stdout.contains("keyid=\"2027-01\""), profile != "web-bots", "{ended:?}");
        scratch.write("request.http", request(&ended.headers(), "/webhooks/acme?v=1", BODY));
        let verify = ["verify", "request.http", "--secret-file", "public.jwk"];
        scratch.run([&verify[..], &options].concat()).assert_code(0);
        // Web Bot Auth does not cover the body.
        scratch.write("request.http", request(&ended.headers(), "/webhooks/acme?v=1", "[]"));
        let code = i32::from(profile != "web-bots");
        scratch.run([&verify[..], &options].concat()).assert_code(code);
        Listener::start(&scratch, &[&options[..], &["--secret-file", "public.jwk"]].concat()).interrupt();
    }
}

#[test]
fn host_of_a_proxy_is_accepted_if_named() {
    let scratch = Scratch::new();
    scratch.write("request.http", signed_by_ring(BODY).replace("Host: hooks.example.com", "Host: internal:8080"));
    let verify = [&["verify", "request.http"], &PROFILE[..]].concat();
    assert!(scratch.run(&verify).assert_code(1).stdout.contains("host-differs, proven: "));
    scratch.run([&verify[..], &["--received-as", "internal:8080"]].concat()).assert_code(0);
    scratch
        .run([&verify[..], &["--received-as", "http://internal"]].concat())
        .assert_refused("--received-as: must be host");
}

#[test]
fn sent_and_resent_messages_are_accepted() {
    let scratch = Scratch::new();
    let listener = Listener::start(&scratch, &[&PROFILE[..], &["--save", "captures"]].concat());
    let url = listener.url("/webhooks/acme");
    let send = ["send", &url, "--body", BODY, "--keyid", "2027-01"];
    scratch.run([&send[..], &PROFILE].concat()).assert_code(0);
    // A message that is signed for another origin.
    let other = ["--profile", "webhooks", "--origin", "https://other.example.com", "--algorithm", "hmac-sha256"];
    scratch.run([&send[..], &other].concat()).assert_code(1);
    let reports = listener.reports(2);
    let outcome = |report: &Value| report["outcome"].as_str().unwrap().to_owned();
    assert_eq!((outcome(&reports[0]), outcome(&reports[1])), ("accepted".into(), "refused".into()), "{reports:?}");
    let kinds = [0, 1].map(|cause| reports[1]["causes"][cause]["kind"].as_str().unwrap());
    assert_eq!(kinds, ["host-differs", "url-host"], "{reports:?}");

    let mut captures: Vec<_> =
        fs::read_dir(scratch.path("captures")).unwrap().map(|entry| entry.unwrap().path()).collect();
    captures.sort();
    let capture = captures[0].to_str().unwrap();
    verify(&scratch, capture).assert_code(0);
    let resend = ["resend", capture, "--to", &listener.url(""), "--keyid", "2027-01"];
    scratch.run([&resend[..], &PROFILE].concat()).assert_code(0);
    assert_eq!(outcome(&listener.reports(3)[2]), "accepted");
    listener.interrupt();
}

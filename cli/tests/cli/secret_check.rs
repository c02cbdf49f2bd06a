//! `hookwarden secret check`: what it finds, and that it never shows a secret.

use super::scratch::{CommandOutput, Scratch, finish};

/// A secret without findings.
const GOOD: &str = "u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n";

#[track_caller]
fn check(scratch: &Scratch, text: &str) -> CommandOutput {
    scratch.run_with_input(["secret", "check", "-", "--json"], text)
}

#[track_caller]
fn assert_finds(scratch: &Scratch, text: &str, rules: &[&str]) {
    let ran = check(scratch, text);
    let found: Vec<_> = ran.findings().into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(found, rules, "{text:?}");
    let ran = ran.assert_code(if rules.is_empty() { 0 } else { 1 });
    let secret = text.trim().trim_matches(['"', '\'']);
    assert!(secret.len() < 8 || !format!("{}{}", ran.stdout, ran.stderr).contains(secret), "{ran:?}");
}

#[test]
fn weak_secret_has_a_finding() {
    let scratch = Scratch::new();
    let doubled = format!("{GOOD} ");
    let quoted = format!("\"{GOOD}\"\n");
    let cases: &[(&str, &[&str])] = &[
        (GOOD, &[]),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &["secret-published"]),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", &["secret-published"]),
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", &["secret-published"]),
        ("8f742231b10e8888abcd99yyyzzz85a5", &["secret-published"]),
        ("whsec_test_secret", &["secret-published", "secret-short"]),
        ("changeme", &["secret-placeholder", "secret-short"]),
        ("secret", &["secret-placeholder", "secret-short"]),
        ("Secret123!", &["secret-placeholder", "secret-short"]),
        ("please-change-me-please-u3Yp0vTq8GdLr5XwZk1N", &["secret-placeholder"]),
        ("django-insecure-u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n", &["secret-placeholder"]),
        ("${WEBHOOK_SECRET_OF_THE_PRODUCTION_SYSTEM}", &["secret-placeholder"]),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &["secret-pattern", "secret-low-entropy"]),
        ("u3Yp0vTq8Gu3Yp0vTq8Gu3Yp0vTq8Gu3Yp0vTq8Gu3Yp0vTq8G", &["secret-pattern"]),
        ("qwertyuiop8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4", &["secret-pattern"]),
        ("u3Yp0vTq8GdLr5XwZk1NcJb7Hs9876543210iR9tKx6DmWjBzC4n", &["secret-pattern"]),
        ("u3Yp0vTq8GdLr5Xw", &["secret-short"]),
        ("aabbabbaabababbabaabbabbaababbaabbabab", &["secret-low-entropy"]),
        // 16 bytes.
        ("whsec_b3VyLW93bi1ieXRlcw==", &["secret-short"]),
        (&doubled, &["secret-white-space"]),
        (&quoted, &["secret-quoted"]),
        ("", &["secret-empty"]),
        ("whsec_\n", &["secret-empty"]),
    ];
    for (text, rules) in cases {
        let mut sorted = rules.to_vec();
        sorted.sort_by_key(|rule| ["secret-low-entropy"].contains(rule));
        assert_finds(&scratch, text, &sorted);
    }
}

#[test]
fn generated_secrets_pass() {
    let scratch = Scratch::new();
    for _ in 0..20 {
        let env = scratch.run(["secret", "env", "--count", "20"]).assert_code(0).stdout;
        let ran = check(&scratch, &env);
        assert_eq!(ran.findings(), [], "{env}");
    }
}

#[test]
fn env_file_is_checked_by_line_and_name() {
    let scratch = Scratch::new();
    let text = format!(
        "# a comment with SECRET=changeme\n\nPORT=80\nexport A_SECRET={GOOD}\nB_TOKEN=\"changeme\"\nPUBLIC_KEY=short\n\
         KEY_ID=x\nC_KEY={GOOD} # the same\nD_PASSWORD= {}x\nE_SECRET=\n",
        GOOD.chars().rev().collect::<String>()
    );
    let mut found = check(&scratch, &text).assert_code(1).findings();
    found.sort_by_key(|(_, line)| *line);
    let expected = [
        ("secret-placeholder", 5),
        ("secret-short", 5),
        ("secret-shared", 8),
        ("secret-white-space", 9),
        ("secret-empty", 10),
    ];
    assert_eq!(found, expected.map(|(rule, line)| (rule.to_owned(), Some(line))));
}

#[test]
fn shared_secret_is_found_across_encodings() {
    let scratch = Scratch::new();
    // The same 32 bytes in base64 with and without a prefix, in hex, and in upper-case hex.
    let forms = [
        "whsec_q83vASNFZ4mrze8BI0VniYoLHC0+T1BhcoOUpbbH2Ok=",
        "q83vASNFZ4mrze8BI0VniYoLHC0+T1BhcoOUpbbH2Ok=",
        "abcdef0123456789abcdef01234567898a0b1c2d3e4f5061728394a5b6c7d8e9",
        "ABCDEF0123456789ABCDEF01234567898A0B1C2D3E4F5061728394A5B6C7D8E9",
    ];
    for (a, b) in [(0, 0), (0, 1), (0, 2), (1, 2), (2, 3), (1, 3)] {
        let sender = |id: &str, secret: &str| {
            format!("[[sender]]\nid = \"{id}\"\n[[sender.key]]\nid = \"k\"\nsecret = \"{secret}\"\n")
        };
        let keys = sender("a", forms[a]) + &sender("b", GOOD) + &sender("c", forms[b]);
        scratch.write("keys.toml", &keys);
        let ran = scratch.run(["secret", "check", "keys.toml", "--json"]).assert_code(1);
        let shared: Vec<_> = ran.findings().into_iter().filter(|(rule, _)| rule == "secret-shared").collect();
        assert_eq!(shared, [("secret-shared".to_owned(), Some(15))], "{a} {b}");
        assert!(ran.stdout.contains("key k of sender c is the same secret as key k of sender a in line 5"), "{ran:?}");
        assert!(forms.iter().all(|form| !ran.stdout.contains(form)));
    }
}

#[test]
fn environment_variable_is_checked() {
    let scratch = Scratch::new();
    let run =
        |value: &str| finish(scratch.command(["secret", "check", "--secret-env", "HERE", "--json"]).env("HERE", value));
    run(GOOD).assert_code(0);
    let ran = run("hunter2-hunter2").assert_code(1);
    assert!(ran.stdout.contains("HERE") && !ran.stdout.contains("hunter2"), "{ran:?}");
    scratch.run(["secret", "check", "--secret-env", "NOT_THERE"]).assert_refused("NOT_THERE is not set");
}

#[test]
fn invalid_input_fails_with_one_line() {
    let scratch = Scratch::new();
    scratch
        .run(["secret", "check", "none"])
        .assert_refused("FILE: must be an existing file (the name is not shown, because it may be the secret itself)");
    scratch.write("plain.env", "PORT=80\n");
    scratch.run(["secret", "check", "plain.env"]).assert_refused("nothing was checked");
    scratch.write("odd.env", "A_SECRET=x\ncanary-71\n");
    scratch.run(["secret", "check", "--as", "env", "odd.env"]).assert_refused("odd.env: line 2: must be NAME=value");
    for (name, content) in
        [("odd.env", "canary-71\n"), (".env", "canary-71\n"), ("settings", "A_SECRET=\"x\ncanary-71\"\n")]
    {
        scratch.write(name, content);
        scratch.run(["secret", "check", name]).assert_refused(": must be NAME=value");
    }
    std::fs::write(scratch.path("bytes"), [0xff, 0xfe]).unwrap();
    scratch.run(["secret", "check", "bytes"]).assert_refused("bytes: must be UTF-8");
}

/// Asserts a finding with the library's message and the line.
#[track_caller]
fn assert_refused(scratch: &Scratch, path: &str, message: &str, line: Option<u64>) {
    let ran = scratch.run(["secret", "check", path, "--json"]).assert_code(1);
    let report = ran.json();
    let findings = report["findings"].as_array().unwrap();
    let is_refused = |finding: &serde_json::Value| {
        finding["id"] == "secret-refused"
            && finding["line"].as_u64() == line
            && finding["detail"].as_str().unwrap().starts_with(message)
    };
    assert!(findings.iter().any(is_refused), "{message:?}: {ran:?}");
    assert!(!ran.stdout.contains("canary"), "{ran:?}");
}

#[test]
fn file_is_read_as_receivers_read_it() {
    let scratch = Scratch::new();
    let keys = |text: &str| format!("[[sender]]\nid = \"a\"\n[[sender.key]]\nid = \"k\"\n{text}\n");
    let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n-----END PRIVATE KEY-----\n";
    let cases = [
        ("broken.toml", keys("secret canary"), "broken.toml:5: file: must be valid TOML", 5),
        ("number.toml", keys("secret = 7"), "number.toml:5: sender.key.secret: must be a string", 5),
        (
            "field.toml",
            keys("secrets = \"canary-canary\""),
            "field.toml:5: sender.key: must have no field besides id",
            5,
        ),
        ("bare.toml", "title = \"x\"\n".into(), "bare.toml:1: file: must have no field besides sender", 1),
        ("tls.key", pem.into(), "./tls.key:1: secret: must be a webhook secret; this is a PEM line", 1),
        ("bom", format!("\u{feff}{GOOD}\n"), "./bom:1: secret: must not start or end with an invisible", 1),
        ("blank", format!("{GOOD}\n\n"), "./blank:2: secret: must not be empty", 2),
        ("twice", format!("{GOOD}\n{GOOD}\n"), "./twice:2: keys: line-1 and line-2 have the same secret", 2),
        ("weak", "changeme\n".into(), "./weak:1: secret: must have at least 12 characters", 1),
    ];
    for (name, text, message, line) in cases {
        scratch.write(name, &text);
        assert_refused(&scratch, name, message, Some(line));
    }
    for (text, form) in
        [(format!("\u{feff}{GOOD}\n"), "invisible character"), (format!("{GOOD}\0"), "invisible character")]
    {
        let ran = check(&scratch, &text).assert_code(1);
        assert!(ran.stdout.contains("secret-refused") && ran.stdout.contains(form), "{ran:?}");
    }
    // Two lines are the new secret and the old one.
    scratch.write("two", format!("{GOOD}\n{}\n", GOOD.chars().rev().collect::<String>()));
    scratch.run(["secret", "check", "two"]).assert_code(0);
    // The scheme requires a format.
    scratch.write("whsec.toml", keys(&format!("secret = \"{GOOD}!\"")));
    scratch.run(["secret", "check", "whsec.toml"]).assert_code(0);
    let ran = scratch.run(["secret", "check", "whsec.toml", "--scheme", "standard_webhooks"]).assert_code(1);
    assert!(ran.stdout.contains("must be base64"), "{ran:?}");
}

#[test]
fn directory_is_read_as_receivers_read_it() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("secrets")).unwrap();
    scratch.write("secrets/acme", format!("{GOOD}\n"));
    scratch.run(["secret", "check", "secrets"]).assert_code(0);
    scratch.write("secrets/tls.key", "-----BEGIN PRIVATE KEY-----\n");
    scratch.write("secrets/bom", format!("\u{feff}{GOOD}\n"));
    scratch.write("secrets/acme.bak", "canary-of-the-backup-copy\n");
    scratch.write("secrets/blank", format!("{GOOD}x\n\n"));
    scratch.write("secrets/placeholder", "your-webhook-secret-for-canary\n");
    assert_refused(
        &scratch,
        "secrets",
        "secrets/tls.key:1: secret: must be a webhook secret; this is a PEM line",
        Some(1),
    );
    assert_refused(&scratch, "secrets", "secrets/bom:1: secret: must not start or end", Some(1));
    assert_refused(&scratch, "secrets", "secrets/acme.bak: file: has the name of a backup copy", None);
    assert_refused(&scratch, "secrets", "secrets/blank:2: secret: must not be empty", Some(2));
    let ran = scratch.run(["secret", "check", "secrets", "--json"]);
    assert!(ran.stdout.contains("the secret of placeholder is a placeholder"), "{ran:?}");
    std::fs::remove_file(scratch.path("secrets/acme")).unwrap();
    std::fs::remove_file(scratch.path("secrets/placeholder")).unwrap();
    // Each error is reported even if no secret is valid.
    assert_refused(&scratch, "secrets", "secrets/blank:2: secret: must not be empty", Some(2));
    assert_refused(&scratch, "secrets", "secrets/tls.key:1: ", Some(1));
}

#[test]
fn report_has_four_formats() {
    let scratch = Scratch::new();
    scratch.write("secret", "changeme");
    let run = |format: &str| scratch.run(["secret", "check", "secret", "--format", format]).assert_code(1).stdout;
    assert!(run("table").lines().next().unwrap().starts_with("severity"));
    assert!(run("markdown").starts_with("# Audit of secret\n\n| severity |"));
    let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!((&json["subject"], &json["good"]), (&"secret".into(), &false.into()));
    let sarif: serde_json::Value = serde_json::from_str(&run("sarif")).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!((&sarif["version"], &run["tool"]["driver"]["name"]), (&"2.1.0".into(), &"hookwarden".into()));
    let (rules, results) = (&run["tool"]["driver"]["rules"], run["results"].as_array().unwrap());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "secret");
    }
    assert_eq!(results.len(), 4);
}

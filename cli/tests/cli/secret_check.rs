//! `hookwarden secret check`: what it finds, and that it never shows a secret.

use super::scratch::{Ran, Scratch};

/// Nothing is wrong with it.
const GOOD: &str = "u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n";

#[track_caller]
fn check(scratch: &Scratch, text: &str) -> Ran {
    scratch.finish(scratch.command().args(["secret", "check", "-", "--json"]), text)
}

#[track_caller]
fn assert_finds(scratch: &Scratch, text: &str, rules: &[&str]) {
    let ran = check(scratch, text);
    let found: Vec<_> = ran.findings().into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(found, rules, "{text:?}");
    let ran = ran.ended_with(if rules.is_empty() { 0 } else { 1 });
    let secret = text.trim().trim_matches(['"', '\'']);
    assert!(secret.len() < 8 || !format!("{}{}", ran.out, ran.err).contains(secret), "{ran:?}");
}

#[test]
fn secret_that_is_weak_has_a_finding() {
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
fn secrets_of_the_generator_are_good() {
    let scratch = Scratch::new();
    for _ in 0..20 {
        let env = scratch.run(["secret", "env", "--count", "20"]).ended_with(0).out;
        let ran = check(&scratch, &env);
        assert_eq!(ran.findings(), [], "{env}");
    }
}

#[test]
fn env_file_is_judged_by_line_and_name() {
    let scratch = Scratch::new();
    let text = format!(
        "# a comment with SECRET=changeme\n\nPORT=80\nexport A_SECRET={GOOD}\nB_TOKEN=\"changeme\"\nPUBLIC_KEY=short\n\
         KEY_ID=x\nC_KEY={GOOD} # the same\nD_PASSWORD= {}x\nE_SECRET=\n",
        GOOD.chars().rev().collect::<String>()
    );
    let mut found = check(&scratch, &text).ended_with(1).findings();
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
fn keys_file_with_one_secret_in_two_forms_is_found() {
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
        let ran = scratch.run(["secret", "check", "keys.toml", "--json"]).ended_with(1);
        let shared: Vec<_> = ran.findings().into_iter().filter(|(rule, _)| rule == "secret-shared").collect();
        assert_eq!(shared, [("secret-shared".to_owned(), Some(15))], "{a} {b}");
        assert!(ran.out.contains("key k of sender c is the same secret as key k of sender a in line 5"), "{ran:?}");
        assert!(forms.iter().all(|form| !ran.out.contains(form)));
    }
}

#[test]
fn secret_comes_from_an_environment_variable_too() {
    let scratch = Scratch::new();
    let run = |value: &str| {
        scratch.finish(
            scratch.command().args(["secret", "check", "--secret-env", "HERE", "--json"]).env("HERE", value),
            "",
        )
    };
    run(GOOD).ended_with(0);
    let ran = run("hunter2-hunter2").ended_with(1);
    assert!(ran.out.contains("HERE") && !ran.out.contains("hunter2"), "{ran:?}");
    scratch.run(["secret", "check", "--secret-env", "NOT_THERE"]).refused("NOT_THERE is not set");
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let scratch = Scratch::new();
    scratch.run(["secret", "check", "none"]).refused("none: ");
    scratch.write("broken.toml", "[[sender]]\nid = \"a\"\n[[sender.key]\nsecret = \"canary-71\"\n");
    scratch.run(["secret", "check", "broken.toml"]).refused("broken.toml: line 3: is not TOML");
    scratch.write("number.toml", "[[sender]]\nid = \"a\"\n[[sender.key]]\nid = \"k\"\nsecret = 7\n");
    scratch.run(["secret", "check", "number.toml"]).refused("line 5: secret is not a string");
    scratch.write("bare.toml", "title = \"x\"\n");
    scratch.run(["secret", "check", "bare.toml"]).refused("holds no key");
    scratch.write("plain.env", "PORT=80\n");
    scratch.run(["secret", "check", "plain.env"]).refused("nothing was checked");
    scratch.write("odd.env", "A_SECRET=x\ncanary-71\n");
    scratch.run(["secret", "check", "--as", "env", "odd.env"]).refused("odd.env: line 2: is not NAME=value");
    for (name, content) in
        [("odd.env", "canary-71\n"), (".env", "canary-71\n"), ("settings", "A_SECRET=\"x\ncanary-71\"\n")]
    {
        scratch.write(name, content);
        scratch.run(["secret", "check", name]).refused(": is not NAME=value");
    }
    std::fs::write(scratch.path("bytes"), [0xff, 0xfe]).unwrap();
    scratch.run(["secret", "check", "bytes"]).refused("bytes: is not UTF-8");
}

#[test]
fn report_has_four_forms() {
    let scratch = Scratch::new();
    scratch.write("secret", "changeme");
    let run = |format: &str| scratch.run(["secret", "check", "secret", "--format", format]).ended_with(1).out;
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
    assert_eq!(results.len(), 3);
}

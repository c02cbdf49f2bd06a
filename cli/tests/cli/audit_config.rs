//! `hookwarden audit config`: its findings on settings.

use super::files::KEYS;
use super::scratch::{Scratch, set_mode};

/// All settings, without findings.
const GOOD: &str = r#"listen = "127.0.0.1:3000"
scheme = "timestamped"
keys = "keys.toml"
methods = ["POST", "PUT"]
content_types = ["application/json"]
tolerance = 300
redis_url = "rediss://redis.example:6379"

[body]
max_bytes = 1048576
deadline = 10

[quotas]
accepted = { limit = 100, per = 60 }
rejected = { limit = 60, per = 60 }
replicas = 3
danger_unlimited_accepted = false

[replay]
store = "redis"
lease = 30
margin = 10
duplicates_conflict = true

[proxies]
forwarded = 1
networks = ["10.0.0.0/8", "192.0.2.7"]
"#;

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("keys.toml", KEYS);
    scratch
}

#[track_caller]
fn assert_finds(settings: &str, rules: &[(&str, u64)]) {
    let scratch = scratch();
    scratch.write("receiver.toml", settings);
    let ran = scratch.run(["audit", "config", "receiver.toml", "--json"]);
    let expected: Vec<_> = rules.iter().map(|(rule, line)| ((*rule).to_owned(), Some(*line))).collect();
    assert_eq!(ran.findings(), expected, "{settings}");
    ran.assert_code(if rules.is_empty() { 0 } else { 1 });
}

#[test]
fn safe_settings_have_no_findings() {
    assert_finds(GOOD, &[]);
    assert_finds("", &[]);
    assert_finds("redis_url = \"redis://127.0.0.1:6379\"\n", &[]);
    assert_finds("redis_url = \"redis://[::1]:6379\"\n", &[]);
    assert_finds("redis_url = \"redis+cluster://127.0.0.1:7000,[::1]:7001\"\n", &[]);
    assert_finds("redis_url = \"rediss+cluster://a.example,b.example\"\n", &[]);
    assert_finds("redis_url = \"rediss+sentinel://a.example,b.example/main\"\n", &[]);
    assert_finds("scheme = \"github\"\nreplay = { lifetime = 86400 }\n", &[]);
}

#[test]
fn unsafe_setting_is_found_with_its_line() {
    for (settings, rule) in [
        ("tolerance = 601", "tolerance-large"),
        ("tolerance = 29", "tolerance-small"),
        ("body.max_bytes = 26214401", "body-limit-large"),
        ("body.deadline = 61", "body-deadline-long"),
        ("quotas.accepted = { limit = 6001, per = 60 }", "quota-large"),
        ("quotas.accepted = { limit = 101, per = 1 }", "quota-large"),
        ("quotas.rejected = { limit = 601, per = 60 }", "quota-large"),
        ("quotas.rejected_by_peer = { limit = 1201, per = 60 }", "quota-large"),
        ("proxies.x_forwarded_for = 4", "hops-many"),
        ("listen = \"127.0.0.1:3000\"", "hops-missing"),
        ("listen = \"localhost:3000\"", "hops-missing"),
        ("listen = \"[::1]:3000\"", "hops-missing"),
        ("quotas.replicas = 2", "replay-not-shared"),
        ("quotas.danger_unlimited_accepted = true", "danger-unlimited-accepted"),
        ("quotas.danger_unlimited_rejected = true", "danger-unlimited-rejected"),
        ("replay.danger_off = true", "danger-replay-off"),
        ("replay.danger_fall_back_to_this_process = true", "danger-replay-fall-back"),
        ("danger_report_only = true", "danger-report-only"),
        ("danger_allow_shared_secrets = true", "danger-allow-shared-secrets"),
        ("redis_url = \"redis://redis.example\"", "redis-without-tls"),
        ("redis_url = \"redis://10.0.0.7:6379\"", "redis-without-tls"),
        ("redis_url = \"rediss://redis.example/#insecure\"", "redis-insecure-tls"),
        ("redis_url = \"redis://:canary-93@127.0.0.1\"", "redis-password"),
        ("redis_url = \"redis+cluster://127.0.0.1,redis.example\"", "redis-without-tls"),
        ("redis_url = \"redis+cluster://:canary-93@127.0.0.1,[::1]:7001\"", "redis-password"),
        ("redis_url = \"rediss+cluster://a.example,b.example#insecure\"", "redis-insecure-tls"),
        ("redis_url = \"redis+sentinel://10.0.0.7,10.0.0.8/main\"", "redis-without-tls"),
        ("redis_url = \"rediss+sentinel://a.example/main?sentinel_password=canary-93\"", "redis-password"),
    ] {
        assert_finds(&format!("# one\n\n{settings}\n"), &[(rule, 3)]);
    }
    // Notes do not change the exit code.
    let reachable = "listen = \"0.0.0.0:3000\"\nproxies.x_forwarded_for = 1\n";
    for (proxies, is_noted) in [("", true), ("proxies.networks = [\"10.0.0.7\"]\n", false)] {
        let scratch = scratch();
        scratch.write("receiver.toml", format!("{reachable}{proxies}"));
        let said = scratch.run(["audit", "config", "receiver.toml", "--json"]).assert_code(0).stdout;
        assert_eq!(said.contains("\"hops-reachable\""), is_noted, "{proxies}: {said}");
    }
    for within in [
        "tolerance = 600",
        "tolerance = 30",
        "body.max_bytes = 26214400",
        "body.deadline = 60",
        "proxies.x_forwarded_for = 3",
    ] {
        assert_finds(within, &[]);
    }
}

#[test]
fn tolerance_of_a_custom_scheme_is_audited() {
    for (seconds, rule) in [(601, Some("tolerance-large")), (29, Some("tolerance-small")), (600, None), (30, None)] {
        let scratch = scratch();
        scratch.write("own.toml", format!("{OWN}tolerance = {seconds}\n"));
        scratch.write("receiver.toml", "scheme = \"own.toml\"\n");
        let found = scratch.run(["audit", "config", "receiver.toml", "--json"]).findings();
        // The settings have no line for it.
        assert_eq!(found, Vec::from_iter(rule.map(|rule| (rule.to_owned(), None))), "{seconds} s");
        // The setting replaces the tolerance of the scheme.
        scratch.write("receiver.toml", "scheme = \"own.toml\"\ntolerance = 300\n");
        scratch.run(["audit", "config", "receiver.toml"]).assert_code(0);
    }
}

/// A scheme with a timestamp.
const OWN: &str = r#"name = "own"
signature_headers = ["X-Own-Signature"]
timestamp = { header = "X-Own-Timestamp", format = "seconds" }
signed = ["timestamp", { literal = "." }, "body"]
"#;

#[test]
fn body_only_scheme_is_noted_with_choices() {
    let noted = |settings: &str, code| {
        let scratch = scratch();
        scratch.write("square.toml", SQUARE);
        scratch.write("receiver.toml", settings);
        let ran = scratch.run(["audit", "config", "receiver.toml", "--json"]).assert_code(code);
        let findings = ran.json()["findings"].as_array().unwrap().clone();
        (ran.findings(), findings.into_iter().filter(|finding| finding["severity"] == "note").collect::<Vec<_>>())
    };
    let by_id = |notes: &[serde_json::Value], id: &str| notes.iter().find(|note| note["id"] == id).cloned();
    for (choice, found) in [
        ("lifetime = 60", None),
        ("danger_simultaneous_only = true", Some(("danger-simultaneous-only".to_owned(), Some(3)))),
        (
            "danger_unsigned_id_header = \"X-Id\"\nlifetime = 60",
            Some(("danger-unsigned-id-header".to_owned(), Some(3))),
        ),
    ] {
        let code = i32::from(found.is_some());
        let (findings, notes) = noted(&format!("scheme = \"github\"\n[replay]\n{choice}\n"), code);
        assert_eq!(findings, Vec::from_iter(found), "{choice}");
        let note = by_id(&notes, "scheme-signs-body-only").unwrap();
        for name in ["replay.lifetime", "danger_unsigned_id_header", "danger_simultaneous_only"] {
            assert!(note["fix"].as_str().unwrap().contains(name), "{note}");
        }
        assert_eq!(note["line"], 1);
        assert!(by_id(&notes, "scheme-ambiguous").is_none());
    }
    let (_, notes) = noted("scheme = \"square.toml\"\nreplay.lifetime = 60\n", 0);
    assert!(by_id(&notes, "scheme-signs-body-only").is_some(), "equal bodies to one URL have the same signature");
    assert!(by_id(&notes, "scheme-ambiguous").is_some());
    let (_, notes) = noted("scheme = \"standard_webhooks\"\n", 0);
    assert!(notes.is_empty(), "{notes:?}");
}

/// A scheme that signs the URL and the body without a separator.
const SQUARE: &str = r#"name = "square"
signature_headers = ["x-square-hmacsha256-signature"]
danger_ambiguous_content = true
signed = [{ url = { base = "https://hooks.example" } }, "body"]
"#;

#[test]
fn weak_old_shared_and_readable_keys_are_found() {
    let second = |secret: &str, more: &str| {
        format!("{KEYS}[[sender]]\nid = \"globex\"\n[[sender.key]]\nid = \"k\"\nsecret = \"{secret}\"\n{more}")
    };
    let strong = "Zp4Xr9LmQv7Tk2WcYb6NsJd1HfGa8EuRo3KiVxMz5BtCqPwSnD";
    let shared = second("u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n", "");
    let cases: &[(&str, u32, &[&str])] = &[
        (&second(strong, ""), 0o600, &[]),
        (&second(strong, ""), 0o644, &["keys-file-open"]),
        (&second("changeme", ""), 0o600, &["secret-placeholder", "secret-short", "keys-file-refused"]),
        (&second(strong, "not_before = 2020-01-01T00:00:00Z\n"), 0o600, &["key-old"]),
        (&second(strong, "not_after = 2020-01-01T00:00:00Z\n"), 0o600, &["sender-without-key", "key-expired"]),
        (&shared, 0o600, &["secret-shared", "keys-file-refused", "keys-file-refused"]),
    ];
    for (keys, mode, rules) in cases {
        let scratch = scratch();
        set_mode(&scratch.write("keys.toml", keys), *mode);
        scratch.write("receiver.toml", "\nkeys = \"keys.toml\"\n");
        let ran = scratch.run(["audit", "config", "receiver.toml", "--json"]);
        let expected: Vec<_> = rules.iter().map(|rule| ((*rule).to_owned(), Some(2))).collect();
        assert_eq!(ran.findings(), expected, "{keys}");
        assert!(!ran.stdout.contains("changeme") && !ran.stdout.contains(strong), "{ran:?}");
    }
    let scratch = scratch();
    scratch.write("keys.toml", &shared);
    scratch.write("receiver.toml", "keys = \"keys.toml\"\ndanger_allow_shared_secrets = true\n");
    let found = scratch.run(["audit", "config", "receiver.toml", "--json"]).assert_code(1).findings();
    assert_eq!(found, [("danger-allow-shared-secrets".to_owned(), Some(2))]);
}

#[test]
fn invalid_settings_fail_with_one_line() {
    let scratch = scratch();
    for (settings, problem) in [
        ("a = 1\n", "line 1: unknown field `a`"),
        ("\n[quotas.accepted]\nlimit = 1\nper = 1\nburst = 2\n", "line 5: unknown field `burst`"),
        ("tolerance = \"canary-93\"\n", "line 1: expected u32"),
        ("tolerance = 0\n", "line 1: tolerance: must be whole seconds from 1 s to 86400 s"),
        ("tolerance = -1\n", "line 1: expected u32"),
        ("tolerance 300\n", "line 1: "),
        ("body.max_bytes = 0\n", "line 1: body.max_bytes: must be at least 1 byte"),
        ("body.deadline = 86401\n", "line 1: body.deadline: must be at most one day"),
        ("replay.lease = 5\nbody.max_bytes_in_flight = 1\n", "line 2: body.max_bytes_in_flight: must be at least"),
        (
            "[quotas]\nrejected_by_peer = { limit = 1, per = 1 }\ndanger_unlimited_rejected = true\n",
            "line 2: quotas.rejected_by_peer: must not be set with",
        ),
        ("quotas.accepted = { limit = 0, per = 60 }\n", "line 1: quotas.accepted: must allow at least one request"),
        ("quotas.accepted = { limit = 1, per = 0 }\n", "line 1: quotas.accepted: "),
        ("proxies.x_forwarded_for = 17\n", "line 1: proxies.x_forwarded_for: must be within 1..=16, not 17"),
        ("# one\nmethods = []\n", "line 2: methods: must list at least one"),
        ("methods = [\"PO ST\"]\n", "line 1: methods: must be uppercase tokens such as POST, not \"PO ST\""),
        ("methods = \"POST\"\n", "line 1: expected a sequence"),
        (
            "\ncontent_types = [\"json\"]\n",
            "line 2: content_types: must be media types without parameters, such as application/json, not \"json\"",
        ),
        (
            "proxies.forwarded = 1\nproxies.networks = [\"proxy.example\"]\n",
            "line 2: proxies.networks: \"proxy.example\" must be an address",
        ),
        (
            "proxies.forwarded = 1\nproxies.networks = []\n",
            "line 2: proxies.networks: must name at least one address or network",
        ),
        ("proxies.forwarded = 17\n", "line 1: proxies.forwarded: must be within"),
        ("proxies.networks = [\"10.0.0.7\"]\n", "line 1: proxies.networks: requires x_forwarded_for or forwarded"),
        ("[proxies]\nx_forwarded_for = 1\nforwarded = 1\n", "line 3: proxies.forwarded: must not be set with"),
        ("quotas.replicas = 0\n", "line 1: quotas.replicas: must be at least 1"),
        ("listen = \"here\"\n", "line 1: listen: must be an address"),
        ("scheme = \"unknown\"\n", "line 1: must be a file or one of"),
        ("\nscheme = \"github\"\n", "line 2: replay: must define when equal bodies are duplicates"),
        ("scheme = \"github\"\n", "set lifetime (within the lifetime), danger_simultaneous_only"),
        (
            "scheme = \"github\"\n[replay]\nlifetime = 60\ndanger_simultaneous_only = true\n",
            "line 4: replay.danger_simultaneous_only: must not be set with",
        ),
        (
            "scheme = \"github\"\n[replay]\nlifetime = 60\ndanger_unsigned_id_header = \"a b\"\n",
            "line 4: replay.danger_unsigned_id_header: must be a header's name",
        ),
        ("replay = { store = \"none\" }\n", "line 1: replay.store: \"none\" requires danger_off"),
        ("replay = { store = \"redis\" }\n", "line 1: replay.store: \"redis\" requires redis_url"),
        ("replay = { store = \"disk\" }\n", "line 1: unknown variant"),
        ("[replay]\nlease = 0\n", "line 2: replay.lease: must be more than zero"),
        ("[replay]\ndanger_off = true\nduplicates_conflict = true\n", "line 3: replay.duplicates_conflict: "),
        (
            "redis_url = \"redis://127.0.0.1\"\ndanger_report_only = true\n",
            "line 2: danger_report_only: must not be set with redis_url",
        ),
        ("redis_url = \"http://canary-93\"\n", "line 1: redis_url: must be redis://"),
        ("redis_url = \"redis+sentinel://:canary-93@a,b\"\n", "line 1: redis_url: must name the primary"),
        ("redis_url = \"redis+cluster://:canary-93@a/1\"\n", "line 1: redis_url: must name no database"),
        ("keys = \"none.toml\"\n", "none.toml: "),
    ] {
        scratch.write("receiver.toml", settings);
        let ran = scratch.run(["audit", "config", "receiver.toml"]);
        assert!(!ran.stderr.contains("canary"), "{ran:?}");
        ran.assert_refused(problem);
    }
    scratch.run(["audit", "config", "none"]).assert_refused("none: ");
}

#[test]
fn settings_in_help_are_accepted() {
    let scratch = scratch();
    let help = scratch.run(["audit", "config", "--help"]).assert_code(0).stdout;
    let is_toml = |line: &&str| line.starts_with("  ") && (line.contains(" = ") || line.starts_with("  ["));
    let settings: String = help.lines().filter(is_toml).collect::<Vec<_>>().join("\n");
    for table in ["[body]", "[quotas]", "[replay]", "[proxies]"] {
        assert!(settings.contains(table), "{settings}");
    }
    scratch.write("receiver.toml", &settings);
    let found = scratch.run(["audit", "config", "receiver.toml", "--json"]).assert_code(0).findings();
    assert_eq!(found, []);
}

#[test]
fn markdown_and_sarif_name_file_and_line() {
    let scratch = scratch();
    scratch.write("my receiver.toml", "\ntolerance = 700\n");
    let run =
        |format: &str| scratch.run(["audit", "config", "my receiver.toml", "--format", format]).assert_code(1).stdout;
    assert!(run("markdown").contains("| medium | 2 | tolerance-large |"), "{}", run("markdown"));
    let sarif: serde_json::Value = serde_json::from_str(&run("sarif")).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"my%20receiver.toml".into(), &2.into())
    );
}

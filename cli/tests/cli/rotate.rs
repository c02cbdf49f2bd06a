//! `hookwarden rotate`: what it changes and keeps, and concurrent and killed runs.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::thread;

use hookwarden::Scheme;
use hookwarden::keys::{FileKeys, KeyStore};

use super::scratch::{Running, Scratch, mode, set_mode};

const FILE: &str = r#"# All our senders.

# Acme, since 2024.
[[sender]]
id = "acme" # as in the URL

# The first key.
[[sender.key]]
id = "first"   # shown
secret = "u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n"
not_before = 2024-01-01T00:00:00Z
not_after = "2999-01-01T00:00:00Z" # far

# Older still.
[[sender.key]]
id = "gone"
secret = "R8kVd2mXq6TzJw0YbLs9HnGfCe3UaPo5ItQxZr7KvMj1WyNhB4"
not_after = 2020-01-01T00:00:00Z

# Globex.
[[sender]]
id = "globex"
key = [
  # inline
  { id = "one", secret = "Zp4Xr9LmQv7Tk2WcYb6NsJd1HfGa8EuRo3KiVxMz5BtCqPwSnD" }, # behind
]
# The end.
"#;

/// The number of a sender's keys that the library loads, including expired ones.
#[track_caller]
fn keys_of(scratch: &Scratch, sender: &str) -> usize {
    let keys = FileKeys::open(&Scheme::timestamped(), scratch.path("keys.toml")).unwrap();
    format!("{:?}", keys.find(sender).unwrap().unwrap()).matches("KeyId").count()
}

/// The removed and the added lines.
fn difference(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let lost = before.lines().filter(|line| !after.lines().any(|other| other == *line)).map(str::to_owned).collect();
    let new = after.lines().filter(|line| !before.lines().any(|other| other == *line)).map(str::to_owned).collect();
    (lost, new)
}

#[test]
fn new_key_comes_first_and_comments_stay() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let arguments = ["rotate", "keys.toml", "--id", "acme", "--start", "2100-01-01T00:00:00Z", "--overlap", "36h"];
    let ran = scratch.run(arguments.into_iter().chain(["--key-id", "new", "--show-secret"])).assert_code(0);
    let secret = ran.stdout.trim_end();
    assert_eq!(secret.len(), 64);
    let after = scratch.read("keys.toml");
    let (lost, new) = difference(FILE, &after);
    assert_eq!(lost, ["not_after = \"2999-01-01T00:00:00Z\" # far"]);
    let secret_line = format!("secret = \"{secret}\"");
    let expected =
        ["id = \"new\"", &secret_line, "not_before = 2100-01-01T00:00:00Z", "not_after = 2100-01-02T12:00:00Z # far"];
    assert_eq!(new, expected);
    assert!(after.find("\"new\"").unwrap() < after.find("# The first key.").unwrap(), "{after}");
    let order: Vec<_> = [
        "# All our",
        "# Acme",
        "# as in",
        "# The first",
        "# shown",
        "# far",
        "# Older",
        "# Globex",
        "# inline",
        "# behind",
        "# The end.",
    ]
    .iter()
    .map(|comment| after.find(comment).unwrap_or_else(|| panic!("{comment} is lost: {after}")))
    .collect();
    assert!(order.is_sorted());
}

#[test]
fn inline_keys_are_rotated() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    scratch.run(["rotate", "keys.toml", "--id", "globex"]).assert_code(0);
    assert_eq!(keys_of(&scratch, "globex"), 2);
    let after = scratch.read("keys.toml");
    assert!(after.contains("  # inline\n") && after.contains(" }, # behind\n"), "{after}");
    let (lost, new) = difference(FILE, &after);
    assert_eq!((lost.len(), new.len()), (1, 2), "{after}");
}

#[test]
fn secret_is_shown_only_on_request() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let secrets = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix("secret = \""))
            .map(|line| line.trim_end_matches('"').into())
            .collect()
    };
    for extra in [&[][..], &["--json"], &["--dry-run", "--show-secret"], &["--secret-output", "acme.txt"]] {
        let ran = scratch.run(["rotate", "keys.toml", "--id", "acme"].iter().chain(extra)).assert_code(0);
        for secret in secrets(&scratch.read("keys.toml")) {
            assert!(!ran.stdout.contains(&secret) && !ran.stderr.contains(&secret), "{extra:?}: {ran:?}");
        }
        assert!(!ran.stdout.lines().any(|line| line.len() == 64), "{ran:?}");
    }
    let newest = &secrets(&scratch.read("keys.toml"))[0];
    assert_eq!(scratch.read("acme.txt"), format!("{newest}\n"));
    assert_eq!(mode(&scratch.path("acme.txt")), 0o600);
    let shown = scratch.run(["rotate", "keys.toml", "--id", "acme", "--show-secret", "--json"]).assert_code(0);
    assert_eq!(shown.json()["secret"].as_str().unwrap(), secrets(&scratch.read("keys.toml"))[0]);
}

#[test]
fn existing_secret_file_stops_the_rotation() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    scratch.write("acme.txt", "precious");
    scratch
        .run(["rotate", "keys.toml", "--id", "acme", "--secret-output", "acme.txt"])
        .assert_refused("already exists");
    assert_eq!((scratch.read("keys.toml"), scratch.read("acme.txt")), (FILE.into(), "precious".into()));
}

#[test]
fn dry_run_changes_nothing() {
    let scratch = Scratch::new();
    let before = fs::metadata(scratch.write("keys.toml", FILE)).unwrap();
    let ran =
        scratch.run(["rotate", "keys.toml", "--id", "acme", "--prune", "--dry-run", "--json"]).assert_code(0).json();
    assert_eq!(
        (&ran["dry_run"], &ran["pruned"][0], &ran["ended"][0]["key_id"]),
        (&true.into(), &"gone".into(), &"first".into())
    );
    let after = fs::metadata(scratch.path("keys.toml")).unwrap();
    assert_eq!((after.ino(), after.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    assert_eq!(fs::read_dir(scratch.path(".")).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn supplied_secret_is_checked_before_use() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let secret = "W7nBq3Xv9LdTz5RmKc1YpHs8GfJa2EuQo6ViMx4Nr0ZwCtDkSb";
    let rotate = |text: &str| {
        let arguments = ["rotate", "keys.toml", "--id", "acme", "--secret-file", "-"];
        scratch.run_with_input(arguments, text)
    };
    for (bad, problem) in [
        ("changeme-canary", "placeholder"),
        ("", "must not be empty"),
        ("short-canary-1", "has 14 characters"),
        (" padded-canary", "white space"),
        ("Zp4Xr9LmQv7Tk2WcYb6NsJd1HfGa8EuRo3KiVxMz5BtCqPwSnD", "already key one of sender globex"),
    ] {
        let ran = rotate(bad);
        assert!(!ran.stderr.contains("canary"), "{ran:?}");
        ran.assert_refused(problem);
        assert_eq!(scratch.read("keys.toml"), FILE);
    }
    rotate(&format!("{secret}\n")).assert_code(0);
    // A provider's secret with 22 characters.
    let short = rotate("vKp0_5AKakO-3qeNVR61Dw\n").assert_code(0);
    assert!(short.stderr.contains("has 22 characters"), "{short:?}");
    assert!(scratch.read("keys.toml").contains(&format!("secret = \"{secret}\"\n")));
}

#[test]
fn ninth_key_is_refused_until_prune() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    for n in 3..=8 {
        scratch.run(["rotate", "keys.toml", "--id", "acme", "--key-id", &format!("k{n}")]).assert_code(0);
    }
    let full = scratch.read("keys.toml");
    scratch
        .run(["rotate", "keys.toml", "--id", "acme"])
        .assert_refused("already has the maximum of 8 keys; gone expired; add --prune to remove them");
    assert_eq!(scratch.read("keys.toml"), full);
    scratch.run(["rotate", "keys.toml", "--id", "acme", "--prune"]).assert_code(0);
    assert!(!scratch.read("keys.toml").contains("\"gone\""));
    assert_eq!(keys_of(&scratch, "acme"), 8);
    scratch.run(["rotate", "keys.toml", "--id", "acme", "--prune"]).assert_refused("none is expired");
}

#[test]
fn keys_of_one_day_are_numbered() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let ids: Vec<_> = (0..3)
        .map(|_| {
            let ran = scratch.run(["rotate", "keys.toml", "--id", "acme", "--start", "2090-05-06T07:08:09Z", "--json"]);
            ran.assert_code(0).json()["key_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids, ["2090-05-06", "2090-05-06.2", "2090-05-06.3"]);
}

#[test]
fn new_key_matches_the_secret_format() {
    let scratch = Scratch::new();
    let hex = scratch.write("hex.toml", HEX_SCHEME);
    for (scheme, secret, length) in [
        ("standard_webhooks", "whsec_5WaeChXwRSRp0TCRm1OVYanuX+4airrxnNJDQAKCiFS5ZsIZjElCvjaOHQcZuqAL", 70),
        (hex.to_str().unwrap(), "a5668c8b875e7c18888a928cfc5c0c9a67db5c4852d1071666317e717cc16559", 64),
    ] {
        let file = format!("[[sender]]\nid = \"a\"\n[[sender.key]]\nid = \"k\"\nsecret = \"{secret}\"\n");
        scratch.write("keys.toml", &file);
        let ran = scratch.run(["rotate", "keys.toml", "--id", "a", "--scheme", scheme, "--show-secret"]).assert_code(0);
        assert_eq!(ran.stdout.trim_end().len(), length, "{scheme}");
    }
}

#[test]
fn linked_file_keeps_mode_and_owner() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("real")).unwrap();
    set_mode(&scratch.path("real"), 0o755);
    let real = scratch.write("real/keys.toml", FILE);
    symlink("real/keys.toml", scratch.path("keys.toml")).unwrap();
    for wanted in [0o640, 0o600, 0o400] {
        set_mode(&real, wanted);
        let before = fs::metadata(&real).unwrap();
        scratch.run(["rotate", "keys.toml", "--id", "acme"]).assert_code(0);
        let after = fs::metadata(&real).unwrap();
        assert_eq!(mode(&real), wanted);
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_ne!(after.ino(), before.ino(), "it is another file");
    }
    assert!(scratch.path("keys.toml").is_symlink());
    assert_eq!(keys_of(&scratch, "acme"), 5);
}

#[test]
fn writable_directory_requires_danger_flag() {
    let scratch = Scratch::new();
    for name in ["open", "open/inside", "elsewhere"] {
        fs::create_dir(scratch.path(name)).unwrap();
        set_mode(&scratch.path(name), 0o755);
        scratch.write(&format!("{name}/keys.toml"), FILE);
    }
    symlink("../elsewhere/keys.toml", scratch.path("open/link.toml")).unwrap();
    for mode in [0o777, 0o775, 0o1777] {
        set_mode(&scratch.path("open"), mode);
        scratch.run(["rotate", "open/keys.toml", "--id", "acme"]).assert_refused(&format!("its mode is {mode:04o}"));
        scratch
            .run(["rotate", "open/keys.toml", "--id", "acme", "--dry-run"])
            .assert_refused("--danger-writable-directory");
        // Others could change the link to any keys file.
        let link = ["rotate", "open/link.toml", "--id", "acme", "--danger-writable-directory"];
        scratch.run(link).assert_refused("must not be a link that other users can change");
    }
    // A user who can write to a parent directory can replace the directory, except in a sticky one.
    scratch.run(["rotate", "open/inside/keys.toml", "--id", "acme"]).assert_code(0);
    set_mode(&scratch.path("open"), 0o777);
    scratch.run(["rotate", "open/inside/keys.toml", "--id", "globex"]).assert_refused("/open: its mode is 0777)");
    for name in ["open", "elsewhere"] {
        assert_eq!(scratch.read(&format!("{name}/keys.toml")), FILE);
    }
    scratch.run(["rotate", "open/keys.toml", "--id", "acme", "--danger-writable-directory"]).assert_code(0);
    assert_ne!(scratch.read("open/keys.toml"), FILE);
}

#[test]
fn world_readable_file_causes_a_warning() {
    let scratch = Scratch::new();
    set_mode(&scratch.write("keys.toml", FILE), 0o644);
    let ran = scratch.run(["rotate", "keys.toml", "--id", "acme"]).assert_code(0);
    assert!(ran.stderr.contains("every user of the machine may read it (mode 0644)"), "{ran:?}");
    assert!(!ran.stderr.contains(".hookwarden-"), "{ran:?}");
}

#[test]
fn concurrent_rotations_lose_no_key() {
    for _ in 0..5 {
        let scratch = Scratch::new();
        scratch.write("keys.toml", FILE);
        let children: Vec<_> = (0..6)
            .map(|n| {
                let id = format!("at-once-{n}");
                Running::start(&mut scratch.command(["rotate", "keys.toml", "--id", "acme", "--key-id", &id]))
            })
            .collect();
        for child in children {
            child.finish().assert_code(0);
        }
        let text = scratch.read("keys.toml");
        for n in 0..6 {
            assert!(text.contains(&format!("\"at-once-{n}\"")), "{n} is lost: {text}");
        }
        assert_eq!(keys_of(&scratch, "acme"), 8);
    }
}

#[test]
fn killed_rotation_leaves_a_whole_file() {
    let has_temporary_file = |scratch: &Scratch| {
        let names = fs::read_dir(scratch.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
        names.into_iter().any(|name| name.to_string_lossy().starts_with(".hookwarden-"))
    };
    let has_new_file = |scratch: &Scratch| scratch.read("keys.toml") != FILE;
    // The rotation is killed at its start, when it begins to write, and when it has replaced the file.
    let moments: [&dyn Fn(&Scratch) -> bool; 3] = [&|_| true, &has_temporary_file, &has_new_file];
    let mut unchanged = 0;
    for condition in moments {
        for _ in 0..12 {
            let scratch = Scratch::new();
            scratch.write("keys.toml", FILE);
            let arguments = ["rotate", "keys.toml", "--id", "acme", "--key-id", "killed"];
            let mut running = Running::start(&mut scratch.command(arguments));
            // The condition holds only briefly. If this loop misses it, the rotation finishes and the loop ends.
            while running.is_running() && !condition(&scratch) {
                thread::yield_now();
            }
            running.kill();
            match keys_of(&scratch, "acme") {
                2 => {
                    assert_eq!(scratch.read("keys.toml"), FILE);
                    unchanged += 1;
                }
                3 => {}
                other => panic!("{other} keys"),
            }
            scratch.run(["rotate", "keys.toml", "--id", "acme", "--key-id", "after"]).assert_code(0);
        }
    }
    // On a busy machine one rotation may end before it is killed, but not all.
    assert!(unchanged > 0, "no rotation was killed in time");
}

#[test]
fn crash_while_writing_leaves_old_file() {
    let scratch = Scratch::new();
    let long = format!("{FILE}{}", "# a comment that makes the file long\n".repeat(1_000));
    scratch.write("keys.toml", &long);
    // The kernel ends the process at the 16th KiB that it writes to a file.
    let ran = scratch.shell("ulimit -c 0; ulimit -f 16; hookwarden rotate keys.toml --id acme");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!(scratch.read("keys.toml"), long);
    scratch.run(["rotate", "keys.toml", "--id", "acme"]).assert_code(0);
}

#[test]
fn invalid_input_changes_nothing() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let rotate = |extra: &[&str]| scratch.run(["rotate", "keys.toml"].iter().chain(extra));
    rotate(&["--id", "acm"]).assert_refused("must contain the sender \"acm\"; it contains acme, globex");
    rotate(&["--id", "acme", "--key-id", "a b"]).assert_refused("key id");
    rotate(&["--id", "acme", "--key-id", "first"]).assert_refused("two keys have the id first");
    rotate(&["--id", "acme", "--kind", "env"]).assert_refused("--kind: must be a single kind");
    rotate(&["--id", "acme", "--start", "2001-01-01T00:00:00Z"])
        .assert_refused("the old keys would have expired already");
    rotate(&["--id", "acme", "--secret-env", "NOT_THERE"]).assert_refused("NOT_THERE is not set");
    rotate(&["--id", "acme", "--scheme", "unknown"]).assert_refused("--scheme: must be a file or one of");
    rotate(&["--report", "--id", "acm"]).assert_refused("must contain the sender \"acm\"");
    rotate(&["--events", "none.log"]).assert_refused("none.log: ");
    for bad in [&["--overlap", "24"][..], &["--overlap", "-1h"], &["--overlap", "99999d"], &["--start", "tomorrow"]] {
        assert!(rotate(&[&["--id", "acme"], bad].concat()).assert_code(2).stdout.is_empty(), "{bad:?}");
    }
    assert_eq!(scratch.read("keys.toml"), FILE);
    scratch.run(["rotate", "none.toml", "--id", "acme"]).assert_refused("none.toml: ");
    scratch.run(["rotate", ".", "--id", "acme"]).assert_refused("must be a TOML file, but is a directory");
    scratch.write("broken.toml", "[[sender]]\nid = \"a\"\nsecret canary\n");
    scratch.run(["rotate", "broken.toml", "--id", "a"]).assert_refused("broken.toml: line 3: ");
    let late = FILE.replace("2024-01-01", "2998-01-01");
    scratch.write("late.toml", &late);
    scratch.run(["rotate", "late.toml", "--id", "acme"]).assert_refused("key first begins after the overlap");
}

#[test]
fn report_lists_expired_old_and_unused_keys() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let found = |extra: &[&str]| {
        let ran = scratch.run(["rotate", "keys.toml", "--json"].iter().chain(extra));
        let code = if ran.findings().is_empty() { 0 } else { 1 };
        let rules: Vec<_> =
            ran.findings().into_iter().map(|(rule, line)| format!("{rule} {}", line.unwrap())).collect();
        ran.assert_code(code);
        rules
    };
    assert_eq!(found(&[]), ["key-old 10", "key-expired 17"]);
    assert_eq!(found(&["--report", "--id", "globex"]), Vec::<String>::new());
    assert_eq!(found(&["--max-age", "3650d"]), ["key-expired 17"]);
    scratch.write("events.log", TEXT_EVENTS);
    assert_eq!(found(&["--events", "events.log"]), ["key-old 10", "key-expired 17", "key-unused 25"]);
    scratch.write("events.json", JSON_EVENTS);
    assert_eq!(found(&["--events", "events.json"]), ["key-unused 10", "key-expired 17"]);
    assert_eq!(scratch.read("keys.toml"), FILE);
    scratch.write("keys.toml", FILE.replace("2999-", "2025-"));
    assert_eq!(found(&["--report", "--id", "acme"]), ["sender-without-key 10", "key-expired 10", "key-expired 17"]);
}

/// The sender signs with the key, even if the handler fails.
#[test]
fn released_requests_count_as_uses() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let fields = "outcome=\"released\" status=500 webhook_id=\"globex\" key_id=\"one\"";
    let text = format!("2026-11-20T10:00:00Z  WARN hookwarden: delivery not committed {fields}\n");
    let json = "{\"outcome\":\"released\",\"webhook_id\":\"globex\",\"key_id\":\"one\"}\n";
    for events in [&text, json] {
        scratch.write("events.log", events);
        let report = ["rotate", "keys.toml", "--report", "--id", "globex", "--events", "events.log", "--json"];
        assert_eq!(scratch.run(report).assert_code(0).findings(), [], "{events}");
    }
}

/// One accepted request of `acme` with the key `first`, coloured, and lines that only resemble one of `globex`.
const TEXT_EVENTS: &str = "\
\u{1b}[2m2026-11-20T10:00:00Z\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m \u{1b}[2mhookwarden\u{1b}[0m\u{1b}[2m:\u{1b}[0m webhook accepted \
\u{1b}[3moutcome\u{1b}[0m\u{1b}[2m=\u{1b}[0m\"accepted\" \u{1b}[3mwebhook_id\u{1b}[0m\u{1b}[2m=\u{1b}[0m\"acme\" \
\u{1b}[3mkey_id\u{1b}[0m\u{1b}[2m=\u{1b}[0m\"first\" skew_s=0
2026-11-20T10:00:00Z  WARN hookwarden: webhook refused outcome=\"refused\" reason=\"mismatch\" webhook_id=\"globex\" key_id=\"one\"
2026-11-20T10:00:00Z  INFO hookwarden: webhook accepted outcome=\"accepted\" webhook_id=\"x\\\" webhook_id=\\\"globex\\\" key_id=\\\"one\" key_id=\"y\"
2026-11-20T10:00:00Z  INFO hookwarden: webhook accepted outcome=\"accepted\" webhook_id=\"globex
another program's line
";

/// One accepted request of `globex` with the key `one`, and other lines.
const JSON_EVENTS: &str = r#"{"timestamp":"2026-11-20T10:00:00Z","level":"INFO","fields":{"message":"webhook accepted","outcome":"accepted","webhook_id":"globex","key_id":"one"},"target":"hookwarden"}
{"outcome":"refused","webhook_id":"acme","key_id":"first"}
{"outcome":"accepted","webhook_id":"acme"}
{"broken
"#;

const HEX_SCHEME: &str = r#"
name = "hex"
signature_headers = ["X-Signature"]
signed = ["body"]
secret = "hex"
"#;

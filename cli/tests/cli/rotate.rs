//! `hookwarden rotate`: what it changes, what it keeps, and what happens to two at once and to one that is killed.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use hookwarden::Scheme;
use hookwarden::keys::{FileKeys, KeyStore};

use super::scratch::{Scratch, mode, set_mode, wait};

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

/// How many keys a sender has, expired ones included, for the library.
#[track_caller]
fn keys_of(scratch: &Scratch, sender: &str) -> usize {
    let keys = FileKeys::open(&Scheme::timestamped(), scratch.path("keys.toml")).unwrap();
    format!("{:?}", keys.find(sender).unwrap().unwrap()).matches("KeyId").count()
}

/// The lines of `after` that are not in `before`, and the other way round.
fn difference(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let lost = before.lines().filter(|line| !after.lines().any(|other| other == *line)).map(str::to_owned).collect();
    let new = after.lines().filter(|line| !before.lines().any(|other| other == *line)).map(str::to_owned).collect();
    (lost, new)
}

#[test]
fn new_key_comes_first_and_overlaps_and_everything_else_stays() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let arguments = ["rotate", "keys.toml", "--id", "acme", "--start", "2100-01-01T00:00:00Z", "--overlap", "36h"];
    let ran = scratch.run(arguments.into_iter().chain(["--key-id", "new", "--show-secret"])).ended_with(0);
    let secret = ran.out.trim_end();
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
fn inline_keys_are_rotated_too() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    scratch.run(["rotate", "keys.toml", "--id", "globex"]).ended_with(0);
    assert_eq!(keys_of(&scratch, "globex"), 2);
    let after = scratch.read("keys.toml");
    assert!(after.contains("  # inline\n") && after.contains(" }, # behind\n"), "{after}");
    let (lost, new) = difference(FILE, &after);
    assert_eq!((lost.len(), new.len()), (1, 2), "{after}");
}

#[test]
fn secret_is_shown_only_where_that_was_asked_for() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let secrets = |text: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix("secret = \""))
            .map(|line| line.trim_end_matches('"').into())
            .collect()
    };
    for extra in [&[][..], &["--json"], &["--dry-run", "--show-secret"], &["--secret-output", "acme.txt"]] {
        let ran = scratch.run(["rotate", "keys.toml", "--id", "acme"].iter().chain(extra)).ended_with(0);
        for secret in secrets(&scratch.read("keys.toml")) {
            assert!(!ran.out.contains(&secret) && !ran.err.contains(&secret), "{extra:?}: {ran:?}");
        }
        assert!(!ran.out.lines().any(|line| line.len() == 64), "{ran:?}");
    }
    let newest = &secrets(&scratch.read("keys.toml"))[0];
    assert_eq!(scratch.read("acme.txt"), format!("{newest}\n"));
    assert_eq!(mode(&scratch.path("acme.txt")), 0o600);
    let shown = scratch.run(["rotate", "keys.toml", "--id", "acme", "--show-secret", "--json"]).ended_with(0);
    assert_eq!(shown.json()["secret"].as_str().unwrap(), secrets(&scratch.read("keys.toml"))[0]);
}

#[test]
fn secret_file_that_exists_stops_the_rotation() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    scratch.write("acme.txt", "precious");
    scratch.run(["rotate", "keys.toml", "--id", "acme", "--secret-output", "acme.txt"]).refused("is there already");
    assert_eq!((scratch.read("keys.toml"), scratch.read("acme.txt")), (FILE.into(), "precious".into()));
}

#[test]
fn dry_run_changes_nothing() {
    let scratch = Scratch::new();
    let before = fs::metadata(scratch.write("keys.toml", FILE)).unwrap();
    let ran =
        scratch.run(["rotate", "keys.toml", "--id", "acme", "--prune", "--dry-run", "--json"]).ended_with(0).json();
    assert_eq!(
        (&ran["dry_run"], &ran["pruned"][0], &ran["ended"][0]["key_id"]),
        (&true.into(), &"gone".into(), &"first".into())
    );
    let after = fs::metadata(scratch.path("keys.toml")).unwrap();
    assert_eq!((after.ino(), after.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    assert_eq!(fs::read_dir(scratch.path(".")).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn supplied_secret_is_taken_and_judged() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let secret = "W7nBq3Xv9LdTz5RmKc1YpHs8GfJa2EuQo6ViMx4Nr0ZwCtDkSb";
    let rotate = |text: &str| {
        let arguments = ["rotate", "keys.toml", "--id", "acme", "--secret-file", "-"];
        scratch.finish(scratch.command().args(arguments), text)
    };
    for (bad, problem) in [
        ("changeme-canary", "placeholder"),
        ("", "is empty"),
        ("short-canary-1", "has 14 characters"),
        (" padded-canary", "white space"),
        ("Zp4Xr9LmQv7Tk2WcYb6NsJd1HfGa8EuRo3KiVxMz5BtCqPwSnD", "is there already, as key one of sender globex"),
    ] {
        let ran = rotate(bad);
        assert!(!ran.err.contains("canary"), "{ran:?}");
        ran.refused(problem);
        assert_eq!(scratch.read("keys.toml"), FILE);
    }
    rotate(&format!("{secret}\n")).ended_with(0);
    // A provider's own, 22 characters long.
    let short = rotate("vKp0_5AKakO-3qeNVR61Dw\n").ended_with(0);
    assert!(short.err.contains("has 22 characters"), "{short:?}");
    assert!(scratch.read("keys.toml").contains(&format!("secret = \"{secret}\"\n")));
}

#[test]
fn eight_keys_are_the_most_and_prune_makes_room() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    for n in 3..=8 {
        scratch.run(["rotate", "keys.toml", "--id", "acme", "--key-id", &format!("k{n}")]).ended_with(0);
    }
    let full = scratch.read("keys.toml");
    scratch
        .run(["rotate", "keys.toml", "--id", "acme"])
        .refused("has 8 keys already; gone expired; --prune removes them");
    assert_eq!(scratch.read("keys.toml"), full);
    scratch.run(["rotate", "keys.toml", "--id", "acme", "--prune"]).ended_with(0);
    assert!(!scratch.read("keys.toml").contains("\"gone\""));
    assert_eq!(keys_of(&scratch, "acme"), 8);
    scratch.run(["rotate", "keys.toml", "--id", "acme", "--prune"]).refused("none expired");
}

#[test]
fn keys_of_one_day_get_numbers() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let ids: Vec<_> = (0..3)
        .map(|_| {
            let ran = scratch.run(["rotate", "keys.toml", "--id", "acme", "--start", "2090-05-06T07:08:09Z", "--json"]);
            ran.ended_with(0).json()["key_id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids, ["2090-05-06", "2090-05-06.2", "2090-05-06.3"]);
}

#[test]
fn key_has_the_form_that_the_scheme_takes() {
    let scratch = Scratch::new();
    let hex = scratch.write("hex.toml", HEX_SCHEME);
    for (scheme, secret, length) in [
        ("standard_webhooks", "whsec_5WaeChXwRSRp0TCRm1OVYanuX+4airrxnNJDQAKCiFS5ZsIZjElCvjaOHQcZuqAL", 70),
        (hex.to_str().unwrap(), "a5668c8b875e7c18888a928cfc5c0c9a67db5c4852d1071666317e717cc16559", 64),
    ] {
        let file = format!("[[sender]]\nid = \"a\"\n[[sender.key]]\nid = \"k\"\nsecret = \"{secret}\"\n");
        scratch.write("keys.toml", &file);
        let ran = scratch.run(["rotate", "keys.toml", "--id", "a", "--scheme", scheme, "--show-secret"]).ended_with(0);
        assert_eq!(ran.out.trim_end().len(), length, "{scheme}");
    }
}

#[test]
fn link_is_followed_and_mode_and_owner_stay() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("real")).unwrap();
    let real = scratch.write("real/keys.toml", FILE);
    symlink("real/keys.toml", scratch.path("keys.toml")).unwrap();
    for wanted in [0o640, 0o600, 0o400] {
        set_mode(&real, wanted);
        let before = fs::metadata(&real).unwrap();
        scratch.run(["rotate", "keys.toml", "--id", "acme"]).ended_with(0);
        let after = fs::metadata(&real).unwrap();
        assert_eq!(mode(&real), wanted);
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_ne!(after.ino(), before.ino(), "it is another file");
    }
    assert!(scratch.path("keys.toml").is_symlink());
    assert_eq!(keys_of(&scratch, "acme"), 5);
}

#[test]
fn file_that_everybody_may_read_is_warned_about() {
    let scratch = Scratch::new();
    set_mode(&scratch.write("keys.toml", FILE), 0o644);
    let ran = scratch.run(["rotate", "keys.toml", "--id", "acme"]).ended_with(0);
    assert!(ran.err.contains("every user of the machine may read it (mode 0644)"), "{ran:?}");
    assert!(!ran.err.contains(".hookwarden-"), "{ran:?}");
}

#[test]
fn rotations_at_once_lose_no_key() {
    for _ in 0..5 {
        let scratch = Scratch::new();
        scratch.write("keys.toml", FILE);
        let children: Vec<_> = (0..6)
            .map(|n| {
                let mut command = scratch.command();
                command.args(["rotate", "keys.toml", "--id", "acme", "--key-id", &format!("at-once-{n}")]);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
            })
            .collect();
        for mut child in children {
            assert_eq!(wait(&mut child), Some(0));
        }
        let text = scratch.read("keys.toml");
        for n in 0..6 {
            assert!(text.contains(&format!("\"at-once-{n}\"")), "{n} is lost: {text}");
        }
        assert_eq!(keys_of(&scratch, "acme"), 8);
    }
}

#[test]
fn rotation_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let scratch = Scratch::new();
    let (mut old, mut new) = (0, 0);
    for n in 0..40_u64 {
        scratch.write("keys.toml", FILE);
        let mut command = scratch.command();
        command.args(["rotate", "keys.toml", "--id", "acme", "--key-id", "killed"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Where it dies is up to the scheduler: anywhere from its start to its end.
        thread::sleep(Duration::from_micros(n * 500));
        let _ = child.kill();
        child.wait().unwrap();
        match keys_of(&scratch, "acme") {
            2 => {
                assert_eq!(scratch.read("keys.toml"), FILE);
                old += 1;
            }
            3 => new += 1,
            other => panic!("{other} keys"),
        }
    }
    assert!(old > 0, "{old} old, {new} new");
    scratch.run(["rotate", "keys.toml", "--id", "acme", "--key-id", "after"]).ended_with(0);
}

#[test]
fn crash_in_the_middle_of_writing_leaves_the_old_file() {
    let scratch = Scratch::new();
    let long = format!("{FILE}{}", "# a comment that makes the file long\n".repeat(1_000));
    scratch.write("keys.toml", &long);
    // The kernel ends the process at the 16th KiB that it writes to a file.
    let ran = scratch.paste("ulimit -c 0; ulimit -f 16; hookwarden rotate keys.toml --id acme");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!(scratch.read("keys.toml"), long);
    scratch.run(["rotate", "keys.toml", "--id", "acme"]).ended_with(0);
}

#[test]
fn bad_input_is_one_line_and_exit_code_2_and_changes_nothing() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let rotate = |extra: &[&str]| scratch.run(["rotate", "keys.toml"].iter().chain(extra));
    rotate(&["--id", "acm"]).refused("has no sender \"acm\"; it has acme, globex");
    rotate(&["--id", "acme", "--key-id", "a b"]).refused("key id");
    rotate(&["--id", "acme", "--key-id", "first"]).refused("two of the id first");
    rotate(&["--id", "acme", "--kind", "env"]).refused("--kind env");
    rotate(&["--id", "acme", "--start", "2001-01-01T00:00:00Z"]).refused("the old keys would end in the past");
    rotate(&["--id", "acme", "--secret-env", "NOT_THERE"]).refused("NOT_THERE is not set");
    rotate(&["--id", "acme", "--scheme", "unknown"]).refused("--scheme: unknown is neither a file nor one of");
    rotate(&["--report", "--id", "acm"]).refused("has no sender \"acm\"");
    rotate(&["--events", "none.log"]).refused("none.log: ");
    for bad in [&["--overlap", "24"][..], &["--overlap", "-1h"], &["--overlap", "99999d"], &["--start", "tomorrow"]] {
        assert!(rotate(&[&["--id", "acme"], bad].concat()).ended_with(2).out.is_empty(), "{bad:?}");
    }
    assert_eq!(scratch.read("keys.toml"), FILE);
    scratch.run(["rotate", "none.toml", "--id", "acme"]).refused("none.toml: ");
    scratch.run(["rotate", ".", "--id", "acme"]).refused("is a directory");
    scratch.write("broken.toml", "[[sender]]\nid = \"a\"\nsecret canary\n");
    scratch.run(["rotate", "broken.toml", "--id", "a"]).refused("broken.toml: line 3: ");
    let late = FILE.replace("2024-01-01", "2998-01-01");
    scratch.write("late.toml", &late);
    scratch.run(["rotate", "late.toml", "--id", "acme"]).refused("key first begins only after the overlap");
}

#[test]
fn report_names_keys_that_are_expired_old_and_unused() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let found = |extra: &[&str]| {
        let ran = scratch.run(["rotate", "keys.toml", "--json"].iter().chain(extra));
        let code = if ran.findings().is_empty() { 0 } else { 1 };
        let rules: Vec<_> =
            ran.findings().into_iter().map(|(rule, line)| format!("{rule} {}", line.unwrap())).collect();
        ran.ended_with(code);
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
    scratch.write("keys.toml", &FILE.replace("2999-", "2025-"));
    assert_eq!(found(&["--report", "--id", "acme"]), ["sender-without-key 10", "key-expired 10", "key-expired 17"]);
}

/// One accepted request of `acme` by `first`, coloured; and what only looks like one of `globex`.
const TEXT_EVENTS: &str = "\
\u{1b}[2m2026-11-20T10:00:00Z\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m \u{1b}[2mhookwarden\u{1b}[0m\u{1b}[2m:\u{1b}[0m webhook accepted \
\u{1b}[3moutcome\u{1b}[0m\u{1b}[2m=\u{1b}[0m\"accepted\" \u{1b}[3mwebhook_id\u{1b}[0m\u{1b}[2m=\u{1b}[0m\"acme\" \
\u{1b}[3mkey_id\u{1b}[0m\u{1b}[2m=\u{1b}[0m\"first\" skew_s=0
2026-11-20T10:00:00Z  WARN hookwarden: webhook refused outcome=\"refused\" reason=\"mismatch\" webhook_id=\"globex\" key_id=\"one\"
2026-11-20T10:00:00Z  INFO hookwarden: webhook accepted outcome=\"accepted\" webhook_id=\"x\\\" webhook_id=\\\"globex\\\" key_id=\\\"one\" key_id=\"y\"
2026-11-20T10:00:00Z  INFO hookwarden: webhook accepted outcome=\"accepted\" webhook_id=\"globex
another program's line
";

/// The same of `globex` by `one`, and lines that are none.
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

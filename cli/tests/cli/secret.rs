//! `hookwarden secret`: the formats of secrets and their files.

use std::fs;
use std::os::unix::fs::symlink;

use hookwarden::Scheme;
use hookwarden::keys::FileKeys;

use super::scratch::{Scratch, mode};

#[test]
fn every_kind_has_full_length_without_quoting() {
    let scratch = Scratch::new();
    for (kind, length) in
        [("webhook", 64), ("whsec", 70), ("django", 64), ("jwt", 88), ("encryption", 64), ("fernet", 44)]
    {
        let ran = scratch.run(["secret", kind]).assert_code(0);
        let secret = ran.stdout.strip_suffix('\n').unwrap();
        assert_eq!((secret.len(), &*ran.stderr), (length, ""), "{kind}");
        assert!(length >= 50 || kind == "fernet");
        // Bash and TOML read it back unchanged.
        let echoed = scratch.shell(&format!("SECRET={secret}\nprintf '%s\\n' $SECRET")).assert_code(0);
        assert_eq!(echoed.stdout, ran.stdout, "{kind}");
        let document: toml::Table = format!("secret = \"{secret}\"").parse().unwrap();
        assert_eq!(document["secret"].as_str(), Some(secret), "{kind}");
    }
    assert!(scratch.run(["secret"]).assert_code(0).stdout.len() == 65, "webhook is the default");
}

#[test]
fn whsec_is_valid_for_standard_webhooks() {
    let scratch = Scratch::new();
    let secret = scratch.run(["secret", "whsec"]).assert_code(0).stdout;
    let secret = secret.trim_end();
    assert!(secret.starts_with("whsec_"));
    Scheme::standard_webhooks().secret(secret).unwrap();
    standardwebhooks::Webhook::new(secret).unwrap();
}

#[test]
fn env_file_has_all_kinds_and_passes() {
    let scratch = Scratch::new();
    let made = scratch.run(["secret", "env", "--output", ".env"]).assert_code(0);
    assert_eq!(made.stdout, "");
    let text = scratch.read(".env");
    let names: Vec<_> = text.lines().map(|line| line.split_once('=').unwrap().0).collect();
    let expected = [
        "WEBHOOK_SECRET",
        "STANDARD_WEBHOOKS_SECRET",
        "DJANGO_SECRET_KEY",
        "JWT_SECRET",
        "ENCRYPTION_KEY",
        "FERNET_KEY",
    ];
    assert_eq!(names, expected);
    let sourced = scratch.shell(". ./.env; echo \"$FERNET_KEY $DJANGO_SECRET_KEY\"").assert_code(0).stdout;
    for secret in sourced.split_whitespace() {
        assert!(text.contains(secret));
    }
    scratch.run(["secret", "check", ".env"]).assert_code(0);
}

#[test]
fn generated_keys_file_loads() {
    let scratch = Scratch::new();
    scratch
        .run(["secret", "--format", "toml", "--count", "3", "--id", "a \"b\"", "--output", "keys.toml"])
        .assert_code(0);
    let keys = FileKeys::open(&Scheme::timestamped(), scratch.path("keys.toml")).unwrap();
    assert!(format!("{keys:?}").contains("senders: 3"), "{keys:?}");
    assert_eq!(keys.warnings(), Vec::<String>::new());
    let whsec = scratch.run(["secret", "whsec", "--format", "toml"]).assert_code(0).stdout;
    scratch.write("whsec.toml", &whsec);
    FileKeys::open(&Scheme::standard_webhooks(), scratch.path("whsec.toml")).unwrap();
}

#[test]
fn json_output_is_one_document() {
    let scratch = Scratch::new();
    let made = scratch.run(["secret", "env", "--count", "2", "--json"]).assert_code(0).json();
    let secrets = made["secrets"].as_array().unwrap();
    assert_eq!(
        (secrets.len(), &secrets[0]["name"], &secrets[11]["name"]),
        (12, &"WEBHOOK_SECRET_1".into(), &"FERNET_KEY_2".into())
    );
    let written = scratch.run(["secret", "--json", "--output", "secret.txt"]).assert_code(0);
    assert_eq!(written.json()["file"], "secret.txt");
    assert!(!written.stdout.contains(scratch.read("secret.txt").trim()));
}

#[test]
fn secret_file_is_private_under_any_umask() {
    let scratch = Scratch::new();
    for umask in ["000", "022", "077"] {
        let name = format!("secret-{umask}");
        let ran = scratch.shell(&format!("umask {umask}; hookwarden secret --output {name}")).assert_code(0);
        assert_eq!(mode(&scratch.path(&name)), 0o600, "{umask}");
        let secret = scratch.read(&name);
        assert_eq!((secret.len(), &*ran.stdout), (65, ""));
        assert!(!ran.stderr.contains(secret.trim()), "{ran:?}");
    }
    assert_eq!(fs::read_dir(scratch.path(".")).unwrap().count(), 3, "nothing else is left behind");
}

#[test]
fn existing_file_is_never_overwritten() {
    let scratch = Scratch::new();
    scratch.write("file", "precious");
    symlink("file", scratch.path("link")).unwrap();
    symlink("nowhere", scratch.path("dangling")).unwrap();
    fs::create_dir(scratch.path("directory")).unwrap();
    for name in ["file", "link", "dangling", "directory"] {
        scratch.run(["secret", "--output", name]).assert_refused("already exists");
    }
    assert_eq!(scratch.read("file"), "precious");
    assert!(!scratch.path("nowhere").exists());
    assert_eq!(fs::read_dir(scratch.path(".")).unwrap().count(), 4, "nothing else is left behind");
    let outside = scratch.run(["secret", "--output", "none/secret"]).assert_code(3);
    assert!(outside.stdout.is_empty() && outside.stderr.lines().count() == 1, "{outside:?}");
}

#[test]
fn crash_while_writing_leaves_no_file() {
    let scratch = Scratch::new();
    // The kernel ends the process at the 16th KiB that it writes to a file.
    let ran = scratch.shell("ulimit -c 0; ulimit -f 16; hookwarden secret --count 1000 --output secrets.txt");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(!scratch.path("secrets.txt").exists());
}

#[test]
fn invalid_input_fails_with_one_line() {
    let scratch = Scratch::new();
    scratch.run(["secret", "env", "--format", "toml"]).assert_refused("--format toml: must have a single kind");
    scratch.run(["secret", "--format", "toml", "--id", ""]).assert_refused("--id: must not be empty");
    for arguments in [&["secret", "unknown"][..], &["secret", "--count", "0"], &["secret", "--count", "1000001"]] {
        assert!(scratch.run(arguments).assert_code(2).stdout.is_empty(), "{arguments:?}");
    }
}

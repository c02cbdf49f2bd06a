//! `hookwarden secret`: the forms of secrets, and the files they go to.

use std::fs;
use std::os::unix::fs::symlink;

use hookwarden::Scheme;
use hookwarden::keys::FileKeys;

use super::scratch::{Scratch, mode};

#[test]
fn secret_of_every_kind_has_at_least_50_characters_that_need_no_quotes() {
    let scratch = Scratch::new();
    for (kind, length) in
        [("webhook", 64), ("whsec", 70), ("django", 64), ("jwt", 88), ("encryption", 64), ("fernet", 44)]
    {
        let ran = scratch.run(["secret", kind]).ended_with(0);
        let secret = ran.out.strip_suffix('\n').unwrap();
        assert_eq!((secret.len(), &*ran.err), (length, ""), "{kind}");
        assert!(length >= 50 || kind == "fernet");
        // Bash and TOML read it back as it was.
        let echoed = scratch.paste(&format!("SECRET={secret}\nprintf '%s\\n' $SECRET")).ended_with(0);
        assert_eq!(echoed.out, ran.out, "{kind}");
        let document: toml::Table = format!("secret = \"{secret}\"").parse().unwrap();
        assert_eq!(document["secret"].as_str(), Some(secret), "{kind}");
    }
    assert!(scratch.run(["secret"]).ended_with(0).out.len() == 65, "webhook is the default");
}

#[test]
fn whsec_is_what_standard_webhooks_takes() {
    let scratch = Scratch::new();
    let secret = scratch.run(["secret", "whsec"]).ended_with(0).out;
    let secret = secret.trim_end();
    assert!(secret.starts_with("whsec_"));
    Scheme::standard_webhooks().secret(secret).unwrap();
    standardwebhooks::Webhook::new(secret).unwrap();
}

#[test]
fn env_has_all_kinds_and_is_good() {
    let scratch = Scratch::new();
    let made = scratch.run(["secret", "env", "--output", ".env"]).ended_with(0);
    assert_eq!(made.out, "");
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
    let sourced = scratch.paste(". ./.env; echo \"$FERNET_KEY $DJANGO_SECRET_KEY\"").ended_with(0).out;
    for secret in sourced.split_whitespace() {
        assert!(text.contains(secret));
    }
    scratch.run(["secret", "check", ".env"]).ended_with(0);
}

#[test]
fn keys_file_that_is_made_loads() {
    let scratch = Scratch::new();
    scratch
        .run(["secret", "--format", "toml", "--count", "3", "--id", "a \"b\"", "--output", "keys.toml"])
        .ended_with(0);
    let keys = FileKeys::open(&Scheme::timestamped(), scratch.path("keys.toml")).unwrap();
    assert!(format!("{keys:?}").contains("senders: 3"), "{keys:?}");
    assert_eq!(keys.warnings(), Vec::<String>::new());
    let whsec = scratch.run(["secret", "whsec", "--format", "toml"]).ended_with(0).out;
    scratch.write("whsec.toml", &whsec);
    FileKeys::open(&Scheme::standard_webhooks(), scratch.path("whsec.toml")).unwrap();
}

#[test]
fn json_is_one_document() {
    let scratch = Scratch::new();
    let made = scratch.run(["secret", "env", "--count", "2", "--json"]).ended_with(0).json();
    let secrets = made["secrets"].as_array().unwrap();
    assert_eq!(
        (secrets.len(), &secrets[0]["name"], &secrets[11]["name"]),
        (12, &"WEBHOOK_SECRET_1".into(), &"FERNET_KEY_2".into())
    );
    let written = scratch.run(["secret", "--json", "--output", "secret.txt"]).ended_with(0);
    assert_eq!(written.json()["file"], "secret.txt");
    assert!(!written.out.contains(scratch.read("secret.txt").trim()));
}

#[test]
fn file_of_a_secret_is_its_owners_alone_whatever_the_umask() {
    let scratch = Scratch::new();
    for umask in ["000", "022", "077"] {
        let name = format!("secret-{umask}");
        let ran = scratch.paste(&format!("umask {umask}; hookwarden secret --output {name}")).ended_with(0);
        assert_eq!(mode(&scratch.path(&name)), 0o600, "{umask}");
        let secret = scratch.read(&name);
        assert_eq!((secret.len(), &*ran.out), (65, ""));
        assert!(!ran.err.contains(secret.trim()), "{ran:?}");
    }
    assert_eq!(fs::read_dir(scratch.path(".")).unwrap().count(), 3, "nothing else is left behind");
}

#[test]
fn file_that_exists_is_never_written_over() {
    let scratch = Scratch::new();
    scratch.write("file", "precious");
    symlink("file", scratch.path("link")).unwrap();
    symlink("nowhere", scratch.path("dangling")).unwrap();
    fs::create_dir(scratch.path("directory")).unwrap();
    for name in ["file", "link", "dangling", "directory"] {
        scratch.run(["secret", "--output", name]).refused("is there already");
    }
    assert_eq!(scratch.read("file"), "precious");
    assert!(!scratch.path("nowhere").exists());
    assert_eq!(fs::read_dir(scratch.path(".")).unwrap().count(), 4, "nothing else is left behind");
    let outside = scratch.run(["secret", "--output", "none/secret"]).ended_with(3);
    assert!(outside.out.is_empty() && outside.err.lines().count() == 1, "{outside:?}");
}

#[test]
fn crash_in_the_middle_of_writing_leaves_no_half_file() {
    let scratch = Scratch::new();
    // The kernel ends the process at the 16th KiB that it writes to a file.
    let ran = scratch.paste("ulimit -c 0; ulimit -f 16; hookwarden secret --count 1000 --output secrets.txt");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(!scratch.path("secrets.txt").exists());
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let scratch = Scratch::new();
    scratch.run(["secret", "env", "--format", "toml"]).refused("--format toml: a keys file holds secrets of one kind");
    scratch.run(["secret", "--format", "toml", "--id", ""]).refused("--id: is empty");
    for arguments in [&["secret", "unknown"][..], &["secret", "--count", "0"], &["secret", "--count", "1000001"]] {
        assert!(scratch.run(arguments).ended_with(2).out.is_empty(), "{arguments:?}");
    }
}

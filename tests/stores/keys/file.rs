//! `FileKeys`: keys from a TOML file or a directory of mounted secrets.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hookwarden::event::Warning;
use hookwarden::keys::{FileKeys, FileKeysBuilder, KeyFileError, KeyStore};
use hookwarden::{Scheme, Signer, Timestamp, Warden};

use super::{CANARY, assert_no_canary, found};

/// A temporary directory, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("keys-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    #[track_caller]
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).expect("a file");
        path
    }

    /// Replaces a file atomically.
    #[track_caller]
    fn replace(&self, name: &str, content: &str) {
        let beside = self.write(".new", content);
        fs::rename(beside, self.file(name)).expect("a file in place");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sender(id: &str, key: &str, secret: &str) -> String {
    format!("[[sender]]\nid = \"{id}\"\n[[sender.key]]\nid = \"{key}\"\nsecret = \"{secret}\"\n")
}

fn ids(keys: &[&str]) -> Option<String> {
    let shown: Vec<_> = keys.iter().map(|id| format!("KeyId({id:?})")).collect();
    Some(format!("[{}]", shown.join(", ")))
}

/// A store that does not poll during the test.
fn unpolled(path: impl Into<PathBuf>) -> FileKeysBuilder {
    FileKeys::builder(path).poll_every(Duration::from_secs(3_600))
}

fn open(path: impl Into<PathBuf>) -> Result<FileKeys, KeyFileError> {
    unpolled(path).open(&Scheme::timestamped())
}

/// Asserts a condition again and again for some time.
#[track_caller]
fn throughout(time: Duration, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while start.elapsed() < time {
        assert!(condition());
        thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn every_toml_form_is_read() {
    let folder = Folder::new();
    let text = r#"
        # the whole form
        [[sender]]
        id = "acme"
        [[sender.key]]
        id = "2026-11"
        secret = "the-new-secret"
        not_before = 2026-11-01T00:00:00Z
        not_after = "2027-11-01T00:00:00+01:00"
        [[sender.key]]
        id = "2025-11"
        secret = "the-old-secret"

        [[sender]]
        id = "globex/eu é"
        key = [{ id = "only", secret = 'C:\literal\secret' }]
    "#;
    let keys = open(folder.write("senders.toml", text)).unwrap();
    assert_eq!(found(&keys, "acme"), ids(&["2026-11", "2025-11"]));
    assert_eq!(found(&keys, "globex/eu é"), ids(&["only"]));
    assert_eq!(found(&keys, "other"), None);
    let common = |second| keys.common_live_keys(Timestamp::from_unix(second));
    assert_eq!([1_700_000_000, 1_800_000_000].map(common), [1, 2]);
    assert_eq!(keys.last_error(), None);
}

#[test]
fn secrets_have_the_format_of_the_scheme() {
    let folder = Folder::new();
    let scheme = Scheme::standard_webhooks();
    let good = folder.write("good.toml", sender("a", "k", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    FileKeys::open(&scheme, good).unwrap();
    let bad = FileKeys::open(&scheme, folder.write("bad.toml", sender("a", "k", CANARY))).unwrap_err();
    assert_eq!((bad.line(), bad.field()), (Some(5), "secret"));
    assert_no_canary("error", &[bad.to_string(), format!("{bad:?}")]);
}

#[test]
fn bad_toml_is_refused_by_line_without_quoting() {
    let folder = Folder::new();
    let in_key = |line: &str| format!("{}{line}\n", sender("a", "k", CANARY));
    let cases = [
        (String::new(), None, "senders"),
        ("# nothing\n".into(), None, "senders"),
        (format!("sender = \"{CANARY}\"\n"), Some(1), "sender"),
        (format!("sender = [\"{CANARY}\"]\n"), Some(1), "sender"),
        (format!("\nsecret = \"{CANARY}\"\n"), Some(2), "file"),
        (format!("{CANARY}\n"), Some(1), "file"),
        (format!("[[sender]]\nid = \"a\"\n{CANARY} = 1\n"), Some(3), "sender"),
        (format!("[[sender]]\nid = \"a\"\nid = \"{CANARY}\"\n"), Some(3), "file"),
        (format!("[[sender]]\n[[sender.key]]\nid = \"k\"\nsecret = \"{CANARY}\"\n"), Some(1), "sender.id"),
        (format!("[[sender]]\nid = \"\"\nkey = \"{CANARY}\"\n"), Some(2), "sender.id"),
        (format!("[[sender]]\nid = [\"{CANARY}\"]\n"), Some(2), "sender.id"),
        (format!("[[sender]]\nid = \"a\"\nkey = \"{CANARY}\"\n"), Some(3), "sender.key"),
        ("[[sender]]\nid = \"a\"\n".into(), Some(1), "keys"),
        ("[[sender]]\nid = \"a\"\nkey = []\n".into(), Some(1), "keys"),
        (in_key(&format!("{CANARY} = true")), Some(6), "sender.key"),
        (in_key(&format!("\"{CANARY}\" = true")), Some(6), "sender.key"),
        (in_key(&format!("not_before = \"{CANARY}\"")), Some(6), "sender.key.not_before"),
        (in_key("not_before = 2026-11-01"), Some(6), "sender.key.not_before"),
        (in_key("not_after = 2026-11-01T00:00:00"), Some(6), "sender.key.not_after"),
        (in_key("not_after = 1800000000"), Some(6), "sender.key.not_after"),
        (in_key(&format!("not_after = {CANARY}")), Some(6), "file"),
        (in_key("not_before = 2027-01-01T00:00:00Z\nnot_after = 2026-01-01T00:00:00Z"), Some(3), "keys"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = \"{CANARY}\"")), Some(6), "keys"),
        (in_key("[[sender.key]]\nid = \"k2\"\nsecret = \"-----BEGIN PRIVATE KEY-----\""), Some(8), "secret"),
        (in_key("[[sender.key]]\nid = \"k2\"\nsecret = \"changeme\""), Some(8), "secret"),
        (in_key("[[sender.key]]\nid = \"k2\""), Some(6), "sender.key.secret"),
        (in_key("[[sender.key]]\nid = \"k2\"\nsecret = \"\""), Some(8), "secret"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = \" {CANARY}\"")), Some(8), "secret"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = \"{CANARY}")), Some(8), "file"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = \"\\q{CANARY}\"")), Some(8), "file"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = {CANARY}")), Some(8), "file"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = [\"{CANARY}\"]")), Some(8), "sender.key.secret"),
        (in_key(&format!("[[sender.key]]\nid = \"not an id\"\nsecret = \"x{CANARY}\"")), Some(7), "key id"),
        (format!("{}{}", in_key(""), sender("b", "k", CANARY)), Some(1), "senders"),
        (format!("{}{}", in_key(""), sender("a", "k", "another-secret")), Some(7), "senders"),
    ];
    for (text, line, field) in cases {
        let path = folder.write("senders.toml", &text);
        let error = open(&path).expect_err(&text);
        assert_eq!((error.line(), error.field(), error.path()), (line, field, &*path), "{text}\n{error}");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        assert_no_canary(&text, &[error.to_string(), format!("{error:?}"), format!("{error:#?}")]);
    }
    let bytes = folder.write("senders.toml", b"[[sender]]\nid = \"a\xff\"\n");
    assert_eq!(open(bytes).unwrap_err().line(), Some(2));
}

#[test]
fn shared_secret_needs_the_danger_setting() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", CANARY) + &sender("b", "k", CANARY));
    assert_eq!(open(&path).unwrap_err().line(), Some(1));
    unpolled(path).danger_allow_shared_secrets().open(&Scheme::timestamped()).unwrap();
}

#[test]
fn unreadable_file_keeps_the_keys() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "old", "secret-number-one"));
    let keys = open(&path).unwrap();
    assert_eq!(keys.reload(), Ok(false));

    folder.replace("senders.toml", &sender("a", "new", "secret-number-two"));
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!(found(&keys, "a"), ids(&["new"]));

    let newer = sender("a", "newer", CANARY);
    let twice = format!("{newer}secret = \"{CANARY}\"\n");
    for bad in [format!("{newer} broken"), twice, format!("secret = \"{CANARY}\""), String::new()] {
        folder.replace("senders.toml", &bad);
        for _ in 0..2 {
            let error = keys.reload().unwrap_err();
            assert_eq!((keys.last_error(), error.warning()), (Some(error.clone()), Warning::KeyReloadFailed));
            assert_eq!((found(&keys, "a"), keys.faults()), (ids(&["new"]), Vec::new()));
            assert_no_canary("error", &[error.to_string(), format!("{error:?}"), format!("{keys:?}")]);
        }
    }
    fs::remove_file(&path).unwrap();
    let error = keys.reload().unwrap_err();
    assert_eq!((error.field(), error.path(), found(&keys, "a")), ("file", &*path, ids(&["new"])));

    // The keys from before the errors are valid again, and no others.
    folder.replace("senders.toml", &sender("a", "new", "secret-number-two"));
    assert_eq!((keys.reload().map(drop), keys.last_error()), (Ok(()), None));
    folder.replace("senders.toml", &sender("b", "k", "secret-number-three"));
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!((found(&keys, "a"), found(&keys, "b")), (None, ids(&["k"])));
}

/// Returns the webhook ids that faults disable, with their lines.
fn disabled(keys: &FileKeys) -> Vec<(Option<String>, Option<usize>)> {
    keys.faults().iter().map(|fault| (fault.webhook_id().map(Into::into), fault.line())).collect()
}

#[test]
fn faulty_sender_is_disabled_and_no_other() {
    let folder = Folder::new();
    let good = |key: &str| sender("good", key, &format!("a-good-secret-{key}"));
    let path = folder.write("senders.toml", good("1") + &sender("bad", "k", CANARY));
    let keys = open(&path).unwrap();
    let cases = [
        // A faulty line, a missing line, a duplicate id, and a secret that two ids share.
        (sender("bad", "k", "changeme"), vec![(Some("bad"), 10)]),
        ("[[sender]]\nid = \"bad\"\n".to_owned(), vec![(Some("bad"), 6)]),
        (sender("bad", "k", CANARY).replace("id = \"bad\"", "ID = \"bad\""), vec![(None, 7)]),
        (format!("{}{}", sender("bad", "k", CANARY), sender("bad", "k", "another-secret")), vec![(Some("bad"), 11)]),
        (format!("{}{}", sender("bad", "k", CANARY), sender("bad", "k", "")), vec![(Some("bad"), 15)]),
        (
            format!("{}{}", sender("bad", "k", CANARY), sender("worse", "k", CANARY)),
            vec![(Some("bad"), 6), (Some("worse"), 11)],
        ),
        (format!("[[senders]]\n{}", sender("worse", "k", CANARY)), vec![(None, 6)]),
    ];
    for (round, (bad, expected)) in cases.into_iter().enumerate() {
        let key = format!("{}", round + 2);
        folder.replace("senders.toml", &(good(&key) + &bad));
        assert_eq!((keys.reload(), keys.last_error()), (Ok(true), None), "{bad}");
        let expected: Vec<_> = expected.into_iter().map(|(id, line)| (id.map(str::to_owned), Some(line))).collect();
        assert_eq!(disabled(&keys), expected, "{bad}");
        assert!(keys.faults().iter().all(|fault| fault.warning() == Warning::KeyEntryRejected));
        assert_no_canary("faults", &[format!("{:?}", keys.faults())]);
        let restarted = open(&path).unwrap();
        for keys in [&keys, &restarted] {
            assert_eq!(disabled(keys), expected, "{bad}");
            assert_eq!((found(keys, "good"), found(keys, "bad")), (ids(&[&key]), None), "{bad}");
        }
        assert_eq!(keys.reload(), Ok(false));
        assert_eq!(disabled(&keys), expected, "{bad}");
    }
    folder.replace("senders.toml", &(good("9") + &sender("bad", "k", CANARY)));
    assert_eq!((keys.reload(), keys.faults()), (Ok(true), Vec::new()));
    assert_eq!((keys.webhook_ids(), found(&keys, "bad")), (vec!["bad".to_owned(), "good".to_owned()], ids(&["k"])));
}

#[test]
fn only_a_faulty_sender_loses_its_keys() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", CANARY));
    let keys = open(&path).unwrap();
    folder.replace("senders.toml", &sender("a", "k", ""));
    assert_eq!((keys.reload(), found(&keys, "a")), (Ok(true), None));
    assert_eq!((disabled(&keys), keys.webhook_ids()), (vec![(Some("a".to_owned()), Some(5))], Vec::new()));
    // Opening the file fails, because no sender is left.
    assert_eq!(open(&path).unwrap_err().line(), Some(5));
    folder.replace("senders.toml", &sender("a", "k", CANARY));
    assert_eq!((keys.reload(), found(&keys, "a")), (Ok(true), ids(&["k"])));
}

#[test]
fn check_reports_what_loading_would() {
    let scheme = Scheme::timestamped();
    let builder = FileKeys::builder("keys.toml");
    let shared = sender("a", "k", CANARY) + &sender("b", "k", CANARY);
    assert_eq!(builder.check(&scheme, &sender("a", "k", CANARY)), Ok(()));
    let faults = builder.check(&scheme, &shared).unwrap_err();
    let shown: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let expected = "senders: must not share a secret or public key, as \"a\" and \"b\" do; webhook id";
    assert_eq!(
        shown,
        [format!("keys.toml:1: {expected} \"a\" is disabled"), format!("keys.toml:6: {expected} \"b\" is disabled")]
    );
    assert_eq!(
        faults[0].problem().to_string(),
        "senders: must not share a secret or public key, as \"a\" and \"b\" do"
    );
    assert_eq!(builder.danger_allow_shared_secrets().check(&scheme, &shared), Ok(()));
}

#[test]
fn unchanged_file_that_returns_clears_error() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", "secret-number-one"));
    let keys = open(&path).unwrap();
    fs::rename(&path, folder.file("aside")).unwrap();
    assert_eq!(keys.reload().unwrap_err(), keys.last_error().unwrap());
    fs::rename(folder.file("aside"), &path).unwrap();
    assert_eq!((keys.reload(), keys.last_error()), (Ok(false), None));
}

#[test]
fn directory_holds_a_webhook_id_in_each_file() {
    let folder = Folder::new();
    folder.write("acme", "the-new-secret\nthe-old-secret\n");
    folder.write("globex", "another-secret");
    folder.write(".hidden", "");
    fs::create_dir(folder.file(".git")).unwrap();
    let keys = open(&folder.0).unwrap();
    assert_eq!((found(&keys, "acme"), found(&keys, "globex")), (ids(&["line-1", "line-2"]), ids(&["line-1"])));
    assert_eq!((found(&keys, ".hidden"), keys.faults()), (None, Vec::new()));

    let bad = folder.write("initech", format!("{CANARY}\n\n{CANARY}x\n"));
    assert_eq!(keys.reload(), Ok(true));
    let [fault] = &keys.faults()[..] else { panic!("{:?}", keys.faults()) };
    assert_eq!((fault.path(), fault.line(), fault.field()), (&*bad, Some(2), "secret"));
    // It is unknown which of the two has the wrong secret.
    folder.write("initech", "another-secret");
    assert_eq!(keys.reload(), Ok(true));
    let disabled: Vec<_> = keys.faults().iter().map(|fault| fault.path().to_owned()).collect();
    assert_eq!(disabled, [folder.file("globex"), bad]);
    assert_eq!((found(&keys, "initech"), found(&keys, "globex")), (None, None));
    folder.write("initech", "the-secret-of-initech");
    fs::remove_file(folder.file("globex")).unwrap();
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!((found(&keys, "initech"), found(&keys, "globex")), (ids(&["line-1"]), None));

    fs::create_dir(folder.file("nested")).unwrap();
    assert_eq!(keys.reload(), Ok(true));
    let [fault] = &keys.faults()[..] else { panic!("{:?}", keys.faults()) };
    assert_eq!((fault.path(), fault.field()), (&*folder.file("nested"), "file"));
    assert_eq!(keys.webhook_ids(), ["acme", "initech"]);

    // An empty directory more likely means a missing mount than the removal of every sender.
    for name in ["acme", "initech"] {
        fs::remove_file(folder.file(name)).unwrap();
    }
    fs::remove_dir(folder.file("nested")).unwrap();
    assert_eq!(keys.reload().unwrap_err().field(), "senders");
    assert_eq!(keys.webhook_ids(), ["acme", "initech"]);
}

#[test]
fn directory_refuses_lines_of_other_files() {
    let folder = Folder::new();
    folder.write("acme", "the-secret-of-acme\n");
    let pem =
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n";
    let files = [
        ("tls.key", pem.to_owned(), Some(1), "PEM line"),
        ("chain", format!("{CANARY}\n{pem}"), Some(2), "PEM line"),
        ("bom", format!("\u{feff}{CANARY}1\n"), Some(1), "byte order mark"),
        ("blank", format!("{CANARY}2\n\n"), Some(2), "must not be empty"),
        ("weak", "changeme\n".to_owned(), Some(1), "at least 12 characters"),
        ("acme.bak", format!("{CANARY}3\n"), None, "backup copy"),
        ("acme~", format!("{CANARY}4\n"), None, "backup copy"),
        ("acme.dpkg-old", format!("{CANARY}5\n"), None, "backup copy"),
        ("#acme#", format!("{CANARY}6\n"), None, "backup copy"),
    ];
    for (name, content, ..) in &files {
        folder.write(name, content);
    }
    let keys = open(&folder.0).unwrap();
    assert_eq!((keys.webhook_ids(), keys.faults().len()), (vec!["acme".to_owned()], files.len()));
    for (name, content, line, part) in &files {
        let faults = keys.faults();
        let fault = faults.iter().find(|fault| fault.webhook_id() == Some(*name)).unwrap();
        assert_eq!((fault.path(), fault.line()), (&*folder.file(name), *line), "{fault}");
        assert!(fault.to_string().contains(part), "{fault}");
        assert_no_canary(name, &[fault.to_string(), format!("{fault:?}")]);
        assert_eq!(found(&keys, name), None);
        // No signer accepts the lines of PEM as its secret, except for the last.
        let no_secrets = ["-----BEGIN", "MIGHAgEA"];
        let is_secret = |line: &&str| !line.is_empty() && !no_secrets.iter().any(|start| line.starts_with(start));
        for line in content.lines().filter(is_secret) {
            assert!(!accepts(&keys, name, line.trim_start_matches('\u{feff}')), "{name}");
        }
    }
    assert!(accepts(&keys, "acme", "the-secret-of-acme"));
}

#[test]
fn only_chosen_files_are_loaded() {
    let folder = Folder::new();
    for name in ["webhook-acme", "webhook-globex", "webhook-old.bak", "tls.key", "db_password"] {
        folder.write(name, format!("the-secret-in-{name}\n"));
    }
    let open = |builder: FileKeysBuilder| builder.open(&Scheme::timestamped()).unwrap();
    let chosen = |keys: &FileKeys| keys.warnings().iter().all(|warning| !warning.contains("every file in it"));

    let keys = open(unpolled(&folder.0).pattern("webhook-*"));
    assert_eq!((keys.webhook_ids(), chosen(&keys)), (vec!["acme".to_owned(), "globex".to_owned()], true));
    assert_eq!(disabled(&keys), [(Some("old.bak".to_owned()), None)]);
    folder.write("webhook-new", "the-secret-of-a-new-sender");
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!(keys.webhook_ids(), ["acme", "globex", "new"]);

    // A backup copy that is chosen by name is loaded. A missing file disables its id.
    let named = unpolled(&folder.0).file("acme/eu", "webhook-acme").file("old", "webhook-old.bak").file("gone", "gone");
    let keys = open(named);
    assert_eq!((keys.webhook_ids(), chosen(&keys)), (vec!["acme/eu".to_owned(), "old".to_owned()], true));
    assert_eq!(disabled(&keys), [(Some("gone".to_owned()), None)]);

    let both = open(unpolled(&folder.0).file("db", "db_password").file("acme", "tls.key").pattern("webhook-*"));
    assert_eq!((both.webhook_ids(), found(&both, "acme")), (["db", "globex", "new"].map(Into::into).to_vec(), None));

    let kept = open(unpolled(&folder.0).file("kept", "webhook-old.bak").pattern("webhook-*"));
    assert_eq!(
        (kept.webhook_ids(), kept.faults()),
        (["acme", "globex", "kept", "new"].map(Into::into).to_vec(), vec![])
    );

    assert!(!chosen(&open(unpolled(&folder.0))));
    for builder in [unpolled(&folder.0).pattern("webhook"), unpolled(&folder.0).file("a", "../a")] {
        assert!(["pattern", "file"].contains(&builder.open(&Scheme::timestamped()).unwrap_err().field()));
    }
    let file = unpolled(folder.file("webhook-acme")).pattern("*").open(&Scheme::timestamped()).unwrap_err();
    assert_eq!(file.field(), "path");
}

#[test]
fn path_of_single_secret_is_refused_with_advice() {
    let folder = Folder::new();
    for content in [CANARY.to_owned(), format!("{CANARY}\n{CANARY}x\n"), format!("a = \"{CANARY}\"\n"), String::new()] {
        let path = folder.write("webhook_secret", &content);
        let error = open(&path).unwrap_err().to_string();
        let advice = format!("FileKeys::builder({:?}).file(\"the-webhook-id\", \"webhook_secret\")", folder.0);
        assert!(error.starts_with(&path.display().to_string()) && error.contains(&advice), "{error}");
        assert_no_canary("error", &[error]);
    }
    folder.write("webhook_secret", CANARY);
    let keys = unpolled(&folder.0).file("acme", "webhook_secret").open(&Scheme::timestamped()).unwrap();
    assert_eq!(found(&keys, "acme"), ids(&["line-1"]));
}

#[cfg(unix)]
#[test]
fn kubernetes_directory_is_swapped_atomically() {
    use std::os::unix::fs::symlink;

    let folder = Folder::new();
    let version = |name: &str, files: &[(&str, &str)]| {
        fs::create_dir(folder.file(name)).unwrap();
        for (file, secret) in files {
            fs::write(folder.file(name).join(file), secret).unwrap();
        }
        symlink(name, folder.file("..data_tmp")).unwrap();
        fs::rename(folder.file("..data_tmp"), folder.file("..data")).unwrap();
    };
    version("..2026_1", &[("acme", "secret-number-one"), ("globex", "secret-number-two")]);
    symlink("..data/acme", folder.file("acme")).unwrap();
    symlink("..data/globex", folder.file("globex")).unwrap();
    let keys = open(&folder.0).unwrap();
    assert_eq!((found(&keys, "acme"), found(&keys, "globex")), (ids(&["line-1"]), ids(&["line-1"])));

    // The secrets are swapped: a reader of mixed versions would find one secret under two ids.
    version("..2026_2", &[("acme", "secret-number-two\nsecret-number-one"), ("globex", "secret-number-three")]);
    fs::remove_dir_all(folder.file("..2026_1")).unwrap();
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!((found(&keys, "acme"), found(&keys, "globex")), (ids(&["line-1", "line-2"]), ids(&["line-1"])));

    // The link of a removed file dangles until the kubelet deletes it.
    version("..2026_3", &[("acme", "secret-number-four")]);
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!((found(&keys, "acme"), found(&keys, "globex")), (ids(&["line-1"]), None));

    // One update removes a sender's old key and breaks the file of another sender.
    let bad = format!("{CANARY}\n\n");
    version("..2026_4", &[("acme", "secret-number-five"), ("globex", &bad)]);
    assert_eq!(keys.reload(), Ok(true));
    let [fault] = &keys.faults()[..] else { panic!("{:?}", keys.faults()) };
    assert_eq!((fault.path(), fault.line()), (&*folder.file("globex"), Some(2)));
    assert_no_canary("fault", &[fault.to_string(), format!("{fault:?}")]);
    let restarted = open(&folder.0).unwrap();
    for keys in [&keys, &restarted] {
        assert!(accepts(keys, "acme", "secret-number-five") && !accepts(keys, "acme", "secret-number-four"));
        assert_eq!(found(keys, "globex"), None);
    }
}

/// Returns whether a message for `id`, signed with `secret`, verifies.
fn accepts(keys: &FileKeys, id: &str, secret: &str) -> bool {
    let scheme = Scheme::timestamped();
    let signer = Signer::new(scheme.clone(), super::keyring(secret)).expect("a signer");
    let signed = signer.sign_body(b"{}").expect("signed");
    let head: Vec<_> = signed.iter().collect();
    let warden = Warden::builder(scheme).keys(keys.clone()).build().expect("a Warden");
    let mut receiving = warden.examine(&head, None).expect("a fresh head").identify(id).expect("keys or a decoy");
    receiving.update(b"{}").expect("a short body");
    receiving.finish().map(|admitted| admitted.commit()).is_ok()
}

#[cfg(unix)]
#[test]
fn irregular_file_is_refused_unread() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("/dev/zero", folder.file("acme")).unwrap();
    for path in [folder.0.clone(), folder.file("acme"), "/dev/zero".into()] {
        let error = open(path).unwrap_err();
        assert!(error.to_string().contains("file: must be a regular file"), "{error}");
    }
    let large = fs::File::create(folder.file("large.toml")).unwrap();
    large.set_len(16 * 1024 * 1024 + 1).unwrap();
    assert!(open(folder.file("large.toml")).unwrap_err().to_string().ends_with("must have at most 16 MiB"));
    assert!(open(folder.file("missing")).unwrap_err().to_string().contains("cannot be read"));
}

#[cfg(unix)]
#[test]
fn file_open_to_all_users_is_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", CANARY));
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    let keys = open(&path).unwrap();
    assert_eq!(keys.warnings(), Vec::<String>::new());
    mode(0o644);
    keys.reload().unwrap();
    let expected = format!("{}: every user of the machine may read it (mode 0644)", path.display());
    assert_eq!(keys.warnings(), [expected]);
    mode(0o602);
    keys.reload().unwrap();
    assert_eq!(keys.warnings().len(), 1);
    mode(0o600);
    keys.reload().unwrap();
    assert_eq!(keys.warnings(), Vec::<String>::new());
}

#[test]
fn watcher_loads_changes_and_reports_errors_once() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k0", "secret-number-one"));
    let reported = Arc::new(Mutex::new(Vec::new()));
    let keys = FileKeys::builder(&path)
        .poll_every(Duration::from_millis(5))
        .on_error({
            let reported = reported.clone();
            move |error: &KeyFileError| {
                reported.lock().unwrap().push(error.clone());
                panic!("a report that panics");
            }
        })
        .open(&Scheme::timestamped())
        .unwrap();
    // Rewrite the file in place, with the same size and right after the last read, so its timestamps may be equal.
    for round in 1..=3 {
        folder.write("senders.toml", sender("a", &format!("k{round}"), "secret-number-one"));
        eventually("changed", || found(&keys, "a") == ids(&[&format!("k{round}")]));
    }
    reported.lock().unwrap().clear(); // half-written files may have been reported
    folder.replace("senders.toml", "secret = 1");
    eventually("reported", || !reported.lock().unwrap().is_empty());
    assert_eq!(Arc::strong_count(&reported), 2);
    // Ten times the polling interval: no later poll reports the error again.
    throughout(Duration::from_millis(50), || reported.lock().unwrap().len() == 1);
    assert_eq!(keys.last_error().as_ref(), reported.lock().unwrap().first());
    assert_eq!(found(&keys, "a"), ids(&["k3"]));
    folder.replace("senders.toml", &sender("a", "after", "secret-number-one"));
    eventually("recovered", || found(&keys, "a") == ids(&["after"]) && keys.last_error().is_none());
}

#[test]
fn faulty_entries_are_reported_once_at_start() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", CANARY) + &sender("b", "k", "weak"));
    let reported = Arc::new(Mutex::new(Vec::new()));
    let keys = FileKeys::builder(&path)
        .poll_every(Duration::from_millis(5))
        .on_error({
            let reported = reported.clone();
            move |error: &KeyFileError| reported.lock().unwrap().push(error.webhook_id().map(str::to_owned))
        })
        .open(&Scheme::timestamped())
        .unwrap();
    assert_eq!(*reported.lock().unwrap(), [Some("b".to_owned())]);
    folder.replace("senders.toml", &(sender("a", "k2", CANARY) + &sender("b", "k", "weak") + &sender("c", "k", "")));
    eventually("changed", || found(&keys, "a") == ids(&["k2"]));
    eventually("reported", || reported.lock().unwrap().len() == 2);
    assert_eq!(reported.lock().unwrap().last(), Some(&Some("c".to_owned())));
    // A start without any valid entry reports each fault.
    reported.lock().unwrap().clear();
    let bad = folder.write("bad.toml", sender("a", "k", "weak") + &sender("b", "k", "weaker"));
    let builder = FileKeys::builder(bad).on_error({
        let reported = reported.clone();
        move |error: &KeyFileError| reported.lock().unwrap().push(error.webhook_id().map(str::to_owned))
    });
    assert_eq!(builder.open(&Scheme::timestamped()).unwrap_err().line(), Some(5));
    assert_eq!(reported.lock().unwrap().len(), 2);
}

#[test]
fn watching_thread_ends_with_the_last_handle() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", "secret-number-one"));
    let held = Arc::new(());
    let keys = unpolled(path)
        .on_error({
            let held = held.clone();
            move |_| drop(held.clone())
        })
        .open(&Scheme::timestamped())
        .unwrap();
    let clone = keys.clone();
    drop(keys);
    throughout(Duration::from_millis(20), || Arc::strong_count(&held) == 2);
    assert!(found(&clone, "a").is_some());
    drop(clone);
    eventually("ended", || Arc::strong_count(&held) == 1);
}

#[test]
fn file_rotation_under_load_always_finds_keys() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", "secret-number-one"));
    let keys = FileKeys::builder(&path).poll_every(Duration::from_millis(1)).open(&Scheme::timestamped()).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| (0..20_000).for_each(|_| assert!(found(&keys, "a").is_some())));
        for n in 0..200 {
            folder.replace("senders.toml", &sender("a", &format!("k{n}"), &format!("secret-number-{n}")));
            keys.reload().unwrap();
        }
        reader.join().unwrap();
    });
    eventually("the last", || found(&keys, "a") == ids(&["k199"]));
}

#[test]
fn interval_of_zero_is_refused() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", "secret-number-one"));
    let refused = FileKeys::builder(path).poll_every(Duration::ZERO).open(&Scheme::timestamped()).unwrap_err();
    assert_eq!(refused.field(), "poll_every");
}

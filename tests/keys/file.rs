//! `FileKeys`: keys from a TOML file or a directory of mounted secrets.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hookwarden::Scheme;
use hookwarden::keys::{FileKeys, FileKeysBuilder, KeyFileError, KeyStore};

use super::{CANARY, assert_no_canary, found};

/// A directory of its own, removed at the end.
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

    /// As a careful program does it.
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

/// One that leaves the polling to the test.
fn unpolled(path: impl Into<PathBuf>) -> FileKeysBuilder {
    FileKeys::builder(path).poll_every(Duration::from_secs(3_600))
}

fn open(path: impl Into<PathBuf>) -> Result<FileKeys, KeyFileError> {
    unpolled(path).open(&Scheme::timestamped())
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
fn toml_of_every_form_is_read() {
    let folder = Folder::new();
    let text = r#"
        # the whole form
        [[sender]]
        id = "acme"
        [[sender.key]]
        id = "2026-11"
        secret = "new-secret"
        not_before = 2026-11-01T00:00:00Z
        not_after = "2027-11-01T00:00:00+01:00"
        [[sender.key]]
        id = "2025-11"
        secret = "old-secret"

        [[sender]]
        id = "globex/eu é"
        key = [{ id = "only", secret = 'C:\literal' }]
    "#;
    let keys = open(folder.write("senders.toml", text)).unwrap();
    assert_eq!(found(&keys, "acme"), ids(&["2026-11", "2025-11"]));
    assert_eq!(found(&keys, "globex/eu é"), ids(&["only"]));
    assert_eq!(found(&keys, "other"), None);
    assert_eq!(keys.common_size(), 2);
    assert_eq!(keys.last_error(), None);
}

#[test]
fn secrets_are_in_the_form_of_the_scheme() {
    let folder = Folder::new();
    let scheme = Scheme::standard_webhooks();
    let good = folder.write("good.toml", sender("a", "k", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    assert!(FileKeys::open(&scheme, good).is_ok());
    let bad = FileKeys::open(&scheme, folder.write("bad.toml", sender("a", "k", CANARY))).unwrap_err();
    assert_eq!((bad.line(), bad.field()), (Some(5), "secret"));
    assert_no_canary("error", &[bad.to_string(), format!("{bad:?}")]);
}

#[test]
fn toml_that_cannot_be_right_is_refused_at_its_line_and_never_quoted() {
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
        (in_key("not_before = 2027-01-01T00:00:00Z\nnot_after = 2026-01-01T00:00:00Z"), Some(1), "keys"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = \"{CANARY}\"")), Some(1), "keys"),
        (in_key("[[sender.key]]\nid = \"k2\""), Some(6), "sender.key.secret"),
        (in_key("[[sender.key]]\nid = \"k2\"\nsecret = \"\""), Some(8), "secret"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = \" {CANARY}\"")), Some(8), "secret"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = \"{CANARY}")), Some(8), "file"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = \"\\q{CANARY}\"")), Some(8), "file"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = {CANARY}")), Some(8), "file"),
        (in_key(&format!("[[sender.key]]\nid = \"k2\"\nsecret = [\"{CANARY}\"]")), Some(8), "sender.key.secret"),
        (in_key(&format!("[[sender.key]]\nid = \"not an id\"\nsecret = \"x{CANARY}\"")), Some(7), "key id"),
        (format!("{}{}", in_key(""), sender("b", "k", CANARY)), Some(7), "senders"),
        (format!("{}{}", in_key(""), sender("a", "k", "x")), Some(7), "sender.id"),
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
    assert_eq!(open(&path).unwrap_err().line(), Some(6));
    assert!(unpolled(path).danger_allow_shared_secrets().open(&Scheme::timestamped()).is_ok());
}

#[test]
fn reload_takes_over_what_is_right_and_keeps_the_keys_otherwise() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "old", "one"));
    let keys = open(&path).unwrap();
    assert_eq!(keys.reload(), Ok(false));

    folder.replace("senders.toml", &sender("a", "new", "two"));
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!(found(&keys, "a"), ids(&["new"]));

    for bad in [sender("a", "newer", ""), format!("secret = \"{CANARY}\""), String::new()] {
        folder.replace("senders.toml", &bad);
        for _ in 0..2 {
            let error = keys.reload().unwrap_err();
            assert_eq!(keys.last_error(), Some(error.clone()));
            assert_eq!(found(&keys, "a"), ids(&["new"]));
            assert_no_canary("error", &[error.to_string(), format!("{error:?}"), format!("{keys:?}")]);
        }
    }
    fs::remove_file(&path).unwrap();
    let error = keys.reload().unwrap_err();
    assert_eq!((error.field(), error.path(), found(&keys, "a")), ("file", &*path, ids(&["new"])));

    // What was in use before the errors is right again, and no other.
    folder.replace("senders.toml", &sender("a", "new", "two"));
    assert_eq!((keys.reload().map(drop), keys.last_error()), (Ok(()), None));
    folder.replace("senders.toml", &sender("b", "k", "three"));
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!((found(&keys, "a"), found(&keys, "b")), (None, ids(&["k"])));
}

#[test]
fn file_that_comes_back_unchanged_ends_its_error() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", "one"));
    let keys = open(&path).unwrap();
    fs::rename(&path, folder.file("aside")).unwrap();
    assert!(keys.reload().is_err() && keys.last_error().is_some());
    fs::rename(folder.file("aside"), &path).unwrap();
    assert_eq!((keys.reload(), keys.last_error()), (Ok(false), None));
}

#[test]
fn directory_holds_a_webhook_id_in_each_file() {
    let folder = Folder::new();
    folder.write("acme", "new-secret\nold-secret\n");
    folder.write("globex", "another-secret");
    folder.write(".hidden", "");
    fs::create_dir(folder.file(".git")).unwrap();
    let keys = open(&folder.0).unwrap();
    assert_eq!((found(&keys, "acme"), found(&keys, "globex")), (ids(&["line-1", "line-2"]), ids(&["line-1"])));
    assert_eq!(found(&keys, ".hidden"), None);

    let bad = folder.write("initech", format!("{CANARY}\n\n{CANARY}x\n"));
    let error = keys.reload().unwrap_err();
    assert_eq!((error.path(), error.line(), error.field()), (&*bad, Some(2), "secret"));
    folder.write("initech", "another-secret");
    let error = keys.reload().unwrap_err();
    assert_eq!((error.path(), error.field()), (&*bad, "senders"));
    assert_eq!(found(&keys, "initech"), None);
    folder.write("initech", "x");
    fs::remove_file(folder.file("globex")).unwrap();
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!((found(&keys, "initech"), found(&keys, "globex")), (ids(&["line-1"]), None));

    fs::create_dir(folder.file("nested")).unwrap();
    let error = keys.reload().unwrap_err();
    assert_eq!((error.path(), error.field()), (&*folder.file("nested"), "file"));
}

#[cfg(unix)]
#[test]
fn directory_as_kubernetes_mounts_it_is_swapped_as_one() {
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
    version("..2026_1", &[("acme", "one"), ("globex", "two")]);
    symlink("..data/acme", folder.file("acme")).unwrap();
    symlink("..data/globex", folder.file("globex")).unwrap();
    let keys = open(&folder.0).unwrap();
    assert_eq!((found(&keys, "acme"), found(&keys, "globex")), (ids(&["line-1"]), ids(&["line-1"])));

    // The secrets change places: a reader that mixed both versions would find one secret under two ids.
    version("..2026_2", &[("acme", "two\none"), ("globex", "three")]);
    fs::remove_dir_all(folder.file("..2026_1")).unwrap();
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!((found(&keys, "acme"), found(&keys, "globex")), (ids(&["line-1", "line-2"]), ids(&["line-1"])));

    // The link of a name that is gone dangles until the kubelet removes it.
    version("..2026_3", &[("acme", "four")]);
    assert_eq!(keys.reload(), Ok(true));
    assert_eq!((found(&keys, "acme"), found(&keys, "globex")), (ids(&["line-1"]), None));

    let bad = format!("{CANARY}\n\n");
    version("..2026_4", &[("acme", &bad)]);
    let error = keys.reload().unwrap_err();
    assert_eq!((error.path(), error.line()), (&*folder.file("acme"), Some(2)));
    assert_no_canary("error", &[error.to_string(), format!("{error:?}")]);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_unread() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("/dev/zero", folder.file("acme")).unwrap();
    for path in [folder.0.clone(), folder.file("acme"), "/dev/zero".into()] {
        let error = open(path).unwrap_err();
        assert!(error.to_string().ends_with("file: is not a regular file"), "{error}");
    }
    let large = fs::File::create(folder.file("large.toml")).unwrap();
    large.set_len(16 * 1024 * 1024 + 1).unwrap();
    assert!(open(folder.file("large.toml")).unwrap_err().to_string().ends_with("has more than 16 MiB"));
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
fn watching_thread_takes_changes_over_and_reports_an_error_once() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k0", "one"));
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
    // In place and of the same size, right after the last read: no stamp need differ.
    for round in 1..=3 {
        folder.write("senders.toml", sender("a", &format!("k{round}"), "one"));
        eventually("changed", || found(&keys, "a") == ids(&[&format!("k{round}")]));
    }
    reported.lock().unwrap().clear(); // of files that were caught half written
    folder.replace("senders.toml", "secret = 1");
    eventually("reported", || !reported.lock().unwrap().is_empty());
    let before = Arc::strong_count(&reported);
    thread::sleep(Duration::from_millis(50)); // several polls, of which none may report again
    assert_eq!((reported.lock().unwrap().len(), before), (1, 2));
    assert_eq!(keys.last_error().as_ref(), reported.lock().unwrap().first());
    assert_eq!(found(&keys, "a"), ids(&["k3"]));
    folder.replace("senders.toml", &sender("a", "after", "one"));
    eventually("recovered", || found(&keys, "a") == ids(&["after"]) && keys.last_error().is_none());
}

#[test]
fn watching_thread_ends_with_the_last_handle() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", "one"));
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
    thread::sleep(Duration::from_millis(20));
    assert_eq!(Arc::strong_count(&held), 2);
    assert!(found(&clone, "a").is_some());
    drop(clone);
    eventually("ended", || Arc::strong_count(&held) == 1);
}

#[test]
fn rotation_of_the_file_under_load_never_leaves_an_id_without_keys() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", "one"));
    let keys = FileKeys::builder(&path).poll_every(Duration::from_millis(1)).open(&Scheme::timestamped()).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| (0..20_000).for_each(|_| assert!(found(&keys, "a").is_some())));
        for n in 0..200 {
            folder.replace("senders.toml", &sender("a", &format!("k{n}"), &format!("secret-{n}")));
            keys.reload().unwrap();
        }
        reader.join().unwrap();
    });
    eventually("the last", || found(&keys, "a") == ids(&["k199"]));
}

#[test]
fn interval_of_zero_is_refused() {
    let folder = Folder::new();
    let path = folder.write("senders.toml", sender("a", "k", "one"));
    let refused = FileKeys::builder(path).poll_every(Duration::ZERO).open(&Scheme::timestamped()).unwrap_err();
    assert_eq!(refused.field(), "poll_every");
}

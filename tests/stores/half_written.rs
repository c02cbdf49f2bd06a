//! A keys file that is rewritten in place in small pieces.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use hookwarden::Scheme;
use hookwarden::keys::{FileKeys, KeyStore as _};

fn sender(id: &str, secret: &str) -> String {
    format!("[[sender]]\nid = \"{id}\"\n[[sender.key]]\nid = \"k\"\nsecret = \"{secret}\"\n")
}

fn is_known(keys: &FileKeys, id: &str) -> bool {
    keys.find(id).unwrap().is_some()
}

#[track_caller]
fn wait_for(keys: &FileKeys, id: &str) {
    let start = Instant::now();
    while !is_known(keys, id) {
        assert!(start.elapsed() < Duration::from_secs(20), "the complete file is not loaded");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Rewrites the file with a change every few milliseconds. Returns `None` if the thread was suspended so long that the file
/// could count as complete.
fn rewrite(path: &Path, keys: &FileKeys, before: &str, after: &str) -> Option<()> {
    wait_for(keys, "globex");
    let mut file = OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    file.write_all(before.as_bytes()).unwrap();
    let mut changed = Instant::now();
    for _ in 0..CHANGES {
        thread::sleep(PACE);
        let is_kept = is_known(keys, "globex");
        if changed.elapsed() > LONGEST_REST {
            file.write_all(after.as_bytes()).unwrap();
            return None;
        }
        assert!(is_kept, "the keys of a sender are gone while the file is being written");
        file.write_all(b"#").unwrap();
        changed = Instant::now();
    }
    file.write_all(after.as_bytes()).unwrap();
    Some(())
}

#[test]
fn keys_stay_while_their_file_is_written() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("half-written-{}.toml", std::process::id()));
    let [acme, globex] = ["acme", "globex"].map(|id| sender(id, &format!("the-first-secret-of-{id}")));
    fs::write(&path, format!("{acme}{globex}")).unwrap();
    let keys = FileKeys::builder(&path).poll_every(POLL_EVERY).open(&Scheme::timestamped()).unwrap();
    // The first part is a valid keys file without `globex`.
    let initech = sender("initech", "the-first-secret-of-initech");
    let rest = format!("\n{globex}{initech}");
    let was_paced = (0..ATTEMPTS).any(|_| rewrite(&path, &keys, &acme, &rest).is_some());
    assert!(was_paced, "this machine stops each thread for longer than {LONGEST_REST:?}");
    wait_for(&keys, "initech");
    fs::remove_file(&path).unwrap();
}

/// The polling interval. It is longer than the 50 ms without a change after which a file counts as complete.
const POLL_EVERY: Duration = Duration::from_millis(60);
/// The longest time for which the writer may be suspended: half of those 50 ms.
const LONGEST_REST: Duration = Duration::from_millis(25);
/// The time between two changes. Reading the file takes less.
const PACE: Duration = Duration::from_millis(5);
const CHANGES: usize = 100;
const ATTEMPTS: usize = 50;

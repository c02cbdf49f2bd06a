//! `hookwarden rotate` while another user replaces its temporary file by a link to a file elsewhere.
//!
//! The tests with another user's directory need root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use libtest_mimic::{Completion, Trial};
use tempfile::TempDir;

use super::scratch::{CommandOutput, PROGRAM, finish};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("race_in_writable_directory_changes_nothing_outside", None, race),
        trial("race_in_another_users_directory_changes_nothing_outside", Some(OTHER_USER), race),
        trial("directory_of_another_user_is_refused", Some(OTHER_USER), refusal),
        trial("directory_link_of_another_user_is_not_followed", Some(OTHER_USER), directory_link),
        trial("directory_link_in_writable_directory_is_not_followed", None, directory_link),
        trial("file_with_lost_owner_becomes_private", Some(OTHER_USER), lost_owner),
    ]
}

/// A test with a directory of `owner`, or with a world-writable one of the current user.
fn trial(name: &'static str, owner: Option<u32>, test: fn(Option<u32>)) -> Trial {
    Trial::ignorable_test(name, move || {
        // A new directory belongs to the user that runs the test.
        if owner.is_some() && fs::metadata(tempfile::tempdir()?.path())?.uid() != 0 {
            return Ok(Completion::ignored_with("only root can create a directory of another user"));
        }
        test(owner);
        Ok(Completion::Completed)
    })
}

struct Place {
    _scratch: TempDir,
    /// A directory that another user can write to.
    theirs: PathBuf,
    /// A file outside that directory.
    outside: PathBuf,
    owner: Option<u32>,
}

impl Place {
    fn new(owner: Option<u32>) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let [theirs, outside] = ["theirs", "outside"].map(|name| scratch.path().join(name));
        fs::create_dir(&theirs).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(if owner.is_some() { 0o755 } else { 0o777 })).unwrap();
        chown(&theirs, owner, owner).unwrap();
        fs::write(&outside, "not theirs").unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
        Self { _scratch: scratch, theirs, outside, owner }
    }

    fn write_keys(&self) {
        let keys = self.theirs.join("keys.toml");
        let _ = fs::remove_file(&keys);
        fs::write(&keys, KEYS).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
        chown(&keys, self.owner, self.owner).unwrap();
    }

    fn rotate(&self, file: &str, more: &[&str]) -> CommandOutput {
        let mut command = Command::new(PROGRAM);
        finish(command.current_dir(&self.theirs).args(["rotate", file, "--id", "acme"]).args(more))
    }

    /// Owner, group, mode and content.
    fn outside(&self) -> (u32, u32, u32, String) {
        let metadata = fs::metadata(&self.outside).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode(), fs::read_to_string(&self.outside).unwrap())
    }

    /// Whether the path is a file, and not a hard link from an earlier swap.
    fn is_new(&self, path: &Path) -> bool {
        let outside = fs::metadata(&self.outside).unwrap().ino();
        path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.ino() != outside)
    }

    /// Replaces the temporary files by links.
    fn attack(&self, swaps: &AtomicU32) {
        for name in fs::read_dir(&self.theirs).unwrap().flatten().map(|entry| entry.file_name()) {
            if !name.to_string_lossy().starts_with(".hookwarden-") {
                continue;
            }
            let link = self.theirs.join("link");
            let _ = fs::remove_file(&link);
            let linked = match swaps.load(Ordering::Relaxed) % 2 {
                0 => symlink(&self.outside, &link),
                _ => fs::hard_link(&self.outside, &link),
            };
            // Rename in one step, so that the name always exists.
            let temporary = self.theirs.join(name);
            if linked.is_ok() && self.is_new(&temporary) && fs::rename(&link, temporary).is_ok() {
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn race(owner: Option<u32>) {
    let place = Place::new(owner);
    let before = place.outside();
    let (swaps, ended) = (AtomicU32::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let attacker = scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                place.attack(&swaps);
            }
        });
        let changed = (0..MOST_ROUNDS).find_map(|round| {
            place.write_keys();
            let output = place.rotate("keys.toml", &["--danger-writable-directory"]);
            let after = place.outside();
            let done = swaps.load(Ordering::Relaxed) >= ENOUGH_SWAPS;
            (after != before || done).then_some((round, output, after))
        });
        ended.store(true, Ordering::Relaxed);
        attacker.join().unwrap();
        let (round, output, after) = changed.expect("the attacker must be fast enough to swap the file");
        assert_eq!(after, before, "round {round}, after {} swaps: {output:?}", swaps.load(Ordering::Relaxed));
    });
}

fn refusal(owner: Option<u32>) {
    let place = Place::new(owner);
    place.write_keys();
    let output = place.rotate("keys.toml", &[]);
    output.assert_refused("it belongs to user 12345");
    assert_eq!(fs::read_to_string(place.theirs.join("keys.toml")).unwrap(), KEYS);
    assert_eq!(fs::read_dir(&place.theirs).unwrap().count(), 1);
    // With the flag the file keeps its owner.
    let output = place.rotate("keys.toml", &["--danger-writable-directory"]);
    output.assert_code(0);
    let metadata = fs::metadata(place.theirs.join("keys.toml")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (OTHER_USER, OTHER_USER, 0o644));
}

/// A link in another user's directory to a directory of the current user is refused.
fn directory_link(owner: Option<u32>) {
    let place = Place::new(owner);
    let ours = place.outside.with_file_name("ours");
    fs::create_dir(&ours).unwrap();
    fs::write(ours.join("keys.toml"), KEYS).unwrap();
    symlink(&ours, place.theirs.join("link")).unwrap();
    for more in [&["--danger-writable-directory"][..], &["--danger-writable-directory", "--dry-run"], &[]] {
        place.rotate("link/keys.toml", more).assert_refused("must not be reached by a link");
        assert_eq!(fs::read_to_string(ours.join("keys.toml")).unwrap(), KEYS);
    }
}

/// Only root can preserve the owner of another user's file.
fn lost_owner(owner: Option<u32>) {
    let place = Place::new(owner);
    place.write_keys();
    let keys = place.theirs.join("keys.toml");
    chown(&keys, Some(0), Some(0)).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o4666)).unwrap();
    // The other user may not be able to read the build directory. `cp` copies the program: if this process wrote it, a
    // child forked by another test could hold it open for writing, and running it would fail with "text file busy".
    let program = place.outside.with_file_name("hookwarden");
    let copied = Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap();
    assert!(copied.success(), "cp: {copied}");
    fs::set_permissions(program.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    command.current_dir(&place.theirs).uid(OTHER_USER).gid(OTHER_USER);
    let output = finish(command.args(["rotate", "keys.toml", "--id", "acme"])).assert_code(0);
    assert!(output.stderr.contains("belongs to you now, with mode 0600"), "{output:?}");
    let metadata = fs::metadata(keys).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o7777), (OTHER_USER, 0o600));
}

const OTHER_USER: u32 = 12_345;
/// The number of swaps that covers both kinds of links and any moment of a rotation.
const ENOUGH_SWAPS: u32 = 60;
const MOST_ROUNDS: u32 = 2_000;
const KEYS: &str =
    "[[sender]]\nid = \"acme\"\n[[sender.key]]\nid = \"k\"\nsecret = \"u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx\"\n";

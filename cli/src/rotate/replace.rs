//! Reads a keys file, and replaces it atomically under a lock.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hookwarden::Scheme;
use hookwarden::keys::{FileKeys, FileKeysBuilder, KeyFileError};
use zeroize::Zeroizing;

use crate::directory::{Directory, unsafe_way_to};
use crate::failure::Failure;
use crate::private_file;

/// The content of a keys file, valid for `scheme`.
pub(super) struct KeysFile<'s> {
    /// The given path.
    shown: PathBuf,
    /// The path with links resolved. This file is replaced, and links to it stay.
    place: PathBuf,
    directory: Directory,
    name: OsString,
    scheme: &'s Scheme,
    /// Whether two ids may share a secret, because the file already has a shared one.
    shared_secrets: bool,
    text: Zeroizing<String>,
    /// The open file, which holds the lock.
    file: File,
}

impl<'s> KeysFile<'s> {
    /// Reads a file without locking it.
    pub(super) fn read(path: &Path, scheme: &'s Scheme) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::file(path, error);
        if path.is_dir() {
            return Err(Failure::file(path, "must be a TOML file, but is a directory"));
        }
        let given = private_file::directory_of(path);
        let unsafe_way = unsafe_way_to(&std::path::absolute(&given).map_err(failed)?).map_err(failed)?;
        let others = Directory::open(&given).and_then(|given| given.other_writers()).map_err(failed)?;
        let resolved = if others.is_none() && unsafe_way.is_none() {
            fs::canonicalize(path).map_err(failed)?
        } else if path.is_symlink() {
            return Err(Failure::file(
                path,
                "must not be a link that other users can change; use the path of its target",
            ));
        } else {
            fs::canonicalize(&given).map_err(failed)?.join(path.file_name().unwrap_or_default())
        };
        let name = resolved.file_name().unwrap_or_default().to_owned();
        let place = private_file::directory_of(&resolved);
        let directory = match unsafe_way {
            None => Directory::open(&place).map_err(failed)?,
            Some(reason) => directory_by_unsafe_way(path, &place, &reason)?,
        };
        let mut file = directory.file(&name).map_err(failed)?;
        let text = text_of(&mut file, path)?;
        let shared_secrets = match builder(path, false).check(scheme, &text) {
            Ok(()) => false,
            // The receiver may permit shared secrets. All other checks stay the same.
            Err(faults) => match builder(path, true).check(scheme, &text) {
                Ok(()) => true,
                Err(_) => return Err(Failure::input(path.display(), problem(&faults))),
            },
        };
        Ok(Self { shown: path.into(), place, directory, name, scheme, shared_secrets, text, file })
    }

    /// Waits for the lock, and reads the file.
    pub(super) fn lock(path: &Path, scheme: &'s Scheme) -> Result<Self, Failure> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let mut found = Self::read(path, scheme)?;
            match found.file.try_lock() {
                // The previous holder of the lock may have replaced the file. A lock on the old file has no effect.
                Ok(()) if found.is_in_place() => {
                    // The file may have been changed in place before it was locked.
                    if text_of(&mut found.file, path)? == found.text {
                        return Ok(found);
                    }
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(Failure::outside(path.display(), error)),
            }
        }
        Err(Failure::outside(
            path.display(),
            "another process has held the lock for 30 seconds; nothing was changed, try again",
        ))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Refuses a file that other users can replace, in its directory or by replacing a parent directory.
    pub(super) fn refuse_other_writers(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::file(&self.shown, error);
        let given = std::path::absolute(private_file::directory_of(&self.shown)).map_err(failed)?;
        let reason = match self.directory.other_writers().map_err(failed)? {
            Some(reason) => Some(format!("{}: {reason}", self.place.display())),
            None => match unsafe_way_to(&given).map_err(failed)? {
                None => unsafe_way_to(&self.place).map_err(failed)?,
                found => found,
            },
        };
        reason.map_or(Ok(()), |reason| {
            let problem = format!(
                "must be in a directory that other users cannot write to ({reason}); run this as the directory's owner after \
                 chmod go-w, or add --danger-writable-directory"
            );
            Err(Failure::file(&self.shown, problem))
        })
    }

    /// Checks that [`FileKeys`] accepts `text`.
    pub(super) fn check(&self, text: &str) -> Result<(), Failure> {
        builder(&self.shown, self.shared_secrets).check(self.scheme, text).map_err(|faults| {
            Failure::file(&self.shown, format!("the new content would be invalid: {}", problem(&faults)))
        })
    }

    /// Replaces the file by `text` atomically. Returns warnings about the file, one line each.
    pub(super) fn replace(self, text: &str) -> Result<Vec<String>, Failure> {
        self.check(text)?;
        let failed = |error: io::Error| Failure::outside(self.shown.display(), error);
        let new = self.directory.create(text.as_bytes()).map_err(failed)?;
        let mut warnings = Vec::new();
        let metadata = self.file.metadata().map_err(failed)?;
        // Uses the descriptor, because another user may have replaced the path by a link.
        if keep_owner(&new.file, &metadata).is_ok() {
            new.file.set_permissions(permissions(&metadata)).map_err(failed)?;
        } else {
            warnings.push(format!(
                "{}: belongs to you now, with mode 0600, because its owner could not be kept",
                self.shown.display()
            ));
        }
        new.file.sync_all().map_err(failed)?;
        // Editors ignore the lock.
        let mut placed = self.directory.file(&self.name).map_err(failed)?;
        if !text_of(&mut placed, &self.shown).is_ok_and(|text| text == self.text) {
            return Err(Failure::outside(
                self.shown.display(),
                "was changed by another program; nothing was written, try again",
            ));
        }
        new.replace(&self.name).map_err(failed)?;
        self.directory.sync().map_err(failed)?;
        let loaded = builder(&self.shown, self.shared_secrets).open(self.scheme);
        warnings.extend(loaded.map(|keys| keys.warnings()).unwrap_or_default());
        Ok(warnings)
    }

    #[cfg(unix)]
    fn is_in_place(&self) -> bool {
        self.directory.has(&self.name, &self.file).unwrap_or(false)
    }

    #[cfg(not(unix))]
    fn is_in_place(&self) -> bool {
        let placed = self.directory.file(&self.name).map_err(drop);
        placed.and_then(|mut file| text_of(&mut file, &self.shown).map_err(drop)).is_ok_and(|text| text == self.text)
    }
}

/// Opens the directory of `path`, whose canonical path is `canonical`. Refuses a path with a link that others can
/// change.
fn directory_by_unsafe_way(path: &Path, canonical: &Path, reason: &str) -> Result<Directory, Failure> {
    let failed = |error: io::Error| Failure::file(path, error);
    let absolute = std::path::absolute(private_file::directory_of(path)).map_err(failed)?;
    if cfg!(unix) && canonical != absolute {
        let problem = format!(
            "must not be reached by a link that other users can change ({reason}); if {} is meant, use that path",
            canonical.display()
        );
        return Err(Failure::file(path, problem));
    }
    // Others may create a link after this check.
    Directory::open_without_links(canonical).map_err(failed)
}

fn builder(path: &Path, shared_secrets: bool) -> FileKeysBuilder {
    let builder = FileKeys::builder(path);
    if shared_secrets { builder.danger_allow_shared_secrets() } else { builder }
}

/// The first error, without the path.
fn problem(faults: &[KeyFileError]) -> String {
    let Some(first) = faults.first() else { return String::new() };
    let line = first.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    format!("{line}{}", first.problem())
}

fn text_of(file: &mut File, shown: &Path) -> Result<Zeroizing<String>, Failure> {
    let read = |file: &mut File| {
        file.seek(SeekFrom::Start(0))?;
        // Allocates once, because a growing buffer leaves copies that are not wiped.
        let size = file.metadata()?.len().saturating_add(1);
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default()));
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let mut bytes = read(file).map_err(|error: io::Error| Failure::file(shown, error))?;
    let text = String::from_utf8(std::mem::take(&mut *bytes));
    text.map(Zeroizing::new).map_err(|_| Failure::file(shown, "must be UTF-8"))
}

#[cfg(unix)]
fn keep_owner(file: &File, metadata: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let mine = file.metadata()?;
    if (mine.uid(), mine.gid()) == (metadata.uid(), metadata.gid()) {
        return Ok(());
    }
    fchown(file, Some(metadata.uid()), Some(metadata.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// The permissions of the replaced file, without the set-user-id, set-group-id and sticky bits.
#[cfg(unix)]
fn permissions(metadata: &fs::Metadata) -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    fs::Permissions::from_mode(metadata.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn permissions(metadata: &fs::Metadata) -> fs::Permissions {
    metadata.permissions()
}

/// The limit for waiting on the lock. A rotation takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "[[sender]]\nid = \"a\"\n[[sender.key]]\nid = \"k\"\nsecret = \"secret-number-one\"\n";

    fn file(directory: &tempfile::TempDir) -> PathBuf {
        let path = directory.path().join("keys.toml");
        fs::write(&path, OLD).unwrap();
        path
    }

    #[test]
    fn concurrent_edit_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory);
        let scheme = Scheme::timestamped();
        let locked = KeysFile::lock(&path, &scheme).unwrap();
        let edited = OLD.replace("number-one", "number-two");
        fs::write(&path, &edited).unwrap();
        let refused = locked.replace(&OLD.replace("number-one", "number-three")).unwrap_err();
        assert!(refused.to_string().contains("was changed by another program"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    }

    #[cfg(unix)]
    #[test]
    fn replaced_file_keeps_only_permission_bits() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory);
        let scheme = Scheme::timestamped();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o7640)).unwrap();
        KeysFile::lock(&path, &scheme).unwrap().replace(&OLD.replace("one", "two")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    }

    #[test]
    fn waiting_lock_reads_the_replaced_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory);
        let scheme = Scheme::timestamped();
        let first = KeysFile::lock(&path, &scheme).unwrap();
        let new = OLD.replace("number-one", "number-two");
        thread::scope(|scope| {
            let second = scope.spawn(|| KeysFile::lock(&path, &scheme).map(|file| file.text().to_owned()));
            assert!(!second.is_finished());
            first.replace(&new).unwrap();
            assert_eq!(second.join().unwrap().unwrap(), new);
        });
    }

    #[test]
    fn text_refused_by_library_is_never_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory);
        let scheme = Scheme::timestamped();
        let locked = KeysFile::lock(&path, &scheme).unwrap();
        let refused = locked.replace("[[sender]]\nid = \"a\"\nsecret = \"canary\"\n").unwrap_err().to_string();
        assert!(
            refused.ends_with("the new content would be invalid: line 3: sender: must have no field besides id, key"),
            "{refused}"
        );
        assert!(refused.starts_with(&path.display().to_string()));
        assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

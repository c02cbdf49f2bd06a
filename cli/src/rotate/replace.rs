//! A keys file that is read, and replaced in one step while nobody else does so.

use std::fs::{self, File, TryLockError};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hookwarden::Scheme;
use hookwarden::keys::{FileKeys, KeyFileError};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::private_file;

/// A keys file as it was read, valid for `scheme`.
pub(super) struct KeysFile<'s> {
    /// As it was given.
    shown: PathBuf,
    /// Links resolved: it is the file that is replaced, and a link to it stays.
    path: PathBuf,
    scheme: &'s Scheme,
    /// Where the same secret under two ids is no fault; it then was none before.
    shared_secrets: bool,
    text: Zeroizing<String>,
    /// The lock, if there is one. It ends with the file.
    file: File,
}

impl<'s> KeysFile<'s> {
    /// Reads it.
    pub(super) fn read(path: &Path, scheme: &'s Scheme) -> Result<Self, Failure> {
        let resolved = fs::canonicalize(path).map_err(|error| Failure::file(path, error))?;
        if resolved.is_dir() {
            return Err(Failure::file(path, "is a directory; a keys file is TOML"));
        }
        let file = File::open(&resolved).map_err(|error| Failure::file(path, error))?;
        Self::from_open(path, resolved, file, scheme)
    }

    /// Waits until nobody else changes it, locks it and reads it.
    pub(super) fn lock(path: &Path, scheme: &'s Scheme) -> Result<Self, Failure> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let found = Self::read(path, scheme)?;
            match found.file.try_lock() {
                // Whoever held the lock may have put another file in its place; the lock on the old one is worth nothing.
                Ok(()) if found.is_in_place() => {
                    return Self::from_open(path, found.path, found.file, scheme);
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(Failure::outside(path.display(), error)),
            }
        }
        Err(Failure::outside(path.display(), "another process changes it, for 30 seconds now; nothing was written"))
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether [`FileKeys`] takes `text` for a keys file.
    pub(super) fn check(&self, text: &str) -> Result<(), Failure> {
        self.prepare(text).map(|_| ())
    }

    /// Puts `text` in its place in one step. What is unwise about the file comes back, a line each.
    pub(super) fn replace(self, text: &str) -> Result<Vec<String>, Failure> {
        let (prepared, warnings) = self.prepare(text)?;
        let failed = |error: std::io::Error| Failure::outside(self.shown.display(), error);
        // An editor knows nothing of the lock.
        if fs::read(&self.path).map(Zeroizing::new).map_err(failed)?.as_slice() != self.text.as_bytes() {
            return Err(Failure::outside(
                self.shown.display(),
                "was changed meanwhile; nothing was written, try again",
            ));
        }
        prepared.persist(&self.path).map_err(|error| failed(error.error))?;
        private_file::sync_directory(&private_file::directory_of(&self.path)).map_err(failed)?;
        Ok(warnings)
    }

    fn prepare(&self, text: &str) -> Result<(tempfile::NamedTempFile, Vec<String>), Failure> {
        let failed = |error: std::io::Error| Failure::outside(self.shown.display(), error);
        let directory = private_file::directory_of(&self.path);
        let prepared = private_file::temporary(&directory, text.as_bytes()).map_err(failed)?;
        let mut warnings = Vec::new();
        let metadata = self.file.metadata().map_err(failed)?;
        if keep_owner(prepared.path(), &metadata).is_err() {
            warnings.push(format!("{}: belongs to you now; its former owner could not be kept", self.shown.display()));
        }
        fs::set_permissions(prepared.path(), metadata.permissions()).map_err(failed)?;
        prepared.as_file().sync_all().map_err(failed)?;
        let keys = open(prepared.path(), self.scheme, self.shared_secrets)
            .map_err(|error| Failure::file(&self.shown, format!("the new file would be wrong: {}", problem(&error))))?;
        let temporary = prepared.path().display().to_string();
        let shown = self.shown.display().to_string();
        warnings.extend(keys.warnings().into_iter().map(|warning| warning.replace(&temporary, &shown)));
        Ok((prepared, warnings))
    }

    fn from_open(shown: &Path, path: PathBuf, mut file: File, scheme: &'s Scheme) -> Result<Self, Failure> {
        let metadata = file.metadata().map_err(|error| Failure::file(shown, error))?;
        let text = String::from_utf8(read_all(&mut file, metadata.len()).map_err(|error| Failure::file(shown, error))?);
        let text = Zeroizing::new(text.map_err(|_| Failure::file(shown, "is not UTF-8"))?);
        let shared_secrets = match open(&path, scheme, false) {
            Ok(_) => false,
            // The receiver may permit it by its setting; nothing else is looser then.
            Err(error) => match open(&path, scheme, true) {
                Ok(_) => true,
                Err(_) => return Err(Failure::input(shown.display(), problem(&error))),
            },
        };
        Ok(Self { shown: shown.into(), path, scheme, shared_secrets, text, file })
    }

    #[cfg(unix)]
    fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(locked), Ok(placed)) => (locked.dev(), locked.ino()) == (placed.dev(), placed.ino()),
            _ => false,
        }
    }

    #[cfg(not(unix))]
    fn is_in_place(&self) -> bool {
        fs::read(&self.path).is_ok_and(|bytes| bytes == self.text.as_bytes())
    }
}

fn open(path: &Path, scheme: &Scheme, shared_secrets: bool) -> Result<FileKeys, KeyFileError> {
    let builder = FileKeys::builder(path);
    let builder = if shared_secrets { builder.danger_allow_shared_secrets() } else { builder };
    builder.open(scheme)
}

/// The error without its path, which may be that of a temporary file.
fn problem(error: &KeyFileError) -> String {
    let text = error.to_string();
    let text = text.strip_prefix(&error.path().display().to_string()).unwrap_or(&text);
    match error.line() {
        Some(line) => {
            let rest = text.strip_prefix(&format!(":{line}: ")).unwrap_or(text);
            format!("line {line}: {rest}")
        }
        None => text.strip_prefix(": ").unwrap_or(text).to_owned(),
    }
}

fn read_all(file: &mut File, size: u64) -> std::io::Result<Vec<u8>> {
    use std::io::{Seek as _, SeekFrom};
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
fn keep_owner(path: &Path, metadata: &fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let mine = fs::metadata(path)?;
    if (mine.uid(), mine.gid()) == (metadata.uid(), metadata.gid()) {
        return Ok(());
    }
    chown(path, Some(metadata.uid()), Some(metadata.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &fs::Metadata) -> std::io::Result<()> {
    Ok(())
}

/// How long another process may hold the lock: a rotation takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "[[sender]]\nid = \"a\"\n[[sender.key]]\nid = \"k\"\nsecret = \"one\"\n";

    fn file(directory: &tempfile::TempDir) -> PathBuf {
        let path = directory.path().join("keys.toml");
        fs::write(&path, OLD).unwrap();
        path
    }

    #[test]
    fn change_by_an_editor_meanwhile_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory);
        let scheme = Scheme::timestamped();
        let locked = KeysFile::lock(&path, &scheme).unwrap();
        let edited = OLD.replace("one", "two");
        fs::write(&path, &edited).unwrap();
        let refused = locked.replace(&OLD.replace("one", "three")).unwrap_err();
        assert!(refused.to_string().contains("was changed meanwhile"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    }

    #[test]
    fn lock_that_waited_reads_the_file_that_was_put_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory);
        let scheme = Scheme::timestamped();
        let first = KeysFile::lock(&path, &scheme).unwrap();
        let new = OLD.replace("one", "two");
        thread::scope(|scope| {
            let second = scope.spawn(|| KeysFile::lock(&path, &scheme).map(|file| file.text().to_owned()));
            assert!(!second.is_finished());
            first.replace(&new).unwrap();
            assert_eq!(second.join().unwrap().unwrap(), new);
        });
    }

    #[test]
    fn text_that_the_library_refuses_is_never_put_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory);
        let scheme = Scheme::timestamped();
        let locked = KeysFile::lock(&path, &scheme).unwrap();
        let refused = locked.replace("[[sender]]\nid = \"a\"\nsecret = \"canary\"\n").unwrap_err().to_string();
        assert!(
            refused.ends_with("the new file would be wrong: line 3: sender: has a field that is none of id, key"),
            "{refused}"
        );
        assert!(refused.starts_with(&path.display().to_string()));
        assert_eq!(fs::read_to_string(&path).unwrap(), OLD);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

//! The files behind a path, as they are at one moment.

use std::fs::{self, File, Metadata};
use std::hash::{Hash, Hasher};
use std::io::{self, ErrorKind, Read as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::KeyFileError;
use crate::error::ConfigError;

/// The metadata of every file, with symbolic links followed.
#[derive(PartialEq, Eq)]
pub(super) struct Source {
    path: PathBuf,
    /// Whether each file's name is a webhook id.
    directory: bool,
    files: Vec<Entry>,
}

#[derive(PartialEq, Eq)]
struct Entry {
    /// `None` for the TOML file.
    name: Option<String>,
    /// As an operator knows it.
    shown: PathBuf,
    /// Links between directories resolved, so that all files are from one side of a swap.
    path: PathBuf,
    stat: Stat,
}

#[derive(PartialEq, Eq)]
struct Stat {
    #[cfg(unix)]
    inode: (u64, u64),
    #[cfg(unix)]
    mode: u32,
    size: u64,
    modified: SystemTime,
    /// The latest time that the file is known to have changed in any way.
    changed: SystemTime,
}

impl Source {
    pub(super) fn look(path: &Path) -> Result<Self, KeyFileError> {
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            return Self::look_into(path);
        }
        let entry = Entry::new(None, path.into(), path.into(), &metadata)?;
        Ok(Self { path: path.into(), directory: false, files: vec![entry] })
    }

    /// Kubernetes keeps the files of a volume in another directory, and swaps the link `..data` to it. The names beside
    /// that link lead through it one by one: reading them could mix both sides of a swap.
    fn look_into(path: &Path) -> Result<Self, KeyFileError> {
        let root = fs::canonicalize(path.join("..data")).unwrap_or_else(|_| path.into());
        let mut files = Vec::new();
        for entry in fs::read_dir(&root).map_err(|error| unreadable(path, &error))? {
            let entry = entry.map_err(|error| unreadable(path, &error))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let shown = path.join(entry.file_name());
            let Ok(name) = entry.file_name().into_string() else {
                return Err(fault(&shown, "its name is not UTF-8, and so no webhook id"));
            };
            let metadata = fs::metadata(entry.path()).map_err(|error| unreadable(&shown, &error))?;
            files.push(Entry::new(Some(name), shown, entry.path(), &metadata)?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { path: path.into(), directory: true, files })
    }

    /// The content of every file, or `None` if any of them changed meanwhile.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<Content>>, KeyFileError> {
        let read = self.files.iter().map(|entry| match entry.read() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&entry.shown, &error)),
            Ok(content) => Ok(Some(content)),
        });
        let contents = read.collect::<Result<Option<Vec<_>>, _>>()?;
        Ok(if Self::look(path)? == *self { contents } else { None })
    }

    /// Whether nothing changed, for certain. A change right after the check at `when` may not have changed the time
    /// stamps of a file, so recently changed files count as new for a while.
    pub(super) fn still_is(&self, path: &Path, when: SystemTime) -> bool {
        let settled = |entry: &Entry| entry.stat.changed.checked_add(STAMP_STEP).is_some_and(|end| end < when);
        self.files.iter().all(settled) && Self::look(path).is_ok_and(|now| now == *self)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, file: usize) -> Option<&Path> {
        self.files.get(file).map(|entry| &*entry.shown)
    }

    pub(super) fn webhook_id(&self, file: usize) -> Option<&str> {
        self.files.get(file)?.name.as_deref()
    }

    #[cfg(unix)]
    pub(super) fn warnings(&self) -> Vec<String> {
        let open = |right| self.files.iter().filter(move |entry| entry.stat.mode & right != 0);
        let warning = |right: u32, verb: &str| {
            let first = open(right).next()?;
            let others = open(right).count().saturating_sub(1);
            let others = if others == 0 { String::new() } else { format!(" and {others} more") };
            let mode = first.stat.mode & 0o7777;
            Some(format!(
                "{}{others}: every user of the machine may {verb} it (mode {mode:04o})",
                first.shown.display()
            ))
        };
        [warning(0o004, "read"), warning(0o002, "write")].into_iter().flatten().collect()
    }

    #[cfg(not(unix))]
    pub(super) fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Entry {
    fn new(name: Option<String>, shown: PathBuf, path: PathBuf, metadata: &Metadata) -> Result<Self, KeyFileError> {
        // Opening a pipe would wait for its writer.
        if !metadata.is_file() {
            return Err(fault(&shown, "is not a regular file"));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(fault(&shown, "has more than 16 MiB"));
        }
        let stat = Stat::new(metadata).map_err(|error| unreadable(&shown, &error))?;
        Ok(Self { name, shown, path, stat })
    }

    fn read(&self) -> io::Result<Content> {
        // Room for all of it from the start: a buffer that grows leaves copies behind that nobody wipes.
        let room = usize::try_from(self.stat.size.saturating_add(1)).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        File::open(&self.path)?.take(self.stat.size.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(Content { id: self.name.clone(), bytes })
    }
}

impl Stat {
    fn new(metadata: &Metadata) -> io::Result<Self> {
        let modified = metadata.modified()?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let seconds = Duration::from_secs(u64::try_from(metadata.ctime()).unwrap_or_default());
            let nanos = Duration::from_nanos(u64::try_from(metadata.ctime_nsec()).unwrap_or_default());
            let changed = SystemTime::UNIX_EPOCH.checked_add(seconds.saturating_add(nanos)).unwrap_or(modified);
            let inode = (metadata.dev(), metadata.ino());
            Ok(Self { inode, mode: metadata.mode(), size: metadata.len(), modified, changed })
        }
        #[cfg(not(unix))]
        Ok(Self { size: metadata.len(), modified, changed: modified })
    }
}

/// A file's bytes, wiped on drop. Its hash covers the webhook id that they belong to.
pub(super) struct Content {
    id: Option<String>,
    bytes: Zeroizing<Vec<u8>>,
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.bytes.hash(state);
    }
}

fn unreadable(path: &Path, error: &io::Error) -> KeyFileError {
    fault(path, format!("cannot be read: {error}"))
}

fn fault(path: &Path, problem: impl Into<std::borrow::Cow<'static, str>>) -> KeyFileError {
    KeyFileError::new(path, None, ConfigError::new("file", problem))
}

/// Enough for more than a million keys. A larger file is not a key file, and is not read into memory.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// No file system that is in use stamps in steps greater than this (FAT: 2 s).
const STAMP_STEP: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_changed_just_before_it_was_read_counts_as_new() {
        let path = Path::new("Cargo.toml");
        let source = Source::look(path).unwrap();
        let changed = source.files[0].stat.changed;
        let still_is = |seconds| source.still_is(path, changed + Duration::from_secs(seconds));
        assert_eq!([0, 1, 3, 4].map(still_is), [false, false, false, true]);
    }
}

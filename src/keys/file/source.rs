//! The files at a path, and their metadata at one time.

use std::fs::{self, File, Metadata};
use std::hash::{Hash, Hasher};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::KeyFileError;
use super::selection::{Selection, is_backup};
use crate::error::ConfigError;

/// The metadata of every file, with symbolic links followed.
#[derive(PartialEq, Eq)]
pub(super) struct Source {
    path: PathBuf,
    /// Whether each file holds the secrets of one webhook id.
    directory: bool,
    /// Whether all files of the directory are loaded because the application selected none.
    everything: bool,
    files: Vec<Entry>,
}

#[derive(PartialEq, Eq)]
struct Entry {
    /// `None` for the TOML file.
    id: Option<String>,
    /// The path to show in messages.
    shown: PathBuf,
    /// The path with directory links resolved, so that all files come from the same side of a swap.
    path: PathBuf,
    /// The metadata, or why the file is not read.
    stat: Result<Stat, KeyFileError>,
}

#[derive(PartialEq, Eq)]
struct Stat {
    #[cfg(unix)]
    inode: (u64, u64),
    #[cfg(unix)]
    mode: u32,
    size: u64,
    modified: SystemTime,
    /// The time of the last change to the content or the metadata, as far as it is known.
    changed: SystemTime,
}

impl Source {
    /// Reads the metadata of the selected files.
    ///
    /// # Errors
    /// The path cannot be read. Faults of single files of a directory are in their entries.
    pub(super) fn scan(selection: &Selection) -> Result<Self, KeyFileError> {
        let path = &selection.path;
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            return Self::scan_directory(selection);
        }
        if selection.is_explicit() {
            let problem = "must be a directory, because `file` and `pattern` select files in it";
            return Err(KeyFileError::new(path, None, ConfigError::new("path", problem)));
        }
        let stat = Stat::of_regular_file(path, &metadata)?;
        let entry = Entry { id: None, shown: path.clone(), path: path.clone(), stat: Ok(stat) };
        Ok(Self { path: path.clone(), directory: false, everything: false, files: vec![entry] })
    }

    /// Kubernetes keeps the files of a volume in another directory, and swaps the link `..data` to it. Each file name
    /// is itself a link through `..data`, so reading by these names could mix files from before and after a swap.
    fn scan_directory(selection: &Selection) -> Result<Self, KeyFileError> {
        let path = &selection.path;
        let root = fs::canonicalize(path.join("..data")).unwrap_or_else(|_| path.clone());
        let named = selection.named.iter().map(|(id, name)| Entry::new(id.clone(), path.join(name), root.join(name)));
        let mut files: Vec<_> = named.collect();
        for entry in fs::read_dir(&root).map_err(|error| unreadable(path, &error))? {
            let entry = entry.map_err(|error| unreadable(path, &error))?;
            let shown = path.join(entry.file_name());
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match entry.file_name().to_str() {
                Some(name) => {
                    let Some(id) = selection.matched(name) else { continue };
                    files.push(if is_backup(name) {
                        Entry::refused(id.to_owned(), shown, entry.path(), BACKUP)
                    } else {
                        Entry::new(id.to_owned(), shown, entry.path())
                    });
                }
                None if selection.is_explicit() => {}
                None => {
                    let id = entry.file_name().to_string_lossy().into_owned();
                    files.push(Entry::refused(id, shown, entry.path(), "must have a name in UTF-8, its webhook id"));
                }
            }
        }
        files.sort_by(|a, b| (&a.path, &a.id).cmp(&(&b.path, &b.id)));
        Ok(Self { path: path.clone(), directory: true, everything: !selection.is_explicit(), files })
    }

    /// Returns the content of every file, or `None` if any of them changed meanwhile.
    pub(super) fn read(&self, selection: &Selection) -> Result<Option<Vec<Content>>, KeyFileError> {
        let read = self.files.iter().map(Entry::read).collect::<Result<Option<Vec<_>>, _>>()?;
        Ok(if Self::scan(selection)? == *self { read } else { None })
    }

    /// Whether certainly nothing changed since `when`. Time stamps are coarse: a file that changed shortly before
    /// `when` may have changed again with the same time stamp, so it counts as changed.
    pub(super) fn is_unchanged(&self, selection: &Selection, when: SystemTime) -> bool {
        let settled = |stat: &Stat| stat.changed.checked_add(STAMP_STEP).is_some_and(|end| end < when);
        let settled = self.files.iter().all(|entry| entry.stat.as_ref().map_or(true, settled));
        settled && Self::scan(selection).is_ok_and(|now| now == *self)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, file: usize) -> Option<&Path> {
        self.files.get(file).map(|entry| &*entry.shown)
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.open_files();
        if self.everything {
            let problem = "every file in it is loaded; select files with `file` or `pattern` of FileKeysBuilder";
            warnings.push(format!("{}: {problem}", self.path.display()));
        }
        warnings
    }

    #[cfg(unix)]
    fn open_files(&self) -> Vec<String> {
        let modes = || self.files.iter().filter_map(|entry| Some((&entry.shown, entry.stat.as_ref().ok()?.mode)));
        let open = |right| modes().filter(move |(_, mode)| mode & right != 0);
        let warning = |right: u32, verb: &str| {
            let (first, mode) = open(right).next()?;
            let others = open(right).count().saturating_sub(1);
            let others = if others == 0 { String::new() } else { format!(" and {others} more") };
            let mode = mode & 0o7777;
            Some(format!("{}{others}: every user of the machine may {verb} it (mode {mode:04o})", first.display()))
        };
        [warning(0o004, "read"), warning(0o002, "write")].into_iter().flatten().collect()
    }

    #[cfg(not(unix))]
    fn open_files(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Entry {
    /// Creates the entry of a file in a directory. A fault of the file disables its webhook id.
    fn new(id: String, shown: PathBuf, path: PathBuf) -> Self {
        let metadata = fs::metadata(&path).map_err(|error| unreadable(&shown, &error));
        let stat = metadata.and_then(|metadata| Stat::of_regular_file(&shown, &metadata));
        let stat = stat.map_err(|error| error.of_entry(Some(id.clone())));
        Self { id: Some(id), shown, path, stat }
    }

    fn refused(id: String, shown: PathBuf, path: PathBuf, problem: &'static str) -> Self {
        let stat = Err(fault(&shown, problem).of_entry(Some(id.clone())));
        Self { id: Some(id), shown, path, stat }
    }

    /// Reads the file. Returns `None` if it was removed.
    fn read(&self) -> Result<Option<Content>, KeyFileError> {
        let bytes = match self.stat.as_ref().map(|stat| read(&self.path, stat.size)) {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Ok(Err(error)) => {
                let error = unreadable(&self.shown, &error);
                let Some(id) = &self.id else { return Err(error) };
                Err(error.of_entry(Some(id.clone())))
            }
            Err(error) => Err(error.clone()),
        };
        Ok(Some(Content { id: self.id.clone(), is_transient: bytes.is_err() && self.stat.is_ok(), bytes }))
    }
}

fn read(path: &Path, size: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // Allocate once: a buffer that grows leaves copies that are not wiped.
    let room = usize::try_from(size.saturating_add(1)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    File::open(path)?.take(size.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Stat {
    fn of_regular_file(shown: &Path, metadata: &Metadata) -> Result<Self, KeyFileError> {
        // Opening a pipe would wait for its writer.
        if !metadata.is_file() {
            return Err(fault(shown, "must be a regular file"));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(fault(shown, "must have at most 16 MiB"));
        }
        Self::new(metadata).map_err(|error| unreadable(shown, &error))
    }

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

/// A file's bytes, wiped on drop, or why they could not be read.
pub(super) struct Content {
    /// `None` for the TOML file.
    pub(super) id: Option<String>,
    pub(super) bytes: Result<Zeroizing<Vec<u8>>, KeyFileError>,
    /// Whether reading failed although the metadata was valid, so that another attempt may succeed.
    pub(super) is_transient: bool,
}

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        match &self.bytes {
            Ok(bytes) => bytes.hash(state),
            Err(error) => error.to_string().hash(state),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> KeyFileError {
    fault(path, format!("cannot be read: {error}"))
}

fn fault(path: &Path, problem: impl Into<std::borrow::Cow<'static, str>>) -> KeyFileError {
    KeyFileError::new(path, None, ConfigError::new("file", problem))
}

const BACKUP: &str =
    "has the name of a backup copy, so it is not loaded; remove it, or select it with `file` of FileKeysBuilder";

/// The maximum size of a file. It is enough for more than a million keys. A larger file is not read into memory.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// A time longer than the coarsest time stamp resolution of a file system in use (FAT: 2 s).
const STAMP_STEP: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recently_changed_file_counts_as_changed() {
        let selection = Selection { path: "Cargo.toml".into(), named: Vec::new(), pattern: None };
        let source = Source::scan(&selection).unwrap();
        let changed = source.files[0].stat.as_ref().unwrap().changed;
        let is_unchanged = |seconds| source.is_unchanged(&selection, changed + Duration::from_secs(seconds));
        assert_eq!([0, 1, 3, 4].map(is_unchanged), [false, false, false, true]);
    }
}

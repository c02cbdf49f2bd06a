//! Captures in a directory.
//!
//! The thread lists the directory for each capture. So it counts the captures of other processes too, and those of earlier
//! ones.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::name::CaptureName;
use super::retention::{Entry, Limits};
use super::writer::Place;
use crate::error::ConfigError;
use crate::time::Timestamp;

pub(super) struct Directory {
    path: PathBuf,
    limits: Limits,
}

impl Directory {
    /// Creates the directory if it does not exist, and deletes what exceeds the limits.
    pub(super) fn open(path: PathBuf, limits: Limits, now: Timestamp) -> Result<Self, ConfigError> {
        let problem = |error: io::Error| {
            let problem = format!("must be a directory in which this process can write, but {path:?} is not: {error}");
            ConfigError::new("captures.directory", problem)
        };
        let probe = create(&path).and_then(|()| write_probe(&path)).map_err(problem)?;
        if !is_private(&fs::metadata(&path).map_err(problem)?, &probe) {
            let problem = format!(
                "must belong to the user of this process and be accessible only by its owner, because captures can contain \
                 tokens, but {path:?} is not: run `chown` and `chmod 700`, or name a subdirectory that does not exist yet"
            );
            return Err(ConfigError::new("captures.directory", problem));
        }
        let directory = Self { path, limits };
        directory.sweep(now).map_err(|error| {
            ConfigError::new("captures.directory", format!("must be readable, and old captures deletable: {error}"))
        })?;
        Ok(directory)
    }

    /// Lists the captures, the oldest first. Captures from the future, which were made while the clock was wrong, count as
    /// the oldest. Deletes unfinished files that a process left behind, and never touches a file with another name.
    ///
    /// Also returns the limits without what other processes are writing, but at least half of them: killed processes leave
    /// unfinished files behind.
    fn list(&self, now: Timestamp) -> io::Result<(Vec<Entry<()>>, Limits)> {
        let (mut kept, mut limits) = (Vec::new(), self.limits);
        for entry in self.read()? {
            let entry = entry?;
            let file_name = entry.file_name();
            let Some(text) = file_name.to_str() else { continue };
            let (name, is_finished) = match (CaptureName::parse(text), CaptureName::parse_temporary(text)) {
                (Some(name), _) => (name, true),
                (None, Some(name)) => (name, false),
                (None, None) => continue,
            };
            let metadata = match entry.metadata() {
                Ok(metadata) if metadata.is_file() => metadata,
                // Not a capture, or another process has deleted or renamed it.
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let bytes = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
            if is_finished {
                kept.push(Entry { name: Arc::new(name), bytes, content: () });
            } else if metadata.modified().is_ok_and(is_abandoned) {
                remove(&entry.path())?;
            } else {
                limits.requests = limits.requests.saturating_sub(1);
                limits.bytes = limits.bytes.saturating_sub(bytes);
            }
        }
        limits.requests = limits.requests.max(self.limits.requests.div_ceil(2));
        limits.bytes = limits.bytes.max(self.limits.bytes.div_ceil(2));
        let age = |entry: &Entry<()>| (entry.name.time() <= now.as_unix(), entry.name.time());
        kept.sort_by(|one, other| (age(one), one.name.as_str()).cmp(&(age(other), other.name.as_str())));
        Ok((kept, limits))
    }

    /// Reads the directory. If someone has deleted it, creates it again.
    fn read(&self) -> io::Result<fs::ReadDir> {
        match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(&self.path).and_then(|()| fs::read_dir(&self.path))
            }
            read => read,
        }
    }

    fn remove(&self, entries: &[Entry<()>]) -> io::Result<()> {
        entries.iter().try_for_each(|entry| remove(&self.path.join(entry.name.as_str())))
    }
}

impl Place for Directory {
    /// Deletes what exceeds the limits, then writes the file under a temporary name and renames it.
    fn keep(&self, name: CaptureName, message: Vec<u8>, now: Timestamp) -> io::Result<()> {
        let (mut kept, limits) = self.list(now)?;
        self.remove(&limits.make_room(&mut kept, &name, message.len(), now))?;
        let temporary = self.path.join(name.temporary());
        let written = create_file(&temporary)
            .and_then(|mut file| file.write_all(&message).and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&temporary, self.path.join(name.as_str())));
        if written.is_err() {
            // The error of the write is reported.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn sweep(&self, now: Timestamp) -> io::Result<()> {
        let (mut kept, limits) = self.list(now)?;
        let mut excess = limits.take_expired(&mut kept, now);
        if let Some(newest) = kept.pop() {
            excess.extend(limits.make_room(&mut kept, &newest.name, newest.bytes, now));
        }
        self.remove(&excess)
    }
}

/// Returns whether the process that wrote the file has ended: a file is written at once.
fn is_abandoned(modified: SystemTime) -> bool {
    SystemTime::now().duration_since(modified).is_ok_and(|age| age >= ABANDONED)
}

/// Deletes a file, unless another process has deleted it.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates and deletes a file, and returns its metadata.
fn write_probe(path: &Path) -> io::Result<Metadata> {
    let probe = CaptureName::new(
        Timestamp::from_unix(0),
        crate::event::RefusalReason::Misconfigured,
        None,
        super::name::random(),
        0,
    );
    let probe = path.join(probe.temporary());
    let metadata = create_file(&probe)?.metadata();
    remove(&probe)?;
    metadata
}

/// Returns whether only the owner of `probe`, which is the user of this process, can access the directory.
#[cfg(unix)]
fn is_private(directory: &Metadata, probe: &Metadata) -> bool {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    directory.permissions().mode() & 0o077 == 0 && directory.uid() == probe.uid()
}

#[cfg(not(unix))]
fn is_private(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// How old an unfinished file is before it is deleted.
const ABANDONED: Duration = Duration::from_secs(60);

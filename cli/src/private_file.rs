//! Files that hold secrets: their owner alone may read them, from their first byte on.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::failure::Failure;

/// Writes a new file that only its owner may read, whole or not at all.
///
/// Nothing is ever overwritten: not a file, not a symbolic link, and not what a dangling link leads to.
pub(crate) fn create(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let directory = directory_of(path);
    let failed = |error: io::Error| Failure::outside(path.display(), error);
    let file = temporary(&directory, content).map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => failed(error.error),
    })?;
    sync_directory(&directory).map_err(failed)
}

/// A file beside its later place, written and on the disk, with mode 0600. It vanishes unless it is persisted.
pub(crate) fn temporary(directory: &Path, content: &[u8]) -> io::Result<NamedTempFile> {
    // A dot in front: a directory of mounted secrets is read without such names.
    let mut file = Builder::new().prefix(".hookwarden-").tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Makes a rename in `directory` outlast a loss of power.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

pub(crate) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}

fn exists(path: &Path) -> Failure {
    Failure::file(path, "is there already, and a secret is never written over anything; name another file")
}

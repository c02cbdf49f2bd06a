//! Creates files that only their owner can read.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::Builder;

use crate::directory::Directory;
use crate::failure::Failure;

/// A newly created file.
pub(crate) struct Created {
    directory: Directory,
    name: OsString,
    file: File,
}

/// Writes a new file that only its owner can read. The file appears complete or not at all.
///
/// An existing file or symbolic link is never overwritten, and a dangling link is not followed.
pub(crate) fn create(path: &Path, content: &[u8]) -> Result<Created, Failure> {
    let failed = |error: io::Error| Failure::outside(path.display(), error);
    let name = path.file_name().ok_or_else(|| Failure::file(path, "must end with a file name"))?;
    let directory = Directory::open(&directory_of(path)).map_err(failed)?;
    // The library ignores names with a leading dot in a directory of secrets.
    let mut file = Builder::new().prefix(".hookwarden-").tempfile_in(directory_of(path)).map_err(failed)?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let file = file.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => failed(error.error),
    })?;
    directory.sync().map_err(failed)?;
    Ok(Created { directory, name: name.to_owned(), file })
}

impl Created {
    /// Removes the file, unless another one has replaced it.
    pub(crate) fn remove(self) -> io::Result<()> {
        self.directory.remove(&self.name, &self.file)
    }
}

pub(crate) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.into(),
        _ => ".".into(),
    }
}

pub(crate) fn refuse_existing(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() { Err(exists(path)) } else { Ok(()) }
}

fn exists(path: &Path) -> Failure {
    Failure::file(path, "already exists, and is never overwritten; choose another file")
}

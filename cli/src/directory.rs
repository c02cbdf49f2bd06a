//! An open directory whose files are read and replaced.
//!
//! On Unix all operations are relative to its descriptor and follow no links. A user who can rename a parent directory,
//! or replace a file by a link, cannot redirect a write.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

#[cfg(unix)]
use by_descriptor as system;
#[cfg(not(unix))]
use by_path as system;

/// An open directory.
pub(crate) struct Directory(system::Handle);

impl Directory {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        system::open(path).map(Self)
    }

    /// Opens an absolute path without following a link in it.
    pub(crate) fn open_without_links(path: &Path) -> io::Result<Self> {
        system::open_without_links(path).map(Self)
    }

    /// Opens a file of the directory for reading.
    pub(crate) fn file(&self, name: &OsStr) -> io::Result<File> {
        let file = system::file(&self.0, name)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("must be a regular file")) }
    }

    /// Writes a new file with mode 0600. It is removed on drop, unless it has replaced another file.
    pub(crate) fn create(&self, content: &[u8]) -> io::Result<Temporary<'_>> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        // `FileKeys` ignores names with a leading dot.
        let name = OsString::from(format!(".hookwarden-{}", const_hex::encode(random)));
        let file = system::create(&self.0, &name)?;
        let mut temporary = Temporary { directory: self, name: Some(name), file };
        temporary.file.write_all(content)?;
        Ok(temporary)
    }

    /// Whether `name` is `file`: the same device and inode, and not a link.
    pub(crate) fn has(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        system::has(&self.0, name, file)
    }

    /// Removes `name` if it is `file`.
    pub(crate) fn remove(&self, name: &OsStr, file: &File) -> io::Result<()> {
        if self.has(name, file)? { system::remove(&self.0, name) } else { Ok(()) }
    }

    /// Makes a rename in the directory survive a power failure.
    pub(crate) fn sync(&self) -> io::Result<()> {
        system::sync(&self.0)
    }

    /// The reason why users other than the current one and root can replace files in the directory.
    pub(crate) fn other_writers(&self) -> io::Result<Option<String>> {
        system::other_writers(&self.0)
    }
}

/// A file that has not replaced its target yet.
pub(crate) struct Temporary<'d> {
    directory: &'d Directory,
    /// `None` after it has replaced its target.
    name: Option<OsString>,
    pub(crate) file: File,
}

impl Temporary<'_> {
    /// Replaces `name` by the file.
    pub(crate) fn replace(mut self, name: &OsStr) -> io::Result<()> {
        let Some(own) = &self.name else { return Ok(()) };
        if !self.directory.has(own, &self.file)? {
            return Err(io::Error::other("another user replaced the temporary file; nothing was changed"));
        }
        system::rename(&self.directory.0, own, name)?;
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // `remove` keeps a file that another user put there.
            let _ = self.directory.remove(name, &self.file);
        }
    }
}

/// The reason why users other than the current one and root can replace a parent of `directory`.
pub(crate) fn unsafe_way_to(directory: &Path) -> io::Result<Option<String>> {
    for parent in directory.ancestors().skip(1) {
        if let Some(reason) = system::other_movers(parent)? {
            return Ok(Some(format!("{}: {reason}", parent.display())));
        }
    }
    Ok(None)
}

#[cfg(unix)]
mod by_descriptor {
    use std::ffi::OsStr;
    use std::fs::{File, Metadata};
    use std::io;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, statat, unlinkat};

    pub(super) type Handle = File;

    pub(super) fn open(path: &Path) -> io::Result<Handle> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
    }

    pub(super) fn open_without_links(path: &Path) -> io::Result<Handle> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut directory = open(Path::new("/"))?;
        for name in path.iter().skip(1) {
            directory = openat(&directory, name, flags | ON_THE_WAY, Mode::empty())?.into();
        }
        Ok(openat(&directory, ".", flags | OFlags::RDONLY, Mode::empty())?.into())
    }

    /// The flag for opening parent directories. With `O_PATH` they need not be readable.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const ON_THE_WAY: OFlags = OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const ON_THE_WAY: OFlags = OFlags::RDONLY;

    pub(super) fn file(directory: &Handle, name: &OsStr) -> io::Result<File> {
        // Without NONBLOCK, opening a pipe waits for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(directory, name, flags, Mode::empty())?.into())
    }

    pub(super) fn create(directory: &Handle, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    pub(super) fn has(directory: &Handle, name: &OsStr, file: &File) -> io::Result<bool> {
        let there = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => return Ok(false),
            there => there?,
        };
        let ours = rustix::fs::fstat(file)?;
        Ok((there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino))
    }

    pub(super) fn rename(directory: &Handle, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(directory, from, directory, to)?)
    }

    pub(super) fn remove(directory: &Handle, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(directory, name, AtFlags::empty())?)
    }

    pub(super) fn sync(directory: &Handle) -> io::Result<()> {
        directory.sync_all()
    }

    pub(super) fn other_writers(directory: &Handle) -> io::Result<Option<String>> {
        let metadata = directory.metadata()?;
        Ok(open_mode(&metadata).or_else(|| other_owner(&metadata)))
    }

    pub(super) fn other_movers(directory: &Path) -> io::Result<Option<String>> {
        let metadata = std::fs::metadata(directory)?;
        // In a sticky directory, such as /tmp, users can rename only their own files.
        let sticky = metadata.mode() & 0o1000 != 0;
        Ok(open_mode(&metadata).filter(|_| !sticky).or_else(|| other_owner(&metadata)))
    }

    /// Returns the mode if users other than the owner can write. The group bits of a file with an access control list
    /// are its mask.
    fn open_mode(metadata: &Metadata) -> Option<String> {
        let mode = metadata.mode() & 0o7777;
        (mode & 0o022 != 0).then(|| format!("its mode is {mode:04o}"))
    }

    fn other_owner(metadata: &Metadata) -> Option<String> {
        let owner = metadata.uid();
        let is_other = owner != 0 && owner != rustix::process::geteuid().as_raw();
        is_other.then(|| format!("it belongs to user {owner}"))
    }
}

#[cfg(not(unix))]
mod by_path {
    use std::ffi::OsStr;
    use std::fs::{self, File, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};

    pub(super) type Handle = PathBuf;

    pub(super) fn open(path: &Path) -> io::Result<Handle> {
        Ok(path.into())
    }

    pub(super) fn open_without_links(path: &Path) -> io::Result<Handle> {
        open(path)
    }

    pub(super) fn file(directory: &Handle, name: &OsStr) -> io::Result<File> {
        File::open(directory.join(name))
    }

    pub(super) fn create(directory: &Handle, name: &OsStr) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(directory.join(name))
    }

    pub(super) fn has(directory: &Handle, name: &OsStr, _: &File) -> io::Result<bool> {
        fs::exists(directory.join(name))
    }

    pub(super) fn rename(directory: &Handle, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(directory.join(from), directory.join(to))
    }

    pub(super) fn remove(directory: &Handle, name: &OsStr) -> io::Result<()> {
        fs::remove_file(directory.join(name))
    }

    pub(super) fn sync(_: &Handle) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn other_writers(_: &Handle) -> io::Result<Option<String>> {
        Ok(None)
    }

    pub(super) fn other_movers(_: &Path) -> io::Result<Option<String>> {
        Ok(None)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn swapped_temporary_file_replaces_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let [place, outside] = ["place", "outside"].map(|name| scratch.path().join(name));
        for path in [&place, &outside] {
            fs::write(path, "before").unwrap();
        }
        let directory = Directory::open(scratch.path()).unwrap();
        let temporary = directory.create(b"new").unwrap();
        let swapped = scratch.path().join(temporary.name.as_ref().unwrap());
        fs::remove_file(&swapped).unwrap();
        symlink(&outside, &swapped).unwrap();
        assert!(temporary.replace(OsStr::new("place")).unwrap_err().to_string().contains("another user replaced"));
        assert!(swapped.is_symlink(), "the link must stay");
        let followed = directory.file(swapped.file_name().unwrap()).map_err(|error| error.raw_os_error());
        assert_eq!(followed.unwrap_err(), Some(rustix::io::Errno::LOOP.raw_os_error()));
        for path in [&place, &outside] {
            assert_eq!(fs::read_to_string(path).unwrap(), "before");
        }
    }

    #[test]
    fn moved_directory_stays_the_same() {
        let scratch = tempfile::tempdir().unwrap();
        let [inside, moved, outside] = ["inside", "moved", "outside"].map(|name| scratch.path().join(name));
        for path in [&inside, &outside] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("keys"), "before").unwrap();
        }
        let directory = Directory::open(&inside).unwrap();
        fs::rename(&inside, &moved).unwrap();
        symlink(&outside, &inside).unwrap();
        directory.create(b"new").unwrap().replace(OsStr::new("keys")).unwrap();
        assert_eq!(fs::read_to_string(outside.join("keys")).unwrap(), "before");
        assert_eq!(fs::read_to_string(moved.join("keys")).unwrap(), "new");
    }

    #[test]
    fn directory_writable_by_others_is_detected() {
        let scratch = tempfile::tempdir().unwrap();
        for (mode, others) in [(0o700, false), (0o755, false), (0o775, true), (0o757, true), (0o1777, true)] {
            fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).unwrap();
            let found = Directory::open(scratch.path()).unwrap().other_writers().unwrap();
            assert_eq!(found.is_some(), others, "{mode:o}: {found:?}");
            // In a sticky directory only a file's owner can move it.
            let found = unsafe_way_to(&scratch.path().join("inside")).unwrap();
            assert_eq!(found.is_some(), others && mode != 0o1777, "{mode:o}: {found:?}");
        }
    }
}

//! Saves requests as files that `hookwarden verify` and `hookwarden resend` read.

use std::fs;
use std::path::{Path, PathBuf};

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;

use crate::directory::Directory;
use crate::failure::Failure;
use crate::note::{self, Note};
use crate::private_file;

/// A directory of captures.
#[derive(Debug)]
pub(super) struct Captures {
    path: PathBuf,
    /// The number of captures in the directory.
    count: u32,
    most: u32,
}

impl Captures {
    /// Opens the directory, or creates it so that only its owner can use it.
    pub(super) fn open(path: &Path, most: u32) -> Result<Self, Failure> {
        let failed = |error| Failure::outside(path.display(), error);
        if !path.exists() {
            create(path).map_err(failed)?;
        }
        if !path.is_dir() {
            return Err(Failure::file(path, "must be a directory"));
        }
        let directory = Directory::open(path).map_err(failed)?;
        if let Some(reason) = directory.other_writers().map_err(failed)? {
            let problem = format!("must be writable only by you, because saved requests are private: {reason}");
            return Err(Failure::file(path, problem));
        }
        let mut count: u32 = 0;
        for entry in fs::read_dir(path).map_err(failed)? {
            let is_capture = Path::new(&entry.map_err(failed)?.file_name()).extension().is_some_and(|end| end == END);
            count = count.saturating_add(u32::from(is_capture));
        }
        Ok(Self { path: path.to_owned(), count, most })
    }

    /// Saves a request, and returns the path of the file.
    pub(super) fn save(&mut self, name: &str, note: &Note, parts: &Parts, body: &[u8]) -> Result<String, String> {
        if self.count >= self.most {
            let (path, most) = (self.path.display(), self.most);
            return Err(format!("{path} has {most} requests; delete some and restart, or raise --max-saved"));
        }
        let path = self.path.join(format!("{name}.{END}"));
        private_file::create(&path, &raw(note, parts, body)).map_err(|failure| failure.to_string())?;
        self.count = self.count.saturating_add(1);
        Ok(path.display().to_string())
    }
}

#[cfg(unix)]
fn create(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> std::io::Result<()> {
    fs::create_dir(path)
}

/// The request as an HTTP/1.1 message that begins with the note. A chunked body is joined and has its length, so that it
/// is read as it is.
fn raw(note: &Note, parts: &Parts, body: &[u8]) -> Vec<u8> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut message = format!("{} {target} HTTP/1.1\r\n{}: {note}\r\n", parts.method, note::NAME).into_bytes();
    // A sender must not write the note.
    for (name, value) in parts.headers.iter().filter(|(name, _)| *name != TRANSFER_ENCODING && *name != note::NAME) {
        message.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    if !parts.headers.contains_key(CONTENT_LENGTH) {
        message.extend(format!("{CONTENT_LENGTH}: {}\r\n", body.len()).into_bytes());
    }
    message.extend([b"\r\n", body].concat());
    message
}

/// The extension of the files.
const END: &str = "http";

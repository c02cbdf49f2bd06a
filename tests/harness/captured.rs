//! Captures of refused requests, parsed without the library.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A capture, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Captured {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The value of the header that the Warden adds.
    pub(crate) note: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Captured {
    #[track_caller]
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an empty line after the head");
        let (head, body) = bytes.split_at(end);
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = std::str::from_utf8(lines.next().expect("a line")).expect("text");
        let [method, path, "HTTP/1.1"] = first.split(' ').collect::<Vec<_>>()[..] else { panic!("{first:?}") };
        let mut headers = lines.map(|line| {
            let colon = line.windows(2).position(|two| two == b": ").unwrap_or_else(|| panic!("{line:?}"));
            let (name, value) = line.split_at(colon);
            (String::from_utf8(name.to_vec()).expect("text"), value.strip_prefix(b": ").expect("a colon").to_vec())
        });
        let (name, note) = headers.next().expect("a header");
        assert_eq!(name, "Hookwarden-Capture");
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            note: String::from_utf8(note).expect("text"),
            headers: headers.collect(),
            body: body.strip_prefix(b"\r\n\r\n").expect("an empty line").to_vec(),
        }
    }

    /// Reads a file that the Warden's thread writes soon.
    pub(crate) fn read(path: &Path) -> Self {
        soon(|| path.exists());
        Self::parse(&std::fs::read(path).expect("a file"))
    }

    /// Returns the values of a header.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let same = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_slice()).collect()
    }
}

/// Waits until a condition holds that another thread causes.
#[track_caller]
pub(crate) fn soon(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it does not happen in time");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A new path in the directory for temporary files. The directory is deleted on drop.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hookwarden-captures-{name}-{}", std::process::id()));
        // A process with the same id may have left it behind.
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    /// Returns the files whose names end with `end`, with their sizes, sorted by name.
    pub(crate) fn files(&self, end: &str) -> Vec<(PathBuf, u64)> {
        let entries = std::fs::read_dir(&self.0).expect("a directory").filter_map(Result::ok);
        // A file can be deleted meanwhile.
        let sizes = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())));
        let mut files: Vec<_> = sizes.filter(|(path, _)| path.to_string_lossy().ends_with(end)).collect();
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may not exist.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

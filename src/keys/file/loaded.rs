//! The content of the files at one time.

use std::time::SystemTime;

use super::KeyFileError;
use super::entries::{Entries, File};
use super::selection::Selection;
use super::source::{Content, Source};
use crate::error::ConfigError;
use crate::scheme::Scheme;

pub(super) struct Loaded {
    pub(super) source: Source,
    pub(super) files: Vec<Content>,
    pub(super) when: SystemTime,
}

impl Loaded {
    /// Reads the files. It retries, because during a change files may be missing or differ from the listing.
    pub(super) fn read(selection: &Selection) -> Result<Self, KeyFileError> {
        let mut outcome =
            Err(KeyFileError::new(&selection.path, None, ConfigError::new("file", "must not change while it is read")));
        for _ in 0..READING_ATTEMPTS {
            let when = SystemTime::now();
            match Source::scan(selection).and_then(|source| Ok((source.read(selection)?, source))) {
                Ok((Some(files), source)) => return Ok(Self { source, files, when }),
                Ok((None, _)) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    pub(super) fn entries(&self, scheme: &Scheme, shared_secrets: bool) -> Result<Entries, KeyFileError> {
        let files = self.files.iter().enumerate().map(|(file, content)| File {
            id: content.id.as_deref(),
            path: self.source.path_of(file).unwrap_or(self.source.path()),
            content: content.bytes.as_ref().map(|bytes| &***bytes),
        });
        Entries::of(self.source.path(), &files.collect::<Vec<_>>(), scheme, shared_secrets)
    }

    /// Whether reading a file may succeed at the next attempt although its metadata is unchanged.
    pub(super) fn is_transient(&self) -> bool {
        self.files.iter().any(|content| content.is_transient)
    }
}

const READING_ATTEMPTS: u32 = 5;

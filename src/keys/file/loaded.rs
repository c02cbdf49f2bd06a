//! The senders in the files at one moment.

use std::path::Path;
use std::time::SystemTime;

use super::found::{Fault, FoundSender, Place};
use super::source::{Content, Source};
use super::{KeyFileError, document, mounted};
use crate::error::ConfigError;
use crate::scheme::Scheme;

/// The content of the files at one moment.
pub(super) struct Loaded {
    pub(super) source: Source,
    pub(super) files: Vec<Content>,
    pub(super) when: SystemTime,
}

impl Loaded {
    /// During a change, files may be missing or differ from the listing; a retry a moment later succeeds.
    pub(super) fn read(path: &Path) -> Result<Self, KeyFileError> {
        let mut outcome =
            Err(KeyFileError::new(path, None, ConfigError::new("file", "changes while it is being read")));
        for _ in 0..READING_ATTEMPTS {
            let when = SystemTime::now();
            match Source::look(path).and_then(|source| Ok((source.read(path)?, source))) {
                Ok((Some(files), source)) => return Ok(Self { source, files, when }),
                Ok((None, _)) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    pub(super) fn senders(&self, scheme: &Scheme) -> Result<Vec<FoundSender>, KeyFileError> {
        let mut senders = Vec::new();
        for (file, content) in self.files.iter().enumerate() {
            let at_fault = |fault: Fault| self.error(Some(&Place { file, line: fault.line }), fault.problem);
            match self.source.webhook_id(file) {
                None => senders.extend(document::senders(content, scheme).map_err(at_fault)?),
                Some(id) => {
                    let keys = mounted::keyring(content, scheme).map_err(at_fault)?;
                    senders.push(FoundSender { place: Place { file, line: None }, id: id.into(), keys });
                }
            }
        }
        Ok(senders)
    }

    pub(super) fn error(&self, place: Option<&Place>, problem: ConfigError) -> KeyFileError {
        let file = place.and_then(|place| self.source.path_of(place.file));
        KeyFileError::new(file.unwrap_or(self.source.path()), place.and_then(|place| place.line), problem)
    }
}

const READING_ATTEMPTS: u32 = 5;

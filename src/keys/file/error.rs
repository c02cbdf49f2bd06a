//! Errors of key files.

use std::path::{Path, PathBuf};

use crate::error::ConfigError;

/// A key file cannot be read, or its content is wrong.
///
/// The text names the file, the line if there is one, and the field. It never quotes the content, which may be a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {problem}", .path.display(), line_suffix(*.line))]
pub struct KeyFileError {
    path: PathBuf,
    line: Option<usize>,
    problem: ConfigError,
}

impl KeyFileError {
    pub(super) fn new(path: &Path, line: Option<usize>, problem: ConfigError) -> Self {
        Self { path: path.into(), line, problem }
    }

    /// The file at fault.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line at fault, counted from 1, if there is one.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// The field at fault, such as `sender.key.secret`.
    #[must_use]
    pub fn field(&self) -> &str {
        self.problem.field()
    }
}

fn line_suffix(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

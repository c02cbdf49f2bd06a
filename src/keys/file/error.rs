//! Errors of key files.

use std::path::{Path, PathBuf};

use crate::error::ConfigError;
use crate::event::Warning;

/// The key files cannot be read, or one of their entries is faulty.
///
/// The text names the file, the line if it is known, and the field. It never quotes the content, which may be a secret.
///
/// A fault in an entry disables the webhook id of that entry, which [`webhook_id`](Self::webhook_id) returns. Requests
/// for it are refused like those for an unknown id. All other entries are in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {problem}{}", .path.display(), line_suffix(*.line), disabled_suffix(.scope))]
pub struct KeyFileError {
    path: PathBuf,
    line: Option<usize>,
    problem: ConfigError,
    scope: Scope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    /// Nothing could be loaded.
    All,
    /// One entry, with its webhook id if it has one.
    Entry(Option<String>),
}

impl KeyFileError {
    pub(super) fn new(path: &Path, line: Option<usize>, problem: ConfigError) -> Self {
        Self { path: path.into(), line, problem, scope: Scope::All }
    }

    /// Marks the error as the fault of one entry, which disables `webhook_id`.
    pub(super) fn of_entry(self, webhook_id: Option<String>) -> Self {
        Self { scope: Scope::Entry(webhook_id), ..self }
    }

    /// Marks the error as the reason why nothing could be loaded.
    pub(super) fn of_all(self) -> Self {
        Self { scope: Scope::All, ..self }
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

    /// The fault, without the file and the line.
    #[must_use]
    pub const fn problem(&self) -> &ConfigError {
        &self.problem
    }

    /// The webhook id that the fault disables. `None` if the entry has no readable id, or if the error concerns all
    /// entries.
    #[must_use]
    pub fn webhook_id(&self) -> Option<&str> {
        match &self.scope {
            Scope::Entry(id) => id.as_deref(),
            Scope::All => None,
        }
    }

    /// The warning to pass to observers: [`KeyEntryRejected`](Warning::KeyEntryRejected) for a faulty entry, and
    /// [`KeyReloadFailed`](Warning::KeyReloadFailed) if nothing could be loaded.
    #[must_use]
    pub const fn warning(&self) -> Warning {
        match self.scope {
            Scope::Entry(_) => Warning::KeyEntryRejected,
            Scope::All => Warning::KeyReloadFailed,
        }
    }
}

fn line_suffix(line: Option<usize>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

fn disabled_suffix(scope: &Scope) -> String {
    match scope {
        Scope::Entry(Some(id)) => format!("; webhook id {id:?} is disabled"),
        _ => String::new(),
    }
}

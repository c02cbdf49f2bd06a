//! Why a command could not do what was asked.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// An end without a result. What a command finds out is no failure: it returns [`FOUND`].
#[derive(Debug)]
pub(crate) enum Failure {
    /// The caller gave something that cannot be right. One line that names it, and never a secret.
    Input(String),
    /// The world outside did not do its part.
    Outside(String),
}

impl Failure {
    /// The input `what` is wrong.
    pub(crate) fn input(what: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Input(one_line(&format!("{what}: {problem}")))
    }

    /// The file at `path` cannot be read or is not what it should be.
    pub(crate) fn file(path: &Path, problem: impl fmt::Display) -> Self {
        Self::input(path.display(), problem)
    }

    /// `what` could not be done.
    pub(crate) fn outside(what: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Outside(one_line(&format!("{what}: {problem}")))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) => ExitCode::from(2),
            Self::Outside(_) => ExitCode::from(3),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(text) | Self::Outside(text) => f.write_str(text),
        }
    }
}

/// The libraries that parse documents show the place in several lines, and with it a line of the input: a secret, maybe.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The exit code of a command that did its work and found something wrong.
pub(crate) const FOUND: u8 = 1;

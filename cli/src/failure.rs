//! The errors that end a command.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use hookwarden::escape::Escaped;

/// The reason for a command's failure. A command that finds something wrong does not fail: it returns [`FOUND`].
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input is invalid. One line that names the input, and never a secret.
    Input(String),
    /// An operation outside of the program failed.
    Outside(String),
}

impl Failure {
    /// The input `what` is wrong.
    pub(crate) fn input(what: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::Input(one_line(&format!("{what}: {problem}")))
    }

    /// The file at `path` is unreadable or invalid.
    pub(crate) fn file(path: &Path, problem: impl fmt::Display) -> Self {
        Self::input(path.display(), problem)
    }

    /// The operation `what` failed.
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
            Self::Input(text) | Self::Outside(text) => Escaped::line(text).fmt(f),
        }
    }
}

/// Joins the lines of a message. Parsers format their messages in several lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The exit code of a command that found something wrong.
pub(crate) const FOUND: u8 = 1;

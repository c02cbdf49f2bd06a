//! Reads the secrets of a file: a single secret, a .env file or a keys file.

use std::path::Path;

use clap::ValueEnum;
use zeroize::Zeroizing;

use super::strength::unquoted;
use crate::failure::Failure;
use crate::keys_file::{self, FileKey};

/// One secret of a file.
pub(crate) struct Entry {
    /// The name in reports.
    pub(crate) name: String,
    pub(crate) line: Option<usize>,
    pub(crate) text: Zeroizing<String>,
}

impl From<FileKey> for Entry {
    fn from(key: FileKey) -> Self {
        Self { name: key.name(), line: Some(key.line), text: key.secret }
    }
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Reading {
    /// Detect the format.
    Auto,
    /// One secret per line, newest first.
    Secret,
    /// Lines NAME=value. Only names that contain SECRET, KEY, TOKEN or PASSWORD are checked.
    Env,
    /// A keys file in TOML.
    Keys,
}

impl Reading {
    /// The format of the file at `path` with this text. Never `Auto`.
    pub(super) fn of(self, path: &Path, text: &str) -> Self {
        match self {
            Self::Auto if path.extension().is_some_and(|end| end == "toml") || keys_file::is_one(text) => Self::Keys,
            Self::Auto if is_env_name(path) || looks_like_env(text) => Self::Env,
            Self::Auto => Self::Secret,
            known => known,
        }
    }
}

/// The entries of `text`, the content of `path`.
pub(super) fn read(path: &Path, text: &str, reading: Reading) -> Result<Vec<Entry>, Failure> {
    match reading {
        Reading::Keys => Ok(keys_file::keys(path, text)?.into_iter().map(Entry::from).collect()),
        Reading::Env => env(path, text),
        Reading::Auto | Reading::Secret => Ok(lines(text).collect()),
    }
}

/// The secrets of a text with one per line, or a single one.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Entry> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let several = text.contains('\n');
    (1_usize..).zip(text.split('\n')).map(move |(number, line)| Entry {
        name: if several { format!("the secret in line {number}") } else { "the secret".into() },
        line: several.then_some(number),
        text: Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()),
    })
}

fn env(path: &Path, text: &str) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for (number, line) in (1_usize..).zip(text.lines()) {
        if is_blank(line) {
            continue;
        }
        let Some((name, value)) = assignment(line) else {
            return Err(Failure::file(path, format!("line {number}: must be NAME=value")));
        };
        let value = env_value(value);
        if is_secret_name(name) || value.starts_with("whsec_") {
            entries.push(Entry { name: name.into(), line: Some(number), text: Zeroizing::new(value.to_owned()) });
        }
    }
    if entries.is_empty() {
        return Err(Failure::file(
            path,
            "must contain a name with SECRET, KEY, TOKEN or PASSWORD; nothing was checked",
        ));
    }
    Ok(entries)
}

/// `.env`, `.env.production`, `receiver.env`.
fn is_env_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == ".env" || name.starts_with(".env.") || name.ends_with(".env")
}

/// Whether a line is an assignment. Unlike base64 padding, an assignment has a value after `=`.
fn looks_like_env(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !is_blank(line)).filter_map(assignment);
    lines.any(|(_, value)| !value.is_empty() && value != "=")
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let named = name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    named.then_some((name, value))
}

/// Removes a comment after ` #` and one pair of quotes. Keeps other white space, which some programs include in the
/// value, so that it is reported.
fn env_value(value: &str) -> &str {
    let trimmed = value.trim();
    if let Some(inside) = unquoted(trimmed) {
        return inside;
    }
    value.split_once(" #").map_or(value, |(value, _)| value.trim_end())
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_uppercase();
    let words: Vec<&str> = name.split(['_', '-', '.']).collect();
    let marked = ["SECRET", "KEY", "TOKEN", "PASSWORD", "PASSWD"].iter().any(|mark| name.contains(mark));
    let harmless = ["PUBLIC", "ID", "FILE", "PATH", "NAME", "URL", "TTL", "ENV"];
    marked && !words.iter().any(|word| harmless.contains(word))
}

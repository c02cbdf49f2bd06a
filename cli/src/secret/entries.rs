//! The secrets of a file: one secret, a .env file or a keys file.

use std::path::Path;

use clap::ValueEnum;
use zeroize::Zeroizing;

use super::strength::unquoted;
use crate::failure::Failure;
use crate::keys_file::{self, FileKey};

/// One secret as it stands in a file.
pub(crate) struct Entry {
    /// How reports name it.
    pub(crate) name: String,
    pub(crate) line: Option<usize>,
    pub(crate) text: Zeroizing<String>,
}

impl From<FileKey> for Entry {
    fn from(key: FileKey) -> Self {
        Self { name: key.name(), line: Some(key.line), text: key.secret }
    }
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Reading {
    /// By what it looks like.
    Auto,
    /// The whole file is one secret, but for one line break at its end.
    Secret,
    /// NAME=value lines; those with SECRET, KEY, TOKEN or PASSWORD in their names count.
    Env,
    /// Senders and their keys in TOML.
    Keys,
}

/// The entries of `text`, which came from `path`.
pub(super) fn read(path: &Path, text: &str, reading: Reading) -> Result<Vec<Entry>, Failure> {
    match reading {
        Reading::Auto if path.extension().is_some_and(|end| end == "toml") || keys_file::is_one(text) => {
            keys(path, text)
        }
        Reading::Auto if is_env_name(path) || looks_like_env(text) => env(path, text),
        Reading::Auto | Reading::Secret => Ok(vec![single(text)]),
        Reading::Env => env(path, text),
        Reading::Keys => keys(path, text),
    }
}

/// A secret that stands alone.
fn single(text: &str) -> Entry {
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Entry { name: "the secret".into(), line: None, text: Zeroizing::new(text.to_owned()) }
}

fn keys(path: &Path, text: &str) -> Result<Vec<Entry>, Failure> {
    Ok(keys_file::keys(path, text)?.into_iter().map(Entry::from).collect())
}

fn env(path: &Path, text: &str) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for (number, line) in (1_usize..).zip(text.lines()) {
        if is_blank(line) {
            continue;
        }
        let Some((name, value)) = assignment(line) else {
            return Err(Failure::file(path, format!("line {number}: is not NAME=value")));
        };
        let value = env_value(value);
        if is_secret_name(name) || value.starts_with("whsec_") {
            entries.push(Entry { name: name.into(), line: Some(number), text: Zeroizing::new(value.to_owned()) });
        }
    }
    if entries.is_empty() {
        return Err(Failure::file(
            path,
            "holds no name with SECRET, KEY, TOKEN or PASSWORD in it, so nothing was checked",
        ));
    }
    Ok(entries)
}

/// `.env`, `.env.production`, `receiver.env`.
fn is_env_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == ".env" || name.starts_with(".env.") || name.ends_with(".env")
}

/// Whether a line is an assignment. The padding of a secret in base64 looks like one, but for what comes after it.
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

/// One pair of quotes belongs to the file, and what follows a blank and a `#` is a comment. White space that is left is
/// part of the value for some programs and not for others, and so worth a finding.
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

//! Reads the keys of a keys file with their lines, for reports.
//!
//! The library's `FileKeys` decides which files are valid. This reader also accepts some files that `FileKeys` refuses,
//! such as one with a repeated secret, so that they can be reported. No message quotes the file.

use std::path::Path;

use hookwarden::Timestamp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::input;
use crate::when;

/// One key of a sender.
pub(crate) struct FileKey {
    pub(crate) sender: String,
    pub(crate) id: String,
    /// The secret or the public key.
    pub(crate) secret: Zeroizing<String>,
    /// Whether it is a public key.
    pub(crate) is_public: bool,
    /// The line of the secret or of the public key, from 1.
    pub(crate) line: usize,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) not_after: Option<Timestamp>,
}

impl FileKey {
    /// The name in reports.
    pub(crate) fn name(&self) -> String {
        format!("key {} of sender {}", self.id, self.sender)
    }

    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.not_after.is_some_and(|last| last < now)
    }

    pub(crate) fn has_begun(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|first| first <= now)
    }

    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.has_begun(now) && !self.is_expired(now)
    }
}

/// Whether `text` is TOML with senders.
pub(crate) fn is_one(text: &str) -> bool {
    DeTable::parse(text).is_ok_and(|root| root.get_ref().keys().any(|key| key.get_ref() == "sender"))
}

/// All keys, in the order of the file.
pub(crate) fn keys(path: &Path, text: &str) -> Result<Vec<FileKey>, Failure> {
    let file = Reading { path, text };
    let root = DeTable::parse(text).map_err(|error| file.fault(error.span().map_or(0, |span| span.start), NOT_TOML))?;
    let mut keys = Vec::new();
    for (start, sender) in file.tables(root.get_ref(), "sender", 0)? {
        let (_, id) = file.text(sender, "id", start)?;
        for (start, key) in file.tables(sender, "key", start)? {
            let (_, key_id) = file.text(key, "id", start)?;
            let is_public = key.contains_key("public_key");
            let (place, secret) = file.text(key, if is_public { "public_key" } else { "secret" }, start)?;
            keys.push(FileKey {
                sender: id.to_owned(),
                id: key_id.to_owned(),
                secret: Zeroizing::new(secret.to_owned()),
                is_public,
                line: file.line(place),
                not_before: file.time(key, "not_before")?,
                not_after: file.time(key, "not_after")?,
            });
        }
    }
    if keys.is_empty() {
        Err(Failure::file(path, "must contain a key; each one begins with [[sender.key]]"))
    } else {
        Ok(keys)
    }
}

struct Reading<'f> {
    path: &'f Path,
    text: &'f str,
}

impl Reading<'_> {
    fn tables<'t, 'i>(
        &self,
        table: &'t DeTable<'i>,
        field: &str,
        start: usize,
    ) -> Result<Vec<(usize, &'t DeTable<'i>)>, Failure> {
        let Some(value) = table.get(field) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.fault(value.span().start.max(start), &format!("{field} must be an array of tables")));
        };
        let tables = items.iter().map(|item| match item.get_ref() {
            DeValue::Table(table) => Ok((item.span().start, table)),
            _ => Err(self.fault(item.span().start, &format!("{field} must contain only tables"))),
        });
        tables.collect()
    }

    fn text<'t>(&self, table: &'t DeTable<'_>, field: &str, start: usize) -> Result<(usize, &'t str), Failure> {
        let value = table.get(field).ok_or_else(|| self.fault(start, &format!("{field} must be set")))?;
        match value.get_ref() {
            DeValue::String(text) => Ok((value.span().start, text)),
            _ => Err(self.fault(value.span().start, &format!("{field} must be a string"))),
        }
    }

    fn time(&self, table: &DeTable<'_>, field: &str) -> Result<Option<Timestamp>, Failure> {
        let Some(value) = table.get(field) else { return Ok(None) };
        let time = match value.get_ref() {
            DeValue::Datetime(time) => when::parse_time(&time.to_string()),
            DeValue::String(text) => when::parse_time(text),
            _ => Err("must be a time".into()),
        };
        time.map(Some).map_err(|problem| self.fault(Spanned::span(value).start, &format!("{field} {problem}")))
    }

    fn fault(&self, at: usize, problem: &str) -> Failure {
        Failure::file(self.path, format!("line {}: {problem}", self.line(at)))
    }

    fn line(&self, at: usize) -> usize {
        input::line_at(self.text, at)
    }
}

const NOT_TOML: &str =
    "must be valid TOML, with each field once in its table; the line is not shown, because it may hold a secret";

//! Renders new secrets as text, a .env file, a keys file or JSON.

use clap::ValueEnum;
use hookwarden::Timestamp;
use serde_json::json;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};
use zeroize::Zeroizing;

use super::kind::Kind;
use crate::failure::Failure;
use crate::when;

/// The formats besides JSON, which --json selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One secret per line.
    Text,
    /// NAME=secret, one per line.
    Env,
    /// A keys file for FileKeys.
    Toml,
}

/// Secrets generated together.
pub(super) struct Batch {
    kind: Kind,
    secrets: Vec<Named>,
}

struct Named {
    name: String,
    kind: Kind,
    secret: Zeroizing<String>,
}

impl Batch {
    /// `count` secrets of one kind, or `count` of every kind.
    pub(super) fn generate(kind: Kind, count: u32) -> Result<Self, Failure> {
        let mut secrets = Vec::new();
        for number in 1..=count {
            for part in kind.parts() {
                let suffix = if count == 1 { String::new() } else { format!("_{number}") };
                let name = format!("{}{suffix}", part.variable());
                secrets.push(Named { name, kind: *part, secret: part.generate()? });
            }
        }
        Ok(Self { kind, secrets })
    }

    pub(super) fn len(&self) -> usize {
        self.secrets.len()
    }

    /// The whole output, with its final line break. `None` is JSON.
    pub(super) fn render(&self, format: Option<Format>, id: &str) -> Result<Zeroizing<String>, Failure> {
        Ok(Zeroizing::new(match format {
            None => self.json(),
            Some(Format::Toml) => self.toml(id)?,
            // Without a name, secrets of several kinds cannot be distinguished.
            Some(Format::Text) if self.kind != Kind::Env => self.lines(|named| format!("{}\n", *named.secret)),
            Some(Format::Text | Format::Env) => self.lines(|named| format!("{}={}\n", named.name, *named.secret)),
        }))
    }

    fn lines(&self, line: impl Fn(&Named) -> String) -> String {
        self.secrets.iter().map(line).collect()
    }

    fn json(&self) -> String {
        let secrets = self.secrets.iter().map(|named| {
            let kind = named.kind.to_possible_value().map(|value| value.get_name().to_owned());
            json!({ "name": named.name, "kind": kind, "secret": *named.secret })
        });
        format!("{:#}\n", json!({ "secrets": secrets.collect::<Vec<_>>() }))
    }

    fn toml(&self, id: &str) -> Result<String, Failure> {
        if self.kind == Kind::Env {
            return Err(Failure::input("--format toml", "must have a single kind, not env"));
        }
        if id.is_empty() {
            return Err(Failure::input("--id", "must not be empty"));
        }
        let now = Timestamp::now();
        let mut senders = ArrayOfTables::new();
        for (number, named) in (1_usize..).zip(&self.secrets) {
            let mut key = Table::new();
            key.insert("id", value(when::date(now)));
            key.insert("secret", value(&*named.secret));
            key.insert("not_before", when::item(now)?);
            let mut keys = ArrayOfTables::new();
            keys.push(key);
            let mut sender = Table::new();
            sender.insert("id", value(if self.len() == 1 { id.to_owned() } else { format!("{id}-{number}") }));
            sender.insert("key", Item::ArrayOfTables(keys));
            senders.push(sender);
        }
        let mut document = DocumentMut::new();
        document.insert("sender", Item::ArrayOfTables(senders));
        Ok(document.to_string())
    }
}

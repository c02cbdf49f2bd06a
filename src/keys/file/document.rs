//! The TOML file of senders.
//!
//! It is read by hand, because the messages of a derived deserializer quote the values that they refuse, and a value
//! may be a secret.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::found::{Fault, FoundSender, Place};
use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::secret::{Key, Keyring};
use crate::time::{Timestamp, TimestampFormat};

pub(super) fn senders(content: &[u8], scheme: &Scheme) -> Result<Vec<FoundSender>, Fault> {
    let document = Document { content, scheme };
    let text = std::str::from_utf8(content).map_err(|error| document.fault(error.valid_up_to(), "file", NOT_UTF8))?;
    let root = DeTable::parse(text).map_err(|error| {
        // The parser's own message is left out, because it shows the line.
        let line = error.span().map(|span| document.line(span.start));
        Fault { line, problem: ConfigError::new("file", NOT_TOML) }
    })?;
    let [list] = document.fields(root.into_inner(), "file", ["sender"])?;
    let mut ids = HashSet::new();
    let mut senders = Vec::new();
    for table in document.tables(list, "sender")? {
        let sender = document.sender(table)?;
        if !ids.insert(sender.id.clone()) {
            let problem = ConfigError::new("sender.id", format!("two of the webhook id {:?}", sender.id));
            return Err(Fault { line: sender.place.line, problem });
        }
        senders.push(sender);
    }
    Ok(senders)
}

struct Document<'d> {
    content: &'d [u8],
    scheme: &'d Scheme,
}

type Value<'i> = Spanned<DeValue<'i>>;

/// A table and the place where it begins.
type Table<'i> = (usize, DeTable<'i>);

impl Document<'_> {
    fn sender(&self, (start, table): Table<'_>) -> Result<FoundSender, Fault> {
        let [id, keys] = self.fields(table, "sender", ["id", "key"])?;
        let (place, id) = self.text(id, start, "sender.id")?;
        if id.is_empty() {
            return Err(self.fault(place.start, "sender.id", "is empty"));
        }
        let keys = self.tables(keys, "sender.key")?.into_iter().map(|table| self.key(table));
        let keys = Keyring::from_keys(keys.collect::<Result<Vec<_>, _>>()?);
        let line = Some(self.line(start));
        let keys = keys.map_err(|problem| Fault { line, problem })?;
        Ok(FoundSender { place: Place { file: 0, line }, id: String::from(&**id), keys })
    }

    fn key(&self, (start, table): Table<'_>) -> Result<Key, Fault> {
        let names = ["id", "secret", "not_before", "not_after"];
        let [id, secret, not_before, not_after] = self.fields(table, "sender.key", names)?;
        let (id_place, id) = self.text(id, start, "sender.key.id")?;
        let (secret_place, secret) = self.text(secret, start, "sender.key.secret")?;
        let at = |place: Range<usize>| move |problem| Fault { line: Some(self.line(place.start)), problem };
        let secret = self.scheme.secret(&secret).map_err(at(secret_place))?;
        let mut key = Key::new(&id, secret).map_err(at(id_place))?;
        if let Some(value) = not_before {
            key = key.not_before(self.time(value, "sender.key.not_before")?);
        }
        if let Some(value) = not_after {
            key = key.not_after(self.time(value, "sender.key.not_after")?);
        }
        Ok(key)
    }

    /// The values of a table's fields, and no other field beside them.
    fn fields<'i, const N: usize>(
        &self,
        table: DeTable<'i>,
        whose: &'static str,
        names: [&str; N],
    ) -> Result<[Option<Value<'i>>; N], Fault> {
        let mut values = [const { None }; N];
        for (key, value) in table {
            let index = names.iter().position(|name| *name == key.get_ref());
            let Some(slot) = index.and_then(|index| values.get_mut(index)) else {
                // Unnamed: it may be a secret on the wrong side of its equals sign.
                let problem = format!("has a field that is none of {}", names.join(", "));
                return Err(self.fault(key.span().start, whose, problem));
            };
            *slot = Some(value);
        }
        Ok(values)
    }

    fn tables<'i>(&self, value: Option<Value<'i>>, field: &'static str) -> Result<Vec<Table<'i>>, Fault> {
        let Some(value) = value else { return Ok(Vec::new()) };
        let start = value.span().start;
        let DeValue::Array(array) = value.into_inner() else {
            return Err(self.fault(start, field, format!("is no list of tables; each begins with [[{field}]]")));
        };
        let tables = array.into_iter().map(|item| {
            let start = item.span().start;
            match item.into_inner() {
                DeValue::Table(table) => Ok((start, table)),
                _ => Err(self.fault(start, field, "is not a table")),
            }
        });
        tables.collect()
    }

    fn text(
        &self,
        value: Option<Value<'_>>,
        table: usize,
        field: &'static str,
    ) -> Result<(Range<usize>, Zeroizing<String>), Fault> {
        let value = value.ok_or_else(|| self.fault(table, field, "is missing"))?;
        let place = value.span();
        match value.into_inner() {
            DeValue::String(text) => Ok((place, Zeroizing::new(text.into_owned()))),
            _ => Err(self.fault(place.start, field, "is not a string")),
        }
    }

    fn time(&self, value: Value<'_>, field: &'static str) -> Result<Timestamp, Fault> {
        let start = value.span().start;
        let text = match value.into_inner() {
            DeValue::Datetime(time) => time.to_string(),
            DeValue::String(text) => text.into_owned(),
            _ => return Err(self.fault(start, field, NO_TIME)),
        };
        TimestampFormat::Rfc3339.parse(text.as_bytes()).ok_or_else(|| self.fault(start, field, NO_TIME))
    }

    fn fault(&self, at: usize, field: &'static str, problem: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
        Fault { line: Some(self.line(at)), problem: ConfigError::new(field, problem) }
    }

    fn line(&self, at: usize) -> usize {
        self.content.iter().take(at).filter(|byte| **byte == b'\n').count().saturating_add(1)
    }
}

const NOT_UTF8: &str = "is not UTF-8";
const NOT_TOML: &str = "is not TOML from here on; the line is not shown, because a secret may stand in it";
const NO_TIME: &str = "is no time of RFC 3339 with seconds and an offset, such as 2027-11-01T00:00:00Z";

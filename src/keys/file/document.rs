//! The TOML file of senders.
//!
//! It does not use a derived deserializer, whose messages quote the values that they refuse: a value may be a secret.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::found::{Fault, FoundSender, Place};
use super::strength;
use crate::error::ConfigError;
use crate::scheme::Scheme;
use crate::secret::{Key, KeyMaterial, Keyring};
use crate::time::{Timestamp, TimestampFormat};

/// Returns the senders of the document and the faults of its other entries.
///
/// # Errors
/// The content is not valid TOML, so its entries are unknown.
pub(super) fn senders(content: &[u8], scheme: &Scheme) -> Result<(Vec<FoundSender>, Vec<Fault>), Fault> {
    let document = Document { content, scheme };
    let text = std::str::from_utf8(content).map_err(|error| document.fault(error.valid_up_to(), "file", NOT_UTF8))?;
    let root = DeTable::parse(text).map_err(|error| {
        // The parser's message quotes the line, so it is dropped.
        let line = error.span().map(|span| document.line(span.start));
        Fault::new(line, ConfigError::new("file", NOT_TOML))
    })?;
    let (mut senders, mut faults) = (Vec::new(), Vec::new());
    let mut root = root.into_inner();
    let list = root.remove("sender");
    faults.extend(document.fields(root, "file", ["sender"]).err());
    for table in document.tables(list, "sender").unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    }) {
        match table.and_then(|table| document.sender(table)) {
            Ok(sender) => senders.push(sender),
            Err(fault) => faults.push(fault),
        }
    }
    Ok((senders, faults))
}

struct Document<'d> {
    content: &'d [u8],
    scheme: &'d Scheme,
}

type Value<'i> = Spanned<DeValue<'i>>;

/// A table and the offset at which it begins.
type Table<'i> = (usize, DeTable<'i>);

impl Document<'_> {
    fn sender(&self, (start, table): Table<'_>) -> Result<FoundSender, Fault> {
        let id = table.get("id").and_then(|id| id.get_ref().as_str()).filter(|id| !id.is_empty()).map(str::to_owned);
        self.sender_of(start, table).map_err(|fault| Fault { id, ..fault })
    }

    fn sender_of(&self, start: usize, table: DeTable<'_>) -> Result<FoundSender, Fault> {
        let [id, keys] = self.fields(table, "sender", ["id", "key"])?;
        let (place, id) = self.text(id, start, "sender.id")?;
        if id.is_empty() {
            return Err(self.fault(place.start, "sender.id", "must not be empty"));
        }
        let mut keyring = None;
        for table in self.tables(keys, "sender.key")? {
            let (start, table) = table?;
            let key = self.key((start, table))?;
            let at_key = |problem| Fault::new(Some(self.line(start)), problem);
            keyring = Some(Keyring::append_to(keyring, key).map_err(at_key)?);
        }
        let keys = keyring
            .ok_or_else(|| self.fault(start, "keys", "must be at least one; each begins with [[sender.key]]"))?;
        Ok(FoundSender { place: Place { file: 0, line: Some(self.line(start)) }, id: String::from(&**id), keys })
    }

    fn key(&self, (start, table): Table<'_>) -> Result<Key, Fault> {
        let names = ["id", "secret", "public_key", "not_before", "not_after"];
        let [id, secret, public_key, not_before, not_after] = self.fields(table, "sender.key", names)?;
        let (id_place, id) = self.text(id, start, "sender.key.id")?;
        let at = |place: Range<usize>| move |problem| Fault::new(Some(self.line(place.start)), problem);
        let (place, material) = match (secret, public_key) {
            (Some(_), Some(value)) => {
                return Err(self.fault(value.span().start, "sender.key.public_key", "must not be given with a secret"));
            }
            (None, Some(value)) => {
                let (place, text) = self.text(Some(value), start, "sender.key.public_key")?;
                (place, self.scheme.public_key(&text).map(KeyMaterial::from))
            }
            (None, None) if self.scheme.algorithm().uses_public_keys() => {
                return Err(self.fault(start, "sender.key.public_key", "must be given"));
            }
            (secret, None) => {
                let (place, text) = self.text(secret, start, "sender.key.secret")?;
                (place, strength::secret(&text, self.scheme).map(KeyMaterial::from))
            }
        };
        let mut key = Key::new(&id, material.map_err(at(place))?).map_err(at(id_place))?;
        if let Some(value) = not_before {
            key = key.not_before(self.time(value, "sender.key.not_before")?);
        }
        if let Some(value) = not_after {
            key = key.not_after(self.time(value, "sender.key.not_after")?);
        }
        Ok(key)
    }

    /// Returns the values of the named fields of a table. Any other field is a fault.
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
                // Do not quote the field: it may be a secret on the wrong side of the equals sign.
                let problem = format!("must have no field besides {}", names.join(", "));
                return Err(self.fault(key.span().start, whose, problem));
            };
            *slot = Some(value);
        }
        Ok(values)
    }

    fn tables<'i>(
        &self,
        value: Option<Value<'i>>,
        field: &'static str,
    ) -> Result<Vec<Result<Table<'i>, Fault>>, Fault> {
        let Some(value) = value else { return Ok(Vec::new()) };
        let start = value.span().start;
        let DeValue::Array(array) = value.into_inner() else {
            return Err(self.fault(start, field, format!("must be a list of tables; each begins with [[{field}]]")));
        };
        let tables = array.into_iter().map(|item| {
            let start = item.span().start;
            match item.into_inner() {
                DeValue::Table(table) => Ok((start, table)),
                _ => Err(self.fault(start, field, "must be a table")),
            }
        });
        Ok(tables.collect())
    }

    fn text(
        &self,
        value: Option<Value<'_>>,
        table: usize,
        field: &'static str,
    ) -> Result<(Range<usize>, Zeroizing<String>), Fault> {
        let value = value.ok_or_else(|| self.fault(table, field, "must be given"))?;
        let place = value.span();
        match value.into_inner() {
            DeValue::String(text) => Ok((place, Zeroizing::new(text.into_owned()))),
            _ => Err(self.fault(place.start, field, "must be a string")),
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
        Fault::new(Some(self.line(at)), ConfigError::new(field, problem))
    }

    fn line(&self, at: usize) -> usize {
        self.content.iter().take(at).filter(|byte| **byte == b'\n').count().saturating_add(1)
    }
}

const NOT_UTF8: &str = "must be UTF-8";
const NOT_TOML: &str =
    "must be valid TOML, with each field once in its table; the line is not shown, because it may hold a secret";
const NO_TIME: &str = "must be a time of RFC 3339 with seconds and an offset, such as 2027-11-01T00:00:00Z";

//! Changes the text of a keys file: adds a new key, and sets the expiry of the old ones. Comments and order stay.

use std::path::Path;
use std::time::Duration;

use hookwarden::Timestamp;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::keys_file::{self, FileKey};
use crate::when;

/// The key to add.
pub(super) struct NewKey<'k> {
    /// By default the date of `start`.
    pub(super) id: Option<&'k str>,
    /// The secret or the public key.
    pub(super) secret: &'k str,
    pub(super) is_public: bool,
    /// The maximum number of keys of a sender.
    pub(super) max_keys: usize,
    pub(super) start: Timestamp,
    pub(super) overlap: Duration,
}

/// The changed text, and a summary of the changes.
pub(super) struct Change {
    pub(super) text: Zeroizing<String>,
    pub(super) key_id: String,
    pub(super) start: Timestamp,
    /// The keys with a new expiry.
    pub(super) ended: Vec<(String, Timestamp)>,
    pub(super) pruned: Vec<String>,
    /// The expired keys that remain.
    pub(super) expired: Vec<String>,
}

/// Adds `new` to the keys of `sender` in `text`, the content of `path`.
pub(super) fn apply(
    path: &Path,
    text: &str,
    sender: &str,
    new: &NewKey<'_>,
    now: Timestamp,
    prune: bool,
) -> Result<Change, Failure> {
    let refused = |problem: String| Failure::file(path, problem);
    let all = keys_file::keys(path, text)?;
    let keys: Vec<&FileKey> = all.iter().filter(|key| key.sender == sender).collect();
    if keys.is_empty() {
        let mut known: Vec<&str> = all.iter().map(|key| &*key.sender).collect();
        known.dedup();
        return Err(refused(format!("must contain the sender {sender:?}; it contains {}", known.join(", "))));
    }
    // A provider may sign for several webhook ids with one key pair. The library decides whether they may share it.
    let may_be_shared = |key: &FileKey| new.is_public && key.sender != sender;
    if let Some(owner) = all.iter().find(|key| *key.secret == new.secret && !may_be_shared(key)) {
        let what = if new.is_public { "public key" } else { "secret" };
        return Err(refused(format!("must not contain the new {what}, which is already {}", owner.name())));
    }
    let end = when::later(new.start, new.overlap);
    if end < now {
        return Err(refused(
            "the old keys would have expired already; set a later --start or a longer --overlap".into(),
        ));
    }
    let (expired, kept): (Vec<&FileKey>, Vec<&FileKey>) = keys.iter().partition(|key| key.is_expired(now));
    let ids = |keys: &[&FileKey]| keys.iter().map(|key| key.id.clone()).collect::<Vec<_>>();
    if let Some(late) = kept.iter().find(|key| key.not_before.is_some_and(|first| end < first)) {
        let problem = format!("key {} begins after the overlap; set a later --start, or remove that key", late.id);
        return Err(refused(problem));
    }
    let remaining = if prune { kept.len() } else { keys.len() };
    if remaining >= new.max_keys {
        let way_out = match (expired.is_empty(), prune) {
            (false, false) => format!("{} expired; add --prune to remove them", ids(&expired).join(", ")),
            _ => "none is expired, so remove one by hand".into(),
        };
        return Err(refused(format!("sender {sender:?} already has the maximum of {} keys; {way_out}", new.max_keys)));
    }
    let pruned = if prune { ids(&expired) } else { Vec::new() };
    let ending = kept.iter().filter(|key| key.not_after.is_none_or(|last| last > end));
    let ended: Vec<_> = ending.map(|key| (key.id.clone(), end)).collect();
    let staying: Vec<&str> =
        keys.iter().map(|key| &*key.id).filter(|id| pruned.iter().all(|gone| gone != id)).collect();
    let key_id = match new.id {
        Some(id) => id.to_owned(),
        None => free_id(&when::date(new.start), &staying),
    };
    let edit = Edit { key_id: &key_id, new, ended: &ended, pruned: &pruned };
    let text = edit
        .of(text, sender)
        .ok_or_else(|| refused("must have its keys in [[sender.key]] tables to be changed".into()))?;
    let expired = if prune { Vec::new() } else { ids(&expired) };
    Ok(Change { text, key_id, start: new.start, ended, pruned, expired })
}

/// The date, with a number if the id is taken.
fn free_id(date: &str, taken: &[&str]) -> String {
    let numbered = (2_u32..).map(|number| format!("{date}.{number}"));
    std::iter::once(date.to_owned()).chain(numbered).find(|id| !taken.contains(&&**id)).unwrap_or_default()
}

struct Edit<'e> {
    key_id: &'e str,
    new: &'e NewKey<'e>,
    ended: &'e [(String, Timestamp)],
    pruned: &'e [String],
}

impl Edit<'_> {
    /// `None` if the document has another structure than [`keys_file::keys`] accepts.
    fn of(&self, text: &str, sender: &str) -> Option<Zeroizing<String>> {
        let mut document: DocumentMut = text.parse().ok()?;
        match document.get_mut("sender")? {
            Item::ArrayOfTables(senders) => self.sender(senders.iter_mut().find(|table| is(*table, sender))?)?,
            Item::Value(Value::Array(senders)) => {
                let tables = senders.iter_mut().filter_map(Value::as_inline_table_mut);
                self.sender(tables.into_iter().find(|table| is(*table, sender))?)?;
            }
            _ => return None,
        }
        Some(Zeroizing::new(document.to_string()))
    }

    fn sender(&self, sender: &mut dyn TableLike) -> Option<()> {
        match sender.get_mut("key")? {
            Item::ArrayOfTables(keys) => {
                keys.retain(|key| !self.prunes(key));
                keys.iter_mut().try_for_each(|key| self.end(key))?;
                let mut new = Table::new();
                new.decor_mut().set_prefix("\n");
                self.fill(&mut new)?;
                // Newest first. A table without a position is written before the next one in the array.
                let old = std::mem::take(keys);
                *keys = std::iter::once(new).chain(old).collect::<ArrayOfTables>();
            }
            Item::Value(Value::Array(keys)) => {
                keys.retain(|key| !key.as_inline_table().is_some_and(|key| self.prunes(key)));
                for key in keys.iter_mut().filter_map(Value::as_inline_table_mut) {
                    self.end(key)?;
                    key.fmt();
                }
                let mut new = InlineTable::new();
                self.fill(&mut new)?;
                // Write the key on a separate line if the first key is on one.
                let before = keys.get(0).and_then(|key| key.decor().prefix()).and_then(|prefix| prefix.as_str());
                let indent =
                    before.and_then(|before| before.rsplit_once('\n')).map(|(_, indent)| format!("\n{indent}"));
                new.decor_mut().set_prefix(indent.unwrap_or_default());
                keys.insert_formatted(0, new.into());
            }
            _ => return None,
        }
        Some(())
    }

    fn fill(&self, key: &mut dyn TableLike) -> Option<()> {
        key.insert("id", value(self.key_id));
        key.insert(if self.new.is_public { "public_key" } else { "secret" }, value(self.new.secret));
        key.insert("not_before", when::item(self.new.start).ok()?);
        Some(())
    }

    fn prunes(&self, key: &dyn TableLike) -> bool {
        self.pruned.iter().any(|id| is(key, id))
    }

    fn end(&self, key: &mut dyn TableLike) -> Option<()> {
        let Some((_, end)) = self.ended.iter().find(|(id, _)| is(key, id)) else { return Some(()) };
        let mut end = when::item(*end).ok()?;
        // Keeps a comment after the old value.
        if let (Some(old), Some(new)) = (key.get("not_after").and_then(Item::as_value), end.as_value_mut()) {
            *new.decor_mut() = old.decor().clone();
        }
        key.insert("not_after", end);
        Some(())
    }
}

fn is(table: &dyn TableLike, id: &str) -> bool {
    table.get("id").and_then(Item::as_str) == Some(id)
}

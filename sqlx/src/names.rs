//! The names of the database objects, and the keys of rows.

use hookwarden::verifier::ReplayKey;
use hookwarden::{ConfigError, Quota};
use sha2::{Digest as _, Sha256};

/// The quoted names of the database objects.
#[derive(Debug, Clone)]
pub struct Names {
    schema: Option<String>,
    table: String,
}

impl Names {
    /// # Errors
    /// Returns an error if a name is not an identifier, or too long.
    pub(crate) fn new(schema: Option<String>, table: String) -> Result<Self, ConfigError> {
        let problem =
            "must be ASCII letters, digits and underscores, not start with a digit, and have at most 48 bytes";
        if schema.as_deref().is_some_and(|schema| !is_identifier(schema)) {
            return Err(ConfigError::new("sqlx.schema", problem));
        }
        if !is_identifier(&table) {
            return Err(ConfigError::new("sqlx.table", problem));
        }
        Ok(Self { schema, table })
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Returns `"schema"."table"`, with `suffix` at the end of the table's name.
    pub(crate) fn qualified(&self, suffix: &str) -> String {
        let name = self.plain(suffix);
        self.schema.as_ref().map_or_else(|| name.clone(), |schema| format!("\"{schema}\".{name}"))
    }

    /// Returns `"table"` without its schema, with `suffix` at the end.
    pub(crate) fn plain(&self, suffix: &str) -> String {
        format!("\"{}{suffix}\"", self.table)
    }

    /// Replaces the names in a template: `{table}`, `{quotas}`, `{admit}` and others.
    pub(crate) fn fill(&self, template: &str) -> String {
        let mut text = template.to_owned();
        for (name, suffix) in [("{table}", ""), ("{quotas}", "_quotas")] {
            text = text.replace(name, &self.qualified(suffix));
        }
        for function in ["admit", "commit", "release", "forget", "sweep", "require_own_tx"] {
            text = text.replace(&format!("{{{function}}}"), &self.qualified(&format!("_{function}")));
        }
        text
    }
}

fn is_identifier(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.len() <= MAX_NAME && name.bytes().all(is_part) && name.starts_with(|first: char| !first.is_ascii_digit())
}

/// The key of a row, or the number of a claimant.
pub(crate) type Key = [u8; 16];

/// Returns the key of the row for one replay key. It is a hash, because the replay key of an HMAC is part of a valid
/// signature, which readers of the database must not learn.
pub(crate) fn row_key(webhook_id: &str, key: &ReplayKey) -> Key {
    hash(&[b"key", key.as_bytes(), webhook_id.as_bytes()])
}

/// Returns the key of the row for the id of a delivery. It is never that of a replay key.
pub(crate) fn id_row_key(webhook_id: &str, id: &ReplayKey) -> Key {
    hash(&[b"id:", id.as_bytes(), webhook_id.as_bytes()])
}

/// Returns the key of a quota's row. A changed quota has another row and starts with its full burst.
pub(crate) fn quota_key(webhook_id: &str, quota: &Quota) -> Key {
    let period = quota.period().as_micros().to_be_bytes();
    hash(&[&quota.burst().to_be_bytes(), &period, webhook_id.as_bytes()])
}

/// Returns the start of a webhook id, for people who read the table. PostgreSQL's text has no NUL.
pub(crate) fn label(webhook_id: &str) -> String {
    webhook_id.chars().take(MAX_LABEL).map(|part| if part.is_control() { '\u{fffd}' } else { part }).collect()
}

/// Writes bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes parts of which only the last has a variable length.
fn hash(parts: &[&[u8]]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// PostgreSQL's names have at most 63 bytes, and the longest suffixes are `_quotas_full_at` and `_require_own_tx`.
const MAX_NAME: usize = 48;

const MAX_LABEL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_identifiers_are_refused() {
        for (schema, table, field) in [
            (None, "", "sqlx.table"),
            (None, "a\"; DROP TABLE payments; --", "sqlx.table"),
            (None, "1st", "sqlx.table"),
            (None, "größe", "sqlx.table"),
            (None, &*"a".repeat(MAX_NAME + 1), "sqlx.table"),
            (Some("a.b"), "deliveries", "sqlx.schema"),
        ] {
            let error = Names::new(schema.map(Into::into), table.into()).unwrap_err();
            assert_eq!(error.field(), field, "{table}");
        }
        let names = Names::new(Some("app".into()), "Webhooks_2".into()).unwrap();
        assert_eq!(names.qualified("_quotas"), "\"app\".\"Webhooks_2_quotas\"");
    }

    #[test]
    fn labels_have_no_control_characters_and_bounded_length() {
        assert_eq!(label("acme"), "acme");
        assert_eq!(label("a\0b\n"), "a\u{fffd}b\u{fffd}");
        assert_eq!(label(&"ä".repeat(100)), "ä".repeat(MAX_LABEL));
    }
}

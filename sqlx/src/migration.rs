//! The migrations of a store.

use std::fmt;

/// One migration. `Display` prints its SQL.
///
/// ```
/// # #[cfg(feature = "postgres")]
/// # fn print(store: hookwarden_sqlx::PgStore) -> std::io::Result<()> {
/// for migration in store.migrations() {
///     std::fs::write(format!("migrations/{}.sql", migration.name()), migration.to_string())?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    name: String,
    sql: String,
}

impl Migration {
    pub(crate) const fn new(name: String, sql: String) -> Self {
        Self { name, sql }
    }

    /// The name, such as `0001_hookwarden_deliveries`. Migrations run in the order of their names.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The SQL: several statements, each of which can be run again.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql)
    }
}

//! The builder of a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hookwarden::ConfigError;
use sqlx::Pool;

use crate::link::Link;
use crate::names::Names;
use crate::store::{SqlxStore, SupportedDatabase};

/// Builds a [`SqlxStore`].
///
/// ```
/// # #[cfg(feature = "postgres")]
/// # fn build(pool: sqlx::PgPool) -> Result<(), hookwarden::ConfigError> {
/// use std::time::Duration;
/// use hookwarden_sqlx::PgStore;
///
/// let store = PgStore::builder(pool)
///     .schema("app")
///     .table("payment_deliveries") // endpoints with different senders need different tables
///     .timeout(Duration::from_millis(500))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct SqlxStoreBuilder<DB: SupportedDatabase> {
    pool: Pool<DB>,
    schema: Option<String>,
    table: String,
    timeout: Duration,
}

impl<DB: SupportedDatabase> SqlxStoreBuilder<DB> {
    pub(crate) fn new(pool: Pool<DB>) -> Self {
        Self { pool, schema: None, table: "hookwarden_deliveries".into(), timeout: Duration::from_secs(1) }
    }

    /// Sets the schema of the tables and functions, which must exist. For SQLite it is the name of an attached
    /// database. By default the connection decides: PostgreSQL by its `search_path`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Sets the name of the table of deliveries. The default is `hookwarden_deliveries`. The names of the other objects
    /// begin with it: `hookwarden_deliveries_quotas`, for example.
    ///
    /// Processes with the same table share deliveries and quotas. Endpoints that use the same webhook ids for different
    /// senders need different tables.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// Sets how long a call may take, including the wait for a connection of the pool. The default is 1 s. A request
    /// makes two calls: one before its handler and one after.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Builds the store. This does not connect.
    ///
    /// # Errors
    /// Returns an error if a name is not an identifier of at most 48 bytes, or if the timeout is zero.
    pub fn build(self) -> Result<SqlxStore<DB>, ConfigError> {
        let names = Names::new(self.schema, self.table)?;
        if self.timeout.is_zero() {
            return Err(ConfigError::new("sqlx.timeout", "must be more than zero"));
        }
        let link = Arc::new(Link::new(self.pool, DB::statements(&names), self.timeout));
        Ok(SqlxStore::new(link, names))
    }
}

impl<DB: SupportedDatabase> fmt::Debug for SqlxStoreBuilder<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlxStoreBuilder")
            .field("schema", &self.schema)
            .field("table", &self.table)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

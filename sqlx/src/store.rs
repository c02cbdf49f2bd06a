//! The store.

mod traits;

use std::fmt;
use std::sync::Arc;

use hookwarden::error::StoreError;
use hookwarden::warden::VerifiedDelivery;
use sqlx::{Pool, Transaction};

use crate::builder::SqlxStoreBuilder;
use crate::call::{Call, Commit, Committed, Reply};
use crate::dialect::Dialect;
use crate::error::CommitError;
use crate::link::Link;
use crate::migration::Migration;
use crate::names::Names;

/// A store in PostgreSQL.
#[cfg(feature = "postgres")]
pub type PgStore = SqlxStore<sqlx::Postgres>;

/// A store in SQLite.
#[cfg(feature = "sqlite")]
pub type SqliteStore = SqlxStore<sqlx::Sqlite>;

/// A database that a store supports: `sqlx::Postgres` with the feature `postgres`, `sqlx::Sqlite` with `sqlite`. No
/// other crate can implement it.
pub trait SupportedDatabase: Dialect {}

#[cfg(feature = "postgres")]
impl SupportedDatabase for sqlx::Postgres {}

#[cfg(feature = "sqlite")]
impl SupportedDatabase for sqlx::Sqlite {}

/// Deliveries and quotas in the application's database: [`PgStore`] and [`SqliteStore`]. Cheap to clone.
///
/// All processes with the same database and table share it. The [crate](crate) describes what is stored, what happens
/// while the database is away, and how to commit a delivery in the handler's transaction.
pub struct SqlxStore<DB: SupportedDatabase> {
    link: Arc<Link<DB>>,
    names: Arc<Names>,
}

impl<DB: SupportedDatabase> SqlxStore<DB> {
    /// Starts a builder for a store that uses the application's pool.
    pub fn builder(pool: Pool<DB>) -> SqlxStoreBuilder<DB> {
        SqlxStoreBuilder::new(pool)
    }

    pub(crate) fn new(link: Arc<Link<DB>>, names: Names) -> Self {
        Self { link, names: Arc::new(names) }
    }

    /// Commits the delivery inside the handler's transaction: when the transaction is committed, the delivery is
    /// finished, and when it rolls back, the delivery is not. Call it last, directly before `commit`, because its rows
    /// stay locked until then.
    ///
    /// The claim must still be that of this request. It may be later than its lease if no other request has claimed the
    /// delivery meanwhile; the rows of a claim are kept for an hour after its lease.
    ///
    /// The Warden then does not commit the delivery by the status of the answer. If the transaction was not committed,
    /// the Warden releases the delivery after the handler, with any status.
    ///
    /// Call this and commit the transaction before the handler answers: a task that goes on after the answer finds its claim
    /// released, or the delivery committed by the status.
    ///
    /// # Errors
    /// Return the error from the handler, let the whole transaction roll back, and answer 5xx: the sender does not retry
    /// after 200. On PostgreSQL the database has already aborted the transaction, or the innermost savepoint if there is
    /// one. On SQLite, and after rolling back only to a savepoint, committing would keep the work of a delivery that
    /// another request also handles.
    pub async fn commit_in(
        &self,
        transaction: &mut Transaction<'_, DB>,
        delivery: &VerifiedDelivery,
    ) -> Result<(), CommitError> {
        let commit = taken(delivery)?;
        match DB::call(transaction, &self.link.statements, Call::Commit(&commit), None).await? {
            Reply::Committed(Committed::Done) => Ok(()),
            Reply::Committed(Committed::AlreadyFinished) => Err(CommitError::AlreadyFinished),
            _ => Err(CommitError::ClaimLost),
        }
    }

    /// Returns a statement that does what [`commit_in`](Self::commit_in) does, for a transaction of another client, such
    /// as diesel or sea-orm. It is complete SQL without parameters, and contains no text of the request.
    ///
    /// Call it only if you run the statement: the Warden then does not commit the delivery by the status of the answer. Run it
    /// in the transaction at once, because its times are those of this call. If it fails, roll back.
    ///
    /// ```
    /// # #[cfg(feature = "postgres")]
    /// # fn commit(
    /// #     store: &hookwarden_sqlx::PgStore,
    /// #     delivery: &hookwarden::warden::VerifiedDelivery,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let sql = store.commit_sql(delivery)?;
    /// // diesel: diesel::sql_query(sql).execute(connection)?;
    /// // sea-orm: transaction.execute_unprepared(&sql).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns [`CommitError::NotClaimed`] if the Warden made no claim in a shared store.
    pub fn commit_sql(&self, delivery: &VerifiedDelivery) -> Result<String, CommitError> {
        Ok(DB::commit_sql(&self.link.statements, &taken(delivery)?))
    }

    /// Creates the tables, indexes and functions that are missing. Several processes can call it at the same time.
    ///
    /// The role needs the privilege to create objects in the schema. If the application's role does not have it, run
    /// [`migrations`](Self::migrations) with your own tool.
    ///
    /// # Errors
    /// The database refuses, or the connection fails.
    pub async fn migrate(&self) -> sqlx::Result<()> {
        for migration in self.migrations() {
            DB::migrate(&self.link.pool, migration.sql()).await?;
        }
        Ok(())
    }

    /// Returns the migrations in their order, to print them or to run them with your own tool.
    #[must_use]
    pub fn migrations(&self) -> Vec<Migration> {
        let name = |number| format!("{number:04}_{}", self.names.table());
        (1..).zip(DB::migrations(&self.names)).map(|(number, sql)| Migration::new(name(number), sql)).collect()
    }

    /// Removes at most 500 expired rows of each table, the oldest first. Returns how many of the table with more.
    ///
    /// The store does this after claims, at most once a second, or more often while there are more expired rows. Call it
    /// only to clean up while no deliveries arrive.
    ///
    /// # Errors
    /// The database does not answer in time, or refuses.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        match self.link.call(Call::Sweep).await? {
            Reply::Rows(count) => Ok(count),
            _ => Ok(0),
        }
    }
}

/// Takes the claim of a delivery, so that the Warden does not commit it.
fn taken(delivery: &VerifiedDelivery) -> Result<Commit, CommitError> {
    let claim = delivery.take_claim().ok_or(CommitError::NotClaimed)?;
    Ok(Commit::with_work(&claim))
}

impl<DB: SupportedDatabase> Clone for SqlxStore<DB> {
    fn clone(&self) -> Self {
        Self { link: Arc::clone(&self.link), names: Arc::clone(&self.names) }
    }
}

impl<DB: SupportedDatabase> fmt::Debug for SqlxStore<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlxStore")
            .field("table", &self.names.qualified(""))
            .field("timeout", &self.link.timeout)
            .field("up", &!self.link.is_down())
            .finish_non_exhaustive()
    }
}

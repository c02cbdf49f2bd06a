//! What differs between the databases.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use sqlx::{Database, Pool};

use crate::call::{Call, Commit, Reply};
use crate::names::Names;

/// A database that a store supports. Not public, so that only this crate implements it.
pub trait Dialect: Database {
    /// The text of every statement.
    type Statements: Debug + Send + Sync;

    /// Returns the migrations, oldest first.
    fn migrations(names: &Names) -> Vec<String>;

    fn statements(names: &Names) -> Self::Statements;

    /// Runs migrations, while no other process does.
    fn migrate(pool: &Pool<Self>, sql: &str) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Makes a call. `patience`: the longest wait for a lock. `None` is for a call inside a transaction of the
    /// application, whose settings must not change.
    fn call(
        connection: &mut Self::Connection,
        statements: &Self::Statements,
        call: Call<'_>,
        patience: Option<Duration>,
    ) -> impl Future<Output = sqlx::Result<Reply>> + Send;

    /// Returns a commit as one statement without parameters, which fails if the delivery cannot be committed.
    fn commit_sql(statements: &Self::Statements, commit: &Commit) -> String;
}

/// How many expired rows of a table are removed at once, at most.
pub(crate) const SWEEP_BATCH: i64 = 500;

//! The statements for PostgreSQL. The logic is in functions, which the migration creates, so each call is one round
//! trip.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Pool, Postgres, Row as _};

use crate::call::{Admit, Admitted, Call, Commit, Committed, Reply};
use crate::dialect::{Dialect, SWEEP_BATCH};
use crate::names::{Key, Names, hex};

/// The names of the functions.
#[derive(Debug)]
pub struct Statements {
    admit: String,
    commit: String,
    release: String,
    forget: String,
    sweep: String,
}

impl Dialect for Postgres {
    type Statements = Statements;

    fn migrations(names: &Names) -> Vec<String> {
        let index = [("{index}", "_expires_at"), ("{quotas_index}", "_quotas_full_at")];
        let sql =
            index.iter().fold(names.fill(MIGRATION), |sql, (name, suffix)| sql.replace(name, &names.plain(suffix)));
        vec![sql]
    }

    fn statements(names: &Names) -> Statements {
        let name = |function| names.qualified(&format!("_{function}"));
        Statements {
            admit: name("admit"),
            commit: name("commit"),
            release: name("release"),
            forget: name("forget"),
            sweep: name("sweep"),
        }
    }

    async fn migrate(pool: &Pool<Self>, sql: &str) -> sqlx::Result<()> {
        let mut transaction = pool.begin().await?;
        // `IF NOT EXISTS` is not safe against another process that creates the same object.
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *transaction).await?;
        // sqlx logs each notice about an object that exists.
        sqlx::raw_sql("SET LOCAL client_min_messages = warning").execute(&mut *transaction).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    async fn call(
        connection: &mut PgConnection,
        statements: &Statements,
        call: Call<'_>,
        patience: Option<Duration>,
    ) -> sqlx::Result<Reply> {
        let sql: Arc<str> = statements.sql(call, patience).into();
        let once = async |connection: &mut PgConnection| {
            let row = sqlx::raw_sql(AssertSqlSafe(Arc::clone(&sql))).fetch_one(connection).await?;
            read(call, &row)
        };
        let outcome = match once(connection).await {
            Err(error) if patience.is_some() && is_in_open_transaction(&error) => {
                // No borrower of the connection ends it: sqlx 0.9.0 leaves one open if `begin` is dropped.
                sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
                once(connection).await
            }
            outcome => outcome,
        };
        outcome.or_else(|error| refusal(&error).map(Reply::Committed).ok_or(error))
    }

    fn commit_sql(statements: &Statements, commit: &Commit) -> String {
        statements.sql(Call::Commit(commit), None)
    }
}

impl Statements {
    /// Returns a call as one statement without parameters, for the simple protocol. With it, the times of the statement and
    /// of its transaction are equal unless the transaction was open before, which the functions check.
    fn sql(&self, call: Call<'_>, patience: Option<Duration>) -> String {
        let patience = patience.map_or(0, |patience| i64::try_from(patience.as_millis()).unwrap_or(i64::MAX).max(1));
        match call {
            Call::Admit(Admit { label, keys, by, lease, quota, deadline }) => {
                let (quota, burst, period) =
                    quota.map_or(("NULL".into(), 0, 0), |quota| (bytes(&quota.key), quota.burst, quota.period));
                let (function, keys, label, by) = (&self.admit, array(keys), text(label), bytes(&by));
                format!(
                    "SELECT outcome, wait, ahead, clock FROM \
                     {function}({keys}, {label}, {by}, {lease}, {quota}, {burst}, {period}, {deadline}, {patience})"
                )
            }
            Call::Commit(Commit { must_hold, label, keys, lifetimes, by }) => {
                let lifetimes: Vec<String> = lifetimes.iter().map(ToString::to_string).collect();
                let lifetimes = lifetimes.join(", ");
                let (function, keys, label, by) = (&self.commit, array(keys), text(label), bytes(by));
                format!(
                    "SELECT {function}({keys}, {label}, {by}, ARRAY[{lifetimes}]::bigint[], {patience}, {must_hold})"
                )
            }
            Call::Release(claims) => {
                let (keys, holders): (Vec<Key>, Vec<Key>) = claims.iter().copied().unzip();
                format!("SELECT {}({}, {}, {patience})", self.release, array(&keys), array(&holders))
            }
            Call::Forget(key) => format!("SELECT {}({})", self.forget, bytes(&key)),
            Call::Sweep => format!("SELECT {}({SWEEP_BATCH})", self.sweep),
        }
    }
}

fn array(keys: &[Key]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| bytes(key)).collect();
    format!("ARRAY[{}]::bytea[]", keys.join(", "))
}

fn text(text: &str) -> String {
    format!("convert_from({}, 'UTF8')", bytes(text.as_bytes()))
}

fn bytes(bytes: &[u8]) -> String {
    format!("decode('{}', 'hex')", hex(bytes))
}

fn read(call: Call<'_>, row: &PgRow) -> sqlx::Result<Reply> {
    Ok(match call {
        Call::Admit(_) => Reply::Admitted(Admitted {
            outcome: row.try_get(0)?,
            wait: row.try_get(1)?,
            ahead: row.try_get(2)?,
            clock: row.try_get(3)?,
        }),
        Call::Commit(_) => Reply::Committed(Committed::Done),
        Call::Release(_) | Call::Forget(_) | Call::Sweep => Reply::Rows(row.try_get::<i64, _>(0)?.unsigned_abs()),
    })
}

/// Returns why a commit was refused.
fn refusal(error: &sqlx::Error) -> Option<Committed> {
    match error.as_database_error()?.code()?.as_ref() {
        "WH001" => Some(Committed::ClaimedByAnother),
        "WH002" => Some(Committed::AlreadyFinished),
        _ => None,
    }
}

/// Whether the call failed because the connection has a transaction that another borrower left open.
fn is_in_open_transaction(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| [OPEN_TRANSACTION, FAILED_TRANSACTION].contains(&&*code))
}

/// The error code of the function `require_own_tx`.
const OPEN_TRANSACTION: &str = "WH003";

/// PostgreSQL: a statement in the transaction has failed.
const FAILED_TRANSACTION: &str = "25P02";

const MIGRATION: &str = include_str!("postgres/migration.sql");

/// The advisory lock of all migrations in a database: "hookward" as a number.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"hookward");

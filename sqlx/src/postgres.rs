//! The statements for PostgreSQL. The logic is in functions, which the migration creates, so each call is one round
//! trip.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Pool, Postgres, Row as _};

use crate::call::{Admit, Admitted, Call, Commit, Committed, Reply};
use crate::dialect::{Dialect, SWEEP_BATCH};
use crate::names::{Key, Names, hex};

#[derive(Debug)]
pub struct Statements {
    admit: Arc<str>,
    commit: Arc<str>,
    release: Arc<str>,
    forget: Arc<str>,
    sweep: Arc<str>,
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
        let fill = |template| Arc::from(names.fill(template));
        Statements {
            admit: fill("SELECT outcome, wait, ahead, clock FROM {admit}($1, $2, $3, $4, $5, $6, $7, $8, $9)"),
            commit: fill("SELECT {commit}($1, $2, $3, $4, $5, $6)"),
            release: fill("SELECT {release}($1, $2, $3)"),
            forget: fill("DELETE FROM {table} WHERE key = $1 AND claimant IS NULL AND expires_at > clock_timestamp()"),
            sweep: fill("SELECT {sweep}($1)"),
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
        let patience = patience.map_or(0, |patience| i64::try_from(patience.as_millis()).unwrap_or(i64::MAX).max(1));
        let query = |sql: &Arc<str>| sqlx::query(AssertSqlSafe(Arc::clone(sql)));
        match call {
            Call::Admit(Admit { label, keys, by, lease, quota, deadline }) => {
                let (key, burst, period) =
                    quota.map_or((None, 0, 0), |quota| (Some(quota.key), quota.burst, quota.period));
                let query = query(&statements.admit).bind(keys).bind(label).bind(by).bind(lease);
                let query = query.bind(key).bind(burst).bind(period).bind(deadline).bind(patience);
                let row = query.fetch_one(connection).await?;
                Ok(Reply::Admitted(Admitted {
                    outcome: row.try_get(0)?,
                    wait: row.try_get(1)?,
                    ahead: row.try_get(2)?,
                    clock: row.try_get(3)?,
                }))
            }
            Call::Commit(Commit { must_hold, label, keys, lifetimes, by }) => {
                let query = query(&statements.commit).bind(keys).bind(label).bind(by).bind(lifetimes);
                let query = query.bind(patience).bind(must_hold);
                match query.execute(connection).await {
                    Ok(_) => Ok(Reply::Committed(Committed::Done)),
                    Err(error) => match error.as_database_error().and_then(|error| error.code()).as_deref() {
                        Some("WH001") => Ok(Reply::Committed(Committed::ClaimedByAnother)),
                        Some("WH002") => Ok(Reply::Committed(Committed::AlreadyFinished)),
                        _ => Err(error),
                    },
                }
            }
            Call::Release(claims) => {
                let (keys, holders): (Vec<Key>, Vec<Key>) = claims.iter().copied().unzip();
                let row =
                    query(&statements.release).bind(keys).bind(holders).bind(patience).fetch_one(connection).await?;
                rows(row.try_get(0)?)
            }
            Call::Forget(key) => {
                // Planned each time: a plan from the time when the table was small would read all of it.
                let query = query(&statements.forget).persistent(false).bind(key);
                Ok(Reply::Rows(query.execute(connection).await?.rows_affected()))
            }
            Call::Sweep => rows(query(&statements.sweep).bind(SWEEP_BATCH).fetch_one(connection).await?.try_get(0)?),
        }
    }

    fn commit_sql(statements: &Statements, commit: &Commit) -> String {
        let bytes = |bytes: &[u8]| format!("'\\x{}'::bytea", hex(bytes));
        let keys: Vec<String> = commit.keys.iter().map(|key| bytes(key)).collect();
        let lifetimes: Vec<String> = commit.lifetimes.iter().map(ToString::to_string).collect();
        let arguments = [
            format!("ARRAY[{}]", keys.join(", ")),
            format!("convert_from({}, 'UTF8')", bytes(commit.label.as_bytes())),
            bytes(&commit.by),
            format!("ARRAY[{}]::bigint[]", lifetimes.join(", ")),
        ];
        statements.commit.replace("$1, $2, $3, $4, $5, $6", &format!("{}, 0, true", arguments.join(", ")))
    }
}

const fn rows(count: i64) -> sqlx::Result<Reply> {
    Ok(Reply::Rows(count.unsigned_abs()))
}

const MIGRATION: &str = include_str!("postgres/migration.sql");

/// The advisory lock of all migrations in a database: "hookward" as a number.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"hookward");

//! The statements for SQLite. There is one writer at a time, so a transaction that begins with a lock is atomic.

use std::time::{Duration, SystemTime};

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Pool, Row as _, Sqlite};

use crate::call::{
    Admit, Admitted, Call, Commit, Committed, CountedQuota, FINISHED, GRANTED, IN_PROGRESS, OVER_QUOTA, Reply,
};
use crate::dialect::{Dialect, SWEEP_BATCH};
use crate::names::{Key, Names, hex};

/// The names of the tables; the statements depend on the number of keys.
#[derive(Debug)]
pub struct Statements {
    table: String,
    quotas: String,
}

impl Dialect for Sqlite {
    type Statements = Statements;

    fn migrations(names: &Names) -> Vec<String> {
        let indexes = [
            ("{index}", names.qualified("_expires_at")),
            ("{quotas_index}", names.qualified("_quotas_full_at")),
            // An index is always in the schema of its table.
            ("{table_of_index}", names.plain("")),
            ("{quotas_of_index}", names.plain("_quotas")),
        ];
        vec![indexes.iter().fold(names.fill(MIGRATION), |sql, (name, value)| sql.replace(name, value))]
    }

    fn statements(names: &Names) -> Statements {
        Statements { table: names.qualified(""), quotas: names.qualified("_quotas") }
    }

    async fn migrate(pool: &Pool<Self>, sql: &str) -> sqlx::Result<()> {
        let mut transaction = pool.begin_with(BEGIN).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// The connection's `busy_timeout` limits the wait for the lock; the caller's timeout cancels it earlier.
    async fn call(
        connection: &mut SqliteConnection,
        statements: &Statements,
        call: Call<'_>,
        _: Option<Duration>,
    ) -> sqlx::Result<Reply> {
        match call {
            Call::Admit(admit) => admit_now(connection, statements, admit).await.map(Reply::Admitted),
            Call::Commit(commit) => commit_now(connection, statements, commit).await.map(Reply::Committed),
            Call::Release(claims) => {
                let mut query = sqlx::query(AssertSqlSafe(statements.release(claims.len())));
                for (key, _) in claims {
                    query = query.bind(key.as_slice());
                }
                for (key, by) in claims {
                    query = query.bind(key.as_slice()).bind(by.as_slice());
                }
                Ok(Reply::Rows(query.bind(now()).execute(connection).await?.rows_affected()))
            }
            Call::Forget(key) => {
                let query = sqlx::query(AssertSqlSafe(statements.forget())).bind(key.as_slice()).bind(now());
                Ok(Reply::Rows(query.execute(connection).await?.rows_affected()))
            }
            Call::Sweep => {
                let mut most = 0;
                for sql in statements.sweeps() {
                    let query = sqlx::query(AssertSqlSafe(sql)).bind(now()).bind(SWEEP_BATCH);
                    most = query.execute(&mut *connection).await?.rows_affected().max(most);
                }
                Ok(Reply::Rows(most))
            }
        }
    }

    fn commit_sql(statements: &Statements, commit: &Commit) -> String {
        let bytes = |bytes: &[u8]| format!("x'{}'", hex(bytes));
        let now = now();
        let rows = commit.keys.iter().zip(&commit.lifetimes);
        let rows: Vec<String> =
            rows.map(|(key, lifetime)| format!("({}, {})", bytes(key), now.saturating_add(*lifetime))).collect();
        let label = format!("CAST({} AS TEXT)", bytes(commit.label.as_bytes()));
        statements.write(&rows.join(", "), None, &bytes(&commit.by), &label, "NULL")
    }
}

impl Statements {
    fn look(&self, keys: usize) -> String {
        let keys = list("?", keys);
        format!("SELECT claimant, expires_at FROM {} WHERE key IN ({keys}) AND expires_at > ?", self.table)
    }

    /// Writes `claimant` into all rows: a claim, or NULL to finish them. A NULL in `webhook_id` makes the statement fail
    /// if another request has claimed or finished one of them, or without `now`, if one of them is not claimed by this
    /// request.
    fn write(&self, rows: &str, now: Option<&str>, by: &str, label: &str, claimant: &str) -> String {
        let table = &self.table;
        let of_delivery = format!("FROM {table} t WHERE t.key IN (SELECT key FROM delivery)");
        let is_lost = match now {
            Some(now) => format!("EXISTS (SELECT 1 {of_delivery} AND t.expires_at > {now} AND t.claimant IS NOT {by})"),
            None => {
                format!("(SELECT count(*) {of_delivery} AND t.claimant IS {by}) <> (SELECT count(*) FROM delivery)")
            }
        };
        format!(
            "WITH delivery (key, until) AS (VALUES {rows}) \
             INSERT INTO {table} (key, webhook_id, claimant, expires_at) \
             SELECT key, CASE WHEN {is_lost} THEN NULL ELSE {label} END, {claimant}, until FROM delivery WHERE true \
             ON CONFLICT (key) DO UPDATE SET claimant = excluded.claimant, expires_at = excluded.expires_at"
        )
    }

    fn release(&self, claims: usize) -> String {
        format!(
            "DELETE FROM {} WHERE key IN ({}) AND (key, claimant) IN (VALUES {}) AND expires_at > ?",
            self.table,
            list("?", claims),
            list("(?, ?)", claims)
        )
    }

    fn forget(&self) -> String {
        format!("DELETE FROM {} WHERE key = ? AND claimant IS NULL AND expires_at > ?", self.table)
    }

    fn sweeps(&self) -> [String; 2] {
        // A handler that is late can still commit its claim: its row is kept for an hour, in microseconds.
        let abandoned = " AND (claimant IS NULL OR expires_at <= ?1 - 3600000000)";
        [(&self.table, "expires_at", abandoned), (&self.quotas, "full_at", "")].map(|(table, time, and)| {
            let expired = format!("SELECT key FROM {table} WHERE {time} <= ?1{and} ORDER BY {time} LIMIT ?2");
            format!("DELETE FROM {table} WHERE key IN ({expired})")
        })
    }

    fn quota(&self) -> String {
        format!("SELECT full_at FROM {} WHERE key = ?", self.quotas)
    }

    fn count(&self) -> String {
        format!(
            "INSERT INTO {} (key, webhook_id, full_at) VALUES (?, ?, ?) \
             ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at",
            self.quotas
        )
    }
}

async fn commit_now(
    connection: &mut SqliteConnection,
    statements: &Statements,
    commit: &Commit,
) -> sqlx::Result<Committed> {
    let Commit { must_hold, label, keys, lifetimes, by } = commit;
    let now = now();
    let rows = keys.iter().zip(lifetimes.iter().map(|lifetime| now.saturating_add(*lifetime)));
    if write(connection, statements, rows, label, by, None, (!must_hold).then_some(now)).await? {
        return Ok(Committed::Done);
    }
    let found = look(connection, statements, keys, by, now).await?;
    Ok(if found.finished { Committed::AlreadyFinished } else { Committed::ClaimedByAnother })
}

async fn admit_now(
    connection: &mut SqliteConnection,
    statements: &Statements,
    admit: Admit<'_>,
) -> sqlx::Result<Admitted> {
    let Admit { label, keys, by, lease, quota, .. } = admit;
    loop {
        let mut again = false;
        if !keys.is_empty() {
            // Look without the lock: copies must not wait for a transaction that is handling this delivery.
            let now = now();
            let found = look(connection, statements, keys, &by, now).await?;
            if let Some(refused) = found.refusal(now) {
                return Ok(refused);
            }
            again = found.own == keys.len();
        }
        // If the caller stops waiting, sqlx rolls the transaction back, so no claim is made for a request that is gone.
        let mut transaction = connection.begin_with(BEGIN).await?;
        let now = now();
        if !keys.is_empty() {
            let rows = keys.iter().map(|key| (key, now.saturating_add(lease)));
            if !write(&mut transaction, statements, rows, label, &by, Some(&by), Some(now)).await? {
                // Another request was faster: look again.
                transaction.rollback().await?;
                continue;
            }
        }
        let mut admitted = Admitted { outcome: GRANTED, wait: 0, ahead: 0, clock: 0 };
        if let Some(quota) = quota {
            admitted = count(&mut transaction, statements, label, quota, again, now).await?;
        }
        if admitted.outcome == GRANTED {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        return Ok(admitted);
    }
}

/// Writes rows, each with its end. Returns `false`, and writes none, if another request has claimed or finished one, or
/// without `now`, if one is not claimed by this request.
async fn write<'k>(
    connection: &mut SqliteConnection,
    statements: &Statements,
    rows: impl ExactSizeIterator<Item = (&'k Key, i64)>,
    label: &str,
    by: &Key,
    claimant: Option<&Key>,
    now: Option<i64>,
) -> sqlx::Result<bool> {
    let sql = statements.write(&list("(?, ?)", rows.len()), now.map(|_| "?"), "?", "?", "?");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (key, until) in rows {
        query = query.bind(key.as_slice()).bind(until);
    }
    if let Some(now) = now {
        query = query.bind(now);
    }
    let query = query.bind(by.as_slice()).bind(label).bind(claimant.map(|claimant| claimant.as_slice()));
    match query.execute(connection).await {
        Ok(_) => Ok(true),
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(NOT_NULL)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Counts a request by GCRA. `again`: the same request was counted before.
async fn count(
    connection: &mut SqliteConnection,
    statements: &Statements,
    label: &str,
    quota: CountedQuota,
    again: bool,
    now: i64,
) -> sqlx::Result<Admitted> {
    let query = sqlx::query_scalar(AssertSqlSafe(statements.quota())).bind(quota.key.as_slice());
    let full_at: Option<i64> = query.fetch_optional(&mut *connection).await?;
    let window = quota.period.saturating_mul(quota.burst);
    // At most one window, unless the clock was set back.
    let before = full_at.unwrap_or(now).saturating_sub(now).clamp(0, window);
    let ahead = before.saturating_add(quota.period);
    let admitted = |outcome, wait, ahead| Admitted { outcome, wait, ahead, clock: 0 };
    if again {
        return Ok(admitted(GRANTED, 0, before));
    }
    if ahead > window {
        return Ok(admitted(OVER_QUOTA, ahead.saturating_sub(window), before));
    }
    let query = sqlx::query(AssertSqlSafe(statements.count())).bind(quota.key.as_slice()).bind(label);
    query.bind(now.saturating_add(ahead)).execute(connection).await?;
    Ok(admitted(GRANTED, 0, ahead))
}

/// What is stored about a delivery.
#[derive(Debug, Default)]
struct Found {
    own: usize,
    finished: bool,
    held_until: Option<i64>,
}

impl Found {
    fn refusal(&self, now: i64) -> Option<Admitted> {
        let refused = |outcome, wait| Admitted { outcome, wait, ahead: 0, clock: 0 };
        match self.held_until {
            _ if self.finished => Some(refused(FINISHED, 0)),
            Some(until) => Some(refused(IN_PROGRESS, until.saturating_sub(now).max(1))),
            None => None,
        }
    }
}

async fn look(
    connection: &mut SqliteConnection,
    statements: &Statements,
    keys: &[Key],
    by: &Key,
    now: i64,
) -> sqlx::Result<Found> {
    let mut query = sqlx::query::<Sqlite>(AssertSqlSafe(statements.look(keys.len())));
    for key in keys {
        query = query.bind(key.as_slice());
    }
    let mut found = Found::default();
    for row in query.bind(now).fetch_all(connection).await? {
        match row.try_get::<Option<Vec<u8>>, _>(0)? {
            None => found.finished = true,
            Some(claimant) if claimant == by => found.own = found.own.saturating_add(1),
            Some(_) => found.held_until = found.held_until.max(Some(row.try_get(1)?)),
        }
    }
    Ok(found)
}

fn list(item: &str, count: usize) -> String {
    vec![item; count].join(", ")
}

/// Every process that uses the file runs on one machine, so its clock is the database's clock.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

const MIGRATION: &str = include_str!("sqlite/migration.sql");

/// Takes the lock for writing at once: a transaction that first reads can fail when it writes.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// SQLite's code of a NULL in a column that permits none.
const NOT_NULL: &str = "1299";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_statement_reads_by_an_index() {
        let names = Names::new(None, "deliveries".into()).unwrap();
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for sql in Sqlite::migrations(&names) {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        }
        let statements = Sqlite::statements(&names);
        let [sweep, sweep_quotas] = statements.sweeps();
        let all = [
            (statements.look(2), 1),
            (statements.write("(?, ?), (?, ?)", Some("?"), "?", "?", "?"), 1),
            (statements.write("(?, ?), (?, ?)", None, "?", "?", "NULL"), 1),
            (statements.release(2), 1),
            (statements.forget(), 1),
            (sweep, 2),
            (sweep_quotas, 2),
            (statements.quota(), 1),
            (statements.count(), 0),
        ];
        for (sql, searches) in all {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let rows = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            let reads = |step: &&String| step.contains("deliveries") || step.contains(" t ");
            let is_indexed = |step: &String| step.starts_with("SEARCH") && step.contains("USING");
            assert!(plan.iter().filter(reads).all(is_indexed), "{sql}: {plan:#?}");
            assert_eq!(plan.iter().filter(reads).count(), searches, "{sql}: {plan:#?}");
        }
    }
}

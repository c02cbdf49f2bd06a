//! The two databases as types, so that a test runs on both.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hookwarden_sqlx::{SqlxStore, SupportedDatabase};
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, Database, Pool, Postgres, Sqlite, Transaction};

use crate::postgres_server;

/// A database of one test.
pub(crate) trait TestDatabase: Sized + Send + Sync + 'static {
    type Kind: SupportedDatabase;

    /// A time in the past, in SQL.
    const EXPIRED: &str;

    /// Returns a statement that makes every row expire sooner.
    fn age(time: Duration) -> String;

    /// Returns the bytes of a number, in SQL.
    fn bytes(number: u32) -> String;

    /// Opens a new, empty database.
    fn open(options: PoolOptions<Self::Kind>) -> impl Future<Output = Self> + Send;

    fn pool(&self) -> &Pool<Self::Kind>;

    /// Begins a transaction that is going to write.
    fn begin(&self) -> impl Future<Output = Transaction<'static, Self::Kind>> + Send;

    /// Runs statements without parameters.
    fn run(connection: &mut Connection<Self>, sql: String) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Returns a number.
    fn count(&self, sql: &'static str) -> impl Future<Output = i64> + Send;

    /// Returns a store whose timeout suits a busy machine, with its tables.
    fn store(&self) -> impl Future<Output = SqlxStore<Self::Kind>> + Send {
        async move {
            let store = SqlxStore::builder(self.pool().clone()).timeout(Duration::from_secs(30)).build().unwrap();
            store.migrate().await.unwrap();
            store
        }
    }

    /// Creates the table of payments.
    fn create_payments(&self) -> impl Future<Output = ()> + Send {
        async move {
            let mut connection = self.pool().acquire().await.unwrap();
            Self::run(&mut connection, "CREATE TABLE payments (event_id text, amount bigint)".into()).await.unwrap();
        }
    }

    fn pay(transaction: &mut Transaction<'static, Self::Kind>, event: &str) -> impl Future<Output = ()> + Send {
        async move {
            let sql = format!("INSERT INTO payments (event_id, amount) VALUES ('{event}', 1)");
            Self::run(transaction, sql).await.unwrap();
        }
    }

    fn payments(&self) -> impl Future<Output = i64> + Send {
        self.count("SELECT count(*) FROM payments")
    }
}

type Connection<D> = <<D as TestDatabase>::Kind as Database>::Connection;

pub(crate) struct OnPostgres(Pool<Postgres>);

impl TestDatabase for OnPostgres {
    type Kind = Postgres;

    const EXPIRED: &str = "now() - interval '1 minute'";

    fn age(time: Duration) -> String {
        format!("UPDATE hookwarden_deliveries SET expires_at = expires_at - interval '{} s'", time.as_secs())
    }

    fn bytes(number: u32) -> String {
        format!("'\\x{number:08x}'::bytea")
    }

    async fn open(options: PoolOptions<Postgres>) -> Self {
        Self(postgres_server::pool(options).await)
    }

    fn pool(&self) -> &Pool<Postgres> {
        &self.0
    }

    async fn begin(&self) -> Transaction<'static, Postgres> {
        self.0.begin().await.unwrap()
    }

    async fn run(connection: &mut Connection<Self>, sql: String) -> sqlx::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.pool()).await.unwrap()
    }
}

pub(crate) struct OnSqlite {
    pool: Pool<Sqlite>,
    _directory: Directory,
}

impl TestDatabase for OnSqlite {
    type Kind = Sqlite;

    const EXPIRED: &str = "1";

    fn age(time: Duration) -> String {
        format!("UPDATE hookwarden_deliveries SET expires_at = expires_at - {}", time.as_micros())
    }

    fn bytes(number: u32) -> String {
        format!("x'{number:08x}'")
    }

    async fn open(options: PoolOptions<Sqlite>) -> Self {
        let directory = Directory::new();
        let file = SqliteConnectOptions::new().filename(directory.file("database")).create_if_missing(true);
        let file = file.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(30));
        Self { pool: options.connect_with(file).await.unwrap(), _directory: directory }
    }

    fn pool(&self) -> &Pool<Sqlite> {
        &self.pool
    }

    async fn begin(&self) -> Transaction<'static, Sqlite> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.unwrap()
    }

    async fn run(connection: &mut Connection<Self>, sql: String) -> sqlx::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.pool()).await.unwrap()
    }
}

/// A directory that is removed on drop.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hookwarden-sqlite-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

//! A claim and its commit against two bare statements that write rows of the same size, on one pool and in the same run,
//! and claims in a table of a million deliveries against claims in an empty one:
//! `cargo bench -p hookwarden-sqlx --all-features --bench claims`.
//!
//! Starts its own PostgreSQL. The exit code is not zero if a claim and a commit reach less than 0.7 of the bare rate, or
//! if a claim in the full table takes more than 1.5 times as long.

#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic ends the measurement")]

#[path = "../tests/sqlx/databases.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod databases;
#[path = "../tests/sqlx/postgres_server.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod postgres_server;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hookwarden::Timestamp;
use hookwarden::clock::{Clock as _, SystemClock};
use hookwarden::replay::{Claim, Claimant, Delivery, ReplayStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden_sqlx::{PgStore, SqliteStore, SqlxStore, SupportedDatabase};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut holds = runtime.block_on(on_sqlite());
    if postgres_server::is_installed() {
        holds &= runtime.block_on(on_postgres());
    } else {
        println!("PostgreSQL was not measured: install it, or add initdb and postgres to PATH");
        holds &= std::env::var_os("HOOKWARDEN_REQUIRE_POSTGRES").is_none_or(|value| value != "1");
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn on_postgres() -> bool {
    let server = postgres_server::Server::with(&[]);
    let mut holds = true;
    for (name, synchronous) in [("PostgreSQL", "on"), ("PostgreSQL, synchronous_commit=off", "off")] {
        let options = server.options().options([("synchronous_commit", synchronous)]);
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let store = PgStore::builder(pool.clone()).timeout(LONG).build().unwrap();
        store.migrate().await.unwrap();
        sqlx::raw_sql(
            "DROP TABLE IF EXISTS bare; TRUNCATE hookwarden_deliveries;
             CREATE TABLE bare (LIKE hookwarden_deliveries INCLUDING ALL)",
        )
        .execute(&pool)
        .await
        .unwrap();
        let bare = async |number| pair_on_postgres(&pool, number).await;
        // Only the durable one is a promise: without a disk, the time is that of the processor.
        holds &= rates(name, &store, bare, synchronous == "on").await;
        if synchronous == "on" {
            let full = PgStore::builder(pool.clone()).table("full_deliveries").timeout(LONG).build().unwrap();
            full.migrate().await.unwrap();
            let fill = "INSERT INTO full_deliveries \
                 SELECT decode(md5(n::text), 'hex'), 'acme', NULL, now() + interval '1 day' + n * interval '1 ms' \
                 FROM generate_series(1, 1000000) n";
            for sql in [fill, "VACUUM ANALYZE full_deliveries", "TRUNCATE hookwarden_deliveries", "CHECKPOINT"] {
                sqlx::raw_sql(sql).execute(&pool).await.unwrap();
            }
            holds &= sizes(name, &store, &full).await;
        }
    }
    holds
}

async fn on_sqlite() -> bool {
    let directory = databases::Directory::new();
    let options = SqliteConnectOptions::new().filename(directory.file("bench")).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = SqliteStore::builder(pool.clone()).timeout(LONG).build().unwrap();
    store.migrate().await.unwrap();
    let bare = "CREATE TABLE bare (key BLOB NOT NULL PRIMARY KEY, webhook_id TEXT NOT NULL, claimant BLOB, \
         expires_at INTEGER NOT NULL) WITHOUT ROWID; CREATE INDEX bare_expires_at ON bare (expires_at)";
    sqlx::raw_sql(bare).execute(&pool).await.unwrap();
    let holds = rates("SQLite", &store, async |number| pair_on_sqlite(&pool, number).await, true).await;
    let full = SqliteStore::builder(pool.clone()).table("full_deliveries").timeout(LONG).build().unwrap();
    full.migrate().await.unwrap();
    let fill = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000000) \
         INSERT INTO full_deliveries SELECT randomblob(16), 'acme', NULL, 9000000000000000 + n FROM n";
    for sql in [fill, "DELETE FROM hookwarden_deliveries", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    }
    sizes("SQLite", &store, &full).await && holds
}

/// Inserts a row and changes it, in two statements.
async fn pair_on_postgres(pool: &PgPool, number: u128) {
    let key = key(number);
    let insert = "INSERT INTO bare VALUES ($1, 'acme', $2, clock_timestamp() + interval '60 s')";
    sqlx::query(insert).bind(key).bind([7_u8; 16]).execute(pool).await.unwrap();
    let update = "UPDATE bare SET claimant = NULL, expires_at = clock_timestamp() + interval '600 s' WHERE key = $1";
    sqlx::query(update).bind(key).execute(pool).await.unwrap();
}

async fn pair_on_sqlite(pool: &SqlitePool, number: u128) {
    let key = key(number);
    let insert = "INSERT INTO bare VALUES (?, 'acme', ?, ?)";
    let insert = sqlx::query(insert).bind(key.as_slice()).bind([7_u8; 16].as_slice()).bind(1_800_000_000_000_000_i64);
    insert.execute(pool).await.unwrap();
    let update = "UPDATE bare SET claimant = NULL, expires_at = ? WHERE key = ?";
    sqlx::query(update).bind(1_800_000_600_000_000_i64).bind(key.as_slice()).execute(pool).await.unwrap();
}

/// Compares median times in turns, so that other load on the machine affects both. Returns whether the promise holds.
async fn rates<DB: SupportedDatabase>(
    name: &str,
    store: &SqlxStore<DB>,
    bare: impl AsyncFn(u128),
    is_promised: bool,
) -> bool {
    let (mut bares, mut claims) = (Vec::new(), Vec::new());
    for number in 0..CALLS + WARM_UP {
        let began = Instant::now();
        bare(number).await;
        let bare_time = began.elapsed();
        claim_and_commit(store, number).await;
        if number >= WARM_UP {
            bares.push(bare_time.as_secs_f64());
            claims.push((began.elapsed() - bare_time).as_secs_f64());
        }
    }
    let (bare_time, claim_time) = (median(&mut bares), median(&mut claims));
    let ratio = bare_time / claim_time;
    let least = if is_promised { format!(" (at least {LEAST_RATIO})") } else { String::new() };
    println!(
        "{name}: two bare statements {:.0} µs, claim and commit {:.0} µs, ratio {ratio:.2}{least}",
        bare_time * 1e6,
        claim_time * 1e6,
    );
    ratio >= LEAST_RATIO || !is_promised
}

/// Compares the median times of claims in an empty and in a full table, in turns. Returns whether the promise holds.
async fn sizes<DB: SupportedDatabase>(name: &str, empty: &SqlxStore<DB>, full: &SqlxStore<DB>) -> bool {
    let (mut in_empty, mut in_full) = (Vec::new(), Vec::new());
    for number in 0..CALLS + WARM_UP {
        for (store, times) in [(empty, &mut in_empty), (full, &mut in_full)] {
            let began = Instant::now();
            claim(store, 1 << 64 | number).await;
            if number >= WARM_UP {
                times.push(began.elapsed().as_secs_f64());
            }
        }
    }
    let (in_empty, in_full) = (median(&mut in_empty), median(&mut in_full));
    let ratio = in_full / in_empty;
    println!(
        "{name}: a claim in an empty table {:.0} µs, in one of 1,000,000 deliveries {:.0} µs, ratio {ratio:.2} (at most \
         {MOST_RATIO})",
        in_empty * 1e6,
        in_full * 1e6,
    );
    ratio <= MOST_RATIO
}

async fn claim_and_commit<DB: SupportedDatabase>(store: &SqlxStore<DB>, number: u128) {
    claim(store, number).await;
    let (keys, now) = ([ReplayKey::from_bytes(key(number))], SystemClock::default().now());
    let delivery = delivery(&keys, now.wall);
    assert!(store.commit(delivery, Claimant::new(number), now).await.unwrap());
}

async fn claim<DB: SupportedDatabase>(store: &SqlxStore<DB>, number: u128) {
    let (keys, now) = ([ReplayKey::from_bytes(key(number))], SystemClock::default().now());
    let claim = store.claim(delivery(&keys, now.wall), Claimant::new(number), Duration::from_secs(60), now).await;
    assert_eq!(claim.unwrap(), Claim::Granted);
}

fn delivery(keys: &[ReplayKey], now: Timestamp) -> Delivery<'_> {
    Delivery { webhook_id: "acme", keys, until: Timestamp::from_unix(now.as_unix() + 600), id: None }
}

/// Spreads numbers over the whole index, as hashes are.
const fn key(number: u128) -> [u8; 16] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap()
}

const CALLS: u128 = 1_000;
const WARM_UP: u128 = 100;
const LEAST_RATIO: f64 = 0.7;
const MOST_RATIO: f64 = 1.5;
const LONG: Duration = Duration::from_secs(30);

//! What PostgreSQL executes: statements, plans and removed rows.

use std::time::Duration;

use hookwarden::clock::{Clock as _, ClockReading, SystemClock};
use hookwarden::replay::{Claimant, Delivery, DeliveryId, ReplayStore as _};
use hookwarden::shared_store::{AdmitOutcome, SharedStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::{Quota, Scheme, Timestamp, Warden};
use hookwarden_sqlx::PgStore;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::time::{Instant, sleep};

use crate::commits::admitted;
use crate::databases::TestDatabase;
use crate::harness::sender::{ID, Post, SECRET, keyring};
use crate::postgres_server::Server;

pub(crate) async fn every_statement_reads_by_an_index() {
    let server = Server::start();
    let pool = logged_pool(&server).await;
    let store = PgStore::builder(pool.clone()).timeout(LONG).build().unwrap();
    store.migrate().await.unwrap();
    // Plans of tables with few rows, for which reading the whole table is the cheapest. They are used further when the
    // tables have grown.
    exercise(&pool, &store, 0).await;
    sqlx::raw_sql("ANALYZE hookwarden_deliveries; ANALYZE hookwarden_deliveries_quotas").execute(&pool).await.unwrap();
    exercise(&pool, &store, 1).await;
    fill(&pool).await;
    let before = server.log().len();
    exercise(&pool, &store, 2).await;
    let log = server.log().split_off(before);
    let plans: Vec<&str> =
        log.lines().map(str::trim).filter(|line| line.contains(" on hookwarden_deliveries")).collect();
    let reads = |plan: &&&str| plan.contains("Scan") && !plan.contains("Function Scan");
    assert!(plans.iter().filter(reads).count() >= 8, "{log}");
    let by_index = |plan: &&str| {
        plan.contains("using hookwarden_deliveries_pkey on hookwarden_deliveries ")
            || plan.contains("using hookwarden_deliveries_expires_at on hookwarden_deliveries ")
            || plan.contains("using hookwarden_deliveries_quotas_pkey on hookwarden_deliveries_quotas ")
            || plan.contains("using hookwarden_deliveries_quotas_full_at on hookwarden_deliveries_quotas ")
            || plan.contains("Bitmap Heap Scan on hookwarden_deliveries")
            || plan.contains("Bitmap Index Scan on hookwarden_deliveries_pkey ")
    };
    for plan in plans.iter().filter(reads) {
        assert!(by_index(plan), "{plan}");
        println!("{plan}");
    }
}

pub(crate) async fn claim_and_quota_are_one_statement() {
    let server = Server::start();
    let pool = logged_pool(&server).await;
    let store = PgStore::builder(pool.clone()).timeout(LONG).build().unwrap();
    store.migrate().await.unwrap();
    exercise(&pool, &store, 0).await;
    let quota = Quota::per_minute(1_000).unwrap();
    let now = SystemClock::default().now();
    let keys = [ReplayKey::from_bytes([9; 16]), ReplayKey::from_bytes([8; 16])];
    let before = server.log().len();
    let outcome = store.admit(delivery(&keys, now), Claimant::new(9), LONG, Some(&quota), now).await.unwrap();
    assert!(matches!(outcome, AdmitOutcome::Granted(Some(_))), "{outcome:?}");
    let log = server.log().split_off(before);
    let executed: Vec<&str> =
        log.lines().filter(|line| line.contains("execute ") || line.contains("statement: ")).collect();
    assert!(matches!(executed[..], [one] if one.contains("_admit")), "{executed:#?}");
}

/// Returns a pool of one connection, whose statements and plans the server logs.
async fn logged_pool(server: &Server) -> PgPool {
    let options = server.options().options([
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_nested_statements", "on"),
        ("log_statement", "all"),
    ]);
    PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap()
}

/// Makes every call of the store often enough that PostgreSQL reuses its plans.
async fn exercise(pool: &PgPool, store: &PgStore, round: u8) {
    let quota = Quota::per_minute(1_000).unwrap();
    let now = SystemClock::default().now();
    let scheme = Scheme::timestamped();
    let warden = Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, SECRET)).shared_store(store.clone());
    let warden = warden.build().unwrap();
    for number in 0..8 {
        let (keys, by) = ([ReplayKey::from_bytes([number << 4 | round; 16])], Claimant::new(1));
        let claimed = delivery(&keys, now);
        store.admit(claimed, by, LONG, Some(&quota), now).await.unwrap();
        store.admit(claimed, Claimant::new(2), LONG, Some(&quota), now).await.unwrap();
        store.release(claimed, by, now).await.unwrap();
        let id = DeliveryId { key: ReplayKey::of_delivery_id(&format!("{round} {number}")), until: claimed.until };
        store.commit(Delivery { id: Some(id), ..claimed }, by, now).await.unwrap();
        store.forget("acme", id.key, now).await.unwrap();
        store.sweep().await.unwrap();
        let admitted = admitted(&warden, &Post::signed(format!("{round} {number}"))).await;
        let mut transaction = pool.begin().await.unwrap();
        store.commit_in(&mut transaction, admitted.delivery()).await.unwrap();
        transaction.commit().await.unwrap();
        admitted.commit_async().await.unwrap();
    }
}

/// Adds many rows, most of which have expired, without new statistics.
async fn fill(pool: &PgPool) {
    let rows = "SELECT decode(md5(n::text), 'hex'), 'acme', clock_timestamp() + (n - 19000) * interval '1 minute'
                FROM generate_series(1, 20000) n";
    for (table, columns) in [
        ("hookwarden_deliveries", "key, webhook_id, expires_at"),
        ("hookwarden_deliveries_quotas", "key, webhook_id, full_at"),
    ] {
        let sql = format!("INSERT INTO {table} ({columns}) {rows}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(pool).await.unwrap();
    }
}

pub(crate) async fn sweep_removes_expired_rows_in_batches<D: TestDatabase>() {
    let database = D::open(PoolOptions::new()).await;
    let store = database.store().await;
    let now = SystemClock::default().now();
    let live = [ReplayKey::from_bytes([1; 16])];
    assert!(store.commit(delivery(&live, now), Claimant::new(1), now).await.unwrap());
    insert_expired::<D>(&database, 1_200).await;
    for removed in [500, 500, 200, 0] {
        assert_eq!(store.sweep().await.unwrap(), removed);
    }
    assert_eq!(database.count("SELECT count(*) FROM hookwarden_deliveries").await, 1, "the one that has not expired");
}

pub(crate) async fn claims_remove_expired_rows_in_the_background<D: TestDatabase>() {
    let database = D::open(PoolOptions::new()).await;
    let store = database.store().await;
    insert_expired::<D>(&database, 1_200).await;
    let now = SystemClock::default().now();
    let began = Instant::now();
    for number in 0.. {
        let keys = [ReplayKey::from_bytes([number; 16])];
        store.claim(delivery(&keys, now), Claimant::new(1), LONG, now).await.unwrap();
        if database.count("SELECT count(*) FROM hookwarden_deliveries WHERE webhook_id = 'old'").await == 0 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "expired rows are left");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn insert_expired<D: TestDatabase>(database: &D, count: u32) {
    let expired = D::EXPIRED;
    let rows: Vec<String> = (0..count).map(|n| format!("({}, 'old', {expired})", D::bytes(n))).collect();
    let sql = format!("INSERT INTO hookwarden_deliveries (key, webhook_id, expires_at) VALUES {}", rows.join(", "));
    let mut transaction = database.begin().await;
    D::run(&mut transaction, sql).await.unwrap();
    transaction.commit().await.unwrap();
}

fn delivery(keys: &[ReplayKey], now: ClockReading) -> Delivery<'_> {
    Delivery { webhook_id: "acme", keys, until: Timestamp::from_unix(now.wall.as_unix() + 600), id: None }
}

const LONG: Duration = Duration::from_secs(30);

//! PostgreSQL while it is stopped, hangs, cuts connections or aborts transactions.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::post;
use axum::{Extension, Router};
use hookwarden::axum::WardenLayer;
use hookwarden::clock::{Clock as _, ClockReading, SystemClock};
use hookwarden::replay::{Claim, Claimant, Delivery, DeliveryId, ReplayStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::warden::{Quotas, VerifiedDelivery};
use hookwarden::{Quota, Scheme, Timestamp, Warden};
use hookwarden_sqlx::{PgStore, SqlxStore};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::databases::{OnPostgres, TestDatabase};
use crate::harness::sender::{ID, Post, SECRET, keyring};
use crate::postgres_server::Server;

/// A receiver in this process, which answers 503 if it cannot pay.
#[derive(Clone)]
struct Site {
    pool: PgPool,
    store: PgStore,
    work: Work,
}

/// What a handler does before it pays.
#[derive(Debug, Clone, Copy)]
enum Work {
    Nothing,
    /// Locks two rows, of which others lock the second one first.
    LockTwoRows,
    /// Reads a row and writes what it has read plus one.
    Increment,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Site {
    async fn open(options: PgConnectOptions, work: Work) -> Self {
        let pool = PgPoolOptions::new().max_connections(20).acquire_timeout(Duration::from_secs(2));
        let pool = pool.connect_with(options).await.unwrap();
        let store = PgStore::builder(pool.clone()).timeout(STORE_TIMEOUT).build().unwrap();
        store.migrate().await.unwrap();
        let tables = "CREATE TABLE payments (event_id bigint); CREATE TABLE accounts (id bigint PRIMARY KEY, n bigint);
            INSERT INTO accounts VALUES (0, 0), (1, 0)";
        sqlx::raw_sql(tables).execute(&pool).await.unwrap();
        Self { pool, store, work }
    }

    fn app(&self) -> Router {
        let scheme = Scheme::timestamped();
        let quotas = Quotas::new().accepted(Quota::per_minute(60_000).unwrap());
        let warden = Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, SECRET)).quotas(quotas);
        let warden = warden.shared_store(self.store.clone()).build().unwrap();
        Router::new().route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden))).with_state(self.clone())
    }

    async fn pay(&self, number: i64, delivery: &VerifiedDelivery) -> Result<(), Failed> {
        let mut transaction = self.pool.begin().await?;
        match self.work {
            Work::Nothing => {}
            Work::LockTwoRows => {
                for id in [number % 2, 1 - number % 2] {
                    let update = sqlx::query("UPDATE accounts SET n = n + 1 WHERE id = $1").bind(id);
                    update.execute(&mut *transaction).await?;
                    sleep(Duration::from_millis(20)).await;
                }
            }
            Work::Increment => {
                let read = sqlx::query_scalar("SELECT n FROM accounts WHERE id = 0");
                let before: i64 = read.fetch_one(&mut *transaction).await?;
                sleep(Duration::from_millis(20)).await;
                let update = sqlx::query("UPDATE accounts SET n = $1 WHERE id = 0").bind(before + 1);
                update.execute(&mut *transaction).await?;
            }
        }
        let insert = sqlx::query("INSERT INTO payments (event_id) VALUES ($1)").bind(number);
        insert.execute(&mut *transaction).await?;
        self.store.commit_in(&mut transaction, delivery).await?;
        Ok(transaction.commit().await?)
    }

    /// Asserts that each delivery was paid once, and no other.
    async fn assert_paid_once(&self, deliveries: i64) {
        let count = "SELECT event_id, count(*) FROM payments GROUP BY event_id";
        let rows: Vec<(i64, i64)> = sqlx::query_as(count).fetch_all(&self.pool).await.unwrap();
        let paid: HashMap<i64, i64> = rows.into_iter().collect();
        for number in 0..deliveries {
            assert_eq!(paid.get(&number), Some(&1), "delivery {number}");
        }
        assert_eq!(paid.len(), usize::try_from(deliveries).unwrap());
    }
}

async fn handle(State(site): State<Site>, delivery: Extension<VerifiedDelivery>, body: String) -> Response<Body> {
    match timeout(HANDLER_TIMEOUT, site.pay(body.parse().unwrap(), &delivery)).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response(),
    }
}

/// Senders that repeat each delivery until it is answered 200.
#[derive(Clone, Default)]
struct Load {
    next: Arc<AtomicI64>,
    stopped: Arc<AtomicBool>,
    unavailable: Arc<AtomicUsize>,
}

impl Load {
    async fn run(self, app: Router) {
        while !self.stopped.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let delivery = Post::signed(number.to_string());
            while !self.is_paid(&app, &delivery).await {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Sends a delivery once. Its answer is either 200, or one with `Retry-After`, and arrives in time.
    async fn is_paid(&self, app: &Router, delivery: &Post) -> bool {
        let began = Instant::now();
        let answer = app.clone().oneshot(delivery.clone().into_request()).await.unwrap();
        assert!(began.elapsed() < LONGEST_ANSWER, "{} after {:?}", answer.status(), began.elapsed());
        if answer.status() == StatusCode::OK {
            return true;
        }
        let retry_after: u64 = answer.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!(matches!(answer.status().as_u16(), 409 | 503), "{answer:?}");
        assert!((1..=60).contains(&retry_after), "{answer:?}");
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
        }
        false
    }

    /// Asserts that a new delivery is paid soon.
    async fn recovers(&self, app: &Router, after: &str) {
        let began = Instant::now();
        let delivery = Post::signed(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        while !self.is_paid(app, &delivery).await {
            assert!(began.elapsed() < RECOVERY, "no service {:?} after {after}", began.elapsed());
            sleep(Duration::from_millis(10)).await;
        }
        println!("service {:?} after {after}", began.elapsed());
    }
}

pub(crate) async fn faults_under_load_lose_and_double_nothing() {
    let mut server = Server::start();
    let site = Site::open(server.options(), Work::Nothing).await;
    let (app, load) = (site.app(), Load::default());
    let mut senders = JoinSet::new();
    for _ in 0..6 {
        senders.spawn(load.clone().run(app.clone()));
    }
    for _ in 0..2 {
        sleep(Duration::from_millis(500)).await;
        server.stop("INT");
        sleep(Duration::from_millis(500)).await;
        server.run();
        load.recovers(&app, "a restart").await;
        sleep(Duration::from_millis(500)).await;
        server.stop("QUIT");
        sleep(Duration::from_millis(500)).await;
        server.run();
        load.recovers(&app, "a crash").await;
        sleep(Duration::from_millis(500)).await;
        server.freeze();
        sleep(Duration::from_millis(1_500)).await;
        server.thaw();
        load.recovers(&app, "a hang").await;
        sleep(Duration::from_millis(500)).await;
        for _ in 0..5 {
            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
            // The pool's own connection may be among those that are cut.
            let _ = sqlx::query(others).execute(&site.pool).await;
            sleep(Duration::from_millis(50)).await;
        }
        load.recovers(&app, "cut connections").await;
    }
    load.stopped.store(true, Ordering::Relaxed);
    // Long before a lease ends: what was interrupted has been released.
    timeout(Duration::from_secs(10), senders.join_all()).await.expect("every delivery is paid in the end");
    let (count, unavailable) = (load.next.load(Ordering::Relaxed), load.unavailable.load(Ordering::Relaxed));
    println!("{count} deliveries, {unavailable} answers 503");
    assert!(unavailable > 0);
    site.assert_paid_once(count).await;
}

pub(crate) async fn deadlocked_handlers_are_retried() {
    let server = Server::start();
    let site = Site::open(server.options(), Work::LockTwoRows).await;
    assert_conflicts_are_retried(&site).await;
    let sum: i64 = sqlx::query_scalar("SELECT sum(n)::bigint FROM accounts").fetch_one(&site.pool).await.unwrap();
    assert_eq!(sum, 2 * CONFLICTING);
}

pub(crate) async fn serialization_failures_are_retried() {
    let server = Server::start();
    let options = server.options().options([("default_transaction_isolation", "serializable")]);
    let site = Site::open(options, Work::Increment).await;
    assert_conflicts_are_retried(&site).await;
    let n: i64 = sqlx::query_scalar("SELECT n FROM accounts WHERE id = 0").fetch_one(&site.pool).await.unwrap();
    assert_eq!(n, CONFLICTING);
}

/// Sends deliveries whose handlers make each other fail, and asserts that each is paid once.
async fn assert_conflicts_are_retried(site: &Site) {
    let (app, load) = (site.app(), Load::default());
    let mut senders = JoinSet::new();
    for number in 0..CONFLICTING {
        let (app, load) = (app.clone(), load.clone());
        senders.spawn(async move {
            let delivery = Post::signed(number.to_string());
            while !load.is_paid(&app, &delivery).await {
                sleep(Duration::from_millis(5)).await;
            }
        });
    }
    timeout(Duration::from_secs(60), senders.join_all()).await.expect("every delivery is paid in the end");
    let unavailable = load.unavailable.load(Ordering::Relaxed);
    println!("{CONFLICTING} deliveries, {unavailable} answers 503");
    assert!(unavailable > 0, "no conflict");
    site.assert_paid_once(CONFLICTING).await;
}

pub(crate) async fn claim_that_timed_out_is_not_made_later() {
    let server = Server::start();
    // The pool must not find out first that the server hangs.
    let pool = PgPoolOptions::new().test_before_acquire(false).connect_with(server.options()).await.unwrap();
    let store = PgStore::builder(pool).timeout(STORE_TIMEOUT).build().unwrap();
    store.migrate().await.unwrap();
    let now = SystemClock::default().now();
    let (known, keys) = ([ReplayKey::from_bytes([1; 16])], [ReplayKey::from_bytes([2; 16])]);
    // The store learns the server's time.
    assert_eq!(store.claim(delivery(&known, now), Claimant::new(1), LEASE, now).await, Ok(Claim::Granted));
    server.freeze();
    let began = Instant::now();
    let error = store.claim(delivery(&keys, now), Claimant::new(2), LEASE, now).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the database did not answer within {STORE_TIMEOUT:?}"));
    assert!(began.elapsed() < STORE_TIMEOUT * 2, "{:?}", began.elapsed());
    // Once it is known that the database is away, requests do not wait for it.
    let is_away = async || store.claim(delivery(&keys, now), Claimant::new(3), LEASE, now).await.unwrap_err();
    while is_away().await.to_string() != "the database is away, the request was not sent" {
        assert!(began.elapsed() < STORE_TIMEOUT * 6, "it is not found out that the database is away");
    }
    let asked = Instant::now();
    is_away().await;
    assert!(asked.elapsed() < STORE_TIMEOUT / 2, "{:?}", asked.elapsed());
    server.thaw();
    let began = Instant::now();
    while store.claim(delivery(&keys, now), Claimant::new(4), LEASE, now).await != Ok(Claim::Granted) {
        assert!(began.elapsed() < RECOVERY, "another request holds the delivery");
        sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn release_behind_an_open_transaction_is_sent_later() {
    let database = OnPostgres::open(PoolOptions::new()).await;
    let store = database.store().await;
    let hasty = SqlxStore::<sqlx::Postgres>::builder(database.pool().clone()).timeout(STORE_TIMEOUT).build().unwrap();
    let now = SystemClock::default().now();
    let keys = [ReplayKey::from_bytes([1; 16])];
    let (delivery, by) = (delivery(&keys, now), Claimant::new(1));
    assert_eq!(store.claim(delivery, by, LEASE, now).await, Ok(Claim::Granted));
    let mut transaction = database.begin().await;
    let lock = "UPDATE hookwarden_deliveries SET webhook_id = 'locked'";
    OnPostgres::run(&mut transaction, lock.into()).await.unwrap();
    // Another request does not wait for the transaction.
    let began = Instant::now();
    assert!(matches!(hasty.claim(delivery, Claimant::new(2), LEASE, now).await, Ok(Claim::InProgress { .. })));
    assert!(began.elapsed() < STORE_TIMEOUT / 2, "{:?}", began.elapsed());
    hasty.release(delivery, by, now).await.unwrap_err();
    assert!(began.elapsed() < STORE_TIMEOUT * 2, "{:?}", began.elapsed());
    // The background task meets the lock too.
    sleep(STORE_TIMEOUT * 3).await;
    transaction.rollback().await.unwrap();
    let began = Instant::now();
    while hasty.claim(delivery, Claimant::new(3), LEASE, now).await != Ok(Claim::Granted) {
        assert!(began.elapsed() < RECOVERY, "the release is not sent");
        sleep(Duration::from_millis(10)).await;
    }
}

/// sqlx 0.9.0 gives a connection back to the pool with an open transaction if `begin` is dropped, as when a sender closes
/// its connection.
pub(crate) async fn call_ends_an_abandoned_transaction() {
    let database = OnPostgres::open(PoolOptions::new().max_connections(1)).await;
    let store = database.store().await;
    let others = PgPool::connect_with((*database.pool().connect_options()).clone()).await.unwrap();
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(database.pool()).await.unwrap();
    // What the connection does between its statements.
    let state = async || loop {
        let state = sqlx::query_scalar("SELECT state FROM pg_stat_activity WHERE pid = $1").bind(process);
        let state: String = state.fetch_one(&others).await.unwrap();
        if state != "active" {
            return state;
        }
    };
    let now = SystemClock::default().now();
    for (number, abandoned) in [(1, "BEGIN"), (2, "BEGIN; SELECT 1 / 0")] {
        let keys = [ReplayKey::from_bytes([number; 16])];
        let remembered = delivery(&keys, now);
        let id = DeliveryId { key: ReplayKey::from_bytes([number + 2; 16]), until: remembered.until };
        let (delivery, by) = (Delivery { id: Some(id), ..remembered }, Claimant::new(1));
        for call in ["claim", "release", "claim", "commit", "commit again", "forget", "sweep"] {
            // A sweep in the background after a claim may end it first.
            while state().await == "idle" {
                // It fails if a statement in it does.
                let _ = sqlx::raw_sql(abandoned).execute(database.pool()).await;
            }
            let is_done = match call {
                "claim" => store.claim(delivery, by, LEASE, now).await == Ok(Claim::Granted),
                "release" => store.release(delivery, by, now).await == Ok(true),
                "commit" => store.commit(delivery, by, now).await == Ok(true),
                "commit again" => store.commit(delivery, by, now).await == Ok(false),
                "forget" => store.forget(delivery.webhook_id, id.key, now).await == Ok(true),
                _ => store.sweep().await == Ok(0),
            };
            assert!(is_done, "{call} after {abandoned}");
            assert_eq!(state().await, "idle", "{call} after {abandoned}");
        }
    }
}

pub(crate) async fn migration_does_not_wait_for_handlers() {
    let database = OnPostgres::open(PoolOptions::new()).await;
    let store = database.store().await;
    let mut transaction = database.begin().await;
    for table in ["hookwarden_deliveries", "hookwarden_deliveries_quotas"] {
        let insert = format!("INSERT INTO {table} VALUES ('\\x01', 'sender'");
        let values = if table.ends_with("quotas") { ", now())" } else { ", NULL, now())" };
        OnPostgres::run(&mut transaction, insert + values).await.unwrap();
    }
    timeout(RECOVERY, store.migrate()).await.expect("it waits for the transaction").unwrap();
    transaction.rollback().await.unwrap();
    let indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = current_schema() AND indexname LIKE '%_at'";
    let count: i64 = sqlx::query_scalar(indexes).fetch_one(database.pool()).await.unwrap();
    assert_eq!(count, 2);
}

pub(crate) async fn missing_tables_are_named_in_the_error<D: TestDatabase>() {
    let database = D::open(PoolOptions::new()).await;
    let store = SqlxStore::builder(database.pool().clone()).build().unwrap();
    let now = SystemClock::default().now();
    let keys = [ReplayKey::from_bytes([1; 16])];
    let error = store.claim(delivery(&keys, now), Claimant::new(1), LEASE, now).await.unwrap_err();
    assert!(error.to_string().ends_with(": run the store's migrations first"), "{error}");
}

fn delivery(keys: &[ReplayKey], now: ClockReading) -> Delivery<'_> {
    Delivery { webhook_id: "acme", keys, until: Timestamp::from_unix(now.wall.as_unix() + 600), id: None }
}

const STORE_TIMEOUT: Duration = Duration::from_millis(500);
const HANDLER_TIMEOUT: Duration = Duration::from_secs(1);
/// A claim, a handler and a release, and some time for a busy machine.
const LONGEST_ANSWER: Duration = Duration::from_secs(3);
/// The documented time from the database's return until service is normal.
const RECOVERY: Duration = Duration::from_secs(2);
const LEASE: Duration = Duration::from_secs(60);
/// How many handlers conflict.
const CONFLICTING: i64 = 8;

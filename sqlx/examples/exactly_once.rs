//! A receiver of payments that handles each delivery exactly once: the payment and the commit of the delivery are in one
//! transaction of the application's database.
//!
//! ```sh
//! HOOKWARDEN_SECRETS="acme=whsec_$(openssl rand -base64 32)" \
//!   cargo run -p hookwarden-sqlx --all-features --example exactly_once
//! ```
//!
//! `POST /webhooks/{id}` with the body `{"id":"…","amount":N}` is answered 200 `{"paid":"…"}`.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `HOOKWARDEN_SECRETS` | `ID=SECRET,ID2=SECRET2`; a repeated id adds an older secret | none: exit code 2 |
//! | `HOOKWARDEN_SCHEME` | `standard_webhooks` or `timestamped` | `standard_webhooks` |
//! | `HOOKWARDEN_ADDR` | the address to listen on; port 0 selects a free one | `127.0.0.1:3000` |
//! | `HOOKWARDEN_DATABASE_URL` | `postgres://…` or `sqlite:FILE` | a file in the temporary folder |
//! | `HOOKWARDEN_WORK_MS` | how long each payment takes, in milliseconds | 0 |
//! | `HOOKWARDEN_LEASE` | how long a claim lasts if its process dies, in seconds | 60 |
//! | `HOOKWARDEN_QUOTA` | accepted requests a minute for each webhook id | 60000 |

use std::collections::BTreeMap;
use std::env::{self, VarError};
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{Json, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::post};
use hookwarden::axum::{WardenLayer, Webhook};
use hookwarden::warden::{Quotas, Replay, VerifiedDelivery, WardenBuilder};
use hookwarden::{Key, Keyring, Quota, Scheme, Warden};
use hookwarden_sqlx::{PgStore, SqliteStore};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{PgPool, SqlitePool};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

#[derive(serde::Deserialize)]
struct Payment {
    id: String,
    amount: i64,
}

#[derive(Clone)]
struct Payments {
    database: Database,
    work: Duration,
}

#[derive(Clone)]
enum Database {
    Postgres(PgPool, PgStore),
    Sqlite(SqlitePool, SqliteStore),
}

async fn pay(State(payments): State<Payments>, webhook: Webhook<Json<Payment>>) -> Result<Json<Paid>, Unavailable> {
    let paying = payments.pay(&webhook.payload, webhook.delivery());
    // A database that does not answer must not hold the request for ever.
    timeout(payments.work.saturating_add(PATIENCE), paying).await??;
    Ok(Json(Paid { paid: webhook.payload.0.id }))
}

impl Payments {
    async fn pay(&self, payment: &Payment, delivery: &VerifiedDelivery) -> Result<(), Box<dyn Error + Send + Sync>> {
        match &self.database {
            Database::Postgres(pool, store) => {
                let mut transaction = pool.begin().await?;
                sqlx::query("INSERT INTO payments (event_id, amount) VALUES ($1, $2)")
                    .bind(&payment.id)
                    .bind(payment.amount)
                    .execute(&mut *transaction)
                    .await?;
                sleep(self.work).await;
                // If this fails, the transaction is dropped and rolls back.
                store.commit_in(&mut transaction, delivery).await?;
                transaction.commit().await?;
            }
            Database::Sqlite(pool, store) => {
                // A transaction that takes the lock later fails if another one has written meanwhile.
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                sqlx::query("INSERT INTO payments (event_id, amount) VALUES (?, ?)")
                    .bind(&payment.id)
                    .bind(payment.amount)
                    .execute(&mut *transaction)
                    .await?;
                sleep(self.work).await;
                store.commit_in(&mut transaction, delivery).await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }
}

#[derive(serde::Serialize)]
struct Paid {
    paid: String,
}

/// The payment was not made: the sender sends it again.
struct Unavailable;

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Unavailable {
    fn from(error: E) -> Self {
        eprintln!("exactly_once: {}", error.into());
        Self
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("exactly_once: {error}");
            ExitCode::from(2)
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let url = setting("HOOKWARDEN_DATABASE_URL")?
        .unwrap_or_else(|| format!("sqlite:{}", env::temp_dir().join("hookwarden-exactly-once.sqlite").display()));
    let work = Duration::from_millis(setting("HOOKWARDEN_WORK_MS")?.unwrap_or(0));
    let address: String = setting("HOOKWARDEN_ADDR")?.unwrap_or_else(|| "127.0.0.1:3000".into());
    let warden = warden()?;
    let (warden, database) =
        if url.starts_with("sqlite:") { sqlite(&url, warden).await? } else { postgres(&url, warden).await? };
    let app = Router::new()
        .route("/webhooks/{id}", post(pay).layer(WardenLayer::new(warden)))
        .with_state(Payments { database, work });
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}

async fn postgres(url: &str, warden: WardenBuilder) -> Result<(Warden, Database), Box<dyn Error>> {
    // After an outage the pool tries to connect in steps of up to a fifth of this time.
    let pool = PgPoolOptions::new().max_connections(20).acquire_timeout(Duration::from_secs(2)).connect(url).await?;
    let store = PgStore::builder(pool.clone()).build()?;
    store.migrate().await?;
    // `IF NOT EXISTS` fails if another process creates the table at the same time; then it exists.
    let created =
        sqlx::query("CREATE TABLE IF NOT EXISTS payments (event_id text, amount bigint)").execute(&pool).await;
    if created.is_err() {
        sqlx::query("SELECT event_id, amount FROM payments LIMIT 0").execute(&pool).await?;
    }
    Ok((warden.shared_store(store.clone()).build()?, Database::Postgres(pool, store)))
}

async fn sqlite(url: &str, warden: WardenBuilder) -> Result<(Warden, Database), Box<dyn Error>> {
    let options = SqliteConnectOptions::from_str(url)?.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(2)).connect_with(options).await?;
    let store = SqliteStore::builder(pool.clone()).build()?;
    store.migrate().await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS payments (event_id text, amount bigint)").execute(&pool).await?;
    Ok((warden.shared_store(store.clone()).build()?, Database::Sqlite(pool, store)))
}

/// Returns a Warden without its store.
fn warden() -> Result<WardenBuilder, Box<dyn Error>> {
    let mut replay = Replay::new();
    let scheme = match setting::<String>("HOOKWARDEN_SCHEME")?.as_deref() {
        // Its header `webhook-id` is signed, and the same when a sender signs a retry again.
        None | Some("standard_webhooks") => Scheme::standard_webhooks(),
        // The payment's id is in the body, which is signed.
        Some("timestamped") => {
            replay = replay.body_delivery_id();
            Scheme::timestamped().into_builder().delivery_id_in_body("/id").build()?
        }
        Some(_) => return Err("HOOKWARDEN_SCHEME: must be standard_webhooks or timestamped".into()),
    };
    if let Some(seconds) = setting("HOOKWARDEN_LEASE")? {
        replay = replay.lease(Duration::from_secs(seconds));
    }
    let quota = Quota::per_minute(setting("HOOKWARDEN_QUOTA")?.unwrap_or(60_000))?;
    let mut warden = Warden::builder(scheme.clone()).replay(replay).quotas(Quotas::new().accepted(quota));
    let secrets: Option<String> = setting("HOOKWARDEN_SECRETS")?;
    let secrets = secrets
        .filter(|secrets| !secrets.is_empty())
        .ok_or("HOOKWARDEN_SECRETS is not set; try HOOKWARDEN_SECRETS=\"acme=whsec_$(openssl rand -base64 32)\"")?;
    for (id, keys) in senders(&scheme, &secrets)? {
        warden = warden.sender(id, keys);
    }
    Ok(warden)
}

/// Reads `ID=SECRET,ID2=SECRET2`. Errors do not repeat any part of it.
fn senders(scheme: &Scheme, secrets: &str) -> Result<BTreeMap<String, Keyring>, Box<dyn Error>> {
    let mut senders: BTreeMap<&str, Vec<Key>> = BTreeMap::new();
    for entry in secrets.split(',') {
        let (id, secret) = entry.split_once('=').ok_or("HOOKWARDEN_SECRETS: must be ID=SECRET,ID2=SECRET2")?;
        let keys = senders.entry(id).or_default();
        keys.push(Key::new(&keys.len().to_string(), scheme.secret(secret)?)?);
    }
    senders.into_iter().map(|(id, keys)| Ok((id.to_owned(), Keyring::from_keys(keys)?))).collect()
}

fn setting<T: FromStr>(name: &'static str) -> Result<Option<T>, String> {
    match env::var(name) {
        // The text may be a secret, so no error repeats it.
        Ok(value) => value.parse().map(Some).map_err(|_| format!("{name}: must be a valid value")),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name}: must be UTF-8")),
    }
}

/// How long a payment may wait for the database.
const PATIENCE: Duration = Duration::from_secs(5);

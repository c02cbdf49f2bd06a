//! Receivers that are killed while they handle deliveries.
//!
//! `HOOKWARDEN_CRASH_DELIVERIES` sets the number of deliveries, 300 by default.

use std::collections::HashMap;
use std::env;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use hookwarden::axum::{WardenLayer, Webhook};
use hookwarden::warden::{Quotas, Replay};
use hookwarden::{Quota, Scheme, Signer, Warden};
use hookwarden_sqlx::PgStore;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::databases::Directory;
use crate::harness::program::{Running, command};
use crate::harness::sender::{ID, PATH, Post, keyring, now, signer};
use crate::postgres_server::Server;

pub(crate) async fn killed_receivers_on_postgres_pay_exactly_once() {
    let server = Server::start();
    let url = server.url();
    let fleet = Fleet::start(2, move || example(&url)).await;
    fleet.deliver().await;
    let pool = PgPool::connect_with(server.options()).await.unwrap();
    fleet.paid(sqlx::query_as(PAYMENTS).fetch_all(&pool).await.unwrap()).assert_exactly_once();
}

pub(crate) async fn killed_receiver_on_sqlite_pays_exactly_once() {
    let directory = Directory::new();
    let file = directory.file("payments");
    let url = format!("sqlite:{}", file.display());
    let fleet = Fleet::start(1, move || example(&url)).await;
    fleet.deliver().await;
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file)).await.unwrap();
    fleet.paid(sqlx::query_as(PAYMENTS).fetch_all(&pool).await.unwrap()).assert_exactly_once();
}

/// Shows that the test finds what a commit by status cannot prevent.
pub(crate) async fn killed_receivers_that_commit_by_status_pay_twice() {
    let server = Server::start();
    let url = server.url();
    let fleet = Fleet::start(2, move || {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(DATABASE_URL, &url).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    });
    let fleet = fleet.await;
    fleet.deliver().await;
    let pool = PgPool::connect_with(server.options()).await.unwrap();
    let paid = fleet.paid(sqlx::query_as(PAYMENTS).fetch_all(&pool).await.unwrap());
    assert!(paid.doubled > 0 || paid.lost > 0, "{paid:?}");
}

fn example(url: &str) -> Command {
    let secrets = format!("{ID}={SECRET}");
    let settings = [
        ("HOOKWARDEN_SECRETS", &*secrets),
        ("HOOKWARDEN_DATABASE_URL", url),
        ("HOOKWARDEN_LEASE", "1"),
        ("HOOKWARDEN_WORK_MS", "10"),
    ];
    let mut command = command("exactly_once", &settings);
    // Nothing reads it, and a full pipe would stop the receiver.
    command.stderr(Stdio::null());
    command
}

pub(crate) fn is_receiver() -> bool {
    env::var_os(DATABASE_URL).is_some()
}

/// Runs a receiver that pays in a transaction and commits the delivery by the status of its answer, until it is killed.
pub(crate) fn receive() -> ExitCode {
    #[derive(serde::Deserialize)]
    struct Payment {
        id: String,
    }
    let pay = |State(pool): State<PgPool>, webhook: Webhook<Json<Payment>>| async move {
        let insert = sqlx::query("INSERT INTO payments (event_id, amount) VALUES ($1, 1)");
        insert.bind(&webhook.payload.id).execute(&pool).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = PgPool::connect(&env::var(DATABASE_URL).unwrap()).await.unwrap();
        let store = PgStore::builder(pool.clone()).build().unwrap();
        store.migrate().await.unwrap();
        // Fails if the other receiver creates it at the same time.
        let _ = sqlx::query("CREATE TABLE IF NOT EXISTS payments (event_id text, amount bigint)").execute(&pool).await;
        let scheme = Scheme::standard_webhooks();
        let warden = Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, SECRET)).shared_store(store);
        let quotas = Quotas::new().accepted(Quota::per_minute(60_000).unwrap());
        let warden = warden.replay(Replay::new().lease(Duration::from_secs(1))).quotas(quotas).build().unwrap();
        let app = Router::new().route("/webhooks/{id}", post(pay).layer(WardenLayer::new(warden))).with_state(pool);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
    });
    ExitCode::SUCCESS
}

/// Receivers of which a random one is killed and started again all the time.
struct Fleet {
    receivers: Arc<Vec<Mutex<Option<Running>>>>,
    start: Arc<dyn Fn() -> Command + Send + Sync>,
    deliveries: usize,
}

impl Fleet {
    async fn start(count: usize, start: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        let deliveries = env::var("HOOKWARDEN_CRASH_DELIVERIES").map_or(300, |count| count.parse().unwrap());
        let fleet = Self {
            receivers: Arc::new((0..count).map(|_| Mutex::default()).collect()),
            start: Arc::new(start),
            deliveries,
        };
        for number in 0..count {
            fleet.restart(number).await;
        }
        fleet
    }

    /// Kills a receiver and starts it again.
    async fn restart(&self, number: usize) {
        let (receivers, start) = (Arc::clone(&self.receivers), Arc::clone(&self.start));
        let restarting = spawn_blocking(move || {
            drop(receivers[number].lock().unwrap().take());
            let running = Running::of("receiver", &mut start());
            *receivers[number].lock().unwrap() = Some(running);
        });
        restarting.await.unwrap();
    }

    /// Sends every delivery until it is answered 200, eight at a time, while receivers are killed.
    async fn deliver(&self) {
        let began = Instant::now();
        let (next, attempts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut senders = JoinSet::new();
        for _ in 0..8 {
            let (receivers, next, attempts) = (Arc::clone(&self.receivers), Arc::clone(&next), Arc::clone(&attempts));
            let deliveries = self.deliveries;
            senders.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= deliveries {
                        return;
                    }
                    attempts.fetch_add(send_until_paid(&receivers, number).await, Ordering::Relaxed);
                }
            });
        }
        let (mut kills, is_sent) = (0_u64, AtomicBool::new(false));
        let killing = async {
            while !is_sent.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(100 + random() % 301)).await;
                self.restart(usize::try_from(random()).unwrap() % self.receivers.len()).await;
                kills += 1;
            }
        };
        let sending = async {
            timeout(LONGEST, senders.join_all()).await.expect("every delivery is answered 200 in time");
            is_sent.store(true, Ordering::Relaxed);
        };
        tokio::join!(killing, sending);
        let (count, attempts, elapsed) = (self.deliveries, attempts.load(Ordering::Relaxed), began.elapsed());
        println!("{count} deliveries in {attempts} attempts, {kills} kills, {elapsed:?}");
    }

    fn paid(&self, rows: Vec<(String, i64)>) -> Paid {
        let counts: HashMap<String, i64> = rows.into_iter().collect();
        let count_of = |number: usize| counts.get(&event(number)).copied().unwrap_or_default();
        let paid = Paid {
            lost: (0..self.deliveries).filter(|number| count_of(*number) == 0).count(),
            doubled: (0..self.deliveries).filter(|number| count_of(*number) > 1).count(),
            strange: counts.len().saturating_sub(self.deliveries),
        };
        println!("{paid:?}");
        paid
    }
}

/// How many deliveries were paid how often.
#[derive(Debug, PartialEq, Eq)]
struct Paid {
    lost: usize,
    doubled: usize,
    strange: usize,
}

impl Paid {
    fn assert_exactly_once(&self) {
        assert_eq!(*self, Self { lost: 0, doubled: 0, strange: 0 });
    }
}

/// Sends a delivery to one receiver after the other. Every other retry is signed again. Returns the number of attempts.
async fn send_until_paid(receivers: &[Mutex<Option<Running>>], number: usize) -> usize {
    let signer = signer(Scheme::standard_webhooks(), SECRET);
    let mut post = signed(&signer, number, 0);
    for attempt in 1.. {
        let address =
            receivers[(number + attempt) % receivers.len()].lock().unwrap().as_ref().map(|running| running.address);
        if let Some(address) = address
            && let Ok(Ok(200)) = timeout(Duration::from_secs(5), exchange(address, &post)).await
        {
            return attempt;
        }
        if attempt % 2 == 0 {
            post = signed(&signer, number, attempt);
        }
        sleep(Duration::from_millis(20)).await;
    }
    unreachable!("it never stops")
}

/// Signs a delivery with another timestamp for each attempt.
fn signed(signer: &Signer, number: usize, attempt: usize) -> Post {
    let event = event(number);
    let body = format!(r#"{{"id":"{event}","amount":{number}}}"#);
    let age = i64::try_from(attempt % 100).unwrap();
    let own = [("webhook-id", &*event), ("content-type", "application/json")];
    Post::signed_by(signer, PATH, &own, body, now(-age))
}

/// Returns the status of the answer on a new connection.
async fn exchange(address: SocketAddr, post: &Post) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let mut request = post.head(&format!("Content-Length: {}\r\nConnection: close\r\n", post.body.len()));
    request.extend_from_slice(&post.body);
    stream.write_all(&request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    // The receiver was killed before it answered.
    status.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

fn event(number: usize) -> String {
    format!("evt_{number}")
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}

const PAYMENTS: &str = "SELECT event_id, count(*) FROM payments GROUP BY event_id";

/// The variable that makes this program a receiver.
const DATABASE_URL: &str = "HOOKWARDEN_TEST_RECEIVER_DATABASE_URL";

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// For all deliveries.
const LONGEST: Duration = Duration::from_secs(600);

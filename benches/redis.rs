//! The claim-and-quota call against a bare `EVALSHA` of a trivial script, over the same kind of connection and in the
//! same run: `cargo bench --features redis --bench redis`.
//!
//! Starts its own `redis-server` from `PATH` on a free loopback port, and another one that is a cluster of one shard. The
//! exit code is not zero if the call reaches less than 0.8 of the bare rate with one request in flight, or 0.4 with 64,
//! or if the cluster reaches less than 0.9 of the single server's rate.
//!
//! Then it measures what one shard of a cluster can do, for the capacity section of `docs/fleet.md` and for
//! `benches/capacity.py`: the server's time for an accepted delivery, and the memory of a remembered one. The exit code is
//! not zero if the server's time permits less than the rate of these, or if the memory differs by more than a tenth.

#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic ends the measurement")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hookwarden::clock::{Clock as _, SystemClock};
use hookwarden::redis::RedisStore;
use hookwarden::replay::{Claimant, Delivery, ReplayStore as _};
use hookwarden::shared_store::{AdmitOutcome, SharedStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::{Quota, Timestamp};
use redis::aio::ConnectionManager;
use tokio::task::JoinSet;

struct Server {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Server {
    fn start(settings: &[&str]) -> std::io::Result<Self> {
        let port = free_port();
        let directory = std::env::temp_dir().join(format!("hookwarden-bench-{port}"));
        std::fs::create_dir_all(&directory)?;
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(settings)
            .arg("--dir")
            .arg(&directory)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, port, directory })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Returns a free port whose port for the cluster's nodes, 10,000 higher, is free too.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port.checked_add(10_000).is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return port;
        }
    }
}

fn main() -> ExitCode {
    let servers = Server::start(&[]).and_then(|single| Ok((single, Server::start(&["--cluster-enabled", "yes"])?)));
    let Ok((single, cluster)) = servers else {
        println!("nothing was measured: install redis-server, or add it to PATH");
        return ExitCode::from(u8::from(
            std::env::var_os("HOOKWARDEN_REQUIRE_REDIS").is_some_and(|value| value == "1"),
        ));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let holds = runtime.block_on(async {
        let mut holds = measure(&single).await & compare(&single, &cluster).await;
        for connections in [1, 64] {
            holds &= capacity(&cluster, connections).await;
        }
        holds
    });
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn connect(server: &Server) -> ConnectionManager {
    let client = redis::Client::open(format!("redis://{}", server.address())).unwrap();
    let began = Instant::now();
    loop {
        match client.get_connection_manager().await {
            Ok(connection) => return connection,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
    }
}

async fn store(url: &str) -> RedisStore {
    RedisStore::builder(url).timeout(PATIENCE).connect().await.unwrap()
}

/// Compares the cluster of one shard with the single server. Returns whether its rate is high enough.
async fn compare(single: &Server, cluster: &Server) -> bool {
    let mut node = connect(cluster).await;
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTS").arg((0..16_384).collect::<Vec<_>>()).exec_async(&mut node).await.unwrap();
    let began = Instant::now();
    while !redis::cmd("CLUSTER").arg("INFO").query_async::<String>(&mut node).await.unwrap().contains("state:ok") {
        assert!(began.elapsed() < PATIENCE, "the cluster does not serve its slots");
    }
    let single = store(&format!("redis://{}", single.address())).await;
    let cluster = store(&format!("redis+cluster://{}", cluster.address())).await;
    let next = Arc::new(AtomicU64::new(u64::from(u32::MAX)));
    let mut holds = true;
    for in_flight in [1, 64] {
        let [single_rate, cluster_rate, ratio] =
            in_turns(in_flight, || admit(single.clone(), next.clone()), || admit(cluster.clone(), next.clone())).await;
        println!(
            "{in_flight:>2} in flight: claim and quota on a single server {single_rate:>6.0}/s, on a cluster's shard \
             {cluster_rate:>6.0}/s, ratio {ratio:.2} (at least {LEAST_ON_CLUSTER})"
        );
        holds &= ratio >= LEAST_ON_CLUSTER;
    }
    holds
}

async fn measure(server: &Server) -> bool {
    let mut bare = connect(server).await;
    let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg("return 1").query_async(&mut bare).await.unwrap();
    let store = store(&format!("redis://{}", server.address())).await;
    let next = Arc::new(AtomicU64::new(0));

    let mut holds = true;
    for (in_flight, least) in [(1, 0.8), (64, 0.4)] {
        let [bare_rate, call_rate, ratio] =
            in_turns(in_flight, || evaluate(bare.clone(), hash.clone()), || admit(store.clone(), next.clone())).await;
        println!(
            "{in_flight:>2} in flight: bare EVALSHA {bare_rate:>6.0}/s, claim and quota {call_rate:>6.0}/s, ratio {ratio:.2} \
             (at least {least})"
        );
        holds &= ratio >= least;
    }
    holds
}

/// Prints what accepted deliveries cost the node of a cluster: claim and quota, then a commit. 64 are in flight. Calls that
/// arrive together over one connection cost the server less. Returns whether the documented numbers hold.
async fn capacity(node: &Server, connections: u32) -> bool {
    let mut server = connect(node).await;
    let mut stores = Vec::new();
    for _ in 0..connections {
        stores.push(store(&format!("redis+cluster://{}", node.address())).await);
    }
    let _: () = redis::cmd("FLUSHALL").arg("SYNC").query_async(&mut server).await.unwrap();
    let before = Usage::of(&mut server).await;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, store) in (0..DELIVERIES).zip(stores.iter().cycle()) {
        if tasks.len() >= 64 {
            tasks.join_next().await.unwrap().unwrap();
        }
        tasks.spawn(accept(store.clone(), number));
    }
    tasks.join_all().await;
    let rate = f64::from(DELIVERIES) / began.elapsed().as_secs_f64();
    let after = Usage::of(&mut server).await;
    let micros = (after.seconds - before.seconds) * 1e6 / f64::from(DELIVERIES);
    let (most, bytes) = (1e6 / micros, (after.bytes - before.bytes) / f64::from(DELIVERIES));
    println!(
        "accepted deliveries over {connections} connections: {rate:.0}/s here, {micros:.1} us of the server's thread each, so \
         at most {most:.0}/s on a core (at least {SHARD_RATE}); {bytes:.0} bytes of each are remembered (about \
         {DELIVERY_BYTES})",
    );
    most >= SHARD_RATE && (bytes / DELIVERY_BYTES - 1.0).abs() <= 0.1
}

/// What the server has used.
struct Usage {
    /// The time of the thread that runs the commands.
    seconds: f64,
    bytes: f64,
}

impl Usage {
    async fn of(server: &mut ConnectionManager) -> Self {
        let mut info = String::new();
        for section in ["cpu", "memory"] {
            info += &redis::cmd("INFO").arg(section).query_async::<String>(server).await.unwrap();
        }
        let field = |name: &str| -> f64 {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("INFO has no {name}")).trim().parse().unwrap()
        };
        let seconds = field("used_cpu_user_main_thread") + field("used_cpu_sys_main_thread");
        Self { seconds, bytes: field("used_memory") }
    }
}

/// Measures two kinds of calls in turns, so that other load on the machine affects both. Returns the medians of both rates and
/// of the second divided by the first.
async fn in_turns<F, G>(in_flight: usize, first: impl Fn() -> F, second: impl Fn() -> G) -> [f64; 3]
where
    F: Future<Output = ()> + Send + 'static,
    G: Future<Output = ()> + Send + 'static,
{
    let mut turns = [Vec::new(), Vec::new(), Vec::new()];
    for turn in 0..=TURNS {
        let first_rate = rate(in_flight, &first).await;
        let second_rate = rate(in_flight, &second).await;
        // The first turn warms up.
        if turn > 0 {
            for (numbers, number) in turns.iter_mut().zip([first_rate, second_rate, second_rate / first_rate]) {
                numbers.push(number);
            }
        }
    }
    turns.map(|mut numbers| median(&mut numbers))
}

/// Returns the calls per second with `in_flight` calls at a time.
async fn rate<F: Future<Output = ()> + Send + 'static>(in_flight: usize, call: impl Fn() -> F) -> f64 {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    let mut done = 0_u32;
    while began.elapsed() < TURN {
        while tasks.len() < in_flight {
            tasks.spawn(call());
        }
        tasks.join_next().await.unwrap().unwrap();
        done += 1;
    }
    let rate = f64::from(done) / began.elapsed().as_secs_f64();
    tasks.join_all().await;
    rate
}

async fn evaluate(mut connection: ConnectionManager, hash: String) {
    let answer: i64 = redis::cmd("EVALSHA").arg(hash).arg(0).query_async(&mut connection).await.unwrap();
    assert_eq!(answer, 1);
}

async fn admit(store: RedisStore, next: Arc<AtomicU64>) {
    let number = u128::from(next.fetch_add(1, Ordering::Relaxed));
    let quota = Quota::new(1_000_000, Duration::from_micros(1)).unwrap();
    let keys = [ReplayKey::from_bytes(number.to_be_bytes())];
    let until = Timestamp::from_unix(Timestamp::now().as_unix() + 300);
    let delivery = Delivery { webhook_id: "acme", keys: &keys, until, id: None };
    let now = SystemClock::default().now();
    let outcome = store.admit(delivery, Claimant::new(number), Duration::from_secs(60), Some(&quota), now).await;
    assert!(matches!(outcome, Ok(AdmitOutcome::Granted(_))), "{outcome:?}");
}

/// Makes a delivery of one of 1,000 webhook ids, which is then remembered.
async fn accept(store: RedisStore, number: u32) {
    let quota = Quota::new(1_000_000, Duration::from_micros(1)).unwrap();
    let keys = [ReplayKey::from_bytes(u128::from(number).to_be_bytes())];
    let until = Timestamp::from_unix(Timestamp::now().as_unix() + 322);
    let webhook_id = format!("sender-{}", number % 1_000);
    let delivery = Delivery { webhook_id: &webhook_id, keys: &keys, until, id: None };
    let (claimant, now) = (Claimant::new(number.into()), SystemClock::default().now());
    let outcome = store.admit(delivery, claimant, Duration::from_secs(60), Some(&quota), now).await;
    assert!(matches!(outcome, Ok(AdmitOutcome::Granted(_))), "{outcome:?}");
    assert_eq!(store.commit(delivery, claimant, now).await, Ok(true));
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap()
}

/// The numbers of `benches/capacity.py`.
const SHARD_RATE: f64 = 20_000.0;
const DELIVERY_BYTES: f64 = 230.0;

/// The least rate on a cluster's shard, as a part of the rate on a single server.
const LEAST_ON_CLUSTER: f64 = 0.9;
const PATIENCE: Duration = Duration::from_secs(10);
const DELIVERIES: u32 = 100_000;
const TURNS: usize = 9;
const TURN: Duration = Duration::from_millis(400);

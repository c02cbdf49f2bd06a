//! The claim-and-quota call against a bare `EVALSHA` of a trivial script, over the same kind of connection and in the
//! same run: `cargo bench --features redis --bench redis`.
//!
//! Starts its own `redis-server` from `PATH` on a free loopback port. The exit code is not zero if the call reaches
//! less than 0.8 of the bare rate with one request in flight, or 0.4 with 64.
//!
//! Then it measures what one shard can do, for the capacity section of `docs/fleet.md` and for `benches/capacity.py`: the
//! server's time for an accepted delivery, and the memory of a remembered one.

#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic ends the measurement")]

use std::net::TcpListener;
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

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> ExitCode {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let Ok(child) = Command::new("redis-server").args(arguments).stdout(Stdio::null()).spawn() else {
        println!("nothing was measured: install redis-server, or add it to PATH");
        return ExitCode::from(u8::from(
            std::env::var_os("HOOKWARDEN_REQUIRE_REDIS").is_some_and(|value| value == "1"),
        ));
    };
    let _server = Server(child);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let holds = runtime.block_on(measure(&format!("redis://127.0.0.1:{port}/")));
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(url: &str) -> bool {
    let patience = Duration::from_secs(10);
    let client = redis::Client::open(url).unwrap();
    let began = Instant::now();
    let mut bare = loop {
        match client.get_connection_manager().await {
            Ok(connection) => break connection,
            Err(error) => assert!(began.elapsed() < patience, "{error}"),
        }
    };
    let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg("return 1").query_async(&mut bare).await.unwrap();
    let store = RedisStore::builder(url).timeout(patience).connect().await.unwrap();
    let next = Arc::new(AtomicU64::new(0));

    let mut holds = true;
    for (in_flight, least) in [(1, 0.8), (64, 0.4)] {
        // Measure in turns, so that other load on the machine affects both, and take the median of the turns.
        let mut ratios = Vec::new();
        let (mut bares, mut calls) = (Vec::new(), Vec::new());
        for turn in 0..=TURNS {
            let bare_rate = rate(in_flight, || evaluate(bare.clone(), hash.clone())).await;
            let call_rate = rate(in_flight, || admit(store.clone(), next.clone())).await;
            // The first turn warms up.
            if turn > 0 {
                ratios.push(call_rate / bare_rate);
                bares.push(bare_rate);
                calls.push(call_rate);
            }
        }
        let ratio = median(&mut ratios);
        println!(
            "{in_flight:>2} in flight: bare EVALSHA {:>6.0}/s, claim and quota {:>6.0}/s, ratio {ratio:.2} (at least \
             {least})",
            median(&mut bares),
            median(&mut calls),
        );
        holds &= ratio >= least;
    }
    for processes in [1, 64] {
        capacity(&mut bare, url, processes).await;
    }
    holds
}

/// Prints what accepted deliveries cost the server: claim and quota, then a commit. 64 are in flight, over one connection for
/// each process. Calls that arrive together over one connection cost the server less.
async fn capacity(server: &mut ConnectionManager, url: &str, processes: u32) {
    let mut stores = Vec::new();
    for _ in 0..processes {
        stores.push(RedisStore::builder(url).timeout(Duration::from_secs(10)).connect().await.unwrap());
    }
    let _: () = redis::cmd("FLUSHALL").arg("SYNC").query_async(server).await.unwrap();
    let before = Usage::of(server).await;
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
    let after = Usage::of(server).await;
    let micros = (after.seconds - before.seconds) * 1e6 / f64::from(DELIVERIES);
    println!(
        "accepted deliveries over {processes} connections: {rate:.0}/s here, {micros:.1} us of the server's thread each, so at most {:.0}/s on a core; \
         {:.0} bytes of each are remembered",
        1e6 / micros,
        (after.bytes - before.bytes) / f64::from(DELIVERIES),
    );
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

const DELIVERIES: u32 = 100_000;
const TURNS: usize = 9;
const TURN: Duration = Duration::from_millis(400);

//! Two receivers on one Redis under load during its outages.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::process::Receiver;
use super::receiver::{Framework, Settings};
use crate::harness::PATIENCE;
use crate::harness::client::Connection;
use crate::harness::redis_server::Server;
use crate::harness::sender::Post;

/// The store's timeout.
const TIMEOUT: Duration = Duration::from_millis(100);
const SENDERS: usize = 4;

/// The senders' state and observations.
struct Load {
    receivers: [Receiver; 2],
    running: AtomicBool,
    next: AtomicU64,
    slowest: Mutex<Duration>,
    /// How late this process's timers fire. The machine adds this delay to every measured time.
    lag: Mutex<Duration>,
    statuses: Mutex<HashMap<u16, u32>>,
}

impl Load {
    async fn send(&self, connection: &mut Connection, post: &Post) -> u16 {
        let began = Instant::now();
        let status = connection.exchange(&post.sized()).await.expect("an answer").status;
        raise(&self.slowest, began.elapsed());
        *self.statuses.lock().unwrap().entry(status).or_default() += 1;
        status
    }

    /// Sends each delivery to both receivers at once until both answer 200.
    async fn sender(self: Arc<Self>) {
        let [one, other] = &self.receivers;
        let (mut one, mut other) = (one.connect().await, other.connect().await);
        while self.running.load(Ordering::Relaxed) {
            let post = Post::signed(format!("delivery {}", self.next.fetch_add(1, Ordering::Relaxed)));
            let began = Instant::now();
            while tokio::join!(self.send(&mut one, &post), self.send(&mut other, &post)) != (200, 200) {
                assert!(began.elapsed() < PATIENCE, "{post:?} is not accepted");
                sleep(Duration::from_millis(20)).await;
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    async fn watch(self: Arc<Self>) {
        while self.running.load(Ordering::Relaxed) {
            let began = Instant::now();
            sleep(Duration::from_millis(5)).await;
            raise(&self.lag, began.elapsed().saturating_sub(Duration::from_millis(6)));
        }
    }

    /// Waits for `count` more answers of this status.
    async fn until(&self, status: u16, count: u32) {
        let answers = || self.statuses.lock().unwrap().get(&status).copied().unwrap_or_default();
        let (began, before) = (Instant::now(), answers());
        while answers() < before + count {
            assert!(began.elapsed() < PATIENCE, "{} answers of {status}", answers() - before);
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asserts that both serve again within two seconds, and that no answer since the last check took longer than the
    /// store's timeouts.
    async fn check(&self, what: &str) {
        let returned = Instant::now();
        for (number, receiver) in self.receivers.iter().enumerate() {
            let mut connection = receiver.connect().await;
            let post = Post::signed(format!("after: {what} {number}"));
            while self.send(&mut connection, &post).await != 200 {
                assert!(returned.elapsed() < Duration::from_secs(2), "{what}: no service after 2 s");
                sleep(Duration::from_millis(10)).await;
            }
        }
        let recovery = returned.elapsed();
        let slowest = std::mem::take(&mut *self.slowest.lock().unwrap());
        let lag = std::mem::take(&mut *self.lag.lock().unwrap());
        let statuses = std::mem::take(&mut *self.statuses.lock().unwrap());
        println!(
            "{what}: slowest answer {slowest:?}, timers up to {lag:?} late, service after {recovery:?}, {statuses:?}"
        );
        // A request makes one call before its handler and one after it.
        let bound = TIMEOUT * 2 + Duration::from_millis(50) + lag * 2;
        assert!(slowest <= bound, "{what}: an answer took {slowest:?}, more than {bound:?}");
    }

    /// Returns the deliveries that were handled more than once, and the number of handled ones.
    async fn doubled(&self) -> (Vec<String>, usize) {
        let [mut runs, other] = [self.receivers[0].ran().await, self.receivers[1].ran().await];
        for (run, count) in other {
            *runs.entry(run).or_default() += count;
        }
        let doubled = runs.iter().filter(|(_, count)| **count > 1).map(|(run, _)| run.clone()).collect();
        (doubled, runs.len())
    }
}

fn raise(longest: &Mutex<Duration>, time: Duration) {
    let mut longest = longest.lock().unwrap();
    *longest = time.max(*longest);
}

pub(crate) async fn redis_outages_duplicate_nothing_and_recovery_is_immediate() {
    let mut server = Server::durable();
    let start = async |framework| {
        let redis = Some((server.url(), TIMEOUT));
        Receiver::start(&Settings { redis, ..Settings::of(framework) }).await
    };
    let load = Arc::new(Load {
        receivers: [start(Framework::Axum).await, start(Framework::Actix).await],
        running: AtomicBool::new(true),
        next: AtomicU64::new(0),
        slowest: Mutex::default(),
        lag: Mutex::default(),
        statuses: Mutex::default(),
    });
    let before = join_all(load.receivers.iter().map(Receiver::footprint)).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(load.clone().watch());
    for _ in 0..SENDERS {
        tasks.spawn(load.clone().sender());
    }
    load.until(200, 100).await;
    load.check("steady").await;

    server.kill();
    load.until(503, 20).await;
    server.run();
    load.check("killed and started").await;

    server.signal("STOP");
    load.until(503, 20).await;
    server.signal("CONT");
    load.check("stopped and continued").await;

    server.terminate();
    server.run();
    load.check("restarted").await;

    let () = server.ask(&["SCRIPT", "FLUSH"]);
    load.until(200, 50).await;
    load.check("scripts flushed").await;

    // The server has lost no data so far.
    let (doubled, unforgotten) = load.doubled().await;
    assert_eq!(doubled, [""; 0], "of {unforgotten}");
    assert!(unforgotten > 50, "only {unforgotten} deliveries");

    let () = server.ask(&["FLUSHALL"]);
    load.until(200, 50).await;
    load.check("flushed").await;
    load.running.store(false, Ordering::Relaxed);
    tasks.join_all().await;
    // Deliveries in progress during the flush may have been handled twice.
    let (doubled, handled) = load.doubled().await;
    assert!(doubled.len() <= SENDERS, "{doubled:?} were handled twice after the flush");
    println!("{handled} deliveries handled, {unforgotten} of them before the flush");
    for (receiver, before) in load.receivers.iter().zip(&before) {
        receiver.assert_unharmed(before).await;
    }
}

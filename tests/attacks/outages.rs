//! Two receivers on one Redis, under load while things happen to it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::process::Receiver;
use crate::receiver::{Framework, Settings};
use crate::server::Server;
use crate::util::client::Connection;
use crate::util::sender::Post;

/// How long a call to the server may take.
const TIMEOUT: Duration = Duration::from_millis(100);
/// How long a trouble lasts.
const PHASE: Duration = Duration::from_millis(600);
const SENDERS: usize = 4;

/// What the senders do, and how long they had to wait.
struct Load {
    receivers: [Receiver; 2],
    running: AtomicBool,
    next: AtomicU64,
    slowest: Mutex<Duration>,
    /// How late this process's own timers were, beside all of this: the machine's part of every time.
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

    /// Sends each delivery to both receivers at once, again and again until both say that it is done.
    async fn sender(self: Arc<Self>) {
        let [one, other] = &self.receivers;
        let (mut one, mut other) = (one.connect().await, other.connect().await);
        while self.running.load(Ordering::Relaxed) {
            let post = Post::signed(format!("delivery {}", self.next.fetch_add(1, Ordering::Relaxed)));
            let began = Instant::now();
            while tokio::join!(self.send(&mut one, &post), self.send(&mut other, &post)) != (200, 200) {
                assert!(began.elapsed() < PHASE + Duration::from_secs(2), "{post:?} is not accepted");
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

    /// Both serve again within two seconds, and no answer since the last look took longer than the store may.
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
        // One call before the handler and one after it.
        let bound = TIMEOUT * 2 + Duration::from_millis(50) + lag * 2;
        assert!(slowest <= bound, "{what}: an answer took {slowest:?}, more than {bound:?}");
    }

    /// The deliveries that were handled more than once, by either or both, and how many were handled at all.
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

pub(crate) async fn troubles_of_a_shared_redis_double_nothing_and_are_over_at_once() {
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
    sleep(PHASE).await;
    load.check("steady").await;

    server.kill();
    sleep(PHASE).await;
    server.run();
    load.check("killed and started").await;

    server.signal("STOP");
    sleep(PHASE).await;
    server.signal("CONT");
    load.check("stopped and continued").await;

    server.terminate();
    server.run();
    load.check("restarted").await;

    let () = server.ask(&["SCRIPT", "FLUSH"]);
    sleep(PHASE / 2).await;
    load.check("scripts flushed").await;

    // Until here nothing was forgotten.
    let (doubled, unforgotten) = load.doubled().await;
    assert_eq!(doubled, [""; 0], "of {unforgotten}");
    assert!(unforgotten > 50, "{unforgotten} deliveries are no load");

    let () = server.ask(&["FLUSHALL"]);
    sleep(PHASE / 2).await;
    load.check("flushed").await;
    load.running.store(false, Ordering::Relaxed);
    tasks.join_all().await;
    // What was in progress when all was forgotten may have been handled by both.
    let (doubled, handled) = load.doubled().await;
    assert!(doubled.len() <= SENDERS, "{doubled:?} were handled twice after the flush");
    println!("{handled} deliveries handled, {unforgotten} of them before the flush");
    for (receiver, before) in load.receivers.iter().zip(&before) {
        receiver.assert_unharmed(before).await;
    }
}

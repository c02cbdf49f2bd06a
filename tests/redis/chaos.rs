//! Two receivers under load during outages of their server.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::Quota;
use hookwarden::redis::RedisStore;
use tokio::time::sleep;

use crate::endpoint::{Endpoint, Handled, builder, quotas};
use crate::harness::PATIENCE;
use crate::harness::redis_server::Server;
use crate::harness::sender::Post;

/// The senders' observations.
struct Load {
    endpoints: [Endpoint; 2],
    running: AtomicBool,
    next: AtomicU64,
    statuses: Mutex<HashMap<u16, u64>>,
    slowest: Mutex<Duration>,
    /// How late this process's timers fire. The machine adds this delay to every measured time.
    lag: Mutex<Duration>,
    longest_wait: Mutex<Duration>,
}

impl Load {
    async fn send(&self, endpoint: usize, delivery: &Post) -> StatusCode {
        let began = Instant::now();
        let status = self.endpoints[endpoint].status(delivery).await;
        let took = began.elapsed();
        raise(&self.slowest, took);
        *self.statuses.lock().unwrap().entry(status.as_u16()).or_default() += 1;
        status
    }

    /// Sends each delivery to one receiver until it is accepted, then to the other, and then to both again.
    async fn sender(self: Arc<Self>) {
        while self.running.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let delivery = Post::signed(format!("{number}"));
            let first = usize::from(number.is_multiple_of(2));
            let began = Instant::now();
            loop {
                let (one, other) = tokio::join!(self.send(first, &delivery), self.send(1 - first, &delivery));
                if one.is_success() || other.is_success() {
                    break;
                }
                pause(began, number).await;
            }
            raise(&self.longest_wait, began.elapsed());
            // Both endpoints see the delivery as finished, even if its commit reached the store late.
            for endpoint in [0, 1] {
                while !self.send(endpoint, &delivery).await.is_success() {
                    pause(began, number).await;
                }
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    async fn watch(self: Arc<Self>) {
        while self.running.load(Ordering::Relaxed) {
            let began = Instant::now();
            sleep(Duration::from_millis(5)).await;
            let late = began.elapsed().saturating_sub(Duration::from_millis(6));
            raise(&self.lag, late);
        }
    }

    /// Waits for `count` more answers of this status.
    async fn until(&self, status: StatusCode, count: u64) {
        let answers = || self.statuses.lock().unwrap().get(&status.as_u16()).copied().unwrap_or_default();
        let (began, before) = (Instant::now(), answers());
        while answers() < before + count {
            assert!(began.elapsed() < PATIENCE, "{} answers of {status}", answers() - before);
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until both receivers accept new deliveries, and returns the time that took.
    async fn served_again(&self) -> Duration {
        let returned = Instant::now();
        for endpoint in [0, 1] {
            let delivery = Post::signed(format!("after {endpoint} {returned:?}"));
            while self.send(endpoint, &delivery).await != StatusCode::OK {
                assert!(returned.elapsed() < Duration::from_secs(2), "no service 2 s after the server's return");
                sleep(Duration::from_millis(10)).await;
            }
        }
        returned.elapsed()
    }

    /// Asserts that the slowest answer since the last check is within the bound.
    fn check(&self, what: &str, back: Duration) {
        let slowest = std::mem::take(&mut *self.slowest.lock().unwrap());
        let lag = std::mem::take(&mut *self.lag.lock().unwrap());
        let statuses = std::mem::take(&mut *self.statuses.lock().unwrap());
        println!(
            "{what}: slowest answer {slowest:?}, timers up to {lag:?} late, served again after {back:?}, {statuses:?}"
        );
        let bound = TIMEOUT * 2 + Duration::from_millis(50) + HANDLER;
        assert!(slowest <= bound + lag, "{what}: an answer took {slowest:?}, more than {bound:?} and {lag:?}");
    }
}

async fn pause(began: Instant, number: u64) {
    assert!(began.elapsed() < PATIENCE, "delivery {number} is not finished in time");
    sleep(Duration::from_millis(20)).await;
}

fn raise(longest: &Mutex<Duration>, time: Duration) {
    let mut longest = longest.lock().unwrap();
    *longest = time.max(*longest);
}

pub(crate) async fn chaos_over_a_running_load() {
    let mut server = Server::durable();
    let handled = Handled::default();
    let mut endpoints = Vec::new();
    for _ in 0..2 {
        let store = RedisStore::builder(server.url()).timeout(TIMEOUT).connect().await.unwrap();
        let quota = Quota::new(1_000_000, Duration::from_micros(1)).unwrap();
        endpoints.push(Endpoint::sharing(
            builder().shared_store(store).quotas(quotas().accepted(quota)),
            handled.clone(),
            HANDLER,
        ));
    }
    let load = Arc::new(Load {
        endpoints: endpoints.try_into().unwrap_or_else(|_| panic!("two")),
        running: AtomicBool::new(true),
        next: AtomicU64::new(0),
        statuses: Mutex::default(),
        slowest: Mutex::default(),
        lag: Mutex::default(),
        longest_wait: Mutex::default(),
    });
    let mut tasks: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(load.clone().sender())).collect();
    tasks.push(tokio::spawn(load.clone().watch()));
    load.until(StatusCode::OK, 200).await;
    load.check("steady", Duration::ZERO);

    server.kill();
    load.until(StatusCode::SERVICE_UNAVAILABLE, 40).await;
    server.run();
    load.check("killed and started", load.served_again().await);

    for _ in 0..3 {
        server.signal("STOP");
        load.until(StatusCode::SERVICE_UNAVAILABLE, 40).await;
        server.signal("CONT");
        load.check("stopped and continued", load.served_again().await);
        load.until(StatusCode::OK, 40).await;
    }

    server.terminate();
    server.run();
    load.check("restarted", load.served_again().await);

    let () = server.ask(&["SCRIPT", "FLUSH"]);
    load.until(StatusCode::OK, 100).await;
    load.check("scripts flushed", load.served_again().await);

    for _ in 0..5 {
        let _: i64 = server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        load.until(StatusCode::OK, 20).await;
    }
    load.check("connections cut", load.served_again().await);
    load.until(StatusCode::OK, 100).await;
    load.check("steady", Duration::ZERO);

    // The server has lost no data so far.
    let twice = |handled: &Handled| handled.lock().unwrap().iter().filter(|(_, count)| **count > 1).count();
    assert_eq!(twice(&handled), 0, "deliveries were handled twice");
    let before = handled.lock().unwrap().len();
    let () = server.ask(&["FLUSHALL"]);
    load.until(StatusCode::OK, 100).await;
    load.check("flushed", load.served_again().await);

    load.running.store(false, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    // Deliveries in progress during the flush may have been handled twice.
    assert!(twice(&handled) <= SENDERS, "{} were handled twice after the flush", twice(&handled));
    let accepted = handled.lock().unwrap().len();
    let longest = *load.longest_wait.lock().unwrap();
    println!(
        "{accepted} deliveries handled, {before} of them before the flush and each of those once; the longest waited {longest:?}"
    );
    assert!(before > 200, "only {before} deliveries");
}

const TIMEOUT: Duration = Duration::from_millis(100);
const HANDLER: Duration = Duration::from_millis(5);
const SENDERS: usize = 8;

//! Two receivers in this process, and senders that send every delivery to both until it is handled.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::StatusCode;
use hookwarden::Quota;
use hookwarden::redis::RedisStore;
use hookwarden::warden::Replay;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::endpoint::{Endpoint, Handled, RETURN, builder, quotas, signed_for};
use crate::harness::redis_server::Server;
use crate::harness::sender::Post;
use crate::loss::Lost;

/// The receivers and the senders' observations.
pub(crate) struct Load {
    endpoints: [Endpoint; 2],
    senders: Vec<Sender>,
    handled: Handled,
    began: Instant,
    deliveries: Mutex<HashMap<Bytes, Delivery>>,
    /// From when to when since the start a replaced primary may have granted deliveries.
    woken: Mutex<Vec<(Duration, Duration)>>,
    running: AtomicBool,
    next: AtomicU64,
    /// The timeout of the stores.
    timeout: Duration,
    /// How late this process's timers fire, and how late a server answers. The machine adds this delay to every measured
    /// time.
    lag: Mutex<Duration>,
    longest_wait: Mutex<Duration>,
}

/// A webhook id and the answers to its requests since the last check.
struct Sender {
    id: String,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) statuses: HashMap<u16, u64>,
    pub(crate) slowest: Duration,
    slowest_unavailable: Duration,
}

/// What is known about a delivery, for a test that fails.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
struct Delivery {
    path: String,
    /// The last part of the key of its entry in the database.
    entry: String,
    /// From when to when since the start an endpoint took for an answer.
    answers: Vec<(Duration, Duration, usize, StatusCode)>,
}

/// The tasks of a load.
pub(crate) struct Tasks(Vec<JoinHandle<()>>);

impl Load {
    /// Starts a load of these webhook ids, by eight senders, on two stores of the same servers.
    pub(crate) async fn start(url: &str, ids: &[String]) -> (Arc<Self>, Tasks) {
        Self::start_with(url, ids, TIMEOUT, Duration::ZERO).await
    }

    /// The same, with the timeout of the stores, and a pause before each store connects, so that they do not work in the
    /// same rhythm.
    pub(crate) async fn start_with(
        url: &str,
        ids: &[String],
        timeout: Duration,
        apart: Duration,
    ) -> (Arc<Self>, Tasks) {
        let handled = Handled::default();
        let mut endpoints = Vec::new();
        for _ in 0..2 {
            sleep(apart).await;
            let store = RedisStore::builder(url).timeout(timeout).connect().await.unwrap();
            let quota = Quota::new(1_000_000, Duration::from_micros(1)).unwrap();
            let replay = Replay::new().lease(LEASE);
            let builder = builder().shared_store(store).replay(replay).quotas(quotas().accepted(quota));
            endpoints.push(Endpoint::of_senders(builder, ids, handled.clone(), HANDLER));
        }
        let load = Arc::new(Self {
            endpoints: endpoints.try_into().unwrap_or_else(|_| panic!("two")),
            senders: ids.iter().map(|id| Sender { id: id.clone(), seen: Mutex::default() }).collect(),
            handled,
            began: Instant::now(),
            deliveries: Mutex::default(),
            woken: Mutex::default(),
            running: AtomicBool::new(true),
            next: AtomicU64::new(0),
            timeout,
            lag: Mutex::default(),
            longest_wait: Mutex::default(),
        });
        // A sender keeps its webhook id, so that the senders of a dead shard do not stop the others.
        let sender = |number: usize| tokio::spawn(load.clone().send_all(number % load.senders.len()));
        let mut tasks: Vec<_> = (0..SENDERS.max(ids.len())).map(sender).collect();
        tasks.push(tokio::spawn(load.clone().watch()));
        (load, Tasks(tasks))
    }

    /// Ends the load. Every delivery that was begun is finished.
    pub(crate) async fn stop(&self, tasks: Tasks) {
        self.running.store(false, Ordering::Relaxed);
        for task in tasks.0 {
            task.await.unwrap();
        }
    }

    /// Creates a delivery of a sender.
    fn delivery(&self, sender: usize, body: String) -> Post {
        let delivery = signed_for(&self.senders[sender].id, body);
        let known = Delivery { path: delivery.path.clone(), entry: entry_of(&delivery), answers: Vec::new() };
        self.deliveries.lock().unwrap().insert(delivery.body.clone().into(), known);
        delivery
    }

    async fn send(&self, endpoint: usize, sender: usize, delivery: &Post) -> StatusCode {
        let began = Instant::now();
        let status = self.endpoints[endpoint].status(delivery).await;
        let took = began.elapsed();
        let mut seen = self.senders[sender].seen.lock().unwrap();
        seen.slowest = took.max(seen.slowest);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            seen.slowest_unavailable = took.max(seen.slowest_unavailable);
        }
        *seen.statuses.entry(status.as_u16()).or_default() += 1;
        let since = began - self.began;
        let mut deliveries = self.deliveries.lock().unwrap();
        deliveries.get_mut(&delivery.body[..]).unwrap().answers.push((since, since + took, endpoint, status));
        status
    }

    /// Sends each delivery to one receiver until it is accepted, then to the other, and then to both again.
    async fn send_all(self: Arc<Self>, sender: usize) {
        while self.running.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let delivery = self.delivery(sender, format!("{number}"));
            let first = usize::from(number.is_multiple_of(2));
            let began = Instant::now();
            loop {
                let (one, other) =
                    tokio::join!(self.send(first, sender, &delivery), self.send(1 - first, sender, &delivery));
                if one.is_success() || other.is_success() {
                    break;
                }
                pause(began, number).await;
            }
            raise(&self.longest_wait, began.elapsed());
            // Both endpoints see the delivery as finished, even if its commit reached the store late.
            for endpoint in [0, 1] {
                while !self.send(endpoint, sender, &delivery).await.is_success() {
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

    /// Counts the time that a server takes for an answer as a delay of the machine, until the load ends.
    pub(crate) fn watch_server(self: &Arc<Self>, tasks: &mut Tasks, server: &Server) {
        let (load, client) = (self.clone(), redis::Client::open(server.url()).unwrap());
        tasks.0.push(tokio::spawn(async move {
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            while load.running.load(Ordering::Relaxed) {
                let began = Instant::now();
                // An answer that takes longer than the client waits is late too.
                let _ = redis::cmd("PING").exec_async(&mut connection).await;
                raise(&load.lag, began.elapsed());
                sleep(Duration::from_millis(5)).await;
            }
        }));
    }

    fn answers(&self, sender: usize, status: StatusCode) -> u64 {
        let seen = self.senders[sender].seen.lock().unwrap();
        seen.statuses.get(&status.as_u16()).copied().unwrap_or_default()
    }

    fn number_of(&self, id: &str) -> usize {
        self.senders.iter().position(|sender| sender.id == id).unwrap()
    }

    /// Waits for `count` more answers of this status, to all ids together.
    pub(crate) async fn until(&self, status: StatusCode, count: u64) {
        let all: Vec<_> = (0..self.senders.len()).collect();
        self.until_sum(&all, status, count).await;
    }

    /// Waits for `count` more answers of this status to each of these ids.
    pub(crate) async fn until_each(&self, ids: &[String], status: StatusCode, count: u64) {
        futures_util::future::join_all(ids.iter().map(async |id| {
            self.until_sum(&[self.number_of(id)], status, count).await;
        }))
        .await;
    }

    async fn until_sum(&self, senders: &[usize], status: StatusCode, count: u64) {
        let answers = || senders.iter().map(|sender| self.answers(*sender, status)).sum::<u64>();
        let (began, before) = (Instant::now(), answers());
        while answers() < before + count {
            assert!(began.elapsed() < PATIENCE, "{} answers of {status}", answers() - before);
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until both receivers accept new deliveries of all ids, and returns the time that took.
    pub(crate) async fn served_again(&self) -> Duration {
        let returned = Instant::now();
        futures_util::future::join_all((0..self.senders.len()).map(async |sender| {
            for endpoint in [0, 1] {
                let id = &self.senders[sender].id;
                let delivery = self.delivery(sender, format!("after {endpoint} {sender} {returned:?}"));
                loop {
                    let status = self.send(endpoint, sender, &delivery).await;
                    if status == StatusCode::OK {
                        break;
                    }
                    assert!(returned.elapsed() < RETURN, "{id}: {status}, no service {RETURN:?} after the return");
                    sleep(Duration::from_millis(10)).await;
                }
            }
        }))
        .await;
        returned.elapsed()
    }

    /// Returns the answers to these ids since the last check.
    pub(crate) fn take(&self, ids: &[String]) -> Seen {
        let mut all = Seen::default();
        for id in ids {
            let seen = std::mem::take(&mut *self.senders[self.number_of(id)].seen.lock().unwrap());
            all.slowest = all.slowest.max(seen.slowest);
            all.slowest_unavailable = all.slowest_unavailable.max(seen.slowest_unavailable);
            for (status, count) in seen.statuses {
                *all.statuses.entry(status).or_default() += count;
            }
        }
        all
    }

    /// Returns by how much the machine delayed timers since the last call.
    pub(crate) fn take_lag(&self) -> Duration {
        std::mem::take(&mut *self.lag.lock().unwrap())
    }

    /// Asserts that the answers since the last check were in time. A request that is refused waits for one call of the
    /// store, and others for two.
    pub(crate) fn check(&self, what: &str, back: Duration) {
        let ids: Vec<_> = self.senders.iter().map(|sender| sender.id.clone()).collect();
        let (Seen { slowest, slowest_unavailable, statuses }, lag) = (self.take(&ids), self.take_lag());
        println!(
            "{what} after {:?}: slowest answer {slowest:?}, slowest 503 {slowest_unavailable:?}, timers up to {lag:?} late, served \
             again after {back:?}, {statuses:?}",
            self.began.elapsed()
        );
        let once = self.timeout + Duration::from_millis(50);
        for (kind, took, bound) in
            [("an answer", slowest, once + self.timeout + HANDLER), ("a refusal", slowest_unavailable, once)]
        {
            assert!(took <= bound + lag, "{what}: {kind} took {took:?}, more than {bound:?} and {lag:?}");
        }
    }

    /// Returns how many deliveries were handled.
    pub(crate) fn handled(&self) -> usize {
        self.handled.lock().unwrap().len()
    }

    /// Returns how many deliveries were handled more than once.
    pub(crate) fn twice(&self) -> usize {
        self.handled.lock().unwrap().values().filter(|count| **count > 1).count()
    }

    /// Lets a stopped primary continue that was replaced, and waits until it is `demoted`. Before it learns that it was
    /// replaced, it runs the calls that wait for it, and these claims are lost.
    pub(crate) fn wake(&self, primary: &Server, demoted: impl FnOnce()) {
        let began = self.began.elapsed();
        primary.signal("CONT");
        demoted();
        self.woken.lock().unwrap().push((began, self.began.elapsed()));
    }

    /// Returns the deliveries that were handled more than once, although no failover lost their entry and no replaced
    /// primary granted them when it continued.
    pub(crate) fn twice_without_loss(&self, lost: &Lost) -> BTreeMap<String, String> {
        let (handled, deliveries) = (self.handled.lock().unwrap(), self.deliveries.lock().unwrap());
        let twice = handled.iter().filter(|(_, count)| **count > 1);
        let twice = twice.map(|(body, _)| (String::from_utf8_lossy(body).into_owned(), &deliveries[body]));
        let woken = self.woken.lock().unwrap();
        let was_in_flight = |delivery: &Delivery| {
            let during =
                |from: Duration, to: Duration| woken.iter().any(|(began, ended)| from <= *ended && to >= *began);
            delivery.answers.iter().any(|(from, to, _, status)| status.is_success() && during(*from, *to))
        };
        let unreplicated = twice.filter(|(_, delivery)| !lost.iter().any(|key| key.ends_with(&delivery.entry)));
        let (woken, unexplained): (Vec<_>, Vec<_>) = unreplicated.partition(|(_, delivery)| was_in_flight(delivery));
        println!("{} were handled twice because a replaced primary granted them when it continued", woken.len());
        assert!(woken.len() <= self.senders.len().max(SENDERS), "more than one of each sender: {woken:?}");
        unexplained.into_iter().map(|(body, delivery)| (body, format!("{delivery:?}"))).collect()
    }

    pub(crate) fn longest_wait(&self) -> Duration {
        *self.longest_wait.lock().unwrap()
    }
}

/// Returns the last part of the key under which a store keeps a delivery.
fn entry_of(delivery: &Post) -> String {
    let signature = const_hex::decode(delivery.value("x-webhook-signature")).unwrap();
    format!(":d:{}", const_hex::encode(&Sha256::digest(&signature[..16])[..16]))
}

async fn pause(began: Instant, number: u64) {
    assert!(began.elapsed() < PATIENCE, "delivery {number} is not finished in time");
    sleep(Duration::from_millis(20)).await;
}

fn raise(longest: &Mutex<Duration>, time: Duration) {
    let mut longest = longest.lock().unwrap();
    *longest = time.max(*longest);
}

/// Longer than any outage in these tests, so that no delivery is claimed by another receiver before its commit arrives.
/// If a claim was replicated and its commit was lost, the delivery is refused until then.
const LEASE: Duration = Duration::from_secs(15);

/// The time for a failover and then a lease.
const PATIENCE: Duration = Duration::from_secs(40);

/// The timeout of the stores by default.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(100);
pub(crate) const HANDLER: Duration = Duration::from_millis(5);
pub(crate) const SENDERS: usize = 8;

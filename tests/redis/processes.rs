//! Receivers as processes: the test starts its own program again, and an environment variable selects the receiver.

use std::env;
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use hookwarden::Scheme;
use hookwarden::axum::WardenLayer;
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::endpoint::builder;
use crate::harness::client::Connection;
use crate::harness::program::Running;
use crate::harness::redis_cluster::Cluster;
use crate::harness::redis_server::{Server, patient_store};
use crate::harness::sender::{ID, Post, SECRET, keyring};

pub(crate) fn is_receiver() -> bool {
    env::var_os(REDIS_URL).is_some()
}

/// Runs the receiver's process until it is killed.
pub(crate) fn receive() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let setting = patient_store(env::var(REDIS_URL).unwrap());
        let keys = keyring(&Scheme::timestamped(), SECRET);
        let warden = builder().shared_store(setting.connect_later().unwrap()).sender(ID, keys).build().unwrap();
        let handled = Arc::new(AtomicU32::new(0));
        let (counter, count) = (handled.clone(), handled);
        let handle = async move || {
            tokio::time::sleep(Duration::from_millis(20)).await;
            counter.fetch_add(1, Ordering::SeqCst);
        };
        let app = Router::new()
            .route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden)))
            .route("/handled", get(async move || count.load(Ordering::SeqCst).to_string()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
    });
    ExitCode::SUCCESS
}

/// Starts a receiver's process.
pub(crate) fn start(redis_url: &str, variables: &[(&str, &str)]) -> Running {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(REDIS_URL, redis_url).envs(variables.iter().copied()).stdout(Stdio::piped());
    Running::of("receiver", &mut command)
}

/// Returns the number of deliveries that a receiver has handled.
pub(crate) async fn handled(receiver: &Running) -> u32 {
    receiver.read("/handled").await.rsplit_once("\r\n").unwrap().1.parse().unwrap()
}

/// Returns the status of the answer to a delivery.
async fn status(connection: &mut Connection, delivery: &Post) -> u16 {
    connection.exchange(&delivery.sized()).await.unwrap().status
}

pub(crate) async fn copies_over_two_processes_are_handled_once() {
    let server = Server::start();
    copies_are_handled_once(&server.url()).await;
}

pub(crate) async fn copies_on_a_cluster_are_handled_once() {
    let cluster = Cluster::start();
    copies_are_handled_once(&cluster.url()).await;
}

async fn copies_are_handled_once(url: &str) {
    let receivers = [start(url, &[]), start(url, &[])];
    let first = Post::signed("a first one");
    for receiver in &receivers {
        assert_eq!(receiver.send(&first).await.status, 200);
    }
    let before = handled(&receivers[0]).await + handled(&receivers[1]).await;
    assert_eq!(before, 1, "both receivers share the first delivery");

    let delivery = Post::signed("the one delivery");
    let barrier = Arc::new(Barrier::new(CONNECTIONS));
    let mut senders = JoinSet::new();
    for number in 0..CONNECTIONS {
        let mut connection = receivers[number % 2].connect().await;
        let (barrier, delivery) = (barrier.clone(), delivery.clone());
        senders.spawn(async move {
            barrier.wait().await;
            let mut statuses = Vec::new();
            for _ in 0..COPIES / CONNECTIONS {
                statuses.push(status(&mut connection, &delivery).await);
            }
            statuses
        });
    }
    let statuses = senders.join_all().await.concat();
    assert_eq!(statuses.len(), COPIES);
    let known = |status: &u16| matches!(*status, 200 | 409);
    assert!(statuses.iter().all(known), "{:?}", statuses.iter().find(|status| !known(status)));
    let handled = [handled(&receivers[0]).await, handled(&receivers[1]).await];
    assert_eq!(handled[0] + handled[1] - before, 1, "{handled:?}");
    let in_progress = statuses.iter().filter(|status| **status == 409).count();
    println!("{COPIES} copies over two processes: handled once, {in_progress} arrived while the handler ran");
}

pub(crate) async fn quota_over_two_processes_is_one() {
    let server = Server::start();
    quota_is_one(&server.url()).await;
}

pub(crate) async fn quota_on_a_cluster_is_one() {
    let cluster = Cluster::start();
    quota_is_one(&cluster.url()).await;
}

async fn quota_is_one(url: &str) {
    let receivers = [start(url, &[]), start(url, &[])];
    let barrier = Arc::new(Barrier::new(REQUESTS + 1));
    let mut senders = JoinSet::new();
    for number in 0..REQUESTS {
        let mut connection = receivers[number % 2].connect().await;
        let delivery = Post::signed(format!("{number}"));
        let barrier = barrier.clone();
        senders.spawn(async move {
            barrier.wait().await;
            status(&mut connection, &delivery).await
        });
    }
    let began = Instant::now();
    barrier.wait().await;
    let statuses = senders.join_all().await;
    let elapsed = began.elapsed();
    let accepted = statuses.iter().filter(|status| **status == 200).count();
    let over = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(accepted + over, REQUESTS, "{statuses:?}");
    let most = 100 + usize::try_from(elapsed.as_millis() / 600).unwrap();
    assert!((100..=most).contains(&accepted), "{accepted} of {REQUESTS} accepted in {elapsed:?}");
    let handled = handled(&receivers[0]).await + handled(&receivers[1]).await;
    assert_eq!(usize::try_from(handled).unwrap(), accepted);
    println!("{REQUESTS} requests at once over two processes: {accepted} accepted within {elapsed:?}");
}

const REDIS_URL: &str = "HOOKWARDEN_TEST_RECEIVER_REDIS_URL";
const COPIES: usize = 1_000;
const CONNECTIONS: usize = 50;
const REQUESTS: usize = 300;

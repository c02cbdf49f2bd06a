//! Receivers in processes of their own: this program again, told so by its environment.

use std::env;
use std::net::SocketAddr;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use hookwarden::axum::WardenLayer;
use hookwarden::{Keyring, Scheme};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::endpoint::{SECRET, Signed, builder};
use crate::server::{Server, patient_store};

pub(crate) fn is_receiver() -> bool {
    env::var_os(REDIS_URL).is_some()
}

/// What a receiver's process does, until it is killed.
pub(crate) fn receive() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let setting = patient_store(env::var(REDIS_URL).unwrap());
        let keys = Keyring::new(Scheme::timestamped().secret(SECRET).unwrap());
        let warden = builder().shared_store(setting.connect_later().unwrap()).sender("acme", keys).build().unwrap();
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
        println!("{}", listener.local_addr().unwrap());
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
    });
    ExitCode::SUCCESS
}

/// A receiver's process, which ends with it.
pub(crate) struct Receiver {
    _process: Child,
    address: SocketAddr,
}

impl Receiver {
    pub(crate) async fn start(redis_url: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(REDIS_URL, redis_url).envs(variables.iter().copied()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        Self { _process: process, address: line.trim().parse().unwrap() }
    }

    pub(crate) async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (requests, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Connection(requests)
    }

    pub(crate) async fn handled(&self) -> u32 {
        let mut connection = self.connect().await;
        let request = Request::get("/handled").header("host", "localhost").body(Full::default()).unwrap();
        let answer = connection.0.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        String::from_utf8(answer.to_bytes().to_vec()).unwrap().parse().unwrap()
    }
}

pub(crate) struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    pub(crate) async fn send(&mut self, delivery: &Signed) -> StatusCode {
        self.0.ready().await.unwrap();
        let answer = self.0.send_request(delivery.request()).await.unwrap();
        let status = answer.status();
        answer.into_body().collect().await.unwrap();
        status
    }
}

pub(crate) async fn copies_are_handled_once() {
    let server = Server::start();
    let receivers = [Receiver::start(&server.url(), &[]).await, Receiver::start(&server.url(), &[]).await];
    let first = Signed::new("a first one");
    for receiver in &receivers {
        assert_eq!(receiver.connect().await.send(&first).await, StatusCode::OK);
    }
    let before = receivers[0].handled().await + receivers[1].handled().await;
    assert_eq!(before, 1, "the first one was the same for both");

    let delivery = Signed::new("the one delivery");
    let barrier = Arc::new(Barrier::new(CONNECTIONS));
    let mut senders = JoinSet::new();
    for number in 0..CONNECTIONS {
        let mut connection = receivers[number % 2].connect().await;
        let (barrier, delivery) = (barrier.clone(), delivery.clone());
        senders.spawn(async move {
            barrier.wait().await;
            let mut statuses = Vec::new();
            for _ in 0..COPIES / CONNECTIONS {
                statuses.push(connection.send(&delivery).await);
            }
            statuses
        });
    }
    let statuses = senders.join_all().await.concat();
    assert_eq!(statuses.len(), COPIES);
    let known = |status: &StatusCode| matches!(*status, StatusCode::OK | StatusCode::CONFLICT);
    assert!(statuses.iter().all(known), "{:?}", statuses.iter().find(|status| !known(status)));
    let handled = [receivers[0].handled().await, receivers[1].handled().await];
    assert_eq!(handled[0] + handled[1] - before, 1, "{handled:?}");
    let in_progress = statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count();
    println!("{COPIES} copies over two processes: handled once, {in_progress} came while it was handled");
}

pub(crate) async fn quota_is_one() {
    let server = Server::start();
    let receivers = [Receiver::start(&server.url(), &[]).await, Receiver::start(&server.url(), &[]).await];
    let barrier = Arc::new(Barrier::new(REQUESTS + 1));
    let mut senders = JoinSet::new();
    for number in 0..REQUESTS {
        let mut connection = receivers[number % 2].connect().await;
        let delivery = Signed::new(format!("{number}"));
        let barrier = barrier.clone();
        senders.spawn(async move {
            barrier.wait().await;
            connection.send(&delivery).await
        });
    }
    let began = Instant::now();
    barrier.wait().await;
    let statuses = senders.join_all().await;
    let elapsed = began.elapsed();
    let accepted = statuses.iter().filter(|status| status.is_success()).count();
    let over = statuses.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!(accepted + over, REQUESTS, "{statuses:?}");
    let most = 100 + usize::try_from(elapsed.as_millis() / 600).unwrap();
    assert!((100..=most).contains(&accepted), "{accepted} of {REQUESTS} accepted in {elapsed:?}");
    let handled = receivers[0].handled().await + receivers[1].handled().await;
    assert_eq!(usize::try_from(handled).unwrap(), accepted);
    println!("{REQUESTS} requests at once over two processes: {accepted} accepted within {elapsed:?}");
}

const REDIS_URL: &str = "HOOKWARDEN_TEST_RECEIVER_REDIS_URL";
const COPIES: usize = 1_000;
const CONNECTIONS: usize = 50;
const REQUESTS: usize = 300;

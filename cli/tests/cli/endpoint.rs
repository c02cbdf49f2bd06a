//! A receiver on loopback with a guarded route for each preset, over HTTP/1.1 or HTTP/2. It records its requests.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Version};
use axum::routing::{any, post};
use hookwarden::Warden;
use hookwarden::axum::WardenLayer;
use hookwarden::warden::{Quotas, Replay};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use super::schemes::{keyring, presets};

/// A receiver, stopped on drop. It has its own threads, so that a test can block on a command.
pub(crate) struct Endpoint {
    address: SocketAddr,
    seen: Arc<Seen>,
    // Dropping the runtime stops the receiver.
    _runtime: Runtime,
}

/// The received requests.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) bodies: Mutex<Vec<Bytes>>,
    pub(crate) headers: Mutex<Vec<HeaderMap>>,
    pub(crate) arrivals: Mutex<Vec<Instant>>,
    versions: Mutex<BTreeSet<String>>,
    /// The number of `/held` requests in flight, and the highest number so far.
    in_flight: Mutex<(usize, usize)>,
    /// Each permit releases one response of `/held`.
    gate: Gate,
    statuses: Mutex<Vec<u16>>,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Endpoint {
    pub(crate) fn http1() -> Self {
        Self::start(false, &[])
    }

    pub(crate) fn http2() -> Self {
        Self::start(true, &[])
    }

    /// A receiver whose `/statuses` cycles through these statuses.
    pub(crate) fn answering(statuses: &[u16]) -> Self {
        Self::start(false, statuses)
    }

    fn start(http2: bool, statuses: &[u16]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let seen = Arc::new(Seen { statuses: Mutex::new(statuses.to_vec()), ..Seen::default() });
        let mut app = Router::new()
            .route("/open", any(open))
            .route("/statuses", any(status))
            .route("/slow", any(slow))
            .route("/held", any(held))
            .route("/hostile", any(hostile));
        for (scheme, secret) in presets() {
            let (path, keys) = (format!("/{}/{{id}}", scheme.name()), keyring(&scheme, secret));
            let mut warden = Warden::builder(scheme.clone())
                .sender("acme", keys)
                .quotas(Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected());
            if !scheme.is_timestamped() {
                warden = warden.replay(Replay::new().lifetime(Duration::from_secs(60)));
            }
            app = app.route(&path, post(open).layer(WardenLayer::new(warden.build().unwrap())));
        }
        let app = app.with_state(Arc::clone(&seen));
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, app, http2));
        Self { address, seen, _runtime: runtime }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl Seen {
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.bodies.lock().unwrap().clone()
    }

    pub(crate) fn versions(&self) -> Vec<String> {
        self.versions.lock().unwrap().iter().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.arrivals.lock().unwrap().len()
    }

    /// Lets `count` held requests continue.
    pub(crate) fn release(&self, count: usize) {
        self.gate.0.add_permits(count);
    }

    fn arrive(&self, version: Version, headers: HeaderMap, body: Bytes) {
        self.arrivals.lock().unwrap().push(Instant::now());
        self.versions.lock().unwrap().insert(format!("{version:?}"));
        self.headers.lock().unwrap().push(headers);
        self.bodies.lock().unwrap().push(body);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.lock().unwrap().0
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.in_flight.lock().unwrap().1
    }

    fn enter(&self) {
        let mut in_flight = self.in_flight.lock().unwrap();
        in_flight.0 += 1;
        in_flight.1 = in_flight.1.max(in_flight.0);
    }

    fn leave(&self) {
        self.in_flight.lock().unwrap().0 -= 1;
    }
}

async fn serve(listener: TcpListener, app: Router, http2: bool) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            // An aborted connection ends with an error, which the client reports.
            if http2 {
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            } else {
                let mut server = hyper::server::conn::http1::Builder::new();
                let _ = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}

async fn open(State(seen): State<Arc<Seen>>, version: Version, headers: HeaderMap, body: Bytes) -> &'static str {
    seen.arrive(version, headers, body);
    "taken"
}

async fn status(State(seen): State<Arc<Seen>>, version: Version, headers: HeaderMap, body: Bytes) -> StatusCode {
    let nth = seen.count();
    seen.arrive(version, headers, body);
    let statuses = seen.statuses.lock().unwrap();
    StatusCode::from_u16(statuses[nth % statuses.len()]).unwrap()
}

/// Takes 50 ms, for the tests of rates and of durations.
async fn slow(State(seen): State<Arc<Seen>>, version: Version, headers: HeaderMap, body: Bytes) {
    seen.arrive(version, headers, body);
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Responds after [`Seen::release`].
async fn held(State(seen): State<Arc<Seen>>, version: Version, headers: HeaderMap, body: Bytes) {
    seen.enter();
    seen.arrive(version, headers, body);
    seen.gate.0.acquire().await.unwrap().forget();
    seen.leave();
}

async fn hostile() -> ([(&'static str, &'static str); 1], Vec<u8>) {
    let mut body = b"\x1b[31mred\x07\x9b2J\0".to_vec();
    body.resize(20_000, b'a');
    ([("x-note", "plain")], body)
}

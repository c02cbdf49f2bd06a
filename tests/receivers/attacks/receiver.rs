//! The attacked receiver: the test starts its own program again, and an environment variable selects the receiver.
//!
//! The header `X-Handler` sets how a handler ends. `GET /control/{what}/{value}` rotates keys, steps the wall clock, or
//! writes a mark to the standard output.

use std::borrow::Cow;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use hookwarden::actix::WardenMiddleware;
use hookwarden::axum::WardenLayer;
use hookwarden::clock::{Clock, ClockReading, SystemClock};
use hookwarden::event::{MetricsObserver, TracingObserver};
use hookwarden::keys::StaticKeys;
use hookwarden::redis::RedisStore;
use hookwarden::warden::{BodyLimits, Quotas, Replay};
use hookwarden::{Key, Keyring, Quota, Scheme, Timestamp, Tolerance, Warden};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::harness::sender::{ID, SECRET};

/// The settings of a receiver. The default has no quota of refused requests, because most attacks use one address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) framework: Framework,
    pub(crate) is_stripe: bool,
    /// Bytes.
    pub(crate) body_limit: usize,
    /// Bytes of all unverified bodies, or the default.
    pub(crate) bytes_in_flight: Option<usize>,
    pub(crate) deadline: Duration,
    /// Seconds.
    pub(crate) tolerance: u32,
    /// Accepted requests per minute.
    pub(crate) quota: u32,
    /// Refused requests per minute, if there is a quota.
    pub(crate) rejected_quota: Option<u32>,
    /// The number of handlers that may run at the same time.
    pub(crate) concurrency: Option<usize>,
    pub(crate) redis: Option<(String, Duration)>,
    /// Whether the receiver logs everything.
    pub(crate) logs: bool,
    /// Whether the control `metrics` returns metrics.
    pub(crate) metrics: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Framework {
    Axum,
    Actix,
}

impl Framework {
    pub(crate) const ALL: [Self; 2] = [Self::Axum, Self::Actix];
}

impl Settings {
    pub(crate) const fn of(framework: Framework) -> Self {
        Self {
            framework,
            is_stripe: false,
            body_limit: 1024 * 1024,
            bytes_in_flight: None,
            deadline: Duration::from_secs(10),
            tolerance: 300,
            quota: 60_000_000,
            rejected_quota: None,
            concurrency: None,
            redis: None,
            logs: false,
            metrics: true,
        }
    }

    /// Returns the settings in the environment of a receiver's process.
    pub(crate) fn of_this_process() -> Option<Self> {
        Some(serde_json::from_str(&std::env::var(VARIABLE).ok()?).expect("settings"))
    }

    fn scheme(&self) -> Scheme {
        if self.is_stripe { Scheme::stripe() } else { Scheme::timestamped() }
    }
}

/// The secret after this many rotations.
pub(crate) fn secret(turn: u32) -> String {
    if turn == 0 { SECRET.to_owned() } else { format!("a-secret-of-the-tests-after-turn-{turn}") }
}

/// The keys with the two newest secrets.
fn keys(scheme: &Scheme, turn: u32) -> Keyring {
    let key = |turn: u32| Key::new(&turn.to_string(), scheme.secret(&secret(turn)).expect("a secret")).expect("a key");
    Keyring::from_keys([Some(turn), turn.checked_sub(1)].into_iter().flatten().map(key)).expect("a keyring")
}

/// The system's clock with an offset of the wall clock.
struct SteppedClock {
    system: SystemClock,
    /// Seconds.
    step: Arc<AtomicI64>,
}

impl Clock for SteppedClock {
    fn now(&self) -> ClockReading {
        let now = self.system.now();
        let wall = now.wall.as_unix().saturating_add(self.step.load(Ordering::SeqCst));
        ClockReading { wall: Timestamp::from_unix(wall), ..now }
    }
}

/// The state of the control routes.
#[derive(Clone)]
struct Controls {
    scheme: Scheme,
    keys: StaticKeys,
    step: Arc<AtomicI64>,
    metrics: PrometheusHandle,
}

impl Controls {
    fn act(&self, what: &str, value: &str) -> String {
        match what {
            "turn" => self.keys.replace_one(ID, keys(&self.scheme, value.parse().expect("a turn"))).expect("keys"),
            "step" => self.step.store(value.parse().expect("seconds"), Ordering::SeqCst),
            "mark" => {
                println!("mark {value}");
                eprintln!("mark {value}");
            }
            "metrics" => return self.metrics.render(),
            _ => panic!("no control is named {what}"),
        }
        String::new()
    }
}

/// Serves until the test that started this process ends.
pub(crate) fn serve(settings: &Settings) {
    std::thread::spawn(|| {
        // Any end of the pipe means that the test has ended.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match settings.framework {
        Framework::Axum => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(serve_axum(settings));
        }
        Framework::Actix => actix_web::rt::System::new().block_on(serve_actix(settings)),
    }
}

fn warden(settings: &Settings) -> (Warden, Controls) {
    // Install the recorder first: an observer registers with the recorder that exists when it is created.
    let metrics = PrometheusBuilder::new().install_recorder().expect("the only recorder");
    let scheme = settings.scheme();
    let static_keys = StaticKeys::new(&scheme, [(ID, keys(&scheme, 0))]).expect("keys");
    let step = Arc::new(AtomicI64::new(0));
    let mut body = BodyLimits::new().max_bytes(settings.body_limit).deadline(settings.deadline);
    if let Some(bytes) = settings.bytes_in_flight {
        body = body.max_bytes_in_flight(bytes);
    }
    let mut builder = Warden::builder(scheme.clone())
        .keys(static_keys.clone())
        .clock(SteppedClock { system: SystemClock::default(), step: step.clone() })
        .body(body)
        .tolerance(Tolerance::new(Duration::from_secs(settings.tolerance.into())).expect("a tolerance"))
        .replay(Replay::new().margin(Duration::ZERO));
    if settings.metrics {
        builder = builder.observer(MetricsObserver::new());
    }
    let mut quotas = Quotas::new().accepted(Quota::per_minute(settings.quota).expect("a quota"));
    quotas = match settings.rejected_quota.map(|count| Quota::per_minute(count).expect("a quota")) {
        Some(quota) => quotas.rejected(quota),
        None => quotas.danger_unlimited_rejected(),
    };
    if let Some((url, timeout)) = &settings.redis {
        let store = RedisStore::builder(url).timeout(*timeout).connect_later().expect("a store");
        builder = builder.shared_store(store);
        quotas = quotas.replicas(2);
    }
    if settings.logs {
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        log.with_writer(std::io::stderr).init();
        builder = builder.observer(TracingObserver::new());
    }
    (builder.quotas(quotas).build().expect("a Warden"), Controls { scheme, keys: static_keys, step, metrics })
}

/// Runs a handler, which prints its status and body.
async fn handle(how: Option<&str>, body: &[u8]) -> u16 {
    let status = match how {
        None => 200,
        Some("panic") => panic!("the test requested this panic"),
        Some("slow") => {
            println!("ran into {}", shown(body));
            tokio::time::sleep(SLOW).await;
            200
        }
        Some(status) => status.parse().expect("a status"),
    };
    println!("ran {status} {}", shown(body));
    status
}

fn shown(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body.get(..BODY_SHOWN).unwrap_or(body))
}

async fn serve_axum(settings: &Settings) {
    let (warden, controls) = warden(settings);
    let handle = async |headers: HeaderMap, body: axum::body::Bytes| {
        let how = headers.get(HANDLER).map(|how| how.to_str().expect("text"));
        StatusCode::from_u16(handle(how, &body).await).expect("a status")
    };
    let limit = GlobalConcurrencyLimitLayer::new(settings.concurrency.unwrap_or(Semaphore::MAX_PERMITS));
    // In one stack, because axum's `layer` wraps each layer in a service that is always ready.
    let layers = ServiceBuilder::new().layer(WardenLayer::new(warden)).layer(limit);
    let control = async move |Path((what, value)): Path<(String, String)>| controls.act(&what, &value);
    let app = Router::new()
        .route("/webhooks/{id}", post(handle).route_layer(layers))
        .route("/control/{what}/{value}", get(control));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    announce(listener.local_addr().expect("an address"));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.expect("no end");
}

async fn serve_actix(settings: &Settings) {
    let (warden, controls) = warden(settings);
    let handle = async |request: HttpRequest, body: Bytes| {
        let how = request.headers().get(HANDLER).map(|how| how.to_str().expect("text"));
        let status = handle(how, &body).await;
        HttpResponse::build(actix_web::http::StatusCode::from_u16(status).expect("a status")).finish()
    };
    // Shared by all workers.
    let permits = Arc::new(Semaphore::new(settings.concurrency.unwrap_or(Semaphore::MAX_PERMITS)));
    let server = HttpServer::new(move || {
        let permits = permits.clone();
        let limit = from_fn(move |request: ServiceRequest, next: Next<_>| {
            let permits = permits.clone();
            async move {
                let _permit = permits.acquire_owned().await.expect("an open semaphore");
                next.call(request).await
            }
        });
        let controls = controls.clone();
        let control = move |path: web::Path<(String, String)>| {
            let answer = controls.act(&path.0, &path.1);
            async { answer }
        };
        App::new()
            .app_data(web::PayloadConfig::new(warden.body_limit()))
            .service(
                web::resource("/webhooks/{id}")
                    .wrap(limit)
                    .wrap(WardenMiddleware::new(warden.clone()))
                    .route(web::post().to(handle)),
            )
            .route("/control/{what}/{value}", web::get().to(control))
    });
    let server = server.workers(2).disable_signals().bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    announce(*server.addrs().first().expect("an address"));
    server.run().await.expect("no end");
}

/// Prints the address for the test.
fn announce(address: SocketAddr) {
    println!("{LISTENING}{address}");
}

/// The variable with a receiver's settings.
pub(crate) const VARIABLE: &str = "HOOKWARDEN_TEST_ATTACKED_RECEIVER";

/// The start of the line with a receiver's address.
pub(crate) const LISTENING: &str = "listening on ";

/// The header that instructs a handler: a status, `panic` or `slow`.
pub(crate) const HANDLER: &str = "X-Handler";

/// The time of a slow handler.
pub(crate) const SLOW: Duration = Duration::from_millis(400);

/// The number of printed bytes of a body.
const BODY_SHOWN: usize = 64;

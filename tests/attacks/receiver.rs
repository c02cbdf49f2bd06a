//! The receiver that is attacked: this program again, told so by its environment.
//!
//! Its handlers and its controls are for tests alone: the header `X-Handler` tells a handler how to end, and
//! `GET /control/{what}/{value}` turns keys over, steps the wall clock, or leaves a mark on the standard output.

use std::borrow::Cow;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

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

use crate::util::sender::{ID, SECRET};

/// What a receiver runs with. A receiver by default counts no refusals: most attacks come from one address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) framework: Framework,
    pub(crate) is_stripe: bool,
    /// Bytes.
    pub(crate) body_limit: usize,
    pub(crate) deadline: Duration,
    /// Seconds.
    pub(crate) tolerance: u32,
    /// Accepted requests a minute.
    pub(crate) quota: u32,
    /// Refused requests a minute, if they are counted.
    pub(crate) rejected_quota: Option<u32>,
    pub(crate) redis: Option<(String, Duration)>,
    /// Writes a log of everything.
    pub(crate) logs: bool,
    /// Counts everything for the control `metrics`.
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
            deadline: Duration::from_secs(10),
            tolerance: 300,
            quota: 60_000_000,
            rejected_quota: None,
            redis: None,
            logs: false,
            metrics: true,
        }
    }

    /// The settings in this process's environment, which make it a receiver.
    pub(crate) fn of_this_process() -> Option<Self> {
        Some(serde_json::from_str(&std::env::var(VARIABLE).ok()?).expect("settings"))
    }

    fn scheme(&self) -> Scheme {
        if self.is_stripe { Scheme::stripe() } else { Scheme::timestamped() }
    }
}

/// The secret after so many turns.
pub(crate) fn secret(turn: u32) -> String {
    if turn == 0 { SECRET.to_owned() } else { format!("a-secret-of-the-tests-after-turn-{turn}") }
}

/// The newest secret, and the one before it.
fn keys(scheme: &Scheme, turn: u32) -> Keyring {
    let key = |turn: u32| Key::new(&turn.to_string(), scheme.secret(&secret(turn)).expect("a secret")).expect("a key");
    Keyring::from_keys([Some(turn), turn.checked_sub(1)].into_iter().flatten().map(key)).expect("a keyring")
}

/// The system's clocks, the wall clock a step away.
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

/// What the control routes act on.
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

/// Serves until the test that started this process is gone.
pub(crate) fn serve(settings: &Settings) {
    std::thread::spawn(|| {
        // Whatever ends it: nobody is there any more.
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
    // The recorder comes first: an observer's counters belong to the one that is there when it is made.
    let metrics = PrometheusBuilder::new().install_recorder().expect("the one recorder");
    let scheme = settings.scheme();
    let static_keys = StaticKeys::new(&scheme, [(ID, keys(&scheme, 0))]).expect("keys");
    let step = Arc::new(AtomicI64::new(0));
    let mut builder = Warden::builder(scheme.clone())
        .keys(static_keys.clone())
        .clock(SteppedClock { system: SystemClock::default(), step: step.clone() })
        .body(BodyLimits::new().max_bytes(settings.body_limit).deadline(settings.deadline))
        .tolerance(Tolerance::new(Duration::from_secs(settings.tolerance.into())).expect("a tolerance"))
        .replay(Replay::new().margin(Duration::ZERO));
    if settings.metrics {
        builder = builder.observer(MetricsObserver::new());
    }
    let mut quotas = Quotas::new().accepted(Quota::per_minute(settings.quota).expect("a quota"));
    quotas = match settings.rejected_quota.map(|count| Quota::per_minute(count).expect("a quota")) {
        Some(quota) => quotas.rejected(quota, quota),
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

/// What every handler does: it says how it ended and for which body.
async fn handle(how: Option<&str>, body: &[u8]) -> u16 {
    let status = match how {
        None => 200,
        Some("panic") => panic!("as the test wants it"),
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
    let control = async move |Path((what, value)): Path<(String, String)>| controls.act(&what, &value);
    let app = Router::new()
        .route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden)))
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
    let server = HttpServer::new(move || {
        let controls = controls.clone();
        let control = move |path: web::Path<(String, String)>| {
            let answer = controls.act(&path.0, &path.1);
            async { answer }
        };
        App::new()
            .app_data(web::PayloadConfig::new(warden.body_limit()))
            .service(
                web::resource("/webhooks/{id}")
                    .wrap(WardenMiddleware::new(warden.clone()))
                    .route(web::post().to(handle)),
            )
            .route("/control/{what}/{value}", web::get().to(control))
    });
    let server = server.workers(2).disable_signals().bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    announce(*server.addrs().first().expect("an address"));
    server.run().await.expect("no end");
}

/// Tells the test where to attack.
fn announce(address: SocketAddr) {
    println!("{LISTENING}{address}");
}

/// The variable with a receiver's settings.
pub(crate) const VARIABLE: &str = "HOOKWARDEN_TEST_ATTACKED_RECEIVER";

/// What the line with a receiver's address begins with.
pub(crate) const LISTENING: &str = "listening on ";

/// The header that tells a handler what to do: a status, `panic` or `slow`.
pub(crate) const HANDLER: &str = "X-Handler";

/// How long a slow handler takes.
pub(crate) const SLOW: Duration = Duration::from_millis(400);

/// So many bytes of a body are said.
const BODY_SHOWN: usize = 64;

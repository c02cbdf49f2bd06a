//! The settings that the example receivers share, read from the environment, and their observers.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `HOOKWARDEN_SECRETS` | `ID=SECRET,ID2=SECRET2`; a repeated id adds an older secret | none: exit code 2 |
//! | `HOOKWARDEN_ADDR` | the address to listen on; port 0 selects a free one | `127.0.0.1:3000` |
//! | `HOOKWARDEN_TOLERANCE` | seconds that a timestamp may be off | 300 |
//! | `HOOKWARDEN_DEADLINE` | seconds that a body may take | 10 |
//! | `HOOKWARDEN_BODY_LIMIT` | bytes that a body may have | 1048576 |
//! | `HOOKWARDEN_QUOTA` | accepted requests a minute for each webhook id | 100 |
//! | `HOOKWARDEN_REJECTED_QUOTA` | refused requests a minute for each peer and webhook id; twice as many for each peer | 60 |
//! | `HOOKWARDEN_REDIS_URL` | the Redis or Valkey that all receivers share, with feature `redis` | none: nothing is shared |
//! | `HOOKWARDEN_REPLICAS` | how many receivers share it | 1 |
//! | `HOOKWARDEN_TRUSTED_HOPS` | number of proxies in front that append to `X-Forwarded-For` and set `X-Forwarded-Proto` | none |
//! | `HOOKWARDEN_TRUSTED_PROXIES` | `10.0.0.7,10.1.0.0/16`: where the last of them connects from | none; each requires the other |
//! | `HOOKWARDEN_PLAIN_HTTP` | for requests neither by TLS nor from this machine: `refuse`, `redirect:hooks.example.com` or `danger-allow` | `refuse` |
//! | `HOOKWARDEN_SHUTDOWN_LIMIT` | seconds that a shutdown waits for handlers whose clients disconnected | 30 |
//! | `HOOKWARDEN_DANGER_REPORT_ONLY` | `true`: refusals are reported, and requests reach the handler; its `Webhook<T>` then refuses them | `false` |
//! | `HOOKWARDEN_SECURITY_CONTACT` | `mailto:security@example.com`, for `/.well-known/security.txt` | none: not served |

use std::env::{self, VarError};
use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

use hookwarden::event::{MetricsObserver, TracingObserver};
use hookwarden::harden::{Harden, PlainHttp, SecurityTxt};
use hookwarden::proxies::Proxies;
use hookwarden::warden::{BodyLimits, Quotas};
use hookwarden::{ConfigError, Key, Keyring, Quota, Scheme, Timestamp, Tolerance, Warden};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};

/// The configuration of a receiver.
pub(crate) struct Settings {
    pub(crate) warden: Warden,
    pub(crate) harden: Harden,
    pub(crate) security_txt: Option<SecurityTxt>,
    pub(crate) address: String,
    pub(crate) metrics: PrometheusHandle,
    shutdown_limit: Duration,
}

impl Settings {
    /// Reads the settings from the environment, and installs logging and metrics.
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let scheme = Scheme::timestamped();
        let secrets = match setting::<String>("HOOKWARDEN_SECRETS")? {
            Some(secrets) if !secrets.is_empty() => secrets,
            _ => {
                return Err(
                    "HOOKWARDEN_SECRETS is not set; try HOOKWARDEN_SECRETS=\"acme=$(openssl rand -hex 32)\"".into()
                );
            }
        };
        let mut builder = Warden::builder(scheme.clone());
        for (id, keys) in senders(&scheme, &secrets)? {
            builder = builder.sender(id, keys);
        }
        if let Some(seconds) = setting("HOOKWARDEN_TOLERANCE")? {
            builder = builder.tolerance(Tolerance::new(Duration::from_secs(seconds))?);
        }
        let mut limits = BodyLimits::new();
        if let Some(seconds) = setting("HOOKWARDEN_DEADLINE")? {
            limits = limits.deadline(Duration::from_secs(seconds));
        }
        if let Some(bytes) = setting("HOOKWARDEN_BODY_LIMIT")? {
            limits = limits.max_bytes(bytes);
        }
        let mut quotas = Quotas::new();
        if let Some(count) = setting("HOOKWARDEN_QUOTA")? {
            quotas = quotas.accepted(Quota::per_minute(count)?);
        }
        if let Some(count) = setting("HOOKWARDEN_REJECTED_QUOTA")? {
            let quota = Quota::per_minute(count)?;
            quotas = quotas.rejected(quota);
        }
        #[cfg(feature = "redis")]
        if let Some(url) = setting::<String>("HOOKWARDEN_REDIS_URL")? {
            let store = hookwarden::redis::RedisStore::builder(url).connect_later()?;
            builder = builder.shared_store(store);
            quotas = quotas.replicas(setting("HOOKWARDEN_REPLICAS")?.unwrap_or(1));
        }
        #[cfg(not(feature = "redis"))]
        if env::var_os("HOOKWARDEN_REDIS_URL").is_some() {
            return Err("HOOKWARDEN_REDIS_URL: requires a build with the feature redis".into());
        }
        if setting("HOOKWARDEN_DANGER_REPORT_ONLY")?.unwrap_or(false) {
            builder = builder.danger_report_only();
        }
        let proxies = proxies()?;
        let mut harden = Harden::builder().signatures_of(&scheme).proxies(proxies.clone());
        harden = match setting::<String>("HOOKWARDEN_PLAIN_HTTP")?.as_deref() {
            None | Some("refuse") => harden.plain_http(PlainHttp::Refuse),
            Some("danger-allow") => harden.plain_http(PlainHttp::DangerAllow),
            Some(other) => match other.strip_prefix("redirect:") {
                Some(host) => harden.plain_http(PlainHttp::Redirect).redirect_host(host),
                None => return Err("HOOKWARDEN_PLAIN_HTTP: must be refuse, redirect:HOST or danger-allow".into()),
            },
        };
        let security_txt = match setting::<String>("HOOKWARDEN_SECURITY_CONTACT")? {
            Some(contact) => {
                let expires = Timestamp::from_unix(Timestamp::now().as_unix().saturating_add(EXPIRY));
                Some(SecurityTxt::builder().contact(&contact).expires(expires).build()?)
            }
            None => None,
        };
        let shutdown_limit = Duration::from_secs(setting("HOOKWARDEN_SHUTDOWN_LIMIT")?.unwrap_or(30));
        let address = setting("HOOKWARDEN_ADDR")?.unwrap_or_else(|| "127.0.0.1:3000".into());
        // Install the recorder before creating the observer, which registers its counters with the installed one.
        let metrics = PrometheusBuilder::new().install_recorder()?;
        let recorded = metrics.clone();
        // The recorder keeps every sample until a scrape or `run_upkeep`.
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(UPKEEP);
                recorded.run_upkeep();
            }
        });
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
        let builder = builder.body(limits).quotas(quotas).proxies(proxies);
        let warden = builder.observer(TracingObserver::new()).observer(MetricsObserver::new()).build()?;
        Ok(Self { warden, harden: harden.build()?, security_txt, address, metrics, shutdown_limit })
    }

    /// Returns a future that waits until no handler runs, and prints how many did not finish.
    pub(crate) fn waiting_for_handlers(&self) -> impl Future<Output = ()> + use<> {
        let (warden, limit) = (self.warden.clone(), self.shutdown_limit);
        async move {
            let running = warden.wait_for_handlers(limit).await;
            if running > 0 {
                eprintln!("{running} handlers did not finish: retries will run them again");
            }
        }
    }
}

/// Reads the proxies in front, for the Warden and for `Harden`.
fn proxies() -> Result<Proxies, Box<dyn Error>> {
    match (setting("HOOKWARDEN_TRUSTED_HOPS")?, setting::<String>("HOOKWARDEN_TRUSTED_PROXIES")?) {
        (None, None) => Ok(Proxies::default()),
        (Some(hops), Some(networks)) => Ok(Proxies::x_forwarded_for(hops, networks.split(','))?),
        (Some(_), None) => Err("HOOKWARDEN_TRUSTED_HOPS requires HOOKWARDEN_TRUSTED_PROXIES".into()),
        (None, Some(_)) => Err("HOOKWARDEN_TRUSTED_PROXIES requires HOOKWARDEN_TRUSTED_HOPS".into()),
    }
}

/// Returns the answer of a handler: its status and its body.
pub(crate) async fn handle(webhook_id: &str, payload: &[u8]) -> (u16, Value) {
    let document: Value = serde_json::from_slice(payload).unwrap_or_default();
    let kind = document.get("type").filter(|kind| kind.is_string());
    if kind.is_some_and(|kind| kind == "fail") {
        return (500, json!({ "error": "the handler failed, as requested by the payload" }));
    }
    if kind.is_some_and(|kind| kind == "slow") {
        eprintln!("slow work begins");
        let _ = tokio::task::spawn_blocking(|| std::thread::sleep(SLOW)).await;
    }
    (200, json!({ "id": webhook_id, "bytes": payload.len(), "type": kind }))
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn shutdown() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}

/// Reads `ID=SECRET,ID2=SECRET2`. Errors do not repeat any part of it.
fn senders(scheme: &Scheme, text: &str) -> Result<Vec<(String, Keyring)>, Box<dyn Error>> {
    let mut senders: Vec<(String, Vec<Key>)> = Vec::new();
    for (index, entry) in text.split(',').enumerate() {
        let (id, secret) =
            entry.split_once('=').ok_or_else(|| format!("HOOKWARDEN_SECRETS: entry {index} must be ID=SECRET"))?;
        let secret = scheme.secret(secret).map_err(|error| format!("HOOKWARDEN_SECRETS: entry {index}: {error}"))?;
        match senders.iter_mut().find(|(known, _)| known == id) {
            Some((_, keys)) => keys.push(Key::new(&keys.len().to_string(), secret)?),
            None => senders.push((id.into(), vec![Key::new("0", secret)?])),
        }
    }
    let keyring = |(id, keys): (String, Vec<Key>)| Ok::<_, ConfigError>((id, Keyring::from_keys(keys)?));
    Ok(senders.into_iter().map(keyring).collect::<Result<_, _>>()?)
}

fn setting<T: FromStr>(name: &str) -> Result<Option<T>, Box<dyn Error>> {
    match env::var(name) {
        // The text may be a secret, so no error repeats it.
        Ok(text) => text.parse().map(Some).map_err(|_| format!("{name}: must be a valid value").into()),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name}: must be UTF-8").into()),
    }
}

/// The duration of a `slow` handler.
const SLOW: Duration = Duration::from_secs(3);
/// The lifetime of `security.txt` from each start of the receiver, in seconds: half a year.
const EXPIRY: i64 = 180 * 86_400;
/// The interval at which the recorder aggregates its samples.
const UPKEEP: Duration = Duration::from_secs(5);

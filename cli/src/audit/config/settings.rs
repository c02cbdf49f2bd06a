//! A receiver's settings as a TOML document, each with its line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::failure::Failure;
use crate::input::line_at;

/// A parsed document, with its text to compute line numbers.
#[derive(Debug)]
pub(super) struct Document {
    path: PathBuf,
    text: String,
    pub(super) settings: Settings,
}

/// The settings of a receiver.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) scheme: Option<Spanned<String>>,
    pub(super) keys: Option<Spanned<PathBuf>>,
    pub(super) methods: Option<Spanned<Vec<String>>>,
    pub(super) content_types: Option<Spanned<Vec<String>>>,
    /// Seconds.
    pub(super) tolerance: Option<Spanned<u32>>,
    pub(super) redis_url: Option<Spanned<String>>,
    pub(super) danger_report_only: Option<Spanned<bool>>,
    pub(super) danger_allow_shared_secrets: Option<Spanned<bool>>,
    #[serde(default)]
    pub(super) body: Body,
    #[serde(default)]
    pub(super) quotas: Quotas,
    #[serde(default)]
    pub(super) replay: Replay,
    #[serde(default)]
    pub(super) proxies: Proxies,
}

/// The table `[body]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    /// Bytes.
    pub(super) max_bytes: Option<Spanned<usize>>,
    /// Bytes.
    pub(super) max_bytes_in_flight: Option<Spanned<usize>>,
    /// Seconds.
    pub(super) deadline: Option<Spanned<u64>>,
}

/// The table `[quotas]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quotas {
    pub(super) accepted: Option<Spanned<Rate>>,
    pub(super) rejected: Option<Spanned<Rate>>,
    pub(super) rejected_by_peer: Option<Spanned<Rate>>,
    pub(super) replicas: Option<Spanned<u32>>,
    pub(super) danger_unlimited_accepted: Option<Spanned<bool>>,
    pub(super) danger_unlimited_rejected: Option<Spanned<bool>>,
}

/// `limit` requests in `per` seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    pub(super) limit: u32,
    /// Seconds.
    pub(super) per: u32,
}

impl Rate {
    pub(super) fn a_minute(self) -> u64 {
        u64::from(self.limit).saturating_mul(60).checked_div(u64::from(self.per)).unwrap_or(u64::MAX)
    }
}

/// The table `[replay]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    pub(super) store: Option<Spanned<ReplayStore>>,
    /// Entries in memory.
    pub(super) capacity: Option<Spanned<usize>>,
    /// Seconds.
    pub(super) margin: Option<Spanned<u32>>,
    /// Seconds, for a scheme without a timestamp.
    pub(super) lifetime: Option<Spanned<u32>>,
    /// For a scheme without a timestamp.
    pub(super) danger_simultaneous_only: Option<Spanned<bool>>,
    /// A header's name, for a scheme without a timestamp.
    pub(super) danger_unsigned_id_header: Option<Spanned<String>>,
    /// Seconds.
    pub(super) lease: Option<Spanned<u64>>,
    pub(super) duplicates_conflict: Option<Spanned<bool>>,
    pub(super) danger_off: Option<Spanned<bool>>,
    pub(super) danger_fall_back_to_this_process: Option<Spanned<bool>>,
}

/// The table `[proxies]`: the number of proxies that add to one of two headers, and their networks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proxies {
    pub(super) x_forwarded_for: Option<Spanned<usize>>,
    pub(super) forwarded: Option<Spanned<usize>>,
    pub(super) networks: Option<Spanned<Vec<String>>>,
}

impl Proxies {
    /// The setting of the number of proxies; at most one of the two may be set.
    pub(super) fn hops(&self) -> &Option<Spanned<usize>> {
        if self.x_forwarded_for.is_some() { &self.x_forwarded_for } else { &self.forwarded }
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ReplayStore {
    #[default]
    Memory,
    Redis,
    None,
}

impl Document {
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Failure> {
        let settings = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let place = error.span().map(|span| format!("line {}: ", line_at(&text, span.start))).unwrap_or_default();
            Failure::file(path, format!("{place}{}", problem(error.message())))
        })?;
        let document = Self { path: path.into(), text, settings };
        document.listen()?;
        Ok(document)
    }

    pub(super) fn line<T>(&self, setting: &Option<Spanned<T>>) -> Option<usize> {
        setting.as_ref().map(|setting| line_at(&self.text, setting.span().start))
    }

    /// The error for a setting's value, with its line.
    pub(super) fn fault<T>(&self, setting: &Option<Spanned<T>>, problem: impl std::fmt::Display) -> Failure {
        let place = self.line(setting).map(|line| format!("line {line}: ")).unwrap_or_default();
        Failure::file(&self.path, format!("{place}{problem}"))
    }

    /// The address that the receiver listens on.
    pub(super) fn listen(&self) -> Result<Option<SocketAddr>, Failure> {
        let Some(listen) = &self.settings.listen else { return Ok(None) };
        let text = listen.get_ref();
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let address = local.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).or_else(|| text.parse().ok());
        let problem = "listen: must be an address with a port, such as 127.0.0.1:3000";
        address.map(Some).ok_or_else(|| self.fault(&self.settings.listen, problem))
    }

    /// The store of deliveries, for replay protection.
    pub(super) fn replay_store(&self) -> ReplayStore {
        self.settings.replay.store.as_ref().map(|store| *store.get_ref()).unwrap_or_default()
    }
}

/// The parser's message without the value that it rejects, which may be a secret.
fn problem(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if message.starts_with("invalid") => format!("expected {expected}"),
        _ => message.to_owned(),
    }
}

pub(super) fn is_on(danger: &Option<Spanned<bool>>) -> bool {
    danger.as_ref().is_some_and(|danger| *danger.get_ref())
}

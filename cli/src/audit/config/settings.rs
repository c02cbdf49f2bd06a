//! A receiver's settings as a TOML document, each with its line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::failure::Failure;

/// A document that was read, with what is needed to name its lines.
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
    /// Bytes.
    pub(super) body_limit: Option<Spanned<usize>>,
    /// Seconds.
    pub(super) body_deadline: Option<Spanned<u64>>,
    pub(super) quota: Option<Spanned<Rate>>,
    pub(super) rejected_quota: Option<Spanned<Rate>>,
    pub(super) trusted_hops: Option<Spanned<Hops>>,
    pub(super) trusted_proxies: Option<Spanned<Vec<String>>>,
    pub(super) replay: Option<Spanned<Replay>>,
    pub(super) redis_url: Option<Spanned<String>>,
    pub(super) replicas: Option<Spanned<u32>>,
    pub(super) danger_without_quota: Option<Spanned<bool>>,
    pub(super) danger_without_rejected_quotas: Option<Spanned<bool>>,
    pub(super) danger_without_replay_protection: Option<Spanned<bool>>,
    pub(super) danger_replay_falls_back_to_this_process: Option<Spanned<bool>>,
    pub(super) danger_allow_shared_secrets: Option<Spanned<bool>>,
}

/// So many requests in so many seconds.
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hops {
    #[serde(default)]
    pub(super) header: HopHeader,
    pub(super) count: usize,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HopHeader {
    #[default]
    XForwardedFor,
    Forwarded,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    #[serde(default)]
    pub(super) store: ReplayStore,
    /// Entries in memory.
    pub(super) capacity: Option<usize>,
    /// Seconds, for a scheme without a timestamp.
    pub(super) lifetime: Option<u32>,
    /// Seconds.
    pub(super) margin: Option<u32>,
    /// Seconds.
    pub(super) lease: Option<u64>,
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
            let place = error.span().map(|span| format!("line {}: ", line(&text, span.start))).unwrap_or_default();
            Failure::file(path, format!("{place}{}", problem(error.message())))
        })?;
        let document = Self { path: path.into(), text, settings };
        document.listen()?;
        Ok(document)
    }

    /// The line of a setting.
    pub(super) fn line<T>(&self, setting: &Option<Spanned<T>>) -> Option<usize> {
        setting.as_ref().map(|setting| line(&self.text, setting.span().start))
    }

    /// What is wrong with a setting's value.
    pub(super) fn fault<T>(&self, setting: &Option<Spanned<T>>, problem: impl std::fmt::Display) -> Failure {
        let place = self.line(setting).map(|line| format!("line {line}: ")).unwrap_or_default();
        Failure::file(&self.path, format!("{place}{problem}"))
    }

    /// The address that is listened on.
    pub(super) fn listen(&self) -> Result<Option<SocketAddr>, Failure> {
        let Some(listen) = &self.settings.listen else { return Ok(None) };
        let text = listen.get_ref();
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let address = local.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).or_else(|| text.parse().ok());
        let problem = "listen is no address with a port, such as 127.0.0.1:3000";
        address.map(Some).ok_or_else(|| self.fault(&self.settings.listen, problem))
    }

    /// Where deliveries are remembered.
    pub(super) fn replay_store(&self) -> ReplayStore {
        self.settings.replay.as_ref().map(|replay| replay.get_ref().store).unwrap_or_default()
    }
}

/// The library's message without the value that it refuses: a URL with a password in the wrong place, say.
fn problem(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if message.starts_with("invalid") => format!("expected {expected}"),
        _ => message.to_owned(),
    }
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

pub(super) fn is_on(danger: &Option<Spanned<bool>>) -> bool {
    danger.as_ref().is_some_and(|danger| *danger.get_ref())
}

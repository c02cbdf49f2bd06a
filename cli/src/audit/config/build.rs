//! Whether a Warden can be built from the settings at all: the library says what cannot be right.

use std::path::Path;
use std::time::Duration;

use hookwarden::proxies::Proxies;
use hookwarden::warden::{BodyLimits, Quotas, Replay};
use hookwarden::{ConfigError, Keyring, Quota, Scheme, Secret, Tolerance, Warden};
use toml::Spanned;

use super::settings::{Document, HopHeader, Rate, ReplayStore, Settings, is_on};
use crate::failure::Failure;
use crate::input::SchemeArgument;

/// The scheme of the settings; a path is relative to `base`.
pub(super) fn scheme(document: &Document, base: &Path) -> Result<Scheme, Failure> {
    let Some(setting) = &document.settings.scheme else { return Ok(Scheme::timestamped()) };
    let name = setting.get_ref();
    let path = base.join(name);
    let name = if path.is_file() { path.display().to_string() } else { name.clone() };
    SchemeArgument::named(name).scheme().map_err(|failure| {
        let failure = failure.to_string();
        document.fault(&document.settings.scheme, failure.trim_start_matches("--scheme: "))
    })
}

/// Builds one and drops it. Its store is this process, since nobody is to be connected to.
pub(super) fn check(document: &Document, scheme: Scheme) -> Result<(), Failure> {
    let settings = &document.settings;
    let secret = Secret::generate().map_err(|error| Failure::outside("random numbers", error))?;
    let mut builder = Warden::builder(scheme).sender("audit", Keyring::new(secret));
    if let Some(methods) = list(&settings.methods) {
        builder = builder.methods(methods);
    }
    if let Some(content_types) = list(&settings.content_types) {
        builder = builder.content_types(content_types);
    }
    if let Some(seconds) = value(&settings.tolerance) {
        let tolerance = Tolerance::new(Duration::from_secs(seconds.into()));
        builder = builder.tolerance(tolerance.map_err(|error| document.fault(&settings.tolerance, error))?);
    }
    let mut limits = BodyLimits::new();
    if let Some(bytes) = value(&settings.body_limit) {
        demand(document, &settings.body_limit, bytes > 0, "body_limit is zero bytes")?;
        limits = limits.max_bytes(bytes);
    }
    if let Some(seconds) = value(&settings.body_deadline) {
        let possible = (1..=86_400).contains(&seconds);
        demand(document, &settings.body_deadline, possible, "body_deadline is not within 1..=86400 seconds")?;
        limits = limits.deadline(Duration::from_secs(seconds));
    }
    let mut quotas = Quotas::new();
    if let Some(rate) = value(&settings.quota) {
        quotas = quotas.accepted(quota(rate).map_err(|error| document.fault(&settings.quota, error))?);
    }
    if let Some(rate) = value(&settings.rejected_quota) {
        let quota = quota(rate).map_err(|error| document.fault(&settings.rejected_quota, error))?;
        quotas = quotas.rejected(quota, quota);
    }
    if let Some(replicas) = value(&settings.replicas) {
        demand(document, &settings.replicas, replicas > 0, "replicas are zero")?;
    }
    let builder = builder.body(limits).quotas(quotas).proxies(proxies(document)?).replay(replay(document)?);
    builder.build().map(|_| ()).map_err(|error| match error.field() {
        "methods" => document.fault(&settings.methods, error),
        "content types" => document.fault(&settings.content_types, error),
        "tolerance" => document.fault(&settings.tolerance, error),
        _ => document.fault(&settings.replay, error),
    })
}

fn proxies(document: &Document) -> Result<Proxies, Failure> {
    let Settings { trusted_hops, trusted_proxies, .. } = &document.settings;
    let networks = list(trusted_proxies).map(|networks| networks.iter().map(String::as_str));
    let Some(hops) = trusted_hops.as_ref().map(Spanned::get_ref).filter(|hops| hops.count > 0) else {
        demand(document, trusted_proxies, networks.is_none(), "trusted_proxies requires trusted_hops")?;
        return Ok(Proxies::default());
    };
    let proxies = match (hops.header, networks) {
        (HopHeader::XForwardedFor, Some(networks)) => Proxies::x_forwarded_for(hops.count, networks),
        (HopHeader::Forwarded, Some(networks)) => Proxies::forwarded(hops.count, networks),
        (HopHeader::XForwardedFor, None) => Proxies::danger_x_forwarded_for_from_anywhere(hops.count),
        (HopHeader::Forwarded, None) => Proxies::danger_forwarded_from_anywhere(hops.count),
    };
    proxies.map_err(|error| match error.field() {
        "proxies.hops" => document.fault(trusted_hops, error),
        _ => document.fault(trusted_proxies, error),
    })
}

fn replay(document: &Document) -> Result<Replay, Failure> {
    let settings = &document.settings;
    let is_off = is_on(&settings.danger_without_replay_protection);
    match document.replay_store() {
        ReplayStore::None => {
            let problem = "replay.store is none, which takes danger_without_replay_protection = true";
            demand(document, &settings.replay, is_off, problem)?;
        }
        ReplayStore::Redis => {
            demand(
                document,
                &settings.replay,
                settings.redis_url.is_some(),
                "replay.store is redis, and there is no redis_url",
            )?;
        }
        ReplayStore::Memory => {}
    }
    let mut built = if is_off { Replay::danger_off() } else { Replay::new() };
    if let Some(replay) = settings.replay.as_ref().map(Spanned::get_ref) {
        if let Some(entries) = replay.capacity {
            built = built.capacity(entries);
        }
        if let Some(seconds) = replay.lifetime {
            built = built.lifetime(Duration::from_secs(seconds.into()));
        }
        if let Some(seconds) = replay.margin {
            built = built.margin(Duration::from_secs(seconds.into()));
        }
        if let Some(seconds) = replay.lease {
            built = built.lease(Duration::from_secs(seconds));
        }
    }
    Ok(built)
}

fn quota(rate: Rate) -> Result<Quota, ConfigError> {
    // A limit of zero has no period; the library names what is wrong with it.
    let period = Duration::from_secs(rate.per.into()).checked_div(rate.limit).unwrap_or_default();
    Quota::new(rate.limit, period)
}

fn value<T: Copy>(setting: &Option<Spanned<T>>) -> Option<T> {
    setting.as_ref().map(|setting| *setting.get_ref())
}

fn list(setting: &Option<Spanned<Vec<String>>>) -> Option<&[String]> {
    setting.as_ref().map(|setting| setting.get_ref().as_slice())
}

fn demand<T>(document: &Document, setting: &Option<Spanned<T>>, holds: bool, problem: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(document.fault(setting, problem)) }
}

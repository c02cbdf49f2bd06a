//! Builds a Warden from the settings, so that the library reports invalid values.

use std::path::Path;
use std::time::Duration;

use hookwarden::proxies::Proxies;
use hookwarden::warden::{BodyLimits, Quotas, Replay};
use hookwarden::{ConfigError, Keyring, Quota, Scheme, Secret, Tolerance, Warden};
use toml::Spanned;

use super::settings::{self, Document, Rate, ReplayStore, is_on};
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

/// Builds a Warden and drops it. It uses the in-process store, because the check opens no connection.
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
    if let Some(bytes) = value(&settings.body.max_bytes) {
        limits = limits.max_bytes(bytes);
    }
    if let Some(bytes) = value(&settings.body.max_bytes_in_flight) {
        limits = limits.max_bytes_in_flight(bytes);
    }
    if let Some(seconds) = value(&settings.body.deadline) {
        limits = limits.deadline(Duration::from_secs(seconds));
    }
    let mut quotas = Quotas::new();
    let settings::Quotas {
        accepted,
        rejected,
        rejected_by_peer,
        replicas,
        danger_unlimited_accepted,
        danger_unlimited_rejected,
    } = &settings.quotas;
    if let Some(rate) = value(accepted) {
        quotas =
            quotas.accepted(quota(rate).map_err(|error| document.fault(accepted, named("quotas.accepted", &error)))?);
    }
    if let Some(rate) = value(rejected) {
        let quota = quota(rate).map_err(|error| document.fault(rejected, named("quotas.rejected", &error)))?;
        quotas = quotas.rejected(quota);
    }
    if let Some(rate) = value(rejected_by_peer) {
        let by_peer = quota(rate);
        let by_peer =
            by_peer.map_err(|error| document.fault(rejected_by_peer, named("quotas.rejected_by_peer", &error)))?;
        quotas = quotas.rejected_by_peer(by_peer);
    }
    if is_on(danger_unlimited_accepted) {
        quotas = quotas.danger_unlimited_accepted();
    }
    if is_on(danger_unlimited_rejected) {
        quotas = quotas.danger_unlimited_rejected();
    }
    if let Some(count) = value(replicas) {
        demand(document, replicas, count > 0, "quotas.replicas: must be at least 1")?;
    }
    if is_on(&settings.danger_report_only) {
        let problem = "danger_report_only: must not be set with redis_url, because the store also decides about requests \
                       to receivers that enforce: remove one of them";
        demand(document, &settings.danger_report_only, settings.redis_url.is_none(), problem)?;
        builder = builder.danger_report_only();
    }
    let builder = builder.body(limits).quotas(quotas).proxies(proxies(document)?).replay(replay(document)?);
    builder.build().map(|_| ()).map_err(|error| match error.field() {
        "replay" => document.fault(&settings.scheme, EQUAL_BODIES),
        "replay.danger_simultaneous_only" => document.fault(&settings.replay.danger_simultaneous_only, error),
        "replay.danger_unsigned_id_header" => document.fault(&settings.replay.danger_unsigned_id_header, error),
        "methods" => document.fault(&settings.methods, error),
        "content_types" => document.fault(&settings.content_types, error),
        "tolerance" => document.fault(&settings.tolerance, error),
        "body.max_bytes" => document.fault(&settings.body.max_bytes, error),
        "body.max_bytes_in_flight" => document.fault(&settings.body.max_bytes_in_flight, error),
        "body.deadline" => document.fault(&settings.body.deadline, error),
        "quotas.rejected_by_peer" => document.fault(&settings.quotas.rejected_by_peer, error),
        "replay.capacity" => document.fault(&settings.replay.capacity, error),
        "replay.margin" => document.fault(&settings.replay.margin, error),
        "replay.lifetime" => document.fault(&settings.replay.lifetime, error),
        "replay.lease" => document.fault(&settings.replay.lease, error),
        "replay.duplicates_conflict" => document.fault(&settings.replay.duplicates_conflict, error),
        _ => document.fault(&settings.replay.store, error),
    })
}

fn proxies(document: &Document) -> Result<Proxies, Failure> {
    let settings = &document.settings.proxies;
    let is_one = settings.x_forwarded_for.is_none() || settings.forwarded.is_none();
    demand(document, &settings.forwarded, is_one, "proxies.forwarded: must not be set with x_forwarded_for")?;
    let hops = settings.hops();
    let networks = list(&settings.networks).map(|networks| networks.iter().map(String::as_str));
    let Some(count) = value(hops).filter(|count| *count > 0) else {
        let problem =
            "proxies.networks: requires x_forwarded_for or forwarded: set one of them to the number of proxies";
        demand(document, &settings.networks, networks.is_none(), problem)?;
        return Ok(Proxies::default());
    };
    let proxies = match (settings.forwarded.is_some(), networks) {
        (false, Some(networks)) => Proxies::x_forwarded_for(count, networks),
        (true, Some(networks)) => Proxies::forwarded(count, networks),
        (false, None) => Proxies::danger_x_forwarded_for_from_anywhere(count),
        (true, None) => Proxies::danger_forwarded_from_anywhere(count),
    };
    proxies.map_err(|error| match error.field() {
        "proxies.hops" if settings.forwarded.is_some() => document.fault(hops, named("proxies.forwarded", &error)),
        "proxies.hops" => document.fault(hops, named("proxies.x_forwarded_for", &error)),
        _ => document.fault(&settings.networks, error),
    })
}

fn replay(document: &Document) -> Result<Replay, Failure> {
    let settings = &document.settings.replay;
    let is_off = is_on(&settings.danger_off);
    match document.replay_store() {
        ReplayStore::None => {
            let problem = "replay.store: \"none\" requires danger_off = true";
            demand(document, &settings.store, is_off, problem)?;
        }
        ReplayStore::Redis => {
            let problem = "replay.store: \"redis\" requires redis_url";
            demand(document, &settings.store, document.settings.redis_url.is_some(), problem)?;
        }
        ReplayStore::Memory => {}
    }
    let mut built = if is_off { Replay::danger_off() } else { Replay::new() };
    if let Some(entries) = value(&settings.capacity) {
        built = built.capacity(entries);
    }
    if let Some(seconds) = value(&settings.lifetime) {
        built = built.lifetime(Duration::from_secs(seconds.into()));
    }
    if is_on(&settings.danger_simultaneous_only) {
        built = built.danger_simultaneous_only();
    }
    if let Some(name) = &settings.danger_unsigned_id_header {
        built = built.danger_unsigned_id_header(name.get_ref());
    }
    if let Some(seconds) = value(&settings.margin) {
        built = built.margin(Duration::from_secs(seconds.into()));
    }
    if let Some(seconds) = value(&settings.lease) {
        built = built.lease(Duration::from_secs(seconds));
    }
    if is_on(&settings.duplicates_conflict) {
        built = built.duplicates_conflict();
    }
    Ok(built)
}

fn quota(rate: Rate) -> Result<Quota, ConfigError> {
    // A limit of zero has no period. The library reports the error.
    let period = Duration::from_secs(rate.per.into()).checked_div(rate.limit).unwrap_or_default();
    Quota::new(rate.limit, period)
}

/// The error with the name of the setting in the file instead of the library's field.
fn named(setting: &str, error: &ConfigError) -> String {
    let text = error.to_string();
    let problem = text.strip_prefix(error.field()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
    format!("{setting}: {problem}")
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

const EQUAL_BODIES: &str = "replay: must define when equal bodies are duplicates, because the scheme signs no timestamp: \
                            set lifetime (within the lifetime), danger_simultaneous_only (while the handler runs), or \
                            danger_unsigned_id_header with a lifetime (if their ids are equal)";

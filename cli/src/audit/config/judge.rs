//! What is unwise about settings that can be right.

use hookwarden::Scheme;
use toml::Spanned;

use super::settings::{Document, Rate, ReplayStore, is_on};
use crate::audit::finding::{Finding, Severity};

/// Everything but what the keys and the Redis say.
pub(super) fn findings(document: &Document, scheme: &Scheme) -> Vec<Finding> {
    let settings = &document.settings;
    let mut found = Vec::new();
    found.extend(tolerance(document, scheme));
    found.extend(body(document));
    let quotas =
        [(&settings.quota, LARGE_QUOTA, "quota"), (&settings.rejected_quota, LARGE_REJECTED_QUOTA, "rejected_quota")];
    found.extend(quotas.into_iter().filter_map(|(rate, most, name)| quota(document, rate, most, name)));
    found.extend(hops(document));
    found.extend(replay(document, scheme));
    found.extend(dangers(document));
    found
}

fn tolerance(document: &Document, scheme: &Scheme) -> Option<Finding> {
    let setting = &document.settings.tolerance;
    let default = || scheme.tolerance().as_duration().as_secs();
    let seconds = setting.as_ref().map_or_else(default, |seconds| u64::from(*seconds.get_ref()));
    let line = document.line(setting);
    if !scheme.is_timestamped() {
        return None;
    }
    if seconds > LONG_TOLERANCE {
        let detail =
            format!("a captured request is valid for {seconds} seconds, and deliveries are remembered as long");
        let fix = "set 300 seconds, and repair clocks rather than allow for them";
        return Some(Finding::new("tolerance-large", Severity::Medium, "large tolerance", detail, fix).at_line(line));
    }
    (seconds < SHORT_TOLERANCE).then(|| {
        let detail =
            format!("a request is refused when its clock is {seconds} seconds off or it took as long to arrive");
        let fix = "set 300 seconds; at least 30";
        Finding::new("tolerance-small", Severity::Low, "small tolerance", detail, fix).at_line(line)
    })
}

fn body(document: &Document) -> Vec<Finding> {
    let settings = &document.settings;
    let mut found = Vec::new();
    if let Some(bytes) = settings.body_limit.as_ref().map(Spanned::get_ref).filter(|bytes| **bytes > LARGE_BODY) {
        let detail = format!("each request may hold {} MiB of memory", bytes / 1_048_576);
        let fix = "set it to the largest body that the provider sends; GitHub's 25 MiB are the most that is common";
        let finding = Finding::new("body-limit-large", Severity::Medium, "large body limit", detail, fix);
        found.push(finding.at_line(document.line(&settings.body_limit)));
    }
    if let Some(seconds) = settings.body_deadline.as_ref().map(Spanned::get_ref).filter(|n| **n > LONG_DEADLINE) {
        let detail = format!("a peer may hold a connection for {seconds} seconds with a body that trickles");
        let finding = Finding::new("body-deadline-long", Severity::Medium, "long deadline", detail, "set 10 seconds");
        found.push(finding.at_line(document.line(&settings.body_deadline)));
    }
    found
}

fn quota(document: &Document, setting: &Option<Spanned<Rate>>, most: u64, name: &str) -> Option<Finding> {
    let rate = setting.as_ref()?.get_ref().a_minute();
    (rate > most).then(|| {
        let detail = format!("{name} lets {rate} requests a minute through, which stops nobody");
        let fix = format!("set what the sender needs at its busiest, at most {most} a minute");
        let finding = Finding::new("quota-large", Severity::Low, "large quota", detail, fix);
        finding.at_line(document.line(setting))
    })
}

fn hops(document: &Document) -> Option<Finding> {
    let setting = &document.settings.trusted_hops;
    let count = setting.as_ref().map_or(0, |hops| hops.get_ref().count);
    // An address that cannot be read was an error before.
    let listen = document.listen().ok().flatten();
    let is_local = listen.is_some_and(|address| address.ip().is_loopback());
    if count > MANY_HOPS {
        let detail = format!("{count} proxies are trusted: if there are fewer, every client chooses its own address");
        let fix = "count the proxies of your own that add to the header";
        let finding = Finding::new("hops-many", Severity::Medium, "many trusted hops", detail, fix);
        return Some(finding.at_line(document.line(setting)));
    }
    if count == 0 && is_local {
        let detail = "only this machine reaches the receiver, so that a proxy's address stands for every client's: one forger \
                      uses up the quota of refused requests of all";
        let fix = "set trusted_hops to the number of proxies in front";
        let finding = Finding::new("hops-missing", Severity::Low, "no trusted hop behind a proxy", detail, fix);
        return Some(finding.at_line(document.line(&document.settings.listen)));
    }
    if count > 0 && listen.is_some() && !is_local && document.settings.trusted_proxies.is_none() {
        let detail = "who reaches the receiver without the proxy writes the header, and so its own address";
        let fix = "name the proxy's addresses by trusted_proxies, or make sure that only the proxy can connect";
        let finding = Finding::new("hops-reachable", Severity::Note, "trusted hops and a public address", detail, fix);
        return Some(finding.at_line(document.line(setting)));
    }
    None
}

fn replay(document: &Document, scheme: &Scheme) -> Vec<Finding> {
    let settings = &document.settings;
    let mut found = Vec::new();
    let is_off = is_on(&settings.danger_without_replay_protection);
    let replicas = settings.replicas.as_ref().map_or(1, |replicas| *replicas.get_ref());
    if replicas > 1 && document.replay_store() == ReplayStore::Memory && !is_off {
        let detail =
            format!("each of {replicas} replicas remembers its own deliveries, so that the others handle a replay");
        let fix = "set replay.store to redis";
        let finding = Finding::new("replay-not-shared", Severity::High, "replicas without a shared store", detail, fix);
        found.push(finding.at_line(document.line(&settings.replicas)));
    }
    if !scheme.is_timestamped() {
        let detail = format!("{} signs no timestamp: a captured request is valid for ever", scheme.name());
        let fix = "prefer a scheme with a timestamp; else set replay.lifetime as long as you can store";
        let finding = Finding::new("scheme-unstamped", Severity::Note, "scheme without a timestamp", detail, fix);
        found.push(finding.at_line(document.line(&settings.scheme)));
    }
    found
}

fn dangers(document: &Document) -> Vec<Finding> {
    let settings = &document.settings;
    let dangers = [
        (
            &settings.danger_without_quota,
            Severity::Medium,
            "danger-without-quota",
            "one sender may send any number of requests",
            "set a quota, or quotas for those who need more",
        ),
        (
            &settings.danger_without_rejected_quotas,
            Severity::Medium,
            "danger-without-rejected-quotas",
            "a peer may send any number of bad requests, each of which costs a look-up and a body",
            "remove the setting; the default is 60 a minute",
        ),
        (
            &settings.danger_without_replay_protection,
            Severity::High,
            "danger-without-replay-protection",
            "whoever captured a request can send it again as long as it is fresh",
            "remember deliveries in memory or in redis",
        ),
        (
            &settings.danger_replay_falls_back_to_this_process,
            Severity::Medium,
            "danger-replay-falls-back",
            "while Redis fails, a replay that comes to another process is handled again",
            "remove the setting: such requests get 503, and their senders try again",
        ),
        (
            &settings.danger_allow_shared_secrets,
            Severity::High,
            "danger-allow-shared-secrets",
            "who knows the secret of one webhook id can sign for the others",
            "give every webhook id a secret of its own, and remove the setting",
        ),
    ];
    let set = dangers.into_iter().filter(|(setting, ..)| is_on(setting));
    let finding = |(setting, severity, id, detail, fix): (_, _, _, &str, &str)| {
        Finding::new(id, severity, "protection that is turned off", detail, fix).at_line(document.line(setting))
    };
    set.map(finding).collect()
}

/// Seconds.
const LONG_TOLERANCE: u64 = 600;
/// Seconds.
const SHORT_TOLERANCE: u64 = 30;
/// Bytes.
const LARGE_BODY: usize = 25 * 1_048_576;
/// Seconds.
const LONG_DEADLINE: u64 = 60;
/// Requests a minute.
const LARGE_QUOTA: u64 = 6_000;
/// Requests a minute.
const LARGE_REJECTED_QUOTA: u64 = 600;
const MANY_HOPS: usize = 3;

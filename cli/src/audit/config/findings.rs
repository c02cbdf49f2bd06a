//! Finds settings that are valid but unsafe.

use hookwarden::Scheme;
use hookwarden::scheme::SignedPart;
use toml::Spanned;

use super::settings::{Document, Rate, ReplayStore, is_on};
use crate::audit::finding::{Finding, Severity};

/// The findings on all settings except the keys and the Redis URL.
pub(super) fn of(document: &Document, scheme: &Scheme) -> Vec<Finding> {
    let settings = &document.settings;
    let mut found = Vec::new();
    found.extend(tolerance(document, scheme));
    found.extend(body(document));
    let quotas = [
        (&settings.quotas.accepted, LARGE_QUOTA, "quotas.accepted"),
        (&settings.quotas.rejected, LARGE_REJECTED_QUOTA, "quotas.rejected"),
        (&settings.quotas.rejected_by_peer, 2 * LARGE_REJECTED_QUOTA, "quotas.rejected_by_peer"),
    ];
    found.extend(quotas.into_iter().filter_map(|(rate, most, name)| quota(document, rate, most, name)));
    found.extend(hops(document));
    found.extend(replay(document));
    found.extend(signed(document, scheme));
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
        let detail = format!(
            "a captured request is valid for {seconds} seconds, and the replay store keeps each delivery for at least \
             that time"
        );
        let fix = "set tolerance to 300 seconds, and synchronise the clocks";
        return Some(Finding::new("tolerance-large", Severity::Medium, "large tolerance", detail, fix).at_line(line));
    }
    (seconds < SHORT_TOLERANCE).then(|| {
        let detail = format!("a request is refused if its timestamp is more than {seconds} seconds old or ahead");
        let fix = "set tolerance to 300 seconds, or to at least 30";
        Finding::new("tolerance-small", Severity::Low, "small tolerance", detail, fix).at_line(line)
    })
}

fn body(document: &Document) -> Vec<Finding> {
    let settings = &document.settings;
    let mut found = Vec::new();
    if let Some(bytes) = settings.body.max_bytes.as_ref().map(Spanned::get_ref).filter(|bytes| **bytes > LARGE_BODY) {
        let detail = format!("each request may hold {} MiB of memory", bytes / 1_048_576);
        let fix = "set body.max_bytes to the largest body that the provider sends; GitHub sends up to 25 MiB";
        let finding = Finding::new("body-limit-large", Severity::Medium, "large body limit", detail, fix);
        found.push(finding.at_line(document.line(&settings.body.max_bytes)));
    }
    if let Some(seconds) = settings.body.deadline.as_ref().map(Spanned::get_ref).filter(|n| **n > LONG_DEADLINE) {
        let detail = format!("a peer may hold a connection for {seconds} seconds with a slow body");
        let fix = "set body.deadline to 10 seconds";
        let finding = Finding::new("body-deadline-long", Severity::Medium, "long deadline", detail, fix);
        found.push(finding.at_line(document.line(&settings.body.deadline)));
    }
    found
}

fn quota(document: &Document, setting: &Option<Spanned<Rate>>, most: u64, name: &str) -> Option<Finding> {
    let rate = setting.as_ref()?.get_ref().a_minute();
    (rate > most).then(|| {
        let detail = format!("{name} permits {rate} requests per minute");
        let fix = format!("set {name} to the peak rate of the sender, at most {most} per minute");
        let finding = Finding::new("quota-large", Severity::Low, "large quota", detail, fix);
        finding.at_line(document.line(setting))
    })
}

fn hops(document: &Document) -> Option<Finding> {
    let proxies = &document.settings.proxies;
    let setting = proxies.hops();
    let count = setting.as_ref().map_or(0, |hops| *hops.get_ref());
    // `Document::parse` has reported an invalid address.
    let listen = document.listen().ok().flatten();
    let is_local = listen.is_some_and(|address| address.ip().is_loopback());
    if count > MANY_HOPS {
        let detail = format!("{count} proxies are trusted: if there are fewer, a client can choose its own address");
        let fix = "set the number of your own proxies that add to the header";
        let finding = Finding::new("hops-many", Severity::Medium, "many trusted hops", detail, fix);
        return Some(finding.at_line(document.line(setting)));
    }
    if count == 0 && is_local {
        let detail = "only this machine reaches the receiver, so all clients behind a proxy have the proxy's address and share one \
                      quota of refused requests";
        let fix = "set proxies.x_forwarded_for or proxies.forwarded to the number of proxies in front";
        let finding = Finding::new("hops-missing", Severity::Low, "no trusted hop behind a proxy", detail, fix);
        return Some(finding.at_line(document.line(&document.settings.listen)));
    }
    if count > 0 && listen.is_some() && !is_local && proxies.networks.is_none() {
        let detail =
            "a client that reaches the receiver without the proxy can write the header and choose its own address";
        let fix = "set proxies.networks to the proxy's addresses, or make sure that only the proxy can connect";
        let finding = Finding::new("hops-reachable", Severity::Note, "trusted hops and a public address", detail, fix);
        return Some(finding.at_line(document.line(setting)));
    }
    None
}

fn replay(document: &Document) -> Vec<Finding> {
    let settings = &document.settings;
    let mut found = Vec::new();
    let is_off = is_on(&settings.replay.danger_off);
    let replicas = settings.quotas.replicas.as_ref().map_or(1, |replicas| *replicas.get_ref());
    if replicas > 1 && document.replay_store() == ReplayStore::Memory && !is_off {
        let detail =
            format!("each of {replicas} replicas stores only its own deliveries, so another one handles a replay");
        let fix = "set replay.store to redis";
        let finding = Finding::new("replay-not-shared", Severity::High, "replicas without a shared store", detail, fix);
        found.push(finding.at_line(document.line(&settings.quotas.replicas)));
    }
    if let Some(name) = settings.replay.danger_unsigned_id_header.as_ref().map(Spanned::get_ref) {
        let detail = format!("anyone who captured a request can have it handled again with another {name}");
        let fix =
            "store the event id from the body with the work; or remove the setting, and lose events with equal bodies";
        let id = "danger-unsigned-id-header";
        let finding = Finding::new(id, Severity::Low, "replays under another unsigned id", detail, fix);
        found.push(finding.at_line(document.line(&settings.replay.danger_unsigned_id_header)));
    }
    found
}

/// Notes on what the scheme does not sign.
fn signed(document: &Document, scheme: &Scheme) -> Vec<Finding> {
    let name = scheme.name();
    let mut found = Vec::new();
    let mut note = |id, title, detail, fix| {
        let finding = Finding::new(id, Severity::Note, title, detail, fix);
        found.push(finding.at_line(document.line(&document.settings.scheme)));
    };
    if !scheme.is_timestamped() {
        let detail = format!("{name} signs no timestamp: a captured request does not expire");
        let fix = "prefer a scheme with a timestamp; otherwise set replay.lifetime as long as storage permits";
        note("scheme-unstamped", "scheme without a timestamp", detail, fix);
    }
    let is_fixed = |part: &SignedPart| {
        matches!(
            part,
            SignedPart::Body
                | SignedPart::BodyDigest { .. }
                | SignedPart::Literal(_)
                | SignedPart::Method
                | SignedPart::Path
                | SignedPart::Url { .. }
        )
    };
    if scheme.signed().iter().all(is_fixed) {
        let detail =
            format!("{name} signs only the body: an event with an equal body has the same signature as a replay");
        note("scheme-signs-body-only", "scheme that signs only the body", detail, EQUAL_BODIES);
    }
    if scheme.has_ambiguous_content() {
        let detail = format!("{name} signs parts without a separator: bytes can be moved from one to the next");
        let fix = "accept exact paths and known headers only, and refuse bodies that do not parse";
        note("scheme-ambiguous", "signature that fits several messages", detail, fix);
    }
    found
}

fn dangers(document: &Document) -> Vec<Finding> {
    let settings = &document.settings;
    let dangers = [
        (
            &settings.quotas.danger_unlimited_accepted,
            Severity::Medium,
            "danger-unlimited-accepted",
            "one sender may send any number of requests",
            "remove the setting, and set quotas.accepted to what the senders need",
        ),
        (
            &settings.quotas.danger_unlimited_rejected,
            Severity::Medium,
            "danger-unlimited-rejected",
            "a peer may send any number of bad requests, each of which costs a key lookup and a body",
            "remove the setting; the default is 60 per minute",
        ),
        (
            &settings.replay.danger_off,
            Severity::High,
            "danger-replay-off",
            "anyone who captured a request can send it again until it expires",
            "remove the setting, and set replay.store to memory or redis",
        ),
        (
            &settings.replay.danger_simultaneous_only,
            Severity::Low,
            "danger-simultaneous-only",
            "anyone who captured a request can have it handled again when its handler has finished",
            "make the handler idempotent; or set replay.lifetime instead, and lose events with equal bodies",
        ),
        (
            &settings.replay.danger_fall_back_to_this_process,
            Severity::Medium,
            "danger-replay-fall-back",
            "while Redis fails, a replay that reaches another process is handled again",
            "remove the setting: such requests are answered 503, and their senders retry",
        ),
        (
            &settings.danger_report_only,
            Severity::High,
            "danger-report-only",
            "every request reaches the handler, whether it is forged, replayed or oversized",
            "remove the setting when the roll-out is over",
        ),
        (
            &settings.danger_allow_shared_secrets,
            Severity::High,
            "danger-allow-shared-secrets",
            "anyone who knows the secret of one webhook id can sign for the others",
            "give every webhook id its own secret, and remove the setting",
        ),
    ];
    let set = dangers.into_iter().filter(|(setting, ..)| is_on(setting));
    let finding = |(setting, severity, id, detail, fix): (_, _, _, &str, &str)| {
        Finding::new(id, severity, "protection that is turned off", detail, fix).at_line(document.line(setting))
    };
    set.map(finding).collect()
}

const EQUAL_BODIES: &str = "choose: replay.lifetime loses the second of two events with equal bodies; with \
                            danger_unsigned_id_header no event is lost and replays under another id are handled; with \
                            danger_simultaneous_only no event is lost and every replay is handled";
/// Seconds.
const LONG_TOLERANCE: u64 = 600;
/// Seconds.
const SHORT_TOLERANCE: u64 = 30;
/// Bytes.
const LARGE_BODY: usize = 25 * 1_048_576;
/// Seconds.
const LONG_DEADLINE: u64 = 60;
/// Requests per minute.
const LARGE_QUOTA: u64 = 6_000;
/// Requests per minute.
const LARGE_REJECTED_QUOTA: u64 = 600;
const MANY_HOPS: usize = 3;

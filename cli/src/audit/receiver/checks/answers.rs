//! Checks what responses reveal.

use super::super::session::Session;
use super::super::shape::Shape;
use super::super::verdict::{Inconclusive, Outcome, Verdict};
use super::super::wire::Reply;
use super::Severity;

pub(super) async fn alike(session: &Session) -> Verdict {
    let sender = &session.sender;
    let name = sender.signature_name();
    let mut causes = vec![
        ("a missing signature".to_owned(), sender.delivery().without(name)),
        ("a malformed signature".to_owned(), sender.delivery().with_tag("zz")),
    ];
    if sender.scheme.is_timestamped() {
        let stale = sender.stamp(session.expected.tolerance.saturating_add(86_400).saturating_neg());
        let early = sender.stamp(session.expected.tolerance.saturating_add(86_400));
        causes.push(("a malformed timestamp".into(), sender.message().at("abc").signed()));
        causes.push(("an old timestamp".into(), sender.message().at(stale.unwrap_or_default()).signed()));
        causes.push(("a future timestamp".into(), sender.message().at(early.unwrap_or_default()).signed()));
    }
    if let Some(name) = sender.timestamp_name() {
        causes.push(("a missing timestamp".into(), sender.delivery().without(name)));
    }
    if let Some(path) = &session.other_path {
        causes.push(("a signature of another webhook id".into(), sender.delivery().to(path)));
        let unknown = format!("{path}-unknown");
        causes.push(("a webhook id that does not exist".into(), sender.delivery().to(&unknown)));
    }
    let Some((mismatch, shape)) = session.known.forged.get() else {
        return Err(Inconclusive::new("no forgery got a response"));
    };
    let mut found = Vec::new();
    for (cause, delivery) in causes {
        let reply = session.send_delivery(&cause, &delivery).await?;
        let Reply::Answer(answer) = &reply else {
            found.push(format!("{cause} is answered with {}, a mismatch with {}", reply.said(), mismatch.status));
            continue;
        };
        // Another check reports accepted requests.
        if session.is_accepted(&reply) {
            continue;
        }
        if let Some(difference) = Shape::of(answer).difference(shape) {
            found.push(match difference {
                "status" => format!("{cause} is answered with {}, a mismatch with {}", answer.status, mismatch.status),
                part => format!("the responses to {cause} and to a mismatch differ in the {part}"),
            });
        }
    }
    Ok(Outcome::of(&found))
}

pub(super) fn security_headers(session: &Session) -> Verdict {
    let (Some((fresh, _)), Some((forged, _))) = (session.known.fresh.get(), session.known.forged.get()) else {
        return Err(Inconclusive::new("no forgery got a response"));
    };
    let mut missing = Vec::new();
    for (what, answer) in [("an acceptance", fresh), ("a refusal", forged)] {
        let has = |name: &str, wanted: &str| {
            answer.header(name).is_some_and(|value| value.to_ascii_lowercase().contains(wanted))
        };
        if !has("x-content-type-options", "nosniff") {
            missing.push(format!("{what} has no X-Content-Type-Options: nosniff"));
        }
        if !has("cache-control", "no-store") {
            missing.push(format!("{what} has no Cache-Control: no-store"));
        }
        if session.target.is_https() && answer.header("strict-transport-security").is_none() {
            missing.push(format!("{what} has no Strict-Transport-Security"));
        }
    }
    for name in ["server", "x-powered-by"] {
        if let Some(value) = forged.header(name).filter(|value| value.bytes().any(|byte| byte.is_ascii_digit())) {
            missing.push(format!("{name} reveals a version: {value}"));
        }
    }
    // Senders are not browsers. An HTML page shows that browsers may see the response.
    let is_page =
        !forged.body.is_empty() && forged.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    if is_page {
        missing.insert(0, "a refusal is an HTML page".to_owned());
    }
    Ok(match missing.is_empty() {
        true => Outcome::Holds,
        false if session.strict_headers || is_page => Outcome::Found(None, missing.join("; ")),
        false => Outcome::Note(missing.join("; ")),
    })
}

pub(super) fn server_error(session: &Session) -> Outcome {
    Outcome::of(&session.evidence.server_errors())
}

pub(super) fn leaks(session: &Session) -> Outcome {
    let (secrets, traces) = (session.evidence.secrets(), session.evidence.traces());
    if secrets.is_empty() && traces.is_empty() {
        return Outcome::Holds;
    }
    let severity = if secrets.is_empty() { Severity::Medium } else { Severity::High };
    let mut shown: Vec<_> = secrets.into_iter().chain(traces).collect();
    let more = shown.len().saturating_sub(SHOWN);
    shown.truncate(SHOWN);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    Outcome::Found(Some(severity), shown.join("; "))
}

/// The maximum number of listed responses of one kind.
const SHOWN: usize = 3;

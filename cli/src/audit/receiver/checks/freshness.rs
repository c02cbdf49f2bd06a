//! Checks of the timestamp: too old, too far in the future, or in another format.

use super::super::session::Session;
use super::super::verdict::{Inconclusive, Outcome, Verdict};
use super::signature::none_accepted;

pub(super) async fn stale(session: &Session) -> Verdict {
    beyond(session, -1).await
}

pub(super) async fn early(session: &Session) -> Verdict {
    beyond(session, 1).await
}

/// Sends deliveries with timestamps outside of the tolerance, in the direction of `sign`.
async fn beyond(session: &Session, sign: i64) -> Verdict {
    demand_timestamp(session)?;
    let tolerance = session.expected.tolerance;
    // A message ages on its way, so a timestamp just ahead of the tolerance may become valid.
    let edge = tolerance.saturating_add(if sign < 0 { 1 } else { 2 });
    let mut tries = Vec::new();
    for seconds in [edge, tolerance.saturating_add(60), tolerance.saturating_add(86_400)] {
        let stamp = session.sender.stamp(seconds.saturating_mul(sign)).unwrap_or_default();
        let direction = if sign < 0 { "ago" } else { "from now" };
        let what = format!("a delivery of {seconds} s {direction}");
        tries.push((what, session.sender.message().at(stamp).signed()));
    }
    none_accepted(session, tries).await
}

pub(super) async fn tolerance(session: &Session) -> Verdict {
    demand_timestamp(session)?;
    let inside = session.expected.tolerance.saturating_sub(1);
    let mut refused = Vec::new();
    for (seconds, direction) in [(inside.saturating_sub(1).saturating_neg(), "ago"), (inside, "from now")] {
        let stamp = session.sender.stamp(seconds).unwrap_or_default();
        let what = format!("a delivery of {} s {direction}", seconds.unsigned_abs());
        let reply = session.send_delivery(&what, &session.sender.message().at(stamp).signed()).await?;
        if !session.is_accepted(&reply) {
            refused.push(format!("{what} is refused with {}", reply.said()));
        }
    }
    // A stricter tolerance is safe, but refuses queued deliveries.
    Ok(if refused.is_empty() { Outcome::Holds } else { Outcome::Note(refused.join("; ")) })
}

pub(super) async fn notation(session: &Session) -> Verdict {
    demand_timestamp(session)?;
    if session.is_found("stale") || session.is_found("early") {
        return Err(Inconclusive::new("the receiver does not check the timestamp, see stale and early"));
    }
    let now = session.sender.stamp(0).unwrap_or_default();
    let seconds = hookwarden::Timestamp::now().as_unix();
    let mut texts = vec![
        format!("+{now}"),
        format!(" {now}"),
        format!("\t{now}"),
        format!("0{now}"),
        format!("{now}.0"),
        format!("{now}e0"),
        format!("{now}abc"),
        format!("-{now}"),
        format!("{seconds:#x}"),
        format!("{:020}", seconds),
        "99999999999999999999".to_owned(),
        "1e9".to_owned(),
        "NaN".to_owned(),
        "inf".to_owned(),
        "0".to_owned(),
        "-1".to_owned(),
        "now".to_owned(),
    ];
    for other in
        [seconds.to_string(), seconds.saturating_mul(1000).to_string(), seconds.saturating_mul(1_000_000).to_string()]
    {
        if other.len() != now.len() {
            texts.push(other);
        }
    }
    let tries = texts.into_iter().map(|text| {
        let what = format!("a timestamp written {text:?}");
        (what, session.sender.message().at(text).signed())
    });
    let mut tries: Vec<_> = tries.collect();
    if let Some(name) = session.sender.timestamp_name() {
        // A parser may trim the text, which then differs from the signed one.
        for text in [format!("{now} {now}"), format!("{now}, {now}"), format!("\"{now}\"")] {
            let what = format!("a timestamp written {text:?}");
            tries.push((what, session.sender.message().at(now.clone()).signed().replacing(name, text.clone())));
            let what = format!("a signed timestamp written {text:?}");
            tries.push((what, session.sender.message().at(text).signed()));
        }
    }
    none_accepted(session, tries).await
}

fn demand_timestamp(session: &Session) -> Result<(), Inconclusive> {
    if session.sender.scheme.is_timestamped() {
        Ok(())
    } else {
        Err(Inconclusive::new("the scheme signs no timestamp, so a delivery does not expire"))
    }
}

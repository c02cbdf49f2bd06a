//! Floods of forgeries, which must not count against the sender, and of deliveries, which must.

use std::time::Instant;

use tokio::task::JoinSet;

use super::super::delivery::Delivery;
use super::super::session::Session;
use super::super::verdict::{Inconclusive, Outcome, Verdict};
use super::super::wire::Reply;

pub(super) async fn forgeries(session: &Session) -> Verdict {
    let quota = usize::try_from(session.expected.quota).unwrap_or(usize::MAX);
    let count = quota.saturating_add(10);
    require_budget(session, count)?;
    if session.accepted().saturating_add(1) >= session.expected.quota {
        return Err(Inconclusive::new(
            "the audit has already used up the quota; raise --quota, or select fewer checks with --only",
        ));
    }
    // If refusals count against the quota, the earlier checks may have used it up.
    let before = session.open().await?.exchange(&valid(session), session.patience()).await;
    session.note("a delivery before a flood of forgeries", &before);
    match &before {
        Reply::Answer(answer) if answer.status == 429 => {
            let (accepted, quota) = (session.accepted(), session.expected.quota);
            let detail = format!(
                "a valid delivery is refused with 429 after {accepted} of {quota} accepted ones: refused requests count, \
                 or the quota is smaller than --quota"
            );
            return Ok(Outcome::Found(None, detail));
        }
        _ if session.is_accepted(&before) => {}
        _ => return Err(Inconclusive::new(format!("a delivery before the flood was answered with {}", before.said()))),
    }
    let forged = (0..count).map(|_| session.sender.delivery().with_tag_flipped_at(0)).collect();
    flood(session, "one of many forgeries", forged, |_| false).await?;
    let reply = session.open().await?.exchange(&valid(session), session.patience()).await;
    session.note("a delivery after a flood of forgeries", &reply);
    match &reply {
        Reply::Answer(answer) if answer.status == 429 => Ok(Outcome::Found(
            None,
            format!("after {count} forgeries a valid delivery from the same address is refused with 429"),
        )),
        _ if session.is_accepted(&reply) => Ok(Outcome::Holds),
        _ => Err(Inconclusive::new(format!("a valid delivery was answered with {}", reply.said()))),
    }
}

pub(super) async fn quota(session: &Session) -> Verdict {
    let (quota, period) = (session.expected.quota, session.expected.period);
    // A quota that refills continuously permits up to twice as many requests in a period.
    let count = usize::try_from(quota.saturating_mul(2).saturating_add(10)).unwrap_or(usize::MAX);
    require_budget(session, count)?;
    let began = Instant::now();
    let deliveries = (0..count).map(|_| session.sender.delivery()).collect();
    let is_refused = |reply: &Reply| reply.answer().is_some_and(|answer| answer.status == 429);
    let replies = flood(session, "one of many deliveries", deliveries, is_refused).await?;
    let Some(refused) = replies.iter().filter_map(Reply::answer).find(|answer| answer.status == 429) else {
        if began.elapsed() > period {
            return Err(Inconclusive::new("the flood took longer than the quota's period; set a larger --per"));
        }
        let accepted = replies.iter().filter(|reply| session.is_accepted(reply)).count();
        return Ok(match accepted {
            0 => return Err(Inconclusive::new("none of the deliveries was accepted")),
            _ => Outcome::Found(
                None,
                format!("{accepted} deliveries within {:.1} s are accepted", began.elapsed().as_secs_f32()),
            ),
        });
    };
    match refused.header("retry-after") {
        None => Ok(Outcome::Found(Some(super::Severity::Low), "429 is sent without Retry-After".into())),
        Some(_) if session.accepted() < quota => Ok(Outcome::Note(format!(
            "429 is sent after {} deliveries, fewer than the expected {quota}",
            session.accepted()
        ))),
        Some(_) => Ok(Outcome::Holds),
    }
}

/// Sends all requests, several at a time, until a response satisfies `last`.
async fn flood(
    session: &Session,
    what: &str,
    deliveries: Vec<Delivery>,
    last: impl Fn(&Reply) -> bool,
) -> Result<Vec<Reply>, Inconclusive> {
    let (mut running, mut replies) = (JoinSet::new(), Vec::new());
    let mut deliveries = deliveries.into_iter();
    let mut done = false;
    loop {
        while !done && running.len() < AT_ONCE {
            let Some(delivery) = deliveries.next() else { break };
            let (mut link, bytes) = (session.open().await?, delivery.sized(session.target.host()));
            let patience = session.patience();
            running.spawn(async move { link.exchange(&bytes, patience).await });
        }
        match running.join_next().await {
            None => return Ok(replies),
            Some(Ok(reply)) => {
                session.note(what, &reply);
                done |= last(&reply);
                replies.push(reply);
            }
            Some(Err(error)) => return Err(Inconclusive::new(error.to_string())),
        }
    }
}

/// The bytes of a valid delivery.
fn valid(session: &Session) -> Vec<u8> {
    session.sender.delivery().sized(session.target.host())
}

fn require_budget(session: &Session, count: usize) -> Result<(), Inconclusive> {
    if session.left() > count.saturating_add(5) {
        Ok(())
    } else {
        Err(Inconclusive::new(format!(
            "the check needs {count} requests, more than the audit has left; raise --max-requests"
        )))
    }
}

/// The number of connections in a flood.
const AT_ONCE: usize = 8;

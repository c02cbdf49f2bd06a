//! Floods: of forgeries, which must not count for the sender, and of deliveries, which must.

use std::time::Instant;

use tokio::task::JoinSet;

use super::super::delivery::Delivery;
use super::super::session::Session;
use super::super::verdict::{Outcome, Unjudged, Verdict};
use super::super::wire::Reply;

pub(super) async fn forgeries(session: &Session) -> Verdict {
    let quota = usize::try_from(session.expected.quota).unwrap_or(usize::MAX);
    let count = quota.saturating_add(10);
    demand_room(session, count)?;
    if session.accepted().saturating_add(1) >= session.expected.quota {
        return Err(Unjudged::new("the audit itself has used up the quota by now"));
    }
    // The audit has been refused a lot by now, and where that counts, the quota may be used up already.
    let before = session.open().await?.exchange(&valid(session), session.patience()).await;
    session.note("a delivery before a flood of forgeries", &before);
    match &before {
        Reply::Answer(answer) if answer.status == 429 => {
            let (accepted, quota) = (session.accepted(), session.expected.quota);
            let detail = format!(
                "a valid delivery is turned away with 429 after {accepted} of {quota} accepted ones: what was refused \
                 counts, or the quota is smaller than --quota says"
            );
            return Ok(Outcome::Found(None, detail));
        }
        _ if session.is_accepted(&before) => {}
        _ => return Err(Unjudged::new(format!("a delivery before the flood was answered with {}", before.said()))),
    }
    let forged = (0..count).map(|_| session.sender.delivery().with_tag_flipped_at(0)).collect();
    flood(session, "one of many forgeries", forged, |_| false).await?;
    let reply = session.open().await?.exchange(&valid(session), session.patience()).await;
    session.note("a delivery behind a flood of forgeries", &reply);
    match &reply {
        Reply::Answer(answer) if answer.status == 429 => Ok(Outcome::Found(
            None,
            format!("after {count} forgeries a valid delivery from the same address is turned away with 429"),
        )),
        _ if session.is_accepted(&reply) => Ok(Outcome::Holds),
        _ => Err(Unjudged::new(format!("a valid delivery was answered with {}", reply.said()))),
    }
}

pub(super) async fn quota(session: &Session) -> Verdict {
    let (quota, period) = (session.expected.quota, session.expected.period);
    // A quota that refills as it is used lets up to twice as many pass within its period.
    let count = usize::try_from(quota.saturating_mul(2).saturating_add(10)).unwrap_or(usize::MAX);
    demand_room(session, count)?;
    let began = Instant::now();
    let deliveries = (0..count).map(|_| session.sender.delivery()).collect();
    let is_refused = |reply: &Reply| reply.answer().is_some_and(|answer| answer.status == 429);
    let replies = flood(session, "one of many deliveries", deliveries, is_refused).await?;
    let Some(refused) = replies.iter().filter_map(Reply::answer).find(|answer| answer.status == 429) else {
        if began.elapsed() > period {
            return Err(Unjudged::new("the flood took longer than the quota's period"));
        }
        let accepted = replies.iter().filter(|reply| session.is_accepted(reply)).count();
        return Ok(match accepted {
            0 => return Err(Unjudged::new("none of the deliveries was accepted")),
            _ => Outcome::Found(
                None,
                format!("{accepted} deliveries within {:.1} s are accepted", began.elapsed().as_secs_f32()),
            ),
        });
    };
    match refused.header("retry-after") {
        None => Ok(Outcome::Found(Some(super::Severity::Low), "a 429 comes without Retry-After".into())),
        Some(_) if session.accepted() < quota => {
            Ok(Outcome::Note(format!("429 comes after {} deliveries already, of {quota}", session.accepted())))
        }
        Some(_) => Ok(Outcome::Holds),
    }
}

/// Sends all, several at a time, until an answer is the `last` that is wanted.
async fn flood(
    session: &Session,
    what: &str,
    deliveries: Vec<Delivery>,
    last: impl Fn(&Reply) -> bool,
) -> Result<Vec<Reply>, Unjudged> {
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
            Some(Err(error)) => return Err(Unjudged::new(error.to_string())),
        }
    }
}

/// A valid delivery on the wire.
fn valid(session: &Session) -> Vec<u8> {
    session.sender.delivery().sized(session.target.host())
}

fn demand_room(session: &Session, count: usize) -> Result<(), Unjudged> {
    if session.left() > count.saturating_add(5) {
        Ok(())
    } else {
        Err(Unjudged::new(format!("{count} requests are more than the audit may still send, see --max-requests")))
    }
}

/// Connections of a flood.
const AT_ONCE: usize = 8;

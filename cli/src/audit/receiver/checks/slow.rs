//! Checks with slow requests.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};

use super::super::session::Session;
use super::super::verdict::{Inconclusive, Outcome, Verdict};
use super::super::wire::{Link, Reply};

pub(super) async fn head_first(session: &Session) -> Verdict {
    let sender = &session.sender;
    let length = "Content-Length: 500\r\n";
    let expecting = "Content-Length: 500\r\nExpect: 100-continue\r\n";
    let unsigned = || sender.delivery().without(sender.signature_name());
    let mut heads = Vec::new();
    // Skip heads that the receiver accepts: it cannot refuse them before the body.
    if !session.is_found("header-missing") && !session.is_found("trailer-signature") {
        heads.push(("without a signature", unsigned(), length));
        heads.push(("without a signature and with Expect: 100-continue", unsigned(), expecting));
    }
    if sender.scheme.is_timestamped() && !session.is_found("stale") {
        let day_ago = sender.stamp(session.expected.tolerance.saturating_add(86_400).saturating_neg());
        heads.push(("with an old timestamp", sender.message().at(day_ago.unwrap_or_default()).signed(), length));
    }
    if heads.is_empty() {
        return Err(Inconclusive::new("the receiver refuses no head (see the check header-missing)"));
    }
    let (mut found, mut continued) = (Vec::new(), false);
    for (what, delivery, framing) in heads {
        let what = format!("a head {what}");
        let head = delivery.head(session.target.host(), framing);
        let reply = session.open().await?.exchange(&head, session.expected.promptly()).await;
        session.note(&what, &reply);
        continued |= reply.answer().is_some_and(|answer| answer.continued);
        if matches!(reply, Reply::Silence) {
            found.push(format!("{what} is not refused before its body"));
        }
    }
    if found.is_empty() && continued {
        return Ok(Outcome::Note("the receiver sends 100 Continue for an invalid head, and then refuses it".into()));
    }
    Ok(Outcome::of(&found))
}

pub(super) async fn deadline(session: &Session) -> Verdict {
    let deadline = session.expected.deadline;
    // At one byte per second, 64 KiB take longer than any deadline. Every receiver accepts that size.
    let length = session.expected.body_limit.min(64 * 1024);
    let head = || session.sender.delivery().head(session.target.host(), &format!("Content-Length: {length}\r\n"));
    let pause = Duration::from_secs(1).min(deadline.mul_f32(0.25));
    let (stalled, slow) = (session.open().await?, session.open().await?);
    let (stalled, slow) = tokio::join!(
        drip(stalled, head(), None, session.expected.at_last()),
        drip(slow, head(), Some(pause), session.expected.at_last()),
    );
    let mut found = Vec::new();
    for (what, (reply, took)) in [("a missing body", stalled), ("a body sent byte by byte", slow)] {
        session.note(what, &reply);
        if session.is_accepted(&reply) {
            return Err(Inconclusive::new(format!("{what} is accepted before it is complete")));
        }
        if matches!(reply, Reply::Silence) {
            found.push(format!("the receiver waits longer than {:.1} s for {what}", took.as_secs_f32()));
        }
    }
    Ok(Outcome::of(&found))
}

/// Sends a head and then a byte after each pause, until there is a response.
async fn drip(mut link: Link, head: Vec<u8>, pause: Option<Duration>, patience: Duration) -> (Reply, Duration) {
    let began = Instant::now();
    let Link { incoming, outgoing } = &mut link;
    let dripping = async {
        let mut open = outgoing.write_all(&head).await.is_ok() && outgoing.flush().await.is_ok();
        while let (Some(pause), true) = (pause, open) {
            sleep(pause).await;
            open = outgoing.write_all(b" ").await.is_ok() && outgoing.flush().await.is_ok();
        }
        // The response shows whether the receiver still waits.
        std::future::pending::<()>().await;
    };
    let reply = timeout(patience, async {
        tokio::select! {
            reply = incoming.reply(patience) => reply,
            () = dripping => Reply::Silence,
        }
    })
    .await
    .unwrap_or(Reply::Silence);
    (reply, began.elapsed())
}

//! Checks that replays are recognised. It is not visible from outside whether a handler ran. A replay counts as
//! recognised if its response differs from that to a new delivery.

use std::time::Duration;

use hookwarden::scheme::{Layout, SignedPart};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use super::super::delivery::Delivery;
use super::super::session::Session;
use super::super::verdict::{Inconclusive, Outcome, Verdict};

pub(super) async fn replay(session: &Session) -> Verdict {
    let delivery = session.sender.delivery();
    deliver(session, &delivery).await?;
    let mut found = Vec::new();
    for what in ["a replay", "a second replay"] {
        let reply = session.send_delivery(what, &delivery).await?;
        found.extend(session.is_as_fresh(&reply).then(|| format!("{what} is answered as a new delivery")));
    }
    session.known.knows_replays.get_or_init(|| found.is_empty());
    if found.is_empty() && !session.sender.signs_more_than_the_body() {
        return Ok(Outcome::Note(EQUAL_BODIES.into()));
    }
    Ok(Outcome::of(&found))
}

pub(super) async fn spelling(session: &Session) -> Verdict {
    require_replay_check(session)?;
    let sender = &session.sender;
    let mut found = Vec::new();
    let mut tries: Vec<(&str, Delivery, Delivery)> = Vec::new();
    let mut add = |what, again: &dyn Fn(&Delivery) -> Delivery| {
        let first = sender.delivery();
        let second = again(&first);
        tries.push((what, first, second));
    };
    if sender.is_hex() {
        add("a signature in capitals", &|first| first.clone().with_tag(&first.tag.to_ascii_uppercase()));
    }
    let name = sender.signature_name();
    let with = |first: &Delivery, text: &str, in_front: bool| {
        let value = String::from_utf8_lossy(&first.value(name)).into_owned();
        let value = if in_front { format!("{text}{value}") } else { format!("{value}{text}") };
        first.clone().replacing(name, value)
    };
    match sender.scheme.layout() {
        Layout::List { separator, prefix } => {
            let junk = |first: &Delivery| format!("{prefix}{}", first.clone().with_tag_flipped_at(0).tag);
            add("an additional candidate", &|first| with(first, &format!("{separator}{}", junk(first)), false));
            add("an additional candidate before it", &|first| {
                with(first, &format!("{}{separator}", junk(first)), true)
            });
            add("an additional candidate of another version", &|first| {
                with(first, &format!("{separator}v9,AAAA"), false)
            });
        }
        Layout::Fields { separator, signature } => {
            let junk = |first: &Delivery| format!("{signature}={}", first.clone().with_tag_flipped_at(0).tag);
            add("an additional candidate", &|first| with(first, &format!("{separator}{}", junk(first)), false));
            add("an additional field", &|first| with(first, &format!("{separator}v9=00"), false));
        }
        Layout::Positional { separator, .. } => {
            let junk = |first: &Delivery| first.clone().with_tag_flipped_at(0).tag;
            add("an additional candidate", &|first| with(first, &format!("{separator}{}", junk(first)), false));
        }
        _ => {}
    }
    add("another order of headers", &|first| {
        let mut again = first.clone();
        again.headers.reverse();
        again
    });
    add("header names in capitals", &|first| {
        let mut again = first.clone();
        again.headers.iter_mut().for_each(|(name, _)| name.make_ascii_uppercase());
        again
    });
    add("an additional header", &|first| first.clone().with("X-Audit", "1"));
    for (what, first, second) in tries {
        deliver(session, &first).await?;
        let what = format!("a replay with {what}");
        let reply = session.send_delivery(&what, &second).await?;
        found.extend(session.is_as_fresh(&reply).then(|| format!("{what} is answered as a new delivery")));
    }
    // Removing a candidate must not make a delivery new either.
    if let Layout::List { separator, .. } = sender.scheme.layout() {
        let plain = sender.delivery();
        let both = with(&plain, &format!("{separator}v9,AAAA"), false);
        if session.is_as_fresh(&session.send_delivery("a delivery with two candidates", &both).await?) {
            let what = "a replay without one of its candidates";
            let reply = session.send_delivery(what, &plain).await?;
            found.extend(session.is_as_fresh(&reply).then(|| format!("{what} is answered as a new delivery")));
        }
    }
    Ok(Outcome::of(&found))
}

pub(super) async fn unsigned_id(session: &Session) -> Verdict {
    require_replay_check(session)?;
    let is_signed = |name: &str| {
        session
            .sender
            .scheme
            .signed()
            .iter()
            .any(|part| matches!(part, SignedPart::Header(signed) if signed.as_str().eq_ignore_ascii_case(name)))
    };
    let mut first = session.sender.delivery();
    let mut second = first.clone();
    for name in IDS.into_iter().filter(|name| !is_signed(name)) {
        let id = first.tag.clone();
        first = first.replacing(name, format!("{id}-1"));
        second = second.replacing(name, format!("{id}-2"));
    }
    deliver(session, &first).await?;
    let what = "a replay with other ids in unsigned headers";
    let reply = session.send_delivery(what, &second).await?;
    let found = session.is_as_fresh(&reply).then(|| format!("{what} is answered as a new delivery"));
    Ok(Outcome::of(&Vec::from_iter(found)))
}

pub(super) async fn other_id(session: &Session) -> Verdict {
    let Some(path) = &session.other_path else {
        return Err(Inconclusive::new("no other webhook id is known; set --other-url"));
    };
    let mut found = Vec::new();
    let what = "a new delivery under another webhook id";
    let reply = session.send_delivery(what, &session.sender.delivery().to(path)).await?;
    found.extend(session.is_accepted(&reply).then(|| format!("{what} is accepted")));
    let delivery = session.sender.delivery();
    deliver(session, &delivery).await?;
    let what = "a replay under another webhook id";
    let reply = session.send_delivery(what, &delivery.to(path)).await?;
    // The other webhook id may answer like the first one does for a replay.
    let is_new = session.is_as_fresh(&reply);
    found.extend(is_new.then(|| format!("{what} is accepted")));
    Ok(Outcome::of(&found))
}

pub(super) async fn parallel(session: &Session) -> Verdict {
    require_replay_check(session)?;
    let bytes = session.sender.delivery().sized(session.target.host());
    let Some((last, most)) = bytes.split_last() else { return Err(Inconclusive::new("the delivery is empty")) };
    // Sends the last bytes together, so that all requests become complete at the same moment.
    let mut links = Vec::new();
    for _ in 0..COPIES {
        let mut link = session.open().await?;
        let sent = link.outgoing.write_all(most).await.is_ok() && link.outgoing.flush().await.is_ok();
        if sent {
            links.push(link);
        }
    }
    // Gives the first parts time to arrive, which the audit cannot observe.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (patience, last) = (session.patience(), *last);
    let mut copies = JoinSet::new();
    for mut link in links {
        copies.spawn(async move { link.exchange(&[last], patience).await });
    }
    let replies = copies.join_all().await;
    replies.iter().for_each(|reply| session.note("one of many parallel copies", reply));
    let fresh = replies.iter().filter(|reply| session.is_as_fresh(reply)).count();
    match fresh {
        0 => Err(Inconclusive::new("none of the copies was answered as a new delivery")),
        1 => Ok(Outcome::Holds),
        _ => Ok(Outcome::Found(None, format!("{fresh} of {COPIES} parallel copies are answered as new deliveries"))),
    }
}

/// Sends a delivery that must be accepted before a check can continue.
pub(super) async fn deliver(session: &Session, delivery: &Delivery) -> Result<(), Inconclusive> {
    let reply = session.send_delivery("a valid delivery", delivery).await?;
    if session.is_as_fresh(&reply) {
        Ok(())
    } else {
        Err(Inconclusive::new(format!("a valid delivery was answered with {}, unlike the earlier ones", reply.said())))
    }
}

fn require_replay_check(session: &Session) -> Result<(), Inconclusive> {
    match session.known.knows_replays.get() {
        Some(true) => Ok(()),
        Some(false) => Err(Inconclusive::new("a replay is answered as a new delivery, see replay")),
        None => Err(Inconclusive::new("it depends on the check replay, which has no result")),
    }
}

const EQUAL_BODIES: &str = "the scheme signs only the body: two events with equal bodies are one delivery, and the second is \
                            not handled; if that loses events, distinguish them by an unsigned id, or refuse duplicates \
                            only while the handler runs, and accept that replays are handled";

/// The number of parallel deliveries.
const COPIES: usize = 20;

/// Headers in which senders put an id, signed or unsigned.
const IDS: [&str; 8] = [
    "webhook-id",
    "svix-id",
    "X-Webhook-Id",
    "X-GitHub-Delivery",
    "X-Delivery-Id",
    "X-Event-Id",
    "X-Request-Id",
    "Idempotency-Key",
];

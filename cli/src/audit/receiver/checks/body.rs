//! Checks of bodies and methods.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::super::session::Session;
use super::super::verdict::{Inconclusive, Outcome, Verdict};
use super::super::wire::{Link, Reply};
use super::headers::needed;

pub(super) async fn exact(session: &Session) -> Verdict {
    let mut found = Vec::new();
    for (what, body) in ODD {
        let what = format!("a signed body with {what}");
        // Each body is delivered only once in an audit.
        let body = body.replace('N', &session.sender.message().stamp.unwrap_or_else(|| "1".into()));
        let reply = session.send_delivery(&what, &session.sender.message().carrying(body).signed()).await?;
        found.extend(session.is_as_forged(&reply).then(|| format!("{what} is refused as a forgery")));
    }
    Ok(Outcome::of(&found))
}

pub(super) async fn non_utf8(session: &Session) -> Verdict {
    let mut found = Vec::new();
    for body in [&b"{\"text\":\"\xff\xfe\"}"[..], b"\x00\xff\xc3\x28"] {
        let what = "a signed body that is not UTF-8";
        let reply = session.send_delivery(what, &session.sender.message().carrying(body).signed()).await?;
        found.extend(session.is_as_forged(&reply).then(|| format!("{what} is refused as a forgery")));
    }
    found.dedup();
    if !found.is_empty() && session.known.verifies.get() == Some(&false) {
        return Err(Inconclusive::unverified());
    }
    Ok(Outcome::of(&found))
}

pub(super) async fn method(session: &Session) -> Verdict {
    let mut found = Vec::new();
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let mut message = session.sender.message();
        message.method = method;
        let signed = message.signed();
        let mut unsigned = signed.clone();
        for name in needed(session) {
            unsigned = unsigned.without(&name);
        }
        for (what, delivery) in [("a signed", signed), ("an unsigned", unsigned)] {
            let what = format!("{what} {method}");
            let reply = session.send_delivery(&what, &delivery).await?;
            found.extend(session.is_as_fresh(&reply).then(|| format!("{what} is answered as a delivery")));
        }
    }
    Ok(Outcome::of(&found))
}

pub(super) async fn reuse(session: &Session) -> Verdict {
    let host = session.target.host();
    let name = session.sender.signature_name();
    // The body of the refused request looks like another request.
    let hidden = session.sender.delivery().without(name).carrying("").sized(host);
    let refused = session.sender.delivery().without(name).carrying(hidden);
    let bytes = [refused.sized(host), session.sender.delivery().sized(host)].concat();
    let mut link = session.open().await?;
    let first = link.exchange(&bytes, session.patience()).await;
    session.note("a refused request whose body looks like a second request", &first);
    if session.is_accepted(&first) {
        return Err(Inconclusive::new("a request without a signature is accepted (see the check header-missing)"));
    }
    if matches!(first, Reply::Closed) {
        return Ok(Outcome::Holds);
    }
    let second = link.incoming.reply(session.patience()).await;
    session.note("the request after a refused one", &second);
    match second {
        Reply::Closed => Ok(Outcome::Holds),
        Reply::Silence => Err(Inconclusive::new("the request after a refused one got no response")),
        _ if session.is_accepted(&second) => Ok(Outcome::Holds),
        Reply::Answer(ref answer) if answer.status == 429 => {
            Err(Inconclusive::new("refused with 429; run the audit again later"))
        }
        _ => Ok(Outcome::Found(
            None,
            format!("the valid request after a refused one on the same connection is answered with {}", second.said()),
        )),
    }
}

pub(super) async fn limit(session: &Session) -> Verdict {
    let limit = session.expected.body_limit;
    let mut found = Vec::new();

    let began = Instant::now();
    let head = session.sender.delivery().head(session.target.host(), &format!("Content-Length: {DECLARED}\r\n"));
    let what = format!("a head with Content-Length: {DECLARED}");
    let reply = session.open().await?.exchange(&head, session.expected.promptly()).await;
    session.note(&what, &reply);
    if matches!(reply, Reply::Silence) {
        let waited = began.elapsed().as_secs_f32();
        found.push(format!("{what} and no body is not refused within {waited:.1} s"));
    } else if session.is_accepted(&reply) {
        found.push(format!("{what} and no body is accepted"));
    }

    let mut body = vec![b'0'; limit.saturating_add(1)];
    if let Some(first) = body.first_mut() {
        *first = b'1';
    }
    let large = session.sender.message().carrying(body).signed();
    let length = large.body.len();
    for (form, bytes) in
        [("", large.sized(session.target.host())), (" in chunks", large.chunked(session.target.host(), ""))]
    {
        let what = format!("a signed body of {length} bytes{form}");
        let reply = session.open().await?.exchange(&bytes, session.patience()).await;
        session.note(&what, &reply);
        if session.is_accepted(&reply) {
            found.push(format!("{what} is accepted"));
        }
    }

    let most = limit.saturating_add(BUFFERS);
    if found.is_empty() && takes_all(session, session.open().await?, most).await {
        found.push(format!("{most} bytes of a forged body in chunks are read without a response"));
    }
    Ok(Outcome::of(&found))
}

/// Whether the receiver reads `most` bytes of a forged body in chunks without a response. The number of bytes sent
/// before a response shows nothing: the systems may have buffered them, or the receiver reads on so that its response
/// arrives.
async fn takes_all(session: &Session, mut link: Link, most: usize) -> bool {
    let head = session.sender.delivery().head(session.target.host(), "Transfer-Encoding: chunked\r\n");
    let chunk = [format!("{CHUNK:x}\r\n").as_bytes(), &vec![b'x'; CHUNK], b"\r\n"].concat();
    let Link { incoming, outgoing } = &mut link;
    let began = Instant::now();
    let mut sent: usize = 0;
    let writing = async {
        if outgoing.write_all(&head).await.is_err() {
            return;
        }
        while sent < most && outgoing.write_all(&chunk).await.is_ok() && outgoing.flush().await.is_ok() {
            sent = sent.saturating_add(CHUNK);
        }
    };
    let reply = tokio::select! {
        reply = incoming.reply(session.expected.at_last()) => reply,
        // A response at the deadline is not due to the size.
        () = writing => incoming.reply(session.expected.promptly().saturating_sub(began.elapsed()).max(AT_LEAST)).await,
    };
    session.note("an endless body in chunks", &reply);
    matches!(reply, Reply::Silence) && sent >= most
}

/// Valid JSON that no serializer writes.
const ODD: [(&str, &str); 5] = [
    ("spaces around everything", "{ \"n\" :\tN ,  \"a\" : [ 1 , 2 ] }"),
    ("CRLF line breaks", "{\r\n  \"n\": N,\r\n  \"b\": true\r\n}\r\n"),
    ("a duplicate key", "{\"n\":N,\"n\":N,\"z\":1,\"a\":2}"),
    ("unusual escapes and numbers", "{\"n\":N,\"t\":\"\\u0041\\/\",\"f\":1.0e2,\"g\":-0}"),
    ("a line break at its end", "{\"n\":N}\n"),
];

/// More bytes than any webhook body.
const DECLARED: u64 = 10_000_000_000;

/// The limit for the response to a body over the limit, after it was sent.
const AT_LEAST: Duration = Duration::from_millis(250);

/// The bytes that the buffers of both systems and of a proxy may hold.
const BUFFERS: usize = 16 * 1024 * 1024;

const CHUNK: usize = 64 * 1024;

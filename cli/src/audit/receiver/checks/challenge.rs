//! Checks that the receiver does not sign the content of an event in its answer to a challenge.

use hookwarden::encoding::Encoding;
use hookwarden::scheme::SignedPart;
use serde_json::json;

use super::super::delivery::Delivery;
use super::super::message::Message;
use super::super::session::Session;
use super::super::verdict::{Inconclusive, Outcome, Verdict};
use super::super::wire::{Answer, Reply};
use super::headers::needed;
use crate::audit::finding::Severity;

pub(super) async fn oracle(session: &Session) -> Verdict {
    if session.sender.scheme.algorithm().uses_public_keys() {
        return Err(Inconclusive::new("the receiver has only a public key, so it cannot sign"));
    }
    let mut seen = Seen::default();
    let ended = probe(session, &mut seen).await;
    let Seen { mut unsigned, mut signed, is_answered } = seen;
    // Whoever can sign the challenge needs no answer to forge an event.
    let severity = if unsigned.is_empty() { Some(Severity::Low) } else { None };
    unsigned.append(&mut signed);
    match (unsigned.as_slice(), ended) {
        ([], Err(inconclusive)) => Err(inconclusive),
        ([], Ok(())) if is_answered => Ok(Outcome::Holds),
        ([], Ok(())) => Err(Inconclusive::new("the receiver answered no challenge in a form that the audit knows")),
        (found, _) => Ok(Outcome::Found(severity, found.join("; "))),
    }
}

/// What the receiver signed.
#[derive(Default)]
struct Seen {
    /// Events in unsigned challenges.
    unsigned: Vec<String>,
    /// Events in signed challenges.
    signed: Vec<String>,
    /// Without any answered challenge, nothing shows what the receiver signs.
    is_answered: bool,
}

/// Sends challenges in every known form.
async fn probe(session: &Session, seen: &mut Seen) -> Result<(), Inconclusive> {
    for name in PARAMETERS {
        let event = Event::of(session.sender.message())?;
        let method = method_for(name);
        let what = format!("a {method} whose {name} is an event");
        let reply = session.send_delivery(&what, &event.asked_by_query(session, name)).await?;
        seen.unsigned.extend(event.is_signed_in(&reply).then(|| format!("{what} is answered with its signature")));
        let plain = Event::plain(session)?;
        let what = format!("a {method} whose {name} is a number");
        let reply = session.send_delivery(&what, &plain.asked_by_query(session, name)).await?;
        seen.is_answered |= plain.is_answered_in(&reply);
        if matches!(session.sender.scheme.signed(), [SignedPart::Body]) && plain.is_signed_in(&reply) {
            let reply = session.send_delivery("a delivery with a signature from a challenge", &plain.delivery).await?;
            let forged = format!("{what} is answered with a signature that forges a delivery");
            seen.unsigned.extend(session.is_accepted(&reply).then_some(forged));
        }
    }
    for (kind, challenge) in SHAPES {
        let event = Event::of(session.sender.message())?;
        let posted = session.sender.message().carrying(challenge(&event.content)).signed();
        let what = format!("an unsigned challenge of {kind} that is an event");
        let reply = session.send_delivery(&what, &without_signature(session, posted.clone())).await?;
        seen.unsigned.extend(event.is_signed_in(&reply).then(|| format!("{what} is answered with its signature")));
        let what = format!("a signed challenge of {kind} that is an event");
        let reply = session.send_delivery(&what, &posted).await?;
        seen.signed.extend(event.is_signed_in(&reply).then(|| format!("{what} is answered with its signature")));
        let plain = Event::plain(session)?;
        let posted = session.sender.message().carrying(challenge(&plain.content)).signed();
        for (what, posted) in [("an unsigned", without_signature(session, posted.clone())), ("a signed", posted)] {
            let reply = session.send_delivery(&format!("{what} challenge of {kind}"), &posted).await?;
            seen.is_answered |= plain.is_answered_in(&reply);
        }
    }
    Ok(())
}

/// An event that was not sent, and its signature.
struct Event {
    content: String,
    delivery: Delivery,
    /// The signature in each common encoding, without padding.
    forms: [String; 3],
}

impl Event {
    fn of(message: Message<'_>) -> Result<Self, Inconclusive> {
        let signature = |message: &Message<'_>| {
            let delivery = message.sign()?;
            let mac = message.sender.scheme.encoding().decode(delivery.tag.as_bytes())?;
            let unpadded = |encoding: Encoding| encoding.encode(&mac).trim_end_matches('=').to_owned();
            let forms = [Encoding::Hex, Encoding::Base64, Encoding::Base64UrlUnpadded].map(unpadded);
            let content = String::from_utf8(message.content()?).ok()?;
            Some(Self { content, delivery, forms })
        };
        signature(&message).ok_or_else(|| Inconclusive::new("the signed content of an event cannot be a challenge"))
    }

    /// A number as the whole signed content.
    fn plain(session: &Session) -> Result<Self, Inconclusive> {
        let mut message = session.sender.message();
        let number = message.body.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31) ^ u64::from(*byte));
        message.signed = vec![SignedPart::Body];
        Self::of(message.carrying(format!("1{number}")))
    }

    /// A request without a signature, with the event's signed content as the parameter `name`.
    fn asked_by_query(&self, session: &Session, name: &str) -> Delivery {
        let mut request = without_signature(session, self.delivery.clone()).carrying("");
        let separator = if request.path.contains('?') { '&' } else { '?' };
        let content: String = self.content.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mode = if name == "hub.challenge" { "hub.mode=subscribe&" } else { "" };
        request.path = format!("{}{separator}{mode}{name}={content}", request.path);
        request.method = method_for(name);
        request
    }

    /// Whether the response contains the event's signature, with any prefix.
    fn is_signed_in(&self, reply: &Reply) -> bool {
        reply.answer().is_some_and(|answer| {
            let text = text_of(answer);
            let [hex, others @ ..] = &self.forms;
            // JSON may escape the slashes of base64.
            text.to_ascii_lowercase().contains(hex) || others.iter().any(|form| text.replace("\\/", "/").contains(form))
        })
    }

    /// Whether the response answers a challenge: a success that contains the challenge or its signature.
    fn is_answered_in(&self, reply: &Reply) -> bool {
        let repeats = |answer: &Answer| answer.is_success() && text_of(answer).contains(&self.content);
        reply.answer().is_some_and(repeats) || self.is_signed_in(reply)
    }
}

/// The values of the headers, and the body.
fn text_of(Answer { headers, body, .. }: &Answer) -> String {
    let headers = headers.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>().join("\n");
    format!("{headers}\n{}", String::from_utf8_lossy(body))
}

fn without_signature(session: &Session, delivery: Delivery) -> Delivery {
    needed(session).iter().fold(delivery, |delivery, name| delivery.without(name))
}

/// Microsoft Graph sends its challenge in a POST.
fn method_for(name: &str) -> &'static str {
    if name == "validationToken" { "POST" } else { "GET" }
}

/// The query parameters in which providers send a challenge.
const PARAMETERS: [&str; 7] =
    ["crc_token", "challenge", "hub.challenge", "challengeCode", "challenge_code", "validationToken", "token"];

/// A provider, and its body with a challenge.
type Shape = (&'static str, fn(&str) -> String);

/// The bodies in which providers send a challenge.
const SHAPES: [Shape; 2] = [
    ("Zoom", |text| json!({"event": "endpoint.url_validation", "payload": {"plainToken": text}}).to_string()),
    ("Slack", |text| json!({"type": "url_verification", "challenge": text}).to_string()),
];

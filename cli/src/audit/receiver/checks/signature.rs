//! Checks that only valid signatures are accepted.

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::{Scheme, Secret};

use super::super::delivery::Delivery;
use super::super::session::Session;
use super::super::verdict::{Inconclusive, Outcome, Verdict};

pub(super) fn verified(session: &Session) -> Verdict {
    // The forgery was sent at the beginning, because its response distinguishes refusals from acceptances.
    if session.known.verifies.get() == Some(&false) {
        return Ok(Outcome::Found(None, "a forged delivery is answered as a valid one".into()));
    }
    let Some((answer, _)) = session.known.forged.get() else {
        return Err(Inconclusive::new("the forgery got no response"));
    };
    if answer.is_success() {
        let detail = format!("a forged delivery is answered {}, so its sender believes it arrived", answer.status);
        return Ok(Outcome::Found(Some(super::Severity::Low), detail));
    }
    Ok(Outcome::Holds)
}

pub(super) async fn body_signed(session: &Session) -> Verdict {
    let delivery = session.sender.delivery();
    let length = delivery.body.len();
    let mut found = Vec::new();
    for place in [0, length / 2, length.saturating_sub(1)] {
        let mut body = delivery.body.clone();
        let Some(byte) = body.get_mut(place) else { continue };
        *byte ^= 1;
        let what = format!("a body with byte {place} changed");
        let reply = session.send_delivery(&what, &delivery.clone().carrying(body)).await?;
        found.extend(session.is_accepted(&reply).then(|| format!("{what} is accepted")));
    }
    for (what, body) in
        [("a body with an additional byte", [delivery.body.as_slice(), b" "].concat()), ("a removed body", Vec::new())]
    {
        let reply = session.send_delivery(what, &delivery.clone().carrying(body)).await?;
        found.extend(session.is_accepted(&reply).then(|| format!("{what} is accepted")));
    }
    Ok(Outcome::of(&found))
}

pub(super) async fn exact(session: &Session) -> Verdict {
    let length = session.sender.delivery().tag.len();
    let mut tries = Vec::new();
    for place in [0, 1, length / 2, length.saturating_sub(3)] {
        let delivery = session.sender.delivery().with_tag_flipped_at(place);
        tries.push((format!("a signature with character {place} changed"), delivery));
    }
    none_accepted(session, tries).await
}

pub(super) async fn truncated(session: &Session) -> Verdict {
    let mut tries = Vec::new();
    // The sizes of RSA keys and of DER differ.
    let characters = session.sender.delivery().tag.trim_end_matches('=').len();
    let size = if session.sender.is_hex() { characters / 2 } else { characters.saturating_mul(3) / 4 };
    for bytes in [1, size / 2, size.saturating_sub(1)] {
        let delivery = session.sender.delivery();
        let length = match session.sender.scheme.encoding() {
            Encoding::Hex => bytes.saturating_mul(2),
            _ => bytes.saturating_mul(4) / 3,
        };
        let tag: String = delivery.tag.chars().take(length).collect();
        tries.push((format!("the first {bytes} bytes of a signature"), delivery.with_tag(&tag)));
    }
    let delivery = session.sender.delivery();
    let longer = format!("{}00", delivery.tag);
    tries.push(("a signature with an additional byte".to_owned(), delivery.with_tag(&longer)));
    none_accepted(session, tries).await
}

pub(super) async fn empty(session: &Session) -> Verdict {
    let name = session.sender.signature_name();
    let tries = vec![
        ("an empty signature header".to_owned(), session.sender.delivery().replacing(name, "")),
        ("a signature of no characters".to_owned(), session.sender.delivery().with_tag("")),
    ];
    none_accepted(session, tries).await
}

pub(super) async fn algorithm(session: &Session) -> Verdict {
    let (sender, scheme) = (&session.sender, &session.sender.scheme);
    let mut tries = Vec::new();
    for algorithm in [Algorithm::HmacSha1, Algorithm::HmacSha256, Algorithm::HmacSha512] {
        if algorithm == scheme.algorithm() {
            continue;
        }
        let message = sender.message().by(algorithm);
        tries.push((format!("a signature by {}", name(algorithm)), message.signed()));
    }
    for (what, text) in &sender.public_key_texts {
        let signed = sender.message().signed_by_mac(Algorithm::HmacSha256, text);
        tries.extend(signed.map(|delivery| (format!("a signature by HMAC-SHA-256 under {what}"), delivery)));
    }
    for (prefix, algorithm) in [
        ("sha1=", Algorithm::HmacSha1),
        ("sha256=", Algorithm::HmacSha256),
        ("sha512=", Algorithm::HmacSha512),
        ("none=", scheme.algorithm()),
        ("v0=", scheme.algorithm()),
        ("v1a,", scheme.algorithm()),
    ] {
        let is_own = match scheme.layout() {
            Layout::Plain { prefix: own } | Layout::List { prefix: own, .. } => **own == *prefix,
            // In this layout the prefix would be a separate value.
            Layout::Positional { separator, .. } => prefix.ends_with(*separator),
            _ => prefix == "v0=",
        };
        if is_own {
            continue;
        }
        let delivery = sender.message().by(algorithm).signed();
        let header = match sender.timestamp_field() {
            // Keep the timestamp, and change only the key of the signature.
            Some(_) => {
                let value = String::from_utf8_lossy(&delivery.value(sender.signature_name())).into_owned();
                let (stamp, separator) =
                    (value.split(sender.separator()).next().unwrap_or_default(), sender.separator());
                format!("{stamp}{separator}{prefix}{}", delivery.tag)
            }
            None => format!("{prefix}{}", delivery.tag),
        };
        let delivery = delivery.replacing(sender.signature_name(), header);
        tries.push((format!("a signature with the prefix {prefix}"), delivery));
    }
    none_accepted(session, tries).await
}

pub(super) async fn weak_secret(session: &Session) -> Verdict {
    if session.sender.scheme.algorithm().uses_public_keys() {
        return Err(Inconclusive::new("a scheme with public keys has no secret"));
    }
    let mut tries = Vec::new();
    let empty = session.sender.message().signed_by_mac(session.sender.scheme.algorithm(), b"");
    let is_tried = empty.is_some();
    tries.extend(empty.map(|delivery| ("a signature under the empty secret".to_owned(), delivery)));
    for text in WEAK {
        let decoded = session.sender.scheme.secret(text).ok().filter(|_| decodes(&session.sender.scheme));
        let keys = Secret::from_bytes(text.as_bytes()).ok().into_iter().chain(decoded);
        for key in keys {
            tries
                .push((format!("a signature under the secret {text:?}"), session.sender.message().under(key).signed()));
        }
    }
    match none_accepted(session, tries).await? {
        Outcome::Holds if !is_tried => {
            Err(Inconclusive::new("the audit cannot sign with the empty secret under this scheme"))
        }
        outcome => Ok(outcome),
    }
}

pub(super) async fn parts_signed(session: &Session) -> Verdict {
    let sender = &session.sender;
    if !sender.signs_more_than_the_body() {
        return Err(Inconclusive::new("the scheme signs only the body"));
    }
    let mut message = sender.message();
    message.signed = vec![SignedPart::Body];
    let mut tries = vec![("a signature over only the body".to_owned(), message.signed())];
    if let Some(name) = sender.timestamp_name() {
        for offset in [-1, 1] {
            let (now, other) = sender.stamps(offset).unwrap_or_default();
            let what = format!("a timestamp changed by {offset} s");
            tries.push((what, sender.message().at(now).signed().replacing(name, other)));
        }
    }
    if sender.timestamp_field().is_some() {
        let (now, other) = sender.stamps(-1).unwrap_or_default();
        let delivery = sender.message().at(now.clone()).signed();
        let value = String::from_utf8_lossy(&delivery.value(sender.signature_name())).into_owned();
        // The timestamp is the first field.
        let value = value.replacen(&now, &other, 1);
        tries.push(("a timestamp changed by -1 s".to_owned(), delivery.replacing(sender.signature_name(), value)));
    }
    for part in sender.scheme.signed() {
        let SignedPart::Header(name) = part else { continue };
        if sender.timestamp_name().is_some_and(|own| own.eq_ignore_ascii_case(name.as_str())) {
            continue;
        }
        let delivery = sender.delivery().replacing(name.as_str(), "audit_another");
        tries.push((format!("another {}", name.as_str()), delivery));
    }
    none_accepted(session, tries).await
}

/// Sends each delivery, and reports the accepted ones.
pub(super) async fn none_accepted(session: &Session, tries: Vec<(String, Delivery)>) -> Verdict {
    let mut found = Vec::new();
    for (what, delivery) in tries {
        let reply = session.send_delivery(&what, &delivery).await?;
        found.extend(session.is_accepted(&reply).then(|| format!("{what} is accepted")));
    }
    Ok(Outcome::of(&found))
}

/// Whether the scheme decodes its secrets.
fn decodes(scheme: &Scheme) -> bool {
    scheme
        .prepare(&hookwarden::Keyring::new(match Secret::from_text("x") {
            Ok(secret) => secret,
            Err(_) => return false,
        }))
        .is_err()
}

const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HmacSha1 => "HMAC-SHA-1",
        Algorithm::HmacSha512 => "HMAC-SHA-512",
        _ => "HMAC-SHA-256",
    }
}

/// Common guesses, and secrets of published examples (Standard Webhooks, GitHub, Slack).
const WEAK: [&str; 11] = [
    "secret",
    "changeme",
    "password",
    "test",
    "webhook_secret",
    "your-secret",
    "your_webhook_secret",
    "whsec_test_secret",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "It's a Secret to Everybody",
    "8f742231b10e8888abcd99yyyzzz85a5",
];

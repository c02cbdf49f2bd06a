//! Checks with headers that are missing, duplicate, late, or not text.

use hookwarden::scheme::{NamesIn, SignedPart};

use super::super::delivery::Delivery;
use super::super::session::Session;
use super::super::verdict::{Inconclusive, Outcome, Verdict};
use super::signature::none_accepted;

pub(super) async fn missing(session: &Session) -> Verdict {
    let mut tries = Vec::new();
    for name in needed(session) {
        tries.push((format!("a delivery without {name}"), session.sender.delivery().without(&name)));
    }
    if let Some(key) = session.sender.timestamp_field() {
        let delivery = session.sender.message().at("1").signed();
        let name = session.sender.signature_name();
        let value = String::from_utf8_lossy(&delivery.value(name)).into_owned();
        let rest = value.split_once(session.sender.separator()).map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        tries.push((format!("a {name} without its {key}"), delivery.replacing(name, rest)));
    }
    none_accepted(session, tries).await
}

pub(super) async fn duplicate(session: &Session) -> Verdict {
    let mut tries = Vec::new();
    for name in needed(session) {
        let delivery = session.sender.delivery();
        let bad = bad(session, &name, &delivery);
        tries.push((format!("a valid {name} before an invalid one"), delivery.with(&name, bad)));
        let delivery = session.sender.delivery();
        let bad = self::bad(session, &name, &delivery);
        tries.push((format!("a valid {name} after an invalid one"), delivery.with_first(&name, bad)));
        let delivery = session.sender.delivery();
        let same = delivery.value(&name);
        tries.push((format!("the same {name} twice"), delivery.with(&name, same)));
    }
    none_accepted(session, tries).await
}

pub(super) async fn trailer(session: &Session) -> Verdict {
    if session.is_found("header-missing") {
        return Err(Inconclusive::new("the receiver requires no signature (see the check header-missing)"));
    }
    let name = session.sender.signature_name();
    let delivery = session.sender.delivery();
    let value = String::from_utf8_lossy(&delivery.value(name)).into_owned();
    let bytes =
        delivery.without(name).with("Trailer", name).chunked(session.target.host(), &format!("{name}: {value}\r\n"));
    let reply = session.send("a signature in the trailer", &bytes).await?;
    let found = session.is_accepted(&reply).then(|| "a signature after the body is accepted".to_owned());
    Ok(Outcome::of(&Vec::from_iter(found)))
}

pub(super) async fn non_utf8(session: &Session) -> Verdict {
    let mut tries = Vec::new();
    for name in needed(session) {
        let delivery = session.sender.delivery();
        let value = [delivery.value(&name).as_slice(), b"\xff\xfe"].concat();
        tries.push((format!("a {name} that is not UTF-8"), delivery.replacing(&name, value)));
        let delivery = session.sender.delivery();
        tries.push((format!("a {name} of one non-UTF-8 byte"), delivery.replacing(&name, b"\xe9")));
    }
    none_accepted(session, tries).await
}

/// The names of the headers that the scheme requires.
pub(super) fn needed(session: &Session) -> Vec<String> {
    let sender = &session.sender;
    let mut names = vec![sender.signature_name().to_owned()];
    names.extend(sender.timestamp_name().map(ToOwned::to_owned));
    for part in sender.scheme.signed() {
        match part {
            SignedPart::Header(name) => names.push(name.as_str().to_owned()),
            SignedPart::ListedHeaders(listed) => {
                if let NamesIn::Header(name) = &listed.names_in {
                    names.push(name.as_str().to_owned());
                }
            }
            _ => {}
        }
    }
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        if !distinct.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            distinct.push(name);
        }
    }
    distinct
}

/// A wrong value of the same format.
fn bad(session: &Session, name: &str, delivery: &Delivery) -> Vec<u8> {
    let sender = &session.sender;
    if name.eq_ignore_ascii_case(sender.signature_name()) {
        delivery.clone().with_tag_flipped_at(0).value(name)
    } else if sender.timestamp_name().is_some_and(|own| own.eq_ignore_ascii_case(name)) {
        // Differs from the timestamp, even if a second has passed since signing.
        sender.stamp(-10).unwrap_or_default().into_bytes()
    } else {
        b"audit_another".to_vec()
    }
}

//! The providers' schemes, signed messages and near misses as JSON, for implementations in other languages.
//!
//! `docs/guide/corpus.md` documents the format.

mod attacks;
mod message;
mod sample;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwarden::providers::{Adopter, Provider, Vector};
use hookwarden::scheme::SignedPart;
use hookwarden::{Rejection, Scheme};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use attacks::Attack;
use message::Message;
use sample::Sample;

/// The document about these providers.
pub(crate) fn document(providers: &[Provider]) -> Result<Value, Failure> {
    let providers = providers.iter().map(provider).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "format": FORMAT, "version": env!("CARGO_PKG_VERSION"), "providers": providers }))
}

fn provider(provider: &Provider) -> Result<Value, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::outside(provider.name(), error);
    let scheme = provider.scheme().map_err(|error| failed(&error))?;
    let mut near_misses = Vec::new();
    if let Some(vector) = provider.vectors().first() {
        let sample = Sample::new(&scheme, vector).map_err(|error| failed(&error))?;
        for attack in attacks::all() {
            let Some(message) = (attack.change)(&sample) else { continue };
            let result = message.verify(&sample.verifier).map(drop);
            near_misses.push(near_miss(&scheme, vector, attack, &message, result).map_err(|error| failed(&error))?);
        }
    }
    let mut file: Map<String, Value> = toml::from_str(provider.document()).map_err(|error| failed(&error))?;
    let facts = file.remove("provider").unwrap_or_default();
    Ok(json!({
        "name": provider.name(),
        "title": provider.title(),
        "aliases": provider.aliases(),
        "adopters": provider.adopters().iter().map(adopter).collect::<Vec<_>>(),
        "source": provider.source(),
        "sdk": provider.sdk(),
        "unsigned_id": provider.unsigned_id(),
        "duplicates": provider.duplicates().map(|duplicates| json!({
            "lifetime": duplicates.lifetime.map(|lifetime| lifetime.as_secs()),
            "unsigned_id_header": duplicates.unsigned_id_header,
            "reason": duplicates.reason,
        })),
        "unsigned": provider.unsigned(),
        "quirks": provider.quirks(),
        "retries": provider.retries(),
        "handshake": facts.get("handshake"),
        "scheme": described(file, &scheme),
        "vectors": provider.vectors().iter().map(|vector| self::vector(&scheme, vector)).collect::<Vec<_>>(),
        "near_misses": near_misses,
    }))
}

fn adopter(adopter: &Adopter) -> Value {
    json!({ "name": adopter.name(), "title": adopter.title(), "source": adopter.source(), "note": adopter.note() })
}

/// The scheme as its file describes it, with the defaults that apply to it.
fn described(mut description: Map<String, Value>, scheme: &Scheme) -> Value {
    let mut default = |key: &str, value: Value| {
        description.entry(key).or_insert(value);
    };
    default("algorithm", "hmac-sha256".into());
    default("layout", json!({ "plain": { "prefix": "" } }));
    default("encoding", "hex".into());
    default("repeated_signature_headers", false.into());
    default("danger_ambiguous_content", false.into());
    if !scheme.algorithm().uses_public_keys() {
        default("secret", "literal".into());
        default("max_signatures", scheme.max_signatures().into());
    }
    if scheme.is_timestamped() {
        default("tolerance", scheme.tolerance().as_duration().as_secs().into());
    }
    description.into()
}

fn vector(scheme: &Scheme, vector: &Vector) -> Value {
    let mut object = message(scheme, vector, &Message::of(vector));
    object.insert("origin".into(), vector.origin.as_str().into());
    object.insert("expected".into(), "accept".into());
    if let (Some(private_key), true) = (&vector.secret, scheme.algorithm().uses_public_keys()) {
        object.insert("private_key".into(), private_key.as_str().into());
    }
    object.into()
}

/// A near miss. An error if the verifier does not return what the table says.
fn near_miss(
    scheme: &Scheme,
    vector: &Vector,
    attack: &Attack,
    changed: &Message,
    result: Result<(), Rejection>,
) -> Result<Value, String> {
    let reason = result.err().map(|rejection| rejection.reason());
    if reason.map_or(!attack.reasons.is_empty(), |reason| !attack.reasons.contains(&reason)) {
        return Err(format!("{}: verified as {reason:?}, which the table does not expect", attack.name));
    }
    let mut object = message(scheme, vector, changed);
    object.insert("attack".into(), attack.name.into());
    object.insert("description".into(), attack.description.into());
    object.insert("level".into(), attack.level.as_str().into());
    object.insert("expected".into(), if reason.is_some() { "reject" } else { "accept" }.into());
    if let Some(reason) = reason {
        object.insert("reason".into(), reason.as_str().into());
    }
    Ok(object.into())
}

/// A message with what a receiver knows: the key and the time.
fn message(scheme: &Scheme, vector: &Vector, message: &Message) -> Map<String, Value> {
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    match (&vector.public_key, &vector.secret) {
        (Some(key), _) => set("public_key", key.as_str().into()),
        (None, secret) => set("secret", secret.as_deref().into()),
    }
    set("method", message.method.as_str().into());
    set("path", message.path.as_str().into());
    for part in scheme.signed() {
        if let SignedPart::Url { base, .. } = part {
            set("url", format!("{base}{}", message.path).into());
        }
    }
    set("headers", message.headers.iter().map(|(name, value)| json!([name, value])).collect());
    match std::str::from_utf8(&message.body) {
        Ok(text) => set("body", text.into()),
        Err(_) => set("body_base64", STANDARD.encode(&message.body).into()),
    }
    set("now", message.now.into());
    object
}

/// The version of the format. Members may be added without a new version.
const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_change_applies_to_a_provider() {
        let mut names: BTreeSet<_> = attacks::all().map(|attack| attack.name).collect();
        assert_eq!(names.len(), attacks::all().count(), "a name occurs twice");
        for provider in Provider::all() {
            let sample = Sample::new(&provider.scheme().unwrap(), &provider.vectors()[0]).unwrap();
            names.retain(|name| attacks::all().all(|it| it.name != *name || (it.change)(&sample).is_none()));
        }
        assert!(names.is_empty(), "{names:?}");
    }
}

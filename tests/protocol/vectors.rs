//! The five presets against signatures of other tools: published by the providers, or computed with OpenSSL or Python.

use std::collections::{BTreeMap, BTreeSet};

use crate::vector::Vector;
use hookwarden::Scheme;
use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    vector: Vec<Vector>,
}

fn vectors() -> Vec<(Scheme, Vector)> {
    let document: Document = toml::from_str(include_str!("vectors/presets.toml")).expect("presets.toml is well formed");
    document.vector.into_iter().map(|vector| (preset(&vector), vector)).collect()
}

#[track_caller]
fn preset(vector: &Vector) -> Scheme {
    match vector.scheme.as_deref() {
        Some("timestamped") => Scheme::timestamped(),
        Some("standard_webhooks") => Scheme::standard_webhooks(),
        Some("stripe") => Scheme::stripe(),
        Some("github") => Scheme::github(),
        Some("slack") => Scheme::slack(),
        other => panic!("{other:?} is not a preset"),
    }
}

#[test]
fn every_preset_has_vectors_of_several_sources() {
    let mut sources = BTreeMap::<_, BTreeSet<_>>::new();
    for (scheme, vector) in vectors() {
        let computed = vector.source.starts_with("openssl") || vector.source.starts_with("Python");
        assert_eq!(computed, vector.command.is_some(), "{}: computed vectors have a command", vector.source);
        sources.entry(scheme.name().to_owned()).or_default().insert(vector.source);
    }
    for preset in ["github", "slack", "standard_webhooks", "stripe", "timestamped"] {
        assert!(sources.get(preset).is_some_and(|sources| sources.len() > 1), "{preset}: {sources:?}");
    }
}

#[test]
fn preset_vector_verifies() {
    for (scheme, vector) in vectors() {
        let verified = vector.verify(&scheme, &vector.headers, &vector.body());
        let verified = verified.unwrap_or_else(|fault| panic!("{}, {}: {fault:?}", scheme.name(), vector.source));
        let expected = scheme.is_timestamped().then(|| vector.now());
        assert_eq!(verified.timestamp(), expected, "{}, {}", scheme.name(), vector.source);
    }
}

#[test]
fn signer_reproduces_every_vector() {
    for (scheme, vector) in vectors() {
        let own: Vec<_> = vector.headers.iter().filter(|(name, _)| name == "webhook-id").cloned().collect();
        let mut made: Vec<(String, String)> = own.clone();
        made.extend(
            vector
                .sign(&scheme, &own)
                .expect("a secret")
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        assert_eq!(made, vector.headers, "{}, {}", scheme.name(), vector.source);
    }
}

//! Schemes of real providers: TOML documents, each with one of the provider's messages.

use std::path::Path;

use crate::vector::Vector;
use hookwarden::{Reason, Scheme};
use serde::Deserialize;

/// Every file in `tests/providers`.
const PROVIDERS: [&str; 48] = [
    "adyen",
    "box",
    "buildkite",
    "calendly",
    "circleci",
    "coinbase_commerce",
    "contentful",
    "discord",
    "docuseal",
    "docusign",
    "dropbox",
    "github",
    "hook0_v1",
    "hubspot_v3",
    "hubspot_v3_decoded",
    "intercom",
    "klaviyo",
    "lemon_squeezy",
    "line",
    "linear",
    "merge",
    "meta_notion",
    "metronome",
    "mollie",
    "ms_teams",
    "paddle",
    "paddle_single",
    "pagerduty",
    "paystack",
    "persona",
    "polar",
    "razorpay",
    "recurly",
    "ripple_collections",
    "sanity",
    "sendgrid",
    "sentry",
    "shopify",
    "slack",
    "square",
    "standard_webhooks",
    "stripe",
    "svix",
    "telnyx",
    "twitch",
    "typeform",
    "zendesk",
    "zoom",
];

/// Messages that our signer writes differently, with the reason.
const WRITTEN_OTHERWISE: [(&str, &str); 13] = [
    ("box", "the timestamp has an offset, and two keys sign"),
    ("contentful", "the timestamp has milliseconds"),
    ("docusign", "the retired key signs first"),
    ("hook0_v1", "the sender lists headers in a field, which a signer fills with the required ones"),
    ("hubspot_v3_decoded", "the timestamp has milliseconds"),
    ("mollie", "a header of the retired key follows"),
    ("paddle", "two signatures"),
    ("pagerduty", "a wrong signature precedes the right one"),
    ("persona", "two groups with different timestamps, and the retired key signs the second"),
    ("recurly", "the timestamp has milliseconds, and a wrong signature precedes the right one"),
    ("sanity", "the timestamp has milliseconds"),
    ("standard_webhooks", "a wrong signature precedes the right one"),
    ("twitch", "the timestamp has nanoseconds"),
];

/// Providers whose algorithm needs a feature, and whether it is on.
const BY_FEATURE: [(&str, bool); 3] = [
    ("discord", cfg!(feature = "ed25519")),
    ("sendgrid", cfg!(feature = "ecdsa")),
    ("telnyx", cfg!(feature = "ed25519")),
];

/// Providers whose templates need `danger_ambiguous_content`.
const AMBIGUOUS: [&str; 5] = ["hook0_v1", "hubspot_v3", "hubspot_v3_decoded", "square", "twitch"];

struct Provider {
    name: &'static str,
    /// The whole file.
    text: String,
    scheme: Scheme,
    signature_headers: Vec<String>,
    vector: Vector,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/providers"))
}

fn providers() -> impl Iterator<Item = Provider> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        scheme: Scheme,
        vector: Vector,
    }

    #[derive(Deserialize)]
    struct Names {
        scheme: SignatureHeaders,
    }

    #[derive(Deserialize)]
    struct SignatureHeaders {
        signature_headers: Vec<String>,
    }

    let is_on = |name: &&str| BY_FEATURE.iter().all(|(other, is_on)| other != name || *is_on);
    PROVIDERS.into_iter().filter(is_on).map(|name| {
        let file = folder().join(name).with_extension("toml");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let document: Document = toml::from_str(&text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let names: Names = toml::from_str(&text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let Document { scheme, vector } = document;
        assert!(!vector.source.is_empty(), "{name} has a source");
        assert!(vector.scheme.is_none() && vector.command.is_none(), "{name} must describe its scheme");
        Provider { name, text, scheme, signature_headers: names.scheme.signature_headers, vector }
    })
}

fn without(headers: &[(String, String)], names: &[String]) -> Vec<(String, String)> {
    let named = |name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    headers.iter().filter(|(name, _)| !named(name)).cloned().collect()
}

#[test]
fn every_provider_file_is_listed() {
    let mut found: Vec<_> =
        folder().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, PROVIDERS.map(|name| format!("{name}.toml")));
}

#[test]
fn ambiguity_danger_is_set_where_needed() {
    for Provider { name, text, scheme, .. } in providers() {
        let is_ambiguous = AMBIGUOUS.contains(&name);
        assert_eq!(scheme.has_ambiguous_content(), is_ambiguous, "{name}");
        assert_eq!(text.contains("danger_ambiguous_content = true"), is_ambiguous, "{name}");
    }
}

#[test]
fn provider_without_timestamp_documents_equal_bodies() {
    let choices = ["Replay::lifetime", "Replay::danger_simultaneous_only"];
    for Provider { name, text, scheme, .. } in providers() {
        let choice = text.lines().find_map(|line| line.strip_prefix("# equal bodies: `"));
        assert_eq!(choice.is_some(), !scheme.is_timestamped(), "{name}");
        assert!(choice.is_none_or(|choice| choices.iter().any(|known| choice.starts_with(known))), "{name}");
    }
}

#[test]
fn provider_message_verifies() {
    for Provider { name, scheme, vector, .. } in providers() {
        let verified = vector.verify(&scheme, &vector.headers, &vector.body());
        verified.unwrap_or_else(|rejection| panic!("{name}, {}: {rejection:?}", vector.source));
    }
}

#[test]
fn flipped_provider_body_bit_is_a_mismatch() {
    for Provider { name, scheme, vector, .. } in providers() {
        let body = vector.body();
        for bit in (0..body.len()).flat_map(|index| [(index, 1_u8), (index, 0x80)]) {
            let mut flipped = body.clone();
            flipped[bit.0] ^= bit.1;
            let fault = vector.verify(&scheme, &vector.headers, &flipped).unwrap_err();
            assert_eq!(fault.reason(), Reason::Mismatch, "{name}, bit {bit:?}");
        }
    }
}

#[test]
fn provider_message_without_signature_is_missing_header() {
    for Provider { name, scheme, signature_headers, vector, .. } in providers() {
        let fault = vector.verify(&scheme, &without(&vector.headers, &signature_headers), &vector.body()).unwrap_err();
        assert_eq!(fault.reason(), Reason::MissingHeader, "{name}");
        assert_eq!(fault.header(), signature_headers.first().map(String::as_str), "{name}");
    }
}

#[test]
fn signer_reproduces_the_provider_signature() {
    for Provider { name, scheme, signature_headers, vector, .. } in providers() {
        let own = without(&vector.headers, &signature_headers);
        let Some(signed) = vector.sign(&scheme, &own) else { continue };
        let names: Vec<_> = signed.iter().map(|(name, _)| name.to_owned()).collect();
        let mut headers = without(&own, &names);
        headers.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let verified = vector.verify(&scheme, &headers, &vector.body());
        verified.unwrap_or_else(|rejection| panic!("{name}: {rejection:?}"));

        let same_as_sent = {
            let sorted = |headers: &[(String, String)]| {
                let mut headers: Vec<_> =
                    headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
                headers.sort();
                headers
            };
            sorted(&headers) == sorted(&vector.headers)
        };
        match WRITTEN_OTHERWISE.iter().find(|(other, _)| *other == name) {
            None => assert!(same_as_sent, "{name}: {headers:?}"),
            Some((_, why)) => assert!(!same_as_sent, "{name} is listed because {why}"),
        }
    }
}

//! Schemes of providers in the field, each described as a TOML document beside a message of its own.
#![cfg(feature = "serde")]

#[path = "util/vector.rs"]
mod vector;

use std::path::Path;

use hookwarden::{Reason, Scheme};
use serde::Deserialize;
use vector::Vector;

/// Every file in `tests/providers`.
const PROVIDERS: [&str; 34] = [
    "adyen",
    "box",
    "buildkite",
    "calendly",
    "circleci",
    "coinbase_commerce",
    "contentful",
    "docusign",
    "dropbox",
    "github",
    "hook0_v1",
    "hubspot_v3",
    "hubspot_v3_decoded",
    "intercom",
    "lemon_squeezy",
    "line",
    "linear",
    "meta_notion",
    "paddle",
    "paddle_single",
    "pagerduty",
    "paystack",
    "razorpay",
    "sentry",
    "shopify",
    "slack",
    "square",
    "standard_webhooks",
    "stripe",
    "svix",
    "twitch",
    "typeform",
    "zendesk",
    "zoom",
];

/// Messages that a signer writes in another way than their sender did, and why.
const WRITTEN_OTHERWISE: [(&str, &str); 9] = [
    ("box", "the timestamp has an offset, and two keys sign"),
    ("contentful", "the timestamp has milliseconds"),
    ("docusign", "the retired key signs first"),
    ("hook0_v1", "the sender lists headers in a field, which a signer fills with the required ones"),
    ("hubspot_v3_decoded", "the timestamp has milliseconds"),
    ("paddle", "two signatures"),
    ("pagerduty", "a wrong signature stands before the right one"),
    ("standard_webhooks", "a wrong signature stands before the right one"),
    ("twitch", "the timestamp has nanoseconds"),
];

struct Provider {
    name: &'static str,
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

    PROVIDERS.into_iter().map(|name| {
        let file = folder().join(name).with_extension("toml");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let document: Document = toml::from_str(&text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let names: Names = toml::from_str(&text).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let Document { scheme, vector } = document;
        assert!(!vector.source.is_empty(), "{name} has a source");
        assert!(vector.scheme.is_none() && vector.command.is_none(), "{name} describes its scheme itself");
        Provider { name, scheme, signature_headers: names.scheme.signature_headers, vector }
    })
}

fn without(headers: &[(String, String)], names: &[String]) -> Vec<(String, String)> {
    let named = |name: &str| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    headers.iter().filter(|(name, _)| !named(name)).cloned().collect()
}

#[test]
fn provider_files_are_the_ones_listed() {
    let mut found: Vec<_> =
        folder().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, PROVIDERS.map(|name| format!("{name}.toml")));
}

#[test]
fn message_of_a_provider_verifies() {
    for Provider { name, scheme, vector, .. } in providers() {
        let verified = vector.verify(&scheme, &vector.headers, &vector.body());
        assert!(verified.is_ok(), "{name}, {}: {verified:?}", vector.source);
    }
}

#[test]
fn any_flipped_bit_of_a_providers_body_is_a_mismatch() {
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
fn providers_message_without_its_signature_is_missing_a_header() {
    for Provider { name, scheme, signature_headers, vector } in providers() {
        let fault = vector.verify(&scheme, &without(&vector.headers, &signature_headers), &vector.body()).unwrap_err();
        assert_eq!(fault.reason(), Reason::MissingHeader, "{name}");
        assert_eq!(fault.header(), signature_headers.first().map(String::as_str), "{name}");
    }
}

#[test]
fn signer_makes_what_the_provider_accepts() {
    for Provider { name, scheme, signature_headers, vector } in providers() {
        let own = without(&vector.headers, &signature_headers);
        let signed = vector.sign(&scheme, &own);
        let names: Vec<_> = signed.iter().map(|(name, _)| name.to_owned()).collect();
        let mut headers = without(&own, &names);
        headers.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let verified = vector.verify(&scheme, &headers, &vector.body());
        assert!(verified.is_ok(), "{name}: {verified:?}");

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

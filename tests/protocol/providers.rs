//! Providers by name: their files, and each of their messages.

use std::collections::BTreeSet;
use std::path::Path;

use hookwarden::providers::{Provider, Vector};
use hookwarden::{Reason, Scheme};

use crate::vector;

/// Messages that our signer writes differently, by provider and index, with the reason.
const WRITTEN_OTHERWISE: &[(&str, usize, &str)] = &[
    ("authorize_net", 0, "the hex is in upper case"),
    ("box", 0, "the timestamp has an offset, and two keys sign"),
    ("coinbase", 0, "the sender lists headers in a field, which a signer fills with the required ones"),
    ("contentful", 0, "the timestamp has milliseconds"),
    ("cronofy", 0, "two keys sign"),
    ("docusign", 0, "the retired key signs first"),
    ("hook0_v1", 0, "the sender lists headers in a field, which a signer fills with the required ones"),
    ("hubspot_v3", 1, "the timestamp has milliseconds"),
    ("mollie", 0, "a header of the retired key follows"),
    ("paddle", 0, "two signatures"),
    ("pagerduty", 0, "a wrong signature precedes the right one"),
    ("persona", 0, "two groups with different timestamps, and the retired key signs the second"),
    ("recurly", 0, "the timestamp has milliseconds"),
    ("recurly", 1, "the timestamp has milliseconds, and two keys sign"),
    ("sanity", 0, "the timestamp has milliseconds"),
    ("standard_webhooks", 0, "a wrong signature precedes the right one"),
    ("twitch", 0, "the timestamp has nanoseconds"),
];

/// Providers whose templates need `danger_ambiguous_content`.
const AMBIGUOUS: &[&str] = &["coinbase", "configcat", "hook0_v1", "hubspot_v3", "square", "trello", "twitch"];

/// The providers whose algorithm is on, with their schemes.
fn providers() -> impl Iterator<Item = (Provider, Scheme)> {
    Provider::all().filter_map(|provider| match provider.scheme() {
        Ok(scheme) => Some((provider, scheme)),
        Err(error) => {
            assert!(
                error.to_string().starts_with("algorithm: must be an algorithm of an enabled feature"),
                "{}: {error}",
                provider.name()
            );
            None
        }
    })
}

/// Every message, with its index in the file.
fn messages() -> impl Iterator<Item = (&'static str, Scheme, usize, Vector)> {
    providers().flat_map(|(provider, scheme)| {
        let vectors = provider.vectors().to_vec().into_iter().enumerate();
        vectors.map(move |(index, vector)| (provider.name(), scheme.clone(), index, vector)).collect::<Vec<_>>()
    })
}

fn without(headers: &[(String, String)], scheme: &Scheme) -> Vec<(String, String)> {
    let is_signature =
        |name: &str| scheme.signature_headers().iter().any(|own| own.as_str().eq_ignore_ascii_case(name));
    headers.iter().filter(|(name, _)| !is_signature(name)).cloned().collect()
}

#[test]
fn every_provider_file_is_found_by_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers");
    let files = folder.read_dir().expect("the folder").map(|entry| entry.expect("an entry").path());
    let files: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .map(|path| path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned())
        .collect();
    let listed: BTreeSet<String> = Provider::all().map(|provider| provider.name().to_owned()).collect();
    assert_eq!(files, listed);
    let mut names = BTreeSet::new();
    for provider in Provider::all() {
        let adopters = provider.adopters().iter().map(|adopter| adopter.name());
        let others = provider.aliases().iter().map(String::as_str).chain(adopters);
        for name in std::iter::once(provider.name()).chain(others) {
            assert!(names.insert(name.to_owned()), "{name} is the name of two providers");
            assert_eq!(Provider::find(name).expect(name).name(), provider.name());
        }
        let document = std::fs::read_to_string(folder.join(provider.name()).with_extension("toml")).expect("a file");
        assert_eq!(provider.document(), document);
    }
    assert!(names.len() >= 120, "only {} names", names.len());
}

#[test]
fn provider_file_loads_as_a_scheme() {
    for (provider, scheme) in providers() {
        let loaded: Scheme =
            toml::from_str(provider.document()).unwrap_or_else(|error| panic!("{}: {error}", provider.name()));
        assert_eq!(format!("{loaded:?}"), format!("{scheme:?}"), "{}", provider.name());
        assert_eq!(scheme.name(), provider.name());
    }
}

#[test]
fn presets_agree_with_their_files() {
    let presets =
        [Scheme::timestamped(), Scheme::standard_webhooks(), Scheme::stripe(), Scheme::github(), Scheme::slack()];
    #[cfg(feature = "ed25519")]
    let presets = presets.into_iter().chain([Scheme::standard_webhooks_v1a()]);
    for preset in presets {
        let file = Scheme::provider(preset.name()).expect("a provider");
        assert_eq!(format!("{file:?}"), format!("{preset:?}"));
    }
}

#[test]
fn provider_is_found_in_any_spelling() {
    for name in ["standard_webhooks", "standard-webhooks", "Standard Webhooks", "STANDARD.WEBHOOKS"] {
        assert_eq!(Scheme::provider(name).expect(name).name(), "standard_webhooks");
    }
    // A sender that adopted a scheme keeps its own name, for logs and metrics.
    assert_eq!(Scheme::provider("OpenAI").expect("an adopter").name(), "openai");
}

#[test]
fn loading_by_name_parses_one_file() {
    let count = |run: &dyn Fn()| allocation_counter::measure(run).count_total;
    let all = count(&|| drop(Provider::all().collect::<Vec<_>>()));
    for name in ["mux", "zoom"] {
        let one = count(&|| drop(Provider::find(name)));
        assert!((all / 400..all / 30).contains(&one), "{name}: {one} allocations, and {all} for all files");
    }
}

#[test]
fn unknown_provider_suggests_the_nearest() {
    let error = |name| Scheme::provider(name).expect_err("an unknown name").to_string();
    assert_eq!(error("strpe"), "provider: unknown provider \"strpe\": did you mean stripe?");
    assert_eq!(error("gihtub"), "provider: unknown provider \"gihtub\": did you mean github?");
    assert_eq!(error("0000"), "provider: unknown provider \"0000\"");
    assert_eq!(error(""), "provider: unknown provider \"\"");
}

#[test]
fn provider_facts_are_complete() {
    for (provider, scheme) in providers() {
        let name = provider.name();
        assert!(!provider.title().is_empty() && !provider.retries().is_empty(), "{name}");
        assert!(provider.source().starts_with("https://"), "{name}: {}", provider.source());
        assert!(!provider.vectors().is_empty(), "{name} has a message");
        assert_eq!(provider.duplicates().is_some(), !scheme.is_timestamped(), "{name}: a choice for equal bodies");
        assert_eq!(scheme.has_ambiguous_content(), AMBIGUOUS.contains(&name), "{name}");
        assert_eq!(
            provider.document().contains("danger_ambiguous_content = true"),
            AMBIGUOUS.contains(&name),
            "{name}"
        );
        for adopter in provider.adopters() {
            assert!(adopter.source().starts_with("https://") && !adopter.title().is_empty(), "{}", adopter.name());
        }
    }
}

#[test]
fn provider_message_verifies() {
    for (name, scheme, index, vector) in messages() {
        assert!(!vector.origin.is_empty(), "{name} {index} has an origin");
        let message = vector::Vector::of_provider(&vector);
        let verified = message.verify(&scheme, &vector.headers, &vector.body());
        verified.unwrap_or_else(|rejection| panic!("{name} {index}, {}: {rejection:?}", vector.origin));
    }
}

#[test]
fn flipped_provider_body_bit_is_a_mismatch() {
    for (name, scheme, index, vector) in messages() {
        let message = vector::Vector::of_provider(&vector);
        let body = vector.body();
        // All bits of a short body, and some of a long one.
        let step = (body.len() * 8).div_ceil(2_000).max(1);
        for bit in (0..body.len() * 8).step_by(step) {
            let mut flipped = body.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let fault = message.verify(&scheme, &vector.headers, &flipped).expect_err("another body");
            assert_eq!(fault.reason(), Reason::Mismatch, "{name} {index}, bit {bit}");
        }
    }
}

#[test]
fn provider_message_without_signature_is_missing_header() {
    for (name, scheme, index, vector) in messages() {
        let message = vector::Vector::of_provider(&vector);
        let fault =
            message.verify(&scheme, &without(&vector.headers, &scheme), &vector.body()).expect_err("no signature");
        assert_eq!(fault.reason(), Reason::MissingHeader, "{name} {index}");
        assert_eq!(fault.header(), scheme.signature_headers().first().map(|header| header.as_str()), "{name} {index}");
    }
}

#[test]
fn signer_reproduces_the_provider_signature() {
    let mut wrong = Vec::new();
    for (name, scheme, index, vector) in messages() {
        let message = vector::Vector::of_provider(&vector);
        let own = without(&vector.headers, &scheme);
        let Some(signed) = message.sign(&scheme, &own) else { continue };
        let names: Vec<String> = signed.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        let mut headers: Vec<_> =
            own.into_iter().filter(|(name, _)| !names.contains(&name.to_ascii_lowercase())).collect();
        headers.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let verified = message.verify(&scheme, &headers, &vector.body());
        verified.unwrap_or_else(|rejection| panic!("{name} {index}: {rejection:?}"));

        let sorted = |headers: &[(String, String)]| {
            let lower = headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
            lower.collect::<BTreeSet<_>>()
        };
        let is_listed = WRITTEN_OTHERWISE.iter().any(|(other, at, _)| *other == name && *at == index);
        if (sorted(&headers) == sorted(&vector.headers)) == is_listed {
            wrong.push(format!("{name} {index}: {headers:?}"));
        }
    }
    assert!(wrong.is_empty(), "reproduced and listed, or neither:\n{}", wrong.join("\n"));
}

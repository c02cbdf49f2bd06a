//! The corpus of `hookwarden providers --json`: it is complete without this crate's files, and true.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwarden::headers::RequestHead;
use hookwarden::providers::Provider;
use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
use serde_json::Value;

use super::scratch::Scratch;

fn corpus(arguments: &[&str]) -> String {
    Scratch::new().run([&["providers", "--json"], arguments].concat()).assert_code(0).stdout
}

fn parsed(text: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(document["format"], 1);
    document["providers"].as_array().expect("a list").clone()
}

fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value[member].as_array().unwrap_or_else(|| panic!("{member} of {value}"))
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} of {value}"))
}

/// The verdict on a message, from the members of the document alone.
fn verdict(scheme: &Scheme, message: &Value) -> Option<&'static str> {
    let keys = match message["public_key"].as_str() {
        Some(key) => Keyring::new(scheme.public_key(key).expect("a public key")),
        None => Keyring::new(scheme.secret(text(message, "secret")).expect("a secret")),
    };
    let headers: Vec<(&str, &str)> = list(message, "headers")
        .iter()
        .map(|pair| (pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value")))
        .collect();
    let body = match message["body"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(text(message, "body_base64")).expect("base64"),
    };
    let head = RequestHead::new(text(message, "method"), text(message, "path"), &headers);
    let now = Timestamp::from_unix(message["now"].as_i64().expect("a number"));
    let verifier = Verifier::new(scheme.clone(), keys).expect("keys of the scheme");
    verifier.verify_at(&head, &body, now).err().map(|rejection| rejection.reason().as_str())
}

#[test]
fn every_message_has_its_expected_result() {
    let providers = parsed(&corpus(&[]));
    assert_eq!(providers.len(), Provider::all().count());
    for provider in &providers {
        let name = text(provider, "name");
        let scheme: Scheme = serde_json::from_value(provider["scheme"].clone()).expect(name);
        // The document has the default number.
        let shown = |scheme: &Scheme| format!("{scheme:?}").replace("max_signatures: Some(32)", "max_signatures: None");
        assert_eq!(shown(&scheme), shown(&Scheme::provider(name).expect(name)));
        let public = scheme.algorithm().uses_public_keys();
        let needed = ["algorithm", "encoding", "layout", "repeated_signature_headers", "danger_ambiguous_content"];
        let needed = needed.into_iter().chain(scheme.is_timestamped().then_some("tolerance"));
        for member in needed.chain(["secret", "max_signatures"].into_iter().filter(|_| !public)) {
            assert!(!provider["scheme"][member].is_null(), "{name} has no {member}");
        }
        for message in list(provider, "vectors").iter().chain(list(provider, "near_misses")) {
            let reason = verdict(&scheme, message);
            assert_eq!(reason, message["reason"].as_str(), "{name}: {message}");
            assert_eq!(reason.map_or("accept", |_| "reject"), message["expected"], "{name}: {message}");
        }
    }
}

#[test]
fn near_misses_are_many_and_uniform() {
    let mut attacks = BTreeMap::new();
    for provider in parsed(&corpus(&[])) {
        let mut names = BTreeSet::new();
        for one in list(&provider, "near_misses") {
            let name = text(one, "attack").to_owned();
            assert!(names.insert(name.clone()), "{name} twice in {}", provider["name"]);
            let facts = ["level", "expected", "description"].map(|member| text(one, member).to_owned());
            assert!(["must", "should"].contains(&&*facts[0]) && facts[2].ends_with('.'), "{name}: {facts:?}");
            assert_eq!(attacks.entry(name.clone()).or_insert_with(|| facts.clone()), &facts, "{name}");
        }
        assert!(names.len() >= 25, "{} has only {names:?}", provider["name"]);
        let timed = !provider["scheme"]["timestamp"].is_null();
        let has = |attack: &str| names.contains(attack);
        assert!(has("age-of-two-days") == timed && has("timestamp-changed") == timed, "{}", provider["name"]);
    }
}

#[test]
fn every_run_prints_the_same_corpus() {
    let all = corpus(&[]);
    assert_eq!(all, corpus(&[]));
    let stripe = parsed(&corpus(&["Stripe"]));
    assert_eq!(stripe, parsed(&all).into_iter().filter(|provider| provider["name"] == "stripe").collect::<Vec<_>>());
}

#[test]
fn every_member_is_documented() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide/corpus.md")).expect("a page");
    let mut members = BTreeSet::new();
    let document: Value = serde_json::from_str(&corpus(&[])).expect("JSON");
    let mut add = |object: &Value| members.extend(object.as_object().into_iter().flatten().map(|(key, _)| key.clone()));
    add(&document);
    for provider in list(&document, "providers") {
        add(provider);
        [&provider["scheme"], &provider["scheme"]["delivery_id"], &provider["duplicates"]]
            .into_iter()
            .for_each(&mut add);
        ["adopters", "vectors", "near_misses"]
            .iter()
            .for_each(|member| list(provider, member).iter().for_each(&mut add));
    }
    let missing: Vec<_> = members.iter().filter(|member| !page.contains(&format!("`{member}`"))).collect();
    assert!(members.len() > 40 && missing.is_empty(), "{missing:?} of {members:?}");
}

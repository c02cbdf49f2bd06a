//! Messages of every provider, which were signed without the library.

use hookwarden::diagnose::{Capture, CauseKind, Diagnosis, Verdict};
use hookwarden::headers::RequestHead;
use hookwarden::providers::{Provider, Vector};
use hookwarden::{Keyring, Reason, Scheme, Signer, Timestamp};
use proptest::prelude::*;

use crate::sender::assert_kinds;

/// The messages of the providers whose algorithm is on.
fn messages() -> Vec<(Scheme, Vector)> {
    let providers = Provider::all().filter_map(|provider| Some((provider.scheme().ok()?, provider)));
    providers
        .flat_map(|(scheme, provider)| {
            provider.vectors().iter().map(|vector| (scheme.clone(), vector.clone())).collect::<Vec<_>>()
        })
        .collect()
}

fn diagnose(scheme: &Scheme, vector: &Vector, headers: &[(String, String)], body: &[u8], now: i64) -> Diagnosis {
    let key = vector.public_key.as_ref().or(vector.secret.as_ref()).unwrap();
    let (method, path) = (vector.method.as_deref().unwrap_or("POST"), vector.path.as_deref().unwrap_or("/"));
    let head = RequestHead::new(method, path, headers);
    Capture::new(scheme, key, &head, body).with_headers(headers.to_vec()).diagnose_at(Timestamp::from_unix(now))
}

#[test]
fn message_of_any_provider_has_no_cause() {
    let messages = messages();
    assert!(messages.len() > 90, "only {} messages", messages.len());
    for (scheme, vector) in messages {
        assert_kinds(&diagnose(&scheme, &vector, &vector.headers, &vector.body(), vector.now), &[]);
    }
}

#[test]
fn line_break_after_any_body_is_named() {
    for (scheme, vector) in messages() {
        let body = [&*vector.body(), b"\n"].concat();
        let diagnosis = diagnose(&scheme, &vector, &vector.headers, &body, vector.now);
        let cause = &diagnosis.causes()[0];
        assert_eq!(cause.kind(), CauseKind::BodyNewlineAdded, "{}: {diagnosis}", scheme.name());
        assert!(cause.is_proven(), "{}: {diagnosis}", scheme.name());
    }
}

#[test]
fn lost_header_of_any_provider_is_named() {
    for (scheme, vector) in messages() {
        for lost in 0..vector.headers.len() {
            let mut headers = vector.headers.clone();
            let (name, _) = headers.remove(lost);
            let diagnosis = diagnose(&scheme, &vector, &headers, &vector.body(), vector.now);
            if !matches!(diagnosis.verdict(), Verdict::Refused { reason: Reason::MissingHeader, .. }) {
                continue;
            }
            let cause = &diagnosis.causes()[0];
            let is_named = matches!(cause.kind(), CauseKind::HeaderMissing | CauseKind::HeaderRenamed);
            let is_lost = cause.header().is_some_and(|header| header.eq_ignore_ascii_case(&name));
            assert!(is_named && is_lost, "{}, {name}: {diagnosis}", scheme.name());
            assert!(!diagnosis.to_string().contains("another secret"), "{}, {name}: {diagnosis}", scheme.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn signed_request_of_any_provider_has_no_cause(
        which in any::<prop::sample::Index>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
        skew in -300_i64..=300,
    ) {
        let messages = messages();
        let (scheme, vector) = which.get(&messages);
        let Some(secret) = &vector.secret else { return Ok(()) };
        let signer = Signer::new(scheme.clone(), Keyring::new(scheme.secret(secret).unwrap())).unwrap();
        let (method, path) = (vector.method.as_deref().unwrap_or("POST"), vector.path.as_deref().unwrap_or("/"));
        let is_new = |name: &str| !scheme.signature_headers().iter().any(|own| own.as_str().eq_ignore_ascii_case(name));
        let mut headers: Vec<(String, String)> =
            vector.headers.iter().filter(|(name, _)| is_new(name)).cloned().collect();
        let now = 1_800_000_000;
        let tolerance = i64::try_from(scheme.tolerance().as_duration().as_secs()).unwrap();
        let skew = skew.clamp(-tolerance, tolerance);
        let signed = signer.sign_at(&RequestHead::new(method, path, &headers), &body, Timestamp::from_unix(now + skew));
        let signed: Vec<(String, String)> =
            signed.unwrap().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.retain(|(name, _)| !signed.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        headers.extend(signed);
        assert_kinds(&diagnose(scheme, vector, &headers, &body, now), &[]);
    }
}

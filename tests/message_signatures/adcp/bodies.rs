//! The cases of AdCP's policy for bodies whose body is rewritten. Its file says whether the digest and the signature are
//! right. Each message here is the first positive vector after a proxy has parsed and written its JSON again.

use hookwarden::Timestamp;
use hookwarden::diagnose::{Capture, CauseKind, Diagnosis};
use hookwarden::encoding::Encoding;
use hookwarden::message_signatures::{Problem, Profile};
use hookwarden::warden::Quotas;

use super::{MISMATCH, TestKey, Vectors, suites};
use crate::received::Received;

#[derive(serde::Deserialize)]
struct Policy {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    id: String,
    digest_matches_body: bool,
    cryptographic_signature_valid: bool,
    error_code: String,
}

fn digest(body: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, body);
    format!("sha-256=:{}:", Encoding::Base64.encode(digest.as_ref()))
}

fn diagnose(profile: &Profile, key: &TestKey, received: &Received, now: i64) -> Diagnosis {
    let scheme = profile.scheme("adcp").unwrap();
    let headers = received.headers.iter().map(|(name, value)| (name.as_str(), value));
    let (key, head) = (key.jwk.to_string(), received.head());
    Capture::new(&scheme, &key, &head, &received.body).with_headers(headers).diagnose_at(Timestamp::from_unix(now))
}

#[test]
fn rewritten_json_is_refused_and_explained() {
    let Policy { cases } = serde_json::from_str(include_str!("../vectors/adcp_body_integrity.json")).unwrap();
    assert_eq!(cases.len(), 3);
    let [_, suite, _] = suites();
    let Vectors { keys, vectors } = suite.read();
    let vector = vectors.iter().find(|vector| vector.name.ends_with("positive/001-post-with-content-digest")).unwrap();
    let key = keys.iter().find(|key| key.kid() == vector.kids[0]).unwrap();
    let profile = suite.profile(vector);
    let deliver = |received: &Received| received.deliver(&vector.warden(&profile, &keys, |_| true, Quotas::new()));
    let original = vector.received();
    assert_eq!((deliver(&original), original.body.as_slice()), (Ok(()), &br#"{"plan_id":"plan_001"}"#[..]));
    let rewritten = Received { body: br#"{"plan_id": "plan_001"}"#.into(), ..original.clone() };

    for case in cases {
        let received = match (case.digest_matches_body, case.cryptographic_signature_valid) {
            (false, true) => rewritten.clone(),
            (true, false) => rewritten.clone().with("Content-Digest", &digest(&rewritten.body)),
            // The digest is that of a third way to write it.
            _ => rewritten.clone().with("Content-Digest", &digest(br#"{ "plan_id": "plan_001" }"#)),
        };
        let id = &case.id;
        assert_eq!(received.get("Content-Digest") == digest(&received.body), case.digest_matches_body, "{id}");
        let is_signed = received.get("Content-Digest") == original.get("Content-Digest");
        assert_eq!(is_signed, case.cryptographic_signature_valid, "{id}");
        assert_eq!(deliver(&received), MISMATCH, "{id}");
        // The digest is compared when the signature is valid.
        let problem = received.problem(&profile, vector.now);
        assert_eq!(problem, (!case.digest_matches_body).then_some(Problem::OtherBody), "{id}");
        let code = if is_signed { "request_signature_digest_mismatch" } else { "request_signature_invalid" };
        assert_eq!(case.error_code, code, "{id}");

        let diagnosis = diagnose(&profile, key, &received, vector.now);
        let kinds: Vec<CauseKind> = diagnosis.causes().iter().map(|cause| cause.kind()).collect();
        let other_digest = (!is_signed).then_some(CauseKind::HeaderValueDiffers);
        let expected: Vec<CauseKind> = [CauseKind::BodyJsonRewritten].into_iter().chain(other_digest).collect();
        assert_eq!(kinds, expected, "{id}: {diagnosis}");
        assert!(diagnosis.causes().iter().all(|cause| cause.is_proven()), "{id}: {diagnosis}");
    }
    assert!(diagnose(&profile, key, &original, vector.now).causes().is_empty());
}

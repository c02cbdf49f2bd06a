//! The vectors of AdCP 3.2.4 for webhooks, requests and URLs.
//!
//! Other files of AdCP's folder are not here: `body-integrity-policy.json` has no messages, but [`bodies`] makes some for its
//! cases of rewritten bodies, and `a2a` and `protocol-method-names.json` are about finding the operation in a body, which the application does.

mod bodies;

use std::collections::{BTreeMap, BTreeSet};

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::event::RefusalReason;
use hookwarden::message_signatures::{Parameter, Problem, Profile, ProfileBuilder, SignatureParameters};
use hookwarden::scheme::SignedPart;
use hookwarden::testing::TestClock;
use hookwarden::warden::Quotas;
use hookwarden::{Keyring, PublicKey, Quota, Reason, Scheme, Signer, Timestamp, Warden};

use crate::message::{DIGEST, Message};
use crate::received::{Received, by_keyid, split};

#[derive(serde::Deserialize)]
struct Vectors {
    keys: Vec<TestKey>,
    vectors: Vec<Vector>,
}

/// The keys are public, with their private parts.
#[derive(serde::Deserialize)]
struct TestKey {
    jwk: serde_json::Value,
    d: String,
}

#[derive(Clone, serde::Deserialize)]
struct Vector {
    name: String,
    now: i64,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    kids: Vec<String>,
    /// Keys that are not among the others.
    #[serde(default)]
    jwks: Vec<serde_json::Value>,
    base: Option<String>,
    covers_content_digest: Option<String>,
    error_code: Option<String>,
}

/// What happens to a vector that must be refused.
enum Expected {
    /// The head is refused.
    Head(Problem),
    /// The request is refused after its signature.
    AfterSignature(Problem),
    /// The signature is not valid.
    Mismatch,
    /// No key has this id.
    UnknownKey,
    /// The second delivery is a duplicate.
    Replayed,
    /// It is accepted, and refused when the key is removed.
    RemovedKey,
    /// It is refused when the sender has used its quota.
    OverQuota,
    /// The key cannot be read, with this error.
    UnusableKey(&'static str),
    /// It is not checked here, for this reason.
    Elsewhere(&'static str),
}

use Expected::{AfterSignature, Elsewhere, Head, Mismatch, OverQuota, RemovedKey, Replayed, UnknownKey, UnusableKey};

const INPUT: Problem = Problem::MalformedHeader("signature-input");
const NO_INPUT: Problem = Problem::MissingHeader("signature-input");
const SIGNATURE: Problem = Problem::MalformedHeader("signature");
const DIGESTS: Problem = Problem::MalformedHeader("content-digest");
const PURPOSE: &str = "hookwarden-jwks checks adcp_use, and has a test for this vector";
const LIST: &str = "hookwarden-jwks reads the list, and has a test for this vector";
const NOT_FOR_SIGNATURES: &str = "public_key: must be a key for the scheme's algorithm and for signatures, in its members `alg`, `use` and `key_ops`";
const NOT_ED25519: &str = "public_key: must be an Ed25519 public key, canonical and not of small order: 32 bytes in hex, base64 \
                           or base64url, after `whpk_`, or as DER, PEM or JWK";

fn uncovered(name: &str) -> Problem {
    Problem::Uncovered(format!("\"{name}\""))
}

fn webhooks() -> Vec<(&'static str, &'static str, Expected)> {
    vec![
        ("001-wrong-tag", "signature_tag_invalid", Head(Problem::NoSuchSignature)),
        ("002-expired-signature", "signature_window_invalid", Head(Problem::Stale)),
        ("003-window-too-long", "signature_window_invalid", Head(Problem::LongValidity)),
        ("004-alg-not-allowed", "signature_alg_not_allowed", Head(Problem::WrongAlgorithm)),
        ("005-missing-authority-component", "signature_components_incomplete", Head(uncovered("@authority"))),
        ("006-missing-content-digest", "signature_components_incomplete", Head(uncovered("content-digest"))),
        ("007-unknown-keyid", "signature_key_unknown", UnknownKey),
        ("008-wrong-adcp-use", "signature_key_purpose_invalid", Elsewhere(PURPOSE)),
        ("009-content-digest-mismatch", "signature_digest_mismatch", AfterSignature(Problem::OtherBody)),
        ("010-malformed-signature-input", "signature_header_malformed", Head(INPUT)),
        ("011-signature-without-input", "signature_header_malformed", Head(NO_INPUT)),
        (
            "012-missing-expires-param",
            "signature_params_incomplete",
            Head(Problem::MissingParameter(Parameter::Expires)),
        ),
        ("013-expires-le-created", "signature_window_invalid", Head(Problem::MalformedParameter(Parameter::Expires))),
        ("014-missing-nonce-param", "signature_params_incomplete", Head(Problem::MissingParameter(Parameter::Nonce))),
        ("015-signature-invalid", "signature_invalid", Mismatch),
        ("016-replayed-nonce", "signature_replayed", Replayed),
        ("017-key-revoked", "signature_key_revoked", RemovedKey),
        ("018-rate-abuse", "signature_rate_abuse", OverQuota),
        ("019-revocation-stale", "signature_revocation_stale", Elsewhere(LIST)),
        ("020-key-ops-missing-verify", "signature_key_purpose_invalid", UnusableKey(NOT_FOR_SIGNATURES)),
        ("021-base64-alphabet-mixing", "signature_header_malformed", Head(SIGNATURE)),
    ]
}

/// The vectors that both versions of the profile for requests have.
fn requests() -> Vec<(&'static str, &'static str, Expected)> {
    vec![
        ("001-no-signature-header", "signature_required", Head(NO_INPUT)),
        ("002-wrong-tag", "signature_tag_invalid", Head(Problem::NoSuchSignature)),
        ("003-expired-signature", "signature_window_invalid", Head(Problem::Stale)),
        ("004-window-too-long", "signature_window_invalid", Head(Problem::LongValidity)),
        ("005-alg-not-allowed", "signature_alg_not_allowed", Head(Problem::WrongAlgorithm)),
        ("006-missing-covered-component", "signature_components_incomplete", Head(uncovered("@authority"))),
        ("007-missing-content-digest", "signature_components_incomplete", AfterSignature(uncovered("content-digest"))),
        ("008-unknown-keyid", "signature_key_unknown", UnknownKey),
        ("009-key-ops-missing-verify", "signature_key_purpose_invalid", Elsewhere(PURPOSE)),
        ("010-content-digest-mismatch", "signature_digest_mismatch", AfterSignature(Problem::OtherBody)),
        // It is a dictionary with another label.
        ("011-malformed-header", "signature_header_malformed", Head(Problem::MalformedHeader("signature-input"))),
        (
            "012-missing-expires-param",
            "signature_params_incomplete",
            Head(Problem::MissingParameter(Parameter::Expires)),
        ),
        ("013-expires-le-created", "signature_window_invalid", Head(Problem::MalformedParameter(Parameter::Expires))),
        ("014-missing-nonce-param", "signature_params_incomplete", Head(Problem::MissingParameter(Parameter::Nonce))),
        ("015-signature-invalid", "signature_invalid", Mismatch),
        ("016-replayed-nonce", "signature_replayed", Replayed),
        ("017-key-revoked", "signature_key_revoked", RemovedKey),
        ("019-signature-without-signature-input", "signature_header_malformed", Head(NO_INPUT)),
        ("020-rate-abuse", "signature_rate_abuse", OverQuota),
        ("021-duplicate-signature-input-label", "signature_header_malformed", Head(INPUT)),
        ("022-multi-valued-content-type", "signature_header_malformed", Head(Problem::ComponentValue)),
        ("023-multi-valued-content-digest", "signature_header_malformed", Head(DIGESTS)),
        (
            "024-unquoted-string-param",
            "signature_header_malformed",
            Head(Problem::MalformedParameter(Parameter::Keyid)),
        ),
        ("025-jwk-alg-crv-mismatch", "signature_key_purpose_invalid", UnusableKey(NOT_ED25519)),
        ("026-non-ascii-host", "target_uri_malformed", Head(Problem::AmbiguousHost)),
        ("027-webhook-registration-authentication-unsigned", "signature_required", Head(NO_INPUT)),
        ("028-unsigned-protocol-method-required", "signature_required", Head(NO_INPUT)),
        ("029-duplicate-signature-label", "signature_header_malformed", Head(SIGNATURE)),
        ("030-content-digest-key-case", "signature_header_malformed", Head(DIGESTS)),
        ("031-malformed-host-authority", "target_uri_malformed", Head(Problem::AmbiguousHost)),
    ]
}

/// A set of vectors and the profile that is tested with it.
struct Suite {
    json: &'static str,
    folder: &'static str,
    prefix: &'static str,
    positive: usize,
    negative: Vec<(&'static str, &'static str, Expected)>,
    profile: fn(&str) -> ProfileBuilder,
    encoding: Encoding,
}

fn suites() -> [Suite; 3] {
    let mut requests_3_1 = requests();
    requests_3_1.push((
        "018-digest-covered-when-forbidden",
        "signature_components_unexpected",
        Elsewhere("version 3.2 removed this mode, which leaves bodies unsigned"),
    ));
    let mut requests_3_2 = requests();
    requests_3_2.extend([
        ("001-base64url-sf-binary", "signature_header_malformed", Head(SIGNATURE)),
        ("002-multiple-trailing-dots", "target_uri_malformed", Head(Problem::AmbiguousHost)),
    ]);
    [
        Suite {
            json: include_str!("vectors/adcp_webhooks.json"),
            folder: "",
            prefix: "webhook_",
            positive: 8,
            negative: webhooks(),
            profile: Profile::adcp_webhooks,
            encoding: Encoding::Base64UrlUnpadded,
        },
        Suite {
            json: include_str!("vectors/adcp_requests.json"),
            folder: "profile-3.2/",
            prefix: "request_",
            positive: 14,
            negative: requests_3_2,
            profile: Profile::adcp_requests,
            encoding: Encoding::Base64,
        },
        Suite {
            json: include_str!("vectors/adcp_requests_3_1.json"),
            folder: "",
            prefix: "request_",
            positive: 15,
            negative: requests_3_1,
            profile: |origin| Profile::adcp_requests(origin).base64url_signatures(),
            encoding: Encoding::Base64UrlUnpadded,
        },
    ]
}

impl Suite {
    fn read(&self) -> Vectors {
        serde_json::from_str(self.json).unwrap()
    }

    fn profile(&self, vector: &Vector) -> Profile {
        // These two have another host in their URL than the server.
        let origin = match vector.name.rsplit_once('/').unwrap().1 {
            "002-multiple-trailing-dots" => "https://seller.example.com".into(),
            "026-non-ascii-host" => "https://xn--bcher-kva.example.com".into(),
            _ => split(&vector.url).0,
        };
        let profile = (self.profile)(&origin);
        let profile = match vector.covers_content_digest.as_deref() {
            Some("either") => profile.covers_with_body(["content-type"]).danger_unsigned_body(),
            _ => profile,
        };
        profile.build().unwrap()
    }

    /// The request with a valid signature, made outside of the module under test.
    fn signed_again(&self, vector: &Vector, keys: &[TestKey]) -> Received {
        let received = vector.received();
        let input = received.get("Signature-Input").strip_prefix("sig1=").unwrap();
        let key =
            keys.iter().find(|key| key.kid() == input.split("keyid=\"").nth(1).unwrap().split('"').next().unwrap());
        let key = key.unwrap();
        let base = vector.base.clone().unwrap_or_else(|| {
            let names = input.strip_prefix('(').unwrap().split(')').next().unwrap();
            let line = |name: &str| {
                let value = match name.trim_matches('"') {
                    "@method" => vector.method.as_str(),
                    "@target-uri" => vector.url.as_str(),
                    "@authority" => received.get("Host"),
                    header => received.get(header),
                };
                format!("{name}: {value}\n")
            };
            names.split(' ').map(line).chain([format!("\"@signature-params\": {input}")]).collect()
        });
        let raw = Scheme::builder("raw").algorithm(key.algorithm()).encoding(self.encoding);
        let raw = raw.signature_header("signature").signed([SignedPart::Body]).build().unwrap();
        let keys = Keyring::new(raw.secret(&key.d).unwrap());
        let signed = Signer::new(raw, keys).unwrap();
        let signed = signed.sign_body_at(base.as_bytes(), Timestamp::from_unix(vector.now)).unwrap();
        let signature = signed.iter().next().unwrap().1.to_owned();
        received.with("Signature", &format!("sig1=:{signature}:"))
    }
}

impl TestKey {
    fn kid(&self) -> &str {
        self.jwk.get("kid").and_then(|kid| kid.as_str()).unwrap()
    }

    fn algorithm(&self) -> Algorithm {
        if self.jwk.get("crv").unwrap() == "P-256" { Algorithm::EcdsaP256 } else { Algorithm::Ed25519 }
    }

    fn private(&self, scheme: &Scheme) -> Keyring {
        let mut jwk = self.jwk.clone();
        let members = jwk.as_object_mut().unwrap();
        members.remove("key_ops");
        members.insert("d".into(), self.d.clone().into());
        Keyring::new(scheme.secret(&jwk.to_string()).unwrap())
    }
}

impl Vector {
    fn received(&self) -> Received {
        Received::new(&self.method, &self.url, &self.headers, &self.body)
    }

    /// A Warden with those keys of the vector that `keep` keeps.
    fn warden(&self, profile: &Profile, keys: &[TestKey], keep: fn(&str) -> bool, quotas: Quotas) -> Warden {
        let scheme = profile.scheme("adcp").unwrap();
        let public = |key: &TestKey| -> PublicKey { scheme.public_key(&key.jwk.to_string()).unwrap() };
        let clock = TestClock::new(Timestamp::from_unix(self.now));
        let mut builder = Warden::builder(scheme.clone()).clock(clock).quotas(quotas).methods(["GET", "POST"]);
        if self.covers_content_digest.as_deref() == Some("either") {
            builder = builder.danger_unsigned_body();
        }
        let is_listed = |key: &&TestKey| self.kids.iter().any(|kid| kid == key.kid());
        let other = keys.iter().find(|key| !is_listed(key)).unwrap();
        builder = builder.sender("another", Keyring::new(public(other)));
        for key in keys.iter().filter(is_listed).filter(|key| keep(key.kid())) {
            builder = builder.sender(key.kid(), Keyring::new(public(key)));
        }
        by_keyid(builder, profile).build().unwrap()
    }
}

#[test]
fn positive_vectors_are_accepted() {
    // The shipped profile refuses these: versions 3.0 and 3.1 permit bodies that are not signed.
    let mut without_digest = 0;
    for suite in suites() {
        let Vectors { keys, vectors } = suite.read();
        let positive: Vec<&Vector> = vectors.iter().filter(|vector| vector.error_code.is_none()).collect();
        assert_eq!(positive.len(), suite.positive, "{}", suite.prefix);
        for vector in positive {
            let profile = suite.profile(vector);
            let received = vector.received();
            let deliver =
                |received: &Received| received.deliver(&vector.warden(&profile, &keys, |_| true, Quotas::new()));
            let problem = received.problem(&profile, vector.now);
            assert_eq!((deliver(&received), problem), (Ok(()), None), "{}{}", suite.prefix, vector.name);
            let other_target = Received { target: received.target.clone() + "x", ..received.clone() };
            assert_eq!(deliver(&other_target), MISMATCH, "{}", vector.name);
            let other_body = Received { body: [&received.body, &b" "[..]].concat(), ..received.clone() };
            if received.get("Signature-Input").contains("\"content-digest\"") {
                assert_eq!(deliver(&other_body), MISMATCH, "{}", vector.name);
            } else {
                let shipped = (suite.profile)(&split(&vector.url).0).build().unwrap();
                let problem = received.problem(&shipped, vector.now);
                assert_eq!(problem, Some(uncovered("content-digest")), "{}", vector.name);
                without_digest += 1;
            }
        }
    }
    assert_eq!(without_digest, 13);
}

const MISMATCH: Result<(), RefusalReason> = Err(RefusalReason::Unverified(Reason::Mismatch));

#[test]
fn negative_vectors_are_refused_for_their_reasons() {
    for suite in suites() {
        let Vectors { keys, vectors } = suite.read();
        let negative: Vec<&Vector> = vectors.iter().filter(|vector| vector.error_code.is_some()).collect();
        // Every vector has a line in the table, and every line has a vector.
        let names: BTreeSet<String> = negative.iter().map(|vector| vector.name.clone()).collect();
        let listed = suite.negative.iter().map(|(name, ..)| format!("{}negative/{name}", suite.folder));
        assert_eq!(names, listed.collect(), "{}", suite.prefix);
        assert_eq!(names.len(), suite.negative.len());
        for (name, code, expected) in &suite.negative {
            let name = format!("{}negative/{name}", suite.folder);
            let vector = negative.iter().find(|vector| vector.name == name).unwrap();
            assert_eq!(vector.error_code.as_deref(), Some(format!("{}{code}", suite.prefix).as_str()), "{name}");
            assert_refused(&suite, vector, &keys, expected);
        }
    }
}

fn assert_refused(suite: &Suite, vector: &Vector, keys: &[TestKey], expected: &Expected) {
    let name = format!("{}{}", suite.prefix, vector.name);
    if let Elsewhere(reason) = expected {
        println!("{name} is not checked here: {reason}");
        return;
    }
    let profile = suite.profile(vector);
    if let UnusableKey(error) = expected {
        let scheme = profile.scheme("adcp").unwrap();
        assert!(!vector.jwks.is_empty());
        for jwk in &vector.jwks {
            assert_eq!(scheme.public_key(&jwk.to_string()).unwrap_err().to_string(), *error, "{name}");
            // The published key of 025 is also incomplete. This one is whole.
            let member = |name: &str| jwk.get(name).unwrap().clone();
            let mut whole = keys.iter().find(|key| key.jwk.get("crv") == jwk.get("crv")).unwrap().jwk.clone();
            scheme.public_key(&whole.to_string()).unwrap();
            for name in ["alg", "key_ops"] {
                whole.as_object_mut().unwrap().insert(name.into(), member(name));
            }
            assert_eq!(scheme.public_key(&whole.to_string()).unwrap_err().to_string(), *error, "{name}");
        }
        return;
    }
    let received = vector.received();
    let problem = received.problem(&profile, vector.now);
    let warden = |keep| vector.warden(&profile, keys, keep, Quotas::new());
    let outcome = received.deliver(&warden(|_| true));
    let unverified = |problem: &Problem| Err(RefusalReason::Unverified(problem.reason()));
    match expected {
        Head(expected) => assert_eq!((outcome, problem), (unverified(expected), Some(expected.clone())), "{name}"),
        AfterSignature(expected) => {
            let outcome = suite.signed_again(vector, keys).deliver(&warden(|_| true));
            assert_eq!((outcome, problem), (unverified(expected), Some(expected.clone())), "{name}");
        }
        Mismatch => assert_eq!((outcome, problem), (MISMATCH, None), "{name}"),
        UnknownKey => assert_eq!((outcome, problem), (Err(RefusalReason::UnknownId), None), "{name}"),
        Replayed => {
            let received = suite.signed_again(vector, keys);
            let warden = warden(|_| true);
            assert_eq!(received.deliver(&warden), Ok(()), "{name}");
            assert_eq!(received.deliver(&warden), Err(RefusalReason::Replayed), "{name}");
            // Another message with the nonce of the key.
            let nonce = received.get("Signature-Input").split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
            let other = Vector { body: "{}".into(), ..vector.clone() };
            let other = signed_by_us(suite, keys.first().unwrap(), nonce, &other);
            assert_eq!(other.deliver(&warden), Err(RefusalReason::Replayed), "{name}");
        }
        RemovedKey => {
            let received = suite.signed_again(vector, keys);
            assert_eq!(received.deliver(&warden(|_| true)), Ok(()), "{name}");
            assert_eq!(received.deliver(&warden(|_| false)), Err(RefusalReason::UnknownId), "{name}");
        }
        OverQuota => {
            let quotas = Quotas::new().accepted(Quota::per_minute(1).unwrap());
            let warden = vector.warden(&profile, keys, |_| true, quotas);
            assert_eq!(
                signed_by_us(suite, keys.first().unwrap(), "VOoZlNeGqHdPuqvBGZNCLw", vector).deliver(&warden),
                Ok(())
            );
            let received = suite.signed_again(vector, keys);
            assert_eq!(received.deliver(&warden), Err(RefusalReason::QuotaExceeded), "{name}");
        }
        UnusableKey(_) | Elsewhere(_) => {}
    }
}

/// The request of a vector, signed by the signer of its profile.
fn signed_by_us(suite: &Suite, key: &TestKey, nonce: &str, vector: &Vector) -> Received {
    let profile = suite.profile(vector);
    let signer = profile.signer(key.private(&profile.scheme("adcp").unwrap())).unwrap();
    let mut received = vector.received();
    let parameters = SignatureParameters::new().keyid(key.kid()).nonce(nonce);
    let now = Timestamp::from_unix(vector.now);
    let signed = signer.sign_at(&received.head(), &received.body, &parameters, now).unwrap();
    for (name, value) in signed.iter() {
        received = received.with(name, value);
    }
    received
}

#[test]
fn signed_messages_are_accepted() {
    for suite in suites() {
        let Vectors { keys, vectors } = suite.read();
        for vector in vectors.iter().filter(|vector| vector.error_code.is_none()) {
            let key = keys.iter().find(|key| key.kid() == vector.kids[0]).unwrap();
            let received = signed_by_us(&suite, key, "VOoZlNeGqHdPuqvBGZNCLw", vector);
            let profile = suite.profile(vector);
            let warden = vector.warden(&profile, &keys, |_| true, Quotas::new());
            assert_eq!(received.deliver(&warden), Ok(()), "{}", vector.name);
            let input = received.get("Signature-Input");
            let lifetime = format!(";created={};expires={};nonce=", vector.now, vector.now + 300);
            assert!(input.starts_with("sig1=(\"@method\" \"@target-uri\" \"@authority\""), "{input}");
            assert!(input.contains(&lifetime), "{input}");
            // Only the profile of version 3.2 writes base64 with its padding.
            let is_padded = received.get("Signature").contains('=') && received.get("Signature").ends_with("==:");
            assert_eq!(is_padded, suite.encoding == Encoding::Base64, "{}", received.get("Signature"));
        }
    }
}

#[test]
fn empty_request_needs_no_digest() {
    let [_, suite, _] = suites();
    let Vectors { keys, vectors } = suite.read();
    let vector = &vectors.iter().find(|vector| vector.error_code.is_none()).unwrap();
    let profile = suite.profile(vector);
    let warden = || vector.warden(&profile, &keys, |_| true, Quotas::new());
    let mut get = Vector { method: "GET".into(), body: String::new(), ..suite.read().vectors.remove(0) };
    get.headers.clear();
    get.now = vector.now;
    get.url = vector.url.clone();
    let received = signed_by_us(&suite, &keys[0], "VOoZlNeGqHdPuqvBGZNCLw", &get);
    assert!(received.get("Signature-Input").starts_with("sig1=(\"@method\" \"@target-uri\" \"@authority\");"));
    assert_eq!(received.deliver(&warden()), Ok(()));
    // Anyone could add a body, and a digest of it.
    let added = Received { body: b"{}".into(), ..received }.with("Content-Digest", DIGEST);
    let refused = uncovered("content-type");
    assert_eq!(added.problem(&profile, get.now), Some(refused.clone()));
    assert_eq!(added.deliver(&warden()), Err(RefusalReason::Unverified(refused.reason())));
}

#[derive(serde::Deserialize)]
struct Url {
    name: String,
    input_url: String,
    expected_target_uri: Option<String>,
    expected_authority: Option<String>,
    expected_error_code: Option<String>,
}

#[derive(serde::Deserialize)]
struct Urls {
    cases: Vec<Url>,
}

/// The origin is a setting, and the target comes from the request.
#[test]
fn urls_are_canonicalized() {
    let Urls { cases } = serde_json::from_str(include_str!("vectors/adcp_urls.json")).unwrap();
    let origin_of = |url: &str| Profile::adcp_requests(&split(url).0).build().map_err(|error| error.field().to_owned());
    let (mut accepted, mut names, mut refused) = (0, 0, 0);
    for Url { name, input_url, expected_target_uri, expected_authority, expected_error_code } in cases {
        let (Some(target_uri), Some(authority)) = (expected_target_uri, expected_authority) else {
            assert_eq!(expected_error_code.as_deref(), Some("request_target_uri_malformed"), "{name}");
            assert_eq!(origin_of(&input_url).map(drop), Err("origin".into()), "{name}");
            refused += 1;
            continue;
        };
        let mut input_url = input_url;
        if !input_url.is_ascii() {
            // The URL needs A-labels, in settings and in requests. A client converts it.
            assert_eq!(origin_of(&input_url).map(drop), Err("origin".into()), "{name}");
            let host = split(&input_url).0;
            input_url = input_url.replace(&host, &format!("https://{authority}"));
            names += 1;
        }
        if let Some((_, rest)) = input_url.split_once('@') {
            // A client sends no userinfo.
            assert_eq!(origin_of(&input_url).map(drop), Err("origin".into()), "{name}");
            input_url = format!("https://{rest}");
        }
        let (origin, target) = split(&input_url);
        let profile = Profile::builder(&origin).algorithms([Algorithm::HmacSha256]).normalized_target();
        let profile = profile.covers(["@method", "@target-uri", "@authority", "content-digest"]).build().unwrap();
        let lines = [
            "\"@method\": POST",
            &format!("\"@target-uri\": {target_uri}"),
            &format!("\"@authority\": {authority}"),
            &format!("\"content-digest\": {DIGEST}"),
        ];
        let input = r#"("@method" "@target-uri" "@authority" "content-digest");created=1800000000"#;
        let message = Message { path: target, ..Message::signed_as(&lines, input) };
        let host = origin.split_once("://").unwrap().1;
        message.with("Host", host).assert_verifies(&profile);
        accepted += 1;
    }
    assert_eq!((accepted, names, refused), (33, 3, 8));
}

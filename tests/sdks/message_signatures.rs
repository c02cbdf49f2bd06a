//! HTTP Message Signatures between Hookwarden and the packages `http-message-signatures` of npm and PyPI.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwarden::crypto::Algorithm;
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::{Parameter, Profile, SignatureParameters};
use hookwarden::secret::KeyMaterial;
use hookwarden::{Keyring, Reason, Timestamp, Verifier};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};
use serde_json::{Value, json};

use crate::script::{Answer, Registry, Script};

/// The name of both packages in the scripts.
pub(crate) const NAME: &str = "http_message_signatures";

type Headers = BTreeMap<String, String>;

/// An algorithm that both packages support, with keys as text.
#[derive(Debug, Clone, Copy)]
struct Case {
    algorithm: Algorithm,
    name: &'static str,
    private: &'static str,
    public: &'static str,
}

const CASES: [Case; 5] = [
    HMAC,
    Case {
        algorithm: Algorithm::Ed25519,
        name: "ed25519",
        private: include_str!("../public_keys/keys/ed25519.pem"),
        public: include_str!("../public_keys/keys/ed25519_public.pem"),
    },
    Case {
        algorithm: Algorithm::EcdsaP256,
        name: "ecdsa-p256-sha256",
        private: include_str!("../public_keys/keys/p256.pem"),
        public: include_str!("../public_keys/keys/p256_public.pem"),
    },
    Case { algorithm: Algorithm::RsaPkcs1, name: "rsa-v1_5-sha256", ..RSA },
    RSA,
];

const HMAC: Case = Case {
    algorithm: Algorithm::HmacSha256,
    name: "hmac-sha256",
    private: "a-subscription-secret",
    public: "a-subscription-secret",
};

const RSA: Case = Case {
    algorithm: Algorithm::RsaPssSha512,
    name: "rsa-pss-sha512",
    private: include_str!("../public_keys/keys/rsa_a.pem"),
    public: include_str!("../public_keys/keys/rsa_a_public.pem"),
};

/// Exchanges messages of all algorithms in both directions.
pub(crate) fn exchange(registry: &'static Registry) {
    let package = Package { script: registry.script(), compares_digest: registry.name == "pypi" };
    for case in CASES {
        let headers = signed_by_hookwarden(case);
        package.assert_agrees(case, &headers);

        let headers = package.sign(case, &Headers::from([content_type()]));
        if (registry.name, case.name) == ("npm", "rsa-pss-sha512") {
            // Its salt is as long as the key permits. RFC 9421 section 3.3.1 requires 64 bytes.
            assert_eq!(verify(case, PATH, &headers, BODY), Err(Reason::Mismatch), "{case:?}");
        } else {
            package.assert_agrees(case, &headers);
        }
    }
}

/// Verifies random requests of which the package signed random components. It may refuse to sign a request.
pub(crate) fn random_components(registry: &'static Registry) {
    let script = registry.script();
    let profile = Profile::builder(ORIGIN).algorithms([HMAC.algorithm]).danger_unsigned_target();
    let profile = profile.covers(["content-digest"]).danger_any_tag().build().expect("a profile");
    let scheme = profile.scheme(NAME).expect("a scheme");
    let keys = Keyring::new(scheme.secret(HMAC.private).expect("a secret"));
    let verifier = Verifier::new(scheme, keys).expect("a verifier");
    let exchange = |(method, target, headers, body, components, parameters): RandomRequest| -> TestCaseResult {
        let now = Timestamp::now();
        let mut request = sign_request(HMAC, &target, &headers, body.as_bytes(), now);
        request["method"] = method.into();
        request["components"] = components.into();
        request["parameters"] = parameters;
        let signed = script.ask(&request);
        if signed.headers.is_empty() {
            let is_refusal = signed.reason().starts_with("HTTPMessageSignaturesException");
            return Err(if is_refusal { TestCaseError::reject("refused") } else { fail(&signed) });
        }
        let head = RequestHead::new(method, &target, &signed.headers).with_authority(AUTHORITY);
        let verify = |body: &str| verifier.verify_at(&head, body.as_bytes(), now).err().map(|error| error.reason());
        prop_assert_eq!(verify(&body), None);
        prop_assert_eq!(verify(&format!("{body} ")), Some(Reason::Mismatch));
        Ok(())
    };
    let config =
        ProptestConfig { cases: 200, max_global_rejects: 20_000, failure_persistence: None, ..Default::default() };
    TestRunner::new(config).run(&random_request(), exchange).expect("random messages verify");
}

/// A package with its script.
#[derive(Debug)]
struct Package {
    script: &'static Script,
    compares_digest: bool,
}

impl Package {
    /// Asserts that both sides accept a message, and refuse it with another URL or header. With another body, the check of
    /// the signature alone accepts it and Hookwarden refuses it.
    fn assert_agrees(&self, case: Case, headers: &Headers) {
        let mut other_header = headers.clone();
        other_header.retain(|name, _| !name.eq_ignore_ascii_case("content-type"));
        other_header.insert("Content-Type".to_owned(), "text/plain".to_owned());
        let other_path = "/webhooks/acme?id=8&kind=a";
        for (about, path, headers, outcome) in [
            ("unchanged", PATH, headers, Ok(())),
            ("other URL", other_path, headers, Err(Reason::Mismatch)),
            ("other header", PATH, &other_header, Err(Reason::Mismatch)),
        ] {
            assert_eq!(verify(case, path, headers, BODY), outcome, "{about}: {case:?} {headers:?}");
            self.assert_verdict(outcome.is_ok(), case, path, headers, BODY, false);
        }

        assert_eq!(verify(case, PATH, headers, OTHER_BODY), Err(Reason::Mismatch), "{case:?} {headers:?}");
        self.assert_verdict(true, case, PATH, headers, OTHER_BODY, false);
        if self.compares_digest {
            self.assert_verdict(true, case, PATH, headers, BODY, true);
            self.assert_verdict(false, case, PATH, headers, OTHER_BODY, true);
        }
    }

    fn assert_verdict(&self, is_ok: bool, case: Case, path: &str, headers: &Headers, body: &[u8], check_body: bool) {
        let mut request = request("verify", case, path, headers, body);
        request["secret"] = case.public.into();
        request["check_body"] = check_body.into();
        let answer = self.script.ask(&request);
        assert_eq!(answer.ok, Some(is_ok), "{}: {request}", answer.reason());
    }

    fn sign(&self, case: Case, headers: &Headers) -> Headers {
        let answer = self.script.ask(&sign_request(case, PATH, headers, BODY, Timestamp::now()));
        assert!(!answer.headers.is_empty(), "{}", answer.reason());
        answer.headers
    }
}

fn sign_request(case: Case, path: &str, headers: &Headers, body: &[u8], now: Timestamp) -> Value {
    let mut request = request("sign", case, path, headers, body);
    request["secret"] = case.private.into();
    request["now"] = now.as_unix().into();
    request["components"] = json!(["@method", "@target-uri", "\"@query-param\";name=\"id\"", "content-type"]);
    request["parameters"] = json!({ "key_id": "2027-01", "nonce": "nonce-1", "label": "peer" });
    request
}

fn request(operation: &str, case: Case, path: &str, headers: &Headers, body: &[u8]) -> Value {
    json!({
        "op": operation,
        "provider": NAME,
        "algorithm": case.name,
        "method": METHOD,
        "url": format!("{ORIGIN}{path}"),
        "headers": headers,
        "body": STANDARD.encode(body),
    })
}

fn profile(algorithm: Algorithm) -> Profile {
    Profile::builder(ORIGIN)
        .algorithms([algorithm])
        .covers(["@method", "@target-uri", "@query-param;name=\"id\"", "content-type", "content-digest"])
        .requires([Parameter::Expires, Parameter::Nonce, Parameter::Keyid, Parameter::Alg])
        .build()
        .expect("a profile")
}

fn signed_by_hookwarden(case: Case) -> Headers {
    let profile = profile(case.algorithm);
    let secret = profile.scheme(NAME).expect("a scheme").secret(case.private).expect("a private key");
    let signer = profile.signer(Keyring::new(secret)).expect("a signer");
    let mut headers = Headers::from([content_type()]);
    let parameters = SignatureParameters::new().keyid("2027-01").nonce("nonce-1");
    let signed = signer.sign(&RequestHead::new(METHOD, PATH, &headers), BODY, &parameters).expect("a signature");
    headers.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    headers
}

fn verify(case: Case, path: &str, headers: &Headers, body: &[u8]) -> Result<(), Reason> {
    let scheme = profile(case.algorithm).scheme(NAME).expect("a scheme");
    let key: KeyMaterial = match case.algorithm.uses_public_keys() {
        true => scheme.public_key(case.public).expect("a public key").into(),
        false => scheme.secret(case.public).expect("a secret").into(),
    };
    let verifier = Verifier::new(scheme, Keyring::new(key)).expect("a verifier");
    let head = RequestHead::new(METHOD, path, headers).with_authority(AUTHORITY);
    verifier.verify_at(&head, body, Timestamp::now()).map(drop).map_err(|rejection| rejection.reason())
}

fn content_type() -> (String, String) {
    ("Content-Type".to_owned(), "application/json".to_owned())
}

fn fail(answer: &Answer) -> TestCaseError {
    TestCaseError::fail(answer.reason().to_owned())
}

/// The method, the target, the headers, the body, the covered components and the parameters.
type RandomRequest = (&'static str, String, Headers, String, Vec<&'static str>, Value);

fn random_request() -> impl Strategy<Value = RandomRequest> {
    let member =
        (select(vec!["a=", "b=", "c=", "a%20b=", "x+y="]), ENCODED).prop_map(|(name, value)| name.to_owned() + &value);
    let query = prop::collection::vec(member, 0..5).prop_map(|members| format!("?{}", members.join("&")));
    let target = (ENCODED, prop_oneof![Just(String::new()), query]).prop_map(|(path, query)| format!("/{path}{query}"));
    let headers = (TEXT, select(DICTIONARIES)).prop_map(|(text, dictionary)| {
        let others = [("X-Text", text), ("X-Dict", dictionary.to_owned())];
        others.map(|(name, value)| (name.to_owned(), value)).into_iter().chain([content_type()]).collect()
    });
    let label = select(vec!["sig", "a*b", "x-1.2"]);
    let parameters = ("[ab\"\\\\ ;=]{1,8}", "[ab\"\\\\ ,]{1,8}", label, select(vec![None, Some("t \"x\"")]));
    let parameters = parameters.prop_map(
        |(key_id, nonce, label, tag)| json!({ "key_id": key_id, "nonce": nonce, "label": label, "tag": tag }),
    );
    let components = subsequence(COMPONENTS, 0..=6).prop_shuffle();
    (select(vec!["POST", "PUT"]), target, headers, TEXT, components, parameters)
}

const COMPONENTS: &[&str] = &[
    "@method",
    "@target-uri",
    "@authority",
    "@scheme",
    "@path",
    "@query",
    "content-type",
    "x-text",
    "\"@query-param\";name=\"a\"",
    "\"@query-param\";name=\"b\"",
    "\"@query-param\";name=\"a%20b\"",
    "\"@query-param\";name=\"x%20y\"",
    "\"x-text\";bs",
    "x-dict",
    "\"x-dict\";bs",
    "\"x-dict\";key=\"a\"",
    "\"x-dict\";key=\"b\"",
];
const DICTIONARIES: &[&str] =
    &["a=1, b=2;x=1;y=2, c=(a   b   c)", "a, b=?0", "a=:AAAA:;q=1.5", "a=\"x\\\"y\", b=tok/en;z", "a=(1 2);p, b=1.0"];
/// Letters of a path or a query, of which some are encoded.
const ENCODED: &str = "([a-cX-Z019._~+*!$',;:@-]|%20|%22|%25|%2B|%41){0,6}";
const TEXT: &str = "[abcXYZ019 ,;=\"\\\\:()/*?_~\t-]{0,20}";
const METHOD: &str = "POST";
const AUTHORITY: &str = "hooks.example.com";
const ORIGIN: &str = "https://hooks.example.com";
const PATH: &str = "/webhooks/acme?id=7&kind=a";
const BODY: &[u8] = br#"{"event":"user.created"}"#;
const OTHER_BODY: &[u8] = br#"{"event":"user.deleted"}"#;

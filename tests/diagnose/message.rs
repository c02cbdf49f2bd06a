//! Requests with HTTP Message Signatures, whose sender is `ring` and builds the signature base by hand.

use hookwarden::crypto::Algorithm;
use hookwarden::diagnose::{Capture, CauseKind, Diagnosis};
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::{Parameter, Profile, ProfileBuilder};
use hookwarden::{Scheme, Timestamp, Tolerance};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use ring::digest::SHA256;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _,
};

use crate::sender::{Headers, NOW, SECRET, assert_hidden, assert_kinds, base64, hash, hex, mac, sha256};

const ORIGIN: &str = "https://hooks.example.com";
const TARGET: &str = "/webhooks/acme?id=7&kind=a";
const BODY: &[u8] = br#"{"event":"user.created"}"#;
const PARAMETERS: &str = r#";created=1800000000;expires=1800000300;nonce="4Ym1aA3bQ9v8w2k0";keyid="2027-01""#;

fn builder() -> ProfileBuilder {
    Profile::webhooks(ORIGIN).algorithms([Algorithm::HmacSha256])
}

fn digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", base64(&hash(&SHA256, body)))
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// What a sender signs, and what it sends.
struct Message {
    lines: Vec<(String, String)>,
    parameters: String,
    label: &'static str,
    method: &'static str,
    target: String,
    headers: Headers,
    body: Vec<u8>,
    /// Changes the base before it is signed.
    base: fn(String) -> String,
    sign: Sign,
}

impl Message {
    fn new() -> Self {
        let lines = [
            ("\"@method\"", "POST".to_owned()),
            ("\"@target-uri\"", format!("{ORIGIN}{TARGET}")),
            ("\"content-type\"", "application/json".to_owned()),
            ("\"content-digest\"", digest(BODY)),
        ];
        let mut message = Self {
            lines: lines.map(|(name, value)| (name.to_owned(), value)).into(),
            parameters: PARAMETERS.to_owned(),
            label: "sig1",
            method: "POST",
            target: TARGET.to_owned(),
            headers: Vec::new(),
            body: BODY.to_vec(),
            base: |base| base,
            sign: Box::new(|base| sha256(SECRET.as_bytes(), base)),
        };
        message.set("Host", "hooks.example.com");
        message.set("Content-Type", "application/json");
        message.set("Content-Digest", &digest(BODY));
        message
    }

    fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    fn line(&mut self, name: &str, value: &str) {
        let line = self.lines.iter_mut().find(|(known, _)| known.trim_matches('"') == name);
        value.clone_into(&mut line.unwrap().1);
    }

    fn input(&self) -> String {
        let names: Vec<&str> = self.lines.iter().map(|(name, _)| name.as_str()).collect();
        format!("({}){}", names.join(" "), self.parameters)
    }

    fn signature(&self) -> Vec<u8> {
        let mut base: String = self.lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        base.push_str(&format!("\"@signature-params\": {}", self.input()));
        (self.sign)((self.base)(base).as_bytes())
    }

    fn signed(mut self) -> Self {
        let signature = format!("{}=:{}:", self.label, base64(&self.signature()));
        self.set("Signature-Input", &format!("{}={}", self.label, self.input()));
        self.set("Signature", &signature);
        self
    }

    fn diagnose(&self, scheme: &Scheme, secret: &str, now: Timestamp) -> Diagnosis {
        let head = RequestHead::new(self.method, &self.target, &self.headers);
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value));
        Capture::new(scheme, secret, &head, &self.body).with_headers(headers).diagnose_at(now)
    }
}

fn scheme(profile: ProfileBuilder) -> Scheme {
    profile.build().unwrap().scheme("acme").unwrap()
}

/// A change before signing or after it, and the causes, all proven.
type Case = (fn(&mut Message), fn(&mut Message), &'static [CauseKind]);

fn unchanged(_: &mut Message) {}

fn changed(case: &Case) -> Message {
    let mut message = Message::new();
    (case.0)(&mut message);
    let mut message = message.signed();
    (case.1)(&mut message);
    message
}

#[track_caller]
fn assert_message(message: &Message, profile: ProfileBuilder, kinds: &[CauseKind]) -> Diagnosis {
    let diagnosis = message.diagnose(&scheme(profile), SECRET, NOW);
    assert_kinds(&diagnosis, kinds);
    assert_hidden(&diagnosis, SECRET, &[message.signature()]);
    diagnosis
}

#[track_caller]
fn assert_proven(message: &Message, profile: ProfileBuilder, kinds: &[CauseKind]) -> Diagnosis {
    let diagnosis = assert_message(message, profile, kinds);
    assert!(diagnosis.causes().iter().all(|cause| cause.is_proven()), "{diagnosis}");
    assert_eq!(diagnosis.fitting_secret(), Some(0), "{diagnosis}");
    diagnosis
}

#[test]
fn late_expires_without_created_is_proven() {
    let signed = |expires: i64| {
        let mut message = Message::new();
        let times = format!(";expires={expires}");
        message.parameters = message.parameters.replace(";created=1800000000;expires=1800000300", &times);
        message.signed()
    };
    // The maximum age is 300 s.
    let cases = [
        (1_800_000_300, &[][..], "", ""),
        (
            1_800_000_301,
            &[CauseKind::SignatureParameter],
            "the parameter expires is 301 s in the future, and without created at most 300 s are permitted",
            "on the sender, add created to the signature, or set expires to at most 300 s from now",
        ),
        (1_800_000_300_000, &[CauseKind::TimestampMilliseconds], "milliseconds", "write expires in Unix seconds"),
    ];
    for (expires, kinds, what, fix) in cases {
        let diagnosis = assert_proven(&signed(expires), builder().created_optional(), kinds);
        for cause in diagnosis.causes() {
            assert_eq!(cause.header(), Some("Signature-Input"), "{diagnosis}");
            assert!(cause.what().contains(what) && cause.fix().contains(fix), "{diagnosis}");
        }
    }
}

#[test]
fn correct_request_has_no_cause() {
    assert_proven(&Message::new().signed(), builder(), &[]);
}

#[test]
fn changed_body_is_proven_by_its_digest() {
    let cases: [(&[u8], &[u8], CauseKind); 7] = [
        (BODY, br#"{"event": "user.created"}"#, CauseKind::BodyJsonRewritten),
        (BODY, b"{\"event\":\"user.created\"}\n", CauseKind::BodyNewlineAdded),
        (b"{}\n", b"{}", CauseKind::BodyNewlineLost),
        (b"a\r\nb", b"a\nb", CauseKind::BodyCrlfLost),
        (b"{}", b"\xef\xbb\xbf{}", CauseKind::BodyBomAdded),
        (b"{}", b"e30=", CauseKind::BodyEncoded),
        (BODY, b"something else", CauseKind::BodyDiffers),
    ];
    for (sent, captured, kind) in cases {
        let mut message = Message::new();
        message.line("content-digest", &digest(sent));
        message.set("Content-Digest", &digest(sent));
        let mut message = message.signed();
        message.body = captured.to_vec();
        assert_proven(&message, builder(), &[kind]);
    }
}

#[test]
fn compressed_body_is_proven_by_its_digest() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(BODY).unwrap();
    let mut message = Message::new().signed();
    message.body = encoder.finish().unwrap();
    assert_proven(&message, builder(), &[CauseKind::BodyCompressed]);
}

#[test]
fn other_request_than_signed_is_proven() {
    let cases: &[Case] = &[
        (
            |m| m.line("@target-uri", "http://hooks.example.com/webhooks/acme?id=7&kind=a"),
            unchanged,
            &[CauseKind::UrlScheme],
        ),
        (
            |m| m.line("@target-uri", "https://public.example.com/webhooks/acme?id=7&kind=a"),
            |m| m.set("X-Forwarded-Host", "public.example.com"),
            &[CauseKind::UrlHost],
        ),
        (|m| m.line("@target-uri", &format!("{ORIGIN}:443{TARGET}")), unchanged, &[CauseKind::UrlHost]),
        (|m| m.line("@target-uri", &format!("{ORIGIN}/webhooks/acme")), unchanged, &[CauseKind::UrlQuery]),
        (
            |m| m.line("@target-uri", &format!("{ORIGIN}/webhooks/acme/?id=7&kind=a")),
            unchanged,
            &[CauseKind::UrlTrailingSlash],
        ),
        (|m| m.line("@target-uri", &format!("{ORIGIN}/webhooks/acme?kind=a&id=7")), unchanged, &[CauseKind::UrlForm]),
        (
            unchanged,
            |m| {
                m.target = "/acme?id=7&kind=a".into();
                m.set("X-Forwarded-Prefix", "/webhooks");
            },
            &[CauseKind::UrlForm],
        ),
        (unchanged, |m| m.method = "PUT", &[CauseKind::MethodDiffers]),
        (unchanged, |m| m.set("Content-Type", "application/json; charset=utf-8"), &[CauseKind::HeaderValueDiffers]),
        (unchanged, |m| m.set("Content-Digest", &digest(b"x")), &[CauseKind::HeaderValueDiffers]),
        (unchanged, |m| m.remove("Content-Digest"), &[CauseKind::HeaderMissing, CauseKind::HeaderValueDiffers]),
        (
            unchanged,
            |m| m.headers.push(("content-type".into(), b"text/plain".to_vec())),
            &[CauseKind::HeaderDuplicated, CauseKind::HeaderDuplicated],
        ),
        (
            |m| m.line("@target-uri", "http://hooks.example.com/webhooks/acme"),
            unchanged,
            &[CauseKind::UrlScheme, CauseKind::UrlQuery],
        ),
    ];
    for case in cases {
        assert_proven(&changed(case), builder(), case.2);
    }
}

#[test]
fn other_signature_base_is_proven() {
    let cases: &[Case] = &[
        (|m| m.base = |base| base.replace('\n', "\r\n"), unchanged, &[CauseKind::TemplateSeparator]),
        (|m| m.base = |base| format!("{base}\n"), unchanged, &[CauseKind::TemplateSeparator]),
        (|m| m.base = |base| base.replace("\": ", "\":"), unchanged, &[CauseKind::TemplateSeparator]),
        (
            |m| {
                m.base = |base| {
                    base.replace("\"content-type\"", "content-type")
                        .replace("\"@method\"", "@method")
                        .replace("\"@target-uri\"", "@target-uri")
                        .replace("\"content-digest\":", "content-digest:")
                        .replace("\"@signature-params\"", "@signature-params")
                        .replace(
                            "(@method @target-uri content-type \"content-digest\")",
                            "(\"@method\" \"@target-uri\" \"content-type\" \"content-digest\")",
                        )
                }
            },
            unchanged,
            &[CauseKind::TemplateLiteral],
        ),
        (|m| m.base = |base| base.rsplit_once('\n').unwrap().0.into(), unchanged, &[CauseKind::TemplatePartMissing]),
        (|m| m.base = |base| base.replace("params\": (", "params\": sig1=("), unchanged, &[CauseKind::TemplateLiteral]),
        (
            |m| {
                m.base = |base| {
                    let (first, rest) = base.split_once('\n').unwrap();
                    let (second, rest) = rest.split_once('\n').unwrap();
                    format!("{second}\n{first}\n{rest}")
                }
            },
            unchanged,
            &[CauseKind::TemplateOrder],
        ),
        (|m| m.base = |base| base.split_once('\n').unwrap().1.into(), unchanged, &[CauseKind::TemplatePartMissing]),
        (
            |m| {
                m.base = |base| {
                    base.replace(";created=1800000000;expires=1800000300", ";expires=1800000300;created=1800000000")
                }
            },
            unchanged,
            &[CauseKind::TemplateOrder],
        ),
        (|m| m.base = |_| String::from_utf8(BODY.to_vec()).unwrap(), unchanged, &[CauseKind::TemplateBodyAlone]),
        (
            |m| {
                m.lines.remove(0);
            },
            unchanged,
            &[CauseKind::TemplatePartMissing],
        ),
    ];
    for (place, case) in cases.iter().enumerate() {
        let diagnosis = assert_proven(&changed(case), builder(), case.2);
        assert!(!diagnosis.holds(), "case {place}");
    }
}

#[test]
fn wrong_parameters_are_proven() {
    let cases: &[Case] = &[
        (
            |m| m.parameters = m.parameters.replace(r#";nonce="4Ym1aA3bQ9v8w2k0""#, ""),
            unchanged,
            &[CauseKind::FieldMissing],
        ),
        (|m| m.parameters.push_str(";alg=\"ed25519\""), unchanged, &[CauseKind::AlgorithmDiffers]),
        (|m| m.parameters = m.parameters.replace("\"2027-01\"", "\"\""), unchanged, &[CauseKind::SignatureParameter]),
        (
            |m| m.parameters = m.parameters.replace("=1800000000", "=\"2027\""),
            unchanged,
            &[CauseKind::TimestampMalformed],
        ),
        (
            |m| m.parameters = m.parameters.replace("created=1800000000", "created=1799999600"),
            unchanged,
            &[CauseKind::TimestampStale],
        ),
        (
            |m| m.parameters = m.parameters.replace("created=1800000000", "created=1800000100"),
            unchanged,
            &[CauseKind::TimestampEarly],
        ),
        (
            |m| {
                m.parameters = m
                    .parameters
                    .replace("created=1800000000", "created=1800000000000")
                    .replace("1800000300", "1800000300000")
            },
            unchanged,
            &[CauseKind::TimestampMilliseconds],
        ),
        (
            |m| m.parameters = m.parameters.replace("1800000000", "1799999800").replace("1800000300", "1799999900"),
            unchanged,
            &[CauseKind::SignatureExpired],
        ),
    ];
    for case in cases {
        assert_proven(&changed(case), builder(), case.2);
    }
    let forbidden = || builder().forbids([Parameter::Alg]);
    let message = changed(&(|m| m.parameters.push_str(";alg=\"hmac-sha256\""), unchanged, &[]));
    assert_proven(&message, forbidden(), &[CauseKind::SignatureParameter]);
}

#[test]
fn label_and_tag_are_named() {
    let message = Message::new().signed();
    assert_proven(&message, builder().label("acme"), &[CauseKind::SignatureLabel]);
    assert_proven(&message, builder().label("sig1").tag("acme"), &[CauseKind::SignatureTag]);
    assert_proven(&message, builder().tag("acme"), &[CauseKind::SignatureTag]);
    let mut message = Message::new().signed();
    let value = format!("other=:{}:", base64(&message.signature()));
    message.set("Signature", &value);
    assert_proven(&message, builder(), &[CauseKind::SignatureLabel]);
    let input = format!("sig1={0}, sig2={0}", message.input());
    message.set("Signature-Input", &input);
    assert_message(&message, builder(), &[CauseKind::SignatureCount]);
}

#[test]
fn tag_without_one_in_the_profile_is_named() {
    let message = changed(&(|m| m.parameters.push_str(";tag=\"acme\""), unchanged, &[]));
    assert_proven(&message, builder(), &[CauseKind::SignatureTag]);
    assert_proven(&message, builder().tag("acme"), &[]);
}

#[test]
fn other_host_is_named_with_the_expected_one() {
    let mut message = Message::new().signed();
    message.set("Host", "internal:8080");
    let diagnosis = assert_proven(&message, builder(), &[CauseKind::HostDiffers]);
    assert!(diagnosis.causes()[0].what().contains("hooks.example.com"), "{diagnosis}");
    assert_proven(&message, builder().received_as(["internal:8080"]), &[]);
    message.remove("Host");
    assert_proven(&message, builder(), &[CauseKind::HeaderMissing]);
    message.set("Host", "two hosts");
    assert_proven(&message, builder(), &[CauseKind::HeaderMalformed]);
    // Sent to another host, and signed for it.
    let mut message = Message::new();
    message.line("@target-uri", &format!("https://other.example.com{TARGET}"));
    let mut message = message.signed();
    message.set("Host", "other.example.com");
    assert_proven(&message, builder(), &[CauseKind::HostDiffers, CauseKind::UrlHost]);
}

#[test]
fn limits_of_parameters_are_proven() {
    let message = Message::new().signed();
    assert_proven(&message, builder().min_nonce_bytes(16), &[CauseKind::SignatureParameter]);
    let short = builder().max_validity(std::time::Duration::from_secs(60));
    assert_proven(&message, short, &[CauseKind::SignatureParameter]);
}

#[test]
fn base64_under_a_base64url_profile_is_proven() {
    let message = Message::new().signed();
    assert_proven(&message, builder().base64url_signatures(), &[CauseKind::SignatureEncoding]);
}

#[test]
fn body_of_an_unsigned_digest_is_named() {
    let mut message = Message::new();
    message.lines.truncate(2);
    let profile = || {
        Profile::builder(ORIGIN)
            .algorithms([Algorithm::HmacSha256])
            .covers(["@method", "@target-uri"])
            .covers_with_body(["content-digest"])
    };
    let mut message = message.signed();
    assert_proven(&message, profile(), &[CauseKind::TemplatePartMissing]);
    message.body.clear();
    assert_proven(&message, profile(), &[]);
}

#[test]
fn short_signature_proves_nothing() {
    for bytes in [0, 1, 7] {
        let mut message = Message::new().signed();
        let start = base64(&message.signature()[..bytes]);
        message.headers.retain(|(name, _)| name != "Signature");
        message.headers.push(("Signature".into(), format!("{}=:{start}:", message.label).into_bytes()));
        let diagnosis = message.diagnose(&scheme(builder()), "another-subscription-secret", NOW);
        assert!(diagnosis.causes().iter().all(|cause| !cause.is_proven()), "{diagnosis}");
        assert!(diagnosis.causes().iter().any(|cause| cause.kind() == CauseKind::SignatureMalformed), "{diagnosis}");
    }
}

#[test]
fn tolerance_does_not_exceed_the_profile() {
    let mut message = Message::new();
    message.parameters = message.parameters.replace("1800000000", "1799999000");
    let message = message.signed();
    let scheme = scheme(builder());
    let head = RequestHead::new(message.method, &message.target, &message.headers);
    let capture = Capture::new(&scheme, SECRET, &head, &message.body);
    let tolerance = Tolerance::new(std::time::Duration::from_secs(86_400)).unwrap();
    let diagnosis = capture.with_tolerance(tolerance).diagnose_at(NOW);
    assert!(diagnosis.causes().iter().any(|cause| cause.kind() == CauseKind::TimestampStale), "{diagnosis}");
}

#[test]
fn misspelt_signature_is_proven() {
    let signature = |message: &Message, value: String| {
        let mut headers = message.headers.clone();
        headers.retain(|(name, _)| name != "Signature");
        headers.push(("Signature".into(), value.into_bytes()));
        headers
    };
    let url = |text: &str| text.replace('+', "-").replace('/', "_");
    // Its base64 has both letters in which the alphabets differ.
    let mut message = (0..)
        .map(|number| {
            let mut message = Message::new();
            message.parameters = message.parameters.replace("4Ym1aA3bQ9v8w2k0", &format!("nonce-{number}"));
            message.signed()
        })
        .find(|message| base64(&message.signature()).contains('+') && base64(&message.signature()).contains('/'))
        .unwrap();
    let text = base64(&message.signature());
    let spellings = [
        (format!("sig1=:{}:", url(&text)), CauseKind::SignatureEncoding),
        (format!("sig1=:{}:", url(text.trim_end_matches('='))), CauseKind::SignatureEncoding),
        (format!("sig1=\"{text}\""), CauseKind::SignatureQuoted),
        (format!("sig1={text}"), CauseKind::SignaturePrefixMissing),
        (text.clone(), CauseKind::SignaturePrefixMissing),
    ];
    for (value, kind) in spellings {
        message.headers = signature(&message, value);
        assert_proven(&message, builder(), &[kind]);
    }
    message.headers = signature(&message, format!("sig1=:{}:", hex(&message.signature())));
    assert_proven(&message, builder(), &[CauseKind::SignatureEncoding]);
}

#[test]
fn unreadable_message_is_described() {
    let cases: &[Case] = &[
        (unchanged, |m| m.headers.retain(|(name, _)| !name.starts_with("Signature")), &[CauseKind::HeaderMissing]),
        (unchanged, |m| m.remove("Signature"), &[CauseKind::HeaderMissing, CauseKind::Unexplained]),
        (unchanged, |m| m.set("Signature-Input", "sig1=("), &[CauseKind::HeaderMalformed]),
        (
            |m| m.lines.push(("\"@request-target\"".into(), String::new())),
            unchanged,
            &[CauseKind::ComponentUnsupported],
        ),
        (
            |m| m.lines.push(("\"@query-param\";name=\"none\"".into(), String::new())),
            unchanged,
            &[CauseKind::ComponentUnsupported],
        ),
        (|m| m.lines.push(("\"x-missing\"".into(), String::new())), unchanged, &[CauseKind::HeaderMissing]),
        (
            |m| {
                m.set("Content-Digest", "md5=:AAAA:");
                m.line("content-digest", "md5=:AAAA:");
            },
            unchanged,
            &[CauseKind::DigestUnsupported],
        ),
    ];
    for case in cases {
        assert_message(&changed(case), builder(), case.2);
    }
    let message = Message::new().signed();
    let diagnosis = Capture::new(&scheme(builder()), SECRET, &message.headers, BODY).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::RequestLineMissing]);
}

#[test]
fn wrong_secret_names_the_keyid() {
    let mut message = Message::new();
    message.sign = Box::new(|base| sha256(b"another-secret", base));
    let diagnosis = assert_message(&message.signed(), builder(), &[CauseKind::Unexplained]);
    let cause = &diagnosis.causes()[0];
    assert!(cause.what().contains("the signature names the key \"2027-01\""), "{diagnosis}");
    assert!(!cause.is_proven());
}

#[test]
fn other_body_under_another_secret_is_described() {
    let mut message = Message::new();
    message.sign = Box::new(|base| sha256(b"another-secret", base));
    let mut message = message.signed();
    message.body.push(b'\n');
    let diagnosis = assert_message(&message, builder(), &[CauseKind::BodyNewlineAdded, CauseKind::Unexplained]);
    assert!(diagnosis.causes().iter().all(|cause| !cause.is_proven()), "{diagnosis}");
}

#[test]
fn wrong_secret_and_hash_are_proven() {
    let mut message = Message::new();
    message.sign = Box::new(|base| sha256(format!("{SECRET}\n").as_bytes(), base));
    assert_proven(&message.signed(), builder(), &[CauseKind::SecretWhiteSpace]);
    let mut message = Message::new();
    message.sign = Box::new(|base| mac(ring::hmac::HMAC_SHA512, SECRET.as_bytes(), base));
    assert_proven(&message.signed(), builder(), &[CauseKind::AlgorithmDiffers]);
}

fn p256(algorithm: &'static EcdsaSigningAlgorithm) -> (EcdsaKeyPair, SystemRandom) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    (EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(), random)
}

fn public_key_builder() -> ProfileBuilder {
    Profile::webhooks(ORIGIN).algorithms([Algorithm::EcdsaP256, Algorithm::Ed25519])
}

#[track_caller]
fn assert_public_key(message: &Message, text: &str, kinds: &[CauseKind]) -> Diagnosis {
    let diagnosis = message.diagnose(&scheme(public_key_builder()), text, NOW);
    assert_kinds(&diagnosis, kinds);
    let is_proven = kinds.iter().all(|kind| !matches!(kind, CauseKind::Unexplained | CauseKind::KeyUnknown));
    assert!(diagnosis.causes().iter().all(|cause| cause.is_proven() == is_proven), "{diagnosis}");
    diagnosis
}

#[test]
fn ecdsa_signature_in_der_is_proven() {
    for (algorithm, kinds) in
        [(&ECDSA_P256_SHA256_FIXED_SIGNING, &[][..]), (&ECDSA_P256_SHA256_ASN1_SIGNING, &[CauseKind::AlgorithmDiffers])]
    {
        let (pair, random) = p256(algorithm);
        let text = hex(pair.public_key().as_ref());
        let mut message = Message::new();
        message.sign = Box::new(move |base| pair.sign(&random, base).unwrap().as_ref().to_vec());
        assert_public_key(&message.signed(), &text, kinds);
    }
}

#[test]
fn other_algorithm_than_named_is_proven() {
    let (pair, random) = p256(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let text = hex(pair.public_key().as_ref());
    let mut message = Message::new();
    message.parameters.push_str(";alg=\"ed25519\"");
    message.sign = Box::new(move |base| pair.sign(&random, base).unwrap().as_ref().to_vec());
    let diagnosis = assert_public_key(&message.signed(), &text, &[CauseKind::AlgorithmDiffers]);
    assert_eq!(diagnosis.causes()[0].header(), Some("Signature-Input"));
}

/// The JWK of a key with this seed, and a message that it signed.
fn ed25519(seed: u8, kid: &str) -> (String, Message) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let x = base64(pair.public_key().as_ref()).replace('+', "-").replace('/', "_").replace('=', "");
    let mut message = Message::new();
    message.sign = Box::new(move |base| pair.sign(base).as_ref().to_vec());
    (format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}"#), message)
}

#[test]
fn public_key_used_as_secret_is_proven() {
    let (text, mut message) = ed25519(1, "2027-01");
    let secret = text.clone();
    assert_public_key(&message.signed(), &text, &[]);
    message = Message::new();
    message.sign = Box::new(move |base| sha256(secret.as_bytes(), base));
    let diagnosis = assert_public_key(&message.signed(), &text, &[CauseKind::AlgorithmDiffers]);
    assert!(diagnosis.causes()[0].what().contains("HMAC with the text of the public key"), "{diagnosis}");
}

#[test]
fn public_key_used_as_secret_hides_keyid_causes() {
    for (parameters, profile) in [
        (PARAMETERS.replace("2027-01", "x"), public_key_builder()),
        (
            PARAMETERS.replace("2027-01", "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k") + ";tag=\"web-bot-auth\"",
            public_key_builder().tag("web-bot-auth").thumbprint_keyid("web-bot-auth"),
        ),
    ] {
        let (text, _) = ed25519(1, "2027-01");
        let secret = text.clone();
        let mut message = Message::new();
        message.parameters = parameters;
        message.sign = Box::new(move |base| sha256(secret.as_bytes(), base));
        let diagnosis = message.signed().diagnose(&scheme(profile), &text, NOW);
        assert_kinds(&diagnosis, &[CauseKind::AlgorithmDiffers]);
        assert!(diagnosis.causes()[0].what().contains("HMAC with the text of the public key"), "{diagnosis}");
    }
}

#[test]
fn thumbprint_of_a_configured_key_is_known() {
    let (text, _) = ed25519(1, "key-1");
    let thumbprint = scheme(public_key_builder()).public_key(&text).unwrap().thumbprint();
    for (keyid, kind) in [(&*thumbprint, CauseKind::Unexplained), ("key-2", CauseKind::KeyUnknown)] {
        let (_, mut message) = ed25519(9, "key-9");
        message.parameters = message.parameters.replace("2027-01", keyid);
        assert_public_key(&message.signed(), &text, &[kind]);
    }
}

#[test]
fn key_that_is_not_configured_is_named() {
    let (other, _) = ed25519(2, "2026-07");
    let (_, message) = ed25519(1, "2027-01");
    let message = message.signed();
    let diagnosis = assert_public_key(&message, &other, &[CauseKind::KeyUnknown]);
    for name in ["2027-01", "2026-07"] {
        assert!(diagnosis.causes()[0].what().contains(name), "{diagnosis}");
    }
    // The key of this name is another one.
    let (same_name, _) = ed25519(2, "2027-01");
    assert_public_key(&message, &same_name, &[CauseKind::Unexplained]);
}

#[test]
fn keyid_that_is_not_the_thumbprint_is_proven() {
    let named = |keyid: &str| {
        let (text, mut message) = ed25519(1, "2027-01");
        message.parameters = message.parameters.replace("2027-01", keyid) + ";tag=\"web-bot-auth\"";
        let profile = || public_key_builder().tag("web-bot-auth").thumbprint_keyid("web-bot-auth");
        let thumbprint = scheme(profile()).public_key(&text).unwrap().thumbprint();
        let diagnosis = message.signed().diagnose(&scheme(profile()), &text, NOW);
        assert!(diagnosis.causes().iter().all(|cause| cause.is_proven()), "{diagnosis}");
        (diagnosis, thumbprint)
    };
    let (diagnosis, thumbprint) = named("2027-01");
    assert_kinds(&diagnosis, &[CauseKind::SignatureParameter]);
    assert!(diagnosis.causes()[0].what().contains("thumbprint"), "{diagnosis}");
    let other = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let (diagnosis, _) = named(other);
    assert_kinds(&diagnosis, &[CauseKind::KeyUnknown]);
    for text in [other, &thumbprint] {
        assert!(diagnosis.causes()[0].what().contains(text), "{diagnosis}");
    }
    assert_kinds(&named(&thumbprint).0, &[]);
}

#[test]
fn key_of_a_set_is_proven() {
    let ((first, _), (second, message)) = (ed25519(2, "2026-07"), ed25519(1, "2027-01"));
    let diagnosis =
        assert_public_key(&message.signed(), &format!(r#"{{"keys":[{first},{second}]}}"#), &[CauseKind::SecretList]);
    assert!(diagnosis.causes()[0].what().contains("2027-01"), "{diagnosis}");
}

#[test]
fn other_scheme_is_named_for_unsigned_request() {
    let mut message = Message::new();
    let signature = hex(&sha256(SECRET.as_bytes(), &[b"1800000000.".as_slice(), BODY].concat()));
    message.set("X-Webhook-Timestamp", "1800000000");
    message.set("X-Webhook-Signature", &signature);
    let diagnosis = message.diagnose(&scheme(builder()), SECRET, NOW);
    assert_kinds(&diagnosis, &[CauseKind::OtherScheme, CauseKind::HeaderMissing]);
    assert!(diagnosis.causes()[0].is_proven());
}

#[test]
fn large_body_is_not_fully_searched() {
    let large = vec![b'a'; (1 << 20) + 1];
    for (captured, is_searched) in [(&large[..], false), (b"something else", true)] {
        let mut message = Message::new().signed();
        message.body = captured.to_vec();
        let diagnosis = assert_proven(&message, builder(), &[CauseKind::BodyDiffers]);
        let what = diagnosis.causes()[0].what();
        assert_eq!(what.contains("no known change of the captured body has this digest"), is_searched, "{what}");
        let untried = "not all known changes of the captured body were tried: a body of more than 1 MiB is not decoded";
        assert_eq!(what.contains(untried), !is_searched, "{what}");
    }
}

#[test]
fn fixes_name_settings_of_profiles() {
    let mut messages = Vec::new();
    for algorithm in [ring::hmac::HMAC_SHA512, ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, ring::hmac::HMAC_SHA384] {
        let mut message = Message::new();
        message.sign = Box::new(move |base| mac(algorithm, SECRET.as_bytes(), base));
        messages.push((message.signed(), "sign with"));
    }
    let mut message = Message::new();
    message.parameters = message.parameters.replace(";created=1800000000;expires=1800000300", ";created=1800000000000");
    let profile = || builder().requires([Parameter::Nonce]);
    messages.push((message.signed(), "write created in Unix seconds"));
    for (message, fix) in messages {
        let diagnosis = message.diagnose(&scheme(profile()), SECRET, NOW);
        let texts = format!("{diagnosis}");
        assert!(diagnosis.causes().iter().any(|cause| cause.fix().contains(fix)), "{diagnosis}");
        assert!(!texts.contains("scheme") && !texts.contains("TimestampFormat"), "{diagnosis}");
    }
    // The signature is written in another encoding.
    let mut message = Message::new().signed();
    message.set("Signature", &format!("sig1=:{}:", hex(&message.signature())));
    let diagnosis = message.diagnose(&scheme(profile()), SECRET, NOW);
    assert!(!format!("{diagnosis}").contains("scheme"), "{diagnosis}");
}

#[test]
fn decoded_plus_is_restored_on_the_receiver() {
    // Its base64 has a plus inside.
    let mut message = (0..)
        .map(|number| {
            let mut message = Message::new();
            message.parameters = message.parameters.replace("4Ym1aA3bQ9v8w2k0", &format!("nonce-{number}"));
            message.signed()
        })
        .find(|message| base64(&message.signature()).trim_start_matches('+').contains('+'))
        .unwrap();
    message.set("Signature", &format!("sig1=:{}:", base64(&message.signature()).replace('+', " ")));
    let diagnosis = assert_proven(&message, builder(), &[CauseKind::SignatureEncoding]);
    assert!(
        diagnosis.causes()[0].fix().contains("on the receiver, read the header's value as it arrives"),
        "{diagnosis}"
    );
    // Another key: the cause is read from the head.
    let diagnosis = message.diagnose(&scheme(builder()), "another-secret", NOW);
    let cause = diagnosis.causes().iter().find(|cause| cause.kind() == CauseKind::SignatureEncoding);
    assert!(cause.is_some_and(|cause| cause.fix().contains("on the receiver, read")), "{diagnosis}");
}

#[cfg(feature = "rsa")]
#[test]
fn other_algorithm_is_corrected_on_the_sender_first() {
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use ring::rsa::PublicKeyComponents;
    use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

    let pem = include_str!("../public_keys/keys/rsa_a.pem");
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap();
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
    let [n, e] = [n, e].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    let pair = std::sync::Arc::new(pair);
    let fix = |alg: &str| {
        let (mut message, pair) = (Message::new(), std::sync::Arc::clone(&pair));
        message.sign = Box::new(move |base| {
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), base, &mut signature).unwrap();
            signature
        });
        let text = format!(r#"{{"kty":"RSA",{alg}"n":"{n}","e":"{e}"}}"#);
        let profile = Profile::webhooks(ORIGIN).algorithms([Algorithm::RsaPssSha512]);
        let diagnosis = message.signed().diagnose(&scheme(profile), &text, NOW);
        assert_kinds(&diagnosis, &[CauseKind::AlgorithmDiffers]);
        diagnosis.causes()[0].fix().to_owned()
    };
    let own = "on the sender, sign with rsa-pss-sha512";
    assert_eq!(
        fix(""),
        format!(
            "{own}; or, if you trust it, replace rsa-pss-sha512 by rsa-v1_5-sha256 in `algorithms` of the receiver's \
             profile (--algorithm of the command)"
        )
    );
    // A JWK that names its algorithm cannot be used with another one.
    assert_eq!(fix(r#""alg":"PS512","#), own);
}

#[test]
fn der_of_ecdsa_has_no_setting() {
    let (pair, random) = p256(&ECDSA_P256_SHA256_ASN1_SIGNING);
    let text = hex(pair.public_key().as_ref());
    let mut message = Message::new();
    message.sign = Box::new(move |base| pair.sign(&random, base).unwrap().as_ref().to_vec());
    let diagnosis = assert_public_key(&message.signed(), &text, &[CauseKind::AlgorithmDiffers]);
    let fix = diagnosis.causes()[0].fix();
    assert!(fix.contains("on the sender, sign with ecdsa-p256-sha256") && !fix.contains("Der"), "{diagnosis}");
}

#[test]
fn key_of_many_is_chosen_by_keyid() {
    let (text, message) = ed25519(1, "2027-01");
    let message = message.signed();
    let scheme = scheme(public_key_builder());
    let diagnose = |texts: &[String]| diagnose_with(&message, &scheme, texts);
    let mut texts: Vec<String> = (2..14).map(|seed| ed25519(seed, &format!("key-{seed}")).0).collect();
    let diagnosis = diagnose(&texts);
    assert_kinds(&diagnosis, &[CauseKind::KeyUnknown]);
    let what = diagnosis.causes()[0].what();
    assert!(what.contains("\"key-2\"") && what.contains("and 4 others"), "{what}");
    texts.push(text);
    let diagnosis = diagnose(&texts);
    assert!(diagnosis.holds(), "{diagnosis}");
    assert_eq!(diagnosis.fitting_secret(), Some(12));
    // The signature names another key than the one that made it: first none of the keys, then one of them.
    texts[12] = texts[12].replace("2027-01", "key-1");
    texts.swap(0, 12);
    for renamed in [None, Some(5)] {
        if let Some(text) = renamed.and_then(|place: usize| texts.get_mut(place)) {
            *text = text.replace("key-7", "2027-01");
        }
        let diagnosis = diagnose(&texts);
        assert_kinds(&diagnosis, &[CauseKind::KeyUnknown]);
        let cause = &diagnosis.causes()[0];
        assert!(cause.is_proven() && cause.what().contains("was made with the key \"key-1\""), "{diagnosis}");
        assert_eq!(diagnosis.fitting_secret(), Some(0));
    }
}

/// The diagnosis with several keys.
fn diagnose_with(message: &Message, scheme: &Scheme, texts: &[String]) -> Diagnosis {
    let head = RequestHead::new(message.method, &message.target, &message.headers);
    let capture = Capture::new(scheme, &texts[0], &head, &message.body);
    texts[1..].iter().fold(capture, |capture, text| capture.with_secret(text)).diagnose_at(NOW)
}

/// JWKs with the names `key-1` and so on.
fn named_keys(count: u8) -> Vec<String> {
    (1..=count).map(|seed| ed25519(seed, &format!("key-{seed}")).0).collect()
}

#[test]
fn key_is_chosen_under_another_tag() {
    let (_, mut message) = ed25519(7, "key-7");
    message.parameters = message.parameters.replace("2027-01", "key-7") + ";tag=\"adcp/request-signing/v1\"";
    let scheme = scheme(public_key_builder().tag("adcp/webhook-signing/v1"));
    let diagnosis = diagnose_with(&message.signed(), &scheme, &named_keys(12));
    assert_kinds(&diagnosis, &[CauseKind::SignatureTag]);
    assert!(diagnosis.causes()[0].is_proven(), "{diagnosis}");
    assert_eq!(diagnosis.fitting_secret(), Some(6));
}

#[test]
fn key_without_keyid_is_found() {
    for parameters in ["", ";tag=\"other\""] {
        let (_, mut message) = ed25519(7, "key-7");
        message.parameters = PARAMETERS.replace(";keyid=\"2027-01\"", parameters);
        let diagnosis = diagnose_with(&message.signed(), &scheme(public_key_builder()), &named_keys(12));
        let cause = diagnosis.causes().iter().find(|cause| cause.kind() == CauseKind::KeyUnknown).unwrap();
        let what = cause.what();
        assert!(what.starts_with("the signature names no key, and was made with the key \"key-7\""), "{what}");
        assert!(diagnosis.causes().iter().all(|cause| cause.is_proven()), "{diagnosis}");
        assert!(diagnosis.causes().iter().any(|cause| cause.kind() == CauseKind::FieldMissing), "{diagnosis}");
        assert_eq!(diagnosis.fitting_secret(), Some(6));
    }
}

#[test]
fn keys_without_names_are_not_chosen_by_keyid() {
    let secrets: Vec<String> = (1..=9).map(|number| format!("only-for-this-test-{number}")).collect();
    for (place, holds) in [(2, true), (8, false)] {
        let mut message = Message::new();
        let secret = secrets[place].clone();
        message.sign = Box::new(move |base| sha256(secret.as_bytes(), base));
        let diagnosis = diagnose_with(&message.signed(), &scheme(builder()), &secrets);
        assert_eq!((diagnosis.holds(), diagnosis.fitting_secret()), (holds, Some(place)), "{diagnosis}");
        if !holds {
            assert_kinds(&diagnosis, &[CauseKind::SecretList]);
            let cause = &diagnosis.causes()[0];
            assert!(cause.is_proven() && cause.fix().starts_with("on the receiver"), "{diagnosis}");
            assert!(cause.what().contains("secret 9") && cause.what().contains("the first 8"), "{diagnosis}");
        }
    }
    let text = |seed: u8| hex(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap().public_key().as_ref());
    let keys: Vec<String> = (1..=5).map(text).collect();
    let diagnosis = diagnose_with(&ed25519(3, "").1.signed(), &scheme(public_key_builder()), &keys);
    assert!(diagnosis.holds(), "{diagnosis}");
    // More keys of one name than a verifier uses.
    let same: Vec<String> = (1..=5).map(|seed| ed25519(seed, "2027-01").0).collect();
    let diagnosis = diagnose_with(&ed25519(5, "").1.signed(), &scheme(public_key_builder()), &same);
    assert_kinds(&diagnosis, &[CauseKind::SecretList]);
}

#[test]
fn named_keys_are_chosen_even_if_few() {
    let (_, mut message) = ed25519(1, "key-1");
    message.parameters = message.parameters.replace("2027-01", "key-2");
    let message = message.signed();
    for count in [1, 2] {
        let diagnosis = diagnose_with(&message, &scheme(public_key_builder()), &named_keys(count));
        assert_kinds(&diagnosis, &[CauseKind::KeyUnknown]);
        let cause = &diagnosis.causes()[0];
        assert_eq!(
            cause.what(),
            "the signature names the key \"key-2\", and was made with the key \"key-1\", which a receiver that looks up \
             keys by keyid does not use"
        );
        assert!(cause.is_proven());
        assert!(cause.fix().ends_with("remove kid from the JWK of this diagnosis"), "{diagnosis}");
    }
    // Other mistakes are found too.
    let mut message = message;
    message.method = "PUT";
    let diagnosis = diagnose_with(&message, &scheme(public_key_builder()), &named_keys(1));
    assert_kinds(&diagnosis, &[CauseKind::MethodDiffers, CauseKind::KeyUnknown]);
    assert!(diagnosis.causes().iter().all(|cause| cause.is_proven()), "{diagnosis}");
    // One key has no name, so the keys are not chosen by their names.
    let mut texts = named_keys(2);
    message.method = "POST";
    texts[1] = texts[1].replace("\"kid\":\"key-2\",", "");
    assert!(diagnose_with(&message, &scheme(public_key_builder()), &texts).holds());
}

#[test]
fn ignored_keyid_is_not_blamed() {
    let mut texts = named_keys(5);
    // One key has no name, so a receiver tries the first keys, whatever `keyid` is.
    texts[1] = texts[1].replace("\"kid\":\"key-2\",", "");
    for keyid in ["key-1", "other"] {
        let (_, mut message) = ed25519(5, "key-5");
        message.parameters = message.parameters.replace("2027-01", keyid);
        let diagnosis = diagnose_with(&message.signed(), &scheme(public_key_builder()), &texts);
        assert_kinds(&diagnosis, &[CauseKind::SecretList]);
        let cause = &diagnosis.causes()[0];
        assert!(cause.is_proven() && cause.what().contains("public key 5"), "{diagnosis}");
    }
}

#[test]
fn causes_beside_an_unnamed_key_are_proven() {
    let (_, mut message) = ed25519(9, "key-9");
    message.parameters = message.parameters.replace("2027-01", "key-2");
    let mut message = message.signed();
    message.body.push(b'\n');
    message.set("Host", "other.example.com");
    let later = Timestamp::from_unix(NOW.as_unix() + 10_000);
    let texts = named_keys(12);
    let head = RequestHead::new(message.method, &message.target, &message.headers);
    let scheme = scheme(public_key_builder());
    let capture = Capture::new(&scheme, &texts[0], &head, &message.body);
    let diagnosis = texts[1..].iter().fold(capture, |capture, text| capture.with_secret(text)).diagnose_at(later);
    for kind in
        [CauseKind::KeyUnknown, CauseKind::BodyNewlineAdded, CauseKind::HostDiffers, CauseKind::SignatureExpired]
    {
        let cause = diagnosis.causes().iter().find(|cause| cause.kind() == kind);
        assert!(cause.is_some_and(|cause| cause.is_proven()), "{kind}: {diagnosis}");
    }
}

#[test]
fn unusable_keys_of_a_set_are_skipped() {
    let mut texts: Vec<String> = (0..5)
        .map(|number| format!(r#"{{"kty":"EC","crv":"P-384","kid":"other-{number}","x":"AA","y":"AA"}}"#))
        .collect();
    let (text, message) = ed25519(1, "2027-01");
    // An unusable key without a name, and one with the name of another key.
    texts.push(r#"{"kty":"RSA","n":"AA","e":"AQAB"}"#.into());
    texts.push(r#"{"kty":"RSA","kid":"2027-01","n":"AA","e":"AQAB"}"#.into());
    texts.push(text);
    let diagnosis = diagnose_with(&message.signed(), &scheme(public_key_builder()), &texts);
    assert_eq!((diagnosis.holds(), diagnosis.fitting_secret()), (true, Some(7)), "{diagnosis}");
    // They are not the reason for a refusal.
    let message = ed25519(2, "2027-01").1.signed();
    let diagnosis = diagnose_with(&message, &scheme(public_key_builder()), &texts);
    assert_kinds(&diagnosis, &[CauseKind::Unexplained]);
}

#[test]
fn unreadable_signature_says_how_it_looks() {
    let mut message = Message::new();
    message.sign = Box::new(|base| sha256(b"another-secret", base));
    let mut message = message.signed();
    let bytes = message.signature();
    let base64 = base64(&bytes);
    let url = base64.replace('+', "-").replace('/', "_").replace('=', "");
    let cases = [
        (format!("sig1=\"{base64}\""), CauseKind::SignatureQuoted, "looks like base64 with padding"),
        (format!("sig1={base64}"), CauseKind::SignaturePrefixMissing, "looks like base64 with padding"),
        (base64.clone(), CauseKind::SignaturePrefixMissing, "looks like base64 with padding"),
        (format!("sig1={}", hex(&bytes)), CauseKind::SignaturePrefixMissing, "looks like hex"),
        (format!("sig1=:{}:", hex(&bytes)), CauseKind::SignatureEncoding, "probably hex"),
        (
            format!("sig1=:{}:", base64.trim_end_matches('=')),
            CauseKind::SignatureEncoding,
            "is base64 without its padding",
        ),
        (format!("sig1=:-_{}:", &url[2..]), CauseKind::SignatureEncoding, "is URL-safe base64 without its padding"),
    ];
    for (value, kind, what) in cases {
        message.headers.retain(|(name, _)| name != "Signature");
        message.headers.push(("Signature".into(), value.into_bytes()));
        let diagnosis = assert_message(&message, builder(), &[kind, CauseKind::Unexplained]);
        let cause = &diagnosis.causes()[0];
        assert!(cause.what().contains(what) && !cause.is_proven(), "{diagnosis}");
        assert!(cause.fix().contains("base64 with padding between two colons"), "{diagnosis}");
    }
    // The profile of AdCP has the other encoding.
    message.headers.retain(|(name, _)| name != "Signature");
    message.headers.push(("Signature".into(), format!("sig1=:{base64}:").into_bytes()));
    let diagnosis = assert_message(
        &message,
        builder().base64url_signatures(),
        &[CauseKind::SignatureEncoding, CauseKind::Unexplained],
    );
    let cause = &diagnosis.causes()[0];
    assert!(cause.what().contains("base64 with padding"), "{diagnosis}");
    assert!(cause.fix().contains("URL-safe base64 without padding between two colons"), "{diagnosis}");
}

/// The documented maximum of signatures that a search computes.
const MAX_TRIES: u32 = 60_000;

fn assert_bounded(message: &Message) -> Result<(), TestCaseError> {
    let diagnosis = message.diagnose(&scheme(builder()), SECRET, NOW);
    prop_assert!(diagnosis.tried() <= MAX_TRIES);
    prop_assert!(diagnosis.holds() || !diagnosis.causes().is_empty());
    for cause in diagnosis.causes() {
        prop_assert!(cause.what().len() < 2_000, "{cause}");
        prop_assert!(!cause.what().contains(|c: char| c.is_control()), "{cause}");
    }
    assert_hidden(&diagnosis, SECRET, &[message.signature()]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_headers_have_a_bounded_diagnosis(
        input in "(sig1=)?\\(?(\"[@a-z-]{1,12}\" ?|\"@method\" |\"content-digest\" ){0,4}\\)?(;created=[0-9]{1,16}|;keyid=\"\\PC{0,9}\"){0,3}",
        signature in "(sig1|x)?=?:?[A-Za-z0-9+/=_-]{0,90}:?",
        digest in "(sha-256|md5)?=:?[A-Za-z0-9+/]{0,43}=?:?",
        target in "[/?&=a-z%0-9*]{0,20}",
        body in vec(any::<u8>(), 0..40),
    ) {
        let mut message = Message::new();
        message.set("Signature-Input", &input);
        message.set("Signature", &signature);
        message.set("Content-Digest", &digest);
        message.target = target;
        message.body = body;
        assert_bounded(&message)?;
    }

    #[test]
    fn changed_byte_has_a_bounded_diagnosis(place in any::<prop::sample::Index>(), byte in any::<u8>(), header in 0..5_usize) {
        let mut message = Message::new().signed();
        let value = &mut message.headers[header].1;
        let place = place.index(value.len());
        value[place] = byte;
        assert_bounded(&message)?;
    }

    #[test]
    fn long_names_are_shortened(name in "[a-z]{2500}", label in "[a-z]{300}") {
        let mut message = Message::new();
        message.lines.push((format!("\"@query-param\";name=\"{name}\""), String::new()));
        message.parameters = message.parameters.replace("2027-01", &name);
        let mut message = message.signed();
        message.set("Signature-Input", &format!("{label}={}", message.input()));
        assert_bounded(&message)?;
    }
}

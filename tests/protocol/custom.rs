//! Schemes that the application verifies itself.

use hookwarden::crypto::{Algorithm, LiveKeys, Proven};
use hookwarden::encoding::Encoding;
use hookwarden::headers::{FieldName, Head};
use hookwarden::scheme::{Coverage, CustomCheck, CustomHead, CustomScheme, Layout, SecretFormat, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::{Key, Keyring, Reason, Scheme, Signer, Timestamp, Tolerance, Verifier};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// How the check of a test verifies.
#[derive(Clone, Copy)]
enum Way {
    /// The body in reverse.
    Reversed,
    /// Each signature of the header, separated by spaces.
    AnyOf,
    Token,
    /// Without a check by a key.
    Trusted,
}

/// Reads `X-Signature` in hex and the optional `X-At` in seconds.
struct Custom {
    way: Way,
    coverage: Coverage,
}

impl CustomScheme for Custom {
    fn coverage(&self) -> Coverage {
        self.coverage
    }

    fn begin(&self, head: &dyn Head) -> Result<CustomHead, Reason> {
        let header = |name| head.header(&FieldName::new(name).expect("a header name")).required();
        let texts = header("X-Signature")?.split(|byte| *byte == b' ');
        let signatures = texts.map(|text| Encoding::Hex.decode(text).ok_or(Reason::MalformedSignature));
        let signatures = signatures.collect::<Result<_, _>>()?;
        let request = CustomHead::new(Check { way: self.way, signatures, body: Vec::new() });
        match header("X-At") {
            Ok(text) => {
                let at = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                Ok(request.with_timestamp(Timestamp::from_unix(at.ok_or(Reason::MalformedTimestamp)?)))
            }
            Err(Reason::MissingHeader) => Ok(request),
            Err(reason) => Err(reason),
        }
    }
}

struct Check {
    way: Way,
    signatures: Vec<Vec<u8>>,
    body: Vec<u8>,
}

impl CustomCheck for Check {
    fn update(&mut self, chunk: &[u8]) {
        self.body.extend_from_slice(chunk);
    }

    fn finish(mut self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
        let signatures: Vec<&[u8]> = self.signatures.iter().map(Vec::as_slice).collect();
        match self.way {
            Way::Reversed => {
                self.body.reverse();
                keys.verify(&[&self.body], signatures[0])
            }
            Way::AnyOf => keys.verify_any(&[&self.body], &signatures),
            Way::Token => keys.verify_token(signatures[0], &[b"token", &self.body]),
            Way::Trusted => keys.danger_accept_unverified(&[&self.body]),
        }
    }
}

fn scheme(way: Way, algorithm: Algorithm, coverage: Coverage) -> Scheme {
    Scheme::custom("acme", algorithm, Custom { way, coverage }).expect("a scheme")
}

/// HMAC-SHA-256, and only the body.
fn hmac(way: Way) -> Scheme {
    scheme(way, Algorithm::HmacSha256, Coverage::BODY)
}

fn token() -> Scheme {
    let custom = Custom { way: Way::Token, coverage: Coverage::BODY };
    Scheme::danger_custom_token("acme", custom).expect("a scheme")
}

fn keys(scheme: &Scheme, secrets: &[&str]) -> Keyring {
    let key =
        |text: &&str| Key::new(&text[..text.len().min(32)], scheme.secret(text).expect("a secret")).expect("a key");
    Keyring::from_keys(secrets.iter().map(key)).expect("a keyring")
}

fn verifier(scheme: &Scheme, secrets: &[&str]) -> Verifier {
    Verifier::new(scheme.clone(), keys(scheme, secrets)).expect("keys of the scheme")
}

/// The signature in hex that a signer of the plain body makes.
fn signature(algorithm: Algorithm, secret: &str, message: &[u8]) -> String {
    let plain = Scheme::builder("plain").algorithm(algorithm).signature_header("X-Signature");
    let plain = plain.signed([SignedPart::Body]).build().expect("a scheme");
    let keys = Keyring::new(plain.secret(secret).expect("a secret"));
    let signed = Signer::new(plain, keys).expect("a signer").sign_body_at(message, NOW).expect("a signature");
    signed.iter().next().expect("one header").1.to_owned()
}

#[track_caller]
fn assert_refused(verifier: &Verifier, head: &[(&str, &str)], body: &[u8], reason: Reason) {
    assert_eq!(verifier.verify_at(head, body, NOW).expect_err("refused").reason(), reason, "{head:?}");
    let received = verifier.begin_at(head, NOW).and_then(|mut verification| {
        body.chunks(1).for_each(|chunk| verification.update(chunk));
        verification.finish()
    });
    assert_eq!(received.expect_err("refused in chunks too").reason(), reason, "{head:?}");
}

#[test]
fn custom_scheme_verifies_with_the_matching_key() {
    let verifier = verifier(&hmac(Way::Reversed), &["new", "old"]);
    for secret in ["new", "old"] {
        let signature = signature(Algorithm::HmacSha256, secret, b"cba");
        let verified = verifier.verify_at(&[("X-Signature", &signature)], b"abc", NOW).expect("a signed body");
        assert_eq!((verified.key_id().as_str(), verified.timestamp(), verified.skew()), (secret, None, None));
        // One for each key: a copy under the other key is the same delivery.
        assert_eq!(verified.replay_keys().len(), 2);
    }
    let signed = [("X-Signature", &*signature(Algorithm::HmacSha256, "new", b"cba"))];
    assert_refused(&verifier, &signed, b"abd", Reason::Mismatch);
    assert_refused(
        &verifier,
        &[("X-Signature", &signature(Algorithm::HmacSha256, "third", b"cba"))],
        b"abc",
        Reason::Mismatch,
    );
    assert_refused(&verifier, &[("X-Signature", "")], b"abc", Reason::Mismatch);
    assert_refused(&verifier, &[("X-Signature", &"00".repeat(65))], b"abc", Reason::Mismatch);
    assert_refused(&verifier, &[("X-Signature", "0")], b"abc", Reason::MalformedSignature);
    assert_refused(&verifier, &[], b"abc", Reason::MissingHeader);
    assert_refused(&verifier, &[signed[0], signed[0]], b"abc", Reason::DuplicateHeader);
}

#[test]
fn key_outside_its_window_verifies_nothing() {
    let scheme = hmac(Way::AnyOf);
    let key = Key::new("old", scheme.secret("old").expect("a secret")).expect("a key");
    let keys = |end: i64| Keyring::from_keys([key.clone().not_after(Timestamp::from_unix(end))]).expect("a keyring");
    let signature = signature(Algorithm::HmacSha256, "old", b"x");
    let verdict = |end| {
        Verifier::new(scheme.clone(), keys(end)).expect("keys").verify_at(&[("X-Signature", &*signature)], b"x", NOW)
    };
    assert!(verdict(1_800_000_000).is_ok());
    assert_eq!(verdict(1_799_999_999).expect_err("an old key").reason(), Reason::NoLiveKey);
}

#[test]
fn timestamp_of_custom_scheme_must_be_fresh() {
    let scheme = scheme(Way::AnyOf, Algorithm::HmacSha256, Coverage::BODY.with_timestamp());
    assert!(scheme.is_timestamped());
    let verifier = verifier(&scheme, &["secret"]);
    let signature = signature(Algorithm::HmacSha256, "secret", b"x");
    let head = |at: &'static str| [("X-Signature", &*signature), ("X-At", at)];
    for (at, skew) in [("1799999700", 300), ("1800000300", -300)] {
        let verified = verifier.verify_at(&head(at), b"x", NOW).expect("a fresh message");
        assert_eq!(
            (verified.timestamp(), verified.skew()),
            (Some(Timestamp::from_unix(at.parse().expect("digits"))), Some(skew))
        );
    }
    assert_refused(&verifier, &head("1799999699"), b"x", Reason::Stale);
    assert_refused(&verifier, &head("1800000301"), b"x", Reason::Early);
    assert_refused(&verifier, &head(""), b"x", Reason::MalformedTimestamp);
    // It must be there exactly if the scheme covers it.
    assert_refused(&verifier, &head("1800000000")[..1], b"x", Reason::MalformedTimestamp);
    let uncovered = self::verifier(&hmac(Way::AnyOf), &["secret"]);
    assert_refused(&uncovered, &head("1800000000"), b"x", Reason::MalformedTimestamp);
    let refused = verifier.verify_at(&head("1799999990"), b"y", NOW).expect_err("another body");
    assert_eq!((refused.reason(), refused.skew()), (Reason::Mismatch, Some(10)));
    // No body is needed to refuse a stale message.
    assert_eq!(verifier.begin_at(&head("1799999699"), NOW).expect_err("a stale message").reason(), Reason::Stale);
}

#[cfg(all(feature = "ed25519", feature = "ecdsa"))]
#[test]
fn custom_scheme_verifies_with_public_keys() {
    for (algorithm, private) in [
        (Algorithm::Ed25519, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"),
        (Algorithm::EcdsaP256, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"),
    ] {
        let scheme = scheme(Way::Reversed, algorithm, Coverage::BODY);
        let public = scheme.secret(private).expect("a private key").public_key().expect("its public key").clone();
        let verifier = Verifier::new(scheme.clone(), Keyring::new(public)).expect("a key of the scheme");
        let signed = [("X-Signature", &*signature(algorithm, private, b"cba"))];
        let verified = verifier.verify_at(&signed, b"abc", NOW).expect("a signed body");
        assert_eq!(verified.replay_keys().len(), 1);
        assert_refused(&verifier, &signed, b"abd", Reason::Mismatch);
        assert_refused(&verifier, &[("X-Signature", "00")], b"abc", Reason::Mismatch);
        // A public key is never a secret.
        let secret = Keyring::new(hmac(Way::Reversed).secret("secret").expect("a secret"));
        assert_eq!(Verifier::new(scheme, secret).expect_err("a secret").field(), "keys");
    }
}

#[test]
fn one_of_several_signatures_must_match() {
    let verifier = verifier(&hmac(Way::AnyOf), &["secret"]);
    let (right, wrong) = (signature(Algorithm::HmacSha256, "secret", b"x"), "00".repeat(32));
    let header = |count: usize| format!("{}{right}", format!("{wrong} ").repeat(count));
    for count in [0, 1, 31] {
        verifier.verify_at(&[("X-Signature", header(count))], b"x", NOW).expect("a right signature");
    }
    assert_refused(&verifier, &[("X-Signature", &header(32))], b"x", Reason::TooManyCandidates);
}

#[test]
fn token_is_compared_as_a_whole() {
    let hex = |token: &str| Encoding::Hex.encode(token.as_bytes());
    let long = "0123456789abcdef".repeat(5);
    let scheme = token();
    assert_eq!(scheme.coverage(), Coverage::NOTHING, "whatever the application says");
    let verifier = verifier(&scheme, &["a-token", &long]);
    let verified = |token: &str, body: &[u8]| verifier.verify_at(&[("X-Signature", hex(token))], body, NOW);
    assert_eq!(verified("a-token", b"x").expect("the token").key_id().as_str(), "a-token");
    assert_eq!(verified(&long, b"x").expect("the token").key_id().as_str(), &long[..32]);
    // Equal content is one delivery, under any key.
    let identity = |token: &str, body| verified(token, body).expect("the token").replay_keys().to_vec();
    assert_eq!(identity("a-token", b"x"), identity(&long, b"x"));
    assert_ne!(identity("a-token", b"x"), identity("a-token", b"y"));
    for other in ["", "a-toke", "a-token\0", "a-token ", "A-token", &long[..64], &format!("{long}0")] {
        assert_refused(&verifier, &[("X-Signature", &hex(other))], b"x", Reason::Mismatch);
    }
    // As the key of an HMAC, a text that is longer than a block is equal to its own hash.
    let hash = Encoding::Hex.encode(ring::digest::digest(&ring::digest::SHA256, long.as_bytes()).as_ref());
    assert_refused(&verifier, &[("X-Signature", &hash)], b"x", Reason::Mismatch);
}

#[test]
fn keys_and_tokens_are_not_exchangeable() {
    let token_with_key = verifier(&hmac(Way::Token), &["secret"]);
    let head = [("X-Signature", Encoding::Hex.encode(b"secret"))];
    assert_eq!(
        token_with_key.verify_at(&head, b"x", NOW).expect_err("a secret in the clear").reason(),
        Reason::NoLiveKey
    );
    let custom = Custom { way: Way::Reversed, coverage: Coverage::BODY };
    let key_with_token = verifier(&Scheme::danger_custom_token("acme", custom).expect("a scheme"), &["secret"]);
    let head = [("X-Signature", signature(Algorithm::HmacSha256, "secret", b"x"))];
    assert_eq!(key_with_token.verify_at(&head, b"x", NOW).expect_err("a signature").reason(), Reason::NoLiveKey);
}

#[test]
fn token_in_a_header_follows_its_prefix() {
    let bearer = Scheme::danger_token_header("acme", "Authorization", "Bearer ").expect("a scheme");
    let verifier = verifier(&bearer, &["a-token"]);
    let verified = verifier.verify_at(&[("authorization", "Bearer a-token")], b"x", NOW).expect("the token");
    let other = verifier.verify_at(&[("authorization", "Bearer a-token")], b"y", NOW).expect("the token");
    assert_ne!(verified.replay_keys(), other.replay_keys());
    verifier.verify_at(&[("authorization", "bearer a-token")], b"x", NOW).expect("the token in any case of the prefix");
    for value in ["a-token", "Bearer", "Bearer ", "Bearera-token", ""] {
        assert_refused(&verifier, &[("Authorization", value)], b"x", Reason::MalformedSignature);
    }
    assert_refused(&verifier, &[("Authorization", "Bearer a-tokens")], b"x", Reason::Mismatch);
    assert_refused(
        &verifier,
        &[("Authorization", &format!("Bearer {}", "a".repeat(8_193)))],
        b"x",
        Reason::MalformedSignature,
    );
    assert_refused(&verifier, &[], b"x", Reason::MissingHeader);
}

#[test]
fn unverified_acceptance_needs_a_live_key() {
    let scheme = hmac(Way::Trusted);
    let verified = verifier(&scheme, &["newest", "old"]).verify_at(&[("X-Signature", "")], b"x", NOW).expect("trusted");
    assert_eq!((verified.key_id().as_str(), verified.replay_keys().len()), ("newest", 1));
    let key = Key::new("old", scheme.secret("old").expect("a secret")).expect("a key");
    let keys = Keyring::from_keys([key.not_after(Timestamp::from_unix(1))]).expect("a keyring");
    let verifier = Verifier::new(scheme, keys).expect("keys");
    assert_eq!(verifier.verify_at(&[("X-Signature", "")], b"x", NOW).expect_err("no key").reason(), Reason::NoLiveKey);
}

#[test]
fn identity_without_pieces_is_refused() {
    struct Nothing;
    impl CustomScheme for Nothing {
        fn coverage(&self) -> Coverage {
            Coverage::BODY
        }

        fn begin(&self, _: &dyn Head) -> Result<CustomHead, Reason> {
            Ok(CustomHead::new(Self))
        }
    }
    impl CustomCheck for Nothing {
        fn update(&mut self, _: &[u8]) {}

        fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
            keys.verify_token(b"secret", &[]).or_else(|_| keys.danger_accept_unverified(&[]))
        }
    }
    let token = Scheme::danger_custom_token("acme", Nothing).expect("a scheme");
    assert_refused(&verifier(&token, &["secret"]), &[], b"x", Reason::Mismatch);
}

#[test]
fn coverage_is_asked_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Changing(AtomicUsize);
    impl CustomScheme for Changing {
        fn coverage(&self) -> Coverage {
            let timestamped = self.0.fetch_add(1, Ordering::Relaxed) == 0;
            if timestamped { Coverage::BODY.with_timestamp() } else { Coverage::BODY }
        }

        fn begin(&self, _: &dyn Head) -> Result<CustomHead, Reason> {
            Err(Reason::MissingHeader)
        }
    }
    let scheme = Scheme::custom("acme", Algorithm::HmacSha256, Changing(AtomicUsize::new(0))).expect("a scheme");
    assert!((0..3).all(|_| scheme.is_timestamped() && scheme.coverage().timestamp));
}

#[test]
fn refusal_of_a_head_names_the_header() {
    let named = hmac(Way::Reversed).into_builder().signature_header("X-Signature").build().expect("a scheme");
    let refused = verifier(&named, &["secret"]).verify_at(&[("X-Other", "")], b"x", NOW).expect_err("no header");
    assert_eq!((refused.reason(), refused.header()), (Reason::MissingHeader, Some("X-Signature")));
    let bearer = Scheme::danger_token_header("acme", "Authorization", "Bearer ").expect("a scheme");
    let refused = verifier(&bearer, &["secret"]).verify_at(&[("X-Other", "")], b"x", NOW).expect_err("no header");
    assert_eq!(refused.header(), Some("Authorization"));
    for prefix in [" ", "Bearer\n", "é"] {
        let error = Scheme::danger_token_header("acme", "Authorization", prefix).expect_err(prefix);
        assert_eq!(error.field(), "prefix");
    }
}

#[cfg(feature = "std")]
#[test]
fn panic_in_application_code_refuses_the_request() {
    /// Panics at this call: 0 is `begin`.
    struct Panicking(usize);
    impl CustomScheme for Panicking {
        fn coverage(&self) -> Coverage {
            Coverage::BODY
        }

        fn begin(&self, _: &dyn Head) -> Result<CustomHead, Reason> {
            assert_ne!(self.0, 0, "a fault in begin");
            Ok(CustomHead::new(Self(self.0)))
        }
    }
    impl CustomCheck for Panicking {
        fn update(&mut self, _: &[u8]) {
            assert_ne!(self.0, 1, "a fault in update");
        }

        fn finish(self: Box<Self>, keys: LiveKeys<'_>) -> Result<Proven<'_>, Reason> {
            assert_ne!(self.0, 2, "a fault in finish");
            keys.danger_accept_unverified(&[b""])
        }
    }
    let verifier =
        |at| verifier(&Scheme::custom("acme", Algorithm::HmacSha256, Panicking(at)).expect("a scheme"), &["a"]);
    for at in 0..3 {
        assert_refused(&verifier(at), &[], b"abc", Reason::CheckPanicked);
    }
    verifier(3).verify_at(&[("X-Other", "")], b"abc", NOW).expect("no panic");
}

#[test]
fn settings_without_effect_are_refused() {
    let builder = || hmac(Way::Reversed).into_builder();
    for (field, builder) in [
        ("name", builder().name("")),
        ("layout", builder().layout(Layout::plain("v1="))),
        ("encoding", builder().encoding(Encoding::Base64)),
        ("timestamp", builder().timestamp_header("X-At", TimestampFormat::Seconds)),
        ("signed", builder().signed([SignedPart::Body])),
        ("max_signatures", builder().max_signatures(7)),
        ("signature_headers", builder().signature_headers(["X-Signature", "x-signature"])),
        ("repeated_signature_headers", builder().repeated_signature_headers()),
        ("danger_ambiguous_content", builder().danger_ambiguous_content()),
    ] {
        assert_eq!(builder.build().expect_err(field).field(), field);
    }
    let token = || token().into_builder();
    assert_eq!(token().algorithm(Algorithm::HmacSha512).build().expect_err("no MAC").field(), "algorithm");
    assert_eq!(token().secret_format(SecretFormat::Base64).build().expect_err("sent as it is").field(), "secret");
    let minute = Tolerance::new(std::time::Duration::from_secs(60)).expect("a tolerance");
    let changed = builder().name("other").tolerance(minute).secret_format(SecretFormat::Hex).build().expect("a scheme");
    assert_eq!((changed.name(), changed.tolerance()), ("other", minute));
    assert_eq!(changed.secret("not hex").expect_err("not hex").field(), "secret");
    assert_eq!(
        Signer::new(hmac(Way::Reversed), keys(&hmac(Way::Reversed), &["a"])).expect_err("no signer").field(),
        "scheme"
    );
}

#[test]
fn coverage_of_described_schemes() {
    let url = Scheme::builder("acme")
        .signature_header("X-Signature")
        .signed([
            SignedPart::Method,
            SignedPart::literal(" "),
            SignedPart::url("https://example.com"),
            SignedPart::literal("\n"),
            SignedPart::Body,
        ])
        .build()
        .expect("a scheme");
    for (scheme, text) in [
        (Scheme::timestamped(), "body and timestamp"),
        (Scheme::github(), "body"),
        (Scheme::standard_webhooks(), "body, timestamp and id"),
        (url, "body, method and URL"),
        (token(), "nothing"),
    ] {
        assert_eq!(scheme.coverage().to_string(), text, "{}", scheme.name());
        assert_eq!(scheme.coverage().timestamp, scheme.is_timestamped());
    }
    assert_eq!(Coverage::NOTHING.with_id().to_string(), "id");
    let all = Coverage::BODY.with_timestamp().with_id().with_method().with_url();
    assert_eq!(all.to_string(), "body, timestamp, id, method and URL");
}

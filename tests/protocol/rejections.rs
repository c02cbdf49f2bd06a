//! Faults of other verifiers: inputs that they accepted, panicked on or leaked are rejected with a specific reason.

use std::time::Duration;

use crate::preset::{NOW, PRESETS, keys, sign};
use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::headers::{FieldName, Head};
use hookwarden::scheme::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, SecretFormat, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::verifier::{ReplayKey, Verified};
use hookwarden::{
    ConfigError, Key, Keyring, Reason, Rejection, Scheme, Secret, Signer, Timestamp, Tolerance, Verifier,
};

const BODY: &[u8] = br#"{"event":"invoice.paid"}"#;

type Headers = Vec<(String, Vec<u8>)>;

/// A valid message under a preset, to be modified.
struct Case {
    scheme: Scheme,
    secret: &'static str,
    verifier: Verifier,
    headers: Headers,
}

fn cases() -> impl Iterator<Item = Case> {
    PRESETS.into_iter().map(|(scheme, secret)| Case::new(scheme(), secret))
}

fn case(scheme: fn() -> Scheme) -> Case {
    cases().find(|case| case.scheme.name() == scheme().name()).expect("every preset has a case")
}

impl Case {
    fn new(scheme: Scheme, secret: &'static str) -> Self {
        let headers = sign(&scheme, keys(&scheme, secret), BODY, NOW);
        let verifier = Verifier::new(scheme.clone(), keys(&scheme, secret)).expect("the secret fits the scheme");
        Self { scheme, secret, verifier, headers }
    }

    fn name(&self) -> &str {
        self.scheme.name()
    }

    fn index_of(&self, part: &str) -> Option<usize> {
        self.headers.iter().position(|(name, _)| name.contains(part))
    }

    /// The index of the signature header.
    fn signature(&self) -> usize {
        self.index_of("ignature").expect("every preset has a signature header")
    }

    /// The header's value before the signature.
    fn before_tag(&self) -> Vec<u8> {
        let size = if self.name() == "standard_webhooks" { 44 } else { 64 };
        let value = self.headers.get(self.signature()).map(|(_, value)| value.clone()).unwrap_or_default();
        value.get(..value.len().saturating_sub(size)).unwrap_or_default().to_vec()
    }

    /// The signature's text.
    fn tag(&self) -> Vec<u8> {
        let value = self.headers.get(self.signature()).map(|(_, value)| value.as_slice()).unwrap_or_default();
        value.get(self.before_tag().len()..).unwrap_or_default().to_vec()
    }

    fn encode(&self, tag: &[u8]) -> String {
        if self.name() == "standard_webhooks" { to_base64(tag) } else { const_hex::encode(tag) }
    }

    fn decoded_tag(&self) -> Vec<u8> {
        if self.name() == "standard_webhooks" {
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, self.tag()).expect("the tag is base64")
        } else {
            const_hex::decode(self.tag()).expect("the tag is hex")
        }
    }

    fn with(&self, index: usize, value: impl Into<Vec<u8>>) -> Headers {
        let mut headers = self.headers.clone();
        headers.get_mut(index).expect("the header exists").1 = value.into();
        headers
    }

    fn with_signature(&self, value: impl Into<Vec<u8>>) -> Headers {
        self.with(self.signature(), value)
    }

    /// The message with another timestamp text, if it has a timestamp.
    fn with_timestamp(&self, text: &str) -> Option<Headers> {
        match (self.index_of("imestamp"), self.scheme.is_timestamped()) {
            (Some(index), _) => Some(self.with(index, text)),
            (None, true) => {
                let tag = self.tag();
                Some(self.with_signature([b"t=", text.as_bytes(), b",v1=", &tag].concat()))
            }
            (None, false) => None,
        }
    }

    fn verify(&self, headers: &Headers) -> Result<Verified, Rejection> {
        verify(&self.verifier, headers, BODY, NOW)
    }

    #[track_caller]
    fn assert_refused(&self, headers: &Headers, reason: Reason) -> Rejection {
        let rejection = self.verify(headers).expect_err(self.name());
        let shown: Vec<_> = headers.iter().map(|(name, value)| (name, value.escape_ascii().to_string())).collect();
        assert_eq!(rejection.reason(), reason, "{}: {shown:?}", self.name());
        rejection
    }

    #[track_caller]
    fn assert_accepted(&self, headers: &Headers) -> Verified {
        self.verify(headers).unwrap_or_else(|rejection| panic!("{}: {rejection:?}", self.name()))
    }
}

/// Returns the verdict on a request, which must be equal for a whole body and for pieces.
#[track_caller]
fn verify<H: Head + ?Sized>(verifier: &Verifier, head: &H, body: &[u8], now: Timestamp) -> Result<Verified, Rejection> {
    let whole = verifier.verify_at(head, body, now);
    let streamed = verifier.begin_at(head, now).and_then(|mut verification| {
        body.chunks(7).for_each(|chunk| verification.update(chunk));
        verification.finish()
    });
    assert_eq!(streamed.as_ref().map(Verified::key_id), whole.as_ref().map(Verified::key_id));
    assert_eq!(streamed.as_ref().map(Verified::replay_keys), whole.as_ref().map(Verified::replay_keys));
    whole
}

fn to_base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

fn reason(verdict: Result<Verified, Rejection>) -> Result<(), Reason> {
    verdict.map(drop).map_err(|rejection| rejection.reason())
}

fn tolerance(seconds: u32) -> Tolerance {
    Tolerance::new(Duration::from_secs(seconds.into())).expect("within 1 and 86,400")
}

// Signatures

#[test]
fn tag_of_another_length_is_malformed() {
    for case in cases() {
        let good = case.decoded_tag();
        assert_eq!(good.len(), 32);
        let padded = |size: usize| good.iter().copied().chain(std::iter::repeat(0)).take(size).collect::<Vec<_>>();
        for size in (0..=31).chain([33, 63, 64, 96]) {
            let value = [case.before_tag(), case.encode(&padded(size)).into_bytes()].concat();
            case.assert_refused(&case.with_signature(value), Reason::MalformedSignature);
        }
        case.assert_accepted(&case.headers);
    }
}

#[test]
fn tag_text_cut_or_extended_anywhere_is_malformed() {
    for case in cases() {
        let (before, tag) = (case.before_tag(), case.tag());
        for size in 0..tag.len() {
            let value = [&before, &tag[..size]].concat();
            case.assert_refused(&case.with_signature(value), Reason::MalformedSignature);
        }
        for more in ["0", "00", "=", "A", "\0"] {
            let value = [&before, &*tag, more.as_bytes()].concat();
            case.assert_refused(&case.with_signature(value), Reason::MalformedSignature);
        }
    }
}

#[test]
fn short_tags_never_verify_under_other_algorithms() {
    for (algorithm, size) in [(Algorithm::HmacSha1, 20), (Algorithm::HmacSha256, 32), (Algorithm::HmacSha512, 64)] {
        for encoding in [Encoding::Hex, Encoding::Base64] {
            let scheme = Scheme::github().into_builder().algorithm(algorithm).encoding(encoding).build().unwrap();
            let verifier = Verifier::new(scheme.clone(), keys(&scheme, "one-secret")).unwrap();
            let full = Scheme::github().into_builder().algorithm(algorithm).build().unwrap();
            let headers = sign(&full, keys(&full, "one-secret"), BODY, NOW);
            let tag = const_hex::decode(&headers[0].1["sha256=".len()..]).unwrap();
            assert_eq!(tag.len(), size);
            for cut in 0..=size {
                let text = match encoding {
                    Encoding::Base64 => to_base64(&tag[..cut]),
                    _ => const_hex::encode(&tag[..cut]),
                };
                let headers = [("X-Hub-Signature-256", format!("sha256={text}"))];
                let expected = if cut == size { Ok(()) } else { Err(Reason::MalformedSignature) };
                assert_eq!(
                    reason(verify(&verifier, &headers, BODY, NOW)),
                    expected,
                    "{algorithm:?} {encoding:?} {cut}"
                );
            }
        }
    }
}

#[test]
fn base64_in_another_form_is_malformed() {
    let case = case(Scheme::standard_webhooks);
    let tag = String::from_utf8(case.tag()).unwrap();
    let unpadded = tag.trim_end_matches('=');
    for text in [unpadded.to_owned(), format!("{unpadded}=="), format!("{unpadded} ="), format!("={unpadded}")] {
        case.assert_refused(&case.with_signature(format!("v1,{text}")), Reason::MalformedSignature);
    }
    // The last character before the padding has four bits of the tag and two zero bits.
    let (last, alphabet) = (unpadded.len() - 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    let value = alphabet.find(&unpadded[last..]).unwrap();
    for bits in 1..4 {
        let letter = &alphabet[value + bits..=value + bits];
        let value = format!("v1,{}{letter}=", &unpadded[..last]);
        case.assert_refused(&case.with_signature(value), Reason::MalformedSignature);
    }
}

#[test]
fn foreign_prefixes_are_ignored() {
    for case in cases() {
        let tag = String::from_utf8(case.tag()).unwrap();
        let foreign: &[&str] = match case.name() {
            "timestamped" => &["sha1=", "sha256=", "v0=", "v1,"],
            "standard_webhooks" => &["", "v1=", "v2,", "v1a,", "V1,", "v0,", "v1,v1,"],
            "stripe" => {
                &["t=1800000000,v0=", "t=1800000000,V1=", "t=1800000000,v1a=", "t=1800000000,v1==", "t=1800000000,"]
            }
            "github" => &["sha1=", "sha512=", "SHA256=", "", "sha256", "sha256:", "v0=", "sha256=sha256="],
            _ => &["v1=", "V0=", "", "v0:", "sha256=", "v0=v0="],
        };
        for prefix in foreign {
            case.assert_refused(&case.with_signature(format!("{prefix}{tag}")), Reason::MalformedSignature);
        }
    }
}

#[test]
fn foreign_entries_beside_good_one_are_ignored() {
    let standard = case(Scheme::standard_webhooks);
    let tag = String::from_utf8(standard.tag()).unwrap();
    for value in [format!("v1a,AAAA v1,{tag} v2,{tag}"), format!("{tag} , v1,{tag}"), format!("  v1,{tag}  ")] {
        standard.assert_accepted(&standard.with_signature(value));
    }
    let stripe = case(Scheme::stripe);
    let tag = String::from_utf8(stripe.tag()).unwrap();
    for value in [
        format!("v1={tag},t=1800000000"),
        format!("t=1800000000,v0={},v1={tag},scheme", "0".repeat(64)),
        format!("t=1800000000, v1={tag}, v2=x=y"),
    ] {
        stripe.assert_accepted(&stripe.with_signature(value));
    }
}

#[test]
fn algorithm_comes_only_from_the_scheme() {
    for (algorithm, prefix) in [(Algorithm::HmacSha1, "sha1="), (Algorithm::HmacSha512, "sha512=")] {
        for case in cases() {
            // The key's owner signs with another algorithm, under the scheme's prefix and under that algorithm's.
            let foreign = case.scheme.clone().into_builder().algorithm(algorithm).build().unwrap();
            let headers = sign(&foreign, keys(&foreign, case.secret), BODY, NOW);
            case.assert_refused(&headers, Reason::MalformedSignature);
            // Stripe's timestamp is one of several fields, so its scheme has no plain form.
            if let Ok(foreign) = foreign.into_builder().layout(Layout::plain(prefix)).build() {
                let headers = sign(&foreign, keys(&foreign, case.secret), BODY, NOW);
                case.assert_refused(&headers, Reason::MalformedSignature);
            }
        }
    }
}

#[test]
fn any_of_several_candidates_may_match() {
    for case in [case(Scheme::standard_webhooks), case(Scheme::stripe)] {
        let (wrong, good) = (case.encode(&[0x5a; 32]), String::from_utf8(case.tag()).unwrap());
        for place in 0..3 {
            let mut tags = [&wrong, &wrong, &wrong];
            tags[place] = &good;
            case.assert_accepted(&case.with_signature(candidates(&case, &tags)));
        }
        case.assert_refused(&case.with_signature(candidates(&case, &[&wrong, &wrong])), Reason::Mismatch);
    }
}

/// Returns the signature header of `case` with these candidates.
fn candidates(case: &Case, tags: &[impl AsRef<str>]) -> String {
    let tags = tags.iter().map(AsRef::as_ref);
    if case.name() == "stripe" {
        tags.fold("t=1800000000".to_owned(), |value, tag| format!("{value},v1={tag}"))
    } else {
        tags.map(|tag| format!("v1,{tag}")).collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn more_than_32_candidates_are_too_many() {
    for case in [case(Scheme::standard_webhooks), case(Scheme::stripe)] {
        let (wrong, good) = (case.encode(&[0x5a; 32]), String::from_utf8(case.tag()).unwrap());
        let of = |count: usize, place: usize| {
            let tags: Vec<_> = (0..count).map(|index| if index == place { &good } else { &wrong }).collect();
            case.with_signature(candidates(&case, &tags))
        };
        for place in [0, 15, 31] {
            case.assert_accepted(&of(32, place));
        }
        for (count, place) in [(33, 0), (33, 16), (33, 32), (100, 0)] {
            case.assert_refused(&of(count, place), Reason::TooManyCandidates);
        }
        // Empty candidates count too, and an overlong header is not parsed.
        case.assert_refused(&case.with_signature(candidates(&case, &[""; 33])), Reason::TooManyCandidates);
        case.assert_refused(&of(2_500, 0), Reason::MalformedSignature);
    }
}

#[test]
fn any_number_of_candidates_costs_one_mac() {
    let case = case(Scheme::stripe);
    let body = vec![b'x'; 1 << 20];
    let [one, many] = [1, 32].map(|count| {
        let wrong = case.with_signature(candidates(&case, &vec!["5a".repeat(32); count]));
        let times = (0..7).map(|_| {
            let began = std::time::Instant::now();
            assert_eq!(reason(case.verifier.verify_at(&wrong, &body, NOW)), Err(Reason::Mismatch));
            began.elapsed()
        });
        // Take the minimum, because other tests share the machine.
        times.min().unwrap()
    });
    assert!(many < one * 4, "{many:?} for 32 candidates and {one:?} for one");
}

#[test]
fn candidates_of_all_signature_headers_are_counted_together() {
    let scheme = Scheme::standard_webhooks().into_builder().signature_headers(["X-A", "X-B", "X-C"]).build().unwrap();
    let secret = PRESETS[1].1;
    let verifier = Verifier::new(scheme.clone(), keys(&scheme, secret)).unwrap();
    let mut headers = sign(&scheme, keys(&scheme, secret), BODY, NOW);
    let noise = |count: usize| vec![format!("v1,{}", to_base64(&[0; 32])); count].join(" ").into_bytes();
    let length = headers.len();
    headers.extend([("X-B".to_owned(), noise(15)), ("X-C".to_owned(), noise(16))]);
    assert_eq!(reason(verify(&verifier, &headers, BODY, NOW)), Ok(()));
    headers[length].1 = noise(16);
    let rejection = verify(&verifier, &headers, BODY, NOW).unwrap_err();
    assert_eq!((rejection.reason(), rejection.header()), (Reason::TooManyCandidates, Some("X-C")));
}

// Headers

#[test]
fn head_without_required_header_is_missing_it() {
    for case in cases() {
        for index in 0..case.headers.len() {
            let mut headers = case.headers.clone();
            let (name, _) = headers.remove(index);
            let rejection = case.assert_refused(&headers, Reason::MissingHeader);
            assert_eq!(rejection.header(), Some(&*name), "{}", case.name());
        }
        case.assert_refused(&Vec::new(), Reason::MissingHeader);
    }
}

#[test]
fn stripe_header_without_required_field_is_refused() {
    let case = case(Scheme::stripe);
    let tag = String::from_utf8(case.tag()).unwrap();
    for (value, reason) in [
        (format!("v1={tag}"), Reason::MissingHeader),
        (format!("T=1800000000,v1={tag}"), Reason::MissingHeader),
        (format!("1800000000,v1={tag}"), Reason::MissingHeader),
        ("t=1800000000".to_owned(), Reason::MalformedSignature),
        ("t=1800000000,v1=".to_owned(), Reason::MalformedSignature),
        ("t=1800000000,v1".to_owned(), Reason::MalformedSignature),
        (",,,".to_owned(), Reason::MalformedSignature),
        ("=".to_owned(), Reason::MalformedSignature),
        (String::new(), Reason::MalformedSignature),
    ] {
        case.assert_refused(&case.with_signature(value), reason);
    }
}

#[test]
fn repeated_required_header_is_a_duplicate() {
    for case in cases() {
        for (name, value) in case.headers.clone() {
            for (name, value) in [
                (name.clone(), value.clone()),
                (name.to_ascii_uppercase(), value.clone()),
                (name.clone(), b"1".to_vec()),
                (name.clone(), Vec::new()),
            ] {
                for place in [0, case.headers.len()] {
                    let mut headers = case.headers.clone();
                    headers.insert(place, (name.clone(), value.clone()));
                    let rejection = case.assert_refused(&headers, Reason::DuplicateHeader);
                    assert!(rejection.header().unwrap().eq_ignore_ascii_case(&name), "{name}");
                }
            }
        }
    }
}

#[test]
fn repeated_stripe_timestamp_is_a_duplicate() {
    let case = case(Scheme::stripe);
    let tag = String::from_utf8(case.tag()).unwrap();
    for value in [
        format!("t=1800000000,t=1800000000,v1={tag}"),
        format!("t=1800000000,v1={tag},t=1800000000"),
        format!("t=1,v1={tag},t=1800000000"),
        format!("t=1800000000,t=,v1={tag}"),
    ] {
        let rejection = case.assert_refused(&case.with_signature(value), Reason::DuplicateHeader);
        assert_eq!(rejection.header(), Some("Stripe-Signature"));
    }
}

#[cfg(feature = "http")]
#[test]
fn repeated_header_in_header_map_is_a_duplicate() {
    for case in cases() {
        let mut map = header_map(&case.headers);
        assert_eq!(reason(verify(&case.verifier, &map, BODY, NOW)), Ok(()), "{}", case.name());
        for (name, value) in map.clone() {
            let (name, mut twice) = (name.unwrap(), map.clone());
            twice.append(&name, value);
            assert_eq!(reason(verify(&case.verifier, &twice, BODY, NOW)), Err(Reason::DuplicateHeader), "{name}");
        }
        map.clear();
        assert_eq!(reason(verify(&case.verifier, &map, BODY, NOW)), Err(Reason::MissingHeader), "{}", case.name());
    }
}

#[cfg(feature = "http")]
fn header_map(headers: &Headers) -> http::HeaderMap {
    let header = |(name, value): &(String, Vec<u8>)| {
        let name = http::HeaderName::try_from(name).expect("a header's name");
        (name, http::HeaderValue::from_bytes(value).expect("a header's value"))
    };
    headers.iter().map(header).collect()
}

#[test]
fn bytes_beyond_ascii_in_any_header_are_refused() {
    for case in cases() {
        for (index, (name, value)) in case.headers.iter().enumerate() {
            let expected = match &**name {
                // An id is opaque, but this one was not signed.
                "webhook-id" => Reason::Mismatch,
                name if name.contains("imestamp") => Reason::MalformedTimestamp,
                _ => Reason::MalformedSignature,
            };
            let (_, but_last) = value.split_last().unwrap();
            for byte in 0x80..=0xff {
                for value in [[but_last, &[byte]].concat(), [value, &[byte][..]].concat(), vec![byte]] {
                    let headers = case.with(index, value);
                    case.assert_refused(&headers, expected);
                    #[cfg(feature = "http")]
                    assert_eq!(
                        reason(verify(&case.verifier, &header_map(&headers), BODY, NOW)),
                        Err(expected),
                        "{name} {byte:#x}"
                    );
                }
            }
        }
    }
    let stripe = case(Scheme::stripe);
    for byte in 0x80..=0xff {
        let value = [b"t=180000000", &[byte][..], b",v1=", &stripe.tag()].concat();
        stripe.assert_refused(&stripe.with_signature(value), Reason::MalformedTimestamp);
    }
}

#[test]
fn webhook_id_containing_the_separator_is_malformed() {
    let case = case(Scheme::standard_webhooks);
    for id in [".", "msg.1", "msg_1.", ".msg_1", "msg_1.1800000000"] {
        let rejection = case.assert_refused(&case.with(0, id), Reason::MalformedHeader);
        assert_eq!(rejection.header(), Some("webhook-id"));
    }
    let signer = Signer::new(Scheme::standard_webhooks(), keys(&case.scheme, case.secret)).unwrap();
    let fault = signer.sign_at(&[("webhook-id", "msg.1")], BODY, NOW).unwrap_err();
    assert_eq!(fault.part(), "webhook-id");
}

#[test]
fn header_beyond_eight_kibibytes_is_malformed() {
    let case = case(Scheme::standard_webhooks);
    case.assert_refused(&case.with(0, vec![b'a'; 8_192]), Reason::Mismatch);
    case.assert_refused(&case.with(0, vec![b'a'; 8_193]), Reason::MalformedHeader);
    let tag = case.tag();
    let padded = |size: usize| [b"v1,", &*tag, &vec![b' '; size - 3 - tag.len()]].concat();
    case.assert_accepted(&case.with_signature(padded(8_192)));
    case.assert_refused(&case.with_signature(padded(8_193)), Reason::MalformedSignature);
}

#[test]
fn every_listed_signed_header_is_required() {
    let listed = ListedHeaders {
        names_in: NamesIn::Header(FieldName::new("X-Names").unwrap()),
        separator: ',',
        pair: ListedHeaderForm::NameAndValue,
        join: ";".into(),
        require: vec![FieldName::new("X-Time").unwrap(), FieldName::new("X-Names").unwrap()],
    };
    let scheme = Scheme::builder("listed")
        .signature_header("X-Signature")
        .timestamp_header("X-Time", TimestampFormat::Seconds)
        .signed([SignedPart::ListedHeaders(listed), SignedPart::literal("\n"), SignedPart::Body])
        .build()
        .unwrap();
    let own = [("X-Names", "x-time,x-names,x-kind"), ("X-Kind", "order")];
    let signer = Signer::new(scheme.clone(), keys(&scheme, "one-secret")).unwrap();
    let signed = signer.sign_at(&own, BODY, NOW).unwrap();
    let good: Vec<(&str, &str)> = own.into_iter().chain(signed.iter()).collect();
    let verifier = Verifier::new(scheme.clone(), keys(&scheme, "one-secret")).unwrap();
    let with_names = |names: &str| {
        let headers = good.iter().map(|(name, value)| (*name, if *name == "X-Names" { names } else { value }));
        reason(verify(&verifier, &headers.collect::<Vec<_>>(), BODY, NOW))
    };
    assert_eq!(with_names("x-time,x-names,x-kind"), Ok(()));
    let many = vec!["x-kind"; 31].join(",");
    for (names, refused) in [
        // The timestamp must be signed.
        ("x-names,x-kind", Reason::MissingHeader),
        ("x-time,x-kind", Reason::MissingHeader),
        ("", Reason::MissingHeader),
        ("x-time,x-names,x-absent", Reason::MissingHeader),
        ("x-time,x-names,", Reason::MalformedHeader),
        ("x-time,,x-names", Reason::MalformedHeader),
        ("x-time,x-names,x kind", Reason::MalformedHeader),
        ("x-time,x-names,\u{e9}", Reason::MalformedHeader),
        (&format!("x-time,x-names,{many}"), Reason::MalformedHeader),
        ("x-time,x-names", Reason::Mismatch),
        ("x-names,x-time,x-kind", Reason::Mismatch),
        ("x-time,x-names,x-kind,x-kind", Reason::Mismatch),
        ("x-time, x-names,x-kind", Reason::Mismatch),
    ] {
        assert_eq!(with_names(names), Err(refused), "{names:?}");
    }
    for (size, refused) in [(8_192, Reason::Mismatch), (8_193, Reason::MalformedHeader)] {
        let long = "x".repeat(size);
        let headers = good.iter().map(|(name, value)| (*name, if *name == "X-Kind" { long.as_str() } else { value }));
        let headers = headers.collect::<Vec<_>>();
        assert_eq!(reason(verify(&verifier, &headers, BODY, NOW)), Err(refused), "{size} bytes");
    }
    for (name, value) in good.clone() {
        let twice: Vec<_> = good.iter().copied().chain([(name, value)]).collect();
        assert_eq!(reason(verify(&verifier, &twice, BODY, NOW)), Err(Reason::DuplicateHeader), "{name}");
    }
}

#[test]
fn signed_request_line_is_required() {
    for part in [SignedPart::Method, SignedPart::Path, SignedPart::url("https://hooks.example.com")] {
        let parts = [part, SignedPart::literal("\n"), SignedPart::Body];
        let scheme = Scheme::github().into_builder().signed(parts).build().unwrap();
        let verifier = Verifier::new(scheme.clone(), keys(&scheme, "one-secret")).unwrap();
        let head = [("X-Hub-Signature-256", format!("sha256={}", "0".repeat(64)))];
        assert_eq!(reason(verify(&verifier, &head, BODY, NOW)), Err(Reason::NoRequestLine));
    }
}

// Time

#[test]
fn timestamp_of_another_form_is_malformed() {
    let texts = [
        "",
        "0",
        "00",
        "-0",
        "-1",
        "-1800000000",
        "+1",
        "+1800000000",
        "01",
        "01800000000",
        " 1",
        " 1800000000",
        "1 800 000 000",
        "1.5",
        "1800000000.",
        "1800000000.0",
        ".5",
        "1e9",
        "1.8e9",
        "18E8",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "null",
        "true",
        "0x6b49d200",
        "1_800_000_000",
        "1800000000L",
        "1800000000\0",
        "\u{feff}1800000000",
        "１８００００００００",
        "9223372036854775808",
        "-9223372036854775808",
        "9999999999999999999",
        "18446744073709551615",
        "18446744073709551616",
        "00000000001800000000",
        "99999999999999999999",
        "2027-01-15T08:00:00Z",
        "Fri, 15 Jan 2027 08:00:00 GMT",
        "11111111111111111111111111111111111111111111111111111111111111111111",
    ];
    let mut presets = 0;
    for case in cases() {
        for text in texts {
            if let Some(headers) = case.with_timestamp(text) {
                let rejection = case.assert_refused(&headers, Reason::MalformedTimestamp);
                assert_eq!(rejection.skew(), None);
                presets += 1;
            }
        }
    }
    assert_eq!(presets, 4 * texts.len());
}

#[test]
fn timestamp_off_the_clock_is_stale_or_early() {
    for case in cases() {
        for (text, reason, skew) in [
            ("1", Reason::Stale, 1_799_999_999),
            ("180000000", Reason::Stale, 1_620_000_000),
            ("1799999699", Reason::Stale, 301),
            ("1800000301", Reason::Early, -301),
            ("18000000000", Reason::Early, -16_200_000_000),
            // Milliseconds instead of seconds: the unit is never guessed.
            ("1800000000000", Reason::Early, -1_798_200_000_000),
            ("9223372036854775807", Reason::Early, 1_800_000_000 - i64::MAX),
        ] {
            if let Some(headers) = case.with_timestamp(text) {
                let rejection = case.assert_refused(&headers, reason);
                assert_eq!(rejection.skew(), Some(skew), "{}: {text}", case.name());
            }
        }
        // Within the tolerance, but not the signed value.
        for text in ["1799999700", "1799999999", "1800000001", "1800000300"] {
            if let Some(headers) = case.with_timestamp(text) {
                case.assert_refused(&headers, Reason::Mismatch);
            }
        }
    }
}

#[test]
fn seconds_instead_of_milliseconds_are_stale() {
    let scheme = Scheme::timestamped().into_builder().timestamp_format(TimestampFormat::Milliseconds).build().unwrap();
    let case = Case::new(scheme, "one-secret");
    case.assert_refused(&case.with_timestamp("1800000000").unwrap(), Reason::Stale);
    case.assert_refused(&case.with_timestamp("1800000000999").unwrap(), Reason::Mismatch);
    case.assert_refused(&case.with_timestamp("1800000301000").unwrap(), Reason::Early);
}

#[test]
fn rfc_3339_of_another_form_is_malformed() {
    let scheme = Scheme::timestamped().into_builder().timestamp_format(TimestampFormat::Rfc3339).build().unwrap();
    let case = Case::new(scheme, "one-secret");
    case.assert_refused(&case.with_timestamp("2027-01-15T08:00:00+00:00").unwrap(), Reason::Mismatch);
    for text in [
        "1800000000",
        "1800000000000",
        "2027-01-15T08:00:00",
        "2027-01-15 08:00:00Z",
        "2027-01-15t08:00:00z",
        "2027-01-15T08:00Z",
        "2027-01-15T08:00:00,5Z",
        "2027-01-15T08:00:00+0000",
        "2027-01-15T08:00:00 Z",
        "2027-01-15T08:00:00Z[UTC]",
        "2027-W02-5T08:00:00Z",
        "20270115T080000Z",
        "+2027-01-15T08:00:00Z",
        "-2027-01-15T08:00:00Z",
        "12027-01-15T08:00:00Z",
        "2027-01-15T08:00:60Z",
        "２027-01-15T08:00:00Z",
    ] {
        case.assert_refused(&case.with_timestamp(text).unwrap(), Reason::MalformedTimestamp);
    }
}

#[test]
fn tolerance_includes_both_ends_and_nothing_beyond() {
    for seconds in [1_u32, 300, 86_400] {
        for case in cases().filter(|case| case.scheme.is_timestamped()) {
            let verifier = case.verifier.clone().with_tolerance(tolerance(seconds));
            let reach = i64::from(seconds);
            for (skew, expected) in [
                (0, Ok(())),
                (reach, Ok(())),
                (-reach, Ok(())),
                (reach + 1, Err(Reason::Stale)),
                (-reach - 1, Err(Reason::Early)),
            ] {
                let now = Timestamp::from_unix(NOW.as_unix() + skew);
                let verdict = verify(&verifier, &case.headers, BODY, now);
                let reported = match &verdict {
                    Ok(verified) => verified.skew(),
                    Err(rejection) => rejection.skew(),
                };
                assert_eq!((reason(verdict), reported), (expected, Some(skew)), "{} ± {seconds}", case.name());
            }
        }
    }
}

#[test]
fn clock_at_any_extreme_neither_panics_nor_accepts() {
    for seconds in [1, 86_400] {
        for case in cases().filter(|case| case.scheme.is_timestamped()) {
            let verifier = case.verifier.clone().with_tolerance(tolerance(seconds));
            for (now, expected) in [
                (i64::MIN, Reason::Early),
                (i64::MIN + 1, Reason::Early),
                (-1_800_000_000, Reason::Early),
                (-1, Reason::Early),
                (0, Reason::Early),
                (i64::MAX - 1, Reason::Stale),
                (i64::MAX, Reason::Stale),
            ] {
                let rejection = verify(&verifier, &case.headers, BODY, Timestamp::from_unix(now)).unwrap_err();
                assert_eq!(rejection.reason(), expected, "{} at {now}", case.name());
                assert_eq!(rejection.skew(), Some(now.saturating_sub(NOW.as_unix())), "{} at {now}", case.name());
            }
        }
    }
}

#[test]
fn extreme_timestamp_is_compared_like_any_other() {
    for seconds in [1_u32, 86_400] {
        for case in cases().filter(|case| case.scheme.is_timestamped()) {
            let last = Timestamp::from_unix(i64::MAX);
            let headers = sign(&case.scheme, keys(&case.scheme, case.secret), BODY, last);
            let verifier = case.verifier.clone().with_tolerance(tolerance(seconds));
            let reach = i64::from(seconds);
            for (now, expected) in [
                (i64::MAX, Ok(())),
                (i64::MAX - reach, Ok(())),
                (i64::MAX - reach - 1, Err(Reason::Early)),
                (0, Err(Reason::Early)),
                (i64::MIN, Err(Reason::Early)),
            ] {
                let verdict = verify(&verifier, &headers, BODY, Timestamp::from_unix(now));
                assert_eq!(reason(verdict), expected, "{} at {now}", case.name());
            }
        }
    }
}

#[test]
fn tolerance_without_limit_is_a_config_error() {
    for seconds in [0, 86_401, 3_153_600_000, u64::MAX] {
        assert_eq!(Tolerance::new(Duration::from_secs(seconds)).unwrap_err().field(), "tolerance", "{seconds}");
    }
    assert_eq!(Tolerance::default().as_duration(), Duration::from_secs(300));
}

// Bodies

#[test]
fn body_is_verified_byte_for_byte() {
    for case in cases() {
        for (body, lookalike) in [
            (&b"\xff\xfe\0"[..], "\u{fffd}\u{fffd}\0".as_bytes()),
            ("😀".as_bytes(), br"\ud83d\ude00"),
            ("é".as_bytes(), "e\u{301}".as_bytes()),
            (b"\xef\xbb\xbf{}", b"{}"),
            (b"{\"a\":1}\r\n", b"{\"a\":1}\n"),
            (b"{\"a\":1,\"a\":2}", b"{\"a\":2}"),
            (b"{\"b\":1, \"a\":1.0}", b"{\"a\":1.0,\"b\":1}"),
            (b"a=1&b=%20", b"a=1&b=+"),
            (b"\0\0", b"\0"),
            (b" ", b""),
            (b"", b"\0"),
        ] {
            let headers = sign(&case.scheme, keys(&case.scheme, case.secret), body, NOW);
            let shown = format!("{}: {}", case.name(), body.escape_ascii());
            assert_eq!(reason(verify(&case.verifier, &headers, body, NOW)), Ok(()), "{shown}");
            assert_eq!(reason(verify(&case.verifier, &headers, lookalike, NOW)), Err(Reason::Mismatch), "{shown}");
        }
    }
}

// Replay

#[test]
fn received_form_makes_no_other_delivery() {
    for case in cases() {
        let original = case.assert_accepted(&case.headers).replay_keys().to_vec();
        assert_eq!(original.len(), 1);
        let mut variants = vec![{
            let mut headers = case.headers.clone();
            headers.insert(0, ("X-Delivery-Id".to_owned(), b"another".to_vec()));
            headers.reverse();
            headers
        }];
        if case.name() != "standard_webhooks" {
            variants.push(case.with_signature([case.before_tag(), case.tag().to_ascii_uppercase()].concat()));
        }
        if let "standard_webhooks" | "stripe" = case.name() {
            let (wrong, good) = (case.encode(&[0; 32]), String::from_utf8(case.tag()).unwrap());
            variants.push(case.with_signature(candidates(&case, &[&wrong, &good])));
            variants.push(case.with_signature(candidates(&case, &[&good, &wrong, &good])));
        }
        for headers in variants {
            assert_eq!(case.assert_accepted(&headers).replay_keys(), original, "{}", case.name());
        }
    }
}

#[test]
fn delivery_with_stripped_signature_is_the_same() {
    for case in [case(Scheme::standard_webhooks), case(Scheme::stripe)] {
        let both = || two_keys(&case.scheme);
        let verifier = Verifier::new(case.scheme.clone(), both()).unwrap();
        let headers = sign(&case.scheme, both(), BODY, NOW);
        let index = case.signature();
        let original = verify(&verifier, &headers, BODY, NOW).unwrap().replay_keys().to_vec();
        assert_eq!(original.len(), 2);
        let separator = if case.name() == "stripe" { "," } else { " " };
        let text = String::from_utf8(headers[index].1.clone()).unwrap();
        let entries: Vec<_> = text.split(separator).collect();
        for stripped in [entries.len() - 1, entries.len() - 2] {
            let mut entries = entries.clone();
            entries.remove(stripped);
            let mut headers = headers.clone();
            headers[index].1 = entries.join(separator).into_bytes();
            assert_eq!(verify(&verifier, &headers, BODY, NOW).unwrap().replay_keys(), original, "{}", case.name());
        }
    }
}

#[test]
fn delivery_is_recognized_across_a_rotation() {
    let scheme = Scheme::timestamped();
    let keys_at =
        |verifier: &Verifier, headers: &Headers| verify(verifier, headers, BODY, NOW).unwrap().replay_keys().to_vec();
    let old = Keyring::new(Secret::from_text("the-old-secret").unwrap());
    let headers = sign(&scheme, old.clone(), BODY, NOW);
    let before = keys_at(&Verifier::new(scheme.clone(), old).unwrap(), &headers);
    let during = keys_at(&Verifier::new(scheme.clone(), two_keys(&scheme)).unwrap(), &headers);
    assert!(during.iter().any(|key| before.contains(key)));
}

#[test]
fn other_message_is_another_delivery() {
    for case in cases() {
        let keys_of = |body: &[u8], secret: &str, now: Timestamp| -> Vec<ReplayKey> {
            let verifier = Verifier::new(case.scheme.clone(), keys(&case.scheme, secret)).unwrap();
            let headers = sign(&case.scheme, keys(&case.scheme, secret), body, now);
            verify(&verifier, &headers, body, now).unwrap().replay_keys().to_vec()
        };
        let original = keys_of(BODY, case.secret, NOW);
        assert_eq!(keys_of(BODY, case.secret, NOW), original);
        assert_ne!(keys_of(b"{}", case.secret, NOW), original, "{}", case.name());
        assert_ne!(keys_of(BODY, "whsec_YW5vdGhlciBzZWNyZXQ=", NOW), original, "{}", case.name());
        let later = keys_of(BODY, case.secret, Timestamp::from_unix(NOW.as_unix() + 1));
        assert_eq!(later == original, case.name() == "github", "{}", case.name());
    }
}

// Keys

/// A keyring with the new key before the old one.
fn two_keys(scheme: &Scheme) -> Keyring {
    let (old, new) = match scheme.name() {
        "standard_webhooks" => ("whsec_dGhlIG9sZCBzZWNyZXQ=", "whsec_dGhlIG5ldyBzZWNyZXQ="),
        _ => ("the-old-secret", "the-new-secret"),
    };
    let key = |id, text| Key::new(id, scheme.secret(text).expect("of the scheme's form")).expect("a plain name");
    Keyring::from_keys([key("new", new), key("old", old)]).expect("two keys")
}

fn only(keyring: &Keyring, id: &str) -> Keyring {
    let key = keyring.iter().find(|key| key.id().as_str() == id).expect("the key exists");
    Keyring::from_keys([key.clone()]).expect("one key")
}

#[test]
fn empty_secret_is_a_config_error() {
    for scheme in PRESETS.map(|(scheme, _)| scheme()) {
        for text in ["", " ", "\t", "\r\n", "\u{a0}", "whsec_", " whsec_", "whsec_\n", "secret ", "\nsecret"] {
            assert_eq!(scheme.secret(text).unwrap_err().field(), "secret", "{}: {text:?}", scheme.name());
        }
    }
    // Some decode to only white space or only zero bytes.
    for text in
        ["whsec_=", "whsec_====", "whsec_!", "whsec_a", "whsec_whsec_", "whsec_ICAg", "Cg==", "whsec_AAAA", "AA=="]
    {
        assert_eq!(Scheme::standard_webhooks().secret(text).unwrap_err().field(), "secret", "{text:?}");
    }
    for bytes in [&b""[..], b" ", b"\t\n \r", b"\0", &[0; 32], &[0; 65]] {
        assert_eq!(Secret::from_bytes(bytes).unwrap_err().field(), "secret", "{bytes:?}");
    }
}

#[test]
fn list_with_empty_secret_is_refused() {
    let load = |texts: &[&str]| -> Result<Keyring, ConfigError> {
        let scheme = Scheme::stripe();
        let keys = texts.iter().zip(["a", "b", "c"]).map(|(text, id)| Key::new(id, scheme.secret(text)?));
        Keyring::from_keys(keys.collect::<Result<Vec<_>, _>>()?)
    };
    assert_eq!(load(&["good", "better"]).unwrap().len(), 2);
    for (texts, field) in
        [(&["good", ""][..], "secret"), (&["", "good"], "secret"), (&["good", " "], "secret"), (&[], "keys")]
    {
        assert_eq!(load(texts).unwrap_err().field(), field, "{texts:?}");
    }
}

#[test]
fn plain_text_secret_for_encoded_scheme_is_refused() {
    for format in ["standard_webhooks", "base64", "hex"] {
        let scheme = match format {
            "standard_webhooks" => Scheme::standard_webhooks(),
            "base64" => Scheme::github().into_builder().secret_format(SecretFormat::Base64).build().unwrap(),
            _ => Scheme::github().into_builder().secret_format(SecretFormat::Hex).build().unwrap(),
        };
        let literal = || Keyring::new(Secret::from_text("c2VjcmV0").unwrap());
        let faults = [
            Verifier::new(scheme.clone(), literal()).unwrap_err(),
            Signer::new(scheme.clone(), literal()).unwrap_err(),
            scheme.prepare(&literal()).unwrap_err(),
        ];
        for fault in faults {
            assert_eq!(fault.field(), "secret");
            assert!(fault.to_string().contains("Scheme::secret"), "{fault}");
            assert!(!fault.to_string().contains("c2VjcmV0"), "{fault}");
        }
    }
}

#[test]
fn key_verifies_exactly_within_its_window() {
    let at = Timestamp::from_unix;
    let scheme = Scheme::github();
    let key = |id, text| Key::new(id, Secret::from_text(text).unwrap()).unwrap();
    let headers = sign(&scheme, keys(&scheme, "windowed"), BODY, NOW);
    let windowed = || key("windowed", "windowed").not_before(at(1_000)).not_after(at(2_000));
    let alone = Verifier::new(scheme.clone(), Keyring::from_keys([windowed()]).unwrap()).unwrap();
    let beside = Keyring::from_keys([key("other", "other"), windowed()]).unwrap();
    let beside = Verifier::new(scheme, beside).unwrap();
    for (now, alive) in [
        (i64::MIN, false),
        (0, false),
        (999, false),
        (1_000, true),
        (1_001, true),
        (1_999, true),
        (2_000, true),
        (2_001, false),
        (i64::MAX, false),
    ] {
        for (verifier, dead) in [(&alone, Reason::NoLiveKey), (&beside, Reason::Mismatch)] {
            let verdict = verify(verifier, &headers, BODY, at(now));
            assert_eq!(reason(verdict), if alive { Ok(()) } else { Err(dead) }, "at {now}");
        }
    }
}

#[test]
fn sender_without_live_key_is_refused_before_body() {
    for case in cases() {
        let secret = case.scheme.secret(case.secret).unwrap();
        let ended = Key::new("ended", secret).unwrap().not_after(Timestamp::from_unix(NOW.as_unix() - 1));
        let verifier = Verifier::new(case.scheme.clone(), Keyring::from_keys([ended]).unwrap()).unwrap();
        assert_eq!(reason(verify(&verifier, &case.headers, BODY, NOW)), Err(Reason::NoLiveKey), "{}", case.name());
        assert_eq!(verifier.begin_at(&case.headers, NOW).unwrap_err().reason(), Reason::NoLiveKey);
    }
}

#[test]
fn signer_without_a_live_key_signs_nothing() {
    let ended = Key::new("ended", Secret::from_text("secret").unwrap()).unwrap().not_after(Timestamp::from_unix(1));
    let signer = Signer::new(Scheme::timestamped(), Keyring::from_keys([ended]).unwrap()).unwrap();
    assert_eq!(signer.sign_body_at(BODY, NOW).unwrap_err().part(), "key");
}

#[test]
fn verified_names_the_key_that_signed() {
    for case in cases() {
        let both = two_keys(&case.scheme);
        let verifier = Verifier::new(case.scheme.clone(), both.clone()).unwrap();
        for id in ["old", "new"] {
            let headers = sign(&case.scheme, only(&both, id), BODY, NOW);
            let verified = verify(&verifier, &headers, BODY, NOW).unwrap();
            assert_eq!(verified.key_id().as_str(), id, "{}", case.name());
        }
        let headers = sign(&case.scheme, keys(&case.scheme, case.secret), BODY, NOW);
        assert_eq!(reason(verify(&verifier, &headers, BODY, NOW)), Err(Reason::Mismatch), "{}", case.name());
    }
}

// Output

#[test]
fn rejection_displays_only_its_reason() {
    for case in cases() {
        let spoiled = [
            Vec::new(),
            case.with_signature("nonsense"),
            case.with_signature([case.before_tag(), case.encode(&[0; 32]).into_bytes()].concat()),
        ];
        for headers in spoiled {
            let rejection = case.verify(&headers).unwrap_err();
            assert_eq!(rejection.to_string(), "webhook refused");
            assert!(std::error::Error::source(&rejection).is_none());
        }
    }
}

/// Returns the forms of `bytes` in a log: raw, hex, base64 and a list of numbers, without white space.
fn looks(bytes: &[u8]) -> Vec<String> {
    let list = |form: fn(&u8) -> String| bytes.iter().take(6).map(form).collect::<Vec<_>>().join(",");
    let mut looks = vec![
        const_hex::encode(bytes),
        const_hex::encode_upper(bytes),
        to_base64(bytes).trim_end_matches('=').to_owned(),
        list(|byte| format!("{byte}")),
        list(|byte| format!("{byte:#x}")),
    ];
    looks.extend(std::str::from_utf8(bytes).map(|text| text.split_whitespace().collect::<String>()));
    looks
}

fn shows(text: &str, bytes: &[u8]) -> bool {
    let text: String = text.split_whitespace().collect();
    looks(bytes).iter().any(|look| text.contains(look))
}

#[test]
fn debug_shows_neither_secrets_nor_macs() {
    for case in cases() {
        let secret = match case.name() {
            "standard_webhooks" => b"canary-standard-webhooks-5b1c".to_vec(),
            _ => case.secret.as_bytes().to_vec(),
        };
        let mac = case.decoded_tag();
        let keyring = keys(&case.scheme, case.secret);
        let key = Key::new("named", case.scheme.secret(case.secret).unwrap()).unwrap();
        let signer = Signer::new(case.scheme.clone(), keyring.clone()).unwrap();
        let mut verification = case.verifier.begin_at(&case.headers, NOW).unwrap();
        verification.update(BODY);
        let verified = case.assert_accepted(&case.headers);
        let refused =
            case.verify(&case.with_signature([case.before_tag(), case.encode(&[0; 32]).into_bytes()].concat()));
        let shown = [
            format!("{:?} {:#?}", case.scheme.secret(case.secret), key),
            format!("{keyring:?} {keyring:#?}"),
            format!("{:?} {:#?}", case.scheme.prepare(&keyring), case.scheme.prepare(&keyring)),
            format!("{:?} {:#?}", case.verifier, case.verifier),
            format!("{signer:?} {signer:#?}"),
            format!("{verification:?} {verification:#?}"),
            format!("{verified:?} {verified:#?}"),
            format!("{:?} {:#?}", verified.replay_keys(), refused),
        ];
        for text in shown {
            assert!(!text.contains("canary"), "{text}");
            assert!(!shows(&text, &secret), "{text}");
            assert!(!shows(&text, &mac) && !shows(&text, &mac[..16]), "{text}");
        }
    }
}

#[test]
fn leaked_canaries_are_found() {
    let bytes = b"canary \x01\xff";
    for text in [format!("{bytes:?}"), format!("{bytes:#x?}"), const_hex::encode(bytes), to_base64(bytes)] {
        assert!(shows(&text, bytes), "{text}");
    }
    assert!(shows("Secret(\"canary github\")", b"canary github"));
    assert!(!shows("Secret(…)", bytes));
}

#[test]
fn config_errors_quote_no_secret() {
    let standard = Scheme::standard_webhooks();
    let hex = Scheme::github().into_builder().secret_format(SecretFormat::Hex).build().unwrap();
    let key = |id| Key::new(id, Secret::from_text("canary").unwrap()).unwrap();
    for fault in [
        standard.secret("whsec_canary!").unwrap_err(),
        hex.secret("canary").unwrap_err(),
        Secret::from_text("canary ").unwrap_err(),
        Keyring::from_keys([key("a"), key("b")]).unwrap_err(),
        Verifier::new(standard, Keyring::from_keys([key("a")]).unwrap()).unwrap_err(),
    ] {
        assert!(!format!("{fault} {fault:?}").contains("canary"), "{fault}");
    }
}

#[test]
fn header_value_containing_a_separator_is_malformed() {
    const WRONG: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    let (id, literal) = (|| SignedPart::header("X-Id").unwrap(), SignedPart::literal);
    let cases = [
        // The literal could begin within the value: `a:` and `b` equals `a` and `:b`.
        (vec![id(), literal("::"), SignedPart::Body], ("a:", b"b".as_slice())),
        // After the body, the literal before the value decides: `x` and `y.z` equals `x.y` and `z`.
        (vec![SignedPart::Body, literal("."), id()], ("y.z", b"x".as_slice())),
    ];
    for (parts, (value, body)) in cases {
        let scheme = Scheme::builder("acme").signature_header("X-Sig").signed(parts).build().unwrap();
        let verifier = Verifier::new(scheme.clone(), keys(&scheme, "secret")).unwrap();
        let refused = |value| {
            let head = [("X-Id", value), ("X-Sig", WRONG)];
            verifier.verify_at(&head, body, NOW).unwrap_err().reason()
        };
        assert_eq!(refused(value), Reason::MalformedHeader, "{value}");
        assert_eq!(refused("plain"), Reason::Mismatch);
    }
}

#[test]
fn field_without_a_key_is_ignored() {
    let scheme = Scheme::builder("acme")
        .signature_header("X-Sig")
        .layout(Layout::fields(',', "v1"))
        .signed([SignedPart::Body])
        .build()
        .unwrap();
    let verifier = Verifier::new(scheme.clone(), keys(&scheme, "secret")).unwrap();
    let head = [("X-Sig", format!("=a,=b,v1={}", "0".repeat(64)))];
    assert_eq!(verifier.verify_at(&head, BODY, NOW).unwrap_err().reason(), Reason::Mismatch);
}

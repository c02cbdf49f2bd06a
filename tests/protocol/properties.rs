//! Properties of every valid scheme, key and body.

use hookwarden::crypto::{Algorithm, HashAlgorithm};
use hookwarden::encoding::Encoding;
use hookwarden::headers::{FieldName, Head, RequestHead};
use hookwarden::scheme::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::verifier::Verified;
use hookwarden::{Key, Keyring, Reason, Rejection, Scheme, Secret, Signer, Timestamp, Tolerance, Verifier};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

type Headers = Vec<(String, Vec<u8>)>;

// Literals share no byte with the value of a signed header, because a value must not contain the literal after it.
// Templates are otherwise arbitrary; `ambiguity.rs` tests their ambiguity.
const LITERALS: [&str; 8] = [".", ":", "\n", "v0:", "::", "é", "", "{}"];
const VALUE_BYTES: &[u8] = b"abcxyz019 _/+=\x80\xff";

/// A piece of a template, before it is checked.
#[derive(Debug, Clone)]
enum Piece {
    Literal(&'static str),
    Timestamp,
    Method,
    Path,
    Url {
        decode: &'static str,
    },
    Header(u8),
    Listed {
        pair: ListedHeaderForm,
        separator: char,
        join: &'static str,
        count: u8,
        in_field: bool,
        itself: bool,
        by_sender: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum Stamp {
    None,
    Header(TimestampFormat),
    Field(TimestampFormat),
}

/// How a template without a timestamp part signs the timestamp.
#[derive(Debug, Clone, Copy)]
enum StampSigned {
    ByPart,
    ByName,
}

/// A scheme, and the other values that a sender needs.
#[derive(Debug, Clone)]
struct Design {
    scheme: Scheme,
    own: Headers,
    /// The header of the timestamp, for tests that modify it.
    stamp: Stamp,
    signature_headers: usize,
}

const STAMP_HEADER: &str = "X-Time";
const METHOD: &str = "POST";

fn formats() -> impl Strategy<Value = TimestampFormat> {
    select(
        &[TimestampFormat::Seconds, TimestampFormat::Milliseconds, TimestampFormat::Rfc3339, TimestampFormat::HttpDate]
            [..],
    )
}

fn pieces() -> impl Strategy<Value = Piece> {
    let listed = (
        select(&[ListedHeaderForm::NameAndValue, ListedHeaderForm::Value][..]),
        // Omit the separators of the layouts below, so that a list fits into a field.
        select(&['~', '!', '/'][..]),
        select(&[";", ".", "", "\n"][..]),
        0_u8..4,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    prop_oneof![
        4 => select(&LITERALS[..]).prop_map(Piece::Literal),
        1 => Just(Piece::Timestamp),
        1 => Just(Piece::Method),
        1 => Just(Piece::Path),
        1 => select(&["", ":/?@!$'()*,;", "%"][..]).prop_map(|decode| Piece::Url { decode }),
        2 => (0_u8..3).prop_map(Piece::Header),
        1 => listed.prop_map(|(pair, separator, join, count, in_field, itself, by_sender)| {
            Piece::Listed { pair, separator, join, count, in_field, itself, by_sender }
        }),
    ]
}

/// The body, or its digest.
fn body_parts() -> impl Strategy<Value = SignedPart> {
    let hashes = select(&[HashAlgorithm::Sha256, HashAlgorithm::Sha512][..]);
    let encodings = select(&[Encoding::Hex, Encoding::Base64, Encoding::Base64Url, Encoding::Base64UrlUnpadded][..]);
    let digests = (hashes, encodings).prop_map(|(hash, encoding)| SignedPart::body_digest(hash, encoding));
    prop_oneof![2 => Just(SignedPart::Body), 1 => digests]
}

fn layouts() -> impl Strategy<Value = Layout> {
    prop_oneof![
        select(&["", "sha256=", "v0=", "HMAC "][..]).prop_map(Layout::plain),
        (select(&[' ', ',', ';', '|'][..]), select(&["", "v1=", "v1:", "sig-"][..]))
            .prop_map(|(separator, prefix)| Layout::list(separator, prefix)),
        (select(&[',', ';', '|'][..]), select(&["v1 ", "HMAC v1: "][..]))
            .prop_map(|(separator, prefix)| Layout::list(separator, prefix)),
        (select(&[' ', ',', ';', '&'][..]), select(&["v1", "h1", "signature"][..]))
            .prop_map(|(separator, key)| Layout::fields(separator, key)),
        (select(&[(' ', ','), (';', ','), ('|', ';')][..]), select(&["v1", "h1"][..]))
            .prop_map(|((groups, separator), key)| Layout::field_groups(groups, separator, key)),
    ]
}

fn field_name(name: impl Into<String>) -> FieldName {
    FieldName::new(name).expect("a token")
}

fn designs() -> impl Strategy<Value = Design> {
    let algorithms = select(&[Algorithm::HmacSha256, Algorithm::HmacSha1, Algorithm::HmacSha512][..]);
    let encodings = select(&[Encoding::Hex, Encoding::Base64, Encoding::Base64Url, Encoding::Base64UrlUnpadded][..]);
    let stamps = prop_oneof![Just(Stamp::None), formats().prop_map(Stamp::Header), formats().prop_map(Stamp::Field),];
    let values = vec(vec(select(VALUE_BYTES), 0..24), 3);
    let by = select(&[StampSigned::ByPart, StampSigned::ByName][..]);
    (
        algorithms,
        encodings,
        layouts(),
        (stamps, by),
        (1_usize..4, any::<bool>()),
        vec(pieces(), 0..6),
        body_parts(),
        vec(pieces(), 0..5),
        values,
    )
        .prop_map(|(algorithm, encoding, layout, stamp, count, before, body, after, values)| {
            design(algorithm, encoding, layout, stamp, count, (&before, body, &after), values)
        })
}

fn design(
    algorithm: Algorithm,
    encoding: Encoding,
    layout: Layout,
    (stamp, stamp_signed): (Stamp, StampSigned),
    (signature_headers, is_repeated): (usize, bool),
    (before, body, after): (&[Piece], SignedPart, &[Piece]),
    values: Vec<Vec<u8>>,
) -> Design {
    let fields = matches!(layout, Layout::Fields { .. });
    let has_groups = matches!(layout, Layout::FieldGroups { .. });
    let signature_headers = if fields || has_groups { 1 } else { signature_headers };
    // The separators of the layouts occur in an HTTP date.
    let is_cut =
        |format| format == TimestampFormat::HttpDate && !matches!(layout, Layout::Fields { separator: ';' | '&', .. });
    let stamp = match stamp {
        // Each group has a timestamp. The separators occur in some formats.
        Stamp::Header(TimestampFormat::Milliseconds) | Stamp::Field(TimestampFormat::Milliseconds) if has_groups => {
            Stamp::Field(TimestampFormat::Milliseconds)
        }
        _ if has_groups => Stamp::Field(TimestampFormat::Seconds),
        Stamp::Field(format) if !fields || is_cut(format) => Stamp::Header(format),
        stamp => stamp,
    };
    let mut builder = Scheme::builder("any")
        .algorithm(algorithm)
        .encoding(encoding)
        .layout(layout)
        .signature_headers((0..signature_headers).map(|n| format!("X-Signature-{n}")));
    let is_repeated = is_repeated && !fields && !has_groups;
    if is_repeated {
        builder = builder.repeated_signature_headers();
    }
    builder = match stamp {
        Stamp::None => builder,
        Stamp::Header(format) => builder.timestamp_header(STAMP_HEADER, format),
        Stamp::Field(format) => builder.timestamp_field("t", format),
    };

    let stamped = !matches!(stamp, Stamp::None);
    let mut own: Headers = (0..3).zip(values).map(|(n, value)| (format!("X-Own-{n}"), value)).collect();
    let mut listed_already = false;
    let mut parts = |pieces: &[Piece]| -> Vec<SignedPart> {
        let mut parts = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Literal(text) => parts.push(SignedPart::literal(*text)),
                Piece::Timestamp if stamped => parts.push(SignedPart::Timestamp),
                Piece::Timestamp => {}
                Piece::Method => parts.push(SignedPart::Method),
                Piece::Path => parts.push(SignedPart::Path),
                Piece::Url { decode } => {
                    let base = "https://hooks.example.com:8443".into();
                    parts.push(SignedPart::Url { base, decode: (*decode).into() });
                }
                Piece::Header(n) => parts.push(SignedPart::Header(field_name(format!("X-Own-{n}")))),
                Piece::Listed { .. } if listed_already => {}
                Piece::Listed { pair, separator, join, count, in_field, itself, by_sender } => {
                    listed_already = true;
                    let in_field = *in_field && fields;
                    let mut require: Vec<_> = (0..*count).map(|n| field_name(format!("x-own-{n}"))).collect();
                    require.truncate(3);
                    if *itself && !in_field {
                        require.push(field_name("X-Names"));
                    }
                    let (names_in, names) = if in_field {
                        (NamesIn::Field("h".into()), SignedPart::field("h"))
                    } else {
                        (NamesIn::Header(field_name("X-Names")), SignedPart::Header(field_name("X-Names")))
                    };
                    if *pair == ListedHeaderForm::Value {
                        parts.push(names);
                    }
                    if *by_sender && !in_field {
                        let names = require.iter().rev().map(FieldName::as_str).chain(["X-SENT-BY"]);
                        let list = names.collect::<Vec<_>>().join(&separator.to_string());
                        own.extend([
                            ("X-Names".to_owned(), list.into_bytes()),
                            ("X-Sent-By".to_owned(), b"me".to_vec()),
                        ]);
                    }
                    let (separator, join) = (*separator, (*join).into());
                    parts.push(SignedPart::ListedHeaders(ListedHeaders {
                        names_in,
                        separator,
                        pair: *pair,
                        join,
                        require,
                    }));
                }
            }
        }
        parts
    };
    let (mut signed, after) = (parts(before), parts(after));
    signed.push(body);
    signed.extend(after);
    if stamped && !signed.contains(&SignedPart::Timestamp) {
        signed.push(match (stamp_signed, stamp) {
            (StampSigned::ByName, Stamp::Header(_)) => SignedPart::Header(field_name(STAMP_HEADER)),
            (StampSigned::ByName, Stamp::Field(_)) if !has_groups => SignedPart::field("t"),
            _ => SignedPart::Timestamp,
        });
    }
    let scheme = builder.signed(signed).danger_ambiguous_content().build().expect("the description is consistent");
    Design { scheme, own, stamp, signature_headers }
}

fn keyrings() -> impl Strategy<Value = Keyring> {
    proptest::collection::hash_set(vec(any::<u8>(), 1..100), 1..4).prop_filter_map("blank key", |secrets| {
        let keys = (0..).zip(secrets).map(|(n, bytes)| {
            let secret = Secret::from_bytes(bytes).ok()?;
            Key::new(&format!("key-{n}"), secret).ok()
        });
        Keyring::from_keys(keys.collect::<Option<Vec<_>>>()?).ok()
    })
}

fn single(keys: &Keyring) -> Keyring {
    Keyring::from_keys(keys.iter().take(1).cloned()).expect("one key")
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

/// Times from the first second of every format to the year 9987.
fn times() -> impl Strategy<Value = Timestamp> {
    prop_oneof![1_i64..253_000_000_000, 1_700_000_000_i64..2_000_000_000].prop_map(Timestamp::from_unix)
}

fn paths() -> impl Strategy<Value = String> {
    "(/([a-z0-9._~]|%[0-9A-Fa-f]{2}|%|%[g-z]){0,8}){1,3}(\\?([a-z=&]|%[0-9A-F]{2}){0,8})?"
}

fn sign(design: &Design, keys: Keyring, path: &str, body: &[u8], now: Timestamp) -> Headers {
    let signer = Signer::new(design.scheme.clone(), keys).expect("every field is known");
    let signed = signer.sign_at(&RequestHead::new(METHOD, path, &design.own), body, now).expect("a signable message");
    let signed = signed.iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    design.own.iter().cloned().chain(signed).collect()
}

fn verifier(design: &Design, keys: Keyring) -> Verifier {
    Verifier::new(design.scheme.clone(), keys).expect("keys of bytes fit any scheme")
}

fn stream<H: Head + ?Sized>(
    verifier: &Verifier,
    head: &H,
    chunks: &[&[u8]],
    now: Timestamp,
) -> Result<Verified, Rejection> {
    let mut verification = verifier.begin_at(head, now)?;
    chunks.iter().for_each(|chunk| verification.update(chunk));
    verification.finish()
}

/// Cuts `body` at `cuts`, which may make empty pieces.
fn chunked<'b>(mut body: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut chunks = Vec::new();
    for cut in cuts {
        let (chunk, rest) = body.split_at(cut.index(body.len().saturating_add(1)));
        chunks.push(chunk);
        body = rest;
    }
    chunks.push(body);
    chunks
}

fn flip(bytes: &mut [u8], bit: Index) {
    let bit = bit.index(bytes.len().saturating_mul(8));
    if let Some(byte) = bytes.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}

fn header<'h>(headers: &'h mut Headers, name: &str) -> &'h mut Vec<u8> {
    headers.iter_mut().find(|(other, _)| other == name).map(|(_, value)| value).expect("the header exists")
}

/// Returns the signature at the end of the first signature header.
fn tag_of<'h>(design: &Design, headers: &'h mut Headers) -> &'h mut [u8] {
    let value = header(headers, "X-Signature-0");
    let size = tag_text_size(&design.scheme);
    let start = value.len().saturating_sub(size);
    value.get_mut(start..).expect("the header ends with the signature")
}

/// Returns the length of a signature as the scheme writes it.
fn tag_text_size(scheme: &Scheme) -> usize {
    let bare = scheme.clone().into_builder().layout(Layout::plain("")).signature_header("X-Signature");
    let bare = match bare.clone().signed([SignedPart::Body]).build() {
        Ok(bare) => bare,
        // The scheme has a timestamp, which must be signed. Read it from a header.
        Err(_) => bare
            .timestamp_header(STAMP_HEADER, TimestampFormat::Seconds)
            .signed([SignedPart::Timestamp, SignedPart::Body])
            .build()
            .expect("the description is consistent"),
    };
    let signer = Signer::new(bare, Keyring::new(Secret::from_bytes(b"k").expect("a key"))).expect("a signer");
    let signed = signer.sign_body_at(b"", Timestamp::from_unix(1)).expect("a signable message");
    signed.iter().find(|(name, _)| *name == "X-Signature").map(|(_, value)| value.len()).expect("a signature")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn signed_message_verifies_whole_and_in_chunks(
        design in designs(),
        keys in keyrings(),
        body in bodies(),
        path in paths(),
        signed_at in times(),
        skew in -300_i64..=300,
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let headers = sign(&design, keys.clone(), &path, &body, signed_at);
        let verifier = verifier(&design, keys.clone());
        let head = RequestHead::new(METHOD, &path, &headers);
        let now = Timestamp::from_unix(signed_at.as_unix().saturating_add(skew));
        let whole = verifier.verify_at(&head, &body, now);
        let whole = whole.map_err(|rejection| TestCaseError::fail(format!("{rejection:?}")))?;
        let streamed = stream(&verifier, &head, &chunked(&body, &cuts), now);
        let streamed = streamed.map_err(|rejection| TestCaseError::fail(format!("streamed: {rejection:?}")))?;

        prop_assert_eq!(streamed.key_id(), whole.key_id());
        prop_assert_eq!(streamed.replay_keys(), whole.replay_keys());
        prop_assert_eq!(whole.replay_keys().len(), keys.len());
        prop_assert_eq!(whole.timestamp(), design.scheme.is_timestamped().then_some(signed_at));
        prop_assert_eq!(whole.skew(), design.scheme.is_timestamped().then_some(skew));
    }

    #[test]
    fn flipped_body_bit_is_a_mismatch(
        design in designs(),
        keys in keyrings(),
        body in vec(any::<u8>(), 1..300),
        path in paths(),
        now in times(),
        bit in any::<Index>(),
    ) {
        let headers = sign(&design, keys.clone(), &path, &body, now);
        let mut flipped = body.clone();
        flip(&mut flipped, bit);
        let verdict = verifier(&design, keys).verify_at(&RequestHead::new(METHOD, &path, &headers), &flipped, now);
        prop_assert_eq!(verdict.map(drop).map_err(|rejection| rejection.reason()), Err(Reason::Mismatch));
    }

    #[test]
    fn any_flipped_bit_of_the_timestamp_is_refused(
        design in designs().prop_filter("no timestamp", |design| design.scheme.is_timestamped()),
        keys in keyrings(),
        body in bodies(),
        path in paths(),
        now in times(),
        bit in any::<Index>(),
    ) {
        // With one key there is one group. Another group would still verify.
        let keys = if matches!(design.scheme.layout(), Layout::FieldGroups { .. }) { single(&keys) } else { keys };
        let mut headers = sign(&design, keys.clone(), &path, &body, now);
        match design.stamp {
            Stamp::Field(_) => {
                let value = header(&mut headers, "X-Signature-0");
                let start = value.iter().position(|byte| *byte == b'=').unwrap_or_default().saturating_add(1);
                let (Layout::Fields { separator, .. } | Layout::FieldGroups { separator, .. }) = design.scheme.layout()
                else {
                    panic!("a layout with fields")
                };
                let length = value.iter().skip(start).take_while(|byte| char::from(**byte) != *separator).count();
                let text = value.iter_mut().skip(start).take(length);
                let mut text: Vec<_> = text.collect();
                let bit = bit.index(text.len().saturating_mul(8));
                if let Some(byte) = text.get_mut(bit / 8) {
                    **byte ^= 1 << (bit % 8);
                }
            }
            _ => flip(header(&mut headers, STAMP_HEADER), bit),
        }
        let verdict = verifier(&design, keys).verify_at(&RequestHead::new(METHOD, &path, &headers), &body, now);
        let reason = verdict.map(drop).map_err(|rejection| rejection.reason());
        let refused = matches!(
            reason,
            Err(Reason::Mismatch | Reason::Stale | Reason::Early | Reason::MalformedTimestamp)
        );
        // A separator of groups leaves a group without a timestamp.
        let has_groups = matches!(design.scheme.layout(), Layout::FieldGroups { .. });
        let refused = refused || (has_groups && reason == Err(Reason::MissingHeader));
        prop_assert!(refused, "{:?}", reason);
    }

    #[test]
    fn any_flipped_bit_of_the_tag_is_refused(
        design in designs(),
        keys in keyrings(),
        body in bodies(),
        path in paths(),
        now in times(),
        bit in any::<Index>(),
    ) {
        let keys = single(&keys);
        let mut headers = sign(&design, keys.clone(), &path, &body, now);
        let tag = tag_of(&design, &mut headers);
        let original = tag.to_vec();
        flip(tag, bit);
        // Hex ignores case. In base64 a letter in the other case is another tag.
        let same_tag = design.scheme.encoding() == Encoding::Hex && tag.eq_ignore_ascii_case(&original);
        let verdict = verifier(&design, keys).verify_at(&RequestHead::new(METHOD, &path, &headers), &body, now);
        let has_groups = matches!(design.scheme.layout(), Layout::FieldGroups { .. });
        match verdict.map(drop).map_err(|rejection| rejection.reason()) {
            Ok(()) => prop_assert!(same_tag),
            Err(Reason::Mismatch | Reason::MalformedSignature) => prop_assert!(!same_tag),
            // A separator of groups leaves a group without a timestamp.
            Err(Reason::MissingHeader) => prop_assert!(has_groups),
            Err(reason) => prop_assert!(false, "{:?}", reason),
        }
    }

    #[test]
    fn tag_of_any_other_bytes_is_refused(
        design in designs(),
        keys in keyrings(),
        body in bodies(),
        path in paths(),
        now in times(),
        text in vec(any::<u8>(), 0..140),
    ) {
        let keys = single(&keys);
        let mut headers = sign(&design, keys.clone(), &path, &body, now);
        let size = tag_of(&design, &mut headers).len();
        let value = header(&mut headers, "X-Signature-0");
        value.truncate(value.len().saturating_sub(size));
        value.extend(text);
        let verdict = verifier(&design, keys).verify_at(&RequestHead::new(METHOD, &path, &headers), &body, now);
        let reason = verdict.map(drop).map_err(|rejection| rejection.reason());
        let has_groups = matches!(design.scheme.layout(), Layout::FieldGroups { .. });
        prop_assert!(
            matches!(reason, Err(Reason::Mismatch | Reason::MalformedSignature | Reason::TooManyCandidates))
                // A separator of groups leaves a group without a timestamp.
                || (has_groups && reason == Err(Reason::MissingHeader)),
            "{reason:?}"
        );
    }

    #[test]
    fn streaming_and_whole_verdicts_agree(
        design in designs(),
        keys in keyrings(),
        body in bodies(),
        path in paths(),
        now in times(),
        skew in -600_i64..=600,
        spoiled in any::<Index>(),
        bit in any::<Index>(),
        removed in any::<bool>(),
        cuts in vec(any::<Index>(), 0..4),
    ) {
        let mut headers = sign(&design, keys.clone(), &path, &body, now);
        let spoiled = spoiled.index(headers.len());
        if removed {
            headers.remove(spoiled);
        } else if let Some((_, value)) = headers.get_mut(spoiled).filter(|(_, value)| !value.is_empty()) {
            flip(value, bit);
        }
        let verifier = verifier(&design, keys);
        let now = Timestamp::from_unix(now.as_unix().saturating_add(skew));
        let outcome = |verdict: Result<Verified, Rejection>| {
            verdict.map(|verified| (verified.key_id(), verified.skew(), verified.replay_keys().to_vec()))
        };
        let head = RequestHead::new(METHOD, &path, &headers);
        let whole = outcome(verifier.verify_at(&head, &body, now));
        prop_assert_eq!(outcome(stream(&verifier, &head, &chunked(&body, &cuts), now)), whole);
        // The same without a request line.
        let whole = outcome(verifier.verify_at(&headers, &body, now));
        prop_assert_eq!(outcome(stream(&verifier, &headers, &chunked(&body, &cuts), now)), whole);
    }

    #[test]
    fn key_that_did_not_sign_verifies_nothing(
        design in designs(),
        keys in keyrings(),
        other in vec(any::<u8>(), 100..120),
        body in bodies(),
        path in paths(),
        now in times(),
    ) {
        let headers = sign(&design, keys, &path, &body, now);
        let other = Keyring::new(Secret::from_bytes(other).expect("a secret that is not empty"));
        let verdict = verifier(&design, other).verify_at(&RequestHead::new(METHOD, &path, &headers), &body, now);
        prop_assert_eq!(verdict.map(drop).map_err(|rejection| rejection.reason()), Err(Reason::Mismatch));
    }

    #[test]
    fn each_signature_header_belongs_to_one_key(design in designs(), keys in keyrings(), now in times()) {
        let headers = sign(&design, keys.clone(), "/", b"", now);
        let count = headers.iter().filter(|(name, _)| name.starts_with("X-Signature-")).count();
        let expected = match design.signature_headers {
            1 if design.scheme.repeats_signature_headers() => keys.len(),
            count => keys.len().min(count),
        };
        prop_assert_eq!(count, expected);
    }

    #[test]
    fn arbitrary_head_bytes_never_panic_and_verdicts_agree(
        design in designs(),
        keys in keyrings(),
        spoiled in vec((any::<bool>(), vec(any::<u8>(), 0..100)), 9),
        signed_at in times(),
        now in prop_oneof![Just(None), any::<i64>().prop_map(Some)],
        body in bodies(),
    ) {
        let mut headers = sign(&design, keys.clone(), "/", &body, signed_at);
        for ((name, value), (_, other)) in headers.iter_mut().zip(spoiled).filter(|(_, (spoil, _))| *spoil) {
            // With a well-formed signature, the other headers are read too.
            if name.starts_with("X-Signature") { value.extend(other) } else { *value = other }
        }
        let verifier = verifier(&design, keys);
        let head = RequestHead::new(METHOD, "/", &headers);
        let now = now.map_or(signed_at, Timestamp::from_unix);
        let whole = verifier.verify_at(&head, &body, now).map(|verified| verified.key_id());
        prop_assert_eq!(stream(&verifier, &head, &[&body], now).map(|verified| verified.key_id()), whole);
    }

    #[test]
    fn rfc_3339_times_match_jiff(
        (year, month, day) in (prop_oneof![0..=9998_i16, 1969..=2100_i16], 1..=12_i8, 1..=31_i8),
        (hour, minute, second) in (0..=23_i8, 0..=59_i8, 0..=59_i8),
        fraction in "(\\.[0-9]{1,9})?",
        offset in prop_oneof![
            Just("Z".to_owned()),
            (select(&["+", "-"][..]), 0..=23_i8, 0..=59_i8).prop_map(|(sign, h, m)| format!("{sign}{h:02}:{m:02}")),
        ],
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
        match text.parse::<jiff::Timestamp>() {
            // jiff rejects only days that the month does not have.
            Err(_) => {
                prop_assert!(day > 28, "{}", text);
                prop_assert_eq!(stamp_of(&text, Timestamp::from_unix(0), TimestampFormat::Rfc3339), Err(Reason::MalformedTimestamp), "{}", text);
            }
            Ok(jiff) => {
                let floored = i64::try_from(jiff.as_nanosecond().div_euclid(1_000_000_000)).expect("within the years");
                for (skew, expected) in [
                    (-2, Err(Reason::Early)),
                    (-1, Ok(Some(floored))),
                    (0, Ok(Some(floored))),
                    (1, Ok(Some(floored))),
                    (2, Err(Reason::Stale)),
                ] {
                    let now = Timestamp::from_unix(floored.saturating_add(skew));
                    prop_assert_eq!(stamp_of(&text, now, TimestampFormat::Rfc3339), expected, "{} {:+}", text, skew);
                }
            }
        }
    }

    #[test]
    fn http_dates_match_jiff(now in times(), millis in 0_i64..1000, at in any::<Index>(), letter in "[ -~]") {
        let jiff = jiff::Timestamp::new(now.as_unix(), i32::try_from(millis * 1_000_000).expect("below a second"));
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        let text = printer.timestamp_to_rfc9110_string(&jiff.expect("within the years")).expect("within the years");
        prop_assert_eq!(stamp_of(&text, now, TimestampFormat::HttpDate), Ok(Some(now.as_unix())), "{}", text);
        // With any other character, it is another date or none.
        let mut other = text.clone();
        let at = at.index(text.len());
        other.replace_range(at..=at, &letter);
        let read = stamp_of(&other, now, TimestampFormat::HttpDate);
        prop_assert_eq!(read == Ok(Some(now.as_unix())), other == text, "{}", other);
        let parser = jiff::fmt::rfc2822::DateTimeParser::new();
        if let (Ok(Some(read)), Ok(jiff)) = (read, parser.parse_timestamp(&other)) {
            prop_assert_eq!(read, jiff.as_second(), "{}", other);
        }
    }

    #[test]
    fn text_accepted_as_rfc_3339_satisfies_jiff(
        text in "[0-9]{4}-[01][0-9]-[0-3][0-9][T t][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,9})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9])?",
    ) {
        if let Ok(jiff) = text.parse::<jiff::Timestamp>() {
            let floored = i64::try_from(jiff.as_nanosecond().div_euclid(1_000_000_000)).expect("within the years");
            let read = stamp_of(&text, Timestamp::from_unix(floored), TimestampFormat::Rfc3339);
            prop_assert!([Ok(Some(floored)), Err(Reason::MalformedTimestamp)].contains(&read), "{}: {:?}", text, read);
        } else {
            prop_assert_eq!(stamp_of(&text, Timestamp::from_unix(0), TimestampFormat::Rfc3339), Err(Reason::MalformedTimestamp), "{}", text);
        }
    }
}

/// Days with typical calendar faults, which random days rarely contain.
#[test]
fn last_days_of_february_match_jiff() {
    for year in
        [0, 4, 100, 400, 1600, 1700, 1800, 1900, 1970, 1996, 1999, 2000, 2004, 2024, 2026, 2100, 2200, 2400, 9996]
    {
        for day in ["02-28", "02-29", "02-30", "03-01", "12-31"] {
            let text = format!("{year:04}-{day}T23:59:59Z");
            let expected = match text.parse::<jiff::Timestamp>() {
                Ok(jiff) => Ok(Some(jiff.as_second())),
                Err(_) => Err(Reason::MalformedTimestamp),
            };
            let now = expected.ok().flatten().unwrap_or_default();
            assert_eq!(stamp_of(&text, Timestamp::from_unix(now), TimestampFormat::Rfc3339), expected, "{text}");
        }
    }
}

/// Returns the seconds that a verifier reads from `text` in a message signed with it.
fn stamp_of(text: &str, now: Timestamp, format: TimestampFormat) -> Result<Option<i64>, Reason> {
    let builder = || Scheme::builder("stamped").signature_header("X-Signature");
    let keys = || Keyring::new(Secret::from_bytes(b"key").expect("a key"));
    // The signing scheme treats the timestamp as an ordinary header, so any text can be signed.
    let signing = builder().signed([SignedPart::Header(field_name(STAMP_HEADER)), SignedPart::Body]);
    let signing = signing.danger_ambiguous_content().build().expect("consistent");
    let own = [(STAMP_HEADER, text)];
    let signed = Signer::new(signing, keys()).expect("a signer").sign_at(&own, b"{}", now).expect("a signable message");
    let headers: Vec<_> = own.into_iter().chain(signed.iter()).collect();

    let judging = builder().timestamp_header(STAMP_HEADER, format);
    let judging = judging.signed([SignedPart::Timestamp, SignedPart::Body]).build().expect("consistent");
    let verifier = Verifier::new(judging, keys()).expect("a verifier");
    let verifier =
        verifier.with_tolerance(Tolerance::new(std::time::Duration::from_secs(1)).expect("within the range"));
    let verdict = verifier.verify_at(&headers, b"{}", now);
    verdict.map(|verified| verified.timestamp().map(Timestamp::as_unix)).map_err(|rejection| rejection.reason())
}

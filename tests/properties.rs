//! Laws that hold for every scheme that can be described, every key and every body.

use hookwarden::crypto::Algorithm;
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

// Literals share no byte with a signed header's value, for such a value may not contain what stands behind it.
const LITERALS: [&str; 8] = [".", ":", "\n", "v0:", "::", "é", "", "{}"];
const VALUE_BYTES: &[u8] = b"abcxyz019 _/+=\x80\xff";

/// A piece of a template, before it is known which of them a scheme can have.
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

/// How a template that has no part for the timestamp signs it all the same.
#[derive(Debug, Clone, Copy)]
enum StampSigned {
    ByPart,
    ByName,
}

/// A scheme, and what a sender needs for a message under it.
#[derive(Debug, Clone)]
struct Design {
    scheme: Scheme,
    own: Headers,
    /// Where a timestamp stands, for tests that spoil it.
    stamp: Stamp,
    signature_headers: usize,
}

const STAMP_HEADER: &str = "X-Time";
const METHOD: &str = "POST";

fn formats() -> impl Strategy<Value = TimestampFormat> {
    select(&[TimestampFormat::Seconds, TimestampFormat::Milliseconds, TimestampFormat::Rfc3339][..])
}

fn pieces() -> impl Strategy<Value = Piece> {
    let listed = (
        select(&[ListedHeaderForm::NameAndValue, ListedHeaderForm::Value][..]),
        // No separator of a layout below, so that a list fits into a field.
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

fn layouts() -> impl Strategy<Value = Layout> {
    prop_oneof![
        select(&["", "sha256=", "v0="][..]).prop_map(Layout::plain),
        (select(&[' ', ',', ';', '|'][..]), select(&["", "v1=", "v1:", "sig-"][..]))
            .prop_map(|(separator, prefix)| Layout::list(separator, prefix)),
        (select(&[' ', ',', ';', '&'][..]), select(&["v1", "h1", "signature"][..]))
            .prop_map(|(separator, key)| Layout::fields(separator, key)),
    ]
}

fn field_name(name: impl Into<String>) -> FieldName {
    FieldName::new(name).expect("a token")
}

fn designs() -> impl Strategy<Value = Design> {
    let algorithms = select(&[Algorithm::HmacSha256, Algorithm::HmacSha1, Algorithm::HmacSha512][..]);
    let encodings = select(&[Encoding::Hex, Encoding::Base64][..]);
    let stamps = prop_oneof![Just(Stamp::None), formats().prop_map(Stamp::Header), formats().prop_map(Stamp::Field),];
    let values = vec(vec(select(VALUE_BYTES), 0..24), 3);
    let by = select(&[StampSigned::ByPart, StampSigned::ByName][..]);
    (algorithms, encodings, layouts(), (stamps, by), 1_usize..4, vec(pieces(), 0..6), vec(pieces(), 0..5), values)
        .prop_map(|(algorithm, encoding, layout, stamp, count, before, after, values)| {
            design(algorithm, encoding, layout, stamp, count, (&before, &after), values)
        })
}

fn design(
    algorithm: Algorithm,
    encoding: Encoding,
    layout: Layout,
    (stamp, stamp_signed): (Stamp, StampSigned),
    signature_headers: usize,
    (before, after): (&[Piece], &[Piece]),
    values: Vec<Vec<u8>>,
) -> Design {
    let fields = matches!(layout, Layout::Fields { .. });
    let signature_headers = if fields { 1 } else { signature_headers };
    let stamp = match stamp {
        Stamp::Field(format) if !fields => Stamp::Header(format),
        stamp => stamp,
    };
    let mut builder = Scheme::builder("any")
        .algorithm(algorithm)
        .encoding(encoding)
        .layout(layout)
        .signature_headers((0..signature_headers).map(|n| format!("X-Signature-{n}")));
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
    signed.push(SignedPart::Body);
    signed.extend(after);
    if stamped && !signed.contains(&SignedPart::Timestamp) {
        signed.push(match (stamp_signed, stamp) {
            (StampSigned::ByName, Stamp::Header(_)) => SignedPart::Header(field_name(STAMP_HEADER)),
            (StampSigned::ByName, Stamp::Field(_)) => SignedPart::field("t"),
            _ => SignedPart::Timestamp,
        });
    }
    let scheme = builder.signed(signed).build().expect("the description is consistent");
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

/// From the first second that every format can write to the year 9987.
fn times() -> impl Strategy<Value = Timestamp> {
    prop_oneof![1_i64..253_000_000_000, 1_700_000_000_i64..2_000_000_000].prop_map(Timestamp::from_unix)
}

fn paths() -> impl Strategy<Value = String> {
    "(/([a-z0-9._~]|%[0-9A-Fa-f]{2}|%|%[g-z]){0,8}){1,3}(\\?([a-z=&]|%[0-9A-F]{2}){0,8})?"
}

fn sign(design: &Design, keys: Keyring, path: &str, body: &[u8], now: Timestamp) -> Headers {
    let signer = Signer::new(design.scheme.clone(), keys).expect("every field is known");
    let signed = signer.sign_at(&RequestHead::new(METHOD, path, &design.own), body, now).expect("it can be signed");
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

/// `body` cut at `cuts`, empty pieces included.
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
    headers.iter_mut().find(|(other, _)| other == name).map(|(_, value)| value).expect("the header is there")
}

/// The signature's text at the end of the first signature header.
fn tag_of<'h>(design: &Design, headers: &'h mut Headers) -> &'h mut [u8] {
    let value = header(headers, "X-Signature-0");
    let size = tag_text_size(&design.scheme);
    let start = value.len().saturating_sub(size);
    value.get_mut(start..).expect("the header ends with the signature")
}

/// The size of a signature's text, as the scheme itself writes it.
fn tag_text_size(scheme: &Scheme) -> usize {
    let bare = scheme.clone().into_builder().layout(Layout::plain("")).signature_header("X-Signature");
    let bare = match bare.clone().signed([SignedPart::Body]).build() {
        Ok(bare) => bare,
        // A timestamp has to be signed, and one among fields needs a place of its own here.
        Err(_) => bare
            .timestamp_header(STAMP_HEADER, TimestampFormat::Seconds)
            .signed([SignedPart::Timestamp, SignedPart::Body])
            .build()
            .expect("the description is consistent"),
    };
    let signer = Signer::new(bare, Keyring::new(Secret::from_bytes(b"k").expect("a key"))).expect("a signer");
    let signed = signer.sign_body_at(b"", Timestamp::from_unix(1)).expect("it can be signed");
    signed.iter().find(|(name, _)| *name == "X-Signature").map(|(_, value)| value.len()).expect("a signature")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn what_is_signed_verifies_whole_and_in_any_chunks(
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
    fn any_flipped_bit_of_the_body_is_a_mismatch(
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
        let mut headers = sign(&design, keys.clone(), &path, &body, now);
        match design.stamp {
            Stamp::Field(_) => {
                let value = header(&mut headers, "X-Signature-0");
                let start = value.iter().position(|byte| *byte == b'=').unwrap_or_default().saturating_add(1);
                let length = value.iter().skip(start).take_while(|byte| !b" ,;&".contains(byte)).count();
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
        // Hex of the other letter case is the same tag. Base64 letters of the other case are other tags.
        let same_tag = original.len().is_multiple_of(40) || [64, 128].contains(&original.len());
        let same_tag = same_tag && tag.eq_ignore_ascii_case(&original);
        let verdict = verifier(&design, keys).verify_at(&RequestHead::new(METHOD, &path, &headers), &body, now);
        match verdict.map(drop).map_err(|rejection| rejection.reason()) {
            Ok(()) => prop_assert!(same_tag),
            Err(Reason::Mismatch | Reason::MalformedSignature) => prop_assert!(!same_tag),
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
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn streaming_and_whole_give_one_verdict_on_any_head(
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
        // A head without its request line is judged alike too.
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
        let other = Keyring::new(Secret::from_bytes(other).expect("hardly all white space"));
        let verdict = verifier(&design, other).verify_at(&RequestHead::new(METHOD, &path, &headers), &body, now);
        prop_assert_eq!(verdict.map(drop).map_err(|rejection| rejection.reason()), Err(Reason::Mismatch));
    }

    #[test]
    fn every_signature_header_holds_one_key_each(design in designs(), keys in keyrings(), now in times()) {
        let headers = sign(&design, keys.clone(), "/", b"", now);
        let count = headers.iter().filter(|(name, _)| name.starts_with("X-Signature-")).count();
        let expected = if design.signature_headers == 1 { 1 } else { keys.len().min(design.signature_headers) };
        prop_assert_eq!(count, expected);
    }

    #[test]
    fn any_bytes_in_a_head_are_judged_alike_and_without_a_panic(
        design in designs(),
        keys in keyrings(),
        spoiled in vec((any::<bool>(), vec(any::<u8>(), 0..100)), 9),
        signed_at in times(),
        now in prop_oneof![Just(None), any::<i64>().prop_map(Some)],
        body in bodies(),
    ) {
        let mut headers = sign(&design, keys.clone(), "/", &body, signed_at);
        for ((name, value), (_, other)) in headers.iter_mut().zip(spoiled).filter(|(_, (spoil, _))| *spoil) {
            // Behind a signature of good form, the other headers are read as well.
            if name.starts_with("X-Signature") { value.extend(other) } else { *value = other }
        }
        let verifier = verifier(&design, keys);
        let head = RequestHead::new(METHOD, "/", &headers);
        let now = now.map_or(signed_at, Timestamp::from_unix);
        let whole = verifier.verify_at(&head, &body, now).map(|verified| verified.key_id());
        prop_assert_eq!(stream(&verifier, &head, &[&body], now).map(|verified| verified.key_id()), whole);
    }

    #[test]
    fn rfc_3339_times_are_read_as_jiff_reads_them(
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
            // Only the days that a month does not have.
            Err(_) => {
                prop_assert!(day > 28, "{}", text);
                prop_assert_eq!(stamp_of(&text, Timestamp::from_unix(0)), Err(Reason::MalformedTimestamp), "{}", text);
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
                    prop_assert_eq!(stamp_of(&text, now), expected, "{} {:+}", text, skew);
                }
            }
        }
    }

    #[test]
    fn whatever_is_read_as_rfc_3339_is_so_for_jiff_too(
        text in "[0-9]{4}-[01][0-9]-[0-3][0-9][T t][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,9})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9])?",
    ) {
        if let Ok(jiff) = text.parse::<jiff::Timestamp>() {
            let floored = i64::try_from(jiff.as_nanosecond().div_euclid(1_000_000_000)).expect("within the years");
            let read = stamp_of(&text, Timestamp::from_unix(floored));
            prop_assert!([Ok(Some(floored)), Err(Reason::MalformedTimestamp)].contains(&read), "{}: {:?}", text, read);
        } else {
            prop_assert_eq!(stamp_of(&text, Timestamp::from_unix(0)), Err(Reason::MalformedTimestamp), "{}", text);
        }
    }
}

/// Where calendars go wrong, which arbitrary days hardly ever hit.
#[test]
fn last_days_of_february_are_those_of_jiff() {
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
            assert_eq!(stamp_of(&text, Timestamp::from_unix(now)), expected, "{text}");
        }
    }
}

/// The seconds that a verifier reads from `text`, in a message signed with that very text.
fn stamp_of(text: &str, now: Timestamp) -> Result<Option<i64>, Reason> {
    let builder = || Scheme::builder("stamped").signature_header("X-Signature");
    let keys = || Keyring::new(Secret::from_bytes(b"key").expect("a key"));
    // To the sender it is a header like any other.
    let signing =
        builder().signed([SignedPart::Header(field_name(STAMP_HEADER)), SignedPart::Body]).build().expect("consistent");
    let own = [(STAMP_HEADER, text)];
    let signed = Signer::new(signing, keys()).expect("a signer").sign_at(&own, b"{}", now).expect("it can be signed");
    let headers: Vec<_> = own.into_iter().chain(signed.iter()).collect();

    let judging = builder().timestamp_header(STAMP_HEADER, TimestampFormat::Rfc3339);
    let judging = judging.signed([SignedPart::Timestamp, SignedPart::Body]).build().expect("consistent");
    let verifier = Verifier::new(judging, keys()).expect("a verifier");
    let verifier =
        verifier.with_tolerance(Tolerance::new(std::time::Duration::from_secs(1)).expect("within the range"));
    let verdict = verifier.verify_at(&headers, b"{}", now);
    verdict.map(|verified| verified.timestamp().map(Timestamp::as_unix)).map_err(|rejection| rejection.reason())
}

//! Signed content fits only one message: the tests try every other split, and none verifies.

use std::collections::BTreeMap;

use hookwarden::headers::{FieldName, RequestHead};
use hookwarden::scheme::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::{Keyring, Scheme, Secret, Signer, Timestamp, Verifier};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const BASE: &str = "https://h";
const LIST: &str = "x-names";
/// Pieces of values: separators and text that resembles other parts.
const ATOMS: [&str; 9] = ["a", ".", ":", ",", "\n", ";x-b:", "1800000001", "2027-01-15T08:00:00Z", "https://h/"];
/// The maximum number of tries, enough for every template here. Each try computes an HMAC.
const MAX_TRIES: usize = 4_000;

/// The parts of a request that a scheme can sign.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    method: Vec<u8>,
    path: Vec<u8>,
    stamp: Vec<u8>,
    field: Vec<u8>,
    /// Keyed by lower-case name.
    headers: BTreeMap<String, Vec<u8>>,
    body: Vec<u8>,
}

fn keys() -> Keyring {
    Keyring::new(Secret::from_bytes(b"a-key-of-this-test").expect("a key"))
}

/// Returns the scheme with these parts, if it is valid.
fn scheme(parts: &[SignedPart], format: TimestampFormat, is_dangerous: bool) -> Option<Scheme> {
    let builder = Scheme::builder("any").signature_header("X-Sig").layout(Layout::fields(',', "v1"));
    let builder = match parts.contains(&SignedPart::Timestamp) {
        true => builder.timestamp_header("X-Time", format),
        false => builder,
    };
    let builder = builder.signed(parts.iter().cloned());
    if is_dangerous { builder.danger_ambiguous_content().build().ok() } else { builder.build().ok() }
}

/// Returns the signed content of a message by the rules in the docs of `SignedPart`.
fn content(parts: &[SignedPart], message: &Message) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    for part in parts {
        match part {
            SignedPart::Literal(text) => content.extend(text.bytes()),
            SignedPart::Timestamp => content.extend(&message.stamp),
            SignedPart::Body => content.extend(&message.body),
            SignedPart::Method => content.extend(&message.method),
            SignedPart::Path => content.extend(&message.path),
            SignedPart::Url { base, .. } => content.extend(base.bytes().chain(message.path.iter().copied())),
            SignedPart::Field(_) => content.extend(&message.field),
            SignedPart::Header(name) => content.extend(message.headers.get(&name.as_str().to_ascii_lowercase())?),
            SignedPart::ListedHeaders(listed) => {
                let list = String::from_utf8(message.headers.get(LIST)?.clone()).ok()?;
                for (place, name) in list.split(',').filter(|_| !list.is_empty()).enumerate() {
                    content.extend(listed.join.bytes().filter(|_| place > 0));
                    if listed.pair == ListedHeaderForm::NameAndValue {
                        content.extend(name.to_ascii_lowercase().bytes().chain(*b":"));
                    }
                    content.extend(message.headers.get(&name.to_ascii_lowercase())?);
                }
            }
            _ => return None,
        }
    }
    Some(content)
}

/// Returns whether the message verifies with the signature of `content`.
fn is_accepted(scheme: &Scheme, message: &Message, content: &[u8]) -> bool {
    let plain = Scheme::builder("any").signature_header("X-Sig").signed([SignedPart::Body]).build().expect("a scheme");
    let signed = Signer::new(plain, keys()).expect("a signer").sign_body_at(content, NOW).expect("a signature");
    let (_, tag) = signed.iter().next().expect("the signature");
    let signature = [b"h=", &*message.field, b",v1=", tag.as_bytes()].concat();
    let mut headers: Vec<(String, Vec<u8>)> = message.headers.clone().into_iter().collect();
    headers.push(("x-time".into(), message.stamp.clone()));
    headers.push(("x-sig".into(), signature));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII");
    let (method, path) = (text(&message.method), text(&message.path));
    let head = RequestHead::new(&method, &path, &headers);
    Verifier::new(scheme.clone(), keys()).expect("a verifier").verify_at(&head, &message.body, NOW).is_ok()
}

/// Returns all messages valid in HTTP whose `parts` have the content `rest`.
fn split(parts: &[SignedPart], rest: &[u8], message: &Message, found: &mut Vec<Message>) {
    let Some((part, parts)) = parts.split_first() else {
        if rest.is_empty() {
            found.push(message.clone());
        }
        return;
    };
    let mut go = |length: usize, change: &dyn Fn(&mut Message, Vec<u8>)| {
        let (value, rest) = rest.split_at(length);
        let mut message = message.clone();
        change(&mut message, value.to_vec());
        if found.len() < MAX_TRIES {
            split(parts, rest, &message, found);
        }
    };
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let run = |is_in: &dyn Fn(&u8) -> bool| rest.iter().take_while(|byte| is_in(byte)).count();
    match part {
        SignedPart::Literal(text) if rest.starts_with(text.as_bytes()) => go(text.len(), &|_, _| {}),
        SignedPart::Literal(_) => {}
        SignedPart::Timestamp => (0..=rest.len().min(30)).for_each(|n| go(n, &|message, value| message.stamp = value)),
        SignedPart::Body => (0..=rest.len()).for_each(|n| go(n, &|message, value| message.body = value)),
        SignedPart::Method => (1..=run(&is_token)).for_each(|n| go(n, &|message, value| message.method = value)),
        SignedPart::Path => {
            (1..=run(&u8::is_ascii_graphic)).for_each(|n| go(n, &|message, value| message.path = value));
        }
        SignedPart::Url { base, .. } if rest.starts_with(base.as_bytes()) => {
            let path = |message: &mut Message, value: Vec<u8>| message.path = value[base.len()..].to_vec();
            (base.len() + 1..=run(&u8::is_ascii_graphic)).for_each(|n| go(n, &path));
        }
        SignedPart::Field(_) => {
            let in_field = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
            (0..=run(&in_field)).for_each(|n| go(n, &|message, value| message.field = value));
        }
        SignedPart::Header(name) => {
            let name = name.as_str().to_ascii_lowercase();
            let set = |message: &mut Message, value| drop(message.headers.insert(name.clone(), value));
            (0..=run(&u8::is_ascii_graphic)).for_each(|n| go(n, &set));
        }
        SignedPart::ListedHeaders(listed) => {
            for n in 0..=rest.len() {
                for headers in lists(listed, &rest[..n], message) {
                    go(n, &|message, _| {
                        let list = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",");
                        message.headers.entry(LIST.into()).or_insert(list.into_bytes());
                        message.headers.extend(headers.iter().cloned());
                    });
                }
            }
        }
        _ => {}
    }
}

/// Returns all lists of headers whose content is `text`.
fn lists(listed: &ListedHeaders, text: &[u8], message: &Message) -> Vec<Vec<(String, Vec<u8>)>> {
    let known = message.headers.get(LIST).map(|list| String::from_utf8_lossy(list).into_owned());
    let known: Option<Vec<_>> = known.map(|list| list.split(',').map(str::to_owned).collect());
    let mut found = Vec::new();
    let mut open = vec![(Vec::<(String, Vec<u8>)>::new(), text)];
    while let Some((headers, rest)) = open.pop() {
        // The name of the next header, and the rest.
        let next = match (listed.pair, &known) {
            (ListedHeaderForm::NameAndValue, _) => {
                let colon = rest.iter().position(|byte| *byte == b':');
                colon.map(|at| (String::from_utf8_lossy(&rest[..at]).into_owned(), &rest[at + 1..]))
            }
            (_, Some(names)) => names.get(headers.len()).map(|name| (name.clone(), rest)),
            _ => None,
        };
        let Some((name, rest)) = next.filter(|(name, _)| FieldName::new(name.as_str()).is_ok()) else { continue };
        let values = (0..=rest.len()).take_while(|n| rest[..*n].iter().all(u8::is_ascii_graphic));
        for n in values {
            let more = [headers.clone(), vec![(name.clone(), rest[..n].to_vec())]].concat();
            if n == rest.len() {
                found.push(more);
            } else if let Some(rest) = rest[n..].strip_prefix(listed.join.as_bytes()).filter(|_| more.len() < 4) {
                open.push((more, rest));
            }
        }
    }
    found
}

/// Returns the messages that verify with the signature of `message`.
fn accepted(scheme: &Scheme, message: &Message) -> Vec<Message> {
    let Some(content) = content(scheme.signed(), message) else { return Vec::new() };
    let mut found = Vec::new();
    // Unsigned parts are equal in all messages.
    split(scheme.signed(), &content, &Message { headers: BTreeMap::new(), ..message.clone() }, &mut found);
    found.retain(|other| {
        self::content(scheme.signed(), other).as_ref() == Some(&content) && is_accepted(scheme, other, &content)
    });
    found.sort();
    found.dedup();
    found
}

fn header(name: &str) -> SignedPart {
    SignedPart::header(name).expect("a name")
}

fn listed(pair: ListedHeaderForm, join: &'static str, requires_itself: bool) -> SignedPart {
    SignedPart::ListedHeaders(ListedHeaders {
        names_in: NamesIn::Header(FieldName::new(LIST).expect("a name")),
        separator: ',',
        pair,
        join: join.into(),
        require: requires_itself.then(|| FieldName::new(LIST).expect("a name")).into_iter().collect(),
    })
}

fn part() -> impl Strategy<Value = SignedPart> {
    let forms = select(&[ListedHeaderForm::NameAndValue, ListedHeaderForm::Value][..]);
    prop_oneof![
        8 => select(&["\n", ".", ":", ",", "a", "\n.", "::", "a,"][..]).prop_map(SignedPart::literal),
        1 => Just(SignedPart::Timestamp),
        1 => Just(SignedPart::Method),
        1 => Just(SignedPart::Path),
        1 => Just(SignedPart::url(BASE)),
        1 => Just(SignedPart::field("h")),
        3 => select(&["x-a", "x-b", LIST][..]).prop_map(header),
        1 => (forms, select(&[";", "\n", ",", ":", ";;"][..]), any::<bool>())
            .prop_map(|(pair, join, requires_itself)| listed(pair, join, requires_itself)),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&ATOMS[..]), 0..4).prop_map(|atoms| atoms.concat().into_bytes())
}

fn messages(format: TimestampFormat) -> impl Strategy<Value = Message> {
    let stamp = match format {
        TimestampFormat::Seconds => "1800000000",
        TimestampFormat::Milliseconds => "1800000000123",
        _ => "2027-01-15T08:00:01.5Z",
    };
    let line_free = || text().prop_map(|text| text.into_iter().filter(|byte| *byte != b'\n').collect::<Vec<_>>());
    let names = select(&["", "x-a", "x-a,x-b", "x-names,x-a", "x-a,x-names,x-b"][..]);
    (line_free(), line_free(), line_free(), line_free(), names, text()).prop_map(
        move |(a, b, path, field, names, body)| Message {
            method: b"PUT".to_vec(),
            path: [b"/", &*path].concat(),
            stamp: stamp.into(),
            field: field.into_iter().filter(|byte| *byte != b',').collect(),
            headers: [("x-a".to_owned(), a), ("x-b".to_owned(), b), (LIST.to_owned(), names.into())].into(),
            body,
        },
    )
}

fn cases() -> impl Strategy<Value = (Scheme, Message)> {
    let formats = select(&[TimestampFormat::Seconds, TimestampFormat::Milliseconds, TimestampFormat::Rfc3339][..]);
    (vec(part(), 0..6), vec(part(), 0..4), formats)
        .prop_filter_map("ambiguous", |(mut parts, after, format)| {
            parts.push(SignedPart::Body);
            parts.extend(after);
            scheme(&parts, format, false).map(|scheme| (scheme, format))
        })
        .prop_flat_map(|(scheme, format)| messages(format).prop_map(move |message| (scheme.clone(), message)))
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_global_rejects: 100_000,
        max_local_rejects: 1_000_000,
        ..ProptestConfig::with_cases(2_000)
    })]

    #[test]
    fn signature_fits_no_other_split_of_its_content((scheme, message) in cases()) {
        let accepted = accepted(&scheme, &message);
        prop_assert!(accepted.len() <= 1, "{:?}\n{accepted:#?}", scheme.signed());
    }
}

#[test]
fn every_known_ambiguity_is_refused() {
    use SignedPart::{Body, Path};
    let literal = SignedPart::literal;
    let value = ListedHeaderForm::Value;
    let message = Message {
        method: b"PUT".to_vec(),
        path: b"/a".to_vec(),
        stamp: b"1800000000".to_vec(),
        field: b"a.a".to_vec(),
        headers: [
            ("x-a".to_owned(), b"a.1800000000a".to_vec()),
            ("x-b".to_owned(), b"a".to_vec()),
            (LIST.to_owned(), b"x-a,x-b".to_vec()),
        ]
        .into(),
        body: b"a1800000001.b".to_vec(),
    };
    for parts in [
        vec![Path, Body],
        vec![SignedPart::url(BASE), Body],
        vec![Body, SignedPart::url(BASE)],
        vec![header("x-a"), header("x-b"), literal("\n"), Body],
        vec![header("x-a"), SignedPart::Timestamp, Body],
        vec![SignedPart::field("h"), literal("."), Body],
        vec![header(LIST), literal("\n"), listed(value, ".", false), literal("\n"), Body],
    ] {
        assert!(scheme(&parts, TimestampFormat::Seconds, false).is_none(), "{parts:?}");
        let scheme = scheme(&parts, TimestampFormat::Seconds, true).expect("a scheme");
        let message = match parts.last() {
            Some(SignedPart::Url { .. }) => Message { path: b"/a/https://h/b".to_vec(), ..message.clone() },
            _ => message.clone(),
        };
        assert!(accepted(&scheme, &message).len() > 1, "{parts:?} can be split in one way only");
    }
}

/// Without the check of the values, `x-a: a;x-b:c` would be `x-a: a` and `x-b: c`.
#[test]
fn header_that_reads_as_two_is_refused() {
    let parts = [listed(ListedHeaderForm::NameAndValue, ";", true), SignedPart::literal("\n"), SignedPart::Body];
    let scheme = scheme(&parts, TimestampFormat::Seconds, false).expect("a scheme");
    let with = |headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let message =
            Message { method: b"PUT".to_vec(), path: b"/".to_vec(), headers: headers.collect(), ..Message::default() };
        let content = content(&parts, &message).expect("a parsed header");
        (is_accepted(&scheme, &message, &content), content)
    };
    let two = with(&[("x-a", "a"), ("x-b", "y;x-names:x-a,x-names,x-b"), (LIST, "x-a,x-b,x-names")]);
    let honest = with(&[("x-a", "a"), ("x-b", "y"), (LIST, "x-a,x-b,x-names")]);
    let merged = with(&[("x-a", "a;x-b:y"), (LIST, "x-a,x-names")]);
    assert_eq!((honest.0, two.0, merged.0), (true, false, false));
}

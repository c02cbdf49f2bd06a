//! A signature header that occurs more than once.

use hookwarden::encoding::Encoding;
use hookwarden::headers::{FieldName, Head, Occurrence, RequestHead};
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::{Key, Keyring, Reason, Scheme, Secret, Signer, Timestamp, Verifier};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const BODY: &[u8] = b"{}";

fn scheme(layout: Layout) -> Scheme {
    Scheme::builder("repeated")
        .signature_headers(["X-Sig", "X-Sig-2"])
        .layout(layout)
        .repeated_signature_headers()
        .signed([SignedPart::header("X-Id").expect("a name"), SignedPart::literal("."), SignedPart::Body])
        .build()
        .expect("a scheme")
}

fn ring(ids: &[&str]) -> Keyring {
    let key = |id: &&str| Key::new(id, Secret::from_text(id).expect("a secret")).expect("a key");
    Keyring::from_keys(ids.iter().map(key)).expect("keys")
}

type Headers = Vec<(String, String)>;

/// Returns the header that the key `id` signs.
fn signed(scheme: &Scheme, id: &str) -> (String, String) {
    let signer = Signer::new(scheme.clone(), ring(&[id])).expect("a signer");
    let signed = signer.sign_at(&[("X-Id", "1")], BODY, NOW).expect("a message");
    let (_, value) = signed.iter().next().expect("a header");
    ("X-Sig".to_owned(), value.to_owned())
}

fn verify(scheme: &Scheme, ids: &[&str], head: &(impl Head + ?Sized)) -> Result<String, Reason> {
    let verifier = Verifier::new(scheme.clone(), ring(ids)).expect("a verifier");
    let whole = verifier.verify_at(head, BODY, NOW).map_err(|rejection| rejection.reason());
    let streamed = verifier.begin_at(head, NOW).and_then(|mut verification| {
        verification.update(BODY);
        verification.finish()
    });
    let (whole, streamed) =
        (whole.map(|it| it.key_id()), streamed.map(|it| it.key_id()).map_err(|rejection| rejection.reason()));
    assert_eq!(streamed, whole);
    whole.map(|id| id.as_str().to_owned())
}

fn id() -> (String, String) {
    ("X-Id".to_owned(), "1".to_owned())
}

#[test]
fn any_value_of_a_repeated_header_may_match() {
    for layout in [Layout::plain(""), Layout::plain("sha256="), Layout::list(',', "sha256=")] {
        let scheme = scheme(layout);
        let (new, old) = (signed(&scheme, "new"), signed(&scheme, "old"));
        let lower = (new.0.to_lowercase(), new.1.clone());
        for (headers, ids, expected) in [
            (vec![id(), new.clone(), old.clone()], &["new", "old"][..], "new"),
            (vec![old.clone(), id(), lower], &["new", "old"], "new"),
            (vec![id(), new.clone(), old.clone()], &["old"], "old"),
            (vec![id(), old.clone(), old.clone()], &["old"], "old"),
            (vec![id(), ("X-Sig".into(), "nonsense".into()), new.clone()], &["new"], "new"),
            (vec![id(), ("X-Sig-2".into(), old.1.clone()), new.clone(), new.clone()], &["old"], "old"),
        ] {
            assert_eq!(verify(&scheme, ids, &headers).as_deref(), Ok(expected), "{headers:?}");
            assert_eq!(verify(&scheme, ids, &RequestHead::new("POST", "/", &headers)).as_deref(), Ok(expected));
            assert_eq!(verify(&scheme, &["other"], &headers), Err(Reason::Mismatch));
        }
    }
}

#[test]
fn other_headers_must_still_occur_once() {
    let scheme = scheme(Layout::plain("sha256="));
    let new = signed(&scheme, "new");
    assert_eq!(verify(&scheme, &["new"], &vec![id(), id(), new.clone(), new.clone()]), Err(Reason::DuplicateHeader));
    assert_eq!(verify(&scheme, &["new"], &vec![new.clone(), new.clone()]), Err(Reason::MissingHeader));
    let once = scheme.into_builder().name("once").build().expect("a scheme");
    let strict = Scheme::builder("strict").signature_header("X-Sig").layout(once.layout().clone());
    let strict = strict.signed(once.signed().to_vec()).build().expect("a scheme");
    assert_eq!(verify(&strict, &["new"], &vec![id(), new.clone(), new]), Err(Reason::DuplicateHeader));
}

#[test]
fn more_than_32_values_are_refused() {
    let scheme = scheme(Layout::plain("sha256="));
    let new = signed(&scheme, "new");
    for filler in ["sha256=00", "without a prefix"] {
        let with = |count: usize| -> Headers {
            let fillers = std::iter::repeat_n(("X-Sig".to_owned(), filler.to_owned()), count);
            fillers.chain([id(), new.clone()]).collect()
        };
        assert_eq!(verify(&scheme, &["new"], &with(31)).as_deref(), Ok("new"));
        assert_eq!(verify(&scheme, &["new"], &with(32)), Err(Reason::TooManyCandidates));
    }
    let long = vec![id(), new, ("X-Sig".to_owned(), "a".repeat(8_193))];
    assert_eq!(verify(&scheme, &["new"], &long), Err(Reason::MalformedSignature));
}

#[test]
fn scheme_sets_the_maximum_of_signatures() {
    for most in [8, 9, 32, 33, 128_u8] {
        let count = usize::from(most);
        let base = |layout| {
            Scheme::builder("many")
                .layout(layout)
                .encoding(Encoding::Base64)
                .max_signatures(most)
                .signed([SignedPart::Body])
        };
        let list = base(Layout::list(',', "v1=")).signature_header("X-Sig").build().expect("a scheme");
        let repeated = list.clone().into_builder().repeated_signature_headers().build().expect("a scheme");
        let names = (0..count).map(|n| format!("X-Sig-{n}"));
        let named = base(Layout::plain("v1=")).signature_headers(names).build().expect("a scheme");
        let value = signed(&list, "new").1;
        // In base64, so that 129 signatures fit into a header.
        let wrong = format!("v1={}=", "A".repeat(43));
        for fillers in [count - 1, count] {
            let values: Vec<_> = std::iter::repeat_n(wrong.clone(), fillers).chain([value.clone()]).collect();
            let expected = if fillers < count { Ok("new".to_owned()) } else { Err(Reason::TooManyCandidates) };
            let joined = vec![("X-Sig".to_owned(), values.join(","))];
            assert_eq!(verify(&list, &["new"], &joined), expected, "{most}, list");
            let lines: Headers = values.iter().map(|value| ("X-Sig".to_owned(), value.clone())).collect();
            assert_eq!(verify(&repeated, &["new"], &lines), expected, "{most}, repeated");
        }
        let last = vec![(format!("X-Sig-{}", count - 1), value)];
        assert_eq!(verify(&named, &["new"], &last).as_deref(), Ok("new"), "{most}");
    }
}

/// A head that reports a repeated header without its values.
struct Opaque(Headers);

impl Head for Opaque {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.0.header(name)
    }
}

#[test]
fn head_without_the_values_is_refused() {
    let scheme = scheme(Layout::plain("sha256="));
    let new = signed(&scheme, "new");
    let head = Opaque(vec![id(), new.clone(), new.clone()]);
    assert_eq!(verify(&scheme, &["new"], &head), Err(Reason::DuplicateHeader));
    assert_eq!(verify(&scheme, &["new"], &Opaque(vec![id(), new])).as_deref(), Ok("new"));
}

#[test]
fn signer_sends_a_header_for_each_key() {
    let both = scheme(Layout::plain("sha256="));
    let single = both.clone().into_builder().signature_header("X-Sig").build().expect("a scheme");
    let signer = Signer::new(single.clone(), ring(&["new", "old"])).expect("a signer");
    let signed_by_both = signer.sign_at(&[("X-Id", "1")], BODY, NOW).expect("a message");
    let headers: Headers = signed_by_both.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(headers, [signed(&single, "new"), signed(&single, "old")]);
    #[cfg(feature = "http")]
    {
        let mut map = http::HeaderMap::new();
        map.insert("X-Sig", http::HeaderValue::from_static("an older signature"));
        map.insert("X-Id", http::HeaderValue::from_static("1"));
        signed_by_both.insert_into(&mut map);
        let values: Vec<_> = map.get_all("X-Sig").iter().collect();
        assert_eq!(values, [&headers[0].1, &headers[1].1]);
        for key in ["new", "old"] {
            assert_eq!(verify(&single, &[key], &map).as_deref(), Ok(key));
        }
    }
}

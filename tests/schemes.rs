//! What a scheme tells of itself, and which schemes can be signed by.

use hookwarden::headers::FieldName;
use hookwarden::scheme::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, SignedPart, TimestampSource};
use hookwarden::time::TimestampFormat;
use hookwarden::{ConfigError, Keyring, Scheme, Secret, Signer};

fn header(name: &str) -> Option<TimestampSource> {
    Some(TimestampSource::Header(FieldName::new(name).expect("a name")))
}

#[test]
fn scheme_tells_where_its_timestamp_stands_and_how_it_is_written() {
    let rfc3339 = Scheme::timestamped().into_builder().timestamp_header("X-When", TimestampFormat::Rfc3339);
    for (scheme, source, format) in [
        (Scheme::timestamped(), header("x-webhook-timestamp"), Some(TimestampFormat::Seconds)),
        (Scheme::stripe(), Some(TimestampSource::Field("t".into())), Some(TimestampFormat::Seconds)),
        (Scheme::github(), None, None),
        (rfc3339.build().expect("a scheme"), header("X-When"), Some(TimestampFormat::Rfc3339)),
    ] {
        assert_eq!(scheme.timestamp_source(), source.as_ref(), "{}", scheme.name());
        assert_eq!(scheme.timestamp_format(), format, "{}", scheme.name());
    }
}

#[test]
fn signer_takes_only_schemes_whose_fields_it_can_fill() {
    let fields = |parts: Vec<SignedPart>| {
        let scheme = Scheme::builder("fields").signature_header("X-Signature").layout(Layout::fields(',', "v1"));
        scheme.timestamp_field("t", TimestampFormat::Seconds).signed(parts).build().expect("a scheme")
    };
    let listed = SignedPart::ListedHeaders(ListedHeaders {
        names_in: NamesIn::Field("h".into()),
        separator: ' ',
        pair: ListedHeaderForm::NameAndValue,
        join: "\n".into(),
        require: Vec::new(),
    });
    for (parts, unknown) in [
        (vec![SignedPart::field("t"), SignedPart::Body], None),
        (vec![SignedPart::Timestamp, SignedPart::field("h"), listed.clone(), SignedPart::Body], None),
        (vec![SignedPart::Timestamp, SignedPart::field("n"), SignedPart::Body], Some("n")),
        (
            vec![SignedPart::field("t"), SignedPart::field("h"), listed, SignedPart::field("n"), SignedPart::Body],
            Some("n"),
        ),
        (vec![SignedPart::field("t"), SignedPart::field("h"), SignedPart::Body], Some("h")),
    ] {
        let told = sign_by(fields(parts.clone())).err().map(|fault| fault.to_string());
        let wanted = unknown.map(|key| format!("signed.field: a signer cannot know the value of {key}"));
        assert_eq!(told, wanted, "{parts:?}");
    }
}

fn sign_by(scheme: Scheme) -> Result<Signer, ConfigError> {
    Signer::new(scheme, Keyring::new(Secret::from_bytes(b"a-key-of-this-test").expect("a key")))
}

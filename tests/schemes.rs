//! What a scheme tells of itself, and which schemes can be signed by.

use hookwarden::{
    ConfigError, FieldName, Keyring, Layout, ListedHeaders, NamesIn, Pair, Part, Scheme, Secret, Signer,
    TimestampFormat, TimestampSource,
};

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
    let fields = |parts: Vec<Part>| {
        let scheme = Scheme::builder("fields").signature_header("X-Signature").layout(Layout::fields(',', "v1"));
        scheme.timestamp_field("t", TimestampFormat::Seconds).signed(parts).build().expect("a scheme")
    };
    let listed = Part::ListedHeaders(ListedHeaders {
        names_in: NamesIn::Field("h".into()),
        separator: ' ',
        pair: Pair::NameAndValue,
        join: "\n".into(),
        require: Vec::new(),
    });
    for (parts, unknown) in [
        (vec![Part::field("t"), Part::Body], None),
        (vec![Part::Timestamp, Part::field("h"), listed.clone(), Part::Body], None),
        (vec![Part::Timestamp, Part::field("n"), Part::Body], Some("n")),
        (vec![Part::field("t"), Part::field("h"), listed, Part::field("n"), Part::Body], Some("n")),
        (vec![Part::field("t"), Part::field("h"), Part::Body], Some("h")),
    ] {
        let told = sign_by(fields(parts.clone())).err().map(|fault| fault.to_string());
        let wanted = unknown.map(|key| format!("signed.field: a signer cannot know the value of {key}"));
        assert_eq!(told, wanted, "{parts:?}");
    }
}

fn sign_by(scheme: Scheme) -> Result<Signer, ConfigError> {
    Signer::new(scheme, Keyring::new(Secret::from_bytes(b"a-key-of-this-test").expect("a key")))
}

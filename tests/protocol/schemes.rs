//! What a scheme reports about itself, and which schemes a signer supports.

use hookwarden::headers::{FieldName, NoHeaders};
use hookwarden::scheme::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, SecretFormat, SignedPart, TimestampSource};
use hookwarden::time::TimestampFormat;
use hookwarden::{ConfigError, Keyring, Reason, Scheme, Secret, Signer, Timestamp, Verifier};

fn header(name: &str) -> Option<TimestampSource> {
    Some(TimestampSource::Header(FieldName::new(name).expect("a name")))
}

#[test]
fn scheme_reports_timestamp_source_and_format() {
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
fn whsec_secret_without_padding_is_the_same_key() {
    let scheme = Scheme::standard_webhooks();
    // 16 bytes, so that the base64 ends with two padding characters.
    let (padded, unpadded) = ("whsec_AAECAwQFBgcICQoLDA0ODw==", "whsec_AAECAwQFBgcICQoLDA0ODw");
    let head = [("webhook-id", "msg_1")];
    let sign = |secret| {
        let keys = Keyring::new(scheme.secret(secret).expect("a secret"));
        let signed =
            Signer::new(scheme.clone(), keys).expect("a signer").sign_at(&head, b"{}", Timestamp::from_unix(1));
        let signed = signed.expect("a signed message");
        signed.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
    };
    assert_eq!(sign(unpadded), sign(padded));
    for text in ["whsec_AAECAwQFBgcICQoLDA0ODw=", "whsec_AAECAwQFBgcICQoLDA0ODx", "whsec_AAECAwQFBgcICQoLDA0O_w"] {
        assert_eq!(scheme.secret(text).expect_err("not canonical").field(), "secret", "{text}");
    }
    let padded_only = scheme.into_builder().secret_format(SecretFormat::Base64).build().expect("a scheme");
    assert!(padded_only.secret("AAECAwQFBgcICQoLDA0ODw").is_err());
}

#[test]
fn signer_refuses_schemes_it_cannot_fill() {
    let fields = |parts: Vec<SignedPart>| {
        let scheme = Scheme::builder("fields").signature_header("X-Signature").layout(Layout::fields(',', "v1"));
        let scheme = scheme.timestamp_field("t", TimestampFormat::Seconds).signed(parts);
        scheme.danger_ambiguous_content().build().expect("a scheme")
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
        let reported = sign_by(fields(parts.clone())).err().map(|fault| fault.to_string());
        let wanted = unknown.map(|key| format!("signed.field: must not be {key}: a signer cannot know its value"));
        assert_eq!(reported, wanted, "{parts:?}");
    }
}

fn positional(fields: &[&'static str]) -> Scheme {
    Scheme::builder("positional")
        .signature_header("X-Signature")
        .layout(Layout::positional(',', fields.to_vec()))
        .timestamp_field("timestamp", TimestampFormat::Milliseconds)
        .signed([SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body])
        .build()
        .expect("a scheme")
}

#[test]
fn positional_header_is_read_by_position() {
    const STAMP: &str = "1800000000123";
    let now = Timestamp::from_unix(1_800_000_000);
    let signer = sign_by(positional(&["timestamp"])).expect("a signer");
    let signed = signer.sign_at(&NoHeaders, b"{}", now).expect("a signed message");
    let (_, value) = signed.iter().next().expect("a header");
    let (written, _) = value.split_once(',').expect("two values");
    assert_eq!(written, "1800000000000");
    // Computed with: printf '1800000000123.{}' | openssl dgst -sha256 -hmac a-key-of-this-test
    let tag = "fc8378b6252c6e6bf89582840e2b125c59b61c40210a8ab96700f7c411d56b1d";
    let other = "ab".repeat(32);
    for (scheme, value, reason) in [
        (positional(&["timestamp"]), value.to_owned(), None),
        (positional(&["timestamp"]), format!("{STAMP},{tag}"), None),
        (positional(&["timestamp"]), format!(" {STAMP} , {other},{tag} "), None),
        (positional(&["timestamp"]), format!("{STAMP},no signature,,{tag}"), None),
        (positional(&["version", "timestamp"]), format!("2,{STAMP},{tag}"), None),
        (positional(&["timestamp"]), format!("{tag},{STAMP}"), Some(Reason::MalformedSignature)),
        (positional(&["timestamp"]), format!("{tag},{tag}"), Some(Reason::MalformedTimestamp)),
        (positional(&["timestamp"]), format!(",{tag}"), Some(Reason::MalformedTimestamp)),
        (positional(&["timestamp"]), format!("t={STAMP},{tag}"), Some(Reason::MalformedTimestamp)),
        (positional(&["timestamp"]), format!("{STAMP};{tag}"), Some(Reason::MalformedSignature)),
        (positional(&["timestamp"]), tag.to_owned(), Some(Reason::MalformedSignature)),
        (positional(&["timestamp"]), STAMP.to_owned(), Some(Reason::MalformedSignature)),
        (positional(&["timestamp"]), String::new(), Some(Reason::MalformedSignature)),
        (positional(&["timestamp"]), format!("1800000000124,{tag}"), Some(Reason::Mismatch)),
        (positional(&["timestamp"]), format!("1800000301000,{tag}"), Some(Reason::Early)),
        (positional(&["timestamp"]), format!("{STAMP},{}{tag}", "0,".repeat(32)), Some(Reason::TooManyCandidates)),
    ] {
        let verifier = Verifier::new(scheme, key()).expect("a verifier");
        let verdict = verifier.verify_at(&[("X-Signature", &value)], b"{}", now);
        assert_eq!(verdict.err().map(|rejection| rejection.reason()), reason, "{value}");
    }
}

#[test]
fn signer_refuses_a_position_it_cannot_fill() {
    let fault = sign_by(positional(&["version", "timestamp"])).expect_err("no version");
    assert_eq!(fault.to_string(), "layout.fields: must not be version: a signer cannot know its value");
}

fn key() -> Keyring {
    Keyring::new(Secret::from_bytes(b"a-key-of-this-test").expect("a key"))
}

fn sign_by(scheme: Scheme) -> Result<Signer, ConfigError> {
    Signer::new(scheme, key())
}

//! Schemes as TOML and JSON documents: what a good one means, and what is said about a bad one.
#![cfg(feature = "serde")]

use std::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::headers::{FieldName, RequestHead};
use hookwarden::scheme::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, SecretFormat, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::{Keyring, Scheme, Secret, Signer, Timestamp, Tolerance, Verifier};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

const GOOD: &str = r#"
name = "acme"
algorithm = "hmac-sha512"
signature_headers = ["Acme-Signature"]
layout = { fields = { separator = ";", signature = "v2" } }
encoding = "base64"
secret = "hex"
tolerance = 60
timestamp = { field = "at", format = "milliseconds" }
signed = [
    "method",
    { literal = " " },
    { url = { base = "https://hooks.example.com", decode = "/" } },
    { literal = "\n" },
    "path",
    { header = "Acme-Id" },
    { listed_headers = { names_in = { field = "h" }, separator = "~", pair = "name:value", join = "&", require = ["Acme-Kind"] } },
    { field = "at" },
    "timestamp",
    "body",
]
"#;

fn built() -> Scheme {
    let listed = ListedHeaders {
        names_in: NamesIn::Field("h".into()),
        separator: '~',
        pair: ListedHeaderForm::NameAndValue,
        join: "&".into(),
        require: vec![FieldName::new("Acme-Kind").expect("a token")],
    };
    Scheme::builder("acme")
        .algorithm(Algorithm::HmacSha512)
        .signature_header("Acme-Signature")
        .layout(Layout::fields(';', "v2"))
        .encoding(Encoding::Base64)
        .secret_format(SecretFormat::Hex)
        .tolerance(Tolerance::new(Duration::from_secs(60)).expect("in the range"))
        .timestamp_field("at", TimestampFormat::Milliseconds)
        .signed([
            SignedPart::Method,
            SignedPart::literal(" "),
            SignedPart::Url { base: "https://hooks.example.com".into(), decode: "/".into() },
            SignedPart::literal("\n"),
            SignedPart::Path,
            SignedPart::header("Acme-Id").expect("a token"),
            SignedPart::ListedHeaders(listed),
            SignedPart::field("at"),
            SignedPart::Timestamp,
            SignedPart::Body,
        ])
        .build()
        .expect("the description is consistent")
}

/// The headers that a sender adds under `scheme`.
fn signed(scheme: &Scheme, secret: &str) -> Vec<(String, String)> {
    let keys = Keyring::new(scheme.secret(secret).expect("of the scheme's form"));
    let own = [("Acme-Id", "7"), ("Acme-Kind", "order")];
    let head = RequestHead::new("PUT", "/a%2Fb?c", &own);
    let signer = Signer::new(scheme.clone(), keys).expect("every field is known");
    let signed = signer.sign_at(&head, b"{}", NOW).expect("it can be signed");
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.chain(signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}

#[track_caller]
fn assert_same_scheme(document: &Scheme, built: &Scheme, secret: &str) {
    // `Debug` of a scheme shows every setting.
    assert_eq!(format!("{document:?}"), format!("{built:?}"));
    let headers = signed(built, secret);
    assert_eq!(signed(document, secret), headers);
    let keys = Keyring::new(document.secret(secret).expect("of the scheme's form"));
    let verifier = Verifier::new(document.clone(), keys).expect("the secret fits the scheme");
    let head = RequestHead::new("PUT", "/a%2Fb?c", &headers);
    let edge = i64::try_from(built.tolerance().as_duration().as_secs()).expect("a day at most");
    for (skew, accepted) in [(0, true), (edge, true), (edge.saturating_add(1), !built.is_timestamped())] {
        let verdict = verifier.verify_at(&head, b"{}", Timestamp::from_unix(NOW.as_unix().saturating_add(skew)));
        assert_eq!(verdict.is_ok(), accepted, "{skew}: {verdict:?}");
    }
}

#[track_caller]
fn assert_refused(document: &str, field: &str) {
    match toml::from_str::<Scheme>(document) {
        Ok(scheme) => panic!("this was taken: {scheme:?}"),
        // The message alone, not the line of the document that is printed with it.
        Err(fault) => assert!(fault.message().contains(field), "{field}: {}", fault.message()),
    }
}

/// The good document with `line` in the place of the one that begins alike, or added.
fn with(line: &str) -> String {
    let key = line.split(['=', ' ']).next().expect("a key");
    let kept = GOOD.lines().filter(|other| !other.starts_with(&format!("{key} =")));
    std::iter::once(line).chain(kept).collect::<Vec<_>>().join("\n")
}

/// A minimal document with `signed`, and `line` before it.
fn signing(line: &str, signed: &str) -> String {
    format!("name = \"acme\"\nsignature_headers = [\"Acme-Signature\"]\n{line}\nsigned = {signed}\n")
}

#[test]
fn document_means_what_the_builder_makes() {
    let document: Scheme = toml::from_str(GOOD).unwrap();
    assert_same_scheme(&document, &built(), "00ff10");
}

#[test]
fn settings_left_out_are_those_of_the_builder() {
    let document: Scheme = toml::from_str(&signing("", r#"["body"]"#)).unwrap();
    let built = Scheme::builder("acme").signature_header("Acme-Signature").signed([SignedPart::Body]).build().unwrap();
    assert_same_scheme(&document, &built, "a-secret");
    // A layout may leave out its prefix.
    let document: Scheme = toml::from_str(&signing("layout = { plain = {} }", r#"["body"]"#)).unwrap();
    assert_same_scheme(&document, &built, "a-secret");
}

#[test]
fn json_document_means_the_same() {
    let table: toml::Table = toml::from_str(GOOD).unwrap();
    let json = serde_json::to_string(&table).unwrap();
    assert_same_scheme(&serde_json::from_str(&json).unwrap(), &built(), "00ff10");
}

#[test]
fn presets_as_documents_are_the_presets() {
    for (preset, document) in [
        (
            Scheme::timestamped(),
            r#"
            name = "timestamped"
            signature_headers = ["X-Webhook-Signature"]
            timestamp = { header = "X-Webhook-Timestamp", format = "seconds" }
            signed = ["timestamp", { literal = "." }, "body"]
            "#,
        ),
        (
            Scheme::standard_webhooks(),
            r#"
            name = "standard_webhooks"
            signature_headers = ["webhook-signature"]
            layout = { list = { separator = " ", prefix = "v1," } }
            encoding = "base64"
            secret = "whsec"
            timestamp = { header = "webhook-timestamp", format = "seconds" }
            signed = [{ header = "webhook-id" }, { literal = "." }, "timestamp", { literal = "." }, "body"]
            "#,
        ),
        (
            Scheme::stripe(),
            r#"
            name = "stripe"
            signature_headers = ["Stripe-Signature"]
            layout = { fields = { separator = ",", signature = "v1" } }
            timestamp = { field = "t", format = "seconds" }
            signed = ["timestamp", { literal = "." }, "body"]
            "#,
        ),
        (
            Scheme::github(),
            r#"
            name = "github"
            signature_headers = ["X-Hub-Signature-256"]
            layout = { plain = { prefix = "sha256=" } }
            signed = ["body"]
            "#,
        ),
        (
            Scheme::slack(),
            r#"
            name = "slack"
            signature_headers = ["X-Slack-Signature"]
            layout = { plain = { prefix = "v0=" } }
            timestamp = { header = "X-Slack-Request-Timestamp", format = "seconds" }
            signed = [{ literal = "v0:" }, "timestamp", { literal = ":" }, "body"]
            "#,
        ),
    ] {
        let document: Scheme = toml::from_str(document).unwrap();
        assert_eq!(format!("{document:?}"), format!("{preset:?}"));
    }
}

#[test]
fn unknown_field_is_refused_by_its_name() {
    for (document, field) in [
        (with("tolerence = 60"), "tolerence"),
        (with("verify = false"), "verify"),
        (with("danger = true"), "danger"),
        (with(r#"timestamp = { field = "at", format = "seconds", optional = true }"#), "optional"),
        (with(r#"layout = { fields = { separator = ";", signature = "v2", lenient = true } }"#), "lenient"),
        (with(r#"layout = { plain = { prefx = "sha256=" } }"#), "prefx"),
        (signing("", r#"["body", { url = { base = "https://a", host = "x" } }]"#), "host"),
        (
            signing(
                "",
                r#"["body", { listed_headers = { names_in = { header = "X" }, separator = ",", pair = "name:value", join = ",", optional = true } }]"#,
            ),
            "optional",
        ),
    ] {
        assert_refused(&document, field);
    }
}

#[test]
fn unknown_value_is_refused_by_its_name() {
    for (document, value) in [
        (with(r#"algorithm = "hmac-md5""#), "hmac-md5"),
        (with(r#"algorithm = "none""#), "none"),
        (with(r#"algorithm = """#), "hmac-sha256"),
        (with(r#"encoding = "base64url""#), "base64url"),
        (with(r#"secret = "none""#), "none"),
        (with(r#"timestamp = { field = "at", format = "auto" }"#), "auto"),
        (with(r#"layout = { any = { prefix = "" } }"#), "any"),
        (signing("", r#"["body", "nothing"]"#), "nothing"),
        (signing("", r#"["body", { cookie = "session" }]"#), "cookie"),
    ] {
        assert_refused(&document, value);
    }
}

#[test]
fn setting_that_is_missing_is_refused_by_its_name() {
    for field in ["name", "signature_headers", "signed"] {
        let document: toml::Table = toml::from_str(&signing("", r#"["body"]"#)).unwrap();
        let document = document.into_iter().filter(|(key, _)| key != field).collect::<toml::Table>();
        assert_refused(&document.to_string(), field);
    }
    assert_refused(&with(r#"timestamp = { field = "at" }"#), "format");
    assert_refused(&with(r#"timestamp = { format = "seconds" }"#), "timestamp");
    assert_refused(&with(r#"layout = { list = { separator = "," } }"#), "prefix");
}

#[test]
fn header_part_cannot_be_optional() {
    for part in [
        r#"{ header = "Acme-Id", required = false }"#,
        r#"{ header = "Acme-Id", optional = true }"#,
        r#"{ header = { name = "Acme-Id", required = false } }"#,
        r#"{ header = { name = "Acme-Id", optional = true } }"#,
        r#"{ optional_header = "Acme-Id" }"#,
    ] {
        let fault = toml::from_str::<Scheme>(&signing("", &format!("[{part}, \"body\"]"))).unwrap_err();
        // The printed error points at the line.
        assert!(fault.to_string().contains("signed = ["), "{fault}");
    }
}

#[test]
fn description_that_cannot_be_right_is_refused_by_its_field() {
    for (document, field) in [
        (with("tolerance = 0"), "tolerance"),
        (with("tolerance = 86401"), "tolerance"),
        (signing("tolerance = 60", r#"["body"]"#), "tolerance"),
        (with(r#"name = "a name""#), "name"),
        (with("signature_headers = []"), "signature_headers"),
        (with(r#"signature_headers = ["Acme Signature"]"#), "signature_headers"),
        (with(r#"signature_headers = ["A", "a"]"#), "signature_headers"),
        (with(r#"layout = { fields = { separator = "=", signature = "v2" } }"#), "layout.separator"),
        (with(r#"layout = { fields = { separator = "a", signature = "v2" } }"#), "layout.separator"),
        (with(r#"layout = { list = { separator = "+", prefix = "v1," } }"#), "layout.separator"),
        (with(r#"layout = { list = { separator = ",", prefix = "v1," } }"#), "layout.prefix"),
        (with(r#"layout = { fields = { separator = ";", signature = "" } }"#), "layout.signature"),
        (with(r#"timestamp = { header = "A", field = "at", format = "seconds" }"#), "timestamp"),
        (with(r#"timestamp = { header = "A B", format = "seconds" }"#), "timestamp.header"),
        (with(r#"timestamp = { header = "acme-signature", format = "seconds" }"#), "timestamp.header"),
        (signing("", r#"["timestamp", "body"]"#), "signed.timestamp"),
        (signing("", "[]"), "signed"),
        (signing("", r#"[{ literal = "." }]"#), "signed"),
        (signing("", r#"["body", "body"]"#), "signed"),
        (signing("", r#"["body", { header = "Acme Id" }]"#), "header name"),
        (signing("", r#"["body", { header = "Acme-Signature" }]"#), "signed.header"),
        (signing("", r#"["body", { field = "t" }]"#), "signed.field"),
        (signing("", r#"["body", { url = { base = "hooks.example.com" } }]"#), "signed.url.base"),
        (signing(r#"timestamp = { header = "Acme-At", format = "seconds" }"#, r#"["body"]"#), "timestamp"),
        (
            signing(
                "",
                r#"["body", { listed_headers = { names_in = { header = "X" }, separator = "a", pair = "name:value", join = "," } }]"#,
            ),
            "signed.listed_headers.separator",
        ),
        (
            signing(
                "",
                r#"["body", { listed_headers = { names_in = { header = "X" }, separator = ",", pair = "value", join = "," } }]"#,
            ),
            "signed.listed_headers.names_in",
        ),
        (
            signing(
                "",
                r#"["body", { listed_headers = { names_in = { header = "acme-signature" }, separator = ",", pair = "name:value", join = "," } }]"#,
            ),
            "signed.listed_headers.names_in",
        ),
        (
            signing(
                r#"timestamp = { header = "Acme-At", format = "seconds" }"#,
                r#"["timestamp", "body", { listed_headers = { names_in = { header = "acme-at" }, separator = ",", pair = "name:value", join = "," } }]"#,
            ),
            "signed.listed_headers.names_in",
        ),
    ] {
        assert_refused(&document, &format!("{field}: "));
    }
}

#[test]
fn secret_of_a_document_is_a_form_and_never_a_secret() {
    assert_refused(&with(r#"secret = "00ff10""#), "literal");
    assert!(Secret::from_text("00ff10").is_ok());
}

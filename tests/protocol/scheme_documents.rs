//! Schemes as TOML and JSON documents: the meaning of valid ones and the errors of invalid ones.

use std::time::Duration;

use hookwarden::crypto::{Algorithm, HashAlgorithm};
use hookwarden::encoding::Encoding;
use hookwarden::headers::{FieldName, RequestHead};
use hookwarden::scheme::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, SecretFormat, SignedPart};
use hookwarden::time::TimestampFormat;
use hookwarden::{Keyring, Reason, Scheme, Secret, Signer, Timestamp, Tolerance, Verifier};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

const GOOD: &str = r#"
name = "acme"
algorithm = "hmac-sha512"
signature_headers = ["Acme-Signature"]
layout = { fields = { separator = ";", signature = "v2" } }
encoding = "base64"
secret = "hex"
tolerance = 60
danger_ambiguous_content = true
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
        .danger_ambiguous_content()
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

/// Returns the headers that a signer adds under `scheme`.
fn signed(scheme: &Scheme, secret: &str) -> Vec<(String, String)> {
    let keys = Keyring::new(scheme.secret(secret).expect("of the scheme's form"));
    let own = [("Acme-Id", "7"), ("Acme-Kind", "order")];
    let head = RequestHead::new("PUT", "/a%2Fb?c", &own);
    let signer = Signer::new(scheme.clone(), keys).expect("every field is known");
    let signed = signer.sign_at(&head, b"{}", NOW).expect("a signable message");
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
    let beyond = if built.is_timestamped() { Err(Reason::Stale) } else { Ok(()) };
    for (skew, expected) in [(0, Ok(())), (edge, Ok(())), (edge.saturating_add(1), beyond)] {
        let verdict = verifier.verify_at(&head, b"{}", Timestamp::from_unix(NOW.as_unix().saturating_add(skew)));
        assert_eq!(verdict.map(drop).map_err(|rejection| rejection.reason()), expected, "{skew}");
    }
}

#[track_caller]
fn assert_refused(document: &str, field: &str) {
    match toml::from_str::<Scheme>(document) {
        Ok(scheme) => panic!("this was accepted: {scheme:?}"),
        // Search only the message, not the line of the document that the error prints.
        Err(fault) => assert!(fault.message().contains(field), "{field}: {}", fault.message()),
    }
}

/// Returns the valid document with `line` instead of the line with the same key, or added.
fn with(line: &str) -> String {
    let key = line.split(['=', ' ']).next().expect("a key");
    let kept = GOOD.lines().filter(|other| !other.starts_with(&format!("{key} =")));
    std::iter::once(line).chain(kept).collect::<Vec<_>>().join("\n")
}

/// Returns a minimal document with `signed` and, before it, `line`.
fn signing(line: &str, signed: &str) -> String {
    format!("name = \"acme\"\nsignature_headers = [\"Acme-Signature\"]\n{line}\nsigned = {signed}\n")
}

#[test]
fn document_equals_the_builder() {
    let document: Scheme = toml::from_str(GOOD).unwrap();
    assert_same_scheme(&document, &built(), "00ff10");
}

#[test]
fn omitted_settings_have_builder_defaults() {
    let document: Scheme = toml::from_str(&signing("", r#"["body"]"#)).unwrap();
    let built = Scheme::builder("acme").signature_header("Acme-Signature").signed([SignedPart::Body]).build().unwrap();
    assert_same_scheme(&document, &built, "a-secret");
    // A layout's prefix is optional.
    let document: Scheme = toml::from_str(&signing("layout = { plain = {} }", r#"["body"]"#)).unwrap();
    assert_same_scheme(&document, &built, "a-secret");
}

#[test]
fn encoding_is_read_by_its_name() {
    for (name, encoding) in [
        ("hex", Encoding::Hex),
        ("base64", Encoding::Base64),
        ("base64url", Encoding::Base64Url),
        ("base64url_unpadded", Encoding::Base64UrlUnpadded),
    ] {
        let document: Scheme = toml::from_str(&signing(&format!("encoding = {name:?}"), r#"["body"]"#)).unwrap();
        assert_eq!(document.encoding(), encoding);
    }
}

#[test]
fn maximum_of_signatures_is_read() {
    let document: Scheme = toml::from_str(&signing("max_signatures = 100", r#"["body"]"#)).unwrap();
    assert_eq!(document.max_signatures(), 100);
    let document: Scheme = toml::from_str(&signing("", r#"["body"]"#)).unwrap();
    assert_eq!(document.max_signatures(), 32);
    for line in ["max_signatures = 7", "max_signatures = 129"] {
        assert_refused(&signing(line, r#"["body"]"#), "max_signatures: ");
    }
    assert_refused(&signing("max_signatures = 256", r#"["body"]"#), "256");
}

#[test]
fn repeated_signature_header_is_read() {
    let document: Scheme = toml::from_str(&signing("repeated_signature_headers = true", r#"["body"]"#)).unwrap();
    assert!(document.repeats_signature_headers());
    let document: Scheme = toml::from_str(&signing("repeated_signature_headers = false", r#"["body"]"#)).unwrap();
    assert!(!document.repeats_signature_headers());
    let layout = r#"layout = { fields = { separator = ",", signature = "v1" } }"#;
    let both = format!("repeated_signature_headers = true\n{layout}");
    assert_refused(&signing(&both, r#"["body"]"#), "repeated_signature_headers: ");
}

#[test]
fn groups_of_fields_are_read() {
    let line = |layout: &str| format!("timestamp = {{ field = \"t\", format = \"seconds\" }}\nlayout = {{ {layout} }}");
    let groups = r#"field_groups = { group_separator = " ", separator = ",", signature = "v1" }"#;
    let document: Scheme = toml::from_str(&signing(&line(groups), r#"["timestamp", "body"]"#)).unwrap();
    assert_eq!(*document.layout(), Layout::field_groups(' ', ',', "v1"));
    for (layout, field) in [
        (r#"field_groups = { separator = ",", signature = "v1" }"#, "group_separator"),
        (r#"field_groups = { group_separator = ",", separator = ",", signature = "v1" }"#, "layout.group_separator: "),
        (r#"field_groups = { group_separator = " ", separator = ",", signature = "v1", strict = false }"#, "strict"),
    ] {
        assert_refused(&signing(&line(layout), r#"["timestamp", "body"]"#), field);
    }
}

#[test]
fn digest_of_the_body_is_read() {
    for (hash, algorithm) in [("sha256", HashAlgorithm::Sha256), ("sha512", HashAlgorithm::Sha512)] {
        let signed = format!("[{{ body_digest = {{ hash = {hash:?}, encoding = \"base64\" }} }}]");
        let document: Scheme = toml::from_str(&signing("", &signed)).unwrap();
        assert_eq!(document.signed(), [SignedPart::body_digest(algorithm, Encoding::Base64)]);
    }
    for (part, field) in [
        (r#"{ body_digest = { hash = "md5", encoding = "hex" } }"#, "md5"),
        (r#"{ body_digest = { hash = "sha256", encoding = "raw" } }"#, "raw"),
        (r#"{ body_digest = { hash = "sha256" } }"#, "encoding"),
        (r#"{ body_digest = { encoding = "hex" } }"#, "hash"),
        (r#"{ body_digest = { hash = "sha256", encoding = "hex", upper = true } }"#, "upper"),
        (r#""body", { body_digest = { hash = "sha256", encoding = "hex" } }"#, "signed: "),
    ] {
        assert_refused(&signing("", &format!("[{part}]")), field);
    }
}

#[test]
fn timestamp_format_is_read_by_its_name() {
    for (name, format) in [
        ("seconds", TimestampFormat::Seconds),
        ("milliseconds", TimestampFormat::Milliseconds),
        ("rfc3339", TimestampFormat::Rfc3339),
        ("http_date", TimestampFormat::HttpDate),
    ] {
        let line = format!("timestamp = {{ header = \"Acme-Date\", format = {name:?} }}");
        let document: Scheme = toml::from_str(&signing(&line, r#"["timestamp", "body"]"#)).unwrap();
        assert_eq!(document.timestamp_format(), Some(format));
    }
}

#[test]
fn json_document_equals_toml() {
    let table: toml::Table = toml::from_str(GOOD).unwrap();
    let json = serde_json::to_string(&table).unwrap();
    assert_same_scheme(&serde_json::from_str(&json).unwrap(), &built(), "00ff10");
}

#[test]
fn preset_documents_equal_the_presets() {
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
            delivery_id = { header = "webhook-id" }
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
            delivery_id = { body = "/id" }
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
            delivery_id = { body = "/event_id" }
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
        (with(r#"encoding = "base64-url""#), "base64-url"),
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
fn missing_setting_is_refused_by_name() {
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
fn impossible_description_is_refused_by_field() {
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
        (signing("", r#"["body", { header = "Acme Id" }]"#), "header"),
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
fn ambiguous_document_needs_a_danger_setting() {
    let fields = r#"layout = { fields = { separator = ",", signature = "v1" } }"#;
    for (line, parts) in [
        ("", r#"["path", "body"]"#),
        ("", r#"[{ url = { base = "https://a.example" } }, "body"]"#),
        ("", r#"[{ header = "A" }, { header = "B" }, { literal = "." }, "body"]"#),
        (fields, r#"[{ field = "h" }, { literal = "." }, "body"]"#),
        (
            "",
            r#"[{ listed_headers = { names_in = { header = "X" }, separator = ",", pair = "name:value", join = ";" } }, { literal = "\n" }, "body"]"#,
        ),
    ] {
        assert_refused(&signing(line, parts), "signed: must");
        assert_refused(&signing(&format!("{line}\ndanger_ambiguous_content = false"), parts), "signed: must");
        let accepted = signing(&format!("{line}\ndanger_ambiguous_content = true"), parts);
        assert!(toml::from_str::<Scheme>(&accepted).unwrap().has_ambiguous_content(), "{parts}");
    }
}

#[test]
fn document_states_secret_format_and_no_secret() {
    assert_refused(&with(r#"secret = "00ff10""#), "literal");
    Secret::from_text("00ff10").expect("the text is a valid secret");
}

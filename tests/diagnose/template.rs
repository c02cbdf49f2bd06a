//! Faults of the signed content.

use hookwarden::Scheme;
use hookwarden::crypto::HashAlgorithm;
use hookwarden::diagnose::CauseKind;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::time::TimestampFormat;

use crate::sender::{
    Headers, SECRET, STAMP, assert_causes, assert_proven, base64, hash, headers, hex, request, sha256, signed_message,
    stamped,
};

const BODY: &[u8] = br#"{"event":"user.created"}"#;

fn text(parts: &[&str]) -> Vec<u8> {
    let body = core::str::from_utf8(BODY).unwrap();
    parts.concat().replace("BODY", body).into_bytes()
}

#[test]
fn other_template_is_named() {
    use CauseKind::*;
    for (parts, kinds) in [
        (&["BODY"][..], &[TemplateBodyAlone][..]),
        (&[STAMP, "BODY"], &[TemplateSeparator]),
        (&[STAMP, ":", "BODY"], &[TemplateSeparator]),
        (&[STAMP, "\n", "BODY"], &[TemplateSeparator]),
        (&[STAMP, "|", "BODY"], &[TemplateSeparator]),
        (&["BODY", ".", STAMP], &[TemplateOrder]),
        (&["BODY", STAMP], &[TemplateOrder, TemplateSeparator]),
        (&["BODY", "\n", STAMP], &[TemplateOrder, TemplateSeparator]),
        (&["v0:", STAMP, ":", "BODY"], &[TemplatePartExtra]),
    ] {
        let diagnosis = assert_causes(&signed_message(&text(parts)), BODY, kinds);
        for cause in diagnosis.causes().iter().filter(|cause| cause.fix().contains("as the scheme says")) {
            assert!(cause.fix().ends_with("timestamp \".\" body"), "{diagnosis}");
        }
    }
}

#[test]
fn standard_webhooks_template_without_id_is_named() {
    use CauseKind::*;
    let key = b"canary-key-of-standard-webhooks";
    let secret = format!("whsec_{}", base64(key));
    for (parts, kinds) in [
        (&[STAMP, ".", "BODY"][..], &[TemplatePartMissing][..]),
        (&["msg_1", ".", "BODY"], &[TemplatePartMissing]),
        (&["BODY"], &[TemplateBodyAlone]),
        (&[STAMP, ".", "msg_1", ".", "BODY"], &[TemplateOrder]),
        (&["msg_1", STAMP, "BODY"], &[TemplateSeparator]),
        (&[STAMP, "BODY"], &[TemplatePartMissing, TemplateSeparator]),
    ] {
        let head = headers(&[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", STAMP),
            ("webhook-signature", &format!("v1,{}", base64(&sha256(key, &text(parts))))),
        ]);
        assert_proven(&Scheme::standard_webhooks(), &secret, &head, BODY, kinds);
    }
}

#[test]
fn body_and_its_digest_are_distinguished() {
    let digest = |algorithm| hash(algorithm, BODY);
    let (short, long) = (digest(&ring::digest::SHA256), digest(&ring::digest::SHA512));
    let signed = |text: &str| signed_message(&[STAMP.as_bytes(), b".", text.as_bytes()].concat());
    for text in [hex(&short), hex(&short).to_uppercase(), base64(&short), hex(&long), base64(&long)] {
        let diagnosis = assert_causes(&signed(&text), BODY, &[CauseKind::TemplateBodyDigest]);
        assert!(diagnosis.causes()[0].what().contains("the scheme signs the body itself"), "{diagnosis}");
    }
    let part = SignedPart::body_digest(HashAlgorithm::Sha256, Encoding::Hex);
    let parts = [SignedPart::Timestamp, SignedPart::literal("."), part];
    let scheme = Scheme::timestamped().into_builder().signed(parts).build().unwrap();
    let whole = core::str::from_utf8(BODY).unwrap().to_owned();
    for text in [whole, hex(&short).to_uppercase(), base64(&short), hex(&long)] {
        assert_proven(&scheme, SECRET, &signed(&text), BODY, &[CauseKind::TemplateBodyDigest]);
    }
    // The other faults are found behind the digest.
    let tag = signed_message(&[STAMP.as_bytes(), b":", hex(&short).as_bytes()].concat());
    assert_proven(&scheme, SECRET, &tag, BODY, &[CauseKind::TemplateSeparator]);
    let received = [BODY, b"\n"].concat();
    assert_proven(&scheme, SECRET, &signed(&hex(&short)), &received, &[CauseKind::BodyNewlineAdded]);
}

#[test]
fn omitted_literal_is_named() {
    let tag = hex(&sha256(SECRET.as_bytes(), &text(&[STAMP, ":", "BODY"])));
    let head = headers(&[("X-Slack-Request-Timestamp", STAMP), ("X-Slack-Signature", &format!("v0={tag}"))]);
    // Without the version, the content equals one with a colon between all parts.
    let diagnosis = assert_proven(&Scheme::slack(), SECRET, &head, BODY, &[CauseKind::TemplateSeparator]);
    assert!(diagnosis.causes()[0].what().contains("a colon"), "{diagnosis}");
    let tag = hex(&sha256(SECRET.as_bytes(), &text(&["v0:", STAMP, "BODY"])));
    let head = headers(&[("X-Slack-Request-Timestamp", STAMP), ("X-Slack-Signature", &format!("v0={tag}"))]);
    assert_proven(&Scheme::slack(), SECRET, &head, BODY, &[CauseKind::TemplateLiteral]);
}

#[test]
fn timestamp_unknown_to_the_scheme_is_named() {
    let tag = hex(&sha256(SECRET.as_bytes(), &text(&[STAMP, ".", "BODY"])));
    let head = headers(&[("X-Hub-Signature-256", &format!("sha256={tag}")), ("X-Hub-Timestamp", STAMP)]);
    let diagnosis = assert_proven(&Scheme::github(), SECRET, &head, BODY, &[CauseKind::TemplatePartExtra]);
    assert!(diagnosis.causes()[0].what().contains("X-Hub-Timestamp"), "{diagnosis}");
}

#[test]
fn timestamp_before_signature_is_named_with_place() {
    let milliseconds = "1800000000123";
    let bare = |layout| Scheme::builder("acme").signature_header("X-Sig").layout(layout).signed([SignedPart::Body]);
    for (layout, stamp, separator) in
        [(Layout::list(',', ""), milliseconds, ","), (Layout::plain(""), STAMP, "."), (Layout::plain(""), STAMP, ",")]
    {
        let scheme = bare(layout.clone()).build().unwrap();
        let tag = hex(&sha256(SECRET.as_bytes(), &text(&[stamp, ".", "BODY"])));
        let head = headers(&[("X-Sig", &format!("{stamp}{separator}{tag}"))]);
        let kinds = match layout {
            Layout::Plain { .. } => &[CauseKind::TemplatePartExtra, CauseKind::SignatureQuoted][..],
            _ => &[CauseKind::TemplatePartExtra],
        };
        let diagnosis = assert_proven(&scheme, SECRET, &head, BODY, kinds);
        let cause = &diagnosis.causes()[0];
        assert!(cause.what().contains("the timestamp in X-Sig"), "{diagnosis}");
        assert!(cause.fix().contains("Layout::positional"), "{diagnosis}");
    }
    // After the layout is corrected, the sender's other faults are found as usual.
    let scheme = bare(Layout::positional('.', ["timestamp"]))
        .timestamp_field("timestamp", TimestampFormat::Seconds)
        .signed([SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body])
        .build()
        .unwrap();
    for (parts, kind) in [
        (&["BODY"][..], CauseKind::TemplateBodyAlone),
        (&[STAMP, ":", "BODY"], CauseKind::TemplateSeparator),
        (&[STAMP, ".", "BODY", "\n"], CauseKind::BodyNewlineLost),
    ] {
        let tag = hex(&sha256(SECRET.as_bytes(), &text(parts)));
        let head = headers(&[("X-Sig", &format!("{STAMP}.{tag}"))]);
        assert_proven(&scheme, SECRET, &head, BODY, &[kind]);
    }
}

#[test]
fn timestamp_signed_in_another_form_is_named() {
    for stamp in [
        "1800000000000",
        "1800000000417",
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:00+00:00",
        "2027-01-15T08:00:00",
        "2027-01-15 08:00:00",
        "Fri, 15 Jan 2027 08:00:00 GMT",
    ] {
        assert_causes(&signed_message(&text(&[stamp, ".", "BODY"])), BODY, &[CauseKind::TimestampSignedForm]);
    }
    for (format, sent) in
        [(TimestampFormat::Milliseconds, "1800000000250"), (TimestampFormat::Rfc3339, "2027-01-15T08:00:00Z")]
    {
        let scheme = Scheme::timestamped().into_builder().timestamp_format(format).build().unwrap();
        let tag = hex(&sha256(SECRET.as_bytes(), &text(&[STAMP, ".", "BODY"])));
        assert_proven(&scheme, SECRET, &stamped(sent, &tag), BODY, &[CauseKind::TimestampSignedForm]);
    }
}

fn with_parts(parts: impl IntoIterator<Item = SignedPart>) -> Scheme {
    Scheme::builder("acme").signature_header("Acme-Signature").signed(parts).danger_ambiguous_content().build().unwrap()
}

fn acme(message: &[u8], more: &[(&str, &str)]) -> Headers {
    let tag = hex(&sha256(SECRET.as_bytes(), message));
    headers(&[&[("Acme-Signature", tag.as_str())], more].concat())
}

#[test]
fn other_method_or_path_is_named() {
    use CauseKind::*;
    let scheme = with_parts([
        SignedPart::Method,
        SignedPart::literal("\n"),
        SignedPart::Path,
        SignedPart::literal("\n"),
        SignedPart::Body,
    ]);
    for (method, path, more, kind) in [
        ("PUT", "/hooks?id=7", &[][..], MethodDiffers),
        ("post", "/hooks?id=7", &[], MethodDiffers),
        ("POST", "/hooks", &[], UrlQuery),
        ("POST", "/hooks/?id=7", &[], UrlTrailingSlash),
        ("POST", "/api/hooks?id=7", &[("X-Forwarded-Prefix", "/api")], UrlForm),
        ("POST", "/v1/original", &[("X-Original-URI", "/v1/original")], UrlForm),
        ("POST", "https://hooks.example.com/hooks?id=7", &[("Host", "hooks.example.com")], UrlForm),
    ] {
        let head = acme(&text(&[method, "\n", path, "\n", "BODY"]), more);
        assert_proven(&scheme, SECRET, &request("POST", "/hooks?id=7", &head), BODY, &[kind]);
    }
}

#[test]
fn other_url_is_named() {
    use CauseKind::*;
    let scheme = with_parts([SignedPart::url("https://hooks.example.com"), SignedPart::Body]);
    let proxied = [("Host", "10.0.0.7:8080"), ("X-Forwarded-Host", "public.example.org")];
    for (url, kinds) in [
        ("http://hooks.example.com/a%20b?id=7", &[UrlScheme][..]),
        ("https://public.example.org/a%20b?id=7", &[UrlHost]),
        ("http://10.0.0.7:8080/a%20b?id=7", &[UrlHost]),
        ("https://hooks.example.com:443/a%20b?id=7", &[UrlHost]),
        ("https://hooks.example.com/a%20b", &[UrlQuery]),
        ("https://hooks.example.com/a%20b/?id=7", &[UrlTrailingSlash]),
        ("https://hooks.example.com/a b?id=7", &[UrlForm]),
        ("/a%20b?id=7", &[UrlForm]),
        ("hooks.example.com/a%20b?id=7", &[UrlForm]),
        ("http://hooks.example.com/a%20b", &[UrlScheme, UrlQuery]),
    ] {
        let head = acme(&text(&[url, "BODY"]), &proxied);
        assert_proven(&scheme, SECRET, &request("POST", "/a%20b?id=7", &head), BODY, kinds);
    }
}

#[test]
fn header_signed_with_another_value_is_named() {
    let scheme = with_parts([SignedPart::header("Acme-Event").unwrap(), SignedPart::literal("."), SignedPart::Body]);
    for signed in ["user_created", "USER_CREATED"] {
        let head = acme(&text(&[signed, ".", "BODY"]), &[("Acme-Event", "User_Created")]);
        let diagnosis = assert_proven(&scheme, SECRET, &head, BODY, &[CauseKind::HeaderValueDiffers]);
        assert_eq!(diagnosis.causes()[0].header(), Some("Acme-Event"));
    }
}

/// Without its value, nothing about the other parts differs.
#[test]
fn missing_signed_header_is_the_only_difference() {
    use CauseKind::{HeaderMissing, TemplatePartMissing};
    let header = |name| SignedPart::header(name).unwrap();
    let dot = || SignedPart::literal(".");
    let url = SignedPart::url("https://hooks.example.com");
    let parts = [header("Acme-Event"), dot(), header("Acme-Id"), dot(), url, dot(), SignedPart::Body];
    let scheme = with_parts(parts);
    let message = text(&["created..https://hooks.example.com/a.", "BODY"]);
    let head = acme(&message, &[("Acme-Event", "created"), ("Host", "hooks.example.com")]);
    let kinds = [HeaderMissing, TemplatePartMissing];
    let diagnosis = assert_proven(&scheme, SECRET, &request("POST", "/a", &head), BODY, &kinds);
    // The template is printed with the header that the request lacks.
    let fix = diagnosis.causes()[1].fix();
    assert!(fix.ends_with("Acme-Event \".\" Acme-Id \".\" URL \".\" body"), "{diagnosis}");
}

//! Faults of the signature's form and algorithm.

use hookwarden::diagnose::{Capture, Cause, CauseKind};
use hookwarden::encoding::Encoding;
use hookwarden::scheme::Layout;
use hookwarden::{Scheme, Timestamp};
use ring::{digest, hmac};

use crate::sender::{
    NOW, SECRET, STAMP, assert_causes, assert_kinds, assert_proven, base64, hash, headers, hex, mac, sha256, stamped,
};

const BODY: &[u8] = br#"{"event":"user.created"}"#;

fn message() -> Vec<u8> {
    [STAMP.as_bytes(), b".", BODY].concat()
}

fn right() -> Vec<u8> {
    sha256(SECRET.as_bytes(), &message())
}

#[test]
fn signature_in_another_encoding_is_named() {
    let tag = right();
    let url = base64(&tag).replace('+', "-").replace('/', "_");
    let percent = base64(&tag).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    for text in [base64(&tag), url, base64(hex(&tag).as_bytes()), format!("0x{}", hex(&tag)), percent] {
        let diagnosis = assert_causes(&stamped(STAMP, &text), BODY, &[CauseKind::SignatureEncoding]);
        assert_eq!(diagnosis.causes()[0].header(), Some("X-Webhook-Signature"));
    }
    let scheme = Scheme::timestamped().into_builder().encoding(Encoding::Base64).build().unwrap();
    let unpadded = base64(&tag).trim_end_matches('=').to_owned();
    // The last of 43 characters has two unused bits.
    let last = char::from(unpadded.as_bytes()[42]);
    let next = char::from_u32(u32::from(last) + 1).unwrap();
    let loose = format!("{}{next}=", &unpadded[..42]);
    for text in [hex(&tag), unpadded, loose] {
        assert_proven(&scheme, SECRET, &stamped(STAMP, &text), BODY, &[CauseKind::SignatureEncoding]);
    }
}

#[test]
fn base64_in_another_alphabet_or_padding_is_named() {
    let padded = base64(&right());
    let url = padded.replace('+', "-").replace('/', "_");
    assert!(padded.contains(['+', '/']), "the alphabets differ in {padded}");
    let (unpadded, bare) = (url.trim_end_matches('='), padded.trim_end_matches('='));
    for (encoding, texts) in [
        (Encoding::Base64, [&*url, unpadded, bare]),
        (Encoding::Base64Url, [&*padded, unpadded, bare]),
        (Encoding::Base64UrlUnpadded, [&*padded, &*url, bare]),
    ] {
        let scheme = Scheme::timestamped().into_builder().encoding(encoding).build().unwrap();
        for text in texts {
            assert_proven(&scheme, SECRET, &stamped(STAMP, text), BODY, &[CauseKind::SignatureEncoding]);
        }
    }
    let scheme = Scheme::timestamped().into_builder().encoding(Encoding::Base64).build().unwrap();
    let diagnosis = assert_proven(&scheme, SECRET, &stamped(STAMP, unpadded), BODY, &[CauseKind::SignatureEncoding]);
    assert!(diagnosis.causes()[0].fix().contains("Encoding::Base64UrlUnpadded"), "{diagnosis}");
    // 24 of the 32 bytes, in a text without characters in which the alphabets differ.
    let (body, tag) = (0..)
        .map(|number: u32| {
            let body = number.to_string();
            let tag = base64(&sha256(SECRET.as_bytes(), format!("{STAMP}.{body}").as_bytes()));
            (body, tag)
        })
        .find(|(_, tag)| !tag.contains(['+', '/']))
        .unwrap();
    for encoding in [Encoding::Base64Url, Encoding::Base64UrlUnpadded] {
        let scheme = Scheme::timestamped().into_builder().encoding(encoding).build().unwrap();
        let head = stamped(STAMP, &tag[..32]);
        assert_proven(&scheme, SECRET, &head, body.as_bytes(), &[CauseKind::SignatureTruncated]);
    }
}

#[test]
fn signature_behind_another_prefix_is_named() {
    use CauseKind::*;
    let tag = hex(&right());
    let prefixed = |prefix| Scheme::timestamped().into_builder().layout(Layout::plain(prefix)).build().unwrap();
    for prefix in ["sha256=", "v0=", "v1,", "SHA256=", "HMAC "] {
        let head = stamped(STAMP, &format!("{prefix}{tag}"));
        let diagnosis = assert_causes(&head, BODY, &[SignaturePrefixExtra]);
        assert!(diagnosis.causes()[0].what().contains(prefix), "{diagnosis}");
    }
    assert_proven(&prefixed("sha256="), SECRET, &stamped(STAMP, &tag), BODY, &[SignaturePrefixMissing]);
    let head = stamped(STAMP, &format!("sha1={tag}"));
    assert_proven(&prefixed("sha256="), SECRET, &head, BODY, &[SignaturePrefixDiffers]);
    for quoted in [format!("\"{tag}\""), format!(" {tag}"), format!("{tag} t=7"), format!("t=1;{tag}")] {
        assert_causes(&stamped(STAMP, &quoted), BODY, &[SignatureQuoted]);
    }
    let teams = Scheme::builder("teams").signature_header("Authorization").layout(Layout::plain("HMAC "));
    let teams = teams.signed([hookwarden::scheme::SignedPart::Body]).build().unwrap();
    let tag = hex(&sha256(SECRET.as_bytes(), BODY));
    for (value, kind) in [
        (tag.clone(), SignaturePrefixMissing),
        (format!("Bearer {tag}"), SignaturePrefixDiffers),
        (format!("hmac {tag}"), SignaturePrefixDiffers),
    ] {
        assert_proven(&teams, SECRET, &headers(&[("Authorization", &value)]), BODY, &[kind]);
    }
    let tag = hex(&right());
    let github = headers(&[("X-Hub-Signature-256", &hex(&sha256(SECRET.as_bytes(), BODY)))]);
    assert_proven(&Scheme::github(), SECRET, &github, BODY, &[SignaturePrefixMissing]);
    let stripe = headers(&[("Stripe-Signature", &format!("t={STAMP},v2={tag}"))]);
    assert_proven(&Scheme::stripe(), SECRET, &stripe, BODY, &[SignaturePrefixDiffers]);
    // An unknown prefix is untrusted text and is not quoted.
    let diagnosis = assert_causes(&stamped(STAMP, &format!("zz9={tag}")), BODY, &[SignaturePrefixExtra]);
    assert!(diagnosis.causes()[0].what().contains("4 other bytes before it"), "{diagnosis}");
}

#[test]
fn fault_in_one_of_two_groups_is_named() {
    let scheme = Scheme::timestamped().into_builder().layout(Layout::field_groups(' ', ',', "v1"));
    let scheme = scheme.timestamp_field("t", hookwarden::time::TimestampFormat::Seconds).build().unwrap();
    let earlier = (NOW.as_unix() - 9).to_string();
    let stale = (NOW.as_unix() - 5_000).to_string();
    let tag = |stamp: &str, body: &[u8]| hex(&sha256(SECRET.as_bytes(), &[stamp.as_bytes(), b".", body].concat()));
    let other = format!("t={STAMP},v1={}", "00".repeat(32));
    for (value, kind) in [
        (format!("{other} t={earlier},v1={}", tag(&earlier, &[BODY, b"\n"].concat())), CauseKind::BodyNewlineLost),
        (format!("t={earlier},v1={} {other}", base64(&const_hex(&tag(&earlier, BODY)))), CauseKind::SignatureEncoding),
        (format!("t={stale},v1=00 t={earlier},v1={}", tag(&earlier, BODY)), CauseKind::TimestampStale),
        (format!("v1=00 t={earlier},v1={}", tag(&earlier, BODY)), CauseKind::FieldMissing),
        (format!("t=1,v1=00 t=2 t=3,v1={}", tag("3", BODY)), CauseKind::SignatureCount),
    ] {
        let head = headers(&[("X-Webhook-Signature", &value)]);
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_eq!(diagnosis.causes()[0].kind(), kind, "{value}: {diagnosis}");
        assert_eq!(diagnosis.fitting_secret(), Some(0), "{value}: {diagnosis}");
    }
}

fn const_hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn signature_with_two_faults_names_both() {
    let text = format!("sha256={}", base64(&right()));
    let kinds = [CauseKind::SignaturePrefixExtra, CauseKind::SignatureEncoding];
    assert_causes(&stamped(STAMP, &text), BODY, &kinds);
}

#[test]
fn truncated_signature_is_named() {
    let tag = hex(&right());
    for length in [63, 62, 40, 16] {
        let diagnosis = assert_causes(&stamped(STAMP, &tag[..length]), BODY, &[CauseKind::SignatureTruncated]);
        assert!(diagnosis.causes()[0].what().contains(&format!("{} of its 32", length / 2)), "{diagnosis}");
    }
    let scheme = Scheme::timestamped().into_builder().encoding(Encoding::Base64).build().unwrap();
    let text = base64(&right());
    let diagnosis =
        assert_proven(&scheme, SECRET, &stamped(STAMP, &text[..32]), BODY, &[CauseKind::SignatureTruncated]);
    assert!(diagnosis.causes()[0].what().contains("24 of its 32"), "{diagnosis}");
    // Fewer bytes could match by chance.
    let head = stamped(STAMP, &tag[..14]);
    let scheme = Scheme::timestamped();
    let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::SignatureMalformed, CauseKind::Unexplained]);
}

#[test]
fn other_algorithm_is_named() {
    use CauseKind::*;
    let (key, message) = (SECRET.as_bytes(), message());
    let keyed = [key, &message].concat();
    let behind = [&message, key].concat();
    for (tag, kind, name) in [
        (mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key, &message), AlgorithmDiffers, "HMAC-SHA-1"),
        (mac(hmac::HMAC_SHA384, key, &message), AlgorithmDiffers, "HMAC-SHA-384"),
        (mac(hmac::HMAC_SHA512, key, &message), AlgorithmDiffers, "HMAC-SHA-512"),
        (hash(&digest::SHA256, &keyed), AlgorithmNotHmac, "SHA-256 of the secret followed"),
        (hash(&digest::SHA256, &behind), AlgorithmNotHmac, "SHA-256 of the signed content followed"),
        (hash(&digest::SHA256, &message), AlgorithmNotHmac, "without any secret"),
        (hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, &keyed), AlgorithmNotHmac, "SHA-1"),
        (hash(&digest::SHA512, &behind), AlgorithmNotHmac, "SHA-512"),
        (sha256(&message, key), AlgorithmSwapped, "wrong order"),
    ] {
        let diagnosis = assert_causes(&stamped(STAMP, &hex(&tag)), BODY, &[kind]);
        assert!(diagnosis.causes()[0].what().contains(name), "{name}: {diagnosis}");
    }
    let body_and_secret = hash(&digest::SHA256, &[BODY, key].concat());
    let kinds = [TemplateBodyAlone, AlgorithmNotHmac];
    assert_causes(&stamped(STAMP, &hex(&body_and_secret)), BODY, &kinds);
}

#[test]
fn secret_sent_as_signature_is_not_shown() {
    let scheme = Scheme::timestamped();
    for value in [SECRET.to_owned(), format!("Bearer {SECRET}")] {
        let head = stamped(STAMP, &value);
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_eq!(diagnosis.causes()[0].kind(), CauseKind::SignatureIsSecret, "{diagnosis}");
        crate::sender::assert_hidden(&diagnosis, SECRET, &[right()]);
    }
}

#[test]
fn signature_in_overlong_header_is_named() {
    let head = headers(&[("Stripe-Signature", &format!("t={STAMP},v1={},x={}", hex(&right()), "y".repeat(8_192)))]);
    let diagnosis = assert_proven(&Scheme::stripe(), SECRET, &head, BODY, &[CauseKind::SignatureMalformed]);
    assert!(diagnosis.causes()[0].what().contains("8192 bytes"), "{diagnosis}");
    // The long header is also named if there is another fault.
    let later = Timestamp::from_unix(NOW.as_unix() + 301);
    let diagnosis = Capture::new(&Scheme::stripe(), SECRET, &head, BODY).diagnose_at(later);
    assert_kinds(&diagnosis, &[CauseKind::TimestampStale, CauseKind::SignatureMalformed]);
    assert!(diagnosis.causes().iter().all(Cause::is_proven), "{diagnosis}");
}

#[test]
fn text_instead_of_signature_is_named() {
    let scheme = Scheme::timestamped();
    for value in ["", "null", "undefined", "deadbeef"] {
        let head = stamped(STAMP, value);
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[CauseKind::SignatureMalformed]);
    }
}

#[test]
fn plus_that_became_a_space_is_named() {
    let scheme = Scheme::timestamped().into_builder().encoding(Encoding::Base64).build().unwrap();
    let body = |number: u32| format!("{{\"id\":{number}}}").into_bytes();
    let tag = |body: &[u8]| base64(&sha256(SECRET.as_bytes(), &[STAMP.as_bytes(), b".", body].concat()));
    let body = (0..).map(body).find(|body| tag(body).matches('+').count() > 1).unwrap();
    let head = stamped(STAMP, &tag(&body).replace('+', " "));
    let diagnosis = assert_proven(&scheme, SECRET, &head, &body, &[CauseKind::SignatureEncoding]);
    assert!(diagnosis.causes()[0].what().contains("became a space"), "{diagnosis}");
}

#[test]
fn first_plus_that_became_a_space_is_named() {
    let base64_of = Scheme::timestamped().into_builder().encoding(Encoding::Base64);
    let bare = base64_of.clone().build().unwrap();
    let prefixed = base64_of.clone().layout(Layout::plain("sha256=")).build().unwrap();
    let fields = base64_of.clone().layout(Layout::fields(',', "v1")).build().unwrap();
    let list = base64_of.layout(Layout::list(' ', "v1,")).build().unwrap();
    let body = |number: u32| format!("{{\"id\":{number}}}").into_bytes();
    let tag = |body: &[u8]| base64(&sha256(SECRET.as_bytes(), &[STAMP.as_bytes(), b".", body].concat()));
    let is_first = |tag: &str| tag.starts_with('+') && !tag[1..].contains('+');
    let body = (0..).map(body).find(|body| is_first(&tag(body))).unwrap();
    let rest = tag(&body)[1..].to_owned();
    let other = base64(&[7; 32]);
    for (scheme, value) in [
        (&bare, rest.clone()),
        (&prefixed, format!("sha256= {rest}")),
        (&fields, format!("v1={other},v1= {rest}")),
        (&list, format!("v1, {rest}")),
        (&list, format!("v1,{other} v1, {rest}")),
        (&list, format!("v1, {} v1, {rest}", &other[1..])),
    ] {
        let diagnosis = assert_proven(scheme, SECRET, &stamped(STAMP, &value), &body, &[CauseKind::SignatureEncoding]);
        assert!(diagnosis.causes()[0].what().contains("became a space"), "{diagnosis}");
    }
}

/// A prefix that differs in each delivery must not become a setting.
#[test]
fn changing_text_is_not_suggested_as_prefix() {
    let tag = hex(&right());
    for (value, words) in [
        (format!("t={STAMP},v1={tag}"), "several values"),
        (format!("msg_2b7f:{tag}"), "in two deliveries"),
        (format!("keyId=acme;sig={tag}"), "several values"),
    ] {
        let diagnosis = assert_causes(&stamped(STAMP, &value), BODY, &[CauseKind::SignaturePrefixExtra]);
        assert!(diagnosis.causes()[0].fix().contains(words), "{diagnosis}");
        assert!(!diagnosis.to_string().contains("set a layout with"), "{diagnosis}");
    }
    // The start of the header may be a setting.
    let diagnosis = assert_causes(&stamped(STAMP, &format!("v0={tag}")), BODY, &[CauseKind::SignaturePrefixExtra]);
    assert!(diagnosis.causes()[0].fix().contains("set a layout with the prefix \"v0=\""), "{diagnosis}");
}

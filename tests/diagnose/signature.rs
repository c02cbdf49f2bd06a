//! Faults in how the signature is written and with what it is made.

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
    // The last letter of 43 carries two bits that stand for nothing.
    let last = char::from(unpadded.as_bytes()[42]);
    let next = char::from_u32(u32::from(last) + 1).unwrap();
    let loose = format!("{}{next}=", &unpadded[..42]);
    for text in [hex(&tag), unpadded, loose] {
        assert_proven(&scheme, SECRET, &stamped(STAMP, &text), BODY, &[CauseKind::SignatureEncoding]);
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
    let github = headers(&[("X-Hub-Signature-256", &hex(&sha256(SECRET.as_bytes(), BODY)))]);
    assert_proven(&Scheme::github(), SECRET, &github, BODY, &[SignaturePrefixMissing]);
    let stripe = headers(&[("Stripe-Signature", &format!("t={STAMP},v2={tag}"))]);
    assert_proven(&Scheme::stripe(), SECRET, &stripe, BODY, &[SignaturePrefixDiffers]);
    // A prefix that nobody is known to write is a stranger's text and not quoted.
    let diagnosis = assert_causes(&stamped(STAMP, &format!("zz9={tag}")), BODY, &[SignaturePrefixExtra]);
    assert!(diagnosis.causes()[0].what().contains("a prefix of 4 bytes"), "{diagnosis}");
}

#[test]
fn signature_with_two_slips_names_both() {
    let text = format!("sha256={}", base64(&right()));
    let kinds = [CauseKind::SignaturePrefixExtra, CauseKind::SignatureEncoding];
    assert_causes(&stamped(STAMP, &text), BODY, &kinds);
}

#[test]
fn signature_cut_off_is_named() {
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
    // Fewer bytes than these may fit by chance.
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
        (hash(&digest::SHA256, &behind), AlgorithmNotHmac, "SHA-256 of what is signed followed"),
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
fn secret_in_place_of_a_signature_is_named_and_not_shown() {
    let scheme = Scheme::timestamped();
    for value in [SECRET.to_owned(), format!("Bearer {SECRET}")] {
        let head = stamped(STAMP, &value);
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_eq!(diagnosis.causes()[0].kind(), CauseKind::SignatureIsSecret, "{diagnosis}");
        crate::sender::assert_hidden(&diagnosis, SECRET, &[right()]);
    }
}

#[test]
fn signature_in_a_header_too_long_to_be_read_is_named() {
    let head = headers(&[("Stripe-Signature", &format!("t={STAMP},v1={},x={}", hex(&right()), "y".repeat(8_192)))]);
    let diagnosis = assert_proven(&Scheme::stripe(), SECRET, &head, BODY, &[CauseKind::SignatureMalformed]);
    assert!(diagnosis.causes()[0].what().contains("8192 bytes"), "{diagnosis}");
    // With another fault beside it, it still has to be put right.
    let later = Timestamp::from_unix(NOW.as_unix() + 301);
    let diagnosis = Capture::new(&Scheme::stripe(), SECRET, &head, BODY).diagnose_at(later);
    assert_kinds(&diagnosis, &[CauseKind::TimestampStale, CauseKind::SignatureMalformed]);
    assert!(diagnosis.causes().iter().all(Cause::is_proven), "{diagnosis}");
}

#[test]
fn signature_that_is_none_is_named() {
    let scheme = Scheme::timestamped();
    for value in ["", "null", "undefined", "deadbeef"] {
        let head = stamped(STAMP, value);
        let diagnosis = Capture::new(&scheme, SECRET, &head, BODY).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[CauseKind::SignatureMalformed]);
    }
}

//! A sender based on `ring`, with its own hex and base64, and assertions on the diagnosis of its requests.

use hookwarden::diagnose::{Capture, CauseKind, Diagnosis};
use hookwarden::headers::{Head, RequestHead};
use hookwarden::{Scheme, Timestamp};
use ring::{digest, hmac};

pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
pub(crate) const STAMP: &str = "1800000000";
pub(crate) const SECRET: &str = "canary-secret-7f3a9d";

pub(crate) type Headers = Vec<(String, Vec<u8>)>;

pub(crate) fn sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    mac(hmac::HMAC_SHA256, key, message)
}

pub(crate) fn mac(algorithm: hmac::Algorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
}

pub(crate) fn hash(algorithm: &'static digest::Algorithm, message: &[u8]) -> Vec<u8> {
    digest::digest(algorithm, message).as_ref().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let letter = LETTERS[usize::try_from(word >> (18 - 6 * place) & 63).unwrap()];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

pub(crate) fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

/// Returns a head of the default scheme with `signature` as given.
pub(crate) fn stamped(stamp: &str, signature: &str) -> Headers {
    headers(&[("X-Webhook-Timestamp", stamp), ("X-Webhook-Signature", signature)])
}

/// Returns a head of the default scheme whose sender signed `signed`.
pub(crate) fn signed_body(signed: &[u8]) -> Headers {
    signed_message(&[STAMP.as_bytes(), b".", signed].concat())
}

/// Returns the head and the body of a message.
pub(crate) fn signed_message(message: &[u8]) -> Headers {
    stamped(STAMP, &hex(&sha256(SECRET.as_bytes(), message)))
}

/// Diagnoses a request of the default scheme, and asserts these causes in this order, all proven.
#[track_caller]
pub(crate) fn assert_causes(head: &Headers, body: &[u8], kinds: &[CauseKind]) -> Diagnosis {
    assert_proven(&Scheme::timestamped(), SECRET, head, body, kinds)
}

#[track_caller]
pub(crate) fn assert_proven<H: Head>(
    scheme: &Scheme,
    secret: &str,
    head: &H,
    body: &[u8],
    kinds: &[CauseKind],
) -> Diagnosis {
    let diagnosis = Capture::new(scheme, secret, head, body).diagnose_at(NOW);
    assert_kinds(&diagnosis, kinds);
    assert!(diagnosis.causes().iter().all(|cause| cause.is_proven()), "{diagnosis}");
    assert_eq!(diagnosis.fitting_secret(), Some(0));
    assert_hidden(&diagnosis, secret, &[sha256(secret.as_bytes(), &[STAMP.as_bytes(), b".", body].concat())]);
    diagnosis
}

#[track_caller]
pub(crate) fn assert_kinds(diagnosis: &Diagnosis, kinds: &[CauseKind]) {
    let found: Vec<CauseKind> = diagnosis.causes().iter().map(|cause| cause.kind()).collect();
    assert_eq!(found, kinds, "{diagnosis}");
    assert_eq!(diagnosis.holds(), kinds.is_empty(), "{diagnosis}");
    for cause in diagnosis.causes() {
        for text in [cause.what(), cause.fix()] {
            assert!(!text.is_empty() && !text.ends_with('.') && !text.contains(['\n', '\r']), "{text:?}");
        }
    }
}

/// Asserts that no output of a diagnosis contains the secret or one of `macs`.
#[track_caller]
pub(crate) fn assert_hidden(diagnosis: &Diagnosis, secret: &str, macs: &[Vec<u8>]) {
    let mut hidden = vec![secret.to_owned(), secret.trim().to_owned()];
    hidden.extend([secret, secret.trim()].map(|text| hex(text.as_bytes())));
    hidden.extend([secret, secret.trim()].map(|text| base64(text.as_bytes()).trim_end_matches('=').to_owned()));
    hidden.extend(secret.strip_prefix("whsec_").map(str::to_owned));
    hidden.extend(macs.iter().flat_map(|mac| [hex(mac), base64(mac)]));
    let shown = shown(diagnosis);
    for text in hidden.iter().filter(|text| text.len() > 5) {
        assert!(!shown.to_lowercase().contains(&text.to_lowercase()), "{text:?} in {shown}");
    }
}

/// Returns all output of a diagnosis.
pub(crate) fn shown(diagnosis: &Diagnosis) -> String {
    let causes = diagnosis.causes().iter();
    let fields: String = causes
        .map(|cause| format!("{cause} {cause:?} {} {} {:?}", cause.what(), cause.fix(), cause.header()))
        .collect();
    format!("{diagnosis} {diagnosis:?} {fields} {:?}", diagnosis.verdict())
}

pub(crate) fn request<'h>(method: &'h str, path: &'h str, headers: &'h Headers) -> RequestHead<'h, Headers> {
    RequestHead::new(method, path, headers)
}

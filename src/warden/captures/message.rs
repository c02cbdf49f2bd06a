//! A captured request as text: request line, headers, an empty line, body.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::event::RefusalReason;
use crate::headers::{CAPTURE_NOTE, FieldName, Head, Occurrence, is_token_byte};
use crate::time::Timestamp;

/// What a capture has of the body.
pub(crate) enum BodyState<'b> {
    Complete(Cow<'b, [u8]>),
    NotRead,
    Incomplete,
    LeftOut,
}

/// Writes a request in at most `max` bytes, without its body if that is necessary. Returns `None` if the head alone is
/// larger. `redacted` has the scheme's signature headers if secret-like headers are redacted.
pub(super) fn write<H: Head + ?Sized>(
    head: &H,
    reason: RefusalReason,
    time: Timestamp,
    body: BodyState<'_>,
    redacted: Option<&[FieldName]>,
    max: usize,
) -> Option<Vec<u8>> {
    let lines = header_lines(head, redacted, matches!(body, BodyState::Complete(_)));
    let first = |state: &str| first_lines(head, reason, time, state, redacted.is_some());
    let (first, body) = match body {
        BodyState::Complete(body) => {
            let complete = first("complete");
            let size = complete.len().saturating_add(lines.len()).saturating_add(body.len());
            if size <= max { (complete, body) } else { (first("left-out"), Cow::default()) }
        }
        BodyState::NotRead => (first("not-read"), Cow::default()),
        BodyState::Incomplete => (first("incomplete"), Cow::default()),
        BodyState::LeftOut => (first("left-out"), Cow::default()),
    };
    let message = [first.as_bytes(), &lines, &body].concat();
    (message.len() <= max).then_some(message)
}

fn first_lines<H: Head + ?Sized>(
    head: &H,
    reason: RefusalReason,
    time: Timestamp,
    body: &str,
    redacts: bool,
) -> String {
    let mut first = String::new();
    // A head without a request line is a list of headers.
    let method = head.method().filter(|method| is_token(method)).unwrap_or("POST");
    first.push_str(method);
    first.push(' ');
    let path = head.path().filter(|path| !path.is_empty()).unwrap_or("/");
    for character in path.chars() {
        if character.is_ascii_control() || character == ' ' {
            let _ = write!(first, "%{:02X}", u32::from(character));
        } else {
            first.push(character);
        }
    }
    let note = if redacts { "; redacted" } else { "" };
    let _ =
        write!(first, " HTTP/1.1\r\n{CAPTURE_NOTE}: reason={reason}; time={}; body={body}{note}\r\n", time.as_unix());
    first
}

/// Returns the lines of the headers and the empty line. The body is joined, so a complete one is not chunked any more.
fn header_lines<H: Head + ?Sized>(head: &H, redacted: Option<&[FieldName]>, is_complete: bool) -> Vec<u8> {
    let mut lines = authority_line(head, redacted.is_some()).into_bytes();
    head.for_each_header(&mut |name, value| {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if !is_token(name) || is(CAPTURE_NOTE) || (is_complete && is("transfer-encoding")) {
            return;
        }
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b": ");
        if redacted.is_some_and(|signatures| is_secret(name, signatures)) {
            lines.extend_from_slice(b"[redacted]");
        } else {
            // A server refuses control characters; another head must not add lines.
            let is_control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
            lines.extend(value.iter().map(|byte| if is_control(*byte) { b' ' } else { *byte }));
        }
        lines.extend_from_slice(b"\r\n");
    });
    lines.extend_from_slice(b"\r\n");
    lines
}

/// Returns a line `Host` for the authority of the request target, which has no other place in a request of HTTP/1. Empty if
/// there is none or `Host` has the same text. Otherwise the capture has both, and is refused for two hosts. The request itself
/// can be valid, if the two are forms of one host such as `a.example:443` and `a.example`: which port is the default depends
/// on the scheme of the URL, which a head does not have.
fn authority_line<H: Head + ?Sized>(head: &H, redacts: bool) -> String {
    let is_host = |authority: &&str| match head.header(&FieldName::preset("host")) {
        Occurrence::Once(host) => host.eq_ignore_ascii_case(authority.as_bytes()),
        Occurrence::Absent | Occurrence::Repeated => false,
    };
    let Some(authority) = head.authority().filter(|authority| !is_host(authority)) else { return String::new() };
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) if redacts => format!("[redacted]@{host}"),
        _ => authority.to_owned(),
    };
    format!("host: {}\r\n", authority.replace(char::is_control, " "))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_secret(name: &str, signatures: &[FieldName]) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
        // Trello signs in `X-Trello-Webhook`. Names such as `Webhook-Timestamp` are not secret.
        || name.ends_with("webhook")
        || signatures.iter().any(|signature| name.eq_ignore_ascii_case(signature.as_str()))
}

/// The words in the names of secret-like headers.
const SECRET_WORDS: &[&str] = &[
    "auth",
    "cookie",
    "token",
    "secret",
    "key",
    "pass",
    "sig",
    "mac",
    "jwt",
    "assertion",
    "oidc",
    "session",
    "credential",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Reason;
    use crate::headers::RequestHead;

    const MISMATCH: RefusalReason = RefusalReason::Unverified(Reason::Mismatch);

    fn written<H: Head>(head: &H, body: BodyState<'_>, redacted: Option<&[FieldName]>, max: usize) -> Option<String> {
        let message = write(head, MISMATCH, Timestamp::from_unix(1_800_000_000), body, redacted, max)?;
        Some(message.iter().map(|byte| char::from(*byte)).collect())
    }

    #[test]
    fn head_that_no_server_passes_adds_no_line() {
        let headers = [("X-One", "1\r\nX-Two: 2"), ("X Three", "3"), ("hookwarden-capture", "body=complete")];
        let head = RequestHead::new("PO ST", "/a b\r\nX-Four: 4", &headers);
        let expected = "POST /a%20b%0D%0AX-Four:%204 HTTP/1.1\r\n\
                        Hookwarden-Capture: reason=mismatch; time=1800000000; body=not-read\r\n\
                        X-One: 1  X-Two: 2\r\n\r\n";
        assert_eq!(written(&head, BodyState::NotRead, None, 1_000).as_deref(), Some(expected));
    }

    #[test]
    fn authority_of_the_target_is_a_host_line() {
        let lines = |host: Option<&str>, authority: &str, redacted: Option<&[FieldName]>| {
            let headers: Vec<_> = host.map(|host| ("Host", host)).into_iter().collect();
            let head = RequestHead::new("POST", "/", &headers).with_authority(authority);
            let text = written(&head, BodyState::NotRead, redacted, 1_000).unwrap();
            let lines = text.lines().filter_map(|line| line.get(..6).filter(|name| *name != "Hookwa").and(Some(line)));
            lines.skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(None, "example.com:8443", None), ["host: example.com:8443"]);
        assert_eq!(lines(Some("example.com"), "Example.com", None), ["Host: example.com"]);
        assert_eq!(lines(Some("one"), "two", None), ["host: two", "Host: one"]);
        assert_eq!(lines(None, "one\r\nX-Two: 2", None), ["host: one  X-Two: 2"]);
        assert_eq!(lines(None, "user:password@one", None), ["host: user:password@one"]);
        assert_eq!(lines(None, "user:password@one", Some(&[])), ["host: [redacted]@one"]);
    }

    #[test]
    fn body_over_the_limit_is_left_out() {
        let headers = [("X-One", "1"), ("Transfer-Encoding", "chunked")];
        let head = RequestHead::new("POST", "/", &headers);
        let complete = |max| written(&head, BodyState::Complete(Cow::Borrowed(&[b'b'; 500])), None, max);
        let whole = complete(1_000).unwrap();
        assert!(whole.contains("body=complete\r\nX-One: 1\r\n\r\nbbb"), "{whole}");
        assert_eq!(complete(whole.len()).unwrap(), whole);
        let without = complete(whole.len().saturating_sub(1)).unwrap();
        assert!(without.ends_with("body=left-out\r\nX-One: 1\r\n\r\n"), "{without}");
        assert_eq!(complete(without.len().saturating_sub(1)), None);
    }

    /// Whether the value of a header is redacted that is not configured as a signature header.
    fn is_redacted(name: &str) -> bool {
        let headers = [(name, "of-the-tests")];
        let text = written(&RequestHead::new("POST", "/", &headers), BodyState::NotRead, Some(&[]), 1_000).unwrap();
        !text.contains("of-the-tests")
    }

    #[cfg(feature = "providers")]
    #[test]
    fn signature_headers_of_all_providers_are_redacted() {
        for provider in crate::providers::Provider::all() {
            for name in provider.scheme().unwrap().signature_headers() {
                assert!(is_redacted(name.as_str()), "{name:?}");
            }
        }
    }

    #[test]
    fn names_of_no_secret_are_kept() {
        for name in ["Webhook-Timestamp", "X-Webhook-Timestamp", "webhook-id", "Content-Type", "Host", "X-GitHub-Event"]
        {
            assert!(!is_redacted(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn redacted_message_contains_no_secret_header(
            name in prop::sample::select(SECRET_NAMES),
            (before, after) in ("[a-z-]{0,4}", "[a-z-]{0,4}"),
            secret in "[!-~]{12,40}",
            upper: bool,
        ) {
            let name = format!("x{before}{name}{after}");
            let name = if upper { name.to_uppercase() } else { name };
            let headers = [(name.as_str(), secret.as_str()), ("X-One", "1"), ("x-hub-proof", secret.as_str())];
            let signatures = [FieldName::new("X-Hub-Proof").unwrap()];
            let body = BodyState::Complete(Cow::Borrowed(b"{}"));
            let text = written(&RequestHead::new("POST", "/", &headers), body, Some(&signatures), 1_000).unwrap();
            prop_assert!(!text.contains(&secret), "{text}");
            prop_assert!(text.contains("body=complete; redacted\r\n") && text.contains("X-One: 1\r\n"));
            prop_assert_eq!(text.matches("[redacted]").count(), 2);
        }
    }

    /// Names of headers as providers and proxies use them.
    const SECRET_NAMES: &[&str] = &[
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Gitlab-Token",
        "X-Hook-Secret",
        "X-Api-Key",
        "X-Acme-Password",
        "X-Passphrase",
        "X-Acme-Sig",
        "X-Hub-Signature-256",
        "X-Acme-Hmac-Sha256",
        "X-Airtable-Content-MAC",
        "X-Amzn-Oidc-Data",
        "X-Goog-Iap-Jwt-Assertion",
        "X-Session-Id",
        "X-Client-Credential",
    ];
}

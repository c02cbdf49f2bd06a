//! Captures of refused requests over real sockets: what was sent is captured, and a diagnosis names the cause.

use hookwarden::diagnose::{Capture, CauseKind, Diagnosis};
use hookwarden::headers::RequestHead;
use hookwarden::warden::{BodyLimits, Captures};
use hookwarden::{Scheme, Timestamp};

use crate::harness::captured::{Captured, Scratch};
use crate::harness::receiver::Server;
use crate::harness::sender::{SECRET, signer};
use crate::harness::site::{Exchange, NOW, Site, later, signed};

const SIGNATURE: &str = "x-webhook-signature";
const TIMESTAMP: &str = "x-webhook-timestamp";

/// Sends a request to each server, and passes on the exchange and the file that its event names.
async fn each(name: &str, bytes: &[u8], captures: fn(Captures) -> Captures, check: impl Fn(&Exchange, &Captured)) {
    for &adapter in Server::ALL {
        let scratch = Scratch::new(&format!("{name}-{adapter:?}"));
        let settings = captures(Captures::in_directory(&scratch.0, 100));
        let mut site =
            Site::start(adapter, |warden| warden.captures(settings).body(BodyLimits::new().max_bytes(4_000))).await;
        let exchange = site.send(bytes).await;
        let file = exchange.event.capture.as_deref().unwrap_or_else(|| panic!("{adapter:?}: no capture"));
        check(&exchange, &Captured::read(&scratch.0.join(file)));
        site.end().await;
    }
}

fn diagnose(captured: &Captured, now: Timestamp) -> Diagnosis {
    let note = [("Hookwarden-Capture".to_owned(), captured.note.clone().into_bytes())];
    let headers: Vec<_> = note.into_iter().chain(captured.headers.iter().cloned()).collect();
    let head = RequestHead::new(&captured.method, &captured.path, &headers);
    Capture::new(&Scheme::timestamped(), SECRET, &head, &captured.body).with_headers(headers.clone()).diagnose_at(now)
}

fn kinds(diagnosis: &Diagnosis) -> Vec<CauseKind> {
    diagnosis.causes().iter().map(|cause| cause.kind()).collect()
}

#[tokio::test]
async fn captured_mismatch_is_diagnosed_on_every_adapter() {
    let sent = signed(r#"{"event":"paid"}"#, 0).carrying(r#"{"event": "paid"}"#);
    for bytes in [sent.sized(), sent.chunked(1, ""), sent.chunked(5, "X-Trailer: 1\r\n")] {
        each(
            "mismatch",
            &bytes,
            |captures| captures,
            |exchange, captured| {
                assert_eq!(exchange.answer.as_ref().map(|answer| answer.status), Some(401));
                assert_eq!(captured.note, "reason=mismatch; time=1800000000; body=complete");
                assert_eq!((captured.path.as_str(), captured.body.as_slice()), ("/webhooks/acme", &sent.body[..]));
                let diagnosis = diagnose(captured, NOW);
                assert_eq!(kinds(&diagnosis), [CauseKind::BodyJsonRewritten]);
                assert!(diagnosis.causes().iter().all(|cause| cause.is_proven()), "{diagnosis}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn odd_request_is_captured_as_sent() {
    let sent = signed("x", 0)
        .carrying([b'y'; 3_000])
        .to("/webhooks/ac%6De?a=%20b&%ff=%2F")
        .with("X-Odd", [b'a', 0xff, 0x80, b' ', b'"', b'\t', b'z'])
        .with("X-Twice", "one")
        .with("X-Twice", "two, three");
    each(
        "odd",
        &sent.chunked(700, ""),
        |captures| captures,
        |_, captured| {
            assert_eq!((captured.method.as_str(), captured.path.as_str()), ("POST", sent.path.as_str()));
            assert_eq!(captured.values("x-odd"), [[b'a', 0xff, 0x80, b' ', b'"', b'\t', b'z']]);
            assert_eq!(captured.values("x-twice"), [&b"one"[..], b"two, three"]);
            assert_eq!(captured.values(SIGNATURE), [sent.value(SIGNATURE)]);
            assert_eq!(captured.values("host"), [b"localhost"]);
            assert!(captured.values("transfer-encoding").is_empty(), "the body is joined");
            assert_eq!(captured.body, sent.body);
        },
    )
    .await;
}

#[tokio::test]
async fn unknown_id_is_captured_like_a_mismatch() {
    let sent = signed(vec![b'x'; 3_000], 0).to("/webhooks/other");
    for bytes in [sent.sized(), sent.chunked(400, "")] {
        each(
            "unknown",
            &bytes,
            |captures| captures,
            |_, captured| {
                assert_eq!(captured.note, "reason=unknown_id; time=1800000000; body=complete");
                assert_eq!(captured.body, sent.body);
            },
        )
        .await;
    }
}

#[tokio::test]
async fn body_over_the_capture_limit_is_left_out() {
    for path in ["/webhooks/acme", "/webhooks/other"] {
        let sent = signed("x", 0).carrying([b'y'; 3_000]).to(path);
        each(
            "large",
            &sent.chunked(400, ""),
            |captures| captures.max_request_bytes(1_024),
            |_, captured| {
                assert!(captured.note.ends_with("; body=left-out"), "{}", captured.note);
                assert!(captured.body.is_empty());
                assert_eq!(kinds(&diagnose(captured, NOW)), [CauseKind::CaptureIncomplete]);
            },
        )
        .await;
    }
}

#[tokio::test]
async fn unread_body_is_never_diagnosed_as_empty() {
    let stale = signed("x", -301);
    let no_timestamp = signed("x", 0).without(TIMESTAMP);
    let too_large = signed([b'x'; 5_000], 0);
    let incomplete = CauseKind::CaptureIncomplete;
    for (bytes, note, now, causes) in [
        (
            stale.sized(),
            "reason=stale; time=1800000000; body=not-read",
            NOW,
            vec![CauseKind::TimestampStale, incomplete],
        ),
        (stale.sized(), "reason=stale; time=1800000000; body=not-read", later(-301), vec![incomplete]),
        (
            no_timestamp.sized(),
            "reason=missing_header; time=1800000000; body=not-read",
            NOW,
            vec![CauseKind::HeaderMissing, incomplete],
        ),
        (too_large.sized(), "reason=body_too_large; time=1800000000; body=incomplete", NOW, vec![incomplete]),
        (
            too_large.chunked(2_500, ""),
            "reason=body_too_large; time=1800000000; body=incomplete",
            NOW,
            vec![incomplete],
        ),
    ] {
        each(
            "unread",
            &bytes,
            |captures| captures,
            |_, captured| {
                assert_eq!((captured.note.as_str(), captured.body.as_slice()), (note, &b""[..]));
                assert_eq!(kinds(&diagnose(captured, now)), causes, "{note}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn redacted_capture_has_no_secret_header() {
    let sent =
        signed("x", 0).carrying("y").with("Authorization", "Bearer of-the-tests").with("X-Api-Key", "of-the-tests");
    each("redacted", &sent.sized(), Captures::redacted, |_, captured| {
        assert!(captured.note.ends_with("; redacted"), "{}", captured.note);
        for name in [SIGNATURE, "authorization", "x-api-key"] {
            assert_eq!(captured.values(name), [b"[redacted]"], "{name}");
        }
        assert_eq!(captured.values(TIMESTAMP), [b"1800000000"]);
        assert_eq!(kinds(&diagnose(captured, NOW)), [CauseKind::CaptureIncomplete]);
    })
    .await;
}

/// A capture shows the received signature, never the right one.
#[tokio::test]
async fn capture_never_contains_the_expected_signature() {
    let sent = signed("x", 0).carrying("y");
    let expected = signer(Scheme::timestamped(), SECRET).sign_body_at(b"y", NOW).expect("a signed message");
    let expected =
        expected.iter().find(|(name, _)| name.eq_ignore_ascii_case(SIGNATURE)).expect("a signature").1.to_owned();
    each(
        "expected",
        &sent.sized(),
        |captures| captures,
        |_, captured| {
            let text = format!(
                "{}{:?}",
                captured.note,
                captured.headers.iter().map(|(_, value)| String::from_utf8_lossy(value)).collect::<Vec<_>>()
            );
            assert!(!text.contains(&expected), "{text}");
        },
    )
    .await;
}

#[tokio::test]
async fn accepted_and_repeated_requests_are_not_captured() {
    for &adapter in Server::ALL {
        let scratch = Scratch::new(&format!("verified-{adapter:?}"));
        let captures = Captures::in_directory(&scratch.0, 100);
        let mut site = Site::start(adapter, |warden| warden.captures(captures)).await;
        for _ in 0..2 {
            assert_eq!(site.send(&signed("x", 0).sized()).await.event.capture, None, "{adapter:?}");
        }
        site.end().await;
        assert!(scratch.files("").is_empty(), "{adapter:?}");
    }
}

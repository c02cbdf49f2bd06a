//! The most common mistakes, made by a sender that shares no code with the library, and explained by the first command
//! that a receiver's developer types.

use hookwarden::Timestamp;
use ring::hmac;

use super::scratch::{CommandOutput, SECRET, Scratch};

const BODY: &str = r#"{"event": "user.created", "id": 7}"#;

/// A raw request of the default scheme, signed by `ring`.
fn request(scratch: &Scratch, seconds_ago: i64, secret: &str, signed: &str, sent: &str) -> String {
    let time = Timestamp::now().as_unix() - seconds_ago;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{signed}").as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    scratch.file(
        "request.http",
        format!(
            "POST /webhooks/acme HTTP/1.1\r\nContent-Length: {}\r\nX-Webhook-Timestamp: {time}\r\n\
             X-Webhook-Signature: {tag}\r\n\r\n{sent}",
            signed.len(),
        ),
    )
}

fn explained(scratch: &Scratch, seconds_ago: i64, secret: &str, sent: &str) -> CommandOutput {
    let request = request(scratch, seconds_ago, secret, BODY, sent);
    let ended = scratch.run(["verify", &request]);
    assert!(!ended.stdout.contains(SECRET) && ended.stderr.is_empty(), "{ended:?}");
    ended
}

#[test]
fn first_command_names_the_common_mistakes() {
    let scratch = Scratch::new();
    explained(&scratch, 0, SECRET, BODY).assert_code(0);

    let parsed = explained(&scratch, 0, SECRET, &BODY.replace(": ", ":").replace(", ", ",")).assert_code(1).stdout;
    assert!(parsed.contains("\nbody-json-rewritten, proven: the body's JSON was parsed"), "{parsed}");

    let secret = explained(&scratch, 0, "the-secret-of-another-environment", BODY).assert_code(1).stdout;
    assert!(secret.contains("nothing else fits, so the sender probably signs with another secret"), "{secret}");
    assert!(secret.contains("fix: compare the secret on both sides first"), "{secret}");

    let ahead = explained(&scratch, -900, SECRET, BODY).assert_code(1).stdout;
    assert!(ahead.contains("\ntimestamp-early, proven: the timestamp is ") && ahead.contains("by NTP"), "{ahead}");
    // A capture may be old, so the message is verified, and the clock is named too.
    for (seconds, kind) in [(900, "timestamp-stale"), (7_200, "timestamp-time-zone")] {
        let behind = explained(&scratch, seconds, SECRET, BODY).assert_code(0).stdout;
        assert!(behind.contains(&format!("captured just now, a receiver refuses it:\n{kind}, ")), "{behind}");
    }
    let old = explained(&scratch, 200_000, SECRET, BODY).assert_code(0).stdout;
    assert!(!old.contains("timestamp-"), "{old}");
}

#[test]
fn body_read_before_it_was_captured_is_suspected() {
    let scratch = Scratch::new();
    let text = explained(&scratch, 0, SECRET, "").assert_code(1).stdout;
    assert!(text.contains("\nbody-not-captured, suspected: the captured body is empty"), "{text}");
    assert!(!text.contains("another secret"), "{text}");
}

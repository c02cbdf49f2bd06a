//! The keys of AdCP's published test vectors for signed webhooks:
//! <https://github.com/adcontextprotocol/adcp/tree/main/static/compliance/source/test-vectors/webhook-signing>.

use std::time::Duration;

use hookwarden::testing::TestClock;
use hookwarden_jwks::{JwksKeys, Source};

use crate::server::{Reply, Server, answer_with, document};
use crate::store::{Found, builder, find};

/// The members of a key in `keys.json` but `kid`, `adcp_use` and `key_ops`.
const COMMON: &str = r#""kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig""#;

const WEBHOOK: &str = "y7tTfeqazsFeTn3ccCzQlcJ4qFWuYsu-JkJAcfc9VoA";
const REQUEST: &str = "VgpQd9JRrBf433BcMw6IUNW7tHnAAHAHegsQ5U9I53c";
const RESPONSE: &str = "aCo2Y5TsWrbE0gpueDK09ScOejqoOCl98QIDqywEAB4";
const REVOKED: &str = "PbQhjfhr2rhLz5vLfN6jKQcjkia0Q9BJ77XpZ5hlspM";

fn key(kid: &str, purpose: &str, operation: &str, x: &str) -> String {
    format!(
        r#"{{"kid":"{kid}",{COMMON},"key_ops":["{operation}"],"adcp_use":"{purpose}","x":"{x}","_private_d_for_test_only":"-"}}"#
    )
}

fn set(keys: &[String]) -> Reply {
    Reply::Send(document(&format!(r#"{{"_WARNING":"public","keys":[{}]}}"#, keys.join(","))))
}

fn keys(server: &Server, clock: &TestClock, source: fn(String) -> Source) -> JwksKeys {
    let source = source(server.url()).danger_private_addresses();
    let source = source.danger_root_certificates(server.authority.pem.clone());
    builder(clock).sender("acme", source).build().unwrap()
}

#[tokio::test]
async fn adcp_vectors_use_only_keys_for_their_purpose() {
    let published = [
        key("test-ed25519-webhook-2026", "webhook-signing", "verify", WEBHOOK),
        key("test-wrong-purpose-2026", "request-signing", "verify", REQUEST),
        key("test-response-purpose-2026", "response-signing", "verify", RESPONSE),
    ];
    let server = Server::start(set(&published)).await;
    let clock = TestClock::default();
    let (webhooks, requests) =
        (keys(&server, &clock, Source::adcp_webhooks), keys(&server, &clock, Source::adcp_requests));
    // 001, 008-request-signing-key-reuse, 007 and 008-wrong-adcp-use.
    for (keyid, for_webhooks, for_requests) in [
        ("test-ed25519-webhook-2026", Found::Key, Found::Unknown),
        ("test-wrong-purpose-2026", Found::Key, Found::Key),
        ("test-unknown-keyid-2026", Found::Unknown, Found::Unknown),
        ("test-response-purpose-2026", Found::Unknown, Found::Unknown),
    ] {
        assert_eq!(find(&webhooks, keyid).await, for_webhooks, "{keyid}");
        assert_eq!(find(&requests, keyid).await, for_requests, "{keyid}");
    }
}

#[tokio::test]
async fn adcp_vector_020_key_that_only_signs() {
    let server = Server::start(set(&[key("test-ed25519-webhook-2026", "webhook-signing", "sign", WEBHOOK)])).await;
    let keys = keys(&server, &TestClock::default(), Source::adcp_webhooks);
    assert_eq!(find(&keys, "test-ed25519-webhook-2026").await, Found::Unknown);
}

#[tokio::test]
async fn adcp_key_is_used_for_half_an_hour() {
    let body = format!(r#"{{"keys":[{}]}}"#, key("k1", "request-signing", "verify", REQUEST));
    let long = Reply::Send(answer_with("200 OK", "Cache-Control: max-age=86400\r\n", &body));
    for kind in [Source::adcp_webhooks, Source::adcp_requests] {
        let server = Server::start(long.clone()).await;
        let clock = TestClock::default();
        let keys = keys(&server, &clock, kind);
        assert_eq!(find(&keys, "k1").await, Found::Key);
        // Three quarters of the time are over at 1,350 seconds.
        clock.advance(Duration::from_secs(1_349));
        assert_eq!((find(&keys, "k1").await, server.requests()), (Found::Key, 1));
        server.set(Reply::Send(answer_with("500 Internal Server Error", "", "")));
        clock.advance(Duration::from_secs(450));
        assert_eq!(find(&keys, "k1").await, Found::Key);
        server.wait_for(2).await;
        clock.advance(Duration::from_secs(1));
        assert!(matches!(find(&keys, "k1").await, Found::Failed(_)));
    }
}

#[tokio::test]
async fn adcp_vector_017_revoked_key_that_was_removed() {
    let good = key("test-ed25519-webhook-2026", "webhook-signing", "verify", WEBHOOK);
    let revoked = key("test-revoked-webhook-2026", "webhook-signing", "verify", REVOKED);
    let server = Server::start(set(&[good.clone(), revoked])).await;
    let clock = TestClock::default();
    let keys = keys(&server, &clock, Source::adcp_webhooks);
    assert_eq!(find(&keys, "test-revoked-webhook-2026").await, Found::Key);
    server.set(set(&[good]));
    clock.advance(Duration::from_secs(300));
    assert_eq!(find(&keys, "test-revoked-webhook-2026").await, Found::Unknown);
    assert_eq!(find(&keys, "test-ed25519-webhook-2026").await, Found::Key);

    // Without a change of the set, as with AdCP's list of revoked keys.
    assert!(keys.revoke("acme", "test-ed25519-webhook-2026"));
    assert_eq!(find(&keys, "test-ed25519-webhook-2026").await, Found::Unknown);
}

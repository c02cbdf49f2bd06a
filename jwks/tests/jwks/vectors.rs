//! AdCP's published vectors that need a key document or a list of revoked keys, delivered to a Warden.

use std::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::event::RefusalReason;
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::Profile;
use hookwarden::testing::TestClock;
use hookwarden::warden::Admitted;
use hookwarden::{Reason, Timestamp, Warden};
use hookwarden_jwks::{JwksKeys, Source};
use serde_json::Value;

use crate::revocation::{ListKey, list_url, time};
use crate::server::{NAME, Reply, Server, answer_with, document};
use crate::store::builder_for;

const WEBHOOKS: &str = include_str!("../../../tests/message_signatures/vectors/adcp_webhooks.json");
const REQUESTS: &str = include_str!("../../../tests/message_signatures/vectors/adcp_requests.json");

/// A vector, its keys, and servers for them.
struct Setup {
    vector: Value,
    keys: Vec<Value>,
    is_webhook: bool,
    server: Server,
    list: Server,
    clock: TestClock,
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap()
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).unwrap()
}

/// What happens to the request.
type Outcome = Result<(), RefusalReason>;

/// The key was found. The published signature of some vectors is not valid.
const MISMATCH: Outcome = Err(RefusalReason::Unverified(Reason::Mismatch));

impl Setup {
    async fn start(json: &str, name: &str) -> Self {
        let file: Value = serde_json::from_str(json).unwrap();
        let vectors = list(&file, "vectors");
        let vector = vectors.iter().find(|vector| text(vector, "name") == name).unwrap().clone();
        let own = vector.get("jwks").and_then(Value::as_array).cloned();
        let keys = list(&file, "keys").iter().map(|key| key.get("jwk").unwrap().clone()).collect();
        let unset = || Reply::Send(answer_with("500 Internal Server Error", "", ""));
        let setup = Self {
            keys: own.unwrap_or(keys),
            is_webhook: json == WEBHOOKS,
            server: Server::start(unset()).await,
            list: Server::start(unset()).await,
            clock: TestClock::new(Timestamp::from_unix(vector.get("now").and_then(Value::as_i64).unwrap())),
            vector,
        };
        setup.publish_keys();
        setup
    }

    fn publish_keys(&self) {
        let set = serde_json::json!({ "keys": self.keys });
        self.server.set(Reply::Send(document(&set.to_string())));
    }

    /// Publishes the list that the vector's test runner has, as of now.
    fn publish_list(&self, kids: &[&str]) {
        let file: Value = serde_json::from_str(if self.is_webhook { WEBHOOKS } else { REQUESTS }).unwrap();
        let kid = if self.is_webhook { "test-wrong-purpose-2026" } else { "test-gov-2026" };
        let key = list(&file, "keys").iter().find(|key| key.pointer("/jwk/kid").unwrap() == kid).unwrap();
        let key = ListKey::new(kid, Algorithm::Ed25519, text(key, "d"));
        let payload = serde_json::json!({
            "version": 1,
            "issuer": format!("https://{NAME}:{}", self.list.address.port()),
            "updated": time(&self.clock, 0),
            "next_update": time(&self.clock, 900),
            "revoked_kids": kids,
            "revoked_jtis": [],
        });
        self.list.set(key.list(&payload.to_string()));
    }

    /// A receiver with or without the list.
    fn receiver(&self, has_list: bool) -> Receiver {
        let origin = text(&self.vector, "url").split('/').take(3).collect::<Vec<_>>().join("/");
        let (profile, source): (_, fn(String) -> Source) = if self.is_webhook {
            (Profile::adcp_webhooks(&origin), Source::adcp_webhooks)
        } else {
            (Profile::adcp_requests(&origin), Source::adcp_requests)
        };
        let profile = profile.build().unwrap();
        let scheme = profile.scheme("adcp").unwrap();
        let mut source = source(self.server.url()).danger_private_addresses();
        if has_list {
            source = source.revocation_list(list_url(&self.list));
        }
        let source = source.danger_root_certificates([&*self.server.authority.pem, &*self.list.authority.pem].concat());
        let keys = builder_for(&scheme, &self.clock).sender("agent", source).build().unwrap();
        let warden = Warden::builder(scheme).clock(self.clock.clone()).cached_keys(keys.cached().unwrap());
        let warden = warden.webhook_id(keys.id_source(&profile).unwrap()).build().unwrap();
        Receiver { keys, warden }
    }

    async fn deliver(&self, receiver: &Receiver) -> Outcome {
        let text = |name: &str| text(&self.vector, name);
        let (_, rest) = text("url").split_once("://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        let target = format!("/{path}");
        let mut headers = vec![("Host", host)];
        headers.extend(
            self.vector
                .get("headers")
                .and_then(Value::as_object)
                .unwrap()
                .iter()
                .map(|(name, value)| (&**name, value.as_str().unwrap())),
        );
        let head = RequestHead::new(text("method"), &target, &headers);
        let receive = async {
            let mut receiving = receiver.warden.examine(&head, None)?.identify_from_head_async(&head).await?;
            receiving.update(text("body").as_bytes())?;
            receiving.finish()
        };
        receive.await.map(Admitted::commit).map_err(|refused| refused.reason())
    }
}

struct Receiver {
    keys: JwksKeys,
    warden: Warden,
}

#[tokio::test]
async fn adcp_vector_017_key_in_revocation_list() {
    for (json, name, kid, without) in [
        (WEBHOOKS, "negative/017-key-revoked", "test-revoked-webhook-2026", Ok(())),
        (REQUESTS, "profile-3.2/negative/017-key-revoked", "test-revoked-2026", MISMATCH),
    ] {
        let setup = Setup::start(json, name).await;
        for (kids, expected) in [(&[kid][..], Err(RefusalReason::UnknownId)), (&["other"], without)] {
            setup.publish_list(kids);
            assert_eq!(setup.deliver(&setup.receiver(true)).await, expected, "{name}");
        }
    }
}

#[tokio::test]
async fn adcp_vector_019_stale_revocation_list() {
    let setup = Setup::start(WEBHOOKS, "negative/019-revocation-stale").await;
    let now = Timestamp::from_unix(setup.vector["now"].as_i64().unwrap());
    for is_refreshed in [true, false] {
        // The vector's runner has not refreshed the list for this time.
        let stale = Duration::from_secs(10_800);
        setup.clock.set_wall(Timestamp::from_unix(now.as_unix() - 10_800));
        setup.publish_list(&[]);
        let receiver = setup.receiver(true);
        receiver.keys.load().await.unwrap();
        setup.clock.advance(stale);
        if is_refreshed {
            setup.publish_list(&[]);
        } else {
            setup.list.set(Reply::Send(answer_with("503 Service Unavailable", "", "")));
        }
        let expected = if is_refreshed { Ok(()) } else { Err(RefusalReason::KeyStoreUnavailable) };
        assert_eq!(setup.deliver(&receiver).await, expected);
    }
}

#[tokio::test]
async fn adcp_vectors_with_wrong_key_purpose_are_refused() {
    let request = "profile-3.2/negative/009-key-ops-missing-verify";
    // The key, and the member that makes it a key for this purpose.
    for (json, name, kid, member, value, then) in [
        (REQUESTS, request, "test-gov-2026", "adcp_use", "\"request-signing\"", MISMATCH),
        (
            WEBHOOKS,
            "negative/008-wrong-adcp-use",
            "test-response-purpose-2026",
            "adcp_use",
            "\"webhook-signing\"",
            Ok(()),
        ),
        (
            WEBHOOKS,
            "negative/020-key-ops-missing-verify",
            "test-ed25519-webhook-2026",
            "key_ops",
            "[\"verify\"]",
            Ok(()),
        ),
    ] {
        let mut setup = Setup::start(json, name).await;
        assert_eq!(setup.deliver(&setup.receiver(false)).await, Err(RefusalReason::UnknownId), "{name}");
        let key = setup.keys.iter_mut().find(|key| key["kid"] == kid).unwrap();
        key[member] = serde_json::from_str(value).unwrap();
        setup.publish_keys();
        assert_eq!(setup.deliver(&setup.receiver(false)).await, then, "{name} with a key for it");
    }
    // The name of 009 says what else is refused.
    let mut setup = Setup::start(REQUESTS, request).await;
    let key = setup.keys.iter_mut().find(|key| key["kid"] == "test-gov-2026").unwrap();
    key["adcp_use"] = "request-signing".into();
    key["key_ops"] = serde_json::json!(["sign"]);
    setup.publish_keys();
    assert_eq!(setup.deliver(&setup.receiver(false)).await, Err(RefusalReason::UnknownId));
}

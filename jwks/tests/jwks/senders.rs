//! Several senders, webhook ids, and settings.

use std::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::headers::RequestHead;
use hookwarden::keys::AsyncKeyStore as _;
use hookwarden::message_signatures::{Profile, SignatureParameters};
use hookwarden::testing::TestClock;
use hookwarden::{Keyring, Reason, Timestamp, Verifier};
use hookwarden_jwks::{JwksKeys, JwksKeysBuilder, Source};

use crate::server::{Reply, Server, document};
use crate::store::{Found, builder, find, jwk, profile, scheme, set, source, store};

#[tokio::test]
async fn each_sender_has_only_its_own_keys() {
    let (one, two) = (
        Server::start(Reply::Send(document(&set(&[1])))).await,
        Server::start(Reply::Send(document(&set(&[2])))).await,
    );
    let keys = builder(&TestClock::default()).sender("one", source(&one)).sender("two", source(&two)).build().unwrap();
    let is_known = async |id| keys.find(id).await.unwrap().is_some();
    assert!(is_known("one/k1").await && is_known("two/k2").await);
    for id in [
        "one/k2",
        "two/k1",
        "three/k1",
        "one",
        "k1",
        "",
        "/k1",
        "one/",
        "ONE/k1",
        "one/k1/",
        "one/k1/k1",
        "two/../one/k1",
    ] {
        assert!(!is_known(id).await, "{id}");
    }
    // The first fetch, and one for all unknown keys.
    assert_eq!((one.requests(), two.requests()), (2, 2));
}

#[tokio::test]
async fn failing_source_does_not_affect_other_senders() {
    let good = Server::start(Reply::Send(document(&set(&[1])))).await;
    let bad = Server::start(Reply::Send(Vec::new())).await;
    let keys =
        builder(&TestClock::default()).sender("acme", source(&good)).sender("bad", source(&bad)).build().unwrap();
    assert!(keys.load().await.is_err());
    assert_eq!(find(&keys, "k1").await, Found::Key);
}

#[tokio::test]
async fn keyid_with_slashes_is_one_keyid() {
    let server = Server::start(Reply::Send(document(&set(&[1]).replace("k1", "https://acme.test/keys#1")))).await;
    let keys = store(&server, &TestClock::default());
    assert_eq!(find(&keys, "https://acme.test/keys#1").await, Found::Key);
    assert_eq!(find(&keys, "https:").await, Found::Unknown);
}

#[tokio::test]
async fn longest_keyid_is_found_through_the_cache() {
    for (length, is_found) in [(251, true), (252, false)] {
        let kid = "k".repeat(length);
        let server = Server::start(Reply::Send(document(&set(&[1]).replace("k1", &kid)))).await;
        let keys = store(&server, &TestClock::default());
        assert_eq!(find(&keys, &kid).await == Found::Key, is_found, "{length}");
        let cached = keys.cached().unwrap();
        assert_eq!(cached.find(&format!("acme/{kid}")).await.unwrap().is_some(), is_found, "{length}");
    }
}

fn agents() -> JwksKeys {
    let keys = JwksKeys::builder(&scheme());
    let root = crate::certificates::Authority::new().pem;
    let source = |url| Source::ucp(url).danger_root_certificates(root.clone());
    let keys = keys.sender("shop", source("https://shop.test/.well-known/ucp"));
    keys.sender("mall", source("https://mall.test/.well-known/ucp")).build().unwrap()
}

#[test]
fn agent_is_found_only_by_configured_url() {
    let keys = agents();
    for (value, expected) in [
        (r#"profile="https://shop.test/.well-known/ucp""#, Some("shop")),
        (r#"a=1, profile="https://mall.test/.well-known/ucp";v=2"#, Some("mall")),
        (r#"profile="https://other.test/.well-known/ucp""#, None),
        (r#"profile="https://SHOP.test/.well-known/ucp""#, None),
        (r#"profile="https://shop.test/.well-known/ucp/""#, None),
        (r#"profile=("https://shop.test/.well-known/ucp")"#, None),
        ("profile=https://shop.test/.well-known/ucp", None),
        (r#"Profile="https://shop.test/.well-known/ucp""#, None),
        ("", None),
    ] {
        assert_eq!(keys.ucp_agent(&[("UCP-Agent", value)]), expected, "{value}");
    }
    let value = r#"profile="https://shop.test/.well-known/ucp""#;
    assert_eq!(keys.ucp_agent(&[("UCP-Agent", value), ("ucp-agent", value)]), None);
}

#[test]
fn id_source_of_several_senders_needs_a_closure() {
    let error = agents().id_source(&profile()).unwrap_err();
    assert_eq!(error.to_string(), "id_source: must know the sender of a request: use id_source_by");
    let head = [("Signature-Input", "sig=();keyid=\"k1\"")];
    assert_eq!(profile().keyid(&RequestHead::new("POST", "/", &head)).as_deref(), Some("k1"));
}

#[test]
fn invalid_setting_is_a_config_error() {
    let root = crate::certificates::Authority::new().pem;
    let acme = || Source::jwk_set("https://acme.test/").danger_root_certificates(root.clone());
    let one = || JwksKeys::builder(&scheme()).sender("acme", acme());
    let refuse = |builder: JwksKeysBuilder, text: &str| {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    };
    refuse(JwksKeys::builder(&scheme()), "sender: must be set");
    refuse(
        JwksKeys::builder(&hookwarden::Scheme::timestamped()).sender("acme", acme()),
        "scheme: must verify with public keys",
    );
    let long = "x".repeat(65);
    for name in ["", "a/b", "a b", "a\n", "é", &long] {
        refuse(JwksKeys::builder(&scheme()).sender(name, acme()), "sender: must have a name");
    }
    refuse(
        one().sender("acme", Source::jwk_set("https://b.test/").danger_root_certificates(root.clone())),
        "sender: must each have another name",
    );
    for url in ["https://acme.test/", "https://ACME.test", "https://acme.test:443/"] {
        let same = Source::jwk_set(url).danger_root_certificates(root.clone());
        refuse(one().sender("b", same), "sender: must each have another URL");
    }
    for url in ["https://acme.test/A", "https://acme.test:444/", "https://acme.test/?a", "https://b.test/"] {
        let other = Source::jwk_set(url).danger_root_certificates(root.clone());
        assert!(one().sender("b", other).build().is_ok(), "{url}");
    }
    refuse(one().sender("b", Source::jwk_set("http://b.test/")), "source: must be a URL that starts with https://");
    for pem in [
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    ] {
        refuse(
            one().sender("b", Source::jwk_set("https://b.test/").danger_root_certificates(pem)),
            "danger_root_certificates: must be",
        );
    }
    refuse(one().max_age(Duration::from_secs(59)), "max_age: must be at least 60 s");
    refuse(one().max_stale(Duration::from_secs(3_599)), "max_stale: must be at least max_age");
    refuse(one().connect_timeout(Duration::ZERO), "connect_timeout: must be more than zero");
    refuse(
        one().connect_timeout(Duration::from_secs(6)),
        "connect_timeout: must be more than zero and at most timeout",
    );
    refuse(one().timeout(Duration::from_secs(31)), "timeout: must be at most 30 s");
    refuse(one().max_bytes(0), "max_bytes: must be");
    refuse(one().max_bytes(16_777_217), "max_bytes: must be");
    assert!(one().build().is_ok());
}

#[test]
fn debug_output_names_the_senders() {
    assert_eq!(format!("{:?}", agents()), r#"JwksKeys { scheme: "test", senders: ["mall", "shop"], .. }"#);
}

#[tokio::test]
async fn documents_of_ucp_and_web_bots_have_keys() {
    // RFC 8037 appendices A.2 and A.3.
    let key = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let profile = format!(r#"{{"ucp":{{"version":"2026-01-11","services":{{}}}},"keys":[{{"kid":"2026",{key}}}]}}"#);
    let directory = format!(r#"{{"keys":[{{{key},"nbf":1743465600,"exp":1900000000}}],"purpose":"search"}}"#);
    for (is_profile, body, keyid, other) in
        [(true, profile, "2026", thumbprint), (false, directory, thumbprint, "2026")]
    {
        let server = Server::start(Reply::Send(document(&body))).await;
        let source = if is_profile { Source::ucp(server.url()) } else { Source::web_bots(server.url()) };
        let source = source.danger_private_addresses();
        let source = source.danger_root_certificates(server.authority.pem.clone());
        let keys = builder(&TestClock::default()).sender("acme", source).build().unwrap();
        assert_eq!(find(&keys, keyid).await, Found::Key);
        assert_eq!(find(&keys, other).await, Found::Unknown);
    }
}

/// The key that `keyid` names must also have this thumbprint.
#[tokio::test]
async fn tagged_signature_under_another_kid_is_refused() {
    let (tag, now) = ("web-bot-auth", Timestamp::from_unix(1_800_000_000));
    let ucp = || Profile::ucp("https://hooks.example.com").algorithms([Algorithm::Ed25519]);
    let seed = |seed: u8| scheme().secret(&format!("{seed:02x}").repeat(32)).unwrap();
    let thumbprint = |name: u8| seed(name).public_key().unwrap().thumbprint();
    let document = |kid: &str| document(&format!(r#"{{"keys":[{}]}}"#, jwk(kid, 1, "")));
    let (own, other) = (thumbprint(1), thumbprint(2));
    for (kid, tag, expected) in [
        ("2026", Some(tag), Err(Reason::MalformedSignature)),
        (&other, Some(tag), Err(Reason::Mismatch)),
        (&own, Some(tag), Ok(())),
        ("2026", None, Ok(())),
        (&other, None, Ok(())),
    ] {
        let server = Server::start(Reply::Send(document(kid))).await;
        let source = Source::ucp(server.url()).danger_private_addresses();
        let source = source.danger_root_certificates(server.authority.pem.clone());
        let profile = ucp().build().unwrap();
        let store = builder(&TestClock::default()).sender("acme", source).build().unwrap();
        let keys = store.find(&format!("acme/{kid}")).await.unwrap().expect("the key");
        let sender = tag.map_or(ucp(), |tag| ucp().tag(tag)).danger_any_keyid().build().unwrap();
        let head = RequestHead::new("GET", "/orders", &[("Host", "hooks.example.com")]);
        let parameters = SignatureParameters::new().keyid(kid);
        let signer = sender.signer(Keyring::new(seed(1))).unwrap();
        let signed = signer.sign_at(&head, b"", &parameters, now).unwrap();
        let headers: Vec<_> = [("Host", "hooks.example.com")].into_iter().chain(signed.iter()).collect();
        let verifier = Verifier::new(profile.scheme("ucp").unwrap(), keys).unwrap();
        let verified = verifier.verify_at(&RequestHead::new("GET", "/orders", &headers), b"", now);
        assert_eq!(verified.map(drop).map_err(|rejection| rejection.reason()), expected, "{kid} {tag:?}");
    }
}

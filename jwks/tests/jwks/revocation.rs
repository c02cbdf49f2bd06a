//! AdCP's signed lists of revoked keys.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwarden::clock::Clock as _;
use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::SignedPart;
use hookwarden::testing::TestClock;
use hookwarden::{Keyring, Scheme, Signer, Timestamp};
use hookwarden_jwks::{JwksKeys, Source};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::server::{NAME, Reply, Server, answer_with, document};
use crate::store::{Found, builder, find, jwk};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Signs lists.
pub(crate) struct ListKey {
    kid: String,
    alg: &'static str,
    signer: Signer,
}

impl ListKey {
    /// `private` is a private key as text.
    pub(crate) fn new(kid: &str, algorithm: Algorithm, private: &str) -> Self {
        let scheme = list_scheme(algorithm);
        let alg = if algorithm == Algorithm::EcdsaP256 { "ES256" } else { "EdDSA" };
        let keys = Keyring::new(scheme.secret(private).unwrap());
        Self { kid: kid.into(), alg, signer: Signer::new(scheme, keys).unwrap() }
    }

    fn of_seed(kid: &str, seed: u8) -> Self {
        Self::new(kid, Algorithm::Ed25519, &format!("{seed:02x}").repeat(32))
    }

    fn header(&self) -> String {
        format!(r#"{{"alg":"{}","kid":"{}","typ":"adcp-gov-revocation+jws"}}"#, self.alg, self.kid)
    }

    /// The parts of a JWS.
    fn sign(&self, header: &str, payload: &str) -> [String; 3] {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let content = format!("{header}.{payload}");
        let signed = self.signer.sign_body_at(content.as_bytes(), Timestamp::from_unix(0)).unwrap();
        let signature = signed.iter().next().unwrap().1.to_owned();
        [header, payload, signature]
    }

    /// A signed list in the form that the specification shows.
    pub(crate) fn list(&self, payload: &str) -> Reply {
        Reply::Send(document(&general(&self.sign(&self.header(), payload))))
    }
}

fn list_scheme(algorithm: Algorithm) -> Scheme {
    let scheme = Scheme::builder("list").algorithm(algorithm).encoding(Encoding::Base64UrlUnpadded);
    scheme.signature_header("signature").signed([SignedPart::Body]).build().unwrap()
}

fn general([protected, payload, signature]: &[String; 3]) -> String {
    format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#)
}

/// A time `offset` seconds from now, in RFC 3339.
pub(crate) fn time(clock: &TestClock, offset: i64) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(clock.now().wall.as_unix() + offset).unwrap();
    let (date, clock) = (time.date(), time.time());
    let (hour, minute, second) = clock.as_hms();
    format!("{}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year(), u8::from(date.month()), date.day())
}

/// What a list says: it was updated now.
struct Payload {
    issuer: String,
    updated: String,
    next_update: String,
    kids: Vec<&'static str>,
}

impl Payload {
    fn new(setup: &Setup, kids: &[&'static str]) -> Self {
        Self {
            issuer: format!("https://{NAME}:{}", setup.list.address.port()),
            updated: time(&setup.clock, 0),
            next_update: time(&setup.clock, 900),
            kids: kids.to_vec(),
        }
    }

    fn json(&self) -> String {
        let Self { issuer, updated, next_update, kids } = self;
        format!(
            r#"{{"version":1,"issuer":"{issuer}","updated":"{updated}","next_update":"{next_update}","revoked_jtis":["a"],"revoked_kids":{kids:?}}}"#
        )
    }
}

const GOVERNANCE: u8 = 7;

/// A sender with the keys `k1` and `k2` for webhooks, and others that sign lists or not.
pub(crate) struct Setup {
    pub(crate) keys_server: Server,
    list: Server,
    pub(crate) clock: TestClock,
    keys: JwksKeys,
}

impl Setup {
    async fn start() -> Self {
        Self::of_keys(&published()).await
    }

    /// Without keys that are only for lists.
    async fn without_governance() -> Self {
        let keys = [adcp("k1", 1, "request-signing"), adcp("k2", 2, "request-signing")];
        Self::of_keys(&format!(r#"{{"keys":[{}]}}"#, keys.join(","))).await
    }

    async fn of_keys(keys: &str) -> Self {
        let failing = Reply::Send(answer_with("500 Internal Server Error", "", ""));
        let keys_server =
            Server::start(Reply::Send(answer_with("200 OK", "Cache-Control: max-age=1800\r\n", keys))).await;
        let list = Server::start(failing).await;
        let clock = TestClock::default();
        let keys = builder(&clock).sender("acme", source(&keys_server, &list)).build().unwrap();
        Self { keys_server, list, clock, keys }
    }

    /// With this list.
    pub(crate) async fn with(kids: &[&'static str]) -> Self {
        let setup = Self::start().await;
        setup.publish(kids);
        setup.keys.load().await.unwrap();
        setup
    }

    pub(crate) fn publish(&self, kids: &[&'static str]) {
        self.list.set(governance().list(&Payload::new(self, kids).json()));
    }

    pub(crate) fn fail(&self) {
        self.list.set(Reply::Send(answer_with("500 Internal Server Error", "", "")));
    }

    pub(crate) fn list_url(&self) -> String {
        list_url(&self.list)
    }

    pub(crate) async fn find(&self, keyid: &str) -> Found {
        find(&self.keys, keyid).await
    }
}

fn governance() -> ListKey {
    ListKey::of_seed("gov", GOVERNANCE)
}

fn source(keys: &Server, list: &Server) -> Source {
    let roots = format!("{}{}", keys.authority.pem, list.authority.pem);
    let list = list_url(list);
    Source::adcp_webhooks(keys.url()).revocation_list(list).danger_private_addresses().danger_root_certificates(roots)
}

pub(crate) fn list_url(list: &Server) -> String {
    format!("https://{NAME}:{}/.well-known/governance-revocations.json", list.address.port())
}

fn adcp(kid: &str, seed: u8, purpose: &str) -> String {
    jwk(kid, seed, &format!(r#","use":"sig","key_ops":["verify"],"adcp_use":"{purpose}""#))
}

fn ecdsa_key() -> String {
    let secret = list_scheme(Algorithm::EcdsaP256).secret(&"05".repeat(32)).unwrap();
    // The point begins with a byte for its form.
    let (x, y) = secret.public_key().unwrap().as_bytes().split_at(1).1.split_at(32);
    let [x, y] = [x, y].map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
    format!(
        r#"{{"kid":"es256","kty":"EC","crv":"P-256","x":"{x}","y":"{y}","alg":"ES256","use":"sig","key_ops":["verify"],"adcp_use":"governance-signing"}}"#
    )
}

fn published() -> String {
    let keys = [
        adcp("k1", 1, "request-signing"),
        adcp("k2", 2, "request-signing"),
        adcp("gov", GOVERNANCE, "governance-signing"),
        adcp("response", 8, "response-signing"),
        adcp("twice", 10, "governance-signing"),
        adcp("twice", 11, "governance-signing"),
        adcp("signs", 12, "governance-signing").replace("\"verify\"", "\"sign\""),
        ecdsa_key(),
    ];
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

#[tokio::test]
async fn listed_key_is_refused_and_others_accepted() {
    let setup = Setup::with(&["k1", "unknown"]).await;
    assert_eq!(setup.find("k1").await, Found::Unknown);
    assert_eq!(setup.find("k2").await, Found::Key);
    // Nothing is fetched for a listed key.
    setup.clock.advance(seconds(60));
    assert_eq!(setup.find("k1").await, Found::Unknown);
    assert_eq!((setup.keys_server.requests(), setup.list.requests()), (1, 1));
    assert!(setup.list.last_head().starts_with("GET /.well-known/governance-revocations.json HTTP/1.1\r\n"));
}

#[tokio::test]
async fn list_in_each_form_is_read() {
    let es256 = ListKey::new("es256", Algorithm::EcdsaP256, &"05".repeat(32));
    for key in [governance(), es256, ListKey::of_seed("k2", 2)] {
        for form in 0..3 {
            let setup = if key.kid == "k2" { Setup::without_governance().await } else { Setup::start().await };
            let parts = key.sign(&key.header(), &Payload::new(&setup, &["k1"]).json());
            let [protected, payload, signature] = &parts;
            let body = match form {
                0 => general(&parts),
                1 => format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}"#),
                _ => format!("{}\n", parts.join(".")),
            };
            setup.list.set(Reply::Send(document(&body)));
            setup.keys.load().await.unwrap();
            assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Unknown, Found::Key), "{form}");
        }
    }
}

#[tokio::test]
async fn list_is_fetched_at_its_next_update() {
    let setup = Setup::with(&[]).await;
    setup.publish(&["k1"]);
    setup.clock.advance(seconds(899));
    assert_eq!(setup.find("k1").await, Found::Key);
    assert_eq!(setup.list.requests(), 1);
    setup.publish(&["k1"]);
    setup.clock.advance(seconds(1));
    assert_eq!(setup.find("k1").await, Found::Unknown, "the request waits for the list");
    assert_eq!((setup.find("k2").await, setup.list.requests()), (Found::Key, 2));
}

#[tokio::test]
async fn list_is_fetched_at_most_each_minute() {
    let setup = Setup::with(&[]).await;
    for second in 1..=600_usize {
        setup.clock.advance(seconds(1));
        assert_eq!(setup.find(&format!("invented-{second}")).await, Found::Unknown);
        assert_eq!(setup.keys_server.requests(), 1 + second.div_ceil(30));
        assert_eq!(setup.list.requests(), 1 + (second - 1) / 60);
    }
    // A list that was due when it was fetched.
    let mut payload = Payload::new(&setup, &[]);
    payload.updated = time(&setup.clock, -61);
    payload.next_update = time(&setup.clock, -1);
    let setup = Setup::start().await;
    payload.issuer = Payload::new(&setup, &[]).issuer;
    setup.clock.advance(seconds(600));
    setup.list.set(governance().list(&payload.json()));
    for requests in 1..=3 {
        assert_eq!(setup.find("k1").await, Found::Key);
        setup.clock.advance(seconds(59));
        assert_eq!((setup.find("k1").await, setup.list.requests()), (Found::Key, requests));
        setup.clock.advance(seconds(1));
    }
}

#[tokio::test]
async fn stale_list_refuses_all_keys() {
    // The time to `next_update`, and what counts of it.
    for (next, interval) in [(1_800, 1_800), (900, 900), (30, 60)] {
        let setup = Setup::start().await;
        let mut payload = Payload::new(&setup, &["k2"]);
        payload.next_update = time(&setup.clock, next);
        setup.list.set(governance().list(&payload.json()));
        setup.keys.load().await.unwrap();
        setup.fail();
        let stale = next.unsigned_abs() + 4 * interval;
        let mut passed = 0;
        while passed + 60 < stale {
            setup.clock.advance(seconds(60));
            passed += 60;
            assert_eq!(setup.find("k1").await, Found::Key, "after {passed} s");
        }
        setup.clock.advance(seconds(stale - passed - 1));
        assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Key, Found::Unknown));
        setup.clock.advance(seconds(1));
        let problem = "keys of acme: list of revoked keys: answered 500 Internal Server Error instead of 200. All keys are \
                       refused until the list of revoked keys can be fetched: there is none, or it is stale";
        assert_eq!(setup.find("k1").await, Found::Failed(problem.into()));
        assert_eq!(setup.keys.load().await.unwrap_err().to_string(), problem);
        setup.publish(&[]);
        setup.clock.advance(seconds(60));
        assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Key, Found::Key));
    }
}

#[tokio::test]
async fn sender_without_its_list_is_refused() {
    let setup = Setup::start().await;
    let problem = "keys of acme: list of revoked keys: answered 500 Internal Server Error instead of 200. All keys are \
                   refused until the list of revoked keys can be fetched: there is none, or it is stale";
    assert_eq!(setup.keys.load().await.unwrap_err().to_string(), problem);
    assert_eq!(setup.find("k1").await, Found::Failed(problem.into()));
    setup.publish(&["k2"]);
    setup.clock.advance(seconds(1));
    assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Key, Found::Unknown));
}

#[tokio::test]
async fn failing_list_keeps_the_one_before() {
    let setup = Setup::with(&["k1"]).await;
    setup.fail();
    for requests in 2..=4 {
        setup.clock.advance(seconds(900));
        assert_eq!(setup.find("k1").await, Found::Unknown);
        assert_eq!(setup.find("k2").await, Found::Key);
        assert_eq!(setup.list.requests(), requests);
    }
}

/// The setup after a refused list, and why it was refused.
async fn refusal(reply: impl FnOnce(&Setup) -> Reply) -> (Setup, String) {
    let setup = Setup::with(&["k1"]).await;
    setup.clock.advance(seconds(60));
    setup.list.set(reply(&setup));
    let Found::Failed(error) = setup.find("k9").await else { panic!("the list is used") };
    assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Unknown, Found::Key));
    assert_eq!(setup.list.requests(), 2);
    (setup, error.strip_prefix("keys of acme: list of revoked keys: ").unwrap().to_owned())
}

async fn assert_refused(reply: impl FnOnce(&Setup) -> Reply, problem: &str) {
    assert_eq!(refusal(reply).await.1, problem);
}

/// A list whose payload is changed before it is signed.
async fn assert_payload_refused(change: impl FnOnce(&Setup, &mut Payload), problem: &str) {
    let reply = |setup: &Setup| {
        let mut payload = Payload::new(setup, &[]);
        change(setup, &mut payload);
        governance().list(&payload.json())
    };
    assert_refused(reply, problem).await;
}

#[tokio::test]
async fn list_of_another_issuer_is_refused() {
    // With the port of the list, or the default port.
    for (name, has_port) in [("other.test", true), (NAME, false), ("other.test", false)] {
        let (setup, problem) = refusal(|setup| {
            let mut payload = Payload::new(setup, &[]);
            let port = setup.list.address.port();
            payload.issuer = format!("https://{name}{}", if has_port { format!(":{port}") } else { String::new() });
            governance().list(&payload.json())
        })
        .await;
        let url = list_url(&setup.list);
        assert_eq!(problem, format!("issuer: must have the host and port of {url}"));
    }
    let not_a_url = "issuer: must be a URL that starts with https://, not \"gov\"";
    assert_payload_refused(|_, payload| payload.issuer = "gov".into(), not_a_url).await;
}

#[tokio::test]
async fn list_with_wrong_times_is_refused() {
    assert_payload_refused(
        |setup, payload| payload.updated = time(&setup.clock, 61),
        "updated: must not be in the future",
    )
    .await;
    assert_payload_refused(
        |setup, payload| payload.next_update = time(&setup.clock, 0),
        "next_update: must be after updated",
    )
    .await;
    assert_payload_refused(
        |setup, payload| payload.next_update = time(&setup.clock, 1_861),
        "next_update: must be at most 30 minutes in the future",
    )
    .await;
    let text = "updated: must be a time, such as 2027-01-15T08:00:00Z";
    assert_payload_refused(|_, payload| payload.updated = "1800000000".into(), text).await;

    // A network that delivers an old list can hide that a key was revoked.
    let setup = Setup::start().await;
    let mut payload = Payload::new(&setup, &[]);
    payload.updated = time(&setup.clock, -1_500);
    payload.next_update = time(&setup.clock, -1_200);
    setup.list.set(governance().list(&payload.json()));
    let Found::Failed(error) = setup.find("k1").await else { panic!("a stale list is used") };
    assert!(error.contains("next_update: must be at most 4 intervals in the past: the list is stale"), "{error}");
    setup.clock.advance(seconds(1));
    payload.next_update = time(&setup.clock, -1_199);
    setup.list.set(governance().list(&payload.json()));
    assert_eq!(setup.find("k1").await, Found::Key);
}

#[tokio::test]
async fn list_with_invalid_signature_is_refused() {
    let (gov, invalid) = (governance(), "signature: must be valid");
    let header = gov.header();
    let signed = |key: &ListKey, header: &str, setup: &Setup| key.sign(header, &Payload::new(setup, &[]).json());
    let reply = |parts: [String; 3]| Reply::Send(document(&general(&parts)));
    assert_refused(|setup| reply(signed(&ListKey::of_seed("gov", 9), &header, setup)), invalid).await;
    let changed = |setup: &Setup| {
        let [protected, payload, signature] = signed(&gov, &header, setup);
        let other = URL_SAFE_NO_PAD.encode(Payload::new(setup, &["k2"]).json());
        assert_ne!(other, payload);
        reply([protected, other, signature])
    };
    assert_refused(changed, invalid).await;
    for (name, from, to, problem) in [
        ("typ", "adcp-gov-revocation+jws", "adcp-gov+jws", "typ: must be adcp-gov-revocation+jws"),
        (
            "typ",
            "adcp-gov-revocation+jws",
            "application/adcp-gov-revocation+jws",
            "typ: must be adcp-gov-revocation+jws",
        ),
        ("typ", "\"typ\"", "\"cty\"", "typ: must be a text"),
        ("alg", "EdDSA", "none", "alg: must be EdDSA or ES256"),
        ("alg", "EdDSA", "HS256", "alg: must be EdDSA or ES256"),
        ("alg", "EdDSA", "ES256", "alg: must be that of the key"),
        ("kid", "\"gov\"", "\"other\"", NO_KEY),
        ("kid", "\"gov\"", "\"response\"", NO_KEY),
        ("kid", "\"gov\"", "\"twice\"", NO_KEY),
        ("kid", "\"gov\"", "\"signs\"", NO_KEY),
        ("kid", "\"gov\"", "\"k2\"", NO_KEY),
        ("kid", "\"kid\":\"gov\",", "", "kid: must be a text"),
        ("crit", "{", "{\"crit\":[\"b64\"],", "crit: must be absent"),
    ] {
        let changed = header.replacen(from, to, 1);
        assert_ne!(changed, header, "{name}");
        let (_, found) = refusal(|setup| reply(signed(&gov, &changed, setup))).await;
        assert_eq!(found, problem, "{changed}");
    }
}

const NO_KEY: &str = "kid: must be that of a key in the key set that can sign the list";

#[tokio::test]
async fn list_that_is_not_a_jws_is_refused() {
    let not_a_jws = "must be a JWS, in the compact form or in JSON with one signature";
    let changed = |change: fn(&[String; 3]) -> String| {
        move |setup: &Setup| {
            let gov = governance();
            let parts = gov.sign(&gov.header(), &Payload::new(setup, &[]).json());
            Reply::Send(document(&change(&parts)))
        }
    };
    let unsigned = |setup: &Setup| Reply::Send(document(&Payload::new(setup, &[]).json()));
    assert_refused(unsigned, "protected: must be a text").await;
    for body in ["", "a.b", "a.b.c.d", "{", "[]", "\u{feff}{}", "<html>"] {
        assert_refused(|_| Reply::Send(document(body)), not_a_jws).await;
    }
    assert_refused(changed(|parts| format!("{}.", parts.join("."))), not_a_jws).await;
    assert_refused(changed(|parts| general(parts).replace("{\"payload", "{\"payload\":\"\",\"payload")), not_a_jws)
        .await;
    assert_refused(changed(|parts| general(parts).replace("{\"payload", "{\"signature\":\"\",\"payload")), not_a_jws)
        .await;
    let two = changed(|parts| general(parts).replace("[{", "[{},{"));
    assert_refused(two, "signatures: must be one signature").await;
    assert_refused(changed(|parts| general(parts).replace("[{", "[{},{").replace(",{", ",[{")), not_a_jws).await;
    let padded = changed(|[protected, payload, signature]| format!("{protected}=.{payload}.{signature}"));
    assert_refused(padded, "protected: must be base64url without padding").await;
    assert_refused(
        changed(|[_, payload, signature]| format!("W10.{payload}.{signature}")),
        "protected: must be a JSON object",
    )
    .await;
}

#[tokio::test]
async fn payload_without_a_member_is_refused() {
    for (from, to, problem) in [
        ("\"version\":1", "\"version\":2", "version: must be 1"),
        ("\"version\":1", "\"version\":\"1\"", "version: must be 1"),
        ("\"revoked_kids\":", "\"revoked\":", "revoked_kids: must be a list"),
        ("\"revoked_kids\":[", "\"revoked_kids\":[1", "revoked_kids: must contain only texts"),
        ("\"issuer\"", "\"iss\"", "issuer: must be a text"),
        ("\"next_update\"", "\"expires\"", "next_update: must be a text"),
        ("\"updated\"", "\"since\"", "updated: must be a text"),
    ] {
        let reply = |setup: &Setup| governance().list(&Payload::new(setup, &[]).json().replace(from, to));
        assert_refused(reply, problem).await;
    }
    let twice = |setup: &Setup| {
        governance().list(&Payload::new(setup, &[]).json().replace("\"a\"]", "\"a\"],\"revoked_kids\":[]"))
    };
    let (_, problem) = refusal(twice).await;
    assert!(problem.starts_with("payload: must be JSON: two members have the name \"revoked_kids\""), "{problem}");
}

#[tokio::test]
async fn revoked_key_cannot_sign_a_list() {
    let revoked_here = |setup: &Setup| {
        setup.keys.revoke("acme", "gov");
        governance().list(&Payload::new(setup, &[]).json())
    };
    assert_refused(revoked_here, "kid: must not be that of a revoked key").await;
    let setup = Setup::without_governance().await;
    let publish = |kid, seed, kids: &[&'static str]| {
        setup.list.set(ListKey::of_seed(kid, seed).list(&Payload::new(&setup, kids).json()));
    };
    publish("k2", 2, &["k1"]);
    setup.keys.load().await.unwrap();
    setup.clock.advance(seconds(60));
    publish("k1", 1, &[]);
    let problem = "keys of acme: list of revoked keys: kid: must not be that of a revoked key";
    assert_eq!(setup.find("k9").await, Found::Failed(problem.into()));
    assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Unknown, Found::Key));
    setup.clock.advance(seconds(60));
    publish("k2", 2, &[]);
    setup.find("k9").await;
    assert_eq!(setup.find("k1").await, Found::Key, "a list without it");
}

#[tokio::test]
async fn request_key_cannot_sign_beside_governance_key() {
    // Whoever has the key that is to be revoked, and can answer for the URL of the list, could keep the key in use.
    let setup = Setup::start().await;
    setup.list.set(ListKey::of_seed("k1", 1).list(&Payload::new(&setup, &[]).json()));
    let Found::Failed(error) = setup.find("k1").await else { panic!("the list is used") };
    assert!(error.starts_with(&format!("keys of acme: list of revoked keys: {NO_KEY}. ")), "{error}");
    // A governance key that is revoked does not permit the other keys again.
    let setup = Setup::with(&["gov"]).await;
    setup.clock.advance(seconds(60));
    setup.list.set(ListKey::of_seed("k1", 1).list(&Payload::new(&setup, &[]).json()));
    let Found::Failed(error) = setup.find("k9").await else { panic!("the list is used") };
    assert_eq!(error, format!("keys of acme: list of revoked keys: {NO_KEY}"));
}

#[tokio::test]
async fn older_list_is_ignored_while_newer_is_fresh() {
    let setup = Setup::start().await;
    let older = governance().list(&Payload::new(&setup, &[]).json());
    setup.clock.advance(seconds(1));
    setup.publish(&["k1"]);
    setup.keys.load().await.unwrap();
    // Another server of the same network has the older list.
    setup.list.set(older.clone());
    setup.clock.advance(seconds(60));
    assert_eq!(setup.find("k9").await, Found::Unknown, "the fetch has not failed");
    assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Unknown, Found::Key));
    assert_eq!(setup.list.requests(), 2);
    setup.clock.advance(seconds(59));
    assert_eq!(setup.find("k9").await, Found::Unknown);
    assert_eq!((setup.keys_server.requests(), setup.list.requests()), (3, 2), "at most once a minute");
    setup.clock.advance(seconds(781));
    let error = setup.keys.load().await.unwrap_err().to_string();
    let problem = "keys of acme: list of revoked keys: updated: must not be before that of the list in use";
    assert_eq!(error, problem, "the newer list is due");
    assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Unknown, Found::Key));
}

#[tokio::test]
async fn older_list_by_revoked_key_is_ignored() {
    let setup = Setup::start().await;
    let older = governance().list(&Payload::new(&setup, &[]).json());
    setup.clock.advance(seconds(1));
    setup.publish(&["k1", "gov"]);
    setup.keys.load().await.unwrap();
    // Another server of the same network has the older list.
    setup.list.set(older);
    setup.clock.advance(seconds(60));
    assert_eq!(setup.find("k9").await, Found::Unknown, "the fetch has not failed");
    assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Unknown, Found::Key));
    setup.clock.advance(seconds(840));
    let error = setup.keys.load().await.unwrap_err().to_string();
    assert_eq!(error, "keys of acme: list of revoked keys: kid: must not be that of a revoked key", "it is due");
    assert_eq!(setup.find("k1").await, Found::Unknown);
}

#[tokio::test]
async fn suspended_time_counts_for_the_list() {
    let setup = Setup::with(&[]).await;
    setup.publish(&["k1"]);
    // The monotonic clock stops while the machine is suspended.
    setup.clock.step_wall(900);
    assert_eq!(setup.find("k1").await, Found::Key);
    setup.publish(&["k1"]);
    setup.clock.step_wall(1);
    assert_eq!(setup.find("k1").await, Found::Unknown, "the list is due");
    assert_eq!((setup.find("k2").await, setup.list.requests()), (Found::Key, 2));
    setup.fail();
    // The list is a second old.
    setup.clock.step_wall(899 + 4 * 900);
    assert_eq!(setup.find("k2").await, Found::Key);
    setup.clock.step_wall(1);
    setup.clock.advance(seconds(1));
    let Found::Failed(error) = setup.find("k2").await else { panic!("a stale list is used") };
    assert!(error.contains("All keys are refused until the list of revoked keys can be fetched"), "{error}");
}

#[tokio::test]
async fn list_is_due_although_wall_clock_went_back() {
    let setup = Setup::with(&[]).await;
    setup.publish(&["k1"]);
    setup.clock.step_wall(-50);
    setup.clock.advance(seconds(899));
    assert_eq!(setup.find("k1").await, Found::Key);
    setup.clock.advance(seconds(1));
    assert_eq!((setup.find("k1").await, setup.list.requests()), (Found::Unknown, 2));
}

#[tokio::test]
async fn hostile_list_changes_nothing() {
    let large = "x".repeat(262_145);
    let too_large = "answered with more than 262144 bytes";
    assert_refused(|_| Reply::Send(document(&large)), too_large).await;
    let endless = Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 4_096]);
    assert_refused(|_| endless, too_large).await;
    let (_, cut) = refusal(|setup| {
        let Reply::Send(mut bytes) = governance().list(&Payload::new(setup, &[]).json()) else { unreachable!() };
        bytes.pop();
        Reply::Send(bytes)
    })
    .await;
    assert!(cut.starts_with("incomplete answer: "), "{cut}");

    let other = Setup::with(&[]).await;
    let target = format!("https://{NAME}:{}/", other.list.address.port());
    for location in [target.as_str(), "/other.json", "http://169.254.169.254/latest"] {
        let lines = format!("Location: {location}\r\n");
        let problem = "answered 302 Found: redirects are not followed; configure the final URL";
        assert_refused(|_| Reply::Send(answer_with("302 Found", &lines, "")), problem).await;
    }
    assert_eq!(other.list.requests(), 1);
}

#[tokio::test]
async fn slow_list_ends_at_the_time_limit() {
    let setup = Setup::start().await;
    let keys = builder(&setup.clock).connect_timeout(seconds(1)).timeout(seconds(1));
    let keys = keys.sender("acme", source(&setup.keys_server, &setup.list)).build().unwrap();
    setup.list.set(Reply::Hang(b"HTTP/1.1 200 OK\r\n".to_vec()));
    let error = keys.load().await.unwrap_err().to_string();
    // On a busy machine the keys can take as long.
    assert!(error.contains("list of revoked keys: took longer than 1s"), "{error}");
}

#[tokio::test]
async fn list_with_private_address_is_not_fetched() {
    let setup = Setup::start().await;
    let url = format!("https://{NAME}:{}/", setup.list.address.port());
    let source = Source::adcp_webhooks(setup.keys_server.url()).revocation_list(url);
    let source = source.danger_root_certificates(setup.list.authority.pem.clone());
    let keys = builder(&setup.clock).sender("acme", source).build().unwrap();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let error = keys.load().await.unwrap_err().to_string();
    let problem = format!("{NAME} has the address {address}, which is not public");
    assert!(error.starts_with(&format!("keys of acme: {problem}; list of revoked keys: {problem}. ")), "{error}");
    assert_eq!(setup.list.connections(), 0);
}

#[tokio::test]
async fn failing_keys_do_not_stop_the_list() {
    let setup = Setup::with(&[]).await;
    setup.keys_server.set(Reply::Send(answer_with("500 Internal Server Error", "", "")));
    setup.clock.advance(seconds(900));
    setup.publish(&["k1"]);
    assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Unknown, Found::Key));
}

#[test]
fn invalid_list_setting_is_a_config_error() {
    let clock = TestClock::default();
    let root = crate::certificates::Authority::new().pem;
    let refuse = |source: Source, text: &str| {
        let source = source.danger_root_certificates(root.clone());
        let error = builder(&clock).sender("acme", source).build().unwrap_err().to_string();
        assert_eq!(error, text);
    };
    for source in
        [Source::jwk_set("https://a.test/"), Source::ucp("https://a.test/"), Source::web_bots("https://a.test/")]
    {
        let problem = "revocation_list: must be set only for Source::adcp_webhooks and Source::adcp_requests";
        refuse(source.revocation_list("https://a.test/list"), problem);
    }
    for kind in [Source::adcp_webhooks, Source::adcp_requests] {
        let problem = "revocation_list: must be a URL that starts with https://, not \"http://a.test/list\"";
        refuse(kind("https://a.test/".to_owned()).revocation_list("http://a.test/list?token=secret"), problem);
    }
}

#[tokio::test]
async fn list_is_not_fetched_for_other_senders() {
    let setup = Setup::start().await;
    let other = Source::adcp_webhooks(setup.keys_server.url());
    let other = other.danger_private_addresses().danger_root_certificates(setup.keys_server.authority.pem.clone());
    let keys = builder(&setup.clock).sender("acme", other).build().unwrap();
    keys.load().await.unwrap();
    assert_eq!(find(&keys, "k1").await, Found::Key);
    assert_eq!(setup.list.connections(), 0);
}

#[tokio::test]
async fn many_requests_share_one_list_fetch() {
    let setup = Setup::start().await;
    let permits = Arc::new(Semaphore::new(0));
    let Reply::Send(list) = governance().list(&Payload::new(&setup, &["k1"]).json()) else { unreachable!() };
    setup.list.set(Reply::Hold(permits.clone(), list));
    let mut waiting = JoinSet::new();
    for number in 0..50 {
        let keys = setup.keys.clone();
        waiting.spawn(async move { find(&keys, ["k1", "k2"][number % 2]).await });
    }
    // The keys are there, but none is used before the list.
    setup.keys_server.wait_for(1).await;
    setup.list.wait_for(1).await;
    permits.add_permits(1);
    let found = waiting.join_all().await;
    assert_eq!(found.iter().filter(|found| **found == Found::Key).count(), 25);
    assert_eq!(found.iter().filter(|found| **found == Found::Unknown).count(), 25);
    assert_eq!((setup.keys_server.requests(), setup.list.requests()), (1, 1));
}

#[tokio::test]
async fn listed_key_is_refused_within_documented_time() {
    let setup = Setup::with(&[]).await;
    let cached = setup.keys.cached().unwrap();
    let is_known = async |id| cached.find(id).await.unwrap().is_some();
    // The cache looks the key up just before the list is due.
    setup.clock.advance(seconds(899));
    assert!(is_known("acme/k1").await && is_known("acme/k2").await);
    setup.publish(&["k1"]);
    let mut passed = 0;
    while is_known("acme/k1").await {
        setup.clock.advance(seconds(1));
        passed += 1;
        assert!(passed <= 11, "a revoked key stays in use");
    }
    assert_eq!(passed, 10);
    assert!(is_known("acme/k2").await);
}

#[tokio::test]
async fn list_that_revokes_its_key_is_the_last() {
    let setup = Setup::with(&["k1", "gov"]).await;
    assert_eq!(setup.find("k1").await, Found::Unknown);
    setup.clock.advance(seconds(60));
    setup.publish(&[]);
    let problem = "keys of acme: list of revoked keys: kid: must not be that of a revoked key";
    assert_eq!(setup.find("unknown").await, Found::Failed(problem.into()));
    assert_eq!((setup.find("k1").await, setup.find("k2").await), (Found::Unknown, Found::Key));
}

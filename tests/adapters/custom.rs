//! Attacks on the examples whose scheme is their own: Plaid's JWT and Twilio's form. All adapters must give equal answers.

use std::collections::HashMap;

use hookwarden::encoding::Encoding;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::warden::{Quotas, WardenBuilder};
use hookwarden::{Reason, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use ring::{digest, hmac};

use self::twilio::Content;
use crate::harness::receiver::Server;
use crate::harness::sender::Post;
use crate::harness::site::{NOW, Site, assert_alike, later};

#[path = "../../examples/plaid.rs"]
#[expect(dead_code, reason = "the tests use its Warden without its receiver")]
mod plaid;
#[path = "../../examples/twilio.rs"]
#[expect(dead_code, reason = "the tests use its Warden without its receiver")]
mod twilio;

pub(crate) const UNAUTHORIZED: &str = "401 Unauthorized | content-length: 0 | www-authenticate: Webhook";
pub(crate) const REPLAYED: &str = "200 OK | content-length: 0";
const BLOCKED: &str = "429 Too Many Requests | content-length: 0 | retry-after: 1";

/// The handler's answer.
pub(crate) fn handled(id: &str) -> String {
    format!("200 OK | content-length: 0 | x-handled: {id}")
}

pub(crate) const fn refused(reason: Reason) -> Outcome {
    Outcome::Refused(RefusalReason::Unverified(reason))
}

pub(crate) const DUPLICATE: Outcome = Outcome::Refused(RefusalReason::Replayed);

/// Runs a scenario on each adapter, and asserts equal answers.
pub(crate) async fn agree(warden: impl Fn() -> WardenBuilder, scenario: impl AsyncFn(&mut Site)) {
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let mut site = Site::behind(adapter, warden()).await;
        scenario(&mut site).await;
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

/// The default limit for rejected requests, and no quota headers in the handler's answers.
pub(crate) fn quotas() -> Quotas {
    Quotas::new().danger_unlimited_accepted()
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    Encoding::Base64UrlUnpadded.encode(bytes.as_ref())
}

fn sha256(bytes: &str) -> String {
    Encoding::Hex.encode(digest::digest(&digest::SHA256, bytes.as_bytes()).as_ref())
}

/// A P-256 key pair: the private key and the public point, in hex.
struct KeyPair {
    kid: &'static str,
    private: &'static str,
    public: [&'static str; 2],
}

/// RFC 6979 appendix A.2.5.
const CURRENT: KeyPair = KeyPair {
    kid: "bfbd5111-8e33-4643-8ced-b2e642a72f3c",
    private: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    public: [
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    ],
};

/// `tests/public_keys/keys/p256.pem`.
const NEXT: KeyPair = KeyPair {
    kid: "6c5516e1-92dc-479e-a8ff-5a51992e0001",
    private: "7ff1a22160f20a2ab3dc36316f851e66219fe548b2b288d9302b74045b08749e",
    public: [
        "a311d1359fecbb479be4a700f63b17fa3e2c7bb5c07784050e020a138ee862e4",
        "99aa8446e0d9f6ad57f4009cc0779d6e629a08dee2752531c541ffec22d880b9",
    ],
};

/// The id of `NEXT` as a key that has expired.
const EXPIRED: &str = "00000000-92dc-479e-a8ff-5a51992e0001";

fn hex(text: &str) -> Vec<u8> {
    Encoding::Hex.decode(text.as_bytes()).expect("hex")
}

impl KeyPair {
    /// The answer of Plaid's API.
    fn jwk(&self, expired_at: Option<Timestamp>) -> String {
        let [x, y] = self.public.map(|half| base64url(hex(half)));
        let expired_at = expired_at.map_or("null".to_owned(), |time| time.as_unix().to_string());
        format!(
            r#"{{"alg":"ES256","created_at":1560466150,"crv":"P-256","expired_at":{expired_at},"kid":"{}","kty":"EC","use":"sig","x":"{x}","y":"{y}"}}"#,
            self.kid
        )
    }

    /// The public point as bytes.
    fn point(&self) -> Vec<u8> {
        [vec![4], hex(self.public[0]), hex(self.public[1])].concat()
    }

    fn sign(&self, signed: &str) -> Vec<u8> {
        self.sign_as(&ECDSA_P256_SHA256_FIXED_SIGNING, signed)
    }

    fn sign_as(&self, algorithm: &'static ring::signature::EcdsaSigningAlgorithm, signed: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &hex(self.private), &self.point(), &random);
        pair.expect("a key pair").sign(&random, signed.as_bytes()).expect("a signature").as_ref().to_vec()
    }

    /// A JWT of this header and these claims. Each call makes another signature.
    fn jwt(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        format!("{signed}.{}", base64url(self.sign(&signed)))
    }

    /// The JWT that Plaid makes for `body`, `offset` seconds after the start of the site's clock.
    fn jwt_for(&self, body: &str, offset: i64) -> String {
        self.jwt(&header("ES256", self.kid), &claims(body, offset))
    }
}

fn header(alg: &str, kid: &str) -> String {
    format!(r#"{{"alg":"{alg}","kid":"{kid}","typ":"JWT"}}"#)
}

fn claims(body: &str, offset: i64) -> String {
    format!(r#"{{"iat":{},"request_body_sha256":"{}"}}"#, later(offset).as_unix(), sha256(body))
}

fn with_jwt(jwt: impl Into<Vec<u8>>, body: &str) -> Post {
    let headers = vec![("Plaid-Verification".to_owned(), jwt.into())];
    Post { path: "/webhooks/any".to_owned(), headers, body: body.into() }
}

fn plaid_warden() -> WardenBuilder {
    let jwks = [
        (CURRENT.kid, CURRENT.jwk(None)),
        (NEXT.kid, NEXT.jwk(None)),
        (EXPIRED, NEXT.jwk(Some(later(-1)))),
        ("not-a-key", "{}".to_owned()),
    ];
    let jwks: HashMap<_, _> = jwks.into_iter().map(|(kid, jwk)| (kid.to_owned(), jwk)).collect();
    plaid::warden(jwks).expect("settings").quotas(quotas())
}

const BODY: &str = r#"{"webhook_code":"SYNC_UPDATES_AVAILABLE"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_plaid_receivers_are_refused() {
    let good = CURRENT.jwt_for(BODY, 0);
    let [head, good_claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three segments") };
    let es256 = header("ES256", CURRENT.kid);
    let signed_claims = |claims: &str| with_jwt(CURRENT.jwt(&es256, claims), BODY);
    let signed_header = |header: &str| with_jwt(CURRENT.jwt(header, &claims(BODY, 0)), BODY);
    let raw = |jwt: &str| with_jwt(jwt, BODY);
    // The public key as the secret of an HMAC, which a verifier uses if the message chooses the algorithm.
    let hs256 = |secret: &[u8]| {
        let signed = format!("{}.{good_claims}", base64url(header("HS256", CURRENT.kid)));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        raw(&format!("{signed}.{}", base64url(mac)))
    };
    let own_jwk = format!(r#"{{"alg":"ES256","kid":"{}","jwk":{}}}"#, CURRENT.kid, NEXT.jwk(None));
    let signed = format!("{head}.{good_claims}");
    let der = base64url(CURRENT.sign_as(&ECDSA_P256_SHA256_ASN1_SIGNING, &signed));
    let none = base64url(header("none", CURRENT.kid));
    let iat = |iat: &str| signed_claims(&format!(r#"{{"iat":{iat},"request_body_sha256":"{}"}}"#, sha256(BODY)));
    let hash = |hash: &str| signed_claims(&format!(r#"{{"iat":{},"request_body_sha256":"{hash}"}}"#, NOW.as_unix()));
    let malformed = refused(Reason::MalformedSignature);
    let wrong_claims = refused(Reason::MalformedHeader);
    let mismatch = refused(Reason::Mismatch);
    let attacks = [
        ("another body", with_jwt(&*good, "{}"), mismatch),
        ("a space after the body", with_jwt(&*good, &format!("{BODY} ")), mismatch),
        ("no body", with_jwt(&*good, ""), mismatch),
        ("the hash of another body", hash(&sha256("{}")), mismatch),
        ("the start of the hash", hash(&sha256(BODY)[..62]), mismatch),
        ("an empty hash", hash(""), mismatch),
        ("other claims", raw(&format!("{head}.{}.{signature}", base64url(claims(BODY, 1)))), mismatch),
        ("another key", raw(&NEXT.jwt(&es256, &claims(BODY, 0))), mismatch),
        ("the id of another key", signed_header(&header("ES256", NEXT.kid)), mismatch),
        ("its own key in the header", raw(&NEXT.jwt(&own_jwk, &claims(BODY, 0))), mismatch),
        ("an unknown key id", signed_header(&header("ES256", "x")), Outcome::Refused(RefusalReason::UnknownId)),
        ("an empty key id", signed_header(&header("ES256", "")), Outcome::Refused(RefusalReason::UnknownId)),
        ("an expired key", raw(&NEXT.jwt(&header("ES256", EXPIRED), &claims(BODY, 0))), refused(Reason::NoLiveKey)),
        ("301 s old", raw(&CURRENT.jwt_for(BODY, -301)), refused(Reason::Stale)),
        ("301 s ahead", raw(&CURRENT.jwt_for(BODY, 301)), refused(Reason::Early)),
        ("the first second", iat("-9223372036854775808"), refused(Reason::Stale)),
        ("the last second", iat("9223372036854775807"), refused(Reason::Early)),
        ("no header", raw("").without("Plaid-Verification"), refused(Reason::MissingHeader)),
        ("two headers", raw(&good).with("plaid-verification", &*good), refused(Reason::DuplicateHeader)),
        ("an empty header", raw(""), malformed),
        ("two segments", raw(&signed), malformed),
        ("four segments", raw(&format!("{head}.{good_claims}.{signature}.")), wrong_claims),
        ("four segments, one empty", raw(&format!("{head}..{good_claims}.{signature}")), wrong_claims),
        ("a header with padding", raw(&format!("{head}=.{good_claims}.{signature}")), malformed),
        ("a header that is not base64url", raw(&format!("*{head}.{good_claims}.{signature}")), malformed),
        ("claims that are not base64url", raw(&format!("{head}.{good_claims}*.{signature}")), wrong_claims),
        ("a signature that is not base64url", raw(&format!("{signed}.+{signature}")), malformed),
        ("text that is not UTF-8", with_jwt(*b"\xff.\xff.\xff", BODY), malformed),
        ("more than 4 KiB", raw(&CURRENT.jwt(&es256, &(claims(BODY, 0) + &" ".repeat(4_000)))), malformed),
        ("a short signature", raw(&format!("{signed}.{}", &signature[..84])), malformed),
        ("no signature", raw(&format!("{signed}.")), malformed),
        ("a signature as DER", raw(&format!("{signed}.{der}")), malformed),
        ("a header that is not JSON", signed_header("ES256"), malformed),
        ("no algorithm", signed_header(&format!(r#"{{"kid":"{}"}}"#, CURRENT.kid)), malformed),
        ("no key id", signed_header(r#"{"alg":"ES256"}"#), malformed),
        ("two algorithms", signed_header(&es256.replace('{', r#"{"alg":"none","#)), malformed),
        ("alg none", raw(&format!("{none}.{good_claims}.")), malformed),
        ("alg none and a signature", signed_header(&header("none", CURRENT.kid)), malformed),
        ("alg ES384 and a signature", signed_header(&header("ES384", CURRENT.kid)), malformed),
        ("alg es256", signed_header(&header("es256", CURRENT.kid)), malformed),
        ("alg HS256 and a signature", signed_header(&header("HS256", CURRENT.kid)), malformed),
        ("alg HS256 with the point", hs256(&CURRENT.point()), malformed),
        ("alg HS256 with the JWK", hs256(CURRENT.jwk(None).as_bytes()), malformed),
        ("claims that are not JSON", signed_claims("iat"), wrong_claims),
        ("no time", signed_claims(&format!(r#"{{"request_body_sha256":"{}"}}"#, sha256(BODY))), wrong_claims),
        ("no hash", signed_claims(&format!(r#"{{"iat":{}}}"#, NOW.as_unix())), wrong_claims),
        ("a time as text", iat(r#""1800000000""#), wrong_claims),
        ("a time that is too large", iat("9223372036854775808"), wrong_claims),
        ("two times", iat(r#"1,"iat":1800000000"#), wrong_claims),
        ("a hash that is not hex", hash(&"g".repeat(64)), wrong_claims),
    ];
    agree(
        || plaid_warden().quotas(quotas().danger_unlimited_rejected()),
        async |site| {
            for (what, request, outcome) in &attacks {
                site.assert(what, &request.sized(), UNAUTHORIZED, *outcome).await;
            }
            let handled = handled("plaid");
            let exchange = site.send(&raw(&good).chunked(1, "")).await;
            exchange.assert("genuine", &handled, Outcome::Accepted);
            assert_eq!(exchange.event.webhook_id.as_deref(), Some("plaid"));
            assert_eq!(exchange.event.key_id.as_deref(), Some(CURRENT.kid));
            site.assert("again", &raw(&good).sized(), REPLAYED, DUPLICATE).await;
            let resigned = format!("{signed}.{}", base64url(CURRENT.sign(&signed)));
            assert_ne!(resigned, good);
            site.assert("another signature", &raw(&resigned).sized(), REPLAYED, DUPLICATE).await;
            site.assert("next key", &raw(&NEXT.jwt_for(BODY, -300)).sized(), &handled, Outcome::Accepted).await;
            site.assert("300 s ahead", &raw(&CURRENT.jwt_for(BODY, 300)).sized(), &handled, Outcome::Accepted).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_forged_jwts_is_blocked() {
    let forged = with_jwt(NEXT.jwt(&header("ES256", CURRENT.kid), &claims(BODY, 0)), BODY).sized();
    assert_flood_is_blocked(plaid_warden, &forged, &with_jwt(CURRENT.jwt_for(BODY, 0), BODY).sized(), "plaid").await;
}

/// Sends 60 forged requests, which are refused, and then one more, which is blocked.
async fn assert_flood_is_blocked(warden: impl Fn() -> WardenBuilder, forged: &[u8], genuine: &[u8], id: &str) {
    let blocked = Outcome::Refused(RefusalReason::PeerBlocked);
    agree(warden, async |site| {
        for _ in 0..60 {
            site.assert("forged", forged, UNAUTHORIZED, refused(Reason::Mismatch)).await;
        }
        site.assert("one too many", forged, BLOCKED, blocked).await;
        site.assert("genuine too", genuine, BLOCKED, blocked).await;
        site.clock.advance(std::time::Duration::from_secs(1));
        site.assert("a second later", genuine, &handled(id), Outcome::Accepted).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peer_that_invents_key_ids_is_blocked() {
    agree(plaid_warden, async |site| {
        let invented = |n: u8| with_jwt(CURRENT.jwt(&header("ES256", &format!("k{n}")), &claims(BODY, 0)), BODY);
        for n in 0..120 {
            let unknown = Outcome::Refused(RefusalReason::UnknownId);
            site.assert("invented", &invented(n).sized(), UNAUTHORIZED, unknown).await;
        }
        let blocked = Outcome::Refused(RefusalReason::PeerBlocked);
        site.assert("one too many", &invented(120).sized(), BLOCKED, blocked).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusable_key_of_plaid_is_not_a_refusal() {
    let unusable = with_jwt(CURRENT.jwt(&header("ES256", "not-a-key"), &claims(BODY, 0)), BODY).sized();
    agree(plaid_warden, async |site| {
        let unavailable = "503 Service Unavailable | content-length: 0 | retry-after: 1";
        site.assert("unusable", &unusable, unavailable, Outcome::Refused(RefusalReason::KeyStoreUnavailable)).await;
    })
    .await;
}

/// `base64(HMAC-SHA1(key, message))`.
fn hmac_sha1(key: &str, message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    Encoding::Base64.encode(hmac::sign(&key, message.as_bytes()).as_ref())
}

const TOKEN: &str = "12345";
/// The path and the origin that the tests sign.
const SMS: &str = "/webhooks/sms?order=17";
const ORIGIN: &str = "https://example.com";

fn twilio_warden(content: Content) -> WardenBuilder {
    twilio::warden("example.com", TOKEN, content).expect("settings").quotas(quotas())
}

/// A request whose signed content is `message`, under `key`.
fn with_mac(key: &str, message: &str, path: &str, body: &str) -> Post {
    let headers = vec![("X-Twilio-Signature".to_owned(), hmac_sha1(key, message).into_bytes())];
    Post { path: path.to_owned(), headers, body: body.into() }
}

fn form(body: &str, content: &str) -> Post {
    with_mac(TOKEN, &format!("{ORIGIN}{SMS}{content}"), SMS, body)
}

fn json(path: &str, body: &str) -> Post {
    with_mac(TOKEN, &format!("{ORIGIN}{path}"), path, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_of_twilios_packages_are_accepted() {
    for (content, (path, _, signature, body)) in [Content::Form, Content::Json].into_iter().zip(twilio::MESSAGES) {
        let headers = vec![("X-Twilio-Signature".to_owned(), signature.into())];
        let genuine = Post { path: path.to_owned(), headers, body: body.into() };
        // The same package signs the form's URL with the port too, and accepts both signatures.
        let with_port = genuine.clone().replacing("X-Twilio-Signature", "QEu3zwgjC++y7BaXIaa3OizQsro=");
        agree(
            || twilio_warden(content),
            async |site| {
                site.assert("genuine", &genuine.sized(), &handled("twilio"), Outcome::Accepted).await;
                site.assert("again", &genuine.chunked(1, ""), REPLAYED, DUPLICATE).await;
                if matches!(content, Content::Form) {
                    site.assert("port", &with_port.sized(), &handled("twilio"), Outcome::Accepted).await;
                }
            },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_twilio_receivers_are_refused() {
    let good = form("B=2&A=1&b=3", "A1B2b3");
    let header = "X-Twilio-Signature";
    let malformed = refused(Reason::MalformedSignature);
    let mismatch = refused(Reason::Mismatch);
    let host = with_mac(TOKEN, &format!("https://example.org{SMS}A1B2b3"), SMS, "B=2&A=1&b=3");
    let plain = with_mac(TOKEN, &format!("http://example.com{SMS}A1B2b3"), SMS, "B=2&A=1&b=3");
    let key = with_mac("12346", &format!("{ORIGIN}{SMS}A1B2b3"), SMS, "B=2&A=1&b=3");
    let sha256_mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, TOKEN.as_bytes()), b"x");
    let attacks = [
        ("another value", good.clone().carrying("B=2&A=2&b=3"), mismatch),
        ("another name", good.clone().carrying("B=2&C=1&b=3"), mismatch),
        ("a parameter more", good.clone().carrying("B=2&A=1&b=3&c=4"), mismatch),
        ("a parameter twice with two values", good.clone().carrying("B=2&A=1&b=3&A=2"), mismatch),
        ("a parameter less", good.clone().carrying("B=2&A=1"), mismatch),
        ("no body", good.clone().carrying(""), mismatch),
        ("another query", good.clone().to("/webhooks/sms?order=18"), mismatch),
        ("no query", good.clone().to("/webhooks/sms"), mismatch),
        ("another path", good.clone().to("/webhooks/voice?order=17"), mismatch),
        ("another spelling of the path", good.clone().to("/webhooks/%73ms?order=17"), mismatch),
        ("another host", host, mismatch),
        ("another protocol", plain, mismatch),
        ("a forwarded host", good.clone().to("/webhooks/sms").with("X-Forwarded-Host", "example.com"), mismatch),
        ("another key", key, mismatch),
        ("unsorted content", form("B=2&A=1", "B2A1"), mismatch),
        ("content in another case", form("b=2&A=1&B=3", "A1b2B3"), mismatch),
        ("no signature", good.clone().without(header), refused(Reason::MissingHeader)),
        ("two signatures", good.clone().with(header, good.value(header)), refused(Reason::DuplicateHeader)),
        ("an empty signature", good.clone().replacing(header, ""), malformed),
        ("a signature in hex", good.clone().replacing(header, "0".repeat(40)), malformed),
        (
            "a MAC of another size",
            good.clone().replacing(header, Encoding::Base64.encode(sha256_mac.as_ref())),
            malformed,
        ),
        ("a signature that is not base64", good.clone().replacing(header, "*".repeat(28)), malformed),
    ];
    agree(
        || twilio_warden(Content::Form).quotas(quotas().danger_unlimited_rejected()),
        async |site| {
            for (what, request, outcome) in &attacks {
                site.assert(what, &request.sized(), UNAUTHORIZED, *outcome).await;
            }
            site.assert("genuine", &good.chunked(1, ""), &handled("twilio"), Outcome::Accepted).await;
            // These have the MAC of the original, so they are the same delivery.
            for (what, copy) in [
                ("the original", good.clone()),
                ("another order", good.clone().carrying("b=3&B=2&A=1")),
                ("a parameter twice", good.clone().carrying("B=2&A=1&b=3&A=1")),
                ("another spelling", good.clone().carrying("%42=2&A=%31&b=3&")),
                ("bytes moved from a value to a name", good.clone().carrying("A1B=2&b=3")),
                ("bytes moved to the URL", good.clone().to(&format!("{SMS}A1")).carrying("B=2&b=3")),
                ("all bytes moved to the URL", good.clone().to(&format!("{SMS}A1B2b3")).carrying("")),
            ] {
                site.assert(what, &copy.sized(), REPLAYED, DUPLICATE).await;
            }
            site.clock.advance(std::time::Duration::from_secs(86_401));
            site.assert("after the lifetime", &good.sized(), &handled("twilio"), Outcome::Accepted).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_twilios_json_are_refused() {
    let path = |body: &str| format!("/webhooks/events?bodySHA256={}&order=17", sha256(body));
    let good = json(&path("{}"), "{}");
    let two = format!("{}&bodySHA256={}", path("[]"), sha256("{}"));
    // The value of a captured form, moved into the URL.
    let text = format!("&bodySHA256={}", sha256("{}"));
    let captured = form(&format!("Body={}", text.replace('&', "%26").replace('=', "%3D")), &format!("Body{text}"));
    let mismatch = refused(Reason::Mismatch);
    let no_hash = refused(Reason::MalformedHeader);
    let attacks = [
        ("another body", good.clone().carrying("[]"), mismatch),
        ("another body and its hash", good.clone().to(&path("[]")).carrying("[]"), mismatch),
        ("another query", good.clone().to(&path("{}").replace("17", "18")), mismatch),
        ("the hash of another body", json(&path("[]"), "{}"), mismatch),
        ("the start of the hash", json(&path("{}").replace("&order", "")[..80], "{}"), mismatch),
        ("no hash", json("/webhooks/events", "{}"), no_hash),
        ("another name", json(&path("{}").replace("SHA", "sha"), "{}"), no_hash),
        ("two hashes", json(&two, "{}"), no_hash),
        ("a hash that is not hex", json("/webhooks/events?bodySHA256=x", "{}"), no_hash),
        ("a form", captured.clone(), no_hash),
    ];
    agree(
        || twilio_warden(Content::Json).quotas(quotas().danger_unlimited_rejected()),
        async |site| {
            for (what, request, outcome) in &attacks {
                site.assert(what, &request.sized(), UNAUTHORIZED, *outcome).await;
            }
            site.assert("genuine", &good.chunked(1, ""), &handled("twilio"), Outcome::Accepted).await;
            site.assert("again", &good.sized(), REPLAYED, DUPLICATE).await;
        },
    )
    .await;
    // An endpoint for forms does not accept the JSON.
    agree(
        || twilio_warden(Content::Form),
        async |site| {
            site.assert("genuine", &captured.sized(), &handled("twilio"), Outcome::Accepted).await;
            let moved = captured.clone().to(&format!("{SMS}Body{text}")).carrying("{}");
            site.assert("moved", &moved.sized(), UNAUTHORIZED, mismatch).await;
            site.assert("JSON", &good.sized(), UNAUTHORIZED, mismatch).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_forged_forms_is_blocked() {
    let genuine = form("A=1", "A1");
    let forged = genuine.clone().carrying("A=2").sized();
    assert_flood_is_blocked(|| twilio_warden(Content::Form), &forged, &genuine.sized(), "twilio").await;
}

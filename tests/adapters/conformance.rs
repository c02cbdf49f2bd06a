//! The wire contract: axum's server, bare hyper and actix-web must give equal answers to equal requests.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::event::{Observer, Outcome, RefusalReason, SecurityEvent, Warning};
use hookwarden::headers::Head;
use hookwarden::keys::{AsyncKeyStore, CachedKeys, KeyStore};
use hookwarden::limit::LocalLimiter;
use hookwarden::proxies::Proxies;
use hookwarden::replay::LocalReplay;
use hookwarden::testing::{FaultyStore, StoreFault, TestClock};
use hookwarden::warden::{Answer, AnswerBody, BodyLimits, Quotas, Replay, WardenBuilder};
use hookwarden::{BoxFuture, IdSource, Keyring, Quota, Reason, Scheme};
use tokio::task::JoinSet;

use crate::harness::client::{Connection, DEPARTURES};
use crate::harness::receiver::Server;
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring, signer};
use crate::harness::site::{Act, NOW, SHORT_DEADLINE, Site, agree, assert_alike, later, signed};
use crate::harness::store::Recorder;

const SIGNATURE: &str = "X-Webhook-Signature";
const TIMESTAMP: &str = "X-Webhook-Timestamp";

/// The handler's answer.
const HANDLED: &str = "200 OK | content-length: 0 | x-handled: acme";
/// The answer to every request that is not authentic.
const UNAUTHORIZED: &str = "401 Unauthorized | content-length: 0 | www-authenticate: Webhook";
const TOO_LARGE: &str = "413 Payload Too Large | content-length: 0";
const TOO_SLOW: &str = "408 Request Timeout | content-length: 0";
/// The answers to a duplicate: during the handler, and after it.
const IN_PROGRESS: &str = "409 Conflict | content-length: 0 | retry-after: 60";
const REPLAYED: &str = "200 OK | content-length: 0";
const BROKEN: &str = "500 Internal Server Error | content-length: 0";

const fn refused(reason: RefusalReason) -> Outcome {
    Outcome::Refused(reason)
}

/// A request with its name, the whole answer and the outcome.
type Row = (&'static str, Vec<u8>, &'static str, Outcome);

/// Requests whose result depends only on the head.
fn heads() -> Vec<Row> {
    let good = || signed("x", 0);
    let twice = |name: &str| {
        let value = good().value(name);
        good().with(&name.to_lowercase(), value).sized()
    };
    let with_signature = |value: &[u8]| good().replacing(SIGNATURE, value).sized();
    let with_timestamp = |value: &str| good().replacing(TIMESTAMP, value).sized();
    let tag = String::from_utf8(good().value(SIGNATURE)).expect("text");
    let missing = refused(RefusalReason::Unverified(Reason::MissingHeader));
    let duplicate = refused(RefusalReason::Unverified(Reason::DuplicateHeader));
    let signature = refused(RefusalReason::Unverified(Reason::MalformedSignature));
    let timestamp = refused(RefusalReason::Unverified(Reason::MalformedTimestamp));
    vec![
        ("valid", good().sized(), HANDLED, Outcome::Accepted),
        ("valid and chunked", good().chunked(1, ""), HANDLED, Outcome::Accepted),
        ("valid without a body", signed("", 0).sized(), HANDLED, Outcome::Accepted),
        ("valid without any framing", signed("", 0).head(""), HANDLED, Outcome::Accepted),
        ("upper case", with_signature(tag.to_uppercase().as_bytes()), HANDLED, Outcome::Accepted),
        ("300 s old", signed("x", -300).sized(), HANDLED, Outcome::Accepted),
        ("300 s ahead", signed("x", 300).sized(), HANDLED, Outcome::Accepted),
        ("no signature", good().without(SIGNATURE).sized(), UNAUTHORIZED, missing),
        ("no timestamp", good().without(TIMESTAMP).sized(), UNAUTHORIZED, missing),
        ("two signatures", twice(SIGNATURE), UNAUTHORIZED, duplicate),
        ("two timestamps", twice(TIMESTAMP), UNAUTHORIZED, duplicate),
        ("empty signature", with_signature(b""), UNAUTHORIZED, signature),
        ("short signature", with_signature(tag.as_bytes().split_last().expect("a byte").1), UNAUTHORIZED, signature),
        ("long signature", with_signature(format!("{tag}0").as_bytes()), UNAUTHORIZED, signature),
        ("prefixed signature", with_signature(format!("sha256={tag}").as_bytes()), UNAUTHORIZED, signature),
        ("list of signatures", with_signature(format!("{tag},{tag}").as_bytes()), UNAUTHORIZED, signature),
        ("no hex", with_signature("g".repeat(64).as_bytes()), UNAUTHORIZED, signature),
        ("signature beyond ASCII", with_signature(&[0xff; 64]), UNAUTHORIZED, signature),
        ("signature of 4 KiB", with_signature(&[b'0'; 4096]), UNAUTHORIZED, signature),
        ("empty timestamp", with_timestamp(""), UNAUTHORIZED, timestamp),
        ("no number", with_timestamp("1e9"), UNAUTHORIZED, timestamp),
        ("sign", with_timestamp("+1800000000"), UNAUTHORIZED, timestamp),
        ("leading zero", with_timestamp("01800000000"), UNAUTHORIZED, timestamp),
        ("20 digits", with_timestamp("18000000000000000000"), UNAUTHORIZED, timestamp),
        ("negative", with_timestamp("-1800000000"), UNAUTHORIZED, timestamp),
        (
            "milliseconds",
            with_timestamp("1800000000000"),
            UNAUTHORIZED,
            refused(RefusalReason::Unverified(Reason::Early)),
        ),
        ("301 s old", signed("x", -301).sized(), UNAUTHORIZED, refused(RefusalReason::Unverified(Reason::Stale))),
        ("301 s ahead", signed("x", 301).sized(), UNAUTHORIZED, refused(RefusalReason::Unverified(Reason::Early))),
    ]
}

/// Requests whose result depends on the signature.
fn signatures() -> Vec<Row> {
    let good = || signed("body", 0);
    let other_key = Post::signed_by(&signer(Scheme::timestamped(), "another-secret"), "/", &[], "body", NOW);
    let mismatch = refused(RefusalReason::Unverified(Reason::Mismatch));
    let unknown = refused(RefusalReason::UnknownId);
    vec![
        ("other body", good().carrying("bodx").sized(), UNAUTHORIZED, mismatch),
        ("other body, chunked", good().carrying("bodx").chunked(3, ""), UNAUTHORIZED, mismatch),
        ("no body", good().carrying("").sized(), UNAUTHORIZED, mismatch),
        ("more body", good().carrying("body ").sized(), UNAUTHORIZED, mismatch),
        ("zeros", good().replacing(SIGNATURE, "0".repeat(64)).sized(), UNAUTHORIZED, mismatch),
        ("other time", good().replacing(TIMESTAMP, "1799999999").sized(), UNAUTHORIZED, mismatch),
        ("other key", other_key.to("/webhooks/acme").sized(), UNAUTHORIZED, mismatch),
        ("unknown id", good().to("/webhooks/other").sized(), UNAUTHORIZED, unknown),
        ("id in upper case", good().to("/webhooks/ACME").sized(), UNAUTHORIZED, unknown),
        ("id that is not UTF-8", good().to("/webhooks/%ff").sized(), UNAUTHORIZED, unknown),
        ("id with a byte inside that is not UTF-8", good().to("/webhooks/ac%c3me").sized(), UNAUTHORIZED, unknown),
        ("id with a NUL", good().to("/webhooks/acme%00").sized(), UNAUTHORIZED, unknown),
        ("id decoded twice", good().to("/webhooks/ac%256De").sized(), UNAUTHORIZED, unknown),
        ("id of 10 kB", good().to(&format!("/webhooks/{}", "y".repeat(10_000))).sized(), UNAUTHORIZED, unknown),
        ("encoded id", good().to("/webhooks/ac%6De").sized(), HANDLED, Outcome::Accepted),
        ("id before a query", good().to("/webhooks/acme?id=other&%ff").sized(), HANDLED, Outcome::Accepted),
    ]
}

/// Requests whose result depends on their size, under a limit of 1,000 bytes.
fn sizes() -> Vec<Row> {
    let too_large = refused(RefusalReason::BodyTooLarge);
    let exact = signed([7; 1000], 0);
    let more = signed([7; 1001], 0);
    let ten_gigabytes = signed("", 0).head("Content-Length: 10000000000\r\n");
    let broken = [signed("", 0).head("Transfer-Encoding: chunked\r\n"), b"size\r\n".to_vec()].concat();
    let most = signed("", 0).head("Content-Length: 18446744073709551613\r\n");
    vec![
        ("cap", exact.sized(), HANDLED, Outcome::Accepted),
        ("cap, chunked", exact.chunked(999, ""), HANDLED, Outcome::Accepted),
        ("over the cap", more.sized(), TOO_LARGE, too_large),
        ("over the cap, chunked", more.chunked(999, ""), TOO_LARGE, too_large),
        ("over the cap, one chunk", more.chunked(1001, ""), TOO_LARGE, too_large),
        ("far over the cap, chunked", signed(vec![7; 100_000], 0).chunked(10_000, ""), TOO_LARGE, too_large),
        ("10 GB announced", ten_gigabytes, TOO_LARGE, too_large),
        ("nearly 2^64 bytes announced", most, TOO_LARGE, too_large),
        ("no chunk", broken, "400 Bad Request | content-length: 0", refused(RefusalReason::BodyInterrupted)),
        ("forged over the cap", more.carrying([8; 1001]).sized(), TOO_LARGE, too_large),
    ]
}

fn unlimited(warden: hookwarden::warden::WardenBuilder) -> hookwarden::warden::WardenBuilder {
    warden.quotas(Quotas::new().danger_unlimited_accepted().danger_unlimited_rejected()).replay(Replay::danger_off())
}

/// Removes the sender's quota.
fn unmetered(warden: hookwarden::warden::WardenBuilder) -> hookwarden::warden::WardenBuilder {
    warden.quotas(Quotas::new().danger_unlimited_accepted())
}

#[tokio::test]
async fn adapters_agree_on_every_answer() {
    for rows in [heads, signatures, sizes] {
        agree(
            |warden| unlimited(warden).body(BodyLimits::new().max_bytes(1000)),
            async |site| {
                for (what, bytes, answer, outcome) in rows() {
                    site.assert(what, &bytes, answer, outcome).await;
                }
            },
        )
        .await;
    }
}

#[tokio::test]
async fn forwarded_address_is_trusted_from_named_proxy_only() {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let (proxy, other, client) = (address("127.0.0.2"), address("127.0.0.1"), address("203.0.113.9"));
    let proxies = Proxies::x_forwarded_for(1, ["10.0.0.0/8", "127.0.0.2"]).expect("one proxy");
    agree(
        |warden| unlimited(warden).proxies(proxies.clone()),
        async |site| {
            for (from, peer) in [(proxy, client), (other, other)] {
                let post = signed("x", 0).with("X-Forwarded-For", "192.0.2.1, 203.0.113.9");
                let mut connection = site.connect_from(from).await;
                let exchange = site.send_on(&mut connection, &post.sized()).await;
                exchange.assert(&format!("{:?} from {from}", site.adapter), HANDLED, Outcome::Accepted);
                assert_eq!(exchange.event.peer, Some(peer), "{:?} from {from}", site.adapter);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn forger_bypassing_the_proxy_is_one_peer() {
    let quota = || Quota::new(2, Duration::from_secs(3_600)).expect("a quota");
    let proxies = Proxies::x_forwarded_for(1, ["127.0.0.2"]).expect("one proxy");
    let settings = |warden: hookwarden::warden::WardenBuilder| {
        warden.quotas(Quotas::new().rejected(quota()).rejected_by_peer(quota())).proxies(proxies.clone())
    };
    agree(settings, async |site| {
        let mut statuses = Vec::new();
        for nth in 0..3 {
            let post = signed("x", 0).carrying("y").with("X-Forwarded-For", format!("192.0.2.{nth}"));
            statuses.push(site.send(&post.sized()).await.answer.expect("an answer").status);
        }
        assert_eq!(statuses, [401, 401, 429], "{:?}", site.adapter);
    })
    .await;
}

/// Unsupported requests announce a body that does not follow: the answer does not wait for it.
#[tokio::test]
async fn unlisted_method_is_refused_unread() {
    const FRAMING: &str = "Content-Length: 100\r\n";
    const POST_ALONE: &str = "405 Method Not Allowed | allow: POST | content-length: 0";
    agree(unlimited, async |site| {
        for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "post"] {
            for post in [signed("x", 0), signed("x", -301), signed("x", 0).without(SIGNATURE)] {
                let head = post.head_of(method, FRAMING);
                site.assert(method, &head, POST_ALONE, refused(RefusalReason::MethodNotAllowed)).await;
            }
        }
        site.assert("POST", &signed("x", 0).sized(), HANDLED, Outcome::Accepted).await;
    })
    .await;
    agree(
        |warden| unlimited(warden).methods(["POST", "PUT"]),
        async |site| {
            let other = "405 Method Not Allowed | allow: POST, PUT | content-length: 0";
            let put = signed("", 0).head_of("PUT", "Content-Length: 0\r\n");
            site.assert("PUT", &put, HANDLED, Outcome::Accepted).await;
            site.assert("POST", &signed("x", 0).sized(), HANDLED, Outcome::Accepted).await;
            let get = signed("x", 0).head_of("GET", FRAMING);
            site.assert("GET", &get, other, refused(RefusalReason::MethodNotAllowed)).await;
        },
    )
    .await;
}

#[tokio::test]
async fn unlisted_content_type_is_refused_unread() {
    const TYPES: [&str; 2] = ["application/json", "application/cloudevents+json"];
    const OTHER: &str =
        "415 Unsupported Media Type | accept: application/json, application/cloudevents+json | content-length: 0";
    let other = refused(RefusalReason::UnsupportedMediaType);
    let of = |value: &str| signed("x", 0).with("Content-Type", value);
    let settings = |warden| unlimited(warden).content_types(TYPES);
    agree(settings, async |site| {
        for value in [TYPES[0], TYPES[1], "Application/JSON", "application/json; charset=utf-8", "application/json ;a"]
        {
            site.assert(value, &of(value).sized(), HANDLED, Outcome::Accepted).await;
        }
        for value in [
            "text/plain",
            "application/jsonx",
            "application",
            "",
            "text/plain, application/json",
            "json;application/json",
        ] {
            for post in [of(value), of(value).without(SIGNATURE)] {
                site.assert(value, &post.head("Content-Length: 100\r\n"), OTHER, other).await;
            }
        }
        let bare = signed("x", 0);
        site.assert("none", &bare.head("Content-Length: 100\r\n"), OTHER, other).await;
        let two = of(TYPES[0]).with("content-type", TYPES[0]);
        site.assert("two", &two.head("Content-Length: 100\r\n"), OTHER, other).await;
        let forged = of(TYPES[0]).carrying("y").sized();
        site.assert("forged", &forged, UNAUTHORIZED, refused(RefusalReason::Unverified(Reason::Mismatch))).await;
        let both = of("text/plain").head_of("PUT", "Content-Length: 100\r\n");
        let answer = "405 Method Not Allowed | allow: POST | content-length: 0";
        site.assert("other method too", &both, answer, refused(RefusalReason::MethodNotAllowed)).await;
    })
    .await;
}

#[tokio::test]
async fn ids_are_decoded_once_and_reported_decoded() {
    // An id, and the forms that it can have in a path.
    let ids: [(&str, &[&str]); 7] = [
        ("a/b", &["a%2Fb", "a%2fb"]),
        ("50%", &["50%25"]),
        ("%41", &["%2541"]),
        ("a+b", &["a+b", "a%2Bb"]),
        ("a b", &["a%20b"]),
        ("größe", &["gr%C3%B6%c3%9Fe"]),
        ("a?b#c", &["a%3Fb%23c"]),
    ];
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let scheme = Scheme::timestamped();
        let mut site = Site::of(adapter, scheme.clone(), |warden| {
            let warden = ids
                .iter()
                .fold(warden, |warden, (id, _)| warden.sender(*id, keyring(&scheme, &format!("the secret of {id}"))));
            unlimited(warden)
        })
        .await;
        for (id, spellings) in ids {
            let signer = signer(scheme.clone(), &format!("the secret of {id}"));
            for spelling in spellings {
                let post = Post::signed_by(&signer, &format!("/webhooks/{spelling}"), &[], "x", NOW);
                let exchange = site.send(&post.sized()).await;
                assert_eq!(exchange.event.outcome, Outcome::Accepted, "{adapter:?}, {spelling}");
                let label: String = id
                    .chars()
                    .map(|c| if c.is_ascii() { c.to_string() } else { c.escape_default().to_string() })
                    .collect();
                assert_eq!(exchange.event.webhook_id, Some(label), "{adapter:?}, {spelling}");
            }
        }
        // Bytes that are not UTF-8 are not an id, so the event has no id.
        let exchange = site.send(&signed("x", 0).to("/webhooks/%ff").sized()).await;
        assert_eq!(
            (exchange.event.outcome, exchange.event.webhook_id),
            (refused(RefusalReason::UnknownId), None),
            "{adapter:?}"
        );
        let exchange = site.send(&signed("x", 0).to("/webhooks/%EF%BF%BD").sized()).await;
        assert_eq!(exchange.event.webhook_id.as_deref(), Some(r"\u{fffd}"), "{adapter:?}");
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

#[tokio::test]
async fn at_most_32_candidates_are_tried() {
    let scheme = Scheme::stripe();
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let mut site =
            Site::of(adapter, scheme.clone(), |warden| unlimited(warden.sender(ID, keyring(&scheme, SECRET)))).await;
        let good = Post::signed_by(&signer(scheme.clone(), SECRET), "/webhooks/acme", &[], "x", NOW);
        let value = String::from_utf8(good.value("Stripe-Signature")).unwrap();
        let (time, tag) = value.split_once(",v1=").unwrap();
        let wrong = format!(",v1={}", "0".repeat(64));
        for (what, value, answer, outcome) in [
            ("the only one", value.clone(), HANDLED, Outcome::Accepted),
            ("the last of 32", format!("{time}{},v1={tag}", wrong.repeat(31)), HANDLED, Outcome::Accepted),
            ("the first of 32", format!("{value}{}", wrong.repeat(31)), HANDLED, Outcome::Accepted),
            (
                "none of 32",
                format!("{time}{}", wrong.repeat(32)),
                UNAUTHORIZED,
                refused(RefusalReason::Unverified(Reason::Mismatch)),
            ),
            (
                "one of 33",
                format!("{value}{}", wrong.repeat(32)),
                UNAUTHORIZED,
                refused(RefusalReason::Unverified(Reason::TooManyCandidates)),
            ),
            ("no time", format!("v1={tag}"), UNAUTHORIZED, refused(RefusalReason::Unverified(Reason::MissingHeader))),
            (
                "two times",
                format!("t=1,{value}"),
                UNAUTHORIZED,
                refused(RefusalReason::Unverified(Reason::DuplicateHeader)),
            ),
        ] {
            site.assert(what, &good.clone().replacing("Stripe-Signature", value).sized(), answer, outcome).await;
        }
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

#[tokio::test]
async fn stalled_or_slow_body_is_answered_408() {
    agree(
        |warden| unlimited(warden).body(BodyLimits::new().deadline(SHORT_DEADLINE)),
        async |site| {
            for (framing, first, drop) in [
                ("Content-Length: 100\r\n", "ten bytes.", ""),
                ("Content-Length: 1000\r\n", "", "x"),
                ("Transfer-Encoding: chunked\r\n", "a\r\nten bytes.\r\n", ""),
                ("Transfer-Encoding: chunked\r\n", "", "1\r\nx\r\n"),
            ] {
                let mut connection = site.connect().await;
                let began = std::time::Instant::now();
                connection.send(&[&signed("", 0).head(framing), first.as_bytes()].concat()).await;
                let answer = connection.drip(drop.as_bytes(), Duration::from_millis(40)).await.unwrap();
                let permitted = SHORT_DEADLINE..SHORT_DEADLINE + Duration::from_secs(1);
                assert!(permitted.contains(&began.elapsed()), "{:?}: {:?}", site.adapter, began.elapsed());
                assert_eq!(answer.essence(), TOO_SLOW, "{:?}, {framing}", site.adapter);
                assert_eq!(site.events.next().await.outcome, refused(RefusalReason::BodyTooSlow), "{:?}", site.adapter);
                site.transcript.push(answer.essence());
            }
        },
    )
    .await;
}

/// A sender that never ends its refused body cannot keep the connection or the receiver busy.
#[tokio::test]
async fn endless_body_of_refused_request_is_cut_off() {
    let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
    agree(
        |warden| unlimited(warden).body(BodyLimits::new().max_bytes(1000)),
        async |site| {
            for (post, answer, reason) in [
                (signed("", -301), UNAUTHORIZED, RefusalReason::Unverified(Reason::Stale)),
                (signed("", 0), TOO_LARGE, RefusalReason::BodyTooLarge),
            ] {
                let mut connection = site.connect().await;
                let first = [post.head("Transfer-Encoding: chunked\r\n"), chunk.clone()].concat();
                let exchange = site.send_on(&mut connection, &first).await;
                exchange.assert(&format!("{:?}", site.adapter), answer, refused(reason));
                let next = connection.drip(&chunk, Duration::from_millis(5)).await;
                assert_eq!(next, None, "{:?}", site.adapter);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn every_verified_request_gets_quota_headers() {
    let policy = "ratelimit-policy: \"webhook\";q=2;w=60";
    agree(
        |warden| warden.quotas(Quotas::new().accepted(Quota::per_minute(2).unwrap())),
        async |site| {
            let accepted = |r: u32, t: u32| {
                format!("200 OK | content-length: 0 | {policy} | ratelimit: \"webhook\";r={r};t={t} | x-handled: acme")
            };
            site.assert("first", &signed("1", 0).sized(), &accepted(1, 30), Outcome::Accepted).await;
            site.assert("forged", &signed("1", 0).carrying("2").sized(), UNAUTHORIZED, refused(RefusalReason::Unverified(Reason::Mismatch))).await;
            site.assert("second", &signed("2", 0).sized(), &accepted(0, 60), Outcome::Accepted).await;
            // The answers to a duplicate and from a failing handler keep their status, even if the quota is used up.
            site.assert("replay", &signed("2", 0).sized(), REPLAYED, refused(RefusalReason::Replayed)).await;
            let exceeded = format!(
                "429 Too Many Requests | content-length: 0 | {policy} | ratelimit: \"webhook\";r=0;t=60 | retry-after: 30"
            );
            site.assert("third", &signed("3", 0).sized(), &exceeded, refused(RefusalReason::QuotaExceeded)).await;
            site.clock.advance(Duration::from_millis(29_500));
            let soon = exceeded.replace("t=60", "t=31").replace("retry-after: 30", "retry-after: 1");
            site.assert("too early", &signed("3", 0).sized(), &soon, refused(RefusalReason::QuotaExceeded)).await;
            site.clock.advance(Duration::from_millis(500));
            // The claims of denied requests are released.
            site.assert("third again", &signed("3", 0).sized(), &accepted(0, 60), Outcome::Accepted).await;
            site.clock.advance(Duration::from_secs(30));
            site.then(Act::Answer(500));
            let failed = accepted(0, 60).replace("200 OK", "500 Internal Server Error");
            site.assert("failing", &signed("4", 0).sized(), &failed, Outcome::Released).await;
        },
    )
    .await;
}

#[tokio::test]
async fn blocked_peer_gets_no_quota_headers() {
    let quota = Quota::per_minute(3).unwrap();
    agree(
        |warden| {
            warden
                .quotas(Quotas::new().rejected(quota).rejected_by_peer(quota))
                .sender("other", keyring(&Scheme::timestamped(), "of the other"))
        },
        async |site| {
            let forged = signed("x", 0).carrying("y").sized();
            let blocked = |seconds| format!("429 Too Many Requests | content-length: 0 | retry-after: {seconds}");
            for what in ["first", "second", "third"] {
                site.assert(what, &forged, UNAUTHORIZED, refused(RefusalReason::Unverified(Reason::Mismatch))).await;
            }
            for (what, bytes) in [
                ("forged", forged.clone()),
                ("genuine", signed("x", 0).sized()),
                ("over the cap", signed("", 0).head("Content-Length: 10000000000\r\n")),
                ("id that is not UTF-8", signed("x", 0).to("/webhooks/%ff").sized()),
            ] {
                site.assert(what, &bytes, &blocked(20), refused(RefusalReason::PeerBlocked)).await;
            }
            // A request that is refused for its head is not charged, so it gets the same answer as before.
            site.assert(
                "bad head",
                &signed("x", -301).sized(),
                UNAUTHORIZED,
                refused(RefusalReason::Unverified(Reason::Stale)),
            )
            .await;
            site.clock.advance(Duration::from_millis(19_900));
            site.assert("early", &forged, &blocked(1), refused(RefusalReason::PeerBlocked)).await;
            site.clock.advance(Duration::from_secs(1));
            site.assert("late", &signed("x", 0).sized(), &accepted_of_100(99, 1), Outcome::Accepted).await;
        },
    )
    .await;
}

/// An accepted request under the default quota.
fn accepted_of_100(remaining: u32, seconds: u32) -> String {
    let quota = format!("ratelimit-policy: \"webhook\";q=100;w=60 | ratelimit: \"webhook\";r={remaining};t={seconds}");
    HANDLED.replace(" | x-handled", &format!(" | {quota} | x-handled"))
}

#[tokio::test]
async fn concurrent_copies_of_a_delivery_get_409() {
    agree(unmetered, async |site| {
        let post = signed("x", 0);
        let release = site.hold();
        let mut first = site.connect().await;
        first.send(&post.sized()).await;
        assert_eq!(site.run().await, "x");
        let in_progress = |seconds| format!("409 Conflict | content-length: 0 | retry-after: {seconds}");
        let upper = String::from_utf8(post.value(SIGNATURE)).unwrap().to_uppercase();
        let copies = [post.sized(), post.chunked(1, ""), post.clone().replacing(SIGNATURE, upper).sized()];
        for copy in &copies {
            site.assert("during", copy, &in_progress(60), refused(RefusalReason::InProgress)).await;
        }
        site.clock.advance(Duration::from_millis(58_500));
        site.assert("later", &copies[0], &in_progress(2), refused(RefusalReason::InProgress)).await;
        // Another delivery is not affected.
        site.assert("other", &signed("y", 0).sized(), HANDLED, Outcome::Accepted).await;

        release.send(200).unwrap();
        assert_eq!(first.answer().await.unwrap().essence(), HANDLED);
        assert_eq!(site.events.next().await.outcome, Outcome::Accepted);
        for copy in &copies {
            site.assert("after", copy, REPLAYED, refused(RefusalReason::Replayed)).await;
        }
        // A message from the future is stored as long as it is fresh.
        site.assert("ahead", &signed("z", 300).sized(), HANDLED, Outcome::Accepted).await;
        site.clock.advance(Duration::from_secs(541));
        site.assert("ahead, later", &signed("z", 300).sized(), REPLAYED, refused(RefusalReason::Replayed)).await;
    })
    .await;
}

#[tokio::test]
async fn replay_is_a_conflict_if_so_configured() {
    agree(
        |warden| unmetered(warden).replay(Replay::new().duplicates_conflict()),
        async |site| {
            site.assert("first", &signed("x", 0).sized(), HANDLED, Outcome::Accepted).await;
            let conflict = "409 Conflict | content-length: 0";
            site.assert("replay", &signed("x", 0).sized(), conflict, refused(RefusalReason::Replayed)).await;
        },
    )
    .await;
}

#[tokio::test]
async fn full_replay_store_refuses_with_retry_after() {
    agree(
        |warden| unmetered(warden).replay(Replay::new().capacity(1)),
        async |site| {
            // The exact capacity is an implementation detail. An entry expires one second after its tolerance and the
            // margin.
            let full = "503 Service Unavailable | content-length: 0 | retry-after: 322";
            let mut connection = site.connect().await;
            let mut last = None;
            for number in 0..10_000 {
                let exchange = site.send_on(&mut connection, &signed(format!("{number}"), 0).sized()).await;
                site.transcript.clear();
                if exchange.event.outcome != Outcome::Accepted {
                    last = Some(exchange);
                    break;
                }
            }
            let last = last.expect("a replay store that becomes full");
            last.assert(&format!("{:?}", site.adapter), full, refused(RefusalReason::ReplayStoreUnavailable));
            // The full store still recognizes its entries.
            site.assert("remembered", &signed("0", 0).sized(), REPLAYED, refused(RefusalReason::Replayed)).await;
        },
    )
    .await;
}

/// A key store that fails for some ids.
struct Troubled(PreparedKeys);

impl KeyStore for Troubled {
    fn find(&self, webhook_id: &str) -> Result<Option<PreparedKeys>, StoreError> {
        match webhook_id {
            ID => Ok(Some(self.0.clone())),
            "down" => Err(StoreError::new("down").with_retry_after(Duration::from_millis(6_100))),
            "panic" => panic!("a panic on purpose"),
            _ => Ok(None),
        }
    }
}

/// Sends a body to each id on one connection, and asserts its answer and outcome.
async fn assert_ids(site: &mut Site, body: &str, cases: &[(&str, &str, Outcome)]) {
    let mut connection = site.connect().await;
    for (id, answer, outcome) in cases {
        let post = signed(body, 0).to(&format!("/webhooks/{id}"));
        let exchange = site.send_on(&mut connection, &post.sized()).await;
        exchange.assert(&format!("{:?}, {id}", site.adapter), answer, *outcome);
    }
}

#[tokio::test]
async fn key_store_failure_is_a_server_error() {
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let scheme = Scheme::timestamped();
        let keys = Troubled(scheme.prepare(&keyring(&scheme, SECRET)).unwrap());
        let mut site = Site::of(adapter, scheme, |warden| unmetered(warden).keys(keys)).await;
        let down = "503 Service Unavailable | content-length: 0 | retry-after: 7";
        for round in 0..3 {
            let cases = [
                ("down", down, refused(RefusalReason::KeyStoreUnavailable)),
                ("panic", BROKEN, refused(RefusalReason::LookupPanicked)),
                ("acme", HANDLED, Outcome::Accepted),
                ("unlisted", UNAUTHORIZED, refused(RefusalReason::UnknownId)),
            ];
            assert_ids(&mut site, &format!("{round}"), &cases).await;
        }
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

/// An asynchronous key store.
pub(crate) struct Distant;

impl AsyncKeyStore for Distant {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            match webhook_id {
                ID => Ok(Some(keyring(&Scheme::timestamped(), SECRET))),
                "down" => Err(StoreError::new("down").with_retry_after(Duration::from_secs(9))),
                "panic" => panic!("a panic on purpose"),
                _ => Ok(None),
            }
        })
    }
}

#[tokio::test]
async fn async_keys_are_awaited() {
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let scheme = Scheme::timestamped();
        let keys = CachedKeys::new(&scheme, Distant);
        let mut site = Site::of(adapter, scheme, |warden| unlimited(warden).cached_keys(keys)).await;
        let down = "503 Service Unavailable | content-length: 0 | retry-after: 9";
        let cases = [
            ("acme", HANDLED, Outcome::Accepted),
            ("acme", HANDLED, Outcome::Accepted),
            ("unlisted", UNAUTHORIZED, refused(RefusalReason::UnknownId)),
            ("down", down, refused(RefusalReason::KeyStoreUnavailable)),
            ("panic", BROKEN, refused(RefusalReason::LookupPanicked)),
            ("acme", HANDLED, Outcome::Accepted),
        ];
        assert_ids(&mut site, "x", &cases).await;
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

#[tokio::test]
async fn observer_panic_changes_no_answer() {
    agree(
        |warden| unlimited(warden).observer(|_: &SecurityEvent<'_>| panic!("a panic on purpose")),
        async |site| {
            let mut connection = site.connect().await;
            for (what, post, answer, outcome) in [
                ("accepted", signed("x", 0), HANDLED, Outcome::Accepted),
                (
                    "refused",
                    signed("x", 0).carrying("y"),
                    UNAUTHORIZED,
                    refused(RefusalReason::Unverified(Reason::Mismatch)),
                ),
                (
                    "refused by its head",
                    signed("x", -301),
                    UNAUTHORIZED,
                    refused(RefusalReason::Unverified(Reason::Stale)),
                ),
                ("accepted again", signed("x", 0), HANDLED, Outcome::Accepted),
            ] {
                let exchange = site.send_on(&mut connection, &post.sized()).await;
                exchange.assert(&format!("{:?}, {what}", site.adapter), answer, outcome);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn id_is_found_in_every_source() {
    let path = |head: &dyn Head| head.path().and_then(|path| path.strip_prefix("/webhooks/of-")).map(str::to_owned);
    let plain = || signed("x", 0);
    let tenant = |value: &[u8]| plain().to("/").with("X-Tenant", value);
    let by_header = || IdSource::header("X-Tenant").unwrap();
    let unknown = refused(RefusalReason::UnknownId);
    let cases = [
        (IdSource::fixed(ID), plain().to("/"), HANDLED, Outcome::Accepted),
        (IdSource::fixed(ID), plain().to("/webhooks/other"), HANDLED, Outcome::Accepted),
        (by_header(), tenant(b"acme"), HANDLED, Outcome::Accepted),
        (by_header(), tenant(b"other"), UNAUTHORIZED, unknown),
        (by_header(), tenant(b""), UNAUTHORIZED, unknown),
        (by_header(), tenant(b"acm\xff"), UNAUTHORIZED, unknown),
        (by_header(), tenant(b"ac%6De"), UNAUTHORIZED, unknown),
        (by_header(), plain(), UNAUTHORIZED, refused(RefusalReason::Unverified(Reason::MissingHeader))),
        (
            by_header(),
            tenant(b"acme").with("x-tenant", "acme"),
            UNAUTHORIZED,
            refused(RefusalReason::Unverified(Reason::DuplicateHeader)),
        ),
        (IdSource::closure(path), plain().to("/webhooks/of-acme"), HANDLED, Outcome::Accepted),
        (IdSource::closure(path), plain(), UNAUTHORIZED, unknown),
        (IdSource::closure(|_| panic!("a panic on purpose")), plain(), BROKEN, refused(RefusalReason::LookupPanicked)),
        (IdSource::path_segment(1), plain(), HANDLED, Outcome::Accepted),
        (IdSource::path_segment(0), plain(), UNAUTHORIZED, unknown),
        (IdSource::path_segment(2), plain(), UNAUTHORIZED, unknown),
        (IdSource::path_parameter("tenant"), plain(), BROKEN, refused(RefusalReason::Misconfigured)),
        (IdSource::path_parameter("id"), plain().to("/"), BROKEN, refused(RefusalReason::Misconfigured)),
    ];
    for (source, post, answer, outcome) in cases {
        agree(
            |warden| unlimited(warden).webhook_id(source.clone()),
            async |site| {
                let mut connection = site.connect().await;
                // The connection can be used after the failed request.
                for _ in 0..2 {
                    let exchange = site.send_on(&mut connection, &post.sized()).await;
                    exchange.assert(&format!("{:?}, {source:?}", site.adapter), answer, outcome);
                }
            },
        )
        .await;
    }
}

#[tokio::test]
async fn only_2xx_of_the_handler_commits() {
    agree(unmetered, async |site| {
        for status in [200, 201, 202, 204] {
            let bytes = signed(format!("done {status}"), 0).sized();
            site.then(Act::Answer(status));
            let exchange = site.send(&bytes).await;
            assert_eq!(exchange.answer.map(|answer| answer.status), Some(status), "{:?}", site.adapter);
            assert_eq!((exchange.event.outcome, exchange.runs.len()), (Outcome::Accepted, 1), "{status}");
            assert_eq!(exchange.event.status, Some(status), "{:?}", site.adapter);
            site.assert("replay", &bytes, REPLAYED, refused(RefusalReason::Replayed)).await;
        }
        for status in [300, 302, 303, 304, 307, 400, 401, 404, 408, 409, 413, 429, 500, 503] {
            let bytes = signed(format!("not done {status}"), 0).sized();
            for _ in 0..2 {
                site.then(Act::Answer(status));
                let exchange = site.send(&bytes).await;
                assert_eq!(exchange.answer.map(|answer| answer.status), Some(status), "{:?}", site.adapter);
                assert_eq!((exchange.event.outcome, exchange.runs.len()), (Outcome::Released, 1), "{status}");
                assert_eq!(exchange.event.status, Some(status), "{:?}", site.adapter);
            }
            site.assert("retry", &bytes, HANDLED, Outcome::Accepted).await;
            site.assert("replay", &bytes, REPLAYED, refused(RefusalReason::Replayed)).await;
        }
    })
    .await;
}

/// Signs a retry again: it has a new timestamp, and the id of the first attempt.
fn attempt(scheme: &Scheme, offset: i64, body: &str) -> Post {
    let signer = signer(scheme.clone(), &secret_for(scheme));
    Post::signed_by(&signer, PATH, &[("webhook-id", "msg_1")], body, later(offset))
}

/// A secret in the form that the scheme requires.
fn secret_for(scheme: &Scheme) -> String {
    if scheme.name() == "stripe" { SECRET.into() } else { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into() }
}

#[tokio::test]
async fn retry_that_is_signed_again_is_not_handled() {
    // Longer than a frame, with the id at its end.
    let long = format!(r#"{{"data":"{}","id":"evt_1"}}"#, "x".repeat(200_000));
    for (scheme, body) in
        [(Scheme::standard_webhooks(), "{}"), (Scheme::stripe(), r#"{"id":"evt_1"}"#), (Scheme::stripe(), &long)]
    {
        for &adapter in Server::ALL {
            let keys = keyring(&scheme, &secret_for(&scheme));
            let is_in_body = scheme.name() == "stripe";
            let replay = if is_in_body { Replay::new().body_delivery_id() } else { Replay::new() };
            let settings = |warden: WardenBuilder| unmetered(warden.sender(ID, keys).replay(replay));
            let mut site = Site::of(adapter, scheme.clone(), settings).await;
            site.then(Act::Answer(500));
            let failed = HANDLED.replace("200 OK", "500 Internal Server Error");
            site.assert("failed", &attempt(&scheme, 0, body).sized(), &failed, Outcome::Released).await;
            site.assert("retry", &attempt(&scheme, 1, body).sized(), HANDLED, Outcome::Accepted).await;
            let replayed = refused(RefusalReason::Replayed);
            site.assert("retry of handled", &attempt(&scheme, 2, body).chunked(50_000, ""), REPLAYED, replayed).await;
            site.end().await;
        }
    }
}

#[tokio::test]
async fn panicking_handler_releases_its_delivery() {
    agree(unmetered, async |site| {
        let bytes = signed("x", 0).sized();
        for _ in 0..3 {
            site.then(Act::Panic);
            site.assert("panic", &bytes, "closed", Outcome::Released).await;
        }
        site.assert("retry", &bytes, HANDLED, Outcome::Accepted).await;
        site.assert("replay", &bytes, REPLAYED, refused(RefusalReason::Replayed)).await;
    })
    .await;
}

#[tokio::test]
async fn handler_of_a_departed_client_settles_its_delivery() {
    for &adapter in Server::ALL {
        for (how, leave) in DEPARTURES {
            let mut site = Site::start(adapter, unmetered).await;
            let bytes = signed("x", 0).sized();
            for (status, outcome) in [(500, Outcome::Released), (200, Outcome::Accepted)] {
                let release = site.hold();
                let mut leaving = site.connect().await;
                leaving.send(&bytes).await;
                site.run().await;
                leave(leaving);
                site.assert("during", &bytes, IN_PROGRESS, refused(RefusalReason::InProgress)).await;
                release.send(status).unwrap();
                let event = site.events.next().await;
                assert_eq!((event.outcome, event.status), (outcome, Some(status)), "{adapter:?}, {how}");
            }
            site.assert("replay", &bytes, REPLAYED, refused(RefusalReason::Replayed)).await;
            site.end().await;
        }
    }
}

#[tokio::test]
async fn panicking_handler_without_client_releases_its_delivery() {
    for &adapter in Server::ALL {
        for (how, leave) in DEPARTURES {
            let mut site = Site::start(adapter, unmetered).await;
            let bytes = signed("x", 0).sized();
            let release = site.hold();
            let mut leaving = site.connect().await;
            leaving.send(&bytes).await;
            site.run().await;
            leave(leaving);
            site.assert("during", &bytes, IN_PROGRESS, refused(RefusalReason::InProgress)).await;
            // Status 0 makes the handler panic.
            release.send(0).unwrap();
            let event = site.events.next().await;
            assert_eq!((event.outcome, event.status), (Outcome::Released, None), "{adapter:?}, {how}");
            site.assert("retry", &bytes, HANDLED, Outcome::Accepted).await;
            site.end().await;
        }
    }
}

#[tokio::test]
async fn disconnect_within_the_body_is_one_event() {
    for &adapter in Server::ALL {
        let mut site = Site::start(adapter, |warden| warden).await;
        for framing in ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
            let mut connection = site.connect().await;
            connection.send(&[&signed("x", 0).head(framing)[..], b"5\r\nabcde\r\n"].concat()).await;
            drop(connection);
            let outcome = site.events.next().await.outcome;
            assert_eq!(outcome, refused(RefusalReason::BodyInterrupted), "{adapter:?}, {framing}");
        }
        // The interrupted requests did not claim the delivery.
        site.assert("whole", &signed("x", 0).sized(), &accepted_of_100(99, 1), Outcome::Accepted).await;
        site.end().await;
    }
}

#[tokio::test]
async fn shared_replay_store_receives_each_settlement() {
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let store = Arc::new(Recorder::<FaultyStore<LocalReplay>>::default());
        let warnings = Warnings::default();
        let settings = |warden| unmetered(warden).replay(Replay::shared(store.clone())).observer(warnings.clone());
        let mut site = Site::start(adapter, settings).await;
        let bytes = signed("x", 0).sized();
        site.then(Act::Answer(500));
        let failed = HANDLED.replace("200 OK", "500 Internal Server Error");
        site.assert("failing", &bytes, &failed, Outcome::Released).await;
        // The layer waits for the release before it answers.
        assert_eq!(store.settled.notified().now_or_never(), Some(()), "{adapter:?}");
        assert_eq!(store.names(), ["claim", "release"], "{adapter:?}");
        site.then(Act::Panic);
        site.assert("panic", &bytes, "closed", Outcome::Released).await;
        // The release is sent in the background.
        store.until_settled().await;
        assert_eq!(store.names(), ["claim", "release"], "{adapter:?}");
        site.then(Act::TakeClaim);
        let exchange = site.send(&bytes).await;
        assert_eq!(exchange.event.status, Some(503), "{adapter:?}");
        exchange.assert(
            "uncommitted",
            "503 Service Unavailable | content-length: 0 | retry-after: 1",
            Outcome::Released,
        );
        assert_eq!(store.names(), ["claim", "release"], "a status must not commit a claim that was taken, {adapter:?}");
        assert_eq!(*warnings.0.lock().unwrap(), [Warning::CommitMissing], "{adapter:?}");
        site.assert("retry", &bytes, HANDLED, Outcome::Accepted).await;
        site.assert("replay", &bytes, REPLAYED, refused(RefusalReason::Replayed)).await;
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

/// The warnings that a Warden reports.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<Mutex<Vec<Warning>>>);

impl Observer for Warnings {
    fn observe(&self, _: &SecurityEvent<'_>) {}

    fn warning(&self, warning: &Warning) {
        self.0.lock().unwrap().push(*warning);
    }
}

fn unreachable<S>(store: S) -> FaultyStore<S> {
    let store = FaultyStore::new(store);
    store.set_fault(StoreFault::Error(StoreError::new("unreachable").with_retry_after(Duration::from_secs(5))));
    store
}

#[tokio::test]
async fn replay_fails_closed_and_limiter_falls_back() {
    let unavailable = "503 Service Unavailable | content-length: 0 | retry-after: 5";
    agree(
        |warden| warden.replay(Replay::shared(unreachable(LocalReplay::default()))),
        async |site| {
            for _ in 0..2 {
                let bytes = signed("x", 0).sized();
                site.assert("unreachable", &bytes, unavailable, refused(RefusalReason::ReplayStoreUnavailable)).await;
            }
        },
    )
    .await;
    agree(
        |warden| {
            warden.quotas(
                Quotas::new()
                    .shared(unreachable(LocalLimiter::new(Arc::new(TestClock::default()))))
                    .accepted(Quota::per_minute(1).unwrap()),
            )
        },
        async |site| {
            let policy = "ratelimit-policy: \"webhook\";q=1;w=60 | ratelimit: \"webhook\";r=0;t=60";
            let accepted = format!("200 OK | content-length: 0 | {policy} | x-handled: acme");
            site.assert("first", &signed("1", 0).sized(), &accepted, Outcome::Accepted).await;
            let exceeded = format!("429 Too Many Requests | content-length: 0 | {policy} | retry-after: 60");
            site.assert("second", &signed("2", 0).sized(), &exceeded, refused(RefusalReason::QuotaExceeded)).await;
        },
    )
    .await;
}

#[tokio::test]
async fn answer_hook_bodies_agree_on_every_adapter() {
    let write = |answer: &Answer| {
        let text = format!(r#"{{"status":{}}}"#, answer.status().as_u16());
        (answer.status() != 413).then(|| AnswerBody::new("application/problem+json", text))
    };
    agree(
        |warden| unmetered(warden).answer_body(write).body(BodyLimits::new().max_bytes(1000)),
        async |site| {
            let body = |line: &str, more: &str, text: &str| {
                format!(
                    "{line} | content-length: {} | content-type: application/problem+json{more} | {text}",
                    text.len()
                )
            };
            let unauthorized = body("401 Unauthorized", " | www-authenticate: Webhook", r#"{"status":401}"#);
            site.assert("accepted", &signed("x", 0).sized(), HANDLED, Outcome::Accepted).await;
            site.assert(
                "stale",
                &signed("x", -301).sized(),
                &unauthorized,
                refused(RefusalReason::Unverified(Reason::Stale)),
            )
            .await;
            // A duplicate answered 200 isn't a refusal.
            site.assert("replay", &signed("x", 0).sized(), REPLAYED, refused(RefusalReason::Replayed)).await;
            site.assert("no body", &signed([0; 1001], 0).sized(), TOO_LARGE, refused(RefusalReason::BodyTooLarge))
                .await;
        },
    )
    .await;
}

/// The number of simultaneous copies.
const COPIES: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_copies_at_once_run_the_handler_once() {
    for &adapter in Server::ALL {
        let mut site = Site::start(adapter, room_for_copies).await;
        let bytes = signed("x", 0).sized();
        let mut connections = Vec::new();
        for _ in 0..COPIES {
            connections.push(site.connect().await);
        }
        let release = site.hold();
        let mut sending = JoinSet::new();
        for mut connection in connections {
            let bytes = bytes.clone();
            sending.spawn(async move {
                let answer = connection.exchange(&bytes).await.expect("an answer").essence();
                (connection, answer)
            });
        }
        let mut connections: Vec<Connection> = Vec::new();
        let mut answers = Vec::new();
        let mut release = Some(release);
        while let Some(sent) = sending.join_next().await {
            let (connection, answer) = sent.expect("no panic");
            connections.push(connection);
            answers.push(answer);
            // All others are refused while one is handled.
            if answers.len() == COPIES - 1 {
                release.take().unwrap().send(200).unwrap();
            }
        }
        let last = answers.pop().unwrap();
        assert_eq!(last, accepted_of_100(99, 1), "{adapter:?}");
        assert!(
            answers.iter().all(|answer| answer == "409 Conflict | content-length: 0 | retry-after: 60"),
            "{adapter:?}"
        );
        assert_eq!(site.runs().len(), 1, "{adapter:?}");

        let mut sending = JoinSet::new();
        for mut connection in connections {
            let bytes = bytes.clone();
            sending.spawn(async move { connection.exchange(&bytes).await.expect("an answer").essence() });
        }
        let answers = sending.join_all().await;
        assert_eq!(answers.len(), COPIES);
        assert!(answers.iter().all(|answer| answer == REPLAYED), "{adapter:?}");
        assert_eq!(site.runs().len(), 0, "{adapter:?}");
        for _ in 0..2 * COPIES {
            site.events.next().await;
        }
        site.end().await;
    }
}

/// Copies are charged to the quota of refused requests until one is verified.
fn room_for_copies(warden: WardenBuilder) -> WardenBuilder {
    warden.quotas(Quotas::new().rejected(Quota::per_minute(10_000).expect("a quota")))
}

/// The handler does not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_copies_run_a_quick_handler_once() {
    for &adapter in Server::ALL {
        let mut site = Site::start(adapter, room_for_copies).await;
        let mut connections = Vec::new();
        for _ in 0..100 {
            connections.push(site.connect().await);
        }
        for round in 0..10 {
            let bytes = signed(format!("{round}"), 0).sized();
            let mut sending = JoinSet::new();
            for mut connection in connections.drain(..) {
                let bytes = bytes.clone();
                sending.spawn(async move { (connection.exchange(&bytes).await.expect("an answer"), connection) });
            }
            let mut handled = 0;
            for (answer, connection) in sending.join_all().await {
                handled += usize::from(answer.header("x-handled").is_some());
                assert!([200, 409].contains(&answer.status), "{adapter:?}: {answer:?}");
                connections.push(connection);
            }
            assert_eq!((handled, site.runs().len()), (1, 1), "{adapter:?}, round {round}");
        }
        for _ in 0..1_000 {
            site.events.next().await;
        }
        site.end().await;
    }
}

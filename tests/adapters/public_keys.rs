//! Attacks on a receiver of each algorithm with public keys. All adapters must give equal answers.

use std::time::Duration;

use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::warden::Quotas;
use hookwarden::{Keyring, Quota, Reason, Scheme, Signer};

use crate::harness::receiver::Server;
use crate::harness::sender::{ID, PATH, Post};
use crate::harness::site::{Site, assert_alike, later};

const KEYS: [(Algorithm, [&str; 2]); 6] = [
    (Algorithm::Ed25519, ED25519),
    (Algorithm::EcdsaP256, P256),
    (Algorithm::EcdsaP256Der, P256),
    (Algorithm::RsaPkcs1, RSA),
    (Algorithm::RsaPss, RSA),
    (Algorithm::RsaPssSha512, RSA),
];

const ED25519: [&str; 2] = [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    include_str!("../public_keys/keys/ed25519.pem"),
];
const P256: [&str; 2] =
    ["c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721", include_str!("../public_keys/keys/p256.pem")];
const RSA: [&str; 2] = [include_str!("../public_keys/keys/rsa_a.pem"), include_str!("../public_keys/keys/rsa_b.pem")];

/// The handler's answer.
const HANDLED: &str = "200 OK | content-length: 0 | x-handled: acme";
const UNAUTHORIZED: &str = "401 Unauthorized | content-length: 0 | www-authenticate: Webhook";
const REPLAYED: &str = "200 OK | content-length: 0";
const BLOCKED: &str = "429 Too Many Requests | content-length: 0 | retry-after: 180";

fn scheme(algorithm: Algorithm) -> Scheme {
    let builder = Scheme::timestamped().into_builder().algorithm(algorithm).encoding(Encoding::Base64);
    builder.build().expect("the description is consistent")
}

/// A message that is signed `offset` seconds after the start of the site's clock.
fn post(scheme: &Scheme, key: &str, body: &str, offset: i64) -> Post {
    let keys = Keyring::new(scheme.secret(key).expect("a private key"));
    let signer = Signer::new(scheme.clone(), keys).expect("a signer");
    Post::signed_by(&signer, PATH, &[], body, later(offset))
}

/// A receiver with the public key of the first private key.
async fn site(adapter: Server, scheme: &Scheme, key: &str, quotas: Quotas) -> Site {
    let public = scheme.secret(key).expect("a private key").public_key().expect("a private key").clone();
    Site::of(adapter, scheme.clone(), |warden| warden.sender(ID, Keyring::new(public)).quotas(quotas)).await
}

fn unverified(reason: Reason) -> Outcome {
    Outcome::Refused(RefusalReason::Unverified(reason))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_public_key_receivers_are_refused() {
    for (algorithm, [key, other]) in KEYS {
        let scheme = scheme(algorithm);
        let good = post(&scheme, key, "x", 0);
        let mut transcripts = Vec::new();
        for &adapter in Server::ALL {
            let mut site = site(adapter, &scheme, key, Quotas::new().danger_unlimited_accepted()).await;
            for (what, request, reason) in [
                ("another body", good.clone().carrying("y"), Reason::Mismatch),
                ("another timestamp", good.clone().replacing("X-Webhook-Timestamp", "1800000001"), Reason::Mismatch),
                ("another key", post(&scheme, other, "x", 0), Reason::Mismatch),
                ("no signature", good.clone().replacing("X-Webhook-Signature", ""), Reason::MalformedSignature),
                ("301 s old", post(&scheme, key, "x", -301), Reason::Stale),
                ("301 s ahead", post(&scheme, key, "x", 301), Reason::Early),
            ] {
                let what = format!("{algorithm:?}, {what}");
                site.assert(&what, &request.sized(), UNAUTHORIZED, unverified(reason)).await;
            }
            let unknown = Outcome::Refused(RefusalReason::UnknownId);
            site.assert("unknown id", &good.clone().to("/webhooks/globex").sized(), UNAUTHORIZED, unknown).await;
            let what = format!("{algorithm:?}");
            site.assert(&what, &good.chunked(1, ""), HANDLED, Outcome::Accepted).await;
            let replayed = Outcome::Refused(RefusalReason::Replayed);
            site.assert(&what, &good.sized(), REPLAYED, replayed).await;
            site.assert(&what, &post(&scheme, key, "z", 300).sized(), HANDLED, Outcome::Accepted).await;
            transcripts.push(site.end().await);
        }
        assert_alike(&transcripts);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_forged_signatures_is_blocked() {
    for (algorithm, [key, other]) in KEYS {
        let scheme = scheme(algorithm);
        let forged = post(&scheme, other, "x", 0).sized();
        let mut transcripts = Vec::new();
        for &adapter in Server::ALL {
            let quota = Quota::new(3, Duration::from_secs(180)).expect("a quota");
            let mut site = site(adapter, &scheme, key, Quotas::new().rejected(quota)).await;
            for _ in 0..3 {
                site.assert("forged", &forged, UNAUTHORIZED, unverified(Reason::Mismatch)).await;
            }
            let blocked = Outcome::Refused(RefusalReason::PeerBlocked);
            site.assert("one too many", &forged, BLOCKED, blocked).await;
            transcripts.push(site.end().await);
        }
        assert_alike(&transcripts);
    }
}

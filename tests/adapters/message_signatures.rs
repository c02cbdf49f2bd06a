//! Attacks on a receiver of HTTP Message Signatures. All adapters must give equal answers.

mod hosts;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hookwarden::crypto::Algorithm;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::{Profile, SignatureParameters};
use hookwarden::warden::WardenBuilder;
use hookwarden::{IdSource, Keyring, Reason, Warden};

use crate::custom::{DUPLICATE, REPLAYED, UNAUTHORIZED, agree, handled, quotas, refused};
use crate::harness::sender::Post;
use crate::harness::site::later;

const BODY: &str = r#"{"event":"user.created"}"#;
const PATH: &str = "/webhooks/any?id=7&kind=a";
const KEYID: &str = "2027-01";

/// RFC 8032 section 7.1, test 1.
const KEY: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// RFC 8032 section 7.1, test 2.
const OTHER_KEY: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";

fn profile() -> Profile {
    Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::Ed25519]).build().expect("a profile")
}

fn keys(key: &str) -> Keyring {
    Keyring::new(profile().scheme("acme").and_then(|scheme| scheme.secret(key)).expect("a key"))
}

fn warden() -> WardenBuilder {
    let profile = profile();
    let scheme = profile.scheme("acme").expect("a scheme");
    let id = IdSource::closure(move |head| profile.keyid(head));
    Warden::builder(scheme).sender(KEYID, keys(KEY)).webhook_id(id).quotas(quotas().danger_unlimited_rejected())
}

/// A request that `key` signs under `profile`.
fn signed(profile: &Profile, key: &str, keyid: &str, offset: i64) -> Post {
    signed_with(profile, key, keyid, offset, &format!("nonce{offset}"))
}

fn signed_with(profile: &Profile, key: &str, keyid: &str, offset: i64, nonce: &str) -> Post {
    let own = [("Host", "hooks.example.com"), ("Content-Type", "application/json")];
    let parameters = SignatureParameters::new().keyid(keyid).nonce(nonce);
    let signer = profile.signer(keys(key)).expect("a signer");
    let head = RequestHead::new("POST", PATH, &own);
    let signed = signer.sign_at(&head, BODY.as_bytes(), &parameters, later(offset)).expect("a signed message");
    let headers = own.into_iter().chain(signed.iter());
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect();
    Post { path: PATH.to_owned(), headers, body: BODY.into() }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("room");
    encoder.finish().expect("room")
}

/// The request with a text in a header replaced.
fn changed(post: &Post, name: &str, from: &str, to: &str) -> Post {
    let value = String::from_utf8(post.value(name)).expect("text");
    assert!(value.contains(from), "{value}");
    post.clone().replacing(name, value.replace(from, to))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_message_signatures_are_refused() {
    let good = signed(&profile(), KEY, KEYID, 0);
    let (input, signature, digest) = ("Signature-Input", "Signature", "Content-Digest");
    let text = |name: &str| String::from_utf8(good.value(name)).expect("text");
    let (mismatch, malformed) = (refused(Reason::Mismatch), refused(Reason::MalformedSignature));
    let unknown = Outcome::Refused(RefusalReason::UnknownId);
    let other_origin =
        Profile::webhooks("https://hooks.example.org").algorithms([Algorithm::Ed25519]).build().expect("a profile");
    let less = Profile::builder("https://hooks.example.com").covers(["@method", "content-digest"]);
    let less = less.algorithms([Algorithm::Ed25519]).danger_unsigned_target().build().expect("a profile");
    let two = |name: &str| format!("{}, {}", text(name), text(name).replacen("sig1", "sig2", 1));
    let digest_of_other = "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:";
    let attacks = [
        ("another body", good.clone().carrying("{}"), mismatch),
        ("no body", good.clone().carrying(""), mismatch),
        ("a space after the body", good.clone().carrying(format!("{BODY} ")), mismatch),
        ("another body and its digest", good.clone().carrying("{}").replacing(digest, digest_of_other), mismatch),
        ("a weak digest", good.clone().replacing(digest, "md5=:AAAA:"), refused(Reason::MalformedHeader)),
        ("a digest more", changed(&good, digest, "sha-256", "md5=:AAAA:, sha-256"), mismatch),
        (
            "a digest in hexadecimal digits",
            good.clone().replacing(digest, format!("sha-256=:{}:", "2c".repeat(32))),
            malformed,
        ),
        (
            "the digest of the decoded body",
            good.clone().with("Content-Encoding", "gzip").carrying(gzip(BODY.as_bytes())),
            mismatch,
        ),
        (
            "the digest of the representation",
            good.clone().without(digest).with("Repr-Digest", text(digest)),
            refused(Reason::MalformedHeader),
        ),
        ("a digest without its padding", changed(&good, digest, "=:", ":"), malformed),
        ("the name of the digest in upper case", changed(&good, digest, "sha-256", "SHA-256"), malformed),
        ("no digest", good.clone().without(digest), refused(Reason::MalformedHeader)),
        ("the query in another order", good.clone().to("/webhooks/any?kind=a&id=7"), mismatch),
        ("another query", good.clone().to("/webhooks/any?id=8&kind=a"), mismatch),
        ("another spelling of the query", good.clone().to("/webhooks/any?id=7&kind=%61"), mismatch),
        ("a parameter twice", good.clone().to("/webhooks/any?id=7&id=7&kind=a"), mismatch),
        ("a path in upper case", good.clone().to("/webhooks/ANY?id=7&kind=a"), mismatch),
        ("no query", good.clone().to("/webhooks/any"), mismatch),
        ("another spelling of the path", good.clone().to("/webhooks/%61ny?id=7&kind=a"), mismatch),
        ("another content type", good.clone().replacing("Content-Type", "text/plain"), mismatch),
        ("two content types", good.clone().with("content-type", "text/plain"), refused(Reason::MalformedHeader)),
        (
            "two content types in one line",
            good.clone().replacing("Content-Type", "application/json, text/plain"),
            refused(Reason::MalformedHeader),
        ),
        ("signed for another host", signed(&other_origin, KEY, KEYID, 0), mismatch),
        ("another key", signed(&profile(), OTHER_KEY, KEYID, 0), mismatch),
        ("another keyid", changed(&good, input, KEYID, "2027-02"), unknown),
        ("a component less", changed(&good, input, " \"content-digest\"", ""), malformed),
        ("signed with less", signed(&less, KEY, KEYID, 0), malformed),
        ("no nonce", changed(&good, input, ";nonce=\"nonce0\"", ""), malformed),
        ("another nonce", changed(&good, input, "nonce0", "nonce1"), mismatch),
        ("two nonces", changed(&good, input, ";keyid", ";nonce=\"x\";keyid"), malformed),
        ("two times", changed(&good, input, ";keyid", ";created=1;keyid"), malformed),
        ("alg none", changed(&good, input, ";keyid", ";alg=\"none\";keyid"), malformed),
        ("alg hmac-sha256", changed(&good, input, ";keyid", ";alg=\"hmac-sha256\";keyid"), malformed),
        ("alg ed25519 added", changed(&good, input, ";keyid", ";alg=\"ed25519\";keyid"), mismatch),
        ("301 s old", signed(&profile(), KEY, KEYID, -301), refused(Reason::Stale)),
        ("61 s ahead", signed(&profile(), KEY, KEYID, 61), refused(Reason::Early)),
        ("301 s ahead", signed(&profile(), KEY, KEYID, 301), refused(Reason::Early)),
        ("no signature", good.clone().without(signature), refused(Reason::MissingHeader)),
        ("no list", good.clone().without(input), refused(Reason::MissingHeader)),
        ("another label", changed(&good, input, "sig1=", "sig2="), malformed),
        (
            "two signatures",
            good.clone().replacing(input, two(input)).replacing(signature, two(signature)),
            refused(Reason::TooManyCandidates),
        ),
        ("a second list", good.clone().with(input, "sig2=()"), refused(Reason::TooManyCandidates)),
        (
            "two signatures, the first valid",
            good.clone().replacing(input, two(input)).replacing(signature, format!("{}, sig2=:AAAA:", text(signature))),
            refused(Reason::TooManyCandidates),
        ),
        (
            "two signatures, the second valid",
            good.clone()
                .replacing(input, format!("sig0=(\"@method\");created=1, {}", text(input)))
                .replacing(signature, format!("sig0=:AAAA:, {}", text(signature))),
            refused(Reason::TooManyCandidates),
        ),
        ("a label twice", good.clone().replacing(input, format!("{0}, {0}", text(input))), malformed),
        ("a signature with another label", changed(&good, signature, "sig1=", "sig2="), malformed),
        ("a label in upper case", changed(&good, input, "sig1=", "SIG1="), malformed),
        ("an empty signature", good.clone().replacing(signature, "sig1=::"), mismatch),
        ("a list in upper case", changed(&good, input, "\"@method\"", "\"@METHOD\""), malformed),
        ("a component twice", changed(&good, input, "\"@method\"", "\"@method\" \"@method\""), malformed),
        ("a parameter in upper case", changed(&good, input, ";created", ";Created"), malformed),
        ("a tab in the list", changed(&good, input, "(\"@method\"", "(\t\"@method\""), malformed),
        ("a space before a parameter", changed(&good, input, ";created", " ;created"), malformed),
        ("no quotes", changed(&good, input, "\"@method\"", "@method"), malformed),
        ("more than 8 KiB", changed(&good, input, ";keyid", &format!(";x=\"{}\";keyid", "x".repeat(8_192))), malformed),
    ];
    agree(warden, async |site| {
        for (what, request, outcome) in &attacks {
            site.assert(what, &request.sized(), UNAUTHORIZED, *outcome).await;
        }
        let handled = handled(KEYID);
        site.assert("genuine", &good.chunked(1, ""), &handled, Outcome::Accepted).await;
        site.assert("again", &good.sized(), REPLAYED, DUPLICATE).await;
        let relabelled = changed(&changed(&good, input, "sig1=", "x="), signature, "sig1=", "x=");
        site.assert("another label", &relabelled.sized(), REPLAYED, DUPLICATE).await;
        let spaced = changed(&good, input, "(\"@method\"", "(  \"@method\"");
        site.assert("other whitespace", &spaced.sized(), REPLAYED, DUPLICATE).await;
        let same_nonce = signed_with(&profile(), KEY, KEYID, 1, "nonce0");
        site.assert("another message with the nonce", &same_nonce.sized(), REPLAYED, DUPLICATE).await;
        let other_nonce = signed_with(&profile(), KEY, KEYID, 1, "nonce00");
        site.assert("a retry with another nonce", &other_nonce.sized(), &handled, Outcome::Accepted).await;
        for offset in [-300, 60] {
            let post = signed(&profile(), KEY, KEYID, offset);
            site.assert("the oldest and the newest", &post.sized(), &handled, Outcome::Accepted).await;
        }
    })
    .await;
}

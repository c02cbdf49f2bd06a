//! Faulty heads.

use std::time::{Duration, Instant};

use hookwarden::{Scheme, Signer};

use super::process::attack;
use super::receiver::{Framework, Settings};
use crate::harness::sender::{PATH, Post, SECRET, now, signer};

const SIGNATURE: &str = "X-Webhook-Signature";
const TIMESTAMP: &str = "X-Webhook-Timestamp";

fn text(post: &Post, name: &str) -> String {
    String::from_utf8(post.value(name)).unwrap()
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

pub(crate) async fn any_flipped_bit_is_refused() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            let post = Post::signed(b"\xff a body {\"n\":1}".to_vec());
            let mut connection = receiver.connect().await;
            let mut flips: Vec<(String, Vec<u8>)> = Vec::new();
            for bit in 0..post.body.len() * 8 {
                flips.push((format!("bit {bit} of the body"), post.clone().carrying(flipped(&post.body, bit)).sized()));
            }
            // Flip bits of the MAC and not of its text, because hex ignores case.
            let mac = const_hex::decode(text(&post, SIGNATURE)).unwrap();
            for bit in 0..mac.len() * 8 {
                let value = const_hex::encode(flipped(&mac, bit));
                flips.push((format!("bit {bit} of the signature"), post.clone().replacing(SIGNATURE, value).sized()));
            }
            let stamp = post.value(TIMESTAMP);
            for bit in 0..stamp.len() * 8 {
                let value = flipped(&stamp, bit);
                // The server itself refuses some heads.
                if value.iter().all(|byte| (0x21..0x7f).contains(byte)) {
                    flips.push((
                        format!("bit {bit} of the timestamp"),
                        post.clone().replacing(TIMESTAMP, value).sized(),
                    ));
                }
            }
            for (what, bytes) in flips {
                let answer = connection.exchange(&bytes).await.unwrap();
                assert_eq!(answer.status, 401, "{:?}, {what}", receiver.framework);
            }
            assert_eq!(connection.exchange(&post.sized()).await.unwrap().status, 200);
            assert_eq!(receiver.ran().await.values().sum::<u32>(), 1);
        },
    )
    .await;
}

pub(crate) async fn stale_early_duplicate_or_incomplete_head_is_refused() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            let good = Post::signed("good");
            let (signature, stamp) = (text(&good, SIGNATURE), text(&good, TIMESTAMP));
            for (what, post) in [
                // Time passes during the test, so the future timestamp is 30 seconds beyond the tolerance.
                ("stale", Post::signed_at("good", now(-301))),
                ("early", Post::signed_at("good", now(330))),
                ("no signature", good.clone().without(SIGNATURE)),
                ("no timestamp", good.clone().without(TIMESTAMP)),
                ("the signature twice", good.clone().with(SIGNATURE, signature.clone())),
                ("another signature before", {
                    let mut post = good.clone().with(SIGNATURE, "0".repeat(64));
                    post.headers.rotate_right(1);
                    post
                }),
                ("another signature after", good.clone().with(SIGNATURE, "0".repeat(64))),
                ("the timestamp twice", good.clone().with(TIMESTAMP, stamp.clone())),
                ("another timestamp after", good.clone().with(TIMESTAMP, "1")),
                ("a part of the signature", good.clone().replacing(SIGNATURE, &signature[..62])),
                ("another id", good.clone().to("/webhooks/unlisted")),
            ] {
                receiver.demand(what, &post.sized(), 401).await;
            }
            receiver.demand("good", &good.sized(), 200).await;
            assert_eq!(receiver.ran().await.values().sum::<u32>(), 1);
        },
    )
    .await;
}

/// Neither the answer nor its time may reveal whether an id exists.
pub(crate) async fn unknown_id_is_answered_like_wrong_signature() {
    const DEADLINE: Duration = Duration::from_secs(2);
    let settings = |settings| Settings { deadline: DEADLINE, ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        let forged = Post::signed("a body").replacing(SIGNATURE, "0".repeat(64));
        let unknown_id = forged.clone().to("/webhooks/unlisted");
        let answers = [receiver.exchange(&forged.sized()).await, receiver.exchange(&unknown_id.sized()).await];
        let [known, unknown] = answers.map(|answer| answer.unwrap().essence());
        assert_eq!(known, unknown, "{:?}", receiver.framework);
        assert!(known.starts_with("401 "), "{known}");
        for post in [&forged, &unknown_id] {
            // The signature is checked only when the body is complete.
            let began = Instant::now();
            receiver.demand("a stalled body", &post.head("Content-Length: 100\r\n"), 408).await;
            assert!(began.elapsed() >= DEADLINE, "{:?}: {:?}", receiver.framework, began.elapsed());
            receiver.demand("a large body", &post.clone().carrying(vec![0; 2_000_000]).chunked(65_536, ""), 413).await;
        }
    })
    .await;
}

pub(crate) async fn thousands_of_candidates_are_refused_quickly() {
    let settings = |settings| Settings { is_stripe: true, ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        const NAME: &str = "Stripe-Signature";
        let signer: Signer = signer(Scheme::stripe(), SECRET);
        let good = Post::signed_by(&signer, PATH, &[], "x", now(0));
        let spoiled = |more: String| good.clone().replacing(NAME, [good.value(NAME), more.into_bytes()].concat());
        // actix-web accepts heads of at most 128 KiB. 2,500 candidates of this length take 112 KiB.
        let long = format!(",v1={}", "0".repeat(41)).repeat(2_500);
        receiver.demand("2,500 candidates in 112 KiB", &spoiled(long).sized(), 401).await;
        // A header over 8 KiB is refused before its entries are parsed. These are shorter.
        let header = text(&good, NAME);
        let (stamp, _) = header.split_once(',').unwrap();
        let attacks = [
            ("2,000 candidates", spoiled(",v1=".repeat(2_000))),
            ("one candidate as long", good.clone().replacing(NAME, format!("{stamp},v1={}", "0".repeat(8_060)))),
        ];
        let mut fastest = [Duration::MAX; 2];
        for _ in 0..20 {
            for ((what, post), fastest) in attacks.iter().zip(&mut fastest) {
                let began = Instant::now();
                receiver.demand(what, &post.sized(), 401).await;
                *fastest = began.elapsed().min(*fastest);
            }
        }
        println!("{:?}: 2,000 candidates in {:?}, one as long in {:?}", receiver.framework, fastest[0], fastest[1]);
        assert!(fastest[0] < fastest[1] * 3 + Duration::from_millis(1), "{fastest:?}");
        let wrong = format!(",v1={}", "0".repeat(64));
        receiver.demand("33 candidates", &spoiled(wrong.repeat(32)).sized(), 401).await;
        receiver.demand("32 candidates", &spoiled(wrong.repeat(31)).sized(), 200).await;
    })
    .await;
}

//! Heads that are wrong, and what is sent with them.

use std::time::{Duration, Instant};

use hookwarden::{Scheme, Signer};

use crate::process::attack;
use crate::receiver::{Framework, Settings};
use crate::util::sender::{PATH, Post, SECRET, now, signer};

const SIGNATURE: &str = "X-Webhook-Signature";
const TIMESTAMP: &str = "X-Webhook-Timestamp";

fn text(post: &Post, name: &str) -> String {
    String::from_utf8(post.value(name)).unwrap()
}

/// `bytes` with one bit the other way.
fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

pub(crate) async fn any_flipped_bit_of_body_timestamp_or_signature_is_refused() {
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
            // The bits of the MAC itself, as a letter's case is no part of it.
            let mac = const_hex::decode(text(&post, SIGNATURE)).unwrap();
            for bit in 0..mac.len() * 8 {
                let value = const_hex::encode(flipped(&mac, bit));
                flips.push((format!("bit {bit} of the signature"), post.clone().replacing(SIGNATURE, value).sized()));
            }
            let stamp = post.value(TIMESTAMP);
            for bit in 0..stamp.len() * 8 {
                let value = flipped(&stamp, bit);
                // What the server itself takes for no head is not the Warden's.
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

pub(crate) async fn head_that_is_stale_early_doubled_or_incomplete_is_refused() {
    attack(
        &Framework::ALL,
        |settings| settings,
        async |receiver| {
            let good = Post::signed("good");
            let (signature, stamp) = (text(&good, SIGNATURE), text(&good, TIMESTAMP));
            for (what, post) in [
                // A second may pass on the way, so the past bound has one to spare and the future one has none.
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
                ("another signature behind", good.clone().with(SIGNATURE, "0".repeat(64))),
                ("the timestamp twice", good.clone().with(TIMESTAMP, stamp.clone())),
                ("another timestamp behind", good.clone().with(TIMESTAMP, "1")),
                ("a part of the signature", good.clone().replacing(SIGNATURE, &signature[..62])),
                ("another id", good.clone().to("/webhooks/nobody")),
            ] {
                receiver.demand(what, &post.sized(), 401).await;
            }
            receiver.demand("good", &good.sized(), 200).await;
            assert_eq!(receiver.ran().await.values().sum::<u32>(), 1);
        },
    )
    .await;
}

/// Who asks for ids that there are none of must learn nothing from what is answered, nor from when it is.
pub(crate) async fn unknown_id_is_answered_as_a_wrong_signature_is() {
    const DEADLINE: Duration = Duration::from_secs(2);
    let settings = |settings| Settings { deadline: DEADLINE, ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        let forged = Post::signed("a body").replacing(SIGNATURE, "0".repeat(64));
        let nobody = forged.clone().to("/webhooks/nobody");
        let answers = [receiver.exchange(&forged.sized()).await, receiver.exchange(&nobody.sized()).await];
        let [known, unknown] = answers.map(|answer| answer.unwrap().essence());
        assert_eq!(known, unknown, "{:?}", receiver.framework);
        assert!(known.starts_with("401 "), "{known}");
        for post in [&forged, &nobody] {
            // As long as the body is not complete there is no verdict on its signature.
            let began = Instant::now();
            receiver.demand("a stalled body", &post.head("Content-Length: 100\r\n"), 408).await;
            assert!(began.elapsed() >= DEADLINE, "{:?}: {:?}", receiver.framework, began.elapsed());
            receiver.demand("a large body", &post.clone().carrying(vec![0; 2_000_000]).chunked(65_536, ""), 413).await;
        }
    })
    .await;
}

pub(crate) async fn thousands_of_candidates_are_refused_in_the_time_that_their_header_takes() {
    let settings = |settings| Settings { is_stripe: true, ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        const NAME: &str = "Stripe-Signature";
        let signer: Signer = signer(Scheme::stripe(), SECRET);
        let good = Post::signed_by(&signer, PATH, &[], "x", now(0));
        let spoiled = |more: String| good.clone().replacing(NAME, [good.value(NAME), more.into_bytes()].concat());
        // actix-web takes no head of more than 128 KiB, and 2,500 candidates of this length have 112.
        let long = format!(",v1={}", "0".repeat(41)).repeat(2_500);
        receiver.demand("2,500 candidates in 112 KiB", &spoiled(long).sized(), 401).await;
        // A header that is longer than 8 KiB is refused before its entries are looked at; these are not.
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

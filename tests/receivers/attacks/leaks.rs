//! The output of a receiver's process contains no secret.

use std::time::Duration;

use hookwarden::{Scheme, Timestamp};

use super::process::{Receiver, attack};
use super::receiver::{Framework, HANDLER, Settings, secret};
use crate::harness::canaries::Canaries;
use crate::harness::sender::{PATH, Post, now, signer};

/// The bodies of all requests. Their MACs must not leak.
const BODIES: [&str; 8] = ["good", "goox", "stale", "failing", "panicking", "turned", "forged", ""];

fn canaries(time: Timestamp) -> Canaries {
    let mut canaries = Canaries::default();
    canaries.add_mac(&secret(0), b"stale", stale(time));
    for turn in 0..3 {
        canaries.add(&format!("secret {turn}"), secret(turn).as_bytes());
        for body in BODIES {
            canaries.add_mac(&secret(turn), body.as_bytes(), time);
        }
    }
    canaries
}

fn stale(time: Timestamp) -> Timestamp {
    Timestamp::from_unix(time.as_unix().saturating_sub(400))
}

/// Makes a request of every kind, and returns the answers.
async fn answers(receiver: &Receiver, time: Timestamp) -> Vec<u8> {
    let good = Post::signed_at("good", time);
    let signature = good.value("X-Webhook-Signature");
    let wrong = good.clone().replacing("X-Webhook-Signature", "0".repeat(64));
    receiver.control("turn", 1).await;
    let turned = signer(Scheme::timestamped(), &secret(1));
    let mut output = Vec::new();
    for bytes in [
        good.sized(),
        good.sized(),
        good.chunked(1, ""),
        good.clone().carrying("goox").sized(),
        wrong.clone().carrying("forged").sized(),
        wrong.to("/webhooks/unlisted").sized(),
        Post::signed_at("stale", stale(time)).sized(),
        good.clone().with("X-Webhook-Signature", signature.clone()).sized(),
        good.clone().replacing("X-Webhook-Timestamp", signature.clone()).sized(),
        good.clone().replacing("X-Webhook-Signature", [&signature[..], b"00"].concat()).sized(),
        good.clone().without("X-Webhook-Timestamp").sized(),
        good.head("Content-Length: 10000000000\r\n"),
        good.head("Content-Length: 100\r\n"),
        Post::signed_at("failing", time).with(HANDLER, "500").sized(),
        Post::signed_at("panicking", time).with(HANDLER, "panic").sized(),
        Post::signed_by(&turned, PATH, &[], "turned", time).sized(),
        b"GET /webhooks/acme HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"POST /webhooks/acme HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        [&signature[..], b" / HTTP/1.1\r\n\r\n"].concat(),
    ] {
        if let Some(answer) = receiver.exchange(&bytes).await {
            output.extend_from_slice(answer.head.as_bytes());
            output.extend_from_slice(&answer.body);
        }
    }
    receiver.control("turn", 2).await;
    output
}

/// An accepted delivery contains its MAC, so a log that quotes headers would leak it.
pub(crate) async fn no_output_contains_a_secret_or_mac() {
    let settings = |settings| Settings { logs: true, deadline: Duration::from_millis(400), ..settings };
    attack(&Framework::ALL, settings, async |receiver| {
        let time = now(0);
        let canaries = canaries(time);
        let place = |what: &str| format!("{what} of {:?}", receiver.framework);
        canaries.assert_absent(&place("the answers"), &answers(receiver, time).await);
        let metrics = receiver.control("metrics", "all").await;
        assert!(metrics.contains("hookwarden_requests_total"), "{metrics}");
        canaries.assert_absent(&place("the metrics"), metrics.as_bytes());
        let [stdout, stderr] = receiver.output().await;
        let log = String::from_utf8_lossy(&stderr);
        for line in
            ["webhook accepted", "delivery not committed", "mismatch", "replayed", "the test requested this panic"]
        {
            assert!(log.contains(line), "{:?} logs no {line}: {log}", receiver.framework);
        }
        canaries.assert_absent(&place("the standard output"), &stdout);
        canaries.assert_absent(&place("the standard error"), &stderr);
    })
    .await;
}

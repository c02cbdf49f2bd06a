//! Other crates that verify webhooks, each called as in its documentation.

use std::hint::black_box;
use std::time::Duration;

use hookwarden::Scheme;
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::time::TimestampFormat;
use webhook_verify::{CustomScheme, Encoding, HashAlg, HeaderMap, Provider, Secret, VerifyOptions};

use crate::Call;
use crate::ours::{WHSEC, message};
use crate::sender;

pub(crate) fn standardwebhooks(size: usize) -> Call {
    let (head, body) = message(&Scheme::standard_webhooks(), WHSEC, size);
    let webhook = standardwebhooks::Webhook::new(WHSEC).unwrap();
    Box::new(move || webhook.verify(black_box(&body), black_box(&head)).unwrap())
}

pub(crate) fn svix(size: usize) -> Call {
    let (head, body) = message(&Scheme::standard_webhooks(), WHSEC, size);
    let webhook = svix::webhooks::Webhook::new(WHSEC).unwrap();
    Box::new(move || webhook.verify(black_box(&body), black_box(&head)).unwrap())
}

pub(crate) fn webhook_verify_stripe(size: usize) -> Call {
    webhook_verify(Provider::Stripe, &Scheme::stripe(), sender::SECRET, size)
}

pub(crate) fn webhook_verify_standard(size: usize) -> Call {
    webhook_verify(Provider::StandardWebhooks, &Scheme::standard_webhooks(), WHSEC, size)
}

pub(crate) fn webhook_verify_timestamped(size: usize) -> Call {
    let custom = CustomScheme {
        hash: HashAlg::Sha256,
        signature_header: "X-Webhook-Signature",
        timestamp_header: Some("X-Webhook-Timestamp"),
        encoding: Encoding::Hex,
        prefix: None,
        signed_string: |head: &dyn HeaderMap, body| {
            let timestamp = head.get("X-Webhook-Timestamp").unwrap_or_default();
            [timestamp.as_bytes(), b".", body].concat()
        },
    };
    webhook_verify(Provider::Custom(custom), &Scheme::timestamped(), sender::SECRET, size)
}

fn webhook_verify(provider: Provider, scheme: &Scheme, secret: &str, size: usize) -> Call {
    let (head, body) = message(scheme, secret, size);
    let secret = Secret::new(secret);
    Box::new(move || {
        let options = VerifyOptions::default();
        webhook_verify::verify(provider, black_box(&head), black_box(&body), &secret, options).unwrap();
    })
}

/// Hook0's signature without listed headers: it covers `timestamp.body`.
pub(crate) fn hook0_client(size: usize) -> Call {
    let scheme = Scheme::builder("hook0")
        .signature_header("X-Hook0-Signature")
        .layout(Layout::fields(',', "v0"))
        .timestamp_field("t", TimestampFormat::Seconds)
        .signed([SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body])
        .build()
        .unwrap();
    let (head, body) = message(&scheme, sender::SECRET, size);
    Box::new(move || {
        let head = black_box(&head);
        let signature = head.get("X-Hook0-Signature").unwrap().to_str().unwrap();
        let headers: Vec<_> = head.iter().collect();
        let tolerance = Duration::from_secs(300);
        hook0_client::verify_webhook_signature(signature, black_box(&body), &headers, sender::SECRET, tolerance)
            .unwrap();
    })
}

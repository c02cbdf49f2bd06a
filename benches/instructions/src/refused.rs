//! Requests that a Warden refuses, each with a body of 1 KiB.

use std::hint::black_box;

use hookwarden::event::RefusalReason;
use hookwarden::warden::{BodyLimits, Quotas, WardenBuilder};
use hookwarden::{Quota, Reason, Timestamp};
use http::HeaderMap;

use super::pipeline::{Pipeline, ample};
use super::{Work, each, messages, repeated, sender};

/// A request without a signature.
#[must_use]
pub fn unsigned() -> Work {
    alike(|head| sender::without_signature(&head), "acme", Reason::MissingHeader.into())
}

/// A signature that is not a MAC.
#[must_use]
pub fn malformed() -> Work {
    alike(|head| sender::malformed(&head), "acme", Reason::MalformedSignature.into())
}

/// A timestamp that is too old.
#[must_use]
pub fn stale() -> Work {
    let time = Timestamp::from_unix(Timestamp::now().as_unix() - 1_000);
    alike(|_| sender::signed(sender::body(0, SIZE), time).0, "acme", Reason::Stale.into())
}

/// A signature of another body.
#[must_use]
pub fn forged() -> Work {
    alike(|_| sender::numbered(1, SIZE).0, "acme", Reason::Mismatch.into())
}

/// A webhook id without keys.
#[must_use]
pub fn unknown() -> Work {
    alike(|head| head, "unknown", RefusalReason::UnknownId)
}

/// A copy of a handled delivery.
#[must_use]
pub fn replayed() -> Work {
    let pipeline = pipeline(|builder| builder);
    let (head, body) = sender::numbered(0, SIZE);
    pipeline.accept("acme", &head, &body);
    refused(pipeline, "acme", (head, body), RefusalReason::Replayed)
}

/// A request of a peer that is over its quota of refused requests.
#[must_use]
pub fn blocked() -> Work {
    let pipeline = Pipeline::with(|builder| builder.quotas(Quotas::new().rejected(one())));
    let message = (sender::numbered(1, SIZE).0, sender::body(0, SIZE));
    pipeline.receive("acme", &message.0, &message.1).expect_err("it is forged");
    refused(pipeline, "acme", message, RefusalReason::PeerBlocked)
}

/// A delivery over the quota of accepted requests.
#[must_use]
pub fn over_quota() -> Work {
    let pipeline = Pipeline::with(|builder| {
        builder.quotas(Quotas::new().accepted(one()).rejected(ample()).rejected_by_peer(ample()))
    });
    let (head, body) = sender::numbered(usize::MAX, SIZE);
    pipeline.accept("acme", &head, &body);
    each(messages(SIZE), move |(head, body)| refuse(&pipeline, "acme", head, body, RefusalReason::QuotaExceeded))
}

/// A body over the limit.
#[must_use]
pub fn too_large() -> Work {
    let pipeline = pipeline(|builder| builder.body(BodyLimits::new().max_bytes(SIZE - 1)));
    refused(pipeline, "acme", sender::numbered(0, SIZE), RefusalReason::BodyTooLarge)
}

/// Refuses a message whose head was changed.
fn alike(change: impl Fn(HeaderMap) -> HeaderMap, id: &'static str, reason: RefusalReason) -> Work {
    let (head, body) = sender::numbered(0, SIZE);
    refused(pipeline(|builder| builder), id, (change(head), body), reason)
}

fn refused(pipeline: Pipeline, id: &'static str, message: (HeaderMap, Vec<u8>), reason: RefusalReason) -> Work {
    repeated(move || refuse(&pipeline, id, &message.0, &message.1, reason))
}

fn refuse(pipeline: &Pipeline, id: &str, head: &HeaderMap, body: &[u8], reason: RefusalReason) {
    let refused = pipeline.receive(id, black_box(head), black_box(body)).expect_err("it is refused");
    assert_eq!(refused.reason(), reason);
}

/// Creates a Warden whose quotas no run exceeds.
fn pipeline(settings: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Pipeline {
    let quotas = Quotas::new().accepted(ample()).rejected(ample()).rejected_by_peer(ample());
    Pipeline::with(|builder| settings(builder.quotas(quotas)))
}

fn one() -> Quota {
    Quota::per_minute(1).expect("it is not zero")
}

const SIZE: usize = 1 << 10;

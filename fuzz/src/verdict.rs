//! The crate's verdict on a request, by every way to verify it.

use hookwarden::headers::Head;
use hookwarden::verifier::Verified;
use hookwarden::{Rejection, Timestamp, Verifier};

use crate::request::Request;

/// Returns the verdict. Checks that it is the same for the whole body, for the body in chunks of `sizes`, and for the
/// head in the types of the crate `http`.
pub fn verdict(verifier: &Verifier, request: &Request, sizes: &[u8], now: i64) -> Result<Verified, Rejection> {
    let whole = request.with_head(|head| verify(verifier, head, &request.body, sizes, now));
    if let Some(http) = request.to_http() {
        same(&verify(verifier, &http, &request.body, sizes, now), &whole);
    }
    whole
}

fn verify(
    verifier: &Verifier,
    head: &(impl Head + ?Sized),
    body: &[u8],
    sizes: &[u8],
    now: i64,
) -> Result<Verified, Rejection> {
    let now = Timestamp::from_unix(now);
    let whole = verifier.verify_at(head, body, now);
    let streamed = verifier.begin_at(head, now).and_then(|mut verification| {
        for chunk in chunks(body, sizes) {
            verification.update(chunk);
        }
        verification.finish()
    });
    same(&streamed, &whole);
    if let Err(rejection) = &whole {
        let shown = rejection.to_string();
        assert_eq!(shown, "webhook refused");
        let _ = rejection.header();
    }
    whole
}

fn same(one: &Result<Verified, Rejection>, other: &Result<Verified, Rejection>) {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.key_id(), other.key_id());
            assert_eq!(one.timestamp(), other.timestamp());
            assert_eq!(one.replay_keys(), other.replay_keys());
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        _ => panic!("{one:?} and {other:?}"),
    }
}

/// Splits `body` into pieces of `sizes`, and the rest.
pub fn chunks<'b>(body: &'b [u8], sizes: &[u8]) -> Vec<&'b [u8]> {
    let mut rest = body;
    let mut chunks = Vec::new();
    for size in sizes {
        let (chunk, after) = rest.split_at(usize::from(*size).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks.push(rest);
    chunks
}

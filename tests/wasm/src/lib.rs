//! Verifies and signs with the time of the host. `run.mjs` calls these functions.

use hookwarden::{Keyring, Reason, Scheme, Signer, Timestamp, Verifier};
use http::Request;

const BODY: &[u8] = br#"{"event":"user.created"}"#;

fn keys(scheme: &Scheme) -> Keyring {
    Keyring::new(scheme.secret("a-subscription-secret").expect("a secret"))
}

/// Verifies a request of 2027-01-15T08:00:00Z at `now`, in seconds since 1970, with a body of which a byte is changed if
/// `change` is not 0. Returns 0 if it is accepted, 1 if it is stale, 2 if it is early, 3 if its signature does not match, and 4
/// for any other reason.
#[unsafe(no_mangle)]
pub extern "C" fn verify(now: i64, change: u32) -> u32 {
    let request = Request::post("/webhooks/acme")
        .header("x-webhook-timestamp", "1800000000")
        .header("x-webhook-signature", "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe")
        .body(())
        .expect("a request");
    let mut body = BODY.to_vec();
    if change != 0 {
        body[0] ^= 1;
    }
    let scheme = Scheme::timestamped();
    let keys = keys(&scheme);
    let verifier = Verifier::new(scheme, keys).expect("a verifier");
    match verifier.verify_at(&request, &body, Timestamp::from_unix(now)).map_err(|rejection| rejection.reason()) {
        Ok(_) => 0,
        Err(Reason::Stale) => 1,
        Err(Reason::Early) => 2,
        Err(Reason::Mismatch) => 3,
        Err(_) => 4,
    }
}

/// Signs a request at `now`, in seconds since 1970, and returns 1 if it verifies at that time.
#[unsafe(no_mangle)]
pub extern "C" fn sign(now: i64) -> u32 {
    let (scheme, now) = (Scheme::timestamped(), Timestamp::from_unix(now));
    let keys = keys(&scheme);
    let signer = Signer::new(scheme.clone(), keys.clone()).expect("a signer");
    let mut request = Request::new(());
    signer.sign_at(&request, BODY, now).expect("signed headers").insert_into(request.headers_mut());
    u32::from(Verifier::new(scheme, keys).expect("a verifier").verify_at(&request, BODY, now).is_ok())
}

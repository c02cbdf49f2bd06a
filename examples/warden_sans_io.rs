//! A guarded endpoint without a web framework. It calls each step of the Warden itself.
//!
//! ```sh
//! cargo run --features warden --example warden_sans_io
//! ```

use std::error::Error;
use std::net::IpAddr;

use hookwarden::event::SecurityEvent;
use hookwarden::warden::{Quotas, Refused};
use hookwarden::{IdSource, Keyring, Quota, Scheme, Signer, Warden};

/// A request as a custom server might represent it.
struct Request {
    peer: IpAddr,
    headers: Vec<(String, String)>,
    chunks: Vec<&'static [u8]>,
}

/// Verifies the request step by step. `work` runs only for a delivery that is authentic, fresh, new and within its
/// quota.
fn receive(warden: &Warden, request: &Request, work: impl FnOnce(&str) -> bool) -> Result<(), Refused> {
    // Checks the format and the freshness, from the head only.
    let examined = warden.examine(&request.headers, Some(request.peer))?;
    // Checks whether the peer is blocked, and looks up the keys.
    let mut receiving = examined.identify_from_head(&request.headers)?;
    // Hashes the body as it arrives, up to the body limit.
    for chunk in &request.chunks {
        receiving.update(chunk)?;
    }
    // Checks the signature, claims the delivery in the replay store, and checks the quota.
    let admitted = receiving.finish()?;
    if work(admitted.delivery().webhook_id()) {
        admitted.commit();
    }
    // A delivery that is not committed is released here, and the sender may retry.
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let scheme = Scheme::timestamped();
    // New keys for each run. A real secret comes from a secrets manager.
    let keys = Keyring::new(scheme.secret(&format!("example-{:?}", std::time::SystemTime::now()))?);
    let own = [("x-webhook-id", "acme")];
    let signed = Signer::new(scheme.clone(), keys.clone())?.sign(&own, b"{\"type\":\"order.paid\"}")?;

    let warden = Warden::builder(scheme)
        .sender("acme", keys)
        .webhook_id(IdSource::header("x-webhook-id")?)
        .quotas(Quotas::new().accepted(Quota::at_most_per_minute(100)?))
        .observer(|event: &SecurityEvent<'_>| println!("  event: {:?} of {:?}", event.outcome, event.webhook_id))
        .build()?;
    let mut headers: Vec<_> = signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let request = Request { peer: [203, 0, 113, 9].into(), headers, chunks: vec![b"{\"type\":", b"\"order.paid\"}"] };

    for (attempt, succeeds) in [("the handler fails", false), ("the sender's retry", true), ("a replay", true)] {
        println!("{attempt}");
        match receive(&warden, &request, |_| succeeds) {
            Ok(()) => println!("  the handler ran"),
            Err(refused) => println!("  answered {}, because {}", refused.answer().status(), refused.reason()),
        }
    }
    Ok(())
}

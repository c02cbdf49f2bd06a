//! A replay store that is never ready at the first poll, and deliveries to a Warden with it.

use std::net::IpAddr;
use std::sync::Arc;

use hookwarden::replay::LocalReplay;
use hookwarden::testing::{FaultyStore, TestClock};
use hookwarden::warden::{Admitted, Refused, WardenBuilder};
use hookwarden::{Keyring, Scheme, Signer, Timestamp, Warden};

use crate::harness::store::Recorder;

pub(crate) use crate::harness::sender::ID;
pub(crate) const BODY: &[u8] = b"{}";
pub(crate) const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)));

pub(crate) type Head = Vec<(String, String)>;

/// A replay store whose calls are recorded and are never ready at the first poll.
pub(crate) type SlowReplay = Arc<Recorder<FaultyStore<LocalReplay>>>;

pub(crate) fn keyring() -> Keyring {
    Keyring::new(Scheme::timestamped().secret(crate::harness::sender::SECRET).unwrap())
}

pub(crate) fn warden(clock: &TestClock) -> WardenBuilder {
    Warden::builder(Scheme::timestamped()).sender(ID, keyring()).clock(clock.clone())
}

/// Signs [`BODY`] and returns the head.
pub(crate) fn signed_at(time: Timestamp) -> Head {
    let signer = Signer::new(Scheme::timestamped(), keyring()).unwrap();
    let signed = signer.sign_body_at(BODY, time).unwrap();
    signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Runs all steps before the handler.
pub(crate) async fn deliver(warden: &Warden, head: &Head) -> Result<Admitted, Refused> {
    let mut receiving = warden.examine(head, PEER)?.identify_async(ID).await?;
    receiving.update(BODY)?;
    receiving.finish_async().await
}

//! A replay store that never answers at the first poll, and deliveries to a Warden that uses it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookwarden::clock::ClockReading;
use hookwarden::error::StoreError;
use hookwarden::replay::{Claim, Claimant, Delivery, LocalReplay, ReplayStore};
use hookwarden::testing::TestClock;
use hookwarden::warden::{Admitted, Refused, WardenBuilder};
use hookwarden::{BoxFuture, Keyring, Scheme, Signer, Timestamp, Warden};
use tokio::sync::Notify;

pub(crate) const ID: &str = "acme";
pub(crate) const BODY: &[u8] = b"{}";
pub(crate) const PEER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)));

pub(crate) type Head = Vec<(String, String)>;

/// A store in this process behind futures that are pending once or twice.
#[derive(Clone, Default)]
pub(crate) struct SlowReplay {
    store: Arc<LocalReplay>,
    pub(crate) panics: Arc<AtomicBool>,
    /// Notified when a release begins.
    pub(crate) releasing: Arc<Notify>,
    /// Notified when a commit or a release is done.
    pub(crate) settled: Arc<Notify>,
}

impl SlowReplay {
    async fn wait(&self) {
        assert!(!self.panics.load(Ordering::Relaxed), "on purpose");
        tokio::task::yield_now().await;
    }
}

impl ReplayStore for SlowReplay {
    fn claim<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        lease: Duration,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move {
            self.wait().await;
            let claim = self.store.claim(delivery, by, lease, now).await;
            self.wait().await;
            claim
        })
    }

    fn commit<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.wait().await;
            let committed = self.store.commit(delivery, by, now).await;
            self.settled.notify_one();
            committed
        })
    }

    fn release<'a>(
        &'a self,
        delivery: Delivery<'a>,
        by: Claimant,
        now: ClockReading,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.releasing.notify_one();
            self.wait().await;
            let released = self.store.release(delivery, by, now).await;
            self.settled.notify_one();
            released
        })
    }
}

pub(crate) fn keyring() -> Keyring {
    Keyring::new(Scheme::timestamped().secret("a-secret-of-the-tests-and-of-no-one-else").unwrap())
}

pub(crate) fn warden(clock: &TestClock) -> WardenBuilder {
    Warden::builder(Scheme::timestamped()).sender(ID, keyring()).clock(clock.clone())
}

/// The head of a message with the body [`BODY`].
pub(crate) fn signed_at(time: Timestamp) -> Head {
    let signer = Signer::new(Scheme::timestamped(), keyring()).unwrap();
    let signed = signer.sign_body_at(BODY, time).unwrap();
    signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// All steps up to the handler.
pub(crate) async fn deliver(warden: &Warden, head: &Head) -> Result<Admitted, Refused> {
    let mut receiving = warden.examine(head, PEER)?.identify_async(ID).await?;
    receiving.update(BODY)?;
    receiving.finish_async().await
}

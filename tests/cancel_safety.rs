//! Requests that are dropped before they are answered: what they cost is charged, and what they claimed is settled.
#![cfg(all(feature = "testing", feature = "tower"))]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "util/slow_replay.rs"]
mod slow_replay;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hookwarden::clock::Clock as _;
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::event::RefusalReason;
use hookwarden::keys::KeyStore;
use hookwarden::testing::TestClock;
use hookwarden::warden::{Quotas, Replay};
use hookwarden::{Quota, Scheme, Timestamp, Warden};

use slow_replay::{PEER, SlowReplay, deliver, signed_at, warden};

/// Has no keys and counts lookups.
#[derive(Default)]
struct NoKeys {
    lookups: AtomicUsize,
}

impl KeyStore for NoKeys {
    fn find(&self, _: &str) -> Result<Option<PreparedKeys>, StoreError> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        Ok(None)
    }
}

#[test]
fn aborted_requests_are_charged_for_key_lookups() {
    let (clock, store) = (TestClock::default(), Arc::new(NoKeys::default()));
    let warden = Warden::builder(Scheme::timestamped()).keys(store.clone()).clock(clock.clone()).build().unwrap();
    let head = signed_at(clock.now().wall);
    for n in 0..1_000 {
        // The client disconnects after the key lookup and before its body is complete.
        drop(warden.examine(&head, PEER).unwrap().identify(&format!("random-{n}")));
    }
    assert_eq!(store.lookups.load(Ordering::Relaxed), 60);
}

/// Waits until a commit or a release is done.
async fn until_settled(store: &SlowReplay) {
    let settled = tokio::time::timeout(Duration::from_secs(10), store.settled.notified());
    settled.await.expect("neither a commit nor a release was done");
}

/// Polls `future` once, and drops it.
async fn drop_midway(future: impl Future) {
    let mut future = pin!(future);
    let is_pending = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
    assert!(is_pending);
}

#[tokio::test]
async fn dropped_commit_is_completed() {
    let (clock, store) = (TestClock::default(), SlowReplay::default());
    let warden = warden(&clock).replay(Replay::shared(store.clone())).build().unwrap();
    let head = signed_at(clock.now().wall);
    let admitted = deliver(&warden, &head).await.unwrap();
    drop_midway(admitted.commit_async()).await;
    until_settled(&store).await;
    assert_eq!(deliver(&warden, &head).await.unwrap_err().reason(), RefusalReason::Replayed);
    // A claim alone would be free again after its lease.
    clock.advance(Duration::from_secs(61));
    assert_eq!(deliver(&warden, &head).await.unwrap_err().reason(), RefusalReason::Replayed);
}

#[tokio::test]
async fn dropped_release_is_completed() {
    let (clock, store) = (TestClock::default(), SlowReplay::default());
    let warden = warden(&clock).replay(Replay::shared(store.clone())).build().unwrap();
    let head = signed_at(clock.now().wall);
    let admitted = deliver(&warden, &head).await.unwrap();
    drop_midway(admitted.release_async()).await;
    until_settled(&store).await;
    assert!(deliver(&warden, &head).await.is_ok());
}

#[tokio::test]
async fn dropped_request_over_quota_is_released() {
    let (clock, store) = (TestClock::default(), SlowReplay::default());
    let quota = Quota::new(1, Duration::from_secs(1)).unwrap();
    let warden =
        warden(&clock).quotas(Quotas::new().accepted(quota)).replay(Replay::shared(store.clone())).build().unwrap();
    deliver(&warden, &signed_at(clock.now().wall)).await.unwrap().commit_async().await.unwrap();
    until_settled(&store).await;

    let second = signed_at(Timestamp::from_unix(clock.now().wall.as_unix() - 1));
    // The client disconnects while the claim is released after the denial.
    tokio::select! {
        biased;
        answer = deliver(&warden, &second) => panic!("{answer:?}"),
        () = store.releasing.notified() => {}
    }
    until_settled(&store).await;
    clock.advance(Duration::from_secs(1));
    assert!(deliver(&warden, &second).await.is_ok());
}

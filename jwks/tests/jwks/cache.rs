//! When keys are fetched, and how long they are used.

use std::fmt::Debug;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hookwarden::error::StoreError;
use hookwarden::keys::AsyncKeyStore as _;
use hookwarden::testing::TestClock;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::server::{PATIENCE, Reply, Server, answer_with, document};
use crate::store::{Found, builder, find, set, source, store};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn cached(lines: &str, seeds: &[u8]) -> Reply {
    Reply::Send(answer_with("200 OK", lines, &set(seeds)))
}

fn failing() -> Reply {
    Reply::Send(answer_with("500 Internal Server Error", "", ""))
}

fn is_failed(found: &Found) -> bool {
    matches!(found, Found::Failed(_))
}

#[tokio::test]
async fn freshness_follows_cache_control_within_limits() {
    for (lines, fresh) in [
        ("", 300),
        ("Cache-Control: public, max-age=120\r\n", 120),
        ("Cache-Control: max-age=120\r\nAge: 30\r\n", 90),
        ("Cache-Control: max-age=1\r\n", 60),
        ("Cache-Control: no-store\r\n", 60),
        ("Cache-Control: max-age=31536000\r\n", 3_600),
    ] {
        let server = Server::start(cached(lines, &[1, 2])).await;
        let clock = TestClock::default();
        let keys = store(&server, &clock);
        assert_eq!(find(&keys, "k2").await, Found::Key);
        server.set(cached(lines, &[1]));
        // Before three quarters of the time, and before a minute, nothing is fetched.
        clock.advance(seconds((fresh * 3 / 4).max(60) - 1));
        assert_eq!(find(&keys, "k2").await, Found::Key, "{lines}");
        assert_eq!(server.requests(), 1, "{lines}");
        clock.advance(seconds(fresh) - seconds((fresh * 3 / 4).max(60) - 1));
        assert_eq!(find(&keys, "k2").await, Found::Unknown, "{lines}: a removed key");
        assert_eq!(find(&keys, "k1").await, Found::Key, "{lines}");
        assert_eq!(server.requests(), 2, "{lines}");
    }
}

#[tokio::test]
async fn ageing_keys_are_refreshed_in_the_background() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    let permits = Arc::new(Semaphore::new(0));
    server.set(Reply::Hold(permits.clone(), document(&set(&[1, 2]))));
    clock.advance(seconds(225));
    // The server does not answer, and no request waits for it.
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.wait_for(2).await;
    assert_eq!(find(&keys, "k1").await, Found::Key);
    permits.add_permits(1);
    assert_eq!(find(&keys, "k2").await, Found::Key);
    clock.advance(seconds(224));
    assert_eq!(find(&keys, "k1").await, Found::Key);
    assert_eq!(server.requests(), 2);
}

fn document_of(seeds: &[u8]) -> Reply {
    Reply::Send(document(&set(seeds)))
}

#[tokio::test]
async fn new_key_is_found_at_its_first_use() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set(document_of(&[1, 2]));
    clock.advance(seconds(30));
    assert_eq!(find(&keys, "k2").await, Found::Key);
    assert_eq!((find(&keys, "k1").await, server.requests()), (Found::Key, 2));
}

#[tokio::test]
async fn new_key_is_found_directly_after_a_fetch() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set(document_of(&[1, 2]));
    assert_eq!((find(&keys, "k2").await, server.requests()), (Found::Key, 2));
    // The cooldown is that of fetches for unknown keys.
    server.set(document_of(&[1, 2, 3]));
    for passed in [0, 29] {
        clock.advance(seconds(passed));
        assert_eq!((find(&keys, "k3").await, server.requests()), (Found::Unknown, 2));
    }
    clock.advance(seconds(1));
    assert_eq!((find(&keys, "k3").await, server.requests()), (Found::Key, 3));
}

#[tokio::test]
async fn unknown_keys_start_one_fetch_per_cooldown() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    for second in 1..=600_usize {
        clock.advance(seconds(1));
        for number in 0..3 {
            assert_eq!(find(&keys, &format!("invented-{second}-{number}")).await, Found::Unknown);
        }
        assert_eq!(server.requests(), 1 + second.div_ceil(30), "after {second} s");
    }
}

#[tokio::test]
async fn many_requests_share_one_fetch() {
    let permits = Arc::new(Semaphore::new(0));
    let server = Server::start(Reply::Hold(permits.clone(), document(&set(&[1])))).await;
    let keys = store(&server, &TestClock::default());
    let mut waiting = JoinSet::new();
    for number in 0..50 {
        let keys = keys.clone();
        waiting.spawn(async move { find(&keys, ["k1", "k2"][number % 2]).await });
    }
    server.wait_for(1).await;
    permits.add_permits(50);
    let found = waiting.join_all().await;
    assert_eq!(found.iter().filter(|found| **found == Found::Key).count(), 25);
    assert_eq!(found.iter().filter(|found| **found == Found::Unknown).count(), 25);
    assert_eq!((server.requests(), server.connections()), (1, 1));
}

#[tokio::test]
async fn fetch_outlives_the_request_that_started_it() {
    let permits = Arc::new(Semaphore::new(0));
    let server = Server::start(Reply::Hold(permits.clone(), document(&set(&[1])))).await;
    let keys = store(&server, &TestClock::default());
    let first = tokio::spawn({
        let keys = keys.clone();
        async move { keys.find("acme/k1").await }
    });
    server.wait_for(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    permits.add_permits(1);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn failing_source_is_asked_less_and_less() {
    let server = Server::start(failing()).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert!(is_failed(&find(&keys, "k1").await));
    let mut asked = Vec::new();
    for second in 1..=300_u64 {
        clock.advance(seconds(1));
        let before = server.requests();
        assert!(is_failed(&find(&keys, "k1").await));
        if server.requests() > before {
            asked.push(second);
        }
    }
    assert_eq!(asked, [1, 3, 7, 15, 31, 63, 123, 183, 243]);
    server.set(document_of(&[1]));
    clock.advance(seconds(3));
    assert_eq!(find(&keys, "k1").await, Found::Key);
}

#[tokio::test]
async fn first_error_says_when_to_retry() {
    let server = Server::start(failing()).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    for pause in [1, 2, 4] {
        let error = keys.find("acme/k1").await.unwrap_err();
        assert_eq!(error.retry_after(), seconds(pause));
        clock.advance(seconds(pause));
    }
}

#[tokio::test]
async fn old_keys_are_used_for_a_day() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set(failing());
    let mut requests = 1;
    for hour in 1..24 {
        clock.advance(seconds(3_600));
        assert_eq!(find(&keys, "k1").await, Found::Key, "after {hour} h");
        requests += 1;
        server.wait_for(requests).await;
        assert!(is_failed(&find(&keys, "k2").await), "a key that may be new");
    }
    clock.advance(seconds(3_599));
    assert_eq!(find(&keys, "k1").await, Found::Key);
    clock.advance(seconds(1));
    assert!(is_failed(&find(&keys, "k1").await));
    server.set(document_of(&[1]));
    clock.advance(seconds(60));
    assert_eq!(find(&keys, "k1").await, Found::Key);
}

#[tokio::test]
async fn failing_source_does_not_delay_known_keys() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set(failing());
    clock.advance(seconds(300));
    assert_eq!(find(&keys, "k1").await, Found::Key);
    assert_eq!(server.requests(), 2);
    let permits = Arc::new(Semaphore::new(0));
    server.set(Reply::Hold(permits.clone(), document(&set(&[2]))));
    clock.advance(seconds(1));
    // The server does not answer, and no request waits for it.
    for _ in 0..3 {
        assert_eq!(find(&keys, "k1").await, Found::Key);
    }
    server.wait_for(3).await;
    permits.add_permits(2);
    // An unknown key waits for the fetch in progress.
    assert_eq!((find(&keys, "k2").await, server.requests()), (Found::Key, 3));
    assert_eq!(find(&keys, "k1").await, Found::Unknown, "a removed key");
}

#[tokio::test]
async fn old_failure_does_not_keep_removed_key() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set(failing());
    clock.advance(seconds(300));
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set(document_of(&[2]));
    // One second of pause and a minute after the failure, the source can be healthy again.
    clock.advance(seconds(61));
    assert_eq!(find(&keys, "k1").await, Found::Unknown);
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn failed_fetch_for_new_key_is_repeated_soon() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set(failing());
    clock.advance(seconds(60));
    let error = keys.find("acme/k2").await.unwrap_err();
    assert_eq!((error.retry_after(), server.requests()), (seconds(1), 2));
    server.set(document_of(&[1, 2]));
    clock.advance(seconds(1));
    assert_eq!(find(&keys, "k2").await, Found::Key);
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn set_without_keys_removes_all_keys() {
    let server = Server::start(document_of(&[1])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set(document_of(&[]));
    clock.advance(seconds(300));
    assert_eq!(find(&keys, "k1").await, Found::Unknown);
}

#[tokio::test]
async fn removed_key_verifies_for_documented_time() {
    let server = Server::start(document_of(&[1, 2])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    let cached = keys.cached().unwrap();
    let is_known = async |id| cached.find(id).await.unwrap().is_some();
    // The cache looks the key up just before its removal is fetched.
    assert!(is_known("acme/k1").await);
    server.set(document_of(&[2]));
    clock.advance(seconds(299));
    assert!(is_known("acme/k1").await);
    let mut left = 0;
    while is_known("acme/k1").await {
        clock.advance(seconds(1));
        left += 1;
        assert!(left <= 11, "a removed key stays in use");
    }
    assert_eq!(left, 10);
    assert!(is_known("acme/k2").await);
}

#[tokio::test]
async fn revoked_key_is_refused_at_once() {
    let server = Server::start(document_of(&[1, 2])).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    let cached = keys.cached().unwrap();
    let is_known = async |id| cached.find(id).await.unwrap().is_some();
    assert!(is_known("acme/k1").await && is_known("acme/k2").await);
    assert!(keys.revoke("acme", "k1"));
    assert!(!keys.revoke("other", "k1"));
    assert_eq!(find(&keys, "k1").await, Found::Unknown);
    cached.invalidate("acme");
    assert!(!is_known("acme/k1").await && is_known("acme/k2").await);
    // Neither an expired document nor an outage brings it back.
    server.set(failing());
    clock.advance(seconds(300));
    assert_eq!(find(&keys, "k2").await, Found::Key);
    for _ in 0..2 {
        assert_eq!(find(&keys, "k1").await, Found::Unknown);
        clock.advance(seconds(60));
    }
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn key_published_after_refusal_works_within_documented_time() {
    // The cache knows an unknown id for a second, and the last of these seconds can begin just before the fetch.
    for offset in [0, 500, 999].map(Duration::from_millis) {
        let server = Server::start(document_of(&[1])).await;
        let clock = TestClock::default();
        let keys = store(&server, &clock);
        let cached = keys.cached().unwrap();
        let is_known = async |id| cached.find(id).await.unwrap().is_some();
        assert!(is_known("acme/k1").await);
        assert!(!is_known("acme/k2").await);
        server.set(document_of(&[1, 2]));
        clock.advance(offset);
        let mut passed = offset;
        while !is_known("acme/k2").await {
            clock.advance(seconds(1));
            passed += seconds(1);
            assert!(passed <= seconds(31), "a new key stays unknown");
        }
        assert_eq!((passed, server.requests()), (seconds(30) + offset, 3));
    }
}

#[tokio::test]
async fn lookup_without_a_runtime_fails() {
    let server = Server::start(document_of(&[1])).await;
    let keys = store(&server, &TestClock::default());
    let found = std::thread::spawn(move || poll_once(pin!(keys.find("acme/k1"))));
    let error = "keys are fetched only in a Tokio runtime".to_owned();
    assert_eq!(found.join().unwrap(), Poll::Ready(error));
}

/// Polls a lookup that fails, or does not end.
fn poll_once<T: Debug>(lookup: Pin<&mut (impl Future<Output = Result<T, StoreError>> + ?Sized)>) -> Poll<String> {
    let mut context = Context::from_waker(Waker::noop());
    lookup.poll(&mut context).map(|answer| answer.unwrap_err().to_string())
}

/// Calls `poll` in a runtime, which does not run.
fn within<T>(runtime: &Runtime, poll: impl FnOnce() -> T) -> T {
    let _guard = runtime.enter();
    poll()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn lookup_in_a_runtime_that_ended_fails() {
    let servers = runtime();
    let server = servers.block_on(Server::start(document_of(&[1])));
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    let ended = runtime();
    let handle = ended.handle().clone();
    ended.shutdown_timeout(PATIENCE); // so that it takes no tasks any more
    let (found, answer) = std::sync::mpsc::channel();
    std::thread::spawn({
        let keys = keys.clone();
        move || {
            let _guard = handle.enter();
            found.send(poll_once(pin!(keys.find("acme/k1"))))
        }
    });
    let error = "keys of acme: the fetch was cancelled, or its task panicked".to_owned();
    assert_eq!(answer.recv_timeout(PATIENCE).expect("the lookup hangs"), Poll::Ready(error));
    clock.advance(seconds(1));
    assert_eq!(servers.block_on(find(&keys, "k1")), Found::Key);
}

#[test]
fn fetch_in_stopped_runtime_does_not_block_others() {
    let servers = runtime();
    let server = servers.block_on(Server::start(document_of(&[1])));
    let clock = TestClock::default();
    let limit = seconds(1);
    let keys = builder(&clock).connect_timeout(limit).timeout(limit).sender("acme", source(&server)).build().unwrap();
    let cached = keys.cached().unwrap();
    // Nothing runs the tasks and timers of this runtime.
    let stopped = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // All requests for one key share the lookup.
    let mut lookup = pin!(cached.find("acme/k1"));
    assert_eq!(within(&stopped, || poll_once(lookup.as_mut())), Poll::Pending);
    let error = servers.block_on(async { timeout(PATIENCE, cached.find("acme/k1")).await.expect("the lookup hangs") });
    let expected = "keys of acme: the runtime of the fetch did not run for 2s";
    assert_eq!(error.unwrap_err().to_string(), expected);

    // A fetch that is too old is not waited for at all.
    clock.advance(seconds(1));
    let mut abandoned = keys.find("acme/k1");
    assert_eq!(within(&stopped, || poll_once(abandoned.as_mut())), Poll::Pending);
    servers.block_on(async {
        // Time limits use the system's clock.
        tokio::time::sleep(seconds(2)).await;
        clock.advance(seconds(1));
        assert_eq!(find(&keys, "k1").await, Found::Key);
    });
    assert_eq!(server.requests(), 1);
    // The fetches that end too late change nothing.
    server.set(document_of(&[2]));
    stopped.block_on(async {
        assert!(lookup.await.is_err());
        assert!(abandoned.await.is_ok());
        server.wait_for(3).await;
        while Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(servers.block_on(find(&keys, "k1")), Found::Key);
}

#[test]
fn fetch_that_ends_with_its_runtime_is_repeated() {
    let servers = runtime();
    let permits = Arc::new(Semaphore::new(0));
    let server = servers.block_on(Server::start(Reply::Hold(permits.clone(), document(&set(&[1])))));
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    let first = runtime();
    let lookup = first.spawn({
        let keys = keys.clone();
        async move { keys.find("acme/k1").await.is_ok() }
    });
    servers.block_on(server.wait_for(1));
    first.shutdown_background();
    servers.block_on(async {
        assert!(lookup.await.is_err());
        permits.add_permits(2);
        while let Found::Failed(error) = find(&keys, "k1").await {
            assert_eq!(error, "keys of acme: the fetch was cancelled, or its task panicked");
            clock.advance(seconds(1));
        }
        assert_eq!(find(&keys, "k1").await, Found::Key);
    });
}

#[tokio::test]
async fn load_fetches_before_the_first_request() {
    let server = Server::start(failing()).await;
    let clock = TestClock::default();
    let keys = builder(&clock).sender("acme", source(&server)).build().unwrap();
    let error = keys.load().await.unwrap_err();
    assert_eq!(error.to_string(), "keys of acme: answered 500 Internal Server Error instead of 200");
    server.set(document_of(&[1]));
    keys.load().await.unwrap();
    assert_eq!(find(&keys, "k1").await, Found::Key);
    keys.load().await.unwrap();
    assert_eq!(server.requests(), 2);
}

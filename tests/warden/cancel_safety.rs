//! Requests that are dropped before their answer: their costs are charged, their claims settled, and handlers that began
//! run to completion.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use hookwarden::clock::Clock as _;
use hookwarden::crypto::PreparedKeys;
use hookwarden::error::StoreError;
use hookwarden::event::RefusalReason;
use hookwarden::keys::KeyStore;
use hookwarden::testing::TestClock;
use hookwarden::tower::{GuardedBody, ReceivedBody, ResponseFuture, WardenLayer, WardenService};
use hookwarden::warden::{Quotas, Replay};
use hookwarden::{IdSource, Quota, Scheme, Timestamp, Warden};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::{Notify, Semaphore};
use tower::limit::ConcurrencyLimit;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tracing::Span;

use crate::harness::PATIENCE;
use crate::slow_replay::{BODY, Head, ID, PEER, SlowReplay, deliver, signed_at, warden};

/// A store without keys that counts its lookups.
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
    assert_eq!(store.lookups.load(Ordering::Relaxed), 120);
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
    store.until_settled().await;
    assert_eq!(deliver(&warden, &head).await.unwrap_err().reason(), RefusalReason::Replayed);
    // An uncommitted claim would be free again after its lease.
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
    store.until_settled().await;
    drop(deliver(&warden, &head).await.unwrap());
}

#[tokio::test]
async fn dropped_request_over_quota_is_released() {
    let (clock, store) = (TestClock::default(), SlowReplay::default());
    let quota = Quota::new(1, Duration::from_secs(1)).unwrap();
    let warden =
        warden(&clock).quotas(Quotas::new().accepted(quota)).replay(Replay::shared(store.clone())).build().unwrap();
    deliver(&warden, &signed_at(clock.now().wall)).await.unwrap().commit_async().await.unwrap();
    store.until_settled().await;

    let second = signed_at(Timestamp::from_unix(clock.now().wall.as_unix() - 1));
    // The client disconnects while the claim is released after the denial.
    tokio::select! {
        biased;
        answer = deliver(&warden, &second) => panic!("{answer:?}"),
        () = store.releasing.notified() => {}
    }
    store.until_settled().await;
    clock.advance(Duration::from_secs(1));
    drop(deliver(&warden, &second).await.unwrap());
}

/// Makes a request of this head and its body.
fn request(head: &Head) -> Request<Full<Bytes>> {
    let mut request = Request::post("/");
    for (name, value) in head {
        request = request.header(name, value);
    }
    request.body(Full::from(BODY)).unwrap()
}

/// A handler that waits for a permit and answers with the status.
#[derive(Clone)]
struct Work {
    begun: Arc<AtomicUsize>,
    go_on: Arc<Semaphore>,
    status: StatusCode,
}

impl Work {
    fn new(status: StatusCode) -> Self {
        Self { begun: Arc::default(), go_on: Arc::new(Semaphore::new(0)), status }
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    async fn run(self, _: Request<ReceivedBody>) -> Result<Response<Full<Bytes>>, Infallible> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.go_on.acquire().await.unwrap().forget();
        let mut response = Response::new(Full::default());
        *response.status_mut() = self.status;
        Ok(response)
    }

    /// Calls the handler behind a layer.
    fn call(&self, warden: &Warden, head: &Head) -> Answering {
        let work = self.clone();
        WardenLayer::new(warden.clone()).layer(service_fn(move |request| work.clone().run(request))).call(request(head))
    }
}

type Answering = ResponseFuture<Result<Response<GuardedBody<Full<Bytes>>>, Infallible>>;

#[tokio::test]
async fn handler_of_a_dropped_request_settles_its_delivery() {
    for (status, is_done) in
        [(StatusCode::NO_CONTENT, true), (StatusCode::FOUND, false), (StatusCode::BAD_GATEWAY, false)]
    {
        for is_shared in [false, true] {
            let (clock, store) = (TestClock::default(), SlowReplay::default());
            let mut builder = warden(&clock).webhook_id(IdSource::fixed(ID));
            if is_shared {
                builder = builder.replay(Replay::shared(store.clone()));
            }
            let warden = builder.build().unwrap();
            let (work, head) = (Work::new(status), signed_at(clock.now().wall));
            let mut answering = work.call(&warden, &head);
            while work.begun() == 0 {
                assert!(poll_once(&mut answering).await.is_pending());
                tokio::task::yield_now().await;
            }
            drop(answering);
            assert_eq!(warden.wait_for_handlers(Duration::ZERO).await, 1, "{status}, {is_shared}");
            let copy = deliver(&warden, &head).await.unwrap_err();
            assert_eq!(copy.reason(), RefusalReason::InProgress, "{status}, {is_shared}");
            work.go_on.add_permits(1);
            assert_eq!(warden.wait_for_handlers(PATIENCE).await, 0, "{status}, {is_shared}");
            let retry = deliver(&warden, &head).await.map(drop).map_err(|refused| refused.reason());
            assert_eq!(retry, if is_done { Err(RefusalReason::Replayed) } else { Ok(()) }, "{status}, {is_shared}");
            assert_eq!(work.begun(), 1, "{status}, {is_shared}");
        }
    }
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.poll_unpin(cx))).await
}

#[tokio::test]
async fn request_dropped_while_settling_is_counted() {
    let (clock, store) = (TestClock::default(), SlowReplay::default());
    let warden = warden(&clock).webhook_id(IdSource::fixed(ID)).replay(Replay::shared(store.clone())).build().unwrap();
    let (work, head) = (Work::new(StatusCode::BAD_REQUEST), signed_at(clock.now().wall));
    work.go_on.add_permits(1);
    tokio::select! {
        biased;
        () = store.releasing.notified() => {}
        answer = work.call(&warden, &head) => panic!("{answer:?}"),
    }
    // The background task has not run yet.
    assert_eq!(warden.wait_for_handlers(PATIENCE).now_or_never(), None);
    assert_eq!(warden.wait_for_handlers(PATIENCE).await, 0);
    store.until_settled().await;
    drop(deliver(&warden, &head).await.unwrap());
}

#[tokio::test]
async fn request_dropped_before_its_handler_runs_is_released() {
    let clock = TestClock::default();
    let warden = warden(&clock).webhook_id(IdSource::fixed(ID)).build().unwrap();
    let work = Work::new(StatusCode::OK);
    let handler = service_fn({
        let work = work.clone();
        move |request| work.clone().run(request)
    });
    // The only permit is taken: the request is admitted and waits.
    let mut taken = ConcurrencyLimit::new(handler, 1);
    let waiting = taken.clone();
    taken.ready().await.unwrap();
    let head = signed_at(clock.now().wall);
    let mut service: WardenService<_> = WardenLayer::new(warden.clone()).layer(waiting);
    drop_midway(service.call(request(&head))).await;
    assert_eq!(warden.wait_for_handlers(Duration::ZERO).await, 0);
    drop(deliver(&warden, &head).await.unwrap());
    assert_eq!(work.begun(), 0);
}

/// Log lines of the handler then still name the request that they belong to.
#[tokio::test]
async fn handler_of_a_dropped_request_keeps_its_span() {
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry());
    let clock = TestClock::default();
    let warden = warden(&clock).webhook_id(IdSource::fixed(ID)).build().unwrap();
    let go_on = Arc::new(Notify::new());
    let (waiting, (sender, mut spans)) = (go_on.clone(), unbounded_channel());
    let handler = service_fn(move |_: Request<ReceivedBody>| {
        let (waiting, sender) = (waiting.clone(), sender.clone());
        async move {
            waiting.notified().await;
            sender.send(Span::current().metadata().map(|span| span.name())).unwrap();
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let mut answering = WardenLayer::new(warden.clone()).layer(handler).call(request(&signed_at(clock.now().wall)));
    assert!(poll_once(&mut answering).await.is_pending());
    tracing::info_span!("request").in_scope(|| drop(answering));
    go_on.notify_one();
    assert_eq!(warden.wait_for_handlers(PATIENCE).await, 0);
    assert_eq!(spans.recv().await, Some(Some("request")));
}

#[test]
fn request_dropped_outside_of_a_runtime_is_released() {
    let clock = TestClock::default();
    let warden = warden(&clock).webhook_id(IdSource::fixed(ID)).build().unwrap();
    let (work, head) = (Work::new(StatusCode::OK), signed_at(clock.now().wall));
    let mut answering = work.call(&warden, &head);
    assert!(answering.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(work.begun(), 1);
    drop(answering);
    drop(deliver(&warden, &head).now_or_never().unwrap().unwrap());
}

async fn panic_after(go_on: Arc<Notify>) -> Result<Response<Full<Bytes>>, Infallible> {
    go_on.notified().await;
    panic!("the handler panics on purpose")
}

#[tokio::test]
async fn panicking_detached_handler_releases_its_delivery() {
    let clock = TestClock::default();
    let warden = warden(&clock).webhook_id(IdSource::fixed(ID)).build().unwrap();
    let (go_on, head) = (Arc::new(Notify::new()), signed_at(clock.now().wall));
    let waiting = go_on.clone();
    let handler = service_fn(move |_: Request<ReceivedBody>| panic_after(waiting.clone()));
    drop_midway(WardenLayer::new(warden.clone()).layer(handler).call(request(&head))).await;
    assert_eq!(warden.wait_for_handlers(Duration::ZERO).await, 1);
    go_on.notify_one();
    assert_eq!(warden.wait_for_handlers(PATIENCE).await, 0);
    drop(deliver(&warden, &head).await.unwrap());
}

#[tokio::test]
async fn handler_with_a_client_is_awaited() {
    let clock = TestClock::default();
    let warden = warden(&clock).webhook_id(IdSource::fixed(ID)).build().unwrap();
    for (age, panics) in [(0, false), (1, true)] {
        let go_on = Arc::new(Notify::new());
        let waiting = go_on.clone();
        let handler = service_fn(move |request: Request<ReceivedBody>| {
            let waiting = waiting.clone();
            async move {
                if panics {
                    return panic_after(waiting).await;
                }
                waiting.notified().await;
                drop(request);
                Ok(Response::new(Full::<Bytes>::default()))
            }
        });
        let head = signed_at(Timestamp::from_unix(clock.now().wall.as_unix() - age));
        let mut answering = WardenLayer::new(warden.clone()).layer(handler).call(request(&head));
        assert!(poll_once(&mut answering).await.is_pending());
        assert_eq!(warden.wait_for_handlers(Duration::ZERO).await, 1, "{panics}");
        // Both waiters are notified.
        let limit = Duration::from_secs(86_400);
        let waits = futures_util::future::join(warden.wait_for_handlers(limit), warden.wait_for_handlers(limit));
        let mut waits = pin!(waits);
        assert!(poll_once(&mut waits).await.is_pending(), "{panics}");
        go_on.notify_one();
        let answered = tokio::spawn(answering).await;
        assert_eq!(answered.is_err_and(|error| error.is_panic()), panics);
        assert_eq!(tokio::time::timeout(PATIENCE, waits).await.expect("not notified"), (0, 0), "{panics}");
    }
}

#[tokio::test]
async fn waiting_for_handlers_ends_at_its_limit() {
    let clock = TestClock::default();
    let warden = warden(&clock).webhook_id(IdSource::fixed(ID)).build().unwrap();
    let work = Work::new(StatusCode::OK);
    for age in 0..3 {
        let head = signed_at(Timestamp::from_unix(clock.now().wall.as_unix() - age));
        drop_midway(work.call(&warden, &head)).await;
    }
    assert_eq!(warden.wait_for_handlers(Duration::from_millis(20)).await, 3);
    work.go_on.add_permits(1);
    tokio::task::yield_now().await;
    assert_eq!(warden.wait_for_handlers(Duration::from_millis(20)).await, 2);
    work.go_on.add_permits(2);
    assert_eq!(warden.wait_for_handlers(PATIENCE).await, 0);
}

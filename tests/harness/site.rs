//! The same endpoint on each adapter, with a handler that tests control.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwarden::event::Outcome;
use hookwarden::testing::TestClock;
use hookwarden::warden::WardenBuilder;
use hookwarden::{Scheme, Timestamp, Warden};
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::PATIENCE;
use super::client::{Answer, Connection};
use super::events::{Event, Events, events};
use super::receiver::{Handled, Handler, Receiver, Server};
use super::sender::{ID, Post, SECRET, keyring};

/// The initial time of a site's clock.
pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A request that the sender signed at `NOW` plus `offset` seconds.
pub(crate) fn signed(body: impl Into<Vec<u8>>, offset: i64) -> Post {
    Post::signed_at(body, later(offset))
}

/// `NOW` plus `offset` seconds.
pub(crate) const fn later(offset: i64) -> Timestamp {
    Timestamp::from_unix(NOW.as_unix().saturating_add(offset))
}

/// What the handler does with its next request. It answers 200 by default.
#[derive(Debug)]
pub(crate) enum Act {
    Answer(u16),
    Panic,
    /// Takes the claim, does not commit it, and answers 200.
    TakeClaim,
    /// Waits for a status and answers with it.
    Wait(oneshot::Receiver<u16>),
}

/// A handler that follows the test's instructions and reports the body of each request.
#[derive(Debug, Clone)]
struct Instructed {
    acts: Arc<Mutex<VecDeque<Act>>>,
    runs: mpsc::UnboundedSender<Bytes>,
}

impl Handler for Instructed {
    async fn handle(self, request: Handled) -> Response<Full<Bytes>> {
        // Fails if the test has ended.
        let _ = self.runs.send(request.body);
        let act = self.acts.lock().expect("no panic under the lock").pop_front();
        let status = match act {
            None => 200,
            Some(Act::Answer(status)) => status,
            Some(Act::TakeClaim) => {
                assert!(request.delivery.take_claim().is_some(), "the claim is not in a shared store");
                200
            }
            Some(Act::Panic) => panic!("the handler panics on purpose"),
            Some(Act::Wait(status)) => status.await.unwrap_or(500),
        };
        let response = Response::builder().status(status).header(MARK, request.delivery.webhook_id());
        response.body(Full::default()).expect("a valid status")
    }
}

/// The header that marks the handler's answers. Its value is the webhook id of the delivery.
const MARK: &str = "x-handled";

/// A running endpoint.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) adapter: Server,
    pub(crate) clock: TestClock,
    pub(crate) events: Events,
    handler: Instructed,
    runs: mpsc::UnboundedReceiver<Bytes>,
    server: Receiver,
    /// All answers so far.
    pub(crate) transcript: Vec<String>,
}

/// The result of one request.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// `None` if the connection was closed.
    pub(crate) answer: Option<Answer>,
    pub(crate) event: Event,
    /// The bodies of the handler's runs.
    pub(crate) runs: Vec<Bytes>,
}

impl Site {
    /// Starts an endpoint with the sender, default settings and a `TestClock`, changed by `settings`.
    pub(crate) async fn start(adapter: Server, settings: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        Self::of(adapter, Scheme::timestamped(), |warden| {
            settings(warden.sender(ID, keyring(&Scheme::timestamped(), SECRET)))
        })
        .await
    }

    /// Starts an endpoint of another scheme or with other senders.
    pub(crate) async fn of(
        adapter: Server,
        scheme: Scheme,
        settings: impl FnOnce(WardenBuilder) -> WardenBuilder,
    ) -> Self {
        let warden = settings(adapter.adapt(Warden::builder(scheme)));
        Self::behind(adapter, warden).await
    }

    /// Starts an endpoint behind this Warden with a `TestClock`.
    pub(crate) async fn behind(adapter: Server, warden: WardenBuilder) -> Self {
        let (observer, events) = events();
        let clock = TestClock::new(NOW);
        let warden = warden.clock(clock.clone()).observer(observer).build().expect("a Warden");
        let (sender, runs) = mpsc::unbounded_channel();
        let handler = Instructed { acts: Arc::default(), runs: sender };
        let server = adapter.start(warden, handler.clone()).await;
        Self { adapter, clock, events, handler, runs, server, transcript: Vec::new() }
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.server.connect().await
    }

    /// Connects from a loopback address.
    pub(crate) async fn connect_from(&self, own: IpAddr) -> Connection {
        Connection::open_from(own, self.server.address()).await
    }

    /// Instructs the handler for its next request.
    pub(crate) fn then(&self, act: Act) {
        self.handler.acts.lock().expect("no panic under the lock").push_back(act);
    }

    /// Lets the handler wait for the status that the returned sender sends.
    pub(crate) fn hold(&self) -> oneshot::Sender<u16> {
        let (release, held) = oneshot::channel();
        self.then(Act::Wait(held));
        release
    }

    /// Waits until the handler runs.
    pub(crate) async fn run(&mut self) -> Bytes {
        timeout(PATIENCE, self.runs.recv()).await.expect("the handler did not run in time").expect("a handler")
    }

    /// Takes the runs so far.
    pub(crate) fn runs(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.runs.try_recv().ok()).collect()
    }

    /// Makes a request on a new connection.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Exchange {
        let mut connection = self.connect().await;
        self.send_on(&mut connection, bytes).await
    }

    /// Makes a request on an existing connection.
    pub(crate) async fn send_on(&mut self, connection: &mut Connection, bytes: &[u8]) -> Exchange {
        let answer = connection.exchange(bytes).await;
        self.transcript.push(answer.as_ref().map_or_else(|| "closed".to_owned(), Answer::essence));
        let event = self.events.next().await;
        Exchange { answer, event, runs: self.runs() }
    }

    /// Makes a request, and asserts its answer, outcome and run.
    pub(crate) async fn assert(&mut self, what: &str, bytes: &[u8], answer: &str, outcome: Outcome) {
        let exchange = self.send(bytes).await;
        exchange.assert(&format!("{:?}, {what}", self.adapter), answer, outcome);
    }

    /// Stops the server, and asserts that no event or run is left.
    pub(crate) async fn end(mut self) -> Vec<String> {
        assert!(self.runs().is_empty(), "{:?}", self.adapter);
        drop(self.server);
        let rest = self.events.rest().await;
        assert!(rest.is_empty(), "{:?}: {rest:?}", self.adapter);
        self.transcript
    }
}

impl Exchange {
    /// Asserts the whole answer and the outcome, and that the handler ran exactly if the answer is its own.
    pub(crate) fn assert(&self, what: &str, answer: &str, outcome: Outcome) {
        let exchange = self.answer.as_ref().map_or_else(|| "closed".to_owned(), Answer::essence);
        assert_eq!(exchange, answer, "{what}");
        assert_eq!(self.event.outcome, outcome, "{what}");
        let runs = usize::from(answer.contains(MARK) || outcome == Outcome::Released);
        assert_eq!(self.runs.len(), runs, "{what}");
    }
}

/// A short deadline of a body.
pub(crate) const SHORT_DEADLINE: Duration = Duration::from_millis(400);

/// Runs a scenario on each adapter, and asserts equal answers.
pub(crate) async fn agree(settings: impl Fn(WardenBuilder) -> WardenBuilder, scenario: impl AsyncFn(&mut Site)) {
    let mut transcripts = Vec::new();
    for &adapter in Server::ALL {
        let mut site = Site::start(adapter, &settings).await;
        scenario(&mut site).await;
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

/// Asserts equal answers of all adapters.
#[track_caller]
pub(crate) fn assert_alike(transcripts: &[Vec<String>]) {
    let Some((first, others)) = transcripts.split_first() else { panic!("no transcript") };
    assert!(!first.is_empty(), "no answer");
    assert_eq!(others.len(), 2);
    for (adapter, other) in Server::ALL.iter().skip(1).zip(others) {
        assert_eq!(first, other, "{:?} and {adapter:?}", Server::Axum);
    }
}

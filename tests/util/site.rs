//! One endpoint on each of the three adapters, of the same settings and with the same handler, which does what a test
//! tells it to.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use axum::Router;
use axum::extract::Request as AxumRequest;
use axum::routing::any;
use hookwarden::actix::WardenMiddleware;
use hookwarden::axum::WardenLayer;
use hookwarden::event::Outcome;
use hookwarden::testing::TestClock;
use hookwarden::tower::{PeerAddress, WardenLayer as TowerLayer};
use hookwarden::warden::{VerifiedDelivery, WardenBuilder};
use hookwarden::{IdSource, Scheme, Timestamp, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes};
use hyper::{Request, Response};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::PATIENCE;
use super::actix::ActixReceiver;
use super::client::{Answer, Connection};
use super::events::{Event, Events, events};
use super::receiver::{Receiver, Running};
use super::sender::{ID, Post, SECRET, keyring};

/// An adapter with its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adapter {
    /// `axum::serve` with the peers' addresses, the layer on a route, the webhook id a path parameter.
    Axum,
    /// hyper, the layer around a function, the webhook id a segment of the path.
    Hyper,
    /// actix-web, the middleware on a resource, the webhook id a path parameter.
    Actix,
}

impl Adapter {
    pub(crate) const ALL: [Self; 3] = [Self::Axum, Self::Hyper, Self::Actix];
}

/// When the clock of a site stands at first.
pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A request of the one sender, signed when the clock of a site stood at `NOW` plus `offset` seconds.
pub(crate) fn signed(body: impl Into<Vec<u8>>, offset: i64) -> Post {
    Post::signed_at(body, later(offset))
}

/// `NOW` plus `offset` seconds.
pub(crate) const fn later(offset: i64) -> Timestamp {
    Timestamp::from_unix(NOW.as_unix().saturating_add(offset))
}

/// What the handler does the next time. Unless it is told, it answers 200.
#[derive(Debug)]
pub(crate) enum Act {
    Answer(u16),
    Panic,
    /// Answers with the status that is sent.
    ReplayClaim(oneshot::Receiver<u16>),
}

/// A handler that does as it is told and says with which body it ran.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    acts: Arc<Mutex<VecDeque<Act>>>,
    runs: mpsc::UnboundedSender<Bytes>,
}

impl Handler {
    async fn run(self, body: Bytes) -> u16 {
        // A test that is over counts no more runs.
        let _ = self.runs.send(body);
        let act = self.acts.lock().expect("no panic with the lock").pop_front();
        match act {
            None => 200,
            Some(Act::Answer(status)) => status,
            Some(Act::Panic) => panic!("as this test wants it"),
            Some(Act::ReplayClaim(release)) => release.await.unwrap_or(500),
        }
    }

    async fn handle<B: Body<Data = Bytes>>(self, request: Request<B>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else { panic!("a body that was verified cannot fail") };
        let facts = parts.extensions.get::<VerifiedDelivery>().expect("facts");
        let status = self.run(body.to_bytes()).await;
        Response::builder().status(status).header(MARK, facts.webhook_id()).body(Full::default()).expect("an answer")
    }

    async fn handle_actix(self, request: HttpRequest, body: Bytes) -> HttpResponse {
        let facts = request.extensions().get::<VerifiedDelivery>().expect("facts").clone();
        let status = self.run(body).await;
        let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
        HttpResponse::build(status).insert_header((MARK, facts.webhook_id())).finish()
    }
}

/// The header by which the handler's answers are known; its value is the webhook id of the facts.
const MARK: &str = "x-handled";

/// A running endpoint.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) adapter: Adapter,
    pub(crate) clock: TestClock,
    pub(crate) events: Events,
    handler: Handler,
    runs: mpsc::UnboundedReceiver<Bytes>,
    server: Running,
    /// All answers so far.
    pub(crate) transcript: Vec<String>,
}

/// What became of one request.
#[derive(Debug)]
pub(crate) struct Told {
    /// `None` where the connection was closed instead.
    pub(crate) answer: Option<Answer>,
    pub(crate) event: Event,
    /// The bodies with which the handler ran.
    pub(crate) runs: Vec<Bytes>,
}

impl Site {
    /// An endpoint for the one sender, with safe defaults and a clock that stands still, changed by `settings`.
    pub(crate) async fn start(adapter: Adapter, settings: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Self {
        Self::of(adapter, Scheme::timestamped(), |warden| {
            settings(warden.sender(ID, keyring(&Scheme::timestamped(), SECRET)))
        })
        .await
    }

    /// An endpoint of another scheme, or with other senders.
    pub(crate) async fn of(
        adapter: Adapter,
        scheme: Scheme,
        settings: impl FnOnce(WardenBuilder) -> WardenBuilder,
    ) -> Self {
        let (observer, events) = events();
        let clock = TestClock::new(NOW);
        let source = match adapter {
            Adapter::Axum | Adapter::Actix => IdSource::path_parameter("id"),
            Adapter::Hyper => IdSource::path_segment(1),
        };
        let warden = Warden::builder(scheme).webhook_id(source).clock(clock.clone());
        let warden = settings(warden).observer(observer).build().expect("a Warden");
        let (sender, runs) = mpsc::unbounded_channel();
        let handler = Handler { acts: Arc::default(), runs: sender };
        let server = serve(adapter, warden, handler.clone()).await;
        Self { adapter, clock, events, handler, runs, server, transcript: Vec::new() }
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.server.connect().await
    }

    /// A connection from an address of the loopback that the test chooses.
    pub(crate) async fn connect_from(&self, own: IpAddr) -> Connection {
        Connection::open_from(own, self.server.address()).await
    }

    /// Tells the handler what to do next.
    pub(crate) fn then(&self, act: Act) {
        self.handler.acts.lock().expect("no panic with the lock").push_back(act);
    }

    /// Tells the handler to wait, and returns what lets it go on.
    pub(crate) fn hold(&self) -> oneshot::Sender<u16> {
        let (release, held) = oneshot::channel();
        self.then(Act::ReplayClaim(held));
        release
    }

    /// Waits until the handler runs.
    pub(crate) async fn run(&mut self) -> Bytes {
        timeout(PATIENCE, self.runs.recv()).await.expect("no run in time").expect("a handler")
    }

    /// The runs that were not taken yet.
    pub(crate) fn runs(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.runs.try_recv().ok()).collect()
    }

    /// Makes a request on a connection of its own.
    pub(crate) async fn tell(&mut self, bytes: &[u8]) -> Told {
        let mut connection = self.connect().await;
        self.tell_on(&mut connection, bytes).await
    }

    /// Makes a request on a connection that may have served others.
    pub(crate) async fn tell_on(&mut self, connection: &mut Connection, bytes: &[u8]) -> Told {
        let answer = connection.exchange(bytes).await;
        self.transcript.push(answer.as_ref().map_or_else(|| "closed".to_owned(), Answer::essence));
        let event = self.events.next().await;
        Told { answer, event, runs: self.runs() }
    }

    /// Makes a request, and checks all that becomes of it.
    pub(crate) async fn assert(&mut self, what: &str, bytes: &[u8], answer: &str, outcome: Outcome) {
        let told = self.tell(bytes).await;
        told.assert(&format!("{:?}, {what}", self.adapter), answer, outcome);
    }

    /// Ends the server, and checks that no event and no run is left over.
    pub(crate) async fn end(mut self) -> Vec<String> {
        assert!(self.runs().is_empty(), "{:?}", self.adapter);
        drop(self.server);
        let rest = self.events.rest().await;
        assert!(rest.is_empty(), "{:?}: {rest:?}", self.adapter);
        self.transcript
    }
}

impl Told {
    /// Checks the whole answer and the outcome, and that the handler ran where the answer is its own and nowhere else.
    pub(crate) fn assert(&self, what: &str, answer: &str, outcome: Outcome) {
        let told = self.answer.as_ref().map_or_else(|| "closed".to_owned(), Answer::essence);
        assert_eq!(told, answer, "{what}");
        assert_eq!(self.event.outcome, outcome, "{what}");
        let runs = usize::from(answer.contains(MARK) || outcome == Outcome::Released);
        assert_eq!(self.runs.len(), runs, "{what}");
    }
}

async fn serve(adapter: Adapter, warden: Warden, handler: Handler) -> Running {
    match adapter {
        Adapter::Axum => {
            let route = any(move |request: AxumRequest| handler.handle(request)).layer(WardenLayer::new(warden));
            let router = Router::new().route("/webhooks/{id}", route.clone()).route("/", route);
            Running::Hyper(Receiver::axum_with_peers(router).await)
        }
        Adapter::Hyper => {
            let layer = TowerLayer::new(warden);
            let make = move |peer: SocketAddr| {
                let handler = handler.clone();
                let service = service_fn(move |request| {
                    let handling = handler.clone().handle(request);
                    async { Ok::<_, Infallible>(handling.await) }
                });
                layer.layer(service).map_request(move |mut request: Request<_>| {
                    request.extensions_mut().insert(PeerAddress(peer.ip()));
                    request
                })
            };
            Running::Hyper(Receiver::hyper_by_peer(make).await)
        }
        Adapter::Actix => {
            let configure = move |config: &mut web::ServiceConfig| {
                config.app_data(web::PayloadConfig::new(warden.body_limit()));
                for path in ["/webhooks/{id}", "/"] {
                    let handler = handler.clone();
                    let route = web::route().to(move |request, body| handler.clone().handle_actix(request, body));
                    config.service(web::resource(path).wrap(WardenMiddleware::new(warden.clone())).route(route));
                }
            };
            Running::Actix(ActixReceiver::start(configure).await)
        }
    }
}

/// A time that a body may take, short enough to wait for.
pub(crate) const SHORT_DEADLINE: Duration = Duration::from_millis(400);

/// Runs one scenario on each adapter in turn and demands the same answers of all.
pub(crate) async fn agree(settings: impl Fn(WardenBuilder) -> WardenBuilder, scenario: impl AsyncFn(&mut Site)) {
    let mut transcripts = Vec::new();
    for adapter in Adapter::ALL {
        let mut site = Site::start(adapter, &settings).await;
        scenario(&mut site).await;
        transcripts.push(site.end().await);
    }
    assert_alike(&transcripts);
}

/// Demands the same answers of all adapters.
#[track_caller]
pub(crate) fn assert_alike(transcripts: &[Vec<String>]) {
    let Some((first, others)) = transcripts.split_first() else { panic!("no transcript") };
    assert!(!first.is_empty(), "no answer");
    assert_eq!(others.len(), 2);
    for (adapter, other) in Adapter::ALL.iter().skip(1).zip(others) {
        assert_eq!(first, other, "{:?} and {adapter:?}", Adapter::Axum);
    }
}

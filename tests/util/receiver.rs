//! Receivers on the loopback: axum's own server, bare hyper with the layer around a function, and actix-web's.

use std::convert::Infallible;
use std::fmt::Debug;
use std::net::SocketAddr;

use actix_web::web;
use axum::Router;
use axum::extract::Request as AxumRequest;
use axum::routing::post;
use hookwarden::IdSource;
use hookwarden::actix::WardenMiddleware;
use hookwarden::axum::WardenLayer;
use hookwarden::tower::WardenLayer as TowerLayer;
use hookwarden::warden::WardenBuilder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tower::{Layer as _, Service, service_fn};

use super::PATIENCE;
use super::client::Connection;
use super::events::{Events, events};

/// A server on a port of 127.0.0.1, until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Receiver {
    /// axum's own server.
    pub(crate) async fn axum(router: Router) -> Self {
        Self::serve(|listener| async move { axum::serve(listener, router).await.expect("no end") }).await
    }

    /// axum's own server, which tells the handlers the address of their peer.
    pub(crate) async fn axum_with_peers(router: Router) -> Self {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        Self::serve(|listener| async move { axum::serve(listener, service).await.expect("no end") }).await
    }

    /// hyper's server for HTTP/1.1 and nothing else.
    pub(crate) async fn hyper<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        Self::hyper_by_peer(move |_| service.clone()).await
    }

    /// hyper's server, with a service made for each connection.
    pub(crate) async fn hyper_by_peer<S, B>(make: impl Fn(SocketAddr) -> S + Send + 'static) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        Self::serve(|listener| async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, peer) = listener.accept().await.expect("a connection");
                let service = TowerToHyperService::new(make(peer));
                let mut http = hyper::server::conn::http1::Builder::new();
                http.timer(TokioTimer::new());
                // A connection that its client breaks off ends with an error, which is the client's own.
                connections.spawn(async move {
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        })
        .await
    }

    async fn serve<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(TcpListener) -> F) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        Self { address, task: tokio::spawn(run(listener)) }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a server is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// `axum::serve`, the layer on a route, the webhook id a path parameter.
    Axum,
    /// hyper, the layer around a function, the webhook id a segment of the path.
    Hyper,
    /// actix-web, the middleware on a resource, the webhook id a path parameter.
    Actix,
}

impl Server {
    /// Those on hyper.
    pub(crate) const BOTH: [Self; 2] = [Self::Axum, Self::Hyper];
    pub(crate) const ALL: &[Self] = &[Self::Axum, Self::Hyper, Self::Actix];
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(crate) enum Running {
    Hyper(Receiver),
    Actix(super::actix::ActixReceiver),
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Hyper(receiver) => receiver.address(),
            Self::Actix(receiver) => receiver.address(),
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address()).await
    }
}

/// A guarded receiver whose handler answers 200 and hands over what it was given.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) receiver: Running,
    pub(crate) events: Events,
    pub(crate) handled: HandledRequests,
}

/// A request as a handler saw it.
#[derive(Debug, Clone)]
pub(crate) struct Handled {
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: Option<HeaderMap>,
}

/// The requests that reached the handler.
#[derive(Debug)]
pub(crate) struct HandledRequests(UnboundedReceiver<Handled>);

impl Bench {
    /// A receiver that asks `warden` and observes it.
    pub(crate) async fn start(server: Server, warden: WardenBuilder) -> Self {
        let (observer, events) = events();
        let warden = warden.observer(observer);
        let (sender, handled) = unbounded_channel();
        let receiver = match server {
            Server::Axum => {
                let layer = WardenLayer::new(warden.build().expect("a Warden"));
                let handler = post(move |request: AxumRequest| handle(request, sender)).layer(layer);
                Running::Hyper(Receiver::axum(Router::new().route("/webhooks/{id}", handler)).await)
            }
            Server::Hyper => {
                let warden = warden.webhook_id(IdSource::path_segment(1)).build().expect("a Warden");
                let handler = service_fn(move |request| {
                    let handling = handle(request, sender.clone());
                    async { Ok::<_, Infallible>(handling.await) }
                });
                Running::Hyper(Receiver::hyper(TowerLayer::new(warden).layer(handler)).await)
            }
            Server::Actix => {
                let warden = warden.build().expect("a Warden");
                let configure = move |config: &mut web::ServiceConfig| {
                    let sender = sender.clone();
                    let handler = move |request, body| handle_actix(request, body, sender.clone());
                    config.app_data(web::PayloadConfig::new(warden.body_limit())).service(
                        web::resource("/webhooks/{id}")
                            .wrap(WardenMiddleware::new(warden.clone()))
                            .route(web::post().to(handler)),
                    );
                };
                Running::Actix(super::actix::ActixReceiver::start(configure).await)
            }
        };
        Self { receiver, events, handled: HandledRequests(handled) }
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.receiver.connect().await
    }
}

async fn handle<B: Body<Data = Bytes, Error: Debug>>(
    request: Request<B>,
    handled: UnboundedSender<Handled>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body that was verified cannot fail");
    let trailers = body.trailers().cloned();
    // A test that is over wants no more requests.
    let _ = handled.send(Handled { body: body.to_bytes(), headers: parts.headers, trailers });
    Response::new(Full::from("handled"))
}

async fn handle_actix(
    request: actix_web::HttpRequest,
    body: web::Bytes,
    handled: UnboundedSender<Handled>,
) -> actix_web::HttpResponse {
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name = hyper::header::HeaderName::from_bytes(name.as_str().as_bytes()).expect("a name");
        headers.append(name, hyper::header::HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    // A test that is over wants no more requests.
    let _ = handled.send(Handled { body, headers, trailers: None });
    actix_web::HttpResponse::Ok().body("handled")
}

impl HandledRequests {
    /// The next one.
    pub(crate) async fn next(&mut self) -> Handled {
        timeout(PATIENCE, self.0.recv()).await.expect("nothing handled in time").expect("a handler")
    }

    /// The bodies of those that the handler has seen by now and that were not taken yet.
    pub(crate) fn bodies(&mut self) -> Vec<Bytes> {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(|handled| handled.body).collect()
    }
}

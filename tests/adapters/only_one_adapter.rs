//! Code that each adapter has separately: reading the peer and answering errors.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use actix_web::dev::{Service as _, ServiceResponse};
use actix_web::test::{TestRequest, call_service, init_service, try_call_service};
use actix_web::{App, HttpResponse, web};
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::{Router, routing::post};
use hookwarden::actix::{HardenMiddleware, WardenMiddleware};
use hookwarden::axum::WardenLayer;
use hookwarden::event::{Outcome, SecurityEvent};
use hookwarden::harden::{Harden, PlainHttp};
use hookwarden::proxies::Proxies;
use hookwarden::testing::TestClock;
use hookwarden::tower::{PeerAddress, ReceivedBody, WardenLayer as TowerLayer};
use hookwarden::{IdSource, Keyring, Scheme, Signer, Timestamp, Warden};
use hyper::{Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};

/// The peers, outcomes and statuses of events.
type Seen = Arc<Mutex<Vec<(Option<IpAddr>, Outcome, Option<u16>)>>>;

/// A Warden behind one proxy, and its events.
fn behind_a_proxy() -> (Warden, Seen) {
    let events = Seen::default();
    let seen = events.clone();
    let observer = move |event: &SecurityEvent<'_>| {
        seen.lock().unwrap().push((event.peer, event.outcome, event.status.map(|status| status.as_u16())));
    };
    let warden = Warden::builder(Scheme::timestamped())
        .sender(ID, keyring())
        .webhook_id(IdSource::fixed(ID))
        .proxies(Proxies::x_forwarded_for(1, ["10.0.0.0/8"]).unwrap())
        .clock(TestClock::new(NOW))
        .observer(observer);
    (warden.build().unwrap(), events)
}

fn keyring() -> Keyring {
    Keyring::new(Scheme::timestamped().secret("a-secret-of-the-tests-and-of-no-one-else").unwrap())
}

/// The client writes the first line of `X-Forwarded-For`, and the proxy adds another.
fn headers() -> Vec<(String, String)> {
    let signed = Signer::new(Scheme::timestamped(), keyring()).unwrap().sign_body_at(b"{}", NOW).unwrap();
    let lines = [("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "203.0.113.9")];
    signed.iter().chain(lines).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn request() -> Request<Body> {
    let request = headers().into_iter().fold(Request::post("/"), |request, (name, value)| request.header(name, value));
    request.body(Body::from("{}")).unwrap()
}

#[tokio::test]
async fn actix_reads_every_line_of_forwarded_addresses() {
    let (warden, events) = behind_a_proxy();
    let resource = web::resource("/").wrap(WardenMiddleware::new(warden)).route(web::post().to(HttpResponse::Ok));
    let app = init_service(App::new().service(resource)).await;
    let request = TestRequest::post().uri("/").peer_addr(PROXY).set_payload("{}");
    let request = headers().into_iter().fold(request, |request, line| request.append_header(line));
    assert_eq!(call_service(&app, request.to_request()).await.status(), 200);
    assert_eq!(*events.lock().unwrap(), [(Some(CLIENT), Outcome::Accepted, Some(200))]);
}

#[tokio::test]
async fn axum_reads_every_line_of_forwarded_addresses() {
    let (warden, events) = behind_a_proxy();
    let app = Router::new().route("/", post(async || "").layer(WardenLayer::new(warden)));
    let response = app.layer(MockConnectInfo(PROXY)).oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(*events.lock().unwrap(), [(Some(CLIENT), Outcome::Accepted, Some(200))]);
}

#[tokio::test]
async fn tower_reads_every_line_of_forwarded_addresses() {
    let (warden, events) = behind_a_proxy();
    let handler = service_fn(async |_: Request<ReceivedBody>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let mut request = request();
    request.extensions_mut().insert(PeerAddress(PROXY.ip()));
    let response = TowerLayer::new(warden).layer(handler).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(*events.lock().unwrap(), [(Some(CLIENT), Outcome::Accepted, Some(200))]);
}

/// actix-web makes the response of such an error outside all middleware.
#[tokio::test]
async fn error_behind_actix_middleware_releases_the_delivery() {
    let (warden, events) = behind_a_proxy();
    let resource = web::resource("/")
        .wrap_fn(|request, inner| {
            let answer = inner.call(request);
            async {
                answer.await?;
                Err::<ServiceResponse, _>(actix_web::error::ErrorImATeapot(""))
            }
        })
        .wrap(WardenMiddleware::new(warden))
        .route(web::post().to(HttpResponse::Ok));
    let app = init_service(App::new().service(resource)).await;
    let request = TestRequest::post().uri("/").peer_addr(PROXY).set_payload("{}");
    let request = headers().into_iter().fold(request, |request, line| request.append_header(line));
    let error = try_call_service(&app, request.to_request()).await.map(|answer| answer.status()).unwrap_err();
    assert_eq!(error.error_response().status(), 418);
    assert_eq!(*events.lock().unwrap(), [(Some(CLIENT), Outcome::Released, Some(418))]);
}

/// RFC 6797 section 7.2 forbids the field over plain HTTP.
#[tokio::test]
async fn plain_error_on_actix_lacks_transport_security() {
    for (protocol, has_field) in [("http", false), ("https", true)] {
        let harden = Harden::builder()
            .proxies(Proxies::x_forwarded_for(1, ["10.0.0.0/8"]).unwrap())
            .plain_http(PlainHttp::DangerAllow);
        let app = App::new()
            .wrap_fn(|request, inner| {
                let answer = inner.call(request);
                async {
                    answer.await?;
                    Err::<ServiceResponse, _>(actix_web::error::ErrorImATeapot(""))
                }
            })
            .wrap(HardenMiddleware::new(harden.build().unwrap()))
            .default_service(web::to(HttpResponse::Ok));
        let app = init_service(app).await;
        let request = TestRequest::get().peer_addr(PROXY).insert_header(("x-forwarded-proto", protocol)).to_request();
        let error = try_call_service(&app, request).await.map(|answer| answer.status()).unwrap_err();
        let answer = error.error_response();
        assert_eq!(answer.status(), 418);
        assert_eq!(answer.headers().contains_key("strict-transport-security"), has_field, "{protocol}");
        assert!(answer.headers().contains_key("x-content-type-options"), "{protocol}");
    }
}

const ID: &str = "acme";
const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7)), 1337);
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

//! Guards a bare hyper service by the tower layer; the webhook id is a segment of the path.
//!
//! ```sh
//! HOOKWARDEN_SECRETS="acme=$(openssl rand -hex 32)" cargo run --features tower --example tower_hyper
//! ```

use std::convert::Infallible;
use std::env;
use std::error::Error;

use hookwarden::event::SecurityEvent;
use hookwarden::tower::{PeerAddress, VerifiedBody, WardenLayer};
use hookwarden::warden::VerifiedDelivery;
use hookwarden::{IdSource, Keyring, Scheme, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

async fn handle(request: Request<VerifiedBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let sender = parts.extensions.get::<VerifiedDelivery>().map_or("unknown", VerifiedDelivery::webhook_id);
    let Ok(bytes) = body.collect().await.map(|body| body.to_bytes());
    Ok(Response::new(Full::from(format!("{} bytes from {sender}\n", bytes.len()))))
}

fn log(event: &SecurityEvent<'_>) {
    println!("{:?} id={:?} body={} bytes in {:?}", event.outcome, event.webhook_id, event.body_bytes, event.duration);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secrets = env::var("HOOKWARDEN_SECRETS").map_err(|_| "set HOOKWARDEN_SECRETS to ID=SECRET")?;
    let (id, text) = secrets.split_once('=').ok_or("HOOKWARDEN_SECRETS is not ID=SECRET")?;
    let scheme = Scheme::timestamped();
    let keys = Keyring::new(scheme.secret(text)?);
    let warden =
        Warden::builder(scheme).sender(id, keys).webhook_id(IdSource::path_segment(1)).observer(log).build()?;
    let service = ServiceBuilder::new().layer(WardenLayer::new(warden)).service(service_fn(handle));

    let listener = TcpListener::bind(env::var("HOOKWARDEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".into())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        // Each request carries the connection's address, so that refused traffic is counted for each peer.
        let with_peer = ServiceBuilder::new().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddress(peer.ip()));
            request
        });
        let service = TowerToHyperService::new(with_peer.service(service.clone()));
        tokio::spawn(async move {
            // The timer bounds how long a head may take; the Warden's deadline bounds the body.
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new());
            // A larger one lets a fast sender keep hyper busy for long with what stands in front of a chunk.
            server.max_buf_size(64 * 1024);
            let connection = server.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("connection: {error}");
            }
        });
    }
}

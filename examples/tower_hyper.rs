//! Guards a plain hyper service with the tower layer. The webhook id is a segment of the path.
//!
//! ```sh
//! HOOKWARDEN_SECRETS="acme=$(openssl rand -hex 32)" cargo run --features tower --example tower_hyper
//! ```

use std::env;
use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use hookwarden::event::SecurityEvent;
use hookwarden::tower::{PeerAddress, ReceivedBody, WardenLayer};
use hookwarden::warden::VerifiedDelivery;
use hookwarden::{IdSource, Keyring, Scheme, Warden};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower::{ServiceBuilder, service_fn};

/// How long a shutdown waits for connections, and then for handlers whose clients disconnected.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(30);

async fn handle(request: Request<ReceivedBody>) -> Result<Response<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
    let (parts, body) = request.into_parts();
    let sender = parts.extensions.get::<VerifiedDelivery>().map_or("unknown", VerifiedDelivery::webhook_id);
    let bytes = body.collect().await?.to_bytes();
    Ok(Response::new(Full::from(format!("{} bytes from {sender}\n", bytes.len()))))
}

fn log(event: &SecurityEvent<'_>) {
    println!("{:?} id={:?} body={} bytes in {:?}", event.outcome, event.webhook_id, event.body_bytes, event.duration);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let secrets = env::var("HOOKWARDEN_SECRETS").map_err(|_| "set HOOKWARDEN_SECRETS to ID=SECRET")?;
    let (id, text) = secrets.split_once('=').ok_or("HOOKWARDEN_SECRETS: must be ID=SECRET")?;
    let scheme = Scheme::timestamped();
    let keys = Keyring::new(scheme.secret(text)?);
    let warden =
        Warden::builder(scheme).sender(id, keys).webhook_id(IdSource::path_segment(1)).observer(log).build()?;
    let service = ServiceBuilder::new().layer(WardenLayer::new(warden.clone())).service(service_fn(handle));

    let listener = TcpListener::bind(env::var("HOOKWARDEN_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".into())).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let connections = GracefulShutdown::new();
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = &mut interrupt => break,
        };
        // The address of the connection lets the Warden count refused requests for each peer.
        let with_peer = ServiceBuilder::new().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddress(peer.ip()));
            request
        });
        let service = TowerToHyperService::new(with_peer.service(service.clone()));
        // The timer limits the time for a head. The Warden's deadline limits the time for a body.
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new());
        // With a larger buffer, a fast sender can keep hyper busy with the size line of a single chunk.
        server.max_buf_size(64 * 1024);
        let connection = connections.watch(server.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("connection: {error}");
            }
        });
    }
    drop(listener);
    let _ = timeout(SHUTDOWN_LIMIT, connections.shutdown()).await;
    let running = warden.wait_for_handlers(SHUTDOWN_LIMIT).await;
    if running > 0 {
        eprintln!("{running} handlers did not finish: retries will run them again");
    }
    Ok(())
}

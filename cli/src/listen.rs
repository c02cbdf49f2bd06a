//! `hookwarden listen`: a receiver for development, in front of an application.

mod captures;
mod exchange;
mod forward;
mod recording;
mod report;
mod warden;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Args;
use hookwarden::escape::Escaped;
use http::{Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::client;
use crate::failure::Failure;
use crate::input::SecretArguments;
use crate::output::{self, Output};
use crate::profile::VerifyingArguments;
use crate::when;
use captures::Captures;
use exchange::Exchanges;
use forward::Forward;
use report::Reporter;
use warden::Keys;

/// The arguments of `hookwarden listen`.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Listen on this address and port; 0 is a free port. Other addresses than loopback ones are reachable from other
    /// machines
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4000", value_parser = address)]
    listen: SocketAddr,
    #[command(flatten)]
    verifying: VerifyingArguments,
    #[command(flatten)]
    secret: SecretArguments,
    /// Forward accepted requests to this URL, and return the application's answers. Without a path, each request keeps
    /// its own path and query
    #[arg(long, value_name = "URL", value_parser = client::url)]
    forward: Option<Uri>,
    /// Forward refused requests too, duplicates included, to see how the application answers them
    #[arg(long, requires = "forward")]
    forward_refused: bool,
    /// Limit the time of the application's answer, including its body
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = when::parse_wait)]
    timeout: Duration,
    /// Refuse requests with a larger body, up to 67,108,864
    #[arg(long, value_name = "BYTES", default_value_t = 1_048_576, value_parser = clap::value_parser!(u32).range(1..=67_108_864))]
    max_body: u32,
    /// Confirm that you own the application, to forward to another host
    #[arg(long, requires = "forward")]
    yes_i_own_this: bool,
    /// Save each request as a file in this directory, which is created if it does not exist. Saved requests contain
    /// personal data and signatures: only you can read the files
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Save no more requests when the directory has this many, up to 100,000
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "save", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_saved: u32,
    /// Answer the challenges that the provider of --scheme sends when the webhook is registered
    #[arg(long)]
    handshake: bool,
    /// Read the token that you enter when you register the webhook from this environment variable, if the provider's
    /// challenges contain one
    #[arg(long, value_name = "NAME", requires = "handshake")]
    handshake_token_env: Option<String>,
}

impl Listen {
    fn max_body(&self) -> usize {
        usize::try_from(self.max_body).unwrap_or(usize::MAX)
    }
}

/// Receives requests until an interrupt. What was answered before is printed and saved.
pub(crate) fn run(arguments: &Listen, output: Output) -> Result<ExitCode, Failure> {
    let forward = arguments.forward.as_ref().map(|url| Forward::new(arguments, url)).transpose()?;
    let (scheme, profile) = arguments.verifying.scheme()?;
    let secret = arguments.secret.text()?;
    secret.check_count()?;
    let named = match profile {
        Some(profile) => {
            secret.check_message_keys(&scheme)?;
            Some((profile, secret.named_keys(&scheme, &arguments.verifying)?))
        }
        None => None,
    };
    let keys = match named {
        Some((profile, Some(named))) => Keys::ByName(Box::new(profile), named),
        _ => Keys::All(secret.verifying_keyring(&scheme)?),
    };
    let warden = warden::build(arguments, &scheme, keys)?;
    let captures = arguments.save.as_deref().map(|path| Captures::open(path, arguments.max_saved)).transpose()?;
    let captures = Arc::new(Mutex::new(captures));
    let name = scheme.name().to_owned();
    let places = MAX_BODIES.checked_div(arguments.max_body()).unwrap_or_default();
    let (reports, received) = mpsc::channel(places.clamp(MIN_REQUESTS, MAX_REQUESTS));
    let max_body = arguments.max_body();
    let reporter = Reporter { scheme, secret, captures: Arc::clone(&captures), output, max_body };
    let (running, reported) = std::sync::mpsc::channel();
    thread::spawn(move || drop(running.send(reporter.run(received))));

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::outside("runtime", error))?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(arguments.listen).await;
        let listener = listener.map_err(|error| Failure::outside(arguments.listen, error))?;
        let address = listener.local_addr().map_err(|error| Failure::outside(arguments.listen, error))?;
        let interrupted = interrupt().map_err(|error| Failure::outside("signals", error))?;
        announce(arguments, &name, address, output)?;
        let exchanges = Exchanges::new(warden, forward, arguments.forward_refused, reports.clone());
        tokio::select! {
            never = serve(listener, Arc::new(exchanges)) => never,
            () = interrupted => Ok(()),
            // Standard output cannot be written, for example because the reader of a pipe ended.
            () = reports.closed() => Ok(()),
        }
    });
    // Drop the exchanges: each queued its report before its answer. Without senders, the reporter ends after the last
    // report.
    runtime.shutdown_background();
    drop(reports);
    let reported = reported.recv_timeout(REPORT_TIMEOUT);
    // Wait until a file that is being saved is complete, and save no further one.
    drop(captures.lock().unwrap_or_else(PoisonError::into_inner).take());
    served?;
    match reported {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Failure::outside("standard output", error)),
        Err(_) => anstream::eprintln!(
            "hookwarden: warning: the last requests are not printed or saved, because that took more than {REPORT_TIMEOUT:?}"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Accepts connections. Requests of a client that disconnects are handled to their end.
async fn serve(listener: TcpListener, exchanges: Arc<Exchanges>) -> Result<(), Failure> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let place = place.map_err(|error| Failure::outside("connections", error))?;
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(connection(stream, peer, Arc::clone(&exchanges), place))),
            // The client is gone, or this process has too many files open.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, exchanges: Arc<Exchanges>, place: OwnedSemaphorePermit) {
    let service = service_fn(move |request| {
        let exchanges = Arc::clone(&exchanges);
        async move {
            let answer = match exchanges.place().await {
                Ok(place) => tokio::spawn(exchanges.exchange(peer, request, place)).await.ok(),
                Err(_) => None,
            };
            Ok::<_, hyper::Error>(answer.unwrap_or_else(|| {
                let mut response = Response::new(Full::<Bytes>::default());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }))
        }
    });
    let mut server = http1::Builder::new();
    // Names of headers reach the application in the sender's spelling.
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).preserve_header_case(true);
    // The client reports an aborted connection.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
    drop(place);
}

/// Returns a future that waits for SIGINT, SIGTERM or SIGHUP, or for Ctrl-C on other systems than Unix. From now on the
/// signals do not end the process.
#[cfg(unix)]
fn interrupt() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn interrupt() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

fn announce(arguments: &Listen, scheme: &str, address: SocketAddr, output: Output) -> Result<(), Failure> {
    if let Some(url) = &arguments.forward
        && client::is_loopback(url.host().unwrap_or_default())
        && url.port_u16() == Some(address.port())
    {
        return Err(Failure::input("--forward", "must be the application's port, and not that of --listen"));
    }
    if !address.ip().to_canonical().is_loopback() {
        anstream::eprintln!(
            "hookwarden: warning: {address} is reachable from other machines; to listen on this one only, use --listen 127.0.0.1:{}",
            address.port()
        );
    }
    let listening = format!("http://{address}");
    if output.is_json() {
        let start = output::line(&json!({
            "listening": listening,
            "scheme": scheme,
            "forward": arguments.forward.as_ref().map(ToString::to_string),
            "save": arguments.save.as_deref().map(|path| path.display().to_string()),
        }));
        return output::print(&start).map_err(|error| Failure::outside("standard output", error));
    }
    let forwarded = match &arguments.forward {
        Some(url) if arguments.forward_refused => format!("all requests are forwarded to {url}"),
        Some(url) => format!("accepted requests are forwarded to {url}"),
        None => "requests are answered here; to forward accepted ones to your application, add --forward URL".into(),
    };
    let saved = match &arguments.save {
        Some(path) => format!("requests are saved in {}", Escaped::line(&path.display().to_string())),
        None => "requests are not saved; to save them, add --save DIR".into(),
    };
    let kind = if arguments.verifying.is_profile() { "profile" } else { "scheme" };
    let listening = format!("listening on {listening} for requests of the {kind} {scheme}; to stop, press Ctrl-C");
    output::print(&format!("{listening}\n{forwarded}\n{saved}\n"))
        .map_err(|error| Failure::outside("standard output", error))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:4000".into())
}

pub(crate) const EXAMPLE: &str = "\
Example, with an application on port 3000:
  HOOKWARDEN_SECRET=only-for-this-example hookwarden listen --forward http://127.0.0.1:3000 --save captures";

/// The maximum number of connections at a time.
const MAX_CONNECTIONS: usize = 64;

/// The maximum size of the requests in memory, in bytes of their bodies. It sets how many requests are handled, or wait
/// to be reported, at a time.
const MAX_BODIES: usize = 268_435_456;

/// The maximum number of requests at a time, with small bodies.
const MAX_REQUESTS: usize = 256;

/// The number of requests at a time with the largest bodies.
const MIN_REQUESTS: usize = 4;

/// How long the command waits at its end until the answered requests are printed and saved.
const REPORT_TIMEOUT: Duration = Duration::from_secs(2);

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

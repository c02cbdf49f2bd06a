//! `hookwarden demo`: a receiver on loopback and real HTTP requests to it, the good ones and the bad ones.

mod cases;
mod receiver;

use std::env::VarError;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::table::{self, Cell};
use cases::Case;
use receiver::{Receiver, Seen};

/// What the demo does.
pub(crate) fn run() -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(demonstrate())
}

async fn demonstrate() -> Result<ExitCode, Box<dyn Error>> {
    let redis_url = match std::env::var(REDIS_URL) {
        Ok(url) => Some(url),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => return Err(format!("{REDIS_URL}: is not UTF-8").into()),
    };
    let mut receiver = Receiver::start(redis_url.as_deref()).await?;
    let addresses: Vec<_> = receiver.addresses.iter().map(|address| format!("http://{address}")).collect();
    let sharing = if redis_url.is_some() { " sharing one store, asked in turn," } else { "" };
    anstream::println!("receiver on {}{sharing} with secrets made for this run\n", addresses.join(" and "));

    let mut rows = Vec::new();
    let mut unexpected: usize = 0;
    // In turn, so that what one receiver handled comes to the other.
    let addresses = receiver.addresses.clone().into_iter().cycle();
    for (case, address) in cases::all(&receiver.senders)?.into_iter().zip(addresses) {
        if case.after_rotation {
            receiver.finish_rotation()?;
        }
        let status = send(address, case.request.clone()).await?;
        let seen = timeout(PATIENCE, receiver.seen.recv()).await?.ok_or("the receiver stopped")?;
        let as_expected = case.expects(status, &seen);
        if !as_expected {
            unexpected = unexpected.saturating_add(1);
        }
        rows.push(row(&case, status, &seen, as_expected));
    }
    table::print(["REQUEST", "STATUS", "OUTCOME", "REASON OR KEY", "TIME", "AS EXPECTED"], &rows);

    if unexpected == 0 {
        anstream::println!("\nall {} verdicts were the expected ones", rows.len());
        Ok(ExitCode::SUCCESS)
    } else {
        anstream::println!("\n{unexpected} of {} verdicts were not the expected ones", rows.len());
        Ok(ExitCode::FAILURE)
    }
}

fn row(case: &Case, status: StatusCode, seen: &Seen, as_expected: bool) -> [Cell; 6] {
    let outcome =
        if seen.reason.is_none() { Cell::good(seen.outcome.as_str()) } else { Cell::bad(seen.outcome.as_str()) };
    let detail = match (&seen.reason, &seen.key_id) {
        (Some(reason), _) => match seen.skew {
            Some(skew) if skew != 0 => format!("{reason} (clock minus timestamp: {skew} s)"),
            _ => reason.to_string(),
        },
        (None, Some(key)) => format!("key {key}"),
        (None, None) => String::new(),
    };
    [
        Cell::plain(case.name.clone()),
        Cell::plain(status.as_str()),
        outcome,
        Cell::plain(detail),
        Cell::plain(format!("{:.0?}", seen.duration)),
        if as_expected { Cell::good("yes") } else { Cell::bad(format!("no: {}", case.expectation())) },
    ]
}

/// Sends one request over a connection of its own.
async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<StatusCode, Box<dyn Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = timeout(PATIENCE, sender.send_request(request)).await??;
    let status = response.status();
    response.into_body().collect().await?;
    drop(sender);
    // A receiver that refuses a body unread closes the connection; the sender may see that as an error.
    let _ = timeout(PATIENCE, connection).await?;
    Ok(status)
}

/// Never an argument: those show in process lists.
const REDIS_URL: &str = "HOOKWARDEN_REDIS_URL";

/// How long the demo waits for anything.
const PATIENCE: Duration = Duration::from_secs(5);

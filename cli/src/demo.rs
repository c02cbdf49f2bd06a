//! `hookwarden demo`: a receiver on loopback, and valid and invalid HTTP requests to it.

mod cases;
mod diagnosis;
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
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::{FOUND, Failure};
use crate::output::Output;
use crate::table::{self, Cell};
use cases::Case;
use diagnosis::Explained;
use receiver::{Receiver, Seen};

/// Runs the demo.
pub(crate) fn run(output: Output) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let demonstrated = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(demonstrate(output)));
    demonstrated.map_err(|error| Failure::outside("demo", error))
}

async fn demonstrate(output: Output) -> Result<ExitCode, Box<dyn Error>> {
    let redis_url = match std::env::var(REDIS_URL) {
        Ok(url) => Some(url),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => return Err(format!("{REDIS_URL}: must be UTF-8").into()),
    };
    let mut receiver = Receiver::start(redis_url.as_deref()).await?;
    let addresses: Vec<_> = receiver.addresses.iter().map(|address| format!("http://{address}")).collect();
    let sharing = if redis_url.is_some() { " (alternating, with one shared store)" } else { "" };
    let addresses = addresses.join(" and ");
    if !output.is_json() {
        anstream::println!("receiver on {addresses}{sharing}, with secrets generated for this run\n");
    }

    let (mut rows, mut verdicts) = (Vec::new(), Vec::new());
    let mut unexpected: usize = 0;
    let mut refused = None;
    // Alternate between the receivers, so that each gets replays of deliveries to the other one.
    let in_turn = receiver.addresses.clone().into_iter().cycle();
    for (case, address) in cases::all(&receiver.senders)?.into_iter().zip(in_turn) {
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
        verdicts.push(verdict(&case, status, &seen, as_expected));
        if case.is_diagnosed {
            refused = Some((case.name, case.request));
        }
    }
    let (name, request) = refused.ok_or("no request to explain")?;
    let explained = Explained::new(name, &request, &receiver.senders.new_text);
    if !explained.is_as_expected() {
        unexpected = unexpected.saturating_add(1);
    }

    let count = rows.len().saturating_add(1);
    let document = json!({
        "receivers": addresses,
        "verdicts": verdicts,
        "diagnosis": explained.json(),
        "unexpected": unexpected,
    });
    output.result(&document, || {
        table::print(["REQUEST", "STATUS", "OUTCOME", "REASON OR KEY", "TIME", "AS EXPECTED"], &rows);
        explained.print();
        if unexpected == 0 {
            anstream::println!("\nall {count} results, including the diagnosis, are as expected");
        } else {
            anstream::println!("\n{unexpected} of {count} results are not as expected");
        }
    });
    Ok(if unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// The result of one request as JSON.
fn verdict(case: &Case, status: StatusCode, seen: &Seen, as_expected: bool) -> Value {
    json!({
        "request": case.name,
        "status": status.as_u16(),
        "outcome": seen.outcome.as_str(),
        "reason": seen.reason.map(|reason| reason.to_string()),
        "key_id": seen.key_id.map(|id| id.to_string()),
        "skew_seconds": seen.skew,
        "seconds": seen.duration.as_secs_f64(),
        "as_expected": as_expected,
    })
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

/// Sends one request over a new connection.
async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<StatusCode, Box<dyn Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = timeout(PATIENCE, sender.send_request(request)).await??;
    let status = response.status();
    response.into_body().collect().await?;
    drop(sender);
    // A receiver that refuses a request before its body closes the connection, which may be an error here.
    let _ = timeout(PATIENCE, connection).await?;
    Ok(status)
}

/// The environment variable with the URL. The URL is not an argument, because process lists show arguments.
const REDIS_URL: &str = "HOOKWARDEN_REDIS_URL";

/// The limit for each step of the demo.
const PATIENCE: Duration = Duration::from_secs(5);

//! `hookwarden send`: signed requests to a receiver, one or many, and what became of them.

mod answer;
mod load;
mod tally;
mod template;

use std::io::IsTerminal as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http::{Method, Uri};
use indicatif::{ProgressBar, ProgressStyle};

use crate::client::{self, Version};
use crate::failure::Failure;
use crate::input::{HeaderArgument, SchemeArgument, SecretArguments};
use crate::message::{self, BodyArguments};
use crate::output::Output;
use crate::when;
use load::Plan;
use template::Template;

/// The arguments of `hookwarden send`.
#[derive(Debug, Args)]
#[command(override_usage = "hookwarden send [OPTIONS] <URL> <FILE|--body <TEXT>>")]
pub(crate) struct Send {
    /// The receiver
    #[arg(value_parser = client::url)]
    url: Uri,
    #[command(flatten)]
    body: BodyArguments,
    #[command(flatten)]
    scheme: SchemeArgument,
    #[command(flatten)]
    secret: SecretArguments,
    /// A header of the request's own; a message id is made where the scheme signs one and none is given
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<HeaderArgument>,
    /// The request's method
    #[arg(long, default_value = "POST", value_parser = method)]
    method: Method,
    /// The time of signing in Unix seconds, in the place of each request's own
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<i64>,
    /// Makes each request a delivery of its own: a new message id where the scheme signs one and none is given, and {number} in the body
    /// and in headers becomes the request's number, {id} 24 random hexadecimal digits
    #[arg(long)]
    unique: bool,
    /// How many requests to send, up to 1,000,000; without it one, or as many as --duration allows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: Option<u32>,
    /// How many requests may be on their way at once, up to 1,024
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    concurrency: u16,
    /// How many requests to send a second. Each is due at a fixed time, whatever became of those before it, and its latency
    /// counts from then: a receiver that stalls is charged for every request that it kept waiting. The timer counts in
    /// milliseconds, so up to one of them is the sender's own
    #[arg(long, value_name = "PER SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// How long a request may take, the answer's body included
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = when::parse_wait)]
    timeout: Duration,
    /// For how long to begin requests, up to a day [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = when::parse_wait)]
    duration: Option<Duration>,
    /// The version of HTTP
    #[arg(long, value_enum, default_value_t)]
    http: Version,
    /// Says that the receiver is yours, which is asked before many requests go to another host than this one
    #[arg(long)]
    yes_i_own_this: bool,
}

/// Sends, and prints what came back.
pub(crate) fn run(arguments: &Send, output: Output) -> Result<ExitCode, Failure> {
    let repeat = arguments.repeat.unwrap_or(if arguments.duration.is_some() { MOST } else { 1 });
    if repeat > 1 && !arguments.yes_i_own_this && !is_loopback(&arguments.url) {
        let host = arguments.url.host().unwrap_or_default();
        let problem = "is another host: more than one request needs --yes-i-own-this";
        return Err(Failure::input(host, problem));
    }
    let body = arguments.body.bytes(&arguments.secret)?;
    let signer = message::signer(&arguments.scheme, &arguments.secret)?;
    let template = Template::new(arguments, signer, body.into())?;
    let is_tls = arguments.url.scheme_str() == Some("https");
    let client = client::client(arguments.http, usize::from(arguments.concurrency), is_tls)?;
    let plan = Plan {
        repeat,
        concurrency: arguments.concurrency,
        rate: arguments.rate,
        timeout: arguments.timeout,
        duration: arguments.duration.unwrap_or(LONGEST),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::outside("the sender", error))?;
    let progress = progress(arguments, repeat);
    let sent = runtime.block_on(load::run(&plan, client, template, &progress));
    progress.finish_and_clear();
    // A look-up of a name may still be running, and nobody waits for it any more.
    runtime.shutdown_background();
    sent?.report(&arguments.url, output)
}

/// On a terminal alone, and for more than one request.
fn progress(arguments: &Send, repeat: u32) -> ProgressBar {
    if repeat == 1 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match arguments.repeat {
        Some(repeat) => (ProgressBar::new(repeat.into()), "{bar:40} {pos}/{len} {per_sec} {eta} left"),
        None => (ProgressBar::no_length(), "{spinner} {pos} {per_sec} {elapsed}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Whether the host can only be this one. Names other than localhost are not looked up: what they stand for may change.
fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn method(text: &str) -> Result<Method, String> {
    match text.parse() {
        Ok(Method::CONNECT) => Err("opens a tunnel and carries no message".into()),
        Ok(method) => Ok(method),
        Err(_) => Err("is no method".into()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("is no number from 0.001 to 100000".into()),
    }
}

/// Lines that work when they are pasted, with a receiver there.
pub(crate) const EXAMPLE: &str = "\
Example, with a receiver on port 3000:
  HOOKWARDEN_SECRET=only-for-this-example hookwarden send http://127.0.0.1:3000/webhooks/acme --body '{\"id\":7}'
  HOOKWARDEN_SECRET=only-for-this-example hookwarden send http://127.0.0.1:3000/webhooks/acme --body '{\"id\":{number}}' --unique --repeat 20 --rate 50";

/// The most requests of a run.
const MOST: u32 = 1_000_000;

/// How long a run begins requests unless it is told otherwise.
const LONGEST: Duration = Duration::from_secs(3_600);

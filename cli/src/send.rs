//! `hookwarden send`: sends signed requests to a receiver and reports the responses.

pub(crate) mod answer;
mod load;
mod tally;
mod template;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http::{Method, Uri};
use indicatif::{ProgressBar, ProgressStyle};

use crate::client::{self, Version};
use crate::failure::Failure;
use crate::message::MessageArguments;
use crate::output::Output;
use crate::when;
use load::Plan;
use template::Template;

/// The arguments of `hookwarden send`.
#[derive(Debug, Args)]
#[command(override_usage = "hookwarden send [OPTIONS] <URL> <FILE|--body <TEXT>>")]
pub(crate) struct Send {
    /// Send to this URL
    #[arg(value_parser = client::url)]
    url: Uri,
    #[command(flatten)]
    message: MessageArguments,
    /// Use this method
    #[arg(long, default_value = "POST", value_parser = method)]
    method: Method,
    /// Make each request a new delivery: in the body and in headers, replace {number} by the request's number and {id}
    /// by 24 random hexadecimal digits. If the scheme signs a message id, generate one for each request. With --profile,
    /// each request has its own nonce anyway
    #[arg(long)]
    unique: bool,
    /// Send this many requests, up to 1,000,000 [default: 1, or with --duration as many as it allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    repeat: Option<u32>,
    /// Send at most this many requests at a time, up to 1,024
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    concurrency: u16,
    /// Send this many requests per second. Latency counts from the time at which a request is due, so it includes the
    /// queue of a slow receiver. The timer adds up to 1 ms
    #[arg(long, value_name = "PER SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// Limit the time of a request, including the response body
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = when::parse_wait)]
    timeout: Duration,
    /// Stop starting requests after this time, up to a day [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = when::parse_wait)]
    duration: Option<Duration>,
    /// Use this version of HTTP. A Host that is not that of the URL is sent over HTTP/1.1
    #[arg(long, value_enum, default_value_t)]
    http: Version,
    /// Confirm that you own the receiver, to send several requests to another host
    #[arg(long)]
    yes_i_own_this: bool,
}

/// Sends the requests and prints the report.
pub(crate) fn run(arguments: &Send, output: Output) -> Result<ExitCode, Failure> {
    let repeat = arguments.repeat.unwrap_or(if arguments.duration.is_some() { MOST } else { 1 });
    if repeat > 1 && !arguments.yes_i_own_this && !client::is_loopback(arguments.url.host().unwrap_or_default()) {
        let host = arguments.url.host().unwrap_or_default();
        let problem = format!("must be set to send several requests to {host}, which is another host");
        return Err(Failure::input("--yes-i-own-this", problem));
    }
    arguments.message.check_repeat(repeat)?;
    let body = arguments.message.body()?;
    let template = Template::new(arguments, body.into())?;
    let is_tls = arguments.url.scheme_str() == Some("https");
    let version = client::version_for(arguments.http, &arguments.url, template.hosts())?;
    let client = client::client(version, usize::from(arguments.concurrency), is_tls)?;
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
        .map_err(|error| Failure::outside("runtime", error))?;
    let progress = progress(arguments, repeat);
    let sent = runtime.block_on(load::run(&plan, client, template, &progress));
    progress.finish_and_clear();
    // Do not wait for a DNS lookup that may still be running.
    runtime.shutdown_background();
    sent?.report(&arguments.url, output)
}

/// Shown only on a terminal, and for more than one request.
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

fn method(text: &str) -> Result<Method, String> {
    match text.parse() {
        Ok(Method::CONNECT) => Err("must not be CONNECT, which opens a tunnel".into()),
        Ok(method) => Ok(method),
        Err(_) => Err("must be an HTTP method".into()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 0.001 to 100000".into()),
    }
}

pub(crate) const EXAMPLE: &str = "\
Example, with a receiver on port 3000:
  HOOKWARDEN_SECRET=only-for-this-example hookwarden send http://127.0.0.1:3000/webhooks/acme --body '{\"id\":7}'
  HOOKWARDEN_SECRET=only-for-this-example hookwarden send http://127.0.0.1:3000/webhooks/acme --body '{\"id\":{number}}' --unique --repeat 20 --rate 50";

/// The maximum of `--repeat`.
const MOST: u32 = 1_000_000;

/// The default of `--duration`.
const LONGEST: Duration = Duration::from_secs(3_600);

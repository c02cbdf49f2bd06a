//! `hookwarden audit URL`: audits a running receiver in any language.

mod checks;
mod delivery;
mod evidence;
mod key_texts;
mod message;
mod report;
mod sender;
mod session;
mod shape;
mod target;
mod verdict;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use http::Uri;

use super::finding::Format;
use crate::client;
use crate::failure::Failure;
use crate::input::{self, HeaderArgument, SchemeArgument, SecretArguments};
use crate::output::Output;
use checks::Check;
use clap::ValueEnum as _;
use hookwarden::Secret;
use report::Line;
use sender::{Body, PLACE, Sender};
use session::{Budget, Expected, Session};
use shape::Shape;
use target::Target;
use verdict::{Inconclusive, Outcome};
use wire::Reply;

/// The arguments of `hookwarden audit URL`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Audit the receiver at this URL with forgeries, floods and oversized bodies
    #[arg(value_name = "URL", value_parser = client::url, required = true)]
    url: Option<Uri>,
    /// Confirm that you own the receiver; required unless it runs on this machine
    #[arg(long)]
    yes_i_own_this: bool,
    #[command(flatten)]
    scheme: SchemeArgument,
    #[command(flatten)]
    secret: SecretArguments,
    /// Check another webhook id of the same receiver, with another secret
    #[arg(long, value_name = "URL", value_parser = client::url)]
    other_url: Option<Uri>,
    /// Send the body in this file, - for standard input, with {number} replaced by a counter [default: a small JSON
    /// document]
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// Add this header, 'Name: value', to every request
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    headers: Vec<HeaderArgument>,
    /// Expect this quota of deliveries in each period (--per)
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    quota: u64,
    /// Expect this length of the quota's period
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    per: u64,
    /// Expect this maximum size of a body
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024, value_parser = clap::value_parser!(u32).range(1..=67_108_864))]
    body_limit: u32,
    /// Expect this deadline for a body
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    deadline: u64,
    /// Expect this tolerance for timestamps [default: the scheme's]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(3..=86_400))]
    tolerance: Option<u32>,
    /// Report missing security headers as findings, even if no response is an HTML page
    #[arg(long)]
    strict_headers: bool,
    /// Run only these checks
    #[arg(long, value_name = "CHECK", value_enum, value_delimiter = ',')]
    only: Vec<Check>,
    /// Skip these checks
    #[arg(long, value_name = "CHECK", value_enum, value_delimiter = ',', hide_possible_values = true)]
    skip: Vec<Check>,
    /// Stop after this time; the remaining checks are inconclusive
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
    /// Send at most this many requests
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    max_requests: u32,
    /// Print the report in this format; --json is short for --format json
    #[arg(long, default_value = "table")]
    format: Format,
}

/// Runs the audit and prints its report.
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::outside("runtime", error))?.block_on(audit(arguments, output))
}

async fn audit(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let url = arguments.url.clone().ok_or_else(|| Failure::input("URL", "must be set"))?;
    let scheme = arguments.scheme.scheme()?;
    let taken = arguments.secret.from_standard_input();
    if taken && arguments.body.as_deref().is_some_and(input::is_standard_input) {
        return Err(Failure::input("--body", "must be a file, because the secret is read from standard input"));
    }
    let secret = arguments.secret.text()?;
    let body = match &arguments.body {
        Some(path) => input::bytes_of(path)?,
        None => format!(r#"{{"id":"audit-{PLACE}","type":"hookwarden.audit"}}"#).into_bytes(),
    };
    let headers = arguments.headers.iter();
    let headers = headers.map(|header| (header.name.to_string(), header.value.as_bytes().to_vec())).collect();
    let tolerance = arguments.tolerance.map_or_else(|| scheme.tolerance().as_duration().as_secs(), u64::from);
    let expected = Expected {
        quota: arguments.quota,
        period: Duration::from_secs(arguments.per),
        body_limit: usize::try_from(arguments.body_limit).unwrap_or(usize::MAX),
        deadline: Duration::from_secs(arguments.deadline),
        tolerance: i64::try_from(tolerance).unwrap_or(i64::MAX),
    };
    let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let sender = Sender::new(scheme, secret.as_str(), headers, Body::new(body), &path)?;
    let target = Target::find(url, arguments.yes_i_own_this).await?;
    let other_path = arguments.other_url.as_ref().map(|other| target.path_of(other)).transpose()?;
    let budget = Budget {
        requests: usize::try_from(arguments.max_requests).unwrap_or(usize::MAX),
        time: Duration::from_secs(arguments.timeout),
    };
    if !output.is_json() && arguments.format == Format::Table {
        let (requests, seconds) = (arguments.max_requests, arguments.timeout);
        anstream::println!("auditing {target} with at most {requests} requests in at most {seconds} s\n");
    }
    let mut session = Session::new(target, sender, secret, expected, budget);
    session.other_path = other_path;
    session.strict_headers = arguments.strict_headers;
    record_baseline(&session).await?;
    let mut lines = Vec::new();
    for check in Check::value_variants().iter().copied() {
        let is_wanted = arguments.only.is_empty() || arguments.only.contains(&check);
        if is_wanted && !arguments.skip.contains(&check) {
            let verdict = check.run(&session).await;
            if matches!(verdict, Ok(Outcome::Found(..))) {
                session.record_finding(check.id());
            }
            lines.push(Line { check, verdict });
        }
    }
    Ok(report::print(&session, &lines, arguments.format, output))
}

/// Sends a valid delivery and a forged one, and records the responses.
async fn record_baseline(session: &Session) -> Result<(), Failure> {
    let subject = session.target.to_string();
    let outside = |problem: Inconclusive| Failure::outside(&subject, problem.reason());
    let link = session.open().await.map_err(outside)?;
    let (mut link, bytes) = (link, session.sender.delivery().sized(session.target.host()));
    let reply = link.exchange(&bytes, session.patience()).await;
    session.note("a valid delivery", &reply);
    let answer = match reply {
        Reply::Answer(answer) if answer.is_success() => answer,
        reply => {
            let said = format!("a valid delivery was answered with {}; {}", reply.said(), advice(&reply));
            return Err(Failure::outside(&subject, said));
        }
    };
    let shape = Shape::of(&answer);
    // The checks compare responses with these two. Each is set once.
    let (fresh, _) = session.known.fresh.get_or_init(|| (answer, shape));

    let right = session.sender.delivery();
    let stranger = Secret::generate().map_err(|error| Failure::outside("random numbers", error))?;
    let forged = right.clone().with_tag(&session.sender.message().under(stranger).signed().tag);
    let reply = session.send_delivery("a forged delivery", &forged).await.map_err(outside)?;
    if let Reply::Answer(answer) = reply {
        if String::from_utf8_lossy(&answer.body).contains(&right.tag) {
            session.evidence.record_signature("a forged delivery");
        }
        let shape = Shape::of(&answer);
        session.known.verifies.get_or_init(|| !(answer.is_success() && shape == Shape::of(fresh)));
        if !answer.is_success() || shape != Shape::of(fresh) {
            session.known.forged.get_or_init(|| (answer, shape));
        }
    }
    Ok(())
}

/// The advice for a valid delivery that is not accepted.
fn advice(reply: &Reply) -> &'static str {
    match reply.answer().map(|answer| answer.status) {
        Some(401) => "check the secret, the --scheme and the clocks of both sides",
        Some(403) => {
            "the receiver may refuse plain HTTP; add -H 'X-Forwarded-Proto: https' and declare this host as a proxy"
        }
        Some(404 | 410) => "check the path",
        Some(405) => "check that the path accepts POST",
        Some(400 | 415 | 422) => "check the --scheme, and set --body to a body that the handler accepts",
        Some(409) => {
            "the receiver took it for a duplicate; set --body to a body with {number}, so that deliveries differ"
        }
        Some(413) => "set --body to a smaller body",
        Some(429) => "wait until the quota is refilled",
        Some(300..=399) => "check the URL, which redirects",
        Some(500..=599) => "check the receiver's log",
        _ => "check that an HTTP receiver listens at the URL",
    }
}

pub(super) const EXAMPLE: &str = "\
Example, with a receiver on port 3000:
  HOOKWARDEN_SECRET=only-for-this-example hookwarden audit http://127.0.0.1:3000/webhooks/acme";

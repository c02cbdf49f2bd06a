//! `hookwarden verify`: whether a captured request holds, and if it does not, why.

mod headers;
mod raw;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use hookwarden::diagnose::{Capture, Diagnosis, Verdict};
use hookwarden::headers::RequestHead;
use hookwarden::{Reason, Timestamp, Tolerance};

use crate::failure::Failure;
use crate::input::{self, SchemeArgument, SecretArguments, SecretText};
use crate::output::Output;
use crate::when;
use verdict::Judged;

/// The arguments of `hookwarden verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The request as it went over the wire, - for standard input: request line, headers, an empty line, the body
    #[arg(value_name = "FILE", required_unless_present = "headers", conflicts_with_all = ["headers", "body"])]
    message: Option<PathBuf>,
    /// The headers alone: lines of 'Name: value', what curl -v shows, or JSON as loggers write it
    #[arg(long, value_name = "FILE", requires = "body")]
    headers: Option<PathBuf>,
    /// The body that goes with --headers, to the byte
    #[arg(long, value_name = "FILE", requires = "headers")]
    body: Option<PathBuf>,
    #[command(flatten)]
    scheme: SchemeArgument,
    #[command(flatten)]
    secret: SecretArguments,
    /// The request's method, for schemes that sign it and a capture without it
    #[arg(long)]
    method: Option<String>,
    /// The request's path and query, for schemes that sign it and a capture without it or with another
    #[arg(long)]
    path: Option<String>,
    /// When to judge the timestamp: now, signed (at the message's own), Unix seconds or RFC 3339. Without it an old message is
    /// judged at its own timestamp, since a capture is no delivery, and its age is told
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
    /// How far the timestamp may be off, in the place of the scheme's own
    #[arg(long, value_name = "SECONDS", value_parser = tolerance)]
    tolerance: Option<Tolerance>,
}

/// `--at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Now,
    Signed,
    Time(Timestamp),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "now" => Ok(Self::Now),
            "signed" => Ok(Self::Signed),
            _ => when::parse_point(text).map(Self::Time),
        }
    }
}

/// A request as somebody wrote it down.
#[derive(Debug, Default)]
struct Captured {
    method: Option<String>,
    path: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Judges the capture and prints the verdict.
pub(crate) fn run(arguments: &Verify, output: Output) -> Result<ExitCode, Failure> {
    let from_input = |path: &Option<PathBuf>| path.as_deref().is_some_and(input::is_standard_input);
    let sources = [from_input(&arguments.message), from_input(&arguments.headers), from_input(&arguments.body)];
    let takers = sources.into_iter().chain([arguments.secret.from_standard_input()]).filter(|taken| *taken).count();
    if takers > 1 {
        return Err(Failure::input(
            "standard input",
            "can be only one of the secret, the message, its headers and its body",
        ));
    }
    let scheme = arguments.scheme.scheme()?;
    let secret = arguments.secret.text()?;
    let mut captured = captured(arguments)?;
    captured.method = arguments.method.clone().or(captured.method);
    captured.path = arguments.path.clone().or(captured.path);

    let judge = |time| match (&captured.method, &captured.path) {
        // A scheme signs the path or both; one that signs the method without the path is judged with an empty one.
        (None, None) => diagnose(arguments, &scheme, &secret, &captured.headers, &captured, time),
        (method, path) => {
            let (method, path) = (method.as_deref().unwrap_or("POST"), path.as_deref().unwrap_or_default());
            diagnose(arguments, &scheme, &secret, &RequestHead::new(method, path, &captured.headers), &captured, time)
        }
    };
    let now = Timestamp::now();
    let time = match arguments.at {
        Some(At::Time(time)) => time,
        Some(At::Now | At::Signed) | None => now,
    };
    let mut judged = Judged { diagnosis: judge(time), time, stale_by_now: false };
    let own_time = match judged.diagnosis.verdict() {
        Verdict::Refused { reason, skew: Some(skew), .. } => match (reason, arguments.at) {
            (Reason::Stale, None | Some(At::Signed)) | (Reason::Early, Some(At::Signed)) => {
                Some(Timestamp::from_unix(now.as_unix().saturating_sub(*skew)))
            }
            _ => None,
        },
        _ => None,
    };
    if let Some(time) = own_time {
        judged = Judged { diagnosis: judge(time), time, stale_by_now: time < now };
    }
    if let (Verdict::SecretRefused(error), false) = (judged.diagnosis.verdict(), judged.is_explained()) {
        return Err(Failure::Input(error.to_string()));
    }
    judged.report(now, output)
}

fn captured(arguments: &Verify) -> Result<Captured, Failure> {
    match (&arguments.message, &arguments.headers, &arguments.body) {
        (Some(path), ..) => raw::parse(&input::bytes_of(path)?).map_err(|problem| named(path, problem)),
        (None, Some(head), Some(body)) => {
            let captured = headers::parse(&input::text_of(head)?).map_err(|problem| named(head, problem))?;
            Ok(Captured { body: input::bytes_of(body)?, ..captured })
        }
        _ => Err(Failure::input("arguments", "name a file, or --headers and --body")),
    }
}

fn named(path: &Path, problem: String) -> Failure {
    if input::is_standard_input(path) {
        Failure::input("standard input", problem)
    } else {
        Failure::file(path, problem)
    }
}

fn diagnose<H: hookwarden::headers::Head + ?Sized>(
    arguments: &Verify,
    scheme: &hookwarden::Scheme,
    secret: &SecretText,
    head: &H,
    captured: &Captured,
    time: Timestamp,
) -> Diagnosis {
    let mut secrets = secret.each();
    let mut capture = Capture::new(scheme, secrets.next().unwrap_or_default(), head, &captured.body)
        .with_header_names(captured.headers.iter().map(|(name, _)| name.as_str()));
    for secret in secrets {
        capture = capture.with_secret(secret);
    }
    if let Some(tolerance) = arguments.tolerance {
        capture = capture.with_tolerance(tolerance);
    }
    capture.diagnose_at(time)
}

fn tolerance(text: &str) -> Result<Tolerance, String> {
    let seconds = text.parse().map_err(|_| "must be a whole number of seconds".to_owned())?;
    Tolerance::new(Duration::from_secs(seconds)).map_err(|error| error.to_string())
}

/// Lines that work when they are pasted.
pub(crate) const EXAMPLE: &str = "\
Example:
  echo '{\"id\":7}' > body.json
  HOOKWARDEN_SECRET=only-for-this-example hookwarden sign body.json > headers.txt
  HOOKWARDEN_SECRET=only-for-this-example hookwarden verify --headers headers.txt --body body.json";

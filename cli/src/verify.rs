//! `hookwarden verify`: verifies a captured request and explains a refusal.

mod check;
mod directory;
mod headers;
pub(crate) mod raw;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use hookwarden::diagnose::{Capture, Diagnosis, Verdict};
use hookwarden::headers::RequestHead;
use hookwarden::{Timestamp, Tolerance};

use crate::failure::Failure;
use crate::input::{self, SecretArguments, SecretText};
use crate::note::Note;
use crate::output::Output;
use crate::profile::VerifyingArguments;
use crate::when;
use verdict::Verification;

/// The arguments of `hookwarden verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Read the raw HTTP request from this file, - for standard input: request line, headers, an empty line and the
    /// body. For a directory, verify each file in it, and group the refused ones by cause
    #[arg(value_name = "FILE|DIR", required_unless_present = "headers", conflicts_with_all = ["headers", "body"])]
    message: Option<PathBuf>,
    /// Read only the headers from this file: lines of 'Name: value', output of curl -v, or JSON
    #[arg(long, value_name = "FILE", requires = "body")]
    headers: Option<PathBuf>,
    /// Read the exact bytes of the body from this file
    #[arg(long, value_name = "FILE", requires = "headers")]
    body: Option<PathBuf>,
    #[command(flatten)]
    verifying: VerifyingArguments,
    #[command(flatten)]
    secret: SecretArguments,
    /// Use this method instead of the capture's, if the scheme signs it
    #[arg(long)]
    method: Option<String>,
    /// Use this path and query instead of the capture's, if the scheme signs them
    #[arg(long)]
    path: Option<String>,
    /// Verify at this time: now, signed (the message's timestamp), Unix seconds or RFC 3339. By default a capture of a
    /// Warden or of `hookwarden listen` is verified at its time of arrival. Of other captures, a stale one is verified at
    /// its own timestamp, because captures are usually old. Its age is shown
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
    /// Use this tolerance instead of the scheme's
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

/// A captured request.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    /// Added to the headers as `Host`, unless they have it.
    authority: Option<String>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// Verifies the capture and prints the result.
pub(crate) fn run(arguments: &Verify, output: Output) -> Result<ExitCode, Failure> {
    let from_input = |path: &Option<PathBuf>| path.as_deref().is_some_and(input::is_standard_input);
    let sources = [from_input(&arguments.message), from_input(&arguments.headers), from_input(&arguments.body)];
    let takers = sources.into_iter().chain([arguments.secret.from_standard_input()]).filter(|taken| *taken).count();
    if takers > 1 {
        return Err(Failure::input(
            "standard input",
            "must be only one of the secret, the message, its headers and its body",
        ));
    }
    let (scheme, _) = arguments.verifying.scheme()?;
    let secret = arguments.secret.text()?;
    secret.check_count()?;
    if arguments.verifying.is_profile() {
        secret.check_message_keys(&scheme)?;
    }
    if let Some(directory) = arguments.message.as_deref().filter(|path| path.is_dir()) {
        return directory::run(directory, arguments, &scheme, &secret, output);
    }
    let captured = captured(arguments, &scheme)?;
    let now = Timestamp::now();
    let verification = verification(arguments, &scheme, &secret, captured, now)?;
    if let (Verdict::SecretRefused(error), false) = (verification.diagnosis.verdict(), verification.is_explained()) {
        return Err(match arguments.verifying.is_profile() {
            true => arguments.verifying.unusable_key(error),
            false => Failure::Input(error.to_string()),
        });
    }
    verification.report(now, output)
}

/// Verifies one capture. By default it is verified at its time of arrival. If that is unknown, a stale one is verified at
/// its own timestamp.
fn verification(
    arguments: &Verify,
    scheme: &hookwarden::Scheme,
    secret: &SecretText,
    mut captured: Captured,
    now: Timestamp,
) -> Result<Verification, Failure> {
    captured.method = arguments.method.clone().or(captured.method);
    captured.path = arguments.path.clone().or(captured.path);
    check::request_line(scheme, arguments.verifying.is_profile(), &captured)?;

    let verify_at = |time| match (&captured.method, &captured.path) {
        // Only a value that the scheme does not sign can be missing here.
        (None, None) => diagnose(arguments, scheme, secret, &captured.headers, &captured, time),
        (method, path) => {
            let (method, path) = (method.as_deref().unwrap_or("POST"), path.as_deref().unwrap_or_default());
            diagnose(arguments, scheme, secret, &RequestHead::new(method, path, &captured.headers), &captured, time)
        }
    };
    let arrived = Note::of(&captured.headers).and_then(|note| note.arrived).filter(|_| arguments.at.is_none());
    let time = match arguments.at {
        Some(At::Time(time)) => time,
        Some(At::Now | At::Signed) | None => arrived.unwrap_or(now),
    };
    let mut verification =
        Verification { diagnosis: verify_at(time), time, stale: None, at_arrival: arrived.is_some() };
    let tolerance = arguments.tolerance.unwrap_or_else(|| scheme.tolerance());
    // The verifier may have stopped before the timestamp. A timestamp in another unit states another time.
    let is_readable = !verification.diagnosis.causes().iter().any(verdict::is_misread);
    let own_time = verification.diagnosis.timestamp().filter(|_| is_readable).filter(|own| match arguments.at {
        None => {
            arrived.is_none() && *own < now && own.as_unix().abs_diff(now.as_unix()) > tolerance.as_duration().as_secs()
        }
        Some(At::Signed) => own.as_unix().abs_diff(now.as_unix()) > tolerance.as_duration().as_secs(),
        Some(At::Now | At::Time(_)) => false,
    });
    if let Some(time) = own_time {
        let clock = verification.diagnosis.causes().iter().find(|cause| verdict::is_late(cause));
        let stale = (time < now).then(|| clock.cloned());
        verification = Verification { diagnosis: verify_at(time), time, stale, at_arrival: false };
    }
    Ok(verification)
}

fn captured(arguments: &Verify, scheme: &hookwarden::Scheme) -> Result<Captured, Failure> {
    match (&arguments.message, &arguments.headers, &arguments.body) {
        (Some(path), ..) => raw::parse(&input::bytes_of(path)?).map_err(|problem| named(path, problem)),
        (None, Some(head), Some(body)) => {
            let (head_bytes, body) = (input::bytes_of(head)?, input::bytes_of(body)?);
            let captured = headers::parse_bytes(&head_bytes);
            check::order(scheme, captured.as_ref().ok(), &body)?;
            let captured = captured.map_err(|problem| named(head, problem))?;
            Ok(Captured { body, ..captured })
        }
        _ => Err(Failure::input("arguments", "must be a file, or --headers and --body")),
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
    let headers = captured.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    let mut capture = capture(scheme, secret, head, headers, &captured.body);
    if let Some(tolerance) = arguments.tolerance {
        capture = capture.with_tolerance(tolerance);
    }
    capture.diagnose_at(time)
}

/// A capture that is verified with all secrets.
pub(crate) fn capture<'c, H: hookwarden::headers::Head + ?Sized>(
    scheme: &'c hookwarden::Scheme,
    secret: &SecretText,
    head: &'c H,
    headers: impl IntoIterator<Item = (&'c str, &'c [u8])>,
    body: &'c [u8],
) -> Capture<'c, H> {
    let mut secrets = secret.each().into_iter();
    let capture = Capture::new(scheme, secrets.next().unwrap_or_default(), head, body).with_headers(headers);
    secrets.fold(capture, Capture::with_secret)
}

fn tolerance(text: &str) -> Result<Tolerance, String> {
    let seconds = text.parse().map_err(|_| "must be a whole number of seconds".to_owned())?;
    Tolerance::new(Duration::from_secs(seconds)).map_err(|error| error.to_string())
}

pub(crate) const EXAMPLE: &str = "\
Example:
  echo '{\"id\":7}' > body.json
  HOOKWARDEN_SECRET=only-for-this-example hookwarden sign body.json > headers.txt
  HOOKWARDEN_SECRET=only-for-this-example hookwarden verify --headers headers.txt --body body.json";

//! `hookwarden resend`: signs saved requests again, and sends them to a receiver.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use hookwarden::Timestamp;
use hookwarden::escape::Escaped;
use http::header::{CONTENT_LENGTH, EXPECT, HOST};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::{self, Client, Version};
use crate::failure::{FOUND, Failure};
use crate::input::{self, HeaderArgument, SecretArguments};
use crate::note::{self, Note};
use crate::output::Output;
use crate::profile::SigningArguments;
use crate::send::answer::{Answer, Kind, Trouble};
use crate::signer::{ParameterArguments, RequestSigner};
use crate::verify::{Captured, raw};
use crate::when;

/// The arguments of `hookwarden resend`.
#[derive(Debug, Args)]
#[command(override_usage = "hookwarden resend [OPTIONS] --to <URL> <FILE>...")]
pub(crate) struct Resend {
    /// Send the raw HTTP requests in these files: request line, headers, an empty line and the body
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Send to this URL. Without a path, each request keeps its own path and query
    #[arg(long, value_name = "URL", value_parser = client::url)]
    to: Uri,
    #[command(flatten)]
    signing: SigningArguments,
    #[command(flatten)]
    parameters: ParameterArguments,
    #[command(flatten)]
    secret: SecretArguments,
    /// Set a header, in place of the saved one
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<HeaderArgument>,
    /// Limit the time of a request, including the response body
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = when::parse_wait)]
    timeout: Duration,
    /// Send refused requests and challenges too. Their content was not verified: the new signature makes a forged request
    /// genuine for the receiver
    #[arg(long)]
    refused: bool,
    /// Confirm that you own the receiver, to send to another host
    #[arg(long)]
    yes_i_own_this: bool,
}

/// Sends the requests one after the other, and prints the answers.
pub(crate) fn run(arguments: &Resend, output: Output) -> Result<ExitCode, Failure> {
    let host = arguments.to.host().unwrap_or_default();
    if !arguments.yes_i_own_this && !client::is_loopback(host) {
        return Err(Failure::input(host, "is another host; to send saved requests to it, add --yes-i-own-this"));
    }
    let from_input = arguments.files.iter().filter(|path| input::is_standard_input(path)).count();
    if from_input.saturating_add(usize::from(arguments.secret.from_standard_input())) > 1 {
        return Err(Failure::input("standard input", "must be only one of the secret and the requests"));
    }
    let signer = RequestSigner::new(&arguments.signing, &arguments.secret, &arguments.parameters, Some(&arguments.to))?;
    arguments.parameters.check_repeat(arguments.files.len() > 1)?;
    signer.check_host(&arguments.headers)?;
    let (mut requests, mut skipped) = (Vec::new(), Vec::new());
    for path in &arguments.files {
        let captured = raw::parse(&input::bytes_of(path)?).map_err(|problem| Failure::file(path, problem))?;
        let note = Note::of(&captured.headers);
        if let Some(note) = note.as_ref().filter(|note| !arguments.refused && !note.is_verified()) {
            skipped.push(Skipped { file: path.display().to_string(), why: unverified(note) });
            continue;
        }
        if let Some(note) = note.filter(|note| note.body != "complete") {
            return Err(Failure::file(path, format!("must have the whole body, but is noted as body={}", note.body)));
        }
        let request = request(arguments, &signer, captured).map_err(|problem| Failure::file(path, problem))?;
        // Sign each request before the first one is sent, so that invalid input is reported first.
        requests.push((path.display().to_string(), request.clone()));
        signed(&signer, request)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::outside("runtime", error))?;
    if let (true, Some(Skipped { file, why })) = (requests.is_empty(), skipped.first()) {
        return Err(Failure::input("no request is sent", format!("{file} is skipped {why}")));
    }
    let hosts = requests.iter().flat_map(|(_, request)| request.headers().get_all(HOST));
    let version = client::version_for(Version::Auto, &arguments.to, hosts)?;
    let client = client::client(version, 1, arguments.to.scheme_str() == Some("https"))?;
    if !output.is_json() {
        skipped.iter().for_each(Skipped::print);
    }
    let (mut results, mut requests) = (Vec::new(), requests.into_iter());
    for (file, request) in requests.by_ref() {
        let (began, request) = (Instant::now(), signed(&signer, request)?);
        let answer = runtime.block_on(send(&client, request, arguments.timeout));
        let sent = Sent { file, answer, took: began.elapsed() };
        if !output.is_json() {
            sent.print();
        }
        let is_unreachable = matches!(&sent.answer, Err(trouble) if trouble.kind == Kind::NoConnection);
        results.push(sent);
        if is_unreachable {
            break;
        }
    }
    // Do not wait for a DNS lookup that may still be running.
    runtime.shutdown_background();
    let not_sent: Vec<_> = requests.map(|(file, _)| file).collect();
    if !output.is_json() && !not_sent.is_empty() {
        anstream::println!("not sent, because the receiver cannot be reached: {}", Escaped::line(&not_sent.join(", ")));
    }
    output.result(&document(&arguments.to, &results, &skipped, &not_sent), || {});
    exit_code(&results)
}

/// Why a capture is not signed again.
fn unverified(note: &Note) -> String {
    format!(
        "({}): its content may be forged, and a new signature would make it genuine; to send it too, add --refused",
        note.result
    )
}

/// The saved request without its signature and what belongs to its connection.
fn request(arguments: &Resend, signer: &RequestSigner, captured: Captured) -> Result<Request<Bytes>, String> {
    let method = captured.method.unwrap_or_default();
    let mut request = Request::new(Bytes::from(captured.body));
    *request.method_mut() = match method.parse() {
        Ok(method) if method != Method::CONNECT => method,
        _ => return Err("must have an HTTP method other than CONNECT".into()),
    };
    *request.uri_mut() = client::url_for(&arguments.to, captured.path.as_deref().unwrap_or("/"))?;
    let headers = request.headers_mut();
    for (name, value) in captured.headers.into_iter().filter(|(_, value)| value != REDACTED) {
        let name = HeaderName::try_from(name).map_err(|_| "must have valid header names")?;
        let value = HeaderValue::try_from(value).map_err(|_| format!("must have a valid value of {name}"))?;
        headers.append(name, value);
    }
    client::remove_hop_by_hop(headers);
    // The client writes the host of the URL and the length, and does not wait for 100 Continue.
    for name in [HOST, CONTENT_LENGTH, EXPECT] {
        headers.remove(name);
    }
    headers.remove(note::NAME);
    for name in signer.scheme().signature_headers() {
        headers.remove(name.as_str());
    }
    if let Some(host) = signer.host().filter(|host| !client::is_host_of(&arguments.to, host)) {
        headers.insert(HOST, host.clone());
    }
    for header in &arguments.headers {
        headers.insert(header.name.clone(), header.value.clone());
    }
    Ok(request)
}

/// Signs the request now. The new signature and timestamp replace the saved ones, and a signed id is kept.
fn signed(signer: &RequestSigner, mut request: Request<Bytes>) -> Result<Request<Bytes>, Failure> {
    let headers = signer.sign_at(&request, request.body(), Timestamp::now())?;
    headers.insert_into(request.headers_mut());
    Ok(request)
}

async fn send(client: &Client, request: Request<Bytes>, limit: Duration) -> Result<Answer, Trouble> {
    let exchange = async {
        let response = client.request(request.map(|body| Full::new(body).boxed())).await;
        Answer::read(response.map_err(|error| Trouble::of(&error))?).await
    };
    timeout(limit, exchange).await.unwrap_or_else(|_| Err(Trouble::timeout(limit)))
}

/// The result of one request.
struct Sent {
    file: String,
    answer: Result<Answer, Trouble>,
    took: Duration,
}

/// A capture that is not sent.
struct Skipped {
    file: String,
    why: String,
}

impl Skipped {
    fn print(&self) {
        anstream::println!("{}", Escaped::line(&format!("{}: skipped {}", self.file, self.why)));
    }
}

fn document(url: &Uri, results: &[Sent], skipped: &[Skipped], not_sent: &[String]) -> Value {
    let skipped = skipped.iter().map(|skipped| json!({ "file": skipped.file, "why": skipped.why }));
    json!({
        "to": url.to_string(),
        "requests": results.iter().map(Sent::json).collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
        "not_sent": not_sent,
    })
}

/// The exit codes are those of `send`.
fn exit_code(results: &[Sent]) -> Result<ExitCode, Failure> {
    let statuses = || results.iter().filter_map(|sent| sent.answer.as_ref().ok()).map(|answer| answer.status);
    if !statuses().all(|status| status.is_success()) {
        return Ok(ExitCode::from(FOUND));
    }
    match results.iter().find_map(|sent| Some((sent, sent.answer.as_ref().err()?))) {
        Some((sent, trouble)) => {
            Err(Failure::outside(&sent.file, format!("{}: {}", trouble.kind.name(), trouble.text)))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}

impl Sent {
    fn print(&self) {
        anstream::println!("{}:", Escaped::line(&self.file));
        match &self.answer {
            Ok(answer) => answer.print(self.took),
            Err(trouble) => anstream::println!("{}: {}", trouble.kind.name(), Escaped::line(&trouble.text)),
        }
    }

    fn json(&self) -> Value {
        match &self.answer {
            Ok(answer) => json!({ "file": self.file, "answer": answer.json() }),
            Err(trouble) => {
                json!({ "file": self.file, "error": { "kind": trouble.kind.name(), "text": trouble.text } })
            }
        }
    }
}

/// The value of a header that a Warden removed from a capture.
const REDACTED: &[u8] = b"[redacted]";

pub(crate) const EXAMPLE: &str = "\
Example, with a receiver on port 3000:
  HOOKWARDEN_SECRET=only-for-this-example hookwarden resend request.http --to http://127.0.0.1:3000/webhooks/acme";

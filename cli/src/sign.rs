//! `hookwarden sign`: prints the headers of a signed message, or a curl command that sends it.

use std::process::ExitCode;

use clap::Args;
use hookwarden::Timestamp;
use hookwarden::headers::{Head, RequestHead};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::{Map, Value, json};

use crate::client;
use crate::failure::Failure;
use crate::message::{self, MessageArguments};
use crate::output::Output;

/// The arguments of `hookwarden sign`.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    #[command(flatten)]
    message: MessageArguments,
    /// Use this method in the curl command, and sign it if the scheme signs the method
    #[arg(long, default_value = "POST")]
    method: Method,
    /// Use this path and query, if the scheme signs them
    #[arg(long, conflicts_with_all = ["url", "curl"])]
    path: Option<String>,
    /// Use the path and query of this URL instead of --path
    #[arg(long, value_parser = client::url, conflicts_with = "curl")]
    url: Option<Uri>,
    /// Print a curl command that sends the message to this URL
    #[arg(long, value_name = "URL", value_parser = client::url)]
    curl: Option<Uri>,
}

/// Signs a message and prints it.
pub(crate) fn run(arguments: &Sign, output: Output) -> Result<ExitCode, Failure> {
    let body = arguments.message.body()?;
    let signer = arguments.message.signer()?;
    let time = arguments.message.time().unwrap_or_else(Timestamp::now);

    let mut headers = arguments.message.headers();
    if arguments.curl.is_some() && !headers.contains_key(CONTENT_TYPE) {
        // By default curl sends the content type of a form.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(name) = with_head(arguments, &headers, |head| message::missing_id(&signer, head, &headers)) {
        headers.insert(name, message::new_id()?);
    }
    let signed = with_head(arguments, &headers, |head| signer.sign_at(head, &body, time))
        .map_err(|error| message::cannot_sign(&error, "; set --path or --url"))?;
    // The signer's headers replace given ones with the same name.
    let mut all: Vec<(&str, &str)> = signed.iter().collect();
    let own =
        headers.iter().filter(|(name, _)| !signed.iter().any(|(added, _)| name.as_str().eq_ignore_ascii_case(added)));
    all.splice(0..0, own.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())));

    let line = arguments.curl.as_ref().map(|url| curl(arguments, url, &all)).transpose()?;
    let mut document = json!({
        "scheme": signer.scheme().name(),
        "time": time.as_unix(),
        "headers": object(&all),
    });
    if let (Some(line), Some(document)) = (&line, document.as_object_mut()) {
        document.insert("curl".into(), line.as_str().into());
    }
    output.result(&document, || match line {
        Some(line) => anstream::println!("{line}"),
        None => all.iter().for_each(|(name, value)| anstream::println!("{name}: {value}")),
    });
    Ok(ExitCode::SUCCESS)
}

/// Calls `act` with the known parts of the head.
fn with_head<T>(arguments: &Sign, headers: &HeaderMap, act: impl FnOnce(&dyn Head) -> T) -> T {
    let url = arguments.url.as_ref().or(arguments.curl.as_ref());
    let path = url.and_then(Uri::path_and_query).map(|path| path.as_str()).or(arguments.path.as_deref());
    match path {
        Some(path) => act(&RequestHead::new(arguments.method.as_str(), path, headers)),
        None => act(headers),
    }
}

/// The command line for a POSIX shell. The options make curl use the URL unchanged, with its brackets and dots.
fn curl(arguments: &Sign, url: &Uri, headers: &[(&str, &str)]) -> Result<String, Failure> {
    let mut words: Vec<String> = ["curl", "--globoff", "--path-as-is", "--request"].map(String::from).into();
    words.push(arguments.method.to_string());
    for (name, value) in headers {
        words.push("--header".into());
        // curl omits a header that ends with the colon.
        words.push(if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") });
    }
    match (arguments.message.body.path(), arguments.message.body.text()) {
        (Some(path), _) => {
            let path = path.to_str().ok_or_else(|| Failure::file(path, "must have a UTF-8 name for --curl"))?;
            words.extend(["--data-binary".into(), format!("@{path}")]);
        }
        (None, text) => words.extend(["--data-raw".into(), text.unwrap_or_default().into()]),
    }
    words.push(url.to_string());
    shlex::try_join(words.iter().map(String::as_str)).map_err(|error| Failure::input("--curl", error))
}

/// Headers as an object. The values of a repeated header are an array.
fn object(headers: &[(&str, &str)]) -> Value {
    let mut object: Map<String, Value> = Map::new();
    for (name, value) in headers {
        match object.get_mut(*name) {
            None => drop(object.insert((*name).into(), (*value).into())),
            Some(Value::Array(values)) => values.push((*value).into()),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    Value::Object(object)
}

pub(crate) const EXAMPLE: &str = "\
Example:
  echo '{\"id\":7}' > body.json
  HOOKWARDEN_SECRET=only-for-this-example hookwarden sign body.json
  HOOKWARDEN_SECRET=only-for-this-example hookwarden sign body.json --curl http://127.0.0.1:3000/webhooks/acme";

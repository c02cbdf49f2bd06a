//! `hookwarden sign`: the headers that make a body a signed message, or a line for curl that sends it.

use std::process::ExitCode;

use clap::Args;
use hookwarden::Timestamp;
use hookwarden::headers::{Head, RequestHead};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::{Map, Value, json};

use crate::client;
use crate::failure::Failure;
use crate::input::{HeaderArgument, SchemeArgument, SecretArguments};
use crate::message::{self, BodyArguments};
use crate::output::Output;

/// The arguments of `hookwarden sign`.
#[derive(Debug, Args)]
pub(crate) struct Sign {
    #[command(flatten)]
    body: BodyArguments,
    #[command(flatten)]
    scheme: SchemeArgument,
    #[command(flatten)]
    secret: SecretArguments,
    /// A header of the message's own, for schemes that sign some; a message id is made where the scheme signs one and none is given
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<HeaderArgument>,
    /// The request's method, for schemes that sign it
    #[arg(long, default_value = "POST")]
    method: Method,
    /// The request's path and query, for schemes that sign it
    #[arg(long, conflicts_with_all = ["url", "curl"])]
    path: Option<String>,
    /// The request's URL, in the place of its path
    #[arg(long, value_parser = client::url, conflicts_with = "curl")]
    url: Option<Uri>,
    /// The time of signing in Unix seconds, in the place of now
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<i64>,
    /// Prints a line for a shell that sends the message to this URL by curl
    #[arg(long, value_name = "URL", value_parser = client::url)]
    curl: Option<Uri>,
}

/// Signs, and prints what came of it.
pub(crate) fn run(arguments: &Sign, output: Output) -> Result<ExitCode, Failure> {
    let body = arguments.body.bytes(&arguments.secret)?;
    let signer = message::signer(&arguments.scheme, &arguments.secret)?;
    let time = arguments.timestamp.map_or_else(Timestamp::now, Timestamp::from_unix);

    let mut headers = message::header_map(&arguments.headers);
    if arguments.curl.is_some() && !headers.contains_key(CONTENT_TYPE) {
        // Otherwise curl sends the type of a form.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(name) = with_head(arguments, &headers, |head| message::missing_id(&signer, head, &headers)) {
        headers.insert(name, message::new_id()?);
    }
    let signed = with_head(arguments, &headers, |head| signer.sign_at(head, &body, time))
        .map_err(|error| message::cannot_sign(&error, "; name a --path or a --url"))?;
    // What the signer adds comes in the place of what was given under the same name.
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

/// Calls `act` with the head of the message, as far as it is known.
fn with_head<T>(arguments: &Sign, headers: &HeaderMap, act: impl FnOnce(&dyn Head) -> T) -> T {
    let url = arguments.url.as_ref().or(arguments.curl.as_ref());
    let path = url.and_then(Uri::path_and_query).map(|path| path.as_str()).or(arguments.path.as_deref());
    match path {
        Some(path) => act(&RequestHead::new(arguments.method.as_str(), path, headers)),
        None => act(headers),
    }
}

/// The line for a POSIX shell. curl takes the URL as it is, its brackets and dots too.
fn curl(arguments: &Sign, url: &Uri, headers: &[(&str, &str)]) -> Result<String, Failure> {
    let mut words: Vec<String> = ["curl", "--globoff", "--path-as-is", "--request"].map(String::from).into();
    words.push(arguments.method.to_string());
    for (name, value) in headers {
        words.push("--header".into());
        // With a colon and nothing behind it curl would leave the header out.
        words.push(if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") });
    }
    match (arguments.body.path(), arguments.body.text()) {
        (Some(path), _) => {
            let path =
                path.to_str().ok_or_else(|| Failure::file(path, "a curl line cannot hold a name that is not UTF-8"))?;
            words.extend(["--data-binary".into(), format!("@{path}")]);
        }
        (None, text) => words.extend(["--data-raw".into(), text.unwrap_or_default().into()]),
    }
    words.push(url.to_string());
    shlex::try_join(words.iter().map(String::as_str)).map_err(|error| Failure::input("the curl line", error))
}

/// Headers as an object, the values of a repeated one as an array.
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

/// Lines that work when they are pasted.
pub(crate) const EXAMPLE: &str = "\
Example:
  echo '{\"id\":7}' > body.json
  HOOKWARDEN_SECRET=only-for-this-example hookwarden sign body.json
  HOOKWARDEN_SECRET=only-for-this-example hookwarden sign body.json --curl http://127.0.0.1:3000/webhooks/acme";

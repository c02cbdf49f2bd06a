//! `hookwarden sign`: prints the headers of a signed message, or a curl command that sends it.

use std::process::ExitCode;

use clap::Args;
use hookwarden::headers::{Head, RequestHead};
use hookwarden::scheme::SignedPart;
use hookwarden::{Scheme, Timestamp};
use http::header::CONTENT_TYPE;
use http::uri::{Authority, PathAndQuery};
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
    /// Sign this path and query, if the scheme signs them. With --curl, they are signed in place of the URL's
    #[arg(long, conflicts_with = "url")]
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
    let signer = arguments.message.signer(arguments.url.as_ref().or(arguments.curl.as_ref()))?;
    let path = signed_path(arguments, signer.scheme())?;
    let time = arguments.message.time().unwrap_or_else(Timestamp::now);

    let mut headers = arguments.message.headers(&signer, None)?;
    if (arguments.curl.is_some() || signer.host().is_some()) && !headers.contains_key(CONTENT_TYPE) {
        // By default curl sends the content type of a form, and message signatures cover it.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(name) = with_head(arguments, path, &headers, |head| signer.missing_id(head, &headers)) {
        headers.insert(name, message::new_id()?);
    }
    let signed = with_head(arguments, path, &headers, |head| signer.sign_at(head, &body, time))?;
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
fn with_head<T>(arguments: &Sign, path: Option<&str>, headers: &HeaderMap, act: impl FnOnce(&dyn Head) -> T) -> T {
    match path {
        Some(path) => act(&RequestHead::new(arguments.method.as_str(), path, headers)),
        None => act(headers),
    }
}

/// The path and query that the receiver gets. If the scheme signs a URL, that is the rest of the given one after the
/// scheme's base.
///
/// Returns an error if the given URL has another base: the signature would be for an address that the request is not
/// sent to.
fn signed_path<'a>(arguments: &'a Sign, scheme: &Scheme) -> Result<Option<&'a str>, Failure> {
    let (name, url) = match (&arguments.path, &arguments.url, &arguments.curl) {
        (Some(path), ..) => return Ok(Some(path)),
        (None, Some(url), _) => ("--url", url),
        (None, None, Some(url)) => ("--curl", url),
        (None, None, None) => return Ok(None),
    };
    let path = url.path_and_query().map(PathAndQuery::as_str);
    let base = scheme.signed().iter().find_map(|part| match part {
        SignedPart::Url { base, .. } => Some(base),
        _ => None,
    });
    let Some(base) = base else { return Ok(path) };
    after_base(url, base).map(Some).ok_or_else(|| {
        // The path and the query may contain a token, so they are not shown.
        let given = format!(
            "{}://{}",
            url.scheme_str().unwrap_or_default(),
            url.authority().map(Authority::as_str).unwrap_or_default()
        );
        let problem = format!(
            "must begin with {base}, which the scheme {} signs, but begins with {given}; set url.base in a scheme file to the \
             receiver's public address, or give the signed path with --path",
            scheme.name()
        );
        Failure::input(name, problem)
    })
}

/// The path and query of `url` after the path of `base`. Returns `None` if the two have another scheme, host or port.
fn after_base<'u>(url: &'u Uri, base: &str) -> Option<&'u str> {
    let base: Uri = base.parse().ok()?;
    let port = |uri: &Uri| uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let is_same = base.scheme_str() == url.scheme_str()
        && base.host()?.eq_ignore_ascii_case(url.host()?)
        && port(&base) == port(url);
    let path = url.path_and_query()?.as_str();
    path.strip_prefix(base.path().trim_end_matches('/')).filter(|path| is_same && path.starts_with('/'))
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

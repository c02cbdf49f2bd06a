//! A message before it is signed: its body, headers and message id.

use std::path::{Path, PathBuf};

use clap::Args;
use hookwarden::headers::{FieldName, Head, Occurrence};
use hookwarden::{Signer, Timestamp};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::client;
use crate::failure::Failure;
use crate::input::{self, HeaderArgument, SecretArguments};
use crate::profile::SigningArguments;
use crate::random;
use crate::signer::{ParameterArguments, RequestSigner};

/// The arguments of a message to sign.
#[derive(Debug, Args)]
pub(crate) struct MessageArguments {
    #[command(flatten)]
    pub(crate) body: BodyArguments,
    #[command(flatten)]
    signing: SigningArguments,
    #[command(flatten)]
    parameters: ParameterArguments,
    #[command(flatten)]
    secret: SecretArguments,
    /// Add a header. If the scheme signs a message id and no header has it, an id is generated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<HeaderArgument>,
    /// Sign at this time in Unix seconds [default: now]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timestamp: Option<i64>,
}

impl MessageArguments {
    pub(crate) fn body(&self) -> Result<Vec<u8>, Failure> {
        self.body.bytes(&self.secret)
    }

    /// The signer with the secrets. A profile without an origin has that of `url`.
    pub(crate) fn signer(&self, url: Option<&Uri>) -> Result<RequestSigner, Failure> {
        RequestSigner::new(&self.signing, &self.secret, &self.parameters, url)
    }

    /// Returns an error if several requests would have the same nonce.
    pub(crate) fn check_repeat(&self, repeat: u32) -> Result<(), Failure> {
        self.parameters.check_repeat(repeat > 1)
    }

    /// The headers as a map, with the host that `signer` expects unless the client writes it for `url`. Repeated names are
    /// kept.
    pub(crate) fn headers(&self, signer: &RequestSigner, url: Option<&Uri>) -> Result<HeaderMap, Failure> {
        signer.check_host(&self.headers)?;
        let mut headers = HeaderMap::new();
        for header in &self.headers {
            headers.append(header.name.clone(), header.value.clone());
        }
        let is_written = |host: &HeaderValue| url.is_some_and(|url| client::is_host_of(url, host));
        if let Some(host) = signer.host().filter(|host| !headers.contains_key(HOST) && !is_written(host)) {
            headers.insert(HOST, host.clone());
        }
        Ok(headers)
    }

    /// The time of signing, if it is not the current time.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.timestamp.map(Timestamp::from_unix)
    }
}

/// The body to sign.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct BodyArguments {
    /// Read the body from this file, - for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Use this text as the body
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
}

impl BodyArguments {
    /// The body's bytes. Standard input cannot be both the body and `secret`.
    fn bytes(&self, secret: &SecretArguments) -> Result<Vec<u8>, Failure> {
        let Some(path) = &self.file else {
            return Ok(self.text().unwrap_or_default().as_bytes().to_vec());
        };
        if input::is_standard_input(path) && secret.from_standard_input() {
            return Err(Failure::input(
                "standard input",
                "must be the secret or the body, not both; read one of them from a file",
            ));
        }
        if input::is_text(path) {
            return Err(Failure::input(
                "FILE",
                "must be the name of a file, but is a text; to sign this text, use --body",
            ));
        }
        input::bytes_of(path)
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.body.as_deref()
    }
}

/// The name of the message id header, if the scheme signs one and `headers`, the headers of `head`, do not have it.
pub(crate) fn missing_id(signer: &Signer, head: &(impl Head + ?Sized), headers: &HeaderMap) -> Option<HeaderName> {
    let error = signer.sign_at(head, b"", Timestamp::now()).err()?;
    let name = MESSAGE_IDS.into_iter().find(|name| error.part().eq_ignore_ascii_case(name))?;
    Some(HeaderName::from_static(name)).filter(|name| !headers.contains_key(name))
}

/// A random message id.
pub(crate) fn new_id() -> Result<HeaderValue, Failure> {
    let id = format!("msg_{}", random_digits()?);
    HeaderValue::try_from(id).map_err(|error| Failure::outside("a message id", error))
}

/// 24 random hexadecimal digits.
pub(crate) fn random_digits() -> Result<String, Failure> {
    random::hex::<12>()
}

/// The failure for an error when a request with `head` is signed, with the option that fixes it. `signed_by` is the scheme or
/// the profile.
pub(crate) fn cannot_sign(
    error: &hookwarden::error::SignError,
    head: &(impl Head + ?Sized),
    signed_by: &str,
) -> Failure {
    let is_missing =
        |part: &str| FieldName::new(part).is_ok_and(|name| matches!(head.header(&name), Occurrence::Absent));
    match error.part() {
        "request line" => {
            let problem = format!("must be set, or --url, because the {signed_by} signs the path");
            Failure::input("--path", problem)
        }
        "keyid" | "nonce" => Failure::Input(format!("--{error}")),
        part if !PARTS.contains(&part) && is_missing(part) => Failure::Input(format!("{error}; add it with --header")),
        _ => Failure::Input(error.to_string()),
    }
}

fn seconds(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "must be Unix seconds, such as 1800000000".into())
}

/// The parts of a signing error that are neither headers nor options.
const PARTS: [&str; 7] = ["timestamp", "key", "created", "expires", "alg", "tag", "signature-input"];

/// The header of Standard Webhooks, and its older name at Svix.
const MESSAGE_IDS: [&str; 2] = ["webhook-id", "svix-id"];

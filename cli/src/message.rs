//! A message as its sender has it before it is signed: a body, headers, and what makes it unlike any other.

use std::path::{Path, PathBuf};

use clap::Args;
use hookwarden::headers::Head;
use hookwarden::{Signer, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::failure::Failure;
use crate::input::{self, HeaderArgument, SchemeArgument, SecretArguments};

/// The body to sign.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct BodyArguments {
    /// The file that holds the body, - for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The body itself
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,
}

impl BodyArguments {
    /// The body's bytes, unless they would have to come from where `secret` comes from.
    pub(crate) fn bytes(&self, secret: &SecretArguments) -> Result<Vec<u8>, Failure> {
        let Some(path) = &self.file else {
            return Ok(self.text().unwrap_or_default().as_bytes().to_vec());
        };
        if input::is_standard_input(path) && secret.from_standard_input() {
            return Err(Failure::input("standard input", "cannot hold both the secret and the body"));
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

/// What signs, by the scheme and with the secrets of the arguments.
pub(crate) fn signer(scheme: &SchemeArgument, secret: &SecretArguments) -> Result<Signer, Failure> {
    let scheme = scheme.scheme()?;
    let keys = secret.keyring(&scheme)?;
    Signer::new(scheme, keys).map_err(|error| Failure::Input(error.to_string()))
}

/// `arguments` as a map, a name given twice standing in it twice.
pub(crate) fn header_map(arguments: &[HeaderArgument]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for header in arguments {
        headers.append(header.name.clone(), header.value.clone());
    }
    headers
}

/// The header of a message id that the scheme signs and that is not among `headers`, which are those of `head`.
pub(crate) fn missing_id(signer: &Signer, head: &(impl Head + ?Sized), headers: &HeaderMap) -> Option<HeaderName> {
    let error = signer.sign_at(head, b"", Timestamp::now()).err()?;
    let name = MESSAGE_IDS.into_iter().find(|name| error.part().eq_ignore_ascii_case(name))?;
    Some(HeaderName::from_static(name)).filter(|name| !headers.contains_key(name))
}

/// An id that no other message has.
pub(crate) fn new_id() -> Result<HeaderValue, Failure> {
    let id = format!("msg_{}", random_digits()?);
    HeaderValue::try_from(id).map_err(|error| Failure::outside("a message id", error))
}

/// 24 hexadecimal digits that nobody has seen before.
pub(crate) fn random_digits() -> Result<String, Failure> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|error| Failure::outside("random numbers", error))?;
    Ok(const_hex::encode(bytes))
}

/// Why `signer` cannot sign, and what would help.
pub(crate) fn cannot_sign(error: &hookwarden::error::SignError, help: &str) -> Failure {
    let help = match error.part() {
        "request line" => help,
        "timestamp" | "key" => "",
        _ => "; see --header",
    };
    Failure::input("the message cannot be signed", format!("{error}{help}"))
}

/// Standard Webhooks, and the name that Svix had for it before.
const MESSAGE_IDS: [&str; 2] = ["webhook-id", "svix-id"];

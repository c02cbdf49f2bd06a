//! `hookwarden secret public`: prints the public key of a private key.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use hookwarden::crypto::Algorithm;
use hookwarden::{PublicKey, Scheme};
use serde_json::json;

use crate::failure::Failure;
use crate::input::{SchemeArgument, SecretArguments};
use crate::output::Output;

/// The arguments of `hookwarden secret public`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    scheme: SchemeArgument,
    #[command(flatten)]
    secret: SecretArguments,
}

/// Prints the public key in a form that the scheme reads.
pub(super) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let scheme = arguments.scheme.scheme()?;
    let cannot = |error: hookwarden::ConfigError| Failure::Input(error.to_string());
    let secret = scheme.secret(arguments.secret.text()?.as_str()).map_err(cannot)?;
    let key = secret.public_key().ok_or_else(|| Failure::input("--scheme", "must be a scheme with public keys"))?;
    let text = text_of(key, &scheme);
    output.result(&json!({ "public_key": text }), || anstream::println!("{text}"));
    Ok(ExitCode::SUCCESS)
}

/// The text of a public key, in a form that the scheme reads.
pub(crate) fn text_of(key: &PublicKey, scheme: &Scheme) -> String {
    let prefix = if scheme.algorithm() == Algorithm::Ed25519 { "whpk_" } else { "" };
    format!("{prefix}{}", STANDARD.encode(key.as_bytes()))
}

pub(crate) const EXAMPLE: &str = "\
Example:
  hookwarden secret whsk --output private-key
  hookwarden secret public --scheme standard_webhooks_v1a --secret-file private-key";

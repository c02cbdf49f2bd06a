//! `hookwarden secret`: generates and checks secrets.

mod check;
mod entries;
pub(crate) mod kind;
mod known;
pub(crate) mod loader;
pub(crate) mod public;
mod rendering;
pub(crate) mod strength;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::failure::Failure;
use crate::output::{self, Output};
use crate::private_file;

pub(crate) use check::weaknesses;
pub(crate) use entries::Entry;

use kind::Kind;
use rendering::{Batch, Format};

/// The arguments of `hookwarden secret`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Generate a secret for this use
    #[arg(value_name = "KIND", default_value = "webhook")]
    kind: Kind,
    /// Print or write the secrets in this format
    #[arg(long, default_value = "text")]
    format: Format,
    /// Generate this many secrets
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_COUNT))]
    count: u32,
    /// Use this webhook id with --format toml
    #[arg(long, value_name = "ID", default_value = "acme")]
    id: String,
    /// Write to a new file that only its owner can read, and print no secret
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a secret, a .env file, a keys file or a directory of secrets.
    ///
    /// The strength of a secret is estimated only from its characters: a secret that was chosen by hand or published is
    /// weaker. No secret is shown. The exit code is 1 if there is a finding.
    #[command(after_help = check::EXAMPLE)]
    Check(check::Arguments),
    /// Print the public key of a private key, for the receivers. Ed25519 keys have the prefix whpk_.
    #[command(after_help = public::EXAMPLE)]
    Public(public::Arguments),
}

/// Generates secrets, or checks existing ones.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    match &arguments.action {
        Some(Action::Check(check)) => check::run(check, output),
        Some(Action::Public(public)) => public::run(public, output),
        None => make(arguments, output),
    }
}

fn make(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let batch = Batch::generate(arguments.kind, arguments.count)?;
    let format = if output.is_json() && arguments.output.is_none() { None } else { Some(arguments.format) };
    let text = batch.render(format, &arguments.id)?;
    if let Some(path) = &arguments.output {
        let _ = private_file::create(path, text.as_bytes())?;
        let written = json!({ "file": path.to_string_lossy(), "secrets": batch.len() });
        output.result(&written, || anstream::eprintln!("{}: written, readable only by its owner", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    output::write(text.as_bytes())?;
    if io::stdout().is_terminal() {
        anstream::eprintln!("the terminal's history now contains the secret; use --output FILE to write it to a file");
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) const EXAMPLE: &str = "\
Kinds, each with at least 50 characters except fernet and whsk, whose formats are fixed:
  webhook     64 letters and digits, 381 bits
  whsec       whsec_ and the base64 of 48 bytes, for Standard Webhooks
  django      64 letters, digits, - and _, for SECRET_KEY
  jwt         88 letters and digits, 523 bits: enough for HS512 (RFC 7518 section 3.2)
  encryption  32 bytes in 64 hex digits
  fernet      32 bytes in 44 characters of URL-safe base64
  env         all of these, as a .env file
  whsk        whsk_ and the base64 of an Ed25519 private key, for Standard Webhooks

Example:
  hookwarden secret
  hookwarden secret whsec --format env
  hookwarden secret --format toml --id acme --output new-keys.toml
  hookwarden secret env --output secrets.env";

const MAX_COUNT: i64 = 1_000_000;

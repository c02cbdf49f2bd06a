//! `hookwarden secret`: makes secrets, and judges them.

mod check;
mod entries;
pub(crate) mod kind;
mod known;
mod random;
mod rendering;
pub(crate) mod strength;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;
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
    /// What it is for
    #[arg(value_name = "KIND", default_value = "webhook")]
    kind: Kind,
    /// The form of what is printed or written
    #[arg(long, default_value = "text")]
    format: Format,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_COUNT))]
    count: u32,
    /// The webhook id in a keys file, for --format toml
    #[arg(long, value_name = "ID", default_value = "acme")]
    id: String,
    /// Writes to a new file that only its owner may read, and prints no secret
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Judges a secret, a .env file or a keys file. Ends with 1 if something is wrong with one of its secrets.
    ///
    /// What it says of a secret's strength is an estimate from its characters alone: whoever chose them by hand, or
    /// published them, made a weaker one. No secret is shown.
    #[command(after_help = check::EXAMPLE)]
    Check(check::Arguments),
}

/// Makes or judges.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    match &arguments.action {
        Some(Action::Check(check)) => check::run(check, output),
        None => make(arguments, output),
    }
}

fn make(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let batch = Batch::generate(arguments.kind, arguments.count)?;
    let format = if output.is_json() && arguments.output.is_none() { None } else { Some(arguments.format) };
    let text = batch.render(format, &arguments.id)?;
    if let Some(path) = &arguments.output {
        private_file::create(path, text.as_bytes())?;
        let written = json!({ "file": path.to_string_lossy(), "secrets": batch.len() });
        output.result(&written, || anstream::eprintln!("{}: written, for its owner's eyes only", path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    print(&text)?;
    if io::stdout().is_terminal() {
        anstream::eprintln!("it is in this terminal's history now; --output FILE writes it to a file instead");
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a secret, where that is the purpose.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::outside("standard output", error)),
        Ok(()) => Ok(()),
    }
}

pub(crate) const EXAMPLE: &str = "\
Kinds, each at least 50 characters but for fernet, whose form is fixed:
  webhook     64 letters and digits, 381 bits
  whsec       whsec_ and the base64 of 48 bytes, for Standard Webhooks
  django      64 letters, digits, - and _, for SECRET_KEY
  jwt         88 letters and digits, 523 bits: enough for HS512 (RFC 7518 section 3.2)
  encryption  32 bytes in 64 hex digits
  fernet      32 bytes in 44 characters of URL-safe base64
  env         all of these, as a .env file

Example:
  hookwarden secret
  hookwarden secret whsec --format env
  hookwarden secret --format toml --id acme --output new-keys.toml
  hookwarden secret env --output secrets.env";

const MAX_COUNT: i64 = 1_000_000;

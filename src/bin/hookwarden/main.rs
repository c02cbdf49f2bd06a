//! The command `hookwarden`.

mod demo;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Guards webhook endpoints.
#[derive(Debug, Parser)]
#[command(name = "hookwarden", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a receiver on loopback, sends it good and bad requests, and shows what became of each and why.
    ///
    /// With HOOKWARDEN_REDIS_URL in the environment, starts two receivers that share that Redis or Valkey, and sends to each
    /// in turn.
    ///
    /// Exit code 0 if every verdict was the expected one, 1 otherwise.
    #[command(after_help = "Example:\n  hookwarden demo")]
    Demo,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo => demo::run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("hookwarden: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `hookwarden audit`: audits a running receiver or its settings.

pub(crate) mod config;
pub(crate) mod finding;
pub(crate) mod receiver;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output::Output;

/// `audit URL` or `audit config FILE`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = receiver::EXAMPLE)]
pub(crate) struct Audit {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    receiver: receiver::Arguments,
}

/// The subjects of an audit other than a running receiver.
#[derive(Debug, Subcommand)]
enum What {
    /// Report unsafe settings of a receiver before it runs.
    #[command(after_help = config::EXAMPLE)]
    Config(config::Arguments),
}

/// Runs the audit and prints its report.
pub(crate) fn run(audit: &Audit, output: Output) -> Result<ExitCode, Failure> {
    match &audit.what {
        Some(What::Config(arguments)) => config::run(arguments, output),
        None => receiver::run(&audit.receiver, output),
    }
}

//! The command `hookwarden`.

mod audit;
mod causes;
mod client;
mod demo;
mod failure;
mod input;
mod keys_file;
mod message;
mod output;
mod private_file;
mod rotate;
mod secret;
mod send;
mod shell;
mod sign;
mod table;
mod verify;
mod when;

use std::error::Error as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, Subcommand};

/// Guards webhook endpoints.
#[derive(Debug, Parser)]
#[command(name = "hookwarden", version, about, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    /// Prints one JSON document in the place of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a receiver on loopback, sends it good and bad requests, and shows what became of each and why.
    ///
    /// With HOOKWARDEN_REDIS_URL in the environment, starts two receivers that share that Redis or Valkey, and sends to each
    /// in turn. Ends with 1 if a verdict was not the expected one.
    #[command(after_help = "Example:\n  hookwarden demo")]
    Demo,
    /// Looks for what is wrong with a running receiver, in whatever language, or with settings. Ends with 1 if something is.
    ///
    /// Sends a bounded number of requests, good and bad, and judges by the answers alone. Ends with 3 if not even a valid
    /// delivery is accepted. What the answers cannot tell is "not judged".
    Audit(Box<audit::Audit>),
    /// Makes a strong secret from the operating system's random numbers, or judges secrets.
    #[command(after_help = secret::EXAMPLE)]
    Secret(secret::Arguments),
    /// Adds a new key to a keys file while the old ones stay valid for a while, or reports on the file's keys.
    #[command(after_help = rotate::EXAMPLE)]
    Rotate(rotate::Arguments),
    /// Signs a body and prints the headers to send with it, or a line for curl.
    ///
    /// The body comes from a file, from standard input or from --body. A secret file may hold several secrets, one a line and the
    /// newest first: where the header holds several signatures all of them sign, else the first does.
    #[command(after_help = sign::EXAMPLE)]
    Sign(sign::Sign),
    /// Sends signed requests to a receiver and tells what became of them.
    ///
    /// One request is shown with its whole answer, many are counted. Each is signed anew. Redirects are not followed and nothing
    /// is sent twice. Without --unique, requests signed in the same second are replays of one delivery. More than one request goes
    /// only to this host, to others with --yes-i-own-this. An interrupt ends with the summary.
    ///
    /// Ends with 0 if all answers were 2xx, with 1 if one was another, with 3 if there was no answer.
    #[command(after_help = send::EXAMPLE)]
    Send(send::Send),
    /// Judges a captured request and tells what is wrong with it and how to put it right.
    ///
    /// The secret's text is taken as it is configured, faults and all: they are among what is looked for. A secret file may hold
    /// several secrets, one a line.
    ///
    /// Ends with 0 if the request holds, with 1 if it is refused.
    #[command(after_help = verify::EXAMPLE)]
    Verify(verify::Verify),
    /// Prints a completion script for a shell.
    #[command(after_help = "Example:\n  hookwarden completions bash > hookwarden.bash")]
    Completions(shell::Completions),
    /// Prints the manual page, or writes one for each command into a directory.
    #[command(after_help = "Example:\n  hookwarden man > hookwarden.1")]
    Man(shell::Man),
}

fn main() -> ExitCode {
    let Cli { json, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error),
    };
    let output = output::Output::new(json);
    let result = match command {
        Command::Demo => demo::run(output),
        Command::Audit(audit) => audit::run(&audit, output),
        Command::Secret(arguments) => secret::run(&arguments, output),
        Command::Rotate(arguments) => rotate::run(&arguments, output),
        Command::Sign(arguments) => sign::run(&arguments, output),
        Command::Send(arguments) => send::run(&arguments, output),
        Command::Verify(arguments) => verify::run(&arguments, output),
        Command::Completions(arguments) => shell::completions(&arguments, output),
        Command::Man(arguments) => shell::man(&arguments, output),
    };
    result.unwrap_or_else(|failure| output.failure(&failure))
}

/// Prints the help or the version, or says in one line what is wrong with the arguments.
fn unparsed(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    let text = match (error.kind(), error.get(ContextKind::InvalidArg), error.source()) {
        // A URL or a header may hold a secret, and the error ends up in a log.
        (ErrorKind::ValueValidation, Some(argument), Some(why)) => format!("invalid value for '{argument}': {why}"),
        _ => error.to_string(),
    };
    // Behind the first empty line stand the usage and where to find help.
    let problem = text.split("\n\n").next().unwrap_or_default();
    let problem = problem.strip_prefix("error: ").unwrap_or(problem);
    // What a program is to read is the same whether its other arguments were understood or not.
    let json = std::env::args_os().any(|argument| argument == "--json");
    output::Output::new(json).failure(&failure::Failure::input("arguments", problem))
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, and nothing was found wrong
  1  something was found: a refused message, a weak secret, an audit's finding
  2  the input was wrong: an argument, a file, a header, a secret
  3  it could not be done: no connection, a file that cannot be written";

//! The command `hookwarden`.

mod audit;
mod causes;
mod client;
mod corpus;
mod demo;
mod directory;
mod failure;
mod forgery;
mod input;
mod keys_file;
mod listen;
mod message;
mod named_keys;
mod note;
mod output;
mod private_file;
mod profile;
mod providers;
mod random;
mod resend;
mod rotate;
mod secret;
mod send;
mod shell;
mod sign;
mod signer;
mod table;
mod verify;
mod when;

use std::error::Error as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

/// Generate and rotate webhook secrets, sign, send and verify requests, and audit receivers.
#[derive(Debug, Parser)]
#[command(name = "hookwarden", version, arg_required_else_help = true, after_help = EXIT_CODES)]
struct Cli {
    /// Print one JSON document instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a receiver on loopback, send it valid and invalid requests, and show the result of each.
    ///
    /// If HOOKWARDEN_REDIS_URL is set, two receivers share that Redis or Valkey server, cluster (redis+cluster://) or
    /// primary of Sentinels (redis+sentinel://), and requests alternate between them. The exit code is 1 if a result is
    /// not the expected one.
    #[command(after_help = "Example:\n  hookwarden demo")]
    Demo,
    /// Audit a running receiver in any language, or its settings.
    ///
    /// The audit sends a limited number of valid and invalid requests, and checks only the responses. If the responses
    /// do not show whether a check holds, its result is "inconclusive". The exit code is 1 if there is a finding, and 3
    /// if the receiver does not accept a valid delivery.
    Audit(Box<audit::Audit>),
    /// Generate strong secrets with the operating system's random number generator, or check existing ones.
    #[command(after_help = secret::EXAMPLE)]
    Secret(secret::Arguments),
    /// Add a new key to a keys file and let the old ones expire, or report on the file's keys.
    #[command(after_help = rotate::EXAMPLE)]
    Rotate(rotate::Arguments),
    /// Sign a body, and print the headers to send with it or a curl command.
    ///
    /// The body comes from a file, from standard input or from --body. A secret file may contain several secrets, one
    /// per line, newest first. If the scheme's header takes several signatures, the message is signed with all of them,
    /// otherwise with the first one.
    #[command(after_help = sign::EXAMPLE)]
    Sign(sign::Sign),
    /// Send signed requests to a receiver, and report the responses.
    ///
    /// For a single request, the response is printed. For several requests, the responses are counted. Each request is
    /// signed separately. Redirects are not followed, and no request is retried. Without --unique, requests that are
    /// signed in the same second are one delivery, so the receiver handles only the first. Sending several requests to
    /// another host requires --yes-i-own-this. An interrupt stops the run and prints the summary.
    ///
    /// The exit code is 0 if all responses are 2xx, 1 if another status was received, and 3 if a request got no
    /// response.
    #[command(after_help = send::EXAMPLE)]
    Send(send::Send),
    /// Receive requests on this machine, verify and explain each, save them, and forward them to your application.
    ///
    /// Each request is verified by a Warden with the library's default limits and without quotas. A copy of an accepted
    /// delivery is answered 200 and not forwarded. The answer is the application's, 502 if the application cannot be
    /// reached, and without --forward the Warden's: 200 for an accepted request. Forwarded requests have the body and the
    /// headers of the original, except the headers of the connection. Requests of a method other than POST are refused.
    ///
    /// Only this machine can connect, unless --listen names another address. The output contains no secret, signature,
    /// query or body. With --json, each request is one JSON document on one line, after a line with the address. An
    /// interrupt ends the command, after the requests that were answered are printed and saved.
    #[command(after_help = listen::EXAMPLE)]
    Listen(Box<listen::Listen>),
    /// Sign saved requests again with the current time, and send them.
    ///
    /// The requests keep their body, method, path and headers, with a signed message id. The headers of the signature and
    /// of the connection, and Host, are replaced. Requests that `hookwarden listen` or a Warden refused are skipped, because
    /// their content may be forged, and a new signature would make it genuine. The requests are sent one after the other. Redirects are not followed, and no
    /// request is retried. Sending to another host requires --yes-i-own-this.
    ///
    /// The exit code is 0 if all responses are 2xx, 1 if another status was received, and 3 if a request got no
    /// response.
    #[command(after_help = resend::EXAMPLE)]
    Resend(resend::Resend),
    /// Verify a captured request, or each file of a directory, and explain why it is refused and how to fix it.
    ///
    /// The secret is used exactly as configured, because a mistake in it may be the cause. A secret file may contain
    /// several secrets, one per line.
    ///
    /// In a directory, hidden files and subdirectories are skipped, and files that are not requests are listed.
    ///
    /// The exit code is 0 if all requests verify, and 1 if one is refused.
    #[command(after_help = verify::EXAMPLE)]
    Verify(verify::Verify),
    /// List the providers whose schemes have a name, or print the facts about one.
    ///
    /// Every command that takes --scheme accepts these names. With --json, it prints the schemes, the facts, signed
    /// messages and near misses that must be refused, to test verifiers in other languages.
    #[command(after_help = providers::EXAMPLE)]
    Providers(providers::Arguments),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  hookwarden completions bash > hookwarden.bash")]
    Completions(shell::Completions),
    /// Print the manual page, or write one for each command to a directory.
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
        Command::Listen(arguments) => listen::run(&arguments, output),
        Command::Resend(arguments) => resend::run(&arguments, output),
        Command::Verify(arguments) => verify::run(&arguments, output),
        Command::Providers(arguments) => providers::run(&arguments, output),
        Command::Completions(arguments) => shell::completions(&arguments, output),
        Command::Man(arguments) => shell::man(&arguments, output),
    };
    result.unwrap_or_else(|failure| output.failure(&failure))
}

/// Prints the help or the version, or one line about the invalid argument.
fn unparsed(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    // clap does not report `--json` if another argument is invalid.
    let json = std::env::args_os().any(|argument| argument == "--json");
    let output = output::Output::new(json);
    if let (ErrorKind::ValueValidation, Some(argument), Some(why)) =
        (error.kind(), error.get(ContextKind::InvalidArg), error.source())
    {
        // Does not quote the value: a URL or a header may contain a secret, and errors are logged.
        return output.failure(&failure::Failure::input(argument, why));
    }
    if error.get(ContextKind::InvalidArg) == Some(&ContextValue::String("--received-as".into()))
        && error.kind() == ErrorKind::UnknownArgument
    {
        let problem = "must be omitted here, because it is a setting of receivers: of verify and listen; requests are \
                       signed for the host of --origin, and have it in Host";
        return output.failure(&failure::Failure::input("--received-as", problem));
    }
    let text = error.to_string();
    // The usage follows the first empty line.
    let problem = text.split("\n\n").next().unwrap_or_default();
    let problem = problem.strip_prefix("error: ").unwrap_or(problem);
    output.failure(&failure::Failure::input("arguments", problem))
}

const EXIT_CODES: &str = "\
Exit codes:
  0  success, and nothing was found
  1  something was found: a refused message, a weak secret, a finding of an audit
  2  the input is invalid: an argument, a file, a header, a secret
  3  the command could not be completed: no connection, a file that cannot be written";

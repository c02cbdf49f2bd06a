//! `hookwarden completions` and `hookwarden man`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man as Page;
use serde_json::json;

use crate::Cli;
use crate::failure::Failure;
use crate::output::{self, Output};

/// The arguments of `hookwarden completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Generate the script for this shell
    shell: Shell,
}

/// The arguments of `hookwarden man`.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write hookwarden.1 and a page for each command to this existing directory
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Prints the completion script.
pub(crate) fn completions(arguments: &Completions, output: Output) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), NAME, &mut script);
    print("script", &script, output)
}

/// Prints or writes the manual.
pub(crate) fn man(arguments: &Man, output: Output) -> Result<ExitCode, Failure> {
    match &arguments.directory {
        Some(directory) if !directory.is_dir() => Err(Failure::file(directory, "must be an existing directory")),
        Some(directory) => {
            clap_mangen::generate_to(Cli::command(), directory)
                .map_err(|error| Failure::outside(directory.display(), error))?;
            output.result(&json!({ "directory": directory.display().to_string() }), || ());
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let mut page = Vec::new();
            Page::new(Cli::command()).render(&mut page).map_err(|error| Failure::outside("the page", error))?;
            print("page", &page, output)
        }
    }
}

fn print(what: &str, bytes: &[u8], output: Output) -> Result<ExitCode, Failure> {
    if output.is_json() {
        output.result(&json!({ what: String::from_utf8_lossy(bytes) }), || ());
        return Ok(ExitCode::SUCCESS);
    }
    output::write(bytes)?;
    Ok(ExitCode::SUCCESS)
}

const NAME: &str = "hookwarden";

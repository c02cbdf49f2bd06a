//! Measures the end-to-end cost of guarding a route. See `README.md`.

#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a panic ends the measurement")]

mod deliveries;
mod hash;
mod kinds;
mod load;
mod process;
mod python;
mod receivers;
mod rounds;
mod table;

use std::error::Error;
use std::process::ExitCode;

use kinds::{Kind, Size};
use lexopt::{Arg, Parser, ValueExt as _};

fn main() -> ExitCode {
    match run(Parser::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hookwarden-serve-bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: Parser) -> Result<ExitCode, Box<dyn Error>> {
    let mut settings = rounds::Settings { pairs: PAIRS, kinds: Kind::ALL.to_vec(), sizes: Size::ALL.to_vec() };
    while let Some(argument) = arguments.next()? {
        match argument {
            // The program starts itself with this argument as a receiver.
            Arg::Value(word) if word == "receive" => {
                let kind = arguments.value()?.parse_with(Kind::from_name)?;
                let capacity = arguments.value()?.parse()?;
                return receivers::run(kind, capacity).map(|()| ExitCode::SUCCESS);
            }
            Arg::Long("pairs") => settings.pairs = arguments.value()?.parse_with(count)?,
            Arg::Long("kinds") => settings.kinds = arguments.value()?.parse_with(Kind::list_from)?,
            Arg::Long("bodies") => settings.sizes = arguments.value()?.parse_with(Size::list_from)?,
            Arg::Long("help") => {
                println!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            _ => return Err(argument.unexpected().into()),
        }
    }
    let holds = rounds::measure(&settings)?.print();
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or("must be within 1..=1000".to_owned())
}

const HELP: &str = "usage: hookwarden-serve-bench [--pairs N] [--kinds NAMES] [--bodies SIZES]

  --pairs N      number of turns of each receiver; default: 10
  --kinds NAMES  receivers, separated by commas: axum-plain, axum-guarded, axum-standardwebhooks, actix-plain,
                 actix-guarded, python; default: all
  --bodies SIZES sizes, separated by commas: 1KiB, 64KiB; default: both

The exit code is 1 if a bound is missed, and 2 if an answer was unexpected or nothing could be measured.";

const PAIRS: u32 = 10;

//! `hookwarden audit config`: finds unsafe settings before a receiver runs with them.

mod build;
mod findings;
mod keys;
mod redis;
mod settings;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use hookwarden::Timestamp;

use super::finding::{Format, Report};
use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use crate::private_file::directory_of;

use settings::Document;

/// The arguments of `hookwarden audit config`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Read the settings from this TOML file, - for standard input; its paths are relative to the file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the report in this format; --json is short for --format json
    #[arg(long, default_value = "table")]
    format: Format,
}

/// Reads the settings and prints a report.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let path = &arguments.file;
    let (subject, base) = if input::is_standard_input(path) {
        ("standard input".to_owned(), PathBuf::from("."))
    } else {
        (path.display().to_string(), directory_of(path))
    };
    let document = Document::parse(Path::new(&subject), input::text_of(path)?)?;
    let scheme = build::scheme(&document, &base)?;
    let mut findings = findings::of(&document, &scheme);
    findings.extend(redis::findings(&document)?);
    findings.extend(keys::findings(&document, &base, &scheme, Timestamp::now())?);
    build::check(&document, scheme)?;
    Ok(Report::new(subject, findings).print(arguments.format, output))
}

pub(crate) const EXAMPLE: &str = r#"All settings, each with its default or an example. All are optional, and an unknown setting is an error:
  listen = "127.0.0.1:3000"      # the address of the receiver
  scheme = "timestamped"         # a provider, or a TOML file that describes a scheme
  keys = "keys.toml"             # the keys file; its secrets are checked too
  methods = ["POST"]             # other methods are answered 405
  content_types = ["application/json"]   # other types are answered 415; by default all are accepted
  tolerance = 300                # seconds; by default that of the scheme
  redis_url = "rediss://redis.example:6379"
  danger_report_only = false     # true passes all requests to the handler
  danger_allow_shared_secrets = false

  [body]
  max_bytes = 1048576            # bytes
  deadline = 10                  # seconds
  # max_bytes_in_flight = 67108864   # bytes of all unverified bodies; by default 64 MiB or four times max_bytes

  [quotas]
  accepted = { limit = 100, per = 60 }   # accepted requests of a webhook id, seconds
  rejected = { limit = 60, per = 60 }    # refused requests of a peer and webhook id, seconds
  # rejected_by_peer = { limit = 120, per = 60 }   # of a peer; by default twice as many
  replicas = 1                   # processes that share the webhook ids
  danger_unlimited_accepted = false
  danger_unlimited_rejected = false

  [replay]
  store = "memory"               # or "redis"; "none" requires danger_off
  capacity = 1048576             # entries in memory
  margin = 10                    # seconds
  lease = 60                     # seconds
  # lifetime = 86400             # seconds; a scheme without a timestamp requires it or danger_simultaneous_only
  # danger_simultaneous_only = true              # remembers a delivery only while its handler runs
  # danger_unsigned_id_header = "X-GitHub-Delivery"   # with lifetime: equal bodies with two ids are two deliveries
  duplicates_conflict = false    # true answers a duplicate with 409
  danger_off = false
  danger_fall_back_to_this_process = false

  [proxies]
  x_forwarded_for = 1            # the number of proxies; or forwarded = 1; by default none
  networks = ["10.0.0.0/8"]      # the addresses of the last proxy; by default any

Example:
  hookwarden audit config receiver.toml
  hookwarden audit config receiver.toml --format sarif > receiver.sarif"#;

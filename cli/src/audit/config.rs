//! `hookwarden audit config`: settings that are unsafe, before they run.

mod build;
mod judge;
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
    /// The TOML file, - for standard input; paths in it are relative to it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The form of the report; --json is short for json
    #[arg(long, default_value = "table")]
    format: Format,
}

/// Reads the settings and reports.
pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let path = &arguments.file;
    let (subject, base) = if input::is_standard_input(path) {
        ("standard input".to_owned(), PathBuf::from("."))
    } else {
        (path.display().to_string(), directory_of(path))
    };
    let document = Document::parse(Path::new(&subject), input::text_of(path)?)?;
    let scheme = build::scheme(&document, &base)?;
    let mut findings = judge::findings(&document, &scheme);
    findings.extend(redis::findings(&document)?);
    findings.extend(keys::findings(&document, &base, &scheme, Timestamp::now())?);
    build::check(&document, scheme)?;
    Ok(Report::new(subject, findings).print(arguments.format, output))
}

pub(crate) const EXAMPLE: &str = r#"The file, each setting with its default or an example; all are optional, and any other is an error:
  listen = "127.0.0.1:3000"      # where the receiver listens
  scheme = "timestamped"         # a preset, or a TOML file that describes a scheme
  keys = "keys.toml"             # the keys file; its secrets are judged too
  methods = ["POST"]             # any other is answered 405
  content_types = ["application/json"]   # any other is answered 415; without it, none is
  tolerance = 300                # seconds; without it, what the scheme says
  body_limit = 1048576           # bytes
  body_deadline = 10             # seconds
  redis_url = "rediss://redis.example:6379"
  replicas = 1                   # processes that share the webhook ids
  quota = { limit = 100, per = 60 }           # accepted requests of a webhook id, seconds
  rejected_quota = { limit = 60, per = 60 }   # refused requests of a peer, seconds
  trusted_hops = { header = "x-forwarded-for", count = 1 }   # or "forwarded"; by default none
  trusted_proxies = ["10.0.0.0/8"]   # where the last of them connects from; by default anywhere
  replay = { store = "memory", lease = 60 }   # or "redis", "none"; lifetime in seconds without a timestamp
  danger_without_quota = false
  danger_without_rejected_quotas = false
  danger_without_replay_protection = false    # store = "none" demands it
  danger_replay_falls_back_to_this_process = false
  danger_allow_shared_secrets = false

Example:
  hookwarden audit config receiver.toml
  hookwarden audit config receiver.toml --format sarif > receiver.sarif"#;

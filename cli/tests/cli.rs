//! The command `hookwarden`, run as its users run it.

// Bash runs the examples, and modes and links are those of Unix.
#![cfg(unix)]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "cli/audit_config.rs"]
mod audit_config;
#[path = "cli/examples.rs"]
mod examples;
#[path = "cli/files.rs"]
mod files;
#[path = "cli/json.rs"]
mod json;
#[path = "cli/randomness.rs"]
mod randomness;
#[path = "cli/rotate.rs"]
mod rotate;
#[path = "cli/scratch.rs"]
mod scratch;
#[path = "cli/secret.rs"]
mod secret;
#[path = "cli/secret_check.rs"]
mod secret_check;

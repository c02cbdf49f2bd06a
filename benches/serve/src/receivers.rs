//! The receivers that are compared, each with one worker thread. Their handlers read the whole body and answer its size.

mod actix;
mod axum;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::thread;

use hookwarden::warden::{Quotas, Replay};
use hookwarden::{Keyring, Quota, Scheme, Warden};

use crate::deliveries::{SECRET, WEBHOOK_ID};
use crate::kinds::Kind;

/// Serves as a receiver of this kind, until the process that started it has gone.
pub(crate) fn run(kind: Kind, replay_capacity: usize) -> Result<(), Box<dyn Error>> {
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    match kind {
        Kind::AxumPlain => axum::plain()?,
        Kind::AxumGuarded => axum::guarded(warden(replay_capacity)?)?,
        Kind::AxumStandardWebhooks => axum::standard_webhooks()?,
        Kind::ActixPlain => actix::plain()?,
        Kind::ActixGuarded => actix::guarded(warden(replay_capacity)?)?,
        Kind::Python => return Err("the Python receiver is a program of its own".into()),
    }
    Ok(())
}

/// With everything that a Warden does by default; only its quota and its memory are sized for the run.
fn warden(replay_capacity: usize) -> Result<Warden, hookwarden::ConfigError> {
    let scheme = Scheme::timestamped();
    let keys = Keyring::new(scheme.secret(SECRET)?);
    Warden::builder(scheme)
        .sender(WEBHOOK_ID, keys)
        .quotas(Quotas::new().accepted(Quota::per_minute(60_000_000)?))
        .replay(Replay::new().capacity(replay_capacity))
        .build()
}

/// Tells the process that started this one where to find it.
fn announce(port: u16) -> io::Result<()> {
    println!("{port}");
    io::stdout().flush()
}

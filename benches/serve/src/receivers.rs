//! The receivers that are compared, each with one worker thread. Their handlers read the whole body and answer with its
//! size.

mod actix;
mod axum;

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::thread;

use hookwarden::warden::{Quotas, Replay};
use hookwarden::{Keyring, Quota, Scheme, Warden};

use crate::deliveries::{SECRET, WEBHOOK_ID};
use crate::kinds::Kind;

/// Runs a receiver of this kind until its standard input ends.
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
        Kind::Python => return Err("the Python receiver is a separate program".into()),
    }
    Ok(())
}

/// Creates a Warden with the defaults, except that its quota and its replay store are sized for the run.
fn warden(replay_capacity: usize) -> Result<Warden, hookwarden::ConfigError> {
    let scheme = Scheme::timestamped();
    let keys = Keyring::new(scheme.secret(SECRET)?);
    Warden::builder(scheme)
        .sender(WEBHOOK_ID, keys)
        .quotas(Quotas::new().accepted(Quota::per_minute(60_000_000)?))
        .replay(Replay::new().capacity(replay_capacity))
        .build()
}

/// Prints the port for the process that started this one.
fn announce(port: u16) -> io::Result<()> {
    println!("{port}");
    io::stdout().flush()
}

//! Why a call failed.

use std::time::Duration;

use hookwarden::error::StoreError;
use sqlx::Error;

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    /// The database may be away.
    pub(crate) suspect: bool,
    /// The database aborted the call because of others, so it can be repeated.
    pub(crate) repeats: bool,
    /// Another transaction holds a lock for longer than the call may wait.
    pub(crate) is_locked: bool,
}

impl Failure {
    /// Describes an error without the client's text, which may quote values or an address.
    pub(crate) fn new(error: &Error) -> Self {
        let failure =
            |text: String| Self { error: StoreError::new(text), suspect: false, repeats: false, is_locked: false };
        match error {
            Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                let hint = match &*code {
                    _ if error.message().starts_with("no such table") => MIGRATE,
                    "42883" | "42P01" | "3F000" => MIGRATE,
                    LOCKED => ": another transaction locks the delivery or its quota",
                    _ => "",
                };
                Self {
                    suspect: AWAY.iter().any(|class| code.starts_with(class)),
                    repeats: ABORTED.contains(&&*code),
                    is_locked: code == LOCKED,
                    ..failure(format!("the database refused with {code}{hint}"))
                }
            }
            Error::PoolTimedOut => {
                Self { suspect: true, ..failure("the pool returned no connection within its acquire_timeout".into()) }
            }
            Error::PoolClosed => failure("the pool is closed".into()),
            Error::Io(error) => {
                Self { suspect: true, ..failure(format!("the connection to the database failed: {}", error.kind())) }
            }
            Error::Tls(_) => Self { suspect: true, ..failure("TLS with the database failed".into()) },
            Error::WorkerCrashed => Self { suspect: true, ..failure("the database's thread has ended".into()) },
            Error::Protocol(_) => Self { suspect: true, ..failure("unexpected answer of the database".into()) },
            _ => failure("the database client failed".into()),
        }
    }

    pub(crate) fn no_connection(waited: Duration) -> Self {
        let error = StoreError::new(format!("no connection to the database within {waited:?}"));
        Self { error, suspect: true, repeats: false, is_locked: false }
    }

    pub(crate) fn no_answer(waited: Duration) -> Self {
        let error = StoreError::new(format!("the database did not answer within {waited:?}"));
        Self { error, suspect: true, repeats: false, is_locked: false }
    }
}

/// Whether a server that answers refused the connection.
pub(crate) fn is_answer(error: &Error) -> bool {
    let is_away = |code: &str| ["08", "57P", "25006"].iter().any(|class| code.starts_with(class));
    matches!(error, Error::Database(error) if !is_away(&error.code().unwrap_or_default()))
}

/// PostgreSQL: connection exceptions, too many connections, shutdown or recovery, and a server that became a standby:
/// the next connection may lead to the new primary.
const AWAY: [&str; 4] = ["08", "53300", "57P", "25006"];

/// PostgreSQL: serialization failure, deadlock. SQLite: busy or locked, also because of a snapshot or a recovery.
const ABORTED: [&str; 7] = ["40001", "40P01", "5", "6", "261", "262", "517"];

/// PostgreSQL: a lock was not granted in time.
const LOCKED: &str = "55P03";

const MIGRATE: &str = ": run the store's migrations first";

//! The calls of a store to its database.

use std::time::Duration;

use hookwarden::Timestamp;
use hookwarden::error::StoreError;
use hookwarden::replay::{Claimant, Delivery};
use hookwarden::warden::TakenClaim;

use crate::names::{Key, id_row_key, label, row_key};

/// One call. Each is atomic.
#[derive(Debug, Clone, Copy)]
pub enum Call<'c> {
    Admit(Admit<'c>),
    Commit(&'c Commit),
    Release(&'c [(Key, Key)]),
    Forget(Key),
    Sweep,
}

/// Claims a delivery if it has keys, and counts its request if it has a quota.
#[derive(Debug, Clone, Copy)]
pub struct Admit<'c> {
    pub(crate) label: &'c str,
    /// In ascending order, so that two requests never wait for each other.
    pub(crate) keys: &'c [Key],
    pub(crate) by: Key,
    /// In microseconds, like all times here.
    pub(crate) lease: i64,
    pub(crate) quota: Option<CountedQuota>,
    /// The time of the database's clock after which nothing must be claimed; 0 if it is unknown.
    #[cfg_attr(
        all(feature = "sqlite", not(feature = "postgres")),
        expect(dead_code, reason = "on SQLite a caller that stops waiting cancels its claim")
    )]
    pub(crate) deadline: i64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct CountedQuota {
    pub(crate) key: Key,
    pub(crate) burst: i64,
    pub(crate) period: i64,
}

/// Finishes a delivery.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Whether each row must still have this claimant, even if its lease has ended. Free rows are not enough for a
    /// transaction: another request may have finished the delivery, and its rows may have expired since.
    pub(crate) must_hold: bool,
    pub(crate) label: String,
    pub(crate) keys: Vec<Key>,
    /// How long each key is remembered.
    pub(crate) lifetimes: Vec<i64>,
    pub(crate) by: Key,
}

/// The answer to a call.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Admitted(Admitted),
    Committed(Committed),
    /// How many rows were changed.
    Rows(u64),
}

#[derive(Debug, Clone, Copy)]
pub struct Admitted {
    pub(crate) outcome: i32,
    pub(crate) wait: i64,
    pub(crate) ahead: i64,
    /// The database's clock.
    pub(crate) clock: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    Done,
    AlreadyFinished,
    ClaimedByAnother,
}

impl Commit {
    /// Finishes `delivery` as of the time `wall`, after its handler succeeded.
    pub(crate) fn new(delivery: &Delivery<'_>, by: Claimant, wall: Timestamp) -> Self {
        let (keys, lifetimes) = rows(delivery).into_iter().map(|(key, until)| (key, lifetime(until, wall))).unzip();
        Self { must_hold: false, label: label(delivery.webhook_id), keys, lifetimes, by: number(by) }
    }

    /// Finishes the delivery of a claim together with its work.
    pub(crate) fn with_work(claim: &TakenClaim<'_>) -> Self {
        Self { must_hold: true, ..Self::new(&claim.delivery, claim.claimant, claim.claimed_at.wall) }
    }
}

/// Returns the keys of a delivery's rows, in ascending order.
pub(crate) fn sorted_keys(delivery: &Delivery<'_>) -> Vec<Key> {
    rows(delivery).into_iter().map(|(key, _)| key).collect()
}

/// Returns the key of each row of a delivery, its id's among them, in ascending order, and until when it is remembered.
fn rows(delivery: &Delivery<'_>) -> Vec<(Key, Timestamp)> {
    let Delivery { webhook_id, keys, until, id } = delivery;
    let keys = keys.iter().map(|key| (row_key(webhook_id, key), *until));
    let id = id.iter().map(|id| (id_row_key(webhook_id, &id.key), id.until));
    let mut rows: Vec<(Key, Timestamp)> = keys.chain(id).collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows.dedup_by_key(|(key, _)| *key);
    rows
}

/// # Errors
/// Returns an error if the delivery has no replay keys or more than nine.
pub(crate) fn check_keys(delivery: &Delivery<'_>) -> Result<(), StoreError> {
    if (1..=MAX_KEYS).contains(&delivery.keys.len()) {
        Ok(())
    } else {
        Err(StoreError::new("a delivery must have 1 to 9 replay keys"))
    }
}

pub(crate) const fn number(claimant: Claimant) -> Key {
    claimant.number().to_be_bytes()
}

pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).map_or(LONGEST, |micros| micros.clamp(1, LONGEST))
}

/// Returns how long a row is kept. Adds a second, because it must still exist during the second `until`.
fn lifetime(until: Timestamp, wall: Timestamp) -> i64 {
    let seconds = until.as_unix().saturating_sub(wall.as_unix()).saturating_add(1);
    seconds.saturating_mul(1_000_000).clamp(1_000_000, LONGEST)
}

pub(crate) const GRANTED: i32 = 0;
pub(crate) const FINISHED: i32 = 1;
pub(crate) const IN_PROGRESS: i32 = 2;
pub(crate) const OVER_QUOTA: i32 = 3;
pub(crate) const LATE: i32 = 4;

const MAX_KEYS: usize = 9;

/// Ten years, in microseconds.
const LONGEST: i64 = 10 * 366 * 86_400 * 1_000_000;

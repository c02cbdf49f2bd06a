//! The stores on real databases. Most tests share one PostgreSQL server on a free loopback port; SQLite uses files.
//!
//! If PostgreSQL is not installed, its tests are reported as ignored. With `HOOKWARDEN_REQUIRE_POSTGRES=1` they fail.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

mod commits;
mod contracts;
mod crashes;
mod databases;
mod example;
mod harness;
mod outages;
mod plans;
mod postgres_server;

use std::future::Future;
use std::process::ExitCode;

use libtest_mimic::Trial;

use databases::{OnPostgres, OnSqlite};
use harness::trial::{always, arguments, exclusively, in_parallel, run as block_on, without};

/// Makes each function a trial of the same name on a database, which `run` runs.
macro_rules! trials {
    ($on:ident, $run:path: $($test:path),+ $(,)?) => { [$($on(stringify!($test), $run, $test)),+] };
}

/// Makes each generic function two trials, one for each database.
macro_rules! on_both {
    ($run:path: $($test:ident::$name:ident),+ $(,)?) => {
        [$(
            on_postgres(concat!(stringify!($test), "::", stringify!($name), "::postgres"), $run, $test::$name::<OnPostgres>),
            on_sqlite(concat!(stringify!($test), "::", stringify!($name), "::sqlite"), $run, $test::$name::<OnSqlite>),
        )+]
    };
}

fn main() -> ExitCode {
    if crashes::is_receiver() {
        return crashes::receive();
    }
    let mut trials = Vec::from(on_both![in_parallel:
        commits::work_and_commit_are_kept_together,
        commits::rollback_releases_the_delivery,
        commits::status_does_not_commit_a_taken_claim,
        commits::extractor_without_layer_commits,
        commits::request_without_framework_commits,
        commits::late_handler_finds_its_claim_gone,
        commits::late_handler_commits_if_no_other_claimed,
        commits::lost_claim_fails_and_rolls_back,
        commits::delivery_finished_by_another_fails,
        commits::second_commit_in_one_transaction_fails,
        commits::failed_transaction_can_be_tried_again,
        commits::local_replay_has_no_claim_to_commit,
        commits::statement_commits_in_any_client,
        commits::signed_again_retry_is_a_duplicate,
        contracts::replay_store_keeps_the_contract,
        contracts::replay_store_matches_the_model,
        contracts::rate_limiter_keeps_the_contract,
        contracts::admit_equals_claim_and_check,
        outages::missing_tables_are_named_in_the_error,
        plans::sweep_removes_expired_rows_in_batches,
        plans::claims_remove_expired_rows_in_the_background,
    ]);
    trials.extend(trials![on_postgres, in_parallel:
        plans::every_statement_reads_by_an_index,
        plans::claim_and_quota_are_one_statement,
        outages::migration_does_not_wait_for_handlers,
        outages::call_ends_an_abandoned_transaction,
    ]);
    trials.extend(trials![on_sqlite, in_parallel:
        example::retry_that_is_signed_again_is_paid_once,
        example::bad_setting_ends_example_without_being_printed,
    ]);
    // Their load disturbs others.
    trials.extend(trials![on_postgres, exclusively:
        outages::faults_under_load_lose_and_double_nothing,
        outages::claim_that_timed_out_is_not_made_later,
        outages::release_behind_an_open_transaction_is_sent_later,
        outages::deadlocked_handlers_are_retried,
        outages::serialization_failures_are_retried,
        crashes::killed_receivers_on_postgres_pay_exactly_once,
        crashes::killed_receivers_that_commit_by_status_pay_twice,
    ]);
    trials.extend(trials![on_sqlite, exclusively: crashes::killed_receiver_on_sqlite_pays_exactly_once]);
    let exit_code = libtest_mimic::run(&arguments(), trials).exit_code();
    postgres_server::stop_shared();
    exit_code
}

fn on_postgres<F: Future<Output = ()> + 'static>(name: &str, run: fn(&dyn Fn()), test: fn() -> F) -> Trial {
    if postgres_server::is_installed() {
        always(name, move || run(&|| block_on(test())))
    } else {
        without(name, "PostgreSQL (initdb and postgres)", "HOOKWARDEN_REQUIRE_POSTGRES")
    }
}

fn on_sqlite<F: Future<Output = ()> + 'static>(name: &str, run: fn(&dyn Fn()), test: fn() -> F) -> Trial {
    always(name, move || run(&|| block_on(test())))
}

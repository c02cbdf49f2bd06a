//! The shared store on a real server, which each test starts for itself on a free loopback port.
//!
//! Without `redis-server` in `PATH` the tests are reported as ignored; with `HOOKWARDEN_REQUIRE_REDIS=1` they fail then.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic fails the test"
)]

#[path = "redis/chaos.rs"]
mod chaos;
#[path = "redis/counts.rs"]
mod counts;
#[path = "redis/endpoint.rs"]
mod endpoint;
#[path = "redis/failures.rs"]
mod failures;
#[path = "redis/processes.rs"]
mod processes;
#[path = "redis/script.rs"]
mod script;
#[path = "redis/secrets.rs"]
mod secrets;
#[path = "redis/server.rs"]
mod server;
#[path = "redis/trial.rs"]
mod trial;
#[path = "redis/troubles.rs"]
mod troubles;
#[path = "redis/wire.rs"]
mod wire;

use std::future::Future;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if processes::is_receiver() {
        return processes::receive();
    }
    // A server for each of many tests at once would measure the machine and not the store.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let trials = vec![
        trial("replay_store_keeps_the_contract", script::replay_store_keeps_the_contract),
        trial("rate_limiter_keeps_the_contract", script::rate_limiter_keeps_the_contract),
        trial("admit_claims_and_counts_as_the_two_calls_do", script::admit_claims_and_counts_as_the_two_calls_do),
        trial("every_decision_equals_governors", script::every_decision_equals_governors),
        trial("server_clock_set_back_denies_for_one_window_at_most", script::clock_set_back_denies_one_window),
        trial("accepted_request_costs_two_scripts_and_a_remembered_denial_none", counts::round_trips_are_counted),
        trial("no_key_outlives_its_use", counts::no_key_outlives_its_use),
        trial("lifetimes_by_default_are_as_documented", counts::lifetimes_by_default),
        trial("all_keys_of_a_request_are_in_one_slot", counts::keys_are_in_one_slot),
        trial("password_signature_and_webhook_id_are_nowhere", secrets::nothing_secret_is_shown),
        trial("settings_that_cannot_be_right_are_refused", secrets::settings_are_checked),
        trial("tls_by_url_reaches_the_server", secrets::tls_by_url),
        trial("limiter_falls_back_to_its_share_and_recovers", failures::limiter_falls_back),
        trial("replay_fails_closed_at_once_and_recovers", failures::replay_fails_closed),
        trial("danger_setting_remembers_in_this_process", failures::danger_remembers_here),
        trial("store_that_connects_later_serves_once_the_server_is_there", failures::connects_later),
        trial("abandoned_claim_is_given_back", failures::abandoned_claim_is_given_back),
        trial("primary_that_became_a_replica_is_left_for_the_new_one", troubles::replica_is_left),
        trial("answer_lost_with_its_connection_leaves_no_claim_behind", troubles::lost_answer),
        trial("claim_that_arrives_late_on_an_old_connection_is_not_made", troubles::late_claim),
        trial("remembered_denial_is_no_sign_of_life", troubles::denial_is_no_sign_of_life),
        trial("many_claims_to_give_back_hold_up_neither_service_nor_a_commit", troubles::many_releases),
        trial("settlement_that_the_server_refuses_keeps_nobody_out", troubles::refused_settlement),
        trial("copies_over_two_processes_are_handled_once", processes::copies_are_handled_once),
        trial("quota_over_two_processes_is_one", processes::quota_is_one),
        trial("chaos_over_a_running_load", chaos::chaos),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial<F: Future<Output = ()> + 'static>(name: &str, test: fn() -> F) -> Trial {
    trial::trial(name, true, test)
}

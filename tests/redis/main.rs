//! The shared store on a real server. Each test starts its own on a free loopback port.
//!
//! Without `redis-server` in `PATH` the tests are reported as ignored. With `HOOKWARDEN_REQUIRE_REDIS=1` they fail.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

mod apart;
mod chaos;
mod counts;
mod endpoint;
mod failures;
#[path = "../harness/mod.rs"]
mod harness;
mod load;
mod processes;
mod script;
mod secrets;
mod sentinel;
mod troubles;
mod wire;

use std::future::Future;
use std::process::ExitCode;

use libtest_mimic::Trial;

use harness::trial::{arguments, exclusively, in_parallel, run as block_on, with_redis};

/// Makes each function a trial of the same name, which `run` runs.
macro_rules! trials {
    ($run:path: $($test:path),+ $(,)?) => { [$(trial(stringify!($test), $run, $test)),+] };
}

fn main() -> ExitCode {
    if processes::is_receiver() {
        return processes::receive();
    }
    let mut trials = Vec::from(trials![in_parallel:
        script::replay_store_keeps_the_contract,
        script::replay_store_matches_the_model,
        script::rate_limiter_keeps_the_contract,
        script::admit_equals_claim_and_check,
        script::every_decision_equals_governor,
        script::server_clock_set_back_denies_one_window_only,
        counts::accepted_request_costs_two_scripts,
        counts::every_key_expires_after_its_use,
        counts::lifetimes_by_default_are_as_documented,
        counts::every_replay_choice_distinguishes_equal_bodies,
        counts::keys_of_one_request_share_a_slot,
        counts::retry_signed_again_is_known_to_every_replica,
        secrets::no_output_contains_password_signature_or_id,
        secrets::impossible_settings_are_refused,
        secrets::tls_by_url_reaches_the_server,
        apart::quotas_of_one_id_are_denied_apart,
        apart::prefixes_share_neither_quotas_nor_deliveries,
        apart::delivery_is_stored_through_its_last_second,
        sentinel::sentinels_and_servers_have_their_own_passwords,
        sentinel::replica_that_sentinel_names_is_refused,
        sentinel::tls_by_url_reaches_sentinel_and_primary,
    ]);
    // Their times are measured, or their load disturbs others.
    trials.extend(trials![exclusively:
        failures::limiter_falls_back_to_its_share_and_recovers,
        failures::replay_fails_closed_at_once_and_recovers,
        failures::danger_setting_falls_back_to_local_replay,
        failures::late_connecting_store_serves_once_server_runs,
        failures::abandoned_claim_is_released,
        troubles::store_leaves_a_demoted_primary,
        troubles::lost_answer_leaves_no_claim_behind,
        troubles::late_claim_on_old_connection_is_ignored,
        troubles::cached_denial_does_not_report_recovery,
        troubles::many_pending_releases_delay_no_request,
        troubles::refused_settlement_blocks_no_later_delivery,
        processes::copies_over_two_processes_are_handled_once,
        processes::quota_over_two_processes_is_one,
        chaos::chaos_over_a_running_load,
        sentinel::failover_under_load_handles_deliveries_once,
        sentinel::planned_failover_leaves_the_old_primary,
        sentinel::isolated_sentinel_does_not_lead_back,
        sentinel::stopped_sentinel_delays_no_first_request,
        apart::commit_while_down_is_sent_later,
    ]);
    libtest_mimic::run(&arguments(), trials).exit_code()
}

fn trial<F: Future<Output = ()> + 'static>(name: &str, run: fn(&dyn Fn()), test: fn() -> F) -> Trial {
    with_redis(name, move || run(&|| block_on(test())))
}

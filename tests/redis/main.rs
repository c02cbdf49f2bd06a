//! The shared store on a real server. Each test starts its own on a free loopback port.
//!
//! Without `redis-server` or `valkey-server` in `PATH` the tests are reported as ignored. With
//! `HOOKWARDEN_REQUIRE_REDIS=1` they fail. All tests run on the first server that is found. Those that show how a server
//! treats the store's commands also run on the others, including those in `HOOKWARDEN_REDIS_SERVERS` (paths separated by
//! `:`). `tests/redis/install` installs some, and the argument `'[on '` selects only the tests that run on others.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

mod apart;
mod chaos;
mod cluster;
mod counts;
mod endpoint;
mod failures;
#[path = "../harness/mod.rs"]
mod harness;
mod isolated;
mod load;
mod loss;
mod processes;
mod script;
mod secrets;
mod sentinel;
mod troubles;
mod wire;

use std::future::Future;
use std::process::ExitCode;

use libtest_mimic::Trial;

use harness::redis_program::Program;
use harness::redis_program::with_redis;
use harness::trial::{arguments, exclusively, in_parallel, run as block_on};

/// Makes each function a trial of the same name, which `run` runs on a server program.
macro_rules! trials {
    ($program:expr, $run:path: $($test:path),+ $(,)?) => { [$(trial($program, stringify!($test), $run, $test)),+] };
}

fn main() -> ExitCode {
    if processes::is_receiver() {
        return processes::receive();
    }
    let mut trials = Vec::from(trials![None, in_parallel:
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
        cluster::store_keeps_both_contracts_on_a_cluster,
        cluster::accepted_request_costs_two_scripts_on_a_cluster,
        cluster::password_is_sent_to_every_node,
        cluster::user_with_few_permissions_suffices,
        cluster::url_of_the_wrong_kind_is_explained,
        cluster::redirects::moved_slot_is_followed_at_once,
        cluster::redirects::slot_between_two_nodes_answers_from_both,
        cluster::redirects::request_waits_while_its_keys_move,
        cluster::shards::refused_write_names_its_shard,
        secrets::cluster_by_tls_url_verifies_every_node,
        secrets::cluster_behind_one_name_needs_no_addresses,
        sentinel::sentinels_and_servers_have_their_own_passwords,
        sentinel::replica_that_sentinel_names_is_refused,
        sentinel::tls_by_url_reaches_sentinel_and_primary,
    ]);
    // Their times are measured, or their load disturbs others.
    trials.extend(trials![None, exclusively:
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
        sentinel::stopped_primary_does_not_hold_the_store,
        sentinel::isolated_sentinel_does_not_lead_back,
        sentinel::stopped_sentinel_delays_no_first_request,
        isolated::isolated_primary_is_left_when_replaced,
        isolated::isolated_primary_without_replicas_refuses_writes,
        apart::commit_while_down_is_sent_later,
        processes::copies_on_a_cluster_are_handled_once,
        processes::quota_on_a_cluster_is_one,
        cluster::dead_seed_does_not_prevent_connecting,
        cluster::stopped_seed_delays_no_first_request,
        cluster::slow_first_connection_is_kept,
        cluster::late_connecting_store_serves_once_cluster_runs,
        cluster::pending::promoted_replica_gets_pending_commits_first,
        cluster::pending::pending_commits_move_with_their_slot,
        cluster::pending::commits_in_a_circle_block_only_their_slot,
        cluster::redirects::endless_redirection_ends_with_its_request,
        cluster::redirects::split_keys_refuse_only_their_own_requests,
        cluster::redirects::slots_of_a_removed_node_are_found_again,
        cluster::shards::dead_shard_refuses_only_its_own_ids,
        cluster::shards::dead_shard_falls_back_to_its_share,
        cluster::shards::cluster_that_is_down_refuses_and_recovers,
        cluster::changes::changes_under_load_duplicate_nothing,
        cluster::changes::claim_at_a_replaced_primary_is_repeated,
        cluster::changes::delivery_that_was_not_replicated_runs_twice,
    ]);
    for program in Program::found() {
        eprintln!("{}: {}", program.version, program.path.display());
    }
    // The other servers must run the scripts in the same way, and redirect and promote in the same way.
    for program in Program::found().iter().skip(1) {
        trials.extend(contract(program).into_iter().map(|trial| trial.with_kind(format!("on {}", program.version))));
    }
    libtest_mimic::run(&arguments(), trials).exit_code()
}

/// Returns the trials that show what a server does with the store's commands.
fn contract(program: &'static Program) -> Vec<Trial> {
    let mut trials = Vec::from(trials![Some(program), in_parallel:
        script::admit_equals_claim_and_check,
        counts::accepted_request_costs_two_scripts,
        cluster::store_keeps_both_contracts_on_a_cluster,
        cluster::redirects::moved_slot_is_followed_at_once,
        cluster::redirects::slot_between_two_nodes_answers_from_both,
        cluster::redirects::request_waits_while_its_keys_move,
    ]);
    trials.extend(trials![Some(program), exclusively:
        cluster::changes::delivery_that_was_not_replicated_runs_twice,
        sentinel::planned_failover_leaves_the_old_primary,
    ]);
    trials
}

fn trial<F: Future<Output = ()> + 'static>(
    program: Option<&'static Program>,
    name: &str,
    run: fn(&dyn Fn()),
    test: fn() -> F,
) -> Trial {
    let test = move || run(&|| block_on(test()));
    with_redis(name, move || match program {
        Some(program) => program.using(test),
        None => test(),
    })
}

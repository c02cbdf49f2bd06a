//! The example receivers and receivers under attack, each in its own process.
//!
//! Without `redis-server` or `valkey-server` in `PATH` the tests that need one are reported as ignored, and likewise those
//! that need the interpreter of a sender. With `HOOKWARDEN_REQUIRE_REDIS=1` and `HOOKWARDEN_REQUIRE_SENDERS=1` they fail instead.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that overflows or panics has failed"
)]

mod attacks;
#[path = "../harness/mod.rs"]
mod harness;
mod load;
mod monitoring;
mod programs;
mod senders;

use std::process::ExitCode;

use libtest_mimic::Trial;

use attacks::receiver::{Settings, serve};
use harness::trial::{self, arguments, run};

/// Makes each function a trial of the same name that may run in parallel with others.
macro_rules! beside {
    ($(async $test:path),+ $(,)?) => { [$(beside(stringify!($test), || run($test()))),+] };
    ($($test:path),+ $(,)?) => { [$(beside(stringify!($test), $test)),+] };
}

fn main() -> ExitCode {
    if let Some(settings) = Settings::of_this_process() {
        serve(&settings);
        return ExitCode::SUCCESS;
    }
    let mut trials = Vec::from(beside![
        programs::receiver_without_secrets_prints_how_to_generate,
        programs::bad_setting_ends_receiver_without_being_printed,
        monitoring::misspelt_names_are_found,
        monitoring::every_alert_has_a_runbook_and_test,
        monitoring::dashboard_panels_are_consistent,
    ]);
    trials.extend(beside![
        async attacks::soak::honest_deliveries_survive_hostile_ones_exactly_once,
        async programs::accepted_request_is_answered_with_its_content,
        async programs::failing_handler_runs_again_for_the_retry,
        async programs::older_secret_of_a_sender_verifies,
        async programs::metrics_count_every_request,
        async programs::settings_take_effect,
        async programs::plain_http_is_refused_unless_proxy_reports_https,
        async programs::termination_lets_the_request_in_flight_finish,
        async programs::work_of_departed_sender_runs_once,
        async programs::termination_waits_for_detached_handlers_within_its_limit,
        async programs::log_has_every_request_and_no_secret,
        async load::most_simultaneous_forgeries_are_not_verified,
        async load::large_bodies_take_bounded_memory,
        async load::large_http2_bodies_take_bounded_memory,
        async load::fresh_deliveries_pass_behind_a_stale_backlog,
        async monitoring::rules_and_dashboard_match_the_exported_metrics,
    ]);
    trials.extend(senders::trials());
    trials.extend(attacks::trials());
    libtest_mimic::run(&arguments(), trials).exit_code()
}

/// Creates a trial that may run in parallel with others.
fn beside(name: &str, test: impl Fn() + Send + 'static) -> Trial {
    trial::always(name, move || trial::in_parallel(&test))
}

//! Attacks on receivers in processes of their own, on axum's server and on actix-web's: bounded in count and time, over
//! raw sockets on the loopback, with the receiver's memory and open files watched.
//!
//! Without `redis-server` in `PATH` what needs one is reported as ignored; with `HOOKWARDEN_REQUIRE_REDIS=1` it fails then.
//! `HOOKWARDEN_SOAK_SECONDS` and `HOOKWARDEN_SOAK_TOLERANCE` make the soak a longer one.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic fails the test"
)]

#[path = "attacks/bodies.rs"]
mod bodies;
#[path = "attacks/copies.rs"]
mod copies;
#[path = "attacks/floods.rs"]
mod floods;
#[path = "attacks/frames.rs"]
mod frames;
#[path = "attacks/heads.rs"]
mod heads;
#[path = "attacks/operation.rs"]
mod operation;
#[path = "attacks/outages.rs"]
mod outages;
#[path = "attacks/process.rs"]
mod process;
#[path = "attacks/receiver.rs"]
mod receiver;
#[path = "attacks/said.rs"]
mod said;
#[path = "redis/server.rs"]
#[expect(dead_code, reason = "the tests of the shared store use more of it")]
mod server;
#[path = "attacks/soak.rs"]
mod soak;
#[path = "redis/trial.rs"]
mod trial;
mod util;

use std::process::ExitCode;
use std::time::Instant;

use libtest_mimic::Arguments;
use tokio::net::TcpStream;

use process::Receiver;
use receiver::{Framework, Settings};
use trial::trial;
use util::PATIENCE;
use util::sender::Post;

fn main() -> ExitCode {
    if let Some(settings) = Settings::of_this_process() {
        receiver::serve(&settings);
        return ExitCode::SUCCESS;
    }
    let trials = vec![
        trial(
            "receivers::receiver_serves_in_a_process_of_its_own_and_dies_with_its_test",
            false,
            receiver_lives_as_long,
        ),
        trial(
            "bodies::ten_gigabytes_are_refused_before_a_byte_of_them",
            false,
            bodies::ten_gigabytes_are_refused_before_a_byte_of_them,
        ),
        trial(
            "bodies::nobody_is_told_to_continue_behind_a_bad_head",
            false,
            bodies::nobody_is_told_to_continue_behind_a_bad_head,
        ),
        trial("bodies::chunks_over_the_cap_are_refused", false, bodies::chunks_over_the_cap_are_refused),
        trial(
            "bodies::body_that_stalls_or_drips_is_cut_off_at_the_deadline",
            false,
            bodies::body_that_stalls_or_drips_is_cut_off_at_the_deadline,
        ),
        trial(
            "bodies::endless_chunk_size_line_is_cut_off_at_the_deadline",
            false,
            bodies::endless_chunk_size_line_is_cut_off_at_the_deadline,
        ),
        trial("bodies::signature_in_the_trailers_is_none", false, bodies::signature_in_the_trailers_is_none),
        trial(
            "bodies::request_behind_a_refused_one_is_answered_rightly_or_not_at_all",
            false,
            bodies::request_behind_a_refused_one_is_answered_rightly_or_not_at_all,
        ),
        trial(
            "copies::thousand_copies_are_handled_once_by_one_process",
            false,
            copies::thousand_copies_are_handled_once_by_one_process,
        ),
        trial(
            "copies::thousand_copies_are_handled_once_by_two_processes_that_share_a_redis",
            true,
            copies::thousand_copies_are_handled_once_by_two_processes_that_share_a_redis,
        ),
        trial(
            "copies::copy_with_another_of_its_signatures_is_handled_by_nobody",
            false,
            copies::copy_with_another_of_its_signatures_is_handled_by_nobody,
        ),
        trial(
            "floods::delivery_in_frames_of_the_floods_is_handled",
            false,
            floods::delivery_in_frames_of_the_floods_is_handled,
        ),
        trial(
            "floods::flood_of_streams_that_are_reset_at_once_ends_the_connection",
            false,
            floods::flood_of_streams_that_are_reset_at_once_ends_the_connection,
        ),
        trial(
            "floods::flood_of_empty_and_tiny_frames_ends_the_connection",
            false,
            floods::flood_of_empty_and_tiny_frames_ends_the_connection,
        ),
        trial(
            "floods::head_without_an_end_ends_the_connection",
            false,
            floods::head_without_an_end_ends_the_connection,
        ),
        trial(
            "floods::flood_of_pings_keeps_nobody_else_waiting",
            false,
            floods::flood_of_pings_keeps_nobody_else_waiting,
        ),
        trial(
            "floods::streams_with_stalled_bodies_are_all_cut_off_at_the_deadline",
            false,
            floods::streams_with_stalled_bodies_are_all_cut_off_at_the_deadline,
        ),
        trial(
            "heads::any_flipped_bit_of_body_timestamp_or_signature_is_refused",
            false,
            heads::any_flipped_bit_of_body_timestamp_or_signature_is_refused,
        ),
        trial(
            "heads::head_that_is_stale_early_doubled_or_incomplete_is_refused",
            false,
            heads::head_that_is_stale_early_doubled_or_incomplete_is_refused,
        ),
        trial(
            "heads::unknown_id_is_answered_as_a_wrong_signature_is",
            false,
            heads::unknown_id_is_answered_as_a_wrong_signature_is,
        ),
        trial(
            "heads::thousands_of_candidates_are_refused_in_the_time_that_their_header_takes",
            false,
            heads::thousands_of_candidates_are_refused_in_the_time_that_their_header_takes,
        ),
        trial(
            "operation::keys_that_turn_over_under_load_refuse_no_good_delivery",
            false,
            operation::keys_that_turn_over_under_load_refuse_no_good_delivery,
        ),
        trial(
            "operation::wall_clock_that_is_set_moves_freshness_and_no_quota",
            false,
            operation::wall_clock_that_is_set_moves_freshness_and_no_quota,
        ),
        trial(
            "operation::delivery_whose_handler_failed_is_handled_by_the_retry",
            false,
            operation::delivery_whose_handler_failed_is_handled_by_the_retry,
        ),
        trial(
            "operation::delivery_whose_sender_left_is_handled_once_by_then_or_by_the_retry",
            false,
            operation::delivery_whose_sender_left_is_handled_once_by_then_or_by_the_retry,
        ),
        trial(
            "outages::troubles_of_a_shared_redis_double_nothing_and_are_over_at_once",
            true,
            outages::troubles_of_a_shared_redis_double_nothing_and_are_over_at_once,
        ),
        trial(
            "said::no_secret_and_no_mac_is_in_an_answer_a_log_or_a_metric",
            false,
            said::no_secret_and_no_mac_is_in_an_answer_a_log_or_a_metric,
        ),
        trial(
            "soak::honest_deliveries_beside_hostile_ones_are_neither_lost_nor_doubled",
            false,
            soak::honest_deliveries_beside_hostile_ones_are_neither_lost_nor_doubled,
        ),
    ];
    // What one flood does to the machine must not be laid to another's receiver.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, trials).exit_code()
}

async fn receiver_lives_as_long() {
    for framework in Framework::ALL {
        let receiver = Receiver::start(&Settings::of(framework)).await;
        assert_ne!(receiver.id(), std::process::id());
        assert_eq!(receiver.status(&Post::signed("one")).await, 200);
        assert_eq!(receiver.ran().await.get("200 one"), Some(&1));
        let address = receiver.address();
        drop(receiver);
        let began = Instant::now();
        while TcpStream::connect(address).await.is_ok() {
            assert!(began.elapsed() < PATIENCE, "{framework:?} outlives its test");
        }
    }
}

//! Attacks on receivers in their own processes, on axum's server and on actix-web's: bounded in count and time, over raw
//! sockets on the loopback. The tests watch the receiver's memory and open files.
//!
//! `HOOKWARDEN_SOAK_SECONDS` and `HOOKWARDEN_SOAK_TOLERANCE` set the length of the soak.

mod bodies;
mod copies;
mod floods;
mod frames;
mod heads;
mod leaks;
mod operation;
mod outages;
mod process;
pub(super) mod receiver;
pub(super) mod soak;
mod work;

use std::future::Future;
use std::time::Instant;

use libtest_mimic::Trial;
use tokio::net::TcpStream;

use crate::harness::PATIENCE;
use crate::harness::redis_program::with_redis;
use crate::harness::sender::Post;
use crate::harness::trial::{always, exclusively, in_parallel, run as block_on};
use process::Receiver;
use receiver::{Framework, Settings};

/// Makes each function a trial of the same name, which runs as `$run` says.
macro_rules! trials {
    ($needs_redis:literal, $run:path: $($test:path),+ $(,)?) => {
        [$(trial(concat!("attacks::", stringify!($test)), $needs_redis, $run, $test)),+]
    };
}

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = Vec::from(trials![false, in_parallel:
        receiver_process_serves_and_ends_with_its_test,
        bodies::ten_gigabytes_are_refused_before_first_byte,
        bodies::continue_is_never_sent_for_bad_heads,
        bodies::chunks_over_the_limit_are_refused,
        bodies::stalled_or_slow_body_ends_at_the_deadline,
        bodies::endless_chunk_size_line_ends_at_the_deadline,
        bodies::signature_in_trailers_is_ignored,
        bodies::request_hidden_in_refused_body_is_never_handled,
        copies::thousand_copies_are_handled_once,
        copies::copy_with_another_valid_signature_is_a_duplicate,
        heads::any_flipped_bit_is_refused,
        heads::stale_early_duplicate_or_incomplete_head_is_refused,
        heads::unknown_id_is_answered_like_wrong_signature,
        operation::key_rotation_under_load_refuses_no_delivery,
        operation::wall_clock_step_moves_freshness_not_quotas,
        operation::failed_delivery_is_handled_on_retry,
        operation::delivery_of_departed_sender_is_settled_once,
        leaks::no_output_contains_a_secret_or_mac,
    ]);
    // Their times or their memory are measured, or their load disturbs others.
    trials.extend(trials![false, exclusively:
        floods::delivery_in_flood_frames_is_handled,
        floods::flood_of_reset_streams_ends_the_connection,
        floods::flood_of_tiny_frames_ends_the_connection,
        floods::head_without_an_end_ends_the_connection,
        floods::flood_of_pings_delays_no_other_client,
        floods::all_stalled_streams_end_at_the_deadline,
        heads::thousands_of_candidates_are_refused_quickly,
        operation::stalled_forgeries_take_no_handler_permit,
        work::simultaneous_forgeries_are_limited,
        work::unverified_bodies_stay_within_their_budget,
    ]);
    trials.extend(trials![true, exclusively:
        copies::thousand_copies_are_handled_once_over_shared_redis,
        outages::redis_outages_duplicate_nothing_and_recovery_is_immediate,
    ]);
    trials
}

fn trial<F: Future<Output = ()> + 'static>(
    name: &str,
    needs_redis: bool,
    run: fn(&dyn Fn()),
    test: fn() -> F,
) -> Trial {
    let test = move || run(&|| block_on(test()));
    if needs_redis { with_redis(name, test) } else { always(name, test) }
}

async fn receiver_process_serves_and_ends_with_its_test() {
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

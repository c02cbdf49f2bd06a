//! The order of the runs: in each round every receiver gets the same deliveries in its turn, so that other load on the
//! machine affects a plain receiver and its guarded one alike.

use std::env;
use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::deliveries::{Batch, Sender};
use crate::hash::hmac_time;
use crate::kinds::{Kind, Size};
use crate::load::{CONNECTIONS, Load};
use crate::process::{self, Receiver};
use crate::python;
use crate::table::{Results, Run};

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) pairs: u32,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) sizes: Vec<Size>,
}

/// Measures everything, in one warm-up round and `pairs` rounds that count.
pub(crate) fn measure(settings: &Settings) -> Result<Results, Box<dyn Error>> {
    let pinned = process::cores() > 1;
    println!(
        "{} pairs, {CONNECTIONS} connections, one worker thread for each receiver; {}",
        settings.pairs,
        if pinned { "receivers on core 0, load generator on core 1" } else { "one core for all" }
    );
    let mut results = Results::default();
    let mut receivers = Vec::new();
    for &kind in &settings.kinds {
        match command(kind, settings.pairs) {
            Ok(command) => receivers.push((kind, Receiver::start(command)?)),
            Err(reason) => results.skip(kind, reason),
        }
    }
    process::pin_generator()?;
    let mut timestamped = Sender::timestamped();
    let mut standard = Sender::standard_webhooks();
    for &size in &settings.sizes {
        for round in 0..=settings.pairs {
            let standard_batch = Arc::new(standard.batch(size.slow_requests(), size.bytes()));
            let batch = Arc::new(timestamped.batch(size.requests(), size.bytes()));
            let mut runs = Vec::new();
            for (kind, receiver) in &receivers {
                let batch = if *kind == Kind::AxumStandardWebhooks { &standard_batch } else { &batch };
                let run = turn(*kind, receiver, batch, size).map_err(|error| format!("{}: {error}", kind.name()))?;
                runs.push((*kind, run));
            }
            if round > 0 {
                results.add(size, runs, hmac_time(size.bytes()));
            }
        }
    }
    Ok(results)
}

fn turn(kind: Kind, receiver: &Receiver, batch: &Arc<Batch>, size: Size) -> Result<Run, Box<dyn Error>> {
    let slow = matches!(kind, Kind::AxumStandardWebhooks | Kind::Python);
    let count = if slow { size.slow_requests() } else { size.requests() };
    let load = Load::connect(receiver.address)?;
    thread::sleep(SETTLING);
    let before = receiver.cpu_time()?;
    let measured = load.run(batch, count)?;
    thread::sleep(SETTLING);
    let cpu = receiver.cpu_time()?.saturating_sub(before);
    let requests = u32::try_from(count)?;
    Ok(Run { requests, elapsed: measured.elapsed, p50: measured.p50, p99: measured.p99, cpu })
}

fn command(kind: Kind, pairs: u32) -> Result<Command, String> {
    if kind == Kind::Python {
        return python::receiver();
    }
    // Twice the number of deliveries in the run.
    let each_round: usize = Size::ALL.iter().map(|size| size.requests()).sum();
    let rounds = usize::try_from(pairs).map_err(|error| error.to_string())? + 1;
    let capacity = each_round * rounds * 2;
    let mut command = Command::new(env::current_exe().map_err(|error| error.to_string())?);
    command.args(["receive", kind.name(), &capacity.to_string()]);
    Ok(command)
}

/// The time for a receiver to become idle: the kernel updates a thread's CPU time when the thread leaves its core.
const SETTLING: Duration = Duration::from_millis(5);

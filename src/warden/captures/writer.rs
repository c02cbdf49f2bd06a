//! The thread that keeps captures, so that no request waits for the disk or for the choice of what is deleted.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::name::CaptureName;
use crate::error::ConfigError;
use crate::event::Warning;
use crate::time::Timestamp;
use crate::warden::monitor::Monitor;

/// Where the thread keeps captures.
pub(super) trait Place: Send + 'static {
    /// Makes room for a capture, and keeps it.
    fn keep(&self, name: CaptureName, message: Vec<u8>, now: Timestamp) -> io::Result<()>;

    /// Deletes what is too old or too much.
    fn sweep(&self, now: Timestamp) -> io::Result<()>;
}

/// Passes captures to the thread that keeps them. The thread ends after this value is dropped.
pub(super) struct Writer {
    queue: SyncSender<Job>,
    monitor: Arc<Monitor>,
}

enum Job {
    Keep(CaptureName, Vec<u8>),
    /// Answers when all captures before it are kept.
    Flush(SyncSender<()>),
}

impl Writer {
    pub(super) fn start(place: impl Place, monitor: &Arc<Monitor>) -> Result<Self, ConfigError> {
        let (queue, jobs) = sync_channel(MAX_WAITING);
        let of_thread = Arc::clone(monitor);
        let run = move || run(&place, &jobs, &of_thread);
        thread::Builder::new().name("hookwarden-captures".to_owned()).spawn(run).map_err(|error| {
            ConfigError::new("captures", format!("must be able to start a thread that keeps the captures: {error}"))
        })?;
        Ok(Self { queue, monitor: Arc::clone(monitor) })
    }

    /// Returns `false` and warns if too many captures wait, or if the thread has ended.
    pub(super) fn send(&self, name: CaptureName, message: Vec<u8>) -> bool {
        let is_sent = self.queue.try_send(Job::Keep(name, message)).is_ok();
        if !is_sent {
            self.monitor.warn(Warning::CaptureFailed);
        }
        is_sent
    }

    /// Waits until all captures that were sent before are kept.
    pub(super) fn flush(&self) {
        let (done, is_done) = sync_channel(1);
        if self.queue.send(Job::Flush(done)).is_ok() {
            // An error means that the thread has ended.
            let _ = is_done.recv();
        }
    }
}

fn run(place: &impl Place, jobs: &Receiver<Job>, monitor: &Monitor) {
    loop {
        let now = || monitor.clock.now().wall;
        let done = match jobs.recv_timeout(SWEEP) {
            Ok(Job::Keep(name, message)) => place.keep(name, message, now()),
            Ok(Job::Flush(done)) => {
                // The caller waits for it.
                let _ = done.send(());
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => place.sweep(now()),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if done.is_err() {
            monitor.warn(Warning::CaptureFailed);
        }
    }
}

/// How many captures wait at most.
const MAX_WAITING: usize = 16;

/// How often captures are checked for their age while no request is captured.
const SWEEP: Duration = Duration::from_secs(60);

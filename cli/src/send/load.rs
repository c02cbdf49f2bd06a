//! A run: starts each request when it is due, with limited concurrency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::{Answer, Trouble};
use super::tally::{Ending, Sent, Tally};
use super::template::Template;
use crate::client::Client;
use crate::failure::Failure;

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) repeat: u32,
    pub(super) concurrency: u16,
    /// Requests per second.
    pub(super) rate: Option<f64>,
    /// The limit for one request.
    pub(super) timeout: Duration,
    /// The time in which requests are started.
    pub(super) duration: Duration,
}

impl Plan {
    /// The time from the start at which this request is due. Without a rate it is due as soon as a worker is free.
    fn due(&self, index: u32) -> Option<Duration> {
        self.rate.map(|rate| Duration::try_from_secs_f64(f64::from(index) / rate).unwrap_or(Duration::MAX))
    }

    /// The number of requests that were due within `elapsed`.
    fn due_within(&self, elapsed: Duration) -> u32 {
        // Due times increase with the index.
        let within = |index| self.due(index).is_some_and(|due| due < elapsed);
        let (mut low, mut high) = (0, self.repeat);
        while low < high {
            let middle = low.midpoint(high);
            if within(middle) { low = middle.saturating_add(1) } else { high = middle }
        }
        low
    }
}

/// A finished request.
pub(super) struct Delivery {
    /// From the time it was due to its end.
    pub(super) latency: Duration,
    /// The size of the request body in bytes.
    pub(super) size: usize,
    pub(super) answer: Result<Answer, Trouble>,
}

/// Sends until all requests are sent, the time is over, or an interrupt arrives.
pub(super) async fn run(
    plan: &Plan,
    client: Client,
    template: Template,
    progress: &ProgressBar,
) -> Result<Sent, Failure> {
    let (report, mut reports) = mpsc::channel(usize::from(plan.concurrency));
    let start = Instant::now();
    let run = Arc::new(Run { plan: *plan, client, template, start, next: AtomicU32::new(0), begun: AtomicU32::new(0) });
    let mut workers = JoinSet::new();
    for _ in 0..u32::from(plan.concurrency).min(plan.repeat) {
        workers.spawn(Arc::clone(&run).work(report.clone()));
    }
    drop(report);

    let mut tally = Tally::new()?;
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    let mut interrupted = false;
    loop {
        tokio::select! {
            delivery = reports.recv() => match delivery {
                Some(delivery) => {
                    progress.inc(1);
                    tally.add(delivery?);
                }
                None => break,
            },
            _ = &mut interrupt, if !interrupted => {
                interrupted = true;
                workers.shutdown().await;
            }
        }
    }
    let elapsed = start.elapsed();
    let begun = run.begun.load(Ordering::Relaxed);
    let ending = if interrupted {
        Ending::Interrupted
    } else if begun < plan.repeat && elapsed >= plan.duration {
        Ending::TimeUp
    } else {
        Ending::Complete
    };
    let unsent = plan.due_within(elapsed.min(plan.duration)).saturating_sub(begun);
    Ok(Sent { tally, single: plan.repeat == 1, elapsed, begun, unsent, ending })
}

struct Run {
    plan: Plan,
    client: Client,
    template: Template,
    start: Instant,
    /// The index of the next request.
    next: AtomicU32,
    begun: AtomicU32,
}

impl Run {
    async fn work(self: Arc<Self>, report: mpsc::Sender<Result<Delivery, Failure>>) {
        let end = self.start.checked_add(self.plan.duration);
        let is_over = |time: Instant| end.is_some_and(|end| time >= end);
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.plan.repeat {
                return;
            }
            let due = match self.plan.due(index) {
                // An instant that cannot be represented is after every end.
                Some(due) => match self.start.checked_add(due) {
                    Some(due) => due,
                    None => return,
                },
                None => Instant::now(),
            };
            if is_over(due) {
                return;
            }
            sleep_until(due).await;
            if is_over(Instant::now()) {
                return;
            }
            self.begun.fetch_add(1, Ordering::Relaxed);
            let delivery = match self.template.request(index.saturating_add(1)) {
                Ok(request) => Ok(self.deliver(request, due).await),
                Err(failure) => Err(failure),
            };
            if report.send(delivery).await.is_err() {
                return;
            }
        }
    }

    async fn deliver(&self, request: Request<Bytes>, due: Instant) -> Delivery {
        let size = request.body().len();
        let exchange = async {
            let response = self.client.request(request.map(|body| Full::new(body).boxed())).await;
            Answer::read(response.map_err(|error| Trouble::of(&error))?).await
        };
        let answer =
            timeout(self.plan.timeout, exchange).await.unwrap_or_else(|_| Err(Trouble::timeout(self.plan.timeout)));
        Delivery { latency: due.elapsed(), size, answer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_rate_intervals() {
        let second = Duration::from_secs(1);
        let plan = Plan { repeat: 50, concurrency: 10, rate: Some(100.0), timeout: second, duration: second };
        for (index, milliseconds) in [(0, 0), (1, 10), (22, 220), (49, 490)] {
            assert_eq!(plan.due(index), Some(Duration::from_millis(milliseconds)));
        }
        for (milliseconds, due) in [(0, 0), (1, 1), (10, 1), (11, 2), (490, 49), (491, 50), (900, 50)] {
            assert_eq!(plan.due_within(Duration::from_millis(milliseconds)), due, "{milliseconds} ms");
        }
        assert_eq!(Plan { rate: None, ..plan }.due(7), None);
    }
}

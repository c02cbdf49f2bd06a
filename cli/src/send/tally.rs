//! Counts the results of a run and reports them.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use hdrhistogram::Histogram;
use http::Uri;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Kind};
use super::load::Delivery;
use crate::failure::{FOUND, Failure};
use crate::output::Output;
use crate::table::{self, Cell};

/// The counted results.
#[derive(Debug)]
pub(super) struct Tally {
    /// Microseconds, of requests that got a response or timed out.
    latencies: Histogram<u64>,
    statuses: BTreeMap<u16, u64>,
    /// The count, and the text of the first one.
    troubles: BTreeMap<Kind, (u64, String)>,
    sent_bytes: u64,
    received_bytes: u64,
    /// The last response, with its latency.
    last: Option<(Answer, Duration)>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, Failure> {
        let latencies =
            Histogram::new_with_bounds(1, HIGHEST, 3).map_err(|error| Failure::outside("the histogram", error))?;
        let (statuses, troubles) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { latencies, statuses, troubles, sent_bytes: 0, received_bytes: 0, last: None })
    }

    pub(super) fn add(&mut self, delivery: Delivery) {
        let Delivery { latency, size, answer } = delivery;
        self.sent_bytes = self.sent_bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        let counts = match answer {
            Ok(answer) => {
                let count = self.statuses.entry(answer.status.as_u16()).or_default();
                *count = count.saturating_add(1);
                self.received_bytes = self.received_bytes.saturating_add(answer.size);
                self.last = Some((answer, latency));
                true
            }
            Err(trouble) => {
                let kind = trouble.kind;
                let (count, _) = self.troubles.entry(kind).or_insert((0, trouble.text));
                *count = count.saturating_add(1);
                // Leaving out the slowest requests would hide a slow receiver.
                kind == Kind::Timeout
            }
        };
        if counts {
            self.latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn answered(&self) -> u64 {
        self.statuses.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Named percentiles in microseconds.
    fn percentiles(&self) -> [(&'static str, u64); 4] {
        let at = |quantile| self.latencies.value_at_quantile(quantile);
        [("p50", at(0.5)), ("p90", at(0.9)), ("p99", at(0.99)), ("max", self.latencies.max())]
    }
}

/// The reason for the end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Complete,
    TimeUp,
    Interrupted,
}

/// A finished run.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) tally: Tally,
    /// Whether the run was planned as one request.
    pub(super) single: bool,
    pub(super) elapsed: Duration,
    /// The number of started requests.
    pub(super) begun: u32,
    /// The number of requests that were due, but were not started because of the concurrency limit.
    pub(super) unsent: u32,
    pub(super) ending: Ending,
}

impl Sent {
    /// Prints the report, or the whole response to a single request.
    pub(super) fn report(&self, url: &Uri, output: Output) -> Result<ExitCode, Failure> {
        let tally = &self.tally;
        let answer = tally.last.as_ref().filter(|_| self.single);
        // A single request without a response has only its error.
        if answer.is_some() || !self.single {
            output.result(&self.json(url), || match answer {
                Some((answer, latency)) => answer.print(*latency),
                None => self.print(),
            });
        }
        let is_success = |status: &u16| (200..300).contains(status);
        if !tally.statuses.keys().all(is_success) {
            return Ok(ExitCode::from(FOUND));
        }
        match tally.troubles.first_key_value() {
            Some((kind, (_, text))) => Err(Failure::outside(url, format!("{}: {text}", kind.name()))),
            None if tally.statuses.is_empty() => Err(Failure::outside(url, "sent no response")),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    fn print(&self) {
        let tally = &self.tally;
        let why = match self.ending {
            Ending::Complete => "",
            Ending::TimeUp => ", ended by --duration",
            Ending::Interrupted => ", interrupted",
        };
        let per_second = f64::from(self.begun) / self.elapsed.as_secs_f64().max(f64::EPSILON);
        anstream::println!("{} requests in {:.1?}{why}: {per_second:.1} per second\n", self.begun, self.elapsed);
        let mut rows = Vec::new();
        for (status, count) in &tally.statuses {
            let status = status.to_string();
            let cell = if status.starts_with('2') { Cell::good(status) } else { Cell::bad(status) };
            rows.push([cell, Cell::plain(count.to_string()), Cell::plain("")]);
        }
        for (kind, (count, text)) in &tally.troubles {
            rows.push([Cell::bad(kind.name()), Cell::plain(count.to_string()), Cell::plain(text.as_str())]);
        }
        let mut more = |name: &str, count: u32, text: &str| {
            if count > 0 {
                rows.push([Cell::bad(name), Cell::plain(count.to_string()), Cell::plain(text)]);
            }
        };
        more("unfinished", self.unfinished(), "in flight when interrupted");
        more("not sent", self.unsent, "due, but --concurrency requests were in flight");
        table::print(["RESPONSE", "COUNT", ""], &rows);
        if !tally.latencies.is_empty() {
            let percentiles =
                tally.percentiles().map(|(name, micros)| format!("{name} {:.1?}", Duration::from_micros(micros)));
            anstream::println!("\nlatency: {}", percentiles.join("   "));
        }
        anstream::println!("body bytes: {} sent, {} received", tally.sent_bytes, tally.received_bytes);
    }

    fn json(&self, url: &Uri) -> Value {
        let tally = &self.tally;
        let errors: Map<String, Value> = tally
            .troubles
            .iter()
            .map(|(kind, (count, text))| (kind.name().into(), json!({ "count": count, "first": text })))
            .collect();
        let statuses: Map<String, Value> =
            tally.statuses.iter().map(|(status, count)| (status.to_string(), json!(count))).collect();
        let latency: Map<String, Value> =
            tally.percentiles().into_iter().map(|(name, micros)| (name.into(), json!(micros))).collect();
        let mut document = json!({
            "url": url.to_string(),
            "ended": match self.ending {
                Ending::Complete => "complete",
                Ending::TimeUp => "time_up",
                Ending::Interrupted => "interrupted",
            },
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "begun": self.begun,
            "answered": tally.answered(),
            "unfinished": self.unfinished(),
            "not_sent": self.unsent,
            "statuses": statuses,
            "errors": errors,
            "latency_us": (!tally.latencies.is_empty()).then_some(latency),
            "body_bytes": { "sent": tally.sent_bytes, "received": tally.received_bytes },
        });
        if let (true, Some((answer, _)), Some(document)) = (self.single, &tally.last, document.as_object_mut()) {
            document.insert("answer".into(), answer.json());
        }
        document
    }

    /// The number of started requests that did not finish.
    fn unfinished(&self) -> u32 {
        let troubles = self.tally.troubles.values().fold(0_u64, |sum, (count, _)| sum.saturating_add(*count));
        let over = self.tally.answered().saturating_add(troubles);
        self.begun.saturating_sub(u32::try_from(over).unwrap_or(u32::MAX))
    }
}

/// More than a day and the longest request, in microseconds.
const HIGHEST: u64 = 200_000_000_000;

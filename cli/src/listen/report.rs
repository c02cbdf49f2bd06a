//! Saves, explains and prints requests, one after the other.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookwarden::diagnose::Diagnosis;
use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::headers::RequestHead;
use hookwarden::{Scheme, Timestamp};
use http::StatusCode;
use http::request::Parts;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::captures::Captures;
use super::warden::Seen;
use crate::causes;
use crate::input::SecretText;
use crate::note::Note;
use crate::output::{self, Output};
use crate::table::Cell;
use crate::verify;

/// A request that was answered.
pub(super) struct Finished {
    /// From 1, in the order of arrival.
    pub(super) number: u64,
    pub(super) arrived: jiff::Timestamp,
    pub(super) parts: Parts,
    /// `None` if it is too large or incomplete.
    pub(super) body: Option<Bytes>,
    /// `None` if the Warden reported nothing, because it panicked.
    pub(super) seen: Option<Seen>,
    pub(super) status: StatusCode,
    /// `None` if the request was not forwarded.
    pub(super) reply: Option<Reply>,
    pub(super) took: Duration,
    /// Lets another request begin once this one is reported.
    pub(super) _place: OwnedSemaphorePermit,
}

/// What the application did with a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Answered(StatusCode),
    /// It did not answer.
    Failed(String),
}

/// What is printed about a request. It contains no value of a header, no query and no body.
struct Report<'f> {
    finished: &'f Finished,
    max_body: usize,
    diagnosis: Option<Diagnosis>,
    /// `None` if requests are not saved.
    saved: Option<Result<String, String>>,
}

/// Prints the requests, and saves them if a directory is set.
pub(super) struct Reporter {
    pub(super) scheme: Scheme,
    pub(super) secret: SecretText,
    pub(super) captures: Arc<Mutex<Option<Captures>>>,
    pub(super) output: Output,
    /// The maximum size of a body in bytes.
    pub(super) max_body: usize,
}

impl Reporter {
    /// Runs until the channel is closed, or standard output cannot be written.
    pub(super) fn run(self, mut received: mpsc::Receiver<Finished>) -> io::Result<()> {
        while let Some(finished) = received.blocking_recv() {
            let (saved, max_body) = (self.save(&finished), self.max_body);
            let report = Report { finished: &finished, max_body, diagnosis: self.diagnosis(&finished), saved };
            output::print(&if self.output.is_json() { output::line(&report.json()) } else { report.text() })?;
        }
        Ok(())
    }

    fn save(&self, finished: &Finished) -> Option<Result<String, String>> {
        let mut captures = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        let captures = captures.as_mut()?;
        let Some(body) = &finished.body else { return Some(Err("the body is too large or incomplete".into())) };
        let time = finished.arrived.strftime("%Y%m%dT%H%M%S%3fZ");
        let name = format!("{time}-{:06}-{}", finished.number, finished.outcome());
        Some(captures.save(&name, &finished.note(), &finished.parts, body))
    }

    /// Explains why a request does not verify.
    fn diagnosis(&self, finished: &Finished) -> Option<Diagnosis> {
        // The id is that of the key, if a key is chosen by its name.
        let Some(RefusalReason::Unverified(_) | RefusalReason::UnknownId) = finished.reason() else { return None };
        let (Parts { method, headers, .. }, body) = (&finished.parts, finished.body.as_ref()?);
        let target = finished.parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let head = RequestHead::new(method.as_str(), target, headers);
        let named = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let capture = verify::capture(&self.scheme, &self.secret, &head, named, body);
        Some(capture.diagnose_at(Timestamp::from_unix(finished.arrived.as_second())))
    }
}

impl Finished {
    fn outcome(&self) -> &'static str {
        self.seen.as_ref().map_or("failed", |seen| seen.outcome.as_str())
    }

    fn reason(&self) -> Option<RefusalReason> {
        self.seen.as_ref()?.outcome.reason()
    }

    /// The note of a saved request.
    fn note(&self) -> Note {
        let result = match self.reason() {
            Some(reason) => format!("reason={reason}"),
            None => format!("outcome={}", self.outcome()),
        };
        let arrived = Timestamp::from_unix(self.arrived.as_second());
        Note { result, arrived: Some(arrived), body: "complete".into() }
    }
}

impl Report<'_> {
    /// The lines about the request.
    fn text(&self) -> String {
        let Finished { number, parts, status, took, .. } = self.finished;
        let path: String = parts.uri.path().chars().take(SHOWN_PATH).collect();
        let line = format!(
            "#{number} {} {path}  {}, answered {} in {took:.1?}",
            parts.method,
            self.verdict(),
            status.as_u16()
        );
        let is_good = matches!(self.finished.outcome(), "accepted" | "handshake");
        let reply = self.finished.reply.as_ref().map(|reply| match reply {
            Reply::Answered(status) => Cell::plain(format!("the application answered {}", status.as_u16())),
            Reply::Failed(problem) => Cell::bad(format!("the application did not answer: {problem}")),
        });
        let note = self.finished.reason().and_then(|reason| note(reason, self.max_body)).map(Cell::plain);
        let saved = self.saved.as_ref().map(|saved| match saved {
            Ok(path) => Cell::plain(format!("saved as {path}")),
            Err(problem) => Cell::bad(format!("not saved: {problem}")),
        });
        let mut text = format!("{}\n", if is_good { Cell::good(line) } else { Cell::bad(line) });
        for cell in [reply, note, saved].iter().flatten() {
            text.push_str(&format!("  {cell}\n"));
        }
        text.push_str(&self.diagnosis.as_ref().map(|found| causes::text(found.causes())).unwrap_or_default());
        text
    }

    fn verdict(&self) -> String {
        let Some(seen) = &self.finished.seen else { return "failed".into() };
        match (seen.outcome, &seen.key_id) {
            (Outcome::Refused(reason), _) => {
                let header = seen.header.as_ref().map(|header| format!(", {header}")).unwrap_or_default();
                let skew = seen
                    .skew
                    .filter(|skew| *skew != 0)
                    .map(|skew| format!(", clock minus timestamp {skew} s"))
                    .unwrap_or_default();
                format!("refused: {reason}{header}{skew}")
            }
            (Outcome::Released, _) => "verified, not committed: the sender will retry".into(),
            (outcome, Some(key)) => format!("{outcome} with {key}"),
            (outcome, None) => outcome.to_string(),
        }
    }

    fn json(&self) -> Value {
        let finished = self.finished;
        let seen = finished.seen.as_ref();
        let (application, problem) = match &finished.reply {
            Some(Reply::Answered(status)) => (Some(status.as_u16()), None),
            Some(Reply::Failed(problem)) => (None, Some(problem)),
            None => (None, None),
        };
        json!({
            "request": finished.number,
            "time": finished.arrived.as_second(),
            "method": finished.parts.method.as_str(),
            "path": finished.parts.uri.path(),
            "body_bytes": finished.body.as_ref().map(Bytes::len),
            "outcome": finished.outcome(),
            "reason": finished.reason().map(RefusalReason::as_str),
            "header": seen.and_then(|seen| seen.header.as_deref()),
            "key_id": seen.and_then(|seen| seen.key_id).map(|id| id.to_string()),
            "skew": seen.and_then(|seen| seen.skew),
            "status": finished.status.as_u16(),
            "forwarded": finished.reply.is_some(),
            "application_status": application,
            "application_error": problem,
            "seconds": finished.took.as_secs_f64(),
            "saved": self.saved.as_ref().and_then(|saved| saved.as_ref().ok()),
            "not_saved": self.saved.as_ref().and_then(|saved| saved.as_ref().err()),
            "causes": self.diagnosis.iter().flat_map(Diagnosis::causes).map(causes::json).collect::<Vec<_>>(),
        })
    }
}

/// What a refusal means that the signature did not cause.
fn note(reason: RefusalReason, max_body: usize) -> Option<String> {
    Some(match reason {
        RefusalReason::Replayed => {
            "a copy of an accepted delivery, or a retry of it; to forward copies, add --forward-refused".into()
        }
        RefusalReason::InProgress => "a copy of a delivery that the application is still handling".into(),
        RefusalReason::MethodNotAllowed => {
            "deliveries are POST requests; a provider's challenge is answered with --handshake".into()
        }
        RefusalReason::BodyTooLarge => {
            format!("the body is larger than the limit of {max_body} bytes; to accept larger ones, raise --max-body")
        }
        RefusalReason::BodyTooSlow => "the body was not complete within the default deadline of 10 s".into(),
        RefusalReason::BodyInterrupted => "the sender closed the connection before the body was complete".into(),
        _ => return None,
    })
}

/// The maximum number of characters of a path to show.
const SHOWN_PATH: usize = 200;

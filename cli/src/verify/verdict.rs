//! Prints the result of a verification.

use std::process::ExitCode;

use hookwarden::Timestamp;
use hookwarden::diagnose::{Cause, CauseKind, Diagnosis, Verdict};
use serde_json::{Value, json};

use crate::causes;
use crate::failure::{FOUND, Failure};
use crate::output::Output;
use crate::table::Cell;
use crate::when;

/// The result of a verification at a time.
#[derive(Debug)]
pub(super) struct Verification {
    pub(super) diagnosis: Diagnosis,
    pub(super) time: Timestamp,
    /// `Some` if the message was verified at its own timestamp because it is stale now: with the cause of that, unless
    /// the time could not be compared.
    pub(super) stale: Option<Option<Cause>>,
    /// Whether the message was verified at its time of arrival, which the capture has.
    pub(super) at_arrival: bool,
}

/// Whether a cause is that the timestamp is in the past.
pub(super) fn is_late(cause: &Cause) -> bool {
    matches!(cause.kind(), CauseKind::TimestampStale | CauseKind::TimestampTimeZone)
}

/// Whether a cause is that the timestamp is not in the scheme's form.
pub(super) fn is_misread(cause: &Cause) -> bool {
    matches!(
        cause.kind(),
        CauseKind::TimestampSeconds
            | CauseKind::TimestampMilliseconds
            | CauseKind::TimestampRfc3339
            | CauseKind::TimestampHttpDate
            | CauseKind::TimestampMalformed
    )
}

impl Verification {
    /// Whether a cause is proven.
    pub(super) fn is_explained(&self) -> bool {
        self.diagnosis.causes().iter().any(Cause::is_proven)
    }

    /// Prints the result.
    pub(super) fn report(&self, now: Timestamp, output: Output) -> Result<ExitCode, Failure> {
        output.result(&self.json(), || self.print(now));
        Ok(if self.diagnosis.holds() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
    }

    fn print(&self, now: Timestamp) {
        let diagnosis = &self.diagnosis;
        let verdict = diagnosis.verdict().to_string();
        let line = match diagnosis.verdict() {
            Verdict::Holds { skew, .. } => {
                let skew = match skew {
                    Some(skew) if self.stale.is_none() => format!(", clock minus timestamp {skew} s"),
                    _ => String::new(),
                };
                Cell::good(format!("holds: {verdict}{skew}"))
            }
            Verdict::SecretRefused(_) => Cell::bad(format!("refused: {verdict}")),
            _ => Cell::bad(verdict),
        };
        anstream::println!("{line}");
        if let Some(cause) = &self.stale {
            let age = now.as_unix().abs_diff(self.time.as_unix());
            anstream::println!(
                "verified at its own timestamp, {age} s ago, as a stored capture is usually old; to verify it at the current time, add --at now"
            );
            if let Some(cause) = cause.as_ref().filter(|_| age <= RECENT) {
                anstream::println!("if it was captured just now, a receiver refuses it:");
                causes::print(std::slice::from_ref(cause));
            }
        }
        if self.at_arrival {
            anstream::println!(
                "verified at its time of arrival, {}; to verify it at the current time, add --at now",
                when::text(self.time)
            );
        }
        if !diagnosis.causes().is_empty() {
            anstream::println!();
            causes::print(diagnosis.causes());
        }
        if let (false, Some(secret)) = (diagnosis.holds(), diagnosis.fitting_secret()) {
            anstream::println!("\nafter this fix, the signature verifies with secret {}", secret.saturating_add(1));
        }
    }

    fn json(&self) -> Value {
        let diagnosis = &self.diagnosis;
        let (verdict, reason, header, skew) = match diagnosis.verdict() {
            Verdict::Holds { skew, .. } => ("holds", None, None, *skew),
            Verdict::Refused { reason, header, skew, .. } => {
                ("refused", Some(reason.to_string()), header.as_deref(), *skew)
            }
            Verdict::SecretRefused(error) => ("secret_refused", Some(error.to_string()), None, None),
            _ => ("refused", None, None, None),
        };
        json!({
            "verdict": verdict,
            "reason": reason,
            "header": header,
            "skew": skew,
            "judged_at": self.time.as_unix(),
            "stale_by_now": self.stale.is_some(),
            "stale_cause": self.stale.as_ref().and_then(Option::as_ref).map(causes::json),
            "secret": diagnosis.fitting_secret().map(|place| place.saturating_add(1)),
            "causes": diagnosis.causes().iter().map(causes::json).collect::<Vec<_>>(),
            "signatures_tried": diagnosis.tried(),
        })
    }
}

/// The age in seconds up to which a wrong clock is likely: a day.
const RECENT: u64 = 86_400;

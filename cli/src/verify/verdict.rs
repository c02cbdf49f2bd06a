//! Prints the result of a verification.

use std::process::ExitCode;
use std::time::Duration;

use hookwarden::Timestamp;
use hookwarden::diagnose::{Cause, Diagnosis, Verdict};
use serde_json::{Value, json};

use crate::causes;
use crate::failure::{FOUND, Failure};
use crate::output::Output;
use crate::table::Cell;

/// The result of a verification at a time.
#[derive(Debug)]
pub(super) struct Verification {
    pub(super) diagnosis: Diagnosis,
    pub(super) time: Timestamp,
    /// Whether the message was verified at its own timestamp because it is stale now.
    pub(super) stale_by_now: bool,
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
                    Some(skew) if !self.stale_by_now => format!(", clock minus timestamp {skew} s"),
                    _ => String::new(),
                };
                Cell::good(format!("holds: {verdict}{skew}"))
            }
            Verdict::SecretRefused(_) => Cell::bad(format!("refused: {verdict}")),
            _ => Cell::bad(verdict),
        };
        anstream::println!("{line}");
        if self.stale_by_now {
            let age = Duration::from_secs(now.as_unix().abs_diff(self.time.as_unix()));
            anstream::println!(
                "verified at its own timestamp, {} s ago: a receiver refuses it as stale now, which is normal for a capture; to verify it at the current time, add --at now",
                age.as_secs()
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
            "stale_by_now": self.stale_by_now,
            "secret": diagnosis.fitting_secret().map(|place| place.saturating_add(1)),
            "causes": diagnosis.causes().iter().map(causes::json).collect::<Vec<_>>(),
            "signatures_tried": diagnosis.tried(),
        })
    }
}

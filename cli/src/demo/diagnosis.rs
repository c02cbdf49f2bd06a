//! Explains one of the demo's refused requests, as `hookwarden verify` does.

use hookwarden::diagnose::{Capture, CauseKind, Diagnosis, Verdict};
use hookwarden::{Reason, Scheme};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::cases::REWRITTEN_BODY;
use crate::causes;

/// The diagnosis of the request with the serialised body.
pub(crate) struct Explained {
    request: String,
    diagnosis: Diagnosis,
}

impl Explained {
    pub(crate) fn new(name: String, request: &Request<Full<Bytes>>, secret: &str) -> Self {
        let diagnosis = Capture::new(&Scheme::timestamped(), secret, request, REWRITTEN_BODY.as_bytes())
            .with_headers(request.headers().iter().map(|(name, value)| (name.as_str(), value)))
            .diagnose();
        Self { request: name, diagnosis }
    }

    /// Whether the body is the only cause.
    pub(crate) fn is_as_expected(&self) -> bool {
        let is_mismatch = matches!(self.diagnosis.verdict(), Verdict::Refused { reason: Reason::Mismatch, .. });
        let kinds: Vec<_> = self.diagnosis.causes().iter().map(|cause| (cause.kind(), cause.is_proven())).collect();
        is_mismatch && kinds == [(CauseKind::BodyJsonRewritten, true)]
    }

    pub(crate) fn print(&self) {
        anstream::println!("\nwhy the request '{}' is refused:\n{}", self.request, self.diagnosis.verdict());
        causes::print(self.diagnosis.causes());
        if !self.is_as_expected() {
            anstream::println!("not as expected: the body should be the only cause");
        }
        anstream::println!("to explain your own raw request: hookwarden verify --secret-file secret.txt request.http");
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "request": self.request,
            "verdict": self.diagnosis.verdict().to_string(),
            "causes": self.diagnosis.causes().iter().map(causes::json).collect::<Vec<_>>(),
            "as_expected": self.is_as_expected(),
        })
    }
}

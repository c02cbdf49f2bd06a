//! Which refused requests are kept, and where.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::require;
use crate::error::ConfigError;
use crate::warden::captures::{CaptureStore, Limits};
use crate::warden::monitor::Monitor;

/// Keeps the last refused requests, so that an operator can find out why they were refused.
///
/// | setting | unit | default |
/// | --- | --- | --- |
/// | [`in_memory`](Self::in_memory), [`in_directory`](Self::in_directory) | captures, at most 10,000 | none are kept |
/// | [`max_bytes`](Self::max_bytes) | bytes, over all captures | 16,777,216 (16 MiB) |
/// | [`max_request_bytes`](Self::max_request_bytes) | bytes of one capture, head and body | 1,048,576 (1 MiB) |
/// | [`max_age`](Self::max_age) | duration, whole seconds | 24 h |
/// | [`redacted`](Self::redacted) | | off |
///
/// ```
/// use std::time::Duration;
///
/// use hookwarden::headers::RequestHead;
/// use hookwarden::warden::Captures;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let captures = Captures::in_memory(100).max_bytes(4 * 1024 * 1024).max_age(Duration::from_secs(3_600));
/// let warden = Warden::builder(scheme).sender("acme", keys).captures(captures).build()?;
///
/// let headers = [("Content-Type", "application/json")]; // not signed
/// warden.examine(&RequestHead::new("POST", "/webhooks/acme", &headers), None).unwrap_err();
/// let captured = warden.captured_requests();
/// assert!(captured[0].as_bytes().starts_with(b"POST /webhooks/acme HTTP/1.1\r\n"));
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
///
/// # What a capture contains
/// The request as `hookwarden verify FILE` reads it: the request line, the headers, an empty line and the bytes of the
/// body. The first header is not from the sender. It says why and when, in Unix seconds, the request was refused, and
/// whether the capture has the body:
///
/// ```text
/// POST /webhooks/acme?v=2 HTTP/1.1
/// Hookwarden-Capture: reason=mismatch; time=1800000000; body=complete
/// ```
///
/// | `body=` | meaning |
/// | --- | --- |
/// | `complete` | the whole body follows, joined if it was sent in chunks; as RFC 9112 section 7.1.3 requires, `Transfer-Encoding` is left out then |
/// | `not-read` | the request was refused for its head, before its body was read |
/// | `incomplete` | the body was too large, too slow or broke off; what was received is left out |
/// | `left-out` | the body does not fit into `max_request_bytes` |
///
/// A request of HTTP/2 is written like one of HTTP/1.1, with its `:authority` in a line `host`. If a request also has another
/// `Host`, the capture has both lines, even if the two are forms of one host such as `a.example:443` and `a.example`.
///
/// A name of a header is in lower case if the server changes it. **A capture contains what the sender sent:** personal data
/// in the body, and bearer tokens and cookies in headers. It never contains a secret of a key or a signature that the
/// receiver computed. But a request that was refused for another reason, such as its method, can have a valid signature:
/// whoever reads the capture can send it while it is fresh. `Debug` shows none of it. In memory it is not wiped when it is dropped.
///
/// # Which requests are captured
/// Those that are refused because of what they contain: a wrong method or content type, a missing, repeated or malformed
/// header, a timestamp that is stale or early, a wrong signature, an unknown webhook id, a body that is too large, too slow
/// or interrupted. Accepted requests, handshakes, duplicates and requests over a quota of their sender are verified, so
/// they are not captured. Requests of a blocked peer and requests that fail by the receiver's fault are not captured
/// either.
///
/// A flood must neither fill a disk nor push out everything else. So at most 60 requests a minute are captured, at most 20
/// of one peer, and at most 5 of one peer for the same reason. All requests without a known peer are of one peer. At most
/// 40 of the 60 are of peers without a genuine delivery in the last 10 minutes. A flood of many addresses can use up these
/// 40; then only peers with a genuine delivery are captured. Without [quotas](super::Quotas) of refused requests no peer is
/// known for one, and at most 40 requests a minute are captured.
///
/// All reasons that are found after the key lookup count as one, such as a wrong signature, an unknown webhook id and a
/// reason of a custom scheme: whether a request is captured must not reveal whether its id is known. A new capture that
/// exceeds the number or the bytes replaces the oldest of the largest group: the captures of one reason and one known
/// webhook id, or of one reason and all unknown ids. Of two equal groups, that of unknown ids is replaced. Captures with a
/// time in the future, which were made while the clock was wrong, count as the oldest.
///
/// A thread of the Warden keeps the captures, so that no request waits for the disk or for the choice of what is replaced.
/// While 16 captures wait, further ones are lost, which raises
/// [`Warning::CaptureFailed`](crate::event::Warning::CaptureFailed).
///
/// # With and without a framework
/// The adapters for tower, axum and actix-web capture the whole request. Without a framework, the head must implement
/// [`Head::for_each_header`](crate::headers::Head::for_each_header), and the body is captured by
/// [`Receiving::finish_request`](crate::warden::Receiving::finish_request) and its async form.
///
/// While captures are on, the body of a request with an unknown webhook id is kept until it is refused, up to
/// `max_request_bytes`, and counts as [in flight](crate::warden::BodyLimits::max_bytes_in_flight).
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures {
    directory: Option<PathBuf>,
    max_requests: usize,
    max_bytes: usize,
    max_request_bytes: usize,
    max_age: Duration,
    redacts: bool,
}

impl Captures {
    /// Keeps at most `max_requests` refused requests in memory.
    /// [`Warden::captured_requests`](crate::Warden::captured_requests) returns them. On a target without threads, such as
    /// `wasm32-unknown-unknown`, [`build`](crate::warden::WardenBuilder::build) returns an error.
    pub const fn in_memory(max_requests: usize) -> Self {
        Self {
            directory: None,
            max_requests,
            max_bytes: DEFAULT_MAX_BYTES,
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            max_age: DEFAULT_MAX_AGE,
            redacts: false,
        }
    }

    /// Keeps at most `max_requests` refused requests as files of `directory`. The event and the log line of a refusal have
    /// the name of its file.
    ///
    /// [`build`](crate::warden::WardenBuilder::build) creates the directory if it does not exist, with mode 0700. On Unix,
    /// an existing directory must belong to the user of the process and be accessible only by its owner. The files have mode
    /// 0600. A directory that is deleted later is created again.
    ///
    /// Wardens and processes can share a directory. The limits of each apply to all captures in it, those of earlier
    /// processes included. Files in progress count, up to half of the limits. If several processes write at the same moment,
    /// the directory can exceed the limits by one capture of each. Other files are never changed.
    ///
    /// A file appears complete or not at all. If the process ends, captures that wait are lost.
    pub fn in_directory(directory: impl Into<PathBuf>, max_requests: usize) -> Self {
        Self { directory: Some(directory.into()), ..Self::in_memory(max_requests) }
    }

    /// Sets the most bytes of all captures together.
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Sets the most bytes of one capture, at least 1,024. The body of a larger request is left out. A request whose head
    /// alone is larger is not captured.
    pub fn max_request_bytes(self, max_request_bytes: usize) -> Self {
        Self { max_request_bytes, ..self }
    }

    /// Sets after which time a capture is deleted, in whole seconds.
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Replaces the values of secret-like headers by `[redacted]`: the signature headers of the scheme, each header whose
    /// name contains `auth`, `cookie`, `token`, `secret`, `key`, `pass`, `sig`, `mac`, `jwt`, `assertion`, `oidc`,
    /// `session` or `credential`, and each whose name ends with `webhook`. That includes `Authorization`, `Cookie` and the
    /// signature headers of all [providers](crate::providers).
    ///
    /// **A custom scheme must list the headers of its signatures**
    /// ([`SchemeBuilder::signature_headers`](crate::scheme::SchemeBuilder::signature_headers)) if their names contain none of
    /// these words. **The path, the query and the body stay as they are**, with the tokens and signatures in them.
    ///
    /// A diagnosis of a redacted capture cannot check the signature. It finds only what is wrong with the rest of the head,
    /// such as a stale timestamp.
    pub fn redacted(self) -> Self {
        Self { redacts: true, ..self }
    }

    pub(in crate::warden) fn build(self, monitor: &Arc<Monitor>) -> Result<CaptureStore, ConfigError> {
        let is_number = (1..=10_000).contains(&self.max_requests);
        require(is_number, "captures", "must be 1 to 10,000 requests; to keep none, do not call `captures`")?;
        require(self.max_request_bytes >= 1_024, "captures.max_request_bytes", "must be at least 1,024")?;
        let fits = self.max_request_bytes <= self.max_bytes;
        require(fits, "captures.max_bytes", "must be at least `max_request_bytes` (default 1,048,576)")?;
        let age = super::whole_seconds(self.max_age).filter(|seconds| *seconds > 0);
        let age = age.ok_or_else(|| {
            ConfigError::new("captures.max_age", "must be a whole number of seconds, at least 1 and less than 2^32")
        })?;
        let limits =
            Limits { requests: self.max_requests, bytes: self.max_bytes, request_bytes: self.max_request_bytes, age };
        CaptureStore::new(self.directory, limits, self.redacts, monitor)
    }
}

const DEFAULT_MAX_BYTES: usize = 16 << 20;
const DEFAULT_MAX_REQUEST_BYTES: usize = 1 << 20;
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(86_400);

//! The store of captures: refused requests that are kept, in memory or in a directory.

mod directory;
mod memory;
mod message;
mod name;
mod rate;
mod retention;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::monitor::Monitor;
use crate::error::ConfigError;
use crate::event::RefusalReason;
use crate::headers::{FieldName, Head};
use crate::limit::Peer;
use crate::time::Timestamp;

pub(super) use message::BodyState;
pub(super) use name::CaptureName;
pub(super) use retention::Limits;

use directory::Directory;
use memory::Memory;
use rate::Rate;
use writer::Writer;

/// A refused request that was [captured](super::Captures) in memory.
/// [`Warden::captured_requests`](super::Warden::captured_requests) returns them.
///
/// ```
/// use hookwarden::headers::NoHeaders;
/// use hookwarden::warden::Captures;
/// use hookwarden::{Keyring, Scheme, Warden};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let warden = Warden::builder(scheme).sender("acme", keys).captures(Captures::in_memory(100)).build()?;
/// warden.examine(&NoHeaders, None).unwrap_err();
/// for captured in warden.captured_requests() {
///     println!("{}:\n{}", captured.name(), String::from_utf8_lossy(captured.as_bytes()));
/// }
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct CapturedRequest {
    name: Arc<CaptureName>,
    message: Arc<[u8]>,
}

impl CapturedRequest {
    /// Returns the name, as [`SecurityEvent::capture`](crate::event::SecurityEvent::capture) has it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns when the request arrived.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_unix(self.name.time())
    }

    /// Returns the request in the form that `hookwarden verify FILE` reads.
    /// [`Captures`](super::Captures#what-a-capture-contains) describes it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.message
    }
}

impl fmt::Debug for CapturedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedRequest")
            .field("name", &self.name())
            .field("bytes", &self.message.len())
            .finish_non_exhaustive()
    }
}

/// Where captures are kept, and which.
pub(super) struct CaptureStore {
    limits: Limits,
    redacts: bool,
    rate: Mutex<Rate>,
    /// Makes the names of this Warden different from those of others.
    origin: u64,
    next: AtomicU32,
    writer: Writer,
    /// `None` if the captures are in a directory.
    memory: Option<Memory>,
}

impl CaptureStore {
    /// Keeps captures in `directory`, or in memory if it is `None`.
    pub(super) fn new(
        directory: Option<PathBuf>,
        limits: Limits,
        redacts: bool,
        monitor: &Arc<Monitor>,
    ) -> Result<Self, ConfigError> {
        let (writer, memory) = match directory {
            Some(path) => (Writer::start(Directory::open(path, limits, monitor.clock.now().wall)?, monitor)?, None),
            None => {
                let memory = Memory::new(limits);
                (Writer::start(memory.clone(), monitor)?, Some(memory))
            }
        };
        let (rate, next) = (Mutex::default(), AtomicU32::default());
        Ok(Self { limits, redacts, rate, origin: name::random(), next, writer, memory })
    }

    /// Returns the most bytes of one capture.
    pub(super) const fn max_request_bytes(&self) -> usize {
        self.limits.request_bytes
    }

    /// Returns whether a request of `peer` that is refused for `reason` may be captured now, and counts it.
    pub(super) fn admits(&self, now: Duration, reason: RefusalReason, peer: Option<Peer>, is_proven: bool) -> bool {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).admits(now, reason, peer, is_proven)
    }

    /// Passes a request to the thread that keeps it. Returns its name, or `None` if it is too large or too many wait.
    pub(super) fn keep<H: Head + ?Sized>(
        &self,
        request: &RefusedRequest<'_, H>,
        body: BodyState<'_>,
    ) -> Option<CaptureName> {
        let RefusedRequest { head, reason, time, known_id, signature_headers } = *request;
        let redacted = self.redacts.then_some(signature_headers);
        let message = message::write(head, reason, time, body, redacted, self.limits.request_bytes)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = CaptureName::new(time, reason, known_id, self.origin, number);
        self.writer.send(name.clone(), message).then_some(name)
    }

    /// Returns the captures in memory, the newest first.
    pub(super) fn list(&self, now: Timestamp) -> Vec<CapturedRequest> {
        let Some(memory) = &self.memory else { return Vec::new() };
        self.writer.flush();
        memory.list(now).into_iter().map(|(name, message)| CapturedRequest { name, message }).collect()
    }
}

/// A request that is refused.
pub(super) struct RefusedRequest<'r, H: ?Sized> {
    pub(super) head: &'r H,
    pub(super) reason: RefusalReason,
    pub(super) time: Timestamp,
    /// The webhook id, if the Warden has keys for it.
    pub(super) known_id: Option<&'r str>,
    pub(super) signature_headers: &'r [FieldName],
}

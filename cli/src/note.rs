//! The note in a capture: the first header, in which a Warden or `hookwarden listen` writes what became of the request.

use std::fmt;

use hookwarden::Timestamp;

/// What a note says.
#[derive(Debug)]
pub(crate) struct Note {
    /// `reason=` with the reason of a refusal, or `outcome=` with the outcome of another request.
    pub(crate) result: String,
    /// When the request arrived.
    pub(crate) arrived: Option<Timestamp>,
    /// Whether the capture has the body: `complete`, or why it has none.
    pub(crate) body: String,
}

impl Note {
    /// Reads the note of a capture, which is the first header of that name.
    pub(crate) fn of(headers: &[(String, Vec<u8>)]) -> Option<Self> {
        let (_, note) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(NAME))?;
        let note = String::from_utf8_lossy(note);
        let mut parts = note.split(';').map(str::trim);
        let result = parts.next().unwrap_or_default().to_owned();
        let value = |name: &str| parts.clone().find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let arrived = value("time").and_then(|time| time.parse().ok()).map(Timestamp::from_unix);
        Some(Self { result, arrived, body: value("body").unwrap_or_default().to_owned() })
    }

    /// Whether the request was a verified delivery.
    pub(crate) fn is_verified(&self) -> bool {
        matches!(self.result.as_str(), "outcome=accepted" | "outcome=released")
    }
}

/// Writes the value of the header.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.arrived.map(|time| format!("; time={}", time.as_unix())).unwrap_or_default();
        write!(f, "{}{time}; body={}", self.result, self.body)
    }
}

/// The name of the header.
pub(crate) const NAME: &str = "Hookwarden-Capture";

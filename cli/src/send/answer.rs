//! What comes back for a request, or why nothing does.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use serde_json::{Map, Value, json};

/// An answer, as much of it as was wanted.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The body's size in bytes, as far as it was read.
    pub(super) size: u64,
    version: Version,
    headers: HeaderMap,
    shown: Vec<u8>,
}

impl Answer {
    /// Takes the answer's body, of which the first `SHOWN` bytes are kept, and no more than `READ` are read.
    pub(super) async fn read(response: Response<Incoming>) -> Result<Self, Trouble> {
        let (head, mut body) = response.into_parts();
        let mut answer =
            Self { status: head.status, size: 0, version: head.version, headers: head.headers, shown: Vec::new() };
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| Trouble::broken(&error))?.into_data() else { continue };
            let room = SHOWN.saturating_sub(answer.shown.len()).min(data.len());
            answer.shown.extend_from_slice(data.get(..room).unwrap_or_default());
            answer.size = answer.size.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
            if answer.size >= READ {
                break;
            }
        }
        Ok(answer)
    }

    /// The status line, headers and body, with nothing in them that a terminal would obey.
    pub(super) fn print(&self, latency: Duration) {
        anstream::println!("{:?} {} in {latency:.1?}", self.version, self.status);
        for (name, value) in &self.headers {
            anstream::println!("{name}: {}", plain(value.as_bytes(), &[]));
        }
        if !self.shown.is_empty() {
            anstream::println!("\n{}", plain(&self.shown, &['\n', '\t']));
        }
        if self.is_cut() {
            anstream::println!("… cut after {} bytes", self.shown.len());
        }
    }

    pub(super) fn json(&self) -> Value {
        let mut headers: Map<String, Value> = Map::new();
        for name in self.headers.keys() {
            let mut values: Vec<_> =
                self.headers.get_all(name).iter().map(|value| plain(value.as_bytes(), &[])).collect();
            let value = if values.len() > 1 { json!(values) } else { json!(values.pop()) };
            headers.insert(name.to_string(), value);
        }
        json!({
            "status": self.status.as_u16(),
            "version": format!("{:?}", self.version),
            "headers": headers,
            "body": String::from_utf8_lossy(&self.shown),
            "body_cut": self.is_cut(),
        })
    }

    fn is_cut(&self) -> bool {
        u64::try_from(self.shown.len()).is_ok_and(|shown| shown < self.size)
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// There was no connection to send it on.
    NoConnection,
    /// The answer was not complete in time.
    Timeout,
    /// The connection ended, or what came over it was no HTTP.
    Broken,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoConnection => "no connection",
            Self::Timeout => "timeout",
            Self::Broken => "broken off",
        }
    }
}

impl Trouble {
    pub(super) fn of(error: &legacy::Error) -> Self {
        if error.is_connect() { Self { kind: Kind::NoConnection, text: cause(error) } } else { Self::broken(error) }
    }

    pub(super) fn timeout(after: Duration) -> Self {
        Self { kind: Kind::Timeout, text: format!("no complete answer within {after:?}") }
    }

    fn broken(error: &dyn Error) -> Self {
        Self { kind: Kind::Broken, text: cause(error) }
    }
}

/// The innermost error, which says what happened; those around it say where.
fn cause(mut error: &dyn Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    plain(error.to_string().as_bytes(), &[])
}

/// Text for a terminal: control characters but for `kept` are written out.
fn plain(bytes: &[u8], kept: &[char]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).chars() {
        if character.is_control() && !kept.contains(&character) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}", character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// How many bytes of a body are shown.
const SHOWN: usize = 16_384;

/// How many bytes of a body are read.
const READ: u64 = 16_777_216;

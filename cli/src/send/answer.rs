//! The response to a request, or the reason for a missing one.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use hookwarden::escape::Escaped;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use serde_json::{Map, Value, json};

/// A response, with the beginning of its body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The number of bytes of the body that were read.
    pub(crate) size: u64,
    version: Version,
    headers: HeaderMap,
    shown: Vec<u8>,
}

impl Answer {
    /// Reads at most `READ` bytes of the body, and keeps the first `SHOWN`.
    pub(crate) async fn read(response: Response<Incoming>) -> Result<Self, Trouble> {
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

    /// The status line, headers and body, escaped.
    pub(crate) fn print(&self, latency: Duration) {
        anstream::println!("{:?} {} in {latency:.1?}", self.version, self.status);
        for (name, value) in &self.headers {
            anstream::println!("{name}: {}", Escaped::line(&text(value)));
        }
        if !self.shown.is_empty() {
            anstream::println!("\n{}", Escaped::lines(&String::from_utf8_lossy(&self.shown)));
        }
        if self.is_cut() {
            anstream::println!("… truncated after {} bytes", self.shown.len());
        }
    }

    pub(crate) fn json(&self) -> Value {
        let mut headers: Map<String, Value> = Map::new();
        for name in self.headers.keys() {
            let mut values: Vec<_> = self.headers.get_all(name).iter().map(text).collect();
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

/// The reason for a missing response.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Connecting failed.
    NoConnection,
    /// The response was not complete before the timeout.
    Timeout,
    /// The connection was closed, or the response was not HTTP.
    Broken,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoConnection => "no connection",
            Self::Timeout => "timeout",
            Self::Broken => "broken off",
        }
    }
}

impl Trouble {
    pub(crate) fn of(error: &legacy::Error) -> Self {
        if error.is_connect() { Self { kind: Kind::NoConnection, text: cause(error) } } else { Self::broken(error) }
    }

    pub(crate) fn timeout(after: Duration) -> Self {
        Self {
            kind: Kind::Timeout,
            text: format!("no complete response within {after:?}; raise --timeout, or check the receiver"),
        }
    }

    pub(crate) fn broken(error: &dyn Error) -> Self {
        Self { kind: Kind::Broken, text: cause(error) }
    }
}

/// The innermost error. The outer ones only name the operation.
fn cause(mut error: &dyn Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// The maximum number of body bytes to show.
const SHOWN: usize = 16_384;

/// The maximum number of body bytes to read.
const READ: u64 = 16_777_216;

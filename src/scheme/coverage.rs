//! What a signature covers.

use core::fmt;

/// What a valid signature proves about a request: the parts that only the sender can have written.
/// [`Scheme::coverage`](crate::Scheme::coverage) returns it.
///
/// ```
/// use hookwarden::Scheme;
///
/// let coverage = Scheme::standard_webhooks().coverage();
/// assert!(coverage.body && coverage.timestamp && coverage.id);
/// assert!(!coverage.url); // a captured request can be sent to another endpoint that has the same secret
/// assert_eq!(coverage.to_string(), "body, timestamp and id");
/// assert_eq!(Scheme::github().coverage().to_string(), "body");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Coverage {
    /// The whole body, itself or its digest.
    pub body: bool,
    /// The time of signing, so that a captured request expires.
    pub timestamp: bool,
    /// An id of the message, in a signed header whose name ends in `-id`.
    pub id: bool,
    /// The method.
    pub method: bool,
    /// The path and the query, with or without the host.
    pub url: bool,
}

impl Coverage {
    /// Covers nothing: the request has a token instead of a signature.
    pub const NOTHING: Self = Self { body: false, timestamp: false, id: false, method: false, url: false };

    /// Only the body.
    pub const BODY: Self = Self { body: true, ..Self::NOTHING };

    /// Adds the time of signing.
    #[must_use]
    pub const fn with_timestamp(self) -> Self {
        Self { timestamp: true, ..self }
    }

    /// Adds an id of the message.
    #[must_use]
    pub const fn with_id(self) -> Self {
        Self { id: true, ..self }
    }

    /// Adds the method.
    #[must_use]
    pub const fn with_method(self) -> Self {
        Self { method: true, ..self }
    }

    /// Adds the path and the query.
    #[must_use]
    pub const fn with_url(self) -> Self {
        Self { url: true, ..self }
    }
}

/// The covered parts, such as `body and timestamp`, or `nothing`.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.body, "body"),
            (self.timestamp, "timestamp"),
            (self.id, "id"),
            (self.method, "method"),
            (self.url, "URL"),
        ];
        let mut covered = parts.into_iter().filter_map(|(is_covered, name)| is_covered.then_some(name)).peekable();
        f.write_str(covered.next().unwrap_or("nothing"))?;
        while let Some(name) = covered.next() {
            f.write_str(if covered.peek().is_some() { ", " } else { " and " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

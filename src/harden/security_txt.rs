//! `/.well-known/security.txt`: where to report a vulnerability (RFC 9116).
//!
//! [`SecurityTxt`] is also the tower service, for the path that it is mounted at.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use tower_service::Service;

use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::time::{Timestamp, TimestampFormat};

/// The text of `/.well-known/security.txt`, and the tower service that serves it; actix-web has
/// `hookwarden::actix::security_txt`. Cheap to clone.
///
/// ```
/// use hookwarden::harden::SecurityTxt;
/// use hookwarden::Timestamp;
///
/// let in_half_a_year = Timestamp::from_unix(Timestamp::now().as_unix() + 180 * 86_400);
/// let text = SecurityTxt::builder()
///     .contact("mailto:security@example.com")
///     .expires(in_half_a_year)
///     .policy("https://example.com/disclosure")
///     .preferred_languages(["en", "de"])
///     .build()?;
/// # #[cfg(feature = "axum")]
/// let app: axum::Router = axum::Router::new().route_service(SecurityTxt::PATH, text);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
///
/// An expired text must not be used (RFC 9116 section 2.5.5): after the expiry requests are answered with 404, and a
/// warning is logged once. The text must be served over HTTPS (section 3): put it behind a
/// [`HardenLayer`](super::HardenLayer).
#[derive(Clone)]
pub struct SecurityTxt {
    inner: Arc<Inner>,
}

struct Inner {
    text: String,
    expires: Timestamp,
    clock: Arc<dyn Clock>,
    expiry_logged: AtomicBool,
}

impl SecurityTxt {
    /// The path at which the text is served.
    pub const PATH: &'static str = "/.well-known/security.txt";

    pub(crate) const CONTENT_TYPE: &'static str = "text/plain; charset=utf-8";
    pub(crate) const METHODS: &'static str = "GET, HEAD";

    /// Starts a text without any field.
    pub fn builder() -> SecurityTxtBuilder {
        SecurityTxtBuilder::new()
    }

    /// Returns the whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.inner.text
    }

    /// Returns the status for a request with this method, and the text if the status is 200.
    pub(crate) fn answer(&self, method: &str) -> (StatusCode, Option<String>) {
        if !matches!(method, "GET" | "HEAD") {
            return (StatusCode::METHOD_NOT_ALLOWED, None);
        }
        if self.inner.clock.now().wall >= self.inner.expires {
            if !self.inner.expiry_logged.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    target: "hookwarden::harden",
                    "security.txt has expired and is answered with 404: set a later `expires`"
                );
            }
            return (StatusCode::NOT_FOUND, None);
        }
        (StatusCode::OK, Some(self.inner.text.clone()))
    }
}

impl fmt::Debug for SecurityTxt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityTxt").field("text", &self.inner.text).finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for SecurityTxt {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (status, text) = self.answer(request.method().as_str());
        let mut response = Response::new(String::new());
        *response.status_mut() = status;
        if let Some(text) = text {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Self::CONTENT_TYPE));
            *response.body_mut() = text;
        } else if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(Self::METHODS));
        }
        ready(Ok(response))
    }
}

/// Collects the fields of a [`SecurityTxt`]. A field that is set several times is written several times, in the order
/// of the calls.
///
/// ```
/// use hookwarden::harden::SecurityTxt;
/// use hookwarden::Timestamp;
///
/// let in_half_a_year = Timestamp::from_unix(Timestamp::now().as_unix() + 180 * 86_400);
/// let text = SecurityTxt::builder()
///     .contact("mailto:security@example.com") // preferred
///     .contact("https://example.com/security")
///     .canonical("https://hooks.example.com/.well-known/security.txt")
///     .expires(in_half_a_year)
///     .build()?;
/// assert!(text.as_str().starts_with("Contact: mailto:security@example.com\n"));
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[must_use]
pub struct SecurityTxtBuilder {
    lines: Vec<(&'static str, String)>,
    expires: Option<Timestamp>,
    clock: Arc<dyn Clock>,
    fault: Option<ConfigError>,
}

impl SecurityTxtBuilder {
    fn new() -> Self {
        Self { lines: Vec::new(), expires: None, clock: Arc::new(SystemClock::default()), fault: None }
    }

    /// Adds an address for reports: `mailto:security@example.com`, `https://…` or `tel:+1-201-555-0123`. At least one
    /// is required. Add the preferred address first.
    pub fn contact(self, uri: &str) -> Self {
        self.uri(CONTACT, uri, &["mailto:", "https://", "tel:"])
    }

    /// Sets when the text expires. RFC 9116 recommends less than a year from now; a later time logs a warning.
    pub fn expires(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self
    }

    /// Adds a key for encrypted reports: `https://…`, `dns:…` or `openpgp4fpr:…`.
    pub fn encryption(self, uri: &str) -> Self {
        self.uri("Encryption", uri, &["https://", "dns:", "openpgp4fpr:"])
    }

    /// Adds a page that thanks reporters, at `https://…`.
    pub fn acknowledgments(self, uri: &str) -> Self {
        self.uri("Acknowledgments", uri, &["https://"])
    }

    /// Adds an address of this text, at `https://…`.
    pub fn canonical(self, uri: &str) -> Self {
        self.uri("Canonical", uri, &["https://"])
    }

    /// Adds the policy for reports, at `https://…`.
    pub fn policy(self, uri: &str) -> Self {
        self.uri("Policy", uri, &["https://"])
    }

    /// Adds a page with open positions in security, at `https://…`.
    pub fn hiring(self, uri: &str) -> Self {
        self.uri("Hiring", uri, &["https://"])
    }

    /// Sets the languages that reports may be in, as tags of RFC 5646: `en`, `pt-BR`. A second call replaces the first.
    pub fn preferred_languages<'t>(mut self, tags: impl IntoIterator<Item = &'t str>) -> Self {
        let is_subtag =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let tags: Vec<&str> = tags.into_iter().collect();
        match tags.iter().find(|tag| !tag.split('-').all(is_subtag)) {
            Some(tag) => self
                .keep("security_txt.preferred_languages", format!("must be language tags such as `en`, not {tag:?}")),
            None if tags.is_empty() => {
                self.keep("security_txt.preferred_languages", "must list at least one".to_owned())
            }
            None => {
                self.lines.retain(|(field, _)| *field != PREFERRED_LANGUAGES);
                self.lines.push((PREFERRED_LANGUAGES, tags.join(", ")));
            }
        }
        self
    }

    /// Reads the time from `clock`, for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Builds the text.
    ///
    /// # Errors
    /// Returns an error if the contact or the expiry is missing, if the expiry is in the past or after the year 9999,
    /// or if an address or a language tag is malformed.
    pub fn build(self) -> Result<SecurityTxt, ConfigError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if !self.lines.iter().any(|(field, _)| *field == CONTACT) {
            return Err(ConfigError::new("security_txt.contact", "must be set: call `contact`"));
        }
        let expiry = |problem| ConfigError::new("security_txt.expires", problem);
        let expires = self.expires.ok_or(expiry("must be set: call `expires`"))?;
        let now = self.clock.now().wall;
        if expires <= now {
            return Err(expiry("must be in the future"));
        }
        let written = TimestampFormat::Rfc3339.write(expires).ok_or(expiry("must be before the year 10000"))?;
        if expires.as_unix().saturating_sub(now.as_unix()) > YEAR {
            tracing::warn!(
                target: "hookwarden::harden",
                expires = written,
                "security.txt expires in more than a year: set an earlier `expires` (RFC 9116 section 2.5.5)"
            );
        }
        let lines = self.lines.iter().map(|(field, value)| format!("{field}: {value}\n"));
        let text: String = lines.chain([format!("Expires: {written}\n")]).collect();
        let inner = Inner { text, expires, clock: self.clock, expiry_logged: AtomicBool::new(false) };
        Ok(SecurityTxt { inner: Arc::new(inner) })
    }

    fn uri(mut self, field: &'static str, uri: &str, starts: &[&str]) -> Self {
        let has_start = |start: &&str| uri.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start));
        let start = starts.iter().find(|start| has_start(start));
        let is_more = start.is_some_and(|start| uri.len() > start.len());
        // All other characters must be percent-encoded (RFC 3986 section 2).
        let is_plain = uri.bytes().all(|byte| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte));
        if is_more && is_plain {
            self.lines.push((field, uri.to_owned()));
        } else {
            let problem = format!("must be a URI that starts with {}, not {uri:?}", starts.join(" or "));
            self.keep(format!("security_txt.{}", field.to_ascii_lowercase()), problem);
        }
        self
    }

    /// `build` reports the first fault.
    fn keep(&mut self, field: impl Into<std::borrow::Cow<'static, str>>, problem: String) {
        self.fault.get_or_insert_with(|| ConfigError::new(field, problem));
    }
}

impl fmt::Debug for SecurityTxtBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityTxtBuilder").field("lines", &self.lines).finish_non_exhaustive()
    }
}

const CONTACT: &str = "Contact";
const PREFERRED_LANGUAGES: &str = "Preferred-Languages";

/// In seconds.
const YEAR: i64 = 365 * 86_400;

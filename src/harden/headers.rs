//! The headers that are added to every response.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS, X_XSS_PROTECTION,
};

/// Headers with their values, each name once.
#[derive(Debug, Clone)]
pub(crate) struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    pub(super) fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.remove(&name);
        self.0.push((name, value));
    }

    pub(super) fn remove(&mut self, name: &HeaderName) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Returns the headers for the response to an encrypted or a plain request. RFC 6797 section 7.2: no
    /// `Strict-Transport-Security` over plain HTTP.
    pub(crate) fn of(&self, is_encrypted: bool) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.0.iter().filter(move |(name, _)| is_encrypted || name != STRICT_TRANSPORT_SECURITY)
    }

    /// Adds the headers that a response lacks.
    pub(super) fn complete(&self, headers: &mut HeaderMap, is_encrypted: bool) {
        for (name, value) in self.of(is_encrypted) {
            if !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
    }
}

impl Default for Headers {
    fn default() -> Self {
        Self(DEFAULTS.map(|(name, value)| (name, HeaderValue::from_static(value))).to_vec())
    }
}

const DEFAULTS: [(HeaderName, &str); 6] = [
    (STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains; preload"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (X_XSS_PROTECTION, "1; mode=block"),
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

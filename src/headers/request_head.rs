//! A head with a request line, and an empty head.

use super::{FieldName, Head, Occurrence};

/// Headers together with the request line, for schemes that sign the method, the path or the URL.
///
/// ```
/// use hookwarden::headers::RequestHead;
/// use hookwarden::scheme::SignedPart;
/// use hookwarden::{Keyring, Scheme, Signer, Timestamp, Verifier};
///
/// let scheme = Scheme::builder("acme")
///     .signature_header("Acme-Signature")
///     .signed([SignedPart::Path, SignedPart::literal("\n"), SignedPart::Body])
///     .build()?;
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let verifier = Verifier::new(scheme.clone(), keys.clone())?;
///
/// let signer = Signer::new(scheme, keys)?;
/// let headers = [("Content-Type", "application/json")];
/// let now = Timestamp::from_unix(1_800_000_000);
/// let signed = signer.sign_at(&RequestHead::new("POST", "/hooks?id=7", &headers), b"{}", now)?;
/// let headers: Vec<(&str, &str)> = signed.iter().collect();
/// verifier.verify_at(&RequestHead::new("POST", "/hooks?id=7", &headers), b"{}", now)?;
/// assert!(verifier.verify_at(&RequestHead::new("POST", "/hooks?id=8", &headers), b"{}", now).is_err());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RequestHead<'h, H: ?Sized> {
    method: &'h str,
    path: &'h str,
    authority: Option<&'h str>,
    headers: &'h H,
}

impl<'h, H: Head + ?Sized> RequestHead<'h, H> {
    /// Combines a request line with headers. `path` is the path and query as sent, such as `/hooks?id=7`.
    #[must_use]
    pub const fn new(method: &'h str, path: &'h str, headers: &'h H) -> Self {
        Self { method, path, authority: None, headers }
    }

    /// Sets the authority of the request target, such as `hooks.example.com`: the `:authority` of HTTP/2. By default it is
    /// that of `headers`, usually none: then the header `Host` has it.
    #[must_use]
    pub const fn with_authority(self, authority: &'h str) -> Self {
        Self { authority: Some(authority), ..self }
    }
}

impl<H: Head + ?Sized> Head for RequestHead<'_, H> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.headers.header(name)
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        self.headers.nth_value(name, index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.headers.for_each_header(each);
    }

    fn method(&self) -> Option<&str> {
        Some(self.method)
    }

    fn path(&self) -> Option<&str> {
        Some(self.path)
    }

    fn authority(&self) -> Option<&str> {
        self.authority.or_else(|| self.headers.authority())
    }
}

/// A head without headers or a request line.
///
/// ```
/// use hookwarden::headers::NoHeaders;
/// use hookwarden::{Keyring, Reason, Scheme, Verifier};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let rejection = Verifier::new(scheme, keys)?.verify(&NoHeaders, b"{}").unwrap_err();
/// assert_eq!(rejection.reason(), Reason::MissingHeader);
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoHeaders;

impl Head for NoHeaders {
    fn header(&self, _: &FieldName) -> Occurrence<'_> {
        Occurrence::Absent
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    #[test]
    fn no_headers_has_neither_headers_nor_request_line() {
        assert_eq!(NoHeaders.header(&FieldName::new("X-One").unwrap()), Occurrence::Absent);
        assert_eq!((NoHeaders.method(), NoHeaders.path(), NoHeaders.authority()), (None, None, None));
    }

    #[test]
    fn heads_with_a_request_line_return_it() {
        let line = |head: &dyn Head| (head.method().map(str::to_owned), head.path().map(str::to_owned));
        let expected = (Some("PUT".to_owned()), Some("/hooks?id=7".to_owned()));
        assert_eq!(line(&RequestHead::new("PUT", "/hooks?id=7", &NoHeaders)), expected);
        #[cfg(feature = "http")]
        {
            let request = http::Request::put("https://example.com/hooks?id=7").body(()).unwrap();
            assert_eq!(line(&request), expected);
            assert_eq!(line(&request.into_parts().0), expected);
            assert_eq!(line(&http::HeaderMap::new()), (None, None));
        }
    }

    #[test]
    fn authority_is_that_of_the_request_target() {
        let authority = |head: &dyn Head| head.authority().map(str::to_owned);
        let head = || RequestHead::new("PUT", "/hooks?id=7", &NoHeaders);
        assert_eq!(authority(&head()), None);
        assert_eq!(authority(&&head().with_authority("example.com")).as_deref(), Some("example.com"));
        #[cfg(feature = "http")]
        {
            let request = http::Request::put("https://example.com:8443/hooks").body(()).unwrap();
            let expected = Some("example.com:8443");
            assert_eq!(authority(&request).as_deref(), expected);
            assert_eq!(authority(&RequestHead::new("PUT", "/hooks", &request)).as_deref(), expected);
            assert_eq!(authority(&request.into_parts().0).as_deref(), expected);
            assert_eq!(authority(&http::Request::put("/hooks").body(()).unwrap()), None);
        }
    }
}

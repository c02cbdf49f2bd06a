//! The request head that a scheme reads: header values, and the request line where a scheme signs it.
//!
//! A verifier and a signer read a request through the trait [`Head`]. It is implemented for slices, arrays and vectors
//! of `(name, value)` pairs, for [`RequestHead`], and with the feature `http` for `http::HeaderMap`, `http::Request`
//! and `http::request::Parts`. A header that a scheme reads must occur exactly once, which [`Occurrence`] expresses.
//!
//! ```
//! use hookwarden::headers::{FieldName, Head, Occurrence};
//!
//! let head = [("X-One", "1"), ("x-two", "2"), ("X-TWO", "3")];
//! assert_eq!(head.header(&FieldName::new("x-one")?), Occurrence::Once(b"1"));
//! assert_eq!(head.header(&FieldName::new("x-two")?), Occurrence::Repeated);
//! assert_eq!(head.header(&FieldName::new("x-three")?), Occurrence::Absent);
//! # Ok::<(), hookwarden::ConfigError>(())
//! ```

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
#[cfg(feature = "std")]
use std::collections::HashMap;

use crate::error::ConfigError;

/// The head of a request, as far as a signature can cover it.
///
/// It is implemented for slices, arrays and vectors of `(name, value)` pairs, for maps from names to values, for [`NoHeaders`]
/// and [`RequestHead`], and with the feature `http` for that crate's `HeaderMap`, `Request` and `request::Parts`.
///
/// Implement it for another type so that no header has to be copied. Report
/// a header that occurs more than once as [`Occurrence::Repeated`], never as its first value: a proxy and a receiver
/// may each use a different one.
///
/// ```
/// use std::collections::HashMap;
///
/// use hookwarden::headers::{FieldName, Head, Occurrence};
///
/// /// A request as an API gateway passes it to a function.
/// struct GatewayEvent {
///     headers: HashMap<String, Vec<String>>,
///     method: String,
///     path_and_query: String,
/// }
///
/// impl Head for GatewayEvent {
///     fn header(&self, name: &FieldName) -> Occurrence<'_> {
///         let same_name = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name.as_str()));
///         Occurrence::from_values(same_name.flat_map(|(_, values)| values).map(String::as_bytes))
///     }
///
///     fn method(&self) -> Option<&str> {
///         Some(&self.method)
///     }
///
///     fn path(&self) -> Option<&str> {
///         Some(&self.path_and_query)
///     }
/// }
/// ```
pub trait Head {
    /// Looks up the header `name`. The comparison must ignore the case of ASCII letters.
    fn header(&self, name: &FieldName) -> Occurrence<'_>;

    /// The method as sent, such as `POST`, or `None` if it is not known. Only schemes that sign it need it.
    fn method(&self) -> Option<&str> {
        None
    }

    /// The path and query of the request line as sent, such as `/hooks?id=7`, or `None` if they are not known. Only
    /// schemes that sign the path or the URL need them.
    fn path(&self) -> Option<&str> {
        None
    }
}

/// How often a header occurs. Only a header that occurs once has a usable value: with two values, a proxy and a
/// receiver may each use a different one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence<'h> {
    /// The header does not occur.
    Absent,
    /// It occurs once, with this value.
    Once(&'h [u8]),
    /// It occurs twice or more.
    Repeated,
}

impl<'h> Occurrence<'h> {
    /// Counts the values of one header, in any order.
    pub fn from_values(mut values: impl Iterator<Item = &'h [u8]>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::Once(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}

/// The name of a header: a token of up to 128 bytes ([RFC 9110 section
/// 5.1](https://www.rfc-editor.org/rfc/rfc9110#section-5.1)).
///
/// Comparison ignores case; [`as_str`](Self::as_str) returns the name as it was given.
///
/// ```
/// use hookwarden::headers::FieldName;
///
/// let name = FieldName::new("X-Webhook-Signature")?;
/// assert_eq!(name.as_str(), "X-Webhook-Signature");
/// assert_eq!(name, FieldName::new("x-webhook-signature")?);
/// assert!(FieldName::new("X Webhook Signature").is_err());
/// # Ok::<(), hookwarden::ConfigError>(())
/// ```
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "String"))]
pub struct FieldName {
    text: Cow<'static, str>,
    /// The same name as the type of the `http` crate, so that a lookup does not parse it again.
    #[cfg(feature = "http")]
    http: Option<http::HeaderName>,
}

impl FieldName {
    /// Checks a header name.
    ///
    /// # Errors
    /// The name is empty, longer than 128 bytes, or contains a byte that a token must not contain.
    pub fn new(name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token_byte) {
            return Err(ConfigError::new("header name", alloc::format!("{name:?} is not a token")));
        }
        Ok(Self::of(name.into()))
    }

    /// For the names in the presets, which a test checks.
    pub(crate) fn preset(name: &'static str) -> Self {
        Self::of(name.into())
    }

    fn of(text: Cow<'static, str>) -> Self {
        Self {
            #[cfg(feature = "http")]
            http: http::HeaderName::from_bytes(text.as_bytes()).ok(),
            text,
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for FieldName {}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl TryFrom<String> for FieldName {
    type Error = ConfigError;

    fn try_from(name: String) -> Result<Self, ConfigError> {
        Self::new(name)
    }
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Head for [(N, V)] {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        find(name, self.iter().map(|(key, value)| (key, value)))
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const L: usize> Head for [(N, V); L] {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.as_slice().header(name)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Head for Vec<(N, V)> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.as_slice().header(name)
    }
}

/// A map cannot show that a header was sent twice if its builder kept one of the values. Two keys that differ only in case
/// are a repeated header.
impl<N: AsRef<str>, V: AsRef<[u8]>> Head for BTreeMap<N, V> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        find(name, self.iter())
    }
}

/// For example the headers of an AWS Lambda event, a `HashMap<String, String>`.
///
/// A map cannot show that a header was sent twice if its builder kept one of the values. Two keys that differ only in case
/// are a repeated header.
///
/// ```
/// use std::collections::HashMap;
///
/// use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let headers: HashMap<String, String> = HashMap::from([
///     ("x-webhook-timestamp".into(), "1800000000".into()),
///     ("x-webhook-signature".into(), "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe".into()),
/// ]);
/// let now = Timestamp::from_unix(1_800_000_000);
/// Verifier::new(scheme, keys)?.verify_at(&headers, br#"{"event":"user.created"}"#, now)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "std")]
impl<N: AsRef<str>, V: AsRef<[u8]>, S> Head for HashMap<N, V, S> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        find(name, self.iter())
    }
}

fn find<'h, N, V>(name: &FieldName, headers: impl Iterator<Item = (&'h N, &'h V)>) -> Occurrence<'h>
where
    N: AsRef<str> + 'h,
    V: AsRef<[u8]> + 'h,
{
    let same_name = headers.filter(|(key, _)| key.as_ref().eq_ignore_ascii_case(name.as_str()));
    Occurrence::from_values(same_name.map(|(_, value)| value.as_ref()))
}

/// A head without headers and without a request line.
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
    headers: &'h H,
}

impl<'h, H: Head + ?Sized> RequestHead<'h, H> {
    /// Combines a request line with headers. `path` is the path and query as sent, such as `/hooks?id=7`.
    #[must_use]
    pub const fn new(method: &'h str, path: &'h str, headers: &'h H) -> Self {
        Self { method, path, headers }
    }
}

impl<H: Head + ?Sized> Head for RequestHead<'_, H> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.headers.header(name)
    }

    fn method(&self) -> Option<&str> {
        Some(self.method)
    }

    fn path(&self) -> Option<&str> {
        Some(self.path)
    }
}

#[cfg(feature = "http")]
mod http_types {
    use super::{FieldName, Head, Occurrence};
    use http::header::{HeaderMap, HeaderValue};
    use http::request::{Parts, Request};

    impl Head for HeaderMap {
        fn header(&self, name: &FieldName) -> Occurrence<'_> {
            let values = match &name.http {
                Some(name) => self.get_all(name),
                None => self.get_all(name.as_str()),
            };
            Occurrence::from_values(values.iter().map(HeaderValue::as_bytes))
        }
    }

    impl Head for Parts {
        fn header(&self, name: &FieldName) -> Occurrence<'_> {
            self.headers.header(name)
        }

        fn method(&self) -> Option<&str> {
            Some(self.method.as_str())
        }

        fn path(&self) -> Option<&str> {
            self.uri.path_and_query().map(http::uri::PathAndQuery::as_str)
        }
    }

    impl<B> Head for Request<B> {
        fn header(&self, name: &FieldName) -> Occurrence<'_> {
            self.headers().header(name)
        }

        fn method(&self) -> Option<&str> {
            Some(self.method().as_str())
        }

        fn path(&self) -> Option<&str> {
            self.uri().path_and_query().map(http::uri::PathAndQuery::as_str)
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    #[test]
    fn header_is_found_whatever_its_case_and_only_if_single() {
        let pairs = [("X-One", "1"), ("x-two", "2"), ("X-TWO", "3")];
        let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let heads: &[&dyn Head] = &[
            &pairs,
            &owned.to_vec(),
            &BTreeMap::from(pairs),
            &BTreeMap::from(owned.clone()),
            #[cfg(feature = "std")]
            &HashMap::from(pairs),
            #[cfg(feature = "std")]
            &HashMap::<_, _, core::hash::BuildHasherDefault<std::hash::DefaultHasher>>::from_iter(owned),
        ];
        for (index, head) in heads.iter().enumerate() {
            let find = |name| head.header(&FieldName::new(name).unwrap());
            assert_eq!(find("x-ONE"), Occurrence::Once(b"1"), "head {index}");
            assert_eq!(find("X-Two"), Occurrence::Repeated, "head {index}");
            assert_eq!(find("X-Three"), Occurrence::Absent, "head {index}");
            assert_eq!((head.method(), head.path()), (None, None), "head {index}");
        }
    }

    #[test]
    fn no_headers_has_neither_headers_nor_request_line() {
        assert_eq!(NoHeaders.header(&FieldName::new("X-One").unwrap()), Occurrence::Absent);
        assert_eq!((NoHeaders.method(), NoHeaders.path()), (None, None));
    }

    #[test]
    fn request_line_is_told_by_whatever_holds_one() {
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
    fn name_that_is_no_token_is_a_config_error() {
        for name in ["", "a b", "a:b", "a\n", "é", "a\0"] {
            assert_eq!(FieldName::new(name).unwrap_err().field(), "header name", "{name:?}");
        }
        assert!(FieldName::new("a".repeat(129)).is_err());
    }
}

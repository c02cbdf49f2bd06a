//! The request head that a scheme reads: header values, and the request line if the scheme signs it.
//!
//! A verifier and a signer read a request through the trait [`Head`]. It is implemented for slices, arrays and vectors
//! of `(name, value)` pairs, for [`RequestHead`], and with the feature `http` for `http::HeaderMap`, `http::Request`
//! and `http::request::Parts`. A header that a scheme reads must occur exactly once, so a lookup returns an
//! [`Occurrence`].
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

mod field_name;
#[cfg(feature = "http")]
mod http_types;
mod occurrence;
mod pairs;
mod request_head;

pub use field_name::FieldName;
pub use occurrence::Occurrence;
pub use request_head::{NoHeaders, RequestHead};

pub(crate) use field_name::is_token_byte;

/// The header that a Warden adds to a capture.
#[cfg(any(feature = "warden", feature = "diagnose"))]
pub(crate) const CAPTURE_NOTE: &str = "Hookwarden-Capture";

/// The head of a request: the parts that a signature can cover.
///
/// It is implemented for slices, arrays and vectors of `(name, value)` pairs, for maps from names to values, for
/// [`NoHeaders`] and [`RequestHead`], and with the feature `http` for that crate's `HeaderMap`, `Request` and
/// `request::Parts`.
///
/// Implement it for another type to avoid copying the headers. Report a header that occurs more than once as
/// [`Occurrence::Repeated`], never as its first value: a proxy and a receiver may each use a different one.
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

    /// Returns the value of the header `name` at `index` among the headers of this name, from 0 on, in the order in which
    /// they were sent. Only schemes with [repeated signature
    /// headers](crate::scheme::SchemeBuilder::repeated_signature_headers) need it. By default a repeated header has no
    /// values, and a request with one is refused.
    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        match self.header(name) {
            Occurrence::Once(value) if index == 0 => Some(value),
            _ => None,
        }
    }

    /// Passes the name and value of every header to `each`, a repeated header as often as it was sent. Only the captures of
    /// a Warden (feature `warden`) need it. By default it passes none, and a capture has no headers.
    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        let _ = each;
    }

    /// The method as sent, such as `POST`, or `None` if it is not known. Only schemes that sign it need it.
    fn method(&self) -> Option<&str> {
        None
    }

    /// The path and query of the request line as sent, such as `/hooks?id=7`, or `None` if they are not known. Only
    /// schemes that sign the path or the URL need them.
    fn path(&self) -> Option<&str> {
        None
    }

    /// The authority of the request target, such as `hooks.example.com:8443`: the `:authority` of HTTP/2, or that of an
    /// absolute URL in the request line. `None` if the request target has none, as usual in HTTP/1.1, where the header
    /// `Host` has it. Only HTTP Message Signatures need it.
    fn authority(&self) -> Option<&str> {
        None
    }
}

impl<H: Head + ?Sized> Head for &H {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        (**self).header(name)
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        (**self).nth_value(name, index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        (**self).for_each_header(each);
    }

    fn method(&self) -> Option<&str> {
        (**self).method()
    }

    fn path(&self) -> Option<&str> {
        (**self).path()
    }

    fn authority(&self) -> Option<&str> {
        (**self).authority()
    }
}

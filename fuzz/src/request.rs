//! A request as plain values.

use hookwarden::headers::{Head, RequestHead};

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method and the path, if the head has them.
    pub line: Option<(String, String)>,
    /// The headers in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Calls `use_head` with the head as a [`Head`].
    pub fn with_head<R>(&self, use_head: impl FnOnce(&dyn Head) -> R) -> R {
        match &self.line {
            Some((method, path)) => use_head(&RequestHead::new(method, path, &self.headers)),
            None => use_head(&self.headers),
        }
    }

    /// Returns the head in the types of the crate `http`, or `None` if they cannot represent it unchanged.
    pub fn to_http(&self) -> Option<http::Request<()>> {
        let (method, path) = self.line.as_ref()?;
        let mut request = http::Request::builder().method(method.as_str()).uri(path.as_str());
        for (name, value) in &self.headers {
            request = request.header(name.as_str(), value.as_slice());
        }
        let request = request.body(()).ok()?;
        (request.uri().path_and_query()?.as_str() == path).then_some(request)
    }

    /// Returns all values of the header `name`.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let mut values = Vec::new();
        for (key, value) in &self.headers {
            if key.eq_ignore_ascii_case(name) {
                values.push(value.as_slice());
            }
        }
        values
    }

    /// Returns the value of the header `name`, if there is exactly one.
    pub fn single(&self, name: &str) -> Option<&[u8]> {
        match self.values(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Replaces all headers of this name by one.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
    }
}
